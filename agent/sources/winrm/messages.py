"""pywinrm's `Protocol` without its transport: its messages, its parsing and its faults, on the event loop.

`Protocol` was written to block. It runs in a greenlet, and each message it sends becomes an await outside of it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from xml.sax.saxutils import escape, quoteattr

import greenlet
import winrm.protocol
from winrm.exceptions import WinRMError, WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from agent.sources.borrowed import write_winrm_messages
from agent.sources.winrm.connection import Reply
from agent.sources.winrm.errors import (
    SHELL_NOT_FOUND,
    TIMED_OUT,
    Stage,
    fault_error,
    nonsense_error,
    short,
    status_error,
)
from agent.sources.winrm.session import Gate, Session

_T = TypeVar("_T")

POLL_SECONDS = 20
"""So long the server holds back its answer to Receive while there is no output (OperationTimeout)."""


class Messages(winrm.protocol.Protocol):
    """What is said about one remote shell; the shell gets the id chosen here (attribute ShellId, MS-WSMV 2.2.4.37)."""

    def __init__(self, shell_id: str) -> None:
        # not Protocol's own __init__: that builds a requests session and changes the warning filters of the process
        self.operation_timeout_sec = POLL_SECONDS
        self.transport: Any = _Bridge()
        self._shell = f"<rsp:Shell ShellId={quoteattr(shell_id)}>"

    def send_message(self, message: str) -> bytes:
        """As pywinrm does it, with the id put into the one message that makes a shell."""
        return super().send_message(message.replace("<rsp:Shell>", self._shell, 1))

    def output(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool] | None:
        """The next stdout and stderr, the exit code, and whether that was all; None where a poll brought nothing."""
        try:
            return self.get_command_output_raw(shell_id, command_id)
        except WinRMOperationTimeoutError:
            return None

    def delete(self, shell_id: str) -> None:
        """Remove the shell and whatever runs in it; one that is not there is removed."""
        try:
            self.close_shell(shell_id, close_session=False)
        except WSManFaultError as error:
            if error.wsman_fault_code != SHELL_NOT_FOUND:
                raise


class _Bridge:
    """Stands where pywinrm's transport stood: hands each message to the event loop and waits in its greenlet."""

    def send_message(self, message: str) -> bytes:
        loop = greenlet.getcurrent().parent
        assert loop  # noqa: S101 - questions are asked in greenlets of their own
        answer: bytes = loop.switch(message)
        return answer


Question = Callable[[Messages], _T]


async def ask(
    session: Session, gate: Gate, stage: Stage, shell_id: str, question: Question[_T], seconds: float | None = None
) -> _T:
    """What `question` gives; each message it sends may take `seconds`. Raises UnreachableError."""
    asking = greenlet.greenlet(lambda: _guarded(session, question, Messages(shell_id)))
    message = asking.switch()
    while not asking.dead:
        try:
            body = _body_of(await session.ask(gate, stage, message.encode(), seconds))
        except BaseException as error:  # noqa: BLE001 - goes on within the greenlet, and comes out of it again
            message = asking.throw(error)
        else:
            message = asking.switch(body)
    result: _T = message
    return result


def _body_of(reply: Reply) -> bytes:
    """What pywinrm's transport gives, and what it raises where there is a fault to be read."""
    if reply.status != 200:
        raise WinRMTransportError("http", reply.status, reply.body)
    return reply.body


def _guarded(session: Session, question: Question[_T], messages: Messages) -> _T:
    """What pywinrm cannot read is the server's fault, and told as such; a TypeError would be ours, and stays one."""
    try:
        return question(messages)
    except WSManFaultError as error:
        code = error.wsman_fault_code if error.wsman_fault_code is not None else error.wmierror_code
        raise fault_error(session.stage, code, error.reason) from None
    except WinRMOperationTimeoutError:
        raise fault_error(session.stage, TIMED_OUT, "") from None
    except WinRMTransportError as error:
        raise status_error(session.stage, error.code) from None
    except (ElementTree.ParseError, WinRMError, StopIteration, KeyError, ValueError, AssertionError) as error:
        raise nonsense_error(session.stage, short(str(error)) or "a part of it is missing") from None


# -- writing XML ---------------------------------------------------------------------------------------------------

_KEPT = 256
"""Texts that are kept as they are written: all but the identities are the same for every server."""


def written(message: Mapping[str, Any]) -> str:
    """A message as pywinrm puts it together (a dict in the manner of xmltodict), as XML."""
    return '<?xml version="1.0" encoding="utf-8"?>\n' + "".join(_element(*item) for item in message.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if not isinstance(value, dict):
        return f"<{name}>{_text(value)}</{name}>"
    attributes, content = "", ""
    for key, inner in value.items():
        if key[0] == "@":
            attributes += _attribute(key, inner)
        else:
            content += _text(inner) if key == "#text" else _element(key, inner)
    return f"<{name}{attributes}>{content}</{name}>"


@lru_cache(_KEPT, typed=True)
def _attribute(key: str, value: str | bytes | None) -> str:
    return f" {key[1:]}={quoteattr(_plain(value))}"


@lru_cache(_KEPT, typed=True)
def _text(value: str | bytes | None) -> str:
    return escape(_plain(value))


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)


write_winrm_messages(written)
