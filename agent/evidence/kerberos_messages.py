"""AP-REQ, AP-REP, KRB-ERROR (RFC 4120 5.5, 5.9.1): what stands in them in clear, and what survived of damaged ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from agent.der import Element, elements, first, is_whole
from agent.evidence.kerberos_errors import name_of

Read = Mapping[str, Any]
"""What was read, as `Facts` names it."""
Message = Literal["ap-req", "ap-rep", "krb-error"]

MESSAGES: Mapping[int, Message] = {0x6E: "ap-req", 0x6F: "ap-rep", 0x7E: "krb-error"}
"""By tag: [APPLICATION 14], [APPLICATION 15], [APPLICATION 30]."""


class Content(NamedTuple):
    """The facts of a message, and the names of those that it must have and that could not be read.

    `is_whole`: every length within it fits, so that nothing of it is missing.
    """

    facts: Read
    unread: tuple[str, ...]
    is_whole: bool


def content_of(der: bytes) -> Content:
    """What stands in a message, whose first byte is one of `MESSAGES`."""
    outer = first(der)
    message, body = MESSAGES[outer.tag], _within(outer.content)
    whole = is_whole(der) and is_whole(outer.content) and is_whole(body)
    if message == "ap-req":
        body = _within(_within(_fields(body).get(_TICKET, b"")))
    fields, facts = _fields(body), {}
    for field in _FIELDS[message]:
        if (value := field.read(fields.get(field.tag, b""))) is not None:
            facts[field.name] = value
    return _content(message, facts, whole and is_whole(body))


def survivors(message: Message, parts: Iterable[bytes]) -> Content:
    """What can still be found in parts of a damaged message: each field by its own shape, the first that reads well."""
    facts: dict[str, Any] = {}
    for part in parts:
        for field in _FIELDS[message]:
            if field.name not in facts and (value := _found(field, part)) is not None:
                facts[field.name] = value
    return _content(message, facts, False)


def _found(field: _Field, part: bytes) -> str | int | None:
    for match in field.shape.finditer(part):
        element = first(part[match.start() : match.start() + _WINDOW])
        if (value := field.read(element.content)) is not None:
            return value
    return None


def _content(message: Message, facts: dict[str, Any], whole: bool) -> Content:
    code = facts.get("error_code")
    if isinstance(code, int) and (name := name_of(code)):
        facts["error_name"] = name
    missing = tuple(field.name for field in _FIELDS[message] if field.is_required and field.name not in facts)
    return Content(facts, missing, whole)


# -- values --------------------------------------------------------------------------------------------------------

_INTEGER, _UTF8, _TIME, _GENERAL = 0x02, 0x0C, 0x18, 0x1B
_TICKET = 0xA3
"""Of an AP-REQ: [APPLICATION 1] in it has the fields that are in clear."""
_SHOWN = re.compile(r"[^\x00-\x1f\x7f]{0,512}")
_WINDOW = 1024
"""Bytes that a field may take of which only the beginning is known: a name has at most 255 characters."""


def _within(der: bytes) -> bytes:
    return first(der).content


def _fields(row: bytes) -> dict[int, bytes]:
    """The elements of a row by tag; of several the first."""
    found: dict[int, bytes] = {}
    for element in elements(row):
        found.setdefault(element.tag, element.content)
    return found


def _only(der: bytes, *tags: int) -> Element | None:
    """The one element that `der` is, with nothing missing."""
    element = first(der)
    return element if element.tag in tags and element.end == len(der) else None


def _integer(der: bytes) -> int | None:
    """0 to 2^32-1: Windows writes the key version of a read-only controller as a negative number."""
    value = _only(der, _INTEGER)
    if value is None or not 0 < len(value.content) <= 5:
        return None
    return int.from_bytes(value.content, "big", signed=True) & 0xFFFFFFFF


def _string(element: Element | None) -> str | None:
    """KerberosString: what should be IA5String holds UTF-8 in practice."""
    if element is None or element.tag not in (_GENERAL, _UTF8):
        return None
    try:
        text = element.content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if _SHOWN.fullmatch(text) else None


def _text(der: bytes) -> str | None:
    return _string(_only(der, _GENERAL, _UTF8))


def _time(der: bytes) -> str | None:
    """KerberosTime as ISO 8601."""
    value = _only(der, _TIME)
    try:
        moment = datetime.strptime(value.content.decode("ascii") if value else "", "%Y%m%d%H%M%SZ")
    except ValueError:
        return None
    return f"{moment.replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"


def _principal(der: bytes) -> str | None:
    """PrincipalName: its parts, joined by `/`."""
    row = _within(der)
    parts = _within(_fields(row).get(0xA1, b""))
    if not (is_whole(der) and is_whole(row) and is_whole(parts)):
        return None
    texts = [_string(part) for part in elements(parts)]
    return None if not texts or None in texts else "/".join(text or "" for text in texts)


def _etype(encrypted: bytes) -> int | None:
    return _integer(_fields(_within(encrypted)).get(0xA0, b""))


def _kvno(encrypted: bytes) -> int | None:
    return _integer(_fields(_within(encrypted)).get(0xA1, b""))


# -- THE TABLE of fields -------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """`shape`: how the field begins, where the elements around it are damaged."""

    tag: int
    name: str
    read: Callable[[bytes], str | int | None]
    shape: re.Pattern[bytes]
    is_required: bool = True


def _shape(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern.replace(b"LENGTH", rb"(?:[\x03-\x7f]|\x81.|\x82..)"), re.DOTALL)


_ENCRYPTED = _shape(rb"\xa3LENGTH\x30LENGTH\xa0\x03\x02\x01")

_FIELDS: Mapping[Message, tuple[_Field, ...]] = {
    "krb-error": (
        _Field(0xA4, "time", _time, _shape(rb"\xa4\x11\x18\x0f")),
        _Field(0xA6, "error_code", _integer, _shape(rb"\xa6[\x03-\x07]\x02")),
        _Field(0xA7, "client_realm", _text, _shape(rb"\xa7LENGTH\x1b"), is_required=False),
        _Field(0xA8, "client", _principal, _shape(rb"\xa8LENGTH\x30"), is_required=False),
        _Field(0xA9, "realm", _text, _shape(rb"\xa9LENGTH\x1b")),
        _Field(0xAA, "server", _principal, _shape(rb"\xaaLENGTH\x30")),
    ),
    "ap-req": (
        _Field(0xA1, "realm", _text, _shape(rb"\xa1LENGTH\x1b")),
        _Field(0xA2, "spn", _principal, _shape(rb"\xa2LENGTH\x30")),
        _Field(0xA3, "etype", _etype, _ENCRYPTED),
        _Field(0xA3, "kvno", _kvno, _ENCRYPTED, is_required=False),
    ),
    "ap-rep": (_Field(0xA2, "etype", _etype, _ENCRYPTED),),
}
