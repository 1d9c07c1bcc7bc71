"""What the benchmarks share: rounds of interleaved timings, peak memory of a process of its own, a table."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

ROUNDS = 5


class Timings:
    """Seconds of several subjects, one of each per round, so that a busy moment of the machine meets all of them."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = seconds

    def median(self, name: str) -> float:
        """The median of one subject."""
        return median(self.seconds[name])

    def ratio(self, name: str, baseline: str) -> float:
        """The median over the rounds of one subject's time to another's in the same round."""
        return median(a / b for a, b in zip(self.seconds[name], self.seconds[baseline], strict=True))


def interleaved(
    subjects: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, clock: Callable[[], float] = time.process_time
) -> Timings:
    """Run every subject once per round; CPU seconds, unless another clock is given.

    Results are freed, and garbage collected, outside the time.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, run in subjects.items():
            gc.collect()
            begun = clock()
            result = run()
            seconds[name].append(clock() - begun)
            del result
    return Timings(seconds)


def peak_memory() -> float:
    """The highest resident memory of this process so far, in MB.

    Linux keeps it per process image (VmHWM); getrusage's ru_maxrss there starts at the parent's, so it is the
    second choice.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024 / 1024


def memory_of(module: str, *arguments: str) -> float:
    """The MB that `python -m MODULE --memory ARGUMENTS` prints: its peak above what it held after its imports."""
    command = [sys.executable, "-m", module, "--memory", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, figures to the right."""
    texts = [list(map(_text, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (texts[0], rule, *texts[1:]):
        first, *rest = zip(row, widths, strict=True)
        print("|", " | ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]), "|")
    print(flush=True)


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
