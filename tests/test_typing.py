"""mypy refuses what is not known where something known belongs, with the configuration that the package has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is of the extra `dev`")

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "typing"
ERROR = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]")


def refused(name: str, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, str]]:
    """Line and code of each error of one file."""
    monkeypatch.chdir(ROOT)
    how = ["--config-file", "pyproject.toml", "--no-error-summary", "--no-pretty", "--show-error-codes"]
    out, err, _ = api.run([*how, str(FOLDER / name)])
    assert err == ""
    lines = [line for line in out.splitlines() if ": note: " not in line]
    errors = [ERROR.fullmatch(line) for line in lines]
    assert None not in errors, out
    assert {Path(error["file"]).name for error in errors if error} <= {name}, out
    return Counter((int(error["line"]), error["code"]) for error in errors if error)


def expected(name: str) -> Counter[tuple[int, str]]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    marked = [(number, line.partition("  # E: ")[2].split()) for number, line in enumerate(lines, 1)]
    return Counter((number, code) for number, codes in marked for code in codes)


def test_mistakes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(expected("mistakes.py")) > 20
    assert refused("mistakes.py", monkeypatch) == expected("mistakes.py")


def test_right_uses_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("right.py", monkeypatch) == Counter()
