"""Our own BER of a search and its entries, held against sansldap's: what ours reads, sansldap reads alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")

import sansldap

from agent.der import element
from agent.sources.ad import search_messages
from agent.sources.ad.search_messages import ENTRY, Control, Search, answer_in, entry_in, paged, search_request
from tests.fuzz.ldap_answers import as_sansldap_reads_it, entry_message, long_form

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
VALUES = st.binary(max_size=300)
ENTRIES = st.tuples(TEXTS, st.dictionaries(TEXTS, st.lists(VALUES, max_size=5), max_size=6))
SEARCHES = st.builds(
    Search,
    base=TEXTS,
    scope=st.sampled_from([0, 1, 2]),
    wanted=st.none() | st.lists(st.tuples(TEXTS, VALUES), min_size=1, max_size=120),
    attributes=st.lists(TEXTS, max_size=40),
)
SMALL = entry_message(1, "CN=a,DC=test", {"cn": [b"a"], "servicePrincipalName": [b"HTTP/a", b"HTTP/b"]})


def read(message: bytes) -> tuple[int, object]:
    answer = answer_in(message)
    if answer.tag != ENTRY:
        raise ValueError("another kind of message")
    return answer.number, entry_in(message, answer)


# -- the request ---------------------------------------------------------------------------------------------------


@given(
    SEARCHES,
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.none() | st.binary(max_size=200),
)
def test_sansldap_reads_the_request(search: Search, number: int, most: int, seconds: int, cookie: bytes | None) -> None:
    controls = [Control("1.2.3")]
    if cookie is not None:
        controls.append(Control(sansldap.PagedResultControl.control_type, critical=True, value=paged(500, cookie)))
    data = search_request(number, search, most=most, seconds=seconds, controls=controls)
    (request,) = sansldap.LDAPServer().receive(data)
    assert isinstance(request, sansldap.SearchRequest)
    assert (request.message_id, request.size_limit, request.time_limit) == (number, most, seconds)
    assert (request.base_object, request.scope, request.attributes) == (search.base, search.scope, search.attributes)
    assert (request.deref_aliases, request.types_only) == (sansldap.DereferencingPolicy.NEVER, False)
    assert request.filter == _filter(search)
    assert [(one.control_type, one.critical) for one in request.controls] == [(one[0], one[1]) for one in controls]
    if cookie is not None:
        (control,) = (one for one in request.controls if isinstance(one, sansldap.PagedResultControl))
        assert (control.size, control.cookie) == (500, cookie)


def _filter(search: Search) -> sansldap.LDAPFilter:
    if search.wanted is None:
        return sansldap.FilterPresent("objectClass")
    parts = [sansldap.FilterEquality(attribute, value) for attribute, value in search.wanted]
    return parts[0] if len(parts) == 1 else sansldap.FilterOr(list(parts))


# -- the entry -----------------------------------------------------------------------------------------------------


@given(ENTRIES, st.integers(0, 2**31 - 1))
def test_both_read_an_entry_alike(entry: tuple[str, dict[str, list[bytes]]], number: int) -> None:
    message = entry_message(number, *entry)
    assert read(message) == as_sansldap_reads_it(message) == (number, entry)
    assert read(long_form(message)) == (number, entry)  # as AD writes: every length in five bytes


@given(ENTRIES, st.data())
def test_what_is_read_of_a_damaged_entry_is_what_sansldap_reads(
    entry: tuple[str, dict[str, list[bytes]]], data: st.DataObject
) -> None:
    message = bytearray(entry_message(5, *entry))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    as_sansldap_reads_it(bytes(message))


@pytest.mark.parametrize("change", [-2, -1, 1, 2, 100])
def test_every_length_that_is_wrong_is_refused(change: int) -> None:
    """Of each element in turn: inside it something is then cut off or too much, or it leaves its parent."""
    for at in _lengths(SMALL):
        changed = bytearray(SMALL)
        changed[at] = (changed[at] + change) % 256
        try:
            found = read(bytes(changed))
        except ValueError:
            continue
        assert found == as_sansldap_reads_it(bytes(changed)) != read(SMALL)


def _lengths(message: bytes) -> list[int]:
    """Where lengths stand in a message whose lengths all have one byte."""
    places = []
    waiting = [(0, len(message))]
    while waiting:
        at, end = waiting.pop()
        while at < end:
            places.append(at + 1)
            after = at + 2 + message[at + 1]
            waiting += [(at + 2, after)] if message[at] & 0x20 else []
            at = after
    return places


def test_every_beginning_of_a_message_is_refused() -> None:
    for size in range(len(SMALL)):
        with pytest.raises(ValueError, match=r"element|message"):
            read(SMALL[:size])


@pytest.mark.parametrize(
    "inside",
    [
        "0201016480 0400 3000 0000",  # an operation of indefinite length
        "02010164 06 0480 3000 0000",
        "020101 6485 0000000004 0400 3000",  # a length in five bytes
        "020101 64ff",
        "0200 64040400 3000",  # a number without bytes, and one with five
        "02050000000001 6404 0400 3000",
        "020101",
        "020101 6404 0400 3100",  # a set for a sequence
        "020101 6404 0401 3000",
        "020101 6405 0401ff 3000",  # what is no UTF-8
    ],
)
def test_what_no_server_sends_is_refused(inside: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(element(0x30, bytes.fromhex(inside.replace(" ", ""))))


def test_what_is_not_known_behind_the_rest_is_ignored() -> None:
    """As RFC 4511 4 wants it of whoever reads an extension of a later time."""
    values = element(0x30, element(4, b"cn"), element(0x31, element(4, b"a")), element(0x85, b"x"))
    operation = element(ENTRY, element(4, b"CN=a"), element(0x30, values), element(0x86, b"y"))
    controls = element(0xA0, element(0x30, element(4, b"1.2.3")))
    message = element(0x30, element(2, b"\7"), operation, controls)
    assert read(message) == as_sansldap_reads_it(message) == (7, ("CN=a", {"cn": [b"a"]}))


def test_the_first_of_two_attributes_of_one_name_counts() -> None:
    twice = b"".join(element(0x30, element(4, b"cn"), element(0x31, element(4, value))) for value in (b"a", b"b"))
    message = element(0x30, element(2, b"\7"), element(ENTRY, element(4, b"CN=a"), element(0x30, twice)))
    assert read(message) == (7, ("CN=a", {"cn": [b"a"]}))


@pytest.mark.parametrize(("attributes", "values"), [(1, 10), (5, 2), (6, 1), (11, 0)])
def test_an_entry_has_a_bound(attributes: int, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes become an object of fifty: they are counted before there are many."""
    many = {f"a{number}": [b"x"] * values for number in range(attributes)}
    message = entry_message(1, "CN=a", many)
    elements = sum(1 + len(one) for one in many.values())
    monkeypatch.setattr(search_messages, "MOST_ELEMENTS", elements)
    assert read(message) == (1, ("CN=a", many))
    monkeypatch.setattr(search_messages, "MOST_ELEMENTS", elements - 1)
    with pytest.raises(ValueError, match="more than"):
        read(message)
