"""Files appear whole or not at all, whoever else writes, links or watches there."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent import writing
from agent.sources.snapshots.sweep_file import Sweep, add_run
from agent.writing import append, write_whole

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links take a privilege on Windows, and it has no modes")

REFUSALS = (PermissionError,) if sys.platform == "win32" else ()
"""Windows renames no file that another program has open, and opens none that is being renamed: told to both."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


# -- whole or not at all -------------------------------------------------------------------------------------------


@pytest.mark.windows
@pytest.mark.parametrize("how", [{}, {"private": True}, {"durable": True}])
def test_the_pieces_are_what_stands_there(tmp_path: Path, how: dict[str, bool]) -> None:
    path = tmp_path / "report"
    for pieces in ([b"old ", b"one"], [b"a\r\n", b"", b"\0b\n"]):
        write_whole(path, pieces, **how)
        assert path.read_bytes() == b"".join(pieces)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.windows
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt(), KeyError("ours")])
def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path: Path, fault: BaseException, private: bool) -> None:
    path = tmp_path / "report"
    path.write_bytes(b"old")

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        assert len(list(tmp_path.iterdir())) == 2
        raise fault

    with pytest.raises(type(fault)):
        write_whole(path, pieces(), private=private)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="a disk that is always full is Linux's")
def test_a_full_disk_is_told() -> None:
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_whole(full, [b"x"])
    assert stat.S_ISCHR(full.stat().st_mode)


@pytest.mark.windows
def test_a_reader_never_sees_a_part_whoever_else_writes(tmp_path: Path) -> None:
    path, end = tmp_path / "report", threading.Event()
    texts = {tag * 200_000 for tag in (b"A", b"B", b"C")}
    path.write_bytes(b"A" * 200_000)

    def slowly(text: bytes) -> Iterator[bytes]:
        for at in range(0, len(text), 10_000):
            yield text[at : at + 10_000]
            end.wait(0.0005)

    def watched() -> set[bytes]:
        seen = set()
        while not end.is_set():
            with contextlib.suppress(*REFUSALS):
                seen.add(path.read_bytes())
        return seen

    with ThreadPoolExecutor(4) as threads:
        reader = threads.submit(watched)
        for writer in [threads.submit(write_whole, path, slowly(text)) for text in texts for _ in range(4)]:
            with contextlib.suppress(*REFUSALS):
                writer.result()
        end.set()
        assert reader.result() <= texts
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_with_one_file(tmp_path: Path) -> None:
    path = tmp_path / "report"
    script = (
        "import sys, pathlib; from agent.writing import write_whole\n"
        "for _ in range(50): write_whole(pathlib.Path(sys.argv[1]), [sys.argv[2].encode() * 1000] * 100)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, str(path), tag]) for tag in "AB"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert path.read_bytes() in {b"A" * 100_000, b"B" * 100_000}
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    replace = Path.replace
    monkeypatch.setattr("os.fsync", lambda handle: done.append("folder" if is_folder(handle) else "file"))
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("name"), replace(*paths))[1])
    write_whole(tmp_path / "report", [b"x"], durable=True)
    assert done == (["file", "name"] if sys.platform == "win32" else ["file", "name", "folder"])


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.windows
def test_windows_renames_no_file_that_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virus scanner has it for a moment."""
    refusals = [PermissionError(13, "in use"), PermissionError(13, "in use")]
    replace = Path.replace

    def busy(*paths: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(*paths)

    monkeypatch.setattr(writing, "_PATIENCE", (0.0, 0.0))
    monkeypatch.setattr(Path, "replace", busy)
    write_whole(tmp_path / "report", [b"x"])
    assert (tmp_path / "report").read_bytes() == b"x"


# -- who may read it -----------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.usefixtures("umask")
def test_a_new_file_is_as_the_umask_says_and_a_private_one_its_owners(tmp_path: Path) -> None:
    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b"x"
        seen.extend(mode(path) for path in tmp_path.glob(".*"))

    write_whole(tmp_path / "usual", pieces())
    write_whole(tmp_path / "private", pieces(), private=True)
    append(tmp_path / "journal", b"line\n")
    assert seen == [0o640, 0o600]
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
        "usual": 0o640,
        "private": 0o600,
        "journal": 0o600,
    }


@POSIX
def test_a_file_keeps_its_mode_unless_it_is_to_be_private(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_bytes(b"old")
    path.chmod(0o664)
    write_whole(path, [b"new"])
    assert mode(path) == 0o664
    write_whole(path, [b"secret"], private=True)
    assert mode(path) == 0o600


@pytest.mark.windows
def test_what_is_read_only_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.access", lambda *_asked: False)  # root may write anything
    with pytest.raises(PermissionError):
        write_whole(path, [b"new"])
    assert path.read_bytes() == b"old"


# -- what is no plain file -----------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("target", ["old.json", "folder/old.json", "new.json"])
def test_a_link_stays_one_and_leads_to_the_new_text(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    if "old" in target:
        (tmp_path / target).write_bytes(b"old")
    (tmp_path / "one").symlink_to(target)
    (tmp_path / "folder" / "two").symlink_to(Path("..", "one"))
    write_whole(tmp_path / "folder" / "two", [b"new"])
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "folder" / "two").is_symlink()
    assert not (tmp_path / target).is_symlink()
    assert (tmp_path / target).read_bytes() == b"new"
    assert not list(tmp_path.rglob("*.tmp"))


@POSIX
def test_a_link_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", [b"x"])


@POSIX
def test_a_private_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    victim, planted = tmp_path / "victim", tmp_path / "planted"
    victim.write_bytes(b"precious")
    planted.symlink_to(victim)
    write_whole(planted, [b"x"], private=True)
    assert victim.read_bytes() == b"precious"
    assert (planted.is_symlink(), planted.read_bytes()) == (False, b"x")


@POSIX
@pytest.mark.parametrize("private", [False, True])
def test_nobody_can_foresee_where_it_is_written_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    """And where somebody does, the link that stands there is not followed."""
    victim, path = tmp_path / "victim", tmp_path / "report"
    victim.write_bytes(b"precious")
    for name in ("report.partial", ".report.tmp", f".report.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(victim)
    write_whole(path, [b"x"], private=private)
    monkeypatch.setattr("os.urandom", lambda size: bytes(size))
    (tmp_path / f".iis-spn-{'00' * 8}.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(path, [b"y"], private=private)
    assert (victim.read_bytes(), path.read_bytes()) == (b"precious", b"x")


LEFT = f".iis-spn-{'0f' * 8}.tmp"


@pytest.mark.parametrize(
    ("name", "days", "is_kept"),
    [(LEFT, 2, False), (LEFT, 0, True), (f"x{LEFT}", 2, True), (LEFT.replace("f", "g"), 2, True), ("a.tmp", 2, True)],
)
@pytest.mark.parametrize("writes", ["report", "sweep.json"])
def test_what_a_killed_run_left_goes_with_the_next_one_after_a_day(
    tmp_path: Path, name: str, days: int, is_kept: bool, writes: str
) -> None:
    left = tmp_path / name
    left.write_bytes(b"half a report")
    written = left.stat().st_mtime - days * 86_400
    os.utime(left, (written, written))
    if writes == "report":
        write_whole(tmp_path / "report", [b"x"])
    else:
        add_run(tmp_path, Sweep(started="2026", finished=None, asked=(), failed=()))
    assert left.exists() is is_kept


@POSIX
def test_no_link_and_no_folder_is_taken_for_what_was_left(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / LEFT
    victim.write_bytes(b"precious")
    os.utime(victim, (0, 0))
    link.symlink_to(victim)
    os.utime(link, (0, 0), follow_symlinks=False)
    write_whole(tmp_path / "report", [b"x"])
    assert (link.is_symlink(), victim.read_bytes()) == (True, b"precious")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_bytes_go_into_a_pipe_and_it_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(pipe.read_bytes)
        write_whole(pipe, [b"a", b"b"])
        assert read.result(10) == b"ab"
    assert pipe.is_fifo()
    with pytest.raises(FileExistsError):
        write_whole(pipe, [b"secret"], private=True)
    assert pipe.is_fifo()


def test_bytes_go_into_a_device_and_it_stays_one() -> None:
    device = Path(os.devnull)
    before = device.stat()
    write_whole(device, [b"x"])
    assert stat.S_ISCHR(before.st_mode)
    assert stat.S_ISCHR(device.stat().st_mode)


@pytest.mark.windows
def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for private in (False, True):
        with pytest.raises(OSError, match=r"irectory|no file|denied"):
            write_whole(tmp_path, [b"x"], private=private)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/stdout is another thing elsewhere")
@pytest.mark.parametrize("redirection", [">", ">>"])
def test_standard_output_as_a_file_keeps_what_stands_there(tmp_path: Path, redirection: str) -> None:
    script = "import pathlib; from agent.writing import write_whole; write_whole(pathlib.Path('{}'), [b'new'])"
    log, link = tmp_path / "log", tmp_path / "link"
    link.symlink_to("/dev/stdout")
    log.write_bytes(b"old ")
    number = log.stat().st_ino
    for place in ("/dev/stdout", str(link)):
        command = f'"$1" -c "{script.format(place)}" {redirection} "$2"'
        subprocess.run(["sh", "-c", command, "sh", sys.executable, str(log)], check=True)
    assert log.read_bytes() == (b"new" if redirection == ">" else b"old newnew")
    assert log.stat().st_ino == number


# -- lines at the end ----------------------------------------------------------------------------------------------


@pytest.mark.windows
def test_lines_are_added_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Any] = []
    monkeypatch.setattr("os.fsync", synced.append)
    for line in (b"one\n", b"two\n"):
        append(tmp_path / "journal", line)
    assert (tmp_path / "journal").read_bytes() == b"one\ntwo\n"
    assert len(synced) == 2
