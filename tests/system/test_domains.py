"""Failure domains: budgets, breaker, safe mode, and what is told of them."""

import json
import mmap
import os
import pathlib
import re
import signal
import struct
import subprocess
import time

import pytest

import command
import otlp
import wire
from conftest import BUILD, until
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


# ---- the command ----

def shown(daemon, *words):
    return json.loads(command.ok("domain", *words, "--json", *command.at(daemon)))


def state(daemon, number):
    return shown(daemon, "show", str(number))["breaker"]["state"]


def test_command_lists_shows_and_resets(one):
    one.config.write_text(MAPPING.replace("2s", "1h"))
    one.start()
    serves(one, "good")
    spoil(one)
    listed = shown(one, "list")
    assert listed["running"] and len(listed["domains"]) == 10
    assert [d["domain"] for d in listed["domains"] if d["breaker"]["state"] != "closed"] == [3]
    bad = shown(one, "show", "3")
    assert bad["breaker"]["cause"] == "faults" and bad["breaker"]["left_seconds"] > 200
    assert bad["accounting"]["dropped"]["malformed"] >= 100
    assert bad["availability"]["1h"] <= 1 and bad["refused"] >= 1
    assert "domain 3 is refused, its breaker is open" in command.ok("status", *command.at(one))
    text = command.ok("domain", *command.at(one))
    assert re.search(r"^ +3  open: faults", text, re.M) and re.search(r"^ +4  closed", text, re.M)
    assert "dropped" in command.ok("domain", "show", "3", *command.at(one))
    assert shown(one, "reset", "3")["breaker"]["state"] == "closed"
    serves(one, "bad")
    said_so = next(json.loads(line) for line in one.log().splitlines() if "domain.reset" in line)
    assert said_so["fields"]["object"] == "domain 3" and said_so["fields"]["outcome"] == "done"
    assert said_so["fields"]["uid"] == os.getuid() and said_so["fields"]["pid"] > 0
    one.kill()
    listed = shown(one, "list")
    assert not listed["running"] and len(listed["domains"]) == 10
    assert shown(one, "show", "3")["restarts"] == 1
    assert command.run("domain", "reset", "3", *command.at(one)).returncode == 69


@pytest.mark.parametrize("words", [["show"], ["show", "x"], ["show", "64"], ["what"],
                                   ["list", "3"], ["drain", "-1"], ["reset", "1", "2"]])
def test_command_refuses_what_it_does_not_know(words):
    assert command.run("domain", *words).returncode == 64


def test_command_names_domains_that_there_are(daemon):
    done = command.run("domain", "reset", "10", *command.at(daemon))
    assert done.returncode == 1 and "from 0 to 9" in done.stderr


def test_drained_domain_is_read_to_the_end(one):
    one.start()
    bad, good = producer(one, "bad"), producer(one, "good")
    bad.count(*[(1, 1)] * 1000)
    assert shown(one, "drain", "3")["drained"]
    bad.wait_ack()
    assert bad.told_to_wait() > 0
    assert bad.closed()
    assert refused(one, "bad") > 0
    assert of(one, "mcptally_items_applied_total", 3) == 1000
    good.count((1, 1))
    good.wait_ack()
    one.kill()
    one.start()
    assert refused(one, "bad") > 0
    assert shown(one, "show", "3")["drained"] and of(one, "mcptally_domain_drained", 3) == 1
    assert shown(one, "reset", "3")["drained"] is False
    serves(one, "bad")
    one.check_accounting()


def test_library_keeps_its_items_while_its_domain_is_drained(one):
    one.start()
    program = subprocess.Popen([str(BUILD / "tests/system/killer"), one.socket, "bad", "7"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: one.metrics().get(
            ("mcptally_items_applied_total", (("domain", "3"),)), 0) > 1000, "items to come")
        shown(one, "drain", "3")
        until(lambda: shown(one, "show", "3")["connections"] == 0, "the domain to be empty")
        before = of(one, "mcptally_items_applied_total", 3)
        shown(one, "reset", "3")
        until(lambda: of(one, "mcptally_items_applied_total", 3) > before, "it to come back")
        totals = json.loads(program.communicate("stop\n", timeout=120)[0])
        assert program.returncode == 0
    finally:
        program.kill()
        program.wait()
    assert of(one, "mcptally_items_received_total", 3) == totals["items"]
    one.check_accounting()


def test_otlp_of_a_domain_that_takes_nothing_is_put_off(one):
    one.start()
    message = otlp.request([otlp.span()], service="bad")
    assert otlp.post(one, "traces", message).status == 200
    shown(one, "drain", "3")
    answer = otlp.post(one, "traces", message)
    assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1
    assert otlp.post(one, "traces", otlp.request([otlp.span()], service="good")).status == 200
    assert of(one, "mcptally_items_received_total", 3) == 1
    shown(one, "reset", "3")
    assert otlp.post(one, "traces", message).status == 200
    assert of(one, "mcptally_items_received_total", 3) == 2
    one.check_accounting()


def test_otlp_over_its_rate_is_told_when_to_come_back(one):
    one.config.write_text(MAPPING + "limits:\n  items_per_second: 10\n  defer: 0\n")
    one.start()
    many = otlp.request([otlp.log(body=str(i)) for i in range(100)], service="bad")
    assert otlp.post(one, "logs", many).status == 200
    answer = otlp.post(one, "logs", many)
    assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1
    assert otlp.post(one, "logs", otlp.request([otlp.log()], service="good")).status == 200
    assert of(one, "mcptally_items_received_total", 3) == 100
    one.check_accounting()


# ---- safe mode ----

def die_of(daemon, number):
    """Ends the daemon at a moment when it has input of the domain in hand."""
    with open(daemon.store, "rb") as f, mmap.mmap(f.fileno(), 65536, access=mmap.ACCESS_READ) as m:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if m[8 * DOMAIN_IN_HAND] != number + 1:
                continue
            os.kill(daemon.pid, signal.SIGSTOP)
            if m[8 * DOMAIN_IN_HAND] == number + 1:
                daemon.kill()
                return
            os.kill(daemon.pid, signal.SIGCONT)
    raise AssertionError("never in hand")


def test_input_that_kills_puts_its_domain_aside_and_nobody_else(one):
    """Three daemons die in the middle of what a producer sends; the fourth serves the rest."""
    one.start()
    line = [str(BUILD / "tests/system/killer"), one.socket, "bad", "7"]
    poison = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    good = producer(one, "good")
    session, sent = good.session, 0
    try:
        for _ in range(3):
            good.count((1, 1))
            good.wait_ack()
            sent += 1
            die_of(one, 3)
            one.start()
            good = Producer(one.socket, session=session)
            good.next = sent + 1
            assert good.greet(service="good")[2] == sent
            good.send(wire.metric(1, "hits") + wire.series(1, 1))
        good.count((1, 1))
        good.wait_ack()
        assert "domain 3 is set aside: 3 daemons died with its input in hand" in one.log()
        assert of(one, "mcptally_domain_set_aside", 3) == 1
        assert one.metrics()[("hits_total", (("service_name", "good"),))] == 4
        until(lambda: state(one, 3) == "closed", "the domain to come back")
    finally:
        poison.kill()
        poison.wait()
    one.check_accounting()


# ---- a crowd ----

def test_fifteen_thousand_producers_on_the_defaults(new_daemon):
    """All connected at once, all active, of one user, on the default configuration."""
    one = new_daemon().start()
    crowd = subprocess.Popen([str(BUILD / "tests/bench/crowd"), one.socket, "15000", "1"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said_so = json.loads(crowd.stdout.readline())
        for what in ("connections", "services", "acknowledged"):
            assert said_so[what] == 15000
        samples = one.metrics()
        connected = [v for (name, _), v in samples.items() if name == "mcptally_connections"]
        assert sum(connected) == 15000 and len(connected) == 10
        hits = [v for (name, _), v in samples.items() if name == "crowd_hits_total"]
        assert len(hits) == 15000 and set(hits) == {1}
        assert samples["mcptally_connections_refused_total", ()] == 0
        assert one.get("/health", "health").status == 200
        memory = pathlib.Path(f"/proc/{one.pid}/smaps_rollup").read_text()
        heap = int(re.search(r"^Anonymous: +(\d+) kB", memory, re.M)[1])
        print(f"{heap / 15000:.2f} KiB of memory a connection, and in the store "
              f"{samples['mcptally_store_reserved_bytes', ()] / 15000 / 1024:.2f} KiB")
    finally:
        crowd.communicate("", timeout=120)
    one.check_accounting()
