"""The two streams of the program: what is said on them, and what becomes of that where nobody takes it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator

from agent.errors import OutputError


def prepare() -> None:
    """Nothing that is printed or read may fail for its letters.

    A piped console on Windows is cp1252: a letter it does not have is written as \\xNN. Piped text is UTF-8 whatever
    the console's code page is; other bytes are told from it where it is used.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape")


@contextlib.contextmanager
def faults_shown(is_wanted: bool) -> Iterator[None]:
    """With `--debug`, tracebacks of this program's own faults on stderr, also of those that cost one server only."""
    if not is_wanted:
        yield
        return
    import logging

    log, shown = logging.getLogger("agent"), logging.StreamHandler()
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(shown)
    try:
        yield
    finally:
        log.removeHandler(shown)
        log.setLevel(before)


def note(text: str) -> None:
    """A sentence on stderr; nobody may be reading, and a program without a console has no stderr at all."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(f"iis-spn: {text}\n")
        sys.stderr.flush()


def show(pieces: Iterable[str]) -> None:
    """Write to stdout. Raises BrokenPipeError where nobody reads any more, which Windows calls an invalid argument,
    and OutputError where it cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed")
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        silence()
        if isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL):
            raise BrokenPipeError from None
        raise OutputError(f"cannot write to stdout: {error.strerror}") from None


def silence() -> None:
    """Nobody takes what is left in stdout's buffer: let the interpreter's last flush go nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def screen() -> tuple[int, bool]:
    """How many columns stdout has, and whether it takes colours."""
    from agent.render import terminal

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size((100, 24)).columns, terminal.wants_color(is_terminal, os.environ)
