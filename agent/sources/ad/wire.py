"""Whole LDAP messages over a socket (RFC 4511 5.1), within TLS or a seal: every read is bounded in size and time."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from agent.names import printable
from agent.sources.ad.results import LdapError
from agent.sources.tls import client_context

MAX_MESSAGE = 64 * 1024 * 1024
SILENCE_SECONDS = 30.0
"""Longest wait for the next bytes; the deadline may be nearer."""

Protection = Literal["seal", "tls", "starttls"]


class Server(Struct, frozen=True, kw_only=True):
    """Where to connect and how to be safe there.

    `host` is what the certificate and the Kerberos name must say; `address`, where given, is what is connected to.
    "seal": Kerberos or NTLM with signing and encryption on a plain port. "tls": from the first byte. "starttls".
    """

    host: str
    port: int
    protection: Protection
    address: str | None = None
    ca_files: Sequence[Path] = ()

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
            context = client_context(self._server.ca_files)
        except OSError as error:
            raise LdapError(f"cannot read the certificates in {error.filename}: {error.strerror}") from None
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


def connect(server: Server, deadline: Deadline) -> Wire:
    """A wire to a server, in clear so far. Raises LdapError."""
    target = (server.address or server.host, server.port)
    try:
        connected = socket.create_connection(target, timeout=min(SILENCE_SECONDS, deadline.left()))
        # every request waits for its answer: nothing is gained by holding back small packets
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except UnicodeError:
        raise LdapError(f"{server} is not a host name") from None
    except OSError as error:
        raise LdapError(f"{server} {_network_words(error)}") from None
    return Wire(connected, server, deadline)


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


# -- words ---------------------------------------------------------------------------------------------------------


def _network_words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "is an unknown host: the name service has no address for it"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection: nothing listens on that port"
    return f"cannot be reached: {error.strerror or printable(str(error))[:200]}"


_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def _tls_words(error: OSError, server: Server) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_MISMATCH:
            return f"the certificate of {server} is for another host name; use the name that stands in it"
        return f"the certificate of {server} is not trusted ({error.verify_message}); name its CA with a CA file"
    if isinstance(error, ssl.SSLError):
        return f"{server} cannot agree on TLS: {error.reason or 'it does not speak TLS'}"
    return f"{server} {_network_words(error)} (while TLS was set up)"
