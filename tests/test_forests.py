"""Several forests in one run: a KDC answers for its own, and the same name in two of them is no duplicate (R15.3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worlds import World, computer, cross_reference, file_time, rodc_group, server, site, user, whole, world

from agent.spn.forests import forests_of

PORTAL = "HTTP/portal.test.com"


@pytest.mark.parametrize(
    ("roots", "groups"),
    [
        ({"test.com": None}, [["test.com"]]),
        ({"test.com": None, "eu.test.com": None}, [["test.com", "eu.test.com"]]),
        ({"eu.test.com": None, "us.test.com": None}, [["eu.test.com", "us.test.com"]]),
        ({"test.com": None, "corp.com": None}, [["test.com"], ["corp.com"]]),
        ({"test.com": "test.com", "corp.com": "test.com"}, [["test.com", "corp.com"]]),
        ({"lab.test.com": "lab.test.com", "test.com": "test.com"}, [["lab.test.com"], ["test.com"]]),
    ],
    ids=str,
)
def test_domains_are_of_one_forest_where_that_is_said_or_their_names_share_a_suffix(
    roots: dict[str, str | None], groups: list[list[str]]
) -> None:
    found = forests_of(roots)
    assert {frozenset(d for d in found if found[d] == key) for key in found.values()} == set(map(frozenset, groups))


def two_forests(*more: str, other: str = PORTAL) -> World:
    """IIS01 of test.com, whose account holds the name; an account of corp.example holds `other`."""
    return world(
        server(site("*:80:portal.test.com"), pool=r"TEST\svc", creds=True),
        ad=[
            whole() + computer() + user("svc", PORTAL, "HTTP/portal") + "".join(more),
            whole("corp.example") + user("elsewhere", other, domain="corp.example"),
        ],
        dns="portal A 10.0.5.2",
    )


def test_a_holder_in_another_forest_is_a_note() -> None:
    found = two_forests()
    assert found.outcome(PORTAL) == "kerberos"
    assert not found.errors
    assert not found.report.plan.steps
    (told,) = found.findings("spn-duplicate-elsewhere", PORTAL)
    assert (told.severity, [str(holder) for holder in told.holders]) == ("info", [r"CORP\elsewhere"])


@pytest.mark.parametrize(("of_forest", "told"), [("DC=test,DC=com", True), ("DC=corp,DC=example", False)])
def test_whether_a_password_made_aes_keys_depends_on_its_own_forest(of_forest: str, told: bool) -> None:
    """The group with RID 521 tells since when a domain makes them; that of a strange forest tells nothing."""
    group = rodc_group("20120101000000.0Z").replace("DC=test,DC=com", of_forest)
    before = file_time(datetime(2011, 1, 1, tzinfo=UTC))
    old = user("svc", PORTAL, "HTTP/portal", pwdLastSet=before, msDS_SupportedEncryptionTypes=0x1C)
    found = world(
        server(site("*:80:portal.test.com"), pool=r"TEST\svc", creds=True),
        ad=[whole() + computer() + old, whole("corp.example") + group],
        dns="portal A 10.0.5.2",
    )
    assert ("etype-risk" in found.ids) is told


def test_of_a_short_name_nothing_is_said() -> None:
    assert not two_forests(other="HTTP/portal").findings("spn-duplicate-elsewhere")


def test_the_same_two_domains_are_one_forest_where_the_directory_says_so() -> None:
    one = cross_reference("TEST") + cross_reference("CORP", "corp.example").replace(
        "CN=Configuration,DC=corp,DC=example", "CN=Configuration,DC=test,DC=com"
    )
    assert two_forests(one).outcome(PORTAL) == "duplicate"


def test_each_server_is_answered_by_its_own_forest() -> None:
    facts = {"dns_name": "iis02.corp.example", "domain": "corp.example", "netbios_domain": "CORP"}
    found = world(
        server(site("*:80:portal.test.com"), pool=r"TEST\svc", creds=True),
        server(site("*:80:portal.corp.example"), name="IIS02", pool=r"CORP\svc", creds=True, facts=facts),
        ad=[
            whole() + computer() + user("svc", PORTAL),
            whole("corp.example")
            + computer("IIS02", domain="corp.example")
            + user("other", "HTTP/portal.corp.example", domain="corp.example")
            + user("svc", domain="corp.example"),
        ],
    )
    assert found.outcome(PORTAL) == "kerberos"
    assert found.outcome("HTTP/portal.corp.example") == "modified"
    assert [step.order for step in found.report.plan.steps] == list(range(1, len(found.report.plan.steps) + 1))
    assert {str(step.account) for step in found.report.plan.steps if step.account} == {r"CORP\svc", r"CORP\other"}
    assert found.ends("http://portal.corp.example/") == {"modified"}


def test_a_server_of_a_domain_that_no_forest_names_is_answered_by_nobody() -> None:
    facts = {"dns_name": "iis02.third.example", "domain": "third.example", "netbios_domain": "THIRD"}
    found = world(
        server(site("*:80:third.third.example"), name="IIS02", pool=r"THIRD\svc", creds=True, facts=facts),
        ad=[whole() + computer(), whole("corp.example") + user("x", "HTTP/third.third.example", domain="corp.example")],
    )
    assert found.outcome("HTTP/third.third.example") == "unchecked"
    assert not found.report.plan.steps
