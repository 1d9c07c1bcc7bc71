"""The report as CSV for a spreadsheet: one row per requirement and application, then what concerns no requirement, and
what was read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from agent.model import Application, Finding, Report, Requirement
from agent.names import AccountName, printable
from agent.render.what_was_read import clients_told, sources_told
from agent.render.wording import MEANINGS, Overview, decider, first_few

ENCODING = "utf-8-sig"
"""For files: without the mark Excel reads UTF-8 as the code page of the day."""

COLUMNS = (
    "server",
    "site",
    "path",
    "names",
    "spn",
    "account",
    "need",
    "covered_by",
    "holders",
    "answers",
    "outcome",
    "decryption",
    "rule",
    "severity",
    "findings",
    "messages",
    "fix",
    "provided",
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(report: Report) -> Iterator[str]:
    """A row at a time; several values in a cell are separated by "; ", what nobody looked up is empty."""
    yield line(COLUMNS)
    yield from map(line, _rows(Overview(report)))
    yield from map(line, _read(report))


def line(texts: Iterable[str]) -> str:
    """One row, in which no text is a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(map(cell, texts))
    return out.getvalue()


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text)


def _rows(overview: Overview) -> Iterator[list[str]]:
    applications = {each.reference: (each, _names(each)) for each in overview.report.applications}
    told: set[int] = set()
    for requirement in overview.report.requirements:
        for place in requirement.applications:
            findings = list(overview.about(requirement, place.server))
            told.update(map(id, findings))
            yield _requirement(requirement, *applications[place], place.rule, findings)
    yield from (_unnamed(application) for application in overview.report.applications if application.is_unnamed)
    for finding in overview.report.findings:
        if id(finding) not in told:
            yield _finding(finding)


def _requirement(
    requirement: Requirement, application: Application, names: str, rule: str | None, findings: list[Finding]
) -> list[str]:
    return [
        application.server,
        application.site,
        application.path,
        names,
        str(requirement.spn),
        str(requirement.account or ""),
        requirement.need,
        str(requirement.covered_by or ""),
        _accounts(requirement.holders),
        _accounts(requirement.answers),
        requirement.outcome,
        decider(requirement, application).decryption,
        rule or "",
        *_told(findings, _not_checked(requirement)),
        _joined(requirement.provided or ()),
    ]


def _finding(finding: Finding) -> list[str]:
    place = [_few(finding.all_servers), finding.site or "", finding.path or "", ""]
    about = [str(finding.spn or ""), str(finding.account or ""), "", "", _few(finding.holders)]
    return [*place, *about, *[""] * (COLUMNS.index("severity") - len(place + about)), *_told([finding]), ""]


def _unnamed(application: Application) -> list[str]:
    """An application that is reached by a name which nobody said: a row of its own, for it has no requirement."""
    place = [application.server, application.site, application.path, _names(application)]
    unknown = [*place, *[""] * (COLUMNS.index("outcome") - len(place)), "uncertain", application.decryption, ""]
    return [*unknown, *_told([], ["NOT CHECKED: a name that clients use is not known"]), ""]


def _read(report: Report) -> Iterator[list[str]]:
    """What the report rests on, as rows of no server."""
    for told in (*sources_told(report), *clients_told(report)):
        yield [*[""] * COLUMNS.index("findings"), "read", told, "", ""]


def _not_checked(requirement: Requirement) -> list[str]:
    if requirement.outcome not in {"unchecked", "uncertain"}:
        return []
    return [f"NOT CHECKED: {MEANINGS[requirement.outcome]}"]


def _told(findings: list[Finding], notes: Iterable[str] = ()) -> list[str]:
    unique = dict.fromkeys(sentence for finding in findings for sentence in finding.fix)
    ids = dict.fromkeys(f"{f.id} (accepted)" if f.accepted is not None else f.id for f in findings)
    worst = findings[0].severity if findings else ""  # errors come first, accepted findings last
    return [worst, _joined(ids), _joined([*notes, *(finding.message for finding in findings)]), _joined(unique)]


def _accounts(accounts: tuple[AccountName, ...] | None) -> str:
    return "" if accounts is None else _few(accounts) or "nobody"


def _names(application: Application) -> str:
    return _few([host.host for host in application.hosts])


def _few(names: Sequence[object]) -> str:
    """Names side by side; of a farm's hundreds the first, and how many more there are."""
    return first_few(names, "; ")


def _joined(values: Iterable[object]) -> str:
    return "; ".join(map(str, values))
