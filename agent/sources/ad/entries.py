"""From directory entries to a `Directory`: what LDIF files and live LDAP have in common.

A domain may hold a million entries and a question concerns a few dozen. So entries are judged one at a time; those
that answer the question are kept, of all others only eight bytes per service principal name remain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TypeVar

from agent.model import Problem
from agent.names import AccountName, Spn, fold, printable, spn, spn_fault
from agent.sources.ad.attribute_values import allowed_sids, file_time, generalized_time, sid_bytes, sid_text
from agent.sources.ad.census import DEEPEST_NESTING, Census, Groups, GroupValues, folded, hashable
from agent.sources.ad.distinguished_names import common_name, dns_name_of, domain_dn_of, is_deleted
from agent.spn.directory import DEFAULT_MAPPED_TO_HOST, Account, AccountKind, Directory, Domain, Question

__all__ = [
    "ATTRIBUTES",
    "DEEPEST_NESTING",
    "Attributes",
    "Collector",
    "GroupValues",
    "allowed_sids",
    "common_name",
    "dns_name_of",
    "domain_dn_of",
    "folded",
    "sid_bytes",
    "sid_text",
]

SPOKEN_PROBLEMS = 20
"""How many problems of a directory are told one by one; the rest is a count."""

ATTRIBUTES = frozenset(
    {
        *("objectclass", "objectsid", "samaccountname", "cn", "serviceprincipalname", "userprincipalname"),
        *("dnshostname", "msds-additionaldnshostname", "useraccountcontrol", "pwdlastset", "lastlogontimestamp"),
        *("msds-supportedencryptiontypes", "msds-groupmsamembership", "memberof", "whencreated"),
        *("msds-supersededserviceaccountstate", "msds-supersededaccountstate"),
        *("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"),
        *("msds-allowedtodelegateto", "msds-allowedtoactonbehalfofotheridentity"),
        *("ncname", "netbiosname", "spnmappings", "dsheuristics", "primarygroupid", "isdeleted"),
    }
)
"""The folded names of the attributes that are read; a source need not decode any other."""

RODC_GROUP = "-521"
"""RID of Read-only Domain Controllers: the group comes with functional level 2008, and with it AES keys (5.10)."""

_WEB_CLASSES = frozenset({"http", "https", "host"})
_APPLICATION_PARTITIONS = frozenset({"domaindnszones", "forestdnszones"})

Attributes = Mapping[str, Sequence[bytes]]
Complain = Callable[[str], None]
_T = TypeVar("_T")


# -- one entry -----------------------------------------------------------------------------------------------------

_KINDS: tuple[tuple[str, AccountKind], ...] = (
    ("msds-groupmanagedserviceaccount", "gMSA"),
    ("msds-managedserviceaccount", "sMSA"),
    ("msds-delegatedmanagedserviceaccount", "dMSA"),
    ("computer", "computer"),
    ("user", "user"),
    ("person", "user"),
)
"""Most derived first: the classes of a managed service account hold `computer` and `user` too (rule R1.9)."""


def kind_of(classes: Iterable[str]) -> AccountKind | None:
    """What kind of account these folded object classes make; None where they make none (a group, an OU)."""
    present = frozenset(classes)
    if not present:
        return "unknown"
    return next((kind for name, kind in _KINDS if name in present), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One raw entry: values by folded attribute name without options. A value that cannot be read is told and None."""

    dn: str
    values: Mapping[str, Sequence[bytes]]
    complain: Complain

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(value.decode("utf-8", "replace") for value in self.values.get(name, ()))

    def text(self, *names: str) -> str | None:
        return next((text for name in names for text in self.texts(name)), None)

    def number(self, *names: str) -> int | None:
        return self._read(int, *names)

    def time(self, name: str) -> datetime | None:
        return self._read(file_time, name)

    def created(self) -> datetime | None:
        return self._read(generalized_time, "whencreated")

    def sid(self) -> str | None:
        return self._read(sid_text, "objectsid")

    def readers(self) -> frozenset[str] | None:
        return self._read(allowed_sids, "msds-groupmsamembership")

    def classes(self) -> tuple[str, ...]:
        return tuple(map(fold, self.texts("objectclass")))

    def _read(self, reader: Callable[[bytes], _T], *names: str) -> _T | None:
        for name in names:
            for value in self.values.get(name, ()):
                try:
                    return reader(value)
                except (ValueError, OverflowError, IndexError) as fault:
                    self.complain(f"{printable(self.dn)}: {name} cannot be read: {printable(str(fault))}")
        return None


_TRUE = b"TRUE"
_NAMING = frozenset({"samaccountname", "serviceprincipalname", "userprincipalname"})


def account_of(entry: Entry) -> Account | None:
    """The account that an entry describes, None where it is something else.

    Its `name.domain` is the domain's DNS name; `Collector.directory` puts the NetBIOS name in its place.
    """
    kind = kind_of(entry.classes())
    if kind is None:
        return None
    if kind == "unknown" and not _NAMING.intersection(entry.values):
        return None
    targets = entry.texts("msds-allowedtodelegateto")
    name = entry.text("samaccountname") or entry.text("cn") or common_name(entry.dn)
    return Account(
        name=AccountName(dns_name_of(entry.dn), name),
        dn=entry.dn,
        kind=kind,
        sid=entry.sid(),
        spns=tuple(map(spn, entry.texts("serviceprincipalname"))),
        upn=entry.text("userprincipalname"),
        dns_host_name=entry.text("dnshostname"),
        additional_dns_host_names=entry.texts("msds-additionaldnshostname"),
        user_account_control=entry.number("useraccountcontrol"),
        password_set=entry.time("pwdlastset"),
        last_logon=entry.time("lastlogontimestamp"),
        encryption_types=entry.number("msds-supportedencryptiontypes"),
        superseded_state=entry.number("msds-supersededserviceaccountstate", "msds-supersededaccountstate"),
        superseded_by=entry.text("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"),
        password_readers=entry.readers(),
        delegates_to=targets or None,
        resource_delegation=("msds-allowedtoactonbehalfofotheridentity" in entry.values) or None,
        member_of=entry.texts("memberof"),
        primary_group=entry.number("primarygroupid"),
    )


# -- which accounts concern the question ---------------------------------------------------------------------------


class Concern:
    """Which accounts a question is about: those it wants, and those that hold a misspelt form of its names."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._hosts = frozenset(name.host.key for name in question.spns)
        self._host_lines = "\n".join(self._hosts)

    def covers(self, account: Account) -> bool:
        """Whether the account answers the question, shadows one of its names, or holds a wrong spelling of one.

        setspn output names a computer by its CN, without the `$` of its sAMAccountName.
        """
        return (
            self._question.wants(account)
            or (account.kind == "unknown" and f"{fold(account.name.name)}$" in self._question.account_names)
            or account.kind == "dMSA"  # few, and any kept account may turn out to be superseded by one
            or (account.upn is not None and self._shadows(account.upn))
            or any(self._misspells(name) for name in account.spns)
        )

    def _shadows(self, upn: str) -> bool:
        """A userPrincipalName `HTTP/host[@realm]` (rule R4.9)."""
        name = spn(upn.partition("@")[0])
        return name.service in _WEB_CLASSES and name.host.key in self._hosts

    def _misspells(self, name: Spn) -> bool:
        odd = spn_fault(name.text) is not None or name.port is not None
        return odd and self._is_of_the_web(name) and self._mentions(name.key)

    @staticmethod
    def _is_of_the_web(name: Spn) -> bool:
        """Ports and third parts are ordinary in other classes: `MSSQLSvc/sql01:1433`, `ldap/dc01/test.com`."""
        well_formed = bool(_PORT_OR_THIRD_PART.match(name.key))
        return name.service in _WEB_CLASSES or not well_formed

    def _mentions(self, key: str) -> bool:
        return any(self._is_host(part) for part in re.split(r"[/\\:@]+", "".join(key.split())))

    def _is_host(self, part: str) -> bool:
        """Whether a part is one of the hosts; a character no DNS name has may stand for any one, or for none."""
        if part in self._hosts or _PLAIN.match(part):
            return part in self._hosts
        loose = "".join(".*" if c == "*" else re.escape(c) if c.isascii() and c.isprintable() else ".?" for c in part)
        return re.search(f"^(?:{loose})$", self._host_lines, re.MULTILINE) is not None


_PORT_OR_THIRD_PART = re.compile(r"[a-z0-9_-]+/[a-z0-9._-]+(?::[^/]*)?(?:/[^/]+)?\Z")
_PLAIN = re.compile(r"[a-z0-9._-]*\Z")


# -- collecting ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Forest:
    """What entries other than accounts say."""

    whole: dict[str, str] = field(default_factory=dict)
    netbios: dict[str, str] = field(default_factory=dict)
    mapped_to_host: frozenset[str] = DEFAULT_MAPPED_TO_HOST
    ds_heuristics: str | None = None
    aes_since: datetime | None = None


class Collector:
    """Fed one entry at a time, keeps what answers `question`; at the end it gives the `Directory`.

    One collector takes any number of sources, `next_source` before each. A domain is covered when a source that was
    read whole holds the domain's own entry. `netbios_names` maps folded DNS names to NetBIOS names where no crossRef
    entry does.
    """

    def __init__(self, question: Question, netbios_names: Mapping[str, str] | None = None) -> None:
        self.question = question
        self._netbios_names = {**(netbios_names or {}), **question.netbios_domains}
        self._concern = Concern(question)
        self._census = Census()
        self._groups = Groups()
        self._forest = _Forest()
        self._accounts: dict[str, Account] = {}
        self._dn_of_sid: dict[str, str] = {}
        self._exported: set[str] = set()
        self._problems: list[Problem] = []
        self._unspoken = 0
        self._file: str | None = None
        self._domains_here: dict[str, str] = {}
        self._whole = True

    def next_source(self, file: str | None = None) -> None:
        """What follows comes from another file or server; `file` is named in problems."""
        if self._whole:
            self._forest.whole.update(self._domains_here)
        self._domains_here, self._whole, self._file = {}, True, file

    def note(self, message: str, line: int | None = None) -> None:
        """Something of the source could not be read."""
        if len(self._problems) < SPOKEN_PROBLEMS:
            self._problems.append(Problem(id="directory-incomplete", message=message, file=self._file, line=line))
        else:
            self._unspoken += 1

    def incomplete(self, message: str, line: int | None = None) -> None:
        """Entries of this source may be missing: no domain is covered by it."""
        self._whole = False
        self.note(message, line)

    @property
    def kept(self) -> frozenset[str]:
        """The distinguished names of the accounts kept so far: another source may say more about them."""
        return frozenset(account.dn for account in self._accounts.values())

    def saw(self, names: Iterable[str]) -> None:
        """These attributes (folded, without options) occur in the source."""
        self._exported.update(names)

    def passing(self, owners: Sequence[bytes], counts: Sequence[int], names: Sequence[bytes]) -> None:
        """Accounts that need not concern the question: their folded DNs, how many SPNs each holds, and these SPNs."""
        self._census.count(owners, counts, names)

    def passing_groups(self, groups: Iterable[GroupValues]) -> None:
        """Groups that may turn out to matter; what `add` takes down once more does no harm."""
        self._groups.add(groups)

    def add(self, dn: str, attributes: Attributes) -> None:
        """Judge one entry; attribute names in any case, options such as `;range=0-1499` are dropped.

        A deleted one answers for nothing and is passed over.
        """
        values: dict[str, Sequence[bytes]] = {}
        for name, found in attributes.items():
            key = fold(name.partition(";")[0])
            values[key] = [*values.get(key, ()), *found]
        if is_deleted(dn) or _TRUE in map(bytes.upper, values.get("isdeleted", ())):
            return
        self.saw(values)
        entry = Entry(dn, values, self.note)
        account = account_of(entry)
        if account is not None:
            self.add_account(account)
        if account is None or account.kind == "unknown":
            self._read_other(entry)

    def add_account(self, account: Account) -> None:
        """Count what the account holds and keep it if it concerns the question; `name.domain` is a DNS name."""
        key = fold(account.dn)
        if is_deleted(account.dn):
            return
        self._census.count([hashable(key)], [len(account.spns)], [hashable(name.key) for name in account.spns])
        key = self._dn_of_sid.get(account.sid or "", key)
        known = self._accounts.get(key)
        if known is None and not self._concern.covers(account):
            return
        self._accounts[key] = account if known is None else joined(known, account)
        if account.sid:
            self._dn_of_sid[account.sid] = key

    def _read_other(self, entry: Entry) -> None:
        classes = entry.classes()
        if "domaindns" in classes:
            self._read_domain(entry)
        if "group" in classes:
            sid = next(iter(entry.values.get("objectsid", ())), b"")
            self._groups.add([(hashable(fold(entry.dn)), sid, entry.values.get("memberof", ()))])
        if "ncname" in entry.values:
            self._read_cross_reference(entry)
        if fold(entry.dn).startswith("cn=directory service,"):
            self._read_directory_service(entry)
        if "objectsid" in entry.values and (entry.sid() or "").endswith(RODC_GROUP):
            self._read_rodc_group(entry)

    def _read_domain(self, entry: Entry) -> None:
        dns_name = dns_name_of(entry.dn)
        if fold(dns_name.partition(".")[0]) not in _APPLICATION_PARTITIONS:
            self._domains_here[fold(dns_name)] = entry.dn

    def _read_cross_reference(self, entry: Entry) -> None:
        naming_context, netbios = entry.text("ncname"), entry.text("netbiosname")
        if naming_context and netbios:
            self._forest.netbios[fold(dns_name_of(naming_context))] = netbios

    def _read_directory_service(self, entry: Entry) -> None:
        for mapping in entry.texts("spnmappings"):
            service, _, aliases = mapping.partition("=")
            if fold(service.strip()) == "host":
                self._forest.mapped_to_host = frozenset(fold(alias.strip()) for alias in aliases.split(","))
        self._forest.ds_heuristics = entry.text("dsheuristics") or self._forest.ds_heuristics

    def _read_rodc_group(self, entry: Entry) -> None:
        created = entry.created()
        if created and (self._forest.aes_since is None or created < self._forest.aes_since):
            self._forest.aes_since = created

    def directory(self, source: str) -> Directory:
        """Everything kept, names settled; `source` is how the report calls where it comes from."""
        self.next_source()
        # one order, whatever the source gave first: reports of the same directory must not differ
        accounts = tuple(self._settled(self._accounts[key]) for key in sorted(self._accounts))
        group_sids, group_member_of = self._groups.around(accounts)
        return Directory(
            source=source,
            accounts=accounts,
            domains=self._domains(accounts),
            exported=frozenset(self._exported),
            mapped_to_host=self._forest.mapped_to_host,
            ds_heuristics=self._forest.ds_heuristics,
            aes_since=self._forest.aes_since,
            duplicates_elsewhere=self._census.shared(apart_from=self.question.spns),
            held_elsewhere=self._held_targets(accounts),
            group_sids=group_sids,
            group_member_of=group_member_of,
            problems=self._told_problems(),
        )

    def _settled(self, account: Account) -> Account:
        """The account with its domain's NetBIOS name; what was exported and is absent is known to be none."""
        exported = self._exported
        delegates, acts = account.delegates_to, account.resource_delegation
        if delegates is None and "msds-allowedtodelegateto" in exported:
            delegates = ()
        if acts is None and "msds-allowedtoactonbehalfofotheridentity" in exported:
            acts = False
        name = AccountName(self._netbios(account.name.domain), account.name.name)
        return replace(account, name=name, delegates_to=delegates, resource_delegation=acts)

    def _netbios(self, dns_name: str) -> str:
        key = fold(dns_name)
        known = self._forest.netbios.get(key) or self._netbios_names.get(key)
        return known or dns_name.partition(".")[0].upper()

    def _domains(self, accounts: Iterable[Account]) -> tuple[Domain, ...]:
        found = {fold(dns_name_of(account.dn)): domain_dn_of(account.dn) for account in accounts}
        found |= self._forest.whole
        return tuple(
            Domain(
                dns_name=dns_name_of(dn),
                netbios=self._netbios(dns_name_of(dn)),
                dn=dn,
                covered=key in self._forest.whole,
            )
            for key, dn in sorted(found.items())
            if key
        )

    def _held_targets(self, accounts: Iterable[Account]) -> dict[Spn, frozenset[str]]:
        targets = {spn(text) for account in accounts for text in account.delegates_to or ()}
        by_host = {t: t.with_service("HOST") for t in targets if t.service in self._forest.mapped_to_host}
        held = self._census.held(targets | set(by_host.values()))
        answered = {t: held.get(t) or held.get(by_host.get(t, t)) for t in sorted(targets, key=lambda t: t.key)}
        return {target: domains for target, domains in answered.items() if domains}

    def _told_problems(self) -> tuple[Problem, ...]:
        if not self._unspoken:
            return tuple(self._problems)
        rest = Problem(id="directory-incomplete", message=f"and {self._unspoken} more problems of the same kind")
        return (*self._problems, rest)


def joined(one: Account, other: Account) -> Account:
    """One account as two sources show it: the SPNs and groups of both, for the rest what either of them knows.

    A source that knows the class knows the sAMAccountName too, so its name is the better one.
    """
    better, worse = (other, one) if one.kind == "unknown" else (one, other)
    spns = tuple(dict.fromkeys((*one.spns, *other.spns)))
    member_of = tuple(dict.fromkeys((*one.member_of, *other.member_of)))  # a catalog knows the universal groups only
    missing = {
        name: getattr(worse, name)
        for name in _FILLED_FROM_EITHER
        if getattr(better, name) is None or getattr(better, name) == ()
    }
    return replace(better, spns=spns, member_of=member_of, **missing)


_FILLED_FROM_EITHER = tuple(
    f.name for f in fields(Account) if f.name not in {"name", "dn", "kind", "spns", "member_of"}
)
