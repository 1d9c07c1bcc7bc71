"""The process of the endpoint: `--control FD` is a socket to its owner, who says everything else in lines of JSON.

Without it: a farm to play with, `python -m tests.winrm [SERVERS]`, until Enter is pressed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

_LINE = 1 << 26


async def serve(control: socket.socket) -> None:
    """Be the endpoint until the owner closes the control channel."""
    from .endpoint import Endpoint
    from .settings import Options

    reader, writer = await asyncio.open_connection(sock=control, limit=_LINE)
    endpoint = Endpoint(Options(**json.loads(await reader.readline())))
    try:
        await _say(writer, {"answer": endpoint.start()})
        while line := await reader.readline():
            await _say(writer, _answered(endpoint, json.loads(line)))
    finally:
        await endpoint.close()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _answered(endpoint: Any, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": getattr(endpoint, f"do_{question.pop('do')}")(**question)}
    except (AttributeError, TypeError, ValueError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


async def _say(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
    with contextlib.suppress(ConnectionError):
        writer.write(json.dumps(document).encode() + b"\n")
        await writer.drain()


def play(servers: int) -> None:
    """A farm for a person at a terminal."""
    from . import farm

    with tempfile.TemporaryDirectory() as directory, farm.running(Path(directory), servers=servers) as running:
        print(f"{running.name(1)} = {running.address(1)} ... {running.address(servers)}")
        print(f"http {running.http_port}, https {running.https_port}, CA {running.ca}")
        print(f"{running.user} {running.password}")
        sys.stdin.readline()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.winrm", description=__doc__)
    parser.add_argument("servers", type=int, nargs="?", default=10)
    parser.add_argument("--control", type=int, help="file descriptor")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.control is None:
        play(arguments.servers)
    else:
        asyncio.run(serve(socket.socket(fileno=arguments.control)))


if __name__ == "__main__":
    main()
