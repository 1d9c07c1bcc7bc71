"""What may be skipped, and what may not where every part must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from parts import NO_CORPUS

def test_permitted():
    pytest.skip(NO_CORPUS)

@pytest.mark.skip(reason="no time today")
def test_marked(): ...

@pytest.fixture
def part():
    pytest.skip("the part is broken")

def test_fixture(part): ...

@pytest.mark.parametrize("row", [])
def test_without_rows(row): ...

def test_in_its_midst():
    pytest.skip("it is raining")

@pytest.mark.xfail(reason="known")
def test_known_to_fail():
    assert False

def test_well(): ...
"""
MODULE = "import pytest\npytest.importorskip('no_such_module', reason='the extra is not installed')\n"


@pytest.mark.parametrize(
    ("required", "outcomes"),
    [
        ("", {"passed": 1, "xfailed": 1, "skipped": 6}),
        ("1", {"passed": 1, "xfailed": 1, "skipped": 1, "failed": 1, "errors": 4}),
    ],
)
def test_only_what_is_permitted_is_skipped_where_all_must_be_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("IIS_SPN_REQUIRE_LIVE", required)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(test_one=TESTS, test_two=MODULE)
    assert pytester.runpytest("--continue-on-collection-errors", "-p", "no:cacheprovider").parseoutcomes() == outcomes
