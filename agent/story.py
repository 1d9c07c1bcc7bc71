"""The story of one request: name typed -> DNS -> SPN asked -> holder -> application -> who decrypts -> outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from agent.checks.case import Case
from agent.checks.causes import causes
from agent.errors import UsageError
from agent.iis.bindings import Binding
from agent.inspection.stages import Analysis
from agent.model import Application, ClientOutcome, Explanation, Finding, Origin, Outcome, Place, WindowsAuth
from agent.names import AccountName, Address, HostName, Spn, fold, host_name, http_spn, ip_address
from agent.spn.clients import Client, asked_hosts, asked_port
from agent.spn.identity import NO_POOL, Decision, decide
from agent.spn.nameservice import Resolution
from agent.spn.needs import how_to_know, spn_doubt, spn_hosts
from agent.spn.question import Typed
from agent.spn.reach import Names
from agent.spn.require import NOT_LOOKED_AT, ServerView, Wanted, is_started
from agent.spn.verdict import judge


class Url(NamedTuple):
    """A URL as far as it decides anything."""

    text: str
    scheme: str
    host: HostName
    port: int
    path: str

    @property
    def typed(self) -> Typed:
        """What the name service and the directory are asked about it."""
        return Typed(self.host, self.port)


def read_url(text: str) -> Url:
    """Take a URL apart; a bare host is an http URL. Raises UsageError."""
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{text!r} is not an http or https URL with a host")
    default = 443 if parts.scheme == "https" else 80
    host = host_name(parts.netloc.rpartition("@")[2].removesuffix(f":{port}") if port else parts.hostname)
    return Url(text, parts.scheme, host, port or default, unquote(parts.path) or "/")


class Answering(NamedTuple):
    """The application that answers, with the place below it where other settings hold."""

    server: ServerView
    site: str
    binding: Binding
    application: Application
    place: Place | None

    @property
    def is_started(self) -> bool:
        """Whether its pool runs, so that anybody answers at all."""
        return is_started(self.server.configuration.pools.get(fold(self.application.pool or "")), self.server.machine)

    @property
    def decided(self) -> Application | Place:
        """What says which settings hold there."""
        return self.place or self.application


def explain(analysis: Analysis, text: str) -> Explanation:
    """Tell for each client kind what happens with one URL."""
    url = read_url(text)
    answering: list[Answering] = []
    outcomes: list[ClientOutcome] = []
    for case in analysis.cases:
        here = list(_answering(case, url))
        answering += here
        outcomes += [_outcome(case, url, client, found) for found in here for client in case.clients]
    if not answering:
        outcomes = [_nobody(analysis.cases[0], url, client) for client in analysis.cases[0].clients]
    spns = {outcome.spn for outcome in outcomes if outcome.spn is not None}
    report = analysis.report
    findings = tuple(found for found in report.findings if _concerns(found, spns, answering))
    told = {**{name: getattr(report, name) for name in type(report).__dataclass_fields__}, "findings": findings}
    return Explanation(
        **{**told, "causes": causes(findings)},
        url=text,
        outcomes=tuple(outcomes),
    )


def _concerns(found: Finding, spns: set[Spn], answering: list[Answering]) -> bool:
    if found.spn is not None:
        return found.spn in spns
    if found.server is None:
        return found.severity != "info"
    sites = {(a.server.label, a.site) for a in answering}
    return (found.server, found.site) in sites or (found.site is None and found.server in {s for s, _ in sites})


# -- who answers ---------------------------------------------------------------------------------------------------


def _answering(case: Case, url: Url) -> Iterator[Answering]:
    """The application on each server that can get the request; several: DNS or the farm file did not narrow it down.

    A binding without a host header answers every name. Where nothing says that the name leads to such a server, it
    counts only when no server is known to answer.
    """
    servers = list(_servers(case, url.host))
    sure = [server for server in servers if _leads_to(server, url.host)]
    found = [answer for server in servers if (answer := _answer(case, url, server, server in sure)) is not None]
    if not found and not _is_known_elsewhere(case, url.host):
        found = [answer for server in servers if (answer := _answer(case, url, server, True)) is not None]
    yield from found


def _answer(case: Case, url: Url, server: ServerView, catch_all: bool) -> Answering | None:
    found = _binding(server, url, catch_all)
    if found is None:
        return None
    site, binding = found
    application = _application(case, server, site, url.path)
    if application is None:
        return None
    return Answering(server, site, binding, application, _place(application, url.path))


def _servers(case: Case, host: HostName) -> Iterator[ServerView]:
    declared = [name for name in case.farm if host in {name.host, name.host.first_label}]
    for server in case.servers:
        if declared:
            if any(name.includes(server.machine) for name in declared):
                yield server
            continue
        addresses = _addresses(server, host)
        mine = set(server.machine.addresses)
        if not addresses or not mine or addresses & mine:
            yield server


def _addresses(server: ServerView, host: HostName) -> set[Address]:
    """Where the name leads, as far as that is known."""
    if (typed := ip_address(host.key)) is not None:
        return {typed}
    return set(server.names.addresses(host))


def _leads_to(server: ServerView, host: HostName) -> bool:
    """Whether the name is the server's own or declared for it, or DNS leads it there."""
    if {host, server.names.in_full(host)} & server.names.own or server.names.is_declared(host):
        return True
    return bool(_addresses(server, host) & set(server.machine.addresses))


def _is_known_elsewhere(case: Case, host: HostName) -> bool:
    """Whether the name is a server's own (which then does not answer there), or does not exist."""
    resolutions = [server.names.resolve(host) for server in case.servers]
    if resolutions and all(resolution is not None and not resolution.exists for resolution in resolutions):
        return True
    return any({host, server.names.in_full(host)} & server.names.own for server in case.servers)


def _binding(server: ServerView, url: Url, catch_all: bool, starting: bool = True) -> tuple[str, Binding] | None:
    """http.sys: the exact host header, then a wildcard one, then one without, bound to the address or to all.

    Only the sites that start with IIS listen; or, to say so, only the others are looked at.
    """
    addresses = _addresses(server, url.host)
    ranked = []
    for site in server.configuration.sites:
        for binding in site.bindings if site.starts is starting else ():
            if binding.serves and binding.protocol == url.scheme and binding.port == url.port:
                rank = _rank(binding, url.host, addresses)
                if rank is not None and (catch_all or binding.host is not None):
                    ranked.append((rank, site.name, binding))
    if not ranked:
        return None
    _, site_name, best = min(ranked, key=lambda found: found[0])
    return site_name, best


def _rank(binding: Binding, typed: HostName, addresses: set[Address]) -> int | None:
    if binding.address and addresses and binding.address not in addresses:
        return None
    bound = 0 if binding.address else 1
    if binding.host is None:
        return 4 + bound
    if binding.host.is_wildcard:
        return 2 + bound if typed.matches_wildcard(binding.host) else None
    return bound if binding.host == typed else None


def _application(case: Case, server: ServerView, site: str, path: str) -> Application | None:
    """The application with the longest path that is a prefix of the URL's, segment by segment."""
    here = [a for a in case.applications if a.server == server.label and a.site == site and _is_below(path, a.path)]
    return max(here, key=lambda application: len(application.path), default=None)


def _place(application: Application, path: str) -> Place | None:
    below = [place for place in application.places if _is_below(path, place.path)]
    return max(below, key=lambda place: len(place.path), default=None)


def _is_below(path: str, above: str) -> bool:
    folded, top = fold(path).rstrip("/"), fold(above).rstrip("/")
    return folded == top or folded.startswith(f"{top}/")


# -- the story -----------------------------------------------------------------------------------------------------

_POOL_STOPPED = "The application pool {} does not start with IIS (autoStart=false): requests get 503, nobody decrypts."

_ENDS = {
    "kerberos": "Kerberos works: the KDC's ticket is for the account that decrypts.",
    "ntlm-fallback": "Nobody answers for the SPN: the client falls back to NTLM, and users notice nothing.",
    "modified": "KRB_AP_ERR_MODIFIED: the ticket is for another account. Users get three prompts, then 401; no NTLM.",
    "duplicate": "More than one account answers: mostly NTLM, sometimes KRB_AP_ERR_MODIFIED.",
    "impossible": "No account in the domain can decrypt: NTLM, or KRB_AP_ERR_MODIFIED where a HOST/ SPN answers.",
    "uncertain": "It cannot be said for certain from what was read.",
    "unchecked": "Who holds the SPN is not known from what was read.",
}


def _outcome(case: Case, url: Url, client: Client, found: Answering) -> ClientOutcome:
    names = found.server.names
    hosts = spn_hosts(client, url.host, names)
    story = [*_resolution(url, names)]
    if not hosts:
        story.append("The URL holds an address: Windows clients do not try Kerberos with one, they use NTLM.")
        return _without_ticket(case, client, None, "ntlm-fallback", story)
    name = http_spn(hosts[0], asked_port(client, url.port))
    settings = found.decided.windows_auth
    if not found.is_started:
        story += [_place_told(found), _POOL_STOPPED.format(found.application.pool)]
        return _without_ticket(case, client, name, "uncertain", story)
    if settings is None or not found.decided.negotiates:
        story.append(_place_told(found))
        story.append("The application does not offer Negotiate: no ticket is asked for.")
        return _without_ticket(case, client, name, "ntlm-fallback", story)
    doubt = spn_doubt(client, url.host, names)
    decision = _decision(case, found, settings, hosts[0]).doubted(doubt or _unseen(found))
    wanted = Wanted(name, decision.account, "explicit", None, decision, (), (client.name,))
    requirement = judge(wanted, case.directory, case.service)
    story.append(f"{client.name} asks the KDC for {name}{', or for what it is an alias of' if doubt else ''}.")
    story.append(_holders_told(case, name, requirement.holders, requirement.answers))
    story.append(_place_told(found))
    story.append(_decryption_told(found, settings, decision))
    story.append(_ENDS[requirement.outcome])
    return ClientOutcome(
        client=client.name,
        spn=name,
        holders=requirement.holders,
        answers=requirement.answers,
        decrypts_as=decision.account,
        outcome=requirement.outcome,
        because=tuple(story),
        provided=requirement.provided,
    )


def _without_ticket(case: Case, client: Client, name: Spn | None, outcome: Outcome, story: list[str]) -> ClientOutcome:
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


def _nobody(case: Case, url: Url, client: Client) -> ClientOutcome:
    hosts = (
        spn_hosts(client, url.host, case.servers[0].names)
        if case.servers
        else asked_hosts(client, url.host, case.service, None)
    )
    name = http_spn(hosts[0], asked_port(client, url.port)) if hosts else None
    story = [f"No inspected server has a binding that answers {url.scheme}://{url.host}:{url.port}."]
    story += [
        f"{found[0]} on {server.label} would, but it does not start with IIS (serverAutoStart=false)."
        for server in case.servers
        if (found := _binding(server, url, True, starting=False)) is not None
    ]
    if name is not None:
        story.append(f"{client.name} asks the KDC for {name}; who must decrypt is not known.")
    return _without_ticket(case, client, name, "uncertain", story)


def _resolution(url: Url, names: Names) -> Iterator[str]:
    resolution = names.resolve(url.host)
    if resolution is None:
        yield f"{url.host} is typed; DNS was not asked about it."
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
    if case.directory is None or name not in case.directory.asked:
        return f"Who holds {name} was not looked up."
    if answers is None:
        return f"Nobody was seen to hold {name}, but what was read does not show the whole domain."
    if holders:
        return f"{name} is on {' and '.join(map(str, holders))}."
    if answers:
        return f"No account has {name}; HOST/{name.instance} on {' and '.join(map(str, answers))} answers for it."
    return f"No account has {name}, and no HOST/ SPN answers for it."


def _place_told(found: Answering) -> str:
    where = f"{found.site}{found.decided.path}"
    binding = f"{found.binding.protocol} {found.binding.information}"
    return f"On {found.server.label} the binding {binding} leads to {where} (pool {found.application.pool})."


def _decision(case: Case, found: Answering, settings: WindowsAuth, host: HostName) -> Decision:
    """Who decrypts for this very name: the table has another row where it is one of the computer's own."""
    identity = case.identity_of(found.application) or NO_POOL
    return decide(settings, identity, found.server.computer, found.server.names.kind_of(host))


def _unseen(found: Answering) -> str:
    """What may change who decrypts, and nobody looked at; empty where the application's own verdict has no doubt."""
    return NOT_LOOKED_AT if found.decided.decryption == "uncertain" else ""


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
