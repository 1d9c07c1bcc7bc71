"""`diff` as a page: what changed, the worst first, and what could not be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import Struct

from agent.history import Change, Difference
from agent.model import Severity
from agent.model.document import json_line
from agent.render.changes_told import first_line, incomplete, otherwise, place, ran, why
from agent.render.page.elements import E, begun, of_class, severity_badge
from agent.render.page.frame import Section, Sheet, written
from agent.render.page.part import MOST
from agent.render.page.tools import by_name, by_severity, form
from agent.render.page.top import ended, heading
from agent.render.wording import plural

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

    from agent.render.page.elements import Tone

TITLE = "What changed"
_TITLES: Mapping[Severity, str] = {"error": "Errors", "warning": "Warnings", "info": "Notes"}
_COLUMNS = ("Where", "What", "Why")


class _Model(Struct, frozen=True):
    changes: tuple[Change, ...]


def to_html(difference: Difference) -> Iterator[str]:
    """The page a piece at a time."""
    changes = difference.changes[:MOST]
    servers = sorted({change.server for change in changes if change.server is not None})
    severities = {change.severity for change in changes}
    tools = form("name, SPN, setting", by_severity(severities), by_name("Server", "server", servers))
    model = json_line(_Model(changes), schema=difference.schema)
    end = ended(f"Written by {difference.tool.name} {difference.tool.version}.")
    sections = list(_sections(difference))
    return written(Sheet(TITLE, _top(difference), sections, model, end, tools if changes else None))


def _top(difference: Difference) -> Iterator[Element]:
    yield from heading(TITLE, difference.new.started, first_line(difference), _tone(difference))
    if (unseen := incomplete(difference)) is not None:
        yield E.p(unseen, of_class("gap", "bad"))
    runs = E.dl()
    for label, run in (("Old", difference.old), ("New", difference.new)):
        runs.extend([E.dt(label), E.dd(ran(run))])
    yield runs


def _tone(difference: Difference) -> Tone:
    counted = {change.severity for change in difference.changes if change.accepted is None}
    if "error" in counted:
        return "bad"
    return "mild" if "warning" in counted else "open" if counted or not difference.complete else "good"


def _sections(difference: Difference) -> Iterator[Section]:
    more = len(difference.changes) - MOST
    if more > 0:
        told = f"This difference is too large for one page: {plural(more, 'change')} of the mildest are not shown. "
        yield Section("more", "Not shown", iter([E.p(told, "All of them: --format csv, or --format json.")]))
    numbered = enumerate(difference.changes[:MOST])
    for severity, same in groupby(numbered, key=lambda each: each[1].severity):
        yield Section(f"changes-{severity}", _TITLES[severity], _table(list(same)))
    if difference.gaps:
        yield Section("gaps", "Not compared", iter([E.ul(*(E.li(gap) for gap in difference.gaps))]))


_IN_ONE = 500
"""Rows of one table; the browser lays out each table as a whole."""


def _table(rows: list[tuple[int, Change]]) -> Iterator[Element]:
    for start in range(0, len(rows), _IN_ONE):
        head = E.tr(*(E.th(column, {"scope": "col"}) for column in _COLUMNS))
        body = E.tbody(*_rows(rows[start : start + _IN_ONE]))
        yield E.table(of_class("stacked", "changes"), E.thead(head), body)


def _rows(rows: Iterable[tuple[int, Change]]) -> Iterator[Element]:
    for at, change in rows:
        badges = [severity_badge(change.severity, accepted=True), " "] if change.accepted is not None else []
        cells: tuple[list[Element | str], ...] = (
            [place(change) or "several servers"],
            [*badges, E.b(otherwise(change))],
            [begun(why(change))],
        )
        row = E.tr({"data-c": str(at)})
        for label, cell in zip(_COLUMNS, cells, strict=True):
            row.append(E.td(*cell, {"data-label": label}))
        yield row
