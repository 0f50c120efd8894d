"""Idle costs nothing: how often our processes are woken when nobody wants anything.

What is counted are the times that a process went to sleep, by the kernel's count. A machine that
is busy with other things makes that less, not more; what else may make a process sleep, a page
that is not there, is rare, so the best of some windows is judged."""

import pathlib
import subprocess
import time

import pytest

from conftest import BUILD
from processes import children, sleeps
from test_rings import Memory, Sharer

WINDOW = 4.0  # seconds
WINDOWS = 5


def family(pid):
    """A process and those that it started."""
    yield pid
    for child in children(pid):
        yield from family(child)


def within(pids, each):
    """Whether there is a window in which each was woken not more often than so many times a
    second, and twice more: for the window's edge, and for what is done now and then."""
    seen = []
    for _ in range(WINDOWS):
        began, before = time.monotonic(), [sleeps(pid) for pid in pids]
        time.sleep(WINDOW)
        woken = [sleeps(pid) - old for pid, old in zip(pids, before)]
        lasted = time.monotonic() - began
        if all(n <= each * lasted + 2 for n in woken):
            return True
        seen.append((round(lasted, 2), woken))
    pytest.fail(f"seconds and wakeups: {seen}")


def test_the_daemon_sleeps(daemon):
    assert within(list(family(daemon.pid)), 1)
    daemon.check_accounting()


def test_the_daemon_sleeps_beside_connections(daemon):
    """A producer that says nothing wakes nobody, and neither does a ring that lies still."""
    crowd = [BUILD / "tests/bench/crowd", daemon.socket, "50"]
    sharer, memory = Sharer(daemon.socket), Memory()
    sharer.define()
    assert sharer.offer(memory)[0] == 0
    memory.update(1, 1)
    sharer.bell(1)
    with subprocess.Popen(crowd, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdout.readline()
        assert within(list(family(daemon.pid)), 1)
        held.stdin.close()
    sharer.close()
    daemon.check_accounting()


@pytest.mark.parametrize("there", [True, False])
def test_the_wrapper_sleeps(daemon, there):
    """After an answer the relay sleeps until there is more to pass on. The observer looks at the
    server's processes now and then, and for a daemon."""
    socket = daemon.socket if there else daemon.socket + ".none"
    server = ["sh", "-c", "read line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'; cat"]
    with subprocess.Popen([BUILD / "mcptally", "run", "--socket", socket, "--", *server],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as wrapped:
        wrapped.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert wrapped.stdout.readline().startswith(b'{"jsonrpc"')
        pids = list(family(wrapped.pid))
        assert len(pids) >= 3
        assert within(pids, 1)
        assert within([wrapped.pid], 0)
        wrapped.stdin.close()
    daemon.check_accounting()
