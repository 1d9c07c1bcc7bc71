"""A server as typed, and the ranges in it."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import peak

from agent.errors import UsageError
from agent.names import address_of
from agent.sources.endpoint import Defaults, Endpoint, Transport, expand, parse

NONE = Defaults()


def where(text: str, defaults: Defaults = NONE) -> tuple[str, int, bool]:
    endpoint = parse(text, defaults)
    return endpoint.host, endpoint.port, endpoint.tls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web01", ("web01", 5985, False)),
        (" web01.test.com. ", ("web01.test.com", 5985, False)),
        ("web01:5986", ("web01", 5986, True)),
        ("web01:443", ("web01", 443, True)),
        ("web01:80", ("web01", 80, False)),
        ("web01:15985", ("web01", 15985, False)),
        ("http://web01", ("web01", 5985, False)),
        ("HTTPS://web01/", ("web01", 5986, True)),
        ("https://web01:15986/wsman", ("web01", 15986, True)),
        ("http://web01:5986", ("web01", 5986, False)),
        ("10.0.0.5", ("10.0.0.5", 5985, False)),
        ("10.0.0.5:5986", ("10.0.0.5", 5986, True)),
        ("fe80::1", ("fe80::1", 5985, False)),
        ("[fe80::1]:5985", ("fe80::1", 5985, False)),
        ("https://[fe80::1%eth0]", ("fe80::1%eth0", 5986, True)),
        ("bücher.test.com", ("xn--bcher-kva.test.com", 5985, False)),
        ("web_01", ("web_01", 5985, False)),
    ],
)
def test_as_typed(text: str, expected: tuple[str, int, bool]) -> None:
    assert where(text) == expected


@pytest.mark.parametrize(
    ("text", "defaults", "expected"),
    [
        ("web01", Defaults(port=5986), ("web01", 5986, True)),
        ("web01", Defaults(port=15985), ("web01", 15985, False)),
        ("web01", Defaults(port=15985, tls=True), ("web01", 15985, True)),
        ("web01", Defaults(tls=True), ("web01", 5986, True)),
        ("web01:5985", Defaults(port=5986), ("web01", 5985, False)),
        ("https://web01", Defaults(port=5985), ("web01", 5986, True)),
        ("http://web01", Defaults(port=5986, tls=True), ("web01", 5985, False)),
        ("web01", Defaults(transport="basic"), ("web01", 5986, True)),
        ("web01:15986", Defaults(transport="basic"), ("web01", 15986, True)),
        ("web01", Defaults(transport="certificate"), ("web01", 5986, True)),
        ("web01", Defaults(transport="ntlm"), ("web01", 5985, False)),
    ],
)
def test_defaults(text: str, defaults: Defaults, expected: tuple[str, int, bool]) -> None:
    assert where(text, defaults) == expected


def test_user_and_transport_come_from_the_command_line() -> None:
    endpoint = parse("web01", Defaults(transport="ntlm", user="CORP\\svc"))
    assert endpoint == Endpoint(name="web01", host="web01", transport="ntlm", user="CORP\\svc")


@pytest.mark.parametrize("transport", ["basic", "certificate"])
@pytest.mark.parametrize("text", ["http://web01", "web01:5985", "web01:80"])
def test_no_password_outside_tls(transport: Transport, text: str) -> None:
    with pytest.raises(UsageError, match="over TLS only"):
        parse(text, Defaults(transport=transport))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "''"),
        ("-web01", "is not a DNS label"),
        ("web 01", "'web 01' is no server"),
        ("web01/share", "write HOST"),
        ("\\\\web01", "is not a DNS label"),
        ("ldap://web01", "is no server"),
        ("*.test.com", "a wildcard"),
        ("web01:", "is no server"),
        ("web01:0", "from 1 to 65535"),
        ("web01:65536", "from 1 to 65535"),
        ("web01:٥٩٨٥", "is no server"),
        ("10.0.0.300", "no IP address"),
        ("1.2.3", "no IP address"),
        ("0x7f000001", "no IP address"),
        ("2130706433", "no IP address"),
        ("[fe80::zz]", "is no server"),
        ("10.0.0.5%eth0", "zone"),
        ("fe80::1%a b", "zone"),
        ("a" * 64, "is not a DNS label"),
        ("web\x1b[2J", "\\u001b"),
        ("web[01:03]", "is no server"),
    ],
)
def test_what_is_no_server(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NONE)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["https://bob:S3cret@web01", "bob:S3cret@web01", "S3cret@web01:5986"])
def test_a_password_in_a_word_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NONE)
    assert "S3cret" not in str(caught.value)
    assert "web01" in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_server_or_a_usage_error(text: str) -> None:
    try:
        endpoint = parse(text, NONE)
    except UsageError:
        return
    assert endpoint.host
    assert endpoint.host.isascii()
    assert address_of(endpoint.host) or endpoint.host.replace(".", "").replace("-", "").replace("_", "").isalnum()


# -- ranges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("web01", ["web01"]),
        ("web[01:03].test.com", ["web01.test.com", "web02.test.com", "web03.test.com"]),
        ("web[1:10:4]", ["web1", "web5", "web9"]),
        ("web[:2]", ["web0", "web1", "web2"]),
        ("web[8:11]", ["web8", "web9", "web10", "web11"]),
        ("web[a:c]", ["weba", "webb", "webc"]),
        ("web[A:E:2]", ["webA", "webC", "webE"]),
        ("[a:b][1:2]x", ["a1x", "a2x", "b1x", "b2x"]),
        ("https://web[1:2]:5986", ["https://web1:5986", "https://web2:5986"]),
        ("[fe80::1]:5985", ["[fe80::1]:5985"]),
    ],
)
def test_expand(word: str, names: list[str]) -> None:
    assert list(expand(word)) == names


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("web[1]", "a range is written"),
        ("web[]", "a range is written"),
        ("web[1:]", "a range is written"),
        ("web[-1:3]", "a range is written"),
        ("web[1:2:3:4]", "a range is written"),
        ("web[aa:bb]", "a range is written"),
        ("web[3:1]", "holds no name"),
        ("web[c:a]", "holds no name"),
        ("web[1:3:0]", "holds no name"),
        ("web[01:100]", "not of one length"),
        ("web[a:3]", "from number to number"),
        ("web[a:C]", "from number to number"),
        ("web[1:100001]", "stands for more than 100000 names"),
        ("web[0:999999999][0:999999999][0:999999999]", "more than 100000"),
    ],
)
def test_what_is_no_range(word: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(expand(word))
    assert said in str(caught.value)


def counted(first: int, last: int, step: int, width: int) -> list[str]:
    """The oracle: count upwards, one by one."""
    numbers, number = [], first
    while number <= last:
        numbers.append(f"{number:0{width}d}")
        number += step
    return numbers


@st.composite
def ranges(draw: st.DrawFn) -> tuple[str, list[str]]:
    first, more, step = draw(st.integers(0, 300)), draw(st.integers(0, 12)), draw(st.integers(1, 5))
    width = draw(st.integers(0, 5))
    last = first + more
    if width <= len(str(first)) or width < len(str(last)):
        return f"[{first}:{last}:{step}]", counted(first, last, step, 1)
    return f"[{first:0{width}d}:{last:0{width}d}:{step}]", counted(first, last, step, width)


@given(st.lists(ranges(), max_size=3), st.lists(st.sampled_from(["", "web", "-x", ".test.com"]), min_size=4))
def test_ranges_against_counting(spans: list[tuple[str, list[str]]], texts: list[str]) -> None:
    word = texts[0] + "".join(span + text for (span, _), text in zip(spans, texts[1:], strict=False))
    expected = [
        texts[0] + "".join(number + text for number, text in zip(numbers, texts[1:], strict=False))
        for numbers in itertools.product(*(values for _, values in spans))
    ]
    assert list(expand(word)) == expected


@pytest.mark.parametrize(
    "word",
    [
        "web[1:999999999]",
        "web[1:9999999999999999999999]",
        "[0:99999]" * 1_000,
        "w[0:1]" * 40,
        "[" * 50_000,
        "[1:2" * 999,
    ],
)
def test_a_range_is_counted_before_anything_is_made_of_it(word: str) -> None:
    def try_it() -> None:
        with contextlib.suppress(UsageError):
            assert list(expand(word)) == [word], "no range"

    assert peak(try_it) < 100 * len(word) + 100_000
