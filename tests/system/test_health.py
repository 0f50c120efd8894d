"""The health port of a real daemon: probes, components, readiness, the long form."""

import socket
import struct
import time

import pytest

import wire
from conftest import DEADLINE, until

PROBES = ("/health", "/health/live", "/health/ready", "/health/startup",
          "/livez", "/readyz", "/healthz")


STATES = ("unknown", "healthy", "degraded", "unhealthy")


def report(daemon, component, state, message=""):
    """One health report, acknowledged."""
    p = wire.Producer(daemon.socket)
    p.greet(service="test")
    item = (struct.pack("<Q16s8s", time.time_ns(), b"", b"") + wire.text("")
            + struct.pack("<B", STATES.index(state)) + wire.text(component)
            + wire.text(message) + struct.pack("<H", 0))
    p.send(wire.frame(wire.HEALTH, struct.pack("<QIII", p.next, 1, 0, len(item)) + item))
    p.next += 1
    p.wait_ack()
    p.close()


def probe(daemon, path="/health", method="GET"):
    return daemon.get(path, port="health", method=method)


def component(daemon, name):
    found = [c for c in probe(daemon, "/health/detailed").json()["components"]
             if c["name"] == name]
    return found[0] if found else None


@pytest.mark.parametrize("path", PROBES)
def test_probes_pass(daemon, path):
    answer = probe(daemon, path)
    assert answer.status == 200 and answer.json() == {"status": "pass"}
    head = probe(daemon, path, method="HEAD")
    assert head.status == 200 and head.body == b""
    assert int(head.headers["Content-Length"]) == len(answer.body)


def test_detailed_says_what_it_must(daemon):
    answer = probe(daemon, "/health/detailed")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/health+json"
    found = answer.json()
    assert found["status"] == "pass" and found["version"]
    assert all({"name", "status", "message"} == c.keys() for c in found["checks"])
    assert found["components"] == [] and found["domains"] == []
    assert found["sessions"] == {"connected": 0, "kept": 0, "services": []}
    memory = found["system"]["memory"]
    assert 0 < memory["used_bytes"] < memory["limit_bytes"]
    assert memory["ratio"] == pytest.approx(memory["used_bytes"] / memory["limit_bytes"])
    assert found["system"]["processes"] > 0 and found["system"]["uptime_seconds"] >= 0


def test_components_follow_reports(daemon):
    report(daemon, "database", "healthy")
    until(lambda: component(daemon, "database"), "the report to be read")
    report(daemon, "cache", "degraded", "half of it is cold")
    shown = until(lambda: component(daemon, "cache"), "the report to be read")
    assert shown["state"] == "degraded" and shown["message"] == "half of it is cold"
    assert shown["reports"] == 1 and shown["report_age_seconds"] < DEADLINE
    until(lambda: probe(daemon).json()["status"] == "warn", "the verdict")
    assert probe(daemon).status == 200
    assert probe(daemon, "/health/ready").status == 200
    daemon.check_accounting()


def test_readiness_waits_for_a_named_component(new_daemon):
    daemon = new_daemon()
    daemon.config = daemon.runtime.parent / "config.yaml"
    daemon.config.write_text("health:\n  readiness: [database]\n  failures: 1\n")
    daemon.start()
    until(lambda: probe(daemon, "/readyz").status == 503, "readiness to ask for it")
    assert "database" in probe(daemon, "/readyz").text
    assert probe(daemon, "/livez").status == 200
    report(daemon, "database", "healthy")
    until(lambda: probe(daemon, "/readyz").status == 200, "the component to be well")
    report(daemon, "database", "unhealthy", "no answer")
    until(lambda: probe(daemon, "/readyz").status == 503, "the component to fail")
    assert probe(daemon, "/livez").status == 200
    failing = probe(daemon)
    assert failing.status == 503 and failing.json()["status"] == "fail"
    daemon.check_accounting()


def test_what_is_refused(daemon):
    missing = probe(daemon, "/other")
    assert missing.status == 404 and "/health/ready" in missing.text
    assert probe(daemon, method="POST").status == 405
    assert probe(daemon, "/").status == 200


def test_a_full_metrics_port_does_not_touch_health(daemon):
    host, port = daemon.address("metrics").rsplit(":", 1)
    held = [socket.create_connection((host, int(port)), timeout=DEADLINE) for _ in range(200)]
    for s in held:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert probe(daemon, "/livez").status == 200
    for s in held:
        s.close()
