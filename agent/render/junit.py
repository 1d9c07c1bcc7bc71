"""The report as JUnit XML for a CI server: a suite for each server, a case for each SPN that something on it needs.

Jenkins' junit-10.xsd says which elements and attributes there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from agent.model import Finding, Problem, Report, Requirement, Server
from agent.names import printable
from agent.render.what_was_read import source_told
from agent.render.wording import MEANINGS, Overview, at_line, reason_told

ACROSS = "across servers"
"""The suite of what concerns several servers, or a source that is no server."""

_SOURCES = frozenset({"directory-incomplete", "dns-incomplete", "config-malformed", "source-unreadable"})
"""Findings that tell of a source which was not read, or not whole."""


class _Case(NamedTuple):
    """One case. `ends` is the element that stands in it, None where it passed; `kind` its type."""

    name: str
    ends: Literal["failure", "error", "skipped"] | None = None
    kind: str = ""
    message: str = ""
    lines: Sequence[str] = ()


def to_junit(report: Report) -> Iterator[str]:
    """A suite at a time."""
    suites = _Suites(report)
    read = _Read(report)
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{_attributes(name=report.tool.name)}>\n'
    for server in report.servers:
        yield from _suite(report, server, suites.of(server), read.of(server))
    across = list(suites.across())
    if across or read.shared:
        yield from _suite(report, None, across, read.shared)
    yield "</testsuites>\n"


class _Suites:
    """The cases of a report; remembers which findings a case has told, and whether one told that it is not whole."""

    def __init__(self, report: Report) -> None:
        self._overview = Overview(report)
        self._told: set[int] = set()
        self._required: dict[str, list[Requirement]] = {}
        for requirement in report.requirements:
            for server in dict.fromkeys(place.server for place in requirement.applications):
                self._required.setdefault(server, []).append(requirement)

    def of(self, server: Server) -> list[_Case]:
        """What was read first, then what is needed, then errors that concern no SPN."""
        cases = [] if server.status == "ok" else [_unread(server)]
        cases += [self._requirement(required, server) for required in self._required.get(server.name, ())]
        cases += [
            _Case(f"{one.site}{one.path}", "skipped", "uncertain", "a name that clients use is not known")
            for one in self._overview.applications.get(server.name, ())
            if one.is_unnamed
        ]
        known = set() if server.status == "ok" else {problem.id for problem in server.problems}
        rest = (found for found in self._overview.findings[server.name] if found.id not in known)
        return cases + list(self._errors(rest, server))

    def across(self) -> Iterator[_Case]:
        """What belongs to no server alone."""
        report = self._overview.report
        unread = [found for found in self._overview.elsewhere if found.id in _SOURCES and not report.complete]
        yield from (_Case(_named(found), "error", found.id, found.message, _lines([found], None)) for found in unread)
        if not report.complete and not unread and all(server.status == "ok" for server in report.servers):
            yield _Case("incomplete", "error", "incomplete", "not everything could be read")
        yield from self._errors((found for found in self._overview.elsewhere if found not in unread), None)

    def _requirement(self, required: Requirement, server: Server) -> _Case:
        """Whether Kerberos works with an SPN. One that may be missing without harm never fails."""
        name = f"{required.spn} on {required.account or 'no account'}"
        meaning = MEANINGS[required.outcome]
        if required.outcome == "kerberos":
            return _Case(name)
        if required.outcome in {"unchecked", "uncertain"}:
            return _Case(name, "skipped", required.outcome, meaning)
        if not required.matters:
            return _Case(name, "skipped", "optional", f"works or not without harm; today: {meaning}")
        findings = list(self._overview.about(required, server.name))
        self._told.update(map(id, findings))
        errors = [found for found in findings if found.severity == "error"]
        accepted = _accepted(errors or [found for found in findings if found.severity == "warning"])
        if accepted is not None:
            return _Case(name, "skipped", "accepted", accepted)
        message = findings[0].message if findings else meaning
        return _Case(name, "failure", required.outcome, message, _lines(findings, server))

    def _errors(self, findings: Iterable[Finding], server: Server | None) -> Iterator[_Case]:
        for found in findings:
            if found.severity != "error" or id(found) in self._told:
                continue
            accepted = _accepted([found])
            if accepted is not None:
                yield _Case(_named(found), "skipped", "accepted", accepted)
            else:
                yield _Case(_named(found), "failure", found.id, found.message, _lines([found], server))


class _Read:
    """What was read, as properties: of each server its configuration, and what is `shared` by all."""

    def __init__(self, report: Report) -> None:
        read = report.summary.read if report.summary is not None else ()
        self._dates = {one.source: one.date for one in read if one.kind == "config"}
        self.shared = [(f"read.{one.kind}", source_told(one)) for one in read if one.kind != "config"]
        if report.summary is not None and report.summary.clients:
            self.shared.append(("clients", ", ".join(report.summary.clients)))

    def of(self, server: Server) -> list[tuple[str, str]]:
        date = self._dates.get(server.source)
        return [("read.config", f"{server.source}, of {date}" if date is not None else server.source)]


def _unread(server: Server) -> _Case:
    lines = [line for problem in server.problems for line in _problem(problem, server)]
    first = server.problems[0] if server.problems else Problem(id=server.status, message="it could not be read whole")
    return _Case(f"read {server.source}", "error", first.id, first.message, lines)


def _problem(problem: Problem, server: Server) -> Iterator[str]:
    place = at_line(problem.file, problem.line, server)
    yield f"{problem.id}: {f'{place}: ' if place else ''}{problem.message}"
    yield from problem.fix


def _named(finding: Finding) -> str:
    return " ".join(filter(None, (finding.id, finding.site, finding.path, str(finding.spn or ""))))


def _accepted(findings: Sequence[Finding]) -> str | None:
    """Why all of them may stay; None where one may not, or there is none."""
    reasons = [reason_told(found.accepted) for found in findings if found.accepted is not None]
    return "; ".join(dict.fromkeys(reasons)) if reasons and len(reasons) == len(findings) else None


def _lines(findings: Iterable[Finding], server: Server | None) -> list[str]:
    lines = []
    for found in findings:
        lines.append(f"{found.severity} {found.id}: {found.message}")
        places = ((at_line(shown.file, shown.line, server), shown.text) for shown in found.evidence)
        lines += [" ".join(filter(None, place)) for place in places]
        lines += found.fix
    return lines


# -- XML -----------------------------------------------------------------------------------------------------------


def _suite(
    report: Report, server: Server | None, cases: Sequence[_Case], properties: Sequence[tuple[str, str]]
) -> Iterator[str]:
    name = ACROSS if server is None else server.name
    ends = Counter(case.ends for case in cases)
    counts = {"tests": len(cases), "failures": ends["failure"], "errors": ends["error"], "skipped": ends["skipped"]}
    host = {} if server is None or server.dns_name is None else {"hostname": server.dns_name}
    yield f"<testsuite{_attributes(name=name, **counts, timestamp=report.started, **host)}>\n"
    if properties:
        told = "".join(f"<property{_attributes(name=key, value=value)}/>\n" for key, value in properties)
        yield f"<properties>\n{told}</properties>\n"
    yield from (_element(case, name) for case in cases)
    yield "</testsuite>\n"


def _element(case: _Case, suite: str) -> str:
    start = f"<testcase{_attributes(classname=suite, name=case.name)}"
    if case.ends is None:
        return f"{start}/>\n"
    text = escape("\n".join(map(printable, case.lines)))
    ended = f"<{case.ends}{_attributes(type=case.kind, message=case.message)}>{text}</{case.ends}>"
    return f"{start}>{ended}</testcase>\n"


def _attributes(**values: object) -> str:
    return "".join(f" {name}={quoteattr(printable(str(value)))}" for name, value in values.items())
