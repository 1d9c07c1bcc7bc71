"""One LDAP connection (RFC 4511): socket, TLS, security layer, paged search (RFC 2696) and range retrieval (MS-ADTS).

Every read is bounded in size and in time, and no host that a server names is ever contacted. Only reading is here;
`LdapConnection.exchange` sends any request whose answer is a single message.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from agent.errors import SourceError
from agent.names import printable
from agent.sources.tls import client_context

if TYPE_CHECKING:
    import sansldap

MAX_MESSAGE = 64 * 1024 * 1024
MAX_PAGE = 256 * 1024 * 1024
"""Bytes of one page of results; more is not kept in memory at once."""
PAGE_SIZE = 500
MAX_PAGES = 2000
MAX_RANGES = 1000
SILENCE_SECONDS = 30.0
"""Longest wait for the next bytes; the deadline may be nearer."""

BASE, ONE_LEVEL, SUBTREE = 0, 1, 2
START_TLS = "1.3.6.1.4.1.1466.20037"
DOMAIN_SCOPE = "1.2.840.113556.1.4.1339"
"""LDAP_SERVER_DOMAIN_SCOPE: the server is asked not to refer us to other partitions (MS-ADTS 3.1.1.3.4.1.4)."""

SUCCESS, REFERRAL, SASL_IN_PROGRESS = 0, 10, 14

Protection = Literal["seal", "tls", "starttls"]
Entry = tuple[str, Mapping[str, Sequence[bytes]]]


class LdapError(SourceError):
    """The directory could not be asked, refused, or answered with nonsense; `code` is its LDAP result code."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to connect and how to be safe there.

    `host` is what the certificate and the Kerberos name must say; `address`, where given, is what is connected to.
    "seal": Kerberos or NTLM with signing and encryption on a plain port. "tls": from the first byte. "starttls".
    """

    host: str
    port: int
    protection: Protection
    address: str | None = None
    ca_file: Path | None = None

    def __str__(self) -> str:
        return f"{printable(self.host)}:{self.port}"


class Deadline:
    """When everything has to be over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; LdapError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise LdapError(f"no complete answer within {self.seconds:g} seconds; allow more time")
        return left


class Seal(Protocol):
    """The encryption that a SASL bind agreed on; both raise LdapError."""

    def close_up(self, data: bytes) -> bytes: ...

    def open_up(self, data: bytes) -> bytes: ...


class Wire:
    """Whole LDAP messages to and from a socket, through the seal once there is one."""

    def __init__(self, sock: socket.socket, server: Server, deadline: Deadline) -> None:
        self._socket = sock
        self._server = server
        self._deadline = deadline
        self._seal: Seal | None = None
        self._sealed = bytearray()
        self._plain = bytearray()

    def close(self) -> None:
        self._socket.close()

    def use_seal(self, seal: Seal) -> None:
        """From now on everything is sealed, both ways."""
        self._refuse_early_bytes()
        self._seal = seal

    def use_tls(self) -> bytes:
        """Turn to TLS with certificate and host name checked; gives the server's certificate (DER)."""
        self._refuse_early_bytes()
        try:
            context = client_context(self._server.ca_file)
        except OSError as error:
            raise LdapError(f"cannot read the certificates in {self._server.ca_file}: {error.strerror}") from None
        try:
            self._socket.settimeout(self._patience())
            secured = context.wrap_socket(self._socket, server_hostname=self._server.host)
        except OSError as error:
            raise LdapError(_tls_words(error, self._server)) from None
        self._socket = secured
        return secured.getpeercert(binary_form=True) or b""

    def send(self, message: bytes) -> None:
        data = message
        if self._seal:
            token = self._seal.close_up(message)
            data = len(token).to_bytes(4, "big") + token
        try:
            self._socket.settimeout(self._patience())
            self._socket.sendall(data)
        except OSError as error:
            raise LdapError(f"{self._server} {_network_words(error)}") from None

    def message(self) -> bytes:
        """The next LDAP message, undecoded."""
        while (size := message_size(self._plain)) is None or len(self._plain) < size:
            self._read_on()
        message = bytes(self._plain[:size])
        del self._plain[:size]
        return message

    def _read_on(self) -> None:
        if self._seal is None:
            self._plain += self._receive()
            return
        while len(self._sealed) < 4 or len(self._sealed) < 4 + (size := int.from_bytes(self._sealed[:4], "big")):
            if len(self._sealed) >= 4 and size > MAX_MESSAGE:
                raise LdapError(f"{self._server} announces a message of {size} bytes")
            self._sealed += self._receive()
        self._plain += self._seal.open_up(bytes(self._sealed[4 : 4 + size]))
        del self._sealed[: 4 + size]

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(self._patience())
            data = self._socket.recv(262144)
        except OSError as error:
            raise LdapError(f"{self._server} {_network_words(error)}") from None
        if not data:
            raise LdapError(f"{self._server} closed the connection before its answer was complete")
        return data

    def _patience(self) -> float:
        return min(SILENCE_SECONDS, self._deadline.left())

    def _refuse_early_bytes(self) -> None:
        if self._plain or self._sealed:
            raise LdapError(f"{self._server} sent data in clear where the protected session begins")


def message_size(data: bytes | bytearray) -> int | None:
    """Length of the LDAP message that `data` begins with (RFC 4511 5.1), None while the header is incomplete."""
    if data and data[0] != 0x30:
        raise LdapError("the answer is not LDAP")
    if len(data) < 2:
        return None
    first = data[1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    if not 1 <= octets <= 4:
        raise LdapError("the answer is not LDAP: its length is impossible")
    if len(data) < 2 + octets:
        return None
    size = 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")
    if size > MAX_MESSAGE:
        raise LdapError(f"the server announces a message of {size} bytes")
    return size


class LdapConnection:
    """An open connection; `round_trips` counts requests that were answered, binds and StartTLS included."""

    def __init__(self, server: Server, deadline: Deadline) -> None:
        """Connect, and turn to TLS where that is asked for. Raises LdapError."""
        import sansldap

        self.server = server
        self.deadline = deadline
        self.round_trips = 0
        self.certificate: bytes | None = None
        self._client = sansldap.LDAPClient()
        self._wire = Wire(_connected(server, deadline), server, deadline)
        try:
            self._protect()
        except BaseException:
            self._wire.close()
            raise

    def __enter__(self) -> LdapConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the server understands that as unbind."""
        self._wire.close()

    @property
    def is_tls(self) -> bool:
        return self.certificate is not None

    def use_seal(self, seal: Seal) -> None:
        self._wire.use_seal(seal)

    def _protect(self) -> None:
        if self.server.protection == "starttls":
            answer = self.exchange(lambda client: client.extended_request(START_TLS))
            result = result_of(answer)
            if code_of(result) != SUCCESS:
                raise LdapError(f"{self.server} refuses StartTLS: {result_words(result)}", code_of(result))
        if self.server.protection != "seal":
            self.certificate = self._wire.use_tls()

    # .. requests ..

    def exchange(self, request: Callable[[sansldap.LDAPClient], int]) -> sansldap.LDAPMessage:
        """Send what `request` puts together and give the one message that answers it."""
        self._send(request)
        answer = self._next()
        self.round_trips += 1
        return answer

    def search(
        self, base: str, scope: int, filter_: sansldap.LDAPFilter | None, attributes: Sequence[str]
    ) -> Iterator[Entry]:
        """All entries, page by page, each attribute with all its values; LdapError after the last one that came."""
        cookie = b""
        for _ in range(MAX_PAGES):
            page = self._page(base, scope, filter_, attributes, cookie)
            for dn, values in page.entries:
                yield dn, self._with_whole_ranges(dn, values)
            if page.failure:
                raise page.failure
            cookie = page.cookie
            if not cookie:
                return
        raise LdapError(f"{self.server} goes on after {MAX_PAGES} pages of results")

    def _page(
        self, base: str, scope: int, filter_: sansldap.LDAPFilter | None, attributes: Sequence[str], cookie: bytes
    ) -> _Page:
        import sansldap

        paged = sansldap.PagedResultControl(critical=True, size=PAGE_SIZE, cookie=cookie)
        controls = [paged, sansldap.LDAPControl(DOMAIN_SCOPE, False, None)] if scope != BASE else []
        self._send(
            lambda client: client.search_request(
                base,
                scope,
                time_limit=int(self.deadline.left()) + 1,
                filter=filter_,
                attributes=list(attributes),
                controls=controls,
            )
        )
        page = _Page(self.server)
        while not page.add(self._next()):
            self.deadline.left()
        self.round_trips += 1
        return page

    def _send(self, request: Callable[[sansldap.LDAPClient], int]) -> None:
        request(self._client)
        self._wire.send(self._client.data_to_send())

    def _next(self) -> sansldap.LDAPMessage:
        data = self._wire.message()
        try:
            messages = self._client.receive(data)
        except Exception as error:  # noqa: BLE001 - sansldap lets IndexError, RecursionError and others through
            words = f"{self.server} sent what is no answer to the question: {_short(error)}"
            raise LdapError(words) from None
        if len(messages) != 1:  # a whole message whose inside ends too early
            raise LdapError(f"{self.server} sent a broken message")
        return messages[0]

    # .. ranges (MS-ADTS 3.1.1.3.1.3.3) ..

    def _with_whole_ranges(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> Mapping[str, Sequence[bytes]]:
        if not any(";" in name for name in attributes):
            return attributes
        whole: dict[str, Sequence[bytes]] = {}
        for name, values in attributes.items():
            match = _RANGE.match(name)
            if match:
                whole[match["name"]] = self._whole_range(dn, match, values)
            else:
                whole.setdefault(name, values)
        return whole

    def _whole_range(self, dn: str, match: re.Match[str], values: Sequence[bytes]) -> Sequence[bytes]:
        collected = list(values)
        name, first, last = match["name"], int(match["first"]), match["last"]
        if first != 0:
            raise LdapError(f"{self.server} gives {name} of {printable(dn)} without its beginning")
        for _ in range(MAX_RANGES):
            if last == "*":
                return collected
            first = int(last) + 1
            match, values = self._range_from(dn, name, first)
            last = match["last"]
            if int(match["first"]) != first or (last != "*" and int(last) < first):
                break
            collected += values
        raise LdapError(f"{self.server} does not come to an end with {name} of {printable(dn)}")

    def _range_from(self, dn: str, name: str, first: int) -> tuple[re.Match[str], Sequence[bytes]]:
        page = self._page(dn, BASE, None, [f"{name};range={first}-*"], b"")
        if page.failure:
            raise page.failure
        for _, attributes in page.entries:
            for option, values in attributes.items():
                match = _RANGE.match(option)
                if match and match["name"].lower() == name.lower():
                    return match, values
        raise LdapError(f"{self.server} does not give the rest of {name} of {printable(dn)}")


_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d{1,9})-(?P<last>\d{1,9}|\*)\Z", re.IGNORECASE)


class _Page:
    """What one search request brought, until its SearchResultDone."""

    def __init__(self, server: Server) -> None:
        self.entries: list[tuple[str, dict[str, Sequence[bytes]]]] = []
        self.cookie = b""
        self.failure: LdapError | None = None
        self._server = server
        self._referrals = 0
        self._bytes = 0

    def add(self, message: sansldap.LDAPMessage) -> bool:
        """Take one message; True when it was the last one."""
        import sansldap

        if isinstance(message, sansldap.SearchResultEntry):
            self._add_entry(message)
        elif isinstance(message, sansldap.SearchResultReference):
            self._referrals += 1
        elif isinstance(message, sansldap.SearchResultDone):
            self._finish(message)
            return True
        else:
            raise LdapError(f"{self._server} answered a search with something else")
        if len(self.entries) > PAGE_SIZE or self._referrals > PAGE_SIZE:
            raise LdapError(f"{self._server} sends more than the {PAGE_SIZE} results per page that were asked for")
        return False

    def _add_entry(self, message: sansldap.SearchResultEntry) -> None:
        attributes: dict[str, Sequence[bytes]] = {}
        for attribute in message.attributes:
            attributes.setdefault(attribute.name, attribute.values)
            self._bytes += len(attribute.name) + sum(map(len, attribute.values))
        if self._bytes > MAX_PAGE:
            raise LdapError(f"{self._server} sends more than {MAX_PAGE} bytes in one page")
        self.entries.append((message.object_name, attributes))

    def _finish(self, message: sansldap.SearchResultDone) -> None:
        import sansldap

        for control in message.controls:
            if isinstance(control, sansldap.PagedResultControl):
                self.cookie = control.cookie
        code = code_of(message.result)
        if code != SUCCESS:
            words = result_words(message.result)
            self.failure = LdapError(f"{self._server} did not answer a search: {words}", code)
        elif self._referrals:
            words = "refers to other servers for a part of the answer; name a domain controller of that domain"
            self.failure = LdapError(f"{self._server} {words}", REFERRAL)


# -- words ---------------------------------------------------------------------------------------------------------


def result_of(message: sansldap.LDAPMessage) -> sansldap.LDAPResult:
    """The result in an answer that carries one."""
    result: sansldap.LDAPResult | None = getattr(message, "result", None)
    if result is None:
        raise LdapError("the server answered with another kind of message")
    return result


def code_of(result: sansldap.LDAPResult) -> int:
    """The LDAP result code. In sansldap 0.1.0 a code that it has no name for *equals* 0, success; `value` is right."""
    return int(result.result_code.value)


_RESULTS = {
    1: "it cannot be asked without a logon, or the operation failed",
    3: "its time limit is exceeded; ask for less or another domain controller",
    4: "its size limit is exceeded, so the answer is cut off",
    7: "it does not know this way to log on",
    8: "it demands a stronger logon (strongerAuthRequired): use ldaps:// or StartTLS, or Kerberos",
    10: "it refers to another server; name a domain controller of that domain",
    11: "its administrative limit is exceeded, so the answer is cut off",
    12: "it does not support paged results",
    13: "it demands encryption (confidentialityRequired): use ldaps:// or StartTLS",
    32: "the object does not exist or may not be read",
    48: "it does not allow this way to log on",
    49: "it refuses the logon",
    50: "the account that asks may not read this",
    51: "it is busy; try again later",
    52: "it is not available; try another domain controller",
    53: "it is unwilling to perform the request",
}


def result_words(result: sansldap.LDAPResult) -> str:
    """What an LDAP result means, with the server's own words after it."""
    code = code_of(result)
    meaning = _RESULTS.get(code, f"LDAP result {code}")
    own = printable(result.diagnostics_message.strip("\0 \n"))[:200]
    return f"{meaning} ({own})" if own else meaning


def _connected(server: Server, deadline: Deadline) -> socket.socket:
    target = (server.address or server.host, server.port)
    try:
        connected = socket.create_connection(target, timeout=min(SILENCE_SECONDS, deadline.left()))
        # every request waits for its answer: nothing is gained by holding back small packets
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except UnicodeError:
        raise LdapError(f"{server} is not a host name") from None
    except OSError as error:
        raise LdapError(f"{server} {_network_words(error)}") from None
    return connected


def _network_words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "is an unknown host: the name service has no address for it"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection: nothing listens on that port"
    return f"cannot be reached: {error.strerror or _short(error)}"


_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def _tls_words(error: OSError, server: Server) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_MISMATCH:
            return f"the certificate of {server} is for another host name; use the name that stands in it"
        return f"the certificate of {server} is not trusted ({error.verify_message}); name its CA with a CA file"
    if isinstance(error, ssl.SSLError):
        return f"{server} cannot agree on TLS: {error.reason or 'it does not speak TLS'}"
    return f"{server} {_network_words(error)} (while TLS was set up)"


def _short(error: BaseException) -> str:
    return printable(str(error))[:200]
