"""One connection to a WinRM service: TCP, TLS, HTTP/1.1 (RFC 9112); one request at a time, answers bounded.

A header and a body of announced length is what WinRM answers as a rule, and read here; whatever else comes is h11's.
Deadlines are the caller's. No proxy is ever asked, whatever the environment says.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import h11

from agent.names import address_of
from agent.sources.endpoint import Endpoint
from agent.sources.winrm.errors import Stage, UnreachableError, nonsense_error, short
from agent.sources.winrm.tls import tls_error

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer's body."""
MAX_HEADER = 64 * 1024
MAX_ADDRESSES = 8
NEXT_ADDRESS_SECONDS = 0.25
"""RFC 8305 5: so long one address is waited for before the next is tried beside it."""
_READ_AHEAD = 1024 * 1024
"""Bytes taken from the network before they are asked for."""

_SOAP = b"http://www.w3.org/2003/05/soap-envelope"
_FAULT = re.compile(rb"<(?:\w+:)?Fault[\s>]")
_TLS_RECORD = b"\x15\x03"  # an alert: TLS is spoken where HTTP was expected


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")

    @property
    def is_soap(self) -> bool:
        """Whether it looks like SOAP 1.2, in clear; a page of some other service does not."""
        return _SOAP in self.body

    @property
    def is_fault(self) -> bool:
        return self.is_soap and _FAULT.search(self.body) is not None

    def offers(self) -> dict[str, str]:
        """What `WWW-Authenticate` says: scheme in lower case -> its token or parameters."""
        found: dict[str, str] = {}
        for key, value in self.headers:
            if key == b"www-authenticate":
                for scheme, rest in _challenges(value.decode("latin-1")):
                    found.setdefault(scheme, rest)
        return found


def _challenges(text: str) -> Iterator[tuple[str, str]]:
    """The challenges of one header line (RFC 9110 11.6.1); a part with `=` before any blank is a parameter."""
    for part in text.split(","):
        scheme, _, rest = part.strip().partition(" ")
        if scheme and "=" not in scheme:
            yield scheme.lower(), rest.strip()


# -- bytes ---------------------------------------------------------------------------------------------------------


class _Wire(asyncio.Protocol):
    """What has arrived, and whether the other side has hung up."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._ended = False
        self._failure: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's signature is wider than its promise
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if len(self._arrived) > _READ_AHEAD:
            self.transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._failure = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    @property
    def has_ended(self) -> bool:
        return self._ended and not self._arrived

    @property
    def has_more(self) -> bool:
        return bool(self._arrived)

    async def read(self) -> bytes:
        """What has arrived, at least one byte; nothing when the other side hung up. Raises OSError."""
        if not self._arrived and not self._ended:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if not self._arrived and self._failure:
            raise self._failure
        data = bytes(self._arrived)
        self._arrived.clear()
        if not self._ended:
            self.transport.resume_reading()
        return data


# -- from the name to a connection ---------------------------------------------------------------------------------

Address = tuple[int, str]
"""Family and numeric address."""


async def addresses_of(endpoint: Endpoint) -> Sequence[Address]:
    """The addresses of the endpoint's host, in the system's order of preference (RFC 6724). Raises UnreachableError."""
    address = address_of(endpoint.host)
    if address:
        return [(socket.AF_INET if address.version == 4 else socket.AF_INET6, endpoint.host.strip("[]"))]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _resolve_error(error) from None
    except ValueError:  # UnicodeError: a label too long; ValueError: a null character
        raise UnreachableError("resolve", "that is not a host name", "correct the name") from None
    return list(dict.fromkeys((family, str(target[0])) for family, _, _, _, target in found))[:MAX_ADDRESSES]


def _resolve_error(error: OSError) -> UnreachableError:
    if _is_out_of_files(error) or not _may_open_files():
        return _out_of_files_error("resolve")
    if not isinstance(error, socket.gaierror):
        return UnreachableError(
            "resolve", f"the name service failed: {_words_of(error)}", "check DNS from this machine"
        )
    if error.errno == socket.EAI_AGAIN:
        return UnreachableError(
            "resolve", "the name service did not answer", "check DNS from this machine", is_passing=True
        )
    return UnreachableError(
        "resolve", "the name service has no address for it", "correct the name, or write the fully qualified one"
    )


async def _connected(addresses: Sequence[Address], port: int) -> _Wire:
    """A connection to the first address that takes one (RFC 8305). Raises OSError, that of the first address."""
    if len(addresses) == 1:
        return await _connected_to(addresses[0], port)
    waiting, failures = list(addresses), list[BaseException]()
    attempts: set[asyncio.Task[_Wire]] = set()
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(asyncio.create_task(_connected_to(waiting.pop(0), port)))
            patience = NEXT_ADDRESS_SECONDS if waiting else None
            done, attempts = await asyncio.wait(attempts, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                failure = attempt.exception()
                if failure is None:
                    done.discard(attempt)
                    attempts |= done
                    return attempt.result()
                failures.append(failure)
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_drop)
            attempt.cancel()
    ours = [failure for failure in failures if _is_out_of_files(failure)]
    raise [*ours, *failures, OSError("there is no address")][0]


async def _connected_to(address: Address, port: int) -> _Wire:
    loop = asyncio.get_running_loop()
    family, host = address
    # asyncio sets TCP_NODELAY: every request waits for its answer, nothing is gained by holding back small packets
    _, wire = await loop.create_connection(_Wire, host, port, family=family)
    return wire


def _drop(attempt: asyncio.Task[_Wire]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().transport.abort()


# -- HTTP ----------------------------------------------------------------------------------------------------------


class Connection:
    """An open connection; `certificate` is the server's (DER) where it is TLS, empty where not.

    `is_clean` says that no exchange is half done and that another one may follow.
    """

    def __init__(self, endpoint: Endpoint, wire: _Wire) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host and not endpoint.host.startswith("[") else endpoint.host
        self._authority = f"{host}:{endpoint.port}".encode("ascii", "replace").decode()
        self._endpoint = endpoint
        self._wire = wire
        self.is_clean = True
        self.certificate = b""
        self.status: int | None = None
        """The status of the latest answer, from the moment its header is there."""
        self.exchanges = 0

    @classmethod
    async def connect(cls, endpoint: Endpoint, addresses: Sequence[Address]) -> Connection:
        """TCP only. Raises UnreachableError."""
        try:
            return cls(endpoint, await _connected(addresses, endpoint.port))
        except OSError as error:
            raise _connect_error(error, endpoint.port) from None

    async def use_tls(self, context: ssl.SSLContext) -> None:
        """Turn to TLS; chain and name are checked. Raises UnreachableError."""
        loop = asyncio.get_running_loop()
        host = self._endpoint.host.strip("[]")
        try:
            transport = await loop.start_tls(self._wire.transport, self._wire, context, server_hostname=host)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be in a certificate
            raise tls_error(error) from None
        assert transport is not None  # noqa: S101 - None only where the connection was closed by us
        self._wire.transport = transport
        self.certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""

    def close(self) -> None:
        self.is_clean = False
        self._wire.transport.abort()

    async def post(self, stage: Stage, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        """Send one request to /wsman and read its answer. Raises UnreachableError."""
        if not self.is_clean or self._wire.has_more:
            raise nonsense_error(stage, "it came before the question")
        self.is_clean = False
        self.status = None
        self._wire.transport.write(self._request(headers, body))
        try:
            reply = await self._reply(stage)
        except OSError as error:
            raise self._lost_error(stage, error) from None
        self.exchanges += 1
        return reply

    def _lost_error(self, stage: Stage, error: OSError | None) -> UnreachableError:
        """Asked once more only where nothing was answered: no password was judged then, no shell opened."""
        lost = _lost_error(stage, error)
        lost.is_passing = stage == "logon" and self.exchanges == 0
        return lost

    def _request(self, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
        lines = [("Host", self._authority), ("User-Agent", "iis-spn"), ("Content-Length", str(len(body))), *headers]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"POST /wsman HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    async def _reply(self, stage: Stage) -> Reply:
        arrived = bytearray(await self._wire.read())
        plain = _plain_head(arrived)
        if plain is not None:
            self.status = plain.status
            while len(arrived) < plain.end and (more := await self._wire.read()):
                arrived += more
            if len(arrived) == plain.end:
                self.is_clean = True
                return Reply(plain.status, plain.headers, bytes(memoryview(arrived)[plain.begin :]))
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER)
        try:
            return await self._reply_by_h11(stage, http, bytes(arrived))
        except h11.RemoteProtocolError as error:
            raise self._not_http(stage, http, error) from None

    async def _reply_by_h11(self, stage: Stage, http: h11.Connection, arrived: bytes) -> Reply:
        """The answer, of which this much has arrived: nothing where the server has hung up."""
        http.send(h11.Request(method="POST", target="/wsman", headers=[("Host", self._authority)]))
        http.send(h11.EndOfMessage())
        http.receive_data(arrived)
        response: h11.Response | None = None
        chunks, size = list[bytes](), 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                self._refuse_other_protocols(stage, http, response)
                http.receive_data(await self._wire.read())
            elif isinstance(event, h11.Response):
                response, self.status = event, event.status_code
                _refuse_size(stage, response)
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > MAX_ANSWER:
                    raise _size_error(stage)
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and response:
                self.is_clean = http.their_state is h11.DONE and not http.trailing_data[0]
                return Reply(response.status_code, list(response.headers), b"".join(chunks))
            elif isinstance(event, h11.ConnectionClosed):
                raise self._lost_error(stage, None)

    def _refuse_other_protocols(self, stage: Stage, http: h11.Connection, response: h11.Response | None) -> None:
        """Who speaks first or another language may never send the blank line that h11 waits for."""
        begin = http.trailing_data[0][:7]
        if response is None and begin and not b"HTTP/1.".startswith(begin):
            raise self._not_http(stage, http, None)

    def _not_http(self, stage: Stage, http: h11.Connection, error: Exception | None) -> UnreachableError:
        begin = http.trailing_data[0][:40]
        if self._wire.has_ended:
            return _lost_error(stage, None, began=self.status is not None or bool(begin))
        if error and (self.status is not None or not begin or begin.startswith(b"HTTP/1.")):
            return nonsense_error(stage, f"broken HTTP ({short(str(error))})")
        if begin.startswith(_TLS_RECORD):
            return UnreachableError(stage, "it speaks TLS on this port", "ask over https (port 5986)")
        words = short(begin.partition(b"\r")[0].decode("latin-1"))
        advice = "name the port of the WinRM service (5985, or 5986 with TLS)"
        return UnreachableError(stage, f"not HTTP: it answers {words!r}", advice)


class _PlainHead(NamedTuple):
    """The header of an answer whose body stands from `begin` to `end`, after which the connection stays open."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    begin: int
    end: int


_HEAD = re.compile(
    rb"HTTP/1\.1 (?!204|304)([2-5]\d\d)(?: [ -~]{0,200}+)?\r\n((?:[\w-]{1,100}+:[ -~]{0,16384}+\r\n){0,50}+)\r\n",
    re.ASCII,
)
_DIGITS = re.compile(rb"\d{1,8}")


def _plain_head(arrived: bytes | bytearray) -> _PlainHead | None:
    """The header that the bytes begin with; None where it is not whole, or leaves anything to be thought about."""
    found = _HEAD.match(arrived)
    if found is None or found.end() > MAX_HEADER:
        return None
    lines = [line.partition(b":") for line in found[2].split(b"\r\n")[:-1]]
    headers = [(name.lower(), value.strip()) for name, _, value in lines]
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) != 1 or not _DIGITS.fullmatch(lengths[0]) or int(lengths[0]) > MAX_ANSWER:
        return None
    if any(name in (b"transfer-encoding", b"connection") for name, _ in headers):
        return None
    return _PlainHead(int(found[1]), headers, found.end(), found.end() + int(lengths[0]))


def _refuse_size(stage: Stage, response: h11.Response) -> None:
    """Refuse what announces itself as too large before it comes."""
    for name, value in response.headers:
        if name == b"content-length" and int(value) > MAX_ANSWER:
            raise _size_error(stage)


# -- words ---------------------------------------------------------------------------------------------------------

_PORT_ADVICE = "is WinRM set up there (`winrm quickconfig`), and does the firewall let port {port} through?"


def _is_out_of_files(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def _may_open_files() -> bool:
    """The C library says that a name has no address where it could open no socket to ask for it."""
    try:
        socket.socket().close()
    except OSError as error:
        return not _is_out_of_files(error)
    return True


def _out_of_files_error(stage: Stage) -> UnreachableError:
    reason = "this machine allows this program no more open files"
    return UnreachableError(stage, reason, "ask fewer at once (--parallel), or raise `ulimit -n`", is_passing=True)


def _connect_error(error: OSError, port: int) -> UnreachableError:
    if _is_out_of_files(error):
        return _out_of_files_error("connect")
    advice = _PORT_ADVICE.format(port=port)
    kind = _CONNECT_EX.get(_windows_code(error), type(error))
    if issubclass(kind, ConnectionRefusedError):
        return UnreachableError("connect", f"nothing listens on port {port}", advice)
    if issubclass(kind, TimeoutError):
        return UnreachableError("connect", "no answer to the connection request", advice)
    if issubclass(kind, ConnectionResetError):
        return UnreachableError("connect", "the connection was closed at once", advice, is_passing=True)
    return UnreachableError("connect", f"cannot be reached: {_words_of(error)}", advice)


_CONNECT_EX = {64: ConnectionResetError, 121: TimeoutError}
"""ERROR_NETNAME_DELETED and ERROR_SEM_TIMEOUT of winerror.h: to Python they are no kind of OSError."""


def _windows_code(error: OSError) -> int:
    """The code of Windows; 0 elsewhere."""
    return getattr(error, "winerror", None) or 0


def _words_of(error: OSError) -> str:
    """The system's words; elsewhere than on Windows, asyncio has put the address in their place."""
    if _windows_code(error) or not error.errno:
        return short(error.strerror or str(error))
    return os.strerror(error.errno)


def _size_error(stage: Stage) -> UnreachableError:
    return nonsense_error(stage, f"it is larger than {MAX_ANSWER} bytes")


def _lost_error(stage: Stage, error: OSError | None, *, began: bool = False) -> UnreachableError:
    if isinstance(error, ssl.SSLError):
        # with TLS 1.3 the server judges the client's certificate only after the handshake
        reason = f"the server broke off TLS: {short(error.reason or str(error))}"
        return UnreachableError(stage, reason, "a client certificate may be needed, or the one given is not accepted")
    when = "in the middle of its answer" if began else "without an answer"
    advice = "try again; if it stays so, look into the event log Microsoft-Windows-WinRM/Operational there"
    return UnreachableError(stage, f"the server closed the connection {when}", advice)
