"""`iis-spn completion`: the script that completes commands, options and their words in a shell."""

from __future__ import annotations

from importlib import import_module

from agent import exits
from agent.cli import console
from agent.cli.options import Completion
from agent.cli.vocabulary import vocabulary
from agent.render import pages


def run(options: Completion) -> int:
    written: str = import_module(f"agent.cli.shells.{options.shell}").script(vocabulary(pages.known()))
    console.show([written])
    return exits.CLEAN
