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


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A machine that has booted and has what `make install` makes."""
    source = tmp_path_factory.mktemp("bare-src")
    source.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    subprocess.run([*INSTALL.split(), "-s", "-C", ROOT, f"DESTDIR={source}/tree"], env=env,
                   check=True, timeout=120, stdout=subprocess.DEVNULL)
    one = Machine(tmp_path_factory.mktemp("bare") / "home", source)
    try:
        one.boot()
        one.must("cp", "-a", "/src/tree/.", "/")
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
