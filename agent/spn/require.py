"""Effective applications x names x client kinds: which SPN must lead to which account. Looks at no holder yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from msgspec import Struct, field

from agent.iis.authentication import Auth
from agent.iis.effective import Configuration, EffectiveApplication, Pool, Site
from agent.iis.snapshot import Machine
from agent.model import Application, ApplicationRef, Host, Need, Origins, Place, Scheme, Url, WhyNot
from agent.names import AccountName, HostName, Spn, fold, http_spn, spn, user_name
from agent.spn.clients import Client
from agent.spn.computer_names import Names
from agent.spn.directory import Directory
from agent.spn.domains import Domains
from agent.spn.identity import (
    NOT_ASKED,
    Computer,
    Decision,
    PoolIdentity,
    Surroundings,
    computer,
    decide,
    further_accounts,
    pool_identity,
    why_not,
)
from agent.spn.needs import SpnNeed, spn_needs
from agent.spn.reach import Reach, reach
from agent.spn.rules import NameKind


class ServerView(NamedTuple):
    """One server as the analysis needs it; the files it was read from are gone.

    `account` is its computer account, None where its name or its domain is not known, or it is in no domain; `further`
    are those whose keys it has besides, None where nobody told.
    """

    label: str
    machine: Machine
    configuration: Configuration
    names: Names
    reach: Mapping[str, Reach]
    account: AccountName | None
    further: tuple[AccountName, ...] | None = ()

    @property
    def computer(self) -> Computer:
        return Computer(self.machine.joined, self.account, self.further)

    def effective(self, at: ApplicationRef) -> EffectiveApplication | None:
        """One of its applications as IIS would use it."""
        return self.configuration.application(at.site, at.path)


def server_view(
    label: str, machine: Machine, configuration: Configuration, names: Names, domains: Domains
) -> ServerView:
    """Join a configuration with the names that lead to it, and the accounts of the computer."""
    further = further_accounts(machine, configuration.is_exchange, domains)
    return ServerView(
        label, machine, configuration, names, reach(configuration, names), computer(machine, domains), further
    )


class Wanted(Struct):
    """A requirement in the making: one (SPN, account)."""

    spn: Spn
    account: AccountName | None
    need: Need
    covered_by: Spn | None
    decision: Decision
    variant_of: tuple[HostName, ...]
    asked_by: tuple[str, ...]
    applications: list[ApplicationRef] = field(default_factory=list)
    provided: str = ""


_STRENGTH: Mapping[Need, int] = {"explicit": 0, "covered": 1, "port-variant": 2, "optional": 3}


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
            if kind != "optional":
                known.provided = known.provided or server.names.provided(need.host)
            if decision.rule_id not in references:
                of = (application.server, application.site, application.path)
                references[decision.rule_id] = ApplicationRef(*of, decision.rule_id)
            reference = references[decision.rule_id]
            if not known.applications or known.applications[-1] != reference:
                known.applications.append(reference)


def _unreached(needs: Iterable[SpnNeed]) -> list[SpnNeed]:
    """The same names, where nobody reaches what would answer."""
    return [need._replace(optional=True) for need in needs if need.port is None]


def is_started(pool: Pool | None, machine: Machine) -> bool:
    """Whether requests reach a pool: it starts with IIS, or was seen to run. Otherwise they get 503."""
    return pool is None or pool.starts or fold(pool.name) in {fold(one.pool) for one in machine.worker_processes or ()}


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

MAY_CHANGE: frozenset[WhyNot] = frozenset({"disabled", "no-provider", "no-negotiate", "pku2u-only"})
"""Why clients are not asked for a ticket where a web.config may say that they are."""

_MAYBE_ASKED: Decisions = dict.fromkeys(get_args(NameKind), Decision("uncertain", None, NOT_LOOKED_AT, is_open=True))


def _decide(auth: Auth, application: EffectiveApplication, identity: PoolIdentity, computer: Computer) -> _Decided:
    why = why_not(auth.settings, application.serves_http)
    if why is not None or auth.settings is None:
        return _Decided(why, _MAYBE_ASKED if auth.is_open and why in MAY_CHANGE else _NEVER_ASKED)
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
    for name in reached.names:
        if name.host in server.names.behind_tls:
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
