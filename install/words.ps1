# What is said, on the screen and in the log.

function Write-Line([string] $Text) {
    Write-Information $Text -InformationAction Continue
    Write-Log $Text
}

function Write-Fault([string] $Text) {
    $Host.UI.WriteErrorLine($Text)
    Write-Log $Text
}

function Write-Log([string] $Text) {
    if (-not $LogPath -or $WhatIfPreference) { return }
    try { Add-Content -LiteralPath $LogPath -Value "$(Get-Date -Format s) $Text" -Encoding UTF8 }
    catch { $Host.UI.WriteErrorLine("not in the log: $($_.Exception.Message)") }
}

function Format-Name([object[]] $Name) {
    $shown = @($Name | Select-Object -First 5) -join ', '
    if (@($Name).Count -gt 5) { "$shown and $(@($Name).Count - 5) more" } else { $shown }
}
