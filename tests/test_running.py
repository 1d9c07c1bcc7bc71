"""Which pools run as another account than is configured: only what is certain is told."""

from __future__ import annotations

import pytest
from test_findings import HEADER, SERVICE, running
from worlds import ad, computer, server, site, user, world

from agent.iis.snapshot import WorkerProcess

ID = "running-identity-differs"
BUILT_IN = ["ApplicationPoolIdentity", "NetworkService", "LocalSystem", "LocalService"]


@pytest.mark.parametrize(
    ("pool", "account"),
    [
        (SERVICE, r"TEST\oldsvc"),
        (SERVICE, r"OTHER\contososvc"),
        (SERVICE, r"IIS APPPOOL\Pool"),
        (SERVICE, r"NT AUTHORITY\NETWORK SERVICE"),
        (SERVICE, r"NT-AUTORITÄT\Netzwerkdienst"),
        (SERVICE, r"IIS01\oldsvc"),
        (r"test.com\contososvc", r"TEST\oldsvc"),
        (r".\web", r"TEST\contososvc"),
        (r".\web", r"IIS01\web2"),
        ("contososvc", r"TEST\oldsvc"),
        (r"NT AUTHORITY\NETWORK SERVICE", r"NT AUTHORITY\SYSTEM"),
        ("ApplicationPoolIdentity", r"TEST\oldsvc"),
        ("ApplicationPoolIdentity", r"test.com\oldsvc"),
        ("ApplicationPoolIdentity", r"IIS01\web"),
        ("ApplicationPoolIdentity", r"NT AUTHORITY\NETWORK SERVICE"),
        ("NetworkService", r"IIS APPPOOL\Pool"),
        ("NetworkService", r"NT AUTHORITY\SYSTEM"),
        ("LocalSystem", r"NT AUTHORITY\LOCAL SERVICE"),
    ],
)
def test_another_account_is_told(pool: str, account: str) -> None:
    told = running(account, pool=pool).finding(ID)
    assert (told.severity, told.server, told.site, told.path) == ("warning", "IIS01", "Site", "/")
    assert f"runs as {account} (process 4242), but {pool} is configured" in told.message


@pytest.mark.parametrize(
    ("pool", "account"),
    [
        (SERVICE, r"test\CONTOSOSVC"),
        (r"test.com\contososvc", SERVICE),
        (r".\web", r"IIS01\web"),
        ("contososvc", SERVICE),
        ("ApplicationPoolIdentity", r"IIS APPPOOL\Pool"),
        ("NetworkService", r"NT AUTHORITY\NETWORK SERVICE"),
        ("LocalSystem", r"nt authority\system"),
        ("LocalService", r"NT AUTHORITY\LOCAL SERVICE"),
    ],
)
def test_the_same_account_is_silent(pool: str, account: str) -> None:
    assert ID not in running(account, pool=pool).ids


@pytest.mark.parametrize(
    ("pool", "account"),
    [
        ("contososvc@test.com", r"TEST\oldsvc"),  # a UPN need not hold the sAMAccountName (R1.8)
        *((pool, r"NT-AUTORITÄT\Netzwerkdienst") for pool in BUILT_IN),  # as a German Windows says it
        ("ApplicationPoolIdentity", "nonsense"),
        (r"other.example\contososvc", SERVICE.replace("TEST", "OTHER")),  # nobody said what other.example is called
    ],
)
def test_what_is_not_certain_is_silent(pool: str, account: str) -> None:
    assert ID not in running(account, pool=pool).ids


def test_a_directory_says_whose_upn_it_is() -> None:
    def found(account: str) -> set[str]:
        facts = {"worker_processes": (WorkerProcess("Pool", 1, account),)}
        built = server(site(HEADER), pool="web@brand.example", creds=True, facts=facts)
        return world(built, ad=ad(computer(), user("contososvc", userPrincipalName="web@brand.example"))).ids

    assert ID not in found(SERVICE)
    assert ID in found(r"TEST\web")


def test_a_controller_has_no_local_users() -> None:
    """`.\\svc` is the domain's account there, and Windows says so (rule R1.8)."""
    assert ID not in running(r"TEST\web", pool=r".\web", domain_controller=True).ids
    assert ID in running(r"TEST\web", pool=r".\web", domain_controller=False).ids


def test_pools_that_nobody_uses_and_processes_of_no_pool_are_silent() -> None:
    facts = {"worker_processes": (WorkerProcess("Gone", 1, r"TEST\oldsvc"),)}
    assert ID not in world(server(site(HEADER), pool=SERVICE, facts=facts)).ids
    assert ID not in running().ids


def test_an_old_process_beside_a_new_one_is_named_alone() -> None:
    told = running(SERVICE, r"TEST\oldsvc", r"TEST\older").finding(ID)
    assert r"runs as TEST\oldsvc and as TEST\older (process 4243, 4244)" in told.message
