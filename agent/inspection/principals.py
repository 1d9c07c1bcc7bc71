"""What the directory says of the accounts that a report names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from agent.model import Application, Finding, Principal, Requirement
from agent.names import AccountName
from agent.spn.directory import Directory


def principals(
    directories: Iterable[Directory],
    applications: Iterable[Application],
    requirements: Iterable[Requirement],
    findings: Iterable[Finding],
) -> tuple[Principal, ...]:
    """One for each account that is named and known to a directory, in the order of their names."""
    known = list(directories)
    if not known:
        return ()
    named = dict.fromkeys(
        chain(
            chain.from_iterable(map(_of_application, applications)),
            chain.from_iterable(map(_of_requirement, requirements)),
            chain.from_iterable((finding.account, *finding.holders) for finding in findings),
        )
    )
    found = (_principal(name, known) for name in named if name is not None)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: str(one.account)))


def _of_application(application: Application) -> Iterator[AccountName | None]:
    yield application.pool_account
    yield application.decrypts_as
    yield from (place.decrypts_as for place in application.places)


def _of_requirement(requirement: Requirement) -> Iterator[AccountName | None]:
    yield requirement.account
    yield from requirement.holders or ()
    yield from requirement.answers or ()


def _principal(name: AccountName, directories: Iterable[Directory]) -> Principal | None:
    for directory in directories:
        account = directory.account(name)
        if account is not None:
            return Principal(
                account=name,
                kind=account.kind,
                sid=account.sid,
                domain=account.name.dns or None,
                dns_name=account.dns_host_name,
            )
    return None
