"""The two messages of which there are thousands: SearchRequest and SearchResultEntry (RFC 4511 4.5.1, 4.5.2).

All others are few and sansldap's, which is slower by far. An answer is hostile input: what is read lies within what it
stands in, each element is definite in length (5.1), is looked at once and leads no deeper than an entry goes, and there
is a bound on how many there are. What stands behind the elements that are known is ignored, as 4 wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from agent.der import element

ENTRY, REFERENCE = 0x64, 0x73
"""The tags of SearchResultEntry and SearchResultReference, [APPLICATION 4] and [APPLICATION 19]."""

MOST_ELEMENTS = 1_000_000
"""Attributes and values of one entry. AD gives 1,500 values of one attribute at a time (MaxValRange)."""

_BOOLEAN, _INTEGER, _OCTETS, _ENUMERATED, _SEQUENCE, _SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31
_SEARCH, _OR, _EQUAL, _PRESENT, _CONTROLS = 0x63, 0xA1, 0xA3, 0x87, 0xA0

RawEntry = tuple[str, Mapping[str, Sequence[bytes]]]
Equal = tuple[str, bytes]
"""An attribute and a whole value it has. Nothing in a value can end it, which is what RFC 4515 has escapes for."""


class Search(NamedTuple):
    """What is searched for: the entries that fulfil any of `wanted`, or with None all that are there.

    `in_pages` where they may be many: a server gives pages when it is asked for them, at the price of its time.
    """

    base: str
    scope: int
    wanted: Sequence[Equal] | None
    attributes: Sequence[str]
    in_pages: bool = False


class Control(NamedTuple):
    """An extension of a request (RFC 4511 4.1.11); a critical one that the server does not know ends the request."""

    oid: str
    critical: bool = False
    value: bytes | None = None


# -- the request ---------------------------------------------------------------------------------------------------


def search_request(number: int, search: Search, *, most: int, seconds: int, controls: Sequence[Control]) -> bytes:
    """The message of that number; the server is to give `most` entries (0: as many as there are) in that time."""
    request = element(
        _SEARCH,
        _text(search.base),
        element(_ENUMERATED, bytes([search.scope])),
        element(_ENUMERATED, b"\0"),  # aliases stay what they are
        _number(most),
        _number(seconds),
        element(_BOOLEAN, b"\0"),
        _filter(search.wanted),
        element(_SEQUENCE, *map(_text, search.attributes)),
    )
    tail = element(_CONTROLS, *map(_control, controls)) if controls else b""
    return element(_SEQUENCE, _number(number), request, tail)


def paged(size: int, cookie: bytes) -> bytes:
    """The value of the control for results in pages (RFC 2696 2)."""
    return element(_SEQUENCE, _number(size), element(_OCTETS, cookie))


@lru_cache(maxsize=256)
def _text(text: str) -> bytes:
    """A name; the same few come in every request."""
    return element(_OCTETS, text.encode())


def _number(value: int) -> bytes:
    """A natural number; its first bit is zero, or it would be negative."""
    return element(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _filter(wanted: Sequence[Equal] | None) -> bytes:
    if wanted is None:
        return element(_PRESENT, b"objectClass")
    parts = [element(_EQUAL, _text(attribute), element(_OCTETS, value)) for attribute, value in wanted]
    return parts[0] if len(parts) == 1 else element(_OR, *parts)


def _control(control: Control) -> bytes:
    critical = element(_BOOLEAN, b"\xff") if control.critical else b""
    value = b"" if control.value is None else element(_OCTETS, control.value)
    return element(_SEQUENCE, _text(control.oid), critical, value)


# -- the answer ----------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The number of the request that a message answers, the tag of what it says, and where that begins and ends."""

    number: int
    tag: int
    start: int
    end: int


def answer_in(message: bytes) -> Answer:
    """What a message is, whatever kind it is. Raises ValueError where it is none."""
    at, end = _inside(message, 0, len(message), _SEQUENCE)
    start, at = _inside(message, at, end, _INTEGER)
    if not 1 <= at - start <= 4 or at == end:
        raise ValueError("a message without its number or without anything else")
    return Answer(int.from_bytes(message[start:at], "big", signed=True), message[at], *_inside(message, at, end))


def entry_in(message: bytes, answer: Answer) -> RawEntry:
    """The distinguished name, and the attributes by their name as the server writes it. Raises ValueError."""
    start, at = _inside(message, answer.start, answer.end, _OCTETS)
    dn = message[start:at].decode()
    at, end = _inside(message, at, answer.end, _SEQUENCE)
    attributes: dict[str, Sequence[bytes]] = {}
    room = MOST_ELEMENTS
    while at < end:
        inner, at = _inside(message, at, end, _SEQUENCE)
        start, inner = _inside(message, inner, at, _OCTETS)
        name = message[start:inner].decode()
        inner, stop = _inside(message, inner, at, _SET)
        values: list[bytes] = []
        while inner < stop and len(values) < room:
            start, inner = _inside(message, inner, stop, _OCTETS)
            values.append(message[start:inner])
        room -= len(values) + 1
        if room < 0 or inner < stop:
            raise ValueError(f"an entry with more than {MOST_ELEMENTS} values")
        attributes.setdefault(name, values)
    return dn, attributes


def _inside(data: bytes, at: int, end: int, tag: int | None = None) -> tuple[int, int]:
    """Where the content of the element at a place begins and ends; ValueError where it is not all before `end`."""
    if end - at < 2 or (tag is not None and data[at] != tag):
        raise ValueError("an element is missing")
    length, start = data[at + 1], at + 2
    if length > 0x7F:
        start += length - 0x80
        if not at + 2 < start <= min(at + 6, end):
            raise ValueError("an element without a length that is possible")
        length = int.from_bytes(data[at + 2 : start], "big")
    if length > end - start:
        raise ValueError("an element goes beyond its end")
    return start, start + length
