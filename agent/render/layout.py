"""Lines of text for a terminal: filled up to a width, names and commands never broken, control characters told."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from agent.model import Outcome, Severity
from agent.names import printable

LOOKS: Mapping[Outcome, str] = {
    "kerberos": "green",
    "ntlm-fallback": "yellow",
    "modified": "bold red",
    "duplicate": "bold red",
    "impossible": "bold red",
    "uncertain": "magenta",
    "unchecked": "cyan",
}
SEVERITY_LOOKS: Mapping[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}

UNITS = re.compile(r"`[^`]*`\S*|\S+")
"""The words of a text; a command between backquotes is one word."""

Part = str | tuple[str, str]
"""A text, or a text with its look."""


class Line(NamedTuple):
    """A line of a page: texts with their looks, nothing but spaces missing at its end."""

    spans: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        return "".join([text for text, _ in self.spans])


class Page:
    """Lines in the making. Every text passes `printable` here, so nothing can drive the terminal."""

    def __init__(self, width: int) -> None:
        self.width = max(width, 20)
        self.lines: list[Line] = []
        self._has_begun = False

    def line(self, *parts: Part) -> None:
        """One line, however long it gets."""
        spans = [(printable(part), "") if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
        while spans:
            text, look = spans.pop()
            if kept := text.rstrip():
                spans.append((kept, look))
                break
        self.lines.append(Line(tuple(spans)))

    def blank(self) -> None:
        """An empty line, never two."""
        if self.lines[-1].plain if self.lines else self._has_begun:
            self.lines.append(Line())

    def prose(self, text: str | Sequence[str], indent: int = 0, *, first: Part = "", look: str = "") -> None:
        """Words filled up to the width; `first` stands in the indent of the first line. No word is ever broken.

        What begins with a bullet hangs by it.
        """
        units = _units(text) if isinstance(text, str) else list(map(printable, text))
        whole = " ".join(units)
        size_of = len if whole.isascii() else cell_len
        if not units or indent + size_of(whole) <= self.width:
            self._prose_line(first, indent, whole, look)
            return
        hang = indent + 2 if units[0] in {"-", "*"} else indent
        lead, at, used = first, indent, 0
        taken: list[str] = []
        for unit in units:
            size = size_of(unit)
            if taken and at + used + size > self.width:
                self._prose_line(lead, at, " ".join(taken), look)
                lead, at, used = "", hang, 0
                taken = []
            taken.append(unit)
            used += size + 1
        self._prose_line(lead, at, " ".join(taken), look)

    def _prose_line(self, lead: Part, indent: int, text: str, look: str) -> None:
        """`text` has passed `printable`."""
        shown, lead_look = (lead, "") if isinstance(lead, str) else lead
        if kept := text.rstrip():
            self.lines.append(Line(((printable(shown.ljust(indent)), lead_look), (kept, look))))
        else:
            self.line((shown.ljust(indent), lead_look))

    def heading(self, title: str, rest: str) -> None:
        """A line across the page that starts a part."""
        self.blank()
        used = cells(printable(title + rest)) + 4
        self.line("== ", (title, "bold"), f"{rest} ", "=" * max(min(self.width, 120) - used, 2))

    def fits(self, cells: int) -> bool:
        """Whether so many cells stand on one line."""
        return cells <= self.width

    def text(self, color: bool) -> str:
        """The finished page."""
        return self.taken(color)

    def taken(self, color: bool) -> str:
        """The lines so far, which are forgotten then: a page of thousands of servers is written as it is made.

        Empty ones at the end are kept, for maybe nothing follows.
        """
        end = len(self.lines)
        while end and not self.lines[end - 1].plain:
            end -= 1
        done, self.lines = self.lines[:end], self.lines[end:]
        self._has_begun |= bool(done)
        return _colored(done, self.width) if color else "".join(f"{line.plain}\n" for line in done)


def _colored(lines: Sequence[Line], width: int) -> str:
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
        highlight=False,
        no_color=False,
    )
    for line in lines:
        console.print(Text.assemble(*line.spans), soft_wrap=True)
    return out.getvalue()


def _units(text: str) -> list[str]:
    """The words of a text; of most the only blanks are spaces."""
    if text.isprintable() and "`" not in text:
        return text.split()
    return list(map(printable, UNITS.findall(text)))


def cells(text: str) -> int:
    """How many cells of a terminal a text takes; of a plain one that is known without a look at each character."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(text)


def with_commas(units: Sequence[str]) -> list[str]:
    """Units with commas between them, none of which is broken."""
    return [f"{unit}," for unit in units[:-1]] + list(units[-1:])
