"""A server, its directory and its DNS from a few words, so that a test reads like a row of a table.

    w = world(
        server(site("*:80:contoso.test.com"), pool=r"TEST\\contososvc", creds=True),
        ad=ad(computer(), user("contososvc", "HTTP/contoso.test.com")),
        dns="contoso A 10.0.5.2",
    )
    assert w.outcome("HTTP/contoso.test.com") == "kerberos"

Directories are read from LDIF or setspn text, DNS from zone text: the tests go through the same readers as users do.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from xml.sax.saxutils import quoteattr

from msgspec import Struct
from msgspec.structs import replace

from agent.checks.accept import Acceptance
from agent.iis.snapshot import Machine, Snapshot, SourceFile, file_key
from agent.inspection.sources import EVERYTHING, Only, Sources
from agent.inspection.stages import Analysis, analyse, clients_named
from agent.model import Application, ClientOutcome, Finding, Report, Requirement, SourceRead
from agent.names import host_name, spn
from agent.sources.ad.exports import read_exports
from agent.sources.dns import zone
from agent.spn.computer_names import FarmName, LoggedNames, Proxy
from agent.spn.directory import Directory, Question
from agent.spn.nameservice import NameService
from agent.spn.question import Typed
from agent.story import explain, read_url

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BUILT_IN = frozenset({"NetworkService", "LocalSystem", "LocalService", "ApplicationPoolIdentity"})
NEGOTIATE_NTLM = ("Negotiate", "NTLM")


# -- servers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class App:
    """An application; what is None is not written, so that it is inherited or IIS's default."""

    path: str = "/"
    pool: str = "Pool"
    enabled: bool | None = None
    kernel: bool | None = None
    creds: bool | None = None
    providers: Sequence[str] | None = None
    token_checking: str | None = None
    flags: str = "None"
    service_names: Sequence[str] = ()

    @property
    def section(self) -> str:
        """Its own windowsAuthentication, "" where it says nothing."""
        named = {"enabled": self.enabled, "useKernelMode": self.kernel, "useAppPoolCredentials": self.creds}
        said = {name: str(value).lower() for name, value in named.items() if value is not None}
        inner = providers(self.providers) if self.providers is not None else ""
        if self.token_checking is not None:
            names = "".join(f'<spn name="{name}" />\n' for name in self.service_names)
            attributes = f'tokenChecking="{self.token_checking}" flags="{self.flags}"'
            inner += f"<extendedProtection {attributes}>\n{names}</extendedProtection>\n"
        return windows(inner, **said) if said or inner else ""


def app(path: str = "/", pool: str = "Pool", **settings: bool | str | Sequence[str] | None) -> App:
    return App(path=path, pool=pool, **settings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Site:
    name: str
    bindings: tuple[str, ...]
    apps: tuple[App, ...]


def site(*bindings: str, name: str = "Site", apps: Iterable[App] = ()) -> Site:
    """A site. A binding is `*:80:contoso`, with `https ` in front for another protocol."""
    return Site(name, bindings or ("*:80:",), tuple(apps) or (App(),))


def providers(names: Sequence[str]) -> str:
    return "<providers>\n<clear />\n" + "".join(f'<add value="{name}" />\n' for name in names) + "</providers>\n"


def windows(inner: str = "", **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    section = f"<windowsAuthentication{said}>\n{inner}</windowsAuthentication>\n"
    return f"<system.webServer><security><authentication>\n{section}</authentication></security></system.webServer>\n"


def process_model(identity: str) -> str:
    if not identity:
        return ""
    if identity in BUILT_IN:
        return f'<processModel identityType="{identity}" />'
    return f'<processModel identityType="SpecificUser" userName={quoteattr(identity)} />'


def config(
    sites: Sequence[Site],
    pools: Mapping[str, str],
    root: App,
    *,
    mode: str = "Deny",
    body: str = "",
    modules: Sequence[str] | None = None,
) -> str:
    """An applicationHost.config, one element to a line. `pools`: name -> identity, "" for none given."""
    lines = ["<configuration>", "<configSections>"]
    groups = ("system.webServer", "security", "authentication")
    lines += [f'<sectionGroup name="{group}">' for group in groups]
    lines += [f'<section name="windowsAuthentication" overrideModeDefault="{mode}" />']
    lines += ["</sectionGroup>"] * 3 + ["</configSections>", "<system.applicationHost>", "<applicationPools>"]
    lines += [f"<add name={quoteattr(name)}>{process_model(who)}</add>" for name, who in pools.items()]
    lines += ["</applicationPools>", "<sites>"]
    for number, one in enumerate(sites, start=1):
        lines += [f'<site name={quoteattr(one.name)} id="{number}">']
        for application in one.apps:
            folder = r"C:\web" + application.path.replace("/", "\\")
            pool = f" applicationPool={quoteattr(application.pool)}" if application.pool else ""
            lines += [f"<application path={quoteattr(application.path)}{pool}>"]
            lines += [f'<virtualDirectory path="/" physicalPath={quoteattr(folder)} />', "</application>"]
        lines += ["<bindings>"]
        for binding in one.bindings:
            protocol, _, information = binding.rpartition(" ")
            lines += [f'<binding protocol="{protocol or "http"}" bindingInformation={quoteattr(information)} />']
        lines += ["</bindings>", "</site>"]
    lines += ["</sites>", "</system.applicationHost>"]
    if modules is not None:
        added = "".join(f'<add name="{name}" />' for name in modules)
        lines += [f"<system.webServer><globalModules>{added}</globalModules></system.webServer>"]
    lines += [root.section or windows()]
    for one in sites:
        for application in one.apps:
            if application.section:
                path = f"{one.name}{application.path}".rstrip("/")
                lines += [f"<location path={quoteattr(path)}>", application.section, "</location>"]
    return "\n".join([*lines, body, "</configuration>", ""])


def server(
    *sites: Site,
    name: str = "IIS01",
    pool: str = "ApplicationPoolIdentity",
    pools: Mapping[str, str] | None = None,
    kernel: bool | None = True,
    creds: bool | None = False,
    offered: Sequence[str] = NEGOTIATE_NTLM,
    enabled: bool = True,
    mode: str = "Deny",
    body: str = "",
    modules: Sequence[str] | None = None,
    text: str | None = None,
    web: Mapping[str, str] | None = None,
    redirect: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Snapshot:
    """A server. `facts` go over the machine's usual ones; `web` are web.config texts by folder of C:\\web.

    `redirect` is the path of a shared configuration: the text then stands there, the local file is a stale copy.
    """
    root = App(enabled=enabled, kernel=kernel, creds=creds, providers=offered)
    if text is None:
        named = {"Pool": pool} if pools is None else pools
        text = config(sites or (site(),), named, root, mode=mode, body=body, modules=modules)
    usual: dict[str, object] = {
        "name": name,
        "dns_name": f"{name.lower()}.test.com",
        "domain": "test.com",
        "netbios_domain": "TEST",
        "membership": "domain",
        "domain_controller": False,
        "addresses": (f"10.0.5.{int(name[-1]) + 1}" if name[-1:].isdigit() else "10.0.5.2",),
        "content_looked": True,
    }
    machine = Machine(**{**usual, **(facts or {})})  # type: ignore[arg-type]
    files = {"applicationhost.config": SourceFile("applicationHost.config", text.encode())}
    if redirect is not None:
        force = f'<configurationRedirection enabled="true" path={quoteattr(redirect)} />'
        redirection = f"<configuration>\n{force}\n</configuration>"
        files["redirection.config"] = SourceFile("redirection.config", redirection.encode())
        key = file_key(redirect + r"\applicationHost.config", {})
        files[str(key)] = SourceFile(redirect + r"\applicationHost.config", text.encode())
        files["applicationhost.config"] = SourceFile("applicationHost.config", b"stale")
    for folder, body_text in (web or {}).items():
        physical = rf"C:\web{folder}\web.config"
        data = body_text.encode()
        files[str(file_key(physical, {}))] = SourceFile(physical, data)
    return Snapshot(source=name, machine=machine, files=files)


# -- directories ---------------------------------------------------------------------------------------------------


def _dn_of(domain: str) -> str:
    return ",".join(f"DC={part}" for part in domain.split("."))


_CLASSES = {
    "user": ("top", "person", "organizationalPerson", "user"),
    "computer": ("top", "person", "organizationalPerson", "user", "computer"),
    "gMSA": ("top", "person", "user", "computer", "msDS-GroupManagedServiceAccount"),
    "sMSA": ("top", "person", "user", "computer", "msDS-ManagedServiceAccount"),
    "dMSA": ("top", "person", "user", "computer", "msDS-DelegatedManagedServiceAccount"),
}


def entry(name: str, *spns: str, kind: str = "user", domain: str = "test.com", **attributes: object) -> str:
    """One account entry of an LDIF; attributes are written with `_` for `-` (msDS_SupportedEncryptionTypes=4)."""
    lines = [f"dn: CN={name.removesuffix('$')},OU=x,{_dn_of(domain)}"]
    lines += [f"objectClass: {word}" for word in _CLASSES[kind]]
    lines += [f"sAMAccountName: {name}"]
    values = [("servicePrincipalName", one) for one in spns]
    for attribute, value in attributes.items():
        many = value if isinstance(value, list | tuple) else [value]
        values += [(attribute.replace("_", "-"), one) for one in many]
    for attribute, one in values:
        data = one if isinstance(one, bytes) else str(one).encode()
        plain = isinstance(one, bytes) or not data.isascii()
        lines.append(f"{attribute}:: {base64.b64encode(data).decode()}" if plain else f"{attribute}: {one}")
    return "\n".join([*lines, "", ""])


def user(name: str = "contososvc", *spns: str, **attributes: object) -> str:
    return entry(name, *spns, **attributes)  # type: ignore[arg-type]


def computer(name: str = "IIS01", *spns: str, host: bool = True, domain: str = "test.com", **attributes: object) -> str:
    """A computer with the HOST/ SPNs that the domain join writes."""
    full = f"{name.lower()}.{domain}"
    own = (f"HOST/{name}", f"HOST/{full}") if host else ()
    return entry(f"{name}$", *own, *spns, kind="computer", domain=domain, **attributes)


def whole(domain: str = "test.com") -> str:
    """The domain's own entry: an LDIF with it covers the domain."""
    return f"dn: {_dn_of(domain)}\nobjectClass: top\nobjectClass: domainDNS\n\n"


def cross_reference(netbios: str, domain: str = "test.com") -> str:
    return (
        f"dn: CN={netbios},CN=Partitions,CN=Configuration,{_dn_of(domain)}\nobjectClass: crossRef\n"
        f"nCName: {_dn_of(domain)}\nnETBIOSName: {netbios}\n\n"
    )


def directory_service(**attributes: str) -> str:
    lines = ["dn: CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=test,DC=com"]
    lines += ["objectClass: nTDSService", *(f"{name}: {value}" for name, value in attributes.items())]
    return "\n".join([*lines, "", ""])


def rodc_group(created: str) -> str:
    return (
        "dn: CN=Read-only Domain Controllers,CN=Users,DC=test,DC=com\nobjectClass: group\n"
        f"objectSid: S-1-5-21-1-2-3-521\nwhenCreated: {created}\n\n"
    )


def ad(*entries: str, covers: bool = True) -> str:
    """An LDIF of test.com, whole unless `covers` is False."""
    return (whole() if covers else "") + "".join(entries)


def file_time(moment: datetime) -> int:
    return int((moment - datetime(1601, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 10


def days_ago(days: int) -> int:
    return file_time(NOW - timedelta(days=days))


def sid(relative: int) -> bytes:
    """S-1-5-21-1-2-3-RID."""
    parts = (21, 1, 2, 3, relative)
    return bytes([1, len(parts), 0, 0, 0, 0, 0, 5]) + b"".join(part.to_bytes(4, "little") for part in parts)


def readers(*relative: int) -> bytes:
    """msDS-GroupMSAMembership that lets these SIDs of the domain read."""
    return readers_of([sid(one) for one in relative])


def readers_of(sids: Sequence[bytes]) -> bytes:
    """msDS-GroupMSAMembership: a self-relative security descriptor that lets these SIDs read."""
    aces = b""
    for one in sids:
        body = (0xF01FF).to_bytes(4, "little") + one
        aces += bytes([0, 0]) + (4 + len(body)).to_bytes(2, "little") + body
    acl = bytes([2, 0]) + (8 + len(aces)).to_bytes(2, "little") + len(sids).to_bytes(2, "little") + b"\0\0" + aces
    return bytes([1, 0, 4, 0x80]) + b"\0" * 12 + (20).to_bytes(4, "little") + acl


def setspn_l(holders: Mapping[str, Sequence[str]]) -> str:
    """What `setspn -L` prints, by distinguished name."""
    runs = []
    for dn, names in holders.items():
        runs.append("\n".join([f"Registered ServicePrincipalNames for {dn}:", *(f"\t{name}" for name in names), ""]))
    return "\n".join(runs)


def directory(texts: Sequence[str], question: Question, netbios: Mapping[str, str]) -> Directory:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, text in enumerate(texts):
            path = Path(folder) / f"ad{number}.txt"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return read_exports(paths, question, netbios)


def names(text: str) -> NameService:
    """A zone test.com from lines such as `contoso A 10.0.5.2`; what precedes `$ORIGIN` lines may name other zones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.com.dns"
        records = "\n".join(line.strip() for line in text.replace(";", "\n").splitlines())
        path.write_text(f"@ IN SOA dc1.test.com. h.test.com. ( 1 900 600 86400 3600 )\n{records}\n", encoding="utf-8")
        return zone.read_zones([path])


def farm_name(host: str, *servers: str, site: str | None = None, proxy: Proxy | None = None) -> FarmName:
    return FarmName(host=host_name(host), servers=servers, site=site, proxy=proxy)


# -- the world -----------------------------------------------------------------------------------------------------


class World(Struct, frozen=True, dict=True):
    """What the program makes of it all; `typed` judges it again with a name that somebody asks about."""

    analysis: Analysis
    typed: Callable[[Typed], Analysis]

    @property
    def report(self) -> Report:
        return self.analysis.report

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(found.id for found in self.report.findings)

    @property
    def errors(self) -> list[str]:
        return [f"{found.id}: {found.message}" for found in self.report.findings if found.severity == "error"]

    def findings(self, finding_id: str, name: str | None = None) -> list[Finding]:
        wanted = None if name is None else spn(name)
        return [f for f in self.report.findings if f.id == finding_id and wanted in {None, f.spn}]

    def finding(self, finding_id: str, name: str | None = None) -> Finding:
        (found,) = self.findings(finding_id, name)
        return found

    def requirements(self, name: str) -> list[Requirement]:
        return [requirement for requirement in self.report.requirements if requirement.spn == spn(name)]

    def requirement(self, name: str, account: str | None = None) -> Requirement:
        found = [r for r in self.requirements(name) if account is None or str(r.account).lower() == account.lower()]
        assert len(found) == 1, [f"{r.spn} on {r.account}: {r.need}" for r in self.report.requirements]
        return found[0]

    def outcome(self, name: str, account: str | None = None) -> str:
        return self.requirement(name, account).outcome

    def need(self, name: str, account: str | None = None) -> str:
        return self.requirement(name, account).need

    @property
    def needs(self) -> dict[str, str]:
        """Need by SPN in lower case."""
        return {str(r.spn).lower(): r.need for r in self.report.requirements}

    def application(self, path: str = "/", site: str = "Site", server: str = "IIS01") -> Application:
        (found,) = [a for a in self.report.applications if (a.server, a.site, a.path) == (server, site, path)]
        return found

    def explain(self, url: str) -> list[ClientOutcome]:
        return list(explain(self.typed(read_url(url).typed), url).outcomes)

    def asked(self, url: str) -> dict[str, str]:
        """What each client kind asks for, by the client's name."""
        return {outcome.client: str(outcome.spn) for outcome in self.explain(url)}

    def ends(self, url: str) -> set[str]:
        """The outcomes of all client kinds."""
        return {outcome.outcome for outcome in self.explain(url)}


def world(
    *servers: Snapshot,
    ad: str | Sequence[str] | None = None,
    dns: str | None = None,
    farm: Sequence[FarmName] = (),
    clients: Sequence[str] = (),
    netbios: Mapping[str, str] | None = None,
    service: NameService | None = None,
    logged: Sequence[LoggedNames] = (),
    accepted: Sequence[Acceptance] = (),
    only: Only = EVERYTHING,
) -> World:
    """Analyse servers as `inspect` does. `service` instead of `dns` where zone text cannot say it (live DNS)."""
    texts = [ad] if isinstance(ad, str) else ad
    service = names(dns) if dns is not None else service
    sources = Sources(
        directory=lambda question: directory(texts, question, netbios or {}) if texts is not None else None,
        names=lambda _hosts, _addresses: service,
        farm=tuple(farm),
        logged=tuple(logged),
        accepted=tuple(accepted),
        clients=clients_named(clients),
        now=NOW,
        only=only,
        read=[SourceRead(kind="names", source=file.source) for file in logged],
    )
    asked = servers or (server(),)
    return World(analyse(asked, sources), lambda typed: analyse(asked, replace(sources, typed=[typed])))
