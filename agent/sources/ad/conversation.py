"""One question to one directory, from the first connection to the last answer, in few queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.names import fold, printable
from agent.sources.ad.attributes import ATTRIBUTES
from agent.sources.ad.census import DEEPEST_NESTING
from agent.sources.ad.collector import Collector
from agent.sources.ad.connection import BASE, ONE_LEVEL, SUBTREE, LdapConnection, first_texts
from agent.sources.ad.controllers import Controllers, Root, read_root
from agent.sources.ad.distinguished_names import dns_name_of, domain_dn_of
from agent.sources.ad.filters import accounts_of, batches, equal, names_of
from agent.sources.ad.follow_ups import FollowUps
from agent.sources.ad.results import LdapError
from agent.sources.ad.search_messages import Equal, RawEntry, Search
from agent.spn.directory import Question

MAX_DOMAINS = 200
WANTED = sorted(ATTRIBUTES)

_DOMAIN_NC = 0x2  # systemFlags of a crossRef: FLAG_CR_NTDS_DOMAIN (MS-ADTS 2.2.10)
_RODC_GROUP_RID = 521
_NUMBER = re.compile(r"-?[0-9]{1,10}\Z")
_PARTITIONS = ("nCName", "nETBIOSName", "dnsRoot", "systemFlags", "objectClass")


class _Seen(NamedTuple):
    """An entry that answered a search: its DN, and its folded sAMAccountName where it has one."""

    dn: str
    name: str


class Conversation:
    """Hands every entry that answers `question` to `collector`, and tells it what was not answered whole."""

    def __init__(self, question: Question, controllers: Controllers, collector: Collector) -> None:
        self._question = question
        self._controllers = controllers
        self._collector = collector
        self._follow_ups = FollowUps(question)
        self._domains: dict[str, str] = {}
        self._seen: dict[str, _Seen] = {}
        self._domain_sids: dict[str, bytes] = {}

    def hold(self, *, of_forest: bool) -> None:
        """Ask one domain and then the catalog about the others, or (`of_forest`) the catalog that comes first about
        all. Raises LdapError where the first server does not answer.
        """
        with self._controllers.open(self._controllers.first()) as connection:
            root = read_root(connection)
            self._read_partitions(connection, root)
            if of_forest:
                self._ask_forest(connection, root, set(self._domains))
                return
            self._ask_domain(connection, root)
        others = set(self._domains) - {fold(root.default)}
        if others:
            self._ask_others(root, others)

    def _ask_others(self, root: Root, others: set[str]) -> None:
        self._collector.next_source()
        try:
            with self._controllers.open(self._controllers.catalogs(root)) as catalog:
                self._ask_forest(catalog, root, others)
        except LdapError as error:
            names = ", ".join(sorted(printable(dns_name_of(self._domains[key])) for key in others))
            hint = "name a reachable global catalog with gc://HOST"
            self._collector.incomplete(f"the global catalog did not tell about the domains {names}: {error}; {hint}")

    def _read(self, connection: LdapConnection, search: Search) -> int:
        """Hand all entries to the collector; how many there were. Raises LdapError."""
        return self._hand_over(search, connection.search(*search))

    def _hand_over(self, search: Search, entries: Iterable[RawEntry]) -> int:
        count = 0
        for dn, attributes in entries:
            self._collector.add(dn, attributes)
            values = {fold(name): found for name, found in attributes.items() if found}
            if self._follow_ups.remember(values):
                self._collector.saw({"memberof"})  # asked for: one in no group but its primary one has no value
            if fold(dn) in self._domains:
                self._domain_sids[fold(dn)] = values.get("objectsid", [b""])[0]
            elif search.scope == SUBTREE:
                (name,) = values.get("samaccountname", [b""])[:1]
                self._seen[fold(dn)] = _Seen(dn, fold(name.decode("utf-8", "replace")))
            count += 1
        return count

    def _read_or_note(self, connection: LdapConnection, what: str, search: Search) -> None:
        """As `_read`; without an answer no account is missing, but the report knows less."""
        try:
            if not self._read(connection, search):
                self._collector.note(f"{connection.server} does not show {what}")
        except LdapError as error:
            if error.code is None:
                raise
            self._collector.note(f"{what} could not be read: {error}")

    def _read_batches(self, connection: LdapConnection, base: str, alternatives: Iterable[Sequence[Equal]]) -> None:
        """Each batch; an error of the server's own makes the source incomplete, a broken connection ends it."""
        for search, entries in connection.searches(Search(base, SUBTREE, wanted, WANTED) for wanted in alternatives):
            try:
                self._hand_over(search, entries)
            except LdapError as error:
                if error.code is None:
                    raise
                self._collector.incomplete(str(error))

    def _read_partitions(self, connection: LdapConnection, root: Root) -> None:
        """The domains of the forest with their NetBIOS names."""
        found: dict[str, str] = {}
        search = connection.search(f"CN=Partitions,{root.configuration}", ONE_LEVEL, None, _PARTITIONS)
        for dn, attributes in search:
            self._collector.add(dn, attributes)
            values = first_texts(attributes)
            name, flags = values.get("ncname", ""), values.get("systemflags", "")
            if name and _NUMBER.match(flags) and int(flags) & _DOMAIN_NC:
                found[fold(name)] = name
        if fold(root.default) not in found or len(found) > MAX_DOMAINS:
            raise LdapError(f"{connection.server} does not list the domains of its forest")
        self._domains = found

    def _ask_domain(self, connection: LdapConnection, root: Root) -> None:
        """All that one domain knows, from one of its controllers."""
        if not self._read(connection, _entry(root.default)):
            raise LdapError(f"{connection.server} does not show the domain {printable(root.default)}")
        self._read_settings(connection, root)
        self._read_batches(connection, root.default, names_of(self._question, self._domain_names()))
        self._read_batches(connection, root.default, accounts_of(self._question, self._known_in(root.default)))
        self._second_round(connection, root.default)

    def _known_in(self, domain: str) -> set[str]:
        """The folded sAMAccountNames of the accounts of one domain, and none below it, that answered already."""
        kept, end = self._collector.kept, f",{fold(domain)}"
        here = (seen for key, seen in self._seen.items() if key.endswith(end) and "dc=" not in key.removesuffix(end))
        return {seen.name for seen in here if seen.dn in kept}

    def _domain_names(self) -> list[str]:
        return [dns_name_of(dn) for dn in self._domains.values()]

    def _read_settings(self, connection: LdapConnection, root: Root) -> None:
        """The forest's sPNMappings and dSHeuristics, and since when the domain has AES keys."""
        service = f"CN=Directory Service,CN=Windows NT,CN=Services,{root.configuration}"
        self._read_or_note(connection, "the setting sPNMappings", _entry(service))
        sid = self._domain_sids.get(fold(root.default))
        if sid and len(sid) >= 8:
            group = [equal("objectSid", _with_rid(sid, _RODC_GROUP_RID))]
            self._read_or_note(connection, "the group of RID 521", Search(root.default, SUBTREE, group, WANTED))

    def _ask_forest(self, catalog: LdapConnection, root: Root, incomplete: set[str]) -> None:
        """Who holds what in the whole forest, from a catalog; what it lacks of some domains, from theirs."""
        if not read_root(catalog).is_catalog:
            raise LdapError(f"{catalog.server} is no global catalog, or not ready as one")
        for search, entries in catalog.searches(map(_entry, self._domains.values())):
            if not self._hand_over(search, entries):
                self._collector.note(f"{catalog.server} does not show the domain {printable(search.base)}")
        self._read_batches(catalog, "", names_of(self._question, self._domain_names()))
        self._read_batches(catalog, "", accounts_of(self._question))
        self._second_round(catalog, "")
        for key in sorted(incomplete):
            self._complete(key, root)
        self._collector.next_source()
        self._second_round(catalog, "")

    def _complete(self, key: str, root: Root) -> None:
        """The attributes that no catalog holds, of the accounts found in one domain, from its own controller."""
        found = [equal("distinguishedName", dn) for dn, _ in self._seen.values() if fold(domain_dn_of(dn)) == key]
        is_home = key == fold(root.default)
        if not found and not is_home:
            return
        self._collector.next_source()
        try:
            with self._controllers.open(self._controllers.of_domain(self._domains[key], root)) as connection:
                here = read_root(connection, key)
                if is_home:
                    self._read_settings(connection, here)
                self._read_batches(connection, here.default, batches(found))
                self._second_round(connection, here.default)
        except LdapError as error:
            name = printable(dns_name_of(self._domains[key]))
            self._collector.note(f"of the accounts of {name} only what the global catalog holds is known: {error}")

    def _second_round(self, connection: LdapConnection, base: str) -> None:
        """Who holds the names that delegation points to, the accounts that supersede others, and groups in groups.

        Groups matter for the passwords of managed accounts; a catalog does not know what every group stands in.
        """
        self._ask_about(connection, base, self._follow_ups.new_names(base))
        for _ in range(DEEPEST_NESTING if base and self._follow_ups.knows_readers else 0):
            if not self._ask_about(connection, base, self._follow_ups.new_groups(base)):
                return

    def _ask_about(self, connection: LdapConnection, base: str, wanted: Mapping[str, Sequence[str | bytes]]) -> bool:
        """Whether there was anything to ask; attributes go in queries of their own."""
        for attribute, values in wanted.items():
            self._read_batches(connection, base, batches([equal(attribute, value) for value in values]))
        return bool(wanted)


def _entry(dn: str) -> Search:
    return Search(dn, BASE, None, WANTED)


def _with_rid(domain_sid: bytes, rid: int) -> bytes:
    """The SID of one of a domain's own accounts (MS-DTYP 2.4.2.2)."""
    return bytes([domain_sid[0], (domain_sid[1] + 1) % 256]) + domain_sid[2:] + rid.to_bytes(4, "little")
