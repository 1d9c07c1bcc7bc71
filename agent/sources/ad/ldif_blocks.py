"""An LDIF file (RFC 2849) as blocks of whole entries, in UTF-8 and with LF, whatever an editor made of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from agent.sources.ad.collector import Collector

CHUNK = 1 << 17
LARGEST_FILE = 16 << 30
"""Bytes; an export of every attribute of a million accounts has some 5 GB."""
LONGEST_LINE = 16 << 20
LONGEST_ENTRY = 64 << 20


def blocks_of(stream: BinaryIO, collector: Collector) -> Iterator[Block]:
    """The file in blocks; an entry that is too long, or cut off, is told to `collector`. Raises OSError."""
    cutter = _Cutter(collector)
    counted = _Counted(stream)
    for chunk in _plain_chunks(counted):
        yield from cutter.cut(chunk)
    if counted.is_beyond:
        cutter.leave(f"it is larger than {LARGEST_FILE >> 30} GB; the rest was not read")
    else:
        yield from cutter.last()


class LogicalLine(NamedTuple):
    """A line with its continuations, under the number of its first line."""

    number: int
    text: bytes
    is_folded: bool


class Block(Struct, frozen=True):
    """Whole entries, folded as in the file; `line` is the number of the first line."""

    line: int
    raw: bytes

    def logical_lines(self) -> Iterator[LogicalLine]:
        """Every line with its continuations; one of blanks continues none."""
        start = self.line
        parts: list[bytes] = []
        for number, physical in enumerate(self.raw.split(b"\n"), self.line):
            if physical.startswith(b" ") and physical.strip():
                parts.append(physical[1:])
                continue
            if parts:
                yield LogicalLine(start, _joined(parts), len(parts) > 1)
            start, parts = number, [physical]
        yield LogicalLine(start, _joined(parts), len(parts) > 1)


def _joined(parts: list[bytes]) -> bytes:
    """A line that was folded. Where blanks fill it up at its end, they fill up its parts too: a console copies them."""
    if len(parts) > 1 and parts[-1].endswith(b" "):
        return b"".join((*map(bytes.rstrip, parts[:-1]), parts[-1]))
    return b"".join(parts)


class _Counted:
    """A stream as far as the limit: a file may grow, and a device has no end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left = stream, LARGEST_FILE
        self.is_beyond = False

    def chunk(self) -> bytes:
        """The next bytes, none at the end and at the limit."""
        data = self._stream.read(min(CHUNK, self._left + 1))
        self.is_beyond = len(data) > self._left
        self._left -= len(data)
        return b"" if self.is_beyond else data


def _plain_chunks(stream: _Counted) -> Iterator[bytes]:
    """UTF-8 without BOM and with LF, whatever `ldifde -u` or an editor made of it."""
    decode = None
    first = True
    while chunk := stream.chunk():
        if first and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decode = codecs.getincrementaldecoder("utf-16")("replace").decode
        if first:
            chunk, first = chunk.removeprefix(codecs.BOM_UTF8), False
        text = chunk if decode is None else decode(chunk).encode("utf-8", "replace")
        yield text.translate(None, b"\r") if b"\r" in text else text  # within a value CR is always base64
    if decode is not None:
        yield decode(b"", True).encode("utf-8", "replace")


class _Cutter:
    """Cuts the text at empty lines. An entry too long to hold ends where it is too long, its rest is passed over."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._line = 1
        self._rest = b""
        self._passing_over = False

    def cut(self, chunk: bytes) -> Iterator[Block]:
        """The whole entries that stand before the last empty line so far, else before the last line with a dn."""
        searched = max(0, len(self._rest) - 3)
        self._rest += chunk
        if self._passing_over:
            self._pass_over()
            searched = 0
        empty, dn = self._rest.rfind(b"\n\n", searched), -1
        if empty < 0:
            dn = self._rest.rfind(b"\ndn:", searched)
        if empty >= 0 or dn >= 0:
            yield self._take(empty + 2 if empty >= 0 else dn + 1)
        reason = None if self._passing_over else _too_long(self._rest)
        if reason:
            self._passing_over = True
            yield self._take(self._rest.rfind(b"\n") + 1)
            self._collector.incomplete(reason, self._line)

    def _pass_over(self) -> None:
        end = self._rest.find(b"\n\n")
        self._passing_over = end < 0
        self._take(max(0, len(self._rest) - 1) if end < 0 else end + 2)

    def _take(self, length: int) -> Block:
        block = Block(self._line, self._rest[:length])
        self._line += block.raw.count(b"\n")
        self._rest = self._rest[length:]
        return block

    def leave(self, reason: str) -> None:
        """What follows is not read."""
        self._collector.incomplete(reason, self._line + self._rest.count(b"\n"))

    def last(self) -> Iterator[Block]:
        """What follows the last empty line.

        Both `ldifde` and `ldapsearch` end every line: one without its end was cut, and its value is not the value.
        """
        whole = self._rest.rfind(b"\n") + 1
        if self._passing_over or not self._rest:
            return
        if whole < len(self._rest):
            line = self._line + self._rest.count(b"\n")
            self._collector.incomplete("the file ends in the middle of a line: it was cut", line)
            while whole and self._rest.startswith(b" ", whole):
                whole = self._rest.rfind(b"\n", 0, whole - 1) + 1
        yield self._take(whole)


def _too_long(rest: bytes) -> str | None:
    if len(rest) - rest.rfind(b"\n") > LONGEST_LINE:
        return f"a line is longer than {LONGEST_LINE >> 20} MB; the rest of its entry is passed over"
    if len(rest) > LONGEST_ENTRY:
        return f"an entry is longer than {LONGEST_ENTRY >> 20} MB; the rest of it is passed over"
    return None
