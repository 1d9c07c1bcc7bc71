"""What the glossary names is there, and is there once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<term>[^|]+) \| (?P<meaning>[^|]+) \| (?P<home>[^|]+) \|$", re.MULTILINE)
ROWS = [
    found.groupdict()
    for found in ROW.finditer((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    if found["term"] != "term"
]


def files_of(place: str) -> list[Path]:
    """The files of a module, or of a room."""
    path = ROOT / place.replace(".", "/")
    return [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else sorted(path.rglob("*.py"))


def defined(file: Path) -> Iterator[str]:
    """The names that a module defines at its top."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("row", ROWS, ids=[row["term"] for row in ROWS])
def test_a_term_lives_where_it_says(row: dict[str, str]) -> None:
    home = re.fullmatch(r"`(agent[.\w]*): (\w+)`", row["home"])
    assert home is not None, row
    assert home[2] in {name for file in files_of(home[1]) for name in defined(file)}


def test_a_term_stands_once() -> None:
    terms = [term.strip().lower() for row in ROWS for term in row["term"].split(",")]
    assert len(terms) == len(set(terms)) > 50


@pytest.mark.parametrize("room", ["sources", "sweep"])
def test_no_function_is_called_read_alone(room: str) -> None:
    """What reads a source says what it reads: fifteen functions called `read` tell nothing where they are called."""
    assert not [file for file in (ROOT / "agent" / room).rglob("*.py") if "read" in defined(file)]
