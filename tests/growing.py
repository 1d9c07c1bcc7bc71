"""What twice as much costs: `python -m tests.growing` prints, for each axis of `benchmarks.growth`, the steps of a
size and of twice that, of the whole and of each function that takes more than in proportion.

In a process of its own, where the program is compiled with counters in it (`tests/stepping.py`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import stepping  # noqa: E402  # its place is not on the path before

stepping.count()

from benchmarks.growth import AXES, Axis  # noqa: E402  # whatever they import is counted

PART, LEAST = 10, 10
"""The part of an axis' size that is looked at, and the least of anything."""
IN_PROPORTION, WORTH_LOOKING_AT = 2.6, 1000
"""Twice the size; a sort, and what is done once, make it a little more or less. Few steps are nobody's trouble yet."""


def measured(axis: Axis) -> tuple[Counter[str], Counter[str]]:
    """The steps of both sizes, after what is made once was made."""
    size = max(axis.size // PART, LEAST)
    stepping.taken(axis.make(3))
    first, second = (stepping.taken(axis.make(count)) for count in (size, 2 * size))
    return first, second


def main() -> None:
    found = {}
    for name, axis in AXES.items():
        small, large = measured(axis)
        growing = {
            place: f"{small[place]} -> {steps}"
            for place, steps in large.items()
            if steps > WORTH_LOOKING_AT and steps > IN_PROPORTION * small[place]
        }
        found[name] = {"steps": [small.total(), large.total()], "growing": growing}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
