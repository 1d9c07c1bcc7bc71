"""Servers that answer with what no collector prints: each is told by its name, and nothing is written but snapshots."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent import collect
from agent.collect import Orders, Result, Run
from agent.sources import snapshot, winrm
from agent.sources.endpoint import Endpoint
from agent.sources.winrm_errors import UnreachableError
from tests.winrm import collector, configuration, farm

GOOD: dict[str, Any] = collector.document(*configuration.files("web7777.farm.test", "127.10.0.9", 2, blanked=True))


# -- what they print -----------------------------------------------------------------------------------------------


def packed(plain: bytes) -> str:
    return collector.framed(base64.b64encode(gzip.compress(plain, 1)).decode(), "gzip")


def document(**changed: object) -> str:
    """The frame of a good snapshot, or of one that is good but for these keys."""
    return packed(json.dumps({**GOOD, **changed}).encode())


def machine(**changed: object) -> str:
    return document(machine={**GOOD["machine"], **changed})


def files(**changed: object) -> dict[str, object]:
    return {**GOOD["files"], **changed}


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
    "text": Case(collector.framed(collector.content(GOOD, "text"), "text"), status="ok"),
    "noise around it": Case(None, status="ok", more={"banner": "Welcome!\nMind the gap", "clixml": True}),
    "whole, with complaints": Case(WHOLE, status="ok", more={"exit_code": 1, "errors": "Access is denied\r\n"}),
    # .. the frame ..
    "nothing": Case("", NO_FRAME),
    "other words": Case("Windows PowerShell\r\nCopyright (C)\r\n", NO_FRAME),
    "nothing but errors": Case(
        "",
        NO_FRAME + r"; PowerShell says: File .* cannot be loaded \\u001b\[31mhere",
        more={
            "exit_code": 1,
            "errors": '#< CLIXML\r\n<Objs><S S="Error">File collect.ps1 cannot be loaded \x1b[31mhere_x000D__x000A_</S></Objs>',
        },
    ),
    "cut off": Case(None, r"script: cut off after \d+ of \d+ characters", more={"keep": 0.5}),
    "cut off in the last line": Case(WHOLE[:-6], "script: damaged"),
    "wrong count": Case(None, "script: damaged or cut off: ", more={"miscount": 7}),
    "a line lost": Case(re.sub(r"\|[^|]{200}\|\r\n", "", WHOLE, count=1), "script: damaged or cut off: "),
    "two frames": Case(WHOLE + WHOLE, "script: two snapshots in one file"),
    "another version": Case(WHOLE.replace("snapshot 1 ", "snapshot 9 ", 1), "script: its frame has version 9"),
    "another packing": Case(WHOLE.replace(" gzip ", " brotli ", 1), "script: damaged: nothing is packed as"),
    "a terabyte announced": Case("iis-spn-snapshot 1 gzip 999999999999\r\n|AAAA|\r\n", "script: larger than 256 MB"),
    "no base64": Case(collector.framed("####", "gzip"), "script: damaged: it is not base64"),
    "no gzip": Case(collector.framed("AAAA", "gzip"), "script: the gzip data is damaged"),
    "not ASCII": Case(collector.framed("{\u00e9}", "text"), "script: damaged"),
    "a bomb": Case(packed(bytes(300 << 20)), "script: larger than 256 MB when unpacked"),
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
    "no text": Case(document(files=files(**{"applicationHost.config": 7})), ["neither text nor base64 is given"]),
    "damaged base64": Case(
        document(files=files(**{"applicationHost.config": {"base64": "!"}})), ["the base64 text is damaged"]
    ),
    "twice": Case(
        document(files=files(**{"APPLICATIONHOST.CONFIG": {"text": "<a/>"}})), ["it stands in the snapshot twice"]
    ),
    "paths leading out": Case(
        document(files=files(**{path: {"text": "<evil/>"} for path in LEADING_OUT})),
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
    "a name that paints": Case(machine(name="\x1b[2J"), [r"'\\u001b\[2J' is not a short computer name"], "partial"),
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


def sweep(lab: farm.Farm, servers: Sequence[Endpoint], folder: Path | None = None, **more: Any) -> Run:
    logon = winrm.Logon(user=lab.user, password=lambda: lab.password)
    orders = Orders(logon_of=lambda _server: logon, tls=winrm.tls_context(lab.ca), folder=folder, **more)
    return collect.collect(servers, orders, told=lambda _outcome: None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    servers = 2 * len(CASES)
    with farm.running(tmp_path_factory.mktemp("farm"), servers=servers, sites=2) as running, farm.resolving():
        yield running


@pytest.fixture(scope="module")
def swept(lab: farm.Farm, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Each case is asked between two healthy servers. A name that came from the machine's own would be an alias."""
    root = tmp_path_factory.mktemp("root")
    folder = root / "some" / "where"
    cases = dict(zip(range(1, len(CASES) + 1), CASES.values(), strict=True))
    for number, case in cases.items():
        lab.set(lab.name(number), **_distinct(case, number))
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


def _distinct(case: Case, number: int) -> dict[str, object]:
    """The case's behaviour."""
    return {"output": case.printed, **case.more}


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
        messages = " | ".join(problem.message for problem in outcome.answer.server.problems)
        assert all(re.search(wanted, messages) for wanted in case.said), messages
        assert outcome.answer.server.status == case.status
        assert messages.isprintable()


def test_the_neighbours_are_not_disturbed(swept: Swept) -> None:
    assert [outcome.failure for outcome in swept.neighbours] == [None] * len(CASES)
    assert {outcome.answer and outcome.answer.server.status for outcome in swept.neighbours} == {"ok"}


def test_nothing_is_written_but_one_snapshot_for_each_answer(swept: Swept) -> None:
    answers = [outcome for outcome in (*swept.outcomes.values(), *swept.neighbours) if outcome.answer]
    written = {outcome.answer.path for outcome in answers if outcome.answer and not outcome.answer.alias_of}
    assert {path for path in swept.root.rglob("*") if path.is_file()} == written
    assert {path.parent for path in written if path} == {swept.folder}


def test_what_is_written_is_read_as_it_was_told(swept: Swept) -> None:
    """Nothing is lost or added between the outcome and a later `inspect` of the folder."""
    for name in ("whole", "paths leading out", "a name that leads out"):
        answer = swept.outcomes[name].answer
        assert answer is not None
        if answer.path is not None:
            found = snapshot.read(answer.path, None)
            assert [problem.message for problem in found.problems] == [p.message for p in answer.server.problems]
            assert not any("evil" in path for path in found.files)


def test_no_remote_shell_stays(swept: Swept) -> None:
    assert swept.shells_left == 0
