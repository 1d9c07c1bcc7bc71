"""`--apply` on a real domain controller: the article's wrong configurations, farms and conflicts, repaired and taken
back. Before: the ticket cannot be decrypted. After: it can. Taken back: servicePrincipalName exactly as before."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest
from msgspec.structs import replace

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.change import journal
from agent.change.apply import Applied, apply, roll_back
from agent.change.journal import Files
from agent.change.plan import awaiting, held_back
from agent.change.writer import RefusedError, Writer
from agent.cli.program import main
from agent.model import Report, Step
from agent.names import AccountName, Spn, fold, spn
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.modify import LdapWriter, writer
from agent.sources.ad.results import LdapError

from . import samba
from .samba import DomainController, add_spn, computer, delete_spn, password_of, user
from .scenarios import Row, analysis, application_host, changes, rows, server

if TYPE_CHECKING:
    from .conftest import Observe

pytestmark = pytest.mark.live

State = dict[str, frozenset[str]]
_T = TypeVar("_T")
NOBODY: frozenset[Spn] = frozenset()


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> Iterator[DomainController]:
    """The controller, with a full administrator's ticket in use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{domain_controller.kinit('Administrator')}")
        yield domain_controller


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.of(tmp_path / "rollback.json")


def source(dc: DomainController, **more: Any) -> LdapSource:
    return LdapSource(target=f"ldap://{dc.host}", address=dc.address, seconds=20, **more)


def yes(_: str) -> bool:
    return True


# -- rows ----------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A row, the way that is taken ("": the recommended one), and the ticket that decides."""

    name: str
    row: Row
    account: str
    way: str = ""
    asks: str = ""
    before: str = "modified"
    after: str = "kerberos"


ROWS = {row.id: row for row in rows()}


def _as(value: _T, old: str, new: str) -> _T:
    """A row under other names: the directory is shared with the tests that `scenarios` was written for."""
    renamed: Any = value
    if isinstance(value, str):
        renamed = value.replace(old, new).replace("%", "200")
    elif isinstance(value, dict):
        renamed = {_as(key, old, new): _as(item, old, new) for key, item in value.items()}
    elif isinstance(value, tuple):
        items = [_as(item, old, new) for item in value]
        renamed = type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return renamed


def _from_table(row_id: str, way: str = "", asks: str = "", before: str = "modified", **more: Any) -> Case:
    row = ROWS[row_id]
    mark = f"-ap{row.number:02}"
    mine = _as(row._replace(**more), f"-{row.number:02}", mark)
    account = next(name for name, seen in row.sees.items() if seen != "kerberos")
    asked = asks.replace("~", mark) or mine.asks
    return Case(row_id, mine, _as(account, f"-{row.number:02}", mark), way, asked, before)


PORTAL = "HTTP/portal~.test.com"
FARM_DNS = "iis01~ A 10.0.%.5\niis02~ A 10.0.%.6\nportal~ A 10.0.%.100"


def _farm(name: str, mark: str, identity: str, holders: dict[str, tuple[str, ...]], **more: Any) -> Case:
    """Two nodes that decrypt as computers, though their pools run as one account."""
    header = ("http *:80:portal~.test.com",)
    second = {"name": "IIS02~", "full_name": "iis02~.test.com", "address": "10.0.%.6"}
    nodes = (server(True, False, identity, header), server(True, False, identity, header, **second))
    farm = (("portal~.test.com", ("IIS01~", "IIS02~")),)
    row = Row(name, "", PORTAL, {}, nodes, holders, FARM_DNS, farm=farm, **more)
    mine = _as(row, "~", mark)
    before = "no-ticket" if mine.raw or not holders else "modified"
    return Case(name, mine, _as(identity.removeprefix("TEST\\"), "~", mark), asks=mine.asks, before=before)


ODD = {"contososvc-13": ("http/IIS01-13", "HTTP/iis01-13.Test.COM", "HTTP/stays-13")}
MOVE, EXPLICIT = "move the SPN", "explicit SPN"
NO_TICKET = {"before": "no-ticket"}
CASES = [
    _from_table("SEED-S2", **NO_TICKET),
    _from_table("SEED-S6", EXPLICIT),
    _from_table("SEED-W1"),
    _from_table("SEED-W1", spns=ODD)._replace(name="SEED-W1 in odd spelling"),
    _from_table("SEED-W1", MOVE)._replace(name="SEED-W1 moved"),
    _from_table("SEED-W2", MOVE),
    _from_table("SEED-W3A", EXPLICIT),
    _from_table("SEED-W3B", MOVE),
    _from_table("SEED-CNAME", asks="HTTP/contoso~", **NO_TICKET),
    _from_table("HOST-09", **NO_TICKET),
    _from_table("HOST-13", **NO_TICKET),
    _from_table("HOST-15", **NO_TICKET),
    _from_table("KDC-02"),
    _farm("farm on one node", "-apf1", "TEST\\contososvc~", {"IIS01~$": (PORTAL,)}),
    _farm("farm as gMSA", "-apf2", "TEST\\gmsaWeb~$", {"IIS02~$": (PORTAL, "HTTP/portal~")}),
    _farm("farm without SPN", "-apf3", "TEST\\contososvc~", {}),
]
NOT_ON_SAMBA = [
    _from_table("SEED-DUP", **NO_TICKET),
    _from_table("URL", **NO_TICKET),
    _farm("farm on both nodes", "-apf4", "TEST\\contososvc~", {"IIS01~$": (PORTAL,), "IIS02~$": (PORTAL,)}, raw=True),
]
CONFLICTS = ["FARM-09", "FARM-12", "SIDE-02"]


def _set_up(dc: DomainController, row: Row) -> None:
    """A row that two cases share is set up once: each leaves it as it was."""
    for change in changes(row):
        with suppress(RuntimeError):  # it is there
            dc.apply(change)
    for sam, held in row.spns.items():
        if not row.raw and not sam.endswith("$"):
            dc.apply(samba.replace_spns(sam, *held))


def _report(dc: DomainController, row: Row, folder: Path) -> Report:
    report = analysis([row], source(dc).ask, folder, datetime.now(UTC)).report
    assert report.complete
    return report


def _steps(report: Report, way: str) -> list[Step]:
    if not way:
        return list(report.plan.steps)
    return [step for other in report.plan.alternatives if way in other.why for step in other.steps]


def _search(dc: DomainController, *words: str) -> str:
    """ldapsearch over the socket of the system account: nothing of ours stands between."""
    command = [str(samba.program("ldapsearch")), "-x", "-LLL", "-o", "ldif-wrap=no", "-H", dc.ldapi, "-b", dc.base_dn]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout


def _state(dc: DomainController, text: str = "-ap") -> State:
    """servicePrincipalName of all accounts of these tests, byte by byte but for `test_samba_rewrites_host`."""
    state: State = {}
    for entry in _search(dc, f"(sAMAccountName=*{text}*)", "servicePrincipalName").strip().split("\n\n"):
        found = re.findall(r"^(\w+)(::?) (.*)$", entry, re.MULTILINE)
        plain = [(name, base64.b64decode(v).decode() if sign == "::" else v) for name, sign, v in found]
        dn = next((value for name, value in plain if name == "dn"), "")
        values = [value for name, value in plain if name == "servicePrincipalName"]
        state[dn] = frozenset(fold(value) if fold(value).startswith("host/") else value for value in values)
    state.pop("", None)
    assert any(state.values())
    return state


# -- repaired and taken back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_broken_applied_works_taken_back(
    case: Case, dc: DomainController, observe: Observe, files: Files, tmp_path: Path
) -> None:
    _set_up(dc, case.row)
    before = _state(dc)
    assert observe(case.asks, case.account).kind == case.before
    report = _report(dc, case.row, tmp_path)
    steps = _steps(report, case.way)
    with writer(source(dc)) as live:
        ran = _applied(steps, live, files, tmp_path)
        assert observe(case.asks, case.account).kind == case.after
        assert _state(dc) != before
        backs = [roll_back(each.rollback, live, yes) for each in reversed(ran)]
    for back in backs:
        assert back.outcome == "done", back.message
        assert _foreign_changes(back) == set()
    assert _state(dc) == before
    assert observe(case.asks, case.account).kind == case.before
    for each in ran:
        _assert_no_secret(each, *ran[each], *backs)


def _applied(steps: Sequence[Step], live: Writer, files: Files, folder: Path) -> dict[Files, list[Applied]]:
    """By the files of each call: what waits for a setting is left to a second one, whose plan no longer has it."""
    spn_steps, later = [step for step in steps if step.changes_spn], awaiting(steps)
    ran: dict[Files, list[Applied]] = {}
    first = apply(steps, None, live, files, _to_confirm(steps), yes)
    assert first.outcome == ("done" if len(later) < len(spn_steps) else "nothing"), first.message
    assert len(first.done) == len(spn_steps) - len(later)
    assert len(first.not_done) == len(steps) - len(first.done)
    if first.outcome == "done":
        ran[files] = [first]
    if later:
        again, rest = Files.of(folder / "again.json"), [step for step in spn_steps if step.order in later]
        second = apply([replace(step, after=()) for step in rest], None, live, again, _to_confirm(rest), yes)
        assert second.outcome == "done", second.message
        assert (len(second.done), second.not_done) == (len(rest), ())
        ran[again] = [second]
    return ran


def _foreign_changes(back: Applied) -> set[str]:
    """The values that are not as before; Samba's own doing aside."""
    lines = [line for line in back.message.splitlines() if line.startswith("Not as before")]
    values = {word.strip(",.") for line in lines for word in line.split() if "/" in word}
    return {value for value in values if not fold(value).startswith("host/")}


def _to_confirm(steps: Sequence[Step]) -> frozenset[Spn]:
    return frozenset(step.spn for step in steps if step.spn is not None)


def _assert_no_secret(files: Files, *results: Applied) -> None:
    texts = [path.read_text() for path in files] + [result.message for result in results]
    assert "Passw0rd" not in "".join(texts)


@pytest.mark.parametrize("case", NOT_ON_SAMBA, ids=[case.name for case in NOT_ON_SAMBA])
def test_past_the_checks_of_samba(
    case: Case, dc: DomainController, observe: Observe, files: Files, tmp_path: Path
) -> None:
    """Samba refuses to delete one value of a duplicate, and what is no SPN: the engine over a raw write."""
    _set_up(dc, case.row)
    before = _state(dc)
    assert observe(case.asks, case.account).kind == case.before
    steps = _steps(_report(dc, case.row, tmp_path), "")
    with writer(source(dc)) as live:
        refused = apply(steps, None, live, files, _to_confirm(steps), yes)
        assert refused.outcome == "stopped"
        assert _state(dc) == before
        raw = RawWriter(dc, live)
        ran = _applied(steps, raw, Files.of(tmp_path / "raw.json"), tmp_path)
        assert observe(case.asks, case.account).kind == case.after
        for each in reversed(ran):
            assert roll_back(each.rollback, DuplicateWriter(dc, live), yes).outcome == "done"
    assert _state(dc) == before
    assert observe(case.asks, case.account).kind == case.before


class RawWriter:
    """Reads by LDAP, writes below the checks of Samba."""

    def __init__(self, dc: DomainController, live: LdapWriter) -> None:
        self._dc, self._live = dc, live
        self.server = live.server

    def values(self, dn: str) -> tuple[str, ...]:
        return self._live.values(dn)

    def holders(self, text: str) -> tuple[str, ...]:
        return self._live.holders(text)

    def add_value(self, dn: str, text: str) -> None:
        self._dc.apply(add_spn(dn, text, raw=True))

    def delete_value(self, dn: str, text: str) -> None:
        self._dc.apply(delete_spn(dn, text, raw=True))


class DuplicateWriter(RawWriter):
    """A directory that lets duplicates in again."""

    def holders(self, text: str) -> tuple[str, ...]:
        assert text
        return ()


@pytest.mark.parametrize("row_id", CONFLICTS)
def test_a_conflict_changes_nothing_in_the_directory(
    row_id: str, dc: DomainController, files: Files, tmp_path: Path
) -> None:
    case = _from_table(row_id)
    _set_up(dc, case.row)
    before = _state(dc)
    report = _report(dc, case.row, tmp_path)
    mended = [step.kind for step in report.plan.steps if step.finding == "spn-conflict"]
    blocked = {blocked.finding for blocked in report.plan.blocked}
    # in FARM-12 the settings alone differ: one in IIS ends it, and the directory stays
    assert mended == ["iis-setting"] if row_id == "FARM-12" else "spn-conflict" in blocked
    with writer(source(dc)) as live:
        assert apply(report.plan.steps, None, live, files, NOBODY, yes).outcome == "nothing"
    assert _state(dc) == before


def test_an_account_that_nobody_inspected_is_not_touched(dc: DomainController, files: Files, tmp_path: Path) -> None:
    case = _from_table("URL")
    _set_up(dc, case.row)
    before = _state(dc)
    report = _report(dc, case.row, tmp_path)
    held = held_back(report.plan.steps)
    assert held
    with writer(source(dc)) as live:
        done = apply(report.plan.steps, None, live, files, NOBODY, yes)
        assert len(done.not_done) == len(held)
        assert any("--confirm-delete" in text for text in done.not_done)
        othersvc = next(dn for dn in before if "othersvc-ap60" in dn)
        assert _state(dc)[othersvc] == before[othersvc]
        roll_back(files.rollback, live, yes)
    assert _state(dc) == before


def test_the_command_line(
    dc: DomainController,
    observe: Observe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = next(case for case in CASES if case.name == "SEED-W1")
    _set_up(dc, case.row)
    before = _state(dc)
    target = _snapshot_folder(case.row, tmp_path)
    monkeypatch.chdir(tmp_path)
    ask = ["plan", "--ad", f"ldap://{dc.address}", "--dns", "off"]

    def run(words: list[str], answer: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert main([*ask, *words]) == 0
        return "".join(capsys.readouterr())

    assert "Nothing was changed" in run(["--apply", target], "no\n")
    assert _state(dc) == before
    assert "- HTTP/IIS01-ap13  from TEST\\contososvc-ap13" in run(["--apply", target], "yes\n")
    assert observe(case.asks, case.account).kind == "kerberos"
    run(["--rollback", str(next(tmp_path.glob("iis-spn-rollback-*.json")))], "yes\n")
    assert _state(dc) == before


def test_two_command_lines_in_one_folder(
    dc: DomainController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While one is at its question the other is told who works there; no file is left that says so for ever."""
    case = next(case for case in CASES if case.name == "SEED-W1")
    _set_up(dc, case.row)
    before = _state(dc)
    words = ["plan", "--ad", f"ldap://{dc.address}", "--dns", "off", "--apply", _snapshot_folder(case.row, tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "agent", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as first:  # type: ignore[call-overload]
        line = ""
        while "The way back" not in line:
            line = first.stderr.readline()
            assert line, "it ended before its question"
        monkeypatch.chdir(tmp_path)
        assert main(words) == 64
        assert f"nothing was changed: process {first.pid} of " in capsys.readouterr().err
        assert _state(dc) == before
        first.communicate("no\n", timeout=60)
    assert not list(tmp_path.glob("*.lock"))
    assert main([*words, "--confirm-delete", "HTTP/nobody.test.com"]) == 64
    assert "no step of this plan deletes it" in capsys.readouterr().err
    assert _state(dc) == before


def _snapshot_folder(row: Row, folder: Path) -> str:
    made = row.servers[0]
    place = folder / made.name
    place.mkdir()
    machine = {"name": made.name, "dns_name": made.full_name, "domain": "test.com", "netbios_domain": "TEST"}
    more = {"membership": "domain", "addresses": [made.address], "content": {"looked": True}}
    (place / "machine.json").write_text(json.dumps({**machine, **more}))
    (place / "applicationHost.config").write_text(application_host(made))
    return str(place)


# -- the printed LDIF ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row_id", ["SEED-S2", "SEED-W1", "HOST-13", "KDC-02"])
def test_ldapmodify_accepts_the_printed_ldif(
    row_id: str, dc: DomainController, observe: Observe, tmp_path: Path
) -> None:
    render = pytest.importorskip("agent.render.ldif", reason="there is no LDIF yet", exc_type=ImportError)
    case = next(case for case in CASES if case.name == row_id)
    _set_up(dc, case.row)
    before = _state(dc)
    assert observe(case.asks, case.account).kind == case.before
    text = render.to_ldif(_report(dc, case.row, tmp_path))
    _ldapmodify(dc, text)
    assert observe(case.asks, case.account).kind == "kerberos"
    _ldapmodify(dc, _way_back(text))
    assert {dn: frozenset(map(fold, v)) for dn, v in _state(dc).items()} == {
        dn: frozenset(map(fold, v)) for dn, v in before.items()
    }


def _ldapmodify(dc: DomainController, text: str) -> None:
    command = [str(samba.program("ldapmodify")), "-Y", "GSSAPI", "-Q", "-H", f"ldap://{dc.address}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + text


def _way_back(text: str) -> str:
    """The last part, as the file itself says: without the first two characters of each line."""
    lines = text[text.index("# The way back") :].splitlines()[1:]
    return "\n".join(line[2:] for line in lines) + "\n"


# -- killed --------------------------------------------------------------------------------------------------------

MOMENTS = 10
"""Before the rollback file, each of the six lines of the journal and the two requests; and one more, to live on."""


def _names(at: int) -> tuple[str, str, str]:
    return f"ap-killed-{at}-a", f"ap-killed-{at}-b", f"HTTP/Killed-ap{at}.test.com"


def _move(dc: DomainController, text: str, wrong: str, right: str) -> list[Step]:
    kinds = (("spn-delete", wrong), ("spn-add", right))
    return [
        Step(
            order=order,
            kind=kind,  # type: ignore[arg-type]
            spn=spn(text),
            account=AccountName("TEST", name),
            command="",
            rollback="",
            finding="spn-misplaced",
            dn=f"CN={name},CN=Users,{dc.base_dn}",
        )
        for order, (kind, name) in enumerate(kinds, 1)
    ]


class Deadly:
    """Passes on to the real thing and ends the process, without a word, at one moment."""

    def __init__(self, live: Writer, at: int) -> None:
        self._live, self._left = live, at
        self.server = live.server
        self.values, self.holders = live.values, live.holders
        journal.append = self._first(journal.append)
        journal.write_whole = self._first(journal.write_whole)

    def _first(self, real: Callable[..., None]) -> Callable[..., None]:
        """The writing of a file, which may be the moment that never comes."""

        def write(*given: Any, **more: Any) -> None:
            self._moment()
            real(*given, **more)

        return write

    def _moment(self) -> None:
        if self._left == 0:
            os._exit(9)
        self._left -= 1

    def add_value(self, dn: str, text: str) -> None:
        self._moment()
        self._live.add_value(dn, text)

    def delete_value(self, dn: str, text: str) -> None:
        self._moment()
        self._live.delete_value(dn, text)


def die(dc_host: str, address: str, base: str, at: int, rollback: str) -> None:
    """The program that is killed: see `test_killed_between_any_two_steps`."""
    live_source = LdapSource(target=f"ldap://{dc_host}", address=address, seconds=20)
    place = type("Place", (), {"base_dn": base})
    wrong, right, text = _names(at)
    with writer(live_source) as live:
        apply(_move(place, text.upper(), wrong, right), None, Deadly(live, at), Files.of(Path(rollback)), NOBODY, yes)  # type: ignore[arg-type]


def test_killed_between_any_two_steps(dc: DomainController, observe: Observe, tmp_path: Path) -> None:
    for at in range(MOMENTS):
        wrong, right, text = _names(at)
        dc.apply(user(wrong, spns=[text]), user(right))
    before = _state(dc, "ap-killed-")
    codes = [process.wait(60) for process in _deaths(dc, tmp_path)]
    assert set(codes[:-1]) == {9}
    assert codes[-1] == 0
    states = set()
    with writer(source(dc)) as live:
        for at in range(MOMENTS):
            wrong, right, text = _names(at)
            files = Files.of(tmp_path / f"{at}.json")
            states.add((live.values(_dn(dc, wrong)), live.values(_dn(dc, right))) == ((), ()))
            if journal.Journal(files.journal).phase != "end":
                resumed = apply(_move(dc, text.upper(), wrong, right), None, live, files, NOBODY, yes)
                assert resumed.outcome == "done", resumed.message
            assert live.values(_dn(dc, wrong)) == ()
            assert live.values(_dn(dc, right)) == (text.upper(),)
            assert at % 3 or observe(text, right).kind == "kerberos"
            assert roll_back(files.rollback, live, yes).outcome == "done"
    assert states == {False, True}  # some died with the value on neither account
    assert _state(dc, "ap-killed-") == before


def _dn(dc: DomainController, name: str) -> str:
    return f"CN={name},CN=Users,{dc.base_dn}"


def _deaths(dc: DomainController, folder: Path) -> list[subprocess.Popen[bytes]]:
    root = Path(__file__).parents[1]
    code = "import sys; from live.test_apply import die; a = sys.argv; die(a[1], a[2], a[3], int(a[4]), a[5])"
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root.parent}"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, dc.host, dc.address, dc.base_dn, str(at), str(folder / f"{at}.json")],
            env=environment,
        )
        for at in range(MOMENTS)
    ]


def test_samba_rewrites_host(dc: DomainController) -> None:
    """Whoever adds HTTP/x: where another account holds HOST/x, Samba (4.17) spells that anew. Windows does not."""
    dc.apply(computer("APHOST"), user("ap-host"))
    _ldapmodify(
        dc,
        f"dn: {_dn(dc, 'ap-host')}\nchangetype: modify\nadd: servicePrincipalName\n"
        "servicePrincipalName: HTTP/apHost.test.com\n",
    )
    assert "servicePrincipalName: host/apHost.test.com\n" in _search(dc, "(sAMAccountName=APHOST$)")


# -- the request itself --------------------------------------------------------------------------------------------


@contextmanager
def _refused(code: int, words: str) -> Iterator[None]:
    with pytest.raises(RefusedError, match=words) as caught:
        yield
    assert isinstance(caught.value, LdapError)
    assert caught.value.code == code


def test_what_the_controller_refuses(dc: DomainController) -> None:
    dc.apply(user("ap-one", spns=["HTTP/ap-one.test.com"]), user("ap-two"), computer("APSRV"))
    one, two = _dn(dc, "ap-one"), _dn(dc, "ap-two")
    with writer(source(dc)) as live:
        assert live.server == dc.host
        assert live.values(one) == ("HTTP/ap-one.test.com",)
        assert live.holders("http/AP-ONE.test.com") == (one,)
        with _refused(20, "attributeOrValueExists"):
            live.add_value(one, "HTTP/ap-one.test.com")
        with _refused(16, "noSuchAttribute"):
            live.delete_value(one, "HTTP/ap-none.test.com")
        with _refused(19, "0x21C7, 8647"):
            live.add_value(two, "http/AP-one.test.com")
        for attempt in (live.values, lambda dn: live.add_value(dn, "HTTP/ap-none")):
            with pytest.raises(RefusedError, match=r"moved, renamed or deleted|does not exist"):
                attempt(_dn(dc, "ap-none"))
        odd = "HTTP/ap (odd)*\\name, \"'&%PATH%\u00fc"
        live.add_value(two, odd)
        assert live.values(two) == (odd,)
        assert live.holders(odd) == (two,)
        live.delete_value(two, odd)
        assert live.values(two) == ()


def test_without_the_right_to_write(dc: DomainController, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dc.apply(user("ap-nobody"), user("ap-target", spns=["HTTP/ap-target.test.com"]), user("ap-other"))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{dc.kinit('ap-nobody')}")
    files = Files.of(tmp_path / "a.json")
    before = _state(dc, "ap-target")
    with writer(source(dc)) as live:
        with _refused(50, "insufficientAccessRights"):
            live.delete_value(_dn(dc, "ap-target"), "HTTP/ap-target.test.com")
        stopped = apply(_move(dc, "HTTP/ap-target.test.com", "ap-target", "ap-other"), None, live, files, NOBODY, yes)
        assert stopped.outcome == "stopped"
        assert "insufficientAccessRights" in stopped.message
        assert "Before that nothing was changed." in stopped.message
        assert roll_back(files.rollback, live, yes).outcome == "nothing"
    assert _state(dc, "ap-target") == before
    assert password_of("ap-nobody") not in files.journal.read_text()


def test_within_tls(dc: DomainController) -> None:
    dc.apply(user("ap-tls"))
    for scheme, start_tls in (("ldaps", False), ("ldap", True)):
        live_source = source(dc, ca_files=[dc.ca_file], start_tls=start_tls)
        live_source.target = f"{scheme}://{dc.host}"
        with writer(live_source) as live:
            live.add_value(_dn(dc, "ap-tls"), "HTTP/ap-tls.test.com")
            live.delete_value(_dn(dc, "ap-tls"), "HTTP/ap-tls.test.com")
