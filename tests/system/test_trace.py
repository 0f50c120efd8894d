"""trace: a trace as a tree, from a running daemon's store and from a dead one's."""

import json
import re

import pytest

from command import FAILURE, OK, USAGE, at, emit, ok, run
from otlp import post

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(daemon, name, duration, parent, *more):
    """Emits a span below `parent`; returns its id."""
    emit(daemon, "span", name, duration, "--parent", f"00-{TRACE}-{parent}-01", *more)
    newest = ok("tail", "--no-follow", "--json", "--spans", "-n", 1, *at(daemon))
    return json.loads(newest)["span_id"]


@pytest.fixture
def trace(daemon):
    """A parent that nobody saw, a child, two grandchildren, one of which failed."""
    child = span(daemon, "agent.run", "2s", "00f067aa0ba902b7", "--service", "front")
    span(daemon, "tools/call x", "500ms", child, "--service", "back", "size=3")
    span(daemon, "tools/call y", "20ms", child, "--service", "back", "--error", "timeout")
    emit(daemon, "span", "of another trace", "1s", "--service", "front")
    return child


def test_a_tree(daemon, trace):
    lines = ok("trace", TRACE, *at(daemon)).splitlines()
    took = re.match(rf"trace {TRACE}: 3 spans, ([0-9.]+) s from ", lines[0])
    assert float(took[1]) >= 2  # and as long as it took to say them
    assert lines[1].split() == ["BEGAN", "TOOK", "SELF", "SPAN"]
    assert lines[2].strip() == "(parent 00f067aa0ba902b7 not seen)"
    shown = [line[30:] for line in lines[3:]]
    assert shown[0] == "  agent.run  front"
    assert sorted(shown[1:]) == ["    tools/call x  back", "    tools/call y  back ERROR"]
    assert lines[3][10:20].strip() == "2.00 s"
    daemon.check_accounting()


def test_for_programs(daemon, trace):
    tree = json.loads(ok("trace", "--json", TRACE, *at(daemon)))
    assert tree["trace_id"] == TRACE and tree["records"] == []
    assert [s["depth"] for s in tree["spans"]] == [0, 1, 1]
    assert [s["parent_seen"] for s in tree["spans"]] == [False, True, True]
    top, *below = tree["spans"]
    assert top["span_id"] == trace and top["duration_seconds"] == 2
    assert 1.4 < top["self_seconds"] <= 2 and top["service"] == "front"
    assert {s["name"]: s["status"] for s in below} == {"tools/call x": "unset",
                                                       "tools/call y": "error"}
    assert all(s["self_seconds"] == s["duration_seconds"] for s in below)


def test_when_no_daemon_runs(daemon, trace):
    before = ok("trace", TRACE, *at(daemon))
    daemon.kill()
    assert ok("trace", TRACE, *at(daemon)) == before


def test_first_digits_do(daemon, trace):
    assert ok("trace", TRACE[:8].upper(), *at(daemon)) == ok("trace", TRACE, *at(daemon))
    emit(daemon, "span", "s", "1s", "--parent", f"00-{TRACE[:20]}{12 * '0'}-00f067aa0ba902b7-01")
    done = run("trace", TRACE[:8], *at(daemon))
    assert done.returncode == FAILURE and "several traces" in done.stderr
    assert run("trace", TRACE, *at(daemon)).returncode == OK


def test_what_is_not_there(daemon):
    done = run("trace", TRACE, *at(daemon))
    assert (done.returncode, done.stdout) == (FAILURE, "")
    assert f"nothing of trace {TRACE}" in done.stderr
    for words in ([], ["x"], [TRACE, TRACE], [TRACE + "0"]):
        assert run("trace", *words, *at(daemon)).returncode == USAGE


def otlp_span(identity, parent, name, start, end, **more):
    return {"traceId": TRACE, "spanId": identity * 8, "parentSpanId": parent * 8, "name": name,
            "kind": 2, "startTimeUnixNano": str(10**18 + start), "endTimeUnixNano":
            str(10**18 + end), **more}


def send(daemon, signal, level, scope, items, service="node"):
    """Items as OTLP/JSON, of one service."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    body = {level: [{"resource": resource, scope: [items]}]}
    assert post(daemon, signal, body).status == 200


def test_what_came_by_otlp(daemon):
    """Spans and log records of OpenTelemetry stand in the tree as our own do."""
    text = lambda key, value: {"key": key, "value": {"stringValue": value}}
    send(daemon, "traces", "resourceSpans", "scopeSpans", {"spans": [
        otlp_span("02", "01", "query", 10**8, 4 * 10**8, attributes=[text("db.system", "x")],
                  status={"code": 2, "message": "no such table"}),
        otlp_span("01", "", "handle", 0, 10**9, events=[
            {"timeUnixNano": str(10**18 + 5 * 10**8), "name": "retried",
             "attributes": [{"key": "try", "value": {"intValue": "2"}}]}]),
    ]})
    send(daemon, "logs", "resourceLogs", "scopeLogs", {"logRecords": [
        {"traceId": TRACE, "spanId": "02" * 8, "timeUnixNano": str(10**18 + 2 * 10**8),
         "severityNumber": 13, "body": {"kvlistValue": {"values": [text("what", "slow")]}}}]})
    lines = ok("trace", TRACE, *at(daemon)).splitlines()
    assert lines[0] == f"trace {TRACE}: 2 spans, 1.00 s from 2001-09-09T01:46:40.000Z"
    assert [(line[:30].split(), line[30:]) for line in lines[2:]] == [
        (["0", "ns", "1.00", "s", "700", "ms"], "handle  node"),
        (["500", "ms"], "  - retried try=2"),
        (["100", "ms", "300", "ms", "300", "ms"], '  query  node ERROR "no such table"'),
        (["200", "ms"], '    - warn {"what":"slow"}'),
    ]
    tree = json.loads(ok("trace", "--json", TRACE[:5], *at(daemon)))
    assert [s["span_id"][:2] for s in tree["spans"]] == ["01", "02"]
    assert tree["records"][0]["body"] == '{"what":"slow"}'
    slow = ok("tail", "--no-follow", "--json", "--spans", "--slow", "500ms", *at(daemon))
    assert [json.loads(line)["name"] for line in slow.splitlines()] == ["handle"]
    daemon.check_accounting()
