"""The JSON Schema of a diagnosis; `docs/diagnosis.schema.json` is its text. The report in it has its own.

Written anew with: python -m agent.evidence.schema > docs/diagnosis.schema.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from agent.evidence.diagnosis import SCHEMA, Diagnosis
from agent.model.schema import document_schema

REPORT = "report.schema.json"
_REFERENCE = "#/$defs/"


def diagnosis_schema() -> dict[str, Any]:
    """What `diagnose` prints with `--format json`; later versions may add keys."""
    schema = document_schema(Diagnosis, SCHEMA)
    schema["properties"]["report"] = {"anyOf": [{"$ref": REPORT}, {"type": "null"}]}
    definitions = schema.pop("$defs")
    used: dict[str, Any] = {}
    waiting = list(_referred(schema))
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = definitions[name]
            waiting += _referred(definitions[name])
    return {**schema, "$defs": dict(sorted(used.items()))}


def _referred(part: object) -> Iterator[str]:
    """The definitions that a part of the schema refers to."""
    if isinstance(part, dict):
        reference = part.get("$ref", "")
        if reference.startswith(_REFERENCE):
            yield reference.removeprefix(_REFERENCE)
        part = list(part.values())
    for below in part if isinstance(part, list) else ():
        yield from _referred(below)


def to_text() -> str:
    """The committed file."""
    return json.dumps(diagnosis_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_text())
