"""Active checks and recovery actions of a real daemon, against real servers that are as bad as
servers are."""

import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import until

SECOND = {"interval": "1s", "failures": 1, "successes": 1}


class Server:
    """A TCP server that does one thing with each connection, in threads of its own."""

    def __init__(self, handle=None, backlog=64):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.handle = handle
        self.kept = []
        if handle:
            threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            self.handle(self, peer)
        except OSError:
            pass

    def close(self):
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)  # else a thread goes on to accept, and from
        self.listener.close()                     # whoever has the number of the descriptor next


def keep(server, peer):
    """Accepts, and never answers."""
    server.kept.append(peer)


def drip(_, peer):
    """A byte now and then, for ever."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


def say(text):
    def handle(_, peer):
        peer.recv(4096)
        peer.sendall(text)
        peer.close()
    return handle


def flood(_, peer):
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.sendall(b"x" * 65536)


class Mcp(http.server.BaseHTTPRequestHandler):
    """An MCP server of streamable HTTP; the path says which era, and how it answers."""

    protocol_version = "HTTP/1.1"
    sessions = set()
    asked = []  # paths, methods, and what was answered

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", content="application/json", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        self.sessions.discard(self.headers["Mcp-Session-Id"])
        self.reply(204)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, number = message["method"], message.get("id")
        self.asked.append((time.monotonic(), self.path, method, dict(self.headers)))
        answer = json.dumps({"jsonrpc": "2.0", "id": number, "result": {}}, indent=2).encode()
        if self.path == "/modern":
            assert self.headers["Mcp-Method"] == method == "server/discover"
            self.reply(200, b"data: " + answer.replace(b"\n", b"\ndata: ") + b"\n\n",
                       "text/event-stream")
        elif method == "server/discover":
            self.reply(400)
        elif method == "initialize":
            name = f"s{len(self.sessions)}-{time.monotonic_ns()}"
            self.sessions.add(name)
            result = {"jsonrpc": "2.0", "id": number, "result": {"protocolVersion": "2025-06-18"}}
            self.reply(200, json.dumps(result).encode(), headers=[("Mcp-Session-Id", name)])
        elif self.headers["Mcp-Session-Id"] not in self.sessions:
            self.reply(404)
        elif method.startswith("notifications/"):
            assert self.headers["MCP-Protocol-Version"] == "2025-06-18"
            self.reply(202)
        else:
            self.reply(200, answer)


MCP_STDIO = r"""
import json, sys
era = sys.argv[1]
for line in sys.stdin:
    m = json.loads(line)
    known = {"modern": ("server/discover",), "legacy": ("initialize", "ping")}[era]
    answer = {"jsonrpc": "2.0", "id": m.get("id")}
    if m["method"] in known:
        answer["result"] = {"protocolVersion": "2025-11-25"}
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    if "id" in m:
        print("a line that is no JSON", json.dumps(answer), sep="\n", flush=True)
"""


def configure(daemon, tmp_path, checks, **other):
    daemon.config = tmp_path / "checks.yaml"
    daemon.config.write_text(json.dumps({"checks": [{**SECOND, **c} for c in checks], **other}))


def active(daemon):
    return {c["name"]: c for c in daemon.status()["active_checks"]}


def wait_results(daemon, expected):
    """Until every check has a result, and each is what it should be."""
    until(lambda: all(c["result"] for c in active(daemon).values()), "results of all checks")
    found = active(daemon)
    other = {name: c for name, c in found.items() if (c["result"], c["state"]) != expected[name]}
    assert set(found) == set(expected) and not other, f"{other}; asked over HTTP: {Mcp.asked}"
    return found


@pytest.fixture
def servers():
    made = []

    def make(*arguments, **named):
        made.append(Server(*arguments, **named))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def mcp_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mcp)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Mcp.sessions.clear()
    Mcp.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_connections(new_daemon, tmp_path, servers):
    daemon = new_daemon()
    gone = servers()
    gone.close()
    full = servers(backlog=0)
    held = []
    for _ in range(4):  # nobody accepts: further ones wait
        held.append(socket.socket())
        held[-1].setblocking(False)
        held[-1].connect_ex(("127.0.0.1", full.port))
    configure(daemon, tmp_path, [
        {"name": "up", "kind": "tcp", "address": f"localhost:{servers(keep).port}"},
        {"name": "down", "kind": "tcp", "address": f"127.0.0.1:{gone.port}"},
        {"name": "full", "kind": "tcp", "address": f"127.0.0.1:{full.port}", "timeout": "300ms"},
        {"name": "own", "kind": "unix", "path": daemon.socket},
        {"name": "none", "kind": "unix", "path": str(tmp_path / "none.sock")},
    ])
    daemon.start()
    wait_results(daemon, {
        "up": ("ok", "healthy"), "down": ("unreachable", "unhealthy"),
        "full": ("timeout", "unhealthy"), "own": ("ok", "healthy"),
        "none": ("unreachable", "unhealthy")})
    detailed = daemon.get("/health/detailed", port="health")
    assert detailed.status == 503
    components = {c["name"]: c for c in detailed.json()["components"]}
    assert components["up"]["active"] and components["up"]["state"] == "healthy"
    assert daemon.metrics()["mcptally_check_state", (("check", "down"), ("kind", "tcp"))] == 3
    daemon.check_accounting()


def test_http(new_daemon, tmp_path, servers):
    daemon = new_daemon()
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

    def url(handle):
        return f"http://127.0.0.1:{servers(handle).port}/"

    configure(daemon, tmp_path, [{"kind": "http", "timeout": "500ms", **c} for c in (
        {"name": "good", "url": url(say(ok)), "body": "ell"},
        {"name": "other", "url": url(say(ok)), "body": "elk"},
        {"name": "broken", "url": url(say(b"HTTP/1.1 500 No\r\n\r\n"))},
        {"name": "moved", "url": url(say(b"HTTP/1.1 301 M\r\nLocation: http://127.0.0.1:1/\r\n"
                                         b"\r\n"))},
        {"name": "moved-as-it-should", "status": [301, "4xx"],
         "url": url(say(b"HTTP/1.1 301 M\r\nLocation: /\r\n\r\n"))},
        {"name": "garbage", "url": url(say(b"\0\1\2\3 no HTTP at all\n\n"))},
        {"name": "silent", "url": url(keep)},
        {"name": "slow", "url": url(drip)},
        {"name": "endless", "url": url(flood), "body": "never", "output": "256KiB"},
        {"name": "cut", "url": url(say(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")),
         "body": "never"},
        {"name": "long-head", "url": url(say(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 99999))},
    )])
    daemon.start()
    bad, late = ("failed", "unhealthy"), ("timeout", "unhealthy")
    found = wait_results(daemon, {
        "good": ("ok", "healthy"), "other": bad, "broken": bad, "moved": bad,
        "moved-as-it-should": ("ok", "healthy"), "garbage": bad, "silent": late, "slow": late,
        "endless": bad, "cut": bad, "long-head": bad})
    assert found["broken"]["message"] == "status 500" and found["moved"]["message"] == "status 301"


def test_as_much_of_an_answer_as_may_be(new_daemon, tmp_path, servers):
    """However its end is told; one byte more is too much. What is looked for comes last."""
    most, head, chunked = 1 << 16, b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = lambda part: b"%x\r\n%s\r\n" % (len(part), part)
    forms = {"length": lambda body: b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
             "close": lambda body: b"\r\n" + body,
             "chunk": lambda body: chunked + chunk(body) + chunk(b""),
             "chunks": lambda body: chunked + chunk(body[:most // 2]) + chunk(body[most // 2:])
                       + chunk(b"")}
    expected = {}
    checks = []
    for name, form in forms.items():
        for more, state in ((0, ("ok", "healthy")), (1, ("failed", "unhealthy"))):
            server = servers(say(head + form(b"x" * (most + more - 1) + b"y")))
            checks.append({"kind": "http", "name": f"{name}-{more}", "output": most, "body": "xy",
                           "url": f"http://127.0.0.1:{server.port}/", "interval": "10s",
                           "timeout": "10s"})
            expected[f"{name}-{more}"] = state
    daemon = new_daemon()
    configure(daemon, tmp_path, checks)
    daemon.start()
    found = wait_results(daemon, expected)
    assert {found[f"{name}-1"]["message"] for name in forms} == {"the answer is too large"}


def test_mcp(new_daemon, tmp_path, mcp_server):
    daemon = new_daemon()
    server = tmp_path / "server.py"
    server.write_text(MCP_STDIO)
    stdio = ["/usr/bin/python3", str(server)]
    many = {"kind": "mcp", "interval": "10s", "timeout": "10s"}
    configure(daemon, tmp_path, [{**many, **c} for c in (
        {"name": "modern", "command": [*stdio, "modern"]},
        {"name": "legacy", "command": [*stdio, "legacy"]},
        {"name": "not-modern", "command": [*stdio, "legacy"], "era": "modern"},
        {"name": "not-legacy", "command": [*stdio, "modern"], "era": "legacy"},
        {"name": "dies", "command": ["/bin/sh", "-c", "exit 3"]},
        {"name": "missing", "command": ["/nowhere/mcp"]},
        {"name": "floods", "command": ["/bin/cat", "/dev/zero"]},
        {"name": "hangs", "command": ["/bin/sleep", "1000"], "timeout": "300ms"},
        {"name": "http-modern", "url": f"{mcp_server}/modern"},
        {"name": "http-legacy", "url": f"{mcp_server}/legacy"},
        {"name": "http-not-modern", "url": f"{mcp_server}/legacy", "era": "modern"},
    )])
    daemon.start()
    good, bad = ("ok", "healthy"), ("failed", "unhealthy")
    found = wait_results(daemon, {
        "modern": good, "legacy": good, "not-modern": bad, "not-legacy": bad, "dies": bad,
        "missing": ("unreachable", "unhealthy"), "floods": bad, "hangs": ("timeout", "unhealthy"),
        "http-modern": good, "http-legacy": good, "http-not-modern": bad})
    assert "-32601" in found["not-modern"]["message"]
    assert "status 3" in found["dies"]["message"]
    assert Mcp.sessions == set()  # the session that was made for the check is ended


def test_processes(new_daemon, tmp_path):
    daemon = new_daemon()
    sleeper = tmp_path / "chk-sleeper"
    sleeper.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(sleeper), "1000"])
    pid = tmp_path / "pid"
    pid.write_text(f"{process.pid}\n")
    configure(daemon, tmp_path, [
        {"name": "by-pid", "kind": "process", "pid_file": str(pid)},
        {"name": "by-name", "kind": "process", "process": "chk-sleeper"},
        {"name": "no-file", "kind": "process", "pid_file": str(tmp_path / "none")},
    ])
    daemon.start()
    try:
        wait_results(daemon, {"by-pid": ("ok", "healthy"), "by-name": ("ok", "healthy"),
                              "no-file": ("failed", "unhealthy")})
    finally:
        process.kill()
    for name in ("by-pid", "by-name"):  # a zombie is as dead as one that is gone
        until(lambda n=name: active(daemon)[n]["state"] == "unhealthy", f"{name} to be missed")
    process.wait()
    until(lambda: "there is no process" in active(daemon)["by-pid"]["message"], "its end")
    count = ("mcptally_check_detection_seconds_count", (("check", "by-pid"), ("kind", "process")))
    assert daemon.metrics()[count] == 1


def test_recovery(new_daemon, tmp_path, servers):
    """A server that is down is started by an action, once; the times are measured."""
    daemon = new_daemon()
    spare = servers()
    port = spare.port
    spare.close()
    said = tmp_path / "said"
    script = (f"import http.server, os, sys\n"
              f"open({str(said)!r}, 'a').write(os.environ['MCPTALLY_REASON'] + chr(10))\n"
              f"if os.fork() == 0:\n    os.setsid()\n    os.close(1); os.close(2)\n"
              f"    http.server.HTTPServer(('127.0.0.1', {port}),"
              f" http.server.SimpleHTTPRequestHandler).serve_forever()\n"
              f"print('started')\n")
    configure(daemon, tmp_path, [
        {"name": "web", "kind": "tcp", "address": f"127.0.0.1:{port}"},
    ], recovery={"enabled": True, "actions": [
        {"name": "start", "on": ["web"], "command": [sys.executable, "-c", script],
         "cooldown": "20s"}]})
    daemon.start()
    try:
        until(lambda: active(daemon)["web"]["state"] == "healthy", "the action to help")
    finally:
        subprocess.run(["fuser", "-k", f"{port}/tcp"], capture_output=True, check=False)
    assert said.read_text() == "127.0.0.1: Connection refused\n"
    action = daemon.status()["recovery"]["actions"][0]
    assert (action["outcome"], action["component"], action["runs"]) == ("done", "web", 1)
    found = daemon.metrics()
    labels = (("check", "web"), ("kind", "tcp"))
    assert found["mcptally_check_recovery_seconds_count", labels] == 1
    assert found["mcptally_recovery_actions_total", (("action", "start"), ("outcome", "done"))] == 1
    assert "start for web" in daemon.log()


def test_an_action_that_does_not_help_gives_up(new_daemon, tmp_path):
    daemon = new_daemon()
    said = tmp_path / "said"
    configure(daemon, tmp_path, [
        {"name": "web", "kind": "tcp", "address": "127.0.0.1:1"},
    ], recovery={"enabled": True, "actions": [
        {"name": "try", "on": "*", "cooldown": "1s", "max": 2,
         "command": ["/bin/sh", "-c", f"echo x >>{said}; exit 4"]}]})
    daemon.start()
    action = until(lambda: [a for a in daemon.status()["recovery"]["actions"] if a["given_up"]],
                   "it to give up")[0]
    assert action["runs"] == 2 and said.read_text() == "x\nx\n"
    until(lambda: "has given up" in str(daemon.get("/health", port="health").json()["checks"]),
          "the verdict")
    time.sleep(2.5)  # twice the cool-down: it does not begin again by itself
    assert said.read_text() == "x\nx\n"
    daemon.reload()
    until(lambda: said.read_text() == "x\nx\n" and daemon.status()["recovery"]["actions"][0]
          ["given_up"], "it to give up again, without a run: its window is full")


def test_off_by_default(new_daemon, tmp_path):
    daemon = new_daemon()
    said = tmp_path / "said"
    configure(daemon, tmp_path, [
        {"name": "web", "kind": "tcp", "address": "127.0.0.1:1"},
    ], recovery={"actions": [{"name": "try", "on": "*", "command": ["/bin/touch", str(said)]}]})
    daemon.start()
    until(lambda: active(daemon)["web"]["state"] == "unhealthy", "the check to fail")
    until(lambda: daemon.metrics()["mcptally_check_results_total", (
        ("check", "web"), ("kind", "tcp"), ("result", "unreachable"))] >= 3, "more runs")
    assert not said.exists() and daemon.status()["recovery"]["actions"][0]["runs"] == 0


def test_reload_keeps_what_is_known(new_daemon, tmp_path, servers):
    daemon = new_daemon()
    server = servers(keep)
    check = {"name": "a", "kind": "tcp", "address": f"127.0.0.1:{server.port}"}
    configure(daemon, tmp_path, [check, {**check, "name": "b"}])
    daemon.start()
    wait_results(daemon, {"a": ("ok", "healthy"), "b": ("ok", "healthy")})
    key = ("mcptally_check_results_total", (("check", "b"), ("kind", "tcp"), ("result", "ok")))
    before = daemon.metrics()[key]
    configure(daemon, tmp_path, [{**check, "name": "b"}])
    daemon.reload()
    assert set(active(daemon)) == {"b"} and daemon.metrics()[key] >= before
    detailed = daemon.get("/health/detailed", port="health").json()
    assert [c["name"] for c in detailed["components"]] == ["b"]
    assert not [k for k in daemon.metrics() if ("check", "a") in k[1]]


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_many(new_daemon, tmp_path, servers):
    """256 checks of all kinds: each has its turns, and no callback holds the loop for long."""
    daemon = new_daemon()
    port, silent = servers(keep).port, servers(keep).port
    kinds = (
        {"kind": "tcp", "address": f"127.0.0.1:{port}"},
        {"kind": "unix", "path": daemon.socket},
        {"kind": "process", "process": "mcptallyd"},
        {"kind": "http", "url": f"http://127.0.0.1:{silent}/", "timeout": "200ms"},
    )
    configure(daemon, tmp_path, [
        {"name": f"c{i}", **kinds[i % len(kinds)], "interval": "10s"} for i in range(256)])
    daemon.start()
    until(lambda: all(c["result"] for c in active(daemon).values()), "256 results", deadline=60)
    began, used = time.monotonic(), cpu_of(daemon.pid)
    until(lambda: sum(v for k, v in daemon.metrics().items()
                      if k[0] == "mcptally_check_results_total") >= 512, "a second round",
          deadline=60)
    share = (cpu_of(daemon.pid) - used) / (time.monotonic() - began)
    found = daemon.metrics()
    total = found["mcptally_callback_duration_seconds_count", ()]
    short = found["mcptally_callback_duration_seconds_bucket", (("le", "0.001"),)]
    print(f"256 checks at 10 s, metrics scraped besides: {share:.2%} of a CPU; "
          f"{short} of {total} callbacks within 1 ms")
    assert total > 512
    results = {k: v for k, v in found.items() if k[0] == "mcptally_check_results_total" and v}
    assert {dict(k[1])["result"] for k in results} == {"ok", "timeout"}
    assert len(results) == 256
