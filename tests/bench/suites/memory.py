"""What a daemon holds of private memory, and for a connection, a ring, a series and a span."""

import sys
from statistics import median

from harness import KEEP_SPANS, Crowd, Home, private_bytes, program, size
from rows import Row
from test_rings import Memory, Sharer

RINGS = 64  # of a connection


def grown(daemon, make):
    """Private memory that a daemon has more once `make` has run."""
    before = private_bytes(daemon.pid)
    make()
    return private_bytes(daemon.pid) - before


def crowded(daemon, count):
    before = private_bytes(daemon.pid)
    with Crowd(daemon, count):
        return private_bytes(daemon.pid) - before


def shared(daemon, count):
    """The same of rings that producers share, a part of them each."""
    producers = [Sharer(daemon.socket) for _ in range(-(-count // RINGS))]
    memories = [Memory() for _ in range(count)]

    def offer():
        for i, memory in enumerate(memories):
            if producers[i // RINGS].offer(memory, stream=i % RINGS + 1)[0] != 0:
                sys.exit("a ring was refused")

    more = grown(daemon, offer)
    for one in producers:
        one.close()
    return more


def memory(runs):
    many, stored = size["connections"], size["stored"]
    idle, each, rings, spans, counters, histograms = [], [], [], [], [], []
    for _ in range(runs):
        with Home(limits__connections_per_domain="20000",
                  limits__connections_per_user="20000") as daemon:
            idle.append(private_bytes(daemon.pid) / 2**20)
            each.append(crowded(daemon, many) / many)
            rings.append(shared(daemon, size["shared"]) / size["shared"])
        with Home(KEEP_SPANS, store__size="256MiB") as daemon:
            spans.append(grown(daemon, lambda: program("items", daemon.socket, "span", stored))
                         / stored)
        for to, kind in ((counters, "counter"), (histograms, "histogram")):
            with Home(store__size="256MiB", series__per_domain="200000",
                      series__cardinality="200000") as daemon:
                to.append(grown(daemon, lambda k=kind: program("series", daemon.socket, stored, k))
                          / stored)
    yield Row("private memory, idle", "MiB", idle, goal=median(idle) < 6, text="under 6 MiB")
    yield Row(f"and for each of {many:,} idle connections", "bytes", each,
              goal=median(each) <= 1024, text="at most 1 KiB")
    yield Row(f"and for each of {size['shared']:,} shared rings, in the daemon", "bytes", rings)
    yield Row(f"and for each of {stored:,} spans of three attributes", "bytes", spans)
    yield Row(f"and for each of {stored:,} counters of 60 bytes of labels", "bytes", counters)
    yield Row(f"and for each of {stored:,} histograms of 14 buckets", "bytes", histograms,
              goal=median(histograms) <= 400, text="at most 400 bytes")
