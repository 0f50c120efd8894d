"""The commands that end: help, emit, status, metrics, bench; exit codes and errors."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from command import (BINARY, FAILURE, OK, PERMISSION, TIMEOUT, UNAVAILABLE, USAGE, at, emit,
                     environment, ok, run)
from conftest import BUILD, DEADLINE, ROOT, until

COMMANDS = re.findall(r"^    X\(([a-z]+),", (ROOT / "src/cli/cli.h").read_text(), re.M)
SERVICE = ("--service", "shop")
RECORDING = ROOT / "tests/data/server-everything.jsonl"


def options_of(command):
    return set(re.findall(r"^  .{4}--([a-z-]+)", ok(command, "--help"), re.M)) - {"help"}


# ---- without a daemon ----

def test_help_and_version():
    page = ok("--help")
    assert COMMANDS and all(re.search(rf"^  {c} ", page, re.M) for c in COMMANDS)
    assert ok("help") == page
    assert re.fullmatch(r"mcptally \d+\.\d+\.\d+\n", ok("--version"))
    bare = run()
    assert (bare.returncode, bare.stdout, bare.stderr) == (USAGE, "", page)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    page = ok(command, "--help")
    assert page.startswith(f"usage: mcptally {command}")
    assert ok("help", command) == page
    assert all(len(line) <= 100 for line in page.splitlines())


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"run", "replay"}))
def test_the_manual_has_every_option(command):
    page = (ROOT / "man/mcptally.1").read_text()
    if command in ("verify", "maintenance"):
        page += f".Ss {command}\n" + (ROOT / "man/mcptally-maintenance.1").read_text()
    part = page.split(f".Ss {command}\n")[1].split("\n.Ss ")[0] + page.split(".Ss ")[0]
    missing = {o for o in options_of(command) if not re.search(rf"Fl -{o}\b", part)}
    assert missing == set()


@pytest.mark.parametrize("line, hint", [
    ("statsu", "did you mean 'status'?"),
    ("frobnicate", "try 'mcptally --help'"),
    ("status --jsn", "did you mean '--json'?"),
    ("status now", "what is 'now'?"),
    ("status --timeout soon", "a duration"),
    ("tail --lines -1", "a whole number"),
    ("tail --severity loud", "no severity"),
    ("tail --trace xyz", "no trace id"),
    ("top --sort size", "no column"),
    ("top --interval 1ns", "out of range"),
    ("metrics --json --openmetrics", "exclude each other"),
    ("bench --kind nothing", "what is 'nothing'?"),
    ("emit", "nothing to emit"),
    ("emit timer x 1", "cannot be emitted"),
    ("emit counter x", "wants counter NAME VALUE"),
    ("emit counter x -1", "cannot go down"),
    ("emit gauge x hot", "not a number"),
    ("emit log loud message", "is not trace"),
    ("emit health db broken", "is not healthy"),
    ("emit histogram x 1 --buckets 2,1", "do not ascend"),
])
def test_wrong_usage(line, hint, shm):
    done = run(*line.split(), env={"MCPTALLY_RUNTIME_DIR": str(shm)})
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("mcptally: ") and hint in done.stderr


@pytest.mark.parametrize("line", ["status", "metrics", "metrics --json", "tail", "top --once",
                                  "emit counter x 1", "bench --seconds 1"])
def test_nobody_is_there(line, shm):
    done = run(*line.split(), "--runtime-dir", shm)
    assert (done.returncode, done.stdout) == (UNAVAILABLE, "")
    assert str(shm) in done.stderr


def test_completion(tmp_path):
    """The script offers commands, options and values, as a shell would ask it."""
    script = ROOT / "conf/completion/mcptally.bash"

    def complete(*words):
        line = " ".join(f"'{w}'" for w in words)
        asked = (f". {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _mcptally; "
                 'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True,
                              timeout=DEADLINE, cwd=tmp_path,
                              env=environment(PATH=f"{BUILD}:{os.environ['PATH']}"))
        assert done.stderr == ""
        return set(done.stdout.split())

    assert complete("mcptally", "") == {*COMMANDS, "help", "--help", "--version"}
    assert complete("mcptally", "st") == {"status"}
    for command in set(COMMANDS) - {"run", "replay"}:
        assert {f"--{o}" for o in options_of(command)} <= complete("mcptally", command, "--")
    assert complete("mcptally", "tail", "--severity", "w") == {"warn"}
    assert complete("mcptally", "emit", "") == {"counter", "gauge", "histogram", "summary", "event",
                                                "log", "health", "span", "-"}
    assert complete("mcptally", "emit", "health", "db", "u") == {"unhealthy", "unknown"}
    assert complete("mcptally", "maintenance", "") == {"daily", "weekly", "monthly"}
    (tmp_path / "somewhere").mkdir()
    assert complete("mcptally", "status", "--runtime-dir", "some") == {"somewhere"}


# ---- emit ----

def test_emit_metrics(daemon):
    for value in (1, 2):
        emit(daemon, "counter", "jobs", value, "queue=mail", *SERVICE)
    emit(daemon, "counter", "cost", "0.5", *SERVICE)
    emit(daemon, "counter", "cost", "1.0", *SERVICE)
    emit(daemon, "gauge", "temperature", -3.5, *SERVICE)
    for value in (0.05, 0.5, 5):
        emit(daemon, "histogram", "wait", value, "--buckets", "0.1,1", "--unit", "s", *SERVICE)
    emit(daemon, "summary", "size", 10, "--unit", "By", "--description", "Sizes.", *SERVICE)
    m = daemon.metrics()
    shop = ("service_name", "shop")
    assert m["jobs_total", (("queue", "mail"), shop)] == 3
    assert m["cost_total", (shop,)] == 1.5
    assert m["temperature", (shop,)] == -3.5
    assert m["wait_seconds_bucket", (("le", "0.1"), shop)] == 1
    assert m["wait_seconds_bucket", (("le", "1.0"), shop)] == 2
    assert m["wait_seconds_bucket", (("le", "+Inf"), shop)] == 3
    assert m["wait_seconds_sum", (shop,)] == 5.55
    assert m["size_bytes_count", (shop,)] == 1
    assert "# HELP size_bytes Sizes." in daemon.get("/metrics").text
    assert daemon.check_accounting()["applied"] == 9


def records(daemon, *filters):
    text = ok("tail", "--no-follow", "--all", "--json", *filters, *at(daemon))
    return [json.loads(line) for line in text.splitlines()]


def test_emit_what_is_no_metric(daemon):
    emit(daemon, "event", "cache.miss", "bytes=12", "tier=l2", "port:=8080", *SERVICE,
         "--correlation", "job-1")
    emit(daemon, "log", "warn", "disk is filling", "disk=sda")
    emit(daemon, "health", "db", "degraded", "slow")
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    emit(daemon, "span", "search", "250ms", "n=3", "kind=full", "--parent", parent, "--error",
         "timeout")
    event, log, health, span = sorted(records(daemon), key=lambda r: r["received"])
    assert (event["name"], event["service"]) == ("cache.miss", "shop")
    assert event["measurements"] == {"bytes": 12}
    assert event["attributes"] == {"tier": "l2", "port": "8080"}
    assert event["correlation_id"] == "job-1"
    assert (log["severity"], log["body"]) == ("warn", "disk is filling")
    assert log["attributes"] == {"disk": "sda"}
    assert (health["component"], health["state"], health["message"]) == ("db", "degraded", "slow")
    assert (span["name"], span["status"]) == ("search", "error")
    assert span["trace_id"] == parent[3:35] and span["parent_id"] == parent[36:52]
    assert span["duration_seconds"] == 0.25
    assert span["attributes"] == {"n": 3, "kind": "full", "error.type": "timeout"}
    assert daemon.check_accounting()["applied"] == 4


def test_emit_lines(daemon):
    lines = ["# a comment", "", "counter a 1 k='two words'", 'log info "it is done"']
    lines += [f"counter many{i % 400} 1 n={i % 7}" for i in range(3000)]
    emit(daemon, "-", *SERVICE, stdin="\n".join(lines))
    m = daemon.metrics()
    assert m["a_total", (("k", "two words"), ("service_name", "shop"))] == 1
    assert sum(v for (name, _), v in m.items() if name.startswith("many")) == 3000
    assert daemon.check_accounting()["received"] == 3002


def test_a_bad_line_does_not_stop_the_others(daemon):
    text = "counter a 1\ncounter a x\n'open\ncounter a 1 --socket /x\ncounter a 1\n"
    done = run("emit", "-", *at(daemon), stdin=text)
    assert done.returncode == USAGE
    assert [re.search(r"line (\d)", e)[1] for e in done.stderr.splitlines() if "line" in e] == [
        "2", "3", "4"]
    assert sum(v for (name, _), v in daemon.metrics().items() if name == "a_total") == 2


def test_emit_says_why_it_was_rejected(daemon):
    emit(daemon, "counter", "thing", 1)
    done = run("emit", "gauge", "thing", 1, *at(daemon))
    assert done.returncode == FAILURE and "conflict" in done.stderr
    done = run("emit", "counter", "mcptally_items_received", 1, *at(daemon))
    assert done.returncode == FAILURE and "reserved_name" in done.stderr
    accounting = daemon.check_accounting()
    assert accounting["dropped"]["conflict"] == 1
    assert accounting["dropped"]["reserved_name"] == 1


def test_emit_says_what_it_could_not_send(daemon):
    done = run("emit", "-", *at(daemon), stdin="counter a 1\ncounter a 1.5\ncounter b 1\n")
    assert done.returncode == FAILURE and "1 of 3 items" in done.stderr
    accounting = daemon.check_accounting()
    assert accounting["applied"] == 2
    assert daemon.status()["producer_lost"]["invalid"] == 1


def test_emit_does_not_wait_for_ever(daemon):
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        done = run("emit", "counter", "x", 1, "--timeout", "0.2", *at(daemon))
        assert (done.returncode, done.stdout) == (TIMEOUT, "") and "in time" in done.stderr
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_emit_without_waiting(daemon):
    emit(daemon, "counter", "x", 1, "--no-wait", *SERVICE)
    until(lambda: daemon.metrics().get(("x_total", (("service_name", "shop"),))) == 1, "the item")


def test_emit_finds_its_socket(daemon, tmp_path):
    env = {"MCPTALLY_SOCKET": daemon.socket}
    ok("emit", "counter", "x", 1, *SERVICE, env=env)
    ok("emit", "counter", "x", 1, *SERVICE, env={"MCPTALLY_RUNTIME_DIR": str(daemon.runtime)})
    (tmp_path / "xdg").mkdir()
    (tmp_path / "xdg/mcptally").symlink_to(daemon.runtime)
    ok("emit", "counter", "x", 1, *SERVICE, env={"XDG_RUNTIME_DIR": str(tmp_path / "xdg")})
    ok("emit", "counter", "x", 1, *SERVICE, "--socket", daemon.socket,
       env={"MCPTALLY_SOCKET": "/nowhere"})
    assert daemon.metrics()["x_total", (("service_name", "shop"),)] == 4


@pytest.mark.parametrize("where", [
    ("--runtime-dir", "{dir}"),
    ("--socket", "{socket}", "--runtime-dir", "/nowhere"),
    ("MCPTALLY_SOCKET={socket}", "MCPTALLY_RUNTIME_DIR=/nowhere"),
    ("MCPTALLY_RUNTIME_DIR={dir}", "XDG_RUNTIME_DIR=/nowhere"),
    ("MCPTALLY_SOCKET=/nowhere", "--runtime-dir", "{dir}"),
])
def test_replay_and_run_find_their_socket(daemon, where):
    where = [word.format(dir=daemon.runtime, socket=daemon.socket) for word in where]
    env = dict(word.split("=") for word in where if "=" in word)
    options = [word for word in where if "=" not in word]
    ok("replay", "--speed", 0, *options, RECORDING, env=env)
    assert run("run", "--name", "wrapped", *options, "true", env=env).returncode == OK
    until(lambda: ("mcptally_wrapper_starts_total", (("service_name", "wrapped"),))
          in daemon.metrics(), "the report of the wrapper")


def test_nobody_in_the_named_directory(daemon, shm):
    done = run("replay", RECORDING, "--speed", 0, "--runtime-dir", shm,
               env={"MCPTALLY_SOCKET": daemon.socket})
    assert done.returncode == UNAVAILABLE
    long = "/x" * 100
    assert run("replay", RECORDING, "--runtime-dir", long).returncode == USAGE
    assert run("run", "--runtime-dir", long, "true").returncode == USAGE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_not_allowed(daemon, tmp_path):
    binary = shutil.copy(BINARY, tmp_path / "mcptally")
    daemon.runtime.parent.parent.chmod(0o755)
    for part in (tmp_path, *tmp_path.parents):
        if str(part).startswith("/tmp/"):
            part.chmod(0o755)
    for words in (["emit", "counter", "x", "1"], ["status"], ["metrics"], ["top", "--once"],
                  ["tail", "--no-follow"]):
        done = subprocess.run([binary, *words, *at(daemon)], capture_output=True, text=True,
                              check=False, timeout=DEADLINE, user=65534, group=65534,
                              extra_groups=[], env=environment())
        assert (done.returncode, done.stdout) == (PERMISSION, ""), words
        assert "ermission" in done.stderr


# ---- status and metrics ----

def test_status(daemon):
    emit(daemon, "counter", "x", 1, *SERVICE)
    s = json.loads(ok("status", "--json", *at(daemon)))
    assert (s["running"], s["pid"]) == (True, daemon.pid)
    assert s["uptime_seconds"] >= 0
    assert re.fullmatch(r"127\.0\.0\.1:\d+", s["listen"]["metrics"])
    assert s["accounting"]["received"] == s["accounting"]["applied"] == 1
    page = ok("status", *at(daemon))
    assert f"pid {daemon.pid}" in page and s["listen"]["health"] in page
    assert "NOT BALANCE" not in page and page.count("balanced") >= 2


def test_status_of_a_killed_daemon(daemon):
    emit(daemon, "-", *SERVICE, stdin="counter x 1\n" * 100)
    before = json.loads(ok("status", "--json", *at(daemon)))
    daemon.kill()
    after = json.loads(ok("status", "--json", *at(daemon)))
    assert set(after) == set(before) - {"sampling", "active_checks", "recovery", "processes",
                                        "processes_hidden"}
    assert (after["running"], after["pid"], after["uptime_seconds"]) == (False, None, None)
    assert after["version"] == before["version"]
    assert after["accounting"] == before["accounting"]
    assert after["store"]["id"] == before["store"]["id"]
    page = ok("status", *at(daemon))
    assert "not running" in page and "NOT BALANCE" not in page
    daemon.start()
    assert daemon.check_accounting()["applied"] == 100


def samples(page):
    """The lines of a page that no scrape and no clock changes."""
    moving = ("process_", "mcptally_callback", "mcptally_http", "mcptally_scrape",
              "mcptally_connections", "mcptally_sessions", "mcptally_store_reserved",
              "mcptally_system_", "mcptally_observed_", "mcptally_state_filesystem_", "# ")
    return {line for line in page.splitlines() if not line.startswith(moving)}


def test_metrics(daemon):
    emit(daemon, "counter", "x", 5, "k=v", *SERVICE)
    emit(daemon, "histogram", "wait", 0.2, "--unit", "s", *SERVICE)
    page = ok("metrics", *at(daemon))
    assert samples(page) == samples(daemon.get("/metrics").text)
    assert 'x_total{k="v",service_name="shop"} 5' in page
    open_page = ok("metrics", "--openmetrics", *at(daemon))
    assert open_page.endswith("# EOF\n") and "x_created" in open_page
    rows = {m["family"]: m for m in json.loads(ok("metrics", "--json", *at(daemon)))["metrics"]}
    assert rows["x"]["kind"] == "counter"
    assert rows["x"]["series"] == [{"labels": {"k": "v", "service_name": "shop"}, "value": 5}]
    wait = rows["wait_seconds"]["series"][0]
    assert (wait["count"], wait["sum"]) == (1, 0.2)
    assert wait["buckets"][-1] == {"le": "+Inf", "count": 1}


def test_metrics_of_a_killed_daemon(daemon):
    emit(daemon, "-", *SERVICE, stdin="counter x 1 k=v\nhistogram wait 0.2 --unit s\n" * 50)
    page = ok("metrics", *at(daemon))
    daemon.kill()
    assert samples(ok("metrics", *at(daemon))) == samples(page)
    assert ok("metrics", "--openmetrics", *at(daemon)).endswith("# EOF\n")
    rows = {m["family"]: m for m in json.loads(ok("metrics", "--json", *at(daemon)))["metrics"]}
    assert rows["x"]["series"][0]["value"] == 50
    daemon.start()
    daemon.check_accounting()


def test_a_daemon_that_does_not_answer(daemon):
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        for command in ("status", "metrics"):
            done = run(command, "--timeout", "0.2", *at(daemon))
            assert (done.returncode, done.stdout) == (TIMEOUT, "")
        assert "received" in ok("top", "--once", *at(daemon))  # needs no answer
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_damaged_and_foreign_stores_are_refused(daemon):
    daemon.kill()
    good = daemon.store.read_bytes()[:1 << 16]
    for offset, what in ((0, "stored data fails its checks"), (8, "a version")):
        with open(daemon.store, "r+b") as store:
            store.seek(offset)
            store.write(b"\xff")
        for command in (["status"], ["metrics"], ["tail", "--no-follow"], ["top", "--once"]):
            done = run(*command, *at(daemon))
            assert (done.returncode, done.stdout) == (FAILURE, "")
            assert what in done.stderr
        with open(daemon.store, "r+b") as store:
            store.write(good)
    ok("status", *at(daemon))


@pytest.mark.parametrize("command", [["metrics"], ["status"], ["tail", "--all", "--no-follow"],
                                     ["tail", "--all"], ["top", "--once"]])
@pytest.mark.parametrize("heeds", [True, False])
def test_a_reader_that_leaves_is_no_error(daemon, command, heeds):
    """Whether SIGPIPE ends the program or is ignored, as some parents have it."""
    emit(daemon, "-", stdin="log info hello\n" * 3000)
    process = subprocess.Popen([BINARY, *command, *at(daemon)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment(), restore_signals=heeds)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(DEADLINE) in (OK, -signal.SIGPIPE)
    assert errors == b""


def test_a_full_disk_is_an_error(daemon):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, "metrics", *at(daemon)], stdout=full, text=True,
                              stderr=subprocess.PIPE, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (
        FAILURE, "mcptally: the output could not be written\n")


def test_an_answer_that_is_cut_off(shm):
    """A control socket that closes in the middle of a page."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(shm / "control.sock"))
    listener.listen()
    process = subprocess.Popen([BINARY, "metrics", "--runtime-dir", str(shm)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peer = listener.accept()[0]
    assert json.loads(peer.makefile().readline())["cmd"] == "metrics"
    peer.sendall(b'{"type":"text/plain","length":100}\nx_total 1\n')
    peer.close()
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (FAILURE, "") and "not whole" in err
    listener.close()


# ---- bench ----

@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "event", "span", "mixed"])
def test_bench(daemon, kind):
    result = json.loads(ok("bench", "--kind", kind, "--items", 5000, "--producers", 2, "--json",
                           *at(daemon)))
    assert result["emitted"] == result["acknowledged"] == 10000
    assert result["rejected"] == result["lost"] == 0
    account = daemon.check_accounting()
    # One domain's share of the traces that are held is less than this many.
    sampled = account["dropped"].get("sampled", 0) if kind in ("span", "mixed") else 0
    assert account["applied"] + sampled == 10000
    if kind == "counter":
        assert sum(v for (name, _), v in daemon.metrics().items()
                   if name == "mcptally_bench_items_total") == 10000


def test_bench_as_text(daemon):
    page = ok("bench", "--seconds", "0.2", *at(daemon))
    assert re.search(r"acknowledged +[1-9]\d* in [\d.]+ s", page)
    daemon.check_accounting()
