"""A process that dies, or is refused by the system, at a chosen moment of writing a file.

Each system call that makes, fills, names or removes a file is a moment. `die_at` runs some work in a forked process
that is killed there as by `kill -9`; `refused_at` runs it in this one, and the call fails.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Moment = Callable[[], None]
"""What happens at each moment, before the call."""

_CALLS = ("open", "fsync", "fchmod", "replace", "rename", "unlink", "truncate", "write")
BUFFER = 512
"""Bytes that are written at once, so that a small file too is written in several calls."""


class _Raw(io.FileIO):
    """A file whose every write is a moment."""

    def __init__(self, handle: int, mode: str, moment: Moment) -> None:
        super().__init__(handle, mode)
        self._moment = moment

    def write(self, data: Any) -> int:
        self._moment()
        return super().write(data)


@contextlib.contextmanager
def watched(moment: Moment) -> Iterator[None]:
    """Within, `moment` comes before each call that changes a file."""
    with pytest.MonkeyPatch.context() as patched:
        for name in _CALLS:
            if hasattr(os, name):
                patched.setattr(os, name, _before(getattr(os, name), moment))
        patched.setattr(os, "fdopen", lambda handle, mode: io.BufferedWriter(_Raw(handle, mode, moment), BUFFER))
        yield


def _before(call: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        is_reading = call.__name__ == "open" and len(given) > 1 and not given[1] & (os.O_WRONLY | os.O_RDWR)
        if not is_reading:
            moment()
        return call(*given, **named)

    return counted


class Countdown:
    """Acts at the n-th moment; `is_over` when that came."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self._left, self._act = number, act

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()

    @property
    def is_over(self) -> bool:
        return self._left <= 0


def die_at(number: int, work: Callable[[], object]) -> bool:
    """Whether the work was killed at this moment; False: it came to its end before."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), watched(Countdown(number, _die)):
            work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refused_at(number: int, error: OSError, work: Callable[[], object]) -> tuple[bool, object]:
    """Whether the call at this moment failed with `error`, and what the work answered or raised."""
    countdown = Countdown(number, lambda: _raise(error))
    with watched(countdown):
        try:
            answer = work()
        except Exception as raised:  # noqa: BLE001
            answer = raised
    return countdown.is_over, answer


def _raise(error: OSError) -> None:
    raise error
