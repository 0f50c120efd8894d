"""The audit log: who did what, that nothing can be taken out unseen, and that acts outlive
kills, rotation and a disk that fails."""

import json
import os
import subprocess

import pytest

from command import BINARY, FAILURE, Follower, at, environment, ok, run
from conftest import DEADLINE, until
from destinations import helpers


def path(daemon):
    return daemon.state / "audit.log"


def records(daemon):
    return [json.loads(line) for line in path(daemon).read_text().splitlines()]


def acts(daemon):
    return [(r["what"], r["object"], r["outcome"]) for r in records(daemon)]


def wait_for(daemon, what, n=1):
    until(lambda: path(daemon).exists() and
          sum(r["what"] == what for r in records(daemon)) >= n, f"{n} times {what}")


def set_rate(daemon, tier="debug", rate="5%"):
    ok("sampling", "set", tier, rate, *at(daemon))


def verify(daemon):
    return run("audit", "--verify", "--state-dir", daemon.state, *at(daemon))


def test_every_act_with_its_outcome(new_daemon, tmp_path):
    one = new_daemon()
    one.config = tmp_path / "config.yaml"
    one.config.write_text("{}\n")
    one.start()
    set_rate(one)
    run("sampling", "reset", "debug", *at(one))
    one.reload()
    one.config.write_text("stor: 1\n")
    one.reload()
    refused = run("reload", *at(one))
    assert refused.returncode == FAILURE and "stays as it was" in refused.stderr
    one.config.write_text("{}\n")
    ok("reload", *at(one))
    one.stop()
    stays = "the configuration stays as it was"
    file = str(one.config)
    found = acts(one)
    assert found[0][0] == "start" and found[0][2] == "done"
    assert found[1:] == [
        ("sampling.set", "debug 5%", "done"), ("sampling.reset", "debug", "done"),
        ("reload", file, "done"), ("reload", file, stays),
        ("reload", "", stays + "; the log says why"), ("reload", "", "done"),
        ("stop", "SIGTERM", "begun")]
    assert path(one).stat().st_mode & 0o777 == 0o640
    assert [r["seq"] for r in records(one)] == list(range(1, 9))


def test_who_it_was(daemon):
    set_rate(daemon)
    wait_for(daemon, "sampling.set")
    start, act = records(daemon)
    assert start["who"]["daemon"] and start["who"]["pid"] == daemon.pid
    assert "daemon" not in act["who"]
    assert act["who"]["uid"] == os.geteuid() and act["who"]["pid"] > 1
    assert act["who"].get("exe") == BINARY or act["who"].get("comm") == "mcptally"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_not_is_refused_and_written_down(new_daemon):
    one = new_daemon()
    one.options |= {"control.mode": "0666", "control.admin_uids": "4242"}
    one.start()
    one.runtime.chmod(0o755)
    one.runtime.parent.parent.chmod(0o755)

    # The sampling command of another user, as a short program of the same protocol.
    program = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
               "s.sendall(sys.argv[2].encode()+b'\\n'); print(s.recv(4096).decode())")

    def ask_as(uid, request):
        done = subprocess.run(["/usr/bin/python3", "-c", program, one.control, json.dumps(request)],
                              user=uid, group=uid, extra_groups=[], text=True, cwd="/",
                              capture_output=True, timeout=DEADLINE, check=True)
        return json.loads(done.stdout)

    change = {"cmd": "sampling.set", "tier": "debug", "rate": 0.5}
    assert "not allowed" in ask_as(65534, change)["error"]
    assert ask_as(65534, {"cmd": "sampling"})["tiers"]["debug"]["set"] is None
    assert ask_as(4242, change)["tiers"]["debug"]["set"] == 0.5
    wait_for(one, "sampling.set", 2)
    refused, done = [r for r in records(one) if r["what"] == "sampling.set"]
    assert (refused["who"]["uid"], refused["outcome"]) == (65534, "refused")
    assert (done["who"]["uid"], done["outcome"]) == (4242, "done")
    assert one.metrics()[("mcptally_control_refused_total", ())] == 1


def test_a_store_that_is_set_aside(daemon):
    daemon.kill()
    daemon.store.write_bytes(b"x" * 65536)
    daemon.start()
    wait_for(daemon, "store.set_aside")
    assert ("store.set_aside", str(daemon.store), "done") in acts(daemon)


# ---- the chain ----

def test_a_whole_chain_over_restarts_and_kills(daemon):
    for turn in range(4):
        for _ in range(5):
            set_rate(daemon)
        wait_for(daemon, "sampling.set", 5 * (turn + 1))
        daemon.kill()
        daemon.start()
    daemon.stop()
    done = verify(daemon)
    assert (done.returncode, done.stdout) == (0, "26 records in 1 files: nothing is missing\n")


def test_kills_in_the_middle_of_acts(daemon):
    """The helper of a daemon that was killed may still write: the next one goes on from there."""
    for _ in range(5):
        clients = [subprocess.Popen([BINARY, "sampling", "set", "debug", "1%", *at(daemon)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    env=environment()) for _ in range(8)]
        clients[0].wait(DEADLINE)
        daemon.kill()
        daemon.start()
        for client in clients:
            client.wait(DEADLINE)
    daemon.stop()
    done = verify(daemon)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def written(daemon):
    for tier in ("debug", "normal", "debug", "normal"):
        set_rate(daemon, tier)
    wait_for(daemon, "sampling.set", 4)
    assert verify(daemon).returncode == 0
    return daemon


def change_lines(daemon, change):
    lines = path(daemon).read_text().splitlines(keepends=True)
    change(lines)
    path(daemon).write_text("".join(lines))


def test_a_line_that_is_gone(written):
    change_lines(written, lambda lines: lines.pop(2))
    done = verify(written)
    assert done.returncode == FAILURE
    assert f"{path(written)}:3: what was before this record is missing" in done.stderr


def test_a_line_that_was_changed(written):
    def change(lines):
        lines[2] = lines[2].replace("normal 5%", "normal 6%")

    change_lines(written, change)
    assert f"{path(written)}:4: what was before" in verify(written).stderr


def test_an_end_that_is_gone(written):
    change_lines(written, lambda lines: lines.pop())
    done = verify(written)
    assert done.returncode == FAILURE
    assert "ends at record 4, but the daemon has written 5" in done.stderr


def test_a_line_of_something_else(written):
    change_lines(written, lambda lines: lines.insert(1, "hello\n"))
    done = verify(written)
    assert done.returncode == FAILURE and ":2: no record" in done.stderr


def test_the_chain_goes_on_after_rotation(written):
    """Also when the daemon was not there while its file was renamed."""
    written.stop()
    path(written).rename(str(path(written)) + ".1")
    path(written).touch()
    written.start()
    wait_for(written, "start")
    assert records(written)[0]["seq"] == 7
    subprocess.run(["gzip", str(path(written)) + ".1"], check=True)
    assert verify(written).stdout == "7 records in 2 files: nothing is missing\n"
    os.unlink(str(path(written)) + ".1.gz")
    assert "since record 7, the oldest that is kept" in verify(written).stdout


def test_the_chain_goes_on_after_a_bound(written):
    """Also when nothing could be written any more to the file that took its place."""
    written.stop()
    path(written).rename(str(path(written)) + ".old")
    path(written).touch()
    written.start()
    wait_for(written, "start")
    assert records(written)[0]["seq"] == 7
    assert verify(written).stdout == "7 records in 2 files: nothing is missing\n"


# ---- reading ----

def test_what_is_shown(written):
    lines = ok("audit", *at(written)).splitlines()
    assert len(lines) == 5
    assert lines[0].endswith(": done") and "(daemon)  start mcptallyd" in lines[0]
    assert "sampling.set normal 5%: done" in lines[2]
    assert len(ok("audit", "--what", "sampling.*", *at(written)).splitlines()) == 4
    assert ok("audit", "--json", *at(written)) == path(written).read_text()
    assert ok("audit", "--since", "1h", *at(written)).splitlines() == lines
    assert ok("audit", "--since", "2200-01-01", *at(written)) == ""
    third = records(written)[2]["time"]
    assert ok("audit", "--since", third, *at(written)).splitlines() == lines[2:]
    assert run("audit", "--since", "yesterday", *at(written)).returncode == 64
    written.stop()
    assert len(ok("audit", "--state-dir", written.state).splitlines()) == 6


def test_nothing_in_a_record_steers_the_terminal(written):
    def change(lines):
        lines[1] = lines[1].replace("debug 5%", "\\u001b[2J\\nx")

    change_lines(written, change)
    assert "\x1b" not in ok("audit", "--state-dir", written.state)


def test_following_over_a_rotation(daemon):
    wait_for(daemon, "start")
    with Follower("audit", "--follow", *at(daemon)) as audit:
        assert " start " in audit.line()
        set_rate(daemon)
        assert "sampling.set debug 5%" in audit.line()
        path(daemon).rename(str(path(daemon)) + ".1")
        set_rate(daemon, rate="7%")
        assert "sampling.set debug 7%" in audit.line()


# ---- when it cannot be written ----

def test_a_file_that_cannot_be_written(new_daemon):
    """Warned of in health, said once in the log, acts there all the same, and none is lost."""
    one = new_daemon()
    one.state = one.state / "state"
    one.state.write_text("no directory")
    one.start()
    for _ in range(10):
        set_rate(one)

    def check():
        found = one.get("/health/detailed", "health").json()["checks"]
        return next(c for c in found if c["name"] == "audit")["status"]

    until(lambda: check() == "warn", "the warning")
    assert one.get("/health/ready", "health").status == 200
    until(lambda: one.metrics()[("mcptally_audit_failures_total", ())] > 0, "the count")
    assert one.log().count('"what":"sampling.set"') == 10
    assert one.log().count("cannot be written") == 1
    one.state.unlink()
    wait_for(one, "sampling.set", 10)
    until(lambda: check() == "pass", "the end of the warning")
    assert one.log().count("is written again") == 1
    assert verify(one).stdout == "11 records in 1 files: nothing is missing\n"


def test_a_helper_that_dies(daemon):
    """What it had been given is written, once."""
    for _ in range(3):
        for pid in helpers(daemon.pid):
            os.kill(pid, 9)
        for _ in range(5):
            set_rate(daemon)
    wait_for(daemon, "sampling.set", 15)
    assert verify(daemon).returncode == 0
    assert [r["seq"] for r in records(daemon)] == list(range(1, 17))
