"""What a report says beside its verdicts: what they rest on, what was read, the counts, the causes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import World, ad, app, computer, cross_reference, farm_name, server, setspn_l, site, user, world

from agent import exits, inspect
from agent.checks.causes import _with_word, causes
from agent.cli.program import main
from agent.model import Accepted, Finding, Report, SpnCounts
from agent.names import AccountName, spn

CONTOSO = "HTTP/contoso.test.com"
HEADER = "*:80:contoso.test.com"
SERVICE = r"TEST\svc"
NAMELESS = {"name": None, "dns_name": None, "domain": None, "netbios_domain": None}
NO_ALIAS = ("no name is an alias",)


def pooled(*bindings: str, held: Sequence[str] = (CONTOSO,), dns: str | None = None, **given: object) -> World:
    """A server whose pool account decrypts, and the directory that has it."""
    built = server(site(*bindings or (HEADER,)), pool=SERVICE, creds=True, **given)  # type: ignore[arg-type]
    return world(built, ad=ad(computer(), user("svc", *held)), dns=dns)


def counts(found: World) -> dict[str, int]:
    spns = found.report.spns
    return {name: getattr(spns, name) for name in type(spns).__struct_fields__ if getattr(spns, name)}


# -- causes that are one ----------------------------------------------------------------------------------------


@given(st.lists(st.text("ab\\", min_size=1, max_size=4), min_size=1, max_size=5), st.text("ab\\ ", max_size=12))
def test_a_word_stands_for_the_longest_name_at_each_place(names: list[str], text: str) -> None:
    expected, rest = "", text
    while rest:
        longest = max((name for name in names if rest.startswith(name)), key=len, default="")
        expected += "W" if longest else rest[0]
        rest = rest[len(longest) or 1 :]
    assert _with_word(text, set(names), "W") == expected


def test_accounts_of_which_one_is_the_beginning_of_another_are_one_cause() -> None:
    names = [f"HTTP/s{number}.test.com" for number in range(12)]
    sites = [site(f"*:80:s{number}.test.com", name=f"S{number}") for number in range(12)]
    held = [user(f"other{number}", name) for number, name in enumerate(names)]
    found = world(server(*sites, pool=SERVICE, creds=True), ad=ad(computer(), user("svc"), *held))
    assert [len(cause.spns) for cause in causes(found.report.findings) if cause.finding == "spn-misplaced"] == [12]


# -- what an outcome takes for granted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "outcome"), [((CONTOSO,), "kerberos"), ((), "ntlm-fallback"), (("HTTP/other",), "ntlm-fallback")]
)
def test_without_dns_no_name_is_an_alias(held: Sequence[str], outcome: str) -> None:
    needed = pooled(held=held).requirement(CONTOSO)
    assert (needed.outcome, needed.provided) == (outcome, NO_ALIAS)


@pytest.mark.parametrize("dns", ["contoso A 10.0.5.2", "www A 10.0.5.9", "contoso CNAME iis01;iis01 A 10.0.5.2"])
def test_a_zone_that_covers_the_name_says_whether_it_is_one(dns: str) -> None:
    assert pooled(dns=dns).requirement(CONTOSO).provided == ()


def test_a_zone_of_another_name_does_not() -> None:
    other = "HTTP/www.partner.example"
    found = pooled(HEADER, "*:80:www.partner.example", held=(CONTOSO, other), dns="contoso A 10.0.5.2")
    assert found.requirement(CONTOSO).provided == ()
    assert found.requirement(other).provided == NO_ALIAS


def test_clients_that_send_what_is_typed_do_not_care() -> None:
    built = server(site(HEADER), pool=SERVICE, creds=True)
    found = world(built, ad=ad(computer(), user("svc", CONTOSO)), clients=["curl-sspi", "chrome-nocname"])
    assert found.requirement(CONTOSO).provided == ()


def test_a_short_name_is_asked_for_only_where_nothing_makes_it_longer() -> None:
    assert pooled().requirement("HTTP/contoso").provided == ()


@pytest.mark.parametrize("given", [None, ad(computer(), covers=False)], ids=["nobody", "a part"])
def test_what_nobody_looked_up_takes_nothing_for_granted(given: str | None) -> None:
    needed = world(server(site(HEADER), pool=SERVICE, creds=True), ad=given).requirement(CONTOSO)
    assert needed.outcome in {"unchecked", "uncertain"}
    assert needed.provided == ()


def test_a_guessed_label_is_taken_for_granted_and_a_read_one_is_not() -> None:
    facts = {"netbios_domain": None}
    built = server(site(HEADER), pool=SERVICE, creds=True, facts=facts)
    for more, provided in (((), ("TEST is test.com",)), ((cross_reference("TEST"),), ())):
        found = world(built, ad=ad(computer(), user("svc", CONTOSO), *more), dns="contoso A 10.0.5.2")
        assert found.requirement(CONTOSO).provided == provided


def test_the_story_says_it_too() -> None:
    for dns, provided in ((None, NO_ALIAS), ("contoso A 10.0.5.2", ())):
        assert {one.provided for one in pooled(dns=dns).explain("http://contoso.test.com/")} == {provided}


# -- the counts ----------------------------------------------------------------------------------------------------


def test_optional_names_are_not_counted() -> None:
    found = pooled()
    assert found.need("HTTP/contoso") == "optional"
    assert counts(found) == {"ok": 1}


def test_each_outcome_is_counted() -> None:
    held = {"a": "svc", "b": "old", "c": "svc"}
    bindings = [f"*:80:{name}.test.com" for name in "abcd"]
    entries = [
        user(who, *(f"HTTP/{name}.test.com" for name, holder in held.items() if holder == who))
        for who in ("svc", "old")
    ]
    double = user("twin", "HTTP/c.test.com")
    built = server(site(*bindings), pool=SERVICE, creds=True)
    found = world(built, ad=ad(computer(), *entries, double), dns="a A 10.0.5.2")
    assert counts(found) == {"ok": 1, "broken": 2, "ntlm": 1}
    assert counts(world(built)) == {"not_checked": 4}


@pytest.mark.parametrize("bindings", [("*:80:",), (HEADER, "*:80:"), ("*:80:", "https *:443:")], ids=str)
def test_an_application_whose_names_nobody_said_counts_one(bindings: tuple[str, ...]) -> None:
    built = server(site(*bindings, apps=[app(), app("/off", enabled=False)]), pool=SERVICE, creds=True, facts=NAMELESS)
    found = world(built, ad=ad(user("svc", CONTOSO)))
    assert counts(found)["uncertain"] == 1
    assert found.application(server=found.report.servers[0].name).names_known is False


def test_a_name_of_a_binding_is_known_whatever_the_server_is_called() -> None:
    found = pooled(facts=NAMELESS)
    assert counts(found) == {"ok": 1}


def test_a_short_header_needs_the_suffix_that_nobody_gave() -> None:
    facts = {"dns_name": None, "domain": None}
    assert counts(pooled("*:80:contoso", held=("HTTP/contoso",), facts=facts))["uncertain"] == 1
    assert "uncertain" not in counts(pooled("*:80:contoso", held=("HTTP/contoso", CONTOSO)))


@pytest.mark.parametrize(
    ("dns", "known"),
    [
        (None, False),
        ("www A 10.0.5.9", False),
        ("a.apps A 10.0.5.9", True),
        ("*.apps A 10.0.5.2", False),
        ("a.apps A 10.0.5.2", True),
    ],
)
def test_what_a_wildcard_stands_for_is_known_from_a_zone(dns: str | None, known: bool) -> None:
    assert pooled("*:80:*.apps.test.com", dns=dns).application().names_known is known


@pytest.mark.parametrize("bindings", [("10.9.9.9:80:",), ("net.pipe *",)], ids=str)
def test_who_is_reached_by_address_only_has_no_name_to_know(bindings: tuple[str, ...]) -> None:
    assert counts(pooled(*bindings)) == {}


def test_servers_are_counted_by_their_status(tmp_path: Path) -> None:
    (tmp_path / "broken.config").write_text("<configuration", encoding="utf-8")
    report = inspect([tmp_path / "broken.config"])
    assert report.summary is not None
    told = report.summary.servers
    assert (told.asked, told.answered, told.failed, told.partial) == (1, 0, 1, 0)


# -- what was read -------------------------------------------------------------------------------------------------


def reads(report: Report) -> list[tuple[str, str | None, bool, tuple[str, ...]]]:
    assert report.summary is not None
    return [
        (read.kind, read.source and Path(read.source).name, read.asked, read.covers) for read in report.summary.read
    ]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    built = server(site(HEADER), pool=SERVICE, creds=True)
    (tmp_path / "web.config").write_bytes(built.files["applicationhost.config"].data)
    texts = {
        "whole.ldif": ad(computer(), user("svc", CONTOSO)),
        "part.ldif": ad(user("other", CONTOSO), covers=False),
        "held.txt": setspn_l({"CN=svc,DC=test,DC=com": [CONTOSO]}),
        "test.com.dns": "$ORIGIN test.com.\n@ SOA a. b. 1 1 1 1 1\ncontoso A 10.0.5.2\n",
        "farm.toml": '[[name]]\nhost = "vip.test.com"\nservers = ["IIS01"]\n',
        "accept.toml": '[[accept]]\nid = "spn-missing"\nsubject = "*"\nreason = "known"\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        os.utime(tmp_path / name, (1764237600, 1764237600))
    return tmp_path


def test_every_file_is_named_with_its_date_and_what_it_covers(files: Path) -> None:
    report = inspect(
        files / "web.config",
        computer="iis01.test.com",
        ad=[files / "whole.ldif", files / "part.ldif", files / "held.txt"],
        dns=files / "test.com.dns",
        farm=files / "farm.toml",
        accept=files / "accept.toml",
    )
    assert reads(report) == [
        ("config", "web.config", True, ("IIS01",)),
        ("directory", "whole.ldif", True, ("test.com",)),
        ("directory", "part.ldif", True, ()),
        ("directory", "held.txt", True, ()),
        ("dns", "test.com.dns", True, ("test.com",)),
        ("farm", "farm.toml", True, ()),
        ("accept", "accept.toml", True, ()),
    ]
    assert report.summary is not None
    assert {read.date for read in report.summary.read if read.kind != "config"} == {"2025-11-27T10:00:00Z"}
    noted = {Path(read.source or "").name for read in report.summary.read if read.note and read.kind == "directory"}
    assert noted == {"part.ldif", "held.txt"}


def test_who_was_not_asked_is_named_with_what_that_leaves_open(files: Path) -> None:
    report = inspect(files / "web.config", computer="iis01.test.com")
    assert reads(report)[1:] == [("directory", None, False, ()), ("dns", None, False, ())]
    assert report.summary is not None
    assert all(read.note and read.date is None for read in report.summary.read if not read.asked)


# -- what people type ----------------------------------------------------------------------------------------------


def urls(found: World, path: str = "/") -> list[str]:
    told = found.application(path).urls or ()
    return [f"{one.scheme}://{one.host}:{one.port}{one.path}" for one in told]


def test_urls_are_the_names_on_the_ports_of_their_bindings() -> None:
    built = server(site(HEADER, "https *:8443:contoso.test.com", apps=[app("/"), app("/a")]))
    found = world(built)
    assert urls(found) == ["http://contoso.test.com:80/", "https://contoso.test.com:8443/"]
    assert urls(found, "/a") == ["http://contoso.test.com:80/a", "https://contoso.test.com:8443/a"]


def test_an_alias_is_typed_and_what_it_leads_to_is_not() -> None:
    found = pooled(dns="contoso CNAME iis01;iis01 A 10.0.5.2")
    assert [host.host.text for host in found.application().hosts] == ["contoso.test.com", "iis01.test.com"]
    assert urls(found) == ["http://contoso.test.com:80/"]


@pytest.mark.parametrize(
    ("proxy", "url"), [("terminates-tls", "https://vip.test.com:443/"), ("passthrough", "http://vip.test.com:80/")]
)
def test_a_proxy_that_ends_tls_is_reached_by_https(proxy: object, url: str) -> None:
    farm = [farm_name("vip.test.com", "IIS01", proxy=proxy)]  # type: ignore[arg-type]
    assert url in urls(world(server(site("*:80:")), farm=farm))


# -- the account's side --------------------------------------------------------------------------------------------


def elsewhere(found: World, account: str = SERVICE) -> list[str] | None:
    (use,) = [use for use in found.report.accounts if str(use.account) == account]
    return None if use.elsewhere is None else [str(name) for name in use.elsewhere]


def test_what_an_account_also_holds() -> None:
    assert elsewhere(pooled(held=(CONTOSO, "HTTP/away.test.com"))) == ["HTTP/away.test.com"]


def test_nobody_looked_what_it_holds() -> None:
    assert elsewhere(world(server(site(HEADER), pool=SERVICE, creds=True))) is None


def test_what_another_account_must_hold_is_not_used_elsewhere() -> None:
    sites = [site(HEADER), site("*:80:wiki.test.com", name="Wiki", apps=[app(pool="Wiki")])]
    built = server(*sites, pools={"Pool": SERVICE, "Wiki": r"TEST\wiki"}, creds=True)
    entries = (computer(), user("svc", CONTOSO, "HTTP/wiki.test.com"), user("wiki"))
    assert elsewhere(world(built, ad=ad(*entries))) == []


def test_nothing_is_said_of_it_where_a_name_that_it_serves_is_not_known() -> None:
    held = (CONTOSO, "HTTP/iis01.test.com")
    assert elsewhere(pooled(HEADER, "*:81:", held=held, facts=NAMELESS)) is None
    assert elsewhere(pooled(HEADER, "*:81:", held=held)) == []


# -- causes --------------------------------------------------------------------------------------------------------


def found_at(server: str, host: str, holder: str = r"TEST\old", **more: object) -> Finding:
    usual: dict[str, object] = {
        "id": "spn-misplaced",
        "severity": "error",
        "server": server,
        "site": "Main",
        "path": "/",
        "spn": spn(f"HTTP/{host}"),
        "account": AccountName("TEST", f"{server}$"),
        "holders": (AccountName(*holder.split("\\")),),
        "message": rf"HTTP/{host} is on {holder}, but TEST\{server}$ decrypts",
        "fix": (f"Remove it: setspn -U -D http/{host} {holder}", "Afterwards purge."),
    }
    return Finding(**{**usual, **more})  # type: ignore[arg-type]


def test_findings_with_one_remedy_are_one_cause() -> None:
    (cause,) = causes([found_at("WEB01", "a.test.com"), found_at("WEB02", "b.test.com")])
    assert cause.finding == "spn-misplaced"
    assert cause.text == r"the SPN is on TEST\old, but the account that must hold it decrypts"
    assert [str(name) for name in cause.spns] == ["HTTP/a.test.com", "HTTP/b.test.com"]
    assert cause.servers == ("WEB01", "WEB02")
    assert cause.fix == (
        r"Remove it: setspn -U -D http/a.test.com TEST\old",
        r"Remove it: setspn -U -D http/b.test.com TEST\old",
        "Afterwards purge.",
    )


@pytest.mark.parametrize(
    "other",
    [{"id": "spn-duplicate"}, {"severity": "warning"}, {"fix": ("Something else.",)}],
    ids=lambda other: next(iter(other)),
)
def test_another_kind_or_remedy_is_another_cause(other: dict[str, object]) -> None:
    assert len(causes([found_at("WEB01", "a.test.com"), found_at("WEB02", "b.test.com", **other)])) == 2


def test_the_worst_and_widest_come_first() -> None:
    one = found_at("WEB01", "a.test.com", id="spn-missing", severity="warning")
    two = found_at("WEB01", "b.test.com", id="spn-duplicate")
    wide = [found_at("WEB02", "c.test.com"), found_at("WEB03", "d.test.com")]
    assert [cause.finding for cause in causes([one, two, *wide])] == ["spn-misplaced", "spn-duplicate", "spn-missing"]


def test_what_is_accepted_is_no_cause() -> None:
    assert causes([found_at("WEB01", "a.test.com", accepted=Accepted(reason="known"))]) == ()


def test_findings_that_say_it_differently_are_told_in_the_words_of_the_table() -> None:
    cause = causes([found_at("WEB01", "a.test.com"), found_at("WEB02", "b.test.com", message="another text")])[0]
    assert cause.text == "exactly one holder, the wrong one: KRB_AP_ERR_MODIFIED, three prompts, 401"


# -- older reports -------------------------------------------------------------------------------------------------


def test_a_report_of_the_first_schema_is_read_with_what_it_lacks_not_known() -> None:
    old = json.loads(pooled(held=(CONTOSO, "HTTP/away.test.com")).report.to_json())
    old["schema"] = "iis-spn/report/1"
    for key in ("summary", "causes"):
        del old[key]
    for use in old["accounts"]:
        use["unused"] = use.pop("elsewhere")
    old["findings"] = [{**vars_of("spn-missing"), "accepted": "known"}]
    read = Report.from_json(json.dumps(old))
    assert (read.summary, read.causes) == (None, None)
    assert [str(name) for name in read.accounts[0].elsewhere or ()] == ["HTTP/away.test.com"]
    assert read.findings[0].accepted == Accepted(reason="known")
    assert read.spns == SpnCounts(broken=0, ntlm=0, not_checked=0, uncertain=0, ok=1)


def vars_of(finding_id: str) -> dict[str, object]:
    return {"id": finding_id, "severity": "warning", "server": "IIS01", "message": "x"}


def test_a_full_name_of_another_suffix_is_known() -> None:
    """Only of a short one the full form may be what nobody said."""
    named = {"dns_name": "iis01.ad.test.com", "domain": "ad.test.com"}
    full = world(server(site("*:443:crew.test.com"), facts=named)).report
    assert [application.names_known for application in full.applications] == [True]
    short = world(server(site("*:443:crew"), facts={"dns_name": None, "domain": None})).report
    assert [application.names_known for application in short.applications] == [False]


# -- whether anything is known at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "looked", "is_blind"), [("Allow", False, True), ("Allow", True, False), ("Deny", False, False)]
)
def test_what_a_web_config_may_switch_on_is_no_all_clear(mode: str, looked: bool, is_blind: bool) -> None:
    found = world(server(site("*:80:contoso.test.com"), enabled=False, mode=mode, facts={"content_looked": looked}))
    assert (found.report.spns.total, found.report.is_blind) == (0, is_blind)


@pytest.mark.parametrize("form", ["table", "json", "cmd", "ticket"])
def test_a_plan_without_that_knowledge_ends_with_2(form: str, tmp_path: Path) -> None:
    """The contract: nothing is known of anything that matters."""
    path = tmp_path / "applicationHost.config"
    snapshot = server(site("*:80:contoso.test.com"), enabled=False, mode="Allow")
    path.write_bytes(snapshot.files["applicationhost.config"].data)
    words = ["plan", str(path), "--computer", "iis01.test.com", "--ad", "off", "--format", form, "--output", os.devnull]
    assert main(words) == exits.INCOMPLETE
