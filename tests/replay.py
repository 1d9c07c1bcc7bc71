"""The SPN steps of a plan carried out in a directory in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from agent.model import Step
from agent.names import AccountName, Spn
from agent.spn.directory import Directory


def applied(directory: Directory, steps: Iterable[Step]) -> Directory:
    """The directory after the SPN steps, in order. Raises ValueError where a step does not fit the state."""
    spns = {account.identity: list(account.spns) for account in directory.accounts}
    for step in steps:
        if not step.changes_spn:
            continue
        name, account = step.value
        held = spns[_identity(directory, account)]
        if (name in held) == step.is_add:
            raise ValueError(f"step {step.order} does not fit: {step.command}")
        if step.is_add:
            held.append(name)
        else:
            held.remove(name)
    return with_spns(directory, {identity: tuple(held) for identity, held in spns.items()})


def with_spns(directory: Directory, spns: Mapping[str, tuple[Spn, ...]]) -> Directory:
    """The same directory with other SPNs, given by account identity."""
    changed = tuple(replace(a, spns=spns[a.identity]) if a.identity in spns else a for a in directory.accounts)
    return replace(directory, accounts=changed)


def _identity(directory: Directory, name: AccountName) -> str:
    account = directory.account(name)
    if account is None:
        raise ValueError(f"{name} is not in the directory")
    return account.identity
