"""One `Directory` from any number of files: LDIF exports and setspn output, told apart by what stands in them."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from agent.errors import MalformedError
from agent.model import SourceRead
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif import read_ldif
from agent.sources.ad.setspn_text import read_setspn
from agent.sources.text_file import written
from agent.spn.directory import Directory, Question

_HEAD = 1 << 20
"""Bytes."""


class Said(NamedTuple):
    """What was said of the directory elsewhere than in a file of `--ad`: where, and what tells it to a collector."""

    source: str
    tell: Callable[[Collector], None]


def read_exports(
    paths: Sequence[Path],
    question: Question,
    netbios_names: Mapping[str, str] | None = None,
    said: Sequence[Said] = (),
) -> Directory:
    """What the files say to the question, and what was said elsewhere. A file that cannot be read is a problem of the
    directory, not an error.

    The same account in two files, by SID or distinguished name, is one account with the SPNs of both.
    """
    collector = Collector(question, netbios_names)
    told = [_told(one, collector) for one in said]
    known = [(_row(file.head), file) for path in paths if (file := _begun(path, collector))]
    read = {path: SourceRead(kind="directory", source=str(path), note="it could not be read") for path in paths}
    for row, file in sorted(known, key=lambda found: -found[0]):
        path = file.path
        if _is_read(file, READERS[row], collector):
            covers, note = collector.covered_here, _note(collector)
            read[path] = SourceRead(kind="directory", source=str(path), date=written(path), covers=covers, note=note)
    sources = [*(one.source for one in said), *map(str, paths)]
    return collector.directory(", ".join(sources), [*told, *read.values()])


def _told(said: Said, collector: Collector) -> SourceRead:
    collector.next_source(said.source)
    said.tell(collector)
    return SourceRead(kind="directory", source=said.source, covers=collector.covered_here, note=_note(collector))


class Reader(NamedTuple):
    """One kind of file: whether the beginning of a file, with plain line ends, is of this kind, and what reads it."""

    name: str
    knows: Callable[[str], bool]
    read: Callable[[BinaryIO, Collector], None]


_LDIF = re.compile(r"^(?:dn::? *\S|version: ?1$|# extended LDIF|# LDAPv3|result: \d)", re.MULTILINE | re.IGNORECASE)


def is_ldif(head: str) -> bool:
    """Whether a text begins as LDIF does."""
    return _LDIF.search(head) is not None


READERS = (
    # an entry, the version line, or what ldapsearch prints around entries
    Reader("LDIF", is_ldif, read_ldif),
    # in any language: whatever is no other file
    Reader("setspn text", lambda _head: True, read_setspn),
)
"""THE TABLE of files that `--ad` takes: the first row that knows the beginning of a file reads it.

Files of the last row are read first: setspn names accounts by DN only, an LDIF after it says what they are.
"""


class _File(NamedTuple):
    """A file and its beginning; a pipe stays open, for it gives its beginning only once."""

    path: Path
    head: bytes
    pipe: BinaryIO | None

    def open(self) -> BinaryIO:
        return self.path.open("rb") if self.pipe is None else io.BufferedReader(_Again(self.head, self.pipe))


class _Again(io.RawIOBase):
    """A pipe whose first bytes were taken already, from its beginning."""

    def __init__(self, head: bytes, pipe: BinaryIO) -> None:
        super().__init__()
        self._head, self._pipe = io.BytesIO(head), pipe

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._pipe.fileno()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._head.read(len(buffer)) or self._pipe.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._pipe.close()
        super().close()


def _begun(path: Path, collector: Collector) -> _File | None:
    try:
        stream = path.open("rb")
        head = stream.read(_HEAD)
        if not stream.seekable():
            return _File(path, head, stream)
        stream.close()
    except OSError as fault:
        _tell_unreadable(path, fault, collector)
        return None
    return _File(path, head, None)


def _row(head: bytes) -> int:
    text = _text(head)
    return next(row for row, reader in enumerate(READERS) if reader.knows(text))


def _text(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head.decode("utf-16", "replace")
    else:
        text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n")


def _is_read(file: _File, reader: Reader, collector: Collector) -> bool:
    collector.next_source(str(file.path))
    try:
        with file.open() as stream:
            reader.read(stream, collector)
    except OSError as fault:
        collector.incomplete(_unreadable(fault))
        return False
    except MalformedError as fault:
        collector.incomplete(fault.reason, fault.line)
        return False
    return True


def _note(collector: Collector) -> str | None:
    """What the present file cannot prove."""
    if collector.covered_here:
        return None
    searched = len(collector.searched_here)
    if not searched:
        return "it shows holders, but cannot prove that nobody holds an SPN"
    spns = "1 SPN is" if searched == 1 else f"{searched} SPNs are"
    return f"it shows holders, and that {spns} nobody's; of no other it can prove that nobody holds it"


def _tell_unreadable(path: Path, fault: OSError, collector: Collector) -> None:
    collector.next_source(str(path))
    collector.incomplete(_unreadable(fault))


def _unreadable(fault: OSError) -> str:
    return f"the file cannot be read: {fault.strerror or fault}"
