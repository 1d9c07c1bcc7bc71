"""docs/recipes.md: each line does what the page says, in its order, with the sample servers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from lxml import etree
from prometheus_client.parser import text_string_to_metric_families

from agent import exits
from agent.cli import line
from agent.cli.program import main

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
TEXT = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def lines(heading: str) -> list[list[str]]:
    """The commands of a recipe."""
    (section,) = [part for part in re.split(r"(?m)^## ", TEXT) if part.startswith(heading)]
    return [line.split() for line in re.findall(r"(?m)^    iis-spn (.+)$", section)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("servers", "snapshots"):
        for server in (path for path in SAMPLES.iterdir() if path.is_dir()):
            shutil.copytree(server, tmp_path / folder / server.name)
    for name in ("directory.ldif", "zone.txt"):
        shutil.copy(SAMPLES / name, tmp_path)
    (tmp_path / "textfile").mkdir()
    (tmp_path / "farm.txt").write_text("web01\n")
    monkeypatch.chdir(tmp_path)


def test_the_gate_lets_through_what_is_accepted_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    accept, gate, now, diff = lines("A gate in CI")
    assert main(accept) == exits.CLEAN
    assert main(gate) == exits.CLEAN
    assert etree.parse("spn.xml").getroot().tag == "testsuites"
    without = [word for word in gate if word not in {"--accept", "accepted.toml"}]
    assert main(without) == exits.FINDINGS
    Path("servers/IIS01/applicationHost.config").write_text("<configuration>")
    assert main(gate) == exits.INCOMPLETE
    assert main(now) == exits.INCOMPLETE
    shutil.copy("now.json", "main.json")
    assert main(diff) == exits.INCOMPLETE
    capsys.readouterr()


def test_the_pipelines_line_is_the_same() -> None:
    (line,) = re.findall(r"- iis-spn (.+)", TEXT)
    assert line.split() == lines("A gate in CI")[1]


def test_only_what_a_change_brings() -> None:
    *_, now, diff = lines("A gate in CI")
    assert main(now) == exits.CLEAN
    shutil.copy("now.json", "main.json")
    assert main(diff) == exits.CLEAN
    assert Path("changes.md").read_text(encoding="utf-8")


def test_the_nightly_numbers() -> None:
    sweep, again = lines("A nightly alert")
    line.read(sweep)
    assert main(again) == exits.CLEAN
    told = {family.name for family in text_string_to_metric_families(Path("textfile/iis-spn.prom").read_text())}
    used = set(re.findall(r"iis_spn_\w+", TEXT))
    assert used <= told


def test_the_auditors_page() -> None:
    page, report, diff = lines("A monthly page")
    Path("accepted.toml").write_text("")
    assert main(page) == exits.CLEAN
    assert Path("2026-11.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(report) == exits.CLEAN
    assert json.loads(Path("2026-11.json").read_text(encoding="utf-8"))["complete"]
    shutil.copy("2026-11.json", "2026-10.json")
    assert main(diff) == exits.CLEAN
    assert Path("changes-2026-11.md").exists()
