# The checks before anything is written. What throws here is a refusal, its message one sentence.

# Who may change what runs as SYSTEM: SYSTEM, Administrators, TrustedInstaller, and CREATOR OWNER, who is one of them.
$trusted = @(
    $systemSid, 'S-1-5-32-544', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464', 'S-1-3-0'
)
$isNarrow = 'is 32-bit, to which Windows shows another configuration of IIS (WOW64)'
# FileSystemRights: WriteData, AppendData, WriteExtendedAttributes, DeleteSubdirectoriesAndFiles, WriteAttributes,
# Delete, ChangePermissions, TakeOwnership; generic write and generic all.
$writing = 0x2 -bor 0x4 -bor 0x10 -bor 0x40 -bor 0x100 -bor 0x10000 -bor 0x40000 -bor 0x80000 -bor 0x50000000

function Assert-Machine {
    if ("$env:OS" -ne 'Windows_NT') { throw 'this is not Windows' }
    if ([IntPtr]::Size -ne 8) { throw 'this PowerShell is 32-bit: start the one that is not called (x86)' }
    if (-not (Test-Administrator)) { throw 'this needs an elevated PowerShell: Run as administrator' }
}

# The sums of a wheelhouse, all of whose files are there as they were made, and no other.
function Assert-WheelHouse([string] $Folder) {
    $file = Join-Path $Folder 'SHA256SUMS'
    if (-not (Test-Path -LiteralPath $file)) { throw "$Folder is no wheelhouse: no SHA256SUMS (make wheelhouse)" }
    $sums = ConvertFrom-Sum (Read-Text $file)
    $found = Compare-Sum $Folder $sums
    $found.added = @($found.added | Where-Object { $_ -ne 'SHA256SUMS' })
    foreach ($how in 'missing', 'changed', 'added') {
        if ($found[$how].Count) { throw "the wheelhouse is not as it was made, ${how}: $(Format-Name $found[$how])" }
    }
    $sums
}

# The version of our wheel, with the beginning of the sum of what it needs, and the versions of Python of the others.
function Get-Offer([hashtable] $Sums) {
    $names = @($Sums.Keys)
    $own = @($names | Where-Object { $_ -cmatch '^wheels/iis_spn-([0-9][0-9A-Za-z.+!]*)-py3-none-any\.whl$' })
    if ($own.Count -ne 1 -or -not $Sums['requirements.txt']) { throw 'the wheelhouse is not one of iis-spn' }
    $tags = foreach ($name in $names) { if ($name -cmatch '-cp3([0-9]+)-cp3\1-win_amd64\.whl$') { [int]$matches[1] } }
    $needed = "$($Sums['requirements.txt'])".Substring(0, 8)
    @{ version = "$(($own[0] -split '-')[1])-$needed"; minors = @($tags | Sort-Object -Unique) }
}

# The newest Python that will do; where none will, why not.
function Select-Python([object[]] $Found, [int[]] $Minor) {
    $versions = @($Minor | ForEach-Object { "3.$_" })
    $fitting = @($Found | Where-Object { $_ -and $_.version -in $versions })
    $fitting = @($fitting | Sort-Object { [version]$_.version } -Descending)
    $faults = @($fitting | ForEach-Object { Get-PythonFault $_ })
    $sound = @($fitting | Where-Object { -not (Get-PythonFault $_) })
    if ($sound.Count) { return $sound[0].path }
    $why = if ($faults.Count) { $faults[0] } else { 'no Python that the wheels are for was found' }
    throw "${why}: install a 64-bit Python $($versions -join ', ') for all users (InstallAllUsers=1)"
}

# Why an installation will not do; nothing where it will.
function Get-PythonFault($Installation) {
    $path = $Installation.path
    if ($path -match '\\WindowsApps\\') { "$path is the Microsoft Store's, for one user" }
    elseif ($Installation.for -ne 'all') { "$path is one user's, who could change what the task runs" }
    elseif ($Installation.bits -ne 64) { "$path $isNarrow" }
}

# A Python that nobody but administrators can change, 64-bit, of a version that there are wheels for.
function Assert-Python([string] $Path, [int[]] $Minor) {
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { throw "there is no $Path" }
    if ($Path -match '\\WindowsApps\\') { throw "$Path is the Microsoft Store's, for one user" }
    $folder = Split-Path -Parent $Path
    foreach ($each in $folder, $Path, (Join-Path $folder 'Lib')) { Assert-Protected $each }
    $ask = 'import ensurepip, struct, sys, venv; print(*sys.version_info[:2], 8 * struct.calcsize(chr(80)))'
    $done = Invoke-Program $Path '-I', '-B', '-c', $ask
    if ($done.code -ne 0 -or $done.text -notmatch '^(\d+) (\d+) (\d+)$') {
        throw "$Path does not run: $($done.text) $($done.fault)"
    }
    if ($matches[3] -ne '64') { throw "$Path $isNarrow" }
    if ($matches[1] -ne '3' -or [int]$matches[2] -notin $Minor) {
        throw "$Path is Python $($matches[1]).$($matches[2]), for which there is no wheel"
    }
}

# Who but administrators may change a file or folder; nobody where it is empty.
function Select-Writer([object[]] $Entry) {
    $Entry | Where-Object {
        $_ -and $_.allows -and -not $_.inheritOnly -and $_.sid -notin $trusted -and ($_.rights -band $writing)
    } | ForEach-Object { $_.sid } | Sort-Object -Unique
}

function Assert-Protected([string] $Path) {
    $writers = @(Select-Writer (Get-AccessEntry $Path))
    if ($writers.Count) { throw "$Path can be changed by $(Format-Name $writers), who could change what the task runs" }
}

# The account of the task with its SID. A password would have to be stored: none is taken.
function Resolve-TaskAccount([string] $Name) {
    if (-not $Name) { throw 'name the account: -TaskAccount DOMAIN\name$ (a gMSA), or SYSTEM where that is meant' }
    if ($Name -in 'SYSTEM', 'NT AUTHORITY\SYSTEM') { return @{ account = 'SYSTEM'; sid = $systemSid } }
    if ($Name -notmatch '^[^\\@"]+\\[^\\@"]+\$$') { throw "$Name is neither a gMSA (DOMAIN\name`$) nor SYSTEM" }
    $sid = try { Get-Sid $Name } catch { throw "$Name is not known here: $($_.Exception.Message)" }
    @{ account = $Name; sid = $sid }
}

# A path as the line of a task can hold it.
function Assert-Argument([string] $Path) {
    if ($Path -match '["\r\n]|\\$' -or ($Path -and $Path -notmatch '^([A-Za-z]:\\|\\\\|/)')) {
        throw "$Path is no full path of a file or folder"
    }
}
