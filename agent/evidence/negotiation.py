"""What Kerberos and NTLM messages travel in: SPNEGO (RFC 4178 4.2) and the framing of mechanisms (RFC 2743 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.der import Element, elements, first, is_whole
from agent.evidence.kerberos_messages import Read

_FRAMED, _INIT, _RESPONSE, _MECHANISM = 0x60, 0xA0, 0xA1, 0x06
_SPNEGO = "SPNEGO"
_MECHANISMS: Mapping[str, str] = {
    "2b0601050502": _SPNEGO,
    "2a864886f712010202": "Kerberos",
    "2a864882f712010202": "Kerberos (Microsoft)",
    "2a864886f71201020203": "Kerberos user-to-user",
    "2b06010401823702020a": "NTLM",
    "2b06010401823702021e": "NegoEx",
    "2b0601050205": "IAKERB",
}
_STATES = ("accept-completed", "accept-incomplete", "reject", "request-mic")
_DEEPEST = 4
"""Framing, negotiation, framing, message: no real token goes deeper."""


class Opened(NamedTuple):
    """`inner` is what is neither framing nor negotiation, empty where they carry nothing."""

    facts: Read
    inner: bytes
    is_whole: bool


def opened(data: bytes) -> Opened:
    """The message in a token, and what is said around it: `mechanisms` by name, `state` of the negotiation."""
    found = Opened({}, data, True)
    for _ in range(_DEEPEST):
        if (layer := _layer(found.inner)) is None:
            break
        found = Opened({**found.facts, **layer.facts}, layer.inner, found.is_whole and layer.is_whole)
    return found


def _layer(data: bytes) -> Opened | None:
    outer = first(data)
    if outer.tag == _FRAMED:
        layer = _framed(outer.content)
    elif outer.tag in (_INIT, _RESPONSE):
        layer = _negotiation(outer)
    else:
        return None
    return layer._replace(is_whole=layer.is_whole and is_whole(data))


def _framed(content: bytes) -> Opened:
    """InitialContextToken: the mechanism, then what is its own; of Kerberos first two bytes (RFC 4121 4.1)."""
    mechanism = first(content)
    name, behind = _name(mechanism.content), content[mechanism.end :]
    if name == _SPNEGO:
        return Opened({}, behind, True)
    return Opened({"mechanisms": (name,)} if name else {}, behind[2:], True)


def _negotiation(outer: Element) -> Opened:
    """NegTokenInit says what is offered, NegTokenResp what has become of it; either may carry a token."""
    row = first(outer.content).content
    fields = {element.tag: element.content for element in elements(row)}
    facts: dict[str, Any] = {}
    listed = first(fields.get(0xA0, b"")).content if outer.tag == _INIT else fields.get(0xA1, b"")
    names = [_name(element.content) for element in elements(listed) if element.tag == _MECHANISM]
    if any(names):
        facts["mechanisms"] = tuple(filter(None, names))
    state = first(fields.get(0xA0, b"")).content
    if outer.tag == _RESPONSE and len(state) == 1 and state[0] < len(_STATES):
        facts["state"] = _STATES[state[0]]
    whole = all(map(is_whole, (outer.content, row, *fields.values())))
    return Opened(facts, first(fields.get(0xA2, b"")).content, whole)


def _name(identifier: bytes) -> str:
    """Empty for a mechanism of no name here."""
    return _MECHANISMS.get(identifier.hex(), "")
