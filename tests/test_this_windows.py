"""What only Windows itself can be asked: its facts, files that others have open, folders that change, its event log."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from parts import needs_make_believe, needs_windows
from waiting import until

from agent import exits
from agent.cli.program import main
from agent.history import Change
from agent.sources.local import reading
from agent.sources.local.server import read_this_server, this_windows
from agent.sources.local.watched import waiting
from agent.sources.shares import Shares
from agent.sources.snapshots.disk import load
from agent.watch.told import Log, Teller

pytestmark = [pytest.mark.windows, needs_windows]


# -- facts ---------------------------------------------------------------------------------------------------------


def test_every_fact_is_told_or_named_as_unread() -> None:
    machine = read_this_server().machine
    assert machine.name
    assert machine.membership in {"domain", "workgroup", "entra"}
    assert machine.addresses
    assert machine.registry is not None
    assert machine.certificate_names is not None or not machine.content_looked
    unread = {fact for fact, _ in machine.facts_unread}
    assert (machine.services is None) == ("services" in unread)
    assert machine.worker_processes is not None or "worker processes" in unread


@needs_make_believe
def test_services_and_worker_processes_of_a_make_believe_iis() -> None:
    machine = read_this_server().machine
    assert machine.services is not None
    assert {name: machine.services[name] for name in ("W3SVC", "WAS")} == {"W3SVC": "running", "WAS": "running"}
    assert machine.worker_processes is not None
    assert {worker.pool for worker in machine.worker_processes} == {"ContosoPool", "Pool With Spaces"}
    assert all(worker.pid > 0 and "\\" in worker.account for worker in machine.worker_processes)


@needs_make_believe
def test_inspect_without_a_target_is_this_server(capsys: pytest.CaptureFixture[str]) -> None:
    """IIS04 of the samples stands where IIS keeps its configuration."""
    assert main(["inspect", "--ad", "off", "--format", "json"]) in {exits.CLEAN, exits.FINDINGS}
    report = json.loads(capsys.readouterr().out)
    (server,) = report["servers"]
    assert (server["source"], server["status"]) == ("this server", "ok")
    assert {application["site"] for application in report["applications"]} >= {"Default Web Site", "Orders"}


def test_what_windows_calls_its_own_accounts() -> None:
    if sys.platform == "win32":
        from agent.sources.local import windows

        assert {r"NT AUTHORITY\SYSTEM", r"NT AUTHORITY\NETWORK SERVICE"} <= set(windows._well_known().values())


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A file that another program has open and shares with nobody, and how it is let go."""
    path = tmp_path / "applicationHost.config"
    path.write_bytes(b"<configuration></configuration>")
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel32.CreateFileW.restype = wintypes.HANDLE
        generic_read, shared_with_nobody, open_existing = 0x80000000, 0, 3
        handle = wintypes.HANDLE(
            kernel32.CreateFileW(str(path), generic_read, shared_with_nobody, None, open_existing, 0, None)
        )
        assert handle.value not in {None, wintypes.HANDLE(-1).value}
        held = [handle]
        yield path, lambda: kernel32.CloseHandle(held.pop())
        for each in held:
            kernel32.CloseHandle(each)


def test_a_file_that_nobody_may_share_is_in_use(closed: tuple[Path, Callable[[], object]]) -> None:
    found = load(closed[0], "x")
    assert (found.error, found.is_busy) == ("another program has it open, and lets nobody read it", True)


def test_a_file_in_use_is_waited_for(
    closed: tuple[Path, Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, let_go = closed
    monkeypatch.setattr(reading.time, "sleep", lambda _seconds: let_go())
    assert reading.Reader(Path, Shares()).load(str(path)).data == b"<configuration></configuration>"


def test_paths_of_over_260_characters_are_read(tmp_path: Path) -> None:
    windows = this_windows()
    deep = "\\".join([str(tmp_path), *["folder-of-thirty-characters-long"] * 12])
    windows.real(deep).mkdir(parents=True)
    windows.real(rf"{deep}\web.config").write_bytes(b"<configuration/>")
    reader = reading.Reader(windows.real, Shares())
    assert len(deep) > 300
    assert reader.load(rf"{deep}\web.config").data == b"<configuration/>"
    assert [entry.name for entry in reader.ask(deep, lambda path: list(path.iterdir()))] == ["web.config"]


def test_a_change_ends_the_wait(tmp_path: Path) -> None:
    """An hour is not over when this test is."""
    wait, waited = waiting(tmp_path), threading.Event()

    def waiter() -> None:
        wait(3600.0)
        waited.set()

    threading.Thread(target=waiter, daemon=True).start()
    number = 0

    def written() -> bool:
        nonlocal number
        number += 1
        (tmp_path / "applicationHost.config").write_text(str(number))
        return waited.is_set()

    until(written)


def test_a_folder_that_cannot_be_watched_is_waited_for_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("agent.sources.local.watched.time.sleep", slept.append)
    waiting(tmp_path / "gone")(2.0)
    assert slept == [2.0]


def test_a_log_that_somebody_has_open_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.watch.told.LOG_BYTES", 500)
    teller = Teller(Log(tmp_path / "agent.log"), lambda _line: None)
    teller.say("first")
    with (tmp_path / "agent.log").open("rb"):
        for number in range(30):
            teller.say(f"line {number}")
    teller.say("last")
    teller.close()
    told = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    assert all(f"line {number}\n" in told for number in range(30))
    assert "last" in told


def test_an_event_is_taken() -> None:
    if sys.platform == "win32":
        from agent.watch.events import write_event

        write_event([Change(kind="changed", what="setting", severity="warning", because="x")], "Größe 100 %1")
