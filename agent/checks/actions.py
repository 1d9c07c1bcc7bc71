"""One change: the step that makes it, and the sentence that says it as the fix of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from agent.checks.case import Case
from agent.checks.commands import appcmd, appcmd_clear, dnscmd, setspn
from agent.checks.files import at_server_level, is_in_web_config, read_together
from agent.model import Application, ApplicationRef, Place, Step, StepKind
from agent.names import AccountName, HostName, Likeness, Spn, printable, spn_fault
from agent.spn.directory import Account


class Action(NamedTuple):
    """A step that has no number yet. An iis-setting says `at` which applications it holds: those that read its file;
    its SPN and account, where it lets the pool decrypt, are the value on which it relies.
    """

    step: Step
    sentence: str
    at: tuple[ApplicationRef, ...] = ()


def by_hand(text: str) -> Action:
    """What only a person can do."""
    return Action(Step(kind="manual", note=text), text)


# -- SPNs ----------------------------------------------------------------------------------------------------------


def add(case: Case, name: Spn, account: AccountName) -> Action:
    """Register an SPN."""
    breaks = name in case.own_spns and case.principal(account) != "computer"
    note = "this breaks WinRM and every other http.sys service of the computer for this name" if breaks else None
    note = _joined(note, left_behind(case, name, account))
    return _change(case, "spn-add", name, account, note, case.answered.question([name.host]))


def adding(case: Case, name: Spn, account: AccountName) -> str:
    """The command of `add`; what it does, in words, where a name cannot be quoted."""
    command = setspn("-S", name, account, case.principal(account))
    return command or Step(kind="spn-add", spn=name, account=account).title


def delete(case: Case, name: Spn, account: AccountName) -> Action:
    """Take an SPN away; where nobody inspected what the account is used for, its owner must be asked."""
    owner = None if case.is_inspected(account) else _about_owner(case, account)
    # a value that can never match is nobody's name
    others = case.answered.question([name.host]) if spn_fault(name.text) is None else None
    note = allowed_at(case, account) if spn_fault(name.text) is None else None
    return _change(case, "spn-delete", _stored(case, name, account), account, note, _joined(owner, others))


def _about_owner(case: Case, account: AccountName) -> str:
    other = case.other_service(account)
    question = f"ask the owner of {account} first: no inspected pool uses it"
    if other is None:
        return question
    return f"{question}, and it holds {printable(other.text)} too: what runs as it will fail unless it has another name"


def allowed_at(case: Case, account: AccountName | None) -> str | None:
    """What fails once another account answers: an account allows the front ends that delegate to it, not to an SPN."""
    known = case.account(account)
    if known is None or not known.resource_delegation:
        return None
    return (
        f"front ends that {account} allows to delegate to it (msDS-AllowedToActOnBehalfOfOtherIdentity) fail until the "
        "account that answers then allows them too"
    )


def left_behind(case: Case, name: Spn, account: AccountName) -> str | None:
    """Who may delegate to an SPN, and cannot once an account of another domain has it (rule R8.6)."""
    fronts = [front for front in case.delegating.get(name, ()) if _is_abroad(front, account)]
    told = ", ".join(str(front.name) for front in fronts)
    return f"{told} may delegate to it, but only while an account of its own domain has it" if told else None


def _is_abroad(front: Account, account: AccountName) -> bool:
    return front.name.domain_likeness(account) is Likeness.OTHER


def _joined(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


def asking(action: Action, question: str | None) -> Action:
    """The same, after something that must be asked too; what a person does is not held back."""
    if question is None or question in (action.step.note or "") or not action.step.changes_spn:
        return action
    step = replace(action.step, confirm=True, note=_joined(action.step.note, question))
    return action._replace(step=step)


def _stored(case: Case, name: Spn, account: AccountName) -> Spn:
    """The value as the directory has it: a rollback must restore its exact letters."""
    return name if case.directory is None else case.directory.as_stored(name, account)


def _change(
    case: Case, kind: StepKind, name: Spn, account: AccountName, note: str | None, question: str | None
) -> Action:
    """Where a name cannot be quoted there is no command: a person does it, or a script that quotes in its own way."""
    note = _joined(note, question)
    there, back = ("-S", "-D") if kind == "spn-add" else ("-D", "-S")
    principal, known = case.principal(account), case.account(account)
    step = Step(
        kind=kind,
        spn=name,
        account=account,
        command=setspn(there, name, account, principal),
        rollback=setspn(back, name, account, principal),
        account_kind=principal,
        dn=known.dn if known is not None else None,
        confirm=question is not None,
        note=note,
    )
    aside = _aside(note)
    if step.command is not None:
        verb = "Register" if step.is_add else "Remove"
        return Action(step, f"{verb} it: {step.command}{aside}")
    sentence = printable(f"By hand, as the name cannot be quoted safely: {step.title}{aside}.")
    return Action(replace(step, note=f"the name cannot be quoted safely in a command{aside}"), sentence)


# -- IIS and DNS ---------------------------------------------------------------------------------------------------


def set_auth(
    case: Case,
    applications: Iterable[Application],
    attribute: str,
    value: bool,
    spn: Spn | None = None,
    holder: AccountName | None = None,
) -> Iterator[Action]:
    """Change one windowsAuthentication attribute of applications, each in the file its present value comes from.

    It says who decrypts for every name of an application, and holds for all that read the same file.
    """
    done: set[ApplicationRef] = set()
    for application in applications:
        if application.reference not in done:
            readers = read_together(case, application, attribute)
            done.update(reader.reference for reader in readers)
            yield _set_auth(case, readers, attribute, value, spn, holder)


def set_page(
    case: Case,
    application: Application,
    page: Place,
    attribute: str,
    value: bool,
    spn: Spn | None = None,
    holder: AccountName | None = None,
) -> Action:
    """The same for a page below an application that does not negotiate itself, in its own `<location>`."""
    return _set_auth(case, (application,), attribute, value, spn, holder, page)


def _set_auth(
    case: Case,
    readers: Sequence[Application],
    attribute: str,
    value: bool,
    spn: Spn | None,
    holder: AccountName | None,
    page: Place | None = None,
) -> Action:
    application, *others = readers
    decider = page or application
    question = _joined(*dict.fromkeys(asked_of(case, reader) for reader in readers))
    note = _joined(question, _about_others(application, others), allowed_at(case, decider.decrypts_as))
    new, old = str(value).lower(), str(not value).lower()
    nearby = is_in_web_config(decider, attribute)
    back = appcmd(application.site, decider.path, attribute, old, in_web_config=nearby)
    if not value and at_server_level(decider, attribute) is not None:  # what held before was nobody's choice here
        back = appcmd_clear(application.site, decider.path, attribute)
    on = f"on {printable(application.server)}"
    step = Step(
        kind="iis-setting",
        spn=spn,
        account=holder,
        command=appcmd(application.site, decider.path, attribute, new, in_web_config=nearby),
        rollback=back,
        server=application.server,
        confirm=question is not None,
        note=note,
    )
    at = tuple(reader.reference for reader in readers)
    if step.command is not None:
        return Action(step, f"Set {attribute}={new} {on}, in cmd: {step.command}{_aside(note)}", at)
    where = printable(f"{application.site}{decider.path}")
    sentence = f"In IIS Manager {on} set {attribute}={new} for {where} (it is {old} now)."
    sentence += f" Ask first: {question}." if question is not None else ""
    return Action(replace(step, note=sentence), sentence, at)


def _about_others(application: Application, others: Iterable[Application]) -> str | None:
    """Who else reads the file that is written."""
    told = ", ".join(f"{other.site}{other.path} on {other.server}" for other in others)
    same = f"{application.site}{application.path}"
    if all(f"{other.site}{other.path}" == same for other in others):
        told = ", ".join(other.server for other in others)
    return printable(f"the file is shared: this holds for {told} too") if told else None


def asked_of(case: Case, application: Application) -> str | None:
    """What must be asked before somebody else decrypts for an application."""
    needed = (judged.requirement for judged in case.judged_for(application) if judged.requirement.need != "optional")
    question = case.answered.question(requirement.spn.host for requirement in needed)
    return _joined(question, _about_hidden(case, application))


def _aside(note: str | None) -> str:
    return f" ({note})" if note is not None else ""


def _about_hidden(case: Case, application: Application) -> str | None:
    """Whether clients may reach the application by names that its present account holds, and no site shows."""
    others = case.answered.question(name.host for name in case.hidden_behind(application))
    return None if others is None else f"{others}: ask who uses the SPN for it that {application.decrypts_as} holds"


def address_record(case: Case, host: HostName, canonical: HostName, addresses: Sequence[str]) -> Action:
    """Let a name lead to its address without an alias; by hand where the address or the zone is not known."""
    question = case.answered.question([host])
    shown = f" ({', '.join(addresses)})" if addresses else ""
    zone = case.service.zone_of(host) if case.service is not None else None
    command = rollback = None
    if len(addresses) == 1 and zone is not None:
        kind = "AAAA" if ":" in addresses[0] else "A"
        name = host.spn_text[: -len(zone.key) - 1]
        command = dnscmd(zone.spn_text, name, "CNAME", f"{kind} {addresses[0]}")
        rollback = dnscmd(zone.spn_text, name, kind, f"CNAME {canonical}.")
    if command is None or rollback is None:
        sentence = printable(f"In DNS replace the alias {host} of {canonical} by an A record{shown}.")
        return Action(Step(kind="dns", note=sentence), sentence)
    step = Step(kind="dns", command=command, rollback=rollback, confirm=question is not None, note=question)
    return Action(step, f"In DNS replace the alias {host} by an A record{shown}, in cmd: {command}{_aside(question)}")
