"""From stock SDKs through mcptallyd to the Collector: what goes in comes out equal."""

import collections
import json
import math
import pathlib
import signal
import sys
import tempfile
import threading
import time

from peers import SIGNALS, Collector, Daemon, Failure, Recorder, check, oracle, serve, wait_for

SERVICES = [("node", "grpc"), ("node", "http/protobuf"), ("node", "http/json"),
            ("python", "grpc"), ("python", "http/protobuf")]
TRACES = 200
RATE, MANY = 0.25, 4000
PATIENCE = 30  # seconds for what was sent to arrive
SIGMAS = 4.5  # one run in 150,000 would fail by chance


def forwarding(collector, protocol, **more):
    """A configuration that sends on to the Collector."""
    endpoint = collector.grpc if protocol == "grpc" else collector.http
    destination = {"name": "collector", "protocol": protocol, "endpoint": f"http://{endpoint}",
                   "compression": "gzip" if protocol == "grpc" else "none"}
    return {"export": {"destinations": [destination]}, **more}


class Stage:
    """A recorder, a daemon and a Collector in a row."""

    def __init__(self, home, protocol, **config):
        home.mkdir()
        self.home = home
        self.collector = Collector(home / "collector")
        self.daemon = Daemon(home / "daemon", forwarding(self.collector, protocol, **config))
        self.recorder = Recorder(self.daemon.grpc, self.daemon.http, home / "record")

    def sent(self):
        self.recorder.record.flush()
        return oracle(line.rstrip("\n") for line in open(self.home / "record"))

    def arrived(self):
        return oracle(self.collector.requests())

    def close(self):
        self.recorder.close()
        self.daemon.end()
        self.collector.end()


def same(home, kind, protocol, onward):
    """Every item that one service sent arrives, equal in every field, and nothing else."""
    stage = Stage(home, onward, sampling={"enabled": False})
    try:
        serve(kind, protocol, stage.recorder, TRACES)
        sent = stage.sent()
        end = time.monotonic() + PATIENCE
        while len(stage.arrived()) < len(sent) and time.monotonic() < end:
            time.sleep(0.2)
        compare(sent, stage.arrived())
        kinds = collections.Counter(json.loads(line)["signal"] for line in sent)
        check(all(kinds[s] > 0 for s in SIGNALS), f"a signal is missing: {kinds}")
        return ", ".join(f"{kinds[s]} {s}" for s in SIGNALS)
    finally:
        stage.close()


def compare(sent, arrived):
    lost = collections.Counter(sent) - collections.Counter(arrived)
    extra = collections.Counter(arrived) - collections.Counter(sent)
    if lost or extra:
        show = [f"{word} {sum(items.values())}: {next(iter(items))[:1500]}"
                for word, items in (("lost", lost), ("new", extra)) if items]
        raise Failure("; ".join(show))


def sampled(home, kind, protocol):
    """Kept traces are whole, failed ones are all kept, the share of the others is the rate."""
    stage = Stage(home, "grpc", sampling={"enabled": True, "normal": RATE, "window": "1s",
                                          "slow": 0, "spans_per_second": 0})
    try:
        serve(kind, protocol, stage.recorder, MANY)
        sent = traces_of(stage.sent())
        failed = {t for t, spans in sent.items() if any(has_failed(s) for s in spans)}
        check(len(sent) == MANY and len(failed) == MANY // 10, "the service sent something else")
        before, kept = -1, {}
        while len(kept) != before:  # until nothing more comes for longer than the window
            before = len(kept)
            time.sleep(3)
            kept = traces_of(stage.arrived())
        torn = [t for t, spans in kept.items() if len(spans) != len(sent[t])]
        check(not torn, f"{len(torn)} traces are not whole")
        check(failed <= kept.keys(), f"{len(failed - kept.keys())} failed traces are missing")
        others, share = MANY - len(failed), len(kept.keys() - failed)
        bound = SIGMAS * math.sqrt(others * RATE * (1 - RATE))
        check(abs(share - others * RATE) <= bound,
              f"{share} of {others} are kept; expected {others * RATE:.0f} ± {bound:.0f}")
        return f"{share} of {others} kept (rate {RATE}), and all {len(failed)} that failed"
    finally:
        stage.close()


def away(home, how, protocol):
    """The Collector goes in the middle and comes back: everything arrives, at least once."""
    stage = Stage(home, protocol, sampling={"enabled": False})
    try:
        sender = threading.Thread(target=serve, args=("node", "grpc", stage.recorder, TRACES * 10))
        sender.start()
        wait_for(lambda: "mcptally_export" in stage.daemon.page(), "an export")
        if how == "stopped":
            stage.collector.process.send_signal(signal.SIGSTOP)
        else:
            stage.collector.end(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        sender.join()
        serve("python", "grpc", stage.recorder, TRACES)
        if how == "stopped":
            stage.collector.process.send_signal(signal.SIGCONT)
        else:
            if how == "daemon too":
                stage.daemon.end(signal.SIGKILL)
                stage.daemon.start()
            stage.collector.start()
        sent = set(stage.sent())
        wait_for(lambda: sent <= set(stage.arrived()), "all that was sent", 120)
        arrived = stage.arrived()
        check(set(arrived) == sent, "something arrived that was not sent")
        return f"{len(sent)} items, {len(arrived) - len(sent)} of them twice"
    finally:
        stage.close()


def traces_of(lines):
    found = collections.defaultdict(list)
    for item in map(json.loads, lines):
        if item["signal"] == "traces":
            found[item["item"]["traceId"]].append(item["item"])
    return found


def has_failed(span):
    return span.get("status", {}).get("code") == 2


def cases():
    for onward in ("grpc", "http/protobuf"):
        for kind, protocol in SERVICES:
            yield (f"{kind}, {protocol}, on by {onward}", same, kind, protocol, onward)
    for how in ("killed", "stopped", "restarted", "daemon too"):
        yield (f"Collector {how}, grpc", away, how, "grpc")
    yield ("Collector killed, http/protobuf", away, "killed", "http/protobuf")
    yield ("sampled, node, grpc", sampled, "node", "grpc")
    yield ("sampled, python, http/protobuf", sampled, "python", "http/protobuf")


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="mcptally-otlp-", dir="/dev/shm") as name:
        for n, (title, test, *arguments) in enumerate(cases()):
            began = time.monotonic()
            try:
                said = test(pathlib.Path(name) / str(n), *arguments)
                passed += 1
                print(f"ok     {title}: {said} ({time.monotonic() - began:.1f} s)")
            except Failure as failure:
                failed += 1
                print(f"FAILED {title}: {failure}")
            sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
