"""The plan as a PowerShell script for the ActiveDirectory module, for Windows PowerShell 5.1 and PowerShell 7.

Values are added and removed one by one, never replaced: a replacement would wipe HOST/, WSMAN/ and TERMSRV/ of a
computer. The text is ASCII whatever the names are: 5.1 reads a file without BOM in the code page of the day, and takes
the typographic quotes U+2018 to U+201B for apostrophes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from agent.change.plan import rolled_back
from agent.model import PrincipalKind, Report, Step
from agent.render.script import ALIAS, CACHES, DUPLICATES, RIGHTS, Change, Outline, ask_first, changes, comment, heading

_NOUNS: Mapping[PrincipalKind, str] = {"user": "ADUser", "computer": "ADComputer", "managed": "ADServiceAccount"}

_PARAMETERS = """\
#Requires -Version 5.1
#Requires -Modules ActiveDirectory
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $Server,
    [string[]] $ConfirmDelete = @(),
    [switch] $Rollback
)
$ErrorActionPreference = 'Stop'
$script:Controllers = @{}

function Get-Controller([string] $Domain) {
    if ($Server) { return $Server }
    if (-not $script:Controllers.ContainsKey($Domain)) {
        $found = Get-ADDomainController -Discover -Writable -DomainName $Domain
        $script:Controllers[$Domain] = [string] $found.HostName
    }
    return $script:Controllers[$Domain]
}

function Assert-Free([string] $Spn, [string] $Filter, [string] $Controller) {
    $holders = @(Get-ADObject -LDAPFilter $Filter -Server $Controller)
    if ($holders.Count -gt 0) { throw "$Spn is on $($holders[0].DistinguishedName): this is not as planned." }
}
"""

_USAGE = (
    "-Server DC     one domain controller for all steps; without it, one is found for each domain",
    "-WhatIf        shows what would be changed",
    "-ConfirmDelete SPN[,SPN]   removals whose owner was asked and agreed",
    "-Rollback      takes the steps back, last first",
)


def to_powershell(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller that the script uses unless another is given."""
    outline = Outline(report)
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
        "function Undo-Plan {",
        *([f"    {_remark(DUPLICATES)}"] if outline.ends_duplicates else []),
        *(f"    {line}".rstrip() for line in _undone(outline.steps)),
        "}",
        "",
        "if ($Rollback) {",
        "    Undo-Plan",
        "    return",
        "}",
    ]
    for change in outline.changes:
        lines += ["", *_step(outline, change)]
    lines += ["", *map(_remark, _afterwards())]
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


def _elsewhere(outline: Outline) -> Iterator[str]:
    """What this script does not do: IIS settings, DNS, and what only a person can."""
    for server, steps in outline.settings.items():
        yield from ("#", _remark(f"IIS settings, before the SPNs: run on {server}, in an elevated cmd prompt"))
        yield from (_remark(f"   {step.command}") for step in steps)
    for title, others in (("DNS, before the SPNs:", outline.dns), ("By hand:", outline.manual)):
        if others:
            yield from ("#", _remark(title))
        yield from (_remark(f"   {part}") for step in others for part in step.command.split(" && "))


def _afterwards() -> Iterator[str]:
    yield f"Afterwards. {CACHES[0]}"
    yield f"On the client: {CACHES[1]}"
    yield f"For services of the client: {CACHES[2]}"


# -- steps ---------------------------------------------------------------------------------------------------------


def _step(outline: Outline, change: Change) -> Iterator[str]:
    yield _remark(f"Step {change.step.order} ({change.step.finding}): {change.title}")
    if outline.needs_administrator(change):
        yield _remark(ALIAS)
    if not outline.is_held(change):
        yield from _code(change)
        return
    yield _remark(ask_first(change))
    yield f"if ($ConfirmDelete -contains {literal(change.spn.text)}) {{"
    yield from (f"    {line}" for line in _code(change))
    yield "} else {"
    yield f"    Write-Warning {literal(f'Step {change.step.order} was not run. {ask_first(change)}')}"
    yield "}"


def _undone(steps: Iterable[Step]) -> Iterator[str]:
    for step in rolled_back(steps):
        if step.kind == "iis-setting":
            yield _remark(f"Run on {step.server or 'the web server'}: {step.command}")
        elif step.kind in {"dns", "manual"}:
            yield _remark(step.command)
        else:
            for change in changes((step,)):
                yield _remark(f"Back {step.order}: {change.title}")
                yield from _code(change)


def _code(change: Change) -> Iterator[str]:
    """Look, and change one value of one account where it stands as planned."""
    kind = change.step.account_kind
    if kind is None:
        yield _remark("BY HAND: it is not known whether the account is a user, a computer or a managed account.")
        yield "Write-Warning " + literal(f"By hand: {change.title}")
        return
    name, account = literal(change.spn.text), literal(str(change.account))
    yield f"$controller = Get-Controller {literal(change.account.domain)}"
    found = f"Get-{_NOUNS[kind]} -Identity {literal(change.account.name)}"
    yield f"$object = {found} -Properties servicePrincipalName -Server $controller"
    yield f"if ($object.servicePrincipalName {'-contains' if change.is_add else '-notcontains'} {name}) {{"
    yield f"    Write-Warning {literal(f'Nothing to do, it is done already: {change.title}')}"
    yield f"}} elseif ($PSCmdlet.ShouldProcess({account}, {literal(change.title)})) {{"
    if change.is_add:
        yield f"    Assert-Free {name} {literal(_filter(change.spn.text))} $controller"
    verb = "Add" if change.is_add else "Remove"
    target = f"Set-{_NOUNS[kind]} -Identity $object"
    yield f"    {target} -ServicePrincipalNames @{{{verb} = {name}}} -Server $controller"
    yield "}"


def _filter(name: str) -> str:
    """An LDAP filter for one SPN (RFC 4515: what is special stands as its code)."""
    escaped = re.sub(r"[\\*()\x00]", lambda found: f"\\{ord(found[0]):02x}", name)
    return f"(servicePrincipalName={escaped})"
