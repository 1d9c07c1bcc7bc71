"""Which way is recommended to mend one requirement, and which one is not even offered."""

from __future__ import annotations

import pytest
from worlds import (
    World,
    ad,
    app,
    computer,
    entry,
    farm_name,
    providers,
    server,
    site,
    user,
    whole,
    windows,
    world,
)

from agent.names import host_name, spn
from agent.spn.nameservice import NameService, Resolution

SERVICE = r"TEST\svc"
HEADER = "*:80:x.test.com"
NAME = "HTTP/x.test.com"
OWN = "HTTP/iis01.test.com"


def steps(found: World) -> list[tuple[str, str, str]]:
    return [(step.kind, str(step.spn or ""), str(step.account or "")) for step in found.report.plan.steps]


def kinds(found: World) -> list[str]:
    return [step.kind for step in found.report.plan.steps]


def others(found: World) -> list[list[str]]:
    return [[step.kind for step in way.steps] for way in found.report.plan.alternatives]


def host_header(found: World) -> bool:
    return any("a host header of its own" in (step.note or "") for step in found.report.plan.steps)


# -- a wrong holder ------------------------------------------------------------------------------------------------


def test_the_pool_is_let_decrypt_only_where_the_holder_is_its_account() -> None:
    on_pool = world(server(site(HEADER), pool=SERVICE), ad=ad(computer(), user("svc", NAME)))
    assert kinds(on_pool) == ["iis-setting"]
    elsewhere = world(server(site(HEADER), pool=SERVICE), ad=ad(computer(), user("svc"), user("other", NAME)))
    assert steps(elsewhere) == [("spn-delete", NAME, r"TEST\other"), ("spn-add", NAME, r"TEST\IIS01$")]


def test_a_page_with_settings_of_its_own_keeps_the_setting_of_its_application() -> None:
    """The page would go on decrypting as before, and the name would need two accounts."""
    page = f'<location path="Site/page.aspx">{windows(providers(["NTLM", "Negotiate"]))}</location>'
    found = world(server(site(HEADER), pool=SERVICE, body=page), ad=ad(computer(), user("svc", NAME)))
    assert [place.path for place in found.application().places] == ["/page.aspx"]
    assert kinds(found) == ["spn-delete", "spn-add"]


@pytest.mark.parametrize(
    "hosts", [(computer(), computer("OLD", "HOST/iis01.test.com")), (computer("OLD", "HOST/iis01.test.com"),)]
)
def test_a_wrong_spn_is_only_deleted_where_the_computer_alone_answers_then(hosts: tuple[str, ...]) -> None:
    account = () if len(hosts) == 2 else (computer(host=False),)
    found = world(server(), ad=ad(*hosts, *account, user("wrong", OWN)))
    assert ("spn-add", OWN, r"TEST\IIS01$") in steps(found)
    alone = world(server(), ad=ad(computer(), user("wrong", OWN)))
    assert steps(alone) == [("spn-delete", OWN, r"TEST\wrong")]


def test_an_explicit_spn_is_not_left_to_a_host_spn() -> None:
    """HOST/x on the service account would serve, but only as long as nobody tidies it up."""
    found = world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=ad(computer(), user("svc", "HOST/x.test.com"), user("wrong", NAME)),
    )
    assert steps(found) == [("spn-delete", NAME, r"TEST\wrong"), ("spn-add", NAME, SERVICE)]


def test_the_right_holder_stays_even_of_another_servers_name() -> None:
    found = world(
        server(site("*:80:iis02.test.com"), name="IIS01", pool=SERVICE, creds=True),
        server(site("*:80:else.test.com"), name="IIS02"),
        ad=ad(
            computer("IIS01"),
            computer("IIS02", "HTTP/else.test.com"),
            user("svc", "HTTP/iis02.test.com"),
            user("old", "HTTP/iis02.test.com"),
        ),
        dns="iis02 A 10.0.5.2",
    )
    assert steps(found) == [("spn-delete", "HTTP/iis02.test.com", r"TEST\old")]


def test_an_account_that_is_not_there_gets_nothing() -> None:
    def made(covers: bool) -> World:
        built = server(site(HEADER), pool=SERVICE, creds=True)
        return world(built, ad=ad(computer(), user("other", NAME), covers=covers))

    assert kinds(made(covers=False)) == [], "it may exist, but nobody saw it"
    assert kinds(made(covers=True)) == []
    assert made(covers=True).outcome(NAME) == "impossible"
    assert not made(covers=True).findings("spn-misplaced")
    assert made(covers=True).finding("account-not-found").severity == "error"


def test_no_setting_changes_while_it_is_open_whether_another_name_of_the_application_is_a_farms() -> None:
    """Who decrypts changes for all names: p is bound on IIS02 too, which decrypts otherwise."""
    both = site(HEADER, "*:80:p.test.com")
    entries = ad(computer("IIS01"), computer("IIS02"), user("svc", NAME, "HTTP/p.test.com"))
    alone = world(server(both, pool=SERVICE), ad=entries)
    assert kinds(alone) == ["iis-setting"]
    twin = server(site("*:80:p.test.com"), name="IIS02", pool=SERVICE, creds=True)
    found = world(server(both, pool=SERVICE), twin, ad=entries)
    assert "iis-setting" not in kinds(found)
    assert found.finding("farm-suspected").spn == spn("HTTP/p.test.com")


# -- nobody holds it -----------------------------------------------------------------------------------------------


def test_a_computer_without_its_host_spns_gets_the_explicit_ones() -> None:
    found = world(server(), ad=ad(computer(host=False), user("else", "HTTP/else.test.com")))
    assert steps(found) == [("spn-add", "HTTP/IIS01", r"TEST\IIS01$"), ("spn-add", OWN, r"TEST\IIS01$")]
    assert others(found) == []


def test_the_computer_decrypts_again_only_where_nothing_but_its_own_names_is_served() -> None:
    """HOST/x on the computer would answer for x too; but x is no name of the computer."""
    found = world(
        server(site(), pool=SERVICE, creds=True),
        ad=ad(computer("IIS01", "HOST/x.test.com", "HOST/x"), user("svc", NAME, "HTTP/x")),
        dns="iis01 A 10.0.5.2; x A 10.0.5.2",
    )
    assert host_header(found)
    assert "iis-setting" not in kinds(found)


def test_the_computer_does_not_decrypt_again_above_a_page_of_its_own() -> None:
    page = f'<location path="Site/page.aspx">{windows(providers(["NTLM", "Negotiate"]))}</location>'
    found = world(server(pool=SERVICE, creds=True, body=page), ad=ad(computer(), user("svc")))
    assert host_header(found)
    assert "iis-setting" not in kinds(found)


def test_the_computer_does_not_decrypt_again_where_its_host_spns_are_gone() -> None:
    found = world(server(pool=SERVICE, creds=True), ad=ad(computer(host=False), user("svc", "HTTP/else.test.com")))
    assert host_header(found)
    assert "iis-setting" not in kinds(found)


def test_only_what_keeps_the_computer_from_decrypting_is_changed() -> None:
    found = world(server(pool=SERVICE, kernel=False), ad=ad(computer(), user("svc")))
    (step,) = found.report.plan.steps
    assert "/useKernelMode:true" in (step.command or "")


def test_a_pool_of_which_nobody_knows_whether_it_can_decrypt_is_not_let() -> None:
    """Whether IIS can run a pool as a standalone dMSA, no document says."""
    managed = entry("dmsa$", NAME, kind="dMSA")
    found = world(server(site(HEADER), pool=r"TEST\dmsa$"), ad=ad(computer(), managed))
    assert found.outcome(NAME) == "modified"
    assert kinds(found) == ["spn-delete", "spn-add"]


def test_a_setting_is_changed_in_the_file_that_its_value_comes_from() -> None:
    """appcmd writes to the web.config unless told to commit to applicationHost.config."""
    nearby = f"<configuration>{windows(useKernelMode='false')}</configuration>"
    found = world(server(pool=SERVICE, creds=True, mode="Allow", web={"": nearby}), ad=ad(computer(), user("svc")))
    assert [(step.command or "").partition("Authentication /")[2] for step in found.report.plan.steps] == [
        "useKernelMode:true",
        "useAppPoolCredentials:false /commit:apphost",
    ]
    assert {(step.command or "").split('"')[1] for step in found.report.plan.steps} == {"Site"}


def test_a_setting_of_a_place_that_cannot_be_typed_is_made_by_hand() -> None:
    found = world(server(site(HEADER, name="A % B"), pool=SERVICE), ad=ad(computer(), user("svc", NAME)))
    (step,) = found.report.plan.steps
    assert (step.kind, step.command, step.rollback) == ("iis-setting", None, None)
    assert (step.note or "").startswith(
        "In IIS Manager on IIS01 set useAppPoolCredentials=true for A % B/ (it is false now)."
    )


# -- aliases -------------------------------------------------------------------------------------------------------


def behind_vip(*entries: str) -> World:
    return world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=ad(computer(), user("svc", NAME), *entries),
        dns="iis01 A 10.0.5.2; vip A 10.0.5.2; x CNAME vip",
    )


def test_an_alias_of_a_name_that_nobody_holds_keeps_its_cname() -> None:
    found = behind_vip()
    assert steps(found) == [("spn-add", "HTTP/vip.test.com", SERVICE)]
    assert others(found) == [["dns"]]


def test_an_alias_of_a_name_that_another_account_holds_becomes_a_name_of_its_own() -> None:
    found = behind_vip(user("other", "HTTP/vip.test.com"))
    assert kinds(found) == ["dns"]
    assert others(found) == []


def test_no_record_takes_the_place_of_an_alias_while_nobody_knows_who_holds_the_typed_name() -> None:
    """Clients would then ask for it; a part of the directory does not tell that nobody holds it."""
    part = ad(computer(), user("svc"), user("other", "HTTP/vip.test.com"), covers=False)
    zone = "iis01 A 10.0.5.2; vip A 10.0.5.2; x CNAME vip"
    found = world(server(site(HEADER), pool=SERVICE, creds=True), ad=part, dns=zone)
    assert found.outcome("HTTP/vip.test.com") == "modified"
    assert kinds(found) == []
    assert found.finding("client-spn-variant").fix == (f"See who holds {NAME} first: what was read does not tell.",)


def test_a_typed_name_that_another_account_holds_is_moved_by_its_own_finding() -> None:
    """The record in place of the alias relies on it: both are in the plan."""
    found = world(
        server(site(HEADER), pool=SERVICE, creds=True),
        ad=ad(computer(), user("svc"), user("other", NAME)),
        dns="iis01 A 10.0.5.2; x CNAME iis01",
    )
    assert set(steps(found)) == {("spn-delete", NAME, r"TEST\other"), ("spn-add", NAME, SERVICE), ("dns", "", "")}


def test_a_name_of_its_own_is_registered_as_clients_then_ask_for_it() -> None:
    found = world(
        server(site("*:8080:x.test.com"), pool=SERVICE, creds=True),
        ad=ad(computer(), user("svc", NAME)),
        dns="iis01 A 10.0.5.2; x CNAME iis01",
        clients=["edge-port"],
    )
    assert steps(found) == [("dns", "", ""), ("spn-add", f"{NAME}:8080", SERVICE)]


@pytest.mark.parametrize(("kind", "address"), [("A", "10.0.5.2"), ("AAAA", "2001:db8::2")])
def test_an_alias_of_one_address_becomes_a_record_of_its_kind(kind: str, address: str) -> None:
    found = world(
        server(site(HEADER), pool=SERVICE, creds=True, facts={"addresses": (address,)}),
        ad=ad(computer(), user("svc", NAME)),
        dns=f"iis01 {kind} {address}; x CNAME iis01",
    )
    (step,) = found.report.plan.steps
    delete, add = "dnscmd /RecordDelete test.com x", "dnscmd /RecordAdd test.com x"
    assert step.command == f"{delete} CNAME /f && {add} {kind} {address}"
    assert step.rollback == f"{delete} {kind} /f && {add} CNAME iis01.test.com."


def test_an_alias_whose_address_is_not_known_is_told_in_words() -> None:
    built = server(site(HEADER), pool=SERVICE, creds=True)
    found = world(
        built,
        ad=ad(computer(), user("svc", NAME)),
        dns="iis01 A 10.0.5.2; iis01 A 10.0.6.2; x CNAME iis01",
    )
    (step,) = found.report.plan.steps
    assert (step.kind, step.command, step.rollback) == ("dns", None, None)
    assert step.note == "In DNS replace the alias x.test.com of iis01.test.com by an A record (10.0.5.2, 10.0.6.2)."


# -- where nobody looked -------------------------------------------------------------------------------------------


def test_where_nobody_looked_it_is_said_how_to_look_and_what_is_right() -> None:
    found = world(server(site(HEADER), site(name="Own", apps=[app("/", "Own")]), pools={"Pool": SERVICE, "Own": ""}))
    assert found.requirement(NAME).advice == (
        f"See who holds it: setspn -F -Q {NAME}",
        rf"Where nobody does: setspn -F -C -S {NAME} TEST\IIS01",
    )
    assert found.requirement(OWN).advice == (
        f"See who holds it: setspn -F -Q {OWN}",
        "Nobody needs to hold it: HOST/iis01.test.com serves. Any other holder breaks the site.",
    )
    assert found.requirement("HTTP/x").advice == (), "optional"


def test_where_nobody_looked_and_several_accounts_decrypt_nothing_is_registered() -> None:
    twins = [server(site(HEADER), name=name) for name in ("IIS01", "IIS02")]
    (first, second) = world(*twins).requirements(NAME)
    assert first.advice == second.advice
    assert first.advice[0] == f"See who holds it: setspn -F -Q {NAME}"
    assert "put this into the farm file" in first.advice[1]


def test_a_name_that_cannot_be_typed_is_not_looked_up_in_words_that_hold_it() -> None:
    found = world(server(pool=SERVICE, creds=True), dns=r"iis01 A 10.0.5.2; a\%b A 10.0.5.2")
    assert found.requirement("HTTP/a%b.test.com").need == "explicit"
    assert found.requirement("HTTP/a%b.test.com").advice == ()
    unquotable = world(server(site(HEADER), pool=r"TEST\a%b", creds=True))
    assert unquotable.requirement(NAME).advice[1] == rf"Where nobody does: add {NAME} to TEST\a%b"


def test_a_doubt_that_no_document_settles_is_told_with_the_ticket_that_shows_it() -> None:
    abroad = (
        whole("child.test.com")
        + computer("OLD", host=False, domain="child.test.com")
        + entry("o$", "HOST/x.test.com", kind="computer", domain="child.test.com")
    )
    split = world(server(site(HEADER), pool=SERVICE, creds=True), ad=ad(computer(), user("svc", NAME)) + abroad)
    assert split.outcome(NAME) == "uncertain"
    assert [line.endswith(f"klist get {NAME}") for line in split.requirement(NAME).advice] == [True]
    nobody = world(server(site(HEADER), pool="LocalService", kernel=False), ad=ad(computer()))
    assert (nobody.outcome(NAME), nobody.requirement(NAME).advice) == ("uncertain", ())


def test_a_farm_that_nobody_looked_up_leaves_the_other_names_of_its_nodes_alone() -> None:
    first = server(site(HEADER, "*:80:y.test.com"), name="IIS01", pool=SERVICE)
    second = server(site(HEADER), name="IIS02", pool=SERVICE, creds=True)
    found = world(first, second, farm=[farm_name("x.test.com", "IIS01", "IIS02")])
    assert kinds(found) == []
    assert found.finding("farm-nodes-differ").fix[-1].endswith("separate them first.")


def test_a_conflict_on_one_server_is_settled_with_the_farm_whose_account_its_pool_runs_as() -> None:
    """y needs two accounts on IIS01 by a setting alone, and moves along with x."""
    apps = [app("/", creds=True), app("/b", creds=False)]
    first = server(site(HEADER, "*:80:y.test.com", apps=apps), name="IIS01", pool=SERVICE)
    second = server(site(HEADER), name="IIS02", pool=SERVICE, creds=True)
    people = ad(computer("IIS01"), computer("IIS02"), user("svc"))
    found = world(first, second, ad=people, farm=[farm_name("x.test.com", "IIS01", "IIS02")])
    assert steps(found) == [
        ("iis-setting", NAME, SERVICE),
        ("spn-add", NAME, SERVICE),
        ("spn-add", "HTTP/y.test.com", SERVICE),
    ]
    assert [step.command for step in found.report.plan.steps if '"Site/b"' in (step.command or "")]


@pytest.mark.parametrize(("other", "repaired"), [(SERVICE, True), (r"TEST\other", False), (r".\local", False)])
def test_a_conflict_is_settled_where_the_settings_alone_differ(other: str, repaired: bool) -> None:
    apps = [app("/", "A", creds=True), app("/b", "B", creds=False)]
    asked = server(site(HEADER, apps=apps), pools={"A": SERVICE, "B": other})
    found = world(asked, ad=ad(computer(), user("svc", NAME), user("other")))
    assert steps(found) == ([("iis-setting", NAME, SERVICE)] if repaired else [])
    told = found.findings("spn-conflict")
    assert [one.finding for one in found.report.plan.blocked if one.finding == "spn-conflict"] == (
        [] if repaired else ["spn-conflict"] * len(told)
    )
    assert all(one.fix[0].startswith("Set useAppPoolCredentials=true") is repaired for one in told)


def test_a_conflict_about_the_computers_own_name_is_settled_for_the_computer() -> None:
    """Whatever else of http.sys works by that name needs the computer (rule R6.7)."""
    apps = [app("/", creds=True), app("/b", creds=False)]
    asked = server(site("*:80:", apps=apps), pool=SERVICE)
    found = world(asked, ad=ad(computer(), user("svc", OWN)))
    assert ("spn-delete", OWN, SERVICE) in steps(found)
    (setting,) = [step.command or "" for step in found.report.plan.steps if step.kind == "iis-setting"]
    assert '"Site"' in setting
    assert "useAppPoolCredentials:false" in setting


def advice(*bindings: tuple[str, str], declared: tuple[str, ...] = ()) -> str:
    """What a conflict says may be done: an application of its own account at each of these (site, binding)."""
    sites = [site(*[b for s, b in bindings if s == n], name=n, apps=[app("/", n)]) for n in dict(bindings)]
    pools = {name: rf"TEST\{name}" for name in dict(bindings)}
    farm = [farm_name("x.test.com", *declared)] if declared else []
    return " ".join(world(server(*sites, pools=pools, creds=True), farm=farm).finding("spn-conflict").fix)


def test_what_a_conflict_advises_fits_the_case() -> None:
    """A port tells applications apart where each has its own; 80 and 443 stand in no SPN (KB908209)."""
    by_port = advice(("A", "*:80:x.test.com"), ("B", "*:8080:x.test.com"))
    assert "SPNs with the port" in by_port
    assert "one server only" in by_port
    assert "SPNs with the port" not in advice(("A", "*:80:x.test.com"), ("B", "https *:443:x.test.com"))
    assert "one server only" not in advice(
        ("A", "*:80:x.test.com"), ("B", "*:8080:x.test.com"), declared=("IIS01", "IIS02")
    )


def test_an_spn_that_a_step_removes_is_not_to_be_moved_as_well() -> None:
    """One SPN, one instruction, in the whole report."""
    found = world(server(), ad=ad(computer(), user("svc", OWN)))
    assert steps(found) == [("spn-delete", OWN, SERVICE)]
    (collision,) = found.findings("winrm-collision")
    assert [sentence.partition(" (")[0] for sentence in collision.fix] == [rf"Remove it: setspn -U -D {OWN} {SERVICE}"]
    stays = world(server(pool=SERVICE, creds=True, kernel=False), ad=ad(computer(), user("svc", OWN, "HTTP/IIS01")))
    assert "move the SPN to that name" in stays.findings("winrm-collision")[0].fix[0]


def test_a_farm_that_nobody_looked_up_has_no_step() -> None:
    nodes = [server(site(HEADER), name=n, pool=SERVICE, creds=n == "IIS02") for n in ("IIS01", "IIS02")]
    found = world(*nodes, farm=[farm_name("x.test.com", "IIS01", "IIS02")])
    assert kinds(found) == []
    assert found.finding("farm-nodes-differ").fix[-1].startswith(f"See who holds {NAME} (setspn -F -Q) first")


# -- what a command reaches ----------------------------------------------------------------------------------------


def commands(found: World) -> list[str]:
    return [step.command for step in found.report.plan.steps if step.command is not None]


def test_a_record_is_changed_in_the_zone_that_dns_showed() -> None:
    """DnsRecordAdd takes a zone and a node below it (MS-DNSP 2.2.1.2): what follows the first label need be no zone."""
    asked = server(site("*:80:a.sub.test.com"), pool=SERVICE, creds=True)
    people = ad(computer(), user("svc", "HTTP/a.sub.test.com", "HTTP/a"))
    (shown,) = commands(world(asked, ad=people, dns="iis01 A 10.0.5.2; a.sub CNAME iis01"))
    assert "/RecordAdd test.com a.sub A 10.0.5.2" in shown
    near = "iis01 A 10.0.5.2\n$ORIGIN sub.test.com.\n@ IN SOA dc1.test.com. h.test.com. ( 1 900 600 86400 3600 )\n"
    (shown,) = commands(world(asked, ad=people, dns=f"{near}a CNAME iis01.test.com."))
    assert "/RecordAdd sub.test.com a A 10.0.5.2" in shown


def test_a_record_is_changed_by_hand_where_a_resolver_shows_no_zones() -> None:
    alias, real = host_name("x.test.com"), host_name("iis01.test.com")
    answers = {
        alias: Resolution(chain=(alias, real), addresses=("10.0.5.2",)),
        real: Resolution(chain=(real,), addresses=("10.0.5.2",)),
    }
    service = NameService(source="system", suffixes=("test.com",), answers=answers)
    people = ad(computer(), user("svc", NAME, "HTTP/x"))
    found = world(server(site(HEADER), pool=SERVICE, creds=True), ad=people, service=service)
    (step,) = found.report.plan.steps
    assert (step.kind, step.command) == ("dns", None)
    assert (step.note or "").startswith(
        "In DNS replace the alias x.test.com of iis01.test.com by an A record (10.0.5.2)"
    )


def test_a_shared_file_is_written_once_and_the_step_says_for_whom() -> None:
    nodes = [
        server(site(HEADER), name=f"IIS0{number}", pool=SERVICE, redirect=r"\\files\iis") for number in range(1, 4)
    ]
    computers = [computer(f"IIS0{number}") for number in range(1, 4)]
    (step,) = world(*nodes, ad=ad(*computers, user("svc", NAME))).report.plan.steps
    assert (step.server, step.kind) == ("IIS01", "iis-setting")
    assert "the file is shared: this holds for IIS02, IIS03 too" in (step.note or "")


def test_nothing_is_told_of_a_share_where_each_server_has_its_own_file() -> None:
    nodes = [server(site(HEADER), name=name, pool=SERVICE) for name in ("IIS01", "IIS02")]
    people = ad(computer("IIS01"), computer("IIS02"), user("svc", NAME))
    found = world(*nodes, ad=people, farm=[farm_name("x.test.com", "IIS01", "IIS02")])
    assert [(step.server, step.note) for step in found.report.plan.steps] == [("IIS01", None), ("IIS02", None)]


def test_an_account_that_two_domains_have_is_named_in_no_command_without_its_domain() -> None:
    people = [ad(computer(), user("svc")), whole("child.test.com") + user("svc", NAME, domain="child.test.com")]
    asked = server(site(HEADER), pool=SERVICE, creds=True)
    found = world(asked, ad=people)
    assert commands(found) == []
    assert (
        found.finding("spn-misplaced")
        .fix[-1]
        .endswith("give --netbios-domain NAME=child.test.com, so that a command can say which one.")
    )
    known = world(asked, ad=people, netbios={"child.test.com": "KID"})
    assert commands(known)[0] == rf"setspn -U -D {NAME} KID\svc"


# -- what breaks elsewhere -----------------------------------------------------------------------------------------


def notes(found: World) -> dict[str, str]:
    return {step.kind: step.note or "" for step in found.report.plan.steps}


def test_who_delegates_to_the_present_holder_is_told_where_another_account_answers_then() -> None:
    """The list stands on the account of the back end (MS-ADA2, msDS-AllowedToActOnBehalfOfOtherIdentity)."""
    allows = {"msDS_AllowedToActOnBehalfOfOtherIdentity": "x"}
    asked = server(site(HEADER), pool=SERVICE, creds=True)
    moved = world(asked, ad=ad(computer(), user("svc"), user("old", NAME, **allows)))
    assert r"TEST\old allows to delegate to it" in notes(moved)["spn-delete"]
    assert "delegate" not in notes(moved)["spn-add"]
    assert "delegate" not in notes(world(asked, ad=ad(computer(), user("svc"), user("old", NAME))))["spn-delete"]
    switched = world(server(site(HEADER), pool=SERVICE), ad=ad(computer(**allows), user("svc", NAME)))
    assert r"TEST\IIS01$ allows to delegate to it" in notes(switched)["iis-setting"]


@pytest.mark.parametrize(("front", "told"), [("child.test.com", True), ("test.com", False)])
def test_who_may_delegate_to_an_spn_is_told_where_it_would_leave_the_domain(front: str, told: bool) -> None:
    """Constrained delegation by the front end's own list ends at the domain's border (rule R8.6)."""
    lists = {"msDS_AllowedToDelegateTo": NAME, "domain": front}
    others = whole("child.test.com") + user("front", "HTTP/iis01.test.com", **lists)
    asked = server(site(HEADER), pool=SERVICE, creds=True)
    found = world(asked, ad=[ad(computer(), user("svc"), user("old", NAME)), others])
    adding = next(s for s in found.report.plan.steps if s.kind == "spn-add" and s.spn == spn(NAME))
    assert ("may delegate to it" in (adding.note or "")) is told


def test_another_service_of_the_present_holder_is_told() -> None:
    asked = server(site(HEADER), pool=SERVICE, creds=True)
    reporting = user("rs", NAME, "MSSQLSvc/db.test.com:1433")
    assert (
        "it holds MSSQLSvc/db.test.com:1433 too"
        in notes(world(asked, ad=ad(computer(), user("svc"), reporting)))["spn-delete"]
    )


def test_the_fault_behind_a_duplicate_host_is_told_with_whom_to_ask() -> None:
    """An HTTP/ SPN mends the site alone: CIFS, WSMAN and the others go on failing (sPNMappings)."""
    found = world(server(), ad=ad(computer(), computer("OLD", "HOST/iis01.test.com")))
    assert ("spn-add", OWN, r"TEST\IIS01$") in steps(found)
    (note,) = [step.note or "" for step in found.report.plan.steps if step.kind == "manual"]
    assert note.startswith(r"HOST/iis01.test.com is on TEST\OLD$ too")
    assert "ask the owner" in note
    alone = world(server(), ad=ad(computer(host=False)))
    assert "manual" not in kinds(alone)


# -- a name that another computer of the directory has --------------------------------------------------------------


TAKEN = "HTTP/iis09.test.com"


@pytest.mark.parametrize(
    ("dns", "outcome", "need", "planned"),
    [
        (None, "modified", "explicit", []),
        ("iis01 A 10.0.5.2", "modified", "explicit", []),
        ("iis01 A 10.0.5.2;iis09 A 10.0.5.2", "modified", "explicit", [("spn-add", TAKEN, r"TEST\IIS01$")]),
        ("iis01 A 10.0.5.2;iis09 A 10.0.5.9", "modified", "optional", []),
    ],
    ids=["DNS not asked", "not in the zone", "leads here: it was taken over", "leads to that computer"],
)
def test_a_name_of_another_computer_gets_no_spn_unless_it_leads_here(
    dns: str | None, outcome: str, need: str, planned: list[tuple[str, str, str]]
) -> None:
    """An SPN for its name takes WinRM and every http.sys service from a computer in use (R6.7); a retired one, R4.4."""
    found = world(server(site("*:80:iis09.test.com")), ad=ad(computer(), computer("IIS09")), dns=dns)
    assert (found.outcome(TAKEN), found.requirement(TAKEN).need) == (outcome, need)
    assert steps(found) == planned
    assert others(found) == []
    assert bool(found.errors) == (need == "explicit")
