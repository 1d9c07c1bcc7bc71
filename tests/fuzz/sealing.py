"""Servers where a logon by NTLM or CredSSP succeeds, and whose answers are sealed: damaged is what they seal, and the
envelope around it. Their side is pyspnego's. Kerberos needs a KDC, and is in the live tests.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import struct
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest.mock import patch

import sansldap
import spnego

from agent.sources.ad import logon as ldap_logon
from agent.sources.ad import wire
from agent.sources.tls import client_context
from agent.sources.winrm import tls
from tests.fuzz import ldap_answers, winrm_answers
from tests.fuzz.answers import PART, parts_of
from tests.fuzz.reading import judged, server
from tests.fuzz.winrm_answers import Wire
from tests.winrm.authentication import Session
from tests.winrm.settings import NT_HASH, PASSWORD, USER, Options

AS_IT_IS = b"=as it is=\n"
"""Before what is sent without a seal on a sealed connection."""


@contextlib.contextmanager
def _account() -> Iterator[None]:
    """pyspnego's servers know one account: that of the farm."""
    with patch.dict(os.environ, {"NTLM_USER_FILE": _account_file()}):
        yield


@cache
def _account_file() -> str:
    file = Path(tempfile.mkdtemp(prefix="iis-spn-fuzz-")) / "accounts"
    file.write_text(f"{USER}:1000:{'0' * 32}:{NT_HASH}:[U          ]:LCT-00000000\n", encoding="ascii")
    return str(file)


# -- WinRM ---------------------------------------------------------------------------------------------------------

_AUTHORIZATION = re.compile(rb"^Authorization: ([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
_OCTETS = b"Content-Type: application/octet-stream\r\n"
_PLAIN = re.compile(rb"(?<=%b)(.*?)(?=--Encrypted Bound|\Z)" % re.escape(_OCTETS), re.DOTALL)
_END = b"\r\n\r\n"


class _Sealing(winrm_answers.Transport):
    """Takes the logon, then seals each answer, and gives its head the length of what it has become."""

    def __init__(self, wire: Wire, answers: list[bytes]) -> None:
        super().__init__(wire, answers)
        self._session = Session("web01", Options(directory=""), lambda _: None, None, None)

    def _answer_to(self, request: bytes) -> bytes:
        if token := _AUTHORIZATION.search(request):
            return self._logon(token[1].decode("latin-1"))
        question = self._session.unseal(request.partition(_END)[2])
        head, _, body = winrm_answers.numbered(self._answers.pop(0), question).partition(_END)
        body = _PLAIN.sub(lambda found: self._sealed(found[1]), body)
        return b"%b\r\nContent-Length: %d%b%b" % (head, len(body), _END, body)

    def _logon(self, token: str) -> bytes:
        verdict = self._session.step(token)
        headers = "".join(f"{name}: {value}\r\n" for name, value in verdict.headers).encode()
        return winrm_answers.http(b"", b"200 OK" if verdict.accepted else b"401 Unauthorized", headers)

    def _sealed(self, plain: bytes) -> bytes:
        if plain.startswith(AS_IT_IS):
            return plain.removeprefix(AS_IT_IS)
        head, data, _ = self._session._context.wrap_winrm(plain)
        return struct.pack("<i", len(head)) + bytes(head) + bytes(data)


def winrm_sealed(data: bytes) -> None:
    """The first part says how to log on."""
    transport, *answers = parts_of(data)
    with _account():
        answer = winrm_answers.asked(answers, transport="credssp" if transport == b"credssp" else "ntlm", made=_Sealing)
    winrm_answers.read_out(answer)


# -- LDAP ----------------------------------------------------------------------------------------------------------


class _SealingSocket(ldap_answers.Socket):
    """Takes the logon, then seals each answer."""

    def __init__(self, answers: list[bytes]) -> None:
        super().__init__(answers)
        self._context = spnego.server(protocol="negotiate")

    def sendall(self, data: bytes) -> None:
        if not self._context.complete:
            self._log_on(data)
        elif self.answers:
            request = sansldap.LDAPServer().receive(self._context.unwrap(data[4:]).data)[0]
            self.waiting += self._sealed(self.answers.pop(0), request.message_id)

    def _sealed(self, answer: bytes, number: int) -> bytes:
        if answer.startswith(AS_IT_IS):
            return answer.removeprefix(AS_IT_IS)
        sealed = self._context.wrap(ldap_answers.numbered(answer, number), encrypt=True).data
        return len(sealed).to_bytes(4, "big") + sealed

    def _log_on(self, data: bytes) -> None:
        asked = sansldap.LDAPServer().receive(data)[0]
        assert isinstance(asked, sansldap.BindRequest)
        assert isinstance(asked.authentication, sansldap.SaslCredential)
        token = self._context.step(asked.authentication.credentials)
        code = sansldap.LDAPResultCode(0 if self._context.complete else 14)
        answer = sansldap.BindResponse(
            message_id=asked.message_id,
            controls=[],
            result=sansldap.LDAPResult(code, "", "", None),
            server_sasl_creds=token,
        )
        self.waiting += answer.pack(sansldap._messages.PackingOptions())


def ldap_sealed(data: bytes) -> None:
    logon = ldap_logon.Logon(USER, lambda: PASSWORD)
    with _account(), ldap_answers.answered(_SealingSocket(parts_of(data))):
        judged(server(), directory=ldap_answers.source(logon).ask)


# -- TLS -----------------------------------------------------------------------------------------------------------


@cache
def _trusting() -> ssl.SSLContext:
    return client_context()


def tls_answer(data: bytes) -> None:
    """What comes where a server should set up TLS: each of both readers has words for why it does not."""
    arrived = ssl.MemoryBIO()
    arrived.write(data)
    arrived.write_eof()
    wanted = _trusting().wrap_bio(arrived, ssl.MemoryBIO(), server_hostname="web01.test.com")
    try:
        wanted.do_handshake()
    except OSError as error:
        tls.tls_error(error)
        wire._tls_words(error, wire.Server(host="web01.test.com", port=636, protection="tls"))


# -- seeds ---------------------------------------------------------------------------------------------------------

_HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: multipart/encrypted;boundary="Encrypted Boundary"' + _END
_PART = (
    b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
    b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n--Encrypted Boundary\r\n\t%b%b"
)


def _enveloped(message: bytes) -> bytes:
    """An answer with an envelope around what will be sealed."""
    return _HEAD + _PART % (len(message), _OCTETS, message) + b"--Encrypted Boundary--\r\n"


def sealed_conversation(transport: bytes) -> bytes:
    return PART.join((transport, *map(_enveloped, winrm_answers.messages())))


def sealed_search() -> bytes:
    return ldap_answers.search() + PART + AS_IT_IS + b"\0\0\0\4seal"


def alert() -> bytes:
    """TLS 1.2, fatal: handshake failure (RFC 5246 7.2)."""
    return bytes.fromhex("15030300020228")


def server_hello() -> bytes:
    """TLS 1.2 with a cipher that was offered, and then nothing (RFC 5246 7.4.1.3)."""
    hello = bytes.fromhex("0303") + bytes(32) + bytes.fromhex("00c02f000005ff01000100")
    return b"\x16\x03\x03" + struct.pack(">H", len(hello) + 4) + b"\x02\0" + struct.pack(">H", len(hello)) + hello
