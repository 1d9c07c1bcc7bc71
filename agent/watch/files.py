"""The files of the agent: what it saw last, in its state folder; the same again, in the drop folder.

The state folder always holds what the drop folder should hold: that is the spool, and no more is kept than the last
report and the last that saw everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agent.errors import MalformedError
from agent.iis.snapshot import Snapshot
from agent.model import Report
from agent.model.document import json_pieces
from agent.sources.shares import Shares
from agent.sources.snapshots import store
from agent.sources.snapshots.disk import ABSENT, load
from agent.sources.snapshots.document import document_of
from agent.writing import write_whole

REPORT = ".report.json"
_LAST, _WHOLE = "last", "whole"
MAXIMUM_REPORT = 256 * 1024 * 1024
"""Bytes. The report of a server with 1,000 sites has 3 MB."""


class Kept(NamedTuple):
    """What was seen before: the last report, the last that saw everything, and what of them could not be read."""

    last: Report | None = None
    whole: Report | None = None
    unread: tuple[str, ...] = ()


def kept(state: Path) -> Kept:
    """What a state folder holds of earlier runs. What cannot be read is not there: the next report is then a first."""
    found: dict[str, Report | None] = {}
    unread = []
    for name in (_LAST, _WHOLE):
        path = state / f"{name}{REPORT}"
        try:
            found[name] = _read(path)
        except MalformedError as error:
            found[name] = None
            unread.append(f"{path} cannot be read, so nothing is compared with it: {error.reason}")
    return Kept(found[_LAST], found[_WHOLE] if found[_LAST] is not None else None, tuple(unread))


def _read(path: Path) -> Report | None:
    """None where there is none. Raises MalformedError."""
    file = load(path, str(path), MAXIMUM_REPORT)
    if file.error is not None and file.error != ABSENT:
        raise MalformedError(file.name, None, file.error)
    return Report.from_json(file.data, file.name) if file.error is None else None


def keep(state: Path, snapshot: bytes, report: bytes, whole: Report | None) -> None:
    """Write what was seen, the report last: until it stands there, the next run compares with the one before.

    `whole` is the last report that saw everything, where this one did not. Raises OSError.
    """
    write_whole(state / f"{_LAST}{store.SUFFIX}", [snapshot], private=True, durable=True)
    if whole is not None:
        write_whole(state / f"{_WHOLE}{REPORT}", [as_bytes(whole)], private=True, durable=True)
    write_whole(state / f"{_LAST}{REPORT}", [report], private=True, durable=True)


def as_bytes(report: Report) -> bytes:
    """The report as `--format json` writes it."""
    return b"".join(piece.encode() for piece in json_pieces(report))


def packed(snapshot: Snapshot) -> bytes:
    """The snapshot as `collect` writes it. Raises MalformedError."""
    return store.pack(document_of(snapshot))


def called(snapshot: Snapshot) -> str:
    """What the files of a server are called in a drop folder: its full name, where it is known.

    Raises UsageError for a name that no file can have.
    """
    machine = snapshot.machine
    return store.stem(str(machine.dns_name or machine.name or "this-server"))


class Drop:
    """A drop folder, and what it does not have yet. It may be on a share that is gone, or does not answer."""

    def __init__(self, folder: Path, shares: Shares) -> None:
        self._folder = folder
        self._shares = shares
        self._owed: dict[str, bytes] = {}

    def __str__(self) -> str:
        return str(self._folder)

    @property
    def is_owed(self) -> bool:
        return bool(self._owed)

    def owe(self, files: Mapping[str, bytes]) -> None:
        """These are to be there, instead of what was to be."""
        self._owed = dict(files)

    def deliver(self) -> None:
        """Write what is owed. Raises OSError for what then still is, TimeoutError among them."""
        for name in tuple(self._owed):
            self._shares.ask(str(self._folder), partial(self._write, name, self._owed[name]))
            del self._owed[name]

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / name, [data])
