"""The units under a real systemd, in a container: needs root and systemd-nspawn."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import BUILD, DEADLINE, ROOT, until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("systemd-nspawn") or "san" in BUILD.name,
    reason="needs root, systemd-nspawn and a build without sanitizers")

SETUP = """
set -e
mkdir -p /etc/systemd/system /etc/sysusers.d /etc/tmpfiles.d /etc/mcptally
for unit in mcptallyd.service mcptallyd.socket; do
    sed 's|/usr/sbin/mcptallyd|/src/bin/mcptallyd|' /src/systemd/$unit >/etc/systemd/system/$unit
done
cp /src/systemd/sysusers.conf /etc/sysusers.d/mcptally.conf
cp /src/systemd/tmpfiles.conf /etc/tmpfiles.d/mcptally.conf
systemd-sysusers
systemd-tmpfiles --create mcptally.conf
systemctl daemon-reload
"""


class Machine:
    """A container whose /usr is this machine's, read-only, and whose rest is empty."""

    def __init__(self, home):
        source = home / "src"
        shutil.copytree(ROOT / "systemd", source / "systemd")
        (source / "bin").mkdir()
        for name in ("mcptallyd", "mcptally"):
            shutil.copy(BUILD / name, source / "bin" / name)
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", "/", "--volatile=yes", "--register=no", "--keep-unit",
             f"--machine=mcptally-test-{os.getpid()}", "--console=pipe",
             "--kill-signal=SIGRTMIN+4", "--private-network", f"--bind-ro={source}:/src", "--boot"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def boot(self):
        self.leader = until(self.find_leader, "the container")
        until(lambda: self.run("systemctl", "is-system-running").stdout.strip()
              in ("running", "degraded"), "its systemd")

    def find_leader(self):
        """Its first process, once that is systemd: before it nspawn has other children, which
        make the container and end."""
        if self.nspawn.poll() is not None:
            pytest.skip("systemd-nspawn cannot make a container here")
        found = subprocess.run(["pgrep", "-P", str(self.nspawn.pid), "-x", "systemd"],
                               capture_output=True, text=True, timeout=DEADLINE, check=False)
        return found.stdout.split()[0] if found.stdout else None

    def run(self, *line):
        return subprocess.run(["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C",
                               "--", *line], capture_output=True, text=True, timeout=DEADLINE,
                              check=False)

    def must(self, *line):
        done = self.run(*line)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def show(self, unit="mcptallyd.service"):
        text = self.must("systemctl", "show", unit)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def status(self):
        return json.loads(self.must("/src/bin/mcptally", "status", "--json",
                                    "--runtime-dir", "/run/mcptally"))

    def close(self):
        self.nspawn.send_signal(signal.SIGTERM)
        try:
            self.nspawn.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    one = Machine(tmp_path_factory.mktemp("machine"))
    try:
        one.boot()
        one.must("sh", "-c", SETUP)
        yield one
        print(one.run("journalctl", "--no-pager", "-u", "mcptallyd").stdout)
    finally:
        one.close()


@pytest.fixture
def service(machine):
    machine.must("systemctl", "start", "mcptallyd.service")
    yield machine
    machine.run("systemctl", "stop", "mcptallyd.service", "mcptallyd.socket")
    machine.run("systemctl", "reset-failed")


def test_unit_starts_hardened(service):
    shown = service.show()
    assert shown["ActiveState"] == "active"
    assert shown["StatusText"] == ("serving: metrics on 127.0.0.1:9090, health on "
                                    "127.0.0.1:9091, OTLP on 127.0.0.1:4317 and 127.0.0.1:4318")
    assert service.status()["health"] == "pass"
    files = service.must("stat", "-c", "%n %U:%G %a", "/run/mcptally", "/run/mcptally/store",
                         "/run/mcptally/events.sock")
    assert files.splitlines() == ["/run/mcptally mcptally:mcptally 755",
                                  "/run/mcptally/store mcptally:mcptally 640",
                                  "/run/mcptally/events.sock mcptally:mcptally 660"]
    filtered = service.must("grep", "^Seccomp:", f"/proc/{shown['MainPID']}/status")
    assert filtered.split()[1] == "2"


def test_killed_daemon_comes_back_with_its_store(service):
    before, shown = service.status(), service.show()
    service.must("kill", "-KILL", shown["MainPID"])
    until(lambda: int(service.show()["NRestarts"]) > int(shown["NRestarts"]), "the restart")
    until(lambda: service.show()["ActiveState"] == "active", "it to serve")
    after = service.status()
    assert after["store"]["id"] == before["store"]["id"]
    assert after["store"]["starts"] == before["store"]["starts"] + 1


def test_stopped_loop_is_restarted_by_the_watchdog(service):
    shown = service.show()
    service.must("kill", "-STOP", shown["MainPID"])
    until(lambda: int(service.show()["NRestarts"]) > int(shown["NRestarts"]), "the watchdog")
    until(lambda: service.show()["ActiveState"] == "active", "it to serve")


def test_store_outlives_stop_and_start(service):
    before = service.status()
    service.must("systemctl", "stop", "mcptallyd.service")
    assert service.must("ls", "/run/mcptally").split() == ["store"]
    service.must("systemctl", "start", "mcptallyd.service")
    assert service.status()["store"]["id"] == before["store"]["id"]


def test_its_other_processes_end_with_it(service):
    """Those that do what may block: as few as they are, in the same user, and gone after a kill."""
    def processes():
        return set(service.run("pgrep", "-x", "-u", "mcptally", "mcptally.*").stdout.split())
    until(lambda: len(processes()) == 3, "itself and two others")
    before = processes()
    assert service.show()["MainPID"] in before
    service.must("kill", "-KILL", service.show()["MainPID"])
    until(lambda: len(processes()) == 3 and not before & processes(), "others in their place")
    service.must("systemctl", "stop", "mcptallyd.service")
    assert processes() == set()


def test_reload(service):
    service.must("systemctl", "reload", "mcptallyd.service")
    assert service.show()["ActiveState"] == "active"


def test_socket_unit_starts_it(service):
    service.must("systemctl", "stop", "mcptallyd.service")
    service.must("systemctl", "start", "mcptallyd.socket")
    assert service.show()["ActiveState"] == "inactive"
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/mcptally/events.sock')"
    service.must("python3", "-c", connect)
    until(lambda: service.show()["ActiveState"] == "active", "it to be started")
    service.must("systemctl", "stop", "mcptallyd.service")
    assert "events.sock" in service.must("ls", "/run/mcptally")


def test_bad_configuration_is_no_loop(service):
    service.must("sh", "-c", "echo 'stor.size: 1' >/etc/mcptally/mcptallyd.yaml")
    try:
        assert service.run("systemctl", "restart", "mcptallyd.service").returncode != 0
        shown = service.show()
        assert (shown["ActiveState"], shown["ExecMainStatus"]) == ("failed", "78")
        journal = service.must("journalctl", "--no-pager", "-u", "mcptallyd", "-n", "20")
        assert re.search(r"mcptallyd\.yaml:1:1: stor\.size: unknown key", journal)
    finally:
        service.must("rm", "/etc/mcptally/mcptallyd.yaml")


def test_exposure():
    """What systemd itself thinks of the hardening; 10 is bare."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes",
                           str(ROOT / "systemd/mcptallyd.service")], capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
    assert float(re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)[1]) <= 1.5
