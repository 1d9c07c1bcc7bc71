"""What directory and configuration say of an SPN that evidence speaks of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

from msgspec import Struct

from agent.evidence.captured import Captured
from agent.evidence.diagnosis import Reason
from agent.evidence.told import reason
from agent.evidence.tried import Tried
from agent.model import Application, ApplicationRef, Finding, Report, Requirement
from agent.names import HostName, Spn, fold, host_name, netbios_name, spn
from agent.spn.directory import Account, Directory
from agent.spn.nameservice import NameService

K = TypeVar("K")
V = TypeVar("V")


class Answer(NamedTuple):
    """Whom a KDC would pick for an SPN; `is_exact` False: by the HOST/ SPN behind it."""

    accounts: tuple[Account, ...]
    is_exact: bool
    directory: Directory


class Known(Struct, frozen=True, dict=True):
    """All that a cause is judged by. `directories`: one for each forest; `report` None: no configuration was given."""

    evidence: Sequence[Captured]
    directories: Sequence[Directory] = ()
    service: NameService | None = None
    report: Report | None = None

    @cached_property
    def sent(self) -> Mapping[str, list[Captured]]:
        """The tickets in requests, by source, in the order of their lines."""
        sent = [one for one in self.evidence if one.kind == "ap-req" and one.facts.spn]
        return _grouped((one.source, one) for one in sorted(sent, key=lambda each: each.line))

    @cached_property
    def web_tickets(self) -> frozenset[Spn]:
        """The web services for which a ticket was seen."""
        kinds = {"ap-req", "event-4", "klist"}
        asked = {spn(one.facts.spn) for one in self.evidence if one.kind in kinds and one.facts.spn}
        return frozenset(name for name in asked if name.service == "http")

    def answer(self, name: Spn) -> Answer | None:
        """Whom a KDC picks; None where nobody looked, or what was looked at proves no absence."""
        found = [one for directory in self.directories if (one := _answer(directory, name)) is not None]
        return next((one for one in found if one.accounts), found[0] if found else None)

    def requirements(self, name: Spn) -> list[Requirement]:
        """On which accounts the inspected servers need it."""
        return self._needed.get(name, [])

    @cached_property
    def _needed(self) -> Mapping[Spn, list[Requirement]]:
        return _grouped((one.spn, one) for one in self._requirements)

    @property
    def _requirements(self) -> Sequence[Requirement]:
        return self.report.requirements if self.report is not None else ()

    def findings(self, name: Spn) -> list[Finding]:
        """What was found about it, the worst first."""
        return self._found.get(name, [])

    @cached_property
    def _found(self) -> Mapping[Spn, list[Finding]]:
        found = self.report.findings if self.report is not None else ()
        return _grouped((one.spn, one) for one in sorted(found, key=lambda one: one.rank) if one.spn is not None)

    def decrypted_by(self, who: Tried) -> list[Requirement]:
        """What the inspected servers need on an account."""
        wanted = self._served.get(who.name, [])
        return [one for one in wanted if one.account is not None and who.match(one.account) in {"same", "unknown"}]

    @cached_property
    def _served(self) -> Mapping[str, list[Requirement]]:
        """What is needed on the accounts of one name."""
        return _grouped((one.account.key, one) for one in self._requirements if one.account is not None)

    def applications(self, requirement: Requirement) -> list[Application]:
        """The applications that need an SPN."""
        places = {place for place in requirement.applications if place in self._applications}
        return [one for place in sorted(places, key=self._order) for one in self._applications[place]]

    @cached_property
    def _applications(self) -> Mapping[ApplicationRef, list[Application]]:
        return _grouped((one.reference, one) for one in (self.report.applications if self.report is not None else ()))

    @cached_property
    def _order(self) -> Callable[[ApplicationRef], int]:
        """The place of an application in the report."""
        return {place: number for number, place in enumerate(self._applications)}.__getitem__

    def servers_of(self, requirements: Sequence[Requirement]) -> set[str]:
        """The folded computer names of the servers that need these."""
        return {fold(netbios_name(a.server)) for one in requirements for a in one.applications}

    def is_inspected(self, who: Tried) -> bool:
        """Whether it is the computer of an inspected server."""
        servers = self.report.servers if self.report is not None else ()
        return who.is_computer and who.name.removesuffix("$") in {fold(netbios_name(one.name)) for one in servers}

    def named(self, who: Tried) -> list[Account]:
        """The accounts of this name that were read."""
        return [one for directory in self.directories for one in directory.named(who.name)]

    @cached_property
    def issued(self) -> list[Captured]:
        """The events 4769 of tickets for services, which name whose key encrypted."""
        return [one for one in self.evidence if _is_issued(one)]

    @cached_property
    def with_key_version(self) -> Mapping[Spn, list[Captured]]:
        """The tickets that say the version of their key."""
        told = [one for one in self.evidence if one.facts.kvno is not None and one.facts.spn]
        return _grouped((spn(one.facts.spn or ""), one) for one in told)

    @cached_property
    def _unfound(self) -> Mapping[Spn, list[Captured]]:
        asked = [one for one in self.evidence if one.kind == "setspn" and one.facts.count == 0]
        return _grouped((spn(one.facts.spn or ""), one) for one in asked)

    def not_found(self, name: Spn | None) -> Reason | None:
        """That somebody asked for an SPN and saw no account, which proves nothing of the rest of the forest."""
        asked = self._unfound.get(name, []) if name is not None else []
        return reason(asked[0]) if asked else None

    @cached_property
    def _addressed(self) -> frozenset[HostName]:
        seen = [one.facts for one in self.evidence if one.kind == "dns" and one.facts.addresses]
        return frozenset(host_name((each.host_names or ("",))[0]) for each in seen if each.alias_of is None)

    def is_no_alias(self, host: HostName) -> bool:
        """Whether somebody asked for a name, and it has an address of its own."""
        found = self.service.resolve(host) if self.service is not None else None
        return host in self._addressed or (found is not None and not found.is_alias and bool(found.addresses))

    def aliases_of(self, host: HostName) -> list[tuple[HostName, Reason]]:
        """The names that are known to be aliases of this one, and who says so."""
        return self._aliases.get(host, [])

    @cached_property
    def _aliases(self) -> Mapping[HostName, list[tuple[HostName, Reason]]]:
        told = [
            (host_name(one.facts.alias_of), (host_name((one.facts.host_names or ("",))[0]), reason(one)))
            for one in self.evidence
            if one.facts.alias_of
        ]
        if self.service is not None:
            for name, found in self.service.aliases():
                text = f"DNS: {name} is an alias of {found.canonical}"
                told.append((found.canonical, (name, Reason(self.service.source, None, text, "client"))))
        return _grouped(told)


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def _is_issued(one: Captured) -> bool:
    account = one.facts.account
    return one.kind == "event-4769" and not one.facts.status and account is not None and fold(account) != "krbtgt"


def _answer(directory: Directory, name: Spn) -> Answer | None:
    exact = directory.holders(name, None)
    if exact or exact is None:
        return None if exact is None else Answer(exact, True, directory)
    answers = directory.answers(name, None)
    return None if answers is None else Answer(answers, False, directory)


def holder_reason(answer: Answer, name: Spn) -> Reason:
    """What the directory says, as a reason."""
    shown = name if answer.is_exact else name.with_service("HOST")
    if not answer.accounts:
        text = f"nobody holds {name}, nor {shown}" if shown != name else f"nobody holds {name}"
    else:
        holders = " and ".join(str(account.name) for account in answer.accounts)
        text = f"{shown} is on {holders}"
        text = text if answer.is_exact else f"nobody holds {name}, so {text} answers for it"
    return Reason(answer.directory.source, None, text, "directory")


def configured_reason(applications: Sequence[Application], name: Spn) -> Reason | None:
    """Who decrypts by the configuration, as a reason."""
    one = next((application for application in applications if application.decrypts_as is not None), None)
    if one is None:
        return None
    origin = one.origins.pool_credentials or one.origins.kernel_mode
    file, line = (origin.file, origin.line) if origin is not None else (None, None)
    text = f"{one.decrypts_as} decrypts for {one.server}/{one.site}{one.path} ({name})"
    return Reason(file or one.server, line, text, "configuration")
