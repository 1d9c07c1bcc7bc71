"""What the agent does next: one decision from what it knows. Pure.

Moments are seconds of a clock that only goes forward: a wall clock that is set, forward or back, starts and delays
nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

LOOK = 2.0
"""Seconds from one look at the configuration's files to the next, where the system does not tell that they change."""
SETTLE = 2.0
"""Seconds without a further change after which one is looked at: IIS Manager writes a file several times."""
SETTLED_BY = 20.0
"""Seconds after the first change in a row: somebody may write without end."""
FIRST_RETRY, LAST_RETRY = 30.0, 900.0
"""Seconds until a failed delivery, or an inspection that did not see everything, is tried again: twice as many each
time, up to these.
"""
RETRIES = 5
"""So often it looks again before its time where something was not seen: what never is, is asked once an interval."""


class Inspect(NamedTuple):
    """Look at the server again."""

    because: str


class Deliver(NamedTuple):
    """Try once more to write to the drop folder what it does not have."""


class Wait(NamedTuple):
    """Nothing is due for so many seconds."""

    seconds: float


Step = Inspect | Deliver | Wait
Stamps = Mapping[str, Hashable]
"""What each of the configuration's files looks like; one that is watched only from now on did not change."""


class Standing(Struct, frozen=True, kw_only=True):
    """What the agent knows. `inspected`: when it last began to, None: never. `stamps`: what the files looked like when
    they were last looked at. `first`, `last`: the changes since then. `unseen`: inspections in a row that did not see
    everything. `failures`: deliveries that failed in a row, the last at `tried`.
    """

    inspected: float | None = None
    stamps: Stamps = field(default_factory=dict)
    first: float | None = None
    last: float | None = None
    unseen: int = 0
    failures: int = 0
    tried: float = 0.0


def looked(standing: Standing, stamps: Stamps, now: float) -> Standing:
    """What is known after a look at the configuration's files."""
    if stamps == standing.stamps:
        return standing
    if all(standing.stamps.get(file, stamp) == stamp for file, stamp in stamps.items()):
        return replace(standing, stamps=stamps)
    first = now if standing.first is None else standing.first
    return replace(standing, stamps=stamps, first=first, last=now)


def inspected(standing: Standing, stamps: Stamps, now: float, *, whole: bool = True) -> Standing:
    """What is known after an inspection that began at `now`, when the files looked like `stamps`."""
    unseen = 0 if whole else standing.unseen + 1
    return replace(standing, inspected=now, stamps=stamps, first=None, last=None, unseen=unseen)


def delivered(standing: Standing, now: float, *, done: bool) -> Standing:
    """What is known after a try to deliver."""
    return replace(standing, failures=0 if done else standing.failures + 1, tried=now)


def next_step(standing: Standing, now: float, interval: float) -> Step:
    """What is due, the inspection first: what it finds is delivered with it."""
    if standing.inspected is None:
        return Inspect("the agent started")
    changed, again, delivery = _changed(standing), standing.inspected + interval, _delivery(standing)
    sooner = standing.inspected + _delay(standing.unseen) if 0 < standing.unseen <= RETRIES else _NEVER
    if changed <= now:
        return Inspect("the configuration changed")
    if again <= now:
        return Inspect("the interval is over")
    if sooner <= now:
        return Inspect("not everything was seen")
    if delivery <= now:
        return Deliver()
    return Wait(min(changed - now, again - now, sooner - now, delivery - now, LOOK))


_NEVER = float("inf")


def _changed(standing: Standing) -> float:
    if standing.first is None or standing.last is None:
        return _NEVER
    return min(standing.last + SETTLE, standing.first + SETTLED_BY)


def _delivery(standing: Standing) -> float:
    if not standing.failures:
        return _NEVER
    return standing.tried + _delay(standing.failures)


def _delay(failures: int) -> float:
    return min(FIRST_RETRY * 2.0 ** min(failures - 1, 10), LAST_RETRY)
