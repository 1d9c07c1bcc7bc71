"""What zone files (RFC 1035 section 5) say about names: the only source that can name *every* name of a zone.

Within this module names are their keys. A zone has many, and only of those that are asked for a `HostName` is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from agent.model import Problem, SourceRead
from agent.names import Address, HostName, host_key, host_name, keys_above, printable
from agent.sources.dns.zone_records import MOST_TOLD, Book, Entered, Owner, enter_file, is_reverse, problem
from agent.sources.text_file import written
from agent.spn.nameservice import Listed, NameService, Resolution

LONGEST_CHAIN = 16


def read_zones(paths: Sequence[Path]) -> NameService:
    """Every name, alias, address and PTR record of these zone files; what cannot be read is a problem each."""
    book = Book()
    read = [_read(path, enter_file(path, book)) for path in paths]
    zones = _Zones(book)
    shown = [origin for origin in book.zones if not is_reverse(origin)]
    return NameService(
        source=", ".join(str(path) for path in paths),
        suffixes=tuple(origin.text for origin in shown),
        zones=tuple(shown),
        answers=ZoneAnswers(zones),
        names_by_address=_NamesByAddress(zones),
        pointers=_Pointers(book.pointers),
        problems=(*book.problems, *islice(_circles(zones), MOST_TOLD)),
        read=tuple(read),
    )


def _read(path: Path, entered: Entered) -> SourceRead:
    note = f"zone scope {printable(entered.scope)}: only clients that a DNS policy leads there get these answers"
    return SourceRead(
        kind="dns",
        source=str(path),
        date=written(path),
        covers=tuple([zone.text for zone in entered.whole]),
        note=note if entered.scope else None,
    )


class ZoneAnswers(Listed):
    """Iterates over the owners of A, AAAA and CNAME records; `[]` answers any name as the zones' server would.

    That is: wildcards are expanded (RFC 4592), a name of the zone that is in no record does not exist (RFC 8020).
    A name of no zone, of a delegated child, or of a zone whose file has faults and does not show it, is a KeyError.
    """

    def __init__(self, zones: _Zones) -> None:
        self._zones = zones

    def __getitem__(self, host: HostName) -> Resolution:
        owner = self._zones.owners.get(host.key)
        as_written = host if owner is None or not owner.leads else host_name(owner.text)
        found = self._zones.follow(host.key)
        if found is None:
            raise KeyError(host)
        return _resolution(as_written, found)

    def __iter__(self) -> Iterator[HostName]:
        return (host_name(owner.text) for owner in self._zones.owners.values() if owner.leads)

    def __len__(self) -> int:
        return sum(owner.leads for owner in self._zones.owners.values())

    def aliases(self) -> Iterator[tuple[HostName, Resolution]]:
        for key, owner in self._zones.owners.items():
            if owner.alias is not None and (found := self._zones.follow(key)) and found.targets:
                yield (host := host_name(owner.text)), _resolution(host, found)


class _NamesByAddress(Mapping[Address, tuple[HostName, ...]]):
    def __init__(self, zones: _Zones) -> None:
        self._zones = zones
        self._named: dict[Address, tuple[HostName, ...]] = {}

    def __getitem__(self, address: Address) -> tuple[HostName, ...]:
        """Made once: a server asks for its own address for each of its wildcard sites."""
        if address not in self._named:
            self._named[address] = tuple([host_name(owner.text) for owner in self._owners[address]])
        return self._named[address]

    def __iter__(self) -> Iterator[Address]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    @cached_property
    def _owners(self) -> Mapping[Address, Sequence[Owner]]:
        found: dict[Address, list[Owner]] = {}
        for key, owner in self._zones.owners.items():
            if owner.leads and "*" not in key:
                for address in owner.addresses or self._zones.addresses_of(key):
                    found.setdefault(address, []).append(owner)
        return found


class _Pointers(Mapping[Address, HostName]):
    """What the PTR records say, by the address whose name they are of (RFC 1035 section 3.5, RFC 3596 section 2.5)."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = targets

    def __getitem__(self, address: Address) -> HostName:
        return host_name(self._targets[ipaddress.ip_address(address).reverse_pointer])

    def __iter__(self) -> Iterator[Address]:
        from agent.sources.dns.zone_spelling import pointing

        return (address for owner in self._targets if (address := pointing(owner)) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


# -- answering -----------------------------------------------------------------------------------------------------


class _Chain(NamedTuple):
    """Where a name leads: the targets of its aliases as written, and the addresses of the last (see `Resolution`)."""

    targets: tuple[str, ...]
    addresses: Collection[Address] | None
    exists: bool = True


def _resolution(host: HostName, found: _Chain) -> Resolution:
    return Resolution(
        chain=(host, *map(host_name, found.targets)),
        addresses=None if found.addresses is None else tuple(found.addresses),
        exists=found.exists,
    )


class _Zones:
    """All zones together."""

    def __init__(self, book: Book) -> None:
        self.owners: Mapping[str, Owner] = book.owners
        self._origins = {zone.key for zone in book.complete} - book.redirected
        """Whose absent names are known to be absent."""
        self._cuts = book.cuts
        """What is delegated away."""
        self._tops = {zone.key for zone in book.zones}

    def follow(self, key: str) -> _Chain | None:
        """The chain of aliases from this name (RFC 1034 section 3.6.2), or None where no zone can know it."""
        targets: list[str] = []
        met = [key]
        while (owner := self.match(met[-1])) and owner.leads:
            if owner.alias is None:
                return _Chain(tuple(targets), owner.addresses)
            if owner.target in met or len(met) > LONGEST_CHAIN:
                return _Chain(tuple(targets), (), exists=False)
            targets.append(owner.alias)
            met.append(owner.target)
        if self._covers(met[-1]):
            return _Chain(tuple(targets), (), exists=self._exists(met[-1]))
        return _Chain(tuple(targets), None) if targets else None

    def addresses_of(self, key: str) -> Collection[Address]:
        """The addresses that a name leads to, as far as the zones know them."""
        found = self.follow(key)
        return (found and found.addresses) or ()

    def match(self, key: str) -> Owner | None:
        """The records of the name itself, else of the wildcard at its closest encloser (RFC 4592 section 3.3.1)."""
        if (owner := self.owners.get(key)) or self._exists(key):
            return owner
        for parent in keys_above(key):
            if self._exists(parent):
                return self.owners.get(f"*.{parent}")
        return None

    def _covers(self, key: str) -> bool:
        """Whether absence of this name means that it does not exist: a zone's own name, not a delegated one's.

        Below a name that is absent too may be a zone of its own: a server that holds both needs no delegation.
        """
        if not self._exists(key) and not self._exists(key.partition(".")[2]):
            return False
        for name in (key, *keys_above(key)):
            if name in self._origins:
                return True
            if name in self._cuts:
                return False
        return False

    def _exists(self, key: str) -> bool:
        return key in self.owners or key in self._between

    @cached_property
    def _between(self) -> Collection[str]:
        """The zones, and the empty names between them and their owners: those exist too (RFC 4592 section 2.2.2)."""
        found = set(self._tops)
        for owner in self.owners:
            for parent in keys_above(owner):
                if parent in found or parent in self.owners:
                    break
                found.add(parent)
        return found


def _circles(zones: _Zones) -> Iterator[Problem]:
    """One problem for each circle of aliases, and for chains that no resolver follows to their end."""
    told: set[str] = set()
    for key, owner in zones.owners.items():
        if owner.alias is None or (found := zones.follow(key)) is None or found.exists:
            continue
        chain = (key, *map(host_key, found.targets))
        last = zones.match(chain[-1])
        if last is None or last.alias is None or not told.isdisjoint(chain):
            continue
        told.update(chain)
        path = " -> ".join(map(printable, (owner.text, *found.targets, last.alias)))
        yield problem(owner.file, owner.line, f"the aliases lead in a circle or too far: {path}")
