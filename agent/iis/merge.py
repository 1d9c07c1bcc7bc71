"""Merging one configuration section along a path, as IIS does: attributes one by one, collections, locks.

A section's value at `Site/app` is what the contributions at "", `Site` and `Site/app` make of the schema's defaults,
in that order ([MC-IISA] 3.1.1.3.6): depth of the path decides, order in a file does not. At one path the nearer file
wins. A lock of a farther file turns what a nearer file sets into an error, never into another value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agent.iis.parse import Location, Node
from agent.iis.schema import AttributeSchema, ElementSchema
from agent.names import fold, printable

Typed = bool | str


class Contribution(NamedTuple):
    """A section as it stands in one place of one file.

    `rank` is the nearness of the file: 0 for applicationHost.config, the number of path segments of its level for a
    web.config. `application` is the folded path of the application that holds the target, "" above all applications.
    """

    path: str
    file: str
    rank: int
    location: Location
    node: Node
    application: str = ""


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
    source: Contribution | None
    line: int | None


class Item(NamedTuple):
    """A member of a collection; `locked_at` is the rank of the file that locked it, None where it is free."""

    key: str
    locked_at: int | None


class Merged(NamedTuple):
    """An element's effective content. `items_source` is the contribution that last changed the collection."""

    values: Mapping[str, Value]
    elements: Mapping[str, Merged]
    items: tuple[Item, ...] = ()
    items_source: Contribution | None = None
    items_line: int | None = None


class Lock(NamedTuple):
    """Names that files of a higher rank may not set in the element at `element` (a path below the section)."""

    rank: int
    element: tuple[str, ...]
    what: str
    names: frozenset[str]
    all_but: bool


class State(NamedTuple):
    """A section at one path. `modes` lists (rank, Allow or Deny) from the root down."""

    merged: Merged
    modes: tuple[tuple[int, str], ...] = ()
    locks: tuple[Lock, ...] = ()
    fault: SectionFault | None = None

    def is_locked(self, rank: int, default: str) -> bool:
        """Whether a file of this rank may not hold the section here."""
        for at, mode in reversed(self.modes):
            if at < rank:
                return mode == "Deny"
        return default == "Deny"


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
    return State(_defaults(schema))


def _defaults(schema: ElementSchema) -> Merged:
    values = {name: Value(_typed_default(attribute), None, None) for name, attribute in schema.attributes.items()}
    return Merged(values, {name: _defaults(child) for name, child in schema.elements.items()})


def _typed_default(attribute: AttributeSchema) -> Typed:
    return attribute.default == "true" if attribute.kind == "bool" else attribute.default


def apply(state: State, found: Iterable[Contribution], schema: ElementSchema, default_mode: str) -> State:
    """The state one path further down, where these contributions stand, farthest file first."""
    seen: dict[str, Contribution] = {}
    for contribution in found:
        if state.fault is not None:
            return state
        state = _apply_one(state, contribution, seen, schema, default_mode)
    return state


def _apply_one(
    state: State, contribution: Contribution, seen: dict[str, Contribution], schema: ElementSchema, default_mode: str
) -> State:
    try:
        if (first := seen.setdefault(contribution.file, contribution)) is not contribution:
            _refuse_second(first, contribution)
        if contribution.rank and state.is_locked(contribution.rank, default_mode):
            _refuse_locked(contribution)
        merged = _merge(state.merged, contribution.node, (), contribution, schema, state.locks)
        locks = tuple(_locks(contribution.node, (), contribution.rank, schema))
    except _RefusedError as refused:
        fault = SectionFault(refused.finding, refused.reason, contribution.file, refused.node.line, refused.node.text)
        return state._replace(fault=fault)
    mode = contribution.location.override
    modes = (*state.modes, (contribution.rank, mode)) if mode else state.modes
    return State(merged, modes, state.locks + locks)


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
    base: Merged,
    node: Node,
    at: tuple[str, ...],
    source: Contribution,
    schema: ElementSchema,
    locks: tuple[Lock, ...],
) -> Merged:
    values = _attributes(base, node, at, source, schema, locks) if node.attributes else base.values
    if not node.children:
        return base if values is base.values else base._replace(values=values)
    elements = dict(base.elements)
    changes: list[Node] = []
    for child in node.children:
        if child.name in schema.elements:
            _check_lock(locks, source.rank, at, "element", child.name, child)
            below = schema.elements[child.name]
            elements[child.name] = _merge(elements[child.name], child, (*at, child.name), source, below, locks)
        elif schema.key and child.name in {schema.add, schema.remove, schema.clear}:
            _check_lock(locks, source.rank, at, "element", child.name, child)
            changes.append(child)
        else:
            raise _RefusedError("config-invalid", f"unrecognized element <{printable(child.name)}>", child)
    merged = Merged(values, elements, base.items, base.items_source, base.items_line)
    return _collection(merged, changes, node, source, schema) if changes else merged


def _attributes(
    base: Merged,
    node: Node,
    at: tuple[str, ...],
    source: Contribution,
    schema: ElementSchema,
    locks: tuple[Lock, ...],
) -> Mapping[str, Value]:
    values = dict(base.values)
    for name, text in node.attributes.items():
        if name in _LOCK_ATTRIBUTES or name == "lockItem":
            continue
        attribute = schema.attributes.get(name)
        if attribute is None:
            raise _RefusedError("config-invalid", f"unrecognized attribute '{printable(name)}'", node)
        _check_lock(locks, source.rank, at, "attribute", name, node)
        values[name] = Value(_typed(attribute, name, text, node), source, node.line)
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


def _collection(base: Merged, changes: list[Node], node: Node, source: Contribution, schema: ElementSchema) -> Merged:
    """Clear, then remove, then add, as [MC-IISA] orders them within one element; a key that is there is an error."""
    items = {fold(item.key): item for item in base.items}
    for change in (c for c in changes if c.name == schema.clear):
        _check_items(items.values(), source.rank, change)
        items.clear()
    for change in (c for c in changes if c.name == schema.remove):
        removed = items.pop(fold(_key(change, schema)), None)
        _check_items([removed] if removed else [], source.rank, change)
    for change in (c for c in changes if c.name == schema.add):
        _add(items, change, source, schema)
    return base._replace(items=tuple(items.values()), items_source=source, items_line=node.line)


def _add(items: dict[str, Item], change: Node, source: Contribution, schema: ElementSchema) -> None:
    key = _key(change, schema)
    if fold(key) in items:
        reason = f"duplicate collection entry '{printable(key)}' (0x800700B7): it is inherited or stands twice"
        raise _RefusedError("config-invalid", reason, change)
    locked = fold(change.attributes.get("lockItem", "false")) == "true"
    items[fold(key)] = Item(key, source.rank if locked else None)


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


def _check_lock(locks: tuple[Lock, ...], rank: int, at: tuple[str, ...], what: str, name: str, node: Node) -> None:
    for lock in locks:
        if lock.rank < rank and lock.element == at and lock.what == what and (name in lock.names) != lock.all_but:
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
