"""The agent on a server, whose Windows a temporary folder stands in for: through the command line where that ends."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dying import die_at, refused_at
from msgspec.structs import asdict
from test_local import SYSTEM, VARIABLES, FakeWindows, put

from agent import exits
from agent.cli import agent as command
from agent.cli.agent import LOCK, LOG, ThisServer, state_folder
from agent.cli.diff import NOWHERE
from agent.cli.program import main
from agent.errors import MalformedError, SourceError, UsageError
from agent.history import Change
from agent.iis.snapshot import Machine
from agent.model import Report
from agent.sources.local import server
from agent.sources.selected import LiveLogon
from agent.sources.shares import Shares
from agent.sources.snapshots.targets import read_target
from agent.watch import files, told
from agent.watch.files import Drop
from agent.watch.run import Agent, Places, Seen
from agent.watch.step import SETTLE
from agent.watch.told import Log, Teller
from agent.writing import write_whole

pytestmark = pytest.mark.windows

SAMPLES = Path(__file__).parents[1] / "sample_configs"
CONFIG = (SAMPLES / "IIS01" / "applicationHost.config").read_text("utf-8")
DIRECTORY, ZONE = str(SAMPLES / "directory.ldif"), str(SAMPLES / "zone.txt")
HOST = f"{SYSTEM}/applicationHost.config"
KERNEL_OFF = CONFIG.replace("<windowsAuthentication", '<windowsAuthentication useKernelMode="false"', 1)


class Windows(FakeWindows):
    """IIS01 of the samples."""

    def machine(self) -> Machine:
        return Machine(
            name="IIS01",
            dns_name="iis01.test.com",
            domain="test.com",
            netbios_domain="TEST",
            membership="domain",
            addresses=("10.0.5.2",),
        )


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Windows:
    found = Windows(tmp_path / "server", VARIABLES)
    put(found.root / HOST, CONFIG)
    (found.root / "c/inetpub/wwwroot").mkdir(parents=True)
    monkeypatch.setattr(server, "this_windows", lambda *_otherwise: found)
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def once(state: Path, *more: str) -> int:
    return main(["agent", "--once", "--state", str(state), "--ad", DIRECTORY, "--dns", ZONE, *more])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- once, through the command line --------------------------------------------------------------------------------


@pytest.mark.usefixtures("windows")
def test_once_says_writes_and_ends_as_inspect_does(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop, textfile = tmp_path / "drop", tmp_path / "iis.prom"
    inspected = main(["inspect", "--ad", DIRECTORY, "--dns", ZONE, "--format", "json", "--output", str(tmp_path / "r")])
    assert once(state, "--drop", str(drop), "--prometheus", str(textfile)) == inspected == exits.CLEAN
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("inspected once; nothing to compare it with yet. OK: ")
    assert names(drop) == ["iis01.test.com.report.json", "iis01.test.com.snapshot.json.gz"]
    assert names(state) == [LOG, "last.report.json", "last.snapshot.json.gz"]
    assert line in (state / LOG).read_text("utf-8")
    wanted, found = (json.loads(path.read_text("utf-8")) for path in (tmp_path / "r", drop / names(drop)[0]))
    for each in (wanted, found):
        del each["started"], each["finished"]
        each["summary"]["read"] = [{**read, "date": None} for read in each["summary"]["read"]]
    assert found == wanted
    assert 'iis_spn_server_complete{server="IIS01"} 1' in textfile.read_text("utf-8").splitlines()
    assert read_target(drop / names(drop)[1], None, {}).machine.dns_name == "iis01.test.com"


def test_once_more_says_what_changed(windows: Windows, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once(state)
    once(state)
    assert capsys.readouterr().out.splitlines()[1].startswith("inspected once; 0 changes. OK: ")
    put(windows.root / HOST, KERNEL_OFF)
    once(state)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"inspected once; {len(lines)} change")
    assert any("kernel_mode: true -> false" in line for line in lines)


def test_exit_code_and_accepted_findings(windows: Windows, state: Path, tmp_path: Path) -> None:
    put(windows.root / HOST, "<configuration><unfinished")
    assert once(state) == exits.INCOMPLETE
    put(windows.root / HOST, CONFIG)
    assert once(state) == exits.CLEAN
    assert once(state, "--fail-on", "info") == exits.FINDINGS
    accept = put(tmp_path / "accept.toml", "\n".join(_accepting(files.kept(state).last)))
    assert once(state, "--fail-on", "info", "--accept", str(accept)) == exits.CLEAN


def _accepting(report: Report | None) -> Iterator[str]:
    assert report is not None
    for found in {finding.id for finding in report.findings}:
        yield f'[[accept]]\nid = "{found}"\nsubject = "*"\nreason = "as it should be"'


@pytest.mark.usefixtures("windows")
def test_a_folder_that_many_agents_fill_is_inspected_as_one(state: Path, tmp_path: Path, capsys: Any) -> None:
    drop = tmp_path / "drop"
    once(state, "--drop", str(drop))
    shutil.copytree(SAMPLES / "IIS02", drop / "IIS02")
    inventory = put(tmp_path / "farm.txt", "iis01.test.com\niis02.test.com\niis03.test.com\n")
    capsys.readouterr()
    words = ["inspect", str(drop), "--ad", DIRECTORY, "--dns", ZONE, "--inventory", str(inventory), "--format", "json"]
    assert main(words) == exits.INCOMPLETE
    report = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in report["servers"]] == ["IIS02", "IIS01", "iis03.test.com"]
    assert [one["server"] for one in report["findings"] if one["id"] == "server-unreachable"] == ["iis03.test.com"]
    assert main([*words[:-4], "--stale-after", "0.0000001", "--output", os.devnull]) in {exits.CLEAN, exits.FINDINGS}
    assert main([*words[:-4], "--stale-after", "0.0000001", "--format", "json"]) in {exits.CLEAN, exits.FINDINGS}
    stale = [one["server"] for one in json.loads(capsys.readouterr().out)["findings"] if one["id"] == "snapshot-stale"]
    assert "IIS01" in stale


# -- what cannot be done -------------------------------------------------------------------------------------------


def test_without_windows_it_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if sys.platform != "win32":
        assert main(["agent", "--once", "--state", str(tmp_path)]) == exits.USAGE
        assert "agent looks after the server it runs on, and this is not Windows" in capsys.readouterr().err
        assert names(tmp_path) == []


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interval", "1"], "is no time: 90s, 30m, 1h and 1d are"),
        (["--interval", "0h"], "is no time"),
        (["--interval", "1h", "--once"], "not allowed with argument"),
        (["--once", "--prometheus", "nowhere/x.prom"], "there is no such folder"),
        (["--once", "--computer", "iis01.test.com"], "this server says its own name"),
        (["--once", "--accept", "nowhere.toml"], "nowhere.toml"),
        (["--once", "--ad", "nowhere.ldif"], "nowhere.ldif"),
    ],
)
def test_wrong_words(state: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "--state", str(state), *words]) == exits.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has an event log")
@pytest.mark.usefixtures("windows")
def test_only_windows_has_an_event_log(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert once(state, "--event-log") == exits.USAGE
    assert "--event-log is for Windows" in capsys.readouterr().err


@pytest.mark.usefixtures("windows")
def test_a_second_agent_of_one_state_folder_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.mkdir()
    with command.alone(state / LOCK, "x"):
        assert once(state) == exits.USAGE
    assert "nothing was inspected: process " in capsys.readouterr().err
    assert once(state) == exits.CLEAN


@pytest.mark.usefixtures("windows")
def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "file")
    assert once(tmp_path / "file" / "state") == exits.INCOMPLETE
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("damage", ["", "{", '{"schema": "iis-spn/report/2"}', "null", "\0" * 100])
def test_a_damaged_state_is_told_and_replaced(state: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    once(state)
    (state / "last.report.json").write_text(damage)
    capsys.readouterr()
    assert once(state) == exits.CLEAN
    warning, line = capsys.readouterr().out.splitlines()
    assert "last.report.json cannot be read, so nothing is compared with it" in warning
    assert "nothing to compare it with yet" in line
    once(state)
    assert "0 changes" in capsys.readouterr().out


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("stdout", [None, "closed"])
def test_nobody_need_look_on(state: Path, monkeypatch: pytest.MonkeyPatch, stdout: str | None) -> None:
    """A scheduled task may have no stdout, and a reader may go away."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", closefd=False) as broken:
        monkeypatch.setattr("sys.stdout", None if stdout is None else broken)
        assert once(state) == exits.CLEAN
    os.close(writer)
    assert "nothing to compare it with yet. OK" in (state / LOG).read_text("utf-8")
    assert (state / "last.report.json").exists()


@pytest.mark.usefixtures("windows")
def test_a_folder_or_a_pipe_in_the_place_of_the_state_is_told(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "last.report.json").mkdir(parents=True)
    assert once(state) == exits.INCOMPLETE
    told = capsys.readouterr().out
    assert "last.report.json cannot be read, so nothing is compared with it: a folder, not a file" in told
    assert "cannot write to" in told


@pytest.mark.usefixtures("windows")
def test_a_state_that_is_too_large_is_not_read(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "MAXIMUM_REPORT", 1024 * 1024)
    put(state / "last.report.json", " " * (1024 * 1024 + 1))
    assert once(state) == exits.CLEAN
    assert "nothing is compared with it: larger than 1 MB" in capsys.readouterr().out


def test_where_the_state_is_kept() -> None:
    assert state_folder("win32", {"ProgramData": "P"}) == Path("P/iis-spn")
    assert state_folder("linux", {"XDG_STATE_HOME": "/s"}) == Path("/s/iis-spn")
    assert state_folder("linux", {}) == Path.home() / ".local/state/iis-spn"


@pytest.mark.usefixtures("windows")
def test_the_state_is_its_owners_alone(state: Path) -> None:
    once(state)
    if sys.platform != "win32":
        assert state.stat().st_mode & 0o077 == 0


# -- again and again -----------------------------------------------------------------------------------------------


class StopError(KeyboardInterrupt):
    """The end of a run, as Ctrl-C makes it."""


@dataclass
class Played:
    """A server in a folder, with a clock of its own: waiting puts it forward, and lets `then` happen in each pause."""

    windows: Windows
    shares: Shares = field(default_factory=lambda: Shares(0.05))
    then: list[Callable[[], object]] = field(default_factory=list)
    now: float = 0.0
    inspections: int = 0
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        looking = command.Looking(**{**asdict(NOWHERE), "ad": (DIRECTORY,), "dns": (ZONE,)})
        self._real = ThisServer(self.windows, self.shares, looking, LiveLogon(None, str))
        self.stamps = self._real.stamps

    def inspect(self) -> Seen:
        self.inspections += 1
        return self._real.inspect()

    def wait(self, seconds: float) -> None:
        if not self.then:
            raise StopError
        self.pauses.append(seconds)
        self.now += seconds
        self.then.pop(0)()


@dataclass
class Heard(Teller):
    """What the agent said."""

    lines: list[str] = field(default_factory=list)
    events: list[tuple[list[Change], str]] = field(default_factory=list)
    can_write: bool = True

    def __init__(self, log: Path) -> None:
        self.lines, self.events, self.can_write = [], [], True
        super().__init__(Log(log), self.lines.append, self._event_written)

    def _event_written(self, changes: Any, text: str) -> None:
        if not self.can_write:
            raise OSError(1502, "The event log file is full")
        self.events.append((list(changes), text))


@pytest.fixture
def played(windows: Windows) -> Played:
    return Played(windows)


def ran(
    played: Played, state: Path, drop: Path | None = None, interval: float = 3600.0, textfile: Path | None = None
) -> Heard:
    """Run until nothing more happens in the pauses."""
    state.mkdir(exist_ok=True)
    heard = Heard(state / LOG)
    where = Drop(drop, played.shares) if drop is not None else None
    agent = Agent(played, Places(state=state, drop=where, textfile=textfile), heard)
    with pytest.raises(StopError):
        agent.run(interval, lambda: played.now)
    heard.close()
    return heard


def nothing() -> None:
    """Happens in a pause."""


def inspected_because(heard: Heard) -> list[str]:
    return [line.partition(";")[0] for line in heard.lines if "change" in line.partition(".")[0] or "yet" in line]


def test_a_change_is_seen_within_seconds(played: Played, state: Path) -> None:
    played.then = [nothing, lambda: put(played.windows.root / HOST, KERNEL_OFF), *[nothing] * 4]
    heard = ran(played, state)
    assert played.inspections == 2
    assert sum(played.pauses[2:]) <= 2 * SETTLE + 4
    ((changes, text),) = heard.events
    assert {change.name for change in changes} >= {"kernel_mode"}
    assert "kernel_mode: true -> false" in text


def test_nothing_is_said_twice_and_no_event_without_a_change(played: Played, state: Path) -> None:
    played.then = [nothing] * 20
    heard = ran(played, state, interval=10.0)
    assert played.inspections > 3
    assert heard.events == []
    assert sum("0 changes" in line for line in heard.lines) == played.inspections - 1


def test_an_agent_that_starts_again_knows_what_was(played: Played, state: Path) -> None:
    ran(played, state)
    put(played.windows.root / HOST, KERNEL_OFF)
    ((changes, _text),) = ran(played, state).events
    assert {change.name for change in changes} >= {"kernel_mode"}


def test_what_changed_while_a_file_was_unread_is_told_after_a_restart_too(played: Played, state: Path) -> None:
    ran(played, state)
    put(played.windows.root / HOST, "<configuration><unfinished")
    assert "config-malformed" in {change.name for change in ran(played, state).events[0][0]}
    assert (state / "whole.report.json").exists()
    put(played.windows.root / HOST, KERNEL_OFF)
    ((changes, _text),) = ran(played, state).events
    assert {change.name for change in changes} >= {"kernel_mode", "config-malformed"}
    assert ran(played, state).events == []


def test_a_clock_that_stands_still_or_jumps_starts_nothing(played: Played, state: Path) -> None:
    """Only the clock that goes forward counts; the wall clock stands in the reports alone."""
    played.then = [nothing] * 3
    ran(played, state)
    assert played.inspections == 1


# -- what goes wrong on the way ------------------------------------------------------------------------------------


def test_a_share_that_is_gone_gets_it_later(played: Played, state: Path, tmp_path: Path) -> None:
    """Until then it is in the state folder, and the newest is all that matters."""
    drop = put(tmp_path / "drop")  # a file: no folder can be made there
    changed = KERNEL_OFF
    played.then = [
        nothing,
        lambda: put(played.windows.root / HOST, changed),
        *[nothing] * 30,
        drop.unlink,
        *[nothing] * 60,
    ]
    heard = ran(played, state, drop / "IIS")
    assert any("not delivered to" in line for line in heard.lines)
    assert names(drop / "IIS") == ["iis01.test.com.report.json", "iis01.test.com.snapshot.json.gz"]
    delivered, kept = (
        (folder / name).read_bytes()
        for folder, name in ((drop / "IIS", "iis01.test.com.report.json"), (state, "last.report.json"))
    )
    assert delivered == kept
    assert played.inspections == 2, "nothing is inspected because a share is gone"


def test_a_drop_share_that_hangs_holds_nothing_up(played: Played, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(Drop, "_write", lambda *_: gone.wait())
    played.then = [lambda: put(played.windows.root / HOST, KERNEL_OFF), *[nothing] * 6]
    try:
        heard = ran(played, state, Path(r"\\srv\drop"))
    finally:
        gone.set()
    assert played.inspections == 2
    assert any("the share gave no answer in 0.05 s" in line for line in heard.lines)
    assert sum(thread.daemon and "_carry_out" in str(thread) for thread in threading.enumerate()) <= 1


def test_a_full_disk_is_survived(played: Played, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_full = True

    def full(path: Path, *given: Any, **named: Any) -> None:
        if is_full and path.parent == state:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, *given, **named)

    def freed() -> None:
        nonlocal is_full
        is_full = False

    monkeypatch.setattr(files, "write_whole", full)
    played.then = [nothing, freed, *[nothing] * 3]
    heard = ran(played, state, tmp_path / "drop", interval=5.0)
    assert any("No space left on device" in line for line in heard.lines)
    assert names(tmp_path / "drop") == ["iis01.test.com.report.json", "iis01.test.com.snapshot.json.gz"]
    assert (state / "last.report.json").exists()


def test_a_textfile_and_an_event_that_cannot_be_written_are_told(played: Played, state: Path, tmp_path: Path) -> None:
    state.mkdir()
    heard = Heard(state / LOG)
    heard.can_write = False
    agent = Agent(played, Places(state=state, drop=None, textfile=tmp_path / "gone" / "x.prom"), heard)
    assert agent.once()[1] is False
    put(played.windows.root / HOST, KERNEL_OFF)
    assert agent.once()[1] is False
    assert any("x.prom: No such file or directory" in line for line in heard.lines)
    assert any("the event log could not be written: The event log file is full" in line for line in heard.lines)
    heard.close()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        *(
            (1, error)
            for error in (SourceError("no"), UsageError("no"), MalformedError("f", 1, "no"), ValueError("no"))
        ),
        *((0, error) for error in (SourceError("no"), ValueError("no"))),  # at boot the network may not be there yet
    ],
)
def test_what_fails_once_is_tried_again(
    played: Played, state: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: Exception
) -> None:
    good = played.inspect

    def sometimes() -> Seen:
        if played.inspections == number:
            played.inspections += 1
            raise error
        return good()

    monkeypatch.setattr(played, "inspect", sometimes)
    played.then = [nothing] * 12
    heard = ran(played, state, interval=4.0)
    assert played.inspections > 3
    assert sum("not inspected" in line for line in heard.lines) == 1


def test_a_file_of_options_that_is_broken_later_on_ends_nothing(
    windows: Windows, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accept = put(tmp_path / "accept.toml", "")
    waits: list[float] = []

    def wait(_watched: object, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            put(accept, "nonsense")
            put(windows.root / HOST, KERNEL_OFF)
        if len(waits) == 60:
            raise KeyboardInterrupt

    moments = iter(range(0, 10_000, 2))
    monkeypatch.setattr("agent.sources.local.watched.waiting", lambda _folder: lambda seconds: wait(None, seconds))
    monkeypatch.setattr(command.time, "monotonic", lambda: next(moments))
    assert main(["agent", "--state", str(state), "--ad", "off", "--accept", str(accept)]) == exits.CLEAN
    *_, trouble, last = capsys.readouterr().out.splitlines()
    assert trouble.startswith("not inspected: ")
    assert "accept.toml" in trouble
    assert last == "stopped"


# -- the log -------------------------------------------------------------------------------------------------------


def test_the_log_takes_no_more_than_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "LOG_BYTES", 2000)
    teller = Teller(Log(tmp_path / LOG), lambda _line: None)
    for number in range(500):
        teller.say(f"line {number} \u202e\x1b[31m\nforged")
    teller.close()
    assert names(tmp_path) == [LOG, *(f"{LOG}.{number}" for number in (1, 2, 3))]
    assert all(path.stat().st_size <= 2100 for path in tmp_path.iterdir())
    text = (tmp_path / LOG).read_text("utf-8")
    assert "line 499" in text
    assert "\x1b" not in text
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / LOG).mkdir()
    shown: list[str] = []
    teller = Teller(Log(tmp_path / LOG), shown.append)
    teller.say("a")
    teller.say("b")
    teller.close()
    assert shown == ["a", "b"]
    assert capsys.readouterr() == ("", "")


# -- killed --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")
def test_killed_at_any_moment_it_tells_what_changed_when_it_starts_again(played: Played, tmp_path: Path) -> None:
    """Twice at the worst, never not at all; and what stands in the folders is whole."""
    before, moment, was_killed = tmp_path / "before", 0, True
    ran(played, before, tmp_path / "drop-before")
    put(played.windows.root / HOST, KERNEL_OFF)
    while was_killed:
        moment += 1
        state, drop = tmp_path / f"state{moment}", tmp_path / f"drop{moment}"
        shutil.copytree(before, state)
        shutil.copytree(tmp_path / "drop-before", drop)
        first = tmp_path / f"told{moment}"
        was_killed = die_at(moment, lambda: _events_into(first, played, state, drop))  # noqa: B023
        events = (1 if first.exists() else 0) + len(ran(played, state, drop).events)
        assert 1 <= events <= 2
        for path in (*state.glob("*.report.json"), *drop.glob("*.report.json")):
            Report.from_json(path.read_bytes())
        assert (drop / "iis01.test.com.report.json").read_bytes() == (state / "last.report.json").read_bytes()
        assert not read_target(drop / "iis01.test.com.snapshot.json.gz", None, {}).problems
    assert moment > 10


def _events_into(file: Path, played: Played, state: Path, drop: Path) -> None:
    """One look, whose event is a file: it outlives the process, as the event log does."""
    teller = Teller(Log(state / LOG), lambda _line: None, lambda _changes, _text: file.mkdir())
    Agent(played, Places(state=state, drop=Drop(drop, played.shares), textfile=None), teller).once()


@pytest.mark.long
@pytest.mark.parametrize("refusal", [OSError(errno.ENOSPC, "full"), OSError(errno.EACCES, "denied")])
def test_refused_at_any_moment_it_goes_on(played: Played, tmp_path: Path, refusal: OSError) -> None:
    """Through whatever call the disk is full or closed, the next look is a whole one."""
    moment, is_over = 0, True
    while is_over:
        moment += 1
        state, drop = tmp_path / f"state{moment}", tmp_path / f"drop{moment}"
        state.mkdir()
        heard = Heard(state / LOG)
        agent = Agent(played, Places(state=state, drop=Drop(drop, played.shares), textfile=None), heard)
        is_over, answer = refused_at(moment, refusal, agent.once)
        assert isinstance(answer, tuple), answer
        assert agent.once()[1] is True
        heard.close()
        assert {"last.report.json", "last.snapshot.json.gz"} <= set(names(state))
        assert names(drop) == ["iis01.test.com.report.json", "iis01.test.com.snapshot.json.gz"]


# -- for months ----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_nothing_is_left_of_a_look(played: Played, state: Path, tmp_path: Path) -> None:
    """What is alive after 30 looks is what was alive after 10; benchmarks/agent.py has 10,000."""
    state.mkdir()
    teller = Teller(Log(state / LOG), lambda _line: None)
    agent = Agent(
        played, Places(state=state, drop=Drop(tmp_path / "drop", played.shares), textfile=tmp_path / "x.prom"), teller
    )
    changes: Mapping[bool, str] = {True: CONFIG, False: KERNEL_OFF}

    def alive(looks: int) -> int:
        for number in range(looks):
            put(played.windows.root / HOST, changes[number % 2 == 0])
            agent.once()
        gc.collect()
        return len(gc.get_objects())

    alive(4)
    first, then = alive(10), alive(20)
    assert then - first < 20
    teller.close()
