"""make install, uninstall and dist: what a packager and a program's author rely on."""

import os
import re
import shutil
import subprocess
import tarfile

import pytest

from conftest import BUILD, ROOT

PROGRAM = """\
#include <mcptally.h>
#include <stdio.h>

int main(void)
{
    mcptally *m = mcptally_open(NULL);
    mcptally_metric *jobs = mcptally_counter(m, "jobs", NULL, "Jobs done.");
    mcptally_add(mcptally_with(jobs, NULL), 1);
    mcptally_close(m, 0);
    puts(MCPTALLY_VERSION);
    return m ? 0 : 1;
}
"""


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, timeout=120,
                          capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(*arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    line = [f"SAN={os.environ.get('SAN', '')}"]
    if os.environ.get("CC"):
        line.append(f"CC={os.environ['CC']}")
    return run("make", "-C", ROOT, *line, *arguments, env=env)


def tree(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


@pytest.fixture
def staged(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "prefix=/usr", "sysconfdir=/etc")
    return tmp_path


def test_everything_is_installed_and_removed(staged):
    files = tree(staged)
    expected = {"usr/sbin/mcptallyd", "usr/bin/mcptally", "usr/include/mcptally.h",
                "usr/lib/libmcptally.so.0.1.0", "usr/lib/libmcptally.so.0",
                "usr/lib/libmcptally.so", "usr/lib/libmcptally.a", "usr/lib/pkgconfig/mcptally.pc",
                "usr/share/bash-completion/completions/mcptally",
                "etc/mcptally/mcptallyd.yaml"}
    expected |= {f"usr/share/man/man{page.suffix[1:]}/{page.name}"
                 for page in (ROOT / "man").glob("*.[1-8]")}
    expected |= {f"usr/lib/systemd/system/mcptallyd.{kind}" for kind in ("service", "socket")}
    expected |= {f"usr/lib/{kind}.d/mcptally.conf" for kind in ("sysusers", "tmpfiles")}
    expected |= {f"usr/share/mcptally/{rules.relative_to(ROOT / 'conf')}"
                 for rules in (ROOT / "conf").rglob("*.yaml")}
    assert expected <= files, expected - files
    for link, target in ((".0", ".0.1.0"), ("", ".0")):
        assert os.readlink(staged / f"usr/lib/libmcptally.so{link}") == f"libmcptally.so{target}"
    make("uninstall", f"DESTDIR={staged}", "prefix=/usr", "sysconfdir=/etc")
    assert tree(staged) == set()


def test_a_configuration_that_is_there_stays(staged):
    own = staged / "etc/mcptally/mcptallyd.yaml"
    own.write_text("log.level: debug\n")
    for what in ("install", "uninstall"):
        make(what, f"DESTDIR={staged}", "prefix=/usr", "sysconfdir=/etc")
        assert own.read_text() == "log.level: debug\n"


def as_debian_has_it(text):
    """The lines that name a directory of ours where a package of Debian has it."""
    return [line for line in text.splitlines()
            if re.search(r"(?<!\w)/(usr/(s?bin|share)/mcptally|etc/(mcptally|logrotate))", line)]


def test_installed_elsewhere_it_is_whole():
    """Under a prefix of one's own: what is installed agrees on where the configuration is."""
    prefix = BUILD / "elsewhere"  # not a new one each time: a daemon is made for it
    shutil.rmtree(prefix, ignore_errors=True)
    before = (BUILD / "mcptallyd").stat().st_mtime_ns
    make("install", f"prefix={prefix}")
    own = prefix / "etc/mcptally/mcptallyd.yaml"
    assert str(own) in run(prefix / "sbin/mcptallyd", "--help")
    run(prefix / "sbin/mcptallyd", "--check")
    own.write_text("stor.size: 1\n")
    done = subprocess.run([prefix / "sbin/mcptallyd", "--check"], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr.split(": ")[0]) == (78, f"{own}:1:1")
    units = prefix / "lib/systemd"
    unit = (units / "system/mcptallyd.service").read_text()
    assert f"\nExecStart={prefix}/sbin/mcptallyd\n" in unit
    assert f"\nSourcePath={own}\n" in unit
    node = (units / "system/mcptallyd@.service").read_text()
    assert f"/sbin/mcptallyd --config {own.parent}/%i.yaml\n" in node
    named = (line for path in (*units.rglob("*"), *prefix.glob("share/man/*/*"))
             if path.is_file() for line in as_debian_has_it(path.read_text()))
    assert list(named) == []
    env = {k: v for k, v in os.environ.items() if k != "MCPTALLY_CONFIG_DIR"}
    own.write_text("listen.metrics: 127.0.0.1:1\nchecks:\n  - {}\n")
    run(units / "system-generators/mcptallyd-generator", prefix / "out", env=env)
    assert (prefix / "out/mcptallyd.service.d/50-network.conf").exists()
    # The tests beside this one go on with theirs.
    assert (BUILD / "mcptallyd").stat().st_mtime_ns == before


def test_installed_programs_run(staged):
    for program in ("usr/sbin/mcptallyd", "usr/bin/mcptally"):
        assert "0.1.0" in run(staged / program, "--version")
    run(staged / "usr/sbin/mcptallyd", "--check", "--config", os.devnull)


@pytest.mark.skipif(bool(os.environ.get("SAN")), reason="needs the sanitizers' own runtime first")
@pytest.mark.parametrize("compiler, language", [("gcc", "c"), ("g++", "c++"), ("clang", "c")])
@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_program_builds_against_it(staged, tmp_path, compiler, language, kind):
    source = tmp_path / "program.c"
    source.write_text(PROGRAM)
    env = {**os.environ, "PKG_CONFIG_PATH": str(staged / "usr/lib/pkgconfig"),
           "PKG_CONFIG_SYSROOT_DIR": str(staged), "PKG_CONFIG_LIBDIR": ""}
    flags = run("pkg-config", "--cflags", "--libs", *(["--static"] if kind == "static" else []),
                "mcptally", env=env).split()
    if kind == "static":
        flags = [str(staged / "usr/lib/libmcptally.a") if f == "-lmcptally" else f for f in flags]
    run(compiler, "-Wall", "-Wextra", "-Werror", "-x", language, source, "-x", "none", "-o",
        tmp_path / "program", *flags)
    silent = {"LD_LIBRARY_PATH": str(staged / "usr/lib"), "MCPTALLY_SOCKET": str(tmp_path / "none")}
    assert run(tmp_path / "program", env=silent) == "0.1.0\n"


def test_library_shows_only_its_own_names(staged):
    """What a host program links must not clash with the host's names."""
    for line in (["nm", "-D", "--defined-only", staged / "usr/lib/libmcptally.so"],
                 ["nm", "-g", "--defined-only", staged / "usr/lib/libmcptally.a"]):
        names = [row.split()[-1] for row in run(*line).splitlines() if len(row.split()) == 3]
        assert "mcptally_open" in names
        assert [n for n in names if not n.startswith("mcptally_")] == []


def test_dist_holds_the_whole_tree():
    make("dist")
    with tarfile.open(ROOT / "build/mcptally-0.1.0.tar.xz") as tar:
        names = {m.name.removeprefix("mcptally-0.1.0/") for m in tar.getmembers() if m.isfile()}
    assert {"Makefile", "configure.ac", "src/daemon/main.c", "COPYING", "README"} <= names
    assert not any(n.startswith("build/") for n in names)
    if (ROOT / ".git").exists():
        assert names == set(run("git", "-C", ROOT, "ls-files").splitlines())


@pytest.mark.parametrize("source, made", [("tests/fault/fault.c", "tests/fault/libfault.so"),
                                          ("tests/system/host.c", "tests/system/host")])
def test_what_tests_run_is_as_new_as_its_source(source, made):
    """`make` alone makes it anew when it is there; else a test would run what it was before."""
    assert (BUILD / made).exists()
    commands = make("--dry-run", f"--what-if={source}", "all")
    assert f"-o {(BUILD / made).relative_to(ROOT)} " in commands
