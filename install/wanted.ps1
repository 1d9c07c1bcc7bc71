# What is wanted of this computer, as steps.

# SYSTEM and Administrators: everything. Of the program, Users: read and run. Of the data, the task's account: modify.
function Get-ProgramSddl { 'D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)' }

function Get-DataSddl([string] $Sid) {
    $own = 'D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)'
    if ($Sid -eq $systemSid) { $own } else { "$own(A;OICI;0x1301bf;;;$Sid)" }
}

# The command of an administrator: iis-spn of the version that VERSION names.
function Get-CommandText {
    @(
        '@setlocal'
        '@set /p iis_spn_version=<"%~dp0VERSION"'
        '@"%~dp0%iis_spn_version%\Scripts\python.exe" -I -B -m agent %*'
        ''
    ) -join "`r`n"
}

# The steps of a version, in their order; the task, which runs it, last.
function Get-WantedStep($Place, [string] $Version, $Run) {
    @{ kind = 'folder'; path = $Place.program; sddl = Get-ProgramSddl }
    @{ kind = 'tree'; path = Join-Path $Place.program $Version; version = $Version }
    if ($Run) {
        @{ kind = 'folder'; path = $Place.data; sddl = Get-DataSddl $Run.sid }
        foreach ($path in $Place.state, $Place.drop) { @{ kind = 'folder'; path = $path; sddl = '' } }
        @{ kind = 'source'; name = $product }
        if ($Run.grants) { @{ kind = 'grant'; path = $Place.config; sid = $Run.sid; account = $Run.account } }
    }
    Get-SwitchingStep $Place $Version $Run
}

# The steps that make a version the one in use.
function Get-SwitchingStep($Place, [string] $Version, $Run) {
    @{ kind = 'file'; path = Join-Path $Place.program "$product.cmd"; text = Get-CommandText }
    @{ kind = 'file'; path = Join-Path $Place.program 'VERSION'; text = "$Version`r`n" }
    if ($Run) {
        @{
            kind = 'task'; name = $product; version = $Version; account = $Run.account; sid = $Run.sid
            every = "$($Run.every)"; drop = $Run.drop; config = $Run.config
        }
    }
}

# How the task is to run: as asked for, else as it does now; nothing where there is to be none.
function Get-Run($Place, $Manifest) {
    $now = $Manifest.steps | Where-Object { $_.kind -eq 'task' }
    $granted = @($Manifest.steps | Where-Object { $_.kind -eq 'grant' })
    if (-not $Task) {
        if ($TaskAccount -or $GrantRead -or $Drop -or $Config) {
            throw '-TaskAccount, -GrantRead, -Drop and -Config go with -Task'
        }
        if (-not $now) { return }
        $run = $now.Clone()
        $run.grants = $granted.Count -gt 0
        return $run
    }
    foreach ($path in $Drop, $Config) { Assert-Argument $path }
    if ($Config) { Assert-Protected $Config }
    $name = if ($TaskAccount -or -not $now) { $TaskAccount } else { $now.account }
    $run = Resolve-TaskAccount $name
    if ($GrantRead -and -not (Test-Path -LiteralPath $Place.config)) { throw "no IIS is here: no $($Place.config)" }
    $grants = $GrantRead -or @($granted | Where-Object { $_.sid -eq $run.sid }).Count -gt 0
    $run + @{ every = $EveryHours; drop = $Drop; config = $Config; grants = $grants }
}

# What is there already, and not by this script: an event source and the right to read are left alone, else it stops.
function Select-Step($Place, $Manifest, [object[]] $Step) {
    foreach ($one in $Step) {
        if ((Find-Step $Manifest $one) -or -not (Test-Present $one)) { $one; continue }
        if ($one['path'] -eq $Place.program -and (Test-Bare $Place)) { $one; continue }
        if ($one.kind -notin 'source', 'grant') { throw "there is, and not by this script: $(Get-Key $one)" }
    }
}

function Write-Advice($Run) {
    if (-not $Run -or $Run.sid -eq $systemSid) { return }
    Write-Line "$($Run.account) needs the right 'Log on as a batch job'; this server must be allowed its password."
    if (-not $Run.grants) {
        Write-Line "It may not read inetsrv\config: until it may (-GrantRead), the agent sees nothing of IIS."
    }
    Write-Line 'web.config files below the sites are read where that account may read them.'
}
