"""The sample farm: golden text and JSON beside each server, and the table of its README, which people wrote."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import inspect
from agent.model import Plan, Report
from agent.names import spn
from agent.render.afterwards import probes
from tests.pages import in_text

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
SERVERS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def report(*targets: str, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.chdir(SAMPLES)
    return inspect(targets, ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml"), now=NOW)


def compare(path: Path, text: str) -> None:
    if os.environ.get("IIS_SPN_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8")


def without_times(text: str) -> str:
    """The files of a checkout are as old as the checkout."""
    return re.sub(r'"(started|finished|date)": "[^"]*"', r'"\1": "-"', text)


@pytest.mark.parametrize("server", SERVERS)
def test_golden_text(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(server, monkeypatch=monkeypatch)
    text = in_text(found, 100, color=False)
    compare(SAMPLES / server / "expected.txt", re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text))


@pytest.mark.parametrize("server", SERVERS)
def test_golden_json(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(server, monkeypatch=monkeypatch)
    compare(SAMPLES / server / "expected.json", without_times(found.to_json()))


# -- the table of the README: written from the rules, before the program existed -------------------------------------

ROW = re.compile(
    r"^\| (IIS\d\d) \| ([^|]+) \| (HTTP/[^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE
)
TABLE = [
    tuple(cell.strip() for cell in row) for row in ROW.findall((SAMPLES / "README.md").read_text(encoding="utf-8"))
]


def test_the_table_is_there() -> None:
    assert len(TABLE) > 20
    assert {row[0] for row in TABLE} == set(SERVERS)


@pytest.fixture(scope="module")
def farm() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        return report("*", monkeypatch=patch)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: " ".join(row[:3]))
def test_table_row(row: tuple[str, ...], farm: Report) -> None:
    server, site, name, account, outcome, rule, finding = row
    requirements = [
        requirement
        for requirement in farm.requirements
        if requirement.spn.text.lower() == name.lower()
        and str(requirement.account) == account
        and any((a.server, a.site) == (server, site) for a in requirement.applications)
    ]
    assert [requirement.outcome for requirement in requirements] == [outcome]
    rules = {a.rule for a in farm.applications if (a.server, a.site) == (server, site) and a.negotiates}
    assert rules == {rule}
    found = {f.id for f in farm.findings if f.spn == requirements[0].spn and f.severity != "info"}
    assert finding in found or (finding == "-" and not found)


def test_every_rule_of_the_article_is_shown(farm: Report) -> None:
    shown = {application.rule for application in farm.applications} | {r.rule for r in farm.requirements}
    assert {f"scenario-{number}" for number in range(1, 9)} <= shown


def test_json_is_the_report(farm: Report) -> None:
    plain = json.loads(farm.to_json())
    assert plain["schema"] == "iis-spn/report/2"
    assert plain["complete"] is True
    assert [server["name"] for server in plain["servers"]] == SERVERS


def test_the_farm_from_the_accounts_side(farm: Report) -> None:
    uses = {str(use.account): use for use in farm.accounts}
    served = {(ref.server, ref.site) for ref in uses[r"TEST\contososvc"].applications}
    assert served == {("IIS02", "Contoso"), ("IIS03", "Default Web Site"), ("IIS03", "Classic")}
    computer = uses[r"TEST\IIS05$"]
    assert computer.kind == "computer"
    assert [str(spn) for spn in computer.lacks or ()] == ["HTTP/sales.test.com", "HTTP/forms.test.com"]
    assert computer.elsewhere == ()  # HTTP/crm.test.com is on it, and needed on another account
    assert {str(spn) for spn in computer.covered} == {"HTTP/IIS05", "HTTP/iis05.test.com"}
    assert uses[r"TEST\wikisvc"].lacks == ()


def test_the_check_after_a_repair_asks_by_the_name_that_people_type(farm: Report) -> None:
    """Clients ask for HTTP/iis02.test.com for `help`, its alias: by that name itself another site answers."""
    (broken,) = [
        each for each in farm.requirements if each.spn == spn("HTTP/iis02.test.com") and each.outcome == "modified"
    ]
    assert {(one.server, one.site) for one in broken.applications} == {("IIS02", "Help")}
    by_hand = replace(farm.plan.steps[0], kind="manual", spn=None)
    assert probes(replace(farm, requirements=(broken,), plan=Plan(steps=(by_hand,))))[1:] == (
        "iis-spn probe http://help.test.com/",
    )
