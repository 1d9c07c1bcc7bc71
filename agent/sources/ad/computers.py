"""Which computers stand below an organizational unit: the names that `--from-ad` has asked.

One paged search that is read to its end, and one entry lookup before it, so that a unit that does not exist is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.errors import UsageError
from agent.names import fold, host_fault, host_name, printable
from agent.sources.ad.connection import BASE, SUBTREE, LdapConnection
from agent.sources.ad.distinguished_names import dns_name_of, domain_dn_of
from agent.sources.ad.filters import batches, equal
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.results import LdapError
from agent.sources.ad.search_messages import Search

_MACHINE_ACCOUNT = (
    "805306369"  # sAMAccountType SAM_MACHINE_ACCOUNT (MS-ADTS 2.2.8); every controller has an index of it
)
_DISABLED = 0x2  # userAccountControl ADS_UF_ACCOUNTDISABLE
_NO_SUCH_OBJECT, _INVALID_DN_SYNTAX = 32, 34
_MANAGED_ACCOUNTS = frozenset(
    {
        "msds-managedserviceaccount",
        "msds-groupmanagedserviceaccount",
        "msds-delegatedmanagedserviceaccount",
    }
)
_CLUSTER = "msclustervirtualserver/"
_IIS = ("http/", "w3svc/", "www/")
_ATTRIBUTES = ("objectClass", "sAMAccountName", "dNSHostName", "servicePrincipalName", "userAccountControl")


class Computers(NamedTuple):
    """DNS names in alphabetical order; `notes` are sentences on what was left out."""

    names: tuple[str, ...]
    notes: tuple[str, ...]


class _Computer(NamedTuple):
    account: str
    name: str
    has_trace: bool


def computers(source: LdapSource, base: str, *, only_iis: bool = False) -> Computers:
    """The enabled computers below `base` (`OU=Web,DC=test,DC=com`, or `OU=Web` in the server's own domain).

    Managed service accounts and the name objects of clusters are no machines and left out. A computer without
    dNSHostName has never joined completely; it gets its account's name in its domain.

    `only_iis` keeps those with a trace of IIS in the directory: an SPN of the class HTTP, W3SVC or WWW on the computer,
    or `HTTP/` with one of its names on any account of the connected domain. **An IIS server need not have one**: setup
    registers none, HOST/ covers HTTP/, and sites under host headers of their own leave no trace at the computer. So it
    makes a first look short; it is no way to find all web servers. The other way round much that is no IIS of ours
    registers HTTP/: AD FS, Exchange, SQL Server Reporting Services.

    Raises UsageError for what is no distinguished name and where the extra is missing, LdapError (SourceError) where
    there is no such object or the answer is not whole.
    """
    with source.session() as (connection, domain):
        whole = _whole_dn(base, domain)
        _look_up(connection, whole)
        notes: list[str] = []
        found = list(_machines(connection, whole, notes))
        if only_iis:
            found = _with_traces(connection, domain, found, notes)
    names = {fold(one.name): one.name for one in found}
    return Computers(tuple(names[key] for key in sorted(names)), tuple(notes))


# -- the base ------------------------------------------------------------------------------------------------------

_DN = re.compile(r"\s*(?:OU|CN|DC|O|L|C)\s*=", re.IGNORECASE)


def _whole_dn(base: str, domain: str) -> str:
    """The base as given, below the domain where it names none. It goes out as a value, so nothing in it is syntax."""
    if not _DN.match(base):
        raise UsageError(f"--from-ad: '{printable(base)}' is no distinguished name such as OU=Web,DC=test,DC=com")
    return base.strip() if domain_dn_of(base) else f"{base.strip().rstrip(',')},{domain}"


def _look_up(connection: LdapConnection, base: str) -> None:
    try:
        is_there = bool(list(connection.search(base, BASE, None, ["objectClass"])))
    except LdapError as error:
        if error.code == _INVALID_DN_SYNTAX:
            raise UsageError(f"--from-ad: '{printable(base)}' is no distinguished name") from None
        if error.code != _NO_SUCH_OBJECT:
            raise
        is_there = False
    if not is_there:
        raise LdapError(f"{connection.server}: there is no {printable(base)}, or it may not be read", _NO_SUCH_OBJECT)


# -- the computers -------------------------------------------------------------------------------------------------


def _machines(connection: LdapConnection, base: str, notes: list[str]) -> Iterator[_Computer]:
    wanted = [equal("sAMAccountType", _MACHINE_ACCOUNT)]
    for dn, attributes in connection.search(base, SUBTREE, wanted, _ATTRIBUTES, in_pages=True):
        values = {fold(name): [value.decode("utf-8", "replace") for value in all_] for name, all_ in attributes.items()}
        if not _is_machine(values):
            continue
        account = _first(values, "samaccountname").removesuffix("$")
        name = _name(values, account, dn)
        if name is None:
            notes.append(f"{printable(dn)} is not asked: it has no usable name (dNSHostName, sAMAccountName)")
        else:
            yield _Computer(account, name, _has_class(values, _IIS))


def _is_machine(values: Mapping[str, Sequence[str]]) -> bool:
    flags = _first(values, "useraccountcontrol")
    is_disabled = flags.isdecimal() and int(flags[:10]) & _DISABLED
    is_managed = _MANAGED_ACCOUNTS & set(map(fold, values.get("objectclass", ())))
    return not (is_disabled or is_managed or _has_class(values, (_CLUSTER,)))


def _name(values: Mapping[str, Sequence[str]], account: str, dn: str) -> str | None:
    """A name that can be connected to; a computer may write its dNSHostName itself, so it is judged like any input."""
    for text in (_first(values, "dnshostname"), f"{account}.{dns_name_of(dn)}"):
        host = host_name(text)
        if host.text and not host.is_address and not host.is_wildcard and host_fault(host) is None:
            return host.text
    return None


def _has_class(values: Mapping[str, Sequence[str]], classes: tuple[str, ...]) -> bool:
    return any(fold(name).startswith(classes) for name in values.get("serviceprincipalname", ()))


def _first(values: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(values.get(name, ())), "")


# -- traces of IIS -------------------------------------------------------------------------------------------------


def _with_traces(
    connection: LdapConnection, domain: str, found: Sequence[_Computer], notes: list[str]
) -> list[_Computer]:
    held = _held(connection, domain, [one for one in found if not one.has_trace])
    kept = [one for one in found if one.has_trace or not held.isdisjoint(_http_spns(one))]
    if len(kept) < len(found):
        words = "computers have no SPN that tells of IIS and are not asked; IIS itself registers none"
        notes.append(f"{len(found) - len(kept)} of {len(found)} {words}")
    return kept


def _held(connection: LdapConnection, domain: str, found: Iterable[_Computer]) -> set[str]:
    """Which of the computers' HTTP/ names some account of the domain holds, folded."""
    asked = (equal("servicePrincipalName", name) for one in found for name in sorted(_http_spns(one)))
    held: set[str] = set()
    searches = (Search(domain, SUBTREE, wanted, ["servicePrincipalName"]) for wanted in batches(asked))
    for _, entries in connection.searches(searches):
        for _, attributes in entries:
            held |= {fold(value.decode("utf-8", "replace")) for values in attributes.values() for value in values}
    return held


def _http_spns(computer: _Computer) -> set[str]:
    return {fold(f"HTTP/{name}") for name in (computer.name, host_name(computer.name).first_label, computer.account)}
