"""What a scrape costs: beside a copy of the same bytes, and beside client_golang, the library
that most exporters are made with, serving the same counters in the same run."""

import contextlib
import pathlib
import shutil
import subprocess
import sys

from harness import BUILD, Home, pairs, program, size
from rows import Row, beside, chart

SERIES = (10_000, 100_000)
SOURCES = pathlib.Path(__file__).resolve().parents[1] / "client_golang"
OURS = 5     # scrapes of ours for one of theirs
FETCH = 300  # seconds that fetching and building it may take
OTHERS = "client_golang 1.23.2"  # as go.mod has it


def build_client_golang():
    """Its program, from what go.sum pins, and fetched where it is not here yet; or None and why
    there is none."""
    made = BUILD / "bench" / "client_golang"
    if size["less"] > 1:
        return None, "left out of a smoke"
    if not shutil.which("go"):
        return None, "there is no go"
    made.parent.mkdir(parents=True, exist_ok=True)
    line = ["env", "GOSUMDB=off", "GOFLAGS=-mod=readonly", "go", "build", "-trimpath", "-o",
            str(made), "."]
    try:
        done = subprocess.run(line, cwd=SOURCES, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=FETCH, check=False)
    except subprocess.TimeoutExpired:
        return None, "its modules did not come in time"
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return None, "its modules cannot be fetched or built"
    return made, None


@contextlib.contextmanager
def client_golang(made, count):
    """The port where it serves so many counters, on the daemon's processor; it ends with its
    standard input. None without the program."""
    if not made:
        yield None
        return
    with subprocess.Popen(["taskset", "-c", "0", made, str(count)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


def milliseconds(done, key="seconds"):
    return [s * 1e3 for one in done for s in one[key]]


def measure(runs, count, made):
    """What the program `scrape` says of both, a scrape of theirs and some of ours in turn."""
    with Home(store__size="256MiB", series__per_domain="200000",
              series__cardinality="200000") as daemon, client_golang(made, count) as their_port:
        program("series", daemon.socket, count)
        our_port = daemon.address().rsplit(":", 1)[1]
        theirs, ours = pairs(runs, lambda: their_port and program("scrape", their_port, 1),
                             lambda: program("scrape", our_port, OURS))
    return [done for done in theirs if done], ours


def scrape(runs):
    lines = {"mcptally": [], "memcpy of the page": [], OTHERS: []}
    made, why = build_client_golang()
    for count in SERIES[:1] if size["less"] > 1 else SERIES:
        theirs, ours = measure(runs, count, made)
        mine, copy = milliseconds(ours), milliseconds(ours, "memcpy_seconds")
        lines["mcptally"].append((count, mine))
        lines["memcpy of the page"].append((count, copy))
        name = f"/metrics with {count:,} series"
        yield beside(name, "ms", mine, "memcpy of the page", copy, 30)
        name = f"{name}, as others render them"
        if theirs:
            lines[OTHERS].append((count, milliseconds(theirs)))
            yield beside(name, "ms", mine, OTHERS, milliseconds(theirs), 0.1)
        else:
            yield Row(name, "ms", mine, f"client_golang: not measured, {why}")
    chart("Time of a scrape", "ms", "series",
          {name: points for name, points in lines.items() if points})
