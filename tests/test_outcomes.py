"""What happens today: the account that decrypts against whom the KDC would pick (rules, sections 0, 1.10 and 4)."""

from __future__ import annotations

import pytest
from worlds import ad, computer, cross_reference, directory_service, server, setspn_l, site, user, whole, world

SERVICE = r"TEST\contososvc"
FULL = "HTTP/contoso.test.com"
DISABLED, ENABLED = 0x202, 0x200

# -- the state of the account that decrypts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "covers", "outcome"),
    [
        ([user("contososvc", FULL)], True, "kerberos"),
        ([user("contososvc", FULL)], False, "kerberos"),
        ([user("contososvc", FULL, userAccountControl=ENABLED)], True, "kerberos"),
        # the pool that runs as it answers 503
        ([user("contososvc", FULL, userAccountControl=DISABLED)], True, "impossible"),
        ([user("contososvc", userAccountControl=DISABLED)], True, "impossible"),
        ([user("othersvc", FULL)], True, "impossible"),
        ([], True, "impossible"),
        # of a part of the directory no absence is known
        ([user("othersvc", FULL)], False, "modified"),
        ([user("othersvc")], False, "uncertain"),
        ([user("contososvc")], False, "unchecked"),
    ],
)
def test_where_the_pool_decrypts_its_account_must_be_there_and_enabled(
    entries: list[str], covers: bool, outcome: str
) -> None:
    built = server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True)
    assert world(built, ad=ad(computer(), *entries, covers=covers)).outcome(FULL) == outcome


@pytest.mark.parametrize(
    ("entries", "covers", "outcome"),
    [
        ([computer()], True, "kerberos"),
        ([computer(userAccountControl=0x1002)], True, "kerberos"),
        ([computer(host=False)], True, "ntlm-fallback"),
        # more likely than a computer without an account is one that is called otherwise
        ([computer("IIS09")], True, "uncertain"),
        ([user("othersvc", "HTTP/iis01.test.com")], True, "uncertain"),
        ([computer("IIS09")], False, "uncertain"),
        ([user("othersvc", "HTTP/iis01.test.com")], False, "modified"),
    ],
)
def test_where_the_computer_decrypts_nothing_ends_with_its_account(
    entries: list[str], covers: bool, outcome: str
) -> None:
    assert world(server(), ad=ad(*entries, covers=covers)).outcome("HTTP/iis01.test.com") == outcome


def test_a_text_of_setspn_tells_of_no_account_that_it_is_not_there() -> None:
    built = server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True)
    text = setspn_l({"CN=othersvc,CN=Users,DC=test,DC=com": ["HTTP/portal.test.com"]})
    assert world(built, ad=text).outcome(FULL) == "unchecked"


# -- an SPN and the HOST/ SPN behind it ----------------------------------------------------------------------------

EU = "eu.test.com"


@pytest.mark.parametrize(
    ("of_host", "mapped", "outcome"),
    [
        (None, "host=http", "kerberos"),
        ("test.com", "host=http", "kerberos"),
        (EU, "host=http", "uncertain"),
        (EU, "host=cifs", "kerberos"),
    ],
)
def test_which_of_two_wins_across_domains_is_not_known(of_host: str | None, mapped: str, outcome: str) -> None:
    """R4.7: whether the explicit one wins forest-wide, or only in the domain that is looked through first."""
    found = world(
        server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True),
        ad=[
            whole() + cross_reference("TEST") + directory_service(sPNMappings=mapped) + computer(),
            user("contososvc", FULL),
            whole(EU) + cross_reference("EU", EU).replace("Configuration,DC=eu", "Configuration"),
            computer("X", "HOST/contoso.test.com", host=False, domain=of_host) if of_host else "",
        ],
    )
    assert found.outcome(FULL) == outcome


@pytest.mark.parametrize("domain", ["test.com", EU])
def test_one_host_spn_alone_is_split_from_nothing(domain: str) -> None:
    found = world(
        server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True),
        ad=[
            whole() + computer() + user("contososvc") + whole(EU),
            computer("X", "HOST/contoso.test.com", host=False, domain=domain),
        ],
    )
    assert found.outcome(FULL) == "modified"
