"""What Kerberos and NTLM messages travel in: SPNEGO (RFC 4178 4.2) and the framing of mechanisms (RFC 2743 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.der import Element, element, elements, first, is_whole
from agent.evidence.kerberos_messages import Read

_FRAMED, _INIT, _RESPONSE, _MECHANISM, _TOKEN = 0x60, 0xA0, 0xA1, 0x06, 0xA2
_SPNEGO, _SPNEGO_ID = "SPNEGO", "2b0601050502"
_KERBEROS = ("2a864882f712010202", "2a864886f712010202")
"""Microsoft's own name first, which came of a number cut off, then that of RFC 4121; as Windows offers them."""
_MECHANISMS: Mapping[str, str] = {
    _SPNEGO_ID: _SPNEGO,
    _KERBEROS[0]: "Kerberos (Microsoft)",
    _KERBEROS[1]: "Kerberos",
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


def carried(data: bytes) -> bytes:
    """The token within a negotiation, framing and all; what is no negotiation is the token itself."""
    outer = first(data)
    if outer.tag == _FRAMED and _name(first(outer.content).content) == _SPNEGO:
        outer = first(outer.content[first(outer.content).end :])
    if outer.tag not in (_INIT, _RESPONSE):
        return data
    row = first(outer.content).content
    return next((first(field.content).content for field in elements(row) if field.tag == _TOKEN), b"")


def offering_kerberos(token: bytes) -> bytes:
    """NegTokenInit with a token of Kerberos, which alone is offered, under both names that Windows gives it."""
    mechanisms = element(0xA0, element(0x30, *(element(_MECHANISM, bytes.fromhex(name)) for name in _KERBEROS)))
    offer = element(_INIT, element(0x30, mechanisms, element(_TOKEN, element(0x04, token))))
    return element(_FRAMED, element(_MECHANISM, bytes.fromhex(_SPNEGO_ID)), offer)


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
    fields = {field.tag: field.content for field in elements(row)}
    facts: dict[str, Any] = {}
    listed = first(fields.get(0xA0, b"")).content if outer.tag == _INIT else fields.get(0xA1, b"")
    names = [_name(each.content) for each in elements(listed) if each.tag == _MECHANISM]
    if any(names):
        facts["mechanisms"] = tuple(filter(None, names))
    state = first(fields.get(0xA0, b"")).content
    if outer.tag == _RESPONSE and len(state) == 1 and state[0] < len(_STATES):
        facts["state"] = _STATES[state[0]]
    whole = all(map(is_whole, (outer.content, row, *fields.values())))
    return Opened(facts, first(fields.get(_TOKEN, b"")).content, whole)


def _name(identifier: bytes) -> str:
    """Empty for a mechanism of no name here."""
    return _MECHANISMS.get(identifier.hex(), "")
