"""The two streams of the program: what is said on them, and what becomes of that where nobody takes it."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from agent.errors import OutputError
from agent.names import printable


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

    class Safe(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return safe(super().format(record))

    log, shown = logging.getLogger("agent"), logging.StreamHandler()
    shown.setFormatter(Safe())
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(shown)
    try:
        yield
    finally:
        log.removeHandler(shown)
        log.setLevel(before)


def safe(text: str) -> str:
    """Lines of our own with names in them, which come from everywhere: nothing in them drives the terminal."""
    return "\n".join(map(printable, text.split("\n")))


def note(text: str) -> None:
    """A sentence on stderr."""
    say(f"iis-spn: {text}\n")


def say(text: str) -> None:
    """Words on stderr; nobody may be reading, and a program without a console has no stderr at all."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(safe(text))
        sys.stderr.flush()


def is_watched() -> bool:
    """Whether stderr is a terminal: elsewhere nobody sees how far a run is."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it was closed
        return False


def show(pieces: Iterable[str]) -> None:
    """Write a text for people to stdout, in the letters and line ends of the console. Raises as `_open_stdout`."""
    with _open_stdout() as stdout:
        stdout.writelines(pieces)


def show_bytes(pieces: Iterable[bytes]) -> None:
    """Write what a program reads to stdout, the very bytes that a file would hold. Raises as `_open_stdout`."""
    with _open_stdout() as stdout:
        stdout.flush()
        if hasattr(stdout, "buffer"):
            stdout.buffer.writelines(pieces)
        else:  # a program that caught the text
            stdout.writelines(codecs.iterdecode(pieces, "utf-8-sig"))


@contextlib.contextmanager
def _open_stdout() -> Iterator[TextIO]:
    """Raises BrokenPipeError where nobody reads any more, which Windows calls an invalid argument, and OutputError
    where it cannot be written.
    """
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed")
    try:
        yield sys.stdout
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
    wants_color = terminal.wants_color(is_terminal, os.environ)
    return shutil.get_terminal_size((100, 24)).columns, wants_color and _takes_color()


def _takes_color() -> bool:
    if sys.platform != "win32":
        return True
    import ctypes

    return understands_sequences(ctypes.windll.kernel32)


_STDOUT = -11
_VIRTUAL_TERMINAL = 0x0004


def understands_sequences(kernel32: Any) -> bool:
    """Whether a Windows console takes escape sequences for colours: where it has not been told to
    (ENABLE_VIRTUAL_TERMINAL_PROCESSING), and cannot be, it shows them as letters.
    """
    import ctypes

    mode, handle = ctypes.c_uint32(), kernel32.GetStdHandle(_STDOUT)
    if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    if mode.value & _VIRTUAL_TERMINAL:
        return True
    return bool(kernel32.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL))
