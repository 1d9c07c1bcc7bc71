"""`iis-spn completion`: the script that completes commands, options and their words in a shell."""

from __future__ import annotations

from agent import exits
from agent.cli import console
from agent.cli.options import Completion
from agent.cli.shells import bash, powershell, zsh
from agent.cli.vocabulary import vocabulary
from agent.render import pages

SCRIPTS = {"powershell": powershell.script, "bash": bash.script, "zsh": zsh.script}


def run(options: Completion) -> int:
    console.show([SCRIPTS[options.shell](vocabulary(pages.known()))])
    return exits.CLEAN
