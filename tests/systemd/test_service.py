"""The units of the installed package under a real systemd."""

import re
import select
import subprocess
import time

import pytest

from conftest import VERSION, deb, repack
from machine import DEADLINE, ROOT, until

UNITS = sorted(p.name for p in (ROOT / "systemd").iterdir()
               if p.suffix in (".service", ".socket", ".timer"))


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
    status = service.must("cat", f"/proc/{shown['MainPID']}/status")
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert shown["OOMScoreAdjust"] == "-500"
    assert shown["MemoryMax"] == str(1 << 30) and shown["TasksMax"] == "256"


def test_what_it_sees_of_the_machine(service):
    """Homes are empty; its own directories are all that it can write to."""
    homes = ("/home", "/root", "/run/user")
    for home in homes:
        service.write(f"{home}/letter", "private")
    inside = ("nsenter", "-t", service.show()["MainPID"], "-m", "--")
    assert service.must(*inside, "ls", "-A", *homes).split() == [f"{home}:" for home in homes]
    for path in ("/etc/mcptally", *homes, "/usr"):
        assert "Read-only" in service.run(*inside, "mkdir", f"{path}/new").stderr, path
    itself = (*inside, "runuser", "-u", "mcptally", "--", "test", "-w")
    for path in ("/", "/etc/mcptally", "/run", "/var/lib", "/sys/fs/cgroup",
                 "/sys/fs/cgroup/system.slice/mcptallyd.service/cgroup.procs",
                 "/sys/fs/cgroup/system.slice/mcptallyd.service/cgroup.freeze",
                 "/proc/sys/kernel/hostname"):
        assert service.run(*itself, path).returncode == 1, path
    for path in ("/run/mcptally", "/var/lib/mcptally", "/var/log/mcptally", "/tmp"):
        service.must(*itself, path)


@pytest.mark.parametrize("unit", [u for u in UNITS if u.endswith(".service")])
def test_exposure(unit):
    """What systemd itself thinks of the hardening; 10 is bare."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=10",
                           str(ROOT / "systemd" / unit)], capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout


def test_units_have_no_fault(machine):
    """systemd's own check, of the units as they are installed."""
    units = [f"/lib/systemd/system/{u}" for u in UNITS]
    done = machine.run("systemd-analyze", "verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_all_is_enabled_and_active(service):
    for unit in UNITS:
        if "@" in unit or unit in ("mcptallyd-daily.service", "mcptallyd-weekly.service",
                                   "mcptallyd-monthly.service"):
            continue
        shown = service.show(unit)
        assert (shown["UnitFileState"], shown["ActiveState"]) == ("enabled", "active"), unit


def test_killed_daemon_comes_back_with_its_store(service):
    before, shown = service.status(), service.show()
    service.must("kill", "-KILL", shown["MainPID"])
    until(lambda: int(service.show()["NRestarts"]) > int(shown["NRestarts"]), "the restart")
    until(service.active, "it to serve")
    after = service.status()
    assert after["store"]["id"] == before["store"]["id"]
    assert after["store"]["starts"] == before["store"]["starts"] + 1


def test_loop_that_hangs_is_killed_and_serves_again(service):
    """Hang to ready in 2.5 s: the watchdog's 2 s, and a restart."""
    shown = service.show()
    began = time.monotonic()
    service.must("kill", "-STOP", shown["MainPID"])
    until(lambda: int(service.show()["NRestarts"]) > int(shown["NRestarts"]), "the watchdog")
    until(service.active, "it to serve")
    after = service.show()
    took = int(after["ActiveEnterTimestampMonotonic"]) / 1e6 - began
    print(f"hang to ready: {took:.3f} s")
    assert "watchdog" in service.journal("mcptallyd.service", "-n", "20").lower()
    assert took <= 2.5


def start_sockets(service):
    sockets = [u for u in UNITS if u.endswith(".socket") and "@" not in u]
    service.must("systemctl", "start", *sockets)


def test_store_outlives_stop_and_start(service):
    before = service.status()
    service.must("systemctl", "stop", "mcptallyd.socket", "mcptallyd.service")
    assert "store" in service.must("ls", "/run/mcptally").split()
    start_sockets(service)
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
    service.write("/etc/mcptally/mcptallyd.yaml", "start.ladder: false\nlog.level: debug\n")
    pid = service.show()["MainPID"]
    service.must("systemctl", "reload", "mcptallyd.service")
    shown = service.show()
    assert (shown["ActiveState"], shown["MainPID"]) == ("active", pid)
    assert "reload" in service.journal("mcptallyd.service", "-n", "20")


@pytest.mark.parametrize("how", ["events", "metrics"])
def test_socket_units_start_it(service, how):
    """A producer, or a scrape, finds the socket of a daemon that is not there yet."""
    service.must("systemctl", "stop", "mcptallyd.service")
    assert service.show()["ActiveState"] == "inactive"
    if how == "metrics":
        assert "mcptally_starts_total" in service.get("http://127.0.0.1:9090/metrics")
    else:
        service.must("python3", "-c", "import socket; "
                     "socket.socket(socket.AF_UNIX).connect('/run/mcptally/events.sock')")
    until(service.active, "it to be started")
    service.must("systemctl", "stop", "mcptallyd.service")
    assert "events.sock" in service.must("ls", "/run/mcptally")


def test_stopping_the_socket_unit_stops_the_other_sockets(service):
    service.must("systemctl", "stop", "mcptallyd.socket", "mcptallyd.service")
    assert service.show("mcptallyd-metrics.socket")["ActiveState"] == "inactive"
    assert service.run("curl", "-s", "http://127.0.0.1:9090/metrics").returncode == 7
    start_sockets(service)


def test_bad_configuration_is_no_loop(service):
    service.write("/etc/mcptally/mcptallyd.yaml", "stor.size: 1\n")
    assert service.run("systemctl", "restart", "mcptallyd.service").returncode != 0
    shown = service.show()
    assert (shown["ActiveState"], shown["ExecMainStatus"]) == ("failed", "78")
    journal = service.journal("mcptallyd.service", "-n", "20")
    assert re.search(r"mcptallyd\.yaml:1:1: stor\.size: unknown key", journal)


CRASHING = "/etc/systemd/system/mcptallyd.service.d/crashing.conf"
FAULTS = "/run/mcptally/faults"

# Whoever maps this file dies at the first memory that it asks for.
ARM = """
import pathlib, signal, sys, faults
faults.Faults(pathlib.Path(sys.argv[1])).arm("memory", 1, faults.CRASH + signal.SIGSEGV,
                                             times=1 << 40)
"""


def test_a_crash_without_a_store_is_no_loop(service, source):
    """What dies at once each time is started once a second, not as often as there is time."""
    subprocess.run(["/usr/bin/python3", "-c", ARM, source / "faults"], check=True, timeout=60,
                   cwd=ROOT / "tests/system")
    service.must("install", "-o", "mcptally", "/src/faults", FAULTS)
    service.write(CRASHING, "[Service]\nEnvironment=LD_PRELOAD=/src/libfault.so "
                  f"MCPTALLY_FAULT={FAULTS} MCPTALLY_FAULT_PROGRAM=mcptallyd\n")
    service.must("systemctl", "daemon-reload")
    try:
        service.must("systemctl", "restart", "--no-block", "mcptallyd.service")

        def ends():
            text = service.journal("mcptallyd.service", "-o", "short-monotonic")
            return [float(t) for t in re.findall(r"^\[ *([\d.]+)\].*status=11/SEGV$", text, re.M)]
        until(lambda: len(ends()) >= 3, "three crashes")
        times = ends()
        assert all(after - before >= 1 for before, after in zip(times, times[1:])), times
        service.must("systemctl", "stop", "mcptallyd.service")
    finally:
        service.must("rm", CRASHING, FAULTS)
        service.must("systemctl", "daemon-reload")
    service.must("systemctl", "start", "mcptallyd.service")


# ---- what it may reach ----

COLLECTOR = """
import http.server
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.send_response(200)
        self.send_header('Content-Type', 'application/x-protobuf')
        self.send_header('Content-Length', '0')
        self.end_headers()
        print(self.path, flush=True)
http.server.HTTPServer(('127.0.0.1', 4400), Taker).serve_forever()
"""
DROP_IN = "/etc/systemd/system/mcptallyd.service.d/environment.conf"


def test_no_network_socket_unless_configured(service):
    assert service.show()["RestrictAddressFamilies"] == "AF_UNIX"
    assert service.show()["IPAddressDeny"]
    assert not service.show().get("DropInPaths")


def test_configured_ports_are_opened_and_the_passed_one_is_not_used(service):
    """What the configuration says counts; its ports need one daemon-reload."""
    service.write("/etc/mcptally/mcptallyd.yaml", "listen:\n  metrics: 127.0.0.1:9464\n")
    service.must("systemctl", "restart", "mcptallyd.service")
    assert "systemctl daemon-reload" in service.journal("mcptallyd.service", "-n", "20")
    assert service.show()["NeedDaemonReload"] == "yes"
    service.must("systemctl", "daemon-reload")
    service.must("systemctl", "restart", "mcptallyd.service")
    assert service.status()["listen"]["metrics"] == "127.0.0.1:9464"
    assert "mcptally_starts_total" in service.get("http://127.0.0.1:9464/metrics")
    assert service.get("http://127.0.0.1:9091/health")  # and the other still is


def assert_collector_is_reached(service):
    service.must("systemctl", "daemon-reload")
    collector = service.start("python3", "-c", COLLECTOR)
    try:
        service.must("systemctl", "restart", "mcptallyd.service")
        assert not service.show().get("IPAddressDeny")  # not every kernel carries it out
        service.must("mcptally", "emit", "log", "error", "one line for the collector")
        until(lambda: select.select([collector.stdout], [], [], 0)[0], "a request")
        assert collector.stdout.readline().strip() == "/v1/logs"
    finally:
        service.run("pkill", "-KILL", "-f", "BaseHTTPRequestHandler")
        collector.wait()


def test_destination_is_reached(service):
    service.write("/etc/mcptally/mcptallyd.yaml",
                  "export:\n  batch_delay: 10ms\n  destinations:\n  - name: collector\n"
                  "    protocol: http/protobuf\n    endpoint: http://127.0.0.1:4400\n")
    assert_collector_is_reached(service)


def test_destination_of_the_environment_is_reached(service):
    """With the drop-in that the manual shows."""
    page = (ROOT / "man/mcptallyd.8").read_text()
    shown = re.search(r"^\[Service\]\nEnvironment=OTEL_EXPORTER_OTLP_ENDPOINT.*?(?=^\.Ed)", page,
                      re.M | re.S)[0]
    service.write(DROP_IN, shown.replace("4320", "4400"))
    try:
        assert_collector_is_reached(service)
    finally:
        service.must("rm", DROP_IN)


def test_group_of_a_socket(service):
    """Needs chown(2)."""
    service.must("usermod", "-a", "-G", "adm", "mcptally")
    service.write("/etc/mcptally/mcptallyd.yaml", "control:\n  group: adm\n")
    service.must("systemctl", "daemon-reload")
    service.must("systemctl", "restart", "mcptallyd.service")
    assert service.must("stat", "-c", "%G", "/run/mcptally/control.sock").strip() == "adm"


# ---- several nodes, timers, logs ----

def test_several_nodes(service):
    """The template: own directories, own ports, own socket; and the first one goes on."""
    for node, port in (("blue", 9190), ("green", 9290)):
        service.write(f"/etc/mcptally/{node}.yaml",
                      f"listen:\n  metrics: 127.0.0.1:{port}\n  health: 127.0.0.1:{port + 1}\n"
                      f"  otlp_grpc: off\n  otlp_http: off\n")
    service.must("systemctl", "daemon-reload")
    for node in ("blue", "green"):
        service.must("systemctl", "start", f"mcptallyd@{node}.socket", f"mcptallyd@{node}.service")
    service.must("env", "MCPTALLY_SOCKET=/run/mcptally-blue/events.sock", "mcptally", "emit",
                 "counter", "jobs", "3")
    assert "jobs_total" in service.get("http://127.0.0.1:9190/metrics")
    assert "jobs_total" not in service.get("http://127.0.0.1:9290/metrics")
    assert service.status("/run/mcptally-blue")["accounting"]["applied"] == 1
    assert service.status("/run/mcptally-green")["accounting"]["applied"] == 0
    assert service.status()["health"] == "pass"
    for node in ("blue", "green"):
        service.must("systemctl", "stop", f"mcptallyd@{node}.socket", f"mcptallyd@{node}.service")
        service.must("rm", f"/etc/mcptally/{node}.yaml")


def test_timers_run_what_they_should(service):
    """Each once by hand, beside the daemon: it does not notice."""
    pid = service.show()["MainPID"]
    service.must("mcptally", "emit", "counter", "jobs", "3")
    timers = service.must("systemctl", "list-timers", "--all", "--no-pager")
    for kind in ("daily", "weekly", "monthly"):
        assert f"mcptallyd-{kind}.timer" in timers
        service.must("systemctl", "start", f"mcptallyd-{kind}.service")
        assert service.show(f"mcptallyd-{kind}.service")["Result"] == "success"
    assert "whole" in service.journal("mcptallyd-weekly.service")
    assert "nothing is missing" in service.journal("mcptallyd-weekly.service")
    assert "items received" in service.journal("mcptallyd-monthly.service")
    assert service.must("ls", "/var/lib/mcptally/reports").split()
    assert service.show()["MainPID"] == pid
    assert service.status()["accounting"]["applied"] >= 1


def test_log_rotation(service):
    """The shipped file and the real logrotate: the log goes on in a new file."""
    service.must("chown", "root:root", "/etc/logrotate.d/mcptallyd")
    log = "/var/log/mcptally/mcptallyd.log"
    service.write("/etc/mcptally/mcptallyd.yaml", f"start.ladder: false\nlog:\n  file: {log}\n")
    service.must("systemctl", "restart", "mcptallyd.service")
    until(lambda: "serves" in service.run("cat", log).stdout, "the log file")
    service.must("logrotate", "--force", "/etc/logrotate.d/mcptallyd")
    assert "serves" in service.must("cat", f"{log}.1")
    service.must("systemctl", "reload", "mcptallyd.service")
    until(lambda: "reload" in service.run("cat", log).stdout, "lines in the new file")
    assert "reload" not in service.must("cat", f"{log}.1")


# ---- the package ----

def append(path):
    """Another program that does the same: what follows its sections is not loaded."""
    with open(path, "ab") as file:
        file.write(b"another build\n")


def test_reinstalling_restarts_nothing(service):
    pid = service.show()["MainPID"]
    service.install("/src/mcptallyd.deb")
    assert service.show()["MainPID"] == pid


# Health without a pause, and metrics as often as one address may ask.
SCRAPER = """
import sys, threading, time, urllib.request
stop, refused, done = threading.Event(), 0, 0
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
scraped = 0
while not stop.is_set():
    page = '9091/health'
    if time.monotonic() - scraped > 1:
        page, scraped = '9090/metrics', time.monotonic()
    try:
        urllib.request.urlopen('http://127.0.0.1:' + page, timeout=20).read()
        done += 1
    except ConnectionRefusedError:
        refused += 1
    except OSError as error:
        if isinstance(getattr(error, 'reason', None), ConnectionRefusedError):
            refused += 1
        # else it was being answered when the daemon stopped
    time.sleep(0.002)
print(done, refused)
"""


def test_upgrade_under_load_loses_nothing(service, source, tmp_path, producers):
    """From this version to a later one: every total exact, no scrape refused."""
    from totals import check_balance, check_totals
    later = repack(deb("mcptallyd"), tmp_path, VERSION + "+later",
                   lambda root: append(root / "usr/sbin/mcptallyd"))
    (source / later).write_bytes((tmp_path / later).read_bytes())
    configure_load(service)
    emitting, scraper = producers(2, 7), service.start("python3", "-c", SCRAPER)
    before = service.show()["MainPID"]
    until(lambda: service.status()["accounting"]["applied"] > 10000, "some load")
    service.install(f"/src/{later}")
    assert service.show()["MainPID"] != before
    applied = service.status()["accounting"]["applied"]
    until(lambda: service.status()["accounting"]["applied"] > applied + 10000, "load to go on")
    made = {one.service: one.finish() for one in emitting}
    done, refused = map(int, scraper.communicate("\n", timeout=60)[0].split())
    assert done > 10 and refused == 0
    samples = service.samples()
    check_totals(samples, made)
    check_balance(samples)
    service.install("/src/mcptallyd.deb")


LOAD = """\
start:
  ladder: false
series:
  idle: 1h
rules:
  - event: kill.done
    metric: kill.done
    kind: counter
  - event: kill.done
    metric: kill.amount
    kind: histogram
    measurement: amount
    buckets: [1, 10, 100]
"""


def configure_load(service):
    """An empty store, and what killer.c asks for."""
    service.must("systemctl", "stop", "mcptallyd.service")
    service.must("rm", "-f", "/run/mcptally/store")
    service.write("/etc/mcptally/mcptallyd.yaml", LOAD)
    service.must("systemctl", "start", "mcptallyd.service")


def test_z_removal_and_purge(machine):
    """Last: a removal keeps what has been counted, a purge keeps nothing."""
    machine.must("dpkg", "-r", "mcptallyd", deadline=180)
    assert machine.run("pgrep", "-x", "mcptallyd").returncode == 1
    assert "store" in machine.must("ls", "/run/mcptally").split()
    machine.must("dpkg", "-P", "mcptallyd", deadline=180)
    left = machine.must("sh", "-c", "ls -d /run/mcptally* /var/lib/mcptally* /etc/mcptally "
                        "/etc/systemd/system/*/mcptally* 2>/dev/null || true")
    assert left == ""
