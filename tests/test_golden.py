"""Every command in every format, through the front door: stdout, stderr and exit code of the sample farm; and every
finding as it is told.

The golden texts change on purpose only: read the difference, then accept it with IIS_SPN_UPDATE_GOLDEN=1.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_docs import Still, commands
from test_findings import PAIRS
from wants import KINDS
from worlds import World

from agent import __version__
from agent.cli import formats, looking
from agent.cli.program import main
from agent.model import Evidence
from tests.winrm import farm

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).parents[1] / "sample_configs"
SERVERS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
LOOKING = ("--ad", "directory.ldif", "--dns", "zone.txt", "--farm", "farm.toml")
SILENT = f"web{len(SERVERS) + 1:04d}.farm.test"
"""A played server without WinRM."""

WORDS = {
    "inspect": ("inspect", "*", *LOOKING),
    "explain": ("explain", "http://wiki.test.com/", "*", *LOOKING),
    "diagnose": ("diagnose", "evidence.txt", "IIS05", *LOOKING),
    "plan": ("plan", "*", *LOOKING),
    "diff": ("diff", "IIS01", "IIS05", *LOOKING),
    "sweep": ("sweep", f"web[0001:{len(SERVERS) + 1:04d}].farm.test", *LOOKING),
    "collect": ("collect", f"web[0001:{len(SERVERS) + 1:04d}].farm.test", "--to", "FOLDER"),
    "rules": ("rules",),
}
CASES = [(command, form.name) for form in formats.FORMATS for command in form.commands]
OFFLINE = [case for case in CASES if case[0] in WORDS and case[0] != "sweep"]  # `probe`: tests/test_probe.py
SWEPT = [form for command, form in CASES if command == "sweep"]


@pytest.fixture(autouse=True)
def _as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(looking, "datetime", Still)


def told(words: tuple[str, ...], form: str) -> tuple[str, ...]:
    return words if form == "table" else (*words, "--format", form)


def compare(name: str, words: tuple[str, ...], code: int, captured: tuple[str, str], folder: Path = SAMPLES) -> None:
    out, err = captured
    text = f"$ iis-spn {' '.join(words)}\n-- exit code {code}, stderr:\n{err}-- stdout:\n{out}"
    text = text.replace(__version__, "VERSION").replace(str(folder), "FOLDER")
    text = re.sub(r"(?s)(<style>|<script>).+?(?=</)|'sha256-[^']+'", r"\1", text)  # files of their own
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z| UTC)", "TIME", text)
    text = re.sub(r"(_timestamp_seconds(?:{.*})?) \d+", r"\1 TIME", text)
    same(name, text)


def same(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("IIS_SPN_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8")


@pytest.mark.windows
@pytest.mark.parametrize(("command", "form"), OFFLINE, ids=map(".".join, OFFLINE))
def test_files(command: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = told(WORDS[command], form)
    compare(f"{command}.{form}", words, main(words), capsys.readouterr())


def test_rules(capsys: pytest.CaptureFixture[str]) -> None:
    compare("rules", WORDS["rules"], main(WORDS["rules"]), capsys.readouterr())


def test_each_step_of_a_plan_stands_with_its_own_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The default text, beside what the report says."""
    main([*WORDS["plan"], "--format", "json"])
    steps = json.loads(capsys.readouterr().out)["plan"]["steps"]
    main(WORDS["plan"])
    lines = capsys.readouterr().out.splitlines()
    assert len(steps) > 5
    for step in steps:
        assert step["rollback"] != step["command"]
        at = lines.index(f"    {step['command']}")
        assert lines[at - 1].startswith(f"{step['order']}. ")
        assert lines[at + 1] == f"    back: {step['rollback']}"


# -- what is wanted ------------------------------------------------------------------------------------------------

PLANNED = [form for command, form in CASES if command == "plan"]
WANTED = ("--ad", "directory/ad0.ldif", "--dns", "zones/test.com.dns", "--want", "want.toml")


@pytest.mark.parametrize("form", PLANNED)
@pytest.mark.parametrize("kind", KINDS)
def test_wanted(
    kind: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = KINDS[kind].written(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = told(("plan", *(f"servers/{server.name}" for server in given.servers), *WANTED), form)
    compare(f"want/{kind}.{form}", words, main(words), capsys.readouterr(), tmp_path)


def test_each_golden_text_of_a_want_is_of_a_kind_and_a_format() -> None:
    known = {f"{kind}.{form}.txt" for kind in KINDS for form in PLANNED}
    assert {path.name for path in (GOLDEN / "want").iterdir()} == known


# -- every finding -------------------------------------------------------------------------------------------------


def in_words(found: World) -> Iterator[str]:
    """All that is told of a world: findings with what stands beside them, and the plan."""
    for told in found.report.findings:
        place = " ".join(filter(None, (told.server, told.site, told.path)))
        yield f"{told.severity} {told.id}: {place or 'all servers'}"
        yield f"  {told.message}"
        beside = {"servers": told.servers, "holders": told.holders, "evidence": told.evidence, "fix": told.fix}
        yield from (f"  {name}: {value}" for name in ("spn", "account") if (value := getattr(told, name)) is not None)
        for name, values in beside.items():
            yield from (f"  {name}: {_line(each) if isinstance(each, Evidence) else each}" for each in values)
    for step in found.report.plan.steps:
        yield f"{step.order}. {step.kind} for {step.finding}{', after a question' if step.confirm else ''}"
        beside = {"command": step.command, "back": step.rollback, "note": step.note}
        yield from (f"  {name}: {value}" for name, value in beside.items() if value is not None)
    for way in found.report.plan.alternatives:
        yield f"or for {way.finding}: {way.why}"
        yield from (f"  {step.command or step.note}" for step in way.steps)
    for blocked in found.report.plan.blocked:
        yield f"blocked: {blocked.finding}: {blocked.why}"


def _line(evidence: Evidence) -> str:
    return f"{evidence.file}:{evidence.line} {evidence.text}"


@pytest.mark.parametrize("finding_id", PAIRS)
def test_finding(finding_id: str) -> None:
    text = "\n".join([*in_words(PAIRS[finding_id][0]()), ""])
    text = re.sub(r"\S*[/\\](?=ad0\.txt)", "", text)
    same(f"findings/{finding_id}", re.sub(r"(?<=\.py:)\d+", "N", text))


# -- played servers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    directory = tmp_path_factory.mktemp("farm")
    with farm.running(directory, servers=len(SERVERS) + 1) as running, farm.resolving():
        for number, name in enumerate(SERVERS, start=1):
            running.set(running.name(number), folder=str(SAMPLES / name))
        running.set(SILENT, fault="404", on="auth")
        yield running


@pytest.fixture
def logon(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{lab.password}\n"))
    return "--user", lab.user, "--password-stdin", "--transport", "ntlm", "--port", str(lab.http_port)


@pytest.mark.parametrize("form", SWEPT)
def test_sweep(form: str, logon: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    words = told(WORDS["sweep"], form)
    compare(f"sweep.{form}", words, main([*words, *logon]), capsys.readouterr())


def test_collect(logon: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = WORDS["collect"]
    given = [str(tmp_path) if word == "FOLDER" else word for word in words]
    compare("collect", words, main([*given, *logon]), capsys.readouterr(), tmp_path)


ELSEWHERE = ("agent", "completion", "probe")
"""What reads this server, writes a script, asks another one: tests/test_agent.py, test_completion.py, test_probe.py."""


def test_each_golden_text_is_of_a_command_and_a_format() -> None:
    known = {f"{command}.{form}.txt" for command, form in CASES} | {"rules.txt", "collect.txt", "findings", "want"}
    assert {path.name for path in GOLDEN.iterdir()} == known
    assert {path.stem for path in (GOLDEN / "findings").iterdir()} == set(PAIRS)
    assert {*WORDS, *ELSEWHERE} == set(commands())
