"""What a directory says, in memory: who holds an SPN, whom the KDC would pick, what an account is.

Every source (LDIF, setspn text, live LDAP) ends in one `Directory`; nothing here asks a network. The question is
always "who holds this SPN?", never "does X hold it?".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple

from msgspec import Struct, field

from agent.model import PrincipalKind, Problem, SourceRead
from agent.names import AccountName, Likeness, Spn, fold

AccountKind = Literal["user", "computer", "gMSA", "sMSA", "dMSA", "unknown"]

_PRINCIPALS: Mapping[AccountKind, PrincipalKind | None] = {
    "user": "user",
    "computer": "computer",
    "gMSA": "managed",
    "sMSA": "managed",
    "dMSA": "managed",
    "unknown": None,
}

# userAccountControl bits (MS-ADTS 2.2.16)
ACCOUNTDISABLE = 0x2
SERVER_TRUST_ACCOUNT = 0x2000
TRUSTED_FOR_DELEGATION = 0x80000
NOT_DELEGATED = 0x100000
TRUSTED_TO_AUTH_FOR_DELEGATION = 0x1000000
PARTIAL_SECRETS_ACCOUNT = 0x4000000

# RIDs of the groups of which one is a computer's primary group (MS-SAMR 2.2.1.14)
DOMAIN_COMPUTERS, DOMAIN_CONTROLLERS, READ_ONLY_CONTROLLERS = 515, 516, 521

_DOMAIN_PARTS = re.compile(r",(dc=[^,]+(?:,dc=[^,]+)*)\Z")
"""The end of a folded distinguished name that names its domain."""

DEFAULT_MAPPED_TO_HOST = frozenset(
    {
        *("alerter", "appmgmt", "cisvc", "clipsrv", "browser", "dhcp", "dnscache", "replicator", "eventlog"),
        *("eventsystem", "policyagent", "oakley", "dmserver", "dns", "mcsvc", "fax", "msiserver", "ias", "messenger"),
        *("netlogon", "netman", "netdde", "netddedsm", "nmagent", "plugplay", "protectedstorage", "rasman"),
        *("rpclocator", "rpc", "rpcss", "remoteaccess", "rsvp", "samss", "scardsvr", "scesrv", "seclogon", "scm"),
        *("dcom", "cifs", "spooler", "snmp", "schedule", "tapisrv", "trksvr", "trkwks", "ups", "time", "wins"),
        *("www", "http", "w3svc", "iisadmin", "msdtc"),
    }
)
"""Service classes that the default sPNMappings leads to `HOST/` (rule R4.2)."""


class Account(Struct, frozen=True, kw_only=True):
    """One account object. A field is None when the source does not carry the attribute behind it.

    `identity` is what two sources agree on: the SID, else the distinguished name, folded.
    """

    name: AccountName
    dn: str
    kind: AccountKind = "unknown"
    sid: str | None = None
    spns: tuple[Spn, ...] = ()
    upn: str | None = None
    dns_host_name: str | None = None
    additional_dns_host_names: tuple[str, ...] = ()
    user_account_control: int | None = None
    password_set: datetime | None = None
    key_version: int | None = None
    """How often the password was set (msDS-KeyVersionNumber): the kvno of a ticket that is issued now."""
    last_logon: datetime | None = None
    encryption_types: int | None = None
    superseded_state: int | None = None
    superseded_by: str | None = None
    password_readers: frozenset[str] | None = None
    delegates_to: tuple[str, ...] | None = None
    resource_delegation: bool | None = None
    member_of: tuple[str, ...] = ()
    primary_group: int | None = None

    @property
    def identity(self) -> str:
        return self.sid or fold(self.dn)

    @property
    def principal(self) -> PrincipalKind | None:
        """What a command must know of the kind: `setspn` has -U and -C, PowerShell a cmdlet for each."""
        return _PRINCIPALS[self.kind]

    @property
    def is_named_by_cn(self) -> bool:
        """Whether only its distinguished name is known, as setspn prints it: its name is the CN then."""
        return self.kind == "unknown" and self.sid is None

    @property
    def disabled(self) -> bool | None:
        return self._has(ACCOUNTDISABLE)

    @property
    def is_controller(self) -> bool | None:
        """Whether it is a domain controller's."""
        return self._has(SERVER_TRUST_ACCOUNT)

    @property
    def unconstrained(self) -> bool | None:
        """Trusted for delegation to any service; None for a domain controller, which always is."""
        return None if self.is_controller else self._has(TRUSTED_FOR_DELEGATION)

    @property
    def primary_group_sid(self) -> str | None:
        """A computer's primary group, which memberOf never names; None for an account without a known SID."""
        if self.sid is None:
            return None
        usual = DOMAIN_CONTROLLERS if self.is_controller else DOMAIN_COMPUTERS
        usual = READ_ONLY_CONTROLLERS if self._has(PARTIAL_SECRETS_ACCOUNT) else usual
        return f"{self.sid.rpartition('-')[0]}-{self.primary_group or usual}"

    def _has(self, bit: int) -> bool | None:
        return None if self.user_account_control is None else bool(self.user_account_control & bit)


class Domain(Struct, frozen=True, kw_only=True):
    """A domain as the source names it; `covered`: the source held all of it, so that absence proves something.

    `netbios` is None where the source does not say it: what the DNS name suggests is a guess.
    """

    dns_name: str
    netbios: str | None
    dn: str
    covered: bool
    forest: str | None = None
    """The folded DNS name of the forest's root, where the source says it (configuration naming context)."""


class ForestSettings(NamedTuple):
    """What the configuration of a forest says: service classes that lead to `HOST/`, and dSHeuristics."""

    mapped_to_host: frozenset[str] = DEFAULT_MAPPED_TO_HOST
    ds_heuristics: str | None = None


class Scope(NamedTuple):
    """Where somebody searched for one SPN: a domain, or the forest of that root, by folded DNS name."""

    root: str
    is_forest: bool

    def includes(self, domain: str) -> bool:
        """Whether a domain was searched. One of the forest that does not stand below its root is not known as such."""
        return domain == self.root or (self.is_forest and domain.endswith(f".{self.root}"))


class Memberships(Struct, frozen=True, kw_only=True):
    """The groups of an account, those within groups and the primary one too, as far as the source tells.

    `open` are groups that the source does not describe, by DN, the primary one by its SID: whose members they are
    is not known.
    """

    sids: frozenset[str]
    open: frozenset[str]


class Question(Struct, frozen=True, kw_only=True):
    """What the analysis needs to know: a source keeps what answers it and lets the rest pass by.

    `spns` hold both `HTTP/` and `HOST/` forms; `accounts` are the texts by which pools and computers name theirs.
    """

    spns: frozenset[Spn] = frozenset()
    account_names: frozenset[str] = frozenset()
    """Folded sAMAccountNames (computers with their `$`), and the folded UPNs, of accounts to fetch."""
    netbios_domains: Mapping[str, str] = field(default_factory=dict)
    """NetBIOS names by folded DNS domain name, as the servers say; a crossRef of the directory counts more."""

    def wants(self, account: Account) -> bool:
        """Whether an account object answers any part of the question."""
        return (
            fold(account.name.name) in self.account_names
            or (account.upn is not None and fold(account.upn) in self.account_names)
            or any(s in self.spns for s in account.spns)
        )


class Directory(Struct, frozen=True, kw_only=True, dict=True):
    """The directory as one or several sources show it.

    `exported` holds the folded names of the attributes that occurred in any entry: what never occurs was not
    exported and is not judged. `aes_since` is when the domain got AES keys: whenCreated of the group with RID 521.
    `asked` are the keys of the names in the question: a holder of any other need not have been kept.
    """

    source: str
    asked: frozenset[str] = frozenset()
    accounts: tuple[Account, ...] = ()
    domains: tuple[Domain, ...] = ()
    exported: frozenset[str] = frozenset()
    mapped_to_host: frozenset[str] = DEFAULT_MAPPED_TO_HOST
    ds_heuristics: str | None = None
    aes_since: datetime | None = None
    duplicates_elsewhere: int = 0
    settings: Mapping[str, ForestSettings] = field(default_factory=dict)
    """By folded DNS name of the forest's root, where several forests were read."""
    aes_by_domain: Mapping[str, datetime] = field(default_factory=dict)
    duplicates_by_forest: Mapping[str, int] = field(default_factory=dict)
    held_elsewhere: Mapping[Spn, frozenset[str]] = field(default_factory=dict)
    """Of the SPNs that delegation entries point to: those that somebody answers for, with the folded DNS names of the
    domains of those accounts."""
    group_sids: Mapping[str, str] = field(default_factory=dict)
    """SIDs of groups by folded DN: of those that kept computers stand in, also through other groups, and of those that
    may read the password of a kept gMSA."""
    group_member_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The DNs of the groups that a group of `group_sids` stands in, by its folded DN."""
    problems: tuple[Problem, ...] = ()
    read: tuple[SourceRead, ...] = ()
    """Each file and each server behind it."""
    absent: Mapping[Spn, frozenset[Scope]] = field(default_factory=dict)
    """Where a search for an SPN found no account, though no domain there was read whole."""

    @cached_property
    def _by_spn(self) -> dict[Spn, tuple[Account, ...]]:
        index: dict[Spn, list[Account]] = {}
        for account in self.accounts:
            for name in dict.fromkeys(account.spns):
                index.setdefault(name, []).append(account)
        return {name: tuple(accounts) for name, accounts in index.items()}

    @cached_property
    def _by_name(self) -> dict[str, tuple[Account, ...]]:
        index: dict[str, list[Account]] = {}
        for account in self.accounts:
            index.setdefault(fold(account.name.name), []).append(account)
        return {name: tuple(accounts) for name, accounts in index.items()}

    def seen(self, name: Spn) -> tuple[Account, ...]:
        """The accounts seen to hold exactly this name, without case; none may also mean that nobody looked."""
        return self._by_spn.get(name, ())

    @cached_property
    def _as_stored(self) -> dict[tuple[str, Spn], Spn]:
        return {(account.identity, name): name for account in self.accounts for name in reversed(account.spns)}

    def as_stored(self, name: Spn, account: AccountName) -> Spn:
        """The value in the letters in which an account has it; as it is given where it has none."""
        known = self.account(account)
        return name if known is None else self._as_stored.get((known.identity, name), name)

    def holders(self, name: Spn, near: AccountName | None) -> tuple[Account, ...] | None:
        """Who holds exactly this name, as far as an account `near` it is concerned; None where that is not known."""
        return self.seen(name) or (() if self.proves_absence(name, near) else None)

    def answers(self, name: Spn, near: AccountName | None) -> tuple[Account, ...] | None:
        """Whom the KDC would pick (MS-DRSR 4.1.4.2.14): the exact holders; only without one, those of `HOST/`."""
        exact = self.holders(name, near)
        if exact or exact is None or name.service not in self.mapped_to_host:
            return exact
        return self.holders(name.with_service("HOST"), near)

    def proves_absence(self, name: Spn, near: AccountName | None) -> bool:
        """Whether "nobody holds it" can be said: it was asked about, and the domain of the account was read whole.

        Instead of that, it may have been searched for there.
        """
        if not self.is_complete or name.key not in self.asked:
            return False
        searched = self.absent.get(name, frozenset())
        if near is None:
            return bool(searched) or any(domain.covered for domain in self.domains)
        return self.covers(near) or any(scope.includes(near.dns) for scope in searched)

    # -- accounts by name --------------------------------------------------------------------------------------

    def account(self, name: AccountName) -> Account | None:
        """The account of this name; a setspn text knows a computer by its CN, with or without `$`."""
        for candidate in (*self.named(name.name), *self.named(name.name.removesuffix("$"))):
            if candidate.name.domain_likeness(name) is Likeness.SAME and (
                candidate.name == name or candidate.is_named_by_cn
            ):
                return candidate
        return None

    def likeness(self, holder: Account, name: AccountName) -> Likeness:
        """Whether a holder is the account of this name: by SID or DN; by CN where a setspn text names only that."""
        known = self.account(name)
        if known is not None:
            return Likeness.SAME if known.identity == holder.identity else Likeness.OTHER
        names = {fold(name.name)} | ({fold(name.name.removesuffix("$"))} if holder.is_named_by_cn else set())
        return holder.name.domain_likeness(name) if fold(holder.name.name) in names else Likeness.OTHER

    def named(self, sam_account_name: str) -> tuple[Account, ...]:
        """The accounts of this sAMAccountName in whatever domain."""
        return self._by_name.get(fold(sam_account_name), ())

    @cached_property
    def _by_upn(self) -> dict[str, Account]:
        return {fold(account.upn): account for account in self.accounts if account.upn is not None}

    @cached_property
    def _by_dn(self) -> dict[str, Account]:
        return {fold(account.dn): account for account in self.accounts}

    def with_upn(self, text: str) -> Account | None:
        """The account whose userPrincipalName is this text."""
        return self._by_upn.get(fold(text))

    def at(self, dn: str) -> Account | None:
        """The account with this distinguished name."""
        return self._by_dn.get(fold(dn))

    def domain_at(self, dn: str) -> Domain | None:
        """The domain that an entry stands in, where the source knows it; never a domain above."""
        parts = _DOMAIN_PARTS.search(fold(dn))
        return next((one for one in self.domains if parts is not None and parts[1] == fold(one.dn)), None)

    def memberships(self, account: Account) -> Memberships:
        """All groups of an account. A circle of groups, which a directory allows, is walked once."""
        waiting = [fold(dn) for dn in account.member_of]
        found: set[str] = set()
        open_: set[str] = set()
        if account.primary_group_sid is not None:
            found.add(account.primary_group_sid)
            dn = self._group_with_sid.get(account.primary_group_sid)
            waiting += [dn] if dn is not None else []
            open_ |= {account.primary_group_sid} if dn is None else set()
        seen: set[str] = set()
        while waiting:
            dn = waiting.pop()
            if dn in seen:
                continue
            seen.add(dn)
            if dn in self.group_sids:
                found.add(self.group_sids[dn])
                waiting += map(fold, self.group_member_of.get(dn, ()))
            else:
                open_.add(dn)
        return Memberships(sids=frozenset(found), open=frozenset(open_))

    @cached_property
    def _group_with_sid(self) -> dict[str, str]:
        return {sid: dn for dn, sid in self.group_sids.items()}

    def covers(self, name: AccountName) -> bool:
        """Whether all of an account's domain was read, so that absence from it proves something."""
        return any(domain.covered and self._is_of(name, domain) for domain in self.domains)

    @staticmethod
    def _is_of(name: AccountName, domain: Domain) -> bool:
        return name.domain_likeness(AccountName(domain.netbios or "", "", fold(domain.dns_name))) is Likeness.SAME

    def namesakes(self, name: AccountName) -> tuple[Account, ...]:
        """The accounts of the same sAMAccountName of which it is not known whether they are this one."""
        return tuple(one for one in self.named(name.name) if one.name.likeness(name) is Likeness.UNKNOWN)

    @property
    def is_complete(self) -> bool:
        """Whether it was read whole; a directory that was not is `directory-incomplete`."""
        return not self.problems

    @property
    def checks_off(self) -> int:
        """The checks of uniqueness that controllers leave out: 1 of UPNs, 2 of SPNs, 4 of aliases of `HOST/`.

        The 21st character of dSHeuristics says it (KB5008382).
        """
        digit = (self.ds_heuristics or "")[20:21]
        return int(digit) if digit.isdecimal() else 0

    def exports(self, attribute: str) -> bool:
        """Whether any entry carried the attribute: one that none carries was not exported and is not judged."""
        return fold(attribute) in self.exported


AskDirectory = Callable[[Question], Directory | None]
"""A source of the directory; its answer is None where it found nobody to ask."""
