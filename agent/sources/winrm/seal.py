"""Message encryption of WinRM (MS-WSMV 2.2.9.1): SOAP sealed by the keys of the logon, wrapped as MIME."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from agent.sources.security_context import context_words
from agent.sources.winrm.connection import Reply
from agent.sources.winrm.errors import Stage, UnreachableError, nonsense_error, short

if TYPE_CHECKING:
    import spnego

_BOUNDARY = b"--Encrypted Boundary"
_CHUNK = 16384  # of CredSSP, whose messages are TLS records (MS-WSMV 2.2.9.1.3)
_PART = re.compile(  # some services write a blank within the boundary
    rb"--[ ]?Encrypted Boundary\r\n(?P<header>[^\0]{1,400}?)"
    rb"--[ ]?Encrypted Boundary\r\n\t?Content-Type: application/octet-stream\r\n",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"Length=(\d{1,9})")
_NEXT = re.compile(rb"--[ ]?Encrypted Boundary(?:--)?\r\n")
_PADDING = 16
"""Kerberos may count its padding in Length."""


class Seal:
    """What closes questions and opens answers; `mechanism` is `SPNEGO`, `Kerberos` or `CredSSP`."""

    def __init__(self, context: spnego.ContextProxy, mechanism: str) -> None:
        self._context = context
        self._protocol = f"application/HTTP-{mechanism}-session-encrypted"
        self._is_chunked = mechanism == "CredSSP"

    def close_up(self, stage: Stage, message: bytes) -> tuple[str, bytes]:
        """Content-Type and body of a sealed message. Raises UnreachableError."""
        step = _CHUNK if self._is_chunked else len(message)
        chunks = [message[start : start + step] for start in range(0, len(message), step)]
        kind = "multipart/x-multi-encrypted" if len(chunks) > 1 else "multipart/encrypted"
        try:
            body = b"".join(map(self._part, chunks)) + _BOUNDARY + b"--\r\n"
        except Exception as error:  # noqa: BLE001 - as in `open_up`
            reason = f"the encrypted session is broken: {short(context_words(error))}"
            raise UnreachableError(stage, reason, _NOT_BELIEVED) from None
        return f'{kind};protocol="{self._protocol}";boundary="Encrypted Boundary"', body

    def _part(self, chunk: bytes) -> bytes:
        header, data, padding = self._context.wrap_winrm(chunk)
        return b"".join(
            (
                _BOUNDARY,
                f"\r\n\tContent-Type: {self._protocol}\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
                f"Length={len(chunk) + padding}\r\n".encode(),
                _BOUNDARY,
                b"\r\n\tContent-Type: application/octet-stream\r\n",
                struct.pack("<i", len(header)),
                header,
                data,
            )
        )

    def open_up(self, stage: Stage, reply: Reply) -> bytes:
        """The message in a sealed answer. Raises UnreachableError, also where the answer is not sealed."""
        kind = reply.header(b"content-type").partition(";")[0].strip().lower()
        if kind != "multipart/encrypted" and not (self._is_chunked and kind == "multipart/x-multi-encrypted"):
            raise UnreachableError(
                stage,
                f"answered in clear text on an encrypted session (HTTP {reply.status})",
                "nothing of it was believed: something between here and the server may have answered in its place",
            )
        try:
            return self._opened(reply.body)
        except _BrokenError as error:
            raise nonsense_error(stage, f"its encrypted envelope is broken: {error}") from None
        except Exception as error:  # noqa: BLE001 - pyspnego lets struct.error, SSLError and others through
            reason = f"the encryption of the answer is broken: {short(context_words(error))}"
        raise UnreachableError(stage, reason, _NOT_BELIEVED)

    def _opened(self, body: bytes) -> bytes:
        position, opened = 0, list[bytes]()
        while part := _PART.match(body, position):
            end = _NEXT.search(body, part.end() + 4)
            length = _LENGTH.search(part["header"])
            if not end or not length or len(opened) > len(body) // 64:
                raise _BrokenError("a part of it is cut off")
            opened.append(self._unwrapped(body[part.end() : end.start()], int(length[1])))
            position = end.start()
        if not opened or not _NEXT.fullmatch(body, position):
            raise _BrokenError("it is cut off")
        return b"".join(opened)

    def _unwrapped(self, sealed: bytes, expected: int) -> bytes:
        size = int.from_bytes(sealed[:4], "little")
        if self._is_chunked:  # the size is that of the TLS trailer, the record is one piece
            message = self._context.unwrap(sealed[4:]).data
        elif size > len(sealed) - 4:
            raise _BrokenError("its signature is cut off")
        else:
            message = self._context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
        if not 0 <= expected - len(message) <= _PADDING:
            raise _BrokenError("a part has another length than it says")
        return message


_NOT_BELIEVED = "nothing of it was believed: it was changed on the way, or is not from that server"


class _BrokenError(Exception):
    """The MIME envelope is not what MS-WSMV says."""
