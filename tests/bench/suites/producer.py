"""What it costs the observed server: an emit of libmcptally, and the wrapper around it."""

import os
import re
import signal
import subprocess
import sys
from statistics import median

from harness import BUILD, LIMIT, PROGRAMS, Home, program, size
from rows import Row

EMITS = 5_000_000
KEPT_EMITS = 1_000_000
KEPT_SPANS = 50_000


def emit(runs):
    def measure(daemon, how="flat", count=EMITS, ring=False):
        transport = "ring" if ring else "socket"
        return [program("emit", daemon.socket, count // size["less"], how,
                        env={**os.environ, "MCPTALLY_TRANSPORT": transport}) for _ in range(runs)]

    with Home() as daemon:
        done = {"running, by ring": measure(daemon, "paced", KEPT_EMITS, ring=True),
                "running, by socket": measure(daemon, "paced", KEPT_EMITS),
                "running, by socket, flat out": measure(daemon)}
        spans_done = measure(daemon, "spans", KEPT_SPANS)
        daemon.process.send_signal(signal.SIGSTOP)
        done["stopped"] = measure(daemon)
        daemon.process.send_signal(signal.SIGCONT)
        daemon.kill()
        done["absent"] = measure(daemon)
    for state in ("running, by ring", "running, by socket"):
        if any(r["lost"] for r in done[state]):
            sys.exit("emit: items were lost that should not be")
    for state, results in done.items():
        mine, atomic = [r["ns"] for r in results], [r["atomic_ns"] for r in results]
        goal = 15 if "ring" in state else 30
        yield Row(f"one emit, daemon {state}", "ns", mine, "atomic add", atomic,
                  median(mine) / median(atomic), median(mine) <= goal, f"at most {goal} ns")
    mine = [r["ns"] for r in spans_done]
    yield Row("one span of three attributes", "ns", mine, "atomic add",
              [r["atomic_ns"] for r in spans_done], None, median(mine) <= 250, "at most 250 ns")


ADDS = re.compile(r"^round trip (p\d+,? \w+) .*adds +([-\d.]+) against +([-\d.]+):", re.M)


def wrapper(runs):
    path = PROGRAMS / "relay_bench"
    if not path.exists():
        return
    adds, bare, kib = {}, {}, []
    for _ in range(runs):
        done = subprocess.run([path, BUILD / "mcptally"], capture_output=True, text=True,
                              timeout=LIMIT, check=True)
        for what, mine, theirs in ADDS.findall(done.stdout):
            adds.setdefault(what, []).append(float(mine))
            bare.setdefault(what, []).append(float(theirs))
        kib.append(int(re.search(r"together (\d+) KiB", done.stdout).group(1)))
    for what, mine in adds.items():
        ratio = median(mine) / median(bare[what])
        yield Row(f"mcptally run adds, {what}", "us", mine, "bare relay", bare[what], ratio,
                  ratio <= 1.5, "at most 1.5 times")
    yield Row("private memory of the wrapper", "KiB", kib, goal=median(kib) <= 1536,
              text="at most 1536 KiB")
