"""A wrong password in a farm where some servers take any: how often it is judged before the sweep stops by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.sources.endpoint import Endpoint
from agent.sources.winrm import client
from agent.sweep import collect
from agent.sweep.collect import Orders
from tests.winrm import farm

HONEST = 50
WRONG = farm.PASSWORD
"""What the servers that take anything take; the others know another password."""
LOCKS = {1: 3, 4: 3, 5: 8, 6: 8}
"""How many servers take any password, and how many wrong ones may be judged then. Windows locks at five or ten."""


class Labs(NamedTuple):
    liars: farm.Farm
    honest: farm.Farm


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    folder = tmp_path_factory.mktemp("lockout")
    other = {farm.USER: "An0ther-Pa55word"}
    (folder / "liars").mkdir()
    (folder / "honest").mkdir()
    with (
        farm.running(folder / "liars", servers=max(LOCKS), sites=1) as liars,
        farm.running(folder / "honest", servers=HONEST, sites=1, base="127.11.0.1", accounts=other) as honest,
    ):
        yield Labs(liars, honest)


def asked(lab: farm.Farm, count: int, *, tls: bool) -> list[Endpoint]:
    port = lab.https_port if tls else lab.http_port
    addresses = [lab.address(number) for number in range(1, count + 1)]
    return [Endpoint(name=each, host=each, port=port, tls=tls, transport="ntlm", user=farm.USER) for each in addresses]


@pytest.mark.parametrize("latency", [0.0, 0.02])
@pytest.mark.parametrize("parallel", [1, 8, 64, 256])
@pytest.mark.parametrize("taking", LOCKS)
@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_locks_no_account(labs: Labs, taking: int, parallel: int, latency: float, tls: bool) -> None:
    for lab in labs:
        lab.reset()
        lab.set("*", latency=latency)
    who = client.Logon(user=farm.USER, password=lambda: WRONG)
    trusted = client.tls_context([labs.liars.ca, labs.honest.ca])
    orders = Orders(logon_of=lambda _server: who, tls=trusted, parallel=parallel)
    servers = [*asked(labs.liars, taking, tls=tls), *asked(labs.honest, HONEST, tls=tls)]
    outcomes = collect.collect(servers, orders, told=lambda _outcome: None).outcomes
    judged = labs.honest.stats()["auth.refused"]
    assert 1 <= judged <= LOCKS[taking]
    assert sum(outcome.answer is not None for outcome in outcomes) <= taking
    others = [o.failure for o in outcomes if o.failure is not None and o.failure.stage != "not asked"]
    assert all(failure.reason.startswith("the server refuses the user or the password") for failure in others), others
    assert len(others) == judged
