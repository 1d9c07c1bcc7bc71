"""A server that is at work while it is read: files that change, shares that hang, rights that are missing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_local import CONFIG, SYSTEM, VARIABLES, FakeWindows, contents, put
from worlds import server, site

from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Machine, Snapshot, SourceFile, WorkerProcess
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.model import Report
from agent.render.verdict import not_looked_at
from agent.sources.local import reading
from agent.sources.local.facts import Answer, Fact, gathered, pool_of
from agent.sources.local.paths import openable
from agent.sources.local.server import read_this_server
from agent.sources.shares import Shares, file_server
from agent.sources.snapshots import store
from agent.sources.snapshots.disk import load
from agent.sources.snapshots.document import document_of
from agent.sources.snapshots.targets import read_target

pytestmark = pytest.mark.windows

HOST = f"{SYSTEM}/applicationHost.config"
MINE = CONFIG.replace(r'<virtualDirectory path="/far" physicalPath="\\srv\share\app" />', "")


def read(root: Path, shares: Shares | None = None) -> Snapshot:
    return read_this_server(FakeWindows(root, VARIABLES), shares)


# -- files that change ---------------------------------------------------------------------------------------------


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """What happens in each pause, one after the other; nobody waits."""
    happening: list[Callable[[], object]] = []
    monkeypatch.setattr(reading.time, "sleep", lambda _seconds: happening.pop(0)() if happening else None)
    yield happening
    assert happening == []


@pytest.mark.parametrize("half", ["", MINE[: len(MINE) // 2]])
def test_a_file_that_is_being_written_is_read_again(
    tmp_path: Path, pauses: list[Callable[[], object]], half: str
) -> None:
    """IIS and editors empty a file before they fill it."""
    put(tmp_path / HOST, half)
    pauses += [lambda: None, lambda: put(tmp_path / HOST, MINE)]
    answer = configuration_file(read(tmp_path))
    assert answer.file is not None
    assert answer.file.data.decode() == MINE


def test_a_file_that_was_replaced_between_two_names_is_read_again(
    tmp_path: Path, pauses: list[Callable[[], object]]
) -> None:
    put(tmp_path / "c/Windows/x")
    pauses += [lambda: put(tmp_path / HOST, MINE)]
    assert configuration_file(read(tmp_path)).file is not None


@pytest.mark.usefixtures("pauses")
def test_what_changes_each_time_is_said_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / HOST, MINE)

    def while_it_is_read(path: Path, name: str) -> SourceFile:
        found = load(path, name)
        if found.error is None:
            path.write_bytes(found.data + b" ")
        return found

    monkeypatch.setattr(reading, "load", while_it_is_read)
    problem = configuration_file(read(tmp_path)).problem
    assert problem is not None
    assert (problem.id, problem.message) == ("source-unreadable", "it changed each time it was read")
    assert problem.fix == ("Run it again in a moment, when nobody writes to it any more.",)


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("left", ["", "<configuration>\n<unfinished"])
def test_what_stays_broken_is_told_as_it_is(tmp_path: Path, left: str) -> None:
    put(tmp_path / HOST, left)
    report = analyse([read(tmp_path)], Sources()).report
    assert "config-malformed" in {found.id for found in report.findings}
    assert not report.complete


def test_a_file_that_another_program_has_open_is_no_question_of_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[Callable[[], object]]
) -> None:
    put(tmp_path / HOST, MINE)
    opens, tried = Path.open, list[Path]()

    def shared(path: Path, *given: object) -> object:
        tried.append(path)
        if len(tried) < 3:
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = 32  # type: ignore[attr-defined]  # ERROR_SHARING_VIOLATION
            raise error
        return opens(path, *given)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", shared)
    pauses += [lambda: None] * 2
    assert configuration_file(read(tmp_path)).file is not None
    tried.clear()
    monkeypatch.setattr(reading, "PAUSES", ())
    problem = configuration_file(read(tmp_path)).problem
    assert problem is not None
    assert problem.message == "another program has it open, and lets nobody read it"
    assert "rights" not in " ".join(problem.fix)


@pytest.mark.usefixtures("pauses")
def test_all_files_together_are_waited_for_a_few_times_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / HOST, MINE)
    for number in range(50):
        put(tmp_path / f"c/inetpub/wwwroot/{number}/web.config", "")
    waited: list[float] = []
    monkeypatch.setattr(reading.time, "sleep", waited.append)
    assert len(contents(read(tmp_path))) == 50
    assert len(waited) == reading.MAXIMUM_WAITS


# -- shares that hang ----------------------------------------------------------------------------------------------


class Hanging(FakeWindows):
    """A Windows whose file server `srv` does not answer while `is_gone` is not set."""

    is_gone = threading.Event()
    asked: list[str]

    def real(self, physical: str) -> Path:
        if file_server(physical) == "srv":
            self.asked.append(physical)
            self.is_gone.wait()
        return super().real(physical)


def test_a_share_that_hangs_is_left_and_asked_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = r'<virtualDirectory path="/b" physicalPath="\\SRV\other\b" />'
    put(tmp_path / HOST, CONFIG.replace("</application>", f"{second}</application>"))
    put(tmp_path / "c/inetpub/wwwroot/web.config")
    gone, asked = threading.Event(), list[str]()
    monkeypatch.setattr(Hanging, "is_gone", gone)
    monkeypatch.setattr(Hanging, "asked", asked, raising=False)
    shares, windows = Shares(0.05), Hanging(tmp_path, VARIABLES)
    try:
        found = [read_this_server(windows, shares) for _ in range(3)]
    finally:
        gone.set()
    for each in found:
        assert each.machine.unread == tuple(
            (rf"{folder}\web.config", "the share gave no answer in 0.05 s")
            for folder in (r"\\srv\share\app", r"\\SRV\other\b")
        )
        assert contents(each) == ["files/c/inetpub/wwwroot/web.config"], "what stands on drives is there"
    assert len(asked) == 1, "while one question hangs no other is asked"


def test_a_shared_configuration_that_hangs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / HOST, MINE)
    redirected = r'<configuration><configurationRedirection enabled="true" path="\\srv\iis" /></configuration>'
    put(tmp_path / SYSTEM / "redirection.config", redirected)
    gone = threading.Event()
    monkeypatch.setattr(Hanging, "is_gone", gone)
    monkeypatch.setattr(Hanging, "asked", [], raising=False)
    try:
        problem = configuration_file(read_this_server(Hanging(tmp_path, VARIABLES), Shares(0.05))).problem
    finally:
        gone.set()
    assert problem is not None
    assert "could not be read: the share gave no answer in 0.05 s" in problem.message


def test_a_share_answers_again() -> None:
    gone, shares = threading.Event(), Shares(0.05)
    with pytest.raises(TimeoutError):
        shares.ask(r"\\srv\a", gone.wait)
    with pytest.raises(TimeoutError):
        shares.ask(r"\\srv\b", lambda: 1)
    assert shares.ask(r"\\other\a", lambda: 2) == 2
    gone.set()
    for thread in list(shares._hanging.values()):
        thread.join()
    assert shares.ask(r"\\SRV\b", lambda: 3) == 3
    with pytest.raises(FileNotFoundError):
        shares.ask(r"\\srv\b", Path("/nowhere/at/all").stat)


@pytest.mark.parametrize(
    ("physical", "name"),
    [
        (r"\\Srv\share\x", "srv"),
        (r"\\?\UNC\srv\share", "srv"),
        (r"\\?\C:\x", None),
        (r"\\.\C:", None),
        (r"C:\x", None),
        ("", None),
    ],
)
def test_whose_share_a_path_is_on(physical: str, name: str | None) -> None:
    assert file_server(physical) == name


# -- long paths ----------------------------------------------------------------------------------------------------

DEEP = "\\".join(["folder-of-thirty-characters-long"] * 12)


@pytest.mark.parametrize(
    ("physical", "opened"),
    [
        (r"C:\inetpub\wwwroot", r"C:\inetpub\wwwroot"),
        (r"\\srv\share\app", r"\\srv\share\app"),
        (rf"C:\{DEEP}", rf"\\?\C:\{DEEP}"),
        (rf"C:/.\\{DEEP}/web.config", rf"\\?\C:\{DEEP}\web.config"),
        (rf"\\srv\share\{DEEP}", rf"\\?\UNC\srv\share\{DEEP}"),
        (rf"\\?\C:\{DEEP}", rf"\\?\C:\{DEEP}"),
    ],
)
def test_a_long_path_is_opened_as_windows_takes_it(physical: str, opened: str) -> None:
    """Microsoft Learn, "Maximum Path Length Limitation": behind this prefix Windows changes nothing any more."""
    assert openable(physical) == opened


# -- facts that are not told ---------------------------------------------------------------------------------------


def denied() -> Answer:
    raise PermissionError(13, "Access is denied")


def test_a_fact_that_is_denied_costs_none_of_the_others() -> None:
    machine = gathered(
        [
            Fact("names", lambda: Answer({"name": "IIS01"}), "what it is called"),
            Fact("registry", denied, "what http.sys is set to"),
            Fact("services", lambda: Answer({"services": {"W3SVC": "running"}}), "which services run"),
            Fact("worker processes", lambda: Answer({"worker_processes": ()}, "2 denied"), "whether pools run so"),
        ]
    )
    assert (machine.name, machine.services, machine.registry) == ("IIS01", {"W3SVC": "running"}, None)
    assert machine.facts_unread == (
        (
            "registry",
            "access denied: it takes an elevated prompt (Run as administrator); what http.sys is set to is not known",
        ),
        ("worker processes", "2 denied; whether pools run so is not known"),
    )


def lacking(**facts: object) -> Report:
    unread = (("worker processes", "access denied: it takes an administrator; whether pools run so is not known"),)
    return analyse([server(site("*:80:www.test.com"), facts={"facts_unread": unread, **facts})], Sources()).report


def test_what_was_not_told_is_said_and_does_not_make_a_report_incomplete() -> None:
    report = lacking()
    assert report.complete
    assert [problem.id for problem in report.servers[0].problems if problem.id.startswith("facts")]
    (told,) = [line for line in not_looked_at(report) if "worker" in line]
    assert told == (
        "Not collected, worker processes: access denied: it takes an administrator; whether pools run so is not known: "
        "IIS01."
    )
    assert not [found for found in report.findings if "denied" in found.message]


@pytest.mark.parametrize(
    ("words", "pool"),
    [
        (["c:\\windows\\system32\\inetsrv\\w3wp.exe", "-ap", "Pool With Spaces", "-v", "v4.0"], "Pool With Spaces"),
        (["w3wp.exe", "-AP", "Größe", "-a", "\\\\.\\pipe\\iisipm1"], "Größe"),
        (["w3wp.exe", "-v", "v4.0"], None),
        (["w3wp.exe", "-ap"], None),
        (["w3wp.exe", "-ap", ""], None),
        ([], None),
    ],
)
def test_which_pool_a_worker_process_serves(words: list[str], pool: str | None) -> None:
    assert pool_of(words) == pool


# -- the snapshot of it --------------------------------------------------------------------------------------------


def stored(root: Path, found: Snapshot) -> Snapshot:
    return read_target(store.write(root, "iis01", document_of(found)), None, {})


@pytest.mark.usefixtures("pauses")
def test_a_snapshot_of_this_server_says_what_it_says_itself(tmp_path: Path) -> None:
    section = '<windowsAuthentication configSource="Auth.config"/>'
    web = "<configuration><system.webServer><security><authentication>{}</authentication></security></system.webServer>"
    put(tmp_path / HOST, CONFIG)
    put(tmp_path / "c/inetpub/wwwroot/web.config", web.format(section) + "</configuration>")
    put(tmp_path / "c/inetpub/wwwroot/Auth.config", "<windowsAuthentication/>")
    put(tmp_path / "c/inetpub/wwwroot/Größe/web.config", "<configuration><!-- ü --></configuration>")
    found = read(tmp_path)
    again = stored(tmp_path / "drop", found)
    assert again.problems == ()
    assert set(again.files) == set(found.files)
    assert (again.machine.unread, again.machine.content_looked) == (found.machine.unread, True)
    assert (again.machine.name, again.machine.dns_name) == ("IIS01", "iis01.test.com")
    assert again.machine.collected_at is not None
    shown = {file.name.rpartition(".gz/")[2] for file in again.files.values()}
    assert shown == {
        "applicationHost.config",
        *(f"files/C/inetpub/wwwroot/{name}" for name in ("web.config", "Auth.config", "Größe/web.config")),
    }


def test_a_snapshot_keeps_every_fact(tmp_path: Path) -> None:
    facts = {
        "worker_processes": (WorkerProcess("Pool", 42, r"TEST\svc"),),
        "services": {"W3SVC": "running"},
        "facts_unread": (("registry", "access denied"),),
        "unread": ((r"\\srv\share\web.config", "second hop"),),
        "additional_kerberos_accounts": (),
        "registry": {"BackConnectionHostNames": ["a.test.com"], "MaxFieldLength": 16384},
    }
    built = server(facts=facts)
    again = stored(tmp_path, built)
    for name in Machine.__struct_fields__:
        assert getattr(again.machine, name) == getattr(built.machine, name), name


@pytest.mark.usefixtures("pauses")
def test_a_snapshot_says_what_could_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied", None, 5)  # ERROR_ACCESS_DENIED

    put(tmp_path / HOST, CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        found = read(tmp_path)
    problem = configuration_file(stored(tmp_path / "drop", found)).problem
    assert problem is not None
    assert problem.id == "source-unreadable"
    assert "Run as administrator" in problem.message
