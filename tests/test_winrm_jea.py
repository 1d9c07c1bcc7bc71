"""JEA endpoints: one command of a session configuration, through pypsrp's messages and our own session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from waiting import Clock, overtaken

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("pypsrp", reason="the extra `jea` is not installed")

import psrpcore
from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, NETException
from pypsrp.powershell import RunspacePool
from pypsrp.wsman import WSMan

from agent.sources.endpoint import Endpoint
from agent.sources.winrm import client, jea
from agent.sources.winrm.client import Answer, Limits, Logon
from agent.sources.winrm.errors import InterruptedAskError, RefusedError, UnreachableError
from agent.sources.winrm.session import Proof
from tests.winrm import farm

ROOT = Path(__file__).parents[1]
CONFIGURATION = "IisSpn"
OPERATIONS = ("Create", "Command", "Receive")
"""What PowerShell remoting sends before the shell is removed; there is no Send for a pipeline that fits one message."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    with farm.running(tmp_path_factory.mktemp("jea"), servers=1) as running, farm.resolving():
        yield running


@pytest.fixture(autouse=True)
def _as_new(lab: farm.Farm) -> None:
    lab.calm()
    lab.close_shells()
    lab.use_certificate("good")
    lab.reset()


class Gate:
    """Counts who came, and what they left with."""

    def __init__(self) -> None:
        self.came = 0
        self.left: list[type[BaseException] | None] = []

    @contextlib.asynccontextmanager
    async def __call__(self, _server: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
        self.came += 1
        try:
            yield lambda: None
        except BaseException as error:
            self.left.append(type(error))
            raise
        self.left.append(None)


def asking(
    lab: farm.Farm, *, https: bool = False, password: str = farm.PASSWORD
) -> tuple[Gate, asyncio.Future[Answer]]:
    """The question as a task of the running loop, and the gate that it goes through."""
    endpoint = Endpoint(
        name="web0001",
        host=lab.name(),
        port=lab.https_port if https else lab.http_port,
        tls=https,
        transport="ntlm",
        user=farm.USER,
    )
    gate = Gate()
    question = jea.run_command(
        endpoint,
        Logon(user=farm.USER, password=lambda: password),
        CONFIGURATION,
        tls=client.tls_context([lab.ca]),
        limits=Limits(),
        gate=gate,
    )
    return gate, asyncio.ensure_future(question)


def ask(
    lab: farm.Farm,
    *,
    https: bool = False,
    password: str = farm.PASSWORD,
    overtaking: tuple[Callable[[], object], float] | None = None,
) -> Answer:
    """`overtaking`: when the clock is put forward, and by how many seconds."""

    async def answer() -> Answer:
        _, question = asking(lab, https=https, password=password)
        return await (overtaken(question, *overtaking) if overtaking else question)

    return asyncio.run(answer())


def failure(lab: farm.Farm, *, https: bool = False, hangs: bool = False) -> UnreachableError:
    """With `hangs` nobody waits for what the fault of the endpoint holds up: the limit of that is over."""
    overtaking = (lambda: lab.stats().injected, 3600.0) if hangs else None
    with pytest.raises(UnreachableError) as caught:
        ask(lab, https=https, overtaking=overtaking)
    assert lab.shells_left() == 0
    return caught.value


# -- what it gives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("https", [False, True])
def test_the_command_prints_what_the_collector_prints(lab: farm.Farm, https: bool) -> None:
    answer = ask(lab, https=https)
    assert answer.stdout.decode().splitlines() == lab.printed(lab.name()).decode().splitlines()
    assert (answer.stderr, answer.exit_code, answer.left_behind) == (b"", 0, None)
    assert lab.scripts(lab.name()) == [b"Get-IisSpnSnapshot"]
    assert lab.stats()["auth.ntlm"] == 1
    assert lab.shells_left() == 0


def test_an_answer_of_many_messages_is_whole(lab: farm.Farm) -> None:
    lines = [f"|{number:0198d}|" for number in range(5000)]
    lab.set(output="\r\n".join(lines))
    assert ask(lab).stdout.decode().splitlines() == lines


def test_complaints_of_powershell_come_beside_the_output(lab: farm.Farm) -> None:
    lab.set(errors="Access to the path is denied.")
    answer = ask(lab)
    assert answer.stdout.startswith(b"iis-spn-snapshot 1 ")
    assert (answer.stderr, answer.exit_code) == (b"Access to the path is denied.\n", 1)


def test_a_command_that_runs_longer_than_one_poll(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jea, "POLL_SECONDS", 1)
    lab.set(runs=2.5)
    assert ask(lab).stdout.startswith(b"iis-spn-snapshot 1 ")
    assert lab.stats()["fault.2150858793"] >= 1


def test_a_command_may_run_longer_than_a_session_takes_to_open(lab: farm.Farm) -> None:
    lab.set(runs=1.0)
    answer = ask(lab, overtaking=(lambda: lab.stats()["op.Receive"] >= 2, 2 * Limits().shell))
    assert answer.stdout.startswith(b"iis-spn-snapshot 1 ")


def test_a_server_that_ends_each_poll_at_once_is_not_asked_all_the_time(
    lab: farm.Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.set(fault="timedout", on="Receive", after=1)
    nap = asyncio.sleep

    async def ask_sleepless() -> None:
        clock = Clock()

        async def sleep(seconds: float) -> None:
            clock.ahead += seconds
            await nap(0)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        with pytest.raises(UnreachableError, match="script"):
            await asking(lab)[1]

    asyncio.run(ask_sleepless())
    assert 2 <= lab.stats()["op.Receive"] <= Limits().whole / jea.MIN_POLL_SECONDS + 2


# -- who may -------------------------------------------------------------------------------------------------------


def test_the_gate_is_entered_once_and_left_when_the_logon_is_accepted(lab: farm.Farm) -> None:
    async def both() -> None:
        lab.set(fault="hang", on="Create")
        gate, question = asking(lab)
        with pytest.raises(UnreachableError):
            await overtaken(question, lambda: lab.stats().injected)
        assert (gate.came, gate.left) == (1, [None])

        lab.heal()
        gate, question = asking(lab, password="wrong")
        with pytest.raises(RefusedError):
            await question
        assert (gate.came, gate.left) == (1, [RefusedError])

    asyncio.run(both())


def test_a_wrong_password_is_sent_once(lab: farm.Farm) -> None:
    with pytest.raises(RefusedError) as caught:
        ask(lab, password="wrong")
    assert caught.value.stage == "logon"
    assert lab.stats()["auth.refused"] == 1
    assert "wrong" not in str(caught.value)


def test_an_account_that_may_not_use_the_configuration(lab: farm.Farm) -> None:
    lab.set(fault="denied", on="Create")
    error = failure(lab)
    assert not isinstance(error, RefusedError)
    assert (error.stage, "may not use the session configuration 'IisSpn'" in error.reason) == ("shell", True)
    assert "RoleDefinitions" in error.advice


def test_a_configuration_that_is_not_there(lab: farm.Farm) -> None:
    lab.set(fault="soapfault", on="Create", argument=2150858811)
    error = failure(lab)
    assert (error.stage, error.reason) == ("shell", "there is no session configuration 'IisSpn'")


def test_a_command_that_is_not_offered(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jea, "COMMAND", "Get-Content")
    error = failure(lab)
    assert (error.stage, error.reason) == ("script", "Get-Content is not offered by that endpoint ('IisSpn')")
    assert "VisibleFunctions" in error.advice


def test_a_session_that_powershell_cannot_open() -> None:
    """The server's side of MS-PSRP breaks the pool, as it does where a role capability file is missing."""
    client, server = psrpcore.ClientRunspacePool(), psrpcore.ServerRunspacePool()
    client.open()
    opening = client.data_to_send()
    assert opening is not None
    server.receive_data(opening)
    while server.next_event():
        pass
    server.set_broken(
        ErrorRecord(
            Exception=NETException(Message="Could not find the role capability."),
            CategoryInfo=ErrorCategoryInfo(Category=ErrorCategory.ObjectNotFound),
        )
    )
    messages = []
    while payload := server.data_to_send():
        messages.append(payload.data)
    pool = RunspacePool(WSMan("web0001"))
    wire = jea._Wire(Endpoint(name="web0001", host="web0001"))
    with pytest.raises(UnreachableError) as caught:
        jea._guarded(wire, CONFIGURATION, lambda: [pool._parse_responses(message) for message in messages])
    assert "did not open a session of 'IisSpn'" in caught.value.reason
    assert "Could not find the role capability." in caught.value.reason


# -- what is not believed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_in_clear_text_is_refused(lab: farm.Farm, operation: str) -> None:
    lab.set(fault="plain", on=operation, times=1)
    assert "clear text" in failure(lab).reason
    assert lab.stats()["injected.plain"] == 1


def test_a_certificate_for_another_name_is_refused_before_any_logon(lab: farm.Farm) -> None:
    lab.use_certificate("wrong-name")
    assert failure(lab, https=True).stage == "tls"
    assert lab.stats()["401"] == 0


def test_no_proxy_of_the_environment_is_asked(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert ask(lab).stdout


# -- time, faults, and what is left behind -------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "fault",
    ["drop", "lost", "truncate", "garbage", "nonsense", "empty", "wrongrelates", "badsig", "http500", "http503", "401"],
)
def test_each_fault_is_an_error_and_leaves_no_shell(lab: farm.Farm, fault: str, operation: str) -> None:
    lab.set(fault=fault, on=operation, times=1)
    error = failure(lab)
    assert error.stage in ("shell", "script", "answer")
    assert error.left_behind is None
    assert lab.stats()[f"injected.{fault}"] == 1


@pytest.mark.parametrize("fault", ["hang", "hangmid", "drip", "flood"])
@pytest.mark.parametrize(("operation", "after", "stage"), [("Create", 0, "shell"), ("Receive", 1, "script")])
def test_the_deadline_holds_and_leaves_no_thread(
    lab: farm.Farm, fault: str, operation: str, after: int, stage: str
) -> None:
    lab.set(fault=fault, on=operation, after=after, times=1)
    threads = set(threading.enumerate())
    error = failure(lab, hangs=fault != "flood")  # which ends where an answer is too large
    assert (error.stage, error.left_behind) == (stage, None)
    assert set(threading.enumerate()) <= threads


def test_a_question_that_is_broken_off_leaves_no_shell(lab: farm.Farm) -> None:
    lab.set(fault="hang", on="Receive", after=1, times=1)

    async def broken_off() -> None:
        _, question = asking(lab)
        while not lab.stats()["injected.hang"]:
            await asyncio.sleep(0.05)
        assert lab.shells_left() == 1
        question.cancel()
        with pytest.raises(InterruptedAskError) as caught:
            await question
        assert (caught.value.stage, caught.value.left_behind) == ("script", None)

    asyncio.run(broken_off())
    assert lab.shells_left() == 0


def test_a_password_that_nobody_has_accepted_is_not_sent_again_for_the_removal(lab: farm.Farm) -> None:
    """Over TLS the request for the session travels with the last token of the logon."""
    lab.set(fault="hang", on="Create", times=1)
    error = failure(lab, https=True, hangs=True)
    assert error.left_behind is not None
    assert "before the server said whether it accepts the logon" in error.left_behind
    assert lab.stats()["auth.ntlm"] == 1


def test_a_shell_that_cannot_be_removed_is_named(lab: farm.Farm) -> None:
    lab.set(fault="denied", on="Delete")
    answer = ask(lab)
    assert answer.stdout
    assert lab.shells_left() == 1
    assert answer.left_behind is not None
    assert re.search("remote shell [0-9A-F-]{36} may remain", answer.left_behind)


# -- what stays secret ---------------------------------------------------------------------------------------------


def test_neither_password_nor_messages_nor_output_are_logged(lab: farm.Farm, caplog: pytest.LogCaptureFixture) -> None:
    for logger in ("", "pypsrp", "spnego"):
        caplog.set_level(logging.DEBUG, logger)
    lab.set(output="what the collector prints")
    assert ask(lab).stdout == b"what the collector prints\n"
    for secret in (farm.PASSWORD, "NTLM", "Envelope", "what the collector prints", "TlRMTVNTUA"):
        assert secret not in caplog.text


# -- the documentation ---------------------------------------------------------------------------------------------


def test_the_documentation_sets_up_the_command_that_is_asked_for() -> None:
    page = (ROOT / "docs" / "jea.md").read_text(encoding="utf-8")
    assert f"VisibleFunctions    = '{jea.COMMAND}'" in page
    assert f"Name        = '{jea.COMMAND}'" in page


def test_the_collector_uses_no_command_that_jea_constrains() -> None:
    """A function of a role capability gets JEA's cut-down proxies of these, unless it names the module too."""
    constrained = (
        "Clear-Host|Exit-PSSession|Get-Command|Get-FormatData|Get-Help|Measure-Object|Out-Default|Select-Object"
    )
    script = (ROOT / "agent" / "sources" / "snapshots" / "collect.ps1").read_text(encoding="ascii")
    code = re.sub("#.*|'[^']*'", "", script)
    assert re.findall(rf"(?<![\w\\-])(?:{constrained}|select|measure|gcm|cls|clear|exit)(?![\w-])", code, re.I) == []
