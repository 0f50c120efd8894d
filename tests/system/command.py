"""Runs build/mcptally the way a shell does, and reads what it prints."""

import json
import os
import queue
import signal
import subprocess
import threading

import pytest

from conftest import BUILD, DEADLINE

BINARY = str(BUILD / "mcptally")
OK, FAILURE, USAGE, UNAVAILABLE, TIMEOUT, PERMISSION = 0, 1, 64, 69, 75, 77


def environment(**more):
    names = ("MCPTALLY_SOCKET", "MCPTALLY_RUNTIME_DIR", "OTEL_SERVICE_NAME", "NO_COLOR",
             "COLUMNS")
    return {**{k: v for k, v in os.environ.items() if k not in names}, **more}


def run(*arguments, stdin="", env=None, **more):
    """One command to its end; text in and out."""
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, text=True, check=False,
                          capture_output=True, timeout=DEADLINE, env=environment(**(env or {})),
                          **more)


def ok(*arguments, **more):
    """The standard output of a command that must succeed and complain about nothing."""
    done = run(*arguments, **more)
    assert (done.returncode, done.stderr) == (OK, ""), done.stdout + done.stderr
    return done.stdout


def at(daemon):
    return "--runtime-dir", str(daemon.runtime)


def emit(daemon, *words, **more):
    return ok("emit", *words, *at(daemon), **more)


class Follower:
    """A command that goes on printing; its lines are waited for, one by one."""

    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True, env=environment(**(env or {})))
        self.out, self.err = queue.Queue(), queue.Queue()
        self.threads = [threading.Thread(target=self.read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.out),
                                     (self.process.stderr, self.err))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.put(line.rstrip("\n"))

    def line(self):
        try:
            return self.out.get(timeout=DEADLINE)
        except queue.Empty:
            pytest.fail(f"no line within {DEADLINE:.0f} s")

    def complaint(self):
        try:
            return self.err.get(timeout=DEADLINE)
        except queue.Empty:
            pytest.fail(f"nothing on stderr within {DEADLINE:.0f} s")

    def object(self):
        return json.loads(self.line())

    def end(self):
        """Ends it; returns the lines that nobody has read."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return list(self.out.queue)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
