# Programs are Windows programs, run under wine in a network of their own, in which there is nothing.

function ConvertTo-WindowsPath([string] $Path) {
    $drive = "$($Windows.wine)/pfx/drive_c/"
    if ($Path.StartsWith($drive)) { return 'C:\' + $Path.Substring($drive.Length).Replace('/', '\') }
    if ($Path.StartsWith('/')) { return 'Z:' + $Path.Replace('/', '\') }
    $Path
}

function Invoke-Program([string] $Path, [string[]] $Argument) {
    $words = @($Path) + $Argument | ForEach-Object { ConvertTo-WindowsPath $_ }
    $done = & $invokeProgram 'unshare' (@('--net', "$($Windows.wine)/wpy", '--exe') + $words)
    $done.text = $done.text.Trim()
    $done
}
