"""Sampling as it is seen from outside: rates shown and changed, what leaves no trace."""

import json

import pytest

import items
import wire
from command import at, ok, run
from conftest import until


def shown(daemon):
    return json.loads(ok("sampling", "--json", *at(daemon)))


def ratio(daemon, tier):
    return daemon.metrics()[("mcptally_sampling_ratio", (("tier", tier),))]


def test_show_set_and_reset(daemon):
    assert shown(daemon)["tiers"]["normal"] == {"configured": 0.1, "set": None, "now": 0.1}
    page = ok("sampling", *at(daemon))
    assert "normal     10%, configured as 10%\n" in page
    page = ok("sampling", "set", "normal", "25%", *at(daemon))
    assert "normal     25%, set to 25%; configured as 10%\n" in page
    assert shown(daemon)["tiers"]["normal"] == {"configured": 0.1, "set": 0.25, "now": 0.25}
    until(lambda: ratio(daemon, "normal") == 0.25, "the metric follows")
    assert "normal 25% (set)" in ok("status", *at(daemon))
    assert daemon.status()["sampling"]["tiers"]["critical"]["now"] == 1
    ok("sampling", "set", "debug", "0", *at(daemon))
    assert shown(daemon)["tiers"]["debug"]["now"] == 0
    assert "sampling.set" in daemon.log() and "normal 25%" in daemon.log()
    ok("sampling", "reset", "normal", *at(daemon))
    assert shown(daemon)["tiers"]["normal"]["set"] is None


def test_a_rate_outlives_the_daemon(daemon):
    ok("sampling", "set", "normal", "0.5", *at(daemon))
    daemon.kill()
    daemon.start()
    assert shown(daemon)["tiers"]["normal"] == {"configured": 0.1, "set": 0.5, "now": 0.5}


@pytest.mark.parametrize("words, why", [
    (["set", "normal"], "expected set TIER RATE"),
    (["set", "high", "1"], "a tier is critical, normal or debug, not 'high'"),
    (["set", "normal", "101%"], "a rate is 0% to 100%"),
    (["set", "normal", "nan"], "a rate is 0% to 100%"),
    (["set", "normal", "1x"], "a rate is 0% to 100%"),
    (["reset"], "expected reset TIER"),
    (["lower"], "what is 'lower'?"),
])
def test_wrong_words(words, why):
    done = run("sampling", *words)
    assert done.returncode == 64 and why in done.stderr


def test_rates_are_reloaded(new_daemon, tmp_path):
    daemon = new_daemon()
    daemon.config = tmp_path / "sampling.yaml"
    daemon.config.write_text("sampling: {normal: 40%}\n")
    daemon.start()
    assert shown(daemon)["tiers"]["normal"]["now"] == 0.4
    daemon.config.write_text("sampling:\n  enabled: false\n")
    daemon.reload()
    assert shown(daemon)["enabled"] is False
    assert "sampling is off" in ok("sampling", *at(daemon))


def test_left_out_at_the_door(new_daemon, tmp_path):
    """Without a window a span is judged when it comes: what is not kept never enters the
    ring, is counted, and no fault of the producer's."""
    daemon = new_daemon()
    daemon.config = tmp_path / "sampling.yaml"
    daemon.config.write_text(
        "sampling:\n  window: 0\n  normal: 0%\n  rules:\n"
        "    - {name: keep-*, tier: critical}\n")
    daemon.start()
    producer = wire.Producer(daemon.socket)
    producer.greet()
    items.send(producer, *[items.span("drop-me", status=1) for _ in range(50)],
               *[items.span("keep-me", status=1) for _ in range(30)],
               items.span("failed"))
    samples = daemon.metrics()
    dropped = {dict(labels)["reason"]: value for (name, labels), value in samples.items()
               if name == "mcptally_items_dropped_total" and value}
    assert dropped == {"sampled": 50}
    stored = daemon.store.read_bytes()
    assert stored.count(b"keep-me") >= 30 and b"failed" in stored
    assert samples[("mcptally_frames_rejected_total", (("reason", "sampled"),))] == 0
    producer.close()
    daemon.check_accounting()


def test_flood(new_daemon, tmp_path):
    """The rates fall under a flood, say so once, and come back by themselves."""
    daemon = new_daemon()
    daemon.config = tmp_path / "sampling.yaml"
    daemon.config.write_text("sampling:\n  spans_per_second: 100\n")
    daemon.start()
    producer = wire.Producer(daemon.socket)
    producer.greet()
    until(lambda: ratio(daemon, "normal") == 0.1, "the first tick")

    def fallen():
        items.send(producer, *[items.span("flood", status=1) for _ in range(400)])
        return ratio(daemon, "normal") < 0.1

    until(fallen, "the rates to fall")
    assert ratio(daemon, "debug") < 0.01 and ratio(daemon, "critical") == 1
    assert "fallen because of a flood" in ok("sampling", *at(daemon))
    until(lambda: ratio(daemon, "normal") == 0.1, "the rates to come back", deadline=60)
    until(lambda: ratio(daemon, "debug") == 0.01, "those of debug, too", deadline=60)
    assert daemon.log().count("flood of spans: the rates") == 1
    assert daemon.log().count("the flood of spans is over") == 1
    producer.close()
    daemon.check_accounting()
