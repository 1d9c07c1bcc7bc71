"""What nobody said: NetBIOS names that are not the first DNS label, computers without a name, names made up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from worlds import World, ad, computer, cross_reference, server, setspn_l, site, user, whole, world

from agent.names import AccountName, Guess, Likeness
from agent.spn.domains import Domains, Placed

CONTOSO = "HTTP/contoso.test.com"
NORD = {"netbios_domain": None}


def label(name: str) -> AccountName:
    return AccountName(name, "svc")


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        (label("TEST"), label("test"), Likeness.SAME),
        (label("TEST"), label("NORD"), Likeness.OTHER),
        (AccountName("TEST", "a"), AccountName(Guess("TEST"), "b", "test.com"), Likeness.OTHER),
        (label("TEST"), AccountName(Guess("TEST"), "svc", "test.com"), Likeness.UNKNOWN),
        (label("TEST"), AccountName(Guess("NORD"), "svc", "nord.example"), Likeness.UNKNOWN),
        (label("TEST"), AccountName("NORD", "svc", "nord.example"), Likeness.OTHER),
        (AccountName("A", "svc", "test.com"), AccountName(Guess("B"), "SVC", "test.com"), Likeness.SAME),
        (AccountName("A", "svc", "test.com"), AccountName("A", "svc", "nord.example"), Likeness.OTHER),
    ],
)
def test_from_a_guess_nothing_is_concluded(one: AccountName, other: AccountName, likeness: Likeness) -> None:
    assert one.likeness(other) is other.likeness(one) is likeness
    assert (one == other) == (likeness is Likeness.SAME)


def of_nord(*entries: str, pool: str = r"NORD\svc", facts: Mapping[str, object] = NORD, **given: object) -> World:
    """A server of test.com, whose NetBIOS name is NORD, though nothing but the pool says so."""
    built = server(site("*:80:contoso.test.com"), pool=pool, creds=True, facts=facts)
    texts = ad(computer(), user("svc", CONTOSO), *entries)
    return world(built, ad=texts, dns="contoso A 10.0.5.2", **given)  # type: ignore[arg-type]


def test_an_account_of_a_domain_that_nobody_knows_is_at_most_uncertain() -> None:
    found = of_nord()
    assert found.outcome(CONTOSO) == "uncertain"
    assert not found.errors
    assert not found.report.plan.steps
    told = found.finding("account-not-found")
    assert told.severity == "warning"
    assert told.fix == ("Is NORD the NetBIOS name of test.com? Then give --netbios-domain NORD=test.com.",)
    assert found.report.servers[0].guessed == ("netbios_domain",)


@pytest.mark.parametrize(
    "said",
    [
        {"facts": {"netbios_domain": "NORD"}},
        {"netbios": {"test.com": "NORD"}, "facts": {"netbios_domain": "NORD"}},
        {"pool": r"test.com\svc"},
    ],
    ids=str,
)
def test_once_somebody_says_it_the_account_is_known(said: dict[str, object]) -> None:
    assert of_nord(**said).outcome(CONTOSO) == "kerberos"  # type: ignore[arg-type]


def test_a_cross_reference_says_it() -> None:
    assert of_nord(cross_reference("NORD")).outcome(CONTOSO) == "kerberos"


@pytest.mark.parametrize("of_whom", ["the account", "the domain"])
def test_a_principal_name_says_it(of_whom: str) -> None:
    domain = whole().replace("\n\n", "\nmsDS-PrincipalName: NORD\\\n\n" if of_whom == "the domain" else "\n\n")
    said = {"msDS_PrincipalName": r"NORD\svc"} if of_whom == "the account" else {}
    built = server(site("*:80:contoso.test.com"), pool=r"NORD\svc", creds=True, facts=NORD)
    found = world(built, ad=domain + computer() + user("svc", CONTOSO, **said), dns="contoso A 10.0.5.2")
    assert found.outcome(CONTOSO) == "kerberos"
    assert found.report.servers[0].guessed == ()


def test_a_domain_that_is_called_otherwise_is_another_one() -> None:
    """crossRef says that test.com is TEST: the account of NORD is none of its accounts, whatever it is called."""
    found = of_nord(cross_reference("TEST"))
    assert found.outcome(CONTOSO) == "modified"


def test_the_guessed_label_itself_counts_as_one_of_the_domain() -> None:
    found = of_nord(pool=r"TEST\svc")
    assert found.outcome(CONTOSO) == "kerberos"


def test_setspn_text_of_the_same_name_in_a_domain_nobody_knows() -> None:
    built = server(site("*:80:contoso.test.com"), pool=r"NORD\svc", creds=True, facts=NORD)
    found = world(built, ad=setspn_l({"CN=svc,OU=x,DC=test,DC=com": [CONTOSO]}))
    assert found.outcome(CONTOSO) == "uncertain"
    assert not found.report.plan.steps


def test_another_name_is_another_account_whatever_its_domain() -> None:
    found = world(
        server(site("*:80:contoso.test.com"), pool=r"NORD\svc", creds=True, facts=NORD),
        ad=ad(computer(), user("stranger", CONTOSO)),
        dns="contoso A 10.0.5.2",
    )
    assert found.outcome(CONTOSO) == "modified"


# -- computers -----------------------------------------------------------------------------------------------------

NOBODY: dict[str, object] = {"name": None, "dns_name": None, "domain": None, "netbios_domain": None}


@pytest.mark.parametrize("facts", [NOBODY, {**NOBODY, "name": Guess("IIS01")}, {**NOBODY, "name": "IIS01"}], ids=str)
def test_a_computer_that_cannot_be_named_gives_no_verdict_and_no_step(facts: dict[str, object]) -> None:
    found = world(
        server(site("*:80:contoso.test.com"), facts=facts), ad=ad(computer("IIS01", CONTOSO)), dns="contoso A 10.0.5.2"
    )
    required = found.requirement(CONTOSO)
    assert (required.account, required.outcome) == (None, "uncertain")
    assert not found.errors
    assert not found.report.plan.steps


def test_what_the_pool_decrypts_is_judged_as_ever() -> None:
    facts = {**NOBODY, "domain": "test.com", "netbios_domain": "TEST"}
    found = world(
        server(site("*:80:contoso.test.com"), pool=r"TEST\svc", creds=True, facts=facts),
        ad=ad(user("svc"), user("other", CONTOSO)),
        dns="contoso A 10.0.5.2",
    )
    assert found.outcome(CONTOSO) == "modified"


def test_two_computers_without_a_name_are_not_one() -> None:
    servers = [server(site("*:80:contoso.test.com"), name=name, facts=NOBODY) for name in ("a", "b")]
    found = world(*servers, ad=ad(computer()))
    assert [len(required.applications) for required in found.requirements(CONTOSO)] == [1, 1]


def test_the_directory_says_the_full_name_that_nobody_collected() -> None:
    """A disjoint name space: the computer of test.com is called web1.dmz.example (rule R2.6)."""
    facts = {"name": "WEB1", "dns_name": Guess("web1.test.com")}
    entries = computer("WEB1", dNSHostName="web1.dmz.example", msDS_AdditionalDnsHostName="intra.dmz.example")
    found = world(server(site("*:80:"), name="WEB1", facts=facts), ad=ad(entries))
    assert {"http/web1", "http/web1.dmz.example"} <= set(found.needs)
    assert "http/web1.test.com" not in found.needs
    assert found.report.servers[0].dns_name == "web1.dmz.example"


def test_nothing_is_required_for_a_name_made_up() -> None:
    found = world(server(site("*:80:"), facts={"dns_name": Guess("iis01.test.com")}))
    assert set(found.needs) == {"http/iis01"}
    assert found.report.servers[0].guessed == ("dns_name",)


@pytest.mark.parametrize(
    ("read", "home", "placed"),
    [
        ({"nord.example": "NORD"}, "", Placed("nord.example")),
        ({"nord.example": "NORD", "nord.test": "NORD"}, "", Placed("")),
        ({"nord.example": "NORD", "nord.test": "NORD"}, "nord.test", Placed("nord.test")),
        ({"nord.example": "NORD", "nord.test": "NORD"}, "other.test", Placed("")),
        ({}, "", Placed("nord.example", "NORD is nord.example")),
        ({"nord.example": "EAST"}, "", Placed("")),
    ],
)
def test_a_label_is_placed_where_one_domain_has_it(read: dict[str, str], home: str, placed: Placed) -> None:
    assert Domains(read=read, known=frozenset({"nord.example"})).placed("NORD", home) == placed
