"""The scripts of a plan: what they run, and that no name from a configuration or a directory adds anything to them."""

import base64
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import cmd_reader
import pytest
import tree_sitter
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from worlds import ad, app, computer, entry, server, site, user, world

from agent.change.plan import held_back, pairwise
from agent.checks import commands
from agent.checks.commands import appcmd, setspn, shown_by
from agent.library import inspect
from agent.model import SCHEMA, Alternative, Blocked, Evidence, Finding, Plan, Report, Step, Tool
from agent.names import AccountName, spn
from agent.render import steps_markdown, steps_sheet
from agent.render.cmd import to_cmd
from agent.render.ldif import to_ldif
from agent.render.powershell import literal, to_powershell
from agent.render.steps import to_text
from agent.render.ticket import to_ticket

SAMPLES = Path(__file__).parents[1] / "sample_configs"


@pytest.fixture(scope="module")
def samples() -> Report:
    return inspect(
        sorted(SAMPLES.glob("IIS0?")),
        ad=[SAMPLES / "directory.ldif"],
        dns=SAMPLES / "zone.txt",
        farm=SAMPLES / "farm.toml",
    )


def report(*steps: Step, findings: tuple[Finding, ...] = (), finished: str = "2026-11-22T10:00:00Z") -> Report:
    return Report(
        schema=SCHEMA,
        tool=Tool("iis-spn", "0.1.0"),
        started=finished,
        finished=finished,
        complete=True,
        servers=(),
        applications=(),
        requirements=(),
        findings=findings,
        plan=Plan(steps=steps),
    )


def step(kind: str = "spn-add", name: str = "HTTP/x.test.com", account: str = "svc", **said: object) -> Step:
    usual: dict[str, object] = {
        "order": 1,
        "kind": kind,
        "spn": spn(name),
        "account": AccountName("TEST", account),
        "command": "setspn ...",
        "rollback": "setspn ...",
        "finding": "spn-missing",
        "account_kind": "user",
        "dn": f"CN={account},DC=test,DC=com",
    }
    return Step(**{**usual, **said})  # type: ignore[arg-type]


def moved(**said: object) -> Report:
    """One SPN from oldsvc to newsvc."""
    away = step("spn-delete", account="oldsvc", finding="spn-misplaced", **said)
    return report(away, step(account="newsvc", order=2, finding="spn-misplaced"))


DNS = ("dnscmd /RecordDelete test.com x CNAME /f", "dnscmd /RecordAdd test.com x A 10.0.5.2")
DNS_BACK = ("dnscmd /RecordDelete test.com x A /f", "dnscmd /RecordAdd test.com x CNAME iis01.test.com.")
SET = r'%windir%\System32\inetsrv\appcmd.exe set config "Site" -section:x /useKernelMode:true /commit:apphost'
SET_BACK = SET.replace(":true", ":false")
AWAY, AWAY_BACK = r"setspn -U -D HTTP/x.test.com TEST\old", r"setspn -F -U -S HTTP/x.test.com TEST\old"
HERE, HERE_BACK = r"setspn -F -U -S HTTP/x.test.com TEST\svc", r"setspn -U -D HTTP/x.test.com TEST\svc"
BY_HAND = "Give Site on IIS01 a host header of its own."
PROBE = "iis-spn probe http://x.test.com/"
"""The check after what changed an SPN."""


def every_kind() -> Report:
    """A step of each kind, with a way back that is another line than the way there; the last has no command."""
    setting = step("iis-setting", command=SET, rollback=SET_BACK, server="IIS01", order=2)
    away = step("spn-delete", account="old", command=AWAY, rollback=AWAY_BACK, order=3)
    return report(
        step("dns", command=" && ".join(DNS), rollback=" && ".join(DNS_BACK)),
        replace(setting, spn=None, account=None),
        replace(away, confirm=True, note="ask the owner first"),
        step(command=HERE, rollback=HERE_BACK, order=4),
        Step(order=5, kind="manual", finding="spn-missing", note=BY_HAND),
    )


# -- the plan as text ----------------------------------------------------------------------------------------------


def test_the_plan_as_text() -> None:
    """Each step with its command, its way back and what must be known; then other ways, then what has no step."""
    planned = every_kind()
    other = Alternative(
        finding="spn-missing", why="move it", steps=(step(command="setspn other"), planned.plan.steps[-1])
    )
    plan = replace(planned.plan, alternatives=(other,), blocked=(Blocked(finding="spn-conflict", why="a: no"),))
    assert to_text(replace(planned, plan=plan), 120, color=False) == (
        "OK: no SPN matters, for no application asks clients for a Kerberos ticket.\n"
        "5 steps; 1 finding no step can repair\n"
        "\n"
        "1. Change DNS, in cmd, for spn-missing\n"
        f"    {' && '.join(DNS)}\n"
        f"    back: {' && '.join(DNS_BACK)}\n"
        "\n"
        "2. Change an IIS setting on IIS01, in cmd, for spn-missing\n"
        f"    {SET}\n"
        f"    back: {SET_BACK}\n"
        "\n"
        "3. Remove an SPN, for spn-missing\n"
        f"    {AWAY}\n"
        f"    back: {AWAY_BACK}\n"
        "    Ask the owner first.\n"
        "\n"
        "4. Register an SPN, for spn-missing\n"
        f"    {HERE}\n"
        f"    back: {HERE_BACK}\n"
        "\n"
        "5. By hand, for spn-missing\n"
        f"    {BY_HAND}\n"
        "\n"
        "Other ways\n"
        "  instead of the steps for spn-missing: move it\n"
        "    setspn other\n"
        f"    {BY_HAND}\n"
        "\n"
        "Not repaired by a step\n"
        "  - spn-conflict: a: no\n"
        "\n"
        "Afterwards\n"
        "  See what is used then, as any user of the domain on a client (needs iis-spn[ldap] there).\n"
        f"    {PROBE}\n"
        "\n"
        "Nothing was changed. As scripts: --format cmd, powershell, ldif; to hand over: ticket.\n"
    )


def test_a_step_whose_name_cannot_be_quoted_is_told_as_data() -> None:
    """The step keeps its kind; whoever can write the name in another way can do it."""
    found = world(
        server(site("*:80:x.test.com"), pool="TEST\\a%b", creds=True),
        ad=ad(computer(), user("a%b")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    (planned,) = found.report.plan.steps
    assert (planned.kind, planned.command, planned.rollback) == ("spn-add", None, None)
    assert planned.note == "the name cannot be quoted safely in a command"
    shown = to_text(found.report, 120, color=False)
    assert r"BY HAND: add HTTP/x.test.com to TEST\a%b" in shown
    assert "The name cannot be quoted safely in a command." in shown
    assert "back:" not in shown
    assert "BY HAND: this name cannot be written into a batch file" in to_cmd(found.report)
    assert changing(cmd_reader.read(to_cmd(found.report))) == []
    assert changes_made(powershell(to_powershell(found.report))) == [("Add", "HTTP/x.test.com", "Set-ADUser")]
    assert [change[1:] for change in ldif_changes(to_ldif(found.report))] == [("add", "HTTP/x.test.com")]
    assert found.finding("spn-missing").fix[0] == (
        r"By hand, as the name cannot be quoted safely: add HTTP/x.test.com to TEST\a%b."
    )


def test_a_setting_of_a_site_that_cannot_be_quoted_is_told_in_words() -> None:
    found = world(
        server(site("*:80:x.test.com", name="A%B"), pool=r"TEST\svc"),
        ad=ad(computer(), user("svc", "HTTP/x.test.com")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    (planned,) = found.report.plan.steps
    words = "In IIS Manager on IIS01 set useAppPoolCredentials=true for A%B/ (it is false now)."
    assert (planned.kind, planned.command, planned.rollback, planned.note) == ("iis-setting", None, None, words)
    assert found.finding("spn-misplaced").fix == (words,)
    shown = to_text(found.report, 120, color=False)
    assert shown.count(words) == 1
    for render in (to_cmd, to_powershell, to_ldif, to_ticket):
        assert words.replace("%", r"\u0025" if render is to_cmd else "%") in flowing(render(found.report))


def flowing(text: str) -> str:
    """A text without the marks of comments and the breaks of lines."""
    return " ".join(re.sub(r"^(#|rem) ", "", text, flags=re.MULTILINE).split())


@pytest.mark.parametrize("render", [to_cmd, to_powershell, to_ldif, to_ticket])
def test_a_step_that_waits_says_what_must_be_known(render: Callable[[Report], str]) -> None:
    asked = flowing(render(report(step(confirm=True, note="nobody else inspected answers x.test.com"))))
    assert "ASK FIRST: nobody else inspected answers x.test.com." in asked
    assert "the removal" not in asked
    away = step("spn-delete", account="old", confirm=True, note="its owner knows")
    both = flowing(render(report(away, step(order=2))))
    assert "ASK FIRST: its owner knows." in both
    assert "waits for the removal that is asked about" in both or "ONLY when the removal above was agreed to" in both


# -- the way back --------------------------------------------------------------------------------------------------

BACK_BY_HAND = f"Take back by hand: {BY_HAND}"


def _if_done(order: int) -> str:
    return f"only if step {order} was done:"


def test_the_way_back_of_a_batch_file() -> None:
    remarks = [remark.strip() for remark in cmd_reader.read(to_cmd(every_kind())).remarks]
    back = remarks[next(at for at, remark in enumerate(remarks) if remark.startswith("The way back")) + 1 : -1]
    told = [BACK_BY_HAND], [HERE_BACK], [AWAY_BACK], ["run on IIS01, in cmd:", SET_BACK], DNS_BACK
    assert back == [
        line for order, lines in zip((5, 4, 3, 2, 1), told, strict=True) for line in (_if_done(order), *lines)
    ]


def test_the_way_back_of_a_powershell_script() -> None:
    root = powershell(to_powershell(every_kind()))
    (undo,) = [n for n in nodes(root) if n.type == "function_statement" and "function Undo-Plan" in words(n)]
    values = re.findall(r"@\{(Add|Remove) = '([^']+)'\}", words(undo))
    assert values == [("Remove", "HTTP/x.test.com"), ("Add", "HTTP/x.test.com")]
    remarks = [line.strip().removeprefix("# ") for line in words(undo).splitlines() if line.strip().startswith("#")]
    assert remarks == [
        r"Back 2: remove HTTP/x.test.com from TEST\svc",
        r"Back 3: add HTTP/x.test.com to TEST\old",
    ]
    conditions = re.findall(r"if \((Test-Done .*)\) \{", words(undo))
    assert conditions == [
        r"Test-Done '4' 'add HTTP/x.test.com to TEST\svc'",
        r"Test-Done '3' 'remove HTTP/x.test.com from TEST\old'",
    ]
    left = [line for line in words(undo).splitlines() if "Skip-Step" in line]
    for line, way_back in zip(left, (BACK_BY_HAND, SET_BACK, " ".join(DNS_BACK)), strict=True):
        assert "is not taken back by this script" in line
        assert way_back in line


def test_the_way_back_of_an_ldif() -> None:
    """What did not run is a remark on the way back too: whoever takes back the whole file takes back what it did."""
    asked = to_ldif(every_kind())
    assert ldif_changes(ldif_back(asked)) == ldif_changes(asked) == []
    remarks = ldif_back(asked).splitlines()
    records = [line.removeprefix("#")[1:] for line in remarks[1:] if " was done:" not in line]
    assert ldif_changes("\n".join((*records, ""))) == [
        ("CN=svc,DC=test,DC=com", "delete", "HTTP/x.test.com"),
        ("CN=old,DC=test,DC=com", "add", "HTTP/x.test.com"),
    ]
    assert ldif_changes(ldif_back(to_ldif(moved()))) == [
        ("CN=newsvc,DC=test,DC=com", "delete", "HTTP/x.test.com"),
        ("CN=oldsvc,DC=test,DC=com", "add", "HTTP/x.test.com"),
    ]


def ldif_back(text: str) -> str:
    """The last part, as the file itself says: without the first two characters of each line."""
    lines = text[text.index("# The way back") :].splitlines()[1:]
    assert all(line[:2] in {"#", "# "} for line in lines)
    return "".join(f"{line[2:]}\n" for line in lines)


def test_the_way_back_of_a_ticket() -> None:
    """It stands with its step, and depends on it."""
    steps = re.split(r"\n(?=\d+\. )", to_ticket(every_kind()))[1:]
    told = {
        int(text.partition(".")[0]): [line.strip() for line in text.split("\n\n")[0].splitlines()] for text in steps
    }
    back = {order: lines[lines.index(f"Way back, {_if_done(order)}") + 1 :] for order, lines in told.items()}
    assert back == {1: list(DNS_BACK), 2: [SET_BACK], 3: [AWAY_BACK], 4: [HERE_BACK], 5: [BACK_BY_HAND]}


# -- hostile names -------------------------------------------------------------------------------------------------

NASTY = (
    "\"'%&^|<>!()`$;=,*?~@#{}[]\\/: \t\r\n\x00\x1a\x1b\x85"
    "\u2018\u2019\u201a\u201b\u201c\u2028\u2029\u202e\ufeffüß\U0001f600"
)
WORDS = (
    "& calc",
    "\r\ncalc\r\n",
    "'; calc; '",
    "\u2019; calc; \u2019",
    "$(calc)",
    "%COMSPEC%",
    "%~",
    "^",
    "\n-\n",
    "`n",
)
texts = st.lists(
    st.one_of(
        st.sampled_from(NASTY),
        st.sampled_from(WORDS),
        st.characters(),
        st.sampled_from(["HTTP/", "web.test.com", "svc", "a"]),
    ),
    min_size=1,
    max_size=8,
).map("".join)


@st.composite
def steps(draw: st.DrawFn, names: st.SearchStrategy[str] = texts) -> Step:
    kind = draw(st.sampled_from(["spn-add", "spn-delete", "iis-setting", "dns", "manual"]))
    name, account = spn(draw(names)), AccountName(draw(names), draw(names))
    principal = draw(st.sampled_from(["user", "computer", "managed", None]))
    site_name = draw(names)
    command = appcmd(site_name, "", "useKernelMode", "true") or f"In IIS Manager set useKernelMode for {site_name}."
    return Step(
        order=0,
        kind=kind,
        spn=name if kind != "iis-setting" else None,
        account=account,
        command=command if kind == "iis-setting" else draw(names),
        rollback=command if kind == "iis-setting" else draw(names),
        finding="spn-missing",
        server=draw(st.none() | names),
        account_kind=principal,
        dn=draw(st.none() | names),
        confirm=kind == "spn-delete" and draw(st.booleans()),
    )


@st.composite
def hostile(draw: st.DrawFn) -> Report:
    """A plan and a finding in which every text is hostile."""
    drawn = draw(st.lists(steps(), max_size=4))
    planned = [replace(one, order=order) for order, one in enumerate(drawn, start=1)]
    told = Finding(
        id="spn-missing",
        severity="warning",
        server=draw(texts),
        site=draw(texts),
        path=draw(texts),
        spn=spn(draw(texts)),
        message=draw(texts),
        evidence=(Evidence(draw(texts), 3, draw(texts)),),
    )
    return report(*planned, findings=(told,), finished=draw(texts))


def runnable(one: Step) -> tuple[str, ...] | None:
    """The argument vector of a step that a batch file can hold."""
    if one.spn is None or one.account is None:
        return None
    texts = (one.spn.text, str(one.account))
    line = setspn("-S" if one.kind == "spn-add" else "-D", one.spn, one.account, one.account_kind)
    if line is None or not all(text.isascii() and len(text) <= 250 for text in texts):
        return None
    return cmd_reader.arguments(line.removeprefix("setspn "))


def expected_runs(of: Report, can_write: Callable[[Step], object] = lambda _: True) -> list[Step]:
    """The SPN steps that a script runs: what it cannot hold is left out, with every step of that SPN."""
    waiting = held_back(of.plan.steps)
    by_hand = {one.spn for one in of.plan.steps if one.changes_spn and not can_write(one)}
    return [one for one in pairwise(of.plan.steps) if one.order not in waiting and one.spn not in by_hand]


def put_back(runs: list[Step], one: Step) -> list[Step]:
    """What a batch file does where a registration is refused: the only removal is taken back."""
    removals = [other for other in runs if other.spn == one.spn and not other.is_add]
    return [replace(removals[0], kind="spn-add")] if one.is_add and len(removals) == 1 else []


# -- cmd -----------------------------------------------------------------------------------------------------------

PROGRAMS = frozenset({"setspn", "findstr", "timeout"})


def changing(batch: cmd_reader.Batch) -> list[tuple[str, ...]]:
    return [c.arguments for c in batch.commands if c.name == "setspn" and {"-S", "-D"} & set(c.arguments)]


@given(hostile(), st.none() | texts)
def test_no_name_adds_a_command_to_the_batch_file(planned: Report, controller: str | None) -> None:
    batch = cmd_reader.read(to_cmd(planned, controller))
    assert {command.name for command in batch.commands} <= PROGRAMS | cmd_reader.RAW
    runs = expected_runs(planned, runnable)
    wanted = [runnable(each) for one in runs for each in (one, *put_back(runs, one))]
    assert changing(batch) == wanted
    for command in batch.commands:
        if command.name == "setspn" and command.arguments not in wanted:
            assert command.arguments[-2] in {"-L", "-Q"}, "everything else only looks"


ordinary = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"%&^|<>!\\')


@given(steps(st.text(ordinary, min_size=1, max_size=12)))
def test_the_programs_of_a_batch_file_get_the_names_letter_for_letter(one: Step) -> None:
    one = replace(one, confirm=False, order=1)
    if one.kind not in {"spn-add", "spn-delete"} or one.spn is None or one.account is None:
        return
    found = changing(cmd_reader.read(to_cmd(report(one))))
    if commands.setspn("-S", one.spn, one.account, one.account_kind) is None:
        assert found == []
        return
    ((*_, name, account),) = found
    assert name == one.spn.text
    assert account in {str(one.account), str(one.account).removesuffix("$")}


def test_samples_as_a_batch_file(samples: Report) -> None:
    batch = cmd_reader.read(to_cmd(samples))
    assert changing(batch) == [
        ("-U", "-D", "HTTP/iis05", r"TEST\appsvc"),
        ("-U", "-D", "HTTP/iis05.test.com", r"TEST\appsvc"),
        ("-C", "-D", "HTTP/crm.test.com", r"TEST\IIS05"),
        ("-F", "-U", "-S", "HTTP/crm.test.com", r"TEST\crmsvc"),
        ("-F", "-C", "-S", "HTTP/crm.test.com", r"TEST\IIS05"),
        ("-F", "-C", "-S", "HTTP/forms.test.com", r"TEST\IIS05"),
    ]
    assert r"ASK FIRST: setspn -U -D HTTP/wiki.test.com TEST\oldwikisvc" in batch.remarks
    copied = [cmd_reader.arguments(remark) for remark in batch.remarks if "appcmd.exe set config" in remark]
    section = "-section:system.webServer/security/authentication/windowsAuthentication"
    program = r"%windir%\System32\inetsrv\appcmd.exe"
    assert (program, "set", "config", "Sales", section, "/useAppPoolCredentials:true", "/commit:apphost") in copied
    assert any("run on IIS05" in remark for remark in batch.remarks)
    assert any(remark.strip() == "dnscmd /RecordAdd test.com help A 10.0.5.3" for remark in batch.remarks)


def test_a_move_waits_until_the_old_holder_is_gone() -> None:
    text = to_cmd(moved())
    batch = cmd_reader.read(text)
    assert [c.arguments for c in batch.commands if "-Q" in c.arguments] == [("-F", "-Q", "HTTP/x.test.com")]
    assert batch.labels[:5] == ("done1", "wait2", "gone2", "added2", "done2")
    lines = text.splitlines()
    deleted, waited, added = (
        next(at for at, line in enumerate(lines) if line.startswith(start))
        for start in ("setspn -U -D", "timeout", "setspn -F -U -S")
    )
    assert deleted < waited < added
    assert "if %IIS_SPN_TRIES% GEQ 40 goto late" in lines, "the wait has an end"


def test_an_add_alone_waits_for_nobody() -> None:
    assert "-Q" not in to_cmd(report(step()))
    assert "-Q" not in to_cmd(report())


def test_each_step_is_judged_by_what_is_listed_afterwards() -> None:
    lines = to_cmd(report(step())).splitlines()
    change = lines.index(r"setspn -F -U -S HTTP/x.test.com TEST\svc")
    listing = r'setspn -U -L TEST\svc | findstr /I /E /L /C:"HTTP/x.test.com" >nul'
    assert lines[change + 1 : change + 3] == [listing, "if errorlevel 1 goto failed"]
    assert lines[lines.index(":failed") + 2] == "goto stopped"
    assert lines[lines.index(":stopped") + 2] == "exit /b 2"
    away = to_cmd(report(step("spn-delete"))).splitlines()
    change = away.index(r"setspn -U -D HTTP/x.test.com TEST\svc")
    assert away[change + 1 : change + 3] == [listing, "if not errorlevel 1 goto failed"]


def test_a_backslash_in_an_spn_is_doubled_for_findstr() -> None:
    assert r'/C:"HTTP\\x"' in to_cmd(report(step("spn-delete", name=r"HTTP\x")))


def test_letters_outside_ascii_are_left_to_powershell() -> None:
    text = to_cmd(report(step(account="müller")))
    assert text.isascii()
    assert changing(cmd_reader.read(text)) == []
    assert r"rem Step 1 (spn-missing): add HTTP/x.test.com to TEST\m\xfcller" in text
    assert "BY HAND" in text


@pytest.mark.parametrize("render", [to_cmd, to_powershell, to_ldif, to_ticket])
def test_an_add_that_asks_is_not_run_and_says_what_to_ask(render: Callable[[Report], str]) -> None:
    found = world(server(site("*:80:x.test.com"), pool=r"TEST\svc", creds=True), ad=ad(computer(), user("svc")))
    text = render(found.report)
    assert "ASK FIRST: nobody else inspected answers x.test.com, if x.test.com is no alias." in flowing(text)
    if render is to_cmd:
        assert changing(cmd_reader.read(text)) == []
    if render is to_ldif:
        assert ldif_changes(text) == []
    if render is to_powershell:
        assert text.count("if ($ConfirmSpn -contains 'HTTP/x.test.com') {") == 2, "looked at and done"


@pytest.mark.parametrize("render", [to_cmd, to_powershell, to_ldif, to_ticket])
def test_a_setting_that_asks_says_so(render: Callable[[Report], str]) -> None:
    found = world(server(site("*:80:x.test.com"), pool=r"TEST\svc"), ad=ad(computer(), user("svc", "HTTP/x.test.com")))
    text = flowing(render(found.report))
    assert "ASK FIRST: nobody else inspected answers x.test.com, if x.test.com is no alias." in text
    assert text.index("ASK FIRST: nobody") < text.index("/useAppPoolCredentials:true")


@pytest.mark.parametrize("render", [to_cmd, to_powershell, to_ldif, to_ticket])
def test_an_add_waits_for_a_delete_that_is_asked_about(render: object) -> None:
    planned = moved(confirm=True)
    text = render(planned)  # type: ignore[operator]
    assert "ASK FIRST" in text
    if render is to_cmd:
        assert changing(cmd_reader.read(text)) == []
    if render is to_ldif:
        assert ldif_changes(text) == []
    if render is to_powershell:
        assert text.count("if ($ConfirmDelete -contains 'HTTP/x.test.com') {") == 4, "looked at and done"


def test_the_rollback_of_a_batch_file_is_remarks_in_reverse_order(samples: Report) -> None:
    remarks = cmd_reader.read(to_cmd(samples)).remarks
    start = next(at for at, remark in enumerate(remarks) if remark.startswith("The way back, last step first"))
    back = [remark.strip() for remark in remarks[start + 1 :] if "setspn" in remark]
    wanted = [s.rollback for s in reversed(samples.plan.steps) if s.kind.startswith("spn")]
    assert back == wanted


# -- PowerShell ----------------------------------------------------------------------------------------------------

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
CMDLETS = frozenset(
    {
        *("Get-ADUser", "Get-ADComputer", "Get-ADServiceAccount", "Get-ADObject", "Get-ADDomainController"),
        *("Set-ADUser", "Set-ADComputer", "Set-ADServiceAccount", "Write-Warning"),
        *("Test-Path", "Get-Content", "Add-Content"),
        *("Get-Controller", "Assert-Free", "Show-Right", "Assert-Ready", "Undo-Plan"),
        *("Skip-Step", "Add-Note", "Test-Done", "Complete-Plan"),
    }
)


def nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.named_children)


def powershell(text: str) -> tree_sitter.Node:
    root = PARSER.parse(text.encode()).root_node
    assert not root.has_error, [n.text for n in nodes(root) if n.type == "ERROR" or n.is_missing]
    return root


def words(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


def commands_of(root: tree_sitter.Node) -> set[str]:
    return {words(node) for node in nodes(root) if node.type == "command_name"}


_PIECE = re.compile(r"'((?:[^']|'')*)'|\[char\]0x([0-9A-F]{4})")


def value(expression: str) -> str:
    """What a literal expression stands for, computed as PowerShell does."""
    units = b""
    for quoted, code in _PIECE.findall(expression):
        units += bytes.fromhex(code) if code else quoted.replace("''", "'").encode("utf-16-be")
    return units.decode("utf-16-be", "surrogatepass")


def changes_made(root: tree_sitter.Node) -> list[tuple[str, str, str]]:
    """Verb, SPN and cmdlet of every value set outside the rollback."""
    found = []
    for node in nodes(root):
        if node.type == "command" and (match := re.match(r"Set-\w+", words(node))):
            (entry_,) = [n for n in nodes(node) if n.type == "hash_entry"]
            verb, _, expression = words(entry_).partition(" = ")
            outer: tree_sitter.Node | None = node
            while outer is not None and outer.type != "function_statement":
                outer = outer.parent
            if outer is None:
                found.append((verb, value(expression), match[0]))
    return found


@given(texts)
def test_a_literal_is_ascii_and_stands_for_its_text(text: str) -> None:
    written = literal(text)
    assert re.fullmatch(r"[ -~]+", written)
    assert value(written) == text
    root = powershell(f"$x = {written}")
    assert commands_of(root) == set()
    assert not [node for node in nodes(root) if node.type in {"sub_expression", "expandable_string_literal"}]


@given(hostile(), st.none() | texts)
def test_no_name_adds_a_command_to_the_powershell_script(planned: Report, controller: str | None) -> None:
    text = to_powershell(planned, controller)
    assert re.fullmatch(r"(?:[ -~]*\r\n)*", text)
    root = powershell(text)
    assert commands_of(root) <= CMDLETS
    nouns = {"user": "Set-ADUser", "computer": "Set-ADComputer", "managed": "Set-ADServiceAccount"}
    by_hand = {one.spn for one in planned.plan.steps if one.changes_spn and one.account_kind is None}
    may_run = [one for one in pairwise(planned.plan.steps) if one.spn not in by_hand]
    wanted = [
        ("Add" if one.kind == "spn-add" else "Remove", one.spn.text, nouns[one.account_kind])
        for one in may_run
        if one.spn is not None and one.account_kind is not None
    ]
    assert changes_made(root) == wanted
    assert "replace" not in {words(n).lower() for n in nodes(root) if n.type == "simple_name"}


def test_samples_as_a_powershell_script(samples: Report) -> None:
    text = to_powershell(samples, "dc1.test.com")
    assert changes_made(powershell(text)) == [
        ("Remove", "HTTP/iis05", "Set-ADUser"),
        ("Remove", "HTTP/iis05.test.com", "Set-ADUser"),
        ("Remove", "HTTP/wiki.test.com", "Set-ADUser"),
        ("Remove", "HTTP/crm.test.com", "Set-ADComputer"),
        ("Add", "HTTP/crm.test.com", "Set-ADUser"),
        ("Add", "HTTP/forms.test.com", "Set-ADComputer"),
    ]
    assert "[string] $Server = 'dc1.test.com'," in text
    assert "#Requires -Modules ActiveDirectory" in text
    assert "$ErrorActionPreference = 'Stop'" in text


def test_a_gmsa_and_an_account_of_unknown_kind() -> None:
    gmsa = to_powershell(report(step(account="gmsaWeb$", account_kind="managed")))
    assert "Set-ADServiceAccount -Identity $object -ServicePrincipalNames @{Add = 'HTTP/x.test.com'}" in gmsa
    unknown = to_powershell(report(step(account_kind=None)))
    assert changes_made(powershell(unknown)) == []
    assert "By hand" in unknown


def test_what_is_special_in_an_ldap_filter_is_escaped() -> None:
    assert r"'(servicePrincipalName=HTTP/\2a\28x\29\5c)'" in to_powershell(report(step(name="HTTP/*(x)\\")))


# -- LDIF ----------------------------------------------------------------------------------------------------------


def ldif_changes(text: str) -> list[tuple[str, str, str]]:
    """DN, operation and value of each record: a strict reader of RFC 2849 change records."""
    found = []
    assert re.fullmatch(r"(?:[ -~]*\n)*", text)
    for record in re.split(r"\n\n+", text):
        lines = [line for line in record.split("\n") if line and not line.startswith("#")]
        if lines:
            dn, kind, operation, single, end = lines
            assert (kind, end) == ("changetype: modify", "-")
            verb = re.fullmatch(r"(add|delete): servicePrincipalName", operation)
            assert verb is not None
            found.append((_ldif_value("dn", dn), verb[1], _ldif_value("servicePrincipalName", single)))
    return found


def _ldif_value(attribute: str, line: str) -> str:
    name, colon, rest = line.partition(":")
    assert (name, colon) == (attribute, ":")
    if rest.startswith(": "):
        return base64.b64decode(rest[2:], validate=True).decode()
    assert re.fullmatch(r" [!-9;=-~](?:[ -~]*[!-~])?", rest), "a SAFE-STRING"
    return rest[1:]


def encodable(text: str | None) -> bool:
    return bool(text) and not any("\ud800" <= c <= "\udfff" for c in text or "")


@given(hostile(), st.none() | texts)
def test_the_ldif_says_exactly_what_is_planned(planned: Report, controller: str | None) -> None:
    written = ldif_changes(to_ldif(planned, controller))
    runs = expected_runs(planned, lambda one: one.spn and encodable(one.dn) and encodable(one.spn.text))
    values = [(one.dn, "add" if one.is_add else "delete", one.value[0].text) for one in runs]
    assert written == values
    undone = [(dn, "delete" if verb == "add" else "add", text) for dn, verb, text in reversed(values)]
    assert ldif_changes(ldif_back(to_ldif(planned, controller))) == undone


def test_samples_as_ldif(samples: Report) -> None:
    text = to_ldif(samples)
    assert ldif_changes(text) == [
        ("CN=appsvc,OU=Service Accounts,DC=test,DC=com", "delete", "HTTP/iis05"),
        ("CN=appsvc,OU=Service Accounts,DC=test,DC=com", "delete", "HTTP/iis05.test.com"),
        ("CN=IIS05,OU=Web Servers,DC=test,DC=com", "delete", "HTTP/crm.test.com"),
        ("CN=crmsvc,OU=Service Accounts,DC=test,DC=com", "add", "HTTP/crm.test.com"),
        ("CN=IIS05,OU=Web Servers,DC=test,DC=com", "add", "HTTP/forms.test.com"),
    ]
    back = ldif_changes(ldif_back(text))
    assert back[0] == ("CN=IIS05,OU=Web Servers,DC=test,DC=com", "delete", "HTTP/forms.test.com")
    assert len(back) == 5, "the removal that is asked about did not run and is not taken back"


@pytest.mark.parametrize(
    ("dn", "line"),
    [
        ("CN=svc,DC=test,DC=com", "dn: CN=svc,DC=test,DC=com"),
        ("CN=Müller,DC=test,DC=com", "dn:: " + base64.b64encode("CN=Müller,DC=test,DC=com".encode()).decode()),
        (" CN=x", "dn:: " + base64.b64encode(b" CN=x").decode()),
        (":x", "dn:: " + base64.b64encode(b":x").decode()),
        ("<x", "dn:: " + base64.b64encode(b"<x").decode()),
        ("x ", "dn:: " + base64.b64encode(b"x ").decode()),
    ],
)
def test_base64_where_rfc_2849_demands_it(dn: str, line: str) -> None:
    assert line in to_ldif(report(step(dn=dn))).splitlines()


def test_without_a_distinguished_name_there_is_no_record() -> None:
    text = to_ldif(report(step(dn=None)))
    assert ldif_changes(text) == []
    assert r"the distinguished name of TEST\svc is not known" in text


# -- the ticket ----------------------------------------------------------------------------------------------------


def is_quiet(text: str) -> bool:
    """Nothing but letters, spaces and line ends: no control, format or unassigned character."""
    return all(c == "\n" or c.isprintable() or unicodedata.category(c) == "Zs" for c in text)


@given(hostile(), st.none() | texts)
def test_a_ticket_cannot_drive_a_terminal(planned: Report, controller: str | None) -> None:
    text = to_ticket(planned, controller)
    assert is_quiet(text)


def test_samples_as_a_ticket(samples: Report) -> None:
    text = to_ticket(samples)
    for planned in samples.plan.steps:
        for line in (*planned.command.split(" && "), *planned.rollback.split(" && ")):
            assert f"    {line}\n" in text
    assert "useAppPoolCredentials=true (applicationHost.config:" in text, "the line that decides"
    assert "    klist get HTTP/crm.test.com\n" in text
    assert "    setspn -F -Q HTTP/crm.test.com\n" in text
    wide = [line for line in text.splitlines() if len(line) > 78 and not line.startswith("    ")]
    assert wide == []


def test_a_ticket_starts_with_what_is_asked_for(samples: Report) -> None:
    """Six setspn are two minutes; nothing restarts. What takes longer is told: one SPN moves, and that replicates."""
    lines = flowing(to_ticket(samples)).partition("DNS ---")[0]
    assert "Please make these changes: 6 setspn on 4 accounts, 3 appcmd on 2 servers, 1 DNS change; 4 minutes," in lines
    assert ", no restart." in lines
    assert "1 SPN moves to another account." in lines
    assert "180 minutes" in lines
    assert "1 step must be asked about first" in lines
    six = [step("spn-delete", f"HTTP/n{number}", f"a{number % 4}", order=number + 1) for number in range(6)]
    request = to_ticket(report(*six)).splitlines()[3]
    assert request == "Please make these changes: 6 setspn on 4 accounts; 2 minutes, no restart."
    assert "global catalog" not in to_ticket(report(*six)), "nothing is registered anew, so nothing waits"


def test_each_team_has_its_steps_and_each_step_its_check(samples: Report) -> None:
    text = to_ticket(samples)
    titles = re.findall(r"^(.+)\n-{3,}$", text, re.MULTILINE)
    assert titles[:3] == ["DNS", "Web servers", "Active Directory"]
    assert titles[-2:] == ["Why", "What was read"], "why comes last"
    parts = dict(zip(titles, re.split(r"^.+\n-{3,}$", text, flags=re.MULTILINE)[1:], strict=True))
    assert re.findall(r"^(\d+)\.", parts["Active Directory"], re.MULTILINE) == ["5", "6", "7", "8", "9", "10"]
    assert "5. Remove HTTP/iis05 from TEST\\appsvc.\n   After step 4 (Web servers)." in parts["Active Directory"]
    checks = {
        "DNS": "nslookup help.test.com.",
        "Web servers": "appcmd.exe list config",
        "Active Directory": "setspn -F -Q",
    }
    for team, check in checks.items():
        assert parts[team].count(check) == len(re.findall(r"^\d+\.", parts[team], re.MULTILINE)), team
    assert 'Then it shows useAppPoolCredentials="true":' in parts["Web servers"]
    section = "-section:system.webServer/security/authentication/windowsAuthentication"
    assert f'    %windir%\\System32\\inetsrv\\appcmd.exe list config "Sales" {section}\n' in parts["Web servers"]


def test_evidence_is_told_once_for_each_cause(samples: Report) -> None:
    """Two names of one site are one cause: the lines that show it stand there once."""
    why = to_ticket(samples).partition("\nWhy\n")[2]
    assert why.count("pool AppPool: SpecificUser TEST\\appsvc") == 1
    (both,) = [part for part in why.split("\n\n") if "AppPool: SpecificUser" in part and "appsvc" in part]
    assert both.count("\n* ") + both.startswith("* ") == 2


def test_a_ticket_refers_to_nothing_that_its_reader_does_not_have(samples: Report) -> None:
    text = flowing(to_ticket(samples))
    for word in ("iis-spn plan", "the report", "finding names"):
        assert word not in text
    dates = {read.date for read in samples.summary.read if read.date is not None} if samples.summary else set()
    assert dates
    assert all(date in text for date in (min(dates), max(dates))), "what was read, and when"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (SET, (SET.replace(" set config ", " list config ").partition(" /useK")[0], 'useKernelMode="true"')),
        (" && ".join(DNS), ("nslookup x.test.com.", "10.0.5.2 and no alias")),
        ("dnscmd /RecordAdd test.com x AAAA fd00::2", ("nslookup x.test.com.", "fd00::2 and no alias")),
        (" && ".join(DNS_BACK), None),
        (AWAY, None),
        (None, None),
    ],
)
def test_the_line_that_shows_what_a_step_did(command: str | None, shown: tuple[str, str] | None) -> None:
    assert shown_by(command) == shown


# -- the plan as a table and as a page -----------------------------------------------------------------------------


def rows(planned: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(steps_sheet.to_csv(planned), newline="")))


def test_the_plan_as_csv() -> None:
    planned = every_kind()
    other = Alternative(finding="spn-missing", why="move it", steps=(step(command="setspn other"),))
    plan = replace(planned.plan, alternatives=(other,), blocked=(Blocked(finding="spn-conflict", why="a: no"),))
    found = rows(replace(planned, plan=plan))
    assert [row["what"] for row in found] == ["step"] * 5 + ["other way", "blocked"]
    for row, one in zip(found, planned.plan.steps, strict=False):
        assert (row["order"], row["kind"], row["server"]) == (str(one.order), one.kind, one.server or "")
        assert (row["spn"], row["account"]) == (str(one.spn or ""), str(one.account or ""))
        assert (row["command"], row["rollback"]) == (one.command or "", one.rollback or "")
        assert (row["ask_first"], row["note"]) == ("yes" if one.confirm else "no", one.note or "")
    assert (found[5]["command"], found[5]["note"]) == ("setspn other", "move it")
    assert (found[6]["finding"], found[6]["note"]) == ("spn-conflict", "a: no")


@given(hostile())
def test_no_cell_of_the_plan_is_a_formula(planned: Report) -> None:
    found = rows(planned)
    assert len(found) == len(planned.plan.steps)
    assert not any(text.startswith(("=", "+", "-", "@")) for row in found for text in row.values())
    assert is_quiet("".join(text for row in found for text in row.values()))


def test_the_plan_as_markdown() -> None:
    text = steps_markdown.to_markdown(every_kind())
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    commands = [re.findall(r"^ *- `(.*)`$", part, re.MULTILINE) for part in parts]
    assert commands == [[*DNS, *DNS_BACK], [SET, SET_BACK], [AWAY, AWAY_BACK], [HERE, HERE_BACK], [], [PROBE]]
    assert "- **Ask the owner first.**" in parts[2]
    assert f"- {BY_HAND}" in parts[4]
    assert all(f"Way back, only if step {number} was done:" in part for number, part in enumerate(parts[:4], start=1))


@given(hostile())
def test_no_name_adds_a_line_to_the_markdown_of_a_plan(planned: Report) -> None:
    text = steps_markdown.to_markdown(planned)
    assert is_quiet(text)
    assert len(re.findall(r"^## \d+\. ", text, re.MULTILINE)) == len(planned.plan.steps)


def test_the_ticket_says_what_the_domain_controller_will_refuse_and_what_breaks() -> None:
    kerberos = world(
        server(site("*:80:"), site("*:80:x.test.com", name="X"), pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    way = next(w for w in kerberos.report.plan.alternatives if w.steps[0].kind == "spn-add")
    text = to_ticket(replace(kerberos.report, plan=Plan(steps=way.steps)))
    assert "this breaks WinRM" in " ".join(text.split())
    blocked = Finding(
        id="plan-blocked-by-alias",
        severity="warning",
        server=None,
        spn=way.steps[0].spn,
        account=way.steps[0].account,
        message="",
    )
    for render in (to_cmd, to_powershell, to_ldif, to_ticket):
        told = render(replace(kerberos.report, plan=Plan(steps=way.steps), findings=(blocked,)))
        assert "KB5008382" in told


# -- from the configuration to the script --------------------------------------------------------------------------

xml_characters = st.characters(
    exclude_categories=["Cs", "Cc", "Co", "Cn", "Zs"], exclude_characters="/?\\@"
) | st.sampled_from("\"'%&^|<>!\u2018\u2019")
site_names = st.text(xml_characters, min_size=1, max_size=12)


@given(site_names, site_names)
def test_hostile_names_of_a_configuration(name: str, account: str) -> None:
    """A site whose SPN stands on its pool's account, and one whose SPN is missing."""
    pools = {"A": rf"TEST\{account}", "B": rf"TEST\{account}"}
    first = site("*:80:a.test.com", name=name, apps=[app("/", "A", creds=False)])
    second = site("*:80:b.test.com", name=f"{name}2", apps=[app("/", "B", creds=True)])
    found = world(server(first, second, pools=pools), ad=ad(computer(), entry("other", "HTTP/a.test.com")))
    assert found.report.plan.steps
    batch = cmd_reader.read(to_cmd(found.report))
    assert {command.name for command in batch.commands} <= PROGRAMS | cmd_reader.RAW
    assert commands_of(powershell(to_powershell(found.report))) <= CMDLETS
    ldif_changes(to_ldif(found.report))
    assert is_quiet(to_ticket(found.report))
