"""tail: what it shows, what it leaves out, and that it follows across restarts."""

import json
import os
import signal
import subprocess

import otlp
from command import BINARY, OK, Follower, at, emit, environment, ok
from conftest import DEADLINE


def bodies(daemon, *arguments):
    text = ok("tail", "--no-follow", "--json", *arguments, *at(daemon))
    return [json.loads(line).get("body") for line in text.splitlines()]


def test_the_last_ones_in_order(daemon):
    emit(daemon, "-", stdin="".join(f"log info m{i}\n" for i in range(50)))
    assert bodies(daemon) == [f"m{i}" for i in range(40, 50)]
    assert bodies(daemon, "-n", 3) == ["m47", "m48", "m49"]
    assert bodies(daemon, "-n", 0) == []
    assert bodies(daemon, "-n", 1000) == bodies(daemon, "--all") == [f"m{i}" for i in range(50)]
    daemon.check_accounting()


def test_counts_only_what_matches(daemon):
    lines = [f"log {'error' if i % 5 == 0 else 'debug'} m{i}\n" for i in range(100)]
    emit(daemon, "-", stdin="".join(lines))
    assert bodies(daemon, "-n", 3, "--severity", "warn") == ["m85", "m90", "m95"]


def test_filters(daemon):
    emit(daemon, "log", "info", "a", "--service", "one", "--correlation", "c1")
    emit(daemon, "log", "error", "b", "--service", "two")
    emit(daemon, "event", "cache.miss", "--service", "two", "--correlation", "c1")
    emit(daemon, "health", "db", "healthy", "--service", "two")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    emit(daemon, "span", "tools/call x", "2s", "--service", "one",
         "--parent", f"00-{trace}-00f067aa0ba902b7-01")
    emit(daemon, "span", "tools/list", "1ms", "--service", "one", "--error", "timeout")

    def kinds(*filters):
        text = ok("tail", "--no-follow", "--all", "--json", *filters, *at(daemon))
        return [r.get("name") or r.get("body") or r.get("component")
                for r in map(json.loads, text.splitlines())]

    everything = ["a", "b", "cache.miss", "db", "tools/call x", "tools/list"]
    assert kinds() == everything
    assert kinds("--spans") == everything[4:]
    assert kinds("--logs", "--health") == ["a", "b", "db"]
    assert kinds("--events") == ["cache.miss"]
    assert kinds("--service", "t*") == ["b", "cache.miss", "db"]
    assert kinds("--name", "tools/*") == everything[4:]
    assert kinds("--severity", "error") == ["b"]
    assert kinds("--correlation", "c1") == ["a", "cache.miss"]
    assert kinds("--trace", trace[:6].upper()) == ["tools/call x"]
    assert kinds("--slow", "1s") == ["tools/call x"]
    assert kinds("--errors") == ["b", "tools/list"]
    assert kinds("--errors", "--spans", "--service", "two") == []


def test_a_correlation_id_joins_all_kinds(daemon):
    """From the oldest record on, over what producers sent and what came by OTLP, also when the
    daemon was killed since."""
    emit(daemon, "log", "info", "l", "--correlation", "job-7")
    emit(daemon, "span", "s", "1ms", "--correlation", "job-7")
    emit(daemon, "event", "e", "--correlation", "job-7")
    mine = {"correlation_id": "job-7"}
    otlp.post(daemon, "logs", otlp.request(otlp.log("ol", attrs=mine)))
    otlp.post(daemon, "traces", otlp.request(otlp.span("os", trace=b"\x07" * 16, attrs={
        "correlation_id": "job-8", "mcptally.correlation_id": "job-7"})))
    emit(daemon, "-", stdin="".join(f"log info other{i}\n" for i in range(50)))

    def names(*filters):
        text = ok("tail", "--no-follow", "--json", *filters, *at(daemon))
        return sorted(r.get("name") or r.get("body") for r in map(json.loads, text.splitlines()))

    assert names("--correlation", "job-7") == ["e", "l", "ol", "os", "s"]
    assert names("--correlation", "job-8") == []
    assert names("--correlation", "07" * 16) == names("--trace", "0707") == ["os"]
    assert len(names("--correlation", "job-7", "-n", 2)) == 2
    daemon.kill()
    daemon.start()
    assert names("--correlation", "job-7") == ["e", "l", "ol", "os", "s"]
    daemon.check_accounting()


def test_follows(daemon):
    emit(daemon, "log", "info", "before")
    with Follower("tail", "--json", *at(daemon)) as tail:
        assert tail.object()["body"] == "before"
        for i in range(20):
            emit(daemon, "log", "info", f"m{i}")
            assert tail.object()["body"] == f"m{i}"
        emit(daemon, "span", "s", "1ms")
        assert tail.object()["kind"] == "span"
        assert tail.end() == []


def test_goes_on_across_kills(daemon):
    """Nothing twice and nothing left out, although the daemon is killed between."""
    emit(daemon, "log", "info", "ready")
    with Follower("tail", "--json", *at(daemon)) as tail:
        assert tail.object()["body"] == "ready"
        for round_ in range(5):
            emit(daemon, "-", stdin="".join(f"log info {round_}.{i}\n" for i in range(100)))
            if round_ % 2:
                daemon.kill()
                assert "gone" in tail.complaint()
                daemon.start()
                assert "back" in tail.complaint()
        seen = [tail.object()["body"] for _ in range(500)]
        assert seen == [f"{r}.{i}" for r in range(5) for i in range(100)]
        assert tail.end() == []
    daemon.check_accounting()


def test_of_a_daemon_that_is_gone(daemon):
    emit(daemon, "log", "info", "last words")
    daemon.kill()
    assert bodies(daemon) == ["last words"]
    with Follower("tail", "--json", *at(daemon)) as tail:
        assert tail.object()["body"] == "last words"
        assert "waiting" in tail.complaint()
        daemon.start()
        assert "back" in tail.complaint()
        emit(daemon, "log", "info", "hello again")
        assert tail.object()["body"] == "hello again"


def test_tells_what_it_was_too_slow_for(daemon):
    """More than the ring holds, while tail is stopped: every record is read or counted."""
    text = "x" * 8000
    emit(daemon, "log", "info", "ready")
    with Follower("tail", "--json", *at(daemon)) as tail:
        assert tail.object()["body"] == "ready"
        tail.process.send_signal(signal.SIGSTOP)
        size = os.stat(daemon.store).st_size
        total = size // 8000  # more than all of the store
        emit(daemon, "-", stdin=f"log info {text}\n" * total)
        tail.process.send_signal(signal.SIGCONT)
        complaint = tail.complaint()
        lost = int(complaint.split()[1])
        assert "overwritten" in complaint and lost > 0
        emit(daemon, "log", "info", "end")
        seen = 0
        while tail.object()["body"] != "end":
            seen += 1
        assert seen + lost == total
    daemon.check_accounting()


def test_text_cannot_deceive_the_terminal(daemon):
    emit(daemon, "log", "info", "\x1b]0;owned\x07 \x1b[2J\u202etxt\r\nfake", "k=\x9b31m")
    emit(daemon, "event", "na\u2066me", "--service", "s\u202evc")
    page = ok("tail", "--no-follow", *at(daemon))
    assert page.count("\n") == 2
    assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0 or c in "\u202e\u2066"
                   for c in page)
    assert r"\x1b]0;owned\x07 \x1b[2J\u202etxt\r\nfake" in page and r"\x9b31m" in page
    line = ok("tail", "--no-follow", "--json", "--logs", *at(daemon))
    assert json.loads(line)["body"] == "\x1b]0;owned\x07 \x1b[2J\u202etxt\r\nfake"
    assert "\x1b" not in line


def test_no_colour_but_on_a_terminal(daemon):
    emit(daemon, "log", "error", "red")
    command = [BINARY, "tail", "--no-follow", *at(daemon)]

    def on_terminal(**env):
        leader, terminal = os.openpty()
        subprocess.run(command, stdout=terminal, check=True, timeout=DEADLINE,
                       env=environment(TERM="xterm", **env))
        os.close(terminal)
        text = os.read(leader, 65536).decode()
        os.close(leader)
        return text

    assert "\x1b[31merror\x1b[0m" in on_terminal()
    assert "\x1b" not in on_terminal(NO_COLOR="1")
    assert "\x1b" not in ok(*command[1:])


def test_ends_when_its_reader_leaves(daemon):
    """Even when nothing comes that it could fail to write."""
    process = subprocess.Popen([BINARY, "tail", *at(daemon)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment())
    process.stdout.close()
    assert process.wait(DEADLINE) == OK
    assert process.stderr.read() == b""
