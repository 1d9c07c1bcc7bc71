"""A longer way to a server: passes bytes on, each some milliseconds after it came, however many are on their way.

python -m benchmarks.relay ADDRESS PORT MILLISECONDS prints the port where it listens, at the same address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def farther(address: str, port: int, milliseconds: float) -> Iterator[int]:
    """A port behind which a server is that much farther away, there and back together; in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.relay", address, str(port), str(milliseconds / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class _End(asyncio.Protocol):
    """One of the two connections of a client; what comes to it leaves by the other."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        for data in self._early:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        assert self.other
        asyncio.get_running_loop().call_later(self._delay, self.other.send, data)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def connection_lost(self, _reason: Exception | None) -> None:
        assert self.other
        asyncio.get_running_loop().call_later(self._delay, self.other.close)

    def close(self) -> None:
        if self._transport:
            self._transport.close()


async def _serve(address: str, port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    connecting = set()

    def client() -> _End:
        near, far = _End(delay), _End(delay)
        near.other, far.other = far, near
        connecting.add(loop.create_task(loop.create_connection(lambda: far, address, port)))
        return near

    server = await loop.create_server(client, address, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
