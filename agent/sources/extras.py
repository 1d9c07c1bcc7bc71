"""The parts of the installation that not everybody needs: what each consists of, and the command that adds it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Literal

from agent.errors import UsageError

Extra = Literal["sweep", "ldap", "kerberos", "jea", "evtx"]

PARTS: Mapping[Extra, tuple[str, ...]] = {
    "sweep": ("winrm", "spnego", "cryptography", "greenlet", "h11", "yaml"),
    "ldap": ("sansldap", "spnego", "cryptography"),
    "kerberos": ("gssapi", "krb5"),
    "jea": ("pypsrp",),
    "evtx": ("evtx",),
}
"""The modules that make up each extra of pyproject.toml. Windows needs none of `kerberos`: SSPI is its own."""


def is_installed(extra: Extra) -> bool:
    """Whether every module of an extra is there; nothing is imported for that."""
    return all(importlib.util.find_spec(name) is not None for name in PARTS[extra])


def how_to_install(extra: Extra) -> str:
    """The command; cmd, PowerShell and POSIX shells all take double quotes."""
    return f'pip install "iis-spn[{extra}]"'


def demand(extra: Extra, what: str) -> None:
    """Raise UsageError where `what` (an option or a command) needs an extra that is not there."""
    if not is_installed(extra):
        raise UsageError(f"{what} needs the extra {extra}: {how_to_install(extra)}")
