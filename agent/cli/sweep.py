"""`iis-spn sweep`: many servers asked over WinRM, and judged together."""

from __future__ import annotations

from agent import exits
from agent.cli import console, output
from agent.cli.asking import ask, passwords_of
from agent.cli.looking import live_logon, sources_of
from agent.cli.options import Sweep
from agent.inspection.stages import analyse
from agent.render import asked
from agent.sweep import remote


def run(options: Sweep) -> int:
    """A slip in a file of options is told before a thousand servers are asked."""
    asking, looking = options.asking, options.looking
    if looking.computer is not None:
        console.note("--computer is for files; a server says its own name")
    output.demand_place(options.output)
    passwords = passwords_of(asking)
    sources = sources_of(looking, live_logon(asking.logon, passwords))
    finished = ask(asking, looking.ad, looking.netbios, passwords)
    console.note(asked.counted(finished.asked))
    if remaining := remote.shells_left(finished.outcomes):
        console.note(asked.remaining(remaining))
    code = output.finish(options.output, remote.survey(analyse(finished.snapshots(), sources).report, finished))
    if finished.cut_short:
        return exits.INTERRUPTED
    return code if finished.unrecorded is None else exits.INCOMPLETE
