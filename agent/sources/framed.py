"""What collect.ps1 prints, taken out of its frame (docs/snapshot.md): an answer cut off or damaged is never read.

iis-spn-snapshot 1 gzip 4242
|H4sIAAAAAAAA...|
iis-spn-snapshot end 4242
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import MalformedError
from agent.names import printable
from agent.sources.disk import too_large
from agent.sources.snapshot_file import MAXIMUM_PACKED, unzip

VERSION = "1"

_MARKER = re.compile(rb"iis-spn-snapshot (end|\d{1,9})(?![^ \t\r\n])([^\r\n]*)")
_FIRST = re.compile(r" (gzip|text) (\d{1,12})[ \t]*")
_LAST = re.compile(r" (\d{1,12})[ \t]*")
_NOT_PRINTED = re.compile(rb"[^ -~]")


class _Marker(NamedTuple):
    """A line of the frame: `end` or a version, what follows in it, and where it stands."""

    kind: str
    rest: str
    start: int
    end: int


def unframe(data: bytes, file: str) -> bytes:
    """The JSON document within what collect.ps1 printed: UTF-8, or UTF-16 by its mark, with noise before and after.

    Raises MalformedError with the line, for what is not whole as well. `file` is what the text is called there.
    """
    text = _narrow(data)
    markers = _markers(text)
    first = next((marker for marker in markers if marker.kind != "end"), None)
    if first is None:
        raise MalformedError(file, None, "this is not what collect.ps1 prints: its first line is missing")
    packing, announced = _announced(first, text, file)
    last = next(markers, None)
    if last is not None and (second := _second(last, markers)) is not None:
        raise MalformedError(file, _line(text, second), "two snapshots in one file")
    content = text[first.end : len(text) if last is None else last.start].translate(None, b"\r\n|")
    _look_whole(content, announced, last, text, file)
    try:
        return _unzipped(content, file) if packing == "gzip" else _printed(content, file)
    except MalformedError as error:
        raise MalformedError(file, error.line or _line(text, first), error.reason) from None


def _narrow(data: bytes) -> bytes:
    """UTF-16 as Windows PowerShell's `>` writes it, in UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    return data.removeprefix(codecs.BOM_UTF8)


def _markers(text: bytes) -> Iterator[_Marker]:
    for match in _MARKER.finditer(text):
        if match.start() == 0 or text[match.start() - 1] in b"\r\n":
            yield _Marker(match[1].decode(), match[2].decode("utf-8", "replace"), *match.span())


def _line(text: bytes, marker: _Marker) -> int:
    return text.count(b"\n", 0, marker.start) + 1


def _announced(first: _Marker, text: bytes, file: str) -> tuple[str, int]:
    """The packing, and how many characters were sent."""
    line = _line(text, first)
    if first.kind != VERSION:
        raise MalformedError(file, line, f"its frame has version {first.kind}; this version reads {VERSION}")
    said = _FIRST.fullmatch(first.rest)
    if said is None:
        raise MalformedError(file, line, f"damaged: nothing is packed as '{printable(first.rest.strip()[:80])}'")
    if int(said[2]) > MAXIMUM_PACKED:
        raise MalformedError(file, line, too_large(MAXIMUM_PACKED))
    return said[1], int(said[2])


def _second(last: _Marker, markers: Iterator[_Marker]) -> _Marker | None:
    """Another first line, where there is one."""
    return last if last.kind != "end" else next((marker for marker in markers if marker.kind != "end"), None)


def _look_whole(content: bytes, announced: int, last: _Marker | None, text: bytes, file: str) -> None:
    if last is None:
        line = text.count(b"\n") + 1
        raise MalformedError(file, line, f"cut off after {len(content)} of {announced} characters")
    said = _LAST.fullmatch(last.rest)
    if said is None or int(said[1]) != announced:
        reason = f"damaged: the first line announces {announced} characters, the last one says otherwise"
        raise MalformedError(file, _line(text, last), reason)
    if len(content) != announced:
        reason = f"damaged or cut off: {len(content)} characters where {announced} were sent"
        raise MalformedError(file, _line(text, last), reason)


def _unzipped(content: bytes, file: str) -> bytes:
    try:
        return unzip(binascii.a2b_base64(content, strict_mode=True), file)
    except binascii.Error:
        raise MalformedError(file, None, "damaged: it is not base64 text") from None


def _printed(content: bytes, file: str) -> bytes:
    if _NOT_PRINTED.search(content) is not None:
        raise MalformedError(file, None, "damaged: a character that is not printable ASCII")
    return content
