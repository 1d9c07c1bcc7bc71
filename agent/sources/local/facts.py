"""The facts of a machine, each asked for itself: one that Windows does not tell costs none of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from agent.iis.snapshot import Machine
from agent.names import fold, printable


class Answer(NamedTuple):
    """Fields of a `Machine`, and why some of what was asked is not among them."""

    known: Mapping[str, object]
    why_less: str | None = None


class Fact(NamedTuple):
    """What is asked of Windows at once. `unknown` says what cannot be told without it, `right` what asking takes."""

    name: str
    ask: Callable[[], Answer]
    unknown: str
    right: str = "an elevated prompt (Run as administrator)"


def gathered(facts: Iterable[Fact]) -> Machine:
    """The machine as far as it could be asked; what could not be is named."""
    known: dict[str, object] = {}
    unread: list[tuple[str, str]] = []
    for fact in facts:
        try:
            answer = fact.ask()
        except OSError as error:
            answer = Answer({}, _why(error, fact))
        known.update(answer.known)
        if answer.why_less is not None:
            unread.append((fact.name, f"{answer.why_less}; {fact.unknown} is not known"))
    return Machine(**known, facts_unread=tuple(unread))  # type: ignore[arg-type]


def _why(error: OSError, fact: Fact) -> str:
    if isinstance(error, PermissionError):
        return f"access denied: it takes {fact.right}"
    return printable(str(error.strerror or error))


def pool_of(words: Sequence[str]) -> str | None:
    """The pool that a worker process serves: `w3wp.exe -ap "ContosoPool" -v "v4.0" ...`, taken apart into words."""
    return next((pool for option, pool in pairwise(words) if fold(option) == "-ap" and pool), None)
