"""A producer by hand: bytes of mcptally-protocol(7) on a socket, good or bad."""

import os
import socket
import struct

(HELLO, WELCOME, METRIC, SERIES, UPDATE, SPAN, EVENT, LOG, HEALTH, ACK, REJECT, LOST,
 BYE) = range(1, 14)
BAD_HEADER, REFUSED, SLOW_FRAME, DOMAIN_REFUSED = 256, 264, 265, 266
COUNTER, GAUGE, HISTOGRAM, SUMMARY = range(1, 5)


def text(s):
    return struct.pack("<H", len(s.encode())) + s.encode()


def frame(number, payload=b"", flags=0, stream=0):
    return struct.pack("<IBBH", len(payload), number, flags, stream) + payload


def hello(session, service="test", domain="", first=1, following=1, store=0, wants_ack=1):
    return frame(HELLO, struct.pack("<II", 1, wants_ack) + session
                 + struct.pack("<QQQ", store, first, following) + text(service) + text("1")
                 + text(domain) + text("test/1"))


def metric(number, name, kind=COUNTER, value=1, join=0, bounds=()):
    return frame(METRIC, struct.pack("<IBBBBHH", number, kind, value, join, 0, len(bounds), 0)
                 + struct.pack(f"<{len(bounds)}d", *bounds) + text(name) + text("") + text(""))


def series(number, of, **labels):
    return frame(SERIES, struct.pack("<IIH", number, of, len(labels))
                 + b"".join(text(k) + text(v) for k, v in labels.items()))


def updates(first, *pairs):
    return frame(UPDATE, struct.pack("<QII", first, len(pairs), 0)
                 + b"".join(struct.pack("<IQ", number, value) for number, value in pairs))


class Producer:
    """One connection; sequence numbers are kept over connections by whoever passes `session`."""

    def __init__(self, path, session=None, timeout=30.0):
        self.session = session or os.urandom(16)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.held = b""
        self.next = 1

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """(type, payload) of the next frame; None at the end of the stream."""
        while len(self.held) < 8 or len(self.held) < 8 + struct.unpack_from("<I", self.held)[0]:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.held += data
        size, number = struct.unpack_from("<IB", self.held)
        payload, self.held = self.held[8:8 + size], self.held[8 + size:]
        return number, payload

    def greet(self, **more):
        """Says HELLO; returns (known, store id, applied)."""
        self.send(hello(self.session, first=self.next, following=self.next, **more))
        number, payload = self.receive()
        assert number == WELCOME, reason_of(payload)
        _, known, store, applied = struct.unpack_from("<IIQQ", payload)
        self.next = applied + 1
        return known, store, applied

    def count(self, *pairs):
        """Adds to series by their numbers, in one frame."""
        self.send(updates(self.next, *pairs))
        self.next += len(pairs)

    def wait_ack(self):
        """Waits until everything that was counted is acknowledged."""
        while True:
            answer = self.receive()
            assert answer, "the daemon hung up"
            assert answer[0] == ACK, f"reject {reason_of(answer[1])}"
            if struct.unpack("<Q", answer[1])[0] == self.next - 1:
                return

    def rejected(self):
        """The reason of the next REJECT; ACKs are passed over."""
        while True:
            answer = self.receive()
            assert answer, "the daemon hung up without a reason"
            if answer[0] == REJECT:
                return reason_of(answer[1])

    def told_to_wait(self):
        """The milliseconds that a REJECT asks to wait for, because the domain is refused."""
        while True:
            answer = self.receive()
            assert answer, "the daemon hung up without a reason"
            if answer[0] == REJECT and reason_of(answer[1]) >= BAD_HEADER:
                assert reason_of(answer[1]) == DOMAIN_REFUSED
                return struct.unpack_from("<Q", answer[1])[0]

    def closed(self):
        """Whether nothing but the end is left to read."""
        return self.receive() is None

    def close(self):
        self.socket.close()


def reason_of(payload):
    return struct.unpack_from("<QIIH", payload)[3]
