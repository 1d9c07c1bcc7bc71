"""The sentences that say what to change for one broken requirement, the least invasive way first (rules R6.6)."""

from __future__ import annotations

from agent.case import Case
from agent.commands import appcmd, setspn
from agent.model import Application, Requirement
from agent.names import AccountName, Spn

PURGE = "Afterwards run `klist purge` on the client; clients remember a missing SPN for 15 minutes."


def add(case: Case, name: Spn, account: AccountName) -> str:
    """The sentence that adds an SPN."""
    line = setspn("-S", name, account, computer=case.is_computer(account))
    return f"Register it: {line}" if line else f"Register {name} on {account} by hand: it cannot be quoted safely."


def delete(case: Case, name: Spn, account: AccountName) -> str:
    """The sentence that takes an SPN away, with the question to ask where nobody inspected the holder's use of it."""
    line = setspn("-D", name, account, computer=case.is_computer(account))
    asked = "" if _is_used(case, account) else f" (ask the owner of {account} first: no inspected pool uses it)"
    return f"Remove it: {line}{asked}" if line else f"Remove {name} from {account} by hand{asked}."


def _is_used(case: Case, account: AccountName) -> bool:
    return account in case.pool_accounts or account in case.computer_accounts


def setting(application: Application, attribute: str, value: str) -> str:
    """The sentence that changes an IIS setting, for the application where it decides."""
    line = appcmd(application.site, "" if application.path == "/" else application.path, attribute, value)
    where = f"{application.site}{application.path}"
    return f"Set {attribute}={value}: {line}" if line else f"Set {attribute}={value} for {where} in IIS Manager."


def missing(case: Case, requirement: Requirement) -> tuple[str, ...]:
    """Nobody answers: add it."""
    if requirement.account is None:
        return ()
    return (add(case, requirement.spn, requirement.account), PURGE)


def wrong_holder(case: Case, requirement: Requirement, applications: list[Application]) -> tuple[str, ...]:
    """One holder, the wrong one: let HOST/ serve, or let the setting follow the SPN, or move the SPN."""
    holder = requirement.holders[0] if requirement.holders else None
    if holder is None or requirement.account is None:
        return ()
    if requirement.need == "covered":
        return (f"{delete(case, requirement.spn, holder)} ({requirement.covered_by} then answers.)", PURGE)
    if _setting_suffices(case, applications, holder):
        return tuple(setting(a, "useAppPoolCredentials", "true") for a in applications)
    if requirement.account not in case.computer_accounts and only_own_names(case, applications):
        return _back_to_computer(applications)
    return (delete(case, requirement.spn, holder), add(case, requirement.spn, requirement.account), PURGE)


def _setting_suffices(case: Case, applications: list[Application], holder: AccountName) -> bool:
    """The SPN stands on the account of the very pool, only kernel mode keeps the pool from decrypting."""
    return bool(applications) and all(
        a.decryption == "computer"
        and a.pool_account is not None
        and (identity := case.identity_of(a)) is not None
        and identity.account == holder
        for a in applications
    )


def only_own_names(case: Case, applications: list[Application]) -> bool:
    """Nothing but the computer's own names is served, so that HOST/ answers once the computer decrypts."""
    return bool(applications) and all(
        host.host in case.by_label[a.server].names.own for a in applications for host in a.hosts
    )


def _back_to_computer(applications: list[Application]) -> tuple[str, ...]:
    lines = []
    for application in applications:
        settings = application.windows_auth
        if settings is not None and not settings.kernel_mode:
            lines.append(setting(application, "useKernelMode", "true"))
        if settings is None or settings.pool_credentials:
            lines.append(setting(application, "useAppPoolCredentials", "false"))
    return (*lines, "The computer then decrypts and its HOST/ SPN answers; nothing changes in AD.")


def shadowed(case: Case, requirement: Requirement, applications: list[Application]) -> tuple[str, ...]:
    """HOST/ on another account answers: the own name wants the computer, a custom name wants an explicit SPN."""
    if requirement.account is None:
        return ()
    if requirement.spn in case.own_spns:
        if only_own_names(case, applications):
            return _back_to_computer(applications)
        return (
            "Give the site a host header of its own with a DNS A record, and register that name: "
            f"{requirement.spn} on {requirement.account} would break WinRM on the server.",
        )
    return (add(case, requirement.spn, requirement.account), PURGE)


def duplicate(case: Case, requirement: Requirement) -> tuple[str, ...]:
    """Leave the SPN on the account that decrypts; never run -S while the duplicate stands."""
    lines = [delete(case, requirement.spn, h) for h in requirement.holders or () if h != requirement.account]
    if requirement.account is not None and requirement.account not in (requirement.holders or ()):
        lines.append(f"then {add(case, requirement.spn, requirement.account)}")
    return (*lines, PURGE) if requirement.holders else ("Leave the HOST/ SPN on one account only.",)
