"""`plan` as a page: the steps in order with the way back of each, other ways, what stays open, and the ticket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from agent.model import Goal, Report, Step
from agent.model.document import json_line
from agent.render.afterwards import probes
from agent.render.goals import goal_line, purpose, steps_counted
from agent.render.page import sources
from agent.render.page.elements import E, badge, begun, command, name, of_class, present
from agent.render.page.frame import Section, Sheet, written
from agent.render.page.part import Part
from agent.render.page.pictures import pictures
from agent.render.page.tools import by_name, form
from agent.render.page.top import end, top
from agent.render.script import if_done, told
from agent.render.steps import KINDS, shell, to_know
from agent.render.ticket import to_ticket
from agent.render.verdict import NO_STEP, left_out

if TYPE_CHECKING:
    from lxml.html import HtmlElement as Element

TITLE = "SPNs to change so that Kerberos works"
_LONGEST_TICKET = 1_000
"""Steps of which nobody pastes the ticket by hand any more."""


class _Model(Struct, frozen=True):
    steps: tuple[Step, ...]


def to_html(report: Report) -> Iterator[str]:
    """The page a piece at a time."""
    steps = report.plan.steps
    accounts = sorted({str(step.account) for step in steps if step.account is not None})
    servers = sorted({step.server for step in steps if step.server is not None})
    tools = form("SPN, account, finding", by_name("Account", "account", accounts), by_name("Server", "server", servers))
    model = json_line(_Model(steps), schema=report.schema)
    return written(
        Sheet(TITLE, _top(report), list(_sections(report)), model, end(report), tools if len(steps) > 1 else None)
    )


def _top(report: Report) -> Iterator[Element]:
    yield from top(TITLE, report)
    yield E.p(E.b(f"{steps_counted(report)}."))
    if report.spns.unknown:
        yield E.p(left_out(report) or NO_STEP, of_class("gap"))
    yield from sources.asked_first(report)


def _sections(report: Report) -> Iterator[Section]:
    plan = report.plan
    if plan.wanted:
        yield Section("wanted", "What is wanted", _wanted(plan.wanted))
    if plan.steps:
        yield Section("steps", "The steps, in this order", _steps(report))
        yield Section("ticket", "To hand over", _ticket(report))
    if plan.alternatives:
        yield Section("ways", "Other ways", _ways(report))
    if plan.blocked:
        yield Section("blocked", "Not repaired by a step", _blocked(report))
    if after := probes(report):
        yield Section("afterwards", "Afterwards", iter([*map(E.p, after[:-1]), command(after[-1])]))
    part = Part(report)
    if any(requirement.matters for requirement in part.requirements):
        yield Section("picture", "The picture today", pictures(part, linked=False))
    if report.summary is not None:
        yield Section("read", "What was read", sources.read(report))
    yield Section("words", "What the words mean", sources.words(report))


def _wanted(goals: Iterable[Goal]) -> Iterator[Element]:
    for goal in goals:
        yield E.div(of_class("card"), E.h3(goal_line(goal)), E.ul(*(E.li(why) for why in goal.because)))


def _steps(report: Report) -> Iterator[Element]:
    yield E.p("Nothing was changed. Each step stands with its own way back.", of_class("dim"))
    for at, step in enumerate(report.plan.steps):
        yield _step(report, at, step)


def _step(report: Report, at: int, step: Step) -> Element:
    where = ("" if step.server is None else f" on {step.server}") + shell(step)
    title = begun(step.title) if step.changes_spn else f"{KINDS[step.kind]}{where}"
    asked = [" ", badge("mild", "ASK FIRST")] if step.confirm else []
    head = E.h3(E.span(f"{step.order}. ", of_class("dim")), title, *asked)
    note = to_know(step)
    back = [] if step.rollback is None else [_back(step)]
    about = {"id": f"step-{step.order}", "data-s": str(at), "class": "card step"}
    notes = [] if note is None else [E.p(note, of_class("note"))]
    return E.article(
        about, head, E.p(of_class("dim"), "for ", name(purpose(report, step))), *notes, *_instruction(step), *back
    )


def _back(step: Step) -> Element:
    commands = map(command, (step.rollback or "").split(" && "))
    return E.div(of_class("back"), E.p(f"Way back, {if_done(step)}"), *commands)


def _instruction(step: Step) -> Iterator[Element]:
    for line in told(step):
        yield E.p(line) if step.command is None else command(line)


def _ticket(report: Report) -> Iterator[Element]:
    if len(report.plan.steps) > _LONGEST_TICKET:
        yield E.p("The ticket is too long for a page: ", E.code("--format ticket"))
        return
    lines = to_ticket(report).splitlines()
    text = E.code()
    for line in lines:
        text.extend([E.span(line), E.br()])
    yield E.p("For the people who may change Active Directory, as plain text (--format ticket).", of_class("dim"))
    button = E.button("Copy", of_class("copy"), {"type": "button", "aria-label": "Copy the ticket"})
    yield E.details(E.summary("The ticket"), E.div(of_class("command", "ticket"), text, button))


def _ways(report: Report) -> Iterator[Element]:
    for other in report.plan.alternatives:
        lines = (line for step in other.steps for line in _instruction(step))
        yield E.div(
            of_class("card"), E.p("Instead of the steps for ", name(other.finding), f": {other.why}"), *present(*lines)
        )


def _blocked(report: Report) -> Iterator[Element]:
    yield E.ul(*(E.li(name(one.finding), f": {one.why}") for one in report.plan.blocked))
