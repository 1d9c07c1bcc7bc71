"""A web server that takes Negotiate with an account's real keys, and answers as IIS does.

    with serving(Site(dc.keytab("svc-web"), "svc-web", "TEST.COM"), address):
        ...

Whether a ticket opens is MIT krb5's answer. What Windows sends where it does not open, a KRB-ERROR whose sname is the
account that tried (kerberos-rules 10.4), is made by hand: MIT's acceptor has no such token.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import gssapi
from gssapi.exceptions import GSSError
from gssapi.raw import ChannelBindings

from agent.evidence.negotiation import carried
from tests import made_tokens as made

from .kdc import CANNOT_DECRYPT, KRB5_ERRORS

MODIFIED = 41
_CHANNEL_BOUND = 2048  # GSS_C_CHANNEL_BOUND_FLAG, since MIT krb5 1.19


class Site(NamedTuple):
    """What stands behind an address: the keys that decrypt, and the account and realm that a KRB-ERROR names.

    `error` is the number of the KRB-ERROR for every ticket (clocks cannot be turned here), `bound` extended protection
    (Require), `offers` the challenges, none for a site that lets everybody in; `status` that of who is let in.
    """

    keytab: Path
    account: str
    realm: str = "TEST.COM"
    error: int = 0
    bound: bool = False
    offers: tuple[str, ...] = ("Negotiate", "NTLM")
    status: int = 200
    certificate: Path | None = None
    """PEM with its key, for TLS."""
    expects: Path | None = None
    """The certificate that tickets must be bound to, where something else ends TLS."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site
    seen: list[tuple[str, str]]

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "")
        self.server.seen.append((self.command, sent.partition(" ")[0]))
        site = self.server.site
        if not site.offers:
            return self._answer(200)
        scheme, _, text = sent.partition(" ")
        if not text:
            return self._answer(401, *site.offers)
        token = base64.b64decode(text)
        if b"NTLMSSP\0" in token:
            return self._answer(401, f"{scheme} {made.NTLM_CHALLENGE}")
        return self._answer(*_judged(site, scheme, token))

    do_HEAD = do_GET  # noqa: N815 - as the module names it

    def _answer(self, status: int, *challenges: str) -> None:
        self.send_response(status)
        for challenge in challenges:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def _judged(site: Site, scheme: str, token: bytes) -> tuple[int, str]:
    if site.error:
        return 401, f"{scheme} {_refusal(site, site.error)}"
    try:
        context = _acceptor(site)
        answer = context.step(token)
    except GSSError:
        return (401, f"{scheme} {_refusal(site, MODIFIED)}") if _code(site, token) in CANNOT_DECRYPT else (401, scheme)
    if gssapi.RequirementFlag.delegate_to_peer in context.actual_flags:
        return 500, scheme  # nobody here may act as the user elsewhere
    if site.bound and not int(context.actual_flags) & _CHANNEL_BOUND:
        return 401, scheme  # SEC_E_BAD_BINDINGS: IIS says nothing more
    return site.status, f"{scheme} {made.written(answer or b'')}"


def _acceptor(site: Site) -> gssapi.SecurityContext:
    credentials = gssapi.Credentials(usage="accept", store={"keytab": f"FILE:{site.keytab}"})
    context = gssapi.SecurityContext(creds=credentials, usage="accept", channel_bindings=_bindings(site))
    context.__DEFER_STEP_ERRORS__ = False  # type: ignore[attr-defined]  # else the error comes one step later
    return context


def _code(site: Site, token: bytes) -> int:
    """The number of the Kerberos error, which MIT's SPNEGO hides."""
    try:
        _acceptor(site).step(carried(token))
    except GSSError as error:
        return int(error.min_code) - (2**32 if error.min_code >= 2**31 else 0) - KRB5_ERRORS
    return 0


def _refusal(site: Site, code: int) -> str:
    return made.written(made.response(made.framed(made.ERROR, made.krb_error(code, site.account, site.realm))))


def _bindings(site: Site) -> ChannelBindings | None:
    certificate = site.expects or site.certificate
    if not site.bound or certificate is None:
        return None
    first, end, _ = certificate.read_text().partition("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(first + end)
    return ChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(der).digest())


@contextlib.contextmanager
def serving(site: Site, address: str, port: int = 80) -> Iterator[list[tuple[str, str]]]:
    """Serve until the end of the block; gives each request's method and what scheme it logged on with."""
    server = _Server((address, port), _Handler)
    server.site, server.seen = site, []
    if site.certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(site.certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
