"""install.ps1 run by PowerShell, on a Windows that is played: installed, verified, upgraded, taken back, removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab import FULL, GMSA, GMSA_SID, ROLLBACK, TASK, UNINSTALL, VERIFY, Computer, Result, put, release
from parts import needs_powershell

pytestmark = needs_powershell
# What may be done, [MS-DTYP] 2.4.3 and 2.5.1: D: DACL, PAI nothing inherited; OICI for all below; FA everything;
# 0x1200a9 read and execute, 0x1301bf modify; SY SYSTEM, BA Administrators, BU Users.
PROGRAM_RIGHTS = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
DATA_RIGHTS = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path / "Größe [2] & 'x' $HOME")


def test_it_installs_verifies_does_nothing_twice_and_leaves_nothing(computer: Computer) -> None:
    first, verified, again, removed, once_more = computer.run(
        computer.install(**FULL), VERIFY, computer.install(**FULL), UNINSTALL, UNINSTALL
    )
    assert [first.code, verified.code, again.code, removed.code, once_more.code] == [0, 0, 0, 0, 0]
    assert again.calls == verified.calls == []
    assert (again.programs, again.data, again.tasks) == (first.programs, first.data, first.tasks)
    assert not first.is_empty
    assert removed.is_empty
    assert once_more.is_empty


def test_who_may_do_what(computer: Computer) -> None:
    """Users cannot change what runs; only administrators and the account of the task see what it found."""
    (as_gmsa,) = computer.run(computer.install(**FULL))
    assert as_gmsa.sddl[str(computer.program)] == PROGRAM_RIGHTS
    assert as_gmsa.sddl[str(computer.data)] == f"{DATA_RIGHTS}(A;OICI;0x1301bf;;;{GMSA_SID})"
    assert as_gmsa.readers == [GMSA_SID]


def test_the_task_of_a_gmsa_has_no_password_and_least_rights(computer: Computer) -> None:
    """-LogonType Password is what a gMSA logs on with; Windows knows the password (New-ScheduledTaskPrincipal)."""
    (done,) = computer.run(computer.install(**FULL, EveryHours=4, Drop=r"\\files\spn reports"))
    task = done.tasks["iis-spn"]
    assert (task["user"], task["logon"], task["level"], task["hours"]) == (GMSA, "Password", "Limited", 4)
    assert task["argument"] == (
        "-I -B -m agent agent --once --fail-on never --event-log "
        rf'--state "{computer.data}/state" --drop "\\files\spn reports"'
    )
    assert "Log on as a batch job" in done.words


def test_system_is_taken_where_it_is_asked_for(computer: Computer) -> None:
    (done,) = computer.run(computer.install(Task=True, TaskAccount="SYSTEM"))
    assert done.code == 0
    assert (done.tasks["iis-spn"]["user"], done.tasks["iis-spn"]["logon"]) == ("SYSTEM", "ServiceAccount")
    assert done.sddl[str(computer.data)] == DATA_RIGHTS


def test_without_a_task_nothing_but_the_program_is_installed(computer: Computer) -> None:
    (done,) = computer.run(computer.install())
    assert (done.code, done.tasks, done.sources, done.data, done.readers) == (0, {}, [], [], [])


def test_it_says_what_the_agent_will_not_see(computer: Computer) -> None:
    runs = [computer.install(**given) for given in (TASK, FULL, TASK, {})]
    without, *granted = computer.run(*runs)
    assert "the agent sees nothing of IIS" in without.words
    for result in granted:
        assert "the agent sees nothing of IIS" not in result.words
        assert result.readers == [GMSA_SID]


def test_an_upgrade_switches_the_task_last_and_keeps_the_version_before(computer: Computer) -> None:
    for version in ("0.2.0", "0.3.0"):
        computer.wheelhouse(version)
    first, second, back, forth, third, removed = computer.run(
        computer.install(**FULL, EveryHours=6),
        computer.install("0.2.0"),
        ROLLBACK,
        ROLLBACK,
        computer.install("0.3.0"),
        UNINSTALL,
    )
    assert [one.code for one in (first, second, back, forth, third, removed)] == [0] * 6
    edges = [name for name in second.calls if not name.startswith("Write-Text")]
    assert edges == ["python-venv", "python-pip", "python-sample", "Register-ScheduledTask"]
    for result, version in ((first, "0.1.0"), (second, "0.2.0"), (back, "0.1.0"), (forth, "0.2.0"), (third, "0.3.0")):
        assert f"/{release(version)}/" in result.tasks["iis-spn"]["execute"]
        assert (result.tasks["iis-spn"]["user"], result.tasks["iis-spn"]["hours"]) == (GMSA, 6)
    assert {f"iis-spn/{release('0.1.0')}", f"iis-spn/{release('0.2.0')}"} <= set(second.programs)
    assert {f"iis-spn/{release('0.2.0')}", f"iis-spn/{release('0.3.0')}"} <= set(third.programs)
    assert not [name for name in third.programs if "0.1.0" in name]
    assert removed.is_empty


def test_other_wheels_of_the_same_version_are_an_upgrade(computer: Computer) -> None:
    first, same = computer.run(computer.install(), computer.install())
    computer.wheelhouse("0.1.0", "lxml==6.1.4\n")
    second, back = computer.run(computer.install(), ROLLBACK)
    assert (first.code, same.calls, second.code, back.code) == (0, [], 0, 0)
    assert "python-pip" in second.calls
    assert (computer.program / "VERSION").read_text().strip() == release("0.1.0")


def test_the_folder_may_end_in_a_slash(computer: Computer) -> None:
    """As Tab completes it."""
    (done,) = computer.run({"given": {"WheelHouse": f"{computer.root / 'Räder 0.1.0'}/"}})
    assert done.code == 0, done.words


def test_the_right_of_an_account_that_the_task_no_longer_runs_as_is_taken_back(computer: Computer) -> None:
    _, other = computer.run(
        computer.install(**FULL), computer.install(Task=True, TaskAccount="TEST\\other$", GrantRead=True)
    )
    assert other.code == 0
    assert other.readers == ["S-1-5-21-1-2-3-1105"]
    assert other.tasks["iis-spn"]["user"] == "TEST\\other$"


EDGES = (
    *("Set-Sddl", "python-venv", "python-pip", "python-sample", "exit-venv", "exit-pip", "Add-EventSource"),
    *("Add-ReadEntry", "Register-ScheduledTask"),
)


def test_whatever_fails_is_undone(computer: Computer) -> None:
    runs = [{**computer.install(**FULL), "fail": [edge]} for edge in EDGES]
    for edge, result in zip(EDGES, computer.run(*runs), strict=True):
        assert result.code == 2, edge
        assert result.is_empty, (edge, result.words)
        assert "stopped: " in result.words


def test_a_sample_that_is_judged_wrongly_undoes_it_all(computer: Computer) -> None:
    samples = ('{"complete": false, "findings": []}', "Traceback", "")
    runs = [{**computer.install(**FULL), "windows": computer.windows(sample=said)} for said in samples]
    for result in computer.run(*runs):
        assert (result.code, result.is_empty) == (2, True)
        assert "the sample" in result.words


def test_an_upgrade_that_fails_leaves_the_version_before_in_use(computer: Computer) -> None:
    computer.wheelhouse("0.2.0")
    failing = ("python-venv", "python-pip", "python-sample", "Register-ScheduledTask")
    upgrades = [{**computer.install("0.2.0"), "fail": [edge]} for edge in failing]
    first, *results, verified = computer.run(computer.install(**FULL), *upgrades, VERIFY)
    for edge, result in zip(failing, results, strict=True):
        assert result.code == 2, edge
        assert (result.tasks, sorted(result.programs)) == (first.tasks, sorted(first.programs)), edge
    assert verified.code == 0


def test_what_cannot_be_undone_stands_in_the_manifest(computer: Computer) -> None:
    """A throw in a shim, and another one on the way back: the next run takes it back."""
    ways_back = {"Remove-EventSource": "source", "Remove-ReadEntry": "grant", "Remove-Item": "file"}
    for edge, kind in ways_back.items():
        stopped = {**computer.install(**FULL), "fail": ["Register-ScheduledTask", edge]}
        (failed,) = computer.run(stopped)
        assert failed.code == 2
        assert "not undone: " in failed.words
        listed = {step["kind"] for step in json.loads(computer.manifest.read_text())["steps"]}
        assert kind in listed
        again = {
            "windows": computer.windows(sources=dict.fromkeys(failed.sources, True), tasks=failed.tasks),
            **UNINSTALL,
        }
        again["windows"]["readers"] = {str(computer.root / "Windows/System32/inetsrv/config"): failed.readers}
        (removed,) = computer.run(again)
        assert (removed.code, removed.is_empty) == (0, True), removed.words


def numbered(result: Result) -> range:
    return range(1, len(result.calls) + 1)


def test_a_cut_anywhere_in_an_installation_is_cleaned_up(computer: Computer) -> None:
    """The power goes off at each call in turn, and before and after each text that is written."""
    whole, _ = computer.run(computer.install(**FULL), UNINSTALL)
    runs = []
    for number in numbered(whole):
        runs += [{**computer.install(**FULL), "cut": number}, UNINSTALL]
        runs += [{**computer.install(**FULL), "cut": number}, computer.install(**FULL), VERIFY, UNINSTALL]
    results = computer.run(*runs)
    for number in numbered(whole):
        cut, removed, cut_again, installed, verified, gone = results[6 * (number - 1) : 6 * number]
        assert (cut.code, cut_again.code) == ("cut", "cut")
        assert (removed.code, removed.is_empty) == (0, True), (number, removed.words)
        assert (installed.code, verified.code) == (0, 0), (number, installed.words, verified.words)
        assert (gone.code, gone.is_empty) == (0, True), (number, gone.words)


def test_a_cut_anywhere_in_an_upgrade_is_cleaned_up(computer: Computer) -> None:
    computer.wheelhouse("0.2.0")
    _, whole, _ = computer.run(computer.install(**FULL), computer.install("0.2.0"), UNINSTALL)
    runs = []
    for number in numbered(whole):
        runs += [computer.install(**FULL), {**computer.install("0.2.0"), "cut": number}]
        runs += [computer.install("0.2.0"), VERIFY, UNINSTALL]
    results = computer.run(*runs)
    for number in numbered(whole):
        _, cut, upgraded, verified, gone = results[5 * (number - 1) : 5 * number]
        assert cut.code == "cut"
        assert (upgraded.code, verified.code) == (0, 0), (number, upgraded.words, verified.words)
        assert f"/{release('0.2.0')}/" in upgraded.tasks["iis-spn"]["execute"]
        assert (gone.code, gone.is_empty) == (0, True), (number, gone.words)


def test_a_cut_anywhere_in_an_uninstallation_is_cleaned_up(computer: Computer) -> None:
    _, whole = computer.run(computer.install(**FULL), UNINSTALL)
    runs = []
    for number in numbered(whole):
        runs += [computer.install(**FULL), {**UNINSTALL, "cut": number}, UNINSTALL]
    for number, gone in zip(numbered(whole), computer.run(*runs)[2::3], strict=True):
        assert (gone.code, gone.is_empty) == (0, True), (number, gone.words)


def test_what_if_touches_nothing(computer: Computer) -> None:
    computer.wheelhouse("0.2.0")
    log = computer.root / "log.txt"
    asked, first, upgrade, removal = computer.run(
        computer.install(**FULL, WhatIf=True, LogPath=str(log)),
        computer.install(**FULL),
        computer.install("0.2.0", WhatIf=True),
        {"given": {"Uninstall": True, "WhatIf": True}},
    )
    assert (asked.code, asked.calls, asked.is_empty) == (0, [], True)
    assert not log.exists()
    for result in (upgrade, removal):
        assert (result.code, result.calls) == (0, [])
        assert (result.programs, result.tasks, result.data) == (first.programs, first.tasks, first.data)


def test_what_was_changed_or_added_is_kept_and_named(computer: Computer) -> None:
    tree = computer.program / release("0.1.0")
    changed, added, told = tree / "pyvenv.cfg", tree / "Lib" / "mine.txt", computer.data / "drop" / "WEB01.report.json"
    files = {str(changed): "other", str(added): "mine", str(told): "{}"}
    _, verified, removed, again, anew = computer.run(
        computer.install(**FULL), {**VERIFY, "written": files}, UNINSTALL, UNINSTALL, computer.install()
    )
    assert verified.code == 1
    assert {f"changed: {changed}", f"added: {added}"} <= set(verified.said)
    assert removed.code == 1
    for path in (changed, added, told):
        assert path.exists()
        assert f"kept: {path}" in removed.words
    assert (removed.tasks, removed.sources, removed.readers) == ({}, [], [])
    kept = {path for path in (*computer.program.rglob("*"), *computer.data.rglob("*")) if path.is_file()}
    assert kept == {changed, added, told}
    assert (again.code, again.programs) == (0, removed.programs)
    assert anew.code == 64


def test_a_link_is_kept_and_not_followed(computer: Computer) -> None:
    """The account of the task may write below ProgramData, and could lead an administrator's removal elsewhere."""
    elsewhere = computer.root / "elsewhere"
    (elsewhere / "empty").mkdir(parents=True)
    computer.run(computer.install(**FULL))
    link = computer.data / "drop" / "link"
    link.symlink_to(elsewhere)
    (removed,) = computer.run(UNINSTALL)
    assert removed.code == 1
    assert f"kept: {link}" in removed.words
    assert link.is_symlink()
    assert (elsewhere / "empty").is_dir()


def test_a_file_in_use_stays_listed_until_it_can_be_removed(computer: Computer) -> None:
    file = computer.program / release("0.1.0") / "Scripts" / "python.exe"
    _, stopped, removed = computer.run(computer.install(**FULL), {**UNINSTALL, "used": [str(file)]}, UNINSTALL)
    assert stopped.code == 2
    assert "not removed: tree" in stopped.words
    assert stopped.tasks == {}
    assert (removed.code, removed.is_empty) == (0, True), removed.words


def test_what_was_there_before_is_left_alone(computer: Computer) -> None:
    """An event source and a right to read that another hand gave are neither written down nor taken back."""
    config = str(computer.root / "Windows/System32/inetsrv/config")
    there = computer.windows(sources={"iis-spn": True}, readers={config: [GMSA_SID]})
    done, removed = computer.run({"windows": there, **computer.install(**FULL)}, UNINSTALL)
    assert done.code == removed.code == 0
    assert (removed.sources, removed.readers) == (["iis-spn"], [GMSA_SID])


def test_all_that_is_said_is_in_the_log(computer: Computer) -> None:
    log = computer.root / "log.txt"
    done, refused = computer.run(computer.install(LogPath=str(log)), {"given": {"Rollback": True, "LogPath": str(log)}})
    assert refused.code == 64
    lines = log.read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [*done.said, *refused.said]


def test_what_is_no_longer_there_is_put_back(computer: Computer) -> None:
    """Somebody removed the task by hand: to install again registers it again."""
    first, verified, again = computer.run(
        computer.install(**FULL), {**VERIFY, "unregistered": True}, computer.install(**FULL)
    )
    assert "missing: task iis-spn" in verified.said
    assert again.tasks == first.tasks


def test_rights_that_somebody_gave_are_found(computer: Computer) -> None:
    (first,) = computer.run(computer.install(**FULL))
    writers = {str(computer.program): "S-1-5-11", str(computer.data): GMSA_SID}
    there = computer.windows(tasks=first.tasks, sources={"iis-spn": True}, writers=writers)
    there["readers"] = {str(computer.root / "Windows/System32/inetsrv/config"): [GMSA_SID]}
    (verified,) = computer.run({"windows": there, **VERIFY})
    assert verified.said == [f"changed: {computer.program} can be changed by S-1-5-11"]


def test_a_verified_computer_on_which_nothing_is_installed_says_so(computer: Computer) -> None:
    (nothing,) = computer.run(VERIFY)
    assert (nothing.code, nothing.said) == (1, ["nothing is installed"])
    put(computer.program / "other.txt", "")
    (foreign,) = computer.run(computer.install())
    assert foreign.code == 64
