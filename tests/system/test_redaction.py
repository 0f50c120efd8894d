"""No secret gets past the trust line: what is not in the store cannot be shown, sent or
dumped. The tests look for secrets in the bytes of the store file itself."""

import json
import os
import random
import string

import pytest

import items
import otlp
import wire
from collector import GrpcCollector, HttpCollector
from command import at, ok
from conftest import until

GITHUB = "ghp_" + "Ab3dEf6hIj" * 4
WEB = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290In0.c2lnbmF0dXJlLW9mLWl0"


@pytest.fixture
def producer(daemon):
    one = wire.Producer(daemon.socket)
    one.greet()
    yield one
    one.close()


def redactions(daemon, by="place"):
    found = {"label": 0, "attribute": 0, "text": 0} if by == "place" else {}
    for (name, labels), value in daemon.metrics().items():
        if name == "mcptally_redactions_total":
            found[dict(labels)[by]] = found.get(dict(labels)[by], 0) + value
    return found


def test_every_place(daemon, producer):
    """A secret in each place that text can come in by."""
    producer.send(wire.metric(1, "calls") + wire.series(1, 1, tool="echo", api_key="in-a-label"))
    producer.count((1, 1))
    items.send(
        producer,
        items.event("login", {"n": 1}, {"user": "bob", "password": "in-an-event"}),
        items.log(f"cloning with {GITHUB} as git", authorization="Basic in-a-log"),
        items.health("db", "healthy", "postgres://app:in-a-message@db/main"),
        items.span("GET https://u:in-a-name@host/", f"Bearer {WEB} refused",
                   {"http.request.header.cookie": "in-a-span", "count": 3},
                   [("sent password=in-an-event-name", {"client_secret": "in-a-span-event"})]))
    stored = daemon.store.read_bytes()
    for secret in ("in-a-label", "in-an-event", "in-a-log", "in-a-message", "in-a-name",
                   "in-a-span", "in-an-event-name", "in-a-span-event", GITHUB, WEB):
        assert secret.encode() not in stored, secret
    assert b"cloning with [REDACTED] as git" in stored
    assert b"postgres://app:[REDACTED]@db/main" in stored
    samples = daemon.metrics()
    assert samples[("calls_total", (("api_key", "[REDACTED]"), ("service_name", "test"),
                                    ("tool", "echo")))] == 1
    found = redactions(daemon)
    assert (found["attribute"], found["text"]) == (4, 5)
    assert found["label"] >= 1  # the name of the span is one, too, of the metrics made of it
    rules = {rule: n for rule, n in redactions(daemon, "rule").items() if n}
    assert rules.pop("url_credentials") >= 2
    assert rules == {"key": 5, "token_prefix": 1, "bearer": 1, "assignment": 1}
    daemon.check_accounting()


def random_secret(chance):
    length = chance.randint(12, 40)
    return "".join(chance.choice(string.ascii_letters + string.digits + "!#$*+-/:;=?@_~")
                   for _ in range(length))


def nested(key, secret, depth):
    value = {"id": 1, key: secret, "ok": True}
    for _ in range(depth):
        value = {"content": [{"type": "text", "text": json.dumps(value)}]}
    return json.dumps(value)


def test_generated_secrets(daemon, producer):
    """Secrets in JSON inside JSON, as tool calls and their results carry them."""
    seed = int(os.environ.get("MCPTALLY_SEED", random.randrange(2**32)))
    print(f"MCPTALLY_SEED={seed}")
    chance = random.Random(seed)
    keys = ("password", "apiKey", "client_secret", "access_token", "Authorization", "DB_PASSWORD")
    secrets, sent = [], []
    for i in range(500):
        secret = random_secret(chance)
        text = nested(chance.choice(keys), secret, i % 4)
        secrets.append(secret)
        sent.append(items.log(text) if i % 2 else
                    items.span("tools/call", metadata={"gen_ai.tool.call.arguments": text}))
    items.send(producer, *sent)
    stored = daemon.store.read_bytes()
    for secret in secrets:
        assert secret.encode() not in stored, secret
    found = redactions(daemon)
    assert (found["text"], found["attribute"]) == (250, 250)
    daemon.check_accounting()


def spans_with(secret, i):
    """Spans with it in one place after another: as a text, and as a value by its key."""
    text = (f"password={secret}", f"https://user:{secret}@example.org/x", f"Bearer {secret}",
            json.dumps({"a": json.dumps({"api_key": secret})}))[i % 4]
    attrs = {"password": secret} if i % 8 < 4 else {"note": text}
    deep = {"list": [1, {"inner": [attrs]}], "tool": "echo"}
    return [
        otlp.span(text), otlp.span(attrs=attrs), otlp.span(attrs=deep),
        otlp.span(tracestate=f"vendor=x,token={secret}"),
        otlp.span(more=otlp.field(11, otlp.field(2, text) + otlp.attributes(3, attrs))),
        otlp.span(more=otlp.field(13, otlp.field(3, f"token={secret}")
                                  + otlp.attributes(4, deep))),
        otlp.span(more=otlp.field(15, otlp.field(2, text))),
        otlp.span(attrs={"gen_ai.tool.call.arguments": {"city": secret}}),
    ][i // 8 % 8]


def logs_with(secret, i):
    text = f"the password is {secret}" if i % 2 else f"sent token={secret} to them"
    return [
        otlp.log(text), otlp.log({"a": [{"secret": secret}]}), otlp.log([text, "x"]),
        otlp.log(attrs={"authorization": f"Basic {secret}"}),
        otlp.log(more=otlp.field(3, text)),
    ][i // 2 % 5]


def metrics_with(secret, i):
    attrs = {"api_key": secret} if i % 2 else {"note": f"token={secret}"}
    exemplar = otlp.field(5, otlp.attributes(7, attrs) + otlp.fixed64(2, otlp.NOW)
                          + otlp.fixed64(6, 1))
    return [
        otlp.gauge("load", otlp.point(1, attrs)),
        otlp.counter("calls", otlp.point(1) + exemplar),
        otlp.gauge("load", otlp.point(1)) + otlp.field(2, f"password={secret}"),
    ][i // 2 % 3]


@pytest.fixture
def collectors():
    both = GrpcCollector(), HttpCollector()
    yield both
    for one in both:
        one.stop()


def forwarding(daemon, collectors):
    """To a collector of each kind, and to one that is away, whose spool takes all."""
    grpc, http = collectors
    daemon.options["export.destinations"] = json.dumps([
        {"name": "grpc", "protocol": "grpc", "endpoint": getattr(grpc, "base", grpc.endpoint)},
        {"name": "http", "endpoint": getattr(http, "base", http.endpoint)},
        {"name": "away", "endpoint": "http://127.0.0.1:1"}])
    daemon.options.update({"export.batch_delay": "20ms", "export.retry_first": "50ms",
                           "export.retry_most": "200ms", "export.spool_after": "0",
                           "sampling.enabled": "no"})
    return daemon.start()


def have_all(daemon):
    """Whether every destination was sent, or its spool has, what came."""
    lanes = daemon.status()["export"]
    assert len(lanes) == 9
    return all(one["waiting"] == one["queued"] == 0
               and (one["items"]["delivered"] if one["destination"] != "away"
                    else one["spool"]["items"]) > 300 for one in lanes)


def test_secrets_in_otlp(new_daemon, collectors):
    """1,200 of them, in every place of every signal, over both ports: none is in the store,
    on the page, in the log, in what tail and trace show, in what collectors of either
    kind are sent, or in the spool of one that is away."""
    daemon = forwarding(new_daemon(), collectors)
    seed = int(os.environ.get("MCPTALLY_SEED", random.randrange(2**32)))
    print(f"MCPTALLY_SEED={seed}")
    chance = random.Random(seed)
    grpc = otlp.Grpc(daemon)
    secrets = []
    for signal, make in (("traces", spans_with), ("logs", logs_with), ("metrics", metrics_with)):
        for i in range(0, 400, 8):
            fresh = ["".join(chance.choices(string.ascii_letters + string.digits, k=24)) + "7aZ"
                     for _ in range(8)]
            secrets += fresh
            message = otlp.request([make(s, i + n) for n, s in enumerate(fresh)],
                                   resource={"db.password": fresh[0]}, scope="test")
            if i % 16:
                assert otlp.post(daemon, signal, message).status == 200
            else:
                grpc.export(signal, message)
    grpc.close()
    stored = daemon.store.read_bytes().replace(bytes(4096), b"")
    shown = stored + daemon.get("/metrics").body + daemon.log().encode()
    for what in ("--spans", "--logs"):
        shown += ok("tail", what, "--json", "--all", "--no-follow", *at(daemon)).encode()
    shown += ok("trace", "01" * 16, *at(daemon)).encode()
    until(lambda: have_all(daemon), "what is sent")
    for collector in collectors:
        sent = b"".join(r.body for r in collector.requests)
        assert sent.count(b"[REDACTED]") > 1200
        shown += sent
    spooled = b"".join(f.read_bytes() for f in daemon.state.rglob("*") if f.is_file())
    assert spooled.count(b"[REDACTED]") > 1200
    shown += spooled + daemon.log().encode()
    left = [s for s in secrets if s.encode() in shown]
    assert left == []
    rules = {rule for rule, n in redactions(daemon, "rule").items() if n}
    assert rules >= {"key", "assignment", "url_credentials", "bearer", "tool_content", "phrase"}
    daemon.check_accounting()


def test_plain_text_stays(daemon, producer):
    texts = ["tokens: 512 in, 12 out", "author: me", "the password must be longer",
             "mcp.session.id=0af7651916cd43dd8448eb211c80319c", '{"progressToken":7}']
    items.send(producer, *(items.log(text, note=text) for text in texts))
    stored = daemon.store.read_bytes()
    for text in texts:
        assert stored.count(text.encode()) == 2, text
    assert sum(redactions(daemon).values()) == 0
    daemon.check_accounting()


def test_configured_keys(new_daemon, tmp_path):
    """Keys that only this site knows, and an exception; changed by a reload."""
    daemon = new_daemon()
    daemon.config = tmp_path / "redact.yaml"
    daemon.config.write_text("redaction:\n  keys: [badge_number]\n  allow: [token]\n")
    daemon.start()
    producer = wire.Producer(daemon.socket)
    producer.greet()

    def tell(mark):
        items.send(producer, items.event("e", None, {"badgeNumber": f"badge-{mark}",
                                                     "token": f"token-{mark}"}))
        return daemon.store.read_bytes()

    stored = tell("first")
    assert b"badge-first" not in stored and b"token-first" in stored
    daemon.config.write_text("redaction:\n  enabled: false\n")
    daemon.reload()
    stored = tell("second")
    assert b"badge-second" in stored and b"token-second" in stored
    daemon.check_accounting()
