"""Snapshots from many servers: who is asked, what becomes of each answer, and the run as `analyse` takes it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.errors import MalformedError, UsageError
from agent.iis.snapshot import Snapshot, read_or_lost
from agent.model import Alias, Asked
from agent.names import fold
from agent.sources.endpoint import Endpoint
from agent.sources.snapshots import store, targets
from agent.sources.snapshots.disk import shown
from agent.sources.snapshots.framed import SCRIPT, Framed, framed_in
from agent.sources.snapshots.packed import GZIP, document_in
from agent.sources.snapshots.standing import Standing, assess
from agent.sources.snapshots.sweep_file import NOT_ASKED, Failed, unanswered
from agent.sources.winrm import client
from agent.sources.winrm.errors import UnreachableError, short
from agent.sources.winrm.tls import Tls
from agent.sweep import run
from agent.sweep.machines import Fingerprint, Machines, fingerprint_of

MAXIMUM_THREADS = 64
HEAVY = 1024 * 1024
"""Bytes of an answer that is looked through in a thread: 48 MB full of passwords take 20 s, and meanwhile the deadlines
of all other servers would pass."""
HEAVY_AT_ONCE = 2
MAXIMUM_DOCUMENT = 64 * 1024 * 1024
"""Bytes that an answer may have once it is unpacked; whole farms are asked at once, and one file may have as many."""
OTHER_FILES = 200
"""Files open besides connections: modules, threads' pipes, snapshots."""


class Collected(Struct, frozen=True, kw_only=True):
    """One server's answer: its snapshot as a file holds it, in memory or at `path`, and how complete it is.

    `alias_of` names the server that answered before from the same machine; nothing else is kept then. `left_behind`
    is the remote shell that could not be removed, if any.
    """

    standing: Standing
    packed: bytes | None = None
    path: Path | None = None
    alias_of: str | None = None
    left_behind: str | None = None


Result = run.Result[Collected]


class Orders(NamedTuple):
    """How a run collects. `folder` None keeps the snapshots in memory; `logon_of` says who is logged on where.

    `jea` names the JEA endpoint whose command is called, instead of sending the collector.
    """

    logon_of: Callable[[Endpoint], client.Logon]
    tls: Tls
    limits: client.Limits = client.Limits()
    netbios: Mapping[str, str] = {}
    folder: Path | None = None
    parallel: int = run.PARALLEL
    continue_on_denied: bool = False
    jea: str | None = None


class Run(NamedTuple):
    """A finished run: an outcome for every server asked, and the snapshots of an earlier run that were still fresh.

    `unrecorded` is why the record beside the snapshots does not tell of it, if so. `cut_short`: by a second Ctrl-C.
    """

    outcomes: Sequence[Result]
    kept: Sequence[Path]
    netbios: Mapping[str, str]
    folder: Path | None
    unrecorded: str | None = None
    cut_short: bool = False

    @property
    def asked(self) -> Asked:
        """The count that always adds up."""
        answers = [outcome.answer for outcome in self.outcomes if outcome.answer is not None]
        aliases = [
            Alias(outcome.endpoint.name, outcome.answer.alias_of)
            for outcome in self.outcomes
            if outcome.answer is not None and outcome.answer.alias_of is not None
        ]
        asked = len(self.outcomes)
        return Asked(
            asked=asked,
            answered=len(answers),
            failed=asked - len(answers),
            not_asked=sum(one.failure is not None and one.failure.stage == NOT_ASKED for one in self.outcomes),
            kept=len(self.kept),
            aliases=tuple(aliases),
        )

    @property
    def is_complete(self) -> bool:
        """Whether every server answered with everything, and the record says so."""
        answers = [outcome.answer for outcome in self.outcomes]
        return self.unrecorded is None and all(
            answer is not None and answer.standing.status == "ok" for answer in answers
        )

    def snapshots(self) -> Iterator[Snapshot]:
        """Each machine once, one at a time; a server that gave no answer is a snapshot that says why."""
        for path in self.kept:
            yield read_or_lost(shown(path), partial(targets.read_target, path, None, self.netbios))
        for outcome in self.outcomes:
            if outcome.failure is not None:
                yield unreachable(outcome.endpoint, outcome.failure)
            elif outcome.answer is not None and outcome.answer.alias_of is None:
                name = outcome.endpoint.name
                yield read_or_lost(name, partial(self._snapshot, name, outcome.answer))

    def _snapshot(self, name: str, answer: Collected) -> Snapshot:
        if answer.path is not None:
            return targets.read_target(answer.path, None, self.netbios)
        return targets.from_document(answer.packed or b"", name, None, self.netbios)


def unreachable(endpoint: Endpoint, failure: run.Failure) -> Snapshot:
    """A server that gave no answer, as the report takes it."""
    return unanswered(Failed(endpoint.name, *failure))


def collect(
    endpoints: Sequence[Endpoint], orders: Orders, *, kept: Sequence[Kept] = (), told: Callable[[Result], None]
) -> Run:
    """Ask the servers; `told` hears of each outcome as it comes. Ctrl-C ends it early, with what is there.

    A second Ctrl-C does not wait for the remote shells to be removed.
    """
    heard: dict[Endpoint, Result] = {}
    begun: set[Endpoint] = set()

    def hear(outcome: Result) -> None:
        heard[outcome.endpoint] = outcome
        told(outcome)

    _allow_connections(orders.parallel)
    cut_short = False
    try:
        outcomes = asyncio.run(_ask_all(endpoints, orders, _Collector(orders, kept).ask, hear, begun))
    except KeyboardInterrupt:
        outcomes = [heard.get(endpoint) or run.interrupted(endpoint, begun) for endpoint in endpoints]
        cut_short = True
    return Run(outcomes, [earlier.path for earlier in kept], orders.netbios, orders.folder, cut_short=cut_short)


def _allow_connections(parallel: int) -> None:
    """Room for a connection to each server: POSIX systems allow a program 256 or 1,024 open files unless it asks."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * parallel + OTHER_FILES
    if resource.RLIM_INFINITY != soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def _ask_all(
    endpoints: Sequence[Endpoint],
    orders: Orders,
    ask: Callable[[Endpoint, run.Gate], Awaitable[Collected]],
    told: Callable[[Result], None],
    begun: set[Endpoint],
) -> Sequence[Result]:
    # names are looked up and tickets got in threads: with few of them slow answers would hold up everyone
    threads = ThreadPoolExecutor(min(orders.parallel, MAXIMUM_THREADS), thread_name_prefix="iis-spn")
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    loop.set_exception_handler(_unless_lost)
    return await run.sweep(
        endpoints,
        ask,
        parallel=orders.parallel,
        continue_on_denied=orders.continue_on_denied,
        told=told,
        begun=begun,
    )


class Kept(NamedTuple):
    """A snapshot of an earlier run that is still good, and the machine it is of."""

    name: str
    path: Path
    machine: Fingerprint | None


def _unless_lost(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """On Windows asyncio shuts a socket down before it closes it, and complains where the server had reset it.

    Whoever asked over that connection has been told already, as of every failure of a connection.
    """
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


def fresh(
    endpoints: Sequence[Endpoint], folder: Path, stale_after: targets.StaleAfter
) -> tuple[list[Endpoint], list[Kept]]:
    """For `--resume`: who must still be asked, and the snapshots in `folder` that are young and whole."""
    present = store.present(folder)
    missing, kept = [], []
    for endpoint in endpoints:
        stem = store.stem(endpoint.name)
        written = present.get(fold(stem))
        found = None
        if written is not None and targets.is_fresh(written, stale_after):
            found = _earlier(endpoint, folder / f"{stem}{store.SUFFIX}")
        if found is None:
            missing.append(endpoint)
        else:
            kept.append(found)
    return missing, kept


def _earlier(endpoint: Endpoint, path: Path) -> Kept | None:
    """A snapshot that is there; None where it is not whole, so that the server is asked again."""
    found = targets.read_target(path, None, {})
    return Kept(endpoint.name, path, fingerprint_of(found)) if assess(found).status == "ok" else None


class _Collector:
    """What is done with each server of one run."""

    def __init__(self, orders: Orders, kept: Sequence[Kept]) -> None:
        self._orders = orders
        self._script = SCRIPT.read_bytes()
        self._machines = Machines((earlier.machine, earlier.name) for earlier in kept)
        self._heavy = asyncio.Semaphore(HEAVY_AT_ONCE)

    async def ask(self, endpoint: Endpoint, gate: run.Gate) -> Collected:
        taken = list[Collected]()

        async def take(stdout: bytes, stderr: bytes) -> None:
            taken.append(await self._taken(endpoint, stdout, stderr))

        left_behind = await self._asked(endpoint, gate, take)
        return taken[0] if left_behind is None else replace(taken[0], left_behind=left_behind)

    async def _taken(self, endpoint: Endpoint, stdout: bytes, stderr: bytes) -> Collected:
        """What is made of an answer: at once where it is of the usual size, else in a thread, a few at a time."""
        framed = _framed(endpoint, stdout, stderr) if len(stdout) < HEAVY else None
        if framed is not None and len(framed.document) < HEAVY:
            return self._kept(endpoint, framed)
        async with self._heavy:
            return await asyncio.to_thread(lambda: self._kept(endpoint, framed or _framed(endpoint, stdout, stderr)))

    async def _asked(self, endpoint: Endpoint, gate: run.Gate, take: client.Taking) -> str | None:
        """Let `take` have what the server prints. Answers what may remain of its remote shell."""
        orders = self._orders
        logon, tls, limits = orders.logon_of(endpoint), orders.tls, orders.limits
        if orders.jea is None:
            answer = await client.run_script(
                endpoint, logon, self._script, tls=tls, limits=limits, gate=gate, meanwhile=take
            )
            return answer.left_behind
        from agent.sources.winrm import jea

        answer = await jea.run_command(endpoint, logon, orders.jea, tls=tls, limits=limits, gate=gate, meanwhile=take)
        return answer.left_behind

    def _kept(self, endpoint: Endpoint, framed: Framed) -> Collected:
        try:
            decoded = document_in(framed.document, endpoint.name)
        except MalformedError as error:
            raise _unusable_error(error.reason) from None
        found = targets.from_document(decoded, endpoint.name, None, self._orders.netbios)
        standing = assess(found)
        if not found.files:
            raise _unusable_error(standing.gaps[0].message if standing.gaps else "it holds no file")
        first = self._machines.first(found, endpoint.name)
        if first != endpoint.name:
            return Collected(standing=standing, alias_of=first)
        try:
            return self._stored(Collected(standing=standing), endpoint.name, framed.sent, decoded)
        except UnreachableError:
            self._machines.forget(endpoint.name)
            raise

    def _stored(self, answer: Collected, name: str, sent: bytes, decoded: Mapping[str, object]) -> Collected:
        folder = self._orders.folder
        if folder is None:
            return replace(answer, packed=sent if sent.startswith(GZIP) else gzip.compress(sent, 1))
        try:
            return replace(answer, path=store.write(folder, name, decoded))
        except UsageError as error:
            raise UnreachableError("answer", str(error), "call it by its host name in the inventory") from None
        except OSError as error:
            reason = f"its snapshot could not be written: {error.strerror}"
            raise UnreachableError("answer", reason, f"look at {folder}, then go on with --resume") from None


_REPORT = "Run collect.ps1 on the server itself and look at what it prints."


def _unusable_error(reason: str) -> UnreachableError:
    return UnreachableError("answer", f"the collector's answer cannot be used: {reason}", _REPORT)


def _framed(endpoint: Endpoint, stdout: bytes, stderr: bytes) -> Framed:
    try:
        return framed_in(stdout, endpoint.name, MAXIMUM_DOCUMENT)
    except MalformedError as error:
        said = _words_of(stderr)
        reason = f"{error.reason}{f'; PowerShell says: {said}' if said else ''}"
        raise UnreachableError("script", reason, _REPORT) from None


_TAG = re.compile(r"#< CLIXML|<[^>]{0,2000}>|_x000[AD]_")


def _words_of(stderr: bytes) -> str:
    """What PowerShell complained about, without the XML it wraps error records in when nobody is at its console."""
    return short(_TAG.sub(" ", stderr[:20_000].decode("utf-8", "replace")))


def now() -> datetime:
    """The time that staleness is measured against."""
    return datetime.now(UTC)
