"""The pictures of a report: those that are wrong one by one, for each cause; those that are right behind a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from agent.model import Outcome
from agent.render.page.causes import cause_anchor
from agent.render.page.elements import WORST_FIRST, E, of_class, outcome_badge
from agent.render.page.part import Part, server_anchor
from agent.render.page.picture import drawn, legend, told
from agent.render.page.ties import Knot, knots
from agent.render.wording import plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_OPEN, _MOST = 3, 30
"""How many pictures of one cause are seen at once, and how many there are at all."""


def pictures(part: Part) -> Iterator[Element]:
    found = knots(part.overview.report, part.requirements)
    outcomes = {one.outcome for knot in found for one in knot.requirements}
    yield legend(outcome for outcome in WORST_FIRST if outcome in outcomes)
    for (number, outcome), same in _by_cause(part, found).items():
        yield E.div(of_class("group"), *_group(part, number, outcome, same))


def _by_cause(part: Part, found: Iterable[Knot]) -> dict[tuple[int | None, Outcome], list[Knot]]:
    """The pictures of one cause together, and those without one by what happens."""
    causes = [one for one in part.report.causes or () if not one.unread and one.severity != "info"]
    number = {spn: at for at, cause in reversed(list(enumerate(causes, 1))) for spn in cause.spns}
    groups: dict[tuple[int | None, Outcome], list[Knot]] = {}
    for knot in found:
        wrong = (one for one in knot.requirements if one.outcome == knot.outcome)
        at = min((number[one.spn] for one in wrong if one.spn in number), default=None)
        groups.setdefault((at if knot.outcome != "kerberos" else None, knot.outcome), []).append(knot)
    return groups


def _group(part: Part, number: int | None, outcome: Outcome, same: list[Knot]) -> Iterator[Element]:
    shown = 0 if outcome == "kerberos" else _OPEN
    yield from (_figure(part, knot, number) for knot in same[:shown])
    if len(same) > shown:
        rest = same[shown:_MOST]
        more = len(same) - len(rest) - shown
        left = [E.p(f"{more} more stand in the tables of their servers.")] if more else []
        summary = E.summary(*_rest(number, outcome, same[shown:], is_all=not shown))
        yield E.details(summary, *(_figure(part, knot, number) for knot in rest), *left)


def _rest(number: int | None, outcome: Outcome, knots: list[Knot], *, is_all: bool) -> list[Element | str]:
    """`OK 9 SPNs in 7 pictures`, `BROKEN 7 more of cause 3`"""
    count = plural(sum(len(tie.spns) for knot in knots for tie in knot.ties), "SPN" if is_all else "more SPN")
    of = "" if number is None else f" of cause {number}"
    return [outcome_badge(outcome), f" {count}{of} in {plural(len(knots), 'picture')}"]


def _figure(part: Part, knot: Knot, number: int | None) -> Element:
    spns = [str(spn) for tie in knot.ties for spn in tie.spns]
    title = f"{shortly(spns, 2)} on {shortly(knot.servers, 2)}"
    numbers = " ".join(part.number(one) for one in knot.requirements)
    servers = [E.a(server, {"href": f"#{server_anchor(server)}"}) for server in knot.servers[:3]]
    caption = E.figcaption(outcome_badge(knot.outcome), " ", E.b(shortly(spns, 2)), " on ")
    for at, link in enumerate(servers):
        caption.extend([*([E.span(" ")] if at else []), link])
    more = len(knot.servers) - len(servers)
    if more > 0:
        caption.append(E.span(f" +{more}"))
    if number is not None:
        caption.append(E.span(", ", E.a(f"cause {number}", {"href": f"#{cause_anchor(number)}"})))
    scroller = E.div(of_class("scroller"), {"tabindex": "0", "role": "group", "aria-label": title}, drawn(knot, title))
    words = E.ul(of_class("told"), *(E.li(sentence) for sentence in told(knot)))
    return E.figure(of_class("tie"), {"data-r": numbers}, caption, words, scroller)
