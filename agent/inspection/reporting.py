"""From finished cases to the report: findings, plan, what was read, and the counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, filterfalse
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from agent import __version__
from agent.change.plan import REQUIREMENT_FINDINGS, Planned, joined, plan
from agent.change.want import Want
from agent.checks.accept import accept, leftover
from agent.checks.case import Case, Judged, finding
from agent.checks.causes import causes
from agent.checks.commands import ldifde_export, setspn_questions
from agent.checks.every import check
from agent.checks.farm import account_uses, farm
from agent.checks.remedies import advice
from agent.iis.effective import Configuration
from agent.iis.snapshot import Machine
from agent.inspection.chosen import Chosen
from agent.inspection.principals import principals
from agent.inspection.servers import Read
from agent.inspection.sources import Sources
from agent.model import (
    SCHEMA,
    AccountUse,
    Application,
    Evidence,
    Finding,
    Goal,
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
from agent.names import Guess, fold
from agent.spn.directory import Directory
from agent.spn.domains import Domains
from agent.spn.nameservice import NameService

T = TypeVar("T")

_BREAKS = frozenset({"config-malformed", "content-unread", "source-unreadable"})


class _Concluded(NamedTuple):
    """What one case comes to, of what was asked for; `others` are the findings about everything else."""

    requirements: tuple[Requirement, ...]
    findings: tuple[Finding, ...]
    plan: Plan
    accounts: tuple[AccountUse, ...]
    others: tuple[Finding, ...]


def _concluded(
    case: Case, before: Iterable[Finding], after: Iterable[Finding], sources: Sources, chosen: Chosen
) -> _Concluded:
    """Findings, then the plan that mends them; `before` and `after` are those that the case knows nothing of."""
    today = case.now.date()
    every = accept(_ordered((*before, *check(case), *farm(case), *after)), sources.accepted, today)
    wants, mine = [want for want in sources.wants if _is_of(case, want)], filter(chosen.concerns, every)
    planned = _wanted(case, mine, wants) if sources.wants else plan(case, mine)
    findings = accept(_ordered(map(chosen.finding, planned.findings)), sources.accepted, today)
    told = {(found.spn, found.account): found for found in reversed(findings) if found.id in REQUIREMENT_FINDINGS}
    requirements = [
        _advised(case, judged, told.get((judged.requirement.spn, judged.requirement.account)) if told else None)
        for judged in case.judged
    ]
    return _Concluded(
        requirements=tuple(_kept(map(chosen.requirement, requirements))),
        findings=findings,
        plan=planned.plan,
        accounts=tuple(_kept(map(chosen.account, account_uses(case)))),
        others=tuple(filterfalse(chosen.concerns, every)),
    )


def _kept(these: Iterable[T | None]) -> Iterator[T]:
    return (each for each in these if each is not None)


def _wanted(case: Case, findings: Iterable[Finding], wants: Sequence[Want]) -> Planned:
    from agent.change.want_plan import wanted_plan

    return wanted_plan(case, findings, wants)


def _is_of(case: Case, want: Want) -> bool:
    """Whether a want is this case's: several forests are judged apart."""
    return any(fold(server) in view.machine.said_names for view in case.servers for server in want.servers)


def _whole(plans: Iterable[Plan], wants: Sequence[Want]) -> Plan:
    """The plans of several forests as one, with what is wanted in the order of its file."""
    whole = joined(plans)
    found = {(goal.host, goal.servers, goal.site): goal for goal in whole.wanted}
    lost = "none of its servers could be read"
    goals = [
        found.get((want.host, want.servers, want.site))
        or Goal(host=want.host, account=None, reached=None, servers=want.servers, site=want.site, because=(lost,))
        for want in wants
    ]
    return replace(whole, wanted=tuple(goals))


def report_of(
    cases: Sequence[Case],
    forests: Sequence[Directory],
    reads: Sequence[Read],
    sources: Sources,
    started: datetime,
    chosen: Chosen,
) -> Report:
    reads = [read for read in reads if read.label in chosen.servers]
    servers = tuple(_server(read, cases) for read in reads)
    first, last = chain.from_iterable(map(_problem_findings, reads)), _source_findings(forests, cases[0].service)
    # each of them is told once, with the first case
    concluded = [_concluded(case, first, last, sources, chosen) for case in cases]
    today = (sources.now or started).date()
    abroad = accept(tuple(filter(chosen.concerns, _abroad(cases, forests))), sources.accepted, today)
    service = cases[0].service
    requirements = tuple(chain.from_iterable(one.requirements for one in concluded))
    findings = _ordered((*chain.from_iterable(one.findings for one in concluded), *abroad))
    every = chain.from_iterable(case.applications for case in cases)
    applications = tuple(each for each in every if chosen.application(each))
    spns = SpnCounts.of(requirements, applications)
    looked = all(one.is_complete for one in forests) and (service is None or not service.problems)
    complete = looked and bool(servers) and all(server.status == "ok" for server in servers)
    is_whole = complete and not spns.unknown
    told = (*findings, *chain.from_iterable(one.others for one in concluded))
    findings = _ordered((*findings, *leftover(told, sources.accepted, today, is_whole=is_whole)))
    return Report(
        schema=SCHEMA,
        tool=Tool("iis-spn", __version__),
        started=_time(started),
        finished=_time(datetime.now(UTC)),
        complete=complete,
        servers=servers,
        applications=applications,
        requirements=requirements,
        findings=findings,
        plan=_whole((one.plan for one in concluded), sources.wants),
        accounts=tuple(chain.from_iterable(one.accounts for one in concluded)),
        summary=Summary(
            servers=ServerCounts.of(servers, _troubled(requirements, applications, findings)),
            spns=spns,
            read=(
                *map(_configuration_read, reads),
                *_sources_read("directory", forests, NOT_ASKED, started),
                *_sources_read("dns", [] if service is None else [service], NO_NAMES_ASKED, started),
                *_options_read(cases, sources),
            ),
            clients=tuple(client.name for client in sources.clients),
            questions=_questions(requirements),
            only=sources.only.told,
            exports=_exports(requirements),
        ),
        causes=causes(findings),
        principals=principals(forests, applications, requirements, findings),
    )


def _questions(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """How to look up who holds what nobody looked up."""
    unchecked = (one.spn.instance for one in requirements if one.matters and one.outcome == "unchecked")
    return setspn_questions(unchecked)


def _exports(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """How to export each domain of whose accounts nobody looked up what they hold."""
    unchecked = (one.account for one in requirements if one.matters and one.outcome == "unchecked")
    domains = sorted({account.dns for account in unchecked if account is not None and account.dns})
    files = ["directory.ldif"] if len(domains) == 1 else [f"{domain}.ldif" for domain in domains]
    lines = (ldifde_export(domain, file) for domain, file in zip(domains, files, strict=True))
    return tuple(line for line in lines if line is not None)


def _troubled(
    requirements: Iterable[Requirement], applications: Iterable[Application], findings: Iterable[Finding]
) -> frozenset[str]:
    """The servers of which something that matters is not known, or which an error or a warning names."""
    unknown = (one for one in requirements if one.matters and one.outcome in {"unchecked", "uncertain"})
    told = (found for found in findings if found.severity != "info" and found.accepted is None)
    return frozenset(
        (
            *(place.server for one in unknown for place in one.applications),
            *(application.server for application in applications if application.is_unnamed),
            *(server for found in told for server in found.all_servers),
        )
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


LISTED = 10
"""The most names that one note lists."""


def _options_read(cases: Sequence[Case], sources: Sources) -> Iterator[SourceRead]:
    """The files of options; one of names says which of them lead to no site."""
    placed = {host for case in cases for view in case.servers for host in view.names.logged}
    hosts = {file.source: file.hosts for file in sources.logged}
    for read in sources.read:
        left = [host.text for host in hosts.get(read.source or "", ()) if host not in placed]
        yield read if read.kind != "names" or not left else replace(read, note=_unplaced(left))


def _unplaced(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"no site of an inspected server is known to answer {', '.join(names[:LISTED])}{more}"


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
        if problem.id in {"content-not-collected", "facts-not-collected"}:
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
