"""What a directory is asked: whole values, many in one search.

Values go out as bytes of a BER structure: nothing in them can end a value or begin another filter, which is what the
escapes of RFC 4515 are for in the text form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, islice, starmap

from agent.names import fold
from agent.sources.ad.search_messages import Equal
from agent.spn.directory import Question

BATCH = 100
"""Values of one search."""


def equal(attribute: str, value: str | bytes) -> Equal:
    """One whole value."""
    return attribute, value if isinstance(value, bytes) else value.encode("utf-8", "replace")


def batches(wanted: Iterable[Equal]) -> Iterator[Sequence[Equal]]:
    """Alternatives for one search each, at most BATCH."""
    rest = iter(wanted)
    while batch := list(islice(rest, BATCH)):
        yield batch


def names_of(question: Question, domains: Sequence[str]) -> Iterator[Sequence[Equal]]:
    """All the names of a question, in their wrong forms too. Only whole values: every server has an index of those."""
    return batches(starmap(equal, _names(question, domains)))


def _names(question: Question, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Those of one host stand together: one account often holds them all, and so it is sent once."""
    by_host = sorted((host.key, name.key, name.text, host.spn_text) for name in question.spns for host in (name.host,))
    hosts = sorted({host for *_, host in by_host} - {""}, key=fold)
    for _, _, text, _ in by_host:
        yield "servicePrincipalName", text
    for host in hosts:
        for text in _misspelt(host):
            yield "servicePrincipalName", text
    for text in _wildcards(hosts):
        yield "servicePrincipalName", text
    for host in hosts:
        yield "userPrincipalName", f"HTTP/{host}"
    for domain in domains:
        for host in hosts:
            yield "servicePrincipalName", f"HTTP/{host}@{domain}"
            yield "servicePrincipalName", f"HTTP/{host}/{domain}"
        for host in hosts:
            yield "userPrincipalName", f"HTTP/{host}@{domain}"


def accounts_of(question: Question, known: Set[str] = frozenset()) -> Iterator[Sequence[Equal]]:
    """The accounts of a question, but for the `known` sAMAccountNames: within a domain there is one of each.

    Of a userPrincipalName there may be two (KB5008382 lets an administrator turn the check off).
    """
    accounts = sorted(question.account_names)
    names = (equal("sAMAccountName", name) for name in accounts if name not in known)
    others = (equal("userPrincipalName", name) for name in accounts if "@" in name)
    return chain(batches(names), batches(others))


def _misspelt(host: str) -> tuple[str, ...]:
    """The wrong forms that people write, which `setspn -Q HTTP/host` never shows."""
    urls = (f"{scheme}://{host}{end}" for scheme in ("http", "https") for end in ("", "/"))
    return (f"HTTPS/{host}", *urls, f"HTTP\\{host}", f"HTTP/http://{host}")


def _wildcards(hosts: Iterable[str]) -> list[str]:
    """`HTTP/*.test.com`, which people register for a wildcard binding: the `*` is a character of the value here."""
    return sorted({f"HTTP/*.{host.partition('.')[2]}" for host in hosts if "." in host} | {"HTTP/*"})
