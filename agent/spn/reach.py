"""Which names lead clients to which site: bindings, the computer's own names, the farm file and DNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from agent.iis.bindings import Binding
from agent.iis.effective import Configuration, Site
from agent.model import Host, HostSource
from agent.names import Address, HostName, is_loopback
from agent.spn.computer_names import Names


class Name(NamedTuple):
    """A name that reaches a site. `optional`: works or not without harm. `ports` are where the site answers it."""

    host: HostName
    source: HostSource
    optional: bool
    ports: tuple[int, ...]


class Reach(NamedTuple):
    """All names of one site, and what kept a binding from giving one.

    `unnamed` are the bindings that clients reach by a name which nobody said: the computer's own, the full form of a
    short one, what a wildcard stands for.
    """

    names: tuple[Name, ...]
    wildcards: tuple[Binding, ...]
    address_only: tuple[Binding, ...]
    unnamed: tuple[Binding, ...]

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The names as the report lists them."""
        return tuple([Host(name.host, name.source) for name in self.names if not name.optional])


def reach(configuration: Configuration, names: Names) -> dict[str, Reach]:
    """The names of every site, by site name. One that does not start claims no name, and nobody reaches it by any."""
    claims = _Claims(site for site in configuration.sites if site.starts)
    return {site.name: _SiteReach(site, names, claims).reach() for site in configuration.sites}


class _Claims:
    """Host headers by name: http.sys gives a request to the site with the exact header before one without any."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._exact: dict[str, list[tuple[str, Binding]]] = {}
        self._wildcards: dict[str, list[tuple[str, Binding]]] = {}
        self._addresses: dict[tuple[Address, int], str] = {}
        for site in sites:
            for binding in site.bindings:
                host = binding.host
                if not binding.serves:
                    continue
                if host is None:
                    if binding.address:
                        self._addresses.setdefault((binding.address, binding.port), site.name)
                elif host.is_wildcard:
                    self._wildcards.setdefault(host.key[1:], []).append((site.name, binding))
                else:
                    self._exact.setdefault(host.key, []).append((site.name, binding))

    def free(self, host: HostName, binding: Binding, site: str) -> bool:
        """Whether no more specific binding of another site takes requests for `host` away from this one."""
        claims = self._exact.get(host.key, [])
        if binding.host is None and self._wildcards:
            claims = [*claims, *(claim for suffix in host.suffixes() for claim in self._wildcards.get(suffix, ()))]
        return not any(owner != site and claim.overlaps(binding) for owner, claim in claims)

    def has(self, host: HostName) -> bool:
        """Whether any binding has the name, or a wildcard for it."""
        return host.key in self._exact or any(suffix in self._wildcards for suffix in host.suffixes())

    def left(self, host: HostName, binding: Binding, site: str, addresses: Iterable[Address]) -> frozenset[Address]:
        """At which of these addresses requests for a header reach this binding, not one that has the address too."""
        claims = self._exact.get(host.key, ())
        taken = {claim.address for owner, claim in claims if owner != site and claim.port == binding.port}
        return frozenset(addresses) - taken

    def takes(self, address: Address, binding: Binding, site: str) -> bool:
        """Whether requests to this address reach another site, one bound to it, before a binding to all addresses.

        A host header, a wildcard one too, comes before an address without one (UrlPrefix: explicit before IP-bound).
        """
        if binding.address or binding.host is not None:
            return False
        return self._addresses.get((address, binding.port), site) != site


class _SiteReach:
    def __init__(self, site: Site, names: Names, claims: _Claims) -> None:
        self.site = site
        self.names = names
        self.claims = claims
        self.found: dict[str, Name] = {}
        self.wildcards: list[Binding] = []
        self.address_only: list[Binding] = []
        self.unnamed: list[Binding] = []

    def reach(self) -> Reach:
        for binding in self.site.bindings:
            if binding.serves:
                self._binding(binding)
        if self.names.farm:
            self._declared_for_site()
            self._meant_by_first_label()
        return Reach(tuple(self.found.values()), tuple(self.wildcards), tuple(self.address_only), tuple(self.unnamed))

    def _binding(self, binding: Binding) -> None:
        if binding.host is None:
            self._without_host(binding)
        elif binding.host.is_wildcard:
            self._wildcard(binding, binding.host)
        elif binding.host.is_address:
            self.address_only.append(binding)
        else:
            self._header(binding, binding.host)

    def _add(self, host: HostName, source: HostSource, binding: Binding, optional: bool = False) -> None:
        known = self.found.get(host.key)
        if known is None:
            if not self.names.is_nobodys(host):
                optional = optional or not self._is_reached(host, binding)
                self.found[host.key] = Name(host, source, optional, _with(binding.port, ()))
            return
        ports = _with(binding.port, known.ports)
        if not known.optional:
            self.found[host.key] = Name(known.host, known.source, False, ports)
            return
        optional = optional or not self._is_reached(host, binding)
        self.found[host.key] = Name(known.host, source, optional, ports)

    def _is_reached(self, host: HostName, binding: Binding) -> bool:
        """Whether the name may lead clients to the binding: not where DNS leads it to inspected servers, but not here.

        Where it leads to an address of nobody inspected, a proxy may stand there that leads on to this server.
        """
        if not self.site.starts or is_loopback(binding.address):
            return False
        addresses = self.names.addresses(host)
        if self.names.is_declared(host):
            return True
        if not addresses & self.names.inspected.addresses:
            return not self.names.leads_to_another(host)
        if binding.address:
            return binding.address in addresses
        mine = self.names.mine
        return not mine or bool(addresses & self.claims.left(host, binding, self.site.name, mine))

    def _header(self, binding: Binding, host: HostName) -> None:
        self._add(host, "binding", binding)
        if host.key not in self.found:  # nobody's
            return
        if self.names.is_shortened(host):
            self._add(host.first_label, "binding", binding, optional=True)
        elif host.is_short and (full := self._full_form(host)) is not None:
            self._add(full, "binding", binding)
        elif host.is_short and self.names.machine.joined:
            self.unnamed.append(binding)

    def _full_form(self, short: HostName) -> HostName | None:
        """A short name under the suffix that DNS, else the machine's dns_name, gives."""
        resolution = self.names.resolve(short)
        if resolution is not None and resolution.exists:
            return resolution.chain[0]
        return short.under(self.names.suffix) if self.names.suffix else None

    def _wildcard(self, binding: Binding, pattern: HostName) -> None:
        self.wildcards.append(binding)
        leading = [(h, s) for h, s in self._leading_here(binding, pattern) if h.matches_wildcard(pattern)]
        for host, source in leading:
            if self.claims.free(host, binding, self.site.name):
                self._add(host, source, binding)
        if not leading and not self._matches_no_name(pattern):
            self.unnamed.append(binding)

    def _matches_no_name(self, pattern: HostName) -> bool:
        """Whether a zone that was read whole has no record of its own for the wildcard: all its names are known."""
        found = self.names.service.resolve(pattern) if self.names.service is not None else None
        return found is not None and not found.exists

    # -- bindings without a host header ------------------------------------------------------------------------

    def _without_host(self, binding: Binding) -> None:
        own = self._leads_to_own_names(binding)
        if own:
            self._own_names(binding)
        leading = [(h, s) for h, s in self._leading_here(binding) if self.claims.free(h, binding, self.site.name)]
        for host, source in leading:
            self._add(host, source, binding)
            if source == "log":  # just this form was seen
                continue
            if self.names.is_shortened(host) and self.claims.free(host.first_label, binding, self.site.name):
                self._add(host.first_label, source, binding, optional=self.names.is_declared(host))
        if binding.address and not leading and not own:
            self.address_only.append(binding)

    def _leads_to_own_names(self, binding: Binding) -> bool:
        """Whether the computer's own names lead to this binding: to its address or, for all, to one left to it."""
        mine = self.names.mine
        own = self._own_addresses()
        if binding.address:
            return binding.address in own if own is not None else mine == (binding.address,)
        here = [address for address in mine if address in own] if own is not None else mine if len(mine) == 1 else []
        return not here or not all(self.claims.takes(address, binding, self.site.name) for address in here)

    def _own_addresses(self) -> set[Address] | None:
        """What DNS says of the computer's full name; None where it was not asked about it."""
        full = self.names.machine.full_name
        resolution = self.names.resolve(full) if full is not None else None
        return None if resolution is None or resolution.addresses is None else set(resolution.addresses)

    def _own_names(self, binding: Binding) -> None:
        machine = self.names.machine
        if machine.joined and (machine.short_name is None or machine.full_name is None):
            self.unnamed.append(binding)
        # behind a declared farm name the node's own name may fail without harm (rule R6.4)
        optional = bool(self.names.farm_of(self.site.name))
        for host in (machine.short_name, machine.full_name, *self._additional()):
            if host is not None and self.claims.free(host, binding, self.site.name):
                self._add(host, "machine", binding, optional)
        if machine.full_name is not None and machine.full_name.first_label != machine.short_name:
            self._add(machine.full_name.first_label, "machine", binding, optional=True)

    def _additional(self) -> Iterator[HostName]:
        """Further names that the directory has for the computer, unless DNS says that there is no such name."""
        for host in self.names.additional:
            found = self.names.resolve(host)
            if found is None or found.exists:
                yield host

    def _leading_here(self, binding: Binding, pattern: HostName | None = None) -> Iterator[tuple[HostName, HostSource]]:
        """Names of the farm file for this server, and of DNS for the addresses the binding listens on: of a wildcard
        at least those that it stands for.
        """
        for name in self.names.farm_of(self.site.name):
            yield name.host, name.source
        for host in self._led_by_dns(binding, pattern):
            is_own = host == self.names.machine.full_name
            if not (is_own or self.names.is_nobodys(host) or self.names.is_domains(host)):
                yield host, "dns"
        for host in self.names.logged:
            if binding.host is not None or not self.claims.has(host):
                yield host, "log"

    def _led_by_dns(self, binding: Binding, pattern: HostName | None) -> Iterator[HostName]:
        service, full = self.names.service, self.names.machine.full_name
        if service is None:
            return
        for address in (binding.address,) if binding.address else self.names.mine:
            if self.claims.takes(address, binding, self.site.name):
                continue
            hosts = self.names.of_address(address, pattern)
            is_unnamed = not service.names_by_address.get(address)
            if is_unnamed and binding.address and (pointer := service.pointers.get(address)) is not None:
                hosts = (pointer,)
            yield from hosts
        if self._leads_to_own_names(binding):
            for own in (full, *self.names.additional):
                yield from service.aliases_by_end.get(own, ()) if own is not None else ()

    def _declared_for_site(self) -> None:
        """A farm name given for this very site reaches it even where no binding says how (a proxy rewrites hosts)."""
        serving = [binding for binding in self.site.bindings if binding.serves]
        for name in self.names.farm_of_very(self.site.name):
            if serving:
                self._add(name.host, name.source, serving[0])
                if self.names.is_shortened(name.host):
                    self._add(name.host.first_label, name.source, serving[0], optional=True)

    def _meant_by_first_label(self) -> None:
        """Names of which somebody said that people type the first label, too."""
        for name in self.names.short_of(self.site.name):
            known, short = self.found.get(name.host.key), name.host.first_label
            if known is not None and not known.optional and self.names.is_shortened(name.host):
                other = self.found.get(short.key)
                source = name.source if other is None or other.optional else other.source
                self.found[short.key] = Name(short, source, False, known.ports)


@lru_cache
def _with(port: int, ports: tuple[int, ...]) -> tuple[int, ...]:
    """One more port; the same tuple for all the names with the same ports."""
    return ports if port in ports else (*ports, port)
