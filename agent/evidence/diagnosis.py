"""What evidence says, and what the cause may be: the words of `iis-spn/diagnosis/1`."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from agent.evidence.captured import Captured, Unread
from agent.model import Report, Tool
from agent.names import Spn

SCHEMA = "iis-spn/diagnosis/1"

Likelihood = Literal["certain", "likely", "possible"]
LIKELIHOODS: tuple[Likelihood, ...] = get_args(Likelihood)

Side = Literal["directory", "server", "client", "configuration"]
"""Who says something: the directory or a KDC, who tried to decrypt, who asked for the ticket, the configuration."""


class Reason(Struct, frozen=True):
    """Something that speaks for or against a cause, where it stands, and who says it."""

    source: str | None
    line: int | None
    text: str
    side: Side


class PossibleCause(Struct, frozen=True, kw_only=True, rename={"for_": "for"}):
    """Why users are not let in, or get NTLM. `id` is a finding's, or one of `agent.evidence.causes`.

    `account` is who tried to decrypt, or who should hold the SPN, as far as known. `decide` is the one look that would
    settle it; None where it is certain. `for_` is `for` in JSON, a word of Python.
    """

    id: str
    likelihood: Likelihood
    spn: Spn | None
    account: str | None
    for_: tuple[Reason, ...]
    against: tuple[Reason, ...]
    decide: str | None
    fix: tuple[str, ...]

    @property
    def rank(self) -> int:
        """For sorting: the likeliest first."""
        return LIKELIHOODS.index(self.likelihood)


class Diagnosis(Struct, frozen=True, kw_only=True):
    """All of it. `collect` names what was not given and would say more; `report` is what the servers need, or None."""

    schema: str
    tool: Tool
    evidence: tuple[Captured, ...]
    causes: tuple[PossibleCause, ...]
    unread: tuple[Unread, ...]
    warnings: tuple[str, ...]
    collect: tuple[str, ...]
    report: Report | None

    @property
    def complete(self) -> bool:
        """Whether all that was given was read."""
        return not self.unread and (self.report is None or self.report.complete)


class UsedName(Struct, frozen=True):
    """A host name that clients sent, how often, from when until when (ISO 8601 in UTC)."""

    host: str
    count: int
    first: str | None
    last: str | None


class UsedNames(Struct, frozen=True):
    """The names that clients were seen to use."""

    names: tuple[UsedName, ...]
