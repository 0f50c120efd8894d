"""Exactly once: the daemon is killed at random moments and no total is wrong.

Four producers (killer.c), over their sockets or by rings in shared memory, emit as
fast as the daemon acknowledges, so that most kills fall into an open batch of the
store; storms of new series and their expiry go on in between. The moments come from a
seed, which is printed; MCPTALLY_SEED sets it, MCPTALLY_LONG=1 asks for the full number
of kills.
"""

import json
import os
import random
import subprocess
import time

import pytest

from conftest import BUILD, until

LONG = bool(os.environ.get("MCPTALLY_LONG"))
KILLS, ITEMS, SECONDS = (200, 5_000_000, 900) if LONG else (15, 300_000, 60)
PRODUCERS = 4
SHARDS = 8
IDLE = "2s"  # until a storm's series expire; those in use are updated all the time

CONFIG = """\
series:
  idle: {idle}
start:
  ladder: false
rules:
  - event: kill.done
    metric: kill.done
    kind: counter
  - event: kill.done
    metric: kill.amount
    kind: histogram
    measurement: amount
    buckets: [1, 10, 100]
"""


class Producer:
    def __init__(self, daemon, number, seed, log, transport):
        self.service = f"killer{number}"
        self.log = log
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                [str(BUILD / "tests/system/killer"), daemon.socket, self.service, str(seed)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, "MCPTALLY_TRANSPORT": transport})

    def check_alive(self):
        assert self.process.poll() is None, self.log.read_text()

    def finish(self):
        """Lets it end; returns its own totals."""
        output, _ = self.process.communicate("stop\n", timeout=120)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(output)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def killed(new_daemon, tmp_path):
    one = new_daemon("killed")
    one.config = tmp_path / "killed.yaml"
    one.config.write_text(CONFIG.format(idle=IDLE))
    return one.start()


@pytest.fixture
def producers(killed, tmp_path):
    made = []

    def make(seed, transport):
        made.extend(Producer(killed, i, seed + i, tmp_path / f"killer{i}.log", transport)
                    for i in range(PRODUCERS))
        return made

    yield make
    for one in made:
        one.end()


def lasting(samples):
    """The samples that may never go back: counters of series that do not expire, and ledgers."""
    ends = ("_total", "_count", "_sum", "_bucket")
    begins = ("kill_ops", "kill_duration", "kill_size", "kill_done", "kill_amount",
              "mcptally_items_", "mcptally_ring_records_", "mcptally_series_")
    return {key: value for key, value in samples.items()
            if key[0].startswith(begins) and key[0].endswith(ends)}


def number(samples, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = set(labels.items())
    return sum(v for (n, has), v in samples.items() if n == name and wanted <= set(has))


def check_balance(samples):
    """Both ledgers, as /metrics shows them."""
    total = {what: number(samples, f"mcptally_items_{what}_total")
             for what in ("received", "applied", "dropped")}
    assert total["received"] == total["applied"] + total["dropped"], total
    ring = {what: number(samples, f"mcptally_ring_records_{what}", consumer="health") +
            number(samples, f"mcptally_ring_records_{what}_total", consumer="health")
            for what in ("read", "overrun", "waiting")}
    appended = number(samples, "mcptally_ring_records_appended_total", ring="events")
    assert appended == sum(ring.values()), ring
    return total


def kill_at_random(daemon, chance):
    """Kills it in its work, or now and then while it starts; then starts it. Some live
    longer than a second, because what expires does so once a second."""
    long = chance.random() < (0.1 if LONG else 0.3)
    time.sleep(chance.uniform(1, 1.5) if long else chance.uniform(0.01, 0.2))
    daemon.kill()
    while chance.random() < 0.15:
        daemon.spawn()
        time.sleep(chance.uniform(0, 0.02))
        daemon.kill()
    daemon.start()


def check_totals(samples, made):
    """Every total of every producer, to the last one."""
    for service, own in made.items():
        def got(name, **labels):
            return number(samples, name, service_name=service, **labels)
        for i in range(SHARDS):
            shard = {"shard": str(i)}
            assert got("kill_ops_total", **shard) == own["ops"][i]
            assert got("kill_duration_seconds_count", **shard) == own["seconds_count"][i]
            assert got("kill_duration_seconds_sum", **shard) == own["seconds_eighths"][i] / 8
            assert got("kill_size_bytes_count", **shard) == own["size_count"][i]
            assert got("kill_size_bytes_sum", **shard) == own["size_eighths"][i] / 8
            assert got("kill_level", **shard) == own["level_eighths"][i] / 8
        assert got("kill_done_total") == own["events"]
        assert got("kill_amount_count") == own["events"]
        assert got("kill_amount_sum") == own["event_eighths"] / 8
        assert got("kill_last_total") == own["last_ops"]


@pytest.mark.parametrize("transport", ["socket", "ring"])
def test_exactly_once_over_kills(killed, producers, transport):
    seed = int(os.environ.get("MCPTALLY_SEED") or random.SystemRandom().randrange(1 << 31))
    print(f"MCPTALLY_SEED={seed}")
    chance = random.Random(seed)
    emitting = producers(seed, transport)
    before, kills = {}, 0
    seen = lambda what: number(before, f"mcptally_{what}_total")
    end = time.monotonic() + SECONDS
    while kills < KILLS or seen("items_applied") < ITEMS or not seen("series_expired"):
        assert time.monotonic() < end, f"{kills} kills in {SECONDS} s: {before}"
        kill_at_random(killed, chance)
        kills += 1
        after = killed.metrics()
        check_balance(after)
        back = {k: (v, after.get(k)) for k, v in lasting(before).items() if after.get(k, -1) < v}
        assert not back, f"after kill {kills}"
        before = after
        for one in emitting:
            one.check_alive()
        assert transport == "socket" or number(after, "mcptally_shared_rings") or kills < KILLS
    # From here on nothing expires, so that what the producers end with can be counted.
    killed.config.write_text(CONFIG.format(idle="1h"))
    killed.reload()
    made = {one.service: one.finish() for one in emitting}

    after = killed.metrics()
    check_totals(after, made)
    total = check_balance(after)
    # Traces above sampling.traces are sampled at the door, at once; nothing else is left out.
    sampled = number(after, "mcptally_items_dropped_total", reason="sampled")
    assert total["dropped"] == sampled
    assert total["received"] == sum(own["items"] for own in made.values())
    for ring, kinds, left_out in (("events", ("events", "logs", "reports"), 0),
                                  ("spans", ("spans",), sampled)):
        assert number(after, "mcptally_ring_records_appended_total", ring=ring) + left_out == \
            sum(own[kind] for own in made.values() for kind in kinds)
    assert number(after, "mcptally_starts_total") > kills
    rollbacks = number(after, "mcptally_rollbacks_total")
    print(f"{kills} kills, {rollbacks:.0f} in an open batch; {total['applied']:.0f} items")
    assert rollbacks > 0 or not LONG, "no kill fell into a batch: nothing was tested"
    killed.check_accounting()
