"""What changed between two reports: each kind of change fires in one pair of worlds and is silent in one nearby."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from work import calls
from worlds import NOW, World, ad, computer, farm_name, server, setspn_l, site, user, world

from agent import exits
from agent.checks.accept import Acceptance, accept
from agent.cli import formats
from agent.cli.program import main
from agent.history import Change, Difference, compare, schema
from agent.model import Accepted, Finding, Report
from agent.names import spn

SVC, OTHER = r"TEST\svc", r"TEST\other"
NAME = "HTTP/a.test.com"
A = site("*:80:a.test.com")
HERE = "iis01 A 10.0.5.2;a A 10.0.5.2"
SAMPLES = Path(__file__).parents[1] / "sample_configs"
LOOKING = ("--ad", str(SAMPLES / "directory.ldif"), "--dns", str(SAMPLES / "zone.txt"))


def one(*entries: str, **given: object) -> World:
    """A site whose pool account decrypts, and a directory with its computer."""
    settings: dict[str, Any] = {"pool": SVC, "creds": True, **given}
    return world(server(settings.pop("site", A), **settings), ad=ad(computer(), *entries), dns=HERE)


def difference(old: World | Report, new: World | Report) -> Difference:
    before, after = (side if isinstance(side, Report) else side.report for side in (old, new))
    return compare(before, after)


def told(old: World | Report, new: World | Report) -> list[tuple[object, ...]]:
    return [
        (change.kind, change.what, change.name or str(change.spn), change.before, change.after, change.severity)
        for change in difference(old, new).changes
    ]


def good(**given: object) -> World:
    return one(user("svc", NAME), user("other"), **given)


SCHEMA = Draft202012Validator(json.loads(schema.to_text()))

# -- its schema ----------------------------------------------------------------------------------------------------


def test_the_committed_schema_is_the_derived_one() -> None:
    committed = Path(__file__).parents[1] / "docs" / "diff.schema.json"
    assert committed.read_text(encoding="utf-8") == schema.to_text(), schema.__doc__


def as_printed(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["diff", str(SAMPLES / old), str(SAMPLES / new), *LOOKING, "--format", "json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("old", "new"), [("IIS01", "IIS05"), ("IIS05", "IIS01"), ("*", "IIS06"), ("IIS01", "IIS01")])
def test_every_difference_follows_the_schema(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    SCHEMA.validate(as_printed(old, new, capsys))


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("schema", "iis-spn/diff/2"), ("complete", None), ("changes", [{"kind": "moved"}]), ("old", {}), ("gaps", "none")],
)
def test_the_schema_refuses_what_is_wrong(key: str, wrong: object, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = as_printed("IIS01", "IIS05", capsys) | {key: wrong}
    assert not SCHEMA.is_valid(spoiled)


# -- each kind of change -------------------------------------------------------------------------------------------

Pair = tuple[World | Report, World | Report]


def failed(world: World) -> Report:
    """The same, where the server could not be read."""
    report = world.report
    lost = replace(report.servers[0], status="failed")
    return replace(report, complete=False, servers=(lost,), applications=(), requirements=(), findings=(), accounts=())


TWO = site("*:81:b.test.com", name="Two")


def two(*sites: Any, **given: object) -> World:
    settings: dict[str, Any] = {"pool": SVC, "creds": True, **given}
    return world(server(*sites, **settings), ad=ad(computer(), user("svc", NAME, "HTTP/b.test.com")), dns=HERE)


def farm(*numbers: int, held: Sequence[str] = (NAME,)) -> World:
    servers = [server(A, name=f"IIS0{number}", pool=SVC, creds=True) for number in numbers]
    machines = [computer(f"IIS0{number}") for number in numbers]
    lists = farm_name("a.test.com", *(f"IIS0{number}" for number in numbers))
    return world(*servers, ad=ad(*machines, user("svc", *held)), farm=[lists])


FIRES: dict[str, tuple[Callable[[], Pair], tuple[object, ...]]] = {
    "server appeared": (lambda: (farm(1), farm(1, 2)), ("appeared", "server", "None", None, "ok", "info")),
    "server vanished": (lambda: (farm(1, 2), farm(1)), ("vanished", "server", "None", "ok", None, "warning")),
    "server changed": (lambda: (good(), failed(good())), ("changed", "server", "status", "ok", "failed", "info")),
    "application appeared": (
        lambda: (two(A), two(A, TWO)),
        ("appeared", "application", "None", None, "pool", "info"),
    ),
    "application vanished": (
        lambda: (two(A, TWO), two(A)),
        ("vanished", "application", "None", "pool", None, "info"),
    ),
    "setting changed": (
        lambda: (good(), good(kernel=False)),
        ("changed", "setting", "kernel_mode", True, False, "warning"),
    ),
    "who decrypts is set": (
        lambda: (good(), good(creds=False)),
        ("changed", "setting", "pool_credentials", True, False, "warning"),
    ),
    "providers changed": (
        lambda: (good(), good(offered=("NTLM", "Negotiate"))),
        ("changed", "setting", "providers", ("Negotiate", "NTLM"), ("NTLM", "Negotiate"), "warning"),
    ),
    "binding added": (
        lambda: (good(), good(site=site("*:80:a.test.com", "*:80:c.test.com"))),
        ("changed", "setting", "hosts", ("a.test.com",), ("a.test.com", "c.test.com"), "warning"),
    ),
    "pool account changed": (
        lambda: (good(), good(pool=OTHER)),
        ("changed", "setting", "pool_account", SVC, OTHER, "warning"),
    ),
    "account changed": (
        lambda: (good(), good(pool=OTHER)),
        ("changed", "account", "decrypts_as", SVC, OTHER, "warning"),
    ),
    "requirement appeared": (
        lambda: (two(A), two(A, TWO)),
        ("appeared", "requirement", "HTTP/b.test.com", None, "kerberos", "info"),
    ),
    "requirement vanished": (
        lambda: (two(A, TWO), two(A)),
        ("vanished", "requirement", "HTTP/b.test.com", "kerberos", None, "info"),
    ),
    "requirement became broken": (
        lambda: (good(), good(pool=OTHER)),
        ("changed", "requirement", NAME, "kerberos", "modified", "error"),
    ),
    "requirement became NTLM": (
        lambda: (good(), one(user("svc"))),
        ("changed", "requirement", NAME, "kerberos", "ntlm-fallback", "warning"),
    ),
    "requirement was mended": (
        lambda: (one(user("svc"), user("other", NAME)), good()),
        ("changed", "requirement", NAME, "modified", "kerberos", "info"),
    ),
    "holder appeared": (
        lambda: (one(user("svc"), user("other")), one(user("svc"), user("other", NAME))),
        ("appeared", "holder", NAME, None, OTHER, "warning"),
    ),
    "holder vanished": (lambda: (good(), one(user("svc"))), ("vanished", "holder", NAME, SVC, None, "warning")),
    "holder of what nobody needs": (
        lambda: (good(), one(user("svc", NAME, "HTTP/z.test.com"))),
        ("appeared", "holder", "HTTP/z.test.com", None, SVC, "warning"),
    ),
    "finding appeared": (
        lambda: (good(), one(user("svc"))),
        ("appeared", "finding", "spn-missing", None, "spn-missing", "warning"),
    ),
    "finding vanished": (
        lambda: (one(user("svc")), good()),
        ("vanished", "finding", "spn-missing", "spn-missing", None, "info"),
    ),
    "finding got worse": (
        lambda: (one(user("svc")), restated(one(user("svc")), severity="error")),
        ("changed", "finding", "spn-missing", "warning", "error", "error"),
    ),
    "finding got better": (
        lambda: (restated(one(user("svc")), severity="error"), one(user("svc"))),
        ("changed", "finding", "spn-missing", "error", "warning", "info"),
    ),
    "finding was accepted": (
        lambda: (one(user("svc")), restated(one(user("svc")), accepted=Accepted(reason="known"))),
        ("changed", "finding", "spn-missing", "open", "accepted", "info"),
    ),
    "acceptance is over": (
        lambda: (restated(one(user("svc")), accepted=Accepted(reason="known")), one(user("svc"))),
        ("changed", "finding", "spn-missing", "accepted", "open", "warning"),
    ),
}


def restated(world: World, **changes: object) -> Report:
    """The same report, in which the missing SPN is told otherwise."""
    findings = tuple(
        replace(found, **changes) if found.id == "spn-missing" else found  # type: ignore[arg-type]
        for found in world.report.findings
    )
    return replace(world.report, findings=findings)


@pytest.mark.parametrize("name", FIRES)
def test_a_change_is_told(name: str) -> None:
    pair, expected = FIRES[name]
    assert expected in told(*pair())


def told_all_the_same(report: Report) -> Report:
    """The same facts in another order, at other lines and times, from another place, in other letters."""
    shuffled = random.Random(7)

    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(shuffled.sample(items, len(items)))

    applications = [
        replace(
            each,
            server=each.server.lower(),
            site=each.site.upper(),
            hosts=mixed(each.hosts),
            origins=replace(
                each.origins, enabled=each.origins.enabled and replace(each.origins.enabled, line=999, file="/x")
            ),
        )
        for each in report.applications
    ]
    requirements = [
        replace(
            each,
            spn=spn(each.spn.text.upper()),
            holders=None if each.holders is None else mixed(each.holders),
            applications=mixed(each.applications),
        )
        for each in report.requirements
    ]
    findings = [replace(each, evidence=tuple(replace(e, line=7) for e in each.evidence)) for each in report.findings]
    return replace(
        report,
        started="2027-01-01T00:00:00Z",
        finished="2027-01-01T00:00:01Z",
        servers=mixed(report.servers),
        applications=mixed(tuple(applications)),
        requirements=mixed(tuple(requirements)),
        findings=mixed(tuple(findings)),
        accounts=mixed(report.accounts),
    )


@pytest.mark.parametrize("name", FIRES)
def test_nothing_is_told_of_the_same_facts(name: str) -> None:
    for side in FIRES[name][0]():
        report = side if isinstance(side, Report) else side.report
        assert told(report, report) == []
        assert told(report, told_all_the_same(report)) == []
        assert told(told_all_the_same(report), report) == []
        assert told(report, Report.from_json(report.to_json())) == []


@pytest.mark.parametrize("name", FIRES)
def test_what_came_one_way_goes_the_other_way(name: str) -> None:
    """Unless a side does not know: what is only appeared and nobody looked before is no loss."""
    old, new = FIRES[name][0]()
    there, back = difference(old, new), difference(new, old)
    if there.gaps or back.gaps:
        return
    changed = {(change.what, change.name, str(change.spn)) for change in there.changes if change.kind == "changed"}
    assert changed == {(c.what, c.name, str(c.spn)) for c in back.changes if c.kind == "changed"}


def test_improvements_are_notes_and_the_worst_comes_first() -> None:
    there, back = difference(good(), good(pool=OTHER)), difference(good(pool=OTHER), good())
    order = [("error", "warning", "info").index(change.severity) for change in there.changes]
    assert order == sorted(order)
    assert order[0] == 0
    assert {change.severity for change in back.changes if change.what in {"requirement", "finding"}} == {"info"}


# -- what one side did not see -------------------------------------------------------------------------------------


def kinds(changes: Sequence[Change], kind: str) -> set[tuple[str, str | None]]:
    return {(change.what, change.name) for change in changes if change.kind == kind}


def test_what_a_failed_server_had_is_not_told_as_gone() -> None:
    found = difference(one(user("svc")), failed(good()))
    assert kinds(found.changes, "vanished") == set()
    assert not found.complete
    assert any("IIS01 was not read whole" in gap for gap in found.gaps)


def test_where_nobody_was_asked_nothing_is_gone() -> None:
    """`holders` null is no holder that left, and `spn-missing` is not mended."""
    blind = world(server(A, pool=SVC, creds=True), dns=HERE)
    for seen in (good(), one(user("svc")), one(user("svc"), user("other", NAME))):
        found = difference(seen, blind)
        assert kinds(found.changes, "vanished") == set()
        assert "holder" not in {change.what for change in found.changes}
        assert any("directory" in gap for gap in found.gaps)
        back = difference(blind, seen)
        assert "holder" not in {change.what for change in back.changes}


def test_a_part_of_the_directory_proves_nothing() -> None:
    """setspn text never proves absence."""
    part = world(server(A, pool=SVC, creds=True), ad=setspn_l({SVC: [NAME]}), dns=HERE)
    both = one(user("svc", NAME), user("other", NAME))
    assert ("holder", None) not in kinds(difference(both, part).changes, "vanished")
    assert ("finding", "spn-duplicate") not in kinds(difference(both, part).changes, "vanished")


def test_names_of_dns_do_not_vanish_where_dns_was_not_asked() -> None:
    empty = server(site("*:80:"), pool=SVC, creds=True)
    holds = ad(computer(), user("svc", NAME))
    asked, unasked = (world(empty, ad=holds, dns=dns) for dns in (HERE, None))
    assert kinds(difference(asked, unasked).changes, "vanished") == set()
    assert ("setting", "hosts") not in kinds(difference(asked, unasked).changes, "changed")


def test_what_comes_with_a_server_is_told_once_unless_it_is_wrong() -> None:
    assert {change.what for change in difference(farm(1), farm(1, 2)).changes} == {"server"}
    broken = difference(farm(1), farm(1, 2, held=()))
    assert ("finding", "spn-missing") in kinds(broken.changes, "appeared")


def test_a_name_that_nobody_needs_is_a_note_whatever_happens_with_it() -> None:
    found = difference(good(), one(user("svc", NAME), user("other", "HTTP/a")))
    (change,) = [each for each in found.changes if each.what == "requirement"]
    assert (change.spn, change.after, change.severity) == (spn("HTTP/a"), "modified (optional)", "info")


def test_two_of_one_kind_in_one_place_are_told_apart_by_what_they_say() -> None:
    def with_bindings(*texts: str) -> Report:
        found = [
            Finding(
                id="binding-malformed", severity="warning", server="IIS01", site="Site", message=f"the binding {text}"
            )
            for text in texts
        ]
        return replace(good().report, findings=tuple(found))

    assert told(with_bindings("x", "y"), with_bindings("y", "x")) == []
    assert told(with_bindings("x", "y"), with_bindings("y")) == [
        ("vanished", "finding", "binding-malformed", "binding-malformed", None, "info")
    ]
    assert told(with_bindings("x"), with_bindings("z")) == [
        ("changed", "finding", "binding-malformed", "the binding x", "the binding z", "warning")
    ]


def test_days_that_went_by_are_no_change() -> None:
    def aged(days: int) -> Report:
        said = f"its password is {days} days old (2025-01-0{days % 9 + 1}), web.config:{days}"
        found = Finding(id="etype-risk", severity="warning", server="IIS01", message=said)
        return replace(good().report, findings=(found,))

    assert told(aged(366), aged(367)) == []


def test_a_server_that_nobody_named_is_the_one_of_the_other_side() -> None:
    old = good().report
    renamed = Report.from_json(
        old.to_json().replace('"server": "IIS01"', '"server": "b"').replace('"name": "IIS01"', '"name": "b"')
    )
    assert told(old, renamed) != []
    guessed = replace(renamed, servers=(replace(renamed.servers[0], guessed=("name",)),))
    assert told(old, guessed) == []


# -- a farm --------------------------------------------------------------------------------------------------------


def farm_of(size: int) -> Report:
    """One report as of so many servers, made of one that was judged."""
    report = one(user("svc")).report
    servers, applications, requirements, findings = [], [], [], []
    for number in range(size):
        name = f"WEB{number:04}"
        servers.append(replace(report.servers[0], name=name, source=name))
        applications += [replace(each, server=name) for each in report.applications]
        for each in report.requirements:
            refs = tuple(replace(ref, server=name) for ref in each.applications)
            own = spn(f"HTTP/{name}.{each.spn.text.partition('/')[2]}")
            requirements.append(replace(each, spn=own, applications=refs))
        for found in report.findings:
            text = f"HTTP/{name}.{found.spn}" if found.spn else None
            findings.append(replace(found, server=name, servers=(name,), spn=spn(text) if text else None))
    return replace(
        report,
        servers=tuple(servers),
        applications=tuple(applications),
        requirements=tuple(requirements),
        findings=tuple(findings),
    )


def test_a_farm_of_a_thousand_servers_against_itself_gives_nothing() -> None:
    farm = farm_of(1000)
    assert told(farm, told_all_the_same(farm)) == []


def test_the_work_grows_with_the_farm_not_with_its_square() -> None:
    def work(size: int) -> int:
        farm = farm_of(size)
        other = told_all_the_same(farm)
        return calls(lambda: compare(farm, other))

    assert work(200) < 2.2 * work(100)


# -- through the front door ----------------------------------------------------------------------------------------


def written(folder: Path, name: str, report: Report) -> str:
    path = folder / name
    path.write_text(report.to_json(), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("pair", "words", "code"),
    [
        (lambda: (good(), good()), (), exits.CLEAN),
        (lambda: (good(), good()), ("--fail-on", "info"), exits.CLEAN),
        (lambda: (good(), good(pool=OTHER)), (), exits.FINDINGS),
        (lambda: (good(pool=OTHER), good()), (), exits.CLEAN),
        (lambda: (good(pool=OTHER), good()), ("--fail-on", "info"), exits.FINDINGS),
        (lambda: (good(), one(user("svc"))), (), exits.CLEAN),
        (lambda: (good(), one(user("svc"))), ("--fail-on", "warning"), exits.FINDINGS),
        (lambda: (good(), good(pool=OTHER)), ("--fail-on", "never"), exits.CLEAN),
        (lambda: (good(), failed(good())), ("--fail-on", "never"), exits.INCOMPLETE),
        (lambda: (failed(good()), good()), (), exits.INCOMPLETE),
        (lambda: (good(), world(server(A, pool=SVC, creds=True), dns=HERE)), (), exits.CLEAN),
        (
            lambda: (good(), world(server(A, pool=SVC, creds=True), dns=HERE)),
            ("--fail-on", "unchecked"),
            exits.FINDINGS,
        ),
    ],
)
def test_exit_codes(
    pair: Callable[[], Pair],
    words: tuple[str, ...],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sides = [side if isinstance(side, Report) else side.report for side in pair()]
    files = [written(tmp_path, f"{number}.json", side) for number, side in enumerate(sides)]
    for form in formats.known_by("diff"):
        assert main(["diff", *files, "--format", form, *words]) == code
        out, err = capsys.readouterr()
        assert err == ""
        assert out


def test_what_is_accepted_counts_for_no_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acceptance = Acceptance(id="spn-missing", subject=NAME, reason="known")
    missing = one(user("svc")).report
    accepted = replace(missing, findings=accept(missing.findings, [acceptance], NOW.date()))
    only = replace(accepted, requirements=(), accounts=(), applications=())
    before = replace(only, findings=())
    files = [written(tmp_path, name, report) for name, report in (("a.json", before), ("b.json", only))]
    assert main(["diff", *files, "--fail-on", "warning", "--format", "json"]) == exits.CLEAN
    (change,) = [c for c in json.loads(capsys.readouterr().out)["changes"] if c["name"] == "spn-missing"]
    assert (change["severity"], change["accepted"]["reason"]) == ("warning", "known")


def test_the_contract_of_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [written(tmp_path, f"{n}.json", w.report) for n, w in enumerate((good(), good(pool=OTHER)))]
    main(["diff", *files, "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "iis-spn/diff/1"
    keys = {"kind", "what", "server", "site", "path", "spn", "before", "after", "severity", "because"}
    for change in document["changes"]:
        assert keys <= set(change)
        assert change["because"]
    setting = next(c for c in document["changes"] if c["name"] == "pool_account")
    assert [setting[key] for key in ("server", "site", "path")] == ["IIS01", "Site", "/"]


def test_every_format_tells_every_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = good(), good(pool=OTHER, kernel=False)
    files = [written(tmp_path, f"{n}.json", w.report) for n, w in enumerate((old, new))]
    for form in formats.known_by("diff"):
        main(["diff", *files, "--format", form])
        out = " ".join(capsys.readouterr().out.replace("\\", "").split())
        for word in ("kernel_mode", "pool_account", "decrypts_as", NAME, "modified", "spn-misplaced"):
            assert word in out, form


def test_snapshots_and_reports_stand_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "old.json"
    main(["inspect", str(SAMPLES), *LOOKING, "--format", "json", "--output", str(report)])
    for sides in ((str(SAMPLES), str(SAMPLES)), (str(report), str(SAMPLES)), (str(SAMPLES), str(report))):
        assert main(["diff", *sides, *LOOKING, "--fail-on", "info", "--format", "json"]) == exits.CLEAN
        assert json.loads(capsys.readouterr().out)["changes"] == []


@pytest.mark.parametrize("name", sorted(path.name for path in (Path(__file__).parent / "released").glob("*.json")))
def test_reports_of_every_release_are_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(Path(__file__).parent / "released" / name)
    assert main(["diff", path, path, "--fail-on", "info"]) == exits.CLEAN
    assert capsys.readouterr().out.startswith("Nothing changed")


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "FILE:1: not JSON"),
        ("nonsense", "FILE:1: not JSON"),
        ('{\n  "schema": "iis-spn/rep', "FILE:2: not JSON"),
        ("[]", "FILE:1: $: an object belongs here, not a list"),
        ('\n\n{"a": 1}', "FILE:3: $.schema: "),
        (
            '{\n "a": [1, {"b": "}]"}],\n "schema":\n  "iis-spn/sweep/1"}',
            "FILE:4: $.schema: 'iis-spn/sweep/1' is no schema",
        ),
        (
            '{"schema": "iis-spn/report/99"}',
            "FILE:1: $.schema: 'iis-spn/report/99' is no schema that this version reads",
        ),
        ('{"schema": "iis-spn/report/2"}', "FILE:1: $.tool: is missing"),
        ("[" * 100_000, "FILE: not JSON"),
        (b"\xff\xfe{\x00", "FILE:1: not JSON"),
        (b"{\n\xff}", "FILE:2: not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_file_that_is_no_report(
    text: str | bytes, said: str, side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(text if isinstance(text, bytes) else text.encode())
    files = [written(tmp_path, "right.json", good().report), str(wrong)]
    assert main(["diff", *(files if side else reversed(files))]) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.replace(str(wrong), "FILE").startswith(f"iis-spn: {said}")
    assert err.count("\n") == 1


def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = good().report.to_json()
    wrong = tmp_path / "wrong.json"
    wrong.write_text(right.replace('"outcome": "kerberos"', '"outcome": "fine"', 1), encoding="utf-8")
    line = next(n for n, text in enumerate(wrong.read_text().splitlines(), 1) if '"fine"' in text)
    assert main(["diff", str(wrong), str(wrong)]) == exits.USAGE
    assert f"wrong.json:{line}: $.requirements[" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("OLD", "nowhere.json"), "nowhere.json: there is no such file or folder"),
        (("nowhere", "OLD"), "nowhere: there is no such file or folder"),
        (("OLD", "OLD", "--ad", "off"), "two reports say already who holds what"),
        (("OLD",), "the following arguments are required: NEW"),
        (("OLD", "OLD", "--format", "sarif"), "is none of table, json"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = written(tmp_path, "old.json", good().report)
    assert main(["diff", *(old if word == "OLD" else word for word in words)]) == exits.USAGE
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True)
