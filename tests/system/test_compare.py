"""mcptally compare: reports of a bench, exports of metrics, and what a gate needs."""

import json

import pytest

from command import at, emit, ok, run

NONE, REGRESSION, TROUBLE = 0, 1, 2
BASE = {"updates": [100, 101, 99, 100.5, 99.5], "emit": [10, 10.1, 9.9, 10.05, 9.95],
        "memory": [4, 4, 4, 4, 4.1], "lost": [0, 0, 0, 0, 0]}
KINDS = {"updates": ("million/s", "throughput", "higher"), "emit": ("ns", "latency", "lower"),
         "memory": ("MiB", "resources", "lower"), "lost": ("", "errors", "lower")}


def report(**runs):
    """A report of a bench, as tests/bench/run writes it."""
    rows = [{"name": name, "unit": KINDS[name][0], "class": KINDS[name][1],
             "better": KINDS[name][2], "runs": values, "reference": "bare",
             "reference_runs": [2 * v for v in values]}
            for name, values in {**BASE, **runs}.items()]
    return json.dumps({"format": "mcptally-bench", "version": 1, "rows": rows,
                       "machine": {"cpu": "one", "cores": 2, "kernel": "6"}, "versions": {}})


@pytest.fixture
def compare(tmp_path):
    """Compares two texts; the exit status and what was found."""
    def call(base, new, *options):
        paths = [tmp_path / "base", tmp_path / "new"]
        for path, text in zip(paths, (base, new)):
            path.write_text(text)
        done = run("compare", "--json", *options, *paths)
        shown = run("compare", *options, *paths)
        assert shown.returncode == done.returncode
        if done.returncode == TROUBLE:
            assert (done.stdout, shown.stdout) == ("", "") and done.stderr == shown.stderr
            return TROUBLE, done.stderr
        found = json.loads(done.stdout)
        return done.returncode, {f["name"]: f for f in found["figures"]}, found, shown.stdout
    return call


def scaled(name, by):
    return {name: [v * by for v in BASE[name]]}


@pytest.mark.parametrize("name, by, verdict, severity", [
    ("updates", 0.93, "regression", "low"), ("updates", 0.88, "regression", "medium"),
    ("updates", 0.7, "regression", "high"), ("updates", 0.4, "regression", "critical"),
    ("updates", 1.2, "improvement", "none"), ("updates", 0.97, "unchanged", "none"),
    ("emit", 1.07, "regression", "low"), ("emit", 2, "regression", "critical"),
    ("emit", 0.5, "improvement", "none"), ("memory", 1.3, "regression", "high")])
def test_direction_and_severity(compare, name, by, verdict, severity):
    status, figures, found, text = compare(report(), report(**scaled(name, by)))
    assert status == (REGRESSION if verdict == "regression" else NONE)
    assert (figures[name]["verdict"], figures[name]["severity"]) == (verdict, severity)
    assert figures[name]["change"] == pytest.approx(by - 1, abs=0.02)
    assert figures[name]["low"] <= figures[name]["change"] <= figures[name]["high"]
    assert [n for n, f in figures.items() if f["verdict"] != "unchanged"] in ([], [name])
    assert found["severity"] == severity
    assert (name in text) == (verdict != "unchanged" or name == "memory")


def test_noise_is_no_regression(compare):
    """Twice as slow in two runs of five is not significant; the runs are named."""
    status, figures, _, text = compare(report(), report(emit=[10, 10.1, 20, 9.9, 20]))
    assert status == NONE and figures["emit"]["verdict"] == "unchanged"
    assert figures["emit"]["p"] > 0.05
    status, figures, _, text = compare(report(), report(emit=[10, 10.1, 9.9, 10.05, 20]))
    assert status == NONE
    assert [(o["side"], o["run"]) for o in figures["emit"]["outliers"]] == [("new", 5)]
    assert "outlier: new run 5 is 20" in text


def test_too_few_runs_cannot_be_significant(compare):
    base, new = report(emit=[10, 11, 12]), report(emit=[30, 31, 32])
    status, figures, _, text = compare(base, new)
    assert status == NONE and figures["emit"]["verdict"] == "untested"
    assert [figures["emit"][key] for key in ("p", "least_p")] == pytest.approx([0.1, 0.1])
    assert figures["emit"]["low"] is None and "p cannot be below 0.1" in text
    assert compare(base, new, "--untested")[0] == REGRESSION
    assert figures["updates"]["least_p"] == pytest.approx(2 / 252)


def test_thresholds_by_class(compare):
    base, new = report(), report(**scaled("emit", 1.1))
    assert compare(base, new)[0] == REGRESSION
    assert compare(base, new, "--latency", "15")[0] == NONE
    assert compare(base, new, "--resources=15%")[0] == REGRESSION
    assert compare(base, new, "--threshold", "15")[0] == NONE
    assert compare(base, new, "--threshold", "15", "--latency", "7.5")[0] == REGRESSION


def test_relative_to_the_reference(compare):
    """A machine that is half as fast for both is no regression."""
    assert compare(report(), report(**scaled("emit", 2)), "--relative")[0] == NONE


def test_what_only_one_side_has(compare):
    less = json.loads(report())
    del less["rows"][0]
    status, _, found, _ = compare(report(), json.dumps(less))
    assert status == NONE and found["only_base"] == ["updates"] and found["only_new"] == []


PAGE = """# TYPE call_duration_seconds histogram
call_duration_seconds_bucket{{tool="a",le="0.1"}} {fast}
call_duration_seconds_bucket{{le="0.2",tool="a"}} {slow}
call_duration_seconds_bucket{{tool="a",le="+Inf"}} {slow}
call_duration_seconds_sum{{tool="a"}} 1
call_duration_seconds_count{{tool="a"}} {slow}
# TYPE jobs_failed_total counter
jobs_failed_total {failed}
# TYPE requests_total counter
requests_total{{outcome="error"}} {failed}
requests_total{{outcome="ok"}} {slow}
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes {memory}
"""


def page(fast=900, slow=1000, failed=10, memory=1e6):
    return PAGE.format(fast=fast, slow=slow, failed=failed, memory=memory)


def test_pages_of_metrics(compare):
    assert compare(page(), page())[0] == NONE
    status, figures, _, _ = compare(page(), page(fast=300, failed=40, memory=2e6))
    assert status == REGRESSION
    assert {name: (f["verdict"], f["class"], f["test"]) for name, f in figures.items()} == {
        'call_duration_seconds{tool="a"}': ("regression", "latency", "buckets"),
        'call_duration_seconds_count{tool="a"}': ("unchanged", "other", "none"),
        "jobs_failed_total": ("regression", "errors", "counts"),
        'requests_total{outcome="error"}': ("regression", "errors", "counts"),
        'requests_total{outcome="ok"}': ("unchanged", "other", "none"),
        "process_resident_memory_bytes": ("untested", "resources", "none")}
    assert compare(page(), page(failed=11))[0] == NONE
    assert compare(page(failed=0), page(failed=6))[2]["severity"] == "critical"
    assert compare(page(failed=0), page(failed=5))[0] == NONE


def test_a_directory_is_many_runs(tmp_path):
    for side, base in (("base", 1.0), ("new", 1.25)):
        (tmp_path / side).mkdir()
        for i in range(5):
            (tmp_path / side / f"{i}.prom").write_text(page(memory=base * (1e6 + i)))
    done = run("compare", "--json", tmp_path / "base", tmp_path / "new")
    figures = {f["name"]: f for f in json.loads(done.stdout)["figures"]}
    memory = figures["process_resident_memory_bytes"]
    assert done.returncode == REGRESSION
    assert (memory["test"], memory["base_runs"], memory["severity"]) == ("ranks", 5, "high")


def test_exports_of_the_daemon(daemon, tmp_path):
    """All three forms of the same state: equal to themselves, and the count of errors is seen."""
    for value in ("0.05", "0.2", "3"):
        emit(daemon, "histogram", "call.duration", value, "--unit", "s", "tool=a")
    emit(daemon, "counter", "jobs.failed", "3")
    forms = {"text": (), "openmetrics": ("--openmetrics",), "json": ("--json",)}
    for name, options in forms.items():
        (tmp_path / f"{name}-0").write_text(ok("metrics", *options, *at(daemon)))
    emit(daemon, "counter", "jobs.failed", "40")
    for name, options in forms.items():
        before, after = tmp_path / f"{name}-0", tmp_path / f"{name}-1"
        after.write_text(ok("metrics", *options, *at(daemon)))
        assert run("compare", before, before).returncode == NONE, name
        done = run("compare", "--json", before, after)
        figures = {f["name"].split("{")[0]: f for f in json.loads(done.stdout)["figures"]}
        failed = next(f for n, f in figures.items() if n.startswith("jobs_failed"))
        assert (failed["verdict"], failed["base"], failed["new"]) == ("regression", 3, 43), name
        assert figures["call_duration_seconds"]["test"] == "none", name  # three observations


@pytest.mark.parametrize("text, why", [
    ("", "has no figures"), ("{}", "neither a report"), ('{"rows": [3]}', "neither a report"),
    ('{"rows": [', ":1:"), ("good_total 1\nbad{ 1\n", ":2: no sample"), ("# EOF\n", "no figures"),
    ("[" * 10000, "no sample"), ('{"a":' * 10000, ":1:")],
    ids=["empty", "object", "row", "cut", "page", "end", "arrays", "objects"])
def test_what_is_no_report(compare, text, why):
    status, message = compare(report(), text)
    assert status == TROUBLE and why in message and message.count("\n") == 1


def test_trouble(tmp_path):
    path = tmp_path / "base"
    path.write_text(report())
    (tmp_path / "other").write_text("other_total 1\n")
    for arguments, why in (([path], "two files"), ([path, path, path], "two files"),
                           ([path, tmp_path / "none"], "No such file"),
                           ([path, tmp_path / "other"], "no figure in common"),
                           (["--latency", "x", path, path], "percent"),
                           (["--latency", "nan", path, path], "percent"),
                           (["--no-such", path, path], "no-such")):
        done = run("compare", *arguments)
        assert (done.returncode, done.stdout) == (TROUBLE, "") and why in done.stderr
