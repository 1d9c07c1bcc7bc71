"""Front ends that ask for tickets in the name of their users: whether they may, and whether those can be opened."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.case import Case, finding
from agent.model import Finding, Requirement
from agent.names import HostName, Likeness, http_spn, spn
from agent.spn.computer_names import Delegate
from agent.spn.directory import Account, Directory
from agent.spn.verdict import is_absent


def front_ends(case: Case) -> Iterator[Finding]:
    """What the farm file says of front ends, held against the directory (rules R8.3, R8.6)."""
    for name in case.farm:
        behind = _behind(case, name.host)
        if name.delegate is not None and case.directory is not None and behind is not None:
            yield from _asked(case.directory, name.delegate, behind)
            yield from _allowed(case.directory, name.delegate, behind)


def _behind(case: Case, host: HostName) -> Requirement | None:
    """What the name itself needs, where one account decrypts behind it."""
    demand = case.demand(http_spn(host))
    return demand.needed[0] if len(demand.needed) == 1 and demand.needed[0].account is not None else None


def _asked(directory: Directory, delegate: Delegate, behind: Requirement) -> Iterator[Finding]:
    """The SPN that a front end asks for must lead to who decrypts; that of the name itself has its own finding."""
    answers = directory.answers(delegate.spn, behind.account)
    if delegate.spn == behind.spn or behind.account is None or answers is None:
        return
    if len(answers) == 1 and directory.likeness(answers[0], behind.account) is not Likeness.OTHER:
        return
    held = " and ".join(str(answer.name) for answer in answers) or "nobody"
    yield _broken(
        behind,
        f"{delegate.account}, a front end of {behind.spn.host}, asks for {delegate.spn}, which leads to {held}, but "
        f"{behind.account} decrypts",
        f"Let the front end ask for {behind.spn} (and the farm file say so), or register {delegate.spn} on "
        f"{behind.account} only.",
    )


def _allowed(directory: Directory, delegate: Delegate, behind: Requirement) -> Iterator[Finding]:
    """One of two lists must allow it: that of the front end names SPNs, that of the back end's account front ends."""
    front = directory.account(delegate.account)
    if front is None:
        if is_absent(delegate.account, directory):
            text = f"the front end of {behind.spn.host} is {delegate.account}, which is not in the directory"
            yield _broken(behind, text, "Correct the account in the farm file.")
        return
    back = directory.account(behind.account) if behind.account is not None else None
    if back is None or not _may_not(front, back, delegate):
        return
    yield _broken(
        behind,
        f"{delegate.account}, a front end of {behind.spn.host}, may not delegate to {delegate.spn}: its "
        f"msDS-AllowedToDelegateTo does not hold it, and {behind.account} allows no front end",
        f"Add {delegate.spn} to msDS-AllowedToDelegateTo of {delegate.account}; where its domain is another one than "
        f"that of {behind.account}, allow it there (-PrincipalsAllowedToDelegateToAccount).",
    )


def _may_not(front: Account, back: Account, delegate: Delegate) -> bool:
    """Whether it is known that neither list allows it, nor delegation to any service."""
    if front.unconstrained is not False or front.delegates_to is None or back.resource_delegation is not False:
        return False
    return {delegate.spn, delegate.spn.with_service("HOST")}.isdisjoint(map(spn, front.delegates_to))


def _broken(behind: Requirement, message: str, fix: str) -> Finding:
    return finding(
        "delegation-broken",
        message,
        at=behind.applications[0],
        spn=behind.spn,
        account=behind.account,
        fix=(fix,),
    )
