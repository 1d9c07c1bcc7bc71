"""`iis-spn completion`: what Tab does in the shells themselves, and that a new command or option is in it by itself."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tree_sitter_powershell
from parts import PWSH, needs_powershell
from test_docs import commands
from tree_sitter import Language, Node, Parser
from waiting import PATIENCE

from agent import exits
from agent.cli.arguments import SHELLS
from agent.cli.completion import SCRIPTS
from agent.cli.program import main
from agent.cli.shells import powershell
from agent.cli.vocabulary import Command, Option, vocabulary
from agent.render.pages import known

needs_bash = pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="no bash on PATH")
needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None or sys.platform == "win32", reason="no zsh on PATH")

GOT = "GOT:"
BASH = ("bash", "--norc", "--noprofile", "-i")
ZSH = ("zsh", "-f", "-i")
SETUP = {
    BASH: 'bind "set enable-bracketed-paste off" "set bell-style none"; . {script}; iis-spn() {{ echo "GOT:$*:"; }}',
    ZSH: "autoload -Uz compinit; compinit -u -D; unsetopt beep; . {script}; iis-spn() {{ print -r -- GOT:$*: }}",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    written = {}
    for shell in SHELLS:
        done = subprocess.run([sys.executable, "-m", "agent", "completion", shell], capture_output=True, check=True)
        written[shell] = folder / f"{shell}.script"
        written[shell].write_bytes(done.stdout)
    return written


class Terminal:
    """A shell at a terminal: what is typed, and what it says then."""

    def __init__(self, shell: Sequence[str], folder: Path) -> None:
        import pty

        self.fd, end = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "> ", "HOME": str(folder)}
        self.process = subprocess.Popen(
            shell, stdin=end, stdout=end, stderr=end, cwd=folder, env=environment, start_new_session=True
        )
        os.close(end)

    def typed(self, keys: str, until: str) -> str:
        """What comes after the keys, up to a pattern."""
        os.write(self.fd, keys.encode())
        said = ""
        while re.search(until, said) is None:
            assert select.select([self.fd], [], [], PATIENCE)[0], f"nothing more after {said!r}"
            said += os.read(self.fd, 4096).decode()
        return said

    def close(self) -> None:
        os.close(self.fd)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def shell(of: tuple[str, ...], script: Path, folder: Path) -> Iterator[Terminal]:
    for name in ("WEB01", "directory.ldif"):
        (folder / name).touch()
    terminal = Terminal(of, folder)
    try:
        terminal.typed(f"{SETUP[of].format(script=script)}; echo REA''DY\n", "READY")
        yield terminal
    finally:
        terminal.close()


TYPED = {
    "insp": "inspect",
    "--vers": "--version",
    "inspect --form": "inspect --format",
    "inspect --format mark": "inspect --format markdown",
    "inspect --client chrome-n": "inspect --client chrome-nocname",
    "inspect --format=mark": "inspect --format=markdown",
    "plan --confirm-d": "plan --confirm-delete",
    "--debug pla": "--debug plan",
    "rules spn-misp": "rules spn-misplaced",
    "completion powe": "completion powershell",
    "inspect WE": "inspect WEB01",
    "inspect --ad dir": "inspect --ad directory.ldif",
    "diff --fail-on unch": "diff --fail-on unchecked",
}


@pytest.mark.parametrize("of", [pytest.param(BASH, marks=needs_bash), pytest.param(ZSH, marks=needs_zsh)])
def test_tab_in_a_shell(of: tuple[str, ...], scripts: dict[str, Path], tmp_path: Path) -> None:
    with shell(of, scripts[of[0]], tmp_path) as terminal:
        got = {}
        for begun in TYPED:
            said = terminal.typed(f"iis-spn {begun}\t\n", rf"{GOT}[^\r\n]*:\r?\n")
            got[begun] = re.findall(rf"{GOT}([^\r\n]*):\r?\n", said)[-1].strip()
    assert got == TYPED


# -- what every script holds ---------------------------------------------------------------------------------------


def test_the_words_are_those_of_the_parser() -> None:
    first, *rest = vocabulary(known())
    assert [word for word, _ in first.words] == [command.name for command in rest] == list(commands())
    for command in rest:
        parser = commands()[command.name]
        options = {name for action in parser._actions for name in action.option_strings}
        assert {name for option in command.options for name in option.names} == options
        for option in command.options:
            action = next(each for each in parser._actions if option.names[0] in each.option_strings)
            assert option.words == tuple(action.choices or ())
            assert (option.takes is None) == (action.nargs == 0)


@pytest.mark.parametrize("name", SHELLS)
def test_every_word_is_in_the_script(name: str, scripts: dict[str, Path]) -> None:
    text = scripts[name].read_text(encoding="utf-8")
    for command in vocabulary(known()):
        for option in command.options:
            assert all(word in text for word in (*option.names, *option.words))
        assert all(word in text for word, _ in command.words)


@pytest.mark.parametrize("name", SHELLS)
def test_nothing_in_a_help_text_is_carried_out(name: str) -> None:
    option = Option(("--x",), 'it\'s `id` $(id) "$x" ’; id', None, ())
    hostile = Command("it's", "", (option,), (("a'b", "c'd"),))
    text = SCRIPTS[name]([hostile])
    if name == "powershell":
        assert not faults(text)
    else:
        done = subprocess.run([name, "-n"], input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_there_is_a_script_for_every_shell() -> None:
    assert tuple(SCRIPTS) == SHELLS


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == exits.USAGE
    assert "'fish' is none of powershell, bash, zsh" in capsys.readouterr().err


# -- PowerShell ----------------------------------------------------------------------------------------------------


def faults(text: str) -> list[str]:
    """What the grammar of PowerShell does not take."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    return [node.type for node in nodes(parser.parse(text.encode()).root_node) if node.is_error or node.is_missing]


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def test_the_script_for_powershell_is_powershell(scripts: dict[str, Path]) -> None:
    text = scripts["powershell"].read_text(encoding="utf-8")
    assert not faults(text)
    assert faults(text[: text.index("$typed")])
    assert text.isascii()  # Windows PowerShell reads the output of a program in the console's code page


def test_its_tables_hold_every_word_once(scripts: dict[str, Path]) -> None:
    """A key that stands twice in a hashtable is an error of the whole script; case does not count."""
    text = scripts["powershell"].read_text(encoding="utf-8")
    values, words = (re.findall(r"^        ('[^']*') = @\(", part, re.MULTILINE) for part in text.split("$words = @{"))
    assert len({key.lower() for key in values}) == len(values) > 50
    assert [key.strip("'") for key in words] == ["", *commands()]


def test_powershell_strings_end_where_they_should() -> None:
    assert powershell._quoted("it’s 'so'") == "'it’’s ''so'''"


@needs_powershell
def test_tab_in_powershell(scripts: dict[str, Path], tmp_path: Path) -> None:
    for name in ("WEB01", "directory.ldif"):
        (tmp_path / name).touch()
    tab = "(TabExpansion2 -inputScript 'iis-spn {}' -cursorColumn {}).CompletionMatches[0].CompletionText"
    lines = [tab.format(begun, len(begun) + len("iis-spn ")) for begun in TYPED]
    script = "\n".join([f". {{ {scripts['powershell'].read_text()} }}", *lines])
    words = [str(PWSH), "-NoProfile", "-Command", script]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    found = [line.removeprefix("./").removeprefix(".\\") for line in done.stdout.split()]
    assert found == [full.split()[-1] for full in TYPED.values()]
