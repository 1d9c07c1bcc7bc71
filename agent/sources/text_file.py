"""The text of a file that a person wrote, or that Windows PowerShell's `>` did."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from agent.errors import UsageError

MAXIMUM_SIZE = 16 * 1024 * 1024
"""Bytes, where a caller names no other limit."""


def read_text(path: Path | None, limit: int = MAXIMUM_SIZE) -> str:
    """The text of a file of at most `limit` bytes, None for standard input: UTF-8, or UTF-16 with its mark.

    Raises UsageError with the file, and the line where it is the encoding that is wrong.
    """
    place = place_of(path)
    try:
        with nullcontext(sys.stdin.buffer) if path is None else path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{place}: cannot be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise UsageError(f"{place}: larger than {limit // 1024 // 1024} MB")
    return _decoded(data, place)


def is_there(path: Path) -> bool:
    """Whether a file is there, or nobody may look: who opens it is told why not."""
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    except ValueError:  # a null character
        return False
    return True


def read_at_most(stream: BinaryIO, limit: int) -> bytes:
    """The bytes of a file, and of one with more than `limit` the first `limit` + 1.

    They are counted while they are read: a file may grow, and a device has no size. For `read(n)` Python makes room for
    n bytes, and Windows touches every page of it: 0.2 s for 256 MB.
    """
    expected = min(os.fstat(stream.fileno()).st_size, limit)
    data = stream.read(expected + 1)
    return data if len(data) <= expected else data + stream.read(limit - expected)


def written(path: Path) -> str | None:
    """When a file was last written, ISO 8601 in UTC; None where nobody may know."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ValueError, OverflowError):
        return None


def place_of(path: Path | None) -> str:
    """What messages call the file."""
    return "standard input" if path is None else str(path)


def _decoded(data: bytes, place: str) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode(encoding)
        raise UsageError(f"{place}:{good.count(chr(10)) + 1}: not {'UTF-16' if wide else 'UTF-8'} text") from None
