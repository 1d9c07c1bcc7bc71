"""`iis-spn collect`: one snapshot for each server, for another machine or another day to inspect."""

from __future__ import annotations

import contextlib

from agent import exits
from agent.cli import console
from agent.cli.asking import ask, passwords_of
from agent.cli.options import Collect
from agent.render import asked
from agent.sweep import remote


def run(options: Collect) -> int:
    finished = ask(options.asking, options.ad, options.netbios, passwords_of(options.asking))
    if finished.asked.answered or finished.kept:
        console.note(f"the snapshots are in {finished.folder}: iis-spn inspect {finished.folder}")
    width, color = console.screen()
    with contextlib.suppress(BrokenPipeError):
        console.show([asked.to_text(finished.asked, remote.troubles(finished.outcomes), width, color)])
    return exits.CLEAN if finished.is_complete else exits.INCOMPLETE
