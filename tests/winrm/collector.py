"""What collect.ps1 prints, written from the description of its format: two markers and barred lines of 200 characters.

The content between the markers is the JSON document of docs/snapshot.schema.json: base64 of its gzip, or its text in
ASCII with everything else, and the bar, as \\uXXXX.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import configuration
from .settings import Behaviour

WIDTH = 200
SCHEMA = "iis-spn/snapshot/1"


def document(machine: Mapping[str, Any], files: Mapping[str, str | bytes]) -> dict[str, Any]:
    """The snapshot as one JSON document; a file that is not UTF-8 goes in as base64."""
    packed = {
        path: {"text": data} if isinstance(data, str) else {"base64": base64.b64encode(data).decode()}
        for path, data in files.items()
    }
    return {"schema": SCHEMA, "machine": dict(machine), "files": packed}


def content(snapshot: Mapping[str, Any], packing: str) -> str:
    """The document in ASCII, as `gzip` or as `text`."""
    if packing == "gzip":
        plain = json.dumps(snapshot, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode()
    # A bar can only stand inside a string; DEL is the one control character that json lets through.
    return json.dumps(snapshot, separators=(",", ":")).replace("|", "\\u007c").replace("\x7f", "\\u007f")


def framed(text: str, packing: str, miscount: int = 0) -> str:
    """The lines from marker to marker."""
    count = len(text) + miscount
    lines = [f"|{text[start : start + WIDTH]}|" for start in range(0, len(text), WIDTH)]
    return "\r\n".join([f"iis-spn-snapshot 1 {packing} {count}", *lines, f"iis-spn-snapshot end {count}", ""])


def printed(name: str, address: str, sites: int, behaviour: Behaviour) -> bytes:
    """The standard output of the collector on one server."""
    if behaviour.output is not None:
        return behaviour.output.encode()
    if behaviour.folder:
        found = document(*configuration.of_folder(Path(behaviour.folder)))
    else:
        found = document(*configuration.files(name, address, sites, blanked=behaviour.blanked))
    text = framed(content(found, behaviour.packing), behaviour.packing, behaviour.miscount)
    whole = (behaviour.banner.rstrip("\n") + "\r\n" if behaviour.banner else "") + text
    return whole[: int(len(whole) * behaviour.keep)].encode("ascii", "replace")
