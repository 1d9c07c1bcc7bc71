"""The picture: names, the SPN they lead to, the account that holds it, the account that decrypts, what runs there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.model import ClientOutcome, Requirement
from agent.names import AccountName
from agent.render.page.drawing import Box, Drawing
from agent.render.page.ties import End, Knot, Tie
from agent.render.wording import MEANINGS, WORDS, held_by, listed, plural, shortly

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

HEADS = ("people type", "a ticket is asked for", "held by", "decrypts", "application, pool, server")
_SHOWN = 3
_MOST = 30
"""Boxes of one layer; the tables have all."""


def drawn(knot: Knot, title: str) -> tuple[Element, Element]:
    """The picture of one knot; what it shows stands in its description, too."""
    drawing = Drawing(HEADS)
    ties, ends = knot.ties[:_MOST], knot.ends[:_MOST]
    accounts = {end.account: drawing.box(3, end.account, (_told(end.account),)) for end in ends}
    spns = [drawing.box(1, at, _few([str(spn) for spn in tie.spns])) for at, tie in enumerate(ties)]
    for tie, spn in zip(ties, spns, strict=True):
        _held(drawing, tie, spn, accounts)
    for end in ends:
        _end(drawing, end, spns, accounts[end.account])
    return drawing.pictures(title, " ".join(told(knot)))


def _held(drawing: Drawing, tie: Tie, spn: Box, accounts: dict[AccountName | None, Box]) -> None:
    """Whom the KDC finds, and whether that is who decrypts."""
    for need in tie.needs:
        for holder in _holders(need):
            box = drawing.box(2, holder, (holder,))
            drawing.tie(spn, box)
            if need.account in accounts:
                is_right = need.outcome == "duplicate" and holder == _told(need.account)
                drawing.tie(box, accounts[need.account], None if is_right else need.outcome)


def _end(drawing: Drawing, end: End, spns: list[Box], account: Box) -> None:
    names = tuple(dict.fromkeys(host.host.text for one in end.applications for host in one.hosts))
    if names:
        box = drawing.box(0, names, _few(names))
        for at in end.ties:
            if at < len(spns):
                drawing.tie(box, spns[at])
    if end.applications:
        drawing.tie(account, drawing.box(4, (end.account, end.ties), tuple(_where(end))))


def drawn_request(clients: Sequence[str], url: str, got: ClientOutcome) -> tuple[Element, Element]:
    """The picture of one request: who asks, for what, whose key the ticket has, and who would have to open it."""
    drawing = Drawing(("asked by", *HEADS[1:4], "what answers"))
    spn = drawing.box(1, "", ("no ticket" if got.spn is None else str(got.spn),))
    drawing.tie(drawing.box(0, "", _few(clients)), spn)
    account = drawing.box(3, "", (_told(got.decrypts_as),))
    for holder in _holders(got) if got.spn is not None else ():
        box = drawing.box(2, holder, (holder,))
        is_right = got.outcome == "duplicate" and holder == _told(got.decrypts_as)
        drawing.tie(spn, box)
        drawing.tie(box, account, None if is_right else got.outcome)
    if got.server is not None:
        place = f"{got.site or ''} {got.path or ''}".strip()
        drawing.tie(account, drawing.box(4, "", (*([place] if place else []), got.server)))
    facts = "; ".join(got.because) or ("no ticket" if got.outcome is None else MEANINGS[got.outcome])
    return drawing.pictures(f"{url} with {', '.join(clients)}", facts)


def told(knot: Knot) -> Iterator[str]:
    """The same in sentences."""
    for tie in knot.ties[:_MOST]:
        names = shortly([str(spn) for spn in tie.spns], _SHOWN)
        for need in tie.needs:
            on = ", ".join(_holders(need))
            who = _told(need.account)
            places = plural(len(need.applications), "application")
            yield f"{names}: held by {on}; {who} decrypts for {places}: {WORDS[need.outcome]}."


# -- what stands in a box ------------------------------------------------------------------------------------------


def _holders(one: Requirement | ClientOutcome) -> tuple[str, ...]:
    """Each account that answers for an SPN; one word where there is none, or nobody looked."""
    if one.holders:
        return tuple(listed([account]) for account in one.holders)
    return (held_by(one) or "not known",)


def _told(account: AccountName | None) -> str:
    return "nobody that can be named" if account is None else listed([account])


def _where(end: End) -> Iterator[str]:
    first = end.applications[0]
    yield from _few([f"{one.site} {one.path}" for one in end.applications[:1]], len(end.applications) - 1)
    pools = dict.fromkeys(one.pool or "no pool" for one in end.applications)
    yield from _few([first.pool or "no pool"], len(pools) - 1)
    servers = list(dict.fromkeys(one.server for one in end.applications))
    yield shortly(servers, 2)


def _few(names: Sequence[str], more: int = 0) -> tuple[str, ...]:
    rest = len(names) - _SHOWN + more if len(names) > _SHOWN else more
    shown = tuple(names[:_SHOWN])
    return (*shown[:-1], f"{shown[-1]} +{rest}") if rest > 0 else shown
