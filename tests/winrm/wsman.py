"""One virtual server's WinRM service: its shells, what runs in them, and their quotas (MS-WSMV 3.1.4)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from . import envelope
from .envelope import COMMAND_SHELL, NAMESPACES, POWERSHELL, SHELL, FaultError, Request, response, text
from .processes import Process, WindowsServer

if TYPE_CHECKING:
    from .psrp import RunspacePool

STATE = f"{SHELL}/CommandState"
IDLE_SECONDS = 7200.0
_ENVELOPE_OVERHEAD = 2048


class Shell:
    """A remote shell; idle for too long, it ends by itself."""

    def __init__(self, shell_id: str, resource: str, user: str, idle: float) -> None:
        self.id, self.resource, self.user, self.idle = shell_id, resource, user, idle
        self.processes: dict[str, Process] = {}
        self.pool: RunspacePool | None = None
        self.asked = 0
        self.last = asyncio.get_running_loop().time()
        self.timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[Shell]:
        """A shell is not idle while it is asked something."""
        self.asked += 1
        try:
            yield self
        finally:
            self.asked -= 1
            self.last = asyncio.get_running_loop().time()

    def end(self) -> None:
        """End all that runs in it."""
        if self.timer:
            self.timer.cancel()
        for process in self.processes.values():
            process.kill()
        if self.pool:
            self.pool.kill()


class Service:
    """Answers the requests to one server."""

    def __init__(self, server: WindowsServer, count: Callable[[str], None]) -> None:
        self.server = server
        self.shells: dict[str, Shell] = {}
        self._count = count
        self._operations: dict[str, Callable[[Request, Shell], Awaitable[bytes]]] = {
            "Command": self._command,
            "Send": self._send,
            "Receive": self._receive,
            "Signal": self._signal,
            "Delete": self._delete,
        }

    async def answer(self, message: bytes, user: str, injected: FaultError | None = None) -> tuple[int, bytes]:
        """The HTTP status and the envelope that answer a message; `injected` is said instead of doing anything."""
        relates_to = ""
        try:
            request = envelope.parse(message)
            relates_to = request.message_id
            self._count(f"op.{request.action}")
            if injected:
                raise injected
            return 200, await self._done(request, user)
        except FaultError as error:
            self._count(f"fault.{error.code}")
            return 500, envelope.fault(error, relates_to, self.server.name)

    async def _done(self, request: Request, user: str) -> bytes:
        if request.action == "Create":
            return self._create(request, user)
        operation = self._operations.get(request.action)
        if operation is None:
            raise FaultError(
                envelope.ACTION_NOT_SUPPORTED, "The action is not supported by the service.", "a:ActionNotSupported"
            )
        with self._shell(request.shell_id).in_use() as shell:
            return await operation(request, shell)

    # .. shells ..

    def _shell(self, shell_id: str) -> Shell:
        if shell_id not in self.shells:
            raise FaultError(
                envelope.SHELL_NOT_FOUND, f"The shell {shell_id} was not found on the server.", "w:InvalidSelectors"
            )
        return self.shells[shell_id]

    def _create(self, request: Request, user: str) -> bytes:
        asked = request.body.find("rsp:Shell", NAMESPACES)
        if asked is None:
            raise FaultError(envelope.BAD_REQUEST, "The body holds no shell.", "w:SchemaValidationError")
        wanted = asked.get("ShellId") or str(uuid.uuid4())
        self._check(wanted.upper(), request.resource, user)
        idle = envelope.seconds(asked.findtext("rsp:IdleTimeOut", "", NAMESPACES) or f"PT{IDLE_SECONDS}S")
        shell = Shell(wanted.upper(), request.resource, user, idle)
        if request.resource.startswith(POWERSHELL):
            shell.pool = self._pool(request, asked.findtext("ps:creationXml", "", NAMESPACES))
        self.shells[shell.id] = shell
        self._count("shells")
        self._watch(shell)
        return response(request, _created(shell, self.server.name))

    def _check(self, shell_id: str, resource: str, user: str) -> None:
        if resource != COMMAND_SHELL and not resource.startswith(POWERSHELL):
            raise FaultError(envelope.BAD_REQUEST, f"There is no resource {resource}.", "a:DestinationUnreachable")
        if shell_id in self.shells:
            raise FaultError(183, "A shell with this identifier is there already.", "w:AlreadyExists")
        limit = self.server.options.max_shells
        if sum(shell.user == user for shell in self.shells.values()) >= limit:
            raise too_many_shells(limit)

    def _pool(self, request: Request, creation: str) -> RunspacePool:
        # psrpcore takes 100 ms to import.
        from .psrp import RunspacePool

        configuration = request.resource.removeprefix(POWERSHELL).partition("?")[0]
        return RunspacePool(self.server, configuration, base64.b64decode(creation))

    def _watch(self, shell: Shell) -> None:
        loop = asyncio.get_running_loop()
        left = shell.idle if shell.asked else shell.last + shell.idle - loop.time()
        if left <= 0:
            self._count("shells.idled_out")
            self._close(shell)
        else:
            shell.timer = loop.call_later(left, self._watch, shell)

    def _close(self, shell: Shell) -> None:
        shell.end()
        del self.shells[shell.id]

    def close(self) -> None:
        """End every shell."""
        for shell in list(self.shells.values()):
            self._close(shell)

    async def _delete(self, request: Request, shell: Shell) -> bytes:
        self._close(shell)
        return response(request, "")

    # .. what runs in them ..

    async def _command(self, request: Request, shell: Shell) -> bytes:
        asked = request.body.find("rsp:CommandLine", NAMESPACES)
        if asked is None:
            raise FaultError(envelope.BAD_REQUEST, "The body holds no command.", "w:SchemaValidationError")
        command_id = (asked.get("CommandId") or str(uuid.uuid4())).upper()
        arguments = [text(argument) for argument in asked.iterfind("rsp:Arguments", NAMESPACES)]
        if shell.pool:
            shell.pool.start(command_id, base64.b64decode("".join(arguments)))
        else:
            line = " ".join([asked.findtext("rsp:Command", "", NAMESPACES), *arguments])
            direct = request.options.get("WINRS_SKIP_CMD_SHELL", "").upper() == "TRUE"
            shell.processes[command_id] = Process.started(self.server, line, through_cmd=not direct)
        return response(
            request, f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"
        )

    async def _send(self, request: Request, shell: Shell) -> bytes:
        for stream in request.body.iterfind("rsp:Send/rsp:Stream", NAMESPACES):
            data = base64.b64decode(text(stream))
            command_id = stream.get("CommandId", "").upper()
            if shell.pool:
                shell.pool.feed(data, command_id)
            else:
                ended = stream.get("End", "").lower() in ("true", "1")
                _process(shell, command_id).read(data, ended=ended)
        return response(request, "<rsp:SendResponse/>")

    async def _signal(self, request: Request, shell: Shell) -> bytes:
        signal = request.body.find("rsp:Signal", NAMESPACES)
        process = shell.processes.pop((signal.get("CommandId") or "").upper() if signal is not None else "", None)
        if process:
            process.kill()
        return response(request, "<rsp:SignalResponse/>")

    async def _receive(self, request: Request, shell: Shell) -> bytes:
        wanted = request.body.find("rsp:Receive/rsp:DesiredStream", NAMESPACES)
        command_id = (wanted.get("CommandId") or "").upper() if wanted is not None else ""
        limit = min(request.maximum, self.server.options.max_envelope) - _ENVELOPE_OVERHEAD
        timeout = min(request.timeout, self.server.options.max_timeout)
        try:
            async with asyncio.timeout(timeout):
                if shell.pool:
                    pieces, done = await shell.pool.output(command_id, limit // 4 * 3)
                    return response(request, _received(command_id, pieces, 0 if done and command_id else None))
                process = _process(shell, command_id)
                room = min(limit // 4 * 3, self.server.behaviour.piece or limit)
                pieces, code = await process.output(room, self.server.behaviour.done_with_output)
        except TimeoutError:
            raise FaultError(
                envelope.TIMED_OUT,
                "The WS-Management service cannot complete the operation within the time specified.",
                "w:TimedOut",
            ) from None
        return response(request, _received(command_id, pieces, code))


def too_many_shells(limit: int) -> FaultError:
    """The quota MaxShellsPerUser."""
    return FaultError(
        envelope.TOO_MANY_SHELLS,
        "The WS-Management service cannot process the request."
        f" This user is allowed a maximum number of {limit} concurrent shells, which has been exceeded.",
        "w:QuotaLimit",
    )


def _process(shell: Shell, command_id: str) -> Process:
    if command_id not in shell.processes:
        raise FaultError(
            envelope.COMMAND_NOT_FOUND, f"There is no command {command_id} in this shell.", "w:InvalidParameter"
        )
    return shell.processes[command_id]


def _created(shell: Shell, host: str) -> str:
    resource = html.escape(shell.resource)
    streams = ("stdin pr", "stdout") if shell.pool else ("stdin", "stdout stderr")
    return (
        f"<x:ResourceCreated><a:Address>http://{host}/wsman</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{resource}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        f"</x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell.id}</rsp:ShellId>"
        f"<rsp:ResourceUri>{resource}</rsp:ResourceUri><rsp:Owner>{html.escape(shell.user)}</rsp:Owner>"
        f"<rsp:IdleTimeOut>PT{shell.idle:.3f}S</rsp:IdleTimeOut><rsp:InputStreams>{streams[0]}</rsp:InputStreams>"
        f"<rsp:OutputStreams>{streams[1]}</rsp:OutputStreams></rsp:Shell>"
    )


def _received(command_id: str, pieces: list[tuple[str, bytes]], code: int | None) -> str:
    of_command = f' CommandId="{command_id}"' if command_id else ""
    parts = [
        f'<rsp:Stream Name="{name}"{of_command}>{base64.b64encode(data).decode()}</rsp:Stream>' for name, data in pieces
    ]
    if code is not None:
        parts += [f'<rsp:Stream Name="{name}"{of_command} End="true"></rsp:Stream>' for name in ("stdout", "stderr")]
        ended = f"<rsp:ExitCode>{code}</rsp:ExitCode>"
        parts.append(f'<rsp:CommandState{of_command} State="{STATE}/Done">{ended}</rsp:CommandState>')
    elif command_id:
        parts.append(f'<rsp:CommandState{of_command} State="{STATE}/Running"/>')
    return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"
