"""Names x client kinds: which SPNs clients of a site may ask for. Looks at no account and at no holder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct, field

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


def spn_needs(reached: Reach, names: Names, clients: Sequence[Client]) -> tuple[SpnNeed, ...]:
    """The union over the names that clients use and the client kinds asked about, canonical names included."""
    collected = _Collected(names, clients)
    for name in reached.names:
        collected.typed(name.host, name.optional, names.doubt(name.host))
    for name in reached.names:
        reachable = not name.optional or (name.source == "machine" and name.host not in names.own)
        for alike in collected.alike:
            if not name.optional or (reachable and alike[0].host.keeps_short):
                collected.asked(alike, name.host, name.ports)
    return tuple(collected.needs())


class _Asked(Struct):
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
    """The host names a client puts into its SPN for what is typed, as seen from the network of one server.

    None for the name of the machine itself: Windows takes no ticket for it (rule R2.13).
    """
    if typed.is_loopback:
        return ()
    hosts = asked_hosts(client, typed, names.service, names.suffix)
    full = names.machine.full_name
    if typed != names.machine.short_name or full is None or full.first_label == typed:
        return hosts
    # the first 15 characters of a longer name: DNS has the longer one, nothing makes a full name of these
    return hosts if names.addresses(typed) else (typed,)


def spn_doubt(client: Client, typed: HostName, names: Names) -> str:
    """Why a client may ask for another SPN than for these hosts, or another key open it; "" where nothing says so."""
    end = names.open_end(typed) if client.host.follows else None
    if end is None:
        hosts = spn_hosts(client, typed, names)
        if hosts == (typed,) and typed.is_short and not client.host.keeps_short and names.suffix is None:
            return f"below which DNS suffix clients look for {typed} is not known: give --computer"
        return names.doubt(typed) or next((doubt for host in hosts if (doubt := names.doubt(host))), "")
    return f"{typed} is an alias of {end}, and where that leads is not known: {how_to_know(end)}"


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

    def typed(self, host: HostName, optional: bool, doubt: str) -> None:
        self.is_typed.add(host)
        self._note(host, None, optional, doubt)

    def _note(self, host: HostName, port: int | None, optional: bool = False, doubt: str = "") -> _Asked:
        known = self.found.get((host, port))
        if known is None:
            known = self.found[host, port] = _Asked(optional, doubt)
        return known.again(optional, doubt)

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
