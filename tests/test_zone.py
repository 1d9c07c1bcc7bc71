"""Zone files: what a name leads to, which names an address has, and what is told about files that cannot be read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from work import calls

from agent.names import HostName, host_name
from agent.sources.dns import zone
from agent.spn.nameservice import NameService, Resolution

SOA = "@ IN SOA dc1.test.com. hostmaster.test.com. (\n\t42 ; serial\n\t900\n\t600\n\t86400\n\t3600 ) ; minimum\n"
EXPORT = (
    """\
;
;  Database file export for test.com zone.
;      Zone version:  42
;

"""
    + SOA.replace("@ IN SOA", "@                       IN  SOA")
    + """\
;
;  Zone NS records
;
@                       NS\tdc1.test.com.
;
;  Zone records
;
@                       [AGE:3534342] 600 A\t10.0.5.1
@                       0\tWINS\tL1 C900 ( 10.0.5.1 )
_ldap._tcp              600 SRV\t0 100 389 dc1.test.com.
branch                  NS\tdc.branch
dc.branch               A\t10.9.0.1
contoso                 CNAME\tIIS01
dc1                     A\t10.0.5.1
iis01                   [AGE:3534342] 1200\tA\t10.0.5.2
                        1200 AAAA\tFE80::5:2
"""
)


def read(folder: Path, text: str | bytes, name: str = "test.com.dns") -> NameService:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return zone.read_zones([path])


def chain(service: NameService, name: str) -> list[str] | None:
    found = service.resolve(host_name(name))
    return None if found is None else [str(host) for host in found.chain]


def absent(name: str) -> Resolution:
    return Resolution(chain=(host_name(name),), addresses=(), exists=False)


def test_windows_export(tmp_path: Path) -> None:
    service = read(tmp_path, EXPORT, "whatever.txt")
    assert service.problems == ()
    assert service.suffixes == ("test.com",)
    assert chain(service, "contoso") == ["contoso.test.com", "IIS01.test.com"]
    assert service.resolve(host_name("CONTOSO.test.com.")).addresses == ("10.0.5.2", "fe80::5:2")
    assert [str(n) for n in service.names_by_address["10.0.5.2"]] == ["contoso.test.com", "iis01.test.com"]
    assert [str(n) for n in service.names_by_address["10.0.5.1"]] == ["test.com", "dc1.test.com"]
    assert host_name("_ldap._tcp.test.com") not in list(service.answers)


def test_what_a_zone_knows_to_be_absent_and_what_it_does_not(tmp_path: Path) -> None:
    service = read(tmp_path, EXPORT)
    assert service.resolve(host_name("nobody.test.com")) == absent("nobody.test.com")
    assert service.resolve(host_name("nobody")) == absent("nobody.test.com")
    assert service.resolve(host_name("www.other.com")) is None
    assert service.resolve(host_name("notest.com")) is None
    assert service.resolve(host_name("www.branch.test.com")) is None, "delegated away"
    assert service.resolve(host_name("branch.test.com")) is None, "the child's own records are in the child"
    assert chain(service, "dc.branch.test.com") == ["dc.branch.test.com"]
    assert service.resolve(host_name("_tcp.test.com")).exists, "an empty name above another exists (RFC 8020)"
    assert service.resolve(host_name("_ldap._tcp.test.com")).addresses == ()
    assert service.answers.get(host_name("www.other.com")) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_encodings_of_windows(tmp_path: Path, encoding: str) -> None:
    service = read(tmp_path, (EXPORT + "bücher A 10.0.5.9\n").replace("\n", "\r\n").encode(encoding))
    assert service.problems == ()
    assert service.resolve(host_name("bücher.test.com")).addresses == ("10.0.5.9",)
    assert service.resolve(host_name("xn--bcher-kva.test.com")).addresses == ("10.0.5.9",)


@pytest.mark.parametrize(
    ("text", "name", "origin"),
    [
        ("$ORIGIN a.com.\nwww A 10.0.0.1\n", "b.com.dns", "a.com"),
        ("$TTL 1h\n$ORIGIN a.com ; no dot\nwww A 10.0.0.1\n", "x.txt", "a.com"),
        ("a.com. 3600 IN SOA ns hm 1 2 3 4 5\nwww A 10.0.0.1\n", "b.com.dns", "a.com"),
        (";  Database file x.dns for a.com zone.\nwww A 10.0.0.1\n", "x.txt", "a.com"),
        (";  Database file x.dns for a.com zone.\nwww A 10.0.0.1\nx CNAME w.a.com.\n", "b.com.dns", "a.com"),
        (";  Database file (null) for corp zone.\nwww A 10.0.0.1\nx NS w.x.corp.\n", "x.txt", "corp"),
        (";  Database file (null) for Default zone scope in zone a.com.\nwww A 10.0.0.1\n", "x.txt", "a.com"),
        (";  Database file (null) for default zone scope in zone corp.\nwww A 10.0.0.1\n", "corp.dns", "corp"),
        (";  Database file (null) for Intern und Labor zone scope in zone a.com.\nwww A 10.0.0.1\n", "x.txt", "a.com"),
        ("$ORIGIN .\na.com SOA ns hm 1 2 3 4 5\n$ORIGIN a.com.\nwww A 10.0.0.1\n", "b.com.dns", "a.com"),
        ("www A 10.0.0.1\n", "a.com.dns", "a.com"),
        ("www A 10.0.0.1\n", "a.com.zone", "a.com"),
        ("www A 10.0.0.1\n", "db.a.com", "a.com"),
        ("www A 10.0.0.1\n$ORIGIN sub.a.com.\nx A 10.0.0.2\n", "a.com.dns", "a.com"),
    ],
)
def test_where_the_origin_comes_from(tmp_path: Path, text: str, name: str, origin: str) -> None:
    service = read(tmp_path, text, name)
    assert service.problems == ()
    assert service.suffixes == (origin,)
    assert chain(service, "www") == [f"www.{origin}"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (";  Database file x.dns for a.com zone.\nwww A 10.0.0.1\n", "b.com.dns"),
        (";  Database file x.dns for a.com zone.\nwww A 10.0.0.1\nx NS w.b.com.\n", "b.com.dns"),
        (";  Database file (null) for Default zone.\nwww A 10.0.0.1\nx NS w.b.com.\n", "x.txt"),
    ],
)
def test_a_file_that_contradicts_its_title_is_refused(tmp_path: Path, text: str, name: str) -> None:
    service = read(tmp_path, text, name)
    (problem,) = service.problems
    assert (problem.line, "$ORIGIN" in problem.message) == (1, True)
    assert (list(service.answers), service.suffixes) == ([], ())
    assert read(tmp_path, f"$ORIGIN c.com.\n{text}", name).suffixes == ("c.com",)


@pytest.mark.parametrize("text", ["@ A 10.0.0.1\n", SOA + "a.b A 10.0.0.1\n", "c.d A 10.0.0.1\nweb A 10.0.0.1\n"])
def test_a_zone_that_nobody_named_is_refused(tmp_path: Path, text: str) -> None:
    service = read(tmp_path, text, "pasted.txt")
    assert [(problem.line, "$ORIGIN" in problem.message) for problem in service.problems] == [
        (2 if "c.d" in text else 1, True)
    ]
    assert list(service.answers) == []


def test_another_zone_scope_is_named_and_proves_no_absence(tmp_path: Path) -> None:
    title = ";  Database file (null) for {} zone scope in zone test.com.\n"
    inner, usual = (read(tmp_path, title.format(scope) + SOA + "a A 10.0.0.1\n") for scope in ("Inner", "Default"))
    assert (inner.problems, usual.problems, usual.read[0].note) == ((), (), None)
    assert "Inner" in (inner.read[0].note or "")
    assert chain(inner, "a") == chain(usual, "a") == ["a.test.com"]
    assert inner.resolve(host_name("b.test.com")) is None
    assert usual.resolve(host_name("b.test.com")) == absent("b.test.com")


def test_a_lone_word_may_be_the_rest_of_a_record(tmp_path: Path) -> None:
    service = read(tmp_path, "first A 10.1.0.1\nweb A 10.1.0.\n12\nnext A 10.1.0.3\nalias CNAME web.te\nst.com.\n")
    assert [problem.line for problem in service.problems] == [2, 3, 6]
    assert [str(name) for name in service.answers] == ["first.test.com"]


def test_a_record_without_an_end_was_cut(tmp_path: Path) -> None:
    service = read(tmp_path, "first A 10.1.0.1\nweb A 10.1.0.1")
    assert [(problem.line, "cut" in problem.message) for problem in service.problems] == [(2, True)]
    assert [str(name) for name in service.answers] == ["first.test.com"]
    assert [problem.line for problem in read(tmp_path, "first A 10.1.0.1\n; the en").problems] == [2]


def test_a_fragment_of_no_zone_keeps_its_names_and_claims_nothing(tmp_path: Path) -> None:
    service = read(tmp_path, "contoso.test.com A 10.0.0.1\nalias.test.com. CNAME contoso.test.com\n", "pasted.txt")
    assert (service.problems, service.suffixes) == ((), ())
    assert chain(service, "alias.test.com") == ["alias.test.com", "contoso.test.com"]
    assert service.resolve(host_name("other.test.com")) is None


# the DNS states of the truth table
@pytest.mark.parametrize(
    ("records", "asked", "names", "addresses"),
    [
        ("contoso A 10.0.5.2", "contoso", ["contoso.test.com"], ("10.0.5.2",)),
        ("contoso A 10.0.5.2", "contoso.test.com.", ["contoso.test.com"], ("10.0.5.2",)),
        (
            "contoso CNAME iis01\niis01 A 10.0.5.2",
            "contoso",
            ["contoso.test.com", "iis01.test.com"],
            ("10.0.5.2",),
        ),
        (
            "portal CNAME vip-17.lb\nvip-17.lb A 10.0.0.9",
            "portal.test.com",
            ["portal.test.com", "vip-17.lb.test.com"],
            ("10.0.0.9",),
        ),
        (
            "a CNAME b\nb CNAME c\nc A 10.0.0.3",
            "a.test.com",
            ["a.test.com", "b.test.com", "c.test.com"],
            ("10.0.0.3",),
        ),
        ("portal A 10.0.0.1\nportal A 10.0.0.2", "portal", ["portal.test.com"], ("10.0.0.1", "10.0.0.2")),
        ("my_app A 10.0.0.1", "my_app.test.com", ["my_app.test.com"], ("10.0.0.1",)),
        (
            "$ORIGIN branch.test.com.\niis01 A 10.0.0.4",
            "iis01.branch.test.com",
            ["iis01.branch.test.com"],
            ("10.0.0.4",),
        ),
    ],
)
def test_truth_table(tmp_path: Path, records: str, asked: str, names: list[str], addresses: tuple[str, ...]) -> None:
    service = read(tmp_path, f"$ORIGIN test.com.\n{SOA}{records}\n")
    found = service.resolve(host_name(asked))
    assert service.problems == ()
    assert [str(host) for host in found.chain] == names
    assert found.addresses == addresses
    assert found.exists
    assert all(host_name(names[0]) in service.names_by_address[address] for address in addresses)


def test_chains_run_through_all_zones_and_end_where_they_end(tmp_path: Path) -> None:
    (tmp_path / "a.com.dns").write_text("portal CNAME vip.b.com.\nout CNAME cdn.example.\ndangling CNAME nobody\n")
    (tmp_path / "b.com.dns").write_text("VIP A 10.0.0.9\n")
    (tmp_path / "rev").write_text("$ORIGIN 0.0.10.in-addr.arpa.\n9 PTR vip.b.com.\n9 PTR second.b.com.\nx PTR y.\n")
    service = zone.read_zones([tmp_path / name for name in ("b.com.dns", "rev", "a.com.dns")])
    assert service.problems == ()
    assert service.suffixes == ("b.com", "a.com")
    assert chain(service, "portal.a.com") == ["portal.a.com", "vip.b.com"]
    assert [str(n) for n in service.names_by_address["10.0.0.9"]] == ["VIP.b.com", "portal.a.com"]
    out = service.resolve(host_name("out.a.com"))
    assert (chain(service, "out.a.com"), out.addresses, out.exists) == (["out.a.com", "cdn.example"], None, True)
    assert not service.resolve(host_name("dangling.a.com")).exists
    assert service.pointers == {"10.0.0.9": host_name("vip.b.com")}


def test_an_alias_that_leads_out_of_the_zones_ends_where_nobody_looked(tmp_path: Path) -> None:
    records = (
        "out CNAME cdn.example.\nvia CNAME out\nheld CNAME held.sub\nchild CNAME www.sub2\nsub2 NS ns.else.example.\n"
        "*.wild CNAME cdn.example.\ngone CNAME nobody\n"
    )
    service = read(tmp_path, records)
    ends = {n: service.resolve(host_name(n)) for n in ("out", "via", "held", "child", "x.wild.test.com", "gone")}
    assert {n: (r.addresses, r.exists) for n, r in ends.items()} == {
        **dict.fromkeys(("out", "via", "held", "child", "x.wild.test.com"), (None, True)),
        "gone": ((), False),
    }
    assert str(ends["via"].canonical) == "cdn.example"
    assert {str(end): [str(n) for n in names] for end, names in service.aliases_by_end.items()} == {
        "cdn.example": ["out.test.com", "via.test.com"],
        "held.sub.test.com": ["held.test.com"],
        "www.sub2.test.com": ["child.test.com"],
    }


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("nobody", True),
        ("a.apps", True),
        ("a.b.apps", True),
        ("web.ad", False),
        ("x.nobody", False),
        ("y.a.apps", False),
    ],
)
def test_below_a_name_that_is_absent_too_may_be_another_zone(tmp_path: Path, asked: str, known: bool) -> None:
    service = read(tmp_path, "x.b.apps A 10.0.0.1\n")
    found = service.resolve(host_name(f"{asked}.test.com"))
    assert (found is not None) is known
    assert found is None or found == absent(f"{asked}.test.com")


def test_reverse_zone_of_ipv6(tmp_path: Path) -> None:
    nibbles = ".".join(reversed("fe80000000000000000000000000000a"))
    service = read(tmp_path, f"{nibbles}.ip6.arpa. PTR iis01.test.com.\n", "x")
    assert service.pointers == {"fe80::a": host_name("iis01.test.com")}


def test_wildcards_answer_as_rfc_4592_says(tmp_path: Path) -> None:
    service = read(
        tmp_path, "*.apps A 10.0.0.1\nown.apps TXT x\n*.al CNAME real\nreal A 10.0.0.2\na.b.apps A 10.0.0.3\n"
    )
    assert service.resolve(host_name("x.y.apps.test.com")).addresses == ("10.0.0.1",)
    assert chain(service, "x.al.test.com") == ["x.al.test.com", "real.test.com"]
    assert service.resolve(host_name("own.apps.test.com")).addresses == ()
    assert service.resolve(host_name("z.b.apps.test.com")) == absent("z.b.apps.test.com")
    assert service.resolve(host_name("*.apps.test.com")).addresses == ("10.0.0.1",)
    assert "10.0.0.1" not in service.names_by_address


def test_a_circle_is_one_problem_and_no_name(tmp_path: Path) -> None:
    service = read(tmp_path, "ok A 10.0.0.1\na CNAME b\nb CNAME c\nc CNAME a\nin CNAME a\nself CNAME self\n")
    assert [problem.line for problem in service.problems] == [2, 6]
    assert "circle" in service.problems[0].message
    assert not any(service.resolve(host_name(n)).exists for n in ("a", "b", "c", "in", "self"))
    assert service.resolve(host_name("ok")).exists


def test_an_alias_of_a_name_that_a_wildcard_has_without_an_address_is_no_circle(tmp_path: Path) -> None:
    service = read(tmp_path, "a CNAME b\n* TXT x\n")
    assert service.problems == ()
    assert service.resolve(host_name("a")).addresses == ()


def test_a_chain_of_sixteen_aliases_is_followed_and_a_longer_one_is_told(tmp_path: Path) -> None:
    text = "".join(f"a{i} CNAME a{i + 1}\n" for i in range(16)) + "a16 A 10.0.0.1\n"
    assert read(tmp_path, text).resolve(host_name("a0")).addresses == ("10.0.0.1",)
    longer = read(tmp_path, text + "b CNAME a0\n")
    assert not longer.resolve(host_name("b")).exists
    assert [problem.line for problem in longer.problems] == [18]


def test_generate_within_bounds(tmp_path: Path) -> None:
    service = read(tmp_path, "$GENERATE 1-3 node${0,2} A 10.0.7.$\n$GENERATE 1-2 al$ CNAME node0$\n")
    assert service.problems == ()
    assert service.resolve(host_name("node03")).addresses == ("10.0.7.3",)
    assert chain(service, "al2") == ["al2.test.com", "node02.test.com"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("bad A 10.0.0.999", "10.0.0.999"),
        ("bad AAAA fe80::1%eth0", "no address"),
        ("bad A", "no address"),
        ("bad CNAME", "without a target"),
        ("bad FLUBBER x", "FLUBBER"),
        ("bad 600", "without a type"),
        ("bad A ( 10.0.0.1", ""),
        ('bad TXT "never closed', ""),
        ('"quoted" A 10.0.0.1', "quoted"),
        ("ok CNAME a\nok CNAME b", "second CNAME"),
        ("ok CNAME a\nok A 10.0.0.1", "a name is an alias or has addresses"),
        ("ok AAAA fe80::1\nok CNAME a", "a name is an alias or has addresses"),
        ("$INCLUDE /etc/passwd", "INCLUDE"),
        ("$ORIGIN", "$ORIGIN"),
        ("$GENERATE 1-4294967295 h$ A 10.0.0.1", "65536"),
        ("$GENERATE 1-2/0 h$ A 10.0.0.1", "range"),
        ("$GENERATE 1-2 h${0,999999999} A 10.0.0.1", "too long"),
        ("$GENERATE", "range"),
        (f"{'x' * 64} A 10.0.0.1", "63"),
        (".".join(["abc"] * 300) + " A 10.0.0.1", "255"),
        ("a..b A 10.0.0.1", "empty label"),
        ("a\u200fb A 10.0.0.1", "\\u200f"),
        ("a\x00b A 10.0.0.1", "\\u0000"),
        ("a\\999b A 10.0.0.1", ""),
    ],
)
def test_one_fault_costs_one_record(tmp_path: Path, line: str, word: str) -> None:
    service = read(tmp_path, f"first A 10.1.0.1\n{line}\nlast A 10.1.0.2\n")
    (problem,) = service.problems
    assert problem.id == "config-malformed"
    assert problem.line == 2 + line.count("\n")
    assert problem.file.endswith("test.com.dns")
    assert word in problem.message
    assert problem.message.isprintable()
    assert service.resolve(host_name("first")).addresses == ("10.1.0.1",)
    assert service.resolve(host_name("last")).addresses == ("10.1.0.2",)
    assert service.resolve(host_name("other")) is None, "a damaged file proves no absence"


@pytest.mark.parametrize("content", [b"", b"\r\n; only a comment\n", b"\xff\xfea", b"<configuration/>", b"\x00" * 99])
def test_what_is_no_zone_is_told_and_claims_no_zone(tmp_path: Path, content: bytes) -> None:
    service = read(tmp_path, content)
    assert service.problems
    assert (service.suffixes, list(service.answers)) == ((), [])
    assert service.resolve(host_name("www.test.com")) is None


def test_missing_file_and_folder_do_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.com.dns").write_text("www A 10.0.0.1\n")
    service = zone.read_zones([tmp_path / "gone", tmp_path, tmp_path / "a.com.dns"])
    assert [problem.file for problem in service.problems] == [str(tmp_path / "gone"), str(tmp_path)]
    assert service.resolve(host_name("www")).exists


def test_many_faults_are_counted_not_listed(tmp_path: Path) -> None:
    service = read(tmp_path, "( a\n" * 500)
    assert len(service.problems) == 21
    assert "480 more" in service.problems[-1].message


def test_a_zone_costs_what_its_length_costs(tmp_path: Path) -> None:
    def cost(hosts: int) -> int:
        names = [f"h{i}.of-{hosts}" for i in range(hosts)]  # no name that was met before
        text = "".join(f"{name} A 10.0.{i // 250}.{i % 250}\nc.{name} CNAME {name}\n" for i, name in enumerate(names))
        return calls(lambda: read(tmp_path, text))

    assert cost(1000) < 2.2 * cost(500)


_LABELS = st.sampled_from(["a", "b", "c", "d", "e", "*.w", "x.w", "out.side."])
_STRANGE = [*'ab.@*$;()"\\ \t\n\r09{},-/\x00\u200fü', " A ", " CNAME ", "\n$GENERATE ", "\n$ORIGIN ", "10.0.0.1"]
_ZONES = st.lists(st.tuples(_LABELS, _LABELS | st.just("10.0.0.1")), max_size=12)


@settings(max_examples=150)
@given(records=_ZONES, asked=_LABELS)
def test_chains_end_at_addresses_or_a_missing_name(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], asked: str
) -> None:
    lines = [f"{owner} {'A' if target[0] == '1' else 'CNAME'} {target}\n" for owner, target in records]
    service = read(tmp_path_factory.mktemp("z"), "$ORIGIN test.com.\n" + SOA + "".join(lines))
    for host in [*service.answers, host_name(f"{asked}.test.com")]:
        found = service.answers.get(host)
        if found is None:
            continue
        assert found.chain[0] == host
        assert len(set(found.chain)) == len(found.chain) <= zone.LONGEST_CHAIN + 1
        if found.addresses:
            assert _owns_addresses(service, found.canonical)
        elif found.exists:
            assert service.answers.get(found.canonical) is None


def _owns_addresses(service: NameService, host: HostName) -> bool:
    found = service.answers[host]
    return found.chain == (host,) and found.addresses != ()


@settings(max_examples=200)
@given(text=st.lists(st.sampled_from(_STRANGE)).map("".join))
def test_no_text_is_too_strange(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    service = read(tmp_path_factory.mktemp("z"), text)
    assert all(problem.message.isprintable() for problem in service.problems)
    assert all(service.answers[host].chain[0] == host for host in service.answers)
