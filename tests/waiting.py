"""Waiting for what another process or thread does: for the event itself, never for a time.

Where a limit of the program has to run out, the clock of the event loop is put forward instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which a test that still waits is taken to hang. Nothing is ever said to be slow."""


def comes(happened: Callable[[], object]) -> bool:
    """Whether it happens, as soon as it has."""
    end = time.monotonic() + PATIENCE  # noqa: TID251 - this is where a test that hangs ends
    while not happened():
        if time.monotonic() > end:  # noqa: TID251
            return False
        time.sleep(0.02)
    return True


def until(happened: Callable[[], object]) -> None:
    """Go on when it has happened."""
    assert comes(happened), f"it did not come to that in {PATIENCE:g} s"


class Clock:
    """The clock of the running event loop, which a test can put forward: no limit has to be waited for."""

    def __init__(self) -> None:
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        loop.time = lambda: real() + self.ahead  # type: ignore[method-assign]


async def overtaken(question: Awaitable[T], struck: Callable[[], object], seconds: float = 3600.0) -> T:
    """The answer where the clock is put forward once the fault has struck: whatever limit runs then is over."""
    clock, asked = Clock(), asyncio.ensure_future(question)
    while not struck() and not asked.done():
        await asyncio.sleep(0.02)
    clock.ahead = seconds
    return await asked
