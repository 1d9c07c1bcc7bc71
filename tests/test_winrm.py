"""Asking one server over WinRM: every transport, every refusal, every fault at every stage, and no shell is left."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import logging
import re
import socket
import traceback
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import xmltodict
from msgspec.structs import replace
from waiting import Clock, overtaken

from agent.errors import UsageError
from agent.sources import extras
from agent.sources.endpoint import Endpoint, Transport
from agent.sources.security_context import KRB5_ERRORS, MODIFIED, krb5_code
from agent.sources.tls import client_context
from agent.sources.winrm import client as source
from agent.sources.winrm import connection, handshake, kerberos, messages
from agent.sources.winrm import logon as logons
from agent.sources.winrm.client import (
    Answer,
    Gate,
    InterruptedAskError,
    Limits,
    Logon,
    RefusedError,
    Taking,
    Tls,
    UnreachableError,
    run_script,
    tls_context,
)
from agent.sources.winrm.errors import FAULTS as WSMAN_FAULTS
from agent.sources.winrm.errors import fault_error
from agent.sources.winrm.session import Proof
from agent.sources.winrm.shell import open_gate
from agent.sweep import run
from tests.winrm import farm as farm_module
from tests.winrm import kerberos_error
from tests.winrm.farm import Farm
from tests.winrm.faults import FAULTS

SCRIPT = b"# a script of more than eight thousand characters\r\n" * 200


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm_module.running(tmp_path_factory.mktemp("farm"), servers=800) as running, farm_module.resolving():
        yield running


@pytest.fixture(autouse=True)
def _calm(farm: Farm) -> Iterator[None]:
    yield
    farm.use_certificate("good")
    farm.calm()
    farm.close_shells()


def logon(farm: Farm, password: str | None = None) -> Logon:
    return Logon(user=farm.user, password=lambda: farm.password if password is None else password)


def endpoint(farm: Farm, transport: Transport = "ntlm", number: int = 1, *, tls: bool = False, **more: Any) -> Endpoint:
    host = {"host": farm.name(number), **more}
    port = farm.https_port if tls else farm.http_port
    return Endpoint(**{"name": "web", "port": port, "tls": tls, "transport": transport, **host})


async def asking(
    farm: Farm, target: Endpoint, who: Logon | None = None, limits: Limits | None = None, gate: Gate = open_gate
) -> Answer:
    return await run_script(
        target, who or logon(farm), SCRIPT, tls=trust(farm, target), limits=limits or Limits(), gate=gate
    )


def trust(farm: Farm, target: Endpoint) -> Any:
    own = (farm.client_certificate, farm.client_key) if target.transport == "certificate" else (None, None)
    return tls_context([farm.ca], *own)


def ask(farm: Farm, target: Endpoint, who: Logon | None = None, *, hangs: bool = False, **more: Any) -> Answer:
    """With `hangs` nobody waits for what the endpoint's fault holds up: the limit of that is over."""
    question = asking(farm, target, who, **more)
    if not hangs:
        return asyncio.run(question)
    farm.reset()
    return asyncio.run(overtaken(question, lambda: farm.stats().injected))


def failure(farm: Farm, target: Endpoint, who: Logon | None = None, **more: Any) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        ask(farm, target, who, **more)
    return caught.value


# -- every transport -----------------------------------------------------------------------------------------------

TRANSPORTS = [  # and the HTTP requests each takes: the legs of the logon, Create, Command, Send, two Receives, Delete
    ("ntlm", False, 8),
    ("ntlm", True, 7),
    ("auto", False, 8),
    ("credssp", False, 11),
    ("credssp", True, 10),
    ("basic", True, 6),
    ("certificate", True, 6),
]


@pytest.mark.parametrize(("transport", "tls", "requests"), TRANSPORTS)
def test_each_transport_brings_the_output_in_few_requests(
    farm: Farm, transport: Transport, tls: bool, requests: int
) -> None:
    farm.reset()
    answer = ask(farm, endpoint(farm, transport, tls=tls))
    assert answer == (farm.printed(farm.name()), b"", 0, None)
    assert farm.scripts(farm.name()) == [SCRIPT]
    stats = farm.stats()
    assert (stats["requests"], stats["connections"], stats.shells_left) == (requests, 1, 0)


def test_errors_and_exit_code_come_back(farm: Farm) -> None:
    farm.set("web0001*", output="half", errors="it hurts", exit_code=3)
    assert ask(farm, endpoint(farm)) == (b"half", b"it hurts", 3, None)


@pytest.mark.parametrize("transport", ["ntlm", "credssp"])
def test_output_comes_in_pieces_and_in_sealed_parts(farm: Farm, transport: Transport) -> None:
    text = "0123456789abcdef" * 6000  # six pieces, and more than one sealed part of CredSSP each
    farm.set("web0001*", output=text, piece=20_000)
    assert ask(farm, endpoint(farm, transport)).stdout == text.encode()


def test_chunked_answers_are_understood(farm: Farm) -> None:
    farm.set("web0001*", fault="chunked")
    assert ask(farm, endpoint(farm)).exit_code == 0


def test_an_address_instead_of_a_name(farm: Farm) -> None:
    assert ask(farm, endpoint(farm, "auto", host=farm.address())).exit_code == 0
    assert ask(farm, endpoint(farm, "ntlm", host=farm.address(), tls=True)).exit_code == 0


def test_the_proxy_of_the_environment_is_not_asked(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(farm, endpoint(farm)).exit_code == 0


# -- who is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "tls"), [("ntlm", False), ("ntlm", True), ("credssp", False), ("credssp", True), ("basic", True)]
)
def test_a_wrong_password_is_judged_once_and_named(farm: Farm, transport: Transport, tls: bool) -> None:
    farm.reset()
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def gate(_server: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
        seen.append("entered")
        try:
            yield lambda: None
        except RefusedError:
            seen.append("refused")
            raise

    error = failure(farm, endpoint(farm, transport, tls=tls), logon(farm, "wr0ng-Passw0rd"), gate=gate)
    assert isinstance(error, RefusedError)
    assert (error.stage, error.left_behind, seen) == ("logon", None, ["entered", "refused"])
    stats = farm.stats()
    judged = stats["auth.refused"] + stats["auth.basic.refused"]
    assert (stats["connections"], judged) == (1, 0 if transport == "credssp" else 1)  # CredSSP says so inside its TLS


JUDGED: list[tuple[Transport, bool, int, int]] = [  # requests before the one that is judged, and up to the acceptance
    ("basic", True, 0, 1),
    ("ntlm", True, 1, 2),
    ("ntlm", False, 1, 2),
    ("credssp", True, 3, 5),
    ("credssp", False, 3, 5),
]


@pytest.mark.parametrize(("transport", "tls", "before", "accepted"), JUDGED)
def test_the_gate_opens_before_what_is_judged_and_its_wait_is_not_counted(
    farm: Farm, transport: Transport, tls: bool, before: int, accepted: int
) -> None:
    farm.reset()
    requests: list[int] = []

    @contextlib.asynccontextmanager
    async def gate(_server: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
        Clock().ahead = 10 * Limits().whole
        requests.append(farm.stats()["requests"])
        yield lambda: None
        requests.append(farm.stats()["requests"])

    assert ask(farm, endpoint(farm, transport, tls=tls), gate=gate).exit_code == 0
    assert requests == [before, accepted]


def test_a_certificate_waits_at_no_gate(farm: Farm) -> None:
    @contextlib.asynccontextmanager
    async def shut(_server: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
        raise AssertionError("no password is judged")
        yield lambda: None

    assert ask(farm, endpoint(farm, "certificate", tls=True), Logon(), gate=shut).exit_code == 0


@pytest.mark.parametrize("fault", ["401", "401close"])
def test_a_401_before_anything_was_judged_is_no_refusal(farm: Farm, fault: str) -> None:
    farm.set("web0001*", fault=fault, on="auth")
    error = failure(farm, endpoint(farm))
    assert not isinstance(error, RefusedError)
    assert error.stage == "logon"


@pytest.mark.parametrize("tls", [False, True])
def test_access_denied_and_403_are_no_refusal(farm: Farm, tls: bool) -> None:
    for fault, words in (("denied", "ERROR_ACCESS_DENIED, 5"), ("403", "HTTP 403"), ("quota", "2150859174")):
        farm.set("web0001*", fault=fault, on="Create")
        error = failure(farm, endpoint(farm, tls=tls))
        assert (type(error), error.stage) == (UnreachableError, "shell")
        assert words in error.reason


def test_a_server_without_the_wanted_logon_says_what_it_has(tmp_path: Path) -> None:
    with farm_module.running(tmp_path, authentication=["basic", "kerberos"]) as few, farm_module.resolving():
        for transport in ("ntlm", "credssp"):
            error = failure(few, endpoint(few, transport))
            assert not isinstance(error, RefusedError)
            assert "it offers basic, kerberos" in error.reason


def test_basic_and_certificates_never_leave_tls(farm: Farm) -> None:
    farm.reset()
    for transport in ("basic", "certificate"):
        assert "without TLS" in failure(farm, endpoint(farm, transport)).reason
    assert farm.stats()["requests"] == 0


def with_certificate(farm: Farm, trusted: Tls) -> UnreachableError:
    target = endpoint(farm, "certificate", tls=True)
    with pytest.raises(UnreachableError) as caught:
        asyncio.run(run_script(target, Logon(), SCRIPT, tls=trusted, limits=Limits(), gate=open_gate))
    return caught.value


def test_only_servers_asked_by_certificate_are_shown_it(farm: Farm) -> None:
    """The endpoint asks everyone for a certificate: what the others are asked with shows it none."""
    trusted = tls_context([farm.ca], farm.client_certificate, farm.client_key)
    assert trusted.of(endpoint(farm, "certificate", tls=True)) is trusted.certificate
    for transport in ("auto", "kerberos", "ntlm", "credssp", "basic"):
        assert trusted.of(endpoint(farm, transport, tls=True)) is trusted.plain  # type: ignore[arg-type]
    error = with_certificate(farm, Tls(trusted.plain, trusted.plain))
    assert error.reason == "the server does not take the client certificate (401)"
    assert not isinstance(error, RefusedError)


def test_without_a_certificate_nothing_is_sent(farm: Farm) -> None:
    farm.reset()
    error = with_certificate(farm, tls_context([farm.ca]))
    assert (error.stage, error.reason) == ("logon", "no client certificate was given")
    assert (farm.stats()["connections"], error.left_behind) == (0, None)


# -- what is a verdict ---------------------------------------------------------------------------------------------


class Watch:
    """A gate that keeps what each server was left with: None where it accepted the logon. `domains` are what they said
    of themselves, `proofs` how often one has proved the password.
    """

    def __init__(self) -> None:
        self.left: list[type[BaseException] | None] = []
        self.domains: list[str] = []
        self.proofs = 0

    @contextlib.asynccontextmanager
    async def __call__(self, _: Endpoint, domain: str = "", /) -> AsyncIterator[Proof]:
        def prove() -> None:
            self.proofs += 1

        self.domains.append(domain)
        try:
            yield prove
        except BaseException as error:
            self.left.append(type(error))
            raise
        self.left.append(None)


LAST_LEG: list[tuple[Transport, bool, int]] = [  # and how many requests of the logon come before it
    ("basic", True, 0),
    ("certificate", True, 0),
    ("ntlm", True, 1),
    ("ntlm", False, 1),
    ("credssp", True, 4),
    ("credssp", False, 4),
]


@pytest.mark.parametrize("fault", ["403", "404", "http500", "http503", "garbage", "hangmid"])
@pytest.mark.parametrize(("transport", "tls", "before"), LAST_LEG)
def test_a_page_of_some_other_service_says_nothing_of_the_password(
    farm: Farm, transport: Transport, tls: bool, before: int, fault: str
) -> None:
    farm.reset()
    farm.set("web0001*", fault=fault, on="auth", after=before)
    gate, who = Watch(), logon(farm)
    error = failure(farm, endpoint(farm, transport, tls=tls), who, gate=gate, hangs=fault == "hangmid")
    left = [] if transport == "certificate" else [UnreachableError]
    assert (type(error), gate.left, who.was_accepted) == (UnreachableError, left, False)
    assert error.stage == ("shell" if tls else "logon")
    assert farm.stats()[f"injected.{fault}"] >= 1
    if transport != "certificate":  # a key can be proved again and again, a password is not
        assert farm.stats()["requests"] == before + 1


@pytest.mark.parametrize("fault", ["empty", "nonsense", "wrongrelates", "404", "http500"])
def test_over_tls_only_an_answer_to_the_question_is_an_acceptance(farm: Farm, fault: str) -> None:
    farm.set("web0001*", fault=fault, on="Create")
    gate, who = Watch(), logon(farm)
    failure(farm, endpoint(farm, tls=True), who, gate=gate)
    assert (gate.left, who.was_accepted) == ([UnreachableError], False)


@pytest.mark.parametrize("fault", ["denied", "quota", "soapfault"])
@pytest.mark.parametrize(("transport", "tls"), [row[:2] for row in LAST_LEG])
def test_a_fault_of_ws_management_is_an_acceptance(farm: Farm, transport: Transport, tls: bool, fault: str) -> None:
    farm.set("web0001*", fault=fault, on="Create")
    gate, who = Watch(), logon(farm)
    error = failure(farm, endpoint(farm, transport, tls=tls), who, gate=gate)
    left = [] if transport == "certificate" else [None]
    assert (error.stage, gate.left, who.was_accepted) == ("shell", left, True)


@pytest.mark.parametrize(("transport", "tls", "before"), [row for row in LAST_LEG if row[0] != "certificate"])
def test_the_next_server_is_the_canary_where_the_first_was_something_else(
    farm: Farm, transport: Transport, tls: bool, before: int
) -> None:
    """A wrong password goes to one server that judges it, not to three or to all."""
    farm.reset()
    farm.set("web0001*", fault="404", on="auth", after=before - before // 4)  # CredSSP judges it one leg earlier
    who, trusted = logon(farm, "wr0ng-Passw0rd"), tls_context([farm.ca])
    servers = [endpoint(farm, transport, number, tls=tls, name=f"web{number}") for number in range(1, 9)]

    async def one(server: Endpoint, gate: Gate) -> Answer:
        return await run_script(server, who, SCRIPT, tls=trusted, limits=Limits(), gate=gate)

    outcomes = asyncio.run(run.sweep(servers, one, parallel=1))
    said = [outcome.failure.reason if outcome.failure else "ok" for outcome in outcomes]
    assert said[0] == "HTTP 404: nothing is served at /wsman"
    assert said[1].startswith("the server refuses the user or the password")
    assert all(words.startswith("the sweep was stopped") for words in said[2:])
    asked = [number for number in range(1, 9) if farm.host(farm.name(number)).get("requests")]
    assert (asked, who.was_accepted) == ([1, 2], False)


# -- whose password it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "domain", "own"),
    [
        ("CORP\\svc", "corp.test", "corp.test"),
        ("svc@corp.test", "Corp.Test", "corp.test"),
        ("corp.test\\svc", "corp.test", "corp.test"),
        ("CORP\\svc", "CORP", "corp"),
        ("CORP\\svc", "child.corp.test", ""),
        ("CORP\\svc", "other.test", ""),
        ("WEB02\\svc", "corp.test", ""),
        (".\\svc", "corp.test", ""),
        ("svc", "corp.test", ""),
        ("CORP\\svc", "", ""),
        ("svc", "", ""),
        (None, "corp.test", ""),
    ],
)
def test_only_a_member_of_the_accounts_own_domain_asks_its_controllers(user: str | None, domain: str, own: str) -> None:
    assert logons.own_domain(user, domain) == own


@pytest.mark.parametrize(
    ("transport", "tls", "domain", "proofs"),
    [
        ("ntlm", False, "corp.test", 1),
        ("ntlm", True, "corp.test", 0),
        ("credssp", False, "", 1),
        ("basic", True, "", 0),
    ],
)
def test_the_gate_hears_whose_member_a_server_is_and_of_an_answer_under_the_keys_of_the_password(
    farm: Farm, transport: Transport, tls: bool, domain: str, proofs: int
) -> None:
    """The challenge is read where it goes in clear; over TLS NTLM's keys are not used, and yes is all that is said."""
    gate = Watch()
    assert ask(farm, endpoint(farm, transport, tls=tls), gate=gate).exit_code == 0
    assert (gate.domains, gate.left, gate.proofs) == ([domain], [None], proofs)


@pytest.mark.parametrize("fault", ["plain", "badsig", "garbage", "empty", "lost", "403", "truncate"])
def test_who_says_yes_and_has_no_keys_proves_nothing(farm: Farm, fault: str) -> None:
    farm.set("web0001*", fault=fault, on="Create")
    gate = Watch()
    failure(farm, endpoint(farm), gate=gate)
    assert (gate.domains, gate.left, gate.proofs) == (["corp.test"], [None], 0)


def test_a_denied_account_has_a_known_password_all_the_same(farm: Farm) -> None:
    farm.set("web0001*", fault="denied", on="Create")
    gate = Watch()
    failure(farm, endpoint(farm), gate=gate)
    assert (gate.left, gate.proofs) == ([None], 1)


# -- while the shell is being removed ------------------------------------------------------------------------------


def taking(farm: Farm, taker: Taking, limits: Limits | None = None) -> Answer:
    how: dict[str, Any] = {"tls": tls_context([farm.ca]), "limits": limits or Limits(), "gate": open_gate}
    return asyncio.run(run_script(endpoint(farm), logon(farm), SCRIPT, meanwhile=taker, **how))


def test_what_was_printed_is_taken_while_the_server_removes_the_shell(farm: Farm) -> None:
    """The removal that never ends here is waited for until it is taken, and not the other way round."""
    taken: list[tuple[bytes, bytes]] = []

    async def take(stdout: bytes, stderr: bytes) -> None:
        taken.append((stdout, stderr))
        Clock().ahead = 700

    farm.set("web0001*", output="printed", errors="hurt", fault="hang", on="Delete")
    answer = taking(farm, take, Limits(farewell=600.0))
    assert taken == [answer[:2]] == [(b"printed", b"hurt")]
    assert "no answer to its removal within 600 s" in str(answer.left_behind)


@pytest.mark.parametrize("fault", ["", "denied"])
def test_what_is_wrong_with_the_answer_comes_out_with_what_remains(farm: Farm, fault: str) -> None:
    async def refuse(_stdout: bytes, _stderr: bytes) -> None:
        raise UnreachableError("answer", "it is useless", "look at it")

    if fault:
        farm.set("web0001*", fault=fault, on="Delete")
    with pytest.raises(UnreachableError, match="it is useless") as caught:
        taking(farm, refuse)
    assert (caught.value.left_behind is None) == (not fault)


# -- TLS and other protocols ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "words"),
    [("expired", "has expired"), ("wrong-name", "is for another name"), ("self-signed", "is self-signed")],
)
def test_bad_certificates_are_told_apart_before_anything_is_said(farm: Farm, shown: str, words: str) -> None:
    farm.use_certificate(shown)
    farm.reset()
    error = failure(farm, endpoint(farm, tls=True))
    assert (error.stage, farm.stats()["requests"]) == ("tls", 0)
    assert words in error.reason


def test_an_unknown_issuer_is_told_with_what_helps(farm: Farm) -> None:
    with pytest.raises(UnreachableError, match="unknown issuer") as caught:
        asyncio.run(
            run_script(
                endpoint(farm, tls=True), logon(farm), SCRIPT, tls=tls_context(()), limits=Limits(), gate=open_gate
            )
        )
    assert "--ca" in caught.value.advice


def test_an_unreadable_ca_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "not.pem").write_text("no certificate")
    for name in ("not.pem", "missing.pem"):
        with pytest.raises(UsageError, match=name):
            tls_context([tmp_path / name])


def test_no_session_keys_are_written(farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    for transport in ("ntlm", "credssp", "certificate"):
        assert ask(farm, endpoint(farm, transport, tls=True)).exit_code == 0
    contexts = [client_context(), client_context([farm.ca])]
    assert [context.keylog_filename for context in contexts] == [None, None]
    assert not log.exists()


def test_other_protocols_are_named(farm: Farm) -> None:
    farm.set("web0001*", fault="garbage", on="connect")
    error = failure(farm, endpoint(farm))
    assert (error.stage, "SSH-2.0" in error.reason) == ("logon", True)
    farm.set("web0001*", fault="garbage", on="tls")
    error = failure(farm, endpoint(farm, tls=True))
    assert (error.stage, "not TLS at all" in error.reason) == ("tls", True)


def test_names_and_ports_that_lead_nowhere(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = endpoint(farm, host="127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failure(farm, Endpoint(name="x", host=closed.host, port=port, transport="ntlm"))
    assert (error.stage, "nothing listens" in error.reason) == ("connect", True)

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure(farm, endpoint(farm)).stage == "resolve"


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open no further file until the end of the block."""
    resource = pytest.importorskip("resource", reason="limits of open files are Unix")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as unused:
        free = unused.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _no_address(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _no_more(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize(("lookup", "stage"), [(None, "connect"), (_no_address, "resolve"), (_no_more, "resolve")])
def test_too_many_open_files_are_ours(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, lookup: Callable[..., Any] | None, stage: str
) -> None:
    """The C library may give no more than "no such name" where it could open no socket to ask."""
    trusted = tls_context([farm.ca])
    target = endpoint(farm) if lookup else endpoint(farm, host=farm.address())
    if lookup:
        monkeypatch.setattr(socket, "getaddrinfo", lookup)

    async def exhausted() -> None:
        with no_more_files():
            await run_script(target, logon(farm), SCRIPT, tls=trusted, limits=Limits(), gate=open_gate)

    with pytest.raises(UnreachableError) as caught:
        asyncio.run(exhausted())
    assert (caught.value.stage, caught.value.is_passing) == (stage, True)
    assert caught.value.reason == "this machine allows this program no more open files"
    assert "ulimit -n" in caught.value.advice


def of_two(farm: Farm, *addresses: str) -> Callable[..., Any]:
    """getaddrinfo where the first server has these addresses."""
    real = socket.getaddrinfo

    def known(host: Any, *rest: Any, **more: Any) -> Any:
        asked = addresses if host == farm.name(1) else [host]
        return [found for each in asked for found in real(each, *rest, **more)]

    return known


def test_the_next_address_is_tried_beside_a_silent_one(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.set("web0002*", fault="blackhole")
    monkeypatch.setattr(socket, "getaddrinfo", of_two(farm, farm.address(2), farm.address(3)))
    attempt = connection._connected_to
    seen: list[tuple[str, str]] = []

    async def watched(address: tuple[int, str], port: int) -> Any:
        seen.append(("begun", address[1]))
        try:
            return await attempt(address, port)
        finally:
            seen.append(("over", address[1]))

    monkeypatch.setattr(connection, "_connected_to", watched)
    assert ask(farm, endpoint(farm)).exit_code == 0
    silent, next_one = farm.address(2), farm.address(3)
    assert seen == [("begun", silent), ("begun", next_one), ("over", next_one), ("over", silent)]


def test_the_next_address_is_not_tried_beside_one_that_answers(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "NEXT_ADDRESS_SECONDS", 3600.0)
    monkeypatch.setattr(socket, "getaddrinfo", of_two(farm, farm.address(2), farm.address(3)))
    farm.reset()
    assert ask(farm, endpoint(farm)).exit_code == 0
    assert [farm.host(farm.name(number)).get("connections", 0) for number in (2, 3)] == [1, 0]


# -- what a server may do to us ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["Create", "Command", "Send", "Receive", "Delete"])
@pytest.mark.parametrize("transport", ["ntlm", "credssp"])
def test_a_clear_answer_on_an_encrypted_session_is_never_believed(
    farm: Farm, transport: Transport, operation: str
) -> None:
    farm.set("web0001*", fault="plain", on=operation, times=1)
    if operation == "Delete":
        assert ask(farm, endpoint(farm, transport)).exit_code == 0
    else:
        error = failure(farm, endpoint(farm, transport))
        assert "answered in clear text on an encrypted session" in error.reason
        assert error.left_behind is None
    assert farm.shells_left() == 0


@pytest.mark.parametrize("transport", ["ntlm", "credssp"])
def test_a_changed_answer_is_never_believed(farm: Farm, transport: Transport) -> None:
    farm.set("web0001*", fault="badsig", on="Receive")
    error = failure(farm, endpoint(farm, transport))
    assert "the encryption of the answer is broken" in error.reason
    assert farm.shells_left() == 0


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("operation", ["Create", "Receive"])
def test_an_answer_to_another_request_is_refused(farm: Farm, operation: str, tls: bool) -> None:
    farm.set("web0001*", fault="wrongrelates", on=operation)
    assert "RelatesTo" in failure(farm, endpoint(farm, tls=tls)).reason


def test_output_without_end_is_cut_off(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_OUTPUT", 50_000)
    farm.set("web0001*", output="x" * 60_000, piece=20_000)
    error = failure(farm, endpoint(farm))
    assert (error.stage, "larger than 50000 bytes" in error.reason) == ("answer", True)
    assert farm.shells_left() == 0


class Case(NamedTuple):
    number: int
    fault: str
    on: str
    transport: Transport
    tls: bool

    @property
    def limits(self) -> Limits:
        """Short only for the stage that would never end."""
        patient = Limits(farewell=60)
        if self.fault not in ("blackhole", "hang", "hangmid", "drip", "flood", "timedout"):
            return patient
        if self.on in ("connect", "tls"):
            return replace(patient, connect=1, tls=1, logon=1)
        if self.on == "auth":
            return replace(patient, logon=1, shell=1)
        return replace(patient, shell=1) if self.on == "Create" else replace(patient, whole=8)


_STAGES = {"Create": "shell", "Command": "script", "Send": "script", "Receive": "script"}


def cases() -> list[Case]:
    """Each fault at each stage; where a question rides with the last token, `auth` and Create are one request."""
    ways: list[tuple[Transport, bool]] = [("ntlm", False), ("ntlm", True), ("credssp", False), ("certificate", True)]
    rows = [
        (name, on, transport, tls)
        for name, fault in FAULTS.items()
        for on in fault.stages
        for transport, tls in ways
        if on not in ("Signal", "Delete") and (tls or on != "tls") and not (fault.sealed_only and tls)
    ]
    return [Case(number + 1, *row) for number, row in enumerate(rows)]


def expected_stages(case: Case) -> set[str]:
    if case.on in ("connect", "tls"):
        return {"connect", "tls", "logon"}
    if case.on == "auth":
        return {"logon", "shell"} if case.transport == "certificate" else {"logon"}
    if case.on == "Create" and case.fault.startswith("401") and case.tls:
        return {"logon"}
    return {_STAGES[case.on]}


def test_every_fault_at_every_stage_ends_is_named_and_leaves_no_shell(farm: Farm) -> None:
    known = logon(farm)
    known.note_accepted()  # as after the first server of a sweep
    todo = cases()
    assert len(todo) <= farm.servers
    for case in todo:
        farm.set(f"web{case.number:04d}*", fault=case.fault, on=case.on)
    trusted = {way: trust(farm, endpoint(farm, way)) for way in ("ntlm", "credssp", "certificate")}

    async def one(case: Case, turn: asyncio.Semaphore) -> str:
        target = endpoint(farm, case.transport, case.number, tls=case.tls)
        async with turn:
            try:
                outcome = await run_script(
                    target, known, SCRIPT, tls=trusted[case.transport], limits=case.limits, gate=open_gate
                )
            except UnreachableError as error:
                outcome = error
        return complaint(case, outcome)

    def complaint(case: Case, outcome: Answer | UnreachableError) -> str:
        if isinstance(outcome, Answer):
            return "" if FAULTS[case.fault].harmless else f"{case}: nothing was noticed"
        if outcome.stage not in expected_stages(case) or not outcome.advice:
            return f"{case}: {outcome} | {outcome.advice}"
        return ""

    async def all_of_them() -> list[str]:
        turn = asyncio.Semaphore(64)
        return await asyncio.gather(*(one(case, turn) for case in todo))

    assert [line for line in asyncio.run(all_of_them()) if line] == []
    assert farm.shells_left() == 0


def test_a_fault_after_the_first_output_is_one_of_the_answer(farm: Farm) -> None:
    farm.set("web0001*", output="x" * 5000, piece=1000, fault="truncate", on="Receive", after=2)
    error = failure(farm, endpoint(farm))
    assert (error.stage, "in the middle of its answer" in error.reason) == ("answer", True)


# -- the janitor ---------------------------------------------------------------------------------------------------


def test_a_shell_whose_creation_was_never_confirmed_is_removed_by_its_chosen_id(farm: Farm) -> None:
    farm.reset()
    farm.set("web0001*", fault="lost", on="Create")
    error = failure(farm, endpoint(farm))
    assert (error.stage, error.left_behind) == ("shell", None)
    stats = farm.stats()
    assert (stats["shells"], stats.shells_left, stats["connections"]) == (1, 0, 2)


def test_a_password_that_nobody_has_accepted_is_not_sent_again_to_clean_up(farm: Farm) -> None:
    farm.reset()
    farm.set("web0001*", fault="lost", on="Create")
    error = failure(farm, endpoint(farm, tls=True))
    assert error.left_behind
    assert "before the server said whether it accepts the logon" in error.left_behind
    assert farm.stats()["connections"] == 1
    assert farm.stats()["auth.ntlm"] == 1


def test_a_failing_farewell_does_not_spoil_a_complete_answer(farm: Farm) -> None:
    farm.set("web0001*", fault="hang", on="Delete")
    answer = ask(farm, endpoint(farm), hangs=True)
    assert answer.stdout == farm.printed(farm.name())
    assert answer.left_behind
    assert "no answer to its removal within 5 s" in answer.left_behind


def test_a_shell_that_is_gone_already_is_no_news(farm: Farm) -> None:
    farm.set("web0001*", fault="soapfault", on="Delete")  # 2150858843, shell not found
    assert ask(farm, endpoint(farm)).left_behind is None


def test_a_lost_connection_at_the_farewell_is_made_up_for(farm: Farm) -> None:
    farm.set("web0001*", fault="drop", on="Delete", times=1)
    assert ask(farm, endpoint(farm)).left_behind is None
    assert farm.shells_left() == 0


@pytest.mark.parametrize("tls", [False, True])
def test_a_cancelled_server_is_left_without_a_shell(farm: Farm, tls: bool) -> None:
    farm.set("web0001*", fault="hang", on="Receive")

    async def cancelled() -> None:
        patient = Limits(whole=60)
        task = asyncio.create_task(asking(farm, endpoint(farm, tls=tls), limits=patient))
        while not farm.stats()["injected.hang"]:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(InterruptedAskError) as caught:
            await task
        assert (caught.value.stage, caught.value.left_behind) == ("script", None)

    farm.reset()
    asyncio.run(cancelled())
    assert farm.stats()["shells"] == 1
    assert farm.shells_left() == 0


async def until_it_hangs(farm: Farm, target: Endpoint, limits: Limits, times: int = 1) -> asyncio.Task[Answer]:
    """The question as a task, once the endpoint's fault has struck."""
    task = asyncio.create_task(asking(farm, target, limits=limits))
    while farm.stats()["injected.hang"] < times:
        await asyncio.sleep(0.02)
    return task


def test_cancelled_at_the_farewell_the_answer_is_whole_all_the_same(farm: Farm) -> None:
    farm.reset()
    farm.set("web0001*", fault="hang", on="Delete")

    async def cancelled() -> tuple[Answer, int]:
        task = await until_it_hangs(farm, endpoint(farm), Limits(farewell=2))
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.1)
        return await task, task.cancelling()

    answer, cancellations = asyncio.run(cancelled())
    assert (answer.stdout, cancellations) == (farm.printed(farm.name()), 3)
    assert answer.left_behind
    assert "no answer to its removal within 2 s" in answer.left_behind


def test_cancelled_in_the_middle_it_says_which_shell_may_remain(farm: Farm) -> None:
    farm.reset()
    farm.set("web0001*", fault="hang", on="*", after=5)  # two tokens, Create, Command, Send

    async def cancelled() -> InterruptedAskError:
        task = await until_it_hangs(farm, endpoint(farm), Limits(whole=60, farewell=1))
        task.cancel()
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(InterruptedAskError) as caught:
            await task
        return caught.value

    error = asyncio.run(cancelled())
    assert (error.stage, error.reason, error.is_passing) == ("script", "interrupted", False)
    assert "--resume" in error.advice
    assert error.left_behind
    assert "no answer to its removal within 1 s" in error.left_behind
    assert farm.shells_left() == 1


def test_cancelled_while_it_waits_at_the_gate_nothing_was_judged(farm: Farm) -> None:
    farm.reset()

    async def cancelled() -> None:
        async with asyncio.timeout(None) as limit:

            @contextlib.asynccontextmanager
            async def shut(_server: Endpoint, _domain: str = "", /) -> AsyncIterator[Proof]:
                limit.reschedule(0)
                await asyncio.Event().wait()
                yield lambda: None

            await asking(farm, endpoint(farm), gate=shut)

    with pytest.raises(InterruptedAskError) as caught:  # and no TimeoutError, as `RemoteShell.used` says
        asyncio.run(cancelled())
    assert (caught.value.stage, caught.value.left_behind, farm.stats()["requests"]) == ("logon", None, 1)


def test_a_bug_of_ours_stays_one_and_leaves_no_shell(farm: Farm) -> None:
    target = endpoint(farm)
    with pytest.raises(TypeError):
        asyncio.run(
            run_script(target, logon(farm), 42, tls=tls_context([farm.ca]), limits=Limits(), gate=open_gate)  # type: ignore[arg-type]
        )
    assert farm.shells_left() == 0


# -- secrets -------------------------------------------------------------------------------------------------------


def test_no_secret_is_logged_shown_or_told(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    who = logon(farm, "S3cret-and-wr0ng")
    error = failure(farm, endpoint(farm), who)
    told = "".join(traceback.format_exception(error)) + error.advice + repr(who) + caplog.text
    assert "S3cret" not in told
    assert base64.b64encode(b"NTLMSSP").decode()[:9] not in told
    assert logging.getLogger("spnego").getEffectiveLevel() >= logging.INFO


# -- pywinrm -------------------------------------------------------------------------------------------------------


class _Recorder:
    """Takes pywinrm's messages and answers what each of them needs."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def send_message(self, message: str) -> bytes:
        self.messages.append(message)
        identity = message.partition("<a:MessageID>")[2].partition("<")[0]
        return (
            f'<e><RelatesTo>{identity}</RelatesTo><s Name="ShellId">S</s><CommandId>C</CommandId>'
            '<x State="CommandState/Done"/><ExitCode>0</ExitCode></e>'
        ).encode()


def _all_messages() -> list[str]:
    said = messages.Messages("CHOSEN-ID")
    said.transport = recorder = _Recorder()
    said.open_shell(noprofile=True, codepage=65001, idle_timeout="PT120S", env_vars={"A": "<1>", "B": '"2"'})
    said.run_command("S", source.COMMAND, console_mode_stdin=False)
    said.send_command_input("S", "C", b"& < > ' \"", end=True)
    said.output("S", "C")
    said.delete("S")
    return recorder.messages


def test_our_xml_says_what_xmltodict_would(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = _all_messages()
    identities = iter([uuid.UUID(re.findall("uuid:([0-9a-f-]{36})<", message)[0]) for message in ours])
    monkeypatch.setattr(messages.winrm.protocol, "xmltodict", xmltodict)
    monkeypatch.setattr(uuid, "uuid4", lambda: next(identities))
    theirs = _all_messages()
    assert [ElementTree.canonicalize(text) for text in ours] == [ElementTree.canonicalize(text) for text in theirs]


def test_the_shell_gets_the_chosen_id_and_an_end_of_its_own() -> None:
    create, *others = _all_messages()
    assert '<rsp:Shell ShellId="CHOSEN-ID">' in create
    assert "<rsp:IdleTimeOut>PT120S</rsp:IdleTimeOut>" in create
    assert not any("CHOSEN-ID" in message for message in others)


# -- words ---------------------------------------------------------------------------------------------------------


def test_every_known_fault_has_a_name_a_reason_and_advice() -> None:
    for code, fault in WSMAN_FAULTS.items():
        assert fault.name.isupper()
        error = fault_error("shell", code, "own\x1b[31m words")
        assert str(code) in error.reason
        assert "\x1b" not in error.reason
        assert error.advice == fault.advice
    assert "fault 1234567" in fault_error("shell", 1234567, "").reason


@pytest.mark.parametrize(("operation", "stage"), [("Command", "script"), ("Send", "script"), ("Receive", "script")])
def test_what_is_denied_is_said_by_its_stage(farm: Farm, operation: str, stage: str) -> None:
    farm.set("web0001*", fault="denied", on=operation)
    error = failure(farm, endpoint(farm))
    said = "the account logged on but may not use the shell it opened (ERROR_ACCESS_DENIED, 5)"
    assert (error.stage, error.reason.partition(":")[0]) == (stage, said)
    farm.set("web0001*", fault="denied", on="Create")
    assert "may not open a remote shell (ERROR_ACCESS_DENIED, 5)" in failure(farm, endpoint(farm)).reason


def test_whose_clock_differs_depends_on_who_says_so() -> None:
    class KdcError(Exception):
        err_code = -1765328347

    by_server = kerberos.ticket_refused_error(KdcError.err_code, "WSMAN/web01")
    assert "the server's clock differs too much from this machine's (KRB_AP_ERR_SKEW)" in by_server.reason
    by_kdc = kerberos.kdc_error(KdcError(), "WSMAN/web01")
    assert "the domain controller's (KRB_AP_ERR_SKEW)" in by_kdc.reason


@pytest.mark.parametrize("spnego", [False, True])
def test_a_krb_error_is_found_in_what_a_server_answers(spnego: bool) -> None:
    token = kerberos_error.modified("HTTP", "web01.test.com", spnego=spnego)
    assert kerberos.krb_error_in(token) == MODIFIED
    assert kerberos.krb_error_in(token[:30]) == 0
    assert kerberos.krb_error_in(b"NTLMSSP\0") == 0


def test_a_ticket_for_another_account_is_the_finding_it_is() -> None:
    error = kerberos.ticket_refused_error(MODIFIED, "HTTP/web01")
    assert "the ticket for HTTP/web01 is for another account" in error.reason
    assert "winrm-collision" in error.advice
    assert "winrm-collision" not in kerberos.ticket_refused_error(MODIFIED, "WSMAN/web01").advice
    for code in (0, MODIFIED, -1765328347):
        assert not isinstance(kerberos.ticket_refused_error(code, "HTTP/web01"), RefusedError)


def test_only_what_a_kdc_says_of_the_password_is_a_refusal() -> None:
    class KdcError(Exception):
        def __init__(self, code: int) -> None:
            super().__init__("words of krb5")
            self.min_code = code + 2**32  # gssapi gives it unsigned

    refused = {code for code in KRB5_ERRORS if isinstance(kerberos.kdc_error(KdcError(code), "u"), RefusedError)}
    assert krb5_code(KdcError(-1765328360)) == -1765328360
    # KDC_ERR_C_PRINCIPAL_UNKNOWN, CLIENT_REVOKED, KEY_EXPIRED, PREAUTH_FAILED, KRB_AP_ERR_BAD_INTEGRITY
    assert refused == {-1765328378, -1765328366, -1765328361, -1765328360, -1765328353}


class _WindowsError(Exception):
    """As pyspnego passes on what SSPI says."""

    def __init__(self, code: int) -> None:
        super().__init__("words of Windows")
        self.base_error = OSError("words of Windows")
        self.base_error.winerror = code - 2**32  # type: ignore[attr-defined]  # an HRESULT is signed


class _SspiContext:
    """Stands for SSPI, which only Windows has."""

    negotiated_protocol = "kerberos"
    complete = False

    def step(self, _: bytes) -> bytes:
        raise _WindowsError(0x80090322)


def test_what_windows_says_is_understood_too() -> None:
    offer = logons.Offer("Negotiate", _SspiContext(), b"", "HTTP/web01")  # type: ignore[arg-type]
    with pytest.raises(UnreachableError, match="KRB_AP_ERR_MODIFIED, 0x80090322") as caught:
        handshake._stepped(offer, b"token")
    assert not isinstance(caught.value, RefusedError)
    assert isinstance(logons._sspi_error(_WindowsError(0x8009030C), "negotiate"), RefusedError)
    assert not isinstance(logons._sspi_error(_WindowsError(0x80090303), "kerberos"), RefusedError)


# -- Kerberos where none can be had --------------------------------------------------------------------------------


def test_kerberos_says_what_it_lacks(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = endpoint(farm, "kerberos")
    assert "needs a name" in failure(farm, endpoint(farm, "kerberos", host=farm.address())).reason
    assert "no Kerberos realm follows" in failure(farm, asked).reason  # CORP is no part of web0001.farm.test
    monkeypatch.setattr(extras, "is_installed", lambda _extra: False)
    error = failure(farm, asked, Logon())
    assert 'pip install "iis-spn[kerberos]"' in error.advice


def test_without_a_kdc_a_user_gets_in_by_ntlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The KDC is asked once for all servers, and nobody has judged the password when it does not answer."""
    if not extras.is_installed("kerberos"):
        pytest.skip("the extra `kerberos` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    config = tmp_path / "krb5.conf"
    config.write_text(
        f"[libdefaults]\ndns_lookup_kdc = false\n[realms]\nFARM.TEST = {{\n kdc = tcp/127.0.0.1:{port}\n}}\n"
    )
    monkeypatch.setenv("KRB5_CONFIG", str(config))
    user = "svc@farm.test"
    accounts = {user: farm_module.PASSWORD}
    with farm_module.running(tmp_path, accounts=accounts) as own, farm_module.resolving():
        who = Logon(user=user, password=lambda: farm_module.PASSWORD)
        assert ask(own, endpoint(own, "auto"), who).exit_code == 0
        assert own.stats()["auth.ntlm"] == 1
