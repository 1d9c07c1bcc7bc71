"""`iis-spn rules`: the rule base and the findings, as a table or one page."""

from __future__ import annotations

from agent import exits
from agent.cli import console
from agent.cli.options import Rules
from agent.render.pages import overview, page


def run(options: Rules) -> int:
    console.show([overview() if options.id is None else page(options.id)])
    return exits.CLEAN
