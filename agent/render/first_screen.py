"""What people see first: the verdict, what nobody knows and how to look, the causes, what could not be read."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from agent.model import Application, Cause, Finding, Report, Requirement, Severity
from agent.names import AccountName, printable
from agent.render.afterwards import probes
from agent.render.causes_told import effect, first_way, lines, where
from agent.render.findings import write_sentence
from agent.render.layout import SEVERITY_LOOKS, Line, Page, cells, with_commas
from agent.render.screen import Following
from agent.render.verdict import first_line, last_line, look, not_looked_at
from agent.render.what_was_read import EXPORT_ALL, exports, looked_at, questions
from agent.render.wording import by_severity, plural, reason_told, shortly
from agent.spn.rules import named

LINES = 40
"""What a terminal shows of a page without scrolling it away, about."""

_UNREAD_LINES = 12
_UNREAD_SHOWN = 6
_QUESTIONS_SHOWN = 1
"""More lines of 8,000 characters nobody pastes."""

_Entry = Sequence[list[Line]]
"""Something told in full, then with less and less."""


def write_first_screen(page: Page, report: Report, following: Following) -> None:
    """At most `LINES` lines, where commands and counts allow it; what does not fit is counted."""
    write_head(page, report)
    write_questions(page, report, following)
    tail = _tail(page, report, following)
    room = LINES - len(page.lines) - len(tail.lines) - 1
    causes = report.causes or ()
    unread = _cut([_unread(page, cause) for cause in causes if cause.unread], min(room, _UNREAD_LINES))
    if unread:
        unread.insert(0, Line((("NOT READ", "bold red"),)))
    told = [cause for cause in causes if not cause.unread and cause.severity != "info"]
    entries = [*(_cause(page, number, cause) for number, cause in enumerate(told, 1)), *_accepted(page, report)]
    room -= len(unread) + (1 if unread else 0) + (1 if entries else 0)
    unknown = _unknown(page, report, min(room - 2, max(room // 2, room - sum(len(entry[0]) for entry in entries))))
    room -= len(unknown) + (1 if unknown else 0)
    for part in (unknown, _cut(entries, room), unread, tail.lines):
        if part:
            page.blank()
            page.lines += part


def _cut(entries: Sequence[_Entry], room: int) -> list[Line]:
    """As much of each as leaves room for all others in short, or half of it; then how many there are more."""
    after = list(accumulate((len(entry[-1]) for entry in reversed(entries)), initial=0))[::-1]
    found: list[Line] = []
    for at, entry in enumerate(entries):
        left = room - len(found) - min(after[at + 1], room // 2)
        fitting = next((lines for lines in entry if len(lines) <= left), None)
        if fitting is None:
            return [*found, Line(((f"   ... {len(entries) - at} more: --all", ""),))]
        found += fitting
    return found


# -- the verdict ---------------------------------------------------------------------------------------------------


def write_verdict(page: Page, report: Report) -> None:
    page.prose(first_line(report), look=look(report))


def write_head(page: Page, report: Report) -> None:
    """The verdict, and what it rests on."""
    write_verdict(page, report)
    counts = report.summary.servers if report.summary is not None else None
    healthy = f", {counts.healthy} of them healthy" if counts is not None and counts.healthy else ""
    page.prose(f"{plural(len(report.servers), 'server')}{healthy}, {plural(len(report.applications), 'application')}.")
    if read := looked_at(report):
        page.prose(["Looked", "at:", *with_commas(read)])
    for sentence in not_looked_at(report):
        page.prose(sentence)


def write_questions(page: Page, report: Report, following: Following, *, with_exports: bool = False) -> None:
    """The lines that ask who holds what nobody looked up, and what to run then; where there is room, the export too."""
    asked = questions(report)
    if not asked:
        return
    page.blank()
    if len(asked) > _QUESTIONS_SHOWN:
        page.prose(
            f"The questions for cmd are {len(asked)} long lines (summary.questions of --format json): rather give "
            "--ad ldap://DC, or an LDIF export."
        )
        _export_lines(page, report)
        return
    page.prose("On any computer of the domain (needs no rights), paste into cmd:")
    for line in asked:
        page.line("  ", (line, "bold cyan"))
    if following.again is None:
        page.prose("then the same command again, with --ad held.txt.")
    else:
        page.line("then:")
        page.line("  ", (following.again, "bold cyan"))
    if with_exports and exports(report):
        page.prose(EXPORT_ALL)
        _export_lines(page, report)


def _export_lines(page: Page, report: Report) -> None:
    for line in exports(report):
        page.line("  ", (line, "bold cyan"))


# -- the causes ----------------------------------------------------------------------------------------------------


def _cause(page: Page, number: int, cause: Cause) -> _Entry:
    """One cause: where, what, and what to do; in short without the last."""
    told = Page(page.width)
    severity: Severity = cause.severity or "error"
    mild = "" if severity == "error" else f" ({severity})"
    told.prose(
        f"{cause.finding}{mild}: {where(cause)}",
        3,
        first=(f"{number}".ljust(3), SEVERITY_LOOKS[severity]),
        look="bold",
    )
    short = list(told.lines)
    told.prose(effect(cause), 3)
    middle = list(told.lines)
    for sentence in first_way(cause):
        write_sentence(told, sentence, 3)
    return told.lines, middle, short


def _unread(page: Page, cause: Cause) -> _Entry:
    """What could not be read for one reason, where, and what helps."""
    told = Page(page.width)
    told.prose(f"{cause.finding}: {cause.text}", 3, first=str(len(cause.servers) or ""), look="bold")
    where = lines(cause)
    are_named = where and _all_begin_one(cause.servers, where)
    for places in filter(None, (() if are_named else cause.servers, where)):
        told.prose(shortly(places, _UNREAD_SHOWN), 3)
    short = list(told.lines)
    for sentence in cause.fix:
        write_sentence(told, sentence, 3)
    return told.lines, short


def _all_begin_one(names: Iterable[str], lines: Iterable[str]) -> bool:
    """Whether each name is the beginning of one of the lines: in order that is the first one not before it."""
    ordered = sorted(lines)
    return all("".join(ordered[(at := bisect_left(ordered, name)) : at + 1]).startswith(name) for name in names)


def _accepted(page: Page, report: Report) -> Iterator[_Entry]:
    for found in by_severity(report.findings):
        if found.accepted is not None:
            line = Page(page.width)
            line.prose(f"ACCEPTED {found.id}: {_subject(found)}: {reason_told(found.accepted)}", 3, look="dim")
            yield (line.lines,)


def _subject(found: Finding) -> str:
    return str(found.spn) if found.spn is not None else f"{found.server or ''} {found.site or ''}".strip()


# -- what nobody knows ---------------------------------------------------------------------------------------------


_HEAD = ("SITE", "SPN", "MUST BE ON", "BECAUSE")
_NARROWEST = 8


def _unknown(page: Page, report: Report, room: int) -> list[Line]:
    """Where each SPN must be of which nobody knows where it is; what becomes of people where it is elsewhere.

    As many rows as the verdict counts, those of names that nobody said among them.
    """
    unknown = [one for one in report.requirements if one.matters and one.outcome in {"unchecked", "uncertain"}]
    rows = [*map(_row, unknown), *(_nameless_row(one) for one in report.applications if one.is_unnamed)]
    if not rows:
        return []
    fitting = [_HEAD, *(rows if len(rows) <= room - 2 else rows[: max(room - 3, 1)])]
    table = Page(page.width)
    widths = _widths(fitting, page.width)
    for at, row in enumerate(fitting):
        shown = [_middle(cell, width).ljust(width) for cell, width in zip(row, widths, strict=False)]
        table.line(("  ".join(shown).rstrip(), "" if at else "dim"))
    if len(fitting) <= len(rows):
        table.line(f"... {len(rows) + 1 - len(fitting)} more: --all")
    if any(one.account is not None for one in unknown[: len(fitting) - 1]):
        table.prose("Held by any other account: KRB_AP_ERR_MODIFIED, three prompts, then 401.")
    return table.lines


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Without the last column where they do not fit with it, then with the middles of sites and SPNs left out."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 6 > room:
        del widths[-1]
    for at in (0, 1):
        over = sum(widths) + 2 * (len(widths) - 1) - room
        widths[at] = max(widths[at] - max(over, 0), min(widths[at], _NARROWEST))
    return widths


def _row(needed: Requirement) -> tuple[str, str, str, str]:
    site = needed.applications[0].site if needed.applications else ""
    rule = named(needed.rule) if needed.rule is not None else None
    because = "" if rule is None else f"{rule.decrypts} decrypts"
    holder = "nobody: HOST/ serves" if needed.need == "covered" else _holder(needed.account, because)
    return printable(site), printable(str(needed.spn)), holder, because


def _nameless_row(application: Application) -> tuple[str, str, str, str]:
    because = f"{application.decryption} decrypts" if application.decryption in {"computer", "pool"} else ""
    return printable(application.site), "HTTP/ a name nobody said", _holder(application.decrypts_as, because), because


def _holder(account: AccountName | None, because: str) -> str:
    if account is not None:
        return printable(str(account))
    return "the computer's account" if because.startswith("computer") else "nobody that can be named"


def _middle(text: str, width: int) -> str:
    """A name with its middle left out, where the column is too narrow; no command is made of it."""
    if cells(text) <= width:
        return text
    kept = width - 3
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


# -- the end -------------------------------------------------------------------------------------------------------


def _tail(page: Page, report: Report, following: Following) -> Page:
    tail = Page(page.width)
    notes = Counter(found.id for found in report.findings if found.severity == "info" and found.accepted is None)
    if notes:
        told = [f"{name} {number}" if number > 1 else name for name, number in notes.items()]
        tail.prose(["Notes:", *with_commas(told)], look="dim")
    if report.plan.steps:
        held = sum(step.confirm for step in report.plan.steps)
        asked = f", {held} to be asked about first" if held else ""
        steps = f"{plural(len(report.plan.steps), 'step')}{asked}, with the way back"
        if following.plan is None:
            tail.prose(f"To hand over ({steps}): `iis-spn plan` of the same files; a sweep keeps them with --to.")
        else:
            tail.prose(f"To hand over ({steps}):")
            tail.line("  ", (following.plan, "bold cyan"))
        *words, check = probes(report) or ("",)
        if check:
            tail.prose(" ".join(words))
            tail.line("  ", (check, "bold cyan"))
    tail.prose("Server by server: --all. A finding: `iis-spn rules ID`.", look="dim")
    tail.line((last_line(report), look(report)))
    return tail
