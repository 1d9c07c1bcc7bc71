"""Names in front of the servers that only an SPN on the pool's account gives away (rule R15.2)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

import pytest
from worlds import NOW, World, ad, app, clients_named, computer, directory, farm_name, server, site, user, world

from agent.iis.snapshot import Snapshot
from agent.inspection.sources import Sources
from agent.inspection.stages import analyse
from agent.names import HostName
from agent.spn.nameservice import NameService, Resolution

SVC = r"TEST\svc"
VIP = "HTTP/portal.test.com"
NODES = "iis01 A 10.0.5.2; iis02 A 10.0.5.3; iis03 A 10.0.5.4"
BEHIND = f"{NODES}; portal A 10.0.0.100"
OWN = {"HTTP/IIS01", "HTTP/iis01.test.com", "HTTP/IIS02", "HTTP/iis02.test.com"}


def node(name: str = "IIS01", *bindings: str, **settings: object) -> Snapshot:
    """A server whose pool's account decrypts, reached by its own names unless bindings are given."""
    chosen = {"pool": SVC, "creds": True, **settings}
    return server(site(*bindings), name=name, **chosen)  # type: ignore[arg-type]


def proxy(*addresses: str, binding: str = "*:80:portal.test.com") -> Snapshot:
    """A server that sends requests on, and asks nobody for a ticket itself."""
    servers = "".join(f'<server address="{address}" enabled="true" />' for address in addresses)
    farms = f'<webFarms><webFarm name="portal" enabled="true">{servers}</webFarm></webFarms>'
    return server(site(binding), name="IIS03", enabled=False, body=farms)


def computers() -> str:
    return computer("IIS01") + computer("IIS02") + computer("IIS03")


def found_with(*servers: Snapshot, holds: Iterable[str] = (VIP, "HTTP/portal"), **known: object) -> World:
    return world(*servers, ad=ad(computers(), user("svc", *holds)), **known)  # type: ignore[arg-type]


def settings_off(found: World) -> list[str]:
    every = [*found.report.plan.steps, *(step for way in found.report.plan.alternatives for step in way.steps)]
    return [step.command or "" for step in every if "useAppPoolCredentials:false" in (step.command or "")]


def is_let_fail(found: World, servers: tuple[str, ...]) -> None:
    """The names in front are suspected, and the nodes' own names may fail."""
    told = found.finding("name-suspected", VIP)
    assert (told.severity, told.servers, str(told.account)) == ("info", servers, SVC)
    (line,) = [text.partition("farm file: ")[2] for text in told.fix if "farm file: " in text]
    assert tomllib.loads(line) == {"name": [{"host": "portal.test.com", "servers": list(servers)}]}
    assert found.errors == []
    assert found.report.plan.steps == found.report.plan.alternatives == ()
    assert found.report.spns.uncertain == len(servers), "the names that clients use are not known"
    assert {use.elsewhere for use in found.report.accounts} <= {None}
    own = {str(r.spn): (r.need, r.outcome) for r in found.report.requirements if str(r.spn) in OWN}
    assert set(own.values()) == {("optional", "modified")}


# -- what is evidence ----------------------------------------------------------------------------------------------


def test_dns_leads_the_name_to_no_inspected_server() -> None:
    found = found_with(node(), dns=BEHIND)
    is_let_fail(found, ("IIS01",))
    assert "10.0.0.100" in found.finding("name-suspected").message


def test_two_inspected_servers_decrypt_as_the_account() -> None:
    is_let_fail(found_with(node("IIS01"), node("IIS02")), ("IIS01", "IIS02"))


@pytest.mark.parametrize("address", ["IIS01", "iis01.test.com", "10.0.5.2"])
def test_a_web_farm_of_an_inspected_proxy_names_the_server(address: str) -> None:
    """The proxy's site claims the name in front: it is not the one that decrypts."""
    found = found_with(node(), proxy(address))
    is_let_fail(found, ("IIS01",))
    assert "the web farm of IIS03 names IIS01" in found.finding("name-suspected").message


def test_a_proxy_that_is_asked_by_its_own_name_does_not_claim_it() -> None:
    """Rule R6.8: the SPN is the proxy's name, on the account of the content servers."""
    found = found_with(
        node(), proxy("iis01.test.com", binding="*:80:"), holds=["HTTP/iis03.test.com", "HTTP/IIS03"], dns=NODES
    )
    assert found.findings("name-suspected", "HTTP/iis03.test.com")
    assert found.errors == []
    assert found.need("HTTP/iis01.test.com") == "optional"


def test_the_printed_line_makes_it_a_farm() -> None:
    farm = [farm_name("portal.test.com", "IIS01", "IIS02")]
    found = found_with(node("IIS01"), node("IIS02"), dns=BEHIND, farm=farm)
    assert "name-suspected" not in found.ids
    assert found.outcome(VIP) == "kerberos"


def test_a_name_server_is_asked_about_the_names_that_only_the_directory_tells_of() -> None:
    """Live DNS cannot list what leads to an address: the names of the SPNs are a question of their own."""
    where = {"portal.test.com": "10.0.0.100", "iis01.test.com": "10.0.5.2"}
    asked: list[str] = []

    def answer(hosts: Iterable[HostName], _addresses: object) -> NameService:
        asked.extend(str(host) for host in hosts)
        known = {h: Resolution(chain=(h,), addresses=(where[str(h)],)) for h in hosts if str(h) in where}  # type: ignore[arg-type]
        return NameService(source="dns", answers=known)

    text = ad(computers(), user("svc", VIP))
    sources = Sources(directory=lambda question: directory([text], question, {}), names=answer, now=NOW)
    report = analyse([node()], sources).report
    assert asked.count("portal.test.com") == 1
    assert [f.id for f in report.findings] == ["name-suspected"]
    assert clients_named(()) == sources.clients


# -- what is none --------------------------------------------------------------------------------------------------


def still_broken(found: World) -> None:
    assert "name-suspected" not in found.ids
    assert found.findings("spn-shadowed-by-host", "HTTP/iis01.test.com")


@pytest.mark.parametrize(
    ("known", "condition"), [({}, ", if portal.test.com is no alias"), ({"dns": NODES}, "")], ids=["no DNS", "DNS"]
)
def test_one_server_with_a_shared_account_stays_broken_and_its_step_asks(
    known: dict[str, object], condition: str
) -> None:
    found = found_with(node(), **known)
    still_broken(found)
    (step,) = found.report.plan.steps
    assert settings_off(found) == [step.command]
    assert step.confirm
    assert step.note == (
        rf"nobody else inspected answers portal.test.com{condition}: ask who uses the SPN for it that TEST\svc holds"
    )


def test_without_other_names_the_step_for_the_own_name_needs_no_question() -> None:
    found = found_with(node(), holds=[])
    still_broken(found)
    assert [step.confirm for step in found.report.plan.steps] == [False]


def test_a_removal_that_goes_with_the_setting_waits_with_it() -> None:
    """Else the wrong holder would be gone, and HOST/ answer, while the pool still decrypts."""
    entries = ad(computers(), user("svc", VIP), user("old", "HTTP/iis01.test.com", "HTTP/IIS01"))
    found = world(node(), ad=entries)
    steps = found.report.plan.steps
    assert {step.kind for step in steps} == {"iis-setting", "spn-delete"}
    assert all(step.confirm and "answers portal.test.com" in (step.note or "") for step in steps)


@pytest.mark.parametrize(
    "dns",
    [
        f"{NODES}; portal A 10.0.5.2",  # the server answers it itself
        f"{NODES}; portal A 10.0.5.3",  # another inspected one does
    ],
)
def test_a_name_that_leads_to_inspected_servers_is_no_hidden_one(dns: str) -> None:
    found = found_with(node(), server(site("*:80:else.test.com"), name="IIS02"), dns=dns)
    assert "name-suspected" not in found.ids
    assert found.need("HTTP/iis01.test.com") == "explicit"


def test_where_nobody_told_the_servers_addresses_dns_leads_another_name_to_it() -> None:
    """DNS says the addresses of its full name: the site answers both, so it does not serve its own names alone."""
    bare = node("IIS01", facts={"addresses": ()})
    found = found_with(bare, dns=f"{NODES}; portal A 10.0.5.2")
    assert "name-suspected" not in found.ids
    assert found.outcome("HTTP/portal.test.com") == "kerberos"
    assert {step.kind for step in found.report.plan.steps} == {"manual"}, "a host header of its own for its own names"


def test_a_name_that_another_inspected_site_claims_is_no_hidden_one() -> None:
    claiming = server(site("*:80:portal.test.com"), name="IIS02", enabled=False)
    still_broken(found_with(node(), claiming, dns=BEHIND))


def test_a_name_that_does_not_exist_is_used_by_nobody() -> None:
    still_broken(found_with(node("IIS01"), node("IIS02"), dns=NODES))


def test_a_wildcard_binding_claims_its_names() -> None:
    still_broken(found_with(node(), server(site("*:80:*.test.com"), name="IIS02", enabled=False), dns=BEHIND))


def test_where_the_servers_addresses_are_not_known_another_address_says_nothing() -> None:
    bare = node("IIS01", facts={"addresses": ()})
    found = found_with(bare, dns="portal A 10.0.0.100")
    still_broken(found)


@pytest.mark.parametrize("holds", [["MSSQLSvc/portal.test.com"], ["HTTP/10.0.0.100"], ["HTTP/*.test.com"], []])
def test_what_no_browser_asks_for_is_no_name(holds: list[str]) -> None:
    still_broken(found_with(node("IIS01"), node("IIS02"), holds=holds))


def test_an_account_that_decrypts_nowhere_shows_nothing() -> None:
    """The pool runs as it, and the computer decrypts: what clients reach by the account's names is not this server."""
    found = found_with(node("IIS01", creds=False), node("IIS02", creds=False), dns=BEHIND)
    assert found.ids == frozenset()


def test_an_application_of_another_account_keeps_its_own_names() -> None:
    apps = [app("/"), app("/b", "B")]
    both = server(site(apps=apps), name="IIS01", pools={"Pool": SVC, "B": r"TEST\other"}, creds=True)
    found = world(both, ad=ad(computers(), user("svc", VIP), user("other")), dns=BEHIND)
    assert found.need("HTTP/iis01.test.com", SVC) == "optional"
    assert found.need("HTTP/iis01.test.com", r"TEST\other") == "explicit"


def test_an_own_name_that_an_alias_leads_to_is_asked_for() -> None:
    """Who types the alias asks for the canonical name, whatever stands in front of the server."""
    found = found_with(node("IIS01", "*:80:sales.test.com"), dns=f"{BEHIND}; sales CNAME iis01")
    assert found.findings("name-suspected", VIP)
    assert found.need("HTTP/iis01.test.com") == "explicit"
    assert found.findings("client-spn-variant", "HTTP/iis01.test.com")


def test_the_line_names_hosts_that_are_no_toml_as_data() -> None:
    found = found_with(node("IIS01"), node("IIS02"), holds=['HTTP/por"tal.test.com'])
    line = found.finding("name-suspected").fix[0].partition("farm file: ")[2]
    assert tomllib.loads(line)["name"][0]["host"] == 'por"tal.test.com'


def test_a_host_header_that_is_the_nodes_own_name_may_fail_too() -> None:
    """A proxy that rewrites the host asks the node by its name; clients still ask for the proxy's."""
    found = found_with(node("IIS01", "*:80:iis01.test.com"), dns=BEHIND)
    assert found.need("HTTP/iis01.test.com") == "optional"
    assert found.errors == []
