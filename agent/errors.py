"""What can go wrong outside this program, each with the words a person needs; and what a fault of its own is called."""

from __future__ import annotations

import traceback
from pathlib import Path


class IisSpnError(Exception):
    """A condition that is told to the user in one sentence, never as a traceback."""


class UsageError(IisSpnError):
    """The command line or a file of options is wrong; exit code 64."""


class MalformedError(IisSpnError):
    """A file cannot be read as what it should be.

    `line` is the 1-based line of the fault, or None where no line can be named.
    """

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.file = file
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


class SourceError(IisSpnError):
    """A directory, a name server or a remote machine could not be asked, or answered with nonsense."""


class OutputError(IisSpnError):
    """What there is to say could not be written: the disk is full, or it may not be written there."""


def fault_of_ours(error: BaseException) -> str:
    """What a fault of this program is called: its type and its place. `--debug` shows its traceback."""
    import logging  # nothing else of `--help` needs it

    logging.getLogger("agent").debug("a fault of this program", exc_info=error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a fault of this program ({type(error).__name__} in {Path(place.filename).name}:{place.lineno})"
