"""Where there are no packages: what README says is all that has to be done."""

import os
import re
import subprocess

import pytest

from machine import ROOT, Machine

INSTALL = "make install prefix=/usr sysconfdir=/etc"


def commands():
    """What README has after `make install`; who does it is root."""
    text = (ROOT / "README").read_text().replace("\\\n", "")
    shown = re.search(rf"{re.escape(INSTALL)}\n((?:  \$ sudo .*\n)+)", text)[1]
    return re.findall(r"\$ (.*)", shown.replace("sudo ", ""))


# As README has it, and without a word about where: then it is below /usr/local.
@pytest.fixture(scope="module", params=[(INSTALL, "/etc"), ("make install", "/usr/local/etc")],
                ids=["usr", "local"])
def machine(tmp_path_factory, request):
    """A machine that has booted and has what `make install` makes."""
    install, sysconfdir = request.param
    source = tmp_path_factory.mktemp("bare-src")
    source.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    subprocess.run([*install.split(), "-s", "-C", ROOT, f"DESTDIR={source}/tree"], env=env,
                   check=True, timeout=120, stdout=subprocess.DEVNULL)
    one = Machine(tmp_path_factory.mktemp("bare") / "home", source)
    try:
        one.boot()
        one.must("cp", "-a", "/src/tree/.", "/")
        one.sysconfdir = sysconfdir
        yield one
    finally:
        one.close()


def test_first_minutes(machine):
    for line in commands():
        machine.must("bash", "-c", line)
    assert machine.status()["health"] == "pass"
    assert "mcptally_starts_total 1" in machine.get("http://127.0.0.1:9090/metrics")
    assert "pass" in machine.get("http://127.0.0.1:9091/health")
    for port in (4317, 4318):
        machine.must("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}")
    timers = machine.must("systemctl", "list-timers", "--no-pager")
    assert all(f"mcptallyd-{kind}.timer" in timers for kind in ("daily", "weekly", "monthly"))
    assert machine.show()["NeedDaemonReload"] == "no"


def test_configuration_is_where_it_was_installed(machine):
    """The daemon, the generator and the template read it there."""
    sample = machine.must("cat", f"{machine.sysconfdir}/mcptally/mcptallyd.yaml")
    assert sample == (ROOT / "conf/mcptallyd.yaml").read_text()
    for node, unit in (("mcptallyd", "mcptallyd.service"), ("blue", "mcptallyd@blue.service")):
        machine.write(f"{machine.sysconfdir}/mcptally/{node}.yaml",
                      "listen:\n  metrics: 127.0.0.1:0\n  health: off\n"
                      "  otlp_grpc: off\n  otlp_http: off\n")
        machine.must("systemctl", "daemon-reload")
        machine.must("systemctl", "restart", unit)
        shown = machine.show(unit)
        assert "health on no port" in shown["StatusText"]
        assert shown["PrivateNetwork"] == "no"
