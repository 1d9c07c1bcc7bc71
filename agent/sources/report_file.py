"""A JSON report that an earlier run wrote: what is wrong with one is said with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path

from agent.errors import MalformedError, UsageError
from agent.model import Report
from agent.names import fold, printable
from agent.sources.snapshots.targets import FRAMED, PACKED
from agent.sources.text_file import is_there, read_text

MAXIMUM_SIZE = 1 << 31
"""Bytes; the report of 5,000 servers has 750 MB."""

_STEP = re.compile(r"\.(\w+)|\[([0-9]+)\]")
_PLACE = re.compile(r"\$((?:\.\w+|\[[0-9]+\])*): ")
_BLANK = re.compile(r"[\s,:]*")
_DECODER = json.JSONDecoder()


def is_report(word: str) -> bool:
    """Whether a file is meant to be a report; configurations, snapshots and folders of them are not.

    Raises UsageError where nothing is there.
    """
    path = Path(word)
    if "*" in word or "?" in word:
        return False
    if not is_there(path):
        raise UsageError(f"{printable(word)}: there is no such file or folder")
    return path.is_file() and not fold(path.name).endswith((FRAMED, *PACKED, ".config", ".xml"))


def read_report(word: str) -> Report:
    """The report of a file, of any released schema. Raises UsageError with the file, the line and what is wrong."""
    text = read_text(Path(word), MAXIMUM_SIZE)
    try:
        return Report.from_json(text, printable(word))
    except MalformedError as error:
        line = error.line or _line(text, error.reason)
        raise UsageError(str(MalformedError(error.file, line, error.reason))) from None


def _line(text: str, reason: str) -> int | None:
    """The line of the place that a reason begins with ($.servers[0].status), or of the innermost that is there."""
    found = _PLACE.match(reason)
    if found is None:
        return None
    at = _past_blank(text, 0)
    for name, number in _STEP.findall(found[1]):
        inner = _member(text, at, name) if name else _item(text, at, int(number))
        if inner is None:
            break
        at = inner
    return text.count("\n", 0, at) + 1


def _member(text: str, at: int, name: str) -> int | None:
    """Where the value of a member stands. `text` is known to be JSON."""
    at = _past_blank(text, at + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value = _past_blank(text, end)
        if key == name:
            return value
        at = _past_blank(text, _end(text, value))
    return None


def _item(text: str, at: int, number: int) -> int:
    at = _past_blank(text, at + 1)
    for _ in range(number):
        at = _past_blank(text, _end(text, at))
    return at


def _end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]


def _past_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()
