"""How much of a report stands on a page for people, and which command lines come after it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Shown = Literal["verdict", "causes", "origins", "all"]
"""`verdict`: that alone. `causes`: what to do, on one screen. `origins`: also the servers that need somebody, with the
line that sets each value. `all`: every server and application."""


class Following(NamedTuple):
    """Whole command lines: the same again with what the questions brought (`again`), and the `plan` of it.

    None where there is none that can be pasted as it stands.
    """

    again: str | None = None
    plan: str | None = None


NOTHING_FOLLOWS = Following()


class Screen(NamedTuple):
    """What a page is written for: so many columns, with colours or without, and how much of the report."""

    width: int
    color: bool
    shown: Shown = "causes"
    following: Following = NOTHING_FOLLOWS
