"""What `plan` says as CSV for a spreadsheet: a row for each step, for each of another way, and for what has none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from agent.checks.commands import is_for_cmd
from agent.model import Report, Step
from agent.render.goals import goal_line
from agent.render.sheet import cell
from agent.render.verdict import first_line, left_out

COLUMNS = (
    "what",
    "order",
    "kind",
    "server",
    "spn",
    "account",
    "shell",
    "command",
    "rollback",
    "finding",
    "ask_first",
    "note",
)


def to_csv(report: Report) -> str:
    """The plan as rows. `what`: "step", "other way", "blocked", "wanted", or what the plan does not cover."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([cell(text) for text in row] for row in _rows(report))
    return out.getvalue()


def _rows(report: Report) -> Iterator[list[str]]:
    for what, why in _gaps(report):
        yield _row(what, note=why)
    for goal in report.plan.wanted:
        yield _row("wanted", account=str(goal.account or ""), note="; ".join((goal_line(goal), *goal.because)))
    for step in report.plan.steps:
        yield _step("step", step)
    for other in report.plan.alternatives:
        yield from (_step("other way", step, other.finding, other.why) for step in other.steps)
    for blocked in report.plan.blocked:
        yield _row("blocked", finding=blocked.finding, note=blocked.why)


def _gaps(report: Report) -> Iterator[tuple[str, str]]:
    """What nobody knows: a plan without rows would read as an all-clear."""
    if report.is_blind:
        yield "not checked", first_line(report)
    elif (unknown := left_out(report)) is not None:
        yield "not checked", unknown
    if not report.complete:
        yield "incomplete", "not everything could be read; the plan covers only what was"


def _step(what: str, step: Step, finding: str | None = None, why: str = "") -> list[str]:
    return _row(
        what,
        order=str(step.order),
        kind=step.kind,
        server=step.server or "",
        spn=str(step.spn or ""),
        account=str(step.account or ""),
        shell="cmd" if step.command is not None and is_for_cmd(step.command) else "",
        command=step.command or "",
        rollback=step.rollback or "",
        finding=finding or step.finding,
        ask_first="yes" if step.confirm else "no",
        note="; ".join(part for part in (why, step.note or "") if part),
    )


def _row(what: str, **told: str) -> list[str]:
    return [what, *(told.get(column, "") for column in COLUMNS[1:])]
