"""Why things are as they are, the worst and widest first, and what is to be done about each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.model import Cause, Report
from agent.render.causes_told import lines, where
from agent.render.page.elements import E, begun, name, of_class, present, sentences, severity_badge
from agent.render.page.part import MOST_CAUSES, Part
from agent.render.wording import plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_OPEN = 15
"""How many causes are seen at once."""
_PLACES = 500


def causes(part: Part) -> Iterator[Element]:
    """One entry for each that is no mere note; what could not be read stands before them."""
    unread = [_unread(cause) for cause in part.report.causes or () if cause.unread]
    if unread:
        yield E.div(of_class("card", "unread"), E.h3("Not read"), E.ul(*unread[:MOST_CAUSES]))
    entries = [_entry(at, cause) for at, cause in enumerate(part.causes, 1)]
    first, rest = entries[:_OPEN], entries[_OPEN:]
    if first:
        yield E.ol(of_class("causes"), *first)
    if rest:
        yield E.details(E.summary(f"{plural(len(rest), 'more cause')}"), E.ol(of_class("causes"), *rest))
    more = part.more_causes + max(len(unread) - MOST_CAUSES, 0)
    if more:
        yield E.p(f"{more} more causes are in --format json.")


def are_told(report: Report) -> bool:
    return any(cause.unread or cause.severity != "info" for cause in report.causes or ())


def cause_anchor(number: int) -> str:
    return f"cause-{number}"


def _entry(number: int, cause: Cause) -> Element:
    head = E.h3(severity_badge(cause.severity or "error"), " ", name(cause.finding), " ", where(cause))
    parts = present(head, E.p(begun(cause.text)), sentences(cause.fix), _places(cause))
    return E.li(
        of_class("card", "cause"),
        {"id": cause_anchor(number), "data-number": str(number), "data-k": str(number - 1)},
        *parts,
    )


def _places(cause: Cause) -> Element | None:
    """All its SPNs and servers, where the heading has not named them."""
    if len(cause.spns) <= 4 and len(cause.servers) <= 3:
        return None
    counts = " and ".join(
        plural(len(each), word) for each, word in ((cause.spns, "SPN"), (cause.servers, "server")) if each
    )
    return E.details(
        E.summary(counts),
        E.p(shortly([str(spn) for spn in cause.spns], _PLACES)),
        E.p(shortly(cause.servers, _PLACES)),
    )


def _unread(cause: Cause) -> Element:
    places = " ".join(filter(None, (shortly(cause.servers, _PLACES), shortly(lines(cause), _PLACES))))
    return E.li(name(cause.finding), f" {cause.text} ", E.span(places, of_class("dim")), *present(sentences(cause.fix)))
