"""HTTP/2 by hand, for what no client would send: frames, headers without any
compression, and a peer that reads only when it is told to."""

import socket
import struct

from conftest import DEADLINE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags])
            + stream.to_bytes(4, "big") + payload)


def integer(n, bits, first=0):
    """HPACK's: n behind the high bits of its first byte."""
    most = (1 << bits) - 1
    if n < most:
        return bytes([first | n])
    out, n = bytes([first | most]), n - most
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def block(headers):
    """A header block of literals that are not to be indexed."""
    out = b""
    for name, value in headers:
        out += b"\0"
        for text in (name, value):
            text = text.encode() if isinstance(text, str) else text
            out += integer(len(text), 7) + text
    return out


def call(path, *more):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
            ("content-type", "application/grpc"), ("te", "trailers"), *more]


def message(payload, compressed=False):
    """A gRPC message."""
    return struct.pack(">BI", compressed, len(payload)) + payload


class Peer:
    def __init__(self, address, greet=True, **options):
        host, port = address.rsplit(":", 1)
        self.socket = socket.socket()
        for name, value in options.items():
            self.socket.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((host, int(port)))
        self.kept = b""
        self.next = 1
        if greet:
            self.send(PREFACE + frame(SETTINGS))

    def send(self, data):
        self.socket.sendall(data)

    def open(self, headers, flags=END_HEADERS):
        """Begins a stream; its number."""
        stream, self.next = self.next, self.next + 2
        self.send(frame(HEADERS, flags, stream, block(headers)))
        return stream

    def frame(self):
        """The next frame (kind, flags, stream, payload), or None at the end."""
        while len(self.kept) < 9 or len(self.kept) < 9 + int.from_bytes(self.kept[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.kept += more
        size = int.from_bytes(self.kept[:3], "big")
        head, payload = self.kept[:9], self.kept[9:9 + size]
        self.kept = self.kept[9 + size:]
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def until(self, kind, stream=None):
        """The first frame of a kind; the others are passed over. None: it is the end."""
        while True:
            got = self.frame()
            if got is None or (got[0] == kind and stream in (None, got[2])):
                return got

    def closed(self):
        """Reads to the end; the error code of the last GOAWAY, None without one."""
        code = None
        while got := self.frame():
            if got[0] == GOAWAY:
                code = int.from_bytes(got[3][4:8], "big")
        return code

    def close(self):
        self.socket.close()
