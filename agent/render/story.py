"""What `explain` tells about one URL as text: what happens to each kind of client, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.model import ClientOutcome, Explanation
from agent.render.findings import write_findings, write_incomplete
from agent.render.layout import LOOKS, Page, with_commas
from agent.render.verdict import if_told, not_looked_at
from agent.render.wording import MEANINGS, WORDS, by_severity, listed


def to_text(explanation: Explanation, width: int, color: bool) -> str:
    """One URL: what each kind of client asks for, whom the KDC picks, who decrypts, what happens, what to change."""
    page = Page(width)
    page.line((explanation.url, "bold"))
    write_incomplete(page, explanation)
    for sentence in not_looked_at(explanation):
        page.prose(sentence)
    for clients, outcome in _distinct(explanation.outcomes):
        _told(page, clients, outcome)
    findings = by_severity(explanation.findings)
    if findings:
        page.heading("What to do", "")
        server = explanation.servers[0] if len(explanation.servers) == 1 else None
        write_findings(page, findings, server, frozenset())
    return page.text(color)


def _distinct(outcomes: Iterable[ClientOutcome]) -> Iterator[tuple[list[str], ClientOutcome]]:
    """Outcomes that differ in the client's name only, once, with all those names."""
    found: dict[object, tuple[list[str], ClientOutcome]] = {}
    for outcome in outcomes:
        steps = tuple(_of_any(step, outcome.client) for step in outcome.because)
        key = (outcome.spn, outcome.holders, outcome.answers, outcome.decrypts_as, outcome.outcome, steps)
        found.setdefault(key, ([], outcome))[0].append(outcome.client)
    yield from found.values()


def _of_any(step: str, client: str) -> str:
    """A step that names its client, said of any."""
    return f"The client {step.removeprefix(f'{client} ')}" if step.startswith(f"{client} ") else step


def _told(page: Page, clients: list[str], outcome: ClientOutcome) -> None:
    page.blank()
    page.prose(", ".join(clients), 0, look="bold")
    ends = outcome.because[-1] if outcome.because else MEANINGS[outcome.outcome]
    word = (f"  {WORDS[outcome.outcome]}", LOOKS[outcome.outcome])
    if outcome.provided:
        page.line(word, f", {if_told(outcome.provided)}")
    page.prose(ends, 14, first="" if outcome.provided else word)
    for label, value in _facts(outcome):
        page.prose(with_commas(value.split(", ")), 14, first=f"  {label}")
    page.blank()
    for number, step in enumerate(outcome.because[:-1], 1):
        page.prose(_of_any(step, outcome.client), 6, first=f"  {number}.".ljust(6))


def _facts(outcome: ClientOutcome) -> Iterator[tuple[str, str]]:
    yield "asks for", "no ticket" if outcome.spn is None else str(outcome.spn)
    if outcome.spn is not None:
        held = "not known" if outcome.holders is None else listed(outcome.holders) or "nobody"
        yield "held by", held
        if outcome.answers is not None and outcome.answers != outcome.holders:
            yield "answers", f"{listed(outcome.answers)} (HOST/)" if outcome.answers else "nobody"
    yield "decrypts", "nobody that can be named" if outcome.decrypts_as is None else str(outcome.decrypts_as)
