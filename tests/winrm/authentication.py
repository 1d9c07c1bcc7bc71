"""Who asks, and the encryption of what is said: Basic, Negotiate (NTLM, Kerberos), CredSSP, client certificates.

NTLM takes its accounts from NTLM_USER_FILE, Kerberos its keys from KRB5_KTNAME, whatever principals are in there.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import re
import ssl
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import spnego
from spnego._ntlm_raw.messages import AvId, Challenge, Version
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from . import kerberos_error
from .http import SOAP, Headers
from .settings import Options

with contextlib.suppress(ImportError):  # without the extra `kerberos` no ticket is taken
    import gssapi

    # Else python-gssapi keeps an error for the next call, where pyspnego does not look for one.
    gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False

CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SCHEMES = {"negotiate": "Negotiate", "kerberos": "Kerberos", "credssp": "CredSSP", "basic": 'Basic realm="WSMAN"'}

_BOUNDARY = b"--Encrypted Boundary"
_PART = re.compile(rb"--\s?Encrypted Boundary\r\n")
_LENGTH = re.compile(rb"Length=(\d+)")
_OCTETS = b"Content-Type: application/octet-stream\r\n"
_PROTOCOLS = {
    "negotiate": "application/HTTP-SPNEGO-session-encrypted",
    "kerberos": "application/HTTP-Kerberos-session-encrypted",
    "credssp": "application/HTTP-CredSSP-session-encrypted",
}
_CHANNEL_BOUND = 2048  # GSS_C_CHANNEL_BOUND_FLAG, MIT krb5 1.19 and later
_CREDSSP_PART = 16384  # CredSSP seals with TLS, whose records hold no more


class Verdict(NamedTuple):
    """What came of an Authorization header; the headers go into the answer."""

    accepted: bool
    headers: Headers = ()


class Session:
    """The logon of one connection."""

    def __init__(
        self,
        host: str,
        options: Options,
        count: Callable[[str], None],
        certificate: Mapping[str, Any] | None,
        bindings: GssChannelBindings | None,
        domain: str = "",
    ) -> None:
        self.user = ""
        self._host = host
        self._domain = domain
        self._options = options
        self._count = count
        self._certificate = certificate
        self._bindings = bindings
        self._scheme = ""
        self._context: Any = None

    @property
    def can_seal(self) -> bool:
        """Whether there is a key to encrypt with."""
        return self._context is not None and bool(self._context.complete)

    def challenge(self) -> Headers:
        """What a 401 offers."""
        return [("WWW-Authenticate", SCHEMES[scheme]) for scheme in self._options.authentication if scheme in SCHEMES]

    def step(self, authorization: str) -> Verdict:
        """Judge the Authorization header of a request, or its absence."""
        if authorization == CERTIFICATE:
            return self._by_certificate()
        scheme, _, token = authorization.partition(" ")
        scheme = {"ntlm": "negotiate"}.get(scheme.lower(), scheme.lower())
        if not scheme:
            return Verdict(True) if self.can_seal else self._refused()
        if scheme not in self._options.authentication:
            return self._refused()
        try:
            plain = base64.b64decode(token, validate=True)
        except binascii.Error:
            return self._refused()
        return self._by_password(plain) if scheme == "basic" else self._by_token(scheme, plain)

    def _refused(self) -> Verdict:
        self.user, self._context = "", None
        return Verdict(False, self.challenge())

    def _by_certificate(self) -> Verdict:
        if not self._certificate:
            return self._refused()
        subject = {key: value for names in self._certificate["subject"] for key, value in names}
        self.user = subject.get("commonName", "")
        self._count("auth.certificate")
        return Verdict(True)

    def _by_password(self, plain: bytes) -> Verdict:
        user, _, password = plain.decode("utf-8", "replace").partition(":")
        known = {name.rpartition("\\")[2].lower(): word for name, word in self._options.accounts.items()}
        if known.get(user.rpartition("\\")[2].lower()) != password:
            self._count("auth.basic.refused")
            return self._refused()
        self.user = user
        self._count("auth.basic")
        return Verdict(True)

    def _by_token(self, scheme: str, token: bytes) -> Verdict:
        if self._context is None or self._context.complete or token.startswith(b"NTLMSSP\0\1"):
            self._context = self._acceptor(scheme, token)
        try:
            reply = self._context.step(token)
        except (SpnegoError, ssl.SSLError, ValueError, struct.error) as error:
            code = kerberos_error.code_of(error)
            if code:
                return self._not_taken(scheme, code)
            self._count("auth.refused")
            return self._refused()
        if reply and reply.startswith(b"NTLMSSP\0\2"):
            reply = _challenge_of(self._context, self._host, self._domain)
        headers = _carrying(scheme, reply) if reply else []
        if not self._context.complete:
            return Verdict(False, headers)
        if not self._is_bound:
            self._count("auth.unbound")
            return self._refused()
        self.user = str(self._context.client_principal or "")
        self._count(f"auth.{self._context.negotiated_protocol or 'ntlm'}")
        if scheme == "credssp":
            self._count("auth.credssp")
        return Verdict(True, headers)

    @property
    def _is_bound(self) -> bool:
        """Whether a ticket came with the bindings that are asked for: MIT's acceptor lets those pass that have none."""
        if self._bindings is None or self._context.negotiated_protocol != "kerberos":
            return True
        ticket = self._context._context if self._scheme == "negotiate" else self._context
        return bool(ticket._context_attr & _CHANNEL_BOUND)  # a flag that pyspnego has no name for

    def _not_taken(self, scheme: str, code: int) -> Verdict:
        """A ticket that is answered with a KRB-ERROR."""
        self._count("auth.modified" if code == kerberos_error.MODIFIED else f"auth.krb-error.{code}")
        self.user, self._context = "", None
        token = kerberos_error.token(code, "HTTP", self._host, spnego=scheme != "kerberos")
        return Verdict(False, _carrying(scheme, token))

    def _acceptor(self, scheme: str, token: bytes) -> Any:
        self._scheme = scheme
        if scheme == "credssp":
            return spnego.server(protocol="credssp", credssp_tls_context=_credssp_tls())
        protocol = "ntlm" if token.startswith(b"NTLMSSP\0") else scheme
        return spnego.server(protocol=protocol, channel_bindings=self._bindings)

    # .. encryption ..

    def unseal(self, body: bytes) -> bytes:
        """The message in a multipart body. Raises ValueError or SpnegoError where it is damaged."""
        end = _BOUNDARY + b"--\r\n"
        if not body.endswith(end):
            raise ValueError("the closing boundary is missing")
        parts = [part for part in _PART.split(body.removesuffix(end)) if part]
        return b"".join(self._unsealed_part(*pair) for pair in zip(parts[::2], parts[1::2], strict=True))

    def _unsealed_part(self, header: bytes, payload: bytes) -> bytes:
        announced = _LENGTH.search(header)
        data = payload.partition(_OCTETS)[2]
        if announced is None or len(data) < 4:
            raise ValueError("not an encrypted part")
        size = struct.unpack("<i", data[:4])[0]
        if self._scheme == "credssp":
            plain: bytes = self._context.unwrap(data[4:]).data
        else:
            plain = self._context.unwrap_winrm(data[4 : 4 + size], data[4 + size :])
        # Kerberos clients may count the padding.
        if not 0 <= int(announced[1]) - len(plain) <= 16:
            raise ValueError("the announced length is wrong")
        return plain

    def seal(self, message: bytes) -> tuple[bytes, str]:
        """The multipart body and its Content-Type."""
        protocol = _PROTOCOLS[self._scheme]
        step = _CREDSSP_PART if self._scheme == "credssp" else len(message)
        pieces = [message[start : start + step] for start in range(0, len(message), step)]
        kind = "multipart/x-multi-encrypted" if len(pieces) > 1 else "multipart/encrypted"
        body = b"".join(self._sealed_part(piece, protocol.encode()) for piece in pieces) + _BOUNDARY + b"--\r\n"
        return body, f'{kind};protocol="{protocol}";boundary="Encrypted Boundary"'

    def _sealed_part(self, piece: bytes, protocol: bytes) -> bytes:
        header, data, padding = self._context.wrap_winrm(piece)
        return b"".join(
            (
                _BOUNDARY + b"\r\n\tContent-Type: " + protocol,
                b"\r\n\tOriginalContent: type=" + SOAP.encode() + b";Length=%d\r\n" % (len(piece) + padding),
                _BOUNDARY + b"\r\n\t" + _OCTETS,
                struct.pack("<i", len(header)) + header + data,
            )
        )


def _challenge_of(context: Any, host: str, domain: str) -> bytes:
    """The challenge that pyspnego's acceptor has made, with the names of this server in it, as Windows gives them."""
    made = context._temp_challenge
    names = made.target_info
    names[AvId.dns_computer_name], names[AvId.nb_computer_name] = host, host.partition(".")[0].upper()
    names[AvId.dns_domain_name] = domain or host
    names[AvId.nb_domain_name] = (domain or host).partition(".")[0].upper()
    made = Challenge(made.flags, made.server_challenge, made.target_name, names, version=Version.get_current())
    context._temp_challenge = made
    return bytes(made.pack())


def _carrying(scheme: str, token: bytes) -> Headers:
    return [("WWW-Authenticate", f"{SCHEMES[scheme]} {base64.b64encode(token).decode()}")]


@functools.cache
def _credssp_tls() -> Any:
    """One self-signed certificate for all, as a Windows server makes one at each start."""
    from spnego.tls import default_tls_context, generate_tls_certificate

    context = default_tls_context("accept")
    certificate, key, context.public_key = generate_tls_certificate()
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(certificate + key)
        context.context.load_cert_chain(file.name)
    return context
