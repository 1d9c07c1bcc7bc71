"""`--from-ad` against a real domain controller."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.errors import UsageError
from agent.sources.ad.computers import Computers, computers
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.results import LdapError

from .samba import Change, DomainController, add_spn, create, managed_account, password_of, user

pytestmark = pytest.mark.live

MANY = 1203


def member(name: str, unit: str, *spns: str, host: str | None = "", flags: str = "4096") -> Change:
    """A computer account below a unit; `host` empty: its usual name, None: no dNSHostName."""
    attributes: dict[str, list[str | bytes]] = {"sAMAccountName": [f"{name}$"], "userAccountControl": [flags]}
    if host is not None:
        attributes["dNSHostName"] = [host or f"{name.lower()}.test.com"]
    if spns:
        attributes["servicePrincipalName"] = list(spns)
    dn = f"CN={name},{unit},{{base}}"
    return create(dn, password=password_of(name), objectClass=["computer"], **attributes)


def unit(name: str) -> Change:
    return create(f"{name},{{base}}", objectClass=["organizationalUnit"])


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> DomainController:
    gmsa = managed_account("cmpGmsa", spns=["HTTP/cmp-gmsa.test.com"])
    gmsa["dn"] = "CN=cmpGmsa,OU=Cmp Web,{base}"
    domain_controller.apply(
        unit("OU=Cmp Web"),
        unit("OU=Odd\\, (*) unit,OU=Cmp Web"),
        unit("OU=Cmp Empty"),
        unit("OU=Cmp Many"),
        member("CMPWEB2", "OU=Cmp Web"),
        member("CMPWEB1", "OU=Cmp Web", "HOST/cmpweb1.test.com", "HTTP/cmpweb1.test.com"),
        member("CMPDEEP", "OU=Odd\\, (*) unit,OU=Cmp Web", host=None),
        member("CMPOFF", "OU=Cmp Web", flags="4098"),
        member("CMPCLU", "OU=Cmp Web", "MSClusterVirtualServer/CMPCLU"),
        gmsa,
        user("cmp-svc"),
        add_spn("cmp-svc", "HTTP/cmpweb2"),
    )
    return domain_controller


@pytest.fixture
def source(dc: DomainController, monkeypatch: pytest.MonkeyPatch) -> LdapSource:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{dc.kinit('cmp-svc')}")
    return LdapSource(target=f"ldap://{dc.host}", address=dc.address, seconds=30)


@pytest.mark.parametrize("base", ["OU=Cmp Web", "ou=cmp web,DC=test,DC=com", "OU=Cmp Web,"])
def test_enabled_computers_below_a_unit(source: LdapSource, base: str) -> None:
    assert computers(source, base) == Computers(("CMPDEEP.test.com", "cmpweb1.test.com", "cmpweb2.test.com"), ())


def test_special_characters_of_a_unit(source: LdapSource) -> None:
    assert computers(source, "OU=Odd\\, (*) unit,OU=Cmp Web").names == ("CMPDEEP.test.com",)


def test_traces_of_iis(source: LdapSource) -> None:
    """One computer holds HTTP/ itself; of the other a service account holds the short name; the third has none."""
    found = computers(source, "OU=Cmp Web", only_iis=True)
    assert found.names == ("cmpweb1.test.com", "cmpweb2.test.com")
    assert found.notes == (
        "1 of 3 computers have no SPN that tells of IIS and are not asked; IIS itself registers none",
    )


def test_a_unit_without_computers(source: LdapSource) -> None:
    assert computers(source, "OU=Cmp Empty") == Computers((), ())


@pytest.mark.parametrize("base", ["OU=Cmp Nowhere", "OU=Cmp Web,DC=test,DC=com,DC=test,DC=com"])
def test_a_unit_that_does_not_exist(source: LdapSource, base: str) -> None:
    with pytest.raises(LdapError, match=r"there is no OU=Cmp|refers to another server"):
        computers(source, base)


@pytest.mark.parametrize("base", ["Cmp Web", "test.com/Cmp Web", "", "OU=Cmp Web,,OU=x"])
def test_what_is_no_distinguished_name(source: LdapSource, base: str) -> None:
    with pytest.raises(UsageError, match=r"is no distinguished name"):
        computers(source, base)


def test_more_than_a_page(dc: DomainController, source: LdapSource) -> None:
    """A domain controller gives 1,000 entries at most without pages."""
    dc.apply(*(member(f"CMPM{number:04}", "OU=Cmp Many") for number in range(MANY)))
    assert computers(source, "OU=Cmp Many").names == tuple(f"cmpm{number:04}.test.com" for number in range(MANY))


def test_without_a_ticket(dc: DomainController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    with pytest.raises(LdapError, match="kinit"):
        computers(LdapSource(target=f"ldap://{dc.host}", address=dc.address), "OU=Cmp Web")
