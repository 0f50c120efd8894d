"""tests/run itself: what fails, hangs or tests nothing is never counted as passed."""

import importlib.machinery
import importlib.util
import time

import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def driver():
    loader = importlib.machinery.SourceFileLoader("driver", str(ROOT / "tests/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("driver", loader))
    loader.exec_module(module)
    return module


def test_summaries_of_check_add_up(driver):
    assert driver.count_check("100%: Checks: 12, Failures: 0, Errors: 0\n") == (12, 0)
    assert driver.count_check("Running suite(s): a\n50%: Checks: 4, Failures: 1, Errors: 1\n"
                              "100%: Checks: 1, Failures: 0, Errors: 0\n") == (3, 2)
    assert driver.count_check("Segmentation fault\n") is None


@pytest.mark.parametrize("status, counted, expected", [
    (0, (3, 0), (3, 0)),
    (1, (2, 1), (2, 1)),
    (1, (3, 0), (3, 1)),  # a crash after the last summary
    (0, None, (0, 1)),    # it ended well and told nothing
])
def test_exit_status_and_summary_both_count(driver, status, counted, expected):
    assert driver.judge("x", driver.Result(status, "", 0), counted) == expected


def test_a_part_over_its_budget_is_ended_with_its_children(driver):
    began = time.monotonic()
    result = driver.run(["sh", "-c", "sleep 60 & sleep 60"], began + 0.2)
    assert result.status != 0 and "time budget" in result.output
    assert driver.one("x", ["sleep", "60"], time.monotonic() + 0.1) == (0, 1)


def test_a_program_that_is_not_there_is_a_failure(driver):
    assert driver.one("x", ["/no/such/program"], time.monotonic() + 1) == (0, 1)
