"""Who asks for which SPN, who holds it and who decrypts, as a BloodHound OpenGraph
(https://bloodhound.specterops.io/opengraph/schema): accounts are BloodHound's own nodes where their SID is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain

from agent.model import Application, Finding, Place, Principal, Report, Requirement, Server
from agent.model.document import line_of
from agent.names import AccountName, HostName, Spn, fold, printable
from agent.render.what_was_read import source_told

RUN, SERVER, APPLICATION = "IISSPN_Run", "IISSPN_Server", "IISSPN_Application"
HOST, SPN, ACCOUNT = "IISSPN_Host", "IISSPN_ServicePrincipalName", "IISSPN_Account"
BASE = "Base"
"""What every node of Active Directory is in BloodHound."""
_KINDS = {"user": "User", "computer": "Computer", "gMSA": "User", "sMSA": "User", "dMSA": "User"}
"""As SharpHound has them: a managed service account is a user."""

READ, HOSTS, SERVES, ASKS_FOR = "IISSPN_Read", "IISSPN_Hosts", "IISSPN_Serves", "IISSPN_AsksFor"
MUST_BE_ON, HELD_BY, ANSWERED_BY = "IISSPN_MustBeOn", "IISSPN_HeldBy", "IISSPN_AnsweredBy"
DECRYPTS_AS = "IISSPN_DecryptsAs"

_Value = str | bool | list[str] | None
_Node = tuple[str, list[str], dict[str, _Value]]
_Edge = tuple[str, str, str, dict[str, _Value]]


def to_bloodhound(report: Report) -> Iterator[str]:
    """A line for each node, then one for each edge."""
    accounts = _Accounts(report)
    yield '{"graph": {"nodes": ['
    nodes = chain(_places(report), _names(report), accounts.nodes())
    for at, (node, kinds, properties) in enumerate(nodes):
        told = {"id": node, "kinds": kinds, "properties": _told(properties)}
        yield f"{',' if at else ''}\n{line_of(told)}"
    yield '\n], "edges": ['
    for at, (start, kind, end, properties) in enumerate(_edges(report, accounts)):
        ends = {"start": {"match_by": "id", "value": start}, "end": {"match_by": "id", "value": end}}
        yield f"{',' if at else ''}\n{line_of({'kind': kind, **ends, 'properties': _told(properties)})}"
    yield "\n]}}\n"


def _told(properties: Mapping[str, _Value]) -> dict[str, _Value]:
    """What is known: OpenGraph takes no null, and an empty list says nothing."""
    return {name: value for name, value in properties.items() if value is not None and value != []}


def _id(*parts: str) -> str:
    """Upper case, as BloodHound makes it: two that differ in case only would become one there."""
    return printable("|".join(("IIS-SPN", *map(_part, parts)))).upper()


def _part(text: str) -> str:
    """A part whose upper case is no other one's: \u00df would be SS, and a bar would end it."""
    key = fold(text)
    if key.isascii() and "|" not in key:
        return key
    return "".join([c if c != "|" and fold(c.upper()) == c else f"\\u{ord(c):04x}" for c in key])


def _spn_id(name: Spn) -> str:
    return _id("spn", name.key)


def _host_id(name: HostName) -> str:
    return _id("host", name.key)


def _application_id(server: str, site: str, path: str) -> str:
    return _id("application", server, site, path)


# -- nodes ---------------------------------------------------------------------------------------------------------


def _places(report: Report) -> Iterator[_Node]:
    yield _run(report)
    for server in report.servers:
        yield _server(server)
    for application in report.applications:
        yield _application(application)


def _run(report: Report) -> _Node:
    """What the graph rests on: an incomplete run shows no one free of faults."""
    summary = report.summary
    read = [] if summary is None else [f"{one.kind}: {source_told(one)}" for one in summary.read]
    clients = [] if summary is None else list(summary.clients)
    about: dict[str, _Value] = {
        "name": f"{report.tool.name} {report.started}",
        "tool": report.tool.name,
        "version": report.tool.version,
        "started": report.started,
        "complete": report.complete,
        "read": read,
        "clients": clients,
    }
    return _id("run", report.started), [RUN], about


def _server(server: Server) -> _Node:
    problems = [f"{problem.id}: {problem.message}" for problem in server.problems]
    about: dict[str, _Value] = {"dnsname": server.dns_name, "status": server.status, "problems": problems}
    return _id("server", server.name), [SERVER], {"name": server.name, **about}


def _application(application: Application) -> _Node:
    place = (application.server, application.site, application.path)
    about: dict[str, _Value] = {
        "server": application.server,
        "site": application.site,
        "path": application.path,
        "pool": application.pool,
        "negotiates": application.negotiates,
        "decryption": application.decryption,
    }
    return _application_id(*place), [APPLICATION], {"name": "/".join(place[:2]) + place[2].rstrip("/"), **about}


def _names(report: Report) -> Iterator[_Node]:
    hosts = {host.host: None for application in report.applications for host in application.hosts}
    hosts |= {requirement.spn.host: None for requirement in report.requirements}
    for host in hosts:
        yield _host_id(host), [HOST], {"name": host.text}
    outcomes = _grouped((requirement.spn, requirement.outcome) for requirement in report.requirements)
    findings = _grouped((found.spn, _named(found)) for found in report.findings if found.spn is not None)
    for name, ends in outcomes.items():
        about: dict[str, _Value] = {"outcomes": [*ends], "findings": [*findings.get(name, ())]}
        yield _spn_id(name), [SPN], {"name": name.text, **about}


def _named(found: Finding) -> str:
    return found.id if found.accepted is None else f"{found.id} (accepted)"


def _grouped(pairs: Iterable[tuple[Spn, str]]) -> Mapping[Spn, tuple[str, ...]]:
    """What is said of each name, each thing once."""
    found: dict[Spn, tuple[str, ...]] = {}
    for name, told in pairs:
        found[name] = _with(found.get(name, ()), told)
    return found


@cache
def _with(told: tuple[str, ...], more: str) -> tuple[str, ...]:
    """The same object for all that are told the same: a farm has 250,000 names."""
    return told if more in told else (*told, more)


class _Accounts:
    """The accounts that something points to, and the node of each."""

    def __init__(self, report: Report) -> None:
        self._known = {one.account: one for one in report.principals or ()}
        of_applications = chain.from_iterable(map(_decryptors, report.applications))
        of_requirements = chain.from_iterable(map(_of_requirement, report.requirements))
        self._named = dict.fromkeys(chain(of_applications, of_requirements))

    def node(self, account: AccountName) -> str:
        """Its SID, else its name."""
        known = self._known.get(account)
        return known.sid if known is not None and known.sid is not None else _id("account", str(account))

    def nodes(self) -> Iterator[_Node]:
        for account in {self.node(account): account for account in self._named}.values():
            yield self._node(account, self._known.get(account))

    def _node(self, account: AccountName, known: Principal | None) -> _Node:
        kind = _KINDS.get(known.kind or "") if known is not None else None
        if known is None or known.sid is None or kind is None:
            return self.node(account), [ACCOUNT], {"name": str(account)}
        return known.sid, [kind, BASE], {"name": _called(known), "iisspn_account": str(account)}


def _called(known: Principal) -> str | None:
    """As BloodHound calls it."""
    if known.kind == "computer" and known.dns_name is not None:
        return known.dns_name.upper()
    return f"{known.account.name}@{known.domain}".upper() if known.domain is not None else None


def _decryptors(application: Application) -> Iterator[AccountName]:
    deciders: tuple[Application | Place, ...] = (application, *application.places)
    for decider in deciders:
        if decider.decrypts_as is not None:
            yield decider.decrypts_as


def _of_requirement(requirement: Requirement) -> Iterator[AccountName]:
    if requirement.account is not None:
        yield requirement.account
    yield from _held_by(requirement)
    yield from requirement.answers or ()


def _held_by(requirement: Requirement) -> tuple[AccountName, ...]:
    return requirement.holders or ()


def _answered_by(requirement: Requirement) -> tuple[AccountName, ...]:
    """Those whom the KDC picks though they do not hold it."""
    holders = {*_held_by(requirement)}
    return tuple(account for account in requirement.answers or () if account not in holders)


# -- edges ---------------------------------------------------------------------------------------------------------


def _edges(report: Report, accounts: _Accounts) -> Iterator[_Edge]:
    run = _id("run", report.started)
    for server in report.servers:
        yield run, READ, _id("server", server.name), {"status": server.status}
    for application in report.applications:
        yield from _edges_of_application(application, accounts)
    asked: set[Spn] = set()
    for requirement in report.requirements:
        if requirement.spn not in asked:
            asked.add(requirement.spn)
            yield _host_id(requirement.spn.host), ASKS_FOR, _spn_id(requirement.spn), {}
        yield from _edges_of_requirement(requirement, accounts)


def _edges_of_application(application: Application, accounts: _Accounts) -> Iterator[_Edge]:
    node = _application_id(application.server, application.site, application.path)
    yield _id("server", application.server), HOSTS, node, {}
    for host in dict.fromkeys(each.host for each in application.hosts):
        yield _host_id(host), SERVES, node, {}
    for account in dict.fromkeys(_decryptors(application)):
        yield node, DECRYPTS_AS, accounts.node(account), {}


def _edges_of_requirement(requirement: Requirement, accounts: _Accounts) -> Iterator[_Edge]:
    node = _spn_id(requirement.spn)
    if requirement.account is not None:
        about: dict[str, _Value] = {"need": requirement.need, "outcome": requirement.outcome, "rule": requirement.rule}
        yield node, MUST_BE_ON, accounts.node(requirement.account), about
    for account in _held_by(requirement):
        yield node, HELD_BY, accounts.node(account), {}
    for account in _answered_by(requirement):
        yield node, ANSWERED_BY, accounts.node(account), {}
