"""Who decrypts: the identity of a pool, resolved as far as what was read allows, and the decision it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from agent.iis.effective import Pool
from agent.iis.snapshot import Machine
from agent.model import Decryption, WhyNot, WindowsAuth
from agent.names import AccountName, UserName, fold, user_name
from agent.spn.directory import Account, Directory
from agent.spn.rules import Identity, NameKind, Rule, row

IdentityKind = Literal["machine", "account", "standalone dMSA", "local user", "LocalService", "unresolved"]

_IN_THE_TABLE: Mapping[IdentityKind, Identity] = {"machine": "machine account", "account": "service account"}
"""The table's word for an identity; any other is classified before the table where the pool would decrypt."""


class PoolIdentity(NamedTuple):
    """What a pool is on the network. `certain` is False where `account` is the likely answer, not a proven one.

    `known` is the account object where a directory holds it; `doubt` says what is open and what would settle it.
    """

    kind: IdentityKind
    account: AccountName | None = None
    known: Account | None = None
    certain: bool = True
    doubt: str = ""


MACHINE = PoolIdentity("machine")
NO_POOL = PoolIdentity("unresolved", certain=False, doubt="the application has no pool")

_WELL_KNOWN = {
    "local service": PoolIdentity("LocalService", doubt="LocalService has no network credentials of its own")
}


def netbios_domain(domain: str, machine: Machine, directory: Directory | None) -> str:
    """The NetBIOS name of a domain given in either form: crossRef, else machine.json, else the first label."""
    for known in directory.domains if directory is not None else ():
        if known.netbios and fold(domain) in {fold(known.dns_name), fold(known.netbios)}:
            return known.netbios
    if machine.netbios_domain and fold(domain) in {fold(machine.domain or ""), fold(machine.netbios_domain)}:
        return machine.netbios_domain
    return domain.partition(".")[0].upper() if "." in domain else domain


def pool_identity(pool: Pool | None, machine: Machine, directory: Directory | None) -> PoolIdentity:
    """Resolve a pool's identity type and user name (rules R1.4 to R1.10)."""
    if pool is None:
        return NO_POOL
    if pool.identity_type == "LocalService":
        return _WELL_KNOWN["local service"]
    if pool.identity_type != "SpecificUser":
        return (
            MACHINE if pool.identity_type else PoolIdentity("unresolved", certain=False, doubt="unknown identityType")
        )
    if not pool.user_name:
        return PoolIdentity("unresolved", certain=False, doubt="SpecificUser without a userName")
    user = user_name(pool.user_name, machine.name or "")
    if user.form == "well-known":
        return _WELL_KNOWN.get(fold(user.name), MACHINE)
    if user.form == "local" and not machine.domain_controller:
        return PoolIdentity("local user")
    return _domain_user(user, machine, directory)


def _domain_user(user: UserName, machine: Machine, directory: Directory | None) -> PoolIdentity:
    found = _look_up(user, machine, directory)
    if found is not None:
        return _held(found, directory)
    if user.form == "domain":
        return PoolIdentity("account", AccountName(netbios_domain(user.domain, machine, directory), user.name))
    if user.form == "upn":
        likely = AccountName(netbios_domain(user.domain, machine, directory), user.name)
        doubt = "a UPN need not hold the sAMAccountName: the directory settles it"
        return PoolIdentity("account", likely, certain=False, doubt=doubt)
    doubt = "a bare or local name: write DOMAIN\\user in applicationHost.config, or give the directory"
    return PoolIdentity("unresolved", certain=False, doubt=doubt)


def _look_up(user: UserName, machine: Machine, directory: Directory | None) -> Account | None:
    if directory is None:
        return None
    if user.form == "upn":
        return _by_upn(user, machine, directory)
    domain = user.domain if user.form == "domain" else machine.netbios_domain or ""
    return in_domain(directory, AccountName(netbios_domain(domain, machine, directory), user.name))


def in_domain(directory: Directory, name: AccountName) -> Account | None:
    """The account of this name; a setspn text knows a computer by its CN, with or without `$`."""
    for candidate in (*directory.named(name.name), *directory.named(name.name.removesuffix("$"))):
        if fold(candidate.name.domain) == fold(name.domain) and _may_be(candidate, name):
            return candidate
    return None


def _may_be(candidate: Account, name: AccountName) -> bool:
    return candidate.name == name or (candidate.kind == "unknown" and candidate.sid is None)


def _by_upn(user: UserName, machine: Machine, directory: Directory) -> Account | None:
    # the implicit UPN sAMAccountName@dns-domain works without a userPrincipalName (MS-ADTS 5.1.1.1.1)
    implicit = AccountName(netbios_domain(user.domain, machine, directory), user.name)
    return directory.with_upn(f"{user.name}@{user.domain}") or in_domain(directory, implicit)


def _held(account: Account, directory: Directory | None) -> PoolIdentity:
    successor = superseding(account, directory)
    if successor is not None:
        return PoolIdentity("account", successor.name, successor)
    if account.kind == "dMSA":
        doubt = "a standalone dMSA as a pool identity is not documented: test it"
        return PoolIdentity("standalone dMSA", account.name, account, certain=False, doubt=doubt)
    return PoolIdentity("account", account.name, account)


def superseding(account: Account, directory: Directory | None) -> Account | None:
    """The dMSA that took over an account, once its migration is complete (state 2, rule R1.10)."""
    if directory is None or account.superseded_state != 2 or account.superseded_by is None:
        return None
    return directory.at(account.superseded_by)


# -- the decision --------------------------------------------------------------------------------------------------


class Decision(NamedTuple):
    """Whose key opens the ticket. `account` None: nobody's, or nobody can say whose; `rule` None: classified before.

    `doubt` says why not, or what is open.
    """

    decryption: Decryption
    account: AccountName | None
    doubt: str = ""
    rule: Rule | None = None

    @property
    def rule_id(self) -> str | None:
        return self.rule.id if self.rule is not None else None


NOT_ASKED = Decision("none", None)
"""Clients are never asked for a Kerberos ticket."""

_NEGOTIATE = frozenset({"negotiate", "negotiate:kerberos"})
"""The providers, folded, that lead to a Kerberos ticket; Negotiate:PKU2U does not."""


def negotiate_place(providers: tuple[str, ...]) -> int | None:
    """Where in the list the first provider stands that leads to Kerberos (rule R9.1)."""
    return next((place for place, name in enumerate(providers) if fold(name) in _NEGOTIATE), None)


def why_not(settings: WindowsAuth | None, serves_http: bool) -> WhyNot | None:
    """Why clients are never asked for a Kerberos ticket, None where they are (rules R1.17, R9.1)."""
    if settings is None:
        return "refused"
    if not settings.enabled:
        return "disabled"
    if not settings.providers:
        return "no-provider"
    if negotiate_place(settings.providers) is None:
        others = any(fold(name).startswith("negotiate:") for name in settings.providers)
        return "pku2u-only" if others else "no-negotiate"
    return None if serves_http else "not-http"


def decide(settings: WindowsAuth, identity: PoolIdentity, machine: Machine, name: NameKind) -> Decision:
    """Who decrypts, where clients are asked for a ticket: as the table's row says, or classified before it (1.1)."""
    if not machine.joined:
        return Decision("impossible", None, "Kerberos needs a domain")
    rule = row(settings.kernel_mode, settings.pool_credentials, _IN_THE_TABLE.get(identity.kind), name)
    if rule is None:
        return _before_the_table(settings, identity, machine)
    if rule.decrypts == "computer":
        return Decision("computer", machine.account, rule=rule)
    return Decision("pool" if identity.certain else "uncertain", identity.account, identity.doubt, rule)


def _before_the_table(settings: WindowsAuth, identity: PoolIdentity, machine: Machine) -> Decision:
    """The pool would decrypt, and its identity is no kind that the article knows."""
    if identity.kind == "local user":
        return Decision("impossible", None, "a local user has no key in the domain")
    if identity.kind == "LocalService":
        # user mode: the sources say the computer's SPN works; with useAppPoolCredentials none says anything (R1.5)
        return Decision("uncertain", None if settings.kernel_mode else machine.account, identity.doubt)
    return Decision("uncertain", identity.account, identity.doubt)
