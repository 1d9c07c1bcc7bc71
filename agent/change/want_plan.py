"""From today to what is wanted: the steps that lead there and no others, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agent.change.overlay import Overlay
from agent.change.plan import Planned, refused
from agent.change.want import Aim, ObstacleError, Want, aim_of
from agent.change.want_move import Move
from agent.change.want_moves import moves
from agent.change.want_order import in_order
from agent.change.want_records import unseen_balancer
from agent.change.want_spns import Now, key, spn_moves, wanted_of
from agent.change.want_told import told
from agent.checks.case import Case
from agent.model import ApplicationRef, Finding, Goal, Plan
from agent.names import AccountName


def wanted_plan(case: Case, findings: Iterable[Finding], wants: Sequence[Want]) -> Planned:
    """The steps for every want that can be reached. Raises UsageError for what nobody has (contract, `--want`)."""
    drafted = _Draft(case, wants)
    steps = tuple(one.step for one in drafted.ordered)
    goals = tuple(drafted.goal(want) for want in wants)
    return Planned(Plan(steps=steps, wanted=goals), (*findings, *refused(case, steps)))


class _Draft:
    """The wants that can be reached together; one that cannot leaves no trace."""

    def __init__(self, case: Case, wants: Sequence[Want]) -> None:
        self.case = case
        self.obstacles: dict[Want, ObstacleError] = {}
        self.aims: dict[Want, Aim] = {}
        self.own: dict[Want, list[Move]] = {}
        for want in wants:
            try:
                self.aims[want] = aim_of(case, want)
            except ObstacleError as obstacle:
                self.obstacles[want] = obstacle
        while not self._try():
            pass
        self.now = Now(case, self.overlay.after())
        unique = {key(move.action): move for each in self.own.values() for move in each}
        self.ordered = in_order(self.now, unique.values())

    def _try(self) -> bool:
        """Whether all that are left go together; else one less."""
        self.overlay, self.own = Overlay(self.case), {}
        left = [want for want in self.aims if want not in self.obstacles]
        for want in left:
            try:
                self.own[want] = moves(self.overlay, self.aims[want])
            except ObstacleError as obstacle:
                self.obstacles[want] = obstacle
                return False
        now = Now(self.case, self.overlay.after())
        for want in left:
            try:
                self._demand_agreement(self.aims[want])
                self.own[want] += spn_moves(now, self.aims[want], self._moved(want), self._all())
                self.own[want] += unseen_balancer(self.case, self.aims[want], self.own[want])
            except ObstacleError as obstacle:
                self.obstacles[want] = obstacle
                return False
        return True

    def _all(self) -> list[Move]:
        return [move for each in self.own.values() for move in each]

    def _moved(self, want: Want) -> frozenset[ApplicationRef]:
        """The applications for which another account decrypts, because of this want or one of the same site."""
        sites = set(self.aims[want].sites)
        mine = {ref for move in self.own[want] for ref in move.switched}
        others = {r for move in self._all() for r in move.switched if (r.server, r.site) in sites}
        return frozenset(mine | others)

    def _demand_agreement(self, aim: Aim) -> None:
        for application in self.case.applications:
            if (application.server, application.site) in aim.sites:
                accounts = set(self.overlay.decryptors(application.reference))
                if accounts and accounts != {aim.account}:
                    raise ObstacleError(
                        "another want lets another account decrypt for the same applications.", aim.account
                    )

    # -- what is said of each ----------------------------------------------------------------------------------

    def goal(self, want: Want) -> Goal:
        """Whether it is so, what leads there, and why."""
        aim, obstacle = self.aims.get(want), self.obstacles.get(want)
        steps = tuple(self._serving(want)) if obstacle is None else ()
        account: AccountName | None = aim.account if aim is not None else None
        if account is None and obstacle is not None:
            account = obstacle.account
        return Goal(
            host=want.host,
            account=account,
            reached=self._reached(aim, obstacle, steps),
            servers=want.servers,
            site=want.site,
            steps=steps,
            because=tuple(self._because(aim, obstacle, steps)),
        )

    def _serving(self, want: Want) -> Iterator[int]:
        """The steps that are its own, and those of others that touch its sites."""
        own, sites = {key(move.action) for move in self.own.get(want, ())}, set(self.aims[want].sites)
        for one in self.ordered:
            if key(one.move.action) in own or any((ref.server, ref.site) in sites for ref in one.move.at):
                yield one.step.order

    def _reached(self, aim: Aim | None, obstacle: ObstacleError | None, steps: tuple[int, ...]) -> bool | None:
        if obstacle is not None:
            return None if obstacle.unlooked or self.case.directory is None else False
        outcomes = {requirement.outcome for requirement in wanted_of(self.case, aim)} if aim is not None else set()
        if steps or not outcomes:
            return False
        return None if outcomes & {"unchecked", "uncertain"} else outcomes == {"kerberos"}

    def _because(self, aim: Aim | None, obstacle: ObstacleError | None, steps: tuple[int, ...]) -> Iterator[str]:
        if obstacle is not None:
            yield str(obstacle)
        if aim is not None:
            mine = [one for one in self.ordered if one.step.order in steps]
            yield from told(self.now, aim, mine)
