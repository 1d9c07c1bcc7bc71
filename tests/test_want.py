"""`plan --want`: the steps lead to what is wanted, nobody is worse off on the way, and they can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from console import typed
from inputs import Inputs
from wants import CHANGES, Change

from agent.model import Report, Step

NEEDS = ("explicit", "covered", "port-variant", "optional")


def balance(given: Inputs, change: Change) -> None:
    """What a person does who is told of the load balancer: the name leads to it."""
    (zone,) = given.zones
    name = change.balanced.split()[0]
    lines = [line for line in zone.read_text().splitlines() if line.split()[:1] not in ([name], [f"{name}.test.com."])]
    zone.write_text("\n".join([*lines, change.balanced, ""]), encoding="utf-8")


def person(given: Inputs, step: Step, change: Change) -> None:
    """A step, by whoever it is for."""
    if step.command is not None:
        typed(step.command, given, step.server)
    elif "load balancer" in (step.note or ""):
        balance(given, change)
    else:
        raise AssertionError(step.note)


def state(of: Report) -> object:
    """What a report says of settings, holders and outcomes."""
    return (
        [(a.reference, a.decrypts_as, a.pool_account, a.identity_type, a.windows_auth) for a in of.applications],
        sorted((str(r.spn), str(r.account), r.outcome, sorted(map(str, r.holders or ()))) for r in of.requirements),
        of.plan.wanted,
    )


def walked(given: Inputs, change: Change, seen: Callable[[Step, Report], None] = lambda _step, _report: None) -> Report:
    """Every step in its order; what is seen after each."""
    before = given.inspected()
    for step in before.plan.steps:
        person(given, step, change)
        seen(step, given.inspected())
    return given.inspected()


@pytest.mark.parametrize("name", CHANGES)
def test_the_steps_lead_to_what_is_wanted(name: str, tmp_path: Path) -> None:
    change = CHANGES[name]
    given = change.written(tmp_path / "given")
    before = given.inspected()
    assert [goal.reached for goal in before.plan.wanted] == [False]
    assert before.plan.steps
    after = walked(given, change)
    assert [(goal.reached, goal.steps) for goal in after.plan.wanted] == [(True, ())]
    assert after.plan.steps == ()
    assert after.spns.broken == 0
