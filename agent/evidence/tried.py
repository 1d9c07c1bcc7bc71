"""Who tried to decrypt, as a server or an event names it: `contososvc`, `iis01$`, `host/iis01.test.com`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from agent.names import AccountName, fold, netbios_name
from agent.spn.directory import Account

Match = Literal["same", "namesake", "other", "unknown"]
"""`namesake`: an account of the same name in another domain. `unknown`: the same name, the domain is not known."""


class Tried(Struct, frozen=True):
    """`name` is the folded sAMAccountName, `realm` the folded DNS name of its domain; empty where nobody said it."""

    text: str
    name: str
    realm: str

    @property
    def is_computer(self) -> bool:
        return self.name.endswith("$")

    def match(self, account: Account | AccountName) -> Match:
        """Whether it is this account. A setspn text names a computer without its `$`."""
        name = account.name if isinstance(account, Account) else account
        names = {self.name}
        if isinstance(account, Account) and account.is_named_by_cn:
            names.add(self.name.removesuffix("$"))
        if fold(name.name) not in names:
            return "other"
        if not self.realm or not name.dns:
            return "unknown"
        return "same" if self.realm == name.dns else "namesake"


def tried(server: str, realm: str | None) -> Tried:
    """Read the name of a server in a KRB-ERROR or in event 4 (rules 10.1, 10.4)."""
    text, _, suffix = server.partition("@")
    domain, backslash, account = text.rpartition("\\")
    service, slash, host = account.partition("/")
    name = f"{netbios_name(host)}$" if slash and service else account
    said = realm or suffix or (domain if backslash and "." in domain else "")
    return Tried(server, fold(name), fold(said))
