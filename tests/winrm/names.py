"""The names and addresses of the virtual servers, and how they resolve without DNS."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any

BASE = "127.10.0.1"
DOMAIN = "farm.test"

_NAME = re.compile(r"web(\d{4,})(?:\.farm\.test)?", re.IGNORECASE)


def short_name(number: int) -> str:
    """The computer name of a server; the first is 1."""
    return f"web{number:04d}"


def name(number: int) -> str:
    """The DNS name of a server."""
    return f"{short_name(number)}.{DOMAIN}"


def address(number: int, base: str = BASE) -> str:
    """The loopback address of a server."""
    return str(ipaddress.IPv4Address(base) + number - 1)


@contextlib.contextmanager
def resolving(base: str = BASE) -> Iterator[None]:
    """Let this process resolve `web0001` and `web0001.farm.test` to the servers until the end of the block."""
    real = socket.getaddrinfo

    def with_farm(host: Any, *rest: Any, **more: Any) -> Any:
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        found = _NAME.fullmatch(text) if isinstance(text, str) else None
        return real(address(int(found[1]), base) if found else host, *rest, **more)

    socket.getaddrinfo = with_farm
    try:
        yield
    finally:
        socket.getaddrinfo = real
