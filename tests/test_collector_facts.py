"""collect.ps1 run for real: what it tells of certificates and of Exchange, in Full and in Constrained Language."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from parts import needs_powershell
from test_certificates import certificate
from test_collector import CONFIG_FOLDER, printed, put

from agent.iis.snapshot import CertificateNames, Machine
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.targets import from_document

pytestmark = needs_powershell
MODES = ("FullLanguage", "ConstrainedLanguage")


def told(root: Path, mode: str, more: str, sites: str = "") -> Machine:
    """What the script tells of a computer whose IIS has these sites."""
    (root / "C").mkdir(exist_ok=True)
    (root / "D").mkdir(exist_ok=True)
    text = "<configuration><system.applicationHost><sites>{}</sites></system.applicationHost></configuration>"
    put(root / CONFIG_FOLDER / "applicationHost.config", text.format(sites))
    return from_document(unframe(printed(root, mode, more), "WEB01"), "WEB01", None, {}).machine


# -- certificates --------------------------------------------------------------------------------------------------

HTTP_SYS = r"""
$tables = @{ TABLES }
$stored = @{ STORED }
function Get-ChildItem($LiteralPath, [switch]$Directory, [switch]$Force, $ErrorAction) {
    if ($LiteralPath -notlike 'HKLM:*') { return Microsoft.PowerShell.Management\Get-ChildItem @PSBoundParameters }
    foreach ($name in $tables[($LiteralPath -replace '.*\\')]) {
        [pscustomobject]@{ PSChildName = $name; PSPath = "Registry::$name" }
    }
}
function Get-ItemProperty($LiteralPath, $Name, $ErrorAction) {
    if ($LiteralPath -like 'Registry::*') { [pscustomobject]$entries[($LiteralPath -replace '^Registry::')] }
}
function Get-Item($LiteralPath, [switch]$Force, $ErrorAction) {
    if ($LiteralPath -like 'Cert:*') { $stored[$LiteralPath] }
    else { Microsoft.PowerShell.Management\Get-Item @PSBoundParameters }
}
function Test-Path($LiteralPath, $Path) {
    if ($LiteralPath -like 'Cert:*') { return $true }
    if ("$Path" -like 'HKLM:*') { return $false }
    Microsoft.PowerShell.Management\Test-Path @PSBoundParameters
}
$entries = @{ ENTRIES }
"""
READ = "New-Object Security.Cryptography.X509Certificates.X509Certificate2 (, [Convert]::FromBase64String('{}'))"


def http_sys(bound: Mapping[str, bytes], store: str = "") -> str:
    """A Windows whose http.sys has these certificates (DER) by endpoint."""
    entries, stored = [], {}
    tables: dict[str, list[str]] = {"SslBindingInfo": [], "SslSniBindingInfo": []}
    for endpoint, data in bound.items():
        digest = hashlib.sha1(data, usedforsecurity=False).digest()
        tables["SslBindingInfo" if endpoint[0] in "0123456789[" else "SslSniBindingInfo"].append(f"'{endpoint}'")
        name = f"; SslCertStoreName = '{store}'" if store else ""
        entries.append(f"'{endpoint}' = @{{ SslCertHash = [byte[]]@({','.join(map(str, digest))}){name} }}")
        path = rf"Cert:\LocalMachine\{store or 'MY'}\{digest.hex().upper()}"
        stored[path] = f"'{path}' = {READ.format(base64.b64encode(data).decode())}"
    given = "; ".join(f"{name} = @({', '.join(endpoints)})" for name, endpoints in tables.items())
    text = HTTP_SYS.replace("TABLES", given).replace("STORED", "\n".join(stored.values()))
    return text.replace("ENTRIES", "\n".join(entries))


def site(name: str, *bindings: str) -> str:
    each = "".join(
        f'<binding protocol="{protocol}" bindingInformation="{information}"/>'
        for protocol, _, information in (text.partition(" ") for text in bindings)
    )
    return f'<site name="{name}" id="1"><bindings>{each}</bindings></site>'


A = certificate("a.test.com", "*.a.test.com", x509.RFC822Name("mail@test.com"))
B = certificate("b.test.com", "A.test.com")
MANY = certificate(*[f"web{number}.farm.test.com" for number in range(40)])
NONE = certificate()


@pytest.mark.parametrize("mode", MODES)
def test_certificates_of_the_bindings_name_hosts(tmp_path: Path, mode: str) -> None:
    bound = {"0.0.0.0:443": A, "0.0.0.0:8443": B, "10.0.0.5:444": MANY, "[fe80::5]:443": B, "x.test.com:443": NONE}
    machine = told(
        tmp_path,
        mode,
        http_sys(bound),
        site("Default", "https *:443:", "http *:80:")
        + site("By name", "https *:443:X.test.com")
        + site("Both", "https :443:www.test.com", "https *:8443:")
        + site("Many", "https 10.0.0.5:444:")
        + site("Six", "HTTPS [fe80::5]:443:")
        + site("Other", "https *:445:", "net.tcp 808:*"),
    )
    assert machine.certificate_names == (
        CertificateNames("Default", ("a.test.com", "*.a.test.com")),
        CertificateNames("Both", ("a.test.com", "*.a.test.com", "b.test.com")),
        CertificateNames("Many", tuple(f"web{number}.farm.test.com" for number in range(40))),
        CertificateNames("Six", ("b.test.com", "A.test.com")),
    )


@pytest.mark.parametrize("mode", MODES)
def test_certificate_may_be_in_another_store(tmp_path: Path, mode: str) -> None:
    machine = told(tmp_path, mode, http_sys({"0.0.0.0:443": A}, "WebHosting"), site("S", "https *:443:"))
    assert machine.certificate_names == (CertificateNames("S", ("a.test.com", "*.a.test.com")),)


# -- Exchange ------------------------------------------------------------------------------------------------------

EXCHANGE = """
function Get-ClientAccessService($Identity, [switch]$IncludeAlternateServiceAccountCredentialStatus) {{
    [pscustomobject]@{{ AlternateServiceAccountConfiguration = '{}' }}
}}
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("said", "accounts"),
    [
        ("Latest: 1/12/2026 10:37:59 AM, tailspin\\EXASA$\r\nPrevious: <Not set>\r\n", (r"tailspin\EXASA$",)),
        ("Latest: 1/12/2026, TEST\\A$\r\nPrevious: 1/1/2026, TEST\\B$", (r"TEST\A$", r"TEST\B$")),
        ("Latest: <Not set>\r\nPrevious: <Not set>\r\n", ()),
        ("", None),
    ],
)
def test_alternate_service_accounts_of_exchange(
    tmp_path: Path, mode: str, said: str, accounts: tuple[str, ...] | None
) -> None:
    assert told(tmp_path, mode, EXCHANGE.format(said)).additional_kerberos_accounts == accounts


@pytest.mark.parametrize("mode", MODES)
def test_server_without_exchange_and_certificates_says_nothing_of_them(tmp_path: Path, mode: str) -> None:
    machine = told(tmp_path, mode, "", site("S", "https *:443:"))
    assert (machine.additional_kerberos_accounts, machine.certificate_names) == (None, None)
