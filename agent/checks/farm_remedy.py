"""How to repair a name behind which several servers answer: one account for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.checks.actions import Action, add, asked_of, asking, delete, set_auth
from agent.checks.case import Case
from agent.checks.decryptor import has_own_places, let_computer
from agent.checks.files import set_together
from agent.checks.holders import is_answered_by, is_held, wrong_holders
from agent.checks.ways import Remedy, Way, cannot_run, open_question
from agent.model import Application, ApplicationRef
from agent.names import AccountName, Spn


def farm_remedy(case: Case, name: Spn) -> Remedy:
    """One account for all servers behind a name: the one their pools run as already, where it is the same.

    A setting changes who decrypts for every name of an application, so the farm's other names move along.
    """
    account: AccountName | None = None
    differing: dict[ApplicationRef, Application] = {}
    names = [name]
    for current in names:
        behind = (each for requirement in case.demand(current).needed for each in case.applications_of(requirement))
        applications = set_together(case, behind)
        found = _farm_account(case, applications)
        if found is None:
            text = "The pools behind the name run as different accounts: choose one domain account or gMSA for all."
            return Remedy((), text)
        account = found
        for application in applications:
            if application.decrypts_as == account:
                continue
            moving = _moving_along(case, application, account)
            if moving is None:
                text = "Another name of these applications works with the computer account: separate them first."
                return Remedy((), text)
            if any(other in case.own_spns for other in moving):
                return Remedy((), "A computer's own name is among those that would move: separate them first.")
            names += [other for other in moving if other not in names]
            differing[application.reference] = application
    if account is None:
        return Remedy(())
    if (why := cannot_run(case, account)) is not None:
        return Remedy((), why)
    if case.directory is None:
        return Remedy((), f"See who holds {name} (setspn -F -Q) first: it must be on {account} only.")
    settings = set_auth(case, differing.values(), "useAppPoolCredentials", True, name, account)
    # who holds the SPNs follows who decrypts, and waits for the same question
    asked = next(filter(None, (asked_of(case, application) for application in differing.values())), None)
    rest = [asking(action, asked) for each in names for action in _register_only_on(case, each, account)]
    way = Way(f"all of them decrypt as {account}", (*settings, *rest))
    why = open_question(case, way)
    return Remedy((way,)) if why is None else Remedy((), why)


def conflict_remedy(case: Case, name: Spn) -> Remedy:
    """How to end a conflict in which the settings alone differ: all decrypt as the account that their pools run as, or,
    for a computer's own names, as the computer.
    """
    if name not in case.own_spns:
        return farm_remedy(case, name)
    needed = case.demand(name).needed
    if _farm_account(case, (each for requirement in needed for each in case.applications_of(requirement))) is None:
        return Remedy(())
    way = let_computer(case, needed)
    return Remedy((way,)) if way is not None and open_question(case, way) is None else Remedy(())


def _farm_account(case: Case, applications: Iterable[Application]) -> AccountName | None:
    """The domain account that the pools of all these applications run as."""
    identities = [case.identity_of(application) for application in applications]
    accounts = {i.account if i is not None and i.certain else None for i in identities}
    return accounts.pop() if len(accounts) == 1 else None


def _moving_along(case: Case, application: Application, account: AccountName) -> list[Spn] | None:
    """The farm's names of an application; None where something else breaks when the account decrypts for it."""
    if has_own_places(case, application):
        return None
    moving = []
    for judged in case.judged_for(application):
        other = judged.requirement
        if other.need == "optional" or is_answered_by(case, other.spn, account):
            continue
        if not case.is_contested(other.spn):
            return None
        moving.append(other.spn)
    return moving


def _register_only_on(case: Case, name: Spn, account: AccountName) -> Iterator[Action]:
    yield from (delete(case, name, holder) for holder in wrong_holders(case, name, account))
    if not is_held(case, name, account):
        yield add(case, name, account)
