"""The report as JSON: the keys are the field names of `agent.model`, in their order.

The document of 5,000 servers has 750 MB of text, so it is made in pieces and need never stand in memory as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, cast

from agent.names import FROM_TEXT

_LEAVES: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    **dict.fromkeys(FROM_TEXT, lambda name: encode_basestring(str(name))),
}
"""How to write what holds nothing else; a name stands in the document as its text."""

_ESCAPED = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""What JSON lets through but a terminal or a UTF-8 stream should not get raw; it can stand within strings only."""

_INDENT = "  "
_ON_ONE_LINE = ""
"""The margin of what stays on its line."""
_LONG = 1000
"""An object whose list has more items is written in several pieces: one account may serve 100,000 applications."""


def json_pieces(report: object) -> Iterator[str]:
    """The text of `Report.to_json` a piece at a time, for writing: an item of a list is one piece, a big one several.

    Raises TypeError for what is no object of the model.
    """
    yield from map(_escaped, _opened(report, "\n"))
    yield "\n"


def json_line(value: object, **before: str) -> Iterator[str]:
    """An object of the report on a line of its own, a piece at a time; `before` are members that stand first."""
    yield _escaped(
        f"{{{', '.join(f'{encode_basestring(name)}: {encode_basestring(told)}' for name, told in before.items())}"
    )
    for name, held in _items(value):
        yield f', "{name}": '
        yield from map(_escaped, _pieces(held, _ON_ONE_LINE))
    yield "}\n"


def line_of(value: object) -> str:
    """JSON of dicts, lists, texts and numbers on one line, as careful with a terminal as a report's."""
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


# -- pieces --------------------------------------------------------------------------------------------------------


def _opened(value: object, margin: str) -> Iterator[str]:
    """An object in several pieces; `margin` is the line break before its last brace."""
    lead, inner, between = "{", *_within(margin)
    for name, held in _items(value):
        yield f'{lead}{inner}"{name}": '
        yield from _pieces(held, inner)
        lead = between
    yield f"{margin}}}"


def _pieces(value: object, margin: str) -> Iterator[str]:
    if type(value) is tuple and value:
        lead, inner, between = "[", *_within(margin)
        for item in value:
            yield f"{lead}{inner}"
            yield from _pieces(item, inner)
            lead = between
        yield f"{margin}]"
    elif _is_big(value):
        yield from _opened(value, margin)
    else:
        yield _text(value, margin)


def _within(margin: str) -> tuple[str, str]:
    """The margin of what stands within, and what separates it."""
    return (_ON_ONE_LINE, ", ") if margin == _ON_ONE_LINE else (margin + _INDENT, ",")


def _is_big(value: object) -> bool:
    if type(value) in _LEAVES or type(value) is tuple:
        return False
    return any(type(held) is tuple and len(held) > _LONG for _, held in _items(value))


# -- values --------------------------------------------------------------------------------------------------------


def _text(value: object, margin: str) -> str:
    """What `json.dumps(..., indent=2)` makes of a value, which has no C encoder for indented text."""
    kind = type(value)
    if kind in _LEAVES:
        return _LEAVES[kind](value)
    inner, between = _within(margin)
    if kind is tuple or kind is list:
        items = [_text(item, inner) for item in cast("tuple[object, ...]", value)]
        return f"[{inner}{f'{between}{inner}'.join(items)}{margin}]" if items else "[]"
    members = [f'"{name}": {_text(held, inner)}' for name, held in _items(value)]
    return f"{{{inner}{f'{between}{inner}'.join(members)}{margin}}}"


_Fields = tuple[tuple[str, ...], Callable[[object], tuple[object, ...]]]
_FIELDS: dict[type, _Fields] = {}


def _items(value: object) -> Iterable[tuple[str, object]]:
    """The fields of an object of the model and what they hold; a class may leave out those that hold None."""
    names, values = _FIELDS.get(type(value)) or _learn(type(value))
    held = zip(names, values(value), strict=True)
    return [item for item in held if item[1] is not None] if hasattr(value, "JSON_LEAVES_OUT_NONE") else held


def _learn(kind: type) -> _Fields:
    """The keys of a dataclass or NamedTuple, and what reads their values; looked up once for a class."""
    names = tuple(each.name for each in fields(kind)) if is_dataclass(kind) else tuple(getattr(kind, "_fields", ()))
    if not names:
        raise TypeError(f"{kind.__name__} is no object of the report")
    _FIELDS[kind] = (names, attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),))
    return _FIELDS[kind]
