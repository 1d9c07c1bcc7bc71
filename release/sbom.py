"""The bill of materials of a wheelhouse in CycloneDX 1.6: distributions, their wheels with hashes, who needs whom.

It says nothing that changes when the same commit is put together again: its number is made from the hashes of the
wheels, and its time is that of the commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from release.wheel import Wheel

PRODUCT = "iis-spn"
SPACE = uuid.UUID("6f5d1f0e-41a7-5b0e-9a39-1c1f0d0a7f11")
"""The namespace of our documents' numbers (RFC 9562, UUID version 5)."""


def to_cyclonedx(wheels: Sequence[Wheel], at: datetime) -> str:
    """The document, in JSON, with its time; the wheel of this program is what it describes."""
    components = {name: _component(name, list(group)) for name, group in groupby(wheels, key=lambda one: one.name)}
    number = uuid.uuid5(SPACE, "".join(sorted(wheel.sha256 for wheel in wheels)))
    product = components[PRODUCT]
    bom = Bom(
        components=[one for name, one in components.items() if name != PRODUCT],
        serial_number=number,
        metadata=BomMetaData(component=product, timestamp=at),
    )
    for name, needed in _needed(wheels, components).items():
        bom.register_dependency(components[name], needed)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(name: str, wheels: Sequence[Wheel]) -> Component:
    first = wheels[0]
    is_product = name == PRODUCT
    return Component(
        type=ComponentType.APPLICATION if is_product else ComponentType.LIBRARY,
        name=name,
        version=first.version,
        description=first.summary,
        licenses=[LicenseFactory().make_from_string(first.licence)] if first.licence else None,
        purl=PackageURL("pypi", name=name, version=first.version),
        bom_ref=f"{name}@{first.version}",
        components=[_file(wheel) for wheel in wheels],
    )


def _file(wheel: Wheel) -> Component:
    return Component(
        type=ComponentType.FILE,
        name=wheel.file,
        bom_ref=wheel.file,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
    )


def _needed(wheels: Iterable[Wheel], components: Mapping[str, Component]) -> dict[str, list[Component]]:
    """Who needs whom, among what is there."""
    needs: dict[str, set[str]] = {}
    for wheel in wheels:
        needs.setdefault(wheel.name, set()).update(wheel.needs)
    return {
        name: [components[other] for other in sorted(others) if other in components and other != name]
        for name, others in needs.items()
    }
