"""Which tag was not closed, where a file is no XML: lxml names both tags and their lines, expat only the place."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from agent.names import printable

LAST_LINE = 65_535
"""libxml2 counts no line beyond this one."""

_MISMATCH = re.compile(r"Opening and ending tag mismatch: ([^\s,]+) line (\d+) and ([^\s,]+)")
_END = re.compile(r"Premature end of data in tag ([^\s,]+) line (\d+)")


class Unclosed(NamedTuple):
    """An element whose end is not there: its name, the line of its start tag, and what closes it instead, if anything.

    Names of elements only: whatever else stands in a damaged file may be part of a password.
    """

    name: str
    line: int
    closed_by: str | None

    def __str__(self) -> str:
        end = "the file ends" if self.closed_by is None else f"</{self.closed_by}> comes"
        return f"<{self.name}> of line {self.line} is not closed where {end}"


def unclosed(data: bytes) -> Unclosed | None:
    """What was left open in a text that is not well-formed, None where that is not its fault."""
    from lxml import etree  # a damaged file is rare, and loading it takes 30 ms

    # a target that keeps nothing: no tree is built, no entity resolved
    target: Any = _Nothing()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True)
    try:
        etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        return _of(error.msg or "")
    except (ValueError, LookupError):  # an encoding that libxml2 does not take
        return None
    return None


def _of(message: str) -> Unclosed | None:
    mismatch, end = _MISMATCH.match(message), _END.match(message)
    if mismatch is not None:
        found = Unclosed(_shown(mismatch[1]), int(mismatch[2]), _shown(mismatch[3]))
    elif end is not None:
        found = Unclosed(_shown(end[1]), int(end[2]), None)
    else:
        return None
    return found if found.line < LAST_LINE else None


def _shown(name: str) -> str:
    return printable(name[:80])


class _Nothing:
    """A target of lxml's parser that is told of nothing but the end: lxml calls the methods that are there."""

    def close(self) -> None:
        """The end of the document."""
