"""The formats that other programs read: what each must hold, beside the schema or the parser of those programs."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_docs import Still, sections
from test_render import as_told, explanation, report

from agent import exits
from agent.cli import formats, looking
from agent.cli.program import main
from agent.model import Explanation, Report
from agent.render import jsonl

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
FARM = ("*", "--ad", "directory.ldif", "--dns", "zone.txt", "--farm", "farm.toml")


@pytest.fixture(autouse=True)
def _as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    monkeypatch.setattr(looking, "datetime", Still)


# -- docs/formats.md -----------------------------------------------------------------------------------------------


def test_a_section_for_each_format_that_inspect_knows() -> None:
    assert list(sections("docs/formats.md")) == list(formats.known_by("inspect"))


def examples() -> list[tuple[str, list[str]]]:
    """The commands that the page shows, and what it shows of their output: pieces with `...` between them."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    found = re.findall(r"^```\n\$ iis-spn ([^\n]+)\n(.+?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [(words, [piece for piece in re.split(r"(?m)^\.\.\.\n", shown) if piece]) for words, shown in found]


def without_release(text: str) -> str:
    """Without the day of the run and the version."""
    return re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b\d+\.\d+\.\d+(?=")', "N", text)


@pytest.mark.parametrize(("words", "pieces"), examples(), ids=[words for words, _ in examples()])
def test_the_example_is_what_the_command_prints(
    words: str, pieces: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(words.replace('"', "").split()) in {exits.CLEAN, exits.FINDINGS}
    out = capsys.readouterr().out.replace("\r\n", "\n").removeprefix("\ufeff")
    out, *pieces = map(without_release, (out, *pieces))
    places = [out.find(piece) for piece in pieces]
    assert -1 not in places, pieces[places.index(-1)]
    assert places[0] == 0
    assert all(before < after for before, after in pairwise(places))


def test_each_section_has_an_example() -> None:
    shown = [words.rpartition("--format ")[2] for words, _ in examples()]
    assert [name if name in formats.known_by("inspect") else "table" for name in shown] == list(
        sections("docs/formats.md")
    )


# -- JSON lines ----------------------------------------------------------------------------------------------------


def lines(value: Report) -> list[dict[str, object]]:
    text = "".join(jsonl.to_jsonl(value))
    assert text.endswith("\n")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def expected(value: Report) -> list[object]:
    told = [("server", each) for each in value.servers]
    told += [("finding", each) for each in value.findings]
    told += [("requirement", each) for each in value.requirements]
    found = [{"type": kind, "run": value.started} | as_told(each) for kind, each in told]
    if isinstance(value, Explanation):
        found += [{"type": "outcome", "run": value.started, "url": value.url} | as_told(o) for o in value.outcomes]
    return found


@pytest.mark.parametrize("value", [report(), explanation()], ids=["report", "explanation"])
def test_a_line_for_each_with_the_keys_of_the_report(value: Report) -> None:
    assert lines(value) == expected(value)
    for line in lines(value):
        assert list(line)[:2] == ["type", "run"]
    first = json.loads(value.to_json())
    assert list(lines(value)[0])[2:] == list(first["servers"][0])
    assert [line["type"] for line in lines(value)][:6] == ["server", "finding", "finding", *["requirement"] * 3]


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report) | st.from_type(Explanation))
def test_no_line_is_broken_whatever_stands_in_it(value: Report) -> None:
    text = "".join(jsonl.to_jsonl(value))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text)
    assert [json.loads(line) for line in text.split("\n")[:-1]] == expected(value)


def test_a_line_is_what_the_json_of_python_writes() -> None:
    text = "".join(jsonl.to_jsonl(report()))
    assert text == "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in expected(report()))
