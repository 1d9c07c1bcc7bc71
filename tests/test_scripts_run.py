"""The scripts of a plan are run: the batch file line by line (`cmd_runner`), the PowerShell script by PowerShell.

Whatever is refused: what is left undone is said and gives an exit code, at most one name has no holder, and the way
back takes back what was done and nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cmd_runner
import parts
import pytest
from cmd_runner import Ended, Forest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_script import BY_HAND, NASTY, WORDS, every_kind, ldif_back, ldif_changes, report, step

from agent.checks.commands import appcmd
from agent.model import Report, Step
from agent.names import AccountName
from agent.render.cmd import TRIES, to_cmd
from agent.render.ldif import to_ldif
from agent.render.powershell import to_powershell

NAMES = [f"HTTP/n{number}.test.com" for number in range(4)]


def moves(count: int = 4, **said: object) -> Report:
    """SPNs that leave `old` and come to an account each."""
    steps = []
    for number, name in enumerate(NAMES[:count]):
        steps.append(step("spn-delete", name, "old", order=2 * number + 1, finding="spn-misplaced", **said))
        steps.append(step("spn-add", name, f"new{number}", order=2 * number + 2, finding="spn-misplaced"))
    return report(*steps)


def accounts(count: int = 4) -> dict[str, list[str]]:
    return {"old": ["HTTP/stays", *NAMES[:count]], **{f"new{number}": [] for number in range(count)}}


def forest(**more: Any) -> Forest:
    return Forest({rf"TEST\{name}": held for name, held in accounts().items()}, **more)


def homeless(held: Mapping[str, list[str]]) -> list[str]:
    somewhere = {name for values in held.values() for name in values}
    return [name for name in NAMES if name not in somewhere]


def said(ended: Ended) -> str:
    return "\n".join(ended.shown)


def switched() -> Report:
    """An SPN that moves because a setting changes who decrypts, and one that just moves."""
    setting = appcmd("Site", "/", "useAppPoolCredentials", "true")
    own = Step(order=2, kind="iis-setting", command=setting, finding="spn-misplaced", server="IIS01")
    first, last = moves(2).plan.steps[0], replace(moves(2).plan.steps[1], order=3, after=(2,))
    others = (replace(one, order=one.order + 1) for one in moves(2).plan.steps[2:])
    return report(first, own, last, *others)


# -- cmd -----------------------------------------------------------------------------------------------------------


def test_a_batch_file_does_it_all_and_again_nothing() -> None:
    given_, text = forest(), to_cmd(moves())
    done = cmd_runner.run(text, given_)
    assert (done.code, done.waits) == (0, 0)
    assert [given_.holders(name) for name in NAMES] == [[rf"TEST\new{number}"] for number in range(4)]
    assert given_.accounts[r"TEST\old"] == ["HTTP/stays"]
    count = len(given_.log)
    assert cmd_runner.run(text, given_).code == 0
    assert len(given_.log) == count


def test_a_batch_file_leaves_what_a_setting_comes_before() -> None:
    given_, text = forest(), to_cmd(switched())
    ended = cmd_runner.run(text, given_)
    assert (ended.code, [action for action, _, _ in given_.log]) == (1, ["-D", "-D", "-S"])
    assert homeless(given_.accounts) == [NAMES[0]], "nobody (NTLM) is better than one that cannot decrypt yet (401)"
    assert "Step 3: NOT RUN. FIRST step 2, elsewhere" in said(ended)


@pytest.mark.parametrize("missing", [rf"TEST\new{number}" for number in range(4)])
def test_a_batch_file_begins_nothing_where_an_account_does_not_answer(missing: str) -> None:
    given_ = forest()
    del given_.accounts[missing]
    ended = cmd_runner.run(to_cmd(moves()), given_)
    assert ended.code == 2
    assert given_.log == []
    assert "Nothing was changed." in ended.shown
    assert f"Step {2 * int(missing[-1]) + 2}: the account could not be read" in said(ended)


@pytest.mark.parametrize("refused", range(4))
def test_a_batch_file_puts_back_what_another_account_is_refused(refused: int) -> None:
    given_ = forest(refuses=lambda action, _, account: action == "-S" and account == rf"TEST\new{refused}")
    ended = cmd_runner.run(to_cmd(moves()), given_)
    assert ended.code == 2
    assert f"It was refused. Putting {NAMES[refused]} back to TEST\\old." in ended.shown
    assert given_.holders(NAMES[refused]) == [r"TEST\old"]
    assert homeless(given_.accounts) == []
    done = [str(order) for order in range(1, 2 * refused + 1)]
    assert f"Changed by this run, steps:{''.join(f' {order}' for order in done)}" in said(ended)


def test_a_batch_file_says_when_nobody_holds_a_name() -> None:
    given_ = forest(refuses=lambda action, name, _: action == "-S" and name == NAMES[1])
    ended = cmd_runner.run(to_cmd(moves()), given_)
    assert ended.code == 2
    assert "NOBODY HOLDS IT NOW" in said(ended)
    assert "steps: 1 2 3" in said(ended)
    assert homeless(given_.accounts) == [NAMES[1]]


def test_of_two_wrong_holders_none_comes_back_alone() -> None:
    """One wrong holder means 401; two, or none, mean NTLM."""
    away = [step("spn-delete", account=name, order=order) for order, name in ((1, "a"), (2, "b"))]
    text = to_cmd(report(*away, step(account="c", order=3)))
    given_ = Forest(
        {r"TEST\a": ["HTTP/x.test.com"], r"TEST\b": ["HTTP/x.test.com"], r"TEST\c": []},
        refuses=lambda action, _name, _account: action == "-S",
    )
    assert cmd_runner.run(text, given_).code == 2
    assert given_.holders("HTTP/x.test.com") == []


@pytest.mark.parametrize(("rounds", "code"), [(3, 0), (10_000, 2)])
def test_a_batch_file_waits_for_replication_and_not_for_ever(rounds: int, code: int) -> None:
    """Another controller shows the old holder for a while; to register meanwhile would be refused."""
    given_, seen = forest(), [0]

    def replicate(world: Forest) -> None:
        gone = [name for name in NAMES if not world.holders(name)]
        if gone and seen[0] < rounds:
            world.accounts.setdefault(r"TEST\late copy", []).extend(gone[:1])
        seen[0] += 1
        if seen[0] >= rounds:
            world.accounts.pop(r"TEST\late copy", None)

    given_.after = replicate
    ended = cmd_runner.run(to_cmd(moves(1)), given_)
    assert ended.code == code
    assert ended.waits == (rounds - 1 if code == 0 else TRIES - 1)
    assert code == 0 or "Until then nobody holds the SPN" in said(ended)


def test_a_batch_file_tells_what_it_leaves_to_people() -> None:
    ended = cmd_runner.run(to_cmd(every_kind()), Forest({r"TEST\old": ["HTTP/x.test.com"], r"TEST\svc": []}))
    assert ended.code == 1
    assert "NOT DONE: 5 steps of 5, see the remarks in this file:" in ended.shown
    listed = [line.split(":")[0].strip() for line in ended.shown[ended.shown.index(_not_done(ended)) + 1 :]]
    assert listed == [f"step {order}" for order in range(1, 6)]
    assert "Step 3: NOT RUN. ASK FIRST: ask the owner first. Only then" in said(ended)
    assert not any(line.startswith("Done.") for line in ended.shown)


def _not_done(ended: Ended) -> str:
    return next(line for line in ended.shown if line.startswith("NOT DONE:"))


@pytest.mark.parametrize("by_hand", ["spn-delete", "spn-add"])
def test_no_step_of_an_spn_is_run_where_one_is_by_hand(by_hand: str) -> None:
    """No batch file holds the letters; LDIF needs the DN; PowerShell the kind of account."""
    unknown = {"account": "m\u00fcller", "dn": None, "account_kind": None}
    away = step("spn-delete", **(unknown if by_hand == "spn-delete" else {}))
    planned = report(away, step(order=2, **(unknown if by_hand == "spn-add" else {})))
    ended = cmd_runner.run(to_cmd(planned), Forest({r"TEST\svc": []}))
    assert (ended.code, _not_done(ended).split(",")[0]) == (1, "NOT DONE: 2 steps of 2")
    assert ldif_changes(to_ldif(planned)) == []
    script = to_powershell(planned)
    assert "Set-AD" not in script
    assert len(re.findall(r"^    Skip-Step .*was not run", script, re.MULTILINE)) == 2


answers = st.frozensets(st.tuples(st.sampled_from(["-S", "-D"]), st.sampled_from(NAMES)))


@given(refused=answers, there=st.frozensets(st.sampled_from(["old", *(f"new{n}" for n in range(4))])))
def test_whatever_is_refused_a_batch_file_leaves_one_name_at_most(
    refused: frozenset[tuple[str, str]], there: frozenset[str]
) -> None:
    """The exit code tells: 0 is all done, 2 is stopped; and what the script says that it did is what it did."""
    held = {rf"TEST\{name}": values for name, values in accounts().items() if name in there}
    given_ = Forest(held, refuses=lambda action, name, _account: (action, name) in refused)
    ended = cmd_runner.run(to_cmd(moves()), given_)
    all_done = all(given_.holders(name) == [rf"TEST\new{number}"] for number, name in enumerate(NAMES))
    assert ended.code == (0 if all_done else 2)
    if len(there) < 5:
        assert given_.log == []
        return
    lost = homeless(given_.accounts)
    assert len(lost) <= 1
    assert ("NOBODY HOLDS IT NOW" in said(ended)) == bool(lost)
    told = re.search(r"Changed by this run, steps:((?: \d+)*)", said(ended))
    if told is not None:
        changed = [name for name in NAMES if given_.holders(name) != [r"TEST\old"]]
        assert len({(int(order) - 1) // 2 for order in told[1].split()}) == len(changed)


# -- PowerShell ----------------------------------------------------------------------------------------------------

DRIVER = r"""
param([string] $Plan, [string] $State, [string] $Words)
$env:PSModulePath = (Split-Path $PSCommandPath) + [IO.Path]::PathSeparator + $env:PSModulePath
$given = Get-Content -LiteralPath $State -Raw | ConvertFrom-Json
$global:AD = @{}
foreach ($one in $given.accounts.PSObject.Properties) { $global:AD[$one.Name] = @($one.Value) }
$global:Refuse = @($given.refuse)
$global:Log = @()
$more = @{}
foreach ($one in ($Words | ConvertFrom-Json).PSObject.Properties) { $more[$one.Name] = $one.Value }
$warnings = @()
& $Plan @more -WarningVariable +warnings 3>$null 6>$null | Out-Null
$code = $LASTEXITCODE
$held = @{}
foreach ($id in $global:AD.Keys) { $held[$id] = @($global:AD[$id]) }
@{ code = $code; accounts = $held; log = @($global:Log); said = @($warnings | ForEach-Object { [string] $_ }) } |
    ConvertTo-Json -Depth 5 -Compress
"""


class Shell(NamedTuple):
    """A folder with a plan's script; `held` is the directory between its runs."""

    folder: Path
    held: dict[str, list[str]]

    def run(self, refuse: tuple[str, ...] = (), **words: object) -> tuple[int, list[str], str]:
        """Exit code, what was changed in order, and all warnings; `held` is as it is then."""
        state = self.folder / "state.json"
        state.write_text(json.dumps({"accounts": self.held, "refuse": refuse}), encoding="utf-8")
        command = [parts.PWSH or "pwsh", "-NoProfile", "-NonInteractive", "-File", str(self.folder / "driver.ps1")]
        done = subprocess.run(
            [*command, str(self.folder / "plan.ps1"), str(state), json.dumps(words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        self.held.clear()
        self.held.update(answer["accounts"])
        return answer["code"], answer["log"], "\n".join(answer["said"])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    module = tmp_path / "ActiveDirectory"
    module.mkdir()
    source = Path(__file__).with_name("ActiveDirectory.psm1")
    (module / "ActiveDirectory.psm1").write_bytes(source.read_bytes())
    (tmp_path / "driver.ps1").write_text(DRIVER, encoding="utf-8")
    write(tmp_path, moves())
    return Shell(tmp_path, accounts())


def write(folder: Path, planned: Report) -> None:
    (folder / "plan.ps1").write_text(to_powershell(planned), encoding="ascii", newline="")


def as_sets(held: Mapping[str, list[str]]) -> dict[str, set[str]]:
    return {name: set(values) for name, values in held.items()}


@parts.needs_powershell
def test_a_script_does_it_all_and_takes_it_back(shell: Shell) -> None:
    code, log, words = shell.run()
    assert (code, words) == (0, "")
    assert [line.split()[1] for line in log] == ["Remove", "Add"] * 4, "one name after the other"
    assert homeless(shell.held) == []
    assert shell.run()[:2] == (0, []), "what is done is passed over"
    code, log, words = shell.run(Rollback=True)
    assert (code, len(log), words) == (0, 8, "")
    assert as_sets(shell.held) == as_sets(accounts())
    assert shell.run(Rollback=True)[:2] == (0, []), "nothing is done any more"


@parts.needs_powershell
@pytest.mark.parametrize("missing", ["new0", "new3"])
def test_a_script_begins_nothing_where_an_account_is_not_there(missing: str, shell: Shell) -> None:
    del shell.held[missing]
    code, log, words = shell.run()
    assert (code, log) == (2, [])
    assert f"Nothing was changed: Cannot find an object with identity: '{missing}'" in words
    assert shell.run(Rollback=True)[:2] == (2, []), "nothing was noted: nobody knows what to take back"


@parts.needs_powershell
def test_a_script_begins_nothing_where_a_third_account_holds_a_name(shell: Shell) -> None:
    shell.held["third"] = [NAMES[3]]
    shell.held["old"].remove(NAMES[3])
    code, log, words = shell.run()
    assert (code, log) == (2, [])
    assert f"{NAMES[3]} is on CN=third,DC=test,DC=com: this is not as planned." in words


@parts.needs_powershell
def test_a_script_stops_with_one_name_without_a_holder_and_names_it(shell: Shell) -> None:
    code, _, words = shell.run((f"Add {NAMES[2]}",))
    assert code == 2
    assert homeless(shell.held) == [NAMES[2]]
    assert "Stopped at step 6: Insufficient access rights" in words
    assert f"{NAMES[2]} was removed already, so no account of this plan holds it now." in words
    code, log, _ = shell.run(Rollback=True)
    assert (code, len(log)) == (0, 5)
    assert as_sets(shell.held) == as_sets(accounts())


@parts.needs_powershell
def test_taking_back_goes_on_after_a_step_that_fails(shell: Shell) -> None:
    shell.run()
    code, _, words = shell.run((f"Add {NAMES[1]}",), Rollback=True)
    assert code == 2
    assert f"Not taken back, step 3, add {NAMES[1]} to TEST\\old: Insufficient access rights" in words
    assert homeless(shell.held) == [NAMES[1]]
    assert shell.run(Rollback=True)[0] == 0
    assert as_sets(shell.held) == as_sets(accounts())


@parts.needs_powershell
def test_what_others_did_before_is_not_taken_back(shell: Shell) -> None:
    """A step that was done already when the script came is not one that the script did."""
    shell.held["old"].remove(NAMES[0])
    shell.held["new0"].append(NAMES[0])
    before = as_sets(shell.held)
    assert shell.run()[0] == 0
    assert shell.run(Rollback=True)[0] == 0
    assert as_sets(shell.held) == before


@parts.needs_powershell
def test_what_waits_for_an_answer_is_left_and_told(shell: Shell) -> None:
    write(shell.folder, moves(2, confirm=True, note="ask the owner of TEST\\old"))
    code, log, words = shell.run()
    assert (code, log) == (1, [])
    assert "Steps that are left to people: 4" in words
    assert "Step 1 was not run. ASK FIRST: ask the owner of TEST\\old." in words
    code, log, words = shell.run(ConfirmDelete=[NAMES[0]])
    assert (code, len(log)) == (1, 2)
    assert "Steps that are left to people: 2" in words
    shell.run(Rollback=True)
    assert as_sets(shell.held) == as_sets(accounts())


@parts.needs_powershell
def test_any_name_reaches_the_directory_as_it_is(shell: Shell) -> None:
    """Each character that means something to PowerShell, in names of domains, accounts and SPNs, there and back."""
    steps: list[Step] = []
    shell.held.clear()
    for number, text in enumerate([*NASTY, *WORDS, "".join(NASTY)]):
        name, account = f"HTTP/{text}{number}", AccountName(f"TEST{text}", f"svc{number}{text}$")
        kind = ("spn-add", "spn-delete")[number % 2]
        sort = ("user", "computer", "managed")[number % 3]
        steps.append(replace(step(kind, name, order=number + 1, account_kind=sort), account=account))
        shell.held[account.name] = ["HTTP/stays"] if number % 2 == 0 else ["HTTP/stays", name]
    before = as_sets(shell.held)
    write(shell.folder, report(*steps))
    code, log, words = shell.run()
    assert (code, len(log), words) == (0, len(steps), "")
    for one in steps:
        assert one.account is not None
        assert one.spn is not None
        assert set(shell.held[one.account.name]) - {"HTTP/stays"} == ({one.spn.text} if one.is_add else set())
    assert shell.run(Rollback=True)[0] == 0
    assert as_sets(shell.held) == before


@parts.needs_powershell
def test_what_if_changes_and_notes_nothing(shell: Shell) -> None:
    code, log, _ = shell.run(WhatIf=True)
    assert (code, log) == (0, [])
    assert not (shell.folder / "plan.ps1.done").exists()


@parts.needs_powershell
def test_the_powershell_script_leaves_what_a_setting_comes_before(shell: Shell) -> None:
    write(shell.folder, switched())
    code, log, words = shell.run(ConfirmSpn=NAMES[:1])
    assert (code, len(log), homeless(shell.held)) == (1, 3, [NAMES[0]])
    assert "FIRST step 2, elsewhere" in words
    assert shell.run(Rollback=True)[0] == 1
    assert homeless(shell.held) == []


@parts.needs_powershell
def test_what_is_no_spn_is_left_to_people(shell: Shell) -> None:
    write(shell.folder, every_kind())
    shell.held.update({"old": ["HTTP/x.test.com"], "svc": []})
    code, log, words = shell.run()
    assert (code, log) == (1, [])
    assert "Steps that are left to people: 5" in words
    assert f"Step 5 is not done by this script, by hand: {BY_HAND}" in words


@parts.needs_powershell
def test_steps_can_be_named_where_the_notes_are_lost(shell: Shell) -> None:
    shell.run()
    (shell.folder / "plan.ps1.done").unlink()
    assert shell.run(Rollback=True)[0] == 2
    code, log, _ = shell.run(Rollback=True, Done=["7", "8"])
    assert (code, len(log)) == (0, 2)
    assert NAMES[3] in shell.held["old"]


@parts.needs_powershell
def test_another_plan_of_the_same_name_takes_back_nothing_of_the_first(shell: Shell) -> None:
    shell.run()
    write(shell.folder, report(step("spn-delete", "HTTP/stays", "old"), step("spn-add", "HTTP/stays", "new0", order=2)))
    assert shell.run(Rollback=True)[:2] == (0, [])


def test_an_ldif_leaves_what_a_setting_comes_before() -> None:
    assert [(kind, name) for _, kind, name in ldif_changes(to_ldif(switched()))] == [
        ("delete", NAMES[0]),
        ("delete", NAMES[1]),
        ("add", NAMES[1]),
    ]


def test_the_way_back_of_an_ldif_takes_back_what_the_ldif_did() -> None:
    """ldapmodify stops at the first record that does not fit: nothing that never ran stands in its way."""
    asked = step("spn-delete", "HTTP/asked", "old", order=9, confirm=True, note="ask")
    text = to_ldif(report(*moves().plan.steps, asked, step("spn-add", "HTTP/asked", "new0", order=10)))
    held = as_sets(accounts())
    held["old"].add("HTTP/asked")
    before = {name: set(values) for name, values in held.items()}
    for records in (ldif_changes(text), ldif_changes(ldif_back(text))):
        assert len(records) == 8
        for dn, verb, name in records:
            values = held[dn.split(",")[0].removeprefix("CN=")]
            assert (name in values) == (verb == "delete"), "ldapmodify stops here"
            (values.add if verb == "add" else values.remove)(name)
    assert held == before
