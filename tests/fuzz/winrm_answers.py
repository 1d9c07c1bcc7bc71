"""What a WinRM service answers (`answers.py` says how)."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol
from unittest.mock import patch

from agent.sources.endpoint import Endpoint
from agent.sources.winrm import client, connection, jea, session
from agent.sources.winrm.connection import _Wire as Wire
from agent.sources.winrm.errors import UnreachableError
from agent.sources.winrm.handshake import Accepted
from agent.sources.winrm.session import Gate
from agent.sources.winrm.shell import open_gate
from tests.fuzz.answers import PART, parts_of
from tests.fuzz.reading import frame, framed
from tests.winrm.settings import PASSWORD, USER

_MESSAGE_ID = re.compile(rb"MessageID[^>]*>\s*(?:uuid:)?([^<\s]+)")
ID = b"00000000-0000-0000-0000-000000000000"
"""In an answer: what the question was called, as long as that."""


class Transport(asyncio.Transport):
    """Answers each request at once. Who reads on finds that the other side hung up: nobody has to wait for nothing."""

    def __init__(self, wire: Wire, answers: list[bytes]) -> None:
        super().__init__()
        self._wire, self._answers = wire, answers

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._answers:
            self._wire.data_received(self._answer_to(bytes(data)))
        self._wire.connection_lost(None)

    def _answer_to(self, request: bytes) -> bytes:
        return numbered(self._answers.pop(0), request)

    def abort(self) -> None:
        self._wire.connection_lost(None)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def numbered(answer: bytes, request: bytes) -> bytes:
    """The answer, as one to this request."""
    found = _MESSAGE_ID.search(request)
    return answer.replace(ID, found[1] if found else b"")


def winrm(data: bytes) -> None:
    """A logon that went well, and whatever comes after it."""
    with patch.object(session, "log_on", let_in):
        read_out(asked(parts_of(data)))


def winrm_logon(data: bytes) -> None:
    asked(parts_of(data))


async def let_in(*_: object) -> Accepted:
    return Accepted(None, (), None)


def read_out(answer: client.Answer | None) -> None:
    """What the server printed is read as its snapshot."""
    if answer is not None and answer.stdout:
        frame(answer.stdout)


class Asking(Protocol):
    """`run_script` and `run_command`."""

    def __call__(
        self, to: Endpoint, logon: client.Logon, what: Any, *, tls: client.Tls, limits: client.Limits, gate: Gate
    ) -> Coroutine[Any, Any, client.Answer]: ...


def asked(
    answers: list[bytes],
    ask: Asking = client.run_script,
    what: bytes | str = b"script",
    *,
    transport: Literal["ntlm", "credssp"] = "ntlm",
    made: Callable[[Wire, list[bytes]], Transport] = Transport,
) -> client.Answer | None:
    """What a server printed that answers so."""

    async def connected(*_: object) -> Wire:
        wire = Wire()
        wire.connection_made(made(wire, answers))
        return wire

    endpoint = Endpoint(name="web01", host="127.0.0.1", transport=transport, user=USER)
    logon = client.Logon(user=USER, password=lambda: PASSWORD)
    tls = client.Tls(plain=None)  # type: ignore[arg-type]  # nothing is asked over TLS here
    with (
        patch.object(connection, "_connected", connected),
        patch.object(client, "MIN_POLL_SECONDS", 0.0),
        patch.object(jea, "MIN_POLL_SECONDS", 0.0),
    ):
        try:
            return asyncio.run(ask(endpoint, logon, what, tls=tls, limits=client.Limits(), gate=open_gate))
        except UnreachableError:
            return None


# -- seeds ---------------------------------------------------------------------------------------------------------

SOAP = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    b'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    b'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
    b'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header>'
    b"<a:RelatesTo>uuid:%b</a:RelatesTo></s:Header><s:Body>%b</s:Body></s:Envelope>"
)
_STATE = b"http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState"


def http(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """Without a length: what is damaged still has an end."""
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return b"HTTP/1.1 %b\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (status, more, chunk)


def messages() -> list[bytes]:
    """Create, Command, Send, Receive, Delete."""
    out = b'<rsp:Stream Name="stdout" CommandId="C">%b</rsp:Stream>' % base64.b64encode(framed())
    done = b'<rsp:CommandState CommandId="C" State="%b/Done"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>' % _STATE
    bodies = (
        b'<rsp:Shell><rsp:Selector Name="ShellId">S</rsp:Selector></rsp:Shell>',
        b"<rsp:CommandResponse><rsp:CommandId>C</rsp:CommandId></rsp:CommandResponse>",
        b"<rsp:SendResponse/>",
        b"<rsp:ReceiveResponse>" + out + done + b"</rsp:ReceiveResponse>",
        b"",
    )
    return [SOAP % (ID, body) for body in bodies]


def conversation() -> bytes:
    return PART.join(map(http, messages()))


def fault() -> bytes:
    body = (
        b"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value></s:Subcode></s:Code>"
        b'<s:Reason><s:Text>Too many</s:Text></s:Reason><s:Detail><f:WSManFault Code="2150859174" Machine="web01">'
        b"<f:Message>Too many shells</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return http(SOAP % (ID, body), b"500 Internal Server Error")


CHALLENGE = (
    b"TlRMTVNTUAACAAAACAAIADgAAAA1gonikgb4lZlB3+gAAAAAAAAAAGAAYABAAAAACgBhSgAAAA9DAE8AUgBQAAIACABDAE8AUgBQAAEACgBX"
    b"AEUAQgAwADEABAAQAGMAbwByAHAALgB0AGUAcwB0AAMAHAB3AGUAYgAwADEALgBjAG8AcgBwAC4AdABlAHMAdAAHAAgAAAAAAAAAAAAAAAAA"
)
"""An NTLM challenge (MS-NLMP 2.2.1.2) of a server web01 in corp.test."""


def logon() -> bytes:
    offer = b"WWW-Authenticate: Negotiate %b\r\n"
    return PART.join((http(b"", b"401 Unauthorized", offer % CHALLENGE), http(b"", b"401 Unauthorized", offer % b"")))
