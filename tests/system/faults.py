"""The other end of tests/fault/fault.c: says which call of a program fails, and counts them.

And Life: what a daemon's peers do in one round, each with patience, so that a
round can be asked to come to a good end whatever failed on the way."""

import errno
import http.client
import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import time

import h2
import items
import otlp
import wire
from conftest import BUILD, DEADLINE

LIBRARY = BUILD / "tests/fault/libfault.so"
SHORT = 0  # a read or write of one byte
CRASH = 1000  # and the number of a signal: instead of failing, the call ends the program
PROGRAM, FORKED = 0, 1  # whose calls: the program's own, or those of what it forks
PATIENCE = 20.0  # seconds until what was tried again and again counts as never answered

# In the order of KIND_TABLE in fault.c, each with the errors that a kernel may give.
KINDS = {
    "memory": (errno.ENOMEM,),
    "map": (errno.ENOMEM,),
    "open": (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOSPC, errno.EINTR),
    "socket": (errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    "accept": (errno.EMFILE, errno.ENFILE, errno.EINTR, errno.ECONNABORTED, errno.ENOMEM),
    "connect": (errno.EAGAIN, errno.ECONNREFUSED, errno.ENOMEM, errno.EINTR),
    "bind": (errno.EADDRINUSE,),
    "read": (errno.EINTR, errno.EIO, SHORT),
    "write": (errno.EINTR, errno.ENOSPC, errno.EIO, SHORT),
    "recv": (errno.EINTR, errno.ECONNRESET, SHORT),
    "send": (errno.EINTR, errno.EAGAIN, errno.EPIPE, errno.ENOBUFS, SHORT),
    "pass": (errno.EINTR, errno.EAGAIN, errno.EPIPE, errno.ENOBUFS, errno.ETOOMANYREFS, SHORT),
    "epoll_ctl": (errno.ENOMEM, errno.ENOSPC),
    "epoll_wait": (errno.EINTR,),
    "stat": (errno.EIO, errno.ENOMEM),
    "allocate": (errno.ENOSPC, errno.EINTR),
    "truncate": (errno.EIO, errno.EINTR),
    "rename": (errno.ENOSPC, errno.EIO),
    "unlink": (errno.EIO,),
    "sync": (errno.EIO, errno.ENOSPC),
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "pipe": (errno.EMFILE,),
    "random": (errno.EINTR,),
    "fcntl": (errno.EINTR,),
    "sockopt": (errno.ENOBUFS,),
    "directory": (errno.EMFILE, errno.ENOMEM, errno.ENOSPC),
    "thread": (errno.EAGAIN,),
    "poll": (errno.EINTR,),
    "event": (errno.EMFILE, errno.ENOMEM),
}
OLD_KERNEL = {"LD_PRELOAD": str(LIBRARY), "MCPTALLY_FAULT_KERNEL": "6.1"}  # no SO_PASSRIGHTS
NUMBER = {name: i for i, name in enumerate(KINDS)}
TRACE = 24
HEAD = 4  # words before the trace
WORDS = HEAD + TRACE + 2 * len(KINDS) * 5
CALLS, AT, TIMES, ERROR, FIRED = range(5)


def name_of(error):
    return errno.errorcode.get(error, "SHORT")


class Faults:
    def __init__(self, path, program="mcptallyd"):
        self.path, self.program, self.ranges = path, program, []
        path.write_bytes(bytes(8 * WORDS))
        with open(path, "r+b") as f:
            self.memory = memoryview(mmap.mmap(f.fileno(), 0)).cast("Q")

    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "MCPTALLY_FAULT": str(self.path),
                "MCPTALLY_FAULT_PROGRAM": self.program}

    def at(self, kind, word, role=PROGRAM):
        return HEAD + TRACE + (role * len(KINDS) + NUMBER[kind]) * 5 + word

    def calls(self, kind, role=PROGRAM):
        return self.memory[self.at(kind, CALLS, role)]

    def fired(self, kind, role=PROGRAM):
        return self.memory[self.at(kind, FIRED, role)]

    def live(self, role=PROGRAM):
        """Blocks of memory in use. It goes on below zero when what is freed was there before."""
        return struct.unpack("<q", struct.pack("<Q", self.memory[role]))[0]

    def set_clock(self, seconds):
        """How far the program's time of day is off."""
        self.memory[2] = int(seconds * 1e9) & (1 << 64) - 1

    def arm(self, kind, n, error, role=PROGRAM, times=1):
        """The nth call from now on fails, and `times` - 1 after it."""
        self.memory[self.at(kind, TIMES, role)] = times
        self.memory[self.at(kind, ERROR, role)] = error
        self.memory[self.at(kind, FIRED, role)] = 0
        self.memory[self.at(kind, AT, role)] = self.calls(kind, role) + n

    def disarm(self, kind, role=PROGRAM):
        """Returns how many calls failed."""
        self.memory[self.at(kind, AT, role)] = 0
        return self.fired(kind, role)

    def reset(self):
        for i in range(WORDS):
            self.memory[i] = 0

    def learn(self, pid):
        """Where its code lies, for where() also when it is dead."""
        self.ranges = []
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            for line in maps:
                fields = line.split()
                if len(fields) == 6 and fields[5].startswith("/"):
                    low, high = (int(x, 16) for x in fields[0].split("-"))
                    self.ranges.append((low, high, int(fields[2], 16), fields[5]))

    def where(self):
        """Who made the first call that failed, as function names."""
        return " < ".join(self.symbol(self.memory[HEAD + i])
                          for i in range(1, min(self.memory[3], TRACE)))

    def symbol(self, address):
        for low, high, offset, path in self.ranges:
            if low <= address < high:
                said = subprocess.run(["addr2line", "-sfe", path, hex(address - low + offset - 1)],
                                      capture_output=True, text=True, check=False).stdout.split()
                known = said and said[0] != "??"
                return f"{said[0]} {said[1]}" if known else f"{os.path.basename(path)}"
        return hex(address)


# ---- what peers do ----


def patiently(what):
    """Tries again until it is done: a peer that is refused comes again."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return what()
        except (OSError, http.client.HTTPException, Refused) as error:
            if time.monotonic() > end:
                raise AssertionError(f"{what.__name__}: never done: {error!r}") from error
            time.sleep(0.01)


class Refused(Exception):
    """An answer that a peer takes as: later."""


class Acknowledged:
    """A producer that keeps what is not acknowledged and sends it again: exactly once."""

    def __init__(self, path, service):
        self.path, self.service = path, service
        self.session = os.urandom(16)
        self.following, self.kept = 1, []  # (number, a frame's type, its body)
        self.store = 0
        self.counted = 0
        self.line = None

    def add(self, *things):
        """A number is counted; anything else is an item of items.py."""
        for thing in things:
            if isinstance(thing, int):
                self.counted += thing
                thing = wire.UPDATE, struct.pack("<IQ", 1, thing)
            self.kept.append((self.following, *thing))
            self.following += 1

    def frame(self, number, kind, body):
        if kind == wire.UPDATE:
            return wire.frame(kind, struct.pack("<QII", number, 1, 0) + body)
        return wire.frame(kind, struct.pack("<QII", number, 1, 0)
                          + struct.pack("<I", len(body)) + body)

    def acknowledge(self, applied):
        self.kept = [item for item in self.kept if item[0] > applied]

    def connect(self):
        line = wire.Producer(self.path, self.session, timeout=5)
        try:
            first = self.kept[0][0] if self.kept else self.following
            line.send(wire.hello(self.session, self.service, first=first, store=self.store,
                                 following=self.following))
            answer = line.receive()
            if not answer or answer[0] != wire.WELCOME:
                raise Refused("no welcome")
            self.store, applied = struct.unpack_from("<QQ", answer[1], 8)
            self.acknowledge(applied)
            line.send(wire.metric(1, "fault.count") + wire.series(1, 1))
        except BaseException:
            line.close()
            raise
        return line

    def deliver(self):
        """Once over a connection; raises when that ends too early."""
        line = self.line or self.connect()
        try:
            for item in self.kept:
                line.send(self.frame(*item))
            while self.kept:
                answer = line.receive()
                if not answer or answer[0] == wire.REJECT:
                    raise Refused("it ended" if not answer else str(wire.reason_of(answer[1])))
                if answer[0] == wire.ACK:
                    self.acknowledge(struct.unpack("<Q", answer[1])[0])
        except BaseException:
            line.close()
            self.line = None
            raise
        self.line = line

    def leave(self):
        if self.line:
            self.line.close()
        self.line = None


class Life:
    """Rounds of everything that a daemon's edges are there for."""

    def __init__(self, daemon):
        self.daemon = daemon
        listen = patiently(daemon.status)["listen"]
        self.address = {name: (a.rsplit(":", 1)[0], int(a.rsplit(":", 1)[1]))
                        for name, a in listen.items() if a}
        self.one = Acknowledged(daemon.socket, "fault")
        self.sent, self.started = 0, time.time_ns()
        self.before = self.scrape() if "metrics" in self.address else 0

    def produce(self):
        self.one.add(1, 2, items.event("fault.event", {"n": 1}, {"password": "x"}),
                     items.span("op"), items.log("a line"), items.health("part", "healthy"), 3)
        patiently(self.one.deliver)
        self.one.leave()

    def request(self, port, method, path, body=None, kind=None):
        def once():
            line = http.client.HTTPConnection(*self.address[port], timeout=5)
            try:
                line.request(method, path, body, {"Content-Type": kind} if kind else {})
                answer = line.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise Refused(f"{path}: {answer.status}")
                return text.decode()
            finally:
                line.close()
        return patiently(once)

    def scrape(self):
        page = self.request("metrics", "GET", "/metrics")
        found = re.search(r'^fault_count_total\{.*service_name="fault".*\} (\d+)', page, re.M)
        return int(found[1]) if found else 0

    def post(self):
        """A cumulative point: however often it is sent, it counts once."""
        self.sent += 1
        point = otlp.point(self.sent, time=time.time_ns(), start=self.started)
        body = otlp.request(otlp.counter("fault.sent", [point], cumulative=True))
        self.request("otlp_http", "POST", "/v1/metrics", body, "application/x-protobuf")

    def call(self):
        def once():
            peer = h2.Peer(":".join(map(str, self.address["otlp_grpc"])))
            try:
                peer.socket.settimeout(5)
                stream = peer.open(h2.call(otlp.SERVICES["logs"]))
                peer.send(h2.frame(h2.DATA, h2.END_STREAM, stream,
                                   h2.message(otlp.request(otlp.log("x")))))
                # An error is one block of headers; what was taken has a message after it.
                got = peer.until(h2.HEADERS, stream)
                if not got or got[1] & h2.END_STREAM or not peer.until(h2.HEADERS, stream):
                    raise Refused("no answer")
            finally:
                peer.close()
        patiently(once)

    def control(self):
        def once():
            line = [str(BUILD / "mcptally"), "status", "--json", "--runtime-dir",
                    str(self.daemon.runtime)]
            done = subprocess.run(line, capture_output=True, timeout=DEADLINE, check=False)
            if done.returncode:
                raise Refused(done.stderr.decode())
        patiently(once)

    def reload(self):
        """The log says when it is over, good or not."""
        def words():
            return len(re.findall(r"read again|stays as it was", self.daemon.log()))
        before = words()
        self.daemon.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while words() == before:
            assert time.monotonic() < end, "no word of the reload"
            time.sleep(0.002)

    def round(self, *parts):
        """The daemon may not have died, and what is acknowledged is there, once."""
        for part in parts or ("produce", "scrape", "health", "post", "call", "control"):
            getattr(self, part)()

    def health(self):
        self.request("health", "GET", "/health")

    def check(self):
        assert self.daemon.process.poll() is None, "it died"
        if "metrics" in self.address:  # a port that was not to be had comes later
            assert self.scrape() == self.before + self.one.counted
        self.daemon.check_accounting()


def connect_and_stay(address, count):
    """Connections that say nothing; fewer when the backlog is full."""
    made = []
    for _ in range(count):
        unix = isinstance(address, str)
        one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        one.setblocking(False)
        made.append(one)
        try:
            one.connect(address)
        except BlockingIOError:
            pass
    return made
