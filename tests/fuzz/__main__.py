"""`python -m tests.fuzz [--minutes N] [--jobs N] [TARGET ...]`: each target for so long, in a process of its own.

What went wrong stands in `.fuzz/TARGET/faults` (an input, and a text beside it that says how), inputs that led
somewhere new in `.fuzz/TARGET/inputs`, where the next run goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from tests.fuzz.targets import TARGETS
from tests.fuzz.work import allowed, taken

WORKING = Path(".fuzz")
_ALONE = Lock()
"""Answers are put in the place of sockets for the whole process."""
LARGEST = 16_384
"""Bytes of an input."""


class Outcome(NamedTuple):
    """What came of a target: inputs tried, inputs that led somewhere new, faults by file."""

    name: str
    tried: int
    new: int
    faults: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.name:24}{self.tried:>12,}{self.new:>8,}{len(self.faults):>8}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split(":")[1])
    parser.add_argument("--minutes", type=float, default=60 / len(TARGETS), help="for each; all take an hour otherwise")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time")
    parser.add_argument("target", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    given = parser.parse_args()
    if unknown := [name for name in given.target if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]!r}; known: {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error('fuzzing needs atheris (Linux): pip install -e ".[fuzz]"')
    print(f"{'target':24}{'tried':>12}{'new':>8}{'faults':>8}", flush=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        outcomes = []
        for outcome in pool.map(lambda name: _run(name, given.minutes), given.target or TARGETS):
            outcomes.append(outcome)
            print(outcome, flush=True)
    for fault in (fault for outcome in outcomes for fault in outcome.faults):
        print(fault)
    return int(any(outcome.faults for outcome in outcomes))


def _run(name: str, minutes: float) -> Outcome:
    folder = WORKING / name
    inputs, faults = folder / "inputs", folder / "faults"
    for each in (inputs, faults):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (inputs / f"seed{number}").write_bytes(seed)
    tried = _fuzz(name, inputs, faults, round(minutes * 60))
    with _ALONE:
        for path, said in _too_much_work(name, inputs):
            (faults / path.name).write_bytes(path.read_bytes())
            (faults / f"{path.name}.txt").write_text(said, encoding="utf-8")
    found = tuple(sorted(path for path in faults.iterdir() if path.suffix != ".txt"))
    return Outcome(name, tried, len(list(inputs.iterdir())), found)


def _fuzz(name: str, inputs: Path, faults: Path, seconds: int) -> int:
    """How many inputs were tried. What takes more than 20 s or 2 GB ends it, and is kept by libFuzzer."""
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(faults), str(inputs), f"-max_total_time={seconds}"]
    limits = ["-timeout=20", "-rss_limit_mb=2048", f"-max_len={LARGEST}", f"-artifact_prefix={faults}/", "-verbosity=1"]
    done = subprocess.run([*command, *limits], capture_output=True, text=True, errors="replace", check=False)
    counts = re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE)
    if done.returncode:
        (faults / "ended.txt").write_text(done.stderr[-20_000:], encoding="utf-8")
    return int(counts[-1]) if counts else 0


def _too_much_work(name: str, inputs: Path) -> Iterator[tuple[Path, str]]:
    """Of the inputs that led somewhere new, those that take more than their size allows."""
    for path in sorted(inputs.iterdir()):
        data = path.read_bytes()
        if (cost := taken(name, data)) > allowed(name, data):
            yield path, f"{cost} calls, {allowed(name, data)} are allowed for {len(data)} bytes\n"


if __name__ == "__main__":
    sys.exit(main())
