"""`--config FILE`: what would be typed on every line, in a file; the command line wins, and lists are added to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_docs import commands

from agent import exits
from agent.cli import line, options
from agent.cli.config import KEYS, VARIABLE
from agent.cli.program import main
from agent.errors import UsageError

SAMPLES = Path(__file__).parents[1] / "sample_configs"


def written(folder: Path, text: str) -> Path:
    path = folder / "spn.toml"
    path.write_text(text, encoding="utf-8")
    return path


def inspect(folder: Path, text: str, *words: str) -> options.Inspect:
    command = line.read(["inspect", "--config", str(written(folder, text)), *words]).command
    assert isinstance(command, options.Inspect)
    return command


# -- which keys there are ------------------------------------------------------------------------------------------


def test_every_key_is_an_option_of_some_command() -> None:
    known = {name for parser in commands().values() for action in parser._actions for name in action.option_strings}
    assert {key for key in KEYS if f"--{key}" not in known} == set()


def test_the_keys_are_documented() -> None:
    text = (SAMPLES.parent / "docs" / "commands.md").read_text(encoding="utf-8")
    told = re.search(r"The keys: ([^.]+)\.", text)
    assert told is not None
    assert re.findall("`([a-z-]+)`", told[1]) == list(KEYS)


def test_no_key_changes_a_directory_or_gives_a_password() -> None:
    """The contract: never apply, confirm, passwords; nor what writes or goes on in spite of a refusal."""
    never = {"apply", "confirm", "confirm-delete", "rollback", "password-stdin", "password-env"}
    assert not {*never, "write-accept", "continue-on-denied", "resume", "forget"} & set(KEYS)


@pytest.mark.parametrize("key", ["apply = true", "confirm = ['HTTP/x']", "password-stdin = true", "config = 'x'"])
def test_such_a_key_is_refused_with_its_line(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, f"ad = 'off'\n\n{key}\n")
    with pytest.raises(UsageError, match=rf"spn\.toml:3: {key.split(' ')[0]}: this is no key"):
        line.read(["plan", "--config", str(path)])


def test_every_command_that_looks_or_prints_takes_one() -> None:
    for name, parser in commands().items():
        known = {option for action in parser._actions for option in action.option_strings}
        assert ("--config" in known) == bool({f"--{key}" for key in KEYS} & known), name


# -- what they mean ------------------------------------------------------------------------------------------------

FILE = """\
# typed on every line otherwise
ad = ["a.ldif", "sub/b.ldif"]
farm = "farm.toml"
client = ["Edge", "java"]
computer = "iis01.test.com"
netbios-domain = ["CORP=test.com"]
fail-on = "warning"
format = "JSON"
stale-after = 24
quiet = false
"""


def test_the_keys_are_the_options(tmp_path: Path) -> None:
    read = inspect(tmp_path, FILE, "WEB01")
    same = line.read(
        [
            *("inspect", "WEB01", "--ad", str(tmp_path / "a.ldif"), "--ad", str(tmp_path / "sub" / "b.ldif")),
            *("--farm", str(tmp_path / "farm.toml"), "--client", "edge", "--client", "java"),
            *("--computer", "iis01.test.com", "--netbios-domain", "CORP=test.com"),
            *("--fail-on", "warning", "--format", "json", "--stale-after", "24"),
        ]
    ).command
    assert read == same


def test_paths_are_meant_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zone.txt").touch()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    absolute = str(SAMPLES / "directory.ldif")
    text = f"dns = 'zone.txt'\nad = {json.dumps(absolute)}\ninventory = ['-', 'farm.txt']\noutput = 'out.json'\n"
    read = inspect(tmp_path, text, "WEB01")
    assert read.looking.dns == (str(tmp_path / "zone.txt"),)
    assert read.looking.ad == (absolute,)
    assert read.expected.inventory == ("-", str(tmp_path / "farm.txt"))
    assert read.output.file == tmp_path / "out.json"


@pytest.mark.parametrize("word", ["off", "AUTO", "ldap://dc1.test.com", "gc://dc1"])
def test_a_directory_that_is_no_file_stays_as_it_is(tmp_path: Path, word: str) -> None:
    assert inspect(tmp_path, f"ad = '{word}'\n").looking.ad == (word,)


@pytest.mark.parametrize("word", ["off", "system", "10.0.0.1", "dc1.test.com:53"])
def test_a_name_server_stays_as_it_is(tmp_path: Path, word: str) -> None:
    assert inspect(tmp_path, f"dns = '{word}'\n").looking.dns == (word,)


@pytest.mark.parametrize(
    ("text", "words", "ad"),
    [
        ("ad = 'a.ldif'", ["--ad", "b.ldif"], ["FOLDER/a.ldif", "b.ldif"]),
        ("ad = 'a.ldif'", ["--ad", "off"], ["off"]),
        ("ad = 'a.ldif'", ["--ad", "ldap://dc1"], ["ldap://dc1"]),
        ("ad = 'ldap://dc1'", ["--ad", "b.ldif"], ["b.ldif"]),
        ("ad = 'off'", [], ["off"]),
    ],
)
def test_files_are_added_and_what_answers_alone_wins(
    tmp_path: Path, text: str, words: Sequence[str], ad: Sequence[str]
) -> None:
    told = inspect(tmp_path, text, *words).looking.ad
    assert [word.replace(str(tmp_path), "FOLDER").replace("\\", "/") for word in told] == ad


def test_a_zone_beside_a_name_server_that_was_typed_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "zone.txt").touch()
    (tmp_path / "more.txt").touch()
    assert inspect(tmp_path, "dns = 'zone.txt'", "--dns", "10.0.0.1").looking.dns == ("10.0.0.1",)
    more = str(tmp_path / "more.txt")
    assert inspect(tmp_path, "dns = 'zone.txt'", "--dns", more).looking.dns == (str(tmp_path / "zone.txt"), more)


def test_the_command_line_wins(tmp_path: Path) -> None:
    text = "format = 'csv'\nfail-on = 'never'\nquiet = true\ncomputer = 'a.b.c'\nnetbios-domain = ['A=a.b', 'C=c.d']\n"
    words = ["--format", "table", "--fail-on", "info", "--all", "--computer", "x.y.z", "--netbios-domain", "X=A.b"]
    read = inspect(tmp_path, text, *words)
    assert read == line.read(["inspect", *words, "--netbios-domain", "C=c.d"]).command


def test_what_is_typed_wins_where_it_is_the_default(tmp_path: Path) -> None:
    assert inspect(tmp_path, "format = 'csv'", "--format", "table").output.format.name == "table"
    collected = line.read(["collect", "a", "--to", "snapshots", "--config", str(written(tmp_path, "to = 'x'"))]).command
    assert isinstance(collected, options.Collect)
    assert collected.asking.keeping.to == Path("snapshots")


def test_a_command_passes_over_what_it_does_not_have(tmp_path: Path) -> None:
    command = line.read(
        ["collect", "web01", "--config", str(written(tmp_path, "format = 'csv'\nuser = 'a@b'"))]
    ).command
    assert isinstance(command, options.Collect)
    assert command.asking.winrm.user == "a@b"


def test_the_variable_names_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(written(tmp_path, "format = 'csv'\nad = 'a.ldif'")))
    read = line.read(["inspect"]).command
    assert isinstance(read, options.Inspect)
    assert read.output.format.name == "csv"
    assert line.read(["rules"]).command == options.Rules(id=None)
    other = tmp_path / "other.toml"
    other.write_text("format = 'json'\n")
    read = line.read(["inspect", "--config", str(other)]).command
    assert isinstance(read, options.Inspect)
    assert (read.output.format.name, read.looking.ad) == ("json", ())


def test_no_file_is_taken_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    for name in ("iis-spn.toml", "spn.toml", ".iis-spn.toml", "config.toml"):
        (tmp_path / name).write_text("format = 'csv'\n")
    read = line.read(["inspect"]).command
    assert isinstance(read, options.Inspect)
    assert read.output.format.name == "table"


def test_what_has_no_use_is_passed_over_where_a_file_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is for every command: two reports say already who holds what, and this server is no snapshot."""
    ad = json.dumps(str(SAMPLES / "directory.ldif"))
    monkeypatch.setenv(VARIABLE, str(written(tmp_path, f"ad = {ad}\ninventory = 'farm.txt'\nstale-after = 24\n")))
    report = tmp_path / "report.json"
    (tmp_path / "farm.txt").write_text("IIS05\n")
    assert main(["inspect", str(SAMPLES / "IIS05"), "--format", "json", "--output", str(report)]) == exits.FINDINGS
    assert main(["diff", str(report), str(report)]) == exits.CLEAN
    assert main(["diff", str(report), str(report), "--ad", "off"]) == exits.USAGE
    capsys.readouterr()
    for words in ([], [str(SAMPLES / "IIS05")]):
        read = line.read(["inspect", *words]).command
        assert isinstance(read, options.Inspect)
        assert read.expected == (
            options.Expected(inventory=(str(tmp_path / "farm.txt"),), stale_after=24) if words else options.Expected()
        )
    typed = line.read(["inspect", "--stale-after", "3"]).command
    assert isinstance(typed, options.Inspect)
    assert typed.expected.stale_after == 3


@pytest.mark.parametrize("command", ["sweep", "collect"])
def test_who_names_a_server_asks_that_one(command: str, tmp_path: Path) -> None:
    path = str(written(tmp_path, "inventory = 'farm.txt'\nfrom-ad = 'OU=Web'\nuser = 'a@b'\nto = 'kept'\n"))
    more = tmp_path / "more.txt"
    for words, hosts, inventory in (
        (["web01"], ("web01",), ()),
        ([], (), (str(tmp_path / "farm.txt"),)),
        (["--inventory", str(more)], (), (str(tmp_path / "farm.txt"), str(more))),
        (["web01", "--inventory", str(more)], ("web01",), (str(more),)),
    ):
        read = line.read([command, *words, "--config", path]).command
        assert isinstance(read, options.Sweep | options.Collect)
        assert (read.asking.whom.hosts, read.asking.whom.inventory) == (hosts, inventory)
        assert (read.asking.winrm.user, read.asking.keeping.to) == ("a@b", tmp_path / "kept")
    assert line.read(["collect", "--print-script", "--config", path]).command == options.Script()
    forgetting = line.read(["collect", "--forget", "web01", "--config", path]).command
    assert isinstance(forgetting, options.Collect)
    assert (forgetting.asking.whom.inventory, forgetting.asking.keeping.to) == ((), tmp_path / "kept")


# -- slips ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n", "FILE:1: not TOML"),
        ("ad = 'x'\n\nadd = 'y'\n", "FILE:3: add: this is no key: did you mean ad?"),
        ("\nfail_on = 'error'\n", "FILE:2: fail_on: this is no key: did you mean fail-on?"),
        ("\n[inspect]\nad = 'x'\n", "FILE:2: inspect: this is no key"),
        ("\n'zzz' = 1\n", "FILE:2: zzz: this is no key: there are ad, dns, "),
        ("quiet = 1\n", "FILE:1: quiet: true or false"),
        ("all = 'yes'\n", "FILE:1: all: true or false"),
        ("\n\nformat = ['json']\n", "FILE:3: format: one value, no list"),
        ("format = true\n", "FILE:1: format: a text, or a list of texts"),
        ("ad = [1, [2]]\n", "FILE:1: ad: a text, or a list of texts"),
        ("ad = ''\n", "FILE:1: ad: the text is empty"),
        ("quiet = true\nall = true\n", "--quiet contradicts --all (FILE is read too)"),
        ('ad = "a\\u0000b"\n', "FILE:1: ad: a null character"),
        ("ad.x = 1\n", "FILE:1: ad: a text, or a list of texts"),
        ("format = 'jsn'\n", "FILE:1: format: 'jsn' is none of table, json,"),
        ("client = ['edge',\n 'egde']\n", "FILE:1: client: 'egde' is none of"),
        ("stale-after = -1\n", "FILE:1: stale-after: '-1' is no number above 0"),
        ("computer = [ ]\n", "FILE:1: computer: one value, no list"),
    ],
)
def test_a_slip_is_told_with_its_line(tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, text)
    assert main(["inspect", str(SAMPLES / "IIS05"), "--config", str(path)]) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.replace(str(path), "FILE")


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--config", str(tmp_path / "no.toml")]) == exits.USAGE
    assert "cannot be read" in capsys.readouterr().err


def test_a_run_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("directory.ldif", "zone.txt"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    path = written(tmp_path, "ad = 'directory.ldif'\ndns = ['zone.txt']\nformat = 'json'\n")
    assert main(["inspect", str(SAMPLES / "IIS05"), "--config", str(path)]) == exits.FINDINGS
    read = {entry["kind"]: entry["source"] for entry in json.loads(capsys.readouterr().out)["summary"]["read"]}
    assert read["directory"] == str(tmp_path / "directory.ldif")
    assert read["dns"] == str(tmp_path / "zone.txt")
