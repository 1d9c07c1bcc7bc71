"""Findings -> ordered, reversible steps. Never runs anything; every step says which finding it serves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from agent.checks.actions import Action, delete
from agent.checks.case import Case, finding
from agent.checks.farm_remedy import conflict_remedy, farm_remedy
from agent.checks.holders import is_held
from agent.checks.remedies import remedy
from agent.checks.ways import Remedy, Way, suspected_line
from agent.model import Alternative, ApplicationRef, Blocked, Finding, Plan, Step, StepKind
from agent.names import AccountName, Likeness, Spn, printable

REQUIREMENT_FINDINGS = frozenset(
    {"spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "spn-port-only", "client-spn-variant"}
)
ADVISED = frozenset({"spn-conflict", "winrm-collision"})
"""Findings that say what people may choose, as long as no step takes the choice from them."""
FARM_FINDINGS = frozenset({"farm-machine-identity", "farm-nodes-differ"})
JOINT = FARM_FINDINGS | {"spn-conflict"}
"""Findings that are about several applications: their settings decide who decrypts for the other names of these."""
UNREPAIRABLE = {
    "spn-conflict": "no setspn can satisfy two accounts: one of the applications needs another name or account",
    "account-not-found": "nothing can be registered on an account that nobody found",
    "account-disabled": "enable the account, or run the pool as another one",
    "gmsa-server-not-allowed": "the owner of the gMSA must let the server read its password",
    "local-account-decrypts": "the pool's identity must change first",
    "not-domain-joined": "Kerberos needs a domain",
    "section-locked": "the configuration must be corrected first",
    "config-invalid": "the configuration must be corrected first",
    "config-malformed": "the file must be corrected first",
    "source-unreadable": "the file must be readable first",
}

_STAGE: Mapping[StepKind, int] = {"dns": 0, "iis-setting": 2, "spn-delete": 4, "spn-add": 4, "manual": 5}
_AROUND: Mapping[StepKind, int] = {"spn-delete": 1, "spn-add": 3}
"""Where a setting changes who decrypts nobody holds the SPN meanwhile: clients use NTLM, and none gets a 401."""


class Planned(NamedTuple):
    """The plan, and the findings: what mends each is what the plan does about it."""

    plan: Plan
    findings: tuple[Finding, ...]


def plan(case: Case, findings: Iterable[Finding]) -> Planned:
    """The recommended steps for every finding that a step can repair, other ways, and what stays blocked.

    A finding's `fix` gets the sentences of its steps or, where the plan has none for it, the reason.
    """
    findings = tuple(findings)
    draft = _Draft(case)
    # farms first: their settings decide who decrypts for the other names of the same applications
    ranked = sorted(enumerate(findings), key=lambda each: each[1].id not in JOINT)
    fixes = {position: draft.take(found) for position, found in ranked}
    gone = draft.removals()
    mended = tuple(
        replace(found, fix=_mended(found, (*fixes[position], *_removed(found, gone))))
        for position, found in enumerate(findings)
    )
    steps = draft.steps()
    return Planned(
        Plan(steps=steps, alternatives=tuple(draft.alternatives), blocked=tuple(dict.fromkeys(draft.blocked))),
        (*mended, *refused(case, steps)),
    )


def joined(plans: Iterable[Plan]) -> Plan:
    """The plans of several forests as one: each in its own order, the first step of all being number 1."""
    every = tuple(plans)
    starts = accumulate((len(one.steps) for one in every[:-1]), initial=0)
    every = tuple(_moved(one, start) for one, start in zip(every, starts, strict=True))
    return Plan(
        steps=tuple(step for one in every for step in one.steps),
        alternatives=tuple(other for one in every for other in one.alternatives),
        blocked=tuple(dict.fromkeys(blocked for one in every for blocked in one.blocked)),
        wanted=tuple(goal for one in every for goal in one.wanted),
    )


def _moved(one: Plan, start: int) -> Plan:
    """The same with every number higher by `start`."""
    steps = (replace(s, order=s.order + start, after=tuple(at + start for at in s.after)) for s in one.steps)
    goals = (replace(goal, steps=tuple(at + start for at in goal.steps)) for goal in one.wanted)
    return replace(one, steps=tuple(steps), wanted=tuple(goals))


def _mended(found: Finding, sentences: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be done: the advice of the check, where the steps do not take its place."""
    return sentences if sentences and found.id in ADVISED else (*found.fix, *sentences)


def _removed(found: Finding, gone: Mapping[tuple[Spn | None, AccountName], str]) -> Iterator[str]:
    """The step that takes an SPN away from an account, where a finding is about that and has no step of its own."""
    if found.id in {"spn-stale", "winrm-collision"}:
        yield from (gone[found.spn, holder] for holder in found.holders if (found.spn, holder) in gone)


def _remedy(case: Case, found: Finding) -> Remedy | None:
    """What would repair a finding, looked at alone; None where no step could be about it."""
    if found.spn is None:
        return None
    if found.id in FARM_FINDINGS:
        return farm_remedy(case, found.spn)
    if found.id == "spn-conflict":
        return conflict_remedy(case, found.spn)
    if found.id == "spn-malformed":
        return _malformed(case, found.spn, found.holders[0])
    return remedy(case, case.judged_at[found.spn, found.account]) if found.id in REQUIREMENT_FINDINGS else None


def _malformed(case: Case, name: Spn, holder: AccountName) -> Remedy:
    if not name.text.isascii():
        return Remedy((), "Remove the value by its exact characters (PowerShell, ADSI Edit).")
    return Remedy((Way("the value never matches", (delete(case, name, holder),)),))


def _places(case: Case, found: Finding) -> frozenset[ApplicationRef]:
    """The applications whose account today is what the repair of a finding relies on."""
    judged = case.judged_at.get((found.spn, found.account)) if found.spn is not None else None
    return frozenset(judged.requirement.applications) if judged is not None else frozenset()


class _Draft:
    """Collects actions once each: two findings may need the same one.

    None undoes another. No way touches an SPN that several accounts need, so every step about one leads to one account;
    and no way lets another account decrypt (`switched`) where one relies on the present one (`settled`).
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.actions: dict[tuple[str | None, str], tuple[Action, str]] = {}
        self.alternatives: list[Alternative] = []
        self.blocked: list[Blocked] = []
        self.switched: set[ApplicationRef] = set()
        self.settled: set[ApplicationRef] = set()
        self.farms: dict[Spn | None, str] = {}
        """The finding of each farm that is repaired, by the name."""

    def take(self, found: Finding) -> tuple[str, ...]:
        """Take the recommended way to repair a finding: its sentences, or the reason why the plan has no step for it.

        An accepted one gets no step, and an unrepairable one says already what to do.
        """
        if found.id in REQUIREMENT_FINDINGS and found.spn in self.farms:
            return (f"What mends {self.farms[found.spn]} leaves it on one account.",)
        if found.id == "farm-suspected" and found.spn is not None:
            self._block(found, suspected_line(self.case, found.spn.host))
            return ()
        offered = _remedy(self.case, found)
        if found.id == "spn-conflict" and (offered is None or not offered.ways):
            offered = None  # what people may choose stands in the finding
        if found.accepted is not None:
            return offered.sentences if offered is not None else ()
        if offered is None:
            if found.id in UNREPAIRABLE:
                self._block(found, UNREPAIRABLE[found.id])
            return ()
        why = self._take(found, offered.ways) if offered.ways else offered.blocked
        if why:
            self._block(found, why)
            return (why,)
        if found.id in JOINT:
            self.farms[found.spn] = found.id
        return offered.sentences

    def _take(self, found: Finding, ways: tuple[Way, ...]) -> str:
        """Why it cannot be taken; empty where it was."""
        first, *others = ways
        switched = {place for action in first.actions for place in action.at}
        settled = frozenset() if switched else _places(self.case, found)
        if switched & self.settled or settled & self.switched:
            return "Another step changes who decrypts here: do that first, then plan again."
        self.switched |= switched
        self.settled |= settled
        for action in first.actions:
            self.actions.setdefault(_key(action.step), (action, found.id))
        for way in others:
            steps = tuple(_ordered(self.case, ((action, found.id) for action in way.actions)))
            self.alternatives.append(Alternative(finding=found.id, why=way.why, steps=steps))
        return ""

    def removals(self) -> dict[tuple[Spn | None, AccountName], str]:
        """The sentences of the steps that take an SPN from an account."""
        actions = (action for action, _ in self.actions.values() if action.step.kind == "spn-delete")
        return {action.step.value: action.sentence for action in actions}

    def _block(self, found: Finding, why: str) -> None:
        self.blocked.append(Blocked(finding=found.id, why=f"{_about(found)}: {why}"))

    def steps(self) -> tuple[Step, ...]:
        return tuple(_ordered(self.case, self.actions.values()))


def _key(step: Step) -> tuple[str | None, str]:
    return step.server, step.title if step.changes_spn else step.command or step.note or ""


def _about(found: Finding) -> str:
    place = f"{found.site or ''}{found.path or ''}"
    name = None if found.spn is None else found.spn.text
    return printable(" ".join(part for part in (found.server, place, name) if part))


# -- the order -----------------------------------------------------------------------------------------------------


def _ordered(case: Case, actions: Iterable[tuple[Action, str]]) -> Iterator[Step]:
    """DNS, settings, then SPN after SPN; one whose decryptor changes goes before the settings and comes after them."""
    pairs = tuple(actions)
    switched = _switched(case, (action for action, _ in pairs))
    places = _places_of(action.step for action, _ in pairs)

    def place(pair: tuple[Action, str]) -> tuple[int, int, bool, bool]:
        step = pair[0].step
        stage = _AROUND.get(step.kind) if step.spn in switched else None
        at, is_add, waits = _within(step, places)
        return _STAGE[step.kind] if stage is None else stage, at, is_add, waits

    ranked = [
        (action, replace(action.step, order=order, finding=served))
        for order, (action, served) in enumerate(sorted(pairs, key=place), start=1)
    ]
    settings: dict[Spn, list[int]] = {}
    for action, step in ranked:
        for name in _switched(case, [action]):
            settings.setdefault(name, []).append(step.order)
    for _, step in ranked:
        decided = settings.get(step.spn, []) if step.spn is not None and step.changes_spn else []
        yield _in_time(case, step, tuple(decided)) if decided else step


def _in_time(case: Case, step: Step, settings: tuple[int, ...]) -> Step:
    """An add waits for the settings that let its account decrypt. Between a removal and these nobody holds the SPN, and
    clients use NTLM; but where `HOST/` answers then, what works until now fails (rule R4.1), and it is said how long.
    """
    if step.is_add:
        return replace(step, after=settings)
    name, account = step.value
    works = any(judged.requirement.outcome == "kerberos" for judged in case.judged_of(name))
    if not works or name not in case.own_spns or not is_held(case, name, account):
        return step
    until = f"{name} fails (401) from this step until step {settings[-1]}: make them one after the other"
    return replace(step, note=until if step.note is None else f"{step.note}; {until}")


def _switched(case: Case, actions: Iterable[Action]) -> frozenset[Spn]:
    """The SPNs of the applications whose decryptor a setting changes."""
    applications = (case.application_at[place] for action in actions for place in action.at)
    return frozenset(judged.requirement.spn for each in applications for judged in case.judged_for(each))


def pairwise(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The SPN steps alone, SPN after SPN, so that wherever one stops at most one name has no holder."""
    changes = tuple(step for step in steps if step.changes_spn)
    places = _places_of(changes)
    return tuple(sorted(changes, key=lambda step: _within(step, places)))


def _places_of(steps: Iterable[Step]) -> Mapping[Spn | None, int]:
    """The SPNs in their order, those that are only removed before all others."""
    changes = [step for step in steps if step.changes_spn]
    added = {step.spn for step in changes if step.is_add}
    names = sorted(dict.fromkeys(step.spn for step in changes), key=lambda name: name in added)
    return {name: place for place, name in enumerate(names)}


def _within(step: Step, places: Mapping[Spn | None, int]) -> tuple[int, bool, bool]:
    """A removal stands before what takes its place: while a global catalog shows it an add is refused (R4.12).

    Of several removals the one that may stay undone comes first, so that the others wait with it: else a duplicate,
    which means NTLM, could become one wrong holder, which means 401.
    """
    return (places[step.spn], step.is_add, not step.confirm) if step.changes_spn else (0, False, False)


# -- what a domain controller will refuse --------------------------------------------------------------------------


def refused(case: Case, steps: Iterable[Step]) -> Iterator[Finding]:
    """What a controller refuses: adds of `HTTP/x` where `HOST/x` is on another account (KB5008382, rule R4.13)."""
    directory = case.directory
    if directory is None or directory.checks_off & 4:
        return
    for step in steps:
        if not step.is_add:
            continue
        name, account = step.value
        if name.service not in directory.mapped_to_host:
            continue
        mapped = directory.seen(name.with_service("HOST"))
        others = [holder.name for holder in mapped if directory.likeness(holder, account) is Likeness.OTHER]
        if others:
            yield finding(
                "plan-blocked-by-alias",
                f"the DC refuses {name} on {account} (error 0x21c7/8647, though setspn -Q shows nothing) from "
                f"anyone but a full domain administrator, because HOST/{name.instance} is on {others[0]}",
                server=None,
                spn=name,
                account=account,
                holders=others,
                fix=("Let a full domain administrator run the step.",),
            )


# -- taken back, held back -----------------------------------------------------------------------------------------


def rolled_back(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that take a plan back, last first."""
    return tuple(_inverse(step, order) for order, step in enumerate(reversed(list(steps)), start=1))


def _inverse(step: Step, order: int) -> Step:
    undone: dict[StepKind, StepKind] = {"spn-add": "spn-delete", "spn-delete": "spn-add"}
    return replace(
        step,
        order=order,
        kind=undone.get(step.kind, step.kind),
        command=step.rollback,
        rollback=step.command,
        confirm=False,
        after=(),
        note=f"Take back by hand: {step.note}" if step.rollback is None and not step.changes_spn else None,
    )


def held_back(
    steps: Iterable[Step], confirmed: Collection[Spn] = (), deletable: Collection[Spn] = ()
) -> frozenset[int]:
    """The orders of the steps that wait for an answer: those that ask first, and those of the same SPN after them.

    `confirmed`: SPNs of which any step was agreed to; `deletable`: those of which the removals were.
    """
    waiting: set[Spn | None] = set()
    orders = set()
    for step in steps:
        agreed = step.spn in confirmed or (step.kind == "spn-delete" and step.spn in deletable)
        asks = step.confirm and not agreed
        if asks or (step.spn is not None and step.spn in waiting):
            waiting.add(step.spn)
            orders.add(step.order)
    return frozenset(orders)


def awaiting(steps: Sequence[Step]) -> frozenset[int]:
    """The orders of the SPN steps that others must go before, on a web server or in DNS, and those of the same SPN
    after them.
    """
    theirs = {step.order for step in steps if not step.changes_spn}
    names: set[Spn | None] = set()
    orders = set()
    for step in steps:
        if step.changes_spn and (step.spn in names or not theirs.isdisjoint(step.after)):
            names.add(step.spn)
            orders.add(step.order)
    return frozenset(orders)
