"""Who answers a URL: the binding that http.sys takes, and the application below it, on each server it may lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.checks.case import Case
from agent.iis.bindings import Binding
from agent.iis.effective import EffectiveApplication
from agent.model import Application, Place
from agent.names import Address, HostName, fold, ip_address
from agent.spn.require import ServerView, is_started
from agent.story.url import Url


class Answering(NamedTuple):
    """The application that answers, with the place below it where other settings hold.

    `is_sure` False: a binding without a host header, and nothing says that the name leads to its server.
    """

    server: ServerView
    site: str
    binding: Binding
    application: Application
    place: Place | None
    is_sure: bool

    @property
    def is_started(self) -> bool:
        """Whether its pool runs, so that anybody answers at all."""
        return is_started(self.server.configuration.pools.get(fold(self.application.pool or "")), self.server.machine)

    def is_own(self, host: HostName) -> bool:
        """Whether a name is the server's own."""
        return not {host, self.server.names.in_full(host)}.isdisjoint(self.server.names.own)

    @property
    def decided(self) -> Application | Place:
        """What says which settings hold there."""
        return self.place or self.application

    @property
    def is_open(self) -> bool:
        """Whether a web.config that nobody looked at may switch Windows authentication on or off there."""
        known = self.server.effective(self.application.reference)
        return known is not None and _auth_is_open(known, self.place)


def _auth_is_open(application: EffectiveApplication, place: Place | None) -> bool:
    if place is None:
        return application.auth.is_open
    return any(auth.is_open for path, auth in application.places if path == place.path)


def answering(case: Case, url: Url) -> Iterator[Answering]:
    """The application on each server that can get the request; several: DNS or the farm file did not narrow it down.

    A binding without a host header answers every name. Where nothing says that the name leads to such a server, it
    counts only when no server is known to answer.
    """
    servers = list(_servers(case, url.host))
    known = {server.label for server in servers if leads_to(server, url.host)}
    found = [answer for server in servers if (answer := _answer(case, url, server, server.label in known)) is not None]
    if not found and not _is_known_elsewhere(case, url.host):
        silent = [server for server in servers if not (_addresses(server, url.host) and server.names.mine)]
        guessed = [answer for server in silent if (answer := _answer(case, url, server, True)) is not None]
        found = [answer._replace(is_sure=False) for answer in guessed]
    yield from found


def _answer(case: Case, url: Url, server: ServerView, catch_all: bool) -> Answering | None:
    found = binding_of(server, url, catch_all)
    if found is None:
        return None
    site, binding = found
    application = _application(case, server, site, url.path)
    if application is None:
        return None
    return Answering(server, site, binding, application, _place(application, url.path), True)


def _servers(case: Case, host: HostName) -> Iterator[ServerView]:
    declared = [name for name in case.farm if host in {name.host, name.host.first_label}]
    for server in case.servers:
        if declared:
            if any(name.includes(server.machine) for name in declared):
                yield server
            continue
        if not server.names.leads_to_another(host) and _may_lead_to(server, _addresses(server, host)):
            yield server


def _may_lead_to(server: ServerView, addresses: set[Address]) -> bool:
    """Whether requests to these addresses may reach the server; at an address of nobody inspected a proxy may stand."""
    mine = set(server.names.mine)
    return not mine or bool(addresses & mine) or not addresses & server.names.inspected.addresses


def _addresses(server: ServerView, host: HostName) -> set[Address]:
    """Where the name leads, as far as that is known."""
    if (typed := ip_address(host.key)) is not None:
        return {typed}
    return set(server.names.addresses(host))


def leads_to(server: ServerView, host: HostName) -> bool:
    """Whether the name is the server's own or declared for it, was seen to lead there, or DNS leads it there."""
    if {host, server.names.in_full(host)} & server.names.own or server.names.is_declared(host):
        return True
    if host in server.names.logged:
        return True
    return bool(_addresses(server, host) & set(server.names.mine))


def _is_known_elsewhere(case: Case, host: HostName) -> bool:
    """Whether the name is a server's own (which then does not answer there), or does not exist."""
    resolutions = [server.names.resolve(host) for server in case.servers]
    if resolutions and all(resolution is not None and not resolution.exists for resolution in resolutions):
        return True
    return any({host, server.names.in_full(host)} & server.names.own for server in case.servers)


def binding_of(server: ServerView, url: Url, catch_all: bool, starting: bool = True) -> tuple[str, Binding] | None:
    """http.sys: the exact host header, then a wildcard one, then one without, bound to the address or to all.

    Only the sites that start with IIS listen; or, to say so, only the others are looked at.
    """
    return _best(server, url, catch_all, lambda b: (b.protocol, b.port) == (url.scheme, url.port), starting)


def elsewhere(case: Case, url: Url) -> Iterator[tuple[ServerView, str, Binding]]:
    """Who answers the name over another scheme or port."""
    for server in _servers(case, url.host):
        found = _best(server, url, leads_to(server, url.host), lambda b: b.protocol in {"http", "https"})
        if found is not None:
            yield (server, *found)


def _best(
    server: ServerView, url: Url, catch_all: bool, listens: Callable[[Binding], bool], starting: bool = True
) -> tuple[str, Binding] | None:
    addresses = _addresses(server, url.host)
    ranked = []
    for site in server.configuration.sites:
        for binding in site.bindings if site.starts is starting else ():
            if binding.serves and listens(binding):
                rank = _rank(binding, url.host, addresses)
                if rank is not None and (catch_all or binding.host is not None):
                    ranked.append((rank, site.name, binding))
    if not ranked:
        return None
    _, site_name, best = min(ranked, key=lambda found: found[0])
    return site_name, best


def _rank(binding: Binding, typed: HostName, addresses: set[Address]) -> int | None:
    if binding.address and addresses and binding.address not in addresses:
        return None
    bound = 0 if binding.address else 1
    if binding.host is None:
        return 4 + bound
    if binding.host.is_wildcard:
        return 2 + bound if typed.matches_wildcard(binding.host) else None
    return bound if binding.host == typed else None


def _application(case: Case, server: ServerView, site: str, path: str) -> Application | None:
    """The application with the longest path that is a prefix of the URL's, segment by segment."""
    here = [each for each in case.of_site(server.label, site) if is_below(path, each.path)]
    return max(here, key=lambda application: len(application.path), default=None)


def _place(application: Application, path: str) -> Place | None:
    below = [place for place in application.places if is_below(path, place.path)]
    return max(below, key=lambda place: len(place.path), default=None)


def is_below(path: str, above: str) -> bool:
    """Whether a path is another one or stands below it, segment by segment."""
    folded, top = fold(path).rstrip("/"), fold(above).rstrip("/")
    return folded == top or folded.startswith(f"{top}/")
