"""Many servers at once, one outcome for each: none is forgotten, none disturbs another, no account is locked out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from agent.errors import fault_of_ours
from agent.iis.snapshot import REPORT
from agent.names import fold
from agent.sources.endpoint import Endpoint, secret_of
from agent.sources.snapshots.sweep_file import INTERNAL, NOT_ASKED
from agent.sources.winrm.errors import RefusedError, UnreachableError

PARALLEL = 64
JITTER_SECONDS = 0.2
"""The first connections are spread over this time: name server and domain controller do not get them all at once, and
the servers do not answer in step for the rest of the sweep."""
FAREWELL_SECONDS = 8.0
"""How long an interrupted sweep waits for its servers' remote shells to be removed."""
RETRY_SECONDS = 1.0
MOST_REFUSALS = 3
"""So many servers that refuse credentials others accepted end the sweep: Windows locks accounts at five or ten wrong
passwords as a rule."""
AT_ONCE = ((0, 1), (1, 3), (5, 8))
"""So many servers have accepted a password, so many may be judging it at the same time. One that accepts anything
proves nothing, and what is under way cannot be called back."""

MEMBERS = 4
"""So many members of the account's own domain have accepted its password, and one of them has proved it: then it is no
wrong one, and what the other members ask, they ask of the same domain."""

_MOST_OF_ALL = AT_ONCE[-1][1]

T = TypeVar("T")
Proof = Callable[[], None]
"""Called once the server has answered under a key that only who knows the password can have."""


class Gate(Protocol):
    """Entered before credentials are sent to a server; left normally when it accepted them, else with what happened.

    `domain` is the account's own where the server says that it is a member of it, and has the password judged there.
    """

    def __call__(self, endpoint: Endpoint, domain: str = "", /) -> AbstractAsyncContextManager[Proof]: ...


class Failure(NamedTuple):
    """Why a server gave no answer: how far it came, what happened, what to do next."""

    stage: str
    reason: str
    advice: str


class Result(Struct, Generic[T], frozen=True, kw_only=True):
    """What became of one server: an answer or a failure, never both. `seconds` is how long it took."""

    endpoint: Endpoint
    answer: T | None = None
    failure: Failure | None = None
    seconds: float = 0.0


class NotAskedError(UnreachableError):
    """The sweep had ended before this server's turn came."""


async def sweep(
    endpoints: Sequence[Endpoint],
    ask: Callable[[Endpoint, Gate], Awaitable[T]],
    *,
    parallel: int = PARALLEL,
    continue_on_denied: bool = False,
    told: Callable[[Result[T]], None] = lambda _outcome: None,
    begun: set[Endpoint] | None = None,
) -> list[Result[T]]:
    """Ask every server once, `parallel` at a time; the outcomes stand in the order of `endpoints`.

    `ask` answers or raises UnreachableError, within its own deadlines. `told` hears of each outcome as it comes, and
    `begun` gets the servers whose turn has come.
    Cancelled (Ctrl-C), this returns what is there; the servers that were not heard are failures that say so.
    """
    begun = set() if begun is None else begun
    doors = Doors(begun, continue_on_denied=continue_on_denied)
    outcomes: dict[int, Result[T]] = {}
    waiting = iter(enumerate(endpoints))
    workers = [
        asyncio.create_task(_work(waiting, ask, doors, outcomes, told)) for _ in range(min(parallel, len(endpoints)))
    ]
    try:
        if workers:
            await asyncio.wait(workers)
    except asyncio.CancelledError:
        for _ in waiting:
            pass  # nobody takes another one
        await _stop(workers)
    for worker in workers:
        if worker.done() and not worker.cancelled():
            worker.result()  # what went wrong in `told`
    return [outcomes.get(position) or interrupted(endpoint, begun) for position, endpoint in enumerate(endpoints)]


async def _work(
    waiting: Iterator[tuple[int, Endpoint]],
    ask: Callable[[Endpoint, Gate], Awaitable[T]],
    doors: Doors,
    outcomes: dict[int, Result[T]],
    told: Callable[[Result[T]], None],
) -> None:
    await _jitter()
    for position, endpoint in waiting:
        outcomes[position] = outcome = await _one(endpoint, ask, doors)
        told(outcome)


async def _jitter() -> None:
    await asyncio.sleep(random.uniform(0, JITTER_SECONDS))  # noqa: S311  # spreads load, protects nothing


async def _one(endpoint: Endpoint, ask: Callable[[Endpoint, Gate], Awaitable[T]], doors: Doors) -> Result[T]:
    began = time.monotonic()
    answer, failure = None, None
    try:
        _demand_usable(endpoint)
        door = doors.of(endpoint)
        door.raise_if_closed()
        answer = await _ask_or_retry(endpoint, ask, door)
    except UnreachableError as error:
        stage = NOT_ASKED if isinstance(error, NotAskedError) else error.stage
        failure = Failure(stage, error.reason, _sentence(error.advice, error.left_behind))
    except Exception as error:  # noqa: BLE001  # one server's surprise must not cost the others their answers
        failure = Failure(INTERNAL, fault_of_ours(error), *REPORT)
    return Result(endpoint=endpoint, answer=answer, failure=failure, seconds=time.monotonic() - began)


def _demand_usable(endpoint: Endpoint) -> None:
    if endpoint.fault is not None:
        advice = "mend the inventory; --user and --transport count more than what stands there"
        raise NotAskedError("resolve", endpoint.fault, advice)


async def _ask_or_retry(endpoint: Endpoint, ask: Callable[[Endpoint, Gate], Awaitable[T]], door: Door) -> T:
    """The answer, asked for once more where what went wrong may have passed and nothing was judged or begun."""
    try:
        return await ask(endpoint, door.turn)
    except UnreachableError as error:
        if not error.is_passing:
            raise
    await asyncio.sleep(RETRY_SECONDS)
    return await ask(endpoint, door.turn)


def _sentence(advice: str, left_behind: str | None) -> str:
    text = f"{advice}; {left_behind}" if left_behind else advice
    end = "" if text.endswith((".", "?")) else "."
    return text[:1].upper() + text[1:] + end


async def _stop(workers: Sequence[asyncio.Task[None]]) -> None:
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers, timeout=FAREWELL_SECONDS)


def interrupted(endpoint: Endpoint, begun: Collection[Endpoint]) -> Result[T]:
    """The outcome of a server that the end of the sweep left without one: under way, or its turn had not come."""
    again = "Run it again; with --to and --resume it goes on here."
    failure = Failure(NOT_ASKED, "the sweep was interrupted", again)
    if endpoint in begun:
        left = "Its remote shell may remain until Windows ends it."
        failure = Failure("answer", "the sweep was interrupted before it had answered", f"{again} {left}")
    return Result(endpoint=endpoint, failure=failure)


# -- credentials ---------------------------------------------------------------------------------------------------


class Doors:
    """One door for each secret of the sweep: an account's password, or what needs none (a ticket, a certificate)."""

    def __init__(self, begun: set[Endpoint] | None = None, *, continue_on_denied: bool = False) -> None:
        self._begun = set() if begun is None else begun
        self._continue_on_denied = continue_on_denied
        self._doors: dict[str | None, Door] = {}

    def of(self, endpoint: Endpoint) -> Door:
        """The door that this server's credentials go through."""
        return self._doors.setdefault(secret_of(endpoint), Door(self._continue_on_denied, self._begun))


class _Place(NamedTuple):
    """One who waits, or is judged; `domain` as in `Gate`."""

    domain: str
    given: asyncio.Future[None]


class Door:
    """Lets a password out to a few servers at a time: to one until a server has accepted it, to more as more have.

    A wrong password sent to a thousand servers is a locked account. So the first refusal closes the door where nobody
    has accepted it yet, else leads back to one by one, and the third closes it. Refusals and logons under way are at
    no time more than eight together, three where fewer than five servers have accepted. An answer that is no verdict
    about the password counts for nothing. Who asks on in spite of refusals has, after eight of them, nothing left to
    spare: eight at a time.

    Where the account's own domain has proved the password (`MEMBERS`), its members wait for nobody and are not counted.
    One that refuses it all the same asked a controller that knows another password: for the rest of the sweep the
    domain has proved nothing, and those of its members that are under way are counted.
    """

    def __init__(self, continue_on_denied: bool, begun: set[Endpoint] | None = None) -> None:
        self._begun = set() if begun is None else begun
        self._continue_on_denied = continue_on_denied
        self._was_accepted = False
        self._accepted_by: set[str] = set()
        """The servers since the latest refusal."""
        self._refusals = 0
        self._under_way = 0
        self._uncounted: set[_Place] = set()
        self._waiting: deque[_Place] = deque()
        self._members: dict[str, set[str]] = {}
        """The servers of a domain that have accepted."""
        self._proved: set[str] = set()
        self._in_doubt: set[str] = set()
        self._closed: NotAskedError | None = None

    def raise_if_closed(self) -> None:
        """Raise NotAskedError where the credentials go to no further server."""
        if self._closed is not None:
            raise NotAskedError(self._closed.stage, self._closed.reason, self._closed.advice)

    @contextlib.asynccontextmanager
    async def turn(self, endpoint: Endpoint, domain: str = "") -> AsyncIterator[Proof]:
        """A server's turn to judge the credentials."""
        place = await self._place(domain)
        try:
            self.raise_if_closed()
            self._begun.add(endpoint)
            yield partial(self._note_proof, domain)
            self._was_accepted = True
            self._accepted_by.add(fold(endpoint.host))
            self._members.setdefault(domain, set()).add(fold(endpoint.host))
        except RefusedError as error:
            self._count_refusal(endpoint, domain, error)
            raise
        finally:
            self._leave(place)

    async def _place(self, domain: str) -> _Place:
        place = _Place(domain, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        self._admit()
        try:
            await place.given
        except asyncio.CancelledError:
            if not place.given.cancelled():  # it was given meanwhile
                self._leave(place)
            raise
        return place

    def _leave(self, place: _Place) -> None:
        self._under_way -= 1
        self._uncounted.discard(place)
        self._admit()

    def _admit(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if place.given.done():
                continue
            is_proved = self._is_proved(place.domain)
            counted = self._under_way - len(self._uncounted)
            if not (is_proved or self._closed is not None or counted < self._most_at_once):
                self._waiting.append(place)
                continue
            self._under_way += 1
            if is_proved:
                self._uncounted.add(place)
            place.given.set_result(None)

    def _note_proof(self, domain: str) -> None:
        if domain:
            self._proved.add(domain)
            self._admit()

    def _is_proved(self, domain: str) -> bool:
        if domain not in self._proved or domain in self._in_doubt:
            return False
        return len(self._members.get(domain, ())) >= MEMBERS

    @property
    def _most_at_once(self) -> int:
        most = max(at_once for accepted, at_once in AT_ONCE if accepted <= len(self._accepted_by))
        if not self._continue_on_denied:
            return max(1, most - self._refusals)
        return most if self._refusals < _MOST_OF_ALL else _MOST_OF_ALL

    def _count_refusal(self, endpoint: Endpoint, domain: str, error: RefusedError) -> None:
        self._refusals += 1
        self._accepted_by.clear()
        self._in_doubt.add(domain)
        self._uncounted = {place for place in self._uncounted if place.domain != domain}
        limit = MOST_REFUSALS if self._was_accepted else 1
        if self._continue_on_denied or self._refusals < limit:
            return
        where = f"at {self._refusals} servers, last {endpoint.name}," if limit > 1 else f"at {endpoint.name}"
        reason = f"the sweep was stopped, so that no account is locked out: the logon {where} failed: {error.reason}"
        self._closed = NotAskedError("logon", reason, f"{error.advice}; --continue-on-denied asks on in a mixed farm")
