"""What is wrong with the accounts that must hold the SPNs: absent, disabled, superseded, weak, delegated too far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.case import Case, finding
from agent.checks.commands import word
from agent.checks.remedies import SHOW_ALTERNATE
from agent.checks.ways import namesakes_domain, same_domain
from agent.model import Finding, Requirement
from agent.names import AccountName, fold, spn
from agent.spn.directory import Account, Directory, Memberships
from agent.spn.require import ServerView

OF_THE_ACCOUNT = frozenset(
    {
        *("account-not-found", "account-disabled", "account-superseded", "gmsa-server-not-allowed", "etype-risk"),
        *("kerberoastable-account", "unconstrained-delegation", "delegation-broken"),
    }
)
"""Findings about an account, whatever SPN of it they name as the first."""

OLD_PASSWORD = timedelta(days=365)
"""pwdLastSet older than this on a user account with an SPN invites offline guessing of its password."""


def _accounts(case: Case) -> Iterator[tuple[AccountName, Account | None, Requirement]]:
    """Each account that must hold an SPN, once, with the first requirement that says so."""
    seen: set[AccountName] = set()
    for judged in case.judged:
        requirement = judged.requirement
        if requirement.account is not None and requirement.account not in seen and requirement.need != "optional":
            seen.add(requirement.account)
            yield requirement.account, case.account(requirement.account), requirement


def required(case: Case) -> Iterator[Finding]:
    """Accounts that are not there, or disabled."""
    directory = case.directory
    if directory is None:
        return
    for name, account, requirement in _accounts(case):
        if account is None:
            yield from _absent(case, name, requirement)
        elif account.disabled and account.superseded_state != 2:
            runs = name in case.pool_accounts
            yield finding(
                "account-disabled",
                f"{name} is disabled"
                + (": the pool that runs as it cannot start (503)" if runs else "")
                + _taken_over(case, name),
                severity="error" if runs else "warning",
                at=requirement.applications[0],
                spn=requirement.spn,
                account=name,
                fix=(f"Enable {name}, or run the pool as another account.",),
            )


def _absent(case: Case, name: AccountName, requirement: Requirement) -> Iterator[Finding]:
    directory = case.directory
    if directory is None or not directory.is_complete:
        return
    if not directory.exports("sAMAccountName"):
        return  # setspn text: that it does not name the account says nothing
    covered = directory.covers(name)
    yield finding(
        "account-not-found",
        f"{name} is not in the directory" + (_taken_over(case, name) if covered else _elsewhere(case, name)),
        severity="error" if covered else "warning",
        at=requirement.applications[0],
        spn=requirement.spn,
        account=name,
        fix=(_placing(case, name, covered),),
    )


def _taken_over(case: Case, name: AccountName) -> str:
    """The dMSA that holds what the account must hold: after a migration the pool may still name the old one (R1.10)."""
    if case.directory is None:
        return ""
    needed = [judged.requirement for judged in case.judged if judged.requirement.account == name]
    for requirement in needed:
        for holder in case.directory.seen(requirement.spn):
            if holder.kind == "dMSA":
                return f"; the dMSA {holder.name} holds {requirement.spn}: was the account migrated to it?"
    return ""


def _elsewhere(case: Case, name: AccountName) -> str:
    """Why that proves nothing: its domain was not read whole, or nobody said which one it is."""
    dns = namesakes_domain(case, name)
    if dns is not None:
        return f" under that domain: is {name.domain} the NetBIOS name of {dns}, which has an account of that name?"
    return f", which does not hold all of the domain {name.domain}: it may exist"


def _placing(case: Case, name: AccountName, covered: bool) -> str:
    """What settles where an account is that the directory does not show."""
    if covered:
        if name in case.computer_accounts:
            return "Check the server's name (--computer, machine.json), or export the directory again."
        return "Check the spelling in the pool's userName."
    return same_domain(case, name) or f"Give an export of {name.domain} as well."


def further(case: Case) -> Iterator[Finding]:
    """Computers that decrypt with more than their own key (rule R15.1): each server is told of once."""
    for server in case.servers:
        if server.further is not None and not server.further:
            continue
        listed = ", ".join(map(str, server.further or ()))
        yield finding(
            "alternate-service-account",
            f"the computer decrypts with the key of {listed} too (machine.json)"
            if listed
            else "an Exchange server: it may decrypt with an Alternate Service Account besides its computer account, "
            "which no file of IIS shows",
            server=server.label,
            fix=(f"See which accounts each server has: {SHOW_ALTERNATE}",)
            + (() if listed else ("Put them into additional_kerberos_accounts of machine.json; [] means none.",)),
        )


def superseded(case: Case) -> Iterator[Finding]:
    """Pools that still name an account whose SPNs went to a dMSA (rule R1.10)."""
    directory = case.directory
    if directory is None:
        return
    seen: set[tuple[str, str]] = set()
    for application in case.applications:
        identity = case.identity_of(application)
        key = (application.server, fold(application.pool or ""))
        if identity is None or identity.known is None or application.pool_account is None or key in seen:
            continue
        seen.add(key)
        if application.pool_account != identity.known.name:
            yield finding(
                "account-superseded",
                f"{application.pool_account} was migrated to the dMSA {identity.known.name}, which holds its SPNs now",
                at=application,
                account=identity.known.name,
                holders=(application.pool_account,),
                fix=(f"Register SPNs on {identity.known.name} only, never on {application.pool_account}.",),
            )


# -- group managed service accounts --------------------------------------------------------------------------------

_EVERYBODY = frozenset({"S-1-1-0", "S-1-5-11"})
"""Everyone and Authenticated Users, whose members no group entry lists."""
_BUILTIN = "S-1-5-32"


def managed(case: Case) -> Iterator[Finding]:
    """Servers that may not read the password of the gMSA their pool runs as."""
    for server in case.servers if case.directory is not None else ():
        computer = case.account(server.account)
        for name in sorted(case.pools_in_use.get(server.label, ())):
            identity = case.identities.get((server.label, name))
            account = identity.known if identity is not None else None
            if account is None or account.kind != "gMSA" or computer is None:
                continue
            if may_read(case, computer, account) is False:
                yield _not_allowed(server, account)


def _not_allowed(server: ServerView, account: Account) -> Finding:
    name = word(account.name.name.removesuffix("$")) or "NAME"
    return finding(
        "gmsa-server-not-allowed",
        f"{server.account} may not read the password of {account.name}: the pool does not start here (503)",
        server=server.label,
        account=account.name,
        fix=(
            f"Add {server.account} to the principals that may retrieve it "
            f"(Get-ADServiceAccount {name} -Properties PrincipalsAllowedToRetrieveManagedPassword), then run "
            f"Test-ADServiceAccount {name} on the server.",
        ),
    )


def may_read(case: Case, computer: Account, account: Account) -> bool | None:
    """Whether a computer may read a gMSA's password; None where a reader may be a group that it stands in and that the
    directory does not show.
    """
    readers, directory = account.password_readers, case.directory
    if readers is None or computer.sid is None or directory is None:
        return None
    groups = directory.memberships(computer)
    if readers & {computer.sid, *groups.sids, *_EVERYBODY}:
        return True
    others = readers - {known.sid for known in directory.accounts}
    return False if not others or _are_foreign(directory, computer, others, groups) else None


def _are_foreign(directory: Directory, computer: Account, readers: frozenset[str], groups: Memberships) -> bool:
    """Whether none of the readers, groups or unknown, is a group that the computer stands in.

    memberOf shows the groups of an entry's own domain, but a domain controller does not know the domain local groups
    of another one: where another domain takes part, nothing is proven.
    """
    domain = (computer.sid or "").rpartition("-")[0]
    if not directory.is_complete or not directory.exports("memberOf"):
        return False
    if any(sid.rpartition("-")[0] not in {domain, _BUILTIN} for sid in (*readers, *groups.sids)):
        return False
    if not readers <= set(directory.group_sids.values()):
        return not groups.open
    # a source with other groups of the domain would have these too: what is absent stands in none of them, then
    home = directory.domain_at(computer.dn)
    domains = (directory.domain_at(dn) for dn in groups.open if not dn.startswith("S-1-"))
    return home is not None and home.covered and all(one is not None and one.dn == home.dn for one in domains)


# -- encryption types, passwords, delegation -----------------------------------------------------------------------


_REFUSED = "today's KDC answers KDC_ERR_ETYPE_NOTSUPP (KB5073381), and clients use NTLM"
_WEAK = "tickets for it are weak, and clients that take AES only (Protected Users) get none"


def encryption(case: Case) -> Iterator[Finding]:
    """Keys that KDCs with the updates of April and July 2026 no longer use (KB5073381), and guessable passwords."""
    directory = case.directory
    if directory is None:
        return
    for name, account, requirement in _accounts(case):
        if account is None or account.kind not in {"user", "unknown"}:
            continue
        weak = case.weakness(name)
        if weak is not None:
            yield finding(
                "etype-risk",
                f"{name} {weak.text}: {_REFUSED if weak.is_refused else _WEAK}",
                at=requirement.applications[0],
                spn=requirement.spn,
                account=name,
                fix=weak.fix,
            )
        if account.kind == "user" and account.password_set and case.now - account.password_set > OLD_PASSWORD:
            yield finding(
                "kerberoastable-account",
                f"{name} is a user account with an SPN and a password of {account.password_set:%Y-%m-%d}: "
                "anyone in the domain can ask for a ticket and guess it offline",
                at=requirement.applications[0],
                account=name,
                spn=requirement.spn,
                fix=(
                    "Set a long random password and enter it in every pool that runs as the account, or let a gMSA run "
                    "the pools and hold the SPNs.",
                ),
            )


def delegation(case: Case) -> Iterator[Finding]:
    """Delegation of the accounts that decrypt: too wide, or to SPNs that nobody holds."""
    directory = case.directory
    if directory is None:
        return
    for name, account, requirement in _accounts(case):
        if account is None:
            continue
        if account.unconstrained:
            yield finding(
                "unconstrained-delegation",
                f"{name} is trusted for delegation to any service: whoever controls it can act as every user",
                at=requirement.applications[0],
                account=name,
                fix=("Use constrained delegation, or resource-based delegation on the back end.",),
            )
        yield from _undeliverable(directory, account, requirement)


def _undeliverable(directory: Directory, account: Account, requirement: Requirement) -> Iterator[Finding]:
    """Entries of msDS-AllowedToDelegateTo that lead to nobody, or out of the domain (rules R8.3, R8.6)."""
    home = directory.domain_at(account.dn)
    if home is None or not home.covered or not directory.is_complete:
        return
    answered = directory.held_elsewhere
    domains = {target: answered.get(spn(target), frozenset()) for target in account.delegates_to or ()}
    nowhere = [target for target, held in domains.items() if not held]
    if nowhere:
        yield finding(
            "delegation-broken",
            f"{account.name} may delegate to {', '.join(nowhere)}, which no account holds",
            at=requirement.applications[0],
            account=account.name,
            fix=("Correct msDS-AllowedToDelegateTo, or register the SPN of the back end.",),
        )
    abroad = {target: held for target, held in domains.items() if held and fold(home.dns_name) not in held}
    if abroad:
        others = ", ".join(sorted(set().union(*abroad.values())))
        yield finding(
            "delegation-broken",
            f"{account.name} may delegate to {', '.join(abroad)}, which only {others} holds: constrained delegation "
            f"does not leave the domain {home.dns_name}",
            at=requirement.applications[0],
            account=account.name,
            fix=(
                "Use resource-based delegation, set on the account of the back end "
                "(-PrincipalsAllowedToDelegateToAccount), and take the entry out of msDS-AllowedToDelegateTo: "
                "of both, the KDC looks at this one first.",
            ),
        )
