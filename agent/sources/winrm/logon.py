"""Who asks a WinRM service, and by which protocol: the security context and its first token."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct, field

from agent.evidence.ntlm import SIGNATURE, read_ntlm
from agent.names import address_of, fold
from agent.sources.borrowed import nt_hash
from agent.sources.endpoint import Endpoint, account_of
from agent.sources.security_context import (
    channel_bindings,
    context_words,
    keep_tokens_out_of_logs,
    kerberos_principal,
    ntlm_password,
    sspi_code,
)
from agent.sources.winrm.errors import RefusedError, UnreachableError, short
from agent.sources.winrm.kerberos import SERVICES, KerberosError, Tickets, UnknownClientError

if TYPE_CHECKING:
    import spnego
    from spnego.channel_bindings import GssChannelBindings

CREDSSP_VERSION = 5
"""The first without CVE-2018-0886: below it, whoever stands in between gets the password."""
LOOK_THERE = "the security event log there (4625) says why"
CHECK_BOTH = f"check user and password; a local account is written COMPUTER\\user; {LOOK_THERE}"


class Logon(Struct, frozen=True, kw_only=True, eq=False):
    """Who asks: a user with a password, or (None) the holder of the current ticket or Windows logon.

    One Logon serves a whole sweep: tickets and the password's hash are made once and kept with it, in memory only.
    `password` must not block: the event loop waits for it. A client certificate is of the TLS context (`winrm_tls`).
    """

    user: str | None = None
    password: Callable[[], str] | None = None
    _kept: _Kept = field(default_factory=lambda: _Kept())

    def __repr__(self) -> str:
        return f"Logon({self.user!r})"

    @property
    def tickets(self) -> Tickets:
        return self._kept.tickets

    @property
    def was_accepted(self) -> bool:
        """Whether any server has accepted it: then sending it once more is not one more wrong password."""
        return self._kept.was_accepted

    def note_accepted(self) -> None:
        self._kept.was_accepted = True

    def secret(self) -> str:
        """The password. Raises UnreachableError where there is none."""
        if self.password is None:
            raise UnreachableError("logon", f"there is no password for {short(self.user or 'the user')}", NEEDS_USER)
        return self.password()

    def ntlm_credential(self) -> spnego.Credential:
        """User and NT hash: hashing costs more than all the rest of an NTLM logon."""
        if self._kept.ntlm is None:
            self._kept.ntlm = _hashed(self.user or "", self.secret())
        return self._kept.ntlm


class _Kept:
    """What is made of a logon once and for all servers; in memory only."""

    def __init__(self) -> None:
        self.tickets = Tickets()
        self.ntlm: spnego.Credential | None = None
        self.was_accepted = False


NEEDS_USER = "name a user with --user; the password is asked for"


def _hashed(user: str, password: str) -> spnego.Credential:
    import spnego

    if sys.platform == "win32":  # SSPI takes no hashes
        return spnego.Password(user, password)
    hashed = nt_hash(password)
    return spnego.NTLMHash(user, nt_hash=hashed.hex()) if hashed is not None else ntlm_password(user, password)


# -- what is said first --------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """A security context with its first token; `spn` is the name asked of a KDC, empty where none is asked.

    `domain` is the one that the server calls its own, empty where it says nothing of it in clear.
    """

    scheme: str
    context: spnego.ContextProxy
    token: bytes
    spn: str = ""
    domain: str = ""

    @property
    def is_ticket(self) -> bool:
        """Whether it is Kerberos: then a server's 401 says nothing of the password."""
        return bool(self.spn) and self.context.negotiated_protocol == "kerberos"

    @property
    def is_judged(self) -> bool:
        """Whether the token has all that the password can be judged by."""
        if self.scheme == "CredSSP":
            return self.context.get_extra_info("auth_stage") in ("Public key exchange", "Credential exchange")
        return self.context.complete and not self.is_ticket


class Turn(Protocol):
    """Awaited before a password goes out to be judged; only the first time there is something to wait for."""

    def __call__(self, domain: str = "", /) -> Awaitable[None]: ...


def domain_in(token: bytes) -> str:
    """The domain whose member the server says it is in its challenge (MS-NLMP 2.2.1.2), where the token is one."""
    return str(read_ntlm(token).facts.get("domain", "")) if token.startswith(SIGNATURE) else ""


def own_domain(user: str | None, domain: str) -> str:
    """The account's own domain where that is the server's as well, else nothing.

    A member has such an account judged by a controller of that domain, and by nobody else: a server of no domain, or of
    one that knows nothing of this one, would look among its own accounts.
    """
    named, _, _ = account_of(user or "").rpartition("\\")
    return fold(domain) if named and named == fold(domain.partition(".")[0]) else ""


async def offer_to(endpoint: Endpoint, logon: Logon, certificate: bytes, turn: Turn) -> Offer:
    """What to begin with; `certificate` is the server's. Raises UnreachableError and RefusedError."""
    keep_tokens_out_of_logs()
    bindings = channel_bindings(certificate)
    transport = endpoint.transport
    if transport == "credssp":
        return _credssp(endpoint, logon)
    if transport == "ntlm":
        return _ntlm(endpoint, logon, bindings)
    if sys.platform == "win32":
        await turn()  # Windows shows the password to a KDC for each server
        return await asyncio.to_thread(_sspi, endpoint, logon, bindings)
    if transport == "kerberos":
        return await _kerberos(endpoint, logon, bindings, turn)
    return await _automatic(endpoint, logon, bindings, turn)


async def _automatic(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None, turn: Turn) -> Offer:
    """Kerberos where a ticket can be had, else NTLM; a password that a KDC refused is not tried again."""
    if not logon.user:
        return await _kerberos(endpoint, logon, bindings, turn)
    try:
        return await _kerberos(endpoint, logon, bindings, turn)
    except (KerberosError, UnknownClientError):
        return _ntlm(endpoint, logon, bindings)


async def _kerberos(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None, turn: Turn) -> Offer:
    host = endpoint.kerberos_host or endpoint.host
    if address_of(host):
        raise KerberosError("Kerberos needs a name, not an address", "ask by name, or --transport ntlm with a user")
    principal = kerberos_principal(logon.user, host) if logon.user else None
    if logon.user and principal is None:
        raise KerberosError("no Kerberos realm follows from the names", "write the user as user@REALM")
    if not logon.tickets.is_settled(host, principal):
        await turn()
    cache = await logon.tickets.cache_of(principal, logon.secret) if principal is not None else None
    ticket = await logon.tickets.ticket_for(host, cache, bindings, seals=not endpoint.tls)
    return Offer("Negotiate", ticket.context, ticket.token, ticket.spn)


def _ntlm(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    if not logon.user and sys.platform != "win32":
        raise UnreachableError("logon", "NTLM needs a user here", NEEDS_USER)
    return _offer(endpoint, "ntlm", logon.ntlm_credential() if logon.user else None, bindings)


def _credssp(endpoint: Endpoint, logon: Logon) -> Offer:
    """NTLM within CredSSP's own TLS (MS-CSSP): Kerberos would ask a KDC with the password once more."""
    import spnego

    if not logon.user:
        raise UnreachableError("logon", "CredSSP needs a user", NEEDS_USER)
    inner = spnego.client(ntlm_password(logon.user, logon.secret()), hostname=endpoint.host, protocol="negotiate")
    credential = spnego.Password(logon.user, logon.secret())
    more: dict[str, Any] = {"credssp_negotiate_context": inner, "credssp_min_protocol": CREDSSP_VERSION}
    return _offer(endpoint, "credssp", credential, None, **more)


def _sspi(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    """Windows' own Negotiate or Kerberos; it asks the KDC, so this blocks."""
    import spnego

    credential = spnego.Password(logon.user, logon.secret()) if logon.user else None
    protocol = "kerberos" if endpoint.transport == "kerberos" else "negotiate"
    for service in SERVICES[:-1]:
        with contextlib.suppress(_UnknownTargetError):
            return _offer(endpoint, protocol, credential, bindings, service)
    return _offer(endpoint, protocol, credential, bindings, SERVICES[-1])


def _offer(
    endpoint: Endpoint,
    protocol: str,
    credential: spnego.Credential | None,
    bindings: GssChannelBindings | None,
    service: str = "",
    **more: Any,
) -> Offer:
    import spnego

    options = spnego.NegotiateOptions.none if endpoint.tls else spnego.NegotiateOptions.wrapping_winrm
    host = endpoint.kerberos_host or endpoint.host
    try:
        context = spnego.client(
            credential,
            hostname=host,
            service=service or SERVICES[0],
            protocol=protocol,
            channel_bindings=bindings,
            options=options,
            **more,
        )
        token = context.step() or b""
    except Exception as error:  # noqa: BLE001 - pyspnego's failures have no common base; only words get out
        failure = _sspi_error(error, protocol)
    else:
        spn = f"{service}/{host}" if service else ""
        return Offer("CredSSP" if protocol == "credssp" else "Negotiate", context, token, spn)
    raise failure


_TARGET_UNKNOWN, _LOGON_DENIED, WRONG_PRINCIPAL = 0x80090303, 0x8009030C, 0x80090322  # SEC_E_*, winerror.h


class _UnknownTargetError(UnreachableError):
    """No account has this SPN."""


def _sspi_error(error: Exception, protocol: str) -> UnreachableError:
    code, reason = sspi_code(error), f"no logon by {protocol}: {short(context_words(error))}"
    kind = {_TARGET_UNKNOWN: _UnknownTargetError, _LOGON_DENIED: RefusedError}.get(code, UnreachableError)
    return kind("logon", reason, CHECK_BOTH if kind is RefusedError else "choose another --transport")
