"""How to repair what clients make of an alias: they ask for the name it leads to."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.actions import add, address_record
from agent.checks.case import Case
from agent.checks.holders import is_held, wrong_holders
from agent.checks.ways import Remedy, Way, unseen_nodes
from agent.model import Requirement
from agent.names import AccountName, HostName, Spn, http_spn
from agent.spn.clients import asked_port
from agent.spn.computer_names import Names


def are_aliases(case: Case, requirement: Requirement, typed: tuple[HostName, ...]) -> bool:
    """Whether aliases make clients ask for another name than these: a short name is none of its full one."""
    names = _names_at(case, requirement)
    return all(names.in_full(host) != requirement.spn.host for host in typed)


def _names_at(case: Case, requirement: Requirement) -> Names:
    return case.by_label[requirement.applications[0].server].names


def alias_remedy(case: Case, requirement: Requirement, account: AccountName, typed: tuple[HostName, ...]) -> Remedy:
    """An alias: an A record where the canonical name is a computer's own, else the canonical name's SPN as well."""
    of_server = _names_at(case, requirement)
    asked = tuple(dict.fromkeys(name for host in typed for name in _asked_then(case, requirement, host)))
    for name in asked:
        if case.demand(name).may_be_contested:
            return Remedy((), f"Several accounts decrypt behind {name.host}: settle that first.")
    for host in typed:
        if (why := unseen_nodes(case, host)) is not None:
            return Remedy((), why)
    wrong = {name: holders for name in asked if (holders := wrong_holders(case, name, account))}
    for name, holders in wrong.items():
        if not case.demand(name).is_on(account):  # else it has a finding of its own
            return Remedy((), f"With an A record clients ask for {name}, which is on {holders[0]}: settle that first.")
    full = dict.fromkeys(map(of_server.in_full, typed))
    records = [address_record(case, host, requirement.spn.host, _addresses(host, of_server)) for host in full]
    own = [add(case, name, account) for name in asked if name not in wrong and not is_held(case, name, account)]
    record = Way("clients then ask for the name as typed", (*records, *own))
    if http_spn(requirement.spn.host) in case.own_spns:
        return Remedy((record,))
    if requirement.outcome == "ntlm-fallback":
        return Remedy((Way("the alias keeps its CNAME", (add(case, requirement.spn, account),)), record))
    return Remedy((record,))


def _asked_then(case: Case, requirement: Requirement, typed: HostName) -> Iterator[Spn]:
    """What clients ask for once a name leads to its address without an alias: with each port where they add it."""
    yield http_spn(typed)
    full = _names_at(case, requirement).in_full(typed)
    for client in case.clients:
        host = typed if client.host.keeps_short else full
        yield http_spn(host)
        yield from (
            http_spn(host, asked) for port in _ports(case, requirement, typed) if (asked := asked_port(client, port))
        )


def _ports(case: Case, requirement: Requirement, host: HostName) -> tuple[int, ...]:
    """Where the sites behind a requirement answer a name."""
    reached = (case.by_label[place.server].reach[place.site] for place in requirement.applications)
    return tuple(
        dict.fromkeys(port for each in reached for name in each.names if name.host == host for port in name.ports)
    )


def _addresses(host: HostName, names: Names) -> tuple[str, ...]:
    """Where the alias leads today: the record in its place leads there too."""
    resolution = names.resolve(host)
    return resolution.addresses or () if resolution is not None else ()
