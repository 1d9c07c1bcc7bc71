"""Ansible's `group_vars` and `host_vars`: the files of variables that stand beside an inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.errors import UsageError
from agent.sources import text_file
from agent.sources.inventory.ansible_groups import Group, Host, Tree
from agent.sources.inventory.ansible_variables import VAULT_MARK, Variables
from agent.sources.inventory.ansible_yaml import read_variables

VARIABLE_FILE_SIZE = 1024 * 1024
DEEPEST = 100
"""Folders within folders: a link may lead back up."""

_SUFFIXES = ("", ".yml", ".yaml", ".json")


def read_beside(folder: Path, tree: Tree) -> None:
    """Add the variables of the files in `folder` to the groups and hosts of the tree. Raises UsageError."""
    _read_folder(folder / "group_vars", tree.groups, tree.notes)
    _read_folder(folder / "host_vars", tree.hosts, tree.notes)


def _read_folder(folder: Path, owners: Mapping[str, Group | Host], notes: list[str]) -> None:
    """Of one name the first of NAME, NAME.yml, NAME.yaml, NAME.json counts; a folder stands for the files in it."""
    listed = _listing(folder)
    for name, owner in owners.items() if listed else ():
        found = next((listed[name + suffix] for suffix in _SUFFIXES if name + suffix in listed), None)
        for file in _files(found, 0) if found else ():
            owner.from_files |= _read_file(file, notes)


def _listing(folder: Path) -> dict[str, Path]:
    """What stands in a folder; names come from here only, so that no group's name leads elsewhere."""
    try:
        return {path.name: path for path in sorted(folder.iterdir())}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror or error}") from None


def _files(path: Path, depth: int) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    elif depth < DEEPEST:
        for name, inside in _listing(path).items():
            is_wanted = not name.startswith(".") and not name.endswith("~")
            if is_wanted and inside.suffix in (("",) if inside.is_dir() else _SUFFIXES):
                yield from _files(inside, depth + 1)


def _read_file(path: Path, notes: list[str]) -> Variables:
    text = text_file.read_text(path, VARIABLE_FILE_SIZE)
    if text.startswith(VAULT_MARK):
        notes.append(f"{path} is vaulted and passed over: what it says of users, ports and transports is not known")
        return {}
    return read_variables(text, str(path))
