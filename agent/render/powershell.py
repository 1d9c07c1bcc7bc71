"""The plan as a PowerShell script for the ActiveDirectory module, for Windows PowerShell 5.1 and PowerShell 7.

Everything is looked at before anything changes, on the domain controller that then changes it. A file beside the script
notes each step before it is made, so that `-Rollback` takes back what the script did and nothing else.

Values are added and removed one by one, never replaced: a replacement would wipe HOST/, WSMAN/ and TERMSRV/ of a
computer. The text is ASCII whatever the names are: 5.1 reads a file without BOM in the code page of the day, and takes
the typographic quotes U+2018 to U+201B for apostrophes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from agent.change.plan import rolled_back
from agent.model import PrincipalKind, Report, Step
from agent.names import Guess
from agent.render.goals import purpose
from agent.render.script import (
    ALIAS,
    CACHES,
    DUPLICATES,
    RIGHTS,
    Outline,
    aside,
    ask_first,
    at,
    comment,
    heading,
    told,
    when,
    with_question,
)

_NOUNS: Mapping[PrincipalKind, str] = {"user": "ADUser", "computer": "ADComputer", "managed": "ADServiceAccount"}

_PARAMETERS = """\
#Requires -Version 5.1
#Requires -Modules ActiveDirectory
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $Server,
    [string[]] $ConfirmDelete = @(),
    [string[]] $ConfirmSpn = @(),
    [string] $Notes = ($PSCommandPath + '.done'),
    [string[]] $Done = @(),
    [switch] $Rollback
)
$ConfirmDelete += $ConfirmSpn
$ErrorActionPreference = 'Stop'
$Attributes = @('servicePrincipalName', 'allowedAttributesEffective')
$script:Controllers = @{}
$script:Leaving = @{}
$script:Seen = @()
$script:Noted = @()
$script:Homeless = ''
$script:Left = 0
$script:Failed = 0

function Get-Controller([string] $Domain) {
    if ($Server) { return $Server }
    if (-not $script:Controllers.ContainsKey($Domain)) {
        $found = Get-ADDomainController -Discover -Writable -DomainName $Domain
        $script:Controllers[$Domain] = [string] $found.HostName
    }
    return $script:Controllers[$Domain]
}

function Assert-Free([string] $Spn, [string] $Filter, [string] $Controller, [string[]] $Leaving = @()) {
    foreach ($holder in @(Get-ADObject -LDAPFilter $Filter -Server $Controller)) {
        if ($Leaving -notcontains $holder.DistinguishedName) {
            throw ($Spn + ' is on ' + $holder.DistinguishedName + ': this is not as planned.')
        }
    }
}

function Show-Right($Object) {
    $name = $Object.DistinguishedName
    if ($script:Seen -contains $name) { return }
    $script:Seen += $name
    if ($Object.allowedAttributesEffective -notcontains 'servicePrincipalName') {
        Write-Warning ('The controller does not show that you may write the SPNs of ' + $name + ': it may refuse.')
    }
}

function Skip-Step([string] $Why) {
    $script:Left += 1
    Write-Warning $Why
}

function Add-Note([string] $Text) {
    if (-not $WhatIfPreference) { Add-Content -LiteralPath $Notes -Value $Text -Encoding ASCII }
}

function Test-Done([string] $Step, [string] $Title) {
    $is = $Done -contains $Step
    foreach ($line in $script:Noted) {
        if ($line -eq $Title) { $is = $true }
        if ($line -eq ('undone: ' + $Title)) { $is = $false }
    }
    return $is
}

function Complete-Plan {
    if ($script:Left -eq 0) { exit 0 }
    Write-Warning ('Steps that are left to people: ' + $script:Left)
    exit 1
}
"""

_USAGE = (
    "-Server DC     one domain controller for all steps; without it, one is found for each domain",
    "-WhatIf        shows what would be changed",
    "-ConfirmDelete SPN[,SPN]   removals whose owner was asked and agreed",
    "-ConfirmSpn SPN[,SPN]      every step of the SPN: what it asks was asked",
    "-Rollback      takes back what this script did, last first: it notes its steps in the file -Notes (SCRIPT.done)",
    "-Done 3,4      with -Rollback: these steps too, where that file is lost",
    "It ends with 0: all done; 1: steps are left to people; 2: stopped, or nothing was begun.",
)


def to_powershell(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller that the script uses unless another is given."""
    outline = Outline(report, lambda step: step.account_kind is not None)
    parameters = _PARAMETERS
    if server is not None:
        parameters = parameters.replace("$Server,", f"$Server = {literal(server)},", 1)
    lines = [
        *map(_remark, heading(outline)),
        _remark(RIGHTS),
        *map(_remark, _USAGE),
        *_elsewhere(outline),
        *parameters.splitlines(),
        "",
        *_function("Assert-Ready", _looks(outline)),
        "",
        *_function("Undo-Plan", _undone(outline)),
        "",
        *_ROLLBACK,
        *_forth(outline),
        "",
        *map(_remark, _afterwards()),
        "Complete-Plan",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def literal(text: str) -> str:
    """A text as an expression that has exactly its characters, written in printable ASCII."""
    parts: list[str] = []
    for run in re.findall(r"[ -~]+|[^ -~]", text):
        if " " <= run[0] <= "~":
            parts.append("'" + run.replace("'", "''") + "'")
        else:
            units = run.encode("utf-16-be", "surrogatepass")
            parts += [f"[char]0x{units[at : at + 2].hex().upper()}" for at in range(0, len(units), 2)]
    if len(parts) == 1 and parts[0].startswith("'"):
        return parts[0]
    # a string comes first: [char] + [char] would be a sum
    return "('' + " + " + ".join(parts) + ")" if parts else "''"


def _remark(text: str) -> str:
    return f"# {comment(text)}".rstrip()


def _function(name: str, body: Iterable[str]) -> Iterator[str]:
    yield f"function {name} {{"
    yield from _indented(body)
    yield "}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    yield from (f"    {line}".rstrip() for line in lines)


def _elsewhere(outline: Outline) -> Iterator[str]:
    """What this script does not do: IIS settings, DNS, and what only a person can."""
    for server, steps in outline.settings.items():
        yield from ("#", _remark(f"IIS settings, {when(outline, steps)}: run on {server}, in an elevated cmd prompt"))
        yield from (_remark(f"   {line}") for step in steps for line in with_question(outline, step))
    for title, others in ((f"DNS, {when(outline, outline.dns)}:", outline.dns), ("By hand:", outline.manual)):
        if others:
            yield from ("#", _remark(title))
        yield from (_remark(f"   {line}") for step in others for line in (*told(step), *aside(outline, step)))


def _afterwards() -> Iterator[str]:
    yield f"Afterwards. {CACHES[0]}"
    yield f"On the client: {CACHES[1]}"
    yield f"For services of the client: {CACHES[2]}"


# -- the course ----------------------------------------------------------------------------------------------------

_ROLLBACK = """\
if ($Rollback) {
    if (Test-Path -LiteralPath $Notes) {
        $script:Noted = @(Get-Content -LiteralPath $Notes)
    } elseif ($Done.Count -eq 0) {
        Write-Warning ('Nothing is taken back: ' + $Notes + ' is not there, and -Done names no step.')
        exit 2
    }
    Undo-Plan
    if ($script:Failed -gt 0) {
        Write-Warning 'What is listed was not taken back: remove the cause, then run -Rollback again.'
        exit 2
    }
    Complete-Plan
}
""".splitlines()


def _forth(outline: Outline) -> Iterator[str]:
    """What is left to others is said; then everything is looked at, then done."""
    if outline.is_blind:
        yield from ("", f"Write-Warning {literal(outline.without_ground or '')}", "exit 2")
        return
    for step in outline.left_out:
        if not step.changes_spn:
            words = f"Step {step.order} is not done by this script, {at(step)}: {' '.join(told(step))}"
            yield from ("", f"Skip-Step {literal(words)}")
    if not outline.changes:
        return
    yield from ("", "$step = 0", "try {", "    Assert-Ready", "} catch {")
    yield from ("    Write-Warning ('Nothing was changed: ' + $_)", "    exit 2", "}")
    yield from ("", "try {")
    for number, step in enumerate(outline.changes):
        yield from ("",) if number else ()
        yield from _indented(_step(outline, step))
    yield "} catch {"
    yield "    Write-Warning ('Stopped at step ' + $step + ': ' + $_)"
    yield "    if ($script:Homeless) {"
    yield "        Write-Warning ($script:Homeless + ' was removed already, so no account of this plan holds it now.')"
    yield "    }"
    yield "    Write-Warning 'Nothing after that step was run. -Rollback takes back what was done.'"
    yield "    exit 2"
    yield "}"


# -- steps ---------------------------------------------------------------------------------------------------------


def _looks(outline: Outline) -> Iterator[str]:
    """Every account, and every holder of what is to be registered; nothing is changed."""
    for step in outline.changes:
        if not outline.is_barred(step):
            yield from _where_agreed(outline, step, _look(step))


def _look(step: Step) -> Iterator[str]:
    name = literal(step.value[0].text)
    yield from _fetch(step)
    yield "Show-Right $object"
    if step.is_add:
        yield f"if ($object.servicePrincipalName -notcontains {name}) {{"
        yield f"    Assert-Free {name} {literal(_filter(step))} $controller $script:Leaving[{name}]"
        yield "}"
    else:
        yield f"$script:Leaving[{name}] = @($script:Leaving[{name}]) + $object.DistinguishedName"


def _where_agreed(outline: Outline, step: Step, lines: Iterable[str], otherwise: str | None = None) -> Iterator[str]:
    """What waits for an answer runs only with it."""
    if not outline.is_held(step):
        yield from lines
        return
    agreed = "$ConfirmSpn" if step.is_add and step.confirm else "$ConfirmDelete"
    yield f"if ({agreed} -contains {literal(step.value[0].text)}) {{"
    yield from _indented(lines)
    if otherwise is not None:
        yield from ("} else {", f"    {otherwise}")
    yield "}"


def _step(outline: Outline, step: Step) -> Iterator[str]:
    yield _remark(f"Step {step.order} ({purpose(outline.report, step)}): {step.title}")
    if outline.needs_administrator(step):
        yield _remark(ALIAS)
    if step.order in outline.unable:
        yield _remark("BY HAND: it is not known whether the account is a user, a computer or a managed account.")
        yield f"Skip-Step {literal(f'Step {step.order} was not run. By hand: {step.title}')}"
        return
    if outline.is_barred(step):
        yield f"Skip-Step {literal(f'Step {step.order} was not run. {outline.why_left(step)}')}"
        return
    if outline.is_held(step):
        yield _remark(ask_first(step))
    skipped = f"Skip-Step {literal(f'Step {step.order} was not run. {ask_first(step)}')}"
    yield from _where_agreed(outline, step, _change(outline, step), skipped)


def _change(outline: Outline, step: Step) -> Iterator[str]:
    yield f"$step = {step.order}"
    yield from _fetch(step)
    yield from _made(step, f"Add-Note {_note(step)}")
    if step.spn in outline.added:
        yield f"$script:Homeless = {literal('' if step.is_add else step.value[0].text)}"


def _undone(outline: Outline) -> Iterator[str]:
    """Each step where it was done, whatever became of the others."""
    if outline.ends_duplicates:
        yield _remark(DUPLICATES)
    steps = outline.steps
    for step, back in zip(reversed(steps), rolled_back(steps), strict=True):
        if not step.changes_spn:
            words = f"Step {step.order} is not taken back by this script, {at(step)}: {' '.join(told(back))}"
            yield f"Skip-Step {literal(words)}"
        elif not outline.is_barred(step):
            yield _remark(f"Back {back.order}: {back.title}")
            yield f"if (Test-Done '{step.order}' {_note(step)}) {{"
            undone = f"Add-Note ('undone: ' + {_note(step)})"
            yield from _indented(("try {", *_indented((*_fetch(back), *_made(back), undone)), "} catch {"))
            yield "        $script:Failed += 1"
            yield f"        Write-Warning ({literal(f'Not taken back, step {step.order}, {back.title}: ')} + $_)"
            yield from ("    }", "}")


def _note(step: Step) -> str:
    """How a step stands in the file of notes: another plan of the same name has other steps."""
    return literal(comment(step.title))


def _fetch(step: Step) -> Iterator[str]:
    kind, (_, account) = step.account_kind, step.value
    if kind is None:
        raise ValueError(step.title)
    domain = account.dns if isinstance(account.domain, Guess) else account.domain
    yield f"$controller = Get-Controller {literal(domain)}"
    found = f"Get-{_NOUNS[kind]} -Identity {literal(account.name)}"
    yield f"$object = {found} -Properties $Attributes -Server $controller"


def _made(step: Step, note: str | None = None) -> Iterator[str]:
    """Look, and change one value of one account where it stands as planned."""
    kind, (spn, account) = step.account_kind, step.value
    name = literal(spn.text)
    noun = _NOUNS[kind] if kind is not None else ""
    yield f"if ($object.servicePrincipalName {'-contains' if step.is_add else '-notcontains'} {name}) {{"
    yield f"    Write-Warning {literal(f'Nothing to do, it is done already: {step.title}')}"
    yield f"}} elseif ($PSCmdlet.ShouldProcess({literal(str(account))}, {literal(step.title)})) {{"
    if step.is_add:
        yield f"    Assert-Free {name} {literal(_filter(step))} $controller"
    if note is not None:
        yield f"    {note}"
    verb = "Add" if step.is_add else "Remove"
    yield f"    Set-{noun} -Identity $object -ServicePrincipalNames @{{{verb} = {name}}} -Server $controller"
    yield "}"


def _filter(step: Step) -> str:
    """An LDAP filter for one SPN (RFC 4515: what is special stands as its code)."""
    escaped = re.sub(r"[\\*()\x00]", lambda found: f"\\{ord(found[0]):02x}", step.value[0].text)
    return f"(servicePrincipalName={escaped})"
