"""What a JEA endpoint answers: PowerShell remoting (MS-PSRP) in WS-Management, each message in an answer of its own."""

from __future__ import annotations

import base64
import struct
from unittest.mock import patch

from agent.sources.winrm import jea, session
from tests.fuzz.answers import PART, parts_of
from tests.fuzz.reading import framed
from tests.fuzz.winrm_answers import ID, SOAP, asked, http, let_in, read_out

_HEAD = 8
"""Hexadecimal digits of a message's type (MS-PSRP 2.2.1), before its CLIXML."""
_TO_CLIENT = 1
_WHOLE = 3
"""Flags of a fragment that is the first and the last one (MS-PSRP 2.2.4)."""


def jea_answers(data: bytes) -> None:
    """After a logon that went well. A part that is no HTTP is a message: its type and its CLIXML are damaged."""
    answers = [part if part.startswith(b"HTTP/") else _carried(part) for part in parts_of(data)]
    with patch.object(session, "log_on", let_in):
        read_out(asked(answers, jea.run_command, "IisSpn"))


def _carried(part: bytes) -> bytes:
    try:
        kind = int(part[:_HEAD], 16)
    except ValueError:
        kind = 0
    message = struct.pack("<II", _TO_CLIENT, kind & 0xFFFFFFFF) + bytes(32) + part[_HEAD:]
    fragment = struct.pack(">QQBI", 1, 0, _WHOLE, len(message)) + message
    stream = b'<rsp:Stream Name="stdout">%b</rsp:Stream>' % base64.b64encode(fragment)
    return http(SOAP % (ID, b"<rsp:ReceiveResponse>%b</rsp:ReceiveResponse>" % stream))


# -- seeds ---------------------------------------------------------------------------------------------------------

_CREATED = b"<rsp:Shell><rsp:ShellId>S</rsp:ShellId></rsp:Shell>"
_COMMAND = b"<rsp:CommandResponse><rsp:CommandId>C</rsp:CommandId></rsp:CommandResponse>"
_CAPABILITY = (
    b'00010002<Obj RefId="0"><MS><Version N="protocolversion">2.3</Version><Version N="PSVersion">2.0</Version>'
    b'<Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>'
)
_PRIVATE = (
    b'00021009<Obj RefId="0"><MS><Obj N="ApplicationPrivateData" RefId="1"><TN RefId="0">'
    b"<T>System.Management.Automation.PSPrimitiveDictionary</T><T>System.Object</T></TN><DCT><En>"
    b'<S N="Key">BashPath</S><Nil N="Value" /></En></DCT></Obj></MS></Obj>'
)
_OPENED = b'00021005<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
_ERROR = (
    b'00041005<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN>'
    b"<ToString>Access is denied</ToString><MS>"
    b'<Obj N="Exception" RefId="1"><ToString>Access is denied</ToString><Props><S N="Message">Access is denied</S>'
    b'</Props></Obj><Nil N="TargetObject" /><S N="FullyQualifiedErrorId">CommandNotFoundException</S>'
    b'<Nil N="InvocationInfo" /><I32 N="ErrorCategory_Category">13</I32><S N="ErrorCategory_Activity"></S>'
    b'<S N="ErrorCategory_Reason">NETException</S><S N="ErrorCategory_TargetName"></S>'
    b'<S N="ErrorCategory_TargetType"></S><S N="ErrorCategory_Message">ObjectNotFound</S>'
    b'<B N="SerializeExtendedInfo">false</B></MS></Obj>'
)
_COMPLETED = b'00041006<Obj RefId="0"><MS><I32 N="PipelineState">4</I32></MS></Obj>'
_FAILED = b'00041006<Obj RefId="0"><MS><I32 N="PipelineState">5</I32>%b</MS></Obj>'
_BROKEN = b'00021005<Obj RefId="0"><MS><I32 N="RunspaceState">5</I32></MS></Obj>'


def _talk(*messages: bytes) -> bytes:
    opened = (_CAPABILITY, _PRIVATE, _OPENED, http(SOAP % (ID, _COMMAND)))
    return PART.join((http(SOAP % (ID, _CREATED)), *opened, *messages, http(SOAP % (ID, b""))))


def printed() -> bytes:
    """The snapshot, a line a message."""
    return _talk(*(b"00041004<S>%b</S>" % line for line in framed().split(b"\r\n")), _COMPLETED)


def failed() -> bytes:
    """Some output, an error record, and a pipeline that failed by another one."""
    record = _ERROR[_HEAD:].replace(b'<Obj RefId="0">', b'<Obj N="ExceptionAsErrorRecord" RefId="5">', 1)
    return _talk(b"00041004<S>iis-spn</S>", b"00041004<I32>7</I32>", _ERROR, _FAILED % record)


def broken() -> bytes:
    """The session does not open."""
    return PART.join((http(SOAP % (ID, _CREATED)), _CAPABILITY, _BROKEN, http(SOAP % (ID, b""))))
