"""sweep.json, beside the snapshots of a folder: who was asked, who answered, and who did not, with the reason.

A snapshot that is not there says nothing. So `collect` and `sweep --to` keep this record, and `inspect` of the folder
tells of each server in it that gave no answer (docs/sweep.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from agent.errors import MalformedError, UsageError
from agent.iis.snapshot import Machine, Snapshot
from agent.model import Problem
from agent.names import fold, printable
from agent.sources.snapshots.disk import load, shown
from agent.sources.snapshots.machine_file import WrongError, decoded
from agent.sources.snapshots.store import stem
from agent.writing import tidy, write_whole

SCHEMA = "iis-spn/sweep/1"
SWEEP = "sweep.json"
NOT_ASKED = "not asked"
"""The stage of a server whose turn did not come."""
INTERNAL = "internal error"
"""The stage where a fault of this program cost a server."""

T = TypeVar("T")


class Failed(NamedTuple):
    """A server that gave no answer: how far it came, what happened, what to do next."""

    host: str
    stage: str
    reason: str
    fix: str


class Sweep(Struct, frozen=True, kw_only=True):
    """What became of each server that was asked, over all runs into one folder.

    `started` and `finished` (ISO 8601) are the last run's; `finished` None: it is under way, or was broken off.
    """

    started: str
    finished: str | None
    asked: tuple[str, ...]
    failed: tuple[Failed, ...]

    @property
    def answered(self) -> tuple[str, ...]:
        """Those whose last answer is a snapshot, their own or that of another name of the machine."""
        failed = {key_of(each.host) for each in self.failed}
        return tuple(host for host in self.asked if key_of(host) not in failed)

    def followed_by(self, later: Sweep) -> Sweep:
        """Both runs together: of a server that was asked again the later outcome counts."""
        again = {key_of(host) for host in later.asked}
        asked = {key_of(host): host for host in (*self.asked, *later.asked)}
        before = tuple(each for each in self.failed if key_of(each.host) not in again)
        return replace(later, asked=tuple(asked.values()), failed=(*before, *later.failed))

    def without(self, gone: Container[str]) -> Sweep:
        """The record of the others; `gone` are keys."""
        failed = tuple(each for each in self.failed if key_of(each.host) not in gone)
        return replace(self, asked=tuple(each for each in self.asked if key_of(each) not in gone), failed=failed)


def key_of(host: str) -> str:
    """What two spellings of one server share, and its snapshot's file too. Raises UsageError for no server's name."""
    return fold(stem(host))


def unanswered(failed: Failed) -> Snapshot:
    """A server that gave no answer, as the report takes it."""
    problem = Problem(
        id="internal-error" if failed.stage == INTERNAL else "server-unreachable",
        message=printable(f"no answer over WinRM ({failed.stage}): {failed.reason}"),
        fix=(printable(failed.fix),),
    )
    return Snapshot(source=failed.host, machine=Machine(), files={}, problems=(problem,))


# -- writing -------------------------------------------------------------------------------------------------------


def add_run(folder: Path, run: Sweep) -> None:
    """Add a run to the record of its folder. Raises OSError, and MalformedError where the record is damaged.

    What killed runs left unfinished there goes.
    """
    tidy(folder)
    earlier = read_sweep(folder)
    _write(folder, run if earlier is None else earlier.followed_by(run))


def forget(folder: Path, hosts: Sequence[str]) -> None:
    """Take servers out of the record. Raises UsageError where one is not in it, OSError and MalformedError."""
    record = read_sweep(folder)
    known = {*map(key_of, (*record.asked, *(each.host for each in record.failed)))} if record is not None else set()
    gone: set[str] = set()
    for host in hosts:
        key = key_of(host)
        if key not in known or key in gone:
            raise UsageError(f"{shown(folder / SWEEP)} knows no server '{printable(host)}'")
        gone.add(key)
    if record is not None:
        _write(folder, record.without(gone))


def _write(folder: Path, record: Sweep) -> None:
    document = {
        "schema": SCHEMA,
        "started": record.started,
        "finished": record.finished,
        "asked": record.asked,
        "answered": record.answered,
        "failed": [each._asdict() for each in record.failed],
    }
    write_whole(folder / SWEEP, [json.dumps(document, indent=2).encode(), b"\n"], private=True)


# -- reading -------------------------------------------------------------------------------------------------------


def read_sweep(folder: Path) -> Sweep | None:
    """The record of a folder, None where it has none. Raises MalformedError with file and line."""
    path = folder / SWEEP
    try:
        path.lstat()
    except FileNotFoundError:
        return None
    except OSError:
        pass  # `load` says why not
    file = load(path, shown(path))
    if file.error is not None:
        raise MalformedError(file.name, None, file.error)
    document = decoded(file.data, file.name)
    if not isinstance(document, dict):
        raise MalformedError(file.name, 1, "not the record of a sweep: a JSON object is expected")
    return _sweep_of(_Record(document, file.data, file.name))


class _Record(NamedTuple):
    """The decoded document, and its text for the line of a key."""

    values: Mapping[str, object]
    data: bytes
    file: str

    def take(self, key: str, reader: Callable[[object], T]) -> T:
        try:
            return reader(self.values.get(key))
        except (WrongError, UsageError) as error:
            line = self.data.count(b"\n", 0, max(self.data.find(f'"{key}"'.encode()), 0)) + 1
            raise MalformedError(self.file, line, f"key '{key}': {error}") from None


def _sweep_of(record: _Record) -> Sweep:
    record.take("schema", _schema)
    asked, answered, failed = (
        record.take("asked", _hosts),
        record.take("answered", _hosts),
        record.take("failed", _failures),
    )
    told = {key_of(host) for host in (*answered, *(each.host for each in failed))}
    silent = tuple(Failed(host, NOT_ASKED, _SILENT, "Ask it again.") for host in asked if key_of(host) not in told)
    hosts = {key_of(host): host for host in (*asked, *answered, *(each.host for each in failed))}
    return Sweep(
        started=record.take("started", _text),
        finished=record.take("finished", lambda value: None if value is None else _text(value)),
        asked=tuple(hosts.values()),
        failed=(*failed, *silent),
    )


_SILENT = "what became of it is not said"


def _schema(value: object) -> None:
    if value != SCHEMA:
        raise WrongError(f"it is '{printable(str(value)[:80])}'; this version reads {SCHEMA}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongError("a text is expected")
    return value


def _hosts(value: object) -> tuple[str, ...]:
    return tuple(_host(item) for item in _list(value))


def _host(value: object) -> str:
    host = _text(value)
    key_of(host)
    return host


def _failures(value: object) -> tuple[Failed, ...]:
    return tuple(_failure(item) for item in _list(value))


def _failure(value: object) -> Failed:
    if not isinstance(value, dict):
        raise WrongError("a list of objects is expected")
    return Failed(_host(value.get("host")), *(_text(value.get(key)) for key in ("stage", "reason", "fix")))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise WrongError("a list is expected")
    return value
