"""Live LDAP: ask domain controllers and the global catalog a `Question`, in few queries.

What was not answered whole becomes a `directory-incomplete` problem, and no domain counts as covered by it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from agent.errors import UsageError
from agent.names import fold, host_fault, host_name, printable, spn
from agent.sources.ad.connection import BASE, ONE_LEVEL, SUBTREE, Deadline, LdapConnection, LdapError, Server
from agent.sources.ad.entries import (
    ATTRIBUTES,
    DEEPEST_NESTING,
    Collector,
    allowed_sids,
    dns_name_of,
    domain_dn_of,
    sid_bytes,
)
from agent.sources.ad.locate import PORTS, Locate, Located, Target, current_domain, parse_target, srv_records
from agent.sources.ad.logon import Logon, bind
from agent.spn.directory import DOMAIN_COMPUTERS, DOMAIN_CONTROLLERS, Directory, Question

if TYPE_CHECKING:
    import sansldap

__all__ = ["LdapError", "LdapSource", "Located", "Logon", "current_domain", "is_available", "srv_records"]

BATCH = 100
"""Values of one OR filter."""
MAX_CONTROLLERS = 3
MAX_DOMAINS = 200
_DOMAIN_NC = 0x2  # systemFlags of a crossRef: FLAG_CR_NTDS_DOMAIN (MS-ADTS 2.2.10)
_RODC_GROUP_RID = 521


def is_available() -> bool:
    """Whether the extra `ldap` is installed."""
    return all(importlib.util.find_spec(name) for name in ("sansldap", "spnego"))


@dataclass(kw_only=True)
class LdapSource:
    """A directory to ask live.

    `target` is `auto`, `ldap://HOST[:PORT]`, `ldaps://HOST[:PORT]` or `gc://HOST[:PORT]`; `logon` None means the
    present Kerberos ticket or Windows logon; `address` is connected to in place of the target's host name, which
    stays the name that the certificate and Kerberos must prove. After `ask`, `round_trips` counts its requests.
    """

    target: str
    logon: Logon | None = None
    seconds: float = 60.0
    ca_file: Path | None = None
    start_tls: bool = False
    address: str | None = None
    locate: Locate = srv_records
    netbios_names: Mapping[str, str] | None = None
    round_trips: int = 0

    def ask(self, question: Question) -> Directory:
        """Who holds the names, who is who. Raises UsageError for a bad target or a missing extra, nothing else."""
        return self._conversation(question).directory()

    @contextlib.contextmanager
    def session(self) -> Iterator[tuple[LdapConnection, str]]:
        """For questions of another kind: a logged-on connection to the first server, and the DN of its domain.

        Raises UsageError as `ask` does, and LdapError.
        """
        with self._conversation(Question()).opened() as opened:
            yield opened

    def _conversation(self, question: Question) -> _Conversation:
        target = parse_target(self.target)
        if not is_available():
            raise UsageError(f"--ad {self.target} needs the LDAP extra: pip install 'iis-spn[ldap]'")
        return _Conversation(self, target, question)


# -- filters -------------------------------------------------------------------------------------------------------
# Values go into the filter as bytes of a BER structure: nothing in them can end a value or begin another filter, which
# is what the escapes of RFC 4515 are for in the text form.


def equal(attribute: str, value: str | bytes) -> sansldap.LDAPFilter:
    """The filter for one whole value."""
    from sansldap import FilterEquality

    return FilterEquality(attribute, value if isinstance(value, bytes) else value.encode("utf-8", "replace"))


def batches(parts: Sequence[sansldap.LDAPFilter]) -> Iterator[sansldap.LDAPFilter]:
    """OR filters of at most BATCH parts."""
    from sansldap import FilterOr

    for start in range(0, len(parts), BATCH):
        yield FilterOr(list(parts[start : start + BATCH]))


def _hosts(question: Question) -> list[str]:
    return sorted({name.host.spn_text for name in question.spns} - {""}, key=fold)


def _questions(question: Question, domains: Sequence[str]) -> Iterator[sansldap.LDAPFilter]:
    """OR filters for all that a question asks. Only whole values are asked for: every server has an index of those."""
    hosts = _hosts(question)
    names = [equal("servicePrincipalName", name.text) for name in sorted(question.spns, key=lambda n: n.key)]
    names += [equal("servicePrincipalName", text) for host in hosts for text in _misspelt(host)]
    names += [equal("servicePrincipalName", text) for text in _wildcards(hosts)]
    names += [equal("userPrincipalName", f"HTTP/{host}") for host in hosts]
    for domain in domains:
        names += [equal("servicePrincipalName", f"HTTP/{host}{mark}{domain}") for host in hosts for mark in "@/"]
        names += [equal("userPrincipalName", f"HTTP/{host}@{domain}") for host in hosts]
    yield from batches(names)
    accounts = sorted(question.account_names)
    yield from batches([equal("sAMAccountName", name) for name in accounts])
    yield from batches([equal("userPrincipalName", name) for name in accounts if "@" in name])


def _misspelt(host: str) -> tuple[str, ...]:
    """The wrong forms that people write, which `setspn -Q HTTP/host` never shows."""
    urls = (f"{scheme}://{host}{end}" for scheme in ("http", "https") for end in ("", "/"))
    return (f"HTTPS/{host}", *urls, f"HTTP\\{host}", f"HTTP/http://{host}")


def _wildcards(hosts: Iterable[str]) -> list[str]:
    """`HTTP/*.test.com`, which people register for a wildcard binding: the `*` is a character of the value here."""
    return sorted({f"HTTP/*.{host.partition('.')[2]}" for host in hosts if "." in host} | {"HTTP/*"})


def _with_rid(domain_sid: bytes, rid: int) -> bytes:
    """The SID of one of a domain's own accounts (MS-DTYP 2.4.2.2)."""
    return bytes([domain_sid[0], (domain_sid[1] + 1) % 256]) + domain_sid[2:] + rid.to_bytes(4, "little")


def _first_texts(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """The first value of each attribute that has one, by folded name."""
    return {fold(name): found[0].decode("utf-8", "replace") for name, found in attributes.items() if found}


def _numbers(values: Iterable[bytes]) -> list[int]:
    """Relative identifiers; what is none is left out."""
    return [int(value) for value in values if value.isdigit() and len(value) < 10]


_NUMBER = re.compile(r"-?[0-9]{1,10}\Z")
_WANTED = sorted(ATTRIBUTES)
_PARTITIONS = ("nCName", "nETBIOSName", "dnsRoot", "systemFlags", "objectClass")
_ROOT = (
    *("defaultNamingContext", "configurationNamingContext", "rootDomainNamingContext", "dnsHostName"),
    "isGlobalCatalogReady",
)


# -- asking --------------------------------------------------------------------------------------------------------


class _Root(NamedTuple):
    """What rootDSE says of a server."""

    default: str
    configuration: str
    forest: str
    host: str
    is_catalog: bool


class _Conversation:
    """One question to one directory, from the first connection to the `Directory`."""

    def __init__(self, source: LdapSource, target: Target | None, question: Question) -> None:
        self._source = source
        self._target = target
        self._question = question
        self._deadline = Deadline(source.seconds)
        self._collector = Collector(question, source.netbios_names)
        self._domains: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._follow: dict[tuple[str, str | bytes], None] = {}
        self._groups: dict[tuple[str, str | bytes], None] = {}
        self._knows_readers = False
        self._asked: set[tuple[str, str, str | bytes]] = set()
        self._domain_sids: dict[str, bytes] = {}

    def directory(self) -> Directory:
        self._source.round_trips = 0
        self._collector.next_source()
        try:
            self._ask_all()
        except LdapError as error:
            self._collector.incomplete(str(error))
        return replace(self._collector.directory(self._source.target), duplicates_elsewhere=0)

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[LdapConnection, str]]:
        """A session with the first server, and the DN of the domain it stands in. Raises LdapError."""
        self._source.round_trips = 0
        with self._open(self._first_servers()) as connection:
            yield connection, self._root(connection).default

    def _ask_all(self) -> None:
        with self._open(self._first_servers()) as connection:
            root = self._root(connection)
            self._read_partitions(connection, root)
            if self._target and self._target.scheme == "gc":
                self._ask_forest(connection, root, set(self._domains))
                return
            self._ask_domain(connection, root)
        others = set(self._domains) - {fold(root.default)}
        if others:
            self._ask_others(root, others)

    def _ask_others(self, root: _Root, others: set[str]) -> None:
        self._collector.next_source()
        try:
            with self._open(self._catalogs(root)) as catalog:
                self._ask_forest(catalog, root, others)
        except LdapError as error:
            names = ", ".join(sorted(printable(dns_name_of(self._domains[key])) for key in others))
            hint = "name a reachable global catalog with gc://HOST"
            self._collector.incomplete(f"the global catalog did not tell about the domains {names}: {error}; {hint}")

    # .. servers ..

    def _first_servers(self) -> Sequence[Server]:
        source, target = self._source, self._target
        if target is not None:
            port = target.port or PORTS[target.scheme]
            return [self._server(Located(target.host, port, source.address))]
        domain = current_domain(source.logon)
        if domain is None:
            raise LdapError("this machine and this logon belong to no domain; name a controller with ldap://HOST")
        return self._located(f"_ldap._tcp.dc._msdcs.{domain}")

    def _catalogs(self, root: _Root) -> Iterator[Server]:
        if root.is_catalog:
            yield self._beside(root, catalog=True)
        yield from self._located(f"_gc._tcp.{dns_name_of(root.forest)}")

    def _beside(self, root: _Root, *, catalog: bool) -> Server:
        """The server that was asked first, at the port of its catalog or of its domain."""
        target = self._target
        host, address = (target.host, self._source.address) if target else (root.host, None)
        return self._server(Located(host, self._port(catalog=catalog), address))

    def _located(self, record: str) -> list[Server]:
        places = self._source.locate(record, self._deadline.left())[:MAX_CONTROLLERS]
        if self._protection == "tls":  # the record tells the plain port
            port = self._port(catalog=record.startswith("_gc."))
            places = [place._replace(port=port) for place in places]
        return [self._server(place) for place in places]

    def _port(self, *, catalog: bool) -> int:
        if self._protection == "tls":
            return 3269 if catalog else 636
        return 3268 if catalog else 389

    @property
    def _protection(self) -> Literal["seal", "tls", "starttls"]:
        if self._target and self._target.scheme == "ldaps":
            return "tls"
        return "starttls" if self._source.start_tls else "seal"

    def _server(self, place: Located) -> Server:
        return Server(
            host=place.host,
            port=place.port,
            address=place.address,
            protection=self._protection,
            ca_file=self._source.ca_file,
        )

    @contextlib.contextmanager
    def _open(self, servers: Iterable[Server]) -> Iterator[LdapConnection]:
        """A session with the first server that can be connected to; a refused logon is not tried elsewhere."""
        connection = self._connect(servers)
        try:
            bind(connection, self._source.logon)
            yield connection
        finally:
            self._source.round_trips += connection.round_trips
            connection.close()

    def _connect(self, servers: Iterable[Server]) -> LdapConnection:
        last: LdapError | None = None
        for server in servers:
            try:
                return LdapConnection(server, self._deadline)
            except LdapError as error:
                last = error
        raise last or LdapError("the name service knows no domain controller")

    # .. reading ..

    def _read(
        self, connection: LdapConnection, base: str, scope: int, filter_: sansldap.LDAPFilter | None = None
    ) -> int:
        """Hand all entries to the collector; how many there were. Raises LdapError."""
        count = 0
        for dn, attributes in connection.search(base, scope, filter_, _WANTED):
            self._collector.add(dn, attributes)
            values = {fold(name): found for name, found in attributes.items() if found}
            self._remember(values)
            if fold(dn) in self._domains:
                self._domain_sids[fold(dn)] = values.get("objectsid", [b""])[0]
            elif scope == SUBTREE:
                self._seen[fold(dn)] = dn
            count += 1
        return count

    def _read_or_note(
        self, connection: LdapConnection, what: str, base: str, scope: int, filter_: sansldap.LDAPFilter | None = None
    ) -> None:
        """As `_read`; without an answer no account is missing, but the report knows less."""
        try:
            if not self._read(connection, base, scope, filter_):
                self._collector.note(f"{connection.server} does not show {what}")
        except LdapError as error:
            if error.code is None:
                raise
            self._collector.note(f"{what} could not be read: {error}")

    def _read_batches(self, connection: LdapConnection, base: str, filters: Iterable[sansldap.LDAPFilter]) -> None:
        """Each filter; an error of the server's own makes the source incomplete, a broken connection ends it."""
        for filter_ in filters:
            try:
                self._read(connection, base, SUBTREE, filter_)
            except LdapError as error:
                if error.code is None:
                    raise
                self._collector.incomplete(str(error))

    def _remember(self, values: Mapping[str, Sequence[bytes]]) -> None:
        """What a second round has to ask about: in whatever order answers come, each base is asked once about each."""
        for target in values.get("msds-allowedtodelegateto", ()):
            held = spn(target.decode("utf-8", "replace"))
            for form in (held, held.with_service("HOST")):
                self._follow["servicePrincipalName", fold(form.text)] = None
        for name in ("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"):
            for successor in values.get(name, ()):
                self._follow["distinguishedName", successor.decode("utf-8", "replace")] = None
        self._remember_groups(values)

    def _remember_groups(self, values: Mapping[str, Sequence[bytes]]) -> None:
        """The groups that the computers asked about stand in, and whoever may read a managed account's password."""
        classes = {fold(value.decode("utf-8", "replace")) for value in values.get("objectclass", ())}
        name = b"".join(values.get("samaccountname", ())).decode("utf-8", "replace")
        is_asked = "computer" in classes and fold(name) in self._question.account_names
        if is_asked or "group" in classes:
            for group in values.get("memberof", ()):
                self._groups["distinguishedName", group.decode("utf-8", "replace")] = None
        if is_asked:
            self._collector.saw({"memberof"})  # asked for: one in no group but its primary one has no value
            rids = (DOMAIN_COMPUTERS, DOMAIN_CONTROLLERS, *_numbers(values.get("primarygroupid", ())))
            for sid in values.get("objectsid", ()):
                self._groups.update({("objectSid", sid[:-4] + rid.to_bytes(4, "little")): None for rid in rids})
        self._knows_readers |= "msds-groupmsamembership" in values
        for descriptor in values.get("msds-groupmsamembership", ()):
            with contextlib.suppress(ValueError, IndexError):
                self._groups.update({("objectSid", sid_bytes(reader)): None for reader in allowed_sids(descriptor)})

    def _root(self, connection: LdapConnection, expected: str | None = None) -> _Root:
        """rootDSE (RFC 4512 5.1); `expected` is the folded DN of the domain whose controller it must be."""
        for _, attributes in connection.search("", BASE, None, _ROOT):
            values = _first_texts(attributes)
            default = values.get("defaultnamingcontext", "")
            if default and expected in (None, fold(default)):
                return _Root(
                    default,
                    values.get("configurationnamingcontext", ""),
                    values.get("rootdomainnamingcontext", default),
                    values.get("dnshostname", connection.server.host),
                    values.get("isglobalcatalogready", "").upper() == "TRUE",
                )
        raise LdapError(f"{connection.server} is no controller of the domain asked about")

    def _read_partitions(self, connection: LdapConnection, root: _Root) -> None:
        """The domains of the forest with their NetBIOS names."""
        found: dict[str, str] = {}
        search = connection.search(f"CN=Partitions,{root.configuration}", ONE_LEVEL, None, _PARTITIONS)
        for dn, attributes in search:
            self._collector.add(dn, attributes)
            values = _first_texts(attributes)
            name, flags = values.get("ncname", ""), values.get("systemflags", "")
            if name and _NUMBER.match(flags) and int(flags) & _DOMAIN_NC:
                found[fold(name)] = name
        if fold(root.default) not in found or len(found) > MAX_DOMAINS:
            raise LdapError(f"{connection.server} does not list the domains of its forest")
        self._domains = found

    def _ask_domain(self, connection: LdapConnection, root: _Root) -> None:
        """All that one domain knows, from one of its controllers."""
        if not self._read(connection, root.default, BASE):
            raise LdapError(f"{connection.server} does not show the domain {printable(root.default)}")
        self._read_settings(connection, root)
        self._read_batches(connection, root.default, _questions(self._question, self._domain_names()))
        self._second_round(connection, root.default)

    def _domain_names(self) -> list[str]:
        return [dns_name_of(dn) for dn in self._domains.values()]

    def _read_settings(self, connection: LdapConnection, root: _Root) -> None:
        """The forest's sPNMappings and dSHeuristics, and since when the domain has AES keys."""
        service = f"CN=Directory Service,CN=Windows NT,CN=Services,{root.configuration}"
        self._read_or_note(connection, "the setting sPNMappings", service, BASE)
        sid = self._domain_sids.get(fold(root.default))
        if sid and len(sid) >= 8:
            group = equal("objectSid", _with_rid(sid, _RODC_GROUP_RID))
            self._read_or_note(connection, "the group of RID 521", root.default, SUBTREE, group)

    def _ask_forest(self, catalog: LdapConnection, root: _Root, incomplete: set[str]) -> None:
        """Who holds what in the whole forest, from a catalog; what it lacks of some domains, from theirs."""
        if not self._root(catalog).is_catalog:
            raise LdapError(f"{catalog.server} is no global catalog, or not ready as one")
        for dn in self._domains.values():
            if not self._read(catalog, dn, BASE):
                self._collector.note(f"{catalog.server} does not show the domain {printable(dn)}")
        self._read_batches(catalog, "", _questions(self._question, self._domain_names()))
        self._second_round(catalog, "")
        for key in sorted(incomplete):
            self._complete(key, root)
        self._collector.next_source()
        self._second_round(catalog, "")

    def _complete(self, key: str, root: _Root) -> None:
        """The attributes that no catalog holds, of the accounts found in one domain, from its own controller."""
        found = [equal("distinguishedName", dn) for dn in self._seen.values() if fold(domain_dn_of(dn)) == key]
        is_home = key == fold(root.default)
        if not found and not is_home:
            return
        self._collector.next_source()
        try:
            with self._open(self._controllers(key, root)) as connection:
                here = self._root(connection, key)
                if is_home:
                    self._read_settings(connection, here)
                self._read_batches(connection, here.default, batches(found))
                self._second_round(connection, here.default)
        except LdapError as error:
            name = printable(dns_name_of(self._domains[key]))
            self._collector.note(f"of the accounts of {name} only what the global catalog holds is known: {error}")

    def _controllers(self, key: str, root: _Root) -> Iterator[Server]:
        if key == fold(root.default):
            yield self._beside(root, catalog=False)
        domain = dns_name_of(self._domains[key])
        if host_fault(host_name(domain)):
            raise LdapError(f"{printable(domain)} is no domain name")
        yield from self._located(f"_ldap._tcp.dc._msdcs.{domain}")

    def _second_round(self, connection: LdapConnection, base: str) -> None:
        """Who holds the names that delegation points to, the accounts that supersede others, and groups in groups.

        Groups matter for the passwords of managed accounts; a catalog does not know what every group stands in.
        """
        self._ask_new(connection, base, self._follow)
        for _ in range(DEEPEST_NESTING if base and self._knows_readers else 0):
            if not self._ask_new(connection, base, self._groups):
                return

    def _ask_new(self, connection: LdapConnection, base: str, wanted: Mapping[tuple[str, str | bytes], None]) -> bool:
        """Whether there was anything that this base had not been asked about; attributes go in queries of their own."""
        new = [one for one in wanted if (base, *one) not in self._asked]
        self._asked.update((base, *one) for one in new)
        for attribute in sorted({attribute for attribute, _ in new}):
            parts = [equal(attribute, value) for name, value in new if name == attribute]
            self._read_batches(connection, base, batches(parts))
        return bool(new)
