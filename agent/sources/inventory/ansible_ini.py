"""Ansible inventories in INI form: sections of hosts, of child groups and of variables."""

from __future__ import annotations

import ast
import re
import shlex
import warnings

from agent.errors import UsageError
from agent.names import printable
from agent.sources.inventory.ansible_groups import ALL, UNGROUPED, Tree
from agent.sources.inventory.ansible_variables import KNOWN, Value, Variables, value_of

LONGEST_LITERAL = 1000
"""Characters of a value that is looked at as a Python literal."""

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_NEEDS_SHLEX = re.compile(r"[\"'\\#]")


def read_ini(text: str, tree: Tree) -> None:
    """Add what an INI file says to the tree. Raises UsageError with file and line."""
    reader = _Reader(tree)
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            here = f"{tree.place}:{number}"
            try:
                reader.read(stripped, here)
            except UsageError as error:
                raise UsageError(f"{here}: {error}") from None
    reader.refuse_undefined()


class _Reader:
    """Line after line; the messages never repeat one, since a password may stand in it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._group, self._kind = UNGROUPED, "hosts"
        self._declared = {ALL, UNGROUPED}
        self._mentioned: dict[str, str] = {}

    def read(self, line: str, here: str) -> None:
        section = _SECTION.fullmatch(line)
        if section:
            self._open(section[1], section[2] or "hosts", here)
        elif line.startswith("[") and line.endswith("]"):
            raise UsageError("a section is written [group], [group:children] or [group:vars], without blanks")
        elif self._kind == "hosts":
            self._read_hosts(line, here)
        elif self._kind == "vars":
            self._read_variable(line, here)
        else:
            self._read_child(line, here)

    def refuse_undefined(self) -> None:
        """As Ansible does: a group of which only the children of another or the variables are known is a slip."""
        for name, here in self._mentioned.items():
            if name not in self._declared:
                raise UsageError(f"{here}: there is no group [{printable(name)}] in this file")

    def _open(self, group: str, kind: str, here: str) -> None:
        if kind not in {"hosts", "children", "vars"}:
            raise UsageError(f"[{printable(group)}:{kind}]: only :children and :vars are known")
        self._group, self._kind = group, kind
        self._tree.group(group)
        if kind == "vars":
            self._mentioned.setdefault(group, here)
        else:
            self._declared.add(group)

    def _read_hosts(self, line: str, here: str) -> None:
        pattern, *assignments = _words(line)
        variables: Variables = {}
        for assignment in assignments:
            name, equals, raw = assignment.partition("=")
            if not equals:
                raise UsageError("after the host only name=value may follow (quote a value that holds blanks)")
            if name in KNOWN:
                variables[name] = _value(name, raw, here)
        self._tree.add_hosts(pattern, self._group, variables, here)

    def _read_variable(self, line: str, here: str) -> None:
        name, equals, raw = (part.strip() for part in line.partition("="))
        if not equals:
            raise UsageError(f"in [{printable(self._group)}:vars] each line is name=value")
        if name in KNOWN:
            self._tree.group(self._group).variables[name] = _value(name, raw, here)

    def _read_child(self, line: str, here: str) -> None:
        match = _GROUP_NAME.fullmatch(line)
        if match is None:
            raise UsageError(f"in [{printable(self._group)}:children] each line is the name of a group")
        self._mentioned.setdefault(match[1], here)
        self._tree.add_child(self._group, match[1])


def _words(line: str) -> list[str]:
    if not _NEEDS_SHLEX.search(line):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        raise UsageError("a quotation does not end, or a backslash stands last") from None


def _value(name: str, raw: str, here: str) -> Value:
    """A value as Ansible reads it from INI: a Python literal where it is one, else the text."""
    literal = _literal(raw)
    if literal is None:
        return value_of(name, here, [])
    parts = literal if isinstance(literal, list | tuple) else [literal]
    return value_of(name, here, [str(part) for part in parts])


def _literal(raw: str) -> object:
    if len(raw) > LONGEST_LITERAL:
        return raw
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(raw)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return raw
