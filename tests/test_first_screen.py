"""What people see first: the verdict, how to look, the causes, what could not be read; and the options for more."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cmd_reader
import inputs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from worlds import World, ad, app, computer, server, site, user, world

from agent import exits, inspect
from agent.checks.commands import HELD, setspn_questions
from agent.cli.following import following
from agent.cli.program import main
from agent.iis.snapshot import Snapshot
from agent.model import Accepted, Report, Server
from agent.render.first_screen import LINES
from agent.render.screen import NOTHING_FOLLOWS, Following, Shown
from tests.pages import in_text

SAMPLES = Path(__file__).parents[1] / "sample_configs"
LOOKING = ("--ad", "directory.ldif", "--dns", "zone.txt", "--farm", "farm.toml")
SERVICE = r"TEST\svc"


def screen(report: Report, shown: Shown = "causes", width: int = 80, after: Following = NOTHING_FOLLOWS) -> list[str]:
    return in_text(report, width, False, shown, after).splitlines()


# -- the line that is pasted ---------------------------------------------------------------------------------------

_LOOP = re.compile(r"\(for %s in \(([^()]*)\) do @for %n in \(([^()]*)\) do @([^()]*)\) >>? held\.txt")


def asked(line: str) -> list[str]:
    """The SPNs that a line asks for, each echoed before its question; what cmd.exe would run is read strictly.

    `for` puts each word of its list in the place of its variable; a list ends at blanks, commas, semicolons and `=`,
    and takes `*` and `?` for the names of files (Microsoft, "for").
    """
    loop = _LOOP.fullmatch(line)
    assert loop is not None, line
    classes, names = loop[1].split(" "), loop[2].split(" ")
    assert not set("*?,;=") & set(loop[2])
    found = []
    for service in classes:
        for name in names:
            echoed, query = cmd_reader.read_line(loop[3].replace("%s", service).replace("%n", name))
            assert (echoed.name, query.name) == ("echo", "setspn")
            assert query.arguments == ("-F", "-Q", *echoed.arguments)
            found += echoed.arguments
    return found


def answered(line: str, holders: Mapping[str, str]) -> str:
    """What the line writes to its file: each question, and what setspn says (its form: reference 7.2)."""
    text = ""
    for question in asked(line):
        holder = holders.get(question)
        held = "" if holder is None else f"CN={holder},CN=Users,DC=test,DC=com\n\t{question}\n"
        sentence = "No such SPN found." if holder is None else "Existing SPN found!"
        text += f"{question}\nChecking forest DC=test,DC=com\n{held}\n{sentence}\n"
    return text


def unlooked(*bindings: str) -> World:
    return world(
        server(*(site(binding, name=f"S{at}") for at, binding in enumerate(bindings)), pool=SERVICE, creds=True)
    )


def test_the_line_asks_for_every_name_that_matters() -> None:
    found = unlooked("*:80:a.test.com", "*:80:b.test.com", "*:80:")
    (line,) = found.report.summary.questions if found.report.summary is not None else ()
    matters = {str(one.spn) for one in found.report.requirements if one.matters}
    assert matters == {"HTTP/a.test.com", "HTTP/b.test.com", "HTTP/IIS01", "HTTP/iis01.test.com"}
    assert set(asked(line)) == matters | {name.replace("HTTP/", "HOST/") for name in matters}


def test_what_it_brings_proves_who_holds_it_and_that_nobody_does(tmp_path: Path) -> None:
    built = server(site("*:80:a.test.com"), site("*:80:b.test.com", name="B"), pool=SERVICE, creds=True)
    (target,) = inputs.written(tmp_path, [built]).servers
    blind = inspect(target, ad="off")
    assert blind.summary is not None
    (line,) = blind.summary.questions
    held = tmp_path / HELD
    held.write_text(answered(line, {"HTTP/a.test.com": "svc"}), encoding="utf-8")
    report = inspect(target, ad=held)
    outcomes = {str(one.spn): one.outcome for one in report.requirements if one.matters}
    assert outcomes == {"HTTP/a.test.com": "kerberos", "HTTP/b.test.com": "ntlm-fallback"}
    assert report.summary is not None
    assert report.summary.questions == ()


def test_nobody_is_asked_again_where_somebody_looked() -> None:
    built = server(site("*:80:a.test.com"), pool=SERVICE, creds=True)
    for directory, is_asked in (
        (ad(computer(), user("svc")), False),
        (ad(user("svc"), covers=False), True),
        (None, True),
    ):
        report = world(built, ad=directory).report
        assert report.summary is not None
        assert bool(report.summary.questions) is is_asked
        assert any("paste into cmd" in line for line in screen(report)) is is_asked


@given(st.lists(st.text(max_size=12)))
def test_no_name_becomes_anything_else(names: Sequence[str]) -> None:
    plain = [name for name in names if re.fullmatch(r"[A-Za-z0-9._:][A-Za-z0-9._:-]*", name)]
    questions = [question for line in setspn_questions(names) for question in asked(line)]
    assert questions == [f"{service}/{name}" for service in ("HTTP", "HOST") for name in dict.fromkeys(plain)]


def test_as_many_lines_as_cmd_needs() -> None:
    """cmd.exe takes 8,191 characters (Microsoft, KB830473); the first line makes the file anew."""
    names = [f"portal{number:04d}.branch.test.com" for number in range(1000)]
    lines = setspn_questions(names)
    assert len(lines) > 1
    assert max(map(len, lines)) <= 8191
    assert [" >> " in line for line in lines] == [False, *[True] * (len(lines) - 1)]
    assert [name for line in lines for name in asked(line) if name.startswith("HTTP/")] == [f"HTTP/{n}" for n in names]
    many = unlooked(*(f"*:80:{name}" for name in names))
    assert any("summary.questions" in line for line in screen(many.report))


def test_the_line_stands_whole_in_every_page_of_a_run_that_nobody_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLES)
    line = "(for %s in (HTTP HOST) do @for %n in (contoso.test.com) do @echo %s/%n& setspn -F -Q %s/%n) > held.txt"
    for words in (
        *(("inspect", "IIS02", *more) for more in ((), ("--all",), ("--verbose",), ("--format", "markdown"))),
        ("explain", "http://contoso.test.com/", "IIS02"),
        *(("plan", "IIS02", "--format", form) for form in ("table", "markdown", "ticket")),
    ):
        main(words)
        shown = [each.strip() for each in capsys.readouterr().out.splitlines()]
        (pasted,) = (each for each in shown if each.startswith("(for "))
        assert "contoso.test.com" in pasted
        assert pasted.endswith("> held.txt")
        if words[0] == "explain":
            assert pasted == line


# -- the command lines that come next ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "to", "again", "plan"),
    [
        ("inspect A", None, "inspect A", "plan A"),
        ("inspect A --ad off", None, "inspect A", "plan A --ad off"),
        ("inspect A --ad=auto --dns z", None, "inspect A --dns z", "plan A --ad auto --dns z"),
        ("inspect A --ad x.ldif", None, "inspect A --ad x.ldif", "plan A --ad x.ldif"),
        ("inspect A --all --format csv --output o", None, "inspect A --all --format csv", "plan A"),
        ("inspect A --inventory i --stale-after 3", None, "inspect A --inventory i --stale-after 3", "plan A"),
        ("inspect A --fail-on info -v", None, "inspect A --fail-on info -v", "plan A"),
        ("sweep w1 --user u", None, "sweep w1 --user u", None),
        ("sweep w1 --to s --dns z --user u", "s", "sweep w1 --to s --dns z --user u", "plan s --dns z"),
        ("inspect -- A", None, None, None),
    ],
)
def test_what_comes_next(words: str, to: str | None, again: str | None, plan: str | None) -> None:
    found = following(words.split(" "), None if to is None else Path(to))
    assert found.again == (None if again is None else f"iis-spn {again} --ad held.txt")
    assert found.plan == (None if plan is None else f"iis-spn {plan} --format ticket")


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_a_word_that_cannot_be_quoted_gives_no_line(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert following(["inspect", "a b"]).again in {
        "iis-spn inspect 'a b' --ad held.txt",
        'iis-spn inspect "a b" --ad held.txt',
    }
    assert following(["inspect", "a\nb"]).again is None
    assert (following(["inspect", 'a"&calc']).again is None) is (platform == "win32")


def test_the_plan_that_is_named_is_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(SAMPLES)
    main(["inspect", "IIS05", *LOOKING, "--fail-on", "warning"])
    (line,) = (each.strip() for each in capsys.readouterr().out.splitlines() if each.startswith("  iis-spn plan "))
    assert main(line.split(" ")[1:]) == exits.FINDINGS
    assert "Please make these changes" in capsys.readouterr().out


# -- one screen ----------------------------------------------------------------------------------------------------


def farm(count: int) -> list[Snapshot]:
    """Servers with the same fault, and healthy ones between them."""
    return [
        server(
            site(f"*:80:app{number}.test.com"), name=f"WEB{number:03d}", pool=SERVICE, creds=number % 4 != 0,
            facts={"addresses": (f"10.1.{number // 250}.{number % 250 + 1}",)},
        )
        for number in range(count)
    ]  # fmt: skip


def of_a_farm(count: int, silent: int = 0) -> Report:
    names = [f"HTTP/app{number}.test.com" for number in range(count)]
    computers = [computer(f"WEB{number:03d}") for number in range(count)]
    report = world(*farm(count), ad=ad(*computers, user("svc", *names))).report
    lost = tuple(
        Server(name=f"GONE{number}", dns_name=None, source=f"GONE{number}", status="failed") for number in range(silent)
    )
    return replace(report, servers=(*report.servers, *lost), complete=not lost)


def test_forty_servers_with_one_fault_are_one_cause() -> None:
    lines = screen(of_a_farm(160))
    assert len(lines) <= LINES
    assert lines[0].startswith("BROKEN: 40 of 160 SPNs (three prompts, then 401). OK: 120")
    assert lines[-1] == "BROKEN: 40 of 160 SPNs, OK: 120"
    assert "160 servers, 120 of them healthy, 160 applications." in lines
    told = [line for line in lines if "spn-misplaced" in line]
    assert len(told) == 1
    assert "(40 SPNs) on WEB000 WEB004 WEB008" in " ".join(lines)
    assert "(40 servers)" in " ".join(lines)
    assert not any("WEB001" in line for line in lines)


def test_an_incomplete_run_says_so_first_and_last() -> None:
    report = of_a_farm(4, silent=3)
    lines = screen(report)
    assert "INCOMPLETE: 3 of 7 servers gave no answer." in " ".join(lines[:2])
    assert lines[-1] == "BROKEN: 1 of 4 SPNs, INCOMPLETE: 3 servers, OK: 3"
    right = replace(report, requirements=(), findings=(), applications=(), summary=None, causes=())
    assert screen(right)[0].startswith("NOT CHECKED")


def test_what_could_not_be_read_has_a_part_of_its_own(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"BAD{number:02d}").mkdir()
        (tmp_path / f"BAD{number:02d}" / "applicationHost.config").write_text("<configuration>\n<cut", encoding="utf-8")
    report = inspect(sorted(map(str, tmp_path.iterdir())), ad="off")
    lines = screen(report)
    assert len(lines) <= LINES
    at = lines.index("NOT READ")
    assert lines[at + 1].startswith("12 config-malformed: ")
    assert any("BAD00 BAD01" in line and "+6" in line for line in lines[at:])
    assert not any("config-malformed" in line for line in lines[:at])


def test_many_causes_are_counted() -> None:
    bindings = [f"*:80:name{number}.test.com" for number in range(60)]
    holders = [user(f"u{number}", f"HTTP/name{number}.test.com") for number in range(60)]
    report = world(server(*(site(b, name=b[5:]) for b in bindings), pool=SERVICE), ad=ad(computer(), *holders)).report
    assert report.causes is not None
    several = tuple(replace(report.causes[0], text=f"{report.causes[0].text} ({number})") for number in range(60))
    lines = screen(replace(report, causes=several))
    assert len(lines) <= LINES
    (more,) = (line for line in lines if "more: --all" in line)
    told = [line for line in lines if re.match(r"\d+ +spn-", line)]
    assert int(more.split()[1]) == 60 - len(told) > 0


def test_the_worst_is_told_with_its_command_and_each_cause_is_named() -> None:
    report = inspect(sorted(str(path) for path in SAMPLES.iterdir() if path.is_dir()), ad=SAMPLES / "directory.ldif")
    lines = screen(report)
    assert len(lines) <= LINES
    numbers = [line.split()[0] for line in lines if re.match(r"\d+ +[a-z-]+( \(warning\))?: ", line)]
    told = [cause for cause in report.causes or () if cause.severity != "info"]
    assert numbers == [str(number) for number in range(1, len(told) + 1)]
    assert any(line.strip().startswith("setspn ") for line in lines)


def test_an_accepted_finding_is_listed_with_its_reason() -> None:
    report = of_a_farm(1)
    accepted = tuple(replace(found, accepted=Accepted(reason="until spring")) for found in report.findings)
    lines = screen(replace(report, findings=accepted, causes=()))
    assert any(line.startswith("ACCEPTED spn-misplaced") or "ACCEPTED" in line for line in lines)
    assert "until spring" in " ".join(lines)


def test_names_are_cut_in_tables_and_never_in_commands() -> None:
    long = "a-very-long-name-of-an-application-that-nobody-can-read.branch.test.com"
    found = world(server(site(f"*:80:{long}", name="A site with quite a long name"), pool=SERVICE, creds=True))
    lines = screen(found.report)
    table = [line for line in lines if "HTTP/a-very" in line]
    assert table
    assert all(len(line) <= 80 and "..." in line for line in table)
    (pasted,) = (line for line in lines if line.strip().startswith("(for "))
    assert long in pasted


# -- what is true first --------------------------------------------------------------------------------------------


def test_an_error_beside_spns_that_are_right_comes_first() -> None:
    """An application without a pool answers 503, whoever holds the SPN of the other one."""
    poolless = site("10.0.5.2:81:", name="Other", apps=[app(pool="Nowhere", enabled=False)])
    built = server(site("*:80:a.test.com"), poolless, pool=SERVICE, creds=True)
    found = world(built, ad=ad(computer(), user("svc", "HTTP/a.test.com")), dns="a A 10.0.5.2")
    assert [one.id for one in found.report.findings if one.severity == "error"] == ["pool-undefined"]
    lines = screen(found.report)
    assert lines[0] == "ERROR: 1 (pool-undefined). OK: 1 of 1 SPN."
    assert lines[-1] == "ERROR: 1, OK: 1 of 1 SPN"
    nobody = world(server(poolless, pool=SERVICE), ad=ad(computer()))
    assert screen(nobody.report)[0].startswith("ERROR: 1 (pool-undefined). No SPN matters, for ")


def test_no_page_calls_a_broken_server_ok() -> None:
    report = of_a_farm(4)
    assert report.servers[0].status == "ok"
    for shown in ("causes", "origins", "all"):
        assert not any(re.match(r"\s*status\s+ok|.*status \*\*ok", line) for line in screen(report, shown))


# -- --quiet, --verbose, --all -------------------------------------------------------------------------------------

Told = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    monkeypatch.chdir(SAMPLES)
    monkeypatch.setenv("COLUMNS", "100")

    def of(*words: str) -> tuple[int, list[str]]:
        code = main(words)
        return code, capsys.readouterr().out.splitlines()

    return of


def test_quiet_is_the_verdict_alone(told: Told) -> None:
    assert told("inspect", "IIS05", *LOOKING, "--quiet") == (1, ["BROKEN: 6 of 7 SPNs. NTLM: 1."])
    code, lines = told("plan", "IIS05", *LOOKING, "-q")
    assert (code, len(lines), lines[0]) == (1, 2, "BROKEN: 6 of 7 SPNs. NTLM: 1.")
    assert told("explain", "http://wiki.test.com/", "IIS05", *LOOKING, "-q") == (
        1,
        ["http://wiki.test.com/: DUPLICATE"],
    )


def test_verbose_shows_origins_of_who_needs_somebody_and_all_shows_everybody(told: Told) -> None:
    servers = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
    headings = {}
    for more in ((), ("--verbose",), ("--all",)):
        _, lines = told("inspect", *servers, *LOOKING, *more)
        headings[more] = {line.split()[1] for line in lines if line.startswith("== IIS")}
    assert headings[()] == set()
    assert headings[("--all",)] == set(servers)
    assert headings[("--verbose",)] == set(servers) - {"IIS01"}
    _, lines = told("inspect", "IIS05", *LOOKING, "--verbose")
    assert any("useAppPoolCredentials=true (applicationHost.config:" in line for line in lines)


@pytest.mark.parametrize("more", ["--all", "--verbose"])
def test_the_verdict_alone_contradicts_more(more: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--quiet", more]) == exits.USAGE
    assert f"--quiet contradicts {more}" in capsys.readouterr().err


def test_what_was_read_stands_in_the_whole_page(told: Told) -> None:
    _, lines = told("inspect", "IIS05", *LOOKING, "--all")
    read = lines[next(at for at, line in enumerate(lines) if line.startswith("== What was read")) :]
    text = " ".join(" ".join(read).split())
    for what in (
        "config: IIS05, of 20",
        "directory: directory.ldif (all of test.com), of 20",
        "dns: zone.txt",
        "farm: farm.toml",
    ):
        assert what in text
    assert "clients: edge, chrome, firefox, dotnet" in text
    assert "Written by iis-spn " in text


def test_the_table_has_as_many_rows_as_the_verdict_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that nobody said is one of them."""
    path = tmp_path / "applicationHost.config"
    path.write_bytes((SAMPLES / "IIS05" / "applicationHost.config").read_bytes())
    main(["inspect", str(path), "--ad", "off"])
    lines = capsys.readouterr().out.splitlines()
    counted = re.search(r"(\d+) SPNs matter, 0 known", lines[0])
    assert counted is not None
    head = next(at for at, line in enumerate(lines) if line.startswith("SITE "))
    rows = list(itertools.takewhile(lambda line: "decrypts" in line, lines[head + 1 :]))
    assert len(rows) == int(counted[1])
    assert [line for line in rows if "HTTP/ a name nobody said" in line]
