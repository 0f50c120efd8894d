"""No secret gets past the trust line: what is not in the store cannot be shown, sent or
dumped. The tests look for secrets in the bytes of the store file itself."""

import json
import os
import random
import string

import pytest

import items
import wire

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
