"""The command line: each option reaches its command, is never silently replaced, and costs `--help` nothing."""

from __future__ import annotations

import argparse
import inspect
import json
import pkgutil
import platform
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from test_docs import commands
from work import calls

import agent.render
from agent import exits
from agent.cli import formats, line
from agent.cli.anatomy import places_of
from agent.cli.examples import EXAMPLES
from agent.cli.options import Options
from agent.cli.program import COMMANDS, main
from agent.errors import UsageError
from agent.evidence.diagnosis import Diagnosis
from agent.history import Difference
from agent.model import Report
from agent.sources.extras import PARTS, is_installed
from agent.spelling import meant
from agent.story.probed import Probing

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"

NEEDED = {"explain": ["http://a"], "diagnose": ["event.txt"], "diff": ["old.json", "new.json"], "completion": ["bash"]}
"""Words without which a command is no command."""

OPTIONS = [
    (command, action)
    for command, parser in commands().items()
    for action in parser._actions
    if action.option_strings and action.dest not in {"help", "debug", "config"}
]
"""Without --debug, which is the program's, and --config (test_config.py)."""
IDS = [f"{command} {action.option_strings[-1]}" for command, action in OPTIONS]


def value(action: argparse.Action, number: int = 0) -> list[str]:
    """Something the option takes that is not its default."""
    if action.nargs == 0:
        return []
    if action.metavar == "LEVEL":
        return [("warning", "unchecked")[number]]
    if action.metavar == "TIME":
        return [f"{7 + number}h"]
    if action.choices is not None:
        others = [choice for choice in action.choices if choice != action.default]
        return [others[number % len(others)]]
    return [f"{7 + number}={number}" if "=" in str(action.metavar) else str(7 + number)]


def read(command: str, *words: str) -> Options:
    given = line.read([command, *NEEDED.get(command.lower(), []), *words])
    assert given.command is not None
    return given.command


@pytest.mark.parametrize(("command", "action"), OPTIONS, ids=IDS)
def test_every_option_reaches_its_command(command: str, action: argparse.Action) -> None:
    plain = read(command)
    for name in action.option_strings:
        assert read(command, name, *value(action)) != plain


@pytest.mark.parametrize(("command", "action"), OPTIONS, ids=IDS)
def test_a_second_value_is_kept_or_refused(command: str, action: argparse.Action) -> None:
    name = action.option_strings[-1]
    first, second = [name, *value(action)], [name, *value(action, 1)]
    if isinstance(action, argparse._AppendAction):
        both = read(command, *first, *second)
        assert both not in (read(command, *first), read(command, *second))
    elif action.nargs != 0:
        for again in (first, second):
            with pytest.raises(UsageError, match="it is given twice"):
                read(command, *first, *again)


def test_what_names_files_may_be_given_more_than_once() -> None:
    """The contract's list, as far as the options exist."""
    files = {"--ad", "--dns", "--farm", "--accept", "--ca", "--inventory"}
    found = {action.option_strings[-1]: isinstance(action, argparse._AppendAction) for _, action in OPTIONS}
    assert {name for name in files if not found[name]} == set()


def test_a_second_value_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--computer", "a.b.c", "--computer", "d.e.f"]) == exits.USAGE
    assert "argument --computer: it is given twice" in capsys.readouterr().err


def test_every_command_is_run_by_a_module_that_takes_its_options() -> None:
    assert set(COMMANDS) == set(get_args(Options))
    for options, runner in COMMANDS.items():
        if runner.needs is None or is_installed(runner.needs):
            assert get_type_hints(import_module(runner.module).run) == {"options": options, "return": int}


@pytest.mark.parametrize("words", [[], *([command] for command in commands())], ids=lambda words: " ".join(words))
def test_help_loads_nothing_that_reads_or_writes_reports(words: list[str]) -> None:
    script = (
        "import sys; from agent.cli.program import main\n"
        f"try: main({[*words, '--help']!r})\n"
        "except SystemExit: print('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert "agent.cli.arguments" in loaded
    heavy = ("lxml", "rich", "dns", "spnego", "psutil", "agent.render", "agent.model", "agent.inspection")
    assert [name for name in loaded if name.startswith(heavy)] == []


# -- formats -------------------------------------------------------------------------------------------------------

CASES = [(form, command) for form in formats.FORMATS for command in form.commands]


def test_a_command_has_one_format_of_a_name_and_the_table_first() -> None:
    assert len({(form.name, command) for form, command in CASES}) == len(CASES)
    for command in get_args(formats.Command):
        assert next(iter(formats.known_by(command))) == "table"


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: f"{form.module}:{form.function}")
def test_what_writes_a_format_is_there_and_takes_what_it_is_given(form: formats.Format) -> None:
    function = getattr(import_module(form.module), form.function)
    hints = get_type_hints(function)
    takes = [name for name, given in inspect.signature(function).parameters.items() if given.default is given.empty]
    assert takes[1:] == (["width", "color"] if form.for_screen else [])
    given = {("diff",): Difference, ("probe",): Probing, ("diagnose",): Diagnosis}.get(form.commands, Report)
    assert issubclass(given, hints[takes[0]]) or issubclass(hints[takes[0]], given)
    assert "".encode(form.encoding) is not None


def test_nothing_that_writes_reports_is_left_out() -> None:
    """What is half added from the other side: written, but in no row of the table."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(agent.render.__path__, "agent.render."):
        for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
            own = function.__module__ == module.name and name.startswith("to_")
            kinds = [hint for hint in hints(function) if isinstance(hint, type)]
            if own and any(issubclass(kind, Report | Difference) for kind in kinds):
                found.add(module.name)
    assert found - {form.module for form in formats.FORMATS} == set()


def hints(function: object) -> list[object]:
    return [hint for name, hint in get_type_hints(function).items() if name != "return"]


@pytest.mark.parametrize("command", get_args(formats.Command))
def test_a_format_that_the_command_does_not_know(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = {form.name for form, name in CASES if name == command}
    for unknown in {form.name for form in formats.FORMATS} - known | {"yaml", "tables", ""}:
        assert main([command, *NEEDED.get(command, []), "--format", unknown]) == exits.USAGE
        out, err = capsys.readouterr()
        assert out == ""
        told = re.search(r"is none of ([a-z, ]+)", err)
        assert told is not None
        assert set(told[1].split(", ")) == known


def test_the_formats_are_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `--format F`")]
    named = set(re.findall("`([a-z]+)`", row)) - set(get_args(formats.Command))
    assert named == {form.name for form in formats.FORMATS}


def test_no_option_is_shortened() -> None:
    """--confirm is one by itself, and would else be taken for --confirm-delete where it stood alone."""
    with pytest.raises(UsageError, match="--confirm-del"):
        line.read(["plan", "--confirm-del", "HTTP/x"])
    change = line.read(["plan", "--confirm", "HTTP/x", "--confirm-delete", "HTTP/y"]).command.change  # type: ignore[union-attr]
    assert (change.confirm, change.confirm_delete) == (("HTTP/x",), ("HTTP/y",))


MANY = [
    (command, action)
    for command, action in OPTIONS
    if any(each.nargs in {"*", "+"} for each in places_of(commands()[command]))
]
MANY_IDS = [f"{command} {action.option_strings[-1]}" for command, action in MANY]


@pytest.mark.parametrize(("command", "option"), MANY, ids=MANY_IDS)
def test_an_option_may_stand_between_two_places(command: str, option: argparse.Action) -> None:
    first, *more = [*NEEDED.get(command, ["WEB01"]), "WEB02"]
    asked = [option.option_strings[-1], *value(option)]
    try:
        expected = line.read([command, first, *more, *asked]).command
    except UsageError as error:  # it goes with no place, or with another option only
        with pytest.raises(UsageError, match=re.escape(str(error).partition("\n")[0])):
            line.read([command, first, *asked, *more])
    else:
        assert line.read([command, first, *asked, *more]).command == expected
        assert line.read(["--debug", command, first, *asked, *more]).command == expected


# -- words that nobody knows, and the ones that were meant ---------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("inspekt", "there is no command 'inspekt': did you mean inspect?"),
        ("zzz", "there is no command 'zzz': there are inspect, sweep, "),
        ("inspect --formt json", "inspect has no option --formt: did you mean --format?"),
        ("inspect --format=json --formt=x", "inspect has no option --formt: did you mean --format?"),
        ("inspect --client egde", ": did you mean edge?"),
        ("inspect --format jsn", ": did you mean json?"),
        ("inspect --fail-on eror", ": did you mean error?"),
        ("inspect --user a", "inspect has no option --user: sweep, collect, probe have it"),
        ("sweep --transport kerbros", ": did you mean kerberos?"),
        ("rules spn-mising", "no rule or finding is called 'spn-mising': did you mean spn-missing?"),
        ("rules scenario4", "did you mean scenario-4?"),
        ("--vesion", "iis-spn has no option --vesion: did you mean --version?"),
        ("diff a b c", "c is one word too many"),
        ("http://user:S3cret@portal/", "there is no command '...@portal/': did you mean iis-spn explain URL?"),
        (str(SAMPLES), f": did you mean iis-spn inspect {SAMPLES}?"),
        ("version", ": did you mean --version?"),
        ("help inspekt", ": did you mean inspect?"),
        ("rules KRB_AP_ERR_MODIFIED", ": these speak of it: spn-misplaced"),
        ("rules 0x80090322", ": these speak of it: scenario-4, scenario-6, winrm-collision"),
        ("rules \x1b[31mx", "no rule or finding is called '\\u001b[31mx'"),
        ("\x1b[31mx", "there is no command '\\u001b[31mx'"),
    ],
)
def test_did_you_mean(words: str, asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert asked in err
    assert len(err.splitlines()) <= 2


def test_a_word_without_end_is_compared_as_far_as_ours_go() -> None:
    assert meant("inspect" * 100_000, ["inspect"]) is None
    assert calls(lambda: meant("x" * 100_000, ["inspect"])) == calls(lambda: meant("x" * 200_000, ["inspect"]))


@pytest.mark.parametrize("command", commands())
def test_a_command_and_the_words_of_its_options_are_known_in_any_case(command: str) -> None:
    assert read(command.upper()) == read(command)
    for name, action in OPTIONS:
        if name == command and action.choices is not None:
            for choice in action.choices:
                given = [action.option_strings[-1], choice]
                assert read(command, given[0], given[1].upper()) == read(command, *given)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        *((word, "iis-spn [-h]") for word in ("help", "/?", "-?", "--help", "-h")),
        *((words, "iis-spn plan [-h]") for words in ("help plan", "plan /?", "plan -?", "plan --help", "HELP PLAN")),
    ],
)
def test_help_as_people_ask_for_it(words: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == exits.CLEAN
    assert capsys.readouterr().out.startswith(f"usage: {usage}")


# -- help that teaches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", commands())
def test_every_command_has_an_example_and_it_can_be_typed(command: str) -> None:
    examples = EXAMPLES[command]
    shown = commands()[command].format_help()
    assert examples
    for example in examples:
        assert f"\n    {example.line}\n" in shown
        typed = re.search(r"iis-spn [^|>)]+", example.line)
        assert typed is not None
        program, *words = shlex.split(typed[0])
        assert (program, words[0]) == ("iis-spn", command)
        assert line.read(words).command is not None


def test_what_is_missing_is_told_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == exits.USAGE
    first, example, more = capsys.readouterr().err.splitlines()
    assert first == "iis-spn: the following arguments are required: URL"
    assert (example.strip(), more.strip()) == (EXAMPLES["explain"][0].line, "iis-spn explain --help")


def test_version_says_what_is_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sources.extras.is_installed", lambda extra: extra == "sweep")
    assert main(["--version"]) == exits.CLEAN
    first, second, *parts = capsys.readouterr().out.splitlines()
    assert first == f"iis-spn {agent.__version__}"
    assert second.startswith(f"Python {platform.python_version()} on ")
    state = dict(line.split(maxsplit=1) for line in parts)
    assert list(state) == list(PARTS)
    assert state["sweep"] == "installed"
    assert state["jea"] == 'not installed: pip install "iis-spn[jea]"'


# -- the script that a server runs by itself -----------------------------------------------------------------------


def test_print_script_needs_nothing_but_the_base(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.extras.is_installed", lambda _extra: False)
    assert main(["collect", "--print-script"]) == exits.CLEAN
    out, err = capfdbinary.readouterr()
    assert out == (ROOT / "agent" / "sources" / "snapshots" / "collect.ps1").read_bytes()
    assert err == b""


@pytest.mark.parametrize("words", [["web01"], ["--inventory", "x"], ["--from-ad", "OU=x"], ["--forget", "web01"]])
def test_print_script_asks_nobody(words: list[str]) -> None:
    with pytest.raises(UsageError, match="asks nobody"):
        line.read(["collect", "--print-script", *words])


# -- what is not there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["inspect"], ["plan"], ["explain", "http://contoso.test.com/"]])
@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["nowhere/"], "nowhere/: there is no such file or folder"),
        (["a.config", "b"], "a.config, b: there is no such file or folder"),
        (["web01"], "web01: there is no such file or folder; to ask that server itself: iis-spn sweep web01"),
        (["\x1b[31m.config"], "\\u001b[31m.config: there is no such file or folder"),
        ([f"no{number}" for number in range(9)], "no0, no1, no2, no3, no4 ...: there is no such file or folder"),
    ],
)
def test_a_wrong_path_is_one_line(
    command: list[str],
    targets: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, *targets, "--ad", "off"]) == exits.INCOMPLETE
    assert tuple(capsys.readouterr()) == ("", f"iis-spn: {said}\n")


def test_a_wrong_path_is_in_the_report_of_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nowhere", "--ad", "off", "--format", "json"]) == exits.INCOMPLETE
    assert [server["status"] for server in json.loads(capsys.readouterr().out)["servers"]] == ["failed"]


def test_a_wrong_path_beside_a_right_one_costs_the_other_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nowhere", str(SAMPLES / "IIS05"), "--ad", "off"]) == exits.INCOMPLETE
    assert "1 of 2 servers gave no answer" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("word", ["zone.txt", "./zone", "a\\b.dns"])
def test_a_zone_file_that_is_not_there_is_no_name_server(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert main(["inspect", str(SAMPLES / "IIS05"), "--ad", "off", "--dns", word]) == exits.USAGE
    assert tuple(capsys.readouterr()) == ("", f"iis-spn: --dns {word}: there is no such file\n")
