"""One `Directory` from any number of files: LDIF exports and setspn output, told apart by what stands in them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.errors import MalformedError
from agent.sources.ad.collector import Collector
from agent.sources.ad.ldif import read_ldif
from agent.sources.ad.setspn_text import read_setspn
from agent.spn.directory import Directory, Question

_HEAD = 1 << 20
_LDIF = re.compile(r"^(?:dn::? *\S|version: ?1$|# extended LDIF|# LDAPv3|result: \d)", re.MULTILINE | re.IGNORECASE)


def read_exports(
    paths: Sequence[Path], question: Question, netbios_names: Mapping[str, str] | None = None
) -> Directory:
    """What the files say to the question. A file that cannot be read is a problem of the directory, not an error.

    The same account in two files, by SID or distinguished name, is one account with the SPNs of both.
    """
    collector = Collector(question, netbios_names)
    # setspn output first: it names accounts by DN only, an LDIF after it says what they are
    for _, path, reader in sorted(_readers(paths, collector), key=lambda found: found[0]):
        _read_one(path, reader, collector)
    return collector.directory(", ".join(map(str, paths)))


_Reader = Callable[[Path, Collector], None]


def _readers(paths: Sequence[Path], collector: Collector) -> list[tuple[bool, Path, _Reader]]:
    found: list[tuple[bool, Path, _Reader]] = []
    for path in paths:
        try:
            is_ldif = looks_like_ldif(path)
        except OSError as fault:
            _tell_unreadable(path, fault, collector)
        else:
            found.append((is_ldif, path, read_ldif if is_ldif else read_setspn))
    return found


def _read_one(path: Path, reader: _Reader, collector: Collector) -> None:
    try:
        reader(path, collector)
    except OSError as fault:
        _tell_unreadable(path, fault, collector)
    except MalformedError as fault:
        collector.incomplete(fault.reason, fault.line)


def _tell_unreadable(path: Path, fault: OSError, collector: Collector) -> None:
    collector.next_source(str(path))
    collector.incomplete(f"the file cannot be read: {fault.strerror or fault}")


def looks_like_ldif(path: Path) -> bool:
    """Whether an LDIF entry, the version line, or what ldapsearch prints around entries stands near the beginning."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head.decode("utf-16", "replace")
    else:
        text = head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return _LDIF.search(text.replace("\r\n", "\n")) is not None
