"""Which attributes of Active Directory are read, and what their values say: SIDs, times, whom a list lets in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

ATTRIBUTES = frozenset(
    {
        *("objectclass", "objectsid", "samaccountname", "cn", "serviceprincipalname", "userprincipalname"),
        "msds-keyversionnumber",
        *("dnshostname", "msds-additionaldnshostname", "useraccountcontrol", "pwdlastset", "lastlogontimestamp"),
        *("msds-supportedencryptiontypes", "msds-groupmsamembership", "memberof", "whencreated"),
        *("msds-supersededserviceaccountstate", "msds-supersededaccountstate"),
        *("msds-supersededmanagedserviceaccountlink", "msds-supersededmanagedaccountlink"),
        *("msds-allowedtodelegateto", "msds-allowedtoactonbehalfofotheridentity"),
        *("ncname", "netbiosname", "spnmappings", "dsheuristics", "primarygroupid", "isdeleted"),
        *("msds-principalname", "objectcategory"),
    }
)
"""The folded names of the attributes that are read; a source need not decode any other."""

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = frozenset({0, -1, 0x7FFFFFFFFFFFFFFF})


def sid_text(value: bytes) -> str:
    """A security identifier as `S-1-5-...`, from its binary form (MS-DTYP 2.4.2.2) or its text."""
    if value.startswith((b"S-1-", b"s-1-")):
        return value.decode("ascii").upper()
    count = value[1] if len(value) >= 8 else -1
    if value[:1] != b"\x01" or len(value) != 8 + 4 * count:
        raise ValueError("not a security identifier")
    authority = int.from_bytes(value[2:8], "big")
    parts = (int.from_bytes(value[at : at + 4], "little") for at in range(8, len(value), 4))
    return "-".join(map(str, ("S-1", authority, *parts)))


def sid_bytes(text: str) -> bytes:
    """The binary form of `S-1-5-...`, empty where the text is none."""
    parts = text.split("-")[2:]
    if not 1 <= len(parts) <= 16 or not all(part.isdecimal() for part in parts):
        return b""
    authority, *rest = map(int, parts)
    try:
        head = bytes([1, len(rest)]) + authority.to_bytes(6, "big")
        return head + b"".join(part.to_bytes(4, "little") for part in rest)
    except OverflowError:
        return b""


def file_time(value: bytes) -> datetime | None:
    """A Windows FILETIME, 100 ns since 1601 (MS-DTYP 2.3.3); None for the values that mean "never"."""
    ticks = int(value)
    return None if ticks in _NEVER else _FILETIME_EPOCH + timedelta(microseconds=ticks // 10)


def generalized_time(value: bytes) -> datetime:
    """`20240131235959.0Z` (RFC 4517, 3.3.13) as Active Directory writes it: always UTC."""
    return datetime.strptime(value[:14].decode("ascii"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def allowed_sids(descriptor: bytes) -> frozenset[str]:
    """Whom the allow-entries of a self-relative security descriptor name (MS-DTYP 2.4.6, 2.4.4)."""
    acl = int.from_bytes(descriptor[16:20], "little")
    if len(descriptor) < 20 or not 20 <= acl <= len(descriptor) - 8:
        raise ValueError("not a security descriptor with a DACL")
    found: set[str] = set()
    at = acl + 8
    for _ in range(int.from_bytes(descriptor[acl + 4 : acl + 6], "little")):
        size = int.from_bytes(descriptor[at + 2 : at + 4], "little")
        if size < 8 or at + size > len(descriptor):
            raise ValueError("an access control entry runs over the end")
        found.update(_allowed(descriptor[at : at + size]))
        at += size
    return frozenset(found)


_ALLOWED, _ALLOWED_OBJECT, _ALLOWED_CALLBACK = 0x00, 0x05, 0x09


def _allowed(entry: bytes) -> tuple[str, ...]:
    """The SID of one allow-entry, nothing for any other kind; an object entry has up to two GUIDs before it."""
    at = 8
    if entry[0] == _ALLOWED_OBJECT:
        at = 12 + 16 * (entry[8] & 1) + 16 * (entry[8] >> 1 & 1)
    elif entry[0] not in (_ALLOWED, _ALLOWED_CALLBACK):
        return ()
    return (sid_text(entry[at : at + 8 + 4 * entry[at + 1]]),)
