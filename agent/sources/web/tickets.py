"""Service tickets for a run of probes: one for each SPN, exactly as it is written, and never one from before.

Windows: SSPI's Kerberos by pyspnego, whose cache of tickets no program may pass by. Elsewhere GSSAPI, asked for the
principal itself: pyspnego hands over a host name, of which krb5 makes another by DNS. Nothing is ever delegated: no
flag asks for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

from msgspec.structs import replace

from agent.evidence.negotiation import carried, offering_kerberos
from agent.evidence.observed import NoTicket
from agent.names import HostName, Spn, fold, printable
from agent.sources import extras
from agent.sources.credential_cache import CredentialCache, end_of, of_password, of_present_logon
from agent.sources.security_context import (
    KRB5_ERRORS,
    channel_bindings,
    context_words,
    keep_tokens_out_of_logs,
    kerberos_principal,
    krb5_code,
    sspi_code,
)

_KRB5_BASE = -1765328384
_OF_THE_SPN = frozenset({7, 8, 14, 26, 27})
"""S_PRINCIPAL_UNKNOWN, PRINCIPAL_NOT_UNIQUE, ETYPE_NOSUPP, SERVER_NOMATCH, MUST_USE_USER2USER (RFC 4120 7.5.9)."""
_UNKNOWN_TARGET = 0x80090303  # SEC_E_TARGET_UNKNOWN, winerror.h
_KERBEROS = "1.2.840.113554.1.2.2"
_NO_REALM = "of which realm {} is does not follow from the names: write user@REALM"


class Ticket(NamedTuple):
    """What is sent for one request: `token` in SPNEGO, when its ticket ends, and what judges the server's answer.

    `proves` is given the token of the answer: whether it could only come from who has the ticket's key.
    """

    token: bytes
    ends: str | None
    proves: Callable[[bytes], bool]


class Who(NamedTuple):
    """Who asks the KDC: a user with a password. The realm of a bare name is that of `host`."""

    user: str
    password: Callable[[], str]
    host: HostName


class Tickets:
    """Whose tickets they are, and what the KDC has said: it is asked once for each SPN, and once for a password."""

    def __init__(self, who: Who | None) -> None:
        """`who` None: the present logon, on Windows that of the session, elsewhere that of the ticket cache."""
        keep_tokens_out_of_logs()
        self._who = who
        self._lock = Lock()
        self._cache: CredentialCache | NoTicket | None = None
        self._asking: dict[Spn, Lock] = {}
        self._refused: dict[Spn, NoTicket] = {}
        self._silent: dict[str, NoTicket] = {}
        """By the domain of the host: neither would another name of it get a ticket, after the same wait."""

    def ticket(self, spn: Spn, certificate: bytes) -> Ticket | NoTicket:
        """A token with the ticket for an SPN, bound to the server's certificate (DER) where there is one."""
        domain = fold(spn.host.suffix)
        with self._asking_lock(spn):
            known = self._refused.get(spn) or self._silent.get(domain)
            if known is not None:
                return known
            got = self._windows(spn, certificate) if sys.platform == "win32" else self._gssapi(spn, certificate)
            if isinstance(got, NoTicket):
                self._refused[spn] = got
                if not got.is_said_of_spn:
                    self._silent.setdefault(domain, got)
            return got

    def _asking_lock(self, spn: Spn) -> Lock:
        with self._lock:
            return self._asking.setdefault(spn, Lock())

    # -- GSSAPI ------------------------------------------------------------------------------------------------

    def _gssapi(self, spn: Spn, certificate: bytes) -> Ticket | NoTicket:
        if not extras.is_installed("kerberos"):
            reason = f"Kerberos is not installed here: {extras.how_to_install('ldap')}"
            return NoTicket(code=None, reason=reason, is_said_of_spn=False)
        cache = self._logon()
        if isinstance(cache, NoTicket):
            return cache
        try:
            return _by_gssapi(cache, spn, certificate)
        except Exception as error:  # noqa: BLE001 - gssapi and krb5 have no common base; only words get out
            return _refusal(error)

    def _logon(self) -> CredentialCache | NoTicket:
        """What was logged on with, made once: a wrong password is not sent again for the next name."""
        with self._lock:
            if self._cache is None:
                self._cache = self._logged_on()
            return self._cache

    def _logged_on(self) -> CredentialCache | NoTicket:
        principal = password = None
        if self._who is not None:
            principal = kerberos_principal(self._who.user, self._who.host.spn_text)
            if principal is None:
                return NoTicket(code=None, reason=_NO_REALM.format(printable(self._who.user)), is_said_of_spn=False)
            password = self._who.password()
        try:
            return of_present_logon() if password is None or principal is None else of_password(principal, password)
        except Exception as error:  # noqa: BLE001 - as above; the frames of krb5 hold the password
            return replace(_refusal(error), is_said_of_spn=False)

    # -- SSPI --------------------------------------------------------------------------------------------------

    def _windows(self, spn: Spn, certificate: bytes) -> Ticket | NoTicket:
        """One at a time with a password: whoever else waits must not send it too, if it is wrong."""
        with self._lock if self._who is not None else nullcontext():
            if isinstance(self._cache, NoTicket):
                return self._cache
            got = _sspi_ticket(self._who, spn, certificate)
            if self._who is not None and isinstance(got, NoTicket) and not got.is_said_of_spn:
                self._cache = got
            return got


# -- one ticket ----------------------------------------------------------------------------------------------------


def _by_gssapi(cache: CredentialCache, spn: Spn, certificate: bytes) -> Ticket:
    """Without a realm the KDC of the user's own is asked, and may refer to another of the forest (RFC 6806)."""
    import gssapi
    from gssapi.raw import ChannelBindings

    bindings = channel_bindings(certificate)
    context = gssapi.SecurityContext(
        name=gssapi.Name(f"{_escaped(spn)}@", gssapi.NameType.kerberos_principal),
        creds=gssapi.Credentials(usage="initiate", store={"ccache": cache.name}),
        mech=gssapi.OID.from_int_seq(_KERBEROS),
        usage="initiate",
        flags=gssapi.RequirementFlag.mutual_authentication,
        channel_bindings=None if bindings is None else ChannelBindings(application_data=bindings.application_data),
    )
    token = context.step() or b""
    ends = end_of(cache, token)
    told = None if ends is None else f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Ticket(offering_kerberos(token), told, lambda answer: _is_proved(context.step, answer))


def _sspi_ticket(who: Who | None, spn: Spn, certificate: bytes) -> Ticket | NoTicket:
    try:
        return _by_sspi(who, spn, certificate)
    except Exception as error:  # noqa: BLE001 - as above
        unknown = sspi_code(error) == _UNKNOWN_TARGET
        return NoTicket(code=7 if unknown else None, reason=_words(error), is_said_of_spn=unknown)


def _by_sspi(who: Who | None, spn: Spn, certificate: bytes) -> Ticket:
    import spnego

    context = spnego.client(
        spnego.Password(who.user, who.password()) if who is not None else None,
        hostname=spn.instance,
        service=spn.service,
        protocol="kerberos",
        context_req=spnego.ContextReq.mutual_auth,
        channel_bindings=channel_bindings(certificate),
    )
    token = context.step() or b""
    return Ticket(offering_kerberos(token), None, lambda answer: _is_proved(context.step, answer))


def _is_proved(step: Callable[[bytes], bytes | None], answer: bytes) -> bool:
    """Whether the AP-REP in an answer was made with the session key, which only the ticket's account can know."""
    try:
        step(carried(answer))
    except Exception:  # noqa: BLE001 - as above, and why it is none does not matter
        return False
    return True


def _escaped(spn: Spn) -> str:
    return re.sub(r"([@\\])", r"\\\1", spn.text)


# -- words ---------------------------------------------------------------------------------------------------------


def _refusal(error: BaseException) -> NoTicket:
    code = krb5_code(error)
    number = code - _KRB5_BASE if 0 < code - _KRB5_BASE < 128 else None
    known = KRB5_ERRORS.get(code)
    reason = known.reason if known is not None else _words(error)
    return NoTicket(code=number, reason=reason, is_said_of_spn=number in _OF_THE_SPN)


def _words(error: BaseException) -> str:
    return printable(" ".join(context_words(error).split()))[:300]
