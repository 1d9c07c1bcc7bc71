"""What is wanted, in words: the same for every format."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.answered import farm_line
from agent.model import Goal, Report, Step
from agent.names import printable
from agent.render.wording import plural

_REACHED = {True: "it is so", False: "not yet", None: "not known"}


def purpose(report: Report, step: Step) -> str:
    """What a step is for: a finding, or what is wanted."""
    hosts = (goal.host.text for goal in report.plan.wanted if step.order in goal.steps)
    return step.finding or ", ".join(hosts)


def is_wanted(report: Report) -> bool:
    """Whether the plan leads to what somebody wants, and mends nothing else."""
    return bool(report.plan.wanted)


def goal_line(goal: Goal) -> str:
    """`portal.test.com on TEST\\gmsaWeb$, answered by IIS01 and IIS02: not yet, steps 1 to 7`."""
    account = "an account that is not known" if goal.account is None else printable(str(goal.account))
    servers = " and ".join(map(printable, goal.servers))
    steps = f", {_numbers(goal.steps)}" if goal.steps else ""
    return f"{goal.host} on {account}, answered by {servers}: {_REACHED[goal.reached]}{steps}"


def _numbers(steps: tuple[int, ...]) -> str:
    if len(steps) > 2 and steps == tuple(range(steps[0], steps[-1] + 1)):
        return f"steps {steps[0]} to {steps[-1]}"
    return f"{'step' if len(steps) == 1 else 'steps'} {', '.join(map(str, steps))}"


def goals_told(report: Report) -> Iterator[str]:
    """One sentence for each want, for comments of a script."""
    yield from (f"Wanted: {goal_line(goal)}." for goal in report.plan.wanted)


def steps_counted(report: Report) -> str:
    """How many steps, and what they leave open."""
    count = plural(len(report.plan.steps), "step")
    if not is_wanted(report):
        return f"{count}; {plural(len(report.plan.blocked), 'finding')} no step can repair"
    reached = sum(goal.reached is True for goal in report.plan.wanted)
    return f"{count}; {reached} of {plural(len(report.plan.wanted), 'name')} as wanted"


def checked_by(goal: Goal) -> tuple[str, str]:
    """How it is seen afterwards that a name is as wanted, and the line of the farm file with which `inspect` looks."""
    return (
        f"Then collect the servers of {goal.host} anew, and inspect them with this farm entry, or plan again with "
        "the same --want: no step may be left.",
        farm_line(goal.host, goal.servers),
    )
