"""A wrong password in a farm where some servers take any: how often it is judged before the sweep stops by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from waiting import PATIENCE, overtaken

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.sources.endpoint import Endpoint
from agent.sources.winrm import client
from agent.sweep import collect, run
from agent.sweep.collect import Orders, Result
from tests.winrm import farm

HONEST = 50
WRONG = farm.PASSWORD
"""What the servers that take anything take; the others know another password."""
LOCKS = {1: 3, 4: 3, 5: 8, 6: 8}
"""How many servers take any password, and how many wrong ones may be judged then. Windows locks at five or ten."""
NO_LIMITS = client.Limits(logon=1000.0, whole=1000.0)
REFUSED = "the server refuses the user or the password"
IN_CLEAR = "answered in clear text on an encrypted session"


class Labs(NamedTuple):
    liars: farm.Farm
    honest: farm.Farm

    def asked(self, taking: int, *, parallel: int, tls: bool = False) -> list[Result]:
        """What became of so many servers that take the password, and of the honest ones after them."""
        who = client.Logon(user=farm.USER, password=lambda: WRONG)
        trusted = client.tls_context([self.liars.ca, self.honest.ca])
        orders = Orders(logon_of=lambda _server: who, tls=trusted, parallel=parallel)
        servers = [*_endpoints(self.liars, taking, tls=tls), *_endpoints(self.honest, HONEST, tls=tls)]
        return list(collect.collect(servers, orders, told=lambda _outcome: None).outcomes)

    @property
    def judged(self) -> int:
        return self.honest.stats()["auth.refused"]


@pytest.fixture(scope="module")
def _labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    folder = tmp_path_factory.mktemp("lockout")
    other = {farm.USER: "An0ther-Pa55word"}
    (folder / "liars").mkdir()
    (folder / "honest").mkdir()
    with (
        farm.running(folder / "liars", servers=HONEST, sites=1) as liars,
        farm.running(folder / "honest", servers=HONEST, sites=1, base="127.11.0.1", accounts=other) as honest,
    ):
        yield Labs(liars, honest)


@pytest.fixture
def labs(_labs: Labs) -> Labs:
    for lab in _labs:
        lab.calm()
        lab.close_shells()
        lab.reset()
    return _labs


def _endpoints(lab: farm.Farm, count: int, *, tls: bool) -> list[Endpoint]:
    port = lab.https_port if tls else lab.http_port
    addresses = [lab.address(number) for number in range(1, count + 1)]
    return [Endpoint(name=each, host=each, port=port, tls=tls, transport="ntlm", user=farm.USER) for each in addresses]


def _failures(outcomes: list[Result]) -> list[str]:
    """Why those failed that were asked."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    return [failure.reason for failure in failures if failure.stage != "not asked"]


@pytest.mark.parametrize("latency", [0.0, 0.02])
@pytest.mark.parametrize("parallel", [1, 8, 64, 256])
@pytest.mark.parametrize("taking", LOCKS)
@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_locks_no_account(labs: Labs, taking: int, parallel: int, latency: float, tls: bool) -> None:
    """Those that take it are of no domain, and have an account of that name and password themselves."""
    for lab in labs:
        lab.set("*", latency=latency)
    labs.liars.set("*", domain="")
    outcomes = labs.asked(taking, parallel=parallel, tls=tls)
    judged = labs.judged
    assert 1 <= judged <= LOCKS[taking]
    assert sum(outcome.answer is not None for outcome in outcomes) <= taking
    others = _failures(outcomes)
    assert all(reason.startswith(REFUSED) for reason in others), others
    assert len(others) == judged


ELSEWHERE: Mapping[str, Mapping[str, object]] = {
    "members of another domain, whose account it is": {"domain": "lab.test"},
    "who says that it is a member, takes anything and encrypts nothing": {"fault": "plain", "on": "Create"},
    "who says that it is a member, takes anything and has other keys": {"fault": "badsig", "on": "Create"},
}


@pytest.mark.parametrize("parallel", [64, 256])
@pytest.mark.parametrize("taking", [1, 4, 20])
@pytest.mark.parametrize("who", ELSEWHERE)
def test_who_has_no_keys_from_the_domain_proves_nothing(labs: Labs, who: str, taking: int, parallel: int) -> None:
    labs.liars.set("*", latency=0.02, **ELSEWHERE[who])
    labs.honest.set("*", latency=0.02)
    labs.asked(taking, parallel=parallel)
    assert 1 <= labs.judged <= LOCKS.get(taking, 8)


@pytest.mark.parametrize("taking", [1, 4, 20])
def test_over_tls_nothing_is_proved_and_never_more_than_eight_judge_it(labs: Labs, taking: int) -> None:
    """NTLM's keys are not used there: a member's yes is its word."""
    for lab in labs:
        lab.set("*", latency=0.02)
    labs.asked(taking, parallel=256, tls=True)
    assert 1 <= labs.judged <= LOCKS.get(taking, 8)


@pytest.mark.parametrize("parallel", [8, 256])
def test_what_the_domain_has_proved_is_still_guarded_elsewhere(labs: Labs, parallel: int) -> None:
    """Fifty servers of no domain, which have an account of that name and another password."""
    for lab in labs:
        lab.set("*", latency=0.02)
    labs.honest.set("*", domain="")
    outcomes = labs.asked(HONEST, parallel=parallel)
    assert 3 <= labs.judged <= 8
    assert all(reason.startswith(REFUSED) for reason in _failures(outcomes))


@pytest.mark.parametrize("parallel", [8, 24])
def test_a_domain_at_odds_with_itself_refuses_no_more_often_than_it_is_asked_at_once(labs: Labs, parallel: int) -> None:
    """Controllers that do not know a new password yet, and cannot ask the one that does."""
    for lab in labs:
        lab.set("*", latency=0.02)
    labs.asked(HONEST, parallel=parallel)
    assert 3 <= labs.judged <= parallel + 2


def test_the_members_of_one_domain_wait_for_nobody_once_it_has_proved_the_password(labs: Labs) -> None:
    """46 logons that the servers never answer: each of them has come while all others are judged."""
    first, trusted = 4, client.tls_context([labs.liars.ca])
    who = client.Logon(user=farm.USER, password=lambda: WRONG)
    servers = _endpoints(labs.liars, HONEST, tls=False)
    for number in range(first + 1, HONEST + 1):
        labs.liars.set(labs.liars.name(number), fault="hang", on="auth", after=1)

    async def asked() -> None:
        answered, is_open = list[str](), asyncio.Event()

        async def ask(server: Endpoint, gate: run.Gate) -> None:
            if server in servers[first:]:
                await is_open.wait()
            await client.run_script(server, who, b"x", tls=trusted, limits=NO_LIMITS, gate=gate)
            answered.append(server.name)
            if len(answered) == first:
                is_open.set()

        sweep = run.sweep(servers, ask, parallel=HONEST)
        async with asyncio.timeout(PATIENCE):
            await overtaken(sweep, lambda: labs.liars.stats().injected == HONEST - first)
        assert len(answered) == first

    asyncio.run(asked())
    assert labs.liars.stats().injected == HONEST - first
