"""Where one server's WinRM service is asked, and how: what the command line and the inventory agree on."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from agent.errors import UsageError
from agent.names import address_of, fold, host_fault, host_name, printable, without_user

Transport = Literal["auto", "kerberos", "ntlm", "credssp", "certificate", "basic"]
"""`auto`: Kerberos where a ticket can be had, else (with a user) NTLM; on Windows the operating system chooses."""

HTTP_PORT, HTTPS_PORT = 5985, 5986
TLS_PORTS = frozenset({HTTPS_PORT, 443})
CLEAR_PORTS = frozenset({HTTP_PORT, 80})
MOST_NAMES = 100_000
"""Servers that one inventory, or one word with ranges, may name."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """One WinRM service. `name` is what people call the server, `host` what is connected to.

    `kerberos_host` is the name asked of the KDC where that is not `host`; `user` None means the user of the run.
    `fault` says why it cannot be asked as an inventory says: nothing is sent to it.
    """

    name: str
    host: str
    port: int = HTTP_PORT
    tls: bool = False
    transport: Transport = "auto"
    user: str | None = None
    kerberos_host: str | None = None
    fault: str | None = None


class Defaults(Struct, frozen=True, kw_only=True):
    """What the command line says of the servers; `port` None: the protocol's own.

    A user and a transport (other than `auto`) count more than an inventory's, a port is for those that say none.
    """

    port: int | None = None
    tls: bool = False
    transport: Transport = "auto"
    user: str | None = None

    def endpoint(
        self,
        name: str,
        host: str,
        *,
        port: int | None = None,
        tls: bool | None = None,
        transport: Transport | None = None,
        user: str | None = None,
        kerberos_host: str | None = None,
    ) -> Endpoint:
        """The endpoint of a server, from what an inventory says of it and these defaults.

        A server whose scheme is given gets that scheme's port, not `--port`. Raises UsageError where a password or
        a client certificate would have to travel outside TLS.
        """
        transport = self.transport if self.transport != "auto" else transport or "auto"
        if tls is None:
            port = port or self.port
            tls = self._implies_tls(port, transport)
        if not tls and transport in _TLS_ONLY:
            raise UsageError(f"{_TLS_ONLY[transport]} over TLS only: ask https://{printable(host)}")
        return Endpoint(
            name=name,
            host=host,
            port=port or (HTTPS_PORT if tls else HTTP_PORT),
            tls=tls,
            transport=transport,
            user=self.user or user,
            kerberos_host=kerberos_host,
        )

    def _implies_tls(self, port: int | None, transport: Transport) -> bool:
        return self.tls or port in TLS_PORTS or (transport in _TLS_ONLY and port not in CLEAR_PORTS)


_TLS_ONLY: dict[Transport, str] = {"basic": "Basic", "certificate": "Client certificates"}


def secret_of(endpoint: Endpoint) -> str | None:
    """The account whose password this server is sent, in one form however it is written; None where none is sent."""
    return None if endpoint.transport == "certificate" or not endpoint.user else account_of(endpoint.user)


def account_of(user: str) -> str:
    """One form of what people type: `CORP\\svc`, `corp.test\\svc` and `SVC@corp.test` are `corp\\svc`.

    A NetBIOS domain that is not the first label of its DNS name stays apart, and so does a bare name.
    """
    domain, backslash, name = user.rpartition("\\")
    if not backslash and "@" in name:
        name, _, domain = name.rpartition("@")
    return f"{fold(domain.partition('.')[0])}\\{fold(name)}"


# -- a server as typed ---------------------------------------------------------------------------------------------

_WORD = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\[[^\[\]]*\]|[^:/@\[\]]*)(?::(?P<port>[0-9]{1,5}))?(?P<path>/(?:wsman/?)?)?",
    re.IGNORECASE,
)
_ZONE = re.compile(r"[A-Za-z0-9_.-]+")
_LOOKS_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


def parse(text: str, defaults: Defaults) -> Endpoint:
    """A server as typed: `web01`, `10.0.0.5`, `[fe80::1]:5985`, `web01:5986`, `https://web01[:port]`.

    The ports 5986 and 443 mean TLS. Raises UsageError that names the word.
    """
    word = text.strip()
    if address_of(word) is not None and not word.startswith("["):
        return _named(word, host_of(word), defaults)
    match = _WORD.fullmatch(word)
    if match is None or (match["path"] and not match["scheme"]):
        raise UsageError(f"{_quoted(word)} is no server: write HOST, HOST:PORT or https://HOST[:PORT]")
    scheme = match["scheme"] and match["scheme"].lower()
    return _named(
        word,
        host_of(match["host"], word),
        defaults,
        port=port_of(match["port"], word) if match["port"] else None,
        tls=scheme == "https" if scheme else None,
    )


def _named(word: str, host: str, defaults: Defaults, *, port: int | None = None, tls: bool | None = None) -> Endpoint:
    try:
        return defaults.endpoint(host, host, port=port, tls=tls)
    except UsageError as error:
        raise UsageError(f"{_quoted(word)}: {error}") from None


def host_of(text: str, word: str | None = None) -> str:
    """What is connected to: an address without brackets, or a host name (its A-labels where it is not ASCII).

    Raises UsageError that names `word`. A name whose last label is a number is none: resolvers take `1.2.3` and
    `0x7f000001` for addresses (`inet_aton`).
    """
    fault = _address_fault(text) if address_of(text) is not None else _name_fault(text)
    if fault is not None:
        raise UsageError(f"{_quoted(word or text)} is no server: {fault}")
    return text.strip("[]") if address_of(text) is not None else host_name(text).spn_text


def port_of(text: str, word: str) -> int:
    """A TCP port. Raises UsageError that names `word`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise UsageError(f"{_quoted(word)} is no server: a port is a number from 1 to 65535")
    return int(text)


def _address_fault(text: str) -> str | None:
    bare, percent, zone = text.strip("[]").partition("%")
    if percent and (":" not in bare or not _ZONE.fullmatch(zone)):
        return "the zone after % is not that of an IPv6 address"
    return None


def _name_fault(text: str) -> str | None:
    host = host_name(text)
    if host.is_wildcard:
        return "a wildcard names no host"
    if _LOOKS_NUMERIC.fullmatch(host.key):
        return "it ends in a number, but is no IP address"
    return host_fault(host)


def _quoted(word: str) -> str:
    return f"'{without_user(word)}'"


# -- ranges --------------------------------------------------------------------------------------------------------

_BRACKETS = re.compile(r"(\[[^\[\]]*\])")
_BOUNDS = re.compile(r"(?P<first>[0-9]{0,9}|[a-z]|[A-Z]):(?P<last>[0-9]{1,9}|[a-z]|[A-Z])(?::(?P<step>[0-9]{1,9}))?")


class _Span(NamedTuple):
    numbers: range
    show: Callable[[int], str]


def expand(word: str) -> Iterator[str]:
    """The names a word with ranges stands for: `web[01:20:2].test.com`, `[a:f]`, several in a word, last one fastest.

    They mean what they mean in Ansible: the end is included, a beginning with zeros gives the width, an empty one
    is 0. Raises UsageError that names the word, also for more than MOST_NAMES names.
    """
    parts = _BRACKETS.split(word)
    insides = parts[1::2]
    spans = [None if address_of(inside) is not None else _span(inside[1:-1], word) for inside in insides]
    count = 1
    for span in spans:
        count *= len(span.numbers) if span else 1
        if count > MOST_NAMES:
            raise UsageError(f"{_quoted(word)} stands for more than {MOST_NAMES} names")
    choices = [map(span.show, span.numbers) if span else (inside,) for span, inside in zip(spans, insides, strict=True)]
    for chosen in itertools.product(*choices):
        yield "".join(itertools.chain.from_iterable(itertools.zip_longest(parts[::2], chosen, fillvalue="")))


def _span(inside: str, word: str) -> _Span:
    bounds = _BOUNDS.fullmatch(inside)
    if bounds is None:
        raise UsageError(f"{_quoted(word)}: a range is written [01:20], [01:20:2] or [a:f]")
    first, last, step = bounds["first"] or "0", bounds["last"], int(bounds["step"] or 1)
    letters = next((s for s in (string.ascii_lowercase, string.ascii_uppercase) if first in s and last in s), None)
    if letters is None and not (first.isdigit() and last.isdigit()):
        raise UsageError(f"{_quoted(word)}: a range goes from number to number or from letter to letter of one case")
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and width != len(last):
        raise UsageError(f"{_quoted(word)}: {first} and {last} are not of one length")
    begin, end = (letters.index(first), letters.index(last)) if letters else (int(first), int(last))
    if begin > end or not step:
        raise UsageError(f"{_quoted(word)}: the range [{inside}] holds no name")
    return _Span(range(begin, end + 1, step), letters.__getitem__ if letters else lambda n: str(n).zfill(width))
