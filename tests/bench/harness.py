"""What the suites share: how much work a run does, the programs of the bench, a daemon at home."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from conftest import BUILD, Daemon  # noqa: E402

PROGRAMS = BUILD / "tests/bench"
LIMIT = 60  # seconds that one program may take

FULL = {"updates": 20_000_000, "batched": 5_000_000, "single": 200_000, "rings": 10_000_000,
        "sustained": 200_000_000, "items": 200_000,
        "crowd": 3_000_000, "waits": 20_000, "few_waits": 2_000, "scrapes": 1_000,
        "connections": 15_000, "producers": (1, 10, 100, 1_000, 15_000), "stored": 10_000,
        "shared": 256, "idle": 10,
        "series": (1_000, 10_000, 100_000, 1_000_000)}
SMOKE = {"updates": 1_000_000, "batched": 500_000, "single": 20_000, "rings": 500_000,
         "sustained": 5_000_000, "items": 5_000,
         "crowd": 100_000, "waits": 500, "few_waits": 100, "scrapes": 20, "connections": 500,
         "producers": (1, 10, 100), "stored": 2_000, "shared": 64, "idle": 1,
         "series": (1_000, 10_000)}
size = {**FULL, "less": 1}  # what this run does; less: emits are divided by it

# Or sampling would leave most of them out, which is less work.
KEEP_SPANS = {"sampling": {"normal": 1, "window": 0, "spans_per_second": 0}}


def program(name, *arguments, **more):
    """Runs one program of the bench; what it printed, as JSON."""
    line = [str(PROGRAMS / name), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}: exit status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


class Home:
    """A daemon in a directory of its own on tmpfs, pinned to the first processor."""

    def __init__(self, config=None, **options):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="mcptally-bench-", dir="/dev/shm"))
        for name in ("run", "state"):
            (self.path / name).mkdir()
        self.daemon = Daemon(self.path / "run", self.path / "state", self.path / "log")
        self.daemon.options.update({k.replace("__", "."): v for k, v in options.items()})
        if config:
            self.daemon.config = self.path / "mcptallyd.yaml"
            self.daemon.config.write_text(json.dumps(config))  # which is YAML, too

    def __enter__(self):
        self.daemon.start()
        self.daemon.status()  # once it answers it has given back what only its start needed
        os.sched_setaffinity(self.daemon.pid, {0})
        return self.daemon

    def __exit__(self, *_):
        self.daemon.close()
        shutil.rmtree(self.path, ignore_errors=True)


class Crowd:
    """So many connections that have greeted and then say nothing."""

    def __init__(self, daemon, count):
        self.line = [PROGRAMS / "crowd", daemon.socket, str(count)]

    def __enter__(self):
        self.held = subprocess.Popen(self.line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.held.stdout.readline():
            sys.exit("crowd: not every connection was welcome")

    def __exit__(self, *_):
        self.held.communicate()


def private_bytes(pid):
    """Private memory (USS) of a process and those that it started."""
    total = 0
    rollups = [pathlib.Path(f"/proc/{one}/smaps_rollup").read_text() for one in family(pid)]
    for line in "".join(rollups).splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def family(pid):
    """A process and those that it started."""
    yield pid
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from family(int(child))


def pairs(runs, bare, ours):
    """Runs of both, alternating."""
    done = [(bare(), ours()) for _ in range(runs)]
    return [d[0] for d in done], [d[1] for d in done]


def many_series(count):
    """A daemon that has room for so many, of one connection and one metric."""
    return Home(store__size="2GiB" if count > 100_000 else "256MiB", series__per_domain="1100000",
                series__cardinality="1000000", limits__ids_per_connection="1048576")


def version_of(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=LIMIT,
                          check=True)
    return done.stdout.strip()
