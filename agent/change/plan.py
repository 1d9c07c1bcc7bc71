"""Findings -> ordered, reversible steps. Never runs anything; every step says which finding it serves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from agent.checks.case import Case, finding
from agent.checks.repair import Action, Remedy, Way, delete, farm_remedy, remedy
from agent.model import Alternative, ApplicationRef, Blocked, Finding, Plan, Step, StepKind
from agent.names import AccountName, Spn, printable
from agent.spn.directory import Directory
from agent.spn.verdict import is_account

REQUIREMENT_FINDINGS = frozenset(
    {"spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "spn-port-only", "client-spn-variant"}
)
FARM_FINDINGS = frozenset({"farm-machine-identity", "farm-nodes-differ"})
UNREPAIRABLE = {
    "spn-conflict": "no setspn can satisfy two accounts: choose one of the ways that the finding names",
    "account-disabled": "enable the account, or run the pool as another one",
    "gmsa-server-not-allowed": "the owner of the gMSA must let the server read its password",
    "local-account-decrypts": "the pool's identity must change first",
    "not-domain-joined": "Kerberos needs a domain",
    "section-locked": "the configuration must be corrected first",
    "config-invalid": "the configuration must be corrected first",
    "config-malformed": "the file must be corrected first",
}

_RANK: Mapping[StepKind, int] = {"dns": 0, "iis-setting": 1, "spn-delete": 2, "spn-add": 3, "manual": 4}
"""A delete stands before an add: while the old value is visible on a global catalog the add is refused (R4.12)."""


class Planned(NamedTuple):
    """The plan, and the findings that only a plan brings."""

    plan: Plan
    findings: tuple[Finding, ...]


def plan(case: Case, findings: Iterable[Finding]) -> Planned:
    """The recommended steps for every finding that a step can repair, other ways, and what stays blocked."""
    findings = tuple(findings)
    draft = _Draft(found.spn for found in findings if found.id == "spn-conflict" and found.spn is not None)
    contested = _contested(case)
    # farms first: their settings decide who decrypts for the other names of the same applications
    for found in sorted(findings, key=lambda found: found.id not in FARM_FINDINGS):
        if found.accepted is not None:
            continue
        offered = _remedy(case, found, contested)
        if offered is None:
            if found.id in UNREPAIRABLE:
                draft.block(found, UNREPAIRABLE[found.id])
        elif not offered.ways:
            draft.block(found, offered.blocked)
        else:
            draft.take(found, offered.ways, _places(case, found))
    steps = draft.steps()
    return Planned(
        Plan(steps=steps, alternatives=tuple(draft.alternatives), blocked=tuple(dict.fromkeys(draft.blocked))),
        tuple(_refused(case, steps)),
    )


def _remedy(case: Case, found: Finding, contested: Collection[Spn]) -> Remedy | None:
    if found.spn is None:
        return None
    if found.id in FARM_FINDINGS:
        return farm_remedy(case, found.spn)
    if found.id == "spn-malformed" and found.holders:
        if not found.spn.text.isascii():
            return Remedy((), "remove the value by its exact characters (PowerShell, ADSI Edit)")
        return Remedy((Way("the value never matches", (delete(case, found.spn, found.holders[0]),)),))
    judged = case.judged_at.get((found.spn, found.account))
    if found.id not in REQUIREMENT_FINDINGS or judged is None:
        return None
    if found.id == "spn-duplicate" and found.spn in contested:
        return Remedy((), "first settle which account decrypts for this name everywhere")
    return remedy(case, judged)


def _places(case: Case, found: Finding) -> frozenset[ApplicationRef]:
    """The applications whose account today is what the repair of a finding relies on."""
    judged = case.judged_at.get((found.spn, found.account)) if found.spn is not None else None
    return frozenset(judged.requirement.applications) if judged is not None else frozenset()


def _server(action: Action) -> str | None:
    return action.at.server if action.at is not None else None


def _contested(case: Case) -> frozenset[Spn]:
    """The SPNs that are needed on more than one account."""
    needed: dict[Spn, AccountName | None] = {}
    requirements = (judged.requirement for judged in case.judged if judged.requirement.need in {"explicit", "covered"})
    return frozenset(each.spn for each in requirements if needed.setdefault(each.spn, each.account) != each.account)


class _Draft:
    """Collects actions once each; two findings may need the same one, and none may undo another."""

    def __init__(self, conflicts: Iterable[Spn]) -> None:
        self.conflicts = frozenset(conflicts)
        self.actions: dict[tuple[str | None, str], tuple[Action, str]] = {}
        self.alternatives: list[Alternative] = []
        self.blocked: list[Blocked] = []
        self.undone: set[tuple[str | None, str]] = set()
        self.deleted: set[tuple[Spn, AccountName]] = set()
        self.kept: dict[Spn, AccountName] = {}
        self.switched: set[ApplicationRef] = set()
        self.settled: set[ApplicationRef] = set()

    def take(self, found: Finding, ways: tuple[Way, ...], places: frozenset[ApplicationRef]) -> None:
        first, *others = ways
        switched = {action.at for action in first.actions if action.kind == "iis-setting" and action.at is not None}
        settled = places if not switched and any(a.kind.startswith("spn") for a in first.actions) else frozenset()
        if self._touches_conflict(first):
            self.block(found, "an SPN that it would touch is wanted by two accounts: settle that conflict first")
            return
        if any(self._contradicts(action) for action in first.actions):
            self.block(found, "its repair would undo that of another finding: settle the conflict by hand")
            return
        if switched & self.settled or settled & self.switched:
            self.block(found, "another step changes who decrypts here: do that first, then plan again")
            return
        self.switched |= switched
        self.settled |= settled
        for action in first.actions:
            self._note(action)
            self.actions.setdefault((_server(action), action.command), (action, found.id))
        for way in others:
            if self._touches_conflict(way):
                continue
            steps = tuple(_ordered((action, found.id) for action in way.actions))
            self.alternatives.append(Alternative(finding=found.id, why=way.why, steps=steps))

    def _touches_conflict(self, way: Way) -> bool:
        """No `setspn` is printed for an SPN that no `setspn` can satisfy."""
        return any(action.kind.startswith("spn") and action.spn in self.conflicts for action in way.actions)

    def _contradicts(self, action: Action) -> bool:
        """Whether it takes a value back that a step sets, or puts one SPN on a second account."""
        if (_server(action), action.command) in self.undone:
            return True
        if action.spn is None or action.account is None:
            return False
        keeps = self.kept.get(action.spn)
        if action.kind == "spn-delete":
            return keeps == action.account
        return (keeps or action.account) != action.account or (action.spn, action.account) in self.deleted

    def _note(self, action: Action) -> None:
        self.undone.add((_server(action), action.rollback))
        if action.spn is None or action.account is None:
            return
        if action.kind == "spn-delete":
            self.deleted.add((action.spn, action.account))
        else:
            self.kept[action.spn] = action.account

    def block(self, found: Finding, why: str) -> None:
        self.blocked.append(Blocked(finding=found.id, why=f"{_about(found)}: {why}"))

    def steps(self) -> tuple[Step, ...]:
        return tuple(_ordered(self.actions.values()))


def _about(found: Finding) -> str:
    place = f"{found.site or ''}{found.path or ''}"
    told = " ".join(part for part in (found.server or "", place, str(found.spn or "")) if part)
    return printable(told) or found.id


def _ordered(actions: Iterable[tuple[Action, str]]) -> Iterator[Step]:
    ranked = sorted(actions, key=lambda pair: _RANK[pair[0].kind])
    for order, (action, served) in enumerate(ranked, start=1):
        yield Step(
            order=order,
            kind=action.kind,
            spn=action.spn,
            account=action.account,
            command=action.command,
            rollback=action.rollback,
            finding=served,
            server=_server(action),
            account_kind=action.account_kind,
            dn=action.dn,
            confirm=action.confirm,
        )


# -- what a domain controller will refuse --------------------------------------------------------------------------


def _refused(case: Case, steps: Iterable[Step]) -> Iterator[Finding]:
    """Adds of `HTTP/x` where `HOST/x` is on another account: alias uniqueness (KB5008382, rule R4.13)."""
    directory = case.directory
    if directory is None:
        return
    for step in steps:
        if step.kind != "spn-add" or step.spn is None or step.account is None:
            continue
        if step.spn.service not in directory.mapped_to_host:
            continue
        others = [
            holder.name
            for holder in directory.holders(step.spn.with_service("HOST"))
            if not is_account(holder, step.account, directory)
        ]
        if others:
            yield finding(
                "plan-blocked-by-alias",
                f"the DC refuses {step.spn} on {step.account} (error 0x21c7/8647, though setspn -Q shows nothing) from "
                f"anyone but a full domain administrator, because HOST/{step.spn.instance} is on {others[0]}",
                server=None,
                spn=step.spn,
                account=step.account,
                holders=others,
                fix=("Let a full domain administrator run the step.",),
            )


# -- the plan in memory --------------------------------------------------------------------------------------------


def applied(directory: Directory, steps: Iterable[Step]) -> Directory:
    """The directory after the SPN steps, in order. Raises ValueError where a step does not fit the state."""
    spns = {account.identity: list(account.spns) for account in directory.accounts}
    for step in steps:
        if step.kind not in {"spn-delete", "spn-add"} or step.spn is None or step.account is None:
            continue
        held = spns[_identity(directory, step.account)]
        if (step.spn in held) == (step.kind == "spn-add"):
            raise ValueError(f"step {step.order} does not fit: {step.command}")
        if step.kind == "spn-add":
            held.append(step.spn)
        else:
            held.remove(step.spn)
    return directory.with_spns({identity: tuple(held) for identity, held in spns.items()})


def rolled_back(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that take a plan back, last first."""
    undone: dict[StepKind, StepKind] = {"spn-add": "spn-delete", "spn-delete": "spn-add"}
    return tuple(
        replace(
            step,
            order=order,
            kind=undone.get(step.kind, step.kind),
            command=step.rollback,
            rollback=step.command,
            confirm=False,
        )
        for order, step in enumerate(reversed(list(steps)), start=1)
    )


def held_back(steps: Iterable[Step], confirmed: Collection[Spn] = ()) -> frozenset[int]:
    """The orders of the steps that wait for an answer: deletes nobody confirmed, and the adds that depend on them."""
    waiting: set[Spn] = set()
    orders = set()
    for step in steps:
        if step.spn is None or not step.kind.startswith("spn"):
            continue
        if step.confirm and step.spn not in confirmed:
            waiting.add(step.spn)
        if step.spn in waiting and (step.confirm or step.kind == "spn-add"):
            orders.add(step.order)
    return frozenset(orders)


def _identity(directory: Directory, name: AccountName) -> str:
    for account in directory.accounts:
        if is_account(account, name, directory):
            return account.identity
    raise ValueError(f"{name} is not in the directory")


def repaired_by(steps: Iterable[Step]) -> frozenset[str]:
    """The finding ids that the steps claim to repair."""
    return frozenset(step.finding for step in steps if step.kind != "manual")
