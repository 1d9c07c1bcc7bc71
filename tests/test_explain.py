"""`explain`: who answers a URL, what each client gets, and why."""

from __future__ import annotations

import json
import re

import pytest
from worlds import ad, app, computer, farm_name, server, site, user, windows, world

from agent.cli.formats import known_by
from agent.errors import UsageError
from agent.inspection.sources import Sources
from agent.model import ClientOutcome
from agent.render.screen import Screen
from agent.render.story import to_text
from agent.story import explain, read_url

SERVICE = r"TEST\contososvc"
POOLED = user("contososvc", "HTTP/contoso.test.com", "HTTP/contoso")
A = "iis01 A 10.0.5.2;contoso A 10.0.5.2"


def place(outcome: ClientOutcome) -> str:
    """Where the story says that the request ends: `Site/app`."""
    (told,) = [line for line in outcome.because if " leads to " in line]
    return told.partition(" leads to ")[2].partition(" (pool")[0]


# -- the URL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://contoso/", ("http", "contoso", 80, "/")),
        ("https://contoso", ("https", "contoso", 443, "/")),
        ("HTTPS://Contoso.Test.Com:8443/App/x?y=1#z", ("https", "contoso.test.com", 8443, "/App/x")),
        ("contoso/app", ("http", "contoso", 80, "/app")),
        ("http://contoso.test.com./a%20b", ("http", "contoso.test.com", 80, "/a b")),
        ("http://user:secret@contoso:81/", ("http", "contoso", 81, "/")),
        ("http://[fe80::1]:8080/", ("http", "[fe80::1]", 8080, "/")),
    ],
)
def test_a_url_is_taken_apart(text: str, expected: tuple[str, str, int, str]) -> None:
    url = read_url(text)
    assert (url.scheme, url.host.text.lower(), url.port, url.path) == expected


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://contoso/", "http://contoso:port/", "http://contoso:70000/", "http:///path", "http://[::1/"],
)
def test_what_is_no_url_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        read_url(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:S3cret@contoso:81/app?key=S3cret#S3cret", "http://contoso:81/app"),
        ("user:S3cret@contoso/app", "contoso/app"),
        ("https://S3cret@[fe80::1]:444", "https://[fe80::1]:444"),
        ("http://contoso/?S3cret", "http://contoso/"),
        ("http://contoso/\x1b[31m", "http://contoso/\\u001b[31m"),
    ],
)
def test_the_url_is_told_without_what_may_be_secret(text: str, shown: str) -> None:
    assert read_url(text).text == shown
    told = explain(world(server(site("*:80:contoso.test.com"))).analysis, text)
    for form in known_by("explain").values():
        assert "S3cret" not in "".join(form.pieces(told, Screen(100, False)))


@pytest.mark.parametrize(
    "text",
    [
        "http://user:S3cret@contoso:port/",
        "ftp://user:S3cret@contoso/",
        "http://contoso:S3cret@/",
        "http://user:S3cret@[::1",
        "http://user:S3/cret@contoso:port/",
        "http://user:S3cret@cont\u2100oso/",
    ],
)
def test_a_refusal_does_not_repeat_what_may_be_secret(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_url(text)
    assert "cret" not in str(caught.value)


# -- the document --------------------------------------------------------------------------------------------------


def test_the_document_is_the_report_with_the_url_and_the_outcomes() -> None:
    found = world(server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True), ad=ad(computer(), POOLED), dns=A)
    said = json.loads(explain(found.analysis, "http://contoso.test.com/").to_json())
    report = json.loads(found.report.to_json())
    assert set(said) == {*report, "url", "outcomes", "answered", "unnamed"}
    assert said["url"] == "http://contoso.test.com/"
    assert said["requirements"] == report["requirements"]
    assert [outcome["client"] for outcome in said["outcomes"]] == ["edge", "chrome", "firefox", "dotnet"]
    first = said["outcomes"][0]
    contract = {"client", "spn", "holders", "answers", "decrypts_as", "outcome", "because"}
    assert set(first) == {*contract, "provided", "server", "site", "path", "fix"}
    assert (first["server"], first["site"], first["path"]) == ("IIS01", "Site", "/")
    assert first["spn"] == "HTTP/contoso.test.com"
    assert first["holders"] == first["answers"] == [r"TEST\contososvc"]
    assert first["decrypts_as"] == r"TEST\contososvc"
    assert first["outcome"] == "kerberos"


def test_the_story_tells_every_step_with_file_and_line() -> None:
    found = world(server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True), ad=ad(computer(), POOLED), dns=A)
    story = "\n".join(found.explain("http://contoso.test.com/")[0].because)
    for part in ("10.0.5.2", "HTTP/contoso.test.com", "*:80:contoso.test.com", "Site/", r"TEST\contososvc decrypts"):
        assert part in story
    assert "useAppPoolCredentials=true [applicationHost.config:" in story
    assert "scenario-3" in story


# -- who answers ---------------------------------------------------------------------------------------------------

SITES = (
    site("*:80:contoso.test.com", name="Exact"),
    site("*:80:*.test.com", name="Wild"),
    site("*:80:", name="Any"),
    site("*:8080:", "https *:443:", name="Ports"),
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://contoso.test.com/", "Exact/"),
        ("http://CONTOSO.test.com/", "Exact/"),
        ("http://other.test.com/", "Wild/"),
        ("http://deep.other.test.com/", "Wild/"),
        ("http://iis01/", "Any/"),
        ("http://test.com/", "Any/"),
        ("http://contoso.test.com:8080/", "Ports/"),
        ("https://contoso.test.com/", "Ports/"),
    ],
)
def test_the_exact_header_goes_before_the_wildcard_and_that_before_none(url: str, expected: str) -> None:
    zone = f"{A};other A 10.0.5.2;deep.other A 10.0.5.2;@ A 10.0.5.2"
    found = world(server(*SITES), dns=zone)
    assert {place(outcome).replace("*.test.com", "") for outcome in found.explain(url)} == {expected}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "Site/"),
        ("/applied", "Site/"),
        ("/app", "Site/app"),
        ("/APP/x", "Site/app"),
        ("/app/inner", "Site/app/inner"),
        ("/app/inner/x/y", "Site/app/inner"),
        ("/app/innermost", "Site/app"),
    ],
)
def test_the_application_with_the_longest_path_answers_segment_by_segment(path: str, expected: str) -> None:
    built = server(site("*:80:contoso.test.com", apps=[app("/"), app("/app"), app("/app/inner")]))
    found = world(built, dns=A)
    assert {place(outcome) for outcome in found.explain(f"http://contoso.test.com{path}")} == {expected}


def test_each_application_has_its_own_decryptor() -> None:
    apps = [app("/"), app("/svc", "Service", creds=True)]
    built = server(site("*:80:contoso.test.com", apps=apps), pools={"Pool": SERVICE, "Service": SERVICE})
    found = world(built, ad=ad(computer(), POOLED), dns=A)
    assert {str(o.decrypts_as) for o in found.explain("http://contoso.test.com/")} == {r"TEST\IIS01$"}
    assert found.ends("http://contoso.test.com/") == {"modified"}
    assert {str(o.decrypts_as) for o in found.explain("http://contoso.test.com/svc/")} == {r"TEST\contososvc"}
    assert found.ends("http://contoso.test.com/svc/") == {"kerberos"}


def test_a_place_below_an_application_may_have_settings_of_its_own() -> None:
    body = (
        '<location path="Site/private"><system.webServer><security><authentication>'
        '<windowsAuthentication useAppPoolCredentials="true" />'
        "</authentication></security></system.webServer></location>"
    )
    built = server(site("*:80:contoso.test.com"), pool=SERVICE, body=body)
    found = world(built, ad=ad(computer(), POOLED), dns=A)
    assert found.ends("http://contoso.test.com/") == {"modified"}
    assert found.ends("http://contoso.test.com/private/x") == {"kerberos"}


def test_a_binding_to_another_address_does_not_answer() -> None:
    built = server(
        site("*:80:", name="All"),
        site("10.0.5.3:80:", name="One"),
        facts={"addresses": ("10.0.5.2", "10.0.5.3")},
    )
    found = world(built, dns="iis01 A 10.0.5.2;portal A 10.0.5.3")
    assert {place(outcome) for outcome in found.explain("http://iis01.test.com/")} == {"All/"}
    assert {place(outcome) for outcome in found.explain("http://portal.test.com/")} == {"One/"}
    assert {outcome.spn for outcome in found.explain("http://10.0.5.3/")} == {None}


def test_a_binding_without_host_answers_any_name_when_nothing_says_where_it_leads() -> None:
    found = world(server(site("*:80:")), ad=ad(computer()))
    assert {str(outcome.decrypts_as) for outcome in found.explain("http://contoso/")} == {r"TEST\IIS01$"}
    assert found.ends("http://contoso.test.com/") == {"ntlm-fallback"}


def test_the_server_that_the_name_leads_to_answers() -> None:
    servers = (server(name="IIS01"), server(name="IIS02"))
    zone = "iis01 A 10.0.5.2;iis02 A 10.0.5.3;portal A 10.0.5.3"
    found = world(*servers, dns=zone)
    assert {str(outcome.decrypts_as) for outcome in found.explain("http://portal.test.com/")} == {r"TEST\IIS02$"}
    assert {str(outcome.decrypts_as) for outcome in world(*servers).explain("http://iis02/")} == {r"TEST\IIS02$"}


def test_the_servers_of_the_farm_file_answer() -> None:
    servers = [server(name=name) for name in ("IIS01", "IIS02", "IIS03")]
    found = world(*servers, dns="portal A 10.0.0.9", farm=[farm_name("portal.test.com", "IIS02", "IIS03")])
    told = {str(outcome.decrypts_as) for outcome in found.explain("http://portal.test.com/")}
    assert told == {r"TEST\IIS02$", r"TEST\IIS03$"}


@pytest.mark.parametrize("url", ["https://iis01.test.com/", "http://iis01.test.com:81/", "http://nowhere.test.com/"])
def test_where_nobody_answers_that_is_said(url: str) -> None:
    found = world(server(), ad=ad(computer()), dns="iis01 A 10.0.5.2")
    for outcome in found.explain(url):
        assert outcome.outcome == "uncertain"
        assert outcome.decrypts_as is outcome.server is None
        assert outcome.because[0].startswith("Nothing ")


# -- outcomes ------------------------------------------------------------------------------------------------------


def test_an_alias_asks_for_the_canonical_name() -> None:
    """SEED-CNAME: the article's scenario 2."""
    found = world(
        server(site("*:80:contoso.test.com", "*:80:contoso"), pool=SERVICE, creds=True),
        ad=ad(computer(), POOLED),
        dns="iis01 A 10.0.5.2;contoso CNAME iis01",
        clients=["edge", "dotnet", "curl-sspi", "chrome-nocname", "java"],
    )
    ends = {o.client: (str(o.spn), o.outcome) for o in found.explain("http://contoso/")}
    assert ends["edge"] == ends["dotnet"] == ("HTTP/iis01.test.com", "modified")
    assert ends["curl-sspi"] == ends["chrome-nocname"] == ends["java"] == ("HTTP/contoso", "kerberos")
    story = " ".join(found.explain("http://contoso/")[0].because)
    assert "alias" in story
    assert "HOST/iis01.test.com" in story


def test_an_alias_of_the_computer_works_where_the_computer_decrypts() -> None:
    """R3.2: an A record in its place would break it."""
    found = world(server(), ad=ad(computer()), dns="iis01 A 10.0.5.2;contoso CNAME iis01")
    assert found.ends("http://contoso/") == {"kerberos"}
    assert {o.holders for o in found.explain("http://contoso/")} == {()}
    assert {str(o.answers[0]) for o in found.explain("http://contoso/") if o.answers} == {r"TEST\IIS01$"}


@pytest.mark.parametrize("url", ["http://10.0.5.2/", "http://[fe80::5:2]/"])
def test_an_address_is_no_name_to_ask_for(url: str) -> None:
    found = world(server(facts={"addresses": ("10.0.5.2", "fe80::5:2")}), ad=ad(computer()))
    for outcome in found.explain(url):
        assert (outcome.spn, outcome.outcome) == (None, "ntlm-fallback")
        assert any("address" in line for line in outcome.because)


def test_an_address_is_told_where_it_leads_and_by_which_names_there_is_a_ticket() -> None:
    found = world(server(site("*:8080:"), facts={"addresses": ("10.0.5.2",)}), ad=ad(computer()))
    outcome, *_ = found.explain("http://10.0.5.2:8080/app")
    assert (outcome.server, outcome.site) == ("IIS01", "Site")
    assert outcome.because[0] == "10.0.5.2 is typed, an address of the server."
    assert place(outcome) == "Site/"
    assert outcome.fix == ("Type a name instead: http://IIS01:8080/app, http://iis01.test.com:8080/app.",)


def test_an_address_of_nobody_is_told_with_those_there_are() -> None:
    found = world(server(facts={"addresses": ("10.0.5.2",)}), ad=ad(computer()))
    outcome, *_ = found.explain("http://10.9.9.9/")
    assert outcome.because[0] == "Nothing inspected answers http://10.9.9.9/. Known addresses: IIS01 has 10.0.5.2."
    assert "they use NTLM" in outcome.because[-1]


@pytest.mark.parametrize("is_controller", [True, False])
def test_no_spn_is_offered_for_the_domains_own_name(is_controller: bool) -> None:
    """DNS has it for every controller (R15.6); `inspect` asks for none either."""
    facts = {"domain_controller": is_controller, "addresses": ("10.0.5.2",)}
    found = world(server(facts=facts), ad=ad(computer()), dns="@ A 10.0.5.2;iis01 A 10.0.5.2")
    assert ("HTTP/test.com" in {str(each.spn) for each in found.report.requirements}) is not is_controller
    fixes = {" ".join(outcome.fix) for outcome in found.explain("http://test.com/")}
    assert all(("setspn" in fix) is not is_controller for fix in fixes)
    assert all(("every domain controller" in fix) is is_controller for fix in fixes)


@pytest.mark.parametrize("url", ["http://iis01/", "http://iis01.test.com/", "http://IIS01.test.com:80/x"])
def test_a_node_of_a_farm_fails_by_its_own_name_and_that_is_normal(url: str) -> None:
    """R6.4."""
    nodes = [server(site("*:80:"), name=name, pool=SERVICE, creds=True) for name in ("IIS01", "IIS02")]
    files = ad(computer("IIS01"), computer("IIS02"), user("contososvc", "HTTP/portal.test.com"))
    found = world(*nodes, ad=files, farm=[farm_name("portal.test.com", "IIS01", "IIS02")])
    for asked, is_own in ((url, True), ("http://portal.test.com/", False)):
        told = explain(found.typed(read_url(asked).typed), asked).findings
        assert ("farm-node-name" in {each.id for each in told}) is is_own


@pytest.mark.parametrize("dns", [None, "iis01 A 10.0.5.2"])
@pytest.mark.parametrize(
    "url", ["http://localhost/", "http://LOCALHOST:80/", "http://localhost.test.com/", "http://loopback/"]
)
def test_nobody_asks_for_a_ticket_for_the_machine_itself(url: str, dns: str | None) -> None:
    """R2.13; what clients would make of the name is a name that no source shows."""
    found = world(server(pool=SERVICE, kernel=False), ad=ad(computer(), POOLED), dns=dns)
    for outcome in found.explain(url):
        assert outcome.spn is None
        assert not any("HTTP/" in line for line in (*outcome.because, *outcome.fix))


LOCKED = {"web": {"": f"<configuration>{windows(useKernelMode='false')}</configuration>"}}


@pytest.mark.parametrize(
    ("settings", "outcome", "told"),
    [
        ({"enabled": False}, None, "Windows authentication is off here"),
        (LOCKED, None, "IIS refuses the configuration here"),
        ({"offered": []}, None, "The list of providers is empty"),
        ({"offered": ["Negotiate:PKU2U"]}, None, "No provider leads to Kerberos"),
        ({"offered": ["NTLM"]}, "ntlm-fallback", "asked for NTLM"),
    ],
)
def test_where_no_ticket_is_asked_for_it_says_what_is_there(
    settings: dict[str, object], outcome: str | None, told: str
) -> None:
    """The contract: no outcome for what is anonymous, refused or switched off; NTLM alone is NTLM."""
    found = world(server(**settings), ad=ad(computer()), dns="iis01 A 10.0.5.2")  # type: ignore[arg-type]
    for one in found.explain("http://iis01/"):
        assert (one.outcome, one.decrypts_as) == (outcome, None)
        assert one.because[-1].startswith(told) or told in one.because[-1]
        assert ("NTLM" in " ".join(one.because)) == (outcome is not None or "PKU2U" in str(settings))


def test_what_nobody_looked_at_may_switch_it_on() -> None:
    built = server(enabled=False, mode="Allow", facts={"content_looked": False})
    found = world(built, ad=ad(computer()), dns="iis01 A 10.0.5.2")
    assert found.ends("http://iis01/") == {"uncertain"}
    assert all("web.config files were not looked at" in one.because[-1] for one in found.explain("http://iis01/"))


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        (None, "unchecked"),
        (ad(computer(), user("contososvc", "HTTP/contoso.test.com")), "kerberos"),
        (ad(computer(), user("contososvc")), "ntlm-fallback"),
        (ad(computer("IIS01", "HTTP/contoso.test.com"), user("contososvc")), "modified"),
        (ad(computer(), POOLED, user("othersvc", "HTTP/contoso.test.com")), "duplicate"),
        (ad(computer("OLD", "HOST/contoso.test.com"), user("contososvc")), "modified"),
        (ad(computer(), user("contososvc"), covers=False), "unchecked"),
        (ad(computer(), covers=False), "uncertain"),
    ],
)
def test_the_outcomes(directory: str | None, expected: str) -> None:
    found = world(server(site("*:80:contoso.test.com"), pool=SERVICE, creds=True), ad=directory, dns=A)
    assert found.ends("http://contoso.test.com/") == {expected}
    assert found.outcome("HTTP/contoso.test.com") == expected


def test_what_nobody_can_decrypt_is_impossible() -> None:
    found = world(server(pool=r".\web", creds=True), ad=ad(computer()), dns="iis01 A 10.0.5.2")
    assert found.ends("http://iis01/") == {"impossible"}


def test_a_port_is_asked_for_by_clients_that_include_it() -> None:
    found = world(server(site("*:8080:")), ad=ad(computer()), dns="iis01 A 10.0.5.2", clients=["edge", "edge-port"])
    ends = {o.client: (str(o.spn), o.outcome) for o in found.explain("http://iis01:8080/")}
    assert ends == {
        "edge": ("HTTP/iis01.test.com", "kerberos"),
        "edge-port": ("HTTP/iis01.test.com:8080", "ntlm-fallback"),
    }


def test_the_findings_are_those_that_concern_the_url() -> None:
    found = world(
        server(site("*:80:contoso.test.com"), site("*:80:other.test.com", name="Other")),
        ad=ad(computer()),
        dns=f"{A};other A 10.0.5.2",
    )
    assert {str(told.spn) for told in found.findings("spn-missing")} == {"HTTP/contoso.test.com", "HTTP/other.test.com"}
    told = explain(found.analysis, "http://contoso.test.com/").findings
    assert {str(one.spn) for one in told if one.id == "spn-missing"} == {"HTTP/contoso.test.com"}


def test_the_default_sources_look_nowhere() -> None:
    assert Sources().now is None
    assert world(server()).ends("http://iis01/") == {"unchecked"}


def test_the_first_15_characters_of_a_longer_computer_name_are_asked_for_as_typed() -> None:
    found = world(server(name="AVERYLONGSERVERNAME", facts={"dns_name": "averylongservername.test.com"}))
    assert found.need("HTTP/averylongserver") == "covered"
    assert set(found.asked("http://averylongserver/").values()) == {"HTTP/averylongserver"}


def test_of_several_servers_the_worst_stands_first_and_each_is_named() -> None:
    """A farm whose second node decrypts as its computer."""
    nodes = [
        server(site("*:80:portal.test.com"), name=name, pool=SERVICE, creds=creds)
        for name, creds in (("IIS01", True), ("IIS02", False))
    ]
    files = ad(computer("IIS01"), computer("IIS02"), user("contososvc", "HTTP/portal.test.com", "HTTP/portal"))
    found = world(*nodes, ad=files, farm=[farm_name("portal.test.com", "IIS01", "IIS02")])
    url = "http://portal.test.com/"
    text = to_text(explain(found.typed(read_url(url).typed), url), 100, color=False)
    heads = re.findall(r"^(edge, chrome, firefox, dotnet.*)\n  (\w+)", text, re.MULTILINE)
    assert [head for head, _ in heads] == [f"edge, chrome, firefox, dotnet, on IIS0{number}" for number in (2, 1)]
    assert [word for _, word in heads] == ["BROKEN", "OK"]
