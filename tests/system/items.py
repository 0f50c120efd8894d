"""Items of mcptally-protocol(7) by hand: spans, events, logs, health reports."""

import os
import struct
import time

import wire

STATES = {"unknown": 0, "healthy": 1, "degraded": 2, "unhealthy": 3}


def attributes(values):
    """Text, booleans, integers and floats by their Python types."""
    out = struct.pack("<H", len(values))
    for key, value in values.items():
        out += wire.text(key)
        if isinstance(value, str):
            out += b"\x01" + wire.text(value)
        elif isinstance(value, bool):
            out += struct.pack("<BB", 2, value)
        elif isinstance(value, int):
            out += struct.pack("<Bq", 3, value)
        else:
            out += struct.pack("<Bd", 4, value)
    return out


def head(correlation="", trace=b"\0" * 24):
    return struct.pack("<Q", time.time_ns()) + trace + wire.text(correlation)


def event(name, measurements=None, metadata=None):
    measurements = measurements or {}
    body = head() + wire.text(name) + struct.pack("<H", len(measurements))
    for key, value in measurements.items():
        body += wire.text(key) + struct.pack("<d", value)
    return wire.EVENT, body + attributes(metadata or {})


def log(message, severity=9, **metadata):
    return wire.LOG, head() + struct.pack("<B", severity) + wire.text(message) + \
        attributes(metadata)


def health(component, state, message=""):
    return wire.HEALTH, head() + struct.pack("<B", STATES[state]) + wire.text(component) + \
        wire.text(message) + attributes({})


def span(name, message="", metadata=None, events=(), status=2):
    """A server span, with an error unless told otherwise; `events` are pairs of a name and
    attributes."""
    body = head(trace=os.urandom(24))
    now = time.time_ns()  # not before it began
    body += struct.pack("<Q8sBBHI", now, b"", 2, status, 0, 1)
    body += wire.text(name) + wire.text(message) + wire.text("") + attributes(metadata or {})
    body += struct.pack("<H", len(events))
    for title, values in events:
        body += struct.pack("<Q", now) + wire.text(title) + attributes(values)
    return wire.SPAN, body + struct.pack("<H", 0)


def send(producer, *items):
    """Sends items, a frame each, and waits until they are acknowledged."""
    for number, body in items:
        producer.send(wire.frame(number, struct.pack("<QII", producer.next, 1, 0)
                                 + struct.pack("<I", len(body)) + body))
        producer.next += 1
    producer.wait_ack()
