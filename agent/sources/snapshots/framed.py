"""What collect.ps1 prints, taken out of its frame (docs/snapshot.md): an answer cut off or damaged is never read.

iis-spn-snapshot 1 gzip 4242
|H4sIAAAAAAAA...|
iis-spn-snapshot end 4242
"""

from __future__ import annotations

import binascii
import codecs
import re
from pathlib import Path
from typing import NamedTuple

from agent.errors import MalformedError
from agent.names import printable
from agent.sources.snapshots.disk import too_large
from agent.sources.snapshots.packed import GZIP, MAXIMUM_PACKED, unzip

SCRIPT = Path(__file__).with_name("collect.ps1")
VERSION = "1"

_MARKER = rb"iis-spn-snapshot (?<![^\r\n]iis-spn-snapshot )(%b)(?![^ \t\r\n])([^\r\n]*)"
"""A line of the frame: its version or `end`, and what follows in it.

A search runs in C and looks for the plain text first: Python would need 13 s for 256 MB of such lines.
"""
_FIRST = re.compile(_MARKER % rb"\d{1,9}")
_NEXT = re.compile(_MARKER % rb"end|\d{1,9}")
_PACKING = re.compile(rb" (gzip|text) (\d{1,12})[ \t]*")
_COUNT = re.compile(rb" (\d{1,12})[ \t]*")
_NOT_PRINTED = re.compile(rb"[^ -~]")


class Framed(NamedTuple):
    """A JSON document, and the form in which it came: one gzip member, or the document itself."""

    document: bytes
    sent: bytes


def unframe(data: bytes, file: str, limit: int = MAXIMUM_PACKED) -> bytes:
    """The JSON document alone, as `framed_in` finds it."""
    return framed_in(data, file, limit).document


def framed_in(data: bytes, file: str, limit: int = MAXIMUM_PACKED) -> Framed:
    """The JSON document within what collect.ps1 printed: UTF-8, or UTF-16 by its mark, with noise before and after.

    Raises MalformedError with the line, for what is not whole as well, and for a document of more than `limit` bytes
    (a whole number of MB), of which no more is unpacked. `file` is what the text is called there.
    """
    text = _narrow(data)
    first = _FIRST.search(text)
    if first is None:
        raise MalformedError(file, None, "this is not what collect.ps1 prints: its first line is missing")
    packing, announced = _announced(first, file, limit)
    last = _NEXT.search(text, first.end())
    second = _FIRST.search(text, last.start()) if last is not None else None
    if second is not None:
        raise MalformedError(file, _line(second), "two snapshots in one file")
    content = text[first.end() : len(text) if last is None else last.start()].translate(None, b"\r\n|")
    _look_whole(content, announced, last, text, file)
    try:
        return _unzipped(content, file, limit) if packing == b"gzip" else _printed(content, file)
    except MalformedError as error:
        raise MalformedError(file, error.line or _line(first), error.reason) from None


def _narrow(data: bytes) -> bytes:
    """UTF-16 as Windows PowerShell's `>` writes it, in UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    return data.removeprefix(codecs.BOM_UTF8)


def _line(marker: re.Match[bytes]) -> int:
    return marker.string.count(b"\n", 0, marker.start()) + 1


def _announced(first: re.Match[bytes], file: str, limit: int) -> tuple[bytes, int]:
    """The packing, and how many characters were sent."""
    version = first[1].decode()
    if version != VERSION:
        raise MalformedError(file, _line(first), f"its frame has version {version}; this version reads {VERSION}")
    said = _PACKING.fullmatch(first[2])
    if said is None:
        packing = printable(first[2].strip()[:80].decode("utf-8", "replace"))
        raise MalformedError(file, _line(first), f"damaged: nothing is packed as '{packing}'")
    if int(said[2]) > limit:
        raise MalformedError(file, _line(first), too_large(limit))
    return said[1], int(said[2])


def _look_whole(content: bytes, announced: int, last: re.Match[bytes] | None, text: bytes, file: str) -> None:
    if last is None:
        line = text.count(b"\n") + 1
        raise MalformedError(file, line, f"cut off after {len(content)} of {announced} characters")
    said = _COUNT.fullmatch(last[2])
    if said is None or int(said[1]) != announced:
        reason = f"damaged: the first line announces {announced} characters, the last one says otherwise"
        raise MalformedError(file, _line(last), reason)
    if len(content) != announced:
        reason = f"damaged or cut off: {len(content)} characters where {announced} were sent"
        raise MalformedError(file, _line(last), reason)


def _unzipped(content: bytes, file: str, limit: int) -> Framed:
    try:
        sent = binascii.a2b_base64(content, strict_mode=True)
    except binascii.Error:
        raise MalformedError(file, None, "damaged: it is not base64 text") from None
    document = unzip(sent, file, limit)
    if document.startswith(GZIP):
        raise MalformedError(file, None, "damaged: it is packed twice")
    return Framed(document, sent)


def _printed(content: bytes, file: str) -> Framed:
    if _NOT_PRINTED.search(content) is not None:
        raise MalformedError(file, None, "damaged: a character that is not printable ASCII")
    return Framed(content, content)
