"""What can go wrong between here and a server's WinRM service, in words: the stage, the reason, what to do next."""

from __future__ import annotations

from typing import Literal

from agent.errors import SourceError

Stage = Literal["resolve", "connect", "tls", "logon", "shell", "script", "answer"]
"""How far it came, in this order. `shell`: a remote shell is opened; `script`: the collector runs."""


class UnreachableError(SourceError):
    """One server gave no usable answer. `advice` is the sentence that says what to do next."""

    def __init__(self, stage: Stage, reason: str, advice: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage: Stage = stage
        self.reason = reason
        self.advice = advice


class RefusedError(UnreachableError):
    """The password, or the account, was judged and refused: asking on with it may lock the account."""
