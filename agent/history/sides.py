"""One of two reports to be compared: what it saw, and where its silence proves nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from agent.model import Application, ApplicationRef, Explanation, Report, Requirement, Server
from agent.names import AccountName, Spn, fold

Place = tuple[str, str, str]
"""Server, site and path as they are compared: IIS does not look at case."""

UNKNOWN = frozenset({"unchecked", "uncertain"})

_TOLD = {
    "directory": "the directory was not asked, or not of all the same domains",
    "dns": "DNS was not asked, or not of all the same zones",
    "farm": "no farm file was read",
    "names": "no file of names that clients used was read",
    "client": "other kinds of clients were asked about",
    "url": "it tells of one URL only",
}


class Side:
    """A report beside another one, in which servers, sites and accounts are looked up as both call them."""

    def __init__(self, report: Report, renamed: Mapping[str, str], *, by_name: bool) -> None:
        self.report = report
        self._renamed = renamed
        self._by_name = by_name
        self.other: Side = self

    # -- names -----------------------------------------------------------------------------------------------------

    def key(self, server: str) -> str:
        """A server's name as both sides have it."""
        found = fold(server)
        return self._renamed.get(found, found)

    def place(self, ref: ApplicationRef | Application) -> Place:
        return self.key(ref.server), fold(ref.site), fold(ref.path)

    def account(self, account: AccountName | None) -> tuple[str, str] | None:
        """An account as it is compared: without its domain where nobody said how that is called."""
        if account is None:
            return None
        return "" if self._by_name else fold(str(account.domain)), fold(account.name)

    # -- what it saw -----------------------------------------------------------------------------------------------

    @cached_property
    def servers(self) -> Mapping[str, Server]:
        return {self.key(server.name): server for server in self.report.servers}

    @cached_property
    def applications(self) -> Mapping[Place, Application]:
        return {self.place(application): application for application in self.report.applications}

    @cached_property
    def requirements(self) -> Mapping[Spn, list[Requirement]]:
        found: dict[Spn, list[Requirement]] = {}
        for requirement in self.report.requirements:
            found.setdefault(requirement.spn, []).append(requirement)
        return found

    @cached_property
    def asked(self) -> Mapping[str, frozenset[str]]:
        """By kind of source, of which domains, zones or names it says all ("" where it does not say that)."""
        found: dict[str, set[str]] = {}
        for requirement in self.report.requirements:
            found.setdefault("client", set()).update(requirement.asked_by)
            if requirement.holders is not None and self._is_old_or_beside_one:
                found.setdefault("directory", set()).add("")
        for read in self.report.summary.read if self.report.summary is not None else ():
            if read.asked and read.kind in _TOLD:
                covers = () if self._is_old_or_beside_one else map(fold, read.covers)
                found.setdefault(read.kind, set()).update(covers or ("",))
        if not isinstance(self.report, Explanation):
            found["url"] = {""}
        return {kind: frozenset(covered) for kind, covered in found.items()}

    @property
    def _is_old_or_beside_one(self) -> bool:
        """A report of the first schema does not say what was read."""
        return self.report.summary is None or self.other.report.summary is None

    # -- where its silence proves nothing --------------------------------------------------------------------------

    @cached_property
    def silent(self) -> frozenset[str]:
        """The kinds of sources that saw less here than on the other side, or not all."""
        less = {kind for kind, covered in self.other.asked.items() if covered - self.asked.get(kind, frozenset())}
        if not self.report.requirements:
            less.discard("client")  # nothing asks, so nobody can tell which kinds were meant
        less |= {
            f.id.partition("-")[0] for f in self.report.findings if f.id in {"directory-incomplete", "dns-incomplete"}
        }
        return frozenset(less)

    @cached_property
    def unread(self) -> frozenset[str]:
        """The servers of which it does not know all."""
        return frozenset(key for key, server in self.servers.items() if server.status != "ok")

    @cached_property
    def without_content(self) -> frozenset[str]:
        """The servers whose web.config files were not looked at."""
        return frozenset(
            key
            for key, server in self.servers.items()
            if any(problem.id == "content-not-collected" for problem in server.problems)
        )

    def settings_known(self, key: str) -> bool:
        """Whether both sides know all the settings of a server, or as much of them."""
        is_whole = key not in self.unread and key not in self.other.unread
        return is_whole and (key in self.without_content) == (key in self.other.without_content)

    def denies(self, servers: Iterable[str], kinds: Collection[str] = frozenset(_TOLD)) -> bool:
        """Whether what this side does not have of these servers, as it would see from these kinds, is not there.

        Of a server that nobody looked at it denies nothing.
        """
        keys = set(servers)
        if self.silent & set(kinds) or keys & self.unread:
            return False
        return not keys or not keys.isdisjoint(self.servers)

    def is_open(self, spn: Spn) -> bool:
        """Whether this side wants an SPN and does not know what happens with it."""
        return any(requirement.outcome in UNKNOWN for requirement in self.requirements.get(spn, ()))

    def gaps(self, called: str, conclusion: str) -> Iterator[str]:
        """Why some of what it does not have is not known to be gone, or to be new."""
        for kind in sorted(self.silent):
            yield f"{called}: {_TOLD[kind]}; what only that shows is not known to be {conclusion}."
        for key, server in self.servers.items():
            if key in self.unread:
                lacking = f"what it does not have there is not known to be {conclusion}"
                yield f"{called}: {server.name} was not read whole; {lacking}."
            elif key in self.without_content and key in self.other.servers and key not in self.other.without_content:
                yield f"{called}: web.config files of {server.name} were not looked at; its settings are not compared."


def both_sides(old: Report, new: Report) -> tuple[Side, Side]:
    """Two reports side by side. A single server that nobody named is the single one of the other side."""
    by_name = any("netbios_domain" in server.guessed for report in (old, new) for server in report.servers)
    before, after = Side(old, {}, by_name=by_name), Side(new, _renamed(old, new), by_name=by_name)
    before.other, after.other = after, before
    return before, after


def _renamed(old: Report, new: Report) -> Mapping[str, str]:
    if len(old.servers) != 1 or len(new.servers) != 1:
        return {}
    first, second = old.servers[0], new.servers[0]
    is_nameless = "name" in first.guessed or "name" in second.guessed
    return {fold(second.name): fold(first.name)} if is_nameless else {}
