# Runs install.ps1 again and again under shims.ps1, as a list in JSON says, and prints what came of each run, in JSON.
param([string] $Script, [string] $Shims, [string] $List)

function Invoke-One([hashtable] $Given) {
    . $Script @Given
    . $Shims
    if ($Windows['wine']) { . (Join-Path (Split-Path -Parent $Shims) 'wine.ps1') }
    $WhatIfPreference = [bool]$Given['WhatIf']    # as it is in a script that is not dot-sourced
    :PowerCut while ($true) { return Invoke-Setup }
    'cut'
}

function Get-Tree([string] $Root) {
    if (Test-Path -LiteralPath $Root) {
        Get-ChildItem -LiteralPath $Root -Recurse -Force | ForEach-Object { $_.FullName.Substring($Root.Length + 1) }
    }
}

$env:OS = 'Windows_NT'
$ErrorActionPreference = 'Stop'
$results = foreach ($run in Get-Content -LiteralPath $List -Raw -Encoding UTF8 | ConvertFrom-Json -AsHashtable) {
    if ($run.windows) { $global:Windows = $run.windows }
    foreach ($name in 'fail', 'cut', 'state', 'used') {
        if ($run.Contains($name)) { $Windows[$name] = $run[$name] }
    }
    if ($run.deleted) { Remove-Item -LiteralPath $run.deleted -Recurse -Force }
    if ($run.written) { foreach ($path in $run.written.Keys) { [IO.File]::WriteAllText($path, $run.written[$path]) } }
    if ($run.unregistered) { $Windows.tasks.Clear() }
    $Windows.calls = New-Object Collections.Generic.List[string]
    $Windows.said = New-Object Collections.Generic.List[string]
    $code = Invoke-One $run.given
    @{
        code = $code; said = @($Windows.said); calls = @($Windows.calls)
        tasks = $Windows.tasks.Clone(); sources = @($Windows.sources.Keys); sddl = $Windows.sddl.Clone()
        readers = @($Windows.readers.Values | ForEach-Object { $_ })
        programs = @(Get-Tree (Join-Path $Windows.root $Windows.folders.ProgramFiles))
        data = @(Get-Tree (Join-Path $Windows.root $Windows.folders.CommonApplicationData))
    }
}
[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false
ConvertTo-Json @($results) -Depth 6 -Compress
