"""The JSON Schema of what `probe` prints; `docs/probe.schema.json` is its text.

Written anew with: python -m agent.story.schema > docs/probe.schema.json
"""

from __future__ import annotations

import json
import sys

from agent.model.schema import document_schema
from agent.story.probed import SCHEMA, Probing


def to_text() -> str:
    """The committed file."""
    return json.dumps(document_schema(Probing, SCHEMA), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_text())
