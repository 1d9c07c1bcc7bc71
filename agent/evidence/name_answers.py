"""What a name leads to, as `nslookup`, `Resolve-DnsName`, `dig` and Network Monitor show it, and `ipconfig /all`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.evidence.captured import Captured, Facts
from agent.evidence.page import Page, Read
from agent.names import ip_address

_NAME = r"[A-Za-z0-9_*-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,20}\.?"
_NAME_WORDS = "Name|Nom|Nombre|Nome|Naam|Namn|Nazwa|\u0418\u043c\u044f|\u540d\u524d|\u540d\u79f0"

_NSLOOKUP = re.compile(
    rf"^(?:{_NAME_WORDS})[ \t]*:[ \t]+(?P<name>{_NAME})[ \t]*\n(?P<rest>(?:[^\n]{{1,200}}\n?){{0,40}})", re.MULTILINE
)
_NO_NAME = re.compile(rf"^\*\*\* [^\n]{{1,255}}?can't find (?P<name>{_NAME}): Non-existent domain", re.MULTILINE)
_ALIASES = re.compile(rf"^Alias(?:es)?[ \t]*:((?:[ \t]*\n?[ \t]+{_NAME}[ \t]*)+)", re.MULTILINE)
_TABLE = re.compile(
    rf"^(?P<name>{_NAME})[ \t]+(?P<kind>A|AAAA|CNAME)[ \t]+\d+[ \t]+\w+[ \t]+(?P<value>\S+)[ \t]*$", re.MULTILINE
)
_RECORD = re.compile(
    rf"^(?P<name>{_NAME})[ \t]+\d+[ \t]+IN[ \t]+(?P<kind>A|AAAA|CNAME)[ \t]+(?P<value>\S+)[ \t]*$", re.MULTILINE
)
_LIST = re.compile(
    rf"^Name[ \t]*:[ \t]*(?P<name>{_NAME})[ \t]*\n(?:(?!Name\b)[^\n]+\n){{0,6}}?"
    r"(?:NameHost|IP4?6?Address)[ \t]*:[ \t]*(?P<value>\S+)",
    re.MULTILINE,
)
_NETMON = re.compile(
    rf"ARecord:[ \t]*(?P<name>{_NAME})[ \t]+of type (?P<kind>[A-Za-z ]+) on class Internet[ \t]*:[ \t]*(?P<value>\S+)"
)


def name_answers(page: Page) -> Read:
    """One piece of evidence for each answer, in the order of the text."""
    found = [*_of_nslookup(page), *_of_records(page)]
    yield from sorted(found, key=lambda one: one.line)


def _of_records(page: Page) -> Iterator[Captured]:
    for pattern in (_TABLE, _RECORD, _LIST, _NETMON):
        for one in pattern.finditer(page.text):
            yield page.found("dns", one.start("name"), _answer(one["name"], one["value"]))


def _answer(name: str, value: str) -> Facts:
    address = ip_address(value)
    if address is not None:
        return Facts(host_names=(_plain(name),), addresses=(address,))
    return Facts(host_names=(_plain(name),), alias_of=_plain(value))


def _of_nslookup(page: Page) -> Iterator[Captured]:
    for one in _NSLOOKUP.finditer(page.text):
        rest = one["rest"].partition("\n\n")[0]
        addresses = _addresses(rest.split())
        if not addresses:
            continue
        name, aliases = _plain(one["name"]), _ALIASES.search(rest)
        for alias in aliases[1].split() if aliases else ():
            yield page.found("dns", one.start(), Facts(host_names=(_plain(alias),), alias_of=name, addresses=addresses))
        if not aliases:
            yield page.found("dns", one.start(), Facts(host_names=(name,), addresses=addresses))
    for one in _NO_NAME.finditer(page.text):
        yield page.found("dns", one.start(), Facts(host_names=(_plain(one["name"]),), addresses=()))


def _addresses(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for word in words if (found := ip_address(word)) is not None))


def _plain(name: str) -> str:
    return name.rstrip(".")


# -- ipconfig ------------------------------------------------------------------------------------------------------

_DOTTED = re.compile(r"^[ \t]*(?P<label>\S[^\n:]{0,60}?)[ .]*\.[ .]+:[ \t]?(?P<value>[^\n]*?)[ \t]*$", re.MULTILINE)
_OWN = re.compile(r"([0-9a-fA-F.:]{3,45})(?:%\d{1,10})?\([^()\n]{1,40}\)\Z")
_HOST = re.compile(r"[\w-]{1,63}\Z")
_SUFFIX = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})+\Z")


def ipconfig(page: Page) -> Read:
    """`ipconfig /all`: which computer it is. Its first line is the host's name, the second the DNS suffix; its own
    addresses have "(Preferred)" behind them, in any language.
    """
    dotted = list(_DOTTED.finditer(page.text))
    own = [found[1] for one in dotted if (found := _OWN.match(one["value"])) is not None]
    if len(dotted) < 4 or not own or _HOST.match(dotted[0]["value"]) is None:
        return
    host, suffix = dotted[0]["value"], dotted[1]["value"]
    domain = suffix if _SUFFIX.match(suffix) else None
    facts = Facts(
        computer=host,
        domain=domain,
        host_names=(f"{host}.{domain}",) if domain else None,
        addresses=_addresses(own),
    )
    yield page.found("ipconfig", dotted[0].start(), facts)
