"""Reading LDIF (RFC 2849) as `ldifde -f` and `ldapsearch` write it, in blocks of many entries.

An export of a whole domain has millions of lines, and a dozen of its accounts concern the question. So the text is
looked at with operations on whole blocks and whole entries; only an entry that may concern the question is taken
apart. A block with a line that is not plain LDIF is mended line by line first, which also gives the line numbers.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from agent.names import printable
from agent.sources.ad.entries import ATTRIBUTES, Collector, GroupValues, folded

CHUNK = 1 << 17
LONGEST_LINE = 16 << 20
LONGEST_ENTRY = 64 << 20
MOST_WORDS = 2000
"""A schema with Exchange has some hundred attributes on accounts; a file with more names than this is no export."""

_LDAPSEARCH_WORDS = frozenset(
    {
        *(b"search:", b"result:", b"text:", b"text::", b"matcheddn:", b"ref:", b"control:", b"control::"),
        *(b"pagedresults:", b"numresponses:", b"numentries:", b"numreferences:"),
    }
)
"""First words of the lines that `ldapsearch` without -LLL writes between and after the entries."""

_NOT_ATTRIBUTES = frozenset(
    {"dn", "version", "changetype", *(word.rstrip(b":").decode() for word in _LDAPSEARCH_WORDS)}
)


def read(path: Path, collector: Collector) -> None:
    """Feed every entry of an LDIF file to `collector`, and say where the file is damaged. Raises OSError only."""
    collector.next_source(str(path))
    reader, cutter = _Reader(collector), _Cutter(collector)
    with path.open("rb") as stream:
        for chunk in _plain_chunks(stream):
            for block in cutter.cut(chunk):
                reader.read(block)
    for block in cutter.last():
        reader.read(block)
    if not reader.saw_entries:
        collector.incomplete("no entry stands in it", 1)


# -- from the file to blocks of whole entries ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole entries, folded as in the file; `line` is the number of the first line."""

    line: int
    raw: bytes

    def logical_lines(self) -> Iterator[tuple[int, bytes]]:
        """Every line with its continuations, under the number of its first line."""
        number, start = self.line, self.line
        parts: list[bytes] = []
        for physical in self.raw.split(b"\n"):
            if not physical.startswith(b" "):
                if parts:
                    yield start, b"".join(parts)
                start, parts = number, [physical]
            else:
                parts.append(physical[1:])
            number += 1
        yield start, b"".join(parts)


def _plain_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """UTF-8 without BOM and with LF, whatever `ldifde -u` or an editor made of it."""
    decode = None
    first = True
    while chunk := stream.read(CHUNK):
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

    def cut(self, chunk: bytes) -> Iterator[_Block]:
        """The whole entries that stand before the last empty line so far."""
        searched = max(0, len(self._rest) - 1)
        self._rest += chunk
        if self._passing_over:
            self._pass_over()
            searched = 0
        end = self._rest.rfind(b"\n\n", searched)
        if end >= 0:
            yield self._take(end + 2)
        reason = None if self._passing_over else _too_long(self._rest)
        if reason:
            self._passing_over = True
            yield self._take(self._rest.rfind(b"\n") + 1)
            self._collector.incomplete(reason, self._line)

    def _pass_over(self) -> None:
        end = self._rest.find(b"\n\n")
        self._passing_over = end < 0
        self._take(max(0, len(self._rest) - 1) if end < 0 else end + 2)

    def _take(self, length: int) -> _Block:
        block = _Block(self._line, self._rest[:length])
        self._line += block.raw.count(b"\n")
        self._rest = self._rest[length:]
        return block

    def last(self) -> Iterator[_Block]:
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


# -- from blocks to entries ----------------------------------------------------------------------------------------

_FIRST_WORD = re.compile(rb"[a-z0-9][a-z0-9._-]*(?:;[^:]*)?::?\Z")
_LINE = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]*(?:;[^:\s]*)?)(::|:<|:)[ \t]*(.*)", re.DOTALL)
_COMMENT = re.compile(rb"\n#[^\n]*")
_RESULT_COMMENT = re.compile(rb"\n# result: ([1-9][^\n]*)")
_SPN = b"\nserviceprincipalname: "
_SPNS = re.compile(_SPN + rb"([^\n]*)")
_GROUP = b"\nobjectclass: group\n"
_DELETED = b"\nisdeleted: true\n"
_DELETED_OBJECTS = b",cn=deleted objects,"

_ORDINARY_VALUES = {
    b"dn:": rb" (?! )",
    b"dn::": rb" (?! )",
    b"changetype:": rb" add\n",
    b"samaccountname:": rb" (?! )",
    b"serviceprincipalname:": rb" (?!https/)[a-z0-9_-]+/[a-z0-9._-]+\n",
    b"userprincipalname:": rb" (?! |http/|host/)",
    b"objectclass:": rb" (?! |(?:domaindns|crossref|msds-delegatedmanagedserviceaccount)\n)",
    b"objectsid:": rb" (?![^\n]*-521\n)",
    b"objectsid::": rb" (?![^\n]*cqiaaa==\n)",
}
"""By the lowered first word of a line: values that make no entry worth a closer look.

Worth it are an SPN of other than the plain form, an SPN as UPN, the classes that name domains and dMSAs, and the SID
with RID 521 (its last bytes 09 02 00 00 are `CQIAAA==` in base64).
"""

_NEVER_ORDINARY = re.compile(
    rb"(?:version|isdeleted|ncname|spnmappings|dsheuristics|search|result|ref)::?\Z"
    rb"|(?:samaccountname|userprincipalname|objectclass)::\Z"
    rb"|serviceprincipalname(?:::|;.*)\Z"
)
_EMPTY_LINE_BEFORE_AN_ENTRY = rb"\n(?:dn:|\n|\Z)"


def _out_of_the_ordinary(words: frozenset[bytes]) -> re.Pattern[bytes]:
    """Finds, in one pass over a lowered block, each line end after which no ordinary line follows."""
    ordinary = (
        re.escape(w) + _ORDINARY_VALUES.get(w, rb"[ \n]") for w in sorted(words) if not _NEVER_ORDINARY.match(w)
    )
    return re.compile(rb"\n(?!" + b"|".join((*ordinary, _EMPTY_LINE_BEFORE_AN_ENTRY, rb"\Z")) + rb")")


class _Reader:
    """Reads block after block."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._asked = _asked_lines(collector)
        self._dressed = False
        self._words: frozenset[bytes] = frozenset()
        self._unusual = _out_of_the_ordinary(self._words)

    def read(self, block: _Block) -> None:
        text = b"\n\n" + block.raw
        if self._dressed:
            text = self._undressed(text)
        lower = text.lower()
        places = self._unusual_places(lower)
        if places is None and not self._dressed:
            self._dressed = True
            self.read(block)
            return
        if places is None:
            text = b"\n\n" + self._mended(block)
            lower = text.lower()
            places = self._unusual_places(lower) or []
        if any(lower.startswith(_DELETED, place) for place in places):
            text = _living(text)
            lower = text.lower()
            places = self._unusual_places(lower) or []
        self._count(block, text, lower)
        self._collector.passing_groups(self._groups(block, text, lower))
        places += self._asked_places(lower)
        for start in sorted({lower.rfind(b"\n\n", 0, place + 2) + 2 for place in places}):
            self._look_closer(block, text[start : text.find(b"\n\n", start)])

    def _undressed(self, text: bytes) -> bytes:
        """Without folds and comments; `ldifde -f` writes few of them, so they are looked for once one was seen."""
        text = text.replace(b"\n ", b"")
        return self._without_comments(text) if b"\n#" in text else text

    def _without_comments(self, text: bytes) -> bytes:
        for result in _RESULT_COMMENT.findall(text):
            self._collector.incomplete(f"the search ended with result {printable(result.decode('utf-8', 'replace'))}")
        return _COMMENT.sub(b"", text)

    def _unusual_places(self, lower: bytes) -> list[int] | None:
        """Where a line of other than the ordinary kind begins; None where one is not `name: value` at all."""
        places = [match.start() for match in self._unusual.finditer(lower)]
        lines = {lower[place + 1 : lower.find(b"\n", place + 1)] for place in places} - {b""}
        new = {line.partition(b" ")[0] for line in lines} - self._words
        if b"\0" in lower or not all(map(_FIRST_WORD.match, new)):
            return None
        if not new or len(self._words) > MOST_WORDS:
            return places
        self._learn(new)
        return self._unusual_places(lower)

    @property
    def saw_entries(self) -> bool:
        return not self._words.isdisjoint({b"dn:", b"dn::"})

    def _learn(self, words: set[bytes]) -> None:
        self._words |= words
        self._unusual = _out_of_the_ordinary(self._words)
        names = {word.partition(b":")[0].partition(b";")[0].decode("ascii", "replace") for word in words}
        self._collector.saw(names - _NOT_ATTRIBUTES)

    def _asked_places(self, lower: bytes) -> list[int]:
        places = []
        for line in self._asked.intersection(lower.split(b"\n")):
            place = lower.find(b"\n" + line + b"\n")
            while place >= 0:
                places.append(place)
                place = lower.find(b"\n" + line + b"\n", place + 1)
        return places

    def _count(self, block: _Block, text: bytes, lower: bytes) -> None:
        """Take down who holds how many of the SPNs of this block; what `add` counts once more does no harm."""
        owners: list[bytes] = []
        counts: list[int] = []
        names: list[bytes] = []
        find_names = _SPNS.findall
        for record in lower.split(b"\n\n"):
            held = find_names(record)
            if held and (record := record.lstrip(b"\n")).startswith(b"dn:"):
                owners.append(record[4 : record.find(b"\n")])
                counts.append(len(held))
                names += held
        if b"\ndn:: " in lower or not lower.isascii():
            owners = self._decoded_owners(block, text)
        if _DELETED_OBJECTS in b"\n".join(owners):
            owners, counts, names = _without_deleted(owners, counts, names)
        self._collector.passing(owners, counts, names)

    def _decoded_owners(self, block: _Block, text: bytes) -> list[bytes]:
        records = (record.lstrip(b"\n") for record in text.split(b"\n\n") if _SPNS.search(record.lower()))
        first_lines = (record.partition(b"\n")[0] for record in records if record[:3].lower() == b"dn:")
        return [folded(self._value(block, line) or b"") for line in first_lines]

    def _groups(self, block: _Block, text: bytes, lower: bytes) -> Iterator[GroupValues]:
        """The groups of a block. Their members are the bulk of it, so only the few lines in question are looked up."""
        place = lower.find(_GROUP)
        while place >= 0:
            start = lower.rfind(b"\n\n", 0, place + 2) + 2
            end = lower.find(b"\n\n", place)
            end = len(lower) if end < 0 else end
            sids = self._values(block, text, lower, b"\nobjectsid:", start, end)
            if sids and lower.startswith(b"dn:", start):
                dn = folded(self._value(block, text[start : text.find(b"\n", start)]) or b"")
                if _DELETED_OBJECTS not in dn:
                    yield dn, sids[0], self._values(block, text, lower, b"\nmemberof:", start, end)
            place = lower.find(_GROUP, end)

    def _values(self, block: _Block, text: bytes, lower: bytes, name: bytes, start: int, end: int) -> list[bytes]:
        """The values of an attribute in the entry between two places."""
        found: list[bytes] = []
        place = lower.find(name, start, end)
        while place >= 0:
            value = self._value(block, text[place + 1 : text.find(b"\n", place + 1)])
            found += [value] if value is not None else []
            place = lower.find(name, place + 1, end)
        return found

    def _mended(self, block: _Block) -> bytes:
        """The block with one space after each name, without the lines that cannot be read: those are told."""
        kept: list[bytes] = []
        for number, line in block.logical_lines():
            match = _LINE.fullmatch(line)
            if not line:
                kept.append(line)
            elif line.startswith(b"#"):
                continue
            elif b"\0" in line:
                self._collector.incomplete("binary data (a NUL) stands in this line", number)
            elif match is None:
                self._tell_unreadable(line, number)
            elif match[2] == b":<":
                self._collector.incomplete("a value is given as a URL, which is not opened", number)
            else:
                kept.append(match[1] + match[2] + b" " + match[3])
        return b"\n".join(kept).rstrip(b"\n") + b"\n\n"

    def _tell_unreadable(self, line: bytes, number: int) -> None:
        if line != b"-":  # it ends each part of a change record, which is told as such
            start = printable(line[:40].decode("utf-8", "replace"))
            self._collector.incomplete(f"this line is not of the form 'attribute: value': {start}", number)

    def _look_closer(self, block: _Block, record: bytes) -> None:
        lines = [line for line in record.split(b"\n") if line and not line.startswith(b"version: ")]
        if not lines:
            return
        if not lines[0].lower().startswith((b"dn: ", b"dn:: ")):
            self._read_trailer(block, lines)
            return
        values: dict[str, list[bytes]] = {}
        for line in lines:
            name = line.partition(b":")[0].partition(b";")[0].decode("ascii").lower()
            value = self._value(block, line) if name in _READ else None
            if value is not None:
                values.setdefault(name, []).append(value)
        self._hand_over(block, lines, values)

    def _hand_over(self, block: _Block, lines: list[bytes], values: dict[str, list[bytes]]) -> None:
        dn = values.pop("dn", None)
        change = values.pop("changetype", [b"add"])[0].lower()
        if change != b"add":
            line = self._number(block, lines[0])
            self._collector.incomplete(
                f"a change record ({printable(change.decode('ascii', 'replace'))}), no entry", line
            )
        elif dn is not None:
            self._collector.add(dn[0].decode("utf-8", "replace"), values)

    def _read_trailer(self, block: _Block, lines: list[bytes]) -> None:
        """Lines without a dn: what `ldapsearch` says about the search, or the remains of a damaged entry."""
        for line in lines:
            word, _, value = line.partition(b" ")
            if word.lower() not in _LDAPSEARCH_WORDS:
                self._collector.incomplete("an entry begins without a dn line", self._number(block, line))
                return
            if word.lower() == b"result:" and not value.startswith(b"0"):
                result = printable(value.decode("utf-8", "replace"))
                self._collector.incomplete(f"the search ended with result {result}", self._number(block, line))

    def _value(self, block: _Block, line: bytes) -> bytes | None:
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
    def _number(block: _Block, line: bytes) -> int:
        """Where a line stands in the file; a mended line is found by its attribute."""
        name = line.partition(b":")[0]
        near = block.line
        for number, text in block.logical_lines():
            if text == line:
                return number
            if text.startswith(name):
                near = number
        return near


def _living(text: bytes) -> bytes:
    """A block without the entries that are marked as deleted; an export with `showDeleted` has them."""
    records = (record for record in text.split(b"\n\n") if _DELETED not in record.lower() + b"\n")
    return b"\n\n".join((*records, b""))


def _without_deleted(
    owners: list[bytes], counts: list[int], names: list[bytes]
) -> tuple[list[bytes], list[int], list[bytes]]:
    """What is left without the accounts that a DN tells to be deleted."""
    ends = [0, *accumulate(counts)]
    kept = [place for place, owner in enumerate(owners) if _DELETED_OBJECTS not in owner]
    left = [name for place in kept for name in names[ends[place] : ends[place + 1]]]
    return [owners[place] for place in kept], [counts[place] for place in kept], left


_READ = ATTRIBUTES | {"dn", "changetype"}


def _asked_lines(collector: Collector) -> frozenset[bytes]:
    """The lowered lines by which an entry answers the question, or says more about an account kept before."""
    question = collector.question
    names = (name.encode("utf-8", "replace") for name in question.account_names)
    lines = {b"serviceprincipalname: " + name.key.encode("utf-8", "replace") for name in question.spns}
    for name in names:
        lines |= {b"samaccountname: " + name, b"userprincipalname: " + name}
    for dn in collector.kept:
        text = dn.encode("utf-8", "replace")
        lines |= {b"dn: " + text.lower(), b"dn:: " + base64.b64encode(text).lower()}
    return frozenset(lines)
