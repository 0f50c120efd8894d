"""Event rules: the files that are shipped, through a real daemon."""

import pytest
import yaml

import items
import wire
from conftest import ROOT

FILES = sorted((ROOT / "conf/rules").glob("*.yaml"))


def read(path):
    return yaml.safe_load(path.read_text())["rules"]


def keys_of(rule):
    labels = rule.get("labels", [])
    return labels if isinstance(labels, list) else list(labels.values())


def label_names(rule):
    """As Prometheus shows them."""
    return {name.replace(".", "_") for name in rule.get("labels", [])}


def number(samples, name):
    return sum(value for (n, _), value in samples.items() if n == name)


@pytest.fixture
def ruled(new_daemon, tmp_path):
    def make(text):
        daemon = new_daemon()
        daemon.config = tmp_path / "rules.yaml"
        daemon.config.write_text(text)
        daemon.start()
        producer = wire.Producer(daemon.socket)
        producer.greet()
        return daemon, producer
    return make


def family(rule):
    """The Prometheus name, as metric_family_name() makes it."""
    name = rule["metric"].replace(".", "_").replace("-", "_")
    word = {"s": "seconds", "By": "bytes", "1": "ratio"}.get(rule.get("unit"), "")
    if word and not name.endswith(word):
        name += "_" + word
    return name


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_shipped_files(ruled, path):
    """Each event of a file, sent once with everything that its rules ask for, moves every
    metric of the file by as much as the rule says."""
    rules = read(path)
    daemon, producer = ruled(f"rules_files: [{path}]\n")
    sent = {}
    for rule in rules:
        measures, metadata = sent.setdefault(rule["event"], ({}, {}))
        if "measurement" in rule:
            measures[rule["measurement"]] = 4000.0
        metadata.update({key: f"a {key}" for key in keys_of(rule)})
    items.send(producer, *(items.event(name, *more) for name, more in sent.items()))
    samples = daemon.metrics()
    assert number(samples, "mcptally_rule_matches_total") == len(rules)
    assert number(samples, "mcptally_rule_failures_total") == 0
    for rule in rules:
        name, value = family(rule), 4000 * rule.get("scale", 1)
        times = sum(r["event"] == rule["event"] and r["metric"] == rule["metric"] for r in rules)
        assert times == 1, "two rules of an event for one metric"
        if rule["kind"] == "counter":
            shown, expected = name + "_total", value if "measurement" in rule else 1
        elif rule["kind"] == "gauge":
            shown, expected = name, value
        else:
            shown, expected = name + "_sum", value
        found = [(set(dict(labels)) - {"service_name"}, v) for (n, labels), v in samples.items()
                 if n == shown]
        assert (label_names(rule), pytest.approx(expected)) in found, (rule, found)
    daemon.check_accounting()


def test_what_cannot_be_applied_is_counted(ruled):
    daemon, producer = ruled("""\
rules:
  - {event: a.*, metric: events, kind: counter, labels: {name: event.name}}
  - {event: a.b, metric: size, kind: counter, measurement: bytes, unit: By}
""")
    items.send(producer, items.event("a.b"), items.event("a.b", {"bytes": -1}),
               items.event("a.b", {"bytes": 5}), items.event("a.c"), items.event("b"))
    samples = daemon.metrics()
    assert number(samples, "mcptally_rule_matches_total") == 5
    assert number(samples, "mcptally_rule_failures_total") == 2
    assert number(samples, "size_bytes_total") == 5
    assert samples[("events_total", (("name", "a.b"), ("service_name", "test")))] == 3
    assert samples[("events_total", (("name", "a.c"), ("service_name", "test")))] == 1
    daemon.check_accounting()


def test_reload_changes_the_rules(ruled):
    daemon, producer = ruled("rules:\n  - {event: e, metric: before, kind: counter}\n")
    items.send(producer, items.event("e"))
    daemon.config.write_text("rules:\n  - {event: e, metric: after, kind: counter}\n")
    daemon.reload()
    items.send(producer, items.event("e"), items.event("e"))
    samples = daemon.metrics()
    assert number(samples, "before_total") == 1
    assert number(samples, "after_total") == 2
    daemon.check_accounting()


def test_names_of_the_daemon_are_reserved(ruled):
    """A rule cannot write into a metric that the daemon declares."""
    daemon, producer = ruled("rules:\n  - {event: e, metric: mcptally_starts, kind: counter}\n")
    items.send(producer, items.event("e"))
    samples = daemon.metrics()
    assert number(samples, "mcptally_starts_total") == 1
    assert number(samples, "mcptally_rule_failures_total") == 1
    daemon.check_accounting()
