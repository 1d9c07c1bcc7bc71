"""LDIF entries (RFC 2849) taken apart line by line: what is in them goes to a `Collector`, what is wrong is told.

This is the plain way to read LDIF. It is slow: `agent.sources.ad.ldif` takes it for the few entries that matter.
"""

from __future__ import annotations

import base64
import binascii

from agent.names import printable
from agent.sources.ad.attributes import ATTRIBUTES
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif_blocks import Block

LDAPSEARCH_WORDS = frozenset(
    {
        *(b"search:", b"result:", b"text:", b"text::", b"matcheddn:", b"ref:", b"control:", b"control::"),
        *(b"pagedresults:", b"numresponses:", b"numentries:", b"numreferences:"),
    }
)
"""First words of the lines that `ldapsearch` without -LLL writes between and after the entries."""

_READ = ATTRIBUTES | {"dn", "changetype"}


class EntryReader:
    """Takes entries apart and hands them to `collector`."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def read(self, block: Block, record: bytes) -> None:
        """One entry of a block, its lines unfolded and with one space after each name."""
        lines = [line for line in record.split(b"\n") if line and not line.startswith(b"version: ")]
        if not lines:
            return
        if not lines[0].lower().startswith((b"dn: ", b"dn:: ")):
            self._read_trailer(block, lines)
            return
        values: dict[str, list[bytes]] = {}
        for line in lines:
            name = line.partition(b":")[0].partition(b";")[0].decode("ascii").lower()
            value = self.value(block, line) if name in _READ else None
            if value is not None:
                values.setdefault(name, []).append(value)
        self._hand_over(block, lines, values)

    def _hand_over(self, block: Block, lines: list[bytes], values: dict[str, list[bytes]]) -> None:
        dn = values.pop("dn", None)
        change = values.pop("changetype", [b"add"])[0].lower()
        if change != b"add":
            line = self._number(block, lines[0])
            self._collector.incomplete(
                f"a change record ({printable(change.decode('ascii', 'replace'))}), no entry", line
            )
        elif dn is not None:
            self._collector.add(dn[0].decode("utf-8", "replace"), values)

    def _read_trailer(self, block: Block, lines: list[bytes]) -> None:
        """Lines without a dn: what `ldapsearch` says about the search, or the remains of a damaged entry."""
        for line in lines:
            word, _, value = line.partition(b" ")
            if word.lower() not in LDAPSEARCH_WORDS:
                self._collector.incomplete("an entry begins without a dn line", self._number(block, line))
                return
            if word.lower() == b"result:" and not value.startswith(b"0"):
                result = printable(value.decode("utf-8", "replace"))
                self._collector.incomplete(f"the search ended with result {result}", self._number(block, line))

    def value(self, block: Block, line: bytes) -> bytes | None:
        """What stands after the name, its base64 undone; None where that cannot be."""
        value = line.partition(b":")[2]
        if not value.startswith(b":"):
            return value.lstrip(b" ")
        try:
            return base64.b64decode(value[1:].strip(b" "), validate=True)
        except binascii.Error:
            self._collector.incomplete("the base64 of this value cannot be decoded", self._number(block, line))
            return None

    @staticmethod
    def _number(block: Block, line: bytes) -> int:
        """Where a line stands in the file; a mended line is found by its attribute."""
        name = line.partition(b":")[0]
        near = block.line
        for number, text, _ in block.logical_lines():
            if text == line:
                return number
            if text.startswith(name):
                near = number
        return near
