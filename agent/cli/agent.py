"""`iis-spn agent`: this server, again and again: what changed."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent import exits
from agent.change.lock import alone
from agent.cli import console, output
from agent.cli.looking import demand_unnamed, live_logon, sources_of
from agent.cli.options import Agent as Options
from agent.cli.options import Looking
from agent.errors import OutputError, UsageError
from agent.iis.snapshot import read_or_lost
from agent.inspection.stages import analyse
from agent.sources.local import server
from agent.sources.local.watched import Watched
from agent.sources.selected import LiveLogon
from agent.sources.shares import Shares
from agent.watch.files import Drop
from agent.watch.run import Agent, Places, Seen
from agent.watch.told import Log, Teller

if TYPE_CHECKING:
    from agent.history import Change
    from agent.sources.local.windows import Windows

LOCK, LOG = "agent.lock", "agent.log"
_NO_WINDOWS = "agent looks after the server it runs on, and this is not Windows: inspect takes files and snapshots"
WriteEvent = Callable[[Sequence["Change"], str], None]


def run(options: Options) -> int:
    demand_unnamed(options.looking)
    if options.prometheus is not None:
        output.demand_file(options.prometheus)
    windows, write_event = server.this_windows(_NO_WINDOWS), _event_log() if options.event_log else None
    state, shares = _state_folder(options.state), Shares()
    with alone(state / LOCK, "nothing was inspected"), _teller(state, write_event) as teller:
        drop = Drop(options.drop, shares) if options.drop is not None else None
        places = Places(state=state, drop=drop, textfile=options.prometheus)
        agent = Agent(ThisServer(windows, shares, options.looking, live_logon(options.logon)), places, teller)
        if options.interval is None:
            report, is_written = agent.once()
            return output.exit_code(report, options.fail_on) if is_written else exits.INCOMPLETE
        with contextlib.suppress(KeyboardInterrupt):
            agent.run(options.interval, time.monotonic)
        teller.say("stopped")
        return exits.CLEAN


class ThisServer:
    """The server that this program runs on, with the sources that the options name: they are read anew each time."""

    def __init__(self, windows: Windows, shares: Shares, looking: Looking, logon: LiveLogon) -> None:
        self._read = partial(server.read_this_server, windows, shares)
        self._looking, self._logon = looking, logon
        self._watched = Watched(windows, shares)
        self.stamps, self.wait = self._watched.stamps, self._watched.wait

    def inspect(self) -> Seen:
        sources = sources_of(self._looking, self._logon)
        found = read_or_lost("this server", self._read)
        self._watched.follow(found)
        return Seen(found, analyse([found], sources).report)


@contextlib.contextmanager
def _teller(state: Path, write_event: WriteEvent | None) -> Iterator[Teller]:
    teller = Teller(Log(state / LOG), _show, write_event)
    try:
        yield teller
    finally:
        teller.close()


def _show(line: str) -> None:
    """Somebody may look on. A scheduled task may have no stdout at all, and who reads it may go away."""
    with contextlib.suppress(OSError, OutputError):
        console.show([f"{line}\n"])


def _state_folder(given: Path | None) -> Path:
    """The folder, made where it is not there: for its owner alone, as what stands in it is believed later on."""
    folder = given or state_folder(sys.platform, os.environ)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from None
    return folder


def state_folder(platform: str, environment: Mapping[str, str]) -> Path:
    """Where a program keeps its state on this system, for the whole machine on Windows."""
    if platform == "win32":
        return Path(environment.get("ProgramData", r"C:\ProgramData")) / "iis-spn"
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "iis-spn"


def _event_log() -> WriteEvent:
    if sys.platform == "win32":
        from agent.watch.events import write_event

        return write_event
    raise UsageError("--event-log is for Windows")
