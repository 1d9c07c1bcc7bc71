"""Names, SPNs, accounts and applications that hang together, gathered for the picture; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.model import Application, ApplicationRef, Outcome, Report, Requirement
from agent.names import AccountName, Spn
from agent.render.wording import WORST_FIRST


class Tie(NamedTuple):
    """SPNs with the same holders, needed on the same accounts; `needs` are the requirements of the first of them."""

    spns: tuple[Spn, ...]
    needs: tuple[Requirement, ...]
    requirements: tuple[Requirement, ...]


class End(NamedTuple):
    """Applications to which the same SPNs lead, and the account that decrypts there."""

    account: AccountName | None
    applications: tuple[Application, ...]
    ties: tuple[int, ...]


class Knot(NamedTuple):
    """What hangs together by an SPN or an application, and has no tie to anything else."""

    ties: tuple[Tie, ...]
    ends: tuple[End, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of its outcomes."""
        return min((one.outcome for tie in self.ties for one in tie.requirements), key=WORST_FIRST.index)

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.server for end in self.ends for one in end.applications))

    @property
    def requirements(self) -> Iterator[Requirement]:
        return (one for tie in self.ties for one in tie.requirements)


def knots(report: Report, requirements: Iterable[Requirement]) -> list[Knot]:
    """Those of the SPNs that matter, the worst first."""
    by_spn: dict[Spn, list[Requirement]] = {}
    for requirement in requirements:
        if requirement.matters:
            by_spn.setdefault(requirement.spn, []).append(requirement)
    applications = {application.reference: application for application in report.applications}
    found = [_knot(spns, by_spn, applications) for spns in _hanging_together(by_spn)]
    return sorted(found, key=lambda knot: WORST_FIRST.index(knot.outcome))


def _hanging_together(by_spn: dict[Spn, list[Requirement]]) -> Iterator[list[Spn]]:
    """SPNs of the same applications, directly or by way of others."""
    leader: dict[object, object] = {}

    def lead(one: object) -> object:
        while (above := leader.setdefault(one, one)) != one:
            leader[one] = leader[above]
            one = above
        return one

    for spn, needs in by_spn.items():
        for place in {place for need in needs for place in need.applications}:
            leader[lead(place)] = lead(spn)
    together: dict[object, list[Spn]] = {}
    for spn in by_spn:
        together.setdefault(lead(spn), []).append(spn)
    yield from together.values()


def _knot(
    spns: list[Spn], by_spn: dict[Spn, list[Requirement]], applications: dict[ApplicationRef, Application]
) -> Knot:
    alike: dict[object, list[Spn]] = {}
    for spn in spns:
        alike.setdefault(tuple(map(_signature, by_spn[spn])), []).append(spn)
    ties = tuple(
        Tie(tuple(same), tuple(by_spn[same[0]]), tuple(one for spn in same for one in by_spn[spn]))
        for same in alike.values()
    )
    ties = tuple(sorted(ties, key=lambda tie: min(WORST_FIRST.index(need.outcome) for need in tie.needs)))
    return Knot(ties, tuple(_ends(ties, applications)))


def _signature(one: Requirement) -> object:
    return one.account, one.outcome, one.holders, one.answers, frozenset(one.applications)


def _ends(ties: tuple[Tie, ...], applications: dict[ApplicationRef, Application]) -> Iterator[End]:
    led: dict[tuple[ApplicationRef, AccountName | None], list[int]] = {}
    for at, tie in enumerate(ties):
        for need in tie.needs:
            for place in need.applications:
                led.setdefault((place, need.account), []).append(at)
    alike: dict[tuple[AccountName | None, tuple[int, ...]], list[ApplicationRef]] = {}
    for (place, account), ats in led.items():
        alike.setdefault((account, tuple(ats)), []).append(place)
    for (account, same), places in alike.items():
        yield End(account, tuple(applications[place] for place in places if place in applications), same)
