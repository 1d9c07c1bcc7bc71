"""Which encryption types a service ticket for an account can have, as far as its attributes tell (rules, section 5.10).

KB5073381: for accounts without an explicit value a KDC issues AES tickets only, from the update of April 2026 on, and
without a way back since July 2026. An explicit value counts as before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from agent.spn.directory import Account, Directory

# msDS-SupportedEncryptionTypes (MS-KILE 2.2.7)
DES, RC4, AES = 0x3, 0x4, 0x18

FIRST_AES_KEYS = datetime(2008, 2, 4, tzinfo=UTC)
"""The release of Windows Server 2008: no controller before it made AES keys of a password."""

_RESET = "Reset its password, which makes AES keys, and enter the new one in every pool that runs as it."
_ALLOW = "set msDS-SupportedEncryptionTypes to 24 (0x18)"


class Weakness(NamedTuple):
    """Why tickets for an account are refused, or weak; `is_refused`: the KDC answers KDC_ERR_ETYPE_NOTSUPP."""

    text: str
    is_refused: bool
    fix: tuple[str, ...]


def weakness(account: Account, directory: Directory) -> Weakness | None:
    """What is wrong with the encryption types of a user account; a computer writes and renews its own."""
    if account.kind not in {"user", "unknown"} or not directory.exports("msDS-SupportedEncryptionTypes"):
        return None
    explicit = (account.encryption_types or 0) & (DES | RC4 | AES)
    has_keys = _has_aes_keys(account, directory)
    keys = "" if account.password_set is None else f"its password of {account.password_set:%Y-%m-%d} made no AES keys"
    if explicit & RC4:
        return None if explicit & AES and has_keys is not False else _weak(explicit, has_keys, keys)
    if explicit and not explicit & AES:
        return Weakness(f"allows DES only ({explicit:#x})", True, _to_aes(has_keys))
    if has_keys is not False:
        return None
    allowed = f"allows AES only ({explicit:#x})" if explicit else "has no encryption types of its own, so AES is needed"
    return Weakness(f"{allowed}, and {keys}", True, (_RESET,))


def _weak(explicit: int, has_keys: bool | None, keys: str) -> Weakness:
    """RC4 that somebody allowed: it stays, but for clients that take AES only, such as those of Protected Users."""
    why = f"allows RC4 ({explicit:#x}), and {keys}" if explicit & AES else f"allows RC4, not AES ({explicit:#x})"
    return Weakness(why, False, (_RESET,) if explicit & AES else _to_aes(has_keys))


def _to_aes(has_keys: bool | None) -> tuple[str, ...]:
    if has_keys:
        return (f"Its password made AES keys and need not be reset: {_ALLOW}.",)
    if has_keys is False:
        return (_RESET, f"Then {_ALLOW}.")
    return (
        "See whether its password (pwdLastSet) is younger than the domain's AES keys (whenCreated of the group "
        "Read-only Domain Controllers); if not, reset it and enter the new one in every pool that runs as it.",
        f"Then {_ALLOW}.",
    )


def _has_aes_keys(account: Account, directory: Directory) -> bool | None:
    """Whether the password was set by a controller that made AES keys of it; None where nothing tells."""
    if account.password_set is None:
        return None
    if account.password_set < FIRST_AES_KEYS:
        return False
    return None if directory.aes_since is None else account.password_set >= directory.aes_since
