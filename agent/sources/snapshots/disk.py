"""Files and folders of servers, looked at before they are opened: nothing large, no device, and why not in words."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from agent.iis.parse import MAXIMUM_SIZE
from agent.iis.snapshot import SourceFile
from agent.names import printable
from agent.sources.text_file import read_at_most


def load(path: Path, name: str, limit: int = MAXIMUM_SIZE) -> SourceFile:
    """Read one file, at most `limit` bytes, under the name shown to people. Never raises: the answer says why not."""
    try:
        status = path.stat()
        reason = _why_not(status, limit)
        if reason is None:
            with path.open("rb") as stream:
                data = read_at_most(stream, limit)
            return sized(name, data, limit)
    except OSError as error:
        return SourceFile(
            name, b"", in_words(error, path), is_refused=is_refusal(error), is_busy=_is_in_use(error, path)
        )
    return SourceFile(name, b"", reason)


def _why_not(status: os.stat_result, limit: int) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "a folder, not a file"
    if not stat.S_ISREG(status.st_mode):
        return "a device or a pipe, not a file"
    return too_large(limit) if status.st_size > limit else None


def sized(name: str, data: bytes, limit: int) -> SourceFile:
    """What was read, or that it is more than `limit` bytes."""
    return SourceFile(name, b"", too_large(limit)) if len(data) > limit else SourceFile(name, data)


def too_large(limit: int) -> str:
    """In words that something has more than `limit` bytes, which is a whole number of MB."""
    return f"larger than {limit // 1024 // 1024} MB"


_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})


def is_refusal(error: OSError) -> bool:
    """Whether something is there, and the system lets nobody read it."""
    return error.errno not in _NOT_THERE


ABSENT, DENIED, _IN_USE = "no such file", "access denied", "another program has it open, and lets nobody read it"
_SHARING, _LOCKED = 32, 33
"""ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION: to Python they are errors of permission, too."""


def _is_in_use(error: OSError, path: Path) -> bool:
    if not isinstance(error, PermissionError):
        return False
    return (getattr(error, "winerror", None) or _code_of_opening(path)) in {_SHARING, _LOCKED}


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _GENERIC_READ, _SHARED_WITH_ALL, _OPEN_EXISTING = 0x80000000, 0x7, 3

    def _code_of_opening(path: Path) -> int:
        """What Windows says to opening a file: the C library tells `open` of a refusal only that it is one."""
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel32.CreateFileW.restype = wintypes.HANDLE
        handle = kernel32.CreateFileW(str(path), _GENERIC_READ, _SHARED_WITH_ALL, None, _OPEN_EXISTING, 0, None)
        code = ctypes.get_last_error()
        if handle in {None, wintypes.HANDLE(-1).value}:
            return code
        kernel32.CloseHandle(wintypes.HANDLE(handle))
        return _SHARING  # it was in use a moment ago

else:

    def _code_of_opening(path: Path) -> int:  # noqa: ARG001
        return 0


def in_words(error: OSError, path: Path) -> str:
    """Why a file or folder could not be opened."""
    if isinstance(error, FileNotFoundError):
        return "a link whose target does not exist" if path.is_symlink() else ABSENT
    if _is_in_use(error, path):
        return _IN_USE
    if isinstance(error, PermissionError):
        return DENIED
    return f"cannot be read: {error.strerror or error}"


def shown(path: Path) -> str:
    """A path as it is told to people."""
    return printable(str(path))


def is_folder(path: str | Path) -> bool:
    """Whether a folder, or a link to one, is there. Never raises."""
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises where the folder above cannot be entered


def is_file(path: Path) -> bool:
    """Whether a file, or a link to one, is there. Never raises."""
    return os.path.isfile(path)  # noqa: PTH113


def is_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a symbolic link or a junction (Python 3.11 does not call a junction a link)."""
    try:
        attributes: int = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
        is_junction = bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT) and entry.is_dir()
        return is_junction or entry.is_symlink()
    except OSError:
        return True  # it went away meanwhile, or cannot be looked at
