"""The stages put together: targets -> effective -> names -> requirements -> directory -> findings -> Report."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from agent import __version__
from agent.change.plan import REQUIREMENT_FINDINGS, joined, plan
from agent.checks.accept import Acceptance, accept
from agent.checks.case import Case, Judged, finding
from agent.checks.causes import causes
from agent.checks.every import check
from agent.checks.farm import account_uses, farm
from agent.checks.remedies import advice
from agent.errors import MalformedError, UsageError
from agent.iis.effective import Configuration, effective
from agent.iis.parse import parse
from agent.iis.redirection import configuration_file
from agent.iis.schema import APPLICATION_POOLS, SITES
from agent.iis.snapshot import Machine, Snapshot
from agent.model import (
    SCHEMA,
    AccountUse,
    Evidence,
    Finding,
    Plan,
    Problem,
    Report,
    Requirement,
    Server,
    ServerCounts,
    Severity,
    SourceKind,
    SourceRead,
    SpnCounts,
    Status,
    Summary,
    Tool,
)
from agent.names import AccountName, Address, Guess, HostName, fold, host_name
from agent.spn.clients import CLIENTS, DEFAULT_CLIENTS, Client
from agent.spn.directory import Account, AskDirectory, Directory
from agent.spn.domains import Domains, domains_of
from agent.spn.forests import by_forest
from agent.spn.identity import computer
from agent.spn.nameservice import AskNames, NameService
from agent.spn.reach import FarmName, Inspected, names_of
from agent.spn.require import ServerView, Typed, question, require, server_view
from agent.spn.verdict import judge


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the analysis may look besides the servers' files; every default means "nobody looked".

    `directory` is asked with everything the run needs to know, and again where it has names of a server that nothing
    else says; `names` is given the host names and addresses that occur. `typed` are names that somebody asks about
    besides those of the servers. `now` is the time against which passwords and logons are old. `read` are files of
    options, for the report to name.
    """

    directory: AskDirectory = field(default=lambda _question: None)
    names: AskNames = field(default=lambda _hosts, _addresses: None)
    farm: Sequence[FarmName] = ()
    clients: Sequence[Client] = DEFAULT_CLIENTS
    accepted: Sequence[Acceptance] = ()
    typed: Sequence[Typed] = ()
    now: datetime | None = None
    read: Sequence[SourceRead] = ()


def clients_named(names: Sequence[str]) -> tuple[Client, ...]:
    """The client kinds of these names, the default ones for none. Raises UsageError for an unknown name."""
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise UsageError(f"unknown client kind {unknown[0]!r}: known are {', '.join(CLIENTS)}")
    return tuple(CLIENTS[name] for name in dict.fromkeys(names)) or DEFAULT_CLIENTS


class Read(NamedTuple):
    """One server, read: `configuration` None where it could not be."""

    label: str
    source: str
    machine: Machine
    configuration: Configuration | None
    problems: tuple[Problem, ...]
    written: str | None = None


class Analysis(NamedTuple):
    """The finished cases, one for each forest, and the report of them all; `explain` looks at both."""

    cases: tuple[Case, ...]
    report: Report


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
    """Judge a run of servers. Snapshots may be a stream: only what is needed of each is kept."""
    started = datetime.now(UTC)
    reads = list(_unique(_read(snapshot) for snapshot in snapshots))
    service = sources.names(*_names_question(reads, sources.farm, sources.typed))
    views = _views(reads, sources.farm, service, Domains(), None)
    asked = question(views, sources.clients, sources.typed)
    directory = sources.directory(asked)
    domains = domains_of(directory, (read.machine for read in reads))
    views = _views(reads, sources.farm, service, domains, directory)
    named = question(views, sources.clients, sources.typed)
    if directory is not None and not named.spns <= asked.spns:  # of the names that only the directory knows
        directory = sources.directory(named)
    now = sources.now or started
    forests = by_forest(directory) if directory is not None else ()
    cases = tuple(_case(group, domains, own, service, sources, now) for group, own in _grouped(views, forests))
    return Analysis(cases, _report(cases, forests, reads, sources, started))


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
    return Case(
        servers=views,
        applications=required.applications,
        judged=tuple([Judged(wanted, judge(wanted, directory, service)) for wanted in required.wanted]),
        domains=domains,
        directory=directory,
        service=service,
        farm=sources.farm,
        clients=sources.clients,
        now=now,
    )


# -- servers -------------------------------------------------------------------------------------------------------


def _read(snapshot: Snapshot) -> Read:
    force = configuration_file(snapshot)
    problems = [*snapshot.problems, *([force.problem] if force.problem is not None else [])]
    configuration = None
    if force.file is not None:
        try:
            configuration = _configuration(snapshot, force.file.data, force.file.name, force.file.error)
        except MalformedError as error:
            problems.append(Problem(id="config-malformed", message=error.reason, file=error.file, line=error.line))
    if configuration is not None:
        configuration = configuration._replace(shared=force.shared_key)
        if not configuration.content_looked:
            text = "web.config files were not looked at: what they set (where the section is unlocked) is not known"
            problems.append(Problem(id="content-not-collected", message=text))
    return Read(snapshot.label, snapshot.source, snapshot.machine, configuration, tuple(problems), snapshot.written)


def _configuration(snapshot: Snapshot, data: bytes, name: str, error: str | None) -> Configuration:
    if error is not None:
        raise MalformedError(name, None, f"could not be opened: {error}")
    document = parse(data, name)
    if document.section(SITES) is None and document.section(APPLICATION_POOLS) is None:
        reason = "it has no <system.applicationHost> with sites: this is not an applicationHost.config"
        raise MalformedError(name, 1, reason)
    return effective(document, snapshot)


def _unique(reads: Iterable[Read]) -> Iterator[Read]:
    """Two machines of one name in two domains are told apart by their full names; two snapshots of one are not."""
    labels: dict[str, str] = {}
    machines: dict[tuple[str, str], str] = {}
    for read in reads:
        if any(problem.id == "server-unreachable" for problem in read.problems):
            yield read  # it is called as it was asked; which machine would have answered is not known
            continue
        label = read.label
        dns_name = str(read.machine.dns_name or "")
        other = machines.setdefault((fold(label), fold(dns_name)), read.source)
        if fold(label) in labels and other is read.source and dns_name:
            label = dns_name
        if labels.setdefault(fold(label), read.source) is not read.source:
            text = f"{labels[fold(label)]} is a server of the same name ({label}): this one is not analysed"
            problem = Problem(id="config-invalid", message=text, file=read.source)
            yield read._replace(label=f"{label} ({read.source})", configuration=None, problems=(problem,))
        else:
            yield read._replace(label=label)


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


def _names_question(
    reads: Iterable[Read], names: Sequence[FarmName], typed: Iterable[Typed]
) -> tuple[list[HostName], list[Address]]:
    """The host names and addresses that occur: live DNS is asked about these, never to list a zone."""
    hosts: dict[HostName, None] = dict.fromkeys([*(name.host for name in names), *(one.host for one in typed)])
    addresses: dict[Address, None] = {}
    for read in reads:
        own = (read.machine.short_name, read.machine.full_name)
        hosts.update((host, None) for host in own if host is not None)
        addresses.update(dict.fromkeys(read.machine.addresses))
        for site in read.configuration.sites if read.configuration is not None else ():
            for binding in site.bindings:
                if binding.serves and binding.host is not None and not binding.host.is_wildcard:
                    hosts[binding.host] = None
    return [host for host in hosts if not host.is_address], list(addresses)


def _views(
    reads: Iterable[Read],
    farm_names: Sequence[FarmName],
    service: NameService | None,
    domains: Domains,
    directory: Directory | None,
) -> list[ServerView]:
    """The servers with the names that lead to them; without a directory, as far as they themselves can tell."""
    by_server: dict[str, list[int]] = {}
    for position, farm_name in enumerate(farm_names):
        for server in farm_name.servers:
            by_server.setdefault(fold(server), []).append(position)
    known_as = [_known_as(read, domains, directory) for read in reads if read.configuration is not None]
    inspected = _inspected(known_as)
    views = []
    for read, machine, account, additional in known_as:
        if read.configuration is not None:
            positions = sorted({position for key in machine.said_names for position in by_server.get(key, ())})
            declared = [farm_names[position] for position in positions]
            names = names_of(machine, declared, service, inspected, additional)
            views.append(server_view(read.label, machine, read.configuration, names, account))
    return views


class _Known(NamedTuple):
    """A server with the names that the directory has for its computer."""

    read: Read
    machine: Machine
    account: AccountName | None
    additional: tuple[str, ...]


def _known_as(read: Read, domains: Domains, directory: Directory | None) -> _Known:
    account = computer(read.machine, domains)
    known = directory.account(account) if directory is not None and account is not None else None
    additional = known.additional_dns_host_names if known is not None else ()
    return _Known(read, _named_by(known, read.machine), account, additional)


def _inspected(servers: Iterable[_Known]) -> Inspected:
    """Where names may lead that lead to one of these servers."""
    addresses: set[Address] = set()
    computers: dict[HostName, tuple[Address, ...]] = {}
    for read, machine, _account, additional in servers:
        addresses.update(machine.addresses)
        for site in read.configuration.sites if read.configuration is not None else ():
            addresses.update(binding.address for binding in site.bindings if binding.serves and binding.address)
        own = (host for host in (machine.full_name, *map(host_name, additional)) if host is not None)
        computers.update((host, machine.addresses) for host in own)
    return Inspected(frozenset(addresses), computers)


def _named_by(known: Account | None, machine: Machine) -> Machine:
    """The machine with what its account says and it does not: its dNSHostName (rule R2.6), that it is a controller."""
    if known is None:
        return machine
    is_said = isinstance(machine.dns_name, str) or not known.dns_host_name
    return replace(
        machine,
        dns_name=machine.dns_name if is_said else known.dns_host_name,
        domain_controller=machine.domain_controller or known.is_controller,
    )


# -- the report ----------------------------------------------------------------------------------------------------

_BREAKS = frozenset({"config-malformed", "content-unread"})


class _Concluded(NamedTuple):
    """What one case comes to."""

    requirements: tuple[Requirement, ...]
    findings: tuple[Finding, ...]
    plan: Plan
    accounts: tuple[AccountUse, ...]


def _concluded(case: Case, before: Iterable[Finding], after: Iterable[Finding], sources: Sources) -> _Concluded:
    """Findings, then the plan that mends them; `before` and `after` are those that the case knows nothing of."""
    today = case.now.date()
    findings = accept(_ordered((*before, *check(case), *farm(case), *after)), sources.accepted, today)
    planned = plan(case, findings)
    findings = accept(_ordered(planned.findings), sources.accepted, today)
    told = {(found.spn, found.account): found for found in reversed(findings) if found.id in REQUIREMENT_FINDINGS}
    requirements = tuple(
        _advised(case, judged, told.get((judged.requirement.spn, judged.requirement.account))) for judged in case.judged
    )
    return _Concluded(requirements, findings, planned.plan, tuple(account_uses(case)))


def _report(
    cases: Sequence[Case],
    forests: Sequence[Directory],
    reads: Sequence[Read],
    sources: Sources,
    started: datetime,
) -> Report:
    servers = tuple(_server(read, cases) for read in reads)
    first, last = chain.from_iterable(map(_problem_findings, reads)), _source_findings(forests, cases[0].service)
    concluded = [_concluded(case, first, last, sources) for case in cases]  # each is told once, with the first case
    today = (sources.now or started).date()
    abroad = accept(tuple(_abroad(cases, forests)), sources.accepted, today)
    service = cases[0].service
    requirements = tuple(chain.from_iterable(one.requirements for one in concluded))
    findings = _ordered((*chain.from_iterable(one.findings for one in concluded), *abroad))
    applications = tuple(chain.from_iterable(case.applications for case in cases))
    looked = all(one.is_complete for one in forests) and (service is None or not service.problems)
    return Report(
        schema=SCHEMA,
        tool=Tool("iis-spn", __version__),
        started=_time(started),
        finished=_time(datetime.now(UTC)),
        complete=looked and bool(servers) and all(server.status == "ok" for server in servers),
        servers=servers,
        applications=applications,
        requirements=requirements,
        findings=findings,
        plan=joined(one.plan for one in concluded),
        accounts=tuple(chain.from_iterable(one.accounts for one in concluded)),
        summary=Summary(
            servers=ServerCounts.of(servers),
            spns=SpnCounts.of(requirements, applications),
            read=(
                *map(_configuration_read, reads),
                *_sources_read("directory", forests, NOT_ASKED, started),
                *_sources_read("dns", [] if service is None else [service], NO_NAMES_ASKED, started),
                *sources.read,
            ),
        ),
        causes=causes(findings),
    )


def _abroad(cases: Sequence[Case], forests: Sequence[Directory]) -> Iterator[Finding]:
    """Holders of a full name in another forest: no duplicate, for a KDC answers for its own forest (rule R15.3).

    A short name is not routed to another forest.
    """
    for case in cases:
        for judged in case.judged:
            name, account = judged.requirement.spn, judged.requirement.account
            holders = [holder.name for one in forests if one is not case.directory for holder in one.seen(name)]
            if holders and not name.host.is_short and judged.requirement.need != "optional":
                yield finding(
                    "spn-duplicate-elsewhere",
                    f"{name} is also on {', '.join(map(str, holders))} of another forest: each KDC answers for its own",
                    at=judged.requirement.applications[0],
                    spn=name,
                    account=account,
                    holders=holders,
                    fix=("Nothing must be done, unless users of the other forest are meant to reach this server.",),
                )


NOT_ASKED = "who holds the SPNs was not looked up: give the directory with --ad"
NO_NAMES_ASKED = "DNS was not asked, no alias was followed: one among these names would change the answer (--dns)"


def _configuration_read(read: Read) -> SourceRead:
    collected = read.machine.collected_at
    date = read.written if collected is None else _time(collected.astimezone(UTC))
    notes = [problem.message for problem in read.problems]
    return SourceRead(kind="config", source=read.source, date=date, covers=(read.label,), note=next(iter(notes), None))


def _sources_read(
    kind: SourceKind, asked: Sequence[Directory | NameService], note: str, started: datetime
) -> Iterator[SourceRead]:
    """What was read or asked; a server was asked during the run."""
    if not asked:
        yield SourceRead(kind=kind, source=None, asked=False, note=note)
    for read in dict.fromkeys(chain.from_iterable(one.read for one in asked)):
        yield read if read.date is not None else replace(read, date=_time(started))


def _advised(case: Case, judged: Judged, told: Finding | None) -> Requirement:
    """The requirement with what must be done, itself where that is nothing; `told`: the finding that speaks of it."""
    text = told.fix if told is not None else advice(case, judged)
    return replace(judged.requirement, advice=text) if text else judged.requirement


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _server(read: Read, cases: Sequence[Case]) -> Server:
    problems = read.problems
    view = next((case.by_label[read.label] for case in cases if read.label in case.by_label), None)
    machine = view.machine if view is not None else read.machine
    status: Status = "ok"
    if read.configuration is None:
        status = "failed"
    else:
        broken = tuple(_content_problems(read.configuration))
        problems += broken
        if broken or any(problem.id in _BREAKS for problem in read.problems):
            status = "partial"
    return Server(
        name=read.label,
        dns_name=None if machine.dns_name is None else str(machine.dns_name),
        source=read.source,
        status=status,
        problems=problems,
        guessed=_guessed(machine, cases[0].domains),
    )


def _guessed(machine: Machine, domains: Domains) -> tuple[str, ...]:
    """Which names of the server nobody said, as the report has them."""
    is_label_guessed = machine.joined and machine.domain and isinstance(domains.label(machine.domain), Guess)
    return (*machine.guessed, *(("netbios_domain",) if is_label_guessed else ()))


def _content_problems(configuration: Configuration) -> Iterator[Problem]:
    seen: set[tuple[str, int | None]] = set()
    for notice in configuration.notices:
        if notice.id in _BREAKS:
            yield Problem(id=notice.id, message=notice.message, file=notice.file, line=notice.line)
    for site in configuration.sites:
        for application in site.applications:
            for auth in (application.auth, *(auth for _, auth in application.places)):
                fault = auth.fault
                if fault is not None and fault.id in _BREAKS and (fault.file, fault.line) not in seen:
                    seen.add((fault.file, fault.line))
                    yield Problem(id=fault.id, message=fault.message, file=fault.file, line=fault.line)


def _source_findings(forests: Sequence[Directory], service: NameService | None) -> Iterator[Finding]:
    """What is wrong with the directory and with DNS."""
    for source in (*forests, service):
        for problem in source.problems if source is not None else ():
            lines = (Evidence(problem.file, problem.line, ""),) if problem.file else ()
            yield finding(problem.id, problem.message, server=None, evidence=lines)


def _problem_findings(read: Read) -> Iterator[Finding]:
    for problem in read.problems:
        if problem.id == "content-not-collected":
            continue
        severity: Severity | None = None
        if problem.id == "shared-configuration":
            severity = "error" if read.configuration is None else "info"
        lines = (Evidence(problem.file, problem.line, ""),) if problem.file else ()
        yield finding(
            problem.id, problem.message, severity=severity, server=read.label, evidence=lines, fix=problem.fix
        )


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first; within a severity as found. One that says the same of the same place is kept once."""
    unique: dict[tuple[object, ...], Finding] = {}
    for found in findings:
        key = (found.id, found.server, found.servers, found.site, found.path, found.spn, found.account, found.message)
        unique.setdefault(key, found)
    return tuple(sorted(unique.values(), key=lambda found: found.rank))
