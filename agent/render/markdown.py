"""The report as Markdown (GitHub's tables), for a ticket or a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from agent.model import Application, Finding, Report, Server
from agent.names import printable
from agent.render.verdict import first_line, if_told, not_looked_at
from agent.render.what_was_read import EXPORT_ALL, LOOK_FIRST, clients_told, exports, questions, sources_told, written
from agent.render.wording import (
    NOT_WHOLE,
    WORDS,
    Needed,
    Overview,
    at_line,
    by_severity,
    counted,
    decider,
    held_by,
    pieces,
    place_told,
    plural,
    reason_told,
    servers_told,
    settings_told,
    subject,
    why_not,
)

_COLUMNS = ("Site", "Application", "SPN", "Must be on", "Need", "Today", "Is on", "Why")
_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")
_TICKS = re.compile(r"`+")


def to_markdown(report: Report) -> Iterator[str]:
    """The whole report a line at a time: a summary, a section for each server, what concerns several at the end."""
    return (f"{line}\n" for line in _lines(Overview(report)))


# -- escaping ------------------------------------------------------------------------------------------------------


def words(text: str) -> str:
    """A text that Markdown shows as it is, also within a table."""
    return _MARKUP.sub(r"\\\1", printable(text))


def code(text: str) -> str:
    """A text in a code span, whatever backticks stand in it."""
    shown = printable(text)
    fence = "`" * (max(map(len, _TICKS.findall(shown)), default=0) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """A code span for a table, where a bar within would end the cell; empty for nothing."""
    return code(text).replace("|", "\\|") if text else ""


# -- the page ------------------------------------------------------------------------------------------------------


def _lines(overview: Overview) -> Iterator[str]:
    report = overview.report
    yield from ("# Service principal names of IIS", "", f"**{words(first_line(report))}**", "")
    for sentence in not_looked_at(report):
        yield from (words(sentence), "")
    yield from asked_first(report)
    numbers = (plural(len(report.servers), "server"), plural(len(report.applications), "application"))
    yield from (f"{', '.join(numbers)}: {counted(report)}", "")
    if not report.complete:
        yield from ("**INCOMPLETE: not everything could be read. What is not shown is not known to be right.**", "")
    for server in report.servers:
        yield from _server(overview, server)
    if overview.elsewhere:
        yield from ("## Across servers", "")
        yield from _findings(overview.elsewhere, None)
    yield from ("## What was read", "")
    yield from (f"- {words(told)}" for told in (*sources_told(report), *clients_told(report)))
    yield from ("", words(written(report)))


def asked_first(report: Report) -> Iterator[str]:
    """The lines to paste where nobody looked."""
    if asked := questions(report):
        yield from (LOOK_FIRST, "", "```bat", *map(printable, asked), "```", "", "Then give --ad held.txt.", "")
    if lines := exports(report):
        yield from (EXPORT_ALL, "", "```bat", *map(printable, lines), "```", "", "Then give the file with --ad.", "")


def _server(overview: Overview, server: Server) -> Iterator[str]:
    dns_name = "" if server.dns_name is None else f" ({words(server.dns_name)})"
    status = f", **{NOT_WHOLE[server.status]}**" if server.status in NOT_WHOLE else ""
    yield from (
        f"## {words(server.name)}{dns_name}",
        "",
        f"Source {code(server.source)}{status}",
        "",
    )
    for problem in server.problems:
        where = at_line(problem.file, problem.line, server)
        yield f"- {f'{code(where)}: ' if where else ''}{words(problem.message)} ({words(problem.id)})"
    yield from [""] if server.problems else []
    rows = list(_sites(overview, server))
    if rows:
        yield from (_row(_COLUMNS), _row("---" for _ in _COLUMNS))
        yield from (*map(_row, rows), "")
    findings = overview.findings[server.name]
    if findings:
        yield from ("### Findings", "")
        yield from _findings(findings, server)


def _sites(overview: Overview, server: Server) -> Iterator[Sequence[str]]:
    for application in overview.applications.get(server.name, []):
        needs = overview.needed_by(application)
        if not needs:
            today, reason = ("?", "no name is known") if application.negotiates else ("-", why_not(application, server))
            yield (*_place(application), "", "", "", today, "", words(reason))
        for needed in needs:
            yield _requirement(needed, application, server)
        for place in application.places:
            yield (words(application.site), words(place.path), "", "", "", "", "", words(place_told(place, server)))


def _place(application: Application) -> tuple[str, str]:
    return words(application.site), words(application.path)


def _requirement(needed: Needed, application: Application, server: Server) -> Sequence[str]:
    requirement = needed.requirement
    place = decider(requirement, application)
    settings = settings_told(place.windows_auth, place.origins, server) if place.windows_auth is not None else ()
    why = [part for part in (needed.rule, *settings) if part]
    return (
        *_place(application),
        _cell(str(requirement.spn)),
        _cell(str(requirement.account or "")),
        requirement.need,
        ", ".join(part for part in (f"**{WORDS[requirement.outcome]}**", words(if_told(requirement.provided))) if part),
        words(held_by(requirement)),
        words(", ".join(why)),
    )


def _findings(findings: Iterable[Finding], server: Server | None) -> Iterator[str]:
    for finding in by_severity(findings):
        severity = finding.severity if finding.accepted is None else f"accepted {finding.severity}"
        about = [part for part in (servers_told(finding, server), subject(finding)) if part]
        where = f", {words(', '.join(about))}" if about else ""
        yield f"- **{words(finding.id)}** ({severity}{where}): {words(finding.message)}"
        for line in finding.evidence:
            place = at_line(line.file, line.line, server)
            yield f"  - {f'{code(place)} ' if place else ''}{words(line.text)}"
        if finding.accepted is not None:
            yield f"  - Accepted: {words(reason_told(finding.accepted))}"
        for sentence in finding.fix:
            yield f"  - Fix: {' '.join(code(p.text) if p.command else words(p.text) for p in pieces(sentence))}"
    yield ""
