"""The daemon's own log: its forms, rotation under load, the journal, readers that do not read,
storms, and that no secret is in it."""

import array
import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from command import at, ok, run
from conftest import DEADLINE, until
from destinations import children, helpers


def ask(daemon, request):
    """One request to the control socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        s.connect(daemon.control)
        s.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return json.loads(answer)


def set_rate(daemon, n):
    """An act that is one line of the log, told apart by n."""
    assert "error" not in ask(daemon, {"cmd": "sampling.set", "tier": "debug", "rate": n / 1e5})


def label(n):
    return f"debug {n / 1e3:g}%"


def text_of(path):
    """Of a file that may be about to be renamed, or made."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def objects(*paths):
    lines = [json.loads(line) for path in paths
             for line in path.read_text().splitlines() if line]
    return [line["fields"]["object"] for line in lines
            if line.get("fields", {}).get("what") == "sampling.set"]


def counter(daemon, name, **labels):
    return daemon.metrics()[(name, tuple(sorted(labels.items())))]


def log_check(daemon):
    checks = daemon.get("/health/detailed", "health").json()["checks"]
    return checks["log"][0] if isinstance(checks, dict) else next(
        c for c in checks if c["name"] == "log")


# ---- forms ----

def test_json_lines(daemon):
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    assert lines
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
        assert line["level"] in ("error", "warning", "info", "debug")
        assert line["component"] and line["message"]
    assert any(line["message"].endswith("new") for line in lines if line["component"] == "store")


def test_plain_text(new_daemon):
    one = new_daemon()
    one.options["log.format"] = "plain"
    one.start()
    assert all(re.match(r"mcptallyd: (info|warning): [a-z_]+: ", line)
               for line in one.log().splitlines())


def test_a_form_may_change_at_a_reload(new_daemon, tmp_path):
    one = new_daemon()
    one.config = tmp_path / "config.yaml"
    one.config.write_text("log:\n  format: plain\n")
    one.start()
    file = tmp_path / "late.log"
    one.config.write_text(f"log:\n  file: {file}\n")
    one.reload()
    until(lambda: file.exists() and "read again" in file.read_text(), "the new file")
    assert "read again" not in one.log()


def test_a_relative_file_is_a_fault(new_daemon):
    one = new_daemon()
    one.options["log.file"] = "mcptally.log"
    assert one.spawn().process.wait(DEADLINE) == 78
    assert "expected an absolute path" in one.log()


def test_a_start_that_fails_says_why_on_stderr(new_daemon, tmp_path):
    first, second = new_daemon("a").start(), new_daemon("b")
    second.options |= {"socket.path": first.socket, "log.file": str(tmp_path / "b-file.log")}
    assert second.spawn().process.wait(DEADLINE) == 75
    assert "another process listens there" in second.log()
    assert "another process listens there" in (tmp_path / "b-file.log").read_text()


def test_a_stderr_that_is_closed(new_daemon):
    """Its number is nobody else's: no line goes into the store or to a peer."""
    one = new_daemon()
    one.binary, binary = "/bin/sh", one.binary
    command = one.command
    one.command = lambda: ["/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", str(binary),
                           *command()[1:]]
    one.start()
    set_rate(one, 1)
    assert os.readlink(f"/proc/{one.pid}/fd/2") == "/dev/null"
    one.check_accounting()
    assert one.stop() == 0


# ---- the file ----

@pytest.fixture
def filed(new_daemon, tmp_path):
    one = new_daemon()
    one.options |= {"log.file": str(tmp_path / "mcptally.log"), "log.burst": "0"}
    one.file = tmp_path / "mcptally.log"
    return one


def test_a_file_with_its_mode(filed):
    filed.start()
    until(lambda: "serves" in text_of(filed.file), "the first lines")
    assert filed.file.stat().st_mode & 0o777 == 0o640
    assert filed.log() == ""
    filed.stop()
    last = json.loads(text_of(filed.file).splitlines()[-1])
    assert last["message"] == "stopping"


def test_rotation_under_load_loses_no_line(filed):
    """Renamed and opened again while lines come as fast as they can: each is in one file, once."""
    filed.start()
    total, enough = 0, threading.Event()

    def load():
        nonlocal total
        while not enough.is_set():
            set_rate(filed, total + 1)
            total += 1

    thread = threading.Thread(target=load)
    thread.start()
    old = []
    for i in range(6):
        until(lambda: filed.file.exists() and filed.file.stat().st_size > 3000, "some lines")
        old.append(filed.file.with_suffix(f".{i}"))
        filed.file.rename(old[-1])
        filed.process.send_signal(signal.SIGUSR1)
        for pid in children(filed.pid) + helpers(filed.pid):  # as systemctl kill does
            os.kill(pid, signal.SIGUSR1)
        until(filed.file.exists, "a new file")
    enough.set()
    thread.join(DEADLINE)
    filed.stop()
    assert objects(*old, filed.file) == [label(n) for n in range(1, total + 1)]
    assert total > 0


def test_a_file_that_was_removed_comes_back(filed):
    filed.start()
    until(filed.file.exists, "the file")
    filed.file.unlink()
    set_rate(filed, 1)
    until(lambda: label(1) in text_of(filed.file), "the line")


def test_without_rotation_a_file_has_a_bound(filed):
    filed.options["log.file_bytes"] = "5000"
    filed.start()
    old = filed.file.with_name(filed.file.name + ".old")
    until(filed.file.exists, "the file")
    for n in range(1, 101):
        set_rate(filed, n)
        until(lambda: f'"{label(n)}"' in text_of(filed.file), "the line", every=0.001)
    assert filed.file.stat().st_size <= 5000 and old.stat().st_size <= 5000
    assert objects(old, filed.file)[-1] == label(100)


@pytest.mark.skipif(not shutil.which("logrotate") or os.geteuid() != 0, reason="needs logrotate")
def test_the_shipped_logrotate_file(filed, tmp_path):
    """The rules of the file as they are shipped, for the paths and the process of this test."""
    from conftest import ROOT
    filed.start()
    until(filed.file.exists, "the file")
    rules = (ROOT / "conf" / "logrotate").read_text()
    rules = re.sub(r"^/var/lib.*\{$", f"{filed.file} {filed.state}/audit.log {{", rules, flags=re.M)
    rules = rules.replace("su mcptally mcptally", "su root root")
    rules = rules.replace("create 0640 mcptally mcptally", "create 0640 root root")
    rules = rules.replace("size 10M", "size 1k")
    rules = re.sub(r"\$\(systemctl[^)]*\)", str(filed.pid), rules)
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "rules").chmod(0o644)
    for turn in range(7):
        for n in range(1, 21):
            set_rate(filed, 100 * turn + n)
        until(lambda: label(100 * turn + 20) in text_of(filed.file), "the lines")
        done = subprocess.run(["logrotate", "-s", tmp_path / "state", tmp_path / "rules"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    names = {p.name for p in tmp_path.iterdir() if p.name.startswith("mcptally.log")}
    assert names == {"mcptally.log", "mcptally.log.1"} | {f"mcptally.log.{i}.gz"
                                                          for i in range(2, 6)}
    assert "nothing is missing since record" in ok("audit", "--verify", *at(filed))


# ---- when it fails ----

def test_a_file_that_cannot_be_written(filed, tmp_path):
    """Plain lines on stderr, said once; a warning in health; and it comes back by itself."""
    filed.file = tmp_path / "logs" / "x.log"
    filed.options["log.file"] = str(filed.file)
    filed.start()
    until(lambda: "cannot be written" in filed.log(), "the fallback")
    for n in range(1, 6):
        set_rate(filed, n)
    until(lambda: label(5) in filed.log(), "lines on stderr")
    assert "mcptallyd: info: audit: sampling.set" in filed.log()
    until(lambda: log_check(filed)["status"] == "warn", "the warning")
    filed.file.parent.mkdir()
    until(lambda: "is written again" in text_of(filed.file), "the file")
    until(lambda: log_check(filed)["status"] == "pass", "the end of the warning")
    set_rate(filed, 6)
    until(lambda: label(6) in text_of(filed.file), "a line in the file")
    assert label(6) not in filed.log()
    assert filed.log().count("cannot be written") == 1
    until(lambda: counter(filed, "mcptally_log_fallbacks_total") == 1, "the count")


@pytest.fixture
def ballast(filed, tmp_path):
    """What fills the disk of the log of a daemon that runs; without it there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk],
                      check=False).returncode != 0:
        pytest.skip("no mount here")
    try:
        filed.file = disk / "x.log"
        filed.options["log.file"] = str(filed.file)
        filed.start()
        until(lambda: "serves" in text_of(filed.file), "the first lines")
        full = disk / "ballast"
        with pytest.raises(OSError):
            full.write_bytes(b"x" * 65536)
        yield full
    finally:
        filed.stop()
        until(lambda: subprocess.run(["umount", disk], stderr=subprocess.DEVNULL,
                                     check=False).returncode == 0, "the helper's end")


def test_a_disk_that_is_full(filed, ballast):
    # The last page has some room, so that a line may fit now and then.
    n = 0
    while "no space is left" not in filed.log() or n < 100:
        n += 1
        set_rate(filed, n)
    ballast.unlink()

    def one_more():
        nonlocal n
        n += 1
        set_rate(filed, n)
        return n

    until(lambda: label(one_more()) not in filed.log(), "the end of the fallback", every=0.2)
    until(lambda: label(n) in text_of(filed.file), "a line in the file")
    for line in text_of(filed.file).splitlines():
        json.loads(line)  # none was cut
    shown = re.findall(r'object="(debug [^"]*%)"', filed.log())
    assert sorted(objects(filed.file) + shown) == sorted(label(k) for k in range(1, n + 1))


def test_lines_that_wait_for_a_slow_disk_that_is_full(filed, ballast):
    """More than the disk takes even when there is room again, behind one that fails."""
    with pytest.raises(OSError), open(filed.file, "ab", buffering=0) as file:
        while True:  # the rest of its last page
            file.write(b"\n")
    stopped = helpers(filed.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    for n in range(1, 601):
        set_rate(filed, n)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    until(lambda: "no space is left" in filed.log(), "the fallback")
    ballast.unlink()
    until(lambda: "is written again" in text_of(filed.file), "the end of the fallback")
    shown = re.findall(r'object="(debug [^"]*%)"', filed.log())
    assert sorted(objects(filed.file) + shown) == sorted(label(k) for k in range(1, 601))


def test_a_reader_that_does_not_read(new_daemon):
    """stderr is a full pipe: the daemon goes on, counts what it gives up, and says so later."""
    one = new_daemon()
    one.options |= {"log.burst": "0", "log.format": "json"}
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    original = subprocess.Popen

    def popen(*arguments, **more):
        return original(*arguments, **{**more, "stderr": writer})

    subprocess.Popen = popen
    try:
        one.start()
    finally:
        subprocess.Popen = original
    for n in range(1, 2501):
        set_rate(one, n)
    assert one.get("/health/live", "health").status == 200
    until(lambda: counter(one, "mcptally_log_lost_total") > 0, "lines that are given up")
    text = b""

    def drain():
        nonlocal text
        while select.select([reader], [], [], 0)[0]:
            text += os.read(reader, 65536)
        return b"lines were given up" in text

    until(drain, "the end of what was kept")
    lines = [json.loads(line) for line in text.decode().splitlines()]
    shown = [line["fields"]["object"] for line in lines
             if line.get("fields", {}).get("what") == "sampling.set"]
    told = sum(int(line["message"].split()[0]) for line in lines
               if "lines were given up" in line["message"])
    assert shown == [label(n) for n in range(1, len(shown) + 1)]
    assert len(shown) + told == 2500
    assert one.stop() == 0
    os.close(reader)
    os.close(writer)


def test_a_storm_is_held_back_and_counted(daemon):
    for n in range(1, 101):
        set_rate(daemon, n)
    until(lambda: "held back" in daemon.log(), "the end of the window")
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    told = [line for line in lines if "held back" in line["message"]]
    written = [line for line in lines if line["component"] == "audit" and "held" not in
               line["message"]]
    assert len(told) == 1 and told[0]["component"] == "audit"
    assert len(written) == 20  # log.burst: the start and 19 of these
    assert told[0]["message"].startswith("81 more lines of this kind")
    until(lambda: counter(daemon, "mcptally_log_suppressed_total") == 81, "the count")
    assert counter(daemon, "mcptally_audit_records_total") == 101


# ---- the journal ----

class Journal:
    """What systemd-journald is to its clients: a datagram socket."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(DEADLINE)
        self.entries = []

    def take(self):
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for level, kind, fds in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fd = array.array("i", fds)[0]
            seals = fcntl.fcntl(fd, 1034)  # F_GET_SEALS
            assert seals & 0xf == 0xf, "sealed against everything"
            data = os.pread(fd, 1 << 24, 0)
            os.close(fd)
        self.entries.append(self.parse(data))
        return self.entries[-1]

    @staticmethod
    def parse(data):
        fields = {}
        while data:
            line, _, rest = data.partition(b"\n")
            key, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8:8 + size], rest[8 + size + 1:]
            fields[key.decode()] = value.decode()
            data = rest
        return fields

    def wait(self, **wanted):
        while True:
            entry = self.take()
            if all(entry.get(k) == v for k, v in wanted.items()):
                return entry

    def close(self):
        self.socket.close()
        os.unlink(self.path)


@pytest.fixture
def journal(shm):
    j = Journal(shm / "journal")
    yield j
    if os.path.exists(j.path):
        j.close()


def under_the_journal(new_daemon, journal):
    one = new_daemon()
    one.log_path.touch()
    one.options |= {"log.journal_socket": journal.path, "log.burst": "0"}
    stderr = one.log_path.stat()
    one.env["JOURNAL_STREAM"] = f"{stderr.st_dev}:{stderr.st_ino}"
    return one


def test_the_native_form(new_daemon, journal):
    one = under_the_journal(new_daemon, journal).start()
    entry = journal.wait(MCPTALLY_COMPONENT="daemon", PRIORITY="6")
    assert entry["SYSLOG_IDENTIFIER"] == "mcptallyd"
    set_rate(one, 7)
    entry = journal.wait(MCPTALLY_WHAT="sampling.set")
    assert entry["MESSAGE"] == f"sampling.set {label(7)}: done"
    assert entry["MCPTALLY_OBJECT"] == label(7)
    assert entry["MCPTALLY_OUTCOME"] == "done"
    assert entry["MCPTALLY_UID"] == str(os.geteuid())
    assert one.log() == ""


def test_stderr_that_is_another(new_daemon, journal):
    """JOURNAL_STREAM is of somebody else's stderr: this one leads elsewhere."""
    one = under_the_journal(new_daemon, journal)
    one.env["JOURNAL_STREAM"] = "1:1"
    one.start()
    assert "serves" in one.log()
    assert not select.select([journal.socket], [], [], 0)[0]


def test_the_journal_goes_and_comes_back(new_daemon, journal):
    one = under_the_journal(new_daemon, journal).start()
    journal.wait(MCPTALLY_COMPONENT="daemon")
    journal.close()
    for n in range(1, 4):
        set_rate(one, n)
    until(lambda: label(3) in one.log(), "lines on stderr")
    assert "<4>log: the journal cannot be written" in one.log()
    assert "<6>audit: sampling.set" in one.log()
    again = Journal(journal.path)
    assert again.wait(MCPTALLY_COMPONENT="log")["MESSAGE"] == "the journal is written again"
    set_rate(one, 9)
    assert again.wait(MCPTALLY_WHAT="sampling.set")["MCPTALLY_OBJECT"] == label(9)
    assert one.log().count("cannot be written") == 1
    assert label(9) not in one.log()
    one.stop()
    again.close()


def test_a_journal_that_does_not_read(new_daemon, journal):
    """Its queue is full: lines wait, nobody else does, and all of them come."""
    one = under_the_journal(new_daemon, journal).start()
    for n in range(1, 301):
        set_rate(one, n)
    assert one.get("/health/live", "health").status == 200
    shown = []
    while len(shown) < 300:
        entry = journal.take()
        if entry.get("MCPTALLY_WHAT") == "sampling.set":
            shown.append(entry["MCPTALLY_OBJECT"])
    assert shown == [label(n) for n in range(1, 301)]


# ---- secrets ----

def test_no_secret_is_logged(new_daemon, tmp_path):
    """Not from the configuration, whether it is good or not, and not from a request."""
    secret, token = "hunter2hunter2", "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    one = new_daemon()
    one.config = tmp_path / "config.yaml"
    one.config.write_text("export:\n  destinations:\n    - name: up\n"
                          f"      endpoint: http://user:{secret}@127.0.0.1:9/\n")
    one.options["log.level"] = "debug"
    status = one.spawn().process.poll()
    if status is None:
        until(lambda: one.process.poll() is not None or "serves" in one.log(), "the start")
    if one.process.poll() is not None:
        one.config.write_text("{}\n")
        one.start()
    one.config.write_text(f"store: {{size: 'password={secret}'}}\n{token}: 1\n")
    one.reload()
    ask(one, {"cmd": f"password={secret}"})
    ask(one, {"cmd": "sampling.set", "tier": token, "rate": 0.5})
    run("sampling", "set", token, "5%", *at(one))
    assert "the configuration stays as it was" in one.log()
    one.stop()
    everything = one.log() + (one.state / "audit.log").read_text()
    assert secret not in everything and token not in everything


def test_refused_faults_at_the_start_are_redacted(new_daemon, tmp_path):
    one = new_daemon()
    one.config = tmp_path / "config.yaml"
    one.config.write_text("store: {size: 'password=hunter2hunter2'}\n")
    assert one.spawn().process.wait(DEADLINE) == 78
    assert "store.size" in one.log() and "hunter2" not in one.log()
