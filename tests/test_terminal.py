"""What reaches a terminal: no name, wherever it comes from, drives it; colours where it takes them."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest
from configurations import configuration

from agent.cli import console
from agent.cli.formats import known_by
from agent.cli.program import main

DRIVES = "a\x1b[31m\x9b2J\u202eb\x07\u2028"
"""Escape sequences, a reversed line, a bell, an end of a line: all of them may stand in the name of a file."""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such name on Windows")
HARMLESS = {"\n", "\r", "\t"}


def demand_harmless(text: str) -> None:
    found = {c for c in text if (not c.isprintable() or c in "\u202e\x9b") and c not in HARMLESS and c != "\ufeff"}
    assert not found, ascii(text[:400])


FILES = {
    "--ad": "garbage",
    "--dns": "$ORIGIN a.\nx A nonsense\n",
    "--farm": "x = [",
    "--accept": "[[accept]]\nid = 5\n",
    "--ca": "no certificate",
}


@POSIX
@pytest.mark.parametrize("text", ["", "garbage", None, "good"])
@pytest.mark.parametrize("option", [*FILES, "TARGET", "--output"])
@pytest.mark.parametrize("command", ["inspect", "plan", "explain"])
def test_no_name_of_a_file_drives_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: str, text: str | None
) -> None:
    """`None`: the file is not there."""
    target, odd = tmp_path / "IIS01", tmp_path / DRIVES
    target.mkdir()
    (target / "applicationHost.config").write_text(configuration(), encoding="utf-8")
    content = configuration() if option == "TARGET" and text == "good" else FILES.get(option, text)
    if text is not None:
        odd.write_text(content if text == "good" and content else text, encoding="utf-8")
    words = [command, *(["http://a.test.com/"] if command == "explain" else [])]
    words += [str(odd)] if option == "TARGET" else [str(target), option, str(odd)]
    for form in known_by(command):  # type: ignore[arg-type]
        main([*words, "--format", form])
        for said in capsys.readouterr():
            demand_harmless(said)


@POSIX
@pytest.mark.parametrize("odd", [DRIVES, f"no/{DRIVES}"])
@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["inspect", "{}*"],
        ["inspect", "--{}"],
        ["inspect", "--format", "{}"],
        ["inspect", "--client", "{}"],
        ["inspect", "--computer", "{}"],
        ["inspect", "--netbios-domain", "{}"],
        ["inspect", "--ad", "ldap://{}"],
        ["inspect", "--dns", "{}"],
        ["explain", "http://{}/"],
        ["explain", "{}"],
        ["sweep", "{}"],
        ["sweep", "--inventory", "{}"],
        ["collect", "web01", "--to", "{}/x"],
        ["collect", "--to", "{}", "--forget", "{}"],
        ["rules", "{}"],
        ["plan", "--rollback", "{}"],
    ],
    ids=" ".join,
)
def test_no_word_of_the_command_line_drives_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], odd: str
) -> None:
    monkeypatch.chdir(tmp_path)
    main([word.replace("{}", odd) for word in words])
    for said in capsys.readouterr():
        demand_harmless(said)


class Kernel:
    """A console of Windows: `mode` None where stdout is none, and whether it lets itself be told."""

    def __init__(self, mode: int | None, *, takes: bool = True) -> None:
        self.mode, self.takes = mode, takes

    def GetStdHandle(self, which: int) -> int:  # noqa: N802  Windows calls it so
        assert which == -11
        return 7

    def GetConsoleMode(self, handle: int, place: Any) -> int:  # noqa: N802
        assert handle == 7
        if self.mode is not None:
            ctypes.cast(place, ctypes.POINTER(ctypes.c_uint32))[0] = self.mode
        return int(self.mode is not None)

    def SetConsoleMode(self, handle: int, mode: int) -> int:  # noqa: N802
        assert handle == 7
        if self.takes:
            self.mode = mode
        return int(self.takes)


@pytest.mark.parametrize(
    ("kernel", "expected", "mode"),
    [
        (Kernel(0x7), True, 0x7),
        (Kernel(0x3), True, 0x7),
        (Kernel(0x3, takes=False), False, 0x3),
        (Kernel(None), False, None),
    ],
)
def test_colours_go_where_windows_takes_them(kernel: Kernel, expected: bool, mode: int | None) -> None:
    """ENABLE_VIRTUAL_TERMINAL_PROCESSING (0x4): without it escape sequences are letters."""
    assert console.understands_sequences(kernel) is expected
    assert kernel.mode == mode
