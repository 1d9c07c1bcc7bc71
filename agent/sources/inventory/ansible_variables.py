"""Ansible's variables of WinRM: which ones are known here, and what the value of one is good for.

Passwords are never read, vaults never opened, templates never filled in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from agent.errors import UsageError

CONNECTION = "ansible_connection"
GROUP_PRIORITY = "ansible_group_priority"


class Plugin(NamedTuple):
    """The variables of a connection plugin; of several for one thing, the last that is set counts."""

    host: tuple[str, ...]
    port: tuple[str, ...]
    user: tuple[str, ...]
    scheme: str
    transport: str
    kerberos_host: str


WINRM = Plugin(
    ("ansible_host", "ansible_winrm_host"),
    ("ansible_port", "ansible_winrm_port"),
    ("ansible_user", "ansible_winrm_user"),
    "ansible_winrm_scheme",
    "ansible_winrm_transport",
    "ansible_winrm_kerberos_hostname_override",
)
PSRP = Plugin(
    ("ansible_host", "ansible_psrp_host"),
    ("ansible_port", "ansible_psrp_port"),
    ("ansible_user", "ansible_psrp_user"),
    "ansible_psrp_protocol",
    "ansible_psrp_auth",
    "ansible_psrp_negotiate_hostname_override",
)
PLUGINS = {"winrm": WINRM, "psrp": PSRP}

CLIENT_CERTIFICATE = "ansible_winrm_cert_pem"
PASSWORDS = frozenset({"ansible_password", "ansible_winrm_password", "ansible_winrm_pass", "ansible_ssh_pass"})
VALIDATIONS = frozenset({"ansible_winrm_server_cert_validation", "ansible_psrp_cert_validation"})
NOT_HONOURED = frozenset(
    {
        *("ansible_winrm_path", "ansible_winrm_ca_trust_path", CLIENT_CERTIFICATE, "ansible_winrm_cert_key_pem"),
        *("ansible_psrp_path", "ansible_psrp_ca_cert", "ansible_psrp_certificate_pem", "ansible_psrp_proxy"),
        *("ansible_psrp_certificate_key_pem", "ansible_psrp_configuration_name"),
    }
)
_HONOURED = frozenset(
    name
    for one in PLUGINS.values()
    for name in (*one.host, *one.port, *one.user, one.scheme, one.transport, one.kerberos_host)
)
KNOWN = _HONOURED | {CONNECTION, GROUP_PRIORITY} | PASSWORDS | VALIDATIONS | NOT_HONOURED
"""All others are passed over unread."""

VAULT_MARK = "$ANSIBLE_VAULT;"

_VAULTED = "is vaulted, and vaults are not opened here: write the value in clear, or leave it to the command line"
_TEMPLATE = "is a template that only Ansible can fill in: write the value out, or leave it to the command line"
_NO_TEXT = "is neither a text nor a list of texts"


class VariableError(UsageError):
    """A value that counts cannot be used; the message begins with its file and line."""


class Value(Struct, frozen=True):
    """One value of a variable. `parts` is empty for null; `fault` says why it cannot be used, should it count."""

    name: str
    place: str
    parts: tuple[str, ...] = ()
    fault: str | None = None

    def texts(self) -> tuple[str, ...]:
        """The texts of a list, or the one text. Raises VariableError where it cannot be used."""
        if self.fault is not None:
            raise VariableError(f"{self.place}: {self.name} {self.fault}")
        return self.parts

    def text(self) -> str | None:
        """The one text, None for null or an empty one. Raises VariableError as `texts`, and where there are several."""
        texts = self.texts()
        if len(texts) > 1 or any(not text.isprintable() for text in texts):
            raise VariableError(f"{self.place}: {self.name} is not one line of text")
        return texts[0] or None if texts else None


Variables = dict[str, Value]


def value_of(
    name: str, place: str, texts: Iterable[str] | None, *, is_vaulted: bool = False, is_literal: bool = False
) -> Value:
    """A value as far as it is of use: of a password only that there is one.

    `texts` None: what is written is no text; `is_literal`: marked `!unsafe`, so that `{{` is no template.
    """
    if name in PASSWORDS:
        return Value(name, place)
    parts = tuple(text.strip() for text in texts or ())
    if is_vaulted or any(text.startswith(VAULT_MARK) for text in parts):
        return Value(name, place, fault=_VAULTED)
    if texts is None:
        return Value(name, place, fault=_NO_TEXT)
    if not is_literal and any("{{" in text or "{%" in text for text in parts):
        return Value(name, place, fault=_TEMPLATE)
    return Value(name, place, parts)


def last(variables: Variables, *names: str) -> str | None:
    """Of the variables for one thing the last that is set, as in Ansible. Raises VariableError as `Value.text`."""
    texts = [variables[name].text() for name in names if name in variables]
    return next((text for text in reversed(texts) if text), None)
