"""What happened at the endpoint, for the farm and for each server."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator


class Level:
    """How many there are now, and how many there were at most."""

    def __init__(self) -> None:
        self.now = self.peak = 0

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one until the end of the block."""
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            yield
        finally:
            self.now -= 1


class Counters:
    """`requests`, `connections`, `tls`, `auth.*`, `401`, `shells`, `op.*`, `fault.*`, `injected.*`, ..."""

    def __init__(self) -> None:
        self.connections = Level()
        self.requests = Level()
        self.reset()

    def reset(self) -> None:
        """All to zero; what is going on now stays counted as such."""
        self.of_farm: collections.Counter[str] = collections.Counter()
        self.of_server: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.connections.peak = self.connections.now
        self.requests.peak = self.requests.now
        self._cpu = time.process_time()

    def add(self, server: str, what: str) -> None:
        """Count one event."""
        self.of_farm[what] += 1
        self.of_server[server][what] += 1

    def document(self) -> dict[str, object]:
        """All of the farm's, and the CPU seconds since the last reset."""
        return {
            "counters": dict(self.of_farm),
            "connections_open": self.connections.now,
            "connections_peak": self.connections.peak,
            "requests_peak": self.requests.peak,
            "cpu_seconds": time.process_time() - self._cpu,
        }
