"""OTLP as bytes, and as requests: a protobuf writer and reader of a screen, the
messages of OTLP as far as tests send them, and a client for each of the ports.
It shares no code with the daemon."""

import gzip
import json
import struct
import urllib.error
import urllib.request

import grpc

from conftest import DEADLINE, Response

SERVICES = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
NOW = 1_800_000_000 * 10**9  # ns; a time that no clock of today shows

# ---- protobuf ----


def varint(n):
    n &= 2**64 - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """bytes and str: length-delimited; int and bool: varint; float: a double. Several of a
    list; nothing for None."""
    if value is None:
        return b""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, v) for v in value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def packed(number, fmt, values):
    """A packed field: fmt as in struct ("Q", "d")."""
    return field(number, struct.pack(f"<{len(values)}{fmt}", *values)) if values else b""


def read(message):
    """The fields of a message: {number: [values]}; nested ones stay bytes."""
    fields, at = {}, 0

    def take():
        nonlocal at
        shift = value = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = take()
        kind = tag & 7
        if kind == 0:
            value = take()
        elif kind == 2:
            size = take()
            value, at = message[at:at + size], at + size
            assert len(value) == size, "cut off"
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = message[at:at + size], at + size
        fields.setdefault(tag >> 3, []).append(value)
    return fields


# ---- the messages ----


def any_value(value):
    """An AnyValue: str, bool, int, float, bytes, list or dict."""
    if isinstance(value, str):
        return field(1, value)
    if isinstance(value, bool):
        return field(2, value)
    if isinstance(value, int):
        return field(3, value)
    if isinstance(value, float):
        return field(4, value)
    if isinstance(value, list):
        return field(5, field(1, [any_value(v) for v in value]))
    if isinstance(value, dict):
        return field(6, attributes(1, value))
    return field(7, value)


def attributes(number, values):
    """A repeated KeyValue."""
    return field(number, [field(1, k) + field(2, any_value(v)) for k, v in values.items()])


def span(name="op", trace=b"\x01" * 16, span_id=b"\x02" * 8, parent=None, start=NOW,
         end=NOW + 10**6, kind=1, status=None, attrs=None, tracestate=None, more=b""):
    return (field(1, trace) + field(2, span_id) + field(3, tracestate) + field(4, parent)
            + field(5, name) + field(6, kind) + fixed64(7, start) + fixed64(8, end)
            + attributes(9, attrs or {}) + field(15, field(3, status) if status else None) + more)


def log(body="hello", severity=9, time=NOW, attrs=None, more=b""):
    return (fixed64(1, time) + field(2, severity) + field(5, any_value(body))
            + attributes(6, attrs or {}) + more)


def point(value, attrs=None, time=NOW, start=0):
    """A NumberDataPoint: an int or a float."""
    number = fixed64(6, value & 2**64 - 1) if isinstance(value, int) else field(4, value)
    return attributes(7, attrs or {}) + fixed64(2, start) + fixed64(3, time) + number


def gauge(name, points, unit=None):
    return field(1, name) + field(3, unit) + field(5, field(1, points))


def counter(name, points, cumulative=False, monotonic=True, unit=None):
    data = field(1, points) + field(2, 2 if cumulative else 1) + field(3, monotonic)
    return field(1, name) + field(3, unit) + field(7, data)


def request(items, service="test", resource=None, scope="", more=b""):
    """An Export*ServiceRequest of one resource and one scope; of any signal."""
    about = attributes(1, {"service.name": service, **(resource or {})})
    return field(1, field(1, about) + field(2, field(1, field(1, scope)) + field(2, items))) + more


# ---- the ports ----


class Grpc:
    """The gRPC port through grpcio, without its stubs."""

    def __init__(self, daemon, **options):
        self.channel = grpc.insecure_channel(daemon.address("otlp_grpc"), options=[
            ("grpc.enable_retries", 0), *((f"grpc.{k}", v) for k, v in options.items())])

    def call(self, path, message, **more):
        """The answer's bytes; grpc.RpcError for another status than OK."""
        return self.channel.unary_unary(path)(message, timeout=more.pop("timeout", DEADLINE),
                                              **more)

    def export(self, signal, message, **more):
        return self.call(SERVICES[signal], message, **more)

    def fails(self, path, message, **more):
        """The status, the words and the trailers of a call that must fail."""
        try:
            self.call(path, message, **more)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return error.code(), error.details(), trailers
        raise AssertionError("it was answered")

    def close(self):
        self.channel.close()


def post(daemon, signal, body, kind="application/x-protobuf", headers=None, squeeze=False):
    """POST to the HTTP port; a dict is sent as JSON."""
    if isinstance(body, dict):
        body, kind = json.dumps(body).encode(), "application/json"
    headers = {"Content-Type": kind, **(headers or {})}
    if squeeze:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    url = f"http://{daemon.address('otlp_http')}/v1/{signal}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"),
                                    timeout=DEADLINE) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.headers, error.read())


def requests(daemon, protocol, signal="traces"):
    """How many requests were answered, by code; those that never came are left out."""
    return {dict(labels)["code"]: int(value) for (name, labels), value in daemon.metrics().items()
            if name == "mcptally_otlp_requests_total" and value
            and ("protocol", protocol) in labels and ("signal", signal) in labels}


def refused(daemon):
    """What limits have stopped, by limit."""
    return {dict(labels)["limit"]: int(value) for (name, labels), value in daemon.metrics().items()
            if name == "mcptally_otlp_refused_total" and value}
