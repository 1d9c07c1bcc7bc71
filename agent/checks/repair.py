"""How to repair one broken requirement: the ways there are, the least invasive first (contract, rules R6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.checks.case import Case, Judged
from agent.checks.commands import appcmd, is_safe, setspn
from agent.model import Application, ApplicationRef, PrincipalKind, Requirement, StepKind
from agent.names import AccountName, HostName, Spn, fold, http_spn, printable
from agent.spn.directory import Account
from agent.spn.verdict import is_account

PURGE = "Afterwards run `klist purge` on the client; clients remember a missing SPN for 15 minutes."


class Action(NamedTuple):
    """One change: the command that makes it, the one that takes it back, and a sentence that says both to a person.

    An iis-setting says for which application it is and, where it lets the pool decrypt, on which SPN and holder it
    relies.
    """

    kind: StepKind
    spn: Spn | None
    account: AccountName | None
    command: str
    rollback: str
    sentence: str
    at: ApplicationRef | None = None
    account_kind: PrincipalKind | None = None
    dn: str | None = None
    confirm: bool = False


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
    object_ = _Object.of(case, account)
    command, rollback = object_.setspn("-S", name), object_.setspn("-D", name)
    if command is None or rollback is None:
        return _by_hand(name, account, "register {spn} on {account}", "remove it again")
    warning = _winrm_warning(case, name, account)
    said = f"Register it: {command}{warning}"
    return Action("spn-add", name, account, command, rollback, said, None, object_.kind, object_.dn)


def delete(case: Case, name: Spn, account: AccountName) -> Action:
    """Take an SPN away; where nobody inspected what the account is used for, its owner must be asked."""
    object_ = _Object.of(case, account)
    stored = object_.stored(name)
    command, rollback = object_.setspn("-D", stored), object_.setspn("-S", stored)
    if command is None or rollback is None:
        return _by_hand(stored, account, "remove {spn} from {account}", "register it again")
    ask = not is_inspected(case, account)
    asked = f" (ask the owner of {account} first: no inspected pool uses it)" if ask else ""
    said = f"Remove it: {command}{asked}"
    return Action("spn-delete", stored, account, command, rollback, said, None, object_.kind, object_.dn, ask)


class _Object(NamedTuple):
    """The account object that a step changes, as far as it is known."""

    name: AccountName
    kind: PrincipalKind | None
    known: Account | None

    @classmethod
    def of(cls, case: Case, name: AccountName) -> _Object:
        known = case.account(name)
        if case.is_computer(name):
            return cls(name, "computer", known)
        if known is not None:
            return cls(name, _KINDS.get(known.kind), known)
        return cls(name, None if name.name.endswith("$") else "user", None)

    @property
    def dn(self) -> str | None:
        return self.known.dn if self.known is not None else None

    def stored(self, name: Spn) -> Spn:
        """The value as the directory has it: a rollback must restore its exact letters."""
        spns = self.known.spns if self.known is not None else ()
        return next((held for held in spns if held.key == name.key), name)  # an account may hold a thousand

    def setspn(self, action: str, name: Spn) -> str | None:
        computer = {"computer": True, "user": False}.get(self.kind or "")
        return setspn(action, name, self.name, computer=computer)


_KINDS: Mapping[str, PrincipalKind] = {
    "user": "user",
    "computer": "computer",
    "gMSA": "managed",
    "sMSA": "managed",
    "dMSA": "managed",
}


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
    if account in case.pool_accounts or account in case.computer_accounts:
        return True
    known = case.account(account)
    return known is not None and known.kind == "unknown" and known.identity in case.inspected_objects


def set_auth(
    application: Application, attribute: str, value: bool, spn: Spn | None = None, holder: AccountName | None = None
) -> Action:
    """Change one windowsAuthentication attribute of an application, in the file its present value comes from."""
    path = "" if application.path == "/" else application.path
    new, old = str(value).lower(), str(not value).lower()
    where = f"{application.site}{application.path}"
    nearby = _is_in_web_config(application, attribute)
    command = appcmd(application.site, path, attribute, new, in_web_config=nearby)
    rollback = appcmd(application.site, path, attribute, old, in_web_config=nearby)
    on = f"on {printable(application.server)}"
    at = ApplicationRef(application.server, application.site, application.path)
    if command is None or rollback is None:
        sentence = f"In IIS Manager {on} set {attribute}={new} for {printable(where)}."
        back = f"In IIS Manager {on} set {attribute}={old} for {printable(where)}."
        return Action("manual", spn, holder, sentence, back, sentence, at)
    said = f"Set {attribute}={new} {on}: {command}"
    return Action("iis-setting", spn, holder, command, rollback, said, at)


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


class _Joined(NamedTuple):
    """Applications that share names and decrypt with one account: a setting changes for all of them or for none."""

    applications: tuple[Application, ...]
    requirements: tuple[Requirement, ...]

    @property
    def has_own_places(self) -> bool:
        """Whether a directory below has settings of its own, which a change at the application does not reach."""
        return any(place.negotiates for application in self.applications for place in application.places)


def _joined(case: Case, requirement: Requirement) -> _Joined:
    applications: dict[tuple[str, str, str], Application] = {}
    requirements: dict[Spn, Requirement] = {requirement.spn: requirement}
    open_ends = [requirement]
    while open_ends:
        for application in applications_of(case, open_ends.pop()):
            key = (application.server, application.site, application.path)
            if key in applications:
                continue
            applications[key] = application
            for judged in case.judged_for(application):
                other = judged.requirement
                matters = other.account == requirement.account and other.need != "optional"
                if matters and other.spn not in requirements:
                    requirements[other.spn] = other
                    open_ends.append(other)
    return _Joined(tuple(applications.values()), tuple(requirements.values()))


def _is_answered_by(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether the KDC would pick this account and no other."""
    if case.directory is None:
        return False
    answers = case.directory.answers(name)
    return len(answers) == 1 and is_account(answers[0], account, case.directory)


def _wrong_holders(case: Case, name: Spn, account: AccountName) -> list[AccountName]:
    if case.directory is None:
        return []
    return [h.name for h in case.directory.holders(name) if not is_account(h, account, case.directory)]


def _let_pool(case: Case, requirement: Requirement, holder: AccountName) -> Way | None:
    """Let the pool's account decrypt, where it holds every SPN of these applications already."""
    joined = _joined(case, requirement)
    if joined.has_own_places or any(a.decryption != "computer" for a in joined.applications):
        return None
    if not _runs_as(case, joined.applications, holder):
        return None
    if not all(_is_answered_by(case, other.spn, holder) for other in joined.requirements):
        return None
    settings = [set_auth(a, "useAppPoolCredentials", True, requirement.spn, holder) for a in joined.applications]
    return Way(f"let {holder} decrypt, nothing changes in AD", tuple(settings))


def _let_computer(case: Case, requirement: Requirement) -> Way | None:
    """Let the computer decrypt, where only its own names are served and its HOST/ SPNs answer for all of them."""
    joined = _joined(case, requirement)
    servers = {application.server for application in joined.applications}
    if len(servers) != 1 or joined.has_own_places or not only_own_names(case, joined.applications):
        return None
    if not all(_can_use_kernel_mode(application) for application in joined.applications):
        return None
    computer = case.by_label[servers.pop()].machine.account
    actions = list(_to_computer(joined.applications))
    for other in joined.requirements:
        wrong = _wrong_holders(case, other.spn, computer)
        wanted = any(_is_wanted_there(case, other.spn, holder) for holder in wrong if holder != requirement.account)
        if wanted or not _host_serves(case, other, computer):
            return None
        actions += [delete(case, other.spn, holder) for holder in wrong]
    return Way("the computer decrypts, its HOST/ SPN answers", tuple(actions))


def _can_use_kernel_mode(application: Application) -> bool:
    """`Negotiate:Kerberos` and kernel mode exclude each other."""
    settings = application.windows_auth
    return settings is not None and all(fold(name) != "negotiate:kerberos" for name in settings.providers)


def _to_computer(applications: Iterable[Application]) -> Iterator[Action]:
    for application in applications:
        settings = application.windows_auth
        if settings is not None and not settings.kernel_mode:
            yield set_auth(application, "useKernelMode", True)
        if settings is not None and settings.pool_credentials:
            yield set_auth(application, "useAppPoolCredentials", False)


# -- remedies ------------------------------------------------------------------------------------------------------


def remedy(case: Case, judged: Judged) -> Remedy:
    """The ways to make one requirement end in Kerberos."""
    requirement = judged.requirement
    account = requirement.account
    if account is None:
        return Remedy((), "No account can hold the SPN: change the identity or the settings of the pool first.")
    if _is_absent(case, account):
        return Remedy((), f"{account} is not in the directory: correct the pool's userName first.")
    if judged.wanted.variant_of and not _is_own_name_of(case, requirement.spn.host, account):
        return _variant(case, requirement, account, judged.wanted.variant_of)
    if requirement.holders:
        return _misplaced(case, requirement, account)
    return _unregistered(case, requirement, account)


def _is_absent(case: Case, account: AccountName) -> bool:
    directory = case.directory
    return directory is not None and directory.covers(account.domain) and case.account(account) is None


def _misplaced(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """Wrong accounts hold the SPN, perhaps besides the right one."""
    name = requirement.spn
    wrong = _wrong_holders(case, name, account)
    if any(_is_wanted_there(case, name, holder) for holder in wrong):
        return Remedy((), f"Another application needs {name} on {wrong[0]}: settle the conflict first.")
    deletes = tuple(delete(case, name, holder) for holder in wrong)
    if _is_held(case, name, account):
        return Remedy((Way(f"leave the SPN on {account} only", deletes),))
    move = Way(f"move the SPN to {account}", (*deletes, add(case, name, account)))
    setting = _let_pool(case, requirement, wrong[0]) if len(wrong) == 1 else None
    if _is_name_of_another(case, requirement):
        return _another_name(requirement)
    if requirement.need == "covered" and _host_serves(case, requirement, account):
        first: Way | None = Way(f"{requirement.covered_by} then answers", deletes)
    else:
        first = setting or _instead_of_own_name(case, requirement, account)
    ways = dict.fromkeys(way for way in (first, move, setting) if way is not None)
    return Remedy(tuple(ways))


def _instead_of_own_name(case: Case, requirement: Requirement, account: AccountName) -> Way | None:
    """What is better than `HTTP/<computer name>` on another account, which breaks WinRM (rules R6.6, R6.7)."""
    if requirement.spn not in case.own_spns or case.is_computer(account):
        return None
    return _let_computer(case, requirement) or Way("WinRM goes on working", (_manual(_host_header(requirement)),))


def _host_header(requirement: Requirement) -> str:
    places = dict.fromkeys(f"{place.site} on {place.server}" for place in requirement.applications)
    return (
        f"Give {printable(', '.join(places))} a host header of its own with a DNS A record, and register that name on "
        f"{printable(str(requirement.account))}."
    )


def _host_serves(case: Case, requirement: Requirement, account: AccountName) -> bool:
    """Whether the HOST/ SPN is on the computer alone."""
    if case.directory is None:
        return False
    holders = case.directory.holders(requirement.spn.with_service("HOST"))
    return len(holders) == 1 and is_account(holders[0], account, case.directory)


def _is_name_of_another(case: Case, requirement: Requirement) -> bool:
    """Whether the name is an inspected computer's own, and sites of another server want it."""
    owner = case.own_spns.get(requirement.spn)
    return owner is not None and all(place.server != owner.label for place in requirement.applications)


def _another_name(requirement: Requirement) -> Remedy:
    """What would serve here would break the computer that the name belongs to."""
    text = f"{requirement.spn.host} is another server's own name. {_host_header(requirement)}"
    return Remedy((Way("the other server goes on working", (_manual(text),)),))


def _unregistered(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """No account has the SPN; a HOST/ SPN of another one may answer for it."""
    why = f"an explicit SPN wins over HOST/; {account} decrypts" if requirement.answers else "register the SPN"
    explicit = Way(why, (add(case, requirement.spn, account),))
    if _is_name_of_another(case, requirement):
        return _another_name(requirement)
    better = _instead_of_own_name(case, requirement, account)
    return Remedy((explicit,) if better is None else (better, explicit))


def _manual(text: str) -> Action:
    return Action("manual", None, None, text, "Take the change back by hand.", text)


def _is_own_name_of(case: Case, host: HostName, account: AccountName) -> bool:
    owner = case.own_spns.get(http_spn(host))
    return owner is not None and owner.machine.account == account


def _variant(case: Case, requirement: Requirement, account: AccountName, typed: tuple[HostName, ...]) -> Remedy:
    """An alias: an A record where the canonical name is a computer's own, else the canonical name's SPN as well."""
    for host in typed:
        if any(judged.requirement.account not in (None, account) for judged in case.judged_of(http_spn(host))):
            return Remedy((), f"Several accounts decrypt behind {host}: settle that first.")
    suffix = case.by_label[requirement.applications[0].server].names.suffix
    full = dict.fromkeys(host.under(suffix) if host.is_short and suffix else host for host in typed)
    records = [_record(host, requirement.spn.host, _addresses(case, host, suffix)) for host in full]
    names = [http_spn(host, requirement.spn.port) for host in typed]
    wrong = {name: holders for name in names if (holders := _wrong_holders(case, name, account))}
    for name, holders in wrong.items():
        if not _is_wanted_there(case, name, account):  # else it has a finding of its own
            return Remedy((), f"With an A record clients ask for {name}, which is on {holders[0]}: settle that first.")
    own = [add(case, name, account) for name in names if name not in wrong and not _is_held(case, name, account)]
    record = Way("clients then ask for the name as typed", (*records, *own))
    if http_spn(requirement.spn.host) in case.own_spns:
        return Remedy((record,))
    if requirement.outcome == "ntlm-fallback":
        return Remedy((Way("the alias keeps its CNAME", (add(case, requirement.spn, account),)), record))
    return Remedy((record,))


def _is_contested(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether an application needs the SPN on another account."""
    wanting = (j.requirement for j in case.judged_of(name) if j.requirement.need != "optional")
    return any(requirement.account not in (None, account) for requirement in wanting)


def _addresses(case: Case, host: HostName, suffix: str | None) -> tuple[str, ...]:
    """Where the alias leads today: the record in its place leads there too."""
    resolution = case.service.resolve(host, suffix) if case.service is not None else None
    return resolution.addresses if resolution is not None else ()


def _is_held(case: Case, name: Spn, account: AccountName) -> bool:
    return case.directory is not None and any(
        is_account(holder, account, case.directory) for holder in case.directory.holders(name)
    )


def _record(host: HostName, canonical: HostName, addresses: Sequence[str]) -> Action:
    shown = f" ({', '.join(addresses)})" if addresses else ""
    sentence = f"In DNS replace the alias {host} by an A record{shown}."
    zone, name = host.suffix, host.first_label.text
    if not (len(addresses) == 1 and zone and is_safe(zone) and is_safe(name) and is_safe(canonical.text)):
        return Action("dns", None, None, sentence, f"Make {host} an alias of {canonical} again.", sentence)
    kind = "AAAA" if ":" in addresses[0] else "A"
    gone, new = f"dnscmd /RecordDelete {zone} {name}", f"dnscmd /RecordAdd {zone} {name}"
    command = f"{gone} CNAME /f && {new} {kind} {addresses[0]}"
    rollback = f"{gone} {kind} /f && {new} CNAME {canonical}."
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
    """One account for all servers behind a name: the one their pools run as already, where it is the same.

    A setting changes who decrypts for every name of an application, so the farm's other names move along.
    """
    account: AccountName | None = None
    differing: dict[ApplicationRef, Application] = {}
    names = [name]
    for current in names:
        applications = _behind(case, current)
        found = _farm_account(case, applications)
        if found is None or account not in {None, found}:
            text = "The pools behind the name run as different accounts: choose one domain account or gMSA for all."
            return Remedy((), text)
        account = found
        for application in applications:
            if application.decrypts_as == account:
                continue
            moving = _moving_along(case, application, current, account)
            if moving is None:
                text = "Another name of these applications works with the computer account: separate them first."
                return Remedy((), text)
            names += [other for other in moving if other not in names]
            differing[ApplicationRef(application.server, application.site, application.path)] = application
    if account is None:
        return Remedy(())
    actions = [
        set_auth(application, "useAppPoolCredentials", True, name, account) for application in differing.values()
    ]
    actions += [action for each in names for action in _register_only_on(case, each, account)]
    return Remedy((Way(f"every node decrypts as {account}", tuple(actions)),))


def _behind(case: Case, name: Spn) -> list[Application]:
    judged = [j for j in case.judged_of(name) if j.requirement.need != "optional"]
    return [application for j in judged for application in applications_of(case, j.requirement)]


def _farm_account(case: Case, applications: Iterable[Application]) -> AccountName | None:
    """The domain account that the pools of all these applications run as."""
    identities = [case.identity_of(application) for application in applications]
    accounts = {i.account if i is not None and i.certain else None for i in identities}
    return accounts.pop() if len(accounts) == 1 else None


def _moving_along(case: Case, application: Application, name: Spn, account: AccountName) -> list[Spn] | None:
    """The farm's other names of an application; None where something else breaks when the account decrypts for it."""
    if application.decryption != "computer" or any(place.negotiates for place in application.places):
        return None
    moving = []
    for judged in case.judged_for(application):
        other = judged.requirement
        if other.need == "optional" or other.spn == name or _is_answered_by(case, other.spn, account):
            continue
        if other.need == "port-variant" or other.account is None or not _is_contested(case, other.spn, other.account):
            return None
        moving.append(other.spn)
    return moving


def _register_only_on(case: Case, name: Spn, account: AccountName) -> Iterator[Action]:
    if case.directory is None:
        yield _manual(f"See who holds {name} (setspn -F -Q); it must be on {account} only.")
        return
    yield from (delete(case, name, holder) for holder in _wrong_holders(case, name, account))
    if not _is_held(case, name, account):
        yield add(case, name, account)
