"""Which servers answer a name, as far as farm file, DNS and shared configurations tell: what steps may rest on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from agent.names import Address, HostName, fold
from agent.spn.computer_names import FarmName, Names
from agent.spn.nameservice import NameService, Resolution
from agent.spn.require import ServerView


class Answered(Struct, frozen=True, kw_only=True, dict=True):
    """The names of one run, and the inspected servers behind them, by label."""

    servers: Mapping[str, ServerView]
    farm: Sequence[FarmName]
    service: NameService | None

    # -- several servers behind one name -----------------------------------------------------------------------

    @cached_property
    def _declared(self) -> dict[HostName, list[FarmName]]:
        index: dict[HostName, list[FarmName]] = {}
        for name in self.farm:
            for host in dict.fromkeys((name.host, name.host.first_label)):
                index.setdefault(host, []).append(name)
        return index

    def declared(self, host: HostName) -> list[FarmName]:
        """What the farm file says of a name, given in full or by its first label."""
        return self._declared.get(host, [])

    def several(self, host: HostName) -> bool:
        """Whether several servers answer a name by the farm file, inspected or not."""
        return any(len(name.servers) > 1 for name in self.declared(host))

    def absent(self, host: HostName) -> tuple[str, ...]:
        """The servers that answer a name by the farm file, and were not inspected."""
        listed = dict.fromkeys(server for name in self.declared(host) for server in name.servers)
        return tuple(server for server in listed if fold(server) not in self._said_names)

    @cached_property
    def _said_names(self) -> frozenset[str]:
        return frozenset(name for server in self.servers.values() for name in server.machine.said_names)

    def is_farm(self, host: HostName, servers: Collection[str]) -> bool:
        """Whether the farm file, DNS or a shared configuration says that several of these servers answer one name."""
        machines = [self.servers[label].machine for label in servers]
        places = [self.servers[label].names.mine for label in servers]
        if any(sum(name.includes(machine) for machine in machines) > 1 for name in self.declared(host)):
            return True
        shared = {self.servers[label].configuration.shared for label in servers}
        if len(shared) == 1 and None not in shared:
            return True
        addressed = self.servers[next(iter(servers))].names.addresses(host)
        return sum(not addressed.isdisjoint(mine) for mine in places) > 1

    def leads_elsewhere(self, host: HostName, server: str) -> bool:
        """Whether DNS leads a name to other addresses than those of a server."""
        names = self.servers[server].names
        addressed, mine = names.addresses(host), set(names.mine)
        return bool(addressed and mine) and not addressed & mine

    # -- whether anybody else may answer -----------------------------------------------------------------------

    def question(self, hosts: Iterable[HostName]) -> str | None:
        """What must be asked before something changes for these names; None where inspected servers alone answer them.

        These are the computers' own names, those of the farm file, and those that DNS leads to inspected addresses.
        """
        open_ = [host for host in dict.fromkeys(hosts) if not self._is_settled(host)]
        if not open_:
            return None
        told = ", ".join(map(str, open_))
        if all(self._resolutions(host) for host in open_):
            return f"nobody else inspected answers {told}"
        condition = " and ".join(f"{host} is no alias" for host in open_ if not self._resolutions(host))
        return f"nobody else inspected answers {told}, if {condition}"

    def _is_settled(self, host: HostName) -> bool:
        if host in self._own or self.declared(host):
            return True
        resolutions = self._resolutions(host)
        if any(resolution.addresses is None for resolution in resolutions):
            return False  # an alias leads to where nobody looked
        addresses = {address for resolution in resolutions for address in resolution.addresses or ()}
        return bool(addresses) and addresses <= self._addresses

    def _resolutions(self, host: HostName) -> list[Resolution]:
        """What DNS said; a short name may be typed in the network of any of the servers."""
        if self.service is None:
            return []
        networks = self._networks if host.is_short else self._networks[:1]
        found = (names.resolve(host) for names in networks)
        return [resolution for resolution in found if resolution is not None]

    @cached_property
    def _own(self) -> frozenset[HostName]:
        return frozenset(host for server in self.servers.values() for host in server.names.own)

    @cached_property
    def _networks(self) -> tuple[Names, ...]:
        """The names as seen from one server of each suffix."""
        return tuple({server.names.suffix: server.names for server in self.servers.values()}.values())

    @cached_property
    def _addresses(self) -> frozenset[Address]:
        return frozenset(address for server in self.servers.values() for address in server.names.mine)


def farm_line(host: HostName, servers: Iterable[str]) -> str:
    """The line for the farm file that says which servers answer a name."""
    quoted = ", ".join(map(json.dumps, servers))
    return f"name = [{{ host = {json.dumps(host.spn_text)}, servers = [{quoted}] }}]"
