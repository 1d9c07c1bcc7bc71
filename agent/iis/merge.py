"""Merging one configuration section along a path, as IIS does: attributes one by one, collections, locks.

A section's value at `Site/app` is what the contributions at "", `Site` and `Site/app` make of the schema's defaults,
in that order ([MC-IISA] 3.1.1.3.6): depth of the path decides, order in a file does not. At one path the nearer file
wins. A lock of a farther file turns what a nearer file sets into an error, never into another value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.iis.parse import Location, Node
from agent.iis.schema import AttributeSchema, ElementSchema
from agent.names import fold, printable

Typed = bool | str


class Contribution(Struct, frozen=True, gc=False):
    """A section as it stands in one place of one file.

    `rank` is the nearness of the file: 0 for applicationHost.config, the number of path segments of its level for a
    web.config. `key` is the path folded, `application` the folded path of the application that holds the target, ""
    above all applications.
    """

    path: str
    file: str
    rank: int
    location: Location
    node: Node
    key: str = ""
    application: str = ""


class Where(NamedTuple):
    """What set something: the number of a contribution among a state's, and the way down to the element in it."""

    source: int
    way: tuple[int, ...] = ()


class SectionFault(NamedTuple):
    """Why IIS refuses the section from some path down; `id` is a finding's. `more` are further lines of the kind."""

    id: str
    message: str
    file: str
    line: int | None
    text: str
    more: tuple[tuple[int, str], ...] = ()


class Value(NamedTuple):
    """A typed attribute value and what set it, None for the schema's default."""

    value: Typed
    where: Where | None


class Item(NamedTuple):
    """A member of a collection; `locked_at` is the rank of the file that locked it, None where it is free."""

    key: str
    locked_at: int | None


class Merged(NamedTuple):
    """An element's effective content. `items_where` is what last changed the collection."""

    values: Mapping[str, Value]
    elements: Mapping[str, Merged]
    items: tuple[Item, ...] = ()
    items_where: Where | None = None


class Lock(NamedTuple):
    """Names that files of a higher rank may not set in the element at `element` (a path below the section)."""

    rank: int
    element: tuple[str, ...]
    what: str
    names: frozenset[str]
    all_but: bool


class Kind(Struct, frozen=True, eq=False):
    """What a section says at a path, but for the files and lines that say it: many places have one.

    `modes` lists (rank, Allow or Deny) from the root down, `count` is how many contributions set something of it.
    """

    merged: Merged
    modes: tuple[tuple[int, str], ...] = ()
    locks: tuple[Lock, ...] = ()
    count: int = 0

    def is_locked(self, rank: int, default: str) -> bool:
        """Whether a file of this rank may not hold the section here."""
        for at, mode in reversed(self.modes):
            if at < rank:
                return mode == "Deny"
        return default == "Deny"


class State(Struct, frozen=True, gc=False):
    """A section at one path: `sources` are the contributions that set something of its kind."""

    kind: Kind
    sources: tuple[Contribution, ...] = ()
    fault: SectionFault | None = None


LOCKED = (
    "this section is locked at a parent level: IIS answers 500.19 with 0x80070021 here and below, whatever the value"
)


class _RefusedError(Exception):
    """IIS refuses the contribution; holds a finding id, the reason and the element."""

    def __init__(self, finding: str, reason: str, node: Node) -> None:
        super().__init__(reason)
        self.finding = finding
        self.reason = reason
        self.node = node


def initial(schema: ElementSchema) -> State:
    """The schema's defaults, before any file has spoken."""
    return State(Kind(_defaults(schema)))


def _defaults(schema: ElementSchema) -> Merged:
    values = {name: Value(_typed_default(attribute), None) for name, attribute in schema.attributes.items()}
    return Merged(values, {name: _defaults(child) for name, child in schema.elements.items()})


def _typed_default(attribute: AttributeSchema) -> Typed:
    return attribute.default == "true" if attribute.kind == "bool" else attribute.default


class Merging:
    """Merges the contributions of one section. What one kind makes of sections of one wording is worked out once."""

    def __init__(self, schema: ElementSchema, default_mode: str) -> None:
        self._schema = schema
        self._default_mode = default_mode
        self._known: dict[tuple[object, ...], tuple[Kind, tuple[int, ...]]] = {}

    def apply(self, state: State, found: Iterable[Contribution]) -> State:
        """The state one path further down, where these contributions stand, farthest file first."""
        seen: dict[str, Contribution] = {}
        for contribution in found:
            if state.fault is not None:
                return state
            state = self._apply_one(state, contribution, seen)
        return state

    def _apply_one(self, state: State, contribution: Contribution, seen: dict[str, Contribution]) -> State:
        try:
            if (first := seen.setdefault(contribution.file, contribution)) is not contribution:
                _refuse_second(first, contribution)
            if contribution.rank and state.kind.is_locked(contribution.rank, self._default_mode):
                _refuse_locked(contribution)
            kind, numbers = self._merged(state.kind, contribution)
        except _RefusedError as refused:
            file, node = contribution.file, refused.node
            return replace(state, fault=SectionFault(refused.finding, refused.reason, file, node.line, node.text))
        sources = (*state.sources, contribution)
        return State(kind, tuple([sources[number] for number in numbers]))

    def _merged(self, kind: Kind, contribution: Contribution) -> tuple[Kind, tuple[int, ...]]:
        """The kind that follows, and which contributions set something of it: numbers of the former's and the new."""
        rank, mode, node = contribution.rank, contribution.location.override, contribution.node
        wording = (kind, rank, mode, *_wording(node))
        known = self._known.get(wording)
        if known is None:
            source = _Source(rank, kind.count, kind.locks)
            merged = _merge(kind.merged, node, (), (), source, self._schema)
            locks = tuple(_locks(node, (), rank, self._schema))
            modes = (*kind.modes, (rank, mode)) if mode else kind.modes
            numbers = tuple(sorted(set(_numbers(merged))))
            if numbers != tuple(range(len(numbers))):
                merged = _renumbered(merged, {number: at for at, number in enumerate(numbers)})
            known = self._known[wording] = (Kind(merged, modes, kind.locks + locks, len(numbers)), numbers)
        return known


def _wording(node: Node) -> tuple[object, ...]:
    """An element without its lines."""
    return (node.name, *node.attributes.items(), *map(_wording, node.children))


def _numbers(merged: Merged) -> Iterator[int]:
    """The contributions that set something."""
    for where in (merged.items_where, *(value.where for value in merged.values.values())):
        if where is not None:
            yield where.source
    for below in merged.elements.values():
        yield from _numbers(below)


def _renumbered(merged: Merged, numbers: Mapping[int, int]) -> Merged:
    """The same content with other numbers; what keeps its own is not made again."""

    def again(where: Where | None) -> Where | None:
        return (
            where
            if where is None or numbers[where.source] == where.source
            else where._replace(source=numbers[where.source])
        )

    values = {name: value._replace(where=again(value.where)) for name, value in merged.values.items()}
    elements = {name: _renumbered(below, numbers) for name, below in merged.elements.items()}
    return Merged(values, elements, merged.items, again(merged.items_where))


class _Source(NamedTuple):
    """A contribution while it is merged: the rank of its file, its number, and the locks that it meets."""

    rank: int
    number: int
    locks: tuple[Lock, ...]


def _refuse_second(first: Contribution, second: Contribution) -> None:
    place = f"path '{printable(second.path)}'" if second.path else "the level of the file"
    reason = f"the section is defined twice for {place} (first in line {first.node.line}): IIS answers 0x800700B7"
    raise _RefusedError("config-invalid", reason, second.node)


def _refuse_locked(contribution: Contribution) -> None:
    raise _RefusedError("section-locked", LOCKED, contribution.node)


# -- one element ---------------------------------------------------------------------------------------------------

_LOCK_ATTRIBUTES = {
    "lockAttributes": ("attribute", False),
    "lockAllAttributesExcept": ("attribute", True),
    "lockElements": ("element", False),
    "lockAllElementsExcept": ("element", True),
}


def _merge(
    base: Merged, node: Node, at: tuple[str, ...], way: tuple[int, ...], source: _Source, schema: ElementSchema
) -> Merged:
    """What an element makes of the content that it meets; `at` and `way` lead to it, by names and by numbers."""
    values = _attributes(base, node, at, way, source, schema)
    elements = dict(base.elements)
    changes: list[Node] = []
    for number, child in enumerate(node.children):
        if child.name in schema.elements:
            _check_lock(source, at, "element", child.name, child)
            below = schema.elements[child.name]
            elements[child.name] = _merge(elements[child.name], child, (*at, child.name), (*way, number), source, below)
        elif schema.key and child.name in {schema.add, schema.remove, schema.clear}:
            _check_lock(source, at, "element", child.name, child)
            changes.append(child)
        else:
            raise _RefusedError("config-invalid", f"unrecognized element <{printable(child.name)}>", child)
    items, items_where = base.items, base.items_where
    if changes:
        items, items_where = _collection(items, changes, source.rank, schema), Where(source.number, way)
    return Merged(values, elements, items, items_where)


def _attributes(
    base: Merged, node: Node, at: tuple[str, ...], way: tuple[int, ...], source: _Source, schema: ElementSchema
) -> Mapping[str, Value]:
    values, where = dict(base.values), Where(source.number, way)
    for name, text in node.attributes.items():
        if name in _LOCK_ATTRIBUTES or name == "lockItem":
            continue
        attribute = schema.attributes.get(name)
        if attribute is None:
            raise _RefusedError("config-invalid", f"unrecognized attribute '{printable(name)}'", node)
        _check_lock(source, at, "attribute", name, node)
        values[name] = Value(_typed(attribute, name, text, node), where)
    return values


def _typed(attribute: AttributeSchema, name: str, text: str, node: Node) -> Typed:
    if attribute.kind == "bool":
        if (folded := fold(text)) not in {"true", "false"}:
            raise _RefusedError("config-invalid", f"the '{name}' attribute is invalid: not a valid boolean", node)
        return folded == "true"
    if attribute.kind == "string":
        return text
    members = {fold(member): member for member in attribute.members}
    parts = text.split(",") if attribute.kind == "flags" else [text]
    named = [members.get(fold(part.strip() if attribute.kind == "flags" else part)) for part in parts]
    if None in named:
        choice = "some combination of" if attribute.kind == "flags" else "one of"
        reason = f"the '{name}' attribute is invalid: it must be {choice} {', '.join(attribute.members)}"
        raise _RefusedError("config-invalid", reason, node)
    return ",".join(str(part) for part in named)


# -- collections ---------------------------------------------------------------------------------------------------


def _collection(before: Iterable[Item], changes: list[Node], rank: int, schema: ElementSchema) -> tuple[Item, ...]:
    """Clear, then remove, then add, as [MC-IISA] orders them within one element; a key that is there is an error."""
    items = {fold(item.key): item for item in before}
    for change in (c for c in changes if c.name == schema.clear):
        _check_items(items.values(), rank, change)
        items.clear()
    for change in (c for c in changes if c.name == schema.remove):
        removed = items.pop(fold(_key(change, schema)), None)
        _check_items([removed] if removed else [], rank, change)
    for change in (c for c in changes if c.name == schema.add):
        _add(items, change, rank, schema)
    return tuple(items.values())


def _add(items: dict[str, Item], change: Node, rank: int, schema: ElementSchema) -> None:
    key = _key(change, schema)
    if fold(key) in items:
        reason = f"duplicate collection entry '{printable(key)}' (0x800700B7): it is inherited or stands twice"
        raise _RefusedError("config-invalid", reason, change)
    locked = fold(change.attributes.get("lockItem", "false")) == "true"
    items[fold(key)] = Item(key, rank if locked else None)


def _key(change: Node, schema: ElementSchema) -> str:
    key = change.attributes.get(schema.key)
    if key is None:
        raise _RefusedError("config-invalid", f"missing required attribute '{schema.key}'", change)
    for name in change.attributes:
        if name not in {schema.key, "lockItem", *_LOCK_ATTRIBUTES}:
            raise _RefusedError("config-invalid", f"unrecognized attribute '{printable(name)}'", change)
    return key


def _check_items(items: Iterable[Item], rank: int, change: Node) -> None:
    for item in items:
        if item.locked_at is not None and item.locked_at < rank:
            reason = f"lock violation: the item '{printable(item.key)}' is locked (lockItem) by a parent file"
            raise _RefusedError("section-locked", reason, change)


# -- locks on attributes and elements ------------------------------------------------------------------------------


def _check_lock(source: _Source, at: tuple[str, ...], what: str, name: str, node: Node) -> None:
    for lock in source.locks:
        if (
            lock.rank < source.rank
            and lock.element == at
            and lock.what == what
            and (name in lock.names) != lock.all_but
        ):
            reason = f"lock violation: the {what} '{printable(name)}' is locked by a parent file"
            raise _RefusedError("section-locked", reason, node)


def _locks(node: Node, at: tuple[str, ...], rank: int, schema: ElementSchema) -> Iterable[Lock]:
    for attribute in node.attributes:
        if attribute in _LOCK_ATTRIBUTES:
            yield _lock(node, attribute, at, rank, schema)
    for child in node.children:
        if child.name in schema.elements:
            yield from _locks(child, (*at, child.name), rank, schema.elements[child.name])


def _lock(node: Node, attribute: str, at: tuple[str, ...], rank: int, schema: ElementSchema) -> Lock:
    what, all_but = _LOCK_ATTRIBUTES[attribute]
    collection = {schema.add, schema.remove, schema.clear} - {""}
    known = set(schema.attributes) if what == "attribute" else {*schema.elements, *collection}
    names = {name.strip() for name in node.attributes[attribute].split(",") if name.strip()}
    if unknown := names - known - {"*"}:
        reason = f"the '{attribute}' attribute names '{printable(min(unknown))}', which does not exist"
        raise _RefusedError("config-invalid", reason, node)
    return Lock(rank, at, what, frozenset(known if "*" in names else names), all_but)
