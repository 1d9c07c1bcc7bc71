"""What is remembered of every entry, whether it concerns the question or not, in as little memory as will do.

A domain may hold a million entries: of each account the hashes of its SPNs, of each group a line of text.
"""

from __future__ import annotations

import base64
import contextlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from agent.names import Spn, fold
from agent.sources.ad.attributes import sid_bytes, sid_text
from agent.sources.ad.distinguished_names import dns_name_of, domain_dn_of
from agent.spn.directory import Account

# -- all names, in eight bytes each --------------------------------------------------------------------------------


def folded(value: bytes) -> bytes:
    """`agent.names.fold` on UTF-8."""
    return value.lower() if value.isascii() else hashable(fold(value.decode("utf-8", "replace")))


def hashable(key: str) -> bytes:
    """A folded text as it stands in the census; a half of a surrogate pair becomes a question mark."""
    return key.encode("utf-8", "replace")


class Census:
    """Every SPN of the source and who holds it, as hashes: enough to count duplicates and to ask "is it held?".

    Two arrays of eight bytes per SPN take 5 MB for 300,000 names, the strings would take 40 MB. Python's hash of
    bytes is keyed at random for each process, so nobody can craft a collision; by chance, a million names give one
    with a probability below 1 in 10 million, and it would change a count by one.
    """

    def __init__(self) -> None:
        self._names = array("q")
        self._owners = array("q")
        self._ends = array("q")
        self._domains = array("l")
        self._domain_numbers: dict[bytes, int] = {b"": 0}

    def __len__(self) -> int:
        return len(self._names)

    def count(self, owners: Sequence[bytes], counts: Sequence[int], names: Sequence[bytes]) -> None:
        """Take down that the first owner holds the first `counts[0]` names, and so on; an owner may come again."""
        self._ends.extend(accumulate(counts, initial=len(self._names)))
        self._owners.extend(map(hash, (b"", *owners)))
        number_of = self._domain_numbers
        self._domains.append(0)
        self._domains.extend([number_of.setdefault(_domain_part(owner), len(number_of)) for owner in owners])
        self._names.extend(map(hash, names))

    @property
    def domains(self) -> tuple[str, ...]:
        """The folded DNS names of the domains that entries stand in."""
        return tuple(filter(None, map(_dns_name, self._domain_numbers)))

    def shared(self, apart_from: Iterable[Spn], forests: Mapping[str, str]) -> dict[str, int]:
        """How many names two or more accounts of one forest hold, by forest; `forests` has that of each domain."""
        repeated = self._repeated().difference(hash(hashable(name.key)) for name in apart_from)
        forest_of = [forests.get(_dns_name(part), "") for part in self._domain_numbers]
        owners: dict[tuple[int, str], set[int]] = {}
        for place, name in enumerate(self._names if repeated else ()):
            if name in repeated:
                at = bisect_right(self._ends, place)
                owners.setdefault((name, forest_of[self._domains[at]]), set()).add(self._owners[at])
        counts = Counter(forest for (_, forest), accounts in owners.items() if len(accounts) > 1)
        return dict(counts)

    def _repeated(self) -> set[int]:
        """The hashes that occur more than once, found in parts of a million so that no big set is built."""
        parts = len(self._names) // 1_000_000 + 1
        repeated: set[int] = set()
        for part in range(parts):
            seen: set[int] = set()
            for name in self._names if parts == 1 else (name for name in self._names if name % parts == part):
                (repeated if name in seen else seen).add(name)
        return repeated

    def held(self, names: Iterable[Spn]) -> dict[Spn, frozenset[str]]:
        """Those of the names that some account holds, with the folded DNS names of the domains of these accounts."""
        by_hash: dict[int, Spn] = {hash(hashable(name.key)): name for name in names}
        found = set(by_hash).intersection(self._names) if by_hash else set()
        numbers: dict[int, set[int]] = {value: set() for value in found}
        for place, value in enumerate(self._names if found else ()):
            if value in numbers:
                numbers[value].add(self._domains[bisect_right(self._ends, place)])
        parts = list(self._domain_numbers)
        return {by_hash[value]: frozenset(_dns_name(parts[number]) for number in numbers[value]) for value in found}


def _domain_part(owner: bytes) -> bytes:
    r"""`,dc=test,dc=com` of a folded distinguished name; one with `\,` inside a value is taken apart."""
    if b"\\," in owner:
        return b"," + domain_dn_of(owner.decode("utf-8", "replace")).encode("utf-8", "replace")
    return owner[owner.find(b",dc=") :]


def _dns_name(domain: bytes) -> str:
    return dns_name_of(domain.decode("utf-8", "replace"))


# -- all groups ----------------------------------------------------------------------------------------------------

DEEPEST_NESTING = 64
"""Groups within groups are followed this far; a Windows token holds 1,024 groups at most."""

GroupValues = tuple[bytes, bytes, Sequence[bytes]]
"""A group's folded DN, its objectSid and the values of its memberOf."""


class Groups:
    """Every group of the source as a line of text, some 150 bytes each: which ones matter shows at the end.

    Nobody asks about a group by name: it matters when a kept computer stands in it, or when it may read the password
    of a kept gMSA, and either may come before or after it.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def add(self, groups: Iterable[GroupValues]) -> None:
        lines = (b"\0".join((dn, _printed_sid(sid), *member_of)) for dn, sid, member_of in groups)
        text = b"\n".join(line for line in lines if b"\n" not in line)  # no name has one: RFC 4514 escapes it
        if text:
            self._blocks.append(text)

    def around(self, accounts: Sequence[Account]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """SIDs, and memberOf, by folded DN: of all groups these accounts stand in, and of those that read passwords.

        A group that two sources describe stands in all groups that either of them names.
        """
        sids: dict[str, str] = {}
        parents: dict[str, tuple[str, ...]] = {}
        readers = {sid for account in accounts for sid in account.password_readers or ()}
        if not readers:
            return sids, parents
        readers |= {account.primary_group_sid for account in accounts if account.primary_group_sid is not None}
        wanted_sids = {form for sid in readers for form in (sid.encode(), _printed_sid(sid_bytes(sid)))}
        wanted = {hashable(fold(dn)) for account in accounts for dn in account.member_of}
        for _ in range(DEEPEST_NESTING):
            before = len(sids), len(wanted)
            for dn, sid, *member_of in self._with(wanted, wanted_sids):
                key = dn.decode("utf-8", "replace")
                texts = tuple(parent.decode("utf-8", "replace") for parent in member_of)
                with contextlib.suppress(ValueError):
                    sids[key] = sid_text(sid if sid.startswith(b"S") else base64.b64decode(sid))
                    parents[key] = tuple(dict.fromkeys((*parents.get(key, ()), *texts)))
                    wanted.update(hashable(fold(text)) for text in texts)
            if before == (len(sids), len(wanted)):
                break
        return sids, parents

    def _with(self, names: set[bytes], sids: set[bytes]) -> Iterator[list[bytes]]:
        for line in (line for block in self._blocks for line in block.split(b"\n")):
            dn, sid, *_ = line.split(b"\0", 2)
            if dn in names or sid in sids:
                yield line.split(b"\0")


def _printed_sid(value: bytes) -> bytes:
    """As LDIF has it: the text, or the base64 of the binary form, which never begins with an `S`."""
    return value.upper() if value[:4].upper() == b"S-1-" else base64.b64encode(value)
