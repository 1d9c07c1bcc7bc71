"""What can be wrong with a server: a table of faults, and when each of them strikes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .settings import Behaviour

Moment = Literal["connection", "request", "operation", "answer"]
"""`connection`: before TLS and HTTP; `request`: nothing was done; `operation`: WS-Management answers with a fault;
`answer`: it was done, but the answer is bad."""

OPERATIONS = ("Create", "Command", "Send", "Receive", "Signal", "Delete")
STAGES = ("connect", "tls", "auth", *OPERATIONS)
"""`auth`: a request on a connection that nobody has logged on to yet. `*` is every request, whatever it is about."""


class Fault(NamedTuple):
    """One row of the table."""

    moment: Moment
    effect: str
    stages: tuple[str, ...] = ("auth", *OPERATIONS)
    sealed_only: bool = False
    harmless: bool = False


_ANYWHERE = STAGES
_CONNECTION = ("connect",)

FAULTS: dict[str, Fault] = {
    "refuse": Fault("connection", "nobody listens: RST on connect", _CONNECTION),
    "blackhole": Fault("connection", "SYNs are dropped: connect() waits for ever", _CONNECTION),
    "drop": Fault("request", "RST instead of an answer, nothing is done", _ANYWHERE),
    "hang": Fault("request", "no answer; ends after `argument` seconds, or when the client goes", _ANYWHERE),
    "slow": Fault("request", "waits `argument` seconds, then all is well", _ANYWHERE, harmless=True),
    "401": Fault("request", "401 with a challenge, whatever the client sends"),
    "401close": Fault("request", "the same, and the connection is closed"),
    "403": Fault("request", "403 Forbidden"),
    "404": Fault("request", "404 with a web server's page: this is not WinRM"),
    "http500": Fault("request", "500 without a body"),
    "http503": Fault("request", "503 with a page: no service behind http.sys"),
    "soapfault": Fault("operation", "WSManFault; its code is `argument`, 2150858843 by default", OPERATIONS),
    "denied": Fault("operation", "WSManFault 5: access is denied", OPERATIONS),
    "quota": Fault("operation", "WSManFault 2150859174: too many shells", OPERATIONS),
    "timedout": Fault("operation", "WSManFault 2150858793: the operation timed out", OPERATIONS),
    "lost": Fault("answer", "it is done, then RST instead of the answer"),
    "truncate": Fault("answer", "half of the answer, then RST"),
    "hangmid": Fault("answer", "half of the answer, then nothing"),
    "drip": Fault("answer", "one byte every `argument` seconds, 0.5 by default: no single recv() ever times out"),
    "garbage": Fault("answer", "random bytes under 200; on connect and tls: another protocol's greeting", _ANYWHERE),
    "empty": Fault("answer", "200 without a body", OPERATIONS),
    "flood": Fault("answer", "announces a gigabyte and sends as much as the client takes", OPERATIONS),
    "nonsense": Fault("answer", "well sealed, but not XML", OPERATIONS),
    "wrongrelates": Fault("answer", "the answer to another message", OPERATIONS),
    "badsig": Fault("answer", "one bit of the sealed answer is flipped", OPERATIONS, sealed_only=True),
    "plain": Fault("answer", "the answer in clear on an encrypted session", OPERATIONS, sealed_only=True),
    "chunked": Fault("answer", "Transfer-Encoding: chunked", harmless=True),
}


def check(fault: str, on: str) -> None:
    """Raise ValueError where the table does not know the fault or it cannot strike there."""
    if fault and fault not in FAULTS:
        raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
    if on not in ("*", *STAGES):
        raise ValueError(f"no stage {on!r}; there are *, {', '.join(STAGES)}")
    if fault and on != "*" and on not in FAULTS[fault].stages:
        raise ValueError(f"{fault} cannot strike on {on}, only on {', '.join(FAULTS[fault].stages)}")


class Injector:
    """Decides for one server whether its fault strikes now, and counts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.rearm()

    def rearm(self) -> None:
        """Begin to count `times` and `after` anew."""
        self._left = self.behaviour.times
        self._spared = self.behaviour.after

    def due(self, moment: Moment, *stages: str, sealed: bool = False) -> str:
        """The fault that strikes now, or an empty string. To be asked once for each moment of a request."""
        if not self._fits(moment, stages, sealed) or self._left == 0:
            return ""
        if self._spared > 0:
            self._spared -= 1
            return ""
        self._left -= self._left > 0
        return self.behaviour.fault

    def _fits(self, moment: Moment, stages: tuple[str, ...], sealed: bool) -> bool:
        name, on = self.behaviour.fault, self.behaviour.on
        fault = FAULTS.get(name)
        if fault is None or (fault.sealed_only and not sealed):
            return False
        if moment == "connection":
            return on in stages
        wanted = stages if on == "*" else tuple(stage for stage in stages if stage == on)
        return fault.moment == moment and any(stage in fault.stages for stage in wanted)
