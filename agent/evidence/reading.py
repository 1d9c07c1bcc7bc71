"""THE TABLE of what is looked for in a text that somebody captured, and what is found of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from agent.evidence.captured import Captured, Unread
from agent.evidence.decoded_messages import decoded_messages
from agent.evidence.event_texts import event_texts
from agent.evidence.event_xml import event_xml, spans
from agent.evidence.failed_request import failed_request
from agent.evidence.headers import headers
from agent.evidence.log_lines import log_lines
from agent.evidence.name_answers import ipconfig, name_answers
from agent.evidence.page import Page, Reader
from agent.evidence.spn_answers import spn_answers
from agent.evidence.tickets import tickets
from agent.evidence.w3c_log import Log, Row

READERS: Sequence[Reader] = (
    headers,
    decoded_messages,
    event_texts,
    tickets,
    spn_answers,
    name_answers,
    ipconfig,
)

_TRACE = re.compile(r"\s*(?:<\?[^>]{0,500}\?>\s*)*(?:<!DOCTYPE[^>]{0,2000}>\s*)?<failedRequest\b")


class Found(NamedTuple):
    """What a source holds, in the order in which it stands there; `rows` are those of an IIS log."""

    evidence: tuple[Captured, ...]
    unread: tuple[Unread, ...]
    rows: tuple[Row, ...] = ()
    lacks_host: bool = False


def read_page(page: Page) -> Found:
    """Everything in a text that is known, each with its line. What is not known is passed over."""
    if _TRACE.match(page.text):
        return sorted_out(failed_request(page))
    found = event_xml(page)
    rest = Page(page.source, _without_events(page.text), page.first_line)
    log = log_lines(rest)
    return sorted_out(chain(found, *(read(rest) for read in READERS)), log)


def sorted_out(found: Iterable[Captured | Unread], log: Log | None = None) -> Found:
    """Evidence and what could not be read, each by its line."""
    told = [*found, *(log.captured() if log else ()), *(log.unread if log else ())]
    evidence = sorted((one for one in told if isinstance(one, Captured)), key=lambda one: one.line)
    unread = sorted((one for one in told if isinstance(one, Unread)), key=lambda one: one.line or 0)
    rows, lacks_host = (tuple(log.rows), log.lacks_host) if log else ((), False)
    return Found(tuple(evidence), tuple(unread), rows, lacks_host)


def _without_events(text: str) -> str:
    """The text with the lines of each event that was read as XML empty."""
    parts, after = [], 0
    for begin, end in spans(text):
        if end is not None:
            parts += [text[after:begin], "\n" * text.count("\n", begin, end)]
            after = end
    return "".join([*parts, text[after:]])
