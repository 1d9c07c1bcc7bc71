"""What of install.ps1 speaks to Windows, against shims of the cmdlets: the registry, and a program that is run."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from lab import ROOT
from parts import PWSH, needs_powershell

pytestmark = needs_powershell

# HKLM and HKCU as PEP 514 describes them: key -> values; the one without a name is ''. No name is the script's own.
REGISTRY = r"""
$all = 'HKLM:\SOFTWARE\Python\PythonCore'
$hives = @{
    "$all\3.12\InstallPath" = @{ '' = 'C:\x\'; ExecutablePath = 'C:\Python312\python.exe' }
    "$all\3.11\InstallPath" = @{ '' = '/opt/python' }
    "$all\3.13" = @{ DisplayName = 'without a place' }
    'HKLM:\SOFTWARE\WOW6432Node\Python\PythonCore\3.12-32\InstallPath' = @{ ExecutablePath = 'C:\32\python.exe' }
    'HKCU:\SOFTWARE\Python\PythonCore\3.14\InstallPath' = @{ ExecutablePath = 'C:\Users\x\python.exe' }
}
function Test-Path($LiteralPath) { [bool]($hives.Keys | Where-Object { $_ -like "$LiteralPath*" }) }
function Get-ChildItem($LiteralPath) {
    $names = foreach ($key in $hives.Keys) {
        if ($key -like "$LiteralPath\*") { ($key.Substring($LiteralPath.Length + 1) -split '\\')[0] }
    }
    $names | Sort-Object -Unique | ForEach-Object { [pscustomobject]@{ PSChildName = $_ } }
}
function Get-Item($LiteralPath, $ErrorAction) {
    if (-not $hives.ContainsKey($LiteralPath)) { return }
    $key = [pscustomobject]@{ values = $hives[$LiteralPath] }
    $key | Add-Member -MemberType ScriptMethod -Name GetValue -Value { param($name) $this.values[$name] } -PassThru
}
"""


def told(code: str) -> Any:
    """What PowerShell answers to a line, after install/windows.ps1, as JSON."""
    windows = ROOT / "install" / "windows.ps1"
    setting = (
        "Set-StrictMode -Version 3.0; $ErrorActionPreference = 'Stop'; $product = 'iis-spn'; $systemSid = 'S-1-5-18'"
    )
    done = subprocess.run(
        [str(PWSH), "-NoProfile", "-NonInteractive", "-Command", f"{setting}\n. '{windows}'\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_pythons_are_found_where_pep_514_says() -> None:
    """Whose hive it is, which half of it, the tag of 32-bit versions, and a folder where no program is named."""
    found = told(f"{REGISTRY}\nConvertTo-Json @(Get-RegisteredPython) -Compress")
    assert sorted((one["for"], one["bits"], one["version"], one["path"]) for one in found) == [
        ("all", 32, "3.12", r"C:\32\python.exe"),
        ("all", 64, "3.11", "/opt/python/python.exe"),
        ("all", 64, "3.12", r"C:\Python312\python.exe"),
        ("one", 64, "3.14", r"C:\Users\x\python.exe"),
    ]


def test_the_event_source_has_the_messages_of_eventcreate() -> None:
    """Messages 1 to 1000 of EventCreate.exe are the text of the event alone; a variable asks for REG_EXPAND_SZ."""
    code = (
        "$made = @{}; function New-Item($Path, [switch] $Force) { $made.key = $Path }; "
        "function New-ItemProperty($LiteralPath, $Name, $PropertyType, $Value, [switch] $Force) "
        '{ $made[$Name] = "$LiteralPath $PropertyType $Value" }; '
        "Add-EventSource 'iis-spn'; ConvertTo-Json $made -Compress"
    )
    key = r"HKLM:\SYSTEM\CurrentControlSet\Services\EventLog\Application\iis-spn"
    assert told(code) == {
        "key": key,
        "EventMessageFile": rf"{key} ExpandString %SystemRoot%\System32\EventCreate.exe",
        "TypesSupported": f"{key} DWord 7",
    }


def test_a_program_is_told_by_its_exit_code_alone() -> None:
    """What it writes to stderr is no error of the script's; words keep their blanks."""
    line = "Invoke-Program '/bin/sh' '-c', 'echo \"$1\"; echo told >&2; exit 3', 'sh', 'a b' | ConvertTo-Json -Compress"
    assert told(line) == {"code": 3, "text": "a b", "fault": "told"}


def test_the_task_as_the_cmdlets_are_called() -> None:
    code = (
        'function New-ScheduledTaskAction($Execute, $Argument) { "$Execute|$Argument" }; '
        "function New-ScheduledTaskTrigger([switch] $Once, [datetime] $At, [timespan] $RepetitionInterval, "
        '[timespan] $RandomDelay) { "$Once $($At.TimeOfDay) $RepetitionInterval $RandomDelay" }; '
        'function New-ScheduledTaskPrincipal($UserId, $LogonType, $RunLevel) { "$UserId $LogonType $RunLevel" }; '
        "function New-ScheduledTaskSettingsSet($MultipleInstances, [switch] $StartWhenAvailable, "
        '[timespan] $ExecutionTimeLimit) { "$MultipleInstances $StartWhenAvailable $ExecutionTimeLimit" }; '
        "function Register-ScheduledTask($TaskName, $TaskPath, [switch] $Force, $Action, $Trigger, "
        "$Principal, $Settings, $Description) "
        '{ $script:made = @("$TaskPath$TaskName $Force", $Action, $Trigger, $Principal, $Settings) }; '
        "$task = @{ name = 'iis-spn'; account = 'TEST\\x$'; sid = 'S-1-5-21-1'; every = '4' }; "
        "Register-AgentTask $task 'C:\\a b\\python.exe' '-I'; ConvertTo-Json $script:made -Compress"
    )
    assert told(code) == [
        r"\iis-spn True",
        r"C:\a b\python.exe|-I",
        "True 00:00:00 04:00:00 00:05:00",
        r"TEST\x$ Password Limited",
        "IgnoreNew True 04:00:00",
    ]
