"""The report as text for a terminal, a pipe or a mail: ASCII of our own, names and commands never broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from agent.model import Application, Finding, Report, Requirement, Server, Severity
from agent.names import printable
from agent.render.findings import SEVERITY_WORDS, write_findings, write_incomplete, write_sentence
from agent.render.first_screen import write_first_screen, write_questions, write_verdict
from agent.render.groups import Group, asked_and_silent, groups, settings
from agent.render.layout import LOOKS, SEVERITY_LOOKS, UNITS, Page, cells, with_commas
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from agent.render.verdict import first_line, if_told, last_line, look, not_looked_at
from agent.render.what_was_read import clients_told, sources_told, written
from agent.render.wording import (
    MEANINGS,
    NOT_WHOLE,
    WORDS,
    Overview,
    also_held,
    at_line,
    by_severity,
    counted,
    first_few,
    held_by,
    pieces,
    place_told,
    plural,
    pool_told,
    rule_told,
    why_not,
)

UNREACHABLE = "server-unreachable"
_FIRST_SCREEN = 12
"""Most places told before the servers: together with their commands about one screen."""


def to_text(
    report: Report, width: int, color: bool, shown: Shown = "all", following: Following = NOTHING_FOLLOWS
) -> Iterator[str]:
    """As much of the report as is wanted: the verdict, the causes, then server by server and what concerns several."""
    page = Page(width)
    if shown == "verdict":
        write_verdict(page, report)
    elif shown == "causes":
        write_first_screen(page, report, following)
    else:
        for _ in _whole(page, report, shown, following):
            yield page.taken(color)
    yield page.text(color)


def _whole(page: Page, report: Report, shown: Shown, following: Following) -> Iterator[None]:
    """Stops after each server, where what is there may be taken."""
    overview = Overview(report)
    _summary(page, report)
    write_questions(page, report, following, with_exports=True)
    _digest(page, report)
    for server in report.servers:
        if shown == "all" or overview.needs_somebody(server):
            _Block(page, overview, server).write()
            yield
    if overview.elsewhere:
        page.heading("Across servers", "")
        write_findings(page, overview.elsewhere, None, frozenset())
    _accounts(page, report)
    _read(page, report)
    _legend(page, report)
    page.blank()
    page.line((last_line(report), look(report)))


def _read(page: Page, report: Report) -> None:
    page.heading("What was read", "")
    for told in (*sources_told(report), *clients_told(report)):
        page.prose(["-", *UNITS.findall(told)], 2)
    page.prose(written(report), 2)


def _accounts(page: Page, report: Report) -> None:
    """The farm from the account's side: what each one serves, needs, lacks and also holds."""
    if not report.accounts:
        return
    page.heading("Accounts", "")
    for use in report.accounts:
        places = dict.fromkeys(f"{ref.server} {ref.site}" for ref in use.applications)
        kind = f" ({use.kind})" if use.kind else ""
        page.prose([f"{use.account}{kind}:", *with_commas(list(places))], 2, look="bold")
        facts = [
            f"needs {plural(len(use.needs), 'HTTP/ SPN')}",
            *([f"{plural(len(use.covered), 'name')} covered by HOST/"] if use.covered else []),
            *([f"lacks {', '.join(map(str, use.lacks))}"] if use.lacks else []),
            *([also_held(use.elsewhere)] if use.elsewhere else []),
        ]
        page.prose(with_commas([part for fact in facts for part in fact.split(", ")]), 4)


def wants_color(is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether output may be coloured: on a terminal that can, unless NO_COLOR is set to anything."""
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


# -- the first screen ----------------------------------------------------------------------------------------------


def _summary(page: Page, report: Report) -> None:
    page.prose(first_line(report), look=look(report))
    write_incomplete(page, report)
    for sentence in not_looked_at(report):
        page.prose(sentence)
    parts = (plural(len(report.servers), "server"), plural(len(report.applications), "application"))
    page.prose(f"{', '.join(parts)}: {counted(report)}")


def _digest(page: Page, report: Report) -> None:
    """The most severe findings with their commands, before anything else is said."""
    open_ones = [finding for finding in by_severity(report.findings) if finding.accepted is None]
    severity: Severity = "error" if any(f.severity == "error" for f in open_ones) else "warning"
    groups = list(_alike(finding for finding in open_ones if finding.severity == severity))
    if not groups:
        return
    page.blank()
    page.line((f"{SEVERITY_WORDS[severity]}S, and what to do", SEVERITY_LOOKS[severity]))
    for findings in groups[:_FIRST_SCREEN]:
        _digested(page, findings)
    if len(groups) > _FIRST_SCREEN:
        page.line(f"  ... and {len(groups) - _FIRST_SCREEN} more below")


def _alike(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Findings of one kind at one place, together; servers that gave no answer for one reason too, and those last."""
    found: dict[object, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: finding.id == UNREACHABLE):
        place = finding.message if finding.id == UNREACHABLE else finding.all_servers
        found.setdefault((finding.id, place, finding.site, finding.path), []).append(finding)
    yield from found.values()


def _digested(page: Page, findings: list[Finding]) -> None:
    first = findings[0]
    spns = dict.fromkeys(str(finding.spn) for finding in findings if finding.spn is not None)
    servers = list(dict.fromkeys(server for finding in findings for server in finding.all_servers))
    where = ", ".join(part for part in (first_few(servers), first.site) if part) or "everywhere"
    page.prose(with_commas([where]) if not spns else [f"{where}:", *with_commas(list(spns))], 2, look="bold")
    page.prose(f"{first.id}: {_effect(first)}", 4)
    for sentence in _first_way(findings):
        write_sentence(page, sentence, 4)


def _effect(finding: Finding) -> str:
    """A message without the SPN that the heading has just named, or with the place where no SPN is concerned."""
    if finding.spn is None and finding.evidence:
        where = at_line(finding.evidence[0].file, finding.evidence[0].line, None)
        return f"{where}: {finding.message}" if where else finding.message
    return finding.message.removeprefix(f"{finding.spn} ")


def _first_way(findings: Iterable[Finding]) -> Iterator[str]:
    """The sentences with commands, or the first where there is none to copy."""
    for sentences in dict.fromkeys(finding.fix for finding in findings):
        commands = [sentence for sentence in sentences if any(piece.command for piece in pieces(sentence))]
        yield from commands or sentences[:1]


# -- one server ----------------------------------------------------------------------------------------------------


class _Block:
    """Everything about one server."""

    def __init__(self, page: Page, overview: Overview, server: Server) -> None:
        self.page = page
        self.overview = overview
        self.server = server
        self.said: set[str] = set()

    def write(self) -> None:
        self._heading()
        asked, silent = asked_and_silent(self.overview, self.server)
        told = list(groups(self.overview, self.server, asked))
        widths = _widths(told)
        for group in told:
            self._group(group, widths)
        self._silent(silent)
        findings = self.overview.findings[self.server.name]
        if findings:
            self.page.blank()
            self.page.line((f"Findings of {self.server.name}", "bold"))
            write_findings(self.page, findings, self.server, frozenset(self.said))

    def _heading(self) -> None:
        server = self.server
        dns_name = "" if server.dns_name is None else f" ({server.dns_name})"
        self.page.heading(server.name, dns_name)
        self.page.line(f"source  {server.source}")
        if server.status in NOT_WHOLE:
            self.page.prose(NOT_WHOLE[server.status], 8, first="status", look="bold red")
        for problem in server.problems:
            where = at_line(problem.file, problem.line, server)
            units = [*([f"{where}:"] if where else []), *UNITS.findall(problem.message), f"({problem.id})"]
            self.page.prose(units, 8, first="note" if server.status == "ok" else "problem")

    # -- one group -------------------------------------------------------------------------------------------------

    def _group(self, group: Group, widths: Sequence[int]) -> None:
        first = group.applications[0]
        self.page.blank()
        paths = ", ".join(application.path for application in group.applications)
        names = ", ".join(host.host.text for host in first.hosts)
        title = f"{first.site}  {paths}"
        if self.page.fits(cells(printable(f"{title}   reached as {names}"))):
            self.page.line((title, "bold"), f"   reached as {names}" if names else "")
        else:
            self.page.prose(title, look="bold")
            self.page.prose(names, 13, first="  reached as")
        self._spns(group, widths)
        self._if(group)
        self._why(group)
        for application in group.applications:
            for place in application.places:
                units = [f"{place.path}:", *UNITS.findall(place_told(place, self.server))]
                self.page.prose(units, 9, first="  below")
        self._do(group)

    def _fits(self, widths: Sequence[int]) -> bool:
        return self.page.fits(sum(width + 2 for width in widths))

    def _spns(self, group: Group, widths: Sequence[int]) -> None:
        shown = [requirement for requirement in group.requirements if _is_shown(requirement)]
        if not shown and group.applications[0].negotiates:
            is_named = any(requirement.need == "optional" for requirement in group.requirements)
            reason = "nobody reaches it by a name" if is_named else "no name that clients can put into one is known"
            self.page.line(f"  no SPN: {reason}")
        if not self._fits(widths):
            widths = _widths([group])
        narrow = not self._fits(widths)
        if shown and not narrow:
            self.page.line(("  " + _padded(_HEADER, widths), "dim"))
        for requirement in shown:
            self._stacked(requirement) if narrow else self._tabled(requirement, widths)
        for need, label in (("optional", "  optional"), ("port-variant", "  with port")):
            others = [r for r in group.requirements if r.need == need]
            if others:
                units = [f"{r.spn} ({WORDS[r.outcome]})" for r in others]
                self.page.prose(with_commas(units), 13, first=(label, "dim"), look="dim")

    def _tabled(self, requirement: Requirement, widths: Sequence[int]) -> None:
        word, *rest = _row(requirement)
        look = LOOKS[requirement.outcome]
        self.page.line("  ", (word.ljust(widths[0]), look), "  ", _padded(rest, widths[1:]))

    def _stacked(self, requirement: Requirement) -> None:
        word, need, spn, account, holders = _row(requirement)
        self.page.line("  ", (word.ljust(max(len(word), 9)), LOOKS[requirement.outcome]), f"  {spn}")
        self.page.line(f"{'':13}{need}: must be on {account}")
        if holders:
            self.page.prose(with_commas(holders.split(", ")), 19, first=f"{'':13}is on")

    def _if(self, group: Group) -> None:
        """What the outcomes above take for granted."""
        given = dict.fromkeys(c for r in group.requirements if _is_shown(r) for c in r.provided or ())
        if given:
            self.page.prose(if_told(list(given)), 9, first="  today")

    def _why(self, group: Group) -> None:
        first = group.applications[0]
        shown = [needed.rule for needed in self.overview.needed_by(first) if _is_shown(needed.requirement)]
        rules = dict.fromkeys(shown or [first.rule])
        lines = [rule_told(rule) for rule in rules if rule is not None]
        if not lines and first.decryption in _UNDECIDED:
            lines = [_UNDECIDED[first.decryption]]
        pools = dict.fromkeys(pool_told(application, self.server) for application in group.applications)
        facts = [*settings(first, self.server), *pools]
        if first.windows_auth is None or not first.negotiates:
            facts = [why_not(first, self.server)]
        joined = ", ".join(facts)
        for number, line in enumerate([*lines, *([joined] if self.page.fits(9 + cells(joined)) else facts)]):
            self.page.prose(line, 9, first="" if number else ("  why", "dim"), look="dim")

    def _do(self, group: Group) -> None:
        """What the findings about these SPNs say is to be done, each sentence once."""
        found = [f for r in group.requirements for f in self.overview.about(r, self.server.name)]
        label = "  do"
        for finding_id, findings in _by_id(found).items():
            self.page.prose(f"about {finding_id}:", 9, first=(label, "bold"), look="dim")
            for sentence in _once(findings):
                write_sentence(self.page, sentence, 9)
                self.said.add(sentence)
            label = ""
        if not found:
            self._look(group)

    def _look(self, group: Group) -> None:
        """Where nobody looked who holds the SPNs, or it is uncertain: how to look, and what must be there."""
        unknown = [r for r in group.requirements if r.outcome in {"unchecked", "uncertain"} and _is_shown(r)]
        for number, sentence in enumerate(dict.fromkeys(s for r in unknown for s in r.advice)):
            write_sentence(self.page, sentence, 9, first="" if number else ("  do", "bold"))

    def _silent(self, applications: list[Application]) -> None:
        """The applications that never ask for a ticket, with the reason, a line for those of one site."""
        if not applications:
            return
        self.page.blank()
        self.page.line(("No Kerberos asked for", "bold"))
        reasons = [(a.site, why_not(a, self.server), a) for a in applications]
        for (site, reason), same in groupby(reasons, key=lambda found: found[:2]):
            rows = [application for _, _, application in same]
            paths = ", ".join(application.path for application in rows)
            self.page.prose([*UNITS.findall(f"{site}  {paths}:"), *UNITS.findall(reason)], 4, first="  - ")
            for application in rows:
                for place in application.places:
                    told = place_told(place, self.server)
                    self.page.prose([f"{place.path}:", *UNITS.findall(told)], 10, first="    below")


_HEADER = ("TODAY", "NEED", "SPN", "MUST BE ON", "IS ON")

_UNDECIDED = {
    "impossible": "no account of the domain can decrypt (see the findings)",
    "uncertain": "it is not certain who decrypts (see the findings)",
}


def _widths(told: list[Group]) -> tuple[int, ...]:
    """The widths of the columns for the SPNs of these groups."""
    rows = [_row(requirement) for group in told for requirement in group.requirements if _is_shown(requirement)]
    return tuple(max(map(cells, column)) for column in zip(_HEADER, *rows, strict=True)) if rows else ()


def _is_shown(requirement: Requirement) -> bool:
    return requirement.need in {"explicit", "covered"}


def _row(requirement: Requirement) -> tuple[str, ...]:
    account = "nobody known" if requirement.account is None else str(requirement.account)
    row = (WORDS[requirement.outcome], requirement.need, str(requirement.spn), account, held_by(requirement))
    return tuple(map(printable, row))


def _padded(row: Iterable[str], widths: Sequence[int]) -> str:
    filled = [text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=True)]
    return "  ".join(filled).rstrip()


def _by_id(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Open findings that say what to do, errors first, by their id."""
    found: dict[str, list[Finding]] = {}
    for finding in by_severity(findings):
        if finding.fix and finding.accepted is None:
            found.setdefault(finding.id, []).append(finding)
    return found


def _once(findings: Iterable[Finding]) -> list[str]:
    """Every sentence of their fixes, where it is needed last: what comes after one command comes after all."""
    sentences = [sentence for finding in findings for sentence in finding.fix]
    return list(reversed(dict.fromkeys(reversed(sentences))))


# -- the legend -----------------------------------------------------------------------------------------------------


def _legend(page: Page, report: Report) -> None:
    used = {requirement.outcome for requirement in report.requirements}
    words = [(WORDS[outcome], meaning) for outcome, meaning in MEANINGS.items() if outcome in used]
    page.blank()
    for word, meaning in words:
        page.prose(meaning, 12, first=(word, "dim"), look="dim")
    if any(requirement.need == "covered" for requirement in report.requirements):
        page.prose("a HOST/ SPN serves, no HTTP/ SPN is needed", 12, first=("covered", "dim"), look="dim")
    if report.findings or words:
        page.prose("`iis-spn rules ID` explains a rule or a finding.", look="dim")
