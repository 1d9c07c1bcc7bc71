"""What holds for all tests: what a property is tried with, and what may be skipped.

Property tests draw the same examples in every run, few enough for a quick one, and none is ever too slow.

IIS_SPN_REQUIRE_LIVE=1   a skip is a failure, unless it is for one of the parts that may be lacking (parts.py)
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from parts import PERMITTED

os.environ.pop("COLUMNS", None)  # pytest-xdist tells its processes how wide the terminal is

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("ci")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An upgrade that moved what this program borrows is told before anything fails for want of it.

    Of several processes (`make test`: pytest-xdist) one has the live tests, since a domain controller has fixed ports;
    they take longest, so they begin first. Each other file runs in one process, with what it has set up.
    """
    items.sort(key=lambda item: (item.path.name != "test_borrowed.py", item.path.parent.name != "live"))
    for item in items:
        live = item.path.parent.name == "live"
        item.add_marker(pytest.mark.xdist_group("live" if live else item.path.stem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _permitted((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _permitted((yield))


def _permitted(report: Report) -> Report:
    """The report; of a skip for anything else, where nothing else may be lacking, a failure."""
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_skip and os.environ.get("IIS_SPN_REQUIRE_LIVE") == "1":
        _file, _line, said = report.longrepr
        reason = said.removeprefix("Skipped: ")
        if reason not in PERMITTED:
            report.outcome, report.longrepr = "failed", f"IIS_SPN_REQUIRE_LIVE=1, but skipped: {reason}"
    return report
