"""How much of a report stands on a page for people, and which command lines come after it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

Shown = Literal["verdict", "causes", "origins", "all"]
"""`verdict`: that alone. `causes`: what to do, on one screen. `origins`: also the servers that need somebody, with the
line that sets each value. `all`: every server and application."""


class Following(Struct, frozen=True):
    """Whole command lines: the same again with what the questions brought (`again`), and the `plan` of it.

    None where there is none that can be pasted as it stands. How something was asked for does not make it something
    else: any two are equal.
    """

    again: str | None = None
    plan: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Following)

    def __hash__(self) -> int:
        return hash(Following)


NOTHING_FOLLOWS = Following()


class Screen(NamedTuple):
    """What a page is written for: so many columns, with colours or without, and how much of the report."""

    width: int
    color: bool
    shown: Shown = "causes"
    following: Following = NOTHING_FOLLOWS
