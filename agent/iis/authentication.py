"""Effective windowsAuthentication, path by path: applicationHost.config and every web.config that may take part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.errors import MalformedError
from agent.iis.content import Content
from agent.iis.delegation import Locks, default_mode
from agent.iis.merge import LOCKED, Contribution, Kind, Merged, Merging, SectionFault, State, Where, initial
from agent.iis.parse import Document
from agent.iis.schema import WINDOWS_AUTHENTICATION, WINDOWS_AUTHENTICATION_SCHEMA
from agent.model import Origin, Origins, WindowsAuth
from agent.names import path_key

_SCHEMA_DEFAULTS = initial(WINDOWS_AUTHENTICATION_SCHEMA)


MAXIMUM_DIRECTORIES = 100_000
"""Directories with a web.config, each counted at every URL that leads to it. 1,000 virtual directories on one folder
with as many of them would be a million places with settings of their own."""


class Auth(Struct, frozen=True, gc=False):
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
        self._merging = Merging(WINDOWS_AUTHENTICATION_SCHEMA, self._default_mode)
        self._by_path: dict[str, list[Contribution]] = {}
        self._faults: dict[str, SectionFault] = {}
        self._scoped = False
        self._states: dict[tuple[str, str], State] = {}
        self._relative: dict[str, dict[str, list[Contribution]]] = {}
        self._locks = Locks(document)
        self._locked: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for contribution in self._contributions(document, "", 0):
            self._by_path.setdefault(contribution.key, []).append(contribution)
        for fault in document.faults:
            if fault.path is not None:
                found = SectionFault("config-invalid", fault.reason, document.file, fault.line, "")
                self._faults.setdefault(path_key(fault.path), found)
        self._meanings: dict[Kind, _Meaning] = {}
        self._inherited: dict[tuple[int, bool], tuple[State, Auth]] = {}
        self._below = self._group_places()

    def _contributions(self, document: Document, level: str, rank: int) -> Iterator[Contribution]:
        for location in document.locations:
            for name, node in location.sections:
                if name == WINDOWS_AUTHENTICATION:
                    path = f"{level}/{location.path}" if level and location.path else level or location.path
                    key, owner = path_key(path), ""
                    if not location.inherit_in_child_applications:
                        self._scoped = True
                        owner = self._owner(key)
                    yield Contribution(path, document.file, rank, location, node, key, owner)

    def _owner(self, path: str) -> str:
        """The application (folded path) that a path belongs to, "" above all applications."""
        while path and path not in self._applications:
            path = path.rpartition("/")[0]
        return path

    def _group_places(self) -> dict[str, list[str]]:
        """By application: the paths below it, not applications themselves, where some file sets the section."""
        below: dict[str, list[str]] = {}
        for target in dict.fromkeys((*self._by_path, *self._content_targets())):
            if target not in self._applications and (owner := self._owner(target)):
                below.setdefault(owner, []).append(target)
        return below

    def _content_targets(self) -> Iterator[str]:
        if self._content.is_empty:
            return
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
                    known.setdefault(contribution.key, []).append(contribution)
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
            return replace(state, fault=self._faults[path])
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
            if own.unread and state.kind.is_locked(path.count("/") + 1, self._default_mode):
                return state  # what is locked cannot be set there, read or not
            return replace(state, fault=own.fault)
        return self._applied(state, self._level(path).get(path, ()), application)

    def _refused(self, state: State, level: str, path: str) -> State:
        """The state where the web.config of one level holds locked sections for a path: one fault, all their lines."""
        locked = self._locked_at(level).get(path)
        found = self._content.at(level) if locked and state.fault is None else None
        if not locked or found is None or found.document is None or found.fault is not None:
            return state
        if state.kind.is_locked(level.count("/") + 1, self._default_mode):
            own = self._level(level).get(path, ())
            locked = sorted([*locked, *((each.node.line, each.node.text) for each in own)])
        (line, text), *more = locked
        fault = SectionFault("section-locked", LOCKED, found.document.file, line, text, tuple(more))
        return replace(state, fault=fault)

    def _applied(self, state: State, found: Iterable[Contribution], application: str) -> State:
        reaching = [c for c in found if c.location.inherit_in_child_applications or c.application in {"", application}]
        return self._merging.apply(state, reaching) if reaching else state

    # -- results -----------------------------------------------------------------------------------------------

    def at(self, path: str) -> Auth:
        """The effective section at a folded path, as the application that it belongs to serves it."""
        state = self._state(path, self._owner(path))
        is_unlocked = not state.kind.is_locked(path.count("/") + 1, self._default_mode)
        for source in state.sources:
            if source.key == path:
                return self._auth(state, path, is_unlocked=is_unlocked)
        known = self._inherited.get((id(state), is_unlocked))  # most places say nothing of their own
        if known is None:
            known = (state, self._auth(state, path, is_unlocked=is_unlocked))
            self._inherited[id(state), is_unlocked] = known
        return known[1]

    def _auth(self, state: State, path: str, *, is_unlocked: bool) -> Auth:
        meaning = self._meanings.get(state.kind)
        if meaning is None:
            meaning = self._meanings[state.kind] = _meaning(state.kind.merged)
        is_open = is_unlocked and not self._content.is_looked_at
        settings = None if state.fault is not None else meaning.settings
        return Auth(settings, _origins(meaning, state, path), state.fault, is_unlocked, is_open)

    def places(self, application: str) -> tuple[tuple[str, Auth], ...]:
        """The paths below an application where something of its own is set, relative to the site's root."""
        below = self._below.get(application)
        if not below:
            return ()
        found = [(self._written(path), self.at(path)) for path in sorted(below)]
        return tuple([(written[written.find("/") :], auth) for written, auth in found])

    def _written(self, path: str) -> str:
        """A folded path as the first file that sets something there writes it."""
        found = self._by_path.get(path)
        return found[0].path if found else path


class _Meaning(NamedTuple):
    """What a kind of the section says, and what set that."""

    settings: WindowsAuth
    enabled: Where | None
    kernel_mode: Where | None
    pool_credentials: Where | None
    providers: Where | None


def _meaning(merged: Merged) -> _Meaning:
    values, providers, protection = merged.values, merged.elements["providers"], merged.elements["extendedProtection"]
    enabled, kernel_mode = values["enabled"], values["useKernelMode"]
    pool_credentials = values["useAppPoolCredentials"]
    settings = _shared(
        enabled=bool(enabled.value),
        kernel_mode=bool(kernel_mode.value),
        pool_credentials=bool(pool_credentials.value),
        providers=tuple([item.key for item in providers.items]),
        token_checking=str(protection.values["tokenChecking"].value),
        flags=str(protection.values["flags"].value),
        service_names=tuple([item.key for item in protection.items]),
    )
    return _Meaning(settings, enabled.where, kernel_mode.where, pool_credentials.where, providers.items_where)


_shared = lru_cache(maxsize=1024)(WindowsAuth)
"""A farm has a handful of different settings on hundreds of thousands of applications."""


_DEFAULT = Origin(None, None, "", "default")


def _origins(meaning: _Meaning, state: State, path: str) -> Origins:
    """Where the values come from; most stand in one start tag."""
    _, first, kernel_mode, pool_credentials, providers = meaning
    enabled = _origin(state, first, path)
    return Origins(
        enabled=enabled,
        kernel_mode=enabled if kernel_mode == first else _origin(state, kernel_mode, path),
        pool_credentials=enabled if pool_credentials == first else _origin(state, pool_credentials, path),
        providers=_origin(state, providers, path),
        identity_type=None,
    )


def _origin(state: State, where: Where | None, path: str) -> Origin:
    if where is None:
        return _DEFAULT
    source = state.sources[where.source]
    node = source.node
    for number in where.way:
        node = node.children[number]
    return Origin(source.file, node.line, source.location.path, "explicit" if source.key == path else "inherited")
