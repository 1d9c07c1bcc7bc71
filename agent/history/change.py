"""One change, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from agent.model import Accepted, ApplicationRef, Severity
from agent.names import Spn

Kind = Literal["appeared", "vanished", "changed"]
What = Literal["server", "application", "setting", "requirement", "finding", "holder", "account"]
Value = str | bool | tuple[str, ...] | None


class Change(Struct, frozen=True, kw_only=True):
    """Something that is otherwise than it was. `before` is None for what appeared, `after` for what vanished.

    `name` says which setting or finding it is. `accepted` is what the new report says of an accepted finding: such a
    change counts for no exit code.
    """

    kind: Kind
    what: What
    server: str | None = None
    site: str | None = None
    path: str | None = None
    spn: Spn | None = None
    name: str | None = None
    before: Value = None
    after: Value = None
    severity: Severity
    because: str
    accepted: Accepted | None = None


def in_common(applications: Iterable[ApplicationRef]) -> tuple[str | None, str | None, str | None]:
    """Server, site and path of what concerns several applications, as far as all of them share these."""
    places = [(one.server, one.site, one.path) for one in applications]
    shared: list[str | None] = [None, None, None]
    for number in range(3):
        if len({place[: number + 1] for place in places}) != 1:
            break
        shared[number] = places[0][number]
    return shared[0], shared[1], shared[2]
