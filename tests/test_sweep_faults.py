"""Every fault of the endpoint, at every stage, over every transport, in sweeps with healthy servers between them.

Each cell of that matrix must end, be called by its name, leave no remote shell behind, and disturb nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from waiting import comes

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.sources.endpoint import Endpoint, Transport
from agent.sources.winrm import client
from agent.sweep import collect
from agent.sweep.collect import Orders, Result
from tests.winrm import farm
from tests.winrm.faults import FAULTS

LIMITS = client.Limits(connect=4.0, tls=4.0, logon=5.0, shell=5.0, whole=10.0, farewell=5.0)
LASTING = {"blackhole", "hang", "hangmid", "drip", "flood", "timedout"}
"""Faults that end where a limit does. For the others a busy machine has all the time it needs."""
PATIENT = client.Limits(farewell=60.0)
HEALTHY = 96


class Way(NamedTuple):
    """How a server is asked."""

    transport: Transport
    tls: bool

    @property
    def has_legs(self) -> bool:
        """Whether tokens go to and fro before a question is answered; else the first question is the logon."""
        return self.transport in ("ntlm", "credssp")

    @property
    def seals(self) -> bool:
        return not self.tls

    def __str__(self) -> str:
        return f"{self.transport} {'https' if self.tls else 'http'}"


WAYS = (
    *(Way("ntlm", False), Way("ntlm", True), Way("credssp", False), Way("credssp", True)),
    *(Way("basic", True), Way("certificate", True)),
)


class Cell(NamedTuple):
    """A sick server. `times` and `after` as in `settings.Behaviour`."""

    fault: str
    on: str
    way: Way
    times: int = -1
    after: int = 0

    def __str__(self) -> str:
        counted = "".join(f" {name} {n}" for name, n in (("times", self.times), ("after", self.after)) if n > 0)
        return f"{self.fault} on {self.on}{counted}, {self.way}"


# -- what must come of it ------------------------------------------------------------------------------------------

CLOSED = "the server closed the connection without an answer"
HALF = "the server closed the connection in the middle of its answer"
NONSENSE = "the answer makes no sense: "
CLEAR = r"answered in clear text on an encrypted session \(HTTP "

# Before HTTP is spoken: over http, over https. A server that takes a connection and says nothing looks well until it
# is spoken to; one that closes at once may be noticed while connecting or with the first word.
CONNECTING: Mapping[tuple[str, str], tuple[str, str]] = {
    ("refuse", "connect"): ("connect: nothing listens on port",) * 2,
    ("blackhole", "connect"): ("connect: no answer to the connection request within 4 s",) * 2,
    ("drop", "connect"): (
        f"connect: the connection was closed at once|logon: {CLOSED}",
        "connect: the connection was closed at once|tls: the server closed the connection while TLS was set up",
    ),
    ("hang", "connect"): ("logon: the logon was not over within 5 s", "tls: TLS was not set up within 4 s"),
    ("garbage", "connect"): (
        f"logon: (not HTTP: it answers 'SSH-2.0|{NONSENSE}it came before the question)",
        "tls: not TLS at all on this port",
    ),
    ("drop", "tls"): ("", "tls: the server closed the connection while TLS was set up"),
    ("hang", "tls"): ("", "tls: TLS was not set up within 4 s"),
    ("garbage", "tls"): ("", "tls: not TLS at all on this port"),
}

# On the first request of a connection: where tokens go to and fro; where the first question is the logon itself.
LOGON: Mapping[str, tuple[str, str]] = {
    "drop": (f"logon: {CLOSED}", f"shell: {CLOSED}"),
    "hang": ("logon: the logon was not over within 5 s", "shell: no remote shell within 5 s"),
    "401": (
        "logon: the server did not take up the logon by (Negotiate|CredSSP)",
        r"logon: the server (refuses the user or the password \(Basic, 401|does not take the client certificate \(401)",
    ),
    "403": ("logon: HTTP 403: the HTTP service forbids it", "shell: HTTP 403: the HTTP service forbids it"),
    "404": ("logon: HTTP 404: nothing is served at /wsman", "shell: HTTP 404: nothing is served at /wsman"),
    "http500": ("logon: HTTP 500: it failed without saying why", "shell: HTTP 500: it failed without saying why"),
    "http503": ("logon: HTTP 503: the service is not available", "shell: HTTP 503: the service is not available"),
    "lost": (f"logon: {CLOSED}", f"shell: {CLOSED}"),
    "truncate": (f"logon: {HALF}", f"shell: {HALF}"),
    "hangmid": ("logon: the logon was not over within 5 s", "shell: no remote shell within 5 s"),
    "garbage": ("logon: the server did not prove who it is", f"shell: {NONSENSE}it is no message of WS-Management"),
}
LOGON = {**LOGON, "401close": LOGON["401"], "drip": LOGON["hangmid"]}
NOTHING_BEGUN = {"401", "401close", "403", "404", "http503"}
"""Answers from in front of WS-Management: who gets one as an answer to Create knows that there is no shell."""

# On an operation: in TLS, under message encryption. Pages in clear text are not believed there, whatever they say.
LATE = "(no remote shell|the collector gave nothing|the answer was not complete) within (5|10) s"
OPERATION: Mapping[str, tuple[str, str]] = {
    "drop": (CLOSED, CLOSED),
    "hang": (LATE, LATE),
    "401": ("HTTP 401: it asks for a logon again in mid-session",) * 2,
    "403": ("HTTP 403: the HTTP service forbids it", f"{CLEAR}403"),
    "404": ("HTTP 404: nothing is served at /wsman", f"{CLEAR}404"),
    "http500": ("HTTP 500: it failed without saying why",) * 2,
    "http503": ("HTTP 503: the service is not available", f"{CLEAR}503"),
    "soapfault": (r"the server broke the operation off \(ERROR_OPERATION_ABORTED, 995\)",) * 2,
    "denied": (r"the account logged on but may not .*\(ERROR_ACCESS_DENIED, 5\)",) * 2,
    "quota": (r"the account has as many shells .*\(ERROR_WSMAN_QUOTA_MAX_OPERATIONS, 2150859174\)",) * 2,
    "timedout": ("the server did not finish the request in time",) * 2,
    "lost": (CLOSED, CLOSED),
    "truncate": (HALF, HALF),
    "hangmid": (LATE, LATE),
    "drip": (LATE, LATE),
    "garbage": (f"{NONSENSE}it is no message of WS-Management", f"{CLEAR}200"),
    "empty": (f"{NONSENSE}it is empty",) * 2,
    "flood": (f"{NONSENSE}it is larger than 67108864 bytes",) * 2,
    "nonsense": (f"{NONSENSE}it is no message of WS-Management",) * 2,
    "wrongrelates": (f"{NONSENSE}it answers another request",) * 2,
    "badsig": ("", "the encryption of the answer is broken"),
    "plain": ("", f"{CLEAR}(200|500)"),
}
OPERATION = {**OPERATION, "401close": OPERATION["401"]}
STAGE_OF = {"Create": "shell", "Command": "script", "Send": "script", "Receive": "script"}
UNANSWERED = r"no answer to its removal within 5 s"


class Expected(NamedTuple):
    """What must come of a cell.

    `failure` is a pattern for stage and reason, None where the server answers; `remains` one for the reason why a
    shell may be left, None where none may; `left` counts the shells left at the endpoint.
    """

    failure: str | None
    remains: str | None = None
    left: int = 0


def expected(cell: Cell) -> Expected:
    """What must come of one cell, by the tables above."""
    fault = FAULTS[cell.fault]
    if fault.harmless or cell.times > 0:
        return Expected(None)
    if cell.on in ("connect", "tls"):
        return Expected(CONNECTING[cell.fault, cell.on][cell.way.tls])
    if cell.on == "auth":
        return _at_logon(cell)
    words = OPERATION[cell.fault][cell.way.seals]
    if cell.on == "Delete":
        return _at_removal(cell, words)
    if cell.fault.startswith("401") and cell.on == "Create" and not cell.way.seals:
        # the question came with the last token: the 401 is about the logon
        return Expected("logon: the server (refuses the user or the password|does not take the client certificate)")
    if cell.on == "Receive" and cell.fault == "timedout":  # a poll that brought nothing, again and again
        words = LATE
    return Expected(f"{'answer' if cell.after else STAGE_OF[cell.on]}: {words}")


def _at_logon(cell: Cell) -> Expected:
    failure = LOGON[cell.fault][not cell.way.has_legs]
    if cell.way.has_legs or cell.fault in NOTHING_BEGUN:
        return Expected(failure)
    # Create was sent, and no new connection can be logged on to either: nobody knows whether the removal was heard
    return Expected(failure, remains=f"{UNANSWERED}|(shell|answer): ")


def _at_removal(cell: Cell, words: str) -> Expected:
    """All has been answered before; where the removal is never acknowledged, the outcome says so."""
    done = FAULTS[cell.fault].moment == "answer"
    # on a new connection over TLS the removal comes with the last token, like any first question
    over_tls = "|logon: the server (refuses|does not take)" if cell.fault == "401close" and cell.way.tls else ""
    return Expected(None, remains=f"{UNANSWERED}|(shell|answer): {words}{over_tls}", left=0 if done else 1)


def matrix() -> Iterator[Cell]:
    for way in WAYS:
        for name, fault in FAULTS.items():
            if fault.sealed_only and not way.seals:
                continue
            for on in fault.stages:
                if on != "Signal" and (on != "tls" or way.tls):  # no Signal is sent: Delete ends what runs in a shell
                    yield Cell(name, on, way)


def late_ones() -> Iterator[Cell]:
    """All output is there, what is missing is its end: that must not pass for an answer."""
    for cell in matrix():
        if cell.on == "Receive" and cell.way.transport == "ntlm":
            yield cell._replace(after=1)


def passing_ones() -> Iterator[Cell]:
    """What is over before anything is lost by it: polls without output, and a removal that is said again."""
    for way in WAYS:
        yield Cell("timedout", "Receive", way, times=2)
        for name, fault in FAULTS.items():
            heals = fault.moment == "answer" and not fault.harmless and name not in ("hangmid", "drip")
            if (heals or name in ("drop", "401close")) and not (fault.sealed_only and not way.seals):
                yield Cell(name, "Delete", way, times=1)


CELLS = [*matrix(), *late_ones(), *passing_ones()]


# -- the sweep -----------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What came of one server: the outcome, the shells left there, how often the fault struck."""

    outcome: Result
    left: int
    struck: int


class Swept(NamedTuple):
    cells: Mapping[Cell, Seen]
    healthy: Sequence[Result]
    counters: Mapping[str, int]
    files_before: int
    files_after: int
    all_closed: bool
    """Whether the endpoint heard of the end of every connection."""


def endpoint(lab: farm.Farm, number: int, way: Way) -> Endpoint:
    name, port = lab.name(number), lab.https_port if way.tls else lab.http_port
    return Endpoint(name=name, host=name, port=port, tls=way.tls, transport=way.transport)


def orders(lab: farm.Farm, **more: object) -> Orders:
    """One logon for each transport, kept for the whole test as a sweep keeps it."""
    logons = {way.transport: client.Logon(user=lab.user, password=lambda: lab.password) for way in WAYS}
    return Orders(
        logon_of=lambda server: logons[server.transport],
        tls=client.tls_context([lab.ca], lab.client_certificate, lab.client_key),
        limits=LIMITS,
        **more,  # type: ignore[arg-type]
    )


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    """All cells. The first servers asked are healthy ones, so that every logon is known to be good."""
    directory = tmp_path_factory.mktemp("matrix")
    with farm.running(directory, servers=HEALTHY + len(CELLS), sites=2) as lab, farm.resolving():
        for number, cell in enumerate(CELLS, HEALTHY + 1):
            argument = {"slow": 0.2, "soapfault": 995.0}.get(cell.fault, 0.0)
            how = {"fault": cell.fault, "on": cell.on, "times": cell.times, "after": cell.after, "argument": argument}
            lab.set(lab.name(number), **how)
        healthy = [endpoint(lab, number, WAYS[number % len(WAYS)]) for number in range(1, HEALTHY + 1)]
        sick = [(cell, endpoint(lab, number, cell.way)) for number, cell in enumerate(CELLS, HEALTHY + 1)]
        lasting = [server for cell, server in sick if cell.fault in LASTING]
        others = [server for cell, server in sick if cell.fault not in LASTING]
        given = orders(lab, parallel=64, continue_on_denied=True)
        patient = given._replace(limits=PATIENT)
        before = open_files()
        collect.collect(healthy[: len(WAYS)], patient, told=lambda _outcome: None)
        finished = [
            *collect.collect(_mixed(healthy[len(WAYS) :: 2], others), patient, told=lambda _outcome: None).outcomes,
            *collect.collect(_mixed(healthy[len(WAYS) + 1 :: 2], lasting), given, told=lambda _outcome: None).outcomes,
        ]
        after = open_files()
        found = {outcome.endpoint.name: outcome for outcome in finished}
        yield Swept(
            cells={cell: _seen(lab, found, number, cell) for number, cell in enumerate(CELLS, HEALTHY + 1)},
            healthy=[found[server.name] for server in healthy[len(WAYS) :]],
            counters=lab.stats().counters,
            files_before=before,
            files_after=after,
            all_closed=comes(lambda: not lab.stats().connections_open),
        )


def _mixed(healthy: Sequence[Endpoint], sick: Sequence[Endpoint]) -> list[Endpoint]:
    step = len(sick) // len(healthy)
    mixed = [one for n, well in enumerate(healthy) for one in (well, *sick[n * step : (n + 1) * step])]
    return mixed + list(sick[len(healthy) * step :])


def _seen(lab: farm.Farm, found: Mapping[str, Result], number: int, cell: Cell) -> Seen:
    counters = lab.host(lab.name(number))
    return Seen(found[lab.name(number)], counters["shells_left"], counters.get(f"injected.{cell.fault}", 0))


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(swept: Swept, cell: Cell) -> None:
    outcome, left, struck = swept.cells[cell]
    wanted = expected(cell)
    assert struck or cell.fault in ("refuse", "blackhole"), "the fault never came"
    assert (outcome.failure is None) == (wanted.failure is None), outcome.failure
    if outcome.failure is not None and wanted.failure is not None:
        said = f"{outcome.failure.stage}: {outcome.failure.reason}"
        assert re.match(wanted.failure, said), said
        assert outcome.failure.advice.endswith((".", "?"))
    remains = _remains(outcome)
    assert bool(remains) == bool(wanted.remains), remains
    assert re.match(wanted.remains or "", remains), remains
    assert left == wanted.left


def _remains(outcome: Result) -> str:
    """Why a remote shell may be left, in the outcome's own words; empty where none is."""
    text = outcome.failure.advice if outcome.failure else (outcome.answer and outcome.answer.left_behind) or ""
    return text.partition("may remain until Windows ends it as idle: ")[2]


def test_the_neighbours_of_the_sick_are_all_complete(swept: Swept) -> None:
    whole = [outcome.answer is not None and outcome.answer.standing.status == "ok" for outcome in swept.healthy]
    assert whole == [True] * (HEALTHY - len(WAYS))
    assert all(outcome.answer and outcome.answer.left_behind is None for outcome in swept.healthy)


def test_nothing_stays_open(swept: Swept) -> None:
    assert (swept.files_after, swept.all_closed) == (swept.files_before, True)


def test_the_matrix_is_whole(swept: Swept) -> None:
    """Each fault and each stage that the endpoint knows is in it, over each transport that it can strike."""
    assert {cell.fault for cell in CELLS} == set(FAULTS)
    for way in WAYS:
        stages = {(cell.fault, cell.on) for cell in CELLS if cell.way == way}
        known = {(name, on) for name, fault in FAULTS.items() for on in fault.stages if not fault.sealed_only}
        assert known - stages <= {pair for pair in known if pair[1] == "Signal" or (pair[1] == "tls" and not way.tls)}
    assert swept.counters.get("op.Signal", 0) == 0


# -- credentials ---------------------------------------------------------------------------------------------------

NTLM, NTLM_TLS, CREDSSP, CREDSSP_TLS, BASIC, CERTIFICATE = WAYS
MANY = 8
BRISK = replace(LIMITS, logon=3.0)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    with farm.running(tmp_path_factory.mktemp("small"), servers=MANY, sites=2) as lab, farm.resolving():
        yield lab


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    """Servers where the user of the sweep has another password."""
    accounts = {farm.USER: "An0ther-Pa55word"}
    directory = tmp_path_factory.mktemp("strange")
    with farm.running(directory, servers=MANY, sites=2, base="127.11.0.1", accounts=accounts) as lab:
        yield lab


@pytest.fixture
def lab(small: farm.Farm) -> farm.Farm:
    small.calm()
    small.reset()
    return small


def sweep(
    lab: farm.Farm, servers: Sequence[Endpoint], password: str = farm.PASSWORD, **more: object
) -> Sequence[Result]:
    logon = client.Logon(user=lab.user, password=lambda: password)
    more = {"tls": client.tls_context([lab.ca]), **more}
    given = Orders(logon_of=lambda _server: logon, limits=BRISK, **more)  # type: ignore[arg-type]
    return collect.collect(servers, given, told=lambda _outcome: None).outcomes


def all_of(lab: farm.Farm, way: Way) -> list[Endpoint]:
    return [endpoint(lab, number, way) for number in range(1, MANY + 1)]


def of_address(lab: farm.Farm, number: int) -> Endpoint:
    address = lab.address(number)
    return Endpoint(name=address, host=address, port=lab.http_port, transport="ntlm")


def said(outcome: Result) -> str:
    return "ok" if outcome.failure is None else f"{outcome.failure.stage}: {outcome.failure.reason}"


def asked(lab: farm.Farm) -> list[int]:
    """The servers that were sent a request."""
    return [number for number in range(1, lab.servers + 1) if lab.host(lab.name(number)).get("requests")]


# NTLM sends two tokens, CredSSP two for its TLS and then those of NTLM; the last one proves the password.
TOKENS = {"ntlm": 2, "credssp": 4, "basic": 1}


@pytest.mark.parametrize("way", [NTLM, NTLM_TLS, CREDSSP, CREDSSP_TLS, BASIC], ids=str)
def test_a_wrong_password_is_tried_once(lab: farm.Farm, way: Way) -> None:
    """The first steps of a logon prove nothing yet: others may have sent these meanwhile."""
    outcomes = sweep(lab, all_of(lab, way), "Wr0ng", parallel=MANY)
    (canary,) = [number for number in asked(lab) if lab.host(lab.name(number))["requests"] >= TOKENS[way.transport]]
    for number, outcome in enumerate(outcomes, 1):
        refused = "logon: the server refuses the user or the password"
        closed = "not asked: the sweep was stopped, so that no account is locked out"
        stopped = f"{closed}: the logon at {lab.name(canary)} failed: "
        assert said(outcome).startswith(refused if number == canary else stopped)
    assert lab.shells_left() == 0


@pytest.mark.parametrize(
    ("fault", "on", "words"),
    [
        ("403", "auth", "logon: HTTP 403"),
        ("401", "auth", "logon: the server did not take up the logon"),
        ("denied", "Create", "shell: the account logged on but may not"),
        ("quota", "Create", "shell: the account has as many shells"),
    ],
)
def test_what_is_no_verdict_about_the_password_stops_nothing(lab: farm.Farm, fault: str, on: str, words: str) -> None:
    lab.set(fault=fault, on=on)
    outcomes = sweep(lab, all_of(lab, NTLM), parallel=3)
    assert [said(outcome)[: len(words)] for outcome in outcomes] == [words] * MANY
    assert len(asked(lab)) == MANY


def test_a_certificate_that_is_not_taken_locks_no_account(lab: farm.Farm) -> None:
    """What stands for the context with the certificate holds none here, so the server sees none."""
    plain = client.tls_context([lab.ca]).plain
    outcomes = sweep(lab, all_of(lab, CERTIFICATE), parallel=3, tls=client.Tls(plain, plain))
    assert {said(outcome) for outcome in outcomes} == {"logon: the server does not take the client certificate (401)"}
    assert len(asked(lab)) == MANY


def test_a_canary_that_hangs_passes_the_turn_on(lab: farm.Farm) -> None:
    lab.set("web000[123]", fault="hang", on="auth")
    outcomes = sweep(lab, all_of(lab, NTLM), parallel=MANY)
    late = "logon: the logon was not over within 3 s"
    assert [said(outcome) for outcome in outcomes] == [late] * 3 + ["ok"] * 5


def test_a_password_whose_verdict_was_lost_is_not_sent_again(lab: farm.Farm) -> None:
    """Over TLS the first question travels with the password's proof: what became of both nobody knows."""
    lab.set("web0001", fault="lost", on="Create")
    outcomes = sweep(lab, all_of(lab, NTLM_TLS), parallel=1)
    assert [said(outcome) for outcome in outcomes] == [f"shell: {CLOSED}"] + ["ok"] * (MANY - 1)
    assert _remains(outcomes[0]) == "the connection ended before the server said whether it accepts the logon."
    assert (lab.host("web0001")["auth.ntlm"], lab.shells_left()) == (1, 1)
    lab.close_shells()


def test_once_it_was_accepted_the_shell_is_removed_on_a_new_connection(lab: farm.Farm) -> None:
    lab.set("web0002", fault="lost", on="Create")
    outcomes = sweep(lab, all_of(lab, NTLM_TLS), parallel=1)
    assert [said(outcome) for outcome in outcomes[:2]] == ["ok", f"shell: {CLOSED}"]
    assert (_remains(outcomes[1]), lab.host("web0002")["auth.ntlm"], lab.shells_left()) == ("", 2, 0)


def test_three_servers_that_refuse_what_others_accept_end_it(lab: farm.Farm, strange: farm.Farm) -> None:
    strange.reset()
    servers = [of_address(lab, 1), *(of_address(strange, n) for n in range(1, 6)), of_address(lab, 2)]
    outcomes = sweep(lab, servers, parallel=1)
    refused = "logon: the server refuses the user or the password (NTLM, 401)"
    assert [said(outcome) for outcome in outcomes[:4]] == ["ok", refused, refused, refused]
    stopped = f"the logon at 3 servers, last {strange.address(3)}, failed: "
    assert all(stopped in said(outcome) for outcome in outcomes[4:])
    assert (strange.stats()["auth.refused"], asked(strange), asked(lab)) == (3, [1, 2, 3], [1])


def test_refusals_between_acceptances_count_together(lab: farm.Farm, strange: farm.Farm) -> None:
    strange.reset()
    threes = [(of_address(lab, n), of_address(strange, 2 * n - 1), of_address(strange, 2 * n)) for n in range(1, 4)]
    outcomes = sweep(lab, [server for three in threes for server in three], parallel=1)
    assert [said(outcome) == "ok" for outcome in outcomes] == [True, False, False, True, *[False] * 5]
    assert strange.stats()["auth.refused"] == 3


def test_continue_on_denied_asks_everyone(lab: farm.Farm, strange: farm.Farm) -> None:
    strange.reset()
    servers = [*(of_address(strange, n) for n in range(1, 6)), of_address(lab, 1)]
    outcomes = sweep(lab, servers, parallel=2, continue_on_denied=True)
    assert [said(outcome) == "ok" for outcome in outcomes] == [False] * 5 + [True]
    assert strange.stats()["auth.refused"] == 5
