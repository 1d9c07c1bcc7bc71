"""`iis-spn collect`: one snapshot for each server, for another machine or another day to inspect."""

from __future__ import annotations

import contextlib
from pathlib import Path

from agent import exits
from agent.cli import console
from agent.cli.asking import ask, passwords_of
from agent.cli.options import Collect
from agent.errors import OutputError, UsageError
from agent.render import asked
from agent.sources.snapshots import sweep_file
from agent.sweep import remote


def run(options: Collect) -> int:
    if options.forget:
        return _forget(options)
    finished = ask(options.asking, options.ad, options.netbios, passwords_of(options.asking))
    if finished.asked.answered or finished.kept:
        console.note(f"the snapshots are in {finished.folder}: iis-spn inspect {finished.folder}")
    width, color = console.screen()
    with contextlib.suppress(BrokenPipeError):
        console.show([asked.to_text(finished.asked, remote.troubles(finished.outcomes), width, color)])
    if finished.cut_short:
        return exits.INTERRUPTED
    return exits.CLEAN if finished.is_complete else exits.INCOMPLETE


def _forget(options: Collect) -> int:
    whom, folder = options.asking.whom, options.asking.keeping.to or Path()
    if whom.hosts or whom.inventory or whom.from_ad is not None:
        raise UsageError("--forget asks nobody: give it alone, with --to DIR")
    try:
        sweep_file.forget(folder, options.forget)
    except OSError as error:
        raise OutputError(f"cannot write {folder / sweep_file.SWEEP}: {error.strerror}") from None
    console.note(f"{folder / sweep_file.SWEEP} has forgotten {', '.join(options.forget)}")
    return exits.CLEAN
