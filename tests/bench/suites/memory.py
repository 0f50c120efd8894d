"""What a daemon, a connection and a series hold of private memory."""

import subprocess
import sys
from statistics import median

from harness import PROGRAMS, Home, private_bytes, program, size
from rows import Row


def grown(daemon, make):
    """Private memory that a daemon has more once `make` has run."""
    before = private_bytes(daemon.pid)
    make()
    return private_bytes(daemon.pid) - before


def with_crowd(daemon, count):
    with subprocess.Popen([PROGRAMS / "crowd", daemon.socket, str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        before = private_bytes(daemon.pid)
        if not held.stdout.readline():
            sys.exit("crowd: not every connection was welcome")
        after = private_bytes(daemon.pid)
        held.stdin.close()
    return after - before


def memory(runs):
    many, stored = size["connections"], size["stored"]
    idle, each, counters, histograms = [], [], [], []
    for _ in range(runs):
        with Home(limits__connections_per_domain="20000",
                  limits__connections_per_user="20000") as daemon:
            idle.append(private_bytes(daemon.pid) / 2**20)
            each.append(with_crowd(daemon, many) / many)
        for to, kind in ((counters, "counter"), (histograms, "histogram")):
            with Home(store__size="256MiB", series__per_domain="200000",
                      series__cardinality="200000") as daemon:
                to.append(grown(daemon, lambda k=kind: program("series", daemon.socket, stored, k))
                          / stored)
    yield Row("private memory, idle", "MiB", idle, goal=median(idle) < 6, text="under 6 MiB")
    yield Row(f"and for each of {many:,} idle connections", "bytes", each,
              goal=median(each) <= 1024, text="at most 1 KiB")
    yield Row(f"and for each of {stored:,} counters of 60 bytes of labels", "bytes", counters)
    yield Row(f"and for each of {stored:,} histograms of 14 buckets", "bytes", histograms,
              goal=median(histograms) <= 400, text="at most 400 bytes")
