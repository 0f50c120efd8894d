"""A container with a real systemd, whose root is this machine's under an overlay.

What happens in it is gone when it ends; two of them do not know of each other: each has
its own mounts, network, processes and cgroups. Needs root, overlayfs and
systemd-nspawn; `missing()` says what is not there.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MCPTALLY_BUILD", ROOT / "build")).resolve()
DEADLINE = 60.0  # seconds that any one wait may take

# What of the machine's own must not be there in the container: units that are enabled, an
# mcptallyd that is installed, and a rule of images that are no machine not to start services.
BARE = """
rm -rf etc/systemd/system/*.wants/* etc/mcptally var/lib/mcptally* usr/sbin/policy-rc.d
rm -f etc/fstab lib/systemd/system/mcptallyd* var/lib/dpkg/lock*
mkdir -p src etc/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nRateLimitBurst=0\\n' >etc/systemd/journald.conf.d/test.conf
"""
START = """
set -e
mount -t tmpfs -o mode=755,size=75% tmpfs "$HOME_DIR"
mkdir "$HOME_DIR"/up "$HOME_DIR"/work "$HOME_DIR"/root
layers=lowerdir=/,upperdir=$HOME_DIR/up,workdir=$HOME_DIR/work
mount -t overlay overlay -o "$layers" "$HOME_DIR"/root
(cd "$HOME_DIR"/root; eval "$BARE")
exec "$@"
"""
# One hierarchy of cgroups, as a Debian machine has, also where the machine of the tests has others:
# each is one more mount that every sandbox of a service has to deal with.
UNIFIED = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
PROBE = """
set -e
d=$(mktemp -d)
trap 'rmdir $d' EXIT
mount -t tmpfs tmpfs $d
mkdir $d/u $d/w $d/m
mount -t overlay overlay -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/m
umount $d/m $d
"""


class Failed(Exception):
    """A command failed, or something did not come."""


def until(condition, what, deadline=DEADLINE, every=0.02):
    """Polls until the condition is true and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {deadline:.0f} s for {what}")
        time.sleep(every)


def missing():
    """Why there can be no container here, None when there can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("systemd-nspawn", "unshare", "nsenter", "dpkg"):
        if not shutil.which(tool):
            return f"needs {tool}"
    if "san" in BUILD.name:
        return "needs a build without sanitizers"
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", PROBE],
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    return f"no overlay can be mounted here: {done.stderr.strip()}" if done.returncode else None


class Machine:
    """`source` is what it sees, read-only, as /src."""

    def __init__(self, home, source):
        home.mkdir()
        line = ["systemd-nspawn", "-q", "-D", str(home / "root"), "--register=no", "--keep-unit",
                f"--machine=mcptally-{os.getpid()}", "--console=pipe",
                "--kill-signal=SIGRTMIN+4", "--private-network", f"--bind-ro={source}:/src",
                "--boot"]
        self.console = open(home.parent / f"{home.name}.console", "wb")
        self.nspawn = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", START, "start", *line],
            env={**os.environ, **UNIFIED, "HOME_DIR": str(home), "BARE": BARE},
            stdin=subprocess.DEVNULL,
            stdout=self.console, stderr=self.console)
        self.leader = None

    def boot(self):
        self.leader = until(self.find_leader, "the container")
        until(lambda: self.run("systemctl", "is-system-running").stdout.strip()
              in ("running", "degraded"), "its systemd")
        self.must("mount", "-o", "remount,size=75%", "/run")

    def find_leader(self):
        """Its first process, once that is systemd: before it nspawn has other children, which
        make the container and end."""
        if self.nspawn.poll() is not None:
            raise Failed("systemd-nspawn cannot make a container here: "
                         + pathlib.Path(self.console.name).read_text(errors="replace"))
        found = subprocess.run(["pgrep", "-P", str(self.nspawn.pid), "-x", "systemd"],
                               capture_output=True, text=True, timeout=DEADLINE, check=False)
        return found.stdout.split()[0] if found.stdout else None

    def line(self, *command):
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "--", *command]

    def run(self, *command, deadline=DEADLINE, **more):
        return subprocess.run(self.line(*command), capture_output=True, text=True,
                              timeout=deadline, check=False, **more)

    def must(self, *command, deadline=DEADLINE, **more):
        done = self.run(*command, deadline=deadline, **more)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *command):
        """A command that goes on, with pipes."""
        return subprocess.Popen(self.line(*command), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    # ---- what is in it ----

    def show(self, unit="mcptallyd.service"):
        text = self.must("systemctl", "show", unit)
        return dict(row.split("=", 1) for row in text.splitlines() if "=" in row)

    def active(self, unit="mcptallyd.service"):
        return self.show(unit)["ActiveState"] == "active"

    def journal(self, unit="mcptallyd.service", *options):
        return self.must("journalctl", "--no-pager", "-u", unit, *options)

    def status(self, runtime="/run/mcptally"):
        """Of a daemon that may be stopping just now: then the next one is asked."""
        def ask():
            done = self.run("mcptally", "status", "--json", "--runtime-dir", runtime)
            if done.returncode not in (0, 69):
                raise Failed(f"mcptally status: {done.returncode}\n{done.stderr}")
            return json.loads(done.stdout) if done.returncode == 0 else None
        return until(ask, "an answer of the daemon")

    def samples(self):
        """The samples of a scrape: {(name, ((label, value), ...)): float}."""
        from prometheus_client.parser import text_string_to_metric_families
        page = self.get("http://127.0.0.1:9090/metrics")
        return {(s.name, tuple(sorted(s.labels.items()))): s.value
                for family in text_string_to_metric_families(page) for s in family.samples}

    def get(self, url):
        return self.must("curl", "-sf", "--max-time", "30", url)

    def write(self, path, text):
        self.must("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, input=text)

    def install(self, *packages):
        self.must("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confnew", "-i",
                  *packages, deadline=180)

    def close(self):
        if self.nspawn.poll() is None and self.leader:
            os.kill(int(self.leader), signal.SIGRTMIN + 4)
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                pass
        if self.nspawn.poll() is None:
            self.nspawn.kill()
            self.nspawn.wait()
        self.console.close()
