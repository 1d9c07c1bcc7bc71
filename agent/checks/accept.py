"""Accepted findings: known, not to be repaired for now, and still listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from agent.model import Accepted, Evidence, Finding
from agent.names import fold, printable


class Acceptance(Struct, frozen=True, kw_only=True):
    """One `[[accept]]`: which finding, about what, why it may stay, and the last day that holds (None: for good).

    `subject` is a server, a site, `server/site`, `server/site/path`, an SPN or an account; case does not count, `*`
    stands for any text.
    `file` and `line` are where it is said.
    """

    id: str
    subject: str
    reason: str
    until: date | None = None
    file: str | None = None
    line: int | None = None


NOWHERE = ""
"""The subject of what is about no place: a `*` alone means it."""


def accept(findings: Iterable[Finding], acceptances: Sequence[Acceptance], today: date) -> tuple[Finding, ...]:
    """The same findings; `accepted` has what the first acceptance that covers one says."""
    by_id: dict[str, list[Acceptance]] = {}
    for acceptance in acceptances:
        if acceptance.until is None or acceptance.until >= today:
            by_id.setdefault(acceptance.id, []).append(acceptance)
    known = {kind: _Acceptances(every) for kind, every in by_id.items()}
    return tuple(_accepted(finding, known.get(finding.id)) for finding in findings)


def leftover(
    findings: Iterable[Finding], acceptances: Iterable[Acceptance], today: date, *, is_whole: bool
) -> Iterator[Finding]:
    """The acceptances that are over, or match none of the findings, of which the run saw all or not (`is_whole`)."""
    subjects: dict[str, set[str]] = {}
    for found in findings:
        subjects.setdefault(found.id, set()).update(map(fold, _subjects(found)), {NOWHERE})
    for acceptance in acceptances:
        known = subjects.get(acceptance.id, set())
        matches = _matches(fold(acceptance.subject), known)
        if acceptance.until is not None and acceptance.until < today:
            counts = "what it accepted counts again" if matches else "it matches nothing either"
            yield _left(acceptance, f"is over since {acceptance.until.isoformat()}: {counts}", _OVER)
        elif not matches:
            more = "" if is_whole else ", but not everything was read and checked"
            yield _left(acceptance, f"matches nothing that was found{more}", _UNMATCHED if is_whole else _LOOK_AGAIN)


def _matches(subject: str, known: set[str]) -> bool:
    return any(map(Wildcard(subject).matches, known)) if "*" in subject else subject in known


_OVER = "Repair it, give the acceptance a later `until`, or take it out of the file."
_UNMATCHED = "Take it out of the file, or correct its `id` and `subject`."
_LOOK_AGAIN = "Look again when everything is read and the directory is asked."


def _left(acceptance: Acceptance, told: str, fix: str) -> Finding:
    message = f"the acceptance of {acceptance.id} for {printable(acceptance.subject)} {told}"
    evidence = (Evidence(acceptance.file, acceptance.line, f"reason: {acceptance.reason}"),)
    return Finding(id="accept-unmatched", severity="info", server=None, message=message, evidence=evidence, fix=(fix,))


def _accepted(finding: Finding, known: _Acceptances | None) -> Finding:
    found = None if known is None else known.first(set(map(fold, _subjects(finding))) or {NOWHERE})
    return finding if found is None else replace(finding, accepted=_told(found))


class _Acceptances:
    """Those of one finding id: without a `*` they are looked up, the others are tried one by one."""

    def __init__(self, every: Sequence[Acceptance]) -> None:
        self._every = every
        self._plain: dict[str, int] = {}
        self._patterns: list[tuple[int, Wildcard]] = []
        for number, acceptance in enumerate(every):
            if "*" in acceptance.subject:
                self._patterns.append((number, Wildcard(fold(acceptance.subject))))
            else:
                self._plain.setdefault(fold(acceptance.subject), number)

    def first(self, subjects: Collection[str]) -> Acceptance | None:
        numbers = [self._plain[subject] for subject in subjects if subject in self._plain]
        first = min(numbers, default=len(self._every))
        matching = (at for at, pattern in self._patterns if at < first and any(map(pattern.matches, subjects)))
        first = next(matching, first)
        return self._every[first] if first < len(self._every) else None


class Wildcard:
    """A text with `*` for any text, matched in time that grows with the lengths: no pattern of a user is a program."""

    def __init__(self, text: str) -> None:
        self._start, *middle = text.split("*")
        self._end = middle.pop() if middle else None
        self._middle = [part for part in middle if part]

    def matches(self, text: str) -> bool:
        """The parts one after the other, each as early as can be: where any way fits, this one does."""
        if self._end is None:
            return text == self._start
        at, end = len(self._start), len(text) - len(self._end)
        if at > end or not (text.startswith(self._start) and text.endswith(self._end)):
            return False
        for part in self._middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def _told(acceptance: Acceptance) -> Accepted:
    until = None if acceptance.until is None else acceptance.until.isoformat()
    return Accepted(reason=acceptance.reason, until=until, file=acceptance.file, line=acceptance.line)


def subject_of(finding: Finding) -> str:
    """The closest subject that means a finding: its SPN, else where it is; `*` for one that is about no place."""
    if finding.spn is not None:
        return finding.spn.text
    return next(reversed([*_places(finding)]), None) or (str(finding.account) if finding.account is not None else "*")


def _subjects(finding: Finding) -> Iterator[str]:
    yield from _places(finding)
    if finding.spn is not None:
        yield finding.spn.text
    if finding.account is not None:
        yield str(finding.account)


def _places(finding: Finding) -> Iterator[str]:
    """The widest first; of several servers the first one last."""
    servers = finding.all_servers[::-1]
    yield from servers
    if finding.site is not None:
        yield finding.site
        yield from (f"{server}/{finding.site}" for server in servers)
        if finding.path is not None:
            yield from (f"{server}/{finding.site}/{finding.path.lstrip('/')}" for server in servers)
