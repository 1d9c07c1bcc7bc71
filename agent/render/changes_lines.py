"""What `diff` tells as JSON lines for a SIEM: one change on a line."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from agent.history import Difference
from agent.model.document import json_line


class _Gap(Struct, frozen=True):
    text: str


def to_jsonl(difference: Difference) -> Iterator[str]:
    """First both runs (`type` "diff"), so that one without changes is seen too, and what could not be compared ("gap").

    `run` is when NEW started.
    """
    run = difference.new.started
    for side, told in (("old", difference.old), ("new", difference.new)):
        yield from json_line(told, type="diff", run=run, side=side)
    for gap in difference.gaps:
        yield from json_line(_Gap(gap), type="gap", run=run)
    for change in difference.changes:
        yield from json_line(change, type="change", run=run)
