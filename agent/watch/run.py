"""The agent at work: what `step` decides is done, and what goes wrong on the way is told and survived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct

from agent.errors import IisSpnError, UsageError, fault_of_ours
from agent.iis.snapshot import Snapshot
from agent.model import Report
from agent.render.prometheus import to_prometheus
from agent.sources.snapshots import store
from agent.watch import files, step
from agent.watch.files import Drop
from agent.watch.news import news
from agent.watch.step import Deliver, Inspect, Stamps, Standing, Wait
from agent.watch.told import Teller
from agent.writing import write_whole


class Seen(NamedTuple):
    """One inspection."""

    snapshot: Snapshot
    report: Report


class Server(Protocol):
    """The server that the agent looks after."""

    def inspect(self) -> Seen:
        """Read and judge it. Raises IisSpnError where that cannot be asked for."""

    def stamps(self) -> Stamps:
        """What the files of its configuration look like: other ones mean that they changed."""

    def wait(self, seconds: float) -> None:
        """Come back after so many seconds, or before, when something changes. May raise KeyboardInterrupt: the end."""


class Places(Struct, frozen=True, kw_only=True):
    """Where the agent writes: `drop` and `textfile` are None where nobody wants them."""

    state: Path
    drop: Drop | None
    textfile: Path | None


class Agent:
    """Knows what was seen last; everything else is in the state folder."""

    def __init__(self, server: Server, places: Places, teller: Teller) -> None:
        self._server = server
        self._places = places
        self._teller = teller
        kept = files.kept(places.state)
        self._last, self._whole = kept.last, kept.whole
        for trouble in kept.unread:
            teller.trouble(trouble)

    def once(self, because: str = "inspected once") -> tuple[Report, bool]:
        """Inspect, tell what changed, write it down. False: something could not be written. Raises IisSpnError."""
        seen = self._server.inspect()
        changes = news(self._whole, self._last, seen.report)
        self._teller.told(seen.report, changes, because, is_first=self._last is None)
        if not seen.report.complete and self._last is not None and self._last.complete:
            self._whole = self._last
        self._last = seen.report
        results = [self._keep(seen), self._textfile(seen.report), self.deliver()]
        return seen.report, all(results)

    def run(self, interval: float, clock: Callable[[], float]) -> None:
        """Do what is due, until waiting is interrupted. Raises UsageError where the first inspection does: nobody has
        to wait an hour to learn of a wrong option.
        """
        standing = Standing()
        while True:
            now = clock()
            standing = step.looked(standing, self._server.stamps(), now)
            match step.next_step(standing, now, interval):
                case Inspect(because):
                    standing = self._inspected(standing, because, now, clock)
                case Deliver():
                    standing = step.delivered(standing, clock(), done=self.deliver())
                case Wait(seconds):
                    self._server.wait(seconds)

    def deliver(self) -> bool:
        """Write to the drop folder what it does not have. False: some of it is still owed."""
        drop = self._places.drop
        try:
            if drop is not None:
                drop.deliver()
        except OSError as error:
            self._teller.trouble(f"not delivered to {drop}: {_why(error)}. It is kept, and tried again")
            return False
        return True

    # -- one inspection --------------------------------------------------------------------------------------------

    def _inspected(self, standing: Standing, because: str, now: float, clock: Callable[[], float]) -> Standing:
        stamps, whole = self._server.stamps(), False
        try:
            report, _ = self.once(because)
            whole = report.complete
        except IisSpnError as error:
            if standing.inspected is None and isinstance(error, UsageError):
                raise
            self._teller.trouble(f"not inspected: {error}")
        except Exception as error:  # noqa: BLE001  # it is tried again
            self._teller.trouble(f"not inspected: {fault_of_ours(error)}. Please report it")
        after = step.inspected(standing, stamps, now, whole=whole)
        is_owed = self._places.drop is not None and self._places.drop.is_owed
        return step.delivered(after, clock(), done=not is_owed)

    def _keep(self, seen: Seen) -> bool:
        """Into the state folder, and on the way to the drop folder even where that fails."""
        snapshot, report = files.packed(seen.snapshot), files.as_bytes(seen.report)
        if self._places.drop is not None:
            name = files.called(seen.snapshot)
            self._places.drop.owe({f"{name}{store.SUFFIX}": snapshot, f"{name}{files.REPORT}": report})
        try:
            files.keep(self._places.state, snapshot, report, self._whole if not seen.report.complete else None)
        except OSError as error:
            told = f"cannot write to {self._places.state}: {_why(error)}. After a restart this is told again"
            self._teller.trouble(told)
            return False
        return True

    def _textfile(self, report: Report) -> bool:
        path = self._places.textfile
        try:
            if path is not None:
                write_whole(path, (line.encode() for line in to_prometheus(report)))
        except OSError as error:
            self._teller.trouble(f"cannot write {path}: {_why(error)}")
            return False
        return True


def _why(error: OSError) -> str:
    return error.strerror or str(error)
