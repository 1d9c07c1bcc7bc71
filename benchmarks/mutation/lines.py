"""Which tests may notice a mutant, from what `map` found."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from .mutants import Mutant, every

ROOT = Path(__file__).parents[2]
SLOW = 10.0
"""Seconds. A test that takes longer judges no mutant."""


def digests() -> dict[str, str]:
    """The core's files as they are."""
    files = sorted({mutant.file for mutant in every(ROOT)})
    return {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in files}


class Map:
    """What `map` found."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "map.json").exists() or json.loads((folder / "digests.json").read_text()) != digests():
            sys.exit("the core has changed since its lines were mapped: python -m benchmarks.mutation map")
        document = json.loads((folder / "map.json").read_text(encoding="utf-8"))
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

    def tests(self, mutant: Mutant, budget: float) -> list[str]:
        """The tests that may notice a mutant: file by file, the fastest first, as many as the budget has room for."""
        places = [(mutant.file, line) for line in range(mutant.lines[0], mutant.lines[1] + 1)]
        if mutant.function is None:
            places = [place for name in self._leaning(mutant.bound) for place in self._mentions.get(name, ())]
        contexts = {context for place in places for context in self._contexts.get(place, ())}
        found = {test for context in contexts for test in self._by_context.get(context, ())}
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
    """File by file, so that what a module's tests share is made once; the fastest first."""
    fastest: dict[str, float] = {}
    for test in tests:
        file = test.partition("::")[0]
        fastest[file] = min(seconds[test], fastest.get(file, seconds[test]))
    files = {test: test.partition("::")[0] for test in tests}
    return sorted(tests, key=lambda test: (fastest[files[test]], files[test], seconds[test]))


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
