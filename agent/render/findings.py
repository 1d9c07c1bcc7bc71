"""Findings as text: what is wrong, where, how that is known and what to do, commands on lines of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.model import Finding, Report, Server, Severity
from agent.render.layout import SEVERITY_LOOKS, UNITS, Page, Part
from agent.render.wording import at_line, first_few, pieces, reason_told, servers_told, subject

SEVERITY_WORDS: Mapping[Severity, str] = {"error": "ERROR", "warning": "WARNING", "info": "NOTE"}


def write_incomplete(page: Page, report: Report) -> None:
    """That the report does not know everything, where it does not."""
    if report.complete:
        return
    wrong = [f"{server.name} {server.status}" for server in report.servers if server.status != "ok"]
    told = f" ({first_few(wrong)})" if wrong else ""
    page.prose(
        f"INCOMPLETE: not everything could be read{told}. What is not shown is not known to be right.",
        look="bold red",
    )


def write_findings(page: Page, findings: Iterable[Finding], server: Server | None, said: frozenset[str]) -> None:
    """Findings by severity, those with one remedy together; `said`: sentences that stand above already."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        remedy = "above" if finding.fix and said.issuperset(finding.fix) else finding.fix
        accepted = None if finding.accepted is None else reason_told(finding.accepted)
        groups.setdefault((finding.severity, finding.id, remedy, accepted), []).append(finding)
    for same in groups.values():
        _finding_group(page, same, server, said)


def _finding_group(page: Page, findings: list[Finding], server: Server | None, said: frozenset[str]) -> None:
    first = findings[0]
    accepted = first.accepted is not None
    word, look = ("ACCEPTED", "dim") if accepted else (SEVERITY_WORDS[first.severity], SEVERITY_LOOKS[first.severity])
    about = (place for finding in findings for place in (subject(finding) or servers_told(finding, server),))
    places = ", ".join(dict.fromkeys(filter(None, about)))
    page.prose([first.id, *([f"({places})"] if places else [])], 11, first=(f"  {word}", look), look="bold")
    for finding in findings:
        page.prose(["*", *UNITS.findall(finding.message)] if len(findings) > 1 else finding.message, 11)
        _evidence(page, finding, server)
    if first.accepted is not None:
        page.prose(reason_told(first.accepted), 11, first=("  because", "dim"))
    elif first.fix and said.issuperset(first.fix):
        page.prose("as said above", 11, first=("  do", "bold"), look="dim")
    else:
        for number, sentence in enumerate(first.fix):
            write_sentence(page, sentence, 11, first="" if number else ("  do", "bold"))


def _evidence(page: Page, finding: Finding, server: Server | None) -> None:
    for number, line in enumerate(finding.evidence):
        where = at_line(line.file, line.line, server)
        units = [*([where] if where else []), *UNITS.findall(line.text)]
        page.prose(units, 11, first="" if number else ("  see", "dim"), look="dim")


def write_sentence(page: Page, sentence: str, indent: int, first: Part = "") -> None:
    """A sentence of a fix; a command in it gets a line of its own, behind everything that is said about it."""
    parts = pieces(sentence)
    commands = [piece.text for piece in parts if piece.command]
    words = " ".join(piece.text for piece in parts if not piece.command)
    if commands:
        words = words.replace(": (", " (").replace(".)", ")").rstrip(".:") + ":" if words else "Run:"
    page.prose(["-", *UNITS.findall(words)], indent, first=first)
    for command in commands:
        page.line(" " * (indent + 2), (command, "bold cyan"))
