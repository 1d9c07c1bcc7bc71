"""What the scripts of a plan share: its steps sorted by who runs them, and comments that stay on their line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from agent.change.plan import held_back
from agent.model import Finding, Report, Step
from agent.names import printable
from agent.render.verdict import left_out, without_ground
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


class Outline:
    """The steps of a plan by who runs them, and which of them wait for an answer."""

    def __init__(self, report: Report, steps: tuple[Step, ...] | None = None) -> None:
        self.report = report
        self.steps = report.plan.steps if steps is None else steps
        self.held = held_back(self.steps)
        self.changes = tuple(step for step in self.steps if step.changes_spn)
        self.settings: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.kind == "iis-setting":
                self.settings.setdefault(step.server or "", []).append(step)
        self.dns = [step for step in self.steps if step.kind == "dns"]
        self.manual = [step for step in self.steps if step.kind == "manual"]
        self.without_ground = without_ground(report)

    def follows_delete(self, step: Step) -> bool:
        """Whether the same SPN is taken from another account first."""
        return step.is_add and any(other.spn == step.spn and not other.is_add for other in self.changes)

    @property
    def is_blind(self) -> bool:
        """Whether there is no step because nobody knows what is right."""
        return not self.steps and self.report.spns.is_blind

    @property
    def ends_duplicates(self) -> bool:
        """Whether an SPN is taken from an account while another one keeps it."""
        return any(step.finding == "spn-duplicate" for step in self.changes)

    def is_held(self, step: Step) -> bool:
        return step.order in self.held

    def needs_administrator(self, step: Step) -> bool:
        """Whether alias uniqueness refuses the step from a delegated administrator."""
        return any(
            found.id == "plan-blocked-by-alias" and found.spn == step.spn and found.account == step.account
            for found in self.report.findings
        )

    def findings(self) -> list[Finding]:
        """The findings that the steps repair."""
        return [found for found in self.report.findings if found.accepted is None and self._serves(found)]

    def _serves(self, found: Finding) -> bool:
        return any(step.finding == found.id and step.spn in {None, found.spn} for step in self.steps)


def told(step: Step) -> tuple[str, ...]:
    """A step for people: its commands, each on a line of its own, or words where there is none."""
    if step.command is not None:
        return tuple(step.command.split(" && "))
    return (f"By hand: {step.title}" if step.changes_spn else step.note or "",)


def with_question(outline: Outline, step: Step) -> tuple[str, ...]:
    """A step for people, after what must be asked before it."""
    return (*([ask_first(step)] if outline.is_held(step) else []), *told(step))


def heading(outline: Outline) -> Iterator[str]:
    """What the script is, when and why it was made; sentences for comments."""
    report = outline.report
    yield "Service principal names (SPNs) to change so that Kerberos works."
    yield f"Written by {report.tool.name} {report.tool.version}, {report.finished}, from what was read then."
    counts = Counter(found.id for found in outline.findings())
    told = ", ".join(f"{name} ({number})" for name, number in counts.items())
    yield outline.without_ground or f"It repairs: {told or 'nothing, the plan has no steps'}."
    if (unknown := left_out(report)) is not None:
        yield unknown
    if not report.complete:
        yield "CAUTION: not everything could be read; the plan covers only what was."
    if outline.held:
        yield f"{plural(len(outline.held), 'step')} must be asked about first and will not run: see ASK FIRST."


def ask_first(step: Step) -> str:
    """Why a step waits."""
    title = step.title if step.changes_spn else "do this"
    if not step.confirm:
        before = "removal" if step.is_add else "step"
        return f"ASK FIRST: to {title} waits for the {before} that is asked about."
    return f"ASK FIRST: {step.note or 'nobody looked what breaks'}. Only then {title}."
