"""The output of `ansible-inventory --list` and of inventory scripts: JSON in which names are names, not ranges."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping

from agent.errors import UsageError
from agent.names import printable
from agent.sources.inventory.ansible_groups import UNGROUPED, Host, Tree
from agent.sources.inventory.ansible_variables import KNOWN, Value, Variables, value_of


def read_json(text: str, tree: Tree) -> bool:
    """Add such an output to the tree; False where it is other JSON: the YAML form of an inventory, written as JSON.

    Raises UsageError with file and line.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{tree.place}:{error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{tree.place}: not JSON: nested too deeply, or a number of thousands of digits") from None
    if not isinstance(document, dict):
        raise UsageError(f"{tree.place}: no inventory: an object with groups is expected")
    if "_meta" not in document and not any(map(_holds_list, document.values())):
        return False
    _Reader(text, tree).read(document)
    return True


def _holds_list(group: object) -> bool:
    parts = [group.get("hosts"), group.get("children")] if isinstance(group, dict) else [group]
    return any(isinstance(part, list) for part in parts)


class _Reader:
    def __init__(self, text: str, tree: Tree) -> None:
        self._tree = tree
        self._lines = _Lines(text)

    def read(self, document: Mapping[str, object]) -> None:
        for name, content in document.items():
            if name != "_meta":
                self._read_group(name, content if isinstance(content, dict) else {"hosts": content})
        meta = document.get("_meta")
        variables = meta.get("hostvars") if isinstance(meta, dict) else None
        self._lines.restart()
        for name, own in self._mapping(variables or {}, "hostvars").items():
            host = self._host(name, UNGROUPED)
            host.place = self._at(name)
            host.variables |= self._variables(name, own)

    def _read_group(self, name: str, content: Mapping[str, object]) -> None:
        for host in self._names(content.get("hosts"), name):
            self._host(host, name)
        for child in self._names(content.get("children"), name):
            self._tree.add_child(name, child)
        self._tree.group(name).variables |= self._variables(name, content.get("vars") or {})

    def _host(self, name: str, group: str) -> Host:
        try:
            return self._tree.add_host(name, group, self._tree.place)
        except UsageError as error:
            raise UsageError(f"{self._tree.place}: {error}") from None

    def _names(self, part: object, owner: str) -> list[str]:
        if part is None:
            return []
        if not isinstance(part, list) or not all(isinstance(one, str) for one in part):
            raise UsageError(f"{self._at(owner)}: the group '{printable(owner)}' must list names")
        return part

    def _variables(self, owner: str, variables: object) -> Variables:
        own = self._mapping(variables, owner)
        return {name: _value(name, self._at(owner, name), value) for name, value in own.items() if name in KNOWN}

    def _mapping(self, value: object, owner: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise UsageError(f"{self._at(owner)}: an object is expected for '{printable(owner)}'")
        return value

    def _at(self, owner: str, variable: str | None = None) -> str:
        return f"{self._tree.place}:{self._lines.find(owner, variable)}"


def _value(name: str, here: str, value: object) -> Value:
    """Ansible writes a vaulted value as `{"__ansible_vault": ...}`, one marked `!unsafe` likewise."""
    if isinstance(value, dict) and isinstance(value.get("__ansible_unsafe"), str):
        return value_of(name, here, [value["__ansible_unsafe"]], is_literal=True)
    parts = value if isinstance(value, list) else [value]
    is_vaulted = any(isinstance(part, dict) and "__ansible_vault" in part for part in parts)
    is_text = not any(isinstance(part, dict | list) for part in parts)
    texts = [str(part) for part in parts if part is not None] if is_text else None
    return value_of(name, here, texts, is_vaulted=is_vaulted)


class _Lines:
    """In which line a key stands: `json` keeps none, so that keys are looked up in the text, going forward."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places: dict[str, list[int]] = {}
        for found in _STRING.finditer(text):
            if found[2]:
                self._places.setdefault(found[1], []).append(found.start())
        self.restart()

    def restart(self) -> None:
        self._position, self._line = 0, 1

    def find(self, owner: str, variable: str | None) -> int:
        """The line of an owner (that of the one before where it is not found), or of a variable of it."""
        found = self._find(owner)
        self._line += self._text.count("\n", self._position, found)
        self._position = found
        return self._line + (self._text.count("\n", found, self._find(variable)) if variable else 0)

    def _find(self, key: str) -> int:
        places = self._places.get(json.dumps(key), ())
        at = bisect_left(places, self._position)
        return places[at] if at < len(places) else self._position


_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')
"""Every string, so that none is taken to begin where another ends; behind a key stands a colon."""
