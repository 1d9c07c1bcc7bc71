"""constraints.txt holds what pyproject.toml asks for, each in one version that it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ASKED = [text for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for text in texts]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
TESTED = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}


def test_each_line_is_a_name_and_a_version() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert len(TESTED) == len(LINES)


@pytest.mark.parametrize("text", sorted(set(ASKED)))
def test_what_is_asked_for_was_tested(text: str) -> None:
    asked = Requirement(text)
    if asked.name != PROJECT["name"]:
        assert TESTED[canonicalize_name(asked.name)] in asked.specifier


def test_the_readme_installs_what_was_tested() -> None:
    installs = re.findall(r"pip install (-[^&]*?) &&", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert installs == ["-q -c constraints.txt .", "-q -c constraints.txt -e .[dev]"]
