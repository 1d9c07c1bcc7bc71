"""The right uses of what may not be known, beside `mistakes.py`: mypy has nothing to say."""

from __future__ import annotations

from collections.abc import Iterator

from agent.checks.case import Case
from agent.iis.snapshot import Machine
from agent.names import AccountName, Guess, HostName, Likeness, Spn, fold, netbios_name
from agent.spn.directory import Account, Directory
from agent.spn.domains import Domains
from agent.spn.identity import computer
from agent.spn.require import ServerView


def show(account: AccountName, machine: Machine) -> str:
    return f"{account.domain}\\{account.name} on {machine.name or 'a server that nobody named'}"


def is_guessed(account: AccountName) -> bool:
    return isinstance(account.domain, Guess)


def same_domain(one: AccountName, other: AccountName) -> bool:
    return one.domain_likeness(other) is Likeness.SAME


def known_to_be_others(directory: Directory, name: Spn, account: AccountName) -> list[Account]:
    return [holder for holder in directory.seen(name) if directory.likeness(holder, account) is Likeness.OTHER]


def known_label(domains: Domains, dns: str) -> str | None:
    label = domains.label(dns)
    return None if isinstance(label, Guess) else fold(label)


def short_form(machine: Machine) -> str | None:
    return netbios_name(machine.known_name) if machine.known_name is not None else None


def own_names(machine: Machine) -> list[HostName]:
    return [host for host in (machine.short_name, machine.full_name) if host is not None]


def holders(directory: Directory, name: Spn, near: AccountName) -> Iterator[str]:
    found = directory.holders(name, near)
    if found is None:
        yield "nobody looked"
    elif not found:
        yield "nobody"
    else:
        yield from (str(account.name) for account in found)


def is_inspected(case: Case, server: ServerView) -> bool:
    return server.account is not None and case.is_inspected(server.account)


def computer_name(machine: Machine, domains: Domains) -> str:
    account = computer(machine, domains)
    return "not known" if account is None else account.name
