"""Where a report goes: written as `--format` says, to stdout or, whole or not at all, to a file; then the exit code."""

from __future__ import annotations

import codecs
import contextlib
import gc
from datetime import date
from typing import TYPE_CHECKING

from agent import exits
from agent.cli import console
from agent.errors import OutputError, UsageError
from agent.model import Explanation, Report
from agent.render.screen import Screen
from agent.sources.option_files import with_accepted
from agent.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.cli.options import FailOn, Output
    from agent.evidence.diagnosis import Diagnosis, UsedNames
    from agent.history import Change, Difference
    from agent.story.probed import Probing


def demand_place(output: Output) -> None:
    """Raises UsageError where `--output` or `--write-accept` names no place for a file, or one that is no accept file,
    and OutputError where nobody may look: before a thousand servers are asked.
    """
    for file in (output.file, output.write_accept):
        if file is not None:
            demand_file(file)
    if output.write_accept is not None:
        with_accepted(output.write_accept, (), date.min)


def demand_file(file: Path) -> None:
    """Raises UsageError where no file can stand there, OutputError where nobody may look."""
    try:
        has_folder, is_taken = file.absolute().parent.is_dir(), file.is_dir()
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}") from None
    if not has_folder:
        raise UsageError(f"cannot write {file}: there is no such folder")
    if is_taken:
        raise UsageError(f"cannot write {file}: it is a folder")


def finish(output: Output, report: Report | Difference) -> int:
    """Write a report; its exit code. A reader who went away changes nothing about that. Raises OutputError."""
    gc.freeze()  # what stands now stays until the end: the collector of cyclic garbage need not look through it
    write(output, report)
    if output.write_accept is not None and isinstance(report, Report):
        _write_accept(output.write_accept, report)
    return exit_code(report, output.fail_on)


def write(output: Output, report: Report | Difference | Probing | Diagnosis | UsedNames) -> None:
    """Write what there is to say. A reader who went away is no fault. Raises OutputError."""
    with contextlib.suppress(BrokenPipeError):
        _write(output, report)


def _write(output: Output, report: Report | Difference | Probing | Diagnosis | UsedNames) -> None:
    width, color = console.screen() if output.format.for_screen else (0, False)
    screen = Screen(width, color and output.file is None, output.shown, output.following)
    pieces = output.format.pieces(report, screen)
    if output.file is None and output.format.for_screen:
        console.show(pieces)
        return
    data = codecs.iterencode(_together(pieces), output.format.encoding)
    if output.file is None:
        console.show_bytes(data)
        return
    _write_file(output.file, data)


def _together(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in fewer pieces: a report's are small, and each has its price."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > _WRITTEN_AT_ONCE:
            yield "".join(waiting)
            waiting.clear()
            size = 0
    yield "".join(waiting)


_WRITTEN_AT_ONCE = 65_536
"""Characters."""


def _write_accept(file: Path, report: Report) -> None:
    text, added = with_accepted(file, report.findings, date.fromisoformat(report.started[:10]))
    _write_file(file, [text.encode()])
    console.note(f"{file}: {added} accepted findings added, each with a reason to be given")


def _write_file(file: Path, data: Iterable[bytes]) -> None:
    try:
        write_whole(file, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}") from None


def exit_code(report: Report | Difference, fail_on: FailOn) -> int:
    """What the program ends with, having told this."""
    if not isinstance(report, Report):
        return _exit_code_of_changes(report, fail_on)
    if isinstance(report, Explanation):
        return _exit_code_of_url(report, fail_on)
    if not report.complete:
        return exits.INCOMPLETE
    found = any(finding.severity in fail_on.severities and finding.accepted is None for finding in report.findings)
    return exits.FINDINGS if found or (fail_on.unchecked and report.spns.unknown) else exits.CLEAN


def _exit_code_of_url(story: Explanation, fail_on: FailOn) -> int:
    """What the clients asked about get counts, and what else is wrong with what answers; no other site's SPNs."""
    if not story.complete or story.unnamed:
        return exits.INCOMPLETE
    found = {outcome.severity for outcome in story.outcomes}
    found |= {finding.severity for finding in story.findings if finding.spn is None and finding.accepted is None}
    if story.answered is False:
        found.add("error")
    is_open = any(outcome.outcome in {"unchecked", "uncertain"} for outcome in story.outcomes)
    return exits.FINDINGS if found & fail_on.severities or (fail_on.unchecked and is_open) else exits.CLEAN


def _exit_code_of_changes(difference: Difference, fail_on: FailOn) -> int:
    if not difference.complete:
        return exits.INCOMPLETE
    return exits.FINDINGS if any(_counts(change, fail_on) for change in difference.changes) else exits.CLEAN


def _counts(change: Change, fail_on: FailOn) -> bool:
    is_open = change.what == "requirement" and change.after in {"unchecked", "uncertain"}
    return (change.severity in fail_on.severities and change.accepted is None) or (fail_on.unchecked and is_open)
