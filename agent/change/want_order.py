"""The steps of what is wanted in their order, each with what fails from when until when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from agent.change.want_move import MOVED_RECORD, SETTING, SPNS, Move
from agent.change.want_spns import Now
from agent.model import ApplicationRef, Requirement, Step
from agent.names import AccountName, Spn

TEN_HOURS = "at most 10 hours"
"""How long a ticket lives, unless the domain's policy says otherwise (rule R4.17)."""


class Ordered(NamedTuple):
    """A move with its step, which has its number."""

    move: Move
    step: Step


def in_order(now: Now, moves: Iterable[Move]) -> list[Ordered]:
    """Removals, settings, then SPN after SPN; where nobody's decryptor changes a removal stands before its add."""
    every = list(moves)
    spns = dict.fromkeys(m.action.step.spn for m in every if m.stage == SPNS)
    places = {name: at for at, name in enumerate(spns)}

    def place(move: Move) -> tuple[int, int, bool, bool]:
        step = move.action.step
        at = places[step.spn] if move.stage == SPNS else 0
        return move.stage, at, step.is_add, step.changes_spn and not step.confirm

    ranked = sorted(every, key=place)
    numbered = [Ordered(move, replace(move.action.step, order=order)) for order, move in enumerate(ranked, start=1)]
    windows = _windows(now, numbered)
    return [Ordered(one.move, _timed(now, one, numbered, windows.get(one.step.order, {}))) for one in numbered]


def _timed(now: Now, one: Ordered, every: Sequence[Ordered], windows: Mapping[Spn, int | None]) -> Step:
    step = one.step
    if step.is_add:
        before = tuple(
            o.step.order for o in every if _comes_first(o.move) and not set(o.move.at).isdisjoint(one.move.at)
        )
        return replace(step, after=before)
    lost = {name for name, end in windows.items() if end is None}
    told = [
        *(_failing(name, end) for name, end in windows.items()),
        *_tickets(now, one.move, lost),
        *_asked(one, every),
        *_cached(one, every),
    ]
    if not told:
        return step
    note = "; ".join([*([step.note] if step.note is not None else []), *told])
    if step.note is not None and (step.kind == "manual" or step.command is None):  # it is the instruction: sentences
        note = " ".join((step.note, *(f"{text[:1].upper()}{text[1:]}." for text in told)))
    return replace(step, note=note)


def _comes_first(move: Move) -> bool:
    return move.stage in {SETTING, MOVED_RECORD}


def _asked(one: Ordered, every: Sequence[Ordered]) -> Iterator[str]:
    """A removal that may stay undone, where the account that keeps the SPN then decrypts no more."""
    for other in every:
        if (
            other.step.kind == "spn-delete"
            and other.step.confirm
            and not set(other.move.at).isdisjoint(one.move.switched)
        ):
            yield f"wait for step {other.step.order}, which asks first: until it is done {other.step.spn} would fail"


def _cached(one: Ordered, every: Sequence[Ordered]) -> Iterator[str]:
    """A name that leads to another inspected server until a record is changed."""
    added = [o.step.order for o in every if o.step.is_add and not set(o.move.at).isdisjoint(one.move.at)]
    if one.move.stage == MOVED_RECORD and added:
        yield (
            "clients that know the old record until its time to live has passed get 401 there from step "
            f"{added[0]} on: wait that long"
        )


# -- what fails meanwhile ------------------------------------------------------------------------------------------


class _Works(NamedTuple):
    """An SPN that works today, for applications for which another account decrypts then."""

    requirement: Requirement
    places: frozenset[ApplicationRef]


def _working(now: Now, switched: Iterable[ApplicationRef]) -> Iterator[_Works]:
    moved = frozenset(switched)
    for judged in now.today.judged:
        places = moved.intersection(judged.requirement.applications)
        if places and judged.requirement.outcome == "kerberos":
            yield _Works(judged.requirement, places)


def _tickets(now: Now, move: Move, lost: Collection[Spn]) -> Iterator[str]:
    """A ticket of before was encrypted for the account of before; `lost` are names that fail from then on anyway."""
    held: dict[AccountName | None, list[str]] = {}
    for works in _working(now, move.switched):
        if works.requirement.spn in lost:
            continue
        held.setdefault(works.requirement.account, []).append(works.requirement.spn.text)
    for account, names in held.items():
        yield (
            f"clients that still hold a ticket for {', '.join(dict.fromkeys(names))} to {account} get 401 from this "
            f"step until they throw it away (klist purge), {TEN_HOURS}"
        )


def _failing(name: Spn, end: int | None) -> str:
    return f"{name} fails (401) from this step {f'until step {end}' if end is not None else 'on'}"


def _windows(now: Now, every: Sequence[Ordered]) -> Mapping[int, dict[Spn, int | None]]:
    """Names that another account answers for meanwhile, by the step from which on: what `HOST/` covers is never without
    a holder (rule R4.1).
    """
    found: dict[int, dict[Spn, int | None]] = {}
    for works in _working(now, {ref for other in every for ref in other.move.switched}):
        window = _window(now, works, every)
        if window is not None:
            found.setdefault(window[0], {})[works.requirement.spn] = window[1]
    return found


def _window(now: Now, works: _Works, every: Sequence[Ordered]) -> tuple[int, int | None] | None:
    """From which step until which one an SPN leads to an account that cannot decrypt; None where that never is."""
    requirement = works.requirement
    behind = _behind(now, requirement.spn)
    away = [o.step.order for o in every if o.step.kind == "spn-delete" and o.step.spn == requirement.spn]
    added = [o.step.order for o in every if o.step.is_add and o.step.spn == requirement.spn]
    switching = [o.step.order for o in every if not works.places.isdisjoint(o.move.switched)]
    if away and not behind:
        return None  # nobody holds it meanwhile: NTLM
    start = away[0] if away and requirement.account not in behind else switching[0]
    if added:
        return start, added[-1]
    then = {
        judged.requirement.account
        for judged in now.after.judged_of(requirement.spn)
        if not works.places.isdisjoint(judged.requirement.applications)
    }
    if then == {requirement.account}:
        return None
    is_served = (away or not requirement.holders) and then == behind
    return start, (switching[-1] if is_served else None)


def _behind(now: Now, name: Spn) -> set[AccountName | None]:
    """Who answers once no `HTTP/` SPN does."""
    directory = now.today.directory
    if directory is None or name.service not in directory.mapped_to_host:
        return set()
    return {account.name for account in directory.seen(name.with_service("HOST"))}
