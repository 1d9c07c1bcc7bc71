"""Which NetBIOS name belongs to which DNS domain, as far as anybody said: nothing is concluded from a guess.

The first label of the DNS name is the NetBIOS name of many domains and of many it is not, so a guessed label is shown
and marked. Accounts are compared by DNS domain and sAMAccountName.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from agent.iis.snapshot import Machine
from agent.names import Guess, fold
from agent.spn.directory import Directory


class Placed(NamedTuple):
    """The domain that a label means. `dns` is empty where nobody knows it; `provided` is what is taken for granted."""

    dns: str
    provided: str = ""


class Domains(Struct, frozen=True, kw_only=True):
    """The domains of one run. `read` has NetBIOS names by folded DNS name; `known` all DNS names that occur, folded."""

    read: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def label(self, dns: str) -> str | Guess:
        """The NetBIOS name of a domain; its first label in capitals where nobody said it."""
        return self.read.get(fold(dns)) or guessed_label(dns)

    def placed(self, label: str, home: str = "") -> Placed:
        """The domain that stands before a backslash, in either form, on a machine of the domain `home`.

        A label that is the guessed one of exactly one domain counts as that domain's, provided that the guess is right.
        """
        if "." in label:
            return Placed(fold(label))
        saying = [dns for dns, netbios in self.read.items() if fold(netbios) == fold(label)]
        if saying:
            return Placed(fold(home) if fold(home) in saying else saying[0] if len(saying) == 1 else "")
        unnamed = sorted(dns for dns in self.known - set(self.read) if fold(guessed_label(dns).text) == fold(label))
        if len(unnamed) == 1:
            return Placed(unnamed[0], f"{label} is {unnamed[0]}")
        return Placed("")


def guessed_label(dns: str) -> Guess:
    """The NetBIOS name that most domains of this DNS name have: its first label, in capitals, 15 characters."""
    return Guess(dns.partition(".")[0].upper()[:15])


def domains_of(directory: Directory | None, machines: Iterable[Machine]) -> Domains:
    """What a directory (crossRef, msDS-PrincipalName, --netbios-domain) and the machines say of their domains."""
    read: dict[str, str] = {}
    known: set[str] = set()
    for domain in directory.domains if directory is not None else ():
        known.add(fold(domain.dns_name))
        if domain.netbios:
            read[fold(domain.dns_name)] = domain.netbios
    for machine in machines:
        if machine.domain:
            known.add(fold(machine.domain))
            if machine.netbios_domain:
                read.setdefault(fold(machine.domain), machine.netbios_domain)
    return Domains(read=read, known=frozenset(known))
