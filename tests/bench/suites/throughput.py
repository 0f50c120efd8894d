"""How much the daemon takes: sustained, by size of the writes, by series, by kind, of many
producers at once, and through a shared ring."""

import json
import subprocess
import sys
from statistics import median

from harness import (BUILD, KEEP_SPANS, LIMIT, PROGRAMS, Home, many_series, pairs, program,
                     size)
from rows import Row, beside, chart

# brubeck's, on a machine of the same kind: million updates a CPU second. A timer is compared with
# an observation.
BRUBECK = {"counter": 12.4, "histogram": 4.3}


def rate(done):
    return done["updates"] / done["seconds"] / 1e6


def per_cpu(done):
    return done["updates"] / done["cpu_seconds"] / 1e6


def against_bare(runs, name, count):
    """A program's bare form and the daemon, one after the other."""
    with Home(series__cardinality="1000") as daemon:
        done = pairs(runs, lambda: program(name, "bare", count),
                     lambda: program(name, "daemon", daemon.socket, count))
        daemon.check_accounting()
    return done


def updates(runs):
    """Sustained: counter updates, batched."""
    bare, ours = against_bare(runs, "updates", size["updates"])
    yield beside("counter updates applied, by wall clock", "million/s", list(map(rate, ours)),
                 "bare loop", list(map(rate, bare)))
    yield beside("counter updates applied, by the receiver's CPU time", "million/CPU s",
                 list(map(per_cpu, ours)), "bare loop", list(map(per_cpu, bare)), 0.55)
    yield beside("counter updates a CPU second", "million/CPU s", list(map(per_cpu, ours)),
                 "brubeck, measured before", [BRUBECK["counter"]], 5)


def sustained(runs):
    """Without a pause for some seconds, beside a burst of the same."""
    with Home(series__cardinality="1000") as daemon:
        burst, long = pairs(runs, *(lambda n=n: program("updates", "daemon", daemon.socket, n)
                                    for n in (size["batched"], size["sustained"])))
        daemon.check_accounting()
    seconds = median(done["seconds"] for done in long)
    yield beside(f"counter updates applied, sustained for {seconds:.1f} s", "million/s",
                 list(map(rate, long)), "a burst of them", list(map(rate, burst)))


def batches(runs):
    lines = {"mcptally": [], "bare loop": []}
    with Home(series__cardinality="1000") as daemon:
        for batch in (1, 10, 100, 1_000, 5_000):
            count = size["single"] if batch < 10 else size["batched"]
            bare, ours = pairs(
                runs, lambda: program("updates", "bare", count, 1_000, batch),
                lambda: program("updates", "daemon", daemon.socket, count, 1_000, batch))
            mine, theirs = list(map(rate, ours)), list(map(rate, bare))
            lines["mcptally"].append((batch, mine))
            lines["bare loop"].append((batch, theirs))
            yield beside(f"updates in writes of {batch:,}", "million/s", mine, "bare loop", theirs)
    chart("Throughput by batch size", "million updates/s", "updates in one write", lines,
          by="batch size")


def scaling(runs):
    cost, lines = {}, []
    with many_series(max(size["series"])) as daemon:
        for count in size["series"]:
            done = [program("updates", "daemon", daemon.socket, size["batched"], count)
                    for _ in range(runs)]
            cost[count] = [d["cpu_seconds"] / d["updates"] * 1e9 for d in done]
            lines.append((count, list(map(rate, done))))
    least, most = min(cost), max(cost)
    for count, mine in cost.items():
        yield beside(f"CPU time of an update at {count:,} series", "ns", mine,
                     f"at {least:,}", cost[least], 4 if count == most else None)
    chart("Throughput by series", "million updates/s", "series", {"mcptally": lines}, by="series")


UPDATES = ("counter", "gauge", "histogram")
ITEMS = ("span", "event", "log", "health")


def kinds(runs):
    done = {}
    with Home(KEEP_SPANS, series__cardinality="1000") as daemon:
        for kind in UPDATES:
            done[kind] = [program("updates", "daemon", daemon.socket, size["batched"], 1_000, 5_000,
                                  kind) for _ in range(runs)]
        for kind in ITEMS:
            done[kind] = [program("items", daemon.socket, kind, size["items"])
                          for _ in range(runs)]
        mixed = [mixed_load(daemon) for _ in range(runs)]
        daemon.check_accounting()
    speed = {kind: list(map(per_cpu, results)) for kind, results in done.items()}
    yield Row("gauge updates a CPU second", "million/CPU s", speed["gauge"])
    yield beside("histogram observations (14 buckets) a CPU second", "million/CPU s",
                 speed["histogram"], "brubeck's timers, measured before", [BRUBECK["histogram"]], 5)
    for kind, what in zip(ITEMS, ("spans of three attributes", "named events", "log records",
                                  "health reports")):
        yield Row(f"{what} a CPU second", "million/CPU s", speed[kind])
    yield Row("mixed items of libmcptally, applied", "1/s", [m["items_per_second"] for m in mixed])
    yield Row("mixed items lost", "", [m["lost"] + m["rejected"] for m in mixed])
    chart("Throughput by kind", "million a CPU second", "kind",
          {"mcptally": [(i + 1, runs_of) for i, runs_of in enumerate(speed.values())]},
          list(speed), by="kind")


def mixed_load(daemon):
    done = subprocess.run([BUILD / "mcptally", "bench", "--json", "--items",
                           str(size["crowd"] // 10), "--socket", daemon.socket],
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"mcptally bench: exit status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def crowds(runs):
    """Spikes: so many producers, each a service of its own, send all they have at once."""
    mine = []
    with Home(series__per_domain="100000", store__size="256MiB",
              limits__connections_per_domain="20000", limits__connections_per_user="20000",
              domains__count="10") as daemon:
        for count in size["producers"]:
            runs_of = [crowd(daemon, count)["seconds"] for _ in range(runs)]
            speed = [size["crowd"] // count * count / s / 1e6 for s in runs_of]
            mine.append((count, speed))
            yield Row(f"a spike: updates of {count:,} producers at once", "million/s", speed)
        daemon.check_accounting()
    chart("Throughput by connections", "million updates/s", "producers that send at once",
          {"mcptally": mine}, by="connections")


def crowd(daemon, count):
    done = subprocess.run([PROGRAMS / "crowd", daemon.socket, str(count),
                           str(size["crowd"] // count)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT, check=True)
    return json.loads(done.stdout)


def rings(runs):
    bare, ours = against_bare(runs, "ring", size["rings"])
    yield beside("updates through a shared ring, end to end", "million/s", list(map(rate, ours)),
                 "bare ring", list(map(rate, bare)), 0.6)
