"""Fixtures of the tests under a real systemd; see machine.py. `make deb` has been run."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from machine import BUILD, ROOT, Machine, missing, until  # noqa: E402

LONG = bool(os.environ.get("MCPTALLY_LONG"))
WHY_NOT = missing()
DEBS = ROOT / "build/deb"
VERSION = "0.1.0-1"


def pytest_collection_modifyitems(items):
    if WHY_NOT:
        for item in items:
            if "machine" in item.fixturenames or "service" in item.fixturenames:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))


def deb(package, version=VERSION):
    found = list(DEBS.glob(f"{package}_{version}_*.deb"))
    assert found, f"no {package} in {DEBS}: run make deb"
    return found[0]


def repack(package, to, version, change):
    """The same package as another version, its files changed by `change(root)`."""
    root = to / "unpacked"
    subprocess.run(["dpkg-deb", "-R", package, root], check=True, timeout=60)
    control = root / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}", f"Version: {version}"))
    (root / "DEBIAN/md5sums").unlink(missing_ok=True)
    change(root)
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", root, to / f"{version}.deb"],
                   check=True, timeout=60, capture_output=True)
    shutil.rmtree(root)
    return f"{version}.deb"


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """What the container sees as /src: the packages and the programs of the tests."""
    path = tmp_path_factory.mktemp("src")
    path.chmod(0o755)  # for the service's user too
    for package in ("mcptallyd", "libmcptally0"):
        shutil.copy(deb(package), path / f"{package}.deb")
    for program in ("tests/systemd/quiet", "tests/systemd/herd", "tests/system/killer",
                    "tests/fault/libfault.so"):
        shutil.copy(BUILD / program, path)
    shutil.copy(BUILD / "libmcptally.so", path / "libmcptally.so.0")
    shutil.copy(pathlib.Path(__file__).parent / "kills.py", path)
    return path


@pytest.fixture(scope="module")
def machine(tmp_path_factory, source):
    """A machine that has booted and on which the packages are installed."""
    one = Machine(tmp_path_factory.mktemp("machine") / "home", source)
    try:
        one.boot()
        one.install("/src/libmcptally0.deb", "/src/mcptallyd.deb")
        until(one.active, "the service after it was installed")
        yield one
        print(one.run("journalctl", "--no-pager", "-u", "mcptallyd*", "-n", "300").stdout)
    finally:
        one.close()


@pytest.fixture
def service(machine):
    """The service as it was installed, started, without a configuration of its own."""
    machine.write("/etc/mcptally/mcptallyd.yaml", "start.ladder: false\n")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", "mcptallyd.service")
    yield machine
    machine.run("systemctl", "reset-failed")


class Producer:
    """killer.c, in the container."""

    def __init__(self, machine, number, seed):
        self.service = f"killer{number}"
        self.process = machine.start(
            "env", "LD_LIBRARY_PATH=/src", "/src/killer", "/run/mcptally/events.sock",
            self.service, str(seed))

    def finish(self):
        """Lets it end; returns its own totals."""
        output, _ = self.process.communicate("stop\n", timeout=120)
        assert self.process.returncode == 0, f"{self.service} has failed"
        return json.loads(output)


@pytest.fixture
def producers(machine):
    made = []

    def make(count, seed):
        made.extend(Producer(machine, i, seed + i) for i in range(count))
        return made

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
