"""What `diff` tells as Markdown, for a ticket or a wiki."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from agent.history import Difference
from agent.render.changes_told import WORDS, first_line, incomplete, otherwise, place, ran, why
from agent.render.markdown import words


def to_markdown(difference: Difference) -> str:
    """The verdict, what could not be compared, then the changes, the worst first."""
    return "\n".join(_lines(difference)).rstrip("\n") + "\n"


def _lines(difference: Difference) -> Iterator[str]:
    yield from ("# What changed", "", f"**{words(first_line(difference))}**", "")
    unseen = incomplete(difference)
    if unseen is not None:
        yield from (f"**{words(unseen)}**", "")
    yield from (f"- OLD: {words(ran(difference.old))}", f"- NEW: {words(ran(difference.new))}")
    yield from (f"- {words(gap)}" for gap in difference.gaps)
    yield ""
    for severity, changes in groupby(difference.changes, key=lambda change: change.severity):
        yield from (f"## {WORDS[severity].title()}s", "")
        for change in changes:
            where = place(change)
            yield f"- {f'{words(where)}: ' if where else ''}**{words(otherwise(change))}**. {words(why(change))}"
        yield ""
