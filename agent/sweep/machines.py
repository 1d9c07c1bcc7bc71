"""Two names of one machine: told by what the machine calls itself, and by its configuration."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from agent.errors import MalformedError
from agent.iis.redirection import APPLICATION_HOST
from agent.iis.snapshot import Snapshot
from agent.names import fold
from agent.sources.snapshots.blanking import blanked


class Fingerprint(NamedTuple):
    """What a machine calls itself, and a digest of its applicationHost.config."""

    name: str
    dns_name: str
    configuration: str


def fingerprint_of(found: Snapshot) -> Fingerprint | None:
    """Who a snapshot is of; None where that is not said."""
    machine, file = found.machine, found.files.get(APPLICATION_HOST)
    if machine.known_name is None:
        return None
    digest = _digest(file.data if file is not None else b"")
    return Fingerprint(fold(machine.known_name), fold(str(machine.dns_name or "")), digest)


class Machines:
    """Who has answered, and the name under which that machine was asked first.

    Two configurations under one name are two machines, whose report says so. What was stored is without its secrets,
    which an answer may still hold: so a second configuration of a name is compared in that form as well.
    """

    def __init__(self, known: Iterable[tuple[Fingerprint | None, str]]) -> None:
        self._first = {who: asked for who, asked in known if who is not None}
        self._names = {(who.name, who.dns_name) for who in self._first}
        self._lock = Lock()

    def first(self, found: Snapshot, asked: str) -> str:
        """The name that this machine was asked by first, `asked` where that is the first one."""
        with self._lock:
            who = self._known_as(found)
            if who is None:
                return asked
            self._names.add((who.name, who.dns_name))
            return self._first.setdefault(who, asked)

    def forget(self, asked: str) -> None:
        """Nothing was kept of this answer: another name of the machine may still bring it."""
        with self._lock:
            self._first = {who: name for who, name in self._first.items() if name != asked}

    def _known_as(self, found: Snapshot) -> Fingerprint | None:
        who = fingerprint_of(found)
        if who is None or who in self._first or (who.name, who.dns_name) not in self._names:
            return who
        bare = who._replace(configuration=_digest(_kept(found)))
        return bare if bare in self._first else who


def _kept(found: Snapshot) -> bytes:
    """What a stored snapshot has of its applicationHost.config."""
    file = found.files.get(APPLICATION_HOST)
    try:
        return blanked(file.data) if file is not None else b""
    except MalformedError:
        return b""


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
