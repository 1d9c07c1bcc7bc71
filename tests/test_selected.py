"""`--ad`, `--dns` and the files of options: several are read together, and what contradicts is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from agent import exits
from agent.cli.program import main
from agent.sources.tls import client_context
from agent.sources.winrm.tls import tls_context

SAMPLES = Path(__file__).parents[1] / "sample_configs"
IIS01 = ("IIS01", "--ad", "directory.ldif")

# intranet.partner.example is an alias of an alias: each zone holds one half of the way to IIS01
HALF = "$ORIGIN partner.example.\n$TTL 1h\n@ SOA ns. a. 1 1 1 1 1\n@ NS ns.\nintranet CNAME portal.branch.example.\n"
OTHER_HALF = "$ORIGIN branch.example.\n$TTL 1h\n@ SOA ns. a. 1 1 1 1 1\n@ NS ns.\nportal CNAME start.test.com.\n"


@pytest.fixture(autouse=True)
def _among_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)


@pytest.fixture
def files(tmp_path: Path) -> Any:
    def written(**texts: str) -> list[str]:
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return [str(tmp_path / name) for name in texts]

    return written


def each(option: str, values: Any) -> list[str]:
    return [word for value in values for word in (option, str(value))]


def report(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--format", "json"]) in (exits.CLEAN, exits.FINDINGS)
    return json.loads(capsys.readouterr().out)


def test_zone_files_are_one_name_service(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Three files hold the way from the name to the address; whichever comes last is not the only one read."""
    zones = [*files(partner=HALF, branch=OTHER_HALF), "zone.txt"]
    for order in itertools.permutations(zones):
        found = report(capsys, "explain", "http://intranet.partner.example/", *IIS01, *each("--dns", order))
        assert {outcome["spn"] for outcome in found["outcomes"]} == {"HTTP/iis01.test.com"}
        assert {outcome["outcome"] for outcome in found["outcomes"]} == {"kerberos"}


def test_farm_files_are_read_together(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = {name: f'[[name]]\nhost = "{name}.test.com"\nservers = ["IIS01"]\n' for name in ("one", "two", "three")}
    found = report(capsys, "inspect", *IIS01, *each("--farm", files(**names)))
    hosts = {host["host"] for app in found["applications"] for host in app["hosts"] if host["source"] == "farm"}
    assert {"one.test.com", "two.test.com", "three.test.com"} <= hosts


def test_accept_files_are_read_together(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("inspect", "IIS05", "--ad", "directory.ldif", "--dns", "zone.txt")
    errors = {found["id"] for found in report(capsys, *words)["findings"] if found["severity"] == "error"}
    assert len(errors) > 1
    accepted = {name: f'[[accept]]\nid = "{name}"\nsubject = "*"\nreason = "{name}"\n' for name in errors}
    found = report(capsys, *words, *each("--accept", files(**accepted)))["findings"]
    assert {f["id"]: f["accepted"]["reason"] for f in found if f["severity"] == "error"} == {
        name: name for name in errors
    }


def test_inventories_are_read_together(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are: the slip in either one is told."""
    pytest.importorskip("yaml", reason="what asks servers is not installed")
    for one, two in (("web01\n", "web/02\n"), ("web/02\n", "web01\n")):
        assert main(["collect", *each("--inventory", files(one=one, two=two))]) == exits.USAGE
        assert "web/02" in capsys.readouterr().err


def test_authorities_of_all_files_are_trusted(tmp_path: Path) -> None:
    certificates = pytest.importorskip("tests.winrm.certificates", reason="the extra `dev` is not installed")
    for name in ("one", "two"):
        certificates.write(tmp_path / name, ["a.test"], [], "user")
    both = [tmp_path / name / "ca.pem" for name in ("one", "two")]
    assert len(client_context(both).get_ca_certs()) == 2
    assert len(tls_context(both).plain.get_ca_certs()) == len(tls_context(()).plain.get_ca_certs()) + 2


@pytest.mark.parametrize("command", ["sweep", "collect"])
def test_each_file_of_authorities_is_looked_at(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = pytest.importorskip("tests.winrm.certificates", reason="the extra `dev` is not installed")
    certificates.write(tmp_path, ["a.test"], [], "user")
    for files in itertools.permutations([tmp_path / "ca.pem", tmp_path / "absent.pem"]):
        to = ("--to", str(tmp_path / "to"))
        assert main([command, "web01", *each("--ca", files), *to]) == exits.USAGE
        assert "absent.pem" in capsys.readouterr().err


# -- contradictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--dns", ("off", "zone.txt")),
        ("--dns", ("system", "zone.txt")),
        ("--dns", ("10.0.5.1", "zone.txt")),
        ("--dns", ("10.0.5.1", "10.0.5.9")),
        ("--dns", ("off", "system")),
        ("--dns", ("zone.txt", "no-such-zone.txt")),
        ("--ad", ("off", "directory.ldif")),
        ("--ad", ("auto", "directory.ldif")),
        ("--ad", ("ldap://dc1.test.com", "directory.ldif")),
        ("--ad", ("ldap://dc1.test.com", "ldaps://dc2.test.com")),
        ("--ad", ("auto", "off")),
        ("--ad", ("directory.ldif", "no-such.ldif")),
    ],
)
def test_sources_that_contradict_are_refused(
    option: str, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = () if option == "--ad" else ("--ad", "off")
    for order in itertools.permutations(words):
        assert main(["inspect", "IIS01", *each(option, order), *more]) == exits.USAGE
        out, err = capsys.readouterr()
        assert out == ""
        assert option in err or "no-such" in err


def test_one_domain_has_one_netbios_name(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["inspect", "IIS01", "--ad", "off", "--netbios-domain", "TEST=test.com", "--netbios-domain"]
    assert main([*words, "OTHER=Test.Com"]) == exits.USAGE
    assert "one domain, but two names: TEST, OTHER" in capsys.readouterr().err
    assert main([*words, "OTHER=other.example"]) == exits.CLEAN
    assert main([*words, "TEST=TEST.COM"]) == exits.CLEAN
