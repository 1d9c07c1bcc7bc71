"""A text that somebody captured, with the lines at which things stand in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from agent.evidence.captured import Captured, Facts, Kind, Unread


class Page(Struct, frozen=True, dict=True):
    """A text with plain line ends; `first_line` is where it begins in its source."""

    source: str
    text: str
    first_line: int = 1

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def line(self, offset: int) -> int:
        """The line of the source in which a character stands."""
        return bisect_right(self._starts, offset) - 1 + self.first_line

    def found(self, kind: Kind, offset: int, facts: Facts, *, readable: bool = True, secret: bool = False) -> Captured:
        """A piece of evidence that begins at a character."""
        return replace(self.at_line(kind, self.line(offset), facts), readable=readable, secret=secret)

    def at_line(self, kind: Kind, line: int, facts: Facts) -> Captured:
        """The same by the line of the source."""
        return Captured(kind=kind, source=self.source, line=line, facts=facts)

    def unread(self, offset: int, why: str) -> Unread:
        """What begins at a character cannot be read."""
        return Unread(self.source, self.line(offset), why)

    def unread_line(self, line: int, why: str) -> Unread:
        """The same by the line of the source."""
        return Unread(self.source, line, why)


Read = Iterator[Captured | Unread]
"""What a reader finds in a page, in the order of the text."""

Reader = Callable[[Page], Read]
