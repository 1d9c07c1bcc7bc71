"""The JSON Schema of a diagnosis; `docs/diagnosis.schema.json` is its text.

Written anew with: python -m agent.evidence.schema > docs/diagnosis.schema.json
"""

from __future__ import annotations

import json
import sys

from agent.evidence.diagnosis import SCHEMA, Diagnosis
from agent.model.schema import document_schema


def to_text() -> str:
    """The committed file."""
    return json.dumps(document_schema(Diagnosis, SCHEMA), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_text())
