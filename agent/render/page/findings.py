"""Each finding with the lines that show it and what to do, under an address that stays the same in each run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.model import Finding, Server
from agent.render.page.elements import E, begun, name, of_class, present, sentences, severity_badge
from agent.render.page.part import Part, server_anchor
from agent.render.wording import at_line, by_severity, first_few, reason_told, subject

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element


def findings(part: Part) -> Iterator[Element]:
    servers = {server.name: server for server in part.servers}
    for found in by_severity(part.findings):
        yield _entry(part, found, servers)


def link(part: Part, found: Finding) -> Element:
    """A line that leads to a finding."""
    badge = severity_badge(found.severity, accepted=found.accepted is not None)
    return E.li(badge, " ", E.a(found.id, {"href": f"#{part.anchor(found)}"}), f" {_shortly(found.message)}")


def _shortly(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:159]}…"


def _entry(part: Part, found: Finding, servers: dict[str, Server]) -> Element:
    address = part.anchor(found) or ""
    first = servers.get(found.server or "")
    head = E.h3(
        severity_badge(found.severity, accepted=found.accepted is not None),
        " ",
        E.a(name(found.id), {"href": f"#{address}", "title": "the address of this finding"}),
    )
    parts = present(head, _about(found, servers), E.p(begun(found.message)), _seen(found, first), _accepted(found))
    return E.article(
        of_class("card", "finding"),
        {"id": address, "data-f": part.number(found)},
        *parts,
        *present(sentences(found.fix)),
    )


def _about(found: Finding, servers: dict[str, Server]) -> Element | None:
    """Where it is: the servers, the site, the SPN."""
    parts: list[Element] = []
    told = found.all_servers
    if len(told) == 1 and told[0] in servers:
        parts.append(E.a(told[0], {"href": f"#{server_anchor(told[0])}"}))
    elif told:
        parts.append(E.span(first_few(told)))
    parts += [E.span(each) for each in (subject(found),) if each]
    parts += [name(str(found.spn))] if found.spn is not None else []
    if not parts:
        return None
    line = E.p(of_class("about"))
    for at, each in enumerate(parts):
        line.extend([*([E.span(" · ", of_class("dim"))] if at else []), each])
    return line


def _seen(found: Finding, server: Server | None) -> Element | None:
    lines = [
        E.li(*([name(place), " "] if (place := at_line(line.file, line.line, server)) else []), line.text)
        for line in found.evidence
    ]
    return E.ul(of_class("seen"), *lines) if lines else None


def _accepted(found: Finding) -> Element | None:
    return None if found.accepted is None else E.p(f"Accepted: {reason_told(found.accepted)}")
