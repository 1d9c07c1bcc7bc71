"""Files of evidence, told by what stands in them: logs that are streamed, EVTX, and texts of any kind.

A log may have gigabytes, packed or not; of every other file at most 64 MB are read. Nothing of a file is kept but the
facts in it, for it may hold tickets.
"""

from __future__ import annotations

import glob
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from agent.errors import MalformedError, UsageError
from agent.evidence.captured import Captured, Facts, Unread
from agent.evidence.event_xml import event_xml
from agent.evidence.page import Page
from agent.evidence.reading import Found, read_page, sorted_out
from agent.evidence.setspn_output import SetspnText, said_among_others
from agent.evidence.w3c_log import Log
from agent.names import printable
from agent.sources.ad.collector import Collector
from agent.sources.ad.exports import Said, is_ldif
from agent.sources.ad.ldif import read_ldif
from agent.sources.ad.setspn_text import decoded, tell
from agent.sources.snapshots.targets import is_snapshot_name
from agent.sources.text_file import is_there, place_of

LARGEST_FILE = 64 << 20
LONGEST_LINE = 1 << 20
"""Bytes. http.sys writes no longer one: its requests are limited (MaxRequestBytes)."""

_BLOCK = 1 << 18
_SOME = 1 << 17
_HEAD = 4096


class Brought(NamedTuple):
    """What a file holds, and what of it a directory may be made of."""

    found: Found
    said: tuple[Said, ...] = ()


class Words(NamedTuple):
    """The words of the command line: files of evidence, None for standard input, and TARGETs of `inspect`."""

    evidence: tuple[Path | None, ...]
    targets: tuple[str, ...]


def sorted_words(words: Sequence[str]) -> Words:
    """Which word is which: a folder, a snapshot or an IIS configuration is a TARGET, all else is evidence.

    Raises UsageError for a pattern that matches nothing.
    """
    evidence: dict[Path | None, None] = {}
    targets: list[str] = []
    for word in (one for pattern in words for one in _matches(pattern)):
        if word == "-":
            evidence[None] = None
        elif _is_target(Path(word)):
            targets.append(word)
        else:
            evidence[Path(word)] = None
    return Words(tuple(evidence), tuple(targets))


def _matches(pattern: str) -> Sequence[str]:
    if not pattern.strip() or "\0" in pattern:
        raise UsageError("the name of a file is empty, or holds a null character")
    if is_there(Path(pattern)) or not any(sign in pattern for sign in "*?"):
        return [pattern]
    found = sorted(glob.glob(pattern.replace("[", "[[]")))  # noqa: PTH207  pathlib refuses absolute patterns
    if not found:
        raise UsageError(f"'{printable(pattern)}' matches nothing")
    return found


_CONFIGURATION = re.compile(r"\s*(?:<\?[^>]{0,200}\?>\s*|<!--(?:(?!-->)[\s\S]){0,20000}-->\s*)*<configuration[\s>]")


def _is_target(path: Path) -> bool:
    try:
        if path.is_dir() or is_snapshot_name(path):
            return True
        with path.open("rb") as stream:
            return _CONFIGURATION.match(decoded(stream.read(1 << 15))) is not None
    except (OSError, ValueError):
        return False


def read_evidence(path: Path | None) -> Brought:
    """Everything in a file that is known, None for standard input. What cannot be read is told in it."""
    source = place_of(path)
    try:
        with _opened(path) as stream:
            return _read(stream, source)
    except OSError as error:
        return _nothing(source, None, f"it cannot be read: {error.strerror or error}")
    except (EOFError, zlib.error):
        return _nothing(source, None, "it is packed, and damaged or cut off")
    except MalformedError as error:
        return _nothing(source, error.line, error.reason)


def _opened(path: Path | None) -> BinaryIO:
    if path is None:
        return cast("BinaryIO", io.BufferedReader(_Left(sys.stdin.buffer), _BLOCK))
    return path.open("rb", buffering=_BLOCK)


def _nothing(source: str, line: int | None, why: str) -> Brought:
    return Brought(Found((), (Unread(source, line, why),)))


def _read(stream: BinaryIO, source: str) -> Brought:
    buffered = cast("io.BufferedReader", stream)
    head = buffered.peek(_HEAD)[:_HEAD]
    other = next((why for sign, why in _OUT_OF_REACH if head.startswith(sign)), None)
    if other is not None:
        return _nothing(source, None, other)
    if head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=stream) as unpacked:
            return _read(cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", unpacked), _BLOCK)), source)
    if head.startswith(_EVTX):
        return _event_log(stream, source)
    if _LOG.match(head):
        return _log(buffered, source)
    return _text(stream, source)


_GZIP, _EVTX = b"\x1f\x8b", b"ElfFile\0"
_LOG = re.compile(rb"(?:\xef\xbb\xbf)?#(?:Software|Version|Date|Fields):")
_PCAP = (
    "it is a network capture: export its text instead (Wireshark: File, Export Packet Dissections, As Plain Text, or "
    "tshark -V -Y http.authorization||http.www_authenticate||kerberos -r FILE)"
)
_OUT_OF_REACH = (
    *((sign, _PCAP) for sign in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\xb2\xa1")),
    (b"GMBU", f"it is a capture of Network Monitor. Wireshark opens it: {_PCAP}"),
    (b"PK\3\4", "it is a zip archive: unpack it"),
)
"""What a file begins with that holds evidence in a form that is not read, and what to do."""


# -- logs ----------------------------------------------------------------------------------------------------------


def _log(stream: io.BufferedReader, source: str) -> Brought:
    log = Log(source)
    damage: list[Unread] = []
    try:
        log.take(chain.from_iterable(_blocks(stream, source)))
    except (EOFError, OSError, zlib.error) as error:
        damage.append(Unread(source, None, f"it is damaged or cut off; what was read before counts: {error}"))
    return Brought(sorted_out(damage, log))


def _blocks(stream: io.BufferedReader, source: str) -> Iterator[Iterable[bytes]]:
    """The lines of a log, some hundreds at a time: nothing gives lines faster than a block of them in memory.

    No line is longer than it may be: one without an end would fill the memory.
    """
    rest = b""
    while block := stream.read1(_SOME):
        end = block.rfind(b"\n") + 1
        if end:
            lines = io.BytesIO(block)
            lines.truncate(end)  # copies nothing
            yield (rest + lines.readline(),)
            yield lines
            rest = b""
        rest += block[end:]
        if len(rest) > LONGEST_LINE:
            raise MalformedError(source, None, f"a line of it is longer than {LONGEST_LINE >> 20} MB: no log")
    if rest:
        yield (rest,)


class _Left(io.RawIOBase):
    """What is left to read of a stream, whose own reading ahead is not lost."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return cast("io.BufferedReader", self._stream).readinto1(buffer)


# -- texts ---------------------------------------------------------------------------------------------------------


def _text(stream: BinaryIO, source: str) -> Brought:
    data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        return _nothing(source, None, f"larger than {LARGEST_FILE >> 20} MB: export only the events in question")
    text = _DOUBLED.sub("\n", decoded(data))
    if is_ldif(text[: 1 << 20]):
        return _exported(data, text, source)
    said = said_among_others(text)
    holds = bool(said.answers or said.absences)
    return Brought(read_page(Page(source, text)), (_of_setspn(said, source),) if holds else ())


_DOUBLED = re.compile(r"\r+\n")
_ENTRY = re.compile(r"^dn::?", re.MULTILINE | re.IGNORECASE)


def _exported(data: bytes, text: str, source: str) -> Brought:
    entries = list(_ENTRY.finditer(text))
    line = text.count("\n", 0, entries[0].start()) + 1 if entries else 1
    one = Captured(kind="ldif", source=source, line=line, facts=Facts(count=len(entries)))

    def feed(collector: Collector) -> None:
        read_ldif(io.BytesIO(data), collector)

    return Brought(Found((one,), ()), (Said(source, feed),))


def _of_setspn(said: SetspnText, source: str) -> Said:
    def feed(collector: Collector) -> None:
        tell(said.holdings, said.absences, collector)
        for line, text in said.remarks:
            collector.incomplete(text, line)

    return Said(source, feed)


# -- event logs ----------------------------------------------------------------------------------------------------


def _event_log(stream: BinaryIO, source: str) -> Brought:
    """The events of an EVTX file; each stands at the number of its record."""
    from agent.sources import extras

    if not extras.is_installed("evtx"):
        how = extras.how_to_install("evtx")
        why = f"it is an event log, which needs the extra evtx: {how}; or export it: wevtutil qe FILE /lf:true /f:xml"
        return _nothing(source, None, why)
    from agent.sources.event_log import records

    found: list[Captured | Unread] = []
    try:
        for page in records(stream, source):
            found += event_xml(page)
    except MalformedError as error:
        found.append(Unread(source, None, error.reason))
    return Brought(sorted_out(found))
