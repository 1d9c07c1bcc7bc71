"""Ask one server over WinRM, on asyncio: run a script in a remote shell, take what it prints, leave no shell behind."""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple, TypeVar

from agent.sources.endpoint import Endpoint
from agent.sources.winrm_errors import RefusedError, Stage, UnreachableError, nonsense_error
from agent.sources.winrm_logon import Logon
from agent.sources.winrm_messages import POLL_SECONDS, Question, asked
from agent.sources.winrm_session import Gate, Limits, Session
from agent.sources.winrm_tls import tls_context

__all__ = [
    "MAX_OUTPUT",
    "POLL_SECONDS",
    "Answer",
    "Gate",
    "Limits",
    "Logon",
    "RefusedError",
    "UnreachableError",
    "run_script",
    "tls_context",
]

_T = TypeVar("_T")

COMMAND = 'powershell.exe -NoProfile -NonInteractive -Command "$input | Out-String | Invoke-Expression"'
"""The script comes over stdin, as it is: a command line holds 8,191 characters, and encoded ones look like malware."""
UTF_8 = 65001
MAX_OUTPUT = 256 * 1024 * 1024
"""Bytes of all the output of one server."""
MIN_POLL_SECONDS = 1.0
"""A server that ends a poll at once, without output, is not asked more often than this."""
MIN_IDLE_SECONDS = 60
"""Windows takes no shorter IdleTimeOut."""


class Answer(NamedTuple):
    """What the script printed, its exit code, and the remote shell that may still be there, with the reason."""

    stdout: bytes
    stderr: bytes
    exit_code: int
    left_behind: str | None


async def run_script(
    endpoint: Endpoint, logon: Logon, script: bytes, *, tls: ssl.SSLContext, limits: Limits, gate: Gate
) -> Answer:
    """Run a PowerShell script on one server and give its output.

    `logon` is what this server is asked with: the caller has looked at `endpoint.user`. `limits` are in seconds; all
    is over after `whole` and `farewell`. Raises UnreachableError, and RefusedError where the password was judged;
    whatever else comes out, besides CancelledError, is a bug. In every case the remote shell is removed, or named.
    """
    shell = _Shell(endpoint, logon, tls, limits, gate)
    try:
        output = await shell.run(script)
    except UnreachableError as error:
        error.left_behind = await shell.leave()
        raise
    except BaseException:
        await shell.leave()
        raise
    return Answer(*output, await shell.leave())


class _Shell:
    """A remote shell, from before it is asked for until it is gone.

    Its id is chosen here, so that it can be removed even when the answer to Create was lost.
    """

    def __init__(self, endpoint: Endpoint, logon: Logon, tls: ssl.SSLContext, limits: Limits, gate: Gate) -> None:
        self._endpoint, self._logon, self._tls, self._limits, self._gate = endpoint, logon, tls, limits, gate
        self._session = Session(endpoint, logon, tls, limits)
        self._id = str(uuid.uuid4()).upper()

    async def run(self, script: bytes) -> tuple[bytes, bytes, int]:
        limit = self._limits.shell
        idle = f"PT{max(MIN_IDLE_SECONDS, math.ceil(self._limits.whole))}S"
        opened = await self._ask(
            "shell", lambda say: say.open_shell(noprofile=True, codepage=UTF_8, idle_timeout=idle), limit
        )
        self._id = opened or self._id
        command = await self._ask(
            "script", lambda say: say.run_command(self._id, COMMAND, console_mode_stdin=False), limit
        )
        await self._ask("script", lambda say: say.send_command_input(self._id, command, script, end=True), limit)
        return await self._output(command)

    async def _output(self, command: str) -> tuple[bytes, bytes, int]:
        loop = asyncio.get_running_loop()
        out, err, size = list[bytes](), list[bytes](), 0
        while True:
            stage: Stage = "answer" if size else "script"
            began = loop.time()
            got = await self._ask(stage, lambda say: say.output(self._id, command))
            if got is None:
                pause = max(0.0, began + MIN_POLL_SECONDS - loop.time())
                await asyncio.sleep(min(pause, self._session.seconds_left))
                continue
            stdout, stderr, code, is_done = got
            size += len(stdout) + len(stderr)
            if size > MAX_OUTPUT:
                raise nonsense_error(stage, f"its output is larger than {MAX_OUTPUT} bytes")
            out.append(stdout)
            err.append(stderr)
            if is_done:
                return b"".join(out), b"".join(err), code

    async def _ask(self, stage: Stage, question: Question[_T], seconds: float | None = None) -> _T:
        return await asked(self._session, self._gate, stage, self._id, question, seconds)

    # .. the janitor ..

    async def leave(self) -> str | None:
        """Remove the shell; what may remain of it, in words, or None."""
        try:
            return await self._removed()
        finally:
            self._session.close()

    async def _removed(self) -> str | None:
        if not self._session.is_asked:
            return None
        if not self._session.is_clean and not self._may_log_on_again:
            return self._remains("the connection was lost before the server said whether it accepts the logon")
        try:
            async with asyncio.timeout(self._limits.farewell):
                await self._delete()
        except TimeoutError:
            return self._remains(f"no answer to its removal within {self._limits.farewell:g} s")
        except UnreachableError as error:
            return self._remains(str(error))
        return None

    @property
    def _may_log_on_again(self) -> bool:
        """Not with a password that nobody has accepted yet: it might be the wrong one once more."""
        return self._logon.was_accepted or self._endpoint.transport in ("kerberos", "certificate")

    def _remains(self, reason: str) -> str:
        return f"remote shell {self._id} may remain until Windows ends it as idle: {reason}"

    async def _delete(self) -> None:
        if self._session.is_clean:
            try:
                return await self._delete_over(self._session)
            except UnreachableError:
                if self._session.is_clean:  # it was said no, in due form
                    raise
        fresh = Session(self._endpoint, self._logon, self._tls, replace(self._limits, whole=self._limits.farewell))
        try:
            await self._delete_over(fresh)
        finally:
            fresh.close()
        return None

    async def _delete_over(self, session: Session) -> None:
        session.allow(self._limits.farewell)
        await asked(session, _open_gate, "answer", self._id, lambda say: say.delete(self._id))


@contextlib.asynccontextmanager
async def _open_gate(_: Endpoint) -> AsyncIterator[None]:
    yield
