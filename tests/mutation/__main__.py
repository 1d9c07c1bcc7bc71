"""How many small changes to the core does a test notice? A tool for a quiet hour: `python -m tests.mutation --help`.

    pip install coverage
    python -m tests.mutation map                        once, and after the code changed: which test runs which line
    python -m tests.mutation run --sample 300 --seed 1  mutants one after another; goes on where it was stopped
    python -m tests.mutation report                     the score of each room, and the mutants that live

What it finds is kept in `.mutation/`. `accepted.txt` here lists the survivors that may live, with a reason each group.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .mutants import ROOMS, Mutant, every

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("accepted.txt")
QUIET = ["-q", "-p", "no:cacheprovider", "--no-header", "--no-summary", "--ignore=tests/live"]
THIS = [sys.executable, "-m", "tests.mutation"]
SLOW = 10.0
"""Seconds. A test that takes longer judges no mutant."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation")
    parser.add_argument("--sample", type=int, help="so many mutants, of all rooms alike")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--room", help="only those of one room: " + ", ".join(room.removesuffix(".py") for room in ROOMS)
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests for one mutant, fastest first")
    parser.add_argument("--tests", nargs="*", help="for `map`: these files only")
    parser.add_argument("--share", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(ROOT)
    return COMMANDS[options.what](options)


# -- which test runs which line ------------------------------------------------------------------------------------


def map_lines(options: argparse.Namespace) -> int:
    """Run every offline test once, watched."""
    import pytest

    from .covering import Covering

    options.folder.mkdir(exist_ok=True)
    covering = Covering(ROOT)
    pytest.main([*QUIET, *(options.tests or ["tests"])], plugins=[covering])
    covering.write(options.folder / "map.json")
    (options.folder / "digests.json").write_text(json.dumps(_digests()), encoding="utf-8")
    return subprocess.call([*THIS, "control", "--folder", str(options.folder)])


def control(options: argparse.Namespace) -> int:
    """Run all tests in a fork and in the order of a trial, with nothing changed: one that fails so judges no mutant."""
    import pytest

    from .trial import Control

    tests = json.loads((options.folder / "map.json").read_text(encoding="utf-8"))["tests"]
    found = Control(_ordered(tests, dict.fromkeys(tests, 0)))
    pytest.main([*QUIET, f"--basetemp={options.folder / 'tmp'}", "tests"], plugins=[found])
    print(*(f"judges no mutant: {name}" for name in tests if name not in found.seconds), sep="\n")
    (options.folder / "seconds.json").write_text(json.dumps(found.seconds), encoding="utf-8")
    return 0


def _digests() -> dict[str, str]:
    """The core's files as they are."""
    files = sorted({mutant.file for mutant in every(ROOT)})
    return {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in files}


class Map:
    """What `map` found."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "map.json").exists() or json.loads((folder / "digests.json").read_text()) != _digests():
            sys.exit("the core has changed since its lines were mapped: python -m tests.mutation map")
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
        return list(_within(_ordered(found, self.seconds), self.seconds, budget))

    def _leaning(self, names: Iterable[str]) -> set[str]:
        """The names that an import binds, and those that other imports make of them."""
        found, open_ends = set(names), list(names)
        while open_ends:
            for other in self._at_import.get(open_ends.pop(), ()):
                if other not in found:
                    found.add(other)
                    open_ends.append(other)
        return found


def _ordered(tests: Collection[str], seconds: Mapping[str, float]) -> list[str]:
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


# -- trying --------------------------------------------------------------------------------------------------------


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    mutants = [mutant for mutant in every(ROOT) if options.room in {None, mutant.room}]
    if options.sample is None or options.sample >= len(mutants):
        return mutants
    return random.Random(options.seed).sample(mutants, options.sample)


def _found(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What was found before, by the mutant's name and the text that it was found in."""
    lines = [
        line for path in sorted(folder.glob("found*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return {(one["name"], one["digest"]): one for one in map(json.loads, lines)}


def run(options: argparse.Namespace) -> int:
    """Try what was not tried yet, in processes of their own, and report."""
    Map(options.folder)
    before = _found(options.folder)
    left = [mutant for mutant in _chosen(options) if (mutant.name, mutant.digest) not in before]
    print(f"{len(left)} mutants to try", flush=True)
    (options.folder / "left.json").write_text(json.dumps([mutant.name for mutant in left]), encoding="utf-8")
    command = [*THIS, "share", "--folder", str(options.folder), "--budget", str(options.budget)]
    shares = [subprocess.Popen([*command, "--share", f"{number}/{options.jobs}"]) for number in range(options.jobs)]
    codes = [share.wait() for share in shares]
    return report(options) or max(codes)


def share(options: argparse.Namespace) -> int:
    """One process's part: forks for what functions do, a process each for what runs at import."""
    import pytest

    from .trial import Trials

    number, of = map(int, options.share.split("/"))
    names = json.loads((options.folder / "left.json").read_text(encoding="utf-8"))[number::of]
    by_name = {mutant.name: mutant for mutant in every(ROOT)}
    lines = Map(options.folder)
    mine = [(by_name[name], lines.tests(by_name[name], options.budget)) for name in names]
    path = options.folder / f"found{number}.jsonl"

    def tell(mutant: Mutant, found: str, seconds: float) -> None:
        one = {"name": mutant.name, "digest": mutant.digest, "found": found, "seconds": round(seconds, 2)}
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(one) + "\n")

    inside = [(mutant, tests) for mutant, tests in mine if mutant.function is not None]
    if inside:
        temporary = options.folder / f"tmp{number}"
        trials = Trials(ROOT, inside, lines.seconds, tell)
        pytest.main([*QUIET, f"--basetemp={temporary}", "tests"], plugins=[trials])
    for mutant, tests in mine:
        if mutant.function is None:
            _at_import(mutant, tests, lines, tell)
    return 0


def _at_import(mutant: Mutant, tests: Sequence[str], lines: Map, tell: Any) -> None:
    began = time.perf_counter()
    command = [*THIS, "alone", "--name", mutant.name]
    limit = 60 + 10 * sum(lines.seconds[test] for test in tests)
    found = "not covered"
    if tests:
        try:
            done = subprocess.run(
                command, input=json.dumps(tests), text=True, capture_output=True, timeout=limit, check=False
            )
            found = "survived" if done.returncode == 0 else "killed"
        except subprocess.TimeoutExpired:
            found = "killed (time)"
    tell(mutant, found, time.perf_counter() - began)


def alone(options: argparse.Namespace) -> int:
    """One mutant from the start of the process; the tests' names come on stdin."""
    import pytest

    from .trial import Imported

    tests = json.load(sys.stdin)
    (mutant,) = [each for each in every(ROOT) if each.name == options.name]
    files = sorted({test.partition("::")[0] for test in tests})
    return int(pytest.main([*QUIET, "-x", *files], plugins=[Imported(ROOT, mutant, tests)]))


# -- what came of it -----------------------------------------------------------------------------------------------


def accepted() -> dict[str, str]:
    """The survivors that may live, with the reason of their group."""
    reasons, reason = {}, ""
    for line in ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else ():
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def report(options: argparse.Namespace) -> int:
    """The score of each room, and every survivor that nobody accepted."""
    found, known = _found(options.folder), accepted()
    mutants = every(ROOT)
    tried = [(mutant, found[key]["found"]) for mutant in mutants if (key := (mutant.name, mutant.digest)) in found]
    counts: Counter[tuple[str, str]] = Counter()
    alive = []
    for mutant, what in tried:
        is_killed = what.startswith("killed")
        for room in (mutant.room, "all"):
            counts[room, "tried"] += 1
            counts[room, "killed"] += is_killed
            counts[room, "accepted"] += not is_killed and mutant.name in known
        if not is_killed and mutant.name not in known:
            alive.append(f"{what:12} {mutant.name}")
    print(f"{'room':8} {'mutants':>8} {'tried':>6} {'killed':>7} {'accepted':>9} {'score':>7}")
    total = Counter(mutant.room for mutant in mutants) + Counter({"all": len(mutants)})
    for room in [*dict.fromkeys(mutant.room for mutant, _ in tried), "all"]:
        number, killed, forgiven = (counts[room, what] for what in ("tried", "killed", "accepted"))
        score = 100 * killed / number if number else 0
        print(f"{room:8} {total[room]:8} {number:6} {killed:7} {forgiven:9} {score:6.1f}%")
    print(*sorted(alive), sep="\n")
    gone = sorted(known.keys() - {mutant.name for mutant in mutants})
    print(*(f"accepted, but no mutant: {name}" for name in gone), sep="\n", end="\n" if gone else "")
    return 0


COMMANDS = {"map": map_lines, "control": control, "run": run, "share": share, "alone": alone, "report": report}

if __name__ == "__main__":
    sys.exit(main())
