"""What several servers, or several applications behind one name, show together: conflicts, farms, twins."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import pytest
from worlds import World, ad, app, computer, entry, farm_name, server, site, user, world

SERVICE = r"TEST\contososvc"
OTHER = r"TEST\othersvc"
POOLS = {"A": SERVICE, "B": OTHER}
HEADER = "*:80:contoso.test.com"
A = "iis01 A 10.0.5.2;contoso A 10.0.5.2"
PEOPLE = user() + user("othersvc")


def all_text(found: World) -> str:
    """Everything the report prints about what to do."""
    fixes = [line for told in found.report.findings for line in (told.message, *told.fix)]
    advice = [line for requirement in found.report.requirements for line in requirement.advice]
    steps = [step.command for step in found.report.plan.steps]
    others = [step.command for way in found.report.plan.alternatives for step in way.steps]
    return "\n".join([*fixes, *advice, *steps, *others])


# -- spn-conflict --------------------------------------------------------------------------------------------------


def two_apps(*apps: object, holders: str = PEOPLE, **settings: object) -> World:
    chosen = apps or (app("/", "A"), app("/b", "B"))
    built = server(site(HEADER, apps=chosen), pools=POOLS, creds=True, **settings)  # type: ignore[arg-type]
    return world(built, ad=ad(computer(), holders), dns=A)


def test_paths_do_not_separate() -> None:
    found = two_apps()
    conflicts = found.findings("spn-conflict")
    assert {str(told.spn) for told in conflicts} == {"HTTP/contoso.test.com"}
    told = conflicts[0]
    assert (told.severity, told.server, told.site) == ("error", "IIS01", "Site")
    assert SERVICE in told.message
    assert OTHER in told.message
    assert any(line.line is not None and line.file for line in told.evidence)


@pytest.mark.parametrize(
    "holders",
    [
        PEOPLE,
        user("contososvc", "HTTP/contoso.test.com") + user("othersvc"),
        user("othersvc", "HTTP/contoso.test.com") + user(),
        user("contososvc", "HTTP/contoso.test.com") + user("othersvc", "HTTP/contoso.test.com"),
    ],
)
def test_no_setspn_is_printed_for_a_conflict(holders: str) -> None:
    found = two_apps(holders=holders)
    assert "spn-conflict" in found.ids
    assert "setspn -F" not in all_text(found)
    assert "setspn -U" not in all_text(found)


def test_no_setspn_is_printed_for_a_conflict_nobody_looked_up() -> None:
    found = world(server(site(HEADER, apps=[app("/", "A"), app("/b", "B")]), pools=POOLS, creds=True))
    assert "spn-conflict" in found.ids
    assert " -S " not in all_text(found)


def test_the_conflict_speaks_for_the_name() -> None:
    found = two_apps(holders=user("contososvc", "HTTP/contoso.test.com") + user("othersvc"))
    assert not found.ids & {"spn-misplaced", "spn-missing", "spn-shadowed-by-host"}
    assert found.outcome("HTTP/contoso.test.com", OTHER) == "modified"


def test_ports_do_not_separate_default_clients() -> None:
    built = server(
        site("*:80:contoso.test.com", name="One", apps=[app("/", "A")]),
        site("*:8080:contoso.test.com", name="Two", apps=[app("/", "B")]),
        pools=POOLS,
        creds=True,
    )
    assert "spn-conflict" in world(built, ad=ad(computer(), PEOPLE), dns=A).ids


def test_a_name_with_its_port_is_told_by_the_conflict_of_the_name_alone() -> None:
    apps = [app("/", "A"), app("/b", "B")]
    built = server(site("*:8080:contoso.test.com", apps=apps), pools=POOLS, creds=True)
    found = world(built, ad=ad(computer(), PEOPLE), dns=A, clients=["edge", "edge-port"])
    assert {r.need for r in found.requirements("HTTP/contoso.test.com:8080")} == {"port-variant"}
    assert {str(told.spn) for told in found.findings("spn-conflict")} == {"HTTP/contoso.test.com"}
    assert found.report.plan.steps == ()


def test_host_headers_separate() -> None:
    built = server(
        site("*:80:contoso.test.com", name="One", apps=[app("/", "A")]),
        site("*:80:portal.test.com", name="Two", apps=[app("/", "B")]),
        pools=POOLS,
        creds=True,
    )
    assert "spn-conflict" not in world(built, ad=ad(computer(), PEOPLE)).ids


@pytest.mark.parametrize("quiet", [{"enabled": False}, {"providers": ["NTLM"]}])
def test_applications_that_do_not_negotiate_do_not_count(quiet: dict[str, object]) -> None:
    found = two_apps(app("/", "A"), app("/b", "B", **quiet))  # type: ignore[arg-type]
    assert "spn-conflict" not in found.ids


def test_different_pools_do_not_conflict_while_the_computer_decrypts() -> None:
    built = server(site(HEADER, apps=[app("/", "A"), app("/b", "B")]), pools=POOLS)
    found = world(built, ad=ad(computer("IIS01", "HTTP/contoso.test.com"), PEOPLE), dns=A)
    assert found.ids == frozenset()


def test_one_override_below_a_site_is_a_conflict() -> None:
    found = two_apps(app("/", "A"), app("/legacy", "A", creds=False))
    assert "spn-conflict" in found.ids


def test_a_short_first_label_shared_by_two_header_sites_is_no_conflict() -> None:
    built = server(
        site("*:80:contoso.test.com", name="One", apps=[app("/", "A")]),
        site("*:80:contoso.other.net", name="Two", apps=[app("/", "B")]),
        pools=POOLS,
        creds=True,
    )
    found = world(built, ad=ad(computer(), PEOPLE))
    assert "spn-conflict" not in found.ids
    assert {r.need for r in found.requirements("HTTP/contoso")} == {"optional"}


# -- farms ---------------------------------------------------------------------------------------------------------

PORTAL = "*:80:portal.test.com"
NODES = "iis01 A 10.0.5.2;iis02 A 10.0.5.3"
FARM = [farm_name("portal.test.com", "IIS01", "IIS02")]


def nodes(
    first: dict[str, object], second: dict[str, object], binding: str = PORTAL, **both: object
) -> Sequence[object]:
    return [
        server(site(binding), name="IIS01", **{**both, **first}),  # type: ignore[arg-type]
        server(site(binding), name="IIS02", **{**both, **second}),  # type: ignore[arg-type]
    ]


def forest(*more: str) -> str:
    return ad(computer("IIS01"), computer("IIS02"), *more)


COMPUTERS: tuple[dict[str, object], dict[str, object]] = ({}, {})
POOLED: dict[str, object] = {"pool": SERVICE, "creds": True}


@pytest.mark.parametrize(
    "how", [{"farm": FARM}, {"dns": f"{NODES};portal A 10.0.5.2;portal A 10.0.5.3"}, {"shared": True}]
)
def test_each_node_decrypting_as_itself_is_an_error(how: dict[str, object]) -> None:
    shared = {"redirect": r"\\srv\share\iis"} if how.pop("shared", False) else {}
    found = world(*nodes(*COMPUTERS, **shared), ad=forest(PEOPLE), **how)  # type: ignore[arg-type]
    told = found.finding("farm-machine-identity", "HTTP/portal.test.com")
    assert told.severity == "error"
    assert set(told.servers) == {"IIS01", "IIS02"}
    assert "farm-suspected" not in found.ids


@pytest.mark.parametrize("how", [{"farm": FARM}, {"dns": f"{NODES};portal A 10.0.5.2;portal A 10.0.5.3"}])
def test_nodes_that_decrypt_differently(how: dict[str, object]) -> None:
    found = world(*nodes(POOLED, {"pool": SERVICE}), ad=forest(user("contososvc", "HTTP/portal.test.com")), **how)  # type: ignore[arg-type]
    told = found.finding("farm-nodes-differ", "HTTP/portal.test.com")
    assert told.severity == "error"
    assert set(told.servers) == {"IIS01", "IIS02"}
    assert "farm-machine-identity" not in found.ids


def test_a_farm_with_one_account_is_silent() -> None:
    account = user("contososvc", "HTTP/portal.test.com", "HTTP/portal")
    found = world(*nodes(POOLED, POOLED), ad=forest(account), farm=FARM, dns=f"{NODES};portal A 10.0.0.9")
    assert found.ids == frozenset()
    assert found.outcome("HTTP/portal.test.com") == "kerberos"
    assert {ref.server for ref in found.requirement("HTTP/portal.test.com").applications} == {"IIS01", "IIS02"}


def test_one_account_by_different_settings_works() -> None:
    """A working server gives no error, though one node uses user mode."""
    account = user("contososvc", "HTTP/portal.test.com", "HTTP/portal")
    user_mode: dict[str, object] = {"pool": SERVICE, "kernel": False}
    found = world(*nodes(POOLED, user_mode), ad=forest(account), farm=FARM, dns=f"{NODES};portal A 10.0.0.9")
    assert found.errors == []
    assert found.outcome("HTTP/portal.test.com") == "kerberos"


def test_servers_of_a_farm_are_named_short_or_full() -> None:
    farm = [farm_name("portal.test.com", "iis01.TEST.com", "iis02")]
    assert "farm-machine-identity" in world(*nodes(*COMPUTERS), ad=forest(), farm=farm).ids


# -- twins ---------------------------------------------------------------------------------------------------------


def test_the_same_binding_alone_is_only_suspicious() -> None:
    found = world(*nodes(*COMPUTERS), ad=forest())
    told = found.finding("farm-suspected", "HTTP/portal.test.com")
    assert told.severity == "warning"
    assert set(told.servers) == {"IIS01", "IIS02"}
    (line,) = [line.partition("farm file: ")[2] for line in told.fix if "farm file: " in line]
    assert tomllib.loads(line) == {"name": [{"host": "portal.test.com", "servers": ["IIS01", "IIS02"]}]}
    assert not found.ids & {"farm-machine-identity", "farm-nodes-differ", "spn-conflict"}


def test_the_line_printed_for_a_suspected_farm_makes_it_one() -> None:
    found = world(*nodes(*COMPUTERS), ad=forest(), farm=FARM)
    assert "farm-suspected" not in found.ids
    assert "farm-machine-identity" in found.ids


@pytest.mark.parametrize("dns", [f"{NODES};portal A 10.0.5.2", f"{NODES};portal CNAME iis01"])
def test_where_dns_leads_elsewhere_the_twin_is_left_out(dns: str) -> None:
    found = world(*nodes(*COMPUTERS), ad=forest(), dns=dns)
    assert not found.ids & {"farm-suspected", "farm-machine-identity", "farm-nodes-differ"}


@pytest.mark.parametrize("dns", [f"{NODES};portal A 10.0.5.2", f"{NODES};portal CNAME iis01"])
def test_a_twin_that_the_name_does_not_lead_to_is_told_nothing(dns: str) -> None:
    """IIS02 stands by with the same binding; IIS01, where the name leads, works."""
    found = world(
        *nodes(*COMPUTERS), ad=ad(computer("IIS01", "HTTP/portal.test.com", "HTTP/portal"), computer("IIS02")), dns=dns
    )
    assert found.ids == frozenset()
    assert found.need("HTTP/portal.test.com", r"TEST\IIS02$") == "optional"
    assert found.outcome("HTTP/portal.test.com", r"TEST\IIS01$") == "kerberos"
    assert found.report.plan.steps == ()


def test_a_name_that_leads_to_nobody_known_is_still_wanted_by_both() -> None:
    found = world(*nodes(*COMPUTERS), ad=forest(), dns=f"{NODES};portal A 10.0.0.9")
    assert {r.need for r in found.requirements("HTTP/portal.test.com")} == {"explicit"}
    assert "name-elsewhere" in found.ids


def test_servers_with_the_same_decrypting_account_are_no_twins() -> None:
    assert "farm-suspected" not in world(*nodes(POOLED, POOLED), ad=forest(PEOPLE)).ids


def test_own_names_of_two_servers_have_nothing_to_do_with_each_other() -> None:
    found = world(*nodes(*COMPUTERS, binding="*:80:"), ad=forest())
    assert found.ids == frozenset()


# -- shared configuration ------------------------------------------------------------------------------------------


def test_servers_that_share_a_configuration_are_a_farm() -> None:
    found = world(*nodes(POOLED, POOLED, redirect=r"\\srv\share\iis"), ad=forest(PEOPLE))
    assert {(told.server, told.severity) for told in found.findings("shared-configuration")} == {
        ("IIS01", "info"),
        ("IIS02", "info"),
    }
    assert not found.ids & {"farm-suspected", "config-malformed"}


def test_different_shares_are_no_farm() -> None:
    found = world(
        *nodes({"redirect": r"\\srv\share\one"}, {"redirect": r"\\srv\share\two"}),
        ad=forest(),
    )
    assert "farm-suspected" in found.ids
    assert "farm-machine-identity" not in found.ids


# -- names of the nodes --------------------------------------------------------------------------------------------


def test_the_nodes_own_name_behind_a_declared_farm_name_is_optional() -> None:
    account = user("contososvc", "HTTP/portal.test.com", "HTTP/portal")
    found = world(*nodes(POOLED, POOLED, binding="*:80:"), ad=forest(account), farm=FARM, dns=NODES)
    assert found.need("HTTP/iis01.test.com") == "optional"
    assert found.outcome("HTTP/iis01.test.com") == "modified"
    told = found.findings("farm-node-name")
    assert {(one.server, one.severity) for one in told} == {("IIS01", "info"), ("IIS02", "info")}
    assert all("setspn" not in line for one in told for line in one.fix)
    assert found.errors == []
    assert "winrm-collision" not in found.ids


def test_a_nodes_own_name_that_a_header_makes_a_name_of_the_site_counts() -> None:
    both = site("*:80:portal.test.com", "*:80:iis01.test.com")
    found = world(server(both, pool=SERVICE, creds=True), ad=forest(user()), farm=FARM, dns=NODES)
    assert (found.need("HTTP/iis01.test.com"), found.outcome("HTTP/iis01.test.com")) == ("explicit", "modified")
    assert found.findings("farm-node-name", "HTTP/iis01.test.com") == []
    assert found.findings("spn-shadowed-by-host", "HTTP/iis01.test.com")


def test_without_the_declaration_the_nodes_own_name_counts() -> None:
    found = world(server(pool=SERVICE, creds=True), ad=ad(computer(), PEOPLE), dns="iis01 A 10.0.5.2")
    assert "farm-node-name" not in found.ids
    assert "spn-shadowed-by-host" in found.ids


def test_a_farm_name_for_another_site_leaves_the_nodes_own_name_alone() -> None:
    farm = [farm_name("portal.test.com", "IIS01", "IIS02", site="Other")]
    found = world(server(pool=SERVICE, creds=True), ad=ad(computer(), PEOPLE), farm=farm, dns="iis01 A 10.0.5.2")
    assert found.need("HTTP/iis01.test.com") == "explicit"
    assert "farm-node-name" not in found.ids


@pytest.mark.parametrize("where", [None, "Site"])
def test_the_farms_name_is_wanted_as_it_is_declared_by_an_empty_binding(where: str | None) -> None:
    farm = [farm_name("portal.test.com", "IIS01", "IIS02", site=where)]
    found = world(server(pool=SERVICE, creds=True), farm=farm)
    assert (found.need("HTTP/portal.test.com"), found.need("HTTP/portal")) == ("explicit", "optional")
    assert {(h.host.text, h.source) for h in found.application().hosts} >= {("portal.test.com", "farm")}


def test_an_smsa_belongs_to_one_server_and_a_gmsa_to_many() -> None:
    gmsa = entry("gmsaWeb$", "HTTP/portal.test.com", "HTTP/portal", kind="gMSA")
    found = world(
        *nodes({"pool": r"TEST\gmsaWeb$", "creds": True}, {"pool": r"TEST\gmsaWeb$", "creds": True}),
        ad=forest(gmsa),
        farm=FARM,
        dns=f"{NODES};portal A 10.0.0.9",
    )
    assert found.ids == frozenset()
