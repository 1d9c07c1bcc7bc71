"""Names x client kinds: which SPNs clients of a site may ask for. Looks at no account and at no holder."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from agent.names import HostName
from agent.spn.clients import Canonicalisation, Client, asked_hosts, asked_port
from agent.spn.computer_names import Names
from agent.spn.reach import Reach


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


class Asking:
    """What clients of some kinds ask for, as seen from the network of one server."""

    def __init__(self, names: Names, clients: Iterable[Client]) -> None:
        self.names = names
        self.kinds = _kinds(clients)

    def needs(self, reached: Reach) -> tuple[SpnNeed, ...]:
        """The union over the names of a site that clients use and the client kinds, canonical names included."""
        collected = _Collected(self.names)
        for name in reached.names:
            collected.typed(name.host, name.optional)
        for name in reached.names:
            reachable = not name.optional or (name.source == "machine" and name.host not in self.names.own)
            for alike in self.kinds:
                if not name.optional or (reachable and alike.first.host.keeps_short):
                    collected.asked(alike, name.host, name.ports)
        return collected.needs()


class _Alike(NamedTuple):
    """Clients that ask for the same names, one of them first, each with its place among all that were asked about."""

    first: Client
    named: frozenset[tuple[int, str]]


def _kinds(clients: Iterable[Client]) -> tuple[_Alike, ...]:
    """What distinguishes clients is how they treat host and port."""
    groups: dict[tuple[Canonicalisation, bool], list[tuple[int, Client]]] = {}
    for place, client in enumerate(clients):
        groups.setdefault((client.host, client.port), []).append((place, client))
    return tuple(
        [_Alike(these[0][1], frozenset((place, client.name) for place, client in these)) for these in groups.values()]
    )


class _Asked(Struct):
    """One host and port, and who asks for it; `doubt` where nobody is known to."""

    host: HostName
    port: int | None
    optional: bool
    doubt: str
    clients: frozenset[tuple[int, str]] = frozenset()

    def again(self, optional: bool, doubt: str) -> _Asked:
        """The same for a further name that leads to it."""
        self.optional = self.optional and optional
        self.doubt = self.doubt and doubt
        return self


def spn_hosts(client: Client, typed: HostName, names: Names) -> tuple[HostName, ...]:
    """The host names a client puts into its SPN for what is typed, as seen from the network of one server.

    None for the name of the machine itself: Windows takes no ticket for it (rule R2.13).
    """
    if typed.is_loopback:
        return ()
    hosts = asked_hosts(client, typed, names.service, names.suffix)
    full, short = names.full, names.short
    if short is None or typed.key != short.key or full is None or full.first_label == typed:
        return hosts
    # the first 15 characters of a longer name: DNS has the longer one, nothing makes a full name of these
    return hosts if names.addresses(typed) else (typed,)


def spn_doubt(client: Client, typed: HostName, names: Names) -> str:
    """Why a client may ask for another SPN than for these hosts, or another key open it; "" where nothing says so."""
    return _doubt(client, typed, spn_hosts(client, typed, names), names)


def _doubt(client: Client, typed: HostName, hosts: tuple[HostName, ...], names: Names) -> str:
    end = names.open_end(typed) if client.host.follows else None
    if end is None:
        if hosts == (typed,) and typed.is_short and not client.host.keeps_short and names.suffix is None:
            return f"below which DNS suffix clients look for {typed} is not known: give --computer"
        return names.doubt(typed) or next((doubt for host in hosts if (doubt := names.doubt(host))), "")
    return f"{typed} is an alias of {end}, and where that leads is not known: {how_to_know(end)}"


def how_to_know(end: HostName) -> str:
    """What shows where the last known name of a chain of aliases leads."""
    return f"give the zone of {end.suffix or end} (--dns)"


class _Collected:
    """By the key of the host, and the port."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.found: dict[tuple[str, int | None], _Asked] = {}
        self.is_typed: set[str] = set()
        self.variants: dict[str, dict[HostName, None]] = {}

    def typed(self, host: HostName, optional: bool) -> None:
        self.is_typed.add(host.key)
        self._note(host, None, optional, self.names.doubt(host))

    def _note(self, host: HostName, port: int | None, optional: bool = False, doubt: str = "") -> _Asked:
        known = self.found.get((host.key, port))
        if known is None:
            known = self.found[host.key, port] = _Asked(host, port, optional, doubt)
            return known
        return known.again(optional, doubt)

    def asked(self, alike: _Alike, typed: HostName, ports: Iterable[int]) -> None:
        """What clients that ask alike make of a name."""
        client, hosts = alike.first, spn_hosts(alike.first, typed, self.names)
        doubt = _doubt(client, typed, hosts, self.names)
        for host in hosts:
            self._note(host, None, doubt=doubt).clients |= alike.named
            if host.key != typed.key:
                self.variants.setdefault(host.key, {})[typed] = None
            for port in ports if client.port else ():
                if asked_port(client, port) is not None:
                    self._note(host, port, doubt=doubt).clients |= alike.named

    def needs(self) -> tuple[SpnNeed, ...]:
        return tuple([self._need(asked) for asked in self.found.values()])

    def _need(self, asked: _Asked) -> SpnNeed:
        host = asked.host
        variant_of = () if host.key in self.is_typed else tuple(self.variants.get(host.key, ()))
        asked_by = _in_order(asked.clients)
        return SpnNeed(host, asked.port, asked.optional, self._aliased(host), variant_of, asked_by, asked.doubt)

    def _aliased(self, host: HostName) -> bool:
        resolution = self.names.resolve(host)
        return resolution is not None and resolution.is_alias and resolution.canonical in self.names.own


@lru_cache
def _in_order(clients: frozenset[tuple[int, str]]) -> tuple[str, ...]:
    """The same tuple for all the SPNs that the same clients ask for."""
    return tuple([name for _, name in sorted(clients)])
