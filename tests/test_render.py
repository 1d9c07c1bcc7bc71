"""The renderings: the JSON document and its schema, CSV, Markdown, and the text for terminals."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields, replace

from agent import inspect
from agent.model import (
    SCHEMA,
    Accepted,
    AccountUse,
    Application,
    ApplicationRef,
    Blocked,
    ClientOutcome,
    Evidence,
    Explanation,
    Finding,
    Host,
    Origin,
    Origins,
    Place,
    Plan,
    Problem,
    Report,
    Requirement,
    Server,
    ServerCounts,
    SourceRead,
    SpnCounts,
    Step,
    Summary,
    Tool,
    WhyNot,
    WindowsAuth,
    document,
    schema,
)
from agent.names import AccountName, HostName, Spn, host_name, spn
from agent.render import sheet, story, terminal
from tests.pages import in_markdown, in_text

CONFIG = "samples/IIS05/applicationHost.config"
COMPUTER = AccountName("TEST", "IIS05$")
SALES = AccountName("TEST", "salessvc")
APPCMD = (
    r'%windir%\System32\inetsrv\appcmd.exe set config "Sales" '
    "-section:system.webServer/security/authentication/windowsAuthentication "
    "/useAppPoolCredentials:true /commit:apphost"
)
DELETE = r"setspn -U -D HTTP/iis05.test.com TEST\appsvc"

DEFAULT = Origin(None, None, "", "default")
ORIGINS = Origins(
    enabled=Origin(CONFIG, 158, "Sales", "explicit"),
    kernel_mode=DEFAULT,
    pool_credentials=DEFAULT,
    providers=Origin(CONFIG, 144, "", "inherited"),
    identity_type=Origin(CONFIG, 43, "", "explicit"),
)
AUTH = WindowsAuth(
    enabled=True,
    kernel_mode=True,
    pool_credentials=False,
    providers=("Negotiate", "NTLM"),
    token_checking="None",
    flags="None",
)


def application(site: str, path: str = "/", **changes: Any) -> Application:
    host = host_name(f"{site.lower()}.test.com")
    built = Application(
        server="IIS05",
        site=site,
        path=path,
        pool="SalesPool",
        identity_type="SpecificUser",
        pool_account=SALES,
        windows_auth=AUTH,
        origins=ORIGINS,
        negotiates=True,
        why_not=None,
        decryption="computer",
        decrypts_as=COMPUTER,
        rule="scenario-2",
        hosts=(Host(host, "binding"),),
    )
    return replace(built, **changes)


def silent(site: str, why: WhyNot, **changes: Any) -> Application:
    """An application that does not negotiate."""
    said = {"negotiates": False, "why_not": why, "decryption": "none", "decrypts_as": None, "rule": None}
    return application(site, **said, **changes)


def requirement(name: str, *sites: str, **changes: Any) -> Requirement:
    built = Requirement(
        spn=spn(name),
        account=COMPUTER,
        need="explicit",
        covered_by=None,
        holders=(SALES,),
        answers=(SALES,),
        outcome="modified",
        rule="scenario-2",
        asked_by=("edge",),
        applications=tuple(ApplicationRef("IIS05", site, "/", changes.get("rule", "scenario-2")) for site in sites),
    )
    return replace(built, **changes)


def finding(finding_id: str, **changes: Any) -> Finding:
    built = Finding(id=finding_id, severity="error", server="IIS05", message=f"{finding_id} it is")
    return replace(built, **changes)


def report(**changes: Any) -> Report:
    """One server: a broken site, one that works by HOST/, one without Windows authentication."""
    off = replace(AUTH, enabled=False)
    built = Report(
        schema=SCHEMA,
        tool=Tool("iis-spn", "0.1.0"),
        started="2026-11-22T10:00:00Z",
        finished="2026-11-22T10:00:01Z",
        complete=True,
        servers=(Server(name="IIS05", dns_name="iis05.test.com", source="samples/IIS05", status="ok"),),
        applications=(
            application("Sales"),
            application("Own", rule="scenario-1"),
            silent("Public", "disabled", windows_auth=off),
        ),
        requirements=(
            requirement("HTTP/sales.test.com", "Sales"),
            requirement("HTTP/sales", "Sales", need="optional"),
            requirement(
                "HTTP/iis05.test.com",
                "Own",
                need="covered",
                covered_by=spn("HOST/iis05.test.com"),
                holders=(),
                answers=(COMPUTER,),
                outcome="kerberos",
                rule="scenario-1",
            ),
        ),
        findings=(
            finding(
                "spn-misplaced",
                site="Sales",
                path="/",
                spn=spn("HTTP/sales.test.com"),
                account=COMPUTER,
                holders=(SALES,),
                message="HTTP/sales.test.com is on TEST\\salessvc, but TEST\\IIS05$ decrypts",
                evidence=(Evidence(CONFIG, 165, '<windowsAuthentication enabled="true" />'),),
                fix=(f"Set useAppPoolCredentials=true: {APPCMD}", "Afterwards run `klist purge` on the client."),
            ),
            finding("header-limit", severity="info", server=None, servers=("IIS05", "IIS06")),
        ),
    )
    return replace(built, **changes)


def explanation() -> Explanation:
    base = report()
    outcome = ClientOutcome(
        client="edge",
        spn=spn("HTTP/sales.test.com"),
        holders=(SALES,),
        answers=(SALES,),
        decrypts_as=COMPUTER,
        outcome="modified",
        because=("sales.test.com is typed.", "edge asks the KDC for HTTP/sales.test.com.", "Broken."),
    )
    chrome = replace(
        outcome, client="chrome", because=(outcome.because[0], outcome.because[1].replace("edge", "chrome"), "Broken.")
    )
    mit = replace(outcome, client="curl-mit", spn=None, holders=None, answers=None, outcome="ntlm-fallback", because=())
    fields = {name: getattr(base, name) for name in Report.__struct_fields__}
    return Explanation(**fields, url="https://sales/", outcomes=(outcome, chrome, mit))


# -- JSON ----------------------------------------------------------------------------------------------------------

CONTRACT = {
    "": "schema tool started finished complete servers applications requirements findings plan",
    "servers": "name dns_name source status problems",
    "applications": "server site path pool identity_type pool_account windows_auth origins negotiates decryption "
    "decrypts_as rule hosts",
    "requirements": "spn account need covered_by holders answers outcome applications",
    "findings": "id severity server servers site path spn account holders message evidence fix accepted",
    "plan": "steps alternatives blocked",
}


@pytest.mark.parametrize("part", CONTRACT)
def test_the_keys_of_the_contract_are_there(part: str) -> None:
    read = json.loads(report().to_json())
    found = read if not part else read[part] if part == "plan" else read[part][0]
    assert set(CONTRACT[part].split()) <= set(found)


def test_names_are_texts_and_unknown_is_null() -> None:
    read = json.loads(report(requirements=(requirement("HTTP/sales.test.com", "Sales", answers=None),)).to_json())
    required = read["requirements"][0]
    assert required["spn"] == "HTTP/sales.test.com"
    assert required["account"] == "TEST\\IIS05$"
    assert required["holders"] == ["TEST\\salessvc"]
    assert required["answers"] is None
    assert required["applications"] == [{"server": "IIS05", "site": "Sales", "path": "/", "rule": "scenario-2"}]
    first = read["applications"][0]
    assert first["hosts"] == [{"host": "sales.test.com", "source": "binding"}]
    assert first["origins"]["enabled"] == {"file": CONFIG, "line": 158, "location": "Sales", "why": "explicit"}
    assert first["origins"]["kernel_mode"]["file"] is None


def test_an_explanation_is_a_report_with_url_and_outcomes() -> None:
    read = json.loads(explanation().to_json())
    assert list(read)[-4:] == ["url", "outcomes", "answered", "unnamed"]
    assert read["outcomes"][2]["spn"] is None


def test_json_is_valid_utf_8_and_drives_no_terminal() -> None:
    text = report(findings=(finding("x", message="b\u00fccher \x1b[31m \x9b31m \u202e \udc80 \u2028"),)).to_json()
    assert text.endswith("}\n")
    assert "b\u00fccher" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\udc80]", text)
    assert json.loads(text.encode("utf-8"))["findings"][0]["message"].endswith("\x9b31m \u202e \udc80 \u2028")


def as_told(value: object) -> object:
    """The report as dicts and lists, read from the classes again, for the library's own writer."""
    if isinstance(value, Spn | HostName | AccountName):
        return str(value)
    if isinstance(value, Struct):
        return {field.name: as_told(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return {name: as_told(held) for name, held in value._asdict().items()}
    return [as_told(item) for item in value] if isinstance(value, tuple) else value


HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what shows nothing by itself, or what nobody has defined."""


def written_by_json(value: object) -> str:
    text = json.dumps(as_told(value), indent=2, ensure_ascii=False)
    is_raw = {character: character != "\n" and unicodedata.category(character) in HIDDEN for character in set(text)}
    return "".join(json.dumps(character)[1:-1] if is_raw[character] else character for character in text) + "\n"


@pytest.mark.parametrize("value", [report(), explanation(), report(applications=(), findings=(), requirements=())])
def test_the_document_is_what_the_library_writes(value: Report) -> None:
    assert value.to_json() == written_by_json(value)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_type(Report) | st.from_type(Explanation))
def test_any_report_is_what_the_library_writes(value: Report) -> None:
    assert value.to_json() == written_by_json(value)
    assert json.loads(value.to_json()) == as_told(value)


def test_the_samples_are_what_the_library_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1] / "sample_configs")
    found = inspect(["*"], ad=["directory.ldif"], dns="zone.txt", farm=Path("farm.toml"))
    assert found.to_json() == written_by_json(found)


def of_size(count: int) -> Report:
    """Everything a farm makes more of: lists of the report, and lists within one of their items."""
    references = tuple(ApplicationRef("IIS05", f"Site{number}", "/") for number in range(count))
    use = AccountUse(
        account=SALES,
        kind="user",
        applications=references,
        needs=(),
        covered=(),
        holds=None,
        lacks=None,
        elsewhere=None,
    )
    step = Step(order=1, kind="spn-add", spn=spn("HTTP/x"), account=SALES, command="c", rollback="r", finding="f")
    return report(
        applications=(application("Sales"),) * count,
        requirements=(requirement("HTTP/x", applications=references), *(requirement("HTTP/y", "Sales"),) * count),
        findings=(finding("header-limit", servers=tuple(f"IIS{number}" for number in range(count))),) * 2,
        plan=Plan(steps=(step,) * count),
        accounts=(use,),
    )


def test_a_piece_does_not_grow_with_the_farm() -> None:
    small, big = (list(document.json_pieces(of_size(count))) for count in (2_000, 6_000))
    assert len("".join(big)) > 2 * len("".join(small))
    assert max(map(len, big)) == max(map(len, small)) < 100_000


def test_the_first_piece_comes_before_the_last_is_made() -> None:
    pieces = document.json_pieces(report(findings=(object(),)))
    assert "".join(next(pieces) for _ in range(2)).startswith('{\n  "schema": ')
    with pytest.raises(TypeError, match="object"):
        list(pieces)


def test_what_is_no_object_of_the_report_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        list(document.json_pieces(object()))


# -- schema --------------------------------------------------------------------------------------------------------


def faults(value: object, rule: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """A validator for the few words of JSON Schema that ours uses; it refuses the others."""
    if "$ref" in rule:
        return faults(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root, at)
    known = {
        "$schema",
        "$defs",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "anyOf",
    }
    assert set(rule) <= known, at
    if "anyOf" in rule:
        ways = [faults(value, way, root, at) for way in rule["anyOf"]]
        return [] if [] in ways else [found for way in ways for found in way]
    if "const" in rule or "enum" in rule:
        return [] if value in rule.get("enum", [rule.get("const")]) else [f"{at}: {value!r}"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}
    if not isinstance(value, kinds[rule["type"]]):
        return [f"{at}: {value!r} is no {rule['type']}"]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in faults(item, rule["items"], root, f"{at}[{i}]")]
    if isinstance(value, dict):
        missing = [f"{at}: no {name}" for name in rule["required"] if name not in value]
        present = [(name, below) for name, below in rule["properties"].items() if name in value]
        return missing + [f for name, below in present for f in faults(value[name], below, root, f"{at}.{name}")]
    return []


def test_the_committed_schema_is_the_derived_one() -> None:
    committed = Path(__file__).parent.parent / "docs" / "report.schema.json"
    assert committed.read_text(encoding="utf-8") == schema.to_text(), schema.__doc__


def test_reports_follow_the_schema() -> None:
    step = Step(order=1, kind="spn-add", spn=spn("HTTP/x"), account=SALES, command="c", rollback="r", finding="f")
    plan = Plan(steps=(step,), blocked=(Blocked(finding="f", why="w"),))
    place = Place(
        path="/a",
        windows_auth=None,
        origins=ORIGINS,
        negotiates=False,
        why_not="refused",
        decryption="none",
        decrypts_as=None,
        rule=None,
    )
    full = report(plan=plan, applications=(application("Sales", places=(place,), pool=None),))
    for value in (report(), full, explanation()):
        assert faults(json.loads(value.to_json()), schema.report_schema(), schema.report_schema()) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("schema",), "iis-spn/report/1"),
        (("complete",), "yes"),
        (("servers", 0, "status"), "fine"),
        (("applications", 0, "origins", "enabled", "line"), "12"),
        (("requirements", 0, "spn"), None),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[Any, ...], wrong: object) -> None:
    read = json.loads(report().to_json())
    place = read
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    assert faults(read, schema.report_schema(), schema.report_schema())


# -- CSV -----------------------------------------------------------------------------------------------------------


def rows(value: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(sheet.to_csv(value)), newline="")))


def test_one_row_for_each_requirement_and_application() -> None:
    both = requirement("HTTP/sales.test.com", "Sales", "Own")
    found = rows(report(requirements=(both,), findings=()))
    assert [(row["site"], row["spn"]) for row in found] == [
        ("Sales", "HTTP/sales.test.com"),
        ("Own", "HTTP/sales.test.com"),
    ]
    assert found[0]["holders"] == "TEST\\salessvc"
    assert "".join(sheet.to_csv(report())).count("\r\n") == len(rows(report())) + 1


def test_every_finding_is_somewhere() -> None:
    found = rows(report())
    assert found[0]["findings"] == "spn-misplaced"
    assert APPCMD in found[0]["fix"]
    assert found[-1]["findings"] == "header-limit"
    assert found[-1]["server"] == "IIS05; IIS06"
    assert found[-1]["spn"] == ""


def test_what_was_read_stands_at_the_end() -> None:
    read = (
        SourceRead(kind="directory", source="d.ldif", date="2026-11-22T10:00:00Z", covers=("test.com",)),
        SourceRead(kind="dns", source=None, asked=False, note="DNS was not asked"),
    )
    summary = Summary(servers=ServerCounts.of(()), spns=SpnCounts.of((), ()), read=read, clients=("edge",))
    found = rows(report(summary=summary))
    told = ["directory: d.ldif (all of test.com), of 2026-11-22T10:00:00Z", "dns, not asked", "clients: edge"]
    assert [row["messages"] for row in found if row["findings"] == "read"] == told
    assert [row["findings"] for row in found[-3:]] == ["read"] * 3
    assert all(not row[column] for row in found[-3:] for column in ("server", "spn", "outcome", "severity"))


def test_nobody_and_not_looked_differ() -> None:
    required = (requirement("HTTP/a", "Sales", holders=None), requirement("HTTP/b", "Sales", holders=()))
    assert [row["holders"] for row in rows(report(requirements=required, findings=()))] == ["", "nobody"]


def test_who_answers_and_how_bad_it_is() -> None:
    found = rows(report())
    assert [(row["spn"], row["answers"], row["severity"]) for row in found[:3]] == [
        ("HTTP/sales.test.com", "TEST\\salessvc", "error"),
        ("HTTP/sales", "TEST\\salessvc", ""),
        ("HTTP/iis05.test.com", "TEST\\IIS05$", ""),
    ]
    accepted = replace(report().findings[0], accepted=Accepted(reason="known"))
    milder = replace(accepted, severity="warning", accepted=None)
    (row, *_) = rows(report(findings=(accepted, milder)))
    assert (row["severity"], row["findings"]) == ("warning", "spn-misplaced; spn-misplaced (accepted)")


def test_one_cell_never_holds_a_farm() -> None:
    servers = tuple(f"WEB{number:03}" for number in range(198))
    (row,) = rows(report(requirements=(), findings=(finding("farm-nodes-differ", server=None, servers=servers),)))
    assert row["server"].startswith("WEB000; WEB001; ")
    assert row["server"].endswith("; WEB019 and 178 more")
    text = in_markdown(report(findings=(finding("farm-nodes-differ", server=None, servers=servers),)))
    assert "WEB019 and 178 more" in text
    assert "WEB020" not in text


def test_a_finding_without_a_requirement_has_its_own_names() -> None:
    told = finding("winrm-collision", spn=spn("HTTP/x"), account=SALES, holders=(SALES,))
    (row,) = rows(report(requirements=(), findings=(told,)))
    assert (row["spn"], row["account"], row["holders"], row["outcome"]) == ("HTTP/x", str(SALES), str(SALES), "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    evil = application(text)
    found = rows(report(applications=(evil,), requirements=(requirement("HTTP/x", text),), findings=()))
    assert found[0]["site"].startswith("'")
    assert all(not cell.startswith(start) for cell in found[0].values())


# -- Markdown ------------------------------------------------------------------------------------------------------


def test_markdown_has_a_section_for_each_server_and_its_findings() -> None:
    text = in_markdown(report())
    assert "\n## IIS05 (iis05.test.com)\n" in text
    assert "| Sales | / | `HTTP/sales.test.com` | `TEST\\IIS05$` | explicit | **BROKEN** |" in text
    assert f"  - Fix: Set useAppPoolCredentials=true: `{APPCMD}`" in text
    assert "\n## Across servers\n" in text


def test_markup_in_names_does_not_break_a_table() -> None:
    evil = "a|b`c[d](e)<script>\x1b[31m"
    text = in_markdown(
        report(
            applications=(application(evil),),
            requirements=(requirement("HTTP/a|``b`", evil),),
            findings=(finding("x", site=evil, message=evil),),
        )
    )
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<script", text)
    assert "``` HTTP/a\\|``b` ```" in text


# -- the terminal --------------------------------------------------------------------------------------------------

ESCAPE = "\x1b"


def long_report() -> Report:
    many = application("A site with a rather long name", "/an/application/with/a/path", pool="A pool with a long name")
    reached = tuple(Host(host_name(f"a-rather-long-name-{i}.of.some.department.test.com"), "binding") for i in range(9))
    name = "HTTP/a-rather-long-name-1.of.some.department.in.some.country.test.com"
    required = requirement(
        name,
        "x",
        applications=(ApplicationRef("IIS05", many.site, many.path),),
        holders=tuple(AccountName("TEST", f"service-account-number-{i}") for i in range(5)),
        outcome="duplicate",
    )
    words = "words that go on and on " * 20
    fix = (f"Remove it: setspn -D {name} TEST\\x (ask the owner of TEST\\x first: {words.strip()})", words)
    found = finding("spn-duplicate", spn=required.spn, message=words, fix=fix, evidence=(Evidence(CONFIG, 1, words),))
    problem = Problem(id="content-unread", message=words, file=CONFIG, line=7)
    server = Server(name="IIS05", dns_name=None, source="samples/IIS05", status="partial", problems=(problem,))
    base = report()
    return replace(
        base,
        complete=False,
        servers=(server,),
        applications=(replace(many, hosts=reached), *base.applications),
        requirements=(required, *base.requirements),
        findings=(found, replace(found, id="spn-stale", accepted=Accepted(reason=words)), *base.findings),
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_only_what_must_not_be_broken_is_longer_than_the_width(width: int) -> None:
    value = long_report()
    told = story.to_text(replace(explanation(), findings=value.findings), width, color=False)
    for line in (in_text(value, width, color=False) + told).splitlines():
        is_command = line.strip().startswith(("setspn ", "%windir%"))
        longest = max(map(len, line.split()), default=0)  # a name, in a column that may begin here or there
        assert len(line) <= width or is_command or longest > width - 34, line


@pytest.mark.parametrize("width", [40, 80, 200])
def test_commands_and_names_stand_whole_on_a_line(width: int) -> None:
    lines = in_text(report(), width, color=False).splitlines()
    assert sum(line.strip() == APPCMD for line in lines) == 2  # among the errors, and at the site
    assert any("HTTP/sales.test.com" in line for line in lines)


def test_the_first_screen_says_what_is_broken_and_the_command() -> None:
    lines = in_text(report(), 80, color=False).splitlines()
    assert lines[0] == "BROKEN: 1 of 2 SPNs (three prompts, then 401). OK: 1."
    assert lines[1] == "1 server, 3 applications: 1 error, 1 note"
    assert lines[-1] == "BROKEN: 1 of 2 SPNs, OK: 1"
    lines = lines[1:]
    assert lines[2] == "ERRORS, and what to do"
    assert lines[3].strip() == "IIS05, Sales: HTTP/sales.test.com"
    assert lines[4].strip().startswith("spn-misplaced: is on TEST\\salessvc")
    assert APPCMD in lines[6]


def test_a_block_tells_names_spns_why_and_what_to_do() -> None:
    text = in_text(report(), 100, color=False)
    assert "== IIS05 (iis05.test.com) =" in text
    assert "Sales  /   reached as sales.test.com\n" in text
    assert re.search(r"  BROKEN  explicit  HTTP/sales\.test\.com  TEST\\IIS05\$  TEST\\salessvc\n", text)
    assert re.search(r"  OK      covered   HTTP/iis05\.test\.com  TEST\\IIS05\$  HOST/ of TEST\\IIS05\$\n", text)
    assert "  optional   HTTP/sales (BROKEN)\n" in text
    assert "useKernelMode=true (default)" in text
    assert "pool SalesPool: SpecificUser TEST\\salessvc (applicationHost.config:43)" in text
    assert "  - Public  /: Windows authentication is off (applicationHost.config:158)\n" in text.replace(
        "Public /", "Public  /"
    )
    assert "== Across servers =" in text


def test_applications_of_one_site_with_the_same_answer_are_one_entry() -> None:
    references = (ApplicationRef("IIS05", "Sales", "/"), ApplicationRef("IIS05", "Sales", "/api"))
    value = report(
        applications=(application("Sales"), application("Sales", "/api")),
        requirements=(requirement("HTTP/sales.test.com", "Sales", applications=references),),
    )
    assert "Sales  /, /api   reached as" in in_text(value, 80, color=False)


def test_an_error_without_a_name_tells_its_file_and_line_first() -> None:
    broken = finding("config-malformed", message="is not XML", evidence=(Evidence("a b/web.config", 7, ""),))
    text = in_text(report(findings=(broken,)), 80, color=False)
    assert "  IIS05\n    config-malformed: a b/web.config:7: is not XML\n" in text


def test_applications_without_kerberos_get_one_line_with_the_reason() -> None:
    place = Place(
        path="/Ntlm/sub",
        windows_auth=AUTH,
        origins=ORIGINS,
        negotiates=True,
        why_not=None,
        decryption="computer",
        decrypts_as=COMPUTER,
        rule="scenario-2",
    )
    value = report(
        applications=(
            silent("Refused", "refused", windows_auth=None),
            silent("Empty", "no-provider", windows_auth=replace(AUTH, providers=())),
            silent("Peer", "pku2u-only", windows_auth=replace(AUTH, providers=("Negotiate:PKU2U", "NTLM"))),
            silent("Ntlm", "no-negotiate", windows_auth=replace(AUTH, providers=("NTLM",)), places=(place,)),
            silent("Tcp", "not-http"),
            silent("Off", "disabled", windows_auth=replace(AUTH, enabled=False)),
            silent("Off", "disabled", path="/b", windows_auth=replace(AUTH, enabled=False)),
        ),
        requirements=(),
        findings=(),
    )
    text = in_text(value, 200, color=False)
    assert "  - Refused /: IIS refuses the configuration here (see the findings)\n" in text
    assert "  - Ntlm /: no Negotiate among the providers: NTLM (applicationHost.config:144)\n" in text
    assert "  - Empty /: no Negotiate among the providers: none (applicationHost.config:144)\n" in text
    assert "  - Peer /: no provider leads to Kerberos: Negotiate:PKU2U, NTLM (applicationHost.config:144)\n" in text
    assert "    below /Ntlm/sub: TEST\\IIS05$ decrypts (scenario-2); useKernelMode=true (default);" in text
    assert "  - Tcp /: it does not serve http or https\n" in text
    assert "  - Off /, /b: Windows authentication is off (applicationHost.config:158)\n" in text
    assert "/Ntlm/sub" in in_markdown(value)


def test_an_incomplete_report_says_so_loudly() -> None:
    text = in_text(long_report(), 80, color=False)
    assert "\nINCOMPLETE: not everything could be read (IIS05 partial)." in text
    assert "status  PARTIAL" in text
    assert "INCOMPLETE" not in in_text(report(), 80, color=False)
    assert "**INCOMPLETE" in in_markdown(long_report())


def test_an_accepted_finding_is_listed_with_its_reason_and_not_counted() -> None:
    accepted = replace(report().findings[0], accepted=Accepted(reason="known until spring", until="2027-03-20"))
    text = in_text(report(findings=(accepted,)), 80, color=False)
    assert "\n1 server, 3 applications: no findings, 1 accepted\n" in text
    assert "ACCEPTED spn-misplaced" in text
    assert "known until spring (until 2027-03-20)" in text
    assert APPCMD not in text


def test_without_a_directory_it_says_that_nobody_looked() -> None:
    required = requirement("HTTP/sales.test.com", "Sales", holders=None, answers=None, outcome="unchecked")
    text = in_text(report(requirements=(required,), findings=()), 80, color=False)
    assert text.startswith("NOT CHECKED: nobody looked who holds the SPNs. 1 SPN matters, 0 known.\n")
    assert re.search(r"  NOT CHECKED  +explicit  HTTP/sales.test.com", text)


EVIL = "[red]x[/nope] \x1b[31m \x9b \u202e [link=http://x]"


@pytest.mark.parametrize("color", [False, True])
def test_names_are_neither_markup_nor_commands_to_the_terminal(color: bool) -> None:
    evil = application(EVIL, pool=EVIL)
    required = requirement("HTTP/x\x1b]0;y\x07", EVIL)
    found = finding("x", site=EVIL, message=EVIL, fix=(EVIL,), evidence=(Evidence(EVIL, 1, EVIL),))
    server = Server(
        name="IIS05",
        dns_name=EVIL,
        source=EVIL,
        status="failed",
        problems=(Problem(id=EVIL, message=EVIL),),
    )
    value = report(servers=(server,), applications=(evil,), requirements=(required,), findings=(found,))
    text = in_text(value, 80, color)
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert "[red]x[/nope] \\u001b[31m \\u009b \\u202e" in plain
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", plain)
    assert "\x1b[31m \\u009b" not in text


def test_color_is_used_only_when_wanted() -> None:
    assert ESCAPE not in in_text(report(), 80, color=False)
    colored = in_text(report(), 80, color=True)
    assert ESCAPE in colored
    assert re.sub("\x1b\\[[0-9;]*m", "", colored) == in_text(report(), 80, color=False)


def test_no_color_and_pipes_get_none() -> None:
    assert terminal.wants_color(True, {"TERM": "xterm"})
    assert not terminal.wants_color(True, {"NO_COLOR": "1"})
    assert not terminal.wants_color(True, {"TERM": "dumb"})
    assert not terminal.wants_color(False, {})


def test_everything_of_ours_can_be_said_in_cp1252() -> None:
    value = long_report()
    for text in (
        in_text(value, 80, color=False),
        story.to_text(explanation(), 80, color=False),
        in_markdown(value),
        "".join(sheet.to_csv(value)),
    ):
        text.encode("cp1252")


def test_an_empty_report_renders() -> None:
    empty = report(servers=(), applications=(), requirements=(), findings=(), complete=False)
    assert in_text(empty, 80, color=False).startswith(
        "NOT CHECKED: what was read does not show whether an SPN is needed. INCOMPLETE: a\n"
    )
    assert rows(empty) == []
    assert in_markdown(empty)


# -- explain -------------------------------------------------------------------------------------------------------


def test_the_story_groups_clients_that_get_the_same() -> None:
    text = story.to_text(explanation(), 80, color=False)
    assert text.startswith("https://sales/: BROKEN for edge, chrome, NTLM for curl-mit\n")
    assert "\nedge, chrome\n  BROKEN " in text
    assert "\ncurl-mit\n  NTLM " in text
    assert "  asks for    HTTP/sales.test.com\n" in text
    assert "  held by     TEST\\salessvc\n" in text
    assert "  decrypts    TEST\\IIS05$\n" in text
    assert "  2.  The client asks the KDC for HTTP/sales.test.com.\n" in text
    assert "== What to do =" in text
    assert any(line.strip() == APPCMD for line in text.splitlines())
