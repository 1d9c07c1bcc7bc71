"""YAML as nodes that know their lines, with bounds: aliases make few nodes into many, or into endless ones.

A text is read event by event: libyaml's own composer recurses in C, and deep nesting ends the process.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from agent.errors import UsageError
from agent.names import printable

if TYPE_CHECKING:
    import yaml

MOST_NODES = 1_000_000
"""Values of one document, an alias counted each time it is used."""
DEEPEST = 100

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"


class Node(Struct, frozen=True):
    """A value; `tag` as written (`!vault`), `text` that of a text, `inside` a list's nodes or a mapping's in turn."""

    line: int
    kind: Literal["text", "null", "list", "map"]
    tag: str | None = None
    text: str = ""
    inside: list[Node] = field(default_factory=list)


Pair = tuple[Node, Node]


class Document:
    """One YAML document; `root` is null where the text is empty. Every method raises UsageError with file and line."""

    def __init__(self, text: str, place: str) -> None:
        self._place = place
        self._left = MOST_NODES
        self.root = _parsed(text, place)

    def at(self, node: Node) -> str:
        """File and line of a node."""
        return f"{self._place}:{node.line}"

    def pairs(self, node: Node, wanted: Container[str] | None = None) -> Iterable[Pair]:
        """Keys and values of a mapping, merge keys (`<<`) followed. Null is an empty mapping.

        Only the keys of `wanted` (None: all) are looked at. One that stands twice is refused: Ansible warns and
        forgets the first.
        """
        if node.kind == "null":
            return ()
        if node.kind != "map":
            raise UsageError(f"{self.at(node)}: a mapping (name: ...) is expected here")
        return self._merged(node, wanted, 0).values()

    def _merged(self, node: Node, wanted: Container[str] | None, depth: int) -> dict[str, Pair]:
        """A mapping's own pairs count more than those its merge keys bring, and of these the first (YAML 1.1)."""
        if depth > DEEPEST:
            raise UsageError(f"{self.at(node)}: merge keys are nested too deeply")
        merged: dict[str, Pair] = {}
        own: dict[str, Pair] = {}
        for key, value in self._own_pairs(node):
            if key.text == _MERGE:
                for other in reversed(value.inside) if value.kind == "list" else [value]:
                    merged |= self._merged(self._mapping(other), wanted, depth + 1)
            elif wanted is None or key.text in wanted:
                self._refuse_twice(key, own)
                own[key.text] = (key, value)
        return merged | own

    def _own_pairs(self, node: Node) -> Iterator[Pair]:
        self._left -= len(node.inside) // 2 + 1
        if self._left < 0:
            raise UsageError(f"{self.at(node)}: too large for an inventory, its aliases counted")
        for key, value in zip(node.inside[::2], node.inside[1::2], strict=True):
            if key.kind != "text":
                raise UsageError(f"{self.at(key)}: a name is expected here")
            yield key, value

    def _refuse_twice(self, key: Node, known: dict[str, Pair]) -> None:
        if key.text in known:
            first = known[key.text][0].line
            words = f"'{printable(key.text)}' stands here a second time, the first is in line {first}"
            raise UsageError(f"{self.at(key)}: {words}")

    def _mapping(self, node: Node) -> Node:
        if node.kind != "map":
            raise UsageError(f"{self.at(node)}: only mappings can be merged")
        return node


# -- events --------------------------------------------------------------------------------------------------------


def _parsed(text: str, place: str) -> Node:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _composed(yaml.parse(text, Loader=loader), place)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        here = f"{place}:{mark.line + 1}" if mark else place
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        raise UsageError(f"{here}: not YAML: {printable(str(problem))}") from None


def _composed(events: Iterable[yaml.Event], place: str) -> Node:
    import yaml

    stream = Node(0, "list")
    open_nodes, anchors = [stream], dict[str, Node]()
    for count, event in enumerate(events):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if count > MOST_NODES or len(open_nodes) > DEEPEST:
            raise UsageError(f"{place}:{line}: too large, or nested too deeply, for an inventory")
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor = event.anchor or ""
            if anchor not in anchors:
                raise UsageError(f"{place}:{line}: not YAML: the alias *{printable(anchor)} names no anchor")
            open_nodes[-1].inside.append(anchors[anchor])
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            node = _node_of(event, line)
            open_nodes[-1].inside.append(node)
            if event.anchor:
                anchors[event.anchor] = node
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append(node)
    if len(stream.inside) > 1:
        raise UsageError(f"{place}:{stream.inside[1].line}: a second YAML document; an inventory is one")
    return stream.inside[0] if stream.inside else Node(1, "null")


def _node_of(event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> Node:
    import yaml

    if isinstance(event, yaml.ScalarEvent):
        is_null = event.implicit[0] and event.value in _NULLS
        return Node(line, "null" if is_null else "text", event.tag, event.value)
    return Node(line, "map" if isinstance(event, yaml.MappingStartEvent) else "list", event.tag)
