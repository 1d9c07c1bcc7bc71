"""Where a report goes, and with which exit code it ends where it cannot go there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import exits
from agent.cli import formats
from agent.cli.program import main
from agent.render import sheet

ROOT = Path(__file__).parents[1]
CASES = [(command, form) for form in formats.FORMATS for command in form.commands if command != "sweep"]
INSPECT = ("inspect", str(ROOT / "sample_configs" / "IIS01"), "--ad", "off")
BEFORE = {
    "explain": ["http://intranet.test.com/"],
    "diff": [str(ROOT / "sample_configs" / "IIS05")],
    "probe": ["http://127.0.0.1:1/"],  # where nothing listens
}
AFTER = {"probe": ["--dns", "off"]}
"""What stands before a target."""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links take a privilege on Windows, and shells differ")
FULL = pytest.mark.skipif(sys.platform != "linux", reason="a disk that is always full is Linux's")


def run(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The program in a shell of its own."""
    command = f'"$0" -m agent "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


@pytest.mark.parametrize(("command", "form"), CASES, ids=[f"{command}.{form.name}" for command, form in CASES])
def test_the_file_holds_what_stdout_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, form: formats.Format
) -> None:
    out = tmp_path / "report"
    words = [command, *BEFORE.get(command, []), *INSPECT[1:], *AFTER.get(command, [])]
    code = main([*words, "--format", form.name])
    shown = capsys.readouterr().out.encode()
    assert main([*words, "--format", form.name, "--output", str(out)]) == code
    assert capsys.readouterr() == ("", "")
    assert without_time(out.read_bytes().decode()) == without_time(shown.decode())
    assert list(tmp_path.iterdir()) == [out]


def without_time(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z| UTC)|(?<=_timestamp_seconds )\d+", "TIME", text)


WINDOWS = """
import sys
sys.stdout.reconfigure(newline="\\r\\n", encoding="cp1252")
from agent.cli.program import main
sys.exit(main(sys.argv[1:]))
"""
"""A stdout as Python opens it for a pipe on Windows."""


@pytest.mark.parametrize(("command", "form"), CASES, ids=[f"{command}.{form.name}" for command, form in CASES])
def test_a_pipe_of_windows_gets_the_bytes_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, form: formats.Format
) -> None:
    """`\\r\\r\\n` stood in scripts and CSV, and JSON was cp1252."""
    monkeypatch.setenv("COLUMNS", "100")
    name = tmp_path / "Büro ł"
    shutil.copytree(ROOT / "sample_configs" / "IIS01", name)
    out = tmp_path / "report"
    words = [command, *BEFORE.get(command, []), str(name), "--ad", "off", *AFTER.get(command, [])]
    main([*words, "--format", form.name, "--output", str(out)])
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, *words, "--format", form.name], capture_output=True, cwd=ROOT, timeout=60
    )
    shown, expected = (without_time(data.decode("latin-1")) for data in (done.stdout, out.read_bytes()))
    if form.for_screen:  # text for people, in the letters and line ends of the console
        letters = expected.encode("latin-1").decode().encode("cp1252", "backslashreplace")
        assert shown == letters.decode("latin-1").replace("\n", "\r\n")
    else:
        assert shown == expected


@pytest.mark.parametrize("command", ["inspect", "explain", "plan"])
@pytest.mark.parametrize(("place", "words"), [("no/such/report", "no such folder"), (".", "it is a folder")])
def test_no_place_for_a_file_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str, words: str
) -> None:
    """Told before anything is read: the target does not exist."""
    url = ["http://a/"] if command == "explain" else []
    assert main([command, *url, "nowhere*", "--output", str(tmp_path / place)]) == exits.USAGE
    out, err = capsys.readouterr()
    assert (out, words in err) == ("", True)


def test_a_failure_leaves_the_old_file_and_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    out.write_text("old")

    def full(_report: object) -> object:
        yield "half"
        raise OSError(28, "No space left on device")

    form = formats.known_by("inspect")["json"]
    monkeypatch.setattr(f"{form.module}.{form.function}", full)
    assert main([*INSPECT, "--format", "json", "--output", str(out)]) == exits.INCOMPLETE
    assert capsys.readouterr().err == f"iis-spn: cannot write {out}: No space left on device\n"
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_fault_of_ours_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    out.write_text("old")
    monkeypatch.setattr(sheet, "to_csv", lambda _report: 1 / 0)
    assert main([*INSPECT, "--format", "csv", "--output", str(out)]) == exits.BUG
    assert out.read_text() == "old"


@POSIX
def test_links_are_kept_and_planted_ones_not_followed(tmp_path: Path) -> None:
    victim, real, link = tmp_path / "victim", tmp_path / "real", tmp_path / "link"
    victim.write_text("precious")
    for name in ("real.partial", "link.partial", ".real.partial"):
        (tmp_path / name).symlink_to(victim)
    link.symlink_to(real)
    assert main([*INSPECT, "--output", str(link)]) == exits.CLEAN
    assert (link.is_symlink(), real.is_symlink()) == (True, False)
    assert real.read_text().startswith("NOT CHECKED")
    assert victim.read_text() == "precious"


@POSIX
def test_a_device_is_written_to() -> None:
    for place in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        if Path(place).exists():
            done = run("| cat", *INSPECT, "--output", place)
            assert (done.stdout.startswith("NOT CHECKED"), done.stderr) == (True, "")
    assert run("", *INSPECT, "--output", os.devnull).returncode == exits.CLEAN
    assert Path(os.devnull).is_char_device()


# -- stdout --------------------------------------------------------------------------------------------------------


@FULL
@pytest.mark.parametrize("words", [INSPECT, ("rules",), ("--version",)], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("redirection", "reason"), [("> /dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_stdout_that_cannot_be_written_is_2(words: tuple[str, ...], redirection: str, reason: str) -> None:
    done = run(redirection, *words)
    assert done.stderr == f"iis-spn: cannot write to stdout: {reason}\n"
    assert done.returncode == exits.INCOMPLETE


@FULL
def test_a_file_needs_no_stdout(tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = run(">&-", *INSPECT, "--output", str(out))
    assert (done.returncode, done.stderr) == (exits.CLEAN, "")
    assert out.read_text().startswith("NOT CHECKED")


@POSIX
def test_nobody_who_hears_a_complaint_is_no_fault() -> None:
    assert run("2>&-", "inspect", "nowhere*").returncode == exits.USAGE
    assert run("2>&-", *INSPECT).returncode == exits.CLEAN
