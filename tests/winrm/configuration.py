"""A realistic server, made up: applicationHost.config of 80 to 120 KB, web.config files, machine.json."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from .settings import SECRET

_SECTIONS = (
    "asp caching cgi defaultDocument directoryBrowse fastCgi globalModules handlers httpCompression httpErrors"
    " httpLogging httpProtocol httpRedirect isapiFilters modules serverRuntime staticContent urlCompression validation"
)
_AUTHENTICATION = "anonymousAuthentication basicAuthentication digestAuthentication windowsAuthentication"
_KINDS = ("ApplicationPoolIdentity", "NetworkService", "SpecificUser")


def files(name: str, address: str, sites: int, *, blanked: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The machine's facts and the files by path of one server; the same ones for the same name."""
    chance = random.Random(name)
    short, _, domain = name.partition(".")
    pools = [(f"Pool{index:03d}", chance.choice(_KINDS), f"svc-{chance.randrange(500):04d}") for index in range(sites)]
    text = _application_host(short, pools, chance)
    content = {
        f"files/D/web/site{index:03d}/web.config": _web_config(index) for index in range(0, sites, max(1, sites // 4))
    }
    found = {"applicationHost.config": text, **content}
    if blanked:
        found = {path: text.replace(SECRET, "") for path, text in found.items()}
    return _machine(short, domain, address, pools), found


def _application_host(short: str, pools: list[tuple[str, str, str]], chance: random.Random) -> str:
    return "".join(
        (
            _sections(),
            "  <system.applicationHost>\r\n    <applicationPools>\r\n",
            *(_pool(*pool) for pool in pools),
            "    </applicationPools>\r\n    <sites>\r\n",
            *(_site(short, index, pool[0], chance) for index, pool in enumerate(pools)),
            "    </sites>\r\n  </system.applicationHost>\r\n",
            _web_server(),
            *(_location(index, chance) for index in range(0, len(pools), 2)),
            "</configuration>\r\n",
        )
    )


@functools.cache
def _sections() -> str:
    """The part that is the same everywhere, as in a real file."""
    plain = "".join(f'      <section name="{name}" overrideModeDefault="Deny" />\r\n' for name in _SECTIONS.split())
    logons = "".join(
        f'          <section name="{name}" overrideModeDefault="Deny" />\r\n' for name in _AUTHENTICATION.split()
    )
    host = "".join(
        f'      <section name="{name}" allowDefinition="AppHostOnly" overrideModeDefault="Deny" />\r\n'
        for name in ("applicationPools", "configHistory", "listenerAdapters", "log", "sites", "webLimits")
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<configuration>\r\n  <configSections>\r\n'
        f'    <sectionGroup name="system.applicationHost">\r\n{host}    </sectionGroup>\r\n'
        f'    <sectionGroup name="system.webServer">\r\n{plain}'
        f'      <sectionGroup name="security">\r\n        <sectionGroup name="authentication">\r\n{logons}'
        "        </sectionGroup>\r\n      </sectionGroup>\r\n    </sectionGroup>\r\n  </configSections>\r\n"
        '  <configProtectedData>\r\n    <providers>\r\n      <add name="AesProvider"'
        ' type="Microsoft.ApplicationHost.AesProtectedConfigurationProvider" keyContainerName="iisConfigurationKey"'
        f' useOAEP="false" useMachineContainer="true" sessionKey="{SECRET}" />\r\n'
        "    </providers>\r\n  </configProtectedData>\r\n"
    )


@functools.cache
def _web_server() -> str:
    types = "".join(
        f'      <mimeMap fileExtension=".x{index:03x}" mimeType="application/x-kind-{index * 7919 % 4093:x}" />\r\n'
        for index in range(400)
    )
    handlers = "".join(
        f'      <add name="Handler-{index}-Integrated-4.0" path="*.h{index}" verb="GET,HEAD,POST,DEBUG"'
        ' type="System.Web.UI.PageHandlerFactory" preCondition="integratedMode,runtimeVersionv4.0" />\r\n'
        for index in range(80)
    )
    return (
        "  <system.webServer>\r\n    <security>\r\n      <authentication>\r\n"
        '        <anonymousAuthentication enabled="true" userName="IUSR" />\r\n'
        '        <windowsAuthentication enabled="false">\r\n          <providers>\r\n'
        '            <add value="Negotiate" />\r\n            <add value="NTLM" />\r\n          </providers>\r\n'
        "        </windowsAuthentication>\r\n      </authentication>\r\n    </security>\r\n"
        f"    <staticContent>\r\n{types}    </staticContent>\r\n"
        f'    <handlers accessPolicy="Read, Script">\r\n{handlers}    </handlers>\r\n  </system.webServer>\r\n'
    )


def _pool(name: str, kind: str, account: str) -> str:
    user = f' userName="CORP\\{account}" password="{SECRET}"' if kind == "SpecificUser" else ""
    return (
        f'      <add name="{name}" managedRuntimeVersion="v4.0" startMode="AlwaysRunning">\r\n'
        f'        <processModel identityType="{kind}"{user} />\r\n      </add>\r\n'
    )


def _site(short: str, index: int, pool: str, chance: random.Random) -> str:
    bindings = "".join(
        f'          <binding protocol="https" bindingInformation="*:443:app{chance.randrange(10**6)}.farm.test"'
        ' sslFlags="1" />\r\n'
        for _ in range(chance.randrange(1, 4))
    )
    return (
        f'      <site name="Site{index:03d}" id="{index + 1}">\r\n'
        f'        <application path="/" applicationPool="{pool}">\r\n'
        f'          <virtualDirectory path="/" physicalPath="D:\\web\\site{index:03d}" />\r\n'
        "        </application>\r\n        <bindings>\r\n"
        f'          <binding protocol="http" bindingInformation="*:80:site{index:03d}.{short}.farm.test" />\r\n'
        f"{bindings}        </bindings>\r\n      </site>\r\n"
    )


def _location(index: int, chance: random.Random) -> str:
    return (
        f'  <location path="Site{index:03d}">\r\n'
        "    <system.webServer>\r\n      <security>\r\n        <authentication>\r\n"
        '          <anonymousAuthentication enabled="false" />\r\n          <windowsAuthentication enabled="true"'
        f' useKernelMode="true" useAppPoolCredentials="{chance.choice(("true", "false"))}" />\r\n'
        "        </authentication>\r\n      </security>\r\n    </system.webServer>\r\n  </location>\r\n"
    )


def _web_config(index: int) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<configuration>\r\n  <connectionStrings>\r\n    <add name="Main"'
        f' connectionString="Server=sql;Database=app{index};User ID=app;Password={SECRET}" />\r\n'
        "  </connectionStrings>\r\n  <!-- windowsAuthentication is set on the server -->\r\n</configuration>\r\n"
    )


def _machine(short: str, domain: str, address: str, pools: list[tuple[str, str, str]]) -> dict[str, Any]:
    accounts = {"ApplicationPoolIdentity": "IIS APPPOOL\\{0}", "NetworkService": "NT AUTHORITY\\NETWORK SERVICE"}
    workers = [
        {"pool": pool, "pid": 4000 + index, "account": accounts.get(kind, "CORP\\{1}").format(pool, account)}
        for index, (pool, kind, account) in enumerate(pools[:3])
    ]
    return {
        "name": short.upper(),
        "dns_name": f"{short}.{domain}",
        "domain": domain,
        "netbios_domain": "CORP",
        "membership": "domain",
        "domain_controller": False,
        "addresses": [address],
        "environment": {"SystemDrive": "C:", "SystemRoot": "C:\\Windows", "windir": "C:\\Windows"},
        "registry": {"BackConnectionHostNames": [], "DisableLoopbackCheck": 0},
        "services": {"W3SVC": "running", "WAS": "running", "WinRM": "running"},
        "worker_processes": workers,
        "content": {"looked": True, "unread": []},
        "collected_at": "2026-11-22T10:00:00Z",
    }


def of_folder(folder: Any) -> tuple[dict[str, Any], dict[str, str | bytes]]:
    """The same of a snapshot folder such as sample_configs/IIS01, exactly as it stands there."""
    machine = json.loads((folder / "machine.json").read_bytes())
    found: dict[str, str | bytes] = {}
    for path in sorted(folder.rglob("*.config")):
        data = path.read_bytes()
        try:
            found[path.relative_to(folder).as_posix()] = data.decode("utf-8")
        except UnicodeDecodeError:
            found[path.relative_to(folder).as_posix()] = data
    return machine, found
