"""From one directory entry to the account it describes; two entries of one account, joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import fields, replace

from agent.names import AccountName, fold, printable, spn
from agent.sources.ad.attributes import allowed_sids, file_time, generalized_time, sid_text
from agent.sources.ad.distinguished_names import common_name, dns_name_of
from agent.spn.directory import Account, AccountKind
from agent.spn.domains import guessed_label

Complain = Callable[[str], None]
_T = TypeVar("_T")

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


class Entry(Struct, frozen=True):
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


_NAMING = frozenset({"samaccountname", "serviceprincipalname", "userprincipalname"})


def placed_in(dn: str, name: str) -> AccountName:
    """The name of an account that stands in the domain of its distinguished name."""
    dns = dns_name_of(dn)
    return AccountName(guessed_label(dns), name, fold(dns))


def account_of(entry: Entry) -> Account | None:
    """The account that an entry describes, None where it is something else.

    Its domain is known by its DNS name; `Collector.directory` puts the NetBIOS name beside it where it was read.
    """
    kind = kind_of(entry.classes())
    if kind is None:
        return None
    if kind == "unknown" and not _NAMING.intersection(entry.values):
        return None
    targets = entry.texts("msds-allowedtodelegateto")
    name = entry.text("samaccountname") or entry.text("cn") or common_name(entry.dn)
    return Account(
        name=placed_in(entry.dn, name),
        dn=entry.dn,
        kind=kind,
        sid=entry.sid(),
        spns=tuple(map(spn, entry.texts("serviceprincipalname"))),
        upn=entry.text("userprincipalname"),
        dns_host_name=entry.text("dnshostname"),
        additional_dns_host_names=entry.texts("msds-additionaldnshostname"),
        user_account_control=entry.number("useraccountcontrol"),
        password_set=entry.time("pwdlastset"),
        key_version=entry.number("msds-keyversionnumber"),
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
