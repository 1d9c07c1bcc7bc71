"""The report as JSON: the keys are the field names of `agent.model`, in their order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from operator import attrgetter
from typing import cast

from agent.model import Report
from agent.names import AccountName, HostName, Spn

_ATOMS = frozenset({str, int, float, bool, type(None)})
_NAMES = frozenset({Spn, HostName, AccountName})
"""Types that stand in the document as their text."""

_ESCAPED = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""What JSON lets through but a terminal or a UTF-8 stream should not get raw; it can stand within strings only."""


def plain(value: object) -> object:
    """Any object of the model as dicts, lists and texts; None stays None."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind in _NAMES:
        return str(value)
    if kind is tuple or kind is list:
        return [plain(item) for item in cast("tuple[object, ...]", value)]
    names, values = _FIELDS.get(kind) or _learn(kind)
    return dict(zip(names, map(plain, values(value)), strict=True))


_Fields = tuple[tuple[str, ...], Callable[[object], tuple[object, ...]]]
_FIELDS: dict[type, _Fields] = {}


def _learn(kind: type) -> _Fields:
    """The keys of a dataclass or NamedTuple, and what reads their values; looked up once for a class."""
    names: tuple[str, ...] = tuple(getattr(kind, "__dataclass_fields__", getattr(kind, "_fields", ())))
    if not names:
        raise TypeError(f"{kind.__name__} is no object of the report")
    _FIELDS[kind] = (names, attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),))
    return _FIELDS[kind]


def to_json(report: Report) -> str:
    """The document of the contract: a `Report`, or an `Explanation` with `url` and `outcomes` at its end."""
    text = json.dumps(plain(report), indent=2, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
