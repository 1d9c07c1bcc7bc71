"""The two files that make `--apply` safe, beside each other: the rollback file and the journal.

The rollback file, written before anything changes, holds the changes in the spelling of the directory and all values
as they were. The journal begins with the changes too, and gets a line, flushed to the disk, before and after each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agent.errors import SourceError, UsageError
from agent.model import Step
from agent.names import printable
from agent.writing import append, sync_folder, write_whole

ROLLBACK_SCHEMA = "iis-spn/rollback/1"
JOURNAL_SCHEMA = "iis-spn/journal/1"

Kind = Literal["spn-delete", "spn-add"]


class Files(NamedTuple):
    """Where one run leaves the way back and its journal, beside each other."""

    rollback: Path
    journal: Path

    @classmethod
    def of(cls, rollback: Path) -> Files:
        """The pair to which a rollback file belongs."""
        return cls(rollback, rollback.with_suffix(".journal"))

    @property
    def lock(self) -> Path:
        """Held by the run that uses the pair."""
        return self.rollback.with_suffix(".lock")

    @classmethod
    def within(cls, folder: Path) -> Files:
        """Those of the run that was broken off in this folder, else new ones. UsageError where there are several."""
        journals = sorted(folder.glob("iis-spn-*.journal"))
        broken = [path for path in journals if Journal(path).phase in {"begin", "undoing"}]
        if len(broken) > 1:
            names = ", ".join(path.with_suffix(".json").name for path in broken)
            raise UsageError(f"several broken off runs are in {folder}: take them back with --rollback: {names}")
        if broken:
            return cls(broken[0].with_suffix(".json"), broken[0])
        return cls.of(folder / f"iis-spn-rollback-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z.json")


class Change(NamedTuple):
    """A line of the rollback file: one SPN step, with the object that it changes and the letters that stand there."""

    number: int
    kind: Kind
    dn: str
    account: str
    spn: str
    finding: str

    @classmethod
    def of(cls, step: Step, number: int, dn: str) -> Change:
        """An SPN step of a plan. Raises ValueError for another one."""
        name, account = step.value
        kind: Kind = "spn-add" if step.is_add else "spn-delete"
        return cls(number, kind, dn, str(account), name.text, step.finding)

    @classmethod
    def read(cls, number: int, plain: Mapping[str, Any]) -> Change:
        """What was written. Raises KeyError, TypeError or ValueError."""
        if plain["kind"] not in ("spn-delete", "spn-add"):
            raise ValueError(plain["kind"])
        return cls(number, plain["kind"], *(_str(plain[key]) for key in cls._fields[2:]))

    @property
    def plain(self) -> dict[str, str]:
        """What is written: the number is its place."""
        return {key: value for key, value in self._asdict().items() if key != "number"}

    @property
    def inverse(self) -> Change:
        return self._replace(kind="spn-add" if self.kind == "spn-delete" else "spn-delete")

    def __str__(self) -> str:
        sign, place = ("+", "to") if self.kind == "spn-add" else ("-", "from")
        where = f"{printable(self.account)} ({printable(self.dn)})"
        return f"{sign} {printable(self.spn)}  {place} {where}"


class Words(NamedTuple):
    """What the journal says before a change, after it, and after the directory refused it."""

    before: str
    after: str
    refused: str


FORTH = Words("intent", "done", "refused")
BACK = Words("undo", "undone", "kept")
_STATES = {
    "intent": "begun, perhaps done",
    "done": "done",
    "refused": "refused",
    "undo": "perhaps taken back",
    "undone": "taken back",
    "kept": "done, and not taken back",
}
TO_UNDO = frozenset({"intent", "done", "undo", "kept"})
"""What the last line about a change says where it may be in force."""


# -- the rollback file ---------------------------------------------------------------------------------------------


class Record(NamedTuple):
    """The rollback file: the changes, and all values of the accounts as they were.

    `not_done` says what --apply left to people, `by_hand` how they take it back where they did it.
    """

    server: str
    changes: tuple[Change, ...]
    before: Mapping[str, Sequence[str]]
    not_done: tuple[str, ...]
    by_hand: tuple[str, ...] = ()

    @classmethod
    def read(cls, files: Files) -> Record:
        """Raises UsageError; where the journal is there, with what it knows."""
        path = files.rollback
        try:
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            why = f"cannot read {path}: {error.strerror}"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            why = f"{path} is no rollback file of iis-spn ({ROLLBACK_SCHEMA})"
        raise UsageError("\n".join((why, *Journal(files.journal).known())))

    @classmethod
    def _of(cls, plain: Any) -> Record:
        if plain["schema"] != ROLLBACK_SCHEMA:
            raise ValueError(plain["schema"])
        before = {_str(dn): tuple(map(_str, values)) for dn, values in plain["before"].items()}
        said = (tuple(map(_str, plain[key])) for key in ("not_done", "by_hand") if key in plain)
        return cls(_str(plain["server"]), _changes(plain["steps"]), before, *said)

    def write(self, files: Files) -> None:
        """In one step and down to the disk. Raises SourceError."""
        plain = {
            "schema": ROLLBACK_SCHEMA,
            "created": _now(),
            "server": self.server,
            "journal": files.journal.name,
            "steps": [change.plain for change in self.changes],
            "before": self.before,
            "not_done": self.not_done,
            "by_hand": self.by_hand,
        }
        try:
            write_whole(files.rollback, [f"{json.dumps(plain, indent=2)}\n".encode()], private=True, durable=True)
        except OSError as error:
            raise SourceError(f"cannot write {files.rollback}: {error.strerror}") from None


def _changes(plain: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    return tuple(Change.read(number, step) for number, step in enumerate(plain, start=1))


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


# -- the journal ---------------------------------------------------------------------------------------------------


class Journal:
    """Append-only JSON lines. A line that was cut off is as if it had not been written."""

    def __init__(self, path: Path) -> None:
        """Read what is there. Raises UsageError."""
        self.path = path
        self.phase: str | None = None
        self.steps: dict[int, str] = {}
        self.changes: tuple[Change, ...] = ()
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        self._is_torn = bool(text) and not text.endswith("\n")
        for line in text.split("\n"):
            with suppress(ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
                self._take(json.loads(line))

    def _take(self, plain: Mapping[str, Any]) -> None:
        event, number = _str(plain["event"]), plain.get("step")
        if event in (*FORTH, *BACK):
            self.steps[int(number)] = event  # type: ignore[arg-type]  # without a number a TypeError: not our line
        else:
            self.phase = event
            self.changes = _changes(plain["steps"]) if "steps" in plain else self.changes

    def known(self) -> Iterator[str]:
        """What can be told, and done, without the rollback file."""
        if not self.steps:
            return
        changes = {change.number: change for change in self.changes}
        yield f"Its journal, {self.path}, knows these steps:"
        for number, state in self.steps.items():
            yield f"  step {number}, {_STATES[state]}: {changes.get(number, 'which one is not in the journal')}"
        back = [change.inverse for number, change in changes.items() if self.steps.get(number) in TO_UNDO]
        if back:
            yield "To take them back by hand, last first, each where setspn -L shows that it was done:"
            yield from (f"  {change}" for change in reversed(back))
        yield "Keep the journal until that is done, then move it to another folder."

    def begin(self, server: str, changes: Iterable[Change]) -> None:
        steps = [change.plain for change in changes]
        self._append({"schema": JOURNAL_SCHEMA, "event": "begin", "server": server, "steps": steps})
        with suppress(OSError):
            sync_folder(self.path.parent)

    def undo(self, server: str) -> None:
        self._append({"schema": JOURNAL_SCHEMA, "event": "undoing", "server": server})

    def note(self, event: str, number: int | None = None, why: str | None = None) -> None:
        """Raises SourceError; then nothing more may be done."""
        plain = {"event": event, "step": number, "why": why}
        self._append({key: value for key, value in plain.items() if value is not None})

    def _append(self, plain: dict[str, Any]) -> None:
        line = json.dumps({**plain, "at": _now()}) + "\n"
        text, self._is_torn = f"\n{line}" if self._is_torn else line, True
        try:
            append(self.path, text.encode())
        except OSError as error:
            raise SourceError(f"cannot write {self.path}: {error.strerror}") from None
        self._is_torn = False
        self._take(plain)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
