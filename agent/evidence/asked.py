"""What the directory and the name service must be asked to judge evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.evidence.captured import Captured
from agent.evidence.tried import tried
from agent.names import HostName, Spn, fold, host_fault, host_name, http_spn, spn
from agent.spn.directory import Question


def question(evidence: Iterable[Captured]) -> Question:
    """Who holds the SPNs that it speaks of, and the names that people typed; and the accounts that tried to decrypt."""
    pieces = list(evidence)
    names = frozenset(each for one in pieces for each in _spns(one))
    return Question(spns=names, account_names=frozenset(each for one in pieces for each in _accounts(one)))


def hosts(evidence: Iterable[Captured]) -> tuple[HostName, ...]:
    """The names that it speaks of: those in SPNs, and those that people typed."""
    found = (each for one in evidence for each in _hosts(one))
    return tuple(dict.fromkeys(host for host in found if not host.is_address and host_fault(host) is None))


def _spns(one: Captured) -> Iterator[Spn]:
    names = [spn(one.facts.spn)] if one.facts.spn else []
    for name in (*names, *(http_spn(host) for host in _hosts(one))):
        yield from (name, name.with_service("HOST"))


def _hosts(one: Captured) -> Iterator[HostName]:
    if one.facts.spn:
        yield spn(one.facts.spn).host
    if one.kind != "iis-log":  # who scans a server sends thousands
        yield from map(host_name, one.facts.host_names or ())


def _accounts(one: Captured) -> Iterator[str]:
    for name in filter(None, (one.facts.server, one.facts.account)):
        account = tried(name, None).name
        yield from (account, account.removesuffix("$"))
        yield fold(name)
