"""Entries to accounts: values after MS-DTYP and RFC 4517, what is kept, what is counted."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Problem
from agent.names import AccountName, spn
from agent.sources.ad.attributes import allowed_sids, file_time, sid_bytes, sid_text
from agent.sources.ad.collector import SPOKEN_PROBLEMS, Collector
from agent.sources.ad.concern import _Loose
from agent.sources.ad.distinguished_names import common_name, dns_name_of, is_deleted
from agent.spn.directory import DEFAULT_MAPPED_TO_HOST, Directory, Domain, Question

BASE = "DC=test,DC=com"
QUESTION = Question(
    spns=frozenset({spn("HTTP/contoso.test.com"), spn("HOST/contoso.test.com")}),
    account_names=frozenset({"iis01$"}),
)
Attributes = Mapping[str, Sequence[bytes]]


def sid(rid: int) -> bytes:
    return b"\x01\x05\0\0\0\0\0\x05" + struct.pack("<5I", 21, 1, 2, 3, rid)


def user(name: str, *spns: str, **more: Sequence[bytes]) -> tuple[str, Attributes]:
    attributes = {
        "objectClass": [b"top", b"person", b"user"],
        "sAMAccountName": [name.encode()],
        "servicePrincipalName": [s.encode() for s in spns],
        **{key.replace("_", "-"): value for key, value in more.items()},
    }
    return f"CN={name},CN=Users,{BASE}", attributes


def collected(*entries: tuple[str, Attributes], question: Question = QUESTION) -> Directory:
    collector = Collector(question)
    for dn, attributes in entries:
        collector.add(dn, attributes)
    return collector.directory("test")


def names(directory: Directory) -> set[str]:
    return {str(account.name) for account in directory.accounts}


def test_a_sid_is_read_from_its_binary_form() -> None:
    assert sid_text(sid(521)) == "S-1-5-21-1-2-3-521"


@pytest.mark.parametrize("value", [b"", b"\x01\x05\0\0\0\0\0\x05\0", b"garbage of any length"])
def test_what_is_no_sid_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="identifier"):
        sid_text(value)


def test_file_times() -> None:
    assert file_time(b"116444736000000000") == datetime(1970, 1, 1, tzinfo=UTC)
    assert [file_time(never) for never in (b"0", b"-1", b"9223372036854775807")] == [None, None, None]


def test_only_allow_entries_of_a_security_descriptor_count() -> None:
    aces = [(0, sid(1)), (1, sid(2))]
    body = b"".join(struct.pack("<BBHI", kind, 0, 8 + len(who), 0xF01FF) + who for kind, who in aces)
    guid = bytes(16)
    body += struct.pack("<BBHII", 5, 0, 12 + 16 + len(sid(3)), 0x100, 1) + guid + sid(3)
    acl = struct.pack("<BBHHH", 4, 0, 8 + len(body), 3, 0) + body
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8004, 0, 0, 0, 20) + acl
    assert allowed_sids(descriptor) == {"S-1-5-21-1-2-3-1", "S-1-5-21-1-2-3-3"}
    with pytest.raises(ValueError, match="end"):
        allowed_sids(descriptor[:-4])


def test_distinguished_names() -> None:
    assert dns_name_of(r"CN=Smith\, J\=,OU=x,DC=child,DC=test,DC=com") == "child.test.com"
    assert common_name(r"CN=Smith\, J\C3\BCrgen,DC=test,DC=com") == "Smith, Jürgen"


def test_only_what_answers_the_question_is_kept() -> None:
    directory = collected(
        user("holder", "http/CONTOSO.test.com"),
        user("other", "HTTP/other.test.com"),
        user("iis01$"),
    )
    assert names(directory) == {"TEST\\holder", "TEST\\iis01$"}


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/contoso.test.com:8080",
        "HTTPS/contoso.test.com",
        "http://contoso.test.com",
        "HTTP\\contoso.test.com",
        "HTTP/*.test.com",
        "HTTP/cont\u200boso.test.com",
        "HTTP/contos\u043e.test.com",
        "HTTP/contoso.test.com/test.com",
        "HTTP/contoso.test.com@TEST.COM",
        "HTTP/http/contoso.test.com",
    ],
)
def test_wrong_spellings_of_our_names_are_kept(text: str) -> None:
    assert names(collected(user("wrong", text))) == {"TEST\\wrong"}


@pytest.mark.parametrize(
    "text",
    ["MSSQLSvc/contoso.test.com:1433", "ldap/contoso.test.com/test.com", "HTTP/x.test.com:80", "HTTP/*.other.com"],
)
def test_what_concerns_other_names_or_services_is_not(text: str) -> None:
    assert names(collected(user("fine", text))) == set()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("\0" * 100, False), ("*" * 100, True), ("a\0" * 100, True), ("a\0" * 100 + "b", False), ("a*" * 100, True)],
)
def test_a_name_that_can_be_read_in_many_ways_is_read_once(host: str, is_ours: bool) -> None:
    """A regular expression tries one way after the other, which did not end in our lifetime."""
    question = Question(spns=frozenset({spn("HTTP/" + "a" * 200)}))
    assert names(collected(user("odd", f"HTTP/{host}"), question=question)) == ({"TEST\\odd"} if is_ours else set())


@given(st.text("ab*\0", max_size=8), st.text("ab", max_size=8))
def test_characters_that_no_name_has_stand_for_any_or_none(written: str, host: str) -> None:
    ways = re.escape(written).replace("\\*", ".*").replace(re.escape("\0"), ".?")
    assert _Loose(written).matches(host) == (re.fullmatch(ways, host) is not None)


def test_a_upn_with_the_text_of_our_spn_is_kept() -> None:
    shadow = user("shadow", userPrincipalName=[b"HTTP/contoso.test.com@TEST.COM"])
    assert names(collected(shadow, user("plain", userPrincipalName=[b"plain@test.com"]))) == {"TEST\\shadow"}


def test_the_most_derived_class_is_the_kind() -> None:
    classes = [b"top", b"person", b"user", b"computer", b"msDS-GroupManagedServiceAccount"]
    gmsa = (f"CN=g,{BASE}", {"objectClass": classes, "sAMAccountName": [b"iis01$"]})
    classless = (f"CN=c,{BASE}", {"servicePrincipalName": [b"HTTP/contoso.test.com"]})
    kinds = {account.name.name: account.kind for account in collected(gmsa, classless).accounts}
    assert kinds == {"iis01$": "gMSA", "c": "unknown"}


def test_a_dmsa_is_kept_wherever_it_stands() -> None:
    dmsa = (
        f"CN=new,{BASE}",
        {"objectClass": [b"computer", b"msDS-DelegatedManagedServiceAccount"], "sAMAccountName": [b"new$"]},
    )
    old = user(
        "holder",
        "HTTP/contoso.test.com",
        msDS_SupersededAccountState=[b"2"],
        msDS_SupersededManagedAccountLink=[dmsa[0].encode()],
    )
    directory = collected(dmsa, old)
    (account,) = directory.named("holder")
    assert (account.superseded_state, account.superseded_by) == (2, dmsa[0])
    assert directory.named("new$")[0].kind == "dMSA"


def test_the_netbios_name_of_a_cross_reference_counts_wherever_it_stands() -> None:
    cross = (
        f"CN=X,CN=Partitions,CN=Configuration,{BASE}",
        {"objectClass": [b"crossRef"], "nCName": [BASE.encode()], "nETBIOSName": [b"CORP"]},
    )
    assert names(collected(user("iis01$"), cross)) == names(collected(cross, user("iis01$"))) == {"CORP\\iis01$"}


def test_a_netbios_name_given_from_outside() -> None:
    collector = Collector(QUESTION, {"test.com": "OLD"})
    collector.add(*user("iis01$"))
    assert names(collector.directory("x")) == {"OLD\\iis01$"}


def test_a_domain_is_covered_by_its_own_entry_in_a_whole_source() -> None:
    domain = (BASE, {"objectClass": [b"top", b"domain", b"domainDNS"]})
    assert [d.covered for d in collected(domain).domains] == [True]
    assert [d.covered for d in collected(user("iis01$")).domains] == [False]
    collector = Collector(QUESTION)
    collector.add(*domain)
    collector.incomplete("cut")
    assert collector.directory("x").domains == ()


def test_application_partitions_are_no_domains() -> None:
    zones = (f"DC=DomainDnsZones,{BASE}", {"objectClass": [b"domainDNS"]})
    assert collected(zones).domains == ()


def test_duplicates_elsewhere_are_counted_by_account() -> None:
    directory = collected(
        user("a", "MSSQLSvc/x:1433", "HTTP/CONTOSO.test.com", "WWW/one"),
        user("b", "mssqlsvc/X:1433", "HTTP/contoso.test.com"),
        user("a", "MSSQLSvc/x:1433", "WWW/one"),
    )
    assert directory.duplicates_elsewhere == 1


def test_delegation_targets_are_held_exactly_or_through_host() -> None:
    directory = collected(
        user(
            "iis01$", msDS_AllowedToDelegateTo=[b"HTTP/back", b"CIFS/files", b"MSSQLSvc/gone:1433", b"MSSQLSvc/files"]
        ),
        user("back$", "http/BACK"),
        user("files$", "HOST/files"),
    )
    assert {str(name): set(domains) for name, domains in directory.held_elsewhere.items()} == {
        "HTTP/back": {"test.com"},
        "CIFS/files": {"test.com"},
    }


def test_the_domains_of_those_that_hold_a_delegation_target() -> None:
    child = user("back$", "HTTP/back")[1]
    host = user("files$", "HOST/files", "HOST/odd")[1]
    directory = collected(
        user("iis01$", msDS_AllowedToDelegateTo=[b"HTTP/back", b"CIFS/files", b"HTTP/odd"]),
        user("here", "http/odd"),
        (f"CN=back,DC=Child,{BASE}", child),
        (rf"CN=a\,dc=x,OU=o,DC=other,{BASE}", child),
        ("CN=files,DC=files,DC=net", host),
    )
    assert {str(name): set(domains) for name, domains in directory.held_elsewhere.items()} == {
        "HTTP/back": {"child.test.com", "other.test.com"},
        "CIFS/files": {"files.net"},
        "HTTP/odd": {"test.com"},  # who holds it by name answers, not who holds HOST/
    }


def test_the_domain_of_an_entry_is_never_one_above() -> None:
    directory = collected(user("iis01$"))
    assert [domain.dns_name for domain in directory.domains] == ["test.com"]
    inside, below = directory.domain_at("cn=x,ou=dc,DC=Test,dc=COM"), directory.domain_at(f"CN=x,DC=child,{BASE}")
    assert inside == directory.domains[0]
    assert below is None


# -- deleted objects -----------------------------------------------------------------------------------------------

GONE = rf"CN=gone\0ADEL:3e3a,CN=Deleted Objects,{BASE}"


def test_a_deleted_account_holds_nothing() -> None:
    attributes = user("gone", "HTTP/contoso.test.com", "WWW/one")[1]
    marked = user("marked", "HTTP/contoso.test.com", "WWW/one", isDeleted=[b"TRUE"])
    living = user("holder", "HTTP/contoso.test.com", "WWW/one", isDeleted=[b"FALSE"])
    delegating = user("iis01$", msDS_AllowedToDelegateTo=[b"WWW/two"])
    directory = collected((GONE, {**attributes, "servicePrincipalName": [b"WWW/two"]}), marked, living, delegating)
    assert [account.name.name for account in directory.seen(spn("HTTP/contoso.test.com"))] == ["holder"]
    assert directory.duplicates_elsewhere == 0
    assert directory.held_elsewhere == {}


def test_a_container_named_like_that_of_deleted_objects_is_a_common_one() -> None:
    assert is_deleted(GONE)
    assert not is_deleted(f"CN=Deleted Objects,{BASE}")
    assert not is_deleted(f"CN=svc,OU=Deleted Objects,{BASE}")


# -- groups --------------------------------------------------------------------------------------------------------


def group(name: str, rid: int, *member_of: str) -> tuple[str, Attributes]:
    groups = [f"CN={one},OU=g,{BASE}".encode() for one in member_of]
    return f"CN={name},OU=g,{BASE}", {"objectClass": [b"top", b"group"], "objectSid": [sid(rid)], "memberOf": groups}


def read_by(rid: int) -> tuple[str, Attributes]:
    """A kept gMSA whose password one SID may read."""
    ace = struct.pack("<BBHI", 0, 0, 8 + len(sid(rid)), 0xF01FF) + sid(rid)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(ace), 1, 0) + ace
    classes = [b"top", b"user", b"computer", b"msDS-GroupManagedServiceAccount"]
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8004, 0, 0, 0, 20) + acl
    dn, attributes = user("gmsa$", "HTTP/contoso.test.com", msDS_GroupMSAMembership=[descriptor])
    return dn, {**attributes, "objectClass": classes}


def server(*member_of: str, **more: Sequence[bytes]) -> tuple[str, Attributes]:
    return user("iis01$", objectSid=[sid(1101)], memberOf=[f"CN={g},OU=g,{BASE}".encode() for g in member_of], **more)


def groups_of(directory: Directory) -> set[int]:
    (account,) = directory.named("iis01$")
    return {int(one.rpartition("-")[2]) for one in directory.memberships(account).sids}


@pytest.mark.parametrize("turn", [1, -1])
def test_groups_within_groups_and_circles_wherever_they_stand(turn: int) -> None:
    entries = [
        *(server("A"), group("a", 2001, "B"), group("B", 2002, "C"), group("C", 2003, "A"), read_by(2003)),
        *(group("Others", 2009, "C"), group("Domain Computers", 515, "D"), group("D", 2004)),
    ]
    directory = collected(*entries[::turn])
    assert groups_of(directory) == {515, 2001, 2002, 2003, 2004}
    assert f"cn=others,ou=g,{BASE}".lower() not in directory.group_sids


def test_groups_without_an_account_that_they_may_read_are_not_kept() -> None:
    assert collected(server("A"), group("A", 2001)).group_sids == {}


def test_a_group_that_no_source_describes_is_open() -> None:
    directory = collected(server("A", "Away"), group("A", 2001), group("R", 2005), read_by(2005))
    (account,) = directory.named("iis01$")
    primary = "S-1-5-21-1-2-3-515"
    assert directory.memberships(account).open == {f"cn=away,ou=g,{BASE}".lower(), primary}
    assert set(directory.group_sids.values()) == {"S-1-5-21-1-2-3-2001", "S-1-5-21-1-2-3-2005"}


@pytest.mark.parametrize(
    ("more", "rid"),
    [
        ({}, 515),
        ({"userAccountControl": [b"532480"]}, 516),
        ({"userAccountControl": [b"83890176"]}, 521),
        ({"primaryGroupID": [b"2077"]}, 2077),
    ],
)
def test_the_primary_group_is_one_of_the_groups(more: Mapping[str, Sequence[bytes]], rid: int) -> None:
    assert groups_of(collected(server(**more))) == {rid}


def test_two_sources_add_up_what_a_group_and_an_account_stand_in() -> None:
    directory = collected(
        *(server("A"), server("X"), read_by(2003), group("A", 2001), group("A", 2001, "B"), group("A", 2001)),
        *(group("B", 2002), group("X", 2008)),
    )
    assert groups_of(directory) == {515, 2001, 2002, 2008}


def test_what_is_no_group_of_a_directory_harms_nobody() -> None:
    odd = (f"CN=odd,{BASE}", {"objectClass": [b"group"], "objectSid": [b"?"], "memberOf": [b"a\nb", b"c\0d"]})
    none = (f"CN=none,OU=g,{BASE}", {"objectClass": [b"group"]})
    assert groups_of(collected(odd, none, server("none"), read_by(2003))) == {515}


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=15))
def test_a_sid_survives_as_text(parts: list[int]) -> None:
    text = "-".join(map(str, ("S-1-5", *parts)))
    assert sid_text(sid_bytes(text)) == text


@pytest.mark.parametrize("text", ["", "S-1", "S-1-5-x", "S-1-5-99999999999", "S-1-999999999999999999-1"])
def test_what_is_no_sid_has_no_binary_form(text: str) -> None:
    assert sid_bytes(text) == b""


def test_the_mapping_of_the_directory_service_counts_for_host_only() -> None:
    service = (
        f"CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,{BASE}",
        {
            "objectClass": [b"nTDSService"],
            "sPNMappings": [b"host=alerter,WWW", b"ldap=gc"],
            "dSHeuristics": [b"0000002"],
        },
    )
    directory = collected(service)
    assert directory.mapped_to_host == {"alerter", "www"}
    assert directory.ds_heuristics == "0000002"


def test_aes_came_with_the_group_of_read_only_domain_controllers() -> None:
    group = {"objectClass": [b"top", b"group"], "objectSid": [sid(521)], "whenCreated": [b"20090102030405.0Z"]}
    assert collected((f"CN=RODCs,{BASE}", group)).aes_since == datetime(2009, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_absent_is_known_to_be_none_only_where_the_attribute_was_exported() -> None:
    (alone,) = collected(user("iis01$")).accounts
    assert (alone.delegates_to, alone.resource_delegation) == (None, None)
    delegating = user("x", msDS_AllowedToDelegateTo=[b"a/b"], msDS_AllowedToActOnBehalfOfOtherIdentity=[b"?"])
    (account,) = collected(user("iis01$"), delegating).accounts
    assert (account.delegates_to, account.resource_delegation) == ((), False)


def test_options_of_an_attribute_are_dropped() -> None:
    dn, attributes = user("iis01$")
    (account,) = collected((dn, {**attributes, "servicePrincipalName;range=0-1499": [b"HOST/a"]})).accounts
    assert account.spns == (spn("HOST/a"),)


@pytest.mark.parametrize(("option", "is_cut"), [("range=0-1499", True), ("RANGE=0-1499", True), ("range=0-*", False)])
def test_a_range_that_is_not_the_last_one_proves_nothing(option: str, is_cut: bool) -> None:
    """ldifde writes what a controller gives it at once: 1,500 values (MS-ADTS 3.1.1.3.1.3.3)."""
    dn, attributes = user("svc")
    domain = (BASE, {"objectClass": [b"top", b"domain", b"domainDNS"]})
    found = collected(domain, (dn, {**attributes, f"servicePrincipalName;{option}": [b"HTTP/a.test.com"]}))
    assert [one.dns_name for one in found.domains if one.covered] == ["test.com"] * (not is_cut)
    assert [problem.id for problem in found.problems] == ["directory-incomplete"] * is_cut


def test_bad_values_are_told_and_leave_the_field_open() -> None:
    directory = collected(user("iis01$", userAccountControl=[b"many"], pwdLastSet=[b"9" * 30]))
    assert directory.accounts[0].user_account_control is None
    assert directory.accounts[0].password_set is None
    assert {problem.id for problem in directory.problems} == {"directory-incomplete"}
    assert len(directory.problems) == 2


def test_many_problems_become_a_count() -> None:
    directory = collected(*(user(f"u{i}", userAccountControl=[b"x"]) for i in range(SPOKEN_PROBLEMS + 7)))
    assert len(directory.problems) == SPOKEN_PROBLEMS + 1
    assert "7 more" in directory.problems[-1].message


# The default value of sPNMappings, as Windows Server writes it into CN=Directory Service (rule R4.2).
MAPPINGS = (
    "host=alerter,appmgmt,cisvc,clipsrv,browser,dhcp,dnscache,replicator,eventlog,eventsystem,policyagent,oakley,"
    "dmserver,dns,mcsvc,fax,msiserver,ias,messenger,netlogon,netman,netdde,netddedsm,nmagent,plugplay,"
    "protectedstorage,rasman,rpclocator,rpc,rpcss,remoteaccess,rsvp,samss,scardsvr,scesrv,seclogon,scm,dcom,cifs,"
    "spooler,snmp,schedule,tapisrv,trksvr,trkwks,ups,time,wins,www,http,w3svc,iisadmin,msdtc"
)


def test_the_default_mappings_to_host_are_those_of_windows() -> None:
    assert set(MAPPINGS.removeprefix("host=").split(",")) == DEFAULT_MAPPED_TO_HOST


UNFINISHED = Problem(id="directory-incomplete", message="the server closed the connection")


def whole(*, covered: bool = True, problems: tuple[Problem, ...] = ()) -> Directory:
    domain = Domain(dns_name="test.com", netbios="TEST", dn=BASE, covered=covered)
    asked = frozenset(name.key for name in QUESTION.spns)
    return Directory(source="a", asked=asked, domains=(domain,), problems=problems)


@pytest.mark.parametrize(
    ("directory", "asked", "near", "proved"),
    [
        (whole(), "HTTP/contoso.test.com", AccountName("TEST", "svc"), True),
        (whole(), "HTTP/contoso.test.com", None, True),
        (whole(), "HTTP/other.test.com", AccountName("TEST", "svc"), False),
        (whole(), "HTTP/contoso.test.com", AccountName("NORD", "svc"), False),
        (whole(covered=False), "HTTP/contoso.test.com", AccountName("TEST", "svc"), False),
        (whole(covered=False), "HTTP/contoso.test.com", None, False),
        (whole(problems=(UNFINISHED,)), "HTTP/contoso.test.com", AccountName("TEST", "svc"), False),
        (whole(problems=(UNFINISHED,)), "HTTP/contoso.test.com", None, False),
    ],
)
def test_that_nobody_holds_a_name_is_known_where_it_was_asked_and_all_was_read(
    directory: Directory, asked: str, near: AccountName | None, proved: bool
) -> None:
    assert directory.proves_absence(spn(asked), near) is proved
    assert directory.holders(spn(asked), near) == (() if proved else None)
