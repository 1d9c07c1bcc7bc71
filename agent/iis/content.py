"""Which web.config files take part at a URL path: physical paths of applications and virtual directories.

IIS finds them by the physical path of the virtual directory with the longest matching path, and of each directory
below it unless `allowSubDirConfig` is false (iis-docs, virtualDirectory).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.errors import MalformedError
from agent.iis.merge import SectionFault
from agent.iis.parse import MAXIMUM_SEGMENTS, Document, Node, parse, parse_section
from agent.iis.schema import KNOWN_WEB_SERVER_SECTIONS, WINDOWS_AUTHENTICATION
from agent.iis.snapshot import Snapshot, file_key
from agent.names import fold, printable


class Mount(Struct, frozen=True, gc=False):
    """A virtual directory: its folder below `files/`, and whether sub-directories count.

    `folder` is None where nobody can tell which one `physical_path` means: what stands there is not known then.
    """

    folder: str | None
    allow_sub_dir_config: bool
    physical_path: str = ""


class WebConfig(NamedTuple):
    """One web.config: what it says, or why it says nothing. `unread` marks what could not be opened or decrypted."""

    document: Document | None
    fault: SectionFault | None = None
    unread: bool = False


class _UnreadError(Exception):
    """A file that a configSource names could not be opened."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name
        self.why = why


class Content:
    """The web.config files of one server. `declared` are the sections applicationHost.config registers."""

    def __init__(self, snapshot: Snapshot, mounts: Mapping[str, Mount], declared: Iterable[str]) -> None:
        self._snapshot = snapshot
        self._mounts = mounts
        self._declared = frozenset(declared)
        self._read: dict[str, WebConfig] = {}
        environment = snapshot.machine.environment
        self._unread = {file_key(path, environment): why for path, why in snapshot.machine.unread}
        self._looked = snapshot.machine.content_looked
        self._unlisted = {key: why for key, why in self._unread.items() if key and not key.endswith(".config")}
        known = (*snapshot.files, *(key for key in self._unread if key is not None))
        web_configs = (key.removesuffix("/web.config") for key in known if key.endswith("/web.config"))
        self._folders = frozenset((*web_configs, *self._unlisted))

    @cached_property
    def is_looked_at(self) -> bool:
        """Whether anybody looked for web.config files: where nobody did, that there is none says nothing."""
        return self._looked or any(key.endswith("/web.config") for key in self._snapshot.files)

    @cached_property
    def is_empty(self) -> bool:
        """Whether it is known that no web.config takes part, or nobody looked for any."""
        lost = self.is_looked_at and any(mount.folder is None for mount in self._mounts.values())
        return not self._folders and not self._unread and not lost

    @property
    def unplaced(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read, and why, of which nobody can tell whose folder they stand in."""
        lost = tuple(fold(mount.physical_path) for mount in self._mounts.values() if mount.folder is None)
        environment = self._snapshot.machine.environment
        return tuple(
            (path, why)
            for path, why in self._snapshot.machine.unread
            if file_key(path, environment) is None and not fold(path).startswith(tuple(filter(None, lost)))
        )

    def at(self, path: str) -> WebConfig | None:
        """The web.config of one level (`site/app/dir`, folded), None where there is none."""
        mount = self._mounts.get(path)
        if mount is not None and mount.folder is None:
            return self._lost(mount)
        folder = self._folder(path)
        if folder is None:
            return None
        key = f"{folder}/web.config"
        if key in self._unread or key in self._snapshot.files:
            if key not in self._read:
                self._read[key] = self._open(key)
            return self._read[key]
        return self._below_unlisted(folder)

    def _below_unlisted(self, folder: str) -> WebConfig | None:
        """What is known of a folder where it, or one above it, is said to be unread: who read nothing saw no file."""
        above = folder if self._unlisted else ""
        while above and above not in self._unlisted:
            above = above.rpartition("/")[0]
        return _unreadable(f"{folder.removeprefix('files/')}/web.config", self._unlisted[above]) if above else None

    def _folder(self, path: str) -> str | None:
        above = path
        while above not in self._mounts:
            above, slash, _ = above.rpartition("/")
            if not slash:
                return None
        mount = self._mounts[above]
        below = path[len(above) + 1 :]
        if mount.folder is None or (below and not mount.allow_sub_dir_config):
            return None
        return f"{mount.folder}/{below}" if below else mount.folder

    def directories(self) -> Iterator[str]:
        """The URL paths (folded) of the directories that have a web.config of their own, read or not."""
        if not self._folders:
            return
        by_folder: dict[str, list[str]] = {}
        for path, mount in self._mounts.items():
            if mount.folder is not None:
                by_folder.setdefault(mount.folder, []).append(path)
        for folder in self._folders:
            above, below = folder, ""
            while above and below.count("/") < MAXIMUM_SEGMENTS:
                for path in by_folder.get(above, ()):
                    yield f"{path}/{below}" if below else path
                above, _, last = above.rpartition("/")
                below = f"{last}/{below}" if below else last

    def _lost(self, mount: Mount) -> WebConfig | None:
        """What is known of a folder that cannot be found, where the others were looked at."""
        if not self.is_looked_at:
            return None
        told = {fold(path): why for path, why in self._snapshot.machine.unread}
        why = told.get(fold(mount.physical_path), "an unknown variable, or no full path")
        reason = f"its folder cannot be told from the physicalPath: {why}"
        return _unreadable(
            mount.physical_path or "physicalPath", reason, mount.physical_path or "an empty physicalPath"
        )

    # -- reading -----------------------------------------------------------------------------------------------

    def _open(self, key: str) -> WebConfig:
        if key in self._unread:
            return _unreadable(key.removeprefix("files/"), self._unread[key])
        file = self._snapshot.files[key]
        if file.error is not None:
            return _unreadable(file.name, file.error)
        try:
            document = self._with_sources(parse(file.xml(), file.name), key)
        except _UnreadError as error:
            return _unreadable(error.name, error.why)
        except MalformedError as error:
            return WebConfig(None, SectionFault("config-malformed", error.reason, error.file, error.line, ""))
        return WebConfig(document, self._refused(document))

    def _refused(self, document: Document) -> SectionFault | None:
        """Why IIS would refuse the whole file; an unregistered section breaks every section of the level."""
        for fault in document.faults:
            return SectionFault("config-invalid", fault.reason, document.file, fault.line, "")
        for path, definition in document.definitions.items():
            if path in self._declared:
                reason = f"section '{path}' is declared already, in applicationHost.config"
                return SectionFault("config-invalid", reason, document.file, definition.line, "")
        if WINDOWS_AUTHENTICATION not in self._declared:
            return None
        known = KNOWN_WEB_SERVER_SECTIONS | self._declared | set(document.definitions)
        for path, line in document.others:
            if path.startswith("system.webServer/") and not _is_registered(path, known):
                reason = f"section '{path}' is not registered: IIS answers 500.19 with 0x8007000d here and below"
                return SectionFault("config-invalid", reason, document.file, line, f"<{path.rpartition('/')[2]}>")
        return None

    def _with_sources(self, document: Document, key: str) -> Document:
        """The document with every `configSource` replaced by what the named file holds."""
        if not any("configSource" in node.attributes for _, node in _every_section(document)):
            return document
        locations = tuple(
            replace(
                location, sections=tuple((name, self._sourced(node, document, key)) for name, node in location.sections)
            )
            for location in document.locations
        )
        return document._replace(locations=locations)

    def _sourced(self, node: Node, document: Document, key: str) -> Node:
        source = node.attributes.get("configSource")
        if source is None:
            return node
        folder = key.rpartition("/")[0]
        named = self._snapshot.files.get(f"{folder}/{'/'.join(_parts(source))}")
        if named is None or ".." in _parts(source):
            reason = f"specified configSource '{printable(source)}' cannot be parsed"
            raise MalformedError(document.file, node.line, reason)
        if named.error is not None:
            raise _UnreadError(named.name, named.error)
        return parse_section(named.xml(), named.name, node.name)


def _every_section(document: Document) -> Iterator[tuple[str, Node]]:
    for location in document.locations:
        yield from location.sections


def _parts(path: str) -> list[str]:
    return [fold(part) for part in path.replace("\\", "/").split("/") if part not in {"", "."}]


def _is_registered(path: str, known: Iterable[str]) -> bool:
    """Whether the path is a registered section, or a group (or part) of one."""
    return any(path == section or section.startswith(f"{path}/") or path.startswith(f"{section}/") for section in known)


def _unreadable(name: str, why: str, text: str = "") -> WebConfig:
    return WebConfig(None, SectionFault("content-unread", f"could not be opened: {why}", name, None, text), unread=True)
