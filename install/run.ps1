# Steps are done and taken back; what fails is undone.

function Invoke-Step {
    [CmdletBinding(SupportsShouldProcess)]
    param($Place, $Manifest, $Step, $Source)
    $old = Find-Step $Manifest $Step
    if ($old -and $old.state -eq 'done' -and (Test-SameStep $old $Step) -and (Test-Present $Step)) { return }
    if (-not $PSCmdlet.ShouldProcess((Get-Key $Step), 'install')) {
        if (-not $WhatIfPreference) { throw "$(Get-Key $Step): declined" }
        return
    }
    $new = $Step.Clone()
    $new.state = 'doing'
    $new.before = $null
    if ($old) { $new.before = $old.Clone(); $new.before.before = $null }
    Set-Step $Place $Manifest $new
    Add-Step $Place $new $Source
    $new.state = 'done'
    Set-Step $Place $Manifest $new
    Write-Line "done: $(Get-Key $Step)"
}

# Undoes what is half done: a step goes back to what was before, a removal goes on to its end.
function Undo-Step {
    [CmdletBinding(SupportsShouldProcess)]
    param($Place, $Manifest, $Step)
    if (-not $PSCmdlet.ShouldProcess((Get-Key $Step), 'undo')) { return }
    if (-not $Step.before -or $Step.state -eq 'removing') {
        $kept = @(Remove-Step $Place $Step)
        $kept | ForEach-Object { Write-Line $_ }
        Remove-Entry $Place $Manifest $Step
    } else {
        Add-Step $Place $Step.before $null
        Set-Step $Place $Manifest $Step.before
    }
    Write-Line "undone: $(Get-Key $Step)"
}

# The steps that are not done, the last first. Answers how many could not be undone.
function Undo-Unfinished($Place, $Manifest, [object[]] $Also) {
    $steps = @($Manifest.steps)
    [array]::Reverse($steps)
    $failed = 0
    foreach ($step in $steps) {
        $isOfThisRun = @($Also | Where-Object { $_ -and (Get-Key $_) -eq (Get-Key $step) }).Count -gt 0
        if ($step.state -eq 'done' -and -not $isOfThisRun) { continue }
        if ($failed -and $step['path'] -eq $Place.program) { continue }
        try { Undo-Step $Place $Manifest $step }
        catch { $failed++; Write-Fault "not undone: $(Get-Key $step): $($_.Exception.Message)" }
    }
    $failed
}

# Does steps one after the other; where one fails, what this run has done is undone.
function Invoke-Plan($Place, $Manifest, [object[]] $Step, $Source) {
    $did = @()
    try {
        foreach ($one in $Step) {
            $old = Find-Step $Manifest $one
            if (-not ($old -and $old.state -eq 'done' -and (Test-SameStep $old $one))) { $did += $one }
            Invoke-Step $Place $Manifest $one $Source
        }
    } catch {
        Write-Fault "stopped: $($_.Exception.Message)"
        if ((Undo-Unfinished $Place $Manifest $did) -gt 0) {
            Write-Fault 'What was not undone stands in the manifest: run this again, or with -Uninstall.'
        }
        return $exit.Stopped
    }
    $exit.Done
}

function Remove-Installed {
    [CmdletBinding(SupportsShouldProcess)]
    param($Place, $Manifest, $Step)
    if (-not $PSCmdlet.ShouldProcess((Get-Key $Step), 'remove')) { return }
    $Step.state = 'removing'
    Set-Step $Place $Manifest $Step
    Remove-Step $Place $Step
    Remove-Entry $Place $Manifest $Step
    Write-Line "removed: $(Get-Key $Step)"
}

# Removes steps, the last first; goes on where one fails, which then stays in the manifest.
function Remove-Plan($Place, $Manifest, [object[]] $Step) {
    $steps = @($Step)
    [array]::Reverse($steps)
    $code = $exit.Done
    foreach ($one in $steps) {
        if ($code -eq $exit.Stopped -and $one['path'] -eq $Place.program) { break }
        try { $kept = @(Remove-Installed $Place $Manifest $one) }
        catch { $code = $exit.Stopped; Write-Fault "not removed: $(Get-Key $one): $($_.Exception.Message)"; continue }
        foreach ($line in $kept) { Write-Line $line; if ($code -eq $exit.Done) { $code = $exit.Differs } }
    }
    $code
}
