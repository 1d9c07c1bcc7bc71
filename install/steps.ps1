# The kinds of steps: how each is done, taken back, and compared with what was done.

function Add-Step($Place, $Step, $Source) {
    switch ($Step.kind) {
        'folder' { Add-Folder $Step }
        'tree' { Add-Tree $Step $Source }
        'file' { Write-Text $Step.path $Step.text }
        'source' { Add-EventSource $Step.name }
        'grant' { Add-ReadEntry $Step.path $Step.sid }
        'task' { Register-AgentTask $Step (Get-TaskPython $Place $Step) (Get-TaskLine $Place $Step) }
    }
}

# Takes back what a step did, and answers what it keeps as it is not ours any more. What is not there is taken back.
function Remove-Step($Place, $Step) {
    if ($Step.kind -ne 'file' -and -not (Test-Present $Step)) { return }
    switch ($Step.kind) {
        'folder' { Remove-Folder $Place $Step.path }
        'tree' { Remove-Tree $Step }
        'file' { Remove-OurText $Step }
        'source' { Remove-EventSource $Step.name }
        'grant' { Remove-ReadEntry $Step.path $Step.sid }
        'task' { Unregister-AgentTask $Step.name }
    }
}

function Test-Present($Step) {
    switch ($Step.kind) {
        { $_ -in 'folder', 'file' } { Test-Path -LiteralPath $Step.path }
        'tree' { (Test-Path -LiteralPath $Step.path) -or (Test-Path -LiteralPath "$($Step.path).sha256") }
        'source' { Test-EventSource $Step.name }
        'grant' {
            $own = { $_.sid -eq $Step.sid -and $_.allows -and -not $_.inherited }
            @(Get-AccessEntry $Step.path | Where-Object $own).Count -gt 0
        }
        'task' { [bool](Get-AgentTask) }
    }
}

# In what a step is not as it was done, as sentences.
function Compare-Step($Place, $Step) {
    if (-not (Test-Present $Step)) { return "missing: $(Get-Key $Step)" }
    switch ($Step.kind) {
        'tree' {
            $found = Compare-Sum $Step.path (ConvertFrom-Sum (Read-Text "$($Step.path).sha256"))
            foreach ($how in 'missing', 'changed', 'added') {
                $found[$how] | ForEach-Object { "${how}: $(Join-Path $Step.path $_)" }
            }
        }
        'file' { if ((Read-Text $Step.path) -cne $Step.text) { "changed: $($Step.path)" } }
        'folder' {
            foreach ($sid in Select-Writer @(Get-AccessEntry $Step.path)) {
                if ($Step.sddl -and -not $Step.sddl.Contains($sid)) { "changed: $($Step.path) can be changed by $sid" }
            }
        }
        'task' {
            $runs = Get-TaskPython $Place $Step
            if ((Get-AgentTask).runs -ne $runs) { "changed: the task $($Step.name) does not run $runs" }
        }
    }
}

function Add-Folder($Step) {
    $isNew = -not (Test-Path -LiteralPath $Step.path)
    if ($isNew) { $null = New-Item -ItemType Directory -Path $Step.path }
    if ($Step.sddl) { Set-Sddl $Step.path $Step.sddl }
    if ($isNew -and (Get-ChildItem -LiteralPath $Step.path -Force)) { throw "somebody else wrote into $($Step.path)" }
}

function Remove-Folder($Place, [string] $Path) {
    if ($Path -eq $Place.program) { Remove-Text $Place.manifest }
    $left = @(Get-RelativeFile $Path)
    if ($left.Count -eq 0) { return Remove-HollowFolder $Path }
    $left | ForEach-Object { "kept: $(Join-Path $Path $_)" }
}

function Remove-OurText($Step) {
    $isThere = Test-Path -LiteralPath $Step.path
    if ($isThere -and (Read-Text $Step.path) -cne $Step.text) { return "kept: $($Step.path) (changed)" }
    Remove-Text $Step.path
}

function Remove-OurFile([string] $Path, [string] $Sum) {
    if (-not (Test-Path -LiteralPath $Path)) { return }
    if ((Get-Sum $Path) -cne $Sum) { return "kept: $Path (changed)" }
    Remove-Item -LiteralPath $Path -Force
}

# A virtual environment without sums was never finished: all of it is ours. Of another one, what is as it was.
function Remove-Tree($Step) {
    $file = "$($Step.path).sha256"
    if (-not (Test-Path -LiteralPath $file)) {
        Remove-Item -LiteralPath $Step.path -Recurse -Force
        return Remove-Text $file
    }
    $sums = ConvertFrom-Sum (Read-Text $file)
    foreach ($name in $sums.Keys) { Remove-OurFile (Join-Path $Step.path $name) $sums[$name] }
    if (Test-Path -LiteralPath $Step.path) {
        foreach ($name in Get-RelativeFile $Step.path) {
            if (-not $sums.ContainsKey($name)) { "kept: $(Join-Path $Step.path $name) (not ours)" }
        }
        Remove-HollowFolder $Step.path
    }
    Remove-Text $file
}

# The folders in which nothing is left, this one too.
function Remove-HollowFolder([string] $Path) {
    foreach ($folder in Get-ChildItem -LiteralPath $Path -Directory -Force) {
        if (-not (Test-Link $folder)) { Remove-HollowFolder $folder.FullName }
    }
    if (@(Get-ChildItem -LiteralPath $Path -Force).Count -eq 0) { Remove-Item -LiteralPath $Path -Force }
}

# A virtual environment with what requirements.txt lists and nothing else, which has judged a sample.
function Add-Tree($Step, $Source) {
    Invoke-Python $Source.python 'the virtual environment' '-I', '-B', '-m', 'venv', $Step.path
    $run = Get-VenvPython $Step.path
    $wheels = Join-Path $Source.wheelHouse 'wheels'
    $needed = Join-Path $Source.wheelHouse 'requirements.txt'
    Invoke-Python $run 'pip' '-I', '-B', '-m', 'pip', '--isolated', '--disable-pip-version-check', 'install',
        '--no-index', '--require-hashes', '--find-links', $wheels, '--requirement', $needed
    Test-Sample $run (Join-Path $Source.wheelHouse 'sample')
    Write-Text "$($Step.path).sha256" (Format-Sum $Step.path)
}

function Get-VenvPython([string] $Path) { Join-Path $Path 'Scripts\python.exe' }

function Get-TaskPython($Place, $Step) { Get-VenvPython (Join-Path $Place.program $Step.version) }

function Invoke-Python([string] $Program, [string] $What, [string[]] $Argument) {
    $done = Invoke-Program $Program $Argument
    if ($done.code -ne 0) { throw "${What}: exit code $($done.code): $($done.text) $($done.fault)" }
}

# What the program must say of the sample: it is whole, and an SPN is on the wrong account (exit code 1: findings).
function Test-Sample([string] $Program, [string] $Sample) {
    $done = Invoke-Program $Program '-I', '-B', '-m', 'agent', 'inspect', (Join-Path $Sample 'IIS05'), '--ad',
        (Join-Path $Sample 'directory.ldif'), '--dns', (Join-Path $Sample 'zone.txt'), '--format', 'json'
    $report = try { $done.text | ConvertFrom-Json } catch { $null }
    if (-not $report -or $done.code -ne 1) { throw "the sample: exit code $($done.code): $($done.fault)" }
    if (-not $report.complete -or @($report.findings | ForEach-Object { $_.id }) -notcontains 'spn-misplaced') {
        throw 'the sample was judged wrongly'
    }
}

# Findings are told in the event log, and are no failure of the task: its result is 0 (2 where something was not read).
function Get-TaskLine($Place, $Step) {
    $drop = if ($Step.drop) { $Step.drop } else { $Place.drop }
    $line = "-I -B -m agent agent --once --fail-on never --event-log --state `"$($Place.state)`" --drop `"$drop`""
    if ($Step.config) { "$line --config `"$($Step.config)`"" } else { $line }
}
