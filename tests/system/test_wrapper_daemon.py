"""mcptally run and replay with a daemon: what is counted, and how it is named."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import BUILD, DEADLINE, until
from processes import observer_of, sleeps

MCPTALLY = str(BUILD / "mcptally")
PYTHON = ["/usr/bin/python3", "-S", "-E", "-c"]
DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
BOUNDS = ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "30", "60", "120",
          "300", "+Inf"]

# A server that answers by the name of the tool.
SERVER = r"""
import json, os, sys, time
def say(**m):
    os.write(1, json.dumps({"jsonrpc": "2.0", **m}).encode() + b"\n")
for line in sys.stdin:
    m = json.loads(line)
    if "method" not in m or "id" not in m: continue
    id, p = m["id"], m.get("params", {})
    tool = p.get("name", "")
    if m["method"] == "initialize":
        me = {"name": "scripted", "version": "1"}
        say(id=id, result={"protocolVersion": "2025-06-18", "serverInfo": me})
    elif tool == "silent": pass
    elif tool == "exit": os._exit(3)
    elif tool == "wrong": say(id=id, error={"code": -32602, "message": "no such parameter"})
    elif tool == "broken": say(id=id, error={"code": -32603, "message": "inside: \"\u00e9\""})
    elif tool == "failed": say(id=id, result={"isError": True})
    elif tool == "ask":
        say(id="q", method="sampling/createMessage", params={})
        say(id=id, result={})
    elif tool == "context": say(id=id, result={"given": p["_meta"]["traceparent"]})
    elif tool == "large": say(id=id, result={"text": "z" * (5 << 20)})
    elif tool == "noise":
        os.write(1, b"DEBUG noise\n"); os.write(2, b"a\nb\n"); say(id=id, result={})
    elif m["method"] == "tools/list": say(id=id, result={"tools": [{}, {}, {}]})
    else: say(id=id, result={})
"""


class Wrapped:
    """A client of the scripted server under mcptally run."""

    def __init__(self, daemon, name="srv", command=None, options=(), **env):
        self.id = 0
        line = [MCPTALLY, "run", "--name", name, "--socket", daemon.socket, *options, "--",
                *(command or PYTHON + [SERVER])]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL,
                                        env={**os.environ, "OTEL_SDK_DISABLED": "", **env})

    def send(self, **message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method, **params):
        self.id += 1
        self.send(id=self.id, method=method, params=params)
        return self.id

    def read(self):
        while True:
            line = self.process.stdout.readline()
            if line.startswith(b"{"):
                return json.loads(line)
            assert line, "the server has gone"

    def call(self, name, **more):
        self.request("tools/call", name=name, **more)
        return self.read()

    def initialize(self):
        self.request("initialize", protocolVersion="2025-11-25",
                     clientInfo={"name": "tests", "version": "1"})
        self.read()
        self.send(method="notifications/initialized")

    def end(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(DEADLINE)
        return rest


@pytest.fixture
def wrapped(daemon):
    made = []

    def make(*args, **more):
        made.append(Wrapped(daemon, *args, **more))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(DEADLINE)


def of_service(daemon, service="srv"):
    """{name: {other labels: value}} of one service."""
    found = {}
    for (name, labels), value in daemon.metrics().items():
        rest = dict(labels)
        if rest.pop("service_name", None) == service:
            found.setdefault(name, {})[tuple(sorted(rest.items()))] = value
    return found


def ended(daemon, service="srv", starts=1):
    """The samples once every server has been reported as ended."""
    def look():
        found = of_service(daemon, service)
        exits = sum(found.get("mcptally_wrapper_child_exits_total", {}).values())
        return found if exits == starts else None
    return until(look, "the last words of the wrapper")


def counts(found, side="server"):
    """{(method, tool, status code, error type): observations} that are not 0."""
    result = {}
    for labels, value in found.get(f"mcp_{side}_operation_duration_seconds_count", {}).items():
        one = dict(labels)
        assert one["network_transport"] == "pipe"
        assert ("gen_ai_operation_name" in one) == ("gen_ai_tool_name" in one)
        key = (one["mcp_method_name"], one.get("gen_ai_tool_name", one.get("gen_ai_prompt_name")),
               one.get("rpc_response_status_code"), one.get("error_type"))
        if value:
            result[key] = result.get(key, 0) + int(value)
    return result


def one(found, name, **labels):
    return found[name][tuple(sorted(labels.items()))]


def spans(daemon, service="srv"):
    line = [MCPTALLY, "tail", "--json", "--spans", "--all", "--no-follow", "--service", service,
            "--runtime-dir", str(daemon.runtime)]
    out = subprocess.run(line, capture_output=True, timeout=DEADLINE, check=True).stdout
    return {span["attributes"].get("jsonrpc.request.id"): span
            for span in map(json.loads, out.splitlines())}


def test_requests_are_counted_by_the_conventions(daemon, wrapped):
    client = wrapped()
    client.initialize()
    client.request("tools/list")
    client.read()
    for tool in ("echo", "echo", "wrong", "broken", "failed", "r m"):
        client.call(tool)
    client.request("prompts/get", name="greet")
    client.read()
    client.request("no/such")
    client.read()
    client.end()
    found = ended(daemon)
    assert counts(found) == {
        ("initialize", None, None, None): 1,
        ("tools/list", None, None, None): 1,
        ("tools/call", "echo", None, None): 2,
        ("tools/call", "wrong", "-32602", None): 1,
        ("tools/call", "broken", "-32603", "-32603"): 1,
        ("tools/call", "failed", None, "tool_error"): 1,
        ("tools/call", "_OTHER", None, None): 1,
        ("prompts/get", "greet", None, None): 1,
        ("no/such", None, None, None): 1,
    }
    versions = {dict(labels).get("mcp_protocol_version")
                for labels in found["mcp_server_operation_duration_seconds_count"]}
    assert versions == {"2025-06-18"}
    buckets = found["mcp_server_operation_duration_seconds_bucket"]
    assert {float(dict(labels)["le"]) for labels in buckets} == set(map(float, BOUNDS))
    for side in ("server", "client"):
        assert sum(found[f"mcp_{side}_session_duration_seconds_count"].values()) == 1
    assert one(found, "mcptally_wrapper_initialize_total", outcome="ok",
               mcp_protocol_version="2025-06-18") == 1
    assert one(found, "mcptally_wrapper_tools") == 3
    assert one(found, "mcptally_wrapper_child_exits_total", exit_code="0") == 1
    assert one(found, "mcptally_wrapper_starts_total") == 1
    daemon.check_accounting()


def test_a_server_that_makes_up_codes_fills_no_store(daemon, wrapped):
    """Error codes are any number: only so many become labels."""
    server = """
import json, os, sys
for line in sys.stdin:
    id = json.loads(line)["id"]
    os.write(1, json.dumps({"id": id, "error": {"code": id, "message": ""}}).encode() + b"\\n")
"""
    client = wrapped(command=PYTHON + [server])
    for _ in range(700):
        client.request("ping")
        client.read()
    client.end()
    found = ended(daemon)
    name = "mcp_server_operation_duration_seconds_count"
    assert sum(found[name].values()) == 700
    assert found[name][(("otel_metric_overflow", "true"),)] >= 700 - 512
    assert len(found[name]) <= 512
    daemon.check_accounting()


def test_spans(daemon, wrapped):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client = wrapped()
    client.initialize()
    client.call("echo", _meta={"traceparent": parent, "tracestate": "a=1"})
    client.call("broken")
    client.request("resources/read", uri="file:///x")
    client.read()
    client.call("wrong")
    client.end()
    ended(daemon)
    found = spans(daemon)
    echo, broken, read, wrong = (found[i] for i in ("2", "3", "4", "5"))
    assert echo["name"] == "tools/call echo"
    assert echo["span_kind"] == "server" and echo["status"] == "unset"
    assert echo["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert echo["parent_id"] == "b7ad6b7169203331"
    assert echo["attributes"] == {
        "mcp.method.name": "tools/call", "network.transport": "pipe", "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool", "jsonrpc.request.id": "2",
        "mcp.protocol.version": "2025-06-18"}
    assert broken["status"] == "error" and broken["attributes"]["error.type"] == "-32603"
    assert 'inside: "é"' in json.dumps(broken, ensure_ascii=False).replace('\\"', '"')
    assert read["name"] == "resources/read"
    assert read["attributes"]["mcp.resource.uri"] == "file:///x"
    assert wrong["status"] == "unset" and "error.type" not in wrong["attributes"]
    assert wrong["attributes"]["rpc.response.status_code"] == "-32602"
    daemon.check_accounting()


def test_the_environment_names_a_parent(daemon, wrapped):
    client = wrapped(TRACEPARENT="00-11111111111111111111111111111111-2222222222222222-01")
    client.call("echo")
    client.end()
    ended(daemon)
    assert spans(daemon)["1"]["trace_id"] == "1" * 32
    daemon.check_accounting()


def test_an_injected_context_is_that_of_the_span(daemon, wrapped):
    """What a server's own spans name as their parent is the span reported for the request."""
    client = wrapped(options=["--inject-trace-context"], TRACEPARENT="00-" + "2" * 32 + "-" +
                     "3" * 16 + "-01")
    given = [client.call("context")["result"]["given"] for _ in range(3)]
    theirs = client.call("context", _meta={"traceparent": "00-" + "4" * 32 + "-" + "5" * 16 +
                                           "-01"})["result"]["given"]
    client.end()
    ended(daemon)
    found = spans(daemon)
    for i, context in enumerate(given, 1):
        span = found[str(i)]
        assert context == f"00-{span['trace_id']}-{span['span_id']}-01"
        assert span["parent_id"] == "3" * 16 and span["trace_id"] == "2" * 32
    assert found["4"]["trace_id"] == "4" * 32 and found["4"]["parent_id"] == "5" * 16
    assert theirs == "00-" + "4" * 32 + "-" + "5" * 16 + "-01"



def test_what_the_server_asks_is_a_client_operation(daemon, wrapped):
    client = wrapped()
    client.request("tools/call", name="ask")
    assert client.read()["method"] == "sampling/createMessage"
    client.read()
    client.send(id="q", error={"code": -32601, "message": "cannot"})
    client.end()
    found = ended(daemon)
    assert counts(found) == {("tools/call", "ask", None, None): 1}
    assert counts(found, "client") == {("sampling/createMessage", None, "-32601", "-32601"): 1}
    daemon.check_accounting()


def test_cancelled_and_crashed(daemon, wrapped):
    client = wrapped()
    client.initialize()
    cancelled = client.request("tools/call", name="silent")
    client.request("tools/call", name="silent")
    client.send(method="notifications/cancelled", params={"requestId": cancelled})
    client.request("tools/call", name="exit")
    assert client.process.wait(DEADLINE) == 3
    found = ended(daemon)
    assert counts(found) == {
        ("initialize", None, None, None): 1,
        ("tools/call", "silent", None, "cancelled"): 1,
        ("tools/call", "silent", None, "crash"): 1,
        ("tools/call", "exit", None, "crash"): 1,
    }
    sessions = found["mcp_server_session_duration_seconds_count"]
    assert [dict(labels)["error_type"] for labels in sessions] == ["crash"]
    assert one(found, "mcptally_wrapper_child_exits_total", exit_code="3") == 1
    daemon.check_accounting()


def test_a_server_killed_by_a_signal(daemon, wrapped):
    client = wrapped(command=["sh", "-c", "kill -SEGV $$"])
    client.process.wait(DEADLINE)
    found = ended(daemon)
    assert one(found, "mcptally_wrapper_child_exits_total", signal="SIGSEGV") == 1
    assert one(found, "mcptally_wrapper_child_last_exit_code") == 128 + signal.SIGSEGV
    daemon.check_accounting()


def test_what_goes_on_now(daemon, wrapped):
    """Gauges while it runs, and after it has gone."""
    client = wrapped()
    client.initialize()
    for _ in range(3):
        client.request("tools/call", name="silent")

    def busy():
        found = of_service(daemon)
        name = "mcptally_wrapper_requests_in_flight"
        return found if found.get(name, {}).get((("side", "server"),)) == 3 else None

    found = until(busy, "three requests in flight")
    assert one(found, "mcptally_wrapper_up") == 1
    until(lambda: one(of_service(daemon), "mcptally_wrapper_requests_oldest_age_seconds") > 0,
          "an age")
    memory = "mcptally_wrapper_child_memory_bytes"
    until(lambda: of_service(daemon).get(memory, {}).get((), 0) > 1e6, "the server's memory")
    assert one(of_service(daemon), "mcptally_wrapper_child_open_fds") >= 3
    client.end()
    ended(daemon)
    up = "mcptally_wrapper_up"
    until(lambda: sum(of_service(daemon).get(up, {}).values()) == 0, "nothing up")
    daemon.check_accounting()


def test_launchers_are_measured_with_what_they_launch(daemon, wrapped):
    client = wrapped(command=["sh", "-c", "sleep 60 & cat; kill $!"])
    until(lambda: of_service(daemon).get("mcptally_wrapper_child_processes", {}).get(()) == 3,
          "sh, sleep and cat")
    client.end()
    ended(daemon)
    daemon.check_accounting()


def test_noise(daemon, wrapped):
    client = wrapped()
    client.call("noise")
    client.send(id=99, result={})
    client.process.stdin.write(b"not json\n")
    client.process.stdin.flush()
    client.end()
    found = ended(daemon)
    assert one(found, "mcptally_wrapper_invalid_lines_total", direction="server_to_client") == 1
    assert one(found, "mcptally_wrapper_invalid_lines_total", direction="client_to_server") == 1
    assert one(found, "mcptally_wrapper_stderr_lines_total") >= 2
    unmatched = "mcptally_wrapper_unmatched_responses_total"
    assert one(found, unmatched, direction="client_to_server") == 1
    daemon.check_accounting()


def test_large_answers_are_counted_once_or_missed_openly(daemon, wrapped):
    client = wrapped()
    for _ in range(4):
        assert len(client.call("large")["result"]["text"]) == 5 << 20
    client.end()
    found = ended(daemon)
    gaps = one(found, "mcptally_wrapper_tee_gaps_total", direction="server_to_client")
    counted = counts(found).get(("tools/call", "large", None, None), 0)
    # One gap may swallow several answers.
    assert counted == 4 or (gaps > 0 and counted < 4)
    assert one(found, "mcptally_wrapper_io_bytes_total", direction="server_to_client") > 20 << 20
    assert set(counts(found)) <= {("tools/call", "large", None, None)}
    daemon.check_accounting()


def test_a_daemon_that_is_killed_costs_no_count(daemon, wrapped):
    client = wrapped()
    client.initialize()
    for round_ in range(3):
        for _ in range(50):
            client.call("echo")
        daemon.kill()
        for _ in range(50):
            client.call("echo")
        daemon.start()
    client.end()
    found = ended(daemon)
    assert counts(found) == {("initialize", None, None, None): 1,
                             ("tools/call", "echo", None, None): 300}
    daemon.check_accounting()


def test_the_observer_is_woken_by_time_and_not_by_messages(daemon, wrapped):
    """The daemon's answers wake it as well, and it goes on sleeping."""
    calls, look = 1600, 0.2
    one = wrapped()
    one.initialize()
    until(lambda: of_service(daemon).get("mcptally_wrapper_up"), "the observer to be heard of")
    observer = observer_of(one.process)
    before, began = sleeps(observer), time.monotonic()
    for _ in range(calls):
        one.call("any")
    took = time.monotonic() - began
    assert sleeps(observer) - before < calls / 32 + 4 * took / look
    one.end()


def kicks_not_taken(pid):
    """The counts of its eventfds: those through which it is kicked, and its library's own."""
    texts = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()]
    return [count for text in texts for count in re.findall(r"eventfd-count: +(\w+)", text)
            if int(count, 16)]


def test_the_observer_takes_its_kicks(daemon, wrapped):
    """Else it would see what it is told only when it is up for something else."""
    one = wrapped()
    one.initialize()
    observer = observer_of(one.process)
    for _ in range(2000):
        one.call("any")
    until(lambda: not kicks_not_taken(observer), "the observer to take its kicks")
    one.end()


def test_an_observer_that_follows_another_reports_what_is_new(daemon, wrapped):
    client = wrapped()
    client.initialize()
    client.call("echo")
    echo = ("tools/call", "echo", None, None)
    until(lambda: counts(of_service(daemon)).get(echo) == 1, "a count")
    os.kill(observer_of(client.process), signal.SIGKILL)

    def resumed():
        client.call("echo")
        found = of_service(daemon).get("mcptally_wrapper_observer_restarts_total", {})
        return found.get(()) == 1

    until(resumed, "another observer")
    for _ in range(10):
        client.call("echo")
    client.end()
    found = ended(daemon)
    assert counts(found)[echo] >= 1 + 10
    assert one(found, "mcptally_wrapper_starts_total") == 1
    assert one(found, "mcptally_wrapper_tee_gaps_total", direction="client_to_server") <= 1
    assert set(counts(found)) == {("initialize", None, None, None), echo}
    daemon.check_accounting()


def test_a_daemon_that_comes_later_hears_it_all(new_daemon):
    daemon = new_daemon()
    client = Wrapped(daemon)
    for _ in range(5):
        client.call("echo")
    daemon.start()
    client.call("echo")
    client.end()
    assert counts(ended(daemon)) == {("tools/call", "echo", None, None): 6}
    daemon.check_accounting()


@pytest.mark.parametrize("command, env, name", [
    (["sh", "-c", "cat"], {"OTEL_SERVICE_NAME": "from-otel"}, "from-otel"),
    (["/bin/cat"], {"OTEL_SERVICE_NAME": ""}, "cat"),
])
def test_names(daemon, command, env, name):
    line = [MCPTALLY, "run", "--socket", daemon.socket, "--", *command]
    subprocess.run(line, env={**os.environ, **env}, stdin=subprocess.DEVNULL, timeout=DEADLINE,
                   check=True)
    ended(daemon, name)
    daemon.check_accounting()


# ---- replay ----

def replay(daemon, path, *options):
    line = [MCPTALLY, "replay", "--socket", daemon.socket, *options, str(path)]
    return subprocess.run(line, capture_output=True, timeout=DEADLINE, check=False)


@pytest.mark.parametrize("speed", ["0", "3"])
def test_replay_of_a_real_conversation(daemon, speed):
    done = replay(daemon, DATA / "server-everything.jsonl", "--speed", speed)
    assert done.returncode == 0, done.stderr.decode()
    found = ended(daemon, "server-everything")
    server = counts(found)
    assert server["tools/call", "get-sum", None, None] == 20
    assert server["tools/call", "get-sum", None, "tool_error"] == 1
    assert server["tools/call", "no-such-tool", None, "tool_error"] == 1
    assert server["tools/call", "trigger-long-running-operation", None, "cancelled"] == 1
    assert server["prompts/get", "no-such-prompt", "-32602", None] == 1
    assert sum(server.values()) == 47
    assert sum(counts(found, "client").values()) == 3
    assert one(found, "mcptally_wrapper_tools") == 16
    seconds = sum(found["mcp_server_session_duration_seconds_sum"].values())
    assert seconds == pytest.approx(1.527, abs=0.01)  # the conversation's, at any speed
    text = done.stdout.decode()
    assert "50 requests, 47 results, 2 errors" in text
    now = time.time()
    for span in spans(daemon, "server-everything").values():
        import datetime
        end = datetime.datetime.fromisoformat(span["end"][:26] + "+00:00").timestamp()
        assert now - 60 < end <= now
    daemon.check_accounting()


def test_replay_of_what_was_just_recorded(daemon, tmp_path):
    path = tmp_path / "conversation"
    process = subprocess.Popen([MCPTALLY, "run", "--record", str(path), "--name", "first",
                                "--socket", daemon.socket, "--", *PYTHON, SERVER],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    requests = [json.dumps({"id": i, "method": "tools/call", "params": {"name": tool}}) + "\n"
                for i, tool in enumerate(["echo", "wrong", "failed", "noise"])]
    process.communicate("".join(requests).encode(), timeout=DEADLINE)
    first = ended(daemon, "first")
    until(lambda: '"exit"' in path.read_text(), "the end of the recording")
    assert replay(daemon, path, "--speed", "0", "--name", "second").returncode == 0
    second = ended(daemon, "second")
    assert counts(first) == counts(second) and len(counts(first)) == 4
    for name in ("mcptally_wrapper_messages_total", "mcptally_wrapper_invalid_lines_total",
                 "mcptally_wrapper_stderr_lines_total", "mcptally_wrapper_io_bytes_total"):
        assert first[name] == second[name]
    daemon.check_accounting()


HEAD = '{"mcptally":"recording","version":1,"service":"x","began":1}\n'


@pytest.mark.parametrize("text, words", [
    ("", "line 0"), ("{}\n", "line 1"), ("nonsense\n", "line 1"),
    ('{"mcptally":"recording","version":2}\n', "version"),
    (HEAD + "[]\n", "line 2"), (HEAD + '{"us":-1}\n', "line 2"),
    (HEAD + '{"us":1,"from":"nobody","text":""}\n', "line 2"),
    (HEAD + '{"us":1,"from":"client"}\n', "line 2"),
    (HEAD + '{"us":1,"from":"client","base64":"a==="}\n', "line 2"),
    (HEAD + '{"us":1,"from":"client","text":"x"}\n{"us":2,"exit":700}\n', "line 3"),
])
def test_what_is_no_recording(daemon, tmp_path, text, words):
    (tmp_path / "bad").write_text(text)
    done = replay(daemon, tmp_path / "bad")
    assert done.returncode == 1
    assert words in done.stderr.decode() and "bad" in done.stderr.decode()
    daemon.check_accounting()


def test_replay_tells_what_is_wrong(tmp_path):
    line = [MCPTALLY, "replay", "--socket", str(tmp_path / "nobody")]
    good = str(DATA / "server-everything.jsonl")
    for more, status in (([], 64), ([good, good], 64), (["--speed", "-1", good], 64),
                         (["--speed", "x", good], 64), (["/no/such/file"], 1)):
        done = subprocess.run([*line, *more], capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == status, more
        assert done.stderr


def test_replay_without_a_daemon(tmp_path):
    line = [MCPTALLY, "replay", "--speed", "0", "--socket", str(tmp_path / "nobody"),
            str(DATA / "server-everything.jsonl")]
    done = subprocess.run(line, capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 69 and b"no daemon" in done.stderr


def test_every_metric_is_in_the_manual(daemon, wrapped):
    """And the manual names none that there is not."""
    client = wrapped()
    client.initialize()
    client.request("tools/list")
    client.read()
    client.call("ask")
    until(lambda: "mcptally_wrapper_child_memory_bytes" in of_service(daemon), "the first look")
    names = set(of_service(daemon))
    client.end()
    names |= set(ended(daemon))
    found = {re.sub("_(bucket|sum|count)$", "", name) for name in names
             if not name.startswith("traces_span_metrics_")}  # of every span, whoever sends it
    page = (pathlib.Path(__file__).resolve().parents[2] / "man/mcptally-metrics.7").read_text()
    section = page.split(".Sh METRICS OF WRAPPED SERVERS")[1].split(".Sh ")[0]
    items = [line for line in section.replace("\\\n", "").splitlines() if line.startswith(".It")]
    assert found == set(re.findall(r"\bmcp[a-z_]+", " ".join(items)))
    daemon.check_accounting()
