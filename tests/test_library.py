"""The library takes the words of the command line, one or many, and refuses what it would ignore."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from test_docs import commands, options

import agent
from agent import Explanation, Report, UsageError, explain, inspect, plan
from agent.library import Options

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
IIS01, IIS05 = SAMPLES / "IIS01", SAMPLES / "IIS05"
DIRECTORY, ZONE, FARM = SAMPLES / "directory.ldif", SAMPLES / "zone.txt", SAMPLES / "farm.toml"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def told(report: Report) -> dict[str, str]:
    return {str(requirement.spn): requirement.outcome for requirement in report.requirements}


def refused(*targets: object, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        inspect(*(targets or (IIS01,)), **options)  # type: ignore[arg-type]
    return str(caught.value)


# -- one or many, text or Path -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [str, Path, lambda path: [str(path)], lambda path: (Path(path),)])
def test_one_or_many(form: Callable[[Path], Any]) -> None:
    files = {"ad": form(DIRECTORY), "dns": form(ZONE), "farm": form(FARM)}
    report = inspect(form(IIS05), **files, now=NOW)
    assert report.complete
    assert told(report)["HTTP/sales.test.com"] == "modified"  # README of the samples


def test_several_of_each(tmp_path: Path) -> None:
    """Each file says one half: who stands in which, an alias and what it leads to, two names of a farm."""
    entries = DIRECTORY.read_text(encoding="utf-8").split("\n\n")
    halves = [tmp_path / "a.ldif", tmp_path / "b.ldif"]
    for number, half in enumerate(halves):
        half.write_text("\n\n".join(entries[number::2]) + "\n\n", encoding="utf-8")
    other = tmp_path / "other.dns"
    other.write_text("$ORIGIN other.example.\n@ SOA a. b. ( 1 2 3 4 5 )\nweb A 10.0.5.99\n", encoding="utf-8")
    accept = tmp_path / "accept.toml"
    accept.write_text('[[accept]]\nid = "spn-missing"\nsubject = "*"\nreason = "known"\n', encoding="utf-8")
    more = tmp_path / "farm.toml"
    more.write_text('[[name]]\nhost = "vip.test.com"\nservers = ["IIS02"]\n', encoding="utf-8")
    once = inspect([IIS01, IIS05], ad=DIRECTORY, dns=ZONE, farm=FARM, now=NOW)
    many = inspect(
        [str(IIS01), IIS05], ad=halves, dns=[ZONE, str(other)], farm=[FARM, more], accept=[accept, accept], now=NOW
    )
    assert told(many) == told(once)
    assert {f.accepted and f.accepted.reason for f in many.findings if f.id == "spn-missing"} == {"known"}


def test_nobody_is_asked_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> None:
        raise AssertionError("the domain of this machine was asked for")

    monkeypatch.setattr("agent.sources.ad.locate.current_domain", asked)
    reports = [inspect(IIS01, now=NOW, **said) for said in ({}, {"ad": "off"}, {"ad": ["OFF"], "dns": "off"})]
    for report in reports:
        assert set(told(report).values()) == {"unchecked"}
    with pytest.raises(AssertionError):
        inspect(IIS01, ad="auto")


def test_words_of_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("agent.sources.dns.live.ask", lambda *_, server, **__: asked.append(server))
    for word in ("system", "10.0.0.1", "10.0.0.1:5353", "[::1]:53", "fd00::1", "off"):
        inspect(IIS01, dns=word)
    assert asked == [None, "10.0.0.1", "10.0.0.1:5353", "[::1]:53", "fd00::1"]


def test_a_live_directory_asks_the_system_for_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the logon that was given; `dns` off stays off."""
    sources, servers = [], []
    monkeypatch.setattr("agent.sources.ad.ldap.LdapSource.ask", lambda self, _question: sources.append(self))
    monkeypatch.setattr("agent.sources.dns.live.ask", lambda *_, server, **__: servers.append(server))
    inspect(IIS01, ad="ldap://dc1.test.com", ad_user=r"TEST\reader", ad_password=lambda: "x", ca=[ZONE, FARM])
    inspect(IIS01, ad=["ldap://dc1.test.com"], dns="off")
    assert servers == [None]
    assert [(source.target, list(source.ca_files)) for source in sources] == [
        ("ldap://dc1.test.com", [ZONE, FARM]),
        ("ldap://dc1.test.com", []),
    ]
    assert sources[0].logon.user == r"TEST\reader"
    assert sources[0].logon.password() == "x"
    assert sources[1].logon is None


def test_client_kinds() -> None:
    one = inspect(IIS05, dns=ZONE, clients="edge-port")
    assert {client for requirement in one.requirements for client in requirement.asked_by} == {"edge-port"}
    two = inspect(IIS05, dns=ZONE, clients=["edge-port", "ie"])
    assert {client for requirement in two.requirements for client in requirement.asked_by} == {"edge-port", "ie"}


# -- what is said of it --------------------------------------------------------------------------------------------


def test_explain_and_plan_are_of_the_same_run() -> None:
    options: Options = {"ad": DIRECTORY, "dns": ZONE, "now": NOW}
    report = inspect(IIS05, **options)
    story = explain("http://sales.test.com/", IIS05, **options)
    assert isinstance(story, Explanation)
    assert story.requirements == report.requirements
    assert {outcome.outcome for outcome in story.outcomes} == {"modified"}
    planned = plan(IIS05, **options)
    assert planned.plan == report.plan
    assert {step.finding for step in planned.plan.steps} <= {finding.id for finding in planned.findings}
    assert planned.plan.steps


def test_a_target_that_is_not_there_stands_in_the_report() -> None:
    report = inspect([IIS01, SAMPLES / "nowhere"])
    assert not report.complete
    assert [server.status for server in report.servers] == ["ok", "failed"]


# -- what would be ignored -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [[], (), "", " ", None, 5, b"IIS01", {"IIS01": 1}, [None], [b"x"], [""]])
def test_no_targets(targets: object) -> None:
    assert refused(targets).startswith("targets: ")


@pytest.mark.parametrize("option", ["ad", "dns", "farm", "accept", "clients", "servers", "sites"])
@pytest.mark.parametrize("given", [[], "", " ", 5, b"off", {"off": "off"}, [None], ["off", ""], True])
def test_wrong_values(option: str, given: object) -> None:
    assert refused(**{option: given}).startswith(f"{option}: ")


@pytest.mark.parametrize("option", ["ad", "dns", "farm", "accept"])
@pytest.mark.parametrize("form", [str, Path, lambda name: [name], lambda name: [ZONE, Path(name)]])
def test_a_file_that_is_not_there(option: str, form: Callable[[str], Any]) -> None:
    assert "missing.txt" in refused(**{option: form("missing.txt")})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ad": ["off", DIRECTORY]}, "--ad takes any number of files, or one other source"),
        ({"ad": ["auto", "off"]}, "--ad takes any number of files, or one other source"),
        ({"ad": ["ldap://dc1.test.com", DIRECTORY]}, "--ad takes any number of files, or one other source"),
        ({"ad": "ldap://"}, "ldap:// is no directory"),
        ({"dns": [ZONE, "off"]}, "--dns takes any number of files, or one other source: not off too"),
        ({"dns": ["system", "10.0.0.1"]}, "--dns takes any number of files, or one other source: not system too"),
        ({"dns": "dns.test.com"}, "dns: there is no file 'dns.test.com'"),
        ({"clients": "edgy"}, "unknown client kind 'edgy': known are edge, "),
        ({"computer": 5}, "computer: a text that is not empty"),
        ({"computer": " "}, "computer: a text that is not empty"),
        ({"now": datetime(2026, 1, 1)}, "now: a datetime with its time zone"),
        ({"now": "2026-01-01"}, "now: a datetime with its time zone"),
        ({"ad_user": "reader"}, "are for a live directory"),
        ({"ad": DIRECTORY, "ad_password": str}, "are for a live directory"),
        ({"ad": DIRECTORY, "ca": ZONE}, "are for a live directory"),
        ({"ad": "ldap://dc1.test.com", "ca": "missing.pem"}, "ca: there is no file 'missing.pem'"),
        ({"ad": "ldap://dc1.test.com", "ad_user": "reader"}, "belong together"),
        ({"ad": "ldap://dc1.test.com", "ad_password": str}, "belong together"),
        ({"ad": "ldap://dc1.test.com", "ad_user": 5, "ad_password": str}, "ad_user: a text"),
    ],
)
def test_what_contradicts_or_means_nothing(options: dict[str, Any], said: str) -> None:
    assert said in refused(**options)


@pytest.mark.parametrize("password", ["s3cret", ""])
def test_a_password_is_a_function_and_is_not_repeated(password: str) -> None:
    said = refused(ad="ldap://dc1.test.com", ad_user="reader", ad_password=password)
    assert "ad_password is a function" in said
    assert "s3cret" not in said


def test_computer_is_of_one_server(tmp_path: Path) -> None:
    assert "there are 2 targets" in refused([IIS01, IIS05], computer="iis01.test.com")
    assert "there are" in refused(SAMPLES, computer="iis01.test.com")
    bare = tmp_path / "applicationHost.config"
    bare.write_bytes((IIS01 / "applicationHost.config").read_bytes())
    (server,) = inspect(bare, computer="web01.test.com").servers
    assert (server.name, server.dns_name) == ("WEB01", "web01.test.com")


@pytest.mark.parametrize("url", [None, ["http://sales/"], "ftp://sales/"])
def test_url(url: Any) -> None:
    with pytest.raises(UsageError):
        explain(url, IIS05)


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="no option 'directory'; known: ad, "):
        inspect(IIS01, directory=DIRECTORY)  # type: ignore[call-arg]


# -- NetBIOS names of domains --------------------------------------------------------------------------------------


def accounts(tmp_path: Path, names: object, **options: Any) -> set[str]:
    """Of a bare configuration of web01.Corp.Example."""
    bare = tmp_path / "applicationHost.config"
    bare.write_bytes((IIS01 / "applicationHost.config").read_bytes())
    report = inspect(bare, computer="web01.Corp.Example", netbios_domains=names, **options)  # type: ignore[arg-type]
    return {str(one.account) for one in report.requirements if str(one.account).endswith("$")}


@pytest.mark.parametrize("domain", ["corp.example", "Corp.Example", "CORP.EXAMPLE.", ""])
def test_a_netbios_name_is_used_however_the_domain_is_written(domain: str, tmp_path: Path) -> None:
    assert accounts(tmp_path, {domain: "ACME"}) == {r"ACME\WEB01$"}


def test_a_netbios_name_is_used_where_the_domain_is_not_known(tmp_path: Path) -> None:
    bare = tmp_path / "applicationHost.config"
    bare.write_bytes((IIS01 / "applicationHost.config").read_bytes())
    report = inspect(bare, computer="WEB01", netbios_domains={"": "ACME"})
    assert {one.account.domain for one in report.requirements if one.account and one.account.name.endswith("$")} == {
        "ACME"
    }
    with pytest.raises(UsageError, match=r"of corp\.example, a domain that nobody has; domains: none"):
        inspect(bare, netbios_domains={"corp.example": "ACME"})


def test_a_netbios_name_is_used_for_the_directory(tmp_path: Path) -> None:
    ldif = tmp_path / "other.ldif"
    ldif.write_text("dn: DC=other,DC=example\nobjectClass: domainDNS\n\n", encoding="utf-8")
    names = {"Other.Example": "OTHERS", "corp.example": "ACME"}
    assert accounts(tmp_path, names, ad=ldif) == {r"ACME\WEB01$"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"corp.exmaple": "ACME"}, "of corp.exmaple, a domain that nobody has; domains: corp.example"),
        ({"corp.example": "ACME", "test.com": "TEST"}, "of test.com, a domain that nobody has"),
        ({"ACME": "corp.example"}, "of acme, a domain that nobody has"),
        ({"corp.example": "ACME", "Corp.Example": "OTHER"}, "'Corp.Example' has two names"),
        ({"corp example": "ACME"}, "'corp example' is not a DNS name"),
        ({"corp.example": "AC/ME"}, "'AC/ME' is not a NetBIOS name"),
        ({"corp.example": ""}, "'' is not a NetBIOS name"),
        ({"corp.example": None}, "a text leads to a text"),
        ({5: "ACME"}, "a text leads to a text"),
        (["ACME=corp.example"], "a mapping of DNS domain names"),
        ("ACME", "a mapping of DNS domain names"),
    ],
)
def test_a_netbios_name_that_would_be_ignored(names: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        accounts(tmp_path, names)
    assert said in str(caught.value)


def test_a_netbios_name_that_the_server_contradicts() -> None:
    assert refused(IIS01, netbios_domains={"Test.com": "ACME"}) == "the NetBIOS name of test.com is TEST, not ACME"
    assert "that no server takes" in refused(IIS01, netbios_domains={"": "ACME"})
    assert inspect(IIS01, netbios_domains={"test.com": "Test"}).complete


def test_a_domain_may_be_that_of_what_could_not_be_read() -> None:
    report = inspect([IIS01, SAMPLES / "nowhere"], netbios_domains={"corp.example": "ACME"})
    assert not report.complete


# -- what the package offers ---------------------------------------------------------------------------------------


def defined(module: str) -> set[str]:
    """The public classes and words that a module itself defines."""
    tree = ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    targets = [target for node in tree.body for target in getattr(node, "targets", [getattr(node, "target", None)])]
    return {name for name in classes | {one.id for one in targets if isinstance(one, ast.Name)} if name[0] != "_"}


def test_functions_errors_and_the_whole_model_are_offered() -> None:
    functions = {"inspect", "explain", "plan", "diff", "Options"}
    names = {"Spn", "HostName", "AccountName"}
    changes = {"Change"} | defined("agent.history")
    assert set(agent.__all__) == functions | names | changes | defined("agent.model") | defined("agent.errors")
    for name in agent.__all__:
        offered = getattr(agent, name)
        assert getattr(offered, "__module__", "agent").startswith(("agent", "typing")), name
    assert set(agent.__all__) <= set(dir(agent))
    with pytest.raises(AttributeError, match="no attribute 'Literal'"):
        _ = agent.Literal  # type: ignore[attr-defined]


def test_help_loads_none_of_it() -> None:
    script = (
        "import sys\nfrom agent.cli import program\n"
        "try: program.main(['--help'])\nexcept SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('agent.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "agent.exits" in done.stderr.split()
    assert not {"agent.library", "agent.model", "agent.inspection"} & set(done.stderr.split())


def test_options_are_called_as_on_the_command_line() -> None:
    """Where the names differ, that of the option stands here; `now` is the clock on the command line."""
    known = {option.lstrip("-").replace("-", "_") for option in options(commands()["inspect"])}
    other = {
        "clients": "client",
        "servers": "server",
        "sites": "site",
        "netbios_domains": "netbios_domain",
        "ad_password": "password_stdin",
        "now": None,
    }
    for name in Options.__annotations__:
        assert other.get(name, name) in {*known, None}, name


def test_a_part_of_what_is_judged() -> None:
    whole, part = (
        inspect(SAMPLES, ad=DIRECTORY, dns=ZONE, **only) for only in ({}, {"servers": "IIS05", "sites": ["S*"]})
    )
    assert {each.site for each in part.applications} == {"Sales", "Second"}
    assert {each.spn for each in part.requirements} < {each.spn for each in whole.requirements}
    with pytest.raises(UsageError, match="--server nobody matches none"):
        inspect(SAMPLES, ad=DIRECTORY, servers="nobody")
