"""Which applications of a site are told together: those about which the same is to be said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.model import Application, Requirement, Server
from agent.render.wording import Overview, settings_told


class Group(NamedTuple):
    """Applications of one site about which the same is to be said."""

    applications: list[Application]
    requirements: list[Requirement]


def asked_and_silent(overview: Overview, server: Server) -> tuple[list[Application], list[Application]]:
    """The applications of a server that ask for tickets, or need an SPN; and those that never do."""
    asked, silent = list[Application](), list[Application]()
    for application in overview.applications.get(server.name, []):
        is_asked = application.negotiates or overview.needed_by(application)
        (asked if is_asked else silent).append(application)
    return asked, silent


def groups(overview: Overview, server: Server, applications: Iterable[Application]) -> Iterator[Group]:
    """Applications of one site with the same names, SPNs, settings and decrypting account, together."""
    found: dict[object, Group] = {}
    for application in applications:
        requirements = [needed.requirement for needed in overview.needed_by(application)]
        answer = (tuple(map(id, requirements)), settings(application, server), application.decryption)
        own = application.path if application.places else ""
        key = (application.site, application.hosts, answer, application.decrypts_as, own)
        found.setdefault(key, Group([], requirements)).applications.append(application)
    yield from found.values()


def settings(application: Application, server: Server) -> tuple[str, ...]:
    """The two settings that decide; none where IIS would refuse the configuration."""
    if application.windows_auth is None:
        return ()
    return settings_told(application.windows_auth, application.origins, server)
