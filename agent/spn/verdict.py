"""What happens today: for each requirement, whom the KDC would pick against who decrypts (rules, section 0)."""

from __future__ import annotations

from agent.model import Outcome, Requirement
from agent.names import AccountName, Spn, fold
from agent.spn.directory import Account, Directory
from agent.spn.identity import in_domain
from agent.spn.require import Wanted


def judge(wanted: Wanted, directory: Directory | None) -> Requirement:
    """Compare one requirement with the directory; "could not look" is `unchecked`, never "nobody"."""
    holders = answers = None
    if directory is not None:
        exact = directory.holders(wanted.spn)
        if exact or proves_absence(directory, wanted.account):
            holders, answers = exact, directory.answers(wanted.spn)
    return Requirement(
        spn=wanted.spn,
        account=wanted.account,
        need=wanted.need,
        covered_by=wanted.covered_by,
        holders=None if holders is None else tuple(account.name for account in holders),
        answers=None if answers is None else tuple(account.name for account in answers),
        outcome=_outcome(wanted, answers, directory),
        rule=wanted.decision.rule_id,
        asked_by=wanted.asked_by,
        applications=tuple(wanted.applications),
    )


def _outcome(wanted: Wanted, answers: tuple[Account, ...] | None, directory: Directory | None) -> Outcome:
    if wanted.decision.decryption == "impossible":
        return "impossible"
    if wanted.decision.decryption == "uncertain" or wanted.account is None:
        return "uncertain"
    if directory is None or answers is None:
        return _unseen(wanted.account, directory)
    if not answers:
        return "ntlm-fallback"
    if len(answers) > 1:
        return "duplicate"
    if is_split(wanted.spn, answers[0], directory):
        return "uncertain"
    return "kerberos" if is_account(answers[0], wanted.account, directory) else "modified"


def is_split(name: Spn, holder: Account, directory: Directory) -> bool:
    """Whether the explicit SPN and the HOST/ SPN behind it are in two domains: which wins is not known (rule R4.7)."""
    if name.service not in directory.mapped_to_host:
        return False
    mapped = directory.holders(name.with_service("HOST"))
    elsewhere = any(fold(other.name.domain) != fold(holder.name.domain) for other in mapped)
    return elsewhere and name in holder.spns  # last: an account may hold a thousand


def _unseen(account: AccountName, directory: Directory | None) -> Outcome:
    """No holder seen in a source that proves no absence: open, and doubtful where not even the account is in it.

    A source without account names (setspn text) cannot tell whether the account is there.
    """
    if directory is None or not directory.exports("sAMAccountName") or directory.covers(account.domain):
        return "unchecked"
    return "unchecked" if in_domain(directory, account) is not None else "uncertain"


def proves_absence(directory: Directory, account: AccountName | None) -> bool:
    """Whether "nobody holds it" can be said: the account's domain was read whole."""
    if not directory.is_complete:
        return False
    if account is None:
        return any(domain.covered for domain in directory.domains)
    return directory.covers(account.domain)


def is_account(holder: Account, name: AccountName, directory: Directory) -> bool:
    """Whether a holder is the account of this name: by SID or DN; by CN where a setspn text names only that."""
    known = in_domain(directory, name)
    if known is not None:
        return known.identity == holder.identity
    if holder.name == name:
        return True
    by_cn = holder.kind == "unknown" and holder.sid is None
    same_domain = fold(holder.name.domain) == fold(name.domain)
    return by_cn and same_domain and fold(holder.name.name) == fold(name.name.removesuffix("$"))
