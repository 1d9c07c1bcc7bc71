"""What does a report say? Its words, as frozen structs; every rendering derives from them. May import: names.

Field names are the contract's keys. `None` means "not known", an empty tuple "known to be none". Beside the words
stands what follows from them: how their JSON document is written and read, and its schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Literal, Self, cast, get_args

from msgspec import Struct

from agent.model import document, reader
from agent.names import AccountName, HostName, Spn

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Worst first: the one order of findings, of `--fail-on`, of every count."""

Status = Literal["ok", "partial", "failed"]
Need = Literal["explicit", "covered", "port-variant", "optional"]
Outcome = Literal["kerberos", "ntlm-fallback", "modified", "duplicate", "impossible", "uncertain", "unchecked"]
Decryption = Literal["computer", "pool", "impossible", "uncertain", "none"]
WhyNot = Literal["refused", "unread", "disabled", "no-provider", "no-negotiate", "pku2u-only", "not-http"]
HostSource = Literal["binding", "machine", "dns", "farm", "log", "want"]
SourceKind = Literal["config", "directory", "dns", "farm", "names", "accept", "want"]
Scheme = Literal["http", "https"]
Why = Literal["explicit", "inherited", "default"]
StepKind = Literal["spn-delete", "spn-add", "iis-setting", "dns", "manual"]
PrincipalKind = Literal["user", "computer", "managed"]


class Origin(Struct, frozen=True, gc=False):
    """Where an effective value comes from; `file` is None for IIS's own schema default.

    `line` is the 1-based first line of the start tag, `location` the path of the `<location>` it stands in
    (empty: the level of the file itself), `why` how it came to the place asked about.
    """

    file: str | None
    line: int | None
    location: str
    why: Why


class WindowsAuth(Struct, frozen=True, kw_only=True, gc=False):
    """Effective windowsAuthentication at one path. `service_names` is the spn list of its extended protection."""

    enabled: bool
    kernel_mode: bool
    pool_credentials: bool
    providers: tuple[str, ...]
    token_checking: str
    flags: str
    service_names: tuple[str, ...] = ()


class Origins(Struct, frozen=True, kw_only=True, gc=False):
    """Where each deciding value comes from; None where IIS would refuse the configuration."""

    enabled: Origin | None
    kernel_mode: Origin | None
    pool_credentials: Origin | None
    providers: Origin | None
    identity_type: Origin | None


class Host(Struct, frozen=True, gc=False):
    """A name by which clients reach an application, and who says so."""

    host: HostName
    source: HostSource


class Url(Struct, frozen=True, gc=False):
    """What people type to reach an application."""

    scheme: Scheme
    host: HostName
    port: int
    path: str


class Place(Struct, frozen=True, kw_only=True, gc=False):
    """A directory or file below an application whose windowsAuthentication differs from the application's own.

    `why_not` and `rule` as for the application.
    """

    path: str
    windows_auth: WindowsAuth | None
    origins: Origins
    negotiates: bool
    why_not: WhyNot | None
    decryption: Decryption
    decrypts_as: AccountName | None
    rule: str | None

    @property
    def may_negotiate(self) -> bool:
        """As for the application."""
        return not self.negotiates and self.decryption == "uncertain"


class Application(Struct, frozen=True, kw_only=True, gc=False):
    """One application of one site: does it negotiate, and which account decrypts the tickets sent to it?

    `why_not` says why clients are not asked for a ticket as far as was seen ("unread": what a web.config there says
    could not be read), None where it negotiates. `rule` is the row of the table
    for its first name, None for what is classified before the table. `names_known` False: clients may use a name that
    nobody said (the computer's own, a short name's suffix, what a wildcard stands for), so not all SPNs are known.
    """

    server: str
    site: str
    path: str
    pool: str | None
    identity_type: str | None
    pool_account: AccountName | None
    windows_auth: WindowsAuth | None
    origins: Origins
    negotiates: bool
    why_not: WhyNot | None
    decryption: Decryption
    decrypts_as: AccountName | None
    rule: str | None
    hosts: tuple[Host, ...]
    names_known: bool | None = None
    urls: tuple[Url, ...] | None = None
    places: tuple[Place, ...] = ()

    @property
    def reference(self) -> ApplicationRef:
        """How requirements, accounts and findings name it."""
        return ApplicationRef(self.server, self.site, self.path)

    @property
    def may_negotiate(self) -> bool:
        """Whether it asks for no ticket as far as was seen, and a web.config that nobody looked at may change that."""
        return not self.negotiates and self.decryption == "uncertain"

    @property
    def negotiating(self) -> tuple[Application | Place, ...]:
        """The application and the places below it, as far as clients are asked for a ticket there."""
        every: tuple[Application | Place, ...] = (self, *self.places)
        return tuple([each for each in every if each.negotiates])

    def decider(self, account: AccountName | None) -> Application | Place:
        """The application, or the place below it, whose settings let this account decrypt."""
        places: tuple[Application | Place, ...] = (self, *self.places)
        return next((place for place in places if place.decrypts_as == account), self)

    @property
    def is_unnamed(self) -> bool:
        """Whether clients are asked for a ticket here by a name that nobody said."""
        return self.names_known is False and (self.negotiates or any(place.negotiates for place in self.places))


class ApplicationRef(Struct, frozen=True, gc=False):
    """Which application, said shortly; where it needs an SPN, by which row of the table (which is not compared)."""

    server: str
    site: str
    path: str
    rule: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApplicationRef) and (self.server, self.site, self.path) == (
            other.server,
            other.site,
            other.path,
        )

    def __hash__(self) -> int:
        return hash((self.server, self.site, self.path))


class Requirement(Struct, frozen=True, kw_only=True, gc=False):
    """One SPN that must lead to one account, and what happens with it today.

    `account` is None where no account can serve. `holders` and `answers` are None when nobody looked.
    `asked_by` names the client kinds asked about that send exactly this SPN; `advice` says what must be done.
    `provided` is what the outcome takes for granted, to be read after "if": "no name is an alias".
    """

    spn: Spn
    account: AccountName | None
    need: Need
    covered_by: Spn | None
    holders: tuple[AccountName, ...] | None
    answers: tuple[AccountName, ...] | None
    outcome: Outcome
    rule: str | None
    asked_by: tuple[str, ...]
    applications: tuple[ApplicationRef, ...]
    advice: tuple[str, ...] = ()
    provided: tuple[str, ...] | None = None

    @property
    def matters(self) -> bool:
        """Whether people fail, or notice NTLM, without it: it is counted."""
        return self.need != "optional"


class AccountUse(Struct, frozen=True, kw_only=True, gc=False):
    """One account over the whole farm: what it serves, and which HTTP/ SPNs it needs, holds, lacks and also holds.

    `needs` are the SPNs that must be registered on it, `covered` those its HOST/ SPNs serve. `holds`, `lacks` and
    `elsewhere` are None when nobody looked; `elsewhere` are held too, and no inspected server needs them: whether
    another one does is not known. It is None also where a name that the account serves is not known.
    """

    account: AccountName
    kind: str | None
    applications: tuple[ApplicationRef, ...]
    needs: tuple[Spn, ...]
    covered: tuple[Spn, ...]
    holds: tuple[Spn, ...] | None
    lacks: tuple[Spn, ...] | None
    elsewhere: tuple[Spn, ...] | None


class Principal(Struct, frozen=True, kw_only=True, gc=False):
    """What the directory says of an account that the report names.

    `kind` as in `accounts`, `sid` its objectSid, `domain` the DNS name of its domain, `dns_name` the dNSHostName of a
    computer. None: the source does not say it.
    """

    account: AccountName
    kind: str | None
    sid: str | None
    domain: str | None
    dns_name: str | None


class Evidence(Struct, frozen=True, gc=False):
    """A line a person can look at to see the reason."""

    file: str | None
    line: int | None
    text: str


class Accepted(Struct, frozen=True, kw_only=True, gc=False):
    """Why a finding may stay, the last day of that (ISO 8601, None: for good), and where it is said."""

    reason: str
    until: str | None = None
    file: str | None = None
    line: int | None = None


class Finding(Struct, frozen=True, kw_only=True, gc=False):
    """What to do about something: one row of the table in `agent.checks.findings`, found in one place."""

    id: str
    severity: Severity
    server: str | None
    servers: tuple[str, ...] = ()
    site: str | None = None
    path: str | None = None
    spn: Spn | None = None
    account: AccountName | None = None
    holders: tuple[AccountName, ...] = ()
    message: str
    evidence: tuple[Evidence, ...] = ()
    fix: tuple[str, ...] = ()
    accepted: Accepted | None = None

    @property
    def rank(self) -> int:
        """For sorting: the worst first."""
        return SEVERITIES.index(self.severity)

    @property
    def all_servers(self) -> tuple[str, ...]:
        """Every server that it names, each once."""
        first = () if self.server is None else (self.server,)
        return tuple(dict.fromkeys((*first, *self.servers)))


class Problem(Struct, frozen=True, kw_only=True, gc=False):
    """Why something of a server could not be read, or was read with a reservation; `id` is a finding's."""

    id: str
    message: str
    file: str | None = None
    line: int | None = None
    fix: tuple[str, ...] = ()


class Server(Struct, frozen=True, kw_only=True, gc=False):
    """One server that was looked at. "partial" and "failed" make the report incomplete.

    `guessed` names what nobody said: "name" (the folder or file is called so), "dns_name" (name plus domain),
    "netbios_domain" (the first label of the domain, as accounts are shown). Nothing is concluded from a guess.
    """

    name: str
    dns_name: str | None
    source: str
    status: Status
    problems: tuple[Problem, ...] = ()
    guessed: tuple[str, ...] = ()


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """One step of a repair, with the step that takes it back and the finding it serves.

    `order` and `finding` are given by the plan. `command` and `rollback` are whole lines to paste; without one, `note`
    says what to do by hand (an SPN step says it by itself). Beside a command, `note` is what must be known before it is
    run. `server` is where an iis-setting is made. `account_kind` and `dn` say which object the account is, where that
    is known. `confirm`: somebody must be asked first. `after` are the steps without which this one would break a name:
    others make them, on a web server or in DNS, before it.
    """

    order: int = 0
    kind: StepKind
    spn: Spn | None = None
    account: AccountName | None = None
    command: str | None = None
    rollback: str | None = None
    finding: str = ""
    server: str | None = None
    account_kind: PrincipalKind | None = None
    dn: str | None = None
    confirm: bool = False
    note: str | None = None
    after: tuple[int, ...] = ()

    @property
    def is_add(self) -> bool:
        """Whether it registers an SPN."""
        return self.kind == "spn-add"

    @property
    def changes_spn(self) -> bool:
        """Whether it registers or removes an SPN; then `value` says which, and where."""
        return self.kind in {"spn-add", "spn-delete"} and self.spn is not None and self.account is not None

    @property
    def value(self) -> tuple[Spn, AccountName]:
        """The SPN that comes or goes, and the account. ValueError for a step of another kind."""
        if not self.changes_spn or self.spn is None or self.account is None:
            raise ValueError(f"no SPN changes by {self.kind}")
        return self.spn, self.account

    @property
    def title(self) -> str:
        """`remove HTTP/x from TEST\\y`, with nothing escaped."""
        verb, where = ("add", "to") if self.is_add else ("remove", "from")
        return f"{verb} {self.spn} {where} {self.account}"


class Alternative(Struct, frozen=True, kw_only=True, gc=False):
    """Another way to repair the same finding."""

    finding: str
    why: str
    steps: tuple[Step, ...]


class Blocked(Struct, frozen=True, kw_only=True, gc=False):
    """A finding that no printed step can repair, and the reason."""

    finding: str
    why: str


class Goal(Struct, frozen=True, kw_only=True, gc=False):
    """One name as somebody wants it (`--want`): on which servers, and with whose key.

    `account` is None where nobody can say which is meant. `reached`: whether it is so already, None where nobody
    looked. `steps` are the orders of those that lead there; `because` says what is so today, what the steps break
    elsewhere, and what stands in the way.
    """

    host: HostName
    account: AccountName | None
    reached: bool | None
    servers: tuple[str, ...] = ()
    site: str | None = None
    steps: tuple[int, ...] = ()
    because: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True, gc=False):
    """The recommended way in order, other ways, and what stays open; what is wanted, where somebody said it."""

    steps: tuple[Step, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    wanted: tuple[Goal, ...] = ()

    @property
    def is_reached(self) -> bool:
        """Whether something was wanted, and all of it is so already."""
        return bool(self.wanted) and all(goal.reached for goal in self.wanted)


class Tool(Struct, frozen=True, gc=False):
    """Which program wrote the report."""

    name: str
    version: str


class ServerCounts(Struct, frozen=True, kw_only=True, gc=False):
    """How many servers were asked; asked = answered + failed, `partial` are among those that answered.

    `healthy` were read whole, all that matters there is known, and no error or warning names them.
    """

    asked: int
    answered: int
    failed: int
    partial: int
    healthy: int | None = None

    @classmethod
    def of(cls, servers: Sequence[Server], troubled: Container[str] = ()) -> Self:
        """The counts of these servers; `troubled` names those that are not healthy though they were read whole."""
        status = Counter(server.status for server in servers)
        return cls(
            asked=len(servers),
            answered=len(servers) - status["failed"],
            failed=status["failed"],
            partial=status["partial"],
            healthy=sum(server.status == "ok" and server.name not in troubled for server in servers),
        )


class SpnCounts(Struct, frozen=True, kw_only=True, gc=False):
    """What people have, by SPNs that matter. `broken`: modified, duplicate or impossible.

    An application that negotiates and whose names are not all known counts one in `uncertain`.
    """

    broken: int
    ntlm: int
    not_checked: int
    uncertain: int
    ok: int

    @classmethod
    def of(cls, requirements: Iterable[Requirement], applications: Iterable[Application]) -> Self:
        """The counts of these requirements, and of what these applications need by names that nobody said."""
        ends = Counter(requirement.outcome for requirement in requirements if requirement.matters)
        return cls(
            broken=ends["modified"] + ends["duplicate"] + ends["impossible"],
            ntlm=ends["ntlm-fallback"],
            not_checked=ends["unchecked"],
            uncertain=ends["uncertain"] + sum(application.is_unnamed for application in applications),
            ok=ends["kerberos"],
        )

    @property
    def unknown(self) -> int:
        """Those of which nobody can say whether they are right."""
        return self.not_checked + self.uncertain

    @property
    def total(self) -> int:
        """All that matter."""
        return self.broken + self.ntlm + self.unknown + self.ok

    @property
    def is_blind(self) -> bool:
        """Whether something matters and nothing is known of any of it: no step and no all-clear follows."""
        return self.total > 0 and self.unknown == self.total


class SourceRead(Struct, frozen=True, kw_only=True, gc=False):
    """One file that was read, or one server that was asked.

    `asked` False: nobody was, and `note` says what that leaves open. `date` is when it was asked or the file written
    (UTC, ISO 8601), `covers` are the domains, zones, servers or names of which it says all.
    """

    kind: SourceKind
    source: str | None
    asked: bool = True
    date: str | None = None
    covers: tuple[str, ...] = ()
    note: str | None = None


class Summary(Struct, frozen=True, kw_only=True, gc=False):
    """The report in numbers, and what it rests on.

    `clients` are the kinds that were asked about. `questions` are lines for cmd.exe, whole: they ask the forest who
    holds what nobody looked up, and write question and answer where `--ad` reads them. `only` is what was asked for of
    all that was judged ("server IIS0?", "site Pay"); everything where it is empty.
    """

    servers: ServerCounts
    spns: SpnCounts
    read: tuple[SourceRead, ...]
    clients: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


class Cause(Struct, frozen=True, kw_only=True, gc=False):
    """Findings that say the same of several places. `finding` is their id, `fix` what all of them say is to be done.

    `evidence` shows where those without an SPN are. `unread`: it tells of what could not be read.
    """

    finding: str
    text: str
    spns: tuple[Spn, ...]
    servers: tuple[str, ...]
    fix: tuple[str, ...]
    severity: Severity | None = None
    evidence: tuple[Evidence, ...] = ()
    unread: bool = False


class Report(Struct, frozen=True, kw_only=True, gc=False):
    """Everything one run saw and judged. `started` and `finished` are UTC, ISO 8601.

    `summary`, `causes` and `principals` are None where the report is of a release that did not write them.
    """

    schema: str
    tool: Tool
    started: str
    finished: str
    complete: bool
    servers: tuple[Server, ...]
    applications: tuple[Application, ...]
    requirements: tuple[Requirement, ...]
    findings: tuple[Finding, ...]
    plan: Plan = Plan()
    accounts: tuple[AccountUse, ...] = ()
    summary: Summary | None = None
    causes: tuple[Cause, ...] | None = None
    principals: tuple[Principal, ...] | None = None

    @property
    def spns(self) -> SpnCounts:
        """What people have."""
        return self.summary.spns if self.summary is not None else SpnCounts.of(self.requirements, self.applications)

    @property
    def may_ask(self) -> bool:
        """Whether a file that nobody looked at may make an application ask for a ticket, or a place below one."""
        return any(one.may_negotiate or any(place.may_negotiate for place in one.places) for one in self.applications)

    @property
    def is_blind(self) -> bool:
        """Whether nothing is known of what matters, or of whether anything does: no step and no all-clear follows."""
        return self.spns.is_blind or (self.spns.total == 0 and self.may_ask)

    def to_json(self) -> str:
        """The document of docs/report.schema.json; what `explain` or `sweep` adds to a report stands at its end.

        `agent.model.document.json_pieces` gives it a piece at a time: the one of 5,000 servers has 750 MB of text.
        """
        return "".join(document.json_pieces(self))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "report") -> Self:
        """The report that a document of any released schema says; `Report` reads those of `explain` and `sweep` too.

        Keys that are not known are left out: later versions may add some. Raises MalformedError for anything else that
        is not as it should be, with `source` and the place in the document ("$.servers[0].status").
        """
        kinds = [kind for kind in (Explanation, Survey, cls) if issubclass(kind, cls)]
        return cast("Self", reader.report(text, kinds, SCHEMA, source))


class Alias(Struct, frozen=True, gc=False):
    """A name that leads to a machine which another name of the sweep already led to."""

    asked: str
    server: str


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """How many servers a sweep asked, and what became of it: asked = answered + failed.

    `not_asked` are among the failed: the sweep ended before their turn. `kept` were not asked either, their snapshots
    of an earlier run are still fresh. `aliases` are among the answered.
    """

    asked: int
    answered: int
    failed: int
    not_asked: int = 0
    kept: int = 0
    aliases: tuple[Alias, ...] = ()


class Survey(Report, frozen=True, kw_only=True, gc=False):
    """The report of `sweep`: what was asked for it."""

    sweep: Asked


class ClientOutcome(Struct, frozen=True, kw_only=True, gc=False):
    """What one kind of client gets for the URL asked about, and the story of why, step by step.

    `outcome` is None where no ticket is asked for. `server`, `site` and `path` say what answers, None where nothing
    inspected does; `fix` what mends it where no finding of the report speaks of this application.
    """

    client: str
    spn: Spn | None
    holders: tuple[AccountName, ...] | None
    answers: tuple[AccountName, ...] | None
    decrypts_as: AccountName | None
    outcome: Outcome | None
    because: tuple[str, ...]
    provided: tuple[str, ...] | None = None
    server: str | None = None
    site: str | None = None
    path: str | None = None
    fix: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity | None:
        """How bad it is for people, None for what works, asks for no ticket, or is not known."""
        if self.outcome in {"modified", "duplicate", "impossible"}:
            return "error"
        return "warning" if self.outcome == "ntlm-fallback" else None


class Explanation(Report, frozen=True, kw_only=True, gc=False):
    """The report of `explain`: one URL, and an outcome per client kind (and server, where several answer it).

    `answered`: whether something inspected answers the URL, None where the report is of a release that did not write
    it. `unnamed` are the servers of which nobody said the name that the answer depends on.
    """

    url: str
    outcomes: tuple[ClientOutcome, ...]
    answered: bool | None = None
    unnamed: tuple[str, ...] = ()


SCHEMA = "iis-spn/report/2"
