"""The oracle: would this account decrypt the ticket that the KDC issues for this SPN?

A real ticket from a real KDC, and the account's real keys: nothing here knows a rule of `agent`. The session
environment (`KRB5_CONFIG`, `KRB5RCACHENAME`) must be the domain controller's; the fixture `domain_controller` sees
to that. Needs python-gssapi; the fixture `observe` imports this module when it is there.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gssapi
from gssapi.exceptions import GSSError

from .samba import DomainController

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")  # not SPNEGO, which hides the error numbers
KRB5_ERRORS = -1765328384
CANNOT_DECRYPT = {31, 35, 44, 45}
"""BAD_INTEGRITY, NOT_US, BADKEYVER, NOKEY: MIT's words for what Windows calls 41, KRB_AP_ERR_MODIFIED."""

Kind = Literal["kerberos", "modified", "no-ticket"]


@dataclass(frozen=True, slots=True)
class Observation:
    """`kerberos`: decrypted; `modified`: a ticket these keys cannot decrypt; `no-ticket`: the KDC refused.

    `code` is the error number of RFC 4120 as seen (7 is KDC_ERR_S_PRINCIPAL_UNKNOWN), None for `kerberos`.
    """

    kind: Kind
    code: int | None
    text: str


def observe(dc: DomainController, spn_text: str, account_sam: str) -> Observation:
    """Ask for a new ticket for `spn_text` and decrypt it with the present keys of `account_sam`, whatever its name."""
    with tempfile.TemporaryDirectory(dir=dc.directory) as scratch:
        # A copy with nothing but the TGT in it: a ticket from before the last change must not answer.
        ccache = shutil.copy(_ticket_granting_ticket(dc), scratch)
        try:
            token = _initiator(f"{_escaped(spn_text)}@{dc.realm}", ccache).step()
        except GSSError as error:
            return Observation("no-ticket", _code(error), _text(error))
    try:
        client = _accept(token, dc.keytab(account_sam))
    except GSSError as error:
        if _code(error) not in CANNOT_DECRYPT:
            raise
        return Observation("modified", _code(error), _text(error))
    return Observation("kerberos", None, client)


@functools.cache
def _ticket_granting_ticket(dc: DomainController) -> Path:
    return dc.kinit("Administrator")


def _initiator(principal: str, ccache: str) -> gssapi.SecurityContext:
    name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{ccache}"})
    return gssapi.SecurityContext(name=name, creds=credentials, mech=KRB5, usage="initiate")


def _accept(token: bytes, keytab: Path) -> str:
    """The client's name; without an acceptor name every key in the keytab is tried, as Windows does."""
    credentials = gssapi.Credentials(usage="accept", store={"keytab": f"FILE:{keytab}"})
    context = gssapi.SecurityContext(creds=credentials, usage="accept")
    context.__DEFER_STEP_ERRORS__ = False  # else the error comes one step later
    context.step(token)
    return str(context.initiator_name)


def _code(error: GSSError) -> int:
    """The RFC 4120 number; any other error (no KDC, no cache) is not an observation and is raised again."""
    minor = error.min_code
    code = (minor - 2**32 if minor >= 2**31 else minor) - KRB5_ERRORS
    if not 0 < code < 128:
        raise error
    return code


def _text(error: GSSError) -> str:
    return str(error).rpartition("Minor (")[2].partition("): ")[2]


def _escaped(principal: str) -> str:
    return re.sub(r"([@\\])", r"\\\1", principal)
