"""Effective applications x names x client kinds: which SPN must lead to which account. Looks at no holder yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, get_args

from agent.iis.authentication import Auth
from agent.iis.effective import Configuration, EffectiveApplication, Pool, Site
from agent.iis.snapshot import Machine
from agent.model import Application, ApplicationRef, Host, Need, Origins, Place, Scheme, Url, WhyNot
from agent.names import AccountName, HostName, Spn, computer_account, fold, http_spn, spn, user_name
from agent.spn.clients import Canonicalisation, Client, asked_hosts, asked_port
from agent.spn.directory import Directory, Question
from agent.spn.domains import Domains
from agent.spn.identity import (
    NOT_ASKED,
    Computer,
    Decision,
    PoolIdentity,
    Surroundings,
    decide,
    pool_identity,
    why_not,
)
from agent.spn.reach import Names, Reach, reach
from agent.spn.rules import NameKind


class ServerView(NamedTuple):
    """One server as the analysis needs it; the files it was read from are gone.

    `account` is its computer account, None where its name or its domain is not known, or it is in no domain.
    """

    label: str
    machine: Machine
    configuration: Configuration
    names: Names
    reach: Mapping[str, Reach]
    account: AccountName | None

    @property
    def computer(self) -> Computer:
        return Computer(self.machine.joined, self.account)


def server_view(
    label: str, machine: Machine, configuration: Configuration, names: Names, account: AccountName | None
) -> ServerView:
    """Join a configuration with the names that lead to it."""
    return ServerView(label, machine, configuration, names, reach(configuration, names), account)


@dataclass(slots=True)
class Wanted:
    """A requirement in the making: one (SPN, account)."""

    spn: Spn
    account: AccountName | None
    need: Need
    covered_by: Spn | None
    decision: Decision
    variant_of: tuple[HostName, ...]
    asked_by: tuple[str, ...]
    applications: list[ApplicationRef] = field(default_factory=list)


_STRENGTH: Mapping[Need, int] = {"explicit": 0, "covered": 1, "port-variant": 2, "optional": 3}


class SpnNeed(NamedTuple):
    """An SPN that clients of a site may ask for, before it is known who decrypts.

    `optional`: nobody reaches the site by this name, or it may fail without harm. `works_by_alias`: default clients
    follow a CNAME to one of the computer's own names and never ask for this one. `variant_of`: the names people
    type when clients make this one of them; empty where it is typed itself. `doubt`: why clients may ask for another.
    """

    host: HostName
    port: int | None
    optional: bool
    works_by_alias: bool
    variant_of: tuple[HostName, ...]
    asked_by: tuple[str, ...]
    doubt: str = ""


# -- names to SPNs, once per site ----------------------------------------------------------------------------------


def spn_needs(reached: Reach, names: Names, clients: Sequence[Client]) -> tuple[SpnNeed, ...]:
    """The union over the names that clients use and the client kinds asked about, canonical names included."""
    collected = _Collected(names, clients)
    for name in reached.names:
        collected.typed(name.host, name.optional)
    for name in reached.names:
        reachable = not name.optional or (name.source == "machine" and name.host not in names.own)
        for alike in collected.alike:
            if not name.optional or (reachable and alike[0].host.keeps_short):
                collected.asked(alike, name.host, name.ports)
    return tuple(collected.needs())


@dataclass(slots=True)
class _Asked:
    """One host and port, and who asks for it; `doubt` where nobody is known to."""

    optional: bool
    doubt: str
    clients: set[str] = field(default_factory=set)

    def again(self, optional: bool, doubt: str) -> _Asked:
        """The same for a further name that leads to it."""
        self.optional = self.optional and optional
        self.doubt = self.doubt and doubt
        return self


def spn_hosts(client: Client, typed: HostName, names: Names) -> tuple[HostName, ...]:
    """The host names a client puts into its SPN for what is typed, as seen from the network of one server."""
    hosts = asked_hosts(client, typed, names.service, names.suffix)
    full = names.machine.full_name
    if typed != names.machine.short_name or full is None or full.first_label == typed:
        return hosts
    # the first 15 characters of a longer name: DNS has the longer one, nothing makes a full name of these
    return hosts if names.addresses(typed) else (typed,)


def spn_doubt(client: Client, typed: HostName, names: Names) -> str:
    """Why a client may ask for another SPN than for these hosts, "" where nothing says so."""
    end = names.open_end(typed) if client.host.follows else None
    return "" if end is None else f"{typed} is an alias of {end}, and where that leads is not known: {how_to_know(end)}"


def how_to_know(end: HostName) -> str:
    """What shows where the last known name of a chain of aliases leads."""
    return f"give the zone of {end.suffix or end} (--dns)"


class _Collected:
    def __init__(self, names: Names, clients: Sequence[Client]) -> None:
        self.names = names
        self.order = tuple([client.name for client in clients])
        self.alike = _alike(tuple(clients))
        self.found: dict[tuple[HostName, int | None], _Asked] = {}
        self.is_typed: set[HostName] = set()
        self.variants: dict[HostName, dict[HostName, None]] = {}

    def typed(self, host: HostName, optional: bool) -> None:
        self.is_typed.add(host)
        self._note(host, None, optional)

    def _note(self, host: HostName, port: int | None, optional: bool = False, doubt: str = "") -> _Asked:
        return self.found.setdefault((host, port), _Asked(optional, doubt)).again(optional, doubt)

    def asked(self, clients: Sequence[Client], typed: HostName, ports: Iterable[int]) -> None:
        """What clients that ask alike make of a name."""
        first = clients[0]
        asking = {client.name for client in clients}
        doubt = spn_doubt(first, typed, self.names)
        for host in spn_hosts(first, typed, self.names):
            self._note(host, None, doubt=doubt).clients.update(asking)
            if host != typed:
                self.variants.setdefault(host, {})[typed] = None
            for port in ports:
                if asked_port(first, port) is not None:
                    self._note(host, port, doubt=doubt).clients.update(asking)

    def needs(self) -> Iterator[SpnNeed]:
        for (host, port), asked in self.found.items():
            asked_by = _in_order(frozenset(asked.clients), self.order)
            variant_of = () if host in self.is_typed else tuple(self.variants.get(host, ()))
            yield SpnNeed(host, port, asked.optional, self._aliased(host), variant_of, asked_by, asked.doubt)

    def _aliased(self, host: HostName) -> bool:
        resolution = self.names.resolve(host)
        return resolution is not None and resolution.is_alias and resolution.canonical in self.names.own


@lru_cache
def _in_order(names: frozenset[str], order: tuple[str, ...]) -> tuple[str, ...]:
    """The same tuple for all the SPNs that the same clients ask for."""
    return tuple([name for name in order if name in names])


@lru_cache
def _alike(clients: tuple[Client, ...]) -> tuple[tuple[Client, ...], ...]:
    """The clients in groups that ask for the same names: what distinguishes them is how they treat host and port."""
    groups: dict[tuple[Canonicalisation, bool], tuple[Client, ...]] = {}
    for client in clients:
        key = (client.host, client.port)
        groups[key] = (*groups.get(key, ()), client)
    return tuple(groups.values())


# -- applications --------------------------------------------------------------------------------------------------


class Required(NamedTuple):
    """All applications of the servers, and what they want, in the order of the servers."""

    applications: tuple[Application, ...]
    wanted: tuple[Wanted, ...]


def require(
    servers: Iterable[ServerView], clients: Sequence[Client], domains: Domains, directory: Directory | None
) -> Required:
    """Decide for each application who decrypts, and collect one requirement for each (SPN, account)."""
    collector = _Requirements(clients, domains, directory)
    for server in servers:
        collector.server(server)
    return Required(tuple(collector.applications), tuple(collector.wanted))


class _Requirements:
    def __init__(self, clients: Sequence[Client], domains: Domains, directory: Directory | None) -> None:
        self.clients = clients
        self.domains = domains
        self.directory = directory
        self.applications: list[Application] = []
        self.wanted: list[Wanted] = []
        self.known: dict[AccountName | str | None, dict[Spn, Wanted]] = {}

    def server(self, server: ServerView) -> None:
        identities: dict[str, PoolIdentity] = {}
        for site in server.configuration.sites:
            reached = server.reach[site.name]
            needs: tuple[SpnNeed, ...] | None = None
            for application in site.applications:
                identity = self._identity(application.pool, server.machine, identities)
                built = _application(server, site, application, identity, reached)
                self.applications.append(built.application)
                for decisions in built.decisions:
                    needs = spn_needs(reached, server.names, self.clients) if needs is None else needs
                    is_up = is_started(application.pool, server.machine)
                    wanted = needs if is_up else _unreached(needs)
                    self._want(server, built.application, decisions, wanted)

    def _identity(self, pool: Pool | None, machine: Machine, known: dict[str, PoolIdentity]) -> PoolIdentity:
        around = Surroundings(machine, self.domains, self.directory)
        if pool is None:
            return pool_identity(None, around)
        key = fold(pool.name)
        if key not in known:
            known[key] = pool_identity(pool, around)
        return known[key]

    def _want(
        self, server: ServerView, application: Application, decisions: Decisions, needs: Iterable[SpnNeed]
    ) -> None:
        references: dict[str | None, ApplicationRef] = {}
        for need in needs:
            decision = decisions[server.names.kind_of(need.host)].doubted(need.doubt)
            kind = _need(need, decision)
            name = http_spn(need.host, need.port)
            # computers that nobody named are not one computer
            unknown = server.label if decision.account is None and decision.decryption != "impossible" else None
            of_account = self.known.setdefault(decision.account or unknown, {})
            known = of_account.get(name)
            if known is None:
                covered_by = spn(f"HOST/{need.host.spn_text}") if kind == "covered" else None
                known = Wanted(name, decision.account, kind, covered_by, decision, need.variant_of, need.asked_by)
                of_account[name] = known
                self.wanted.append(known)
            else:
                _strengthen(known, kind, need, decision)
            if decision.rule_id not in references:
                references[decision.rule_id] = replace(application.reference, rule=decision.rule_id)
            reference = references[decision.rule_id]
            if not known.applications or known.applications[-1] != reference:
                known.applications.append(reference)


def _unreached(needs: Iterable[SpnNeed]) -> list[SpnNeed]:
    """The same names, where nobody reaches what would answer."""
    return [need._replace(optional=True) for need in needs if need.port is None]


def is_started(pool: Pool | None, machine: Machine) -> bool:
    """Whether requests reach a pool: it starts with IIS, or was seen to run. Otherwise they get 503."""
    running = [fold(worker.pool) for worker in machine.worker_processes or ()]
    return pool is None or pool.starts or fold(pool.name) in running


def _strengthen(known: Wanted, kind: Need, need: SpnNeed, decision: Decision) -> None:
    if known.decision.decryption == "uncertain":
        known.decision = decision
    if _STRENGTH[kind] < _STRENGTH[known.need]:
        known.need = kind
        known.covered_by = spn(f"HOST/{need.host.spn_text}") if kind == "covered" else None
    if not need.variant_of:
        known.variant_of = ()
    if not set(need.asked_by) <= set(known.asked_by):
        known.asked_by = tuple(dict.fromkeys((*known.asked_by, *need.asked_by)))


def _need(need: SpnNeed, decision: Decision) -> Need:
    if need.port is not None:
        return "port-variant"
    if need.optional:
        return "optional"
    coverage = decision.rule.spn if decision.rule is not None else "explicit"
    if coverage == "explicit" and decision.decryption == "computer" and need.works_by_alias and not need.asked_by:
        return "optional"
    return coverage


Decisions = Mapping[NameKind, Decision]
"""Who decrypts at one place, by the kind of the name in the URL: the table has a row for each."""


class _Decided(NamedTuple):
    """What the settings of an application, or of a place below it, lead to."""

    why_not: WhyNot | None
    decisions: Decisions


_NEVER_ASKED: Decisions = dict.fromkeys(get_args(NameKind), NOT_ASKED)


NOT_LOOKED_AT = "web.config files were not looked at, and may set what decides here"


def _decide(auth: Auth, application: EffectiveApplication, identity: PoolIdentity, computer: Computer) -> _Decided:
    why = why_not(auth.settings, application.serves_http)
    if why is not None or auth.settings is None:
        return _Decided(why, _NEVER_ASKED)
    decisions = {kind: decide(auth.settings, identity, computer, kind) for kind in get_args(NameKind)}
    if auth.is_open:
        decisions = {kind: decision.doubted(NOT_LOOKED_AT) for kind, decision in decisions.items()}
    return _Decided(None, decisions)


class _Built(NamedTuple):
    """An application, and who decrypts for it and for places below, once for all that have the same settings."""

    application: Application
    decisions: tuple[Decisions, ...]


def _application(
    server: ServerView, site: Site, application: EffectiveApplication, identity: PoolIdentity, reached: Reach
) -> _Built:
    own = _decide(application.auth, application, identity, server.computer)
    below = [
        (path, auth, _decide(auth, application, identity, server.computer))
        for path, auth in application.places
        if auth.settings != application.auth.settings or auth.fault is not None
    ]
    kind: NameKind = server.names.kind_of(reached.hosts[0].host) if reached.hosts else "custom name"
    decision = own.decisions[kind]
    built = Application(
        server=server.label,
        site=site.name,
        path=application.path,
        pool=application.pool_name,
        identity_type=application.pool.identity_type if application.pool else None,
        pool_account=_configured_account(application.pool, identity, server.machine),
        windows_auth=application.auth.settings,
        origins=_origins(application.auth.origins, application.pool),
        negotiates=own.why_not is None,
        why_not=own.why_not,
        decryption=decision.decryption,
        decrypts_as=decision.account,
        rule=decision.rule_id,
        hosts=_hosts(server, reached) if application.serves_http else (),
        names_known=not (application.serves_http and reached.unnamed),
        urls=tuple(_urls(server, site, reached, application.path)) if application.serves_http else (),
        places=tuple(_place(path, auth, decided, kind) for path, auth, decided in below),
    )
    every = [(application.auth, own), *((auth, decided) for _, auth, decided in below)]
    by_settings = {auth.settings: decided.decisions for auth, decided in every if decided.why_not is None}
    return _Built(built, tuple(by_settings.values()))


def _place(path: str, auth: Auth, decided: _Decided, kind: NameKind) -> Place:
    decision = decided.decisions[kind]
    return Place(
        path=path,
        windows_auth=auth.settings,
        origins=auth.origins,
        negotiates=decided.why_not is None,
        why_not=decided.why_not,
        decryption=decision.decryption,
        decrypts_as=decision.account,
        rule=decision.rule_id,
    )


def _hosts(server: ServerView, reached: Reach) -> tuple[Host, ...]:
    """The names of the site, with the canonical names DNS gives for its aliases."""
    hosts = {host.host: host for host in reached.hosts}
    for host in reached.hosts:
        resolution = server.names.resolve(host.host)
        if resolution is not None and resolution.is_alias and resolution.addresses != ():
            hosts.setdefault(resolution.canonical, Host(resolution.canonical, "dns"))
    return tuple(hosts.values())


def _urls(server: ServerView, site: Site, reached: Reach, path: str) -> Iterator[Url]:
    """The names of the site as people type them; a proxy that terminates TLS is reached by https."""
    schemes: dict[int, dict[Scheme, None]] = {}
    for binding in site.bindings:
        if binding.serves:
            schemes.setdefault(binding.port, {})["https" if binding.protocol == "https" else "http"] = None
    behind = {name.host for name in server.names.farm if name.proxy == "terminates-tls"}
    for name in reached.names:
        if name.host in behind:
            yield Url("https", name.host, 443, path)
        elif not name.optional:
            yield from (Url(scheme, name.host, port, path) for port in name.ports for scheme in schemes[port])


def _origins(origins: Origins, pool: Pool | None) -> Origins:
    if pool is None:
        return origins
    return Origins(
        enabled=origins.enabled,
        kernel_mode=origins.kernel_mode,
        pool_credentials=origins.pool_credentials,
        providers=origins.providers,
        identity_type=pool.origin,
    )


def _configured_account(pool: Pool | None, identity: PoolIdentity, machine: Machine) -> AccountName | None:
    """The account the configuration names, also where a dMSA has taken it over."""
    if pool is None or pool.identity_type != "SpecificUser" or not pool.user_name:
        return None
    user = user_name(pool.user_name, machine.known_name or "")
    known = identity.known
    if known is not None and user.form == "domain" and fold(known.name.name) != fold(user.name):
        return AccountName(known.name.domain, user.name, known.name.dns)
    if identity.account is not None:
        return identity.account
    return AccountName(machine.known_name or ".", user.name) if user.form == "local" else None


# -- what to ask the directory -------------------------------------------------------------------------------------


class Typed(NamedTuple):
    """A name with the port that somebody types into a client, whether or not a binding has it."""

    host: HostName
    port: int


def question(servers: Sequence[ServerView], clients: Sequence[Client], typed: Sequence[Typed] = ()) -> Question:
    """Everything the directory must be asked for these servers: HTTP/ and HOST/, short and full, and the accounts."""
    accounts: set[str] = set()
    domains: dict[str, str] = {}
    for server in servers:
        if server.machine.domain and server.machine.netbios_domain:
            domains.setdefault(fold(server.machine.domain), server.machine.netbios_domain)
        if server.machine.known_name is not None:
            accounts.add(fold(computer_account("", server.machine.known_name).name))
        for pool in server.configuration.pools.values():
            accounts.update(_account_texts(pool, server.machine))
    names = frozenset(
        name
        for server in servers
        for name in (*_asked_names(server, clients), *_asked_for(typed, server.names, clients))
    )
    return Question(spns=names, account_names=frozenset(accounts), netbios_domains=domains)


def _asked_names(server: ServerView, clients: Sequence[Client]) -> Iterator[Spn]:
    yield from _both_services(server.names.own)
    for reached in server.reach.values():
        needs = spn_needs(reached, server.names, clients)
        yield from _both_services(need.host for need in needs)
        ports = {(name.host, port) for name in reached.names for port in name.ports}
        for host, port in ports | {(need.host, need.port) for need in needs if need.port is not None}:
            name = http_spn(host, port)
            yield from (name, name.with_service("HOST"))


def _asked_for(typed: Iterable[Typed], names: Names, clients: Sequence[Client]) -> Iterator[Spn]:
    for host, port in typed:
        asked = {one for client in clients for one in spn_hosts(client, host, names)}
        yield from _both_services(asked | {host})
        for one in asked | {host}:
            name = http_spn(one, port)
            yield from (name, name.with_service("HOST"))


def _both_services(hosts: Iterable[HostName]) -> Iterator[Spn]:
    named = frozenset(hosts)
    for host in named.union(host.first_label for host in named if not host.is_address):
        yield http_spn(host)
        yield spn(f"HOST/{host.spn_text}")


def _account_texts(pool: Pool, machine: Machine) -> Iterator[str]:
    if pool.identity_type == "SpecificUser" and pool.user_name:
        user = user_name(pool.user_name, machine.known_name or "")
        if user.form not in {"well-known", "local"} or machine.domain_controller:
            yield fold(user.name)
            if user.form == "upn":
                yield fold(f"{user.name}@{user.domain}")
