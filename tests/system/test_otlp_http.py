"""The OTLP/HTTP port: every status, both encodings, slow and hostile peers, limits, drain."""

import gzip
import json
import re
import signal
import socket
import subprocess

import pytest

from conftest import DEADLINE, until
from otlp import NOW, Grpc, field, gauge, log, point, post, read, refused, request, requests, span

SPANS = request([span(span_id=bytes([i] * 8)) for i in range(1, 11)])
PROTO = "application/x-protobuf"


@pytest.fixture
def start(new_daemon):
    """Starts a daemon with options: otlp_buffer="1MiB" is otlp.buffer."""
    def run(**options):
        one = new_daemon()
        one.options.update({k.replace("_", ".", 1): v for k, v in options.items()})
        return one.start()
    return run


def buffered(daemon):
    return daemon.metrics()[("mcptally_otlp_buffer_bytes", ())]


def settled(daemon):
    """Nothing is held, nothing is lost, and the port answers."""
    until(lambda: buffered(daemon) == 0, "the buffer to be empty")
    assert post(daemon, "traces", b"").status == 200
    return daemon.check_accounting()


def json_spans(n):
    return {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "js"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": f"{i:016x}", "name": "x",
            "kind": 2, "startTimeUnixNano": str(NOW), "endTimeUnixNano": NOW + 5,
        } for i in range(1, n + 1)]}]}]}


def connect(daemon):
    host, port = daemon.address("otlp_http").rsplit(":", 1)
    return socket.create_connection((host, int(port)), DEADLINE)


def head(path="/v1/traces", kind=PROTO, **more):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in more.items()]
    return "\r\n".join(lines + ["", ""]).encode()


def answer(peer):
    """The whole of what comes; the status and the rest of it."""
    got = b""
    while more := peer.recv(65536):
        got += more
    return int(got.split(b" ", 2)[1]) if got else None, got


def one_answer(peer):
    """One answer of a connection that stays: status, body."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += peer.recv(65536)
    top, body = got.split(b"\r\n\r\n", 1)
    size = int(top.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < size:
        body += peer.recv(65536)
    return int(top.split(b" ")[1]), body


# ---- answers ----


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("kind, body, items", [
    ("traces", SPANS, 10),
    ("metrics", request([gauge("otlp.level", [point(3, {"a": "b"}), point(0.5)])]), 2),
    ("logs", request([log("one"), log("two")]), 2),
], ids=["traces", "metrics", "logs"])
def test_each_signal_is_taken(daemon, kind, body, items, squeeze):
    got = post(daemon, kind, body, squeeze=squeeze)
    assert (got.status, got.headers["Content-Type"], got.body) == (200, PROTO, b"")
    assert requests(daemon, "http", kind) == {"OK": 1}
    accounting = settled(daemon)
    assert accounting["received"] == accounting["applied"] == items


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8",
                                  "Application/JSON ;charset=UTF-8"])
def test_json_is_taken(daemon, kind, squeeze):
    got = post(daemon, "traces", json.dumps(json_spans(3)).encode(), kind, squeeze=squeeze)
    assert (got.status, got.headers["Content-Type"], got.body) == (200, "application/json", b"{}")
    assert settled(daemon)["applied"] == 3


def callbacks(daemon):
    return daemon.metrics()[("mcptally_callback_duration_seconds_count", ())]


def test_a_large_text_in_json_is_taken_in_steps(daemon):
    body = json_spans(5000)
    scope = body["resourceSpans"][0]["scopeSpans"][0]
    scope["spans"][7]["name"] = "long \u20ac" * 4000
    scope["scope"] = {"name": "behind its spans"}
    text = json.dumps(body).encode()
    assert 900_000 < len(text) < 1 << 20
    before = callbacks(daemon)
    assert post(daemon, "traces", text, "application/json").body == b"{}"
    assert callbacks(daemon) - before >= len(text) // (24 << 10)
    got = post(daemon, "traces", text[:-1] + b",}", "application/json")
    assert got.status == 400 and b"a key expected" in got.body
    assert settled(daemon)["applied"] == 5000


def test_what_is_dropped_is_a_partial_success(daemon):
    bad = span(span_id=b"\x02" * 7)
    got = post(daemon, "traces", request([span(), bad, bad]))
    assert got.status == 200
    partial = read(read(got.body)[1][0])
    assert partial[1] == [2] and partial[2][0]
    both = json_spans(2)
    both["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = "abcd"
    got = post(daemon, "traces", both).json()
    assert got["partialSuccess"]["rejectedSpans"] == "1" and got["partialSuccess"]["errorMessage"]
    accounting = settled(daemon)
    assert (accounting["applied"], sum(accounting["dropped"].values())) == (2, 3)


def test_an_error_is_a_status_in_the_requests_type(daemon):
    got = post(daemon, "traces", b"\xff\xff\xff")
    assert (got.status, got.headers["Content-Type"]) == (400, PROTO)
    assert read(got.body)[1] == [3] and read(got.body)[2][0]
    got = post(daemon, "logs", b"{", "application/json")
    assert (got.status, got.headers["Content-Type"]) == (400, "application/json")
    assert got.json()["code"] == 3 and "line 1" in got.json()["message"]
    for body in (b"", b"[]", b'"x"', b'{"resourceLogs": 5}', b"{}x", b"\xff\xfe", b"[" * 5000):
        assert post(daemon, "logs", body, "application/json").status == 400, body
    got = post(daemon, "traces", b"no gzip", headers={"Content-Encoding": "gzip"})
    assert got.status == 400
    assert post(daemon, "traces", gzip.compress(SPANS)[:-9],
                headers={"Content-Encoding": "gzip"}).status == 400
    assert settled(daemon)["applied"] == 0


def test_paths_methods_types_and_encodings(daemon):
    assert post(daemon, "profiles", SPANS).status == 404
    assert post(daemon, "traces/", SPANS).status == 404
    got = daemon.get("/v1/traces", "otlp_http")
    assert (got.status, got.headers["Allow"]) == (405, "POST")
    assert daemon.get("/v1/logs", "otlp_http", method="DELETE").status == 405
    assert daemon.get("/", "otlp_http").status == 200
    for kind in ("text/plain", "application/x-protobufx", "application/xml", ""):
        assert post(daemon, "traces", SPANS, kind).status == 415, kind
    for encoding in ("br", "deflate", "gzip, gzip"):
        got = post(daemon, "traces", SPANS, headers={"Content-Encoding": encoding})
        assert got.status == 415 and got.headers["Accept-Encoding"] == "gzip, identity"
    assert post(daemon, "traces", SPANS, headers={"Content-Encoding": "identity"}).status == 200
    assert requests(daemon, "http") == {"UNIMPLEMENTED": 7, "OK": 1}
    assert settled(daemon)["applied"] == 10


# ---- bodies ----


def test_chunks_and_keep_alive(daemon):
    with connect(daemon) as peer:
        for n in (1, 7, 100, 1000):
            chunks = [SPANS[i:i + n] for i in range(0, len(SPANS), n)]
            peer.sendall(head(Transfer_Encoding="chunked"))
            for chunk in chunks:
                peer.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            peer.sendall(b"0\r\n\r\n")
            assert one_answer(peer) == (200, b"")
        peer.sendall(head(Content_Length=0))
        assert one_answer(peer) == (200, b"")
    assert settled(daemon)["applied"] == 40


def test_pipelined_requests_are_answered_in_order(daemon):
    one = head(Content_Length=len(SPANS)) + SPANS
    bad = head(Content_Length=3) + b"\xff\xff\xff"
    last = head(Content_Length=len(SPANS), Connection="close") + SPANS
    with connect(daemon) as peer:
        peer.sendall(one + bad + one + last)
        _, got = answer(peer)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", got)
    assert statuses == [b"200", b"400", b"200", b"200"]
    assert settled(daemon)["applied"] == 30


def test_expect_continue(daemon):
    with connect(daemon) as peer:
        peer.sendall(head(Content_Length=len(SPANS), Expect="100-continue", Connection="close"))
        assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(SPANS)
        assert answer(peer)[0] == 200
    with connect(daemon) as peer:
        peer.sendall(head(Content_Length=5 << 20, Expect="100-continue"))
        assert answer(peer)[0] == 413, "before the body"
    assert settled(daemon)["applied"] == 10


def test_curl(daemon, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(request([span(span_id=i.to_bytes(8, "big")) for i in range(1, 20001)]))
    done = subprocess.run(["curl", "-sS", "-o", tmp_path / "out", "-w", "%{http_code}", "-H",
                           f"Content-Type: {PROTO}", "--data-binary", f"@{body}",
                           f"http://{daemon.address('otlp_http')}/v1/traces"],
                          capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout == "200", done.stderr
    assert settled(daemon)["applied"] == 20000


# ---- limits ----


def test_what_is_too_large(daemon):
    assert post(daemon, "traces", bytes(5 << 20)).status == 413, "announced"
    with connect(daemon) as peer:
        peer.sendall(head(Transfer_Encoding="chunked", Connection="close"))
        for _ in range(6):
            peer.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        peer.sendall(b"0\r\n\r\n")
        assert answer(peer)[0] == 413, "found out"
    assert post(daemon, "traces", bytes(50 << 20), squeeze=True).status == 413, "a bomb"
    assert post(daemon, "traces", b" " * (2 << 20), "application/json").status == 413
    assert post(daemon, "traces", b" " * (2 << 20), "application/json", squeeze=True).status == 413
    assert refused(daemon) == {"message": 5}
    assert settled(daemon)["received"] == 0


def hold(daemon, size):
    """A peer that has sent most of a message and does not go on."""
    peer = connect(daemon)
    peer.sendall(head(Content_Length=size + 1) + bytes(size))
    return peer


def test_the_budget_of_all_messages_together(start):
    daemon = start(otlp_buffer="1MiB", otlp_message_bytes="512KiB", otlp_json_bytes="512KiB")
    peers = [hold(daemon, 200000) for _ in range(8)]
    until(lambda: refused(daemon).get("buffer"), "the budget to be used up")
    assert buffered(daemon) <= 1 << 20
    peers[0].sendall(b"\0")  # the oldest has made room, as it hears at its end
    top = peers[0].recv(65536)
    assert top.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 1\r\n" in top
    assert post(daemon, "traces", SPANS).status == 200
    for peer in peers:
        peer.close()
    until(lambda: buffered(daemon) == 0, "the buffer to be empty")
    assert settled(daemon)["applied"] == 10


def test_slow_heads_and_bodies_have_a_deadline(start):
    daemon = start(otlp_receive_timeout="300ms")
    for slow in (head(Content_Length=100), head(Content_Length=100) + b"x",
                 head(Transfer_Encoding="chunked") + b"1\r\nx\r\n", b"POST /v1/tra"):
        with connect(daemon) as peer:
            peer.sendall(slow)
            assert answer(peer)[0] is None
    assert requests(daemon, "http") == {"DEADLINE_EXCEEDED": 3}
    assert refused(daemon) == {"time": 3}
    assert settled(daemon)["received"] == 0


def test_connections_have_a_limit_and_idle_ones_give_way(start):
    daemon = start(otlp_connections="4")
    with connect(daemon) as first:
        first.sendall(head(Content_Length=0))
        assert one_answer(first)[0] == 200
        held = [hold(daemon, 10) for _ in range(2)]
        with connect(daemon) as last:
            last.sendall(head(Content_Length=len(SPANS)) + SPANS)
            assert one_answer(last)[0] == 200
        assert answer(first)[0] is None, "it gave way"
        assert refused(daemon)["connections"] == 1
        for peer in held:
            peer.close()
    assert settled(daemon)["applied"] == 10


def test_peers_that_vanish_in_the_middle(daemon):
    for size in (0, 1000, 100000):
        for _ in range(10):
            hold(daemon, size).close()
    whole = head(Content_Length=len(SPANS)) + SPANS
    for _ in range(20):
        with connect(daemon) as peer:
            peer.sendall(whole)
    until(lambda: sum(requests(daemon, "http").values()) >= 30, "their ends")
    assert settled(daemon)["applied"] % 10 == 0, "a message is applied whole or not at all"


@pytest.mark.parametrize("junk", [
    b"\0" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST\r\n\r\n",
    head(Content_Length="-1"), head(Content_Length="x"), head(X="y" * 20000),
    head(Transfer_Encoding="chunked") + b"zz\r\n", head(Transfer_Encoding="chunked") + b"f" * 40,
    head(Transfer_Encoding="chunked") + b"ffffffffffffffff\r\n",
    head(Content_Length="99999999999999999999999"),
], ids=range(10))
def test_junk_ends_its_connection_alone(start, junk):
    daemon = start(otlp_receive_timeout="300ms")
    with connect(daemon) as peer:
        try:
            peer.sendall(junk)
            status, _ = answer(peer)
        except ConnectionResetError:
            status = None
        assert status is None or status >= 400
    assert settled(daemon)["received"] == 0


# ---- drain and restart ----


def test_a_drain_finishes_what_has_begun(daemon):
    with connect(daemon) as peer, connect(daemon) as idle:
        idle.sendall(head(Content_Length=0))
        assert one_answer(idle)[0] == 200
        peer.sendall(head(Content_Length=len(SPANS)) + SPANS[:50])
        until(lambda: buffered(daemon) > 0, "the beginning")
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in daemon.log(), "the drain")
        idle.sendall(head(Content_Length=len(SPANS)) + SPANS)
        status, _ = one_answer(idle)
        assert status == 503
        peer.sendall(SPANS[50:])
        assert one_answer(peer)[0] == 200
    assert daemon.process.wait(DEADLINE) == 0
    assert "still writing" not in daemon.log()
    daemon.start()
    assert settled(daemon)["applied"] == 10


def test_counts_go_on_after_a_crash(daemon):
    assert post(daemon, "traces", SPANS).status == 200
    daemon.kill()
    daemon.start()
    assert post(daemon, "traces", SPANS).status == 200
    assert Grpc(daemon).call("/grpc.health.v1.Health/Check", b"") == field(1, 1)
    assert requests(daemon, "http") == {"OK": 2}
    assert settled(daemon)["applied"] == 20


def test_sockets_that_are_passed(new_daemon):
    """LISTEN_FDS: the OTLP ports by their names."""
    daemon = new_daemon()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    one, two = daemon.pass_fds = [s.fileno() for s in listeners]
    script = (f"exec 3<&{one} 4<&{two}; export LISTEN_FDS=2 LISTEN_FDNAMES=otlp_grpc:otlp_http "
              'LISTEN_PID=$$; exec "$0" "$@"')
    line = daemon.command
    daemon.command = lambda: ["bash", "-c", script, *line()]
    daemon.start()
    for name, listener in zip(("otlp_grpc", "otlp_http"), listeners):
        assert daemon.address(name) == "127.0.0.1:%d" % listener.getsockname()[1]
        listener.close()
    assert post(daemon, "traces", SPANS).status == 200
    assert Grpc(daemon).export("traces", SPANS) == b""
    assert settled(daemon)["applied"] == 20
