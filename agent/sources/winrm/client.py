"""Ask one server over WinRM, on asyncio: run a script in a remote shell, take what it prints, leave no shell behind."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from agent.sources.endpoint import Endpoint
from agent.sources.winrm.errors import InterruptedAskError, RefusedError, Stage, UnreachableError, nonsense_error
from agent.sources.winrm.logon import Logon
from agent.sources.winrm.messages import POLL_SECONDS, Question, ask
from agent.sources.winrm.session import Gate, Limits, Session
from agent.sources.winrm.shell import RemoteShell
from agent.sources.winrm.tls import Tls, tls_context

__all__ = [
    "MAX_OUTPUT",
    "POLL_SECONDS",
    "Answer",
    "Gate",
    "InterruptedAskError",
    "Limits",
    "Logon",
    "RefusedError",
    "Tls",
    "UnreachableError",
    "run_script",
    "tls_context",
]

_T = TypeVar("_T")

COMMAND = 'powershell.exe -NoProfile -NonInteractive -Command "$input | Out-String | Invoke-Expression"'
"""The script comes over stdin, as it is: a command line holds 8,191 characters, and encoded ones look like malware."""
UTF_8 = 65001
MAX_OUTPUT = 96 * 1024 * 1024
"""Bytes of all the output of one server: a document of 64 MB, framed."""
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


Taking = Callable[[bytes, bytes], Awaitable[None]]
"""Has stdout and stderr as soon as they are whole, while the server is still removing the remote shell."""


async def leave_it(_stdout: bytes, _stderr: bytes) -> None:
    """For who takes the answer when all is over."""


async def run_script(
    endpoint: Endpoint,
    logon: Logon,
    script: bytes,
    *,
    tls: Tls,
    limits: Limits,
    gate: Gate,
    meanwhile: Taking = leave_it,
) -> Answer:
    """Run a PowerShell script on one server and give its output, to `meanwhile` first; what that raises comes out.

    `logon` is what this server is asked with: the caller has looked at `endpoint.user`. `limits` are in seconds; all
    is over after `whole` and `farewell`. Raises UnreachableError, RefusedError where the password was judged, and
    InterruptedAskError (not CancelledError) where the task was cancelled before all output was there; whatever else
    comes out is a bug. In every case the remote shell is removed, or named.
    """
    shell = _CommandShell(endpoint, logon, tls, limits, gate)
    output, left_behind = await shell.used(shell.run(script), lambda output: meanwhile(*output[:2]))
    return Answer(*output, left_behind)


class _CommandShell(RemoteShell):
    """A cmd.exe that starts PowerShell."""

    def __init__(self, endpoint: Endpoint, logon: Logon, tls: Tls, limits: Limits, gate: Gate) -> None:
        super().__init__(endpoint, logon, tls, limits, gate)
        self.id = str(uuid.uuid4()).upper()

    async def run(self, script: bytes) -> tuple[bytes, bytes, int]:
        """Stdout, stderr and the exit code."""
        limit = self.limits.shell
        idle = f"PT{max(MIN_IDLE_SECONDS, math.ceil(self.limits.whole))}S"
        opened = await self._ask(
            "shell", lambda say: say.open_shell(noprofile=True, codepage=UTF_8, idle_timeout=idle), limit
        )
        self.id = opened or self.id
        command = await self._ask(
            "script", lambda say: say.run_command(self.id, COMMAND, console_mode_stdin=False), limit
        )
        await self._ask("script", lambda say: say.send_command_input(self.id, command, script, end=True), limit)
        return await self._output(command)

    async def _output(self, command: str) -> tuple[bytes, bytes, int]:
        loop = asyncio.get_running_loop()
        out, err, size = list[bytes](), list[bytes](), 0
        while True:
            stage: Stage = "answer" if size else "script"
            began = loop.time()
            got = await self._ask(stage, lambda say: say.output(self.id, command))
            if got is None:
                pause = max(0.0, began + MIN_POLL_SECONDS - loop.time())
                await asyncio.sleep(min(pause, self.session.seconds_left))
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
        return await ask(self.session, self.gate, stage, self.id, question, seconds)

    async def delete(self, session: Session, gate: Gate) -> None:
        await ask(session, gate, "answer", self.id, lambda say: say.delete(self.id))
