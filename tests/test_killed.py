"""Whatever is written: killed at any moment, on a full disk or a read-only one, the old file or the new one stands."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from dying import die_at, refused_at

from agent import exits
from agent.change.journal import Change, Files, Journal, Record
from agent.change.lock import alone
from agent.cli.program import main
from agent.errors import SourceError, UsageError
from agent.sources.snapshots import store, sweep_file, targets
from agent.sources.snapshots.sweep_file import Failed, Sweep, add_run, read_sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")

SAMPLES = Path(__file__).parents[1] / "sample_configs"
CONFIG = (SAMPLES / "IIS01" / "applicationHost.config").read_text(encoding="utf-8")
REFUSALS = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EROFS, "Read-only file system"),
    OSError(errno.EACCES, "Permission denied"),
    OSError(errno.EIO, "Input/output error"),
]


class Subject(NamedTuple):
    """Something that is written. `make(n)` writes its n-th text into the folder, `seen` reads what stands there."""

    make: Callable[[Path, int], object]
    seen: Callable[[Path], object]
    names: tuple[str, ...]
    """The files that stand there when it is done."""


def report(folder: Path, number: int) -> int:
    """`--output`; other servers each time, so that the text differs."""
    words = ["inspect", str(SAMPLES / f"IIS0{number}"), "--ad", "off", "--format", "json"]
    return main([*words, "--output", str(folder / "report.json")])


def reported(folder: Path) -> object:
    text = (folder / "report.json").read_text(encoding="utf-8") if (folder / "report.json").exists() else None
    return None if text is None else [server["name"] for server in json.loads(text)["servers"]]


def snapshot(folder: Path, number: int) -> object:
    document = {
        "schema": "iis-spn/snapshot/1",
        "machine": {"name": f"WEB{number}", "content": {"looked": True}},
        "files": {"applicationHost.config": {"text": CONFIG}},
    }
    return store.write(folder, "web", json.dumps(document).encode())


def snapshots(folder: Path) -> object:
    found = list(targets.read_targets(targets.expand([str(folder)]), None, {}))
    assert all(not one.problems for one in found if one.files)
    return [one.machine.name for one in found if one.files] or None


def sweep(folder: Path, number: int) -> None:
    failed = tuple(Failed(f"web{n}", "connect", "no", "Ask.") for n in range(number))
    add_run(folder, Sweep(started="2026", finished=None, asked=tuple(one.host for one in failed), failed=failed))


def swept(folder: Path) -> object:
    record = read_sweep(folder)
    return None if record is None else len(record.asked)


def changes(number: int) -> tuple[Change, ...]:
    each = range(1, number + 1)
    return tuple(Change(n, "spn-add", f"CN=s{n}", f"T\\s{n}", f"HTTP/s{n}", "spn-missing") for n in each)


def rollback(folder: Path, number: int) -> None:
    Record("dc", changes(number), {"CN=s1": ["HTTP/x"] * 50}, ()).write(Files.of(folder / "back.json"))


def rolled(folder: Path) -> object:
    return len(Record.read(Files.of(folder / "back.json")).changes) if (folder / "back.json").exists() else None


SUBJECTS = {
    "report": Subject(report, reported, ("report.json",)),
    "snapshot": Subject(snapshot, snapshots, ("web.snapshot.json.gz",)),
    "sweep.json": Subject(sweep, swept, ("sweep.json",)),
    "rollback": Subject(rollback, rolled, ("back.json",)),
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return SUBJECTS[request.param]


@pytest.fixture(params=["nothing", "an earlier text"])
def first(request: pytest.FixtureRequest, subject: Subject, tmp_path: Path) -> object:
    """What stands there before."""
    if request.param != "nothing":
        subject.make(tmp_path, 1)
    return subject.seen(tmp_path)


@pytest.fixture
def second(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What stands there when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("whole")
    subject.make(folder, 1)
    subject.make(folder, 2)
    assert sorted(path.name for path in folder.iterdir()) == sorted(subject.names)
    return subject.seen(folder)


def test_killed_at_any_moment_the_old_or_the_new_stands(
    subject: Subject, first: object, second: object, tmp_path: Path
) -> None:
    seen: list[object] = []
    while die_at(len(seen) + 1, lambda: subject.make(tmp_path, 2)) and second not in seen:
        seen.append(subject.seen(tmp_path))
        assert seen[-1] in (first, second)
    assert len(seen) >= 4, "making, filling, naming"
    assert seen[0] == first
    subject.make(tmp_path, 2)
    assert subject.seen(tmp_path) == second, "what a killed run left behind is in nobody's way"


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: errno.errorcode[error.errno])
def test_refused_at_any_moment_the_old_or_the_new_stands_and_it_is_told(
    subject: Subject,
    first: object,
    second: object,
    tmp_path: Path,
    error: OSError,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(1, 1000):
        capsys.readouterr()
        was_refused, answer = refused_at(number, error, lambda: subject.make(tmp_path, 2))
        stands = subject.seen(tmp_path)
        if not was_refused:
            break
        assert stands in (first, second)
        left = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".iis-spn-"))
        assert left == sorted(subject.names if stands is not None else ())
        if stands != second:
            assert answer == exits.INCOMPLETE or isinstance(answer, OSError | SourceError)
            assert str(error.strerror) in f"{answer}{capsys.readouterr().err}"
        subject.make(tmp_path, 1)
        first = subject.seen(tmp_path)
    assert 4 <= number < 999
    assert stands == second


# -- the journal, which grows line by line -------------------------------------------------------------------------


def lines(journal: Path) -> dict[int, str]:
    return Journal(journal).steps


def note(journal: Path, event: str) -> None:
    Journal(journal).note(event, 1)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "back.journal"
    Journal(path).begin("dc", changes(3))
    Journal(path).note("intent", 1)
    return path


def test_a_journal_that_is_killed_at_any_moment_has_the_line_or_not(journal: Path) -> None:
    before = journal.read_bytes()
    moments = 0
    while die_at(moments + 1, lambda: note(journal, "done")):
        moments += 1
        assert lines(journal) in ({1: "intent"}, {1: "done"})
        note(journal, "refused")
        assert lines(journal) == {1: "refused"}, "a torn line spoils no later one"
        journal.write_bytes(before)
    assert moments >= 3
    assert lines(journal) == {1: "done"}


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: errno.errorcode[error.errno])
def test_a_journal_that_is_refused_says_so_and_keeps_what_it_has(journal: Path, error: OSError) -> None:
    before = journal.read_bytes()
    for number in range(1, 100):
        was_refused, answer = refused_at(number, error, lambda: note(journal, "done"))
        if not was_refused:
            break
        assert isinstance(answer, SourceError)
        assert (error.strerror or "") in str(answer)
        assert lines(journal) in ({1: "intent"}, {1: "done"})
        journal.write_bytes(before)
    assert 3 <= number < 99


@pytest.mark.parametrize("name", ["back.journal", "back.lock"])
def test_a_link_that_somebody_put_there_is_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises((SourceError, UsageError), match="cannot write"):  # noqa: SIM117
        with alone(tmp_path / "back.lock"):
            Journal(tmp_path / "back.journal").note("intent", 1)
    assert victim.read_text() == "precious"


# -- what really happens -------------------------------------------------------------------------------------------


def limited(work: Callable[[], object], size: int) -> int:
    """The work in a process that may write no file of more than so many bytes; its exit code."""
    import resource

    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            answer = work()
            code = answer if isinstance(answer, int) else 0
        except OSError:
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", ["report", "snapshot"])
def test_a_limit_of_the_system_itself_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    subject = SUBJECTS[name]
    subject.make(tmp_path, 1)
    old = subject.seen(tmp_path)
    assert limited(lambda: subject.make(tmp_path, 2), 256) == 2
    assert subject.seen(tmp_path) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(subject.names)


def test_the_record_of_a_sweep_is_no_snapshot(tmp_path: Path) -> None:
    sweep(tmp_path, 2)
    assert (tmp_path / sweep_file.SWEEP).exists()
    assert snapshots(tmp_path) is None
