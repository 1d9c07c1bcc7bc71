"""Accepted findings: known, not to be repaired for now, and still listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from agent.model import Accepted, Finding
from agent.names import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One `[[accept]]`: which finding, about what, why it may stay, and the last day that holds (None: for good).

    `subject` is a server, a site, `server/site`, an SPN or an account; case does not count, `*` stands for any text.
    `file` and `line` are where it is said.
    """

    id: str
    subject: str
    reason: str
    until: date | None = None
    file: str | None = None
    line: int | None = None

    def covers(self, finding: Finding, today: date) -> bool:
        """Whether the finding is accepted today."""
        if self.id != finding.id or (self.until is not None and self.until < today):
            return False
        pattern = re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", fold(self.subject))), re.DOTALL)
        return any(pattern.fullmatch(fold(subject)) for subject in _subjects(finding))


def accept(findings: Iterable[Finding], acceptances: Sequence[Acceptance], today: date) -> tuple[Finding, ...]:
    """The same findings; `accepted` has what the first acceptance that covers one says."""
    return tuple(_accepted(finding, acceptances, today) for finding in findings)


def _accepted(finding: Finding, acceptances: Sequence[Acceptance], today: date) -> Finding:
    for acceptance in acceptances:
        if acceptance.covers(finding, today):
            return replace(finding, accepted=_told(acceptance))
    return finding


def _told(acceptance: Acceptance) -> Accepted:
    until = None if acceptance.until is None else acceptance.until.isoformat()
    return Accepted(reason=acceptance.reason, until=until, file=acceptance.file, line=acceptance.line)


def _subjects(finding: Finding) -> Iterator[str]:
    servers = (*((finding.server,) if finding.server is not None else ()), *finding.servers)
    yield from servers
    if finding.site is not None:
        yield finding.site
        yield from (f"{server}/{finding.site}" for server in servers)
    if finding.spn is not None:
        yield finding.spn.text
    if finding.account is not None:
        yield str(finding.account)
