"""What the directory must be asked: SPNs that clients ask for, typed and canonical, and the accounts of pools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agent.iis.effective import Pool
from agent.iis.snapshot import Machine
from agent.names import HostName, Spn, computer_account, fold, http_spn, spn, user_name
from agent.spn.clients import Client
from agent.spn.computer_names import Delegate, Names
from agent.spn.directory import Question
from agent.spn.needs import Asking, spn_hosts
from agent.spn.require import ServerView


class Typed(NamedTuple):
    """A name with the port that somebody types into a client, whether or not a binding has it."""

    host: HostName
    port: int


def question(
    servers: Sequence[ServerView],
    clients: Sequence[Client],
    typed: Sequence[Typed] = (),
    named: Sequence[str] = (),
) -> Question:
    """Everything the directory must be asked for these servers: HTTP/ and HOST/, short and full, and the accounts.

    `named` are accounts that somebody named, in any form.
    """
    accounts = {fold(user_name(text, "").name) for text in named}
    domains: dict[str, str] = {}
    for server in servers:
        if server.machine.domain and server.machine.netbios_domain:
            domains.setdefault(fold(server.machine.domain), server.machine.netbios_domain)
        if server.machine.known_name is not None:
            accounts.add(fold(computer_account("", server.machine.known_name).name))
        else:  # whose name a host header may be
            accounts.update(fold(computer_account("", label).name) for label in _labels(server))
        for pool in server.configuration.pools.values():
            accounts.update(_account_texts(pool, server.machine))
    accounts.update(fold(delegate.account.name) for delegate in _delegates(servers))
    names = frozenset(asked_names(servers, clients, typed))
    return Question(spns=names, account_names=frozenset(accounts), netbios_domains=domains)


def asked_names(servers: Sequence[ServerView], clients: Sequence[Client], typed: Sequence[Typed]) -> Iterator[Spn]:
    """The names in the question, one after the other: those of many servers fill more memory than the servers."""
    for server in servers:
        yield from _asked_names(server, clients)
        yield from _asked_for(typed, server.names, clients)
    for delegate in _delegates(servers):
        yield from (delegate.spn, delegate.spn.with_service("HOST"))


def _delegates(servers: Sequence[ServerView]) -> set[Delegate]:
    return {one.delegate for server in servers for one in server.names.farm if one.delegate is not None}


def _labels(server: ServerView) -> set[str]:
    """The first labels of the names that a server answers."""
    return {name.host.first_label.key for reached in server.reach.values() for name in reached.names}


def _asked_names(server: ServerView, clients: Sequence[Client]) -> Iterator[Spn]:
    yield from _both_services(server.names.own)
    asking = Asking(server.names, clients)
    for reached in server.reach.values():
        needs = asking.needs(reached)
        yield from _both_services(need.host for need in needs)
        ports = {(name.host, port) for name in reached.names for port in name.ports}
        for host, port in ports | {(need.host, need.port) for need in needs if need.port is not None}:
            name = http_spn(host, port)
            yield from (name, name.with_service("HOST"))


def _asked_for(typed: Iterable[Typed], names: Names, clients: Sequence[Client]) -> Iterator[Spn]:
    for host, port in typed:
        asked = {one for client in clients for one in spn_hosts(client, host, names)}
        yield from _both_services(asked | {host})
        for one in asked | {host}:
            name = http_spn(one, port)
            yield from (name, name.with_service("HOST"))


def _both_services(hosts: Iterable[HostName]) -> Iterator[Spn]:
    named = frozenset(hosts)
    for host in named.union(host.first_label for host in named if not host.is_address):
        yield http_spn(host)
        yield spn(f"HOST/{host.spn_text}")


def _account_texts(pool: Pool, machine: Machine) -> Iterator[str]:
    if pool.identity_type == "SpecificUser" and pool.user_name:
        user = user_name(pool.user_name, machine.known_name or "")
        if user.form not in {"well-known", "local"} or machine.domain_controller:
            yield fold(user.name)
            if user.form == "upn":
                yield fold(f"{user.name}@{user.domain}")
