"""Servers that answer with what no collector prints: each is told by its name, and nothing is written but snapshots."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from waiting import until

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.sources.endpoint import Endpoint
from agent.sources.snapshots import targets
from agent.sources.snapshots.standing import assess
from agent.sources.winrm import client
from agent.sources.winrm.errors import UnreachableError
from agent.sources.winrm.shell import open_gate
from agent.sweep import collect
from agent.sweep.collect import Orders, Result, Run
from tests.winrm import collector, configuration, farm

FACTS, FILES = configuration.files("web7777.farm.test", "127.10.0.9", 2, blanked=True)
NUMBERS = itertools.count(1)


# -- what they print -----------------------------------------------------------------------------------------------


def packed(plain: bytes) -> str:
    return collector.framed(base64.b64encode(gzip.compress(plain, 1)).decode(), "gzip")


def good() -> dict[str, Any]:
    """A snapshot of a machine of its own."""
    name = f"CASE{next(NUMBERS)}"
    return collector.document({**FACTS, "name": name, "dns_name": f"{name.lower()}.farm.test"}, FILES)


def document(**changed: object) -> str:
    """The frame of a good snapshot, or of one that is good but for these keys."""
    return packed(json.dumps({**good(), **changed}).encode())


def machine(**changed: object) -> str:
    return document(machine={**good()["machine"], **changed})


def files(changed: Mapping[str, object]) -> str:
    return document(files={**good()["files"], **changed})


def nested(depth: int) -> bytes:
    return b'{"schema":"iis-spn/snapshot/1","files":' + b"[" * depth + b"]" * depth + b"}"


WHOLE = document()
LEADING_OUT: Mapping[str, str] = {
    "../../evil.config": "leads upwards",
    "files/C/../../../../evil.config": "leads upwards",
    "files\\..\\..\\evil.config": "leads upwards",
    "files/C/. ./.. /evil.config": "leads upwards",
    "/tmp/evil.config": "is absolute",
    "\\\\server\\share\\evil.config": "is absolute",
    "C:\\evil.config": "a drive or a stream",
    "files/C/evil.config:stream": "a drive or a stream",
    "files/C/\u202egifnoc.live": "a control or invisible character",
    "files/C/evil\0.config": "a control or invisible character",
}


class Case(NamedTuple):
    """What one server prints, more of its behaviour, and what must be said of it.

    `said` is a pattern for stage and reason where the answer is of no use; else what stands among the problems of the
    server, all of it, whose status is `status`.
    """

    printed: str | None
    said: str | Sequence[str] = ()
    status: str = "failed"
    more: Mapping[str, object] = {}


NO_FRAME = "script: this is not what collect.ps1 prints: its first line is missing"
NO_USE = "answer: the collector's answer cannot be used: "

CASES: Mapping[str, Case] = {
    # .. of use ..
    "whole": Case(WHOLE, status="ok"),
    "text": Case(collector.framed(collector.content(good(), "text"), "text"), status="ok"),
    "noise around it": Case(None, status="ok", more={"banner": "Welcome!\nMind the gap", "clixml": True}),
    "whole, with complaints": Case(document(), status="ok", more={"exit_code": 1, "errors": "Access is denied\r\n"}),
    # .. the frame ..
    "nothing": Case("", NO_FRAME),
    "other words": Case("Windows PowerShell\r\nCopyright (C)\r\n", NO_FRAME),
    "nothing but errors": Case(
        "",
        NO_FRAME + r"; PowerShell says: File .* cannot be loaded \\u001b\[31mhere",
        more={
            "exit_code": 1,
            "errors": '#< CLIXML\r\n<Objs><S S="Error">File X cannot be loaded \x1b[31mhere_x000D__x000A_</S></Objs>',
        },
    ),
    "cut off": Case(None, r"script: cut off after \d+ of \d+ characters", more={"keep": 0.5}),
    "cut off in the last line": Case(WHOLE[:-6], "script: damaged"),
    "wrong count": Case(None, "script: damaged or cut off: ", more={"miscount": 7}),
    "a line lost": Case(re.sub(r"\|[^|]{200}\|\r\n", "", WHOLE, count=1), "script: damaged or cut off: "),
    "two frames": Case(WHOLE + WHOLE, "script: two snapshots in one file"),
    "another version": Case(WHOLE.replace("snapshot 1 ", "snapshot 9 ", 1), "script: its frame has version 9"),
    "another packing": Case(WHOLE.replace(" gzip ", " brotli ", 1), "script: damaged: nothing is packed as"),
    "a terabyte announced": Case("iis-spn-snapshot 1 gzip 999999999999\r\n|AAAA|\r\n", "script: larger than 64 MB"),
    "no base64": Case(collector.framed("####", "gzip"), "script: damaged: it is not base64"),
    "no gzip": Case(collector.framed("AAAA", "gzip"), "script: the gzip data is damaged"),
    "not ASCII": Case(collector.framed("{\u00e9}", "text"), "script: damaged"),
    "packed twice": Case(packed(gzip.compress(b"{}")), "script: damaged: it is packed twice"),
    "no end of ends": Case(document() + "iis-spn-snapshot end 4\r\n" * 100_000, status="ok"),
    "a bomb": Case(packed(bytes(300 << 20)), "script: larger than 64 MB when unpacked"),
    # .. the document ..
    "no JSON": Case(packed(b"<html>"), f"{NO_USE}not JSON"),
    "a list": Case(packed(b"[]"), f"{NO_USE}not a snapshot: a JSON object is expected"),
    "another schema": Case(document(schema="iis-spn/snapshot/77"), f"{NO_USE}its schema is 'iis-spn/snapshot/77'"),
    "nested": Case(packed(nested(200_000)), f"{NO_USE}not JSON: nested too deeply"),
    "too many values": Case(packed(nested(1_100_000)), f"{NO_USE}not a snapshot: more than 2000000 values"),
    "a long number": Case(packed(b'{"schema":"iis-spn/snapshot/1","x":%s}' % (b"9" * 9999)), f"{NO_USE}not JSON"),
    "files are a list": Case(document(files=[1, 2]), f"{NO_USE}files is not an object of paths"),
    "no configuration": Case(document(files={}), f"{NO_USE}no applicationHost.config"),
    # .. the configuration ..
    "no text": Case(files({"applicationHost.config": 7}), ["neither text nor base64 is given"]),
    "damaged base64": Case(files({"applicationHost.config": {"base64": "!"}}), ["the base64 text is damaged"]),
    "twice": Case(files({"APPLICATIONHOST.CONFIG": {"text": "<a/>"}}), ["it stands in the snapshot twice"]),
    "paths leading out": Case(
        files({path: {"text": "<evil/>"} for path in LEADING_OUT}),
        [f"' is refused: the path (holds )?{why}" for why in LEADING_OUT.values()],
        "partial",
    ),
    # .. the facts ..
    "facts of wrong types": Case(
        machine(dns_name=[], domain={}, addresses="10.0.0.1", domain_controller="no", services=3, content=True),
        [f"key '{key}' is ignored" for key in ("dns_name", "domain", "addresses", "domain_controller", "services")],
        "partial",
    ),
    "a name that leads out": Case(machine(name="../../evil"), ["is not a short computer name"], "partial"),
    "a name that paints": Case(
        machine(name="\x1b[2J"), ["key 'name' is ignored: it holds a control or invis"], "partial"
    ),
}


# -- asked all at once ---------------------------------------------------------------------------------------------


class Swept(NamedTuple):
    outcomes: Mapping[str, Result]
    neighbours: Sequence[Result]
    root: Path
    folder: Path
    shells_left: int


def endpoint(lab: farm.Farm, number: int, name: str | None = None) -> Endpoint:
    host = lab.name(number)
    return Endpoint(name=name or host, host=host, port=lab.http_port, transport="ntlm")


def sweep(
    lab: farm.Farm,
    servers: Sequence[Endpoint],
    folder: Path | None = None,
    told: Callable[[Result], None] = lambda _outcome: None,
    **more: Any,
) -> Run:
    logon = client.Logon(user=lab.user, password=lambda: lab.password)
    orders = Orders(logon_of=lambda _server: logon, tls=client.tls_context([lab.ca]), folder=folder, **more)
    return collect.collect(servers, orders, told=told)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    servers = 2 * len(CASES)
    with farm.running(tmp_path_factory.mktemp("farm"), servers=servers, sites=2) as running, farm.resolving():
        yield running


@pytest.fixture(scope="module")
def swept(lab: farm.Farm, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Each case is asked between two healthy servers."""
    root = tmp_path_factory.mktemp("root")
    folder = root / "some" / "where"
    cases = dict(zip(range(1, len(CASES) + 1), CASES.values(), strict=True))
    for number, case in cases.items():
        lab.set(lab.name(number), **{"output": case.printed, **case.more})
    well = range(len(CASES) + 1, 2 * len(CASES) + 1)
    servers = [endpoint(lab, number) for pair in zip(cases, well, strict=True) for number in pair]
    found = {outcome.endpoint.name: outcome for outcome in sweep(lab, servers, folder).outcomes}
    return Swept(
        outcomes={name: found[lab.name(number)] for number, name in enumerate(CASES, 1)},
        neighbours=[found[lab.name(number)] for number in well],
        root=root,
        folder=folder,
        shells_left=lab.shells_left(),
    )


@pytest.mark.parametrize("name", CASES)
def test_case(swept: Swept, name: str) -> None:
    outcome, case = swept.outcomes[name], CASES[name]
    if isinstance(case.said, str):
        assert outcome.failure is not None
        said = f"{outcome.failure.stage}: {outcome.failure.reason}"
        assert re.match(case.said, said), said
        assert outcome.failure.advice == "Run collect.ps1 on the server itself and look at what it prints."
        assert said.isprintable()
    else:
        assert outcome.answer is not None, outcome.failure
        messages = " | ".join(problem.message for problem in outcome.answer.standing.gaps)
        assert all(re.search(wanted, messages) for wanted in case.said), messages
        assert outcome.answer.standing.status == case.status
        assert messages.isprintable()


def test_the_neighbours_are_not_disturbed(swept: Swept) -> None:
    assert [outcome.failure for outcome in swept.neighbours] == [None] * len(CASES)
    assert {outcome.answer and outcome.answer.standing.status for outcome in swept.neighbours} == {"ok"}


def test_nothing_is_written_but_one_snapshot_for_each_answer(swept: Swept) -> None:
    answers = [outcome for outcome in (*swept.outcomes.values(), *swept.neighbours) if outcome.answer]
    wanted = {swept.folder / f"{outcome.endpoint.name}.snapshot.json.gz" for outcome in answers}
    assert {path for path in swept.root.rglob("*") if path.is_file()} == wanted
    assert {outcome.answer.path for outcome in answers if outcome.answer} == wanted


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not isinstance(case.said, str)])
def test_what_was_written_is_read_as_it_was_told(swept: Swept, name: str) -> None:
    """Paths that lead out are not followed, whoever reads the file later."""
    answer = swept.outcomes[name].answer
    assert answer is not None
    assert answer.path is not None
    found = targets.read_target(answer.path, None, {})
    assert not any("evil" in path for path in found.files)
    assert not any(b"evil" in file.data for file in found.files.values())
    assert assess(found).status == answer.standing.status


def test_no_remote_shell_stays(swept: Swept) -> None:
    assert swept.shells_left == 0


# -- more than anyone prints ---------------------------------------------------------------------------------------


def failed(outcome: Result) -> str:
    assert outcome.failure is not None
    return f"{outcome.failure.stage}: {outcome.failure.reason}"


def test_more_output_than_is_taken(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is 256 MB; it works like this one of 2 MB. What comes after it is not even fetched."""
    monkeypatch.setattr(client, "MAX_OUTPUT", 2 << 20)
    number = len(CASES) + 1
    lab.set(lab.name(number), output="x" * (20 << 20))
    before = lab.host(lab.name(number))["op.Receive"]
    outcomes = sweep(lab, [endpoint(lab, number), endpoint(lab, number + 1)]).outcomes
    assert failed(outcomes[0]) == "answer: the answer makes no sense: its output is larger than 2097152 bytes"
    assert outcomes[1].failure is None
    assert lab.host(lab.name(number))["op.Receive"] - before < 40
    assert lab.shells_left() == 0
    lab.calm(lab.name(number))


def test_a_huge_answer_makes_nobody_late(lab: farm.Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is looked through all the others are asked, and end."""
    huge, *others = range(len(CASES) + 1, len(CASES) + 10)
    text = "<configuration>" + " " * collect.HEAVY + "</configuration>"
    lab.set(lab.name(huge), output=files({"applicationHost.config": {"text": text}}))
    for number in others:
        lab.set(lab.name(number), runs=0.5)  # they are in the middle of it
    look = collect.document_in

    def look_on(document: bytes, file: str) -> Mapping[str, object]:
        if file == lab.name(huge):
            until(lambda: len(told) == len(others))
        return look(document, file)

    monkeypatch.setattr(collect, "document_in", look_on)
    told = list[Result]()
    outcomes = sweep(lab, [endpoint(lab, n) for n in (huge, *others)], tmp_path, told=told.append).outcomes
    assert [outcome.failure for outcome in outcomes] == [None] * 9
    assert told[-1].endpoint.name == lab.name(huge)
    lab.calm()


async def spoken_to(speak: Iterator[bytes], limits: client.Limits) -> UnreachableError:
    """What is said of a server that answers whatever it hears with this, for as long as anyone listens."""

    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for block in speak:
                writer.write(block)
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()
        writer.transport.abort()
        gone.set()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        asked = Endpoint(name="hostile", host="127.0.0.1", port=port, transport="ntlm")
        logon = client.Logon(user=farm.USER, password=lambda: farm.PASSWORD)
        with pytest.raises(UnreachableError) as caught:
            await client.run_script(asked, logon, b"", tls=client.tls_context(()), limits=limits, gate=open_gate)
        await gone.wait()
    return caught.value


CHUNK = b"100000\r\n" + bytes(1 << 20) + b"\r\n"


@pytest.mark.parametrize(
    ("head", "block", "words"),
    [
        (b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK, "it is larger than 67108864 bytes"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 99999999999\r\n\r\n", bytes(9999), "it is larger than 67108864 bytes"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: more and more\r\n", "broken HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 9999, "broken HTTP"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "the logon was not over within 1 s"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", "does not offer Negotiate"),
        (b"HTTP/1.0 200 OK\r\n\r\n", bytes(1 << 20), "it is larger than 67108864 bytes"),
        (b"HTTP/1.1 -1 OK\r\n\r\n", b"", "HTTP"),
        (b"220 mail.farm.test ESMTP\r\n", b"", "not HTTP: it answers '220 mail.farm.test ESMTP'"),
        (b"\x15\x03\x01\x00\x02\x02\x46", b"", "it speaks TLS on this port"),
    ],
    ids=["body", "announced", "headers", "header", "continue", "two answers", "until closed", "status", "smtp", "tls"],
)
def test_a_server_that_does_not_stop_talking(head: bytes, block: bytes, words: str) -> None:
    speak = itertools.chain([head], itertools.repeat(block) if block else [])
    limits = client.Limits(logon=1.0 if "1 s" in words else 20.0)
    error = asyncio.run(spoken_to(speak, limits))
    assert error.stage == "logon"
    assert words in error.reason
    assert error.left_behind is None


# -- names and places ----------------------------------------------------------------------------------------------


def test_a_server_called_like_a_path_is_written_nowhere(lab: farm.Farm, tmp_path: Path) -> None:
    """An inventory may call a server anything: what is no host name makes no file."""
    names = ["../../evil", "..", "a/b", "C:evil", "con", "*", "web 01", "\x1b[2J", "x" * 300]
    first = len(CASES) + 1
    servers = [endpoint(lab, number, name) for number, name in enumerate([*names, "web01"], first)]
    run = sweep(lab, servers, tmp_path / "some" / "where")
    for outcome in run.outcomes[:-1]:
        assert re.match("answer: '.*' is not the name of a server that a file can be called after", failed(outcome))
        assert failed(outcome).isprintable()
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert written == ["some/where/web01.snapshot.json.gz"]
    assert (run.asked.answered, run.asked.failed) == (1, len(names))


def test_a_place_that_cannot_be_written_to_is_told(lab: farm.Farm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    run = sweep(lab, [endpoint(lab, len(CASES) + 1)], tmp_path / "file" / "to")
    assert failed(run.outcomes[0]) == "answer: its snapshot could not be written: Not a directory"
    assert not run.is_complete


def test_what_could_not_be_kept_makes_no_other_name_an_alias(lab: farm.Farm, tmp_path: Path) -> None:
    """One machine under two names, of which the first makes no file: the second is kept."""
    number = len(CASES) + 1
    servers = [endpoint(lab, number, "no file"), endpoint(lab, number, "web01"), endpoint(lab, number, "web01-alias")]
    run = sweep(lab, servers, tmp_path, parallel=1)
    assert [outcome.answer is not None for outcome in run.outcomes] == [False, True, True]
    assert [(alias.asked, alias.server) for alias in run.asked.aliases] == [("web01-alias", "web01")]
    assert [path.name for path in tmp_path.iterdir()] == ["web01.snapshot.json.gz"]


def test_an_answer_of_no_use_does_not_hide_the_shell_that_stayed(lab: farm.Farm) -> None:
    number = len(CASES) + 2
    lab.set(lab.name(number), output="no frame", fault="drop", on="Delete")
    (outcome,) = sweep(lab, [endpoint(lab, number)]).outcomes
    assert failed(outcome) == NO_FRAME
    assert outcome.failure is not None
    assert "may remain until Windows ends it as idle" in outcome.failure.advice
    lab.calm(lab.name(number))
    lab.close_shells()


def test_a_machine_that_calls_itself_like_another_is_named(lab: farm.Farm) -> None:
    """Which of the two is real cannot be seen from here: the count says that both names led to one machine."""
    one, other = len(CASES) + 1, len(CASES) + 2
    facts, texts = configuration.files(lab.name(one), lab.address(one), 2, blanked=True)
    lab.set(lab.name(other), output=packed(json.dumps(collector.document(facts, texts)).encode()))
    run = sweep(lab, [endpoint(lab, one), endpoint(lab, other)], parallel=1)
    assert [(alias.asked, alias.server) for alias in run.asked.aliases] == [(lab.name(other), lab.name(one))]
    assert (run.asked.asked, run.asked.answered, len(list(run.snapshots()))) == (2, 2, 1)
    lab.calm(lab.name(other))
