"""What `diff` tells as text: the verdict, then every change, the worst first."""

from __future__ import annotations

from itertools import groupby

from agent.history import Change, Difference
from agent.render.changes_told import first_line, incomplete, otherwise, place, ran, why
from agent.render.findings import SEVERITY_WORDS
from agent.render.layout import SEVERITY_LOOKS, UNITS, Page
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown


def to_text(
    difference: Difference, width: int, color: bool, shown: Shown = "all", _: Following = NOTHING_FOLLOWS
) -> str:
    """The whole difference, or the verdict alone."""
    page = Page(width)
    page.prose(first_line(difference), look="bold")
    unseen = incomplete(difference)
    if unseen is not None:
        page.prose(unseen, look="bold red")
    if shown != "verdict":
        _whole(page, difference)
    return page.text(color)


def _whole(page: Page, difference: Difference) -> None:
    for name, run in (("OLD", difference.old), ("NEW", difference.new)):
        page.prose(ran(run), 5, first=name)
    for gap in difference.gaps:
        page.prose(gap)
    for severity, changes in groupby(difference.changes, key=lambda change: change.severity):
        page.heading(f"{SEVERITY_WORDS[severity]}S", "")
        for change in changes:
            _change(page, change)


def _change(page: Page, change: Change) -> None:
    where = place(change)
    look = "dim" if change.accepted is not None else SEVERITY_LOOKS[change.severity]
    page.prose([*([f"{where}:"] if where else []), *UNITS.findall(otherwise(change))], 4, first="  *", look=look)
    page.prose(why(change), 6)
