"""Live LDAP: ask domain controllers and the global catalog a `Question`, in few queries, and never say "nobody" lightly.

What was not answered whole becomes a `directory-incomplete` problem, and no domain counts as covered by it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from agent.directory import Directory, Question
from agent.errors import UsageError
from agent.names import Spn, fold, host_fault, host_name, printable, spn
from agent.sources.entries import ATTRIBUTES, Collector, dns_name_of, domain_dn_of
from agent.sources.ldap_connection import BASE, ONE_LEVEL, SUBTREE, Deadline, LdapConnection, LdapError, Server
from agent.sources.ldap_logon import Logon, bind

if TYPE_CHECKING:
    import sansldap

__all__ = ["LdapError", "LdapSource", "Located", "Logon", "current_domain", "is_available", "srv_records"]

BATCH = 100
"""Values of one OR filter."""
MAX_CONTROLLERS = 3
MAX_DOMAINS = 200
DNS_SECONDS = 10.0
_DOMAIN_NC = 0x2  # systemFlags of a crossRef: FLAG_CR_NTDS_DOMAIN (MS-ADTS 2.2.10)
_RODC_GROUP_RID = 521

Scheme = Literal["ldap", "ldaps", "gc"]


class Located(NamedTuple):
    """A domain controller or global catalog as the name service knows it."""

    host: str
    port: int
    address: str | None = None


Locate = Callable[[str, float], Sequence[Located]]
"""From the name of an SRV record, and the seconds there are, to the servers behind it."""


def is_available() -> bool:
    """Whether the extra `ldap` is installed."""
    return all(importlib.util.find_spec(name) for name in ("sansldap", "spnego"))


def srv_records(name: str, seconds: float) -> Sequence[Located]:
    """The servers of an SRV record (RFC 2782), best first. Raises LdapError."""
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(name, "SRV", lifetime=min(seconds, DNS_SECONDS))
    except dns.exception.DNSException as error:
        raise LdapError(f"the name service gives no {printable(name)} ({type(error).__name__})") from None
    records = sorted(answer, key=lambda record: (record.priority, -record.weight))
    return [Located(str(record.target).rstrip("."), record.port) for record in records]


def current_domain(logon: Logon | None = None) -> str | None:
    """The DNS name of the domain that `auto` means: the logon's realm, the Windows logon's, the Kerberos ticket's."""
    if logon is not None and "@" in logon.user:
        return fold(logon.user.rpartition("@")[2])
    if sys.platform == "win32":
        return fold(os.environ.get("USERDNSDOMAIN", "")) or None
    try:
        import krb5

        context = krb5.init_context()
        principal = krb5.cc_default(context).principal
        realm = krb5.principal_get_realm(context, principal) if principal else b""
    except (ImportError, AttributeError):
        return None
    except Exception:  # noqa: BLE001
        return None  # no ticket: krb5 says so with an exception that has no public base
    return fold(realm.decode("utf-8", "replace")) or None


# -- targets -------------------------------------------------------------------------------------------------------


class _Target(NamedTuple):
    scheme: Scheme
    host: str
    port: int | None


_PORTS: Mapping[Scheme, int] = {"ldap": 389, "ldaps": 636, "gc": 3268}


def _target(text: str) -> _Target | None:
    """What `--ad` says, None for `auto`. Raises UsageError."""
    if text == "auto":
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    extra = parts.path.strip("/") or parts.query or parts.username
    if parts.scheme not in _PORTS or not host or extra:
        raise UsageError(f"{printable(text)} is no directory: write ldap://HOST[:PORT], ldaps://HOST, gc://HOST or auto")
    scheme: Scheme = "ldap" if parts.scheme == "ldap" else "gc" if parts.scheme == "gc" else "ldaps"
    return _Target(scheme, host, port)


@dataclass(kw_only=True)
class LdapSource:
    """A directory to ask live.

    `target` is `auto`, `ldap://HOST[:PORT]`, `ldaps://HOST[:PORT]` or `gc://HOST[:PORT]`; `logon` None means the present
    Kerberos ticket or Windows logon; `address` is connected to in place of the target's host name, which stays the
    name that the certificate and Kerberos must prove. After `ask`, `round_trips` counts its requests.
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
        target = _target(self.target)
        if not is_available():
            raise UsageError(f"--ad {self.target} needs the LDAP extra: pip install 'iis-spn[ldap]'")
        return _Conversation(self, target, question).directory()


# -- filters -------------------------------------------------------------------------------------------------------
# Values go into the filter as bytes of a BER structure: nothing in them can end a value or begin another filter, which
# is what the escapes of RFC 4515 are for in the text form.


def _equal(attribute: str, value: str | bytes) -> sansldap.LDAPFilter:
    from sansldap import FilterEquality

    return FilterEquality(attribute, value if isinstance(value, bytes) else value.encode("utf-8", "replace"))


def _begins(attribute: str, value: str) -> sansldap.LDAPFilter:
    from sansldap import FilterSubstrings

    return FilterSubstrings(attribute, value.encode("utf-8", "replace"), [], None)


def _batches(parts: Sequence[sansldap.LDAPFilter]) -> Iterator[sansldap.LDAPFilter]:
    from sansldap import FilterOr

    for start in range(0, len(parts), BATCH):
        yield FilterOr(list(parts[start : start + BATCH]))


def _hosts(question: Question) -> list[str]:
    return sorted({name.host.spn_text for name in question.spns} - {""}, key=fold)


def _questions(question: Question) -> Iterator[sansldap.LDAPFilter]:
    """OR filters for all that a question asks; comparisons that no index of the server may help are kept apart."""
    hosts = _hosts(question)
    names = [_equal("servicePrincipalName", name.text) for name in sorted(question.spns, key=lambda n: n.key)]
    names += [_equal("servicePrincipalName", text) for host in hosts for text in _misspelt(host)]
    names += [_equal("userPrincipalName", f"HTTP/{host}") for host in hosts]
    yield from _batches(names)
    ports = [_begins("servicePrincipalName", f"HTTP/{host}:") for host in hosts]
    yield from _batches(ports + [_begins("userPrincipalName", f"HTTP/{host}@") for host in hosts])
    accounts = sorted(question.account_names)
    yield from _batches([_equal("sAMAccountName", name) for name in accounts])
    yield from _batches([_equal("userPrincipalName", name) for name in accounts if "@" in name])


def _misspelt(host: str) -> tuple[str, ...]:
    """The wrong forms that people write, which `setspn -Q HTTP/host` never shows."""
    return (f"HTTPS/{host}", f"http://{host}", f"https://{host}", f"HTTP\\{host}", f"HTTP/http://{host}")


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

    def __init__(self, source: LdapSource, target: _Target | None, question: Question) -> None:
        self._source = source
        self._target = target
        self._question = question
        self._deadline = Deadline(source.seconds)
        self._collector = Collector(question, source.netbios_names)
        self._domains: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._targets: dict[Spn, None] = {}
        self._successors: dict[str, None] = {}
        self._domain_sid: bytes | None = None

    def directory(self) -> Directory:
        self._source.round_trips = 0
        self._collector.next_source()
        try:
            self._ask_all()
        except LdapError as error:
            self._collector.incomplete(str(error))
        return replace(self._collector.directory(self._source.target), duplicates_elsewhere=0)

    def _ask_all(self) -> None:
        with self._open(self._first_servers()) as connection:
            root = self._root(connection)
            self._read_partitions(connection, root)
            if self._target and self._target.scheme == "gc":
                self._ask_catalog(connection, root)
                self._complete(root, {fold(root.default)})
                return
            self._ask_domain(connection, root)
        others = set(self._domains) - {fold(root.default)}
        if others:
            self._ask_others(root, others)

    def _ask_others(self, root: _Root, others: set[str]) -> None:
        self._collector.next_source()
        try:
            with self._open(self._catalogs(root)) as catalog:
                self._ask_catalog(catalog, root)
                self._complete(root, set())
                self._second_round(catalog, "")
        except LdapError as error:
            names = ", ".join(sorted(printable(dns_name_of(self._domains[key])) for key in others))
            hint = "name a reachable global catalog with gc://HOST"
            self._collector.incomplete(f"no global catalog was asked about the other domains ({names}): {error}; {hint}")

    # .. servers ..

    def _first_servers(self) -> Sequence[Server]:
        source, target = self._source, self._target
        if target is not None:
            port = target.port or _PORTS[target.scheme]
            return [self._server(Located(target.host, port, source.address))]
        domain = current_domain(source.logon)
        if domain is None:
            raise LdapError("this machine and this logon belong to no domain; name a controller with ldap://HOST")
        return self._located(f"_ldap._tcp.dc._msdcs.{domain}", catalog=False)

    def _catalogs(self, root: _Root) -> Iterator[Server]:
        if root.is_catalog:
            yield self._beside(root, catalog=True)
        yield from self._located(f"_gc._tcp.{dns_name_of(root.forest)}", catalog=True)

    def _beside(self, root: _Root, *, catalog: bool) -> Server:
        """The catalog (or the domain's own port) of the server that was asked first."""
        target = self._target
        host, address = (target.host, self._source.address) if target else (root.host, None)
        return self._server(Located(host, self._port(catalog=catalog), address))

    def _located(self, record: str, *, catalog: bool) -> list[Server]:
        port = self._port(catalog=catalog)
        found = self._source.locate(record, self._deadline.left())
        sealed = self._protection == "seal"
        return [self._server(place if sealed else place._replace(port=port)) for place in found[:MAX_CONTROLLERS]]

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
            self._remember(dn, {fold(name): values for name, values in attributes.items()})
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

    def _remember(self, dn: str, values: Mapping[str, Sequence[bytes]]) -> None:
        """What a second round has to ask about, and where an entry lives."""
        self._seen[fold(dn)] = dn
        for target in values.get("msds-allowedtodelegateto", ()):
            self._targets.setdefault(spn(target.decode("utf-8", "replace")))
        for name in ("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"):
            for successor in values.get(name, ()):
                self._successors.setdefault(successor.decode("utf-8", "replace"))
        if fold(dn) in self._domains:
            self._domain_sid = next(iter(values.get("objectsid", ())), None)

    def _root(self, connection: LdapConnection) -> _Root:
        """rootDSE (RFC 4512 5.1)."""
        for _, attributes in connection.search("", BASE, None, _ROOT):
            values = {fold(name): found[0].decode("utf-8", "replace") for name, found in attributes.items() if found}
            default = values.get("defaultnamingcontext", "")
            if default:
                return _Root(
                    default,
                    values.get("configurationnamingcontext", ""),
                    values.get("rootdomainnamingcontext", default),
                    values.get("dnshostname", connection.server.host),
                    values.get("isglobalcatalogready", "").upper() == "TRUE",
                )
        raise LdapError(f"{connection.server} is no domain controller: it names no domain")

    def _read_partitions(self, connection: LdapConnection, root: _Root) -> None:
        """The domains of the forest with their NetBIOS names."""
        found: dict[str, str] = {}
        search = connection.search(f"CN=Partitions,{root.configuration}", ONE_LEVEL, None, _PARTITIONS)
        for dn, attributes in search:
            self._collector.add(dn, attributes)
            values = {fold(name): [v.decode("utf-8", "replace") for v in all_] for name, all_ in attributes.items()}
            name, flags = values.get("ncname", [""])[0], values.get("systemflags", ["0"])[0]
            if flags.lstrip("-").isdecimal() and int(flags) & _DOMAIN_NC and name:
                found[fold(name)] = name
        if fold(root.default) not in found or len(found) > MAX_DOMAINS:
            raise LdapError(f"{connection.server} does not list the domains of its forest")
        self._domains = found

    def _ask_domain(self, connection: LdapConnection, root: _Root) -> None:
        """All that one domain knows, from one of its controllers."""
        if not self._read(connection, root.default, BASE):
            raise LdapError(f"{connection.server} does not show the domain {printable(root.default)}")
        self._read_settings(connection, root)
        self._read_batches(connection, root.default, _questions(self._question))
        self._second_round(connection, root.default)

    def _read_settings(self, connection: LdapConnection, root: _Root) -> None:
        """The forest's sPNMappings and dSHeuristics, and since when the domain has AES keys."""
        service = f"CN=Directory Service,CN=Windows NT,CN=Services,{root.configuration}"
        self._read_or_note(connection, "the setting sPNMappings", service, BASE)
        if self._domain_sid:
            group = _equal("objectSid", _with_rid(self._domain_sid, _RODC_GROUP_RID))
            self._read_or_note(connection, "the group of RID 521", root.default, SUBTREE, group)

    def _ask_catalog(self, catalog: LdapConnection, root: _Root) -> None:
        """Who holds what in the whole forest; a catalog knows only some attributes of each account."""
        if not self._root(catalog).is_catalog:
            raise LdapError(f"{catalog.server} is no global catalog, or not ready as one")
        for key, dn in self._domains.items():
            if not self._read(catalog, dn, BASE):
                self._collector.note(f"{catalog.server} does not show the domain {printable(self._domains[key])}")
        self._read_batches(catalog, "", _questions(self._question))
        self._second_round(catalog, "")
        if self._target and self._target.scheme == "gc":
            self._collector.next_source()
            self._ask_home(root)

    def _ask_home(self, root: _Root) -> None:
        raise NotImplementedError

    def _complete(self, root: _Root, also: set[str]) -> None:
        raise NotImplementedError

    def _second_round(self, connection: LdapConnection, base: str) -> None:
        """Who holds the names that delegation points to, and the accounts that supersede others."""
        names = [form.text for target in self._targets for form in (target, target.with_service("HOST"))]
        parts = [_equal("servicePrincipalName", name) for name in dict.fromkeys(names)]
        successors = [_equal("distinguishedName", dn) for dn in self._successors]
        self._targets, self._successors = {}, {}
        self._read_batches(connection, base, _batches(parts))
        self._read_batches(connection, base, _batches(successors))
