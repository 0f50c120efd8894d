"""mcptally run: the relay changes nothing, whatever becomes of its observer.

No daemon runs here: MCPTALLY_SOCKET names a place where there is none.
"""

import fcntl
import hashlib
import json
import os
import random
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from conftest import BUILD, DEADLINE, until
from processes import children, name_of, observer_of, state_of

MCPTALLY = str(BUILD / "mcptally")
PYTHON = ["/usr/bin/python3", "-S", "-E", "-c"]

# Copies stdin to stdout in pieces of its own choosing.
COPY = """
import os, random
r = random.Random(7)
while True:
    b = os.read(0, r.choice([1, 7, 100, 4096, 65536]))
    if not b: break
    while b:
        n = os.write(1, b)
        b = b[n:]
"""


@pytest.fixture
def env(tmp_path):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "MCPTALLY_"))}
    return {**keep, "MCPTALLY_SOCKET": str(tmp_path / "no-daemon.sock")}


def wrap(command, *options):
    return [MCPTALLY, "run", *options, "--", *command]


@pytest.fixture
def start(env):
    """Starts a wrapped command; ends what is left of it."""
    started = []

    def begin(command, *options, **more):
        given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                 "env": env, **more}
        process = subprocess.Popen(wrap(command, *options), **given)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


def server_of(process):
    return until(lambda: next((p for p in children(process.pid)
                               if not name_of(p).startswith("mcptally")), None), "a server")


def random_bytes(size, seed):
    return random.Random(seed).randbytes(size)


def write_pieces(fd, data, seed):
    """Writes data in random pieces and closes fd."""
    chance, at = random.Random(seed), 0
    while at < len(data):
        size = chance.choice([1, 3, 80, 4095, 4096, 4097, 65536, 300000])
        at += os.write(fd, data[at:at + size])
    os.close(fd)


def read_pieces(fd, seed, slow=False):
    chance, parts = random.Random(seed), []
    while True:
        part = os.read(fd, chance.choice([1, 50, 4096, 65536, 1 << 20]))
        if not part:
            return b"".join(parts)
        parts.append(part)
        if slow and len(parts) % 64 == 0:
            time.sleep(0.001)


def pump(process, data, slow=False):
    """Sends data to a process and returns what it sends back until its end of file."""
    writer = threading.Thread(target=write_pieces, args=(os.dup(process.stdin.fileno()), data, 1))
    process.stdin.close()
    writer.start()
    got = read_pieces(process.stdout.fileno(), 2, slow)
    writer.join(DEADLINE)
    assert not writer.is_alive()
    return got


def lines_of_json(size, seed):
    """JSON-RPC lines of many sizes, then things that are none."""
    chance, parts, total = random.Random(seed), [], 0
    while total < size:
        text = "x" * chance.choice([0, 1, 100, 5000, 200000])
        line = b'{"jsonrpc":"2.0","id":%d,"result":{"text":"%s"}}\n' % (total, text.encode())
        if chance.random() < 0.1:
            line = chance.randbytes(chance.choice([1, 100, 10000]))
        parts.append(line)
        total += len(line)
    return b"".join(parts)


# ---- bytes ----

@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
@pytest.mark.parametrize("data", [b"", b"x", b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
                                  random_bytes(3 << 20, 3), lines_of_json(4 << 20, 4)],
                         ids=["none", "byte", "line", "noise", "lines"])
def test_every_byte_passes_unchanged(start, data, slow):
    process = start(PYTHON + [COPY])
    assert pump(process, data, slow) == data
    assert process.wait(DEADLINE) == 0


def injected(line):
    """(the request as it would be without the context that it was given, that context)."""
    message = json.loads(line)
    context = message["params"]["_meta"].pop("traceparent")
    if not message["params"]["_meta"]:
        del message["params"]["_meta"]
    if not message["params"]:
        del message["params"]
    return message, context


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_injection_changes_requests_alone(start, slow):
    """Requests of many sizes get a context each; all else passes as it came, in order."""
    chance, sent = random.Random(5), []
    for i in range(1500):
        text = "x" * chance.choice([0, 10, 3000, 60000, 70000])
        request = {"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {"text": text}}
        sent.append(chance.choice([
            json.dumps(request).encode(),
            b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % i,
            b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
            b'{"jsonrpc":"2.0","id":%d,"result":{"text":"%s"}}' % (i, text.encode()),
            chance.randbytes(200).replace(b"\n", b"")]))
    data = b"\n".join(sent) + b"\nno line end"
    process = start(PYTHON + [COPY], "--inject-trace-context")
    got = pump(process, data, slow).split(b"\n")
    assert process.wait(DEADLINE) == 0
    assert len(got) == len(sent) + 1 and got.pop() == b"no line end"
    contexts = set()
    for before, after in zip(sent, got):
        if before == after:
            assert b'"method":"' not in before.replace(b" ", b"") or b'"id"' not in before \
                or len(before) > 65536 - 128
            continue
        message, context = injected(after)
        assert message == json.loads(before)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", context)
        contexts.add(context)
    requests = sum(b'"method"' in s and b'"id"' in s and len(s) < 65000 for s in sent)
    assert len(contexts) == requests > 500
    assert len({c[3:35] for c in contexts}) == requests  # each a trace of its own


def test_held_requests_pass_when_the_server_reads_on(start):
    """Lines that waited for room in the buffer need no further input to go on."""
    lines = [b'{"id":%d,"method":"m","params":{"text":"%s"}}' % (i, b"y" * 20000) for i in range(9)]
    slow_reader = "import os, time; time.sleep(0.3); os.execvp('cat', ['cat'])"
    process = start(PYTHON + [slow_reader], "--inject-trace-context")
    process.stdin.write(b"\n".join(lines) + b"\n")
    process.stdin.flush()
    got = [process.stdout.readline() for _ in lines]
    assert [injected(line)[0] for line in got] == [json.loads(line) for line in lines]


def test_an_injected_context_belongs_to_the_trace_of_the_environment(start, env):
    parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-00"
    process = start(["cat"], "--inject-trace-context", env={**env, "TRACEPARENT": parent})
    got = pump(process, b'{"id":1,"method":"a"}\n{"id":2,"method":"b"}\n').splitlines()
    first, second = (injected(line)[1] for line in got)
    assert first[:36] == second[:36] == parent[:36] and first[53:] == "00"
    assert len({first[36:52], second[36:52], parent[36:52]}) == 3


def test_a_message_of_20_mib_passes(start):
    data = b'{"jsonrpc":"2.0","id":1,"result":{"text":"' + b"y" * (20 << 20) + b'"}}\n'
    process = start(["cat"])
    assert hashlib.sha256(pump(process, data)).digest() == hashlib.sha256(data).digest()
    assert process.wait(DEADLINE) == 0


def test_both_ways_at_once(start):
    """Two different streams; the server tells on stderr what it received."""
    server = """
import hashlib, os, random, threading
def take():
    h = hashlib.sha256()
    while True:
        b = os.read(0, 70000)
        if not b: break
        h.update(b)
    os.write(2, h.hexdigest().encode())
t = threading.Thread(target=take)
t.start()
b = random.Random(9).randbytes(4 << 20)
while b:
    b = b[os.write(1, b[:50000]):]
os.close(1)
t.join()
"""
    up, down = random_bytes(4 << 20, 8), random_bytes(4 << 20, 9)
    process = start(PYTHON + [server])
    assert pump(process, up) == down
    assert process.stderr.read() == hashlib.sha256(up).hexdigest().encode()
    assert process.wait(DEADLINE) == 0


def test_a_message_passes_at_once(start):
    """Nothing is held back until more comes, in either direction."""
    process = start(["cat"], bufsize=0)
    for size in (1, 10, 1000, 4096, 60000):
        message = random_bytes(size, size)
        process.stdin.write(message)
        got = b""
        while len(got) < size:
            assert select.select([process.stdout], [], [], DEADLINE)[0]
            got += os.read(process.stdout.fileno(), size - len(got))
        assert got == message


def test_stderr_passes(start):
    server = "import os; os.write(2, b'one\\n'); os.write(1, b'out'); os.write(2, b'two \\xff')"
    process = start(PYTHON + [server])
    out, err = process.communicate(timeout=DEADLINE)
    assert (out, err) == (b"out", b"one\ntwo \xff")


def test_stderr_and_stdout_keep_their_order_in_one_pipe(start):
    server = "import os\nfor i in range(500): os.write(1 + i % 2, b'%d\\n' % i)"
    process = start(PYTHON + [server], stderr=subprocess.STDOUT)
    out, _ = process.communicate(timeout=DEADLINE)
    assert out == b"".join(b"%d\n" % i for i in range(500))


# ---- what the standard streams are ----

def test_sockets(start):
    """Node hands out socket pairs; their descriptors are shared and must stay blocking."""
    ours_in, theirs_in = socket.socketpair()
    ours_out, theirs_out = socket.socketpair()
    process = start(["cat"], stdin=theirs_in, stdout=theirs_out)
    data = random_bytes(2 << 20, 5)
    writer = threading.Thread(target=lambda: (ours_in.sendall(data),
                                              ours_in.shutdown(socket.SHUT_WR)))
    writer.start()
    theirs_out_flags = fcntl.fcntl(theirs_out, fcntl.F_GETFL)
    theirs_in.close()
    theirs_out.close()
    got = bytearray()
    while part := ours_out.recv(100000):
        got += part
    writer.join(DEADLINE)
    assert bytes(got) == data
    assert not theirs_out_flags & os.O_NONBLOCK
    assert process.wait(DEADLINE) == 0


def test_shared_pipes_stay_blocking(start):
    """O_NONBLOCK belongs to the open file, which the client has too."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    process = start(["cat"], stdin=in_read, stdout=out_write)
    os.write(in_write, b"hello")
    assert os.read(out_read, 5) == b"hello"
    for fd in (in_read, out_write, in_write, out_read):
        assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    for fd in (in_read, in_write, out_write):
        os.close(fd)
    assert os.read(out_read, 5) == b""
    os.close(out_read)
    assert process.wait(DEADLINE) == 0


def test_files(start, tmp_path):
    data = random_bytes(1 << 20, 6)
    (tmp_path / "in").write_bytes(data)
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        process = start(["cat"], stdin=source, stdout=target)
        assert process.wait(DEADLINE) == 0
    assert (tmp_path / "out").read_bytes() == data


def test_named_pipe_whose_writer_has_gone(start, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    keep = os.open(tmp_path / "fifo", os.O_RDWR)
    os.write(keep, b"last words\n")
    source = os.open(tmp_path / "fifo", os.O_RDONLY)
    os.close(keep)
    process = start(["cat"], stdin=source)
    os.close(source)
    assert process.communicate(timeout=DEADLINE)[0] == b"last words\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_missing_standard_streams(env, tmp_path, closed):
    marker = tmp_path / "ran"
    command = wrap(["sh", "-c", f"cat; echo done >{marker}"])

    def close():
        for fd in closed:
            os.close(fd)

    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, preexec_fn=close,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait(DEADLINE)
    assert marker.read_text() == "done\n"


# ---- ends ----

def test_end_of_file_on_stdin_passes(start):
    process = start(["sh", "-c", "cat >/dev/null; echo end"])
    out, _ = process.communicate(b"something", timeout=DEADLINE)
    assert out == b"end\n"


def test_the_server_may_close_stdout_and_go_on(start):
    process = start(["sh", "-c", "exec 1>&-; cat >/dev/null; exit 5"])
    assert process.stdout.read() == b""
    process.stdin.close()
    assert process.wait(DEADLINE) == 5


def test_the_client_hears_that_the_server_does_not_read(start):
    process = start(["sh", "-c", "exec 0<&-; echo closed; exec sleep 60"])
    assert process.stdout.readline() == b"closed\n"

    def refused():
        try:
            os.write(process.stdin.fileno(), b"x")
        except BrokenPipeError:
            return True
        return False

    until(refused, "EPIPE")
    os.kill(server_of(process), signal.SIGKILL)


def test_the_server_hears_that_the_client_does_not_read(start):
    process = start(["sh", "-c", "trap '' TERM; while echo x; do :; done 2>/dev/null; exit 9"],
                    stderr=subprocess.DEVNULL)
    process.stdout.close()
    status = process.wait(DEADLINE)
    assert status in (9, -signal.SIGPIPE)


def test_the_server_hears_that_the_client_has_gone_before_it_writes(start, tmp_path):
    """Nothing else has woken the relay, or will."""
    there = tmp_path / "there"
    process = start([*PYTHON, "import os, select, sys\nopen(sys.argv[1], 'w').close()\n"
                     "p = select.poll()\np.register(1, 0)\np.poll()\nos._exit(7)", str(there)])
    until(there.exists, "the server")
    process.stdout.close()
    assert process.wait(DEADLINE) == 7


def test_a_grandchild_that_holds_stdout_is_not_waited_for(start):
    process = start(["sh", "-c", "echo before; sleep 60 & echo $!; echo after; exit 4"])
    assert process.wait(DEADLINE) == 4
    before, pid, after = process.stdout.read().split()
    os.kill(int(pid), signal.SIGKILL)
    assert (before, after) == (b"before", b"after")


def test_what_a_dead_server_wrote_arrives(start):
    """Twice what the client's pipe holds is waiting when it exits. The two pipes take that in
    any case; how much the relay takes besides depends on how its reads and writes fall."""
    process = start(["sh", "-c", "head -c 131072 /dev/zero; exit 6"])
    time_to_exit = until(lambda: not any(state_of(p) not in ("", "Z") and
                                         not name_of(p).startswith("mcptally")
                                         for p in children(process.pid)), "the server's exit")
    assert time_to_exit
    assert len(read_pieces(process.stdout.fileno(), 1)) == 131072
    assert process.wait(DEADLINE) == 6


@pytest.mark.parametrize("status", [0, 1, 77, 255])
def test_exit_status(start, status):
    assert start(["sh", "-c", f"exit {status}"]).wait(DEADLINE) == status


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "USR1"])
def test_dies_of_the_servers_signal(start, name):
    process = start(["sh", "-c", f"ulimit -c 0; kill -{name} $$"])
    assert process.wait(DEADLINE) == -getattr(signal, "SIG" + name)


def test_no_second_core(start, tmp_path):
    resource_limits = resource.getrlimit(resource.RLIMIT_CORE)
    process = start(["sh", "-c", "ulimit -c 0; kill -ABRT $$"], cwd=tmp_path,
                    preexec_fn=lambda: resource.setrlimit(
                        resource.RLIMIT_CORE, (resource_limits[1], resource_limits[1])))
    assert process.wait(DEADLINE) == -signal.SIGABRT
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith("core")]


@pytest.mark.parametrize("command, status, words", [
    (["/no/such/program"], 127, b"No such file"),
    (["no-such-program-anywhere"], 127, b"No such file"),
    (["/etc/passwd"], 126, b"Permission denied"),
])
def test_what_cannot_be_executed(start, env, command, status, words):
    # A folder in PATH that may not be searched would make it a question of permission.
    process = start(command, env={**env, "PATH": "/usr/bin:/bin"})
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == status
    assert out == b"" and words in err and command[0].encode() in err


# ---- signals ----

@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "ALRM"])
def test_signals_pass(start, name):
    server = f"""
import os, signal
signal.signal(signal.SIG{name}, lambda *a: os.write(1, b'got it'))
os.write(1, b'ready\\n')
while os.read(0, 100): pass
"""
    process = start(PYTHON + [server], bufsize=0)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, "SIG" + name))
    assert process.stdout.read(6) == b"got it"
    process.stdin.close()
    assert process.wait(DEADLINE) == 0


def test_a_server_that_ignores_a_signal_stays(start):
    server = "trap '' TERM; echo ready; cat; exit 3"
    process = start(["sh", "-c", server], bufsize=0)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write(b"still here\n")
    assert process.stdout.readline() == b"still here\n"
    process.stdin.close()
    assert process.wait(DEADLINE) == 3


def test_stop_and_continue(start):
    # In a group of its own, as a shell would start it: the kernel does not stop a process whose
    # group is orphaned, as one that begins a session is.
    process = start(["cat"], bufsize=0, process_group=0)
    server = server_of(process)
    process.stdin.write(b"a\n")
    assert process.stdout.readline() == b"a\n"
    process.send_signal(signal.SIGTSTP)
    until(lambda: state_of(process.pid) == "T" and state_of(server) == "T", "both to stop")
    process.send_signal(signal.SIGCONT)
    until(lambda: state_of(server) != "T", "the server to go on")
    process.stdin.write(b"b\n")
    assert process.stdout.readline() == b"b\n"


def test_the_server_gets_the_signals_that_the_client_chose(env):
    """Dispositions and mask as they were, not as the relay needs them."""
    show = wrap(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])

    def choose():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])

    out = subprocess.run(show, env=env, preexec_fn=choose, capture_output=True, timeout=DEADLINE,
                         stdin=subprocess.DEVNULL, restore_signals=False, check=False)
    sets = {name: int(bits, 16) for name, bits in
            (line.split(":") for line in out.stdout.decode().splitlines())}
    assert out.returncode == 0
    assert sets["SigBlk"] == 1 << signal.SIGPROF - 1
    assert sets["SigIgn"] & (1 << signal.SIGPIPE - 1) == 0
    assert sets["SigIgn"] & (1 << signal.SIGCHLD - 1)
    assert sets["SigIgn"] & (1 << signal.SIGUSR2 - 1)


def test_killed_relay_takes_the_server_along(start):
    process = start(["sh", "-c", "trap '' TERM HUP; while :; do sleep 0.05; done"])
    server, observer = server_of(process), observer_of(process)
    process.kill()
    assert process.wait(DEADLINE) == -signal.SIGKILL
    until(lambda: state_of(server) in ("", "Z"), "the server's death")
    until(lambda: state_of(observer) in ("", "Z"), "the observer's end")


# ---- descriptors and backpressure ----

def test_nothing_of_ours_leaks_into_the_server(start):
    process = start(["ls", "-l", "/proc/self/fd"])
    out, _ = process.communicate(timeout=DEADLINE)
    fds = [line.split()[-3] for line in out.decode().splitlines() if "->" in line]
    assert fds == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


def test_other_descriptors_pass_to_the_server_alone(start):
    read, write = os.pipe()
    process = start(PYTHON + [f"import os; os.close({write})\n{COPY}"], pass_fds=[write], bufsize=0)
    os.close(write)
    process.stdin.write(b"x")
    assert process.stdout.read(1) == b"x"
    assert select.select([read], [], [], DEADLINE)[0] and os.read(read, 1) == b""
    os.close(read)


def test_a_client_that_does_not_read_holds_the_server_back(start):
    """As much as a few pipes hold, and no more."""
    server = """
import os, time
os.set_blocking(1, False)
total, last = 0, time.monotonic()
while time.monotonic() - last < 0.5:
    try:
        total += os.write(1, b'z' * 4096)
        last = time.monotonic()
    except BlockingIOError:
        time.sleep(0.01)
os.write(2, b'%d\\n' % total)
while os.read(0, 10): pass
"""
    process = start(PYTHON + [server])
    total = int(process.stderr.readline())
    assert 100000 < total <= 3 * 65536
    process.stdin.close()
    assert len(process.stdout.read()) == total


# ---- the observer ----

def talk(process, rounds):
    """Lines to a cat and back; the time of the slowest is not judged."""
    for i in range(rounds):
        line = b'{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"x":"%s"}}\n' % (i, b"." * i)
        process.stdin.write(line)
        got = b""
        while not got.endswith(b"\n"):
            assert select.select([process.stdout], [], [], DEADLINE)[0], "no answer"
            got += os.read(process.stdout.fileno(), 65536)
        assert got == line


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_the_observer_may_go_at_any_moment(start, what):
    process = start(["cat"], bufsize=0)
    talk(process, 20)
    observer = observer_of(process)
    os.kill(observer, what)
    if what != signal.SIGSTOP:
        until(lambda: state_of(observer) in ("", "Z"), "the observer's death")
    talk(process, 200)
    data = random_bytes(2 << 20, 11)
    try:
        assert pump(process, data) == data
        assert process.wait(DEADLINE) == 0
    finally:
        if what == signal.SIGSTOP:
            os.kill(observer, signal.SIGKILL)


def test_a_dead_observer_is_replaced_a_bounded_number_of_times(start):
    process = start(["cat"], bufsize=0)
    seen = set()

    def another():
        talk(process, 1)
        for pid in children(process.pid):
            if name_of(pid) == "mcptally-watch" and state_of(pid) != "Z" and pid not in seen:
                seen.add(pid)
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    for _ in range(4):
        until(another, "an observer")
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        talk(process, 1)
        time.sleep(0.05)
    assert not another()
    assert len(seen) == 4
    process.stdin.close()
    assert process.wait(DEADLINE) == 0


def test_the_observer_holds_none_of_the_clients_descriptors(start):
    process = start(["cat"], bufsize=0)
    observer = observer_of(process)
    ours = {os.readlink(f"/proc/self/fd/{s.fileno()}")
            for s in (process.stdin, process.stdout, process.stderr)}
    until(lambda: os.readlink(f"/proc/{observer}/fd/0") == "/dev/null", "the observer to settle")
    theirs = {os.readlink(f"/proc/{observer}/fd/{fd}") for fd in os.listdir(f"/proc/{observer}/fd")}
    assert not ours & theirs


def test_the_observer_outlives_neither_group_signals_nor_the_relay(start):
    process = start(["cat"], start_new_session=True)
    observer = observer_of(process)
    until(lambda: os.getpgid(observer) != process.pid, "the observer to leave the group")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(DEADLINE) == -signal.SIGTERM
    until(lambda: state_of(observer) in ("", "Z"), "the observer's end")


# ---- options ----

def test_usage(env):
    for line, status in (([], 64), (["--"], 64), (["--no-such", "cat"], 64), (["--help"], 0)):
        done = subprocess.run([MCPTALLY, "run", *line], env=env, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=DEADLINE, check=False)
        assert done.returncode == status, line


def test_options_of_the_server_are_its_own(start):
    process = start(["sh", "-c", 'echo "$@"', "sh", "--name", "x", "--help", "--"])
    assert process.communicate(timeout=DEADLINE)[0] == b"--name x --help --\n"


def test_disabled_it_becomes_the_server(env):
    command = wrap(["sh", "-c", "echo $$"])
    process = subprocess.Popen(command, env={**env, "OTEL_SDK_DISABLED": "true"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=DEADLINE)
    assert int(out) == process.pid


# ---- recordings ----

def replayed_bytes(path):
    """What a recording says passed each way."""
    import base64
    import json
    streams = {"client": b"", "server": b"", "stderr": b""}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["mcptally"] == "recording" and lines[0]["version"] == 1
    times = [line["us"] for line in lines[1:]]
    assert times == sorted(times)
    for line in lines[1:]:
        assert "lost" not in line
        if "text" in line:
            streams[line["from"]] += line["text"].encode()
        elif "base64" in line:
            streams[line["from"]] += base64.b64decode(line["base64"])
    return streams, lines


def test_a_recording_has_every_byte(start, tmp_path):
    path = tmp_path / "conversation"
    path.write_text("something older and longer\n" * 1000)
    path.chmod(0o644)
    process = start(["sh", "-c", "cat; printf 'err\\377\\nmore' >&2; exit 3"], "--record",
                    str(path), "--name", "wörld", bufsize=0)
    talk(process, 10)
    tricky = ["grüße € 😀\n".encode(), b"\xff\xfe\n", b'{"a":"\\u0000"}\n', b"\x00\x01\x1f\x7f\n",
              "😀".encode()[:2], "😀".encode()[2:] + b"\n", b"\xe2\x82", b"x\n", b"tail \xf0\x9f"]
    expected = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"x":"%s"}}\n'
                        % (i, b"." * i) for i in range(10))
    for part in tricky:
        process.stdin.write(part)
        assert process.stdout.read(len(part)) == part
        expected += part
    process.stdin.close()
    assert process.wait(DEADLINE) == 3
    until(lambda: '"exit":3' in path.read_text(), "the recording's end")
    streams, lines = replayed_bytes(path)
    assert streams == {"client": expected, "server": expected, "stderr": b"err\xff\nmore"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lines[0]["service"] == "wörld"
    assert {line["from"] for line in lines if "end" in line} == {"client", "server", "stderr"}


def test_a_recording_that_cannot_be_made_is_an_error(env, tmp_path):
    done = subprocess.run(wrap(["true"], "--record", str(tmp_path / "no" / "where")), env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE,
                          check=False)
    assert done.returncode == 1 and b"No such file" in done.stderr


def test_a_recording_does_not_follow_a_link(env, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    done = subprocess.run(wrap(["true"], "--record", str(tmp_path / "link")), env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE,
                          check=False)
    assert done.returncode == 1 and not (tmp_path / "target").exists()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
