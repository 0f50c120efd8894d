"""top: one frame, frames as JSON, and a live table on a terminal that it gives back."""

import fcntl
import json
import math
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from command import BINARY, OK, Follower, at, emit, environment, ok, run
from conftest import DEADLINE
from test_wrapper_daemon import Wrapped, ended, spans

DURATION = "mcp.server.operation.duration"


def conversation(daemon, calls=10, failed=2):
    tool = "mcp.method.name=tools/call gen_ai.tool.name=echo"
    lines = [f"histogram {DURATION} 0.03 --unit s {tool}"] * (calls - failed)
    lines += [f"histogram {DURATION} 4 --unit s {tool} error.type=tool_error"] * failed
    lines += [f"histogram {DURATION} 0.3 --unit s mcp.method.name=tools/list"]
    emit(daemon, "-", "--service", "everything", stdin="\n".join(lines))
    emit(daemon, "counter", "llm.tokens", 1234, "model=m", "--service", "app")
    emit(daemon, "histogram", "queue.length", 7, "--buckets", "5,10", "--service", "app")


def frame(daemon, *arguments):
    return json.loads(ok("top", "--once", "--json", *arguments, *at(daemon)))


def test_one_frame(daemon):
    conversation(daemon)
    f = frame(daemon)
    assert f["running"] and f["interval_seconds"] is None
    server, = f["servers"]
    assert (server["service"], server["calls"], server["errors"]) == ("everything", 11, 2)
    call, listing = sorted(f["operations"], key=lambda o: o["method"])
    assert (call["method"], call["target"], call["side"]) == ("tools/call", "echo", "server")
    assert (call["calls"], call["errors"], call["failed_ratio"]) == (10, 2, 0.2)
    assert 0.02 < call["p50"] <= 0.05 and 2 < call["p99"] <= 5
    assert call["rate"] is None
    assert listing["method"] == "tools/list" and "target" not in listing
    assert {c["metric"]: (c["labels"], c["value"]) for c in f["counters"]} == {
        "llm_tokens": ('model="m"', 1234)}
    assert [h["metric"] for h in f["histograms"]] == ["queue_length"]
    text = ok("top", "--once", *at(daemon))
    assert re.search(r"^everything +tools/call echo +10 +- +20\.0 ", text, re.M)
    assert re.search(r'^app +llm_tokens\{model="m"\} +1234 ', text, re.M)
    assert "\x1b" not in text
    daemon.check_accounting()


def test_quantiles_are_those_of_the_spans(daemon):
    client = Wrapped(daemon)
    client.initialize()
    for _ in range(30):
        client.call("echo")
    withdrawn = client.request("tools/call", name="silent")
    client.send(method="notifications/cancelled", params={"requestId": withdrawn})
    client.end()
    ended(daemon)
    lasted = sorted(s["duration_seconds"] for s in spans(daemon).values()
                    if s["name"] == "tools/call echo")
    assert len(lasted) == 30
    f = frame(daemon)
    of = {o.get("target", o["method"]): o for o in f["operations"]}
    echo, silent, (server,) = of["echo"], of["silent"], f["servers"]
    assert [echo[q] for q in ("p50", "p95", "p99")] == [
        lasted[math.ceil(q * 30) - 1] for q in (0.5, 0.95, 0.99)]
    assert [o["quantiles"] for o in (echo, silent, server)] == ["spans"] * 3
    assert (silent["calls"], silent["errors"], silent["cancelled"]) == (1, 0, 1)
    assert (server["errors"], server["cancelled"], server["failed_ratio"]) == (0, 1, 0)
    text = ok("top", "--once", *at(daemon))
    assert re.search(r"^srv +tools/call echo +30 +- +0\.0 +[^~ ]", text, re.M)
    daemon.kill()
    assert frame(daemon)["operations"] == f["operations"]


def test_quantiles_without_spans_are_of_the_buckets(daemon):
    conversation(daemon)
    assert {o["quantiles"] for o in frame(daemon)["operations"]} == {"buckets"}
    assert re.search(r"tools/call echo .* ~\d", ok("top", "--once", *at(daemon)))


def test_names_are_not_cut_without_need(daemon):
    name = "a-server-with-a-long-name"
    emit(daemon, "histogram", DURATION, 0.03, "--unit", "s", "mcp.method.name=tools/call",
         "gen_ai.tool.name=get-structured-content", "--service", name)
    whole = re.compile(rf"^{name} tools/call get-structured-content ", re.M)
    assert whole.search(ok("top", "--once", *at(daemon)))
    assert not whole.search(ok("top", "--once", *at(daemon), env={"COLUMNS": "70"}))
    lines = ok("top", "--once", *at(daemon), env={"COLUMNS": "70"}).split("\n")
    assert max(map(len, lines)) <= 70


def test_own_metrics_only_when_asked(daemon):
    assert frame(daemon)["counters"] == []
    every = frame(daemon, "--all")["counters"]
    assert "mcptally_connections_accepted" in {c["metric"] for c in every}


def test_of_a_daemon_that_is_gone(daemon):
    conversation(daemon)
    before = frame(daemon)
    daemon.kill()
    after = frame(daemon)
    assert not after["running"]
    assert after["operations"] == before["operations"]
    assert "no daemon is running" in ok("top", "--once", *at(daemon))


def test_rates_between_frames(daemon):
    conversation(daemon)
    with Follower("top", "--json", "--interval", "0.2", *at(daemon)) as top:
        first = top.object()
        assert all(o["rate"] is None for o in first["operations"])
        conversation(daemon, calls=5, failed=5)
        growth = 0.0
        while growth < 5.5:  # each new call is in the rate of exactly one frame
            f = top.object()
            growth += f["servers"][0]["rate"] * f["interval_seconds"]
        assert round(growth) == 6
        assert f["servers"][0]["calls"] == 17


class Terminal:
    """A terminal of our own with a program in it."""

    def __init__(self, *arguments, columns=100, lines=30, **env):
        self.leader, follower = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(follower)
        self.follower = follower
        self.process = subprocess.Popen([BINARY, *map(str, arguments)], stdin=follower,
                                        stdout=follower, stderr=follower, start_new_session=True,
                                        env=environment(TERM="xterm", **env))
        self.seen = ""

    def resize(self, columns, lines):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        if select.select([self.leader], [], [], 0.05)[0]:
            self.seen += os.read(self.leader, 65536).decode(errors="replace")

    def wait(self, what):
        """Reads until it shows `what`; returns and forgets what came up to there."""
        end = time.monotonic() + DEADLINE
        while not (found := re.search(what, self.seen)):
            assert time.monotonic() < end, f"no {what!r} in {self.seen[-2000:]!r}"
            self.read()
        shown, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return shown

    def key(self, key):
        os.write(self.leader, key.encode())

    def end(self):
        """The program ends; the terminal must be as it was."""
        status = None
        deadline = time.monotonic() + DEADLINE
        while status is None:
            assert time.monotonic() < deadline, "it does not end"
            self.read()
            status = self.process.poll()
        self.read()
        assert self.seen.endswith("\x1b[?25h\x1b[?1049l"), self.seen[-200:]
        assert termios.tcgetattr(self.follower) == self.modes
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal():
    made = []

    def make(*arguments, **more):
        made.append(Terminal(*arguments, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_live(daemon, terminal):
    conversation(daemon)
    t = terminal("top", "--interval", "0.2", *at(daemon))
    assert "\x1b[?1049h\x1b[?25l" in t.wait("tools/call echo")
    conversation(daemon)
    t.wait(r"tools/call echo +20 ")
    t.key("s")
    t.wait("by calls")
    t.key("q")
    assert t.end() == OK
    daemon.check_accounting()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(daemon, terminal, number):
    t = terminal("top", *at(daemon))
    t.wait("received")
    t.process.send_signal(number)
    assert t.end() == OK


def test_stop_and_continue(daemon, terminal):
    t = terminal("top", "--interval", "0.2", *at(daemon))
    t.wait("received")
    t.process.send_signal(signal.SIGTSTP)
    t.wait(re.escape("\x1b[?25h\x1b[?1049l"))
    os.waitid(os.P_PID, t.process.pid, os.WSTOPPED | os.WNOWAIT)
    assert termios.tcgetattr(t.follower) == t.modes
    t.process.send_signal(signal.SIGCONT)
    t.wait(re.escape("\x1b[?1049h"))
    t.key("q")
    assert t.end() == OK


def lines_of(text):
    """The longest line of a frame, its colours left out."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return max(len(line) for line in plain.replace("\r", "").split("\n"))


def test_fits_any_window(daemon, terminal):
    conversation(daemon)
    t = terminal("top", "--interval", "0.2", *at(daemon), columns=60, lines=12)
    t.wait(re.escape("\x1b[J"))
    assert lines_of(t.wait(re.escape("\x1b[J"))) <= 60
    t.resize(30, 6)
    os.kill(t.process.pid, signal.SIGWINCH)
    t.wait(re.escape("\x1b[J"))
    t.wait(re.escape("\x1b[J"))
    frame_ = t.wait(re.escape("\x1b[J"))
    assert lines_of(frame_) <= 30 and frame_.count("\n") < 6
    t.key("q")
    assert t.end() == OK


def test_colour_can_be_refused(daemon, terminal):
    conversation(daemon)
    t = terminal("top", *at(daemon), NO_COLOR="1")
    assert "\x1b[31m" not in t.wait("llm_tokens")
    t.key("q")
    assert t.end() == OK


def test_the_store_goes_away(daemon, terminal):
    t = terminal("top", "--interval", "0.2", *at(daemon))
    t.wait("daemon")
    daemon.kill()
    t.wait("no daemon is running")
    daemon.start()
    t.wait(rf"daemon {daemon.pid}")
    t.key("q")
    assert t.end() == OK


def test_without_a_terminal_it_prints_one_frame(daemon):
    assert run("top", *at(daemon)).returncode == OK
