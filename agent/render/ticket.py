"""The plan as a hand-over in plain words, for the people who may change Active Directory but do not run the web server.

It starts with the request, then has the steps of each team, each with its own check and way back; why all this is
needed stands at the end. Commands stand on lines of their own, whole, to be copied; everything else fits into 78
columns.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping

from agent.change.plan import rolled_back
from agent.checks.commands import klist_get, setspn_query, shown_by
from agent.model import Application, Finding, Report, Server, Step, StepKind
from agent.names import AccountName, Spn, printable
from agent.render.afterwards import probes
from agent.render.goals import checked_by, goal_line
from agent.render.script import ALIAS, CACHES, DUPLICATES, RIGHTS, Outline, told
from agent.render.verdict import if_told, left_out, not_looked_at
from agent.render.what_was_read import (
    EXPORT_ALL,
    LOOK_FIRST,
    clients_told,
    exports,
    only_told,
    questions,
    sources_told,
    written,
)
from agent.render.wording import at_line, first_few, plural, pool_told, settings_told, subject

WIDTH = 78
_INDENT = "    "

_TEAMS: Mapping[StepKind, str] = {
    "dns": "DNS",
    "iis-setting": "Web servers",
    "spn-delete": "Active Directory",
    "spn-add": "Active Directory",
    "manual": "By hand",
}
_MINUTES_FOR_A_STEP = 1 / 3
"""Twenty seconds to paste a line, read the answer and look at the check."""


def to_ticket(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller to work on, where one is asked for."""
    outline = Outline(report)
    sections = (
        ("What is wanted", _wanted(outline.report)),
        *((team, _team(outline, team, server)) for team in dict.fromkeys(_TEAMS[step.kind] for step in outline.steps)),
        ("What else changes", _side_effects(outline)),
        ("When all is done", _afterwards(outline)),
        ("The way back", _rollback(outline)),
        ("What stays open", _open(report)),
        ("Why", _faults(outline)),
        ("What was read", _read(report)),
    )
    lines = ["SPNs to change so that Kerberos works", "=" * 37, "", *_request(outline)]
    for title, body in sections:
        text = "\n".join(body).rstrip("\n")
        if text:
            lines += ["", title, "-" * len(title), "", text]
    lines += ["", *_said(written(report))]
    return "\n".join(lines) + "\n"


def _said(text: str, first: str = "", then: str | None = None) -> list[str]:
    """A sentence broken at spaces only: a name or a path is never cut in two."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if then is None else then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _command(text: str) -> str:
    return _INDENT + printable(text)


# -- the request ---------------------------------------------------------------------------------------------------


def _request(outline: Outline) -> Iterator[str]:
    """What is asked for, of whom, and how long it takes."""
    if not outline.steps:
        yield from _nothing(outline)
    else:
        minutes = plural(math.ceil(len(outline.steps) * _MINUTES_FOR_A_STEP), "minute")
        restarts = outline.manual or any("set apppool" in (step.command or "") for step in outline.steps)
        restart = "" if restarts else ", no restart"
        yield from _said(f"Please make these changes: {', '.join(_counted(outline))}; {minutes}{restart}.")
        yield from _waits(outline)
        if outline.held:
            asked = plural(len(outline.held), "step")
            yield from _said(f"{asked} must be asked about first, see ASK FIRST: without a yes leave that out.")
        yield from _said("The numbers are the common order of all teams: start when the numbers before are done.")
    if not outline.report.complete:
        yield from _said("CAUTION: not everything could be read; the plan covers only what was.")
    if (unknown := left_out(outline.report)) is not None:
        yield from _said(unknown)


def _nothing(outline: Outline) -> Iterator[str]:
    yield from _said(outline.without_ground or "Nothing that a step could repair.")
    if outline.is_blind:
        for sentence in not_looked_at(outline.report):
            yield from _said(sentence)
        if asked := questions(outline.report):
            yield from _said(LOOK_FIRST)
            yield from map(_command, asked)
            yield from _said("Then plan again, with --ad held.txt.")
            if lines := exports(outline.report):
                yield from _said(EXPORT_ALL)
                yield from map(_command, lines)
        else:
            yield from _said("Nothing that is known: look first, then plan again.")


def _counted(outline: Outline) -> Iterator[str]:
    """`6 setspn on 4 accounts`, and the like."""
    accounts = {step.value[1] for step in outline.changes}
    settings = sum(map(len, outline.settings.values()))
    if outline.changes:
        yield f"{len(outline.changes)} setspn on {plural(len(accounts), 'account')}"
    if settings:
        yield f"{settings} appcmd on {plural(len(outline.settings), 'server')}"
    if outline.dns:
        yield plural(len(outline.dns), "DNS change")
    if outline.manual:
        yield f"{plural(len(outline.manual), 'step')} by hand"


def _waits(outline: Outline) -> Iterator[str]:
    moved = {step.spn for step in outline.changes if outline.follows_delete(step)}
    if moved:
        moves = f"{plural(len(moved), 'SPN')} move{'s' if len(moved) == 1 else ''}"
        yield from _said(
            f"{moves} to another account. Between removal and registration the removal must reach every global "
            "catalog: seconds within a site, between sites as long as their links wait (180 minutes unless set "
            "otherwise). Meanwhile nobody holds the SPN, and clients use NTLM."
        )


# -- the steps of a team -------------------------------------------------------------------------------------------


def _team(outline: Outline, team: str, server: str | None) -> Iterator[str]:
    if team == "Active Directory":
        yield from (*_rights(outline, server), "")
    before: Step | None = None
    for step in outline.steps:
        if _TEAMS[step.kind] == team:
            waits = before is not None and _TEAMS[before.kind] != team
            yield from _one_step(outline, step, before if waits else None)
            yield ""
        before = step


def _rights(outline: Outline, server: str | None) -> Iterator[str]:
    yield from _said(RIGHTS)
    for step in outline.changes:
        if outline.needs_administrator(step):
            yield from ("", *_said(f"Step {step.order}: {ALIAS}"))
    if server is not None:
        yield from ("", *_said(f"Asked for: all steps on {server}. setspn cannot be told so; the other forms can."))


def _one_step(outline: Outline, step: Step, after: Step | None) -> Iterator[str]:
    titles: Mapping[StepKind, str] = {
        "iis-setting": f"On {step.server}, in an elevated cmd prompt:",
        "dns": "On the DNS server, in cmd:" if step.command is not None else "On the DNS server:",
        "manual": "By hand:",
    }
    said = titles.get(step.kind) or f"{step.title[0].upper()}{step.title[1:]}."
    yield from _said(f"{step.order}. {said}", then="   ")
    if after is not None:
        yield from _said(f"After step {after.order} ({_TEAMS[after.kind]}).", "   ")
    if outline.is_held(step):
        yield from _said(_question(step), "   ")
    yield from _instruction(step)
    if step.command is not None and step.note is not None and not step.confirm:
        yield from _said(f"Know: {step.note.rstrip('.')}.", "   ")
    yield from _check(outline, step)
    (back,) = rolled_back([step])
    yield from _said(f"Way back, only if step {step.order} was done:", "   ")
    yield from _instruction(back)


def _question(step: Step) -> str:
    if not step.confirm:
        return f"ONLY when the {'removal' if step.is_add else 'step'} above was agreed to and done."
    return f"ASK FIRST: {step.note}. Without a yes, leave it and everything that waits for it."


def _instruction(step: Step) -> Iterator[str]:
    for line in told(step):
        yield from _said(line, "   ") if step.command is None else (_command(line),)


def _check(outline: Outline, step: Step) -> Iterator[str]:
    """The look that shows whether a step did what it should, and what it must show."""
    if step.changes_spn:
        name, account = step.value
        query = setspn_query(name)
        if step.is_add:
            shows = f"Then it has one holder, {account}:"
        elif step.spn in outline.added:
            shows = "Go on when nobody holds it any more; while a global catalog shows it, the next step is refused:"
        else:
            shows = f"Then {account} is not among its holders:"
    else:
        query, shown = shown_by(step.command) or (None, "")
        shows = f"Then it shows {shown}:"
    if query is not None:
        yield from (*_said(shows, "   "), _command(query))


def _side_effects(outline: Outline) -> Iterator[str]:
    collisions = {found.spn for found in outline.report.findings if found.id == "winrm-collision"}
    for step in outline.changes:
        if step.is_add and step.spn in collisions and step.account_kind != "computer":
            yield from _said(
                f"* {step.spn} is a computer's own name: with step {step.order} WinRM (PowerShell remoting, "
                "Server Manager) and every other http.sys service there stop working by this name.",
                then="  ",
            )
    if outline.settings:
        where = first_few(tuple(outline.settings))
        yield from _said(f"* The settings take effect on {where} at once; open sessions log on again.", then="  ")
    if outline.dns:
        yield from _said("* A DNS change is seen when the old record's time to live has passed.", then="  ")


def _afterwards(outline: Outline) -> Iterator[str]:
    names: dict[Spn, AccountName] = dict(step.value for step in outline.changes)
    if not outline.steps:
        return
    yield from _said(f"{CACHES[0]} So on a client:")
    yield from (_command(line) for line in CACHES[1:])
    for name in names:
        if (ticket := klist_get(name)) is not None:
            yield _command(ticket)
    for goal in outline.report.plan.wanted:
        if goal.steps:
            words, line = checked_by(goal)
            yield from ("", *_said(words), _command(line))
    *words_before, command = probes(outline.report) or ("",)
    if command:
        yield from ("", *(line for sentence in words_before for line in _said(sentence)), _command(command))


def _wanted(report: Report) -> Iterator[str]:
    for goal in report.plan.wanted:
        yield from _said(f"* {goal_line(goal)}.", then="  ")
        for why in goal.because:
            yield from _said(f"- {why}", "  ", "    ")


def _rollback(outline: Outline) -> Iterator[str]:
    if outline.steps:
        duplicates = f" {DUPLICATES}" if outline.ends_duplicates else ""
        yield from _said(
            f"Last step first: the way back that stands with each step, of those steps that were done.{duplicates}"
        )


def _open(report: Report) -> Iterator[str]:
    for blocked in report.plan.blocked:
        yield from _said(f"* {blocked.finding}: {blocked.why}", then="  ")


# -- why -----------------------------------------------------------------------------------------------------------


def _faults(outline: Outline) -> Iterator[str]:
    """What is wrong, and once for all that has the same cause: where, and the lines that show it."""
    applications = {(a.server, a.site, a.path): a for a in outline.report.applications}
    servers = {server.name: server for server in outline.report.servers}
    provided = {(r.spn, r.account): r.provided for r in reversed(outline.report.requirements) if r.provided}
    causes: dict[tuple[str, ...], list[Finding]] = {}
    for fault in outline.findings():
        application = applications.get((fault.server or "", fault.site or "", fault.path or ""))
        deciding = () if application is None else _who_decrypts(application, servers.get(application.server))
        shown = (*deciding, *_evidence(fault))
        causes.setdefault((_where(fault), *shown), []).append(fault)
    for (where, *cause), faults in causes.items():
        for fault in faults:
            yield from _said(f"* {fault.message}", then="  ")
            if fault.spn is not None and (given := provided.get((fault.spn, fault.account))) is not None:
                yield from _said(f"That is so {if_told(given)}.", "  ", "    ")
        yield from _said(where, "  ", "    ") if where else ()
        yield from cause
        yield ""


def _where(fault: Finding) -> str:
    place = " ".join(part for part in (first_few(fault.all_servers), subject(fault)) if part)
    return f"Where: {place} ({fault.id})" if place else ""


def _who_decrypts(application: Application, server: Server | None) -> Iterator[str]:
    auth = application.windows_auth
    if auth is not None and application.decrypts_as is not None:
        yield from _said(f"Why: {application.decrypts_as} decrypts the tickets, because of", "  ", "    ")
        for line in (*settings_told(auth, application.origins, server), pool_told(application, server)):
            yield from _said(line, "    ", "      ")


def _evidence(fault: Finding) -> Iterator[str]:
    for line in fault.evidence:
        place = at_line(line.file, line.line, None)
        yield from _said(" ".join(part for part in ("Seen:", place, line.text) if part), "  ", "    ")


# -- what it rests on ----------------------------------------------------------------------------------------------


def _read(report: Report) -> Iterator[str]:
    for sentence in only_told(report):
        yield from _said(sentence)
    for line in (*sources_told(report), *clients_told(report)):
        yield from _said(f"* {line}", then="  ")
