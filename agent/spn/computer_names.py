"""Where any name leads, as one server sees it: its own names, those of the farm file, DNS, the other computers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.iis.snapshot import Machine
from agent.model import HostSource
from agent.names import AccountName, Address, HostName, Spn, fold, host_name, is_loopback
from agent.spn.nameservice import NameService, Resolution
from agent.spn.rules import NameKind

Proxy = Literal["terminates-tls", "passthrough", "same-certificate"]
"""What stands in front: it ends TLS, passes it through, or ends it and begins it anew with the server's certificate."""


class Delegate(NamedTuple):
    """A front end that asks for tickets in the name of its users: its account, and the SPN it asks for."""

    account: AccountName
    spn: Spn


class FarmName(Struct, frozen=True, kw_only=True, dict=True):
    """One `[[name]]` of the farm file: what clients type, what answers, and what stands between.

    `source`: who says so. `short`: people type its first label too.
    """

    host: HostName
    servers: tuple[str, ...]
    site: str | None = None
    proxy: Proxy | None = None
    delegate: Delegate | None = None
    source: HostSource = "farm"
    short: bool = False

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(map(fold, self.servers))

    def includes(self, machine: Machine) -> bool:
        """Whether the machine is one of the servers named, by its short or its full name."""
        return not self._folded.isdisjoint(machine.said_names)


class LoggedNames(NamedTuple):
    """Names that clients were seen to use, and the file that says so."""

    source: str
    hosts: tuple[HostName, ...]


class Inspected(NamedTuple):
    """The servers that were looked at, as names may lead to them: their addresses, and the computers' own full names,
    each with the addresses of that computer."""

    addresses: frozenset[Address] = frozenset()
    computers: Mapping[HostName, tuple[Address, ...]] = MappingProxyType({})


NOBODY = Inspected()


class Names(Struct, frozen=True, kw_only=True, dict=True):
    """Everything about names that does not depend on one site.

    `additional`: names besides its own dNSHostName that the directory has for the computer. `computers`:
    all the names that the directory has for computers. `logged`: names that clients were seen to use to reach it.
    """

    machine: Machine
    farm: Sequence[FarmName]
    service: NameService | None
    inspected: Inspected
    additional: tuple[HostName, ...] = ()
    computers: frozenset[HostName] = frozenset()
    logged: tuple[HostName, ...] = ()

    @cached_property
    def own(self) -> frozenset[HostName]:
        """The names of the computer itself, full and short."""
        own = {host for host in (self.machine.short_name, self.machine.full_name) if host is not None}
        return frozenset({*own, *self.additional, *(host.first_label for host in self.additional)})

    @cached_property
    def mine(self) -> tuple[Address, ...]:
        """The computer's addresses: its own word, else what DNS says of its full name."""
        full = self.machine.full_name
        found = self.resolve(full) if full is not None and not self.machine.addresses else None
        return self.machine.addresses if found is None else found.addresses or ()

    @cached_property
    def suffix(self) -> str | None:
        """The suffix of short names: the computer's own DNS suffix."""
        full = self.machine.full_name
        return full.suffix or None if full is not None else None

    def kind_of(self, host: HostName) -> NameKind:
        """Whether the rule table has the host among the computer's own names."""
        return "own name" if host.key in self._own_keys else "custom name"

    @cached_property
    def _own_keys(self) -> frozenset[str]:
        return frozenset(host.key for host in self.own)

    @cached_property
    def short(self) -> HostName | None:
        """The computer's short name, as the machine has it."""
        return self.machine.short_name

    @cached_property
    def full(self) -> HostName | None:
        """The computer's full name."""
        return self.machine.full_name

    def resolve(self, host: HostName) -> Resolution | None:
        """What a client near this server gets for a name; None: nobody looked.

        An alias that ends in an inspected computer's own name leads to that computer, whether or not somebody gave the
        zone that the name stands in.
        """
        if self.service is None:
            return None
        found = self.service.resolve(host, self.suffix)
        if found is None or found.addresses is not None:
            return found
        return replace(found, addresses=self.inspected.computers.get(found.canonical) or None)

    def addresses(self, host: HostName) -> frozenset[Address]:
        """Where a name leads, as far as that is known."""
        found = self.resolve(host)
        return frozenset(found.addresses or ()) if found is not None else frozenset()

    def open_end(self, host: HostName) -> HostName | None:
        """The last known name of a chain of aliases, where nobody looked up what it leads to (rule R15.7).

        A computer's own name is no alias: there the chain ends.
        """
        found = self.resolve(host)
        is_open = found is not None and found.addresses is None and found.canonical not in self.inspected.computers
        return found.canonical if found is not None and is_open else None

    def in_full(self, host: HostName) -> HostName:
        """The name as it stands in DNS: a short one below the suffix of short names."""
        return host.under(self.suffix) if host.is_short and self.suffix else host

    def is_declared(self, host: HostName) -> bool:
        """Whether the farm file says that this server answers the name."""
        return host in self._declared

    def farm_of(self, site: str) -> Sequence[FarmName]:
        """The names of the farm file for a site: those given for any, then those for this very one."""
        return (*self._farm_by_site.get(None, ()), *self.farm_of_very(site))

    def farm_of_very(self, site: str) -> Sequence[FarmName]:
        """The names of the farm file that are given for this very site."""
        return self._farm_by_site.get(fold(site), ())

    def short_of(self, site: str) -> Sequence[FarmName]:
        """Those for a site of which somebody said that people type the first label, too."""
        return [name for name in self._short if name.site is None or fold(name.site) == fold(site)]

    @cached_property
    def _short(self) -> Sequence[FarmName]:
        return [name for name in self.farm if name.short]

    @cached_property
    def _farm_by_site(self) -> Mapping[str | None, Sequence[FarmName]]:
        found: dict[str | None, list[FarmName]] = {}
        for name in self.farm:
            found.setdefault(None if name.site is None else fold(name.site), []).append(name)
        return found

    @cached_property
    def behind_tls(self) -> frozenset[HostName]:
        """Names whose proxy ends TLS: people reach them by https."""
        return frozenset(name.host for name in self.farm if name.proxy == "terminates-tls")

    @cached_property
    def _declared(self) -> frozenset[HostName]:
        return frozenset(host for name in self.farm for host in (name.host, name.host.first_label))

    def of_address(self, address: Address, pattern: HostName | None) -> Sequence[HostName]:
        """The names that DNS leads to an address; of a wildcard those that it stands for."""
        every = self.service.names_by_address.get(address, ()) if self.service is not None else ()
        if pattern is None:
            return every
        if address not in self._below:
            below = self._below[address] = dict[str, list[HostName]]()
            for host in every:
                for suffix in host.suffixes():
                    below.setdefault(suffix, []).append(host)
        return self._below[address].get(pattern.key[1:], ())

    @cached_property
    def _below(self) -> dict[Address, dict[str, list[HostName]]]:
        """By address and suffix: sites with wildcards are many, and so are names."""
        return {}

    def leads_to_another(self, host: HostName) -> bool:
        """Whether the name is another inspected computer's own, and nothing shows that DNS leads it here; or that of
        another computer of the directory, and DNS leads it elsewhere.
        """
        full = self.in_full(host)
        is_inspected = full in self.inspected.computers
        if not is_inspected and full not in self.computers:
            return False
        addresses = self.addresses(host)
        is_anothers = is_inspected or bool(addresses and self.mine)
        return is_anothers and not {full, host} & self.own and not addresses & set(self.mine)

    def doubt(self, host: HostName) -> str:
        """Why it is not known whether a name is this computer's own or another's; "" where that is known."""
        if not self.computers or self.machine.known_name is not None or host not in self.computers:
            return ""
        return f"{host} is the name of a computer in the directory: if it is this one, give --computer {host}"

    def provided(self, host: HostName) -> str:
        """What is taken for granted of a name: that it leads here, though another computer is called so; or that what
        answers it at addresses of nobody inspected is as this server is. Else "".
        """
        if self.service is None and not self.computers:
            return ""
        name = self.machine.known_name
        if name is None or self.is_declared(host):
            return ""
        if self.may_be_anothers(host):
            return f"{host} leads to {name}, not to the computer of that name"
        led = self.addresses(host)
        others = sorted(led - self.inspected.addresses) if led & set(self.mine) else []
        return f"{' and '.join(others)} answers {host} as {name} does" if others else ""

    def may_be_anothers(self, host: HostName) -> bool:
        """Whether the directory has another computer of the name, and nothing that was read leads it here."""
        if self.machine.known_name is None or host not in self.computers or host in self.own or self.is_declared(host):
            return False
        return not self.addresses(host) & set(self.mine)

    def is_nobodys(self, host: HostName) -> bool:
        """Whether no client reaches a server by it (rule R15.6): it is every machine's own, or Active Directory's."""
        if host.is_loopback or host.is_locator:
            return True
        addresses = self.addresses(host)
        return bool(addresses) and all(map(is_loopback, addresses))

    def is_domains(self, host: HostName) -> bool:
        """Whether it is the name of the domain that this computer is a controller of: DNS has it for all of them."""
        if self.machine.domain_controller is False:
            return False
        suffixes = (self.machine.domain or "", *(self.service.suffixes if self.service is not None else ()))
        return host.key in set(map(fold, suffixes))

    def is_shortened(self, host: HostName) -> bool:
        """Whether people reach a full name by its first label too: it stands directly below the clients' suffix."""
        return not host.is_short and (not self._suffixes or host.key.partition(".")[2] in self._suffixes)

    @cached_property
    def _suffixes(self) -> frozenset[str]:
        """The clients' suffix: that of the computer's full name, else the origins of the zones."""
        suffixes = (self.suffix,) if self.suffix else self.service.suffixes if self.service is not None else ()
        return frozenset(map(fold, suffixes))


def names_of(
    machine: Machine,
    farm: Sequence[FarmName],
    service: NameService | None,
    inspected: Inspected = NOBODY,
    additional: Iterable[str] = (),
    computers: frozenset[HostName] = frozenset(),
) -> Names:
    """Gather a machine's names; `additional` are its msDS-AdditionalDnsHostName values (rule R4.16)."""
    mine = tuple(name for name in farm if name.includes(machine))
    also = tuple(host for host in dict.fromkeys(map(host_name, additional)) if host != machine.full_name)
    return Names(machine=machine, farm=mine, service=service, inspected=inspected, additional=also, computers=computers)
