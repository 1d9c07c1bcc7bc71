"""What Windows does in another way: pipes, consoles, encodings and error codes. Most of it can be tried anywhere."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from parts import needs_windows

from agent import exits
from agent.cli.program import main
from agent.errors import UsageError
from agent.sources.endpoint import Defaults, parse
from agent.sources.snapshots import store
from agent.sources.winrm import connection
from agent.sources.winrm.errors import UnreachableError
from agent.sweep import collect
from agent.sweep.passwords import Passwords

pytestmark = pytest.mark.windows

ALONE: dict[str, Any] = (
    {"creationflags": subprocess.DETACHED_PROCESS} if sys.platform == "win32" else {"start_new_session": True}
)
"""A process without a console or a terminal."""


# -- pipes ---------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_fault() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "rules"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (exits.CLEAN, "")


@pytest.mark.long
def test_nobody_to_ask_for_a_password_is_told() -> None:
    command = [sys.executable, "-m", "agent", "collect", "127.0.0.1", "--user", "someone"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **ALONE)
    assert done.returncode == exits.USAGE
    assert "no password for someone: nobody can be asked here" in done.stderr


# -- passwords -----------------------------------------------------------------------------------------------------


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Passwords:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="cp1252"))
    assert main(["rules"]) == exits.CLEAN  # the program says how its stdin is read
    return Passwords(from_stdin=True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"pass\r\n", "pass"),
        (b"pass", "pass"),
        (b" pa ss \n", " pa ss "),
        ("pä€ss\r\n".encode(), "pä€ss"),
        ("pä€ss\r\n".encode("utf-8-sig"), "pä€ss"),
        ("pä€ss\r\n".encode("cp1252"), "pä€ss"),
    ],
)
def test_a_piped_password_is_utf_8_or_in_the_code_page(
    monkeypatch: pytest.MonkeyPatch, data: bytes, expected: str
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "cp1252")
    assert piped(monkeypatch, data).of("someone", "WinRM") == expected


def test_a_password_in_no_encoding_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "cp1252")
    with pytest.raises(UsageError) as caught:
        piped(monkeypatch, b"s3cret\x81\n").of("someone", "WinRM")
    assert str(caught.value) == "--password-stdin: the line is neither UTF-8 nor cp1252"


# -- connections ---------------------------------------------------------------------------------------------------


def test_why_a_connection_fails_is_said_in_the_systems_words() -> None:
    """WinError has no errno of its own: strerror knows it as "Invalid argument" or not at all."""
    server = parse("127.255.255.255:5985", Defaults(transport="ntlm"))  # where a loopback has no server to ask

    async def connect() -> None:
        await connection.Connection.connect(server, [(socket.AF_INET, server.host)])

    with pytest.raises(UnreachableError) as caught:
        asyncio.run(connect())
    assert caught.value.stage == "connect"
    assert not {"Unknown", "Invalid"} & set(caught.value.reason.split())


@needs_windows
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (64, "the connection was closed at once"),
        (121, "no answer to the connection request"),
        (1232, "cannot be reached: words of Windows"),
    ],
)
def test_codes_that_are_no_kind_of_error_to_python(code: int, reason: str) -> None:
    error = OSError(0, "words of Windows", None, code)
    assert type(error) is OSError
    assert connection._connect_error(error, 5985).reason == reason


def test_asyncio_does_not_complain_of_lost_connections(caplog: pytest.LogCaptureFixture) -> None:
    async def complain(error: Exception) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(collect._unless_lost)
        loop.call_exception_handler({"message": "in a callback", "exception": error})

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(complain(ConnectionResetError(10054, "forcibly closed by the remote host")))
        assert not caplog.records
        asyncio.run(complain(ValueError("a fault of ours")))
        assert [record.getMessage() for record in caplog.records] == ["in a callback"]


# -- files ---------------------------------------------------------------------------------------------------------

DOCUMENT = b'{"schema": "iis-spn/snapshot/1", "machine": {"name": "WEB01"}, "files": {}}'


@needs_windows
def test_a_snapshot_waits_for_the_virus_scanner(tmp_path: Path) -> None:
    path = store.write(tmp_path, "web01", DOCUMENT)
    scanner = path.open("rb")
    threading.Timer(0.1, scanner.close).start()
    store.write(tmp_path, "web01", DOCUMENT)
    assert scanner.closed


@needs_windows
def test_a_snapshot_that_stays_open_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.write(tmp_path, "web01", DOCUMENT)
    before, pauses = path.read_bytes(), list[float]()
    monkeypatch.setattr(time, "sleep", pauses.append)
    with path.open("rb"), pytest.raises(PermissionError):
        store.write(tmp_path, "web01", DOCUMENT)
    assert 0 < len(pauses) < 10
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
