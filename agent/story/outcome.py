"""What one kind of client gets for a URL, told step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from agent.checks.case import Case, Judged
from agent.checks.remedies import advice, remedy
from agent.model import ClientOutcome, Origin, Outcome, Requirement, WhyNot, WindowsAuth
from agent.names import AccountName, HostName, Spn, http_spn, ip_address
from agent.spn.clients import Client, asked_hosts, asked_port
from agent.spn.computer_names import Names
from agent.spn.identity import NO_POOL, UNKNOWN_COMPUTER, Decision, decide
from agent.spn.nameservice import Resolution
from agent.spn.needs import how_to_know, spn_doubt, spn_hosts
from agent.spn.require import NOT_LOOKED_AT, Wanted
from agent.spn.verdict import is_absent, is_split, judge
from agent.story.answering import Answering, binding_of, elsewhere
from agent.story.url import Url

_ENDS: Mapping[Outcome, str] = {
    "kerberos": "Kerberos works: the KDC's ticket is for the account that decrypts.",
    "ntlm-fallback": "Nobody answers for the SPN: the client falls back to NTLM, and users notice nothing.",
    "modified": "KRB_AP_ERR_MODIFIED: the ticket is for another account. Users get three prompts, then 401; no NTLM.",
    "duplicate": "More than one account answers: mostly NTLM, sometimes KRB_AP_ERR_MODIFIED.",
    "impossible": "No account in the domain can decrypt: NTLM, or KRB_AP_ERR_MODIFIED where a HOST/ SPN answers.",
    "uncertain": "It cannot be said for certain from what was read",
    "unchecked": "Who holds the SPN is not known from what was read.",
}

_POOL_STOPPED = "The application pool {} does not start with IIS (autoStart=false): requests get 503, nobody decrypts."
_ADDRESS = "The URL holds an address: Windows clients do not try Kerberos with one, they use NTLM."
_ITSELF = "The name is that of the very machine it is typed on: Windows uses NTLM there, never a ticket."

_NAMED = 3
"""How many names are offered for an address."""
_DOMAIN = (
    "It is the domain's own name, which DNS has for every domain controller: an SPN for it can be right on one of them "
    "only. Type the server's name, or give the site a name of its own."
)

_NEVER_ASKED: Mapping[WhyNot, tuple[Outcome | None, str]] = {
    "refused": (None, "IIS refuses the configuration here and answers 500: nobody is let in, no ticket is asked for."),
    "unread": ("uncertain", "A web.config here could not be read: whether a ticket is asked for is not known."),
    "disabled": (None, "Windows authentication is off here: people are let in without it, no ticket is asked for."),
    "no-provider": (None, "The list of providers is empty: nobody is challenged, no ticket is asked for."),
    "pku2u-only": (None, "No provider leads to Kerberos or NTLM: no ticket is asked for."),
    "not-http": (None, "The application does not serve http: no ticket is asked for."),
    "no-negotiate": ("ntlm-fallback", "Without the provider Negotiate clients are asked for NTLM, never for a ticket."),
}
"""What becomes of those who are never asked for a ticket (contract: no outcome where none is)."""


class Told(NamedTuple):
    """An outcome, and what the application would need for it where no requirement of the report says so."""

    outcome: ClientOutcome
    wanted: Wanted | None = None


class Asking(Struct, frozen=True, kw_only=True):
    """One client kind, one URL, and what answers it."""

    case: Case
    url: Url
    client: Client
    found: Answering
    advised: Mapping[tuple[Spn, AccountName | None], tuple[str, ...]]
    """What the report says is to be done about its requirements."""

    @property
    def names(self) -> Names:
        return self.found.server.names

    def told(self) -> Told:
        """What the client gets, and why."""
        story = [*_resolution(self.url, self.names)]
        hosts = spn_hosts(self.client, self.url.host, self.names)
        if not hosts and self.url.host.is_address:
            return self._by_address(story)
        if not hosts:
            return self._without_ticket(None, "ntlm-fallback", [*story, _ITSELF])
        name = http_spn(hosts[0], asked_port(self.client, self.url.port))
        story_there = [*story, self._place_told()]
        decided = self.found.decided
        if not self.found.is_started:
            return self._without_ticket(
                name, "uncertain", [*story_there, _POOL_STOPPED.format(self.found.application.pool)]
            )
        if decided.windows_auth is None or decided.why_not is not None:
            outcome, why = _NEVER_ASKED[decided.why_not or "refused"]
            if self.found.is_open:
                outcome, why = "uncertain", f"{_ENDS['uncertain']}: {NOT_LOOKED_AT}."
            return self._without_ticket(name, outcome, [*story_there, why])
        return self._with_ticket(name, hosts[0], decided.windows_auth, story)

    def _with_ticket(self, name: Spn, host: HostName, settings: WindowsAuth, story: list[str]) -> Told:
        alias = spn_doubt(self.client, self.url.host, self.names)
        decision = self._decision(settings, host).doubted(alias or self._unseen())
        reference = replace(self.found.application.reference, rule=decision.rule_id)
        wanted = Wanted(name, decision.account, "explicit", None, decision, (), (self.client.name,), [reference])
        wanted.provided = self.names.provided(host)
        requirement = judge(wanted, self.case.directory, self.case.service)
        story.append(f"{self.client.name} asks the KDC for {name}{', or for what it is an alias of' if alias else ''}.")
        story.append(_holders_told(self.case, name, requirement.holders, requirement.answers))
        story.append(self._place_told())
        story.append(_decryption_told(self.found, settings, decision))
        story.append(self._end(requirement, decision))
        fix = self._fix(requirement)
        outcome = ClientOutcome(
            client=self.client.name,
            spn=name,
            holders=requirement.holders,
            answers=requirement.answers,
            decrypts_as=decision.account,
            outcome=requirement.outcome,
            because=tuple(story),
            provided=(*(requirement.provided or ()), *self._guessed(requirement.outcome)),
            fix=fix or (),
        )
        return Told(self._placed(outcome), wanted if fix is None else None)

    def _placed(self, outcome: ClientOutcome) -> ClientOutcome:
        place = self.found.application.reference
        return replace(outcome, server=place.server, site=place.site, path=self.found.decided.path)

    def _without_ticket(self, name: Spn | None, outcome: Outcome | None, story: list[str]) -> Told:
        told = without_ticket(self.case, self.client, name, outcome, story)
        return Told(self._placed(replace(told, provided=tuple(self._guessed(outcome)))))

    def _by_address(self, story: list[str]) -> Told:
        """What an address leads to is told all the same, and by which names people get a ticket there."""
        told = self._without_ticket(None, "ntlm-fallback", [*story, self._place_told(), _ADDRESS])
        urls = [url for url in self.found.application.urls or () if not url.host.is_address]
        typed = dict.fromkeys(self.url._replace(host=url.host).by(url.scheme, url.port) for url in urls)
        names = ", ".join(list(typed)[:_NAMED])
        fix = f"Type a name instead: {names}." if names else "Give the site a name: a host header, or a record in DNS."
        return told._replace(outcome=replace(told.outcome, fix=(fix,)))

    # -- who decrypts ------------------------------------------------------------------------------------------

    def _decision(self, settings: WindowsAuth, host: HostName) -> Decision:
        """Who decrypts for this very name: the table has another row where it is one of the computer's own."""
        identity = self.case.identity_of(self.found.application) or NO_POOL
        return decide(settings, identity, self.found.server.computer, self.names.kind_of(host))

    def _unseen(self) -> str:
        """What may change who decrypts, and nobody looked at; empty where nothing may."""
        if not self.found.is_sure and not self.found.server.machine.is_known:
            return UNKNOWN_COMPUTER
        return NOT_LOOKED_AT if self.found.is_open else ""

    def _guessed(self, outcome: Outcome | None) -> Iterator[str]:
        if not self.found.is_sure and outcome not in {"uncertain", "unchecked"}:
            yield f"{self.url.host} leads to {self.found.server.label}"

    # -- words -------------------------------------------------------------------------------------------------

    def _place_told(self) -> str:
        found = self.found
        where = f"{found.site}{found.decided.path}"
        binding = f"{found.binding.protocol} {found.binding.information}"
        return f"On {found.server.label} the binding {binding} leads to {where} (pool {found.application.pool})."

    def _end(self, requirement: Requirement, decision: Decision) -> str:
        if requirement.outcome != "uncertain":
            return _ENDS[requirement.outcome]
        why = decision.doubt or self._why_open(requirement)
        return f"{_ENDS['uncertain']}{f': {why}' if why else ''}."

    def _why_open(self, requirement: Requirement) -> str:
        """Why the directory does not settle it, where that can be told."""
        account, directory = requirement.account, self.case.directory
        if account is None or directory is None:
            return ""
        if is_absent(account, directory):
            return f"{account} is not in the directory"
        if any(is_split(requirement.spn, holder, directory) for holder in directory.seen(requirement.spn)):
            return "the explicit SPN and the HOST/ SPN are in two domains"
        weak = self.case.weakness(account)
        return f"{account} {weak.text}" if weak is not None and weak.is_refused else ""

    def _fix(self, requirement: Requirement) -> tuple[str, ...] | None:
        """What mends it, as the report says it of this very application; None where it does not know of the need."""
        if requirement.outcome in {"kerberos", "impossible"}:
            return ()
        key = (requirement.spn, requirement.account)
        known = self.case.judged_at.get(key)
        if known is not None and self.found.application.reference in known.requirement.applications:
            return self.advised.get(key, ())
        if self.names.is_domains(self.url.host):
            return (_DOMAIN,)
        return tuple(self._claiming(requirement.spn.host)) or None

    def _claiming(self, host: HostName) -> Iterator[str]:
        """The sites that answer the name which clients make of what is typed, and are not reached by what is."""
        for site in self.found.server.configuration.sites:
            for binding in site.bindings:
                if binding.serves and binding.host == host != self.url.host and site.name != self.found.site:
                    page = self.url._replace(host=host).by(binding.protocol, binding.port)
                    yield f"The site {site.name} answers {page}: give it the host header {self.url.host} too."


def repaired(case: Case, told: Sequence[Told]) -> Iterator[ClientOutcome]:
    """The outcomes with what would mend them, were the names that no site shows names of what answers them.

    All of them together: what several servers need on several accounts is for nobody to register.
    """
    wanted: dict[tuple[Spn, AccountName | None], Wanted] = {}
    for outcome, need in told:
        if need is not None:
            known = wanted.setdefault((need.spn, need.account), need)
            if known is not need:
                known.applications += [each for each in need.applications if each not in known.applications]
                known.asked_by = tuple(dict.fromkeys((*known.asked_by, outcome.client)))
    judged = {key: Judged(each, judge(each, case.directory, case.service)) for key, each in wanted.items()}
    with_them = replace(case, judged=(*case.judged, *judged.values())) if judged else case
    fixes = {key: _would_mend(with_them, each) for key, each in judged.items()}
    for outcome, need in told:
        yield outcome if need is None else replace(outcome, fix=fixes[need.spn, need.account])


def _would_mend(case: Case, judged: Judged) -> tuple[str, ...]:
    if judged.requirement.outcome in {"uncertain", "unchecked"}:
        return advice(case, judged)
    return remedy(case, judged).sentences


def without_ticket(
    case: Case, client: Client, name: Spn | None, outcome: Outcome | None, story: list[str]
) -> ClientOutcome:
    """Who holds the name is told all the same."""
    holders = answers = None
    if name is not None and case.directory is not None:
        holders, answers = case.directory.holders(name, None), case.directory.answers(name, None)
    return ClientOutcome(
        client=client.name,
        spn=name,
        holders=None if holders is None else tuple(account.name for account in holders),
        answers=None if answers is None else tuple(account.name for account in answers),
        decrypts_as=None,
        outcome=outcome,
        because=tuple(story),
    )


def nobody(case: Case, url: Url, client: Client) -> ClientOutcome:
    """What is known where no inspected server answers."""
    if case.servers:
        hosts = spn_hosts(client, url.host, case.servers[0].names)
    else:
        hosts = () if url.host.is_loopback else asked_hosts(client, url.host, case.service, None)
    name = http_spn(hosts[0], asked_port(client, url.port)) if hosts else None
    story = [_nothing(case, url), *_stopped(case, url)]
    if name is not None:
        story.append(f"{client.name} asks the KDC for {name}; who must decrypt is not known.")
    elif url.host.is_address:
        story.append(_ADDRESS)
    return without_ticket(case, client, name, "uncertain", story)


def _nothing(case: Case, url: Url) -> str:
    """That nothing answers, and what comes near: the same name over another scheme or port."""
    others = [
        f"{server.label} answers {url.by(b.protocol, b.port)}: {site}" for server, site, b in elsewhere(case, url)
    ]
    if others:
        return f"Nothing answers {url}; {'; '.join(others)}."
    if url.host.is_address:
        known = [f"{server.label} has {', '.join(server.names.mine[:_NAMED]) or 'none'}" for server in case.servers]
        return f"Nothing inspected answers {url}. Known addresses: {'; '.join(known[:_NAMED]) or 'none'}."
    resolutions = [server.names.resolve(url.host) for server in case.servers]
    is_nobodys = bool(resolutions) and all(found is not None and not found.exists for found in resolutions)
    return f"Nothing inspected answers {url}{': DNS knows no such name' if is_nobodys else ''}."


def _stopped(case: Case, url: Url) -> Iterator[str]:
    for server in case.servers:
        if (found := binding_of(server, url, True, starting=False)) is not None:
            yield f"{found[0]} on {server.label} would, but it does not start with IIS (serverAutoStart=false)."


def _resolution(url: Url, names: Names) -> Iterator[str]:
    resolution = names.resolve(url.host)
    if url.host.is_address:
        whose = "an address of the server" if ip_address(url.host.key) in names.mine else "an address"
        yield f"{url.host} is typed, {whose}."
    elif resolution is None:
        told = "DNS was not asked about it" if names.service is None else "what was read of DNS does not tell of it"
        yield f"{url.host} is typed; {told}."
    elif not resolution.exists:
        yield f"{url.host} is typed; DNS knows no such name."
    else:
        chain = ", an alias of ".join(host.text for host in resolution.chain)
        yield f"{url.host} is typed; DNS finds {chain}: {_addresses_told(resolution, names)}."


def _addresses_told(resolution: Resolution, names: Names) -> str:
    if resolution.addresses is not None:
        return ", ".join(resolution.addresses) or "no address"
    end = resolution.canonical
    if end in names.inspected.computers:
        return "an inspected server's own name"
    return f"where that leads is not known, {how_to_know(end)}"


def _holders_told(
    case: Case, name: Spn, holders: tuple[AccountName, ...] | None, answers: tuple[AccountName, ...] | None
) -> str:
    if case.directory is None or name.key not in case.directory.asked:
        return f"Who holds {name} was not looked up."
    if answers is None:
        return f"Nobody was seen to hold {name}, but what was read does not show the whole domain."
    if holders:
        return f"{name} is on {' and '.join(map(str, holders))}."
    if answers:
        return f"No account has {name}; HOST/{name.instance} on {' and '.join(map(str, answers))} answers for it."
    return f"No account has {name}, and no HOST/ SPN answers for it."


def _decryption_told(found: Answering, settings: WindowsAuth, decision: Decision) -> str:
    kernel = _said("useKernelMode", settings.kernel_mode, found.decided.origins.kernel_mode)
    credentials = _said("useAppPoolCredentials", settings.pool_credentials, found.decided.origins.pool_credentials)
    identity = f"pool identity {found.application.identity_type}"
    if found.application.pool_account is not None:
        identity += f" {found.application.pool_account}"
    who = decision.account or "nobody that can be named"
    shown = f" ({decision.rule_id})" if decision.rule_id else ""
    return f"{who} decrypts{shown}: {kernel}, {credentials}, {identity}."


def _said(name: str, value: bool, origin: Origin | None) -> str:
    place = "default" if origin is None or origin.file is None else f"{origin.file}:{origin.line}"
    return f"{name}={str(value).lower()} [{place}]"
