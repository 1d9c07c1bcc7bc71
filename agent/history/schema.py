"""The JSON Schema of what `diff` prints; `docs/diff.schema.json` is its text.

Written anew with: python -m agent.history.schema > docs/diff.schema.json
"""

from __future__ import annotations

import json
import sys

from agent.history import SCHEMA, Difference
from agent.model.schema import document_schema


def to_text() -> str:
    """The committed file."""
    return json.dumps(document_schema(Difference, SCHEMA), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_text())
