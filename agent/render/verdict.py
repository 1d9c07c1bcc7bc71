"""The first and the last line: what people have, worst first, and beside it what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.model import Report
from agent.render.what_was_read import only_told
from agent.render.wording import first_few, plural

NO_STEP = "No step and no all-clear follows from what nobody knows."


def first_line(report: Report) -> str:
    """`BROKEN: 1 of 4 SPNs (three prompts, then 401). OK: 3, if no name is an alias.`

    It begins with OK only where all was read, all that matters is known and right, and there is no error.
    """
    return ". ".join(_parts(report, detailed=True)) + "."


def last_line(report: Report) -> str:
    """The same counts again, for those who see the end of a long page only."""
    return ", ".join(_parts(report, detailed=False))


def look(report: Report) -> str:
    """The colour of the verdict; green is only what is whole and known to be right."""
    spns = report.spns
    if spns.broken or _other_errors(report):
        return "bold red"
    if spns.ntlm:
        return "bold yellow"
    is_open = spns.unknown or not report.complete or _is_refused(report) or report.may_ask
    return "bold" if is_open else "bold green"


def _parts(report: Report, *, detailed: bool) -> list[str]:
    """What is wrong, what is not known, what is right: in this order."""
    spns = report.spns
    first, counts = [], _counts(report, detailed=detailed)
    errors = _other_errors(report)
    if errors and not spns.broken and not (_is_refused(report) and not spns.total):
        names = f" ({', '.join(dict.fromkeys(errors))})" if detailed else ""
        first = [f"{'ERROR' if len(errors) == 1 else 'ERRORS'}: {len(errors)}{names}"]
    if not spns.total:
        counts = [("", _nothing(report, is_first=not first and report.complete))]
    elif detailed and (spns.is_blind or (not spns.broken and not spns.ntlm and _is_nameless(report))):
        told = f"{plural(spns.total, 'SPN')} matter{'s' if spns.total == 1 else ''}, {spns.ok} known"
        counts = [("NOT CHECKED", f"NOT CHECKED: {_reason(report)}"), ("", told), *counts[1:]]
    right = [text for word, text in counts if word == "OK"]
    other = [text for word, text in counts if word != "OK"]
    missing = [] if report.complete else [_incomplete(report, detailed=detailed)]
    return [*first, *other, *missing, *right]


def _incomplete(report: Report, *, detailed: bool) -> str:
    """How many servers gave no answer, or a part of one; or that what they were held against was not read whole."""
    silent = sum(server.status == "failed" for server in report.servers)
    partial = sum(server.status == "partial" for server in report.servers)
    if not silent and not partial:
        return "INCOMPLETE" + (": a source could not be read whole" if detailed else "")
    if not detailed:
        return f"INCOMPLETE: {plural(silent + partial, 'server')}"
    of = f" of {plural(len(report.servers), 'server')}"
    told = [(silent, "gave no answer"), (partial, "read in part")]
    first, *more = [f"{number}{{}} {what}" for number, what in told if number]
    return f"INCOMPLETE: {', '.join([first.format(of), *(each.format('') for each in more)])}"


def _other_errors(report: Report) -> list[str]:
    """The open errors that are not about reading, each by its id."""
    unread = {cause.finding for cause in report.causes or () if cause.unread}
    return [f.id for f in report.findings if f.severity == "error" and f.accepted is None and f.id not in unread]


def not_looked_at(report: Report) -> Iterator[str]:
    """What nobody looked at though something depends on it, a sentence each; of the directory the questions tell."""
    yield from only_told(report)
    summary = report.summary if report.spns.total else None
    for read in summary.read if summary is not None else ():
        is_told = read.kind == "directory" and summary is not None and summary.questions
        if not read.asked and read.note is not None and not is_told:
            yield f"{read.note[:1].upper()}{read.note[1:]}."
    unread = [s.name for s in report.servers if any(problem.id == "content-not-collected" for problem in s.problems)]
    if unread and report.spns.total:
        yield f"web.config files were not looked at: {first_few(unread)}."
    lacking: dict[str, list[str]] = {}
    for server in report.servers:
        for problem in server.problems:
            if problem.id == "facts-not-collected":
                lacking.setdefault(problem.message, []).append(server.name)
    for message, names in lacking.items():
        yield f"Not collected, {message}: {first_few(names)}."


def without_ground(report: Report) -> str | None:
    """Why a plan without a step is no all-clear: nobody knows, or nothing asks for a ticket. None where it is one."""
    if report.is_blind:
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


def _nothing(report: Report, *, is_first: bool) -> str:
    """Why no SPN matters; only where nothing worse is said is that an OK."""
    if _is_refused(report):
        return "NOT CHECKED: IIS refuses a configuration (see the errors), and what is needed there is not known"
    if not report.complete and not any(application.negotiates for application in report.applications):
        return "NOT CHECKED: what was read does not show whether an SPN is needed"
    if report.may_ask:
        return "NOT CHECKED: web.config files were not looked at, and may switch Windows authentication on"
    by_name = any(application.negotiates for application in report.applications)
    why = "clients reach no application by a name" if by_name else "no application asks clients for a Kerberos ticket"
    return f"{'OK: no' if is_first else 'No'} SPN matters, for {why}"


def _counts(report: Report, *, detailed: bool) -> list[tuple[str, str]]:
    """What people have, worst first, each with the word that it begins with."""
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
    return [(word, f"{word}: {number}{'' if at else first}{more}") for at, (word, number, more) in enumerate(told)]


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
