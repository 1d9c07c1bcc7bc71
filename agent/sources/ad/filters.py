"""What a directory is asked, as LDAP filters (RFC 4511 4.5.1): whole values, many in one query.

Values go into a filter as bytes of a BER structure: nothing in them can end a value or begin another filter, which is
what the escapes of RFC 4515 are for in the text form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from agent.names import fold
from agent.spn.directory import Question

if TYPE_CHECKING:
    import sansldap

BATCH = 100
"""Values of one OR filter."""


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


def filters_for(question: Question, domains: Sequence[str]) -> Iterator[sansldap.LDAPFilter]:
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
