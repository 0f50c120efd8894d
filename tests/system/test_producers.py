"""Which producers may connect, and what one user may send."""

import os
import shutil
import subprocess
import sys
import time

import pytest

import wire
from conftest import until
from test_metrics import define

MAY, MAY_NOT, NOT_ALLOWED = "allowed", "refused", 268


@pytest.fixture
def start(new_daemon):
    def run(**options):
        daemon = new_daemon()
        daemon.options["socket.mode"] = "0666"
        daemon.options.update({k.replace("__", "."): v for k, v in options.items()})
        return daemon.start()
    return run


# Another program, user or group says HELLO; what it prints is what it was answered.
HELLO = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import wire
p = wire.Producer(sys.argv[1])
try:
    p.greet(service="x")
    print("{MAY}")
except (AssertionError, OSError, TypeError):
    print("{MAY_NOT}")
"""


def hello(daemon, program=sys.executable, **identity):
    out = subprocess.run([program, "-c", HELLO, daemon.socket], capture_output=True, check=False,
                         timeout=60, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                         **identity)
    return out.stdout.decode().strip()


def rejected(daemon, reason):
    return daemon.metrics()[("mcptally_frames_rejected_total", (("reason", reason),))]


def test_users_and_groups(start):
    me, mine = os.getuid(), os.getgid()
    daemon = start(socket__allow_uids=f"4242,{me}", socket__allow_gids=str(mine))
    assert hello(daemon) == MAY
    daemon.options["socket.allow_uids"] = "4242"
    daemon.stop()
    daemon.start()
    assert hello(daemon) == MAY_NOT
    assert rejected(daemon, "not_allowed") == 1
    assert ("mcptally_connections_refused_total", ()) in daemon.metrics()
    p = wire.Producer(daemon.socket)
    assert p.rejected() == NOT_ALLOWED and p.closed()
    daemon.check_accounting()


@pytest.mark.skipif(os.getuid() != 0, reason="only root has other groups to take")
def test_any_group_of_a_process_counts(start):
    daemon = start(socket__allow_gids="4711")
    assert hello(daemon) == MAY_NOT
    assert hello(daemon, extra_groups=[4712, 4711]) == MAY
    assert hello(daemon, group=4711, extra_groups=[]) == MAY
    assert hello(daemon, group=4712, extra_groups=[]) == MAY_NOT


def test_executables(start, tmp_path):
    ours = os.path.realpath(sys.executable)
    daemon = start(socket__allow_exes=f"/usr/bin/no-such-program,{ours}")
    assert hello(daemon) == MAY
    copy = tmp_path / "python"
    shutil.copy(ours, copy)
    assert hello(daemon, program=str(copy)) == MAY_NOT
    assert rejected(daemon, "not_allowed") == 1


def test_lists_are_reloaded(new_daemon, tmp_path):
    daemon = new_daemon()
    daemon.config = tmp_path / "d.yaml"
    daemon.config.write_text("socket: {allow_uids: [4242]}\n")
    daemon.start()
    assert hello(daemon) == MAY_NOT
    daemon.config.write_text("socket: {allow_uids: []}\n")
    daemon.reload()
    assert hello(daemon) == MAY


def test_a_user_over_his_rate_waits_and_loses_nothing(start):
    """Two services, in whatever domains, share what their user may send."""
    rate = 20000
    daemon = start(limits__items_per_second_per_user=str(rate))
    producers = []
    for service in ("a", "b", "c"):
        p = wire.Producer(daemon.socket)
        p.greet(service=service)
        p.send(define(1, "hits", wire.COUNTER, value=1) + wire.series(1, 1))
        producers.append(p)
    began = time.monotonic()
    sent = 0
    for _ in range(30):
        for p in producers:
            p.count(*((1, 1) for _ in range(1000)))
            sent += 1000
    for p in producers:
        p.wait_ack()
    took = time.monotonic() - began
    assert took > sent / rate - 1.5, f"{sent} items in {took:.1f} s: a second's worth is free"
    found = daemon.metrics()
    assert found[("mcptally_user_reads_deferred_total", ())] > 0
    accounting = daemon.check_accounting()
    assert accounting["applied"] >= sent and sum(accounting["dropped"].values()) == 0


def test_waiting_costs_nothing(start):
    daemon = start(limits__bytes_per_second_per_user="1KiB")
    p = wire.Producer(daemon.socket)
    p.greet(service="a")
    p.send(define(1, "hits", wire.COUNTER, value=1) + wire.series(1, 1))
    for _ in range(5):
        p.count(*((1, 1) for _ in range(1000)))
    until(lambda: daemon.metrics()[("mcptally_user_reads_deferred_total", ())] > 0, "the wait")
    ticks = lambda: sum(map(int, open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1]
                            .split()[11:13])) / os.sysconf("SC_CLK_TCK")
    before, began = ticks(), time.monotonic()
    time.sleep(2)
    share = (ticks() - before) / (time.monotonic() - began)
    print(f"{share * 100:.2f}% of a CPU")
    assert share < 0.05
    assert daemon.stop() == 0, "and a stop does not wait for it"
