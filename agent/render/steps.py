"""What `plan` says as text: the steps with their commands, the way back, and what no step can repair."""

from __future__ import annotations

from collections.abc import Mapping

from agent.checks.commands import is_for_cmd
from agent.model import Report, Step, StepKind
from agent.render.afterwards import probes
from agent.render.findings import write_incomplete
from agent.render.first_screen import write_questions
from agent.render.goals import goal_line, purpose, steps_counted
from agent.render.layout import UNITS, Page
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from agent.render.script import told
from agent.render.verdict import NO_STEP, first_line, left_out, look, not_looked_at

KINDS: Mapping[StepKind, str] = {
    "dns": "Change DNS",
    "iis-setting": "Change an IIS setting",
    "spn-delete": "Remove an SPN",
    "spn-add": "Register an SPN",
    "manual": "By hand",
}


def to_text(
    report: Report, width: int, color: bool, shown: Shown = "all", following: Following = NOTHING_FOLLOWS
) -> str:
    """The plan: what to do in which order, how to take it back, other ways, and what no step can repair."""
    page = Page(width)
    page.prose(first_line(report), look=look(report))
    if shown != "verdict":
        write_incomplete(page, report)
        for sentence in not_looked_at(report):
            page.prose(sentence)
        write_questions(page, report, following)
    page.prose(steps_counted(report), look="bold")
    if shown != "verdict":
        _whole(page, report)
    return page.text(color)


def _whole(page: Page, report: Report) -> None:
    if report.spns.unknown:
        page.prose(left_out(report) or NO_STEP)
    _wanted(page, report)
    for step in report.plan.steps:
        _step(page, report, step)
    if report.plan.alternatives:
        page.blank()
        page.line(("Other ways", "bold"))
    for number, other in enumerate(report.plan.alternatives):
        if number:
            page.blank()
        page.prose(f"instead of the steps for {other.finding}: {other.why}", 2)
        for step in other.steps:
            if shell(step):
                page.line(" " * 4, "in cmd:")
            _instruction(page, step, "cyan")
    if report.plan.blocked:
        page.blank()
        page.line(("Not repaired by a step", "bold"))
        for blocked in report.plan.blocked:
            page.prose(["-", *UNITS.findall(f"{blocked.finding}: {blocked.why}")], 2)
    _afterwards(page, report)
    page.blank()
    page.prose("Nothing was changed. As scripts: --format cmd, powershell, ldif; to hand over: ticket.", look="dim")


def _afterwards(page: Page, report: Report) -> None:
    *before, command = probes(report) or ("",)
    if command:
        page.blank()
        page.line(("Afterwards", "bold"))
        for sentence in before:
            page.prose(sentence, 2)
        page.line("    ", (command, "cyan"))


def _wanted(page: Page, report: Report) -> None:
    for goal in report.plan.wanted:
        page.blank()
        page.prose(goal_line(goal), look="bold")
        for why in goal.because:
            page.prose(["-", *UNITS.findall(why)], 2)


def _step(page: Page, report: Report, step: Step) -> None:
    where = ("" if step.server is None else f" on {step.server}") + shell(step)
    page.blank()
    page.prose(f"{step.order}. {KINDS[step.kind]}{where}, for {purpose(report, step)}", look="bold")
    _instruction(page, step, "bold cyan")
    if step.rollback is not None:
        page.line("    back: ", (step.rollback, "dim"))
    if (note := to_know(step)) is not None:
        page.prose(note, 4, look="bold yellow")


def to_know(step: Step) -> str | None:
    """What must be known before a step is made, as a sentence."""
    if step.note is None or step.note in told(step):
        return None
    note = f"ask first: {step.note}" if step.confirm and not step.note.startswith("ask ") else step.note
    return f"{note[:1].upper()}{note[1:].rstrip('.')}."


def shell(step: Step) -> str:
    if step.command is None:
        return ""
    return ", in cmd" if is_for_cmd(step.command) else ", in PowerShell" if step.kind == "manual" else ""


def _instruction(page: Page, step: Step, look: str) -> None:
    if step.command is not None:
        page.line(" " * 4, (step.command, look))
    else:
        for line in told(step):
            page.prose(line, 4, look=look)
