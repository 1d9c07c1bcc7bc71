"""What changed between two reports. Its words, as frozen structs; `compare` finds the changes. Pure.

Order, line numbers and times are never a change. What one side did not see is none either: where a server was not read
whole, or a source was not asked, what is missing there is not known to be gone, and `gaps` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal

from msgspec import Struct

from agent import __version__
from agent.history import configured, demanded, told
from agent.history.change import Change, Kind, What
from agent.history.sides import Side, both_sides
from agent.model import SEVERITIES, Report, Tool

SCHEMA: Literal["iis-spn/diff/1"] = "iis-spn/diff/1"
"""docs/diff.schema.json."""

__all__ = ["SCHEMA", "Change", "Difference", "Kind", "Ran", "What", "compare"]


class Ran(Struct, frozen=True, kw_only=True):
    """One of the two runs: where its report comes from, when it was, whether it saw all."""

    source: str
    tool: Tool
    started: str
    complete: bool
    servers: int


class Difference(Struct, frozen=True, kw_only=True):
    """Two runs side by side. `complete`: both saw all; `gaps` says what could not be compared."""

    schema: Literal["iis-spn/diff/1"] = SCHEMA
    tool: Tool
    old: Ran
    new: Ran
    complete: bool
    gaps: tuple[str, ...]
    changes: tuple[Change, ...]


def compare(old: Report, new: Report, sources: tuple[str, str] = ("OLD", "NEW")) -> Difference:
    """What is otherwise in `new` than in `old`, the worst first; `sources` are what the two are called."""
    before, after = both_sides(old, new)
    ran_old, ran_new = (_ran(report, source) for report, source in zip((old, new), sources, strict=True))
    return Difference(
        tool=Tool("iis-spn", __version__),
        old=ran_old,
        new=ran_new,
        complete=old.complete and new.complete,
        gaps=(*after.gaps("NEW", "gone"), *before.gaps("OLD", "new")),
        changes=tuple(sorted(_changes(before, after), key=_order)),
    )


def _ran(report: Report, source: str) -> Ran:
    return Ran(
        source=source,
        tool=report.tool,
        started=report.started,
        complete=report.complete,
        servers=len(report.servers),
    )


def _changes(old: Side, new: Side) -> Iterator[Change]:
    found = chain(configured.changes(old, new), demanded.changes(old, new), told.changes(old, new))
    return (change for change in found if not _comes_with_a_server(change, old, new))


def _comes_with_a_server(change: Change, old: Side, new: Side) -> bool:
    """Whether its whole server is new, which is told once, and it is nothing that anybody must mend."""
    if change.kind != "appeared" or change.what == "server" or change.server is None or change.severity != "info":
        return False
    return new.key(change.server) not in old.servers


def _order(change: Change) -> tuple[int | str, ...]:
    place = (change.server or "", change.site or "", change.path or "", str(change.spn or ""), change.name or "")
    return (SEVERITIES.index(change.severity), change.what, *place, change.kind, str(change.before), str(change.after))
