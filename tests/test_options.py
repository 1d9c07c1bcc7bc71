"""The farm file and the file of accepted findings: what they mean, and that no slip in them passes unseen."""

import json
import re
import tempfile
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from work import calls

from agent import exits
from agent.checks.accept import Acceptance, Wildcard, accept, leftover
from agent.cli.program import main
from agent.errors import UsageError
from agent.model import Accepted, Finding
from agent.names import AccountName, host_name, spn
from agent.sources.option_files import accept_file, farm_file, with_accepted
from agent.spn.computer_names import FarmName

SAMPLES = Path(__file__).parents[1] / "sample_configs"
FARM = """\
    [[name]]
    host = "portal.test.com"        # what clients type
    servers = ["IIS01", "iis02.test.com."]
    site = "Intranet"
    proxy = "terminates-tls"

    [[name]]
    host = "bücher.test.com"
    servers = ["IIS03"]
"""
ACCEPT = """\
    [[accept]]
    id = "spn-missing"
    subject = "HTTP/old.test.com"
    reason = "retired in spring"
    until = 2027-01-31
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "options.toml"
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return path


def refusal(folder: Path, text: str | bytes, reader: object = farm_file) -> str:
    path = written(folder, text)
    assert callable(reader)
    with pytest.raises(UsageError) as caught:
        reader(path)
    return str(caught.value).replace(str(path), "FILE")


def test_farm_file(tmp_path: Path) -> None:
    assert farm_file(written(tmp_path, FARM)) == (
        FarmName(
            host=host_name("portal.test.com"),
            servers=("IIS01", "iis02.test.com"),
            site="Intranet",
            proxy="terminates-tls",
        ),
        FarmName(host=host_name("xn--bcher-kva.test.com"), servers=("IIS03",)),
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_as_windows_editors_write_it(tmp_path: Path, encoding: str) -> None:
    assert len(farm_file(written(tmp_path, dedent(FARM).encode(encoding)))) == 2


def test_no_entry_is_no_fault(tmp_path: Path) -> None:
    assert farm_file(written(tmp_path, "# nothing yet\n")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[name]\n", "FILE:1: not TOML"),
        ("a = 1\n\n[[name]]\nhost=\n", "FILE:4: not TOML"),
        ("x = " + "[" * 50_000, "FILE: not TOML: nested too deeply"),
        ("x = " + "9" * 5_000, "not TOML"),
        (b"\n\xff\n", "FILE:2: not UTF-8 text"),
        ("[[names]]\n", "FILE: unknown key 'names'; known: name"),
        ("[name]\nhost = 'a.b'\n", "FILE: name must be written as [[name]]"),
        ("name = ['a']\n", "name must be written as [[name]]"),
        ("\n[[name]]\nhost = 'a.b'\nserver = ['x']\n", "FILE:2: [[name]]: unknown key 'server'; known: host, servers"),
        ("[[name]]\nservers = ['x']\n", "FILE:1: [[name]]: host is missing"),
        ("[[name]]\nhost = 3\n", "host must be a text"),
        ("[[name]]\nhost = 'a.b'\n", "servers must be a list of server names"),
        ("[[name]]\nhost = 'a.b'\nservers = []\n", "servers must be a list of server names"),
        ("[[name]]\nhost = 'a.b'\nservers = ['x y']\n", "'x y' in servers is not a server name"),
        ("[[name]]\nhost = 'a.b'\nservers = [1]\n", "'1' in servers is not a server name"),
        ("[[name]]\nhost = 'http://a.b'\nservers = ['x']\n", "host 'http://a.b' is not a host name"),
        ("[[name]]\nhost = '10.0.0.1'\nservers = ['x']\n", "is an address"),
        ("[[name]]\nhost = '*.a.b'\nservers = ['x']\n", "a wildcard names no host"),
        ("[[name]]\nhost = 'a.b'\nservers = ['x']\nproxy = 'tls'\n", "proxy must be terminates-tls or passthrough"),
        ("[[name]]\nhost = 'a.b'\nservers = ['x']\nsite = ' '\n", "site must be a text that is not empty"),
        ("name = [{host = 'a.b', servers = ['x']}, {host = ''}]\n", "FILE, entry 2: [[name]]: host must be"),
    ],
)
def test_slip_in_a_farm_file(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_second_entry_is_named_by_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, FARM.replace('"IIS03"', "")).startswith("FILE:7: ")


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        farm_file(tmp_path / name)


def test_accept_file(tmp_path: Path) -> None:
    path = written(tmp_path, ACCEPT)
    (found,) = accept_file(path)
    assert found == Acceptance(
        id="spn-missing",
        subject="HTTP/old.test.com",
        reason="retired in spring",
        until=date(2027, 1, 31),
        file=str(path),
        line=1,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("spn-missing", "spn-mising"),
            "FILE:1: [[accept]]: there is no finding 'spn-mising': did you mean spn-",
        ),
        (('reason = "retired in spring"', ""), "reason is missing"),
        (("retired in spring", ""), "reason must be a text that is not empty"),
        (("2027-01-31", '"2027-01-31"'), "until must be a date without quotes"),
        (("2027-01-31", "2027-01-31T10:00:00Z"), "until must be a date without quotes"),
        (("2027-01-31", "2027-02-31"), "FILE:5: not TOML"),
        (("until", "expires"), "unknown key 'expires'; known: id, subject, reason, until"),
    ],
)
def test_slip_in_an_accept_file(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in refusal(tmp_path, dedent(ACCEPT).replace(*change), accept_file)


# -- accepting -----------------------------------------------------------------------------------------------------

TODAY = date(2026, 11, 22)
FOUND = Finding(
    id="spn-misplaced",
    severity="error",
    server="IIS01",
    servers=("IIS01", "IIS02"),
    site="Intranet",
    spn=spn("HTTP/intranet.test.com"),
    account=AccountName("TEST", "contososvc"),
    message="...",
)


def accepted(
    subject: str, finding: Finding = FOUND, until: date | None = None, kind: str = "spn-misplaced"
) -> Accepted | None:
    acceptance = Acceptance(id=kind, subject=subject, reason="known", until=until)
    (result,) = accept([finding], [acceptance], TODAY)
    return result.accepted


@pytest.mark.parametrize(
    "subject",
    [
        "iis01",
        "IIS02",
        "intranet",
        "IIS02/Intranet",
        "http/INTRANET.test.com",
        r"test\ContosoSvc",
        "*",
        "IIS*/Intranet",
    ],
)
def test_subject_that_is_meant(subject: str) -> None:
    assert accepted(subject) == Accepted(reason="known")


@pytest.mark.parametrize("subject", ["IIS0", "IIS03", "IIS01/Intra", "HTTP/intranet?test.com", "HTTP/*.test.org", ""])
def test_subject_that_is_not_meant(subject: str) -> None:
    assert accepted(subject) is None


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_stands_for_any_text(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert Wildcard(pattern).matches(text) is expected


def test_a_pattern_costs_what_its_length_costs() -> None:
    """`*a*a*a*a*a*a*b` as a regular expression never ended."""
    text = "a" * 10_000
    assert not Wildcard("*a" * 5_000 + "*b").matches(text)
    assert Wildcard("*a" * 5_000 + "*").matches(text)
    work = [
        calls(lambda size=size: Wildcard("*a" * size + "*b*c").matches("a" * 2 * size + "c"))  # type: ignore[misc]
        for size in (500, 1_000)
    ]
    assert work[1] < 2.1 * work[0]


def test_acceptances_without_a_star_are_looked_up() -> None:
    """From 513 on each comparison compiled its pattern anew."""

    def work(size: int) -> int:
        every = [Acceptance(id="spn-misplaced", subject=f"HTTP/x{number}", reason="x") for number in range(size)]
        findings = [replace(FOUND, spn=spn(f"HTTP/x{number}")) for number in range(size)]
        assert all(found.accepted for found in accept(findings, every, TODAY))
        return calls(lambda: accept(findings, every, TODAY))

    assert work(1_200) < 2.1 * work(600)


def test_the_first_acceptance_that_covers_a_finding_counts() -> None:
    every = [
        Acceptance(id="spn-misplaced", subject=subject, reason=str(number))
        for number, subject in enumerate(["other", "iis9*", "iis0*", "IIS01", "*"])
    ]
    for order, first in ((every, "2"), (every[::-1], "4"), (every[3:], "3")):
        (found,) = accept([FOUND], order, TODAY)
        assert found.accepted is not None
        assert found.accepted.reason == first


def test_other_finding_stays_open() -> None:
    assert accepted("*", kind="spn-missing") is None


def test_last_day_counts_and_the_day_after_does_not() -> None:
    assert accepted("*", until=TODAY) == Accepted(reason="known", until="2026-11-22")
    assert accepted("*", until=date(2026, 11, 21)) is None


def test_first_acceptance_that_counts_gives_the_reason_and_the_order_stays() -> None:
    other = Finding(id="spn-missing", severity="warning", server=None, message="...")
    expired = Acceptance(id="spn-misplaced", subject="*", reason="old", until=date(2020, 1, 1))
    counts = Acceptance(id="spn-misplaced", subject="IIS01", reason="first")
    later = Acceptance(id="spn-misplaced", subject="*", reason="second")
    results = accept([other, FOUND], [expired, counts, later], TODAY)
    assert [(result.id, result.accepted) for result in results] == [
        ("spn-missing", None),
        ("spn-misplaced", Accepted(reason="first")),
    ]


# -- writing -------------------------------------------------------------------------------------------------------

odd = st.text(st.characters() | st.sampled_from('*"\\\x7f\n\u2028 \ud800'), max_size=12)
named = st.none() | odd.filter(bool)


@given(
    st.lists(
        st.builds(
            Finding,
            id=st.sampled_from(["spn-missing", "loopback-name"]),
            severity=st.just("info"),
            server=named,
            servers=st.lists(odd.filter(bool), max_size=2).map(tuple),
            site=named,
            path=named,
            spn=st.none() | odd.filter(bool).map(spn),
            account=st.none() | st.just(AccountName("TEST", "svc")),
            message=odd,
        ),
        max_size=4,
    )
)
def test_what_is_written_accepts_each_finding_and_is_written_once(findings: list[Finding]) -> None:
    """Whatever stands in a name; a second time there is nothing to add."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accept.toml"
        text, added = with_accepted(path, findings, TODAY)
        path.write_text(text, encoding="utf-8", newline="")
        known = accept_file(path)
        assert len(known) == added <= len(findings)
        found = accept(findings, known, TODAY)
        assert [each.accepted and each.accepted.reason for each in found] == [
            "to be given, written 2026-11-22" for _ in findings
        ]
        assert with_accepted(path, findings, TODAY) == (text, 0)


@pytest.mark.parametrize(
    ("finding", "subject"),
    [
        (FOUND, "HTTP/intranet.test.com"),
        (replace(FOUND, spn=None), "IIS01/Intranet"),
        (replace(FOUND, spn=None, path="/"), "IIS01/Intranet/"),
        (replace(FOUND, spn=None, path="/app"), "IIS01/Intranet/app"),
        (replace(FOUND, spn=None, site=None), "IIS01"),
        (replace(FOUND, spn=None, site=None, server=None, servers=()), r"TEST\contososvc"),
        (replace(FOUND, spn=None, site=None, server=None, servers=(), account=None), "*"),
    ],
)
def test_the_closest_subject_is_written(tmp_path: Path, finding: Finding, subject: str) -> None:
    text, _ = with_accepted(tmp_path / "new.toml", [finding], TODAY)
    (entry,) = accept_file(written(tmp_path, text))
    assert entry.subject == subject
    other = replace(finding, spn=spn("HTTP/other"), server="IIS07", servers=(), site="Other", account=None)
    assert (accept([other], [entry], TODAY)[0].accepted is None) is (subject != "*")


def test_what_stands_in_the_file_stays(tmp_path: Path) -> None:
    path = written(tmp_path, "# ours\n" + dedent(ACCEPT))
    text, added = with_accepted(path, [FOUND, replace(FOUND, server="IIS02"), replace(FOUND, id="spn-missing")], TODAY)
    assert text.startswith("# ours\n" + dedent(ACCEPT))
    assert added == 2


@pytest.mark.parametrize(
    "text", ['accept = [{id = "spn-missing", subject = "a", reason = "b"}]\n', "nonsense", "x = 1\n"]
)
def test_what_is_no_accept_file_is_not_added_to(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, text)
    words = ["inspect", str(SAMPLES / "IIS05"), "--ad", "off", "--write-accept", str(path)]
    assert main(words) == exits.USAGE
    out, err = capsys.readouterr()
    assert (out, str(path) in err) == ("", True)
    assert path.read_text() == text


@pytest.mark.parametrize("command", ["inspect", "plan", "explain"])
def test_the_first_run_in_ci(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it wrote is accepted by the next run, which names each reason that is to be given."""
    path = tmp_path / "accept.toml"
    url = ["http://sales.test.com/"] if command == "explain" else []
    words = [command, *url, str(SAMPLES / "IIS05"), "--ad", str(SAMPLES / "directory.ldif"), "--dns", "off"]
    assert main([*words, "--write-accept", str(path)]) == exits.FINDINGS
    assert f"{path}: " in capsys.readouterr().err
    number = len(accept_file(path))
    assert number
    main([*words, "--accept", str(path), "--format", "json"])
    out, err = capsys.readouterr()
    assert f"reasons that are to be given: {number} (line 4, " in err or number == 1
    assert all(found["accepted"]["reason"].startswith("to be given, written ") for found in json.loads(out)["findings"])
    before = path.read_text()
    path.write_text(before.replace("to be given, written", "agreed on"))
    main([*words, "--accept", str(path)])
    assert capsys.readouterr().err == ""


def test_no_file_is_written_where_there_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nowhere", "--write-accept", str(tmp_path / "no" / "file")]) == exits.USAGE
    assert "there is no such folder" in capsys.readouterr().err


# -- what accepts nothing ------------------------------------------------------------------------------------------


def left(*acceptances: Acceptance, is_whole: bool = True) -> list[str]:
    return [found.message for found in leftover([FOUND], acceptances, TODAY, is_whole=is_whole)]


def entry(subject: str, until: date | None = None, kind: str = "spn-misplaced") -> Acceptance:
    return Acceptance(id=kind, subject=subject, reason="known", until=until, file="accept.toml", line=7)


def test_an_acceptance_that_matches_nothing_is_named() -> None:
    for matching in ("IIS02/Intranet", "*", "http/INTRANET.test.com"):
        assert left(entry(matching)) == []
    assert left(entry("IIS03")) == ["the acceptance of spn-misplaced for IIS03 matches nothing that was found"]
    assert left(entry("*", kind="spn-missing")) == [
        "the acceptance of spn-missing for * matches nothing that was found"
    ]
    (found,) = leftover([FOUND], [entry("IIS03")], TODAY, is_whole=True)
    assert (found.severity, found.evidence[0].file, found.evidence[0].line) == ("info", "accept.toml", 7)


def test_what_was_not_seen_is_not_said_to_be_gone() -> None:
    (told,) = left(entry("IIS03"), is_whole=False)
    assert told.endswith("matches nothing that was found, but not everything was read and checked")


def test_an_acceptance_that_is_over_is_named_whether_it_matches_or_not() -> None:
    yesterday = date(2026, 11, 21)
    assert left(entry("*", TODAY)) == []
    assert left(entry("*", yesterday)) == [
        "the acceptance of spn-misplaced for * is over since 2026-11-21: what it accepted counts again"
    ]
    assert left(entry("IIS03", yesterday))[0].endswith("it matches nothing either")
