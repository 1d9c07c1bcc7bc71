"""How to repair one broken requirement: the ways there are, the least invasive first (contract, rules R6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.case import Case, Judged
from agent.commands import appcmd, is_safe, setspn
from agent.model import Application, Requirement, StepKind
from agent.names import AccountName, HostName, Spn, fold, http_spn, printable
from agent.verdict import is_account

PURGE = "Afterwards run `klist purge` on the client; clients remember a missing SPN for 15 minutes."
HOST_HEADER = "Give the site a host header of its own with a DNS A record, and register that name on {account}."


class Action(NamedTuple):
    """One change: the command that makes it, the one that takes it back, and a sentence that says both to a person."""

    kind: StepKind
    spn: Spn | None
    account: AccountName | None
    command: str
    rollback: str
    sentence: str


class Way(NamedTuple):
    """One complete way to repair; `why` says when one would choose it."""

    why: str
    actions: tuple[Action, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The way as the `fix` of a finding."""
        spoken = tuple(action.sentence for action in self.actions)
        return (*spoken, PURGE) if any(action.kind.startswith("spn") for action in self.actions) else spoken


class Remedy(NamedTuple):
    """The ways to repair a finding, the recommended one first; without any, `blocked` says why."""

    ways: tuple[Way, ...]
    blocked: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.ways[0].sentences if self.ways else (self.blocked,) if self.blocked else ()


# -- actions -------------------------------------------------------------------------------------------------------


def add(case: Case, name: Spn, account: AccountName) -> Action:
    """Register an SPN."""
    command, rollback = _pair(case, "-S", "-D", name, account)
    if command is None or rollback is None:
        return _by_hand(name, account, "register {spn} on {account}", "remove it again")
    warning = _winrm_warning(case, name, account)
    return Action("spn-add", name, account, command, rollback, f"Register it: {command}{warning}")


def delete(case: Case, name: Spn, account: AccountName) -> Action:
    """Take an SPN away; where nobody inspected what the account is used for, its owner must be asked."""
    command, rollback = _pair(case, "-D", "-S", name, account)
    if command is None or rollback is None:
        return _by_hand(name, account, "remove {spn} from {account}", "register it again")
    asked = "" if is_inspected(case, account) else f" (ask the owner of {account} first: no inspected pool uses it)"
    return Action("spn-delete", name, account, command, rollback, f"Remove it: {command}{asked}")


def _pair(case: Case, do: str, undo: str, name: Spn, account: AccountName) -> tuple[str | None, str | None]:
    computer = case.is_computer(account)
    return setspn(do, name, account, computer=computer), setspn(undo, name, account, computer=computer)


def _by_hand(name: Spn, account: AccountName, text: str, undo: str) -> Action:
    said = text.format(spn=printable(name.text), account=printable(str(account)))
    sentence = f"By hand, as the name cannot be quoted safely: {said}."
    return Action("manual", name, account, sentence, f"By hand: {undo}.", sentence)


def _winrm_warning(case: Case, name: Spn, account: AccountName) -> str:
    if name not in case.own_spns or case.is_computer(account):
        return ""
    return " (this breaks WinRM and every other http.sys service of the computer for this name)"


def is_inspected(case: Case, account: AccountName) -> bool:
    """Whether the use of the account was looked at: an inspected pool runs as it, or it is an inspected computer."""
    return account in case.pool_accounts or account in case.computer_accounts


def set_auth(application: Application, attribute: str, value: bool) -> Action:
    """Change one windowsAuthentication attribute of an application, in the file its present value comes from."""
    path = "" if application.path == "/" else application.path
    new, old = str(value).lower(), str(not value).lower()
    where = f"{application.site}{application.path}"
    nearby = _is_in_web_config(application, attribute)
    command = appcmd(application.site, path, attribute, new, in_web_config=nearby)
    rollback = appcmd(application.site, path, attribute, old, in_web_config=nearby)
    on = f"on {printable(application.server)}"
    if command is None or rollback is None:
        sentence = f"In IIS Manager {on} set {attribute}={new} for {printable(where)}."
        return Action("manual", None, None, sentence, sentence.replace(f"={new}", f"={old}"), sentence)
    said = f"Set {attribute}={new} {on}: {command}"
    return Action("iis-setting", None, application.decrypts_as, command, rollback, said)


def _is_in_web_config(application: Application, attribute: str) -> bool:
    origins = application.origins
    origin = origins.kernel_mode if attribute == "useKernelMode" else origins.pool_credentials
    return origin is not None and fold(origin.file or "").endswith("web.config")


# -- what a change would break -------------------------------------------------------------------------------------


def applications_of(case: Case, requirement: Requirement) -> list[Application]:
    """The applications that want a requirement."""
    return [case.application_at[reference] for reference in requirement.applications]


def only_own_names(case: Case, applications: Sequence[Application]) -> bool:
    """Nothing but the computer's own names is served, so that HOST/ answers once the computer decrypts."""
    return bool(applications) and all(
        host.host in case.by_label[a.server].names.own for a in applications for host in a.hosts
    )


def _is_wanted_there(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether another requirement needs the SPN on this very account."""
    judged = case.judged_at.get((name, account))
    return judged is not None and judged.requirement.need != "optional"


def _runs_as(case: Case, applications: Iterable[Application], account: AccountName) -> bool:
    """Whether the pools of all these applications run as the account, so that a setting lets it decrypt."""
    identities = [case.identity_of(application) for application in applications]
    return bool(identities) and all(i is not None and i.certain and i.account == account for i in identities)


def _breaks_working(case: Case, applications: Sequence[Application]) -> bool:
    """Whether another name of these applications works today because the present account decrypts."""
    return any(
        judged.requirement.outcome == "kerberos" and judged.requirement.need in {"explicit", "covered"}
        for application in applications
        for judged in case.judged_for(application)
        if judged.requirement.account == application.decrypts_as
    )


def _to_pool(applications: Iterable[Application]) -> tuple[Action, ...]:
    return tuple(set_auth(application, "useAppPoolCredentials", True) for application in applications)


def _to_computer(applications: Iterable[Application]) -> tuple[Action, ...]:
    actions = []
    for application in applications:
        settings = application.windows_auth
        if settings is not None and not settings.kernel_mode:
            actions.append(set_auth(application, "useKernelMode", True))
        if settings is not None and settings.pool_credentials:
            actions.append(set_auth(application, "useAppPoolCredentials", False))
    return tuple(actions)


# -- remedies ------------------------------------------------------------------------------------------------------


def remedy(case: Case, judged: Judged) -> Remedy:
    """The ways to make one requirement end in Kerberos."""
    requirement = judged.requirement
    account = requirement.account
    if account is None:
        return Remedy((), "No account can hold the SPN: change the identity or the settings of the pool first.")
    if _is_absent(case, account):
        return Remedy((), f"{account} is not in the directory: correct the pool's userName first.")
    if judged.wanted.variant_of:
        return _variant(case, requirement, account, judged.wanted.variant_of)
    if requirement.outcome == "duplicate":
        return _duplicate(case, requirement, account)
    if requirement.outcome == "modified":
        if requirement.holders:
            return _misplaced(case, requirement, account, requirement.holders[0])
        return _shadowed(case, requirement, account)
    return Remedy((Way("register the SPN", (add(case, requirement.spn, account),)),))


def _is_absent(case: Case, account: AccountName) -> bool:
    directory = case.directory
    return directory is not None and directory.covers(account.domain) and case.account(account) is None


def _move(case: Case, requirement: Requirement, account: AccountName, holder: AccountName) -> Way:
    return Way(
        f"move the SPN to {account}",
        (delete(case, requirement.spn, holder), add(case, requirement.spn, account)),
    )


def _misplaced(case: Case, requirement: Requirement, account: AccountName, holder: AccountName) -> Remedy:
    applications = applications_of(case, requirement)
    if _is_wanted_there(case, requirement.spn, holder):
        return Remedy((), f"Another application needs {requirement.spn} on {holder}: settle the conflict first.")
    setting = None
    if all(a.decryption == "computer" for a in applications) and _runs_as(case, applications, holder):
        setting = Way(f"let {holder} decrypt, nothing changes in AD", _to_pool(applications))
    ways: list[Way] = []
    if requirement.need == "covered" and _host_serves(case, requirement, account):
        ways.append(Way(f"{requirement.covered_by} then answers", (delete(case, requirement.spn, holder),)))
    elif setting is not None and not _breaks_working(case, applications):
        ways.append(setting)
    elif account not in case.computer_accounts and only_own_names(case, applications):
        ways.append(_back(case, requirement, applications, holder))
    ways.append(_move(case, requirement, account, holder))
    if setting is not None and setting not in ways and not _breaks_working(case, applications):
        ways.append(setting)
    return Remedy(tuple(ways))


def _host_serves(case: Case, requirement: Requirement, account: AccountName) -> bool:
    """Whether the HOST/ SPN is on the computer alone."""
    if case.directory is None:
        return False
    holders = case.directory.holders(requirement.spn.with_service("HOST"))
    return len(holders) == 1 and is_account(holders[0], account, case.directory)


def _back(case: Case, requirement: Requirement, applications: list[Application], holder: AccountName | None) -> Way:
    actions = list(_to_computer(applications))
    if holder is not None and holder not in case.computer_accounts:
        actions.append(delete(case, requirement.spn, holder))
    return Way("the computer decrypts, its HOST/ SPN answers", tuple(actions))


def _shadowed(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    explicit = Way(f"an explicit SPN wins over HOST/; {account} decrypts", (add(case, requirement.spn, account),))
    if requirement.spn not in case.own_spns or case.is_computer(account):
        return Remedy((explicit,))
    applications = applications_of(case, requirement)
    if only_own_names(case, applications):
        return Remedy((_back(case, requirement, applications, None), explicit))
    text = HOST_HEADER.format(account=account)
    return Remedy((Way("WinRM goes on working", (_manual(text),)), explicit))


def _manual(text: str) -> Action:
    return Action("manual", None, None, text, "Take the change back by hand.", text)


def _duplicate(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    wrong = [holder for holder in requirement.holders or () if holder != account]
    if any(_is_wanted_there(case, requirement.spn, holder) for holder in wrong):
        return Remedy((), f"Several applications need {requirement.spn} on different accounts: settle that first.")
    actions = [delete(case, requirement.spn, holder) for holder in wrong]
    held = account in (requirement.holders or ())
    if not held and not (wrong and requirement.need == "covered" and _host_serves(case, requirement, account)):
        actions.append(add(case, requirement.spn, account))
    return Remedy((Way(f"leave the SPN on {account} only", tuple(actions)),))


def _variant(case: Case, requirement: Requirement, account: AccountName, typed: tuple[HostName, ...]) -> Remedy:
    """An alias: an A record where the canonical name is a computer's own, else the canonical name's SPN as well."""
    server = case.by_label[requirement.applications[0].server]
    addresses = server.machine.addresses
    records = [_record(host, requirement.spn.host, addresses[0] if addresses else "") for host in typed]
    own = [add(case, name, account) for name in map(http_spn, typed) if not _is_held(case, name, account)]
    record = Way("clients then ask for the name as typed", (*records, *own))
    if requirement.spn in case.own_spns:
        return Remedy((record,))
    if requirement.outcome == "ntlm-fallback":
        return Remedy((Way("the alias keeps its CNAME", (add(case, requirement.spn, account),)), record))
    return Remedy((record,))


def _is_held(case: Case, name: Spn, account: AccountName) -> bool:
    return case.directory is not None and any(
        is_account(holder, account, case.directory) for holder in case.directory.holders(name)
    )


def _record(host: HostName, canonical: HostName, address: str) -> Action:
    sentence = f"In DNS replace the alias {host} by an A record{f' ({address})' if address else ''}."
    zone, name = host.suffix, host.first_label.text
    if not (address and zone and is_safe(zone) and is_safe(name) and is_safe(canonical.text)):
        return Action("dns", None, None, sentence, f"Make {host} an alias of {canonical} again.", sentence)
    gone, new = f"dnscmd /RecordDelete {zone} {name}", f"dnscmd /RecordAdd {zone} {name}"
    command = f"{gone} CNAME /f && {new} A {address}"
    rollback = f"{gone} A /f && {new} CNAME {canonical}."
    return Action("dns", None, None, command, rollback, f"{sentence[:-1]}: {command}")


def advice(case: Case, judged: Judged) -> tuple[str, ...]:
    """What must be done for one requirement: the repair or, where nobody looked, how to look and what to expect."""
    requirement = judged.requirement
    if requirement.outcome in {"modified", "duplicate", "ntlm-fallback"}:
        return remedy(case, judged).sentences if requirement.need != "optional" else ()
    if requirement.outcome == "uncertain" and requirement.holders and is_safe(requirement.spn.text):
        return (
            "The explicit SPN and the HOST/ SPN are in two domains, and no document says which one the KDC takes: "
            f"klist get {requirement.spn}",
        )
    if requirement.outcome != "unchecked" or requirement.account is None or requirement.need == "optional":
        return ()
    if not is_safe(requirement.spn.text):
        return ()
    look = f"See who holds it: setspn -F -Q {requirement.spn}"
    if requirement.need == "covered":
        return (look, f"Nobody needs to hold it: {requirement.covered_by} serves. Any other holder breaks the site.")
    return (look, f"Where nobody does: {add(case, requirement.spn, requirement.account).command}")


# -- farms ---------------------------------------------------------------------------------------------------------


def farm_remedy(case: Case, name: Spn) -> Remedy:
    """One account for all servers behind a name: the one their pools run as already, where it is the same."""
    judged = [j for j in case.judged if j.requirement.spn == name and j.requirement.need != "optional"]
    applications = [a for j in judged for a in applications_of(case, j.requirement)]
    identities = [case.identity_of(application) for application in applications]
    accounts = {identity.account for identity in identities if identity is not None and identity.certain}
    account = next(iter(accounts)) if len(accounts) == 1 else None
    if account is None or None in identities:
        text = "The pools behind the name run as different accounts: choose one domain account or gMSA for all nodes."
        return Remedy((), text)
    differing = [a for a in applications if a.decrypts_as != account]
    if any(a.decryption != "computer" for a in differing) or _breaks_working(case, differing):
        return Remedy((), "Another name of these applications works with the computer account: separate them first.")
    holders = case.directory.holders(name) if case.directory is not None else ()
    wrong = [h.name for h in holders if case.directory and not is_account(h, account, case.directory)]
    actions = [*_to_pool(differing), *(delete(case, name, holder) for holder in wrong)]
    if case.directory is not None and not _is_held(case, name, account):
        actions.append(add(case, name, account))
    return Remedy((Way(f"every node decrypts as {account}", tuple(actions)),))
