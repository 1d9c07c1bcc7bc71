"""The LDAP source against a server of our own that has AD's limits, and against servers that lie, stall and vanish."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

import ldap_shim as shim_module
import sansldap
from ldap_shim import DOMAIN, PASSWORD, USER, Attributes, Shim
from sansldap import LDAPResultCode as Code

from agent.errors import UsageError
from agent.names import spn
from agent.sources import extras
from agent.sources.ad import filters, wire
from agent.sources.ad.ldap import LdapSource
from agent.sources.ad.locate import Located
from agent.sources.ad.logon import Logon, kerberos_principal
from agent.sources.ad.results import LdapError
from agent.spn.directory import Directory, Question

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

TROUBLES = {
    "garbage": "not LDAP",
    "broken_inside": "broken message",
    "huge": "announces a message",
    "cut": "closed the connection",
    "endless_referrals": "more than the 500 results",
    "referral_only": "refers to other servers",
    "endless_pages": "goes on after",
    "endless_range": "does not come to an end",
    "slow_range": "does not come to an end",
    "endless_entries": "more than the 500 results",
    "wrong_id": "no answer to the question",
    "empty_number": "no answer to the question",
    "nested": "no answer to the question",
}


@pytest.mark.parametrize(("name", "words"), TROUBLES.items())
def test_trouble_is_told_and_ends(name: str, words: str) -> None:
    shim = Shim(one_domain(user("svc", "HTTP/www.test.com")), ROOT, trouble=getattr(shim_module, name))
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
