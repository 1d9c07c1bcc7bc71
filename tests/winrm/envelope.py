"""The envelopes of WS-Management (DSP0226, MS-WSMV): reading a request, writing an answer or a fault."""

from __future__ import annotations

import html
import re
import uuid
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple
from xml.etree.ElementTree import Element

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
COMMAND_SHELL = f"{SHELL}/cmd"
POWERSHELL = "http://schemas.microsoft.com/powershell/"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": TRANSFER,
    "rsp": SHELL,
    "ps": "http://schemas.microsoft.com/powershell",
}
ACTIONS = {name: f"{TRANSFER}/{name}" for name in ("Create", "Delete", "Get")}
ACTIONS |= {name: f"{SHELL}/{name}" for name in ("Command", "Send", "Receive", "Signal")}
_NAMES = {uri: name for name, uri in ACTIONS.items()}

_DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix != "ps")
_ACTION = re.compile(rb"Action[^>]*>\s*([^<\s]+)\s*<")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
_RELATES = re.compile(rb"(?<=<a:RelatesTo>)[^<]*")

TIMED_OUT = 2150858793
SHELL_NOT_FOUND = 2150858843
COMMAND_NOT_FOUND = 2150858844
TOO_MANY_SHELLS = 2150859174
BAD_REQUEST = 2150858752
ACTION_NOT_SUPPORTED = 2150858789
ACCESS_DENIED = 5


class FaultError(Exception):
    """WS-Management's refusal: the WSManFault's code, its text, and SOAP's subcode."""

    def __init__(self, code: int, reason: str, subcode: str = "w:InternalError") -> None:
        super().__init__(reason)
        self.code, self.reason, self.subcode = code, reason, subcode


class Request(NamedTuple):
    """What is asked. `maximum`: bytes that the answer may have; `timeout`: seconds that it may take."""

    action: str
    message_id: str
    resource: str
    shell_id: str
    options: dict[str, str]
    maximum: int
    timeout: float
    body: Element


def action_of(message: bytes) -> str:
    """The action's name without parsing the message; `?` where it is none of ours."""
    found = _ACTION.search(message)
    return _NAMES.get(found[1].decode("latin-1"), "?") if found else "?"


def parse(message: bytes) -> Request:
    """Raises FaultError where it is no envelope."""
    try:
        root = ElementTree.fromstring(message)
    except ElementTree.ParseError:
        raise FaultError(BAD_REQUEST, "The request is not well-formed XML.", "w:SchemaValidationError") from None
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if header is None or body is None:
        raise FaultError(BAD_REQUEST, "The request has no header or no body.", "w:SchemaValidationError")
    selectors = {found.get("Name"): text(found) for found in header.iterfind("w:SelectorSet/w:Selector", NAMESPACES)}
    options = {found.get("Name", ""): text(found) for found in header.iterfind("w:OptionSet/w:Option", NAMESPACES)}
    return Request(
        action=_NAMES.get(_text_of(header, "a:Action"), "?"),
        message_id=_text_of(header, "a:MessageID"),
        resource=_text_of(header, "w:ResourceURI"),
        shell_id=selectors.get("ShellId", "").upper(),
        options=options,
        maximum=int(_text_of(header, "w:MaxEnvelopeSize") or 153_600),
        timeout=seconds(_text_of(header, "w:OperationTimeout") or "PT60S"),
        body=body,
    )


def text(element: Element) -> str:
    """The element's text, never None."""
    return element.text or ""


def _text_of(header: Element, path: str) -> str:
    return header.findtext(path, "", NAMESPACES).strip()


def seconds(duration: str) -> float:
    """An XML Schema duration without years and months. Raises FaultError where it is none."""
    found = _DURATION.fullmatch(duration)
    if not found or duration in ("P", "PT"):
        raise FaultError(BAD_REQUEST, f"{duration} is not a duration.", "w:SchemaValidationError")
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def answer(action: str, relates_to: str, body: str) -> bytes:
    """The envelope of an answer."""
    return (
        f'<s:Envelope xml:lang="en-US" {_DECLARED}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{NAMESPACES['a']}/role/anonymous</a:To>"
        f"<a:RelatesTo>{html.escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def response(request: Request, body: str) -> bytes:
    """The regular answer to a request."""
    return answer(ACTIONS[request.action] + "Response", request.message_id, body)


def fault(error: FaultError, relates_to: str, machine: str) -> bytes:
    """A SOAP fault with Microsoft's detail in it."""
    reason = html.escape(error.reason)
    role = "s:Receiver" if error.subcode in ("w:TimedOut", "w:InternalError") else "s:Sender"
    return answer(
        f"{NAMESPACES['w'].removesuffix('.xsd')}/fault",
        relates_to,
        f"<s:Fault><s:Code><s:Value>{role}</s:Value><s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{error.code}"'
        f' Machine="{machine}"><f:Message>{reason}</f:Message></f:WSManFault></s:Detail></s:Fault>',
    )


def relating_elsewhere(message: bytes) -> bytes:
    """The same answer, as if to another message."""
    return _RELATES.sub(b"uuid:00000000-0000-0000-0000-000000000000", message)


IDENTITY = (
    f'<s:Envelope xmlns:s="{NAMESPACES["s"]}"><s:Header/><s:Body><i:IdentifyResponse'
    ' xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    f"<i:ProtocolVersion>{NAMESPACES['w']}</i:ProtocolVersion><i:ProductVendor>Microsoft Corporation</i:ProductVendor>"
    "<i:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</i:ProductVersion></i:IdentifyResponse></s:Body></s:Envelope>"
).encode()
