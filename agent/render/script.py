"""What the scripts of a plan share: its steps sorted by who runs them, and comments that stay on their line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from agent.change.plan import held_back
from agent.model import Finding, Report, Step
from agent.names import AccountName, Spn, printable
from agent.render.wording import plural

CACHES = (
    "Clients remember for 15 minutes that an SPN was missing, and keep a ticket for up to 10 hours.",
    "klist purge",
    "klist -li 0x3e7 purge",
)
"""What must be waited for, or thrown away, before a test shows anything (rule R4.17); the last two are commands."""

RIGHTS = (
    "Needed: Domain Admins, or the right 'Write servicePrincipalName' on each account. The 'Validated write to "
    "service principal name' is not enough: it covers a computer's own names only, and no user account."
)
ALIAS = (
    "A full domain administrator must run it: a delegated one is refused with 0x21c7/8647 (KB5008382), because "
    "HOST/ of the same name is on another account."
)

DUPLICATES = "An SPN that two accounts held cannot be put back on the second: a domain controller refuses it."


def comment(text: str) -> str:
    """A text as one line of ASCII: what is not printed, or no ASCII, stands as its code."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


class Change:
    """One SPN step as the scripts need it."""

    def __init__(self, step: Step, spn: Spn, account: AccountName) -> None:
        self.step = step
        self.spn = spn
        self.account = account
        self.is_add = step.kind == "spn-add"

    @property
    def computer(self) -> bool | None:
        """The account's kind as `agent.checks.commands` takes it."""
        return {"computer": True, "user": False}.get(self.step.account_kind or "")

    @property
    def title(self) -> str:
        """`remove HTTP/x from TEST\\y`, with nothing escaped."""
        verb, where = ("add", "to") if self.is_add else ("remove", "from")
        return f"{verb} {self.spn} {where} {self.account}"


class Outline:
    """The steps of a plan by who runs them, and which of them wait for an answer."""

    def __init__(self, report: Report, steps: tuple[Step, ...] | None = None) -> None:
        self.report = report
        self.steps = report.plan.steps if steps is None else steps
        self.held = held_back(self.steps)
        self.changes = tuple(changes(self.steps))
        self.settings: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.kind == "iis-setting":
                self.settings.setdefault(step.server or "", []).append(step)
        self.dns = [step for step in self.steps if step.kind == "dns"]
        self.manual = [step for step in self.steps if step.kind == "manual"]

    def follows_delete(self, change: Change) -> bool:
        """Whether the same SPN is taken from another account first."""
        return change.is_add and any(c.spn == change.spn and not c.is_add for c in self.changes)

    @property
    def ends_duplicates(self) -> bool:
        """Whether an SPN is taken from an account while another one keeps it."""
        return any(change.step.finding == "spn-duplicate" for change in self.changes)

    def is_held(self, change: Change) -> bool:
        return change.step.order in self.held

    def needs_administrator(self, change: Change) -> bool:
        """Whether alias uniqueness refuses the step from a delegated administrator."""
        return any(
            found.id == "plan-blocked-by-alias" and found.spn == change.spn and found.account == change.account
            for found in self.report.findings
        )

    def findings(self) -> list[Finding]:
        """The findings that the steps repair."""
        return [found for found in self.report.findings if found.accepted is None and self._serves(found)]

    def _serves(self, found: Finding) -> bool:
        return any(step.finding == found.id and step.spn in {None, found.spn} for step in self.steps)


def changes(steps: tuple[Step, ...]) -> Iterator[Change]:
    """The SPN steps, in order."""
    for step in steps:
        if step.kind in {"spn-add", "spn-delete"} and step.spn is not None and step.account is not None:
            yield Change(step, step.spn, step.account)


def heading(outline: Outline) -> Iterator[str]:
    """What the script is, when and why it was made; sentences for comments."""
    report = outline.report
    yield "Service principal names (SPNs) to change so that Kerberos works."
    yield f"Written by {report.tool.name} {report.tool.version}, {report.finished}, from what was read then."
    counts = Counter(found.id for found in outline.findings())
    told = ", ".join(f"{name} ({number})" for name, number in counts.items())
    yield f"It repairs: {told or 'nothing, the plan has no steps'}."
    if not report.complete:
        yield "CAUTION: not everything could be read; the plan covers only what was."
    if outline.held:
        yield f"{plural(len(outline.held), 'step')} must be asked about first and will not run: see ASK FIRST."


def ask_first(change: Change) -> str:
    """Why a step waits."""
    if change.is_add:
        return f"ASK FIRST: to {change.title} waits for the removal that is asked about."
    return (
        f"ASK FIRST: nobody inspected what {change.account} uses {change.spn} for. Before you {change.title}, "
        "ask the account's owner."
    )
