"""One `Directory` from any number of files: LDIF exports and setspn output, told apart by what stands in them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.errors import MalformedError
from agent.model import SourceRead
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif import read_ldif
from agent.sources.ad.setspn_text import read_setspn
from agent.sources.text_file import written
from agent.spn.directory import Directory, Question

_HEAD = 1 << 20
"""Bytes."""


def read_exports(
    paths: Sequence[Path], question: Question, netbios_names: Mapping[str, str] | None = None
) -> Directory:
    """What the files say to the question. A file that cannot be read is a problem of the directory, not an error.

    The same account in two files, by SID or distinguished name, is one account with the SPNs of both.
    """
    collector = Collector(question, netbios_names)
    rows = [(row, path) for path in paths if (row := _row(path, collector)) is not None]
    read = {path: SourceRead(kind="directory", source=str(path), note="it could not be read") for path in paths}
    for row, path in sorted(rows, key=lambda found: -found[0]):
        if _is_read(path, READERS[row], collector):
            covers, note = collector.covered_here, _note(collector)
            read[path] = SourceRead(kind="directory", source=str(path), date=written(path), covers=covers, note=note)
    return collector.directory(", ".join(map(str, paths)), read.values())


class Reader(NamedTuple):
    """One kind of file: whether the beginning of a file, with plain line ends, is of this kind, and what reads it."""

    name: str
    knows: Callable[[str], bool]
    read: Callable[[Path, Collector], None]


_LDIF = re.compile(r"^(?:dn::? *\S|version: ?1$|# extended LDIF|# LDAPv3|result: \d)", re.MULTILINE | re.IGNORECASE)

READERS = (
    # an entry, the version line, or what ldapsearch prints around entries
    Reader("LDIF", lambda head: _LDIF.search(head) is not None, read_ldif),
    # in any language: whatever is no other file
    Reader("setspn text", lambda _head: True, read_setspn),
)
"""THE TABLE of files that `--ad` takes: the first row that knows the beginning of a file reads it.

Files of the last row are read first: setspn names accounts by DN only, an LDIF after it says what they are.
"""


def _row(path: Path, collector: Collector) -> int | None:
    try:
        head = _head(path)
    except OSError as fault:
        _tell_unreadable(path, fault, collector)
        return None
    return next(row for row, reader in enumerate(READERS) if reader.knows(head))


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head.decode("utf-16", "replace")
    else:
        text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n")


def _is_read(path: Path, reader: Reader, collector: Collector) -> bool:
    try:
        reader.read(path, collector)
    except OSError as fault:
        _tell_unreadable(path, fault, collector)
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
    collector.incomplete(f"the file cannot be read: {fault.strerror or fault}")
