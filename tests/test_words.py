"""Words agree with the model: over samples, truth table, the worlds of every finding and random farms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache, partial

import pytest
import test_cure
import test_findings
from hypothesis import given, settings
from hypothesis import strategies as st
from knowledge import Run
from test_knowledge import _recorded, _runs
from words import INVARIANTS
from worlds import ad, computer, server, user, windows, world

from agent.iis.snapshot import Snapshot
from agent.inspection.stages import Analysis, analyse
from agent.spn.clients import CLIENTS

# -- worlds --------------------------------------------------------------------------------------------------------


def _findings() -> Iterator[Run]:
    """The worlds that show every finding, and those of working servers."""
    for name, pair in test_findings.PAIRS.items():
        for make in pair:
            yield from _recorded(name, make)
    for name, make in test_findings.WORKING.items():
        yield from _recorded(name, make)


PAGE = windows(enabled="true", useKernelMode="{kernel}", useAppPoolCredentials="{creds}")


def _places() -> Iterator[Run]:
    """A page below an anonymous application that asks for a ticket, and files that nobody looked at."""
    for identity in ("ApplicationPoolIdentity", "LocalService", r".\web", r"TEST\svc", r"TEST\gone", "svc"):
        for kernel, creds in itertools.product(("true", "false"), repeat=2):
            page = f'<location path="Site/page">{PAGE.format(kernel=kernel, creds=creds)}</location>'
            for facts in ({}, {"membership": "workgroup"}, {"content_looked": False}):
                built = server(pool=identity, enabled=not facts.get("membership"), mode="Allow", body=page, facts=facts)
                make = partial(world, built, ad=ad(computer(), user("svc")), dns="iis01 A 10.0.5.2")
                yield from _recorded(f"{identity}, {kernel}, {creds}, {facts}", make)


def _every_client(run: Run) -> Run:
    """The same asked about every kind of client: what one makes of a name is not what others make of it."""
    return run.with_sources("the default clients", clients=tuple(CLIENTS.values()))


@cache
def _analyses() -> tuple[tuple[str, Analysis], ...]:
    runs = (*_runs(), *_findings(), *_places())
    return tuple((run.name, analyse(run.snapshots, run.sources)) for one in runs for run in (one, _every_client(one)))


@pytest.mark.parametrize("name", INVARIANTS)
def test_what_is_said_is_so(name: str) -> None:
    assert [f"{where}: {text}" for where, analysis in _analyses() for text in INVARIANTS[name](analysis)] == []


# -- random farms --------------------------------------------------------------------------------------------------

CLIENT_SETS = (*test_cure.CLIENTS, ("curl-sspi",), ("edge", "java"), tuple(CLIENTS))


@settings(max_examples=150)
@given(
    servers=test_cure.servers(),
    ad=st.one_of(test_cure.directories(), test_cure.directories(), st.none()),
    dns=st.sampled_from(test_cure.ZONES),
    farm=st.sampled_from(test_cure.DECLARED),
    clients=st.sampled_from(CLIENT_SETS),
)
def test_what_is_said_of_random_farms_is_so(servers: Sequence[Snapshot], **said: object) -> None:
    analysis = world(*servers, **said).analysis  # type: ignore[arg-type]
    told = [f"{name}: {text}" for name, invariant in INVARIANTS.items() for text in invariant(analysis)]
    assert not told, told[0]
