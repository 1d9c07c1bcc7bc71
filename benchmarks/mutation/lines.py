"""Which tests may notice a mutant, from what `map` found."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median
from typing import TypedDict, TypeVar

from .mutants import Mutant, every

ROOT = Path(__file__).parents[2]
_T = TypeVar("_T")
ALL = "tests"
LONG = 0.5
"""Seconds. Tests that take longer come last."""
SLOW = 10.0
"""Seconds. A test that takes longer judges no mutant."""


class Found(TypedDict):
    """What `map` found: by test, it and the wide fixtures that it leans on; which lines each of these runs; and the
    core's files as they were.
    """

    tests: dict[str, list[str]]
    lines: dict[str, dict[str, list[int]]]
    core: dict[str, str]


def core() -> dict[str, str]:
    """The core's files as they are."""
    return {file: (ROOT / file).read_text(encoding="utf-8") for file in sorted({mutant.file for mutant in every(ROOT)})}


def read(folder: Path) -> Found:
    """What was mapped, at the lines where it stands today."""
    if not (folder / "map.json").exists():
        sys.exit("no lines were mapped yet: python -m benchmarks.mutation map")
    found: Found = json.loads((folder / "map.json").read_text(encoding="utf-8"))
    today = core()
    moved = {file: _moved(text, today[file]) for file, text in found["core"].items() if file in today}
    for context, files in found["lines"].items():
        found["lines"][context] = {
            file: [line for one in lines for line in moved[file].get(one, ())]
            for file, lines in files.items()
            if file in moved
        }
    return Found(tests=found["tests"], lines=found["lines"], core=today)


def _moved(before: str, after: str) -> dict[int, list[int]]:
    """Where the lines of a file stand today. What is new counts as run by those who ran what it replaced, else by
    those who ran the line before it.
    """
    found: dict[int, list[int]] = {}
    for kind, begin, end, at, until in SequenceMatcher(
        None, before.splitlines(), after.splitlines(), autojunk=False
    ).get_opcodes():
        if kind == "equal":
            found.update({old + 1: [old + 1 + at - begin] for old in range(begin, end)})
        for old in () if kind == "equal" else range(min(begin, end - 1), end):
            found.setdefault(old + 1, []).extend(range(at + 1, until + 1))
    return found


def keep(folder: Path, found: Found, files: Sequence[str]) -> None:
    """Write down what was mapped; what is known of tests in other files stays."""
    path = folder / "map.json"
    if path.exists() and files != [ALL]:
        old = read(folder)
        found["tests"] = {**_without(old["tests"], files), **found["tests"]}
        found["lines"] = {**_without(old["lines"], files), **found["lines"]}
    path.write_text(json.dumps(found), encoding="utf-8")


def _without(by_name: Mapping[str, _T], files: Sequence[str]) -> dict[str, _T]:
    return {name: each for name, each in by_name.items() if not is_in(name, files)}


def is_in(test: str, files: Sequence[str]) -> bool:
    """Whether a test, or a fixture, stands in one of the files."""
    return files == [ALL] or test.partition("::")[0] in files


class Map:
    """What `map` found, by line."""

    def __init__(self, folder: Path) -> None:
        document = read(folder)
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        self.seconds: Mapping[str, float] = {name: taken for name, taken in seconds.items() if taken < SLOW}
        self._by_context: dict[str, list[str]] = {}
        for name in self.seconds:
            for context in document["tests"].get(name, ()):
                self._by_context.setdefault(context, []).append(name)
        self._contexts: dict[tuple[str, int], list[str]] = {}
        for context, files in document["lines"].items():
            for file, lines in files.items():
                for line in lines:
                    self._contexts.setdefault((file, line), []).append(context)
        self._mentions, self._at_import = _mentions()
        self._named = _named()

    def tests(self, mutant: Mutant, budget: float) -> list[str]:
        """The tests that may notice a mutant: file by file, the fastest first, as many as the budget has room for."""
        places = [(mutant.file, line) for line in range(mutant.lines[0], mutant.lines[1] + 1)]
        found: set[str] = set()
        if mutant.function is None:
            names = self._leaning(mutant.bound)
            places = [place for name in names for place in self._mentions.get(name, ())]
            found = {test for test in self.seconds if not names.isdisjoint(self._named.get(_function(test), ()))}
        contexts = {context for place in places for context in self._contexts.get(place, ())}
        found |= {test for context in contexts for test in self._by_context.get(context, ())}
        return list(_within(ordered(found, self.seconds), self.seconds, budget))

    def _leaning(self, names: Iterable[str]) -> set[str]:
        """The names that an import binds, and those that other imports make of them."""
        found, open_ends = set(names), list(names)
        while open_ends:
            for other in self._at_import.get(open_ends.pop(), ()):
                if other not in found:
                    found.add(other)
                    open_ends.append(other)
        return found


def ordered(tests: Collection[str], seconds: Mapping[str, float]) -> list[str]:
    """File by file, so that what a module's tests share is made once: those of short tests first, long tests last."""
    short: dict[str, list[float]] = {}
    for test in tests:
        short.setdefault(test.partition("::")[0], []).append(min(seconds[test], LONG))

    def place(test: str) -> tuple[bool, float, str, float]:
        file = test.partition("::")[0]
        return seconds[test] > LONG, median(short[file]), file, seconds[test]

    return sorted(tests, key=place)


def _function(test: str) -> str:
    """The file and the function of a test, without its parameters."""
    return test.partition("[")[0]


def _named() -> dict[str, set[str]]:
    """The names that each test function mentions: one that looks at a table need not run a line of the core."""
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found[f"{file}::{node.name}"] = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found


Lines = dict[str, list[tuple[str, int]]]


def _mentions() -> tuple[Lines, dict[str, set[str]]]:
    """The lines of the functions that mention a name, and the names that an import makes of it."""
    found: Lines = {}
    made: dict[str, set[str]] = {}
    for path in sorted((ROOT / "agent").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            _note(node, file, (), found, made)
    return found, made


def _note(node: ast.stmt, file: str, outer: tuple[str, ...], found: Lines, made: dict[str, set[str]]) -> None:
    if isinstance(node, ast.ClassDef):
        for each in node.body:
            _note(each, file, (*outer, node.name), found, made)
        return
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    names |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        lines = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
        for name in {*names, node.name, *outer}:
            found.setdefault(name, []).extend((file, line) for line in lines)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        bound = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        for name in names - bound:
            made.setdefault(name, set()).update(bound, outer)


def _within(tests: Iterable[str], seconds: Mapping[str, float], budget: float) -> Iterator[str]:
    for test in tests:
        budget -= seconds[test]
        if budget < 0:
            return
        yield test
