"""What the agent says, and to whom: the log in its state folder, whoever looks on, the event log of Windows."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.history import Change
from agent.model import Report
from agent.names import printable
from agent.render.changes_told import WORDS, otherwise, place, why
from agent.render.verdict import first_line
from agent.render.wording import plural

LOG_BYTES, LOG_FILES = 1_000_000, 4
"""The log and those before it: no more room is ever taken."""


class Log(logging.handlers.RotatingFileHandler):
    """Lines in a file, which is put aside when it is full. What cannot be written costs nothing but itself."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))

    def doRollover(self) -> None:  # noqa: N802  # logging's name
        """Windows renames no file that somebody has open: the log grows until they close it."""
        with contextlib.suppress(OSError):
            super().doRollover()
        if self.stream is None:
            self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """The disk may be full; an hour later it is not."""


class Teller:
    """Says what was found. `show` is for whoever looks on, `write_event` for the event log: it may raise OSError."""

    def __init__(
        self,
        log: logging.Handler,
        show: Callable[[str], None],
        write_event: Callable[[Sequence[Change], str], None] | None = None,
    ) -> None:
        self._log = logging.Logger("iis-spn agent", logging.INFO)
        self._log.addHandler(log)
        self._show = show
        self._write_event = write_event

    def close(self) -> None:
        for handler in self._log.handlers:
            handler.close()

    def say(self, text: str, level: int = logging.INFO) -> None:
        line = printable(text)
        self._log.log(level, "%s", line)
        self._show(line)

    def trouble(self, text: str) -> None:
        """Something that the agent survives."""
        self.say(text, logging.WARNING)

    def told(self, report: Report, changes: Sequence[Change], because: str, *, is_first: bool) -> None:
        """What an inspection came to; an event is written where something changed, and only then."""
        news = "nothing to compare it with yet" if is_first else plural(len(changes), "change")
        self.say(f"{because}; {news}. {first_line(report)}")
        lines = [line_of(change) for change in changes]
        for line in lines:
            self.say(line)
        if changes and self._write_event is not None:
            self._event(changes, "\n".join([f"{news} since the last look.", first_line(report), "", *lines]))

    def _event(self, changes: Sequence[Change], text: str) -> None:
        try:
            if self._write_event is not None:
                self._write_event(changes, text)
        except OSError as error:
            self.trouble(f"the event log could not be written: {error.strerror or error}")


def line_of(change: Change) -> str:
    """`error: IIS01 Intranet/: HTTP/x: kerberos -> modified. Why.`"""
    where = place(change)
    told = f"{WORDS[change.severity]}: {f'{where}: ' if where else ''}{otherwise(change)}. {why(change)}"
    return printable(told)
