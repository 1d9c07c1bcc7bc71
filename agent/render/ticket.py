"""The plan as a hand-over in plain words, for the people who may change Active Directory but do not run the web server.

Commands stand on lines of their own, whole, to be copied; everything else fits into 78 columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from agent.change.plan import rolled_back
from agent.checks.commands import klist_get, setspn_query
from agent.model import Application, Finding, Report, Step, StepKind
from agent.names import AccountName, Spn, printable
from agent.render.script import ALIAS, CACHES, DUPLICATES, RIGHTS, Outline, told
from agent.render.verdict import if_told, left_out, not_looked_at
from agent.render.wording import Overview, at_line, pool_told, settings_told, subject

WIDTH = 78
_INDENT = "    "


def to_ticket(report: Report, server: str | None = None) -> str:
    """The recommended steps. `server` is the domain controller to work on, where one is asked for."""
    outline = Outline(report)
    sections = (
        ("What is wrong", _faults(outline)),
        ("Who must do it", _rights(outline, server)),
        ("What to do, in this order", _steps(outline)),
        ("What else changes", _side_effects(outline)),
        ("Check afterwards", _checks(outline)),
        ("The way back, last step first", _rollback(outline)),
        ("What stays open", _open(report)),
    )
    lines = ["SPNs to change so that Kerberos works", "=" * 37, ""]
    lines += _said(f"Written by {report.tool.name} {report.tool.version}, {report.finished}, from what was read then.")
    if not report.complete:
        lines += _said("CAUTION: not everything could be read; the plan covers only what was.")
    for sentence in filter(None, (left_out(report),)):
        lines += _said(sentence)
    for title, body in sections:
        told = "\n".join(body).rstrip("\n")
        if told:
            lines += ["", title, "-" * len(title), "", told]
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


# -- why -----------------------------------------------------------------------------------------------------------


def _faults(outline: Outline) -> Iterator[str]:
    overview = Overview(outline.report)
    applications = {application.reference: application for application in outline.report.applications}
    found = outline.findings()
    if not found:
        yield from _said(outline.without_ground or "Nothing that a step could repair.")
        for sentence in not_looked_at(outline.report) if outline.is_blind else ():
            yield from _said(sentence)
    for fault in found:
        yield from _said(f"* {fault.message}", then="  ")
        if (condition := _condition(outline.report, fault)) is not None:
            yield from _said(condition, "  ", "    ")
        place = " ".join(part for part in (fault.server or ", ".join(fault.servers), subject(fault)) if part)
        if place:
            yield from _said(f"Where: {place} ({fault.id})", "  ", "    ")
        at = [r for r in applications if (r.server, r.site, r.path) == (fault.server, fault.site, fault.path)]
        for one in at[:1]:
            yield from _who_decrypts(applications[one], overview)
        yield from _evidence(fault)
        yield ""


def _condition(report: Report, fault: Finding) -> str | None:
    """What the outcome takes for granted that a finding speaks of."""
    about = (r for r in report.requirements if (r.spn, r.account) == (fault.spn, fault.account))
    given = next((r.provided for r in about if r.provided), None)
    return f"That is so {if_told(given)}." if given else None


def _who_decrypts(application: Application, overview: Overview) -> Iterator[str]:
    server = next((one for one in overview.report.servers if one.name == application.server), None)
    auth = application.windows_auth
    if auth is not None and application.decrypts_as is not None:
        yield from _said(f"Why: {application.decrypts_as} decrypts the tickets, because of", "  ", "    ")
        for line in (*settings_told(auth, application.origins, server), pool_told(application, server)):
            yield from _said(line, "    ", "      ")


def _evidence(fault: Finding) -> Iterator[str]:
    for line in fault.evidence:
        place = at_line(line.file, line.line, None)
        yield from _said(" ".join(part for part in ("Seen:", place, line.text) if part), "  ", "    ")


# -- what ----------------------------------------------------------------------------------------------------------


def _rights(outline: Outline, server: str | None) -> Iterator[str]:
    if outline.is_blind:
        return
    if not outline.changes:
        yield "Nothing changes in Active Directory."
        return
    yield from _said(RIGHTS)
    for step in outline.changes:
        if outline.needs_administrator(step):
            yield from ("", *_said(f"Step {step.order}: {ALIAS}"))
    if server is not None:
        yield from ("", *_said(f"Asked for: all steps on {server}. setspn cannot be told so; the other forms can."))


def _steps(outline: Outline) -> Iterator[str]:
    if not outline.steps:
        yield "Nothing that is known: look first, then plan again." if outline.is_blind else "Nothing."
    for step in outline.steps:
        yield from _one_step(outline, step)
        yield ""


def _one_step(outline: Outline, step: Step) -> Iterator[str]:
    titles: Mapping[StepKind, str] = {
        "iis-setting": f"On the web server {step.server}, in an elevated cmd prompt:",
        "dns": "On the DNS server, in cmd:" if step.command is not None else "On the DNS server:",
        "manual": "By hand:",
    }
    said = titles.get(step.kind) or f"{step.title[0].upper()}{step.title[1:]}."
    yield from _said(f"{step.order}. {said}", then="   ")
    if outline.is_held(step):
        yield from _said(_question(step), "   ")
    elif outline.follows_delete(step):
        yield from _said("Wait until nobody holds it any more: while a global catalog shows it, it is refused.", "   ")
        yield from _looked_up(step)
    yield from _instruction(step)


def _question(step: Step) -> str:
    if not step.confirm:
        return f"ONLY when the {'removal' if step.is_add else 'step'} above was agreed to and done."
    return f"ASK FIRST: {step.note}. Without a yes, leave it and everything that waits for it."


def _looked_up(step: Step) -> Iterator[str]:
    query = setspn_query(step.value[0])
    if query is not None:
        yield _command(query)


def _instruction(step: Step) -> Iterator[str]:
    for line in told(step):
        yield from _said(line, "   ") if step.command is None else (_command(line),)


def _side_effects(outline: Outline) -> Iterator[str]:
    collisions = {found.spn for found in outline.report.findings if found.id == "winrm-collision"}
    for step in outline.changes:
        if step.is_add and step.spn in collisions and step.account_kind != "computer":
            yield from _said(
                f"* {step.spn} is a computer's own name: with step {step.order} WinRM (PowerShell remoting, "
                "Server Manager) and every other http.sys service there stop working by this name.",
                then="  ",
            )
    for server in outline.settings:
        yield from _said(f"* The settings take effect on {server} at once; open sessions log on again.", then="  ")
    if outline.dns:
        yield from _said("* A DNS change is seen when the old record's time to live has passed.", then="  ")


def _checks(outline: Outline) -> Iterator[str]:
    if not outline.steps:
        return
    expected: dict[Spn, AccountName | None] = {}
    for step in outline.changes:
        name, account = step.value
        expected[name] = account if step.is_add else expected.get(name)
    for name, holder in expected.items():
        who = f"one holder, {holder}" if holder is not None else "the removed holder is gone"
        yield from _said(f"{name}: {who}:")
        yield from (_command(line) for line in (setspn_query(name),) if line is not None)
    yield from ("", *_said(f"{CACHES[0]} So on a client:"))
    yield from (_command(line) for line in CACHES[1:])
    for name in expected:
        if (ticket := klist_get(name)) is not None:
            yield _command(ticket)


def _rollback(outline: Outline) -> Iterator[str]:
    if outline.steps:
        yield from (*_said(f"Take back only what was done. {DUPLICATES if outline.ends_duplicates else ''}"), "")
    for step in rolled_back(outline.steps):
        if step.kind == "iis-setting":
            yield from _said(f"On {step.server}, in cmd:")
        yield from _instruction(step)


def _open(report: Report) -> Iterator[str]:
    yield from _bullets(f"{blocked.finding}: {blocked.why}" for blocked in report.plan.blocked)
    if report.plan.alternatives:
        yield from _said("Other ways to the same end are in the report (iis-spn plan --format table).")


def _bullets(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _said(f"* {text}", then="  ")
