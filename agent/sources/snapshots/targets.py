"""A server as files: a bare applicationHost.config, a snapshot folder or a snapshot file (docs/snapshot.schema.json).

A snapshot may come from anywhere, so nothing in it is trusted: sizes are looked at before reading, links that leave
the folder and paths that leave the snapshot are refused. What is wrong becomes a `Problem`, the rest is still read.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from agent.errors import MalformedError, UsageError
from agent.iis.redirection import APPLICATION_HOST
from agent.iis.snapshot import Machine, Snapshot, SourceFile, read_or_lost, unopened
from agent.model import Problem
from agent.names import fold, host_fault, host_name, printable, without_user
from agent.sources.snapshots.disk import is_file, is_folder, load, shown
from agent.sources.snapshots.folder import read_folder
from agent.sources.snapshots.framed import unframe
from agent.sources.snapshots.machine_file import complete, problem
from agent.sources.snapshots.mistaken import mistaken
from agent.sources.snapshots.packed import MAXIMUM_PACKED, TOP, Opened, opened
from agent.sources.snapshots.sweep_file import SWEEP, key_of, read_sweep, unanswered
from agent.sources.text_file import written

FRAMED = ".snapshot"
PACKED = (".snapshot.json.gz", ".snapshot.json")

NO_SERVER = (".ldif", ".txt", ".toml", ".md", ".json", ".csv", ".html")


# -- which targets -------------------------------------------------------------------------------------------------


def expand(patterns: Sequence[str]) -> list[Path]:
    """The servers that TARGETs name, each once: files, snapshot folders, what a folder of snapshots holds.

    What does not exist and a folder without any configuration stay targets, so that `read` can say so. Raises
    UsageError for a pattern that matches nothing. A POSIX shell expands `*` itself: among several TARGETs, files
    that are evidently no server are left out as well.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            for target in _targets(path):
                found.setdefault(os.path.normcase(os.path.realpath(target)), target)
    servers = [path for path in found.values() if not (is_file(path) and _is_no_server(path.name))]
    return servers if servers and len(patterns) > 1 else list(found.values())


def _matches(pattern: str) -> list[Path]:
    if not pattern or "\0" in pattern:
        raise UsageError(f"no file or folder can be called '{printable(pattern)}'")
    if os.path.lexists(pattern):
        return [Path(pattern)]
    if "://" in pattern:
        raise UsageError(f"'{without_user(pattern)}' is a URL: a TARGET is a file or a folder; sweep asks servers")
    if "*" not in pattern and "?" not in pattern:
        return [Path(pattern)]
    literal_brackets = pattern.replace("[", "[[]")
    names = sorted(glob.glob(literal_brackets))  # noqa: PTH207  pathlib refuses absolute patterns
    servers = [Path(name) for name in names if not _is_no_server(Path(name).name)]
    if not servers:
        reason = "only files that are no server" if names else "nothing"
        raise UsageError(f"'{printable(pattern)}' matches {reason}")
    return servers


def _is_no_server(name: str) -> bool:
    key = fold(name)
    return key.startswith(".") or (key.endswith(NO_SERVER) and not key.endswith(PACKED))


def _targets(path: Path) -> list[Path]:
    names = _names(path)
    if names is None or _is_snapshot(names):
        return [path]
    return [path / name for name in names if _is_target(path / name)] or [path]


def _is_target(path: Path) -> bool:
    names = _names(path)
    return fold(path.name).endswith((FRAMED, *PACKED)) if names is None else _is_snapshot(names)


def _names(folder: Path) -> list[str] | None:
    """What stands in a folder; None where it is no folder or cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are asked for, not paths
    except OSError:
        return None


def _is_snapshot(names: Sequence[str]) -> bool:
    return any(fold(name) in TOP for name in names)


def sweep_folders(patterns: Sequence[str]) -> list[Path]:
    """The folders among TARGETs that have the record of a sweep; a single snapshot of one does not bring it along."""
    folders = dict.fromkeys(path for pattern in patterns for path in _matches(pattern))
    return [path for path in folders if SWEEP in (names := _names(path) or ()) and not _is_snapshot(names)]


# -- all targets ---------------------------------------------------------------------------------------------------


class Due(NamedTuple):
    """A server that should be among the targets, and where that is said."""

    host: str
    place: str


CLOCK_SKEW = timedelta(minutes=5)
"""What Kerberos lets clocks differ by (RFC 4120 8.2; Windows' default of MaxClockSkew)."""


class StaleAfter(NamedTuple):
    """How many hours old a snapshot may be at a moment."""

    hours: float
    now: datetime


def read_targets(
    paths: Sequence[Path],
    computer: str | None,
    netbios: Mapping[str, str],
    *,
    swept: Sequence[Path] = (),
    due: Sequence[Due] = (),
    stale_after: StaleAfter | None = None,
) -> Iterator[Snapshot]:
    """Read each target of `expand`, one at a time; then tell of each server that should be there and is not.

    Those are the servers that gave no answer when one of `swept` (`sweep_folders`) was filled, and those of `due`.
    Never raises for what stands in any of them.
    """
    present: set[str] = set()
    for path in (path for path in paths if path not in swept):
        found = read_or_lost(shown(path), partial(read_target, path, computer, netbios))
        present |= _names_of(path, found.machine)
        yield found if stale_after is None else dated(found, stale_after)
    for folder in swept:
        failures = list(_unanswered(folder, present))
        yield from failures or ([read_target(folder, None, netbios)] if folder in paths else ())
    for one in due:
        if key_of(one.host) not in present:
            present.add(key_of(one.host))
            yield Snapshot(source=one.host, machine=Machine(), files={}, problems=(_missing(one),))


def dated(found: Snapshot, stale_after: StaleAfter) -> Snapshot:
    """The snapshot with a problem where it is older than that, or does not say how old it is."""
    collected, limit = found.machine.collected_at, f"{stale_after.hours:g} hours"
    if not found.files or (collected is not None and is_fresh(collected, stale_after)):
        return found
    if collected is None:
        message = f"it does not say when it was collected: it may be older than {limit}"
    elif collected > stale_after.now:
        moment = f"{collected.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        message = f"it says that it was collected at {moment}, which is to come: a clock is wrong, it may be old"
    else:
        message = f"it was collected at {collected.astimezone(UTC):%Y-%m-%d %H:%M} UTC, more than {limit} ago"
    problem = Problem(id="snapshot-stale", message=message, fix=("Collect it again: what changed since is not seen.",))
    return replace(found, problems=(*found.problems, problem))


def is_fresh(moment: datetime, stale_after: StaleAfter) -> bool:
    """Whether a moment is no longer ago than that. One that is to come says nothing, but for what clocks may differ."""
    return -CLOCK_SKEW <= stale_after.now - moment <= timedelta(hours=stale_after.hours)


def _unanswered(folder: Path, present: set[str]) -> Iterator[Snapshot]:
    try:
        record = read_sweep(folder)
    except MalformedError as error:
        damaged = problem(error.reason, error.file, error.line)
        yield Snapshot(source=error.file, machine=Machine(), files={}, problems=(damaged,))
        return
    for failed in record.failed if record is not None else ():
        if key_of(failed.host) not in present:
            present.add(key_of(failed.host))
            yield unanswered(failed)


def _missing(one: Due) -> Problem:
    fix = f"Collect it: iis-spn collect {one.host} --to FOLDER; or run collect.ps1 on it and keep what it prints there."
    return Problem(
        id="server-unreachable",
        message=printable(f"no snapshot of it is there; it is named in {one.place}"),
        fix=(fix,),
    )


def _names_of(path: Path, machine: Machine) -> set[str]:
    """What a server may have been asked as: what its file is called, and what it calls itself."""
    return {*machine.said_names, fold(_stem(path) or "")}


# -- one target ----------------------------------------------------------------------------------------------------


def read_target(path: Path, computer: str | None, netbios: Mapping[str, str]) -> Snapshot:
    """Read one target of `expand`. Never raises for what stands in it.

    `computer` is the server's FQDN where it is known from elsewhere; `netbios` has NetBIOS names by folded DNS name
    of the domain, under "" the one for any domain. Both only fill what the target does not say.
    """
    files, machine, problems = read_folder(path) if is_folder(path) else _read_file(path)
    whole, doubts = complete(machine, computer, _called(path), netbios)
    stamp = written(_configuration_in(path))
    return Snapshot(source=shown(path), machine=whole, files=files, problems=(*problems, *doubts), written=stamp)


def _configuration_in(path: Path) -> Path:
    """The file whose age is the target's."""
    names = _names(path) or ()
    return next((path / name for name in names if fold(name) == APPLICATION_HOST), path)


def from_document(
    data: bytes | Mapping[str, object], source: str, called: str | None, netbios: Mapping[str, str]
) -> Snapshot:
    """The snapshot in a JSON document, zipped or decoded as well, with the names completed as `read` does.

    `source` is what it is called in messages, `called` the name under which the server was asked. Raises
    MalformedError where nothing of it can be used.
    """
    files, machine, problems = opened(data, source)
    whole, doubts = complete(machine, None, _computer_in(called) if called else None, netbios)
    return Snapshot(source=source, machine=whole, files=files, problems=(*problems, *doubts))


_PORT = re.compile(r"=[0-9]{1,5}\Z")


def _computer_in(name: str) -> str | None:
    """The computer that a folder or file is named after, where that can be the name of one.

    `collect` writes web01=5986 for port 5986 of web01, and a `=` for each `:` of an IPv6 address.
    """
    label = _PORT.sub("", name).partition(".")[0]
    can_be = host_fault(host_name(label)) is None and not label.isdigit()
    return label if can_be else None


def _called(path: Path) -> str | None:
    """What the target's own name says about the computer's; a bare configuration file is called like any other."""
    name = _stem(path)
    return _computer_in(name) if name is not None else None


def _stem(path: Path) -> str | None:
    if is_folder(path):
        return Path(os.path.abspath(path)).name  # noqa: PTH100
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix is not None else None


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in (FRAMED, *PACKED) if fold(path.name).endswith(suffix)), None)


def _bare(file: SourceFile) -> Opened:
    """A configuration file without anything beside it, or why it is none."""
    other = mistaken(file.data) if file.error is None else None
    if other is None:
        return Opened({APPLICATION_HOST: file}, Machine(), ())
    reason = f"it looks like {other.kind}: no applicationHost.config"
    return Opened({}, Machine(), (replace(problem(reason, file.name, 1), fix=(other.advice,)),))


def is_snapshot_name(path: Path) -> bool:
    """Whether a file is called as a snapshot is."""
    return _suffix(path) is not None


def _read_file(path: Path) -> Opened:
    suffix = _suffix(path)
    if suffix is None:
        return _bare(load(path, shown(path)))
    packed = load(path, shown(path), MAXIMUM_PACKED)
    if packed.error is not None:
        return Opened({}, Machine(), (unopened(packed.name, packed.error, is_refused=packed.is_refused),))
    try:
        return opened(unframe(packed.data, packed.name) if suffix == FRAMED else packed.data, packed.name)
    except MalformedError as error:
        return Opened({}, Machine(), (problem(error.reason, error.file, error.line),))
