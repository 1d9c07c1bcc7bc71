"""Files of a server that is at work: what changes while it is read is read again, and a share need not answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agent.iis.snapshot import SourceFile
from agent.names import printable
from agent.sources.shares import Shares
from agent.sources.snapshots.disk import ABSENT, DENIED, load

PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds that are waited for somebody to finish writing one file."""
MAXIMUM_WAITS = 12
"""For all files of one run."""

_CHANGING = "it changed each time it was read"
_END = b"</configuration"

_Answer = TypeVar("_Answer")

Stamp = tuple[int, int, int] | None
"""What a file's change changes: its size, its time, its number. None: it is not there, or cannot be looked at."""


class Reader:
    """Reads the files of one run. `real` says what to open for a Windows path."""

    def __init__(self, real: Callable[[str], Path], shares: Shares) -> None:
        self._real = real
        self._shares = shares
        self._waits = 0

    def load(self, physical: str, *, is_own: bool = False) -> SourceFile:
        """One file; the answer says why not. IIS has `is_own` for certain, whole: as anything else it is read again
        for a while, and then taken as it is.
        """
        name = printable(physical)
        try:
            return self._shares.ask(physical, lambda: self._settled(self._real(physical), name, is_own=is_own))
        except TimeoutError as error:
            return SourceFile(name, b"", str(error.strerror), is_refused=True)

    def ask(self, physical: str, look: Callable[[Path], _Answer]) -> _Answer:
        """What `look` says of a place. Raises OSError, where its share does not answer too."""
        return self._shares.ask(physical, lambda: look(self._real(physical)))

    def _settled(self, path: Path, name: str, *, is_own: bool) -> SourceFile:
        for pause in (*PAUSES, None):
            before = stamp(path)
            file = load(path, name)
            is_changing = stamp(path) != before
            if not is_changing and _is_settled(file, is_own=is_own):
                break
            if pause is None or self._waits >= MAXIMUM_WAITS:
                break
            self._waits += 1
            time.sleep(pause)
        return SourceFile(name, b"", _CHANGING, is_refused=True, is_busy=True) if is_changing else _with_right(file)


def _is_settled(file: SourceFile, *, is_own: bool) -> bool:
    if file.error is not None:
        return not file.is_busy and not (is_own and file.error == ABSENT)
    return bool(file.data) and (ends(file.data) or not is_own)


def _with_right(file: SourceFile) -> SourceFile:
    if file.error == DENIED:
        return file._replace(error=f"{DENIED}: it takes an elevated prompt (Run as administrator)")
    return file


def ends(data: bytes) -> bool:
    """Whether a configuration file is there to its end: one that is being written may be cut off between two calls."""
    return _END in data.replace(b"\0", b"")[-1000:]


def stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116  once a second for months
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
