"""The transport for gRPC, driven by build/tests/system/sender against collectors that do
anything. What the daemon makes of them is test_export.py's."""

import time

import pytest

import collector as c
from conftest import DEADLINE
from sending import (OK, REFUSED, RETRY, body_of, certificates, collect, ends, outcome, raw,
                     raw_sender, sender)


# ---- gRPC, against grpcio -----------------------------------------------------------

@pytest.mark.parametrize("gzip", [0, 1])
def test_grpc_carries_each_signal(collect, sender, gzip):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint, gzip=gzip, header__x_token="abc", header__Api="X y")
    for number, size in enumerate((0, 1, 70_000, 5_000_000)):
        assert outcome(s.send(number, number % 3, size)) == (OK, 0)
    for number, (request, size) in enumerate(zip(server.requests, (0, 1, 70_000, 5_000_000))):
        assert request.signal == c.SIGNALS[number % 3]
        assert request.body == body_of(number, size)
        assert request.headers["x_token"] == "abc" and request.headers["api"] == "X y"
        assert request.headers["user-agent"].startswith("mcptally/")
    stats = s.stats()
    assert stats["connects"] == 1 and stats["requests"] == 4 and stats["connected"]
    assert gzip == (stats["bytes_sent"] < 4_000_000)


RETRYABLE = {1, 4, 10, 11, 14, 15}


def test_grpc_each_status(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint)
    for code in range(1, 17):
        server.answers.append(c.Answer(code=code, text=f"code {code} \u00e4%\n"))
        answer = s.send(code)
        assert outcome(answer) == (RETRY if code in RETRYABLE else REFUSED, code)
        assert answer["message"] == f"code {code} \u00e4% " and answer["grpc"]
        assert answer["after"] == 0
    for code in (8, 14):
        server.answers.append(c.Answer(code=code, text="wait", retry=2.5))
        answer = s.send(code)
        assert outcome(answer) == (RETRY, code) and answer["after"] == 2_500_000_000
    server.answers.append(c.Answer(code=3, text="no", retry=1))
    assert outcome(s.send(3)) == (REFUSED, 3)
    assert s.stats()["connects"] == 1


def test_grpc_partial_success(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint)
    server.answers += [c.Answer(rejected=7, text="seven"), c.Answer(text="a warning"),
                       c.Answer(body=b"\xff\xff"), c.Answer(body=b"\x00" * 200_000)]
    answer = s.send(1)
    assert outcome(answer) == (OK, 0) and answer["rejected"] == 7 and answer["message"] == "seven"
    answer = s.send(2)
    assert outcome(answer) == (OK, 0) and answer["rejected"] == 0
    assert outcome(s.send(3)) == (OK, 0)
    assert outcome(s.send(4)) == (REFUSED, 8)  # more of a reply than anybody has to say


def test_grpc_deadline(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint, timeout_ms=300)
    server.answers.append(c.Answer(hang=True))
    assert outcome(s.send(1)) == (RETRY, 4)
    assert outcome(s.send(2)) == (OK, 0)
    assert s.stats()["connects"] == 1


def test_grpc_concurrent(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint, concurrent=4)
    server.usual = c.Answer(hang=True)
    for number in range(10):
        s.tell(number)
    server.wait(4)
    server.usual = c.Answer()
    server.stopped.set()
    assert sorted(s.line()["id"] for _ in range(10)) == list(range(10))
    assert len(server.requests) == 10 and s.stats()["connects"] == 1


def test_grpc_asks_no_more_streams_than_allowed(raw_sender):
    most = []

    def script(connection, _):
        peer = c.Peer(connection, settings=b"\x00\x03\x00\x00\x00\x02")
        opened, waiting = 0, []
        while opened < 9:
            waiting.append(peer.request())
            opened += 1
            most.append(len(waiting))
            # Nothing more comes while two are open.
            if len(waiting) == 2 or opened == 9:
                for stream in waiting:
                    peer.answer(stream)
                waiting.clear()
        peer.until_closed()
    s, _ = raw_sender(script, concurrent=8)
    for number in range(9):
        s.tell(number)
    assert {outcome(s.line()) for _ in range(9)} == {(OK, 0)}
    assert max(most) == 2


def test_grpc_collector_is_away_and_returns(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint)
    assert outcome(s.send(1)) == (OK, 0)
    server.stop()
    for number in (2, 3):
        answer = s.send(number)
        assert outcome(answer) == (RETRY, 0), answer
        assert not answer["grpc"] and answer["message"]
    assert not s.stats()["connected"]
    again = collect(c.GrpcCollector, port=server.port)
    assert outcome(s.send(4)) == (OK, 0) and len(again.requests) == 1


def test_grpc_goodbye_of_a_real_server_finishes_what_is_open(collect, sender):
    server = collect(c.GrpcCollector)
    s = sender(server.endpoint)
    server.answers.append(c.Answer(delay=0.5))
    s.tell(1)
    server.wait(1)
    server.stop(grace=DEADLINE)
    assert outcome(s.line()) == (OK, 0)


def test_grpc_tls(collect, sender, certificates, tmp_path):
    server = collect(c.GrpcCollector, certificates=certificates)
    assert outcome(sender(server.endpoint, ca_file=certificates.ca).send(1)) == (OK, 0)
    assert outcome(sender(f"localhost:{server.port}", ca_file=certificates.ca).send(1)) == (OK, 0)
    assert outcome(sender(f"https://127.0.0.1:{server.port}",
                          ca_file=certificates.ca).send(1)) == (OK, 0)
    assert outcome(sender(server.endpoint, skip_verify=1).send(1)) == (OK, 0)
    other = c.Certificates(tmp_path / "other")
    answer = sender(server.endpoint, ca_file=other.ca).send(1)
    assert outcome(answer) == (RETRY, 0) and "certificate" in answer["message"], answer
    elsewhere = sender(f"https://elsewhere:{server.port}", ca_file=certificates.ca,
                       name__elsewhere="127.0.0.1").send(1)
    assert outcome(elsewhere) == (RETRY, 0) and "ostname mismatch" in elsewhere["message"]
    missing = sender(server.endpoint, ca_file=tmp_path / "none.pem").send(1)
    assert outcome(missing) == (RETRY, 0) and "none.pem" in missing["message"]


def test_grpc_mutual_tls(collect, sender, certificates):
    server = collect(c.GrpcCollector, certificates=certificates, mutual=True)
    mine = {"cert_file": certificates.client, "key_file": certificates.client_key}
    assert outcome(sender(server.endpoint, ca_file=certificates.ca, **mine).send(1)) == (OK, 0)
    answer = sender(server.endpoint, ca_file=certificates.ca).send(1)
    assert outcome(answer) == (RETRY, 0) and len(server.requests) == 1
    wrong = {"cert_file": certificates.client, "key_file": certificates.server_key}
    answer = sender(server.endpoint, ca_file=certificates.ca, **wrong).send(1)
    assert outcome(answer) == (RETRY, 0) and "private key" in answer["message"]


@pytest.mark.parametrize("kind,http", [(c.GrpcCollector, 0), (c.HttpCollector, 1)])
def test_certificates_are_read_again_after_a_failed_handshake(collect, sender, tmp_path, kind,
                                                               http):
    right, wrong = c.Certificates(tmp_path / "right"), c.Certificates(tmp_path / "wrong")
    server = collect(kind, certificates=right)
    file = tmp_path / "ca.pem"
    file.write_bytes(wrong.ca.read_bytes())
    s = sender(server.endpoint, ca_file=file, http=http)
    answer = s.send(1)
    assert outcome(answer) == (RETRY, 0) and "certificate" in answer["message"], answer
    # Behind as many CAs as a system has, so that reading them takes several turns.
    file.write_bytes(wrong.ca.read_bytes() * 40 + right.ca.read_bytes())
    assert outcome(s.send(2)) == (OK, 200 if http else 0)
    assert s.stats()["read"] == 2


# ---- gRPC, frame by frame -----------------------------------------------------------

def test_goaway_sends_what_was_not_looked_at_elsewhere(raw_sender):
    def script(connection, number):
        peer = c.Peer(connection)
        first, second = peer.request(), peer.request()
        if number == 0:
            peer.goaway(first)
            peer.answer(first)
        else:
            peer.answer(first)
            peer.answer(second)
        peer.until_closed()
    s, server = raw_sender(script)
    for number in range(2):
        s.tell(number)
    assert outcome(s.line()) == (OK, 0)
    s.tell(2)
    assert {outcome(s.line()) for _ in range(2)} == {(OK, 0)}
    assert server.accepted == 2


def test_goaway_without_end_is_no_loop(raw_sender):
    def script(connection, number):
        peer = c.Peer(connection)
        if number == 0:
            peer.answer(peer.request())
        peer.goaway(0 if number else 1)
        peer.until_closed()
    s, server = raw_sender(script)
    assert outcome(s.send(1)) == (OK, 0)
    # Which of the two comes first, the GOAWAY or the request, is not ours to say.
    assert outcome(s.send(2)) in ((RETRY, 0), (RETRY, 14))
    assert server.accepted == 2


@pytest.mark.parametrize("error,code,kind", [
    (0, 13, REFUSED), (1, 13, REFUSED), (2, 13, REFUSED), (5, 2, REFUSED), (8, 1, RETRY),
    (11, 8, RETRY), (12, 7, REFUSED)])
def test_reset_stream(raw_sender, error, code, kind):
    def script(connection, _):
        peer = c.Peer(connection)
        peer.rst(peer.request(), error)
        peer.answer(peer.request())
        peer.until_closed()
    s, server = raw_sender(script)
    assert outcome(s.send(1)) == (kind, code)
    assert outcome(s.send(2)) == (OK, 0)
    assert server.accepted == 1


def test_refused_stream_is_tried_once_more(raw_sender):
    def script(connection, _):
        peer = c.Peer(connection)
        peer.rst(peer.request(), 7)
        peer.answer(peer.request())
        peer.rst(peer.request(), 7)
        peer.rst(peer.request(), 7)
        peer.until_closed()
    s, _ = raw_sender(script)
    assert outcome(s.send(1)) == (OK, 0)
    assert outcome(s.send(2)) == (RETRY, 14)
    assert s.stats()["requests"] == 4


@pytest.mark.parametrize("status,code,kind", [
    ("400", 13, REFUSED), ("401", 16, REFUSED), ("403", 7, REFUSED), ("404", 12, REFUSED),
    ("429", 14, RETRY), ("500", 2, REFUSED), ("502", 14, RETRY), ("503", 14, RETRY),
    ("504", 14, RETRY), ("200", 2, REFUSED)])
def test_answers_of_somebody_who_speaks_no_grpc(raw_sender, status, code, kind):
    def script(connection, _):
        peer = c.Peer(connection)
        stream = peer.request()
        peer.headers(stream, [(":status", status), ("content-type", "text/html")])
        for _ in range(20):
            peer.send(c.DATA, 0, stream, b"<p>" * 1000)
        peer.send(c.DATA, c.END_STREAM, stream, b"")
        peer.until_closed()
    s, _ = raw_sender(script)
    assert outcome(s.send(1)) == (kind, code)


def test_trailers_only_and_odd_trailers(raw_sender):
    import base64
    ok = [(":status", "200"), ("content-type", "application/grpc+proto")]
    details = c.rpc_status(8, "later", 3)

    def script(connection, _):
        peer = c.Peer(connection)
        peer.headers(peer.request(), ok + [("grpc-status", "14"), ("grpc-message", "a%20b%zz")],
                     end=True)
        for text in (base64.b64encode(details), base64.b64encode(details).rstrip(b"="), b"!!"):
            peer.headers(peer.request(), ok + [("grpc-status", "8"),
                                               ("grpc-status-details-bin", text)], end=True)
        for code in ("99", "x", "", "4294967296"):
            peer.headers(peer.request(), ok + [("grpc-status", code)], end=True)
        peer.headers(peer.request(), ok, end=True)
        stream = peer.request()  # an early answer to a request that is never read to its end
        peer.headers(stream, ok + [("grpc-status", "0")], end=True)
        peer.until_closed()
    s, _ = raw_sender(script)
    answer = s.send(1)
    assert outcome(answer) == (RETRY, 14) and answer["message"] == "a b%zz"
    for number in (2, 3):
        answer = s.send(number)
        assert outcome(answer) == (RETRY, 8) and answer["after"] == 3_000_000_000
        assert answer["message"] == "later"
    assert outcome(s.send(4)) == (REFUSED, 8)
    for number in range(5, 9):
        assert outcome(s.send(number)) == (REFUSED, 2)
    assert outcome(s.send(9)) == (REFUSED, 2)
    assert outcome(s.send(10)) == (OK, 0)


def test_an_answer_before_the_request_has_been_read(raw_sender):
    def script(connection, _):
        peer = c.Peer(connection)
        stream = 0
        while not stream:
            kind, _, stream, _ = peer.read()
            stream = stream if kind == c.HEADERS else 0
        peer.headers(stream, [(":status", "200"), ("content-type", "application/grpc"),
                              ("grpc-status", "3")], end=True)
        while not any(f[0] == c.RST_STREAM for f in peer.seen):
            peer.read()
        peer.answer(peer.request())
        peer.until_closed()
    s, server = raw_sender(script)
    assert outcome(s.send(1, size=1_000_000)) == (REFUSED, 3)
    assert outcome(s.send(2)) == (OK, 0) and server.accepted == 1


def test_gzip_replies(raw_sender):
    import gzip

    def script(connection, _):
        peer = c.Peer(connection)
        for body in (c.partial_success(5, "five"), b"\0" * 10_000_000):
            stream = peer.request()
            peer.headers(stream, [(":status", "200"), ("content-type", "application/grpc"),
                                  ("grpc-encoding", "gzip")])
            peer.send(c.DATA, 0, stream, c.grpc_message(gzip.compress(body), 1))
            peer.headers(stream, [("grpc-status", "0")], end=True)
        peer.until_closed()
    s, _ = raw_sender(script)
    answer = s.send(1)
    assert outcome(answer) == (OK, 0) and answer["rejected"] == 5
    assert outcome(s.send(2)) == (OK, 0)


def flood(payload):
    def script(connection, _):
        peer = c.Peer(connection)
        peer.request()
        for _ in range(100_000):
            connection.sendall(payload * 100)
        peer.until_closed()
    return script


def half_a_frame(connection, _):
    peer = c.Peer(connection)
    peer.request()
    connection.sendall(c.frame(c.HEADERS, c.END_HEADERS, 1, b"x" * 100)[:50])


def reset_it(connection, _):
    c.Peer(connection).request()
    c.reset(connection)


def big_headers(connection, _):
    peer = c.Peer(connection)
    stream = peer.request()
    block = c.hpack([(":status", "200"), *((f"x-{i}", "y" * 4000) for i in range(100))])
    peer.send(c.HEADERS, 0, stream, block[:16000])
    for at in range(16000, len(block), 16000):
        peer.send(c.CONTINUATION, 0, stream, block[at:at + 16000])
    peer.send(c.CONTINUATION, c.END_HEADERS, stream)
    peer.until_closed()


HOSTILE = {
    "closes": lambda connection, _: None,
    "garbage": lambda connection, _: connection.sendall(b"\xa5" * 5000),
    "speaks HTTP/1.1": lambda connection, _: connection.sendall(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "closes after the greeting": lambda connection, _: c.Peer(connection),
    "closes within a frame": half_a_frame,
    "resets": reset_it,
    "PING": flood(c.frame(c.PING, 0, 0, b"12345678")),
    "SETTINGS": flood(c.frame(c.SETTINGS)),
    "empty DATA": flood(c.frame(c.DATA, 0, 1)),
    "unknown frames": flood(c.frame(200, 0, 0, b"x" * 10)),
    "WINDOW_UPDATE": flood(c.frame(c.WINDOW, 0, 0, b"\0\0\0\1")),
    "CONTINUATION": flood(c.frame(c.HEADERS, 0, 1, b"\x88") +
                          c.frame(c.CONTINUATION, 0, 1, b"") * 1000),
    "early hints": flood(c.frame(c.HEADERS, c.END_HEADERS, 1, c.hpack([(":status", "103")]))),
    "large headers": big_headers,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_server(raw_sender, name):
    """The connection is cut, the request may be sent again, and the sender goes on."""
    s, server = raw_sender(HOSTILE[name], timeout_ms=20000)
    began = time.monotonic()
    for number in range(2):
        answer = s.send(number)
        assert outcome(answer) == (RETRY, 0), answer
    assert server.accepted == 2
    assert time.monotonic() - began < 20  # not by the deadline


def test_server_that_never_greets(raw_sender):
    def script(connection, _):
        while connection.recv(4096):
            pass
    s, server = raw_sender(script, timeout_ms=500)
    assert outcome(s.send(1))[0] == RETRY
    assert outcome(s.send(2))[0] == RETRY
    assert server.accepted == 2


def test_server_of_one_byte_a_moment(raw_sender):
    def script(connection, _):
        peer = c.Peer(connection)
        stream = peer.request()
        for byte in c.frame(c.HEADERS, c.END_HEADERS, stream, c.hpack([(":status", "200")])):
            connection.sendall(bytes([byte]))
            c.readable(connection, 0.05)
        peer.until_closed()
    s, _ = raw_sender(script, timeout_ms=600)
    assert outcome(s.send(1)) == (RETRY, 4)


def test_keepalive(raw_sender):
    def script(connection, number):
        peer = c.Peer(connection)
        stream = peer.request()
        if number == 0:  # answers pings for a while, then the request
            while sum(f[0] == c.PING for f in peer.seen) < 3:
                kind, _, _, payload = peer.read()
                if kind == c.PING:
                    peer.send(c.PING, c.ACK, 0, payload)
            peer.answer(stream)
            stream = peer.request()
        while connection.recv(4096):  # says nothing any more
            pass
    s, server = raw_sender(script, timeout_ms=20000, keepalive_ms=100)
    assert outcome(s.send(1)) == (OK, 0)
    began = time.monotonic()
    answer = s.send(2)
    assert outcome(answer) == (RETRY, 0) and "ping" in answer["message"]
    assert time.monotonic() - began < 15 and server.accepted == 1


@pytest.mark.parametrize("http", [0, 1])
def test_addresses_are_tried_in_turn(collect, sender, http):
    server = collect(c.HttpCollector if http else c.GrpcCollector)
    url = server.endpoint.replace("localhost", "many")
    s = sender(url, http=http, name__many="127.0.0.2,127.0.0.3,127.0.0.1")
    assert outcome(s.send(1)) == (OK, 200 if http else 0)
    nowhere = sender(url, http=http, name__many="127.0.0.2,127.0.0.3")
    for number in range(3):
        assert outcome(nowhere.send(number)) == (RETRY, 0)
    assert nowhere.stats()["resolved"] == 3
    unknown = sender(url.replace("many", "unknown"), http=http).send(1)
    assert outcome(unknown) == (RETRY, 0) and "unknown" in unknown["message"]
