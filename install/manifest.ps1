# The manifest: what was done on this computer, each step written down before it is done.

$schema = 'iis-spn/manifest/1'
$release = '[0-9][0-9A-Za-z.+!]*-[0-9a-f]{8}'    # a version, and the beginning of the sum of what it needs
# The fields of each kind of step. All are texts; what they say is what the step is.
$fields = @{
    folder = @('path', 'sddl')
    tree = @('path', 'version')
    file = @('path', 'text')
    source = @('name')
    grant = @('path', 'sid', 'account')
    task = @('name', 'version', 'account', 'sid', 'every', 'drop', 'config')
}

function Get-Place {
    $programs = Get-SystemFolder 'ProgramFiles'
    $program = Join-Path $programs $product
    $data = Join-Path (Get-SystemFolder 'CommonApplicationData') $product
    @{
        program = $program; manifest = Join-Path $program 'manifest.json'; data = $data
        state = Join-Path $data 'state'; drop = Join-Path $data 'drop'
        config = Join-Path (Get-SystemFolder 'System') 'inetsrv\config'
    }
}

function Get-Key($Step) {
    switch ($Step.kind) {
        'grant' { "grant $($Step.path) $($Step.sid)" }
        { $_ -in 'source', 'task' } { "$_ $($Step.name)" }
        default { "$_ $($Step.path)" }
    }
}

function Find-Step($Manifest, $Step) {
    $key = Get-Key $Step
    $Manifest.steps | Where-Object { (Get-Key $_) -eq $key } | Select-Object -First 1
}

function Test-SameStep($One, $Other) {
    if (-not $One -or -not $Other) { return $false }
    @($fields[$One.kind] | Where-Object { "$($One[$_])" -cne "$($Other[$_])" }).Count -eq 0
}

# A step out of the manifest, where it is one that this script writes; otherwise an error.
function ConvertTo-Step($Place, $Read) {
    $kind = "$($Read.kind)"
    if (-not $fields.ContainsKey($kind)) { throw "a step of the kind '$kind'" }
    $step = @{ kind = $kind; state = 'done'; before = $null }
    foreach ($field in $fields[$kind]) { $step[$field] = "$($Read.$field)" }
    if (-not (Test-OurStep $Place $step)) { throw "a $kind that is not ours: $(Get-Key $step)" }
    if ($Read.PSObject.Properties['state']) { $step.state = "$($Read.state)" }
    if ($Read.PSObject.Properties['before'] -and $Read.before) { $step.before = ConvertTo-Step $Place $Read.before }
    $step
}

# Whether a step speaks of what this script ever touches: a manifest that somebody edited leads nowhere else.
function Test-OurStep($Place, $Step) {
    $version = "$(if ($Step.ContainsKey('version')) { $Step.version })"
    if ($version -and $version -notmatch "^$release$") { return $false }
    switch ($Step.kind) {
        'folder' { $Step.path -in $Place.program, $Place.data, $Place.state, $Place.drop }
        'tree' { $Step.path -eq (Join-Path $Place.program $version) }
        'file' {
            $Step.path -eq (Join-Path $Place.program "$product.cmd") -or
                ($Step.path -eq (Join-Path $Place.program 'VERSION') -and $Step.text -match "^$release\r\n$")
        }
        'source' { $Step.name -eq $product }
        'grant' { $Step.path -eq $Place.config -and $Step.sid -match '^S-1-[0-9-]+$' }
        'task' {
            $Step.name -eq $product -and $Step.sid -match '^S-1-[0-9-]+$' -and $Step.every -match '^[0-9]{1,2}$' -and
                "$($Step.drop)$($Step.config)" -notmatch '"'
        }
    }
}

function Read-Manifest($Place) {
    $manifest = @{ steps = @() }
    if (-not (Test-Path -LiteralPath $Place.manifest)) { return $manifest }
    try {
        $read = Read-Text $Place.manifest | ConvertFrom-Json
        if ("$($read.schema)" -cne $schema) { throw "its schema is not $schema" }
        $manifest.steps = @($read.steps | ForEach-Object { ConvertTo-Step $Place $_ })
    } catch { throw "$($Place.manifest) is not as it was written: $($_.Exception.Message)" }
    $manifest
}

function Save-Manifest($Place, $Manifest) {
    if (-not (Test-Path -LiteralPath $Place.program)) { return }
    if (-not $Manifest.steps.Count) { return Remove-Text $Place.manifest }
    $text = @{ schema = $schema; steps = @($Manifest.steps) } | ConvertTo-Json -Depth 5
    Write-Text $Place.manifest $text
}

# Whether the folder of the program was made and nothing more: a manifest that was never whole is nothing.
function Test-Bare($Place) {
    $there = Get-ChildItem -LiteralPath $Place.program -Force -ErrorAction SilentlyContinue
    (Test-Path -LiteralPath $Place.program) -and -not ($there | Where-Object { $_.Name -ne 'manifest.json.new' })
}

function Set-Step($Place, $Manifest, $Step) {
    $key = Get-Key $Step
    $others = @($Manifest.steps | Where-Object { (Get-Key $_) -ne $key })
    $at = @($Manifest.steps | ForEach-Object { Get-Key $_ }).IndexOf($key)
    if ($at -ge 0) { $Manifest.steps[$at] = $Step } else { $Manifest.steps = $others + $Step }
    Save-Manifest $Place $Manifest
}

function Remove-Entry($Place, $Manifest, $Step) {
    $key = Get-Key $Step
    $Manifest.steps = @($Manifest.steps | Where-Object { (Get-Key $_) -ne $key })
    Save-Manifest $Place $Manifest
}
