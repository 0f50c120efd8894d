"""/metrics of a real daemon: both formats, negotiation, refusals, and what man/ says of it."""

import gzip
import math
import re
import socket
import struct
import time

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text

import wire
from conftest import ROOT, DEADLINE, until

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
NASTY = 'a"b\\c\nd,e={f} \u00fc'


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def define(number, name, kind, value=2, join=0, flags=0, bounds=(), unit="", help_text=""):
    return wire.frame(wire.METRIC, struct.pack("<IBBBBHH", number, kind, value, join, flags,
                                               len(bounds), 0)
                      + struct.pack(f"<{len(bounds)}d", *bounds)
                      + wire.text(name) + wire.text(unit) + wire.text(help_text))


def populate(daemon):
    """One producer that uses every kind of metric, and labels that hurt."""
    p = wire.Producer(daemon.socket)
    p.greet(service="test")
    p.send(define(1, "calls", wire.COUNTER, value=1, help_text='Say "x\\y"\nand z.'))
    p.send(define(2, "queue.age", wire.GAUGE, unit="s"))
    p.send(define(3, "latency", wire.HISTOGRAM, unit="s", bounds=(0.005, 1, 2.5, 1e6)))
    p.send(define(4, "wait", wire.SUMMARY, unit="s"))
    p.send(define(5, "temperature", wire.HISTOGRAM, bounds=(-10, 0, 10)))
    p.send(define(6, "spread", wire.HISTOGRAM, bounds=(1, 10), flags=1))
    p.send(define(7, "busy", wire.GAUGE, value=1, join=1))
    p.send(wire.series(1, 1, tool=NASTY, **{"mcp.method.name": "tools/call"}))
    p.send(wire.series(2, 2, **{"le": "0.1", "quantile": "0.5", "_.name__": "evil"}))
    p.send(wire.series(3, 3, **{"le": "0.1"}))
    p.send(wire.series(4, 4, **{"quantile": "0.5"}))
    p.send(wire.series(5, 5))
    p.send(wire.series(6, 6))
    p.send(wire.series(7, 7))
    p.count((1, 2**63 + 1), (2, bits(-0.25)), (5, bits(-3.0)), (6, bits(4.0)), (7, 3))
    p.count(*((3, bits(v)) for v in (0.001, 0.005, 0.75, 7.0, 1e9)))
    p.count(*((4, bits(float(v))) for v in range(1, 101)))
    p.wait_ack()
    return p


def samples(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for f in families for s in f.samples}


def own_of(found):
    return {k: v for k, v in found.items() if k[0].startswith(("mcptally_", "process_"))}


def test_both_formats_say_the_same(daemon):
    producer = populate(daemon)
    plain = daemon.get("/metrics")
    opened = daemon.get("/metrics", headers=OPENMETRICS)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert opened.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8")
    a = samples(text.text_string_to_metric_families(plain.text))
    b = samples(openmetrics.text_string_to_metric_families(opened.text))
    service = ("service_name", "test")
    key = ("calls_total", (("mcp_method_name", "tools/call"), service, ("tool", NASTY)))
    assert a[key] == float(b[key]) == float(2**63 + 1)
    assert f" {2**63 + 1}\n" in plain.text  # whole numbers are shown whole
    created = [k for k in b if k[0].endswith("_created")]
    assert created and all(abs(b[k] - time.time()) < 3600 for k in created)
    # OpenMetrics has no sum over negative buckets; the daemon's own figures move.
    only_text = {("temperature_sum", (service,)), ("temperature_count", (service,))}
    mine_a = {k: v for k, v in a.items() if k not in own_of(a) and k not in only_text}
    mine_b = {k: v for k, v in b.items() if k not in own_of(b) and k not in created}
    assert mine_a.keys() == mine_b.keys()
    assert all(v == float(mine_b[k]) or math.isnan(v) for k, v in mine_a.items())
    assert a[("busy", (service,))] == 3
    assert a[("queue_age_seconds", (("_name__", "evil"), ("exported_le", "0.1"),
                                    ("exported_quantile", "0.5"), service))] == -0.25
    assert abs(a[("wait_seconds", (("exported_quantile", "0.5"), ("quantile", "0.99"),
                                   service))] / 99 - 1) < 0.011
    assert ("spread_quantile", (("quantile", "0.5"), service)) in a
    producer.close()
    daemon.check_accounting()


def test_histogram_buckets_are_cumulative(daemon):
    populate(daemon).close()
    found = daemon.metrics()
    labels = (("exported_le", "0.1"), ("service_name", "test"))
    buckets = [found[("latency_seconds_bucket", tuple(sorted(labels + (("le", le),))))]
               for le in ("0.005", "1.0", "2.5", "1e+06", "+Inf")]
    assert buckets == [2, 3, 3, 4, 5]
    assert found[("latency_seconds_count", labels)] == 5
    daemon.check_accounting()


def test_the_order_is_stable(daemon):
    producer = populate(daemon)

    def lines():
        return [line.rsplit(" ", 1)[0] for line in daemon.get("/metrics").text.splitlines()]
    assert lines() == lines()
    producer.close()


def test_ledgers_balance_on_one_page(daemon):
    producer = populate(daemon)
    producer.send(wire.updates(producer.next, (99, 1)))
    assert producer.rejected() == 6  # unknown_id
    found = daemon.metrics()

    def total(name):
        return sum(v for (n, _), v in found.items() if n == name)
    assert total("mcptally_items_received_total") == total("mcptally_items_applied_total") + 1
    assert total("mcptally_items_dropped_total") == 1
    read = total("mcptally_ring_records_read_total")
    assert total("mcptally_ring_records_waiting") + read == sum(
        v for (n, l), v in found.items()
        if n == "mcptally_ring_records_appended_total" and ("ring", "events") in l)
    accounting = daemon.check_accounting()
    assert accounting["dropped"]["unknown_id"] == 1
    producer.close()


def test_head_and_gzip(daemon):
    head = daemon.get("/metrics", method="HEAD")
    assert head.status == 200 and head.body == b"" and int(head.headers["Content-Length"]) > 1000
    packed = daemon.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) == int(packed.headers["Content-Length"])
    assert "# TYPE mcptally_starts_total counter\n" in gzip.decompress(packed.body).decode()


def test_the_highest_q_decides(daemon):
    def kind(accept):
        return daemon.get("/metrics", headers={"Accept": accept}).headers["Content-Type"][:16]
    assert kind("application/openmetrics-text;q=0.3,text/plain;q=0.2") == "application/open"
    assert kind("application/openmetrics-text;q=0.3,text/plain;q=0.4") == "text/plain; vers"
    assert kind("application/vnd.google.protobuf, image/png") == "text/plain; vers"


def test_what_is_refused(daemon):
    assert daemon.get("/other").status == 404
    assert "/metrics" in daemon.get("/other").text
    refused = daemon.get("/metrics", method="POST")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"
    assert daemon.get("/").status == 200


def test_a_slow_head_is_cut_off(daemon):
    host, port = daemon.address().rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as slow:
        slow.settimeout(0.1)
        began = time.monotonic()
        for byte in b"GET /metrics HTTP/1.1\r\nX-Slow: " + b"a" * 300:
            try:
                slow.send(bytes([byte]))
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                assert time.monotonic() - began < DEADLINE
            except OSError:
                break
        else:
            raise AssertionError("the connection was kept")
    assert daemon.get("/metrics").status == 200


def test_silent_connections_do_not_keep_a_scraper_out(daemon):
    host, port = daemon.address().rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), timeout=DEADLINE) for _ in range(100)]
    assert daemon.get("/metrics").status == 200
    for s in silent:
        s.close()


def test_cache_ttl(new_daemon):
    daemon = new_daemon()
    daemon.options["metrics.cache_ttl"] = "1h"
    daemon.start()
    first = daemon.get("/metrics").text
    assert "mcptally_http_requests_total" in first
    assert daemon.get("/metrics").text == first


def test_a_taken_port_is_tried_again(new_daemon):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = new_daemon()
        daemon.options["listen.metrics"] = f"127.0.0.1:{port}"
        daemon.start()
        assert daemon.status()["listen"]["metrics"] is None
        health = daemon.get("/health", port="health")
        assert health.status == 200 and health.json()["status"] == "warn"
        assert "listen.metrics" in str(health.json()["checks"])
        assert "listen.metrics" in daemon.log() and "9464" in daemon.log()
    until(lambda: daemon.status()["listen"]["metrics"], "the port to be had")
    assert daemon.get("/metrics").status == 200
    until(lambda: daemon.get("/health", port="health").json()["status"] == "pass", "the verdict")


def page_of(path):
    """{name: (type, [label keys])} of the list METRICS OF THE DAEMON in the manual page."""
    section = path.read_text().split(".Sh METRICS OF THE DAEMON")[1].split(".Sh ")[0]
    rows = re.findall(r"^\.It Cm (\S+) Em (\S+)(?: Va (.*))?$", section, re.M)
    assert len(rows) == len(re.findall(r"^\.It .* Em ", section, re.M))
    return {name: (kind, labels.split()) for name, kind, labels in rows}


def test_the_manual_names_every_metric(new_daemon, tmp_path):
    """The page, against a daemon that has a producer, a check and an action, by name, type and
    labels."""
    daemon = new_daemon()
    daemon.config = tmp_path / "config.yaml"
    daemon.config.write_text("""
checks: [{name: here, kind: process, pid_file: /nowhere}]
recovery: {actions: [{name: none, on: here, reset_domain: 0}]}
""")
    daemon.start()
    producer = wire.Producer(daemon.socket)
    producer.greet(service="test")
    until(lambda: ("mcptally_observed_processes", ()) in daemon.metrics()
          and daemon.metrics()["mcptally_observed_processes", ()] == 1, "our own process")
    documented = page_of(ROOT / "man" / "mcptally-metrics.7")
    shown = {}
    for family in text.text_string_to_metric_families(daemon.get("/metrics").text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {key for s in family.samples for key in s.labels} - {"le"}
        shown[name] = (family.type, sorted(labels))
    # Those of destinations are there when there are any.
    assert shown == {name: row for name, row in documented.items() if "destination" not in row[1]}


def test_counters_go_on_and_created_stays(daemon):
    producer = populate(daemon)
    before = samples(openmetrics.text_string_to_metric_families(
        daemon.get("/metrics", headers=OPENMETRICS).text))
    producer.close()
    daemon.kill()
    daemon.start()
    after = samples(openmetrics.text_string_to_metric_families(
        daemon.get("/metrics", headers=OPENMETRICS).text))
    mine = [k for k in before if k[0].startswith(("calls", "latency"))]
    assert mine and all(before[k] == after[k] for k in mine)
    starts = ("mcptally_starts_total", ())
    assert after[starts] == before[starts] + 1
    daemon.check_accounting()
