"""The servers as they will be: what is changed on one is changed for all that read the same file."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from agent.checks.case import Case, Judged
from agent.iis.authentication import Auth
from agent.iis.bindings import Binding
from agent.iis.effective import Configuration, EffectiveApplication, Pool, Site
from agent.model import ApplicationRef, Origin
from agent.names import AccountName, Address, HostName, fold, path_key
from agent.spn.identity import PoolIdentity, Surroundings, decide, pool_identity, why_not
from agent.spn.nameservice import NameService, Resolution
from agent.spn.require import ServerView, require, server_view
from agent.spn.verdict import judge

K = TypeVar("K")
V = TypeVar("V")


class Overlay:
    """Changes in memory, above what was read."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.configurations: dict[str, Configuration] = {view.label: view.configuration for view in case.servers}
        self.service: NameService | None = case.service

    # -- changing ----------------------------------------------------------------------------------------------

    def pool(self, labels: Iterable[str], pool: Pool) -> None:
        """Give a pool another identity."""
        for label in labels:
            configuration = self.configurations[label]
            sites = tuple(_with_pool(site, pool) for site in configuration.sites)
            pools = {**configuration.pools, fold(pool.name): pool}
            self.configurations[label] = replace(configuration, sites=sites, pools=pools)

    def setting(self, readers: Iterable[ApplicationRef], page: str | None, attribute: str, value: bool) -> None:
        """Set one windowsAuthentication attribute of applications, or of a page below them."""
        for reader in readers:
            configuration = self.configurations[reader.server]
            sites = tuple(
                _with_setting(site, reader, page, attribute, value) if site.name == reader.site else site
                for site in configuration.sites
            )
            self.configurations[reader.server] = replace(configuration, sites=sites)

    def binding(self, labels: Iterable[str], site_name: str, binding: Binding) -> None:
        """Add a binding to a site."""
        for label in labels:
            configuration = self.configurations[label]
            sites = tuple(
                replace(site, bindings=(*site.bindings, binding)) if site.name == site_name else site
                for site in configuration.sites
            )
            self.configurations[label] = replace(configuration, sites=sites)

    def record(self, host: HostName, address: Address) -> None:
        """Let a name lead to one address."""
        if self.service is None:
            return
        names, before = self.service.names_by_address, self.service.answers.get(host)
        if names:
            led = {at: names.get(at, ()) for at in (*((before and before.addresses) or ()), address)}
            others = {at: tuple([name for name in there if name != host]) for at, there in led.items()}
            names = _above(names, {**others, address: (*others[address], host)})
        answers = _above(self.service.answers, {host: Resolution(chain=(host,), addresses=(address,))})
        self.service = replace(self.service, answers=answers, names_by_address=names)

    # -- looking -----------------------------------------------------------------------------------------------

    def together(self, label: str) -> tuple[str, ...]:
        """The servers that read the same applicationHost.config, this one first."""
        shared = self.configurations[label].shared
        if shared is None:
            return (label,)
        return (label, *(one for one, found in self.configurations.items() if found.shared == shared and one != label))

    def application(self, at: ApplicationRef) -> EffectiveApplication:
        """One application as it is now."""
        found = self.configurations[at.server].application(at.site, at.path)
        if found is None:
            raise LookupError(at)
        return found

    def identity(self, at: ApplicationRef) -> PoolIdentity:
        """What its pool runs as."""
        view = self.case.by_label[at.server]
        around = Surroundings(view.machine, self.case.domains, self.case.directory)
        return pool_identity(self.application(at).pool, around)

    def decryptors(self, at: ApplicationRef) -> tuple[AccountName | None, ...]:
        """Whose keys open the tickets there: of the application and of each page that negotiates."""
        view, application, identity = self.case.by_label[at.server], self.application(at), self.identity(at)
        every = (application.auth.settings, *(auth.settings for _, auth in application.places))
        asking = (settings for settings in every if settings is not None)
        return tuple(
            [
                decide(settings, identity, view.computer, "custom name").account
                for settings in asking
                if why_not(settings, application.serves_http) is None
            ]
        )

    def everyones(self, labels: Iterable[str]) -> dict[ApplicationRef, tuple[AccountName | None, ...]]:
        """Whose keys open the tickets at every application of these servers."""
        found = (each.reference for each in self.case.applications if each.server in labels)
        return {at: self.decryptors(at) for at in found}

    def after(self) -> Case:
        """The case that follows, held against the directory of today."""
        views = [self._view(view) for view in self.case.servers]
        case = self.case
        required = require(views, case.clients, case.domains, case.directory)
        judged = tuple(Judged(one, judge(one, case.directory, self.service)) for one in required.wanted)
        return replace(
            case, servers=views, applications=required.applications, judged=judged, service=self.service, hidden=()
        )

    def _view(self, view: ServerView) -> ServerView:
        configuration = self.configurations[view.label]
        if configuration is view.configuration and self.service is self.case.service:
            return view
        names = replace(view.names, service=self.service)
        return server_view(view.label, view.machine, configuration, names, self.case.domains)


def _above(known: Mapping[K, V], more: Mapping[K, V]) -> Mapping[K, V]:
    """What is known, and what is known otherwise: a zone has more names than it would be good to copy."""
    if isinstance(known, ChainMap):
        return ChainMap({**known.maps[0], **more}, *known.maps[1:])
    return ChainMap(dict(more), known)  # type: ignore[arg-type]  # nobody writes into it


def _with_pool(site: Site, pool: Pool) -> Site:
    applications = tuple(
        replace(each, pool=pool) if each.pool is not None and fold(each.pool.name) == fold(pool.name) else each
        for each in site.applications
    )
    return replace(site, applications=applications)


def _with_setting(site: Site, at: ApplicationRef, page: str | None, attribute: str, value: bool) -> Site:
    """An application's own value holds for those below it that say nothing themselves."""
    applications = tuple(
        _set(each, page, attribute, value)
        if each.path == at.path or (page is None and _inherits(each, at, attribute))
        else each
        for each in site.applications
    )
    return replace(site, applications=applications)


def _inherits(application: EffectiveApplication, at: ApplicationRef, attribute: str) -> bool:
    """Whether an application below another one has the value of that one, or of a level above both."""
    above = at.path.rstrip("/")
    if application.path == at.path or not fold(application.path).startswith(fold(f"{above}/")):
        return False
    origin = _origin(application.auth, attribute)
    if origin is None or origin.why == "explicit":
        return origin is None
    return path_key(f"{at.site}{above}").startswith(path_key(origin.location))


def _origin(auth: Auth, attribute: str) -> Origin | None:
    return auth.origins.kernel_mode if attribute == "useKernelMode" else auth.origins.pool_credentials


def _set(application: EffectiveApplication, page: str | None, attribute: str, value: bool) -> EffectiveApplication:
    """An application's own value holds for places below that say nothing themselves."""
    places = tuple(_set_places(application.places, page, attribute, value))
    if page is not None:
        return replace(application, places=places)
    return replace(application, auth=_changed(application.auth, attribute, value), places=places)


def _set_places(
    places: Sequence[tuple[str, Auth]], page: str | None, attribute: str, value: bool
) -> Iterator[tuple[str, Auth]]:
    for path, auth in places:
        origin = _origin(auth, attribute)
        inherits = page is None and (origin is None or origin.why != "explicit")
        yield path, _changed(auth, attribute, value) if path == page or inherits else auth


def _changed(auth: Auth, attribute: str, value: bool) -> Auth:
    if auth.settings is None:
        return auth
    if attribute == "useKernelMode":
        return replace(auth, settings=replace(auth.settings, kernel_mode=value))
    return replace(auth, settings=replace(auth.settings, pool_credentials=value))
