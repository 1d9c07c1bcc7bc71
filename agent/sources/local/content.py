"""The web.config files below a server's virtual directories, and what could not be looked into."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from agent.errors import MalformedError
from agent.iis.parse import parse
from agent.iis.schema import READ_SECTIONS
from agent.iis.snapshot import SourceFile, file_key, full_path
from agent.names import fold
from agent.sources.local.paths import EXTENDED
from agent.sources.local.reading import Reader
from agent.sources.snapshots.disk import DENIED, is_folder, is_link

MAXIMUM_DIRECTORIES = 100_000
MAXIMUM_SECONDS = 60.0

_NO_FOLDER = "no folder can be told from it: an unknown variable, no full path, .. or a dot or blank at an end"


class _Place(NamedTuple):
    """A directory to look into; `links` are the targets of the links on the way, so that none is gone round twice."""

    physical: str
    links: frozenset[str] = frozenset()
    is_root: bool = False

    @property
    def may_be_absent(self) -> bool:
        """Whether "not found" means there is none; of a share, or below a folder just listed, it does not."""
        return self.is_root and not self.physical.startswith("\\\\")


class Search(Struct):
    """Looks for web.config files until a number of directories or a moment (of `time.monotonic`) is reached."""

    reader: Reader
    environment: Mapping[str, str]
    deadline: float = field(default_factory=lambda: time.monotonic() + MAXIMUM_SECONDS)
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

    def _look(self, place: _Place, key: str) -> Sequence[_Place]:
        try:
            listed = self.reader.ask(place.physical + "\\", partial(_listed, place))
        except OSError as error:
            if not (isinstance(error, FileNotFoundError) and place.may_be_absent):
                self._leave_out(place, _in_words(error))
            return ()
        if listed.has_config:
            self._take(place.physical, key)
        return listed.inner

    def _take(self, physical: str, key: str) -> None:
        file = self.reader.load(rf"{physical}\web.config")
        if file.error is not None:
            self.unread.append((rf"{physical}\web.config", file.error))
            return
        self.files[f"{key}/web.config"] = file
        for source in _sources(file):
            self.files[f"{key}/{fold(source)}".replace("\\", "/")] = self.reader.load(rf"{physical}\{source}")


def _in_words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    return DENIED if isinstance(error, PermissionError) else str(error.strerror or error)


class _Listed(NamedTuple):
    """What a directory holds: whether a web.config, and the directories to look into next."""

    has_config: bool
    inner: Sequence[_Place]


def _listed(place: _Place, path: Path) -> _Listed:
    with os.scandir(path) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    has_config = any(fold(entry.name) == "web.config" for entry in listed)
    return _Listed(has_config, [inner for entry in listed if (inner := _inner(place, entry)) is not None])


def _inner(place: _Place, entry: os.DirEntry[str]) -> _Place | None:
    """A sub-directory to look into, through links too, as IIS does; None for a file and for a circle."""
    physical = rf"{place.physical}\{entry.name}"
    if not is_link(entry):
        return _Place(physical, place.links) if entry.is_dir() else None
    if not is_folder(entry.path):
        return None
    real = _real(entry.path)
    if str(real) in place.links or real in (_real(Path(entry.path).parent) / entry.name).parents:
        return None
    return _Place(physical, place.links | {str(real)})


def _real(path: str | Path) -> Path:
    """Where a path really leads; a long one is opened in another form than a short one, and compared in one."""
    return Path(os.path.realpath(path).removeprefix(EXTENDED))


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
