"""A collector that is killed, stopped, restarted, that answers each status, resets streams, says
goodbye, never replies, replies slowly or in part: nothing that may be sent again is lost, nothing
that may not be is sent again, and the counters say so."""

import json
import re
import signal

import pytest

import collector as c
from conftest import until
from otlp import log, post, request

RETRYABLE = {1, 4, 10, 11, 14, 15}
RETRYABLE_HTTP = {429, 502, 503, 504}


def lines(bodies):
    """The lines in requests, in order."""
    return [int(n) for body in bodies for n in re.findall(rb"<(\d+)>", body)]


class Node:
    """A daemon with one destination, and what went into it."""

    def __init__(self, daemon, protocol, endpoint, **more):
        up = {"name": "up", "protocol": protocol, "endpoint": endpoint, "timeout": "10s",
              "concurrent": 2, **more}
        daemon.options.update({
            "listen.otlp_http": "127.0.0.1:0", "export.destinations": json.dumps([up]),
            "export.batch_delay": "5ms", "export.batch_items": "10", "export.retry_first": "20ms",
            "export.retry_most": "100ms", "export.spool_after": "0"})
        self.daemon = daemon.start()
        self.said = 0

    def say(self, count=1):
        """Log lines, numbered from 1 on."""
        numbers = range(self.said + 1, self.said + count + 1)
        answer = post(self.daemon, "logs", request([log(f"<{n}>") for n in numbers]))
        assert answer.status == 200
        self.said += count

    def lane(self):
        return next(one for one in self.daemon.status()["export"] if one["signal"] == "logs")

    def items(self, outcome):
        return self.lane()["items"][outcome]

    def answers(self):
        """Requests by result."""
        return {dict(labels)["result"]: int(value)
                for (name, labels), value in self.daemon.metrics().items()
                if name == "mcptally_export_requests_total"
                and dict(labels)["signal"] == "logs"}

    def settled(self, **outcomes):
        """Waits until each item is done with, as told; the rest was delivered."""
        outcomes["delivered"] = self.said - sum(outcomes.values())
        until(lambda: all(self.items(k) == n for k, n in outcomes.items()), f"{outcomes}")
        lane = self.lane()
        assert lane["spool"]["items"] == 0
        assert {k: n for k, n in lane["items"].items() if n} == {k: n for k, n in outcomes.items()
                                                                  if n}
        self.daemon.check_accounting()


@pytest.fixture
def ends():
    todo = []
    yield todo
    for end in reversed(todo):
        end()


@pytest.fixture(params=["grpc", "http"])
def pair(request, new_daemon, ends):
    """A collector in this process, and a node that sends to it."""
    grpc = request.param == "grpc"

    def start(answers=(), **more):
        server = (c.GrpcCollector if grpc else c.HttpCollector)()
        ends.append(server.stop)
        server.answers.extend(answers)
        node = Node(new_daemon(), "grpc" if grpc else "http/protobuf",
                    server.endpoint if grpc else server.base, **more)
        return server, node
    start.grpc = grpc
    return start


def sent(server):
    return lines(r.body for r in server.requests)


def taken(server):
    return lines(r.body for r in server.requests if r.answer.code == 0 and r.answer.status < 300)


# ---- statuses -------------------------------------------------------------------------

def check_each(node, server, rows):
    """One line for each answer: (answer, whether it may be sent again)."""
    refused, retried = 0, 0
    for answer, again in rows:
        server.answers.append(answer)
        node.say()
        retried += again
        refused += not again
        node.settled(refused=refused)
        assert sent(server).count(node.said) == 1 + again, answer
        assert taken(server).count(node.said) == again
    answers = node.answers()
    assert answers["retry"] == retried and answers["refused"] == refused
    assert answers["ok"] == retried


def test_each_grpc_status(new_daemon, ends):
    server = c.GrpcCollector()
    ends.append(server.stop)
    node = Node(new_daemon(), "grpc", server.endpoint)
    rows = [(c.Answer(code=code, text=f"code {code}"), code in RETRYABLE) for code in range(1, 17)]
    rows += [(c.Answer(code=8, retry=0.01), True), (c.Answer(code=14, retry=0.01), True),
             (c.Answer(code=13, retry=0.01), False)]
    check_each(node, server, rows)


def test_each_http_status(new_daemon, ends):
    server = c.HttpCollector()
    ends.append(server.stop)
    node = Node(new_daemon(), "http/protobuf", server.base)
    rows = [(c.Answer(status=status), status in RETRYABLE_HTTP)
            for status in (301, 307, 400, 401, 403, 404, 408, 413, 415, 429, 500, 501, 502, 503,
                           504, 505)]
    rows.append((c.Answer(status=503, retry=0), True))
    check_each(node, server, rows)


def test_partial_success(pair):
    server, node = pair([c.Answer(rejected=3, text="three"), c.Answer(text="all, but beware")])
    node.say(10)
    node.settled(rejected=3)
    node.say(10)
    node.settled(rejected=3)
    assert sent(server) == list(range(1, 21))
    assert node.answers()["retry"] == 0


# ---- certificates and names, by the helper process ------------------------------------

@pytest.mark.parametrize("kind", [c.GrpcCollector, c.HttpCollector])
def test_mutual_tls(new_daemon, ends, tmp_path, kind):
    mine = c.Certificates(tmp_path / "mine")
    other = c.Certificates(tmp_path / "other")
    server = kind(certificates=mine, mutual=True)
    ends.append(server.stop)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(other.ca.read_bytes())
    node = Node(new_daemon(), "grpc" if kind is c.GrpcCollector else "http/protobuf",
                getattr(server, "base", server.endpoint), ca_file=str(ca),
                cert_file=str(mine.client), key_file=str(mine.client_key))
    node.say(5)
    until(lambda: "certificate" in (node.lane()["error"] or ""), "a certificate that is unknown")
    assert not server.requests
    ca.write_bytes(mine.ca.read_bytes())  # renewed: nobody needs to be told
    node.settled()
    assert sorted(sent(server)) == [1, 2, 3, 4, 5]


# ---- silence --------------------------------------------------------------------------

def test_slow_replies_are_no_failures(pair):
    server, node = pair()
    server.usual = c.Answer(delay=0.3)
    node.say(40)
    node.settled()
    assert sorted(sent(server)) == list(range(1, 41))
    assert node.answers()["retry"] == 0


def test_no_replies(pair):
    """It takes and never replies; then it does."""
    server, node = pair(timeout="300ms")
    server.usual = c.Answer(hang=True)
    node.say(25)
    until(lambda: node.answers()["retry"] >= 3, "requests without an answer")
    assert node.items("delivered") == 0
    server.usual = c.Answer()
    node.settled()
    got = lines(r.body for r in server.requests if not r.answer.hang)
    assert set(got) == set(range(1, 26)) and len(got) == 25


# ---- HTTP/2 that goes wrong -----------------------------------------------------------

def frames(new_daemon, ends, script):
    server = c.Raw(script)
    ends.append(server.stop)
    return server, Node(new_daemon(), "grpc", f"http://127.0.0.1:{server.port}",
                        compression="none")


@pytest.mark.parametrize("error,again", [(7, True), (8, True), (11, True), (2, False),
                                         (1, False), (12, False)])
def test_streams_that_are_reset(new_daemon, ends, error, again):
    got = []

    def script(connection, _):
        peer = c.Peer(connection)
        for number in range(1000):
            stream = peer.request()
            if number == 0:
                peer.rst(stream, error)
            else:
                got.append(peer.bodies[stream])
                peer.answer(stream)
    _, node = frames(new_daemon, ends, script)
    node.say()
    node.settled(refused=0 if again else 1)
    node.say()
    node.settled(refused=0 if again else 1)
    assert lines(got) == ([1, 2] if again else [2])


def test_goodbye_again_and_again(new_daemon, ends):
    """Each connection takes three requests, with a fourth one above its GOAWAY."""
    got = []

    def script(connection, _):
        peer = c.Peer(connection)
        for number in range(3):
            stream = peer.request()
            if number == 2:
                peer.goaway(stream)
            got.append(peer.bodies[stream])
            peer.answer(stream)
        peer.until_closed()
    server, node = frames(new_daemon, ends, script)
    for _ in range(20):
        node.say(20)
    node.settled()
    assert sorted(lines(got)) == list(range(1, 401))
    assert server.accepted >= 400 // 10 // 3
    assert node.answers()["retry"] == 0


def test_connections_that_break(new_daemon, ends):
    """At every place of a reply in turn."""
    got = []

    def script(connection, number):
        peer = c.Peer(connection)
        stream = peer.request()
        whole = (c.frame(c.HEADERS, c.END_HEADERS, stream,
                         c.hpack([(":status", "200"), ("content-type", "application/grpc")])) +
                 c.frame(c.DATA, 0, stream, c.grpc_message()) +
                 c.frame(c.HEADERS, c.END_HEADERS | c.END_STREAM, stream,
                         c.hpack([("grpc-status", "0")])))
        cut = number * 7
        connection.sendall(whole[:cut])
        if cut < len(whole):
            if number % 2:
                c.reset(connection)
            return
        got.append(peer.bodies[stream])
        while True:
            stream = peer.request()
            got.append(peer.bodies[stream])
            peer.answer(stream)
    server, node = frames(new_daemon, ends, script)
    node.say(5)
    node.settled()
    assert sorted(lines(got)) == [1, 2, 3, 4, 5] and server.accepted > 10
    assert node.answers()["refused"] == 0


# ---- processes ------------------------------------------------------------------------

@pytest.fixture(params=[c.GrpcCollector, c.HttpCollector])
def process(request, new_daemon, ends, tmp_path):
    server = c.Process(request.param, tmp_path / "taken")
    ends.append(server.kill)
    grpc = request.param is c.GrpcCollector
    node = Node(new_daemon(), "grpc" if grpc else "http/protobuf",
                f"http://127.0.0.1:{server.port}", timeout="1s")
    return server, node


def test_killed_and_restarted(process):
    server, node = process
    for _ in range(4):
        node.say(30)
        until(lambda: server.taken(), "a request")
        server.kill()
        node.say(30)
        until(lambda: node.lane()["spool"]["items"] > 0, "the spool")
        server.start()
        node.say(30)
        before = len(server.taken())
        until(lambda n=before: len(server.taken()) > n, "requests again")
    until(lambda: set(lines(server.taken())) == set(range(1, node.said + 1)), "all lines")
    node.settled()


def test_stopped_and_continued(process):
    """SIGSTOP: connections are accepted by the kernel and nothing is ever said."""
    server, node = process
    node.say(30)
    node.settled()
    server.signal(signal.SIGSTOP)
    node.say(30)
    until(lambda: node.answers()["retry"] >= 2, "requests without an answer")
    server.signal(signal.SIGCONT)
    node.say(30)
    node.settled()
    assert set(lines(server.taken())) == set(range(1, 91))
