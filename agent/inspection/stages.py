"""The stages put together: targets -> effective -> names -> requirements -> directory -> findings -> Report."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from agent.change.want import demand_agreement, demand_had
from agent.checks.case import Case, Judged
from agent.errors import UsageError
from agent.iis.snapshot import Snapshot
from agent.inspection.barrier import judged_apart
from agent.inspection.chosen import Chosen, chosen, demand_known
from agent.inspection.reporting import report_of
from agent.inspection.servers import Read, names_question, read_each, server_views, told_apart
from agent.inspection.sources import Sources
from agent.model import (
    Report,
)
from agent.names import HostName, fold
from agent.spn.clients import CLIENTS, DEFAULT_CLIENTS, Client
from agent.spn.directory import Directory, Question
from agent.spn.domains import Domains, domains_of
from agent.spn.forests import by_forest
from agent.spn.hidden import judged as hidden_names
from agent.spn.hidden import let_fail, unclaimed
from agent.spn.nameservice import NameService
from agent.spn.question import Typed, asked_names, question
from agent.spn.require import ServerView, require
from agent.spn.verdict import judge


def clients_named(names: Sequence[str]) -> tuple[Client, ...]:
    """The client kinds of these names, the default ones for none. Raises UsageError for an unknown name."""
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise UsageError(f"unknown client kind {unknown[0]!r}: known are {', '.join(CLIENTS)}")
    return tuple(CLIENTS[name] for name in dict.fromkeys(names)) or DEFAULT_CLIENTS


class Analysis(NamedTuple):
    """The finished cases, one for each forest, and the report of what was asked for; `explain` looks at both."""

    cases: tuple[Case, ...]
    report: Report
    chosen: Chosen


@contextmanager
def patient_collector() -> Iterator[None]:
    """Let the collector of cyclic garbage wait until the run is over.

    A run makes millions of small objects that stay, and no cycle: looking through all of them again and again takes a
    third of the time for one server, and more with every server that comes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@patient_collector()
def analyse(snapshots: Iterable[Snapshot], sources: Sources) -> Analysis:
    """Judge a run of servers. Snapshots may be a stream: only what is needed of each is kept.

    Raises UsageError where `sources.only` names what is not there.
    """
    started = datetime.now(UTC)
    reads = list(told_apart(read_each(snapshots)))
    demand_known(sources.only, reads)
    return judged_apart(reads, sources, lambda reads, sources: _judged(reads, sources, started))


def _judged(reads: Sequence[Read], sources: Sources, started: datetime) -> Analysis:
    demand_agreement(sources.wants)
    named = (*(name.host for name in sources.declared), *sources.seen)
    service = sources.names(*names_question(reads, named, sources.typed))
    views_for = partial(server_views, reads, sources.declared, sources.seen, service)
    views, domains, directory = _told(views_for, reads, sources)
    now = sources.now or started
    forests = by_forest(directory) if directory is not None else ()
    cases = tuple(_case(group, domains, own, service, sources, now) for group, own in _grouped(views, forests))
    applications = tuple(chain.from_iterable(case.applications for case in cases))
    required = (judged.requirement for case in cases for judged in case.judged)
    taken = chosen(sources.only, reads, applications, required)
    return Analysis(cases, report_of(cases, forests, reads, sources, started, taken), taken)


def _told(
    views_for: Callable[[Domains, Directory | None], Sequence[ServerView]], reads: Sequence[Read], sources: Sources
) -> tuple[Sequence[ServerView], Domains, Directory | None]:
    """The servers as the directory shows them, and the directory. The question, which is large, does not outlive it."""
    asked = None if sources.directory is None else _question(views_for(Domains(), None), sources)
    directory = None if sources.directory is None or asked is None else sources.directory(asked)
    domains = domains_of(directory, (read.machine for read in reads))
    views = views_for(domains, directory)
    demand_had(sources.wants, views, [read.label for read in reads if read.configuration is None])
    if sources.directory is not None and asked is not None and directory is not None:
        names = asked_names(views, sources.clients, _typed(sources))
        if not all(name in asked.spns for name in names):  # of the names that only the directory knows
            directory = sources.directory(_question(views, sources))
    return views, domains, directory


def _question(views: Sequence[ServerView], sources: Sources) -> Question:
    """What the directory is asked: of the servers, of names that somebody types, of what is wanted."""
    accounts = (want.account for want in sources.wants if want.account is not None)
    return question(views, sources.clients, _typed(sources), tuple(accounts))


def _typed(sources: Sources) -> Sequence[Typed]:
    return (*sources.typed, *(Typed(want.host, 80) for want in sources.wants))


def _grouped(
    views: Sequence[ServerView], forests: Sequence[Directory]
) -> Iterator[tuple[Sequence[ServerView], Directory | None]]:
    """The servers by forest, each with the directory of its own: a KDC answers for its forest alone.

    Where several forests were read, a server of a domain that none of them names is answered by nobody.
    """
    if len(forests) < 2 or not views:
        yield views, forests[0] if forests else None
        return
    left = list(views)
    for own in forests:
        names = {fold(domain.dns_name) for domain in own.domains}
        group = [view for view in left if fold(view.machine.domain or "") in names]
        left = [view for view in left if view not in group]
        if group:
            yield group, own
    if left:
        yield left, None


def _case(
    views: Sequence[ServerView],
    domains: Domains,
    directory: Directory | None,
    service: NameService | None,
    sources: Sources,
    now: datetime,
) -> Case:
    required = require(views, sources.clients, domains, directory)
    hidden = unclaimed(views, required, directory)
    hidden = hidden_names(hidden, views, _asked_too(service, [name.host for name in hidden], sources))
    required = let_fail(required, hidden, views, directory)
    return Case(
        servers=views,
        applications=required.applications,
        judged=tuple([Judged(wanted, judge(wanted, directory, service)) for wanted in required.wanted]),
        domains=domains,
        directory=directory,
        service=service,
        farm=sources.declared,
        clients=sources.clients,
        hidden=hidden,
        now=now,
    )


def _asked_too(service: NameService | None, hosts: Sequence[HostName], sources: Sources) -> NameService | None:
    """The name service, asked about names that only the directory told of; a zone file has answered already."""
    unasked = [host for host in hosts if service is not None and service.resolve(host) is None]
    if service is None or service.names_by_address or not unasked:
        return service
    more = sources.names(unasked, ())
    return service if more is None else replace(service, answers={**service.answers, **more.answers})


def demand_domains(netbios: Mapping[str, str], analysis: Analysis) -> None:
    """Refuse NetBIOS names, by folded DNS domain name, of domains that nobody has or that are called otherwise.

    "" stands for every domain that says no name itself. Raises UsageError.
    """
    called: dict[str, dict[str, str]] = {}
    for domain, label in chain.from_iterable(map(_domains, analysis.cases)):
        called.setdefault(fold(domain), {}).update({fold(label): label} if label else {})
    for domain, name in netbios.items():
        others = [other for key, other in called.get(domain, {}).items() if key != fold(name)]
        if domain and others:
            raise UsageError(f"the NetBIOS name of {domain} is {others[0]}, not {name}")
        is_used = domain in called if domain else any(fold(name) in names for names in called.values())
        if not is_used and _all_domains_read(analysis):
            given = f"of {domain}, a domain that nobody has" if domain else "that no server takes"
            there = ", ".join(filter(None, called)) or "none"
            raise UsageError(f"{name} is given as the NetBIOS name {given}; domains: {there}")


def _all_domains_read(analysis: Analysis) -> bool:
    """Whether no server and no directory is left that may be of another domain."""
    is_whole = all(case.directory is None or case.directory.is_complete for case in analysis.cases)
    return is_whole and all(server.status != "failed" for server in analysis.report.servers)


def _domains(case: Case) -> Iterator[tuple[str, str | None]]:
    """The domains of servers and directory, "" where a server does not say which, with their NetBIOS names."""
    for server in case.servers:
        if server.machine.domain or server.machine.netbios_domain:
            yield server.machine.domain or "", server.machine.netbios_domain
    for found in case.directory.domains if case.directory is not None else ():
        yield found.dns_name, found.netbios
