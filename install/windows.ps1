# What only Windows can answer or do, each in a function of its own, which the tests replace.

function Get-SystemFolder([string] $Name) { [Environment]::GetFolderPath($Name) }

function Test-Administrator {
    $me = [Security.Principal.WindowsIdentity]::GetCurrent()
    $role = [Security.Principal.WindowsBuiltInRole]::Administrator
    (New-Object Security.Principal.WindowsPrincipal $me).IsInRole($role)
}

# The installations that PEP 514 lists: whose, how wide, which version, where.
function Get-RegisteredPython {
    $keys = @{ 'HKLM:\SOFTWARE' = 'all', 64; 'HKLM:\SOFTWARE\WOW6432Node' = 'all', 32; 'HKCU:\SOFTWARE' = 'one', 64 }
    foreach ($key in $keys.Keys) {
        $core = "$key\Python\PythonCore"
        if (-not (Test-Path -LiteralPath $core)) { continue }
        foreach ($tag in Get-ChildItem -LiteralPath $core) {
            $install = Get-Item -LiteralPath "$core\$($tag.PSChildName)\InstallPath" -ErrorAction SilentlyContinue
            if (-not $install) { continue }
            $path = $install.GetValue('ExecutablePath')
            if (-not $path) { $path = Join-Path "$($install.GetValue(''))" 'python.exe' }
            $bits = if ($tag.PSChildName -match '-32$') { 32 } else { $keys[$key][1] }
            $version = $tag.PSChildName -replace '-.*'
            @{ for = $keys[$key][0]; bits = $bits; version = $version; path = $path }
        }
    }
}

# The access control list of a file or folder, and nothing else of its security: to write that needs no more rights.
function Get-Access([string] $Path) {
    $item = Get-Item -LiteralPath $Path -Force
    if ($item.PSObject.Methods['GetAccessControl']) { return $item.GetAccessControl('Access') }
    [IO.FileSystemAclExtensions]::GetAccessControl($item, 'Access')    # PowerShell 7
}

function Set-Access([string] $Path, $Access) {
    $item = Get-Item -LiteralPath $Path -Force
    if ($item.PSObject.Methods['SetAccessControl']) { return $item.SetAccessControl($Access) }
    [IO.FileSystemAclExtensions]::SetAccessControl($item, $Access)
}

# Who may do what with a file or folder, by SID.
function Get-AccessEntry([string] $Path) {
    $rules = (Get-Access $Path).GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    foreach ($entry in $rules) {
        @{
            sid = "$($entry.IdentityReference)"; rights = [int]$entry.FileSystemRights
            allows = "$($entry.AccessControlType)" -eq 'Allow'
            inheritOnly = "$($entry.PropagationFlags)" -match 'InheritOnly'; inherited = $entry.IsInherited
        }
    }
}

function Get-Sid([string] $Account) {
    "$((New-Object Security.Principal.NTAccount $Account).Translate([Security.Principal.SecurityIdentifier]))"
}

function Set-Sddl([string] $Path, [string] $Sddl) {
    $acl = Get-Access $Path
    $acl.SetSecurityDescriptorSddlForm($Sddl, 'Access')
    Set-Access $Path $acl
}

function Get-ReadRule([string] $Sid) {
    $identity = New-Object Security.Principal.SecurityIdentifier $Sid
    $rule = $identity, 'ReadAndExecute', 'ContainerInherit, ObjectInherit', 'None', 'Allow'
    New-Object Security.AccessControl.FileSystemAccessRule $rule
}

function Add-ReadEntry([string] $Path, [string] $Sid) {
    $acl = Get-Access $Path
    $acl.AddAccessRule((Get-ReadRule $Sid))
    Set-Access $Path $acl
}

function Remove-ReadEntry([string] $Path, [string] $Sid) {
    $acl = Get-Access $Path
    $acl.RemoveAccessRuleSpecific((Get-ReadRule $Sid))
    Set-Access $Path $acl
}

# The source of an event, whose text is its first string: what EventCreate.exe's messages say.
function Get-SourceKey([string] $Name) { "HKLM:\SYSTEM\CurrentControlSet\Services\EventLog\Application\$Name" }

function Test-EventSource([string] $Name) { Test-Path -LiteralPath (Get-SourceKey $Name) }

function Add-EventSource([string] $Name) {
    $key = Get-SourceKey $Name
    $null = New-Item -Path $key -Force
    $file = '%SystemRoot%\System32\EventCreate.exe'
    $null = New-ItemProperty -LiteralPath $key -Name EventMessageFile -PropertyType ExpandString -Value $file -Force
    $null = New-ItemProperty -LiteralPath $key -Name TypesSupported -PropertyType DWord -Value 7 -Force
}

function Remove-EventSource([string] $Name) { Remove-Item -LiteralPath (Get-SourceKey $Name) -Recurse }

# The scheduled task of our name; nothing where there is none.
function Get-AgentTask {
    $found = Get-ScheduledTask -TaskName $product -TaskPath '\' -ErrorAction SilentlyContinue
    if ($found) { @{ running = "$($found.State)" -eq 'Running'; runs = "$(@($found.Actions)[0].Execute)" } }
}

# A group managed service account logs on with a password that Windows knows: no password is given here.
function Register-AgentTask($Entry, [string] $Program, [string] $Argument) {
    $logon = if ($Entry.sid -eq $systemSid) { 'ServiceAccount' } else { 'Password' }
    $hours = New-TimeSpan -Hours $Entry.every
    $manner = @{ MultipleInstances = 'IgnoreNew'; StartWhenAvailable = $true; ExecutionTimeLimit = $hours }
    $what = @{
        Action = New-ScheduledTaskAction -Execute $Program -Argument $Argument
        Trigger = New-ScheduledTaskTrigger -Once -At '00:00' -RepetitionInterval $hours -RandomDelay '00:05:00'
        Principal = New-ScheduledTaskPrincipal -UserId $Entry.account -LogonType $logon -RunLevel Limited
        Settings = New-ScheduledTaskSettingsSet @manner
        Description = 'Inspects this server with iis-spn and tells what changed. Registered by its install.ps1.'
    }
    $null = Register-ScheduledTask -TaskName $Entry.name -TaskPath '\' -Force @what
}

function Unregister-AgentTask([string] $Name) {
    Unregister-ScheduledTask -TaskName $Name -TaskPath '\' -Confirm:$false
}

# A program: its exit code, and as texts its output and what it wrote to stderr, which is no error of PowerShell's.
function Invoke-Program([string] $Path, [string[]] $Argument) {
    $ErrorActionPreference = 'Continue'
    $said = @(& $Path @Argument 2>&1)
    $isFault = { $_ -is [Management.Automation.ErrorRecord] }
    $faults = @($said | Where-Object $isFault | ForEach-Object { "$_" })
    $output = @($said | Where-Object { -not (& $isFault) } | ForEach-Object { "$_" })
    @{ code = $LASTEXITCODE; text = $output -join "`n"; fault = $faults -join "`n" }
}
