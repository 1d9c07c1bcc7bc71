"""Host names, service principal names and account names as types: parsed once, compared as Active Directory compares.

Nobody else in the package lowers or splits such strings.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, NewType

from msgspec import Struct

NETBIOS_LENGTH = 15
"""Longest computer name, in characters (KB909264): a sAMAccountName is cut there and ends in `$`."""


def fold(text: str) -> str:
    """The form in which two directory strings are equal when they differ in case only.

    A non-ASCII letter never folds into an ASCII one: the long s and the Kelvin sign stay what they are, so that
    a look-alike name (CVE-2026-25177) is never taken for the real one.
    """
    if text.isascii():
        low = text.lower()
        return text if low == text else low  # most names are written small: no second copy of them
    return "".join(map(_fold_character, text))


@lru_cache(maxsize=1024)
def folded(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each of them folded: the applications of a server have few different lists."""
    return tuple(map(fold, texts))


def _fold_character(character: str) -> str:
    low = character.lower()
    return low if character.isascii() or not low.isascii() else character


def printable(text: str) -> str:
    """`text` with everything that could drive a terminal or reorder a line written as `\\uXXXX`."""
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else f"\\u{ord(c):04x}" for c in text)


def without_user(text: str) -> str:
    """A URL or a host for a message: what stands before an `@` may be a password."""
    return printable(text if "@" not in text else f"...@{text.rpartition('@')[2]}")


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


# -- hosts ---------------------------------------------------------------------------------------------------------


class HostName:
    """A name a client may type: `text` as written (no trailing dot), `key` for comparing: A-labels, or an address.

    `is_address` is True for an IP literal: Windows clients do not try Kerberos with one.
    """

    __slots__ = ("_first", "is_address", "key", "text")

    def __init__(self, text: str, key: str, *, is_address: bool) -> None:
        self.text: Final = text
        self.key: Final = key
        self.is_address: Final = is_address
        self._first: HostName | None = None

    def __repr__(self) -> str:
        return f"HostName({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostName) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text

    @property
    def is_short(self) -> bool:
        """True for a name of one label (`contoso`): it needs a search suffix before DNS can answer."""
        return "." not in self.key and not self.is_address

    @property
    def is_wildcard(self) -> bool:
        """True for IIS 10's `*.contoso.com`: no service principal name can match it."""
        return "*" in self.key

    @property
    def is_loopback(self) -> bool:
        """True for `localhost`, with or without a suffix, and all below it (RFC 6761 section 6.3): never a server's."""
        key = self.key
        if "localhost" not in key:
            return key == "loopback"
        return key == "localhost" or key.startswith("localhost.") or key.endswith(".localhost")

    @property
    def is_locator(self) -> bool:
        """True for what domain controllers register to be found by (MS-ADTS 6.3.2): no name that stands in a URL."""
        if "_" not in self.key and not self.key.startswith(_DNS_PARTITIONS):
            return False
        labels = self.key.split(".")
        return labels[0] in _DNS_PARTITIONS or not _LOCATOR_LABELS.isdisjoint(labels)

    @property
    def first_label(self) -> HostName:
        """`contoso` of `contoso.test.com`."""
        if self._first is None:
            label = self.spn_text.partition(".")[0]
            if label == self.text:
                return self
            self._first = host_name(label)
        return self._first

    @property
    def suffix(self) -> str:
        """`test.com` of `contoso.test.com`, empty for a short name."""
        return self.spn_text.partition(".")[2]

    def under(self, suffix: str) -> HostName:
        """This short name below a DNS suffix."""
        return host_name(f"{self.spn_text}.{suffix}")

    @property
    def spn_text(self) -> str:
        """What stands in an SPN: the name as written, its A-label where it is not ASCII (RFC 5891, UTS 46)."""
        return self.text if self.text.isascii() else self.key

    def suffixes(self) -> Iterator[str]:
        """Each part of it from a dot on, as compared: what `*` may stand before."""
        at = -1 if self.is_wildcard or self.is_address else self.key.find(".")
        while at >= 0:
            yield self.key[at:]
            at = self.key.find(".", at + 1)

    def matches_wildcard(self, pattern: HostName) -> bool:
        """Whether a request for this name reaches a binding for `*.suffix` (one or more labels in place of `*`)."""
        return pattern.key.startswith("*.") and self.key.endswith(pattern.key[1:]) and not self.is_wildcard


_DNS_PARTITIONS = ("domaindnszones", "forestdnszones")
_LOCATOR_LABELS = frozenset({"_msdcs", "_sites", "_tcp", "_udp"})


@lru_cache(maxsize=65536)
def host_name(text: str) -> HostName:
    """Read a host name as it is written anywhere: trailing dot dropped, IDN to its A-label for comparing."""
    name = text.strip().rstrip(".")
    address = ip_address(name)
    key = address or fold(name if name.isascii() else _a_label(name))
    # most names are in lower case: one text, not two
    return HostName(name, name if key == name else key, is_address=address is not None)


def host_key(text: str) -> str:
    """The key of `host_name(text)`: a zone has many names, and most of them nobody asks for."""
    if text[-1:].isalpha() and text.isascii() and ":" not in text and not text[0].isspace():
        return fold(text)  # no address, and nothing to strip
    return host_name(text).key


def keys_above(key: str) -> Iterator[str]:
    """The names that a name is below, nearest first, as compared."""
    while key := key.partition(".")[2]:
        yield key


def _a_label(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return name


_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")


def host_fault(host: HostName) -> str | None:
    """Why DNS can never know this name (RFC 1035 lengths and characters; `_` is let through), or None."""
    key = host.key.removeprefix("*.")
    if len(key) > 253:
        return f"longer than 253 characters ({len(key)})"
    for label in key.split("."):
        if not _LABEL.match(label):
            return f"label {printable(label)!r} is not a DNS label"
    return None


Address = NewType("Address", str)
"""An IP address in the one spelling in which two are compared (RFC 5952); without a zone, which is a machine's own."""


def is_loopback(address: Address) -> bool:
    """Whether only the machine itself gets there (RFC 1122 3.2.1.3, RFC 4291 2.5.3)."""
    return address == "::1" or address.startswith("127.")


def ip_address(text: str) -> Address | None:
    """The address a text spells, brackets and a zone allowed, or None."""
    found = address_of(text)
    return None if found is None else Address(str(found))


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address a text spells, brackets allowed, or None."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not bare or not (":" in bare or (bare[-1].isdigit() and bare[0].isdigit())):
        return None
    try:
        return ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None


# -- service principal names ---------------------------------------------------------------------------------------


class Spn:
    """A service principal name, `class/host[:port][/name]`; two are equal when their texts differ in case only."""

    __slots__ = ("_host", "key", "text")

    def __init__(self, text: str, key: str) -> None:
        self.text: Final = text
        self.key: Final = key
        self._host: HostName | None = None

    def __repr__(self) -> str:
        return f"Spn({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spn) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text

    @property
    def service(self) -> str:
        """The service class in folded form: `http`, `host`."""
        return self.key.partition("/")[0]

    @property
    def instance(self) -> str:
        """Host and port as written: `iis01.test.com:8080`."""
        return self.text.partition("/")[2].partition("/")[0]

    @property
    def host(self) -> HostName:
        """The host part without its port."""
        if self._host is None:
            instance = self.instance
            name, colon, port = instance.rpartition(":")
            self._host = host_name(name if colon and _is_number(port) else instance)
        return self._host

    @property
    def port(self) -> int | None:
        """The port where one is part of the name; it is, for the KDC, just more text."""
        _, colon, port = self.instance.rpartition(":")
        return int(port) if colon and _is_number(port) and len(port) < 6 else None

    def with_service(self, service: str) -> Spn:
        """The same host and port under another service class (what sPNMappings does)."""
        return spn(f"{service}/{self.text.partition('/')[2]}")


def _is_number(text: str) -> bool:
    """Unicode has more digits: a superscript two is one, and no number."""
    return text.isascii() and text.isdigit()


@lru_cache(maxsize=65536)
def spn(text: str) -> Spn:
    """Read a service principal name, whatever stands in it; `spn_fault` judges it."""
    return Spn(text, fold(text))


def http_spn(host: HostName, port: int | None = None) -> Spn:
    """`HTTP/host` or `HTTP/host:port`: https sites use the class HTTP too (rule R2.1)."""
    return spn(f"HTTP/{host.spn_text}" if port is None else f"HTTP/{host.spn_text}:{port}")


def spn_fault(text: str) -> str | None:
    """Why a stored value can never match what a client asks for (rules R2.1, R2.5, R2.14, R4.15), or None."""
    service, slash, rest = text.partition("/")
    if any(not _is_shown(c) for c in text):
        return "it holds an invisible or control character"
    if not text.isascii():
        return "it holds a character outside ASCII (clients ask for the A-label)"
    if "://" in text:
        return "it is a URL: a service principal name is HTTP/host, without '://'"
    if "\\" in text:
        return "it holds a backslash where '/' belongs"
    if not slash or not service or not rest:
        return "it is not of the form class/host"
    return _class_fault(service) or _instance_fault(rest)


def _class_fault(service: str) -> str | None:
    if fold(service) == "https":
        return "there is no service class HTTPS: https sites use HTTP/ too"
    return None


def _instance_fault(rest: str) -> str | None:
    host, slash, name = rest.partition("/")
    if any(c.isspace() for c in rest):
        return "it holds white space"
    if "*" in rest:
        return "no client asks for a wildcard: names match letter for letter"
    if "@" in rest:
        return "the realm is not part of a stored name"
    if fold(host) in {"http", "https", "host"}:
        return "a service class stands where the host belongs"
    if slash and (not name or "/" in name):
        return "it has an empty or a fourth part"
    return "a three-part name is another name than class/host" if slash else None


# -- accounts ------------------------------------------------------------------------------------------------------


class Guess(Struct, frozen=True, eq=False):
    """A name that nobody said: it may be shown, and is marked, but says nothing when it is compared."""

    text: str

    def __str__(self) -> str:
        return self.text


class Likeness(Enum):
    """Whether two names are of one account. UNKNOWN is neither: nothing follows from it."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


class AccountName:
    """`DOMAIN\\sAMAccountName`; a computer's and a managed service account's name ends in `$`.

    `domain` is the NetBIOS name, a Guess where nobody said it; `dns` the folded DNS name of the domain, empty where
    nobody knows which one it is. Two are equal when they are known to be one account; that they are two is known
    only where `likeness` says OTHER.
    """

    __slots__ = ("dns", "domain", "key", "name")

    def __init__(self, domain: str | Guess, name: str, dns: str = "") -> None:
        self.domain: Final = domain
        self.name: Final = name
        self.dns: Final = dns
        self.key: Final = fold(name)

    def __repr__(self) -> str:
        return f"AccountName({self.domain!r}, {self.name!r}, {self.dns!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccountName) and self.likeness(other) is Likeness.SAME

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.domain}\\{self.name}"

    def likeness(self, other: AccountName) -> Likeness:
        """Whether the two are one account. Accounts of different names never are, whatever their domains."""
        return self.domain_likeness(other) if self.key == other.key else Likeness.OTHER

    def domain_likeness(self, other: AccountName) -> Likeness:
        """Whether the two stand in one domain: by its DNS name, else by NetBIOS names that were both read."""
        if self.dns and other.dns:
            return Likeness.SAME if self.dns == other.dns else Likeness.OTHER
        if isinstance(self.domain, Guess) or isinstance(other.domain, Guess):
            return Likeness.UNKNOWN
        is_same = self.domain == other.domain or fold(self.domain) == fold(other.domain)
        return Likeness.SAME if is_same else Likeness.OTHER


def account_name(text: str) -> AccountName:
    """Read `DOMAIN\\sAMAccountName`. Raises ValueError for another form."""
    domain, backslash, name = text.partition("\\")
    if not backslash:
        raise ValueError(f"'{printable(text)[:80]}' is not DOMAIN\\name")
    return AccountName(domain, name)


def netbios_name(host: str) -> str:
    """The computer name Windows makes of a host name: first label, 15 characters (rule R2.7)."""
    return host.partition(".")[0][:NETBIOS_LENGTH]


def netbios_fault(domain: str) -> str | None:
    """Why no domain can have this NetBIOS name (KB909264), or None."""
    if not 0 < len(domain) <= NETBIOS_LENGTH or any(c in r'\/:*?"<>|' for c in domain):
        return f"'{printable(domain)[:80]}' is not a NetBIOS name"
    return None


def computer_account(netbios_domain: str | Guess, computer: str, dns: str = "") -> AccountName:
    """`TEST\\IIS01$` for the computer IIS01 (its short name or its FQDN) of the domain TEST."""
    return AccountName(netbios_domain, netbios_name(computer).upper() + "$", fold(dns))


UserForm = Literal["domain", "upn", "local", "bare", "well-known"]

_WELL_KNOWN_DOMAINS = frozenset({"nt authority", "nt service", "iis apppool", "builtin", "window manager"})


class UserName(Struct, frozen=True):
    """A processModel `userName` taken apart (rule R1.8).

    `form` says how `domain` is to be read: a NetBIOS or DNS domain name ("domain"), a UPN suffix ("upn"), a
    machine ("local"), nothing ("bare"), or a name space of Windows itself ("well-known").
    """

    form: UserForm
    domain: str
    name: str


def user_name(text: str, machine: str) -> UserName:
    """Read `DOMAIN\\user`, `user@suffix`, `.\\user`, `MACHINE\\user` or `user` as written for the server `machine`."""
    domain, backslash, name = text.strip().partition("\\")
    if backslash:
        return UserName(_form_of(fold(domain), fold(netbios_name(machine))), domain, name)
    name, at, suffix = text.strip().rpartition("@")
    if at and name:
        return UserName("upn", suffix, name)
    return UserName("bare", "", text.strip())


def _form_of(domain: str, machine: str) -> UserForm:
    if domain in _WELL_KNOWN_DOMAINS:
        return "well-known"
    return "local" if domain in {".", "localhost", machine} else "domain"


# -- paths of the configuration system -----------------------------------------------------------------------------


def path_key(path: str) -> str:
    """The form in which two configuration paths (`Site/app/dir`) are equal: IIS compares them without case."""
    return fold(path)


# -- names as texts ------------------------------------------------------------------------------------------------

FROM_TEXT: Mapping[type, Callable[[str], object]] = {Spn: spn, HostName: host_name, AccountName: account_name}
"""The names that stand in a document as their text, `str(name)`, and what reads each from it again."""
