"""What is written in pieces, as one text."""

from __future__ import annotations

from agent.model import Report
from agent.render import markdown, terminal
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown


def in_text(
    report: Report, width: int, color: bool = False, shown: Shown = "all", following: Following = NOTHING_FOLLOWS
) -> str:
    return "".join(terminal.to_text(report, width, color, shown, following))


def in_markdown(report: Report) -> str:
    return "".join(markdown.to_markdown(report))
