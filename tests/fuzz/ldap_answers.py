"""What a domain controller answers (`answers.py` says how): each part is the operations of an answer in a row."""

from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from unittest.mock import patch

import sansldap
from sansldap.asn1 import ASN1Reader

from agent.sources.ad import computers as ad_computers
from agent.sources.ad import connection, controllers, filters, search_messages
from agent.sources.ad import logon as ldap_logon
from agent.sources.ad.exports import read_exports
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.wire import Deadline, Server, Wire
from agent.spn.directory import Directory, Question
from tests.fuzz.answers import PART, parts_of
from tests.fuzz.reading import judged, server
from tests.fuzz.winrm_answers import CHALLENGE


@dataclass
class Socket:
    """Answers each request with the operations of the next part, under the number of the request."""

    answers: list[bytes]
    waiting: bytes = b""

    def settimeout(self, _seconds: float) -> None: ...

    def close(self) -> None: ...

    def sendall(self, data: bytes) -> None:
        number = 1
        with contextlib.suppress(sansldap.LDAPError):  # sealed after a logon
            number = sansldap.LDAPServer().receive(data)[0].message_id
        self.waiting += numbered(self.answers.pop(0), number) if self.answers else b""

    def recv(self, _size: int) -> bytes:
        data, self.waiting = self.waiting, b""
        return data


def numbered(operations: bytes, number: int) -> bytes:
    """The operations as messages, as answers to the request of that number."""
    prefix = _element(2, bytes([number % 128]))
    return b"".join(_element(0x30, prefix + one) for one in _operations(operations))


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
    with patch.object(controllers, "bind", lambda *_: None), answered(Socket(parts_of(data))):
        judged(server(), directory=source(None).ask)


def ldap_logon_and_more(data: bytes) -> None:
    """By NTLM: no KDC is asked."""
    with answered(Socket(parts_of(data))):
        source(ldap_logon.Logon("TEST\\alice", lambda: "secret")).ask(_question())


@cache
def _question() -> Question:
    """What is asked of a directory about the usual server."""
    asked: list[Question] = []

    def ask(question: Question) -> Directory:
        asked.append(question)
        return read_exports([], question)

    judged(server(), directory=ask)
    return asked[0]


def computers(data: bytes) -> None:
    """The machines of an OU, after a logon that went well."""
    with patch.object(controllers, "bind", lambda *_: None), answered(Socket(parts_of(data))):
        ad_computers.computers(source(None), "OU=Web,DC=test,DC=com", only_iis=True)


def source(logon: ldap_logon.Logon | None) -> LdapSource:
    return LdapSource(target="ldap://dc1.test.com", logon=logon, locate=lambda *_: ())


def entry(data: bytes) -> None:
    """One entry, in a message; whatever is read of it is what sansldap reads."""
    as_sansldap_reads_it(data)


def as_sansldap_reads_it(message: bytes) -> tuple[int, tuple[str, dict[str, list[bytes]]]] | None:
    """Number and entry where we read one. Fails where sansldap reads another, or none.

    Behind the operation stand controls, which we do not read and sansldap does: it is shown the message without them.
    """
    try:
        answer = search_messages.answer_in(message)
        ours = search_messages.entry_in(message, answer)
    except ValueError:
        return None
    if answer.tag != search_messages.ENTRY:
        return None
    number = answer.number.to_bytes(4, "big", signed=True)
    plain = _element(0x30, _element(2, number) + _element(answer.tag, message[answer.start : answer.end]))
    theirs = sansldap._messages.unpack_ldap_message(ASN1Reader(plain), sansldap._messages.PackingOptions())
    assert isinstance(theirs, sansldap.SearchResultEntry)
    attributes: dict[str, list[bytes]] = {}
    for attribute in theirs.attributes:
        attributes.setdefault(attribute.name, attribute.values)
    assert ours == (theirs.object_name, attributes)
    return theirs.message_id, (theirs.object_name, attributes)


@contextlib.contextmanager
def answered(socket: Socket) -> Iterator[None]:
    """Whatever is connected to answers by this; no KDC is asked."""

    def connected(to: Server, deadline: Deadline) -> Wire:
        return Wire(socket, to, deadline)  # type: ignore[arg-type]

    with (
        patch.object(connection, "connect", connected),
        patch.object(filters, "BATCH", 20),
        patch.object(ldap_logon, "kerberos_principal", lambda *_: None),
    ):
        yield


# -- seeds ---------------------------------------------------------------------------------------------------------


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


def entry_message(number: int, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    """As sansldap writes it."""
    found = [sansldap.PartialAttribute(name, list(values)) for name, values in attributes.items()]
    made = sansldap.SearchResultEntry(message_id=number, controls=[], object_name=dn, attributes=found)
    return made.pack(sansldap._messages.PackingOptions())


def long_form(message: bytes) -> bytes:
    """The same with each length in five bytes, as AD writes it."""
    written, at = [], 0
    while at < len(message):
        end = _end(message, at)
        assert end is not None
        size = 2 + (message[at + 1] & 0x7F if message[at + 1] > 0x7F else 0)
        content = message[at + size : end]
        written.append(_element(message[at], long_form(content) if message[at] & 0x20 else content))
        at = end
    return b"".join(written)


def entries() -> list[bytes]:
    """An account, and an entry without anything, as both kinds of servers write them."""
    values: dict[str, Sequence[bytes]] = {
        "objectClass": [b"top", b"user"],
        "objectSid": [bytes.fromhex("0105000000000005150000000100000002000000")],
        "servicePrincipalName;range=0-1": [b"HTTP/a.test.com", b"HTTP/a"],
        "memberOf": [],
    }
    made = [entry_message(7, "CN=svc,DC=test,DC=com", values), entry_message(1, "", {})]
    return [*made, *map(long_form, made)]


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
    made.part((f"CN=svc,{base}", {}), code=4)  # three are under way; the first is asked for again in pages
    made.part((f"CN=IIS01,{base}", {"sAMAccountName": ["IIS01$"], "objectClass": ["computer"]}))
    made.part()
    made.part((f"CN=svc,{base}", account), cookie=b"more")
    made.part((f"CN=svc,{base}", {"servicePrincipalName;range=1-*": ["HTTP/intranet"]}))
    made.part()
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
