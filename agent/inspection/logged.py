"""Names that clients were seen to use: to whose sites they lead (contract, `--names`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from agent.iis.bindings import Binding
from agent.iis.effective import Configuration
from agent.names import HostName
from agent.spn.computer_names import Names


class Named(NamedTuple):
    """A server as far as names lead to it."""

    configuration: Configuration
    names: Names

    def claims(self, host: HostName) -> bool:
        """Whether a binding has the name, or a wildcard for it."""
        return any(bound == host or (bound.is_wildcard and host.matches_wildcard(bound)) for bound in self._headers)

    @property
    def catches_all(self) -> bool:
        """Whether a site answers whatever name leads to the server."""
        return None in (binding.host for binding in self._bindings)

    def is_led_to(self, host: HostName) -> bool:
        """Whether DNS leads the name to it."""
        return bool(self.names.addresses(host) & set(self.names.mine))

    @property
    def _bindings(self) -> list[Binding]:
        sites = (site for site in self.configuration.sites if site.starts)
        return [binding for site in sites for binding in site.bindings if binding.serves]

    @property
    def _headers(self) -> list[HostName]:
        return [binding.host for binding in self._bindings if binding.host is not None]


def with_logged(servers: Sequence[Named], hosts: Iterable[HostName]) -> list[Names]:
    """The names of each server with those that were seen and lead to it."""
    found: list[list[HostName]] = [[] for _ in servers]
    for host in hosts:
        for position in _whose(servers, host):
            found[position].append(host)
    return [replace(server.names, logged=tuple(mine)) for server, mine in zip(servers, found, strict=True)]


def _whose(servers: Sequence[Named], host: HostName) -> list[int]:
    """Those whose bindings claim it, else those that answer any name and DNS leads it to, else the only one."""
    claiming = [position for position, server in enumerate(servers) if server.claims(host)]
    catching = [position for position, server in enumerate(servers) if server.catches_all]
    led = [position for position in catching if servers[position].is_led_to(host)]
    return claiming or led or (catching if len(servers) == 1 else [])
