# Accounts with their SPNs in $global:AD, of kind user, computer (name ends with $) or managed: what the scripts of a
# plan use of the real module, with its parameters. $global:Refuse names changes ("Add HTTP/x") that the controller
# refuses.
function Find-One($Identity) {
    $id = if ($Identity -is [string]) { $Identity } else { $Identity.SamAccountName }
    if (-not $global:AD.ContainsKey($id)) { throw "Cannot find an object with identity: '$id'" }
    [pscustomobject]@{
        SamAccountName = $id
        DistinguishedName = "CN=$id,DC=test,DC=com"
        servicePrincipalName = @($global:AD[$id])
        allowedAttributesEffective = @('servicePrincipalName')
    }
}
function Set-One($Identity, [hashtable] $Values) {
    $id = (Find-One $Identity).SamAccountName
    foreach ($verb in $Values.Keys) {
        $change = "$verb $($Values[$verb])"
        if ($global:Refuse -contains $change) { throw 'Insufficient access rights to perform the operation' }
        if ($verb -eq 'Add') {
            foreach ($other in @($global:AD.Keys)) {
                if ($global:AD[$other] -contains $Values[$verb]) { throw 'The SPN is not unique forest-wide (8647)' }
            }
            $global:AD[$id] = @($global:AD[$id]) + $Values[$verb]
        } elseif ($verb -eq 'Remove') {
            $global:AD[$id] = @($global:AD[$id] | Where-Object { $_ -ne $Values[$verb] })
        } else {
            throw "not for a plan: $verb"
        }
        $global:Log += "$id $change"
    }
}
function Get-ADDomainController {
    [CmdletBinding()] param([switch] $Discover, [switch] $Writable, [string] $DomainName)
    [pscustomobject]@{ HostName = [string[]] @("dc1.$DomainName") }
}
function Get-ADObject {
    [CmdletBinding()] param([string] $LDAPFilter, [string] $Server)
    $spn = $LDAPFilter -replace '^\(servicePrincipalName=' -replace '\)$'
    foreach ($id in @($global:AD.Keys)) { if ($global:AD[$id] -contains $spn) { Find-One $id } }
}
function Get-ADUser {
    [CmdletBinding()] param($Identity, [string[]] $Properties, [string] $Server)
    Find-One $Identity
}
function Get-ADComputer {
    [CmdletBinding()] param($Identity, [string[]] $Properties, [string] $Server)
    Find-One $Identity
}
function Get-ADServiceAccount {
    [CmdletBinding()] param($Identity, [string[]] $Properties, [string] $Server)
    Find-One $Identity
}
function Set-ADUser {
    [CmdletBinding(SupportsShouldProcess)]
    param($Identity, [hashtable] $ServicePrincipalNames, [string] $Server)
    Set-One $Identity $ServicePrincipalNames
}
function Set-ADComputer {
    [CmdletBinding(SupportsShouldProcess)]
    param($Identity, [hashtable] $ServicePrincipalNames, [string] $Server)
    Set-One $Identity $ServicePrincipalNames
}
function Set-ADServiceAccount {
    [CmdletBinding(SupportsShouldProcess)]
    param($Identity, [hashtable] $ServicePrincipalNames, [string] $Server)
    Set-One $Identity $ServicePrincipalNames
}
Export-ModuleMember -Function *-AD*
