"""The pictures of a report: those that are wrong one by one, for each cause; those that are right behind a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from agent.model import Outcome
from agent.render.page.causes import cause_anchor
from agent.render.page.drawing import legend
from agent.render.page.elements import WORST_FIRST, E, of_class, outcome_badge
from agent.render.page.part import Part, server_anchor
from agent.render.page.picture import drawn
from agent.render.page.ties import Knot, knots
from agent.render.wording import MEANINGS, plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_OPEN, _MOST = 3, 30
"""How many pictures of one cause are seen at once, and how many there are at all."""
_SERVERS = 3


def pictures(part: Part, *, linked: bool = True) -> Iterator[Element]:
    """`linked`: the causes and the servers stand on the same page."""
    found = knots(part.overview.report, part.requirements)
    outcomes = {one.outcome for knot in found for one in knot.requirements}
    yield legend((outcome for outcome in WORST_FIRST if outcome in outcomes), MEANINGS)
    for (number, outcome), same in _by_cause(part, found).items():
        gallery = _Gallery(part, number if linked else None, linked)
        yield E.div(of_class("group"), *gallery.group(outcome, same))


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


class _Gallery(NamedTuple):
    """The pictures of one cause."""

    part: Part
    number: int | None
    linked: bool

    def group(self, outcome: Outcome, same: list[Knot]) -> Iterator[Element]:
        """The first few, the others behind a line, and how many there are beyond."""
        shown = 0 if outcome == "kerberos" else _OPEN
        yield from map(self._figure, same[:shown])
        if len(same) > shown:
            rest = same[shown:_MOST]
            more = len(same) - len(rest) - shown
            where = "stand in the tables of their servers" if self.linked else "are on the page of `inspect`"
            left = [E.p(f"{more} more {where}.")] if more else []
            summary = E.summary(*_rest(self.number, outcome, same[shown:], is_all=not shown))
            yield E.details(summary, *map(self._figure, rest), *left)

    def _figure(self, knot: Knot) -> Element:
        spns = [str(spn) for tie in knot.ties for spn in tie.spns]
        title = f"{shortly(spns, 2)} on {shortly(knot.servers, 2)}"
        return E.figure(
            of_class("tie"),
            {"data-r": " ".join(self.part.number(one) for one in knot.requirements)},
            self._caption(knot, spns),
            *drawn(knot, title),
        )

    def _caption(self, knot: Knot, spns: list[str]) -> Element:
        parts: list[Element | str] = [outcome_badge(knot.outcome), " ", E.b(shortly(spns, 2)), " on"]
        for server in knot.servers[:_SERVERS]:
            parts += [" ", E.a(server, {"href": f"#{server_anchor(server)}"}) if self.linked else server]
        if len(knot.servers) > _SERVERS:
            parts.append(f" +{len(knot.servers) - _SERVERS}")
        if self.number is not None:
            parts += [", ", E.a(f"cause {self.number}", {"href": f"#{cause_anchor(self.number)}"})]
        return E.figcaption(*parts)


def _rest(number: int | None, outcome: Outcome, knots: list[Knot], *, is_all: bool) -> list[Element | str]:
    """`OK 9 SPNs in 7 pictures`, `BROKEN 7 more of cause 3`"""
    count = plural(sum(len(tie.spns) for knot in knots for tie in knot.ties), "SPN" if is_all else "more SPN")
    of = "" if number is None else f" of cause {number}"
    return [outcome_badge(outcome), f" {count}{of} in {plural(len(knots), 'picture')}"]
