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
from totals import check_balance, check_totals, lasting, number

LONG = bool(os.environ.get("MCPTALLY_LONG"))
KILLS, ITEMS, SECONDS = (200, 5_000_000, 900) if LONG else (15, 300_000, 60)
PRODUCERS = 4
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


@pytest.mark.parametrize("transport", ["socket", "ring"])
def test_exactly_once_over_kills(killed, producers, transport):
    seed = int(os.environ.get("MCPTALLY_SEED") or random.SystemRandom().randrange(1 << 31))
    print(f"MCPTALLY_SEED={seed}")
    chance = random.Random(seed)
    emitting = producers(seed, transport)
    before, kills, shared = {}, 0, 0
    seen = lambda what: number(before, f"mcptally_{what}_total")
    end = time.monotonic() + SECONDS
    while kills < KILLS or seen("items_applied") < ITEMS or not seen("series_expired"):
        assert time.monotonic() < end, f"{kills} kills in {SECONDS} s: {before}"
        kill_at_random(killed, chance)
        kills += 1
        after = killed.metrics()
        shared = max(shared, number(after, "mcptally_shared_rings"))
        check_balance(after)
        back = {k: (v, after.get(k)) for k, v in lasting(before).items() if after.get(k, -1) < v}
        assert not back, f"after kill {kills}"
        before = after
        for one in emitting:
            one.check_alive()
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
    assert (shared > 0) == (transport == "ring")
    print(f"{kills} kills, {rollbacks:.0f} in an open batch; {total['applied']:.0f} items")
    assert rollbacks > 0 or not LONG, "no kill fell into a batch: nothing was tested"
    killed.check_accounting()
