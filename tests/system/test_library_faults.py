"""Each call of libmcptally that can fail, made to fail in turn, in a program that uses all of it
(host.c): it does not crash, hang or leak, and every item that it gave is applied once or reported
as lost.

MCPTALLY_LONG=1 makes every call fail with every error; otherwise one error of each kind, and not
each of the many calls."""

import json
import os
import select
import signal
import subprocess
import time

import pytest

import faults
from conftest import BUILD, DEADLINE

LONG = bool(os.environ.get("MCPTALLY_LONG"))
HOST = BUILD / "tests/system/host"
MOST = 3000  # calls of one kind in one life
FLUSHED = {0, 105}  # ENOBUFS: what was lost is told
# Kinds of calls, how many lives are left out between two (of the many), and errors.
CALLS = {"memory": 13, "map": 1, "open": 1, "socket": 1, "connect": 1, "read": 1, "write": 1,
         "recv": 1, "send": 3, "pass": 1, "epoll_ctl": 1, "stat": 1, "allocate": 1, "fork": 1,
         "random": 1, "fcntl": 1, "thread": 1, "poll": 1, "event": 1}
WAYS = {"socket": "s", "rings": "r", "poll": "p"}


class Host:
    def __init__(self, daemon, injected):
        self.daemon, self.injected = daemon, injected
        self.applied = daemon.check_accounting()["received"]
        self.process = subprocess.Popen([HOST, daemon.socket, "host"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0,
                                        env={**os.environ, **injected.environment()})

    def line(self):
        """What it says next; it says something in time, and lives."""
        text, end = b"", time.monotonic() + 2 * DEADLINE
        while not text.endswith(b"\n"):
            left = max(0, end - time.monotonic())
            assert select.select([self.process.stdout], [], [], left)[0], "it hangs"
            more = os.read(self.process.stdout.fileno(), 4096)
            assert more, f"it died: {self.process.wait(DEADLINE)}"
            text += more
        return text.decode()

    def live(self, how, halfway=None):
        """A life of a session, from open to close."""
        self.process.stdin.write((how.upper() if halfway else how).encode())
        if halfway:
            assert self.line() == "half\n"
            halfway()
            self.process.stdin.write(b"g")
        said = json.loads(self.line())
        self.injected.learn(self.process.pid)  # it has been loaded by now
        for one in (said["mine"], said["child"]):
            if one and one["opened"]:
                self.judge(one)
        assert self.daemon.check_accounting()["received"] == self.applied, said
        return said

    def judge(self, one):
        assert one["flushed"] in FLUSHED, one
        assert one["emitted"] == one["given"] == one["acknowledged"] + one["lost"], one
        assert one["rejected"] == 0, one
        self.applied += one["acknowledged"]

    def held(self):
        """Blocks of memory, and descriptors, that it holds."""
        return self.injected.live(), len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(DEADLINE) == 0


@pytest.fixture
def daemon(new_daemon):
    """One that may die as often as it likes."""
    one = new_daemon()
    one.options["start.ladder"] = "false"
    return one.start()


@pytest.fixture
def injected(shm):
    return faults.Faults(shm / "faults", "host")


def errors(kind):
    """What the library reads and writes is its own eventfd, which has no other errors."""
    return faults.KINDS[kind] if LONG and kind not in ("read", "write") else faults.KINDS[kind][:1]


def each(host, kind, error, role, stride, once):
    """once() with the nth call failing, until there are no more."""
    for n in range(1, MOST, stride):
        host.injected.arm(kind, n, error, role)
        try:
            once(n)
        except BaseException:
            print(f"{kind} {n} {faults.name_of(error)}: {host.injected.where()}")
            raise
        if not host.injected.disarm(kind, role):
            return n
    return pytest.fail(f"more than {MOST} calls in one life")


@pytest.mark.parametrize("way", WAYS)
def test_all_is_exact_when_nothing_fails(daemon, injected, way):
    host = Host(daemon, injected)
    for _ in range(3):
        said = host.live(WAYS[way])
    for one in (said["mine"], said["child"]):
        assert one["lost"] == 2 * one["given"] // 15 and one["flushed"], said  # the malformed
    host.end()


@pytest.mark.skipif("san-" in str(BUILD), reason="sanitizers look at memory themselves")
def test_memory_is_used_well(daemon):
    """As valgrind sees it: nothing is read that is freed, and nothing is left."""
    line = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect,possible", HOST, daemon.socket, "host"]
    host = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                            stderr=subprocess.PIPE)
    for how in b"srp":
        host.stdin.write(bytes([how]))
        assert b"given" in host.stdout.readline()
    host.stdin.write(b"q")  # a ring that nobody reads any more, of a thread that has ended
    assert host.stdout.readline() == b"half\n"
    daemon.process.send_signal(signal.SIGSTOP)
    host.stdin.write(b"g")
    said = host.stdout.readline()
    daemon.process.send_signal(signal.SIGCONT)
    found = host.communicate(timeout=4 * DEADLINE)[1]
    assert (said, host.returncode) == (b"quit\n", 0), found.decode()


@pytest.mark.parametrize("kind", ["memory", "thread", "event", "socket", "connect", "send",
                                  "pass"])
def test_a_failing_call_in_the_first_life(daemon, injected, kind):
    """What is done once in a process, or what later lives do not do."""
    stride = 1 if LONG else CALLS[kind]
    for n in range(1, MOST, stride):
        injected.reset()
        injected.arm(kind, n, errors(kind)[0])
        host = Host(daemon, injected)
        host.live("sr"[n % 2])
        fired = injected.disarm(kind)
        host.live("sr"[n % 2])
        host.end()
        if not fired:
            return
    pytest.fail(f"more than {MOST} calls in one life")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CALLS if LONG else
                         ["memory", "connect", "recv", "send", "pass"])
def test_a_failing_call_when_the_daemon_dies(daemon, injected, kind, way):
    """It is killed in the middle of a life, and comes back."""
    def back():
        daemon.kill()
        daemon.start()

    host = Host(daemon, injected)
    host.live(WAYS[way], back)
    before = host.held()
    stride = CALLS[kind] * (1 if LONG else 10)
    for error in errors(kind):
        each(host, kind, error, faults.PROGRAM, stride, lambda n: host.live(WAYS[way], back))
        host.live(WAYS[way], back)
    after = host.held()
    assert after[0] <= before[0] + 2 and after[1] == before[1], (before, after)
    host.end()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["memory", "thread", "event", "socket", "connect", "send",
                                  "pass", "recv"])
def test_a_failing_call_in_a_forked_child(daemon, injected, kind, way):
    host = Host(daemon, injected)
    stride = 1 if LONG else CALLS[kind]
    for error in errors(kind):
        each(host, kind, error, faults.FORKED, stride, lambda n: host.live(WAYS[way]))
    host.end()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CALLS)
def test_a_failing_call(daemon, injected, kind, way):
    host = Host(daemon, injected)
    for _ in range(3):  # what grows once has grown
        host.live(WAYS[way])
    before = host.held()
    stride = 1 if LONG else CALLS[kind]
    for error in errors(kind):
        each(host, kind, error, faults.PROGRAM, stride, lambda n: host.live(WAYS[way]))
        host.live(WAYS[way])
    after = host.held()
    assert after[0] <= before[0] + 2 and after[1] == before[1], (before, after)
    host.end()


def test_an_answer_to_an_offer_fails(new_daemon, injected, shm):
    """The daemon's, with a descriptor: the ring is offered once more, over another connection."""
    daemon = new_daemon()
    answers = faults.Faults(shm / "daemon")
    daemon.env = answers.environment()
    host = Host(daemon.start(), injected)
    host.live("r")
    for error in faults.KINDS["pass"]:
        answers.arm("pass", 1, error)
        host.live("r")
        assert answers.disarm("pass") == 1
    host.end()
