"""Logging on to a WinRM service: who we are, by which protocol, and what the server's refusal means.

The first token goes out at once: no request is spent on a 401 that only says what is offered.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.names import address_of
from agent.sources.endpoint import Endpoint
from agent.sources.security_context import (
    channel_bindings,
    context_words,
    keep_tokens_out_of_logs,
    kerberos_principal,
    krb5_code,
    ntlm_password,
)
from agent.sources.winrm_connection import Connection, Reply
from agent.sources.winrm_errors import RefusedError, UnreachableError, short, status_error
from agent.sources.winrm_kerberos import (
    KerberosError,
    Ticket,
    Tickets,
    UnknownClientError,
    krb_error_in,
    ticket_for,
    ticket_refused_error,
)
from agent.sources.winrm_seal import Seal

if TYPE_CHECKING:
    import spnego
    from spnego.channel_bindings import GssChannelBindings

MAX_LEGS = 12
CERTIFICATE_SCHEME = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP = "application/soap+xml;charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class Logon:
    """Who asks: a user with a password, or (None) the holder of the current ticket or Windows logon.

    One Logon serves a whole sweep: tickets and the password's hash are made once and kept with it, in memory only.
    `password` must not block: the event loop waits for it. A client certificate is of the TLS context; it is named
    here for the transport `certificate`.
    """

    user: str | None = None
    password: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    certificate: Path | None = None
    certificate_key: Path | None = None
    _kept: _Kept = field(default_factory=lambda: _Kept(), init=False, repr=False, compare=False)

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
            raise UnreachableError("logon", f"there is no password for {short(self.user or 'the user')}", _NEEDS_USER)
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


_NEEDS_USER = "name a user with --user; the password is asked for"


def _hashed(user: str, password: str) -> spnego.Credential:
    import spnego

    if sys.platform == "win32":  # SSPI takes no hashes
        return spnego.Password(user, password)
    try:
        from spnego._ntlm_raw.crypto import ntowfv1
    except ImportError:
        return ntlm_password(user, password)
    return spnego.NTLMHash(user, nt_hash=ntowfv1(password).hex())


# -- what is said first --------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """A security context with its first token; `spn` is that of a Kerberos ticket, empty otherwise."""

    scheme: str
    context: spnego.ContextProxy
    token: bytes
    spn: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether all that the password can be judged by has been sent."""
        if self.scheme == "CredSSP":
            return self.context.get_extra_info("auth_stage") in ("Public key exchange", "Credential exchange")
        return not self.spn and self.context.complete and self.context.negotiated_protocol != "kerberos"


async def offer_to(endpoint: Endpoint, logon: Logon, certificate: bytes) -> Offer:
    """What to begin with; `certificate` is the server's. Raises UnreachableError and RefusedError."""
    keep_tokens_out_of_logs()
    bindings = channel_bindings(certificate)
    transport = endpoint.transport
    if transport == "credssp":
        return _credssp(endpoint, logon)
    if transport == "ntlm":
        return _ntlm(endpoint, logon, bindings)
    if sys.platform == "win32":
        return _sspi(endpoint, logon, bindings)
    if transport == "kerberos":
        return await _kerberos(endpoint, logon, bindings)
    return await _automatic(endpoint, logon, bindings)


async def _automatic(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    """Kerberos where a ticket can be had, else NTLM; a password that a KDC refused is not tried again."""
    if not logon.user:
        return await _kerberos(endpoint, logon, bindings)
    try:
        return await _kerberos(endpoint, logon, bindings)
    except (KerberosError, UnknownClientError):
        return _ntlm(endpoint, logon, bindings)


async def _kerberos(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    host = endpoint.kerberos_host or endpoint.host
    if address_of(host):
        raise KerberosError("Kerberos needs a name, not an address", "ask by name, or --transport ntlm with a user")
    cache = None
    if logon.user:
        principal = kerberos_principal(logon.user, host)
        if principal is None:
            raise KerberosError("no Kerberos realm follows from the names", "write the user as user@REALM")
        cache = await logon.tickets.cache_of(principal, logon.secret)
    ticket: Ticket = await ticket_for(host, cache, bindings, seals=not endpoint.tls)
    return Offer("Negotiate", ticket.context, ticket.token, ticket.spn)


def _ntlm(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    if not logon.user and sys.platform != "win32":
        raise UnreachableError("logon", "NTLM needs a user here", _NEEDS_USER)
    return _offer(endpoint, "ntlm", logon.ntlm_credential() if logon.user else None, bindings)


def _credssp(endpoint: Endpoint, logon: Logon) -> Offer:
    """NTLM within CredSSP's own TLS (MS-CSSP): Kerberos would ask a KDC with the password once more."""
    import spnego

    if not logon.user:
        raise UnreachableError("logon", "CredSSP needs a user", _NEEDS_USER)
    inner = spnego.client(ntlm_password(logon.user, logon.secret()), hostname=endpoint.host, protocol="negotiate")
    credential = spnego.Password(logon.user, logon.secret())
    return _offer(endpoint, "credssp", credential, None, credssp_negotiate_context=inner)


def _sspi(endpoint: Endpoint, logon: Logon, bindings: GssChannelBindings | None) -> Offer:
    import spnego

    credential = spnego.Password(logon.user, logon.secret()) if logon.user else None
    protocol = "kerberos" if endpoint.transport == "kerberos" else "negotiate"
    return _offer(endpoint, protocol, credential, bindings)


def _offer(
    endpoint: Endpoint,
    protocol: str,
    credential: spnego.Credential | None,
    bindings: GssChannelBindings | None,
    **more: Any,
) -> Offer:
    import spnego

    options = spnego.NegotiateOptions.none if endpoint.tls else spnego.NegotiateOptions.wrapping_winrm
    try:
        context = spnego.client(
            credential,
            hostname=endpoint.kerberos_host or endpoint.host,
            service="WSMAN",
            protocol=protocol,
            channel_bindings=bindings,
            options=options,
            **more,
        )
        token = context.step() or b""
    except Exception as error:  # noqa: BLE001 - pyspnego's failures have no common base; only words get out
        reason = short(context_words(error))
    else:
        return Offer("CredSSP" if protocol == "credssp" else "Negotiate", context, token)
    raise UnreachableError("logon", f"no logon by {protocol}: {reason}", "choose another --transport")


# -- the exchange --------------------------------------------------------------------------------------------------


class Accepted(NamedTuple):
    """The server has accepted the logon; `reply` is the answer to the question that rode along, if one did."""

    seal: Seal | None
    headers: tuple[tuple[str, str], ...]
    """To be repeated with each further question."""
    reply: Reply | None


Riding = Callable[[], bytes]
"""Gives the first question when a token that may be the last one is about to be sent."""


async def log_on(connection: Connection, endpoint: Endpoint, logon: Logon, question: Riding) -> Accepted:
    """Log on. Over TLS the question travels with the last token. Raises UnreachableError and RefusedError."""
    if endpoint.transport in ("basic", "certificate"):
        return await _log_on_in_words(connection, endpoint, logon, question)
    offer = await offer_to(endpoint, logon, connection.certificate)
    riding = question if endpoint.tls else None
    try:
        reply = await _exchange(connection, offer, riding)
    except _OnlyKerberosError:
        offer = (await offer_to(endpoint, logon, connection.certificate))._replace(scheme="Kerberos")
        reply = await _exchange(connection, offer, riding)
    if endpoint.tls:
        return Accepted(None, (), reply)
    _demand_encryption(offer)
    return Accepted(Seal(offer.context, "SPNEGO" if offer.scheme == "Negotiate" else offer.scheme), (), None)


async def _log_on_in_words(connection: Connection, endpoint: Endpoint, logon: Logon, question: Riding) -> Accepted:
    if not endpoint.tls:
        raise UnreachableError("logon", f"no {endpoint.transport} logon without TLS", "ask over https (port 5986)")
    header = ("Authorization", CERTIFICATE_SCHEME if endpoint.transport == "certificate" else _basic(logon))
    reply = await connection.post("shell", [header, ("Content-Type", SOAP)], question())
    if reply.status == 401:
        raise _refused_words(endpoint, reply)
    return Accepted(None, (header,), reply)


def _basic(logon: Logon) -> str:
    if not logon.user:
        raise UnreachableError("logon", "Basic needs a user", _NEEDS_USER)
    return "Basic " + base64.b64encode(f"{logon.user}:{logon.secret()}".encode()).decode()


async def _exchange(connection: Connection, offer: Offer, question: Riding | None) -> Reply | None:
    for _ in range(MAX_LEGS):
        rides = question is not None and (offer.context.complete or bool(offer.spn))
        body = question() if rides and question else b""
        token = f"{offer.scheme} {base64.b64encode(offer.token).decode()}"
        headers = [("Authorization", token), *([("Content-Type", SOAP)] if body else [])]
        reply = await connection.post("shell" if rides else "logon", headers, body)
        answer = _token_in(reply, offer.scheme)
        if reply.status != 401:
            return _finished(offer, reply, answer, rides)
        if not answer:
            raise _refused(offer, reply)
        offer = _stepped(offer, answer)
    raise UnreachableError("logon", "the server does not come to an end with the logon", _LOOK_THERE)


class _OnlyKerberosError(UnreachableError):
    """The ticket is welcome, under another scheme."""


def _finished(offer: Offer, reply: Reply, answer: bytes, rides: bool) -> Reply | None:
    if answer:
        offer = _stepped(offer, answer)
    if not offer.context.complete:
        if reply.status != 200:
            raise status_error("logon", reply.status)
        raise UnreachableError("logon", "the server did not prove who it is", "something else may answer in its place")
    if rides:
        return reply
    if reply.status != 200:
        raise status_error("logon", reply.status)
    return None


def _stepped(offer: Offer, answer: bytes) -> Offer:
    judged = offer.is_judged
    if offer.spn and (code := krb_error_in(answer)):
        raise ticket_refused_error(code, offer.spn)
    try:
        token = offer.context.step(answer) or b""
    except Exception as error:  # noqa: BLE001 - as in `_offer`
        if offer.spn:
            failure = ticket_refused_error(krb5_code(error), offer.spn)
        elif judged:
            failure = _refusal(offer)
        else:
            reason = f"the logon failed: {short(context_words(error))}"
            failure = UnreachableError("logon", reason, _LOOK_THERE)
    else:
        return offer._replace(token=token)
    raise failure


def _token_in(reply: Reply, scheme: str) -> bytes:
    try:
        return base64.b64decode(reply.offers().get(scheme.lower(), ""), validate=True)
    except binascii.Error:
        return b""


def _demand_encryption(offer: Offer) -> None:
    from spnego import ContextReq

    needed = ContextReq.confidentiality | ContextReq.integrity
    if offer.scheme != "CredSSP" and offer.context.context_attr & needed != needed:
        raise UnreachableError("logon", "the server agreed to no encryption", "ask over https (port 5986)")


# -- words ---------------------------------------------------------------------------------------------------------

_LOOK_THERE = "the security event log there (4625) says why"
_CHECK_BOTH = f"check user and password; a local account is written COMPUTER\\user; {_LOOK_THERE}"


def _refused(offer: Offer, reply: Reply) -> UnreachableError:
    """A 401 that ends the logon."""
    if offer.is_judged:
        return _refusal(offer)
    if offer.scheme.lower() not in reply.offers():
        if offer.spn and offer.scheme == "Negotiate" and "kerberos" in reply.offers():
            return _OnlyKerberosError("logon", "the server offers Kerberos, but not Negotiate", _LOOK_THERE)
        return _not_offered(offer.scheme, reply)
    if offer.spn:
        return ticket_refused_error(0, offer.spn)
    return UnreachableError("logon", f"the server did not take up the logon by {offer.scheme}", _LOOK_THERE)


def _refusal(offer: Offer) -> RefusedError:
    way = "CredSSP" if offer.scheme == "CredSSP" else "NTLM"
    return RefusedError("logon", f"the server refuses the user or the password ({way}, 401)", _CHECK_BOTH)


def _refused_words(endpoint: Endpoint, reply: Reply) -> UnreachableError:
    if endpoint.transport == "certificate":
        reason = "the server does not take the client certificate (401)"
        advice = (
            "is Certificate enabled there, and is the certificate mapped to a user (winrm/config/service/certmapping)?"
        )
        return UnreachableError("logon", reason, advice)
    if "basic" not in reply.offers():
        return _not_offered("Basic", reply)
    return RefusedError("logon", "the server refuses the user or the password (Basic, 401)", _CHECK_BOTH)


def _not_offered(scheme: str, reply: Reply) -> UnreachableError:
    offered = ", ".join(short(name) for name in reply.offers()) or "nothing"
    reason = f"this server does not offer {scheme}; it offers {offered}"
    return UnreachableError(
        "logon", reason, "choose a --transport that it offers, or enable it there (winrm/config/service/auth)"
    )
