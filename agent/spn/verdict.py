"""What happens today: for each requirement, whom the KDC would pick against who decrypts (rules, section 0)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Outcome, Requirement
from agent.names import AccountName, Likeness, Spn
from agent.spn.clients import canonicalises
from agent.spn.directory import Account, Directory
from agent.spn.encryption import weakness
from agent.spn.nameservice import NameService
from agent.spn.require import Wanted

NO_ALIAS = "no name is an alias"


def judge(wanted: Wanted, directory: Directory | None, service: NameService | None) -> Requirement:
    """Compare one requirement with the directory; "could not look" is `unchecked`, never "nobody".

    Where the name service was not asked about its host, the outcome stands on the host being no alias.
    """
    holders = answers = None
    if directory is not None:
        holders = directory.holders(wanted.spn, wanted.account)
        answers = directory.answers(wanted.spn, wanted.account)
    outcome = _outcome(wanted, answers, directory)
    return Requirement(
        spn=wanted.spn,
        account=wanted.account,
        need=wanted.need,
        covered_by=wanted.covered_by,
        holders=None if holders is None else tuple(account.name for account in holders),
        answers=None if answers is None else tuple(account.name for account in answers),
        outcome=outcome,
        rule=wanted.decision.rule_id,
        asked_by=wanted.asked_by,
        applications=tuple(wanted.applications),
        provided=tuple(_provided(wanted, outcome, service)),
    )


def _provided(wanted: Wanted, outcome: Outcome, service: NameService | None) -> Iterator[str]:
    if outcome in {"uncertain", "unchecked"}:
        return
    if wanted.decision.provided:
        yield wanted.decision.provided
    if wanted.provided:
        yield wanted.provided
    host = wanted.spn.host
    if outcome == "impossible" or host.is_short or not canonicalises(wanted.asked_by):
        return
    if service is None or service.resolve(host) is None:
        yield NO_ALIAS


def _outcome(wanted: Wanted, answers: tuple[Account, ...] | None, directory: Directory | None) -> Outcome:
    if wanted.decision.decryption == "impossible":
        return "impossible"
    if wanted.decision.decryption == "uncertain" or wanted.account is None:
        return "uncertain"
    if directory is None:
        return "unchecked"
    if (ended := _ended(wanted, wanted.account, directory)) is not None:
        return ended
    if answers is None:
        return _unseen(wanted.account, directory)
    if not answers:
        return "ntlm-fallback"
    if len(answers) > 1:
        return "duplicate"
    if is_split(wanted.spn, answers[0], directory):
        return "uncertain"
    outcome = _OF_ONE[_opens(wanted, wanted.account, answers[0], directory)]
    return "uncertain" if outcome == "kerberos" and is_refused(answers[0], directory) else outcome


_OF_ONE: dict[Likeness, Outcome] = {
    Likeness.SAME: "kerberos",
    Likeness.OTHER: "modified",
    Likeness.UNKNOWN: "uncertain",
}


def _opens(wanted: Wanted, account: AccountName, holder: Account, directory: Directory) -> Likeness:
    """Whether a holder is the account that decrypts, or another one whose key the computer has (rule R15.1)."""
    likeness, further = directory.likeness(holder, account), wanted.decision.further
    if likeness is not Likeness.OTHER:
        return likeness
    if further is None:
        return Likeness.UNKNOWN
    others = {directory.likeness(holder, other) for other in further}
    return next((each for each in (Likeness.SAME, Likeness.UNKNOWN) if each in others), Likeness.OTHER)


def _ended(wanted: Wanted, account: AccountName, directory: Directory) -> Outcome | None:
    """What follows where the account that decrypts is disabled or not there: the pool that runs as it answers 503.

    A computer that the directory does not have is more likely called otherwise.
    """
    is_pools = wanted.decision.decryption == "pool"
    if is_absent(account, directory):
        return "impossible" if is_pools else "uncertain"
    known = directory.account(account)
    return "impossible" if is_pools and known is not None and known.disabled else None


def is_absent(account: AccountName, directory: Directory) -> bool:
    """Whether the account is known not to be there: its domain was read whole, and shows account names."""
    whole = directory.is_complete and directory.exports("sAMAccountName") and directory.covers(account)
    return whole and directory.account(account) is None


def is_split(name: Spn, holder: Account, directory: Directory) -> bool:
    """Whether the explicit SPN and the HOST/ SPN behind it are in two domains: which wins is not known (rule R4.7).

    A holder of the HOST/ SPN alone stands in its own domain.
    """
    mapped = directory.seen(name.with_service("HOST")) if name.service in directory.mapped_to_host else ()
    return any(other.name.domain_likeness(holder.name) is not Likeness.SAME for other in mapped)


def is_refused(holder: Account, directory: Directory) -> bool:
    """Whether the KDC has no encryption type for a ticket to the account, unless its default was set by hand."""
    found = weakness(holder, directory)
    return found is not None and found.is_refused


def _unseen(account: AccountName, directory: Directory) -> Outcome:
    """No holder seen in a source that proves no absence: open, and doubtful where not even the account is in it.

    A source without account names (setspn text) cannot tell whether the account is there.
    """
    if not directory.exports("sAMAccountName") or directory.covers(account):
        return "unchecked"
    return "unchecked" if directory.account(account) is not None else "uncertain"
