"""The LDAP source against a real domain controller: every way to log on, and what stops half-way."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from waiting import PATIENCE

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.names import spn
from agent.sources.ad import connection as connection_module
from agent.sources.ad import wire as wire_module
from agent.sources.ad.attributes import sid_text
from agent.sources.ad.connection import SUBTREE, LdapConnection
from agent.sources.ad.filters import equal
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.logon import Logon, bind
from agent.sources.ad.wire import Deadline, Server
from agent.spn.directory import Directory, Question

from .samba import (
    Change,
    DomainController,
    computer,
    create,
    delete,
    managed_account,
    password_of,
    set_attribute,
    user,
)
from .scenarios import only_reader

pytestmark = pytest.mark.live

ODD = "HTTP/od(d)*\\name.test.com"
QUESTION = Question(
    spns=frozenset(
        spn(f"{service}/{host}")
        for service in ("HTTP", "HOST")
        for host in ("ldap-web.test.com", "ldapsrv.test.com", "ldap-gmsa.test.com", "nobody.test.com")
    ),
    account_names=frozenset({"ldapsrv$", "ldap-user"}),
)


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> DomainController:
    many = [f"HTTP/ldap-many{n}.test.com" for n in range(250)]
    domain_controller.apply(
        computer("LDAPSRV"),
        user("ldap-web", spns=["HTTP/ldap-web.test.com", ODD]),
        user("ldap-user"),
        user("ldap-many", spns=many),
        managed_account("ldapGmsa", spns=["HTTP/ldap-gmsa.test.com"]),
    )
    return domain_controller


@pytest.fixture
def ticket(dc: DomainController, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{dc.kinit('ldap-user')}")


@pytest.fixture
def no_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")


@pytest.fixture
def no_kdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kerberos knows no realm and has no ticket: what is left is NTLM."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    configuration = tmp_path / "krb5.conf"
    configuration.write_text("[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n")
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))


def source(dc: DomainController, scheme: str = "ldap", **more: object) -> LdapSource:
    made = LdapSource(target=f"{scheme}://{dc.host}", address=dc.address, seconds=20)
    return replace(made, **more)  # type: ignore[arg-type]


def logon(name: str = "ldap-user", password: str | None = None) -> Logon:
    return Logon(name, lambda: password or password_of("ldap-user"))


def _assert_right(directory: Directory) -> None:
    assert directory.problems == ()
    assert {str(a.name): a.kind for a in directory.accounts} == {
        "TEST\\LDAPSRV$": "computer",
        "TEST\\ldap-web": "user",
        "TEST\\ldap-user": "user",
        "TEST\\ldapGmsa$": "gMSA",
    }
    assert [str(a.name) for a in directory.answers(spn("HTTP/ldapsrv.test.com"), None) or ()] == ["TEST\\LDAPSRV$"]
    assert directory.seen(spn("HTTP/nobody.test.com")) == ()
    assert [(d.dns_name, d.netbios, d.covered) for d in directory.domains] == [("test.com", "TEST", True)]


# -- ways to log on ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ticket")
def test_kerberos_ticket_sealed(dc: DomainController) -> None:
    with tap(dc, 389) as wire:
        _assert_right(source(dc, target=f"ldap://{dc.host}:{wire.port}", address=wire.address).ask(QUESTION))
    assert len(wire.seen) > 2000
    assert b"ldap-web" not in wire.seen


@pytest.mark.usefixtures("ticket")
def test_global_catalog(dc: DomainController) -> None:
    _assert_right(source(dc, "gc").ask(QUESTION))


@pytest.mark.usefixtures("no_ticket")
@pytest.mark.parametrize("name", ["ldap-user", "TEST\\ldap-user", "ldap-user@TEST.COM"])
def test_kerberos_with_password(dc: DomainController, name: str) -> None:
    _assert_right(source(dc, logon=logon(name)).ask(QUESTION))


@pytest.mark.usefixtures("no_kdc")
@pytest.mark.parametrize("name", ["ldap-user", "TEST\\ldap-user", "ldap-user@test.com"])
def test_ntlm_with_password_sealed(dc: DomainController, name: str) -> None:
    with tap(dc, 389) as wire:
        asker = source(dc, target=f"ldap://{dc.host}:{wire.port}", address=wire.address, logon=logon(name))
        _assert_right(asker.ask(QUESTION))
    assert b"NTLMSSP" in wire.seen
    assert b"ldap-web" not in wire.seen


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(("scheme", "start_tls"), [("ldaps", False), ("ldap", True)])
def test_verified_tls_with_ticket(dc: DomainController, scheme: str, start_tls: bool) -> None:
    _assert_right(source(dc, scheme, start_tls=start_tls, ca_files=[dc.ca_file]).ask(QUESTION))


@pytest.mark.usefixtures("no_kdc")
@pytest.mark.parametrize(("scheme", "start_tls"), [("ldaps", False), ("ldap", True)])
def test_verified_tls_without_kerberos(dc: DomainController, scheme: str, start_tls: bool) -> None:
    _assert_right(source(dc, scheme, start_tls=start_tls, ca_files=[dc.ca_file], logon=logon()).ask(QUESTION))


# -- refusals ------------------------------------------------------------------------------------------------------


def _refused(directory: Directory, words: str) -> None:
    assert [p.id for p in directory.problems] == ["directory-incomplete"]
    assert words in directory.problems[0].message
    assert directory.accounts == directory.domains == ()


@pytest.mark.usefixtures("no_ticket")
def test_wrong_password_at_the_kdc(dc: DomainController) -> None:
    _refused(source(dc, logon=logon(password="Wr0ng!")).ask(QUESTION), "the password is wrong")


@pytest.mark.usefixtures("no_kdc")
def test_wrong_password_by_ntlm(dc: DomainController) -> None:
    _refused(source(dc, logon=logon(password="Wr0ng!")).ask(QUESTION), "the user or the password is wrong")


@pytest.mark.usefixtures("no_kdc")
def test_wrong_password_within_tls(dc: DomainController) -> None:
    asker = source(dc, "ldaps", ca_files=[dc.ca_file], logon=logon(password="Wr0ng!"))
    _refused(asker.ask(QUESTION), "the user or the password is wrong")


@pytest.mark.usefixtures("no_ticket")
def test_no_ticket(dc: DomainController) -> None:
    _refused(source(dc).ask(QUESTION), "run kinit")


@pytest.mark.usefixtures("ticket")
def test_untrusted_certificate(dc: DomainController) -> None:
    _refused(source(dc, "ldaps").ask(QUESTION), "is not trusted")


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(("scheme", "start_tls"), [("ldaps", False), ("ldap", True)])
def test_wrong_host_name(dc: DomainController, scheme: str, start_tls: bool) -> None:
    target = f"{scheme}://dc2.test.com"
    asker = source(dc, scheme, target=target, start_tls=start_tls, ca_files=[dc.ca_file])
    _refused(asker.ask(QUESTION), "for another host name")


@pytest.mark.usefixtures("ticket")
def test_a_ca_file_that_is_none(dc: DomainController, tmp_path: Path) -> None:
    _refused(source(dc, "ldaps", ca_files=[tmp_path / "none.pem"]).ask(QUESTION), "cannot read the certificates")


# -- contents ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ticket")
def test_special_characters(dc: DomainController) -> None:
    names = frozenset({spn(ODD), spn("HTTP/*"), spn("HTTP/)(objectClass=*"), spn("HTTP/nul\0.test.com")})
    directory = source(dc).ask(Question(spns=names, account_names=frozenset({"*", "ldap*", "a)(b"})))
    assert directory.problems == ()
    assert [a.name.name for a in directory.accounts] == ["ldap-web"]


@pytest.mark.usefixtures("ticket")
def test_settings(dc: DomainController) -> None:
    directory = source(dc).ask(QUESTION)
    assert {"http", "www", "w3svc", "cifs"} <= directory.mapped_to_host
    assert directory.aes_since is not None
    assert {"serviceprincipalname", "useraccountcontrol", "pwdlastset", "objectsid"} <= directory.exported


@pytest.mark.usefixtures("ticket")
def test_250_names_in_batches(dc: DomainController, capsys: pytest.CaptureFixture[str]) -> None:
    names = sorted(f"HTTP/ldap-many{n}.test.com" for n in range(250))
    asker = source(dc)
    directory = asker.ask(Question(spns=frozenset(map(spn, names))))
    assert all(directory.seen(spn(name)) for name in names)
    assert asker.round_trips < 40

    with LdapConnection(_server(dc), Deadline(PATIENCE)) as connection:
        bind(connection, None)
        for name in names:
            wanted = [equal("servicePrincipalName", name)]
            assert list(connection.search(dc.base_dn, SUBTREE, wanted, ["servicePrincipalName"]))
    assert connection.round_trips >= 250
    with capsys.disabled():
        print(f"\n250 SPNs: {asker.round_trips} round trips; one by one: {connection.round_trips}")


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize("in_pages", [False, True])
def test_many_entries_with_pages_and_without(
    dc: DomainController, in_pages: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samba gives them all at once, whatever limit it is told, and pages to whoever asks for them."""
    monkeypatch.setattr(connection_module, "PAGE_SIZE", 2)
    wanted = [equal("sAMAccountName", name) for name in ("ldap-web", "ldap-user", "ldap-many", "LDAPSRV$", "ldapGmsa$")]
    with LdapConnection(_server(dc), Deadline(PATIENCE)) as connection:
        bind(connection, None)
        before = connection.round_trips
        found = list(connection.search(dc.base_dn, SUBTREE, wanted, ["cn"], in_pages))
        assert len({dn for dn, _ in found}) == len(found) == len(wanted)
        assert connection.round_trips - before == (3 if in_pages else 1)


def _server(dc: DomainController) -> Server:
    return Server(host=dc.host, port=389, protection="seal", address=dc.address)


# -- groups and delegation -----------------------------------------------------------------------------------------


def _grp(name: str) -> Change:
    return create(f"CN={name},CN=Users,{{base}}", objectClass=["group"], sAMAccountName=[name])


@pytest.fixture(scope="module")
def grouped(dc: DomainController) -> DomainController:
    """LDAPGRP stands in ldap-outer through ldap-inner; its domain's computers all stand in ldap-all."""
    dc.apply(
        computer("LDAPGRP"),
        *(_grp(name) for name in ("ldap-inner", "ldap-outer", "ldap-apart", "ldap-all")),
        set_attribute("ldap-inner", "member", f"CN=LDAPGRP object,CN=Computers,{dc.base_dn}"),
        set_attribute("ldap-outer", "member", f"CN=ldap-inner,CN=Users,{dc.base_dn}"),
        set_attribute("ldap-all", "member", f"CN=Domain Computers,CN=Users,{dc.base_dn}"),
        managed_account("ldapFarm", spns=["HTTP/ldap-farm.test.com"]),
    )
    return dc


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(
    ("reader", "stands_in"),
    [
        ("ldap-inner", True),
        ("ldap-outer", True),
        ("ldap-all", True),
        ("Domain Computers", True),
        ("ldap-apart", False),
    ],
)
def test_groups_of_a_computer(grouped: DomainController, reader: str, stands_in: bool) -> None:
    grouped.apply(only_reader("ldapFarm$", _sid_of(grouped, reader)))
    question = Question(spns=frozenset({spn("HTTP/ldap-farm.test.com")}), account_names=frozenset({"ldapgrp$"}))
    directory = source(grouped).ask(question)
    assert directory.problems == ()
    (account,) = directory.named("ldapgrp$")
    (managed,) = directory.named("ldapfarm$")
    groups = directory.memberships(account)
    assert groups.open == frozenset()
    assert managed.password_readers is not None
    assert bool(managed.password_readers & groups.sids) is stands_in
    assert managed.password_readers <= set(directory.group_sids.values())


def _sid_of(dc: DomainController, name: str) -> str:
    with LdapConnection(_server(dc), Deadline(30)) as connection:
        bind(connection, None)
        wanted = [equal("sAMAccountName", name)]
        ((_, values),) = connection.search(dc.base_dn, SUBTREE, wanted, ["objectSid"])
    return sid_text(values["objectSid"][0])


@pytest.mark.usefixtures("ticket")
def test_a_deleted_holder_is_none(dc: DomainController) -> None:
    name = "HTTP/ldap-gone.test.com"
    dc.apply(user("ldap-gone", spns=[name]))
    question = Question(spns=frozenset({spn(name)}))
    assert source(dc).ask(question).seen(spn(name))
    dc.apply(delete("ldap-gone"))
    assert source(dc).ask(question).accounts == ()


# -- endings -------------------------------------------------------------------------------------------------------


class Tap:
    """Passes bytes on and keeps them; after `limit` bytes of answers the line is cut, or falls silent."""

    def __init__(self, target: tuple[str, int], limit: int | None, silent: bool) -> None:
        self._target, self._limit, self._silent = target, limit, silent
        self.seen = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address, self.port = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, self._limit), daemon=True).start()
        except OSError:
            return

    def _pump(self, one: socket.socket, other: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := one.recv(65536):
                self.seen += data
                passed += len(data)
                if limit is not None and passed > limit:
                    other.sendall(data[: max(0, len(data) - (passed - limit))])
                    while self._silent and other.fileno() >= 0:
                        time.sleep(0.05)
                    break
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            end.close()


def tap(dc: DomainController, port: int, limit: int | None = None, *, silent: bool = False) -> Tap:
    return Tap((dc.address, port), limit, silent)


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("limit", [10, 300, 900, 2500, 5000])
def test_a_line_cut_anywhere(dc: DomainController, limit: int, silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "SILENCE_SECONDS", 1.0)
    with tap(dc, 389, limit, silent=silent) as wire:
        directory = source(dc, target=f"ldap://{dc.host}:{wire.port}", address=wire.address).ask(QUESTION)
    assert {p.id for p in directory.problems} == {"directory-incomplete"}
    assert not any(d.covered for d in directory.domains)


@pytest.mark.usefixtures("ticket")
def test_a_stopped_controller(dc: DomainController) -> None:
    dc.stop()
    try:
        _refused(source(dc).ask(QUESTION), "refuses the connection")
    finally:
        dc.start()
