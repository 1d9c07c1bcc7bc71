"""Effective windowsAuthentication, path by path: applicationHost.config and every web.config that may take part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from agent.errors import MalformedError
from agent.iis.content import Content
from agent.iis.delegation import Locks, default_mode
from agent.iis.merge import LOCKED, Contribution, Merged, SectionFault, State, Value, apply, initial
from agent.iis.parse import Document
from agent.iis.schema import WINDOWS_AUTHENTICATION, WINDOWS_AUTHENTICATION_SCHEMA
from agent.model import Origin, Origins, WindowsAuth
from agent.names import path_key

_SCHEMA_DEFAULTS = initial(WINDOWS_AUTHENTICATION_SCHEMA)


MAXIMUM_DIRECTORIES = 100_000
"""Directories with a web.config, each counted at every URL that leads to it. 1,000 virtual directories on one folder
with as many of them would be a million places with settings of their own."""


class Auth(NamedTuple):
    """Effective windowsAuthentication at one path, or the fault that makes IIS refuse it there.

    `is_unlocked`: a web.config of that level may set it. `is_open`: it may, and nobody looked whether one does.
    """

    settings: WindowsAuth | None
    origins: Origins
    fault: SectionFault | None
    is_unlocked: bool = False
    is_open: bool = False


class AuthenticationPaths:
    """Evaluates windowsAuthentication path by path; every path is computed once from its parent's state."""

    def __init__(self, document: Document, content: Content, applications: frozenset[str]) -> None:
        self._file = document.file
        self._content = content
        self._applications = applications
        self._default_mode = default_mode(document)
        self._by_path: dict[str, list[Contribution]] = {}
        self._faults: dict[str, SectionFault] = {}
        self._scoped = False
        self._states: dict[tuple[str, str], State] = {}
        self._relative: dict[str, dict[str, list[Contribution]]] = {}
        self._locks = Locks(document)
        self._locked: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for contribution in self._contributions(document, "", 0):
            self._by_path.setdefault(path_key(contribution.path), []).append(contribution)
        for fault in document.faults:
            if fault.path is not None:
                found = SectionFault("config-invalid", fault.reason, document.file, fault.line, "")
                self._faults.setdefault(path_key(fault.path), found)
        self._written: dict[str, str] = {}
        self._below = self._group_places()

    def _contributions(self, document: Document, level: str, rank: int) -> Iterator[Contribution]:
        for location in document.locations:
            for name, node in location.sections:
                if name == WINDOWS_AUTHENTICATION:
                    path = "/".join(part for part in (level, location.path) if part)
                    owner = ""
                    if not location.inherit_in_child_applications:
                        self._scoped = True
                        owner = self._owner(path_key(path))
                    yield Contribution(path, document.file, rank, location, node, owner)

    def _owner(self, path: str) -> str:
        """The application (folded path) that a path belongs to, "" above all applications."""
        while path and path not in self._applications:
            path = path.rpartition("/")[0]
        return path

    def _group_places(self) -> dict[str, list[str]]:
        """By application: the paths below it, not applications themselves, where some file sets the section."""
        targets = dict.fromkeys((*self._by_path, *self._content_targets()))
        for contribution in (c for found in self._by_path.values() for c in found):
            self._written.setdefault(path_key(contribution.path), contribution.path)
        below: dict[str, list[str]] = {}
        for target in targets:
            if target not in self._applications and (owner := self._owner(target)):
                below.setdefault(owner, []).append(target)
        return below

    def _content_targets(self) -> Iterator[str]:
        found_below = list(islice(self._content.directories(), MAXIMUM_DIRECTORIES + 1))
        if len(found_below) > MAXIMUM_DIRECTORIES:
            reason = f"its virtual directories lead to more than {MAXIMUM_DIRECTORIES} web.config files"
            raise MalformedError(self._file, None, reason)
        for level in dict.fromkeys((*found_below, *self._applications)):
            found = self._content.at(level)
            if found is not None and found.fault is not None:
                yield level
            yield from self._level(level)
            yield from self._locked_at(level)

    def _locked_at(self, level: str) -> dict[str, list[tuple[int, str]]]:
        """The locked sections that the web.config of one level holds, windowsAuthentication aside, by folded target."""
        known = self._locked.get(level)
        if known is None:
            known = self._locked[level] = {}
            found = self._content.at(level)
            for location in found.document.locations if found is not None and found.document is not None else ():
                target = path_key("/".join(part for part in (level, location.path) if part))
                for name, line in location.others:
                    if self._locks.is_locked(name, target):
                        known.setdefault(target, []).append((line, f"<{name.rpartition('/')[2]}>"))
        return known

    def _level(self, level: str) -> dict[str, list[Contribution]]:
        """What the web.config of one level says, by folded target path."""
        known = self._relative.get(level)
        if known is None:
            known = self._relative[level] = {}
            found = self._content.at(level)
            if found is not None and found.document is not None:
                for contribution in self._contributions(found.document, level, level.count("/") + 1):
                    known.setdefault(path_key(contribution.path), []).append(contribution)
        return known

    # -- states ------------------------------------------------------------------------------------------------

    def _state(self, path: str, application: str) -> State:
        scope = application if self._scoped else ""
        missing = [path]
        state = self._states.get((path, scope))
        while state is None and missing[-1]:
            missing.append(missing[-1].rpartition("/")[0])
            state = self._states.get((missing[-1], scope))
        for one in reversed(missing if state is None else missing[:-1]):
            state = self._states[one, scope] = self._computed(one, state or _SCHEMA_DEFAULTS, application)
        return state or _SCHEMA_DEFAULTS

    def _computed(self, path: str, state: State, application: str) -> State:
        if state.fault is not None:
            return state
        if path in self._faults:
            return state._replace(fault=self._faults[path])
        found = self._by_path.get(path, [])
        if path and not self._content.is_empty:
            return self._with_content(state, path, application, found)
        return self._applied(state, found, application) if found else state

    def _with_content(self, state: State, path: str, application: str, found: list[Contribution]) -> State:
        state = self._applied(state, found, application)
        end = path.find("/")
        levels = []
        while end >= 0:
            levels.append(path[:end])
            end = path.find("/", end + 1)
        nearer = [c for level in levels for c in self._level(level).get(path, ())]
        for level in (*levels, path):
            state = self._refused(state, level, path)
        state = self._applied(state, nearer, application)
        own = self._content.at(path)
        if own is not None and own.fault is not None and state.fault is None:
            if own.unread and state.is_locked(path.count("/") + 1, self._default_mode):
                return state  # what is locked cannot be set there, read or not
            return state._replace(fault=own.fault)
        return self._applied(state, self._level(path).get(path, ()), application)

    def _refused(self, state: State, level: str, path: str) -> State:
        """The state where the web.config of one level holds locked sections for a path: one fault, all their lines."""
        locked = self._locked_at(level).get(path)
        found = self._content.at(level) if locked and state.fault is None else None
        if not locked or found is None or found.document is None or found.fault is not None:
            return state
        if state.is_locked(level.count("/") + 1, self._default_mode):
            own = self._level(level).get(path, ())
            locked = sorted([*locked, *((each.node.line, each.node.text) for each in own)])
        (line, text), *more = locked
        return state._replace(
            fault=SectionFault("section-locked", LOCKED, found.document.file, line, text, tuple(more))
        )

    def _applied(self, state: State, found: Iterable[Contribution], application: str) -> State:
        reaching = [c for c in found if c.location.inherit_in_child_applications or c.application in {"", application}]
        return apply(state, reaching, WINDOWS_AUTHENTICATION_SCHEMA, self._default_mode) if reaching else state

    # -- results -----------------------------------------------------------------------------------------------

    def at(self, path: str) -> Auth:
        """The effective section at a folded path, as the application that it belongs to serves it."""
        state = self._state(path, self._owner(path))
        is_unlocked = not state.is_locked(path.count("/") + 1, self._default_mode)
        return _auth(state, path)._replace(
            is_unlocked=is_unlocked, is_open=is_unlocked and not self._content.is_looked_at
        )

    def places(self, application: str) -> tuple[tuple[str, Auth], ...]:
        """The paths below an application where something of its own is set, relative to the site's root."""
        below = self._below.get(application)
        if not below:
            return ()
        found = [(self._written.get(path, path), self.at(path)) for path in sorted(below)]
        return tuple([(written[written.find("/") :], auth) for written, auth in found])


def _auth(state: State, path: str) -> Auth:
    values, providers = state.merged.values, state.merged.elements["providers"]
    enabled = _origin(values["enabled"], path)
    origins = Origins(
        enabled=enabled,
        kernel_mode=_origin(values["useKernelMode"], path, enabled),
        pool_credentials=_origin(values["useAppPoolCredentials"], path, enabled),
        providers=_place(providers.items_source, providers.items_line, path),
        identity_type=None,
    )
    return Auth(None if state.fault else _settings(state.merged), origins, state.fault)


def _settings(merged: Merged) -> WindowsAuth:
    values = merged.values
    protection = merged.elements["extendedProtection"]
    return _shared(
        enabled=bool(values["enabled"].value),
        kernel_mode=bool(values["useKernelMode"].value),
        pool_credentials=bool(values["useAppPoolCredentials"].value),
        providers=tuple([item.key for item in merged.elements["providers"].items]),
        token_checking=str(protection.values["tokenChecking"].value),
        flags=str(protection.values["flags"].value),
        service_names=tuple([item.key for item in protection.items]),
    )


_shared = lru_cache(maxsize=1024)(WindowsAuth)
"""A farm has a handful of different settings on hundreds of thousands of applications."""


_DEFAULT = Origin(None, None, "", "default")


def _origin(value: Value, path: str, first: Origin | None = None) -> Origin:
    """Where a value comes from; most stand in one start tag, and are then given the origin of the first."""
    found = _place(value.source, value.line, path)
    return first if first is not None and found == first else found


def _place(source: Contribution | None, line: int | None, path: str) -> Origin:
    if source is None:
        return _DEFAULT
    return Origin(source.file, line, source.location.path, "explicit" if path_key(source.path) == path else "inherited")
