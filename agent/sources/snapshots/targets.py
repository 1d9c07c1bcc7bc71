"""A server as files: a bare applicationHost.config, a snapshot folder or a snapshot file (docs/snapshot.schema.json).

A snapshot may come from anywhere, so nothing in it is trusted: sizes are looked at before reading, links that leave
the folder and paths that leave the snapshot are refused. What is wrong becomes a `Problem`, the rest is still read.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.errors import MalformedError, UsageError
from agent.iis.redirection import APPLICATION_HOST
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.model import Problem
from agent.names import fold, host_fault, host_name, printable
from agent.sources.snapshots.disk import in_words, is_folder, is_link, load, shown
from agent.sources.snapshots.file import MAXIMUM_FOLDER, MAXIMUM_PACKED, TOP, matters, opened
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.machine_file import MACHINE, complete, problem, read_machine

FRAMED = ".snapshot"
PACKED = (".snapshot.json.gz", ".snapshot.json")

_NO_SERVER = (".ldif", ".txt", ".toml", ".md", ".json", ".csv", ".html")


# -- which targets -------------------------------------------------------------------------------------------------


def expand(patterns: Sequence[str]) -> list[Path]:
    """The servers that TARGETs name, each once: files, snapshot folders, what a folder of snapshots holds.

    What does not exist and a folder without any configuration stay targets, so that `read` can say so. Raises
    UsageError for a pattern that matches nothing. A POSIX shell expands `*` itself: among several TARGETs, files
    that are evidently no server are left out as well.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            for target in _targets(path):
                found.setdefault(os.path.normcase(os.path.realpath(target)), target)
    servers = [path for path in found.values() if not (path.is_file() and _is_no_server(path.name))]
    return servers if servers and len(patterns) > 1 else list(found.values())


def _matches(pattern: str) -> list[Path]:
    if not pattern or "\0" in pattern:
        raise UsageError(f"no file or folder can be called '{printable(pattern)}'")
    if os.path.lexists(pattern):
        return [Path(pattern)]
    if "*" not in pattern and "?" not in pattern:
        return [Path(pattern)]
    literal_brackets = pattern.replace("[", "[[]")
    names = sorted(glob.glob(literal_brackets))  # noqa: PTH207  pathlib refuses absolute patterns
    servers = [Path(name) for name in names if not _is_no_server(Path(name).name)]
    if not servers:
        reason = "only files that are no server" if names else "nothing"
        raise UsageError(f"'{printable(pattern)}' matches {reason}")
    return servers


def _is_no_server(name: str) -> bool:
    key = fold(name)
    return key.startswith(".") or (key.endswith(_NO_SERVER) and not key.endswith(PACKED))


def _targets(path: Path) -> list[Path]:
    names = _names(path)
    if names is None or _is_snapshot(names):
        return [path]
    return [path / name for name in names if _is_target(path / name)] or [path]


def _is_target(path: Path) -> bool:
    names = _names(path)
    return fold(path.name).endswith((FRAMED, *PACKED)) if names is None else _is_snapshot(names)


def _names(folder: Path) -> list[str] | None:
    """What stands in a folder; None where it is no folder or cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are asked for, not paths
    except OSError:
        return None


def _is_snapshot(names: Sequence[str]) -> bool:
    return any(fold(name) in TOP for name in names)


# -- one target ----------------------------------------------------------------------------------------------------


class _Content(NamedTuple):
    """What a target holds. `called` is what its own name says about the computer's."""

    files: Mapping[str, SourceFile]
    machine: Machine
    problems: Sequence[Problem]
    called: str | None


def read(path: Path, computer: str | None, netbios: Mapping[str, str]) -> Snapshot:
    """Read one target of `expand`. Never raises for what stands in it.

    `computer` is the server's FQDN where it is known from elsewhere; `netbios` has NetBIOS names by folded DNS name
    of the domain, under "" the one for any domain. Both only fill what the target does not say.
    """
    content = _read_folder(path) if is_folder(path) else _read_file(path)
    machine, doubts = complete(content.machine, computer, content.called, netbios)
    return Snapshot(source=shown(path), machine=machine, files=content.files, problems=(*content.problems, *doubts))


def from_document(
    data: bytes | Mapping[str, object], source: str, called: str | None, netbios: Mapping[str, str]
) -> Snapshot:
    """The snapshot in a JSON document, zipped or decoded as well, with the names completed as `read` does.

    `source` is what it is called in messages, `called` the name under which the server was asked. Raises
    MalformedError where nothing of it can be used.
    """
    files, machine, problems = opened(data, source)
    whole, doubts = complete(machine, None, _computer_in(called) if called else None, netbios)
    return Snapshot(source=source, machine=whole, files=files, problems=(*problems, *doubts))


_PORT = re.compile(r"=[0-9]{1,5}\Z")


def _computer_in(name: str) -> str | None:
    """The computer that a folder or file is named after, where that can be the name of one.

    `collect` writes web01=5986 for port 5986 of web01, and a `=` for each `:` of an IPv6 address.
    """
    label = _PORT.sub("", name).partition(".")[0]
    can_be = host_fault(host_name(label)) is None and not label.isdigit()
    return label if can_be else None


def _read_file(path: Path) -> _Content:
    name = fold(path.name)
    suffix = next((suffix for suffix in (FRAMED, *PACKED) if name.endswith(suffix)), None)
    if suffix is None:
        return _Content({APPLICATION_HOST: load(path, shown(path))}, Machine(), (), None)
    called = _computer_in(path.name[: -len(suffix)])
    packed = load(path, shown(path), MAXIMUM_PACKED)
    if packed.error is not None:
        return _Content({}, Machine(), (problem(packed.error, packed.name),), called)
    try:
        data = unframe(packed.data, packed.name) if suffix == FRAMED else packed.data
        return _Content(*opened(data, packed.name), called)
    except MalformedError as error:
        return _Content({}, Machine(), (problem(error.reason, error.file, error.line),), called)


# -- a snapshot folder ---------------------------------------------------------------------------------------------


def _read_folder(path: Path) -> _Content:
    folder = _Folder(path)
    folder.read()
    machine_file = folder.files.pop(MACHINE, None)
    machine, problems = Machine(), folder.problems
    if machine_file is not None:
        machine, wrong = read_machine(machine_file)
        problems = [*problems, *wrong]
    return _Content(folder.files, machine, problems, _computer_in(Path(os.path.abspath(path)).name))  # noqa: PTH100


class _Folder:
    """Walks one snapshot folder and keeps the files that matter, by folded path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, SourceFile] = {}
        self.problems: list[Problem] = []
        self._real = os.path.realpath(path)
        self._room = MAXIMUM_FOLDER

    def read(self) -> None:
        open_folders = [(self.path, "")]
        while open_folders:
            folder, below = open_folders.pop()
            for entry in self._entries(folder, below):
                relative = f"{below}/{entry.name}" if below else entry.name
                if self._is_entered(entry, relative):
                    open_folders.append((Path(entry.path), relative))
                elif matters(fold(relative)):
                    self._take(entry, relative)

    def _name(self, relative: str) -> str:
        return printable(f"{self.path}/{relative}") if relative else shown(self.path)

    def _entries(self, folder: Path, below: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            what = "content-unread" if below else "config-malformed"
            reason = f"the folder could not be listed: {in_words(error, folder)}"
            self.problems.append(Problem(id=what, message=reason, file=self._name(below)))
            return []

    def _is_entered(self, entry: os.DirEntry[str], relative: str) -> bool:
        key = fold(relative)
        if not f"{key}/".startswith("files/") or key.endswith("/web.config") or not is_folder(entry.path):
            return False
        if is_link(entry):
            reason = "a link to a folder, which is not followed: what it holds is not known"
            self.problems.append(Problem(id="content-unread", message=reason, file=self._name(relative)))
            return False
        return True

    def _take(self, entry: os.DirEntry[str], relative: str) -> None:
        name, key = self._name(relative), fold(relative)
        if key in self.files:
            reason = "it stands here twice, the names differ in case only"
            self.files[key] = SourceFile(name, b"", reason)
        elif is_link(entry) and not self._is_inside(entry):
            self.files[key] = SourceFile(name, b"", "a link that leads out of the snapshot, which is not followed")
        elif self._room <= 0:
            reason = f"the snapshot holds more than {MAXIMUM_FOLDER // 1024 // 1024} MB"
            self.files[key] = SourceFile(name, b"", reason)
        else:
            self.files[key] = load(Path(entry.path), name)
            self._room -= len(self.files[key].data)

    def _is_inside(self, entry: os.DirEntry[str]) -> bool:
        return Path(self._real) in Path(os.path.realpath(entry.path)).parents
