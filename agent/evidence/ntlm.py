"""NTLM messages (MS-NLMP 2.2.1): which of the three, and whom it is for. Answers to a challenge are not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SIGNATURE = b"NTLMSSP\0"
MESSAGES = {1: "negotiate", 2: "challenge", 3: "authenticate"}

_SHORTEST = {1: 16, 2: 32, 3: 52}
_FLAGS, _UNICODE = {1: 12, 2: 20, 3: 60}, 0x1
_NAMES = {1: {}, 2: {"domain": 12}, 3: {"client": 36, "client_domain": 28}}
"""Where length and offset of each name stand (2.2.1.2, 2.2.1.3)."""
_PAIRS_AT, _PROOF = {2: 40, 3: 20}, {2: 0, 3: 44}
"""Where those of the AV_PAIRS stand, and what precedes the pairs: in an answer its proof and challenge (2.2.2.7)."""

_END, _TIMESTAMP, _BINDINGS = 0, 7, 10
_TEXTS = {1: "computer", 2: "domain", 3: "dns_computer", 4: "dns_domain", 9: "spn"}
"""MsvAv... (2.2.2.1): the names of the server, and in an answer the SPN that the client has in mind."""
_FILETIME = datetime(1601, 1, 1, tzinfo=UTC)


class Ntlm(NamedTuple):
    """`facts` are those of `Facts`; `is_whole`: everything that the message points to is there."""

    facts: dict[str, str | bool]
    is_whole: bool


def read_ntlm(data: bytes) -> Ntlm:
    """What stands in a message that begins with `SIGNATURE`."""
    number = int.from_bytes(data[8:12], "little")
    if number not in MESSAGES:
        return Ntlm({}, False)
    names = {name: _buffer(data, at) for name, at in _NAMES[number].items()}
    pairs = _pairs_of(number, data)
    encoding = "utf-16-le" if int.from_bytes(data[_FLAGS[number] :][:4], "little") & _UNICODE else "latin-1"
    read = {name: value.decode(encoding, "replace") for name, value in names.items() if value}
    facts = _preferred({**read, **dict(_pairs(pairs or b""))})
    whole = len(data) >= _SHORTEST[number] and None not in (pairs, *names.values())
    return Ntlm({"message": MESSAGES[number], **facts}, whole)


def _preferred(facts: dict[str, str | bool]) -> dict[str, str | bool]:
    """DNS names rather than NetBIOS names, and the user as `DOMAIN\\name`."""
    for name in ("computer", "domain"):
        if full := facts.pop(f"dns_{name}", ""):
            facts[name] = full
    domain = facts.pop("client_domain", "")
    if domain and "client" in facts:
        facts["client"] = f"{domain}\\{facts['client']}"
    return facts


def _pairs_of(number: int, data: bytes) -> bytes | None:
    """The list of AV_PAIRs, empty where the message has none: it is younger than NTLM itself."""
    at = _PAIRS_AT.get(number)
    if at is None or len(data) < at + 8:
        return b""
    pairs = _buffer(data, at)
    return pairs if pairs is None else pairs[_PROOF[number] :]


def _buffer(data: bytes, at: int) -> bytes | None:
    """What length (2 bytes), room (2) and offset (4) at a place point to; None where it is not all there."""
    length = int.from_bytes(data[at : at + 2], "little")
    offset = int.from_bytes(data[at + 4 : at + 8], "little")
    return data[offset : offset + length] if max(at + 8, offset + length) <= len(data) else None


def _pairs(listed: bytes) -> Iterator[tuple[str, str | bool]]:
    """What a list says: each pair has its number and length (2 bytes each), number 0 ends it."""
    position = 0
    while position + 4 <= len(listed):
        number = int.from_bytes(listed[position : position + 2], "little")
        length = int.from_bytes(listed[position + 2 : position + 4], "little")
        value, position = listed[position + 4 : position + 4 + length], position + 4 + length
        if number == _END:
            return
        if number in _TEXTS and value:
            yield _TEXTS[number], value.decode("utf-16-le", "replace")
        elif number == _TIMESTAMP and (moment := _moment(value)):
            yield "time", moment
        elif number == _BINDINGS:
            yield "channel_bindings", any(value)


def _moment(filetime: bytes) -> str:
    """FILETIME, in units of 100 ns since 1601, as ISO 8601; empty where no calendar has it."""
    try:
        moment = _FILETIME + timedelta(microseconds=int.from_bytes(filetime, "little") // 10)
    except OverflowError:
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
