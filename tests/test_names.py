"""Host names, service principal names, accounts and user names: equality as Active Directory has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.names import (
    FROM_TEXT,
    AccountName,
    Address,
    HostName,
    Spn,
    UserName,
    account_name,
    address_of,
    computer_account,
    fold,
    host_fault,
    host_name,
    http_spn,
    is_loopback,
    netbios_fault,
    netbios_name,
    path_key,
    printable,
    spn,
    spn_fault,
    user_name,
    without_user,
)

ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)

# -- case ----------------------------------------------------------------------------------------------------------


@given(ASCII)
def test_case_of_ascii_letters_does_not_count(text: str) -> None:
    assert fold(text.upper()) == fold(text.lower()) == fold(text) == fold(fold(text))


@given(st.text(max_size=20))
def test_folding_twice_is_folding_once_and_never_makes_ascii(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert [c.isascii() for c in fold(text) if c.isascii()] == [c.isascii() for c in text if c.isascii()]


@pytest.mark.parametrize("look_alike", ["\u017fvc", "web\u212a", "\u0130is01"])
def test_a_look_alike_is_another_name(look_alike: str) -> None:
    """The long s, the Kelvin sign and the dotted I lower to s, k and i: AD keeps them apart (CVE-2026-25177)."""
    plain = {"\u017f": "s", "\u212a": "k", "\u0130": "i"}
    usual = "".join(plain.get(c, c) for c in look_alike)
    assert fold(look_alike) != fold(usual)
    assert AccountName("TEST", look_alike) != AccountName("TEST", usual)
    assert spn(f"HTTP/{look_alike}") != spn(f"HTTP/{usual}")


def test_umlauts_fold() -> None:
    assert fold("MÜLLER") == fold("müller")
    assert path_key("Größe/ÄPP") == path_key("größe/äpp")


# -- hosts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Contoso.Test.COM", "contoso.test.com"),
        ("contoso.test.com.", "contoso.test.com"),
        (" contoso ", "CONTOSO"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BÜCHER.de", "bücher.DE"),
        ("straße.de", "xn--strae-oqa.de"),
    ],
)
def test_equal_hosts(one: str, other: str) -> None:
    assert host_name(one) == host_name(other)
    assert hash(host_name(one)) == hash(host_name(other))
    assert http_spn(host_name(one)) == http_spn(host_name(other))


@pytest.mark.parametrize(("one", "other"), [("contoso", "contoso.test.com"), ("straße.de", "strasse.de"), ("a", "b")])
def test_different_hosts(one: str, other: str) -> None:
    assert host_name(one) != host_name(other)
    assert host_name(one) != one


def test_a_host_keeps_its_spelling_and_its_spn_is_ascii() -> None:
    assert str(host_name("Contoso.Test.com.")) == "Contoso.Test.com"
    assert http_spn(host_name("Contoso")).text == "HTTP/Contoso"
    assert http_spn(host_name("bücher.de"), 8080).text == "HTTP/xn--bcher-kva.de:8080"


@pytest.mark.parametrize(
    ("address", "itself"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.5.2", False),
        ("::127", False),
        ("12.7.0.1", False),
    ],
)
def test_the_addresses_of_the_machine_itself(address: str, itself: bool) -> None:
    """RFC 1122 3.2.1.3: all of 127/8; RFC 4291 2.5.3: one."""
    assert is_loopback(Address(address)) is itself


@pytest.mark.parametrize("character", ["\0", "\x85", "\u200b", "\ud800", "\ue000", "\u0378", "\u2028", "\u2029"])
def test_what_drives_a_terminal_or_is_no_character_is_escaped(character: str) -> None:
    """Control, format, surrogate, private use, unassigned; separators of lines and paragraphs (Unicode categories)."""
    assert printable(f"a{character}b") == f"a\\u{ord(character):04x}b"
    assert spn_fault(f"HTTP/a{character}b") is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host.test.com", "host.test.com"),
        ("https://host:8443/a", "https://host:8443/a"),
        ("https://me:secret@host/a", "...@host/a"),
        ("me:s@cret@host", "...@host"),
        ("me:secret@ho\nst", "...@ho\\u000ast"),
    ],
)
def test_what_stands_before_an_at_sign_may_be_a_password(text: str, shown: str) -> None:
    assert without_user(text) == shown


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("_ldap._tcp.test.com", True),
        ("_kerberos._udp.test.com", True),
        ("gc._msdcs.test.com", True),
        ("a._sites.test.com", True),
        ("_TCP.test.com", True),
        ("DomainDnsZones.test.com", True),
        ("forestdnszones.test.com", True),
        ("www.forestdnszones.test.com", False),
        ("tcp.test.com", False),
        ("_http.test.com", False),
    ],
)
def test_names_by_which_domain_controllers_are_found(text: str, is_one: bool) -> None:
    assert host_name(text).is_locator is is_one


def test_parts_of_a_host() -> None:
    host = host_name("Contoso.Test.com")
    assert (host.is_short, str(host.first_label), host.suffix) == (False, "Contoso", "Test.com")
    short = host_name("contoso")
    assert (short.is_short, short.suffix) == (True, "")
    assert short.under("test.com") == host


@pytest.mark.parametrize(
    ("text", "is_address", "is_wildcard", "is_short"),
    [
        ("10.0.5.2", True, False, False),
        ("[2001:db8::1]", True, False, False),
        ("fe80::1%5", True, False, True),
        ("*.contoso.com", False, True, False),
        ("contoso", False, False, True),
        ("1.2.3", False, False, False),
        ("server1", False, False, True),
    ],
)
def test_kinds_of_host(text: str, is_address: bool, is_wildcard: bool, is_short: bool) -> None:
    host = host_name(text)
    assert (host.is_address, host.is_wildcard) == (is_address, is_wildcard)
    assert host.is_short == (is_short and not is_address)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*.contoso.com", "a.contoso.com", True),
        ("*.Contoso.com", "A.B.contoso.COM", True),
        ("*.contoso.com", "contoso.com", False),
        ("*.contoso.com", "acontoso.com", False),
        ("contoso.com", "a.contoso.com", False),
        ("*.contoso.com", "*.contoso.com", False),
    ],
)
def test_wildcards(pattern: str, name: str, matches: bool) -> None:
    assert host_name(name).matches_wildcard(host_name(pattern)) == matches


@pytest.mark.parametrize(
    "good", ["a", "a.b", "xn--bcher-kva.de", "_srv.test.com", "A1-b.c", "*.a.b", "a" * 63, "bücher"]
)
def test_names_dns_can_hold(good: str) -> None:
    assert host_fault(host_name(good)) is None


@pytest.mark.parametrize(
    "bad", ["", "a b", "a..b", "-a", "a-", "a" * 64, "a/b", "a:80", "a*b", "a\x1b[0m", "a." * 130 + "b"]
)
def test_names_dns_cannot_hold(bad: str) -> None:
    fault = host_fault(host_name(bad))
    assert fault is not None
    assert fault.isprintable()


@given(st.text(max_size=60))
def test_any_text_may_be_asked_about(text: str) -> None:
    host = host_name(text)
    assert host == host_name(str(host))
    assert http_spn(host).key == fold(http_spn(host).text)
    assert host.is_address == (address_of(host.key) is not None)


# -- service principal names ---------------------------------------------------------------------------------------


@given(ASCII, ASCII)
def test_spns_compare_without_case_and_nothing_else(one: str, other: str) -> None:
    assert (spn(one) == spn(other)) == (one.lower() == other.lower())
    assert (hash(spn(one.upper())) == hash(spn(one.lower()))) is True


@pytest.mark.parametrize(
    ("text", "service", "host", "port"),
    [
        ("HTTP/IIS01.test.com", "http", "iis01.test.com", None),
        ("http/contoso:8080", "http", "contoso", 8080),
        ("HOST/iis01", "host", "iis01", None),
        ("MSSQLSvc/db.test.com:SQLEXPRESS", "mssqlsvc", "db.test.com:sqlexpress", None),
        ("LDAP/dc1.test.com/test.com", "ldap", "dc1.test.com", None),
    ],
)
def test_parts_of_an_spn(text: str, service: str, host: str, port: int | None) -> None:
    name = spn(text)
    assert (name.service, name.host, name.port) == (service, host_name(host), port)


@pytest.mark.parametrize("digit", [chr(code) for code in range(0x80, 0x3000) if chr(code).isdigit()])
def test_a_port_is_written_in_ascii(digit: str) -> None:
    """`str.isdigit` is true of superscripts too, which `int` refuses."""
    name = spn(f"HTTP/contoso:80{digit}")
    assert (name.host, name.port) == (host_name(f"contoso:80{digit}"), None)


def test_what_spn_mappings_does() -> None:
    assert spn("HTTP/a.b:80").with_service("HOST") == spn("host/A.B:80")
    assert spn("HTTP/a:443") != spn("HTTP/a")


@pytest.mark.parametrize("text", ["HTTP/contoso", "http/contoso.test.com:8080", "HOST/IIS01", "HTTP/xn--bcher-kva.de"])
def test_names_clients_ask_for(text: str) -> None:
    assert spn_fault(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://contoso", "URL"),
        ("HTTP\\contoso", "backslash"),
        ("HTTPS/contoso", "no service class HTTPS"),
        ("HTTP/*.contoso.com", "wildcard"),
        ("HTTP/http", "service class stands where the host belongs"),
        ("HTTP/host", "service class stands where the host belongs"),
        ("HTTP/cont\u200boso", "invisible"),
        ("HTTP/contoso\n", "invisible"),
        ("HTTP/bücher.de", "A-label"),
        ("HTTP/contoso ", "white space"),
        ("HTTP/ contoso", "white space"),
        ("HTTP/contoso@TEST.COM", "realm"),
        ("HTTP", "class/host"),
        ("HTTP/", "class/host"),
        ("/contoso", "class/host"),
        ("HTTP/contoso/", "empty"),
        ("HTTP/a/b/c", "fourth"),
        ("HTTP/contoso/test.com", "three-part"),
    ],
)
def test_values_that_can_never_match(text: str, words: str) -> None:
    fault = spn_fault(text)
    assert fault is not None
    assert words in fault


@given(st.text(max_size=40))
def test_any_value_is_judged(text: str) -> None:
    fault = spn_fault(text)
    assert fault is None or fault.isprintable()
    if fault is None:
        assert text.isascii()
        assert text.count("/") == 1


# -- accounts ------------------------------------------------------------------------------------------------------


def test_accounts_compare_without_case() -> None:
    assert AccountName("TEST", "IIS01$") == AccountName("test", "iis01$")
    assert AccountName("TEST", "IIS01$") != AccountName("TEST", "IIS01")
    assert AccountName("A", "x") != AccountName("B", "x")
    assert str(AccountName("Test", "Svc")) == r"Test\Svc"


@pytest.mark.parametrize(
    ("computer", "account"),
    [
        ("IIS01", "IIS01$"),
        ("iis01.test.com", "IIS01$"),
        ("averylongcomputername.test.com", "AVERYLONGCOMPUT$"),
        ("exactly15letter", "EXACTLY15LETTER$"),
    ],
)
def test_a_computer_account_has_fifteen_characters_and_a_dollar(computer: str, account: str) -> None:
    assert computer_account("TEST", computer) == AccountName("TEST", account)
    assert len(netbios_name(computer)) <= 15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"TEST\svc", UserName("domain", "TEST", "svc")),
        (r"test.com\svc", UserName("domain", "test.com", "svc")),
        ("svc@test.com", UserName("upn", "test.com", "svc")),
        ("first@last@test.com", UserName("upn", "test.com", "first@last")),
        (r".\svc", UserName("local", ".", "svc")),
        (r"iis01\svc", UserName("local", "iis01", "svc")),
        (r"localhost\svc", UserName("local", "localhost", "svc")),
        ("svc", UserName("bare", "", "svc")),
        ("@svc", UserName("bare", "", "@svc")),
        (r" TEST\gmsa$ ", UserName("domain", "TEST", "gmsa$")),
        (r"NT Authority\System", UserName("well-known", "NT Authority", "System")),
        (r"IIS APPPOOL\P", UserName("well-known", "IIS APPPOOL", "P")),
        (r"NT SERVICE\x", UserName("well-known", "NT SERVICE", "x")),
        (r"TEST\a@b", UserName("domain", "TEST", "a@b")),
    ],
)
def test_forms_of_a_user_name(text: str, expected: UserName) -> None:
    assert user_name(text, "IIS01") == expected


def test_a_machine_is_known_by_its_short_name_and_cut_at_fifteen() -> None:
    assert user_name(r"AVERYLONGCOMPUT\x", "averylongcomputername.test.com").form == "local"
    assert user_name(r"IIS02\x", "IIS01").form == "domain"


@pytest.mark.parametrize("domain", ["ACME", "AC ME", "corp.old", "A" * 15])
def test_netbios_names(domain: str) -> None:
    assert netbios_fault(domain) is None


@pytest.mark.parametrize("domain", ["", "A" * 16, *(f"A{c}" for c in r'\/:*?"<>|')])
def test_what_is_no_netbios_name(domain: str) -> None:
    assert "is not a NetBIOS name" in str(netbios_fault(domain))


@pytest.mark.parametrize("text", ["IIS01$", "", "svc@test.com", "TEST/svc"])
def test_an_account_has_a_domain(text: str) -> None:
    with pytest.raises(ValueError, match="is not DOMAIN"):
        account_name(text)


@given(st.text(st.characters(exclude_characters="\\"), max_size=20), st.text(max_size=20))
def test_names_are_read_from_their_texts(one: str, other: str) -> None:
    host = host_name(f"{one.strip('. ')}x")
    for name, kind in ((AccountName(one, other), AccountName), (spn(one), Spn), (host, HostName)):
        read = FROM_TEXT[kind](str(name))
        assert (read, str(read)) == (name, str(name))


# -- showing -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=40))
def test_nothing_printed_drives_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() or " " in shown or not shown.isascii()
    assert not any(c in shown for c in "\x1b\r\n\t\u202e\u200b\x9b\u2028")
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["plain", "Größe", "日本", "with space"])
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text
