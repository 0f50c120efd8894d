"""What stands around the daemon: a recorder before it, a Collector behind it."""

import base64
import concurrent.futures
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request

import grpc

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = pathlib.Path(os.environ.get("MCPTALLY_BUILD", ROOT / "build")).resolve()
PLACE = ROOT / "build" / "interop" / "otlp"
SIGNALS = ("traces", "metrics", "logs")
PROTOBUF = "application/x-protobuf"


class Failure(Exception):
    pass


def check(good, what):
    if not good:
        raise Failure(what)


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"waited {seconds} s for {what}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def body_of(handler):
    """A request's body, whole or in chunks."""
    if "Content-Length" in handler.headers:
        return handler.rfile.read(int(handler.headers["Content-Length"]))
    parts = []
    while size := int(handler.rfile.readline(), 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


class Recorder:
    """Passes OTLP requests on and writes down each that was answered with success."""

    def __init__(self, grpc_to, http_to, record):
        self.http_to, self.lock = http_to, threading.Lock()
        self.record = open(record, "w")
        self.channel = grpc.insecure_channel(grpc_to)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((self,))
        self.grpc = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                recorder.post(self)

            def log_message(self, *_):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http = f"127.0.0.1:{self.web.server_address[1]}"
        threading.Thread(target=self.web.serve_forever, daemon=True).start()

    def note(self, name, kind, body):
        line = {"signal": name, "type": kind, "body": base64.b64encode(body).decode()}
        with self.lock:
            self.record.write(json.dumps(line) + "\n")

    def service(self, details):
        name = next((s for s in SIGNALS if s[:-1] in details.method.lower()), None)
        same = {"request_deserializer": None, "response_serializer": None}
        forward = self.channel.unary_unary(details.method, request_serializer=None,
                                           response_deserializer=None)

        def call(request, context):
            try:
                answer = forward(request, timeout=10)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            self.note(name, PROTOBUF, request)
            return answer

        return grpc.unary_unary_rpc_method_handler(call, **same)

    def post(self, handler):
        body = body_of(handler)
        kind = handler.headers["Content-Type"]
        link = http.client.HTTPConnection(self.http_to, timeout=10)
        headers = {k: v for k, v in handler.headers.items()
                   if k.lower() in ("content-type", "content-encoding")}
        link.request("POST", handler.path, body, headers)
        answer = link.getresponse()
        said = answer.read()
        link.close()
        if answer.status == 200:
            check("Content-Encoding" not in handler.headers, "a service compresses unasked")
            self.note(handler.path.rsplit("/", 1)[1], kind, body)
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.headers.get("Content-Type", PROTOBUF))
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    def close(self):
        self.server.stop(5).wait()
        self.web.shutdown()
        self.web.server_close()
        self.channel.close()
        self.record.close()


class Collector:
    """The OpenTelemetry Collector, which writes what reaches it into a file per signal."""

    def __init__(self, home):
        self.home = home
        home.mkdir()
        self.grpc, self.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.process, self.starts = None, 0
        self.start()

    def configure(self):
        """Files of its own for every start: one that was killed may have torn its last."""
        pipelines = {s: {"receivers": ["otlp"], "exporters": [f"file/{s}"]} for s in SIGNALS}
        config = {
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": self.grpc},
                                                 "http": {"endpoint": self.http}}}},
            "exporters": {f"file/{s}": {"path": str(self.home / f"{s}-{self.starts}"),
                                        "format": "proto"} for s in SIGNALS},
            "service": {"pipelines": pipelines, "telemetry": {"metrics": {"level": "none"}}},
        }
        (self.home / "config.yaml").write_text(json.dumps(config))

    def start(self):
        self.starts += 1
        self.configure()
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen([str(PLACE / "otelcol"), "--config",
                                             str(self.home / "config.yaml")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.answers(self.grpc) and self.answers(self.http), "the Collector")

    def answers(self, address):
        host, port = address.split(":")
        check(self.process.poll() is None, "the Collector has ended: " +
              (self.home / "log").read_text()[-1000:])
        with socket.socket() as s:
            return s.connect_ex((host, int(port))) == 0

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)

    def requests(self):
        """What was written, as lines for the oracle; a file may end in the middle of one."""
        for path in sorted(self.home.glob("*-*")):
            name, data = path.name.split("-")[0], path.read_bytes()
            at = 0
            while at + 4 <= len(data):
                size = struct.unpack(">I", data[at:at + 4])[0]
                if at + 4 + size > len(data):
                    break
                body = base64.b64encode(data[at + 4:at + 4 + size]).decode()
                yield json.dumps({"signal": name, "type": PROTOBUF, "body": body})
                at += 4 + size


class Daemon:
    """One mcptallyd with directories and a configuration of its own."""

    def __init__(self, home, config):
        self.home = home
        home.mkdir()
        (home / "state").mkdir()
        ports = {f"listen.{name}": "127.0.0.1:0"
                 for name in ("metrics", "health", "otlp_grpc", "otlp_http")}
        (home / "config.yaml").write_text(json.dumps(config))
        self.command = [str(BUILD / "mcptallyd"), "--runtime-dir", str(home / "run"),
                        "--state-dir", str(home / "state"), "--config", str(home / "config.yaml")]
        for key, value in ports.items():
            self.command += ["-o", f"{key}={value}"]
        self.process = None
        self.start()

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        listen = wait_for(lambda: self.status().get("listen"), "the daemon")
        self.metrics, self.health = listen["metrics"], listen["health"]
        self.grpc, self.http = listen["otlp_grpc"], listen["otlp_http"]

    def status(self):
        check(self.process.poll() is None, "the daemon has ended: " +
              (self.home / "log").read_text()[-1000:])
        command = [str(BUILD / "mcptally"), "status", "--json", "--runtime-dir",
                   str(self.home / "run")]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                              check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def page(self):
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as page:
            return page.read().decode()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)


def oracle(requests):
    """The items of some requests, one line of JSON each, in an order of their own."""
    text = "".join(line + "\n" for line in requests)
    done = subprocess.run(["node", "oracle.mjs"], cwd=PLACE, input=text, text=True,
                          capture_output=True, timeout=120, check=False)
    check(done.returncode == 0, f"the oracle cannot read it: {done.stderr[-800:]}")
    return done.stdout.splitlines()


def serve(kind, protocol, recorder, count):
    """Runs one service to its end."""
    endpoint = recorder.grpc if protocol == "grpc" else recorder.http
    program = {"node": ["node", "service.mjs"],
               "python": [str(PLACE / "venv" / "bin" / "python"), str(HERE / "service.py")]}[kind]
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
           "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    done = subprocess.run([*program, protocol, str(count)], cwd=PLACE, env=env, timeout=180,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, f"the service failed: {done.stdout[-800:]}")
