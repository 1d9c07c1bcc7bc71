"""What zone files (RFC 1035 section 5) say about names: the only source that can name *every* name of a zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agent.model import Problem, SourceRead
from agent.names import Address, HostName, host_name, printable
from agent.sources.dns.zone_records import MOST_TOLD, Book, Entered, Owner, enter_file, is_reverse, problem
from agent.sources.text_file import written
from agent.spn.nameservice import NameService, Resolution

LONGEST_CHAIN = 16


def read_zones(paths: Sequence[Path]) -> NameService:
    """Every name, alias, address and PTR record of these zone files; what cannot be read is a problem each."""
    book = Book()
    read = [_read(path, enter_file(path, book)) for path in paths]
    zones = _Zones(
        origins=frozenset(book.complete) - book.redirected,
        cuts=frozenset(book.cuts),
        owners=book.owners,
        existing=_with_ancestors(book),
    )
    shown = [origin for origin in book.zones if not is_reverse(origin)]
    listed = {host: found for host in book.owners if (found := _resolution_of(host, zones))}
    return NameService(
        source=", ".join(str(path) for path in paths),
        suffixes=tuple(origin.text for origin in shown),
        zones=tuple(shown),
        answers=ZoneAnswers(zones, listed),
        names_by_address=_names_by_address(listed),
        pointers=book.pointers,
        problems=(*book.problems, *islice(_circles(zones, listed), MOST_TOLD)),
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


class ZoneAnswers(Mapping[HostName, Resolution]):
    """Iterates over the owners of A, AAAA and CNAME records; `[]` answers any name as the zones' server would.

    That is: wildcards are expanded (RFC 4592), a name of the zone that is in no record does not exist (RFC 8020).
    A name of no zone, of a delegated child, or of a zone whose file has faults and does not show it, is a KeyError.
    """

    def __init__(self, zones: _Zones, listed: Mapping[HostName, Resolution]) -> None:
        self._zones = zones
        self._listed = listed

    def __getitem__(self, host: HostName) -> Resolution:
        found = self._listed.get(host) or self._zones.resolve(host)
        if found is None:
            raise KeyError(host)
        return found

    def __iter__(self) -> Iterator[HostName]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


# -- answering -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zones:
    """All zones together. `origins`: whose absent names are known to be absent; `cuts`: what is delegated away."""

    origins: frozenset[HostName]
    cuts: frozenset[HostName]
    owners: Mapping[HostName, Owner]
    existing: frozenset[HostName]

    def resolve(self, host: HostName) -> Resolution | None:
        """The chain of aliases from this name (RFC 1034 section 3.6.2), or None where no zone can know it."""
        chain = [host]
        while (owner := self.match(chain[-1])) and (owner.alias or owner.addresses):
            if owner.alias is None:
                return Resolution(chain=tuple(chain), addresses=tuple(owner.addresses))
            if owner.alias in chain or len(chain) > LONGEST_CHAIN:
                return Resolution(chain=tuple(chain), addresses=(), exists=False)
            chain.append(owner.alias)
        if self.covers(chain[-1]):
            return Resolution(chain=tuple(chain), addresses=(), exists=chain[-1] in self.existing)
        return Resolution(chain=tuple(chain), addresses=None) if len(chain) > 1 else None

    def match(self, host: HostName) -> Owner | None:
        """The records of the name itself, else of the wildcard at its closest encloser (RFC 4592 section 3.3.1)."""
        if host in self.existing:
            return self.owners.get(host)
        for parent in _parents(host):
            if parent in self.existing:
                return self.owners.get(host_name(f"*.{parent.spn_text}"))
        return None

    def covers(self, host: HostName) -> bool:
        """Whether absence of this name means that it does not exist: a zone's own name, not a delegated one's.

        Below a name that is absent too may be a zone of its own: a server that holds both needs no delegation.
        """
        if host not in self.existing and host_name(host.suffix) not in self.existing:
            return False
        for name in (host, *_parents(host)):
            if name in self.origins:
                return True
            if name in self.cuts:
                return False
        return False


def _parents(host: HostName) -> Iterator[HostName]:
    while host.suffix:
        host = host_name(host.suffix)
        yield host


def _with_ancestors(book: Book) -> frozenset[HostName]:
    """All owners and the empty names between them and their zone: those exist too (RFC 4592 section 2.2.2)."""
    existing = {*book.owners, *book.zones}
    for owner in book.owners:
        for parent in _parents(owner):
            if parent in existing:
                break
            existing.add(parent)
    return frozenset(existing)


def _resolution_of(host: HostName, zones: _Zones) -> Resolution | None:
    owner = zones.owners[host]
    if owner.alias is None:
        return Resolution(chain=(host,), addresses=tuple(owner.addresses)) if owner.addresses else None
    return zones.resolve(host)


def _names_by_address(listed: Mapping[HostName, Resolution]) -> dict[Address, tuple[HostName, ...]]:
    names: dict[Address, list[HostName]] = {}
    for host, found in listed.items():
        if not host.is_wildcard:
            for address in found.addresses or ():
                names.setdefault(address, []).append(host)
    return {address: tuple(hosts) for address, hosts in names.items()}


def _circles(zones: _Zones, listed: Mapping[HostName, Resolution]) -> Iterator[Problem]:
    """One problem for each circle of aliases, and for chains that no resolver follows to their end."""
    told: set[HostName] = set()
    for host, found in listed.items():
        last = None if found.exists else zones.match(found.chain[-1])
        if last is None or not told.isdisjoint(found.chain):
            continue
        told.update(found.chain)
        where = zones.owners[host]
        path = " -> ".join(printable(str(name)) for name in (*found.chain, last.alias))
        yield problem(where.file, where.line, f"the aliases lead in a circle or too far: {path}")
