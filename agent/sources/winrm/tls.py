"""TLS towards WinRM services: what is trusted, and in words why a server is not."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from agent.sources.endpoint import Endpoint
from agent.sources.tls import readable, trusting
from agent.sources.winrm.errors import UnreachableError, short


class Tls(Struct, frozen=True):
    """What a whole sweep trusts. `certificate` shows the client's certificate as well: it names a person, and is for no
    server that is asked in another way.
    """

    plain: ssl.SSLContext
    certificate: ssl.SSLContext | None = None

    def of(self, endpoint: Endpoint) -> ssl.SSLContext:
        """The context for one server. Raises UnreachableError where it lacks the client certificate."""
        if endpoint.transport != "certificate":
            return self.plain
        if self.certificate is None:
            raise UnreachableError("logon", "no client certificate was given", "give --cert FILE and --cert-key FILE")
        return self.certificate


def tls_context(ca_files: Sequence[Path], certificate: Path | None = None, key: Path | None = None) -> Tls:
    """Trust the system's store and the CAs of PEM files. `certificate` and `key` (PEM) are for the transport
    `certificate`. Raises UsageError.
    """
    return Tls(trusting(ca_files), _showing(trusting(ca_files), certificate, key) if certificate else None)


def _showing(context: ssl.SSLContext, certificate: Path, key: Path | None) -> ssl.SSLContext:
    with readable(certificate, "the client certificate"):
        # a passphrase would be asked for on the terminal, in the middle of everything
        context.load_cert_chain(certificate, key, password=lambda: "")
    return context


# -- words ---------------------------------------------------------------------------------------------------------

_CLOCK = "renew the certificate of its WinRM listener, or set this machine's clock"
_CA = "name the CA that issued it with --ca FILE (PEM)"
_CERTIFICATES = {  # X509_V_ERR_*, by number in OpenSSL's x509_vfy.h
    9: ("the server's certificate is not yet valid", _CLOCK),
    10: ("the server's certificate has expired", _CLOCK),
    18: ("the server's certificate is self-signed", "name it with --ca FILE (PEM) if you know that it is the server's"),
    19: ("the server's certificate is from an unknown issuer", _CA),
    20: ("the server's certificate is from an unknown issuer", _CA),
    21: ("the server's certificate is from an unknown issuer", _CA),
    23: ("the server's certificate is revoked", "renew the certificate of its WinRM listener"),
    26: ("the server's certificate is not meant for servers", "issue one with the purpose Server Authentication"),
    62: ("the server's certificate is for another name", "ask by a name that stands in it"),
    64: ("the server's certificate is not for this address", "ask by a name that stands in it"),
    66: ("the key of the server's certificate is too short", "renew the certificate of its WinRM listener"),
    68: ("the server's certificate is signed with a weak hash", "renew the certificate of its WinRM listener"),
}
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION")
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)


def tls_error(error: Exception) -> UnreachableError:
    """Why TLS with a server did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = (f"the server's certificate is not trusted ({short(error.verify_message)})", _CA)
        return UnreachableError("tls", *_CERTIFICATES.get(error.verify_code, unknown))
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in _OLD_TLS:
            return UnreachableError("tls", "it speaks no TLS 1.2 or newer", "enable TLS 1.2 there (SCHANNEL)")
        if reason in _NOT_TLS:
            return UnreachableError(
                "tls", "not TLS at all on this port", "ask over http (port 5985), or name the https port"
            )
        return UnreachableError(
            "tls", f"no agreement on TLS: {short(reason or str(error))}", "look into its SCHANNEL events"
        )
    if isinstance(error, OSError):
        advice = "does its WinRM listener for HTTPS have a certificate? `winrm enumerate winrm/config/listener` tells"
        reason = "the server closed the connection while TLS was set up"
        return UnreachableError("tls", reason, advice, is_passing=True)
    return UnreachableError("tls", "the name cannot stand in a certificate", "ask by a name that stands in it")
