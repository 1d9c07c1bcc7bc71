"""Everything the checks look at: the servers, what they require, and what directory, DNS and farm file say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from agent.checks.answered import Answered
from agent.checks.demand import Demand, Serving
from agent.checks.readers import Readers
from agent.model import Application, ApplicationRef, Evidence, Finding, Origin, PrincipalKind, Requirement, Severity
from agent.names import AccountName, HostName, Likeness, Spn, fold, http_spn, spn
from agent.spn.clients import Client
from agent.spn.computer_names import FarmName
from agent.spn.directory import Account, Directory
from agent.spn.domains import Domains
from agent.spn.encryption import Weakness, weakness
from agent.spn.hidden import HiddenName
from agent.spn.identity import Identities, PoolIdentity, Surroundings
from agent.spn.nameservice import NameService
from agent.spn.require import ServerView, Wanted


class Judged:
    """A requirement with what led to it."""

    __slots__ = ("requirement", "wanted")

    def __init__(self, wanted: Wanted, requirement: Requirement) -> None:
        self.wanted = wanted
        self.requirement = requirement

    @property
    def is_open(self) -> bool:
        """Whether something that nobody looked at decides who decrypts, or whether clients ask for this SPN at all."""
        return self.wanted.decision.is_open


def _is_shared(these: Sequence[Judged]) -> bool:
    """Whether the requirements of one SPN are those of several accounts or servers."""
    if len(these) > 1:
        return True
    places = these[0].requirement.applications
    return len(places) > 1 and any(place.server != places[0].server for place in places)


class Case(Struct, frozen=True, kw_only=True, dict=True):
    """One run's facts. `now` is an input: nothing in the core reads a clock."""

    servers: Sequence[ServerView]
    applications: Sequence[Application]
    judged: Sequence[Judged]
    domains: Domains
    directory: Directory | None
    service: NameService | None
    farm: Sequence[FarmName]
    clients: Sequence[Client]
    hidden: Sequence[HiddenName] = ()
    now: datetime

    @cached_property
    def by_label(self) -> dict[str, ServerView]:
        return {server.label: server for server in self.servers}

    @cached_property
    def application_at(self) -> dict[ApplicationRef, Application]:
        return {application.reference: application for application in self.applications}

    def servers_of(self, name: FarmName) -> list[ServerView]:
        """The servers that an entry of the farm file names, in their order."""
        found = {at for server in name.servers for at in self._called.get(fold(server), ())}
        return [self.servers[at] for at in sorted(found)]

    @cached_property
    def _called(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for at, server in enumerate(self.servers):
            for name in server.machine.said_names:
                index.setdefault(name, []).append(at)
        return index

    def of_site(self, label: str, site: str) -> Sequence[Application]:
        """The applications of the sites of this name on a server."""
        return self._by_site.get((label, site), ())

    @cached_property
    def _by_site(self) -> dict[tuple[str, str], list[Application]]:
        index: dict[tuple[str, str], list[Application]] = {}
        for application in self.applications:
            index.setdefault((application.server, application.site), []).append(application)
        return index

    @cached_property
    def judged_at(self) -> dict[tuple[Spn, AccountName | None], Judged]:
        return {(judged.requirement.spn, judged.requirement.account): judged for judged in self.judged}

    @cached_property
    def shared(self) -> dict[Spn, Demand]:
        """The SPNs behind which several accounts or servers are, in the order in which applications need them.

        Nothing contests the others, and most are of those.
        """
        return {name: self.demand(name) for name, these in self._by_spn.items() if _is_shared(these)}

    @cached_property
    def _demands(self) -> dict[Spn, Demand]:
        """Those that somebody asked for."""
        return {}

    @cached_property
    def _by_spn(self) -> dict[Spn, list[Judged]]:
        index: dict[Spn, list[Judged]] = {}
        for judged in self.judged:
            index.setdefault(judged.requirement.spn, []).append(judged)
        return index

    def demand(self, name: Spn) -> Demand:
        """On which accounts one SPN is needed."""
        known = self._demands.get(name)
        if known is None:
            these = self._by_spn.get(name, [])
            known = Demand([each.requirement for each in these], [each.requirement for each in these if each.is_open])
            self._demands[name] = known
        return known

    def needs(self, name: Spn) -> bool:
        """Whether any application wants an SPN, be it by a name that may fail."""
        return name in self._by_spn

    def is_contested(self, name: Spn) -> bool:
        """Whether an SPN is needed on several accounts."""
        return name in self.shared and self.shared[name].is_contested

    @cached_property
    def _by_application(self) -> dict[ApplicationRef, list[Judged]]:
        index: dict[ApplicationRef, list[Judged]] = {}
        for judged in self.judged:
            for reference in judged.requirement.applications:
                index.setdefault(reference, []).append(judged)
        return index

    @cached_property
    def negotiating_sites(self) -> Sequence[tuple[ServerView, Application]]:
        """Each site with an application that negotiates, with the first such application."""
        first: dict[tuple[str, str], Application] = {}
        for application in self.applications:
            if application.negotiates or any(place.negotiates for place in application.places):
                first.setdefault((application.server, application.site), application)
        return [(self.by_label[application.server], application) for application in first.values()]

    def judged_for(self, application: Application) -> list[Judged]:
        """What one application requires."""
        return self._by_application.get(application.reference, [])

    def readers(self, at: ApplicationRef, *, in_web_config: bool) -> list[ApplicationRef]:
        """The applications for which the same place of the same file is read as for one: for its path in
        applicationHost.config, or its web.config.
        """
        return self._readers.of(at, in_web_config=in_web_config)

    @cached_property
    def _readers(self) -> Readers:
        return Readers(self.by_label)

    def judged_of(self, name: Spn) -> list[Judged]:
        """The requirements of one SPN."""
        return self._by_spn.get(name, [])

    def is_open(self, application: Application) -> bool:
        """Whether a web.config that nobody looked at may change what decides for it."""
        if application.server not in self._unlooked:
            return False
        known = self.by_label[application.server].effective(application.reference)
        return known is not None and known.auth.is_open

    @cached_property
    def _unlooked(self) -> frozenset[str]:
        """The servers with an application of which that is so."""
        return frozenset(
            server.label
            for server in self.servers
            if any(each.auth.is_open for site in server.configuration.sites for each in site.applications)
        )

    def applications_of(self, requirement: Requirement) -> list[Application]:
        """The applications that want a requirement."""
        return [self.application_at[reference] for reference in requirement.applications]

    @cached_property
    def _hidden_by_account(self) -> dict[AccountName, list[HiddenName]]:
        index: dict[AccountName, list[HiddenName]] = {}
        for name in self.hidden:
            index.setdefault(name.account, []).append(name)
        return index

    def hidden_behind(self, application: Application) -> list[HiddenName]:
        """Names that no inspected site claims, on the account that decrypts for an application."""
        account = application.decrypts_as
        names = self._hidden_by_account.get(account, []) if account is not None else []
        return [name for name in names if application.server in name.servers]

    def only_own_names(self, applications: Sequence[Application]) -> bool:
        """Nothing but the computer's own names is served, so that HOST/ answers once the computer decrypts."""
        return bool(applications) and all(
            host.host in self.by_label[a.server].names.own for a in applications for host in a.hosts
        )

    @cached_property
    def answered(self) -> Answered:
        """Which servers answer a name."""
        return Answered(servers=self.by_label, farm=self.farm, service=self.service)

    def may_open(self, server: ServerView, holder: Account) -> bool:
        """Whether a server's computer decrypts with the key of another account, or may do so."""
        if server.further is None or self.directory is None:
            return server.further is None
        return any(self.directory.likeness(holder, name) is not Likeness.OTHER for name in server.further)

    def opens_for_several(self, servings: Iterable[Serving]) -> bool:
        """Whether one of these servers has keys of other accounts than its computer's, or may have: one SPN serves
        several such servers (an Alternate Service Account, rule R15.1).
        """
        servers = ((self.by_label[serving.server], serving.account) for serving in servings)
        return any(server.further != () and server.account == account for server, account in servers)

    @cached_property
    def suspected(self) -> dict[HostName, tuple[str, ...]]:
        """Names bound on several servers that decrypt differently, where nothing says whether these are one farm.

        Twins for test and recovery have the same bindings too: only where DNS does not tell them apart; and a
        computer's own name leads to that computer.
        """
        found: dict[HostName, tuple[str, ...]] = {}
        for name, demand in self.shared.items():
            host, nodes = name.host, demand.nodes
            if len({node.account for node in nodes}) < 2 or self.answered.is_farm(host, demand.servings):
                continue
            if self.opens_for_several(nodes) or name in self.own_spns:
                continue
            answering = [node for node in nodes if not self.answered.leads_elsewhere(host, node.server)]
            if len({node.account for node in answering}) > 1:
                found[host] = tuple(node.server for node in answering)
        return found

    @cached_property
    def own_spns(self) -> dict[Spn, ServerView]:
        """`HTTP/` of every server's own names."""
        return {
            http_spn(host): server
            for server in self.servers
            for host in sorted(server.names.own, key=lambda name: name.key)
        }

    @cached_property
    def hosts(self) -> frozenset[HostName]:
        """Every name that concerns us: required ones and the servers' own."""
        own = (host for server in self.servers for host in server.names.own)
        return frozenset({*(judged.requirement.spn.host for judged in self.judged), *own})

    @cached_property
    def pools_in_use(self) -> dict[str, set[str]]:
        """Folded names of the pools that applications run in, by server label."""
        used: dict[str, set[str]] = {}
        for application in self.applications:
            used.setdefault(application.server, set()).add(fold(application.pool or ""))
        return used

    @cached_property
    def identities(self) -> dict[tuple[str, str], PoolIdentity]:
        """By server label and folded pool name."""
        found: dict[tuple[str, str], PoolIdentity] = {}
        for server in self.servers:
            known = Identities(Surroundings(server.machine, self.domains, self.directory))
            found.update(((server.label, name), known.of(pool)) for name, pool in server.configuration.pools.items())
        return found

    @cached_property
    def pool_accounts(self) -> frozenset[AccountName]:
        """The accounts that inspected pools run as."""
        return frozenset(identity.account for identity in self.identities.values() if identity.account is not None)

    @cached_property
    def computer_accounts(self) -> frozenset[AccountName]:
        return frozenset(server.account for server in self.servers if server.account is not None)

    @cached_property
    def pool_objects(self) -> frozenset[str]:
        """The identities of the account objects that inspected pools run as."""
        return self._identities_of(self.pool_accounts)

    @cached_property
    def inspected_objects(self) -> frozenset[str]:
        """Those of the inspected computers too."""
        return self.pool_objects | self._identities_of(self.computer_accounts)

    def _identities_of(self, names: Iterable[AccountName]) -> frozenset[str]:
        accounts = map(self.account, names)
        return frozenset(account.identity for account in accounts if account is not None)

    def identity_of(self, application: Application) -> PoolIdentity | None:
        return self.identities.get((application.server, fold(application.pool or "")))

    def is_inspected(self, account: AccountName) -> bool:
        """Whether its use was looked at: an inspected pool runs as the account, or it is an inspected computer."""
        if account in self.pool_accounts or account in self.computer_accounts:
            return True
        known = self.account(account)
        return known is not None and known.kind == "unknown" and known.identity in self.inspected_objects

    def account(self, name: AccountName | None) -> Account | None:
        """The account object, where a directory was read that holds it."""
        if name is None or self.directory is None:
            return None
        return self.directory.account(name)

    @cached_property
    def delegating(self) -> dict[Spn, list[Account]]:
        """The accounts that may delegate to an SPN by their own lists, as far as accounts were read."""
        found: dict[Spn, list[Account]] = {}
        for account in self.directory.accounts if self.directory is not None else ():
            for target in account.delegates_to or ():
                found.setdefault(spn(target), []).append(account)
        return found

    def weakness(self, name: AccountName | None) -> Weakness | None:
        """What is wrong with the encryption types of an account, as far as a directory tells."""
        known = self.account(name)
        return None if known is None or self.directory is None else weakness(known, self.directory)

    def other_service(self, name: AccountName) -> Spn | None:
        """An SPN by which something else than a web server runs as the account; a computer always has some."""
        known = self.account(name)
        if known is None or known.principal == "computer":
            return None
        if known.identity not in self._other_services:
            others = (held for held in known.spns if held.service not in {"http", "host"})
            self._other_services[known.identity] = next(others, None)
        return self._other_services[known.identity]

    @cached_property
    def _other_services(self) -> dict[str, Spn | None]:
        """By account: one may hold a thousand SPNs, and each may be asked about."""
        return {}

    def may_be_pool_account(self, holder: Account) -> bool:
        """Whether an inspected pool runs as the account, as far as that can be told."""
        if self.directory is None or holder.identity in self.pool_objects:
            return True
        return any(self.directory.likeness(holder, name) is not Likeness.OTHER for name in self.pool_accounts)

    def principal(self, name: AccountName) -> PrincipalKind | None:
        """What kind of account it is, None where nothing that was read tells."""
        if name in self.computer_accounts:
            return "computer"
        known = self.account(name)
        if known is not None:
            return known.principal
        return None if name.name.endswith("$") else "user"


def finding(
    id: str,  # noqa: A002  # the contract's key
    message: str,
    *,
    severity: Severity | None = None,
    at: Application | ApplicationRef | None = None,
    server: str | None = None,
    servers: Sequence[str] = (),
    site: str | None = None,
    path: str | None = None,
    spn: Spn | None = None,
    account: AccountName | None = None,
    holders: Sequence[AccountName] = (),
    evidence: Sequence[Evidence] = (),
    fix: Sequence[str] = (),
) -> Finding:
    """A finding of the table, with the table's first severity unless another of its row is given."""
    from agent.checks.findings import FINDINGS

    allowed = FINDINGS[id].severities
    if severity is not None and severity not in allowed:
        raise AssertionError(f"{id} is never {severity}")
    if at is not None:
        server, site, path = at.server, at.site, at.path
    return Finding(
        id=id,
        severity=severity or allowed[0],
        server=server,
        servers=tuple(servers),
        site=site,
        path=path,
        spn=spn,
        account=account,
        holders=tuple(holders),
        message=message,
        evidence=tuple(evidence),
        fix=tuple(fix),
    )


def evidence(origin: Origin | None, text: str) -> tuple[Evidence, ...]:
    """One line of evidence; a schema default has no line to show."""
    if origin is None:
        return ()
    shown = text if origin.file is not None else f"{text} (IIS default)"
    return (Evidence(origin.file, origin.line, shown),)
