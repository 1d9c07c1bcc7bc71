"""What one page can hold: all of a report, or the servers that need somebody first and of the others their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from agent.model import Finding, Outcome, Report, Requirement, Server, Severity
from agent.model.document import json_line
from agent.names import Spn
from agent.render.fingerprints import fingerprints
from agent.render.page.elements import anchor, slug
from agent.render.wording import WORST_FIRST, Overview

MOST = 20_000
"""Applications, SPNs and findings of all servers that are shown in full: with more a browser takes several seconds
(benchmarks/README.md)."""
MOST_CAUSES = 200

Some = TypeVar("Some", bound=Report)


class _Cause(Struct, frozen=True):
    """A cause without what is to be done, which may be thousands of sentences."""

    finding: str
    severity: Severity | None
    text: str
    spns: tuple[Spn, ...]
    servers: tuple[str, ...]


class _Model(Struct, frozen=True):
    """The part of the report that the script works with, by the report's own keys."""

    servers: tuple[Server, ...]
    requirements: tuple[Requirement, ...]
    findings: tuple[Finding, ...]
    causes: tuple[_Cause, ...]


class Part:
    """A report as one page shows it: which servers in full, and at which number of the model each thing stands.

    `causes` are those that are told: no mere notes, and not what could not be read; `more_causes` says how many more.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.outcomes = _outcomes(report)
        told = [one for one in report.causes or () if not one.unread and one.severity != "info"]
        self.causes, self.more_causes = told[:MOST_CAUSES], max(len(told) - MOST_CAUSES, 0)
        self._names = names = self._fitting()
        self.left_out = tuple(server for server in report.servers if server.name not in names)
        shown = narrowed(report, names) if self.left_out else report
        self.overview = Overview(shown)
        self.servers, self.requirements, self.findings = shown.servers, shown.requirements, shown.findings
        self._numbers = {id(one): at for at, one in enumerate(shown.requirements)}
        self._numbers |= {id(one): at for at, one in enumerate(shown.findings)}
        pairs = zip(report.findings, fingerprints(report), strict=True)
        self._anchors = {
            id(found): f"{slug(found.id)}-{made[:10]}" for found, made in pairs if id(found) in self._numbers
        }

    def _fitting(self) -> frozenset[str]:
        """Those that need somebody first, as many as fit, and one at least."""
        findings = Overview(replace(self.report, applications=(), requirements=()))
        sizes = Counter(application.server for application in self.report.applications)
        room, names = MOST, set[str]()
        for server in sorted(self.report.servers, key=lambda server: not findings.needs_somebody(server)):
            room -= sizes[server.name] + len(findings.findings[server.name]) + self.outcomes[server.name].total()
            if room < 0 and names:
                break
            names.add(server.name)
        return frozenset(names)

    def is_shown(self, server: Server) -> bool:
        """Whether it stands on the page in full."""
        return server.name in self._names

    def number(self, one: Requirement | Finding) -> str:
        """Where it stands in its list of the model."""
        return str(self._numbers[id(one)])

    def anchor(self, found: Finding) -> str | None:
        """The `id` of a finding, the same in each run; None where it does not stand on the page."""
        return self._anchors.get(id(found))

    def model(self) -> Iterator[str]:
        """What the script works with, as JSON in pieces."""
        causes = tuple(_Cause(one.finding, one.severity, one.text, one.spns, one.servers) for one in self.causes)
        yield from json_line(_Model(self.servers, self.requirements, self.findings, causes), schema=self.report.schema)

    @property
    def worst_first(self) -> Iterable[Server]:
        """All servers, those with the worst outcomes first."""
        return sorted(self.report.servers, key=self._rank)

    def _rank(self, server: Server) -> tuple[bool, tuple[int, ...]]:
        counts = self.outcomes[server.name]
        return server.status == "ok", tuple(-counts[outcome] for outcome in WORST_FIRST[:-1])


def server_anchor(name: str) -> str:
    return anchor("server", name)


def servers_of(requirement: Requirement) -> Iterable[str]:
    """Each server once, in the order in which they are named."""
    return dict.fromkeys(place.server for place in requirement.applications)


def _outcomes(report: Report) -> dict[str, Counter[Outcome]]:
    """How often each outcome is found on each server, by SPNs that matter; names that nobody said are uncertain."""
    found = {server.name: Counter[Outcome]() for server in report.servers}
    for requirement in report.requirements:
        for server in servers_of(requirement) if requirement.matters else ():
            found.setdefault(server, Counter())[requirement.outcome] += 1
    for application in report.applications:
        if application.is_unnamed:
            found.setdefault(application.server, Counter())["uncertain"] += 1
    return found


def narrowed(report: Some, names: frozenset[str]) -> Some:
    """What the report says of these servers."""

    def is_about(found: Finding) -> bool:
        servers = found.all_servers
        return not servers or not names.isdisjoint(servers)

    return replace(
        report,
        servers=tuple(server for server in report.servers if server.name in names),
        applications=tuple(one for one in report.applications if one.server in names),
        requirements=tuple(
            one for one in report.requirements if any(place.server in names for place in one.applications)
        ),
        findings=tuple(filter(is_about, report.findings)),
    )
