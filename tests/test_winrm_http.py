"""What an answer over HTTP says: read without h11 where it is plain, and then as h11 reads it, however it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("h11", reason="the extra `dev` is not installed")

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from agent.sources.endpoint import Endpoint
from agent.sources.winrm import connection
from agent.sources.winrm.connection import Connection, Reply
from agent.sources.winrm.errors import UnreachableError

ENDPOINT = Endpoint(name="web01", host="127.0.0.1")


class Wire:
    """What arrives, piece by piece; then the other side has hung up."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.transport = self
        self.has_more = False
        self.sent = b""

    @property
    def has_ended(self) -> bool:
        return not self._pieces

    def write(self, data: bytes) -> None:
        self.sent += data

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def asked(pieces: Sequence[bytes]) -> tuple[Reply | str, bool, int | None]:
    """The answer or why it is none, whether another may follow on the connection, and the status that was seen."""
    open_one = Connection(ENDPOINT, Wire(pieces))  # type: ignore[arg-type]
    try:
        reply: Reply | str = asyncio.run(open_one.post("logon", [], b""))
    except UnreachableError as error:
        reply = f"{error.stage}: {error.reason} ({error.is_passing})"
    return reply, open_one.is_clean, open_one.status


def by_h11(pieces: Sequence[bytes]) -> Any:
    with patch.object(connection, "_plain_head", lambda _arrived: None):
        return asked(pieces)


NAMES = ["Content-Length", "content-length", "Content-Type", "Transfer-Encoding", "Connection", "Server", "X_Y", "Date"]
VALUES = [
    "0",
    "3",
    "5",
    "12",
    "text/html",
    "chunked",
    "close",
    "keep-alive",
    "a:b",
    "",
    "  5 ",
    "5, 5",
    "+5",
    "5\t",
    "\xe4",
]
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)
WORDS = ["200 OK", "200", "401 ", "500 A b", "204 No", "100 Go", "304 x", "2000 OK", "999 x", " 200 OK"]
STATUS = st.sampled_from([*(f"HTTP/1.1 {words}" for words in WORDS), "HTTP/1.0 200 OK", "http/1.1 200 OK"])
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n "])


@given(STATUS, LINES, ENDS, st.binary(max_size=16), st.lists(st.integers(0, 200), max_size=3))
@example("HTTP/1.1 200 OK", [("Content-Length", "5")], "\r\n", b"abcde", [])
@example("HTTP/1.1 401 ", [("Content-Length", "0")], "\r\n", b"", [])
@example("HTTP/1.1 200 OK", [("Content-Length", "5")], "\r\n", b"abcdefgh", [])
@example("HTTP/1.1 200 OK", [("Content-Length", "5")], "\r\n", b"ab", [])
@example("HTTP/1.1 200 OK", [("Content-Length", "5"), ("Connection", "close")], "\r\n", b"abcde", [])
def test_it_is_read_as_h11_reads_it(
    status: str, lines: list[tuple[str, str]], end: str, body: bytes, cuts: list[int]
) -> None:
    head = status + end + "".join(f"{name}: {value}{end}" for name, value in lines) + end
    whole = head.encode("latin-1") + body
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[begin:stop] for begin, stop in pairwise(places)]
    assert asked(pieces) == by_h11(pieces)


def test_a_usual_answer_costs_no_state_machine() -> None:
    usual = b"HTTP/1.1 200 \r\nContent-Type: application/soap+xml\r\nContent-Length: 4\r\n\r\nabcd"
    with patch.object(h11, "Connection", side_effect=AssertionError("h11 is asked")):
        reply, is_clean, status = asked([usual])
    assert (reply, is_clean, status) == (
        Reply(200, [(b"content-type", b"application/soap+xml"), (b"content-length", b"4")], b"abcd"),
        True,
        200,
    )


@pytest.mark.parametrize("size", [connection.MAX_HEADER, 1 << 20])
def test_a_header_beyond_its_bound_is_never_read(size: int) -> None:
    lines = b"X: " + b"y" * 1000 + b"\r\n"
    answer = b"HTTP/1.1 200 OK\r\n" + lines * (size // len(lines)) + b"Content-Length: 0\r\n\r\n"
    assert connection._plain_head(answer) is None


def test_what_is_asked_is_what_h11_would_have_asked() -> None:
    headers = [("Authorization", "Negotiate abcd=="), ("Content-Type", "application/soap+xml;charset=UTF-8")]
    wire = Wire([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
    asyncio.run(Connection(ENDPOINT, wire).post("shell", headers, b"<e/>"))  # type: ignore[arg-type]
    theirs = h11.Connection(h11.CLIENT)
    fixed = [("Host", "127.0.0.1:5985"), ("User-Agent", "iis-spn"), ("Content-Length", "4")]
    request = h11.Request(method="POST", target="/wsman", headers=[*fixed, *headers])
    assert wire.sent == theirs.send(request) + theirs.send(h11.Data(data=b"<e/>"))
