"""What a scrape costs."""

from harness import Home, program, size
from rows import beside, chart

SERIES = (10_000, 100_000)
# client_golang 1.14 rendering as many counters, ms.
CLIENT_GOLANG = {10_000: 33.0, 100_000: 518.0}


def scrape(runs):
    lines = {"mcptally": [], "memcpy of the page": []}
    for count in SERIES[:1] if size["less"] > 1 else SERIES:
        with Home(store__size="256MiB", series__per_domain="200000",
                  series__cardinality="200000") as daemon:
            program("series", daemon.socket, count)
            done = program("scrape", daemon.address().rsplit(":", 1)[1], runs)
        mine = [s * 1e3 for s in done["seconds"]]
        copy = [s * 1e3 for s in done["memcpy_seconds"]]
        name = f"/metrics with {count:,} series"
        lines["mcptally"].append((count, mine))
        lines["memcpy of the page"].append((count, copy))
        yield beside(name, "ms", mine, "memcpy of the page", copy,
                     30 if count == SERIES[0] else None)
        yield beside(f"{name}, as others render them", "ms", mine,
                     "client_golang, measured before", [CLIENT_GOLANG[count]], 0.1)
    chart("Time of a scrape", "ms", "series", lines)
