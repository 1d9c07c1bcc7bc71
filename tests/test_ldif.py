"""LDIF after RFC 2849, as ldifde and ldapsearch write it, whole and damaged."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.names import spn
from agent.sources.ad import ldif, ldif_blocks
from agent.sources.ad.collector import Collector
from agent.sources.ad.exports import read_exports
from agent.sources.ad.ldif_entries import EntryReader
from agent.sources.ad.ldif_mending import Mender
from agent.spn.directory import Directory, Question
from tests.worlds import readers, sid

QUESTION = Question(spns=frozenset({spn("HTTP/contoso.test.com")}), account_names=frozenset({"svc", "müller"}))

DOMAIN = "dn: DC=test,DC=com\nobjectClass: top\nobjectClass: domainDNS\n\n"
SVC = (
    "dn: CN=svc,DC=test,DC=com\nchangetype: add\nobjectClass: user\nsAMAccountName: svc\n"
    "servicePrincipalName: HTTP/contoso.test.com\nservicePrincipalName: HTTP/contoso\n\n"
)

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")


def load(tmp_path: Path, text: str | bytes, question: Question = QUESTION) -> Directory:
    path = tmp_path / "export.ldf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_exports([path], question, {})


def spns(directory: Directory) -> list[list[str]]:
    return [[str(name) for name in account.spns] for account in directory.accounts]


def covered(directory: Directory) -> list[bool]:
    return [domain.covered for domain in directory.domains]


def lines(directory: Directory) -> list[int | None]:
    return [problem.line for problem in directory.problems]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("version", ["", "version: 1\n", "version: 1\n\n"])
def test_every_encoding_and_line_end(tmp_path: Path, encoding: str, end: str, version: str) -> None:
    text = (version + DOMAIN + SVC).replace("\n", end)
    directory = load(tmp_path, text.encode(encoding))
    assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]
    assert covered(directory) == [True]
    assert directory.problems == ()
    assert directory.exported == {"objectclass", "samaccountname", "serviceprincipalname"}


def test_utf_16_big_endian(tmp_path: Path) -> None:
    assert covered(load(tmp_path, b"\xfe\xff" + (DOMAIN + SVC).encode("utf-16-be"))) == [True]


def test_one_space_is_the_fold_and_the_next_is_text(tmp_path: Path) -> None:
    text = "dn: CN=s\n vc,DC=test\n ,DC=com\nsAMAccountName: sv\n c\nmemberOf: CN=two\n  words,DC=test,DC=com\n\n"
    (account,) = load(tmp_path, text).accounts
    assert account.dn == "CN=svc,DC=test,DC=com"
    assert account.member_of == ("CN=two words,DC=test,DC=com",)


def test_comments_fold_too(tmp_path: Path) -> None:
    text = f"# extended LDIF\n# a comment that goes\n  on\n#\n\n# svc, test.com\n{SVC}"
    directory = load(tmp_path, DOMAIN + text)
    assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]
    assert directory.problems == ()


def test_base64_in_names_and_values(tmp_path: Path) -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    text = f"dn:: {encoded('CN=Müller,DC=test,DC=com')}\nsAMAccountName:: {encoded('Müller')}\n"
    text += f"servicePrincipalName:: {encoded('HTTP/contoso.test.com ')}\n\n"
    (account,) = load(tmp_path, text).accounts
    assert account.dn == "CN=Müller,DC=test,DC=com"
    assert account.spns == (spn("HTTP/contoso.test.com "),)


def test_any_number_of_spaces_may_stand_before_a_value(tmp_path: Path) -> None:
    text = "dn:CN=svc,DC=test,DC=com\nsAMAccountName:svc\nservicePrincipalName:   HTTP/a\n\n"
    assert spns(load(tmp_path, text)) == [["HTTP/a"]]


def test_names_and_options_in_any_case(tmp_path: Path) -> None:
    text = "DN: CN=svc,DC=test,DC=com\nSAMACCOUNTNAME: SVC\nserviceprincipalname;range=0-1499: HTTP/a\n\n"
    directory = load(tmp_path, text)
    assert spns(directory) == [["HTTP/a"]]
    assert "serviceprincipalname" in directory.exported


def test_what_ldapsearch_writes_around_the_entries(tmp_path: Path) -> None:
    text = (
        "# extended LDIF\n#\n# LDAPv3\n\n" + DOMAIN + SVC + "# search reference\nref: ldap://child.test.com/x\n\n"
        "# refldap://other.test.com\n\n# search result\nsearch: 2\nresult: 0 Success\n\n"
        "# numResponses: 3\n# numEntries: 2\n"
    )
    directory = load(tmp_path, text)
    assert directory.problems == ()
    assert covered(directory) == [True]
    assert "result" not in directory.exported


@pytest.mark.parametrize("mark", ["", "# "])
def test_a_search_that_hit_a_limit_covers_nothing(tmp_path: Path, mark: str) -> None:
    directory = load(tmp_path, DOMAIN + SVC + f"{mark}search: 2\n{mark}result: 4 Size limit exceeded\n")
    assert covered(directory) == [False]
    assert "4 Size limit exceeded" in directory.problems[0].message


def test_what_ldapsearch_began_and_did_not_end_was_cut(tmp_path: Path) -> None:
    begun = "# extended LDIF\n#\n# LDAPv3\n# requesting: ALL \n#\n\n" + DOMAIN + SVC
    directory = load(tmp_path, begun)
    assert (covered(directory), lines(directory)) == ([False], [begun.count("\n") + 1])
    assert covered(load(tmp_path, begun + "# search result\nsearch: 2\nresult: 0 Success\n")) == [True]


def test_a_file_cut_in_a_line(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.rstrip()[:-4])
    assert spns(directory) == [["HTTP/contoso.test.com"]]
    assert covered(directory) == [False]
    assert lines(directory) == [10]


def test_a_cut_folded_line_goes_as_a_whole(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.rstrip() + "\nservicePrincipalName: HTTP/con\n toso.te")
    assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]


def test_a_last_line_that_ends_is_whole(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.rstrip() + "\n")
    assert covered(directory) == [True]
    assert directory.problems == ()


def test_base64_that_does_not_decode(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.replace("\n\n", "\nobjectSid:: AQUAAA!\n\n"))
    assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]
    assert lines(directory) == [11]
    assert covered(directory) == [False]


def test_a_url_is_never_opened(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.replace("\n\n", "\ndescription:< file:///etc/hostname\n\n"))
    assert lines(directory) == [11]
    assert "URL" in directory.problems[0].message


def test_a_line_without_a_colon_and_a_nul(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.replace("\n\n", "\nno colon here\ndescription: a\0b\nmemberOf: x\n\n"))
    assert lines(directory) == [11, 12]
    assert directory.accounts[0].member_of == ("x",)


def test_a_change_record_is_no_entry(tmp_path: Path) -> None:
    change = "dn: CN=a,DC=test,DC=com\nchangetype: modify\nadd: servicePrincipalName\n"
    directory = load(tmp_path, DOMAIN + change + "servicePrincipalName: HTTP/contoso.test.com\n-\n\n")
    assert directory.accounts == ()
    assert any("modify" in problem.message for problem in directory.problems)


def test_a_line_of_a_megabyte_is_fine(tmp_path: Path) -> None:
    directory = load(tmp_path, DOMAIN + SVC.replace("\n\n", f"\ndescription: {'x' * (1 << 20)}\n\n"))
    assert directory.problems == ()
    assert len(directory.accounts) == 1


def test_a_line_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif_blocks, "LONGEST_LINE", 1 << 18)
    long = f"dn: CN=long,DC=test,DC=com\ndescription: {'x' * (1 << 20)}\nsn: a\n\n"
    directory = load(tmp_path, DOMAIN + long + SVC)
    assert lines(directory) == [6]
    assert len(directory.accounts) == 1
    assert covered(directory) == [False]


def test_an_entry_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif_blocks, "LONGEST_ENTRY", 1 << 18)
    long = "dn: CN=long,DC=test,DC=com\n" + "description: x\n" * 60_000 + "\n"
    directory = load(tmp_path, DOMAIN + long + SVC)
    assert "an entry is longer than" in directory.problems[0].message
    assert len(directory.accounts) == 1
    assert covered(directory) == [False]


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_file_is_read_as_far_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beyond: int) -> None:
    text = DOMAIN + SVC
    monkeypatch.setattr(ldif_blocks, "LARGEST_FILE", len(text) - beyond)
    directory = load(tmp_path, text)
    assert ["the rest was not read" in problem.message for problem in directory.problems[:1]] == [True] * beyond
    assert covered(directory) == [True] * (1 - beyond)


def test_as_many_spns_are_counted_as_the_limit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif, "MOST_NAMES", 2)
    others = "".join(f"dn: CN=b{n},DC=test,DC=com\nservicePrincipalName: a/b{n}\n\n" for n in range(2))
    gap = f"dn: CN=b,DC=test,DC=com\ndescription: {'x' * ldif_blocks.CHUNK}\n\n"
    assert load(tmp_path, DOMAIN + others).problems == ()
    directory = load(tmp_path, DOMAIN + others + gap + others.replace("b", "c") + gap + SVC)
    assert ["over 2 SPNs" in problem.message for problem in directory.problems] == [True]
    assert directory.accounts == ()
    assert not any(covered(directory))


@needs_pipes
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_pipe_is_read_from_its_beginning(tmp_path: Path, size: int) -> None:
    """`--ad <(ldapsearch ...)`: what its kind is known by comes only once, in pieces of any size."""
    text = (DOMAIN + SVC).encode()
    with piped(tmp_path / "pipe", (text[at : at + size] for at in range(0, len(text), size))) as pipe:
        directory = read_exports([pipe], QUESTION, {})
    assert directory.problems == ()
    assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]


@needs_pipes
def test_a_pipe_that_never_ends_is_left_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif_blocks, "LARGEST_FILE", 3 << 20)
    with piped(tmp_path / "pipe", chain([(DOMAIN + SVC).encode()], repeat(b"\0" * 65_536))) as pipe:
        directory = read_exports([pipe], QUESTION, {})
    assert "the rest was not read" in directory.problems[-1].message
    assert len(directory.accounts) == 1


@contextlib.contextmanager
def piped(pipe: Path, pieces: Iterable[bytes]) -> Iterator[Path]:
    """A pipe that somebody writes to until nobody reads it."""
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as stream:
            for piece in pieces:
                stream.write(piece)

    writer = threading.Thread(target=write)
    writer.start()
    yield pipe
    writer.join()


@pytest.mark.parametrize("data", [b"", b"\x7fELF\0\0\xff\xfe\n\0\0", b"hello\nworld\n", b"version: 1\n"])
def test_garbage_is_a_problem_with_a_line(tmp_path: Path, data: bytes) -> None:
    directory = load(tmp_path, data)
    assert lines(directory) == [1]
    assert directory.problems[0].file == str(tmp_path / "export.ldf")


def test_duplicates_among_accounts_nobody_asked_about(tmp_path: Path) -> None:
    text = "".join(f"dn: CN=u{i},DC=test,DC=com\nservicePrincipalName: x/{i // 2}\n\n\n" for i in range(6))
    assert load(tmp_path, text + text).duplicates_elsewhere == 3


def test_encoded_and_plain_names_are_one_account(tmp_path: Path) -> None:
    plain = "dn: CN=u,DC=test,DC=com\nservicePrincipalName: x/1\n\n"
    encoded = plain.replace(": CN=u,DC=test,DC=com", ":: " + base64.b64encode(b"CN=U,DC=test,DC=com").decode())
    assert load(tmp_path, plain + encoded).duplicates_elsewhere == 0


def test_accounts_deep_in_a_long_file_are_found(tmp_path: Path) -> None:
    crowd = "".join(f"dn: CN=u{i},DC=test,DC=com\nobjectClass: user\nsAMAccountName: u{i}\n\n" for i in range(9000))
    directory = load(tmp_path, (crowd + SVC + crowd + DOMAIN).replace("\n", "\r\n"))
    assert [str(account.name) for account in directory.accounts] == ["TEST\\svc"]
    assert covered(directory) == [True]


def test_a_missing_file_does_not_stop_the_others(tmp_path: Path) -> None:
    whole = tmp_path / "a.ldf"
    whole.write_text(DOMAIN + SVC)
    directory = read_exports([tmp_path / "none.ldf", whole], QUESTION, {})
    assert len(directory.accounts) == 1
    assert [problem.file for problem in directory.problems] == [str(tmp_path / "none.ldf")]
    assert directory.source == f"{tmp_path / 'none.ldf'}, {whole}"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["isDeleted: TRUE\n", "isDeleted:TRUE\n", ""])
@pytest.mark.parametrize("in_base64", [True, False])
def test_deleted_entries_hold_nothing(tmp_path: Path, mark: str, in_base64: bool, end: str) -> None:
    gone = "CN=g\\0ADEL:1,CN=Deleted Objects,DC=test,DC=com" if not mark else "CN=gone,DC=test,DC=com"
    line = f"dn:: {encoded(gone)}" if in_base64 else f"dn: {gone}"
    dead = f"{line}\nsAMAccountName: svc\n{mark}servicePrincipalName: HTTP/contoso.test.com\n"
    dead += "servicePrincipalName: x/1\n\n"
    other = "dn: CN=o,DC=test,DC=com\nservicePrincipalName: x/1\n\n"
    for text in (DOMAIN + dead + SVC + other, dead + SVC + other + DOMAIN, DOMAIN + SVC + other + dead.rstrip() + "\n"):
        directory = load(tmp_path, text.replace("\n", end))
        assert spns(directory) == [["HTTP/contoso.test.com", "HTTP/contoso"]]
        assert directory.duplicates_elsewhere == 0
        assert directory.problems == ()


def test_who_points_to_a_deleted_entry_lives(tmp_path: Path) -> None:
    link = "msDS-SupersededManagedAccountLink: CN=x\\0ADEL:1,CN=Deleted Objects,DC=test,DC=com\n\n"
    assert spns(load(tmp_path, DOMAIN + SVC.replace("\n\n", f"\n{link}"))) == [
        ["HTTP/contoso.test.com", "HTTP/contoso"]
    ]


def reading(rid: int) -> str:
    """A gMSA that the question concerns and the group with this RID may read."""
    who = b"\x01\x05\0\0\0\0\0\x05" + b"".join(part.to_bytes(4, "little") for part in (21, 1, 2, 3, rid))
    ace = b"\0\0" + (8 + len(who)).to_bytes(2, "little") + b"\xff\x01\x0f\0" + who
    acl = b"\2\0" + (8 + len(ace)).to_bytes(2, "little") + b"\1\0\0\0" + ace
    descriptor = b"\1\0\4\x80" + bytes(12) + b"\x14\0\0\0" + acl
    return SVC.replace("\n\n", f"\nmsDS-GroupMSAMembership:: {encoded(descriptor)}\nobjectSid: S-1-5-21-1-2-3-9\n\n")


def test_groups_are_found_before_and_after_those_they_concern(tmp_path: Path) -> None:
    members = "".join(f"member: CN=u{i},DC=test,DC=com\n" for i in range(3000))
    sid = b"\x01\x05\0\0\0\0\0\x05" + b"".join(part.to_bytes(4, "little") for part in (21, 1, 2, 3, 70))
    before = f"dn: CN=Farm,DC=test,DC=com\nobjectClass: top\nobjectClass: group\n{members}"
    before += f"objectSid:: {encoded(sid)}\nmemberOf:: {encoded('CN=Größe,DC=test,DC=com')}\n"
    before += "memberOf: CN=lo\n ng,DC=test,DC=com\n\n"
    after = f"\ndn:: {encoded('CN=Größe,DC=test,DC=com')}\nobjectclass: Group\nobjectSid: S-1-5-21-1-2-3-71\n\n"
    crowd = "".join(f"dn: CN=g{i},DC=test,DC=com\nobjectClass: group\nobjectSid: S-1-5-32-{i}\n\n" for i in range(3000))
    member = reading(70).replace("\n\n", "\nmemberOf: cn=farm,dc=test,dc=com\n\n")
    for text in (before + crowd + member + after, after + member + crowd + before):
        for end in ("\n", "\r\n"):
            directory = load(tmp_path, (DOMAIN + text).replace("\n", end))
            assert directory.problems == ()
            assert directory.group_sids == {
                "cn=farm,dc=test,dc=com": "S-1-5-21-1-2-3-70",
                "cn=größe,dc=test,dc=com": "S-1-5-21-1-2-3-71",
            }
            (account,) = directory.accounts
            assert {one.rpartition("-")[2] for one in directory.memberships(account).sids} == {"70", "71", "515"}
            assert "cn=long,dc=test,dc=com" in directory.memberships(account).open


def test_a_deleted_group_is_none(tmp_path: Path) -> None:
    gone = "dn: CN=g,DC=test,DC=com\nobjectClass: group\nobjectSid: S-1-5-21-1-2-3-70\nisDeleted: TRUE\n\n"
    assert load(tmp_path, DOMAIN + reading(70) + gone).group_sids == {}


def test_setspn_text_and_ldif_make_one_account(tmp_path: Path) -> None:
    text, export = tmp_path / "a.txt", tmp_path / "b.ldf"
    text.write_text("x CN=SVC,DC=test,DC=com:\n\tHTTP/contoso.test.com\n")
    export.write_text(
        "dn: CN=svc,DC=test,DC=com\nobjectClass: user\nsAMAccountName: svcweb\nuserAccountControl: 514\n\n"
    )
    for paths in ([text, export], [export, text]):
        (account,) = read_exports(paths, QUESTION, {}).accounts
        assert (str(account.name), account.kind, account.disabled) == ("TEST\\svcweb", "user", True)
        assert account.spns == (spn("HTTP/contoso.test.com"),)


# -- round trip ----------------------------------------------------------------------------------------------------

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


def is_safe(value: bytes) -> bool:
    """SAFE-STRING of RFC 2849: ASCII without NUL, CR, LF; no space, colon or `<` first, no space last."""
    return value.isascii() and not set(value) & set(b"\0\r\n") and value[:1] not in b" :<" and not value.endswith(b" ")


def ldif_line(name: str, text: str, encode: bool, width: int) -> str:
    value = text.encode()
    plain = is_safe(value) and not encode
    line = f"{name}: {text}" if plain else f"{name}:: {base64.b64encode(value).decode()}"
    return "\n ".join(line[at : at + width] for at in range(0, len(line), width))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    entries=st.lists(st.tuples(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=3)), min_size=1, max_size=5),
    encode=st.booleans(),
    width=st.integers(10, 80),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_entries_survive_folding_and_base64(
    tmp_path: Path, entries: list[tuple[list[str], list[str]]], encode: bool, width: int, end: str
) -> None:
    records = []
    for number, (held, groups) in enumerate(entries):
        pairs = [("dn", f"CN=u{number},DC=test,DC=com"), ("sAMAccountName", f"u{number}")]
        pairs += [("servicePrincipalName", value) for value in held] + [("memberOf", value) for value in groups]
        records.append("\n".join(ldif_line(name, value, encode, width) for name, value in pairs) + "\n\n")
    question = Question(account_names=frozenset(f"u{number}" for number in range(len(entries))))
    directory = load(tmp_path, "".join(records).replace("\n", end), question)
    assert directory.problems == ()
    assert [
        (account.name.name, [s.text for s in account.spns], list(account.member_of)) for account in directory.accounts
    ] == [(f"u{number}", held, groups) for number, (held, groups) in enumerate(entries)]


# -- the plain way to read is the oracle of the fast one -----------------------------------------------------------


def plainly(path: Path, question: Question) -> Directory:
    """Every entry taken apart, none skimmed."""
    collector = Collector(question, {})
    collector.next_source(str(path))
    entries, mender = EntryReader(collector), Mender(collector)
    with path.open("rb") as stream:
        for block in ldif_blocks.blocks_of(stream, collector):
            for record in mender.mended(block).split(b"\n\n"):
                collector.saw({re.split(b"[:;]", line)[0].decode().lower() for line in record.split(b"\n")})
                entries.read(block, record)
    return collector.directory(str(path))


PLACES = [
    *("CN=a,DC=test,DC=com", "CN=B,DC=TEST,DC=com", "CN=c,DC=sub,DC=test,DC=com"),
    "CN=größe,OU=x\\, y,DC=test,DC=com",
]
GONE = "CN=d\\0ADEL:1,CN=Deleted Objects,DC=test,DC=com"
ASKED = ["HTTPS/contoso.test.com", "HTTP/contoso.test.com", "http/Contoso.test.com", "HTTP/contoso.test.com:8080"]
SIDS: dict[str, list[str | bytes]] = {
    **{place: [sid(rid), f"S-1-5-21-1-2-3-{rid}"] for place, rid in zip(PLACES, (521, 70, 1101, 1102), strict=True)},
    GONE: [sid(1103)],
}
ACCOUNT: dict[str, list[str | bytes]] = {
    "objectClass": ["user", "Computer", "msDS-DelegatedManagedServiceAccount"],
    "sAMAccountName": ["svc", "Müller", "other", "farm$"],
    "servicePrincipalName": [*ASKED, "x/1", "X/1", "MSSQLSvc/sql01:1433", "HTTP\\contoso.test.com", "*/ä"],
    "userPrincipalName": ["svc@test.com", "HTTP/contoso.test.com@TEST.COM", "müller"],
    "memberOf": [*PLACES],
    "msDS-GroupMSAMembership": [readers(70)],
    "msDS-AllowedToDelegateTo": ["x/1", "HOST/contoso.test.com"],
    "userAccountControl": ["512", "514"],
    "isDeleted": ["TRUE", "FALSE"],
    "description": ["dn: no entry", " a blank first", "#", ""],
}
OTHER: dict[str, list[str | bytes]] = {
    "objectClass": ["top", "group", "domainDNS"],
    "memberOf": [*PLACES],
    "isDeleted": ["TRUE", "FALSE"],
    "whenCreated": ["20080204000000.0Z"],
    "nCName": ["DC=test,DC=com"],
    "nETBIOSName": ["TEST"],
}
OPTIONS = {"memberOf": ";range=0-1499", "servicePrincipalName": ";x-a"}
OFTEN = ["objectClass", "servicePrincipalName", "servicePrincipalName", "servicePrincipalName"]


@st.composite
def attribute_lines(draw: st.DrawFn, pool: Mapping[str, Sequence[str | bytes]]) -> str:
    name = draw(st.sampled_from([*pool, *(name for name in OFTEN if name in pool)]))
    value = draw(st.sampled_from(pool[name]))
    data = value if isinstance(value, bytes) else value.encode()
    plain = is_safe(data) and draw(st.integers(0, 9)) != 0
    option = OPTIONS.get(name, "") if draw(st.integers(0, 5)) == 0 else ""
    spelt = draw(st.sampled_from([name, name.lower()])) + option
    line = f"{spelt}: {value!s}" if plain else f"{spelt}:: {base64.b64encode(data).decode()}"
    width = draw(st.sampled_from([200, 200, 60, 20]))
    return "\n ".join(line[at : at + width] for at in range(0, len(line), width))


@st.composite
def ldif_texts(draw: st.DrawFn) -> str:
    """Entries that Active Directory could hold: what is no account has no SPN."""
    records = []
    for place in draw(st.lists(st.sampled_from([*PLACES, GONE]), min_size=1, unique=True)):
        pool = {**draw(st.sampled_from([ACCOUNT, ACCOUNT, OTHER])), "objectSid": SIDS[place]}
        record = [ldif_line("dn", place, draw(st.booleans()), 80), *draw(st.lists(attribute_lines(pool), max_size=6))]
        if draw(st.integers(0, 9)) == 0:
            record.insert(draw(st.integers(0, len(record))), "# a comment\n that goes on")
        records.append("\n".join(record))
    between = draw(st.sampled_from(["\n\n", "\n\n\n", "\n\n# one more\n\n"]))
    return draw(st.sampled_from(["", "version: 1\n", "version: 1\n\n"])) + between.join(records) + "\n"


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=400)
@given(text=ldif_texts())
def test_skimming_misses_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "export.ldf"
    path.write_text(text, encoding="utf-8")
    whole, skimmed = plainly(path, QUESTION), load(tmp_path, text)
    assert skimmed.exported == whole.exported - {"", "dn", "version"}
    assert replace(skimmed, exported=whole.exported, read=()) == replace(whole, read=())
