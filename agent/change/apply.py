"""Carry out the SPN steps of a plan, one value at a time: stoppable anywhere, resumable, and able to be taken back.

The directory is behind a `Writer`; the two files of `agent.change.journal` make it safe. A line "intent" without one
after it is an open question, put to the directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import filterfalse
from pathlib import Path

from agent.change.applied import Applied, Failure, paragraphs, stopped, told, way_back
from agent.change.draft import Draft, LookUp, by_hand, drafted, waiting
from agent.change.journal import BACK, FORTH, TO_UNDO, Change, Files, Journal, Record
from agent.change.lock import alone
from agent.change.plan import awaiting, held_back
from agent.change.writer import SurpriseError, Writer, attempt
from agent.errors import SourceError, UsageError
from agent.model import Step
from agent.names import AccountName, Spn, fold, printable
from agent.spn.directory import Directory

Confirm = Callable[[str], bool]
"""Shows a text and asks: shall it be done?"""
MayWrite = Callable[[str], bool]
"""Whether the controller shows that the logon may write the SPNs of an account. Even then it may refuse (KB5008382),
and what it does not show may be allowed: a validated write."""

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
    may_write: MayWrite = lambda _: True,
) -> Applied:
    """Carry out the SPN steps after asking; a run that was broken off in `files` is continued instead.

    `confirmed`: SPNs whose steps that ask first are carried out too; `deletable`: those whose removals are.

    Raises UsageError where that cannot be, and nothing else of its own.
    """
    held = held_back(steps, confirmed, deletable) | awaiting(steps)

    def look() -> Draft:
        doable = (step for step in steps if step.order not in held)
        return drafted(doable, writer, lambda name: _dn_in(directory, name) or look_up(name))

    with alone(files.lock):
        journal = Journal(files.journal)
        if journal.phase == "begin":
            return _resume(writer, files, journal, confirm)
        _demand_steps(steps, confirmed, deletable)
        not_done = waiting(steps, held)
        try:
            _refuse_used(journal, files, writer)
            draft = look()
            if not draft.changes:
                words = paragraphs("There is nothing that --apply could do.", not_done)
                return Applied("nothing", words, not_done=not_done)
            if not confirm(_question(draft, _doubts(draft, may_write), not_done, files, writer)):
                return Applied("declined", "Nothing was changed.", left=draft.changes, not_done=not_done)
            draft = _unchanged(draft, look())
        except (SourceError, SurpriseError) as error:
            words = f"Nothing was changed: {error}. Plan anew from what is there now."
            return Applied("stopped", paragraphs(words, not_done), not_done=not_done)
        return _begin(Record(writer.server, *draft, not_done, by_hand(steps)), writer, files, journal)


def _demand_steps(steps: Sequence[Step], confirmed: Iterable[Spn], deletable: Iterable[Spn]) -> None:
    """An agreement to what is not planned was meant for something else."""
    known = {step.spn for step in steps}
    removed = {step.spn for step in steps if step.kind == "spn-delete"}
    for option, names, there in (("--confirm", confirmed, known), ("--confirm-delete", deletable, removed)):
        for name in names:
            if name not in there:
                what = "deletes it" if there is removed else "is about it"
                raise UsageError(f"nothing was changed: {option} {name}: no step of this plan {what}")


def _doubts(draft: Draft, may_write: MayWrite) -> tuple[str, ...]:
    return tuple(
        f"The controller does not show that this logon may write the SPNs of {printable(dn)}: it may refuse."
        for dn in draft.before
        if not may_write(dn)
    )


def _question(draft: Draft, doubts: tuple[str, ...], not_done: tuple[str, ...], files: Files, writer: Writer) -> str:
    heading = f"These servicePrincipalName values change, on {printable(writer.server)}:"
    back = f"The way back: {way_back(files, writer)}"
    return paragraphs(told(heading, draft.changes), doubts, not_done, back)


def _unchanged(shown: Draft, now: Draft) -> Draft:
    """What is there after the "yes", for which a person may have taken hours."""
    if now.changes != shown.changes:
        raise SurpriseError("the directory is not as it was when this was asked")
    return now


def _begin(record: Record, writer: Writer, files: Files, journal: Journal) -> Applied:
    try:
        record.write(files)
        journal.begin(writer.server, record.changes)
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
        raise UsageError(f"taking back was broken off: finish it first: {way_back(files, writer)}")
    if journal.phase:
        raise UsageError(f"{files.journal} belongs to an earlier run: choose another name")
    if files.rollback.exists():
        record = Record.read(files)
        if any(set(writer.values(dn)) != set(values) for dn, values in record.before.items()):
            raise UsageError(f"{files.rollback} is the way back of another run, and its journal is gone: keep it")


def _resume(writer: Writer, files: Files, journal: Journal, confirm: Confirm) -> Applied:
    record = Record.read(files)
    _demand_same_server(writer, record.server, files)
    left = tuple(change for change in record.changes if journal.steps.get(change.number) != "done")
    back = f"The way back: {way_back(files, writer)}"
    heading = f"A run was broken off ({files.journal}). What is left of it, on {printable(writer.server)}:"
    if not confirm(paragraphs(told(heading, left), record.not_done, back)):
        words = paragraphs("Nothing more was changed.", back)
        return Applied("declined", words, left=left, not_done=record.not_done)
    return _run(record, writer, files, journal)


def _run(record: Record, writer: Writer, files: Files, journal: Journal) -> Applied:
    """All changes that the journal does not call done; it goes on where it stands."""
    back = way_back(files, writer)
    for change in record.changes:
        state = journal.steps.get(change.number)
        if state == "done":
            continue
        error = attempt(change, writer, journal, FORTH, is_open=state == "intent")
        if error is not None:
            failure = Failure(change, error)
            if failure.is_final:
                with suppress(SourceError):
                    journal.note("stopped", change.number, str(error))
            return stopped(failure, record.changes, back, record.not_done)
    with suppress(SourceError):  # every single change is in the journal as done
        journal.note("end")
    words = paragraphs(told("Done:", record.changes), record.not_done, f"The way back: {back}")
    return Applied("done", words, record.changes, not_done=record.not_done)


# -- take back -----------------------------------------------------------------------------------------------------


def roll_back(rollback: Path, writer: Writer, confirm: Confirm) -> Applied:
    """Take a run back, last change first, after asking; can be broken off and run again.

    It goes on after a change that cannot be taken back, and lists what is left.

    Raises UsageError where the file cannot be used, or on another controller than the one that was changed.
    """
    files = Files.of(rollback)
    with alone(files.lock):
        record, journal = Record.read(files), Journal(files.journal)
        _demand_same_server(writer, record.server, files)
        begun = (c for c in reversed(record.changes) if not journal.phase or journal.steps.get(c.number) in TO_UNDO)
        changes = tuple(change.inverse for change in begun)
        if not changes:
            return Applied("nothing", "There is nothing to take back: no change of this file is in force.")
        heading = f"These servicePrincipalName values are put back where they are not, on {printable(writer.server)}:"
        doubt = "" if journal.phase else f"{files.journal} is not there: only the directory can tell what was done."
        if not confirm(paragraphs(told(heading, changes), doubt)):
            return Applied("declined", "Nothing was changed.", left=changes)
        try:
            journal.undo(writer.server)
        except SourceError as error:
            raise UsageError(f"nothing was changed: {error}") from None
        return _undo(changes, record, writer, files, journal)


def _undo(changes: tuple[Change, ...], record: Record, writer: Writer, files: Files, journal: Journal) -> Applied:
    failures, left = _taken_back(changes, writer, journal)
    kept = (*(failure.change for failure in failures), *left)
    done = tuple(filterfalse(frozenset(kept).__contains__, changes))
    if failures:
        parts = [told("Taken back:", done) or "Nothing was taken back.", *(f"Not taken back:  {f}" for f in failures)]
        again = f"To go on: remove the cause, then again: {way_back(files, writer)}"
        words = paragraphs(*parts, told("Not begun:", left), again, record.by_hand)
        return Applied(failures[-1].outcome, words, done, kept, failures[0].change, record.by_hand)
    with suppress(SourceError):
        journal.note("restored")
    words = paragraphs(told("Taken back:", changes), _differences(record, writer), record.by_hand)
    return Applied("done", words, changes, not_done=record.by_hand)


def _taken_back(
    changes: tuple[Change, ...], writer: Writer, journal: Journal
) -> tuple[list[Failure], tuple[Change, ...]]:
    """What could not be taken back, and what was not begun because the controller went away."""
    failures: list[Failure] = []
    for position, change in enumerate(changes, start=1):
        error = attempt(change, writer, journal, BACK, is_open=True)
        if error is not None:
            failures.append(Failure(change, error))
            if not failures[-1].is_final:
                return failures, changes[position:]
    return failures, ()


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
