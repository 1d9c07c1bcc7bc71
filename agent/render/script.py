"""What the scripts of a plan share: its steps sorted by who runs them, and comments that stay on their line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from agent.change.plan import awaiting, held_back, pairwise
from agent.checks.commands import is_for_cmd
from agent.model import Finding, Report, Step
from agent.names import Spn, printable
from agent.render.goals import goals_told
from agent.render.verdict import left_out, without_ground
from agent.render.what_was_read import only_told
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
    """The steps of a plan by who runs them, and which of them wait for an answer.

    `can_write`: whether the format can hold an SPN step. Where it cannot, no step of that SPN is run: what begins must
    be able to end.
    """

    def __init__(self, report: Report, can_write: Callable[[Step], bool] = lambda _: True) -> None:
        self.report = report
        self.steps = report.plan.steps
        self.changes = pairwise(self.steps)
        self.unable = frozenset(step.order for step in self.changes if not can_write(step))
        self.held = held_back(self.steps)
        self.awaiting = awaiting(self.steps)
        self.by_hand = frozenset(step.spn for step in self.changes if step.order in self.unable)
        self.added = frozenset(step.spn for step in self.changes if step.is_add)
        self._removals: dict[Spn | None, list[Step]] = {}
        for step in self.changes:
            if not step.is_add:
                self._removals.setdefault(step.spn, []).append(step)
        self._refused = frozenset(
            (found.spn, found.account) for found in report.findings if found.id == "plan-blocked-by-alias"
        )
        self._served = frozenset((step.finding, step.spn) for step in self.steps)
        self.settings: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.kind == "iis-setting":
                self.settings.setdefault(step.server or "", []).append(step)
        self.dns = [step for step in self.steps if step.kind == "dns"]
        self.manual = [step for step in self.steps if step.kind == "manual"]
        self.without_ground = without_ground(report)

    def follows_delete(self, step: Step) -> bool:
        """Whether the same SPN is taken from another account first."""
        return step.is_add and step.spn in self._removals

    def moved_from(self, name: Spn) -> Step | None:
        """The one removal of an SPN that is registered elsewhere then: what comes back where that is refused.

        Of several holders none comes back alone: nobody (NTLM) is better than one wrong holder (401).
        """
        removals = self._removals.get(name, [])
        return removals[0] if len(removals) == 1 and name in self.added else None

    @property
    def left_out(self) -> tuple[Step, ...]:
        """Every step that a script does not run, in order: others do it, a person, or somebody must be asked first."""
        return tuple(step for step in self.steps if not step.changes_spn or self.is_left(step))

    def is_left(self, step: Step) -> bool:
        """Whether a script does not run a step that changes an SPN, unless somebody agrees."""
        return self.is_held(step) or self.is_barred(step)

    def is_barred(self, step: Step) -> bool:
        """Whether it never runs in a script, whoever agrees: by hand, or before others did what comes first."""
        return self.is_by_hand(step) or step.order in self.awaiting

    def is_by_hand(self, step: Step) -> bool:
        """Whether it never runs in a script, for one step of its SPN cannot."""
        return step.spn in self.by_hand

    def why_left(self, step: Step) -> str:
        """Why a script does not run a step that it holds."""
        if step.order in self.unable:
            return f"BY HAND: {step.title}"
        if self.is_by_hand(step):
            return f"BY HAND: to {step.title} belongs to another step, which is by hand."
        return wait_for(step) if step.order in self.awaiting else ask_first(step)

    @property
    def is_blind(self) -> bool:
        """Whether there is no step because nobody knows what is right."""
        return not self.steps and self.report.is_blind

    @property
    def ends_duplicates(self) -> bool:
        """Whether an SPN is taken from an account while another one keeps it."""
        return any(step.finding == "spn-duplicate" for step in self.changes)

    def is_held(self, step: Step) -> bool:
        return step.order in self.held

    def needs_administrator(self, step: Step) -> bool:
        """Whether alias uniqueness refuses the step from a delegated administrator."""
        return (step.spn, step.account) in self._refused

    def findings(self) -> list[Finding]:
        """The findings that the steps repair."""
        return [found for found in self.report.findings if found.accepted is None and self._serves(found)]

    def _serves(self, found: Finding) -> bool:
        return bool({(found.id, None), (found.id, found.spn)} & self._served)


def told(step: Step) -> tuple[str, ...]:
    """A step for people: its commands, each on a line of its own, or words where there is none."""
    if step.command is not None:
        return tuple(step.command.split(" && "))
    return (f"BY HAND: {step.title}" if step.changes_spn else step.note or "",)


def at(step: Step) -> str:
    """Where a step is made that no script makes."""
    shell = ", in cmd" if step.command is not None and is_for_cmd(step.command) else ""
    if step.kind == "iis-setting":
        return f"on {step.server or 'the web server'}{shell}"
    return f"on the DNS server{shell}" if step.kind == "dns" else "by hand"


def if_done(step: Step) -> str:
    """What the way back of a step depends on."""
    return f"only if step {step.order} was done:"


def with_question(outline: Outline, step: Step) -> tuple[str, ...]:
    """A step for people, after what must be asked before it."""
    return (*([ask_first(step)] if outline.is_held(step) else []), *told(step), *aside(outline, step))


def when(outline: Outline, steps: Sequence[Step]) -> str:
    """When others make these steps: all of a repair come before the SPNs, those for what is wanted by their numbers."""
    if not outline.report.plan.wanted:
        return "before the SPNs"
    return f"as step {', '.join(str(step.order) for step in steps)}"


def aside(outline: Outline, step: Step) -> tuple[str, ...]:
    """What must be known of a step that others make, where no question says it."""
    is_told = step.command is None or step.note is None or (outline.is_held(step) and step.confirm)
    return () if is_told else (f"Step {step.order}: {step.note}",)


def heading(outline: Outline) -> Iterator[str]:
    """What the script is, when and why it was made; sentences for comments."""
    report = outline.report
    yield "Service principal names (SPNs) to change so that Kerberos works."
    yield f"Written by {report.tool.name} {report.tool.version}, {report.finished}, from what was read then."
    yield from only_told(report)
    yield from goals_told(report)
    counts = Counter(found.id for found in outline.findings())
    told = ", ".join(f"{name} ({number})" for name, number in counts.items())
    if not report.plan.wanted or outline.without_ground is not None:
        yield outline.without_ground or f"It repairs: {told or 'nothing, the plan has no steps'}."
    if (unknown := left_out(report)) is not None:
        yield unknown
    if not report.complete:
        yield "CAUTION: not everything could be read; the plan covers only what was."
    if outline.held:
        yield f"{plural(len(outline.held), 'step')} must be asked about first and will not run: see ASK FIRST."
    if outline.awaiting:
        told = plural(len(outline.awaiting), "step")
        yield f"{told} must come after what is done elsewhere and will not run: see FIRST, then plan again."


def wait_for(step: Step) -> str:
    """What is done elsewhere before a step, which would break a name until then."""
    if not step.after:
        return f"FIRST the step before it: to {step.title} waits with that."
    earlier = ", ".join(map(str, step.after))
    return f"FIRST step {earlier}, elsewhere: to {step.title} before that would break the name. Then plan again."


def ask_first(step: Step) -> str:
    """Why a step waits."""
    title = step.title if step.changes_spn else "do this"
    if not step.confirm:
        before = "removal" if step.is_add else "step"
        return f"ASK FIRST: to {title} waits for the {before} that is asked about."
    return f"ASK FIRST: {step.note or 'nobody looked what breaks'}. Only then {title}."
