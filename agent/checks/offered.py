"""What clients would get from an application that asks for NTLM only, if it offered Negotiate too."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agent.checks.case import Case
from agent.model import Application, Requirement, WindowsAuth
from agent.names import http_spn
from agent.spn.identity import NO_POOL, decide
from agent.spn.needs import Asking
from agent.spn.require import Wanted
from agent.spn.verdict import judge

FAILS = frozenset({"modified", "duplicate", "impossible"})


def with_negotiate(case: Case, application: Application, settings: WindowsAuth) -> tuple[str, ...]:
    """How to offer it so that nobody who gets in today is kept out: a ticket that cannot be read is worse than NTLM."""
    wanted = list(_requirements(case, application, replace(settings, providers=("Negotiate", *settings.providers))))
    add = "Add the provider Negotiate before NTLM."
    for requirement in wanted:
        if requirement.outcome in FAILS:
            holder = " and ".join(map(str, requirement.answers or ())) or "nobody"
            who = requirement.account or "an account of the domain"
            return (
                f"Leave it at NTLM until {requirement.spn} leads to {who} alone (now: {holder}): with Negotiate "
                "clients would get three prompts and 401.",
                f"Then: {add}",
            )
    for requirement in wanted:
        if requirement.outcome in {"uncertain", "unchecked"}:
            return (f"See first who holds {requirement.spn}, and who decrypts: else users may get 401.", f"Then: {add}")
    return (add,)


def _requirements(case: Case, application: Application, settings: WindowsAuth) -> Iterator[Requirement]:
    server = case.by_label[application.server]
    identity = case.identity_of(application) or NO_POOL
    for need in Asking(server.names, case.clients).needs(server.reach[application.site]):
        if not need.optional and need.asked_by:
            decision = decide(settings, identity, server.computer, server.names.kind_of(need.host)).doubted(need.doubt)
            name = http_spn(need.host, need.port)
            wanted = Wanted(name, decision.account, "explicit", None, decision, (), need.asked_by)
            yield judge(wanted, case.directory, case.service)
