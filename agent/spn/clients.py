"""Which SPN each kind of client asks for, as a table (rules, sections 2.15 and 3).

`canonical`: the owner name of the address record, after the search suffix and the whole CNAME chain.
`typed`: the host as it stands in the URL. `pointer`: the PTR name of the first address (MIT krb5's defaults).
`extended`: as typed in lower case; the canonical name only where it extends the typed one (Java).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.names import HostName, fold, host_name
from agent.spn.nameservice import NameService

Canonicalisation = Literal["canonical", "typed", "pointer", "extended"]


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
        Client("edge", "canonical", False, True, "Chromium http_auth_handler_negotiate.cc"),
        Client("chrome", "canonical", False, True, "Chromium http_auth_handler_negotiate.cc"),
        Client("firefox", "canonical", False, True, "Gecko nsAuthSSPI.cpp, nsHttpNegotiateAuth.cpp"),
        Client("dotnet", "canonical", False, True, ".NET 6+ AuthenticationHelper.NtAuth.cs"),
        Client("ie", "canonical", False, False, "KB911149, KB908209"),
        Client("dotnetframework", "canonical", False, False, ".NET Framework _AuthenticationState.cs"),
        Client("dotnet5", "canonical", True, False, ".NET 5 AuthenticationHelper.NtAuth.cs"),
        Client("curl-sspi", "typed", False, False, "curl vauth.c"),
        Client("curl-mit", "pointer", False, False, "MIT krb5 princ_dns (dns_canonicalize_hostname, rdns)"),
        Client("java", "extended", False, False, "JDK NegotiatorImpl.java"),
        Client("chrome-nocname", "typed", False, False, "policy DisableAuthNegotiateCnameLookup"),
        Client("edge-port", "canonical", True, False, "policy EnableAuthNegotiatePort"),
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
    if client.host == "typed":
        return (typed,)
    resolution = names.resolve(typed, suffix) if names is not None else None
    if resolution is None or not resolution.addresses:
        return _without_dns(client, typed, suffix)
    canonical = resolution.canonical
    if client.host == "pointer" and names is not None:
        return (names.pointers.get(resolution.addresses[0], canonical),)
    if client.host == "extended":
        lowered = host_name(fold(typed.spn_text))
        return (canonical,) if canonical.key.startswith(f"{typed.key}.") else (lowered,)
    return (canonical,)


def _without_dns(client: Client, typed: HostName, suffix: str | None) -> tuple[HostName, ...]:
    if client.host == "extended":
        return (host_name(fold(typed.spn_text)),)
    if typed.is_short and suffix:
        return (typed.under(suffix), typed)
    return (typed,)


def asked_port(client: Client, port: int) -> int | None:
    """The port the client writes into the SPN, None for most."""
    return port if client.port and port not in PORTS_NEVER_ASKED else None
