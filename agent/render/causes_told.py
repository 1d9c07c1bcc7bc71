"""Causes in words, for every format that is made for people."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Cause
from agent.render.wording import at_line, pieces, shortly

_SERVERS_SHOWN, _NAMES_SHOWN = 3, 4


def where(cause: Cause) -> str:
    """`HTTP/a HTTP/b (2 SPNs) on WEB01`: the SPNs, else the lines, and the servers."""
    names = shortly([str(spn) for spn in cause.spns] or lines(cause), _NAMES_SHOWN)
    count = f"({len(cause.spns)} SPNs)" if len(cause.spns) > 1 else ""
    servers = shortly(cause.servers, _SERVERS_SHOWN)
    several = f" ({len(cause.servers)} servers)" if len(cause.servers) > 1 else ""
    return " ".join(filter(None, (names, count, servers and f"on {servers}{several}"))) or "everywhere"


def lines(cause: Cause) -> list[str]:
    """Where those findings are that have no SPN."""
    return [at_line(line.file, line.line, None) for line in cause.evidence if line.file]


def effect(cause: Cause) -> str:
    """The text without the SPN that the heading has just named."""
    if len(cause.spns) != 1:
        return cause.text
    return cause.text.removeprefix(f"{cause.spns[0]} ")


def first_way(cause: Cause) -> Iterator[str]:
    """The sentences with commands; all of them where there is none to copy."""
    commands = [sentence for sentence in cause.fix if any(piece.command for piece in pieces(sentence))]
    yield from commands or cause.fix
