"""A file that is given as a TARGET and is none: what it looks like, and where it belongs instead."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

_HEAD = 4096
"""Bytes that are looked at."""


class Mistaken(NamedTuple):
    """What a file looks like, and what to do with it."""

    kind: str
    advice: str
    looks: Callable[[bytes, str], bool]


def _begins(mark: bytes) -> Callable[[bytes, str], bool]:
    return lambda data, _text: data.startswith(mark)


def _holds(pattern: str) -> Callable[[bytes, str], bool]:
    found = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    return lambda _data, text: found.search(text) is not None


_AD = "Give it with --ad, and as TARGET the server."

MISTAKEN = (
    Mistaken(
        "a zip archive", "Unpack it, and give the applicationHost.config or the folder in it.", _begins(b"PK\3\4")
    ),
    Mistaken("gzip data", "A packed snapshot is called NAME.snapshot.json.gz.", _begins(b"\x1f\x8b")),
    Mistaken("what collect.ps1 prints", "Call it NAME.snapshot.", _holds(r"^iis-spn-snapshot \d")),
    Mistaken("a report of iis-spn", "Give what it was made from.", _holds(r'\A\s*\{[^{]{0,500}"iis-spn/report/')),
    Mistaken("a snapshot", "Call it NAME.snapshot.json.", _holds(r'\A\s*\{[^{]{0,500}"iis-spn/snapshot/')),
    Mistaken(
        "the record of a sweep", "Give the folder that it stands in.", _holds(r'\A\s*\{[^{]{0,500}"iis-spn/sweep/')
    ),
    Mistaken(
        "JSON", "If it is a machine.json, give the folder that it stands in.", _holds(r'\A\s*(?:\{\s*"|\[\s*[{"])')
    ),
    Mistaken(
        "a web page", "Give the file itself, not a page that shows it.", _holds(r"\A\s*<(?:!doctype html|html)\b")
    ),
    Mistaken("LDIF", _AD, _holds(r"^dn::? *\S")),
    Mistaken("the text of setspn", _AD, _holds(r"\bCN=.*,DC=[\w-]+:?\s*$")),
    Mistaken(
        "a zone file", "Give it with --dns, and as TARGET the server.", _holds(r"^\S*\s.*\bSOA\s|^;\s*Database file ")
    ),
    Mistaken("TOML", "A farm file is given with --farm, accepted findings with --accept.", _holds(r"^\[\[\w+\]\]\s*$")),
)
"""THE TABLE: the first row that knows the beginning of a file. No configuration is looked at: it begins with `<`."""


def mistaken(data: bytes) -> Mistaken | None:
    """What a file is that stands for a configuration file; None where it may be one, or nobody can tell."""
    text = _text(data[:_HEAD])
    found = next((row for row in MISTAKEN if row.looks(data, text)), None)
    is_markup = text.lstrip("\ufeff \t\r\n").startswith("<")
    return None if is_markup and found is not None and found.kind != "a web page" else found


def _text(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", "replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("latin-1").replace("\r\n", "\n")
