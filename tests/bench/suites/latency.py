"""How long it takes from a write until the daemon has applied it, and until a scrape shows it."""

from harness import Home, pairs, program, size
from rows import Row, beside, chart

PERCENTILES = ("p50", "p95", "p99", "p99.9")


def latency(runs):
    with Home() as daemon:
        port = daemon.address().rsplit(":", 1)[1]
        bare, applied = pairs(runs, lambda: program("delay", "echo", size["waits"]),
                              lambda: program("delay", daemon.socket, size["waits"]))
        scraped = [program("delay", daemon.socket, size["scrapes"], port) for _ in range(runs)]
    of = lambda side, key: [done[key] for done in side]
    for key in PERCENTILES:
        yield beside(f"write to applied, {key}", "us", of(applied, key), "bare echo",
                     of(bare, key))
    for key in PERCENTILES[:3]:
        yield Row(f"write to scraped, {key}", "us", of(scraped, key))
    yield beside("write to applied, p99 of the worst tenth to the median one's", "times",
                 of(applied, "stability"), "bare echo", of(bare, "stability"))
    lines = {name: [(i + 1, of(side, key)) for i, key in enumerate(PERCENTILES)]
             for name, side in (("write to applied", applied), ("bare echo", bare),
                                ("write to scraped", scraped))}
    chart("Latency", "us", "percentile", lines, PERCENTILES)
