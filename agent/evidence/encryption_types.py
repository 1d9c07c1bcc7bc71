"""Encryption types of Kerberos by the names that programs print (RFC 3961 8, RFC 3962, RFC 4757, RFC 8009)."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES: Mapping[int, str] = {
    1: "DES-CBC-CRC",
    3: "DES-CBC-MD5",
    16: "DES3-CBC-SHA1",
    17: "AES128-CTS-HMAC-SHA1-96",
    18: "AES256-CTS-HMAC-SHA1-96",
    19: "AES128-CTS-HMAC-SHA256-128",
    20: "AES256-CTS-HMAC-SHA384-192",
    23: "RC4-HMAC",
    24: "RC4-HMAC-EXP",
}

_ALSO: Mapping[str, int] = {
    "rsadsirc4hmacnt": 23,
    "rc4hmacnt": 23,
    "arcfourhmac": 23,
    "rsadsirc4hmacntexp": 24,
    "deprecatedarcfourhmac": 23,
}


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


_BY_KEY: Mapping[str, int] = {**{_key(name): etype for etype, name in NAMES.items()}, **_ALSO}


def etype_of(text: str) -> int | None:
    """The number of a name as klist of Windows, MIT or Heimdal writes it, None for another text."""
    return _BY_KEY.get(_key(text))


def etype_name(etype: int) -> str:
    """What an encryption type is called; its number where nobody named it."""
    return NAMES.get(etype, f"encryption type {etype}")
