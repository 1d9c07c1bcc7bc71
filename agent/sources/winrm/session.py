"""Questions and answers of WS-Management over one connection: logged on with the first question, then sealed.

Every stage has its own time limit, and all together one more.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from agent.sources.endpoint import Endpoint
from agent.sources.winrm.connection import Connection, Reply, addresses_of
from agent.sources.winrm.errors import Stage, UnreachableError, nonsense_error, status_error
from agent.sources.winrm.handshake import SOAP, Accepted, log_on
from agent.sources.winrm.logon import Logon, Turn, own_domain
from agent.sources.winrm.tls import Tls

Proof = Callable[[], None]


def _proved_already() -> None:
    """Once is enough."""


class Gate(Protocol):
    """Entered just before that goes out which a password is judged by, to the server or to a KDC; left without an
    exception when the server accepted the logon: it answered as WS-Management does. Left with RefusedError when it
    refused, with any other UnreachableError when nobody knows, as after a page of some other service. The time until it
    opens is not counted. Not entered where no password is judged: for a client certificate, and for tickets once a KDC
    has given the first.

    `domain` is the account's own, where the server says that it is a member of it. What the gate gives is called when
    the server answers under the keys of the logon: over NTLM they are made of the password, and who has only said yes
    to it has none.
    """

    def __call__(self, endpoint: Endpoint, domain: str = "", /) -> AbstractAsyncContextManager[Proof]: ...


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds for each stage of asking one server. `whole` bounds them all together, without the wait at the gate.

    `connect` bounds the name service and the connection each; `shell` each of the requests that open the shell, start
    the collector and send it. The collector itself, and reading its output, have what is left of `whole`.
    `farewell` comes on top, once, for removing the shell.
    """

    connect: float = 10.0
    tls: float = 10.0
    logon: float = 15.0
    shell: float = 20.0
    whole: float = 120.0
    farewell: float = 5.0


class Session:
    """One server being asked; `stage` says how far it has come."""

    def __init__(self, endpoint: Endpoint, logon: Logon, tls: Tls, limits: Limits) -> None:
        self.stage: Stage = "resolve"
        self.is_asked = False
        """Whether a question has gone out, which the server may act on even when no answer comes."""
        self._endpoint = endpoint
        self._logon = logon
        self._tls = tls
        self._limits = limits
        self._end = asyncio.get_running_loop().time() + limits.whole
        self._connection: Connection | None = None
        self._accepted: Accepted | None = None
        self._prove: Proof = _proved_already

    @property
    def is_accepted(self) -> bool:
        """Whether this server has accepted the logon."""
        return self._accepted is not None

    @property
    def is_clean(self) -> bool:
        """Whether another question may follow on this connection."""
        return self._connection is not None and self._connection.is_clean and self._accepted is not None

    @property
    def exchanges(self) -> int:
        """HTTP requests that were answered."""
        return self._connection.exchanges if self._connection else 0

    @property
    def seconds_left(self) -> float:
        """Until the end of all."""
        return max(0.0, self._end - asyncio.get_running_loop().time())

    def allow(self, seconds: float) -> None:
        """What comes now may take so long, whatever time there was before."""
        self._end = asyncio.get_running_loop().time() + seconds

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    async def ask(self, gate: Gate, stage: Stage, question: bytes, seconds: float | None) -> Reply:
        """Send a question and give its answer, unsealed; the first connects and logs on. Raises UnreachableError."""
        message_id = _id_in(_MESSAGE_ID, question)
        if self._accepted is None:
            await self._connect()
            reply = await self._log_on(gate, question, message_id)
            if reply is not None:
                self.stage = stage
                return reply
        self.stage = stage
        async with self._within(seconds):
            return self._checked(await self._exchange(question), message_id)

    # .. stages ..

    async def _connect(self) -> None:
        context = self._tls.of(self._endpoint) if self._endpoint.tls else None
        async with self._within(self._limits.connect):
            addresses = await addresses_of(self._endpoint)
        self.stage = "connect"
        async with self._within(self._limits.connect):
            self._connection = await Connection.connect(self._endpoint, addresses)
        if context:
            self.stage = "tls"
            async with self._within(self._limits.tls):
                await self._connection.use_tls(context)
        self.stage = "logon"

    async def _log_on(self, gate: Gate, question: bytes, message_id: bytes) -> Reply | None:
        assert self._connection  # noqa: S101 - made by `_connect`
        async with contextlib.AsyncExitStack() as judging:
            try:
                async with self._within(self._limits.logon) as clock:
                    riding, turn = self._riding(question, clock), self._turn(gate, judging, clock)
                    accepted = await log_on(self._connection, self._endpoint, self._logon, riding, turn)
            finally:
                self.is_asked = self.is_asked and self._connection.status not in _NOTHING_DONE
            reply = self._checked(accepted.reply, message_id) if accepted.reply else None
            self._accepted = accepted
            self._logon.note_accepted()
        return reply

    def _turn(self, gate: Gate, judging: contextlib.AsyncExitStack, clock: _Clock) -> Turn:
        is_ours = False

        async def turn(domain: str = "", /) -> None:
            nonlocal is_ours
            if not is_ours:
                is_ours = True
                loop = asyncio.get_running_loop()
                began = loop.time()
                own = own_domain(self._logon.user, domain)
                with clock.stopped():
                    self._prove = await judging.enter_async_context(gate(self._endpoint, own))
                self._end += loop.time() - began

        return turn

    def _riding(self, question: bytes, clock: _Clock) -> Callable[[], bytes]:
        def ride() -> bytes:
            self.stage, self.is_asked = "shell", True
            clock.allow(self._limits.shell)
            return question

        return ride

    async def _exchange(self, question: bytes) -> Reply:
        assert self._connection  # noqa: S101 - made by `_connect`
        assert self._accepted  # noqa: S101 - made by `_log_on`
        seal, headers = self._accepted.seal, self._accepted.headers
        kind, body = seal.close_up(self.stage, question) if seal else (SOAP, question)
        self.is_asked = True
        return await self._connection.post(self.stage, [*headers, ("Content-Type", kind)], body)

    def _checked(self, reply: Reply, message_id: bytes) -> Reply:
        """The answer in clear: a message of WS-Management under 200, a SOAP fault under any other status.

        Where it is not the answer to this question, the connection is out of step.
        """
        try:
            reply = self._believed(reply, message_id)
        except UnreachableError:
            self.close()
            raise
        if reply.status != 200 and not reply.is_fault:
            raise status_error(self.stage, reply.status)
        return reply

    def _believed(self, reply: Reply, message_id: bytes) -> Reply:
        seal = self._accepted.seal if self._accepted else None
        if seal and reply.body:
            reply = reply._replace(body=seal.open_up(self.stage, reply))
            self._prove()
            self._prove = _proved_already
        related = _id_in(_RELATES_TO, reply.body)
        if _DOCTYPE in reply.body:
            raise nonsense_error(self.stage, "it has a document type, which SOAP forbids")
        if not related and reply.status == 200:
            raise nonsense_error(self.stage, "it is no message of WS-Management" if reply.body else "it is empty")
        if related and related != message_id:
            raise nonsense_error(self.stage, "it answers another request (RelatesTo)")
        return reply

    @contextlib.asynccontextmanager
    async def _within(self, seconds: float | None) -> AsyncIterator[_Clock]:
        clock = _Clock(self._end, self._limits.whole)
        try:
            async with clock.running:
                clock.allow(seconds)
                yield clock
        except TimeoutError:
            raise _late_error(self.stage, clock.allowed) from None


class _Clock:
    """The time that a stage has: so many seconds, and never longer than the end of all."""

    def __init__(self, end: float, whole: float) -> None:
        self.running = asyncio.timeout(None)
        self.allowed = self._whole = whole
        self._end = end

    def allow(self, seconds: float | None) -> None:
        """From now on so many seconds; None: until the end of all."""
        end = math.inf if seconds is None else asyncio.get_running_loop().time() + seconds
        self.allowed = self._whole if seconds is None or end >= self._end else seconds
        self.running.reschedule(min(end, self._end))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """What passes within does not count."""
        loop = asyncio.get_running_loop()
        began, end = loop.time(), self.running.when()
        self.running.reschedule(None)
        yield
        waited = loop.time() - began
        self._end += waited
        self.running.reschedule(end + waited if end is not None else None)


_NOTHING_DONE = frozenset({400, 401, 403, 404, 405, 407, 413, 503})
"""HTTP answers that come from in front of WS-Management."""
_DOCTYPE = b"<!DOCTYPE"
_MESSAGE_ID = re.compile(rb"<(?:\w+:)?MessageID[^>]*>\s*(?:uuid:)?([^<\s]{1,80})", re.IGNORECASE)
_RELATES_TO = re.compile(rb"<(?:\w+:)?RelatesTo[^>]*>\s*(?:uuid:)?([^<\s]{1,80})", re.IGNORECASE)


def _id_in(pattern: re.Pattern[bytes], message: bytes) -> bytes:
    found = pattern.search(message)
    return found[1].lower() if found else b""


_LATE: dict[Stage, tuple[str, str]] = {
    "resolve": ("the name service did not answer within {0:g} s", "check DNS from this machine"),
    "connect": (
        "no answer to the connection request within {0:g} s",
        "is it up, is WinRM set up there (`winrm quickconfig`), does a firewall let its port through?",
    ),
    "tls": ("TLS was not set up within {0:g} s", "is that the port of its HTTPS listener?"),
    "logon": (
        "the logon was not over within {0:g} s",
        "is that a WinRM service, and does it reach a domain controller?",
    ),
    "shell": ("no remote shell within {0:g} s", "it may be overloaded: try again later, or allow more time"),
    "script": ("the collector gave nothing within {0:g} s", "allow more time (--timeout), or run collect.ps1 there"),
    "answer": ("the answer was not complete within {0:g} s", "allow more time (--timeout), or run collect.ps1 there"),
}


def _late_error(stage: Stage, seconds: float) -> UnreachableError:
    reason, advice = _LATE[stage]
    return UnreachableError(stage, reason.format(seconds), advice)
