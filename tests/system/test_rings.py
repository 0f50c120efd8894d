"""Shared rings: what the daemon reads of a producer's memory, and what it refuses to map.

The producer here is written by hand from mcptally-protocol(7), section RINGS; the
library's is in test_kill.py and below.
"""

import array
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap

import pytest

from conftest import until
from faults import OLD_KERNEL
from test_kill import number
from wire import REJECT, Producer, frame, hello, metric, reason_of, series

RING, RING_READY, BELL = 14, 15, 16
BAD_CONTROL, REFUSED, BAD_RING = 263, 264, 267
WANTS_RINGS = 2
PAGE, HEAD, WRITING = 4096, 64, 72
TAIL, ITEMS, ASLEEP = 0, 8, 64
F_ADD_SEALS, SEAL, SHRINK, GROW, FUTURE_WRITE = 1033, 1, 2, 4, 16
ALL_SEALS = SEAL | SHRINK | GROW | FUTURE_WRITE
EVENT_LOG = 8


class Memory:
    """A ring as its producer has it."""

    def __init__(self, words=1024, seals=ALL_SEALS, size=None, allocate=True):
        self.words, self.head, self.slot = words, 0, None
        self.fd = os.memfd_create("ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        size = PAGE + 4 * words if size is None else size
        os.ftruncate(self.fd, size)
        if allocate:
            os.posix_fallocate(self.fd, 0, size)
        self.map = mmap.mmap(self.fd, size)
        struct.pack_into("<8sQ", self.map, 0, b"cmpring1", words)
        self.numbers = memoryview(self.map)[:PAGE].cast("Q")
        fcntl.fcntl(self.fd, F_ADD_SEALS, seals)

    def publish(self, head):
        """In one piece: pack_into() writes byte by byte, and the daemon reads meanwhile."""
        self.head = head
        self.numbers[HEAD // 8] = head

    def put(self, raw):
        raw += bytes(-len(raw) % 4)
        for i in range(len(raw) // 4):
            at = PAGE + 4 * ((self.head + i) % self.words)
            self.map[at:at + 4] = raw[4 * i:4 * i + 4]
        self.publish(self.head + len(raw) // 4)

    def update(self, series_id, value):
        self.put(struct.pack("<IQ", series_id, value))

    def short(self, series_id, value):
        self.put(struct.pack("<I", 0x40000000 | value << 16 | series_id))

    def item(self, kind, body):
        self.put(struct.pack("<I", 0x80000000 | kind << 24 | len(body)) + body)

    def attach(self, fd, offset):
        page = offset // 4096 * 4096
        self.slot = memoryview(mmap.mmap(fd, 4096, prot=mmap.PROT_READ, offset=page))
        self.at = offset - page
        os.close(fd)

    def seen(self, what):
        return struct.unpack_from("<I" if what == ASLEEP else "<Q", self.slot, self.at + what)[0]


class Sharer(Producer):
    """A producer that has said that it wants to share rings."""

    def __init__(self, path, session=None):
        super().__init__(path, session)
        self.fds = []
        self.send(hello(self.session, wants_ack=1 | WANTS_RINGS))
        _, payload = self.receive()
        self.known, self.max_rings = struct.unpack_from("<I", payload, 4)[0], \
            struct.unpack_from("<I", payload, 32)[0] if len(payload) > 32 else 0

    def receive(self):
        while len(self.held) < 8 or len(self.held) < 8 + struct.unpack_from("<I", self.held)[0]:
            try:
                data, control, _, _ = self.socket.recvmsg(65536, 4096)
            except ConnectionResetError:
                return None
            for _, kind, raw in control:
                assert kind == socket.SCM_RIGHTS
                self.fds.extend(array.array("i", raw))
            if not data:
                return None
            self.held += data
        size, number_ = struct.unpack_from("<IB", self.held)
        payload, self.held = self.held[8:8 + size], self.held[8 + size:]
        return number_, payload

    def wait_for(self, wanted):
        while True:
            answer = self.receive()
            assert answer, "the daemon hung up"
            if answer[0] == wanted:
                return answer[1]

    def offer(self, memory, stream=1, position=0, words=None, fds=None):
        """Offers a ring; (reason, position, items) of the answer."""
        fds = [memory.fd] if fds is None else fds
        raw = frame(RING, struct.pack("<IIQ", stream, memory.words if words is None else words,
                                      position))
        self.socket.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                     array.array("i", fds))] if fds else [])
        _, reason, position, items, slot = struct.unpack("<IIQQI", self.wait_for(RING_READY))
        if reason == 0:
            memory.attach(self.fds.pop(0), slot)
        return reason, position, items

    def define(self, name="ring.jobs"):
        self.send(metric(1, name) + series(1, 1))

    def bell(self, token):
        """Rings, and waits until everything published is read."""
        self.send(frame(BELL, struct.pack("<Q", token)))
        assert struct.unpack("<Q", self.wait_for(BELL))[0] == token


@pytest.fixture
def sharer(daemon):
    one = Sharer(daemon.socket)
    one.define()
    yield one
    one.close()


def jobs(daemon):
    return number(daemon.metrics(), "ring_jobs_total")


def log(message):
    text = struct.pack("<H", len(message)) + message
    return struct.pack("<Q", 1) + bytes(24) + b"\0\0" + b"\x09" + text + b"\0\0"


def test_what_is_published_is_applied(daemon, sharer):
    memory = Memory()
    assert sharer.max_rings == 64
    assert sharer.offer(memory) == (0, 0, 0)
    for value in range(1, 3000):  # nine times around
        if value % 100 == 0:
            memory.item(EVENT_LOG, log(b"x" * (value % 7)))
        else:
            memory.update(1, value)
        if value % 50 == 0:
            sharer.bell(value)
            assert memory.seen(TAIL) == memory.head
    sharer.bell(1)
    assert jobs(daemon) == sum(v for v in range(1, 3000) if v % 100)
    assert memory.seen(ITEMS) == 2999
    assert number(daemon.metrics(), "mcptally_shared_rings") == 1
    daemon.check_accounting()


def test_long_and_short_updates_add_up_wherever_they_lie(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    total = items = 0
    for turn in range(40):
        for i in range(150 + turn):
            value = i * 97 % 16384
            if (i + turn) % 5:
                memory.short(1, value)
            else:
                memory.update(1, value << 20)
                value <<= 20
            if i % 50 == 49:
                memory.short(4321, 1)  # which nobody has defined
            total += value
            items += 1 + (i % 50 == 49)
        sharer.bell(turn + 1)
    assert jobs(daemon) == total
    assert memory.seen(ITEMS) == items
    ledger = daemon.metrics()
    assert number(ledger, "mcptally_items_dropped_total", reason="unknown_id") > 0
    daemon.check_accounting()


def test_the_daemon_finds_it_without_a_bell_while_it_is_awake_and_says_when_it_sleeps(daemon,
                                                                                      sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(1, 5)
    until(lambda: memory.seen(TAIL) == 3, "the update to be read")
    until(lambda: memory.seen(ASLEEP) != 0, "the daemon to sleep")
    slept = memory.seen(ASLEEP)
    memory.update(1, 6)
    sharer.bell(9)
    assert jobs(daemon) == 11
    until(lambda: memory.seen(ASLEEP) not in (0, slept), "the daemon to sleep again")


def test_a_ring_is_read_on_where_the_daemon_before_has_stopped(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(1, 1)
    sharer.bell(1)
    daemon.kill()
    memory.update(1, 10)
    daemon.start()
    again = Sharer(daemon.socket, sharer.session)
    again.define()
    assert again.known == 1
    assert again.offer(memory, position=0) == (0, 3, 1)
    again.bell(2)
    assert jobs(daemon) == 11
    assert memory.seen(ITEMS) == 2
    daemon.check_accounting()


def test_a_producer_that_comes_back_before_its_old_connection_is_read(daemon, sharer):
    """Both connections have the ring, which is read over many turns; every record counts once."""
    memory = Memory(words=65536)
    sharer.offer(memory)
    memory.update(1, 1)
    sharer.bell(1)
    again = Sharer(daemon.socket, sharer.session)
    again.define()
    os.kill(daemon.pid, signal.SIGSTOP)
    for _ in range(20000):
        memory.update(1, 1)
    sharer.send(frame(BELL, struct.pack("<Q", 0)))
    sharer.socket.shutdown(socket.SHUT_WR)
    raw = frame(RING, struct.pack("<IIQ", 1, memory.words, memory.seen(TAIL)))
    again.socket.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                  array.array("i", [memory.fd]))])
    os.kill(daemon.pid, signal.SIGCONT)
    ready = struct.unpack("<IIQQI", again.wait_for(RING_READY))
    memory.attach(again.fds.pop(0), ready[4])
    memory.update(1, 1)
    again.bell(1)
    assert jobs(daemon) == 20002
    assert memory.seen(ITEMS) == 20002
    daemon.check_accounting()


def test_the_slot_of_a_connection_that_was_closed_is_no_other_rings(daemon, sharer):
    """Its producer looks at it until it has come back: it finds how far it was read there, and
    not another ring's tail, for which it would overwrite what is not read."""
    sharer.offer(Memory())  # so that the daemon keeps the page
    one, memory = Sharer(daemon.socket), Memory()
    one.define()
    one.offer(memory)
    memory.update(1, 1)
    one.bell(1)
    one.send(frame(99, b""))
    while one.receive():
        pass
    memory.update(1, 10)

    other, busy = Sharer(daemon.socket), Memory()
    other.define()
    for stream in range(1, 40):
        other.offer(busy if stream == 1 else Memory(), stream)
    for _ in range(100):
        busy.update(1, 1)
    other.bell(1)
    assert (busy.seen(TAIL), busy.seen(ITEMS)) == (300, 100)
    assert (memory.seen(TAIL), memory.seen(ITEMS)) == (3, 1)

    again = Sharer(daemon.socket, one.session)
    again.define()
    assert again.offer(memory, position=memory.seen(TAIL)) == (0, 3, 1)
    again.bell(2)
    assert jobs(daemon) == 111
    daemon.check_accounting()


def test_a_ring_that_has_ended_is_forgotten(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(1, 1)
    sharer.bell(1)
    sharer.send(frame(RING, struct.pack("<IIQ", 1, 0, 0)))
    other = Memory()
    other.publish(30)
    assert sharer.offer(other, position=30) == (0, 30, 0)
    assert number(daemon.metrics(), "mcptally_shared_rings") == 1


def test_an_update_waits_for_its_definition(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(2, 7)
    memory.update(1, 1)
    sharer.send(frame(BELL, struct.pack("<Q", 0)))
    sharer.send(metric(2, "ring.late") + series(2, 2))
    sharer.bell(1)
    assert number(daemon.metrics(), "ring_late_total") == 7
    memory.update(99, 1)  # which nobody defines
    memory.update(1, 1)
    sharer.bell(2)
    assert jobs(daemon) == 2
    assert number(daemon.metrics(), "mcptally_items_dropped_total", reason="unknown_id") == 1
    daemon.check_accounting()


def test_who_talks_all_the_time_is_not_waited_for_longer(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(99, 1)  # which nobody defines
    memory.update(1, 1)

    def read():
        sharer.send(frame(BELL, struct.pack("<Q", 0)))
        return memory.seen(TAIL) == memory.head
    until(read, "the update without a definition to be dropped")
    assert jobs(daemon) == 1


def test_ids_beyond_the_limit_are_not_waited_for(new_daemon, tmp_path):
    """Each turn of the ring would take a second, and there are sixty-four."""
    daemon = new_daemon("ids")
    daemon.config = tmp_path / "ids.yaml"
    daemon.config.write_text("limits: {ids_per_connection: 16}\n")
    daemon.start()
    one, memory = Sharer(daemon.socket), Memory(words=262144)
    one.define()
    one.offer(memory)
    for _ in range(40000):
        memory.update(16, 1)
        memory.update(1, 1)
    one.bell(1)
    assert memory.seen(TAIL) == memory.head
    assert jobs(daemon) == 40000


def test_what_a_dead_producer_had_published_is_read_and_what_it_had_begun_is_torn(daemon):
    script = textwrap.dedent("""
        import os, signal, struct, sys
        sys.path.insert(0, sys.argv[2])
        from test_rings import Memory, Sharer, WRITING
        one = Sharer(sys.argv[1])
        one.define()
        memory = Memory(words=65536)
        one.offer(memory)
        while memory.seen(64) == 0:
            pass                      # until the daemon sleeps, and is not told what comes
        for i in range(20000):
            memory.update(1, 1)
        struct.pack_into("<Q", memory.map, WRITING, memory.head + 1)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    here = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", script, daemon.socket, here], timeout=60,
                          check=False)
    assert done.returncode == -signal.SIGKILL
    until(lambda: jobs(daemon) == 20000, "all to be read")
    until(lambda: number(daemon.metrics(), "mcptally_items_dropped_total", reason="torn") == 1,
          "the torn item to be counted")
    until(lambda: number(daemon.metrics(), "mcptally_shared_rings") == 0, "the end")
    daemon.check_accounting()


@pytest.mark.parametrize("bad", [
    {"seals": SHRINK | GROW | SEAL}, {"seals": GROW | FUTURE_WRITE | SEAL},
    {"seals": SHRINK | FUTURE_WRITE | SEAL}, {"seals": SHRINK | GROW | FUTURE_WRITE},
    {"seals": 0}, {"size": PAGE + 4096 + 4}, {"size": PAGE}, {"allocate": False},
], ids=str)
def test_memory_that_is_not_safe_is_refused_and_the_connection_stays(daemon, sharer, bad):
    assert sharer.offer(Memory(**bad)) == (BAD_RING, 0, 0)
    good = Memory()
    assert sharer.offer(good, stream=2)[0] == 0
    good.update(1, 4)
    sharer.bell(1)
    assert jobs(daemon) == 4


def test_who_takes_no_answers_makes_no_heap_of_refused_rings(daemon, sharer):
    sharer.socket.shutdown(socket.SHUT_RD)
    sharer.send(series(2, 77))  # whose refusal cannot be sent
    bad, other = Memory(seals=0), Sharer(daemon.socket)
    fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [bad.fd]))]
    with pytest.raises(BrokenPipeError):
        for stream in range(1, 20000):
            raw = frame(RING, struct.pack("<IIQ", stream, bad.words, 0))
            sharer.socket.sendmsg([raw], fds)
    until(lambda: number(daemon.metrics(), "mcptally_shared_rings") == 0, "their end")
    assert other.offer(Memory())[0] == 0


def test_what_is_no_memory_is_refused(sharer):
    with open(__file__, "rb") as ordinary:
        assert sharer.offer(Memory(), fds=[ordinary.fileno()])[0] == BAD_RING
    reader, writer = os.pipe()
    assert sharer.offer(Memory(), stream=2, fds=[reader])[0] == BAD_RING
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("bad", ["head", "mark", "kind", "piece"])
def test_a_ring_that_lies_ends_its_connection_alone(daemon, sharer, bad):
    memory, other = Memory(), Sharer(daemon.socket)
    sharer.offer(memory)
    memory.update(1, 3)
    sharer.bell(1)
    if bad == "head":
        memory.publish(memory.head + 1025)
    elif bad == "mark":
        memory.put(struct.pack("<I", 0x80000000 | EVENT_LOG << 24 | 40000))
    elif bad == "kind":
        memory.put(struct.pack("<I", 0x80000000 | 3 << 24))
    else:
        memory.put(struct.pack("<I", 1))  # a third of an update
    assert reason_of(sharer.wait_for(REJECT)) == BAD_CONTROL
    assert sharer.receive() is None
    other.define()
    good = Memory()
    other.offer(good)
    good.update(1, 2)
    other.bell(1)
    assert jobs(daemon) == 5
    daemon.check_accounting()


def test_a_socket_that_lingers_does_not_keep_the_daemon(daemon, sharer):
    """The daemon is the last to close it, and its peer takes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        full = socket.create_connection(server.getsockname())
        full.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                full.send(bytes(65536))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
        os.kill(daemon.pid, signal.SIGSTOP)
        fds = array.array("i", [full.fileno()])
        sharer.socket.sendmsg([frame(RING, struct.pack("<IIQ", 1, 1024, 0))],
                              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        full.close()
        os.kill(daemon.pid, signal.SIGCONT)
        sharer.wait_for(RING_READY)
        assert jobs(daemon) == 0


def test_descriptors_that_belong_to_nothing_end_the_connection(daemon, sharer):
    reader, writer = os.pipe()
    before = number(daemon.metrics(), "process_open_fds")
    fds = array.array("i", [reader] * 5)
    sharer.socket.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    until(lambda: sharer.receive() is None, "the end of the connection")
    until(lambda: number(daemon.metrics(), "process_open_fds") < before, "none is kept")
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("how", ["read", "unread", "control"])
def test_a_socket_that_lingers_does_not_keep_the_loop(new_daemon, how):
    """Whoever closes the last copy of such a socket waits for its linger time: not us, where
    the kernel cannot be told that none may be passed."""
    daemon = new_daemon()
    daemon.env.update(OLD_KERNEL)
    daemon.start()
    listener = socket.create_server(("127.0.0.1", 0))
    full = socket.create_connection(listener.getsockname())
    full.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            full.send(b"x" * 65536)
    full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.connect(daemon.control if how == "control" else daemon.socket)
    os.kill(daemon.pid, signal.SIGSTOP)
    if how == "unread":  # behind what ends the connection
        one.sendall(b"\xff" * 70000)
    one.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                           array.array("i", [full.fileno()]))])
    one.close()
    full.close()
    os.kill(daemon.pid, signal.SIGCONT)
    assert daemon.get("/health", port="health").status == 200  # within its deadline of 30 s
    listener.close()


@pytest.mark.parametrize("place", ["events", "control"])
@pytest.mark.parametrize("kernel", ["old", "new"])
def test_descriptors_that_nobody_asked_for(new_daemon, place, kernel):
    """They end the connection, if the kernel lets them through at all."""
    daemon = new_daemon()
    daemon.env.update(OLD_KERNEL if kernel == "old" else {})
    daemon.start()
    ended = "mcptally_uninvited_descriptors_total"
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(daemon.socket if place == "events" else daemon.control)
        try:
            one.sendmsg([hello(os.urandom(16)) if place == "events" else b"{"],
                        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))])
        except PermissionError:
            assert kernel == "new" and number(daemon.metrics(), ended) == 0
            return
        assert one.recv(4096) == b""
    assert number(daemon.metrics(), ended) == 1


def test_a_ring_frame_without_memory_ends_the_connection(sharer):
    sharer.send(frame(RING, struct.pack("<IIQ", 1, 1024, 0)))
    assert reason_of(sharer.wait_for(REJECT)) == BAD_CONTROL
    assert sharer.receive() is None


def test_who_did_not_ask_may_not_share(daemon):
    one = Producer(daemon.socket)
    one.greet()
    one.send(frame(BELL, struct.pack("<Q", 0)))
    assert one.rejected() == BAD_CONTROL
    assert one.closed()


def test_rings_that_come_one_after_the_other_do_not_put_off_the_look_at_others(daemon, sharer):
    """Each of them is looked at soon: the look that was due is not to wait for that."""
    memory, offered, looks = Memory(), Memory(), 0
    sharer.offer(memory)
    fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [offered.fd]))]
    offer, end = (frame(RING, struct.pack("<IIQ", 1, words, 0)) for words in (1024, 0))
    others = [Sharer(daemon.socket) for _ in range(8)]
    for one in others:
        one.socket.sendmsg([offer], fds)
    for i in range(10000):
        one = others[i % len(others)]
        one.wait_for(RING_READY)
        while one.fds:
            os.close(one.fds.pop())
        one.socket.sendmsg([end + offer], fds)
        if memory.seen(TAIL) == memory.head:
            memory.update(1, 1)
            looks += 1
    assert looks > 50
    sharer.bell(1)
    assert jobs(daemon) == looks


def test_rings_have_a_budget(new_daemon, tmp_path):
    daemon = new_daemon("few")
    daemon.config = tmp_path / "few.yaml"
    daemon.config.write_text("limits: {rings: 1, rings_per_session: 2}\n")
    daemon.start()
    one = Sharer(daemon.socket)
    assert one.max_rings == 2
    assert one.offer(Memory())[0] == 0
    assert one.offer(Memory(), stream=2, position=7) == (REFUSED, 7, 0)
    daemon.config.write_text("limits: {rings: 0}\n")
    daemon.reload()
    assert Sharer(daemon.socket).max_rings == 0


def test_a_user_has_his_share_of_rings(new_daemon, tmp_path):
    daemon = new_daemon("share")
    daemon.config = tmp_path / "share.yaml"
    daemon.config.write_text("limits: {rings_per_user: 3}\n")
    daemon.start()
    one, other = Sharer(daemon.socket), Sharer(daemon.socket)
    assert one.offer(Memory(), 1)[0] == one.offer(Memory(), 2)[0] == 0
    assert other.offer(Memory(), 1)[0] == 0
    assert other.offer(Memory(), 2)[0] == REFUSED
    one.close()
    until(lambda: other.offer(Memory(), 3)[0] == 0, "room for another")


def test_rings_whose_end_was_lost_make_room_and_no_others(new_daemon, tmp_path):
    """A session may have two. One ring is there still after the connection was lost; that the
    other has come to its end could not be said."""
    daemon = new_daemon("lost")
    daemon.config = tmp_path / "lost.yaml"
    daemon.config.write_text("limits: {rings_per_session: 2}\n")
    daemon.start()
    one = Sharer(daemon.socket)
    one.define()
    kept, lost, new = Memory(), Memory(), Memory()
    for stream, memory in enumerate((kept, lost), 1):
        assert one.offer(memory, stream)[0] == 0
        memory.update(1, 10)
    one.bell(1)
    assert one.offer(new, 3)[0] == REFUSED
    one.close()
    again = Sharer(daemon.socket, one.session)
    again.define()
    assert again.offer(kept, 1) == (0, 3, 1)
    assert again.offer(new, 3) == (0, 0, 0)
    assert again.offer(Memory(), 4)[0] == REFUSED
    kept.update(1, 1)
    new.update(1, 2)
    again.bell(2)
    assert jobs(daemon) == 23
    daemon.check_accounting()


def test_many_bells_are_one_look(daemon, sharer):
    memory = Memory()
    sharer.offer(memory)
    memory.update(1, 7)
    sharer.send(b"".join(frame(BELL, struct.pack("<Q", i)) for i in range(1, 4000)))
    while struct.unpack("<Q", sharer.wait_for(BELL))[0] != 3999:
        pass
    assert jobs(daemon) == 7


@pytest.mark.parametrize("limits", ["rings: 0", "rings_per_session: 0"])
def test_who_has_shared_is_told_how_far_he_is_read_when_it_is_no_longer_wanted(
        new_daemon, tmp_path, limits):
    daemon = new_daemon("none")
    daemon.start()
    one, memory = Sharer(daemon.socket), Memory()
    one.define()
    one.offer(memory)
    memory.update(1, 5)
    one.bell(1)
    one.close()
    daemon.stop()
    daemon.config = tmp_path / "none.yaml"
    daemon.config.write_text(f"limits: {{{limits}}}\n")
    daemon.start()
    again = Sharer(daemon.socket, one.session)
    assert again.max_rings == 1
    reason, position, items = again.offer(memory, position=0)
    assert reason == (REFUSED if limits == "rings: 0" else 0)
    assert (position, items) == (3, 1)
    assert Sharer(daemon.socket).max_rings == 0
