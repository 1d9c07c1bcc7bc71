"""What `plan` says as Markdown, for a wiki: each step with its command, its way back and what must be known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.model import Report, Step
from agent.render.afterwards import probes
from agent.render.goals import goal_line, purpose, steps_counted
from agent.render.markdown import asked_first, code, words
from agent.render.script import if_done, told
from agent.render.steps import KINDS, shell, to_know
from agent.render.verdict import NO_STEP, first_line, left_out, not_looked_at


def to_markdown(report: Report) -> str:
    """The steps in order, other ways, and what no step can repair."""
    return "\n".join(_lines(report)).rstrip("\n") + "\n"


def _lines(report: Report) -> Iterator[str]:
    plan = report.plan
    yield from ("# SPNs to change so that Kerberos works", "", f"**{words(first_line(report))}**", "")
    for sentence in _gaps(report):
        yield from (words(sentence), "")
    yield from asked_first(report)
    if not report.complete:
        yield from ("**INCOMPLETE: not everything could be read; the plan covers only what was.**", "")
    yield from (f"{steps_counted(report)}.", "")
    for goal in plan.wanted:
        yield f"- **{words(goal_line(goal))}**"
        yield from (f"  - {words(why)}" for why in goal.because)
    if plan.wanted:
        yield ""
    for step in plan.steps:
        yield from (*_step(report, step), "")
    if plan.alternatives:
        yield from ("## Other ways", "")
    for other in plan.alternatives:
        yield f"- instead of the steps for {words(other.finding)}: {words(other.why)}"
        for step in other.steps:
            yield from (f"  - {line}{shell(step)}" for line in _instruction(step))
    if plan.blocked:
        yield from (*([""] if plan.alternatives else []), "## Not repaired by a step", "")
        yield from (f"- **{words(one.finding)}**: {words(one.why)}" for one in plan.blocked)
    yield from _afterwards(report)


def _afterwards(report: Report) -> Iterator[str]:
    *before, command = probes(report) or ("",)
    if command:
        yield from ([""] if report.plan.alternatives or report.plan.blocked else [])
        yield from ("## Afterwards", "", *map(words, before), "", f"- {code(command)}")


def _gaps(report: Report) -> Iterator[str]:
    yield from not_looked_at(report)
    if report.spns.unknown:
        yield left_out(report) or NO_STEP


def _step(report: Report, step: Step) -> Iterator[str]:
    where = ("" if step.server is None else f" on {words(step.server)}") + shell(step)
    yield f"## {step.order}. {KINDS[step.kind]}{where}, for {words(purpose(report, step))}"
    yield ""
    yield from _commands(_instruction(step))
    if step.rollback is not None:
        yield f"- Way back, {if_done(step)}"
        yield from (f"  {line}" for line in _commands(map(code, step.rollback.split(" && "))))
    if (note := to_know(step)) is not None:
        yield f"- **{words(note)}**"


def _instruction(step: Step) -> Iterator[str]:
    yield from map(words if step.command is None else code, told(step))


def _commands(lines: Iterable[str]) -> Iterator[str]:
    yield from (f"- {line}" for line in lines)
