"""A report from its JSON document: what must stand where is read from the type hints of its class.

Documents of every released schema are taken: `UPGRADES` leads from each to the next, up to the present one.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal, NamedTuple, Self, TypeVar, Union, cast, get_args, get_origin

from msgspec import NODEFAULT, structs

from agent.errors import MalformedError
from agent.names import FROM_TEXT, printable

R = TypeVar("R")
_Object = dict[str, Any]
_Reader = Callable[[object], object]


class Upgrade(NamedTuple):
    """What makes a decoded document of one schema one of the next; whether that is as it should be, is seen later."""

    schema: str
    change: Callable[[_Object], _Object]


def _second(document: _Object) -> _Object:
    """An acceptance was its reason alone, and what no inspected server needs was called unused."""
    return {
        **document,
        "accounts": _each(document.get("accounts", []), lambda use: _renamed(use, "unused", "elsewhere")),
        "findings": _each(document.get("findings", []), _accepted),
    }


def _each(items: object, change: Callable[[_Object], _Object]) -> object:
    return [change(item) if isinstance(item, dict) else item for item in items] if isinstance(items, list) else items


def _renamed(members: _Object, old: str, new: str) -> _Object:
    return {new if name == old else name: value for name, value in members.items()}


def _accepted(finding: _Object) -> _Object:
    reason = finding.get("accepted")
    return {**finding, "accepted": {"reason": reason}} if isinstance(reason, str) else finding


UPGRADES: Mapping[str, Upgrade] = {"iis-spn/report/1": Upgrade("iis-spn/report/2", _second)}
"""By the schema that is left. Only what is called otherwise or has another form needs a change: a field that a later
schema adds has a default, or may be null, and so has an older document."""


class _WrongError(Exception):
    """A value is not what it should be; `place` grows while the exception passes outwards."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.place = ""

    def within(self, step: str) -> Self:
        self.place = step + self.place
        return self


def report(text: str | bytes, kinds: Sequence[type[R]], schema: str, source: str) -> R:
    """Read a document as the first of `kinds` that it has all keys of, or as the last one.

    `schema` is the one that the classes are for. Unknown keys are left out. A missing key is the field's default, or
    null where the field may be null, for null means "not known". Raises MalformedError with the place in the document:
    `$.servers[0].status`.
    """
    document = _decoded(text, source)
    try:
        upgraded = _upgraded(document, schema)
        kind = next((one for one in kinds if _needed(one) <= upgraded.keys()), kinds[-1])
        return cast("R", _object(kind, upgraded))
    except _WrongError as error:
        raise MalformedError(source, None, f"${error.place}: {error}") from None


def _decoded(text: str | bytes, source: str) -> object:
    """Bytes may be UTF-8 or UTF-16, as Windows PowerShell's `>` writes it."""
    try:
        return cast("object", json.loads(text))
    except json.JSONDecodeError as error:
        raise MalformedError(source, error.lineno, f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(source, None, f"not JSON: {error}") from None


def _upgraded(document: object, schema: str) -> _Object:
    found = _members(document)
    while (present := found.get("schema")) != schema:
        if not isinstance(present, str) or present not in UPGRADES:
            known = ", ".join((*UPGRADES, schema))
            raise _WrongError(f"{_shown(present)} is no schema that this version reads: {known}").within(".schema")
        found = {**UPGRADES[present].change(found), "schema": UPGRADES[present].schema}
    return found


# -- values --------------------------------------------------------------------------------------------------------


@cache
def _reader(hint: Any) -> _Reader:
    """What reads a value that the hint allows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in FROM_TEXT:
        return partial(_name, FROM_TEXT[hint])
    if hint in _KINDS:
        return partial(_atom, hint)
    if origin is Literal:
        return partial(_word, arguments)
    if origin is tuple and arguments[1:] == (...,):
        return partial(_list, _reader(arguments[0]))
    if origin in {Union, types.UnionType} and len(arguments) == 2 and arguments[1] is type(None):
        return partial(_nullable, _reader(arguments[0]))
    return partial(_object, hint)


_KINDS: Mapping[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _atom(kind: type, value: object) -> object:
    if type(value) is not kind:
        raise _WrongError(f"{_KINDS[kind]} belongs here, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """A text is shown itself, as far as a line has room."""
    return f"'{printable(value)[:80]}'" if isinstance(value, str) else _KINDS[type(value)]


def _word(words: Sequence[str], value: object) -> object:
    if value not in words:
        raise _WrongError(f"{_shown(value)} is none of {', '.join(words)}")
    return value


def _name(from_text: Callable[[str], object], value: object) -> object:
    try:
        return from_text(cast("str", _atom(str, value)))
    except ValueError as error:
        raise _WrongError(str(error)) from None


def _nullable(reader: _Reader, value: object) -> object:
    return None if value is None else reader(value)


def _list(reader: _Reader, value: object) -> tuple[object, ...]:
    items = []
    for position, item in enumerate(cast("list[object]", _atom(list, value))):
        try:
            items.append(reader(item))
        except _WrongError as error:
            raise error.within(f"[{position}]") from None
    return tuple(items)


# -- objects -------------------------------------------------------------------------------------------------------


def _members(value: object) -> _Object:
    return cast("_Object", _atom(dict, value))


def _object(kind: type, value: object) -> object:
    members = _members(value)
    values: _Object = {}
    for name, field in _fields(kind).items():
        try:
            values[name] = field.read(members[name]) if name in members else field.missing()
        except _WrongError as error:
            raise error.within(f".{name}") from None
    return kind(**values)


class _Field(NamedTuple):
    """A field of a class of the model; `default` is `NODEFAULT` where a document must have it."""

    read: _Reader
    default: object

    def missing(self) -> object:
        if self.default is NODEFAULT:
            raise _WrongError("is missing")
        return self.default


@cache
def _fields(kind: type) -> Mapping[str, _Field]:
    """What reads each field of a struct."""
    fields = {}
    for each in structs.fields(kind):
        is_unknown = each.default is NODEFAULT and type(None) in get_args(each.type)
        fields[each.name] = _Field(_reader(each.type), None if is_unknown else each.default)
    return fields


def _needed(kind: type) -> set[str]:
    return {name for name, field in _fields(kind).items() if field.default is NODEFAULT}
