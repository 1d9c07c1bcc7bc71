"""What is wrong with the accounts that must hold the SPNs: absent, disabled, superseded, weak, delegated too far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from agent.case import Case, finding
from agent.checks.spns import required_account
from agent.directory import Account
from agent.identity import superseding
from agent.model import Finding, Requirement
from agent.names import AccountName, fold
from agent.require import ServerView

OLD_PASSWORD = timedelta(days=365)
"""pwdLastSet older than this on a user account with an SPN invites offline guessing of its password."""

AES = 0x18  # msDS-SupportedEncryptionTypes: AES128 and AES256 (MS-KILE 2.2.7)
WEAK = 0x7  # DES and RC4


def _accounts(case: Case) -> Iterator[tuple[AccountName, Account | None, Requirement]]:
    """Each account that must hold an SPN, once, with the first requirement that says so."""
    seen: set[AccountName] = set()
    for judged in case.judged:
        requirement = judged.requirement
        if requirement.account is not None and requirement.account not in seen and requirement.need != "optional":
            seen.add(requirement.account)
            yield requirement.account, required_account(case, requirement), requirement


def required(case: Case) -> Iterator[Finding]:
    """Accounts that are not there, or disabled."""
    directory = case.directory
    if directory is None:
        return
    for name, account, requirement in _accounts(case):
        if account is None:
            yield from _absent(case, name, requirement)
        elif account.disabled and superseding(account, directory) is None:
            runs = name in case.pool_accounts
            yield finding(
                "account-disabled",
                f"{name} is disabled" + (": the pool that runs as it cannot start (503)" if runs else ""),
                severity="error" if runs else "warning",
                at=requirement.applications[0],
                spn=requirement.spn,
                account=name,
                fix=(f"Enable {name}, or run the pool as another account.",),
            )


def _absent(case: Case, name: AccountName, requirement: Requirement) -> Iterator[Finding]:
    directory = case.directory
    if directory is None or not directory.is_complete or "<" in str(name):
        return
    if not directory.exports("sAMAccountName"):
        return  # setspn text: that it does not name the account says nothing
    covered = directory.covers(name.domain)
    yield finding(
        "account-not-found",
        f"{name} is not in the directory"
        + ("" if covered else f", which does not hold all of the domain {name.domain}: it may exist"),
        severity="error" if covered else "warning",
        at=requirement.applications[0],
        spn=requirement.spn,
        account=name,
        fix=("Check the spelling in the pool's userName." if covered else f"Give an export of {name.domain} as well.",),
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

_DOMAIN_COMPUTERS = "515"


def managed(case: Case) -> Iterator[Finding]:
    """Servers that may not read the password of the gMSA their pool runs as."""
    for server in case.servers:
        computer = case.account(server.machine.account)
        for name in sorted(case.pools_in_use.get(server.label, ())):
            identity = case.identities.get((server.label, name))
            account = identity.known if identity is not None else None
            if account is None or account.kind != "gMSA" or computer is None:
                continue
            if _may_read(case, computer, account) is False:
                yield _not_allowed(server, account)


def _not_allowed(server: ServerView, account: Account) -> Finding:
    name = account.name.name.removesuffix("$")
    return finding(
        "gmsa-server-not-allowed",
        f"{server.machine.account} may not read the password of {account.name}: the pool does not start here (503)",
        server=server.label,
        account=account.name,
        fix=(
            f"Add {server.machine.account} to the principals that may retrieve it "
            f"(Get-ADServiceAccount {name} -Properties PrincipalsAllowedToRetrieveManagedPassword), then run "
            f"Test-ADServiceAccount {name} on the server.",
        ),
    )


def _may_read(case: Case, computer: Account, account: Account) -> bool | None:
    """None where a reader is a group whose members are not known."""
    readers = account.password_readers
    if readers is None or computer.sid is None or case.directory is None:
        return None
    groups = {case.directory.group_sids.get(fold(dn)) for dn in computer.member_of}
    mine = {computer.sid, f"{computer.sid.rpartition('-')[0]}-{_DOMAIN_COMPUTERS}", *groups}
    if readers & mine:
        return True
    known = {a.sid for a in case.directory.accounts} | set(case.directory.group_sids.values())
    nested = readers & set(case.directory.group_sids.values())
    return False if readers <= known and not nested else None


# -- encryption types, passwords, delegation -----------------------------------------------------------------------


def encryption(case: Case) -> Iterator[Finding]:
    """Keys that KDCs with the updates of April and July 2026 no longer use (KB5073381), and guessable passwords."""
    directory = case.directory
    if directory is None:
        return
    for name, account, requirement in _accounts(case):
        if account is None or account.kind not in {"user", "unknown"}:
            continue
        risk = _etype_risk(case, account)
        if risk is not None:
            yield finding(
                "etype-risk",
                f"{name} {risk}: the KDC answers KDC_ERR_ETYPE_NOTSUPP and clients use NTLM",
                at=requirement.applications[0],
                spn=requirement.spn,
                account=name,
                fix=("Reset its password, which makes AES keys, and set msDS-SupportedEncryptionTypes to 24 (0x18).",),
            )
        if account.kind == "user" and account.password_set and case.now - account.password_set > OLD_PASSWORD:
            yield finding(
                "kerberoastable-account",
                f"{name} is a user account with an SPN and a password of {account.password_set:%Y-%m-%d}: "
                "anyone in the domain can ask for a ticket and guess it offline",
                at=requirement.applications[0],
                account=name,
                spn=requirement.spn,
                fix=("Use a gMSA, or set a long random password.",),
            )


def _etype_risk(case: Case, account: Account) -> str | None:
    directory = case.directory
    if directory is None or not directory.exports("msDS-SupportedEncryptionTypes"):
        return None
    types = account.encryption_types or 0
    if types & WEAK and not types & AES:
        return f"allows DES or RC4 only (msDS-SupportedEncryptionTypes {types:#x})"
    if types & (AES | WEAK) or account.password_set is None or directory.aes_since is None:
        return None
    if account.password_set < directory.aes_since:
        return f"has a password of {account.password_set:%Y-%m-%d}, older than the domain's AES keys, and no own value"
    return None


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
        broken = [target for target in account.delegates_to or () if not _is_held(case, target)]
        if broken and directory.is_complete and directory.covers(name.domain):
            yield finding(
                "delegation-broken",
                f"{name} may delegate to {', '.join(broken)}, which no account holds",
                at=requirement.applications[0],
                account=name,
                fix=("Correct msDS-AllowedToDelegateTo, or register the SPN of the back end.",),
            )


def _is_held(case: Case, target: str) -> bool:
    from agent.names import spn

    return case.directory is not None and (
        spn(target) in case.directory.held_elsewhere or bool(case.directory.answers(spn(target)))
    )
