"""What `diagnose` found as text: the likeliest cause first, what speaks for it, what decides, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.evidence.diagnosis import Diagnosis, PossibleCause, Reason
from agent.evidence.told import sentence
from agent.render.findings import write_sentence
from agent.render.layout import Page
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from agent.render.wording import plural

_LOOKS = {"certain": "bold red", "likely": "red", "possible": "yellow"}
MOST_CAUSES, MOST_EVIDENCE, MOST_REASONS = 5, 8, 6
"""Causes and pieces of evidence that stand on the first screen, and pieces that speak for one cause."""


def to_text(
    diagnosis: Diagnosis, width: int, color: bool, shown: Shown = "causes", _: Following = NOTHING_FOLLOWS
) -> str:
    """The verdict, the causes, what was read, and what was not."""
    page = Page(width)
    page.prose(verdict(diagnosis), look="bold")
    if shown == "verdict":
        return page.text(color)
    for sentence_ in diagnosis.warnings:
        page.blank()
        page.prose(sentence_, 2, look="yellow")
    told: set[Reason] = set()
    shown_causes = diagnosis.causes if shown == "all" else diagnosis.causes[:MOST_CAUSES]
    for number, cause in enumerate(shown_causes, 1):
        _cause(page, number, cause, told, is_all=shown == "all")
    if len(shown_causes) < len(diagnosis.causes):
        page.line(f"... {plural(len(diagnosis.causes) - len(shown_causes), 'more cause')}: --all")
    if diagnosis.collect:
        page.blank()
        page.line("To be sure, give as well what this prints:")
        for line in diagnosis.collect:
            page.line(f"  {line}")
    _read(page, diagnosis, is_all=shown == "all")
    for sentence_ in not_read(diagnosis):
        page.prose(sentence_, 11, first=("  NOT READ", "bold red"))
    page.blank()
    page.prose(verdict(diagnosis), look="bold")
    return page.text(color)


def verdict(diagnosis: Diagnosis) -> str:
    """`CERTAIN: spn-misplaced, HTTP/contoso.test.com`, and how much was read."""
    pieces = plural(len(diagnosis.evidence), "piece")
    unread = f" INCOMPLETE: {plural(len(diagnosis.unread), 'place')} could not be read." if diagnosis.unread else ""
    if diagnosis.report is not None and not diagnosis.report.complete:
        unread += " INCOMPLETE: a server or the directory was not read whole."
    if not diagnosis.evidence:
        return f"NO EVIDENCE: nothing that was given holds any that is known here.{unread}"
    if not diagnosis.causes:
        return f"NO FAULT in {pieces} of evidence.{unread}"
    first = diagnosis.causes[0]
    about = f", {first.spn}" if first.spn is not None else ""
    others = len(diagnosis.causes) - 1
    more = f", and {plural(others, 'other cause')}" if others else ""
    return f"{first.likelihood.upper()}: {first.id}{about}{more} ({pieces} of evidence).{unread}"


def not_read(diagnosis: Diagnosis) -> Iterator[str]:
    """What of evidence, servers and directory could not be read, each with its place."""
    for one in diagnosis.unread:
        yield f"{place(one.source, one.line)}: {one.why}"
    for server in diagnosis.report.servers if diagnosis.report is not None else ():
        if server.status != "ok":
            yield from (f"{place(each.file or server.source, each.line)}: {each.message}" for each in server.problems)
    for finding in diagnosis.report.findings if diagnosis.report is not None else ():
        if finding.id == "directory-incomplete":
            yield finding.message


def place(source: str | None, line: int | None) -> str:
    """`event.txt:7`"""
    return f"{source or 'configuration'}{f':{line}' if line is not None else ''}"


def _cause(page: Page, number: int, cause: PossibleCause, told: set[Reason], *, is_all: bool) -> None:
    """What another cause has told already is not said again; what to do about a cause that is only possible neither."""
    page.blank()
    about = f"  {cause.spn}" if cause.spn is not None else ""
    page.line(f"{number}  ", (cause.likelihood, _LOOKS[cause.likelihood]), "  ", (cause.id, "bold"), about)
    for word, reasons in (("for", cause.for_), ("against", cause.against)):
        new = [one for one in reasons if is_all or one not in told]
        told.update(new)
        for one in _shown(new):
            page.prose(one, 12, first=f"   {word}")
    if cause.decide is not None:
        page.prose(cause.decide, 12, first=("   decides", "bold"))
    for number, fix in enumerate(cause.fix if is_all or cause.likelihood != "possible" else ()):
        write_sentence(page, fix, 12, first="" if number else ("   do", "bold"))


def _shown(reasons: Sequence[Reason]) -> list[str]:
    told = [f"{one.text} ({place(one.source, one.line)})" for one in reasons[:MOST_REASONS]]
    more = len(reasons) - len(told)
    return [*told, *([f"and {more} more"] if more > 0 else [])]


def _read(page: Page, diagnosis: Diagnosis, *, is_all: bool) -> None:
    if not diagnosis.evidence:
        return
    page.heading("What was read", "")
    shown = diagnosis.evidence if is_all else diagnosis.evidence[:MOST_EVIDENCE]
    for one in shown:
        page.prose(f"{place(one.source, one.line)}: {sentence(one)}", 15, first=f"  {one.kind}")
    more = len(diagnosis.evidence) - len(shown)
    if more:
        page.line(f"  ... {more} more: --all")
