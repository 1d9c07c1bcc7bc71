"""A thousand servers, eighty of them sick: every healthy one is complete, every sick one has its outcome."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from waiting import comes

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.sources.endpoint import Endpoint
from agent.sources.snapshots import targets
from agent.sources.winrm import client
from agent.sweep import collect
from agent.sweep.collect import Orders, Result, Run
from tests.winrm import farm, names

SERVERS = 1000
PARALLEL = 256
LIMITS = client.Limits(connect=8.0, logon=20.0, shell=20.0, whole=30.0, farewell=8.0)
MEGABYTE = 1 << 20

# fault, where, what its outcome says; eight servers of each
SICK: Sequence[tuple[str, str, str]] = (
    ("drop", "connect", "(connect: the connection was closed at once|logon: the server closed the connection)"),
    ("blackhole", "connect", "connect: no answer to the connection request within 8 s"),
    ("hang", "auth", "logon: the logon was not over within 20 s"),
    ("404", "auth", "logon: HTTP 404: nothing is served at /wsman"),
    ("quota", "Create", r"shell: the account has as many shells .*2150859174"),
    ("lost", "Create", "shell: the server closed the connection without an answer"),
    ("hang", "Receive", "script: the collector gave nothing within 30 s"),
    ("drip", "Receive", "script: the collector gave nothing within 30 s"),
    ("truncate", "Receive", "script: the server closed the connection in the middle of its answer"),
    ("garbage", "Receive", "script: answered in clear text on an encrypted session"),
)
OF_EACH = 8
APART = SERVERS // (len(SICK) * OF_EACH)


class Swept(NamedTuple):
    run: Run
    sick: Mapping[str, str]
    """Server -> what its outcome must say."""
    folder: Path
    shells_left: Sequence[str]
    """Servers where a remote shell is left."""
    all_closed: bool
    """Whether the endpoint heard of the end of every connection."""
    files_open: tuple[int, int]
    """By this process, before and after."""
    memory: tuple[int, int]
    """Bytes of this process: before, and at most."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    directory = tmp_path_factory.mktemp("thousand")
    folder = directory / "snapshots"
    with farm.running(directory, servers=SERVERS, sites=5) as lab:
        sick = dict(_made_sick(lab))
        logon = client.Logon(user=lab.user, password=lambda: lab.password)
        orders = Orders(
            logon_of=lambda _server: logon,
            tls=client.tls_context([lab.ca]),
            limits=LIMITS,
            folder=folder,
            parallel=PARALLEL,
        )
        process, seen = psutil.Process(), list[int]()
        files, memory = _open_files(), process.memory_info().rss
        run = collect.collect(_endpoints(lab), orders, told=lambda _outcome: seen.append(process.memory_info().rss))
        yield Swept(
            run=run,
            sick=sick,
            folder=folder,
            shells_left=[name for name in sick if lab.host(_number(name))["shells_left"]] if lab.shells_left() else [],
            all_closed=comes(lambda: not lab.stats().connections_open),
            files_open=(files, _open_files()),
            memory=(memory, max(seen)),
        )


def _made_sick(lab: farm.Farm) -> Iterator[tuple[str, str]]:
    """Every twelfth server, one fault after the other, so that the sick are asked all through the sweep."""
    for number in range(OF_EACH * len(SICK)):
        fault, on, words = SICK[number % len(SICK)]
        lab.set(lab.name((number + 1) * APART), fault=fault, on=on)
        yield lab.address((number + 1) * APART), words


def _endpoints(lab: farm.Farm) -> list[Endpoint]:
    addresses = [lab.address(number) for number in range(1, SERVERS + 1)]
    return [Endpoint(name=each, host=each, port=lab.http_port, transport="ntlm") for each in addresses]


def _number(address: str) -> str:
    """The server's name at the endpoint."""
    return names.name(int(ipaddress.IPv4Address(address)) - int(ipaddress.IPv4Address(names.BASE)) + 1)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _outcomes(swept: Swept, *, sick: bool) -> list[Result]:
    return [outcome for outcome in swept.run.outcomes if (outcome.endpoint.name in swept.sick) == sick]


def test_all_healthy_servers_are_complete(swept: Swept) -> None:
    healthy = _outcomes(swept, sick=False)
    assert len(healthy) == SERVERS - OF_EACH * len(SICK) == 920
    failed = {outcome.endpoint.name: outcome.failure for outcome in healthy if outcome.failure}
    assert failed == {}
    assert {outcome.answer and outcome.answer.standing.status for outcome in healthy} == {"ok"}
    assert {outcome.answer and outcome.answer.left_behind for outcome in healthy} == {None}


def test_what_they_answered_is_on_disk_and_their_own(swept: Swept) -> None:
    written = {path.name for path in swept.folder.iterdir()}
    assert written == {f"{outcome.endpoint.name}.snapshot.json.gz" for outcome in _outcomes(swept, sick=False)}
    for number in (1, 500, 1000):
        path = swept.folder / f"{names.address(number)}.snapshot.json.gz"
        assert targets.read_target(path, None, {}).machine.name == f"WEB{number:04d}"


def test_each_sick_server_has_its_own_outcome(swept: Swept) -> None:
    sick = _outcomes(swept, sick=True)
    assert len(sick) == 80
    for outcome in sick:
        said = f"{outcome.failure.stage}: {outcome.failure.reason}" if outcome.failure else "it answered"
        assert re.match(swept.sick[outcome.endpoint.name], said), said
        assert outcome.failure is not None
        assert outcome.failure.advice


def test_the_count_adds_up(swept: Swept) -> None:
    asked = swept.run.asked
    assert (asked.asked, asked.answered, asked.failed, asked.aliases) == (1000, 920, 80, ())
    assert not swept.run.is_complete


def test_no_remote_shell_stays_unless_its_outcome_says_so(swept: Swept) -> None:
    """Each of these faults leaves a way to remove it: on the same connection, or on a new one."""
    named = {outcome.endpoint.name for outcome in swept.run.outcomes if "may remain" in str(outcome)}
    assert set(swept.shells_left) <= named
    assert len(named) < OF_EACH, "a busy machine may miss a farewell, but not all of one kind"


def test_nothing_stays_open(swept: Swept) -> None:
    before, after = swept.files_open
    assert (after, swept.all_closed) == (before, True)


def test_memory_is_bounded_by_how_many_are_asked_at_once(swept: Swept) -> None:
    before, most = swept.memory
    assert most - before < PARALLEL * MEGABYTE / 4
