"""The LDAP source against a server of our own that has AD's limits, and against servers that lie, stall and vanish."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
from msgspec.structs import replace

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

import ldap_shim as shim_module
import sansldap
from ldap_shim import DOMAIN, PASSWORD, USER, Attributes, Shim
from sansldap import LDAPResultCode as Code

from agent.errors import UsageError
from agent.names import spn
from agent.sources import extras
from agent.sources.ad import connection as connection_module
from agent.sources.ad import filters, search_messages, wire
from agent.sources.ad.answers import Answers
from agent.sources.ad.connection import BYTES_UNDER_WAY, SUBTREE, UNDER_WAY, LdapConnection
from agent.sources.ad.filters import equal
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.locate import Located
from agent.sources.ad.logon import Logon, kerberos_principal
from agent.sources.ad.results import LdapError
from agent.sources.ad.search_messages import Search
from agent.spn.directory import Directory, Question
from tests.fuzz.ldap_answers import entry_message

BASE = "DC=test,DC=com"
CONFIG = f"CN=Configuration,{BASE}"
CHILD = f"DC=child,{BASE}"
SID = bytes.fromhex("010400000000000515000000010000000200000003000000")
QUESTION = Question(
    spns=frozenset(map(spn, ["HTTP/www.test.com", "HOST/www.test.com"])), account_names=frozenset({"svc", "iis01$"})
)


def user(name: str, *spns: str, base: str = BASE, **more: list[bytes]) -> dict[str, Attributes]:
    attributes: dict[str, list[bytes]] = {
        "objectClass": [b"top", b"user"],
        "sAMAccountName": [name.encode()],
        "servicePrincipalName": [s.encode() for s in spns],
    }
    return {f"CN={name},CN=Users,{base}": {**attributes, **{k.replace("_", "-"): v for k, v in more.items()}}}


def domain(dn: str, netbios: bytes) -> dict[str, Attributes]:
    reference = {"objectClass": [b"crossRef"], "nCName": [dn.encode()], "nETBIOSName": [netbios], "systemFlags": [b"3"]}
    return {
        dn: {"objectClass": [b"top", b"domainDNS"], "objectSid": [SID]},
        f"CN={netbios.decode()},CN=Partitions,{CONFIG}": reference,
    }


def settings() -> dict[str, Attributes]:
    service = f"CN=Directory Service,CN=Windows NT,CN=Services,{CONFIG}"
    rodc = {"objectClass": [b"group"], "objectSid": [SID[:1] + b"\x05" + SID[2:] + (521).to_bytes(4, "little")]}
    return {
        service: {"objectClass": [b"nTDSService"], "sPNMappings": [b"host=http,cifs"], "dSHeuristics": [b"001"]},
        f"CN=RODC,CN=Users,{BASE}": {**rodc, "whenCreated": [b"20200102030405.0Z"]},
    }


ROOT = {
    "defaultNamingContext": BASE,
    "configurationNamingContext": CONFIG,
    "rootDomainNamingContext": BASE,
    "dnsHostName": "dc1.test.com",
    "isGlobalCatalogReady": "FALSE",
}


def one_domain(*more: dict[str, Attributes]) -> dict[str, Attributes]:
    entries = {**domain(BASE, b"TEST"), **settings()}
    for part in more:
        entries |= part
    return entries


@pytest.fixture(autouse=True)
def _ntlm_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No KDC is known, so that a user and password end in NTLM; the shim knows one account."""
    configuration = tmp_path / "krb5.conf"
    configuration.write_text("[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n")
    accounts = tmp_path / "ntlm"
    accounts.write_text(shim_module.credentials())
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    monkeypatch.setenv("NTLM_USER_FILE", str(accounts))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")


def source(shim: Shim, *, seconds: float = 20, password: str = PASSWORD, **more: object) -> LdapSource:
    logon = Logon(f"{DOMAIN}\\{USER}", lambda: password)
    made = LdapSource(target=f"ldap://dc1.test.com:{shim.port}", logon=logon, seconds=seconds, address="127.0.0.1")
    return replace(made, **more)  # type: ignore[arg-type]


def asked(shim: Shim, question: Question = QUESTION, **more: object) -> Directory:
    with shim.serving():
        return source(shim, **more).ask(question)  # type: ignore[arg-type]


@pytest.fixture
def small() -> Iterator[Shim]:
    with Shim(one_domain(user("svc", "HTTP/www.test.com")), ROOT).serving() as shim:
        yield shim


# -- answers -------------------------------------------------------------------------------------------------------


def test_one_domain(small: Shim) -> None:
    directory = source(small).ask(QUESTION)
    assert directory.problems == ()
    assert [str(a.name) for a in directory.seen(spn("http/WWW.test.com"))] == ["TEST\\svc"]
    assert [(d.dns_name, d.netbios, d.covered) for d in directory.domains] == [("test.com", "TEST", True)]
    assert directory.mapped_to_host == {"http", "cifs"}
    assert directory.ds_heuristics == "001"
    assert directory.aes_since is not None


def test_the_netbios_name_is_that_of_the_cross_reference() -> None:
    """It need not be the first label of the DNS name; a directory that is asked says so itself."""
    directory = asked(Shim({**domain(BASE, b"NORDAD"), **settings(), **user("svc", "HTTP/www.test.com")}, ROOT))
    assert [(d.netbios, d.forest) for d in directory.domains] == [("NORDAD", "test.com")]
    assert [a.name.domain for a in directory.seen(spn("HTTP/www.test.com"))] == ["NORDAD"]


def test_everything_after_the_bind_is_sealed(small: Shim) -> None:
    source(small).ask(QUESTION)
    assert b"www.test.com" not in small.in_clear
    assert PASSWORD.encode() not in small.in_clear


def test_pages_are_followed() -> None:
    many = [user(f"svc{n}", "HTTP/www.test.com") for n in range(23)]
    directory = asked(Shim(one_domain(*many), ROOT, page_limit=5))
    assert len(directory.seen(spn("HTTP/www.test.com"))) == 23
    assert directory.problems == ()


def test_nobody_asks_for_pages_that_are_not_needed(small: Shim) -> None:
    source(small).ask(QUESTION)
    assert not any(shim_module.paged_control(request) for request in small.searches)


@pytest.mark.parametrize("code", [3, 4, 11, 51])
def test_what_a_limit_cut_off_is_asked_for_again_in_pages(code: int) -> None:
    """The entries that came before it are no answer yet, and none of them is kept twice."""

    def limited(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
        if shim_module.paged_control(request):
            return False
        return shim_module.refusing(Code(code))(session, request)

    many = [user(f"svc{n}", "HTTP/www.test.com") for n in range(7)]
    directory = asked(Shim(one_domain(*many), ROOT, page_limit=3, trouble=limited))
    assert directory.problems == ()
    assert len(directory.seen(spn("HTTP/www.test.com"))) == 7
    assert [d.covered for d in directory.domains] == [True]


@pytest.mark.parametrize("count", [1500, 1501, 4000])
def test_ranges_are_followed(count: int) -> None:
    names = [f"MSSQLSvc/db{n}.test.com" for n in range(count - 1)]
    directory = asked(Shim(one_domain(user("svc", *names, "HTTP/www.test.com")), ROOT))
    assert len(directory.accounts[0].spns) == count
    assert directory.seen(spn("HTTP/www.test.com"))
    assert directory.problems == ()


def test_batches_are_bounded() -> None:
    names = frozenset(spn(f"{c}/web{n}.test.com") for n in range(125) for c in ("HTTP", "HOST"))
    shim = Shim(one_domain(user("svc", "HTTP/web99.test.com")), ROOT)
    with shim.serving():
        asker = source(shim)
        directory = asker.ask(Question(spns=names))
    assert directory.seen(spn("HTTP/web99.test.com"))
    assert max(len(getattr(s.filter, "filters", ())) for s in shim.searches) == filters.BATCH
    assert asker.round_trips < 25


def test_special_characters_stay_values(small: Shim) -> None:
    small.entries |= user("odd", "HTTP/a*b(c)\\d\0.test.com")
    odd = spn("HTTP/a*b(c)\\d\0.test.com")
    directory = source(small).ask(Question(spns=frozenset({odd, spn("HTTP/*")})))
    assert [a.name.name for a in directory.accounts] == ["odd"]
    assert directory.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS/www.test.com",
        "http://www.test.com",
        "HTTP\\www.test.com",
    ],
)
def test_misspelt_names_are_found(small: Shim, text: str) -> None:
    small.entries |= user("wrong", text)
    assert "wrong" in [a.name.name for a in source(small).ask(QUESTION).accounts]


def test_shadowing_upn_is_found(small: Shim) -> None:
    small.entries |= user("ktpass", userPrincipalName=[b"HTTP/www.test.com@TEST.COM"])
    assert "ktpass" in [a.name.name for a in source(small).ask(QUESTION).accounts]


def test_second_round_finds_targets_and_successors(small: Shim) -> None:
    dmsa = f"CN=dmsa,CN=Users,{BASE}"
    small.entries |= user("iis01$", msDS_AllowedToDelegateTo=[b"MSSQLSvc/db.test.com:1433", b"cifs/gone.test.com"])
    small.entries |= user("sql", "MSSQLSvc/db.test.com:1433")
    small.entries |= user("svc", msDS_SupersededManagedAccountLink=[dmsa.encode()])
    classes = [b"top", b"user", b"computer", b"msDS-DelegatedManagedServiceAccount"]
    small.entries[dmsa] = {"objectClass": classes, "sAMAccountName": [b"dmsa$"]}
    directory = source(small).ask(QUESTION)
    assert directory.held_elsewhere == {spn("MSSQLSvc/db.test.com:1433"): {"test.com"}}
    assert directory.named("dmsa$")[0].kind == "dMSA"


def account_sid(rid: int) -> bytes:
    return SID[:1] + b"\x05" + SID[2:] + rid.to_bytes(4, "little")


def group(name: str, rid: int, *member_of: str) -> dict[str, Attributes]:
    groups = [f"CN={one},CN=Users,{BASE}".encode() for one in member_of]
    values = {"objectClass": [b"top", b"group"], "objectSid": [account_sid(rid)], "memberOf": groups}
    return {f"CN={name},CN=Users,{BASE}": values}


def computer(*member_of: str, **more: list[bytes]) -> dict[str, Attributes]:
    groups = [f"CN={one},CN=Users,{BASE}".encode() for one in member_of]
    made = user("iis01$", objectSid=[account_sid(1101)], memberOf=groups, **more)
    return {dn: {**values, "objectClass": [b"user", b"computer"]} for dn, values in made.items()}


def managed(rid: int) -> dict[str, Attributes]:
    who = account_sid(rid)
    ace = bytes(2) + (8 + len(who)).to_bytes(2, "little") + bytes(4) + who
    acl = b"\2\0" + (8 + len(ace)).to_bytes(2, "little") + b"\1\0\0\0" + ace
    descriptor = b"\1\0\4\x80" + bytes(12) + b"\x14\0\0\0" + acl
    return user("gmsa$", "HTTP/www.test.com", msDS_GroupMSAMembership=[descriptor])


def test_groups_of_computers_are_asked_about_where_a_managed_account_is(small: Shim) -> None:
    small.entries |= computer("A") | group("A", 2001, "B") | group("B", 2002, "C") | group("C", 2003, "A")
    small.entries |= group("Domain Computers", 515, "D") | group("D", 2004) | group("Readers", 2005) | managed(2005)
    asker = source(small)
    directory = asker.ask(QUESTION)
    assert directory.problems == ()
    (account,) = directory.named("iis01$")
    groups = directory.memberships(account)
    assert {one.rpartition("-")[2] for one in groups.sids} == {"515", "2001", "2002", "2003", "2004"}
    assert groups.open == frozenset()
    assert directory.group_sids[f"cn=readers,cn=users,{BASE}".lower()].endswith("-2005")
    assert directory.exports("memberOf")
    assert asker.round_trips < 25


def test_groups_are_not_asked_about_where_no_password_is_read(small: Shim) -> None:
    small.entries |= computer("A") | group("A", 2001)
    assert source(small).ask(QUESTION).group_sids == {}
    assert b"CN=A,CN=Users" not in b"".join(str(one.filter).encode() for one in small.searches)


def test_endless_groups_within_groups_end(small: Shim) -> None:
    """A server that names a new group for each group."""

    def another(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
        asked = re.findall(r"value=b'CN=G(\d+),", str(request.filter))
        for number in map(int, asked):
            more = group(f"G{number}", 3000 + number, f"G{number + 1}")
            for dn, values in more.items():
                session.entry(request, dn, values)
        if asked:
            session.done(request)
        return bool(asked)

    small.entries |= computer("G1") | managed(2005)
    small.trouble = another
    directory = source(small).ask(QUESTION)
    (account,) = directory.named("iis01$")
    assert directory.memberships(account).open
    assert len(directory.group_sids) < 100


def test_a_deleted_holder_holds_nothing(small: Shim) -> None:
    gone = rf"CN=gone\0ADEL:1,CN=Deleted Objects,{BASE}"
    small.entries |= {gone: {"objectClass": [b"user"], "servicePrincipalName": [b"HTTP/www.test.com"]}}
    small.entries |= user("marked", "HTTP/www.test.com", isDeleted=[b"TRUE"])
    directory = source(small).ask(QUESTION)
    assert [a.name.name for a in directory.seen(spn("HTTP/www.test.com"))] == ["svc"]


# -- several searches at once --------------------------------------------------------------------------------------


def searches(count: int, length: int = 0) -> Iterator[Search]:
    for number in range(count):
        yield Search(BASE, SUBTREE, [equal("sAMAccountName", f"svc{number}".ljust(length, "x"))], ["cn"])


def numbered_users(count: int) -> dict[str, Attributes]:
    return one_domain(*(user(f"svc{number}", cn=[b"%d" % number]) for number in range(count)))


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sizes of the searches that are under way, after each that was sent."""
    seen: list[list[int]] = []
    ask = LdapConnection._ask

    def noted(connection: LdapConnection, search: Search, cookie: bytes = b"") -> Answers:
        answers = ask(connection, search, cookie)
        seen.append([one.asked for one in connection._unanswered.values()])
        return answers

    monkeypatch.setattr(LdapConnection, "_ask", noted)
    return seen


def answering_in_turns(shim: Shim, turn: int) -> None:
    """The server waits for so many searches, and answers the last one first."""
    held: list[sansldap.SearchRequest] = []

    def hold(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
        held.append(request)
        if len(held) == turn:
            shim.trouble = None
            for one in reversed(held):
                session._search(one)
            held.clear()
            shim.trouble = hold
        return True

    shim.trouble = hold


def test_answers_come_to_the_search_they_belong_to(under_way: list[list[int]]) -> None:
    """A server may answer in any order (RFC 4511 3.1); it gets as many at a time as it waits for, and no more."""
    shim = Shim(numbered_users(16), ROOT)
    with shim.serving(), source(shim).session() as (connection, _):
        answering_in_turns(shim, UNDER_WAY)
        found = [[values["cn"] for _, values in entries] for _, entries in connection.searches(searches(16))]
        assert connection.round_trips == 2 + 1 + 16  # the logon, rootDSE, the searches
    assert found == [[[b"%d" % number]] for number in range(16)]
    assert max(map(len, under_way)) == UNDER_WAY == 8


@pytest.mark.parametrize("length", [10, 20_000, 70_000])
def test_what_is_under_way_has_room_between_two_machines(length: int, under_way: list[list[int]]) -> None:
    """Else a server that waits until its answer is read, and a client that waits until it may send, wait for ever."""
    shim = Shim(numbered_users(1), ROOT)
    with shim.serving(), source(shim).session() as (connection, _):
        assert [list(entries) for _, entries in connection.searches(searches(12, length))] == [[]] * 12
    assert max(sum(sizes[:-1]) for sizes in under_way) < BYTES_UNDER_WAY


def test_who_does_not_want_the_rest_hangs_up() -> None:
    """What is still to come would be taken for the answer to the next question."""
    shim = Shim(numbered_users(20), ROOT)
    with shim.serving(), source(shim).session() as (connection, _):
        rest = connection.searches(searches(20))
        _, entries = next(rest)
        assert len(list(entries)) == 1
        rest.close()
        with pytest.raises(LdapError):
            list(connection.search(BASE, SUBTREE, None, ["cn"]))


@pytest.mark.parametrize("refused", range(4))
def test_one_refusal_of_several_makes_the_answer_incomplete_and_ends_nothing(
    refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not reached is unknown, whichever part it was; what the others found is known."""
    monkeypatch.setattr(filters, "BATCH", 10)
    names = frozenset(spn(f"HTTP/w{number:02}.test.com") for number in range(40))
    count = iter(range(1000))

    def refuse(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
        if "HTTP/w" not in str(request.filter) or next(count) != refused:
            return False
        session.done(request, Code.UNWILLING_TO_PERFORM)
        return True

    holders = [user(f"svc{number}", f"HTTP/w{number:02}.test.com") for number in range(0, 40, 2)]
    directory = asked(Shim(one_domain(*holders), ROOT, trouble=refuse), Question(spns=names))
    _assert_incomplete(directory, "unwilling")
    seen = {name for name in names if directory.seen(name)}
    assert len(seen) == 15
    assert all(directory.holders(name, None) is None for name in names - seen)


@pytest.mark.parametrize("searched", range(1, 9))
def test_a_line_that_breaks_between_answers_proves_nothing(searched: int) -> None:
    def vanish(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
        if "HTTP/w" in str(request.filter) and next(count) == searched:
            session.socket.shutdown(socket.SHUT_RDWR)
            raise OSError("gone")
        return False

    count = iter(range(1000))
    names = frozenset(spn(f"HTTP/w{number:03}.test.com") for number in range(200))
    directory = asked(Shim(one_domain(user("svc", "HTTP/w000.test.com")), ROOT, trouble=vanish), Question(spns=names))
    assert {p.id for p in directory.problems} == {"directory-incomplete"}  # a request may be on its way by then, or not
    assert not any(d.covered for d in directory.domains)
    assert all(directory.holders(name, None) is None for name in names if not directory.seen(name))


def asked_by_name(shim: Shim) -> set[bytes]:
    """The values of sAMAccountName that it was asked for."""
    parts = [part for search in shim.searches for part in getattr(search.filter, "filters", [search.filter])]
    return {part.value for part in parts if getattr(part, "attribute", "") == "sAMAccountName"}


def test_an_account_that_came_by_its_spn_is_not_asked_for_by_name(small: Shim) -> None:
    directory = source(small).ask(QUESTION)
    assert [a.name.name for a in directory.accounts] == ["svc"]
    assert asked_by_name(small) == {b"iis01$"}


@pytest.mark.parametrize(
    "held",
    [
        user("svc", "HTTP/www.test.com", base=CHILD),
        user("svc", "HTTP/www.test.com", isDeleted=[b"TRUE"]),
        user("SVC2", "HTTP/www.test.com", cn=[b"svc"]),
    ],
    ids=["of another domain", "deleted", "of another sAMAccountName"],
)
def test_another_one_of_that_name_is_not_the_account(held: dict[str, Attributes]) -> None:
    wanted = {f"CN=real,OU=Services,{BASE}": {"objectClass": [b"user"], "sAMAccountName": [b"svc"]}}
    shim = Shim(one_domain(held, wanted), ROOT)
    directory = asked(shim)
    assert asked_by_name(shim) == {b"svc", b"iis01$"}
    assert f"CN=real,OU=Services,{BASE}" in {account.dn for account in directory.accounts}


# -- forests -------------------------------------------------------------------------------------------------------


def forest() -> tuple[Shim, Shim, Shim]:
    """A root domain, its child, and a catalog that lacks an attribute of the child's account."""
    both = {**domain(BASE, b"TEST"), **domain(CHILD, b"CHILD")}
    child_user = user("kid", "HTTP/www.test.com", base=CHILD)
    whole = user("kid", "HTTP/www.test.com", base=CHILD, msDS_SupportedEncryptionTypes=[b"24"])
    home = Shim({**both, **settings()}, ROOT)
    del home.entries[CHILD]
    child = Shim({**both, **whole}, {**ROOT, "defaultNamingContext": CHILD})
    return home, child, Shim({**both, **child_user}, {**ROOT, "isGlobalCatalogReady": "TRUE"})


def test_forest_asks_the_catalog_and_the_holders_domain() -> None:
    home, child, catalog = forest()
    with home.serving(), child.serving(), catalog.serving():
        places = {"_gc._tcp.test.com": catalog.port, "_ldap._tcp.dc._msdcs.child.test.com": child.port}
        directory = source(home, locate=lambda name, _: [Located("dc2", places[name], "127.0.0.1")]).ask(QUESTION)
    assert directory.problems == ()
    (account,) = directory.accounts
    assert (str(account.name), account.encryption_types) == ("CHILD\\kid", 24)
    assert [(d.dns_name, d.covered) for d in directory.domains] == [("child.test.com", True), ("test.com", True)]


def test_a_delegation_target_is_looked_for_in_the_whole_forest() -> None:
    home, child, catalog = forest()
    delegating = user("iis01$", msDS_AllowedToDelegateTo=[b"MSSQLSvc/db.test.com"])
    back_end = user("sql", "MSSQLSvc/db.test.com", base=CHILD)
    home.entries |= delegating
    catalog.entries |= user("iis01$") | back_end
    child.entries |= back_end
    with home.serving(), child.serving(), catalog.serving():
        places = {"_gc._tcp.test.com": catalog.port, "_ldap._tcp.dc._msdcs.child.test.com": child.port}
        directory = source(home, locate=lambda name, _: [Located("dc2", places[name], "127.0.0.1")]).ask(QUESTION)
    assert directory.problems == ()
    assert directory.held_elsewhere == {spn("MSSQLSvc/db.test.com"): {"child.test.com"}}


def test_forest_without_catalog_is_incomplete() -> None:
    home, _, _ = forest()

    def nowhere(name: str, _: float) -> list[Located]:
        raise LdapError(f"no {name}")

    directory = asked(home, locate=nowhere)
    assert [p.id for p in directory.problems] == ["directory-incomplete"]
    assert "child.test.com" in directory.problems[0].message
    assert [(d.dns_name, d.covered) for d in directory.domains] == [("test.com", True)]


def test_forest_with_dead_child_controller_still_knows_the_holder() -> None:
    home, _, catalog = forest()
    with home.serving(), catalog.serving():
        places = {"_gc._tcp.test.com": catalog.port}
        directory = source(home, locate=lambda name, _: [Located("dc2", places.get(name, 9), "127.0.0.1")]).ask(
            QUESTION
        )
    assert [str(a.name) for a in directory.accounts] == ["CHILD\\kid"]
    assert "only what the global catalog holds" in directory.problems[0].message


# -- trouble -------------------------------------------------------------------------------------------------------


def entry_of_another(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
    """An entry of the search before, which has its last message."""
    session.send(entry_message(request.message_id - 1, f"CN=x,{BASE}", {"objectClass": [b"user"]}))
    return True


def twice_done(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
    for _ in range(2):
        session.send(bytes.fromhex("300c0201") + bytes([request.message_id]) + bytes.fromhex("65070a010004000400"))
    return True


def many_values(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
    """The shortest values there are: each takes two bytes on the way."""
    session.entry(request, f"CN=x,{BASE}", {"objectClass": [b"user"], "memberOf": [b""] * 5000})
    session.done(request)
    return True


def much(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
    """Entries that each are within all bounds."""
    for number in range(50):
        session.entry(request, f"CN={number},{BASE}", {"objectClass": [b"user"], "memberOf": [b"x" * 2000] * 10})
    session.done(request)
    return True


def endless_page(session: shim_module.Session, request: sansldap.SearchRequest) -> bool:
    """It is asked for one after it said that there are too many for an answer without."""
    limited = shim_module.refusing(Code.SIZE_LIMIT_EXCEEDED)
    return (shim_module.endless_entries if shim_module.paged_control(request) else limited)(session, request)


TROUBLES = {
    "garbage": "not LDAP",
    "broken_inside": "broken message",
    "huge": "announces a message",
    "cut": "closed the connection",
    "endless_referrals": "results that were asked for",
    "referral_only": "refers to other servers",
    "endless_pages": "goes on after",
    "endless_range": "does not come to an end",
    "slow_range": "does not come to an end",
    "endless_page": "more than the 50 results that",
    "endless_entries": "results that were asked for",
    "entry_of_another": "no answer to the question",
    "twice_done": "no answer to the question",
    "many_values": "broken message",
    "much": "more than 500000 bytes",
    "wrong_id": "no answer to the question",
    "empty_number": "no answer to the question",
    "nested": "no answer to the question",
}


@pytest.mark.parametrize(("name", "words"), TROUBLES.items())
def test_trouble_is_told_and_ends(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, value in (("MOST_UNPAGED", 500), ("PAGE_SIZE", 50), ("MAX_WAITING", 500_000)):
        monkeypatch.setattr(connection_module, bound, value)
    monkeypatch.setattr(search_messages, "MOST_ELEMENTS", 4000)
    trouble = globals().get(name) or getattr(shim_module, name)
    shim = Shim(one_domain(user("svc", "HTTP/www.test.com")), ROOT, trouble=trouble)
    _assert_incomplete(asked(shim), words)
    assert shim.connections == 1  # nobody went where the server pointed


def test_silence_is_told_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is silent for as long as the client stays."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 1.0)
    shim = Shim(one_domain(user("svc", "HTTP/www.test.com")), ROOT, trouble=shim_module.hang)
    _assert_incomplete(asked(shim), "in time")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (Code.SIZE_LIMIT_EXCEEDED, "size limit"),
        (Code.TIME_LIMIT_EXCEEDED, "time limit"),
        (Code.ADMIN_LIMIT_EXCEEDED, "administrative limit"),
        (Code.REFERRAL, "refers to another server"),
        (Code.INSUFFICIENT_ACCESS_RIGHTS, "may not read"),
        (Code.BUSY, "busy"),
        (Code(4711), "LDAP result 4711"),
    ],
)
def test_refusals_are_told(code: Code, words: str) -> None:
    shim = Shim(one_domain(user("svc", "HTTP/www.test.com")), ROOT, trouble=shim_module.refusing(code))
    _assert_incomplete(asked(shim), words)


@pytest.mark.parametrize("seed", range(40))
def test_changed_bytes_raise_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.2)
    shim = Shim(one_domain(), ROOT, trouble=shim_module.mutating(seed))
    assert asked(shim, seconds=5).source


def _assert_incomplete(directory: Directory, words: str) -> None:
    assert {p.id for p in directory.problems} == {"directory-incomplete"}
    assert any(words in p.message for p in directory.problems), directory.problems
    assert not any(d.covered for d in directory.domains)


def test_deadline_ends_a_slow_drip() -> None:
    """A message that never becomes whole: it grows for as long as the client stays."""

    def drip(connected: socket.socket) -> bool:
        for byte in chain(b"\x30\x84", repeat(1)):
            connected.sendall(bytes([byte]))
            time.sleep(0.05)
        return True

    directory = asked(Shim({}, ROOT, on_connect=drip), seconds=1)
    assert directory.accounts == directory.domains == ()
    assert re.search("within 1 seconds|in time", directory.problems[0].message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((Code.STRONG_AUTH_REQUIRED, ""), "strongerAuthRequired"),
        ((Code.INVALID_CREDENTIALS, "80090308: x, data 775, v1"), "locked"),
        ((Code.AUTH_METHOD_NOT_SUPPORTED, ""), "does not know this way"),
    ],
)
def test_refused_bind(answer: tuple[Code, str], words: str) -> None:
    directory = asked(Shim({}, ROOT, bind_answer=answer))
    assert words in directory.problems[0].message
    assert directory.domains == ()


def test_wrong_password_is_told_and_never_held(small: Shim, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    directory = source(small, password="Wr0ng!pass").ask(QUESTION)
    assert directory.problems[0].message == f"dc1.test.com:{small.port}: the user or the password is wrong"
    assert "Wr0ng" not in repr(directory) + caplog.text
    assert small.connections == 1


@pytest.mark.parametrize("token", [b"", bytes.fromhex("a1073005a0030a0100"), b"NTLMSSP\0", b"\xff\xff"])
def test_bind_without_proof_is_refused(token: bytes) -> None:
    """Success before the server showed that it knows us: nothing, SPNEGO accept-completed alone, broken tokens."""
    shim = Shim(one_domain(), ROOT, early_success=token)
    directory = asked(shim)
    assert directory.problems
    assert directory.domains == ()
    assert shim.searches == []
    assert b"defaultNamingContext" not in shim.in_clear


def test_tokens_stay_out_of_debug_logs(small: Shim, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source(small).ask(QUESTION)
    assert "step output" not in caplog.text


def test_repr_hides_the_password() -> None:
    assert PASSWORD not in repr(LdapSource(target="auto", logon=Logon("u", lambda: PASSWORD)))


def test_nobody_listens() -> None:
    shim = Shim({}, ROOT)
    with shim.serving():
        pass
    directory = source(shim).ask(QUESTION)
    assert "refuses the connection" in directory.problems[0].message
    assert directory.accounts == directory.domains == ()


def test_without_ticket() -> None:
    shim = Shim({}, ROOT)
    assert "kinit" in asked(shim, logon=None).problems[0].message


# -- words of the command line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["ldap://", "http://dc1", "ldap://dc1:x", "ldap://dc1/DC=x", "dc1", "ldap://u@dc1", ""]
)
def test_bad_targets(text: str) -> None:
    with pytest.raises(UsageError, match="is no directory"):
        LdapSource(target=text).ask(QUESTION)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _extra: False)
    with pytest.raises(UsageError, match=r'pip install "iis-spn\[ldap\]"'):
        LdapSource(target="ldap://dc1").ask(QUESTION)


def test_auto_asks_the_domains_controllers(small: Shim) -> None:
    seen: list[str] = []

    def locate(name: str, _: float) -> list[Located]:
        seen.append(name)
        return [Located("dead", 9, "127.0.0.1"), Located("dc1.test.com", small.port, "127.0.0.1")]

    directory = LdapSource(target="auto", logon=Logon(f"{USER}@test.com", lambda: PASSWORD), locate=locate).ask(
        QUESTION
    )
    assert seen == ["_ldap._tcp.dc._msdcs.test.com"]
    assert "wrong" in directory.problems[0].message or directory.problems == ()


@pytest.mark.parametrize(
    ("name", "principal"),
    [
        ("u", "u@TEST.COM"),
        ("TEST\\u", "u@TEST.COM"),
        ("other.com\\u", "u@OTHER.COM"),
        ("u@sub.test.com", "u@SUB.TEST.COM"),
        ("OTHER\\u", None),
        ("u/admin", "u\\/admin@TEST.COM"),
        ("", None),
    ],
)
def test_kerberos_principal(name: str, principal: str | None) -> None:
    assert kerberos_principal(name, "dc1.test.com") == principal
