"""The rule table is the article's, complete, and the same as the two-line principle."""

from itertools import product

import pytest
from worlds import ad, computer, server, site, user, world

from agent.spn.rules import TABLE, Coverage, Identity, KeyOwner, NameKind, Rule, coverage, key_owner, pool_decides, rule

MODES = {
    "kernel": (True, False),
    "kernel, pool credentials": (True, True),
    "user": (False, False),
    "any": (False, True),
}
IDENTITIES: tuple[Identity, ...] = ("machine account", "service account")
NAMES: tuple[NameKind, ...] = ("own name", "custom name")

# krb-ap-err-modified.txt, "SPN and IIS configuration reference": kernel mode, useAppPoolCredentials, application pool
# identity, URL used to access the web site, SPN requirement. None: "No Matter".
ARTICLE: tuple[tuple[str, bool, bool | None, Identity | None, NameKind, KeyOwner, Coverage], ...] = (
    ("scenario-1", True, False, None, "own name", "computer", "covered"),
    ("scenario-2", True, False, None, "custom name", "computer", "explicit"),
    ("scenario-3", True, True, "service account", "custom name", "pool", "explicit"),
    ("scenario-4", True, True, "service account", "own name", "pool", "explicit"),
    ("scenario-5", False, None, "service account", "custom name", "pool", "explicit"),
    ("scenario-6", False, None, "service account", "own name", "pool", "explicit"),
    ("scenario-7", False, None, "machine account", "custom name", "computer", "explicit"),
    ("scenario-8", False, None, "machine account", "own name", "computer", "covered"),
)
LEFT_OUT = (
    ("extra-1", True, True, "machine account", "own name", "computer", "covered"),
    ("extra-2", True, True, "machine account", "custom name", "computer", "explicit"),
)
COLUMNS = ("id", "kernel_mode", "pool_credentials", "identity", "name", "decrypts", "spn", "comment")


def matching(kernel: bool, credentials: bool, identity: Identity, name: NameKind) -> list[Rule]:
    """Every row that admits a combination, looked up here and not by the program."""
    return [
        row
        for row in TABLE
        if row.kernel_mode == kernel
        and row.pool_credentials in (None, credentials)
        and row.identity in (None, identity)
        and row.name == name
    ]


def test_the_table_is_the_articles_in_its_order_and_columns_and_then_what_it_leaves_out() -> None:
    assert Rule._fields == COLUMNS
    assert tuple(row[:-1] for row in TABLE) == ARTICLE + LEFT_OUT


def test_what_the_article_leaves_out_is_marked() -> None:
    assert all("not in the article" in row.comment for row in TABLE if row.id.startswith("extra"))
    assert not any("not in the article" in row.comment for row in TABLE if row.id.startswith("scenario"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("mode", MODES)
def test_every_combination_has_one_row_and_the_principle_says_the_same(
    mode: str, identity: Identity, name: NameKind
) -> None:
    kernel, credentials = MODES[mode]
    (row,) = matching(kernel, credentials, identity, name)
    assert rule(kernel, credentials, identity, name) is row
    assert row.decrypts == key_owner(kernel, credentials, identity)
    assert row.spn == coverage(row.decrypts, name)


def test_no_row_is_out_of_reach() -> None:
    reached = {rule(*MODES[mode], identity, name).id for mode, identity, name in product(MODES, IDENTITIES, NAMES)}
    assert reached == {row.id for row in TABLE}


def test_the_pool_decides_unless_the_kernel_decrypts_with_the_computers_key() -> None:
    assert [mode for mode in MODES if not pool_decides(*MODES[mode])] == ["kernel"]


OWN, CUSTOM = "*:80:", "*:80:contoso.test.com"
SERVICE = r"TEST\contososvc"


@pytest.mark.parametrize(
    ("kernel", "credentials", "pool", "binding", "expected"),
    [
        (True, False, "NetworkService", OWN, "scenario-1"),
        (True, False, SERVICE, OWN, "scenario-1"),
        (True, False, SERVICE, CUSTOM, "scenario-2"),
        (True, False, "LocalService", CUSTOM, "scenario-2"),
        (True, False, r".\localweb", CUSTOM, "scenario-2"),
        (True, True, SERVICE, CUSTOM, "scenario-3"),
        (True, True, r"TEST\gmsaWeb$", CUSTOM, "scenario-3"),
        (True, True, SERVICE, OWN, "scenario-4"),
        (False, False, SERVICE, CUSTOM, "scenario-5"),
        (False, True, SERVICE, CUSTOM, "scenario-5"),
        (False, True, SERVICE, OWN, "scenario-6"),
        (False, False, "ApplicationPoolIdentity", CUSTOM, "scenario-7"),
        (False, False, "LocalSystem", OWN, "scenario-8"),
        (True, True, "NetworkService", OWN, "extra-1"),
        (True, True, "ApplicationPoolIdentity", CUSTOM, "extra-2"),
        # classified before the table: rule null
        (True, True, r".\localweb", CUSTOM, None),
        (False, False, r"IIS01\localweb", OWN, None),
        (True, True, "LocalService", CUSTOM, None),
        (False, False, "LocalService", OWN, None),
        (False, False, "contososvc", CUSTOM, None),
    ],
)
def test_an_application_and_its_requirements_name_their_row(
    kernel: bool, credentials: bool, pool: str, binding: str, expected: str | None
) -> None:
    found = world(server(site(binding), pool=pool, kernel=kernel, creds=credentials))
    assert found.application().rule == expected
    assert {requirement.rule for requirement in found.report.requirements} == {expected}


@pytest.mark.parametrize("membership", ["workgroup", "entra"])
def test_outside_a_domain_no_row_applies(membership: str) -> None:
    found = world(server(site(CUSTOM), pool=SERVICE, creds=True, facts={"membership": membership, "domain": None}))
    application = found.application()
    assert (application.decryption, application.decrypts_as, application.rule) == ("impossible", None, None)
    assert "not-domain-joined" in found.ids
    assert {requirement.outcome for requirement in found.report.requirements} == {"impossible"}


def test_what_does_not_negotiate_decrypts_nothing_and_wants_nothing() -> None:
    found = world(server(site(CUSTOM), pool=SERVICE, creds=True, offered=["NTLM"]), ad=ad(computer(), user()))
    application = found.application()
    assert (application.negotiates, application.decryption, application.rule) == (False, "none", None)
    assert found.report.requirements == ()


@pytest.mark.parametrize("identity", ["LocalSystem", "NetworkService", "ApplicationPoolIdentity"])
@pytest.mark.parametrize("mode", MODES)
def test_decryption_says_computer_for_built_in_identities_in_every_mode(mode: str, identity: str) -> None:
    kernel, credentials = MODES[mode]
    application = world(server(site(CUSTOM), pool=identity, kernel=kernel, creds=credentials)).application()
    assert application.decryption == "computer"
    assert str(application.decrypts_as) == r"TEST\IIS01$"
