"""What the bench of spans needs: requests, a load, a sink and the OpenTelemetry Collector.

The Collector is the one that `make interop` builds from pinned modules. The load is nghttp2's
h2load, which sends the same requests to both; the sink takes what either sends on, in a process
of its own, so that its time is nobody's.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from harness import family

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECTOR = ROOT / "build" / "interop" / "otlp" / "otelcol"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS = 500  # of one request
RATE = 0.1   # that is kept
SEED = 7     # of the spans: both get the same
LIMIT = 120
CONNECTIONS = 4
PACE = 400  # requests a second, of all: what both can send on, or the cheaper one drops more


# ---- requests ----

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(key, value):
    any_value = field(1, value.encode()) if isinstance(value, str) else b"\x18" + varint(value)
    return field(1, key.encode()) + field(2, any_value)


def span(chance):
    start = 1_700_000_000_000_000_000 + chance.randrange(10**9)
    parts = [field(1, chance.randbytes(16)), field(2, chance.randbytes(8)),
             field(4, chance.randbytes(8)),
             field(5, f"tools/call tool-{chance.randrange(8)}".encode()),
             b"\x30\x02", b"\x39" + struct.pack("<Q", start),
             b"\x41" + struct.pack("<Q", start + chance.randrange(5 * 10**7))]
    attributes = {"mcp.method.name": "tools/call",
                  "gen_ai.tool.name": f"tool-{chance.randrange(8)}",
                  "gen_ai.operation.name": "execute_tool", "network.transport": "tcp",
                  "jsonrpc.request.id": str(chance.randrange(10**6)),
                  "http.request.method": "POST", "http.response.status_code": 200,
                  "url.path": "/mcp", "server.address": "node-7.example.org",
                  "enduser.id": f"user-{chance.randrange(1000)}"}
    return b"".join(parts + [field(9, attribute(k, v)) for k, v in attributes.items()])


def request(seed):
    """One gRPC message of SPANS spans, each the root of a trace of its own."""
    chance = random.Random(seed)
    resource = b"".join(field(1, attribute(k, v)) for k, v in {
        "service.name": "bench", "service.instance.id": "7f3a", "host.name": "node-7",
        "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "nodejs",
        "telemetry.sdk.version": "2.6.1"}.items())
    spans = b"".join(field(2, span(chance)) for _ in range(SPANS))
    scope = field(1, field(1, b"bench") + field(2, b"1.0"))
    message = field(1, field(1, resource) + field(2, scope + spans))
    return b"\0" + struct.pack(">I", len(message)) + message


# ---- processes ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"spans: nothing listens on port {port}")


class Sink:
    """Takes OTLP/gRPC, counts the spans and forgets them: `spans`, once it has ended. Its process
    prints its port, and at its end how many they were."""

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", __file__, "sink"],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        os.sched_setaffinity(self.process.pid, {1})
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.spans = int(self.process.stdout.readline())
        self.process.wait(30)
        self.process.stdout.close()


def children(message, number):
    """The fields of that number, all of them messages, in a message of known make."""
    at = 0

    def varint_at():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                return value

    while at < len(message):
        tag = varint_at()
        size = varint_at() if tag & 7 == 2 else {1: 8, 5: 4}[tag & 7]
        if tag == number << 3 | 2:
            yield message[at:at + size]
        at += size


def count_spans(request):
    return sum(1 for resource in children(memoryview(request), 1)
               for scope in children(resource, 2) for _ in children(scope, 2))


def sink():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    import grpc
    taken = []
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4),
                         options=[("grpc.max_receive_message_length", -1)])

    class Forget(grpc.GenericRpcHandler):
        def service(self, _details):
            def take(request, _context):
                taken.append(count_spans(request))
                return b""
            return grpc.unary_unary_rpc_method_handler(take)

    server.add_generic_rpc_handlers((Forget(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    signal.sigwait({signal.SIGTERM})
    print(sum(taken), flush=True)
    server.stop(None)


class Collector:
    """The Collector: OTLP in, probabilistic sampler, batches, OTLP out."""

    def __init__(self, sink_port):
        self.port = free_port()
        self.home = tempfile.TemporaryDirectory(prefix="mcptally-bench-", dir="/dev/shm")
        self.config = {
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "processors": {"probabilistic_sampler": {"sampling_percentage": RATE * 100},
                           "batch": {}},
            "exporters": {"otlp": {"endpoint": f"127.0.0.1:{sink_port}",
                                   "tls": {"insecure": True}}},
            "service": {"pipelines": {"traces": {"receivers": ["otlp"],
                                                 "processors": ["probabilistic_sampler", "batch"],
                                                 "exporters": ["otlp"]}},
                        "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}}},
        }

    def __enter__(self):
        path = pathlib.Path(self.home.name) / "config.yaml"
        path.write_text(json.dumps(self.config))
        self.process = subprocess.Popen([COLLECTOR, "--config", path], stdin=subprocess.DEVNULL)
        wait_for_port(self.port, self.process)
        self.pid = self.process.pid
        os.sched_setaffinity(self.pid, {0})
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.home.cleanup()


# ---- measuring ----

def cpu_seconds(pid):
    ticks = 0
    for one in family(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(port, pid, requests, private_bytes, settle):
    """Sends so many requests and lets the last of them go on: figures of the one who took them."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as body:
        body.write(request(SEED))
        body.flush()
        before, began = cpu_seconds(pid), time.monotonic()
        line = ["h2load", "-n", str(requests), "-c", str(CONNECTIONS), "-m", "4",
                "-w", "20", "-W", "20", "--rps", str(PACE // CONNECTIONS), "-d", body.name,
                "-H", "content-type: application/grpc", "-H", "te: trailers",
                f"http://127.0.0.1:{port}{EXPORT}"]
        done = subprocess.run(["taskset", "-c", "1", *line], capture_output=True, text=True,
                              timeout=LIMIT, check=True)
        lasted = time.monotonic() - began
    if not re.search(rf"^status codes: {requests} 2xx", done.stdout, re.M):
        sys.exit(f"h2load: not every request was answered:\n{done.stdout}")
    memory = private_bytes(pid)
    settle()
    spans = requests * SPANS
    return {"spans": spans, "seconds": lasted, "per_second": spans / lasted,
            "cpu_per_million": (cpu_seconds(pid) - before) / spans * 1e6, "bytes": memory}


if __name__ == "__main__" and sys.argv[1:] == ["sink"]:
    sink()
