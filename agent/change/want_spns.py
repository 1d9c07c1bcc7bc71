"""Which SPNs must be where for what is wanted: those of the name, and those that move along because another account
decrypts for their applications too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from agent.change.want import Aim, ObstacleError
from agent.change.want_move import GONE, SPNS, Move
from agent.checks.actions import Action, add, delete
from agent.checks.case import Case, Judged
from agent.checks.holders import host_serves, is_held, wrong_holders
from agent.checks.ways import Way, cannot_run, open_question, unknown_holder
from agent.model import ApplicationRef, Outcome, Requirement
from agent.names import AccountName, HostName, Spn, printable
from agent.spn.verdict import is_refused, is_split

NOT_LOOKED = "Nobody looked who holds the SPNs: give the directory (--ad)."


class Now(NamedTuple):
    """The case of today, and the one that follows from the changes that are no SPN."""

    today: Case
    after: Case

    def outcome(self, name: Spn, places: Collection[ApplicationRef]) -> Outcome | None:
        """What an SPN ends in today for one of these applications, the best of them."""
        found = {
            judged.requirement.outcome
            for judged in self.today.judged_of(name)
            if not set(judged.requirement.applications).isdisjoint(places)
        }
        order: tuple[Outcome, ...] = ("kerberos", "unchecked", "uncertain")
        return next((one for one in order if one in found), next(iter(found), None))


def names_of(case: Case, aim: Aim) -> tuple[HostName, ...]:
    """What people type: the name, and its first label where that is meant."""
    host = aim.want.host
    names = case.by_label[aim.sites[0][0]].names
    return (host, host.first_label) if aim.want.short_name and names.is_shortened(host) else (host,)


def wanted_of(case: Case, aim: Aim) -> list[Requirement]:
    """The SPNs that clients of the name ask for."""
    names, sites = names_of(case, aim), set(aim.sites)
    return [
        judged.requirement
        for judged in case.judged
        if judged.requirement.need != "optional"
        and (judged.requirement.spn.host in names or not set(names).isdisjoint(judged.wanted.variant_of))
        and any((place.server, place.site) in sites for place in judged.requirement.applications)
    ]


def spn_moves(now: Now, aim: Aim, moved: frozenset[ApplicationRef], first: Iterable[Move]) -> list[Move]:
    """What comes and goes for one want; `moved` are the applications for which another account decrypts then, `first`
    the changes that are no SPN. Raises ObstacleError.
    """
    case = now.today
    if case.directory is None:
        raise ObstacleError(NOT_LOOKED, aim.account, unlooked=True)
    if (why := cannot_run(case, aim.account)) is not None:
        raise ObstacleError(why, aim.account, unlooked=case.account(aim.account) is None)
    wanted = wanted_of(now.after, aim)
    if not wanted:
        raise ObstacleError(f"no client asks for a ticket for {aim.want.host}.", aim.account)
    around = frozenset(ref for move in first if move.stage != SPNS for ref in move.at)
    found: list[Move] = []
    for requirement in (*wanted, *_moving_along(now, wanted, moved)):
        found += _one(now, requirement, around)
    why = open_question(case, Way("", tuple(move.action for move in found)))
    if why is not None:
        raise ObstacleError(why, aim.account)
    return found


def _moving_along(now: Now, wanted: Iterable[Requirement], moved: frozenset[ApplicationRef]) -> Iterator[Requirement]:
    """Other names of these applications that work today: nothing else becomes worse for a want."""
    told = {requirement.spn for requirement in wanted}
    for judged in now.after.judged:
        requirement = judged.requirement
        places = moved.intersection(requirement.applications)
        if requirement.spn in told or not places:
            continue
        outcome = now.outcome(requirement.spn, places)
        if requirement.need == "optional":
            if outcome == "kerberos" and _can_move(now, judged):
                yield requirement
        elif outcome in {"unchecked", "uncertain"}:
            why = f"Whether {requirement.spn} works today is not known, and another account would decrypt for it."
            raise ObstacleError(why, unlooked=True)
        elif outcome == "kerberos":
            _demand_movable(now, requirement)
            yield requirement


def _can_move(now: Now, judged: Judged) -> bool:
    """Whether a name that works without being needed has an SPN of its own, which nobody else needs."""
    name = judged.requirement.spn
    return bool(judged.requirement.holders) and name not in now.today.own_spns and not _others(now, judged.requirement)


def _demand_movable(now: Now, requirement: Requirement) -> None:
    """A computer's own name that `HOST/` serves stays where it is: an SPN elsewhere breaks WinRM (rule R6.7)."""
    if requirement.spn in now.today.own_spns and not requirement.holders:
        places = dict.fromkeys(f"{place.site} on {place.server}" for place in requirement.applications)
        raise ObstacleError(
            f"{requirement.spn} works by the computer's HOST/ SPN for {printable(', '.join(places))}, and would fail "
            f"with {requirement.account}: give that site a pool, or a name, of its own first."
        )


def _others(now: Now, requirement: Requirement) -> list[Requirement]:
    """Who needs the SPN on another account then."""
    every = now.after.demand(requirement.spn)
    others = every.needed if requirement.need != "optional" else every.requirements
    return [other for other in others if other.account != requirement.account]


def _one(now: Now, requirement: Requirement, around: frozenset[ApplicationRef]) -> Iterator[Move]:
    """One SPN, on its account alone."""
    case, name, account = now.today, requirement.spn, requirement.account
    if account is None or requirement.outcome == "impossible":
        raise ObstacleError(f"no account can serve {name}.")
    for other in _others(now, requirement):
        told = dict.fromkeys(f"{place.site}{place.path} on {place.server}" for place in other.applications)
        raise ObstacleError(
            f"{name} is needed on {other.account or 'no account of the domain'} too, for {printable(', '.join(told))}, "
            "which would fail: take the name away there first, or want it there too.",
            account,
        )
    if (why := unknown_holder(case, name, account)) is not None:
        raise ObstacleError(why, account, unlooked=True)
    if (why := _doubt(case, name, account)) is not None:
        raise ObstacleError(why, account)
    places = around.intersection(requirement.applications)
    at = tuple(sorted(places, key=lambda ref: (ref.server, ref.site, ref.path)))
    for holder in wrong_holders(case, name, account):
        yield Move(delete(case, name, holder), GONE if at else SPNS, at)
    covered = requirement.need == "covered" and host_serves(now.after, requirement, account)
    if not covered and not is_held(case, name, account):
        yield Move(add(case, name, account), SPNS, at)


def _doubt(case: Case, name: Spn, account: AccountName) -> str | None:
    """Why an SPN on this account is not sure to end in Kerberos."""
    known = case.account(account)
    if known is None or case.directory is None:
        return None
    if is_split(name, known, case.directory):
        behind = " and ".join(str(one.name) for one in case.directory.seen(name.with_service("HOST")))
        return (
            f"HOST/{name.instance} is on {behind}, of another domain: which of the two the KDC takes no document says."
        )
    return f"the KDC has no encryption type for a ticket to {account}." if is_refused(known, case.directory) else None


def key(action: Action) -> tuple[object, ...]:
    """What makes two actions the same one."""
    step = action.step
    return (step.kind, *step.value) if step.changes_spn else (step.kind, step.server, step.command or step.note)
