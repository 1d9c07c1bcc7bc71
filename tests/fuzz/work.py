"""What an input may cost, counted: in proportion to its size, and so much more than the seeds of its target."""

from __future__ import annotations

import contextlib
from functools import cache

from tests.fuzz.targets import TARGETS
from tests.work import calls

PER_BYTE = 100
"""Calls. Of the seeds, none takes more than 60."""
TIMES = 20
"""How many times as much as its largest seed: an input of a few bytes may have more to tell."""


def taken(name: str, data: bytes) -> int:
    """Calls until the data are read or refused; a fault is told elsewhere."""

    def read() -> None:
        with contextlib.suppress(Exception):
            TARGETS[name].holds(data)

    return calls(read)


def allowed(name: str, data: bytes) -> int:
    return TARGETS[name].besides + TIMES * _seeds(name) + PER_BYTE * len(data)


@cache
def _seeds(name: str) -> int:
    return max(taken(name, seed) for seed in TARGETS[name].seeds())
