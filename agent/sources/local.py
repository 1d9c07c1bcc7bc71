"""This Windows server as a snapshot: IIS's configuration, the web.config files it leads to, the machine's facts.

What Windows itself says comes through the protocol `Windows`, so that the rest runs (and is tested) anywhere.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, Protocol

from agent.errors import MalformedError, SourceError, UsageError
from agent.iis.parse import Node, parse
from agent.iis.redirection import REDIRECTION_FILE, configuration_file, redirection
from agent.iis.schema import READ_SECTIONS, SITES
from agent.iis.snapshot import Machine, Membership, Snapshot, SourceFile, file_key, full_path
from agent.names import Address, fold, ip_address, printable
from agent.sources import certificates
from agent.sources.snapshots.disk import is_folder, is_link, load

MAXIMUM_DIRECTORIES = 100_000
MAXIMUM_SECONDS = 60.0

_NO_FOLDER = "no folder can be told from it: an unknown variable, no full path, .. or a dot or blank at an end"

_ENVIRONMENT = ("SystemDrive", "SystemRoot", "windir")


class Windows(Protocol):
    """What this module asks of Windows."""

    def environment(self) -> Mapping[str, str]:
        """The variables of the process."""

    def machine(self) -> Machine:
        """Names, domain, addresses, registry values and services."""

    def real(self, physical: str) -> Path:
        """What to open for a Windows path."""

    def certificates(self) -> Mapping[str, bytes] | None:
        """The certificates of http.sys (DER) by endpoint (`agent.sources.certificates`); None where it does not say."""


def read_this_server(windows: Windows | None = None) -> Snapshot:
    """Read this server. Raises UsageError where it is no Windows, SourceError where Windows gives no answer."""
    if windows is None:
        windows = _this_windows()
    machine = replace(windows.machine(), environment=windows.environment(), collected_at=datetime.now(UTC))
    folder = configuration_folder(windows.environment())
    files = {fold(name): _load(windows, f"{folder}\\{name}") for name in ("applicationHost.config", REDIRECTION_FILE)}
    if files[REDIRECTION_FILE].error == _ABSENT:
        del files[REDIRECTION_FILE]
    found = Snapshot(source="this server", machine=machine, files=files)
    whole = _with_content(windows, _with_shared(windows, found))
    return replace(whole, machine=replace(whole.machine, environment=_used(whole)))


def configuration_folder(environment: Mapping[str, str]) -> str:
    """Where IIS keeps its files: a 32-bit process sees a copy in System32, and the real one as Sysnative."""
    known = {fold(name): value for name, value in environment.items()}
    system = "Sysnative" if "processor_architew6432" in known else "System32"
    windir = known.get("windir", r"C:\Windows")
    return rf"{windir}\{system}\inetsrv\config"


_VARIABLE_BYTES = re.compile(rb"%([A-Za-z_][A-Za-z0-9_().]{0,80})%")


def _used(found: Snapshot) -> dict[str, str]:
    """The variables that paths of this server use; the others are nobody's business and may hold secrets."""
    texts = (file.data.replace(b"\0", b"") for key, file in found.files.items() if not key.endswith("/web.config"))
    named = {fold(name.decode("ascii")) for text in texts for name in _VARIABLE_BYTES.findall(text)}
    wanted = named | {fold(name) for name in _ENVIRONMENT}
    return {name: value for name, value in found.machine.environment.items() if fold(name) in wanted}


_ABSENT, _DENIED = "no such file", "access denied"  # as agent.sources.snapshots.disk.load says it


def _load(windows: Windows, physical: str) -> SourceFile:
    file = load(windows.real(physical), printable(physical))
    if file.error == _DENIED:
        return file._replace(error=f"{_DENIED}: it takes an elevated prompt (Run as administrator)")
    return file


# -- files ---------------------------------------------------------------------------------------------------------


def _with_shared(windows: Windows, found: Snapshot) -> Snapshot:
    """The shared configuration added, where one is in force and can be opened."""
    try:
        shared = redirection(found)
    except MalformedError:
        return found  # told by configuration_file
    if shared is None or shared.key is None:
        return found
    folder = full_path(shared.path, found.machine.environment)
    return replace(found, files={**found.files, shared.key: _load(windows, rf"{folder}\applicationHost.config")})


def _with_content(windows: Windows, found: Snapshot) -> Snapshot:
    """The web.config files below the virtual directories added, and what could not be looked at."""
    source = configuration_file(found).file
    sites = _sites(source) if source is not None else None
    roots = list(_physical_paths(sites)) if sites is not None else []
    search = _Search(windows, found.machine.environment, time.monotonic() + MAXIMUM_SECONDS)
    for root in roots:
        search.below(root)
    bound = windows.certificates() if sites is not None else None
    machine = replace(
        found.machine,
        content_looked=source is not None,
        unread=tuple(search.unread),
        certificate_names=certificates.names_by_site(sites, bound) if sites is not None and bound is not None else None,
    )
    return replace(found, machine=machine, files={**search.files, **found.files})


def _sites(source: SourceFile) -> Node | None:
    try:
        return parse(source.xml(), source.name).section(SITES)
    except MalformedError:
        return None


def _physical_paths(sites: Node) -> Iterator[str]:
    seen: set[str] = set()
    for node in _nodes(sites):
        path = node.attributes.get("physicalPath", "")
        if node.name == "virtualDirectory" and path and fold(path) not in seen:
            seen.add(fold(path))
            yield path


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


class _Place(NamedTuple):
    """A directory to look into; `links` are the targets of the links on the way, so that none is gone round twice."""

    physical: str
    links: frozenset[str] = frozenset()
    is_root: bool = False

    @property
    def may_be_absent(self) -> bool:
        """Whether "not found" means there is none; of a share, or below a folder just listed, it does not."""
        return self.is_root and not self.physical.startswith("\\\\")


@dataclass
class _Search:
    """Looks for web.config files until a number of directories or a moment is reached."""

    windows: Windows
    environment: Mapping[str, str]
    deadline: float
    files: dict[str, SourceFile] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def below(self, root: str) -> None:
        """Look into a physical path, as the configuration writes it, and everything below."""
        physical = full_path(root, self.environment)
        if physical is None:
            self.unread.append((root, _NO_FOLDER))
            return
        open_places = [_Place(physical.rstrip("\\"), is_root=True)]
        while open_places:
            place = open_places.pop()
            key = file_key(place.physical + "\\", self.environment)
            if key is None:
                self._leave_out(place, _NO_FOLDER)
                continue
            if key in self._seen:
                continue
            if (limit := self._limit()) is not None:
                self._leave_out(place, limit)
                continue
            self._seen.add(key)
            open_places.extend(self._look(place, key))

    def _limit(self) -> str | None:
        if len(self._seen) >= MAXIMUM_DIRECTORIES:
            return f"not looked at: more than {MAXIMUM_DIRECTORIES} directories"
        return f"not looked at after {MAXIMUM_SECONDS:.0f} seconds" if time.monotonic() > self.deadline else None

    def _leave_out(self, place: _Place, why: str) -> None:
        self.unread.append((rf"{place.physical}\web.config", why))

    def _look(self, place: _Place, key: str) -> list[_Place]:
        try:
            with os.scandir(self.windows.real(place.physical + "\\")) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            if any(fold(entry.name) == "web.config" for entry in listed):
                self._take(place.physical, key)
            return [inner for entry in listed if (inner := _inner(place, entry)) is not None]
        except OSError as error:
            if isinstance(error, FileNotFoundError) and place.may_be_absent:
                return []
            self._leave_out(place, _in_words(error))
            return []

    def _take(self, physical: str, key: str) -> None:
        file = _load(self.windows, rf"{physical}\web.config")
        if file.error is not None:
            self.unread.append((rf"{physical}\web.config", file.error))
            return
        self.files[f"{key}/web.config"] = file
        for source in _sources(file):
            self.files[f"{key}/{fold(source)}".replace("\\", "/")] = _load(self.windows, rf"{physical}\{source}")


def _in_words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    return _DENIED if isinstance(error, PermissionError) else str(error.strerror or error)


def _inner(place: _Place, entry: os.DirEntry[str]) -> _Place | None:
    """A sub-directory to look into, through links too, as IIS does; None for a file and for a circle."""
    physical = rf"{place.physical}\{entry.name}"
    if not is_link(entry):
        return _Place(physical, place.links) if entry.is_dir() else None
    if not is_folder(entry.path):
        return None
    real = Path(os.path.realpath(entry.path))
    if str(real) in place.links or real in Path(os.path.realpath(Path(entry.path).parent), entry.name).parents:
        return None
    return _Place(physical, place.links | {str(real)})


def _sources(file: SourceFile) -> Iterator[str]:
    """The files that `configSource` names in the sections this program reads, as far as they stand below."""
    if b"configSource" not in file.data.replace(b"\0", b""):
        return
    try:
        document = parse(file.xml(), file.name)
    except MalformedError:
        return
    for location in document.locations:
        for name, node in location.sections:
            source = node.attributes.get("configSource", "")
            if name in READ_SECTIONS and source and ".." not in source and ":" not in source and source[0] not in "\\/":
                yield source


# -- Windows -------------------------------------------------------------------------------------------------------


def _this_windows() -> Windows:
    if sys.platform == "win32":
        return _ThisWindows()
    raise UsageError("no TARGET given and this is not Windows: name an applicationHost.config or a snapshot folder")


if sys.platform == "win32":
    import ctypes
    import winreg
    from ctypes import wintypes

    _LSA = r"SYSTEM\CurrentControlSet\Control\Lsa"
    _HTTP = r"SYSTEM\CurrentControlSet\Services\HTTP\Parameters"
    _REGISTRY = {
        "BackConnectionHostNames": rf"{_LSA}\MSV1_0",
        "DisableLoopbackCheck": _LSA,
        "MaxFieldLength": _HTTP,
        "MaxRequestBytes": _HTTP,
    }
    _SERVICES = ("W3SVC", "WAS", "WMSVC", "WinRM")
    _NETBIOS_NAME, _DNS_NAME = 4, 7  # COMPUTER_NAME_FORMAT: ComputerNamePhysicalNetBIOS, ...DnsFullyQualified
    _MEMBER_ROLES, _CONTROLLER_ROLES = {1, 3}, {4, 5}  # DSROLE_MACHINE_ROLE

    class _DomainInfo(ctypes.Structure):
        """DSROLE_PRIMARY_DOMAIN_INFO_BASIC."""

        _fields_ = (
            ("role", ctypes.c_int),
            ("flags", wintypes.ULONG),
            ("flat", wintypes.LPWSTR),
            ("dns", wintypes.LPWSTR),
            ("forest", wintypes.LPWSTR),
            ("guid", ctypes.c_byte * 16),
        )

    class _ThisWindows:
        """The server this program runs on."""

        def environment(self) -> Mapping[str, str]:
            return os.environ

        def real(self, physical: str) -> Path:
            return Path(physical)

        def certificates(self) -> Mapping[str, bytes] | None:
            return certificates.bound()

        def machine(self) -> Machine:
            role, netbios, domain = _domain()
            membership = _membership(role)
            return Machine(
                name=_computer_name(_NETBIOS_NAME),
                dns_name=_computer_name(_DNS_NAME),
                domain=domain if membership == "domain" else None,
                netbios_domain=netbios if membership == "domain" else None,
                membership=membership,
                domain_controller=role in _CONTROLLER_ROLES,
                addresses=_addresses(),
                registry=_registry(),
                services=_services(),
            )

    def _computer_name(form: int) -> str | None:
        size = wintypes.DWORD(1024)
        buffer = ctypes.create_unicode_buffer(size.value)
        answered = ctypes.windll.kernel32.GetComputerNameExW(form, buffer, ctypes.byref(size))
        return buffer.value or None if answered else None

    def _domain() -> tuple[int, str | None, str | None]:
        """The machine's role, and its domain's NetBIOS and DNS name."""
        answer = ctypes.POINTER(_DomainInfo)()
        status = ctypes.windll.netapi32.DsRoleGetPrimaryDomainInformation(None, 1, ctypes.byref(answer))
        if status != 0:
            raise SourceError(f"Windows does not say which domain it is in (error {status})")
        try:
            info = answer.contents
            return info.role, info.flat, info.dns
        finally:
            ctypes.windll.netapi32.DsRoleFreeMemory(answer)

    def _membership(role: int) -> Membership:
        if role in _MEMBER_ROLES | _CONTROLLER_ROLES:
            return "domain"
        try:
            with _key(r"SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo") as key:
                return "entra" if winreg.QueryInfoKey(key)[0] else "workgroup"
        except OSError:
            return "workgroup"

    def _key(path: str) -> winreg.HKEYType:
        return winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY)

    def _registry() -> dict[str, object]:
        values: dict[str, object] = {}
        for name, path in _REGISTRY.items():
            try:
                with _key(path) as key:
                    values[name] = winreg.QueryValueEx(key, name)[0]
            except FileNotFoundError:
                continue
        return values

    def _addresses() -> tuple[Address, ...]:
        import socket

        psutil = _psutil()
        every = [each for interface in psutil.net_if_addrs().values() for each in interface]
        found = [ip_address(each.address) for each in every if each.family in {socket.AF_INET, socket.AF_INET6}]
        return tuple(each for each in found if each and each != "::1" and not each.startswith("127."))

    def _psutil() -> ModuleType:
        try:
            import psutil
        except ImportError:
            raise SourceError("reading this server takes psutil: py -m pip install psutil") from None
        return psutil

    def _services() -> dict[str, str]:
        psutil = _psutil()
        found: dict[str, str] = {}
        for name in _SERVICES:
            try:
                found[name] = psutil.win_service_get(name).status()
            except psutil.Error:
                continue  # not installed
        return found
