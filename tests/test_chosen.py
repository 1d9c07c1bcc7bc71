"""`--server` and `--site`: everything is judged, these alone are reported, counted and told by the exit code."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from test_plan import Bench, bench, does_no_harm, farms, outcomes
from worlds import ad, computer, server, site, user, world

from agent import exits
from agent.cli import looking
from agent.cli.looking import judged, live_logon
from agent.cli.options import Looking
from agent.cli.program import main
from agent.errors import UsageError
from agent.inspection.sources import Only
from agent.model import Report, SpnCounts
from agent.sweep.options import Logon

SAMPLES = Path(__file__).parents[1] / "sample_configs"
FILES = [
    *("--ad", str(SAMPLES / "directory.ldif"), "--dns", str(SAMPLES / "zone.txt")),
    *("--farm", str(SAMPLES / "farm.toml")),
]
SERVERS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())


class Still(datetime):
    """The day of the samples."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Still:
        return cls(2026, 11, 22, 12, tzinfo=tz)


def report(
    servers: Sequence[str] = (),
    sites: Sequence[str] = (),
    *,
    targets: Iterable[Path] = (SAMPLES,),
    **changed: object,
) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "datetime", Still)
        given: dict[str, object] = {
            "ad": (str(SAMPLES / "directory.ldif"),),
            "dns": (str(SAMPLES / "zone.txt"),),
            "farm": (SAMPLES / "farm.toml",),
            "names": (),
            "accept": (),
            "clients": (),
            "computer": None,
            "netbios": {},
            **changed,
        }
        where = Looking(servers=tuple(servers), sites=tuple(sites), **given)  # type: ignore[arg-type]
        return judged(
            list(map(str, targets)), where, live_logon(Logon(ad_user=None, password_stdin=False, ca=()))
        ).report


@pytest.fixture(scope="module")
def whole() -> Report:
    return report()


# -- everything is judged ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_reported_of_one_server_is_what_the_whole_says_of_it(name: str, whole: Report) -> None:
    part = report([name])
    assert [server.name for server in part.servers] == [name]
    assert part.applications == tuple(each for each in whole.applications if each.server == name)
    same = {(each.spn, each.account): each for each in whole.requirements}
    for each in part.requirements:
        of_all = same[each.spn, each.account]
        assert (each.outcome, each.answers, each.need, each.advice) == (
            *(of_all.outcome, of_all.answers),
            *(of_all.need, of_all.advice),
        )
        assert each.applications == tuple(place for place in of_all.applications if place.server == name)
    needing = {key for key, each in same.items() if any(place.server == name for place in each.applications)}
    assert needing == {(each.spn, each.account) for each in part.requirements}


@pytest.mark.parametrize("name", SERVERS)
def test_findings_and_counts_are_those_of_the_server(name: str, whole: Report) -> None:
    part = report([name])
    told = [each for each in whole.findings if not each.all_servers or name in each.all_servers]
    assert {each.id for each in told} == {each.id for each in part.findings}
    assert part.summary is not None
    assert part.spns == SpnCounts.of(part.requirements, part.applications)
    assert part.summary.servers.asked == 1
    assert [read.covers for read in part.summary.read if read.kind == "config"] == [(name,)]
    assert part.summary.only == (f"server {name}",)


def test_the_steps_of_all_servers_are_those_of_the_whole(whole: Report) -> None:
    """Each is what its server needs; what two of them share stands in both."""
    steps = {(step.kind, step.spn, step.account, step.command) for step in whole.plan.steps}
    each = [{(s.kind, s.spn, s.account, s.command) for s in report([name]).plan.steps} for name in SERVERS]
    assert set().union(*each) == steps
    assert any(part and part < steps for part in each)


def test_a_name_means_what_it_does_among_all_servers() -> None:
    """One name on two servers that decrypt differently: seen only where both are judged."""
    nodes = [
        server(site("*:80:portal.test.com"), name=name, pool=pool, creds=True)
        for name, pool in (("IIS01", r"TEST\one"), ("IIS02", r"TEST\two"))
    ]
    files = ad(computer("IIS01"), computer("IIS02"), user("one"), user("two"))
    one = Only(servers=("IIS01",))
    assert "farm-suspected" not in world(nodes[0], ad=files).ids
    both = world(*nodes, ad=files, only=one)
    assert "farm-suspected" in both.ids
    assert [server.name for server in both.report.servers] == ["IIS01"]
    assert world(nodes[0], ad=files).report.plan.steps
    assert not both.report.plan.steps, "while it stands nobody registers that name"


@settings(max_examples=40)
@given(farms())
def test_a_part_of_any_farm_says_what_the_whole_says_and_its_plan_harms_no_other(one: Bench) -> None:
    """The steps for one server are carried out alone, and all servers looked at again."""
    of_all = outcomes(one.report)
    for name in (each.name for each in one.report.servers):
        part = bench(one.snapshots, replace(one.sources, only=Only(servers=(name,))))
        assert outcomes(part.report).items() <= of_all.items()
        assert {f.id for f in part.report.findings} <= {f.id for f in one.report.findings} | {"plan-blocked-by-alias"}
        steps = [step for step in part.report.plan.steps if step.command is not None]
        does_no_harm(one, one.after(steps))


@pytest.mark.parametrize("patterns", [["iis0?"], ["IIS*"], ["*"], SERVERS, ["*.test.com"], ["iis0?.TEST.com"]])
def test_patterns_and_full_names_in_any_case(patterns: Sequence[str], whole: Report) -> None:
    part = report(patterns)
    named = [server for server in whole.servers if "." not in patterns[0] or server.dns_name]
    assert [server.name for server in part.servers] == [server.name for server in named]


def test_the_sites_of_every_server() -> None:
    part = report(sites=["sales"])
    assert {(each.server, each.site) for each in part.applications} == {("IIS05", "Sales")}
    assert {str(each.spn) for each in part.requirements if each.matters} == {"HTTP/sales.test.com"}
    assert {each.site for each in part.findings if each.server is not None} <= {"Sales", None}
    assert not [each for each in part.findings if each.spn is not None and "sales" not in str(each.spn)]
    assert [str(step.spn or step.command) for step in part.plan.steps if "Sales" not in str(step.command)] == []


def test_both_together() -> None:
    part = report(["IIS05"], ["S*"])
    assert {(each.server, each.site) for each in part.applications} == {("IIS05", "Sales"), ("IIS05", "Second")}


def test_brackets_mean_themselves() -> None:
    with pytest.raises(UsageError, match=r"--site \[Ss\]ales matches none"):
        report(sites=["[Ss]ales"])


# -- exit codes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], exits.FINDINGS),
        (["--server", "IIS01"], exits.CLEAN),
        (["--server", "IIS05"], exits.FINDINGS),
        (["--server", "IIS01", "--server", "IIS05"], exits.FINDINGS),
        (["--site", "Buecher"], exits.CLEAN),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_the_exit_code_is_that_of_what_is_reported(command: str, words: Sequence[str], code: int) -> None:
    assert main([command, str(SAMPLES), *FILES, *words, "--output", os.devnull]) == code


def test_a_server_that_could_not_be_read_counts_where_it_was_asked_for(tmp_path: Path) -> None:
    for name in ("IIS01", "IIS02"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "machine.json").write_bytes((SAMPLES / name / "machine.json").read_bytes())
    good = (SAMPLES / "IIS01" / "applicationHost.config").read_bytes()
    (tmp_path / "IIS01" / "applicationHost.config").write_bytes(good)
    (tmp_path / "IIS02" / "applicationHost.config").write_bytes(good[:1000])
    words = ["inspect", str(tmp_path), *FILES, "--output", os.devnull]
    assert main([*words, "--server", "IIS02"]) == exits.INCOMPLETE
    assert main([*words, "--server", "IIS01"]) == exits.CLEAN
    assert main([*words, "--site", "Intranet"]) == exits.INCOMPLETE  # it may be there too
    assert main([*words, "--site", "Nowhere"]) == exits.INCOMPLETE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--server", "IIS99"], "--server IIS99 matches none: did you mean IIS"),
        (["--server", "web"], "--server web matches none: there are IIS01, IIS02, "),
        (["--site", "Sale"], "--site Sale matches none: did you mean Sales? There are Default Web Site, "),
        (["--server", "IIS05", "--site", "*x*y*"], "--site *x*y* matches none: there are "),
        (["--server", "\x1b[31m"], "--server \\u001b[31m matches none"),
        (["--server", ""], "--server  matches none"),
    ],
)
def test_a_name_that_nobody_has(words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(SAMPLES), *FILES, *words]) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


# -- where it is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *(["inspect", *more] for more in ([], ["--all"], ["--format", "markdown"], ["--format", "html"])),
        *(["plan", "--format", form] for form in ("table", "markdown", "html", "ticket", "cmd", "powershell", "ldif")),
    ],
    ids=" ".join,
)
def test_what_people_read_says_that_there_is_more(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([words[0], str(SAMPLES), *FILES, *words[1:], "--server", "IIS05"])
    out = capsys.readouterr().out
    told = " ".join(re.sub(r"<[^>]+>|^rem |^# |[*\\]", "", out, flags=re.MULTILINE).split())
    assert "Only server IIS05: everything else was judged, and is neither shown nor counted." in told
    assert "IIS04" not in out


def test_explain_tells_of_the_server_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "http://sales.test.com/", str(SAMPLES), *FILES]
    assert main([*words, "--server", "IIS05", "--format", "json"]) == exits.FINDINGS
    told = json.loads(capsys.readouterr().out)
    assert {each["server"] for each in told["outcomes"]} == {"IIS05"}
    assert main([*words, "--server", "IIS01"]) == exits.USAGE
    assert "http://sales.test.com/ is answered by IIS05/Sales, which --server and --site leave out" in (
        capsys.readouterr().err
    )


def test_an_acceptance_of_another_server_is_not_said_to_match_nothing(tmp_path: Path) -> None:
    accept = tmp_path / "accept.toml"
    accept.write_text("[[accept]]\nid = 'spn-misplaced'\nsubject = 'HTTP/sales.test.com'\nreason = 'known'\n")
    assert "accept-unmatched" not in {each.id for each in report(["IIS01"], accept=(accept,)).findings}
