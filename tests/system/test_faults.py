"""Each call that can fail, made to fail in turn, in a daemon that lives: nothing is lost that
was acknowledged, nothing leaks, nobody waits for ever, and what cannot start says why.

MCPTALLY_LONG=1 makes every call fail with every error; otherwise one error of each kind, and
not each of the many calls."""

import errno
import os
import pathlib
import re
import resource
import select
import signal
import subprocess
import time

import pytest

import faults
import otlp
from collector import Answer, HttpCollector
from conftest import BUILD, DEADLINE, until
from destinations import destination, helpers, set_destinations

LONG = bool(os.environ.get("MCPTALLY_LONG"))
DOCUMENTED = {71, 75, 77}  # exit statuses of mcptallyd(8) that a start may have which the
# system fails: 78 would keep systemd from trying again, and is the operator's fault alone
MOST = 1000  # calls of one kind in one round
AT_EDGES = ("memory", "open", "accept", "recv", "send", "read", "epoll_ctl", "epoll_wait",
            "stat", "fcntl", "sockopt")
AT_START = ("memory", "map", "open", "socket", "bind", "read", "write", "send", "pass",
            "epoll_ctl", "stat", "allocate", "truncate", "rename", "unlink", "fork", "pipe",
            "random", "fcntl", "sockopt", "directory", "event")
OF_HELPER = ("memory", "open", "read", "write", "recv", "send", "stat", "allocate", "truncate",
             "rename", "unlink", "sync", "fork", "socket", "directory", "poll")


def errors(kind):
    return faults.KINDS[kind] if LONG else faults.KINDS[kind][:1]


@pytest.fixture
def faulty(new_daemon, shm):
    """A daemon, not started, whose calls can fail."""
    one = new_daemon()
    one.faults = faults.Faults(shm / "faults")
    one.env = one.faults.environment()
    return one


def alive(daemon):
    life = faults.Life(daemon)
    daemon.faults.learn(daemon.pid)
    for _ in range(3):  # what grows once has grown
        life.round()
    life.check()
    return life


def each(daemon, kind, error, once, role=faults.PROGRAM, stride=1, first=1):
    """once() with the nth call failing, for every n until there is no such call. Yields n."""
    n = first
    for n in range(first, MOST, stride):
        daemon.faults.arm(kind, n, error, role)
        try:
            once()
        except BaseException:
            print(f"{kind} {n} {faults.name_of(error)}: {daemon.faults.where()}")
            raise
        if not daemon.faults.disarm(kind, role):
            return
        yield n
    pytest.fail(f"more than {n} calls in one round")


def leaks(daemon, life, kind, n, error):
    """Whether memory is lost each time that this call fails; a buffer may have grown once."""
    before = daemon.faults.live()
    for _ in range(8):
        daemon.faults.arm(kind, n, error)
        life.round()
        daemon.faults.disarm(kind)
    life.round()
    return daemon.faults.live() > before + 4


# ---- at run time ----

@pytest.mark.parametrize("kind", AT_EDGES)
def test_a_failing_call_loses_nothing(faulty, kind):
    life = alive(faulty.start())
    stride = 3 if kind == "memory" and not LONG else 1
    for error in errors(kind):
        for n in each(faulty, kind, error, life.round, stride=stride):
            held = faulty.faults.live()
            life.check()
            if faulty.faults.live() > held and leaks(faulty, life, kind, n, error):
                pytest.fail(f"{kind} {n}: memory is lost by {faulty.faults.where()}")
    life.round()
    life.check()
    assert faulty.stop() == 0


@pytest.mark.parametrize("kind", ["memory", "open", "read", "stat", "send"])
def test_a_failing_call_at_a_reload(faulty, shm, kind):
    faulty.config = shm / "config.yaml"
    faulty.config.write_text("rules: [{event: fault.*, metric: fault.ruled, kind: counter}]\n"
                             "redaction.keys: [zebra]\n"
                             "sampling.rules: [{name: x, tier: critical}]\n")
    life = alive(faulty.start())
    stride = 7 if kind == "memory" and not LONG else 1
    first = 2 if kind == "read" else 1  # libevent's, of the signal itself
    for error in errors(kind):
        for _ in each(faulty, kind, error, life.reload, stride=stride, first=first):
            assert faulty.process.poll() is None
    life.reload()
    life.round()
    life.check()
    assert faulty.stop() == 0


# ---- at the start ----

def began(daemon):
    """Waits until it serves, or has ended; whether it serves."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if any("READY=1" in message for message in daemon.notify.drain()):
            return True
        if daemon.process.poll() is not None:
            return False
        select.select([daemon.notify.socket], [], [], 0.02)
    return pytest.fail("it neither serves nor ends")


def check_start(daemon):
    """It serves, and does so well; or it ends with a status and words."""
    daemon.log_path.write_text("")
    daemon.spawn()
    if began(daemon):
        daemon.faults.learn(daemon.pid)
        return
    status = daemon.process.returncode
    said = daemon.log()
    assert status in DOCUMENTED, f"exit status {status}: {said}"
    assert re.search("error|out of memory|cannot be read", said), f"{status} for no reason: {said}"


@pytest.mark.parametrize("kind", AT_START)
def test_a_start_that_fails_says_why(faulty, kind):
    faulty.options["start.ladder"] = "false"
    stride = 29 if kind == "memory" and not LONG else 1
    served = 0
    for error in errors(kind):
        n = 1 - stride
        while (n := n + stride) < 2 * MOST:
            faulty.faults.reset()
            faulty.faults.arm(kind, n, error)
            try:
                check_start(faulty)
            except BaseException:
                print(f"{kind} {n} {faults.name_of(error)}")
                raise
            fired = faulty.faults.disarm(kind)
            if faulty.process.poll() is None:
                served += 1
                life = faults.Life(faulty)
                life.round("produce", "control")
                life.check()
                assert faulty.stop() == 0
            if not fired:
                break
    assert served
    faulty.start()  # and nothing of that is in the way of the next


def mask(daemon, which):
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    return int(re.search(rf"^{which}:\s*(\w+)", status, re.M)[1], 16)


def waits_for_a_stop(daemon):
    """Whether it has come so far that no other signal does anything; the kernel does not show
    those that are waited for as blocked."""
    return mask(daemon, "SigBlk") >> signal.SIGHUP - 1 & 1


# The first calls of all, one in the middle of reading the configuration, and the helper's.
@pytest.mark.parametrize("kind, n, error", [("open", 1, errno.EMFILE), ("memory", 1, errno.ENOMEM),
                                            ("memory", 8, errno.ENOMEM), ("open", 2, errno.EIO),
                                            ("fork", 1, errno.EAGAIN)])
def test_a_start_that_fails_is_not_followed_at_once(faulty, kind, n, error):
    """By systemd, which would start it in a circle: it lasts a second, or until a stop."""
    def spawn():
        faulty.faults.reset()
        faulty.faults.arm(kind, n, error)
        faulty.spawn()

    faulty.env["INVOCATION_ID"] = "0" * 32
    before = time.monotonic()
    spawn()
    assert faulty.process.wait(DEADLINE) == 71, faulty.log()
    assert time.monotonic() - before >= 1
    spawn()
    until(lambda: waits_for_a_stop(faulty), "it to wait")
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.process.wait(DEADLINE) == 0


# While the configuration is read, and while the store is opened.
@pytest.mark.parametrize("kind, n, sig", [("memory", 8, signal.SIGSEGV),
                                          ("open", 2, signal.SIGABRT),
                                          ("allocate", 1, signal.SIGBUS)])
def test_a_crash_at_the_start_is_not_followed_at_once(faulty, kind, n, sig):
    """Either; later there is a store, which says how often it has been."""
    def spawn():
        faulty.faults.reset()
        faulty.faults.arm(kind, n, faults.CRASH + sig)
        faulty.spawn()

    faulty.env["INVOCATION_ID"] = "0" * 32
    before = time.monotonic()
    spawn()
    assert faulty.process.wait(DEADLINE) == -sig, faulty.log()
    assert time.monotonic() - before >= 1
    spawn()
    until(lambda: waits_for_a_stop(faulty), "it to wait")
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.process.wait(DEADLINE) == -signal.SIGTERM
    faulty.faults.reset()
    faulty.start()
    assert not mask(faulty, "SigCgt") >> sig - 1 & 1


# ---- the helper, and what leaves ----

@pytest.fixture
def forwarding(faulty):
    collector = HttpCollector()
    set_destinations(faulty, destination(collector, concurrent=1, timeout="500ms"))
    faulty.collector = collector
    yield faulty
    collector.stop()


def died_of_libevent(daemon):
    """evhttp_request_new() dies of a failed allocation. The daemon sees to it that there is
    memory before it calls that, which does not help against one that is made to fail."""
    return daemon.process.poll() is not None and "evhttp_request_new" in daemon.faults.where()


@pytest.mark.parametrize("role", [faults.PROGRAM, faults.FORKED], ids=["daemon", "helper"])
@pytest.mark.parametrize("kind", OF_HELPER)
def test_what_leaves_comes_to_its_end(forwarding, kind, role):
    """A line leaves, or is counted as what became of it; and the helper is there again."""
    daemon = forwarding
    life = alive(daemon.start())
    numbers = iter(range(1, 100000))

    def one():
        number = next(numbers)
        daemon.collector.requests.clear()
        daemon.collector.answers.append(Answer(code=14, status=503))  # so that it is spooled
        life.request("otlp_http", "POST", "/v1/logs", otlp.request(otlp.log(f"<line {number}>")),
                     "application/x-protobuf")
        text = f"<line {number}>".encode()
        until(lambda: daemon.process.poll() is not None or any(
            text in r.body and r.answer.status == 200
            for r in list(daemon.collector.requests)), f"line {number}")

    one()
    stride = 5 if kind == "memory" and not LONG else 1
    for error in errors(kind):
        for _ in each(daemon, kind, error, one, role, stride):
            if died_of_libevent(daemon):
                life = alive(daemon.start())
            assert daemon.process.poll() is None, daemon.faults.where()
    one()
    until(lambda: helpers(daemon.pid), "a helper")
    life.check()
    assert daemon.stop() == 0


# ---- a plateau ----

def spent(pid):
    """Seconds of processor time, to the nanosecond."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def quiet(daemon, seconds=1.0):
    """Whether a daemon that nobody asks anything uses next to no time."""
    before, began_at = spent(daemon.pid), time.monotonic()
    time.sleep(seconds)
    return (spent(daemon.pid) - before) / (time.monotonic() - began_at) < 0.02


def test_no_spin_without_descriptors(faulty):
    """Connections wait at every port, and there is no descriptor for any of them: it rests.
    When there are some again, all ports answer."""
    life = alive(faulty.start())
    open_now = len(list(pathlib.Path(f"/proc/{faulty.pid}/fd").iterdir()))
    _, hard = resource.prlimit(faulty.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(faulty.pid, resource.RLIMIT_NOFILE, (open_now, hard))
    waiting = [one for address in (faulty.socket, faulty.control, *life.address.values())
               for one in faults.connect_and_stay(address, 20)]
    until(lambda: quiet(faulty), "it to be quiet", deadline=20)
    resource.prlimit(faulty.pid, resource.RLIMIT_NOFILE, (hard, hard))
    life.round()
    for one in waiting:
        one.close()
    life.check()
    assert faulty.stop() == 0


@pytest.mark.parametrize("kind, error", [("memory", errno.ENOMEM), ("epoll_ctl", errno.ENOSPC),
                                         ("accept", errno.ENOMEM)])
def test_no_spin_without_memory(faulty, kind, error):
    """Everything fails for a while, at every port; then all is as it was."""
    life = alive(faulty.start())
    faulty.faults.arm(kind, 1, error, times=1 << 40)
    waiting = [one for address in (faulty.socket, faulty.control, *life.address.values())
               for one in faults.connect_and_stay(address, 20)]
    until(lambda: quiet(faulty), "it to be quiet", deadline=20)
    faulty.faults.disarm(kind)
    for one in waiting:
        one.close()
    life.round()
    life.check()
    assert faulty.stop() == 0


# ---- the wrapper ----

LINES = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}\n' % i for i in range(200))


CANNOT_EXECUTE = 126


def wrapped(injected, runtime):
    line = [str(BUILD / "mcptally"), "run", "--", "cat"]
    return subprocess.run(line, input=LINES, capture_output=True, timeout=DEADLINE, check=False,
                          env={**os.environ, **injected.environment(),
                               "MCPTALLY_RUNTIME_DIR": str(runtime)})


@pytest.mark.parametrize("role", [faults.PROGRAM, faults.FORKED], ids=["relay", "observer"])
@pytest.mark.parametrize("kind", ["memory", "read", "write", "recv", "send", "poll", "fork",
                                  "pipe", "socket", "connect", "epoll_ctl", "event", "open",
                                  "stat", "fcntl"])
def test_no_byte_is_changed(daemon, shm, kind, role):
    """A relay that cannot begin says so and has passed nothing; else every byte comes, and
    what becomes of the observer is nobody's business."""
    injected = faults.Faults(shm / "faults", "mcptally")
    for error in errors(kind):
        if role == faults.PROGRAM and error in (errno.EIO, errno.ENOSPC):
            continue  # of the client's own pipe: then there is nobody to pass bytes to
        for n in range(1, MOST, 7 if kind == "memory" and not LONG else 1):
            injected.reset()
            injected.arm(kind, n, error, role)
            done = wrapped(injected, daemon.runtime)
            what = f"{kind} {n} {faults.name_of(error)}: {done.returncode} {done.stderr[-300:]}"
            if done.returncode == 0:
                assert done.stdout == LINES, what
            elif done.returncode == CANNOT_EXECUTE:  # what is forked may be to be the server
                assert done.stdout == b"" and done.stderr, what
            else:
                assert role == faults.PROGRAM and done.returncode > 0 and done.stderr, what
                assert LINES.startswith(done.stdout), what
            if not injected.fired(kind, role):
                break
    daemon.check_accounting()
