"""How to repair one broken requirement: the ways there are, the least invasive first (contract, rules R6.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.checks.actions import Action, add, address_record, asking, by_hand, delete, set_auth
from agent.checks.answered import farm_line
from agent.checks.case import Case, Judged
from agent.checks.commands import klist_get, setspn_query
from agent.model import Application, Requirement
from agent.names import AccountName, HostName, Likeness, Spn, fold, http_spn, printable
from agent.spn.directory import Account
from agent.spn.reach import Names
from agent.spn.verdict import is_absent, is_split

PURGE = "Afterwards run `klist purge` on the client; clients remember a missing SPN for 15 minutes."
SHOW_ALTERNATE = "Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus"
ALTERNATE = f"Exchange may decrypt with an Alternate Service Account too; see which accounts it has: {SHOW_ALTERNATE}"
LINE_SERVERS = 16
"""The most servers of a line for the farm file that every requirement of the name repeats."""
SETTLE = "First settle which account decrypts for this name everywhere: the SPN can be on one account only."


class Way(NamedTuple):
    """One complete way to repair; `why` says when one would choose it."""

    why: str
    actions: tuple[Action, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The way as the `fix` of a finding."""
        spoken = tuple(action.sentence for action in self.actions)
        return (*spoken, PURGE) if any(action.step.changes_spn for action in self.actions) else spoken


class Remedy(NamedTuple):
    """The ways to repair a finding, the recommended one first; without any, `blocked` says why."""

    ways: tuple[Way, ...]
    blocked: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.ways[0].sentences if self.ways else (self.blocked,) if self.blocked else ()


def remedy(case: Case, judged: Judged) -> Remedy:
    """The ways to make one requirement end in Kerberos; none touches an SPN that is needed on several accounts."""
    if judged.requirement.spn.host in case.suspected:
        return Remedy((), suspected_line(case, judged.requirement.spn.host))
    if (why := _unknown_holder(case, judged.requirement.spn, judged.requirement.account)) is not None:
        return Remedy((), why)
    if (why := _unknown_host(case, judged.requirement)) is not None:
        return Remedy((), why)
    offered = _offered(case, judged)
    if not offered.ways:
        return offered
    first = next((why for way in offered.ways if (why := open_question(case, way)) is not None), SETTLE)
    ways = (way for way in offered.ways if not _touches_contested(case, way) and open_question(case, way) is None)
    return Remedy(tuple(ways), first)


def suspected_line(case: Case, host: HostName) -> str:
    """What settles whether the servers that a name is bound on are one farm.

    Each of their requirements says it, so a long line stands in the finding alone.
    """
    servers = case.suspected[host]
    line = farm_line(host, servers) if len(servers) <= LINE_SERVERS else "the line that farm-suspected prints"
    return f"If these servers are one farm, put this into the farm file: {line}"


def open_question(case: Case, way: Way) -> str | None:
    """Why nothing may be done in this way: whether servers are one farm for a name that it touches is open, or not all
    servers of a farm were read, and one of these may need the SPN on another account; or nobody knows who holds it.
    """
    for action in way.actions:
        why = _unknown_holder(case, *action.step.value) if action.step.is_add else None
        if why is not None:
            return why
    changed = {action.step.value[0].host: None for action in way.actions if action.step.changes_spn}
    places = [case.application_at[action.at] for action in way.actions if action.at is not None]
    served = {judged.requirement.spn.host: None for place in places for judged in case.judged_for(place)}
    for host in {**changed, **served}:
        if host in case.suspected:
            return suspected_line(case, host)
    return next((why for host in changed if (why := _unseen_nodes(case, host)) is not None), None)


def _unseen_nodes(case: Case, host: HostName) -> str | None:
    """Which servers of a name nobody looked at, though the farm file says that they answer it."""
    told = ", ".join(map(printable, case.answered.absent(host)))
    return f"The farm file names {told} for {host} too: inspect all its servers together." if told else None


def _unknown_holder(case: Case, name: Spn, account: AccountName | None) -> str | None:
    """Why it is not known who holds an SPN, or whether that is the account."""
    if account is None or case.directory is None:
        return None
    if case.directory.holders(name, account) is None:
        return f"See who holds {printable(name.text)} first: what was read does not tell."
    if all(likeness is not Likeness.UNKNOWN for _, likeness in _seen(case, name, account)):
        return None
    return same_domain(case, account) or f"First settle whether {account} holds {printable(name.text)} already."


def _unknown_host(case: Case, requirement: Requirement) -> str | None:
    """Why it is not known what would serve a computer's own name, for which another account decrypts: whether `HOST/`
    does, and whether clients use other names that only the account's SPNs show (rule R15.2).
    """
    owner, account = case.own_spns.get(requirement.spn), requirement.account
    if owner is None or account is None or account == owner.account or case.directory is None:
        return None
    if case.account(account) is None and not is_absent(account, case.directory):
        return f"See which SPNs {account} holds first (setspn -L): clients may come by another of these names."
    return _unknown_holder(case, requirement.spn.with_service("HOST"), owner.account)


def _touches_contested(case: Case, way: Way) -> bool:
    steps = (action.step for action in way.actions)
    return any(step.changes_spn and case.demand(step.value[0]).is_contested for step in steps)


def _offered(case: Case, judged: Judged) -> Remedy:
    requirement = judged.requirement
    account = requirement.account
    if account is None:
        return Remedy((), "No account can hold the SPN: change the identity or the settings of the pool first.")
    if judged.wanted.decision.further is None:
        return Remedy((), ALTERNATE)
    if (why := cannot_run(case, account)) is not None:
        return Remedy((), why)
    if judged.wanted.variant_of and not _is_own_name_of(case, requirement.spn.host, account):
        return _variant(case, requirement, account, judged.wanted.variant_of)
    if _is_name_of_another(case, requirement) and not is_held(case, requirement.spn, account):
        return _another_name(requirement)
    if case.demand(requirement.spn).is_contested:
        return Remedy((), SETTLE)
    if requirement.holders:
        return _misplaced(case, requirement, account)
    return _unregistered(case, requirement, account)


def cannot_run(case: Case, account: AccountName) -> str | None:
    """Why no pool can run as the account that is to decrypt: it is not there, or disabled."""
    if case.directory is not None and is_absent(account, case.directory):
        told = "the server's name" if account in case.computer_accounts else "the pool's userName"
        return f"{account} is not in the directory: correct {told} first."
    known = case.account(account)
    is_stopped = known is not None and known.disabled and account not in case.computer_accounts
    return f"{account} is disabled: enable it first." if is_stopped else None


# -- who holds it now ----------------------------------------------------------------------------------------------


def wrong_holders(case: Case, name: Spn, account: AccountName) -> list[AccountName]:
    """The accounts that hold an SPN and are known not to be this one."""
    return [holder.name for holder, likeness in _seen(case, name, account) if likeness is Likeness.OTHER]


def _seen(case: Case, name: Spn, account: AccountName) -> Iterator[tuple[Account, Likeness]]:
    """Who was seen to hold an SPN, and whether that is the account."""
    if case.directory is not None:
        for holder in case.directory.seen(name):
            yield holder, case.directory.likeness(holder, account)


def is_held(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether the account holds exactly this SPN."""
    return any(likeness is Likeness.SAME for _, likeness in _seen(case, name, account))


def is_answered_by(case: Case, name: Spn, account: AccountName) -> bool:
    """Whether the KDC would pick this account and no other."""
    if case.directory is None:
        return False
    answers = case.directory.answers(name, account) or ()
    return len(answers) == 1 and case.directory.likeness(answers[0], account) is Likeness.SAME


def _host_serves(case: Case, requirement: Requirement, account: AccountName) -> bool:
    """Whether the HOST/ SPN is on the computer alone."""
    if case.directory is None:
        return False
    holders = case.directory.holders(requirement.spn.with_service("HOST"), account) or ()
    return len(holders) == 1 and case.directory.likeness(holders[0], account) is Likeness.SAME


# -- one SPN -------------------------------------------------------------------------------------------------------


def _misplaced(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """Wrong accounts hold the SPN, perhaps besides the right one."""
    name = requirement.spn
    wrong = wrong_holders(case, name, account)
    deletes = tuple(delete(case, name, holder) for holder in wrong)
    if is_held(case, name, account):
        return Remedy((Way(f"leave the SPN on {account} only", deletes),))
    move = Way(f"move the SPN to {account}", (*deletes, add(case, name, account)))
    setting = _let_pool(case, requirement, wrong[0]) if len(wrong) == 1 else None
    if requirement.need == "covered" and _host_serves(case, requirement, account):
        first: Way | None = Way(f"{requirement.covered_by} then answers", deletes)
    else:
        first = setting or _instead_of_own_name(case, requirement, account)
    ways = dict.fromkeys(way for way in (first, move, setting) if way is not None)
    return Remedy(tuple(ways))


def _unregistered(case: Case, requirement: Requirement, account: AccountName) -> Remedy:
    """No account has the SPN; a HOST/ SPN of another one may answer for it."""
    why = f"an explicit SPN wins over HOST/; {account} decrypts" if requirement.answers else "register the SPN"
    explicit = Way(why, (add(case, requirement.spn, account),))
    better = _instead_of_own_name(case, requirement, account)
    return Remedy((explicit,) if better is None else (better, explicit))


def _instead_of_own_name(case: Case, requirement: Requirement, account: AccountName) -> Way | None:
    """What is better than `HTTP/<computer name>` on another account, which breaks WinRM (rules R6.6, R6.7)."""
    if requirement.spn not in case.own_spns or case.principal(account) == "computer":
        return None
    return _let_computer(case, requirement) or Way("WinRM goes on working", (by_hand(_host_header(requirement)),))


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


def _another_name(requirement: Requirement) -> Remedy:
    """What would serve here would break the computer that the name belongs to."""
    text = f"{requirement.spn.host} is another server's own name. {_host_header(requirement)}"
    return Remedy((Way("the other server goes on working", (by_hand(text),)),))


# -- who decrypts --------------------------------------------------------------------------------------------------


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
        for application in case.applications_of(open_ends.pop()):
            key = (application.server, application.site, application.path)
            if key in applications:
                continue
            applications[key] = application
            for judged in case.judged_for(application):
                other = judged.requirement
                if other.need != "optional" and other.spn not in requirements:
                    requirements[other.spn] = other
                    open_ends.append(other)
    return _Joined(tuple(applications.values()), tuple(requirements.values()))


def _let_pool(case: Case, requirement: Requirement, holder: AccountName) -> Way | None:
    """Let the pool's account decrypt, where it holds every SPN of these applications already."""
    joined = _joined(case, requirement)
    if joined.has_own_places or not _runs_as(case, joined.applications, holder) or cannot_run(case, holder):
        return None
    if not all(is_answered_by(case, other.spn, holder) for other in joined.requirements):
        return None
    settings = [set_auth(case, a, "useAppPoolCredentials", True, requirement.spn, holder) for a in joined.applications]
    return Way(f"let {holder} decrypt, nothing changes in AD", tuple(settings))


def _runs_as(case: Case, applications: Iterable[Application], account: AccountName) -> bool:
    """Whether the pools of all these applications run as the account, so that a setting lets it decrypt."""
    identities = [case.identity_of(application) for application in applications]
    return all(i is not None and i.certain and i.account == account for i in identities)


def _let_computer(case: Case, requirement: Requirement) -> Way | None:
    """Let the computer decrypt, where only its own names are served and its HOST/ SPNs answer for all of them."""
    joined = _joined(case, requirement)
    if len({application.server for application in joined.applications}) > 1:
        return None
    if joined.has_own_places or not case.only_own_names(joined.applications):
        return None
    if not all(_can_use_kernel_mode(application) for application in joined.applications):
        return None
    if any(name.evidence for application in joined.applications for name in case.hidden_behind(application)):
        return None
    computer = case.by_label[requirement.applications[0].server].account
    if computer is None:
        return None
    actions = list(_to_computer(case, joined.applications))
    asked = next((action.step.note for action in actions if action.step.confirm), None)
    for other in joined.requirements:
        wrong = wrong_holders(case, other.spn, computer)
        if case.demand(other.spn).is_contested or not _host_serves(case, other, computer):
            return None
        actions += [asking(delete(case, other.spn, holder), asked) for holder in wrong]
    return Way("the computer decrypts, its HOST/ SPN answers", tuple(actions))


def _can_use_kernel_mode(application: Application) -> bool:
    """`Negotiate:Kerberos` and kernel mode exclude each other."""
    settings = application.windows_auth
    return settings is not None and all(fold(name) != "negotiate:kerberos" for name in settings.providers)


def _to_computer(case: Case, applications: Iterable[Application]) -> Iterator[Action]:
    for application in applications:
        settings = application.windows_auth
        if settings is not None and not settings.kernel_mode:
            yield set_auth(case, application, "useKernelMode", True)
        if settings is not None and settings.pool_credentials:
            yield set_auth(case, application, "useAppPoolCredentials", False)


# -- aliases -------------------------------------------------------------------------------------------------------


def _is_own_name_of(case: Case, host: HostName, account: AccountName) -> bool:
    owner = case.own_spns.get(http_spn(host))
    return owner is not None and owner.account == account


def _variant(case: Case, requirement: Requirement, account: AccountName, typed: tuple[HostName, ...]) -> Remedy:
    """An alias: an A record where the canonical name is a computer's own, else the canonical name's SPN as well."""
    for host in typed:
        if case.demand(http_spn(host)).may_be_contested:
            return Remedy((), f"Several accounts decrypt behind {host}: settle that first.")
        if (why := _unseen_nodes(case, host)) is not None:
            return Remedy((), why)
    of_server = case.by_label[requirement.applications[0].server].names
    full = dict.fromkeys(map(of_server.in_full, typed))
    records = [address_record(case, host, requirement.spn.host, _addresses(host, of_server)) for host in full]
    names = [http_spn(host, requirement.spn.port) for host in typed]
    wrong = {name: holders for name in names if (holders := wrong_holders(case, name, account))}
    for name, holders in wrong.items():
        if not case.demand(name).is_on(account):  # else it has a finding of its own
            return Remedy((), f"With an A record clients ask for {name}, which is on {holders[0]}: settle that first.")
    own = [add(case, name, account) for name in names if name not in wrong and not is_held(case, name, account)]
    record = Way("clients then ask for the name as typed", (*records, *own))
    if http_spn(requirement.spn.host) in case.own_spns:
        return Remedy((record,))
    if requirement.outcome == "ntlm-fallback":
        return Remedy((Way("the alias keeps its CNAME", (add(case, requirement.spn, account),)), record))
    return Remedy((record,))


def _addresses(host: HostName, names: Names) -> tuple[str, ...]:
    """Where the alias leads today: the record in its place leads there too."""
    resolution = names.resolve(host)
    return resolution.addresses or () if resolution is not None else ()


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


def namesakes_domain(case: Case, name: AccountName) -> str | None:
    """The one domain of the directory that has an account of this name, if the label is its NetBIOS name."""
    namesakes = case.directory.namesakes(name) if case.directory is not None else ()
    return namesakes[0].name.dns or None if len(namesakes) == 1 else None


def same_domain(case: Case, name: AccountName) -> str | None:
    """The question whether an account of an unknown domain is the one of its name that the directory has."""
    dns = namesakes_domain(case, name)
    if dns is None:
        return None
    return f"Is {name.domain} the NetBIOS name of {dns}? Then give --netbios-domain {name.domain}={dns}."


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
    missing = add(case, requirement.spn, requirement.account)
    why = _unsure(case, judged, missing)
    return (look, why or f"Where nobody does: {missing.step.command or missing.step.title}")


def _unsure(case: Case, judged: Judged, missing: Action) -> str | None:
    """Why nothing can be advised yet, even where nobody holds the SPN."""
    if judged.wanted.decision.further is None:
        return ALTERNATE
    if (why := open_question(case, Way("register the SPN", (missing,)))) is not None:
        return why
    return SETTLE if case.demand(judged.requirement.spn).is_contested else None
