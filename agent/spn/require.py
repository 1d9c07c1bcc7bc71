"""Effective applications x names x client kinds: which SPN must lead to which account. Looks at no holder yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from msgspec import Struct, field

from agent.iis.authentication import Auth
from agent.iis.effective import Configuration, EffectiveApplication, Pool, Site
from agent.iis.snapshot import Machine
from agent.model import Application, ApplicationRef, Host, Need, Origins, Place, Scheme, Url, WhyNot, WindowsAuth
from agent.names import AccountName, HostName, Spn, fold, http_spn, spn, user_name
from agent.spn.clients import Client
from agent.spn.computer_names import Names
from agent.spn.directory import Directory
from agent.spn.domains import Domains
from agent.spn.identity import (
    NOT_ASKED,
    Computer,
    Decision,
    Identities,
    PoolIdentity,
    Surroundings,
    computer,
    decide,
    further_accounts,
    why_not,
)
from agent.spn.needs import Asking, SpnNeed
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
        self.known: dict[AccountName | str | None, dict[str, Wanted]] = {}
        """By account, and by the key of the SPN."""

    def server(self, server: ServerView) -> None:
        around = Surroundings(server.machine, self.domains, self.directory)
        deciding, asking = _Deciding(server.computer, Identities(around)), Asking(server.names, self.clients)
        for site in server.configuration.sites:
            reached = server.reach[site.name]
            there = _there(server, site, reached)
            needs: tuple[SpnNeed, ...] | None = None
            for application in site.applications:
                built = _application(server, there, application, deciding)
                self.applications.append(built.application)
                for decisions in built.decisions:
                    needs = asking.needs(reached) if needs is None else needs
                    is_up = is_started(application.pool, server.machine)
                    wanted = needs if is_up else _unreached(needs)
                    self._want(server, built.application, decisions, wanted)

    def _want(
        self, server: ServerView, application: Application, decisions: Decisions, needs: Iterable[SpnNeed]
    ) -> None:
        references: dict[str | None, ApplicationRef] = {}
        for need in needs:
            decision = decisions[server.names.kind_of(need.host)]
            if need.doubt:
                decision = decision.doubted(need.doubt)
            kind, rule = _need(need, decision), decision.rule_id
            known = self._wanted(server, decision, kind, need)
            if kind != "optional":
                known.provided = known.provided or server.names.provided(need.host)
            reference = references.get(rule)
            if reference is None:
                of = (application.server, application.site, application.path)
                reference = references[rule] = ApplicationRef(*of, rule)
            if not known.applications or known.applications[-1] != reference:
                known.applications.append(reference)

    def _wanted(self, server: ServerView, decision: Decision, kind: Need, need: SpnNeed) -> Wanted:
        name, account = http_spn(need.host, need.port), decision.account
        # computers that nobody named are not one computer
        unknown = server.label if account is None and decision.decryption != "impossible" else None
        of_account = self.known.setdefault(account or unknown, {})
        known = of_account.get(name.key)
        if known is not None:
            _strengthen(known, kind, need, decision)
            return known
        covered_by = spn(f"HOST/{need.host.spn_text}") if kind == "covered" else None
        known = Wanted(name, account, kind, covered_by, decision, need.variant_of, need.asked_by)
        of_account[name.key] = known
        self.wanted.append(known)
        return known


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

UNREAD = "a web.config could not be read, and may set what decides here"

_NOT_READ = _Decided("unread", dict.fromkeys(get_args(NameKind), Decision("uncertain", None, UNREAD)))


def _decide(auth: Auth, application: EffectiveApplication, identity: PoolIdentity, computer: Computer) -> _Decided:
    why = why_not(auth.settings, application.serves_http)
    if why is not None or auth.settings is None:
        return _Decided(why, _MAYBE_ASKED if auth.is_open and why in MAY_CHANGE else _NEVER_ASKED)
    decisions = {kind: decide(auth.settings, identity, computer, kind) for kind in get_args(NameKind)}
    if auth.is_open:
        decisions = {kind: decision.doubted(NOT_LOOKED_AT) for kind, decision in decisions.items()}
    return _Decided(None, decisions)


class _Deciding:
    """Who decrypts on one server: that follows from settings and identity, and many applications have the same."""

    def __init__(self, computer: Computer, identities: Identities) -> None:
        self._computer = computer
        self._identities = identities
        self._configured: dict[str, AccountName | None] = {}
        self._known: dict[tuple[int, WindowsAuth | None, bool, bool], _Decided] = {}
        """By identity (one object for all alike), settings, whether they may change, and whether HTTP is served."""

    def identity(self, application: EffectiveApplication) -> PoolIdentity:
        """What its pool is."""
        return self._identities.of(application.pool)

    def configured(self, pool: Pool | None, identity: PoolIdentity, machine: Machine) -> AccountName | None:
        """The account that the configuration names for a pool."""
        if pool is None or pool.identity_type != "SpecificUser" or not pool.user_name:
            return None
        if pool.user_name not in self._configured:
            self._configured[pool.user_name] = _configured_account(pool.user_name, identity, machine)
        return self._configured[pool.user_name]

    def decided(self, auth: Auth, application: EffectiveApplication, identity: PoolIdentity) -> _Decided:
        """What settings lead to with an identity."""
        if auth.fault is not None and auth.fault.id == "content-unread":  # no settings, as where IIS refuses them
            return _NOT_READ
        key = (id(identity), auth.settings, auth.is_open, application.serves_http)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _decide(auth, application, identity, self._computer)
        return found


class _There(NamedTuple):
    """What all applications of a site have in common: the names that lead to it, and how they are typed."""

    site: str
    kind: NameKind
    hosts: tuple[Host, ...]
    names_known: bool
    typed: tuple[tuple[Scheme, HostName, int], ...]


def _there(server: ServerView, site: Site, reached: Reach) -> _There:
    hosts = reached.hosts
    return _There(
        site=site.name,
        kind=server.names.kind_of(hosts[0].host) if hosts else "custom name",
        hosts=_hosts(server, hosts),
        names_known=not reached.unnamed,
        typed=tuple(_typed(server, site, reached)),
    )


class _Built(NamedTuple):
    """An application, and who decrypts for it and for places below, once for all that have the same settings."""

    application: Application
    decisions: tuple[Decisions, ...]


def _application(server: ServerView, there: _There, application: EffectiveApplication, deciding: _Deciding) -> _Built:
    identity = deciding.identity(application)
    own = deciding.decided(application.auth, application, identity)
    below = [
        (path, auth, deciding.decided(auth, application, identity))
        for path, auth in application.places
        if auth.settings != application.auth.settings or auth.fault is not None
    ]
    decision, path = own.decisions[there.kind], application.path
    built = Application(
        server=server.label,
        site=there.site,
        path=path,
        pool=application.pool_name,
        identity_type=application.pool.identity_type if application.pool else None,
        pool_account=deciding.configured(application.pool, identity, server.machine),
        windows_auth=application.auth.settings,
        origins=_origins(application.auth.origins, application.pool),
        negotiates=own.why_not is None,
        why_not=own.why_not,
        decryption=decision.decryption,
        decrypts_as=decision.account,
        rule=decision.rule_id,
        hosts=there.hosts if application.serves_http else (),
        names_known=not application.serves_http or there.names_known,
        urls=tuple([Url(*typed, path) for typed in there.typed]) if application.serves_http else (),
        places=tuple([_place(path, auth, decided, there.kind) for path, auth, decided in below]),
    )
    if not below:
        return _Built(built, () if own.why_not is not None else (own.decisions,))
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


def _hosts(server: ServerView, reached: tuple[Host, ...]) -> tuple[Host, ...]:
    """The names of the site, with the canonical names DNS gives for its aliases."""
    if server.names.service is None:
        return reached
    hosts = {host.host: host for host in reached}
    for host in reached:
        resolution = server.names.resolve(host.host)
        if resolution is not None and resolution.is_alias and resolution.addresses != ():
            hosts.setdefault(resolution.canonical, Host(resolution.canonical, "dns"))
    return tuple(hosts.values())


def _typed(server: ServerView, site: Site, reached: Reach) -> Iterator[tuple[Scheme, HostName, int]]:
    """The names of the site as people type them; a proxy that terminates TLS is reached by https."""
    schemes: dict[int, dict[Scheme, None]] = {}
    for binding in site.bindings:
        if binding.serves:
            schemes.setdefault(binding.port, {})["https" if binding.protocol == "https" else "http"] = None
    for name in reached.names:
        if name.host in server.names.behind_tls:
            yield "https", name.host, 443
        elif not name.optional:
            yield from ((scheme, name.host, port) for port in name.ports for scheme in schemes[port])


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


def _configured_account(text: str, identity: PoolIdentity, machine: Machine) -> AccountName | None:
    """The account that a user name means, also where a dMSA has taken it over."""
    user = user_name(text, machine.known_name or "")
    known = identity.known
    if known is not None and user.form == "domain" and fold(known.name.name) != fold(user.name):
        return AccountName(known.name.domain, user.name, known.name.dns)
    if identity.account is not None:
        return identity.account
    return AccountName(machine.known_name or ".", user.name) if user.form == "local" else None
