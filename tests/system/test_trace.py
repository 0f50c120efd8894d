"""trace: a trace as a tree, from a running daemon's store and from a dead one's."""

import json

import pytest

from command import FAILURE, OK, USAGE, at, emit, ok, run

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
    assert lines[0].startswith(f"trace {TRACE}: 3 spans, 2.0")
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
