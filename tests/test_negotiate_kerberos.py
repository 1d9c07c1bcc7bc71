"""`Negotiate:Kerberos` beside kernel mode: Microsoft forbids it and says not what happens (rule R9.2)."""

from __future__ import annotations

import pytest
from worlds import World, ad, computer, providers, server, site, user, windows, world

SPN = "HTTP/portal.test.com"
FINDING = "negotiate-kerberos-kernel-mode"
BOTH = ad(computer("IIS01"), user("svc"), user("other"))
ON_POOL = ad(computer("IIS01"), user("svc", SPN))
ON_COMPUTER = ad(computer("IIS01", SPN), user("svc"))


def offering(providers: list[str], directory: str, *, kernel: bool = True, creds: bool = False) -> World:
    built = server(site("*:80:portal.test.com"), pool=r"TEST\svc", kernel=kernel, creds=creds, offered=providers)
    return world(built, ad=directory, dns="iis01 A 10.0.5.2; portal A 10.0.5.2")


@pytest.mark.parametrize("directory", [BOTH, ON_POOL, ON_COMPUTER])
@pytest.mark.parametrize("creds", [True, False])
@pytest.mark.parametrize(
    "providers", [["Negotiate:Kerberos"], ["negotiate:kerberos", "NTLM"], ["Negotiate", "Negotiate:Kerberos"]]
)
def test_outcome_and_finding_agree(providers: list[str], creds: bool, directory: str) -> None:
    found = offering(providers, directory, creds=creds)
    assert FINDING in found.ids
    assert {one.outcome for one in found.report.requirements} == {"uncertain"}
    application = found.application()
    assert (application.decryption, application.rule, application.decrypts_as) == ("uncertain", None, None)
    assert found.report.plan.steps == ()
    assert found.report.spns.ok == 0
    story = found.explain("http://portal.test.com/")
    assert {one.outcome for one in story} == {"uncertain"}
    assert all("cannot be used with kernel mode" in one.because[-1] for one in story)


@pytest.mark.parametrize(
    ("providers", "kernel", "directory"),
    [(["Negotiate:Kerberos"], False, ON_POOL), (["Negotiate"], True, ON_COMPUTER)],
)
def test_each_way_of_the_fix_mends_it(providers: list[str], kernel: bool, directory: str) -> None:
    """Another provider leaves the account as it is; without kernel mode the pool's decrypts, and must hold the SPN."""
    (text,) = offering(["Negotiate:Kerberos"], directory).finding(FINDING).fix
    assert "Use the provider Negotiate, or set useKernelMode=false; the pool identity then decrypts" in text
    after = offering(providers, directory, kernel=kernel)
    assert (after.errors, after.outcome(SPN)) == ([], "kerberos")


@pytest.mark.parametrize("identity", [r".\web", "LocalService"])
def test_nothing_is_said_of_an_identity_that_may_not_decrypt(identity: str) -> None:
    built = server(pool=identity, creds=True, offered=["Negotiate:Kerberos"])
    found = world(built, ad=ad(computer()), dns="iis01 A 10.0.5.2")
    assert not found.ids & {"local-account-decrypts", "local-service-identity"}


def test_a_place_below_an_application_is_told_of_too() -> None:
    offer = windows(providers(["Negotiate:Kerberos"]))
    built = server(site("*:80:portal.test.com"), body=f'<location path="Site/private">{offer}</location>')
    found = world(built, ad=ON_COMPUTER, dns="iis01 A 10.0.5.2; portal A 10.0.5.2")
    assert found.finding(FINDING).path == "/private"
    ends = {path: {one.outcome for one in found.explain(f"http://portal.test.com{path}")} for path in ("/", "/private")}
    assert ends == {"/": {"kerberos"}, "/private": {"uncertain"}}
