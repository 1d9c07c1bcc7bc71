"""The first and the last line: what people have, worst first, and beside it what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.model import Report
from agent.render.wording import first_few, plural

NO_STEP = "No step and no all-clear follows from what nobody knows."


def first_line(report: Report) -> str:
    """`BROKEN: 1 of 4 SPNs (three prompts, then 401). OK: 3, if no name is an alias.`"""
    spns = report.spns
    if not spns.total:
        return _nothing(report)
    parts = _counts(report, detailed=True)
    if spns.is_blind or (not spns.broken and not spns.ntlm and _is_nameless(report)):
        told = f"{plural(spns.total, 'SPN')} matter{'s' if spns.total == 1 else ''}, {spns.ok} known"
        parts = [f"NOT CHECKED: {_reason(report)}", told, *parts[1:]]
    return ". ".join(parts) + "."


def last_line(report: Report) -> str:
    """The same counts again, for those who see the end of a long page only."""
    parts = _counts(report, detailed=False) or [_nothing(report).rstrip(".")]
    failed = sum(server.status != "ok" for server in report.servers)
    if not report.complete:
        parts.append(f"INCOMPLETE: {plural(failed, 'server')}" if failed else "INCOMPLETE")
    return ", ".join(parts)


def look(report: Report) -> str:
    """The colour of the verdict; green is only what is whole and known to be right."""
    spns = report.spns
    if spns.broken:
        return "bold red"
    if spns.ntlm:
        return "bold yellow"
    is_open = spns.unknown or not report.complete or _is_refused(report) or _may_be_asked(report)
    return "bold" if is_open else "bold green"


def not_looked_at(report: Report) -> Iterator[str]:
    """What nobody looked at though something depends on it, a sentence each."""
    for read in report.summary.read if report.summary is not None and report.spns.total else ():
        if not read.asked and read.note is not None:
            yield f"{read.note[:1].upper()}{read.note[1:]}."
    unread = [s.name for s in report.servers if any(problem.id == "content-not-collected" for problem in s.problems)]
    if unread and report.spns.total:
        yield f"web.config files were not looked at: {first_few(unread)}."


def without_ground(report: Report) -> str | None:
    """Why a plan without a step is no all-clear: nobody knows, or nothing asks for a ticket. None where it is one."""
    if report.spns.is_blind:
        return f"{first_line(report)} {NO_STEP}"
    return None if report.spns.total or report.plan.steps else first_line(report)


def left_out(report: Report) -> str | None:
    """That a plan is not about SPNs of which nobody knows whether they are right."""
    spns = report.spns
    if spns.is_blind or not spns.unknown:
        return None
    return f"NOT CHECKED: {spns.unknown} of {plural(spns.total, 'SPN')}, {_reason(report)}. No step is about them."


def if_told(conditions: Sequence[str] | None) -> str:
    """`if no name is an alias`; empty for what stands without a condition."""
    return f"if {' and '.join(conditions)}" if conditions else ""


def _is_refused(report: Report) -> bool:
    """Whether IIS refuses the configuration of an application, or of a place below one: 500 for whoever comes there."""
    return any(
        one.why_not == "refused" or any(place.why_not == "refused" for place in one.places)
        for one in report.applications
    )


def _may_be_asked(report: Report) -> bool:
    """Whether a file that nobody looked at may make an application ask for a ticket, or a place below one."""
    return any(one.may_negotiate or any(place.may_negotiate for place in one.places) for one in report.applications)


def _nothing(report: Report) -> str:
    if _is_refused(report):
        return "NOT CHECKED: IIS refuses a configuration (see the errors), and what is needed there is not known."
    if not report.complete and not any(application.negotiates for application in report.applications):
        return "NOT CHECKED: what was read does not show whether an SPN is needed."
    if _may_be_asked(report):
        return "NOT CHECKED: web.config files were not looked at, and may switch Windows authentication on."
    if any(application.negotiates for application in report.applications):
        return "OK: no SPN matters, for clients reach no application by a name."
    return "OK: no SPN matters, for no application asks clients for a Kerberos ticket."


def _counts(report: Report, *, detailed: bool) -> list[str]:
    spns = report.spns
    broken = {r.outcome for r in report.requirements if r.matters} & {"modified", "duplicate", "impossible"}
    effect = " (three prompts, then 401)" if broken == {"modified"} and detailed else ""
    reason = f", {_reason(report)}" if detailed and spns.unknown else ""
    condition = if_told(_conditions(report)) if detailed else ""
    counted = (
        ("BROKEN", spns.broken, effect),
        ("NTLM", spns.ntlm, ""),
        ("NOT CHECKED", spns.unknown, reason),
        ("OK", spns.ok, f", {condition}" if condition else ""),
    )
    told = [(word, number, more) for word, number, more in counted if number]
    first = f" of {plural(spns.total, 'SPN')}"
    return [f"{word}: {number}{'' if at else first}{more}" for at, (word, number, more) in enumerate(told)]


def _conditions(report: Report) -> tuple[str, ...]:
    good = (r.provided or () for r in report.requirements if r.matters and r.outcome == "kerberos")
    return tuple(dict.fromkeys(condition for conditions in good for condition in conditions))


def _reason(report: Report) -> str:
    """Why not all is known: what is to be given first."""
    spns = report.spns
    if _is_nameless(report):
        if len(report.servers) == 1:
            return "the server's name is not known: give --computer"
        unnamed = sum(found.id == "machine-unknown" for found in report.findings)
        return f"the names of {plural(unnamed, 'server')} are not known: give a machine.json for each"
    if spns.not_checked and not _was_asked(report):
        return "nobody looked who holds the SPNs"
    if spns.not_checked:
        return "what was read does not tell who holds the SPNs"
    if spns.uncertain == sum(application.is_unnamed for application in report.applications):
        return "names that clients use are not known"
    return "what was read does not settle it"


def _is_nameless(report: Report) -> bool:
    """Whether something is not known because nobody said what a server is called."""
    return report.spns.uncertain > 0 and any(found.id == "machine-unknown" for found in report.findings)


def _was_asked(report: Report) -> bool:
    if report.summary is None:
        return any(requirement.holders is not None for requirement in report.requirements)
    return any(read.kind == "directory" and read.asked for read in report.summary.read)
