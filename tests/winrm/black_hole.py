"""An address whose SYNs are dropped, as of a server that is switched off behind a router.

No firewall rule is needed: a listener with a backlog of none, never accepted from and already full. Linux drops what
comes then.
"""

from __future__ import annotations

import contextlib
import socket
import time

_FILLERS = 2


class BlackHole:
    """Until `close`, connect() to this address and port waits for ever."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = listener(address, port, backlog=0)
        self._fillers = [socket.socket() for _ in range(_FILLERS)]
        for filler in self._fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((address, port))
        # Their handshakes end in the kernel, after connect() has returned.
        time.sleep(0.002)

    def close(self) -> None:
        """Free the address."""
        for filler in self._fillers:
            filler.close()
        self._listener.close()


def listener(address: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. Raises OSError where the port is taken."""
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(backlog)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
