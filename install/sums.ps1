# Files, their SHA-256 sums, and how a text is written whole or not at all.

function Get-Sum([string] $Path) { (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant() }

# Every file below a folder, by its name there, with slashes. A link is a file: what it leads to is not below.
function Get-RelativeFile([string] $Folder) {
    $root = (Get-Item -LiteralPath $Folder -Force).FullName.TrimEnd('\', '/')
    Get-FileBelow $root | ForEach-Object { $_.Substring($root.Length + 1).Replace('\', '/') }
}

function Get-FileBelow([string] $Folder) {
    foreach ($item in Get-ChildItem -LiteralPath "$Folder/" -Force) {
        if ($item.PSIsContainer -and -not (Test-Link $item)) { Get-FileBelow $item.FullName } else { $item.FullName }
    }
}

# A junction or a symbolic link: who may write here could lead elsewhere who removes what is here.
function Test-Link($Item) { [bool]($Item.Attributes -band [IO.FileAttributes]::ReparsePoint) }

# What sha256sum writes, as a table by name. A name that leads out of the folder is an error.
function ConvertFrom-Sum([string] $Text) {
    $sums = @{}
    foreach ($line in $Text -split '\r?\n' | Where-Object { $_ }) {
        if ($line -cnotmatch '^([0-9a-f]{64})  (.+)$') { throw "no line of sums: $line" }
        $sum, $name = $matches[1], $matches[2]
        if ($name -match '(^|[/\\])\.\.?([/\\]|$)|^[/\\]|:') { throw "a name that leads elsewhere: $name" }
        $sums[$name] = $sum
    }
    $sums
}

function Format-Sum([string] $Folder) {
    $names = Get-RelativeFile $Folder | Sort-Object
    $lines = foreach ($name in $names) { "$(Get-Sum (Join-Path $Folder $name))  $name`n" }
    -join $lines
}

# What is missing, what was changed and what was added, of a folder whose sums are known.
function Compare-Sum([string] $Folder, [hashtable] $Sums) {
    $there = @{}
    if (Test-Path -LiteralPath $Folder) { Get-RelativeFile $Folder | ForEach-Object { $there[$_] = $true } }
    $known = @($there.Keys | Where-Object { $Sums.ContainsKey($_) } | Sort-Object)
    @{
        missing = @($Sums.Keys | Where-Object { -not $there.ContainsKey($_) } | Sort-Object)
        changed = @($known | Where-Object { (Get-Sum (Join-Path $Folder $_)) -cne $Sums[$_] })
        added = @($there.Keys | Where-Object { -not $Sums.ContainsKey($_) } | Sort-Object)
    }
}

function Read-Text([string] $Path) { [IO.File]::ReadAllText($Path) }

# Whole or not at all: a cut leaves the old text.
function Write-Text([string] $Path, [string] $Text) {
    [IO.File]::WriteAllText("$Path.new", $Text, (New-Object Text.UTF8Encoding $false))
    if (Test-Path -LiteralPath $Path) { [IO.File]::Replace("$Path.new", $Path, [NullString]::Value) }
    else { [IO.File]::Move("$Path.new", $Path) }
}

# A text that Write-Text wrote, and what a cut in the midst of that left.
function Remove-Text([string] $Path) {
    foreach ($file in $Path, "$Path.new") {
        if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force }
    }
}
