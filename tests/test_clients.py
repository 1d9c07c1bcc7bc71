"""What each kind of client asks for: rules 2.15 and 3, name by name."""

import pytest
from worlds import ad, computer, names, server, site, user, world

from agent.errors import UsageError
from agent.inspection.stages import clients_named
from agent.names import host_name
from agent.spn import clients
from agent.spn.clients import CLIENTS, DEFAULT_CLIENTS, Canonicalisation, asked_hosts, asked_port

ZONE = names(
    "iis01 A 10.0.5.2;contoso A 10.0.5.4;portal CNAME iis01;"
    "a CNAME b;b CNAME c;c A 10.0.5.6;round A 10.0.5.8;round A 10.0.5.9;"
    "web CNAME web.branch;web.branch A 10.0.5.10;"
    "$ORIGIN 5.0.10.in-addr.arpa.;4 PTR vm4.test.com.;6 PTR vm6.other.net."
)
CANONICAL = ("edge", "chrome", "firefox", "dotnet", "ie", "dotnetframework", "dotnet5", "edge-port")
TYPED = ("curl-sspi", "chrome-nocname")
WITH_PORT = {"dotnet5", "edge-port"}
WAY = {**dict.fromkeys(CANONICAL, 0), **dict.fromkeys(TYPED, 1), "curl-mit": 2, "java": 3}
"""By client kind: its column in the table below."""

# typed -> what a canonicalising client, one that sends the name as typed, MIT krb5's defaults and Java ask for
ASKED = {
    "contoso.test.com": ("contoso.test.com", "contoso.test.com", "vm4.test.com", "contoso.test.com"),
    "contoso": ("contoso.test.com", "contoso", "vm4.test.com", "contoso.test.com"),
    "iis01": ("iis01.test.com", "iis01", "iis01.test.com", "iis01.test.com"),
    "portal": ("iis01.test.com", "portal", "iis01.test.com", "portal"),
    "portal.test.com": ("iis01.test.com", "portal.test.com", "iis01.test.com", "portal.test.com"),
    "a.test.com": ("c.test.com", "a.test.com", "vm6.other.net", "a.test.com"),
    "a": ("c.test.com", "a", "vm6.other.net", "a"),
    "round.test.com": ("round.test.com", "round.test.com", "round.test.com", "round.test.com"),
    "web": ("web.branch.test.com", "web", "web.branch.test.com", "web.branch.test.com"),
    "10.0.5.4": (None, None, None, None),
    "[fe80::1]": (None, None, None, None),
}


def asked(client: str, typed: str) -> str | None:
    hosts = asked_hosts(CLIENTS[client], host_name(typed), ZONE, "test.com")
    assert len(hosts) <= 1, "with DNS a client asks for one name"
    return hosts[0].text if hosts else None


@pytest.mark.parametrize("typed", ASKED)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_makes_of_what_is_typed(client: str, typed: str) -> None:
    assert asked(client, typed) == ASKED[typed][WAY[client]]


def test_every_way_to_canonicalise_is_a_column_of_the_table_above() -> None:
    ways = {value for value in vars(clients).values() if isinstance(value, Canonicalisation)}
    of_clients = {WAY[name]: client.host for name, client in CLIENTS.items()}
    assert set(of_clients.values()) == ways
    assert {name: of_clients[WAY[name]] for name in CLIENTS} == {n: client.host for n, client in CLIENTS.items()}
    assert {len(answers) for answers in ASKED.values()} == {len(ways)}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_short_name_that_leads_nowhere_is_sent_as_typed_or_under_the_suffix(client: str) -> None:
    way = CLIENTS[client].host
    hosts = asked_hosts(CLIENTS[client], host_name("nowhere"), None, "test.com")
    assert (hosts[0].text == "nowhere") == way.keeps_short == (WAY[client] in {1, 3})


def test_java_lowers_the_name() -> None:
    assert asked("java", "PORTAL.Test.COM") == "portal.test.com"
    assert asked("curl-sspi", "PORTAL.Test.COM") == "PORTAL.Test.COM"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_trailing_dot_is_dropped_and_a_name_outside_ascii_is_an_a_label(client: str) -> None:
    world_ = world(server(site("*:80:müller.example")), clients=[client])
    assert world_.needs["http/xn--mller-kva.example"] == "explicit"
    assert asked_hosts(CLIENTS[client], host_name("x.example."), None, None) == (host_name("x.example"),)


@pytest.mark.parametrize(("port", "expected"), [(80, None), (443, None), (8080, 8080), (8443, 8443)])
@pytest.mark.parametrize("client", CLIENTS)
def test_the_port(client: str, port: int, expected: int | None) -> None:
    assert asked_port(CLIENTS[client], port) == (expected if client in WITH_PORT else None)


@pytest.mark.parametrize("client", CLIENTS)
def test_without_dns_a_full_name_is_asked_for_as_it_stands(client: str) -> None:
    assert asked_hosts(CLIENTS[client], host_name("contoso.test.com"), None, "test.com") == (
        host_name("contoso.test.com"),
    )


def test_no_kind_of_the_contract_is_missing() -> None:
    contract = {"edge", "chrome", "firefox", "dotnet", "ie", "dotnetframework", "dotnet5", "curl-sspi", "curl-mit"}
    assert contract | {"java", "chrome-nocname", "edge-port"} <= set(CLIENTS)
    assert {client.name for client in DEFAULT_CLIENTS} == {"edge", "chrome", "firefox", "dotnet"}


def test_naming_clients_replaces_the_default_list() -> None:
    assert [client.name for client in clients_named(["java", "ie", "java"])] == ["java", "ie"]
    assert clients_named([]) == DEFAULT_CLIENTS
    with pytest.raises(UsageError):
        clients_named(["netscape"])


# -- requirements --------------------------------------------------------------------------------------------------


def test_the_default_clients_want_no_port_and_no_reverse_name() -> None:
    found = world(
        server(site("*:8080:contoso.test.com", "https *:8443:contoso.test.com")),
        dns="contoso A 10.0.5.2;$ORIGIN 5.0.10.in-addr.arpa.;2 PTR vm2.test.com.",
    )
    assert found.needs == {"http/contoso.test.com": "explicit", "http/contoso": "optional"}


@pytest.mark.parametrize("client", sorted(WITH_PORT))
def test_port_variants_exist_for_clients_that_include_the_port(client: str) -> None:
    found = world(
        server(site("*:8080:contoso.test.com", "*:80:contoso.test.com", "https *:443:contoso.test.com")),
        dns="contoso A 10.0.5.2",
        clients=[client],
    )
    assert found.needs["http/contoso.test.com:8080"] == "port-variant"
    assert not [name for name in found.needs if name.endswith((":80", ":443"))]


def test_80_and_443_are_never_asked_for_whatever_the_scheme() -> None:
    found = world(server(site("*:443:contoso.test.com", "https *:80:contoso.test.com")), clients=["edge-port"])
    assert not [name for name, need in found.needs.items() if need == "port-variant"]


def test_the_requirements_are_the_union_over_the_client_kinds() -> None:
    zone = "iis01 A 10.0.5.2;portal CNAME iis01;$ORIGIN 5.0.10.in-addr.arpa.;2 PTR vm2.test.com."
    built = server(site("*:8080:portal.test.com"), pool=r"TEST\contososvc", creds=True)
    each = [
        set(world(built, dns=zone, clients=[client]).needs) for client in ("edge", "edge-port", "curl-sspi", "curl-mit")
    ]
    together = world(built, dns=zone, clients=["edge", "edge-port", "curl-sspi", "curl-mit"])
    assert set(together.needs) == set().union(*each)
    assert {"http/iis01.test.com", "http/iis01.test.com:8080", "http/portal.test.com", "http/vm2.test.com"} <= set(
        together.needs
    )


def test_what_each_kind_is_said_to_ask_for_in_a_requirement() -> None:
    found = world(
        server(site("*:80:portal.test.com")),
        dns="iis01 A 10.0.5.2;portal CNAME iis01",
        clients=["edge", "curl-sspi"],
        ad=ad(computer(), user()),
    )
    assert found.requirement("HTTP/iis01.test.com").asked_by == ("edge",)
    assert found.requirement("HTTP/portal.test.com").asked_by == ("curl-sspi",)


def test_intermediate_links_of_a_chain_are_not_asked_for() -> None:
    found = world(server(site("*:80:a.test.com")), dns="a CNAME b;b CNAME c;c A 10.0.5.2")
    assert "http/c.test.com" in found.needs
    assert "http/b.test.com" not in found.needs
    sources = {host.host.text: host.source for host in found.application().hosts}
    assert sources == {"a.test.com": "binding", "c.test.com": "dns"}
