"""`--from-ad` against a directory of our own that keeps AD's limits and makes every kind of trouble."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

import ldap_shim
from ldap_shim import DOMAIN, PASSWORD, USER, Attributes, Shim
from sansldap import LDAPResultCode as Code

from agent.errors import UsageError
from agent.sources import extras
from agent.sources.ad import connection, filters
from agent.sources.ad.computers import Computers, computers
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.logon import Logon
from agent.sources.ad.results import LdapError

BASE = "DC=test,DC=com"
UNIT = f"OU=Web,{BASE}"
ROOT = {"defaultNamingContext": BASE, "dnsHostName": "dc1.test.com"}


@pytest.fixture(autouse=True)
def _ntlm_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No KDC is known, so that a user and password end in NTLM; the shim knows one account."""
    configuration, accounts = tmp_path / "krb5.conf", tmp_path / "ntlm"
    configuration.write_text("[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n")
    accounts.write_text(ldap_shim.credentials())
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    monkeypatch.setenv("NTLM_USER_FILE", str(accounts))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")


def machine(
    name: str, host: str | None = "", *spns: str, flags: int = 4096, kind: str = "computer"
) -> dict[str, Attributes]:
    values: dict[str, list[bytes]] = {
        "objectClass": [b"top", b"user", kind.encode()],
        "sAMAccountName": [f"{name}$".encode()],
        "sAMAccountType": [b"805306369"],
        "userAccountControl": [str(flags).encode()],
        "servicePrincipalName": [spn.encode() for spn in spns],
    }
    if host is not None:
        values["dNSHostName"] = [(host or f"{name.lower()}.test.com").encode()]
    return {f"CN={name},{UNIT}": values}


def shim(*machines: dict[str, Attributes], **more: object) -> Shim:
    entries: dict[str, Attributes] = {UNIT: {"objectClass": [b"organizationalUnit"]}}
    for one in machines:
        entries |= one
    return Shim(entries, ROOT, **more)  # type: ignore[arg-type]


def found(served: Shim, base: str = "OU=Web", *, only_iis: bool = False) -> Computers:
    with served.serving():
        source = LdapSource(
            target=f"ldap://dc1.test.com:{served.port}",
            logon=Logon(f"{DOMAIN}\\{USER}", lambda: PASSWORD),
            seconds=20,
            address="127.0.0.1",
        )
        return computers(source, base, only_iis=only_iis)


@pytest.mark.parametrize("count", [499, 500, 501, 2345])
def test_every_page_is_read(count: int) -> None:
    served = shim(*(machine(f"W{number:04}") for number in range(count)), page_limit=500)
    assert found(served).names == tuple(f"w{number:04}.test.com" for number in range(count))


def test_what_is_no_machine_to_ask() -> None:
    served = shim(
        machine("B"),
        machine("A", None),
        machine("OFF", flags=4098),
        machine("GMSA", kind="msDS-GroupManagedServiceAccount"),
        machine("DMSA", kind="msDS-DelegatedManagedServiceAccount"),
        machine("CLU", "clu.test.com", "msclustervirtualserver/CLU"),
    )
    assert found(served) == Computers(("A.test.com", "b.test.com"), ())


def test_flags_that_are_no_number_disable_nobody() -> None:
    """`str.isdigit` is true of a superscript, which `int` refuses."""
    one = {dn: {**values, "userAccountControl": ["2\u00b2".encode()]} for dn, values in machine("W1").items()}
    assert found(shim(one)).names == ("w1.test.com",)


@pytest.mark.parametrize("host", ["10.0.0.1", "*.test.com", "a b", "web/x", "-", "evil.test.com:80"])
def test_a_host_name_that_is_none_gives_way_to_the_account(host: str) -> None:
    assert found(shim(machine("W1", host))).names == ("W1.test.com",)


def test_a_computer_without_a_usable_name_is_told() -> None:
    assert found(shim(machine("W 1", None), machine("W2"))) == Computers(
        ("w2.test.com",),
        (f"CN=W 1,{UNIT} is not asked: it has no usable name (dNSHostName, sAMAccountName)",),
    )


def test_traces_in_batches() -> None:
    """Of 250 computers every fifth has an SPN: its own, or one for its name on a service account."""
    own = [machine(f"W{n}", "", *(["W3SVC/x"] if n % 10 == 0 else ["HOST/x"])) for n in range(250)]
    service = {
        f"CN=svc,CN=Users,{BASE}": {
            "objectClass": [b"user"],
            "servicePrincipalName": [f"http/w{n}.TEST.com".encode() for n in range(5, 250, 10)],
        }
    }
    served = shim(*own, service)
    result = found(served, only_iis=True)
    assert set(result.names) == {f"w{n}.test.com" for n in range(0, 250, 5)}
    assert result.notes[0].startswith("200 of 250 computers have no SPN")
    assert max(len(getattr(search.filter, "filters", ())) for search in served.searches) <= filters.BATCH


@pytest.mark.parametrize("base", ["OU=None", "OU=Web,DC=other,DC=com"])
def test_a_unit_that_does_not_exist(base: str) -> None:
    with pytest.raises(LdapError, match="there is no OU="):
        found(shim(), base)


@pytest.mark.parametrize("base", ["Web", "", "test.com/Web"])
def test_what_is_no_distinguished_name(base: str) -> None:
    with pytest.raises(UsageError, match="is no distinguished name such as"):
        found(shim(), base)


@pytest.mark.parametrize(
    ("name", "words"),
    [("cut", "closed the connection"), ("referral_only", "refers to other"), ("endless_pages", "goes on after")],
)
def test_an_answer_that_is_not_whole_is_an_error(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_PAGES", 20)
    with pytest.raises(LdapError, match=words):
        found(replace(shim(machine("W1")), trouble=getattr(ldap_shim, name)))


def test_a_size_limit_is_an_error() -> None:
    with pytest.raises(LdapError, match="size limit"):
        found(shim(machine("W1"), trouble=ldap_shim.refusing(Code.SIZE_LIMIT_EXCEEDED)))


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _extra: False)
    with pytest.raises(UsageError, match=r'pip install "iis-spn\[ldap\]"'):
        computers(LdapSource(target="ldap://dc1"), "OU=Web")
