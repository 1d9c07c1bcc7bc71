"""Extended protection behind a proxy that ends TLS: tokenChecking, flags and the spn list together (rule R15.4)."""

from __future__ import annotations

import pytest
from worlds import World, ad, app, computer, farm_name, server, site, user, world

from agent.spn.computer_names import Proxy

FULL, SHORT = "portal.test.com", "portal"
LISTED = ("HTTP/portal.test.com",)


def behind(
    checking: str,
    flags: str = "None",
    names: tuple[str, ...] = (),
    *,
    proxy: Proxy | None = "terminates-tls",
    host: str = FULL,
    dns: str = "iis01 A 10.0.5.2; portal A 10.0.0.9",
    clients: tuple[str, ...] = (),
) -> World:
    where = site("https *:443:", apps=[app(token_checking=checking, flags=flags, service_names=names)])
    return world(
        server(where, pool=r"TEST\svc", creds=True),
        ad=ad(computer(), user("svc", *LISTED)),
        dns=dns,
        farm=[farm_name(host, "IIS01", proxy=proxy)],
        clients=clients,
    )


@pytest.mark.parametrize(
    ("checking", "flags", "names", "why"),
    [
        ("None", "None", (), ""),
        ("Require", "None", (), "TLS channel cannot match, and users get 401"),
        ("Allow", "None", (), "TLS channel cannot match, and clients that send a binding get 401"),
        ("require", "NoServiceNameCheck", (), "TLS channel cannot match"),
        ("Require", "Proxy", (), "the spn list does not hold HTTP/portal.test.com"),
        ("Require", "Proxy", ("HTTP/other.test.com",), "the spn list does not hold HTTP/portal.test.com"),
        ("Require", "Proxy", LISTED, ""),
        ("Require", "Proxy", ("http/PORTAL.test.com",), ""),
        ("Allow", "Proxy", LISTED, ""),
        ("Require", "Proxy,NoServiceNameCheck", (), ""),  # neither the channel nor the name is checked
        ("Require", "None", LISTED, "TLS channel cannot match"),
    ],
)
def test_what_the_server_checks(checking: str, flags: str, names: tuple[str, ...], why: str) -> None:
    found = behind(checking, flags, names)
    told = found.findings("extended-protection-behind-proxy")
    assert bool(told) == bool(why)
    assert all(why in one.message and one.severity == "warning" for one in told)
    assert found.outcome("HTTP/portal.test.com") == "kerberos", "it is no fault of the SPN"


@pytest.mark.parametrize(
    ("proxy", "told"), [("terminates-tls", True), ("same-certificate", False), ("passthrough", False), (None, False)]
)
def test_what_stands_in_front(proxy: Proxy | None, told: bool) -> None:
    assert ("extended-protection-behind-proxy" in behind("Require", proxy=proxy).ids) is told


@pytest.mark.parametrize(
    ("clients", "listed", "told"),
    [
        ((), LISTED, True),  # they follow the alias
        ((), ("HTTP/vip.test.com",), False),
        (("chrome-nocname",), LISTED, False),
        (("edge", "chrome-nocname"), ("HTTP/vip.test.com",), True),
        (("edge", "chrome-nocname"), (*LISTED, "HTTP/vip.test.com"), False),
    ],
)
def test_the_list_must_hold_what_the_clients_ask_for(
    clients: tuple[str, ...], listed: tuple[str, ...], told: bool
) -> None:
    alias = "iis01 A 10.0.5.2; vip A 10.0.0.9; portal CNAME vip"
    found = behind("Require", "Proxy", listed, dns=alias, clients=clients)
    assert ("extended-protection-behind-proxy" in found.ids) is told


@pytest.mark.parametrize(("flags", "told"), [("Proxy", True), ("Proxy,AllowDotlessSpn", False)])
def test_a_short_name_needs_its_flag(flags: str, told: bool) -> None:
    found = behind("Require", flags, ("HTTP/portal",), host=SHORT, clients=("curl-sspi",))
    assert ("extended-protection-behind-proxy" in found.ids) is told


def test_every_way_of_the_fix_mends_it() -> None:
    text = " ".join(behind("Require").finding("extended-protection-behind-proxy").fix)
    ways = {
        "Set flags=Proxy and put HTTP/portal.test.com into the spn list": behind("Require", "Proxy", LISTED),
        "set tokenChecking=None behind the proxy": behind("None"),
        '"passthrough"': behind("Require", proxy="passthrough"),
        '"same-certificate"': behind("Require", proxy="same-certificate"),
    }
    for words, after in ways.items():
        assert words in text
        assert "extended-protection-behind-proxy" not in after.ids
        assert after.errors == []
