"""Logging on to a WinRM service: tokens and their answers over HTTP, and what a refusal means.

The first token goes out at once: no request is spent on a 401 that only says what is offered.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from agent.sources.endpoint import Endpoint
from agent.sources.security_context import MODIFIED, context_words, krb5_code, sspi_code
from agent.sources.winrm.connection import Connection, Reply
from agent.sources.winrm.errors import RefusedError, UnreachableError, nonsense_error, short, status_error
from agent.sources.winrm.kerberos import krb_error_in, ticket_refused_error
from agent.sources.winrm.logon import (
    CHECK_BOTH,
    LOOK_THERE,
    NEEDS_USER,
    WRONG_PRINCIPAL,
    Logon,
    Offer,
    Turn,
    domain_in,
    offer_to,
)
from agent.sources.winrm.seal import Seal

MAX_LEGS = 12
CERTIFICATE_SCHEME = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP = "application/soap+xml;charset=UTF-8"


class Accepted(NamedTuple):
    """The server has accepted the logon, or `reply` tells: the answer to the question that rode along, if one did."""

    seal: Seal | None
    headers: tuple[tuple[str, str], ...]
    """To be repeated with each further question."""
    reply: Reply | None


Riding = Callable[[], bytes]
"""Gives the first question when a token that may be the last one is about to be sent."""


async def log_on(connection: Connection, endpoint: Endpoint, logon: Logon, question: Riding, turn: Turn) -> Accepted:
    """Log on. Over TLS the question travels with the last token, and whether the server accepted the logon shows in
    the answer, which is for the caller to judge. Raises UnreachableError and RefusedError.
    """
    if endpoint.transport in ("basic", "certificate"):
        return await _log_on_in_words(connection, endpoint, logon, question, turn)
    offer = await offer_to(endpoint, logon, connection.certificate, turn)
    riding = question if endpoint.tls else None
    try:
        reply = await _exchange(connection, offer, riding, turn)
    except _OnlyKerberosError:
        offer = (await offer_to(endpoint, logon, connection.certificate, turn))._replace(scheme="Kerberos")
        reply = await _exchange(connection, offer, riding, turn)
    if endpoint.tls:
        return Accepted(None, (), reply)
    _demand_encryption(offer)
    return Accepted(Seal(offer.context, "SPNEGO" if offer.scheme == "Negotiate" else offer.scheme), (), None)


async def _log_on_in_words(
    connection: Connection, endpoint: Endpoint, logon: Logon, question: Riding, turn: Turn
) -> Accepted:
    if not endpoint.tls:
        raise UnreachableError("logon", f"no {endpoint.transport} logon without TLS", "ask over https (port 5986)")
    header = ("Authorization", CERTIFICATE_SCHEME if endpoint.transport == "certificate" else _basic(logon))
    if endpoint.transport == "basic":
        await turn()
    reply = await connection.post("shell", [header, ("Content-Type", SOAP)], question())
    if reply.status == 401:
        raise _refusal_in_words(endpoint, reply)
    return Accepted(None, (header,), reply)


def _basic(logon: Logon) -> str:
    if not logon.user:
        raise UnreachableError("logon", "Basic needs a user", NEEDS_USER)
    return "Basic " + base64.b64encode(f"{logon.user}:{logon.secret()}".encode()).decode()


async def _exchange(connection: Connection, offer: Offer, question: Riding | None, turn: Turn) -> Reply | None:
    for _ in range(MAX_LEGS):
        if offer.is_judged:
            await turn(offer.domain)
        rides = question is not None and (offer.context.complete or offer.is_ticket)
        body = question() if rides and question else b""
        token = f"{offer.scheme} {base64.b64encode(offer.token).decode()}"
        headers = [("Authorization", token), *([("Content-Type", SOAP)] if body else [])]
        reply = await connection.post("shell" if rides else "logon", headers, body)
        answer = _token_in(reply, offer.scheme)
        if reply.status != 401:
            return _finished(offer, reply, answer, rides)
        if not answer:
            raise _refusal_in(reply, offer)
        offer = _stepped(offer, answer)
    raise UnreachableError("logon", "the server does not come to an end with the logon", LOOK_THERE)


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
    if reply.body and not reply.is_soap:  # WinRM ends a logon without a question by 200 and no body
        raise nonsense_error("logon", "it is no message of WS-Management")
    return None


def _stepped(offer: Offer, answer: bytes) -> Offer:
    judged = offer.is_judged
    if offer.spn and (code := krb_error_in(answer)):
        raise ticket_refused_error(code, offer.spn)
    try:
        token = offer.context.step(answer) or b""
    except Exception as error:  # noqa: BLE001 - as in `_offer`
        failure = _step_error(offer, error, judged=judged)
    else:
        return offer._replace(token=token, domain=domain_in(answer) or offer.domain)
    raise failure


def _step_error(offer: Offer, error: Exception, *, judged: bool) -> UnreachableError:
    if offer.spn and sspi_code(error) == WRONG_PRINCIPAL:
        return ticket_refused_error(MODIFIED, offer.spn)
    if offer.is_ticket:
        return ticket_refused_error(krb5_code(error), offer.spn)
    if judged:
        return _refusal(offer)
    return UnreachableError("logon", f"the logon failed: {short(context_words(error))}", LOOK_THERE)


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


def _refusal_in(reply: Reply, offer: Offer) -> UnreachableError:
    """A 401 that ends the logon."""
    if offer.is_judged:
        return _refusal(offer)
    if offer.scheme.lower() not in reply.offers():
        if offer.is_ticket and offer.scheme == "Negotiate" and "kerberos" in reply.offers():
            return _OnlyKerberosError("logon", "the server offers Kerberos, but not Negotiate", LOOK_THERE)
        return _not_offered(offer.scheme, reply)
    if offer.is_ticket:
        return ticket_refused_error(0, offer.spn)
    return UnreachableError("logon", f"the server did not take up the logon by {offer.scheme}", LOOK_THERE)


def _refusal(offer: Offer) -> RefusedError:
    way = "CredSSP" if offer.scheme == "CredSSP" else "NTLM"
    return RefusedError("logon", f"the server refuses the user or the password ({way}, 401)", CHECK_BOTH)


def _refusal_in_words(endpoint: Endpoint, reply: Reply) -> UnreachableError:
    if endpoint.transport == "certificate":
        reason = "the server does not take the client certificate (401)"
        advice = (
            "is Certificate enabled there, and is the certificate mapped to a user (winrm/config/service/certmapping)?"
        )
        return UnreachableError("logon", reason, advice)
    if "basic" not in reply.offers():
        return _not_offered("Basic", reply)
    return RefusedError("logon", "the server refuses the user or the password (Basic, 401)", CHECK_BOTH)


def _not_offered(scheme: str, reply: Reply) -> UnreachableError:
    offered = ", ".join(short(name) for name in reply.offers()) or "nothing"
    reason = f"this server does not offer {scheme}; it offers {offered}"
    return UnreachableError(
        "logon", reason, "choose a --transport that it offers, or enable it there (winrm/config/service/auth)"
    )
