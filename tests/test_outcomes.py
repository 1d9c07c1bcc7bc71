"""What happens today: the account that decrypts against whom the KDC would pick (rules, sections 0, 1.10 and 4)."""

from __future__ import annotations

import pytest
from worlds import ad, computer, cross_reference, directory_service, entry, server, setspn_l, site, user, whole, world

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
        ([computer(host=False), user("else", "HTTP/else.test.com")], True, "ntlm-fallback"),
        ([computer(host=False)], True, "unchecked"),  # no entry carries the attribute: it was not exported
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


@pytest.mark.parametrize(
    ("identity", "facts", "account"),
    [
        (r"TEST\svc", {}, r"TEST\svc"),
        (r"test.com\svc", {}, r"TEST\svc"),
        ("svc@test.com", {}, r"TEST\svc"),
        (r".\web", {}, r"IIS01\web"),
        (r"iis01\web", {}, r"IIS01\web"),
        (r".\web", {"name": None, "dns_name": None}, r".\web"),
        ("svc", {}, None),
        ("NetworkService", {}, None),
        (r"NT AUTHORITY\LOCAL SERVICE", {}, None),
    ],
)
def test_the_account_that_a_pool_is_configured_with(
    identity: str, facts: dict[str, object], account: str | None
) -> None:
    (found,) = world(server(pool=identity, facts=facts)).report.applications
    assert (None if found.pool_account is None else str(found.pool_account)) == account


def test_a_pool_is_configured_with_the_account_that_a_dmsa_took_over() -> None:
    link = "CN=dmsaWeb,OU=x,DC=test,DC=com"
    old = user("svc", msDS_SupersededServiceAccountState=2, msDS_SupersededManagedServiceAccountLink=link)
    built = server(pool=r"TEST\svc", creds=True)
    (found,) = world(built, ad=ad(computer(), old, entry("dmsaWeb$", kind="dMSA"))).report.applications
    assert (str(found.pool_account), str(found.decrypts_as)) == (r"TEST\svc", r"TEST\dmsaWeb$")


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


# -- what an outcome takes for granted -----------------------------------------------------------------------------

NO_ALIAS = ("no name is an alias",)


@pytest.mark.parametrize(
    ("binding", "entries", "dns", "clients", "outcome", "provided"),
    [
        ("*:80:contoso.test.com", [user("contososvc", FULL)], None, ["edge"], "kerberos", NO_ALIAS),
        ("*:80:contoso.test.com", [user("contososvc")], None, ["edge"], "ntlm-fallback", NO_ALIAS),
        ("*:80:contoso.test.com", [user("contososvc", FULL)], "contoso A 10.0.5.2", ["edge"], "kerberos", ()),
        ("*:80:contoso.test.com", [user("contososvc", FULL)], None, ["curl-sspi"], "kerberos", ()),
        ("*:80:contoso", [user("contososvc", "HTTP/contoso")], None, ["edge"], "kerberos", ()),
        ("*:80:contoso.test.com", [], None, ["edge"], "impossible", ()),
        ("*:80:contoso.test.com", None, None, ["edge"], "unchecked", ()),
    ],
)
def test_where_dns_was_not_asked_an_outcome_stands_on_the_name_being_no_alias(
    binding: str,
    entries: list[str] | None,
    dns: str | None,
    clients: list[str],
    outcome: str,
    provided: tuple[str, ...],
) -> None:
    """Only of clients that follow aliases, of a full name, and only what is said of it at all."""
    built = server(site(binding), pool=SERVICE, creds=True)
    text = None if entries is None else ad(computer(), *entries)
    found = world(built, ad=text, dns=dns, clients=clients).requirement(f"HTTP/{binding.rpartition(':')[2]}")
    assert (found.outcome, found.provided) == (outcome, provided)


def test_an_account_that_was_migrated_without_a_word_where_to_is_uncertain() -> None:
    built = server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True)
    moved = user("contososvc", FULL, msDS_SupersededServiceAccountState=2)
    assert world(built, ad=ad(computer(), moved)).outcome(FULL) == "uncertain"
    begun = user("contososvc", FULL, msDS_SupersededServiceAccountState=1)
    assert world(built, ad=ad(computer(), begun)).outcome(FULL) == "kerberos"


def test_what_is_uncertain_takes_nothing_for_granted() -> None:
    built = server(site("*:80:contoso.test.com"), pool="contososvc@test.com", creds=True)
    found = world(built).requirement(FULL)
    assert (found.outcome, found.provided) == ("uncertain", ())


# -- one requirement for each SPN and account ----------------------------------------------------------------------


def test_what_no_account_can_serve_is_one_requirement_and_unknown_computers_are_two() -> None:
    """A local user has no key in the domain, on whatever server; who two unnamed computers are, nobody knows."""
    local = [server(site("*:80:contoso.test.com"), name=name, pool=r".\web", creds=True) for name in ("IIS01", "IIS02")]
    (found,) = world(*local).requirements(FULL)
    assert (found.account, found.outcome) == (None, "impossible")
    assert [place.server for place in found.applications] == ["IIS01", "IIS02"]
    assert world(*local).report.accounts == (), "no account is in need"
    unnamed = {"name": None, "dns_name": None}
    unknown = [server(site("*:80:contoso.test.com"), name=name, facts=unnamed) for name in ("IIS01", "IIS02")]
    both = world(*unknown).requirements(FULL)
    assert [(one.account, one.outcome) for one in both] == [(None, "uncertain")] * 2
    assert [[place.server for place in one.applications] for one in both] == [["IIS01"], ["IIS02"]]
