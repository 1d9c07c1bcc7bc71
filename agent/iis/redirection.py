"""Which applicationHost.config is in force: the server's own, or the shared one that redirection.config leads to.

While a redirection is enabled IIS does not read the local file; what still stands there is an old copy.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from agent.errors import MalformedError
from agent.iis.parse import Node, parse
from agent.iis.schema import REDIRECTION
from agent.iis.snapshot import Snapshot, SourceFile, file_key, unopened
from agent.model import Problem, Severity
from agent.names import fold, printable

APPLICATION_HOST = "applicationhost.config"
REDIRECTION_FILE = "redirection.config"


class Redirection(NamedTuple):
    """An enabled `<configurationRedirection>`: the folder as written, and where it says so.

    `key` is the shared applicationHost.config among `Snapshot.files`, None where the path cannot be resolved.
    """

    path: str
    key: str | None
    file: str
    line: int


class InForce(NamedTuple):
    """The configuration that IIS uses; `file` None: not known, and `problem` says why unless `Snapshot.problems` does.

    `shared_path` is the shared folder as written, `shared_key` the same for every server that reads the same share
    (None for a folder on a drive, which every server has its own of).
    """

    file: SourceFile | None
    shared_path: str | None = None
    shared_key: str | None = None
    problem: Problem | None = None

    @property
    def severity(self) -> Severity | None:
        """How bad `problem` is."""
        if self.problem is None:
            return None
        return "error" if self.file is None else "info"


def configuration_file(snapshot: Snapshot) -> InForce:
    """The applicationHost.config that counts. Never raises."""
    try:
        shared = redirection(snapshot)
    except MalformedError as error:
        reason = f"{error.reason}; so it is not known which applicationHost.config is in force"
        file = snapshot.files.get(REDIRECTION_FILE)
        is_refused, is_busy = (file.is_refused, file.is_busy) if file is not None else (False, False)
        told = unopened(error.file, reason, is_refused=is_refused, is_busy=is_busy)
        return InForce(None, problem=replace(told, line=error.line))
    return _local(snapshot) if shared is None else _shared(snapshot, shared)


def redirection(snapshot: Snapshot) -> Redirection | None:
    """The redirection in force, or None. Raises MalformedError where redirection.config cannot tell."""
    file = snapshot.files.get(REDIRECTION_FILE)
    if file is None:
        return None
    if file.error is not None:
        raise MalformedError(file.name, None, file.error)
    document = parse(file.xml(), file.name)
    for fault in document.faults:
        raise MalformedError(file.name, fault.line, fault.reason)
    node = document.section(REDIRECTION)
    if node is None or not _is_enabled(node, file.name):
        return None
    path = node.attributes.get("path", "").strip()
    if not path:
        raise MalformedError(file.name, node.line, "the redirection is enabled, but has no path")
    folder = file_key(path, snapshot.machine.environment)
    return Redirection(path, folder and f"{folder}/{APPLICATION_HOST}", file.name, node.line)


def _is_enabled(node: Node, file: str) -> bool:
    value = fold(node.attributes.get("enabled", "false").strip())
    if value not in {"true", "false"}:
        raise MalformedError(file, node.line, f"enabled must be true or false, not '{printable(value)}'")
    return value == "true"


def _says_all(problem: Problem, snapshot: Snapshot) -> bool:
    """Whether it was said that the whole target could not be read, or the server not be reached."""
    return problem.file == snapshot.source or problem.id in {"server-unreachable", "internal-error"}


def _local(snapshot: Snapshot) -> InForce:
    file = snapshot.files.get(APPLICATION_HOST)
    if file is not None and file.error is None:
        return InForce(file)
    if file is not None:
        told = unopened(file.name, file.error or "", is_refused=file.is_refused, is_busy=file.is_busy)
        return InForce(None, problem=told)
    if not snapshot.files and any(_says_all(problem, snapshot) for problem in snapshot.problems):
        return InForce(None)
    problem = Problem(id="config-malformed", message="no applicationHost.config", file=snapshot.source)
    return InForce(None, problem=problem)


def _shared(snapshot: Snapshot, shared: Redirection) -> InForce:
    file = snapshot.files.get(shared.key) if shared.key is not None else None
    share = shared.key if shared.key is not None and shared.key.startswith("files/unc/") else None
    why = _why_unread(snapshot, shared, file)
    text = f"redirection.config is in force: the configuration is shared, in {printable(shared.path)}"
    text += f"; its applicationHost.config could not be read: {why}" if why else "; the local copy is not read"
    problem = Problem(id="shared-configuration", message=text, file=shared.file, line=shared.line)
    return InForce(None if why else file, shared.path, share, problem)


def _why_unread(snapshot: Snapshot, shared: Redirection, file: SourceFile | None) -> str | None:
    if shared.key is None:
        return "the path is relative, or holds a variable that is not known"
    if file is not None:
        return file.error
    environment = snapshot.machine.environment
    told = {file_key(path, environment): why for path, why in snapshot.machine.unread}
    return told.get(shared.key, "it is not part of what was collected")
