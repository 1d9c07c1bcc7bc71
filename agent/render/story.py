"""What `explain` tells about one URL as text: what happens to each kind of client, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.model import ClientOutcome, Explanation, Outcome
from agent.render.findings import write_findings, write_incomplete, write_sentence
from agent.render.first_screen import write_questions
from agent.render.layout import LOOKS, Page, with_commas
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from agent.render.verdict import if_told, not_looked_at
from agent.render.wording import MEANINGS, NO_TICKET, WORDS, by_severity, first_few, listed, plural, rank


def to_text(
    explanation: Explanation, width: int, color: bool, shown: Shown = "all", following: Following = NOTHING_FOLLOWS
) -> str:
    """One URL: what each kind of client asks for, whom the KDC picks, who decrypts, what happens, what to change."""
    page = Page(width)
    page.prose(first_line(explanation), look="bold")
    if shown == "verdict":
        return page.text(color)
    write_incomplete(page, explanation)
    for sentence in not_looked_at(explanation):
        page.prose(sentence)
    if explanation.unnamed:
        page.prose(f"Nobody said the name of {first_few(explanation.unnamed)}: give --computer.")
    write_questions(page, explanation, following)
    said = frozenset(sentence for finding in explanation.findings for sentence in finding.fix)
    several = len({outcome.server for outcome in explanation.outcomes}) > 1
    for clients, outcome in sorted(distinct(explanation.outcomes), key=lambda each: rank(each[1].outcome)):
        where = f", on {outcome.server}" if several and outcome.server is not None else ""
        _told(page, f"{', '.join(clients)}{where}", outcome, said)
    findings = by_severity(explanation.findings)
    if findings:
        page.heading("What to do", "")
        server = explanation.servers[0] if len(explanation.servers) == 1 else None
        write_findings(page, findings, server, frozenset())
    return page.text(color)


# -- the first line ------------------------------------------------------------------------------------------------


def first_line(explanation: Explanation) -> str:
    """`http://portal/: BROKEN on 1 of 2 servers (IIS07), OK on 1 of 2 servers (IIS06)`, or that nothing answers."""
    outcomes = explanation.outcomes
    if explanation.answered is False and outcomes and outcomes[0].because:
        return outcomes[0].because[0]
    ends = sorted({outcome.outcome for outcome in outcomes}, key=rank)
    parts = [_part(end, outcomes) for end in ends]
    return f"{explanation.url}: {', '.join(parts)}"


def _part(end: Outcome | None, outcomes: Iterable[ClientOutcome]) -> str:
    """One outcome with the clients and the servers that it is for, where others get another one."""
    every = [(outcome.client, outcome.server or "") for outcome in outcomes]
    these = [(outcome.client, outcome.server or "") for outcome in outcomes if outcome.outcome == end]
    clients, servers = (list(dict.fromkeys(column)) for column in zip(*these, strict=True))
    all_clients, all_servers = ({*column} for column in zip(*every, strict=True))
    text = NO_TICKET if end is None else WORDS[end]
    if len(clients) < len(all_clients):
        text += f" for {', '.join(clients)}"
    if len(servers) < len(all_servers):
        text += f" on {len(servers)} of {plural(len(all_servers), 'server')} ({first_few(servers)})"
    return text


# -- client by client ----------------------------------------------------------------------------------------------


def distinct(outcomes: Iterable[ClientOutcome]) -> Iterator[tuple[list[str], ClientOutcome]]:
    """Outcomes that differ in the client's name only, once, with all those names."""
    found: dict[object, tuple[list[str], ClientOutcome]] = {}
    for outcome in outcomes:
        steps = tuple(of_any(step, outcome.client) for step in outcome.because)
        key = (outcome.spn, outcome.holders, outcome.answers, outcome.decrypts_as, outcome.outcome, steps)
        found.setdefault(key, ([], outcome))[0].append(outcome.client)
    yield from found.values()


def of_any(step: str, client: str) -> str:
    """A step that names its client, said of any."""
    return f"The client {step.removeprefix(f'{client} ')}" if step.startswith(f"{client} ") else step


def _told(page: Page, clients: str, outcome: ClientOutcome, said: frozenset[str]) -> None:
    page.blank()
    page.prose(clients, 0, look="bold")
    end = outcome.outcome
    word = (f"  {NO_TICKET if end is None else WORDS[end]}", "bold" if end is None else LOOKS[end])
    if outcome.provided:
        page.line(word, f", {if_told(outcome.provided)}")
    told = outcome.because[-1] if outcome.because else "" if end is None else MEANINGS[end]
    page.prose(told, 14, first="" if outcome.provided else word)
    for label, value in _facts(outcome):
        page.prose(with_commas(value.split(", ")), 14, first=f"  {label}")
    page.blank()
    for number, step in enumerate(outcome.because[:-1], 1):
        page.prose(of_any(step, outcome.client), 6, first=f"  {number}.".ljust(6))
    fixes = [sentence for sentence in outcome.fix if sentence not in said]
    if fixes:
        page.blank()
    for number, sentence in enumerate(fixes):
        write_sentence(page, sentence, 11, first="" if number else ("  do", "bold"))


def _facts(outcome: ClientOutcome) -> Iterator[tuple[str, str]]:
    if outcome.outcome is None:
        return
    if outcome.spn is None:
        yield "asks for", "no ticket"
        return
    yield "asks for", str(outcome.spn)
    yield "held by", "not known" if outcome.holders is None else listed(outcome.holders) or "nobody"
    if outcome.answers is not None and outcome.answers != outcome.holders:
        yield "answers", f"{listed(outcome.answers)} (HOST/)" if outcome.answers else "nobody"
    yield "decrypts", "nobody that can be named" if outcome.decrypts_as is None else str(outcome.decrypts_as)
