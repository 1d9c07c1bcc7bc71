"""docs/limits.md: its figures are the program's, the tests it names exist, and bounds that no other test tries."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.evidence import tokens
from agent.iis import authentication, parse
from agent.render.page import part, pictures
from agent.sources import endpoint as endpoints
from agent.sources.ad import ldif, ldif_blocks
from agent.sources.endpoint import Endpoint
from agent.sources.snapshots.targets import CLOCK_SKEW
from agent.sources.web import exchange, looking
from agent.sources.winrm import client, connection, handshake
from agent.sources.winrm.connection import Connection, Reply, addresses_of
from agent.sources.winrm.errors import UnreachableError
from agent.sweep import collect, run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
MB = 1024 * 1024


def bound(what: str) -> str:
    """The second column of the row that begins so."""
    (found,) = re.findall(rf"^\| {re.escape(what)}[^|]* \| ([^|]+) \|", TEXT, flags=re.MULTILINE)
    return str(found)


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(tests/\w+\.py|benchmarks/\w+\.py)`", TEXT))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_row_names_a_test() -> None:
    rows = re.findall(r"^\| (?!what |---)(.+) \|$", TEXT, flags=re.MULTILINE)
    assert [row for row in rows if not re.search(r"`tests/\w+\.py`$", row)] == []


@pytest.mark.parametrize(
    ("what", "figures"),
    [
        ("elements of one file", [parse.MAXIMUM_TAGS, parse.MAXIMUM_ELEMENTS]),
        ("an LDIF", [ldif_blocks.LARGEST_FILE >> 30, ldif.MOST_NAMES]),
        ("segments of a location", [parse.MAXIMUM_SEGMENTS]),
        ("directories with a web.config", [authentication.MAXIMUM_DIRECTORIES]),
        ("servers that judge one password", [1, 3, 8]),
        ("refusals of one password", [1, run.MOST_REFUSALS, run.AT_ONCE[-1][1]]),
        ("requests of one logon", [handshake.MAX_LEGS]),
        ("an HTTP answer", [connection.MAX_ANSWER // MB, connection.MAX_HEADER // 1024]),
        ("all that a server prints", [client.MAX_OUTPUT // MB]),
        ("its document", [collect.MAXIMUM_DOCUMENT // MB]),
        ("addresses of one name", [connection.MAX_ADDRESSES]),
        ("the removal of its remote shell", [int(client.Limits().farewell)]),
        ("a snapshot of the future", [CLOCK_SKEW.seconds // 60]),
        ("names that one word", [endpoints.MOST_NAMES]),
        ("the header of a web server", [exchange.MOST_BYTES // 1024]),
        ("one request, from connecting", [int(exchange.SECONDS)]),
        ("addresses of a web server", [exchange.MOST_ADDRESSES]),
        ("redirects, on the same host", [looking.MOST_REDIRECTS]),
        ("characters of a token", [tokens.LONGEST]),
        ("applications, SPNs and findings", [part.MOST]),
        ("causes, pictures", [part.MOST_CAUSES, pictures.MOST_PICTURES]),
        ("changes on the page", [part.MOST]),
    ],
)
def test_its_figures_are_the_programs(what: str, figures: list[int]) -> None:
    assert [int(figure.replace(",", "")) for figure in re.findall(r"\d[\d,]*", bound(what))] == figures


def test_the_times_of_a_server_are_the_programs() -> None:
    limits = client.Limits()
    said = [limits.connect, limits.tls, limits.logon, limits.whole]
    assert [float(figure) for figure in re.findall(r"\d+", bound("its time"))] == said


# -- bounds --------------------------------------------------------------------------------------------------------


def test_of_many_addresses_the_first_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[str]:
        async def found(*_given: object, **_named: object) -> list[tuple[Any, ...]]:
            return [(2, 1, 6, "", (f"127.0.0.{n}", 0)) for n in range(1, 100)]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found, raising=False)
        return [address for _, address in await addresses_of(Endpoint(name="web01", host="web01"))]

    assert asyncio.run(scenario()) == [f"127.0.0.{n}" for n in range(1, connection.MAX_ADDRESSES + 1)]


def test_a_logon_that_never_ends_ends() -> None:
    """A server that answers each token with another one."""
    context = SimpleNamespace(complete=False, step=lambda _token: b"more")
    asked: list[str] = []

    async def post(stage: str, *_given: object) -> Reply:
        asked.append(stage)
        return Reply(401, [(b"www-authenticate", b"Negotiate bW9yZQ==")], b"")

    async def turn() -> None:
        raise AssertionError("no password was judged")

    offer = handshake.Offer("Negotiate", context, b"first")  # type: ignore[arg-type]
    with pytest.raises(UnreachableError, match="does not come to an end"):
        asyncio.run(handshake._exchange(SimpleNamespace(post=post), offer, None, turn))  # type: ignore[arg-type]
    assert len(asked) == handshake.MAX_LEGS


def answered(say: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> UnreachableError:
    """What becomes of a question whose answer is written by `say`."""

    async def scenario() -> UnreachableError:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            try:
                await say(writer)
            except ConnectionError:
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Endpoint(name="web01", host="127.0.0.1", port=port)
            asking = await Connection.connect(target, await addresses_of(target))
            with pytest.raises(UnreachableError) as caught:
                await asking.post("logon", [], b"")
            asking.close()
            return caught.value

    return asyncio.run(scenario())


def test_a_header_without_end_is_not_read_to_its_end() -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            writer.write(b"X-A: " + b"a" * 1000 + b"\r\n")
            await writer.drain()

    assert "broken HTTP" in answered(say).reason


def test_an_answer_that_says_how_large_it_is_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER", 1000)

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1001)
        await writer.drain()

    assert "larger than 1000 bytes" in answered(say).reason


def test_a_document_that_unpacks_to_too_much_is_that_servers_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = b'{"schema": "iis-spn/snapshot/1", "files": {}' + b" " * 5000 + b"}"
    packed = base64.b64encode(gzip.compress(plain))
    framed = b"iis-spn-snapshot 1 gzip %d\n|%s\niis-spn-snapshot end %d\n" % (len(packed), packed, len(packed))
    target = Endpoint(name="web01", host="web01")
    assert collect._framed(target, framed, b"").document == plain
    monkeypatch.setattr(collect, "MAXIMUM_DOCUMENT", 1000)
    with pytest.raises(UnreachableError, match="larger than"):
        collect._framed(target, framed, b"")
