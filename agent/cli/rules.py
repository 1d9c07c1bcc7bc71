"""`iis-spn rules`: the rule base and the findings, as a table or one page."""

from __future__ import annotations

from agent import exits
from agent.cli import console
from agent.cli.options import Rules
from agent.render.pages import overview, page

WIDTH = 100
"""Columns; text in longer lines is hard to read."""


def run(options: Rules) -> int:
    width, color = console.screen()
    console.show([overview() if options.id is None else page(options.id, min(width, WIDTH), color)])
    return exits.CLEAN
