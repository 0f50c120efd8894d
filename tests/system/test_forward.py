"""What leaves: destinations, their spools, and what becomes of items when either is away."""

import json
import os
import re
import signal

import otlp
import pytest

from collector import Answer, GrpcCollector, HttpCollector
from command import emit
from conftest import until
from destinations import (check_ledger, check_of, destination, endpoint, helpers, lane, log_bodies,
                          protocol, say, set_destinations)


@pytest.fixture(params=[GrpcCollector, HttpCollector], ids=["grpc", "http"])
def collector(request):
    one = request.param()
    yield one
    one.stop()


def test_what_comes_goes_on(new_daemon, collector):
    daemon = set_destinations(new_daemon(), destination(collector, concurrent=1)).start()
    say(daemon, 1, 2, 3)
    emit(daemon, "span", "tools/call x", "2s", "--service", "one")
    until(lambda: len(log_bodies(collector)) == 3, "three lines")
    assert log_bodies(collector) == ["line 1", "line 2", "line 3"]
    until(lambda: any(r.signal == "traces" for r in collector.requests), "a span")
    until(lambda: lane(daemon)["items"]["delivered"] == 3, "the ledger")
    check_ledger(daemon)
    assert daemon.stop() == 0


def test_away_and_back(new_daemon, collector):
    """While nobody is there the spool keeps it, over a kill and a stop; then it comes in order."""
    port = collector.port
    collector.stop()
    daemon = set_destinations(new_daemon(), destination(collector, concurrent=1)).start()
    say(daemon, 1, 2)
    until(lambda: lane(daemon)["spool"]["items"] == 2, "the spool")
    until(lambda: "spool" in check_of(daemon)["message"], "the check")
    assert check_of(daemon)["status"] == "warn"
    assert daemon.get("/health/live", "health").status == 200
    assert daemon.get("/health/ready", "health").status == 200
    daemon.kill()
    daemon.start()
    say(daemon, 3)
    assert daemon.stop() == 0
    daemon.start()
    until(lambda: lane(daemon)["spool"]["items"] == 3, "what was in memory")
    again = type(collector)(port)
    try:
        until(lambda: len(set(log_bodies(again))) == 3, "all lines")
        assert log_bodies(again) == ["line 1", "line 2", "line 3"]
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)
        assert lane(daemon)["error"] is None
    finally:
        again.stop()


def test_refused_is_not_sent_again(new_daemon, collector):
    """What is refused for good is counted and gone; a partial success counts what it leaves out."""
    daemon = set_destinations(new_daemon(), destination(collector)).start()
    collector.usual = Answer(code=3, status=400, text="no")
    say(daemon, 1)
    until(lambda: lane(daemon)["items"]["refused"] == 1, "a refusal")
    collector.usual = Answer(rejected=1, text="not this one")
    say(daemon, 2)
    until(lambda: lane(daemon)["items"]["rejected"] == 1, "a rejection")
    collector.usual = Answer()
    say(daemon, 3)
    until(lambda: lane(daemon)["items"]["delivered"] == 1, "the third")
    assert log_bodies(collector) == ["line 1", "line 2", "line 3"]
    assert daemon.log().count("refused for good") == 1
    check_ledger(daemon)


def test_tried_again(new_daemon, collector):
    """What may be sent again is, until it is taken."""
    collector.answers.extend([Answer(code=14, status=503, text="later"),
                              Answer(code=8, status=429, retry=0.1)])
    daemon = set_destinations(new_daemon(), destination(collector, spool=False)).start()
    say(daemon, 1)
    until(lambda: lane(daemon)["items"]["delivered"] == 1, "the line")
    assert log_bodies(collector) == ["line 1"] * 3
    assert lane(daemon)["retries"] == 2
    check_ledger(daemon)


def test_kills_while_it_is_away(new_daemon, collector):
    """Whatever was acknowledged to a producer arrives, in order for the first time."""
    port = collector.port
    collector.stop()
    daemon = set_destinations(new_daemon(), destination(collector, concurrent=1)).start()
    for number in range(1, 13):
        say(daemon, number)
        if number % 3 == 0:
            daemon.kill()
            daemon.start()
    again = type(collector)(port)
    try:
        until(lambda: len(set(log_bodies(again))) == 12, "all lines")
        first = list(dict.fromkeys(log_bodies(again)))
        assert first == [f"line {number}" for number in range(1, 13)]
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)
    finally:
        again.stop()


def test_reload(new_daemon, tmp_path, collector):
    """Destinations come, change and go at SIGHUP, and lose nothing on the way."""
    daemon = set_destinations(new_daemon())
    del daemon.options["export.destinations"]
    daemon.config = tmp_path / "reload.yaml"
    daemon.config.write_text("export: {destinations: []}\n")
    daemon.start()
    assert daemon.status()["export"] == []

    def put(*all_of_them):
        daemon.config.write_text(json.dumps({"export.destinations": all_of_them}))
        daemon.reload()

    put(destination(collector))
    say(daemon, 1)
    until(lambda: lane(daemon)["items"]["delivered"] == 1, "the first")
    put({**destination(collector), "endpoint": "http://127.0.0.1:1"})
    say(daemon, 2)
    until(lambda: lane(daemon)["spool"]["items"] == 1, "the spool")
    put(destination(collector, headers={"x-key": "one two"}),
        {**destination(collector), "name": "other"})
    until(lambda: len(log_bodies(collector)) == 2, "the second")
    assert collector.requests[-1].headers["x-key"] == "one two"
    say(daemon, 3)
    until(lambda: log_bodies(collector).count("line 3") == 2, "the third, twice")
    put({**destination(collector), "name": "other"})
    assert {one["destination"] for one in daemon.status()["export"]} == {"other"}
    assert "one two" not in daemon.log() + json.dumps(daemon.status())


@pytest.mark.parametrize("kind", ["cumulative", "delta"])
def test_push(new_daemon, collector, kind):
    """The whole store goes at an interval, as asked for."""
    daemon = set_destinations(new_daemon(), destination(collector))
    daemon.options.update({"export.metrics": kind, "export.metrics_interval": "1s"})
    daemon.start()
    emit(daemon, "counter", "pushed.things", "5", "--service", "shop")
    until(lambda: any(r.signal == "metrics" and b"pushed.things" in r.body
                      for r in collector.requests), "a push")
    until(lambda: lane(daemon, "metrics")["items"]["delivered"] > 0, "the ledger")
    assert daemon.stop() == 0


def points_of(collector):
    """The values of the metric `fed.things` that came, in order."""
    return [m for request in collector.requests if request.signal == "metrics"
            for m in re.findall(rb"fed\.things..(\d+);", request.body, re.DOTALL)]


def test_received_metrics_go_on(new_daemon, tmp_path, collector):
    """As they came, from the first moment on and over a reload; not when nobody wants them."""
    daemon = set_destinations(new_daemon())
    del daemon.options["export.destinations"]
    daemon.config = tmp_path / "reload.yaml"

    def put(**more):
        daemon.config.write_text(json.dumps(
            {"export.destinations": [destination(collector, **more)]}))

    def feed(number):
        metric = otlp.counter("fed.things", [otlp.point(number)], cumulative=True,
                              unit=f"{number};")
        assert otlp.post(daemon, "metrics", otlp.request(metric)).status == 200

    def appended():
        return daemon.metrics()["mcptally_ring_records_appended_total", (("ring", "points"),)]

    put()
    daemon.start()
    feed(1)
    until(lambda: points_of(collector) == [b"1"], "the first")
    daemon.kill()
    daemon.start()
    feed(2)
    until(lambda: points_of(collector)[-1:] == [b"2"], "the second")
    until(lambda: lane(daemon, "metrics")["items"]["delivered"] >= 2, "the ledger")
    check_ledger(daemon, "metrics", "points")
    before = appended()
    put(signals=["logs", "traces"])
    daemon.reload()
    feed(3)
    assert appended() == before
    put()
    daemon.reload()
    feed(4)
    until(lambda: points_of(collector)[-1:] == [b"4"], "the fourth")
    assert list(dict.fromkeys(points_of(collector))) == [b"1", b"2", b"4"]


def test_only_what_is_read_waits(new_daemon, tmp_path, collector):
    """A signal that a destination does not want, and one that is gone, count nowhere."""
    daemon = set_destinations(new_daemon())
    del daemon.options["export.destinations"]
    daemon.config = tmp_path / "reload.yaml"

    def put(*all_of_them):
        daemon.config.write_text(json.dumps({"export.destinations": all_of_them}))

    def rings():
        from_page = {dict(labels)["ring"] for (name, labels), value in daemon.metrics().items()
                     if name == "mcptally_ring_records_waiting"
                     and dict(labels)["consumer"] == "export/up"}
        shown = {c["ring"] for c in daemon.status()["consumers"] if c["consumer"] == "export/up"}
        assert shown == from_page
        return shown

    put(destination(collector))
    daemon.start()
    assert rings() == {"events", "spans", "points"}
    put(destination(collector, signals=["logs"]))
    daemon.reload()
    assert rings() == {"events"}
    emit(daemon, "span", "unwanted", "2s", "--service", "one")
    put()
    daemon.reload()
    assert rings() == set()
    say(daemon, 1)
    daemon.kill()
    put(destination(collector, signals=["logs", "traces"]))
    daemon.start()
    assert rings() == {"events", "spans"}
    say(daemon, 2)
    emit(daemon, "span", "wanted", "2s", "--service", "one")
    until(lambda: lane(daemon, "traces")["items"]["delivered"] == 1, "the span")
    until(lambda: log_bodies(collector) == ["line 2"], "the line")
    check_ledger(daemon, "traces", "spans")
    assert not any(b"unwanted" in r.body for r in collector.requests)


def test_pushed_histograms_have_exemplars(new_daemon, collector):
    """What spans are counted into names one of their traces."""
    daemon = set_destinations(new_daemon(), destination(collector, signals=["metrics"]))
    daemon.options.update({"export.metrics": "cumulative", "export.metrics_interval": "1s"})
    daemon.start()
    trace = bytes(range(0xa0, 0xb0))
    assert otlp.post(daemon, "traces", otlp.request(otlp.span(trace=trace))).status == 200
    until(lambda: any(trace in r.body for r in collector.requests), "an exemplar")


def test_environment(new_daemon, collector):
    """OTEL_* makes a destination; the configuration comes before it."""
    daemon = new_daemon()
    daemon.env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint(collector),
                  "OTEL_EXPORTER_OTLP_PROTOCOL": protocol(collector),
                  "OTEL_EXPORTER_OTLP_HEADERS": "x-key=s3cr3t"}
    daemon.options["export.batch_delay"] = "20ms"
    daemon.start()
    say(daemon, 1)
    until(lambda: log_bodies(collector) == ["line 1"], "a line")
    assert collector.requests[-1].headers["x-key"] == "s3cr3t"
    assert "s3cr3t" not in daemon.log() + json.dumps(daemon.status())
    assert daemon.stop() == 0
    daemon.options["export.destinations"] = "[]"
    daemon.start()
    assert daemon.status()["export"] == []


def test_helper_dies(new_daemon, collector):
    """The process that has the disk is killed: another one goes on with the spool."""
    port = collector.port
    collector.stop()
    daemon = set_destinations(new_daemon(), destination(collector)).start()
    say(daemon, 1)
    until(lambda: lane(daemon)["spool"]["items"] == 1, "the spool")
    for child in helpers(daemon.pid):
        os.kill(child, signal.SIGKILL)
    say(daemon, 2)
    until(lambda: lane(daemon)["spool"]["items"] == 2, "the spool again")
    again = type(collector)(port)
    try:
        until(lambda: len(set(log_bodies(again))) == 2, "both lines")
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)
    finally:
        again.stop()
