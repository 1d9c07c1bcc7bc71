"""How complete a server's answer is, told from what it holds: its settings are not worked out for that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agent.errors import MalformedError
from agent.iis.delegation import is_delegated
from agent.iis.parse import parse
from agent.iis.redirection import configuration_file
from agent.iis.snapshot import Snapshot, SourceFile
from agent.model import Problem, Status


class Standing(NamedTuple):
    """`gaps` are what is missing. "failed": it is not known which applicationHost.config counts, or what it says."""

    status: Status
    gaps: tuple[Problem, ...] = ()


def assess(snapshot: Snapshot) -> Standing:
    """How complete a snapshot is. What is wrong inside its files is not looked for.

    Content that could not be opened is a gap where the server delegates windowsAuthentication to any web.config at
    all; whether it does so at that very place only `inspect` finds out.
    """
    in_force = configuration_file(snapshot)
    broken = tuple(problem for problem in snapshot.problems if problem.id in _LOSES)
    if in_force.file is None:
        return Standing("failed", (*broken, *([in_force.problem] if in_force.problem else [])))
    gaps = (*broken, *_unread_content(snapshot, in_force.file))
    return Standing("partial" if gaps else "ok", gaps)


_LOSES = frozenset({"config-malformed", "content-unread", "source-unreadable"})
"""Problems of a snapshot by which a part of it is not known."""

_OF_IIS_ITSELF = re.compile(r"[/\\]inetsrv[/\\]config[/\\][^/\\]+\Z", re.IGNORECASE)


def _unread_content(snapshot: Snapshot, configuration: SourceFile) -> Iterator[Problem]:
    """One gap for each reason: where the collector ran out of time, thousands of files share one."""
    unread = _why_unread(snapshot)
    if not unread or not _may_matter(configuration):
        return
    for reason in dict.fromkeys(unread.values()):
        path, *others = (path for path, why in unread.items() if why == reason)
        more = f" and {len(others)} more" if others else ""
        yield Problem(id="content-unread", message=f"{path}{more} could not be opened: {reason}")


def _why_unread(snapshot: Snapshot) -> Mapping[str, str]:
    """The content files that could not be opened, by the path shown to people; IIS's own files are no content."""
    told = {path: why for path, why in snapshot.machine.unread if not _OF_IIS_ITSELF.search(path)}
    damaged = {
        file.name: file.error
        for key, file in snapshot.files.items()
        if file.error is not None and key.startswith("files/") and not _OF_IIS_ITSELF.search(file.name)
    }
    return {**told, **damaged}


def _may_matter(configuration: SourceFile) -> bool:
    try:
        return is_delegated(parse(configuration.xml(), configuration.name))
    except MalformedError:
        return True
