# collect.ps1 - what iis-spn has to know about this IIS server, printed as one framed text.
#
#   By hand, in an elevated PowerShell:    .\collect.ps1 > WEB01.snapshot
#   then, on any other computer:           iis-spn inspect WEB01.snapshot
#
# It changes nothing and sends nothing anywhere: it reads IIS's configuration, the web.config files below the
# virtual directories, and a few facts of the computer, and prints them. Of a configuration file only what iis-spn reads
# keeps its value, by the list below; everything else, passwords among it, is emptied before anything is printed.
#
# Windows PowerShell 5.1 and PowerShell 7, in Full and in Constrained Language; no modules beyond the built-in ones.
# In Constrained Language .NET cannot be called, so the answer is not compressed, and of files only UTF-8 and UTF-16 is
# read.
# The format of what it prints is docs/snapshot.md, the document inside it docs/snapshot.schema.json.

$ErrorActionPreference = 'Stop'             # what goes wrong is caught where it happens, and told
$ProgressPreference = 'SilentlyContinue'    # progress would stand among the errors of a remote session
$WarningPreference = 'SilentlyContinue'
Set-StrictMode -Off                         # a profile may have switched it on: then what is absent would be an error
$isFull = "$($ExecutionContext.SessionState.LanguageMode)" -eq 'FullLanguage'

$maximumBytes = 67108864                    # of one file: 64 MB
$maximumDirectories = 100000
$maximumSeconds = 60
$started = Get-Date
$files = @{}                                # path in the snapshot -> @{ text = ... } or @{ base64 = ... }
$unread = @{}                               # path on this server -> why it could not be read
$seen = @{}                                 # directories looked into

# -- what leaves this server ------------------------------------------------------------------------------------------

# What iis-spn reads of a configuration file: attributes, by the path of their element below <configuration>. All else
# is emptied: other attributes, text, comments, CDATA sections and processing instructions. Names and line breaks stay,
# so that every line keeps its number. The same table as in iis-spn, agent/iis/schema.py.
$readIn = @{
    'system.applicationHost' = ''
    'system.ftpServer' = ''
    'system.ftpServer/security' = ''
    'system.webServer' = ''
    'system.webServer/rewrite' = ''
    'system.webServer/security' = ''
    'system.webServer/security/authentication' = ''
    'system.webServer/tracing' = ''
    'system.webServer/webdav' = ''
    '' = ''
    'location' = 'allowOverride|inheritInChildApplications|overrideMode|path'
    'configSections' = ''
    'configSections/sectionGroup' = 'name'
    'configSections/section' = 'name|overrideModeDefault'
    'system.applicationHost/applicationPools' = 'configSource'
    'system.applicationHost/applicationPools/add' = 'autoStart|name'
    'system.applicationHost/applicationPools/add/processModel' = 'identityType|userName'
    'system.applicationHost/applicationPools/applicationPoolDefaults' = 'autoStart|name'
    'system.applicationHost/applicationPools/applicationPoolDefaults/processModel' = 'identityType|userName'
    'system.applicationHost/sites' = 'configSource'
    'system.applicationHost/sites/site' = 'id|name|serverAutoStart'
    'system.applicationHost/sites/site/bindings' = ''
    'system.applicationHost/sites/site/bindings/clear' = ''
    'system.applicationHost/sites/site/bindings/binding' = 'bindingInformation|protocol|sslFlags'
    'system.applicationHost/sites/site/applicationDefaults' = 'applicationPool|enabledProtocols'
    'system.applicationHost/sites/site/virtualDirectoryDefaults' = 'allowSubDirConfig'
    'system.applicationHost/sites/site/application' = 'applicationPool|enabledProtocols|path'
    'system.applicationHost/sites/site/application/virtualDirectory' = 'allowSubDirConfig|path|physicalPath'
    'system.applicationHost/sites/site/application/virtualDirectoryDefaults' = 'allowSubDirConfig'
    'system.applicationHost/sites/applicationDefaults' = 'applicationPool|enabledProtocols'
    'system.applicationHost/sites/virtualDirectoryDefaults' = 'allowSubDirConfig'
    'system.applicationHost/sites/siteDefaults' = 'serverAutoStart'
    'system.applicationHost/sites/siteDefaults/bindings' = ''
    'system.applicationHost/sites/siteDefaults/bindings/clear' = ''
    'system.applicationHost/sites/siteDefaults/bindings/binding' = 'bindingInformation|protocol|sslFlags'
    'system.webServer/globalModules' = 'configSource'
    'system.webServer/globalModules/add' = 'name'
    'configurationRedirection' = 'configSource|enabled|path'
    'webFarms' = 'configSource'
    'webFarms/webFarm' = ''
    'webFarms/webFarm/server' = 'address'
    'system.webServer/security/authentication/windowsAuthentication' =
        'authPersistNonNTLM|authPersistSingleRequest|configSource|enabled|lockAllAttributesExcept|' +
        'lockAllElementsExcept|lockAttributes|lockElements|lockItem|useAppPoolCredentials|' +
        'useKernelMode'
    'system.webServer/security/authentication/windowsAuthentication/providers' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem'
    'system.webServer/security/authentication/windowsAuthentication/providers/clear' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem'
    'system.webServer/security/authentication/windowsAuthentication/providers/add' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem|value'
    'system.webServer/security/authentication/windowsAuthentication/providers/remove' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem|value'
    'system.webServer/security/authentication/windowsAuthentication/extendedProtection' =
        'flags|lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem|' +
        'tokenChecking'
    'system.webServer/security/authentication/windowsAuthentication/extendedProtection/clearSpns' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem'
    'system.webServer/security/authentication/windowsAuthentication/extendedProtection/spn' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem|name'
    'system.webServer/security/authentication/windowsAuthentication/extendedProtection/removeSpn' =
        'lockAllAttributesExcept|lockAllElementsExcept|lockAttributes|lockElements|lockItem|name'
}
$rowNames = @($readIn.Keys)
# A <location> is passed through, and so are groups of sections.
$within = @{ 'location' = ''; 'configSections/sectionGroup' = 'configSections' }

$markup = '(\A\ufeff|<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<(?>[^>"'']+|"[^"]*"|''[^'']*'')+>)'
$quoted = '("[^"]*"|''[^'']*'')'
$otherVersion = '(?<=\A<\?xml)(\s+version\s*=\s*["''])(?!1\.[0-9]["''])[^"'']*'
$namespaces = '\A.(?:http://schemas\.microsoft\.com/XML-Document-Transform|http://www\.w3\.org/XML/1998/namespace).\z'

# The row of $readIn that an element is; $null where nothing of it is read.
function Get-Row($above, [string]$name, $isRoot) {
    if ($isRoot) {
        if ($name -ceq 'configuration') { return '' }
        $isFile = { $readIn[$_] -cmatch '\bconfigSource\b' -and ($_ -creplace '.*/') -ceq $name }   # of one section
        return $rowNames | Where-Object $isFile
    }
    if ($null -eq $above) { return }
    if ($rowNames -ccontains $above -and $null -ne $within[$above]) { $above = $within[$above] }
    $row = "$above/$name" -creplace '\A/'
    if ($rowNames -ccontains $row) { $row }
}

# A start tag in which only the listed attributes keep their values. The name of a namespace must not be empty where it
# has a prefix: it is called as its prefix.
function Hide-Value([string]$tag, [string]$listed) {
    $keeps = '(?!)'
    if ($listed) { $keeps = "\s(?:$listed)\s*=\s*\z" }
    $before = ''
    $isValue = $false
    $parts = foreach ($part in $tag -csplit $quoted) {
        if (-not $isValue -or $before -cmatch $keeps) { $part }
        elseif ($before -cmatch '\sxmlns(?::([^\s=]+))?\s*=\s*\z' -and $part -cnotmatch $namespaces) {
            $quote = $part -creplace '(?<=\A.)[\s\S]+'
            "$quote$($matches[1])$($part -creplace '[^\r\n]+')$quote"
        } elseif ($before -cmatch '\sxmlns(?::[^\s=]+)?\s*=\s*\z') { $part }
        else { $part -creplace '(?<!\A)[^\r\n](?!\z)' }
        $before = $part
        $isValue = -not $isValue
    }
    $parts -join ''
}

# A configuration file, which has to be well-formed, with nothing in it but what is read.
function Hide-Unread([string]$text) {
    $rows = @{}                                 # of the open elements, by their depth
    $depth = 0
    $isMarkup = $false
    $pieces = foreach ($piece in $text -csplit $markup) {
        $breaks = $piece -creplace '[^\r\n]+'
        if (-not $isMarkup) { if ($piece -cmatch '[^ \t\r\n]') { $breaks } else { $piece } }
        elseif ($piece -cmatch '\A</') { $depth--; $piece }
        elseif ($piece -cmatch '\A<!--') { "<!--${breaks}-->" }
        elseif ($piece -cmatch '\A<!\[') { "<![CDATA[${breaks}]]>" }
        elseif ($piece -cmatch '\A<\?xml\s') { $piece -creplace $otherVersion, '${1}1.0' }
        elseif ($piece -cmatch '\A<\?') { "<?x${breaks}?>" }
        elseif ($piece -cmatch '\A<(?:[^\s/>]*:)?([^\s/>]+)') {
            $row = Get-Row $rows[$depth] $matches[1] ($depth -eq 0)
            $listed = ''
            if ($null -ne $row) { $listed = $readIn[$row] }
            Hide-Value $piece $listed
            if ($piece -cnotmatch '/>\z') { $depth++; $rows[$depth] = $row }
        } else { $piece }
        $isMarkup = -not $isMarkup
    }
    $pieces -join ''
}

# Why nothing of a text is kept, and the line: it is no XML, or has a DTD. Nothing where it is one without.
function Get-Fault([string]$text) {
    if ($text -cnotmatch '[^\s\ufeff]') { return @{ text = ''; malformed = 'the file is empty'; line = 1 } }
    if ($text -cmatch '\A\ufeff?(?>\s+|<\?[\s\S]*?\?>|<!--[\s\S]*?-->)*<!DOCTYPE') {
        $line = @($matches[0] -csplit '\r\n?|\n').Count
        return @{ text = ''; malformed = 'it has a document type definition (DTD), which is refused'; line = $line }
    }
    # Select-Xml would tell the fault in words only, and in those the whole file.
    try { $null = [xml]($text -creplace '\A\ufeff') }
    catch {
        $cause = $_.Exception
        while ($cause.InnerException) { $cause = $cause.InnerException }
        if (-not $cause.LineNumber) { return @{ text = ''; malformed = 'not well-formed XML' } }
        @{ text = ''; malformed = 'not well-formed XML'; line = $cause.LineNumber }
    }
}

# -- files ------------------------------------------------------------------------------------------------------------

function Get-Reason($failure) {
    $what = "$($failure.CategoryInfo.Category) $($failure.Exception)"
    if ($what -match 'PermissionDenied|UnauthorizedAccessException|SecurityException') { 'access denied' }
    elseif ($what -match 'ObjectNotFound|NotFoundException') { 'not found' }
    else { "$($failure.Exception.Message)" -replace '[\p{C}\p{Z}]+', ' ' }
}

# Full Language only: what a file says, to the last byte, and the encoding that it says it in.
function Read-Exactly([string]$path) {
    $bytes = [IO.File]::ReadAllBytes($path)
    $wide = Get-WideEncoding "$($bytes[0]) $($bytes[1])"
    $named = 'utf-8'
    if (-not $wide) {
        $head = [Text.Encoding]::GetEncoding(28591).GetString($bytes, 0, [Math]::Min(1000, $bytes.Count))
        if ($head -cmatch $declared) { $named = $matches[1] }
        if ($named -notmatch $narrow) { throw 'its encoding is none that iis-spn knows for certain' }
    }
    $isPlain = -not $wide -and $named -match '\Autf-8\z'
    if ($wide) { $encoding = New-Object Text.UnicodeEncoding ($wide -eq 'BigEndianUnicode'), $true, $true }
    elseif ($isPlain) { $encoding = New-Object Text.UTF8Encoding $false, $true }
    else { $encoding = [Text.Encoding]::GetEncoding($named) }
    try { $text = $encoding.GetString($bytes) } catch { throw "its text is not $($encoding.WebName)" }
    @{ text = $text; encoding = $encoding; isPlain = $isPlain }
}

# Full Language only.
function ConvertTo-Base64([string]$text, $encoding) { [Convert]::ToBase64String($encoding.GetBytes($text)) }

# UTF-16 is known by its mark, or by the zero in its first character.
function Get-WideEncoding([string]$first) {
    if ($first -cmatch '\A(?:255 254|[1-9][0-9]* 0)\z') { 'Unicode' }
    elseif ($first -cmatch '\A(?:254 255|0 .*)\z') { 'BigEndianUnicode' }
}
$declared = '\A(?:\ufeff|\xef\xbb\xbf)?<\?xml\s[^>]*?\bencoding\s*=\s*["'']([^"'']*)["'']'
$narrow = '\A(?:utf-8|us-ascii|iso-8859-[0-9]{1,2}|(windows-|cp)125[0-8]|koi8-[ru]|(ibm|cp)8[0-9]{2})\z'
$bytewise = @{ Encoding = 'Byte' }
if ($PSVersionTable.PSVersion.Major -ge 6) { $bytewise = @{ AsByteStream = $true } }

# What a file says, where only cmdlets can read it: UTF-16 or UTF-8. Nobody can tell what else is written in.
function Read-Text([string]$path) {
    $wide = Get-WideEncoding (@(Get-Content -LiteralPath $path -TotalCount 2 @bytewise) -join ' ')
    $encoding = 'UTF8'
    if ($wide) { $encoding = $wide }
    $text = "$(Get-Content -LiteralPath $path -Raw -Encoding $encoding)"
    $named = 'utf-8'
    if ($wide) { $named = 'utf-16' }
    if ($text -cmatch $declared) { $named = $matches[1] }
    $isAsSaid = $named -match $(if ($wide) { '\Autf-16\z' } else { '\Autf-8\z' })
    $isAscii = -not $wide -and $named -match $narrow -and $text -cnotmatch '[^\x00-\x7f]'
    if ($text -cmatch '[\ufffd\x00]' -or -not ($isAsSaid -or $isAscii)) {
        throw 'its characters cannot be told for certain in Constrained Language'
    }
    @{ text = $text }
}

# A file as it leaves this server, and its text; $null where nothing of it is kept but why.
function Read-File([string]$path) {
    $item = Get-Item -LiteralPath $path -Force
    if ($item.PSIsContainer) { throw 'a folder, not a file' }
    if ($item.Length -gt $maximumBytes) { throw 'larger than 64 MB' }
    if ($isFull) { $file = Read-Exactly $item.FullName } else { $file = Read-Text $path }
    $fault = Get-Fault $file['text']
    if ($fault) { return @{ text = $null; entry = $fault } }
    $text = Hide-Unread $file['text']
    $entry = @{ text = $text }
    if ($isFull) { if (-not $file['isPlain']) { $entry = @{ base64 = ConvertTo-Base64 $text $file['encoding'] } } }
    @{ text = $text; entry = $entry }
}

# Reads a file into the snapshot and answers its text, $null where it could not be read.
function Add-File([string]$name, [string]$path, [switch]$optional) {
    try {
        $read = Read-File $path
        $files[$name] = $read['entry']
        $read['text']
    } catch {
        $why = Get-Reason $_
        if (-not ($optional -and $why -eq 'not found')) { $unread[$path] = $why }
    }
}

# C:\inetpub as files/C/inetpub, \\server\share as files/UNC/server/share.
function Get-StoredName([string]$path) {
    'files/' + ($path -replace '^\\\\', 'UNC\' -replace '^([A-Za-z]):', '$1' -replace '\\+', '/')
}

# A physical path as the configuration writes it: variables filled in, no backslash at its end. Throws where nobody can
# tell which folder is meant: from some paths Windows drops a dot or a blank at the end of a name, in others it stays.
function Expand-PhysicalPath([string]$path) {
    $parts = $path -split '%([^%]+)%'       # text, variable, text, ...
    $whole = ''
    for ($i = 0; $i -lt $parts.Count; $i++) {
        $part = $parts[$i]
        if ($i % 2) {
            $part = (Get-Item -LiteralPath "env:$part" -ErrorAction SilentlyContinue).Value
            if (-not $part) { throw "the variable %$($parts[$i])% is not known" }
        }
        $whole += $part
    }
    $whole = $whole -replace '/', '\' -replace '^\\\\\?\\UNC\\', '\\' -replace '^\\\\\?\\' -replace '\\+\z'
    if ($whole -notmatch '^([A-Za-z]:(\\|\z)|\\\\[^\\.?])') { throw 'it is no full path' }
    if ($whole -match '\\\.\.(\\|\z)') { throw 'the path leads upwards' }
    if ($whole -match '\\(?!\.(\\|\z))[^\\]*[. ](\\|\z)') { throw 'a name in it ends in a dot or a blank' }
    $whole
}

function Select-Value([string]$text, [string]$xpath) {
    foreach ($found in Select-Xml -Content ($text -replace '^\ufeff') -XPath $xpath) { "$($found.Node.Value)" }
}

# -- web.config -------------------------------------------------------------------------------------------------------

# Whether a web.config can have a say about windowsAuthentication, or is one that IIS would refuse.
function Test-Relevant($text) {
    if ($null -eq $text) { return $true }
    if ($text -match 'windowsAuthentication|configSource|configSections|system\.webServer') { return $true }
    if ($text -match 'XML-Document-Transform') { return $true }
    (Select-Xml -Content ($text -creplace '\A\ufeff') -XPath '/*').Node.LocalName -cne 'configuration'
}

function Add-WebConfig([string]$folder) {
    $path = "$folder\web.config"
    try { $read = Read-File $path } catch { $unread[$path] = Get-Reason $_; return }
    $text = $read['text']
    if (Test-Relevant $text) { $files[(Get-StoredName $path)] = $read['entry'] }
    if ($text -notmatch 'configSource') { return }
    try { $sources = @(Select-Value $text '//*[local-name()="windowsAuthentication"]/@configSource') } catch { return }
    foreach ($source in $sources) {
        if ($source -and $source -notmatch '\.\.|:|^[\\/]') {
            $named = "$folder\$source" -replace '/', '\'
            $null = Add-File (Get-StoredName $named) $named
        }
    }
}

# What a directory really is: the target of a link, else its name below what the directory above really is.
function Get-RealPath($directory, [string]$above) {
    $real = "$above\$($directory.Name)"
    $target = $null
    if ("$($directory.Attributes)" -match 'ReparsePoint') {
        try { $target = "$(@($directory.Target)[0])" } catch { }    # no link, or one that may not be read
    }
    if ($target) {
        $real = $target
        if ($target -notmatch '^([A-Za-z]:|[\\/]|UNC\\)') { $real = "$above\$target" }
        while ($real -match '\\[^\\]+\\\.\.(\\|$)') { $real = $real -replace '\\[^\\]+\\\.\.(?=\\|$)' }
    }
    $real -replace '\\+$'
}

# Looks into one directory; answers the directories to look into next. Links are followed as IIS follows them, but
# none that leads to where one came from ("above").
function Search-Directory($place) {
    $path = $place['path']
    if ($seen[$path]) { return }
    $limit = $null
    if ($seen.Count -ge $maximumDirectories) { $limit = "not looked at: more than $maximumDirectories directories" }
    $seconds = ((Get-Date) - $started).TotalSeconds
    if ($seconds -gt $maximumSeconds) { $limit = "not looked at after $maximumSeconds seconds" }
    if ($limit) { $unread["$path\web.config"] = $limit; return }
    $seen[$path] = $true
    try {
        $children = @(Get-ChildItem -LiteralPath "$path\" -Directory -Force)
        $hasConfig = Test-Path -LiteralPath "$path\web.config"
    } catch {
        $why = Get-Reason $_
        # A folder of this computer that does not exist has no web.config; a share may just be out of reach, as a
        # remote session cannot log on from here to a second server.
        $isGone = $why -eq 'not found' -and $place['isRoot'] -and $path -notmatch '^\\\\'
        if (-not $isGone) { $unread["$path\web.config"] = $why }
        return
    }
    if ($hasConfig) { Add-WebConfig $path }
    foreach ($child in $children) {
        $real = Get-RealPath $child $place['real']
        if ($place['above'] -contains $real) { continue }
        @{ path = "$path\$($child.Name)"; real = $real; above = $place['above'] + $real; isRoot = $false }
    }
}

# A virtual directory's folder, with the folders above it.
function Get-Root([string]$physical) {
    if (-not $physical) { return }
    try { $path = Expand-PhysicalPath $physical } catch { $unread[$physical] = Get-Reason $_; return }
    $above = @($path)
    while ($above[-1] -match '^(.*[^\\])\\[^\\]+$') { $above += $matches[1] }
    @{ path = $path; real = $path; above = $above; isRoot = $true }
}

# -- the configuration of IIS -----------------------------------------------------------------------------------------

$folder = "$env:windir\System32\inetsrv\config"
# A 32-bit process sees a copy there. An x64 process on ARM64 is emulated too, but sees the real one.
if ($env:PROCESSOR_ARCHITEW6432 -and 'x86', 'ARM' -contains $env:PROCESSOR_ARCHITECTURE) {
    $folder = "$env:windir\Sysnative\inetsrv\config"
}
$configuration = Add-File 'applicationHost.config' "$folder\applicationHost.config"
if ($unread["$folder\applicationHost.config"] -eq 'not found') {      # Windows says so of what one may not see, too
    $unread["$folder\applicationHost.config"] = 'not found: IIS is not installed, or this takes administrator rights'
}
$redirection = Add-File 'redirection.config' "$folder\redirection.config" -optional
$texts = @("$configuration", "$redirection")

# While a redirection is enabled IIS reads the applicationHost.config of another folder, mostly on a share.
if ($redirection) {
    try {
        $enabled = Select-Value $redirection '//*[local-name()="configurationRedirection"]/@enabled'
        if ("$enabled" -match '^\s*true\s*$') {
            $configuration = $null
            $shared = "$(Select-Value $redirection '//*[local-name()="configurationRedirection"]/@path')"
            $shared = Expand-PhysicalPath ($shared -replace '^\s+|\s+$')
            $shared = "$shared\applicationHost.config"
            $configuration = Add-File (Get-StoredName $shared) $shared
            $texts += "$configuration"
        }
    } catch { $configuration = $null }      # it is not known which file counts: the reader tells
} elseif ($unread["$folder\redirection.config"]) { $configuration = $null }

$places = @()
if ($configuration) {
    $physicalPaths = @()
    try { $physicalPaths = Select-Value $configuration '//*[local-name()="virtualDirectory"]/@physicalPath' }
    catch { $configuration = $null }        # not XML: the reader tells
    $places = @(foreach ($physicalPath in $physicalPaths) { Get-Root $physicalPath })
}
while ($places.Count) { $places = @(foreach ($place in $places) { Search-Directory $place }) }

# -- facts of the computer --------------------------------------------------------------------------------------------

# Full Language only: the NetBIOS name of the domain this computer belongs to.
function Get-ShortDomain {
    $info = New-Object -ComObject ADSystemInfo
    $info.GetType().InvokeMember('DomainShortName', 'GetProperty', $null, $info, $null)
}

$machine = @{ name = "$env:COMPUTERNAME"; collected_at = '{0:s}Z' -f (Get-Date).ToUniversalTime() }
$services = 'HKLM:\SYSTEM\CurrentControlSet\Services'
$control = 'HKLM:\SYSTEM\CurrentControlSet\Control'

$tcpip = Get-ItemProperty -LiteralPath "$services\Tcpip\Parameters" -ErrorAction SilentlyContinue
if ($tcpip.Hostname) { $machine['dns_name'] = "$($tcpip.Hostname).$($tcpip.Domain)" -replace '\.+$' }

try {
    $system = Get-CimInstance -ClassName Win32_ComputerSystem -Property @('Domain', 'DomainRole')
    $machine['domain_controller'] = 4, 5 -contains $system.DomainRole
    if (1, 3, 4, 5 -contains $system.DomainRole) {
        $machine['membership'] = 'domain'
        $machine['domain'] = "$($system.Domain)"
        # Whoever runs this is mostly of the same domain; else Windows is asked.
        $isMine = $env:USERDOMAIN -and $env:USERDNSDOMAIN -eq $system.Domain
        if ($isMine) { $machine['netbios_domain'] = "$env:USERDOMAIN" }
        elseif ($isFull) { try { $machine['netbios_domain'] = "$(Get-ShortDomain)" } catch { } }
    }
    elseif (Test-Path -Path "$control\CloudDomainJoin\JoinInfo\*") { $machine['membership'] = 'entra' }
    else { $machine['membership'] = 'workgroup' }
} catch { }                                 # facts that are not given stay unknown

try {
    $adapters = Get-CimInstance -ClassName Win32_NetworkAdapterConfiguration -Filter 'IPEnabled=TRUE'
    $addresses = $adapters | ForEach-Object { $_.IPAddress } | ForEach-Object { "$_" -replace '%.*' }
    $machine['addresses'] = @($addresses | Where-Object { $_ -and $_ -ne '::1' -and $_ -notlike '127.*' })
} catch { }

$registry = @{}
foreach ($value in @("$control\Lsa\MSV1_0", 'BackConnectionHostNames'), @("$control\Lsa", 'DisableLoopbackCheck'),
    @("$services\HTTP\Parameters", 'MaxFieldLength'), @("$services\HTTP\Parameters", 'MaxRequestBytes')) {
    $name = $value[1]
    $given = (Get-ItemProperty -LiteralPath $value[0] -Name $name -ErrorAction SilentlyContinue).$name
    if ($null -eq $given) { continue }
    if ($name -eq 'BackConnectionHostNames') { $given = @($given | Where-Object { $_ } | ForEach-Object { "$_" }) }
    $registry[$name] = $given
}
$machine['registry'] = $registry

$words = @{
    Running = 'running'; Stopped = 'stopped'; Paused = 'paused'; StartPending = 'start_pending'
    StopPending = 'stop_pending'; PausePending = 'pause_pending'; ContinuePending = 'continue_pending'
}
try {
    $states = @{}
    foreach ($name in 'W3SVC', 'WAS', 'WMSVC', 'WinRM') {
        $service = Get-Service -Name $name -ErrorAction SilentlyContinue
        if ($service) { $states[$name] = "$($words["$($service.Status)"])" }
    }
    $machine['services'] = $states
} catch { }                                 # the service manager does not talk to everybody

try {
    $wanted = @('ProcessId', 'CommandLine', 'Handle')
    $workers = Get-CimInstance -ClassName Win32_Process -Filter "Name='w3wp.exe'" -Property $wanted
    $machine['worker_processes'] = @(foreach ($worker in $workers) {
        if ("$($worker.CommandLine)" -notmatch '-ap\s+"([^"]+)"') { continue }
        $pool = $matches[1]
        try { $owner = Invoke-CimMethod -InputObject $worker -MethodName GetOwner } catch { continue }  # it has ended
        $account = "$($owner.Domain)\$($owner.User)"
        if ($owner.User) { @{ pool = $pool; pid = [int]$worker.ProcessId; account = $account } }
    })
} catch { }

# The DNS names among a certificate's subject alternative names, out of their DER: as text Windows says them in its own
# language. A length over 127 is preceded by how many bytes say it.
function Get-DnsName($certificate) {
    $der = @(($certificate.Extensions | Where-Object { $_.Oid.Value -eq '2.5.29.17' }).RawData)
    $i = 0
    while ($i + 1 -lt $der.Count) {
        $tag = $der[$i]
        $length = $der[$i + 1]
        $i += 2
        if ($length -gt 127) {
            $end = $i + $length - 128
            $length = 0
            for (; $i -lt $end; $i++) { $length = $length * 256 + $der[$i] }
        }
        if ($tag -eq 0x30) { continue }     # the list of names: go into it
        if ($tag -eq 0x82 -and $length -ge 1 -and $length -le 255) {   # a DNS name
            $name = -join @($der[$i..($i + $length - 1)] | ForEach-Object { [char]$_ })
            if ($name -cmatch '^[A-Za-z0-9*_.-]+$') { $name }
        }
        $i += $length
    }
}

# The names in the certificate of each endpoint of http.sys: address and port, or with SNI host name and port. Only the
# certificate is read, no private key.
function Get-BoundName {
    $bound = @{}
    foreach ($table in 'SslBindingInfo', 'SslSniBindingInfo') {
        foreach ($key in Get-ChildItem -LiteralPath "$services\HTTP\Parameters\$table" -ErrorAction SilentlyContinue) {
            $entry = Get-ItemProperty -LiteralPath $key.PSPath
            $endpoint = "$($entry.HostnamePort)"
            if (-not $endpoint) { $endpoint = "$($key.PSChildName)" }
            $store = "$($entry.SslCertStoreName)"
            if (-not $store) { $store = 'MY' }
            $hash = -join @($entry.SslCertHash | ForEach-Object { '{0:X2}' -f $_ })
            $certificate = Get-Item -LiteralPath "Cert:\LocalMachine\$store\$hash" -ErrorAction SilentlyContinue
            $bound[$endpoint] = @(Get-DnsName $certificate)
        }
    }
    $bound
}

if ($configuration -and (Test-Path -LiteralPath 'Cert:\LocalMachine')) {
    try {
        $bound = Get-BoundName
        $xpath = '//*[local-name()="sites"]/*[local-name()="site"]'
        $https = '/*[local-name()="bindings"]/*[translate(@protocol,"HTPS","htps")="https"]/@bindingInformation'
        $text = $configuration -replace '^\ufeff'
        $sites = @(foreach ($found in Select-Xml -Content $text -XPath "$xpath/@name | $xpath$https") {
            if ($found.Node.LocalName -eq 'name') {
                $site = @{ site = "$($found.Node.Value)"; names = @() }
                $site
            } elseif ("$($found.Node.Value)" -match '^(\[[^\]]*\]|[^:]*):(\d+):(.*)$') {
                $address = $matches[1] -replace '^\*?$', '0.0.0.0'
                $names = $bound["$($matches[3]):$($matches[2])"]
                if ($null -eq $names) { $names = $bound["${address}:$($matches[2])"] }
                $site['names'] += @($names | Where-Object { $_ -and $site['names'] -notcontains $_ })
            }
        })
        $machine['certificate_names'] = @($sites | Where-Object { $_['names'] })
    } catch { }
}

# Accounts whose keys an Exchange server decrypts with, too: only where its own shell runs this, which has the cmdlet.
if (Test-Path -LiteralPath 'function:Get-ClientAccessService') {
    try {
        $told = Get-ClientAccessService -Identity $env:COMPUTERNAME -IncludeAlternateServiceAccountCredentialStatus
        $told = "$($told.AlternateServiceAccountConfiguration)"      # Latest: 1/12/2026 10:37:59 AM, TEST\EXASA$
        if ($told) {
            $accounts = Select-String -InputObject $told -Pattern '[^\s,\\]+\\[^\s,\\]+' -AllMatches
            $accounts = @($accounts.Matches | ForEach-Object { "$($_.Value)" } | Where-Object { $_ })
            $machine['additional_kerberos_accounts'] = $accounts
        }
    } catch { }
}

# Only the variables that paths of the configuration use: the others are nobody's business.
$environment = @{}
$used = Select-String -InputObject ($texts -join ' ') -Pattern '%[A-Za-z_][A-Za-z0-9_().]{0,80}%' -AllMatches
$names = @($used.Matches | ForEach-Object { "$($_.Value)" -replace '%' } | Where-Object { $_ })
foreach ($name in @('SystemDrive', 'SystemRoot', 'windir') + $names) {
    $variable = Get-Item -LiteralPath "env:$name" -ErrorAction SilentlyContinue
    if ($variable) { $environment["$($variable.Name)"] = "$($variable.Value)" }
}
$machine['environment'] = $environment

$left = @(foreach ($path in $unread.Keys) {
    @{ path = $path -replace '[\p{C}\p{Zl}\p{Zp}]', '?'; why = $unread[$path] }
})
$machine['content'] = @{ looked = $null -ne $configuration; unread = $left }

# -- the answer -------------------------------------------------------------------------------------------------------

# Full Language only: gzip, in base64.
function Compress-Text([string]$text) {
    $bytes = [Text.Encoding]::UTF8.GetBytes($text)
    $stream = New-Object IO.MemoryStream
    $gzip = New-Object IO.Compression.GZipStream $stream, ([IO.Compression.CompressionMode]::Compress)
    $gzip.Write($bytes, 0, $bytes.Length)
    $gzip.Close()
    [Convert]::ToBase64String($stream.ToArray())
}

$document = @{ schema = 'iis-spn/snapshot/1'; machine = $machine; files = $files }
$content = ConvertTo-Json -InputObject $document -Depth 8 -Compress
if ($isFull) {
    $packing = 'gzip'
    $content = Compress-Text $content
} else {
    $packing = 'text'
    # What is not printable ASCII, and the bar, as \uXXXX: no code page can change it. "-c": ignoring case would take
    # the Kelvin sign for a k.
    $content = @(foreach ($piece in $content -csplit '([^ -{}~])') {
        if ($piece -cmatch '[^ -{}~]') { '\u{0:x4}' -f [int][char]$piece } else { $piece }
    }) -join ''
}

# At most 200 characters between two bars, and how many there are in all: what a console cuts off or wraps is noticed.
"iis-spn-snapshot 1 $packing $($content.Length)"
foreach ($piece in $content -split '(.{1,200})') { if ($piece) { "|$piece|" } }
"iis-spn-snapshot end $($content.Length)"
