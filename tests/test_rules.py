"""The rule table is the article's, complete, the same as the two-line principle, and it decides."""

from itertools import product
from typing import Any, get_args

import pytest
from worlds import App, World, ad, computer, config, entry, server, site, user, windows, world

from agent.iis.snapshot import Snapshot
from agent.spn import rules
from agent.spn.rules import TABLE, Coverage, Identity, KeyOwner, NameKind, Rule, by_combination, row
from tests.pages import in_markdown, in_text

MODES = {
    "kernel": (True, False),
    "kernel, pool credentials": (True, True),
    "user": (False, False),
    "any": (False, True),
}
IDENTITIES: tuple[Identity, ...] = get_args(Identity)
NAMES: tuple[NameKind, ...] = get_args(NameKind)

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


def principle(kernel: bool, credentials: bool, identity: Identity, name: NameKind) -> tuple[KeyOwner, Coverage]:
    """The rule base in two lines (rules R1.1 to R1.4, R4.2), said without the table."""
    decrypts: KeyOwner = "computer" if (kernel and not credentials) or identity == "machine account" else "pool"
    return decrypts, "covered" if decrypts == "computer" and name == "own name" else "explicit"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("mode", MODES)
def test_every_combination_has_one_row_and_the_principle_says_the_same(
    mode: str, identity: Identity, name: NameKind
) -> None:
    kernel, credentials = MODES[mode]
    (found,) = matching(kernel, credentials, identity, name)
    assert row(kernel, credentials, identity, name) is found
    assert (found.decrypts, found.spn) == principle(kernel, credentials, identity, name)


def test_no_row_is_out_of_reach() -> None:
    reached = {row(*MODES[mode], identity, name) for mode, identity, name in product(MODES, IDENTITIES, NAMES)}
    assert reached == set(TABLE)


@pytest.mark.parametrize("name", NAMES)
def test_an_identity_of_neither_kind_has_a_row_only_where_the_computer_decrypts_in_any_case(name: NameKind) -> None:
    found = {mode: row(*MODES[mode], None, name) for mode in MODES}
    assert found.pop("kernel") == row(True, False, "machine account", name) == row(True, False, "service account", name)
    assert set(found.values()) == {None}


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


@pytest.mark.parametrize(("mode", "expected"), [("kernel", "scenario-2"), ("kernel, pool credentials", None)])
def test_a_standalone_dmsa_is_classified_before_the_table_only_where_it_would_decrypt(
    mode: str, expected: str | None
) -> None:
    kernel, credentials = MODES[mode]
    known = ad(computer(), entry("dmsaWeb$", kind="dMSA"))
    found = world(server(site(CUSTOM), pool=r"TEST\dmsaWeb$", kernel=kernel, creds=credentials), ad=known)
    assert found.application().rule == expected


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


OVER_TCP = config([site(CUSTOM)], {"Pool": ""}, App(enabled=True, providers=["Negotiate"])).replace(
    '<application path="/"', '<application path="/" enabledProtocols="net.tcp"'
)
REFUSED = config([site(CUSTOM)], {"Pool": ""}, App(enabled=True), body=windows("", enabled="perhaps"))


@pytest.mark.parametrize(
    ("built", "why", "finding", "told"),
    [
        (server(site(CUSTOM), enabled=False), "disabled", None, "Windows authentication is off"),
        (server(site(CUSTOM), offered=[]), "no-provider", "windows-auth-not-installed", "providers: none"),
        (server(site(CUSTOM), offered=["NTLM"]), "no-negotiate", "negotiate-missing", "providers: NTLM"),
        (
            server(site(CUSTOM), offered=["Negotiate:PKU2U"]),
            "pku2u-only",
            "negotiate-missing",
            "leads to Kerberos: Negotiate:PKU2U",
        ),
        (server(text=OVER_TCP), "not-http", None, "it does not serve http or https"),
        (server(text=REFUSED), "refused", "config-invalid", "IIS refuses the configuration"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_report_says_why_clients_are_never_asked_and_finding_and_words_agree(
    built: Snapshot, why: str, finding: str | None, told: str
) -> None:
    found = world(built)
    application = found.application()
    assert (application.negotiates, application.why_not, application.rule) == (False, why, None)
    providers = {"windows-auth-not-installed", "negotiate-missing", "config-invalid"}
    assert found.ids & providers == ({finding} if finding else set())
    for text in (in_text(found.report, 200, color=False), in_markdown(found.report)):
        assert told in text
        assert ("does not serve http" in text) == (why == "not-http")


@pytest.mark.parametrize(
    "offered", [["Negotiate"], ["NTLM", "Negotiate"], ["negotiate:kerberos"], ["Negotiate:PKU2U", "Negotiate"]]
)
def test_one_provider_that_leads_to_kerberos_is_enough(offered: list[str]) -> None:
    application = world(server(site(CUSTOM), offered=offered)).application()
    assert (application.negotiates, application.why_not) == (True, None)


@pytest.mark.parametrize("identity", ["LocalSystem", "NetworkService", "ApplicationPoolIdentity"])
@pytest.mark.parametrize("mode", MODES)
def test_decryption_says_computer_for_built_in_identities_in_every_mode(mode: str, identity: str) -> None:
    kernel, credentials = MODES[mode]
    application = world(server(site(CUSTOM), pool=identity, kernel=kernel, creds=credentials)).application()
    assert application.decryption == "computer"
    assert str(application.decrypts_as) == r"TEST\IIS01$"


# -- every cell decides --------------------------------------------------------------------------------------------

SHOWN: dict[str, tuple[bool, bool, str]] = {
    "scenario-1": (True, False, SERVICE),
    "scenario-2": (True, False, SERVICE),
    "scenario-3": (True, True, SERVICE),
    "scenario-4": (True, True, SERVICE),
    "scenario-5": (False, True, SERVICE),
    "scenario-6": (False, False, SERVICE),
    "scenario-7": (False, True, "NetworkService"),
    "scenario-8": (False, False, "NetworkService"),
    "extra-1": (True, True, "NetworkService"),
    "extra-2": (True, True, "NetworkService"),
}
"""A server to which one row applies: kernel mode, useAppPoolCredentials, the pool's identity."""

OTHER: dict[object, object] = {
    True: False,
    False: True,
    "machine account": "service account",
    "service account": "machine account",
    "own name": "custom name",
    "custom name": "own name",
    "computer": "pool",
    "pool": "computer",
    "covered": "explicit",
    "explicit": "covered",
}
KEYS: dict[str, tuple[object, ...]] = {
    "kernel_mode": (True, False),
    "pool_credentials": (True, False, None),
    "identity": (*IDENTITIES, None),
    "name": NAMES,
}


def spn_of(row: Rule) -> str:
    return "HTTP/iis01.test.com" if row.name == "own name" else "HTTP/contoso.test.com"


def shown(row: Rule) -> World:
    """The row's server, where Kerberos works: what needs an SPN has it on the account that decrypts."""
    kernel, credentials, pool = SHOWN[row.id]
    spns = () if row.spn == "covered" else (spn_of(row),)
    holders = (computer(), user("contososvc", *spns)) if row.decrypts == "pool" else (computer("IIS01", *spns), user())
    binding = OWN if row.name == "own name" else CUSTOM
    return world(server(site(binding), pool=pool, kernel=kernel, creds=credentials), ad=ad(*holders))


def use(table: list[Rule], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_ROWS", by_combination(table))
    monkeypatch.setattr(rules, "_NAMED", {row.id: row for row in table})


def changed(row: Rule, **cells: Any) -> list[Rule]:
    return [each._replace(**cells) if each is row else each for each in TABLE]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_the_server_of_a_row_works_by_that_row(row: Rule) -> None:
    found = shown(row)
    account = r"TEST\IIS01$" if row.decrypts == "computer" else SERVICE
    requirement = found.requirement(spn_of(row))
    assert (found.application().decryption, str(found.application().decrypts_as)) == (row.decrypts, account)
    assert (requirement.rule, str(requirement.account), requirement.need) == (row.id, account, row.spn)
    assert requirement.outcome == "kerberos"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_whose_key_it_is_stands_in_the_table(row: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    use(changed(row, decrypts=OTHER[row.decrypts]), monkeypatch)
    found = shown(row)
    # a pool of a built-in identity has no account of its own: nobody is left to decrypt
    account = r"TEST\IIS01$" if row.decrypts == "pool" else SERVICE if SHOWN[row.id][2] == SERVICE else "None"
    (requirement,) = found.requirements(spn_of(row))
    assert (found.application().decryption, str(found.application().decrypts_as)) == (OTHER[row.decrypts], account)
    assert str(requirement.account) == account
    assert requirement.outcome == ("uncertain" if account == "None" else "modified")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_whether_the_name_is_covered_stands_in_the_table(row: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    use(changed(row, spn=OTHER[row.spn]), monkeypatch)
    found = shown(row)
    requirement = found.requirement(spn_of(row))
    assert requirement.need == OTHER[row.spn]
    assert (str(requirement.covered_by) == spn_of(row).replace("HTTP", "HOST")) == (row.spn == "explicit")
    told = "is covered by HOST/" if row.spn == "explicit" else "needs an HTTP/ SPN"
    assert told in in_text(found.report, 200, color=False)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_the_id_and_the_comment_are_told(row: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    use(changed(row, id="scenario-0", comment="for the test"), monkeypatch)
    found = shown(row)
    requirement = found.requirement(spn_of(row))
    assert found.application().rule == requirement.rule == requirement.applications[0].rule == "scenario-0"
    told = in_text(found.report, 200, color=False)
    assert "scenario-0: " in told
    assert "(for the test)" in told


@pytest.mark.parametrize(("column", "value"), [(column, value) for column in KEYS for value in KEYS[column]])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_a_table_in_which_one_row_is_for_something_else_is_refused(row: Rule, column: str, value: object) -> None:
    if value != getattr(row, column):
        with pytest.raises(ValueError, match="rows of the table are for one combination"):
            by_combination(changed(row, **{column: value}))


def exchanges() -> list[Any]:
    """Changes of key cells that leave one row for each combination: of two rows, or of the whole column."""
    found = []
    for column in KEYS:
        tables = [[row._replace(**{column: OTHER.get(getattr(row, column))}) for row in TABLE]]
        for one, other in product(TABLE, TABLE):
            cells = {one.id: getattr(other, column), other.id: getattr(one, column)}
            tables.append([row._replace(**{column: cells.get(row.id, getattr(row, column))}) for row in TABLE])
        for table in tables:
            moved = [row for row, new in zip(TABLE, table, strict=True) if row != new]
            try:
                by_combination(table)
            except ValueError:
                continue
            found += [pytest.param(table, row, id=f"{column} of {row.id}") for row in moved]
    return found


@pytest.mark.parametrize(("table", "row"), exchanges())
def test_which_row_applies_stands_in_the_table(table: list[Rule], row: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    use(table, monkeypatch)
    assert shown(row).application().rule not in {row.id, None}
    assert {requirement.rule for requirement in shown(row).report.requirements} != {row.id}


def test_every_cell_of_the_key_columns_is_exchanged() -> None:
    asked = {str(case.id) for case in exchanges()}
    assert {f"{column} of {row.id}" for column in KEYS for row in TABLE if getattr(row, column) is not None} <= asked
