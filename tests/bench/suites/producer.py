"""What it costs the observed server: an emit of libmcptally, and the wrapper around it."""

import os
import re
import signal
import subprocess
import sys
from statistics import median

from harness import BUILD, LIMIT, PROGRAMS, Home, program, size
from rows import Row, beside

EMITS = 5_000_000
KEPT_EMITS = 1_000_000
KEPT_ITEMS = 50_000
UPDATES = {"set": "one gauge set", "observe": "one histogram observation"}
ITEMS = {"event": "one event of a measure and a label", "log": "one log record of two attributes",
         "span": "one span of three attributes", "track": "one operation tracked in one line"}


def emit(runs):
    def measure(daemon, kind="add", how="flat", count=EMITS, ring=False):
        transport = "ring" if ring else "socket"
        return [program("emit", daemon.socket, count // size["less"], how, kind,
                        env={**os.environ, "MCPTALLY_TRANSPORT": transport}) for _ in range(runs)]

    with Home() as daemon:
        kept = {kind: measure(daemon, kind, "paced", KEPT_EMITS) for kind in UPDATES}
        kept |= {kind: measure(daemon, kind, "paced", KEPT_ITEMS) for kind in ITEMS}
        done = {"running, by ring": measure(daemon, "add", "paced", KEPT_EMITS, ring=True),
                "running, by socket": measure(daemon, "add", "paced", KEPT_EMITS),
                "running, by socket, flat out": measure(daemon)}
        daemon.process.send_signal(signal.SIGSTOP)
        done["stopped"] = measure(daemon)
        daemon.process.send_signal(signal.SIGCONT)
        daemon.kill()
        done["absent"] = measure(daemon)
    kept["ring"], kept["add"] = done["running, by ring"], done["running, by socket"]
    if any(r["lost"] for results in kept.values() for r in results):
        sys.exit("emit: items were lost that should not be")
    for state, results in done.items():
        mine, atomic = [r["ns"] for r in results], [r["atomic_ns"] for r in results]
        goal = 15 if "ring" in state else 30
        yield Row(f"one emit, daemon {state}", "ns", mine, "atomic add", atomic,
                  median(mine) / median(atomic), median(mine) <= goal, f"at most {goal} ns")
    for kind, what in {**UPDATES, **ITEMS}.items():
        mine, atomic = [r["ns"] for r in kept[kind]], [r["atomic_ns"] for r in kept[kind]]
        goal = {"span": 250}.get(kind, 30 if kind in UPDATES else None)
        yield Row(what, "ns", mine, "atomic add", atomic, None,
                  goal and median(mine) <= goal, f"at most {goal} ns" if goal else "")
    for kind, what in (("add", "one emit"), ("span", ITEMS["span"])):
        yield Row(f"{what}, sent and acknowledged: all of the producer's CPU", "ns",
                  [r["cpu_ns"] for r in kept[kind]])


ADDS = re.compile(r"^round trip (p\d+,? \w+) .*adds +([-\d.]+) against +([-\d.]+):", re.M)
SERVER = re.compile(r"^a server that reports, (p\d+ \w+): ([\d.]+) us against ([\d.]+)", re.M)
CPU = re.compile(r"^CPU time .*bare relay ([\d.]+) us, relay ([\d.]+) us, observer ([\d.]+)",
                 re.M)


def both(pattern, runs):
    """By what it is of: what we took and what the reference took, in each run."""
    found = {}
    for out in runs:
        for what, mine, theirs in pattern.findall(out):
            pair = found.setdefault(what, ([], []))
            pair[0].append(float(mine))
            pair[1].append(float(theirs))
    return found.items()


def conversations(daemon, processors, runs):
    line = [PROGRAMS / "relay_bench", processors, BUILD / "mcptally"]
    env = {**os.environ, "MCPTALLY_SOCKET": daemon.socket, "MCPTALLY_TRANSPORT": "socket"}
    return [subprocess.run(line, capture_output=True, text=True, timeout=LIMIT, check=True,
                           env=env).stdout for _ in range(runs)]


def wrapper(runs):
    with Home() as daemon:
        done = conversations(daemon, "one", runs)
        free = conversations(daemon, "any", runs)
        daemon.check_accounting()
    for what, (mine, theirs) in both(ADDS, done):
        yield beside(f"mcptally run adds, {what}", "us", mine, "bare relay", theirs, 1.5)
    for what, (mine, theirs) in both(ADDS, free):
        yield beside(f"mcptally run adds, on any processor, {what}", "us", mine, "bare relay",
                     theirs)
    for what, (mine, theirs) in both(SERVER, done):
        yield beside(f"round trip of a server that reports each call, {what}", "us", mine,
                     "the same server, silent", theirs)
    bare, relay, observer = zip(*(map(float, CPU.search(out).groups()) for out in done))
    yield beside("CPU time of the relay for a round trip", "us", relay, "bare relay", bare)
    yield Row("CPU time of the observer for a round trip", "us", observer)
    kib = [int(re.search(r"together (\d+) KiB", out).group(1)) for out in done]
    yield Row("private memory of the wrapper", "KiB", kib, goal=median(kib) <= 1536,
              text="at most 1536 KiB")
