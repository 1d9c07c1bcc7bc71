"""Which names lead clients to which site, and which lead nobody there (rules, sections 2, 3 and 15)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import World, ad, app, computer, config, farm_name, names, server, site, user, world

from agent.iis.snapshot import CertificateNames, Snapshot, WorkerProcess
from agent.inspection.stages import clients_named
from agent.names import Guess, HostName, host_name
from agent.spn.clients import CLIENTS
from agent.spn.question import question

SERVICE = r"TEST\contososvc"
OTHER = r"TEST\othersvc"
FULL = "HTTP/contoso.test.com"
FOLLOWING = sorted(name for name, client in CLIENTS.items() if client.host.follows)
POOLED: dict[str, object] = {"pool": SERVICE, "creds": True}
ROOT = app(enabled=True, kernel=True, creds=True, providers=("Negotiate", "NTLM"))


def hosts(found: World, site: str = "Site") -> set[str]:
    """What the site is said to be reached as."""
    return {host.host.text for host in found.application(site=site).hosts}


def unsettled(found: World) -> set[str]:
    return {str(r.spn) for r in found.report.requirements if r.outcome == "uncertain"}


# -- aliases that lead out -----------------------------------------------------------------------------------------

OUT = "iis01 A 10.0.5.2;contoso CNAME vip-9.balancer.example."


def led_out(*entries: str, **more: object) -> World:
    return world(
        server(site("*:80:contoso.test.com"), **POOLED),  # type: ignore[arg-type]
        ad=ad(computer(), user("contososvc", FULL), *entries),
        dns=OUT,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("holder", ["contososvc", "othersvc", None])
def test_what_follows_an_alias_out_of_the_zones_is_uncertain_whoever_holds_its_end(holder: str | None) -> None:
    found = led_out(*([user(f"x{holder}", "HTTP/vip-9.balancer.example")] if holder else []))
    assert found.outcome("HTTP/vip-9.balancer.example") == "uncertain"
    assert found.outcome(FULL) == "kerberos", "the clients that ask for the name as typed"
    assert found.errors == []
    assert found.report.plan.steps == ()
    told = found.finding("dns-incomplete")
    assert "vip-9.balancer.example" in told.message
    assert "zone of balancer.example" in told.fix[0]
    assert {host.source for host in found.application().hosts if host.host.suffix == "balancer.example"} == {"dns"}


def test_explain_says_so_for_the_clients_that_follow_aliases() -> None:
    found = led_out(user("othersvc", "HTTP/vip-9.balancer.example"), clients=list(CLIENTS))
    outcomes = {o.client: (str(o.spn), o.outcome) for o in found.explain("http://contoso.test.com/")}
    assert {outcomes[client] for client in FOLLOWING if client != "java"} == {
        ("HTTP/vip-9.balancer.example", "uncertain")
    }
    assert outcomes["java"] == (FULL, "uncertain"), "it takes a canonical name that extends the typed one"
    assert {outcomes[client] for client in set(CLIENTS) - set(FOLLOWING)} == {(FULL, "kerberos")}
    story = " ".join(found.explain("http://contoso.test.com/")[0].because)
    assert "give the zone of balancer.example" in story


def test_with_the_zone_of_the_end_it_is_settled() -> None:
    found = world(
        server(site("*:80:contoso.test.com"), **POOLED),  # type: ignore[arg-type]
        ad=ad(computer(), user("contososvc", FULL), user("othersvc", "HTTP/vip-9.balancer.example")),
        dns=f"{OUT};$ORIGIN balancer.example.;vip-9 A 10.0.5.2",
    )
    assert found.outcome("HTTP/vip-9.balancer.example") == "modified"
    assert "dns-incomplete" not in found.ids


AWAY: dict[str, object] = {"dns_name": "iis01.ad.test.com"}


@pytest.mark.parametrize("addresses", [("10.0.5.2",), ()])
def test_an_alias_of_the_servers_own_name_is_followed_though_its_zone_was_not_given(addresses: tuple[str, ...]) -> None:
    found = world(
        server(site("*:80:contoso.test.com"), **POOLED, facts={**AWAY, "addresses": addresses}),  # type: ignore[arg-type]
        ad=ad(computer(), computer("X", "HOST/iis01.ad.test.com"), user("contososvc", FULL)),
        dns="contoso CNAME iis01.ad",
    )
    assert found.outcome("HTTP/iis01.ad.test.com") == "modified"
    assert found.finding("client-spn-variant").severity == "error"
    assert "dns-incomplete" not in found.ids
    assert found.ends("http://contoso.test.com/") == {"modified"}


def test_an_alias_of_the_servers_own_name_is_a_name_of_its_empty_binding() -> None:
    found = world(server(facts=AWAY), dns="contoso CNAME iis01.ad;out CNAME else.ad")
    assert "contoso.test.com" in hosts(found)
    assert not {"out.test.com", "else.ad.test.com"} & hosts(found)


def test_an_alias_of_another_inspected_server_brings_nobody_here() -> None:
    away = server(name="IIS02", facts={"dns_name": "iis02.ad.test.com"})
    found = world(
        server(site("*:80:contoso.test.com"), **POOLED),  # type: ignore[arg-type]
        away,
        ad=ad(computer(), computer("IIS02"), user("contososvc")),
        dns="iis01 A 10.0.5.2;contoso CNAME iis02.ad",
    )
    assert found.need(FULL, SERVICE) == "optional"
    assert "spn-missing" not in {told.id for told in found.report.findings if told.server == "IIS01"}


def test_two_sites_behind_one_end_that_nobody_looked_up_are_no_conflict() -> None:
    sites = (
        site("*:80:contoso.test.com", name="One", apps=[app("/", "One")]),
        site("*:80:fabrikam.test.com", name="Two", apps=[app("/", "Two")]),
    )
    built = server(*sites, pools={"One": SERVICE, "Two": OTHER}, creds=True)
    zone = "iis01 A 10.0.5.2;contoso CNAME vip.balancer.example.;fabrikam CNAME vip.balancer.example."
    people = ad(computer(), user("contososvc", FULL), user("othersvc", "HTTP/fabrikam.test.com"))
    found = world(built, ad=people, dns=zone)
    assert {r.outcome for r in found.requirements("HTTP/vip.balancer.example")} == {"uncertain"}
    assert found.errors == []
    assert found.report.plan.steps == ()
    assert "spn-conflict" in world(built, ad=people, dns=f"{zone};$ORIGIN balancer.example.;vip A 10.0.5.2").ids


def test_web_configs_that_nobody_looked_at_make_no_conflict() -> None:
    built = pair("*:80:contoso.test.com", "*:80:contoso.test.com")
    text = built.files["applicationhost.config"].data.decode()
    unlocked = text.replace('overrideModeDefault="Deny"', 'overrideModeDefault="Allow"')
    looked = world(server(text=unlocked), ad=PEOPLE)
    assert "spn-conflict" in looked.ids
    found = world(server(text=unlocked, facts={"content_looked": False}), ad=PEOPLE)
    assert {r.outcome for r in found.requirements(FULL)} == {"uncertain"}
    assert "spn-conflict" not in found.ids
    assert found.report.plan.steps == ()


def test_an_end_that_is_typed_elsewhere_is_certain_there() -> None:
    built = server(site("*:80:contoso.test.com", "*:80:vip-9.balancer.example"), **POOLED)  # type: ignore[arg-type]
    found = world(built, ad=ad(computer(), user("contososvc", FULL)), dns=OUT)
    assert found.outcome("HTTP/vip-9.balancer.example") == "ntlm-fallback"


# -- addresses and sites that nobody reaches -----------------------------------------------------------------------

PEOPLE = ad(computer(), user("contososvc"), user("othersvc", FULL, "HTTP/contoso"))
TWO = {"addresses": ("10.0.5.2", "10.0.5.3")}


def pair(old: str, new: str, facts: dict[str, object] | None = None) -> Snapshot:
    sites = (site(old, name="Old", apps=[app("/", "A")]), site(new, name="New", apps=[app("/", "B")]))
    return server(*sites, pools={"A": SERVICE, "B": OTHER}, creds=True, facts=facts or TWO)


@pytest.mark.parametrize(
    ("old", "facts"),
    [
        ("10.0.5.2:80:contoso.test.com", TWO),
        ("10.0.5.2:80:contoso.test.com", {"addresses": ()}),
        ("127.0.0.1:80:contoso.test.com", TWO),
        ("*:80:contoso.test.com", {"addresses": ("10.0.5.3",)}),
    ],
)
def test_a_name_led_to_another_address_than_the_binding_has_is_optional(old: str, facts: dict[str, object]) -> None:
    found = world(pair(old, "10.0.5.3:80:contoso.test.com", facts), ad=PEOPLE, dns="contoso A 10.0.5.3")
    assert found.errors == []
    assert (found.need(FULL, SERVICE), found.need(FULL, OTHER)) == ("optional", "explicit")
    assert found.outcome(FULL, OTHER) == "kerberos"
    assert found.report.plan.steps == ()
    assert {str(o.decrypts_as) for o in found.explain("http://contoso.test.com/")} == {OTHER}


@pytest.mark.parametrize(
    "dns", ["contoso A 10.0.5.2;contoso A 10.0.5.3", "contoso A 10.0.9.9", "other A 10.0.5.3", None]
)
def test_where_it_may_lead_to_both_they_conflict(dns: str | None) -> None:
    """A proxy may stand at an address of nobody inspected; without DNS nobody knows where the name leads."""
    found = world(pair("10.0.5.2:80:contoso.test.com", "10.0.5.3:80:contoso.test.com"), ad=PEOPLE, dns=dns)
    assert "spn-conflict" in found.ids


def test_a_declared_name_reaches_the_servers_that_are_declared() -> None:
    farm = [farm_name("contoso.test.com", "IIS01")]
    built = server(site("10.0.5.2:80:contoso.test.com"), **POOLED, facts=TWO)  # type: ignore[arg-type]
    found = world(built, ad=PEOPLE, dns="contoso A 10.0.5.3", farm=farm)
    assert found.need(FULL) == "explicit"


def stopped(text: str, **attributes: str) -> Snapshot:
    """Two sites for one header; `text` is put in place of what it replaces."""
    sites = (
        site("*:80:contoso.test.com", name="Old", apps=[app("/", "A")]),
        site("*:80:contoso.test.com", name="New", apps=[app("/", "B")]),
    )
    whole = config(sites, {"A": SERVICE, "B": OTHER}, ROOT)
    assert whole.count(text) == 1
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return server(text=whole.replace(text, f"{text}{said}"))


OLD_SITE = '<site name="Old" id="1"'
OLD_POOL = '<add name="A"'


@pytest.mark.parametrize(
    "built",
    [
        stopped(OLD_SITE, serverAutoStart="false"),
        stopped(OLD_SITE, serverAutoStart="False"),
        stopped(OLD_POOL, autoStart="false"),
    ],
)
def test_what_does_not_start_is_reached_by_nobody(built: Snapshot) -> None:
    found = world(built, ad=PEOPLE, dns="contoso A 10.0.5.2", clients=["edge", "edge-port"])
    assert (found.need(FULL, SERVICE), found.need(FULL, OTHER)) == ("optional", "explicit")
    assert found.ids == {"site-not-started"}
    told = found.finding("site-not-started")
    assert (told.severity, told.site) == ("info", "Old")


@pytest.mark.parametrize(
    "built",
    [stopped(OLD_SITE, serverAutoStart="true"), stopped(OLD_POOL, autoStart="true"), stopped(OLD_SITE)],
)
def test_what_starts_conflicts(built: Snapshot) -> None:
    found = world(built, ad=PEOPLE, dns="contoso A 10.0.5.2")
    assert "spn-conflict" in found.ids
    assert "site-not-started" not in found.ids


def test_a_pool_that_was_seen_to_run_is_reached() -> None:
    built = stopped(OLD_POOL, autoStart="false")
    running = {"worker_processes": (WorkerProcess("a", 42, SERVICE),)}
    machine = server(facts=running).machine
    found = world(Snapshot(source="IIS01", machine=machine, files=built.files), ad=PEOPLE, dns="contoso A 10.0.5.2")
    assert "spn-conflict" in found.ids


@pytest.mark.parametrize("attributes", [{"siteDefaults": "serverAutoStart"}, {"applicationPoolDefaults": "autoStart"}])
def test_the_defaults_may_say_that_nothing_starts(attributes: dict[str, str]) -> None:
    ((element, attribute),) = attributes.items()
    text = config([site("*:80:contoso.test.com")], {"Pool": SERVICE}, ROOT)
    anchor = "<sites>" if element == "siteDefaults" else "<applicationPools>"
    found = world(server(text=text.replace(anchor, f'{anchor}<{element} {attribute}="false" />')), ad=PEOPLE)
    assert found.need(FULL) == "optional"
    assert "site-not-started" in found.ids


def test_a_site_that_does_not_start_leaves_its_names_to_the_site_without_a_header() -> None:
    sites = (site("*:80:contoso.test.com", name="Old"), site("*:80:", name="Any"))
    text = config(sites, {"Pool": SERVICE}, ROOT).replace(OLD_SITE, f'{OLD_SITE} serverAutoStart="false"')
    found = world(server(text=text), ad=PEOPLE, dns="iis01 A 10.0.5.2;contoso A 10.0.5.2")
    assert hosts(found, "Old") == set()
    assert "contoso.test.com" in hosts(found, "Any")
    assert {o.because[-3].partition(" leads to ")[2][:3] for o in found.explain("http://contoso.test.com/")} == {"Any"}


def test_explain_says_who_would_answer() -> None:
    sites = (site("*:80:contoso.test.com", name="Old"),)
    text = config(sites, {"Pool": SERVICE}, ROOT)
    off = world(server(text=text.replace(OLD_SITE, f'{OLD_SITE} serverAutoStart="false"')), ad=PEOPLE)
    for outcome in off.explain("http://contoso.test.com/"):
        assert (outcome.outcome, outcome.decrypts_as) == ("uncertain", None)
        assert any("Old on IIS01 would, but it does not start" in line for line in outcome.because)
        assert [str(holder) for holder in outcome.holders or ()] == [OTHER], "the directory was asked, and knows"
    pool = world(server(text=text.replace('<add name="Pool"', '<add name="Pool" autoStart="false"')), ad=PEOPLE)
    for outcome in pool.explain("http://contoso.test.com/"):
        assert (outcome.outcome, outcome.decrypts_as) == ("uncertain", None)
        assert any("503" in line for line in outcome.because)


# -- names that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LOCALHOST",
        "localhost.localdomain",
        "dev.localhost",
        "loopback",
        "localhost.test.com",
        "self.test.com",
    ],
)
def test_no_requirement_for_what_every_machine_calls_itself(header: str) -> None:
    found = world(
        server(site(f"*:80:{header}"), **POOLED),  # type: ignore[arg-type]
        ad=PEOPLE,
        dns="iis01 A 10.0.5.2;self A 127.0.0.1",
    )
    assert found.report.requirements == ()
    assert found.ids == frozenset()


@pytest.mark.parametrize("header", ["localhosts", "mylocalhost.test.com", "loopback.test.com"])
def test_a_name_like_it_is_one(header: str) -> None:
    assert world(server(site(f"*:80:{header}"), **POOLED)).need(f"HTTP/{header}") == "explicit"  # type: ignore[arg-type]


LOCATOR = (
    "@ A 10.0.5.2;DomainDnsZones A 10.0.5.2;ForestDnsZones A 10.0.5.2;gc._msdcs A 10.0.5.2;_msdcs A 10.0.5.2;"
    "2a754031-e5c5-4e88-bb09-09aae693753c._msdcs CNAME iis01;a._sites A 10.0.5.2;localhost A 127.0.0.1;iis01 A 10.0.5.2"
)
CONTROLLER = 0x82000


@pytest.mark.parametrize(
    ("facts", "flags"), [({"domain_controller": True}, 0x1000), ({"domain_controller": False}, CONTROLLER)]
)
def test_no_requirement_for_what_leads_clients_to_domain_controllers(facts: dict[str, object], flags: int) -> None:
    found = world(server(facts=facts), ad=ad(computer(userAccountControl=flags)), dns=f"{LOCATOR};www A 10.0.5.2")
    assert hosts(found) == {"IIS01", "iis01.test.com", "www.test.com", "www"}
    assert {name for name in found.needs if name.endswith("/test.com") or "/test" in name} == set()


def test_the_zones_own_name_is_one_where_no_controller_has_it() -> None:
    found = world(server(**POOLED), ad=PEOPLE, dns=LOCATOR)  # type: ignore[arg-type]
    assert found.need("HTTP/test.com") == "explicit"
    assert "http/test" not in found.needs, "no client reaches it under the suffix"


def test_only_a_name_directly_below_the_suffix_has_a_short_form() -> None:
    zone = "iis01 A 10.0.5.2;www A 10.0.5.2;portal.branch A 10.0.5.2;@ A 10.0.5.2;$ORIGIN else.example.;shop A 10.0.5.2"
    found = world(server(**POOLED), ad=PEOPLE, dns=zone)  # type: ignore[arg-type]
    assert set(found.needs) == {
        *("http/iis01", "http/iis01.test.com", "http/www", "http/www.test.com"),
        *("http/portal.branch.test.com", "http/test.com", "http/shop.else.example"),
    }


@pytest.mark.parametrize(
    ("facts", "dns", "short"),
    [
        ({}, None, True),
        ({"dns_name": "iis01.ad.test.com"}, None, False),
        ({"dns_name": "iis01.TEST.com"}, None, True),
        ({"dns_name": None}, "contoso A 10.0.5.2", True),
        ({"dns_name": None}, None, True),
    ],
)
def test_the_short_form_of_a_header_depends_on_the_suffix(
    facts: dict[str, object], dns: str | None, short: bool
) -> None:
    found = world(server(site("*:80:contoso.test.com"), facts=facts), dns=dns)
    assert found.needs == {FULL.lower(): "explicit"} | ({"http/contoso": "optional"} if short else {})


@pytest.mark.parametrize("declared", ["portal.test.com", "portal"])
@pytest.mark.parametrize("header", ["portal", "portal.test.com"])
def test_either_form_of_a_declared_name_may_lead_to_a_proxy(declared: str, header: str) -> None:
    zone = "iis01 A 10.0.5.2;portal A 10.0.9.9"
    built = server(site(f"*:80:{header}"))
    assert "name-elsewhere" not in world(built, dns=zone, farm=[farm_name(declared, "IIS01")]).ids
    assert "name-elsewhere" in world(built, dns=zone, farm=[farm_name("portal.else.example", "IIS01")]).ids


# -- names of a site by binding, DNS and farm file -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "dns", "full"),
    [
        ({}, None, "portal.test.com"),
        ({}, "portal A 10.0.5.2", "portal.test.com"),
        ({"dns_name": "iis01.ad.test.com"}, None, "portal.ad.test.com"),
        ({"dns_name": "iis01.ad.test.com"}, "portal A 10.0.5.2", "portal.test.com"),
        ({"dns_name": "iis01.ad.test.com"}, "other A 10.0.5.2", "portal.ad.test.com"),
        ({"dns_name": None}, "portal A 10.0.5.2", "portal.test.com"),
        ({"dns_name": None}, "other A 10.0.5.2", None),
        ({"dns_name": None}, None, None),
        ({"dns_name": None, "membership": "workgroup", "domain": None}, None, None),
    ],
)
def test_a_short_header_is_reached_in_full_where_dns_has_it_else_below_the_computers_suffix(
    facts: dict[str, object], dns: str | None, full: str | None
) -> None:
    found = world(server(site("*:80:portal"), facts=facts), dns=dns)
    assert hosts(found) == {"portal"} | ({full} if full else set())
    is_joined = facts.get("membership") != "workgroup"
    assert found.application().names_known is (full is not None or not is_joined), (
        "in no domain nobody asks for a full one"
    )


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ({}, True),
        ({"dns_name": None}, False),
        ({"name": None}, False),
        ({"name": None, "dns_name": None, "membership": "workgroup"}, True),
    ],
)
def test_a_site_of_the_computers_own_names_has_unknown_ones_where_either_was_not_said(
    facts: dict[str, object], known: bool
) -> None:
    assert world(server(facts=facts)).report.applications[0].names_known is known


@pytest.mark.parametrize(("site_of_farm", "need"), [(None, "optional"), ("SITE", "optional"), ("Other", "covered")])
def test_the_computers_own_names_may_fail_behind_a_declared_name_of_the_very_site(
    site_of_farm: str | None, need: str
) -> None:
    farm = [farm_name("portal.test.com", "IIS01", site=site_of_farm)]
    found = world(server(site("*:80:")), farm=farm)
    assert (found.need("HTTP/IIS01"), found.need("HTTP/iis01.test.com")) == (need, need)
    assert ("http/portal.test.com" in found.needs) is (site_of_farm != "Other")


@pytest.mark.parametrize(
    ("declared", "of_site", "needs"),
    [
        ("portal.test.com", "SITE", {"http/portal.test.com": "explicit", "http/portal": "optional"}),
        ("portal.else.example", "Site", {"http/portal.else.example": "explicit"}),
        ("portal.test.com", "Other", {}),
        ("portal.test.com", None, {}),
    ],
)
def test_a_name_declared_for_a_site_leads_to_it_whatever_its_header(
    declared: str, of_site: str | None, needs: dict[str, str]
) -> None:
    """A proxy in front rewrites the host. Which of two sites with headers is meant only the entry can say."""
    built = server(site("net.tcp 808:*", "*:8080:app.test.com", "*:81:app.test.com"))
    found = world(built, farm=[farm_name(declared, "IIS01", site=of_site)])
    assert found.needs == {"http/app.test.com": "explicit", "http/app": "optional", **needs}
    assert {url.port for url in found.application().urls if url.host.text == declared} == ({8080} if needs else set())


def test_a_name_declared_for_a_site_without_http_leads_nowhere() -> None:
    assert world(server(site("net.tcp 808:*")), farm=[farm_name("portal.test.com", "IIS01", site="Site")]).needs == {}


def test_a_wildcard_answers_the_names_that_dns_and_the_farm_file_lead_to_it_as_far_as_they_match() -> None:
    built = server(
        site("*:80:*.test.com"), site("*:80:taken.test.com", name="Header"), facts={"dns_name": "iis01.corp.example"}
    )
    zone = ";".join(f"{name} A 10.0.5.2" for name in ("www", "app.branch", "taken"))
    farm = [farm_name("portal.test.com", "IIS01"), farm_name("portal.else.example", "IIS01")]
    found = world(built, dns=f"{zone};other A 10.0.5.3;shop.else.example. A 10.0.5.2", farm=farm)
    assert hosts(found) == {"www.test.com", "app.branch.test.com", "portal.test.com"}
    assert hosts(found, "Header") == {"taken.test.com"}


def test_a_site_whose_addresses_another_one_has_is_reached_by_nothing() -> None:
    """http.sys gives a request to the binding with the address before one for all."""
    found = world(server(site("*:80:", name="Any"), site("10.0.5.2:80:", name="One")))
    assert (hosts(found, "Any"), hosts(found, "One")) == (set(), {"IIS01", "iis01.test.com"})
    assert "ip-only-binding" not in found.ids


@pytest.mark.parametrize(("bound", "name"), [("*:80:*.apps.test.com", "x.apps"), ("*:80:x.apps.test.com", "x.apps")])
def test_a_host_header_comes_before_an_address_that_another_site_has(bound: str, name: str) -> None:
    """UrlPrefix strings: an explicit host before an IP-bound weak wildcard; `explain` says the same."""
    built = server(site(bound, name="Header"), site("10.0.5.2:80:", name="One"))
    found = world(built, dns=f"iis01 A 10.0.5.2;{name} A 10.0.5.2")
    assert hosts(found, "Header") == {"x.apps.test.com"}
    assert hosts(found, "One") == {"IIS01", "iis01.test.com"}


OWN = {"http/iis01": "covered", "http/iis01.test.com": "covered"}
WWW = {"http/www.test.com": "explicit", "http/www": "explicit"}
PORTAL = {"http/portal.test.com": "explicit", "http/portal": "optional"}
MAY_FAIL = dict.fromkeys(OWN, "optional")


@pytest.mark.parametrize(
    ("binding", "addresses", "dns", "farm", "needs"),
    [
        # all addresses: the computer's names, and whatever DNS or the farm file leads here
        ("*:80:", ("10.0.5.2",), None, False, OWN),
        ("*:80:", ("10.0.5.2",), "iis01 A 10.0.5.2;www A 10.0.5.2", False, OWN | WWW),
        ("*:80:", ("10.0.5.2",), "iis01 A 10.0.5.2;www A 10.0.5.3", False, OWN),
        ("*:80:", ("10.0.5.2", "10.0.5.3"), "iis01 A 10.0.5.2;www A 10.0.5.3", False, OWN | WWW),
        ("*:80:", ("10.0.5.2",), None, True, MAY_FAIL | PORTAL),
        # one address: the names that DNS gives it; without DNS the computer's, if it has no other address
        ("10.0.5.2:80:", ("10.0.5.2",), None, False, OWN),
        ("10.0.5.2:80:", ("10.0.5.2", "10.0.5.3"), None, False, None),
        ("10.0.5.3:80:", ("10.0.5.2",), None, False, None),
        ("10.0.5.2:80:", ("10.0.5.2", "10.0.5.3"), "iis01 A 10.0.5.2;www A 10.0.5.3", False, OWN),
        ("10.0.5.3:80:", ("10.0.5.2", "10.0.5.3"), "iis01 A 10.0.5.2;www A 10.0.5.3", False, WWW),
        ("10.0.5.3:80:", ("10.0.5.2", "10.0.5.3"), "iis01 A 10.0.5.2", False, None),
        ("10.0.5.3:80:", ("10.0.5.2", "10.0.5.3"), "iis01 A 10.0.5.2", True, PORTAL),
    ],
)  # fmt: skip
def test_the_names_of_a_binding_without_a_header(
    binding: str, addresses: tuple[str, ...], dns: str | None, farm: bool, needs: dict[str, str] | None
) -> None:
    entries = [farm_name("portal.test.com", "IIS01")] if farm else []
    found = world(server(site(binding), facts={"addresses": addresses}), dns=dns, farm=entries)
    assert found.needs == (needs or {})
    assert ("ip-only-binding" in found.ids) is (needs is None)


# -- names nobody said, names of the directory ---------------------------------------------------------------------

LONG = "AVERYLONGSERVERNAME"


@pytest.mark.parametrize("domain", ["test.com", "corp.example"])
def test_nothing_is_required_for_a_full_name_that_nobody_said(domain: str) -> None:
    facts = {"dns_name": Guess(f"{LONG.lower()}.{domain}"), "domain": domain}
    found = world(server(name=LONG, facts=facts))
    assert set(found.needs) == {"http/averylongserver"}
    assert found.report.servers[0].guessed == ("dns_name", "netbios_domain")[: len(found.report.servers[0].guessed)]


@pytest.mark.parametrize("full", ["averylongservername.test.com", "web7.disjoint.example"])
def test_where_the_full_name_was_not_collected_the_directory_says_it(full: str) -> None:
    account = computer(
        LONG[:15], "HOST/averylongserver", f"HOST/{full}", "HOST/alias.else.example", host=False,
        dNSHostName=full, msDS_AdditionalDnsHostName="alias.else.example",
    )  # fmt: skip
    facts = {"dns_name": Guess(f"{LONG.lower()}.test.com"), "domain": "test.com"}
    found = world(server(name=LONG, facts=facts), ad=ad(account))
    assert set(found.needs.values()) == {"covered", "optional"} if full.startswith(LONG.lower()) else {"covered"}
    wanted = {f"http/{full}", "http/averylongserver", "http/alias.else.example"}
    assert {name for name, need in found.needs.items() if need == "covered"} == wanted
    assert {str(r.outcome) for r in found.report.requirements if r.need == "covered"} == {"kerberos"}
    made_up = f"http/{LONG.lower()}.test.com"
    assert (made_up in found.needs) is (made_up == f"http/{full}")


def test_a_collected_full_name_counts_more() -> None:
    account = computer(dNSHostName="old.test.com")
    assert "http/old.test.com" not in world(server(), ad=ad(account)).needs


def test_an_additional_name_that_dns_does_not_have_leads_nobody_here() -> None:
    account = computer("IIS01", "HOST/alias.test.com", msDS_AdditionalDnsHostName="alias.test.com")
    assert "http/alias.test.com" not in world(server(), ad=ad(account), dns="iis01 A 10.0.5.2").needs
    assert (
        world(server(), ad=ad(account), dns="iis01 A 10.0.5.2;alias A 10.0.5.2").need("HTTP/alias.test.com")
        == "covered"
    )


# -- names in certificates -----------------------------------------------------------------------------------------


def certified(*listed: str, bindings: tuple[str, ...] = ("https *:443:",), **more: object) -> World:
    facts = {"certificate_names": (CertificateNames("SITE", listed),)}
    return world(server(site(*bindings), site("*:80:taken.test.com", name="Other"), facts=facts, **more))  # type: ignore[arg-type]


def test_a_name_in_a_certificate_that_no_site_claims_is_told_and_not_required() -> None:
    found = certified("portal.test.com", "taken.test.com", "*.test.com", "IIS01.test.com", "localhost", "10.0.5.2")
    told = found.finding("names-from-certificate")
    assert (told.severity, told.site) == ("info", "Site")
    assert told.message.endswith(": portal.test.com")
    assert 'name = [{ host = "portal.test.com", servers = ["IIS01"], site = "Site" }]' in told.fix[1]
    assert told.fix[0].endswith("--names, one on a line: portal.test.com")
    assert "http/portal.test.com" not in found.needs
    assert found.report.plan.steps == ()


@pytest.mark.parametrize(
    "how",
    [{"bindings": ("https *:443:*.test.com",)}, {"bindings": ("https *:443:portal.test.com",)}, {"enabled": False}],
)
def test_a_claimed_name_and_a_site_that_does_not_negotiate_are_silent(how: dict[str, object]) -> None:
    assert "names-from-certificate" not in certified("portal.test.com", **how).ids  # type: ignore[arg-type]


# -- the question --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "controller", "names_asked"),
    [
        ("ApplicationPoolIdentity", False, set()),
        (r"TEST\Svc", False, {"svc"}),
        (r"test.com\svc", False, {"svc"}),
        (r"TEST\gmsa$", False, {"gmsa$"}),
        ("Svc@Test.com", False, {"svc", "svc@test.com"}),
        ("svc", False, {"svc"}),
        (r".\svc", False, set()),
        (r"IIS01\svc", False, set()),
        (r".\svc", True, {"svc"}),
        (r"NT AUTHORITY\NETWORK SERVICE", False, set()),
    ],
)
def test_the_directory_is_asked_for_the_accounts_of_the_computer_and_of_the_pools(
    identity: str, controller: bool, names_asked: set[str]
) -> None:
    built = server(pool=identity, facts={"domain_controller": controller})
    asked = question(world(built).analysis.cases[0].servers, [])
    assert asked.account_names == {"iis01$"} | names_asked


def test_of_a_server_without_a_name_no_computer_is_asked_for() -> None:
    built = server(facts={"name": None, "dns_name": None})
    assert question(world(built).analysis.cases[0].servers, []).account_names == frozenset()


def test_the_servers_tell_the_directory_the_netbios_names_of_their_domains() -> None:
    facts: list[dict[str, object]] = [
        {},
        {"domain": "NORD.example", "netbios_domain": "NORDAD"},
        {"netbios_domain": None},
    ]
    built = [server(name=f"IIS0{number}", facts=each) for number, each in enumerate(facts, 1)]
    asked = question(world(*built).analysis.cases[0].servers, [])
    assert asked.netbios_domains == {"test.com": "TEST", "nord.example": "NORDAD"}


@pytest.mark.parametrize(("binding", "port"), [("*:80:x.test.com", 80), ("https *:8443:x.test.com", 8443)])
def test_every_name_is_asked_for_in_all_its_forms(binding: str, port: int) -> None:
    """HTTP/ and HOST/, full and by the first label, without and with the port; the computer's own ones too."""
    asked = question(world(server(site(binding))).analysis.cases[0].servers, clients_named(["edge"]))
    hosts = ("x", "x.test.com", "iis01", "iis01.test.com", f"x:{port}", f"x.test.com:{port}")
    assert {name.key for name in asked.spns} == {f"{service}/{host}" for service in ("http", "host") for host in hosts}


ZONE = (
    "iis01 A 10.0.5.2;contoso CNAME iis01;portal A 10.0.5.2;*.w47 A 10.0.5.2;out CNAME vip.balancer.example.;"
    "web CNAME web.branch;web.branch A 10.0.5.2;dangling CNAME nobody;$ORIGIN 5.0.10.in-addr.arpa.;2 PTR node.test.com."
)
TYPED = st.sampled_from(
    ["contoso", "contoso.test.com", "portal", "shop.w47.test.com", "out", "out.test.com", "web", "dangling", "nobody",
     "iis01", "averylongserver", "averylongservername", "x.else.example", "farm", "farm.test.com", "alias"]
)  # fmt: skip
KNOWN_AS = st.sampled_from(
    [{}, {"dns_name": Guess("iis01.test.com")}, {"dns_name": "iis01.ad.test.com"}, {"name": LONG, "dns_name": None}]
)
BINDINGS = st.sampled_from(["*:80:", "*:8080:", "*:80:contoso", "*:80:*.test.com", "10.0.5.2:80:portal.test.com"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(typed=TYPED, port=st.sampled_from([80, 8080]), facts=KNOWN_AS, binding=BINDINGS, asked=st.booleans())
def test_whatever_explain_speaks_of_was_asked(
    typed: str, port: int, facts: dict[str, object], binding: str, asked: bool
) -> None:
    """For every kind of client: no SPN is said to be held by nobody that nobody looked up."""
    accounts = ad(
        computer(dNSHostName="iis01.disjoint.example", msDS_AdditionalDnsHostName="alias.test.com"),
        computer(LONG[:15], dNSHostName="averylongservername.test.com"),
        user("contososvc"),
    )
    found = world(
        server(site(binding), **POOLED, facts=facts),  # type: ignore[arg-type]
        ad=accounts,
        service=names(ZONE) if asked else None,
        farm=[farm_name("farm.test.com", "IIS01")],
        clients=list(CLIENTS),
    )
    url = f"http://{typed}:{port}/"
    analysis = found.typed(_typed(url))
    directory = analysis.cases[0].directory
    assert directory is not None
    for outcome in found.explain(url):
        assert outcome.spn is not None
        assert outcome.spn.key in directory.asked, outcome.client
        assert (outcome.outcome in {"unchecked", "uncertain"}) or outcome.holders is not None


def _typed(url: str) -> object:
    from agent.story import read_url

    return read_url(url).typed


def test_a_wildcard_of_the_zone_is_looked_up_for_the_name_in_the_url() -> None:
    people = ad(computer(), user("xsvc", "HTTP/shop.w47.test.com"))
    found = world(server(), ad=people, dns="iis01 A 10.0.5.2;*.w47 A 10.0.5.2", clients=list(CLIENTS))
    assert found.ends("http://shop.w47.test.com/") == {"modified"}


@pytest.mark.parametrize("host", [host_name("contoso"), host_name("contoso.test.com")])
def test_a_name_in_full(host: HostName) -> None:
    view = world(server()).analysis.cases[0].servers[0]
    assert view.names.in_full(host) == host_name("contoso.test.com")


# -- several addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "condition"),
    [
        ("10.0.5.2", ()),
        ("10.0.5.2; x A 10.0.5.3", ()),
        ("10.0.5.2; x A 10.0.5.77", ("10.0.5.77 answers x.test.com as IIS01 does",)),
    ],
    ids=["here alone", "and at an inspected server", "and where nobody looked"],
)
def test_a_name_that_leads_past_what_was_inspected_is_judged_with_its_if(
    addresses: str, condition: tuple[str, ...]
) -> None:
    """Round robin: the server at the other address may decrypt with another key."""
    built = server(site("*:80:x.test.com"), name="IIS01", **POOLED)  # type: ignore[arg-type]
    other = server(site("*:80:else.test.com"), name="IIS02")
    people = ad(computer("IIS01"), computer("IIS02"), user(SERVICE.partition("\\")[2], "HTTP/x.test.com"))
    found = world(built, other, ad=people, dns=f"iis01 A 10.0.5.2; x A {addresses}")
    told = found.requirement("HTTP/x.test.com")
    assert (told.outcome, told.provided) == ("kerberos", condition)
