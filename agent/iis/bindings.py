"""Bindings: what a site listens to, and which of two sites a request for a name reaches."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from agent.iis.parse import Node
from agent.names import Address, HostName, address_of, fold, host_fault, host_name, printable

_HTTP = frozenset({"http", "https"})

ALL_ADDRESSES = Address("")


class Binding(Struct, frozen=True, gc=False):
    """One binding. `address` is "" for all addresses, `host` None where none is given.

    `fault` says why http.sys cannot use an http or https one; other protocols (net.tcp, ftp ...) are kept as text.
    """

    protocol: str
    information: str
    line: int
    address: Address = ALL_ADDRESSES
    port: int = 0
    host: HostName | None = None
    ssl_flags: int = 0
    fault: str | None = None

    @property
    def is_http(self) -> bool:
        return self.protocol in _HTTP

    @property
    def serves(self) -> bool:
        """Whether clients can reach the site by it over HTTP."""
        return self.is_http and self.fault is None

    def overlaps(self, other: Binding) -> bool:
        """Whether one request can arrive at both endpoints: same port, and not two different addresses."""
        return self.port == other.port and (not self.address or not other.address or self.address == other.address)


_INFORMATION = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([^:]*):(.*)\Z", re.DOTALL)
_LAX_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}\Z")


def binding(node: Node) -> Binding:
    """Read a `<binding>`; http and https information is `IP:port:host` (iis-docs, bindingInformation)."""
    attributes, line = node.attributes, node.line
    written = attributes.get("protocol", "")
    protocol = written if written in _HTTP else fold(written)
    information = attributes.get("bindingInformation", "")
    flags = _number(attributes["sslFlags"]) if "sslFlags" in attributes else 0
    if flags is None:
        return Binding(protocol, information, line, fault="sslFlags is not an unsigned integer")
    if protocol not in _HTTP:
        return Binding(protocol, information, line, ssl_flags=flags)
    parts = _INFORMATION.match(information)
    if parts is None:
        return Binding(protocol, information, line, ssl_flags=flags, fault="it is not of the form IP:port:host")
    address, port, text = parts.groups()
    end = _endpoint(address, port)
    host, reason = (None, None) if end.fault is not None else _host(text)
    return Binding(protocol, information, line, end.address, end.port, host, flags, end.fault or reason)


class _Endpoint(NamedTuple):
    """Where a binding listens."""

    address: Address = ALL_ADDRESSES
    port: int = 0
    fault: str | None = None


@lru_cache(maxsize=1024)
def _endpoint(address: str, port: str) -> _Endpoint:
    number = _number(port)
    if number is None or not 0 < number < 65536:
        return _Endpoint(fault=f"'{printable(port)}' is not a port (1 to 65535)")
    listens = _address(address)
    if listens is None:
        return _Endpoint(fault=f"'{printable(address)}' is not an IP address")
    return _Endpoint(listens, number)


@lru_cache(maxsize=1024)
def _host(text: str) -> tuple[HostName | None, str | None]:
    """The host name, and why it can be none: mostly the same for http and https."""
    text = text.strip()
    if text in {"", "*"}:
        return None, None
    host = host_name(text)
    reason = None if host.is_address else host_fault(host)
    return host, reason and f"host name: {reason}"


def _address(text: str) -> Address | None:
    """The address, "" for all; `1.1.1` is 1.1.0.1 as inet_aton reads it."""
    if text in {"", "*"}:
        return ALL_ADDRESSES
    found = address_of(_filled(text))
    if found is None:
        return None
    return ALL_ADDRESSES if found.is_unspecified else Address(str(found))


def _filled(text: str) -> str:
    """Four numbers where fewer are written: the last one keeps its place."""
    if not _LAX_ADDRESS.match(text):
        return text
    *head, last = text.split(".")
    return ".".join([*head, *["0"] * (3 - len(head)), last])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
