"""Which applications read the file that a setting is written to: what is set for one of them is set for all."""

from __future__ import annotations

from collections.abc import Iterable

from agent.checks.case import Case
from agent.model import Application, ApplicationRef, Origin, Place
from agent.names import fold


def _origin(decider: Application | Place, attribute: str) -> Origin | None:
    origins = decider.origins
    return origins.kernel_mode if attribute == "useKernelMode" else origins.pool_credentials


def is_in_web_config(decider: Application | Place, attribute: str) -> bool:
    """Whether the present value of useKernelMode or useAppPoolCredentials comes from a web.config."""
    origin = _origin(decider, attribute)
    return origin is not None and fold(origin.file or "").endswith("web.config")


def at_server_level(decider: Application | Place, attribute: str) -> Origin | None:
    """Where the present value stands for the whole server, outside every `<location>`; None where it does not."""
    origin = _origin(decider, attribute)
    if origin is None or origin.file is None or is_in_web_config(decider, attribute):
        return None
    return origin if origin.why == "inherited" and not origin.location else None


def read_together(case: Case, application: Application, attribute: str) -> tuple[Application, ...]:
    """The application itself, and those that get this attribute from the same file: the same application on each
    server of a shared configuration, or all whose folder is the same, be it on one server or on a share.
    """
    nearby = is_in_web_config(application, attribute)
    readers = case.readers(application.reference, in_web_config=nearby)
    others = (case.application_at[other] for other in readers if other != application.reference)
    return (application, *(other for other in others if is_in_web_config(other, attribute) == nearby))


def set_together(case: Case, applications: Iterable[Application]) -> tuple[Application, ...]:
    """Applications, with all that ask for tickets and read the files in which their settings stand."""
    found: dict[ApplicationRef, Application] = {}
    told: set[tuple[str, ApplicationRef]] = set()
    waiting = list(applications)
    for application in waiting:
        found.setdefault(application.reference, application)
        for attribute in ("useKernelMode", "useAppPoolCredentials"):
            if (attribute, application.reference) not in told:
                readers = read_together(case, application, attribute)
                told.update((attribute, reader.reference) for reader in readers)
                waiting += readers[1:]
    return tuple([each for each in found.values() if each.negotiates or any(p.negotiates for p in each.places)])
