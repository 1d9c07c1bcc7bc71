"""The pictures of a report: those that are wrong one by one, for each cause; those that are right behind a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.model import Outcome
from agent.render.page.causes import cause_anchor
from agent.render.page.drawing import legend
from agent.render.page.elements import E, name, of_class, outcome_badge
from agent.render.page.part import Part, server_anchor
from agent.render.page.picture import drawn
from agent.render.page.ties import Knot, knots
from agent.render.wording import MEANINGS, WORST_FIRST, plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_OPEN, MOST_PICTURES = 3, 30
"""How many pictures of one kind of cause are seen at once, and how many there are at all."""
_SERVERS = 3

_Kind = tuple[str | None, Outcome]
"""The finding that causes it, and what happens."""


def pictures(part: Part, *, linked: bool = True) -> Iterator[Element]:
    """`linked`: the causes and the servers stand on the same page."""
    gallery = _Gallery(part, linked)
    found = knots(part.overview.report, part.requirements)
    outcomes = {one.outcome for knot in found for one in knot.requirements}
    yield legend((outcome for outcome in WORST_FIRST if outcome in outcomes), MEANINGS)
    kinds: dict[_Kind, list[Knot]] = {}
    for knot in found:
        kinds.setdefault(gallery.kind(knot), []).append(knot)
    for kind, same in kinds.items():
        yield E.div(of_class("group"), *gallery.group(kind, same))


class _Gallery:
    """Pictures with what stands above them."""

    def __init__(self, part: Part, linked: bool) -> None:
        self.part = part
        self.linked = linked
        self._finding = {at: cause.finding for at, cause in enumerate(part.causes, 1)}
        self._cause = {spn: at for at, cause in reversed(list(enumerate(part.causes, 1))) for spn in cause.spns}

    def _number(self, knot: Knot) -> int | None:
        """Its cause: the first one of those that are told of an SPN with the worst outcome."""
        worst = knot.outcome
        wrong = (one.spn for one in knot.requirements if one.outcome == worst != "kerberos")
        return min((self._cause[spn] for spn in wrong if spn in self._cause), default=None)

    def kind(self, knot: Knot) -> _Kind:
        number = self._number(knot)
        return None if number is None else self._finding[number], knot.outcome

    def group(self, kind: _Kind, same: list[Knot]) -> Iterator[Element]:
        """The first few, the others behind a line, and how many there are beyond."""
        finding, outcome = kind
        shown = 0 if outcome == "kerberos" else _OPEN
        yield from map(self._figure, same[:shown])
        if len(same) > shown:
            rest = same[shown:MOST_PICTURES]
            more = len(same) - len(rest) - shown
            where = "stand in the tables of their servers" if self.linked else "are on the page of `inspect`"
            left = [E.p(f"{more} more {where}.")] if more else []
            told = plural(
                sum(len(tie.spns) for knot in same[shown:] for tie in knot.ties), "more SPN" if shown else "SPN"
            )
            of = [] if finding is None else [" of ", name(finding)]
            summary = E.summary(outcome_badge(outcome), f" {told}", *of, f" in {plural(len(same) - shown, 'picture')}")
            yield E.details(summary, *map(self._figure, rest), *left)

    def _figure(self, knot: Knot) -> Element:
        spns = [str(spn) for tie in knot.ties for spn in tie.spns]
        title = f"{shortly(spns, 2)} on {shortly(knot.servers, 2)}"
        about = {"data-r": " ".join(self.part.number(one) for one in knot.requirements), "class": "tie"}
        return E.figure(about, self._caption(knot, spns), *drawn(knot, title))

    def _caption(self, knot: Knot, spns: list[str]) -> Element:
        parts: list[Element | str] = [outcome_badge(knot.outcome), " ", E.b(shortly(spns, 2)), " on"]
        for server in knot.servers[:_SERVERS]:
            parts += [" ", E.a(server, {"href": f"#{server_anchor(server)}"}) if self.linked else server]
        if len(knot.servers) > _SERVERS:
            parts.append(f" +{len(knot.servers) - _SERVERS}")
        number = self._number(knot)
        if number is not None and self.linked:
            parts += [", ", E.a(f"cause {number}", {"href": f"#{cause_anchor(number)}"})]
        return E.figcaption(*parts)
