"""The farm at a glance: a tile for each server, and which name works on which server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agent.model import Outcome, Server
from agent.render.page.elements import TONES, E, Tone, name, of_class, outcome_badge, worst
from agent.render.page.part import Part, server_anchor, servers_of
from agent.render.wording import WORDS, WORST_FIRST, plural

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

_WIDE = 12
"""More servers than that are no columns: each name is followed by its own."""
_MOST = 300

_Map = Mapping[str, Mapping[str, Outcome]]


def farm(part: Part) -> Iterator[Element]:
    """Where it is a farm."""
    yield E.p("Each server by the worst of what happens there.")
    yield E.ul(of_class("tiles"), *(_tile(part, server) for server in part.worst_first))
    found = _map(part)
    shared = {host: ends for host, ends in found.items() if len(ends) > 1}
    if len(part.servers) <= _WIDE:
        yield _table([server.name for server in part.servers], dict(list(found.items())[:_MOST]))
        yield from _more(len(found) - _MOST)
    elif shared:
        yield E.h3("Names that several servers answer")
        yield E.table(
            of_class("map"),
            E.thead(E.tr(E.th("Name", {"scope": "col"}), E.th("Servers", {"scope": "col"}))),
            E.tbody(*(_row(host, ends) for host, ends in list(shared.items())[:_MOST])),
        )
        yield from _more(len(shared) - _MOST)


def _more(number: int) -> Iterator[Element]:
    if number > 0:
        yield E.p(f"{plural(number, 'more name')} in the tables of the servers.")


def _tile(part: Part, server: Server) -> Element:
    tone, word = _worst(server, part.outcomes[server.name])
    is_link = part.is_shown(server)
    about = {"data-server": server.name, "class": f"tile {tone}{'' if is_link else ' plain'}"}
    inner = [E.b(server.name), E.span(word)]
    if is_link:
        return E.li(E.a({"href": f"#{server_anchor(server.name)}"}, *inner), about)
    return E.li(*inner, about)


def _worst(server: Server, counts: Counter[Outcome]) -> tuple[Tone, str]:
    if server.status == "failed":
        return "bad", "NOT READ"
    outcome = worst(counts)
    if outcome is None:
        return "open", "no SPN" if server.status == "ok" else "PARTIAL"
    told = f"{WORDS[outcome]} {counts[outcome]}"
    if server.status == "ok":
        return TONES[outcome], told
    return "open" if outcome == "kerberos" else TONES[outcome], f"{told}, PARTIAL"


def _map(part: Part) -> _Map:
    """The worst outcome of each name on each server, names with the worst first."""
    found: dict[str, dict[str, set[Outcome]]] = {}
    for requirement in part.requirements:
        for server in servers_of(requirement) if requirement.matters else ():
            found.setdefault(requirement.spn.host.text, {}).setdefault(server, set()).add(requirement.outcome)
    ends = {
        host: {server: end for server, each in servers.items() if (end := worst(each)) is not None}
        for host, servers in found.items()
    }
    return dict(sorted(ends.items(), key=lambda item: min(map(WORST_FIRST.index, item[1].values()))))


def _table(servers: list[str], found: _Map) -> Element:
    columns = [E.th(E.a(server, {"href": f"#{server_anchor(server)}"}), {"scope": "col"}) for server in servers]
    return E.div(
        of_class("scroller"),
        {"tabindex": "0", "role": "group", "aria-label": "Names and servers"},
        E.table(
            of_class("map", "grid"),
            E.caption("What happens to each name on each server"),
            E.thead(E.tr(E.th("Name", {"scope": "col"}), *columns)),
            E.tbody(*(E.tr(_name(host), *(_cell(ends.get(each)) for each in servers)) for host, ends in found.items())),
        ),
    )


def _name(host: str) -> Element:
    return E.th(name(host), {"scope": "row"})


def _cell(outcome: Outcome | None) -> Element:
    return E.td() if outcome is None else E.td(WORDS[outcome], of_class("cell", TONES[outcome]))


def _row(host: str, ends: Mapping[str, Outcome]) -> Element:
    cells: list[Element] = []
    for server, outcome in list(ends.items())[:_WIDE]:
        link = E.a(server, {"href": f"#{server_anchor(server)}"})
        cells.append(E.span(of_class("pair"), link, " ", outcome_badge(outcome)))
    more = [f" and {len(ends) - _WIDE} more"] if len(ends) > _WIDE else []
    return E.tr(_name(host), E.td(*cells, *more))
