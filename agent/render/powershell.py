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
from agent.names import Guess
from agent.render.script import (
    ALIAS,
    CACHES,
    DUPLICATES,
    RIGHTS,
    Outline,
    ask_first,
    comment,
    heading,
    told,
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
    [switch] $Rollback
)
$ConfirmDelete += $ConfirmSpn
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
    "-ConfirmSpn SPN[,SPN]      every step of the SPN: what it asks was asked",
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
    if outline.is_blind:
        lines += ["", f"Write-Warning {literal(outline.without_ground or '')}", "exit 2"]
    for step in outline.changes:
        lines += ["", *_step(outline, step)]
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
        yield from (_remark(f"   {line}") for step in steps for line in with_question(outline, step))
    for title, others in (("DNS, before the SPNs:", outline.dns), ("By hand:", outline.manual)):
        if others:
            yield from ("#", _remark(title))
        yield from (_remark(f"   {line}") for step in others for line in told(step))


def _afterwards() -> Iterator[str]:
    yield f"Afterwards. {CACHES[0]}"
    yield f"On the client: {CACHES[1]}"
    yield f"For services of the client: {CACHES[2]}"


# -- steps ---------------------------------------------------------------------------------------------------------


def _step(outline: Outline, step: Step) -> Iterator[str]:
    yield _remark(f"Step {step.order} ({step.finding}): {step.title}")
    if outline.needs_administrator(step):
        yield _remark(ALIAS)
    if not outline.is_held(step):
        yield from _code(step)
        return
    yield _remark(ask_first(step))
    agreed = "$ConfirmSpn" if step.is_add and step.confirm else "$ConfirmDelete"
    yield f"if ({agreed} -contains {literal(step.value[0].text)}) {{"
    yield from (f"    {line}" for line in _code(step))
    yield "} else {"
    yield f"    Write-Warning {literal(f'Step {step.order} was not run. {ask_first(step)}')}"
    yield "}"


def _undone(steps: Iterable[Step]) -> Iterator[str]:
    for step in rolled_back(steps):
        if step.changes_spn:
            yield _remark(f"Back {step.order}: {step.title}")
            yield from _code(step)
        else:
            place = f"Run on {step.server or 'the web server'}: " if step.kind == "iis-setting" else ""
            yield from (_remark(f"{place}{line}") for line in told(step))


def _code(step: Step) -> Iterator[str]:
    """Look, and change one value of one account where it stands as planned."""
    kind, (spn, account) = step.account_kind, step.value
    if kind is None:
        yield _remark("BY HAND: it is not known whether the account is a user, a computer or a managed account.")
        yield "Write-Warning " + literal(f"By hand: {step.title}")
        return
    name = literal(spn.text)
    domain = account.dns if isinstance(account.domain, Guess) else account.domain
    yield f"$controller = Get-Controller {literal(domain)}"
    found = f"Get-{_NOUNS[kind]} -Identity {literal(account.name)}"
    yield f"$object = {found} -Properties servicePrincipalName -Server $controller"
    yield f"if ($object.servicePrincipalName {'-contains' if step.is_add else '-notcontains'} {name}) {{"
    yield f"    Write-Warning {literal(f'Nothing to do, it is done already: {step.title}')}"
    yield f"}} elseif ($PSCmdlet.ShouldProcess({literal(str(account))}, {literal(step.title)})) {{"
    if step.is_add:
        yield f"    Assert-Free {name} {literal(_filter(spn.text))} $controller"
    verb = "Add" if step.is_add else "Remove"
    target = f"Set-{_NOUNS[kind]} -Identity $object"
    yield f"    {target} -ServicePrincipalNames @{{{verb} = {name}}} -Server $controller"
    yield "}"


def _filter(name: str) -> str:
    """An LDAP filter for one SPN (RFC 4515: what is special stands as its code)."""
    escaped = re.sub(r"[\\*()\x00]", lambda found: f"\\{ord(found[0]):02x}", name)
    return f"(servicePrincipalName={escaped})"
