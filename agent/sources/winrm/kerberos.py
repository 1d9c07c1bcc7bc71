"""Kerberos towards WinRM services: one ticket-granting ticket for a whole run, in memory, and then a ticket per server.

MIT krb5 and gssapi block, so they work in threads of their own; on Windows SSPI takes their place (see `winrm_logon`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agent.evidence.tokens import read_bytes
from agent.names import fold
from agent.sources import extras
from agent.sources.credential_cache import CredentialCache, of_password
from agent.sources.security_context import (
    GET_A_TICKET,
    KRB5_ERRORS,
    MODIFIED,
    UNKNOWN_CLIENT,
    UNKNOWN_SERVER,
    context_words,
    krb5_code,
)
from agent.sources.winrm.errors import RefusedError, UnreachableError, short

if TYPE_CHECKING:
    import spnego
    from spnego.channel_bindings import GssChannelBindings

_T = TypeVar("_T")

SERVICES = ("WSMAN", "host", "HTTP")
"""Asked for in this order, each only where the KDC does not know the one before: `HTTP/web01` is often, and rightly,
registered on the account of a web site, and then its ticket is not for the computer that WinRM runs as."""

KDC_SECONDS = 8.0
"""For one question to a KDC. A port 88 that swallows connections keeps krb5 busy for 15 seconds and more; the logon has
its own limit, before which NTLM may still have its turn."""

_SKEW = -1765328347
_NAMES = {  # RFC 4120 7.5.9
    -1765328378: "KDC_ERR_C_PRINCIPAL_UNKNOWN",
    -1765328377: "KDC_ERR_S_PRINCIPAL_UNKNOWN",
    -1765328366: "KDC_ERR_CLIENT_REVOKED",
    -1765328361: "KDC_ERR_KEY_EXPIRED",
    -1765328360: "KDC_ERR_PREAUTH_FAILED",
    -1765328353: "KRB_AP_ERR_BAD_INTEGRITY",
    _SKEW: "KRB_AP_ERR_SKEW",
    MODIFIED: "KRB_AP_ERR_MODIFIED",
}
_PASSWORD_ADVICE = "check user and password; nothing more should be sent with them"  # noqa: S105
_CLOCK_ADVICE = "compare the clocks of this machine, the server and the domain controller"
_KDC_ADVICE = "does this machine reach a domain controller on port 88, and does krb5.conf or DNS lead it there?"
_ADVICE = {_SKEW: _CLOCK_ADVICE, -1765328230: _KDC_ADVICE, -1765328228: _KDC_ADVICE}
_TICKET_ADVICE = f"`klist` shows the tickets there are; {GET_A_TICKET}, or name a user with --user"


class KerberosError(UnreachableError):
    """No ticket could be had, and nobody judged the password; `code` is krb5's, 0 where it gave none."""

    def __init__(self, reason: str, advice: str, code: int = 0) -> None:
        super().__init__("logon", reason, advice)
        self.code = code


class Tickets:
    """The ticket-granting tickets of one run, by principal. A KDC is asked once; what it said stays said.

    Whether a KDC answers at all is kept by the domain of the servers: before the canary has come through, they are
    logged on to one at a time, and each would wait for its silence anew.
    """

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Task[CredentialCache]] = {}
        self._answers: dict[str, KerberosError | None] = {}

    async def cache_of(self, principal: str, password: Callable[[], str]) -> str:
        """The name of a MEMORY credential cache. Raises RefusedError and KerberosError, at each call the same."""
        if principal not in self._asked:
            task = asyncio.create_task(_in_time(_apart(_kinit, principal, password()), principal))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._asked[principal] = task
        return (await asyncio.shield(self._asked[principal])).name

    def is_settled(self, host: str, principal: str | None) -> bool:
        """Whether a KDC has answered for a server of this domain, and has judged the password well or not at all.

        None: there is no password. Until then servers are asked one by one, and only the first waits for a silent KDC.
        """
        asked = self._asked.get(principal) if principal is not None else None
        is_open = principal is not None and (asked is None or not asked.done())
        is_refused = asked is not None and asked.done() and isinstance(asked.exception(), RefusedError)
        return _domain_of(host) in self._answers and not is_open and not is_refused

    async def ticket_for(
        self, host: str, cache: str | None, bindings: GssChannelBindings | None, *, seals: bool
    ) -> Ticket:
        """As the function; at once KerberosError where no KDC has answered for the first server of the domain."""
        domain = _domain_of(host)
        silence = self._answers.get(domain)
        if silence is not None:
            raise KerberosError(silence.reason, silence.advice)
        try:
            ticket = await ticket_for(host, cache, bindings, seals=seals)
        except _SilentError as error:
            self._answers.setdefault(domain, error)
            raise
        self._answers.setdefault(domain, None)
        return ticket


def _domain_of(host: str) -> str:
    return fold(host.partition(".")[2])


class _SilentError(KerberosError):
    """No KDC answered in time."""


async def _in_time(answer: Awaitable[_T], name: str) -> _T:
    try:
        async with asyncio.timeout(KDC_SECONDS):
            return await answer
    except TimeoutError:
        raise _SilentError(f"no KDC answered for {short(name)} within {KDC_SECONDS:g} s", _KDC_ADVICE) from None


async def _apart(work: Callable[..., _T], *given: Any) -> _T:
    """In a thread that nobody waits for at the end: krb5 takes no deadline, and asyncio's few resolve names."""
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()  # so that giving up the wait does not change what the thread comes back to

    def run() -> None:
        try:
            done.set_result(work(*given))
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def _kinit(principal: str, password: str) -> CredentialCache:
    try:
        return of_password(principal, password)
    except ImportError:
        raise _missing_error() from None
    except Exception as error:  # noqa: BLE001 - krb5's exceptions have no public base; their frames hold the password
        failure = kdc_error(error, principal)
    raise failure


class Ticket(NamedTuple):
    """A security context with its first token; `spn` is what the KDC gave the ticket for."""

    context: spnego.ContextProxy
    token: bytes
    spn: str


async def ticket_for(host: str, cache: str | None, bindings: GssChannelBindings | None, *, seals: bool) -> Ticket:
    """A ticket for the WinRM service of `host`; `cache` None: the current ticket. Raises UnreachableError."""
    if not extras.is_installed("kerberos"):
        raise _missing_error()
    failure: UnreachableError | None = None
    for service in SERVICES:
        asking = _apart(_ticket, service, host, cache, bindings, seals)
        got = await _in_time(asking, f"{service}/{host}")
        if isinstance(got, Ticket):
            return got
        failure = failure or got  # the first service's is the one to mend
        if not isinstance(got, KerberosError) or got.code != UNKNOWN_SERVER:
            raise got
    assert failure  # noqa: S101 - SERVICES is not empty
    raise failure


def _ticket(
    service: str, host: str, cache: str | None, bindings: GssChannelBindings | None, seals: bool
) -> Ticket | UnreachableError:
    import spnego

    options = spnego.NegotiateOptions.wrapping_winrm if seals else spnego.NegotiateOptions.none
    credentials = spnego.KerberosCCache(cache) if cache else None
    spn = f"{service}/{host}"
    try:
        context = spnego.client(
            credentials,
            hostname=host,
            service=service,
            protocol="kerberos",
            channel_bindings=bindings,
            options=options,
        )
        return Ticket(context, context.step() or b"", spn)
    except Exception as error:  # noqa: BLE001 - pyspnego, gssapi and krb5 have no common base; only words get out
        return kdc_error(error, spn)


# -- words ---------------------------------------------------------------------------------------------------------


def _missing_error() -> KerberosError:
    advice = f"{extras.how_to_install('kerberos')}, or --transport ntlm"
    return KerberosError("Kerberos is not installed here", advice)


def kdc_error(error: Exception, name: str) -> UnreachableError:
    """Why there is no ticket for the client or service `name`; RefusedError where the KDC judged the password."""
    code = krb5_code(error)
    known = KRB5_ERRORS.get(code)
    beside = f" ({_NAMES[code]})" if code in _NAMES else ""
    if known and (known.is_final or code == UNKNOWN_CLIENT):
        kind = UnknownClientError if code == UNKNOWN_CLIENT else RefusedError
        return kind("logon", f"the KDC refuses {short(name)}: {known.reason}{beside}", _PASSWORD_ADVICE)
    if code == UNKNOWN_SERVER:
        advice = f"is {short(name.partition('/')[2])} the name of a computer of the domain? An alias needs its own SPN"
        return KerberosError(f"the KDC does not know {short(name)}{beside}", advice, code)
    reason = known.reason if known else short(context_words(error))
    advice = _ADVICE.get(code, _TICKET_ADVICE)
    return KerberosError(f"no Kerberos ticket for {short(name)}: {reason}{beside}", advice, code)


class UnknownClientError(RefusedError):
    """The realm has no such user: the one refusal that counts no wrong password."""


def krb_error_in(token: bytes) -> int:
    """The krb5 code of the KRB-ERROR in what a server answered, bare or within SPNEGO; 0: none."""
    code = read_bytes(token).facts.error_code
    return 0 if code is None else _KRB5_BASE + code


_KRB5_BASE = -1765328384


def ticket_refused_error(code: int, spn: str) -> UnreachableError:
    """The server answered a ticket with 401: nobody's password was judged, so this is never a RefusedError.

    `code` is krb5's, 0 where the server gave none, as it mostly does.
    """
    if code not in (0, MODIFIED):
        reason = _said_by_server(code)
        beside = f" ({_NAMES[code]})" if code in _NAMES else ""
        reason = f"the server does not take the ticket for {spn}: {reason}{beside}"
        return UnreachableError("logon", reason, _CLOCK_ADVICE)
    beside = " (KRB_AP_ERR_MODIFIED, 0x80090322)" if code == MODIFIED else " (401)"
    if spn.startswith("HTTP/"):
        perhaps = "" if code == MODIFIED else " perhaps"
        reason = f"the server cannot open the ticket{beside}: the ticket for {spn} is{perhaps} for another account"
        return UnreachableError("logon", reason, _COLLISION)
    return UnreachableError("logon", f"the server cannot open the ticket for {spn}{beside}", _OTHER_COMPUTER)


def _said_by_server(code: int) -> str:
    if code == _SKEW:
        return "the server's clock differs too much from this machine's"
    known = KRB5_ERRORS.get(code)
    return known.reason if known else f"Kerberos error {code - _KRB5_BASE} (RFC 4120 7.5.9)"


_COLLISION = (
    "that is this tool's own subject, the finding winrm-collision (iis-spn rules winrm-collision):"
    " register WSMAN/ on the computer account, or ask over NTLM or with a certificate"
)
_OTHER_COMPUTER = (
    "does the name lead to that computer, does its account hold the SPN (setspn -Q), did its password change just now?"
    " A strict channel binding with TLS broken up on the way looks the same"
)
