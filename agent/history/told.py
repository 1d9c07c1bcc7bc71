"""Which findings came, went, or are told otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.history.change import Change, Kind, Value
from agent.history.sides import Side
from agent.model import SEVERITIES, Finding, Severity
from agent.names import Spn, fold

_NUMBER = re.compile(r"\(?(?:[^\s:]*:)?[0-9][0-9:.,TZ+-]*[).,;:]*")
"""A count, a day, a time, or a line of a file."""


class _Subject(NamedTuple):
    """What a finding is about, by which it is known again: an SPN, else a place and the files that show it."""

    id: str
    spn: Spn | None
    account: tuple[str, str] | None
    server: str
    site: str
    path: str
    files: frozenset[str]


def changes(old: Side, new: Side) -> Iterator[Change]:
    """Findings about the same subject are the same; where there are several of one, those that say the same."""
    before, after = _by_subject(old), _by_subject(new)
    for subject in dict.fromkeys((*before, *after)):
        matched = _matched(before.get(subject, ()), after.get(subject, ()))
        for one, two in matched.pairs:
            yield from _told_otherwise(old, new, one, two)
        for finding in matched.come:
            yield _change("appeared", finding, finding.severity, after=finding.id)
        for finding in matched.gone:
            if _is_gone(old, new, finding):
                yield _change("vanished", finding, "info", before=finding.id)


def _is_gone(old: Side, new: Side, finding: Finding) -> bool:
    """Whether the new side would have it still: it looked at its servers (at all, where it names none) and its SPN."""
    if finding.spn is not None and new.is_open(finding.spn):
        return False
    if not finding.all_servers and not old.servers.keys() <= new.servers.keys() - new.unread:
        return False
    return new.denies(map(old.key, finding.all_servers))


def _by_subject(side: Side) -> Mapping[_Subject, list[Finding]]:
    found: dict[_Subject, list[Finding]] = {}
    for finding in side.report.findings:
        found.setdefault(_subject(side, finding), []).append(finding)
    return found


def _subject(side: Side, finding: Finding) -> _Subject:
    account = side.account(finding.account)
    if finding.spn is not None:
        return _Subject(finding.id, finding.spn, account, "", "", "", frozenset())
    only = finding.all_servers[0] if len(finding.all_servers) == 1 and finding.server is not None else None
    return _Subject(
        finding.id,
        None,
        account,
        "" if only is None else side.key(only),
        fold(finding.site or ""),
        fold(finding.path or ""),
        frozenset(_file(side, only, line.file) for line in finding.evidence if line.file is not None),
    )


def _file(side: Side, server: str | None, file: str) -> str:
    """A file as both sides call it: within its server's snapshot, wherever that lies."""
    sources = [side.servers[side.key(server)].source] if server is not None and side.key(server) in side.servers else []
    sources = sources or [each.source for each in side.report.servers]
    source = max((each for each in sources if file.startswith(each)), key=len, default="")
    return fold(file[len(source) :].replace("\\", "/").strip("/"))


class _Matched(NamedTuple):
    pairs: list[tuple[Finding, Finding]]
    gone: list[Finding]
    come: list[Finding]


def _matched(before: Sequence[Finding], after: Sequence[Finding]) -> _Matched:
    """Those that say the same are one, then one is as good as another."""
    saying: dict[tuple[str, ...], list[Finding]] = {}
    for two in after:
        saying.setdefault(_words(two), []).append(two)
    pairs, gone = [], []
    for one in before:
        same = saying.get(_words(one))
        if same:
            pairs.append((one, same.pop()))
        else:
            gone.append(one)
    come = [two for same in saying.values() for two in same]
    both = min(len(gone), len(come))
    return _Matched([*pairs, *zip(gone, come, strict=False)], gone[both:], come[both:])


def _words(finding: Finding) -> tuple[str, ...]:
    """What it says, whatever the order, and without numbers: how old a password is changes by the day."""
    return tuple(sorted(word for word in finding.message.split() if not _NUMBER.fullmatch(word)))


def _told_otherwise(old: Side, new: Side, one: Finding, two: Finding) -> Iterator[Change]:
    found = next(_otherwise(old, new, one, two), None)
    if found is not None:
        before, after, is_worse = found
        yield _change("changed", two, two.severity if is_worse else "info", before=before, after=after)


def _otherwise(old: Side, new: Side, one: Finding, two: Finding) -> Iterator[tuple[Value, Value, bool]]:
    """How it was told, how it is told now, and whether that is worse."""
    if one.severity != two.severity:
        yield one.severity, two.severity, SEVERITIES.index(two.severity) < SEVERITIES.index(one.severity)
    if (one.accepted is None) != (two.accepted is None):
        words = ("accepted", "open") if two.accepted is None else ("open", "accepted")
        yield *words, two.accepted is None
    before, after = set(map(old.key, one.all_servers)), set(map(new.key, two.all_servers))
    if after - before or any(new.denies([key]) for key in before - after):
        yield tuple(sorted(one.all_servers)), tuple(sorted(two.all_servers)), bool(after - before)
    if _says_another_thing(old, new, one, two):
        yield one.message, two.message, True


def _says_another_thing(old: Side, new: Side, one: Finding, two: Finding) -> bool:
    """A finding that is known by its place only may be about another value there; other releases have other words."""
    same_release = old.report.tool.version == new.report.tool.version
    is_placed_only = one.spn is None and one.account is None
    return same_release and is_placed_only and not new.silent and not old.silent and _words(one) != _words(two)


def _change(kind: Kind, finding: Finding, severity: Severity, *, before: Value = None, after: Value = None) -> Change:
    several = finding.all_servers
    return Change(
        kind=kind,
        what="finding",
        server=finding.server or (several[0] if len(several) == 1 else None),
        site=finding.site,
        path=finding.path,
        spn=finding.spn,
        name=finding.id,
        before=before,
        after=after,
        severity=severity,
        because=finding.message,
        accepted=finding.accepted,
    )
