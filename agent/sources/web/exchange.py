"""One HTTP request on one connection (RFC 9112, by http.client): TCP, TLS, a bounded answer within a deadline.

No proxy is ever asked, whatever the environment says; the body of an answer is not read.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import quote

from agent.errors import SourceError
from agent.evidence.observed import Reply
from agent.evidence.tokens import challenges
from agent.names import printable
from agent.story.url import Url

SECONDS = 30.0
"""For one request, from the first packet to the last line of the header."""
MOST_BYTES = 512 * 1024
"""Of an answer: http.sys sends a header of at most 64 KB or so, and a proxy in front of it no more."""
MOST_ADDRESSES = 8
_CONNECT_SECONDS = 10.0
_LONGEST_LOCATION = 2048


class UnansweredError(SourceError):
    """A web server gave no HTTP answer, with the reason and what to look at."""


class Connection:
    """An open connection to a URL's server, for one request; `certificate` is the server's (DER), empty without TLS."""

    def __init__(self, url: Url, addresses: Sequence[str], tls: ssl.SSLContext) -> None:
        """Connect to the first of the addresses that takes it. Raises UnansweredError."""
        self._url = url
        self._ends = time.monotonic() + SECONDS
        self._socket = _connected(addresses, url.port, self._left)
        self.certificate = b""
        if url.scheme == "https":
            self._secure(tls)

    def _secure(self, tls: ssl.SSLContext) -> None:
        host = self._url.host.spn_text.strip("[]")
        try:
            self._socket.settimeout(self._left())
            secure = tls.wrap_socket(self._socket, server_hostname=host)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be in a certificate
            self.close()
            raise UnansweredError(_tls_words(error)) from None
        self._socket, self.certificate = secure, secure.getpeercert(binary_form=True) or b""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def ask(self, method: str, authorization: str = "") -> Reply:
        """Send the request and read the header of its answer; then the connection is closed. Raises UnansweredError."""
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(self._request(method, authorization))
            return read_reply(self._socket, self._left, method)
        except TimeoutError:
            raise UnansweredError(f"no whole answer within {SECONDS:g} s") from None
        except OSError as error:
            raise UnansweredError(f"the connection broke: {_short(error)}") from None
        finally:
            self.close()

    def _request(self, method: str, authorization: str) -> bytes:
        lines = [
            f"{method} {quote(self._url.path, safe=_AS_IT_IS)} HTTP/1.1",
            f"Host: {authority(self._url)}",
            "User-Agent: iis-spn",
            "Accept: */*",
            "Connection: close",
            *([f"Authorization: {authorization}"] if authorization else []),
        ]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


_AS_IT_IS = "/:@!$&'()*+,;=~-._"
"""What may stand in a path as it is (RFC 3986 3.3)."""


def authority(url: Url) -> str:
    """Host and port as they stand in the Host header, the port where it is not the scheme's own."""
    host = url.host.spn_text
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    return shown if url.port == {"http": 80, "https": 443}[url.scheme] else f"{shown}:{url.port}"


def read_reply(connection: socket.socket, left: Callable[[], float], method: str) -> Reply:
    """The header of the answer that a socket receives; `left` are the seconds that it may still take.

    Raises UnansweredError for what is not HTTP or too long, and OSError, of which TimeoutError is one.
    """
    try:
        answer = HTTPResponse(cast(socket.socket, _Bounded(connection, left)), method=method)
        answer.begin()
        return _reply(answer)
    except (HTTPException, ValueError) as error:  # ValueError: a status that is no number
        raise UnansweredError(f"it does not answer in HTTP: {_short(error)}") from None


class _Bounded(io.RawIOBase):
    """What a socket receives, until too much of it has come or too much time has gone."""

    def __init__(self, connection: socket.socket, left: Callable[[], float]) -> None:
        self._connection = connection
        self._left = left
        self._room = MOST_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._room <= 0:
            raise HTTPException(f"a header of more than {MOST_BYTES} bytes")
        self._connection.settimeout(self._left())
        count = self._connection.recv_into(memoryview(buffer)[: self._room])
        self._room -= count
        return count


def _reply(answer: HTTPResponse) -> Reply:
    offered = answer.headers.get_all("WWW-Authenticate") or []
    location = answer.headers.get("Location") or ""
    return Reply(
        status=answer.status,
        offers=tuple(found for value in offered for found in challenges(str(value))),
        location=str(location)[:_LONGEST_LOCATION] if 300 <= answer.status < 400 else "",
    )


# -- from addresses to a connection --------------------------------------------------------------------------------


def addresses_of(url: Url) -> Sequence[str]:
    """The addresses that this system has for the host. Raises UnansweredError."""
    host = url.host.spn_text.strip("[]")
    try:
        found = socket.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a label too long
        raise UnansweredError(f"the name service has no address for {printable(host)}: {_short(error)}") from None
    return [str(target[0]) for *_, target in found]


def _connected(addresses: Sequence[str], port: int, left: Callable[[], float]) -> socket.socket:
    failure: OSError = OSError("there is no address")
    for address in list(dict.fromkeys(addresses))[:MOST_ADDRESSES]:
        try:
            return socket.create_connection((address, port), timeout=min(_CONNECT_SECONDS, left()))
        except OSError as error:
            failure = error
    raise UnansweredError(_connect_words(failure, port)) from None


# -- words ---------------------------------------------------------------------------------------------------------


def _connect_words(error: OSError, port: int) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {port}"
    if isinstance(error, TimeoutError):
        return f"no connection to port {port}: does a firewall swallow it?"
    return f"no connection to port {port}: {_short(error)}"


def _tls_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {_short(error.verify_message)}; name the CA with --ca FILE (PEM)"
    if isinstance(error, TimeoutError):
        return f"TLS was not agreed on within {SECONDS:g} s"
    return f"no agreement on TLS: {_short(getattr(error, 'reason', None) or error)}"


def _short(words: object) -> str:
    """Foreign words in one line of harmless characters."""
    text = getattr(words, "strerror", None) or str(words) or type(words).__name__
    return printable(" ".join(str(text).split()))[:200]
