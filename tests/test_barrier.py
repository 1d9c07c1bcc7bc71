"""A fault of this program costs the server it comes with, and the others have their report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from inputs import written
from msgspec.structs import replace
from worlds import ad, computer, server, site, user, world

from agent import exits
from agent.cli.program import main
from agent.inspection import reporting, servers, stages
from agent.inspection.sources import Sources
from agent.sources.snapshots import targets
from agent.spn.directory import Directory, Question

STAGES = (
    (targets, "read_target", "servers/BAD"),
    (servers, "read_server", "BAD"),
    (servers, "effective", "crew.test.com"),
    (stages, "names_question", "crew.test.com"),
    (stages, "names_question", "bad.test.com"),
    (servers, "names_of", "bad.test.com"),
    (servers, "server_view", "BAD"),
    (stages, "question", "crew.test.com"),
    (stages, "require", "crew.test.com"),
    (stages, "unclaimed", "crew.test.com"),
    (stages, "judge", "crew.test.com"),
    (reporting, "check", "crew.test.com"),
    (reporting, "farm", "crew.test.com"),
    (reporting, "plan", "crew.test.com"),
    (reporting, "account_uses", "crew.test.com"),
)
"""Where one server, or all of them together, are read and judged, in this order; and what tells the bad one there."""


class SlipError(Exception):
    """A fault of this program."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two servers that have nothing to do with each other; each needs an SPN that is missing."""
    good = server(site("*:80:shop.test.com"), name="GOOD", pool=r"TEST\shopsvc", creds=True)
    bad = server(site("*:80:crew.test.com"), name="BAD", pool=r"TEST\crewsvc", creds=True)
    whole = ad(computer("GOOD"), computer("BAD"), user("shopsvc"), user("crewsvc"))
    written(tmp_path, [good, bad], ad=whole, dns="shop A 10.0.5.2")
    return tmp_path


def inspected(folder: Path, *names: str) -> tuple[int, dict[str, list[dict[str, object]]]]:
    """The exit code, and what the report says."""
    out = folder / "report.json"
    sources = ["--ad", *map(str, (folder / "directory").iterdir()), "--dns", *map(str, (folder / "zones").iterdir())]
    code = main(["inspect", *(str(folder / "servers" / name) for name in names), *sources, *_AS_JSON, str(out)])
    return code, json.loads(out.read_text())


_AS_JSON = ("--format", "json", "--output")


def slips_over(sign: str, wrapped: Callable[..., object]) -> Callable[..., object]:
    def slip(*given: object, **named: object) -> object:
        if sign in repr(given[0]):
            raise SlipError
        return wrapped(*given, **named)

    return slip


@pytest.mark.parametrize(("module", "name", "sign"), STAGES, ids=[f"{name}, {sign}" for _, name, sign in STAGES])
def test_a_slip_in_any_stage_costs_one_server(
    folder: Path, module: object, name: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alone = inspected(folder, "GOOD")
    monkeypatch.setattr(module, name, slips_over(sign, getattr(module, name)))
    code, both = inspected(folder, "BAD", "GOOD")
    assert code == exits.INCOMPLETE
    assert both["complete"] is False
    bad, good = both["servers"]
    assert (bad["status"], good["status"]) == ("failed", "ok")
    (problem,) = [problem for problem in bad["problems"] if problem["id"] == "internal-error"]  # type: ignore[attr-defined]
    assert f"SlipError in {Path(__file__).name}:" in problem["message"]
    assert "report it" in problem["fix"][0]
    assert [found["server"] for found in both["findings"] if found["id"] == "internal-error"] == [bad["name"]]
    for key in ("applications", "requirements", "plan", "accounts"):
        assert both[key] == alone[key]
    assert both["requirements"]


def test_debug_shows_where_it_was_raised_also_for_one_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "require", slips_over("crew.test.com", stages.require))
    words = ["inspect", str(folder / "servers" / "BAD"), "--ad", "off", "--format", "json"]
    assert main(words) == exits.INCOMPLETE
    assert "Traceback" not in capsys.readouterr().err
    for line in ([*words, "--debug"], ["--debug", *words]):
        assert main(line) == exits.INCOMPLETE
        assert "in slip" in capsys.readouterr().err


def test_what_nobody_can_lay_at_one_servers_door_is_a_fault_of_the_program(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two servers that fail only together."""
    require = stages.require

    def slip(views: Sequence[object], *given: object) -> object:
        if len(views) == 2:
            raise SlipError
        return require(views, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "require", slip)
    assert main(["inspect", *(str(folder / "servers" / name) for name in ("GOOD", "BAD")), "--ad", "off"]) == exits.BUG
    assert "a fault of this program (SlipError in" in capsys.readouterr().err


def test_a_source_that_slips_is_no_servers_fault_and_is_not_asked_for_each() -> None:
    asked: list[Question] = []

    def directory(question: Question) -> Directory | None:
        asked.append(question)
        raise SlipError

    servers = [server(site(f"*:80:web{n}.test.com"), name=f"WEB{n}") for n in range(8)]
    with pytest.raises(SlipError):
        stages.analyse(servers, replace(Sources(), directory=directory))
    assert len(asked) <= 2


def test_one_among_many_is_found_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    require = stages.require

    def slip(views: Sequence[object], *given: object) -> object:
        runs.append(len(views))
        if "web77.test.com" in repr(views):
            raise SlipError
        return require(views, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "require", slip)
    servers = [server(site(f"*:80:web{n}.test.com"), name=f"WEB{n}") for n in range(128)]
    found = stages.analyse(servers, Sources()).report
    assert [one.name for one in found.servers if one.status == "failed"] == ["WEB77"]
    assert len(runs) <= 2 + 2 * 8


# -- depth ---------------------------------------------------------------------------------------------------------


def deep(segments: int) -> str:
    path = "/".join(["Site", *("d" * (segments - 1))])
    auth = '<system.webServer><security><authentication><windowsAuthentication enabled="true"/>'
    ends = "</authentication></security></system.webServer>"
    return f'<location path="{path}">{auth}{ends}</location>'


@pytest.mark.parametrize(("segments", "status"), [(200, "ok"), (256, "ok"), (257, "failed"), (40_000, "failed")])
def test_as_many_segments_as_a_url_may_have_are_followed(segments: int, status: str) -> None:
    """HTTP.sys takes 255 in a URL (UrlSegmentMaxCount); the first here is the site."""
    odd = server(site("*:80:crew.test.com"), name="DEEP", body=deep(segments))
    found = world(server(name="GOOD"), odd).report
    assert [one.status for one in found.servers] == ["ok", status]
    assert [problem.id for problem in found.servers[1].problems if problem.id == "config-malformed"] == (
        ["config-malformed"] if status == "failed" else []
    )
