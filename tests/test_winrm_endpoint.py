"""The virtual Windows servers themselves: clients that nobody changed for them get what a Windows server gives."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import re
import socket
import ssl
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import pytest
from waiting import until

pytest.importorskip("psrpcore", reason="the extra `dev` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

import requests.exceptions
import spnego
import winrm
from pypsrp.encryption import WinRMEncryption
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from spnego.exceptions import BadMICError
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from tests.winrm import envelope, farm, kerberos_error
from tests.winrm.faults import FAULTS, STAGES

SAMPLE = Path(__file__).parents[1] / "sample_configs" / "IIS01"
READS_INPUT = ["-NoProfile", "-NonInteractive", "-Command", '"$input | Out-String | Invoke-Expression"']


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    with farm.running(tmp_path_factory.mktemp("farm"), servers=4, max_shells=3) as running, farm.resolving():
        yield running


@pytest.fixture(autouse=True)
def _as_new(lab: farm.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    lab.calm()
    lab.close_shells()
    lab.use_certificate("good")
    lab.reset()


def ask(lab: farm.Farm, number: int = 1, *, https: bool = False, **more: Any) -> winrm.Response:
    logon = (more.pop("user", lab.user), more.pop("password", lab.password))
    if https:
        more = {"ca_trust_path": str(lab.ca), **more}
    return winrm.Session(lab.url(number, https=https), auth=logon, **{"transport": "ntlm", **more}).run_ps("collect")


def snapshot(printed: bytes) -> dict[str, Any]:
    """The document in the frame, read after the description of the format and by no code of the endpoint's."""
    first, *lines, last, end = printed.decode("ascii").split("\r\n")
    version, packing, count = re.fullmatch(r"iis-spn-snapshot (\d+) (gzip|text) (\d+)", first).groups()  # type: ignore[union-attr]
    assert (version, last, end) == ("1", f"iis-spn-snapshot end {count}", "")
    assert all(re.fullmatch(r"\|[\x20-\x7b\x7d\x7e]{1,200}\|", line) for line in lines)
    content = "".join(lines).replace("|", "")
    assert len(content) == int(count)
    return json.loads(gzip.decompress(base64.b64decode(content)) if packing == "gzip" else content)


# -- transports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "requests_made", "logon"),
    [
        ({}, 9, {"auth.ntlm": 1}),
        ({"https": True}, 8, {"auth.ntlm": 1}),
        ({"https": True, "message_encryption": "always"}, 9, {"auth.ntlm": 1}),
        ({"https": True, "transport": "ssl", "user": "svc-spn"}, 6, {"auth.basic": 6}),
    ],
    ids=["ntlm", "ntlm-https", "ntlm-https-sealed", "basic-https"],
)
def test_pywinrm(lab: farm.Farm, options: dict[str, Any], requests_made: int, logon: dict[str, int]) -> None:
    answer = ask(lab, **options)
    assert (answer.status_code, answer.std_err) == (0, b"")
    assert snapshot(answer.std_out)["machine"]["name"] == "WEB0001"
    seen = lab.stats()
    assert seen["requests"] == requests_made
    assert {key: value for key, value in seen.counters.items() if key.startswith("auth.")} == logon
    assert (seen["shells"], seen["op.Delete"], seen.shells_left) == (1, 1, 0)
    assert lab.scripts("web0001") == [b"collect"]
    assert lab.host("web0002") == {"shells_left": 0}


def test_pywinrm_with_a_client_certificate(lab: farm.Farm) -> None:
    files = {"cert_pem": str(lab.client_certificate), "cert_key_pem": str(lab.client_key)}
    assert ask(lab, https=True, transport="certificate", **files).status_code == 0
    assert lab.stats()["auth.certificate"] == 6


@pytest.mark.parametrize("transport", ["ntlm", "ssl"])
def test_a_wrong_password_is_refused(lab: farm.Farm, transport: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        ask(lab, https=True, transport=transport, password="wr0ng")
    assert (lab.stats()["shells"], lab.host("web0001")["401"]) == (0, 3 if transport == "ntlm" else 1)


def test_what_is_not_encrypted_is_not_answered(lab: farm.Farm) -> None:
    with pytest.raises(WinRMTransportError) as caught:
        ask(lab, transport="basic", user="svc-spn")
    assert caught.value.code == 500
    assert lab.stats()["unencrypted"] == 1


@pytest.mark.parametrize("kind", ["expired", "wrong-name", "self-signed"])
def test_a_bad_certificate_is_noticed(lab: farm.Farm, kind: str) -> None:
    lab.use_certificate(kind)
    with pytest.raises(requests.exceptions.SSLError):
        ask(lab, https=True)
    assert (lab.stats()["tls.refused"], lab.stats()["requests"]) == (1, 0)


def test_the_certificate_holds_the_address_too(lab: farm.Farm) -> None:
    context = ssl.create_default_context(cafile=lab.ca)
    with socket.create_connection((lab.address(2), lab.https_port)) as plain:
        context.wrap_socket(plain, server_hostname=lab.address(2)).close()


def wsman(lab: farm.Farm, **more: Any) -> WSMan:
    return WSMan(lab.name(), port=lab.http_port, ssl=False, username=lab.user, password=lab.password, **more)


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
def test_a_script_on_stdin_arrives_byte_for_byte(lab: farm.Farm, auth: str) -> None:
    script = "# 70 KB, more than a command line holds: \u20ac\r\n".encode() * 1600
    with wsman(lab, auth=auth) as service, WinRS(service) as shell:
        process = Process(shell, "powershell.exe", READS_INPUT)
        process.begin_invoke()
        process.send(script, end=True)
        process.end_invoke()
        process.signal(SignalCode.CTRL_C)
    assert lab.scripts("web0001") == [script]
    assert process.stdout == lab.printed("web0001")
    assert (process.rc, lab.shells_left()) == (0, 0)


def test_credssp_seals_in_parts_of_16_kb(lab: farm.Farm) -> None:
    """By pyspnego's context and pypsrp's framing; requests-credssp is not needed."""
    output = "0123456789abcdef" * 4000
    lab.set(output=output)
    client = Credssp(lab)
    shell = str(uuid.uuid4()).upper()
    client.post("Create", f'<rsp:Shell ShellId="{shell}"><rsp:InputStreams>stdin</rsp:InputStreams></rsp:Shell>')
    command = "<rsp:CommandLine><rsp:Command>powershell x</rsp:Command></rsp:CommandLine>"
    started = client.post("Command", command + f"<!--{'.' * 40_000}-->", shell)
    command_id = re.search("<rsp:CommandId>(.*?)<", started)[1]  # type: ignore[index]
    wanted = f'<rsp:Receive><rsp:DesiredStream CommandId="{command_id}">stdout</rsp:DesiredStream></rsp:Receive>'
    piece = re.search('Name="stdout"[^>]*>([^<]+)<', client.post("Receive", wanted, shell))[1]  # type: ignore[index]
    assert base64.b64decode(piece) == output.encode()
    client.post("Delete", "", shell)
    assert (lab.stats()["auth.credssp"], lab.shells_left()) == (1, 0)


class Credssp:
    """A client that logs on by CredSSP."""

    def __init__(self, lab: farm.Farm) -> None:
        self.connection = http.client.HTTPConnection(lab.address(), lab.http_port)
        self.context = spnego.client(lab.user, lab.password, hostname=lab.name(), protocol="credssp")
        token = self.context.step()
        while token:
            self.connection.request("POST", "/wsman", headers={"Authorization": f"CredSSP {_text64(token)}"})
            answer = self.connection.getresponse()
            answer.read()
            said = [said for said in answer.headers.get_all("WWW-Authenticate", []) if said.startswith("CredSSP ")]
            token = self.context.step(base64.b64decode(said[0].split()[1])) if said else b""
        assert answer.status == 200
        self.sealing = WinRMEncryption(self.context, WinRMEncryption.CREDSSP)

    def post(self, action: str, body: str, shell: str = "") -> str:
        kind, sealed = self.sealing.wrap_message(message(action, body, shell))
        headers = {"Content-Type": f'{kind};protocol="{WinRMEncryption.CREDSSP}";boundary="Encrypted Boundary"'}
        self.connection.request("POST", "/wsman", sealed, headers)
        answer = self.connection.getresponse()
        plain = self.sealing.unwrap_message(answer.read(), "Encrypted Boundary").decode()
        assert answer.status == 200
        if len(plain) > WinRMEncryption.SIXTEEN_KB:
            assert answer.headers["Content-Type"].startswith("multipart/x-multi-encrypted")
        if action == "Delete":
            self.connection.close()
        return plain


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def message(action: str, body: str, shell: str = "") -> bytes:
    selected = f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>' if shell else ""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in envelope.NAMESPACES.items())
    return (
        f"<s:Envelope {declared}><s:Header><a:Action>{envelope.ACTIONS[action]}</a:Action>"
        f"<w:ResourceURI>{envelope.COMMAND_SHELL}</w:ResourceURI><a:MessageID>uuid:1</a:MessageID>{selected}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


# -- PowerShell remoting -------------------------------------------------------------------------------------------


def invoke(lab: farm.Farm, configuration: str, *, script: str = "", command: str = "") -> PowerShell:
    with wsman(lab, auth="ntlm") as service, RunspacePool(service, configuration_name=configuration) as pool:
        shell = PowerShell(pool)
        shell.add_script(script) if script else shell.add_cmdlet(command)
        shell.invoke()
        return shell


@pytest.mark.parametrize(
    ("configuration", "asked"),
    [("Microsoft.PowerShell", {"script": "collect"}), ("IisSpn", {"command": "Get-IisSpnSnapshot"})],
)
def test_psrp_gives_the_answer_line_by_line(lab: farm.Farm, configuration: str, asked: dict[str, str]) -> None:
    shell = invoke(lab, configuration, **asked)
    assert "\r\n".join([*shell.output, ""]).encode() == lab.printed("web0001")
    assert (shell.had_errors, lab.scripts("web0001")) == (False, [next(iter(asked.values())).encode()])
    assert (lab.stats()["shells"], lab.shells_left()) == (1, 0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"script": "collect"}, "no-language mode"), ({"command": "Get-Process"}, "'Get-Process' is not recognized")],
)
def test_jea_refuses_everything_but_one_command(lab: farm.Farm, asked: dict[str, str], said: str) -> None:
    shell = invoke(lab, "IisSpn", **asked)
    assert (shell.had_errors, shell.output) == (True, [])
    assert said in str(shell.streams.error[0])
    assert (lab.scripts("web0001"), lab.shells_left()) == ([], 0)


# -- shells --------------------------------------------------------------------------------------------------------


def protocol(lab: farm.Farm, number: int = 1, **more: Any) -> Protocol:
    logon = {"transport": "ntlm", "username": lab.user, "password": lab.password}
    return Protocol(more.pop("endpoint", lab.url(number)), **logon, **more)


def test_the_quota_of_shells(lab: farm.Farm) -> None:
    client = protocol(lab)
    opened = [client.open_shell() for _ in range(3)]
    with pytest.raises(WSManFaultError) as refused:
        client.open_shell()
    assert refused.value.fault_subcode == "w:QuotaLimit"
    assert lab.host("web0001")["fault.2150859174"] == 1
    for shell in opened:
        client.close_shell(shell, close_session=shell == opened[-1])
    assert lab.shells_left() == 0


def test_an_idle_shell_ends_by_itself(lab: farm.Farm) -> None:
    client = protocol(lab)
    shell = client.open_shell(idle_timeout="PT0.2S")
    until(lambda: not lab.shells_left())
    with pytest.raises(WSManFaultError, match=shell.upper()):
        client.close_shell(shell)
    assert (lab.stats()["shells"], lab.stats()["shells.idled_out"]) == (1, 1)


def test_the_client_may_choose_the_shells_name_once(lab: farm.Farm) -> None:
    client = Basic(lab)
    shell = str(uuid.uuid4()).upper()
    body = f'<rsp:Shell ShellId="{shell}"/>'
    assert f"<rsp:ShellId>{shell}</rsp:ShellId>" in client.post("Create", body)[1]
    status, said = client.post("Create", body)
    assert (status, 'Code="183"' in said) == (500, True)
    assert client.post("Delete", "", shell)[0] == 200
    assert 'Code="2150858843"' in client.post("Delete", "", shell)[1]
    client.connection.close()


class Basic:
    """A client that sends what it is told."""

    def __init__(self, lab: farm.Farm, number: int = 1) -> None:
        context = ssl.create_default_context(cafile=lab.ca)
        self.connection = http.client.HTTPSConnection(lab.address(number), lab.https_port, context=context, timeout=5)
        self.headers = {"Authorization": f"Basic {_text64(f'svc-spn:{lab.password}'.encode())}"}

    def post(self, action: str, body: str, shell: str = "") -> tuple[int, str]:
        self.connection.request("POST", "/wsman", message(action, body, shell), self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_long_poll_ends_with_the_operation_timeout(lab: farm.Farm) -> None:
    lab.set(runs=2.0)
    answer = ask(lab, operation_timeout_sec=1, read_timeout_sec=60)
    assert answer.status_code == 0
    assert lab.host("web0001")["fault.2150858793"] >= 1


def test_output_comes_in_pieces(lab: farm.Farm) -> None:
    lab.set(output="x" * 10_000, piece=3000)
    assert ask(lab).std_out == b"x" * 10_000
    assert lab.stats()["op.Receive"] == 5  # four pieces, and Done by itself
    lab.set(piece=0, done_with_output=True)
    lab.reset()
    ask(lab)
    assert lab.stats()["op.Receive"] == 1


def test_a_command_line_has_8191_characters(lab: farm.Farm) -> None:
    client = protocol(lab)
    shell = client.open_shell()
    for line, through_cmd, code in (
        ("powershell " + "x" * 8180, True, 0),
        ("powershell " + "x" * 8181, True, 1),
        ("powershell " + "x" * 8181, False, 0),
        ("uname", True, 1),
    ):
        command = client.run_command(shell, line, console_mode_stdin=True, skip_cmd_shell=not through_cmd)
        assert client.get_command_output(shell, command)[2] == code
    client.close_shell(shell)


# -- what the collector prints -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["gzip", "text"])
def test_a_sample_folder_is_printed_as_it_is(lab: farm.Farm, packing: str) -> None:
    lab.set("web0002", folder=str(SAMPLE), packing=packing)
    found = snapshot(ask(lab, 2).std_out)
    assert found["machine"] == json.loads((SAMPLE / "machine.json").read_bytes())
    expected = {path.relative_to(SAMPLE).as_posix(): path.read_bytes() for path in SAMPLE.rglob("*.config")}
    assert {path: file["text"].encode() for path, file in found["files"].items()} == expected


def test_secrets_are_blanked_unless_told_otherwise(lab: farm.Farm) -> None:
    def text() -> str:
        return json.dumps(snapshot(lab.printed("web0001")))

    assert farm.SECRET not in text()
    lab.set(blanked=False)
    assert text().count(farm.SECRET) >= 5


def test_the_collectors_answer_can_be_spoiled(lab: farm.Farm) -> None:
    good = lab.printed("web0001")
    lab.set(banner="Welcome to WEB0001", clixml=True)
    answer = ask(lab)
    assert answer.std_out == b"Welcome to WEB0001\r\n" + good
    lab.set(banner="", keep=0.5)
    assert lab.printed("web0001") == good[: len(good) // 2]
    lab.set(keep=1.0, miscount=7)
    count = int(good.split(b"\r\n")[0].split()[-1])
    assert lab.printed("web0001") == good.replace(b"%d\r\n" % count, b"%d\r\n" % (count + 7))


def test_progress_arrives_on_stderr(lab: farm.Farm) -> None:
    lab.set(clixml=True)
    client = protocol(lab)
    shell = client.open_shell()
    command = client.run_command(shell, "powershell.exe", ["-Command", "x"])
    assert client.get_command_output(shell, command)[1].startswith(b"#< CLIXML\r\n<Objs ")
    client.close_shell(shell)


# -- faults --------------------------------------------------------------------------------------------------------

# fault, on, argument, what pywinrm makes of it (None: nothing), the shells that it leaves behind
SEEN: list[tuple[str, str, float, Any, int]] = [
    ("refuse", "connect", 0, requests.exceptions.ConnectionError, 0),
    ("drop", "connect", 0, requests.exceptions.ConnectionError, 0),
    ("hang", "connect", 0.1, requests.exceptions.ConnectionError, 0),
    ("garbage", "connect", 0, requests.exceptions.ConnectionError, 0),
    ("drop", "auth", 0, requests.exceptions.ConnectionError, 0),
    ("drop", "Create", 0, requests.exceptions.ConnectionError, 0),
    ("drop", "Receive", 0, requests.exceptions.ConnectionError, 1),
    ("drop", "Delete", 0, requests.exceptions.ConnectionError, 1),
    ("hang", "Command", 0.1, requests.exceptions.ConnectionError, 1),
    ("slow", "Create", 0.1, None, 0),
    ("401", "*", 0, PermissionError, 0),
    ("401close", "auth", 0, PermissionError, 0),
    ("403", "auth", 0, WinRMTransportError, 0),
    ("404", "*", 0, WinRMTransportError, 0),
    ("http500", "Create", 0, WinRMTransportError, 0),
    ("http503", "auth", 0, WinRMTransportError, 0),
    ("soapfault", "Create", 0, WSManFaultError, 0),
    ("denied", "Create", 0, WSManFaultError, 0),
    ("quota", "Create", 0, WSManFaultError, 0),
    ("timedout", "Create", 0, WinRMOperationTimeoutError, 0),
    ("lost", "Create", 0, requests.exceptions.ConnectionError, 1),
    ("truncate", "Receive", 0, requests.exceptions.ChunkedEncodingError, 1),
    ("hangmid", "Receive", 0.1, requests.exceptions.ChunkedEncodingError, 1),
    ("drip", "auth", 0.0001, None, 0),
    ("garbage", "Receive", 0, ParseError, 1),
    ("empty", "Create", 0, ParseError, 1),
    ("nonsense", "Create", 0, ParseError, 1),
    ("wrongrelates", "Delete", 0, AssertionError, 0),
    ("badsig", "Receive", 0, BadMICError, 1),
    ("plain", "*", 0, None, 0),  # pywinrm takes it
    ("chunked", "*", 0, None, 0),
]


@pytest.mark.parametrize(("fault", "on", "argument", "error", "left"), SEEN, ids=lambda value: str(value)[:20])
def test_fault(lab: farm.Farm, fault: str, on: str, argument: float, error: Any, left: int) -> None:
    lab.set("web0003", fault=fault, on=on, argument=argument)
    with pytest.raises(error) if error else contextlib.nullcontext():
        answer = ask(lab, 3, read_timeout_sec=4, operation_timeout_sec=2)
        assert snapshot(answer.std_out)["machine"]["name"] == "WEB0003"
    if fault != "refuse":
        assert lab.host("web0003")[f"injected.{fault}"] >= 1
    assert lab.shells_left() == left
    assert ask(lab, 4).status_code == 0
    lab.heal()
    assert ask(lab, 3).status_code == 0


def test_every_fault_is_seen_here() -> None:
    elsewhere = {"blackhole", "flood"}
    assert {row[0] for row in SEEN} | elsewhere == set(FAULTS)
    assert all(row[1] in ("*", *STAGES) for row in SEEN)


def test_a_black_hole_swallows_connections_until_it_is_healed(lab: farm.Farm) -> None:
    lab.set("web0002", fault="blackhole")
    for port in (lab.http_port, lab.https_port):
        with pytest.raises(TimeoutError):
            socket.create_connection((lab.address(2), port), timeout=0.3)
    assert ask(lab, 1).status_code == 0
    lab.heal()
    assert ask(lab, 2).status_code == 0


@pytest.mark.parametrize(
    ("fault", "seen"), [("drop", ConnectionResetError), ("hang", TimeoutError), ("garbage", ssl.SSLError)]
)
def test_faults_of_tls(lab: farm.Farm, fault: str, seen: type[OSError]) -> None:
    lab.set("web0002", fault=fault, on="tls")
    context = ssl.create_default_context(cafile=lab.ca)
    plain = socket.create_connection((lab.address(2), lab.https_port), timeout=0.3)
    with plain, pytest.raises(seen):
        context.wrap_socket(plain, server_hostname=lab.name(2))
    assert ask(lab, 2).status_code == 0  # without TLS nothing is wrong


def test_a_flood_goes_on(lab: farm.Farm) -> None:
    lab.set("web0002", fault="flood", on="Create")
    client = Basic(lab, 2)
    client.connection.request("POST", "/wsman", message("Create", "<rsp:Shell/>"), client.headers)
    answer = client.connection.getresponse()
    assert answer.headers["Content-Length"] == str(1 << 30)
    assert len(answer.read(4 << 20)) == 4 << 20
    answer.close()
    client.connection.close()
    assert lab.shells_left() == 1


def test_one_answer_of_an_encrypted_session_is_in_clear(lab: farm.Farm) -> None:
    lab.set(fault="plain", on="Create")
    kinds = []
    with wsman(lab, auth="ntlm") as service:
        service.transport.session = session = service.transport._build_session()
        session.hooks["response"].append(lambda answer, **_: kinds.append(answer.headers.get("Content-Type", "")))
        with WinRS(service):
            pass
    assert [kind.partition(";")[0] for kind in kinds if kind] == ["application/soap+xml", "multipart/encrypted"]


def test_a_fault_can_pass_and_can_come_late(lab: farm.Farm) -> None:
    lab.set("web0003", fault="drop", on="Create", times=2)
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            ask(lab, 3)
    assert ask(lab, 3).status_code == 0
    lab.set("web0003", fault="drop", on="Receive", after=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(lab, 3)
    assert lab.host("web0003")["injected.drop"] == 3


def test_what_makes_no_sense_is_refused(lab: farm.Farm) -> None:
    for wrong, said in (
        ({"fault": "nosuch"}, "no fault 'nosuch'"),
        ({"fault": "drop", "on": "nowhere"}, "no stage 'nowhere'"),
        ({"fault": "empty", "on": "tls"}, "empty cannot strike on tls"),
    ):
        with pytest.raises(ValueError, match=said):
            lab.set(**wrong)
    with pytest.raises(ValueError, match="a server has no colour"):
        lab.set(colour="red")
    with pytest.raises(ValueError, match="no server matches"):
        lab.set("web0099", fault="drop")


# -- the rest ------------------------------------------------------------------------------------------------------


def test_peaks(lab: farm.Farm) -> None:
    ask(lab)
    seen = lab.stats()
    assert (seen.requests_peak, seen["connections"], seen["requests"]) == (1, 1, 9)
    assert seen.cpu_seconds > 0


def test_latency_comes_before_each_answer(tmp_path: Path) -> None:
    with farm.running(tmp_path, servers=1, latency=3600.0) as slow, farm.resolving():
        client = Basic(slow)
        client.connection.timeout = 0.3
        with pytest.raises(TimeoutError):
            client.post("Create", "<rsp:Shell/>")
        client.connection.close()
        assert (slow.stats()["requests"], slow.stats()["shells"]) == (1, 0)


def test_two_farms_stand_side_by_side(lab: farm.Farm, tmp_path: Path) -> None:
    with farm.running(tmp_path, servers=1, behaviour={"output": "the other one"}) as other:
        assert ask(other).std_out == b"the other one"
        assert ask(lab).std_out == lab.printed("web0001")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other.address(), other.http_port))


def test_a_real_powershell_gets_what_the_client_sent(tmp_path: Path) -> None:
    """Another program stands for it: what counts are its arguments and its standard input."""
    echo = "import sys; print(sys.argv[1:]); sys.stdout.flush(); sys.stdout.buffer.write(sys.stdin.buffer.read())"
    pwsh = [sys.executable, "-c", echo]
    with farm.running(tmp_path, servers=1, channel_bindings="strict", pwsh=pwsh, prelude="windows.ps1") as other:
        client = protocol(other, endpoint=other.url(https=True), ca_trust_path=str(other.ca))
        shell = client.open_shell()
        command = client.run_command(shell, "powershell.exe", READS_INPUT)
        client.send_command_input(shell, command, b"the script", end=True)
        out, errors, code = client.get_command_output(shell, command)
        client.close_shell(shell)
    text = ". 'windows.ps1'; $input | Out-String | Invoke-Expression"
    assert out.decode() == f"{['-NoProfile', '-NonInteractive', '-Command', text]}\nthe script"
    assert (errors, code) == (b"", 0)


def test_the_password_is_nowhere_to_be_found(lab: farm.Farm) -> None:
    for path in lab.directory.rglob("*"):
        assert lab.password.encode() not in path.read_bytes()
    for what in ("cmdline", "environ"):
        assert lab.password.encode() not in Path(f"/proc/{lab.pid}/{what}").read_bytes()


def test_pywinrm_is_not_hidden_by_the_folder_of_this_name() -> None:
    assert hasattr(winrm, "Session")
    assert not (Path(farm.__file__).parent / "__init__.py").exists()


def test_modified_is_der() -> None:
    token = kerberos_error.modified("HTTP", "web0001.farm.test", spnego=True)
    assert token[:2] == bytes([0xA1, len(token) - 2])
    assert bytes.fromhex("a603020129") in token  # error-code [6] INTEGER 41
    assert kerberos_error.modified("HTTP", "web0001.farm.test", spnego=False) in token
