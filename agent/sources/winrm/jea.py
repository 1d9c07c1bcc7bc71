"""Ask one server's JEA endpoint: one command of a PowerShell session configuration, for accounts that are no
administrators (docs/jea.md). To be imported only where the extra `jea` is installed.

PowerShell remoting (MS-PSRP) is pypsrp's, which was written to block: it runs in a greenlet, and each message it sends
becomes a question of our `Session`. So logon, encryption, TLS and time limits are the same as everywhere, and nothing
of pypsrp's own transport is used.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable
from typing import NoReturn, TypeVar

import greenlet
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import InvalidPSRPOperation, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import SelectorSet, WSMan

from agent.names import printable
from agent.sources.endpoint import Endpoint
from agent.sources.winrm.client import MAX_OUTPUT, MIN_POLL_SECONDS, Answer, Taking, leave_it
from agent.sources.winrm.errors import (
    SHELL_NOT_FOUND,
    Stage,
    UnreachableError,
    fault_error,
    nonsense_error,
    short,
    status_error,
)
from agent.sources.winrm.logon import Logon
from agent.sources.winrm.messages import POLL_SECONDS
from agent.sources.winrm.session import Gate, Limits, Session
from agent.sources.winrm.shell import RemoteShell
from agent.sources.winrm.tls import Tls

_T = TypeVar("_T")

COMMAND = "Get-IisSpnSnapshot"
"""The function that the endpoint offers; its body is collect.ps1."""
IDLE_SECONDS = 180
"""Windows ends a session nobody asks for so long; it takes no less than 60, and a poll comes every POLL_SECONDS."""


async def run_command(
    endpoint: Endpoint,
    logon: Logon,
    configuration: str,
    *,
    tls: Tls,
    limits: Limits,
    gate: Gate,
    meanwhile: Taking = leave_it,
) -> Answer:
    """Run `Get-IisSpnSnapshot` in a session configuration of one server and give what it prints, lines ended by LF.

    `stderr` holds the messages of PowerShell's error records, `exit_code` is 1 where there are any. Limits, errors and
    what becomes of the remote shell are those of `winrm.run_script`.
    """
    _keep_quiet()
    pool = _Pool(endpoint, logon, configuration, tls, limits, gate)
    (stdout, stderr), left_behind = await pool.used(pool.run(), lambda output: meanwhile(*output))
    return Answer(stdout, stderr, 1 if stderr else 0, left_behind)


def _keep_quiet() -> None:
    """pypsrp logs every message at DEBUG; warnings would carry the server's own words to the terminal."""
    logging.getLogger("pypsrp").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pypsrp\.")


class _Pool(RemoteShell):
    """A runspace pool; pypsrp chooses its id."""

    def __init__(
        self, endpoint: Endpoint, logon: Logon, configuration: str, tls: Tls, limits: Limits, gate: Gate
    ) -> None:
        super().__init__(endpoint, logon, tls, limits, gate)
        self._configuration = configuration
        self._wire = _Wire(endpoint)
        self._pool = RunspacePool(
            _messages(endpoint, self._wire), configuration_name=configuration, idle_timeout=IDLE_SECONDS
        )
        self.id, self._resource = self._pool.id, self._pool.shell.resource_uri

    async def run(self) -> tuple[bytes, bytes]:
        """What the command printed, and PowerShell's complaints."""
        return await _driven(self.session, self.gate, self._wire, self._configuration, self._talk)

    def _talk(self) -> tuple[bytes, bytes]:
        self._wire.at("shell", self.limits.shell)
        self._pool.open()
        self._wire.at("script", self.limits.shell)
        command = PowerShell(self._pool).add_cmdlet(COMMAND)
        command.begin_invoke()
        self._wire.at("script", None)
        while command.state == PSInvocationState.RUNNING:
            before = len(command.output)
            command.poll_invoke()
            self._wire.is_waiting = len(command.output) == before
            if command.output:
                self._wire.at("answer", None)
        return _printed(command, self._configuration)

    async def delete(self, session: Session, gate: Gate) -> None:
        wire = _Wire(self.endpoint)
        messages = _messages(self.endpoint, wire)
        await _driven(
            session,
            gate,
            wire,
            self._configuration,
            lambda: _deleted(messages, self._resource, self.id),
        )


# -- pypsrp --------------------------------------------------------------------------------------------------------


class _Wire:
    """Stands where pypsrp's transport stood: hands each message to the event loop and waits in its greenlet."""

    def __init__(self, endpoint: Endpoint) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host and not endpoint.host.startswith("[") else endpoint.host
        self.endpoint = f"{'https' if endpoint.tls else 'http'}://{host}:{endpoint.port}/wsman"
        self.size = 0
        self.asked = 0.0
        """When the last question went out, by the clock of the event loop."""
        self.is_waiting = False
        """Whether the last poll brought nothing."""
        self.passing: BaseException | None = None
        """What happened while the greenlet waited; it only passes through pypsrp."""
        self.at("answer", None)

    def at(self, stage: Stage, seconds: float | None) -> None:
        """Where the talk has come to, and the seconds for each question from here on; None: what is left of all."""
        self.stage, self.seconds = stage, seconds

    def send(self, message: bytes, **_: object) -> bytes:
        """As pypsrp's own does, without its retries and time limits."""
        loop = greenlet.getcurrent().parent
        assert loop  # noqa: S101 - pypsrp talks in greenlets of its own
        answer: bytes = loop.switch(message)
        return answer


def _messages(endpoint: Endpoint, wire: _Wire) -> WSMan:
    messages = WSMan(endpoint.host, operation_timeout=POLL_SECONDS)
    messages.transport = wire  # type: ignore[assignment]
    return messages


def _deleted(messages: WSMan, resource: str, shell_id: str) -> None:
    shell = SelectorSet()
    shell.add_option("ShellId", shell_id)
    try:
        messages.delete(resource, selector_set=shell)
    except WSManFaultError as error:
        if error.code != SHELL_NOT_FOUND:
            raise


async def _driven(session: Session, gate: Gate, wire: _Wire, configuration: str, talk: Callable[[], _T]) -> _T:
    """What `talk` gives, each of its messages asked over `session`. Raises UnreachableError."""
    talking = greenlet.greenlet(lambda: _guarded(wire, configuration, talk))
    message = talking.switch()
    while not talking.dead:
        try:
            answer = await _ask(session, gate, wire, message)
        except BaseException as error:  # noqa: BLE001 - goes on within the greenlet, and comes out of it again
            wire.passing = error
            message = talking.throw(error)
        else:
            message = talking.switch(answer)
    result: _T = message
    return result


async def _ask(session: Session, gate: Gate, wire: _Wire, message: bytes) -> bytes:
    clock = asyncio.get_running_loop().time
    if wire.is_waiting:
        pause = max(0.0, wire.asked + MIN_POLL_SECONDS - clock())
        await asyncio.sleep(min(pause, session.seconds_left))
    wire.asked = clock()
    reply = await session.ask(gate, wire.stage, message, wire.seconds)
    wire.size += len(reply.body)
    if wire.size > MAX_OUTPUT:
        raise nonsense_error(wire.stage, f"its output is larger than {MAX_OUTPUT} bytes")
    if reply.status != 200:
        raise WinRMTransportError("http", reply.status, reply.body)
    return reply.body


# -- words ---------------------------------------------------------------------------------------------------------

_BY_HAND = f"try it by hand: Invoke-Command -ComputerName ... -ConfigurationName ... {{ {COMMAND} }}"
_NOT_THERE = frozenset({2150858752, 2150858811})  # ERROR_WSMAN_RESOURCE_NOT_FOUND, ERROR_WSMAN_INVALID_RESOURCE_URI
_DENIED = frozenset({5, 2147942405})


def _guarded(wire: _Wire, configuration: str, talk: Callable[[], _T]) -> _T:
    """What pypsrp cannot read is the server's fault, and told as such; what passes through it is not."""
    try:
        return talk()
    except WSManFaultError as error:
        failure = _fault(wire.stage, configuration, error)
    except WinRMTransportError as error:
        failure = status_error(wire.stage, error.code)
    except InvalidPSRPOperation as error:
        reason = f"PowerShell did not open a session of {_quoted(configuration)}: {short(str(error))}"
        failure = UnreachableError(wire.stage, reason, f"are its role capability files in place? {_BY_HAND}")
    except Exception as error:  # what pypsrp does with malformed answers has no common base
        if error is wire.passing or isinstance(error, UnreachableError):
            raise
        failure = nonsense_error(wire.stage, short(str(error)) or type(error).__name__)
    raise failure


def _fault(stage: Stage, configuration: str, error: WSManFaultError) -> UnreachableError:
    code = error.code if isinstance(error.code, int) else None
    if stage == "shell" and code in _NOT_THERE:
        return UnreachableError(
            stage,
            f"there is no session configuration {_quoted(configuration)}",
            "register it there (docs/jea.md), or correct --jea; Get-PSSessionConfiguration lists those there are",
        )
    if stage == "shell" and code in _DENIED:
        return UnreachableError(
            stage,
            f"the account logged on but may not use the session configuration {_quoted(configuration)}",
            "its RoleDefinitions must name the account or a group of it; Get-PSSessionConfiguration shows Permission",
        )
    return fault_error(stage, code, error.reason or "")


def _quoted(configuration: str) -> str:
    return f"'{printable(configuration)}'"


def _printed(command: PowerShell, configuration: str) -> tuple[bytes, bytes]:
    """Output and complaints of a command that has ended. Raises UnreachableError where PowerShell did not run it."""
    complaints = [str(record) for record in command.streams.error]
    if command.state == PSInvocationState.FAILED:
        _raise_failed(command, configuration, complaints)
    lines = [line for line in command.output if isinstance(line, str)]
    return "".join(f"{line}\n" for line in lines).encode(), "".join(f"{each}\n" for each in complaints).encode()


def _raise_failed(command: PowerShell, configuration: str, complaints: list[str]) -> NoReturn:
    if any("CommandNotFoundException" in str(record.fq_error) for record in command.streams.error):
        raise UnreachableError(
            "script",
            f"{COMMAND} is not offered by that endpoint ({_quoted(configuration)})",
            "VisibleFunctions of a role capability must list it, and RoleDefinitions give the account that role"
            " (docs/jea.md)",
        )
    words = short("; ".join(complaints)) or "no reason was given"
    raise UnreachableError("script", f"{COMMAND} failed: {words}", _BY_HAND)
