"""The daemon as its operator and its producers meet it."""

import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

import wire
from conftest import BUILD, DEADLINE, until
from processes import sleeps
from wire import Producer

LADDER_OFF = {"start.ladder": "false"}


def counted(daemon, name, **labels):
    """The value of one sample."""
    return daemon.metrics()[(name, tuple(sorted(labels.items())))]


def producer(daemon, service="test", **more):
    """A connected producer with series 1, a counter."""
    one = Producer(daemon.socket, **more)
    one.greet(service=service)
    one.send(wire.metric(1, "hits") + wire.series(1, 1))
    return one


def hits(daemon, service="test"):
    return counted(daemon, "hits_total", service_name=service)


# ---- start ----

def test_serves_on_defaults(daemon):
    status = daemon.status()
    assert status["pid"] == daemon.pid
    assert set(status["listen"]) == {"metrics", "health", "otlp_grpc", "otlp_http"}
    for path in ("/health", "/health/live", "/health/ready", "/health/startup"):
        assert daemon.get(path, "health").status == 200
    assert counted(daemon, "mcptally_starts_total") == 1
    for name, mode in (("events.sock", 0o660), ("control.sock", 0o660), ("store", 0o640)):
        assert stat.S_IMODE((daemon.runtime / name).stat().st_mode) == mode
    daemon.check_accounting()


def test_second_daemon_names_the_first(daemon):
    second = subprocess.run(daemon.command(), env=daemon.environment(), capture_output=True,
                            text=True, timeout=DEADLINE, check=False)
    assert second.returncode == 75
    assert f"mcptallyd with pid {daemon.pid} is running here" in second.stderr
    assert daemon.status()["pid"] == daemon.pid


def test_socket_of_another_is_not_taken(new_daemon):
    first, second = new_daemon("a").start(), new_daemon("b")
    second.options["socket.path"] = first.socket
    second.spawn()
    assert second.process.wait(DEADLINE) == 75
    assert "another process listens there" in second.log()
    producer(first).close()


def test_counters_go_on_after_a_kill(daemon):
    one = producer(daemon)
    one.count((1, 5))
    one.wait_ack()
    daemon.kill()
    daemon.start()
    assert hits(daemon) == 5
    again = Producer(daemon.socket, session=one.session)
    again.next = one.next
    known, _, applied = again.greet(store=0)
    assert (known, applied) == (1, 1)
    assert counted(daemon, "mcptally_starts_total") == 2
    daemon.check_accounting()


def test_damaged_store_is_set_aside(daemon):
    producer(daemon).close()
    daemon.stop()
    with open(daemon.store, "r+b") as f:
        f.write(b"rubbish!")
    daemon.start()
    assert counted(daemon, "mcptally_stores_set_aside_total") == 1
    assert len(list(daemon.runtime.glob("store.damaged-*"))) == 1
    assert daemon.get("/health", "health").json()["status"] == "warn"
    daemon.check_accounting()


def test_unsafe_store_is_refused(daemon):
    daemon.stop()
    daemon.store.chmod(0o666)
    daemon.spawn()
    assert daemon.process.wait(DEADLINE) == 77
    assert "can be written by others" in daemon.log()


def test_store_goes_on_in_another_size(daemon):
    one = producer(daemon)
    one.count((1, 9))
    one.wait_ack()
    daemon.stop()
    daemon.options["store.size"] = "16MiB"
    daemon.start()
    assert hits(daemon) == 9
    assert daemon.status()["store"]["size"] == 16 << 20
    daemon.check_accounting()


def test_runtime_directory_on_a_disk(new_daemon, tmp_path):
    """The store then lies in /dev/shm/mcptally-UID, which is refused when it is not safe."""
    one = new_daemon()
    if os.statvfs(tmp_path).f_fsid == os.statvfs("/dev/shm").f_fsid:
        pytest.skip("the temporary directory is a tmpfs")
    private = f"/dev/shm/mcptally-{os.geteuid()}"
    if os.path.exists(private):
        pytest.skip(f"{private} is in use")
    os.mkdir(private, 0o777)
    os.chmod(private, 0o777)
    one.runtime = tmp_path / "run"
    one.runtime.mkdir()
    try:
        one.spawn()
        assert one.process.wait(DEADLINE) == 77
        os.chmod(private, 0o700)
        one.start()
        assert one.status()["store"]["path"] == f"{private}/store"
        one.stop()
    finally:
        for name in os.listdir(private):
            os.unlink(os.path.join(private, name))
        os.rmdir(private)


# ---- the brake on a crash loop ----

def test_crash_loop_is_slowed_down(new_daemon):
    one = new_daemon()
    for _ in range(5):
        one.start()
        one.kill()
    one.spawn()
    one.notify.wait("STATUS", one.process)  # it waits, and says so
    assert "6 starts in a row: serving in 1 s" in one.log()
    one.notify.wait("READY=1", one.process)
    one.stop()
    one.start()  # an orderly stop ends the row
    assert "7 starts" not in one.log()


def test_waiting_start_can_be_stopped(new_daemon):
    one = new_daemon()
    for _ in range(5):
        one.start()
        one.kill()
    one.spawn()
    until(lambda: "6 starts in a row" in one.log(), "the brake")
    assert one.stop() == 0
    assert "serves" not in one.log().split("6 starts in a row")[1]


def forge_head(daemon, word, *values):
    """Writes u64 words into the head of a store that no daemon has (store/layout.h)."""
    with open(daemon.store, "r+b") as f:
        f.seek(8 * word)
        f.write(struct.pack(f"<{len(values)}Q", *values))


STARTS, START_AT, DOMAIN_IN_HAND = 60, 61, 77  # words of struct store_head


def test_store_that_kills_every_daemon_is_set_aside(new_daemon):
    one = new_daemon()
    one.start()
    store = one.status()["store"]["id"]
    one.kill()
    # Ten starts as the ladder makes them, the last one waited 16 s and died a second ago.
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    if now < 40 * 10**9:
        pytest.skip("the machine has just booted")
    waits = [0, 0, 0, 0, 0, 1, 2, 4, 8, 16]
    ages = [sum(waits[i:]) + 1 for i in range(10)]
    forge_head(one, STARTS, 10, *[now - age * 10**9 for age in ages])
    one.start()
    assert "every daemon that went on from this store has died" in one.log()
    assert one.status()["store"]["id"] != store
    assert counted(one, "mcptally_stores_set_aside_total") == 1
    one.check_accounting()


# ---- stop ----

def test_drain_reads_what_was_written(daemon):
    """Written and not acknowledged, by producers that are there, and by one not yet accepted."""
    producers = [producer(daemon, f"p{i}") for i in range(4)]
    for one in producers:
        one.count((1, 1))
        one.wait_ack()
    os.kill(daemon.pid, signal.SIGSTOP)
    for one in producers:
        one.count(*[(1, 1)] * 2500)
        one.count(*[(1, 1)] * 2500)
    late = Producer(daemon.socket)
    late.send(wire.hello(late.session, service="late") + wire.metric(1, "hits")
              + wire.series(1, 1) + wire.updates(1, (1, 7)))
    late.next = 2
    daemon.process.send_signal(signal.SIGTERM)
    os.kill(daemon.pid, signal.SIGCONT)
    for one in producers:
        one.wait_ack()
        assert one.closed()
    assert daemon.process.wait(DEADLINE) == 0
    daemon.start()
    for i in range(4):
        assert hits(daemon, f"p{i}") == 5001
    assert hits(daemon, "late") == 7
    assert daemon.check_accounting()["received"] == 4 * 5001 + 1


def test_drain_has_an_end(daemon):
    """A producer that never stops writing does not hold up the stop."""
    one = producer(daemon)
    done = threading.Event()

    def flood():
        try:
            while not done.is_set():
                one.count(*[(1, 1)] * 5000)
        except OSError:
            pass

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert daemon.stop() == 0
    finally:
        done.set()
        one.socket.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE)
    assert not thread.is_alive()
    assert not os.path.exists(daemon.socket)


def test_second_signal_ends_it_at_once(daemon):
    one = producer(daemon)
    one.send(b"\x10")  # a frame that does not end
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(DEADLINE) == 0


# ---- producers ----

def test_dead_producer_is_read_to_its_end(daemon):
    """It is gone before the daemon comes to read, so that every answer fails."""
    os.kill(daemon.pid, signal.SIGSTOP)
    one = Producer(daemon.socket)
    one.send(wire.hello(one.session) + wire.metric(1, "hits") + wire.series(1, 1))
    one.send(b"".join(wire.updates(first, (1, 1)) for first in range(1, 1001)))
    one.close()
    os.kill(daemon.pid, signal.SIGCONT)
    until(lambda: daemon.status()["accounting"]["received"] == 1000, "all of it")
    assert hits(daemon) == 1000
    daemon.check_accounting()


def test_frames_in_any_pieces(daemon):
    one = Producer(daemon.socket)
    data = (wire.hello(one.session) + wire.metric(1, "hits") + wire.series(1, 1)
            + wire.updates(1, (1, 3), (1, 4)))
    for byte in data:
        one.send(bytes([byte]))
    one.next = 3
    assert one.receive()[0] == wire.WELCOME
    one.wait_ack()
    assert hits(daemon) == 7
    until(lambda: counted(daemon, "mcptally_partial_frame_bytes") == 0, "the end of the frame")


def test_nonsense_is_rejected_and_closed(daemon):
    for data, reason in ((b"GET / HTTP/1.1\r\n\r\n", wire.BAD_HEADER),
                         (struct.pack("<IBBH", 65537, 1, 0, 0), 257),
                         (wire.frame(wire.UPDATE, bytes(28)), 259),
                         (wire.frame(wire.HELLO, b""), 263)):
        one = Producer(daemon.socket)
        one.send(data)
        assert one.rejected() == reason
        assert one.closed()
    daemon.check_accounting()


@pytest.mark.parametrize("key", ["limits.connections", "limits.connections_per_user"])
def test_connections_are_bounded(new_daemon, key):
    daemon = new_daemon()
    daemon.options[key] = "3"
    daemon.start()
    first = [producer(daemon) for _ in range(3)]
    one = Producer(daemon.socket)
    assert one.rejected() == wire.REFUSED
    assert one.closed()
    assert counted(daemon, "mcptally_connections_refused_total") == 1
    first[0].close()
    until(lambda: daemon.status()["sessions"]["connected"] == 2, "the place to be free")
    producer(daemon).count((1, 1))


def test_connections_of_a_domain_are_bounded(new_daemon):
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("limits.connections_per_domain: 2\n"
                             "domains.mapping: [{service: greedy, domain: 1},"
                             " {service: other, domain: 2}]\n")
    daemon.start()
    mine = [producer(daemon, "greedy") for _ in range(2)]
    one = Producer(daemon.socket)
    one.send(wire.hello(one.session, service="greedy"))
    assert one.rejected() == wire.REFUSED
    assert one.closed()
    other = producer(daemon, "other")
    other.count((1, 1))
    other.wait_ack()
    assert counted(daemon, "mcptally_connections", domain="1") == len(mine)
    assert counted(daemon, "mcptally_connections", domain="2") == 1


def test_slow_frame_is_closed(new_daemon):
    daemon = new_daemon()
    daemon.options["limits.partial_frame_timeout"] = "1s"
    daemon.start()
    idle, slow, silent = producer(daemon), producer(daemon), Producer(daemon.socket)
    slow.send(wire.updates(1, (1, 1))[:-1])
    assert slow.rejected() == wire.SLOW_FRAME
    assert slow.closed()
    assert silent.rejected() == wire.SLOW_FRAME  # it never said HELLO
    idle.count((1, 1))
    idle.wait_ack()
    daemon.check_accounting()


def test_partial_frames_share_a_budget(new_daemon):
    """Who holds frames open stands still; who ends them goes on, in the same domain too."""
    daemon = new_daemon()
    daemon.options.update({"limits.partial_frame_bytes": "1MiB", "domains.count": "1",
                           "limits.partial_frame_timeout": "1s"})
    daemon.start()
    held = [producer(daemon, "greedy") for _ in range(24)]
    for one in held:
        one.send(wire.frame(wire.LOG, bytes(60000))[:-1])
    good = producer(daemon, "good")
    good.count((1, 1))
    good.wait_ack()
    for one in held:
        assert one.rejected() == wire.SLOW_FRAME
    assert hits(daemon, "good") == 1
    daemon.check_accounting()


def test_records_of_a_partial_frame_count_once(daemon):
    """They are applied as they come, and not again when the frame is sent anew."""
    one = producer(daemon)
    one.send(wire.updates(1, *[(1, 1)] * 5000)[:-1])
    until(lambda: hits(daemon) == 4999, "the whole records")
    one.close()
    again = producer(daemon, session=one.session)
    assert again.next == 5000
    again.send(wire.updates(1, *[(1, 1)] * 5000))
    again.next = 5001
    again.wait_ack()
    assert hits(daemon) == 5000
    daemon.check_accounting()


def test_peer_that_does_not_read_its_answers(new_daemon):
    """Its connection is closed when too much piles up; others do not notice."""
    daemon = new_daemon()
    daemon.start()
    deaf = producer(daemon)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for first in range(1, 1_000_000):
            deaf.send(wire.updates(first, (99, 1)))  # each is answered with a REJECT
    good = producer(daemon, "good")
    good.count((1, 1))
    good.wait_ack()
    accounting = daemon.check_accounting()
    assert accounting["dropped"]["unknown_id"] > 100  # how many fit the socket is the kernel's


def test_without_descriptors_it_goes_on(new_daemon):
    daemon = new_daemon()
    daemon.start()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, 64))
    producers = []
    refused = None
    for _ in range(80):
        one = Producer(daemon.socket)
        try:
            one.send(wire.hello(one.session))
        except BrokenPipeError:
            pass  # it was told already
        number, payload = one.receive()
        if number == wire.REJECT:
            refused = wire.reason_of(payload)
            break
        producers.append(one)
    assert refused == wire.REFUSED
    for one in producers[:40]:
        one.close()
    more = producer(daemon)
    more.count((1, 1))
    more.wait_ack()
    assert counted(daemon, "mcptally_connections_refused_total") >= 1
    assert daemon.log().count("no descriptor left") == 1


def test_flood_in_one_domain_does_not_hold_up_another(new_daemon):
    """In units of work: what others apply between two of its acknowledgements is bounded."""
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("domains.mapping: [{service: flood, domain: 1},"
                             " {service: calm, domain: 2}]\n")
    daemon.start()
    os.kill(daemon.pid, signal.SIGSTOP)
    floods, chunk = [], [(1, 1)] * 4000
    for _ in range(50):
        one = Producer(daemon.socket)
        one.send(wire.hello(one.session, service="flood", wants_ack=0) + wire.metric(1, "hits")
                 + wire.series(1, 1) + wire.updates(1, *chunk) + wire.updates(4001, *chunk)[:40000])
        floods.append(one)
    calm = Producer(daemon.socket)
    calm.send(wire.hello(calm.session, service="calm") + wire.metric(1, "hits")
              + wire.series(1, 1) + wire.updates(1, (1, 1)))
    calm.next = 2
    os.kill(daemon.pid, signal.SIGCONT)
    assert calm.receive()[0] == wire.WELCOME
    calm.wait_ack()
    for one in floods:
        one.send(wire.updates(4001, *chunk)[40000:])
    until(lambda: hits(daemon, "flood") == 50 * 8000, "the flood to be applied")
    assert hits(daemon, "calm") == 1
    daemon.check_accounting()


# ---- reload ----

def test_reload(new_daemon):
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("limits.connections: 1\n")
    daemon.start()
    one = producer(daemon)
    daemon.config.write_text("limits.connections: 2\nstore.size: 16MiB\nlog.level: debug\n")
    daemon.reload()
    assert "a restart is needed for: store.size" in daemon.log()
    two = producer(daemon)
    for each in (one, two):
        each.count((1, 1))
        each.wait_ack()
    assert daemon.status()["store"]["size"] == 64 << 20


def test_bad_reload_changes_nothing(new_daemon):
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("limits.connections: 2\n")
    daemon.start()
    daemon.config.write_text("limits.connections: 1\nstor.size: 1\n")
    daemon.reload()
    assert f"{daemon.config}:2:1: stor.size: unknown key" in daemon.log()
    assert "the configuration stays as it was" in daemon.log()
    for one in [producer(daemon) for _ in range(2)]:
        one.count((1, 1))
        one.wait_ack()


def test_rules_and_redaction_are_reloaded(new_daemon):
    daemon = new_daemon()
    daemon.config = daemon.runtime / "config.yaml"
    daemon.config.write_text("redaction.enabled: false\n")
    daemon.start()
    one = producer(daemon)

    def event(first):
        item = (struct.pack("<Q", time.time_ns()) + bytes(24) + wire.text("")
                + wire.text("job.done") + struct.pack("<H", 0) + struct.pack("<H", 1)
                + wire.text("password") + b"\x01" + wire.text("hunter2"))
        return wire.frame(wire.EVENT, struct.pack("<QII", first, 1, 0)
                          + struct.pack("<I", len(item)) + item)

    one.send(event(1))
    one.next = 2
    one.wait_ack()
    assert counted(daemon, "mcptally_redactions_total", place="attribute", rule="key") == 0
    daemon.config.write_text("rules: [{event: job.done, metric: jobs, kind: counter}]\n")
    daemon.reload()
    one.send(event(2))
    one.next = 3
    one.wait_ack()
    assert counted(daemon, "mcptally_redactions_total", place="attribute", rule="key") == 1
    assert counted(daemon, "jobs_total", service_name="test") == 1
    daemon.check_accounting()


# ---- systemd ----

def test_watchdog_is_pinged(new_daemon):
    daemon = new_daemon()
    daemon.env["WATCHDOG_USEC"] = "200000"
    daemon.start()
    for _ in range(3):
        daemon.notify.wait("WATCHDOG=1", daemon.process)
    os.kill(daemon.pid, signal.SIGSTOP)  # a loop that does not turn does not ping
    until(lambda: open(f"/proc/{daemon.pid}/stat").read().split()[2] == "T", "the stop")
    daemon.notify.drain()
    daemon.notify.messages.clear()
    time.sleep(0.6)
    assert daemon.notify.drain() == []
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.notify.wait("WATCHDOG=1", daemon.process)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.notify.wait("STOPPING=1", daemon.process)
    assert daemon.process.wait(DEADLINE) == 0


def test_socket_activation(new_daemon, shm):
    daemon = new_daemon()
    events = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    events.bind(str(shm / "passed.sock"))
    events.listen(16)
    metrics = socket.create_server(("127.0.0.1", 0))
    # A shell puts the descriptors where systemd would, and its own pid into LISTEN_PID.
    script = (f'exec 3<&{events.fileno()} 4<&{metrics.fileno()}; export LISTEN_FDS=2 '
              'LISTEN_FDNAMES=events:metrics LISTEN_PID=$$; exec "$0" "$@"')
    daemon.pass_fds = (events.fileno(), metrics.fileno())
    line = daemon.command
    daemon.command = lambda: ["bash", "-c", script, *line()]
    early = Producer(str(shm / "passed.sock"))  # connects before there is a daemon
    early.send(wire.hello(early.session) + wire.metric(1, "hits") + wire.series(1, 1)
               + wire.updates(1, (1, 1)))
    early.next = 2
    daemon.start()
    assert early.receive()[0] == wire.WELCOME
    early.wait_ack()
    assert daemon.address("metrics") == "127.0.0.1:%d" % metrics.getsockname()[1]
    assert hits(daemon) == 1
    assert not os.path.exists(daemon.socket)
    assert daemon.stop() == 0
    assert (shm / "passed.sock").exists()  # it is not ours to remove


def test_passed_port_that_is_not_the_configured_one(new_daemon):
    """What the configuration says counts, not what a socket unit has."""
    daemon = new_daemon()
    passed = socket.create_server(("127.0.0.1", 0))
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    daemon.options["listen.metrics"] = f"127.0.0.1:{port}"
    script = (f'exec 3<&{passed.fileno()}; export LISTEN_FDS=1 LISTEN_FDNAMES=metrics '
              'LISTEN_PID=$$; exec "$0" "$@"')
    daemon.pass_fds = (passed.fileno(),)
    line = daemon.command
    daemon.command = lambda: ["bash", "-c", script, *line()]
    daemon.start()
    assert daemon.address("metrics") == f"127.0.0.1:{port}"
    assert "the socket unit for 127.0.0.1:%d is not used" % passed.getsockname()[1] in daemon.log()


# ---- ports ----

def test_port_that_is_taken(new_daemon):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    daemon = new_daemon()
    daemon.options["listen.metrics"] = f"127.0.0.1:{port}"
    daemon.start()
    assert "listen.metrics" in daemon.log() and "9464" in daemon.log()
    health = daemon.get("/health/detailed", "health").json()
    assert health["status"] == "warn"
    assert daemon.get("/health/ready", "health").status == 200
    assert daemon.status()["listen"]["metrics"] is None
    daemon.reload()  # what the next try needs must outlive it
    taken.close()
    until(lambda: daemon.status()["listen"]["metrics"], "the port to be tried again")
    assert hits_page(daemon)
    until(lambda: daemon.get("/health", "health").json()["status"] == "pass", "the warning to go")


def hits_page(daemon):
    return re.search(r"^mcptally_starts_total 1$", daemon.get("/metrics").text, re.M)


def test_ports_can_be_off(new_daemon):
    daemon = new_daemon()
    daemon.options.update({k: "off" for k in daemon.options if k.startswith("listen.")})
    daemon.start()
    assert set(daemon.status()["listen"].values()) == {None}
    one = producer(daemon)
    one.count((1, 1))
    one.wait_ack()


# ---- idle ----

def test_idle_daemon_sleeps(daemon):
    """Once settled it wakes about once a second: voluntary context switches tell."""
    producers = [producer(daemon) for _ in range(10)]
    for one in producers:
        one.count((1, 1))
        one.wait_ack()
    starts = []
    until(lambda: settled(daemon.pid, starts), "the daemon to fall asleep")


def settled(pid, seen):
    """Whether two seconds went by with at most four wakeups."""
    now = time.monotonic()
    if not seen or sleeps(pid) - seen[1] > 4:
        seen[:] = [now, sleeps(pid)]
    return now - seen[0] >= 2.0
