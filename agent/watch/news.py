"""What is new in a report for somebody who has read the ones before. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.history import Change, compare
from agent.model import SEVERITIES, Report


def news(whole: Report | None, last: Report | None, new: Report) -> Sequence[Change]:
    """The changes since `last`, the worst first; none where that is the first report.

    `whole` is the last report that saw everything. What one that did not see everything was silent about is not known
    to be new against it; against the whole one it is, and is told once.
    """
    if last is None:
        return ()
    found = {_subject(change): change for change in compare(last, new).changes}
    if whole is not None and not last.complete:
        told = frozenset(compare(whole, last).changes)
        found |= {_subject(change): change for change in compare(whole, new).changes if change not in told}
    return sorted(found.values(), key=lambda change: SEVERITIES.index(change.severity))


def _subject(change: Change) -> tuple[object, ...]:
    return change.what, change.server, change.site, change.path, change.spn, change.name, _holder(change)


def _holder(change: Change) -> object:
    """Of a holder that came or left, which: the same SPN may have several."""
    return (change.before, change.after) if change.what in {"holder", "finding"} else None
