"""On which accounts applications need one SPN: the one index behind every question of contest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from agent.model import ApplicationRef, Requirement
from agent.names import AccountName


class Serving(NamedTuple):
    """Applications of one server that answer for a name with one account."""

    server: str
    account: AccountName
    applications: tuple[ApplicationRef, ...]


class Demand:
    """The requirements of one SPN, which can be on one account only; `needed` are those that are not optional.

    The questions go from wide to narrow: `may_be_contested` (several accounts decrypt behind it, if only by a name that
    may fail), `is_contested` (it is needed on several accounts), `conflicts` (on one server, where nothing tells them
    apart), `is_on` (on one account). Of those that are `open` nobody knows whether clients ask for the SPN, or who
    decrypts then: they keep others from acting, but say nothing themselves. Whether servers are one farm for the name
    depends on more than the SPN: see `agent.checks.farm`.
    """

    def __init__(self, requirements: Iterable[Requirement] = (), open_: Iterable[Requirement] = ()) -> None:
        self.requirements = tuple(requirements)
        self.open = tuple(open_)
        self.needed = tuple([each for each in self.requirements if each.need != "optional"])

    @cached_property
    def accounts(self) -> frozenset[AccountName | None]:
        """None stands for applications that no account of the domain can serve, or whose account is not known."""
        return frozenset([requirement.account for requirement in self.needed])

    @property
    def may_be_contested(self) -> bool:
        """Whether it is contested as soon as another record in DNS makes an optional name one that people reach."""
        return len({requirement.account for requirement in self.requirements}) > 1

    @property
    def is_contested(self) -> bool:
        """Whether any account that holds the SPN breaks somebody; applications that no account serves, too.

        These use NTLM while nobody answers, and fail with 401 as soon as one account does.
        """
        return len(self.accounts) > 1

    def is_on(self, account: AccountName) -> bool:
        """Whether an application needs the SPN on this very account."""
        return account in self.accounts

    @cached_property
    def servings(self) -> dict[str, list[Serving]]:
        """Who answers for the name by default, by server; several on one: they conflict."""
        found: dict[str, list[Serving]] = {}
        for serving in self._servings():
            found.setdefault(serving.server, []).append(serving)
        return found

    def _servings(self) -> Iterator[Serving]:
        open_ = set(map(id, self.open))
        for requirement in self.needed:
            if requirement.account is None or requirement.need == "port-variant" or id(requirement) in open_:
                continue
            servers: dict[str, list[ApplicationRef]] = {}
            for reference in requirement.applications:
                servers.setdefault(reference.server, []).append(reference)
            for server, references in servers.items():
                yield Serving(server, requirement.account, tuple(references))

    @property
    def nodes(self) -> list[Serving]:
        """One of each server, where several have the name."""
        return [servings[0] for servings in self.servings.values()] if len(self.servings) > 1 else []

    @property
    def conflicts(self) -> tuple[list[Serving], ...]:
        """Servers on which several accounts must answer for the name at once: no `setspn` can satisfy them."""
        return tuple([servings for servings in self.servings.values() if len(servings) > 1])
