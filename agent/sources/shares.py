"""Shares of file servers, which may not answer for minutes: nobody waits for one longer than a limit."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from agent.names import fold

SECONDS = 20.0
"""How long one question to a share may take. Windows itself gives a host that is gone about 21 s."""

_Answer = TypeVar("_Answer")


class Shares:
    """Asks file servers. A question that hangs stays behind in its own thread, which Windows ends in its own time;
    until then that server is asked nothing else, so that in a long run no more than one hangs for each.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._hanging: dict[str, threading.Thread] = {}

    def ask(self, physical: str, work: Callable[[], _Answer]) -> _Answer:
        """What `work` answers about a Windows path, or raises; TimeoutError where its share does not answer."""
        server = file_server(physical)
        return work() if server is None else self._in_time(server, work)

    def _in_time(self, server: str, work: Callable[[], _Answer]) -> _Answer:
        before = self._hanging.get(server)
        if before is not None and before.is_alive():
            raise self._no_answer()
        answer: Future[_Answer] = Future()
        thread = threading.Thread(target=_carry_out, args=(work, answer), daemon=True)
        thread.start()
        try:
            return answer.result(self._seconds)
        except TimeoutError:
            if answer.done():
                raise
            self._hanging[server] = thread
            raise self._no_answer() from None

    def _no_answer(self) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"the share gave no answer in {self._seconds:g} s")


def _carry_out(work: Callable[[], _Answer], answer: Future[_Answer]) -> None:
    try:
        answer.set_result(work())
    except BaseException as error:  # noqa: BLE001  # raised again for whoever waits
        answer.set_exception(error)


def file_server(physical: str) -> str | None:
    """The file server of a UNC path, folded; None for a path on a drive. `\\\\?\\UNC\\srv\\share` is one of `srv`."""
    if not physical.startswith("\\\\"):
        return None
    first, _, rest = physical[2:].partition("\\")
    if first in {"?", "."}:
        kind, _, rest = rest.partition("\\")
        return fold(rest.partition("\\")[0]) if fold(kind) == "unc" else None
    return fold(first)
