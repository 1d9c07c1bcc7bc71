<#
.SYNOPSIS
Installs iis-spn on a Windows server that has no Internet; verifies it, goes back one version, takes it away again.

.DESCRIPTION
From a folder made by "make wheelhouse", which also holds this script, iis-spn is installed into a virtual environment
of its own below %ProgramFiles%\iis-spn, which only administrators can change. With -Task a scheduled task inspects this
server again and again, writes what it found below %ProgramData%\iis-spn, which only administrators and the account of
the task can read, and tells of changes in the event log Application.

Nothing is written before all checks have passed. Each step is written into %ProgramFiles%\iis-spn\manifest.json before
it is done. What fails is undone; what a power cut leaves behind is undone by the next run. -Uninstall removes what the
manifest lists and nothing else. Doing it twice is the same as doing it once. No password is asked for or stored.

Exit codes: 0 done; 1 something differs or was kept, and is named; 2 stopped before the end; 64 refused, and nothing was
changed.

.PARAMETER WheelHouse
The folder made by "make wheelhouse". Default: where this script is.

.PARAMETER Python
The python.exe to use. Default: the newest one that the wheels are for and that is installed for all users.

.PARAMETER Task
Registers the scheduled task iis-spn.

.PARAMETER TaskAccount
Whom the task runs as: a group managed service account, DOMAIN\name$, or SYSTEM where that is really meant. An upgrade
keeps the one there is.

.PARAMETER EveryHours
How many hours lie between two runs of the task.

.PARAMETER Drop
The folder or share that the task writes snapshots and reports to. Default: drop, below %ProgramData%\iis-spn.

.PARAMETER Config
A configuration file of iis-spn (TOML) for the task. Only administrators may be able to change it.

.PARAMETER GrantRead
Lets the account of the task read %windir%\System32\inetsrv\config: one entry, taken back by -Uninstall.

.PARAMETER Verify
Compares what is installed with what was installed. Changes nothing.

.PARAMETER Rollback
Goes back to the version before.

.PARAMETER Uninstall
Removes what the manifest lists, and names what it keeps: changed files, and what the task has written.

.PARAMETER LogPath
A file to which all that is said is added, with the time.

.EXAMPLE
.\install.ps1 -WhatIf

Checks everything, and tells what would be done.

.EXAMPLE
.\install.ps1 -Task -TaskAccount 'CONTOSO\iisspn$' -GrantRead

Installs, and registers the task with a group managed service account that may read the configuration of IIS.

.EXAMPLE
.\install.ps1 -Task -TaskAccount SYSTEM -Drop \\files\spn -EveryHours 4 -LogPath C:\Windows\Temp\iis-spn.log

Every four hours as SYSTEM, with the reports on a share.

.EXAMPLE
.\install.ps1 -Uninstall

.NOTES
Windows PowerShell 5.1 or PowerShell 7, 64-bit, elevated, in Full Language. docs/install.md says what is where.
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Install')]
param(
    [Parameter(ParameterSetName = 'Install')] [string] $WheelHouse = $PSScriptRoot,
    [Parameter(ParameterSetName = 'Install')] [string] $Python,
    [Parameter(ParameterSetName = 'Install')] [switch] $Task,
    [Parameter(ParameterSetName = 'Install')] [string] $TaskAccount,
    [Parameter(ParameterSetName = 'Install')] [ValidateRange(1, 24)] [int] $EveryHours = 1,
    [Parameter(ParameterSetName = 'Install')] [string] $Drop,
    [Parameter(ParameterSetName = 'Install')] [string] $Config,
    [Parameter(ParameterSetName = 'Install')] [switch] $GrantRead,
    [Parameter(ParameterSetName = 'Verify', Mandatory)] [switch] $Verify,
    [Parameter(ParameterSetName = 'Rollback', Mandatory)] [switch] $Rollback,
    [Parameter(ParameterSetName = 'Uninstall', Mandatory)] [switch] $Uninstall,
    [string] $LogPath
)
Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$exit = @{ Done = 0; Differs = 1; Stopped = 2; Refused = 64 }
$product = 'iis-spn'
$systemSid = 'S-1-5-18'

if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    Write-Warning 'refused: this PowerShell is in Constrained Language, in which nothing can be checked'
    exit $exit.Refused
}
foreach ($part in 'words', 'windows', 'sums', 'manifest', 'steps', 'checks', 'wanted', 'run') {
    . (Join-Path $PSScriptRoot "install\$part.ps1")
}

# What a checked run is going to do: steps, and what they are made from.
function Get-Installation($Place, $Manifest) {
    $folder = (Resolve-Path -LiteralPath $WheelHouse).ProviderPath
    $offer = Get-Offer (Assert-WheelHouse $folder)
    $chosen = $Python
    if (-not $chosen) { $chosen = Select-Python @(Get-RegisteredPython) $offer.minors }
    Assert-Python $chosen $offer.minors
    $run = Get-Run $Place $Manifest
    $steps = @(Select-Step $Place $Manifest @(Get-WantedStep $Place $offer.version $run))
    Assert-Unchanged $Place $Manifest $offer.version
    @{ version = $offer.version; run = $run; steps = $steps; source = @{ python = $chosen; wheelHouse = $folder } }
}

# A version that is installed, where it is, has to be as it was installed.
function Assert-Unchanged($Place, $Manifest, [string] $Version) {
    $tree = $Manifest.steps | Where-Object { $_.kind -eq 'tree' -and $_.version -eq $Version -and $_.state -eq 'done' }
    if (-not $tree) { return }
    $found = @(Compare-Step $Place $tree)
    if ($found.Count) { throw "$Version is installed, but not as it was, $(Format-Name $found): run -Uninstall first" }
}

function Install-Product($Place, $Manifest, $Installation) {
    $code = Invoke-Plan $Place $Manifest $Installation.steps $Installation.source
    if ($code -ne $exit.Done) { return $code }
    $old = @($Manifest.steps | Where-Object { Test-Superseded $Manifest $_ $Installation.run })
    $code = Remove-Plan $Place $Manifest $old
    $command = Join-Path $Place.program "$product.cmd"
    if (-not $WhatIfPreference) { Write-Line "iis-spn $($Installation.version) is installed: $command" }
    Write-Advice $Installation.run
    $code
}

# A version that is neither in use nor the one before, and the right of an account that the task no longer runs as.
function Test-Superseded($Manifest, $Step, $Run) {
    $file = $Manifest.steps | Where-Object { $_.kind -eq 'file' -and $_.path -like '*VERSION' }
    switch ($Step.kind) {
        'tree' {
            $used = @($file.text.Trim(); if ($file.before) { $file.before.text.Trim() })
            $Step.version -notin $used
        }
        'grant' { $Run -and $Step.sid -ne $Run.sid }
        default { $false }
    }
}

function Get-Former($Place, $Manifest) {
    $file = $Manifest.steps | Where-Object { $_.kind -eq 'file' -and $_.path -like '*VERSION' }
    if (-not $file -or -not $file.before) { throw 'there is no version before this one' }
    $version = $file.before.text.Trim()
    $tree = $Manifest.steps | Where-Object { $_.kind -eq 'tree' -and $_.version -eq $version }
    if (-not $tree) { throw "the version before, $version, is not there any more" }
    $found = @(Compare-Step $Place $tree)
    if ($found.Count) { throw "$version is not as it was installed: $(Format-Name $found)" }
    $version
}

function Test-Product($Place, $Manifest) {
    $found = @($Manifest.steps | ForEach-Object {
            if ($_.state -ne 'done') { "unfinished: $(Get-Key $_)" } else { Compare-Step $Place $_ }
        })
    if (-not $Manifest.steps.Count) { $found = @('nothing is installed') }
    $found | ForEach-Object { Write-Line $_ }
    if ($found.Count) { return $exit.Differs }
    Write-Line 'All is as it was installed.'
    $exit.Done
}

function Uninstall-Product($Place, $Manifest) {
    if ($Manifest.steps.Count) { return Remove-Plan $Place $Manifest $Manifest.steps }
    Write-Line 'Nothing is installed.'
    if (-not (Test-Bare $Place)) { return $exit.Done }
    Remove-Plan $Place $Manifest @{ kind = 'folder'; path = $Place.program; state = 'done' }
}

function Assert-NotRunning {
    $found = Get-AgentTask
    if ($found -and $found.running) { throw "the task $product is running: wait until it has ended, or stop it" }
}

# Everything that is asked for in one run; answers the exit code. What throws before the changes begin is a refusal.
function Invoke-Setup {
    try {
        Assert-Machine
        $place = Get-Place
        $manifest = Read-Manifest $place
        if ($Verify) { return Test-Product $place $manifest }
        if ($Uninstall -or $Rollback) { Assert-NotRunning }
        $isUnfinished = @($manifest.steps | Where-Object { $_.state -ne 'done' }).Count -gt 0
        if (-not $isUnfinished) { $change = Get-Change $place $manifest }
    } catch {
        Write-Fault "refused, and nothing was changed: $($_.Exception.Message)"
        return $exit.Refused
    }
    if (-not $isUnfinished) { return Invoke-Change $place $manifest $change }
    Write-Line 'A run before this one did not come to its end. What it left is undone first.'
    if ((Undo-Unfinished $place $manifest @()) -gt 0) { return $exit.Stopped }
    if ($WhatIfPreference) { $exit.Done } else { Invoke-Setup }
}

# What is going to be done, all of it checked.
function Get-Change($Place, $Manifest) {
    if ($Uninstall) { return @{ does = 'uninstall' } }
    if (-not $Rollback) { return @{ does = 'install'; installation = Get-Installation $Place $Manifest } }
    $version = Get-Former $Place $Manifest
    @{ does = 'switch'; steps = @(Get-SwitchingStep $Place $version (Get-Run $Place $Manifest)) }
}

function Invoke-Change($Place, $Manifest, $Change) {
    switch ($Change.does) {
        'install' { Install-Product $Place $Manifest $Change.installation }
        'uninstall' { Uninstall-Product $Place $Manifest }
        'switch' { Invoke-Plan $Place $Manifest $Change.steps $null }
    }
}

if ($MyInvocation.InvocationName -ne '.') { exit (Invoke-Setup | Select-Object -Last 1) }
