"""Which SPN each kind of client asks for, as a table (rules, sections 2.15 and 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from agent.names import HostName, fold, host_name
from agent.spn.nameservice import NameService, Resolution


class Canonicalisation(NamedTuple):
    """What a client makes of the host in the URL before it stands in the SPN.

    `resolved` is given the answer of DNS, which has an address or an end that nobody looked up; `unresolved` the suffix
    of short names, where DNS was not asked or has no address. `keeps_short`: a short name is sent as it is typed,
    though it leads nowhere else. `follows`: where an alias leads counts.
    """

    resolved: Callable[[HostName, Resolution, NameService], HostName]
    unresolved: Callable[[HostName, str | None], tuple[HostName, ...]]
    keeps_short: bool
    follows: bool = True


def _lowered(host: HostName) -> HostName:
    return host_name(fold(host.spn_text))


def _qualified(typed: HostName, suffix: str | None) -> tuple[HostName, ...]:
    """Under the suffix or, when the resolver gives no canonical name, as typed: which one is not known."""
    return (typed.under(suffix), typed) if typed.is_short and suffix else (typed,)


def _pointer(_typed: HostName, found: Resolution, names: NameService) -> HostName:
    return names.pointers.get(found.addresses[0], found.canonical) if found.addresses else found.canonical


def _extended(typed: HostName, found: Resolution, _names: NameService) -> HostName:
    return found.canonical if found.canonical.key.startswith(f"{typed.key}.") else _lowered(typed)


CANONICAL = Canonicalisation(lambda _typed, found, _names: found.canonical, _qualified, keeps_short=False)
"""The owner name of the address record, after the search suffix and the whole CNAME chain."""

TYPED = Canonicalisation(lambda typed, *_: typed, lambda typed, _: (typed,), keeps_short=True, follows=False)
"""The host as it stands in the URL."""

POINTER = Canonicalisation(_pointer, _qualified, keeps_short=False)
"""The PTR name of the first address (MIT krb5's defaults)."""

EXTENDED = Canonicalisation(_extended, lambda typed, _: (_lowered(typed),), keeps_short=True)
"""As typed in lower case; the canonical name only where it extends the typed one (Java)."""


class Client(NamedTuple):
    """One kind of client; `port`: it adds a port other than 80 and 443 to the SPN."""

    name: str
    host: Canonicalisation
    port: bool
    default: bool
    source: str


CLIENTS = {
    client.name: client
    for client in (
        Client("edge", CANONICAL, False, True, "Chromium http_auth_handler_negotiate.cc"),
        Client("chrome", CANONICAL, False, True, "Chromium http_auth_handler_negotiate.cc"),
        Client("firefox", CANONICAL, False, True, "Gecko nsAuthSSPI.cpp, nsHttpNegotiateAuth.cpp"),
        Client("dotnet", CANONICAL, False, True, ".NET 6+ AuthenticationHelper.NtAuth.cs"),
        Client("ie", CANONICAL, False, False, "KB911149, KB908209"),
        Client("dotnetframework", CANONICAL, False, False, ".NET Framework _AuthenticationState.cs"),
        Client("dotnet5", CANONICAL, True, False, ".NET 5 AuthenticationHelper.NtAuth.cs"),
        Client("curl-sspi", TYPED, False, False, "curl vauth.c"),
        Client("curl-mit", POINTER, False, False, "MIT krb5 princ_dns (dns_canonicalize_hostname, rdns)"),
        Client("java", EXTENDED, False, False, "JDK NegotiatorImpl.java"),
        Client("chrome-nocname", TYPED, False, False, "policy DisableAuthNegotiateCnameLookup"),
        Client("edge-port", CANONICAL, True, False, "policy EnableAuthNegotiatePort"),
    )
}
DEFAULT_CLIENTS = tuple(client for client in CLIENTS.values() if client.default)

PORTS_NEVER_ASKED = frozenset({80, 443})


def asked_hosts(client: Client, typed: HostName, names: NameService | None, suffix: str | None) -> tuple[HostName, ...]:
    """The host names a client puts into its SPN for a URL's host.

    Usually one. Where the name service was not asked, a canonicalising client may send a short name qualified or,
    when the resolver gives no canonical name, as typed: both are returned.
    """
    if typed.is_address:
        return ()
    resolution = names.resolve(typed, suffix) if names is not None else None
    if names is None or resolution is None or resolution.addresses == ():
        return client.host.unresolved(typed, suffix)
    return (client.host.resolved(typed, resolution, names),)


def canonicalises(clients: Iterable[str]) -> bool:
    """Whether one of these kinds asks for another name where DNS has an alias."""
    return any(CLIENTS[name].host is not TYPED for name in clients)


def asked_port(client: Client, port: int) -> int | None:
    """The port the client writes into the SPN, None for most."""
    return port if client.port and port not in PORTS_NEVER_ASKED else None
