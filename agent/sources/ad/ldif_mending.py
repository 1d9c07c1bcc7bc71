"""LDIF that is not as `ldifde` and `ldapsearch` write it, made plain line by line; what was damaged is told.

People filter an export (grep, findstr: the empty lines between entries are gone, and the second lines of folded ones)
or copy it from a console, which fills lines up with blanks and breaks long ones. A value that may lack its end is left
out: what is lost is not known, what is half a name would be somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.names import printable
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif_blocks import Block, LogicalLine

SHORTEST_FOLDED = 72
"""Characters of a line that may have gone on in the next one: `ldapsearch` folds after 76, `ldifde` after 78."""
NARROWEST_CONSOLE = 80

_LINE = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]*(?:;[^:\s]*)?)(::|:<|:)([ \t]*)(.*)", re.DOTALL)

_FILLED = "blanks fill up this line, as in what is copied from a console; more of the file may be damaged"
_JOINED = "an entry begins without an empty line before it, as in what was filtered; lines may be missing"
_UNFOLDED = "this line is as long as one that goes on in the next, which may be missing: it does not count"


class Mender:
    """Makes the blocks of one file plain. Each kind of damage is told once, where it is met first."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._told: set[str] = set()

    def mended(self, block: Block) -> bytes:
        """The block with one space after each name, without the lines that cannot be read: those are told."""
        lines = self._readable(block)
        return b"\n".join(self._taken_apart(lines)).rstrip(b"\n") + b"\n\n"

    def _readable(self, block: Block) -> list[LogicalLine]:
        """The lines of the form `name: value`, plain, and the empty ones."""
        readable: list[LogicalLine] = []
        for line in block.logical_lines():
            above = readable[-1] if readable and readable[-1].text else None
            if line.text.startswith(b"#"):
                continue
            if _is_rest(line.text, above):
                self._tell_rest(line)
                del readable[len(readable) - (above is not None) :]
            elif (plain := self._plain(line)) is not None:
                readable.append(line._replace(text=plain))
        return readable

    def _plain(self, line: LogicalLine) -> bytes | None:
        match = _LINE.fullmatch(line.text)
        if b"\0" in line.text:
            self._collector.incomplete("binary data (a NUL) stands in this line", line.number)
        elif match is None:
            if line.text.startswith(b" "):
                self._tell_once(_FILLED, line.number)
            return None if line.text == b"-" else b""  # it ends each part of a change record, which is told as such
        elif match[2] == b":<":
            self._collector.incomplete("a value is given as a URL, which is not opened", line.number)
        else:
            value = self._unfilled(match[2], match[4], line.number)
            return match[1] + match[2] + (b" " + value if value else b"")
        return None

    def _unfilled(self, separator: bytes, value: bytes, number: int) -> bytes:
        """The value without the blanks at its end: one that has them stands there in base64 (RFC 2849, note 8)."""
        if value.endswith(b" "):
            self._tell_once(_FILLED, number)
        return value.replace(b" ", b"") if separator == b"::" else value.rstrip(b" ")

    def _tell_rest(self, line: LogicalLine) -> None:
        start = printable(line.text[:40].decode("utf-8", "replace"))
        reason = f"this line is not of the form 'attribute: value', nor does the one above count: {start}"
        self._collector.incomplete(reason, line.number)

    def _tell_once(self, reason: str, number: int) -> None:
        if reason not in self._told:
            self._told.add(reason)
            self._collector.incomplete(reason, number)

    def _taken_apart(self, lines: Sequence[LogicalLine]) -> Iterator[bytes]:
        """The lines, with an empty one before each entry; the version line needs none."""
        joined = set(_joined(lines))
        for line in lines:
            if line.number in joined:
                self._tell_once(_JOINED, line.number)
            if _begins_an_entry(line):
                yield b""
            if joined and not line.is_folded and len(line.text) >= SHORTEST_FOLDED:
                self._tell_once(_UNFOLDED, line.number)
            else:
                yield line.text


def _begins_an_entry(line: LogicalLine) -> bool:
    return line.text[:4].lower() in {b"dn: ", b"dn::"}


def _is_rest(text: bytes, above: LogicalLine | None) -> bool:
    """Whether a line is the rest of the one above that a console has broken, or no line of LDIF at all."""
    if text in {b"", b"-"} or text.isspace() or b"\0" in text:
        return False
    match = _LINE.fullmatch(text)
    if match is None:
        return True
    is_unusual = match[2] == b":" and not match[3]  # "ample:8080"
    return is_unusual and above is not None and len(above.text) >= NARROWEST_CONSOLE


def _joined(lines: Sequence[LogicalLine]) -> Iterator[int]:
    """Where an entry begins right after the lines of another."""
    has_dn = False
    for line in lines:
        is_dn = _begins_an_entry(line)
        if is_dn and has_dn:
            yield line.number
        has_dn = bool(line.text) and (is_dn or has_dn)
