"""What a million spans over OTLP cost, beside the OpenTelemetry Collector."""

import json
import time
from statistics import median

import spans as span_load
from harness import BUILD, Home, private_bytes, version_of
from rows import Row

REQUESTS = 1_000  # of spans
SETTLE = 2        # seconds that what was kept has to go on, at least
SETTLE_MOST = 60  # the sink, which is not what is measured, may get little of the machine


def settle(daemon):
    """Until all that was kept is delivered, by the daemon's own ledger."""
    end = time.monotonic() + SETTLE_MOST
    time.sleep(SETTLE)
    while time.monotonic() < end:
        if not any(c["waiting"] for c in daemon.status()["consumers"]
                   if (c["consumer"], c["ring"]) == ("export/sink", "spans")):
            return
        time.sleep(0.2)


def spans_of_ours(port, metrics=False):
    """The figures of a run of ours, and how many spans it kept. Without metrics it does what
    the Collector does, and takes secrets out of what it keeps."""
    destination = [{"name": "sink", "protocol": "grpc", "endpoint": f"http://127.0.0.1:{port}"}]
    config = {"export": {"destinations": destination},
              "sampling": {"normal": span_load.RATE, "window": 0, "spans_per_second": 0},
              "spans": {"metrics": metrics},
              # Not the default of 64MiB: the ring of spans is part of it, and fills.
              "store": {"size": "8MiB"}}
    with Home(config) as daemon:
        done = span_load.load(int(daemon.address("otlp_grpc").rsplit(":", 1)[1]), daemon.pid,
                              REQUESTS, private_bytes, lambda: settle(daemon))
        return config, done, daemon.check_accounting()["applied"]


def spans_of_ours_with_metrics(port):
    return spans_of_ours(port, metrics=True)


def spans_of_the_collector(port):
    with span_load.Collector(port) as collector:
        done = span_load.load(collector.port, collector.pid, REQUESTS, private_bytes,
                              lambda: time.sleep(SETTLE))
        return collector.config, done, None


def span_run(measure):
    """One run: its figures, with the spans that the sink got and those that were to get there."""
    with span_load.Sink() as sink:
        config, done, kept = measure(sink.port)
    done.update(sent=sink.spans, lost=kept - sink.spans if kept is not None else 0,
                share=100 * sink.spans / done["spans"])
    return config, done


def spans(runs):
    """Received over gRPC, a tenth kept, sent on; the Collector beside us does the same."""
    ours, measured, theirs, configs = [], [], [], {}
    sides = [(BUILD / "mcptallyd", spans_of_ours_with_metrics, measured),
             (BUILD / "mcptallyd", spans_of_ours, ours)]
    if span_load.COLLECTOR.exists():
        sides.append((span_load.COLLECTOR, spans_of_the_collector, theirs))
    else:
        print("spans: no Collector to compare with; `make interop` builds it")
    for _ in range(runs):
        for path, measure, results in sides:
            configs[path], done = span_run(measure)
            results.append(done)
    for path, config in configs.items():
        print(f"{version_of(path)}: {json.dumps(config)}")
    beside = "Collector" if theirs else None
    for name, key, unit, scale, goal, text in (
            ("CPU time of a million spans", "cpu_per_million", "s", 1, 1 / 8, "at most 1/8"),
            ("private memory meanwhile", "bytes", "MiB", 2**20, 1 / 10, "at most 1/10"),
            ("spans received, 10% sent on", "per_second", "1/s", 1, None, ""),
            ("share that the sink got", "share", "%", 1, None, "")):
        mine, other = ([run[key] / scale for run in side] for side in (ours, theirs))
        ratio = median(mine) / median(other) if other else None
        yield Row(name, unit, mine, beside, other, ratio,
                  ratio <= goal if goal and ratio else None, text)
    mine, other = ([run["cpu_per_million"] for run in side] for side in (measured, theirs))
    yield Row("CPU time of a million spans, each in metrics too", "s", mine, beside, other,
              median(mine) / median(other) if other else None)
    lost = [run["lost"] for run in ours + measured]
    yield Row("spans kept that the sink did not get", "", lost, goal=max(lost) == 0, text="none")
