"""Logging on to a domain controller: Kerberos, then NTLM, always sealed unless the connection is verified TLS.

Windows: SSPI "Negotiate" in SASL GSS-SPNEGO (MS-ADTS 5.1.1.1.2). Elsewhere: Kerberos in SASL GSSAPI (RFC 4752), and
NTLM in GSS-SPNEGO; within verified TLS also a simple bind, where NTLM is not offered. Under TLS a bind carries the
channel binding tls-server-end-point (RFC 5929) and makes no second seal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from msgspec import Struct

from agent.sources.ad.connection import LdapConnection
from agent.sources.ad.results import SASL_IN_PROGRESS, SUCCESS, LdapError, code_of, result_of, result_words
from agent.sources.security_context import (
    KRB5_ERRORS,
    channel_bindings,
    context_words,
    keep_tokens_out_of_logs,
    kerberos_principal,
    krb5_code,
    ntlm_password,
)

if TYPE_CHECKING:
    import sansldap
    import spnego

_T = TypeVar("_T")

MAX_STEPS = 10
_NOT_OFFERED = (7, 48, 53)  # authMethodNotSupported, inappropriateAuthentication, unwillingToPerform
_NOT_UNDERSTOOD = "57"  # ERROR_INVALID_PARAMETER: Samba on NTLM without signing, before it looks at the password
_LAYER_NONE, _LAYER_SEAL = 1, 4  # RFC 4752 3.1
_OWN_LIMIT = 0xFFFFFF


class Logon(Struct, frozen=True):
    """A user, as `user@realm`, `DOMAIN\\user` or `user`; the password is asked for once per bind and never kept."""

    user: str
    password: Callable[[], str]

    def __repr__(self) -> str:
        return f"Logon({self.user!r})"


def bind(connection: LdapConnection, logon: Logon | None) -> None:
    """Log on with the present ticket or Windows logon (None), or with user and password. Raises LdapError."""
    keep_tokens_out_of_logs()
    if sys.platform == "win32":
        _bind_with_sspi(connection, logon)
    elif logon is None:
        _bind_with_ticket(connection)
    else:
        _bind_with_password(connection, logon.user, logon.password())


# -- ways to log on ------------------------------------------------------------------------------------------------


class _Start(NamedTuple):
    """A security context with its first token, or the reason why there is none."""

    context: spnego.ContextProxy | None
    token: bytes = b""
    reason: str = ""
    final: bool = False
    """The reason says that another attempt with the same password would only count as one more wrong one."""


def _bind_with_ticket(connection: LdapConnection) -> None:
    start = _started(lambda: _client(connection, [], "kerberos", layer_in_words=True))
    if start.context is None:
        raise LdapError(f"no Kerberos logon to {connection.server}: {start.reason}")
    _gssapi(connection, start.context, start.token)


def _bind_with_sspi(connection: LdapConnection, logon: Logon | None) -> None:
    import spnego

    credentials: list[spnego.Credential] = []
    if logon is not None:
        credentials.append(spnego.Password(logon.user, logon.password()))
    start = _started(lambda: _client(connection, credentials, "negotiate"))
    if start.context is None:
        raise LdapError(f"no Windows logon to {connection.server}: {start.reason}")
    _spnego(connection, start.context, start.token)


def _bind_with_password(connection: LdapConnection, user: str, password: str) -> None:
    import spnego

    reason = "no Kerberos realm follows from the names"
    principal = kerberos_principal(user, connection.server.host)
    if principal:
        kerberos: list[spnego.Credential] = [spnego.Password(principal, password)]
        start = _started(lambda: _client(connection, kerberos, "kerberos", layer_in_words=True))
        if start.context:
            return _gssapi(connection, start.context, start.token)
        if start.final:
            raise LdapError(f"{connection.server}: {start.reason}")
        reason = start.reason
    start = _started(lambda: _client(connection, [ntlm_password(user, password)], "negotiate"))
    if start.context is None:
        raise LdapError(f"no logon to {connection.server}: Kerberos: {reason}; NTLM: {start.reason}")
    try:
        return _spnego(connection, start.context, start.token)
    except _NotOfferedError:
        if not connection.is_tls:
            raise
    return _simple(connection, user, password)


class _NotOfferedError(LdapError):
    """The server did not judge the password, but this way to log on."""


def _simple(connection: LdapConnection, user: str, password: str) -> None:
    """A simple bind, inside verified TLS only; with an empty password it would be anonymous (RFC 4513 5.1.2)."""
    if not connection.is_tls or not password:
        raise LdapError(f"{connection.server}: no simple bind without TLS and a password")
    suffix = connection.server.host.partition(".")[2]
    name = user if re.search(r"[@\\=]", user) else f"{user}@{suffix}"
    result = result_of(connection.exchange(lambda client: client.bind_simple(name, password)))
    if code_of(result) != SUCCESS:
        raise LdapError(f"{connection.server}: {_logon_words(result)}", code_of(result))


# -- SASL ----------------------------------------------------------------------------------------------------------


def _gssapi(connection: LdapConnection, context: spnego.ContextProxy, first: bytes) -> None:
    """SASL GSSAPI (RFC 4752): after the context both sides agree in words on encryption, or on none under TLS."""
    token, agreed = first, False
    for _ in range(MAX_STEPS):
        result, answer = _sasl_step(connection, "GSSAPI", token)
        if result == SUCCESS:
            break
        if context.complete:
            token, agreed = _agree(connection, context, answer), True
        else:
            token = _stepped(connection, context, answer)
    else:
        raise LdapError(f"{connection.server} does not come to an end with the logon")
    if not agreed or not context.complete:
        raise LdapError(f"{connection.server} ended the logon without agreeing on encryption")
    _seal_unless_tls(connection, context)


def _agree(connection: LdapConnection, context: spnego.ContextProxy, answer: bytes) -> bytes:
    offer = _guarded(lambda: context.unwrap(answer).data)
    wanted = _LAYER_NONE if connection.is_tls else _LAYER_SEAL
    if len(offer) != 4 or not offer[0] & wanted:
        raise LdapError(f"{connection.server} does not offer the encryption that is needed here")
    limit = 0 if connection.is_tls else _OWN_LIMIT
    return _guarded(lambda: context.wrap(bytes([wanted]) + limit.to_bytes(3, "big"), encrypt=False).data)


def _spnego(connection: LdapConnection, context: spnego.ContextProxy, first: bytes) -> None:
    """SASL GSS-SPNEGO: the flags of the context say whether what follows is sealed."""
    token = first
    for _ in range(MAX_STEPS):
        result, answer = _sasl_step(connection, "GSS-SPNEGO", token)
        if answer and not context.complete:
            token = _stepped(connection, context, answer)
        if result == SUCCESS:
            break
    else:
        raise LdapError(f"{connection.server} does not come to an end with the logon")
    if not context.complete:
        raise LdapError(f"{connection.server} ended the logon before it proved who it is")
    _seal_unless_tls(connection, context)


def _sasl_step(connection: LdapConnection, mechanism: str, token: bytes) -> tuple[int, bytes]:
    message = connection.exchange(lambda client: client.bind_sasl(mechanism, None, token))
    result = result_of(message)
    code = code_of(result)
    if code not in (SUCCESS, SASL_IN_PROGRESS):
        kind = _NotOfferedError if code in _NOT_OFFERED or _data(result) == _NOT_UNDERSTOOD else LdapError
        raise kind(f"{connection.server}: {_logon_words(result)}", code)
    answer: bytes | None = getattr(message, "server_sasl_creds", None)
    return code, answer or b""


def _stepped(connection: LdapConnection, context: spnego.ContextProxy, answer: bytes) -> bytes:
    start = _started(lambda: context, answer)
    if start.context is None:
        raise LdapError(f"{connection.server}: the logon failed: {start.reason}")
    return start.token


class _Sealed:
    """Signed and encrypted, by the keys of the logon."""

    def __init__(self, context: spnego.ContextProxy) -> None:
        self._context = context

    def close_up(self, data: bytes) -> bytes:
        result = _guarded(lambda: self._context.wrap(data, encrypt=True))
        if not result.encrypted:
            raise LdapError("the security layer does not encrypt")
        return result.data

    def open_up(self, data: bytes) -> bytes:
        result = _guarded(lambda: self._context.unwrap(data))
        if not result.encrypted:
            raise LdapError("the server answered without encryption")
        return result.data


def _seal_unless_tls(connection: LdapConnection, context: spnego.ContextProxy) -> None:
    from spnego import ContextReq

    if connection.is_tls:
        return
    needed = ContextReq.confidentiality | ContextReq.integrity
    if context.context_attr & needed != needed:
        raise LdapError(f"{connection.server} agreed to no encryption; use ldaps://")
    connection.use_seal(_Sealed(context))


# -- security contexts ---------------------------------------------------------------------------------------------


def _client(
    connection: LdapConnection, credentials: list[spnego.Credential], protocol: str, *, layer_in_words: bool = False
) -> spnego.ContextProxy:
    """A context for `ldap/host`; under TLS its flags must not ask for a seal, unless the layer is agreed in words."""
    import spnego

    flags = spnego.ContextReq.default
    if connection.is_tls and not layer_in_words:
        flags = spnego.ContextReq.mutual_auth | spnego.ContextReq.no_integrity
    return spnego.client(
        credentials or None,
        hostname=connection.server.host,
        service="ldap",
        protocol=protocol,
        context_req=flags,
        channel_bindings=channel_bindings(connection.certificate),
    )


def _started(make: Callable[[], spnego.ContextProxy], answer: bytes | None = None) -> _Start:
    """Make a context (or take the one at hand) and let it go one step.

    Whatever pyspnego, gssapi and krb5 raise has no common base and could hold secrets: only its words get out.
    """
    try:
        context = make()
        return _Start(context, context.step(answer) or b"")
    except Exception as error:  # noqa: BLE001
        return _failed_start(error)


def _guarded(work: Callable[[], _T]) -> _T:
    """Run a step of the security layer; as in `_started` only the words of a failure get out."""
    try:
        return work()
    except LdapError:
        raise
    except Exception as error:  # noqa: BLE001
        reason = context_words(error)
    raise LdapError(f"the encrypted session is broken: {reason}")


# -- words ---------------------------------------------------------------------------------------------------------

_DATA = {  # Win32 errors in the text of an AD bind answer
    "51f": "no controller of the user's domain could be asked",
    "525": "the user does not exist",
    "52e": "the user or the password is wrong",
    "530": "the account may not log on at this time",
    "531": "the account may not log on from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
    "80090346": "the channel binding does not match: something stands between this machine and the server",
}


def _failed_start(error: Exception) -> _Start:
    known = KRB5_ERRORS.get(krb5_code(error))
    if known:
        return _Start(None, reason=known.reason, final=known.is_final)
    return _Start(None, reason=context_words(error))


def _data(result: sansldap.LDAPResult) -> str | None:
    """The Win32 error in `..., comment: AcceptSecurityContext error, data 52e, v1db1`."""
    match = re.search(r"data ([0-9a-f]{2,8})\b", result.diagnostics_message)
    return match[1] if match else None


def _logon_words(result: sansldap.LDAPResult) -> str:
    return _DATA.get(_data(result) or "") or result_words(result)
