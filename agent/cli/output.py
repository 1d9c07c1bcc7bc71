"""Where a report goes: rendered as --format says, to stdout or, whole or not at all, to a file."""

from __future__ import annotations

import argparse
import contextlib
import errno
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent.cli.arguments import SCRIPT_FORMATS
from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.model import Report


def write(options: argparse.Namespace, report: Report) -> None:
    """Write a report where the options say. Raises UsageError, and BrokenPipeError where the reader went away."""
    pieces, encoding = _rendered(options, report)
    if options.output is None:
        to_stdout(pieces)
        return
    partial = options.output.with_name(options.output.name + ".partial")
    try:
        with partial.open("w", encoding=encoding, newline="") as file:
            file.writelines(pieces)
        partial.replace(options.output)
    except OSError as error:
        raise UsageError(f"cannot write {options.output}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()  # is gone where it replaced the output


def demand_folder(options: argparse.Namespace) -> None:
    """That --output can be written is known before a thousand servers are asked."""
    if options.output is not None and not options.output.absolute().parent.is_dir():
        raise UsageError(f"cannot write {options.output}: there is no such folder")


def _rendered(options: argparse.Namespace, report: Report) -> tuple[Iterable[str], str]:
    """The text in pieces, for a report may be larger than the memory, and its encoding."""
    form = options.format
    if form == "json":
        from agent.render import document

        return document.json_pieces(report), "utf-8"
    if form == "csv":
        from agent.render import sheet

        return [sheet.to_csv(report)], sheet.ENCODING
    if form == "markdown":
        from agent.render import markdown

        return [markdown.to_markdown(report)], "utf-8"
    if form in SCRIPT_FORMATS:
        from importlib import import_module

        return [getattr(import_module(f"agent.render.{form}"), f"to_{form}")(report)], "utf-8"
    return [_terminal(options, report)], "utf-8"


def _terminal(options: argparse.Namespace, report: Report) -> str:
    from agent.model import Explanation
    from agent.render import steps, story, terminal

    color, width = console()
    color = color and options.output is None
    if isinstance(report, Explanation):
        return story.to_text(report, width, color)
    if options.command == "plan":
        return steps.to_text(report, width, color)
    return terminal.to_text(report, width, color)


def console() -> tuple[bool, int]:
    """Whether stdout takes colours, and how many columns it has."""
    import os
    import shutil

    from agent.render import terminal

    return terminal.wants_color(sys.stdout.isatty(), os.environ), shutil.get_terminal_size((100, 24)).columns


def to_stdout(pieces: Iterable[str]) -> None:
    """Raises BrokenPipeError where nobody reads any more, which Windows calls an invalid argument."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError from None
        raise


def silence_stdout() -> None:
    """The reader of our pipe went away: let the interpreter's last flush go nowhere."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
