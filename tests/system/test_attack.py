"""Whoever means harm, at every port: /health answers all the while, nothing that others send is
lost, and when it is over nothing is left of it.

What a request for /health took is told, beside what the same took of a second daemon that nobody
attacks, at the same time on the same machine. It is not asserted: on a busy machine both are
late. That each is answered is. MCPTALLY_LONG=1 attacks for longer."""

import array
import ctypes
import gzip
import itertools
import multiprocessing
import os
import pathlib
import resource
import socket
import struct
import subprocess
import time

import pytest

import faults
import h2
import otlp
import wire
from conftest import DEADLINE, until

SECONDS = 10.0 if os.environ.get("MCPTALLY_LONG") else 2.0
HALF_OPEN = 10_000  # connections, over the four TCP ports
TCP = ("metrics", "health", "otlp_grpc", "otlp_http")
fork = multiprocessing.get_context("fork")


# ---- the watch ----

def ask(address):
    """Seconds until /health has answered."""
    began = time.perf_counter()
    with socket.create_connection(address, DEADLINE) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while more := one.recv(65536):
            got += more
    assert got.startswith(b"HTTP/1.1 200"), got[:100]
    return time.perf_counter() - began


def watch(addresses, stop, out):
    """Asks each in turn until it is told to stop; hands over the times, or what went wrong."""
    times = {name: [] for name in addresses}
    try:
        while not stop.is_set():
            for name, address in addresses.items():
                times[name].append(ask(address))
            time.sleep(0.002)
        out.send(times)
    except (OSError, AssertionError) as error:
        out.send(f"{name}, after {len(times[name])} answers: {error!r}")


def quantile(values, q):
    return sorted(values)[min(int(q * len(values)), len(values) - 1)]


def tell(name, times):
    words = [f"{who} {quantile(v, .5) * 1e3:.2f} / {quantile(v, .99) * 1e3:.2f} ms"
             for who, v in times.items()]
    line = f"{name}: /health p50 / p99: {', '.join(words)} of {len(times['attacked'])}"
    print(line)
    folder = pathlib.Path(__file__).resolve().parents[2] / "build"
    with open(folder / "attack.txt", "a", encoding="utf-8") as report:
        report.write(line + "\n")


# ---- attacks: each is a process's work until it is ended ----

class Target:
    def __init__(self, daemon, life):
        self.events, self.control = daemon.socket, daemon.control
        self.address = life.address

    def places(self):
        return [self.events, self.control, *(self.address[name] for name in TCP)]


def connect(place):
    one = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    one.settimeout(5)
    one.connect(place)
    return one


def again_and_again(once):
    """A peer that is thrown out comes back."""
    while True:
        try:
            once()
        except OSError:
            time.sleep(0.001)


def drip(target):
    """A byte now and then, of something that never ends, on every port."""
    texts = {target.events: wire.frame(wire.HELLO, bytes(60000)), target.control: b"x" * 60000}
    lines = []

    def open_all():
        for place in target.places():
            text = h2.PREFACE + bytes(60000) if place == target.address["otlp_grpc"] else \
                texts.get(place, b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60000)
            lines.extend((place, connect(place), iter(text)) for _ in range(40))

    def once():
        if len(lines) < 200:
            open_all()
        for line in list(lines):
            try:
                line[1].send(bytes([next(line[2])]))
            except (OSError, StopIteration):
                line[1].close()
                lines.remove(line)
    again_and_again(once)


def half_open(target):
    """Connections that never say a word."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    room = min(HALF_OPEN, hard - 100) // len(TCP)
    held = [faults.connect_and_stay(target.address[name], room) for name in TCP]
    time.sleep(3600)
    return held


def endless_head(target):
    def once():
        for name in ("metrics", "health", "otlp_http"):
            with connect(target.address[name]) as one:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
                for i in range(1000):
                    one.sendall(b"X-%d: %s\r\n" % (i, b"a" * 1000))
    again_and_again(once)


def one_large_header(target):
    def once():
        for name in ("metrics", "health", "otlp_http"):
            with connect(target.address[name]) as one:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20))
    again_and_again(once)


def http2(target, frames):
    def once():
        with connect(target.address["otlp_grpc"]) as one:
            one.sendall(h2.PREFACE + h2.frame(h2.SETTINGS))
            for frame in frames():
                one.sendall(frame)
    again_and_again(once)


def rapid_reset(target):
    head = h2.block(h2.call(otlp.SERVICES["traces"]))

    def frames():
        for stream in itertools.count(1, 2):
            yield h2.frame(h2.HEADERS, h2.END_HEADERS, stream, head) + \
                h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", 8))
    http2(target, frames)


def continuation_flood(target):
    def frames():
        yield h2.frame(h2.HEADERS, 0, 1, h2.block(h2.call(otlp.SERVICES["traces"])))
        while True:
            yield h2.frame(h2.CONTINUATION, 0, 1, h2.block([("x", "y" * 100)])) * 50
    http2(target, frames)


def ping_flood(target):
    http2(target, lambda: itertools.repeat(h2.frame(h2.PING, 0, 0, bytes(8)) * 100))


def settings_flood(target):
    http2(target, lambda: itertools.repeat(h2.frame(h2.SETTINGS) * 100))


def posts(target, kind, body, **headers):
    host, port = target.address["otlp_http"]
    head = [b"POST /v1/traces HTTP/1.1", b"Host: %s:%d" % (host.encode(), port),
            b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
    head += [b"%s: %s" % (k.replace("_", "-").encode(), v) for k, v in headers.items()]

    def once():
        with connect((host, port)) as one:
            one.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
            one.recv(65536)
    again_and_again(once)


def gzip_bomb(target):
    posts(target, b"application/x-protobuf", gzip.compress(bytes(100 << 20), 9),
          Content_Encoding=b"gzip")


def deep_json(target):
    posts(target, b"application/json", b'{"resourceSpans":' + b"[" * 500_000)


def deep_values(target):
    """AnyValues within each other, as deep as a message of that size can be."""
    value = b""
    for _ in range(2000):
        value = otlp.field(5, otlp.field(1, value))
    attribute = otlp.field(1, "k") + otlp.field(2, value)
    posts(target, b"application/x-protobuf", otlp.request(otlp.span(more=otlp.field(9, attribute))))


def descriptors(target):
    """As many as one message takes, with every byte."""
    with open(os.devnull, encoding="ascii") as null:
        rights = array.array("i", [null.fileno()] * 250).tobytes()

        def once():
            for place in (target.events, target.control):
                with connect(place) as one:
                    one.sendmsg([wire.hello(os.urandom(16))],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        again_and_again(once)


def be_a_user():
    """Without capabilities, as producers are: CAP_SYS_RESOURCE has no limit of descriptors in
    flight, of which an older kernel lets anybody send us all that there may be."""
    version, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None, use_errno=True).capset(version, none) == 0, ctypes.get_errno()


def descriptors_unread(target):
    """The same many times over, behind what ends the connection: nobody reads them."""
    be_a_user()
    with open(os.devnull, encoding="ascii") as null:
        rights = array.array("i", [null.fileno()] * 250).tobytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))

        def once():
            for place in (target.events, target.control):
                with connect(place) as one:
                    one.setblocking(False)
                    one.send(b"\xff" * 8 + b"\n")
                    while True:
                        one.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        again_and_again(once)


def hellos(target):
    def once():
        with connect(target.events) as one:
            one.sendall(wire.hello(os.urandom(16), service=f"h{time.time_ns() % 1000}"))
            one.recv(4096)
    again_and_again(once)


ATTACKS = (drip, half_open, endless_head, one_large_header, rapid_reset, continuation_flood,
           ping_flood, settings_flood, gzip_bomb, deep_json, deep_values, descriptors,
           descriptors_unread, hellos)


def descriptors_of(daemon):
    return len(list(pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir()))


CASES = [(attack, "") for attack in ATTACKS]
CASES += [(attack, "old kernel") for attack in (descriptors, descriptors_unread)]


@pytest.mark.parametrize("attack, kernel", CASES, ids=lambda x: x if x == str(x) else x.__name__)
def test_health_answers_all_the_while(new_daemon, attack, kernel):
    daemon, other = new_daemon("attacked"), new_daemon("reference")
    daemon.env.update(faults.OLD_KERNEL if kernel else {})
    daemon.start()
    other.start()
    life = faults.Life(daemon)
    life.round()
    held = descriptors_of(daemon)
    addresses = {"attacked": life.address["health"],
                 "reference": faults.Life(other).address["health"]}
    stop, (ours, theirs) = fork.Event(), fork.Pipe()
    watcher = fork.Process(target=watch, args=(addresses, stop, theirs), daemon=True)
    attacker = fork.Process(target=attack, args=(Target(daemon, life),), daemon=True)
    watcher.start()
    attacker.start()
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            life.produce()  # who is good is not kept out
            time.sleep(0.05)
        assert attacker.is_alive(), "the attack has failed"
    finally:
        attacker.kill()
        attacker.join()
        stop.set()
    assert ours.poll(DEADLINE), "the watch never came back"
    times = ours.recv()
    assert isinstance(times, dict), times
    tell(" ".join([attack.__name__, kernel]).strip(), times)
    until(lambda: descriptors_of(daemon) <= held, "it to close what was thrown at it", deadline=90)
    life.round()
    life.check()
    assert daemon.stop() == 0


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " * 50_000, "&a [*a, *a]\n" * 1000,
                                  "- " * 100_000, "{" * 100_000], ids=range(5))
def test_hostile_configuration(new_daemon, tmp_path, text):
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    done = subprocess.run([str(new_daemon().binary), "--check", "--config", str(path)],
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 78 and f"{path}:" in done.stderr
