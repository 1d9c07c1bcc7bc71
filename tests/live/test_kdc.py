"""The lab itself: what its KDC and its LDAP server do, and where they are known to differ from Windows."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from .samba import (
    DomainController,
    add_spn,
    computer,
    delete,
    delete_spn,
    managed_account,
    password_of,
    replace_spns,
    set_attribute,
    user,
)

if TYPE_CHECKING:
    from .conftest import Observe

pytestmark = pytest.mark.live

UNKNOWN = ("no-ticket", 7)


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> DomainController:
    domain_controller.apply(
        computer("LAB01"),
        computer("LAB02"),
        user("lab-web", spns=["HTTP/lab.test.com", "HTTP/lab02.test.com", "HTTP/lab.test.com:8080"]),
        user("lab-other"),
        managed_account("labGmsa", spns=["HTTP/gmsa.test.com"]),
    )
    print(f"\ndomain controller on {domain_controller.address}, seconds: {domain_controller.seconds}")
    return domain_controller


@pytest.mark.parametrize(
    ("spn", "account"),
    [
        pytest.param("HTTP/lab.test.com", "lab-web", id="explicit"),
        pytest.param("http/LAB.Test.Com", "lab-web", id="case does not matter"),
        pytest.param("HTTP/lab.test.com:8080", "lab-web", id="the port is part of the name"),
        pytest.param("HTTP/lab01", "LAB01$", id="HOST answers for HTTP, short"),
        pytest.param("HTTP/lab01.test.com", "LAB01$", id="HOST answers for HTTP, full"),
        pytest.param("www/lab01", "LAB01$", id="HOST answers for www"),
        pytest.param("HTTP/lab02.test.com", "lab-web", id="explicit HTTP wins over HOST"),
        pytest.param("HTTP/lab02", "LAB02$", id="the short form is another name"),
        pytest.param("HTTP/gmsa.test.com", "labGmsa$", id="managed account"),
    ],
)
@pytest.mark.usefixtures("dc")
def test_the_holder_decrypts_and_nobody_else(observe: Observe, spn: str, account: str) -> None:
    assert observe(spn, account).kind == "kerberos"
    assert observe(spn, "lab-other").kind == "modified"


@pytest.mark.parametrize(
    "spn",
    ["HTTP/none.test.com", "HTTP/lab01:8080", "HTTP/lab.test.com:80", "HTTP/lab01.elsewhere.com", "HTTPS/lab.test.com"],
)
@pytest.mark.usefixtures("dc")
def test_a_name_nobody_holds_is_error_7(observe: Observe, spn: str) -> None:
    seen = observe(spn, "lab-web")
    assert (seen.kind, seen.code) == UNKNOWN


def test_a_duplicate_is_error_7_and_does_not_fall_back_to_host(dc: DomainController, observe: Observe) -> None:
    dc.apply(computer("LABDUP"), user("lab-dup1"), user("lab-dup2"))
    assert observe("HTTP/labdup", "LABDUP$").kind == "kerberos"
    dc.apply(add_spn("lab-dup1", "HTTP/labdup", raw=True), add_spn("lab-dup2", "http/LABDUP", raw=True))
    seen = observe("HTTP/labdup", "LABDUP$")
    assert (seen.kind, seen.code) == UNKNOWN
    dc.apply(delete_spn("lab-dup2", "http/LABDUP", raw=True))
    assert observe("HTTP/labdup", "lab-dup1").kind == "kerberos"


def test_the_directory_refuses_a_duplicate(dc: DomainController) -> None:
    with pytest.raises(RuntimeError, match="would cause a conflict"):
        dc.apply(add_spn("lab-other", "HTTP/lab.test.com"))


def test_changes_show_at_once(dc: DomainController, observe: Observe) -> None:
    dc.apply(user("lab-moving1"), user("lab-moving2"))
    for number in range(40):
        owner, other = ("lab-moving1", "lab-moving2")[:: 1 if number % 2 else -1]
        dc.apply(replace_spns(other), replace_spns(owner, "HTTP/moving.test.com"))
        assert observe("HTTP/moving.test.com", owner).kind == "kerberos"
        assert observe("HTTP/moving.test.com", other).kind == "modified"


def test_the_map_of_aliases_is_read_from_the_directory(dc: DomainController, observe: Observe) -> None:
    assert observe("labalias/lab01", "LAB01$").code == 7
    service = f"CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,{dc.base_dn}"
    dc.apply(set_attribute(service, "sPNMappings", "host=labalias", how="add"))
    assert observe("labalias/lab01", "LAB01$").kind == "kerberos"
    dc.apply(set_attribute(service, "sPNMappings", "host=labalias", how="delete"))


def test_a_new_password_makes_new_keys_for_both_sides(dc: DomainController, observe: Observe) -> None:
    dc.apply(user("lab-rekeyed", spns=["HTTP/rekeyed.test.com"]))
    assert observe("HTTP/rekeyed.test.com", "lab-rekeyed").kind == "kerberos"
    dc.apply(set_attribute("lab-rekeyed", "unicodePwd", '"An0ther!Password"'.encode("utf-16-le")))
    assert observe("HTTP/rekeyed.test.com", "lab-rekeyed").kind == "kerberos"


# -- where it is not Windows ---------------------------------------------------------------------------------------


def test_trap_a_cn_equal_to_the_host_name_answers_for_host(dc: DomainController, observe: Observe) -> None:
    dc.apply(computer("LABCN1", cn="labcn1", spns=[]), computer("LABCN2", spns=[]))
    assert observe("HTTP/labcn1", "LABCN1$").kind == "kerberos"  # Windows: error 7
    assert observe("HTTP/labcn2", "LABCN2$").code == 7


def test_trap_one_value_of_a_duplicate_is_deleted_raw_or_not_at_all(dc: DomainController, observe: Observe) -> None:
    dc.apply(user("lab-twin1", spns=["HTTP/twin.test.com"]), user("lab-twin2"))
    dc.apply(add_spn("lab-twin2", "HTTP/twin.test.com", raw=True))
    with pytest.raises(RuntimeError):
        dc.apply(delete_spn("lab-twin2", "HTTP/twin.test.com"))  # Windows: done
    dc.apply(delete("lab-twin2"))
    assert observe("HTTP/twin.test.com", "lab-twin1").kind == "kerberos"


# -- LDAP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [636, 3269])
@pytest.mark.parametrize("by", ["host", "address"])
def test_the_certificate_verifies_by_name_and_by_address(dc: DomainController, by: str, port: int) -> None:
    context = ssl.create_default_context(cafile=dc.ca_file)
    with (
        socket.create_connection((dc.address, port)) as plain,
        context.wrap_socket(plain, server_hostname=getattr(dc, by)) as secure,
    ):
        assert secure.version() == "TLSv1.3"


def test_the_certificate_does_not_verify_otherwise(dc: DomainController) -> None:
    with (
        socket.create_connection((dc.address, 636)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname=dc.host),
    ):
        pass
    context = ssl.create_default_context(cafile=dc.ca_file)
    with (
        socket.create_connection((dc.address, 636)) as plain,
        pytest.raises(ssl.SSLCertVerificationError) as caught,
        context.wrap_socket(plain, server_hostname="dc2.test.com"),
    ):
        pass
    assert caught.value.verify_code == 62  # X509_V_ERR_HOSTNAME_MISMATCH


SUCCESS, STRONG_AUTH_REQUIRED, INVALID_CREDENTIALS = 0, 8, 49


def test_a_simple_bind_needs_tls(dc: DomainController) -> None:
    dc.apply(user("lab-binder"))
    bind = _simple_bind("lab-binder@test.com", password_of("lab-binder"))
    with socket.create_connection((dc.address, 389)) as plain:
        assert _result_of(plain, bind) == STRONG_AUTH_REQUIRED
    for password, expected in ((password_of("lab-binder"), SUCCESS), ("wrong", INVALID_CREDENTIALS)):
        context = ssl.create_default_context(cafile=dc.ca_file)
        with (
            socket.create_connection((dc.address, 636)) as plain,
            context.wrap_socket(plain, server_hostname=dc.host) as secure,
        ):
            assert _result_of(secure, _simple_bind("lab-binder@test.com", password)) == expected


START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"


def test_start_tls_verifies_too(dc: DomainController) -> None:
    context = ssl.create_default_context(cafile=dc.ca_file)
    with socket.create_connection((dc.address, 389)) as plain:
        assert _result_of(plain, START_TLS) == SUCCESS
        with context.wrap_socket(plain, server_hostname=dc.host) as secure:
            bind = _simple_bind("Administrator@test.com", dc.admin_password)
            assert _result_of(secure, bind) == SUCCESS


def _simple_bind(name: str, password: str) -> bytes:
    request = b"\x02\x01\x03" + _short(0x04, name.encode()) + _short(0x80, password.encode())
    return _short(0x30, b"\x02\x01\x01" + _short(0x60, request))


def _short(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def _result_of(connection: socket.socket, request: bytes) -> int:
    """The resultCode of an LDAPResult: the one ENUMERATED (tag 10, length 1) at the start of the answer."""
    connection.sendall(request)
    answer = connection.recv(4096)
    return answer[answer.index(b"\x0a\x01") + 2]


# -- life ----------------------------------------------------------------------------------------------------------


def test_a_stopped_controller_is_a_closed_port_and_comes_back(dc: DomainController, observe: Observe) -> None:
    dc.stop()
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((dc.address, 389))
        dc.apply(user("lab-offline", spns=["HTTP/offline.test.com"]))
    finally:
        dc.start()
    assert observe("HTTP/offline.test.com", "lab-offline").kind == "kerberos"
