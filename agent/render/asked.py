"""What became of the servers that were asked: the count that adds up, and the failures, those of one kind together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.model import Asked
from agent.render.layout import Page
from agent.render.wording import first_few, plural


class Trouble(NamedTuple):
    """A server that failed or answered in part. `stage` is how far it came, "partial" for an answer with gaps."""

    server: str
    stage: str
    reason: str
    advice: str


def counted(asked: Asked) -> str:
    """`asked 20 servers: 18 answered, 2 failed`; the numbers add up whatever happened."""
    text = f"asked {plural(asked.asked, 'server')}: {asked.answered} answered"
    if asked.failed > asked.not_asked or not asked.not_asked:
        text += f", {asked.failed - asked.not_asked} failed"
    if asked.not_asked:
        text += f", {asked.not_asked} not asked"
    if asked.kept:
        text += f"; {asked.kept} kept from an earlier run"
    if asked.aliases:
        text += f"; {plural(len(asked.aliases), 'name')} led to a server that had answered already"
    return text


def remaining(servers: Sequence[str]) -> str:
    """Of servers that answered and may keep the remote shell that was opened there."""
    return f"remote shells may remain until Windows ends them as idle: {_names(servers)}"


def to_text(asked: Asked, troubles: Iterable[Trouble], width: int, color: bool) -> str:
    """What `collect` prints: troubles with what to do next, aliases, and the count as the last line."""
    page = Page(width)
    alike: dict[tuple[str, str, str], list[str]] = {}
    for trouble in troubles:
        alike.setdefault((trouble.stage, trouble.reason, trouble.advice), []).append(trouble.server)
    for (stage, reason, advice), servers in alike.items():
        look = "yellow" if stage == "partial" else "bold red"
        page.prose(_names(servers), look=look)
        page.prose(f"{stage}: {reason}", 4)
        if advice:
            page.prose(f"-> {advice}", 4)
        page.blank()
    for alias in asked.aliases:
        page.prose(f"{alias.asked} is the same machine as {alias.server}, and was kept once.")
    look = "bold red" if asked.failed else "bold green"
    page.prose(counted(asked), look=look)
    return page.text(color)


def _names(servers: Sequence[str]) -> str:
    count = f" ({len(servers)} servers)" if len(servers) > 1 else ""
    return f"{first_few(servers)}{count}"
