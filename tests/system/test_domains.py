"""Failure domains: budgets, breaker, safe mode, and what is told of them."""

import struct

import pytest

import wire
from conftest import until
from wire import Producer

DOMAIN_IN_HAND = 77  # word of struct store_head
MAPPING = """\
domains:
  mapping: [{service: bad, domain: 3}, {service: good, domain: 4}]
  breaker_faults: 100
  breaker_window: 60s
  breaker_rest: 2s
  breaker_probe: 1s
"""


@pytest.fixture
def one(new_daemon):
    made = new_daemon()
    made.config = made.runtime / "config.yaml"
    made.config.write_text(MAPPING)
    return made


def of(daemon, name, domain, **labels):
    """The value of a sample of a domain."""
    key = tuple(sorted({"domain": str(domain), **labels}.items()))
    return daemon.metrics()[(name, key)]


def producer(daemon, service, **more):
    """A connected producer with series 1, a counter."""
    made = Producer(daemon.socket, **more)
    made.greet(service=service)
    made.send(wire.metric(1, "hits") + wire.series(1, 1))
    return made


def said(daemon, name):
    """What /health/detailed says of a check."""
    checks = daemon.get("/health/detailed", "health").json()["checks"]
    return next((c["status"], c.get("message", "")) for c in checks if c["name"] == name)


def refused(daemon, service):
    """For how many ms a domain is refused."""
    made = Producer(daemon.socket)
    made.send(wire.hello(made.session, service=service))
    return made.told_to_wait()


def serves(daemon, service):
    """The other domains go on."""
    made = producer(daemon, service)
    made.count((1, 1))
    made.wait_ack()
    made.close()


def spoil(daemon):
    """Sends what cannot be read until the breaker of domain 3 is open."""
    bad = producer(daemon, "bad")
    bad.send(b"".join(wire.frame(wire.EVENT, struct.pack("<QII", bad.next + i, 1, 0) + b"\xff")
                      for i in range(200)))
    assert bad.told_to_wait() > 0
    assert bad.closed()
    return bad


def test_breaker_opens_and_closes_by_itself(one):
    one.start()
    good = producer(one, "good")
    spoil(one)
    assert of(one, "mcptally_domain_breaker_state", 3) == 2
    assert 0 < refused(one, "bad") <= 2000
    until(lambda: said(one, "domains") == (
        "warn", "domain 3 is refused: too much that it sent is malformed"), "health to say so")
    good.count((1, 1))
    good.wait_ack()
    serves(one, "good")
    until(lambda: of(one, "mcptally_domain_breaker_state", 3) == 0, "the breaker to close")
    assert of(one, "mcptally_domain_recovery_seconds", 3) >= 3
    assert of(one, "mcptally_domain_breaker_opened_total", 3) == 1
    assert of(one, "mcptally_domain_restarts_total", 3) == 1
    assert of(one, "mcptally_domain_connections_refused_total", 3) >= 2
    assert of(one, "mcptally_domain_availability_ratio", 3, window="1h") < 1
    assert of(one, "mcptally_domain_availability_ratio", 4, window="1h") > 0.9
    serves(one, "bad")
    until(lambda: said(one, "domains")[0] == "pass", "health to be well")
    assert "domain 3 is refused for 2 s" in one.log()
    one.check_accounting()


def test_breaker_outlives_the_daemon(one):
    one.config.write_text(MAPPING.replace("2s", "1h"))
    one.start()
    spoil(one)
    one.kill()
    one.start()
    assert 200000 < refused(one, "bad") <= 300000
    serves(one, "good")
    assert of(one, "mcptally_domain_breaker_opened_total", 3) == 1
    one.check_accounting()


def test_domain_that_daemons_die_of_is_set_aside(one):
    for _ in range(3):
        one.start()
        one.kill()
        with open(one.store, "r+b") as f:
            f.seek(8 * DOMAIN_IN_HAND)
            f.write(struct.pack("<Q", 3 + 1))
    one.start()
    assert "domain 3 is set aside: 3 daemons died with its input in hand" in one.log()
    assert 0 < refused(one, "bad") <= 2000
    serves(one, "good")
    assert said(one, "domains") == (
        "warn", "domain 3 is set aside: daemons died with its input in hand")
    assert of(one, "mcptally_domain_set_aside", 3) == 1
    assert of(one, "mcptally_domain_crashes_total", 3) == 3
    until(lambda: of(one, "mcptally_domain_breaker_state", 3) == 0, "the domain to come back")
    assert of(one, "mcptally_domain_set_aside", 3) == 0
    serves(one, "bad")
    one.check_accounting()


def test_domain_over_its_rate_is_read_later_and_loses_nothing(one):
    one.config.write_text(MAPPING + "limits:\n  items_per_second: 2000\n  defer: 1m\n")
    one.start()
    bad = producer(one, "bad")
    for _ in range(60):
        bad.count(*[(1, 1)] * 100)
    serves(one, "good")
    bad.wait_ack()
    assert of(one, "mcptally_domain_reads_deferred_total", 3) > 0
    assert of(one, "mcptally_items_applied_total", 3) == 6000
    assert of(one, "mcptally_items_dropped_total", 3, reason="rate_limited") == 0
    one.check_accounting()


def test_domain_that_stays_over_its_rate_is_dropped_and_told(one):
    one.config.write_text(MAPPING + "limits:\n  items_per_second: 1000\n  defer: 0\n")
    one.start()
    bad = producer(one, "bad")
    for _ in range(100):
        bad.count(*[(1, 1)] * 100)
    assert bad.rejected() == 12
    until(lambda: of(one, "mcptally_items_received_total", 3) == 10000, "all to be read")
    dropped = of(one, "mcptally_items_dropped_total", 3, reason="rate_limited")
    assert dropped + of(one, "mcptally_items_applied_total", 3) == 10000
    assert dropped > 0
    serves(one, "good")
    assert of(one, "mcptally_items_dropped_total", 4, reason="rate_limited") == 0
    one.check_accounting()
