"""Who decrypts: the identity of a pool, resolved as far as what was read allows, and the decision it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from agent.iis.effective import Pool
from agent.iis.snapshot import Machine
from agent.model import Decryption, WhyNot, WindowsAuth
from agent.names import AccountName, UserName, computer_account, fold, folded, user_name
from agent.spn.directory import Account, Directory
from agent.spn.domains import Domains
from agent.spn.rules import Identity, NameKind, Rule, row

IdentityKind = Literal["machine", "account", "standalone dMSA", "local user", "LocalService", "unresolved"]

_IN_THE_TABLE: Mapping[IdentityKind, Identity] = {"machine": "machine account", "account": "service account"}
"""The table's word for an identity; any other is classified before the table where the pool would decrypt."""


class PoolIdentity(NamedTuple):
    """What a pool is on the network. `certain` is False where `account` is the likely answer, not a proven one.

    `known` is the account object where a directory holds it; `doubt` says what is open and what would settle it;
    `provided` what was taken for granted, such as "NORD is nord.example".
    """

    kind: IdentityKind
    account: AccountName | None = None
    known: Account | None = None
    certain: bool = True
    doubt: str = ""
    provided: str = ""


MACHINE = PoolIdentity("machine")
UNKNOWN_ROLE = PoolIdentity(
    "unresolved",
    certain=False,
    doubt="a local user, or an account of the domain where this is a domain controller: machine.json says which",
)
NO_POOL = PoolIdentity("unresolved", certain=False, doubt="the application has no pool")

_WELL_KNOWN = {
    "local service": PoolIdentity("LocalService", doubt="LocalService has no network credentials of its own")
}


class Surroundings(NamedTuple):
    """What a pool's identity is looked up in: the machine it runs on, the domains of the run, and its directory."""

    machine: Machine
    domains: Domains
    directory: Directory | None


class Computer(NamedTuple):
    """The computer that decrypts: whether it is in a domain, and its account; None where nobody said its name.

    `further` are the accounts whose keys it has besides its own; None where it may have some that nobody told of.
    """

    joined: bool
    account: AccountName | None
    further: tuple[AccountName, ...] | None = ()


def further_accounts(machine: Machine, is_exchange: bool, domains: Domains) -> tuple[AccountName, ...] | None:
    """The accounts whose keys a computer has besides its own (rule R15.1).

    Exchange gives those of its Alternate Service Account to the Kerberos package of the system (KB 2688772), which no
    file of IIS shows.
    """
    given = machine.additional_kerberos_accounts
    if given is None:
        return None if is_exchange else ()
    names = (text.partition("\\")[::2] for text in given)
    return tuple(AccountName(label, name, domains.placed(label, machine.domain or "").dns) for label, name in names)


def computer(machine: Machine, domains: Domains) -> AccountName | None:
    """The machine's computer account; None where its name or its domain is not known."""
    name = machine.known_name
    if name is None or not machine.joined:
        return None
    if machine.domain:
        return computer_account(domains.label(machine.domain), name, machine.domain)
    if machine.netbios_domain:
        return computer_account(machine.netbios_domain, name, domains.placed(machine.netbios_domain).dns)
    return None


def pool_identity(pool: Pool | None, around: Surroundings) -> PoolIdentity:
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
    user = user_name(pool.user_name, around.machine.known_name or "")
    if user.form == "well-known":
        return _WELL_KNOWN.get(fold(user.name), MACHINE)
    if user.form == "local" and not around.machine.domain_controller:
        # `.\svc` is an account of the domain on a controller, which has no local users
        return PoolIdentity("local user") if around.machine.domain_controller is False else UNKNOWN_ROLE
    return _domain_user(user, around)


class Identities:
    """What the pools of one machine are: that follows from type and user name, and many pools have the same."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._known: dict[tuple[str | None, str], PoolIdentity] = {}

    def of(self, pool: Pool | None) -> PoolIdentity:
        """The identity of one pool."""
        if pool is None:
            return NO_POOL
        key = (pool.identity_type, pool.user_name)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = pool_identity(pool, self._around)
        return found


def _domain_user(user: UserName, around: Surroundings) -> PoolIdentity:
    if user.form == "upn":
        return _user_principal(user, around)
    if user.form == "domain":
        placed = around.domains.placed(user.domain, around.machine.domain or "")
        label = around.domains.label(placed.dns) if "." in user.domain else user.domain
        return _looked_up(AccountName(label, user.name, placed.dns), around, placed.provided)
    home = computer(around.machine, around.domains)
    if home is not None and around.directory is not None:
        found = around.directory.account(AccountName(home.domain, user.name, home.dns))
        if found is not None:
            return _held(found, around.directory)
    doubt = "a bare or local name: write DOMAIN\\user in applicationHost.config, or give the directory"
    return PoolIdentity("unresolved", certain=False, doubt=doubt)


def _looked_up(name: AccountName, around: Surroundings, provided: str) -> PoolIdentity:
    found = around.directory.account(name) if around.directory is not None else None
    identity = _held(found, around.directory) if found is not None else PoolIdentity("account", name)
    return identity._replace(provided=provided)


def _user_principal(user: UserName, around: Surroundings) -> PoolIdentity:
    # the implicit UPN sAMAccountName@dns-domain works without a userPrincipalName (MS-ADTS 5.1.1.1.1)
    dns = around.domains.placed(user.domain).dns if "." not in user.domain else fold(user.domain)
    likely = AccountName(around.domains.label(dns or user.domain), user.name, dns)
    if around.directory is not None:
        found = around.directory.with_upn(f"{user.name}@{user.domain}") or around.directory.account(likely)
        if found is not None:
            return _held(found, around.directory)
    doubt = "a UPN need not hold the sAMAccountName: the directory settles it"
    return PoolIdentity("account", likely, certain=False, doubt=doubt)


def _held(account: Account, directory: Directory | None) -> PoolIdentity:
    successor = superseding(account, directory)
    if successor is not None:
        return PoolIdentity("account", successor.name, successor)
    if account.superseded_state == 2:
        doubt = "the account was migrated to a dMSA that the directory does not show: give an export with it"
        return PoolIdentity("account", account.name, account, certain=False, doubt=doubt)
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

    `doubt` says why not, or what is open; `provided` what the account's name takes for granted. A computer that nobody
    named decrypts with an account that is None. `is_open`: something that nobody looked at may change all of it.
    `further`: whose keys open it too, None where that is not known.
    """

    decryption: Decryption
    account: AccountName | None
    doubt: str = ""
    rule: Rule | None = None
    provided: str = ""
    is_open: bool = False
    further: tuple[AccountName, ...] | None = ()

    @property
    def rule_id(self) -> str | None:
        return self.rule.id if self.rule is not None else None

    def doubted(self, doubt: str) -> Decision:
        """The same, where something that was not looked at may change it; without a doubt, it stays."""
        if not doubt or self.decryption in {"impossible", "none"}:
            return self
        first = self.doubt if self.decryption == "uncertain" else doubt
        return self._replace(decryption="uncertain", doubt=first, is_open=True)


NOT_ASKED = Decision("none", None)
"""Clients are never asked for a Kerberos ticket."""

_NEGOTIATE = frozenset({"negotiate", "negotiate:kerberos"})
"""The providers, folded, that lead to a Kerberos ticket; Negotiate:PKU2U does not."""


def negotiate_place(providers: tuple[str, ...]) -> int | None:
    """Where in the list the first provider stands that leads to Kerberos (rule R9.1)."""
    return next((place for place, name in enumerate(folded(providers)) if name in _NEGOTIATE), None)


def why_not(settings: WindowsAuth | None, serves_http: bool) -> WhyNot | None:
    """Why clients are never asked for a Kerberos ticket, None where they are (rules R1.17, R9.1)."""
    if settings is None:
        return "refused"
    if not settings.enabled:
        return "disabled"
    if not settings.providers:
        return "no-provider"
    if negotiate_place(settings.providers) is None:
        others = any(name.startswith("negotiate:") for name in folded(settings.providers))
        return "pku2u-only" if others else "no-negotiate"
    return None if serves_http else "not-http"


def excludes_kernel_mode(settings: WindowsAuth) -> bool:
    """Whether kernel mode is on beside a provider that must not be used with it: what happens then no document says
    (rule R9.2).
    """
    return settings.kernel_mode and "negotiate:kerberos" in folded(settings.providers)


NOT_IN_KERNEL_MODE = "the provider Negotiate:Kerberos cannot be used with kernel mode, which is on"
UNKNOWN_COMPUTER = "the server's name or its domain is not known"


def decide(settings: WindowsAuth, identity: PoolIdentity, host: Computer, name: NameKind) -> Decision:
    """Who decrypts, where clients are asked for a ticket: as the table's row says, or classified before it (1.1)."""
    if not host.joined:
        return Decision("impossible", None, "Kerberos needs a domain")
    if excludes_kernel_mode(settings):
        return Decision("uncertain", None, NOT_IN_KERNEL_MODE)
    rule = row(settings.kernel_mode, settings.pool_credentials, _IN_THE_TABLE.get(identity.kind), name)
    if rule is None:
        return _before_the_table(settings, identity, host)
    if rule.decrypts == "computer":
        doubt = "" if host.account else UNKNOWN_COMPUTER
        return Decision("computer", host.account, doubt, rule, further=host.further)
    kind: Decryption = "pool" if identity.certain else "uncertain"
    return Decision(kind, identity.account, identity.doubt, rule, identity.provided)


def _before_the_table(settings: WindowsAuth, identity: PoolIdentity, host: Computer) -> Decision:
    """The pool would decrypt, and its identity is no kind that the article knows."""
    if identity.kind == "local user":
        return Decision("impossible", None, "a local user has no key in the domain")
    if identity.kind == "LocalService":
        # user mode: the sources say the computer's SPN works; with useAppPoolCredentials none says anything (R1.5)
        return Decision("uncertain", None if settings.kernel_mode else host.account, identity.doubt)
    return Decision("uncertain", identity.account, identity.doubt)
