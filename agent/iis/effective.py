"""What IIS would use for each application: sites, pools, defaults, windowsAuthentication, each with its origin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

from msgspec import Struct

from agent.iis.authentication import Auth, AuthenticationPaths
from agent.iis.bindings import Binding, binding
from agent.iis.content import Content, Mount
from agent.iis.parse import Document, Node, demand_segments
from agent.iis.schema import (
    APPLICATION_POOLS,
    DEFAULT_ENABLED_PROTOCOLS,
    DEFAULT_IDENTITY_TYPE,
    GLOBAL_MODULES,
    IDENTITY_TYPES,
    NOT_IN_POOL_NAMES,
    NOT_IN_SITE_NAMES,
    SITES,
    WEB_FARMS,
)
from agent.iis.snapshot import Snapshot, file_key
from agent.model import Origin
from agent.names import fold, path_key, printable


class Notice(NamedTuple):
    """Something said about the configuration while it was read; becomes a finding of this id."""

    id: str
    message: str
    file: str
    line: int | None
    text: str = ""
    site: str | None = None
    path: str | None = None


class Pool(Struct, frozen=True, gc=False):
    """An application pool. `identity_type` is None where the file gives a word IIS does not know.

    One that does not start with IIS answers 503 until somebody starts it.
    """

    name: str
    identity_type: str | None
    user_name: str
    origin: Origin
    text: str
    starts: bool = True


class EffectiveApplication(Struct, frozen=True, gc=False):
    """One application: its pool (None: no such pool) and its settings, and those of places below that set any.

    `folder` is where its web.config stands, below `files/`; None where nobody can tell.
    """

    path: str
    line: int
    pool_name: str | None
    pool: Pool | None
    serves_http: bool
    auth: Auth
    places: tuple[tuple[str, Auth], ...] = ()
    folder: str | None = None


class Site(Struct, frozen=True, gc=False):
    """One site with its bindings and applications. One that does not start with IIS listens to nothing until somebody
    starts it: IIS Manager writes that down when it stops a site.
    """

    name: str
    line: int
    bindings: tuple[Binding, ...]
    applications: tuple[EffectiveApplication, ...]
    starts: bool = True


class Configuration(Struct, frozen=True, kw_only=True, dict=True):
    """One server's configuration as IIS would use it. `module_installed`: None where the file lists no modules.

    `shared` is the folder of a shared configuration, folded; servers with the same one are a farm. `web_farms` are the
    servers, by name or address, that Application Request Routing sends requests to from here.
    """

    file: str
    sites: tuple[Site, ...]
    pools: Mapping[str, Pool]
    notices: tuple[Notice, ...]
    module_installed: bool | None
    content_looked: bool
    shared: str | None = None
    web_farms: tuple[str, ...] = ()

    @property
    def is_exchange(self) -> bool:
        """Whether it is Exchange's: its back end's site is there, or its applications run in its pools."""
        return any(
            fold(site.name) == "exchange back end" or any(map(_is_exchange, site.applications)) for site in self.sites
        )

    def site(self, name: str) -> Site | None:
        """The site of this very name."""
        return self._by_name.get(name)

    def application(self, site: str, path: str) -> EffectiveApplication | None:
        """The application at this very path of the site of this very name."""
        return self._by_path.get((site, path))

    @cached_property
    def _by_path(self) -> dict[tuple[str, str], EffectiveApplication]:
        every = reversed([(site.name, each) for site in self._by_name.values() for each in site.applications])
        return {(site, each.path): each for site, each in every}  # the first of one path counts

    @cached_property
    def _by_name(self) -> dict[str, Site]:
        return {site.name: site for site in reversed(self.sites)}  # the first of one name counts

    @property
    def stopped(self) -> tuple[Site, ...]:
        """The sites that do not start with IIS."""
        return tuple(site for site in self.sites if not site.starts)


def effective(document: Document, snapshot: Snapshot) -> Configuration:
    """Evaluate an applicationHost.config, with the web.config files of the snapshot it stands in."""
    return Evaluation(document, snapshot).configuration()


_IDENTITY_TYPES = {written: name for name in IDENTITY_TYPES for written in (name, fold(name))}
_NOT_IN_SITE_NAMES, _NOT_IN_POOL_NAMES = frozenset(NOT_IN_SITE_NAMES), frozenset(NOT_IN_POOL_NAMES)


# -- collections with defaults -------------------------------------------------------------------------------------


def _child(node: Node | None, name: str) -> Node | None:
    """The last child element of this name: IIS merges repeated ones, files hold one."""
    for child in reversed(node.children) if node is not None else ():
        if child.name == name:
            return child
    return None


def _first(attribute: str, nodes: Iterable[Node | None]) -> tuple[str, Node] | None:
    """The nearest node that sets the attribute: own element first, then the defaults from near to far."""
    for node in nodes:
        if node is not None and attribute in node.attributes:
            return node.attributes[attribute], node
    return None


def _starts(attribute: str, nodes: Iterable[Node | None]) -> bool:
    """Whether a site or a pool starts with IIS: it does where nothing says otherwise."""
    found = _first(attribute, nodes)
    return found is None or found[0] == "true" or fold(found[0]) != "false"


class Evaluation:
    """An applicationHost.config with the web.config files of its snapshot; `effective` takes the whole of it."""

    def __init__(self, document: Document, snapshot: Snapshot) -> None:
        self.document = document
        self.file = document.file
        self.snapshot = snapshot
        self.sites = document.section(SITES)
        self.site_defaults = _child(self.sites, "siteDefaults")
        self.default_bindings = _child(self.site_defaults, "bindings")
        self.application_defaults = _child(self.sites, "applicationDefaults")
        self.notices = [Notice("config-invalid", f.reason, self.file, f.line, "") for f in document.faults]
        for name in (APPLICATION_POOLS, SITES):
            self._check_defined_once(name)

    def _check_defined_once(self, name: str) -> None:
        levels = [location.sections for location in self.document.locations if not location.path]
        found = [node for sections in levels for path, node in sections if path == name]
        for second in found[1:]:
            first = f"first in line {found[0].line}"
            self._invalid(f"section '{name}' is defined twice ({first}): IIS answers 0x800700B7", second)

    def configuration(self) -> Configuration:
        pools = self._pools()
        self._check_ids(self._named_sites)
        built = tuple([self._site(site, pools, self.authentication) for site in self._named_sites])
        self._tell_unplaced(built)
        return Configuration(
            file=self.file,
            sites=built,
            pools=pools,
            notices=tuple(self.notices),
            module_installed=self._module_installed(),
            content_looked=self._content.is_looked_at,
            web_farms=tuple(self._web_farms()),
        )

    def _tell_unplaced(self, sites: Iterable[Site]) -> None:
        """A file nobody could read, and nobody can tell whose it is, may set what is unlocked anywhere."""
        if any(application.auth.is_unlocked for site in sites for application in site.applications):
            for path, why in self._content.unplaced:
                message = f"could not be opened ({why}), and which application it belongs to cannot be told"
                self.notices.append(Notice("content-unread", message, path, None))

    @cached_property
    def authentication(self) -> AuthenticationPaths:
        """windowsAuthentication at any path, one that is no application too."""
        return AuthenticationPaths(self.document, self._content, self._application_paths())

    @cached_property
    def _named_sites(self) -> list[Node]:
        sites = self._unique(self.sites, "site", "name").values()
        return [site for site in sites if self._is_name(site, _NOT_IN_SITE_NAMES)]

    def _is_name(self, node: Node, forbidden: frozenset[str]) -> bool:
        name = node.attributes.get("name", "")
        if name and forbidden.isdisjoint(name):
            return True
        self._invalid(f"'{printable(name)}' cannot be the name of a <{node.name}>", node)
        return False

    @cached_property
    def _content(self) -> Content:
        return Content(self.snapshot, self._mounts, self.document.definitions)

    def _module_installed(self) -> bool | None:
        modules = self.document.section(GLOBAL_MODULES)
        if modules is None:
            return None
        return any(
            fold(module.attributes.get("name", "")) == "windowsauthenticationmodule" for module in modules.children
        )

    def _web_farms(self) -> Iterator[str]:
        section = self.document.section(WEB_FARMS)
        for farm in section.children if section is not None else ():
            for server in farm.children if farm.name == "webFarm" else ():
                address = server.attributes.get("address", "") if server.name == "server" else ""
                if address:
                    yield address

    # -- pools and sites ---------------------------------------------------------------------------------------

    def _pools(self) -> dict[str, Pool]:
        section = self.document.section(APPLICATION_POOLS)
        defaults = _child(section, "applicationPoolDefaults")
        default_model = _child(defaults, "processModel")
        nodes = self._unique(section, "add", "name").items()
        named = [(key, node) for key, node in nodes if self._is_name(node, _NOT_IN_POOL_NAMES)]
        return {key: self._pool(node, defaults, default_model) for key, node in named}

    def _pool(self, node: Node, defaults: Node | None, default_model: Node | None) -> Pool:
        chain = (_child(node, "processModel"), default_model)
        starts = _starts("autoStart", (node, defaults))
        name = node.attributes.get("name", "")
        found = _first("identityType", chain)
        if found is None:
            return Pool(name, DEFAULT_IDENTITY_TYPE, "", Origin(None, None, "", "default"), "", starts)
        text, where = found
        known = _IDENTITY_TYPES.get(text) or _IDENTITY_TYPES.get(fold(text))
        if known is None:
            message = f"identityType '{printable(text)}' must be one of {', '.join(IDENTITY_TYPES)}"
            self.notices.append(Notice("config-invalid", message, self.file, where.line, where.text))
        user = _first("userName", chain) if known == "SpecificUser" else None
        origin = Origin(self.file, where.line, "", "explicit" if where is chain[0] else "default")
        return Pool(name, known, user[0] if user else "", origin, where.text, starts)

    def _unique(self, section: Node | None, element: str, key: str) -> dict[str, Node]:
        """The members of a collection by their keys, folded, first of each."""
        first: dict[str, Node] = {}
        for node in section.children if section is not None else ():
            if node.name != element:
                continue
            text = node.attributes.get(key)
            if text is None:
                self._invalid(f"missing required attribute '{key}' on <{element}>", node)
            elif (known := first.setdefault(fold(text), node)) is not node:
                self._invalid(
                    f"duplicate collection entry of type '{element}' with {key} '{printable(text)}' "
                    f"(first in line {known.line}): IIS refuses the section",
                    node,
                )
        return first

    def _check_ids(self, sites: list[Node]) -> None:
        first: dict[str, Node] = {}
        for site in sites:
            text = site.attributes.get("id")
            if text is not None and (known := first.setdefault(text, site)) is not site:
                self._invalid(f"duplicate site id '{printable(text)}' (first in line {known.line})", site)

    def _invalid(self, message: str, node: Node) -> None:
        self.notices.append(Notice("config-invalid", message, self.file, node.line, node.text))

    def _site(self, site: Node, pools: Mapping[str, Pool], section: AuthenticationPaths) -> Site:
        name = site.attributes["name"]
        nodes = self._unique_applications(site)
        self._check_roots(site, nodes)
        defaults = (_child(site, "applicationDefaults"), self.application_defaults)
        applications = tuple([self._application(node, name, defaults, pools, section) for node in nodes])
        starts = _starts("serverAutoStart", (site, self.site_defaults))
        return Site(name, site.line, self._bindings(site), applications, starts)

    def _check_roots(self, site: Node, applications: list[Node]) -> None:
        name = site.attributes["name"]
        if "/" not in [application.attributes["path"] for application in applications]:
            self._invalid(f"site '{printable(name)}' has no application '/': none of its paths can be used", site)
        for application in applications:
            paths = self._unique(application, "virtualDirectory", "path")
            if paths and "/" not in paths:  # without any, the file is an excerpt
                told = f"application '{printable(application.attributes['path'])}' of site '{printable(name)}'"
                self._invalid(f"{told} has no virtual directory '/'", application)

    def _unique_applications(self, site: Node) -> list[Node]:
        nodes = self._unique(site, "application", "path").values()
        for node in nodes:
            demand_segments(node.attributes["path"], self.file, node.line)
        return [node for node in nodes if node.attributes["path"].startswith("/")]

    def _application(
        self,
        node: Node,
        site: str,
        defaults: tuple[Node | None, ...],
        pools: Mapping[str, Pool],
        section: AuthenticationPaths,
    ) -> EffectiveApplication:
        chain = (node, *defaults)
        pool = _first("applicationPool", chain)
        protocols = _first("enabledProtocols", chain)
        path = node.attributes["path"]
        key = _full_path(site, path)
        mount = self._mounts.get(key)
        return EffectiveApplication(
            path,
            node.line,
            pool[0] if pool and pool[0] else None,
            pools.get(fold(pool[0])) if pool else None,
            _serves_http(protocols[0] if protocols else DEFAULT_ENABLED_PROTOCOLS),
            section.at(key),
            section.places(key),
            mount.folder if mount is not None else None,
        )

    def _bindings(self, site: Node) -> tuple[Binding, ...]:
        own = _child(site, "bindings")
        chosen: list[Node] = []
        for collection in (self.default_bindings, own):
            for node in collection.children if collection is not None else ():
                if node.name == "clear":
                    chosen.clear()
                elif node.name == "binding":
                    chosen.append(node)
        return self._unique_bindings(chosen, site.attributes["name"])

    def _unique_bindings(self, nodes: list[Node], site: str) -> tuple[Binding, ...]:
        first: dict[tuple[str, str], Binding] = {}
        for node in nodes:
            read = binding(node)
            known = first.setdefault((read.protocol, fold(read.information)), read)
            if known is not read:
                self._invalid(f"duplicate binding (first in line {known.line}): IIS refuses the section", node)
            elif read.fault is not None:
                message = f"binding '{printable(read.information)}': {read.fault}; it answers nothing"
                self.notices.append(Notice("binding-malformed", message, self.file, node.line, node.text, site))
        return tuple(first.values())

    # -- content -----------------------------------------------------------------------------------------------

    def _application_paths(self) -> frozenset[str]:
        return frozenset(
            _full_path(site.attributes["name"], node.attributes.get("path", ""))
            for site in self._named_sites
            for node in site.children
            if node.name == "application"
        )

    @cached_property
    def _mounts(self) -> dict[str, Mount]:
        defaults = _child(self.sites, "virtualDirectoryDefaults")
        mounts: dict[str, Mount] = {}
        for site in self._named_sites:
            near = _child(site, "virtualDirectoryDefaults")
            for application in site.children:
                if application.name == "application":
                    self._mount(mounts, site, application, (near, defaults))
        return mounts

    def _mount(
        self, mounts: dict[str, Mount], site: Node, application: Node, defaults: tuple[Node | None, ...]
    ) -> None:
        above = _full_path(site.attributes["name"], application.attributes.get("path", ""))
        chain = (_child(application, "virtualDirectoryDefaults"), *defaults)
        for node in application.children:
            if node.name != "virtualDirectory":
                continue
            allowed = _first("allowSubDirConfig", (node, *chain))
            physical = node.attributes.get("physicalPath", "")
            folder = file_key(physical, self.snapshot.machine.environment)
            mount = Mount(folder, allowed is None or fold(allowed[0]) != "false", physical)
            below = node.attributes.get("path", "").strip("/")
            if below:
                mounts.setdefault(f"{above}/{path_key(below)}", mount)
            else:
                mounts[above] = mount  # an application wins over a virtual directory of its parent


_EXCHANGE_PATHS = frozenset(
    {"/autodiscover", "/ecp", "/ews", "/mapi", "/microsoft-server-activesync", "/oab", "/owa", "/powershell", "/rpc"}
)


def _is_exchange(application: EffectiveApplication) -> bool:
    pool = fold(application.pool_name or "")
    return fold(application.path) in _EXCHANGE_PATHS and pool.startswith("msexchange") and pool.endswith("apppool")


@lru_cache(maxsize=64)
def _serves_http(protocols: str) -> bool:
    return any(fold(protocol.strip()) in {"http", "https"} for protocol in protocols.split(","))


def _full_path(site: str, path: str) -> str:
    """The configuration path of an application, folded: `site`, `site/app`."""
    return path_key(f"{site}{path}".rstrip("/"))
