"""What servers answer, as bytes: each request is given the next part, whatever was asked, and then nobody is there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from unittest.mock import patch

import dns.exception
import dns.message
import sansldap

from agent.sources.ad import computers as ad_computers
from agent.sources.ad import connection as ldap_connection
from agent.sources.ad import controllers
from agent.sources.ad import logon as ldap_logon
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.wire import Deadline, Server, Wire
from agent.sources.dns import live
from agent.sources.endpoint import Endpoint
from agent.sources.winrm import client, connection, session
from agent.sources.winrm.errors import UnreachableError
from agent.sources.winrm.handshake import Accepted
from agent.sources.winrm.shell import open_gate
from tests.fuzz.reading import document, judged, server

PART = b"\n====\n"
"""Between two answers."""


def parts_of(data: bytes) -> list[bytes]:
    return data.split(PART)


# -- WinRM ---------------------------------------------------------------------------------------------------------

_MESSAGE_ID = re.compile(rb"MessageID[^>]*>\s*(?:uuid:)?([^<\s]+)")
ID = b"00000000-0000-0000-0000-000000000000"
"""In an answer: what the question was called, as long as that."""


class _Transport(asyncio.Transport):
    """Answers each request at once. Who reads on finds that the other side hung up: nobody has to wait for nothing."""

    def __init__(self, wire: connection._Wire, answers: list[bytes]) -> None:
        super().__init__()
        self._wire, self._answers = wire, answers

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._answers:
            asked = _MESSAGE_ID.search(data)
            self._wire.data_received(self._answers.pop(0).replace(ID, asked[1] if asked else b""))
        self._wire.connection_lost(None)

    def abort(self) -> None:
        self._wire.connection_lost(None)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def winrm(data: bytes) -> None:
    """A logon that went well, and whatever comes after it."""
    with patch.object(session, "log_on", _let_in):
        answer = _asked(data)
    if answer is not None and answer.stdout:
        document(answer.stdout)


def winrm_logon(data: bytes) -> None:
    _asked(data)


async def _let_in(*_: object) -> Accepted:
    return Accepted(None, (), None)


def _asked(data: bytes) -> client.Answer | None:
    answers = parts_of(data)

    async def connected(*_: object) -> connection._Wire:
        wire = connection._Wire()
        wire.connection_made(_Transport(wire, answers))
        return wire

    endpoint = Endpoint(name="web01", host="127.0.0.1", transport="ntlm", user="CORP\\alice")
    logon = client.Logon(user="CORP\\alice", password=lambda: "secret")
    tls = client.Tls(plain=None)  # type: ignore[arg-type]  # nothing is asked over TLS here
    with patch.object(connection, "_connected", connected), patch.object(client, "MIN_POLL_SECONDS", 0.0):
        try:
            return asyncio.run(
                client.run_script(endpoint, logon, b"script", tls=tls, limits=client.Limits(), gate=open_gate)
            )
        except UnreachableError:
            return None


# -- LDAP ----------------------------------------------------------------------------------------------------------


@dataclass
class _Socket:
    """Answers each request with the operations of the next part, under the number of the request."""

    answers: list[bytes]
    waiting: bytes = b""

    def settimeout(self, _seconds: float) -> None: ...

    def close(self) -> None: ...

    def sendall(self, data: bytes) -> None:
        number = 1
        with contextlib.suppress(sansldap.LDAPError):  # sealed after a logon
            number = sansldap.LDAPServer().receive(data)[0].message_id
        operations = _operations(self.answers.pop(0)) if self.answers else ()
        self.waiting += b"".join(_element(0x30, _element(2, bytes([number % 128])) + one) for one in operations)

    def recv(self, _size: int) -> bytes:
        data, self.waiting = self.waiting, b""
        return data


def _element(tag: int, content: bytes) -> bytes:
    """BER, with a length of four bytes."""
    return bytes([tag, 0x84]) + struct.pack(">I", len(content)) + content


_CONTROLS = 0xA0


def _operations(data: bytes) -> Iterator[bytes]:
    """The operations in a row, each with its controls behind it; what is no operation goes out as it is."""
    start = at = 0
    while at < len(data):
        end = _end(data, at)
        at = end if end is not None else len(data)
        if at < len(data) and data[at] == _CONTROLS:
            continue
        yield data[start:at]
        start = at


def _end(data: bytes, at: int) -> int | None:
    head = data[at + 1 : at + 6]
    if not head:
        return None
    size = 1 + (head[0] & 0x7F if head[0] > 0x7F else 0)
    length = int.from_bytes(head[1:size], "big") if size > 1 else head[0]
    end = at + 1 + size + length
    return end if size < 6 and end <= len(data) else None


def ldap(data: bytes) -> None:
    """After a logon that went well."""
    with patch.object(controllers, "bind", lambda *_: None):
        _searched(data, None)


def ldap_logon_and_more(data: bytes) -> None:
    """By NTLM: no KDC is asked."""
    with patch.object(ldap_logon, "kerberos_principal", lambda *_: None):
        _searched(data, ldap_logon.Logon("TEST\\alice", lambda: "secret"))


def _searched(data: bytes, logon: ldap_logon.Logon | None) -> None:
    with _answered(data):
        judged(server(), directory=_source(logon).ask)


def computers(data: bytes) -> None:
    """The machines of an OU, after a logon that went well."""
    with patch.object(controllers, "bind", lambda *_: None), _answered(data):
        ad_computers.computers(_source(None), "OU=Web,DC=test,DC=com", only_iis=True)


def _source(logon: ldap_logon.Logon | None) -> LdapSource:
    return LdapSource(target="ldap://dc1.test.com", logon=logon, locate=lambda *_: ())


@contextlib.contextmanager
def _answered(data: bytes) -> Iterator[None]:
    answers = parts_of(data)

    def connected(to: Server, deadline: Deadline) -> Wire:
        return Wire(_Socket(answers), to, deadline)  # type: ignore[arg-type]

    with patch.object(ldap_connection, "connect", connected):
        yield


# -- DNS -----------------------------------------------------------------------------------------------------------


def names(data: bytes) -> None:
    """Each part: flags and the three counts of records, then the records behind the question that was asked."""
    answers = parts_of(data)

    def exchanged(query: dns.message.Message, *_: object, **__: object) -> tuple[dns.message.Message, bool]:
        if not answers:
            raise dns.exception.Timeout
        wire, part = query.to_wire(), answers.pop(0)
        reply = dns.message.from_wire(wire[:2] + part[:2] + b"\0\1" + part[2:8] + wire[12:] + part[8:])
        if not query.is_response(reply):
            raise dns.exception.FormError
        return reply, False

    def ask(hosts: object, addresses: object) -> object:
        return live.ask(hosts, addresses, server="127.0.0.1", suffixes=("test.com",), deadline=5)  # type: ignore[arg-type]

    with patch("dns.query.udp_with_fallback", exchanged), patch.object(live, "_THREADS", 1):
        judged(server(), names=ask)


# -- seeds ---------------------------------------------------------------------------------------------------------

_SOAP = (
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


def conversation() -> bytes:
    """Create, Command, Send, Receive, Delete."""
    out = b'<rsp:Stream Name="stdout" CommandId="C">e30=</rsp:Stream>'
    done = b'<rsp:CommandState CommandId="C" State="%b/Done"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>' % _STATE
    bodies = (
        b'<rsp:Shell><rsp:Selector Name="ShellId">S</rsp:Selector></rsp:Shell>',
        b"<rsp:CommandResponse><rsp:CommandId>C</rsp:CommandId></rsp:CommandResponse>",
        b"<rsp:SendResponse/>",
        b"<rsp:ReceiveResponse>" + out + done + b"</rsp:ReceiveResponse>",
        b"",
    )
    return PART.join(http(_SOAP % (ID, body)) for body in bodies)


def fault() -> bytes:
    body = (
        b"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value></s:Subcode></s:Code>"
        b'<s:Reason><s:Text>Too many</s:Text></s:Reason><s:Detail><f:WSManFault Code="2150859174" Machine="web01">'
        b"<f:Message>Too many shells</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return http(_SOAP % (ID, body), b"500 Internal Server Error")


CHALLENGE = (
    b"TlRMTVNTUAACAAAACAAIADgAAAA1gonikgb4lZlB3+gAAAAAAAAAAGAAYABAAAAACgBhSgAAAA9DAE8AUgBQAAIACABDAE8AUgBQAAEACgBX"
    b"AEUAQgAwADEABAAQAGMAbwByAHAALgB0AGUAcwB0AAMAHAB3AGUAYgAwADEALgBjAG8AcgBwAC4AdABlAHMAdAAHAAgAAAAAAAAAAAAAAAAA"
)
"""An NTLM challenge (MS-NLMP 2.2.1.2) of a server web01 in corp.test."""


def logon() -> bytes:
    offer = b"WWW-Authenticate: Negotiate %b\r\n"
    return PART.join((http(b"", b"401 Unauthorized", offer % CHALLENGE), http(b"", b"401 Unauthorized", offer % b"")))


@dataclass
class _Entries:
    """Puts operations together as a server writes them."""

    done: list[bytes] = field(default_factory=list)

    def part(self, *entries: tuple[str, dict[str, Sequence[str | bytes]]], code: int = 0, cookie: bytes = b"") -> None:
        found = (
            sansldap.SearchResultEntry(
                message_id=1,
                controls=[],
                object_name=dn,
                attributes=[
                    sansldap.PartialAttribute(name, [one if isinstance(one, bytes) else one.encode() for one in values])
                    for name, values in attributes.items()
                ],
            )
            for dn, attributes in entries
        )
        result = sansldap.LDAPResult(sansldap.LDAPResultCode(code), "", "", None)
        controls = [sansldap.PagedResultControl(False, 0, cookie)]
        end = sansldap.SearchResultDone(message_id=1, controls=controls, result=result)
        self.done.append(b"".join(_operation(message) for message in (*found, end)))


def _operation(message: sansldap.LDAPMessage) -> bytes:
    """A message without its frame and its number (both have short lengths here)."""
    packed: bytes = message.pack(sansldap._messages.PackingOptions())
    at = 2 + (packed[1] & 0x7F if packed[1] > 0x7F else 0)
    return packed[at + 3 :]


def search() -> bytes:
    """rootDSE, the partitions, the domain, its settings, accounts."""
    made = _Entries()
    sid = bytes.fromhex("010400000000000515000000010000000200000003000000")
    base, forest = "DC=test,DC=com", "CN=Configuration,DC=test,DC=com"
    made.part(
        (
            "",
            {
                "defaultNamingContext": [base],
                "configurationNamingContext": [forest],
                "rootDomainNamingContext": [base],
                "dnsHostName": ["dc1.test.com"],
            },
        )
    )
    domain = {"nCName": [base], "systemFlags": ["3"], "nETBIOSName": ["TEST"], "dnsRoot": ["test.com"]}
    made.part((f"CN=TEST,CN=Partitions,{forest}", domain))
    made.part((base, {"objectSid": [sid], "objectClass": ["domainDNS"], "ms-DS-MachineAccountQuota": ["10"]}))
    made.part((f"CN=Directory Service,{forest}", {"sPNMappings": ["host=http,www"], "dSHeuristics": ["00"]}))
    made.part(("CN=RODC,DC=test,DC=com", {"objectSid": [sid + b"\x09\2\0\0"], "whenCreated": ["20200101000000.0Z"]}))
    account = {
        "sAMAccountName": ["contososvc"],
        "objectClass": ["top", "person", "user"],
        "objectSid": [sid + b"\x50\4\0\0"],
        "userAccountControl": ["512"],
        "servicePrincipalName;range=0-0": ["HTTP/intranet.test.com"],
        "pwdLastSet": ["133000000000000000"],
        "msDS-SupportedEncryptionTypes": ["24"],
        "memberOf": ["CN=G,DC=test,DC=com"],
    }
    made.part((f"CN=svc,{base}", account), cookie=b"more")
    made.part((f"CN=svc,{base}", {"servicePrincipalName;range=1-*": ["HTTP/intranet"]}))
    made.part((f"CN=IIS01,{base}", {"sAMAccountName": ["IIS01$"], "objectClass": ["computer"]}))
    made.part()
    return PART.join(made.done)


def machines() -> bytes:
    """rootDSE, the OU, two computers, and whose SPNs tell of IIS."""
    made = _Entries()
    unit = "OU=Web,DC=test,DC=com"
    made.part(("", {"defaultNamingContext": ["DC=test,DC=com"]}))
    made.part((unit, {"objectClass": ["organizationalUnit"]}))
    for name, spns in (("WEB01", ["HTTP/web01.test.com"]), ("WEB02", [])):
        machine = {
            "objectClass": ["top", "user", "computer"],
            "sAMAccountName": [f"{name}$"],
            "dNSHostName": [f"{name}.test.com"],
            "userAccountControl": ["4096"],
            "servicePrincipalName": spns,
        }
        made.part((f"CN={name},{unit}", machine), cookie=b"more" if spns else b"")
    made.part(("CN=svc,DC=test,DC=com", {"servicePrincipalName": ["HTTP/web02.test.com"]}))
    return PART.join(made.done)


def bound() -> bytes:
    """A challenge, and a logon that was accepted without proof."""
    parts = []
    for code, token in ((14, base64.b64decode(CHALLENGE)), (0, b"")):
        result = sansldap.LDAPResult(sansldap.LDAPResultCode(code), "", "", None)
        answer = sansldap.BindResponse(message_id=1, controls=[], result=result, server_sasl_creds=token)
        parts.append(_operation(answer))
    return PART.join(parts)


def replies() -> bytes:
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x08\5iis01\xc0\x15"
    address = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\5\2"
    pointer = b"\xc0\x0c\0\x0c\0\1\0\0\0\x3c\0\x10\5iis01\4test\3com\0"
    counts = b"\x85\x80\0\1\0\0\0\0"
    nothing = b"\x85\x83\0\0\0\0\0\0"
    found = (address, address, alias, address, alias, address)
    return PART.join((*(counts + one for one in found), counts + pointer, nothing))
