"""What it costs to wait: CPU time and wakeups of a daemon and of a wrapper that have nothing to
do, with every process that belongs to them."""

import pathlib
import subprocess
import time
from statistics import median

from harness import BUILD, Home, family, size
from rows import Row

CALM = 3  # seconds until what was begun at the start is over


def spent(pid):
    """CPU time in ns and times gone to sleep, of a process and those that it started."""
    ns = sleeps = 0
    for one in family(pid):
        where = pathlib.Path(f"/proc/{one}")
        ns += int((where / "schedstat").read_text().split()[0])
        status = (where / "status").read_text()
        sleeps += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return ns, sleeps


def watch(pid):
    """Its share of a core, in percent, and how often it wakes in a second."""
    time.sleep(CALM)
    (ns, sleeps), began = spent(pid), time.monotonic()
    time.sleep(size["idle"])
    (more_ns, more_sleeps), lasted = spent(pid), time.monotonic() - began
    return (more_ns - ns) / lasted / 1e7, (more_sleeps - sleeps) / lasted


def wrapped(daemon):
    """A server that has answered once."""
    line = [BUILD / "mcptally", "run", "--socket", daemon.socket, "--", "sh", "-c",
            "read line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'; exec cat"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        process.stdout.readline()
        result = watch(process.pid)
        process.stdin.close()
    return result


def idle(runs):
    alone, beside = [], []
    with Home() as daemon:
        for _ in range(runs):
            alone.append(watch(daemon.pid))
            beside.append(wrapped(daemon))
    for what, done in (("daemon and its helpers", alone), ("wrapper and its server", beside)):
        cpu, wakeups = ([run[i] for run in done] for i in range(2))
        yield Row(f"{what}, idle: CPU time", "% of a core", cpu, goal=median(cpu) < 0.1,
                  text="under 0.1%")
        yield Row(f"{what}, idle: wakeups", "wakeups/s", wakeups)
