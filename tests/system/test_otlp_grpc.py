"""The OTLP/gRPC port: every status, floods, slow and hostile peers, limits, drain, restart."""

import base64
import gzip
import os
import resource
import signal
import socket
import struct
import subprocess
import threading

import grpc
import pytest

import h2
from conftest import DEADLINE, until
from otlp import (SERVICES, Grpc, counter, field, log, point, post, read, refused, request,
                  requests, span)

TRACES = SERVICES["traces"]
HEALTH = "/grpc.health.v1.Health/Check"
SPANS = request([span(span_id=bytes([i] * 8)) for i in range(1, 11)])
Code = grpc.StatusCode


@pytest.fixture
def start(new_daemon):
    """Starts a daemon with options: otlp_buffer="1MiB" is otlp.buffer."""
    def run(**options):
        one = new_daemon()
        one.options.update({k.replace("_", ".", 1): v for k, v in options.items()})
        return one.start()
    return run


def peer(daemon, **options):
    return h2.Peer(daemon.address("otlp_grpc"), **options)


def buffered(daemon):
    return daemon.metrics()[("mcptally_otlp_buffer_bytes", ())]


def connections(daemon):
    return daemon.metrics()[("mcptally_otlp_connections", (("protocol", "grpc"),))]


def settled(daemon):
    """Nothing is held, nothing is lost, and the port answers."""
    until(lambda: buffered(daemon) == 0, "the buffer to be empty")
    assert Grpc(daemon).call(HEALTH, b"") == field(1, 1)
    return daemon.check_accounting()


# ---- answers ----


@pytest.mark.parametrize("kind, message", [
    ("traces", SPANS),
    ("metrics", request([counter("otlp.calls", [point(3)])])),
    ("logs", request([log("one"), log("two")])),
], ids=["traces", "metrics", "logs"])
@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_each_signal_is_taken(daemon, kind, message, compression):
    assert Grpc(daemon).export(kind, message, compression=compression) == b""
    assert requests(daemon, "grpc", kind) == {"OK": 1}
    accounting = settled(daemon)
    assert accounting["received"] == {"traces": 10, "metrics": 1, "logs": 2}[kind]
    assert accounting["applied"] == accounting["received"]


def test_an_empty_request_is_a_good_one(daemon):
    assert Grpc(daemon).export("traces", b"") == b""
    assert settled(daemon)["received"] == 0


def test_a_large_request_is_answered_when_all_of_it_is_applied(daemon):
    message = request([span(span_id=i.to_bytes(8, "big"), name="x" * 90) for i in range(1, 20001)])
    assert len(message) > 2 << 20
    assert Grpc(daemon).export("traces", message) == b""
    assert daemon.check_accounting()["applied"] == 20000
    settled(daemon)


@pytest.mark.parametrize("path", ["/a/b", "/grpc.health.v1.Health/Watch", TRACES + "x"])
def test_what_is_not_served_is_unimplemented(daemon, path):
    assert Grpc(daemon).fails(path, b"")[0] == Code.UNIMPLEMENTED
    assert refused(daemon) == {"method": 1}
    settled(daemon)


def test_what_cannot_be_read_is_the_senders_fault(daemon):
    for bad in (b"\xff\xff\xff", b"\x0a\x05ab", request([b"\x0a\x80"])[:-1]):
        code, words, trailers = Grpc(daemon).fails(TRACES, bad)
        assert code == Code.INVALID_ARGUMENT and words
        assert "grpc-status-details-bin" not in trailers
    assert requests(daemon, "grpc") == {"INVALID_ARGUMENT": 3}
    settled(daemon)


def test_health_says_what_is_served(daemon):
    client = Grpc(daemon)
    assert client.call(HEALTH, b"") == field(1, 1)
    assert client.call(HEALTH, field(1, TRACES[1:].split("/")[0])) == field(1, 1)
    assert client.call(HEALTH, b"", compression=grpc.Compression.Gzip) == field(1, 1)
    assert client.fails(HEALTH, field(1, "nobody"))[0] == Code.NOT_FOUND
    assert client.fails(HEALTH, b"\x12\x01a")[0] == Code.INVALID_ARGUMENT
    settled(daemon)


def raw(daemon, headers, payload=b"", stop=True):
    """One stream by hand; waits until the daemon has ended it."""
    p = peer(daemon)
    stream = p.open(headers)
    p.send(h2.frame(h2.DATA, h2.END_STREAM if stop else 0, stream, payload))
    got = p.until(h2.HEADERS, stream)
    assert got and got[1] & h2.END_STREAM, "trailers-only"
    p.close()


def test_bodies_that_are_not_one_message(daemon):
    whole = h2.message(SPANS)
    for bad in (b"", whole[:3], whole[:-1], whole + b"x", b"\x02" + whole[1:]):
        raw(daemon, h2.call(TRACES), bad)
    assert requests(daemon, "grpc") == {"INVALID_ARGUMENT": 5}
    assert settled(daemon)["received"] == 0


def test_encodings(daemon):
    raw(daemon, h2.call(TRACES, ("grpc-encoding", "snappy")), h2.message(SPANS, True))
    raw(daemon, h2.call(TRACES), h2.message(gzip.compress(SPANS), True))
    raw(daemon, h2.call(TRACES, ("grpc-encoding", "gzip")), h2.message(SPANS, True))
    assert requests(daemon, "grpc") == {"UNIMPLEMENTED": 1, "INTERNAL": 1, "INVALID_ARGUMENT": 1}
    assert settled(daemon)["received"] == 0


def test_what_is_no_grpc_gets_a_status_of_http(daemon):
    def without(name, value):
        return [(n, value if n == name else v) for n, v in h2.call(TRACES)]
    raw(daemon, without(":method", "PUT"))
    raw(daemon, without("content-type", "text/plain"))
    raw(daemon, h2.call(TRACES, ("x", "y" * 9000)))
    assert refused(daemon) == {"headers": 1}
    assert not requests(daemon, "grpc")
    settled(daemon)


# ---- limits ----


def test_a_message_that_is_too_large(daemon):
    client = Grpc(daemon)
    code, words, trailers = client.fails(TRACES, bytes(5 << 20))
    assert code == Code.RESOURCE_EXHAUSTED and "larger" in words
    assert "grpc-status-details-bin" not in trailers, "not to be sent again"
    code, _, _ = client.fails(TRACES, bytes(50 << 20), compression=grpc.Compression.Gzip)
    assert code == Code.RESOURCE_EXHAUSTED
    assert refused(daemon) == {"message": 2}
    settled(daemon)


def test_an_announced_size_is_not_believed(daemon):
    """Memory follows what has arrived."""
    peers = []
    for _ in range(50):
        p = peer(daemon)
        stream = p.open(h2.call(TRACES))
        p.send(h2.frame(h2.DATA, 0, stream, b"\0" + (4 << 20).to_bytes(4, "big") + b"x"))
        peers.append(p)
    until(lambda: buffered(daemon) > 0, "bytes")
    assert buffered(daemon) < 50 * 1024
    for p in peers:
        p.close()
    settled(daemon)


def hold(daemon, size, most=None):
    """A peer that has sent most of a message and does not go on."""
    p = peer(daemon)
    stream = p.open(h2.call(TRACES))
    payload = h2.message(bytes(size))[:most or -1]
    p.send(b"".join(h2.frame(h2.DATA, 0, stream, payload[i:i + 16384])
                    for i in range(0, len(payload), 16384)))
    return p


def retry_info(trailers):
    """Seconds, from a google.rpc.Status with a RetryInfo."""
    details = trailers["grpc-status-details-bin"]
    details = details if isinstance(details, bytes) else base64.b64decode(details + "==")
    status = read(details)
    info = read(status[3][0])
    assert info[1] == [b"type.googleapis.com/google.rpc.RetryInfo"]
    return status[1][0], read(read(info[2][0])[1][0])[1][0]


def test_the_budget_of_all_messages_together(start):
    daemon = start(otlp_buffer="1MiB", otlp_message_bytes="512KiB", otlp_json_bytes="512KiB")
    client = Grpc(daemon)
    peers = [hold(daemon, 200000) for _ in range(8)]
    until(lambda: refused(daemon).get("buffer"), "the budget to be used up")
    assert buffered(daemon) <= 1 << 20
    assert peers[0].until(h2.HEADERS)[1] & h2.END_STREAM, "the oldest has made room"
    assert peers[0].until(h2.RST_STREAM)[3] == bytes(4), "it need not go on sending"
    assert client.call(HEALTH, b"") == field(1, 1)
    assert client.export("traces", SPANS) == b""
    for p in peers:
        p.close()
    assert settled(daemon)["applied"] == 10


def test_whole_messages_that_do_not_fit_are_told_when_to_come_back(start):
    daemon = start(otlp_buffer="1MiB", otlp_message_bytes="512KiB", otlp_json_bytes="512KiB")
    clients = [Grpc(daemon, use_local_subchannel_pool=1) for _ in range(8)]
    for client in clients:
        client.call(HEALTH, b"")
    os.kill(daemon.pid, signal.SIGSTOP)
    calls = [client.channel.unary_unary(TRACES).future(
        bytes(500000), compression=grpc.Compression.Gzip) for client in clients]
    os.kill(daemon.pid, signal.SIGCONT)
    full = [e for e in (call.exception(DEADLINE) for call in calls)
            if e.code() == Code.RESOURCE_EXHAUSTED]
    assert full, "unpacked, they do not fit"
    for e in full:
        assert retry_info(dict(e.trailing_metadata())) == (8, 1), "come back in a second"
    assert refused(daemon) == {"buffer": len(full)}
    settled(daemon)


@pytest.mark.parametrize("size", [1000, 60000, 400000])
def test_half_messages_keep_nobody_out(start, size):
    daemon = start(otlp_buffer="1MiB", otlp_message_bytes="512KiB", otlp_json_bytes="512KiB",
                   otlp_connections="64")
    done = threading.Event()

    def attack():
        """Holds all it can get, by all connections."""
        peers = []
        while not done.is_set():
            try:
                peers = peers[-80:] + [hold(daemon, size)]
            except OSError:
                pass

    attackers = [threading.Thread(target=attack) for _ in range(2)]
    crowd = [hold(daemon, size) for _ in range(64)]
    until(lambda: connections(daemon) == len(crowd), "every place to be taken")
    for one in attackers:
        one.start()
    client, sent = Grpc(daemon), 0
    large = request([span(span_id=struct.pack(">Q", i + 1)) for i in range(1000)])
    try:
        for _ in range(30):
            assert client.export("traces", SPANS) == b""
            assert client.export("traces", large) == b""
            assert post(daemon, "traces", SPANS).status == 200
            sent += 1020
    finally:
        done.set()
        for one in attackers:
            one.join()
    assert refused(daemon)["connections"] > 0
    assert size * len(crowd) < 1 << 20 or refused(daemon)["buffer"] > 0
    for p in crowd:
        p.close()
    assert settled(daemon)["applied"] == sent


@pytest.mark.parametrize("piece", [7, 5000, 16384, 70000])
def test_a_large_message_in_pieces(start, piece):
    """In pieces of any size, with a ping and a small message between two of them."""
    daemon = start(otlp_receive_timeout="30s")
    p = peer(daemon)
    whole = h2.message(request([span(span_id=struct.pack(">Q", i + 1)) for i in range(3000)]))
    stream, sent = p.open(h2.call(TRACES)), 0
    room = 65535  # of the stream; the connection's is larger
    while sent < len(whole):
        some = min(piece, len(whole) - sent, room) if sent > 1000 else 7
        p.send(b"".join(h2.frame(h2.DATA, 0, stream, whole[at:min(at + 16384, sent + some)])
                        for at in range(sent, sent + some, 16384)))
        sent, room = sent + some, room - some
        while room == 0:
            kind, _, of, payload = p.frame()
            if (kind, of) == (h2.WINDOW_UPDATE, stream):
                room += int.from_bytes(payload, "big")
        if piece > 7 and sent % 3 == 0:
            p.send(h2.frame(h2.PING, payload=bytes(8)))
    p.send(h2.frame(h2.DATA, h2.END_STREAM, stream))
    assert p.until(h2.DATA, stream), "an answer with a message"
    p.close()
    assert settled(daemon)["applied"] == 3000


def test_who_gives_up_in_the_midst_is_heard(start):
    daemon = start(otlp_receive_timeout="1h")
    p = hold(daemon, 300000, most=100000)
    until(lambda: buffered(daemon) >= 100000, "its bytes")
    p.send(h2.frame(h2.RST_STREAM, 0, 1, bytes([0, 0, 0, 8])))
    stream = p.open(h2.call(TRACES))
    p.send(h2.frame(h2.DATA, h2.END_STREAM, stream, h2.message(SPANS)))
    assert p.until(h2.DATA, stream), "an answer with a message"
    p.close()
    assert settled(daemon)["applied"] == 10


def test_a_slow_body_has_a_deadline(start):
    daemon = start(otlp_receive_timeout="200ms")
    p = hold(daemon, 1000)
    assert p.until(h2.HEADERS)[1] & h2.END_STREAM
    assert p.until(h2.RST_STREAM)[3] == bytes(4), "it need not go on sending"
    assert requests(daemon, "grpc") == {"DEADLINE_EXCEEDED": 1}
    assert refused(daemon) == {"time": 1}
    settled(daemon)


def test_an_answer_that_is_not_fetched_has_a_deadline(start):
    daemon = start(otlp_receive_timeout="200ms", otlp_connections=1)
    p = peer(daemon, greet=False)
    p.send(h2.PREFACE + h2.frame(h2.SETTINGS, payload=struct.pack(">HI", 4, 0)))  # no window
    stream = p.open(h2.call(TRACES))
    p.send(h2.frame(h2.DATA, h2.END_STREAM, stream, h2.message(SPANS)))
    assert p.until(h2.HEADERS, stream)
    assert p.until(h2.RST_STREAM, stream)[3] == struct.pack(">I", 8)
    assert refused(daemon)["time"] == 1
    assert settled(daemon)["applied"] == 10  # so the one place is free for another
    p.close()


def test_the_callers_deadline(daemon):
    p = peer(daemon)
    stream = p.open(h2.call(TRACES, ("grpc-timeout", "50m")))
    assert p.until(h2.HEADERS, stream)[1] & h2.END_STREAM
    assert requests(daemon, "grpc") == {"DEADLINE_EXCEEDED": 1}
    raw(daemon, h2.call(TRACES, ("grpc-timeout", "soon")), h2.message(b""))
    assert requests(daemon, "grpc") == {"DEADLINE_EXCEEDED": 1, "INVALID_ARGUMENT": 1}
    settled(daemon)


def test_the_limit_of_streams(start):
    daemon = start(otlp_streams="4")
    p = peer(daemon)
    settings = p.until(h2.SETTINGS)[3]
    entries = dict(struct.unpack_from(">HI", settings, i) for i in range(0, len(settings), 6))
    assert entries[3] == 4 and entries[6] == 8192
    streams = [p.open(h2.call(TRACES)) for _ in range(5)]
    kind, _, stream, payload = p.until(h2.RST_STREAM)
    assert stream == streams[4] and payload == bytes([0, 0, 0, 7]), "REFUSED_STREAM"
    for stream in streams[:4]:
        p.send(h2.frame(h2.DATA, h2.END_STREAM, stream, h2.message(SPANS)))
    for stream in streams[:4]:
        assert p.until(h2.DATA, stream), "an answer with a message"
    p.close()
    assert settled(daemon)["applied"] == 40


def test_an_idle_connection_gives_way(start):
    daemon = start(otlp_connections="4")
    idle = [peer(daemon) for _ in range(4)]
    for p in idle:
        p.until(h2.SETTINGS)
    client = Grpc(daemon)
    assert client.export("traces", SPANS) == b""
    assert idle[0].closed() == 0, "a GOAWAY without an error"
    assert refused(daemon)["connections"] == 1
    assert connections(daemon) == 4
    assert settled(daemon)["applied"] == 10


def test_at_the_limit_the_oldest_half_message_gives_way(start):
    daemon = start(otlp_connections="3")
    busy = [hold(daemon, 1000) for _ in range(3)]
    until(lambda: buffered(daemon) >= 3000, "their bytes")
    assert Grpc(daemon).export("traces", SPANS) == b""
    assert busy[0].closed() == 0, "a GOAWAY without an error"
    assert refused(daemon) == {"connections": 1}
    for p in busy:
        p.close()
    until(lambda: connections(daemon) == 0, "their ends")
    settled(daemon)


def test_an_idle_connection_has_an_end(start):
    daemon = start(otlp_idle_timeout="1s")
    p = peer(daemon)
    assert p.closed() == 0
    assert not refused(daemon)
    settled(daemon)


def test_a_connection_that_says_nothing_has_an_end(daemon):
    p = peer(daemon, greet=False)
    assert p.closed() == 0
    assert refused(daemon) == {"time": 1}
    settled(daemon)


def test_without_descriptors_it_goes_on(daemon):
    address = daemon.address("otlp_grpc")
    hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
    used = max(map(int, os.listdir(f"/proc/{daemon.pid}/fd"))) + 1
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 5, hard))
    peers = [h2.Peer(address) for _ in range(20)]
    until(lambda: "no descriptor left" in daemon.log(), "the end of descriptors")
    for p in peers[:15]:
        p.close()
    for p in peers[15:]:
        assert p.until(h2.SETTINGS), "those that waited had their turn"
        p.close()
    assert refused(daemon)["descriptors"] == 1
    settled(daemon)


# ---- hostile peers ----


def test_resets_without_end(daemon):
    p = peer(daemon)
    try:
        for _ in range(500):
            stream = p.open(h2.call(TRACES))
            p.send(h2.frame(h2.RST_STREAM, 0, stream, bytes([0, 0, 0, 8])))
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert p.closed() in (11, None), "ENHANCE_YOUR_CALM, if it could still be read"
    assert refused(daemon) == {"flood": 1}
    settled(daemon)


@pytest.mark.parametrize("flood", [
    h2.frame(h2.PING, 0, 0, bytes(8)),
    h2.frame(h2.SETTINGS),
], ids=["ping", "settings"])
def test_answers_that_are_not_read_stop_the_reading(daemon, flood):
    p = peer(daemon, SO_RCVBUF=4096)
    p.socket.settimeout(0.5)
    with pytest.raises((TimeoutError, socket.timeout, ConnectionResetError, BrokenPipeError)):
        for _ in range(10000):
            p.send(flood * 1000)
    assert Grpc(daemon).export("traces", SPANS) == b""
    p.close()
    assert settled(daemon)["applied"] == 10


@pytest.mark.parametrize("bytes_", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0, bytes(5)),
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.DATA, 0, 1, b"x"),
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.PUSH, 4, 1, bytes(8)),
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.HEADERS, 4, 1, b"\xff" * 20),
    h2.PREFACE + h2.frame(h2.SETTINGS) + (1 << 23).to_bytes(3, "big") + b"\0\0\0\0\0\1",
    h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
], ids=["http1", "tls", "settings", "data", "push", "hpack", "frame", "window"])
def test_what_is_no_http2_ends_its_connection_alone(daemon, bytes_):
    client = Grpc(daemon)
    assert client.export("traces", SPANS) == b""
    p = peer(daemon, greet=False)
    p.send(bytes_)
    p.closed()
    assert refused(daemon) == {"protocol": 1}
    assert client.export("traces", SPANS) == b""
    assert settled(daemon)["applied"] == 20


def test_headers_without_end(daemon):
    p = peer(daemon)
    p.send(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.call(TRACES))))
    try:
        for _ in range(1000):
            p.send(h2.frame(h2.CONTINUATION, 0, 1, h2.block([("a", "b" * 8000)])))
    except (ConnectionResetError, BrokenPipeError):
        pass
    p.closed()
    settled(daemon)


def test_peers_that_vanish_in_the_middle(daemon):
    for size in (1000, 100000, 200000):
        for _ in range(10):
            p = hold(daemon, size)
            p.close()
    for _ in range(20):
        p = peer(daemon)
        stream = p.open(h2.call(TRACES))
        p.send(h2.frame(h2.DATA, h2.END_STREAM, stream, h2.message(SPANS)))
        p.close()
    until(lambda: connections(daemon) == 0, "their ends")
    accounting = settled(daemon)
    assert accounting["applied"] % 10 == 0, "a message is applied whole or not at all"


# ---- load, drain, restart ----


def test_many_requests_of_h2load(daemon, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(h2.message(SPANS))
    out = subprocess.run(
        ["h2load", "-n2000", "-c8", "-m8", "-d", str(body), "-H", "content-type: application/grpc",
         "-H", "te: trailers", f"http://{daemon.address('otlp_grpc')}{TRACES}"],
        capture_output=True, text=True, timeout=2 * DEADLINE, check=True).stdout
    assert "2000 succeeded, 0 failed" in out, out
    assert requests(daemon, "grpc") == {"OK": 2000}
    assert settled(daemon)["applied"] == 20000


def test_a_drain_finishes_what_has_begun(daemon):
    p = peer(daemon)
    stream = p.open(h2.call(TRACES))
    payload = h2.message(SPANS)
    p.send(h2.frame(h2.DATA, 0, stream, payload[:50]))
    until(lambda: buffered(daemon) > 0, "the beginning")
    daemon.process.send_signal(signal.SIGTERM)
    kind, _, _, goaway = p.until(h2.GOAWAY)
    assert goaway[:8] == stream.to_bytes(4, "big") + bytes(4), "the last that is served"
    p.send(h2.frame(h2.DATA, h2.END_STREAM, stream, payload[50:]))
    assert p.until(h2.DATA, stream)
    assert p.until(h2.HEADERS, stream)[1] & h2.END_STREAM
    p.close()
    assert daemon.process.wait(DEADLINE) == 0
    assert "still writing" not in daemon.log()
    daemon.start()
    assert settled(daemon)["applied"] == 10


def test_a_drain_does_not_wait_for_ever(daemon):
    p = hold(daemon, 1000)
    idle = Grpc(daemon)
    idle.call(HEALTH, b"")
    until(lambda: buffered(daemon) > 0, "its bytes")
    assert daemon.stop() == 0
    p.closed()
    daemon.start()
    assert settled(daemon)["received"] == 0


def test_a_client_goes_on_after_a_restart(daemon):
    port = daemon.address("otlp_grpc")
    daemon.options["listen.otlp_grpc"] = port
    assert daemon.stop() == 0
    daemon.start()
    client = Grpc(daemon)
    client.export("traces", SPANS)
    daemon.kill()
    daemon.start()

    def again():
        try:
            return client.export("traces", SPANS, wait_for_ready=True) == b""
        except grpc.RpcError as error:
            assert error.code() == Code.UNAVAILABLE, "the connection of before"
            return False

    until(again, "the new daemon")
    assert requests(daemon, "grpc") == {"OK": 2}
    assert settled(daemon)["applied"] == 20


def test_a_taken_port_is_tried_again(new_daemon):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon = new_daemon()
        taken = daemon.options["listen.otlp_grpc"] = "127.0.0.1:%d" % other.getsockname()[1]
        daemon.start()
        assert daemon.address("otlp_grpc") is None
        checks = daemon.get("/health/detailed", "health").json()["checks"]
        check = {c["name"]: c for c in checks}["otlp_grpc_port"]
        assert check["status"] == "warn" and "listen.otlp_grpc" in check["message"]
        assert "listen.otlp_grpc" in daemon.log()
    assert until(lambda: daemon.address("otlp_grpc"), "the port") == taken
    assert Grpc(daemon).export("traces", SPANS) == b""
    assert settled(daemon)["applied"] == 10


def test_off_is_off(start):
    daemon = start(listen_otlp_grpc="off", listen_otlp_http="off")
    assert daemon.address("otlp_grpc") is None and daemon.address("otlp_http") is None
    assert daemon.get("/health", "health").json()["status"] == "pass"
    assert daemon.stop() == 0


def test_limits_are_read_again(daemon, tmp_path):
    daemon.stop()
    daemon.config = tmp_path / "mcptallyd.yaml"
    daemon.config.write_text("otlp:\n  message_bytes: 64KiB\n")
    daemon.start()
    client = Grpc(daemon)
    assert client.fails(TRACES, bytes(100000))[0] == Code.RESOURCE_EXHAUSTED
    daemon.config.write_text("otlp:\n  message_bytes: 128KiB\n")
    daemon.reload()
    assert client.fails(TRACES, b"\xff" * 100000)[0] == Code.INVALID_ARGUMENT
    settled(daemon)
