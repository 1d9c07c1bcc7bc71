"""What became of a run, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from agent.change.journal import Change, Files
from agent.change.writer import RefusedError, SurpriseError, Writer
from agent.errors import IisSpnError
from agent.names import fold, printable

Outcome = Literal["done", "nothing", "declined", "stopped", "interrupted"]


class Applied(NamedTuple):
    """What became of it. "stopped": by a surprise; "interrupted": the controller went away, run it again.

    `failed` is the change at which it ended, or the first that could not be taken back; `left` are all that are not
    known to be done, that one first. `not_done` says in sentences what is left to people.
    """

    outcome: Outcome
    message: str
    done: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()
    failed: Change | None = None
    not_done: tuple[str, ...] = ()


class Failure(NamedTuple):
    """A change that was not made, and why."""

    change: Change
    error: IisSpnError

    @property
    def is_final(self) -> bool:
        """The directory said no, or is not as it should be; else nobody knows whether the change was made."""
        return isinstance(self.error, RefusedError | SurpriseError)

    @property
    def outcome(self) -> Outcome:
        return "stopped" if self.is_final else "interrupted"

    def __str__(self) -> str:
        return f"{self.change}\n{self.error}."


def stopped(failure: Failure, changes: Sequence[Change], back: str, not_done: tuple[str, ...]) -> Applied:
    """A run that ended at one of its changes; those before it are done."""
    at = changes.index(failure.change)
    done, left = tuple(changes[:at]), tuple(changes[at:])
    parts = [f"Stopped at:  {failure}", told("Done:", done) or "Before that nothing was changed."]
    parts.append(told("Not begun:", left[1:]))
    if failure.is_final:
        parts += _homeless(done, left)
        parts.append("To go on: remove the cause and plan again; a new plan starts from what is there now.")
    else:
        parts.append("Whether that change was made is not known.")
        parts.append("To go on: run the same command again in the same place; it asks the directory first.")
    if done or not failure.is_final:
        parts.append(f"To take back what is done: {back}")
    return Applied(failure.outcome, paragraphs(*parts, not_done), done, left, failure.change, not_done)


def _homeless(done: Sequence[Change], left: Sequence[Change]) -> Iterator[str]:
    """The names that were taken from an account and came to no other one."""
    awaited = {fold(change.spn) for change in left if change.kind == "spn-add"}
    for name in dict.fromkeys(c.spn for c in done if c.kind == "spn-delete" and fold(c.spn) in awaited):
        yield f"{printable(name)} was deleted already, so no account of this plan holds it now."


def paragraphs(*parts: str | Sequence[str]) -> str:
    texts = (part if isinstance(part, str) else "\n".join(part) for part in parts)
    return "\n\n".join(text for text in texts if text)


def told(heading: str, changes: Iterable[Change]) -> str:
    """The changes below their heading; nothing where there are none."""
    lines = [f"  {change}" for change in changes]
    return "\n".join((heading, *lines)) if lines else ""


def way_back(files: Files, writer: Writer) -> str:
    """The command that takes a run back."""
    path = printable(str(files.rollback))
    quoted = f'"{path}"' if " " in path else path
    return f"iis-spn plan --ad ldap://{printable(writer.server)} --rollback {quoted}"
