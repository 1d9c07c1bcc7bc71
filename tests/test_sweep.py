"""The engine of `sweep`: an outcome for each server, the canary, and the stop before an account is locked out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

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
    assert failed(outcomes) == {"web0003": "connect", "web0005": "answer"}
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
    outcomes = run(Farm(refuses=lambda n: n % 2 == 0), 20, parallel=1)
    assert len(failed(outcomes)) == 10


def test_three_refusals_in_a_row_stop_the_sweep() -> None:
    farm = Farm(refuses=lambda n: n > 5)
    outcomes = run(farm, 20, parallel=1)
    assert farm.sent == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(failed(outcomes)) == 15
    last = outcomes[-1].failure
    assert last is not None
    assert "at 3 servers in a row, last web0008," in last.reason


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
