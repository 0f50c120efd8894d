"""build/tests/system/sender, and the fixtures of tests that drive a transport by it."""

import json
import select
import subprocess

import pytest

import collector as c
from conftest import BUILD, DEADLINE

RETRY, REFUSED, OK = "retry", "refused", "ok"


def body_of(number, size):
    """What the sender fills a request with."""
    return bytes((number * 31 + i * 7 + (i >> 8)) & 0xff for i in range(size))


class Sender:
    def __init__(self, **options):
        command = [str(BUILD / "tests/system/sender")]
        command += [f"{k.replace('__', '.')}={v}" for k, v in options.items()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        bufsize=0)
        self.read = b""

    def line(self, deadline=DEADLINE):
        while b"\n" not in self.read:
            assert select.select([self.process.stdout], [], [], deadline)[0], "no line in time"
            part = self.process.stdout.read(65536)
            assert part, f"the sender ended: {self.process.wait(DEADLINE)}"
            self.read += part
        line, _, self.read = self.read.partition(b"\n")
        return json.loads(line)

    def tell(self, number, signal=0, size=20):
        self.process.stdin.write(f"send {number} {signal} {size}\n".encode())

    def send(self, number, signal=0, size=20):
        """Sends one and returns its answer."""
        self.tell(number, signal, size)
        answer = self.line()
        assert answer["id"] == number
        return answer

    def stats(self):
        self.process.stdin.write(b"stats\n")
        return self.line()

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        assert status == 0


@pytest.fixture
def ends():
    """Things to be ended, newest first: append(function)."""
    todo = []
    yield todo
    for end in reversed(todo):
        end()


@pytest.fixture
def sender(ends):
    def start(endpoint, **options):
        made = Sender(**{"endpoint": endpoint, "name__localhost": "127.0.0.1", **options})
        ends.append(made.end)
        return made
    return start


@pytest.fixture
def collect(ends):
    def start(kind, **options):
        made = kind(**options)
        ends.append(made.stop)
        return made
    return start


@pytest.fixture
def raw(ends):
    def start(script, **options):
        made = c.Raw(script, **options)
        ends.append(made.stop)
        return made
    return start


@pytest.fixture
def raw_sender(raw, sender):
    """A sender to a server made of frames."""
    def start(script, **options):
        server = raw(script)
        return sender(f"http://localhost:{server.port}", **{"timeout_ms": 2000, **options}), server
    return start


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return c.Certificates(tmp_path_factory.mktemp("certificates"))


def outcome(answer):
    return answer["kind"], answer["status"]
