"""From directory entries to a `Directory`: what LDIF files and live LDAP have in common.

A domain may hold a million entries and a question concerns a few dozen. So entries are judged one at a time; those
that answer the question are kept, of all others only eight bytes per service principal name remain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from msgspec import Struct, field
from msgspec.structs import replace

from agent.model import Problem, SourceRead
from agent.names import AccountName, Spn, fold, printable, spn
from agent.sources.ad.accounts import Entry, account_of, joined
from agent.sources.ad.census import Census, Groups, GroupValues, hashable
from agent.sources.ad.concern import Concern
from agent.sources.ad.distinguished_names import dns_name_of, domain_dn_of, is_deleted
from agent.spn.directory import DEFAULT_MAPPED_TO_HOST, Account, Directory, Domain, ForestSettings, Question, Scope
from agent.spn.forests import forests_of

SPOKEN_PROBLEMS = 20
"""How many problems of a directory are told one by one; the rest is a count."""

RODC_GROUP = "-521"
"""RID of Read-only Domain Controllers: the group comes with functional level 2008, and with it AES keys (5.10)."""

_APPLICATION_PARTITIONS = frozenset({"domaindnszones", "forestdnszones"})
_TRUE = b"TRUE"
_CUT_RANGE = re.compile(r";range=\d+-\d+\Z", re.IGNORECASE)
_NO_DOMAINS = frozenset({"builtin", "nt authority"})


@lru_cache(maxsize=1024)
def _attribute(name: str) -> tuple[str, bool]:
    """The folded name without options, and whether more of its values were cut off."""
    return fold(name.partition(";")[0]), _CUT_RANGE.search(name) is not None


class _Forest(Struct):
    """What entries other than accounts say."""

    whole: dict[str, str] = field(default_factory=dict)
    netbios: dict[str, str] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    settings: dict[str, ForestSettings] = field(default_factory=dict)
    aes_since: dict[str, datetime] = field(default_factory=dict)

    @property
    def merged(self) -> ForestSettings:
        """What is true of all forests together: with one forest, of that."""
        found = list(self.settings.values())
        mapped = [one.mapped_to_host for one in found if one.mapped_to_host is not DEFAULT_MAPPED_TO_HOST]
        heuristics = [one.ds_heuristics for one in found if one.ds_heuristics]
        return ForestSettings(mapped[-1] if mapped else DEFAULT_MAPPED_TO_HOST, heuristics[-1] if heuristics else None)


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
        self.file: str | None = None
        self._domains_here: dict[str, str] = {}
        self._whole = True
        self._absent: dict[Spn, frozenset[Scope]] = {}
        self.searched_here: set[Spn] = set()
        self._answered: dict[str, str] = {}

    def next_source(self, file: str | None = None) -> None:
        """What follows comes from another file or server; `file` is named in problems."""
        if self._whole:
            self._forest.whole.update(self._domains_here)
        self._domains_here, self._whole, self.file = {}, True, file
        self.searched_here.clear()

    @property
    def covered_here(self) -> tuple[str, ...]:
        """The folded DNS names of the domains of which the present source holds all, as far as it was read."""
        return tuple(sorted(self._domains_here)) if self._whole else ()

    def note(self, message: str, line: int | None = None) -> None:
        """Something of the source could not be read."""
        if len(self._problems) < SPOKEN_PROBLEMS:
            self._problems.append(Problem(id="directory-incomplete", message=message, file=self.file, line=line))
        else:
            self._unspoken += 1

    def incomplete(self, message: str, line: int | None = None) -> None:
        """Entries of this source may be missing: no domain is covered by it."""
        self._whole = False
        self.note(message, line)

    def withhold(self) -> None:
        """Accounts without their SPNs: the attribute was not exported, and what is not there may be held all the same.

        Every domain has SPNs, if only those of its controllers.
        """
        self._whole = False

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

    @property
    def names_seen(self) -> int:
        """How many SPNs `passing` was told of, in all sources together."""
        return len(self._census)

    def passing_groups(self, groups: Iterable[GroupValues]) -> None:
        """Groups that may turn out to matter; what `add` takes down once more does no harm."""
        self._groups.add(groups)

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> None:
        """Judge one entry; attribute names in any case, options such as `;range=0-1499` are dropped.

        A deleted one answers for nothing and is passed over. A range that is not the last one was cut off: who asks a
        controller fetches the rest first (MS-ADTS 3.1.1.3.1.3.3), who exports does not.
        """
        values: dict[str, Sequence[bytes]] = {}
        for name, found in attributes.items():
            key, is_cut = _attribute(name)
            if is_cut:
                self.incomplete(f"{printable(dn)} has more values than {printable(name)}: the rest was not exported")
            values[key] = [*values[key], *found] if key in values else found
        if is_deleted(dn) or _TRUE in map(bytes.upper, values.get("isdeleted", ())):
            return
        self.saw(values)
        entry = Entry(dn, values, self.note)
        self._read_principal_name(entry)
        account = account_of(entry)
        if account is not None:
            self.add_account(account)
        if account is None or account.kind == "unknown":
            self._read_other(entry)

    def add_account(self, account: Account) -> None:
        """Count what the account holds and keep it if it concerns the question."""
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

    def nobody_holds(self, name: Spn, root: str, *, in_forest: bool) -> None:
        """A search for this SPN in a domain, or in the forest of that root, found no account."""
        domain = fold(dns_name_of(root))
        self._answered[domain] = root
        self.searched_here.add(name)
        self._absent[name] = self._absent.get(name, frozenset()) | {Scope(domain, in_forest)}

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
            category = entry.text("objectcategory")  # CN=Domain-DNS,CN=Schema,CN=Configuration,<the forest's root>
            if category:
                self._forest.roots[fold(dns_name)] = fold(dns_name_of(category))

    def _read_principal_name(self, entry: Entry) -> None:
        """msDS-PrincipalName, a constructed attribute: `TEST\\contososvc`, of the domain's own entry `TEST\\`."""
        label, backslash, _ = (entry.text("msds-principalname") or "").partition("\\")
        if backslash and label and fold(label) not in _NO_DOMAINS:
            self._forest.netbios.setdefault(fold(dns_name_of(entry.dn)), label)

    def _read_cross_reference(self, entry: Entry) -> None:
        naming_context, netbios = entry.text("ncname"), entry.text("netbiosname")
        if naming_context and netbios:
            self._forest.netbios[fold(dns_name_of(naming_context))] = netbios
            self._forest.roots[fold(dns_name_of(naming_context))] = fold(dns_name_of(entry.dn))

    def _read_directory_service(self, entry: Entry) -> None:
        root = fold(dns_name_of(entry.dn))
        known = self._forest.settings.get(root) or ForestSettings()
        for mapping in entry.texts("spnmappings"):
            service, _, aliases = mapping.partition("=")
            if fold(service.strip()) == "host":
                known = known._replace(mapped_to_host=frozenset(fold(alias.strip()) for alias in aliases.split(",")))
        self._forest.settings[root] = known._replace(ds_heuristics=entry.text("dsheuristics") or known.ds_heuristics)

    def _read_rodc_group(self, entry: Entry) -> None:
        created, domain = entry.created(), fold(dns_name_of(entry.dn))
        if created:
            self._forest.aes_since[domain] = min(created, self._forest.aes_since.get(domain, created))

    def directory(self, source: str, read: Iterable[SourceRead] = ()) -> Directory:
        """Everything kept, names settled; `source` is how the report calls where it comes from, `read` its parts."""
        self.next_source()
        # one order, whatever the source gave first: reports of the same directory must not differ
        accounts = tuple(self._settled(self._accounts[key]) for key in sorted(self._accounts))
        group_sids, group_member_of = self._groups.around(accounts)
        domains, settings = self._domains(accounts), self._forest.merged
        forests = forests_of({domain: self._forest.roots.get(domain) for domain in self._census.domains})
        shared = self._census.shared(apart_from=self.question.spns, forests=forests)
        return Directory(
            source=source,
            asked=frozenset([name.key for name in self.question.spns]),
            accounts=accounts,
            domains=domains,
            exported=frozenset(self._exported),
            mapped_to_host=settings.mapped_to_host,
            ds_heuristics=settings.ds_heuristics,
            aes_since=min(self._forest.aes_since.values(), default=None),
            duplicates_elsewhere=sum(shared.values()),
            settings=self._forest.settings,
            aes_by_domain=self._forest.aes_since,
            duplicates_by_forest=shared,
            held_elsewhere=self._held_targets(accounts),
            group_sids=group_sids,
            group_member_of=group_member_of,
            problems=self._told_problems(),
            read=tuple(read),
            absent=self._absent,
        )

    def _settled(self, account: Account) -> Account:
        """The account with its domain's NetBIOS name; what was exported and is absent is known to be none."""
        exported = self._exported
        delegates, acts = account.delegates_to, account.resource_delegation
        if delegates is None and "msds-allowedtodelegateto" in exported:
            delegates = ()
        if acts is None and "msds-allowedtoactonbehalfofotheridentity" in exported:
            acts = False
        own = account.name
        name = AccountName(self._netbios(own.dns) or own.domain, own.name, own.dns)
        return replace(account, name=name, delegates_to=delegates, resource_delegation=acts)

    def _netbios(self, dns_name: str) -> str | None:
        """The NetBIOS name of a domain, as far as an entry, the command line or a server says it."""
        key = fold(dns_name)
        return self._forest.netbios.get(key) or self._netbios_names.get(key)

    def _domains(self, accounts: Iterable[Account]) -> tuple[Domain, ...]:
        holding = {account.name.dns: account.dn for account in accounts}
        found = self._answered | {dns: domain_dn_of(dn) for dns, dn in holding.items()} | self._forest.whole
        return tuple(
            Domain(
                dns_name=dns_name_of(dn),
                netbios=self._netbios(dns_name_of(dn)),
                dn=dn,
                covered=key in self._forest.whole,
                forest=self._forest.roots.get(key),
            )
            for key, dn in sorted(found.items())
            if key
        )

    def _held_targets(self, accounts: Iterable[Account]) -> dict[Spn, frozenset[str]]:
        targets = {spn(text) for account in accounts for text in account.delegates_to or ()}
        by_host = {t: t.with_service("HOST") for t in targets if t.service in self._forest.merged.mapped_to_host}
        held = self._census.held(targets | set(by_host.values()))
        answered = {t: held.get(t) or held.get(by_host.get(t, t)) for t in sorted(targets, key=lambda t: t.key)}
        return {target: domains for target, domains in answered.items() if domains}

    def _told_problems(self) -> tuple[Problem, ...]:
        if not self._unspoken:
            return tuple(self._problems)
        rest = Problem(id="directory-incomplete", message=f"and {self._unspoken} more problems of the same kind")
        return (*self._problems, rest)
