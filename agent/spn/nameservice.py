"""What the name service says, in memory: the system resolver, a chosen server and zone files end in one view."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from agent.names import Address, HostName

if TYPE_CHECKING:
    from agent.model import Problem, SourceRead


class Resolution(Struct, frozen=True, kw_only=True):
    """What a client learns when it resolves a name.

    `chain` starts with the full name asked for and ends with the owner of the address records: more than one entry
    means an alias. No address and `exists` False: NXDOMAIN. `addresses` None: an alias, and where its last known name
    leads nobody looked up (it stands in no zone that was given, or its server did not answer).
    """

    chain: tuple[HostName, ...]
    addresses: tuple[Address, ...] | None
    exists: bool = True

    @property
    def canonical(self) -> HostName:
        """The owner name of the address records: what canonicalising clients put into the SPN (rules, section 3).

        Where the end is not known, the last name that is: they ask for that one, or for what it leads to (rule R15.7).
        """
        return self.chain[-1]

    @property
    def is_alias(self) -> bool:
        return len(self.chain) > 1


class Listed(Mapping[HostName, Resolution]):
    """Answers that are made when they are asked for, by somebody who finds the aliases among them without the rest."""

    @abstractmethod
    def aliases(self) -> Iterator[tuple[HostName, Resolution]]:
        """The names that are aliases, and what they lead to."""


class NameService(Struct, frozen=True, kw_only=True, dict=True):
    """Answers by folded full name, names by address, PTR names by address; a missing key was not or could not be asked.

    `suffixes` are tried in order for short names. Only zone files can say which names lead to an address that nobody
    named before, and that a name of theirs without a record does not exist. `zones` are those that were shown: where
    one ends and another begins no name tells.
    """

    source: str
    suffixes: tuple[str, ...] = ()
    zones: tuple[HostName, ...] = ()
    answers: Mapping[HostName, Resolution] = field(default_factory=dict)
    names_by_address: Mapping[Address, tuple[HostName, ...]] = field(default_factory=dict)
    pointers: Mapping[Address, HostName] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    read: tuple[SourceRead, ...] = ()

    def resolve(self, host: HostName, suffix: str | None = None) -> Resolution | None:
        """What a client gets for this name; a short one under `suffix`, then the search list. None: nobody looked."""
        if not host.is_short:
            return self.answers.get(host)
        last: Resolution | None = None
        for domain in dict.fromkeys((*((suffix,) if suffix else ()), *self.suffixes)):
            last = self.answers.get(host.under(domain))
            if last is not None and last.exists:
                return last
        return last

    def zone_of(self, host: HostName) -> HostName | None:
        """The zone whose server has the records of a name: the nearest one that was shown; None: nobody knows it."""
        around = [zone for zone in self.zones if host.key.endswith(f".{zone.key}")]
        return max(around, key=lambda zone: len(zone.key), default=None)

    @cached_property
    def aliases_by_end(self) -> Mapping[HostName, tuple[HostName, ...]]:
        """The names whose aliases lead to a name that nobody looked up, by that name."""
        names: dict[HostName, list[HostName]] = {}
        for host, found in self.aliases():
            if found.addresses is None and not host.is_wildcard:
                names.setdefault(found.canonical, []).append(host)
        return {end: tuple(hosts) for end, hosts in names.items()}

    def aliases(self) -> Iterator[tuple[HostName, Resolution]]:
        """The names that are aliases, and what they lead to."""
        if isinstance(self.answers, Listed):
            return self.answers.aliases()
        return ((host, found) for host, found in self.answers.items() if found.is_alias)


AskNames = Callable[[Sequence[HostName], Sequence[str]], NameService | None]
"""A source of names, given the host names and addresses that occur: None where nobody is to be asked."""
