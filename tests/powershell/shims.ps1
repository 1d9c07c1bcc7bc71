# What only Windows has, played by tables in $global:Windows: install.ps1's functions at the edge, one for one.
# $Windows.fail names edges that throw, once each; $Windows.used, files that are in use; $Windows.cut is the number of
# the call at which the power goes off.

function Watch-Edge([string] $Name) {
    $Windows.calls.Add($Name)
    if ($Name -in $Windows.fail) {
        $Windows.fail = @($Windows.fail | Where-Object { $_ -ne $Name })    # once
        throw "shim: $Name"
    }
    $label = 'PowerCut'
    if ($Windows.cut -and $Windows.calls.Count -eq $Windows.cut) { break $label }    # no catch sees that
}

function Get-SystemFolder([string] $Name) { Join-Path $Windows.root $Windows.folders[$Name] }
function Test-Administrator { $Windows.administrator }
function Get-RegisteredPython { $Windows.pythons }
function Get-Sid([string] $Account) {
    if (-not $Windows.sids.Contains($Account)) { throw 'some or all identity references could not be translated' }
    $Windows.sids[$Account]
}

function Get-AccessEntry([string] $Path) {
    $usual = @{ allows = $true; inheritOnly = $false }
    if ($Windows.writers[$Path]) { $usual + @{ sid = $Windows.writers[$Path]; rights = 0x1301bf; inherited = $true } }
    foreach ($sid in @($Windows.readers[$Path])) {
        if ($sid) { $usual + @{ sid = $sid; rights = 0x1200a9; inherited = $false } }
    }
}
function Set-Sddl([string] $Path, [string] $Sddl) {
    Watch-Edge 'Set-Sddl'
    $null = Get-Item -LiteralPath $Path
    $Windows.sddl[$Path] = $Sddl
}
function Add-ReadEntry([string] $Path, [string] $Sid) {
    Watch-Edge 'Add-ReadEntry'
    $Windows.readers[$Path] = @($Windows.readers[$Path]) + $Sid | Where-Object { $_ }
}
function Remove-ReadEntry([string] $Path, [string] $Sid) {
    Watch-Edge 'Remove-ReadEntry'
    $Windows.readers[$Path] = @($Windows.readers[$Path] | Where-Object { $_ -ne $Sid })
}

function Test-EventSource([string] $Name) { $Windows.sources.Contains($Name) }
function Add-EventSource([string] $Name) { Watch-Edge 'Add-EventSource'; $Windows.sources[$Name] = $true }
function Remove-EventSource([string] $Name) { Watch-Edge 'Remove-EventSource'; $Windows.sources.Remove($Name) }

# The cmdlets of the module ScheduledTasks, with the parameters that are used of them.
function Get-ScheduledTask($TaskName, $TaskPath, $ErrorAction) {
    if ($Windows.tasks.Contains($TaskName)) {
        $task = $Windows.tasks[$TaskName]
        [pscustomobject]@{ State = $Windows.state; Actions = @([pscustomobject]@{ Execute = $task.execute }) }
    }
}
function New-ScheduledTaskAction($Execute, $Argument) { @{ execute = $Execute; argument = $Argument } }
function New-ScheduledTaskTrigger {
    param([switch] $Once, [datetime] $At, [timespan] $RepetitionInterval, [timespan] $RandomDelay)
    @{ hours = $RepetitionInterval.TotalHours }
}
function New-ScheduledTaskPrincipal($UserId, $LogonType, $RunLevel) {
    @{ user = $UserId; logon = $LogonType; level = $RunLevel }
}
function New-ScheduledTaskSettingsSet {
    param($MultipleInstances, [switch] $StartWhenAvailable, [timespan] $ExecutionTimeLimit)
    @{}
}
function Register-ScheduledTask {
    param($TaskName, $TaskPath, [switch] $Force, $Action, $Trigger, $Principal, $Settings, $Description)
    Watch-Edge 'Register-ScheduledTask'
    $Windows.tasks[$TaskName] = $Action + $Trigger + $Principal
}
function Unregister-ScheduledTask($TaskName, $TaskPath, [switch] $Confirm) {
    Watch-Edge 'Unregister-ScheduledTask'
    $Windows.tasks.Remove($TaskName)
}

$invokeProgram = ${function:Invoke-Program}

# A Python that makes a virtual environment of a few files, or breaks off in the midst of it.
function Invoke-Program([string] $Path, [string[]] $Argument) {
    $what = if ($Argument -contains 'venv') { 'venv' } elseif ($Argument -contains 'pip') { 'pip' } else { 'ask' }
    if ($Argument -contains 'agent') { $what = 'sample' }
    if ($what -eq 'ask') { return @{ code = 0; text = $Windows.answer; fault = '' } }
    $tree = if ($what -eq 'venv') { $Argument[-1] } else { Split-Path -Parent (Split-Path -Parent $Path) }
    if ($what -eq 'venv') { Add-File (Join-Path $tree 'Scripts/python.exe') 'python' }
    if ($what -eq 'pip') { Add-File (Join-Path $tree 'Lib/site-packages/agent/__init__.py') 'agent' }
    Watch-Edge "python-$what"
    if ("exit-$what" -in $Windows.fail) { return @{ code = 3; text = ''; fault = 'it broke' } }
    if ($what -eq 'venv') { Add-File (Join-Path $tree 'pyvenv.cfg') 'home' }
    if ($what -eq 'pip') { Add-File (Join-Path $tree 'Lib/site-packages/agent/data.txt') 'data' }
    if ($what -eq 'sample') { return @{ code = 1; text = $Windows.sample; fault = '' } }
    @{ code = 0; text = ''; fault = '' }
}
function Add-File([string] $Path, [string] $Text) {
    $null = New-Item -ItemType Directory -Force -Path (Split-Path -Parent $Path)
    [IO.File]::WriteAllText($Path, $Text)
}

# Real, and counted: a cut comes in the midst of a text, of which a half stands beside it.
$writeText = ${function:Write-Text}
function Write-Text([string] $Path, [string] $Text) {
    [IO.File]::WriteAllText("$Path.new", $Text.Substring(0, [int]($Text.Length / 2)))
    Watch-Edge 'Write-Text'
    & $writeText $Path $Text
}
function Remove-Item([string] $LiteralPath, [switch] $Recurse, [switch] $Force) {
    Watch-Edge 'Remove-Item'
    if ($LiteralPath -in $Windows.used) { throw 'it is being used by another process' }
    Microsoft.PowerShell.Management\Remove-Item @PSBoundParameters
}
function Write-Fault([string] $Text) { $Windows.said.Add($Text); Write-Log $Text }
function Write-Line([string] $Text) { $Windows.said.Add($Text); Write-Log $Text }
