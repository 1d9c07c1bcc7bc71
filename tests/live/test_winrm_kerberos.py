"""A sweep with real Kerberos: Samba's KDC, a TGT in a real cache, and servers that open tickets with their own keys."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

pytest.importorskip("gssapi", reason="the extra `live` is not installed")
pytest.importorskip("krb5", reason="the extra `kerberos` is not installed")
pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

from agent.cli import main
from tests.winrm import farm

from .samba import Change, DomainController, computer, create, password_of, program, user

pytestmark = pytest.mark.live

SERVERS = 20
OPERATOR = "krb-operator"
SERVICE = "krb-web"
UNIT = "OU=Krb Web"

WSMAN, HOST, HTTP = "WSMAN", "HOST", "HTTP"
COMPUTERS = {
    1: (HOST, WSMAN),
    2: (HOST,),
    3: (HOST, WSMAN),
    4: (HOST,),
    5: (),
    6: (HTTP,),
    7: (),
    8: (HOST, WSMAN),
}
"""What the computer accounts hold under their full names. Windows registers WSMAN/ when WinRM is set up."""
OF_THE_SERVICE = (3, 4, 5)
"""Servers whose HTTP/ stands on a service account, as in scenarios 4 and 6: rightly for IIS, fatally for WinRM."""


# -- the KDC, with a tap on its line -------------------------------------------------------------------------------

AS_REQ, AS_REP, TGS_REQ, KRB_ERROR = 0x6A, 0x6B, 0x6C, 0x7E
_SERVICE_NAME = re.compile(rb"\x1b.(WSMAN|host|HTTP)\x1b.(web\d{4}\.farm\.test)", re.DOTALL)


class Tap(socketserver.ThreadingTCPServer):
    """Passes Kerberos messages over TCP (RFC 4120 7.2.2) on to the KDC and keeps them."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.target = target
        self.port: int = self.server_address[1]
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []

    def count(self, kind: int) -> int:
        """Requests or answers of one kind; the first byte of a message tells it."""
        return sum(message[0] == kind for message in (*self.asked, *self.answered))

    @property
    def services(self) -> list[str]:
        """The services of our servers that tickets were asked for, in order."""
        found = (_SERVICE_NAME.search(message) for message in self.asked if message[0] == TGS_REQ)
        return [b"/".join(name.groups()).decode() for name in found if name]

    def reset(self) -> None:
        self.asked.clear()
        self.answered.clear()


class _Pass(socketserver.StreamRequestHandler):
    server: Tap

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as kdc, kdc.makefile("rb") as answers:
            with contextlib.suppress(ConnectionError):
                while asked := _message(self.rfile):
                    self.server.asked.append(asked)
                    kdc.sendall(len(asked).to_bytes(4, "big") + asked)
                    answered = _message(answers)
                    self.server.answered.append(answered)
                    self.wfile.write(len(answered).to_bytes(4, "big") + answered)


def _message(stream: BinaryIO) -> bytes:
    return stream.read(int.from_bytes(stream.read(4), "big"))


def configuration(path: Path, dc: DomainController, kdc: str) -> Path:
    """A krb5.conf in which the servers' domain belongs to the realm and its KDC is at `kdc`."""
    text = (dc.directory / "krb5.conf").read_text().replace(f"{dc.address}:88", kdc)
    text = text.replace("[libdefaults]\n", "[libdefaults]\n    udp_preference_limit = 1\n")
    path.write_text(f"{text}    .farm.test = {dc.realm}\n")
    return path


# -- the lab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    dc: DomainController
    farm: farm.Farm
    kdc: Tap


def member(number: int, services: tuple[str, ...]) -> Change:
    host = f"web{number:04d}.farm.test"
    change = computer(f"WEB{number:04d}", spns=[f"{service}/{host}" for service in services], dNSHostName=host)
    change["dn"] = change["dn"].replace("CN=Computers", UNIT)
    return change


@pytest.fixture(scope="module")
def lab(domain_controller: DomainController, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    dc = domain_controller
    dc.apply(
        create(f"{UNIT},{{base}}", objectClass=["organizationalUnit"]),
        *(member(number, services) for number, services in COMPUTERS.items()),
        user(SERVICE, spns=[f"HTTP/web{number:04d}.farm.test" for number in OF_THE_SERVICE]),
        user(OPERATOR),
    )
    directory = tmp_path_factory.mktemp("kerberos")
    with tapped(dc) as kdc, pytest.MonkeyPatch.context() as patch:
        krb5_config = configuration(directory / "krb5.conf", dc, f"127.0.0.1:{kdc.port}")
        patch.setenv("KRB5_CONFIG", str(krb5_config))
        with farm.running(
            directory,
            servers=SERVERS,
            keytab=keytab(directory / "servers.keytab", dc),
            krb5_config=krb5_config,
            channel_bindings="strict",
            accounts={f"{dc.dns_domain}\\{OPERATOR}": password_of(OPERATOR)},
        ) as running, farm.resolving():
            yield Lab(dc, running, kdc)


@contextlib.contextmanager
def tapped(dc: DomainController) -> Iterator[Tap]:
    with Tap((dc.address, 88)) as tap:
        thread = threading.Thread(target=tap.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield tap
        finally:
            tap.shutdown()
            thread.join()


def keytab(path: Path, dc: DomainController) -> Path:
    """The keys of the computers, and of no one else. A keytab is two bytes of version, then entry after entry."""
    parts = [dc.keytab(f"WEB{number:04d}$").read_bytes() for number in COMPUTERS]
    path.write_bytes(parts[0][:2] + b"".join(part[2:] for part in parts))
    return path


@pytest.fixture(autouse=True)
def _as_new(lab: Lab) -> None:
    lab.farm.calm()
    lab.farm.reset()
    lab.kdc.reset()


@pytest.fixture
def ticket(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = lab.dc.kinit(OPERATOR)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{cache}")
    return cache


@pytest.fixture
def no_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which a cache would be written."""
    folder = tmp_path / "caches"
    folder.mkdir()
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{folder / 'cache'}")
    return folder


@dataclass(frozen=True)
class Said:
    code: int
    report: dict[str, Any]
    stderr: str

    @property
    def status(self) -> dict[str, str]:
        return {server["name"].partition(".")[0].upper(): server["status"] for server in self.report["servers"]}

    @property
    def failures(self) -> list[str]:
        return [f["message"] for f in self.report["findings"] if f["id"] == "server-unreachable"]

    def failure(self, number: int) -> str:
        """Why a server gave no answer, with what to do next."""
        (found,) = (f for f in self.report["findings"] if (f["server"] or "").startswith(f"web{number:04d}"))
        return " ".join([found["message"], *found["fix"]])


Run = Callable[..., Said]


@pytest.fixture
def sweep(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sweep` on servers by number."""

    def run(*numbers: int, options: tuple[str, ...] = (), password: str | None = None, tls: bool = False) -> Said:
        logon = ()
        if password is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
            logon = ("--user", f"{lab.dc.dns_domain}\\{OPERATOR}", "--password-stdin")
        ways = {False: (f"{lab.farm.http_port}",), True: (f"{lab.farm.https_port}", "--ca", str(lab.farm.ca))}
        hosts = [f"{'https' if tls else 'http'}://{lab.farm.name(n)}:{ways[tls][0]}" for n in numbers]
        code = main(
            ["sweep", *hosts, *ways[tls][1:], *logon, "--ad", "off", "--dns", "off", "--format", "json", *options]
        )
        captured = capsys.readouterr()
        return Said(code, json.loads(captured.out), captured.err)

    return run


def listed(cache: Path) -> set[str]:
    """The services that a cache holds tickets for, without their realm."""
    shown = subprocess.run([str(program("klist")), "-c", f"FILE:{cache}"], capture_output=True, text=True, check=True)
    return {line.split()[-1].partition("@")[0] for line in shown.stdout.splitlines() if "/" in line and "@" in line}


# -- the current ticket --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_current_ticket(lab: Lab, sweep: Run, ticket: Path, tls: bool) -> None:
    said = sweep(1, 2, 3, 4, 6, 8, tls=tls)
    assert said.failures == []
    assert said.status == dict.fromkeys(["WEB0001", "WEB0002", "WEB0003", "WEB0004", "WEB0006", "WEB0008"], "ok")
    seen = lab.farm.stats()
    assert (seen["auth.kerberos"], seen["auth.ntlm"], seen["401"], seen["unencrypted"]) == (6, 0, 0, 0)
    assert seen.shells_left == 0
    assert listed(ticket) >= {
        "WSMAN/web0001.farm.test",
        "host/web0002.farm.test",
        "WSMAN/web0003.farm.test",
        "host/web0004.farm.test",
        "HTTP/web0006.farm.test",
        "WSMAN/web0008.farm.test",
    }
    assert sum(name.startswith(("WSMAN/", "host/", "HTTP/")) for name in listed(ticket)) == 6
    assert lab.kdc.count(AS_REQ) == 0


def test_one_password_one_as_exchange(lab: Lab, sweep: Run, no_ticket: Path) -> None:
    before = dict(os.environ)
    said = sweep(1, 2, 3, 4, 6, 8, password=password_of(OPERATOR))
    assert set(said.status.values()) == {"ok"}, said
    assert (lab.kdc.count(AS_REP), lab.kdc.count(AS_REQ)) == (1, 2)
    assert list(no_ticket.iterdir()) == []
    assert dict(os.environ) == before
    print(lab.kdc.services)


def test_collision(lab: Lab, sweep: Run, ticket: Path) -> None:
    said = sweep(5, 1, 3, 7, options=("--parallel", "1"))
    print(said.failure(5))
    print(said.failure(7))
    print(said, lab.farm.stats())
    raise SystemExit
