"""Runs inside the container: kills a unit's main process and times its way back.

    kills.py COUNT SEED UNIT REFERENCE

UNIT is killed COUNT times at random moments of its work, and after every fifth kill
REFERENCE once, which takes what systemd and the machine take and nothing else. A line
of JSON at the end: for each the milliseconds from SIGKILL to READY=1, and what of them
had passed before its first process was there. The clock is CLOCK_MONOTONIC, which
systemd stamps by too.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

SHOWN = "MainPID,ActiveState,SubState,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic"
PATIENCE = 60.0


def show(unit):
    text = subprocess.run(["systemctl", "show", "-p", SHOWN, unit], capture_output=True, text=True,
                          check=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def kill(unit):
    """(ms to ready, ms to the new process)."""
    old = int(show(unit)["MainPID"])
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    while True:
        shown = show(unit)
        if shown["ActiveState"] == "active" and int(shown["MainPID"]) not in (0, old):
            break
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"{unit} did not come back: {shown}")
    since = lambda key: int(shown[key]) / 1e3 - began * 1e3
    return since("ActiveEnterTimestampMonotonic"), since("ExecMainStartTimestampMonotonic")


def main():
    count, seed, unit, reference = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    chance = random.Random(seed)
    times = {unit: [], reference: []}
    for i in range(count):
        time.sleep(chance.uniform(0.02, 0.2))
        times[unit].append(kill(unit))
        if i % 5 == 4:
            times[reference].append(kill(reference))
    print(json.dumps({"unit": times[unit], "reference": times[reference]}))


if __name__ == "__main__":
    main()
