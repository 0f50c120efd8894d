"""Collectors that do as they are told: OTLP over gRPC (grpcio) and over HTTP (http.server), and
one made of raw HTTP/2 frames that can misbehave. Each listens on a port that the kernel gives,
or on one it had before, and keeps every request that it took."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import gzip
import http.server
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading

SIGNALS = ("traces", "metrics", "logs")
GRPC_PATHS = {f"/opentelemetry.proto.collector.{name.lower()}.v1.{name}Service/Export": signal
              for name, signal in zip(("Trace", "Metrics", "Logs"), SIGNALS)}
DEADLINE = 30.0


# ---- protobuf by hand: the few messages of replies --------------------------------

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    """A field of bytes, text or a whole number; nothing for an empty one, as proto3 has it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def partial_success(rejected, text=""):
    return field(1, field(1, rejected) + field(2, text))


def rpc_status(code, text="", retry=None):
    """google.rpc.Status; `retry` in seconds adds RetryInfo."""
    detail = b""
    if retry is not None:
        delay = field(1, int(retry)) + field(2, int(retry % 1 * 1e9))
        info = field(1, delay) or b"\x0a\x00"
        detail = field(3, field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, info))
    return field(1, code) + field(2, text) + detail


# ---- what is taken and answered -----------------------------------------------------

@dataclasses.dataclass
class Answer:
    code: int = 0            # gRPC
    status: int = 200        # HTTP
    text: str = ""
    retry: float = None      # seconds: RetryInfo, and for HTTP a Retry-After
    rejected: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = None       # instead of what the above makes
    delay: float = 0         # seconds before it is given
    hang: bool = False       # it never is

    def reply(self):
        return partial_success(self.rejected, self.text) if self.rejected or self.text else b""


@dataclasses.dataclass
class Request:
    signal: str
    body: bytes
    headers: dict
    answer: Answer


class Taken:
    """The requests so far, and the answers for those to come: first `answers`, then `usual`."""

    def __init__(self):
        self.requests = []
        self.answers = collections.deque()
        self.usual = Answer()
        self.changed = threading.Condition()
        self.stopped = threading.Event()

    def take(self, signal, body, headers):
        with self.changed:
            answer = self.answers.popleft() if self.answers else self.usual
            self.requests.append(Request(signal, body, headers, answer))
            self.changed.notify_all()
        if answer.hang:
            self.stopped.wait()
        elif answer.delay:
            self.stopped.wait(answer.delay)
        return answer

    def wait(self, count, deadline=DEADLINE):
        """Waits until `count` requests have come."""
        with self.changed:
            came = self.changed.wait_for(lambda: len(self.requests) >= count, deadline)
        assert came, f"{len(self.requests)} of {count} requests came within {deadline:.0f} s"
        return self.requests


# ---- certificates -------------------------------------------------------------------

class Certificates:
    """A CA, a certificate of a server for localhost, and one of a client, made by openssl(1)."""

    def __init__(self, folder, name="localhost", alternatives="DNS:localhost,IP:127.0.0.1"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.ca_key = folder / "ca.pem", folder / "ca.key"
        self.openssl("req", "-x509", *self.new_key(self.ca_key), "-out", self.ca, "-days", "2",
                     "-subj", "/CN=test CA")
        self.server, self.server_key = self.sign("server", name, alternatives)
        self.client, self.client_key = self.sign("client", "client", "DNS:client")

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    @staticmethod
    def new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", path]

    def sign(self, stem, name, alternatives):
        cert, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        request, extra = self.folder / f"{stem}.csr", self.folder / f"{stem}.ext"
        extra.write_text(f"subjectAltName={alternatives}\n")
        self.openssl("req", *self.new_key(key), "-out", request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key,
                     "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", extra)
        return cert, key

    def server_context(self, mutual=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        if mutual:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


# ---- gRPC, by grpcio ----------------------------------------------------------------

class GrpcCollector(Taken):
    def __init__(self, port=0, certificates=None, mutual=False, streams=None):
        import grpc
        super().__init__()
        self.grpc = grpc
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20),
                   ("grpc.http2.min_recv_ping_interval_without_data_ms", 1),
                   ("grpc.http2.max_ping_strikes", 0)]
        if streams:
            options.append(("grpc.max_concurrent_streams", streams))
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.server = grpc.server(self.pool, handlers=(self,), options=options)
        self.port = self.listen(f"127.0.0.1:{port}", certificates, mutual)
        self.tls = certificates is not None
        self.server.start()

    def listen(self, address, certificates, mutual):
        if certificates is None:
            return self.server.add_insecure_port(address)
        pair = (certificates.server_key.read_bytes(), certificates.server.read_bytes())
        credentials = self.grpc.ssl_server_credentials(
            [pair], certificates.ca.read_bytes() if mutual else None, mutual)
        return self.server.add_secure_port(address, credentials)

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def service(self, details):
        """What grpc asks of a handler."""
        signal = GRPC_PATHS.get(details.method)
        if signal is None:
            return None
        headers = dict(details.invocation_metadata)
        return self.grpc.unary_unary_rpc_method_handler(
            lambda body, context: self.export(signal, body, headers, context))

    def export(self, signal, body, headers, context):
        answer = self.take(signal, body, headers)
        if answer.code == 0:
            return answer.reply() if answer.body is None else answer.body
        if answer.retry is not None:
            details = rpc_status(answer.code, answer.text, answer.retry)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        code = next(c for c in self.grpc.StatusCode if c.value[0] == answer.code)
        context.abort(code, answer.text)

    def stop(self, grace=None):
        """Ends it: at once, or with a GOAWAY and `grace` seconds for what is open."""
        if grace is None:
            self.stopped.set()
        self.server.stop(grace).wait()
        self.stopped.set()
        self.pool.shutdown()


# ---- HTTP ---------------------------------------------------------------------------

class HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        collector = self.server.collector
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {k.lower(): v for k, v in self.headers.items()}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        signal = collector.paths.get(self.path.partition("?")[0], self.path)
        answer = collector.take(signal, body, headers)
        if answer.hang:
            self.close_connection = True
        else:
            self.give(answer)

    def give(self, answer):
        body = answer.body
        if body is None:
            ok = 200 <= answer.status < 300
            body = answer.reply() if ok else rpc_status(answer.code, answer.text)
        self.send_response(answer.status)
        if answer.retry is not None:
            self.send_header("Retry-After", str(answer.retry))
        headers = {"Content-Type": "application/x-protobuf", **answer.headers}
        if "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.open = []

    def process_request(self, request, client_address):
        self.open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, *_):
        pass


class HttpCollector(Taken):
    paths = {f"/v1/{s}": s for s in SIGNALS}

    def __init__(self, port=0, certificates=None, mutual=False):
        super().__init__()
        self.server = HttpServer(("127.0.0.1", port), HttpHandler)
        self.server.collector = self
        self.port = self.server.server_address[1]
        self.tls = certificates is not None
        if self.tls:
            context = certificates.server_context(mutual)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def base(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @property
    def endpoint(self):
        return self.base + "/v1/traces"

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.server.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


# ---- by hand ------------------------------------------------------------------------

class Raw:
    """A TCP server that hands each connection, with its number from 0 on, to a function in a
    thread of its own. The function returns when the connection is to be closed."""

    def __init__(self, script, host="127.0.0.1", context=None):
        self.script, self.context = script, context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.open = []
        self.stopped = threading.Event()
        self.errors = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            self.accepted += 1
            threading.Thread(target=self.serve, args=(connection, self.accepted - 1),
                             daemon=True).start()

    def serve(self, connection, number):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.script(connection, number)
        except (OSError, EOFError):
            pass  # the other side has gone
        except AssertionError as error:
            self.errors.append(error)
        with contextlib.suppress(OSError):
            connection.close()

    def stop(self):
        self.stopped.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        assert not self.errors, self.errors


def reset(connection):
    """Closes with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


DATA, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = \
    0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hpack(headers):
    """Literals without indexing, without Huffman."""
    def text(value):
        value = value.encode() if isinstance(value, str) else value
        if len(value) < 127:
            return bytes([len(value)]) + value
        return b"\x7f" + varint(len(value) - 127) + value
    return b"".join(b"\x00" + text(k) + text(v) for k, v in headers)


def grpc_message(body=b"", compressed=0):
    return struct.pack(">BI", compressed, len(body)) + body


class Peer:
    """An HTTP/2 server on one connection, frame by frame."""

    def __init__(self, connection, settings=b""):
        self.connection = connection
        self.bodies = collections.defaultdict(bytes)
        self.seen = []
        assert self.exactly(len(PREFACE)) == PREFACE
        self.send(SETTINGS, payload=settings)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.connection.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def send(self, kind, flags=0, stream=0, payload=b""):
        self.connection.sendall(frame(kind, flags, stream, payload))

    def read(self):
        """The next frame: kind, flags, stream, payload. Acknowledges, and opens windows."""
        head = self.exactly(9)
        size = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = self.exactly(size)
        self.seen.append((kind, flags, stream, payload))
        if kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK)
        if kind == DATA:
            self.bodies[stream] += payload
            if size:
                grant = struct.pack(">I", size)
                self.send(WINDOW, stream=0, payload=grant)
                self.send(WINDOW, stream=stream, payload=grant)
        return kind, flags, stream, payload

    def request(self):
        """Reads until a request is complete; its stream."""
        while True:
            kind, flags, stream, _ = self.read()
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return stream

    def headers(self, stream, headers, end=False):
        self.send(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, hpack(headers))

    def answer(self, stream, body=b"", status="0", more=()):
        self.headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        self.send(DATA, 0, stream, grpc_message(body))
        self.headers(stream, [("grpc-status", status), *more], end=True)

    def rst(self, stream, error):
        self.send(RST_STREAM, 0, stream, struct.pack(">I", error))

    def goaway(self, last, error=0):
        self.send(GOAWAY, payload=struct.pack(">II", last, error))

    def until_closed(self):
        """Reads on until the other side closes."""
        while True:
            self.read()


def readable(connection, seconds):
    return bool(select.select([connection], [], [], seconds)[0])


# ---- as a process that can be killed --------------------------------------------------

class Process:
    """A collector in a process of its own, which writes down what it takes before it answers."""

    def __init__(self, kind, record, port=0):
        self.kind, self.record, self.port = kind, record, port
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.kind.__name__, str(self.port), str(self.record)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def signal(self, number):
        self.process.send_signal(number)

    def taken(self):
        """What whole lines of the record say: the bodies of requests that were answered OK."""
        if not self.record.exists():
            return []
        return [bytes.fromhex(line) for line in self.record.read_text().split("\n")[:-1]]


def main(kind, port, record):
    collector = globals()[kind](port=int(port))
    take = collector.take
    lock = threading.Lock()

    def write_down(signal, body, headers):
        with lock, open(record, "a", encoding="ascii") as file:
            file.write(body.hex() + "\n")
        return take(signal, body, headers)
    collector.take = write_down
    print(collector.port, flush=True)
    sys.stdin.read()
    collector.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
