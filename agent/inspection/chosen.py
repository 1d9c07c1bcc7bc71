"""`--server` and `--site`: all is judged, and only these stand in the report, its counts and its exit code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from agent.errors import UsageError
from agent.inspection.servers import Read
from agent.inspection.sources import Only
from agent.model import AccountUse, Application, ApplicationRef, Finding, Requirement
from agent.names import AccountName, Spn, fold, printable
from agent.spelling import did_you_mean


def _matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    folded = [fold(name) for name in names]
    return any(fnmatchcase(name, _shape(pattern)) for pattern in patterns for name in folded)


def _shape(pattern: str) -> str:
    """As `fnmatch` takes it: only `*` and `?` mean something."""
    return fold(pattern).replace("[", "[[]")


def _called(read: Read) -> list[str]:
    """What a server may be called: as the report has it, in full, in short."""
    full, short = read.machine.full_name, read.machine.short_name
    return list(dict.fromkeys([read.label, *(str(name) for name in (full, short) if name is not None)]))


def _sites(read: Read) -> list[str]:
    return [site.name for site in read.configuration.sites] if read.configuration is not None else []


def demand_known(only: Only, reads: Sequence[Read]) -> None:
    """Refuse a name that nobody has, before anybody is asked. Raises UsageError, which lists those there are.

    A site may stand on a server that could not be read.
    """
    servers = [name for read in reads for name in _called(read)]
    _demand("--server", only.servers, servers, [read.label for read in reads])
    if all(read.configuration is not None for read in reads):
        sites = list(dict.fromkeys(chain.from_iterable(map(_sites, reads))))
        _demand("--site", only.sites, sites, sites)


_LISTED = 20


def _demand(option: str, patterns: Iterable[str], names: Sequence[str], shown: Sequence[str]) -> None:
    for pattern in patterns:
        if not _matches([pattern], names):
            more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
            listed = ", ".join(map(printable, shown[:_LISTED])) or "none"
            asked = did_you_mean(pattern, names)
            there = f"{asked} There are" if asked else ": there are"
            raise UsageError(f"{option} {printable(pattern)} matches none{there} {listed}{more}")


class Chosen(Struct, frozen=True, dict=True):
    """What of a run was asked for. `servers` are labels, the others are empty where all was."""

    only: Only
    servers: Collection[str]
    applications: Collection[ApplicationRef]
    needed: Collection[tuple[Spn, AccountName | None]]
    accounts: Collection[AccountName]

    @cached_property
    def _spns(self) -> frozenset[Spn]:
        return frozenset(name for name, _ in self.needed)

    def application(self, application: Application) -> bool:
        """Whether it is one of these."""
        return self.only.is_all or application.reference in self.applications

    def requirement(self, requirement: Requirement) -> Requirement | None:
        """What these applications need of it; None where none of them does."""
        if self.only.is_all:
            return requirement
        places = self._places(requirement.applications)
        return replace(requirement, applications=places) if places else None

    def account(self, use: AccountUse) -> AccountUse | None:
        """What an account is to these applications; None where it is nothing."""
        if self.only.is_all:
            return use
        places = self._places(use.applications)
        if not places:
            return None
        needs, covered = self._known(use.needs), self._known(use.covered)
        lacks = None if use.lacks is None else self._known(use.lacks)
        return replace(use, applications=places, needs=needs, covered=covered, lacks=lacks)

    def finding(self, found: Finding) -> Finding:
        """What a finding says of these servers; one about a name keeps all that answer it."""
        if self.only.is_all or found.spn is not None:
            return found
        return replace(found, servers=tuple(server for server in found.servers if server in self.servers))

    def concerns(self, found: Finding) -> bool:
        """Whether a finding is about one of these, or about no server at all."""
        if self.only.is_all:
            return True
        if (found.spn, found.account) in self.needed or (found.account is None and found.spn in self._spns):
            return True
        servers = found.all_servers
        if servers:
            here = any(server in self.servers for server in servers)
            return here and (found.spn is None or not self.only.sites) and self._is_site(found.site)
        return found.spn is None and (found.account is None or found.account in self.accounts)

    def _is_site(self, site: str | None) -> bool:
        return site is None or not self.only.sites or _matches(self.only.sites, [site])

    def _places(self, references: Iterable[ApplicationRef]) -> tuple[ApplicationRef, ...]:
        return tuple(reference for reference in references if reference in self.applications)

    def _known(self, names: Iterable[Spn]) -> tuple[Spn, ...]:
        return tuple(name for name in names if name in self._spns)


def chosen(
    only: Only, reads: Sequence[Read], applications: Sequence[Application], requirements: Iterable[Requirement]
) -> Chosen:
    """What the names mean in this run. A server that could not be read may have every site."""
    servers = {read.label for read in reads if _is_chosen(only, read)}
    if only.is_all:
        return Chosen(only, servers, (), (), ())
    taken = [each for each in applications if each.server in servers and _is_chosen_site(only, each.site)]
    places = {each.reference for each in taken}
    needed = {(each.spn, each.account) for each in requirements if not places.isdisjoint(each.applications)}
    return Chosen(only, servers, places, needed, {name for each in taken for name in _accounts(each)})


def _is_chosen(only: Only, read: Read) -> bool:
    if only.servers and not _matches(only.servers, _called(read)):
        return False
    return not only.sites or read.configuration is None or _matches(only.sites, _sites(read))


def _is_chosen_site(only: Only, site: str) -> bool:
    return not only.sites or _matches(only.sites, [site])


def _accounts(application: Application) -> Iterator[AccountName]:
    yield from (name for name in (application.decrypts_as, application.pool_account) if name is not None)
