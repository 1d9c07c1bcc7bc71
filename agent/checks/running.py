"""Pools that run as another account than is configured: what a change leaves until the pool is recycled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.checks.case import Case, evidence, finding
from agent.iis.effective import Pool
from agent.iis.snapshot import WorkerProcess
from agent.model import ApplicationRef, Finding
from agent.names import AccountName, Likeness, UserName, fold, printable, user_name
from agent.spn.identity import Surroundings, pool_identity
from agent.spn.require import ServerView

_BUILT_IN: Mapping[str, str] = {
    "system": "LocalSystem",
    "localsystem": "LocalSystem",
    "local service": "LocalService",
    "localservice": "LocalService",
    "network service": "NetworkService",
    "networkservice": "NetworkService",
}
"""The names below NT AUTHORITY, folded, and the identityType of each."""


def identities(case: Case) -> Iterator[Finding]:
    """Each pool with a worker process that runs, for certain, as another account than is configured."""
    for server in case.servers:
        if not server.machine.worker_processes:
            continue
        around = Surroundings(server.machine, case.domains, case.directory)
        for pool, at in _served(server):
            others = [worker for worker in _workers(server, pool) if _runs_otherwise(worker, pool, around)]
            if others:
                yield _differs(pool, at, others)


def _served(server: ServerView) -> Iterator[tuple[Pool, ApplicationRef]]:
    """Each pool that an application uses, with the first that does."""
    seen: set[str] = set()
    for site in server.configuration.sites:
        for application in site.applications:
            pool = application.pool
            if pool is not None and fold(pool.name) not in seen:
                seen.add(fold(pool.name))
                yield pool, ApplicationRef(server.label, site.name, application.path)


def _workers(server: ServerView, pool: Pool) -> Iterator[WorkerProcess]:
    workers = server.machine.worker_processes or ()
    return (worker for worker in workers if fold(worker.pool) == fold(pool.name))


def _differs(pool: Pool, at: ApplicationRef, others: list[WorkerProcess]) -> Finding:
    name, configured = printable(pool.name), printable(pool.user_name or pool.identity_type or "")
    running = " and as ".join(dict.fromkeys(printable(worker.account) for worker in others))
    processes = ", ".join(str(worker.pid) for worker in others)
    return finding(
        "running-identity-differs",
        f"the pool {name} runs as {running} (process {processes}), but {configured} is configured, as after a change "
        "without a recycle. What is said here of its applications holds once it is recycled",
        at=at,
        evidence=evidence(pool.origin, pool.text),
        fix=(f"Recycle the pool {name}: its next process runs as {configured}.",),
    )


# -- whether it is another account ---------------------------------------------------------------------------------


def _runs_otherwise(worker: WorkerProcess, pool: Pool, around: Surroundings) -> bool:
    running = user_name(worker.account, around.machine.known_name or "")
    if pool.identity_type == "SpecificUser":
        configured = user_name(pool.user_name, around.machine.known_name or "") if pool.user_name else None
        return configured is not None and _is_other_user(running, configured, pool, around)
    return pool.identity_type is not None and _is_other_kind(running, pool.identity_type, around)


def _is_other_kind(running: UserName, identity_type: str, around: Surroundings) -> bool:
    """Whether an account is none that IIS runs a built-in identity as.

    Windows says NT AUTHORITY in its own language: a domain that nobody knows is not known to be another one.
    """
    if running.form == "well-known":
        return _kind_of(running) not in {None, identity_type}
    if running.form == "local":
        return True
    own, domain = around.machine.netbios_domain, fold(running.domain)
    is_domain = bool(around.domains.placed(running.domain).dns) or (own is not None and fold(own) == domain)
    return running.form == "domain" and is_domain


def _kind_of(running: UserName) -> str | None:
    if fold(running.domain) == "iis apppool":
        return "ApplicationPoolIdentity"
    return _BUILT_IN.get(fold(running.name)) if fold(running.domain) == "nt authority" else None


def _is_other_user(running: UserName, configured: UserName, pool: Pool, around: Surroundings) -> bool:
    if configured.form == "well-known":
        kind = _kind_of(configured)
        return kind is not None and _is_other_kind(running, kind, around)
    if running.form == "well-known":
        return True
    known = pool_identity(pool, around)
    if known.known is not None:  # a directory says whose name this is, a UPN and a migrated account among them
        return _account(running, around).likeness(known.known.name) is Likeness.OTHER and not _same(running, configured)
    if configured.form == "upn":
        return False  # a UPN need not hold the sAMAccountName
    if running.form == configured.form == "domain":
        return _account(running, around).likeness(_account(configured, around)) is Likeness.OTHER
    is_told_apart = {running.form, configured.form} == {"local", "domain"} and around.machine.domain_controller is False
    return is_told_apart or fold(running.name) != fold(configured.name)


def _same(running: UserName, configured: UserName) -> bool:
    return (fold(running.domain), fold(running.name)) == (fold(configured.domain), fold(configured.name))


def _account(user: UserName, around: Surroundings) -> AccountName:
    placed = around.domains.placed(user.domain, around.machine.domain or "")
    return AccountName(around.domains.label(placed.dns) if "." in user.domain else user.domain, user.name, placed.dns)
