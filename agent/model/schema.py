"""The JSON Schema of the report, derived from the type hints of `agent.model`; `docs/report.schema.json` is its text.

Written anew with: python -m agent.model.schema > docs/report.schema.json
"""

from __future__ import annotations

import json
import sys
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from agent.model import SCHEMA, Explanation, Report, Survey
from agent.names import FROM_TEXT

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ATOMS: dict[object, str] = {str: "string", bool: "boolean", int: "integer", type(None): "null"}
_Schema = dict[str, Any]


def report_schema() -> _Schema:
    """What `inspect`, `sweep`, `explain` and `plan` print with `--format json`; later versions may add keys."""
    definitions: dict[str, _Schema] = {}
    schema = _object(Explanation, definitions)
    schema["properties"] |= _object(Survey, definitions)["properties"]
    schema["properties"]["schema"] = {"const": SCHEMA}
    schema["required"] = list(Report.__struct_fields__)
    about = f"{_first_line(Report)} `url` and `outcomes` are there for `explain` only, `sweep` for `sweep`."
    schema = {**schema, "title": SCHEMA, "description": about}
    return {"$schema": DIALECT, **schema, "$defs": dict(sorted(definitions.items()))}


def document_schema(kind: type[Struct], name: str) -> _Schema:
    """That of another document, whose key `schema` says `name`."""
    definitions: dict[str, _Schema] = {}
    schema = _object(kind, definitions)
    schema["properties"]["schema"] = {"const": name}
    return {"$schema": DIALECT, "title": name, **schema, "$defs": dict(sorted(definitions.items()))}


def to_text() -> str:
    """The committed file."""
    return json.dumps(report_schema(), indent=2) + "\n"


def _object(kind: type[Struct], definitions: dict[str, _Schema]) -> _Schema:
    hints, keys = get_type_hints(kind), list(kind.__struct_encode_fields__)
    held = zip(keys, kind.__struct_fields__, strict=True)
    return {
        "description": _first_line(kind),
        "type": "object",
        "properties": {key: _schema(hints[name], definitions) for key, name in held},
        "required": [] if kind.__struct_config__.omit_defaults else keys,
    }


def _schema(hint: Any, definitions: dict[str, _Schema]) -> _Schema:
    if hint in _ATOMS:
        return {"type": _ATOMS[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema(argument, definitions) for argument in arguments]}
    if origin is tuple and arguments[1:] == (...,):
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    return _reference(hint, definitions)


def _reference(kind: type, definitions: dict[str, _Schema]) -> _Schema:
    if kind in FROM_TEXT:
        definitions[kind.__name__] = {"description": _first_line(kind), "type": "string"}
    elif not issubclass(kind, Struct):
        raise TypeError(f"{kind!r} has no schema")
    elif kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # taken, should a class refer to itself
        definitions[kind.__name__] = _object(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.stdout.write(to_text())
