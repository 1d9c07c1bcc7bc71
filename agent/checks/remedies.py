"""How to repair one broken requirement: the ways there are, the least invasive first (contract, rules R6.6)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.actions import Action, add, adding, by_hand, delete
from agent.checks.alias_remedy import alias_remedy, are_aliases
from agent.checks.case import Case, Judged
from agent.checks.commands import klist_get, setspn_query
from agent.checks.decryptor import let_computer, let_computer_again, let_pool
from agent.checks.holders import host_serves, is_held, wrong_holders
from agent.checks.ways import (
    Remedy,
    Way,
    cannot_run,
    open_question,
    open_registration,
    same_domain,
    suspected_line,
    unknown_holder,
)
from agent.model import Requirement
from agent.names import AccountName, http_spn, printable
from agent.spn.verdict import is_absent, is_split

SHOW_ALTERNATE = "Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus"
ALTERNATE = f"Exchange may decrypt with an Alternate Service Account too; see which accounts it has: {SHOW_ALTERNATE}"
SETTLE = "First settle which account decrypts for this name everywhere: the SPN can be on one account only."


def remedy(case: Case, judged: Judged) -> Remedy:
    """The ways to make one requirement end in Kerberos; none touches an SPN that is needed on several accounts."""
    if judged.requirement.spn.host in case.suspected:
        return Remedy((), suspected_line(case, judged.requirement.spn.host))
    if (why := unknown_holder(case, judged.requirement.spn, judged.requirement.account)) is not None:
        return Remedy((), why)
    if (why := _unknown_host(case, judged.requirement)) is not None:
        return Remedy((), why)
    offered = _offered(case, judged)
    if not offered.ways:
        return offered
    first = next((why for way in offered.ways if (why := open_question(case, way)) is not None), SETTLE)
    ways = (way for way in offered.ways if not _touches_contested(case, way) and open_question(case, way) is None)
    return Remedy(tuple(ways), first)


def _unknown_host(case: Case, requirement: Requirement) -> str | None:
    """Why it is not known what would serve a computer's own name, for which another account decrypts: whether `HOST/`
    does, and whether clients use other names that only the account's SPNs show (rule R15.2).
    """
    owner, account = case.own_spns.get(requirement.spn), requirement.account
    if owner is None or account is None or account == owner.account or case.directory is None:
        return None
    if case.account(account) is None and not is_absent(account, case.directory):
        return f"See which SPNs {account} holds first (setspn -L): clients may come by another of these names."
    return unknown_holder(case, requirement.spn.with_service("HOST"), owner.account)


def _touches_contested(case: Case, way: Way) -> bool:
    steps = (action.step for action in way.actions)
    return any(step.changes_spn and case.is_contested(step.value[0]) for step in steps)


def _offered(case: Case, judged: Judged) -> Remedy:
    requirement = judged.requirement
    account, owner = requirement.account, case.own_spns.get(http_spn(requirement.spn.host))
    if account is None:
        return Remedy((), "No account can hold the SPN: change the identity or the settings of the pool first.")
    if judged.wanted.decision.further is None:
        return Remedy((), ALTERNATE)
    if (why := cannot_run(case, account)) is not None:
        return Remedy((), why)
    typed = judged.wanted.variant_of
    is_own = owner is not None and owner.account == account
    if typed and not is_own and are_aliases(case, requirement, typed):
        return alias_remedy(case, requirement, account, typed)
    if _is_name_of_another(case, requirement) and not is_held(case, requirement.spn, account):
        return _another_name(requirement)
    if _may_be_of_another(case, requirement) and not is_held(case, requirement.spn, account):
        return Remedy((), _whose(requirement))
    if case.is_contested(requirement.spn):
        return Remedy((), SETTLE)
    if requirement.holders:
        return _misplaced(case, requirement, account)
    return _unregistered(case, requirement, account)


# -- one SPN -------------------------------------------------------------------------------------------------------


def _misplaced(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """Wrong accounts hold the SPN, perhaps besides the right one."""
    name = requirement.spn
    wrong = wrong_holders(case, name, account)
    deletes = tuple(delete(case, name, holder) for holder in wrong)
    if is_held(case, name, account):
        return Remedy((Way(f"leave the SPN on {account} only", deletes),))
    move = Way(f"move the SPN to {account}", (*deletes, add(case, name, account)))
    setting = _by_setting(case, requirement, wrong[0]) if len(wrong) == 1 else None
    if requirement.need == "covered" and host_serves(case, requirement, account):
        first: Way | None = Way(f"{requirement.covered_by} then answers", deletes)
    else:
        first = setting or _instead_of_own_name(case, requirement, account)
    ways = dict.fromkeys(way for way in (first, move, setting) if way is not None)
    return Remedy(tuple(ways))


def _by_setting(case: Case, requirement: Requirement, holder: AccountName) -> Way | None:
    """The setting that lets the holder decrypt."""
    return let_pool(case, requirement, holder) or let_computer_again(case, requirement, holder)


def _unregistered(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """No account has the SPN; a HOST/ SPN of another one may answer for it."""
    why = f"an explicit SPN wins over HOST/; {account} decrypts" if requirement.answers else "register the SPN"
    explicit = Way(why, (add(case, requirement.spn, account), *_doubled_host(case, requirement)))
    better = _instead_of_own_name(case, requirement, account)
    return Remedy((explicit,) if better is None else (better, explicit))


def _doubled_host(case: Case, requirement: Requirement) -> Iterator[Action]:
    """The fault behind a duplicate that no `HTTP/` SPN explains: every service that `HOST/` stands for has it."""
    if requirement.outcome != "duplicate" or requirement.holders:
        return
    host, account = requirement.spn.with_service("HOST"), requirement.account
    owner = case.own_spns.get(requirement.spn)
    right = owner.account if owner is not None else account
    others = wrong_holders(case, host, right) if right is not None else []
    if others:
        told = " and ".join(map(str, others))
        yield by_hand(
            f"{printable(host.text)} is on {printable(told)} too, which breaks every service of the name: ask the "
            "owner, and take it away there."
        )


def _instead_of_own_name(case: Case, requirement: Requirement, account: AccountName) -> Way | None:
    """What is better than `HTTP/<computer name>` on another account, which breaks WinRM (rules R6.6, R6.7)."""
    if requirement.spn not in case.own_spns or case.principal(account) == "computer":
        return None
    return let_computer(case, [requirement]) or Way("WinRM goes on working", (by_hand(_host_header(requirement)),))


def _host_header(requirement: Requirement) -> str:
    places = dict.fromkeys(f"{place.site} on {place.server}" for place in requirement.applications)
    return (
        f"Give {printable(', '.join(places))} a host header of its own with a DNS A record, and register that name on "
        f"{printable(str(requirement.account))}."
    )


def _is_name_of_another(case: Case, requirement: Requirement) -> bool:
    """Whether the name is an inspected computer's own, and sites of another server want it."""
    owner = case.own_spns.get(requirement.spn)
    return owner is not None and all(place.server != owner.label for place in requirement.applications)


def _may_be_of_another(case: Case, requirement: Requirement) -> bool:
    """Whether the directory has another computer of the name, which nobody inspected, and nothing leads it here."""
    host = requirement.spn.host
    return any(case.by_label[place.server].names.may_be_anothers(host) for place in requirement.applications)


def _whose(requirement: Requirement) -> str:
    """An SPN for its name takes WinRM and every other http.sys service from a computer that is in use (rule R6.7)."""
    return (
        f"{requirement.spn.host} is the name of another computer in the directory, and nothing shows that it leads "
        "here: look it up first (--dns), or give the site a host header of its own."
    )


def _another_name(requirement: Requirement) -> Remedy:
    """What would serve here would break the computer that the name belongs to."""
    text = f"{requirement.spn.host} is another server's own name. {_host_header(requirement)}"
    return Remedy((Way("the other server goes on working", (by_hand(text),)),))


def _settling(case: Case, judged: Judged) -> Iterator[str]:
    """What would settle an outcome that is uncertain."""
    requirement = judged.requirement
    if judged.wanted.decision.further is None and requirement.answers:
        yield ALTERNATE
        return
    question = same_domain(case, requirement.account) if requirement.account is not None else None
    if question is not None:
        yield question
    elif (weak := case.weakness(requirement.account)) is not None and weak.is_refused:
        yield from weak.fix
    elif requirement.holders and case.directory is not None and (ticket := klist_get(requirement.spn)) is not None:
        holders = case.directory.seen(requirement.spn)
        if any(is_split(requirement.spn, holder, case.directory) for holder in holders):
            yield (
                "The explicit SPN and the HOST/ SPN are in two domains, and no document says which one the KDC takes: "
                f"{ticket}"
            )


# -- where nobody looked -------------------------------------------------------------------------------------------


def advice(case: Case, judged: Judged) -> tuple[str, ...]:
    """What to do about a requirement that no finding speaks of: how to look, and what to expect."""
    requirement = judged.requirement
    if requirement.outcome == "uncertain":
        return tuple(_settling(case, judged))
    if requirement.outcome != "unchecked" or requirement.account is None or requirement.need == "optional":
        return ()
    query = setspn_query(requirement.spn)
    if query is None:
        return ()
    look = f"See who holds it: {query}"
    if requirement.need == "covered":
        return (look, f"Nobody needs to hold it: {requirement.covered_by} serves. Any other holder breaks the site.")
    why = _unsure(case, judged, requirement.account)
    return (look, why or f"Where nobody does: {adding(case, requirement.spn, requirement.account)}")


def _unsure(case: Case, judged: Judged, account: AccountName) -> str | None:
    """Why nothing can be advised yet, even where nobody holds the SPN."""
    requirement = judged.requirement
    if judged.wanted.decision.further is None:
        return ALTERNATE
    if (why := open_registration(case, requirement.spn, account)) is not None:
        return why
    return SETTLE if case.is_contested(requirement.spn) else None
