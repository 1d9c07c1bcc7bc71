"""What `diff` tells as CSV for a spreadsheet: a row for each change, and one for what could not be compared."""

from __future__ import annotations

from collections.abc import Iterator

from agent.history import Change, Difference
from agent.render.changes_told import incomplete, shown
from agent.render.sheet import line

COLUMNS = (
    "severity",
    "kind",
    "what",
    "server",
    "site",
    "path",
    "spn",
    "name",
    "before",
    "after",
    "because",
    "accepted",
)


def to_csv(difference: Difference) -> Iterator[str]:
    """A row at a time. What could not be compared comes first: a sheet without rows would read as an all-clear."""
    yield line(COLUMNS)
    unseen = incomplete(difference)
    for gap in (*((unseen,) if unseen is not None else ()), *difference.gaps):
        yield line(gap if column == "because" else "not compared" if column == "kind" else "" for column in COLUMNS)
    yield from (line(_row(change)) for change in difference.changes)


def _row(change: Change) -> Iterator[str]:
    for column in COLUMNS:
        value = getattr(change, column)
        if column == "accepted":
            yield "" if change.accepted is None else change.accepted.reason
        elif isinstance(value, bool | tuple):
            yield shown(value)
        else:
            yield "" if value is None else str(value)
