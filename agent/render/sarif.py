"""The findings as SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from msgspec.structs import asdict

from agent.checks.findings import FINDINGS
from agent.model import Accepted, Application, ApplicationRef, Finding, Report, Severity
from agent.model.document import line_of
from agent.render.fingerprints import fingerprints
from agent.render.wording import reason_told

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "iisSpnFinding/v1"
BASES = {
    "%SRCROOT%": {"description": {"text": "the folder in which the command was typed"}},
    "FILESYSTEM": {"uri": "file:///"},
}
"""What the names of files are relative to: those that were typed so, and the others."""
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_Object = dict[str, object]


def to_sarif(report: Report) -> Iterator[str]:
    """One run; a line for each finding."""
    rules = {found.id: at for at, found in enumerate({found.id: found for found in report.findings}.values())}
    driver = {"name": report.tool.name, "version": report.tool.version, "rules": list(map(_rule, rules))}
    read = [asdict(one) for one in report.summary.read] if report.summary is not None else []
    head = {
        "tool": {"driver": driver},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": BASES,
        "properties": {"read": read},
    }
    yield f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{line_of(head)[:-1]}, "results": ['
    places = _Places(report)
    for at, (found, fingerprint) in enumerate(zip(report.findings, fingerprints(report), strict=True)):
        yield f"{',' if at else ''}\n{line_of(_result(found, rules[found.id], places, fingerprint))}"
    yield "\n]}]}\n"


def _rule(finding_id: str) -> _Object:
    rule: _Object = {"id": finding_id, "help": {"text": f"iis-spn rules {finding_id} says what it means."}}
    kind = FINDINGS.get(finding_id)
    if kind is not None:
        level = _LEVELS[kind.severities[0]]
        rule |= {"shortDescription": {"text": kind.when}, "defaultConfiguration": {"level": level}}
    return rule


def _invocation(report: Report) -> _Object:
    """Whether all was read, and what was not."""
    unread = [
        {
            "level": "error",
            "descriptor": {"id": problem.id},
            "message": {"text": f"{server.name}: {problem.message}"},
            "locations": [_location(server.name, problem.file or server.source, problem.line)],
        }
        for server in report.servers
        for problem in (server.problems if server.status != "ok" else ())
    ]
    times = {"startTimeUtc": report.started, "endTimeUtc": report.finished}
    return {"executionSuccessful": report.complete, **times, "toolExecutionNotifications": unread}


def _result(found: Finding, rule: int, places: _Places, fingerprint: str) -> _Object:
    first, *more = places.of(found)
    about = {
        "servers": found.all_servers,
        "spn": None if found.spn is None else str(found.spn),
        "account": None if found.account is None else str(found.account),
        "holders": list(map(str, found.holders)),
        "fix": found.fix,
    }
    return {
        "ruleId": found.id,
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        "message": {"text": "\n".join((found.message, *found.fix))},
        "locations": [first],
        "relatedLocations": more,
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "suppressions": [] if found.accepted is None else [_suppression(found.accepted)],
        "properties": {name: value for name, value in about.items() if value},
    }


def _suppression(accepted: Accepted) -> _Object:
    where = {} if accepted.file is None else {"location": _location("", accepted.file, accepted.line)}
    return {"kind": "external", "status": "accepted", "justification": reason_told(accepted), **where}


# -- places --------------------------------------------------------------------------------------------------------


class _Places:
    """Where a finding points at: its evidence, else the pool or the setting of the application that it speaks of."""

    def __init__(self, report: Report) -> None:
        self._servers = {server.name: server for server in report.servers}
        self._applications = {one.reference: one for one in report.applications}
        self._needed = {required.spn: required.applications for required in reversed(report.requirements)}

    def of(self, found: Finding) -> list[_Object]:
        """At least one; a place without a file has a name only."""
        name = "/".join((*found.all_servers[:1], found.site or "")).rstrip("/") + (found.path or "")
        lines = [line for line in found.evidence if line.file is not None]
        if lines:
            return [_location(name, line.file, line.line, line.text) for line in lines]
        for application in self._spoken_of(found):
            for origin in _deciding(application):
                return [_location(name, *origin)]
        server = self._servers.get(next(iter(found.all_servers), ""))
        return [_location(name or str(found.spn or found.id), None if server is None else server.source, None)]

    def _spoken_of(self, found: Finding) -> Iterator[Application]:
        servers = found.all_servers
        named = [ApplicationRef(server, found.site or "", found.path or "/") for server in servers]
        needed = self._needed.get(found.spn, ()) if found.spn is not None else ()
        for place in (*named, *(place for place in needed if not servers or place.server in servers)):
            if place in self._applications:
                yield self._applications[place]


def _deciding(application: Application) -> Iterator[tuple[str, int | None]]:
    origins = application.origins
    for origin in (origins.identity_type, origins.enabled, origins.providers):
        if origin is not None and origin.file is not None:
            yield origin.file, origin.line


def _location(name: str, file: str | None, line: int | None, text: str = "") -> _Object:
    location: _Object = {"logicalLocations": [{"fullyQualifiedName": name}]} if name else {}
    if file is not None:
        region = {"region": {"startLine": line}} if line is not None and line > 0 else {}
        location["physicalLocation"] = {"artifactLocation": _artifact(file), **region}
    return location | ({"message": {"text": text}} if text else {})


def _artifact(file: str) -> _Object:
    """A file as an URI reference; `//server/share` is one that leads from `file:///` to `file://server/share`."""
    path = file.replace("\\", "/")
    is_whole = path.startswith("/") or re.match("[A-Za-z]:/", path) is not None
    told = path if path.startswith("//") else path.lstrip("/")
    return {"uri": quote(told, errors="replace"), "uriBaseId": "FILESYSTEM" if is_whole else "%SRCROOT%"}
