"""mcptally verify and maintenance, beside a daemon and without one; the generator of units."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from conftest import BUILD, DEADLINE, ROOT, until
from destinations import set_destinations

WHOLE = "store {}: whole: "
MONTH = 31 * 24 * 3600


def call(daemon, *words, status=0):
    done = subprocess.run([str(BUILD / "mcptally"), *words, "--runtime-dir", str(daemon.runtime),
                           "--state-dir", str(daemon.state)], capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def emit(daemon, *words):
    subprocess.run([str(BUILD / "mcptally"), "emit", *words, "--socket", daemon.socket],
                   timeout=DEADLINE, check=True)


def age(path, seconds=MONTH):
    then = time.time() - seconds
    os.utime(path, (then, then))


# ---- verify ----

def test_whole_store_of_a_daemon_that_works(daemon):
    emit(daemon, "counter", "jobs", "3")
    text = call(daemon, "verify")
    assert text.startswith(WHOLE.format(daemon.store)) and "of a running daemon" in text
    assert call(daemon, "maintenance", "weekly").startswith(WHOLE.format(daemon.store))
    daemon.check_accounting()


def test_whole_store_under_load(daemon):
    """Copies of what changes all the time are never taken for damage."""
    load = subprocess.Popen([str(BUILD / "mcptally"), "bench", "-s", "20", "--socket",
                             daemon.socket], stdout=subprocess.DEVNULL)
    try:
        until(lambda: daemon.status()["accounting"]["applied"] > 1000, "load")
        for _ in range(5):
            done = subprocess.run([str(BUILD / "mcptally"), "verify", "--runtime-dir",
                                   str(daemon.runtime), "--state-dir", str(daemon.state)],
                                  capture_output=True, text=True, timeout=DEADLINE, check=False)
            assert done.returncode in (0, 75) and "DAMAGED" not in done.stdout, done.stdout
    finally:
        load.terminate()
        load.wait(DEADLINE)


def test_store_of_a_daemon_that_was_killed(daemon):
    emit(daemon, "counter", "jobs", "3")
    daemon.kill()
    before = daemon.store.read_bytes()
    assert call(daemon, "verify").startswith(WHOLE.format(daemon.store))
    assert daemon.store.read_bytes() == before


def test_damaged_store_is_told(daemon):
    emit(daemon, "counter", "jobs", "3", "queue=mail")
    daemon.kill()
    store = bytearray(daemon.store.read_bytes())
    at = store.index(b'queue="mail"')  # the text of a label set; its size is before it
    store[at - 8:at] = b"\xff" * 8
    daemon.store.write_bytes(store)
    assert "DAMAGED" in call(daemon, "verify", status=1)


def test_no_store_is_no_fault(new_daemon):
    assert "absent" in call(new_daemon(), "verify")


def spooled(new_daemon):
    """A daemon with one log record in the spool of a destination that is away."""
    away = socket.create_server(("127.0.0.1", 0))
    port = away.getsockname()[1]
    away.close()
    daemon = set_destinations(new_daemon(), {"name": "up", "protocol": "http/protobuf",
                                             "endpoint": f"http://127.0.0.1:{port}"})
    daemon.start()
    emit(daemon, "log", "error", "a line that has to wait")
    until(lambda: any(one["spool"]["records"] for one in daemon.status()["export"]), "the spool")
    return daemon, daemon.state / "spool/up.logs"


def test_spool_is_read_and_left_alone(new_daemon):
    daemon, spool = spooled(new_daemon)
    segments = {p: p.read_bytes() for p in spool.iterdir()}
    assert f"spool {spool}: whole: 1 records with 1 items" in call(daemon, "verify")
    assert {p: p.read_bytes() for p in spool.iterdir()} == segments
    daemon.check_accounting()


def test_audit_log_is_verified(daemon):
    """With the daemon, which knows the end of it, and without; what was changed is told."""
    log = daemon.state / "audit.log"
    until(lambda: log.exists() and log.read_text(), "the record of the start")
    assert f"audit {log}: 1 records in 1 files: nothing is missing\n" in call(daemon, "verify")
    daemon.kill()
    assert f"audit {log}: 1 records" in call(daemon, "maintenance", "weekly")
    log.write_text("no record\n" + log.read_text())
    assert f"audit {log}: DAMAGED" in call(daemon, "maintenance", "weekly", status=1)
    log.unlink()
    assert f"audit {log}: absent" in call(daemon, "verify")


# ---- daily ----

def test_what_was_set_aside_goes_after_a_month(new_daemon):
    daemon, spool = spooled(new_daemon)
    old, young = daemon.runtime / "store.damaged-1.0", daemon.runtime / "store.damaged-2.0"
    for path in (old, young, spool / "00000000000000aa.damaged", spool / "notes"):
        path.write_bytes(b"x" * 100)
    age(old)
    age(spool / "00000000000000aa.damaged")
    text = call(daemon, "maintenance", "daily")
    assert "2 files removed, 200 bytes" in text
    assert not old.exists() and young.exists() and (spool / "notes").exists()
    assert "0 files removed" in call(daemon, "maintenance", "daily")
    assert daemon.status()["health"] in ("pass", "warn")
    daemon.check_accounting()


def test_spool_that_nobody_has_goes_after_a_month(new_daemon):
    daemon, spool = spooled(new_daemon)
    gone = daemon.state / "spool/gone.logs"
    shutil.copytree(spool, gone)
    for folder in (spool, gone):
        for path in folder.iterdir():
            age(path)
    text = call(daemon, "maintenance", "daily")
    assert not gone.exists() and f"removed {gone}" in text
    assert list(spool.iterdir()), "a daemon has this one"


def test_young_spool_of_a_daemon_that_is_away_stays(new_daemon):
    daemon, spool = spooled(new_daemon)
    daemon.kill()
    call(daemon, "maintenance", "daily")
    assert list(spool.glob("*.spool"))


# ---- monthly ----

def test_report_counts_from_the_one_before(daemon):
    daemon.state.mkdir(exist_ok=True)
    emit(daemon, "counter", "jobs", "3")
    text = call(daemon, "maintenance", "monthly")
    assert "since the store began" in text
    reports = daemon.state / "reports"
    first, = reports.glob("*.json")
    again = call(daemon, "maintenance", "monthly")
    assert (list(reports.glob("*.json")), again) == ([first], text)
    report = json.loads(first.read_text())
    first.unlink()
    (reports / "2026-01-31.json").write_text(json.dumps({**report, "date": "2026-01-31"}))
    emit(daemon, "histogram", "mcp.server.operation.duration", "0.5", "--unit", "s",
         "--service", "memory", "mcp.method.name=tools/call", "error.type=timeout")
    text = call(daemon, "maintenance", "monthly")
    assert "since 2026-01-31" in text
    period = json.loads(max(reports.glob("*.json")).read_text())["period"]
    assert period["items received"] == period["items applied"] == 1
    assert period["server memory: requests"] == period["server memory: errors"] == 1
    assert period["server memory: seconds"] == 0.5
    assert period["starts"] == 0
    daemon.kill()  # and without a daemon
    assert "items received" in call(daemon, "maintenance", "monthly")


def test_report_does_not_subtract_another_store(daemon):
    (daemon.state / "reports").mkdir(parents=True)
    (daemon.state / "reports/2026-01-31.json").write_text(json.dumps(
        {"date": "2026-01-31", "store": "another", "totals": {"items received": 100}}))
    emit(daemon, "counter", "jobs", "3")
    text = call(daemon, "maintenance", "monthly")
    assert "since the store began" in text and "-" not in text.split("items received")[1][:60]


@pytest.mark.parametrize("words", [["maintenance"], ["maintenance", "yearly"], ["verify", "x"]])
def test_wrong_words(new_daemon, words):
    call(new_daemon(), *words, status=64)


# ---- what systemd is told of a configuration ----

@pytest.mark.parametrize("text, drop_ins", [
    ((ROOT / "conf/mcptallyd.yaml").read_text(), []),
    ("", []),
    ("start:\n  ladder: false\nseries.idle: 3s\nrules:\n- event: x\n", []),
    ("listen:\n  metrics: 127.0.0.1:1\n", ["50-network.conf"]),
    ("listen.metrics: 127.0.0.1:1\n", ["50-network.conf"]),
    ("{listen: {metrics: off}}\n", ["50-commands.conf", "50-network.conf"]),
    ("export:\n  # nothing\nstore.size: 8MiB\n", []),
    ("export:\n  destinations:\n  - x\n", ["50-network.conf"]),
    ("checks:\n- name: x\n", ["50-commands.conf", "50-network.conf"]),
    ("something_new:\n  x: 1\n", ["50-commands.conf", "50-network.conf"]),
])
def test_generator(tmp_path, text, drop_ins):
    (tmp_path / "etc").mkdir()
    for name in ("mcptallyd", "blue"):
        (tmp_path / f"etc/{name}.yaml").write_text(text)
    subprocess.run([ROOT / "systemd/mcptallyd-generator", tmp_path / "out"], check=True,
                   env={**os.environ, "MCPTALLY_CONFIG_DIR": str(tmp_path / "etc")},
                   timeout=DEADLINE)
    for unit in ("mcptallyd.service", "mcptallyd@blue.service"):
        found = sorted(p.name for p in (tmp_path / "out" / f"{unit}.d").glob("*"))
        assert found == drop_ins
