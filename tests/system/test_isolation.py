"""One domain at full flood, or sending garbage, or crashing in a loop: the other nine lose
nothing. What an update of theirs took from being written to being acknowledged is told, beside
what it took when all ten sent a tenth as much; on a busy machine that is not asserted."""

import multiprocessing
import os
import pathlib
import random
import struct
import time

import pytest

import wire
from conftest import until
from wire import Producer

SECONDS = 10.0 if os.environ.get("MCPTALLY_LONG") else 2.0
DOMAINS = 10
CHUNK = 4000  # updates of a frame
SHARE = 0.0005  # seconds that a producer at a tenth of the load waits between two frames
fork = multiprocessing.get_context("fork")


def greeting(session, service):
    return wire.hello(session, service=service, wants_ack=0) + wire.metric(1, "iso.count") + \
        wire.series(1, 1)


def flood(path, service, wait=0.0):
    """As fast as the daemon reads, one after another."""
    body = struct.pack("<IQ", 1, 1) * CHUNK
    size = 16 + len(body)
    line = Producer(path, timeout=60)
    line.send(greeting(line.session, service))
    first = 1
    while True:
        line.send(struct.pack("<IBBHQII", size, wire.UPDATE, 0, 0, first, CHUNK, 0) + body)
        first += CHUNK
        if wait:
            time.sleep(wait)


def comes_back(once):
    while True:
        try:
            once()
        except OSError:
            time.sleep(0.001)


def garbage(path, service):
    """Frames of every type with nonsense in them, and what is no frame at all."""
    chance = random.Random(1)

    def once():
        line = Producer(path, timeout=60)
        try:
            line.send(greeting(line.session, service))
            for _ in range(100):
                nonsense = chance.randbytes(chance.randrange(2000))
                line.send(wire.frame(chance.randrange(16), nonsense))
            line.send(chance.randbytes(1000))
        finally:
            line.close()
    comes_back(once)


def crashes(path, service):
    """Dies in the middle of a frame, and is started again with a new session."""
    def once():
        line = Producer(path, timeout=60)
        line.send(greeting(line.session, service) + wire.updates(1, *[(1, 1)] * 100)[:-50])
        line.close()
    comes_back(once)


def quantile(values, q):
    return sorted(values)[min(int(q * len(values)), len(values) - 1)]


class Nine:
    """A producer in each of the other domains, which wants to know of every update."""

    def __init__(self, daemon):
        self.lines = []
        for i in range(1, DOMAINS):
            line = Producer(daemon.socket)
            line.greet(service=f"iso{i}")
            line.send(wire.metric(1, "iso.count") + wire.series(1, 1))
            self.lines.append(line)

    def probe(self, seconds):
        """Times from write to acknowledgement."""
        times, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.lines:
                began = time.perf_counter()
                line.count((1, 1))
                line.wait_ack()
                times.append(time.perf_counter() - began)
            time.sleep(0.001)
        return times

    def check(self, daemon):
        samples = daemon.metrics()
        for i, line in enumerate(self.lines, 1):
            assert samples["iso_count_total", (("service_name", f"iso{i}"),)] == line.next - 1


def started(what, *arguments):
    process = fork.Process(target=what, args=arguments, daemon=True)
    process.start()
    return process


def end(processes):
    for one in processes:
        assert one.is_alive(), "who was to make trouble has failed"
        one.kill()
        one.join()


def tell(name, times, even):
    line = (f"isolation, {name}: p50 / p99 {quantile(times, .5) * 1e6:.0f} / "
            f"{quantile(times, .99) * 1e6:.0f} us of {len(times)}; all ten at a tenth "
            f"{quantile(even, .5) * 1e6:.0f} / {quantile(even, .99) * 1e6:.0f} us of {len(even)}")
    print(line)
    with open(pathlib.Path(__file__).resolve().parents[2] / "build/isolation.txt", "a",
              encoding="utf-8") as report:
        report.write(line + "\n")


@pytest.mark.parametrize("trouble", [flood, garbage, crashes], ids=lambda f: f.__name__)
def test_the_other_nine_lose_nothing(new_daemon, trouble):
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("domains.mapping: [" + ", ".join(
        f"{{service: {name}{i}, domain: {i}}}" for i in range(DOMAINS)
        for name in ("iso", "even")) + ", {service: trouble, domain: 0}]\n")
    daemon.start()
    nine = Nine(daemon)
    calm = [started(flood, daemon.socket, f"even{i}", SHARE * DOMAINS) for i in range(DOMAINS)]
    even = nine.probe(SECONDS)
    end(calm)
    process = started(trouble, daemon.socket, "trouble")
    times = nine.probe(SECONDS)
    end([process])
    tell(trouble.__name__, times, even)
    nine.check(daemon)
    until(lambda: daemon.status()["accounting"]["received"] > 0, "the ledger")
    daemon.check_accounting()
    assert daemon.stop() == 0
