"""The transport for HTTP, and what both have to stand, driven by build/tests/system/sender."""

import email.utils
import os
import resource
import socket
import time

import pytest

import collector as c
from sending import (OK, REFUSED, RETRY, Sender, body_of, certificates, collect, ends, outcome, raw,
                     sender)
from test_transport import HOSTILE


# ---- HTTP ---------------------------------------------------------------------------

@pytest.mark.parametrize("gzip", [0, 1])
def test_http_carries_each_signal(collect, sender, gzip):
    server = collect(c.HttpCollector)
    s = sender(server.base + "/v1/traces?key=1", metrics=server.base + "/v1/metrics",
               logs=server.base + "/v1/logs", http=1, gzip=gzip, header__Authorization="Bearer x")
    sizes = (1, 70_000, 5_000_000)
    for number, size in enumerate(sizes):
        assert outcome(s.send(number, number, size)) == (OK, 200)
    for number, request in enumerate(server.requests):
        assert request.signal == c.SIGNALS[number]
        assert request.body == body_of(number, sizes[number])
        assert request.headers["content-type"] == "application/x-protobuf"
        assert request.headers["authorization"] == "Bearer x"
        assert request.headers["host"] == f"localhost:{server.port}"
    stats = s.stats()
    assert stats["connects"] == 1 and stats["requests"] == 3
    assert gzip == (stats["bytes_sent"] < 4_000_000)


def test_http_each_status(collect, sender):
    server = collect(c.HttpCollector)
    s = sender(server.endpoint, http=1)
    for status in (201, 202, 204, 400, 401, 403, 404, 408, 413, 415, 429, 500, 501, 502, 503, 504):
        server.answers.append(c.Answer(status=status, code=3, text="" if status < 300 else "why",
                                       body=b"" if status == 204 else None))
        answer = s.send(status)
        kind = OK if status < 300 else RETRY if status in (429, 502, 503, 504) else REFUSED
        assert outcome(answer) == (kind, status) and not answer["grpc"]
        assert answer["message"] == ("" if status < 300 else "why")
    assert s.stats()["connects"] == 1


def test_http_retry_after(collect, sender):
    server = collect(c.HttpCollector)
    s = sender(server.endpoint, http=1)
    server.answers += [c.Answer(status=503, retry=7), c.Answer(status=429, retry=0),
                       c.Answer(status=503, headers={"Retry-After": email.utils.formatdate(
                           time.time() + 100, usegmt=True)}),
                       c.Answer(status=503, headers={"Retry-After": "soon"}),
                       c.Answer(status=503, body=c.rpc_status(14, "x", 4))]
    after = [s.send(number)["after"] for number in range(5)]
    assert after[0] == 7_000_000_000 and after[1] == 0
    assert 90_000_000_000 < after[2] <= 100_000_000_000
    assert after[3] == 0 and after[4] == 4_000_000_000


def test_http_partial_success_and_odd_bodies(collect, sender):
    server = collect(c.HttpCollector)
    s = sender(server.endpoint, http=1)
    server.answers += [c.Answer(rejected=3, text="three"), c.Answer(body=b"\xff"),
                       c.Answer(body=b"{}", headers={"Content-Type": "application/json"}),
                       c.Answer(status=400, body=b"\xff\xff"),
                       c.Answer(body=b"x" * 1_000_000), c.Answer(status=503, body=b"x" * 1_000_000)]
    answer = s.send(0)
    assert outcome(answer) == (OK, 200) and answer["rejected"] == 3 and answer["message"] == "three"
    assert [outcome(s.send(n)) for n in range(1, 6)] == [
        (OK, 200), (OK, 200), (REFUSED, 400), (OK, 200), (RETRY, 503)]


def test_http_redirect_is_not_followed(collect, sender):
    server, other = collect(c.HttpCollector), collect(c.HttpCollector)
    s = sender(server.endpoint, http=1)
    for status in (301, 302, 307, 308):
        server.answers.append(c.Answer(status=status, headers={"Location": other.endpoint}))
        answer = s.send(status)
        assert outcome(answer) == (REFUSED, status) and "redirect" in answer["message"]
    assert not other.requests


def test_http_deadline_and_concurrency(collect, sender):
    server = collect(c.HttpCollector)
    s = sender(server.endpoint, http=1, timeout_ms=500, concurrent=3)
    server.usual = c.Answer(hang=True)
    for number in range(3):
        s.tell(number)
    assert {outcome(s.line()) for _ in range(3)} == {(RETRY, 0)}
    server.usual = c.Answer()
    for number in range(20):
        s.tell(number)
    assert {outcome(s.line()) for _ in range(20)} == {(OK, 200)}
    assert s.stats()["connects"] <= 6


def test_http_away_and_back(collect, sender):
    server = collect(c.HttpCollector)
    s = sender(server.endpoint, http=1)
    assert outcome(s.send(1)) == (OK, 200)
    server.stop()
    for number in (2, 3):
        answer = s.send(number)
        assert outcome(answer) == (RETRY, 0) and answer["message"], answer
    again = collect(c.HttpCollector, port=server.port)
    assert outcome(s.send(4)) == (OK, 200) and len(again.requests) == 1


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise EOFError
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < size:
        body += connection.recv(65536)
    return body


def test_http_kept_connection_that_was_closed_is_no_failure(raw, sender):
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def script(connection, _):
        read_request(connection)
        connection.sendall(ok)
        with_next = read_request(connection)  # read, and the connection closed without a word
        assert with_next
    server = raw(script)
    s = sender(f"http://localhost:{server.port}/v1/traces", http=1)
    for number in range(3):
        assert outcome(s.send(number)) == (OK, 200)
    assert server.accepted == 3


def http_script(answer, close=True):
    def script(connection, _):
        read_request(connection)
        connection.sendall(answer)
        if not close:
            while connection.recv(65536):
                pass
    return script


def http_reset(connection, _):
    read_request(connection)
    c.reset(connection)


def http_endless_headers(connection, _):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x: y\r\n" * 1000)


HTTP_HOSTILE = {
    "closes": (lambda connection, _: None, (RETRY, 0)),
    "garbage": (http_script(b"\xa5" * 3000), (RETRY, 0)),
    "closes without an answer": (http_script(b""), (RETRY, 0)),
    "resets": (http_reset, (RETRY, 0)),
    "half a line": (http_script(b"HTTP/1.1 20"), (RETRY, 0)),
    "half a body": (http_script(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), (RETRY, 0)),
    "a chunk that is none": (http_script(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), None),
    "endless headers": (http_endless_headers, (RETRY, 0)),
    "no length": (http_script(b"HTTP/1.1 200 OK\r\n\r\nabc"), (OK, 200)),
    "HTTP/1.0": (http_script(b"HTTP/1.0 503 No\r\n\r\n"), (RETRY, 503)),
    "100 first": (http_script(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                              b"Content-Length: 0\r\n\r\n"), None),
    "a status of four digits": (http_script(b"HTTP/1.1 2000 OK\r\n\r\n"), None),
    "a negative length": (http_script(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), None),
}


@pytest.mark.parametrize("name", HTTP_HOSTILE)
def test_http_hostile_server(raw, sender, name):
    script, expected = HTTP_HOSTILE[name]
    server = raw(script)
    s = sender(f"http://localhost:{server.port}/v1/traces", http=1, timeout_ms=20000)
    began = time.monotonic()
    for number in range(3):
        answer = s.send(number)
        assert expected in (None, outcome(answer)), answer
    assert time.monotonic() - began < 20


def test_http_slow_answers_end_at_the_deadline(raw, sender):
    def drip(connection, _):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            c.readable(connection, 0.05)
    server = raw(drip)
    s = sender(f"http://localhost:{server.port}/v1/traces", http=1, timeout_ms=500)
    for number in range(2):
        assert outcome(s.send(number)) == (RETRY, 0)


def test_http_refusal_before_the_body_is_read(raw, sender):
    def script(connection, _):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n"
                           b"Connection: close\r\n\r\n")
        connection.shutdown(1)
        while connection.recv(65536):
            pass
    server = raw(script)
    s = sender(f"http://localhost:{server.port}/v1/traces", http=1)
    assert outcome(s.send(1, size=3_000_000)) == (REFUSED, 413)


def test_http_tls(collect, sender, certificates, tmp_path):
    server = collect(c.HttpCollector, certificates=certificates)
    s = sender(server.endpoint, http=1, ca_file=certificates.ca)
    for number in range(3):
        assert outcome(s.send(number, size=200_000)) == (OK, 200)
    assert s.stats()["connects"] == 1
    other = c.Certificates(tmp_path / "other")
    answer = sender(server.endpoint, http=1, ca_file=other.ca).send(1)
    assert outcome(answer) == (RETRY, 0) and "certificate" in answer["message"], answer
    plain = collect(c.HttpCollector)
    answer = sender(plain.endpoint.replace("http:", "https:"), http=1, skip_verify=1).send(1)
    assert outcome(answer) == (RETRY, 0), answer


def test_http_mutual_tls(collect, sender, certificates):
    server = collect(c.HttpCollector, certificates=certificates, mutual=True)
    mine = {"cert_file": certificates.client, "key_file": certificates.client_key}
    s = sender(server.endpoint, http=1, ca_file=certificates.ca, **mine)
    assert outcome(s.send(1)) == (OK, 200)
    assert outcome(sender(server.endpoint, http=1, ca_file=certificates.ca).send(1)) == (RETRY, 0)
    assert len(server.requests) == 1


def test_requests_that_are_open_at_the_end_are_forgotten(collect, sender):
    for kind, http in ((c.GrpcCollector, 0), (c.HttpCollector, 1)):
        server = collect(kind)
        server.usual = c.Answer(hang=True)
        s = sender(server.endpoint, http=http, gzip=1)
        for number in range(6):
            s.tell(number, size=100_000)
        server.wait(1)  # the fixture ends the sender, which frees all of it


@pytest.mark.parametrize("options,why", [
    ({"endpoint": "ftp://x"}, "http"), ({"endpoint": "http://a:b@x"}, "password"),
    ({"endpoint": "http://x/y"}, "path"), ({"endpoint": "http://x:0"}, "port"),
    ({"endpoint": "x/v1/traces", "http": 1}, "http"), ({"endpoint": "http://[::1"}, "bracket"),
    ({"endpoint": "http://x", "header.te": "x"}, "te"),
    ({"endpoint": "http://x", "header.a": "b\x01"}, "printable"),
    ({"endpoint": "https://x", "cert_file": "/x"}, "together"),
    ({"endpoint": "http://x", "concurrent": 0}, "range")])
def test_options_are_checked(options, why):
    s = Sender(**options)
    said = s.line()["why"]
    s.process.communicate()
    assert s.process.returncode == 1 and why in said and "a:b" not in said


def test_ipv6(raw, sender):
    def script(connection, _):
        if connection.recv(3, socket.MSG_PEEK) == b"PRI":
            peer = c.Peer(connection)
            peer.answer(peer.request())
            peer.until_closed()
        else:
            http_script(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(connection, _)
    try:
        server = raw(script, host="::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    url = f"http://[::1]:{server.port}"
    assert outcome(sender(url).send(1)) == (OK, 0)
    assert outcome(sender(url, http=1).send(1)) == (OK, 200)


# ---- the environment ----------------------------------------------------------------

def tls_garbage(connection, _):
    connection.recv(100)
    connection.sendall(b"\x16\x03\x03\xff\xff" + b"\xa5" * 5000)


def tls_alert(connection, _):
    connection.recv(100)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


def silence(connection, _):
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("http", [0, 1])
@pytest.mark.parametrize("script", [tls_garbage, tls_alert, silence, HOSTILE["closes"]])
def test_handshakes_that_fail(raw, sender, script, http):
    server = raw(script)
    s = sender(f"https://localhost:{server.port}/", http=http, skip_verify=1, timeout_ms=800)
    for number in range(2):
        assert outcome(s.send(number)) == (RETRY, 0)
    assert server.accepted == 2


def test_tls_without_http2(raw, sender, certificates):
    server = raw(silence, context=certificates.server_context())
    answer = sender(f"https://localhost:{server.port}", ca_file=certificates.ca).send(1)
    assert outcome(answer) == (RETRY, 0) and "ALPN" in answer["message"]


@pytest.mark.parametrize("http", [0, 1])
def test_no_descriptor_left(collect, sender, http):
    server = collect(c.HttpCollector if http else c.GrpcCollector)
    s = sender(server.endpoint, http=http, timeout_ms=2000)
    s.stats()  # it has started
    used = max(map(int, os.listdir(f"/proc/{s.process.pid}/fd"))) + 1
    before = resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
    for number in range(2):
        assert outcome(s.send(number)) == (RETRY, 0)
    resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, before)
    assert outcome(s.send(2)) == (OK, 200 if http else 0)


@pytest.mark.parametrize("http", [0, 1])
def test_nothing_is_left_behind(raw, sender, http):
    """Descriptors of connections that failed in every way are closed."""
    hostile = [script for script, _ in HTTP_HOSTILE.values()] if http else \
        [HOSTILE[name] for name in ("closes", "garbage", "closes within a frame", "resets")]

    def script(connection, number):
        hostile[number % len(hostile)](connection, number)
    server = raw(script)
    s = sender(f"http://localhost:{server.port}", http=http)
    s.send(0)
    before = len(os.listdir(f"/proc/{s.process.pid}/fd"))
    for number in range(1, 100):
        s.send(number)
    s.stats()
    assert len(os.listdir(f"/proc/{s.process.pid}/fd")) <= before + 1
    assert server.accepted >= 100
