"""What a repair is: the ways there are, and what must be known before any of them may be gone."""

from __future__ import annotations

from typing import NamedTuple

from agent.checks.actions import Action
from agent.checks.answered import farm_line
from agent.checks.case import Case
from agent.checks.holders import seen
from agent.names import AccountName, Guess, HostName, Likeness, Spn, printable
from agent.spn.verdict import is_absent

PURGE = "Afterwards run `klist purge` on the client; clients remember a missing SPN for 15 minutes."
LINE_SERVERS = 16
"""The most servers of a line for the farm file that every requirement of the name repeats."""


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
        why = unknown_holder(case, *action.step.value) if action.step.is_add else None
        why = why or (_namesake(case, action.step.value[1]) if action.step.changes_spn else None)
        if why is not None:
            return why
    changed = {action.step.value[0].host: None for action in way.actions if action.step.changes_spn}
    places = [case.application_at[place] for action in way.actions for place in action.at]
    served = {judged.requirement.spn.host: None for place in places for judged in case.judged_for(place)}
    for host in {**changed, **served}:
        if host in case.suspected:
            return suspected_line(case, host)
    return next((why for host in changed if (why := unseen_nodes(case, host)) is not None), None)


def open_registration(case: Case, name: Spn, account: AccountName) -> str | None:
    """The same for registering one SPN, where no setting changes."""
    why = unknown_holder(case, name, account) or _namesake(case, account)
    if why is not None:
        return why
    return suspected_line(case, name.host) if name.host in case.suspected else unseen_nodes(case, name.host)


def _namesake(case: Case, account: AccountName) -> str | None:
    """Why no command can name an account: without its domain, of which nobody knows the NetBIOS name, it means another
    one of the same name as well.
    """
    if case.directory is None or not isinstance(account.domain, Guess):
        return None
    alike = case.directory.named(account.name)
    if len(alike) < 2:
        return None
    told = " and ".join(printable(one.dn) for one in alike)
    of_domain = f"={account.dns}" if account.dns else ""
    return f"{account.name} is {told}: give --netbios-domain NAME{of_domain}, so that a command can say which one."


def unseen_nodes(case: Case, host: HostName) -> str | None:
    """Which servers of a name nobody looked at, though the farm file says that they answer it."""
    if not case.farm:
        return None
    told = ", ".join(map(printable, case.answered.absent(host)))
    return f"The farm file names {told} for {host} too: inspect all its servers together." if told else None


def unknown_holder(case: Case, name: Spn, account: AccountName | None) -> str | None:
    """Why it is not known who holds an SPN, or whether that is the account."""
    if account is None or case.directory is None:
        return None
    if case.directory.holders(name, account) is None:
        return f"See who holds {printable(name.text)} first: what was read does not tell."
    if all(likeness is not Likeness.UNKNOWN for _, likeness in seen(case, name, account)):
        return None
    return same_domain(case, account) or f"First settle whether {account} holds {printable(name.text)} already."


def cannot_run(case: Case, account: AccountName) -> str | None:
    """Why no pool can run as the account that is to decrypt: it is not there, or disabled."""
    if case.directory is not None and is_absent(account, case.directory):
        told = "the server's name" if account in case.computer_accounts else "the pool's userName"
        return f"{account} is not in the directory: correct {told} first."
    known = case.account(account)
    if known is None and case.directory is not None and case.directory.exports("sAMAccountName"):
        return f"{account} is not in what was read of the directory: find it first."
    is_stopped = known is not None and known.disabled and account not in case.computer_accounts
    return f"{account} is disabled: enable it first." if is_stopped else None


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
