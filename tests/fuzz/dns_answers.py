"""What a name server answers (`answers.py` says how)."""

from __future__ import annotations

from unittest.mock import patch

import dns.exception
import dns.message

from agent.sources.dns import live
from tests.fuzz.answers import PART, parts_of
from tests.fuzz.reading import judged, server


def names(data: bytes) -> None:
    """Each part: flags and the three counts of records, then the records behind the question that was asked."""
    answers = parts_of(data)

    def exchanged(query: dns.message.Message, *_: object, **__: object) -> tuple[dns.message.Message, bool]:
        if not answers:
            raise dns.exception.Timeout
        wire, part = query.to_wire(), answers.pop(0)
        reply = dns.message.from_wire(wire[:2] + part[:2] + b"\0\1" + part[2:8] + wire[12:] + part[8:])
        if not query.is_response(reply):
            raise dns.exception.FormError
        return reply, False

    def ask(hosts: object, addresses: object) -> object:
        return live.ask(hosts, addresses, server="127.0.0.1", suffixes=("test.com",), deadline=5)  # type: ignore[arg-type]

    with patch("dns.query.udp_with_fallback", exchanged), patch.object(live, "_THREADS", 1):
        judged(server(), names=ask)


# -- seeds ---------------------------------------------------------------------------------------------------------


def replies() -> bytes:
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x08\5iis01\xc0\x15"
    address = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\5\2"
    pointer = b"\xc0\x0c\0\x0c\0\1\0\0\0\x3c\0\x10\5iis01\4test\3com\0"
    counts = b"\x85\x80\0\1\0\0\0\0"
    nothing = b"\x85\x83\0\0\0\0\0\0"
    found = (address, address, alias, address, alias, address)
    return PART.join((*(counts + one for one in found), counts + pointer, nothing))
