"""The engine of `sweep`: an outcome for each server, the canary, and the stop before an account is locked out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sources.endpoint import Endpoint
from agent.sources.winrm.errors import RefusedError, UnreachableError
from agent.sweep import run as engine
from agent.sweep.run import Gate, Result, sweep


def endpoints(count: int, user: str | None = None) -> list[Endpoint]:
    return [Endpoint(name=f"web{n:04d}", host=f"web{n:04d}", user=user) for n in range(1, count + 1)]


def number(endpoint: Endpoint) -> int:
    return int(endpoint.name[-4:])


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is spread over time, and tests of hypothesis run many sweeps."""
    monkeypatch.setattr(engine, "JITTER_SECONDS", 0.0)


class Farm:
    """Servers as the engine sees them: who is sent credentials, and how many at a time."""

    def __init__(self, refuses: Callable[[int], bool] = lambda _n: False) -> None:
        self.refuses = refuses
        self.sent: list[int] = []
        self.at_once = 0
        self.most_at_once = 0
        self.most_logons_at_once = 0
        self._logons = 0

    async def ask(self, endpoint: Endpoint, gate: Gate) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            async with gate(endpoint):
                self.sent.append(number(endpoint))
                self._logons += 1
                self.most_logons_at_once = max(self.most_logons_at_once, self._logons)
                await asyncio.sleep(0)
                self._logons -= 1
                if self.refuses(number(endpoint)):
                    raise RefusedError("logon", "the password is wrong", "Check it.")
            await asyncio.sleep(0)
            return endpoint.name.upper()
        finally:
            self.at_once -= 1


def run(farm: Farm, count: int, **options: object) -> list[Result[str]]:
    return asyncio.run(sweep(endpoints(count), farm.ask, **options))  # type: ignore[arg-type]


def failed(outcomes: Sequence[Result[str]]) -> dict[str, str]:
    return {outcome.endpoint.name: outcome.failure.stage for outcome in outcomes if outcome.failure is not None}


def test_every_server_has_one_outcome_in_the_order_asked() -> None:
    outcomes = run(Farm(), 100, parallel=7)
    assert [outcome.answer for outcome in outcomes] == [f"WEB{n:04d}" for n in range(1, 101)]


def test_at_most_so_many_at_once() -> None:
    farm = Farm()
    run(farm, 50, parallel=8)
    assert farm.most_at_once == 8


def test_nobody_at_all() -> None:
    assert run(Farm(), 0) == []


def test_a_failure_and_a_fault_of_ours_cost_no_other_server_anything() -> None:
    async def ask(endpoint: Endpoint, _gate: Gate) -> str:
        await asyncio.sleep(0)
        if number(endpoint) == 3:
            raise UnreachableError("connect", "nobody listens there", "Start WinRM.")
        if number(endpoint) == 5:
            raise KeyError("a slip")
        return "fine"

    outcomes = asyncio.run(sweep(endpoints(6), ask, parallel=2))
    assert failed(outcomes) == {"web0003": "connect", "web0005": "internal error"}
    fault = outcomes[4].failure
    assert fault is not None
    assert "a fault of this program (KeyError in test_sweep.py:" in fault.reason
    assert [outcome.answer for outcome in outcomes].count("fine") == 4


@pytest.mark.parametrize(("is_passing", "asked"), [(True, 2), (False, 1)])
def test_only_what_may_have_passed_is_asked_again_and_once(
    is_passing: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.0)
    times = 0

    async def ask(_endpoint: Endpoint, _gate: Gate) -> str:
        nonlocal times
        times += 1
        raise UnreachableError("connect", "closed at once", "Look.", is_passing=is_passing)

    assert failed(asyncio.run(sweep(endpoints(1), ask))) == {"web0001": "connect"}
    assert times == asked


def test_what_has_passed_when_asked_again_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.0)
    troubles = [UnreachableError("resolve", "no answer", "Look.", is_passing=True)]

    async def ask(_endpoint: Endpoint, _gate: Gate) -> str:
        if troubles:
            raise troubles.pop()
        return "fine"

    assert failed(asyncio.run(sweep(endpoints(1), ask))) == {}


# -- credentials ---------------------------------------------------------------------------------------------------


def test_until_one_server_has_accepted_the_credentials_they_go_to_no_other() -> None:
    first = asyncio.Event()
    sent: list[str] = []

    async def ask(endpoint: Endpoint, gate: Gate) -> str:
        async with gate(endpoint):
            sent.append(endpoint.name)
            if not first.is_set():
                for _ in range(10):
                    await asyncio.sleep(0)
                assert sent == [endpoint.name]
                first.set()
        return "fine"

    outcomes = asyncio.run(sweep(endpoints(20), ask, parallel=20))
    assert failed(outcomes) == {}
    assert len(sent) == 20


def test_a_refusal_by_the_first_server_stops_the_sweep_before_anyone_else_is_asked() -> None:
    farm = Farm(refuses=lambda _n: True)
    outcomes = run(farm, 30, parallel=30)
    assert len(farm.sent) == 1
    assert len(failed(outcomes)) == 30
    other = next(o.failure for o in outcomes if number(o.endpoint) != farm.sent[0])
    assert other is not None
    assert "so that no account is locked out" in other.reason
    assert f"the logon at web{farm.sent[0]:04d} failed: the password is wrong" in other.reason


def test_a_server_that_dies_during_the_logon_passes_the_turn_on() -> None:
    async def ask(endpoint: Endpoint, gate: Gate) -> str:
        async with gate(endpoint):
            await asyncio.sleep(0)
            if number(endpoint) <= 3:
                raise UnreachableError("logon", "the connection was closed", "Look at the server.")
        return "fine"

    assert failed(asyncio.run(sweep(endpoints(9), ask))) == dict.fromkeys(("web0001", "web0002", "web0003"), "logon")


def test_after_an_acceptance_a_refusal_is_that_servers_own() -> None:
    outcomes = run(Farm(refuses=lambda n: n in {5, 9}), 20, parallel=1)
    assert set(failed(outcomes)) == {"web0005", "web0009"}


@pytest.mark.parametrize("between", [1, 7])
def test_the_third_refusal_stops_the_sweep_whoever_accepts_between(between: int) -> None:
    farm = Farm(refuses=lambda n: n % (between + 1) == 0)
    outcomes = run(farm, 40, parallel=1)
    third = 3 * (between + 1)
    assert farm.sent == list(range(1, third + 1))
    assert len(failed(outcomes)) == 3 + 40 - third
    last = outcomes[-1].failure
    assert last is not None
    assert f"at 3 servers, last web{third:04d}," in last.reason


@pytest.mark.parametrize(
    ("refusing", "most"),
    [((), [1, 3, 3, 3, 3, 8, 8, 8, 8, 8, 8]), ((7,), [1, 3, 3, 3, 3, 8, 8, 1, 2, 2, 2, 2, 7, 7])],
)
def test_with_each_server_that_accepts_more_may_judge_and_a_refusal_leads_back(
    refusing: tuple[int, ...], most: list[int]
) -> None:
    """How many would be let in beside each other, before each server's verdict."""

    async def scenario() -> list[int]:
        door, seen = engine.Door(continue_on_denied=False), list[int]()
        for endpoint in endpoints(len(most)):
            waiting = [asyncio.ensure_future(_stays(door, other)) for other in endpoints(20)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(sum(task.done() for task in waiting))
            for task in waiting:
                if not task.done():
                    task.cancel()
            for task in await asyncio.gather(*waiting, return_exceptions=True):
                if isinstance(task, contextlib.AsyncExitStack):
                    with contextlib.suppress(UnreachableError):
                        async with task:
                            raise UnreachableError("logon", "no verdict", "Look.")
            with contextlib.suppress(RefusedError):
                async with door.turn(endpoint):
                    if number(endpoint) in refusing:
                        raise RefusedError("logon", "the password is wrong", "Check it.")
        return seen

    assert asyncio.run(scenario()) == most


async def _stays(door: engine.Door, endpoint: Endpoint, domain: str = "") -> contextlib.AsyncExitStack:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(door.turn(endpoint, domain))
        return stack.pop_all()


Course = tuple[bool, int, int]
"""A server: whether it takes any password, how long until it is asked, how long it judges."""


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60),
    st.sampled_from([1, 2, 8, 64]),
)
def test_a_wrong_password_is_never_judged_often_enough_to_lock_the_account(
    courses: list[Course], parallel: int
) -> None:
    """Whichever servers take any password, and whatever comes first: Windows locks at five or at ten."""
    refused, under_way, most, takers = 0, 0, 0, set[str]()
    spoken = 0

    async def ask(endpoint: Endpoint, gate: Gate) -> str:
        nonlocal refused, under_way, most, spoken
        takes_any, before, takes = courses[number(endpoint) - 1]
        for _ in range(before):
            await asyncio.sleep(0)
        async with gate(endpoint):
            under_way += 1
            most = max(most, refused + under_way)
            allowed = 3 if len(takers) < 5 else 8
            assert refused + under_way <= (1 if not takers else allowed)
            for _ in range(takes):
                await asyncio.sleep(0)
            under_way -= 1
            spoken += 1
            if not takes_any:
                refused += 1
                raise RefusedError("logon", "the password is wrong", "Check it.")
            takers.add(endpoint.name)
        return "fine"

    outcomes = asyncio.run(sweep(endpoints(len(courses)), ask, parallel=parallel))
    faults = [
        o.failure.reason for o in outcomes if o.failure is not None and "a fault of this program" in o.failure.reason
    ]
    assert (faults, most <= 8) == ([], True)
    if refused < 3 and takers:
        assert spoken == len(courses)


# -- where the account's own domain has proved the password --------------------------------------------------------

DOMAIN = "corp.test"


def let_in(accepting: int, proofs: int, *, refusing: Sequence[str] = (), asked: Sequence[str]) -> list[bool]:
    """Which of those that ask, by the domain they are of, is let in beside the others: after so many members of DOMAIN
    accepted and so many proved the password, and after servers of those domains refused it.
    """

    async def scenario() -> list[bool]:
        door = engine.Door(continue_on_denied=False)
        for endpoint in endpoints(accepting):
            async with door.turn(endpoint, DOMAIN) as prove:
                pass
            if number(endpoint) <= proofs:
                prove()
        for endpoint, domain in zip(endpoints(len(refusing)), refusing, strict=True):
            with contextlib.suppress(RefusedError):
                async with door.turn(endpoint, domain):
                    raise RefusedError("logon", "the password is wrong", "Check it.")
        waiting = [
            asyncio.ensure_future(_stays(door, endpoint, domain))
            for endpoint, domain in zip(endpoints(len(asked)), asked, strict=True)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        inside = [task.done() and task.exception() is None for task in waiting]
        for task in waiting:
            task.cancel()
        return inside

    return asyncio.run(scenario())


@pytest.mark.parametrize("accepting", [3, 4, 9])
@pytest.mark.parametrize("proofs", [0, 1, 3])
def test_its_members_wait_for_nobody_and_all_others_do(accepting: int, proofs: int) -> None:
    at_once = 3 if accepting < 5 else 8
    is_proved = accepting >= engine.MEMBERS and proofs > 0
    assert sum(let_in(accepting, proofs, asked=[DOMAIN] * 50)) == (50 if is_proved else at_once)
    assert sum(let_in(accepting, proofs, asked=[""] * 50)) == at_once
    assert sum(let_in(accepting, proofs, asked=["other.test"] * 50)) == at_once
    mixed = let_in(accepting, proofs, asked=["", DOMAIN] * 25)
    assert sum(mixed) == (25 + at_once if is_proved else at_once)


def test_a_member_that_refuses_leaves_nothing_proved_and_a_stranger_does() -> None:
    assert sum(let_in(20, 20, refusing=[DOMAIN], asked=[DOMAIN] * 50)) == 1
    assert sum(let_in(20, 20, refusing=[""], asked=[DOMAIN] * 50)) == 50
    assert sum(let_in(20, 20, refusing=[""], asked=[""] * 50)) == 1


@pytest.mark.parametrize("refusing", [[DOMAIN] * 3, [""] * 3, ["", DOMAIN, "other.test"]])
def test_the_third_refusal_stops_members_too(refusing: list[str]) -> None:
    assert sum(let_in(20, 20, refusing=refusing, asked=[DOMAIN] * 50)) == 0


Kind = tuple[str, bool, bool]
"""A server: the domain it says it is of, whether it takes the password, whether it has the keys of it."""


class Judges:
    """A farm in which no two servers need to agree; it keeps what the door lets out."""

    def __init__(self, farm: list[tuple[Kind, int, int, int]]) -> None:
        self._farm = farm
        self.refused: dict[str, int] = {}
        self.under_way: dict[str, int] = {}
        self.asked = 0

    def at_stake(self, *domains: str) -> int:
        """How often it was refused, or may yet be, by servers of these domains."""
        return sum(self.refused.get(domain, 0) + self.under_way.get(domain, 0) for domain in domains)

    def look(self) -> None:
        """What must hold each time one more judges."""

    async def ask(self, endpoint: Endpoint, gate: Gate) -> str:
        (domain, takes_it, has_keys), before, during, after = self._farm[number(endpoint) - 1]
        for _ in range(before):
            await asyncio.sleep(0)
        async with gate(endpoint, domain) as prove:
            self.asked += 1
            self.under_way[domain] = self.under_way.get(domain, 0) + 1
            self.look()
            for _ in range(during):
                await asyncio.sleep(0)
            self.under_way[domain] -= 1
            if not takes_it:
                self.refused[domain] = self.refused.get(domain, 0) + 1
                raise RefusedError("logon", "the password is wrong", "Check it.")
        for _ in range(after):
            await asyncio.sleep(0)
        if has_keys:
            prove()
        return "fine"

    def run(self, parallel: int) -> list[Result[str]]:
        outcomes = asyncio.run(sweep(endpoints(len(self._farm)), self.ask, parallel=parallel))
        faults = [
            one.failure.reason for one in outcomes if one.failure is not None and "a fault of" in one.failure.reason
        ]
        assert faults == []
        return outcomes


def farms(kinds: list[Kind]) -> st.SearchStrategy[list[tuple[Kind, int, int, int]]]:
    steps = st.integers(0, 5)
    return st.lists(st.tuples(st.sampled_from(kinds), steps, steps, steps), min_size=1, max_size=60)


OUTSIDE: list[Kind] = [("", True, True), ("", False, False), ("other.test", True, True), ("other.test", False, False)]
LYING: list[Kind] = [(DOMAIN, True, False)]
"""It says that it is a member, and takes anything; but whoever knows only a wrong password shares no key with it."""


@given(farms([*OUTSIDE, *LYING, (DOMAIN, False, False)]), st.sampled_from([2, 8, 64]))
def test_a_password_that_the_domain_does_not_know_is_judged_eight_times_at_most(
    farm: list[tuple[Kind, int, int, int]], parallel: int
) -> None:
    class Wrong(Judges):
        def look(self) -> None:
            assert self.at_stake("", DOMAIN, "other.test") <= 8

    Wrong(farm).run(parallel)


@given(farms([*OUTSIDE, (DOMAIN, True, True), (DOMAIN, True, True)]), st.sampled_from([2, 8, 64]))
def test_a_right_one_is_still_judged_elsewhere_eight_times_at_most(
    farm: list[tuple[Kind, int, int, int]], parallel: int
) -> None:
    class Right(Judges):
        def look(self) -> None:
            assert self.at_stake("", "other.test") <= 8

    judges = Right(farm)
    outcomes = judges.run(parallel)
    if sum(judges.refused.values()) < (3 if any(one.answer for one in outcomes) else 1):
        assert judges.asked == len(farm)


@given(farms([*OUTSIDE, (DOMAIN, True, True), (DOMAIN, False, False)]), st.sampled_from([2, 8, 64]))
def test_a_domain_at_odds_with_itself_is_asked_no_more_than_is_under_way(
    farm: list[tuple[Kind, int, int, int]], parallel: int
) -> None:
    """A controller that does not know the new password yet, and cannot ask the one that does."""

    class AtOdds(Judges):
        def look(self) -> None:
            assert sum(self.refused.values()) < 3

    judges = AtOdds(farm)
    judges.run(parallel)
    assert sum(judges.refused.values()) <= parallel + 2


# -- who waits, and who continues ----------------------------------------------------------------------------------


def test_one_who_waits_and_gives_up_keeps_no_place() -> None:
    async def scenario() -> int:
        door = engine.Door(continue_on_denied=False)
        first, second, third = endpoints(3)
        async with door.turn(first):
            waiting = asyncio.ensure_future(_stays(door, second))
            await asyncio.sleep(0)
            waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        async with contextlib.AsyncExitStack() as stack:
            for endpoint in (first, second, third):
                await stack.enter_async_context(door.turn(endpoint))
            return 3

    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == 3


def test_what_is_no_verdict_about_the_credentials_never_stops_the_sweep() -> None:
    async def ask(endpoint: Endpoint, gate: Gate) -> str:
        async with gate(endpoint):
            await asyncio.sleep(0)
            if number(endpoint) > 1:
                raise UnreachableError("logon", "access is denied (5)", "Ask for rights.")
        return "fine"

    outcomes = asyncio.run(sweep(endpoints(10), ask, parallel=1))
    assert all(o.failure is not None and o.failure.reason == "access is denied (5)" for o in outcomes[1:])


def test_continue_on_denied_asks_everyone() -> None:
    farm = Farm(refuses=lambda n: n != 7)
    outcomes = run(farm, 10, parallel=4, continue_on_denied=True)
    assert sorted(farm.sent) == list(range(1, 11))
    assert len(failed(outcomes)) == 9


@pytest.mark.parametrize("refusals", [7, 8])
@pytest.mark.parametrize("is_taken_first", [True, False])
def test_who_continues_after_eight_refusals_waits_for_nobody(refusals: int, is_taken_first: bool) -> None:
    """In a mixed farm of 1,000 a refusal led back to one by one some 300 times."""

    async def scenario() -> int:
        door = engine.Door(continue_on_denied=True)
        for endpoint in endpoints(refusals + is_taken_first):
            with contextlib.suppress(RefusedError):
                async with door.turn(endpoint):
                    if number(endpoint) > is_taken_first:
                        raise RefusedError("logon", "the password is wrong", "Check it.")
        waiting = [asyncio.ensure_future(_stays(door, other)) for other in endpoints(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        let_in = sum(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        return let_in

    assert asyncio.run(scenario()) == (8 if refusals == 8 else 1)


def test_users_of_one_sweep_do_not_stop_each_other() -> None:
    farm = Farm(refuses=lambda n: n <= 5)
    asked = [*endpoints(5, "TEST\\one"), *endpoints(9, "test\\two")[5:]]
    outcomes = asyncio.run(sweep(asked, farm.ask, parallel=1))
    assert farm.sent == [1, 6, 7, 8, 9]
    assert set(failed(outcomes)) == {"web0001", "web0002", "web0003", "web0004", "web0005"}


@pytest.mark.parametrize("written", ["corp\\SVC", "svc@corp.test", "corp.test\\svc"])
def test_one_account_is_one_door_however_it_is_written(written: str) -> None:
    farm = Farm(refuses=lambda _n: True)
    asked = [*endpoints(1, "CORP\\svc"), *endpoints(2, written)[1:]]
    asyncio.run(sweep(asked, farm.ask, parallel=1))
    assert farm.sent == [1]


def test_a_certificate_opens_no_door_for_a_password() -> None:
    farm = Farm(refuses=lambda n: n > 1)
    user = "CORP\\svc"
    first = Endpoint(name="web0001", host="web0001", transport="certificate", user=user)
    asyncio.run(sweep([first, *endpoints(30, user)[1:]], farm.ask, parallel=30))
    assert len(farm.sent) == 2


# -- interrupted ---------------------------------------------------------------------------------------------------


def test_interrupted_it_gives_what_is_there_and_lets_the_others_clean_up() -> None:
    asked: list[int] = []
    cleaned: list[int] = []

    async def ask(endpoint: Endpoint, _gate: Gate) -> str:
        if number(endpoint) <= 4:
            return "fine"
        try:
            asked.append(number(endpoint))
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append(number(endpoint))
        return "never"

    async def scenario() -> list[Result[str]]:
        task = asyncio.create_task(sweep(endpoints(20), ask, parallel=3))
        while len(asked) < 3:
            await asyncio.sleep(0)
        task.cancel()
        return await task

    outcomes = asyncio.run(scenario())
    assert [o.answer for o in outcomes[:4]] == ["fine"] * 4
    assert set(failed(outcomes).values()) == {"not asked"}
    assert len(failed(outcomes)) == 16
    assert sorted(cleaned) == [5, 6, 7]
