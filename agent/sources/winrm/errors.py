"""What can go wrong between here and a server's WinRM service, in words: the stage, the reason, what to do next."""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.errors import SourceError
from agent.names import printable

Stage = Literal["resolve", "connect", "tls", "logon", "shell", "script", "answer"]
"""How far it came, in this order. `shell`: a remote shell is opened; `script`: the collector is sent and runs until
its first output; `answer`: its output is read."""


class UnreachableError(SourceError):
    """One server gave no usable answer. `advice` is the sentence that says what to do next.

    `left_behind` names a remote shell that may still be there, with the reason; None: none is. `is_passing`: asking
    once more may help, and can do no harm.
    """

    left_behind: str | None = None

    def __init__(self, stage: Stage, reason: str, advice: str, *, is_passing: bool = False) -> None:
        super().__init__(f"{stage}: {reason}")
        self.is_passing = is_passing
        self.stage: Stage = stage
        self.reason = reason
        self.advice = advice


class RefusedError(UnreachableError):
    """The password, or the account, was judged and refused: asking on with it may lock the account."""


class InterruptedAskError(UnreachableError):
    """Asking was cancelled from outside, as by Ctrl-C, before the answer was complete."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage, "interrupted", "run it again; with --to and --resume it goes on here")


# -- faults of WS-Management ---------------------------------------------------------------------------------------

SHELL_NOT_FOUND = 2150858843  # ERROR_WSMAN_UNEXPECTED_SELECTORS
TIMED_OUT = 2150858793  # ERROR_WSMAN_OPERATION_TIMEDOUT


class Fault(NamedTuple):
    """What a code in `WSManFault/@Code` is called in wsmerror.h or winerror.h, what it means here, and what helps."""

    name: str
    reason: str
    advice: str


_MAY = (
    "the account must be an administrator of that server or a member of its Remote Management Users;"
    " a local account other than Administrator is cut down to a plain user (LocalAccountTokenFilterPolicy)"
)
_SHELLS = "close shells left open there (Get-WSManInstance shell -Enumerate), or wait: Windows ends idle ones itself"
_LATER = "try again later; the server's event log Microsoft-Windows-WinRM/Operational has the cause"
_POLICY = "its group policy decides: Windows Remote Shell, Allow Remote Shell Access"
_PROXY = "name the WinRM service itself, host and port; something else may answer there"

FAULTS = {
    5: Fault("ERROR_ACCESS_DENIED", "the account logged on but may not open a remote shell", _MAY),
    14: Fault("ERROR_OUTOFMEMORY", "the server is out of memory", _LATER),
    995: Fault("ERROR_OPERATION_ABORTED", "the server broke the operation off", _LATER),
    1115: Fault("ERROR_SHUTDOWN_IN_PROGRESS", "the server is shutting down", "try again when it is up"),
    1450: Fault("ERROR_NO_SYSTEM_RESOURCES", "the server is short of resources", _LATER),
    1816: Fault("ERROR_NOT_ENOUGH_QUOTA", "the server is short of memory for remote shells", _LATER),
    2147942405: Fault("E_ACCESSDENIED", "the account logged on but may not open a remote shell", _MAY),
    2147942414: Fault("E_OUTOFMEMORY", "the server is out of memory", _LATER),
    2150858752: Fault("ERROR_WSMAN_RESOURCE_NOT_FOUND", "the service has no remote command shell", _POLICY),
    2150858753: Fault("ERROR_WSMAN_INVALID_ACTIONURI", "the service does not know the request", _PROXY),
    2150858755: Fault("ERROR_WSMAN_PROVIDER_FAILURE", "the remote shell of the server failed", _LATER),
    2150858790: Fault(
        "ERROR_WSMAN_ENVELOPE_TOO_LARGE", "a request was too large for it", "raise MaxEnvelopeSizekb there"
    ),
    TIMED_OUT: Fault("ERROR_WSMAN_OPERATION_TIMEDOUT", "the server did not finish the request in time", _LATER),
    2150858805: Fault(
        "ERROR_WSMAN_ENCODING_LIMIT", "the answer does not fit its envelope", "raise MaxEnvelopeSizekb there"
    ),
    2150858811: Fault("ERROR_WSMAN_INVALID_RESOURCE_URI", "the service has no remote command shell", _POLICY),
    2150858815: Fault("ERROR_WSMAN_QUOTA_LIMIT", "a quota of the server is used up", _SHELLS),
    2150858824: Fault(
        "ERROR_WSMAN_MAX_ENVELOPE_SIZE_EXCEEDED", "a request was too large for it", "raise MaxEnvelopeSizekb there"
    ),
    SHELL_NOT_FOUND: Fault("ERROR_WSMAN_UNEXPECTED_SELECTORS", "the remote shell is gone", _LATER),
    2150858883: Fault("ERROR_WSMAN_PLUGIN_FAILED", "the remote shell of the server failed to start", _LATER),
    2150859173: Fault("ERROR_WSMAN_QUOTA_MAX_SHELLS", "the account has as many remote shells there as it may", _SHELLS),
    2150859174: Fault(
        "ERROR_WSMAN_QUOTA_MAX_OPERATIONS", "the account has as many shells or operations there as it may", _SHELLS
    ),
    2150859175: Fault("ERROR_WSMAN_QUOTA_USER", "the account sends that server too many requests", _LATER),
    2150859176: Fault("ERROR_WSMAN_QUOTA_SYSTEM", "the server gets too many WinRM requests", _LATER),
    2150859179: Fault("ERROR_WSMAN_QUOTA_MAX_SHELLUSERS", "as many users have shells there as may", _SHELLS),
    2150859180: Fault("ERROR_WSMAN_REMOTESHELLS_NOT_ALLOWED", "the server allows no remote shells", _POLICY),
    2150859235: Fault("ERROR_WSMAN_REMOTE_CONNECTION_NOT_ALLOWED", "the server takes no remote requests", _POLICY),
    2150859236: Fault("ERROR_WSMAN_QUOTA_MAX_SHELLS_PPQ", "the server has as many shells open as it may", _SHELLS),
    2150859237: Fault("ERROR_WSMAN_QUOTA_MAX_USERS_PPQ", "as many users have shells there as may", _SHELLS),
    2150859238: Fault(
        "ERROR_WSMAN_QUOTA_MAX_PLUGINSHELLS_PPQ", "the server has as many shells open as it may", _SHELLS
    ),
    2150859240: Fault(
        "ERROR_WSMAN_QUOTA_MAX_OPERATIONS_USER_PPQ", "the account has as many operations there as it may", _SHELLS
    ),
    2150859241: Fault(
        "ERROR_WSMAN_QUOTA_MAX_COMMANDS_PER_SHELL_PPQ", "the shell has as many commands as it may", _LATER
    ),
}
"""By code; the numbers are those of wsmerror.h (facility 0x033) and winerror.h."""


_DENIED = frozenset({5, 2147942405})


def fault_error(stage: Stage, code: int | None, own_words: str) -> UnreachableError:
    """A WS-Management fault as an error; never a RefusedError: who gets a fault is logged on."""
    own = short(own_words)
    if code in FAULTS:
        fault = FAULTS[code]
        if code in _DENIED and stage != "shell":
            fault = fault._replace(reason="the account logged on but may not use the shell it opened", advice=_LATER)
        return UnreachableError(
            stage, f"{fault.reason} ({fault.name}, {code}){': ' + own if own else ''}", fault.advice
        )
    named = "a fault without a code" if code is None else f"fault {code}"
    return UnreachableError(stage, f"the server answered with {named}{': ' + own if own else ''}", _LATER)


# -- answers of HTTP -----------------------------------------------------------------------------------------------

_STATUS = {
    400: ("it does not understand the request", _PROXY),
    401: ("it asks for a logon again in mid-session", _LATER),
    403: (
        "the HTTP service forbids it",
        "an address filter of WinRM (IPv4Filter, IPv6Filter) or a proxy may stand between",
    ),
    404: ("nothing is served at /wsman", _PROXY),
    407: ("a proxy asks for a logon", "sweep connects directly; name the server itself"),
    413: ("a request was too large for it", "raise MaxEnvelopeSizekb there"),
    500: ("it failed without saying why", _LATER),
    503: ("the service is not available", "is the service WinRM running there? `winrm quickconfig` starts it"),
}


def status_error(stage: Stage, status: int) -> UnreachableError:
    """An HTTP status that no WS-Management answer goes with."""
    reason, advice = _STATUS.get(status, ("that is no answer of a WinRM service", _PROXY))
    return UnreachableError(stage, f"HTTP {status}: {reason}", advice)


def nonsense_error(stage: Stage, what: str) -> UnreachableError:
    """An answer that WS-Management cannot have sent."""
    return UnreachableError(stage, f"the answer makes no sense: {what}", _PROXY)


def short(text: str) -> str:
    """Foreign words in one line of at most 200 harmless characters."""
    return printable(" ".join(text.split()))[:200]
