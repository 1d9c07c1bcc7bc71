"""Who holds an SPN now, and whether that is the account that is to: as far as the directory that was read tells."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.case import Case
from agent.model import Requirement
from agent.names import AccountName, Likeness, Spn
from agent.spn.directory import Account


def wrong_holders(case: Case, name: Spn, account: AccountName) -> list[AccountName]:
    """The accounts that hold an SPN and are known not to be this one."""
    return [holder.name for holder, likeness in seen(case, name, account) if likeness is Likeness.OTHER]


def seen(case: Case, name: Spn, account: AccountName) -> Iterator[tuple[Account, Likeness]]:
    """Who was seen to hold an SPN, and whether that is the account."""
    if case.directory is not None:
        for holder in case.directory.seen(name):
            yield holder, case.directory.likeness(holder, account)


def is_held(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether the account holds exactly this SPN."""
    return any(likeness is Likeness.SAME for _, likeness in seen(case, name, account))


def is_answered_by(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether the KDC would pick this account and no other."""
    if case.directory is None:
        return False
    answers = case.directory.answers(name, account) or ()
    return len(answers) == 1 and case.directory.likeness(answers[0], account) is Likeness.SAME


def host_serves(case: Case, requirement: Requirement, account: AccountName) -> bool:
    """Whether the HOST/ SPN is on the computer alone."""
    if case.directory is None:
        return False
    holders = case.directory.holders(requirement.spn.with_service("HOST"), account) or ()
    return len(holders) == 1 and case.directory.likeness(holders[0], account) is Likeness.SAME
