"""The checks, in the order of the table below: each takes the case and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agent.checks import accounts, configuration, front_ends, names, running, spns
from agent.checks.case import Case
from agent.model import Finding

Check = Callable[[Case], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    configuration.notices,
    configuration.refused,
    configuration.machine,
    configuration.providers,
    configuration.pools,
    configuration.decryption,
    running.identities,
    spns.outcomes,
    spns.winrm,
    spns.malformed,
    spns.stale,
    spns.principal_names,
    spns.directory_wide,
    accounts.required,
    accounts.further,
    accounts.superseded,
    accounts.managed,
    accounts.encryption,
    accounts.delegation,
    front_ends.front_ends,
    names.unmatchable,
    names.elsewhere,
    names.open_ended,
    names.stopped,
    names.certificates,
    names.loopback,
    names.headers,
    names.proxies,
)


def check(case: Case) -> Iterator[Finding]:
    """Every finding of every check, in the order of the table above."""
    for run in CHECKS:
        yield from run(case)
