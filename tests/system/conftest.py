"""Fixtures for the tests that run the real binaries.

`daemon` starts build/mcptallyd in a runtime directory of its own on tmpfs, on
free ports, and waits for READY=1 on a NOTIFY_SOCKET; nothing here sleeps in
hope. MCPTALLY_BUILD names another build folder (build/san-address and so on).
"""

import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MCPTALLY_BUILD", ROOT / "build")).resolve()
DEADLINE = 30.0  # seconds that any one wait may take


def until(condition, what, deadline=DEADLINE, every=0.01):
    """Polls `condition` until it is true and returns its value; fails after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:.0f} s for {what}")
        time.sleep(every)


class Notify:
    """The other end of sd_notify(3): receives the datagrams of one daemon."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def drain(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.messages.append(self.socket.recv(4096).decode().splitlines())
        return self.messages

    def wait(self, line, process, deadline=DEADLINE):
        """Waits for a message that holds `line` and forgets what came before it."""
        end = time.monotonic() + deadline
        while True:
            for i, message in enumerate(self.messages):
                if any(part == line or part.startswith(line + "=") for part in message):
                    del self.messages[: i + 1]
                    return message
            self.messages.clear()
            left = end - time.monotonic()
            if left <= 0:
                pytest.fail(f"no {line} within {deadline:.0f} s")
            if select.select([self.socket], [], [], min(left, 0.1))[0]:
                self.messages.append(self.socket.recv(4096).decode().splitlines())
            elif process.poll() is not None and not self.drain():
                pytest.fail(f"the daemon exited with {process.returncode} before {line}")

    def close(self):
        self.socket.close()


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Daemon:
    """One mcptallyd and where to reach it. start() may be called again after
    stop() or kill(): the runtime directory, and with it the store, stays."""

    def __init__(self, runtime, state, log):
        self.runtime, self.state, self.log_path = runtime, state, log
        self.binary = BUILD / "mcptallyd"
        self.options = {f"listen.{port}": "127.0.0.1:0"
                        for port in ("metrics", "health", "otlp_grpc", "otlp_http")}
        self.options["metrics.requests_per_minute"] = "0"  # tests look at /metrics all the time
        self.config = None
        self.env = {}
        self.arguments = []
        self.pass_fds = ()
        self.process = None
        self.notify = None
        self.starts = 0

    @property
    def socket(self):
        return str(self.runtime / "events.sock")

    @property
    def control(self):
        return str(self.runtime / "control.sock")

    @property
    def store(self):
        return self.runtime / "store"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        line = [str(self.binary), "--runtime-dir", str(self.runtime),
                "--state-dir", str(self.state)]
        # Always a file, so that one in /etc cannot have a say.
        line += ["--config", str(self.config or os.devnull)]
        for key, value in self.options.items():
            line += ["-o", f"{key}={value}"]
        return line + self.arguments

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if k not in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "RUNTIME_DIRECTORY",
                            "STATE_DIRECTORY", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM",
                            "INVOCATION_ID", "SYSTEMD_EXEC_PID")}
        env.update(self.env)
        return env

    def spawn(self):
        """Starts it and does not wait."""
        assert self.process is None or self.process.poll() is not None, "it is running"
        self.starts += 1
        path = self.runtime.parent / f"notify-{self.starts}"
        if self.notify:
            self.notify.close()
        self.notify = Notify(path)
        env = self.environment()
        env["NOTIFY_SOCKET"] = str(path)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, pass_fds=self.pass_fds)
        return self

    def start(self):
        """Starts it and waits until it serves."""
        self.spawn()
        self.notify.wait("READY=1", self.process)
        return self

    def stop(self, deadline=DEADLINE):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline)

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def reload(self):
        """SIGHUP; waits until the reload is over."""
        self.notify.drain()
        self.notify.messages.clear()
        self.process.send_signal(signal.SIGHUP)
        self.notify.wait("RELOADING=1", self.process)
        self.notify.wait("READY=1", self.process)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def status(self):
        """What `mcptally status --json` shows."""
        line = [str(BUILD / "mcptally"), "status", "--json", "--runtime-dir", str(self.runtime)]
        out = subprocess.run(line, capture_output=True, timeout=DEADLINE, check=False)
        assert out.returncode == 0, out.stderr.decode()
        return json.loads(out.stdout)

    def address(self, port="metrics"):
        """host:port of a listener by name."""
        return self.status()["listen"][port]

    def get(self, path, port="metrics", headers=None, method="GET"):
        request = urllib.request.Request(f"http://{self.address(port)}{path}",
                                         headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return Response(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, error.headers, error.read())

    def metrics(self):
        """The samples of a scrape: {(name, ((label, value), ...)): float}."""
        from prometheus_client.parser import text_string_to_metric_families
        page = self.get("/metrics")
        assert page.status == 200
        return {(s.name, tuple(sorted(s.labels.items()))): s.value
                for family in text_string_to_metric_families(page.text) for s in family.samples}

    def check_accounting(self):
        """The intake ledger: received = applied + dropped. Every test ends with it."""
        accounting = self.status()["accounting"]
        assert accounting["received"] == accounting["applied"] + sum(accounting["dropped"].values())
        return accounting

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.notify:
            self.notify.close()


@pytest.fixture
def shm():
    """A directory on tmpfs, removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mcptally-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def new_daemon(shm, tmp_path):
    """Makes daemons that are not started yet; each name has its own directories."""
    made = []

    def make(name="d"):
        home = shm / name
        (home / "run").mkdir(parents=True)
        home.chmod(0o755)
        (tmp_path / name).mkdir()
        one = Daemon(home / "run", tmp_path / name, tmp_path / f"{name}.log")
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
        if one.log_path.exists():
            print(f"--- {one.log_path.name}\n{one.log()}", end="")


@pytest.fixture
def daemon(new_daemon):
    """A daemon that serves."""
    return new_daemon().start()
