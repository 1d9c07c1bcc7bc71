"""A snapshot folder: `applicationHost.config`, `machine.json`, web.config files by drive below `files/`.

It may come from anywhere, so sizes are looked at before reading, and links that leave it are not followed.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from agent.iis.snapshot import Machine, SourceFile, unopened
from agent.model import Problem
from agent.names import fold, printable
from agent.sources.snapshots.disk import in_words, is_folder, is_link, is_refusal, load, shown
from agent.sources.snapshots.machine_file import MACHINE, read_machine
from agent.sources.snapshots.packed import MAXIMUM_FOLDER, Opened, matters


def read_folder(path: Path) -> Opened:
    """What a snapshot folder holds. Never raises for what stands in it."""
    folder = _Folder(path)
    folder.walk()
    machine_file = folder.files.pop(MACHINE, None)
    machine, problems = Machine(), folder.problems
    if machine_file is not None:
        machine, wrong = read_machine(machine_file)
        problems = [*problems, *wrong]
    return Opened(folder.files, machine, problems)


class _Folder:
    """Walks one snapshot folder and keeps the files that matter, by folded path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, SourceFile] = {}
        self.problems: list[Problem] = []
        self._real = os.path.realpath(path)
        self._room = MAXIMUM_FOLDER

    def walk(self) -> None:
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
            reason = f"the folder could not be listed: {in_words(error, folder)}"
            told = unopened(self._name(below), reason, is_refused=is_refusal(error))
            self.problems.append(replace(told, id="content-unread") if below else told)
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
