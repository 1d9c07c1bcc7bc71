"""What a command line does on a virtual server: PowerShell runs the collector, anything else is not recognized."""

from __future__ import annotations

import asyncio
import base64
import binascii
import collections
import contextlib
import os
import re
from typing import NamedTuple, Protocol

from .ansible import helper_output
from .envelope import FaultError
from .settings import Behaviour, Options

COMMAND_LINE_LIMIT = 8191
"""Characters that cmd.exe takes."""

_POWERSHELL = re.compile(r'\s*"?(?:[a-z]:\\[^"\s]*\\)?powershell(?:\.exe)?"?(?:\s+(.*))?', re.IGNORECASE | re.DOTALL)
_ENCODED = re.compile(r"-e(?:c|nc|ncodedcommand)?\s+([A-Za-z0-9+/=]+)\s*$", re.IGNORECASE)
_COMMAND = re.compile(r"(?:^|\s)-c(?:ommand)?\s+(.*)$", re.IGNORECASE | re.DOTALL)
_PROGRESS = (
    '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj S="progress"'
    ' RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T><T>System.Object</T></TN><MS>'
    '<I64 N="SourceId">1</I64><PR N="Record"><AV>Preparing modules for first use.</AV><AI>0</AI><Nil /><PI>-1</PI>'
    "<PC>-1</PC><T>Completed</T><SR>-1</SR><SD> </SD></PR></MS></Obj></Objs>"
)


class WindowsServer(Protocol):
    """What is asked of the server that the process runs on."""

    name: str
    options: Options
    behaviour: Behaviour
    scripts: list[bytes]

    def printed(self) -> bytes:
        """What the collector prints."""


class Call(NamedTuple):
    """A call of PowerShell: the text of its command, and whether it reads its standard input first."""

    text: str
    reads_input: bool


def powershell(line: str) -> Call | None:
    """The command line taken apart, or None where it does not start PowerShell."""
    found = _POWERSHELL.fullmatch(line)
    if not found:
        return None
    arguments = found[1] or ""
    encoded = _ENCODED.search(arguments)
    if encoded:
        try:
            text = base64.b64decode(encoded[1], validate=True).decode("utf-16-le")
        except (binascii.Error, UnicodeDecodeError):
            return None
    else:
        command = _COMMAND.search(arguments)
        text = (command[1] if command else arguments).strip().removeprefix('"').removesuffix('"')
    return Call(text, text == "-" or "$input" in text or "[Console]::In" in text)


class Process:
    """A started command."""

    def __init__(self, server: WindowsServer) -> None:
        self.server = server
        self._input = bytearray()
        self._input_ended = asyncio.Event()
        self._output: collections.deque[tuple[str, bytes]] = collections.deque()
        self._changed = asyncio.Event()
        self._code: int | None = None
        self._killed = False
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def started(cls, server: WindowsServer, line: str, *, through_cmd: bool) -> Process:
        """Start it; a line through cmd.exe must not be longer than that takes."""
        process = cls(server)
        limit = COMMAND_LINE_LIMIT if through_cmd else 32_767
        process._task = asyncio.create_task(process._run(line, limit))
        return process

    def kill(self) -> None:
        """End it; who waits for its output is told so."""
        self._killed = True
        self._changed.set()
        if self._task:
            self._task.cancel()

    def read(self, data: bytes, *, ended: bool) -> None:
        """Give it something on its standard input."""
        self._input += data
        if ended:
            self._input_ended.set()

    async def output(self, room: int, done_with_output: bool) -> tuple[list[tuple[str, bytes]], int | None]:
        """Wait for output or for the end: pieces of at most `room` bytes together, and the exit code at the end."""
        while not self._output and self._code is None:
            if self._killed:
                raise FaultError(995, "The I/O operation has been aborted.")
            self._changed.clear()
            await self._changed.wait()
        pieces = []
        while self._output and room > 0:
            stream, data = self._output.popleft()
            pieces.append((stream, data[:room]))
            if data[room:]:
                self._output.appendleft((stream, data[room:]))
            room -= len(data)
        finished = not self._output and (done_with_output or not pieces)
        return pieces, self._code if finished else None

    def _write(self, stream: str, data: bytes) -> None:
        if data:
            self._output.append((stream, data))
            self._changed.set()

    def _end(self, code: int) -> None:
        self._code = code
        self._changed.set()

    async def _run(self, line: str, limit: int) -> None:
        call = powershell(line)
        if len(line) > limit:
            self._write("stderr", b"The command line is too long.\r\n")
            return self._end(1)
        if call is None:
            self._write("stderr", b"It is not recognized as an internal or external command,\r\nor batch file.\r\n")
            return self._end(1)
        await asyncio.sleep(self.server.behaviour.start)
        if call.reads_input:
            await self._input_ended.wait()
        self.server.scripts.append(bytes(self._input) if call.reads_input else call.text.encode())
        if self.server.options.pwsh:
            return await self._run_for_real(call)
        await asyncio.sleep(self.server.behaviour.runs)
        return self._play()

    def _play(self) -> None:
        behaviour, helped = self.server.behaviour, helper_output(bytes(self._input))
        self._write("stdout", self.server.printed() if helped is None else helped)
        self._write("stderr", _PROGRESS.encode() if behaviour.clixml else b"")
        self._write("stderr", behaviour.errors.encode())
        self._end(behaviour.exit_code)

    async def _run_for_real(self, call: Call) -> None:
        """Run it in the PowerShell of this machine; the prelude is dot-sourced first and may play Windows."""
        options = self.server.options
        text = f". '{options.prelude}'; {call.text}" if options.prelude else call.text
        shown = {"COMPUTERNAME": self.server.name.partition(".")[0].upper(), "IIS_SPN_SERVER": self.server.name}
        running = await asyncio.create_subprocess_exec(
            *options.pwsh, "-NoProfile", "-NonInteractive", "-Command", text,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **shown},
        )  # fmt: skip
        try:
            out, errors = await running.communicate(bytes(self._input))
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            raise
        self._write("stdout", out)
        self._write("stderr", errors)
        self._end(running.returncode or 0)
