"""A page of our documentation as text for a terminal: its few kinds of Markdown without their signs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.render.layout import UNITS, Page

_CODE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(r"\*\*(?P<label>[^*]+)\*\*\s*(?P<text>.*)", re.DOTALL)
_SLANTED = re.compile(r"\*(?P<text>[^*]+)\*")
_LINK = re.compile(r"\[(?P<text>`[^`]+`|[^]]+)\]\((?P<target>[^)\s]+)\)")
_ITEM = re.compile(r"^(?=- )", re.MULTILINE)


def page_text(markdown: str, width: int, color: bool) -> str:
    """Paragraphs filled up to the width, labels on a line of their own, commands whole as they are typed."""
    page = Page(width)
    for at, part in enumerate(_CODE.split(markdown)):
        if at % 2:
            page.blank()
            for line in part.splitlines():
                page.line("    ", (line, "bold cyan"))
            continue
        for text in re.split(r"\n{2,}", part.strip()):
            page.blank()
            _write_text(page, text)
    return page.text(color)


def _write_text(page: Page, text: str) -> None:
    labelled = _LABEL.fullmatch(text)
    if labelled is not None:
        page.line((labelled["label"].rstrip("."), "bold"))
        text = labelled["text"]
    slanted = _SLANTED.fullmatch(text)
    text = text if slanted is None else slanted["text"]
    for item in _ITEM.split(text):
        if item.strip():
            page.prose(list(_units(item)), 2)


def _units(text: str) -> Iterator[str]:
    """The words, each `command` as one of them; a link with where it leads behind it."""
    for unit in UNITS.findall(_LINK.sub(_link, text)):
        yield unit.replace("`", "") if "`" in unit else re.sub(r"(?<!\w)[*_]+(?=\w)|(?<=[\w.,])[*_]+(?!\w)", "", unit)


def _link(found: re.Match[str]) -> str:
    return f"{found['text']} ({found['target']})" if "://" in found["target"] else found["text"]
