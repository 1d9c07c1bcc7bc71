"""Before anything changes: each step held against what the controller shows, so that nothing begins that cannot end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from agent.change.journal import Change
from agent.change.plan import pairwise
from agent.change.writer import RefusedError, SurpriseError, Writer, demand_free, demand_held, spelt_alike
from agent.errors import UsageError
from agent.model import Step
from agent.names import AccountName, fold, printable

LookUp = Callable[[AccountName], str | None]
"""The distinguished name of an account, None where it is not known."""


class Draft(NamedTuple):
    """The changes in the letters of the directory, SPN after SPN, and all values of their accounts."""

    changes: tuple[Change, ...]
    before: dict[str, tuple[str, ...]]


def drafted(steps: Iterable[Step], writer: Writer, look_up: LookUp) -> Draft:
    """Look at every account and every holder. Raises UsageError, SourceError and SurpriseError; nothing is changed."""
    look = _Look(writer)
    for step in pairwise(steps):
        _, account = step.value
        dn = step.dn or look_up(account)
        if dn is None:
            raise UsageError(f"nothing was changed: where {printable(str(account))} stands is not known")
        look.take(Change.of(step, len(look.changes) + 1, dn))
    return Draft(tuple(look.changes), look.before)


class _Look:
    """The values of the accounts as they will be after each change."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.changes: list[Change] = []
        self.before: dict[str, tuple[str, ...]] = {}
        self._now: dict[str, list[str]] = {}
        self._gone: dict[str, set[str]] = {}

    def take(self, change: Change) -> None:
        held = self._held(change.dn)
        gone = self._gone.setdefault(fold(change.spn), set())
        if change.kind == "spn-add":
            others = [dn for dn in self._writer.holders(change.spn) if fold(dn) not in gone | {fold(change.dn)}]
            demand_free(change, held, others)
            held.append(change.spn)
            self.changes.append(change)
            return
        same = spelt_alike(held, change.spn)
        stored = change._replace(spn=change.spn if change.spn in same or not same else same[0])
        demand_held(stored, held)
        held.remove(stored.spn)
        gone.add(fold(change.dn))
        self.changes.append(stored)

    def _held(self, dn: str) -> list[str]:
        held = self._now.get(fold(dn))
        if held is None:
            self.before[dn] = self._values(dn)
            held = self._now[fold(dn)] = list(self.before[dn])
        return held

    def _values(self, dn: str) -> tuple[str, ...]:
        try:
            return self._writer.values(dn)
        except RefusedError as error:
            raise SurpriseError(f"{printable(dn)}: {error}") from None


# -- what is left to people ----------------------------------------------------------------------------------------


def waiting(steps: Sequence[Step], held: frozenset[int]) -> tuple[str, ...]:
    """What --apply leaves to people, in the plan's order: each step that waits, and what is no SPN."""
    asking: dict[object, Step] = {}
    for step in steps:
        if step.confirm and step.spn is not None:
            asking.setdefault(step.spn, step)
    rests = _only_removals(steps)
    return tuple(
        _held_back(step, asking.get(step.spn, step), rests) if step.changes_spn else _by_others(step)
        for step in steps
        if step.order in held or not step.changes_spn
    )


def _only_removals(steps: Iterable[Step]) -> frozenset[object]:
    """The SPNs of which nothing but removals asks first."""
    asking = [step for step in steps if step.confirm]
    return frozenset(step.spn for step in asking) - {step.spn for step in asking if step.kind != "spn-delete"}


def _held_back(step: Step, first: Step, only_removals: frozenset[object]) -> str:
    name, account = (printable(str(part)) for part in step.value)
    what = f"{name} is not added to {account}" if step.is_add else f"{name} stays on {account}"
    if step.after:
        earlier = ", ".join(map(str, step.after))
        return f"{what} yet: do step {earlier} first, then call this again with new snapshots"
    if step.confirm:
        option = "--confirm-delete" if step.spn in only_removals else "--confirm"
        return f"{what}: {printable(step.note or 'ask first')}. Then add {option} {name}"
    awaited = first.title if first.changes_spn else first.command or first.note or ""
    return f"{what}, which waits for: {printable(awaited)}"


def _by_others(step: Step) -> str:
    when = "first" if step.kind in {"dns", "iis-setting"} else "yourself"
    return f"Not done by --apply, do it {when}: {printable(step.command or step.note or '')}"


def by_hand(steps: Iterable[Step]) -> tuple[str, ...]:
    """How people take back, last first, what was theirs to do."""
    theirs = [step for step in steps if not step.changes_spn]
    return tuple(
        f"Not done by --rollback, where it was done{_at(step)}: {printable(_back(step))}" for step in reversed(theirs)
    )


def _at(step: Step) -> str:
    return f" on {printable(step.server)}" if step.server is not None else ""


def _back(step: Step) -> str:
    return step.rollback if step.rollback is not None else f"take back by hand: {step.command or step.note or ''}"
