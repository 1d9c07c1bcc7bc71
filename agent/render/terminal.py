"""The report as text for a terminal, a pipe or a mail: ASCII of our own, names and commands never broken."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from agent.model import (
    Application,
    ClientOutcome,
    Explanation,
    Finding,
    Outcome,
    Report,
    Requirement,
    Server,
    Severity,
    Status,
    Step,
    StepKind,
)
from agent.names import printable
from agent.render.wording import (
    MEANINGS,
    WORDS,
    Overview,
    at_line,
    by_severity,
    counted,
    held_by,
    listed,
    pieces,
    place_told,
    plural,
    pool_told,
    rule_of,
    rule_told,
    servers_of,
    servers_told,
    settings_told,
    subject,
    why_not,
)

_LOOKS: Mapping[Outcome, str] = {
    "kerberos": "green",
    "ntlm-fallback": "yellow",
    "modified": "bold red",
    "duplicate": "bold red",
    "impossible": "bold red",
    "uncertain": "magenta",
    "unchecked": "cyan",
}
_SEVERITY_LOOKS: Mapping[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_SEVERITY_WORDS: Mapping[Severity, str] = {"error": "ERROR", "warning": "WARNING", "info": "NOTE"}

_FIRST_SCREEN = 12
"""Most places told before the servers: together with their commands about one screen."""


def to_text(report: Report, width: int, color: bool) -> str:
    """The whole report: what is broken and how to repair it, then server by server, then what concerns several."""
    page = _Page(width)
    overview = Overview(report)
    _summary(page, overview)
    _digest(page, report)
    if report.requirements and overview.nobody_looked:
        page.blank()
        page.prose("Who holds the SPNs was not looked up: give the directory with --ad.", look="bold")
    for server in report.servers:
        _Block(page, overview, server).write()
    if overview.elsewhere:
        page.heading("Across servers", "")
        _findings(page, overview.elsewhere, None, frozenset())
    _legend(page, report)
    return page.text(color)


def story(explanation: Explanation, width: int, color: bool) -> str:
    """One URL: what each kind of client asks for, whom the KDC picks, who decrypts, what happens, what to change."""
    page = _Page(width)
    page.line((explanation.url, "bold"))
    _incomplete(page, explanation)
    for clients, outcome in _distinct(explanation.outcomes):
        _told(page, clients, outcome)
    findings = by_severity(explanation.findings)
    if findings:
        page.heading("What to do", "")
        server = explanation.servers[0] if len(explanation.servers) == 1 else None
        _findings(page, findings, server, frozenset())
    return page.text(color)


def steps(report: Report, width: int, color: bool) -> str:
    """The plan: what to do in which order, how to take it back, other ways, and what no step can repair."""
    page = _Page(width)
    count = plural(len(report.plan.steps), "step")
    page.prose(f"{count}; {plural(len(report.plan.blocked), 'finding')} no step can repair", look="bold")
    _incomplete(page, report)
    for step in report.plan.steps:
        _step(page, step)
    for number, other in enumerate(report.plan.alternatives):
        page.blank()
        lead = "Other ways" if number == 0 else ""
        if lead:
            page.line((lead, "bold"))
        page.prose(f"instead of the steps for {other.finding}: {other.why}", 2)
        for step in other.steps:
            page.line(" " * 4, (step.command, "cyan"))
    if report.plan.blocked:
        page.blank()
        page.line(("Not repaired by a step", "bold"))
        for blocked in report.plan.blocked:
            page.prose(["-", *_UNITS.findall(f"{blocked.finding}: {blocked.why}")], 2)
    page.blank()
    page.prose("Nothing was changed. As scripts: --format cmd, powershell, ldif; to hand over: ticket.", look="dim")
    return page.text(color)


def _step(page: _Page, step: Step) -> None:
    where = "" if step.server is None else f" on {step.server}"
    page.blank()
    page.prose(f"{step.order}. {_KINDS[step.kind]}{where}, for {step.finding}", look="bold")
    page.line(" " * 4, (step.command, "bold cyan"))
    page.line("    back: ", (step.rollback, "dim"))
    if step.confirm:
        page.prose(f"Ask the owner of {step.account} first: no inspected pool uses the account.", 4, look="bold yellow")


_KINDS: Mapping[StepKind, str] = {
    "dns": "Change DNS",
    "iis-setting": "Change an IIS setting",
    "spn-delete": "Remove an SPN",
    "spn-add": "Register an SPN",
    "manual": "By hand",
}


def wants_color(is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether output may be coloured: on a terminal that can, unless NO_COLOR is set to anything."""
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


# -- lines ---------------------------------------------------------------------------------------------------------

_UNITS = re.compile(r"`[^`]*`\S*|\S+")

_Part = str | tuple[str, str]
"""A text, or a text with its look."""


class _Page:
    """Lines in the making. Every text passes `printable` here, so nothing can drive the terminal."""

    def __init__(self, width: int) -> None:
        self.width = max(width, 20)
        self.lines: list[Text] = []

    def line(self, *parts: _Part) -> None:
        """One line, however long it gets."""
        found = Text()
        for part in parts:
            text, look = (part, "") if isinstance(part, str) else part
            found.append(printable(text), look)
        found.rstrip()
        self.lines.append(found)

    def blank(self) -> None:
        """An empty line, never two."""
        if self.lines and self.lines[-1].plain:
            self.lines.append(Text())

    def prose(self, text: str | Sequence[str], indent: int = 0, *, first: _Part = "", look: str = "") -> None:
        """Words filled up to the width; `first` stands in the indent of the first line. No word is ever broken.

        What begins with a bullet hangs by it.
        """
        units = list(map(printable, _UNITS.findall(text) if isinstance(text, str) else text))
        hang = indent + 2 if units and units[0] in {"-", "*"} else indent
        lead, at, taken = first, indent, ""
        for unit in units:
            if taken and at + cell_len(taken) + 1 + cell_len(unit) > self.width:
                self._prose_line(lead, at, taken, look)
                lead, at, taken = "", hang, ""
            taken = f"{taken} {unit}" if taken else unit
        self._prose_line(lead, at, taken, look)

    def _prose_line(self, lead: _Part, indent: int, text: str, look: str) -> None:
        shown, lead_look = (lead, "") if isinstance(lead, str) else lead
        self.line((shown.ljust(indent), lead_look), (text, look))

    def heading(self, title: str, rest: str) -> None:
        """A line across the page that starts a part."""
        self.blank()
        used = cell_len(printable(title + rest)) + 4
        self.line("== ", (title, "bold"), f"{rest} ", "=" * max(min(self.width, 120) - used, 2))

    def fits(self, cells: int) -> bool:
        """Whether so many cells stand on one line."""
        return cells <= self.width

    def text(self, color: bool) -> str:
        """The finished page."""
        while self.lines and not self.lines[-1].plain:
            self.lines.pop()
        if not color:
            return "".join(f"{line.plain}\n" for line in self.lines)
        out = io.StringIO()
        console = Console(
            file=out,
            width=self.width,
            force_terminal=True,
            color_system="standard",
            legacy_windows=False,
            highlight=False,
            no_color=False,
        )
        for line in self.lines:
            console.print(line, soft_wrap=True)
        return out.getvalue()


def _listed(units: Sequence[str]) -> list[str]:
    """Units with commas between them, none of which is broken."""
    return [f"{unit}," for unit in units[:-1]] + list(units[-1:])


# -- the first screen ----------------------------------------------------------------------------------------------


def _summary(page: _Page, overview: Overview) -> None:
    report = overview.report
    parts = (
        plural(len(report.servers), "server"),
        plural(len(report.applications), "application"),
        plural(len(report.requirements), "SPN"),
    )
    found = [f for f in report.findings if f.accepted is None]
    worst = min(found, key=lambda finding: ("error", "warning", "info").index(finding.severity), default=None)
    clean = "bold green" if report.complete and not overview.nobody_looked else "bold"
    look = clean if worst is None else _SEVERITY_LOOKS[worst.severity]
    page.prose(f"{', '.join(parts)}: {counted(report)}", look=look)
    _incomplete(page, report)


def _incomplete(page: _Page, report: Report) -> None:
    if report.complete:
        return
    wrong = [f"{server.name} {server.status}" for server in report.servers if server.status != "ok"]
    told = f" ({', '.join(wrong)})" if wrong else ""
    page.prose(
        f"INCOMPLETE: not everything could be read{told}. What is not shown is not known to be right.",
        look="bold red",
    )


def _digest(page: _Page, report: Report) -> None:
    """The most severe findings with their commands, before anything else is said."""
    open_ones = [finding for finding in by_severity(report.findings) if finding.accepted is None]
    severity: Severity = "error" if any(f.severity == "error" for f in open_ones) else "warning"
    groups = list(_alike(finding for finding in open_ones if finding.severity == severity))
    if not groups:
        return
    page.blank()
    page.line((f"{_SEVERITY_WORDS[severity]}S, and what to do", _SEVERITY_LOOKS[severity]))
    for findings in groups[:_FIRST_SCREEN]:
        _digested(page, findings)
    if len(groups) > _FIRST_SCREEN:
        page.line(f"  ... and {len(groups) - _FIRST_SCREEN} more below")


def _alike(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Findings of one kind at one place, together."""
    found: dict[object, list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.id, servers_of(finding), finding.site, finding.path), []).append(finding)
    yield from found.values()


def _digested(page: _Page, findings: list[Finding]) -> None:
    first = findings[0]
    spns = dict.fromkeys(str(finding.spn) for finding in findings if finding.spn is not None)
    where = ", ".join(part for part in (*servers_of(first), first.site) if part) or "everywhere"
    page.prose(_listed([where]) if not spns else [f"{where}:", *_listed(list(spns))], 2, look="bold")
    page.prose(f"{first.id}: {_effect(first)}", 4)
    for sentence in _first_way(findings):
        _sentence(page, sentence, 4)


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


class _Group(NamedTuple):
    """Applications of one site about which the same is to be said."""

    applications: list[Application]
    requirements: list[Requirement]


class _Block:
    """Everything about one server."""

    def __init__(self, page: _Page, overview: Overview, server: Server) -> None:
        self.page = page
        self.overview = overview
        self.server = server
        self.said: set[str] = set()

    def write(self) -> None:
        self._heading()
        applications = self.overview.applications.get(self.server.name, [])
        asked = [a for a in applications if a.negotiates or self.overview.required_by(a)]
        groups = list(self._groups(asked))
        widths = _widths(groups)
        for group in groups:
            self._group(group, widths)
        self._silent([a for a in applications if a not in asked])
        findings = self.overview.findings[self.server.name]
        if findings:
            self.page.blank()
            self.page.line((f"Findings of {self.server.name}", "bold"))
            _findings(self.page, findings, self.server, frozenset(self.said))

    def _heading(self) -> None:
        server = self.server
        dns_name = "" if server.dns_name is None else f" ({server.dns_name})"
        self.page.heading(server.name, dns_name)
        self.page.line(f"source  {server.source}")
        self.page.prose(_STATUS[server.status], 8, first="status", look="" if server.status == "ok" else "bold red")
        for problem in server.problems:
            where = at_line(problem.file, problem.line, server)
            units = [*([f"{where}:"] if where else []), *_UNITS.findall(problem.message), f"({problem.id})"]
            self.page.prose(units, 8, first="note" if server.status == "ok" else "problem")

    def _groups(self, applications: list[Application]) -> Iterator[_Group]:
        found: dict[object, _Group] = {}
        for application in applications:
            requirements = self.overview.required_by(application)
            answer = (tuple(map(id, requirements)), self._settings(application), application.decryption)
            own = application.path if application.places else ""
            key = (application.site, application.hosts, answer, application.decrypts_as, own)
            found.setdefault(key, _Group([], requirements)).applications.append(application)
        yield from found.values()

    def _settings(self, application: Application) -> tuple[str, ...]:
        if application.windows_auth is None:
            return ()
        return settings_told(application.windows_auth, application.origins, self.server)

    # -- one group -------------------------------------------------------------------------------------------------

    def _group(self, group: _Group, widths: Sequence[int]) -> None:
        first = group.applications[0]
        self.page.blank()
        paths = ", ".join(application.path for application in group.applications)
        names = ", ".join(host.host.text for host in first.hosts)
        title = f"{first.site}  {paths}"
        if self.page.fits(cell_len(printable(f"{title}   reached as {names}"))):
            self.page.line((title, "bold"), f"   reached as {names}" if names else "")
        else:
            self.page.prose(title, look="bold")
            self.page.prose(names, 13, first="  reached as")
        self._spns(group, widths)
        self._why(group)
        for application in group.applications:
            for place in application.places:
                units = [f"{place.path}:", *_UNITS.findall(place_told(place, self.server))]
                self.page.prose(units, 9, first="  below")
        self._do(group)

    def _fits(self, widths: Sequence[int]) -> bool:
        return self.page.fits(sum(width + 2 for width in widths))

    def _spns(self, group: _Group, widths: Sequence[int]) -> None:
        shown = [requirement for requirement in group.requirements if _is_shown(requirement)]
        if not shown and group.applications[0].negotiates:
            self.page.line("  no SPN: no name that clients can put into one is known")
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
                self.page.prose(_listed(units), 13, first=(label, "dim"), look="dim")

    def _tabled(self, requirement: Requirement, widths: Sequence[int]) -> None:
        word, *rest = _row(requirement)
        look = _LOOKS[requirement.outcome]
        self.page.line("  ", (word.ljust(widths[0]), look), "  ", _padded(rest, widths[1:]))

    def _stacked(self, requirement: Requirement) -> None:
        word, need, spn, account, holders = _row(requirement)
        self.page.line("  ", (word.ljust(max(len(word), 9)), _LOOKS[requirement.outcome]), f"  {spn}")
        self.page.line(f"{'':13}{need}: must be on {account}")
        if holders:
            self.page.prose(_listed(holders.split(", ")), 19, first=f"{'':13}is on")

    def _why(self, group: _Group) -> None:
        first = group.applications[0]
        rules = dict.fromkeys(rule_of(r, first) for r in group.requirements if _is_shown(r)) or {first.rule: None}
        lines = [rule_told(rule) for rule in rules if rule is not None]
        if not lines and first.decryption in _UNDECIDED:
            lines = [_UNDECIDED[first.decryption]]
        pools = dict.fromkeys(pool_told(application, self.server) for application in group.applications)
        facts = [*self._settings(first), *pools]
        if first.windows_auth is None or not first.negotiates:
            facts = [why_not(first.windows_auth, first.origins, self.server)]
        joined = ", ".join(facts)
        for number, line in enumerate([*lines, *([joined] if self.page.fits(9 + cell_len(joined)) else facts)]):
            self.page.prose(line, 9, first="" if number else ("  why", "dim"), look="dim")

    def _do(self, group: _Group) -> None:
        """What the findings about these SPNs say is to be done, each sentence once."""
        found = [f for r in group.requirements for f in self.overview.about(r, self.server.name)]
        label = "  do"
        for finding_id, findings in _by_id(found).items():
            self.page.prose(f"about {finding_id}:", 9, first=(label, "bold"), look="dim")
            for sentence in _once(findings):
                _sentence(self.page, sentence, 9)
                self.said.add(sentence)
            label = ""
        if not found:
            self._look(group)

    def _look(self, group: _Group) -> None:
        """Where nobody looked who holds the SPNs: how to look, and what must be there."""
        unchecked = [r for r in group.requirements if r.outcome == "unchecked" and _is_shown(r)]
        for number, sentence in enumerate(dict.fromkeys(s for r in unchecked for s in r.advice)):
            _sentence(self.page, sentence, 9, first="" if number else ("  do", "bold"))

    def _silent(self, applications: list[Application]) -> None:
        """The applications that never ask for a ticket, with the reason, a line for those of one site."""
        if not applications:
            return
        self.page.blank()
        self.page.line(("No Kerberos asked for", "bold"))
        reasons = [(a.site, why_not(a.windows_auth, a.origins, self.server), a) for a in applications]
        for (site, reason), same in groupby(reasons, key=lambda found: found[:2]):
            rows = [application for _, _, application in same]
            paths = ", ".join(application.path for application in rows)
            self.page.prose([*_UNITS.findall(f"{site}  {paths}:"), *_UNITS.findall(reason)], 4, first="  - ")
            for application in rows:
                for place in application.places:
                    told = place_told(place, self.server)
                    self.page.prose([f"{place.path}:", *_UNITS.findall(told)], 10, first="    below")


_STATUS: Mapping[Status, str] = {
    "ok": "ok",
    "partial": "PARTIAL: a part of it could not be read",
    "failed": "FAILED: nothing is known of it",
}
_HEADER = ("TODAY", "NEED", "SPN", "MUST BE ON", "IS ON")

_UNDECIDED = {
    "impossible": "no account of the domain can decrypt (see the findings)",
    "uncertain": "it is not certain who decrypts (see the findings)",
}


def _widths(groups: list[_Group]) -> tuple[int, ...]:
    """The widths of the columns for the SPNs of these groups."""
    rows = [_row(requirement) for group in groups for requirement in group.requirements if _is_shown(requirement)]
    return tuple(max(map(cell_len, column)) for column in zip(_HEADER, *rows, strict=True)) if rows else ()


def _is_shown(requirement: Requirement) -> bool:
    return requirement.need in {"explicit", "covered"}


def _row(requirement: Requirement) -> tuple[str, ...]:
    account = "nobody known" if requirement.account is None else str(requirement.account)
    row = (WORDS[requirement.outcome], requirement.need, str(requirement.spn), account, held_by(requirement))
    return tuple(map(printable, row))


def _padded(row: Iterable[str], widths: Sequence[int]) -> str:
    cells = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


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


# -- findings ------------------------------------------------------------------------------------------------------


def _sentence(page: _Page, sentence: str, indent: int, first: _Part = "") -> None:
    """A sentence of a fix; a command in it gets a line of its own, behind everything that is said about it."""
    parts = pieces(sentence)
    commands = [piece.text for piece in parts if piece.command]
    words = " ".join(piece.text for piece in parts if not piece.command)
    if commands:
        words = words.replace(": (", " (").replace(".)", ")").rstrip(".:") + ":" if words else "Run:"
    page.prose(["-", *_UNITS.findall(words)], indent, first=first)
    for command in commands:
        page.line(" " * (indent + 2), (command, "bold cyan"))


def _findings(page: _Page, findings: Iterable[Finding], server: Server | None, said: frozenset[str]) -> None:
    """Findings by severity, those with one remedy together; `said`: sentences that stand above already."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        remedy = "above" if finding.fix and said.issuperset(finding.fix) else finding.fix
        groups.setdefault((finding.severity, finding.id, remedy, finding.accepted), []).append(finding)
    for same in groups.values():
        _finding_group(page, same, server, said)


def _finding_group(page: _Page, findings: list[Finding], server: Server | None, said: frozenset[str]) -> None:
    first = findings[0]
    accepted = first.accepted is not None
    word, look = ("ACCEPTED", "dim") if accepted else (_SEVERITY_WORDS[first.severity], _SEVERITY_LOOKS[first.severity])
    about = (place for finding in findings for place in (subject(finding) or servers_told(finding, server),))
    places = ", ".join(dict.fromkeys(filter(None, about)))
    page.prose([first.id, *([f"({places})"] if places else [])], 11, first=(f"  {word}", look), look="bold")
    for finding in findings:
        page.prose(["*", *_UNITS.findall(finding.message)] if len(findings) > 1 else finding.message, 11)
        _evidence(page, finding, server)
    if accepted:
        page.prose(f"{first.accepted}", 11, first=("  because", "dim"))
    elif first.fix and said.issuperset(first.fix):
        page.prose("as said above", 11, first=("  do", "bold"), look="dim")
    else:
        for number, sentence in enumerate(first.fix):
            _sentence(page, sentence, 11, first="" if number else ("  do", "bold"))


def _evidence(page: _Page, finding: Finding, server: Server | None) -> None:
    for number, line in enumerate(finding.evidence):
        where = at_line(line.file, line.line, server)
        units = [*([where] if where else []), *_UNITS.findall(line.text)]
        page.prose(units, 11, first="" if number else ("  see", "dim"), look="dim")


def _legend(page: _Page, report: Report) -> None:
    used = {requirement.outcome for requirement in report.requirements}
    words = [(WORDS[outcome], meaning) for outcome, meaning in MEANINGS.items() if outcome in used]
    page.blank()
    for word, meaning in words:
        page.prose(meaning, 12, first=(word, "dim"), look="dim")
    if any(requirement.need == "covered" for requirement in report.requirements):
        page.prose("a HOST/ SPN serves, no HTTP/ SPN is needed", 12, first=("covered", "dim"), look="dim")
    if report.findings or words:
        page.prose("`iis-spn rules ID` explains a rule or a finding.", look="dim")


# -- explain -------------------------------------------------------------------------------------------------------


def _distinct(outcomes: Iterable[ClientOutcome]) -> Iterator[tuple[list[str], ClientOutcome]]:
    """Outcomes that differ in the client's name only, once, with all those names."""
    found: dict[object, tuple[list[str], ClientOutcome]] = {}
    for outcome in outcomes:
        steps = tuple(_of_any(step, outcome.client) for step in outcome.because)
        key = (outcome.spn, outcome.holders, outcome.answers, outcome.decrypts_as, outcome.outcome, steps)
        found.setdefault(key, ([], outcome))[0].append(outcome.client)
    yield from found.values()


def _of_any(step: str, client: str) -> str:
    """A step that names its client, said of any."""
    return f"The client {step.removeprefix(f'{client} ')}" if step.startswith(f"{client} ") else step


def _told(page: _Page, clients: list[str], outcome: ClientOutcome) -> None:
    page.blank()
    page.prose(", ".join(clients), 0, look="bold")
    ends = outcome.because[-1] if outcome.because else MEANINGS[outcome.outcome]
    page.prose(ends, 14, first=(f"  {WORDS[outcome.outcome]}", _LOOKS[outcome.outcome]))
    for label, value in _facts(outcome):
        page.prose(_listed(value.split(", ")), 14, first=f"  {label}")
    page.blank()
    for number, step in enumerate(outcome.because[:-1], 1):
        page.prose(_of_any(step, outcome.client), 6, first=f"  {number}.".ljust(6))


def _facts(outcome: ClientOutcome) -> Iterator[tuple[str, str]]:
    yield "asks for", "no ticket" if outcome.spn is None else str(outcome.spn)
    if outcome.spn is not None:
        held = "not looked up" if outcome.holders is None else listed(outcome.holders) or "nobody"
        yield "held by", held
        if outcome.answers is not None and outcome.answers != outcome.holders:
            yield "answers", f"{listed(outcome.answers)} (HOST/)" if outcome.answers else "nobody"
    yield "decrypts", "nobody that can be named" if outcome.decrypts_as is None else str(outcome.decrypts_as)
