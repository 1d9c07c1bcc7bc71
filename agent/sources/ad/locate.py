"""Which server to ask: what `--ad` says, and what DNS knows of domain controllers and global catalogs (RFC 2782)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from agent.errors import UsageError
from agent.names import fold, printable, without_user
from agent.sources.ad.results import LdapError

if TYPE_CHECKING:
    from agent.sources.ad.logon import Logon

DNS_SECONDS = 10.0

Scheme = Literal["ldap", "ldaps", "gc"]


class Located(NamedTuple):
    """A domain controller or global catalog as the name service knows it."""

    host: str
    port: int
    address: str | None = None


Locate = Callable[[str, float], Sequence[Located]]
"""From the name of an SRV record, and the seconds there are, to the servers behind it."""


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


class Target(NamedTuple):
    """The server named on the command line; no port means the scheme's own."""

    scheme: Scheme
    host: str
    port: int | None


PORTS: Mapping[Scheme, int] = {"ldap": 389, "ldaps": 636, "gc": 3268}


def parse_target(text: str) -> Target | None:
    """What `--ad` says, None for `auto`. Raises UsageError."""
    if text == "auto":
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    extra = parts.path.strip("/") or parts.query or parts.username
    if parts.scheme not in PORTS or not host or extra:
        raise UsageError(
            f"{without_user(text)} is no directory: write ldap://HOST[:PORT], ldaps://HOST, gc://HOST or auto"
        )
    scheme: Scheme = "ldap" if parts.scheme == "ldap" else "gc" if parts.scheme == "gc" else "ldaps"
    return Target(scheme, host, port)
