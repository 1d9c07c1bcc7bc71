"""The parts of IIS's configuration schema this program reads, as tables.

Source: `IIS_schema.xml` of IIS 10 (the windowsAuthentication part is the same from IIS 7.0 on) and the section
registrations of a Server 2016 to 2025 applicationHost.config. Element and attribute names are case-sensitive, values
are not unless the schema says so (IIS configuration reference).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from agent.names import fold

Kind = Literal["bool", "enum", "flags", "string"]


class AttributeSchema(NamedTuple):
    """One attribute: its type, the schema's default, and for enum and flags the names it may take."""

    kind: Kind
    default: str
    members: tuple[str, ...] = ()


class ElementSchema(NamedTuple):
    """One element. A collection names its add, remove and clear elements and its key attribute."""

    attributes: Mapping[str, AttributeSchema] = {}
    elements: Mapping[str, ElementSchema] = {}
    add: str = ""
    remove: str = ""
    clear: str = ""
    key: str = ""


FALSE = AttributeSchema("bool", "false")
TRUE = AttributeSchema("bool", "true")

WINDOWS_AUTHENTICATION = "system.webServer/security/authentication/windowsAuthentication"
APPLICATION_POOLS = "system.applicationHost/applicationPools"
SITES = "system.applicationHost/sites"
REDIRECTION = "configurationRedirection"
GLOBAL_MODULES = "system.webServer/globalModules"
WEB_FARMS = "webFarms"
"""What Application Request Routing sends requests to."""

WINDOWS_AUTHENTICATION_SCHEMA = ElementSchema(
    attributes={
        "enabled": FALSE,
        "authPersistSingleRequest": FALSE,
        "authPersistNonNTLM": FALSE,
        "useKernelMode": TRUE,
        "useAppPoolCredentials": FALSE,
    },
    elements={
        "providers": ElementSchema(add="add", remove="remove", clear="clear", key="value"),
        "extendedProtection": ElementSchema(
            attributes={
                "tokenChecking": AttributeSchema("enum", "None", ("None", "Allow", "Require")),
                "flags": AttributeSchema(
                    "flags", "None", ("None", "Proxy", "NoServiceNameCheck", "AllowDotlessSpn", "ProxyCohosting")
                ),
            },
            add="spn",
            remove="removeSpn",
            clear="clearSpns",
            key="name",
        ),
    },
)

LOCKS = ("lockAttributes", "lockAllAttributesExcept", "lockElements", "lockAllElementsExcept", "lockItem")


def _read_of(schema: ElementSchema, path: str) -> Iterator[tuple[str, frozenset[str]]]:
    yield path, frozenset({*schema.attributes, *LOCKS})
    for name, child in schema.elements.items():
        yield from _read_of(child, f"{path}/{name}")
    if schema.key:
        yield f"{path}/{schema.clear}", frozenset(LOCKS)
        for name in (schema.add, schema.remove):
            yield f"{path}/{name}", frozenset({schema.key, *LOCKS})


_POOL = {"": "name autoStart", "/processModel": "identityType userName"}
_DEFAULTS = {
    "/applicationDefaults": "applicationPool enabledProtocols",
    "/virtualDirectoryDefaults": "allowSubDirConfig",
}
_BINDINGS = {"/bindings": "", "/bindings/clear": "", "/bindings/binding": "protocol bindingInformation sslFlags"}
_APPLICATION = {
    "": "path applicationPool enabledProtocols",
    "/virtualDirectory": "path physicalPath allowSubDirConfig",
    "/virtualDirectoryDefaults": "allowSubDirConfig",
}
_SITE = {
    "": "name id serverAutoStart",
    **_BINDINGS,
    **_DEFAULTS,
    **{f"/application{below}": names for below, names in _APPLICATION.items()},
}
_ELEMENTS = {
    "": "",
    "location": "path overrideMode allowOverride inheritInChildApplications",
    "configSections": "",
    "configSections/sectionGroup": "name",
    "configSections/section": "name overrideModeDefault",
    APPLICATION_POOLS: "",
    **{f"{APPLICATION_POOLS}/add{below}": names for below, names in _POOL.items()},
    **{f"{APPLICATION_POOLS}/applicationPoolDefaults{below}": names for below, names in _POOL.items()},
    SITES: "",
    **{f"{SITES}/site{below}": names for below, names in _SITE.items()},
    **{f"{SITES}{below}": names for below, names in _DEFAULTS.items()},
    f"{SITES}/siteDefaults": "serverAutoStart",
    **{f"{SITES}/siteDefaults{below}": names for below, names in _BINDINGS.items()},
    GLOBAL_MODULES: "",
    f"{GLOBAL_MODULES}/add": "name",
    REDIRECTION: "enabled path",
    WEB_FARMS: "",
    f"{WEB_FARMS}/webFarm": "",
    f"{WEB_FARMS}/webFarm/server": "address",
}

IDENTITY_TYPES = ("LocalSystem", "LocalService", "NetworkService", "SpecificUser", "ApplicationPoolIdentity")
DEFAULT_IDENTITY_TYPE = "ApplicationPoolIdentity"  # since IIS 7.5; NetworkService in 7.0
DEFAULT_ENABLED_PROTOCOLS = "http"
NOT_IN_SITE_NAMES = "/?"
NOT_IN_POOL_NAMES = '|<>&"/[]+=;:,?*@\\'
DEFAULT_OVERRIDE_MODE = "Allow"  # of a <section> that does not say; windowsAuthentication is shipped with Deny

READ_SECTIONS = frozenset({WINDOWS_AUTHENTICATION, APPLICATION_POOLS, SITES, REDIRECTION, GLOBAL_MODULES, WEB_FARMS})

SECTION_GROUPS = frozenset(
    {
        "system.applicationHost",
        "system.ftpServer",
        "system.ftpServer/security",
        "system.webServer",
        "system.webServer/rewrite",
        "system.webServer/security",
        "system.webServer/security/authentication",
        "system.webServer/tracing",
        "system.webServer/webdav",
    }
)

_ALL_READ = {
    **dict.fromkeys(sorted(SECTION_GROUPS), frozenset[str]()),
    **{path: frozenset(names.split()) for path, names in _ELEMENTS.items()},
    **dict(_read_of(WINDOWS_AUTHENTICATION_SCHEMA, WINDOWS_AUTHENTICATION)),
}
READ: Mapping[str, frozenset[str]] = {
    path: names | {"configSource"} if path in READ_SECTIONS else names for path, names in _ALL_READ.items()
}
"""Everything of a configuration file that is read: the attributes, by the element's path below `<configuration>`.

Nothing else comes into the program or into a snapshot; collect.ps1 has the same table. `configSource` names another
file that holds the section.
"""
TRANSPARENT = {"location": "", "configSections/sectionGroup": "configSections"}
"""Elements whose children are read as if they stood somewhere else."""
STRICT = (WINDOWS_AUTHENTICATION, "location")
"""Where IIS's refusal of a name that it does not know is told."""

_WEB_SERVER_SECTIONS = (
    *("asp", "aspNetCore", "applicationInitialization", "caching", "cgi", "defaultDocument", "diskCache"),
    *("directoryBrowse", "fastCgi", "globalModules", "handlers", "httpCompression", "httpErrors", "httpLogging"),
    *("httpPlatform", "httpProtocol", "httpRedirect", "httpTracing", "isapiFilters", "management", "modules"),
    *("odbcLogging", "proxy", "serverRuntime", "serverSideInclude", "staticContent", "urlCompression", "validation"),
    *("webSocket", "heliconZoo", "media", "farm", "webFarms", "compression", "httpsRedirect"),
    *("rewrite/allowedServerVariables", "rewrite/globalRules", "rewrite/outboundRules", "rewrite/providers"),
    *("rewrite/rewriteMaps", "rewrite/rules", "security/access", "security/applicationDependencies"),
    *("security/authorization", "security/dynamicIpSecurity", "security/ipSecurity", "security/isapiCgiRestriction"),
    *("security/requestFiltering", "security/authentication/anonymousAuthentication"),
    *("security/authentication/basicAuthentication", "security/authentication/clientCertificateMappingAuthentication"),
    *("security/authentication/digestAuthentication", "security/authentication/windowsAuthentication"),
    "security/authentication/iisClientCertificateMappingAuthentication",
    *("tracing/traceFailedRequests", "tracing/traceProviderDefinitions"),
    *("webdav/authoring", "webdav/authoringRules", "webdav/globalSettings"),
)
KNOWN_WEB_SERVER_SECTIONS = frozenset(f"system.webServer/{name}" for name in _WEB_SERVER_SECTIONS)
"""Sections of IIS and of Microsoft's own additions: in a web.config they are never taken for unregistered."""

_READ_BY_FOLDED = {fold(path): path for path in (*READ_SECTIONS, *SECTION_GROUPS)}


def misspelt(path: str) -> str | None:
    """The section or group this path would name if names were compared without case, None when it is spelt right."""
    right = _READ_BY_FOLDED.get(fold(path))
    return right if right != path else None
