"""What a wheel says of itself: name, version, licence, and which other distributions it asks for on Windows."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import Metadata
from packaging.utils import canonicalize_name

WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"}
"""The markers of the target; the version of Python is left as it is here, as no wheel may depend on it."""


@dataclass(frozen=True)
class Wheel:
    """One wheel; `licence` is an SPDX expression or what stands in its place, None where nothing is said."""

    file: str
    name: str
    version: str
    licence: str | None
    summary: str | None
    needs: frozenset[str]
    sha256: str


def read_wheel(path: Path) -> Wheel:
    """Read a wheel; ValueError where it has no metadata (core metadata specification)."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        if len(names) != 1:
            raise ValueError(f"{path.name}: no metadata")
        metadata = Metadata.from_email(archive.read(names[0]), validate=False)
    return Wheel(
        file=path.name,
        name=canonicalize_name(metadata.name),
        version=str(metadata.version),
        licence=_licence(metadata),
        summary=metadata.summary,
        needs=frozenset(_needs(metadata)),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _needs(metadata: Metadata) -> list[str]:
    """Whatever it may ask for on Windows, extras included; the bill of materials keeps what is really there."""
    asked = metadata.requires_dist or []
    extras = metadata.provides_extra or []
    environments = [{**WINDOWS, "extra": extra} for extra in ("", *extras)]
    return [
        canonicalize_name(one.name)
        for one in asked
        if one.marker is None or any(one.marker.evaluate(environment) for environment in environments)
    ]


def _licence(metadata: Metadata) -> str | None:
    """PEP 639's expression, else the short text of the old field, else the classifiers."""
    if metadata.license_expression:
        return str(metadata.license_expression)
    if metadata.license and "\n" not in metadata.license.strip():
        return metadata.license.strip()
    classifiers = metadata.classifiers or []
    found = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: OSI Approved :: ")]
    return " AND ".join(found) or None
