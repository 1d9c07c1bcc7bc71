"""The servers of one directory: which ones to ask, at which port, and a logged-on session with one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from agent.names import fold, host_fault, host_name, printable
from agent.sources.ad.connection import BASE, LdapConnection, first_texts
from agent.sources.ad.distinguished_names import dns_name_of
from agent.sources.ad.locate import PORTS, Locate, Located, Target, current_domain
from agent.sources.ad.logon import Logon, bind
from agent.sources.ad.results import LdapError
from agent.sources.ad.wire import Deadline, Protection, Server

MAX_CONTROLLERS = 3


class Root(NamedTuple):
    """What rootDSE (RFC 4512 5.1) says of a server."""

    default: str
    configuration: str
    forest: str
    host: str
    is_catalog: bool


_ROOT = (
    *("defaultNamingContext", "configurationNamingContext", "rootDomainNamingContext", "dnsHostName"),
    "isGlobalCatalogReady",
)


def read_root(connection: LdapConnection, expected: str | None = None) -> Root:
    """rootDSE; `expected` is the folded DN of the domain whose controller it must be. Raises LdapError."""
    for _, attributes in connection.search("", BASE, None, _ROOT):
        values = first_texts(attributes)
        default = values.get("defaultnamingcontext", "")
        if default and expected in (None, fold(default)):
            return Root(
                default,
                values.get("configurationnamingcontext", ""),
                values.get("rootdomainnamingcontext", default),
                values.get("dnshostname", connection.server.host),
                values.get("isglobalcatalogready", "").upper() == "TRUE",
            )
    raise LdapError(f"{connection.server} is no controller of the domain asked about")


class Controllers(Struct, kw_only=True):
    """The domain controllers and global catalogs of a forest.

    `target` None: those of the current domain. `address` is connected to in place of the target's host name.
    `round_trips` counts the requests of all sessions that have ended.
    """

    target: Target | None
    logon: Logon | None
    deadline: Deadline
    locate: Locate
    address: str | None = None
    ca_files: Sequence[Path] = ()
    start_tls: bool = False
    round_trips: int = 0

    @property
    def is_forest(self) -> bool:
        """Whether the server named is a global catalog, which knows the whole forest and takes no changes."""
        return self.target is not None and self.target.scheme == "gc"

    def first(self) -> Sequence[Server]:
        """Who is asked first. Raises LdapError where there is no domain."""
        if self.target is not None:
            port = self.target.port or PORTS[self.target.scheme]
            return [self._server(Located(self.target.host, port, self.address))]
        domain = current_domain(self.logon)
        if domain is None:
            raise LdapError("this machine and this logon belong to no domain; name a controller with ldap://HOST")
        return self._located(f"_ldap._tcp.dc._msdcs.{domain}")

    def catalogs(self, root: Root) -> Iterator[Server]:
        """The global catalogs of the forest, the server asked first before others."""
        if root.is_catalog:
            yield self._beside(root, catalog=True)
        yield from self._located(f"_gc._tcp.{dns_name_of(root.forest)}")

    def of_domain(self, domain_dn: str, root: Root) -> Iterator[Server]:
        """The controllers of one domain of the forest. Raises LdapError for what is no name."""
        if fold(domain_dn) == fold(root.default):
            yield self._beside(root, catalog=False)
        domain = dns_name_of(domain_dn)
        if host_fault(host_name(domain)):
            raise LdapError(f"{printable(domain)} is no domain name")
        yield from self._located(f"_ldap._tcp.dc._msdcs.{domain}")

    @contextlib.contextmanager
    def open(self, servers: Iterable[Server]) -> Iterator[LdapConnection]:
        """A session with the first server that can be connected to; a refused logon is not tried elsewhere.

        Raises LdapError.
        """
        connection = self._connect(servers)
        try:
            bind(connection, self.logon)
            yield connection
        finally:
            self.round_trips += connection.round_trips
            connection.close()

    def _connect(self, servers: Iterable[Server]) -> LdapConnection:
        last: LdapError | None = None
        for server in servers:
            try:
                return LdapConnection(server, self.deadline)
            except LdapError as error:
                last = error
        raise last or LdapError("the name service knows no domain controller")

    def _beside(self, root: Root, *, catalog: bool) -> Server:
        """The server that was asked first, at the port of its catalog or of its domain."""
        target = self.target
        host, address = (target.host, self.address) if target else (root.host, None)
        return self._server(Located(host, self._port(catalog=catalog), address))

    def _located(self, record: str) -> list[Server]:
        places = self.locate(record, self.deadline.left())[:MAX_CONTROLLERS]
        if self._protection == "tls":  # the record tells the plain port
            port = self._port(catalog=record.startswith("_gc."))
            places = [place._replace(port=port) for place in places]
        return [self._server(place) for place in places]

    def _port(self, *, catalog: bool) -> int:
        if self._protection == "tls":
            return 3269 if catalog else 636
        return 3268 if catalog else 389

    @property
    def _protection(self) -> Protection:
        if self.target and self.target.scheme == "ldaps":
            return "tls"
        return "starttls" if self.start_tls else "seal"

    def _server(self, place: Located) -> Server:
        return Server(
            host=place.host,
            port=place.port,
            address=place.address,
            protection=self._protection,
            ca_files=self.ca_files,
        )
