"""The report as JSON: the keys are the field names of `agent.model`, in their order.

The document of 5,000 servers has 750 MB of text, so it is made in pieces and need never stand in memory as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from agent.names import FROM_TEXT, HostName, Spn, printable

_BEYOND_ASCII = re.compile("[^\\x00-\\x7e]+")
"""Where what a terminal should not get raw can stand; JSON lets it through, and it stands within strings only."""

_INDENT = "  "
_ON_ONE_LINE = ""
"""The margin of what stays on its line."""
_LONG = 1000
"""An object whose lists have more items is written in several pieces: one account may serve 100,000 applications."""
_TOGETHER = 100
"""Small items of a list are one piece until they and what their lists hold are as many."""


def json_pieces(report: object) -> Iterator[str]:
    """The text of `Report.to_json` a piece at a time, for writing: small items of a list are one piece, a big one
    several.

    Raises TypeError for what is no object of the model.
    """
    yield from _opened(report, "\n")
    yield "\n"


def json_line(value: object, **before: str) -> Iterator[str]:
    """An object of the report on a line of its own, a piece at a time; `before` are members that stand first."""
    yield _escaped(
        f"{{{', '.join(f'{encode_basestring(name)}: {encode_basestring(told)}' for name, told in before.items())}"
    )
    for name, held in _members(value):
        yield f', "{name}": '
        yield from _pieces(held, _ON_ONE_LINE)
    yield "}\n"


def line_of(value: object) -> str:
    """JSON of dicts, lists, texts and numbers on one line, as careful with a terminal as a report's."""
    return _escaped(_ON_A_LINE.encode(value))


_ON_A_LINE = json.JSONEncoder(ensure_ascii=False)


def _escaped(text: str) -> str:
    if text.isascii() and "\x7f" not in text:
        return text
    return _BEYOND_ASCII.sub(_told, text)


def _told(found: re.Match[str]) -> str:
    """Whatever `printable` does not show, in JSON's own way."""
    text = found[0]
    return text if text.isprintable() else "".join(c if printable(c) == c else json.dumps(c)[1:-1] for c in text)


# -- pieces --------------------------------------------------------------------------------------------------------


def _opened(value: object, margin: str) -> Iterator[str]:
    """An object in several pieces; `margin` is the line break before its last brace."""
    lead, inner, between = "{", *_within(margin)
    for name, held in _members(value):
        yield f'{lead}{inner}"{name}": '
        yield from _pieces(held, inner)
        lead = between
    yield "{}" if lead == "{" else f"{margin}}}"


def _pieces(value: object, margin: str) -> Iterator[str]:
    if isinstance(value, tuple) and value:
        lead, inner, between = "[", *_within(margin)
        for items in _together(value):
            if len(items) == 1:
                yield f"{lead}{inner}"
                yield from _pieces(items[0], inner)
            else:
                yield lead + _text(items, margin)[1 : -len(margin) - 1]  # without the brackets
            lead = between
        yield f"{margin}]"
    elif isinstance(value, msgspec.Struct) and _weight(value) > _LONG:
        yield from _opened(value, margin)
    else:
        yield _text(value, margin)


def _together(items: Iterable[object]) -> Iterator[list[object]]:
    """The items of a list, those that are written at once together; a big one stands alone."""
    waiting: list[object] = []
    weight = 0
    for item in items:
        more = _weight(item)
        if waiting and weight + more > _TOGETHER:
            yield waiting
            waiting, weight = [], 0
        waiting.append(item)
        weight += more
    yield waiting


def _within(margin: str) -> tuple[str, str]:
    """The margin of what stands within, and what separates it."""
    return (_ON_ONE_LINE, ", ") if margin == _ON_ONE_LINE else (margin + _INDENT, ",")


def _weight(value: object) -> int:
    """How many things a value is, with what its own lists hold."""
    kind: Any = type(value)
    if kind is tuple:
        return 1 + len(value)  # type: ignore[arg-type]
    lists = _lists(kind)
    return 1 if lists is None else 1 + sum([len(held) for held in lists(value) if type(held) is tuple])


# -- values --------------------------------------------------------------------------------------------------------


def _text(value: object, margin: str) -> str:
    """A value in one piece."""
    indent = 0 if margin == _ON_ONE_LINE else len(_INDENT)
    try:
        text = msgspec.json.format(_ENCODER.encode(value), indent=indent).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in the name of a file that is not UTF-8
        plain = msgspec.to_builtins(value, enc_hook=_named)
        text = json.dumps(plain, ensure_ascii=False, indent=indent or None)
    return _escaped(text).replace("\n", margin)


def _named(value: object) -> str:
    """A name stands in the document as its text."""
    kind = type(value)
    if kind is Spn or kind is HostName:  # most of them
        return value.text  # type: ignore[attr-defined,no-any-return]
    if kind in FROM_TEXT:
        return str(value)
    raise TypeError(f"{type(value).__name__} is no object of the report")


_ENCODER = msgspec.json.Encoder(enc_hook=_named)


def _members(value: object) -> Iterable[tuple[str, object]]:
    """The fields of an object of the model and what they hold; a class may leave out those that say nothing."""
    kind = _kind(type(value))
    held = zip(kind.__struct_encode_fields__, _values(kind)(value), strict=True)
    return [item for item in held if item[1] is not None] if kind.__struct_config__.omit_defaults else held


def _kind(kind: type) -> type[msgspec.Struct]:
    """A class of the model. Raises TypeError for another one."""
    if not issubclass(kind, msgspec.Struct):
        raise TypeError(f"{kind.__name__} is no object of the report")
    return kind


@cache
def _values(kind: type[msgspec.Struct]) -> Callable[[object], tuple[object, ...]]:
    return _getter(kind.__struct_fields__)


@cache
def _lists(kind: type) -> Callable[[object], tuple[object, ...]] | None:
    """What the fields hold that may be lists; None where nothing can be one."""
    if not issubclass(kind, msgspec.Struct):
        return None
    hints, names = get_type_hints(kind), kind.__struct_fields__
    listed = [name for name in names if any(get_origin(one) is tuple for one in _either(hints[name]))]
    return _getter(listed) if listed else None


def _either(hint: Any) -> tuple[Any, ...]:
    """What a hint allows: itself, or of several things each."""
    return (hint, *get_args(hint))


def _getter(names: Sequence[str]) -> Callable[[object], tuple[object, ...]]:
    return attrgetter(*names) if len(names) > 1 else lambda value: tuple([getattr(value, name) for name in names])
