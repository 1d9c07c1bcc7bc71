"""What logging on to a directory and to a WinRM service have in common: names, tokens and failures of pyspnego."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from typing import TYPE_CHECKING, NamedTuple

from agent.names import address_of, fold, printable

if TYPE_CHECKING:
    import spnego
    from spnego.channel_bindings import GssChannelBindings


def keep_tokens_out_of_logs() -> None:
    """At level DEBUG pyspnego logs every token that it makes."""
    logger = logging.getLogger("spnego")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)


def kerberos_principal(user: str, host: str) -> str | None:
    """`user@REALM` for what a person types, or None where the realm cannot be known.

    A bare name and a NetBIOS domain that is the first label of the host's domain mean the host's realm.
    """
    domain, backslash, name = user.rpartition("\\")
    realm = host.partition(".")[2] if address_of(host) is None else ""
    if "@" in name and not backslash:
        name, _, realm = name.rpartition("@")
    elif "." in domain:
        realm = domain
    elif domain and fold(domain) != fold(realm.partition(".")[0]):
        return None
    if not realm or not name:
        return None
    return re.sub(r"([\\/@])", r"\\\1", name) + "@" + realm.upper()


def ntlm_password(user: str, password: str) -> spnego.Credential:
    """A password for NTLM only: SPNEGO would offer Kerberos too, and so send one wrong password twice."""
    import spnego

    class NtlmPassword(spnego.Password):
        @property
        def supported_protocols(self) -> list[str]:
            return ["ntlm"]

    return NtlmPassword(user, password)


def channel_bindings(certificate: bytes | None) -> GssChannelBindings | None:
    """tls-server-end-point of a certificate (RFC 5929 4.1): hashed by its own algorithm, SHA-256 for MD5 and SHA-1."""
    if not certificate:
        return None
    from cryptography import exceptions, x509
    from cryptography.hazmat.primitives import hashes
    from spnego.channel_bindings import GssChannelBindings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on certificates that only just pass; ssl has judged this one
            algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, exceptions.UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    if algorithm is None:
        return None
    weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    digest = hashes.Hash(hashes.SHA256() if weak else algorithm)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


# -- failures ------------------------------------------------------------------------------------------------------


class Krb5Error(NamedTuple):
    """What a Kerberos error means; after a final one the same password would only count as one more wrong one."""

    reason: str
    is_final: bool = False


UNKNOWN_CLIENT, UNKNOWN_SERVER = -1765328378, -1765328377  # KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_S_PRINCIPAL_UNKNOWN
MODIFIED = -1765328343  # KRB_AP_ERR_MODIFIED
_WRONG_PASSWORD = "the password is wrong"  # noqa: S105
KRB5_ERRORS = {  # RFC 4120 7.5.9, as MIT krb5 numbers them
    UNKNOWN_CLIENT: Krb5Error("the realm does not know this user"),
    -1765328366: Krb5Error("the account is disabled, locked or expired", is_final=True),
    -1765328361: Krb5Error("the password has expired", is_final=True),
    -1765328360: Krb5Error(_WRONG_PASSWORD, is_final=True),
    -1765328353: Krb5Error(_WRONG_PASSWORD, is_final=True),
    -1765328347: Krb5Error("the clock of this machine differs too much from the domain controller's"),
    -1765328230: Krb5Error("no KDC is known for the realm"),
    -1765328228: Krb5Error("no KDC of the realm answers"),
}
GET_A_TICKET = "log on as a user of the domain" if sys.platform == "win32" else "run kinit"
"""Windows has a ticket for whoever logs on to the domain, and none for a local user."""
_SPNEGO = {
    "NoCredentialError": f"there is no Kerberos ticket; {GET_A_TICKET}, or name a user",
    "CredentialsExpiredError": f"the Kerberos ticket has expired; {GET_A_TICKET}",
}


def krb5_code(error: BaseException) -> int:
    """The code of krb5 in a failure of krb5 (`err_code`) or of gssapi below pyspnego (`min_code`), signed; 0: none."""
    base = getattr(error, "base_error", None) or error
    code = getattr(base, "err_code", None) or getattr(base, "min_code", None) or 0
    return int(code) - 2**32 if int(code) >= 2**31 else int(code)


def sspi_code(error: BaseException) -> int:
    """The Windows code in a failure of SSPI below pyspnego; 0: none."""
    return (getattr(getattr(error, "base_error", None), "winerror", 0) or 0) & 0xFFFFFFFF


def context_words(error: BaseException) -> str:
    """The words of a failure without the object itself; pyspnego's texts name codes and principals, never secrets."""
    known = _SPNEGO.get(type(error).__name__)
    return known or printable(str(error))[:300] or type(error).__name__
