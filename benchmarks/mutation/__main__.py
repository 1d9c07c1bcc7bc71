"""How many small changes to the core does a test notice? For a quiet hour, with `pip install coverage`:

    python -m benchmarks.mutation map                        which test runs which line: once
    python -m benchmarks.mutation map --tests tests/test_x.py ...   the same for tests that are new or changed
    python -m benchmarks.mutation run --sample 300 --seed 1  mutants one after another; goes on where it was stopped
    python -m benchmarks.mutation run --again --budget 1000  those that live, with the slower tests or with new ones
    python -m benchmarks.mutation report                     the score of each room, and the mutants that live

The core may change after it was mapped: its lines are followed to where they stand.

What it finds is kept in `.mutation/`. `accepted.txt` lists the survivors that may live, with a reason for each group.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from . import results
from .lines import ALL, ROOT, Map, is_in, keep, ordered, read
from .mutants import ROOMS, Mutant, every

QUIET = ["-q", "-p", "no:cacheprovider", "--no-header", "--no-summary", "--ignore=tests/live"]
THIS = [sys.executable, "-m", "benchmarks.mutation"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation")
    parser.add_argument("--sample", type=int, help="so many mutants: the same ones while the code around them moves")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", help="one of " + ", ".join(room.removesuffix(".py") for room in ROOMS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests for one mutant, the fastest first")
    parser.add_argument("--accepted", action="store_true", help="those of accepted.txt alone: do they live?")
    parser.add_argument("--again", action="store_true", help="try those that live again, too")
    parser.add_argument("--tests", nargs="*", default=[ALL], help="for `map`: these files only")
    parser.add_argument("--share", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(ROOT)
    return COMMANDS[options.what](options)


# -- which test runs which line ------------------------------------------------------------------------------------


def map_lines(options: argparse.Namespace) -> int:
    """Run the offline tests once, watched."""
    from .covering import Covering

    options.folder.mkdir(exist_ok=True)
    covering = Covering(ROOT)
    pytest.main([*QUIET, *options.tests], plugins=[covering])
    keep(options.folder, covering.found(), options.tests)
    return subprocess.call([*THIS, "control", "--folder", str(options.folder), "--tests", *options.tests])


def control(options: argparse.Namespace) -> int:
    """Run the tests in a fork and in the order of a trial, with nothing changed: one that fails so judges no mutant."""
    from .trial import Control

    tests = [test for test in read(options.folder)["tests"] if is_in(test, options.tests)]
    found = Control(ordered(tests, dict.fromkeys(tests, 0)))
    pytest.main([*QUIET, f"--basetemp={options.folder / 'tmp'}", *options.tests], plugins=[found])
    print(*(f"judges no mutant: {name}" for name in tests if name not in found.seconds), sep="\n")
    path = options.folder / "seconds.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {test: seconds for test, seconds in before.items() if not is_in(test, options.tests)}
    path.write_text(json.dumps({**kept, **found.seconds}), encoding="utf-8")
    return 0


# -- trying --------------------------------------------------------------------------------------------------------


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    mutants = [mutant for mutant in every(ROOT) if options.room in {None, mutant.room}]
    if options.accepted:
        mutants = [mutant for mutant in mutants if mutant.name in results.accepted()]
    drawn = sorted(mutants, key=lambda mutant: hashlib.sha256(f"{options.seed} {mutant.name}".encode()).digest())
    return drawn[: options.sample]


def run(options: argparse.Namespace) -> int:
    """Try what was not tried yet, in processes of their own, and report."""
    before = results.found(options.folder)
    results.gather(options.folder, before)
    wanted = {"not tried", *(("survived", "not covered") if options.again else ())}
    left = [m.name for m in _chosen(options) if before.get((m.name, m.digest), "not tried") in wanted]
    print(f"{len(left)} mutants to try", flush=True)
    (options.folder / "left.json").write_text(json.dumps(left), encoding="utf-8")
    command = [*THIS, "share", "--folder", str(options.folder), "--budget", str(options.budget)]
    shares = [subprocess.Popen([*command, "--share", f"{number}/{options.jobs}"]) for number in range(options.jobs)]
    codes = [share.wait() for share in shares]
    return report(options) or max(codes)


def share(options: argparse.Namespace) -> int:
    """One process's part: forks for what functions do, then a process each for what runs at import."""
    from .trial import Trials

    number, of = map(int, options.share.split("/"))
    names = json.loads((options.folder / "left.json").read_text(encoding="utf-8"))[number::of]
    by_name, lines = {mutant.name: mutant for mutant in every(ROOT)}, Map(options.folder)
    mine = [(by_name[name], lines.tests(by_name[name], options.budget)) for name in names]
    tell = partial(results.add, options.folder / f"found{number}.jsonl")
    inside = [(mutant, tests) for mutant, tests in mine if mutant.function is not None]
    if inside:
        trials = Trials(ROOT, inside, lines.seconds, tell)
        pytest.main([*QUIET, f"--basetemp={options.folder / f'tmp{number}'}", "tests"], plugins=[trials])
    for mutant, tests in mine:
        if mutant.function is None:
            began = time.perf_counter()
            found = _at_import(mutant, tests, 60 + 10 * sum(lines.seconds[test] for test in tests))
            tell(mutant, found, time.perf_counter() - began)
    return 0


def _at_import(mutant: Mutant, tests: Sequence[str], limit: float) -> str:
    if not tests:
        return "not covered"
    command = [*THIS, "alone", "--name", mutant.name]
    try:
        done = subprocess.run(
            command, input=json.dumps(tests), text=True, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return "killed (time)"
    return "survived" if done.returncode == 0 else "killed"


def alone(options: argparse.Namespace) -> int:
    """One mutant from the start of the process; the tests' names come on stdin."""
    from .trial import Imported

    tests = json.load(sys.stdin)
    (mutant,) = [each for each in every(ROOT) if each.name == options.name]
    files = sorted({test.partition("::")[0] for test in tests})
    return int(pytest.main([*QUIET, "-x", *files], plugins=[Imported(ROOT, mutant, tests)]))


def report(options: argparse.Namespace) -> int:
    """What came of it so far, or of a sample of it."""
    print(*results.told(_chosen(options), results.found(options.folder)), sep="\n")
    names = {mutant.name for mutant in every(ROOT)}
    print(*(f"accepted, but no mutant: {name}" for name in sorted(results.accepted().keys() - names)), sep="\n")
    return 0


COMMANDS = {"map": map_lines, "control": control, "run": run, "share": share, "alone": alone, "report": report}

if __name__ == "__main__":
    sys.exit(main())
