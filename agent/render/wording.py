"""What the renderings for people share: words, places, and which finding belongs to what. Nothing here judges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, assert_never

from agent.checks.commands import is_pasteable
from agent.model import (
    SEVERITIES,
    Accepted,
    Application,
    ApplicationRef,
    ClientOutcome,
    Finding,
    Origin,
    Origins,
    Outcome,
    Place,
    Report,
    Requirement,
    Server,
    Status,
    WindowsAuth,
)
from agent.names import AccountName, Spn, printable
from agent.spn.rules import named

WORDS: Mapping[Outcome, str] = {
    "kerberos": "OK",
    "ntlm-fallback": "NTLM",
    "modified": "BROKEN",
    "duplicate": "DUPLICATE",
    "impossible": "IMPOSSIBLE",
    "uncertain": "UNSURE",
    "unchecked": "NOT CHECKED",
}
"""What stands in a table for an outcome; `MEANINGS` says it in a sentence."""

NO_TICKET = "NO TICKET"
"""The same where no ticket is asked for, so that there is no outcome."""

MEANINGS: Mapping[Outcome, str] = {
    "kerberos": "Kerberos works",
    "ntlm-fallback": "nobody answers for the SPN: clients use NTLM, and users notice nothing",
    "modified": "the ticket is for another account, KRB_AP_ERR_MODIFIED: three prompts, then 401",
    "duplicate": "more than one account answers: NTLM, or now and then KRB_AP_ERR_MODIFIED",
    "impossible": "no account of the domain can decrypt here: no Kerberos",
    "uncertain": "what was read does not settle it",
    "unchecked": "nobody looked who holds the SPN, or what was read does not tell",
}

NOT_WHOLE: Mapping[Status, str] = {
    "partial": "PARTIAL: a part of it could not be read",
    "failed": "FAILED: nothing is known of it",
}
"""What is said of a server that was not read whole."""


# -- what belongs to what ------------------------------------------------------------------------------------------


class Needed(NamedTuple):
    """An SPN as one application needs it: by which row of the table."""

    requirement: Requirement
    rule: str | None


class Overview:
    """A report with the ways through it that a page needs: what is on a server, what concerns an SPN."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.applications: dict[str, list[Application]] = {}
        self.needed: dict[ApplicationRef, list[Needed]] = {}
        self.findings: dict[str, list[Finding]] = {server.name: [] for server in report.servers}
        self.elsewhere: list[Finding] = []
        self._by_spn: dict[Spn, list[tuple[Finding, frozenset[str]]]] = {}
        for application in report.applications:
            self.applications.setdefault(application.server, []).append(application)
        for requirement in report.requirements:
            for place in requirement.applications:
                self.needed.setdefault(place, []).append(Needed(requirement, place.rule))
        for finding in by_severity(report.findings):
            self._sort_in(finding)

    def _sort_in(self, finding: Finding) -> None:
        servers = finding.all_servers
        of_one = servers[0] if len(servers) == 1 else None
        self.findings.get(of_one or "", self.elsewhere).append(finding)
        if finding.spn is not None:
            self._by_spn.setdefault(finding.spn, []).append((finding, frozenset(servers)))

    def needed_by(self, application: Application) -> list[Needed]:
        """The SPNs an application needs."""
        return self.needed.get(application.reference, [])

    @cached_property
    def _told(self) -> frozenset[str]:
        told = (found for found in self.report.findings if found.severity != "info" and found.accepted is None)
        return frozenset(server for found in told for server in found.all_servers)

    def needs_somebody(self, server: Server) -> bool:
        """Whether it was not read whole, or an error or a warning names it."""
        return server.status != "ok" or server.name in self._told

    def about(self, requirement: Requirement, server: str) -> Iterator[Finding]:
        """The findings that speak of this SPN (and account) on this server, errors first."""
        for finding, servers in self._by_spn.get(requirement.spn, ()):
            of_account = finding.account is None or finding.account == requirement.account
            if of_account and (not servers or server in servers):
                yield finding


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first; accepted ones after all others."""
    return sorted(findings, key=lambda found: (found.accepted is not None, found.rank))


def counted(report: Report) -> str:
    """`11 errors, 9 warnings, 6 notes`, accepted findings apart."""
    told = []
    for severity, word in zip(SEVERITIES, ("error", "warning", "note"), strict=True):
        number = sum(found.severity == severity and found.accepted is None for found in report.findings)
        if number:
            told.append(plural(number, word))
    accepted = sum(found.accepted is not None for found in report.findings)
    return ", ".join([*(told or ["no findings"]), *([f"{accepted} accepted"] if accepted else [])])


def plural(number: int, word: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def shortly(names: Sequence[str], most: int) -> str:
    """`WEB003 WEB023 WEB043 +7`"""
    more = len(names) - most
    return " ".join(names[:most]) + (f" +{more}" if more > 0 else "")


NAMES_SHOWN = 20


def first_few(names: Sequence[object], between: str = ", ") -> str:
    """`web01, web02, web03`; of a thousand names the first twenty, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return between.join(map(str, names[:NAMES_SHOWN])) + (f" and {more} more" if more > 0 else "")


# -- single facts in words -----------------------------------------------------------------------------------------


def listed(accounts: Iterable[AccountName]) -> str:
    """Accounts side by side."""
    return ", ".join(printable(str(account)) for account in accounts)


def also_held(names: Iterable[Spn]) -> str:
    """What an account holds besides; servers that were not inspected may live on it."""
    return f"also holds {', '.join(map(str, names))} (no inspected server needs them)"


def reason_told(accepted: Accepted) -> str:
    """Why a finding may stay, and until when."""
    until = "" if accepted.until is None else f" (until {accepted.until})"
    return f"{accepted.reason}{until}"


def held_by(requirement: Requirement | ClientOutcome) -> str:
    """Who answers for the SPN today; empty where nobody looked."""
    if requirement.holders:
        return listed(requirement.holders)
    if requirement.answers:
        return f"HOST/ of {listed(requirement.answers)}"
    return "" if requirement.holders is None else "nobody"


def shortened(file: str, server: Server | None) -> str:
    """A file as seen from the server's own source, which the heading names."""
    source = "" if server is None else server.source
    for separator in ("/", "\\"):
        if source and file.startswith(source.rstrip(separator) + separator):
            return printable(file[len(source.rstrip(separator)) + 1 :])
    return printable(re.split(r"[/\\]", file)[-1] if file == source else file)


def at_line(file: str | None, line: int | None, server: Server | None) -> str:
    """`applicationHost.config:212`; empty where there is no file."""
    if file is None:
        return ""
    return shortened(file, server) if line is None else f"{shortened(file, server)}:{line}"


def _origin(origin: Origin | None, server: Server | None) -> str:
    if origin is None:
        return ""
    return f" ({'default' if origin.file is None else at_line(origin.file, origin.line, server)})"


def settings_told(auth: WindowsAuth, origins: Origins, server: Server | None) -> tuple[str, str]:
    """The two settings that decide, with the line that sets each."""
    return (
        f"useKernelMode={str(auth.kernel_mode).lower()}{_origin(origins.kernel_mode, server)}",
        f"useAppPoolCredentials={str(auth.pool_credentials).lower()}{_origin(origins.pool_credentials, server)}",
    )


def pool_told(application: Application, server: Server | None) -> str:
    """The pool with its identity, and the line that sets it."""
    if application.pool is None:
        return "no application pool"
    account = "" if application.pool_account is None else f" {printable(str(application.pool_account))}"
    identity = printable(application.identity_type or "unknown identity")
    return (
        f"pool {printable(application.pool)}: {identity}{account}{_origin(application.origins.identity_type, server)}"
    )


def decider(requirement: Requirement, application: Application) -> Application | Place:
    """The application, or the place below it, whose settings make it need this SPN on this account."""
    return application.decider(requirement.account)


def rule_told(rule_id: str) -> str:
    """A row of the table as a sentence."""
    row = named(rule_id)
    if row is None:
        return printable(rule_id)
    who = "the computer" if row.decrypts == "computer" else "the pool account"
    spn = "needs an HTTP/ SPN" if row.spn == "explicit" else "is covered by HOST/"
    article = "a" if row.name == "custom name" else "the computer's"
    return f"{row.id}: {who} decrypts; {article} {row.name} {spn} ({row.comment})"


def why_not(decided: Application | Place, server: Server | None) -> str:
    """The reason that the report gives for an application, or a place below it, that does not negotiate."""
    reason = _why_not(decided, server)
    if decided.why_not == "unread":
        return reason
    return f"{reason}, unless a web.config that nobody looked at says otherwise" if decided.may_negotiate else reason


def _why_not(decided: Application | Place, server: Server | None) -> str:
    origins = decided.origins
    match decided.why_not:
        case None:
            return "the report does not say why"
        case "refused":
            return "IIS refuses the configuration here (see the findings)"
        case "unread":
            return "not known: a web.config could not be read (see the findings)"
        case "disabled":
            return f"Windows authentication is off{_origin(origins.enabled, server)}"
        case "no-provider" | "no-negotiate":
            return f"no Negotiate among the providers: {_providers(decided)}{_origin(origins.providers, server)}"
        case "pku2u-only":
            return f"no provider leads to Kerberos: {_providers(decided)}{_origin(origins.providers, server)}"
        case "not-http":
            return "it does not serve http or https"
        case other:
            assert_never(other)


def _providers(decided: Application | Place) -> str:
    providers = decided.windows_auth.providers if decided.windows_auth is not None else ()
    return ", ".join(map(printable, providers)) or "none"


def place_told(place: Place, server: Server | None) -> str:
    """A directory below an application that has settings of its own."""
    if place.windows_auth is None or not place.negotiates:
        return why_not(place, server)
    who = "nobody that can be named" if place.decrypts_as is None else printable(str(place.decrypts_as))
    row = f" ({place.rule})" if place.rule else ""
    return "; ".join((f"{who} decrypts{row}", *settings_told(place.windows_auth, place.origins, server)))


def subject(finding: Finding) -> str:
    """Where a finding is, shortly: the site with its path."""
    return "" if finding.site is None else printable(f"{finding.site} {finding.path or ''}".rstrip())


def servers_told(finding: Finding, server: Server | None) -> str:
    """The servers a finding is about, where the page does not stand at one."""
    return "" if server is not None else printable(first_few(finding.all_servers))


# -- sentences with a command in them ------------------------------------------------------------------------------

_COMMAND = re.compile(
    r"(?:^|(?<=: ))(?:setspn|dnscmd|klist|%windir%\\\S+|[A-Z][a-z]+-[A-Z][A-Za-z]+)(?= )"  # the program
    r'(?: (?:"[^"]*"|[^\s"(]\S*))+'  # its arguments; words in brackets behind them are about it
    r"|(?<=: )name = \[.*"  # a piece of TOML
)


class Piece(NamedTuple):
    """A part of a sentence; `command`: it is to be copied as it stands, and never broken."""

    text: str
    command: bool


def pieces(sentence: str) -> Sequence[Piece]:
    """A sentence taken apart into words and commands."""
    found: list[Piece] = []
    position = 0
    for match in _COMMAND.finditer(sentence):
        is_line = is_pasteable(match[0]) or match[0].startswith("name = [")  # a piece of TOML
        found.append(Piece(printable(sentence[position : match.start()].strip()), False))
        found.append(Piece(printable(match[0]), is_line))
        position = match.end()
    found.append(Piece(printable(sentence[position:].strip()), False))
    return [piece for piece in found if piece.text]


WORST_FIRST: tuple[Outcome, ...] = (
    *("modified", "duplicate", "impossible", "ntlm-fallback", "uncertain", "unchecked", "kerberos"),
)


def rank(outcome: Outcome | None) -> int:
    """For sorting: the worst first, and last where no ticket is asked for."""
    return len(WORST_FIRST) if outcome is None else WORST_FIRST.index(outcome)
