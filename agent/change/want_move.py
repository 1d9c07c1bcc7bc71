"""One change that leads to what is wanted, and its place among the others."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from agent.checks.actions import Action
from agent.model import ApplicationRef, Step
from agent.names import printable

ALIAS, READERS, GONE, SETTING, MOVED_RECORD, SPNS, RECORD, BALANCER = range(8)
"""The order: an alias ends before anybody is asked for its name, and a new name leads here when all is ready."""


class Move(NamedTuple):
    """One change and its place in the order. `switched` are the applications for which another account decrypts from
    then on; `at` those whose settings it touches.
    """

    action: Action
    stage: int
    at: tuple[ApplicationRef, ...] = ()
    switched: tuple[ApplicationRef, ...] = ()


def in_words(step: Step, what: str) -> Action:
    """A step with its command, else in words: a name that cannot be quoted is told as data."""
    if step.command is not None and (step.rollback is not None or step.kind != "dns"):
        return Action(step, f"{step.command}")
    where = f" on {printable(step.server)}" if step.server is not None else ""
    words = f"By hand{where}: {printable(what)}."
    return Action(replace(step, command=None, rollback=None, note=words), words)
