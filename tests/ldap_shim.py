"""A domain controller of our own making on a loopback port: NTLM with a seal, pages, ranges, and every kind of trouble.

Samba enforces neither page size nor value ranges and never lies; this one does both. It runs in threads of the test.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sansldap
import spnego
from sansldap import LDAPResultCode as Code

USER, PASSWORD, DOMAIN = "alice", "Secret!7f3a", "TEST"
"""The only account; `NTLM_USER_FILE` must name a file with `credentials()`."""

Attributes = Mapping[str, Sequence[bytes]]
Trouble = Callable[["Session", sansldap.SearchRequest], bool]
"""Asked before each search of a subtree or for a range; True when it has answered (or ruined) it itself."""


def credentials() -> str:
    """One line of pyspnego's NTLM user file."""
    return f"{DOMAIN}:{USER}:{PASSWORD}\n"


@dataclass
class Shim:
    """The directory and the limits of the server."""

    entries: dict[str, Attributes]
    root: dict[str, str]
    page_limit: int = 500
    range_limit: int = 1500
    trouble: Trouble | None = None
    on_connect: Callable[[socket.socket], bool] | None = None
    bind_answer: tuple[Code, str] | None = None
    early_success: bytes | None = None
    searches: list[sansldap.SearchRequest] = field(default_factory=list)
    in_clear: bytearray = field(default_factory=bytearray)
    connections: int = 0
    port: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[Shim]:
        """Listen until the end of the block."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            yield self
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with connected, contextlib.suppress(OSError, sansldap.LDAPError):
            if not (self.on_connect and self.on_connect(connected)):
                Session(self, connected).run()


class Session:
    """One client."""

    def __init__(self, shim: Shim, connected: socket.socket) -> None:
        self.shim = shim
        self.socket = connected
        self.ldap = sansldap.LDAPServer()
        self.context: spnego.ContextProxy | None = None
        self.sealed = False

    def run(self) -> None:
        while data := self._read():
            for message in self.ldap.receive(data):
                self._answer(message)

    def _read(self) -> bytes:
        if not self.sealed:
            data = self.socket.recv(65536)
            self.shim.in_clear += data
            return data
        length = struct.unpack(">I", self._exactly(4))[0]
        assert self.context
        return self.context.unwrap(self._exactly(length)).data

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise OSError("gone")
            data += more
        return data

    def flush(self) -> None:
        self.send(self.ldap.data_to_send())

    def send(self, data: bytes) -> None:
        if self.sealed:
            assert self.context
            data = self.context.wrap(data).data
            data = struct.pack(">I", len(data)) + data
        self.socket.sendall(data)

    def _answer(self, message: sansldap.LDAPMessage) -> None:
        if isinstance(message, sansldap.BindRequest):
            self._bind(message)
        elif isinstance(message, sansldap.SearchRequest):
            self._search(message)
        else:
            raise OSError("not in this play")

    def _bind(self, message: sansldap.BindRequest) -> None:
        if self.shim.bind_answer:
            code, words = self.shim.bind_answer
            self.ldap.bind_response(message.message_id, result_code=code, diagnostics_message=words)
            return self.flush()
        if self.shim.early_success is not None:
            self.ldap.bind_response(message.message_id, sasl_creds=self.shim.early_success or None)
            return self.flush()
        self.context = self.context or spnego.server(
            protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate
        )
        assert isinstance(message.authentication, sansldap.SaslCredential)
        try:
            token = self.context.step(message.authentication.credentials)
        except Exception:  # noqa: BLE001 - whatever is wrong with a token, it is refused
            self.ldap.bind_response(
                message.message_id,
                result_code=Code.INVALID_CREDENTIALS,
                diagnostics_message="8009030C: LdapErr: DSID-0C090439, AcceptSecurityContext error, data 52e, v1",
            )
            return self.flush()
        code = Code.SUCCESS if self.context.complete else Code.SASL_BIND_IN_PROGRESS
        self.ldap.bind_response(message.message_id, sasl_creds=token, result_code=code)
        self.flush()
        self.sealed = self.context.complete
        return None

    def _search(self, request: sansldap.SearchRequest) -> None:
        self.shim.searches.append(request)
        tempting = request.scope == sansldap.SearchScope.SUBTREE or ";range=" in str(request.attributes)
        if tempting and self.shim.trouble and self.shim.trouble(self, request):
            return
        found = [(dn, self._shown(request, values)) for dn, values in self._matching(request)]
        paged = paged_control(request)
        size = min(self.shim.page_limit, (paged.size if paged else request.size_limit) or self.shim.page_limit)
        start = int(paged.cookie or b"0") if paged else 0
        for dn, values in found[start : start + size]:
            self.entry(request, dn, values)
        more = start + size < len(found)
        controls = []
        if paged:
            cookie = str(start + size).encode() if more else b""
            controls = [sansldap.PagedResultControl(critical=False, size=0, cookie=cookie)]
        self.done(request, Code.SIZE_LIMIT_EXCEEDED if more and not paged else Code.SUCCESS, controls)

    def entry(self, request: sansldap.SearchRequest, dn: str, values: Attributes) -> None:
        attributes = [sansldap.PartialAttribute(name, list(found)) for name, found in values.items()]
        self.ldap.search_result_entry(request.message_id, dn, attributes)

    def done(
        self,
        request: sansldap.SearchRequest,
        code: Code = Code.SUCCESS,
        controls: list[sansldap.LDAPControl] | None = None,
    ) -> None:
        self.ldap.search_result_done(request.message_id, result_code=code, controls=controls)
        self.flush()

    def _matching(self, request: sansldap.SearchRequest) -> Iterator[tuple[str, Attributes]]:
        if not request.base_object and request.scope == sansldap.SearchScope.BASE:
            yield "", {name: [value.encode()] for name, value in self.shim.root.items()}
            return
        for dn, values in self.shim.entries.items():
            if _in_scope(dn, request) and _matches(request.filter, dn, values):
                yield dn, values

    def _shown(self, request: sansldap.SearchRequest, values: Attributes) -> Attributes:
        shown: dict[str, Sequence[bytes]] = {}
        wanted = dict(map(_asked, request.attributes))
        for name, found in values.items():
            if name.lower() not in wanted:
                continue
            first, limit = wanted[name.lower()], self.shim.range_limit
            part = found[first : first + limit]
            if first == 0 and len(found) <= limit:
                shown[name] = found
            else:
                last = "*" if first + limit >= len(found) else str(first + len(part) - 1)
                shown[f"{name};range={first}-{last}"] = part
        return shown


def paged_control(request: sansldap.SearchRequest) -> sansldap.PagedResultControl | None:
    """With which it asks for one page."""
    return next((c for c in request.controls if isinstance(c, sansldap.PagedResultControl)), None)


def _asked(attribute: str) -> tuple[str, int]:
    match = re.fullmatch(r"([^;]+);range=(\d+)-\*", attribute)
    return (match[1].lower(), int(match[2])) if match else (attribute.lower(), 0)


def _in_scope(dn: str, request: sansldap.SearchRequest) -> bool:
    name, base = dn.lower(), request.base_object.lower()
    if request.scope == sansldap.SearchScope.BASE:
        return name == base
    if request.scope == sansldap.SearchScope.ONE_LEVEL:
        return name.partition(",")[2] == base
    return name == base or name.endswith("," + base) or not base


def _matches(filter_: sansldap.LDAPFilter, dn: str, values: Attributes) -> bool:
    if isinstance(filter_, sansldap.FilterOr):
        return any(_matches(part, dn, values) for part in filter_.filters)
    folded = {name.lower(): [v.lower() for v in found] for name, found in values.items()}
    folded["distinguishedname"] = [dn.lower().encode()]
    if isinstance(filter_, sansldap.FilterEquality):
        return filter_.value.lower() in folded.get(filter_.attribute.lower(), [])
    if isinstance(filter_, sansldap.FilterSubstrings):
        begin = (filter_.initial or b"").lower()
        return any(v.startswith(begin) for v in folded.get(filter_.attribute.lower(), []))
    return isinstance(filter_, sansldap.FilterPresent)


# -- troubles ------------------------------------------------------------------------------------------------------


def garbage(session: Session, _: sansldap.SearchRequest) -> bool:
    session.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return True


def broken_inside(session: Session, request: sansldap.SearchRequest) -> bool:
    """A whole message in which a length points beyond the end."""
    inside = b"\x02\x01" + bytes([request.message_id]) + b"\x64\x05\x04\x7fabc"
    session.send(b"\x30" + bytes([len(inside)]) + inside)
    return True


def huge(session: Session, _: sansldap.SearchRequest) -> bool:
    session.send(bytes.fromhex("3084ffffffff"))
    return True


def hang(session: Session, _: sansldap.SearchRequest) -> bool:
    """Silent until the client goes."""
    while session.socket.recv(65536):
        pass
    raise OSError("gone")


def cut(session: Session, request: sansldap.SearchRequest) -> bool:
    """Half a message, then the end of the connection."""
    session.entry(request, "CN=x,DC=test,DC=com", {"cn": [b"x" * 500]})
    data = session.ldap.data_to_send()
    session.sealed, context = False, session.context
    assert context
    sealed = context.wrap(data).data
    session.send(struct.pack(">I", len(sealed)) + sealed[: len(sealed) // 2])
    session.socket.shutdown(socket.SHUT_RDWR)
    return True


def endless_referrals(session: Session, request: sansldap.SearchRequest) -> bool:
    for _ in range(100_000):
        session.ldap.search_result_reference(request.message_id, ["ldap://127.0.0.1:9/DC=evil,DC=test"])
        session.flush()
    return True


def referral_only(session: Session, request: sansldap.SearchRequest) -> bool:
    session.ldap.search_result_reference(request.message_id, ["ldap://127.0.0.1:9/DC=evil,DC=test"])
    session.done(request)
    return True


def endless_pages(session: Session, request: sansldap.SearchRequest) -> bool:
    session.done(request, controls=[sansldap.PagedResultControl(critical=False, size=0, cookie=b"again")])
    return True


def endless_range(session: Session, request: sansldap.SearchRequest) -> bool:
    """Every range is the first one."""
    session.entry(request, "CN=svc,CN=Users,DC=test,DC=com", {"servicePrincipalName;range=0-0": [b"HTTP/www.test.com"]})
    session.done(request)
    return True


def slow_range(session: Session, request: sansldap.SearchRequest) -> bool:
    """One value at a time, for ever."""
    first = _asked(request.attributes[0])[1]
    values = {f"servicePrincipalName;range={first}-{first}": [b"HTTP/www.test.com"], "objectClass": [b"user"]}
    session.entry(request, "CN=svc,CN=Users,DC=test,DC=com", values)
    session.done(request)
    return True


def endless_entries(session: Session, request: sansldap.SearchRequest) -> bool:
    for number in range(100_000):
        session.entry(request, f"CN={number},DC=test,DC=com", {"objectClass": [b"user"]})
        session.flush()
    return True


def wrong_id(session: Session, _: sansldap.SearchRequest) -> bool:
    session.send(bytes.fromhex("300c02017765070a010004000400"))  # SearchResultDone for the request 119
    return True


def empty_number(session: Session, request: sansldap.SearchRequest) -> bool:
    """A SearchResultDone whose result code has no bytes."""
    session.send(bytes.fromhex("300b0201") + bytes([request.message_id]) + bytes.fromhex("65060a0004000400"))
    return True


def nested(session: Session, request: sansldap.SearchRequest) -> bool:
    """A request where an answer belongs, with 5,000 filters inside one another."""

    def tlv(tag: int, data: bytes) -> bytes:
        return bytes([tag, 0x84]) + len(data).to_bytes(4, "big") + data

    filter_ = tlv(0x87, b"x")
    for _ in range(5000):
        filter_ = tlv(0xA2, filter_)
    search = tlv(0x63, bytes.fromhex("04000a01020a01000201000201000101 00") + filter_ + bytes.fromhex("3000"))
    session.send(tlv(0x30, b"\2\1" + bytes([request.message_id]) + search))
    return True


def refusing(code: Code) -> Trouble:
    def refuse(session: Session, request: sansldap.SearchRequest) -> bool:
        session.entry(request, "CN=part,CN=Users,DC=test,DC=com", {"objectClass": [b"user"]})
        session.done(request, code)
        return True

    return refuse


def mutating(seed: int) -> Trouble:
    """A sound answer with a few bytes changed, the same ones for the same seed."""

    def mutate(session: Session, request: sansldap.SearchRequest) -> bool:
        chance = random.Random(seed)
        values = {"objectClass": [b"user"], "servicePrincipalName": [b"HTTP/www.test.com"], "objectSid": [b"\1"]}
        session.entry(request, "CN=svc,CN=Users,DC=test,DC=com", values)
        session.ldap.search_result_done(request.message_id)
        data = bytearray(session.ldap.data_to_send())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        session.send(bytes(data))
        return True

    return mutate
