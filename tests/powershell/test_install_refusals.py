"""What install.ps1 refuses: one sentence each, exit code 64, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import FULL, GMSA, ROOT, TASK, UNINSTALL, Computer, Result, Run, put, release
from parts import PWSH, needs_powershell

pytestmark = needs_powershell


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Computer:
    return Computer(tmp_path_factory.mktemp("computer") / "Größe 2")


def python(path: str = r"C:\Python311\python.exe", **more: Any) -> dict[str, Any]:
    return {"pythons": [{"for": "all", "bits": 64, "version": "3.11", "path": path, **more}]}


# What Windows is like, the parameters, and what the sentence must say.
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no rights": ({"administrator": False}, {}, "elevated PowerShell"),
    "no Python": ({"pythons": []}, {}, "install a 64-bit Python 3.11 for all users (InstallAllUsers=1)"),
    "an old Python": (python(version="3.10"), {}, "no Python that the wheels are for was found"),
    "a new Python": (python(version="3.15"), {}, "no Python that the wheels are for was found"),
    "32-bit Python": (python(bits=32), {}, r"C:\Python311\python.exe is 32-bit"),
    "one user's Python": (python(**{"for": "one"}), {}, "is one user's, who could change what the task runs"),
    "the Store's stub": (
        python(r"C:\Users\x\AppData\Local\Microsoft\WindowsApps\python.exe", **{"for": "one"}),
        {},
        "is the Microsoft Store's, for one user",
    ),
    "Python that is not there": (python("/nowhere/python.exe"), {}, "there is no /nowhere/python.exe"),
    "Python that says 32": ({"answer": "3 11 32"}, {}, "is 32-bit, to which Windows shows another configuration"),
    "Python that is another": ({"answer": "3 12 64"}, {}, "is Python 3.12, for which there is no wheel"),
    "Python that does not run": ({"answer": "not found"}, {}, "does not run: not found"),
    "no account": ({}, {"Task": True}, r"name the account: -TaskAccount DOMAIN\name$ (a gMSA), or SYSTEM"),
    "an account with a password": ({}, {"Task": True, "TaskAccount": r"TEST\svc"}, "is neither a gMSA"),
    "an account that nobody knows": ({}, {"Task": True, "TaskAccount": r"TEST\gone$"}, r"TEST\gone$ is not known here"),
    "an account without a task": ({}, {"TaskAccount": GMSA}, "go with -Task"),
    "a drop folder that is no path": ({}, {**TASK, "Drop": "drop"}, "drop is no full path"),
    "a drop folder with a quote": ({}, {**TASK, "Drop": r'C:\a" --x "'}, "is no full path"),
    "a drop folder that ends in a backslash": ({}, {**TASK, "Drop": "\\\\files\\spn\\"}, "is no full path"),
    "no IIS": ({"folders": {"ProgramFiles": "p", "CommonApplicationData": "d", "System": "s"}}, FULL, "no IIS is here"),
    "a task of somebody else": (
        {"tasks": {"iis-spn": {"execute": "x"}}},
        TASK,
        "there is, and not by this script: task iis-spn",
    ),
    "no version before": ({}, {"Rollback": True}, "there is no version before this one"),
    "a wheelhouse that is not there": ({}, {"WheelHouse": "/nowhere"}, "/nowhere"),
    "no wheelhouse": ({}, {"WheelHouse": "/"}, "is no wheelhouse: no SHA256SUMS"),
}


def refused(result: Result, sentence: str) -> bool:
    assert result.said[0].startswith("refused, and nothing was changed: ")
    assert sentence in result.words
    return (result.code, result.calls, len(result.said)) == (64, [], 1)


def test_each_is_refused_with_one_sentence(computer: Computer) -> None:
    runs: list[Run] = []
    for windows, given, _ in REFUSED.values():
        run = {"given": given} if given.keys() & {"Rollback", "WheelHouse"} else computer.install(**given)
        runs.append({"windows": computer.windows(**windows), **run})
    for (name, (_, _, sentence)), result in zip(REFUSED.items(), computer.run(*runs), strict=True):
        assert refused(result, sentence), name
        assert result.programs == result.data == [], name


def test_a_python_that_users_can_change_is_refused(computer: Computer) -> None:
    """A task that runs as SYSTEM would run what they put there."""
    folder = str(computer.python.parent)
    places = {"the folder": folder, "the program": str(computer.python), "its library": f"{folder}/Lib"}
    runs = [
        {"windows": computer.windows(writers={path: "S-1-5-11"}), **computer.install(**TASK)}
        for path in places.values()
    ]
    for path, result in zip(places.values(), computer.run(*runs), strict=True):
        assert refused(result, f"{path} can be changed by S-1-5-11, who could change what the task runs")


def test_the_newest_python_that_fits_is_taken(computer: Computer) -> None:
    """3.10 is too old, 32 bits are too few, and 9 is not more than 11."""
    installed = [
        *python("/x32", bits=32)["pythons"],
        *python("/x9", version="3.9")["pythons"],
        *python(str(computer.python))["pythons"],
        *python("/mine", **{"for": "one"})["pythons"],
    ]
    done, _ = computer.run({"windows": computer.windows(pythons=installed), **computer.install()}, UNINSTALL)
    assert done.code == 0


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: next(folder.glob("wheels/lxml*")).unlink(), "missing: wheels/lxml-6.1.3"),
    "altered": (lambda folder: next(folder.glob("wheels/lxml*")).write_text("other"), "changed: wheels/lxml-6.1.3"),
    "extra": (lambda folder: put(folder / "wheels" / "x-1-py3-none-any.whl", "x"), "added: wheels/x-1-py3"),
    "requirements": (lambda folder: (folder / "requirements.txt").write_text("x"), "changed: requirements.txt"),
    "no sums": (lambda folder: (folder / "SHA256SUMS").write_text("x"), "no line of sums: x"),
    "sums that lead elsewhere": (
        lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../../Windows/x\n"),
        "a name that leads elsewhere: ../../Windows/x",
    ),
}


def test_a_wheelhouse_that_is_not_as_it_was_made_is_refused(computer: Computer) -> None:
    runs = []
    for number, (damage, _) in enumerate(DAMAGE.values()):
        damage(computer.wheelhouse(f"1.{number}"))
        runs.append(computer.install(f"1.{number}"))
    for (name, (_, sentence)), result in zip(DAMAGE.items(), computer.run(*runs), strict=True):
        assert refused(result, sentence), name


def edited(manifest: str, **change: Any) -> str:
    """A manifest whose first step somebody changed."""
    document = json.loads(manifest)
    document["steps"][0].update(change)
    return json.dumps(document)


def test_a_manifest_that_somebody_edited_removes_nothing(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    (before,) = computer.run(computer.install(**TASK))
    text = computer.manifest.read_text()
    edits = {
        "": "is not as it was written",
        "{": "is not as it was written",
        text.replace("manifest/1", "manifest/9"): "its schema is not iis-spn/manifest/1",
        edited(text, path="C:\\Windows"): "a folder that is not ours",
        edited(text, path=f"{computer.program}/../other"): "a folder that is not ours",
        edited(text, kind="tree", path=str(computer.root), version="0.1.0-00000000"): "a tree that is not ours",
        edited(text, kind="tree", path=f"{computer.program}/..", version=".."): "a tree that is not ours",
        edited(text, kind="file", path="C:\\x.txt", text=""): "a file that is not ours",
        edited(text, kind="file", path=f"{computer.program}/VERSION", text="..\\..\\x\r\n"): "a file that is not ours",
        edited(text, **{**json.loads(text)["steps"][-1], "drop": 'x" --y "'}): "a task that is not ours",
        edited(text, kind="grant", path="C:\\", sid="S-1-1-0", account="x"): "a grant that is not ours",
        edited(text, kind="source", name="Application"): "a source that is not ours",
        edited(text, kind="script"): "a step of the kind 'script'",
        edited(text, before={"kind": "folder", "path": "C:\\Windows", "sddl": ""}): "a folder that is not ours",
    }
    runs = [
        {**UNINSTALL, "windows": computer.windows(tasks=before.tasks), "written": {str(computer.manifest): one}}
        for one in edits
    ]
    for sentence, result in zip(edits.values(), computer.run(*runs), strict=True):
        assert refused(result, sentence)
        assert (result.programs, result.tasks) == (before.programs, before.tasks)


def test_sums_that_somebody_edited_remove_nothing_elsewhere(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    precious = tmp_path / "precious.txt"
    put(precious, "x")
    sums = {str(computer.program / f"{release('0.1.0')}.sha256"): f"{'0' * 64}  ../../../precious.txt\n"}
    _, result = computer.run(computer.install(), {**UNINSTALL, "written": sums})
    assert result.code == 2
    assert "a name that leads elsewhere" in result.words
    assert precious.exists()


def test_a_task_that_runs_is_not_pulled_from_under(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    before, result = computer.run(computer.install(**TASK), {**UNINSTALL, "state": "Running"})
    assert refused(result, "the task iis-spn is running")
    assert result.programs == before.programs


def test_an_upgrade_does_not_wait_for_a_task_that_runs(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.wheelhouse("0.2.0")
    _, result = computer.run(computer.install(**TASK), {**computer.install("0.2.0"), "state": "Running"})
    assert result.code == 0


@pytest.mark.parametrize("folder", ["program", "data"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, folder: str) -> None:
    """Everybody may make a folder below ProgramData, and would own it."""
    computer = Computer(tmp_path)
    put(getattr(computer, folder) / "theirs.txt", "x")
    (result,) = computer.run(computer.install(**TASK))
    assert refused(result, f"there is, and not by this script: folder {getattr(computer, folder)}")


def test_an_installation_that_was_damaged_is_refused(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    damage = {str(computer.program / release("0.1.0") / "pyvenv.cfg"): "other"}
    _, result = computer.run(computer.install(), {**computer.install(**TASK), "written": damage})
    assert refused(result, f"{release('0.1.0')} is installed, but not as it was")


# -- the script as it is started -----------------------------------------------------------------------------------


def started(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PWSH), "-NoProfile", "-NonInteractive", "-Command", command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1", "OS": ""},
        check=False,
    )


def test_constrained_language_is_refused_with_one_sentence() -> None:
    mode = "$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'"
    done = started(f"{mode}; & '{ROOT / 'install.ps1'}' -WhatIf; exit $LASTEXITCODE")
    assert done.returncode == 64
    (sentence,) = done.stdout.strip().splitlines()
    assert "refused: this PowerShell is in Constrained Language" in sentence
    assert done.stderr == ""


def test_another_system_than_windows_is_refused_with_one_sentence() -> None:
    done = started(f"& '{ROOT / 'install.ps1'}' -Uninstall; exit $LASTEXITCODE")
    assert (done.returncode, done.stdout) == (64, "")
    assert "this is not Windows" in done.stderr


def test_help_shows_every_parameter() -> None:
    """As PowerShell itself reads the comment."""
    script = ROOT / "install.ps1"
    done = started(
        f"$help = Get-Help '{script}' -Full; "
        "$help.parameters.parameter | Where-Object { $_.description } | ForEach-Object { $_.name }; "
        f"(Get-Command '{script}').Parameters.Keys | ForEach-Object {{ \"has $_\" }}"
    )
    names = done.stdout.split("\n")
    described = {name for name in names if name and not name.startswith("has ")}
    common = {
        "Verbose",
        "Debug",
        "ErrorAction",
        "WarningAction",
        "InformationAction",
        "ErrorVariable",
        "WarningVariable",
    }
    common |= {"InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable", "WhatIf", "Confirm"}
    assert described == {name.removeprefix("has ") for name in names if name.startswith("has ")} - common
