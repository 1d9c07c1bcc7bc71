"""Files that are written: each appears whole or not at all, and what stood there stays where that fails.

Bytes for a device, a pipe or a file that is open already (`/dev/stdout`, `NUL`, a FIFO) go straight into it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_ONLY_OURS = 0o600
_AS_USUAL = 0o666
"""What the process's umask takes its share of; Windows gives a new file the rights of its folder."""
OWN_NAME: int = getattr(os, "O_NOFOLLOW", 0)
"""For a file whose name is known beforehand: a link that somebody put there is not followed, and told as a circle."""
_BINARY: int = getattr(os, "O_BINARY", 0)
_UNFINISHED = re.compile(r"\.iis-spn-[0-9a-f]{16}\.tmp")
_ABANDONED_SECONDS = 24 * 60 * 60
_PATIENCE = (0.05, 0.1, 0.2, 0.4) if sys.platform == "win32" else ()
"""Seconds. A virus scanner looks into each new file, and Windows renames no file that another program has open."""


def write_whole(path: Path, pieces: Iterable[bytes], *, private: bool = False, durable: bool = False) -> None:
    """Write a file in one step. Raises OSError, and whatever `pieces` raises; the old file stands then.

    A link is kept and the file behind it replaced. `private` is for what may hold secrets and has a name of our own
    choice: readable by its owner only, and a link that somebody put there is replaced, never followed. `durable`: on
    the disk when this returns.
    """
    place = path if private else _behind_links(path)
    old = None if place is None else _standing(place)
    if place is not None and (old is None or _is_replaceable(old, private=private)):
        _replace(place, old, pieces, private=private, durable=durable)
        if not private:
            tidy(place.parent)
    elif private:
        raise FileExistsError(errno.EEXIST, "what stands there is no file", str(path))
    else:
        _write_into(path, pieces)


def tidy(folder: Path) -> None:
    """Remove what killed runs left unfinished in a folder: nobody has written to it for a day."""
    with contextlib.suppress(OSError):
        for left in [one for one in os.scandir(folder) if _UNFINISHED.fullmatch(one.name)]:
            with contextlib.suppress(OSError):
                if left.is_file(follow_symlinks=False) and time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    Path(left).unlink()


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file that only its owner may read, down to the disk. Raises OSError, for a link too."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _BINARY | OWN_NAME
    with os.fdopen(os.open(path, flags, _ONLY_OURS), "wb") as file:
        file.write(data)
        _sync(file)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder outlast a power cut; Windows neither needs that nor opens folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- what stands there -----------------------------------------------------------------------------------------------


def _behind_links(path: Path) -> Path | None:
    """Where the file behind all links stands, or is to stand. None: a link into a process's open files.

    On Linux `/dev/stdout` leads to `/proc/self/fd/1`, which shows the name of a redirected file: to replace that file
    would throw away what `>>` keeps.
    """
    with contextlib.suppress(FileNotFoundError):
        path.stat()  # fails for links in a circle, and where the system does not follow somebody else's link
    while path.is_symlink():
        if path.parent.resolve().match("/proc/*/fd"):
            return None
        path = path.parent / path.readlink()
    return path


def _standing(place: Path) -> os.stat_result | None:
    try:
        return place.lstat()
    except FileNotFoundError:
        return None


def _is_replaceable(old: os.stat_result, *, private: bool) -> bool:
    return stat.S_ISREG(old.st_mode) or (private and stat.S_ISLNK(old.st_mode))


# -- writing -------------------------------------------------------------------------------------------------------


def _replace(place: Path, old: os.stat_result | None, pieces: Iterable[bytes], *, private: bool, durable: bool) -> None:
    if old is not None and stat.S_ISREG(old.st_mode) and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(place))
    unfinished = place.with_name(f".iis-spn-{os.urandom(8).hex()}.tmp")
    try:
        with _created(unfinished, _ONLY_OURS if private else _AS_USUAL) as file:
            if old is not None and not private and sys.platform != "win32":
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            file.writelines(pieces)
            if durable:
                _sync(file)
        _put_in_place(unfinished, place)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    if durable:
        sync_folder(place.parent)


def _write_into(path: Path, pieces: Iterable[bytes]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY), "wb") as stream:
        stream.writelines(pieces)


def _created(path: Path, mode: int) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode), "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put_in_place(unfinished: Path, place: Path) -> None:
    for pause in _PATIENCE:
        with contextlib.suppress(PermissionError):
            unfinished.replace(place)
            return
        time.sleep(pause)
    unfinished.replace(place)
