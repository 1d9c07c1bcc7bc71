"""Exchange servers, which may decrypt with more than their computer account (rule R15.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from parts import corpus
from worlds import World, ad, app, computer, entry, farm_name, server, site, user, world

from agent import inspect, plan

MAIL = "HTTP/mail.test.com"
SHOW = "Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus"
POOLS = {"MSExchangeOWAAppPool": "LocalSystem", "DefaultAppPool": ""}
DNS = "iis01 A 10.0.5.2; iis02 A 10.0.5.3; mail A 10.0.5.2"


def exchange(name: str = "IIS01", accounts: Sequence[str] | None = None) -> object:
    front = [app("/", "MSExchangeOWAAppPool"), app("/owa", "MSExchangeOWAAppPool")]
    back = site("*:81:", name="Exchange Back End", apps=[app("/", "MSExchangeOWAAppPool", enabled=False)])
    facts = {} if accounts is None else {"additional_kerberos_accounts": tuple(accounts)}
    return server(
        site("*:443:mail.test.com", name="Default Web Site", apps=front), back, name=name, pools=POOLS, facts=facts
    )


def mail(*entries: str, accounts: Sequence[str] | None = None, dns: str | None = DNS) -> World:
    text = ad(computer("IIS01"), computer("IIS02"), *entries)
    return world(exchange(accounts=accounts), ad=text, dns=dns)  # type: ignore[arg-type]


def asa(*names: str, **attributes: object) -> str:
    """The account that the documentation lets administrators make: a computer account of no computer."""
    return entry("EXASA$", *names, kind="computer", **attributes)


def everything(found: World) -> str:
    lines = [line for told in found.report.findings for line in told.fix]
    lines += [line for requirement in found.report.requirements for line in requirement.advice]
    return "\n".join(lines)


def test_whose_key_the_server_has_besides_is_not_known() -> None:
    found = mail(asa(MAIL, "HTTP/mail"))
    assert found.outcome(MAIL) == "uncertain"
    assert found.ids == {"alternate-service-account"}
    told = found.finding("alternate-service-account")
    assert (told.severity, told.server) == ("info", "IIS01")
    assert SHOW in told.fix[0]
    assert found.requirement(MAIL).advice[0].endswith(SHOW)
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert "setspn" not in everything(found)


def test_one_that_machine_json_names_decrypts() -> None:
    found = mail(asa(MAIL, "HTTP/mail"), accounts=[r"TEST\EXASA$"])
    assert found.outcome(MAIL) == "kerberos"
    assert found.errors == []
    assert r"TEST\EXASA$" in found.finding("alternate-service-account").message
    assert [use.lacks for use in found.report.accounts if use.account.name == "IIS01$"] == [()]


@pytest.mark.parametrize("accounts", [[], [r"TEST\other$"]])
def test_where_the_accounts_are_known_another_holder_is_wrong(accounts: list[str]) -> None:
    found = mail(asa(MAIL), accounts=accounts)
    assert found.outcome(MAIL) == "modified"
    assert found.findings("spn-misplaced", MAIL)
    assert ("alternate-service-account" in found.ids) == bool(accounts)


def test_an_account_of_a_domain_that_nobody_placed_is_uncertain() -> None:
    assert mail(asa(MAIL), accounts=[r"NORD\EXASA$"]).outcome(MAIL) == "modified"  # the server says what TEST is
    unknown = world(
        server(
            site("*:443:mail.test.com"), facts={"additional_kerberos_accounts": (r"X\EXASA$",), "netbios_domain": None}
        ),
        ad=ad(computer(), asa(MAIL)),
        dns=DNS,
    )
    assert unknown.outcome(MAIL) == "uncertain"


def test_its_own_spns_are_the_computers() -> None:
    found = mail(asa(MAIL), dns=None)
    assert found.outcome(MAIL) == "uncertain"
    own = world(
        server(site(apps=[app("/", "DefaultAppPool"), app("/owa", "MSExchangeOWAAppPool")]), pools=POOLS),
        ad=ad(computer()),
    )
    assert own.ids == {"alternate-service-account"}
    assert own.outcome("HTTP/iis01.test.com") == "kerberos"


def test_nobody_holds_it_and_nothing_is_registered_on_a_guess() -> None:
    found = mail()
    assert found.outcome(MAIL) == "ntlm-fallback"
    assert found.report.plan.steps == ()
    assert SHOW in found.finding("spn-missing").fix[-1]
    assert "setspn" not in everything(found)


def test_two_holders_are_a_duplicate_and_none_is_removed_on_a_guess() -> None:
    found = mail(asa(MAIL), user("old", MAIL))
    assert found.outcome(MAIL) == "duplicate"
    assert found.report.plan.steps == found.report.plan.alternatives == ()


@pytest.mark.parametrize("accounts", [None, [r"TEST\EXASA$"]])
def test_several_servers_with_one_alternate_account_are_a_farm_that_works(accounts: list[str] | None) -> None:
    found = world(
        exchange("IIS01", accounts),  # type: ignore[arg-type]
        exchange("IIS02", accounts),  # type: ignore[arg-type]
        ad=ad(computer("IIS01"), computer("IIS02"), asa(MAIL, "HTTP/mail")),
        farm=[farm_name("mail.test.com", "IIS01", "IIS02")],
    )
    assert found.ids == {"alternate-service-account"}
    outcomes = {requirement.outcome for requirement in found.requirements(MAIL)}
    assert outcomes == {"kerberos" if accounts else "uncertain"}


def test_an_account_that_never_logs_on_is_not_stale_for_that() -> None:
    found = mail(asa(MAIL, lastLogonTimestamp=1))
    assert "spn-stale" not in found.ids


def test_the_own_name_on_the_alternate_account_breaks_nothing_that_is_known() -> None:
    text = ad(computer("IIS01"), user("asa", "HTTP/iis01.test.com", "HTTP/IIS01"))
    own = server(site(apps=[app("/", "DefaultAppPool"), app("/owa", "MSExchangeOWAAppPool")]), pools=POOLS)
    assert world(own, ad=text).ids == {"alternate-service-account"}


@pytest.mark.parametrize(
    ("path", "pool", "is_exchange"),
    [
        ("/owa", "MSExchangeOWAAppPool", True),
        ("/Rpc", "msexchangerpcproxyapppool", True),
        ("/EWS", "MSExchangeServicesAppPool", True),
        ("/Autodiscover", "MSExchangeAutodiscoverAppPool", True),
        ("/Microsoft-Server-ActiveSync", "MSExchangeSyncAppPool", True),
        ("/owa", "DefaultAppPool", False),
        ("/intranet", "MSExchangeOWAAppPool", False),
    ],
)
def test_exchange_is_known_by_its_applications_and_pools(path: str, pool: str, is_exchange: bool) -> None:
    built = server(site("*:443:mail.test.com", apps=[app(path, pool)]), pools={pool: "", "Other": ""})
    assert ("alternate-service-account" in world(built, ad=ad(computer())).ids) == is_exchange


def test_a_pool_account_is_not_joined_by_an_alternate_one() -> None:
    """The key is given to the system's context; a pool with an identity of its own has only that one's."""
    apps = [app("/owa", "MSExchangeOWAAppPool"), app("/x", "Own")]
    built = server(
        site("*:443:mail.test.com", apps=apps),
        site("*:80:x.test.com", name="X", apps=[app("/", "Own")]),
        pools={**POOLS, "Own": r"TEST\svc"},
        kernel=False,
    )
    found = world(built, ad=ad(computer(), user("svc"), asa("HTTP/x.test.com")), dns=f"{DNS}; x A 10.0.5.2")
    assert found.outcome("HTTP/x.test.com", r"TEST\svc") == "modified"


@pytest.mark.parametrize("file", corpus("*CSS-Exchange*.config"))
def test_real_exchange_servers_lose_nothing(file: Path, tmp_path: Path) -> None:
    text = ad(
        computer("EX01"),
        entry("EXASA$", *(f"HTTP/{name}" for name in ("ex01", "ex01.test.com", "mail.test.com")), kind="computer"),
    )
    directory = tmp_path / "ad.ldif"
    directory.write_text(text)
    report = plan(file, computer="ex01.test.com", ad=directory, netbios_domains={"test.com": "TEST"})
    assert report.plan.steps == report.plan.alternatives == ()
    assert "alternate-service-account" in {found.id for found in report.findings}
    assert {r.outcome for r in report.requirements} <= {"uncertain"}
    assert inspect(file, computer="ex01.test.com").requirements
