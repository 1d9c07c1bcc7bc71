"""A cause as a rule sees it, before its words are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from agent.evidence.complaints import Complaint
from agent.evidence.diagnosis import Likelihood, Reason
from agent.evidence.known import Known


class Suspicion(Struct, frozen=True, kw_only=True):
    """What a fault may come from; `more` speaks for it besides the evidence, `fix` mends it better than the table's."""

    id: str
    likelihood: Likelihood
    more: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()
    holder: str | None = None
    fix: tuple[str, ...] = ()


Rule = Callable[[Complaint, Known], Iterator[Suspicion]]
"""What a complaint may come from, by what is known."""
