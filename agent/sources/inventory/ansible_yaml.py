"""Ansible inventories in YAML form, and its files of variables."""

from __future__ import annotations

from collections.abc import Iterable

from agent.errors import UsageError
from agent.names import printable
from agent.sources.inventory.ansible_groups import Tree
from agent.sources.inventory.ansible_variables import KNOWN, Value, Variables, value_of
from agent.sources.inventory.ansible_yaml_nodes import DEEPEST, Document, Node, Pair

_VAULT_TAGS = frozenset({"!vault", "!vault-encrypted"})
_UNSAFE_TAG = "!unsafe"
_CORE_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str, tree: Tree) -> None:
    """Add the groups of an inventory to the tree. Raises UsageError with file and line."""
    document = Document(text, tree.place)
    reader = _Reader(document, tree)
    for name, group in document.pairs(document.root):
        if name.text == "plugin":
            words = "this configures an inventory plugin: give the output of ansible-inventory -i FILE --list"
            raise UsageError(f"{document.at(name)}: {words}")
        reader.read_group(name, group, 0)


def read_variables(text: str, place: str) -> Variables:
    """The variables of a file that holds nothing else. Raises UsageError with file and line."""
    document = Document(text, place)
    return _variables(document, document.root)


class _Reader:
    def __init__(self, document: Document, tree: Tree) -> None:
        self._document = document
        self._tree = tree

    def read_group(self, name: Node, group: Node, depth: int) -> None:
        if depth > DEEPEST:
            here = self._document.at(group)
            raise UsageError(f"{here}: groups are nested too deeply, or stand within themselves")
        made = self._tree.group(name.text)
        for key, content in self._document.pairs(group):
            if content.kind == "null":
                continue
            if key.text == "hosts":
                self._read_hosts(name.text, content)
            elif key.text == "vars":
                made.variables |= _variables(self._document, content)
            elif key.text == "children":
                for child, inside in self._names(content):
                    self._tree.add_child(name.text, child.text)
                    self.read_group(child, inside, depth + 1)
            else:
                known = "known are hosts, children and vars"
                here = self._document.at(key)
                self._tree.notes.append(f"{here}: '{printable(key.text)}' in a group is passed over; {known}")

    def _read_hosts(self, group: str, hosts: Node) -> None:
        for pattern, content in self._names(hosts):
            here = self._document.at(pattern)
            variables = _variables(self._document, content)
            try:
                self._tree.add_hosts(pattern.text, group, variables, here)
            except UsageError as error:
                raise UsageError(f"{here}: {error}") from None

    def _names(self, node: Node) -> Iterable[Pair]:
        """Names with what belongs to them; a single name may stand without a mapping."""
        return [(node, Node(node.line, "null"))] if node.kind == "text" else self._document.pairs(node)


def _variables(document: Document, node: Node) -> Variables:
    return {name.text: _value(name.text, document.at(value), value) for name, value in document.pairs(node, KNOWN)}


def _value(name: str, here: str, node: Node) -> Value:
    parts = node.inside if node.kind == "list" else [node]
    tags = {part.tag for part in (node, *parts) if part.tag}
    is_text = all(part.kind in {"text", "null"} for part in parts) and all(map(_is_plain, tags))
    texts = [part.text for part in parts if part.kind == "text"] if is_text else None
    return value_of(name, here, texts, is_vaulted=bool(tags & _VAULT_TAGS), is_literal=_UNSAFE_TAG in tags)


def _is_plain(tag: str) -> bool:
    return tag in {_UNSAFE_TAG, "!"} or tag.startswith(_CORE_TAG)
