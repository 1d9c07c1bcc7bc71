"""`explain` as a page: one URL, what each kind of client gets, with the picture of the request and its story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agent.model import ClientOutcome, Explanation
from agent.render.page import sources
from agent.render.page.elements import (
    TONES,
    E,
    begun,
    of_class,
    outcome_badge,
    present,
    sentences,
    worst,
)
from agent.render.page.findings import findings
from agent.render.page.frame import Section, Sheet, written
from agent.render.page.part import Part, narrowed
from agent.render.page.picture import drawn_request
from agent.render.page.servers import servers
from agent.render.page.top import end, gaps, heading, looked
from agent.render.story import distinct, first_line, of_any
from agent.render.verdict import if_told
from agent.render.wording import MEANINGS, first_few, rank

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element


def to_html(explanation: Explanation) -> Iterator[str]:
    """The page a piece at a time."""
    explanation = _answering(explanation)
    part = Part(explanation)
    title = f"What happens at {explanation.url}"
    return written(Sheet(title, _top(title, explanation), list(_sections(part)), part.model(), end(explanation)))


def _answering(explanation: Explanation) -> Explanation:
    """Of the servers only those that answer the URL; the findings are about these already."""
    names = frozenset(got.server for got in explanation.outcomes if got.server is not None)
    return replace(narrowed(explanation, names), findings=explanation.findings)


def _top(title: str, explanation: Explanation) -> Iterator[Element]:
    outcome = worst(got.outcome for got in explanation.outcomes if got.outcome is not None)
    tone = "bad" if explanation.answered is False else "open" if outcome is None else TONES[outcome]
    yield from heading(title, explanation.finished, first_line(explanation), tone)
    yield from gaps(explanation)
    if explanation.unnamed:
        told = f"Nobody said the name of {first_few(explanation.unnamed)}: give --computer."
        yield E.p(told, of_class("gap"))
    yield from sources.asked_first(explanation)
    yield from looked(explanation)


def _sections(part: Part) -> Iterator[Section]:
    explanation = part.report
    if isinstance(explanation, Explanation) and explanation.outcomes:
        yield Section("clients", "What each client gets", _clients(explanation))
    if part.findings:
        yield Section("findings", "What to do", findings(part))
    if part.servers:
        yield Section("servers", "What answers", servers(part, is_open=False))
    if explanation.summary is not None:
        yield Section("read", "What was read", sources.read(explanation))
    yield Section("words", "What the words mean", sources.words(explanation))


def _clients(explanation: Explanation) -> Iterator[Element]:
    said = frozenset(sentence for finding in explanation.findings for sentence in finding.fix)
    several = len({got.server for got in explanation.outcomes}) > 1
    for clients, got in sorted(distinct(explanation.outcomes), key=lambda each: rank(each[1].outcome)):
        yield _told(explanation.url, clients, got, said, f" on {got.server}" if several and got.server else "")


def _told(url: str, clients: list[str], got: ClientOutcome, said: frozenset[str], where: str) -> Element:
    """One outcome: the picture, what it comes to, and how it came to that."""
    names = ", ".join(clients)
    given = [E.span(f" {if_told(got.provided)}", of_class("dim"))] if got.provided else []
    last = got.because[-1] if got.because else "" if got.outcome is None else MEANINGS[got.outcome]
    steps = [E.li(of_any(step, got.client)) for step in got.because[:-1]]
    return E.div(
        of_class("card", "request"),
        E.h3(outcome_badge(got.outcome), f" {names}{where}", *given),
        E.p(begun(last)),
        *drawn_request(clients, url, got),
        *([E.ol(of_class("steps"), *steps)] if steps else []),
        *present(sentences(sentence for sentence in got.fix if sentence not in said)),
    )
