"""One virtual server: its sockets on its own loopback address, its behaviour, its WinRM service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from spnego.channel_bindings import GssChannelBindings

from . import collector, http, names
from .black_hole import BlackHole, listener
from .connection import Connection
from .counters import Counters
from .faults import Injector
from .settings import Behaviour, Options
from .wsman import Service

_BACKLOG = 512
_COLLECTED = ("folder", "packing", "blanked", "banner", "miscount", "keep", "output")


class Tls:
    """What the servers show; the same for all of them."""

    def __init__(self, context: ssl.SSLContext, bindings: GssChannelBindings | None) -> None:
        self.context, self.bindings = context, bindings


class Server:
    """Listens from `open` to `close`."""

    def __init__(self, number: int, options: Options, counters: Counters) -> None:
        self.short = names.short_name(number)
        self.name = names.name(number)
        self.address = names.address(number, options.base)
        self.options = options
        self.counters = counters
        self.behaviour = Behaviour()
        self.faults = Injector(self.behaviour)
        self.scripts: list[bytes] = []
        self.service = Service(self, self.count)
        self.tls: Tls | None = None
        self._kept: tuple[tuple[Any, ...], bytes] | None = None
        self._listening: list[tuple[socket.socket, asyncio.Task[None]]] = []
        self._holes: list[BlackHole] = []
        self._connections: set[asyncio.Task[None]] = set()

    def count(self, what: str) -> None:
        """Count an event of this server."""
        self.counters.add(self.short, what)

    def printed(self) -> bytes:
        """What the collector prints here; made anew only when the way of printing has changed."""
        how = tuple(getattr(self.behaviour, field) for field in _COLLECTED)
        if self._kept is None or self._kept[0] != how:
            self._kept = how, collector.printed(self.name, self.address, self.options.sites, self.behaviour)
        return self._kept[1]

    def set(self, values: dict[str, Any]) -> None:
        """Change the behaviour; the fault begins to count anew."""
        for key, value in values.items():
            if not hasattr(self.behaviour, key):
                raise AttributeError(f"a server has no {key}")
            setattr(self.behaviour, key, value)
        self.faults.rearm()
        self._settle()

    # .. sockets ..

    def open(self, http_port: int, https_port: int) -> None:
        """Listen. Raises OSError where a port is taken, with nothing left open."""
        self._ports = ((http_port, False), (https_port, True))
        self._listen()

    def _listen(self) -> None:
        made: list[tuple[socket.socket, bool]] = []
        try:
            made = [(listener(self.address, port, _BACKLOG), secure) for port, secure in self._ports]
        finally:
            if len(made) < len(self._ports):
                for each, _ in made:
                    each.close()
        self._listening = [(each, asyncio.create_task(self._accept(each, secure))) for each, secure in made]

    def _settle(self) -> None:
        """Listen, or be away, as the fault says."""
        hole, listens = self.behaviour.fault == "blackhole", self.behaviour.fault not in ("blackhole", "refuse")
        if bool(self._holes) == hole and bool(self._listening) == listens:
            return
        self.shut()
        if hole:
            self._holes = [BlackHole(self.address, port) for port, _ in self._ports]
        elif listens:
            self._listen()

    def shut(self) -> None:
        """Stop listening; connections go on."""
        for each, task in self._listening:
            task.cancel()
            each.close()
        for hole in self._holes:
            hole.close()
        self._listening, self._holes = [], []

    async def close(self) -> None:
        """Stop listening, end all connections and shells."""
        tasks = [task for _, task in self._listening] + list(self._connections)
        self.shut()
        self.service.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket, secure: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listening)
            task = loop.create_task(self._serve(accepted, secure))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, accepted: socket.socket, secure: bool) -> None:
        self.count("connections")
        with self.counters.connections.one_more(), contextlib.closing(accepted):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._disturb(accepted, "connect")
                await asyncio.sleep(self.behaviour.connect_latency)
                if secure:
                    await self._disturb(accepted, "tls")
            except http.DisconnectError as end:
                return _reset(accepted) if end.reset else None
            except ConnectionError:
                return None
            return await self._talk(accepted, secure)

    async def _disturb(self, accepted: socket.socket, stage: str) -> None:
        """Strike before TLS and HTTP begin. Raises DisconnectError where nothing can come after it."""
        fault = self.faults.due("connection", stage)
        if not fault:
            return None
        self.count(f"injected.{fault}")
        loop = asyncio.get_running_loop()
        if fault == "slow":
            return await asyncio.sleep(self.behaviour.argument)
        if stage == "tls":
            await loop.sock_recv(accepted, 1)  # there is a ClientHello
        if fault == "garbage":
            await loop.sock_sendall(accepted, b"SSH-2.0-OpenSSH_9.2\r\n")
        if fault == "hang":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.behaviour.argument or http.FOREVER):
                    while await loop.sock_recv(accepted, 1 << 16):
                        pass
        raise http.DisconnectError(reset=fault == "drop")

    async def _talk(self, accepted: socket.socket, secure: bool) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        context = self.tls.context if self.tls and secure else None
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context)
        except (OSError, ssl.SSLError):
            return self.count("tls.refused")
        if secure:
            self.count("tls")
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        bindings = self.tls.bindings if self.tls and secure else None
        try:
            await Connection(self, reader, writer, bindings, secure=secure).serve()
        except http.DisconnectError as end:
            if end.reset:
                transport.abort()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass
        finally:
            transport.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()


def _reset(accepted: socket.socket) -> None:
    """Make close() send RST."""
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
