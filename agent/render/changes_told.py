"""Changes in words, for every format that is made for people."""

from __future__ import annotations

from agent.history import Change, Difference, Ran
from agent.history.change import Value
from agent.model import SEVERITIES
from agent.render.wording import first_few, plural, reason_told

WORDS = dict(zip(SEVERITIES, ("error", "warning", "note"), strict=True))


def first_line(difference: Difference) -> str:
    """`CHANGED: 1 error, 3 notes.`, or that nothing did; never that nothing did where one side did not see all."""
    told = [
        plural(number, word)
        for severity, word in WORDS.items()
        if (number := sum(one.severity == severity and one.accepted is None for one in difference.changes))
    ]
    accepted = sum(one.accepted is not None for one in difference.changes)
    told += [f"{accepted} accepted"] if accepted else []
    if told:
        return f"CHANGED: {', '.join(told)}."
    if not difference.complete:
        return "No change is known, and not everything could be read."
    return "Nothing changed." if not difference.gaps else "Nothing changed, as far as both sides saw it."


def incomplete(difference: Difference) -> str | None:
    """Which side does not know everything."""
    sides = [name for name, ran in (("OLD", difference.old), ("NEW", difference.new)) if not ran.complete]
    if not sides:
        return None
    return f"INCOMPLETE: not everything could be read in {' and in '.join(sides)}. What is not shown is not known."


def ran(run: Ran) -> str:
    """`monday.json, 2026-11-21T12:00:00Z, 7 servers`"""
    return f"{run.source}, {run.started}, {plural(run.servers, 'server')}"


def place(change: Change) -> str:
    """`IIS01 Intranet/app`; empty where it concerns several servers."""
    if change.server is None:
        return ""
    return change.server if change.site is None else f"{change.server} {change.site}{change.path or ''}"


def otherwise(change: Change) -> str:
    """What came, what went, or what it was and is now."""
    subject = change.name or change.what
    if change.what in {"requirement", "holder"} and change.spn is not None:
        subject = change.spn.text
    if change.what == "holder":
        return (
            f"{subject} is on {shown(change.after)} now" if change.after else f"{subject} left {shown(change.before)}"
        )
    if change.kind == "changed":
        return f"{subject}: {shown(change.before)} -> {shown(change.after)}"
    state = shown(change.after if change.kind == "appeared" else change.before)
    if change.what == "requirement":
        return f"{subject} is {'needed now' if change.kind == 'appeared' else 'no longer needed'} ({state})"
    more = f" ({state})" if change.what == "application" else ""
    about = f" {change.spn}" if change.what == "finding" and change.spn is not None else ""
    return f"{subject}{about} {change.kind}{more}"


def why(change: Change) -> str:
    """Why, and why a finding may stay."""
    return change.because if change.accepted is None else f"{change.because} Accepted: {reason_told(change.accepted)}"


def shown(value: Value) -> str:
    """A value of the report in a sentence or a cell."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else first_few(value) or "none"
