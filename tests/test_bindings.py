"""Bindings: the grammar of http and https, odd and broken ones, other protocols kept aside."""

import pytest
from configurations import configuration, element, evaluate, site
from hypothesis import given
from hypothesis import strategies as st

from agent.iis.bindings import Binding, binding
from agent.iis.parse import Node
from agent.names import host_name


def read(information: str, protocol: str = "http", **more: str) -> Binding:
    return binding(Node("binding", {"protocol": protocol, "bindingInformation": information, **more}, 1, ()))


@pytest.mark.parametrize(
    ("information", "address", "port", "host"),
    [
        ("*:80:", "", 80, None),
        (":80:", "", 80, None),
        (":8080:*", "", 8080, None),
        ("*:80:*", "", 80, None),
        ("0.0.0.0:80:", "", 80, None),
        ("[::]:80:", "", 80, None),
        ("[0:0:0:0:0:0:0:0]:80:", "", 80, None),
        ("0:80:", "", 80, None),
        (":8080:localhost", "", 8080, "localhost"),
        ("10.0.5.2:443:contoso.test.com", "10.0.5.2", 443, "contoso.test.com"),
        ("1.1.1:61902:localhost", "1.1.0.1", 61902, "localhost"),
        ("[2001:DB8::1]:80:", "2001:db8::1", 80, None),
        ("[2001:db8:0:0::1]:80:portal", "2001:db8::1", 80, "portal"),
        ("[fe80::1%5]:80:", "fe80::1", 80, None),
        ("*:443:*.contoso.com", "", 443, "*.contoso.com"),
        ("*:1:", "", 1, None),
        ("10.0.5:80:", "10.0.0.5", 80, None),
        ("10.5:80:", "10.0.0.5", 80, None),
        ("*:65535:Contoso.Test.COM.", "", 65535, "contoso.test.com"),
        ("*:80: spaced ", "", 80, "spaced"),
        ("*:80:bücher.test.com", "", 80, "xn--bcher-kva.test.com"),
        ("*:80:my_host", "", 80, "my_host"),
        ("*:5000:127.0.0.1", "", 5000, "127.0.0.1"),
        ("*:80:[2001:db8::1]", "", 80, "[2001:db8::1]"),
    ],
)
@pytest.mark.parametrize("protocol", ["http", "https", "HTTP"])
def test_address_port_and_host(information: str, address: str, port: int, host: str | None, protocol: str) -> None:
    found = read(information, protocol)
    assert found.fault is None
    assert found.serves
    assert (found.address, found.port, found.host) == (address, port, host_name(host) if host else None)


@pytest.mark.parametrize(
    ("information", "words"),
    [
        ("", "IP:port:host"),
        (":", "IP:port:host"),
        ("*:80", "IP:port:host"),
        ("::", "not a port"),
        ("*:0:", "not a port"),
        ("*:161902:localhost", "'161902' is not a port"),
        ("*:65536:", "not a port"),
        ("*:-1:", "not a port"),
        ("*:8o:", "not a port"),
        ("*:٨٠:", "not a port"),
        ("*:localhost:localhost", "'localhost' is not a port"),
        ("1.1.1.1.1:61902:localhost", "'1.1.1.1.1' is not an IP address"),
        ("256.1.1.1:80:", "not an IP address"),
        ("server:80:", "not an IP address"),
        ("[::1:80:", "IP:port:host"),
        ("[nonsense]:80:", "not an IP address"),
        ("*:80:bad host", "host name"),
        ("*:80:a..b", "host name"),
        ("*:80:-a", "host name"),
        ("*:80:http://contoso", "host name"),
        ("*:80:contoso:8080", "host name"),
        ("*:80:a*b.com", "host name"),
        ("*:80:" + "a" * 64, "host name"),
        ("*:80:" + "a." * 127 + "com", "253"),
    ],
)
def test_a_broken_one_says_why_and_answers_nothing(information: str, words: str) -> None:
    found = read(information)
    assert found.fault is not None
    assert words in found.fault
    assert not found.serves


@pytest.mark.parametrize(
    ("protocol", "information"),
    [
        ("net.tcp", "808:*"),
        ("net.tcp", "*"),
        ("net.pipe", "*"),
        ("net.msmq", "localhost"),
        ("msmq.formatname", "localhost"),
        ("ftp", "*:21:"),
        ("ftp", "*:210:localhost"),
    ],
)
def test_other_protocols_are_kept_and_set_aside(protocol: str, information: str) -> None:
    found = read(information, protocol)
    assert (found.protocol, found.information, found.host, found.fault) == (protocol, information, None, None)
    assert not found.is_http
    assert not found.serves


def test_ssl_flags() -> None:
    assert read("*:443:a", "https", sslFlags="33").ssl_flags == 33
    assert read("*:443:a", "https").ssl_flags == 0


@pytest.mark.parametrize("flags", ["NotExist", "-1", "", "1.0"])
def test_ssl_flags_must_be_an_unsigned_integer(flags: str) -> None:
    fault = read("*:443:a", "https", sslFlags=flags).fault
    assert fault is not None
    assert "sslFlags" in fault


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*:80:", "*:80:", True),
        ("*:80:", "10.0.0.1:80:", True),
        ("10.0.0.1:80:", "10.0.0.2:80:", False),
        ("10.0.0.1:80:", "10.0.0.1:81:", False),
        ("[::1]:80:", "[0:0::1]:80:", True),
    ],
)
def test_overlap(one: str, other: str, expected: bool) -> None:
    assert read(one).overlaps(read(other)) == expected
    assert read(other).overlaps(read(one)) == expected


# -- properties ----------------------------------------------------------------------------------------------------

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: not name[-1].isdigit())
ADDRESS = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda a: f"[{a}]"))


@given(ADDRESS, st.integers(1, 65535), NAME)
def test_what_is_put_together_is_taken_apart(address: str, port: int, host: str) -> None:
    found = read(f"{address}:{port}:{host}")
    assert found.fault is None
    unspecified = address in {"0.0.0.0", "[::]"}
    assert found.address == ("" if unspecified else address.strip("[]"))
    assert (found.port, found.host) == (port, host_name(host))


@given(st.text(max_size=30), st.sampled_from(["http", "https"]))
def test_any_text_is_read_or_told(text: str, protocol: str) -> None:
    found = read(text, protocol)
    assert found.serves == (found.fault is None)
    if found.serves:
        assert 0 < found.port < 65536
        assert "\n" not in found.information.partition(":")[0]


# -- in their sites ------------------------------------------------------------------------------------------------


def bindings(*texts: str, clear: bool = False) -> str:
    each = "".join(element("binding", protocol=p, bindingInformation=i) for p, i in (t.split(" ", 1) for t in texts))
    return element("bindings", "<clear/>" * clear + each)


def shown(sites: str) -> list[list[str]]:
    return [[b.information for b in found.bindings] for found in evaluate(configuration(sites=sites)).sites]


def test_a_site_without_bindings() -> None:
    assert shown(site("A", inner="") + site("B", id="2", inner="<bindings/>")) == [[], []]


def test_site_defaults_may_carry_bindings_which_a_site_may_clear() -> None:
    defaults = element("siteDefaults", bindings("http *:80:default"))
    own = (
        site("A", inner="")
        + site("B", id="2", inner=bindings("http *:81:"))
        + site("C", id="3", inner=bindings("http *:82:", clear=True))
    )
    assert shown(own + defaults) == [["*:80:default"], ["*:80:default", "*:81:"], ["*:82:"]]


@pytest.mark.parametrize("second", ["http *:80:a", "HTTP *:80:A"])
def test_a_duplicate_in_one_site_is_told_and_read_once(second: str) -> None:
    found = evaluate(configuration(sites=site("A", inner=bindings("http *:80:a", second, "https *:443:a"))))
    assert [b.information for b in found.sites[0].bindings] == ["*:80:a", "*:443:a"]
    assert [notice.id for notice in found.notices] == ["config-invalid"]
    assert "duplicate binding" in found.notices[0].message


def test_the_same_binding_in_two_sites_is_a_valid_file() -> None:
    same = bindings("http *:80:a")
    assert evaluate(configuration(sites=site("A", inner=same) + site("B", id="2", inner=same))).notices == ()


def test_a_broken_one_is_a_finding_and_the_rest_goes_on() -> None:
    found = evaluate(configuration(sites="\n" + site("A", inner=bindings("http *:x:a", "http *:80:b"))))
    assert [b.serves for b in found.sites[0].bindings] == [False, True]
    (notice,) = found.notices
    assert (notice.id, notice.site, notice.line) == ("binding-malformed", "A", 2)
