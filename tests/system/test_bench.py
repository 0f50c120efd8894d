"""The programs around `make bench`: its report, its picture, and the gate on instructions."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import xml.etree.ElementTree

from command import run
from conftest import BUILD, ROOT

CLASSES = {"latency", "throughput", "errors", "resources", "other"}


def load(name):
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", str(ROOT / "tests/bench" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_the_gate_on_instructions_fails_above_five_percent():
    judge = load("counts").judge
    assert judge(104, 100)[0] and not judge(106, 100)[0]
    assert judge(50, 100)[0] and "bench-counts" in judge(50, 100)[1]
    assert judge(10, None) == (True, "no count is stored for this machine")


def test_the_picture():
    picture = load("picture.py")
    charts = [{"title": "A & B", "unit": "ns", "x": "size",
               "lines": {"one": [(1, [3, 4, 5]), (1000, [8])], "none": [(1, [])]}},
              {"title": "kinds", "unit": "s", "x": "kind", "words": ["a", "b"],
               "lines": {"one": [(1, [1]), (2, [2])]}},
              {"title": "nothing", "unit": "s", "x": "x", "lines": {"one": [(1, [0])]}}]
    root = xml.etree.ElementTree.fromstring(picture.svg(charts, "a <machine>"))
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A & B", "ns", "a <machine>", "1k", "b"} <= set(words)
    assert not any("nothing" in w for w in words)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4 + 1  # in the legend


def test_charts_by_the_same_thing_stand_side_by_side():
    picture = load("picture.py")

    def chart(title, **more):
        return {"title": title, "unit": "ns", "x": "x", "lines": {"one": [(1, [1])]}, **more}

    charts = [chart("Other"), chart("Latency by size", by="size"), chart("Another"),
              chart("Throughput by kind", by="kind"), chart("Throughput by size", by="size")]
    assert [[c["title"] for c in row] for row in picture.rows_of(charts)] == [
        ["Throughput by size", "Latency by size"], ["Throughput by kind"], ["Other", "Another"]]


def test_a_line_is_dashed_beside_another_of_its_name():
    styles = load("picture.py").style_of(["mine, p50", "mine, p99", "theirs, p50"])
    assert styles["mine, p50"][0] == styles["mine, p99"][0] != styles["theirs, p50"][0]
    assert [bool(dashes) for _, dashes in styles.values()] == [False, True, False]


def test_a_report_is_what_compare_reads(tmp_path):
    report, drawn = tmp_path / "report.json", tmp_path / "report.svg"
    subprocess.run([ROOT / "tests/bench/run", "--smoke", "--json", report, "--svg", drawn,
                    "updates", "latency"], check=True, capture_output=True, timeout=120,
                   env={**os.environ, "MCPTALLY_BUILD": str(BUILD)})
    doc = json.loads(report.read_text())
    assert (doc["format"], doc["version"]) == ("mcptally-bench", 1)
    assert {"cpu", "cores", "kernel"} <= set(doc["machine"]) and doc["versions"]["mcptally"]
    assert {row["suite"] for row in doc["rows"]} == {"updates", "latency"}
    names = [row["name"] for row in doc["rows"]]
    assert len(set(names)) == len(names)
    for row in doc["rows"]:
        assert row["class"] in CLASSES and row["better"] in ("lower", "higher") and row["runs"]
    assert "<svg" in drawn.read_text()
    done = run("compare", "--json", report, report)
    assert done.returncode == 0
    assert {f["name"] for f in json.loads(done.stdout)["figures"]} == set(names)
