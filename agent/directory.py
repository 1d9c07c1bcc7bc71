"""What a directory says, in memory: who holds an SPN, whom the KDC would pick, what an account is.

Every source (LDIF, setspn text, live LDAP) ends in one `Directory`; nothing here asks a network. The question is
always "who holds this SPN?", never "does X hold it?".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

from agent.model import Problem
from agent.names import AccountName, Spn, fold

AccountKind = Literal["user", "computer", "gMSA", "sMSA", "dMSA", "unknown"]

# userAccountControl bits (MS-ADTS 2.2.16)
ACCOUNTDISABLE = 0x2
SERVER_TRUST_ACCOUNT = 0x2000
TRUSTED_FOR_DELEGATION = 0x80000
NOT_DELEGATED = 0x100000
TRUSTED_TO_AUTH_FOR_DELEGATION = 0x1000000

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
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
    last_logon: datetime | None = None
    encryption_types: int | None = None
    superseded_state: int | None = None
    superseded_by: str | None = None
    password_readers: frozenset[str] | None = None
    delegates_to: tuple[str, ...] | None = None
    resource_delegation: bool | None = None
    member_of: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        return self.sid or fold(self.dn)

    @property
    def disabled(self) -> bool | None:
        return self._has(ACCOUNTDISABLE)

    @property
    def unconstrained(self) -> bool | None:
        """Trusted for delegation to any service; None for a domain controller, which always is."""
        return None if self._has(SERVER_TRUST_ACCOUNT) else self._has(TRUSTED_FOR_DELEGATION)

    def _has(self, bit: int) -> bool | None:
        return None if self.user_account_control is None else bool(self.user_account_control & bit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain as the source names it; `covered`: the source held all of it, so that absence proves something."""

    dns_name: str
    netbios: str | None
    dn: str
    covered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
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


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The directory as one or several sources show it.

    `exported` holds the folded names of the attributes that occurred in any entry: what never occurs was not
    exported and is not judged. `aes_since` is when the domain got AES keys: whenCreated of the group with RID 521.
    """

    source: str
    accounts: tuple[Account, ...] = ()
    domains: tuple[Domain, ...] = ()
    exported: frozenset[str] = frozenset()
    mapped_to_host: frozenset[str] = DEFAULT_MAPPED_TO_HOST
    ds_heuristics: str | None = None
    aes_since: datetime | None = None
    duplicates_elsewhere: int = 0
    held_elsewhere: frozenset[Spn] = frozenset()
    """Of the SPNs that delegation entries point to: those that some account holds."""
    group_sids: Mapping[str, str] = field(default_factory=dict)
    """SIDs of groups by folded DN: who may read a gMSA's password is often said of a group."""
    problems: tuple[Problem, ...] = ()

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

    def holders(self, name: Spn) -> tuple[Account, ...]:
        """The accounts whose servicePrincipalName holds exactly this name, without case."""
        return self._by_spn.get(name, ())

    def answers(self, name: Spn) -> tuple[Account, ...]:
        """Whom the KDC would pick (MS-DRSR 4.1.4.2.14): the exact holders; only without one, those of `HOST/`."""
        exact = self.holders(name)
        if exact or name.service not in self.mapped_to_host:
            return exact
        return self.holders(name.with_service("HOST"))

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

    def with_spns(self, spns: Mapping[str, tuple[Spn, ...]]) -> Directory:
        """The same directory with other SPNs, given by account identity."""
        changed = tuple(replace(a, spns=spns[a.identity]) if a.identity in spns else a for a in self.accounts)
        return replace(self, accounts=changed)

    def covers(self, netbios_domain: str) -> bool:
        """Whether all of a domain was read, so that absence from it proves something."""
        return any(
            domain.covered and domain.netbios is not None and fold(domain.netbios) == fold(netbios_domain)
            for domain in self.domains
        )

    @property
    def is_complete(self) -> bool:
        """Whether it was read whole; a directory that was not is `directory-incomplete`."""
        return not self.problems

    def exports(self, attribute: str) -> bool:
        """Whether any entry carried the attribute: one that none carries was not exported and is not judged."""
        return fold(attribute) in self.exported


AskDirectory = Callable[[Question], Directory | None]
"""A source of the directory: None where nobody is to be asked."""
