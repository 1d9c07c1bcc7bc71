"""Reading LDIF (RFC 2849) as `ldifde -f` and `ldapsearch` write it, in blocks of many entries.

An export of a whole domain has millions of lines, and a dozen of its accounts concern the question. So the text is
skimmed with operations on whole blocks and whole entries; only an entry that may concern the question is taken apart
(`agent.sources.ad.ldif_entries`). A block with a line that is not plain LDIF is mended line by line first, which also
gives the line numbers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import BinaryIO

from agent.names import printable
from agent.sources.ad.census import GroupValues, folded
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif_blocks import Block, blocks_of
from agent.sources.ad.ldif_entries import LDAPSEARCH_WORDS, EntryReader
from agent.sources.ad.ldif_mending import Mender

MOST_WORDS = 2000
"""A schema with Exchange has some hundred attributes on accounts; a file with more names than this is no export."""

MOST_NAMES = 20_000_000
"""Values of servicePrincipalName, which take 8 bytes each; a forest of a million accounts has some millions."""

_NOT_ATTRIBUTES = frozenset({"dn", "version", "changetype", *(word.rstrip(b":").decode() for word in LDAPSEARCH_WORDS)})


def read_ldif(stream: BinaryIO, collector: Collector) -> None:
    """Feed every entry of an LDIF file to `collector`, and say where the file is damaged. Raises OSError only."""
    skimmer = _Skimmer(collector)
    for block in blocks_of(stream, collector):
        skimmer.skim(block)
        if collector.names_seen > MOST_NAMES:
            collector.incomplete(f"it holds over {MOST_NAMES:,} SPNs; the rest was not read", block.line)
            return
    skimmer.end()


_FIRST_WORD = re.compile(rb"[a-z0-9][a-z0-9._-]*(?:;[^:]*)?::?\Z")
_COMMENT = re.compile(rb"\n#[^\n]*")
_BEGUN_BY_LDAPSEARCH = b"\n# LDAPv3\n"
_ENDED_BY_LDAPSEARCH = (b"\n# search result", b"\nresult: ")
_RESULT_COMMENT = re.compile(rb"\n# result: ([1-9][^\n]*)")
_SPN = b"\nserviceprincipalname: "
_SPNS = re.compile(_SPN + rb"([^\n]*)")
_GROUP = b"\nobjectclass: group\n"
_DELETED = (b"\nisdeleted: true\n", b"\nisdeleted:: vfjvrq==\n")  # the second in base64
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


class _Skimmer:
    """Goes through block after block and looks closer at the entries that may matter."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._entries = EntryReader(collector)
        self._mender = Mender(collector)
        self._asked = _asked_lines(collector)
        self._dressed = False
        self._last_line = 1
        self._is_open = False
        self._words: frozenset[bytes] = frozenset()
        self._names: set[str] = set()
        self._unusual = _out_of_the_ordinary(self._words)

    def skim(self, block: Block) -> None:
        text = b"\n\n" + block.raw
        if self._dressed:
            self._note_ends(block, text)
            text = self._undressed(text)
        lower = text.lower()
        places = self._unusual_places(lower)
        if places is None and not self._dressed:
            self._dressed = True
            self.skim(block)
            return
        if places is None:
            text = b"\n\n" + self._mender.mended(block)
            lower = text.lower()
            places = self._unusual_places(lower) or []
        if any(lower.startswith(_DELETED, place) for place in places):
            text = _living(text)
            lower = text.lower()
            places = self._unusual_places(lower) or []
        self._count(block, text, lower)
        self._collector.passing_groups(self._groups(block, text, lower))
        places += self._asked_places(lower)
        end = -1
        for place in sorted(places):
            if place >= end:  # else it is of the same entry, which may be a large one
                start = lower.rfind(b"\n\n", 0, place + 2) + 2
                end = lower.find(b"\n\n", start) % len(lower)
                self._entries.read(block, text[start:end])

    def _undressed(self, text: bytes) -> bytes:
        """Without folds and comments; `ldifde -f` writes few of them, so they are looked for once one was seen."""
        text = text.replace(b"\n ", b"")
        return self._without_comments(text) if b"\n#" in text else text

    def _without_comments(self, text: bytes) -> bytes:
        for result in _RESULT_COMMENT.findall(text):
            self._collector.incomplete(f"the search ended with result {printable(result.decode('utf-8', 'replace'))}")
        return _COMMENT.sub(b"", text)

    def _unusual_places(self, lower: bytes) -> list[int] | None:
        """Where a line of other than the ordinary kind begins; None where one is not `name: value` at all.

        Nor is one that blanks fill up, or a dn that stands right below the lines of another entry.
        """
        places = [match.start() for match in self._unusual.finditer(lower)]
        lines = {lower[place + 1 : lower.find(b"\n", place + 1)] for place in places} - {b""}
        new = {line.partition(b" ")[0] for line in lines} - self._words
        if b"\0" in lower or not all(map(_FIRST_WORD.match, new)) or _is_damaged(lower):
            return None
        if not new or len(self._words) > MOST_WORDS:
            return places
        self._learn(new)
        return self._unusual_places(lower)

    def _note_ends(self, block: Block, text: bytes) -> None:
        """`ldapsearch` begins with a comment, and without it nothing of this is asked; it ends with the result."""
        if _BEGUN_BY_LDAPSEARCH in text:
            self._is_open = True
        if any(mark in text for mark in _ENDED_BY_LDAPSEARCH):
            self._is_open = False
        self._last_line = block.line + block.raw.count(b"\n")

    def end(self) -> None:
        """The file ends here."""
        if self._is_open:
            reason = "the result that ldapsearch writes at the end is missing: the file was cut, or a part taken out"
            self._collector.incomplete(reason, self._last_line)
        if self._words.isdisjoint({b"dn:", b"dn::"}):
            self._collector.incomplete("no entry stands in it", 1)
        if self._names & {"samaccountname", "serviceprincipalname"} == {"samaccountname"}:
            self._collector.withhold()

    def _learn(self, words: set[bytes]) -> None:
        self._words |= words
        self._unusual = _out_of_the_ordinary(self._words)
        names = {word.partition(b":")[0].partition(b";")[0].decode("ascii", "replace") for word in words}
        self._names |= names
        self._collector.saw(names - _NOT_ATTRIBUTES)

    def _asked_places(self, lower: bytes) -> list[int]:
        """Where a line that was asked for stands, as a whole: the line ends before them."""
        lines = lower.split(b"\n")
        asked = self._asked.intersection(lines[1:-1])
        if not asked:
            return []
        ends = accumulate((len(line) + 1 for line in lines), initial=-1)
        return [end for line, end in zip(lines[:-1], ends, strict=False) if line in asked]

    def _count(self, block: Block, text: bytes, lower: bytes) -> None:
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

    def _decoded_owners(self, block: Block, text: bytes) -> list[bytes]:
        records = (record.lstrip(b"\n") for record in text.split(b"\n\n") if _SPNS.search(record.lower()))
        first_lines = (record.partition(b"\n")[0] for record in records if record[:3].lower() == b"dn:")
        return [folded(self._entries.value(block, line) or b"") for line in first_lines]

    def _groups(self, block: Block, text: bytes, lower: bytes) -> Iterator[GroupValues]:
        """The groups of a block. Their members are the bulk of it, so only the few lines in question are looked up."""
        place = lower.find(_GROUP)
        while place >= 0:
            start = lower.rfind(b"\n\n", 0, place + 2) + 2
            end = lower.find(b"\n\n", place)
            end = len(lower) if end < 0 else end
            sids = self._values(block, text, lower, b"\nobjectsid:", start, end)
            if sids and lower.startswith(b"dn:", start):
                dn = folded(self._entries.value(block, text[start : text.find(b"\n", start)]) or b"")
                if _DELETED_OBJECTS not in dn:
                    yield dn, sids[0], self._values(block, text, lower, b"\nmemberof:", start, end)
            place = lower.find(_GROUP, end)

    def _values(self, block: Block, text: bytes, lower: bytes, name: bytes, start: int, end: int) -> list[bytes]:
        """The values of an attribute in the entry between two places."""
        found: list[bytes] = []
        place = lower.find(name, start, end)
        while place >= 0:
            value = self._entries.value(block, text[place + 1 : text.find(b"\n", place + 1)])
            found += [value] if value is not None else []
            place = lower.find(name, place + 1, end)
        return found


def _is_damaged(lower: bytes) -> bool:
    return b" \n" in lower or lower.count(b"\ndn:") != lower.count(b"\n\ndn:")


def _living(text: bytes) -> bytes:
    """A block without the entries that are marked as deleted; an export with `showDeleted` has them."""
    records = (record for record in text.split(b"\n\n") if not any(mark in record.lower() + b"\n" for mark in _DELETED))
    return b"\n\n".join((*records, b""))


def _without_deleted(
    owners: list[bytes], counts: list[int], names: list[bytes]
) -> tuple[list[bytes], list[int], list[bytes]]:
    """What is left without the accounts that a DN tells to be deleted."""
    ends = [0, *accumulate(counts)]
    kept = [place for place, owner in enumerate(owners) if _DELETED_OBJECTS not in owner]
    left = [name for place in kept for name in names[ends[place] : ends[place + 1]]]
    return [owners[place] for place in kept], [counts[place] for place in kept], left


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
