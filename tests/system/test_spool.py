"""What waits on disk for a destination that is away: kills, full and read-only disks, damaged
files, limits, and what arrives when it is back."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time

import pytest

import otlp
from collector import HttpCollector
from command import at, ok
from conftest import until
from destinations import (check_ledger, check_of, destination, helpers, lane, log_bodies, say,
                          set_destinations)

SPOOL = "spool/up.logs"


@pytest.fixture
def away():
    """A collector that is not there, and begins at its old port when it is asked to."""
    one = HttpCollector()
    one.stop()
    made = []
    held = socket.socket()  # or somebody who asks for any port is given this one
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", one.port))

    @contextlib.contextmanager
    def back():
        made.append(HttpCollector(one.port))
        yield made[-1]

    one.back = back
    yield one
    for again in made:
        again.stop()
    held.close()


def start(daemon, away, **options):
    set_destinations(daemon, destination(away, concurrent=1))
    daemon.options.update(options)
    return daemon.start()


def keep(daemon, *numbers):
    """Says lines, each in a request of its own, and waits until the spool has them."""
    for number in numbers:
        have = lane(daemon)["spool"]["items"]
        say(daemon, number)
        until(lambda before=have: lane(daemon)["spool"]["items"] > before, f"line {number}")


def lines(*numbers):
    return [f"line {number}" for number in numbers]


def firsts(collector):
    """What came, without what came again."""
    return list(dict.fromkeys(log_bodies(collector)))


def kill_helper(daemon):
    for child in helpers(daemon.pid):
        os.kill(child, signal.SIGKILL)


def test_kills_of_both(new_daemon, away):
    """The daemon and the process that writes die at any moment: all arrives, in order."""
    seed = int(os.environ.get("MCPTALLY_SEED", random.randrange(2**32)))
    print(f"MCPTALLY_SEED={seed}")
    chance = random.Random(seed)
    daemon = start(new_daemon(), away)
    said, patience = 0, 60  # seconds; who dies often is started again after thirteen
    for _ in range(12):
        for _ in range(chance.randint(1, 4)):
            said += 1
            say(daemon, said)
        if chance.random() < 0.5:
            until(lambda: lane(daemon)["spool"]["items"] > 0, "the spool", patience)
        victim = chance.choice(("daemon", "helper", "both", "none"))
        if victim in ("helper", "both"):
            kill_helper(daemon)
        if victim in ("daemon", "both"):
            daemon.kill()
            daemon.start()
    with away.back() as collector:
        said += 1
        say(daemon, said)
        kill_helper(daemon)
        until(lambda: len(firsts(collector)) == said, "all lines", patience)
        assert firsts(collector) == lines(*range(1, said + 1))
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)
    daemon.check_accounting()


def tmpfs(daemon, size):
    """Its spools on a file system of that size, in a mount namespace of its own. Not the whole
    state directory: one where a file is open for writing, as audit.log, does not become
    read-only."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace is to be had here")
    usual = daemon.command
    folder = daemon.state / "spool"
    folder.mkdir(mode=0o755)
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    daemon.command = lambda: ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
                              f"size={size},mode=755", str(folder), *usual()]


def remount(daemon, how):
    subprocess.run(["nsenter", "-m", "-t", str(daemon.pid), "mount", "-o", f"remount,{how}",
                    str(daemon.state / "spool")], check=True)


@pytest.mark.parametrize("before,after", [("size=256k", "size=64m"), ("ro", "rw,size=64m")],
                         ids=["full", "read-only"])
def test_disk_that_takes_nothing(new_daemon, away, before, after):
    """Memory and ring keep what they have, a check warns, all else goes on; then it takes it."""
    daemon = new_daemon()
    tmpfs(daemon, "256k" if before.startswith("size") else "64m")
    start(daemon, away, **{"spool.size": "16MiB"})
    remount(daemon, before)
    say(daemon, 1, 2)
    until(lambda: "the spool cannot be" in check_of(daemon).get("message", ""), "the check")
    assert check_of(daemon)["status"] == "warn"
    assert daemon.get("/health/ready", "health").status == 200
    say(daemon, 3)
    assert lane(daemon)["spool"]["items"] == 0
    daemon.check_accounting()
    check_ledger_of_what_waits(daemon, 3)
    assert daemon.log().count("logs: the spool cannot be") == 1
    remount(daemon, after)
    until(lambda: lane(daemon)["spool"]["items"] == 3, "the spool", deadline=90)
    until(lambda: "cannot" not in check_of(daemon)["message"], "the check")
    with away.back() as collector:
        until(lambda: len(firsts(collector)) == 3, "all lines")
        assert firsts(collector) == lines(1, 2, 3)
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)


def check_ledger_of_what_waits(daemon, items):
    """Nothing is settled that is in memory alone."""
    events = next(c for c in daemon.status()["consumers"]
                  if c["consumer"] == "export/up" and c["ring"] == "events")
    assert events["waiting"] == items
    assert events["read"] == events["overrun"] == 0


def test_disk_that_takes_nothing_and_a_collector(new_daemon, away):
    """Without a spool it goes from memory, in order."""
    daemon = new_daemon()
    tmpfs(daemon, "256k")
    start(daemon, away, **{"spool.size": "16MiB"})
    say(daemon, 1, 2)
    until(lambda: "the spool cannot be" in check_of(daemon).get("message", ""), "the check")
    daemon.kill()
    daemon.start()
    say(daemon, 3)
    with away.back() as collector:
        until(lambda: len(firsts(collector)) == 3, "all lines")
        assert firsts(collector) == lines(1, 2, 3)
        until(lambda: lane(daemon)["items"]["delivered"] == 3, "the ledger")
        check_ledger(daemon)


def test_damaged_and_foreign_files(new_daemon, away):
    """One damaged record is lost and counted; what is not ours is left alone; the rest comes."""
    daemon = start(new_daemon(), away)
    keep(daemon, 1, 2, 3, 4)
    shown = next(line for line in ok("status", *at(daemon)).splitlines()
                 if line.startswith("up logs: "))
    assert ", spool 4 items " in shown and shown.partition("; ")[2]
    assert daemon.stop() == 0
    folder = daemon.state / SPOOL
    segment = next(f for f in sorted(folder.glob("*.spool")) if b"<line 2>" in f.read_bytes())
    segment.write_bytes(segment.read_bytes().replace(b"<line 2>", b"<line 9>"))
    newest = int(max(folder.glob("*.spool")).stem, 16)
    (folder / f"{newest + 1:016x}.spool").write_bytes(random.Random(1).randbytes(70000))
    (folder / f"{newest + 2:016x}.spool").write_bytes(b"")
    (folder / f"{newest + 3:016x}.spool").write_bytes(segment.read_bytes()[:50])
    (folder / "README").write_text("mine")
    (folder / f"{newest + 4:016x}.spool").mkdir()
    daemon.start()
    until(lambda: lane(daemon)["spool"]["items"] == 3, "what is left")
    assert lane(daemon)["items"]["spool_damaged"] == 1
    keep(daemon, 5)
    with away.back() as collector:
        until(lambda: len(firsts(collector)) == 4, "the others")
        assert firsts(collector) == lines(1, 3, 4, 5)
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        check_ledger(daemon)
    assert (folder / "README").read_text() == "mine"


def test_size(new_daemon, away):
    """The oldest goes first, and is counted."""
    daemon = start(new_daemon(), away, **{"spool.size": "16MiB"})
    sent = 0
    while lane(daemon)["items"]["spool_size"] == 0:
        assert sent < 600, "nothing was dropped"
        logs = [otlp.log(f"<line {sent + n}>" + "x" * 50000) for n in range(10)]
        assert otlp.post(daemon, "logs", otlp.request(logs)).status == 200
        sent += 10
        until(lambda: lane(daemon)["waiting"] == 0, "the spool")
    dropped = lane(daemon)["items"]["spool_size"]
    assert lane(daemon)["spool"]["bytes"] <= 16 << 20
    check_ledger(daemon)
    with away.back() as collector:
        until(lambda: lane(daemon)["spool"]["items"] == 0, "an empty spool")
        came = firsts(collector)
        # What was read of the spool before is sent, too, and was not dropped then.
        assert came == sorted(came, key=lambda line: int(line.split()[1]))
        assert len(came) == sent - dropped and came[-1] == f"line {sent - 1}"
        check_ledger(daemon)


def test_age(new_daemon, away):
    """What is too old when the daemon comes is not sent, and is counted."""
    daemon = start(new_daemon(), away, **{"spool.age": "2s"})
    keep(daemon, 1)
    kept = time.time()
    assert daemon.stop() == 0
    until(lambda: time.time() > kept + 2.1, "its age")
    daemon.start()
    until(lambda: lane(daemon)["items"]["spool_age"] == 1, "the age")
    with away.back() as collector:
        say(daemon, 2)
        until(lambda: lane(daemon)["items"]["delivered"] == 1, "the other")
        assert firsts(collector) == lines(2)
        check_ledger(daemon)


def test_replay_is_paced(new_daemon, away):
    """In order, and no faster than asked for, however much waits."""
    daemon = start(new_daemon(), away, **{"export.replay_rate": "10", "export.batch_delay": "1ms"})
    keep(daemon, *range(30))
    with away.back() as collector:
        until(lambda: log_bodies(collector), "the first")
        began = time.monotonic()
        until(lambda: len(firsts(collector)) == 30, "all")
        # A second's worth is sent at once, and one request may go over that.
        assert time.monotonic() - began > 1
        assert firsts(collector) == lines(*range(30))
    check_ledger(daemon)
