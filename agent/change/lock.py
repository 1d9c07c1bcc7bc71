"""One run at a time: the files of one that works would be taken for those of one that was broken off.

The system lets go of the lock when the process ends, however it ends; what the file says is for people.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import UsageError
from agent.names import printable
from agent.writing import OWN_NAME

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30
    """A locked byte cannot be read by others: one far behind the text is taken."""

    def _take(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def alone(path: Path, undone: str = "nothing was changed") -> Iterator[None]:
    """Keep out every other run that asks for the same file. Raises UsageError, which says who has it already, and what
    therefore was not done.
    """
    handle = _opened(path, undone)
    try:
        os.truncate(handle, 0)
        os.write(handle, _holder().encode())
        yield
    finally:
        _release(handle, path)


def _release(handle: int, path: Path) -> None:
    """Windows removes no file that is open; elsewhere it must go before another run can lock it."""
    if sys.platform == "win32":
        os.close(handle)
    with contextlib.suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(handle)


def _opened(path: Path, undone: str) -> int:
    """The locked file; the one that stood there may have been removed by the run that had it."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | OWN_NAME, 0o600)
        except OSError as error:
            raise UsageError(f"{undone}: cannot write {path}: {error.strerror}") from None
        try:
            _take(handle)
        except OSError:
            who = printable(os.read(handle, 1000).decode(errors="replace"))
            os.close(handle)
            raise UsageError(
                f"{undone}: {who or 'another run'} works in {path.parent} ({path.name}): wait for its end"
            ) from None
        if os.path.lexists(path) and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)


def _holder() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "a user without a name"
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"process {os.getpid()} of {user} on {platform.node()}, since {since}"
