"""Distinguished names (RFC 4514): the domain that one spells, its first part, and whether it is a deleted object's."""

from __future__ import annotations

import re

from agent.names import fold

_RDN = re.compile(r"(?:\\.|[^,\\])+")
_ESCAPE = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)


def dns_name_of(dn: str) -> str:
    """The DNS name that the DC= parts of a distinguished name spell: `test.com`."""
    parts = (part.strip().partition("=") for part in _RDN.findall(dn))
    return ".".join(value for kind, _, value in parts if fold(kind) == "dc")


def common_name(dn: str) -> str:
    """The value of the first part of a distinguished name, its escapes undone (RFC 4514, 2.4)."""
    first = _RDN.match(dn)
    value = first.group().partition("=")[2] if first else ""
    return _ESCAPE.sub(_unescaped, value)


def _unescaped(match: re.Match[str]) -> str:
    if match.group(1):
        return match.group(1)
    return bytes.fromhex(match.group().replace("\\", "")).decode("utf-8", "replace")


def domain_dn_of(dn: str) -> str:
    """The distinguished name of the domain an entry stands in: `DC=test,DC=com`."""
    parts = (part.strip() for part in _RDN.findall(dn))
    return ",".join(part for part in parts if fold(part).startswith("dc="))


_DELETED_OBJECTS = "cn=deleted objects,"


def is_deleted(dn: str) -> bool:
    """Whether a distinguished name is that of a deleted object (MS-ADTS 3.1.1.5.5); `isDeleted` says the same.

    What is deleted may keep its SPNs, and no KDC answers for it (rule R4.11).
    """
    return _DELETED_OBJECTS in (key := fold(dn)) and not key.startswith(_DELETED_OBJECTS)
