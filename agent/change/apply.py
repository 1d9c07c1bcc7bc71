"""Carry out the SPN steps of a plan, one value at a time: stoppable anywhere, resumable, and able to be taken back.

The directory is behind a `Writer`; the two files of `agent.change.journal` make it safe. A line "intent" without one
after it is an open question, put to the directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from agent.change.journal import BACK, FORTH, TO_UNDO, Change, Files, Journal, Record
from agent.change.plan import held_back
from agent.change.writer import RefusedError, SurpriseError, Writer, attempt, demand_free, demand_held, spelt_alike
from agent.errors import IisSpnError, SourceError, UsageError
from agent.model import Step
from agent.names import AccountName, Spn, fold, printable
from agent.spn.directory import Directory

Outcome = Literal["done", "nothing", "declined", "stopped", "interrupted"]
Confirm = Callable[[str], bool]
"""Shows a text and asks: shall it be done?"""
LookUp = Callable[[AccountName], str | None]
"""The distinguished name of an account, None where it is not known."""


class Applied(NamedTuple):
    """What became of it. "stopped": by a surprise; "interrupted": the controller went away, run it again.

    `failed` is the change at which it ended; `left` are all that are not known to be done, that one first. `not_done`
    says in sentences what --apply leaves to people.
    """

    outcome: Outcome
    message: str
    done: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()
    failed: Change | None = None
    not_done: tuple[str, ...] = ()


# -- apply ---------------------------------------------------------------------------------------------------------


def apply(
    steps: Sequence[Step],
    directory: Directory | None,
    writer: Writer,
    files: Files,
    confirmed: frozenset[Spn],
    confirm: Confirm,
    look_up: LookUp = lambda _: None,
    deletable: frozenset[Spn] = frozenset(),
) -> Applied:
    """Carry out the SPN steps after asking; a run that was broken off in `files` is continued instead.

    `confirmed`: SPNs whose steps that ask first are carried out too; `deletable`: those whose removals are.

    Raises UsageError where that cannot be, and nothing else of its own.
    """
    journal = Journal(files.journal)
    if journal.phase == "begin":
        return _resume(writer, files, journal, confirm)
    draft = _Draft(writer, lambda name: _dn_in(directory, name) or look_up(name))
    held = held_back(steps, confirmed, deletable)
    try:
        _refuse_used(journal, files, writer)
        for step in steps:
            if step.changes_spn and step.order not in held:
                draft.take(step)
            else:
                draft.not_done.append(_held_back(step, steps) if step.changes_spn else _by_others(step))
    except (SourceError, SurpriseError) as error:
        words = f"Nothing was changed: {error}. Plan anew from what is there now."
        return Applied("stopped", words, left=tuple(draft.changes), not_done=tuple(draft.not_done))
    return _begin(draft, writer, files, journal, confirm)


def _begin(draft: _Draft, writer: Writer, files: Files, journal: Journal, confirm: Confirm) -> Applied:
    changes, not_done = tuple(draft.changes), tuple(draft.not_done)
    if not changes:
        return Applied("nothing", _paragraphs("There is nothing that --apply could do.", not_done), not_done=not_done)
    heading = f"These servicePrincipalName values change, on {printable(writer.server)}:"
    if not confirm(_paragraphs(heading, _listed(changes), not_done, f"The way back: {_command(files, writer)}")):
        return Applied("declined", "Nothing was changed.", left=changes, not_done=not_done)
    record = Record(writer.server, changes, draft.before, not_done)
    try:
        record.write(files)
        journal.begin(writer.server)
    except SourceError as error:
        raise UsageError(f"nothing was changed: {error}") from None
    return _run(record, writer, files, journal)


def _dn_in(directory: Directory | None, name: AccountName) -> str | None:
    if directory is None:
        return None
    known = directory.account(name)
    return known.dn if known is not None else None


def _refuse_used(journal: Journal, files: Files, writer: Writer) -> None:
    """The way back of another run must not be overwritten."""
    if journal.phase == "undoing":
        raise UsageError(f"taking back was broken off: finish it first: {_command(files, writer)}")
    if journal.phase:
        raise UsageError(f"{files.journal} belongs to an earlier run: choose another name")
    if files.rollback.exists():
        record = Record.read(files.rollback)
        if any(set(writer.values(dn)) != set(values) for dn, values in record.before.items()):
            raise UsageError(f"{files.rollback} is the way back of another run, and its journal is gone: keep it")


class _Draft:
    """From steps to changes, checked against what the controller shows at the start."""

    def __init__(self, writer: Writer, look_up: LookUp) -> None:
        self._writer, self._look_up = writer, look_up
        self.changes: list[Change] = []
        self.not_done: list[str] = []
        self.before: dict[str, tuple[str, ...]] = {}
        self._now: dict[str, list[str]] = {}

    def take(self, step: Step) -> None:
        _, account = step.value
        dn = step.dn or self._look_up(account)
        if dn is None:
            raise UsageError(f"nothing was changed: where {printable(str(account))} stands is not known")
        self.changes.append(self._as_stored(Change.of(step, len(self.changes) + 1, dn)))

    def _as_stored(self, change: Change) -> Change:
        held = self._held(change.dn)
        if change.kind == "spn-add":
            gone = {fold(c.dn) for c in self.changes if c.kind == "spn-delete" and fold(c.spn) == fold(change.spn)}
            others = [dn for dn in self._writer.holders(change.spn) if fold(dn) not in gone | {fold(change.dn)}]
            demand_free(change, held, others)
            held.append(change.spn)
            return change
        same = spelt_alike(held, change.spn)
        stored = change._replace(spn=change.spn if change.spn in same or not same else same[0])
        demand_held(stored, held)
        held.remove(stored.spn)
        return stored

    def _held(self, dn: str) -> list[str]:
        """The values of an account as they will be by then."""
        held = self._now.get(fold(dn))
        if held is None:
            self.before[dn] = self._writer.values(dn)
            held = self._now[fold(dn)] = list(self.before[dn])
        return held


def _by_others(step: Step) -> str:
    when = "first" if step.kind in {"dns", "iis-setting"} else "yourself"
    return f"Not done by --apply, do it {when}: {printable(step.command or step.note or '')}"


def _held_back(step: Step, steps: Iterable[Step]) -> str:
    name, account = (printable(str(part)) for part in step.value)
    same = [other for other in steps if other.spn == step.spn and other.confirm]
    what = f"{name} is not added to {account}" if step.is_add else f"{name} stays on {account}"
    if step.confirm:
        option = "--confirm-delete" if all(other.kind == "spn-delete" for other in same) else "--confirm"
        return f"{what}: {printable(step.note or 'ask first')}. Then add {option} {name}"
    return f"{what}, which waits for: {printable(same[0].title if same[0].changes_spn else same[0].command or '')}"


def _resume(writer: Writer, files: Files, journal: Journal, confirm: Confirm) -> Applied:
    record = Record.read(files.rollback)
    _demand_same_server(writer, record.server, files)
    left = tuple(change for change in record.changes if journal.steps.get(change.number) != "done")
    back = f"The way back: {_command(files, writer)}"
    heading = f"A run was broken off ({files.journal}). What is left of it, on {printable(writer.server)}:"
    if not confirm(_paragraphs(heading, _listed(left), record.not_done, back)):
        words = _paragraphs("Nothing more was changed.", back)
        return Applied("declined", words, left=left, not_done=record.not_done)
    return _run(record, writer, files, journal)


def _run(record: Record, writer: Writer, files: Files, journal: Journal) -> Applied:
    """All changes that the journal does not call done; it goes on where it stands."""
    changes = record.changes
    for position, change in enumerate(changes):
        state = journal.steps.get(change.number)
        if state == "done":
            continue
        error = attempt(change, writer, journal, FORTH, is_open=state == "intent")
        if error is not None:
            failure = _Failure(change, changes[:position], changes[position:], error, _command(files, writer))
            if failure.is_final:
                with suppress(SourceError):
                    journal.note("stopped", change.number, str(error))
            return failure.applied(failure.forth(), record.not_done)
    with suppress(SourceError):  # every single change is in the journal as done
        journal.note("end")
    back = f"The way back: {_command(files, writer)}"
    words = _paragraphs("Done:", _listed(changes), record.not_done, back)
    return Applied("done", words, changes, not_done=record.not_done)


# -- take back -----------------------------------------------------------------------------------------------------


def roll_back(rollback: Path, writer: Writer, confirm: Confirm) -> Applied:
    """Take a run back, last change first, after asking; can be broken off and run again.

    Raises UsageError where the file cannot be used, or on another controller than the one that was changed.
    """
    files = Files.of(rollback)
    record, journal = Record.read(rollback), Journal(files.journal)
    _demand_same_server(writer, record.server, files)
    begun = (c for c in reversed(record.changes) if not journal.phase or journal.steps.get(c.number) in TO_UNDO)
    changes = tuple(change.inverse for change in begun)
    if not changes:
        return Applied("nothing", "There is nothing to take back: no change of this file is in force.")
    heading = f"These servicePrincipalName values are put back where they are not yet, on {printable(writer.server)}:"
    doubt = "" if journal.phase else f"{files.journal} is not there: only the directory can tell what was done."
    if not confirm(_paragraphs(heading, _listed(changes), doubt)):
        return Applied("declined", "Nothing was changed.", left=changes)
    try:
        journal.undo(writer.server)
    except SourceError as error:
        raise UsageError(f"nothing was changed: {error}") from None
    return _undo(changes, record, writer, files, journal)


def _undo(changes: tuple[Change, ...], record: Record, writer: Writer, files: Files, journal: Journal) -> Applied:
    for position, change in enumerate(changes):
        error = attempt(change, writer, journal, BACK, is_open=True)
        if error is not None:
            failure = _Failure(change, changes[:position], changes[position:], error, _command(files, writer))
            return failure.applied(failure.back())
    with suppress(SourceError):
        journal.note("restored")
    return Applied("done", _paragraphs("Taken back:", _listed(changes), _differences(record, writer)), changes)


def _differences(record: Record, writer: Writer) -> tuple[str, ...]:
    """What others changed meanwhile on the same accounts is theirs, but it is said."""
    said = []
    for dn, before in record.before.items():
        try:
            now = writer.values(dn)
        except SourceError as error:
            said.append(f"Whether {printable(dn)} is as before could not be seen: {error}.")
            continue
        more, less = sorted(set(now) - set(before)), sorted(set(before) - set(now))
        for values, words in ((more, "has in addition"), (less, "lacks")):
            if values:
                said.append(
                    f"Not as before, by other hands: {printable(dn)} {words} {', '.join(map(printable, values))}."
                )
    return tuple(said)


def _demand_same_server(writer: Writer, server: str, files: Files) -> None:
    """Another controller may not know of the changes yet, and would take them for not done."""
    if fold(writer.server) != fold(server):
        raise UsageError(
            f"{files.rollback} was begun on {printable(server)}, but this is {printable(writer.server)}: "
            f"use --ad ldap://{printable(server)}"
        )


# -- words ---------------------------------------------------------------------------------------------------------


def _paragraphs(*parts: str | Sequence[str]) -> str:
    texts = (part if isinstance(part, str) else "\n".join(part) for part in parts)
    return "\n\n".join(text for text in texts if text)


def _listed(changes: Iterable[Change]) -> tuple[str, ...]:
    return tuple(f"  {change}" for change in changes)


def _command(files: Files, writer: Writer) -> str:
    path = printable(str(files.rollback))
    quoted = f'"{path}"' if " " in path else path
    return f"iis-spn plan --ad ldap://{printable(writer.server)} --rollback {quoted}"


class _Failure(NamedTuple):
    """What stopped a run, and how far it had come."""

    change: Change
    done: tuple[Change, ...]
    left: tuple[Change, ...]
    error: IisSpnError
    command: str

    @property
    def is_final(self) -> bool:
        """The directory said no, or is not as it should be; else nobody knows whether the change was made."""
        return isinstance(self.error, RefusedError | SurpriseError)

    def applied(self, message: str, not_done: tuple[str, ...] = ()) -> Applied:
        outcome: Outcome = "stopped" if self.is_final else "interrupted"
        return Applied(outcome, message, self.done, self.left, self.change, not_done)

    def forth(self) -> str:
        back = f"To take back what is done: {self.command}" if self.done or not self.is_final else ""
        if not self.is_final:
            again = "To go on: run the same command again in the same place; it asks the directory first."
            return _paragraphs(*self._state(), "Whether that change was made is not known.", again, back)
        again = "To go on: remove the cause and plan again; a new plan starts from what is there now."
        return _paragraphs(*self._state(), self._homeless(), again, back)

    def back(self) -> str:
        return _paragraphs(*self._state(), f"To go on: remove the cause, then again: {self.command}")

    def _state(self) -> Iterator[str | tuple[str, ...]]:
        yield (f"Stopped at:  {self.change}", f"{self.error}.")
        yield ("Done:", *_listed(self.done)) if self.done else "Before that nothing was changed."
        if self.left[1:]:
            yield ("Not begun:", *_listed(self.left[1:]))

    def _homeless(self) -> str:
        name = self.change.spn
        if self.change.kind == "spn-add" and any(
            fold(c.spn) == fold(name) and c.kind == "spn-delete" for c in self.done
        ):
            return f"{printable(name)} was deleted already, so no account of this plan holds it now."
        return ""
