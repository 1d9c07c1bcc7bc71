"""A remote shell, from before it is asked for until it is gone: whatever goes wrong, none stays behind unnamed."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from agent.sources.endpoint import Endpoint
from agent.sources.winrm.errors import InterruptedAskError, UnreachableError
from agent.sources.winrm.logon import Logon
from agent.sources.winrm.session import Gate, Limits, Proof, Session
from agent.sources.winrm.tls import Tls

_T = TypeVar("_T")


class RemoteShell(ABC):
    """One server's shell, or runspace pool. `id` is chosen here, so that it can be removed even when the answer to
    Create was lost; every shell also has an IdleTimeOut, after which Windows removes it.
    """

    id: str

    def __init__(self, endpoint: Endpoint, logon: Logon, tls: Tls, limits: Limits, gate: Gate) -> None:
        self.endpoint, self.logon, self.tls, self.limits, self.gate = endpoint, logon, tls, limits, gate
        self.session = Session(endpoint, logon, tls, limits)

    @abstractmethod
    async def delete(self, session: Session, gate: Gate) -> None:
        """Ask for its removal over this session; a shell that is not there is removed. Raises UnreachableError."""

    async def used(self, work: Awaitable[_T], meanwhile: Callable[[_T], Awaitable[None]]) -> tuple[_T, str | None]:
        """What the work gives, and what may remain of the shell, in words. Raises what the work raises.

        `meanwhile` has that, while the server is removing the shell; what it raises is raised afterwards.

        Cancelled, it raises InterruptedAskError instead of CancelledError, so that what may remain is told; where the
        work is done already, it gives the result. `asyncio.Task.cancelling` still counts the cancellation, but an
        `asyncio.timeout` around this raises no TimeoutError.
        """
        try:
            result = await work
        except asyncio.CancelledError:
            failure: UnreachableError = InterruptedAskError(self.session.stage)
        except UnreachableError as error:
            failure = error
        except BaseException:
            await self._farewell()
            raise
        else:
            return result, await self._farewell(meanwhile(result))
        failure.left_behind = await self._farewell()
        raise failure

    async def _farewell(self, meanwhile: Awaitable[None] | None = None) -> str | None:
        """To its end even when cancelled meanwhile: it takes no longer than `Limits.farewell`."""
        leaving = asyncio.create_task(self._leave())
        try:
            if meanwhile is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)  # the removal is asked for first
                await meanwhile
        except BaseException as error:
            left_behind = await _ended(leaving)
            if isinstance(error, UnreachableError):
                error.left_behind = left_behind
            raise
        return await _ended(leaving)

    async def _leave(self) -> str | None:
        try:
            return await self._removed()
        finally:
            self.session.close()

    async def _removed(self) -> str | None:
        if not self.session.is_asked:
            return None
        if not self.session.is_clean and not self._may_log_on_again:
            return self._remains("the connection ended before the server said whether it accepts the logon")
        try:
            async with asyncio.timeout(self.limits.farewell):
                await self._deleted()
        except TimeoutError:
            return self._remains(f"no answer to its removal within {self.limits.farewell:g} s")
        except UnreachableError as error:
            return self._remains(str(error))
        return None

    @property
    def _may_log_on_again(self) -> bool:
        """Not with a password that nobody has accepted yet: it might be the wrong one once more."""
        return self.logon.was_accepted or self.endpoint.transport in ("kerberos", "certificate")

    def _remains(self, reason: str) -> str:
        return f"remote shell {self.id} may remain until Windows ends it as idle: {reason}"

    async def _deleted(self) -> None:
        """Over the same connection where no exchange on it is half done, else over a new one."""
        if self.session.is_clean:
            try:
                self.session.allow(self.limits.farewell)
                return await self.delete(self.session, open_gate)
            except UnreachableError:
                if self.session.is_clean:  # it was said no, in due form
                    raise
        fresh = Session(self.endpoint, self.logon, self.tls, replace(self.limits, whole=self.limits.farewell))
        try:
            return await self.delete(fresh, open_gate if self.session.is_accepted else self.gate)
        finally:
            fresh.close()


async def _ended(leaving: asyncio.Task[str | None]) -> str | None:
    while not leaving.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([leaving])
    return leaving.result()


@contextlib.asynccontextmanager
async def open_gate(_endpoint: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
    """For a logon that this server has judged before."""
    yield lambda: None
