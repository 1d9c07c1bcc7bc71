"""A sweep with real Kerberos: Samba's KDC, a TGT in a real cache, and servers that open tickets with their own keys."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import logging
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pytest
from msgspec.structs import asdict
from waiting import PATIENCE

pytest.importorskip("gssapi", reason="the extra `live` is not installed")
pytest.importorskip("krb5", reason="the extra `kerberos` is not installed")
pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("cryptography", reason="the extra `dev` is not installed")

import krb5

from agent import exits
from agent.cli.program import main
from agent.sources.ad.connection import SUBTREE, LdapConnection
from agent.sources.ad.logon import bind
from agent.sources.ad.search_messages import Equal
from agent.sources.ad.wire import Deadline, Server
from agent.sources.endpoint import Endpoint
from agent.sources.security_context import channel_bindings
from agent.sources.winrm import client, kerberos, logon
from agent.sweep import collect
from tests.configurations import application, configuration, element, location, site, windows
from tests.winrm import farm
from tests.winrm.black_hole import BlackHole

from .samba import Change, DomainController, computer, create, password_of, set_attribute, user

pytestmark = pytest.mark.live

SERVERS = 20
OPERATOR = "krb-operator"
SERVICE = "krb-web"
LOCAL = "krb-local"
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

AS_REQ, AS_REP, TGS_REQ = 0x6A, 0x6B, 0x6C  # RFC 4120 5.10
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
            while asked := _message(self.rfile):
                self.server.asked.append(asked)
                kdc.sendall(len(asked).to_bytes(4, "big") + asked)
                answered = _message(answers)
                self.server.answered.append(answered)
                self.wfile.write(len(answered).to_bytes(4, "big") + answered)


def _message(stream: BinaryIO) -> bytes:
    return stream.read(int.from_bytes(stream.read(4), "big"))


class Wire(socketserver.ThreadingTCPServer):
    """Passes bytes on, both ways, and keeps them."""

    daemon_threads = False
    server_address: tuple[str, int]

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.target = target
        self.seen = bytearray()


class _Relay(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as server:
            back = threading.Thread(target=self._pump, args=(server, self.request))
            back.start()
            self._pump(self.request, server)
            back.join()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.server.seen += data
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


_Server = TypeVar("_Server", bound=socketserver.BaseServer)


@contextlib.contextmanager
def tapped(server: _Server) -> Iterator[_Server]:
    """Serve until the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def krb5_configuration(path: Path, dc: DomainController, kdc: str, more: str = "") -> Path:
    """A krb5.conf in which the servers' domain belongs to the realm and its KDC is at `kdc`."""
    text = (dc.directory / "krb5.conf").read_text().replace(f"{dc.address}:88", kdc)
    text = text.replace("[libdefaults]\n", f"[libdefaults]\n    udp_preference_limit = 1\n    {more}\n")
    path.write_text(f"{text}    .farm.test = {dc.realm}\n")
    return path


# -- the lab -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    dc: DomainController
    farm: farm.Farm
    kdc: Tap
    keytab: Path

    def account(self, name: str) -> str:
        """As it is typed: the domain is not that of the servers' names."""
        return f"{self.dc.dns_domain}\\{name}"

    def seen(self) -> dict[str, int]:
        """How often the servers were logged on to, or refused that."""
        counters = self.farm.stats().counters
        return {what: count for what, count in counters.items() if what.startswith("auth.")}


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
    with tapped(Tap((dc.address, 88))) as kdc, pytest.MonkeyPatch.context() as patch:
        krb5_config = krb5_configuration(directory / "krb5.conf", dc, f"127.0.0.1:{kdc.port}")
        patch.setenv("KRB5_CONFIG", str(krb5_config))
        options = {
            "servers": SERVERS,
            "keytab": keytab(directory / "servers.keytab", dc),
            "krb5_config": krb5_config,
            "channel_bindings": "strict",
            "accounts": {f"{dc.dns_domain}\\{name}": password_of(name) for name in (OPERATOR, LOCAL)},
        }
        with farm.running(directory, **options) as running, farm.resolving():
            yield Lab(dc, running, kdc, options["keytab"])


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
    """The operator's cache, with nothing but a ticket-granting ticket in it."""
    cache = lab.dc.kinit(OPERATOR)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{cache}")
    return cache


@pytest.fixture
def no_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder that a cache would be written to."""
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
    def answered(self) -> list[int]:
        """The servers that were read whole."""
        return sorted(int(server["name"][3:7]) for server in self.report["servers"] if server["status"] == "ok")

    @property
    def failures(self) -> dict[int, str]:
        """Why a server gave no answer, with what to do next."""
        found = (f for f in self.report["findings"] if f["id"] == "server-unreachable")
        return {int(f["server"][3:7]): " ".join([f["message"], *f["fix"]]) for f in found}


Run = Callable[..., Said]


@pytest.fixture
def run(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sweep` on servers by number, as the holder of the current ticket or, with a password, as a user."""

    def sweep(*numbers: int, tls: bool = False, name: str = OPERATOR, password: str = "", **more: str) -> Said:
        options = [word for option, value in more.items() for word in (f"--{option}", value) if word]
        if password:
            monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
            options += ["--user", lab.account(name), "--password-stdin"]
        if tls:
            options += ["--ca", str(lab.farm.ca)]
        hosts = [lab.farm.url(number, https=tls) for number in numbers]
        code = main(["sweep", *hosts, *options, *UNJUDGED])
        captured = capsys.readouterr()
        return Said(code, json.loads(captured.out), captured.err)

    return sweep


def in_cache(cache: Path) -> list[krb5.Creds]:
    """What a cache holds, without the notes that the library keeps in it as tickets of a realm X-CACHECONF:."""
    found = krb5.cc_resolve(krb5.init_context(), f"FILE:{cache}".encode())
    return [ticket for ticket in found if b"X-CACHECONF" not in ticket.server.name]


def services(cache: Path) -> set[str]:
    """The services that a cache has tickets for, without the ticket-granting ones."""
    names = (ticket.server.name.decode().partition("@")[0] for ticket in in_cache(cache))
    return {name for name in names if not name.startswith("krbtgt/")}


# -- the current ticket --------------------------------------------------------------------------------------------

BEST = {
    1: "WSMAN/web0001.farm.test",
    2: "host/web0002.farm.test",
    3: "WSMAN/web0003.farm.test",
    4: "host/web0004.farm.test",
    6: "HTTP/web0006.farm.test",
    8: "WSMAN/web0008.farm.test",
}
"""The servers that can be logged on to, and the first service of WSMAN, host and HTTP that the KDC knows there."""


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_current_ticket_is_enough(lab: Lab, run: Run, ticket: Path, tls: bool) -> None:
    said = run(*BEST, tls=tls)
    assert (said.failures, said.answered, said.code) == ({}, list(BEST), exits.CLEAN)
    assert lab.seen() == {"auth.kerberos": len(BEST)}
    assert services(ticket) == set(BEST.values())
    assert lab.kdc.count(AS_REQ) == 0
    seen = lab.farm.stats()
    assert (seen["unencrypted"], seen["401"], seen.shells_left) == (0, 0, 0)


@pytest.mark.usefixtures("ticket")
def test_a_ticket_within_another_tls_connection_is_refused(lab: Lab, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bindings of a certificate that the server never showed, as behind a proxy that breaks TLS up."""
    elsewhere = (lab.farm.directory / "wrong-name.pem").read_text()
    end = "-----END CERTIFICATE-----"
    shown = base64.b64decode("".join(elsewhere[: elsewhere.index(end)].splitlines()[1:]))
    monkeypatch.setattr(logon, "channel_bindings", lambda _: channel_bindings(shown))
    said = run(1, 8, tls=True)
    assert said.answered == []
    assert "cannot open the ticket for WSMAN/web0001.farm.test" in said.failures[1]
    assert "channel binding" in said.failures[1]
    assert lab.seen() == {"auth.refused": 2}


@pytest.mark.usefixtures("no_ticket")
def test_no_ticket_and_no_user(lab: Lab, run: Run) -> None:
    said = run(1, 8)
    assert all("no Kerberos ticket" in failure and "kinit" in failure for failure in said.failures.values())
    assert (lab.farm.stats()["requests"], lab.kdc.asked) == (0, [])


# -- user and password ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_password_costs_one_as_exchange(lab: Lab, run: Run, no_ticket: Path, tls: bool) -> None:
    before = dict(os.environ), caches_of_krb5()
    said = run(*BEST, tls=tls, password=password_of(OPERATOR))
    assert (said.failures, said.answered) == ({}, list(BEST))
    assert lab.seen() == {"auth.kerberos": len(BEST)}
    # Without pre-authentication data first, which the KDC only answers with its salt; then once with it.
    assert (lab.kdc.count(AS_REQ), lab.kdc.count(AS_REP)) == (2, 1)
    assert set(lab.kdc.services) >= set(BEST.values())
    assert list(no_ticket.iterdir()) == []
    assert (dict(os.environ), caches_of_krb5()) == before


def caches_of_krb5() -> set[Path]:
    """The files where MIT krb5 puts caches that nobody gave a name."""
    return {path for pattern in ("krb5cc*", "tkt*") for path in Path("/tmp").glob(pattern)}


@pytest.mark.usefixtures("no_ticket", "lockout")
@pytest.mark.parametrize("transport", ["auto", "kerberos"])
def test_a_wrong_password_is_judged_once(lab: Lab, run: Run, transport: str) -> None:
    name = f"krb-{transport}"
    lab.dc.apply(user(name))
    said = run(*range(1, SERVERS + 1), name=name, password="Wr0ng!", transport=transport)
    assert "the password is wrong (KDC_ERR_PREAUTH_FAILED)" in said.failures[1]
    assert len(said.failures) == SERVERS
    stopped = [number for number, why in said.failures.items() if "so that no account is locked out" in why]
    assert stopped == list(range(2, SERVERS + 1))
    assert bad_passwords(lab.dc, name) == 1
    assert (lab.kdc.count(AS_REQ), lab.farm.stats()["requests"], lab.seen()) == (2, 0, {})


@pytest.mark.usefixtures("no_ticket", "lockout")
def test_who_wants_to_go_on_does_not_lock_the_account_either(lab: Lab, run: Run) -> None:
    lab.dc.apply(user("krb-on"))
    said = run(*range(1, SERVERS + 1), name="krb-on", password="Wr0ng!", **{"continue-on-denied": ""})
    assert all("KDC_ERR_PREAUTH_FAILED" in why and "stopped" not in why for why in said.failures.values())
    assert (len(said.failures), bad_passwords(lab.dc, "krb-on"), lab.farm.stats()["requests"]) == (SERVERS, 1, 0)


REVOKED = "the account is disabled, locked or expired (KDC_ERR_CLIENT_REVOKED)"


@pytest.fixture
def lockout(lab: Lab) -> Iterator[None]:
    """Three wrong passwords lock an account; without a limit the directory does not count them."""
    lab.dc.apply(set_attribute(lab.dc.base_dn, "lockoutThreshold", "3"))
    yield
    lab.dc.apply(set_attribute(lab.dc.base_dn, "lockoutThreshold", "0"))


def bad_passwords(dc: DomainController, name: str) -> int:
    """badPwdCount, as the directory has it."""
    server = Server(host=dc.host, port=389, protection="seal", address=dc.address)
    with pytest.MonkeyPatch.context() as patch, LdapConnection(server, Deadline(30)) as connection:
        patch.setenv("KRB5CCNAME", f"FILE:{dc.kinit('Administrator')}")
        bind(connection, None)
        wanted: list[Equal] = [("sAMAccountName", name.encode())]
        ((_, values),) = connection.search(dc.base_dn, SUBTREE, wanted, ["badPwdCount"])
    return int(values["badPwdCount"][0])


@pytest.mark.usefixtures("no_ticket")
@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("krb-off", ("userAccountControl", str(0x200 | 0x10000 | 0x2)), REVOKED),
        ("krb-past", ("accountExpires", "130000000000000000"), REVOKED),
        ("krb-change", ("pwdLastSet", "0"), "the password has expired (KDC_ERR_KEY_EXPIRED)"),
    ],
    ids=["disabled", "expired", "must change the password"],
)
def test_an_account_that_may_not_log_on(lab: Lab, run: Run, name: str, change: tuple[str, str], words: str) -> None:
    lab.dc.apply(user(name, userAccountControl=str(0x200)), set_attribute(name, *change))
    said = run(1, 8, name=name, password=password_of(name))
    assert words in said.failures[1]
    assert "the sweep was stopped" in said.failures[8]
    assert (lab.farm.stats()["requests"], lab.kdc.count(AS_REP)) == (0, 0)


@pytest.mark.usefixtures("no_ticket", "lockout")
def test_a_locked_account(lab: Lab, run: Run) -> None:
    lab.dc.apply(user("krb-locked"))
    for _ in range(3):
        with pytest.raises(subprocess.CalledProcessError):
            lab.dc.kinit("krb-locked", "Wr0ng!")
    said = run(1, 8, name="krb-locked", password=password_of("krb-locked"))
    assert REVOKED in said.failures[1]
    assert "the sweep was stopped" in said.failures[8]
    assert lab.farm.stats()["requests"] == 0


@pytest.mark.usefixtures("no_ticket")
def test_a_user_whom_only_the_servers_know(lab: Lab, run: Run) -> None:
    """The KDC counts no wrong password for someone it does not know, so NTLM may have it."""
    said = run(1, 8, name=LOCAL, password=password_of(LOCAL))
    assert (said.answered, lab.seen(), lab.kdc.count(AS_REQ)) == ([1, 8], {"auth.ntlm": 2}, 1)
    said = run(1, 8, name=LOCAL, password=password_of(LOCAL), transport="kerberos")
    assert "KDC_ERR_C_PRINCIPAL_UNKNOWN" in said.failures[1]


# -- HTTP/ on a service account: scenarios 4 and 6 -----------------------------------------------------------------


@pytest.mark.usefixtures("ticket")
def test_the_collision_is_named_and_stops_nobody(lab: Lab, run: Run) -> None:
    """One after the other, the sick server first: a verdict on the logon would end the sweep there."""
    said = run(5, 3, 4, 1, parallel="1")
    assert (said.answered, list(said.failures)) == ([1, 3, 4], [5])
    assert "KRB_AP_ERR_MODIFIED, 0x80090322" in said.failures[5]
    assert "the ticket for HTTP/web0005.farm.test is for another account" in said.failures[5]
    assert "winrm-collision" in said.failures[5]
    assert lab.seen() == {"auth.modified": 1, "auth.kerberos": 3}
    assert {name for name in lab.kdc.services if name.startswith("HTTP/")} == {"HTTP/web0005.farm.test"}


@pytest.mark.usefixtures("no_ticket")
def test_no_password_follows_a_ticket_that_cannot_be_opened(lab: Lab, run: Run) -> None:
    said = run(5, 1, password=password_of(OPERATOR), parallel="1")
    assert "winrm-collision" in said.failures[5]
    assert (said.answered, lab.seen()) == ([1], {"auth.modified": 1, "auth.kerberos": 1})


# -- no service, no KDC, no common time ----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_ticket")
def test_a_server_without_spn(lab: Lab, run: Run) -> None:
    said = run(7, 1, password=password_of(OPERATOR))
    assert (said.answered, lab.seen()) == ([1, 7], {"auth.ntlm": 1, "auth.kerberos": 1})
    assert [name for name in lab.kdc.services if "web0007" in name][-1].startswith("HTTP/")
    said = run(7, 1, password=password_of(OPERATOR), transport="kerberos")
    assert "the KDC does not know WSMAN/web0007.farm.test (KDC_ERR_S_PRINCIPAL_UNKNOWN)" in said.failures[7]
    assert said.answered == [1]


@pytest.mark.usefixtures("no_ticket")
def test_no_kdc(lab: Lab, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    nowhere = krb5_configuration(tmp_path / "krb5.conf", lab.dc, f"127.0.0.1:{port}")
    monkeypatch.setenv("KRB5_CONFIG", str(nowhere))
    said = run(1, 8, password=password_of(OPERATOR), transport="kerberos")
    assert all("no KDC of the realm answers" in said.failures[number] for number in (1, 8))
    assert lab.farm.stats()["requests"] == 0
    said = run(1, 8, password=password_of(OPERATOR))
    assert (said.answered, lab.seen()) == ([1, 8], {"auth.ntlm": 2})


@pytest.fixture
def silent_kdc(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A port that swallows connections, where krb5 goes on for 16 seconds."""
    monkeypatch.setattr(kerberos, "KDC_SECONDS", 1.0)
    with contextlib.closing(BlackHole(lab.dc.address, 20_088)):
        nowhere = krb5_configuration(tmp_path / "krb5.conf", lab.dc, f"{lab.dc.address}:20088")
        monkeypatch.setenv("KRB5_CONFIG", str(nowhere))
        yield


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What krb5 is asked for, in threads that come back only after the test."""
    asked, over, apart = list[str](), threading.Event(), kerberos._apart

    async def held_up(work: Callable[..., object], *given: object) -> object:
        def held(*given: object) -> object:
            try:
                return work(*given)
            finally:
                assert over.wait(PATIENCE), "somebody waits for this thread"

        asked.append(work.__name__)
        return await apart(held, *given)

    monkeypatch.setattr(kerberos, "_apart", held_up)
    yield asked
    over.set()


@pytest.mark.usefixtures("silent_kdc")
@pytest.mark.parametrize("way", ["ticket", "password"])
def test_a_kdc_that_never_answers(
    lab: Lab, run: Run, way: str, questions: list[str], request: pytest.FixtureRequest
) -> None:
    """The first server waits for it, the others and the end of the sweep do not."""
    request.getfixturevalue("ticket" if way == "ticket" else "no_ticket")
    said = run(1, 2, 3, 4, 8, password=password_of(OPERATOR) if way == "password" else "")
    if way == "ticket":
        assert all("no KDC answered for WSMAN/web0001.farm.test within 1 s" in why for why in said.failures.values())
        assert (len(said.failures), lab.farm.stats()["requests"]) == (5, 0)
    else:
        assert (said.answered, lab.seen()) == ([1, 2, 3, 4, 8], {"auth.ntlm": 5})
    assert questions == ["_ticket" if way == "ticket" else "_kinit"]


CLOCK = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    long failed = syscall(SYS_gettimeofday, now, zone);
    now->tv_sec += 1200;
    return (int) failed;
}
time_t time(time_t *copy)
{
    struct timeval now;
    gettimeofday(&now, 0);
    return copy ? (*copy = now.tv_sec) : now.tv_sec;
}
"""
"""Twenty minutes fast, for what asks the time as MIT krb5 does; Python asks in another way."""


@pytest.fixture
def wrong_clock(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose clock is wrong."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make a wrong clock with: apt-get install gcc libc6-dev")
    (tmp_path / "clock.c").write_text(CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "clock.so", "clock.c"], cwd=tmp_path, check=True)
    return {"LD_PRELOAD": str(tmp_path / "clock.so")}


@pytest.mark.usefixtures("ticket")
def test_a_clock_that_is_wrong_here(lab: Lab, tmp_path: Path, wrong_clock: dict[str, str]) -> None:
    said = process(["sweep", "--inventory", str(inventory(lab.farm, tmp_path, 1)), *UNJUDGED], **wrong_clock)
    assert "the clock of this machine differs too much from the domain controller's" in said.failures[1]
    assert "KRB_AP_ERR_SKEW" in said.failures[1]
    assert lab.farm.stats()["requests"] == 0


@pytest.mark.usefixtures("no_ticket")
def test_with_a_password_a_wrong_clock_does_no_harm(lab: Lab, tmp_path: Path, wrong_clock: dict[str, str]) -> None:
    """The KDC tells its time when it asks for proof of the password, and krb5 goes by that (`kdc_timesync`)."""
    logon = ["--user", lab.account(OPERATOR), "--password-stdin", "--transport", "kerberos"]
    asked = ["sweep", "--inventory", str(inventory(lab.farm, tmp_path, 1)), *logon, *UNJUDGED]
    said = process(asked, password=password_of(OPERATOR), **wrong_clock)
    assert (said.failures, said.answered) == ({}, [1])


@pytest.mark.usefixtures("ticket")
def test_a_clock_that_is_wrong_there(
    lab: Lab, run: Run, tmp_path: Path, wrong_clock: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", wrong_clock["LD_PRELOAD"])  # for the processes that this one starts
    with farm.running(tmp_path, keytab=lab.keytab) as fast:
        said = run(inventory=str(inventory(fast, tmp_path, 1)), transport="kerberos")
        seen = fast.stats()
    assert "the server does not take the ticket for WSMAN/web0001.farm.test" in said.failures[1]
    assert "the server's clock differs too much from this machine's (KRB_AP_ERR_SKEW)" in said.failures[1]
    assert (seen["auth.krb-error.37"], seen["auth.kerberos"]) == (1, 0)


# -- the program as it is called -----------------------------------------------------------------------------------

UNJUDGED = ("--ad", "off", "--dns", "off", "--format", "json")


def process(arguments: list[str], password: str = "", **environment: str) -> Said:
    """Run the program from outside: it resolves no name of ours."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "agent", *arguments],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout, done.stderr
    return Said(done.returncode, json.loads(done.stdout), done.stderr)


def inventory(servers: farm.Farm, folder: Path, *numbers: int, wire: Wire | None = None) -> Path:
    """Where to connect to, or the wire to go through, and the names for Kerberos."""
    path = folder / "farm.ini"
    with path.open("w") as file:
        for number in numbers:
            host, port = wire.server_address if wire else (servers.address(number), servers.http_port)
            print(
                f"web{number:04d} ansible_connection=winrm ansible_winrm_scheme=http ansible_host={host}",
                f"ansible_port={port} ansible_winrm_kerberos_hostname_override={servers.name(number)}",
                file=file,
            )
    return path


@pytest.mark.usefixtures("ticket")
def test_nothing_on_the_wire_can_be_read(lab: Lab, run: Run, tmp_path: Path) -> None:
    with tapped(Wire((lab.farm.address(1), lab.farm.http_port))) as wire:
        said = run(inventory=str(inventory(lab.farm, tmp_path, 1, wire=wire)))
    assert said.answered == [1]
    assert b"HTTP-SPNEGO-session-encrypted" in wire.seen
    assert len(wire.seen) > 20_000
    for word in (b"Envelope", b"MessageID", b"powershell", b"iis-spn-snapshot", b"farm.test/", b"NTLMSSP"):
        assert word not in wire.seen
        assert base64.b64encode(word)[:-4] not in wire.seen


OWN_NAME = '<bindings><binding protocol="http" bindingInformation="*:80:{name}" /></bindings>'


def snapshot(folder: Path, name: str, pool: str, **authentication: str) -> Path:
    """A server with one site under its own name."""
    folder.mkdir()
    machine = {
        "name": name.partition(".")[0].upper(),
        "dns_name": name,
        "domain": "test.com",
        "netbios_domain": "TEST",
        "membership": "domain",
        "content": {"looked": True, "unread": []},
    }
    (folder / "machine.json").write_text(json.dumps(machine))
    text = configuration(
        sites=site("Portal", application("/", r"C:\web"), inner=OWN_NAME.format(name=name)),
        pools=element("add", pool, name="PoolA"),
        body=location("Portal", windows(enabled="true", **authentication)),
    )
    (folder / "applicationHost.config").write_text(text)
    return folder


@pytest.mark.usefixtures("ticket")
def test_the_program_reads_and_judges_what_it_could_not_read_by_http(lab: Lab, tmp_path: Path) -> None:
    """One directory tells the ticket for the logon, and whether the sites get theirs."""
    as_service = f'<processModel identityType="SpecificUser" userName="TEST\\{SERVICE}" />'
    folders = {
        1: snapshot(tmp_path / "1", lab.farm.name(1), ""),
        3: snapshot(tmp_path / "3", lab.farm.name(3), as_service, useAppPoolCredentials="true"),
    }
    for number, folder in folders.items():
        lab.farm.set(lab.farm.name(number), folder=str(folder))
    servers = str(inventory(lab.farm, tmp_path, *folders))
    said = process(["sweep", "--inventory", servers, "--ad", f"ldap://{lab.dc.address}", *UNJUDGED[2:]])
    assert (said.answered, said.failures, said.report["complete"]) == ([1, 3], {}, True)
    assert "asked 2 servers: 2 answered, 0 failed" in said.stderr
    judged = {r["spn"].lower(): (r["account"], r["need"], r["outcome"]) for r in said.report["requirements"]}
    assert judged["http/web0001.farm.test"] == ("TEST\\WEB0001$", "covered", "kerberos")
    assert judged["http/web0003.farm.test"] == (f"TEST\\{SERVICE}", "explicit", "kerberos")
    collisions = [f for f in said.report["findings"] if f["id"] == "winrm-collision"]
    assert [(f["server"], f["spn"].lower()) for f in collisions] == [("WEB0003", "http/web0003.farm.test")]


@pytest.mark.usefixtures("ticket")
def test_the_computers_of_a_unit(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--from-ad", UNIT, "--ad", f"ldap://{lab.dc.address}", "--port", str(lab.farm.http_port)]
    code = main(["collect", *where, "--to", str(tmp_path)])
    said = capsys.readouterr().out
    assert code == exits.INCOMPLETE
    assert said.rstrip().endswith(f"asked {len(COMPUTERS)} servers: {len(BEST)} answered, 2 failed")
    assert "winrm-collision" in said
    assert "KDC_ERR_S_PRINCIPAL_UNKNOWN" in said
    kept = {path.name for path in tmp_path.iterdir()}
    assert {name[:7] for name in kept - {"sweep.json"}} == {f"web{number:04d}" for number in BEST}
    assert "sweep.json" in kept


# -- secrets -------------------------------------------------------------------------------------------------------


def forms(secret: bytes) -> set[bytes]:
    """How bytes may stand in a text: as they are, in hexadecimal digits, within any base64, as Python shows them."""
    within = (base64.b64encode(b"\0" * shift + secret)[4:-4] for shift in range(3))
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), repr(secret)[2:-1].encode(), *within}


def written(folder: Path) -> bytes:
    """All that stands in the files below a folder, zipped or not."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\0".join([*contents, *(gzip.decompress(data) for data in contents if data.startswith(b"\x1f\x8b"))])


@pytest.mark.parametrize("way", ["ticket", "password"])
def test_no_secret_is_told(
    run: Run, way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    caplog.set_level(logging.DEBUG)
    cache = request.getfixturevalue("ticket" if way == "ticket" else "no_ticket")
    password = "" if way == "ticket" else password_of(OPERATOR)
    folder = tmp_path / "snapshots"
    said = run(1, 5, 7, password=password, to=str(folder), verbose="", transport="kerberos")
    assert "web0005.farm.test: failed" in said.stderr
    told = "\n".join([json.dumps(said.report), said.stderr, caplog.text, *map(repr, caplog.records)]).encode()
    told += written(folder)
    secrets = {password_of(OPERATOR).encode(), password_of(OPERATOR).encode("utf-16-le")}
    if way == "ticket":
        for held in in_cache(cache):
            secrets |= {held.keyblock.data, held.ticket[-32:]}
        assert len(secrets) == 2 + 2 * 3
    assert told.count(b"web0001.farm.test") > 2
    assert [form for secret in secrets for form in forms(secret) if form in told] == []


@pytest.mark.usefixtures("no_ticket")
def test_no_secret_is_shown(lab: Lab) -> None:
    """Of what a run is made of: Python shows these objects in tracebacks and debuggers."""
    endpoint = Endpoint(name="web0001", host=lab.farm.name(), port=lab.farm.http_port, user=lab.account(OPERATOR))
    logon = client.Logon(user=endpoint.user, password=lambda: password_of(OPERATOR))
    orders = collect.Orders(logon_of=lambda _: logon, tls=client.tls_context(()))
    finished = collect.collect([endpoint], orders, told=lambda _: None)
    assert finished.is_complete
    shown = repr((endpoint, logon, orders, finished.outcomes[0].endpoint, logon.tickets, asdict(logon)))
    assert lab.account(OPERATOR) in shown.replace("\\\\", "\\")
    assert [form for form in forms(password_of(OPERATOR).encode()) if form.decode() in shown] == []
