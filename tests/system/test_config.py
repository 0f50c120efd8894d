"""The configuration as the operator meets it: the committed pages, --check, -o, exit statuses."""

import re
import subprocess

import pytest
import yaml

from conftest import BUILD, DEADLINE, ROOT

MCPTALLYD = BUILD / "mcptallyd"


def run(*arguments):
    return subprocess.run([MCPTALLYD, *arguments], capture_output=True, text=True,
                          timeout=DEADLINE, check=False)


def printed(what):
    done = run("--print", what)
    assert done.returncode == 0 and not done.stderr
    return done.stdout


def uncommented(sample):
    return re.sub(r"(?m)^( *)#([a-z_]+: )", r"\1\2", sample)


def test_sample_is_the_committed_file():
    assert printed("sample") == (ROOT / "conf/mcptallyd.yaml").read_text(), \
        "write conf/mcptallyd.yaml anew with: mcptallyd --print sample"


def test_manual_has_the_keys():
    page = (ROOT / "man/mcptallyd.yaml.5").read_text()
    assert printed("keys") in page, \
        "replace section KEYS of man/mcptallyd.yaml.5 with: mcptallyd --print keys"


def test_sample_is_good_and_has_every_key(tmp_path):
    file = tmp_path / "all.yaml"
    file.write_text(uncommented(printed("sample")))
    assert run("--check", "--config", file).returncode == 0
    tree = yaml.safe_load(file.read_text())
    keys = {f"{section}.{key}" for section, value in tree.items() if isinstance(value, dict)
            for key in value} | {k for k, v in tree.items() if not isinstance(v, dict)}
    assert keys == set(re.findall(r"^\.It Ic (.*)$", printed("keys"), re.M))


def test_check_prints_what_is_bounded(tmp_path):
    done = run("--check", "--config", "/dev/null", "-o", "store.size=128MiB")
    assert done.returncode == 0 and not done.stderr
    lines = dict(re.findall(r"^(.+?) +(\d+\.\d) MiB", done.stdout, re.M))
    assert lines["store"] == "128.0"
    items = [float(mib) for name, mib in lines.items() if name != "at most"]
    assert float(lines["at most"]) == pytest.approx(sum(items), abs=0.1 * len(items))
    assert not list(tmp_path.iterdir())


def test_check_names_every_fault(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("listen:\n  metrcs: 127.0.0.1:9090\nstore: {size: 8MB}\n")
    done = run("--check", "--config", file, "-o", "health.interval=soon")
    assert done.returncode == 78
    assert done.stdout == ""
    first, second, third = done.stderr.splitlines()
    assert first == f"{file}:2:3: listen.metrcs: unknown key; did you mean listen.metrics?"
    assert second.startswith(f"{file}:3:15: store.size: expected a size")
    assert third.startswith("-o health.interval: expected a duration")


def test_missing_file_is_a_fault(tmp_path):
    done = run("--check", "--config", tmp_path / "none.yaml")
    assert done.returncode == 78
    assert "none.yaml: cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize("arguments", [("--nonsense",), ("extra",), ("-o",), ("--print", "poem")])
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 64
    assert "usage: mcptallyd" in done.stderr


def test_version_and_help():
    assert re.fullmatch(r"mcptallyd \d+\.\d+\.\d+\n", run("--version").stdout)
    assert "usage: mcptallyd" in run("--help").stdout


def test_rules_that_are_shipped():
    files = sorted((ROOT / "conf/rules").glob("*.yaml"))
    assert files
    done = run("--check", "--config", "/dev/null",
               "-o", "rules_files=" + ",".join(str(f) for f in files))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^rules .*\(\d+ of", done.stdout, re.M)
