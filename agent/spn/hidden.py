"""Names that clients may use and no inspected site shows: SPNs on the accounts that decrypt give them away (R15.2).

Behind a load balancer, a VIP or ARR clients ask for the name in front, and the configuration of the nodes need not hold
it. That the nodes fail by their own names is then normal (R6.4, R6.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from agent.model import Application, ApplicationRef, Place
from agent.names import AccountName, Address, HostName, Likeness, Spn, host_name, ip_address, spn_fault
from agent.spn.directory import Directory
from agent.spn.nameservice import NameService, Resolution
from agent.spn.require import Required, ServerView, Wanted


class HiddenName(NamedTuple):
    """A host of an HTTP/ SPN on an account that decrypts, which no inspected site claims.

    `servers` are those on which the account decrypts, by label. `evidence` says what makes it a name that clients use
    to reach them; it is empty where nothing does, and the account may as well serve other servers.
    """

    host: HostName
    account: AccountName
    servers: tuple[str, ...]
    evidence: str = ""


def unclaimed(views: Sequence[ServerView], required: Required, directory: Directory | None) -> tuple[HiddenName, ...]:
    """The names of SPNs on the accounts that decrypt, as far as no inspected site claims them."""
    if directory is None:
        return ()
    claims = _Claims(views, required)
    return tuple(
        HiddenName(host, account, servers)
        for account, servers in _deciding(required.applications).items()
        for host in _hosts_held(directory, account)
        if not claims.claim(host)
    )


def judged(
    names: Iterable[HiddenName], views: Sequence[ServerView], service: NameService | None
) -> tuple[HiddenName, ...]:
    """The same with the evidence that clients use them; without those that lead to inspected servers alone."""
    scene = _Scene(views, service)
    open_ = (name for name in names if not scene.is_inspected(name.host))
    return tuple(name._replace(evidence=scene.evidence(name)) for name in open_)


def let_fail(
    required: Required, names: Iterable[HiddenName], views: Sequence[ServerView], directory: Directory | None
) -> Required:
    """Make the nodes' own names optional for the applications that clients reach by a hidden name, which nobody said.

    One that the account holds is meant to work, and those who type an alias of one ask for it: these stay.
    """
    behind = {(name.account, server) for name in names if name.evidence for server in name.servers}
    if not behind or directory is None:
        return required
    by_label = {view.label: view for view in views}
    applications = {application.reference: application for application in required.applications}
    unnamed: set[ApplicationRef] = set()
    for wanted in required.wanted:
        places = [applications[reference] for reference in wanted.applications]
        if wanted.account is None or _holds(directory, wanted.account, wanted.spn):
            continue
        if all(
            (wanted.account, place.server) in behind and _is_only_own(by_label[place.server], place, wanted)
            for place in places
        ):
            wanted.need, wanted.covered_by = "optional", None
            unnamed.update(wanted.applications)
    return required._replace(
        applications=tuple(
            [replace(one, names_known=False) if one.reference in unnamed else one for one in required.applications]
        )
    )


def _holds(directory: Directory, account: AccountName, name: Spn) -> bool:
    return any(directory.likeness(holder, account) is Likeness.SAME for holder in directory.seen(name))


def _is_only_own(server: ServerView, place: Application, wanted: Wanted) -> bool:
    """Whether the SPN is asked for a server's own name, and not for an alias of it."""
    names, host = server.names, wanted.spn.host
    if host not in names.own or wanted.variant_of:
        return False
    typed = (names.service.resolve(each.host, names.suffix) for each in place.hosts) if names.service else ()
    return not any(one is not None and one.is_alias and one.canonical == host for one in typed)


def _deciding(applications: Iterable[Application]) -> dict[AccountName, tuple[str, ...]]:
    """On which servers each pool's account decrypts."""
    found: dict[AccountName, dict[str, None]] = {}
    for application in applications:
        places: tuple[Application | Place, ...] = (application, *application.places)
        for place in places:
            if place.negotiates and place.decryption == "pool" and place.decrypts_as is not None:
                found.setdefault(place.decrypts_as, {})[application.server] = None
    return {account: tuple(servers) for account, servers in found.items()}


def _hosts_held(directory: Directory, account: AccountName) -> Iterator[HostName]:
    """The hosts of an account's HTTP/ SPNs; not the short form of one that is there in full."""
    known = directory.account(account)
    names = known.spns if known is not None else ()
    hosts = dict.fromkeys(
        name.host for name in names if name.service == "http" and spn_fault(name.text) is None and name.host.key
    )
    full = {host.first_label for host in hosts if not host.is_short and not host.is_address}
    return (host for host in hosts if not host.is_address and not (host.is_short and host in full))


class _Claims:
    """Which names inspected sites answer: those of their bindings, of DNS and the farm file, and what clients make of
    them. A proxy claims the names in front of it, which the servers behind it must serve: these do not count.
    """

    def __init__(self, views: Sequence[ServerView], required: Required) -> None:
        self._negotiating = {(place.server, place.site) for place in required.applications if place.negotiates}
        self._views = views
        self._required = required

    @cached_property
    def _hosts(self) -> frozenset[HostName]:
        hosts = {wanted.spn.host for wanted in self._required.wanted}
        for view in self._views:
            is_proxy = bool(view.configuration.web_farms)
            if not is_proxy:
                hosts |= view.names.own
            for site, reached in view.reach.items():
                if not is_proxy or (view.label, site) in self._negotiating:
                    hosts.update(name.host for name in reached.names)
        return frozenset(hosts)

    @cached_property
    def _wildcards(self) -> tuple[HostName, ...]:
        reaches = (reached for view in self._views for reached in view.reach.values())
        return tuple({b.host: None for reached in reaches for b in reached.wildcards if b.host is not None})

    @cached_property
    def _short(self) -> frozenset[HostName]:
        return frozenset(host.first_label for host in self._hosts if not host.is_address)

    def claim(self, host: HostName) -> bool:
        """Whether an inspected site answers the name."""
        if host in self._hosts or (host.is_short and host in self._short):
            return True
        return any(host.matches_wildcard(pattern) for pattern in self._wildcards)


class _Scene:
    """What DNS and the proxies among the servers say of a name."""

    def __init__(self, views: Sequence[ServerView], service: NameService | None) -> None:
        self._views = {view.label: view for view in views}
        self._service = service

    def is_inspected(self, host: HostName) -> bool:
        """Whether DNS leads a name to inspected servers, and to no proxy among them."""
        addresses = self._led_to(host)
        return bool(addresses) and addresses <= self._known - self._in_front

    def _led_to(self, host: HostName) -> set[Address]:
        return {address for resolution in self._resolutions(host) for address in resolution.addresses or ()}

    def evidence(self, name: HiddenName) -> str:
        """Why clients are likely to reach the servers by a name; empty where nothing says so, or it does not exist."""
        resolutions = self._resolutions(name.host)
        if resolutions and not any(resolution.exists for resolution in resolutions):
            return ""
        for proxy, named in self._proxies.items():
            if named.intersection(name.servers):
                return f"the web farm of {proxy} names {', '.join(sorted(named.intersection(name.servers)))}"
        addresses = {address for one in resolutions for address in one.addresses or ()}
        placed = all(self._addresses[label] for label in name.servers)
        if addresses and placed and not addresses & self._known:
            return f"DNS leads it to {', '.join(sorted(addresses))}, no address of a server inspected"
        if len(name.servers) > 1:
            return f"{len(name.servers)} inspected servers decrypt as that account"
        return ""

    def _resolutions(self, host: HostName) -> list[Resolution]:
        if self._service is None:
            return []
        suffixes = {view.names.suffix for view in self._views.values()} if host.is_short else {None}
        found = (self._service.resolve(host, suffix) for suffix in suffixes)
        return [resolution for resolution in found if resolution is not None]

    @cached_property
    def _addresses(self) -> Mapping[str, frozenset[Address]]:
        """The addresses of each server: its own word, and DNS for its full name."""
        found = {}
        for label, view in self._views.items():
            full = view.names.machine.full_name
            resolution = self._service.resolve(full) if self._service is not None and full is not None else None
            of_dns = (resolution.addresses or ()) if resolution is not None else ()
            found[label] = frozenset({*view.machine.addresses, *of_dns})
        return found

    @cached_property
    def _known(self) -> frozenset[Address]:
        return frozenset().union(*self._addresses.values())

    @cached_property
    def _in_front(self) -> frozenset[Address]:
        """The addresses of the proxies among the servers."""
        return frozenset().union(*(self._addresses[proxy] for proxy in self._proxies))

    @cached_property
    def _proxies(self) -> Mapping[str, frozenset[str]]:
        """Which inspected servers the web farms of each inspected proxy name, where they name any."""
        found = {}
        for proxy, view in self._views.items():
            meant = [each for text in view.configuration.web_farms for each in (host_name(text), ip_address(text))]
            if named := frozenset(label for each in meant for label in self._called.get(each, ())) - {proxy}:
                found[proxy] = named
        return found

    @cached_property
    def _called(self) -> Mapping[HostName | Address | None, Sequence[str]]:
        """The servers that have a name or an address."""
        found: dict[HostName | Address | None, list[str]] = {}
        for label, view in self._views.items():
            for name in view.names.own:
                found.setdefault(name, []).append(label)
            for address in self._addresses[label]:
                found.setdefault(address, []).append(label)
        return found
