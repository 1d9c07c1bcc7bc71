"""PowerShell remoting (MS-PSRP) behind a shell: the server's side of pypsrp's runspace pools, played by psrpcore.

A configuration other than `microsoft.powershell` is a JEA endpoint: it knows one command and takes no scripts.
"""

from __future__ import annotations

import asyncio
import collections
import uuid
from typing import Any

import psrpcore
from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, NETException, PSInvocationState

from .processes import WindowsServer

JEA_COMMAND = "Get-IisSpnSnapshot"
DEFAULT_CONFIGURATION = "microsoft.powershell"
_FRAGMENT = 32_768


class _RefusalError(Exception):
    """A pipeline that PowerShell does not start: the message and the FullyQualifiedErrorId."""


class _Channel:
    """What waits to be received for a pipeline, or for the pool itself."""

    def __init__(self) -> None:
        self.data: collections.deque[bytes] = collections.deque()
        self.changed = asyncio.Event()
        self.done = False


class RunspacePool:
    """One shell that speaks PSRP."""

    def __init__(self, server: WindowsServer, configuration: str, creation: bytes) -> None:
        self._server = server
        self._restricted = configuration.lower() != DEFAULT_CONFIGURATION
        self._pool = psrpcore.ServerRunspacePool()
        self._channels: dict[str, _Channel] = collections.defaultdict(_Channel)
        self._tasks: list[asyncio.Task[None]] = []
        self.feed(creation, "")

    def kill(self) -> None:
        """End every pipeline."""
        for task in self._tasks:
            task.cancel()

    def start(self, command_id: str, fragments: bytes) -> None:
        """A new pipeline, which the fragments describe."""
        psrpcore.ServerPipeline(self._pool, uuid.UUID(command_id))
        self.feed(fragments, command_id)

    def feed(self, data: bytes, command_id: str) -> None:
        """Fragments for a pipeline, or for the pool where there is no identifier."""
        pipeline = uuid.UUID(command_id) if command_id else None
        self._pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, pipeline))
        while (event := self._pool.next_event()) is not None:
            if isinstance(event, psrpcore.CreatePipelineEvent):
                self._tasks.append(asyncio.create_task(self._run(event)))
        self._flush()

    async def output(self, command_id: str, room: int) -> tuple[list[tuple[str, bytes]], bool]:
        """Wait for output: pieces of at most `room` bytes together, and whether the pipeline has ended with them."""
        channel = self._channels[command_id]
        while not channel.data and not channel.done:
            channel.changed.clear()
            await channel.changed.wait()
        pieces = [channel.data.popleft()] if channel.data else []
        size = sum(map(len, pieces))
        while channel.data and size + len(channel.data[0]) <= room:
            size += len(channel.data[0])
            pieces.append(channel.data.popleft())
        return [("stdout", piece) for piece in pieces], channel.done and not channel.data

    def _flush(self) -> None:
        while (payload := self._pool.data_to_send(_FRAGMENT)) is not None:
            channel = self._channels[str(payload.pipeline_id).upper() if payload.pipeline_id else ""]
            channel.data.append(payload.data)
            channel.changed.set()

    async def _run(self, event: psrpcore.CreatePipelineEvent) -> None:
        pipeline = self._pool.pipeline_table[event.pipeline_id]
        pipeline.start()
        try:
            await self._write(pipeline, event.pipeline)
        except _RefusalError as refusal:
            _fail(pipeline, *refusal.args)
        finally:
            channel = self._channels[str(event.pipeline_id).upper()]
            channel.done = True
            self._flush()
            channel.changed.set()

    async def _write(self, pipeline: Any, asked: Any) -> None:
        self._admit(asked.commands)
        server, behaviour = self._server, self._server.behaviour
        await asyncio.sleep(behaviour.start + behaviour.runs)
        server.scripts.append(asked.commands[0].command_text.encode())
        for line in server.printed().decode("ascii").splitlines():
            pipeline.write_output(line)
        if behaviour.errors:
            pipeline.write_error(NETException(Message=behaviour.errors))
        pipeline.complete()

    def _admit(self, commands: Any) -> None:
        """Raise _RefusalError for what a JEA endpoint (RestrictedRemoteServer, NoLanguage) does not run."""
        if not self._restricted:
            return
        if any(command.is_script for command in commands):
            raise _RefusalError(
                "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
                "ScriptsNotAllowed",
            )
        for command in commands:
            if command.command_text.lower() not in (JEA_COMMAND.lower(), "out-default"):
                raise _RefusalError(
                    f"The term '{command.command_text}' is not recognized as the name of a cmdlet, function,"
                    " script file, or operable program.",
                    "CommandNotFoundException",
                )


def _fail(pipeline: Any, message: str, identifier: str) -> None:
    error = ErrorRecord(
        Exception=NETException(Message=message),
        CategoryInfo=ErrorCategoryInfo(Category=ErrorCategory.ObjectNotFound),
        FullyQualifiedErrorId=identifier,
    )
    # psrpcore has a public method for every other end of a pipeline.
    pipeline._change_state(PSInvocationState.Failed, error)
