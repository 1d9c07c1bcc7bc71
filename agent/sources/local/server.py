"""This Windows server as a snapshot: IIS's configuration, the web.config files it leads to, the machine's facts.

What Windows itself says comes through the protocol `Windows`, so that the rest runs (and is tested) anywhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from agent.errors import MalformedError, UsageError
from agent.iis.parse import Node, parse
from agent.iis.redirection import REDIRECTION_FILE, configuration_file, redirection
from agent.iis.schema import SITES
from agent.iis.snapshot import Snapshot, SourceFile, full_path
from agent.names import fold
from agent.sources import certificates
from agent.sources.local.content import Search
from agent.sources.local.paths import CONFIGURATION, configuration_folder
from agent.sources.local.reading import Reader
from agent.sources.local.windows import Windows
from agent.sources.shares import Shares
from agent.sources.snapshots.disk import ABSENT

_ENVIRONMENT = ("SystemDrive", "SystemRoot", "windir")
_NO_CERTIFICATES = ("certificates", "Windows does not show them; which further names clients may use is not known")
_NO_IIS = f"{ABSENT}: IIS is not installed here, or this takes administrator rights"


NO_TARGET = "no TARGET given and this is not Windows: name an applicationHost.config or a snapshot folder"


def this_windows(otherwise: str = NO_TARGET) -> Windows:
    """The server this program runs on. Raises UsageError, which says `otherwise`, where it is no Windows."""
    if sys.platform == "win32":
        from agent.sources.local.windows import ThisWindows

        return ThisWindows()
    raise UsageError(otherwise)


def read_this_server(windows: Windows | None = None, shares: Shares | None = None) -> Snapshot:
    """Read this server. Raises UsageError where it is no Windows. What cannot be read is named, the rest is there.

    Who reads again and again gives the same `shares` each time.
    """
    windows = windows or this_windows()
    reader = Reader(windows.real, shares or Shares())
    machine = replace(windows.machine(), environment=windows.environment(), collected_at=datetime.now(UTC))
    found = Snapshot(source="this server", machine=machine, files=_own_files(windows, reader))
    whole = _with_content(windows, reader, _with_shared(reader, found))
    return replace(whole, machine=replace(whole.machine, environment=_used(whole)))


def _own_files(windows: Windows, reader: Reader) -> dict[str, SourceFile]:
    folder = configuration_folder(windows.environment())
    host = reader.load(rf"{folder}\{CONFIGURATION}", is_own=True)
    if host.error == ABSENT:
        host = host._replace(error=_NO_IIS)
    other = reader.load(rf"{folder}\{REDIRECTION_FILE}")
    return {fold(CONFIGURATION): host, **({} if other.error == ABSENT else {REDIRECTION_FILE: other})}


_VARIABLE_BYTES = re.compile(rb"%([A-Za-z_][A-Za-z0-9_().]{0,80})%")


def _used(found: Snapshot) -> dict[str, str]:
    """The variables that paths of this server use; the others are nobody's business and may hold secrets."""
    texts = (file.data.replace(b"\0", b"") for key, file in found.files.items() if not key.endswith("/web.config"))
    named = {fold(name.decode("ascii")) for text in texts for name in _VARIABLE_BYTES.findall(text)}
    wanted = named | {fold(name) for name in _ENVIRONMENT}
    return {name: value for name, value in found.machine.environment.items() if fold(name) in wanted}


# -- files ---------------------------------------------------------------------------------------------------------


def _with_shared(reader: Reader, found: Snapshot) -> Snapshot:
    """The shared configuration added, where one is in force and can be opened."""
    try:
        shared = redirection(found)
    except MalformedError:
        return found  # told by configuration_file
    if shared is None or shared.key is None:
        return found
    folder = full_path(shared.path, found.machine.environment)
    file = reader.load(rf"{folder}\{CONFIGURATION}", is_own=True)
    return replace(found, files={**found.files, shared.key: file})


def _with_content(windows: Windows, reader: Reader, found: Snapshot) -> Snapshot:
    """The web.config files below the virtual directories added, and what could not be looked at."""
    source = configuration_file(found).file
    sites = _sites(source) if source is not None else None
    search = Search(reader, found.machine.environment)
    for root in _physical_paths(sites) if sites is not None else ():
        search.below(root)
    bound = windows.certificates() if sites is not None else None
    lacking = (_NO_CERTIFICATES,) if sites is not None and bound is None else ()
    machine = replace(
        found.machine,
        content_looked=source is not None,
        unread=tuple(search.unread),
        facts_unread=(*found.machine.facts_unread, *lacking),
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
