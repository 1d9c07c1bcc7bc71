"""HTTP as http.sys speaks it: requests, answers, and answers that break off."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import random
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SOAP = "application/soap+xml;charset=UTF-8"
REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large"}
REASONS |= {503: "Service Unavailable"}
FOREVER = 3600.0

Headers = Sequence[tuple[str, str]]


class DisconnectError(Exception):
    """Close the connection now; `reset` by RST."""

    def __init__(self, *, reset: bool = True) -> None:
        super().__init__()
        self.reset = reset


class Request(NamedTuple):
    """One request; the names of the headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def sealed(self) -> bool:
        """Whether the body is an encrypted message."""
        return self.headers.get("content-type", "").startswith("multipart/")


class Answer(NamedTuple):
    """One answer; `close`: the connection ends with it."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    close: bool = False


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int) -> Request | None:
    """The next request, or None when the client has gone. Raises DisconnectError where this is no HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        request = _parsed(head.decode("latin-1"))
        if request.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(request.headers.get("content-length") or 0)
        if length > limit:
            raise DisconnectError
        return request._replace(body=await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except (asyncio.LimitOverrunError, ValueError):
        raise DisconnectError from None


def _parsed(head: str) -> Request:
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    fields = (line.partition(":") for line in lines if line)
    return Request(method, path, {key.strip().lower(): value.strip() for key, _, value in fields}, b"")


# -- answers -------------------------------------------------------------------------------------------------------


def head(answer: Answer, framing: str) -> bytes:
    """The status line and the headers; `framing` says how long the body is."""
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, '')}"]
    lines += [f"{key}: {value}" for key, value in answer.headers]
    lines += ["Server: Microsoft-HTTPAPI/2.0", f"Date: {_date(int(time.time()))}", framing]
    if answer.close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


_dates: dict[int, str] = {}


def _date(now: int) -> str:
    if now not in _dates:
        _dates.clear()
        _dates[now] = email.utils.formatdate(now, usegmt=True)
    return _dates[now]


async def send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """The answer as it should be."""
    writer.write(head(answer, f"Content-Length: {len(answer.body)}") + answer.body)
    await writer.drain()


async def send_chunked(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """The same answer in chunks of odd sizes."""
    writer.write(head(answer, "Transfer-Encoding: chunked"))
    for start in range(0, len(answer.body), 1237):
        chunk = answer.body[start : start + 1237]
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def send_half(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """The head and half of the body; where there is no body, half of the head."""
    begun = head(answer, f"Content-Length: {len(answer.body)}")
    half = begun + answer.body[: len(answer.body) // 2] if answer.body else begun[: len(begun) // 2]
    writer.write(half)
    await writer.drain()


async def send_dripping(writer: asyncio.StreamWriter, answer: Answer, pause: float) -> None:
    """One byte at a time, until it is all there or the client goes."""
    whole = head(answer, f"Content-Length: {len(answer.body)}") + answer.body
    for position in range(len(whole)):
        if writer.transport.is_closing():
            raise DisconnectError
        writer.write(whole[position : position + 1])
        await writer.drain()
        await asyncio.sleep(pause or 0.5)


async def send_flood(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """A gigabyte, or as much as the client takes."""
    size = 1 << 30
    writer.write(head(answer, f"Content-Length: {size}"))
    block = bytes(1 << 16)
    for _ in range(size // len(block)):
        writer.write(block)
        await writer.drain()
        await asyncio.sleep(0)


def garbage() -> bytes:
    """Bytes that are neither XML nor text; the same ones each time."""
    return random.Random(0).randbytes(700)


async def hang(reader: asyncio.StreamReader, seconds: float) -> None:
    """Say nothing for this long, or for as long as the client stays."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds or FOREVER):
            while await reader.read(1 << 16):
                pass
    raise DisconnectError
