"""How long it takes from a write until the daemon has applied it, and until a scrape shows it: by
percentile, and by what is written and to whom."""

from harness import Crowd, Home, many_series, pairs, program, size
from rows import Row, beside, chart

PERCENTILES = ("p50", "p95", "p99", "p99.9")
SHOWN = ("p50", "p99")  # by anything
KINDS = ("counter", "gauge", "histogram", "span", "event", "log", "health")


def of(side, key):
    return [done[key] for done in side]


def latency(runs):
    with Home() as daemon:
        port = daemon.address().rsplit(":", 1)[1]
        bare, applied = pairs(runs, lambda: program("delay", "echo", size["waits"]),
                              lambda: program("delay", daemon.socket, size["waits"]))
        scraped = [program("delay", daemon.socket, size["scrapes"], port) for _ in range(runs)]
    for key in PERCENTILES:
        yield beside(f"write to applied, {key}", "us", of(applied, key), "bare echo",
                     of(bare, key))
    for key in PERCENTILES:
        yield Row(f"write to scraped, {key}", "us", of(scraped, key))
    yield beside("write to applied, p99 of the worst tenth to the median one's", "times",
                 of(applied, "stability"), "bare echo", of(bare, "stability"))
    lines = {name: [(i + 1, of(side, key)) for i, key in enumerate(PERCENTILES)]
             for name, side in (("write to applied", applied), ("bare echo", bare),
                                ("write to scraped", scraped))}
    chart("Latency by percentile", "µs", "percentile", lines, PERCENTILES, joined=True)


def delays(runs):
    """What the latency depends on."""
    for part in (by_batch, by_series, by_connections, by_kind):
        yield from part(runs)


def waits(daemon, *options):
    return program("delay", *options, daemon.socket, size["few_waits"])


def points(at, lines, name, done):
    for key in SHOWN:
        lines.setdefault(f"{name}, {key}", []).append((at, of(done, key)))


def by_batch(runs):
    lines = {}
    with Home() as daemon:
        for batch in (1, 10, 100, 1_000, 5_000):
            bare, ours = pairs(
                runs, lambda: program("delay", "-b", batch, "echo", size["few_waits"]),
                lambda: waits(daemon, "-b", batch))
            points(batch, lines, "mcptally", ours)
            points(batch, lines, "bare echo", bare)
            for key in SHOWN:
                yield beside(f"write of {batch:,} to applied, {key}", "us", of(ours, key),
                             "bare echo of as many bytes", of(bare, key))
    chart("Latency by batch size", "µs, write to applied", "updates in one write", lines,
          by="batch size")


def by_series(runs):
    lines, first = {}, None
    with many_series(max(size["series"])) as daemon:
        for count in size["series"]:
            done = [waits(daemon, "-s", count) for _ in range(runs)]
            first = first or done
            points(count, lines, "mcptally", done)
            for key in SHOWN:
                yield beside(f"write to applied, {count:,} series, {key}", "us", of(done, key),
                             f"at {min(size['series']):,}", of(first, key))
    chart("Latency by series", "µs, write to applied", "series", lines, by="series")


def by_connections(runs):
    lines, alone = {}, None
    with Home(limits__connections_per_domain="20000",
              limits__connections_per_user="20000") as daemon:
        for count in size["producers"]:
            with Crowd(daemon, count):
                done = [waits(daemon) for _ in range(runs)]
            alone = alone or done
            points(count, lines, "mcptally", done)
            for key in SHOWN:
                yield beside(f"write to applied beside {count:,} connections, {key}", "us",
                             of(done, key), f"beside {min(size['producers'])}", of(alone, key))
    chart("Latency by connections", "µs, write to applied", "connections that are open", lines,
          by="connections")


def by_kind(runs):
    lines = {}
    with Home() as daemon:
        for i, kind in enumerate(KINDS):
            done = [waits(daemon, "-k", kind) for _ in range(runs)]
            points(i + 1, lines, "mcptally", done)
            for key in SHOWN:
                yield Row(f"write to applied, {kind}, {key}", "us", of(done, key))
    chart("Latency by kind", "µs, write to applied", "kind", lines, KINDS, by="kind")
