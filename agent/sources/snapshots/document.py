"""A snapshot as the JSON document that stands for it (docs/snapshot.schema.json): what the store writes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC

from msgspec.structs import replace

from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.names import Guess, fold
from agent.sources.snapshots.packed import SCHEMA, TOP

_AS_SAID = (
    "name",
    "dns_name",
    "domain",
    "netbios_domain",
    "membership",
    "domain_controller",
    "addresses",
    "environment",
    "registry",
    "services",
    "additional_kerberos_accounts",
)
"""The facts that machine.json says as a `Machine` has them."""


def document_of(snapshot: Snapshot) -> Mapping[str, object]:
    """The document, nothing blanked yet. What could not be read stands in it with the reason."""
    lost = tuple((file.name, file.error) for file in snapshot.files.values() if file.error is not None)
    machine = replace(snapshot.machine, unread=(*snapshot.machine.unread, *lost))
    files = {_path(key, file): _entry(file) for key, file in snapshot.files.items() if file.error is None}
    return {"schema": SCHEMA, "machine": _facts(machine), "files": files}


def _path(key: str, file: SourceFile) -> str:
    """Where a file stands in the document: in the letters of its own path, where that is the same place."""
    if key in TOP:
        return key.replace("host", "Host")
    parts = file.name.replace(":", "").split("\\")
    unc = ["UNC"] if file.name.startswith("\\\\") else []
    written = "/".join(["files", *unc, *(part for part in parts if part)])
    return written if fold(written) == key else key


def _entry(file: SourceFile) -> Mapping[str, object]:
    if file.malformed is not None:
        return {"text": "", "malformed": file.malformed.reason, "line": file.malformed.line}
    return {"base64": base64.b64encode(file.data).decode()}


def _facts(machine: Machine) -> Mapping[str, object]:
    said: dict[str, object] = {name: getattr(machine, name) for name in _AS_SAID}
    said["content"] = {"looked": machine.content_looked, "unread": _pairs(machine.unread, "path")}
    said["facts_unread"] = _pairs(machine.facts_unread, "fact") or None
    for name in ("worker_processes", "certificate_names"):
        each = getattr(machine, name)
        said[name] = None if each is None else [one._asdict() for one in each]
    if machine.collected_at is not None:
        said["collected_at"] = machine.collected_at.astimezone(UTC).isoformat(timespec="seconds")
    return {name: value for name, value in said.items() if value is not None and not isinstance(value, Guess)}


def _pairs(pairs: tuple[tuple[str, str], ...], first: str) -> list[Mapping[str, str]]:
    return [{first: what, "why": why} for what, why in pairs]
