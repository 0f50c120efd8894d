"""Runs inside the container: kills a unit's main process and times its way back.

    kills.py COUNT SEED UNIT REFERENCE

UNIT is killed COUNT times at random moments of its work, and after every second kill
REFERENCE, which takes what systemd and the machine take and nothing else. A line of JSON
at the end: of each kill the milliseconds from SIGKILL to READY=1, and what of them had
passed before its first process was there; of UNIT's also how long a client waited that
asked for its health right after the kill. The clock is CLOCK_MONOTONIC, which systemd
stamps by too: nobody asks systemd for anything while it works.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

SHOWN = "MainPID,ActiveState,SubState,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic"
HEALTH = ("127.0.0.1", 9091)
PATIENCE = 60.0
PAUSE = 0.1  # seconds, in which most restarts are over


def show(unit):
    text = subprocess.run(["systemctl", "show", "-p", SHOWN, unit], capture_output=True, text=True,
                          check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def ask():
    """Waits for an answer on the port of health, which is never refused."""
    while True:
        try:
            with socket.create_connection(HEALTH, PATIENCE) as client:
                client.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
                if client.recv(1):
                    return
        except (ConnectionResetError, BrokenPipeError):
            pass  # the one that was killed had taken it


def kill(unit, wait):
    """(ms to ready, ms to the new process, ms that `wait` took)."""
    old = int(show(unit)["MainPID"])
    time.sleep(PAUSE)  # systemd has done with the question
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait()
    waited = time.monotonic() - began
    while True:
        time.sleep(PAUSE)
        shown = show(unit)
        if shown["ActiveState"] == "active" and int(shown["MainPID"]) not in (0, old):
            break
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"{unit} did not come back: {shown}")
    since = lambda key: int(shown[key]) / 1e3 - began * 1e3
    return (since("ActiveEnterTimestampMonotonic"), since("ExecMainStartTimestampMonotonic"),
            waited * 1e3)


def main():
    count, seed, unit, reference = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    chance = random.Random(seed)
    times = {"unit": [], "reference": []}
    for i in range(count):
        time.sleep(chance.uniform(0.02, 0.2))
        times["unit"].append(kill(unit, ask))
        if i % 2 == 1:
            time.sleep(chance.uniform(0.02, 0.2))
            times["reference"].append(kill(reference, lambda: None))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
