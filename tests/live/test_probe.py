"""`probe` against a real KDC and a web server with real keys: what it observes is what the program predicts."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("gssapi", reason="python-gssapi is not installed")

from agent.cli.program import main
from tests import made_tokens as made
from tests.waiting import until

from .samba import DomainController, add_spn, computer, free_address, password_of, program, set_attribute, user
from .scenarios import KERBEROS, MODIFIED, NO_TICKET, Row, rows, set_up, snapshot
from .web import Site, serving

pytestmark = pytest.mark.live

READER = "probe-reader"
OBSERVED = {KERBEROS: "kerberos", MODIFIED: "modified", NO_TICKET: "ntlm-fallback"}
CAUSES = {
    **dict.fromkeys(("SEED-S6", "SEED-W3A"), "spn-shadowed-by-host"),
    "SEED-CNAME": "client-spn-variant",
    **dict.fromkeys(("SEED-W1", "SEED-W2", "SEED-W3B"), "spn-misplaced"),
}
"""Why it fails, by the article."""
ARTICLE = [row for row in rows() if row.id.startswith(("SEED", "extra"))]


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> Iterator[DomainController]:
    domain_controller.apply(user(READER))
    set_up(domain_controller)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{domain_controller.kinit(READER)}")
        yield domain_controller


class Probed(NamedTuple):
    code: int
    document: dict[str, Any]

    @property
    def only(self) -> dict[str, Any]:
        (probe,) = self.document["probes"]
        assert isinstance(probe, dict)
        return probe


Probe = Callable[..., Probed]


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Probe:
    def run(*words: str | Path) -> Probed:
        code = main(["probe", *map(str, words), "--format", "json"])
        captured = capsys.readouterr()
        out = captured.out
        return Probed(code, json.loads(out)) if out else pytest.fail(captured.err)

    return run


# -- the article ---------------------------------------------------------------------------------------------------


def _on_loopback(row: Row, network: str) -> Row:
    """The row with its servers' addresses on this machine."""
    here = [made._replace(address=made.address.replace("10.0.", network)) for made in row.servers]
    return row._replace(servers=tuple(here), dns=row.dns.replace("10.0.", network))


def _target(row: Row, folder: Path) -> list[str | Path]:
    """The row's servers as snapshot folders, and its zone."""
    for server in row.servers:
        kept = folder / server.name
        kept.mkdir(parents=True)
        (kept / "applicationHost.config").write_bytes(snapshot(server).files["applicationhost.config"].data)
        machine = {
            "name": server.name,
            "dns_name": server.full_name,
            "domain": "test.com",
            "netbios_domain": "TEST",
            "membership": "domain",
            "addresses": [server.address],
            "content": {"looked": True, "unread": []},
        }
        (kept / "machine.json").write_text(json.dumps(machine))
    zone = folder / "test.com.zone"
    zone.write_text(
        f"$ORIGIN test.com.\n$TTL 3600\n@ IN SOA dc1 hostmaster 1 900 600 86400 3600\n@ IN NS dc1\n{row.dns}\n"
    )
    return [*(folder / server.name for server in row.servers), "--dns", zone]


@pytest.mark.parametrize("row", ARTICLE, ids=lambda row: row.id)
def test_the_article_is_observed_as_it_is_predicted(
    row: Row, dc: DomainController, probe: Probe, tmp_path: Path
) -> None:
    row = _on_loopback(row, _network())
    ((account, expected),) = row.sees.items()
    with serving(Site(dc.keytab(account), account), row.servers[0].address):
        told = probe(*row.urls, *_target(row, tmp_path), "--ad", f"ldap://{dc.address}", "--client", row.client)
    for each in told.document["probes"]:
        assert each["observed"] == OBSERVED[expected]
        assert each["predicted"] == ("duplicate" if row.verdict == "FAIL_DUPLICATE" else OBSERVED[expected])
        if expected == MODIFIED:
            assert (each["causes"][0]["id"], each["causes"][0]["likelihood"]) == (CAUSES[row.id], "certain")
        if expected != NO_TICKET:
            assert each["decrypts_as"].lower() == f"test\\{account}".lower()
    assert told.document["findings"] == []
    assert told.code == (0 if expected == KERBEROS else 1)


def _network() -> str:
    """127.X.Y. with nothing on it."""
    return f"{free_address().rpartition('.')[0].rpartition('.')[0]}."


# -- one site after another ----------------------------------------------------------------------------------------


class Lab(NamedTuple):
    """A name of its own, its address, the account that holds its SPN, and a zone that leads there."""

    host: str
    address: str
    account: str
    zone: Path
    certificate: Path


@pytest.fixture(scope="module")
def lab(dc: DomainController, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    host, account, folder = "probed.test.com", "svc-probed", tmp_path_factory.mktemp("lab")
    dc.apply(user(account, spns=[f"HTTP/{host}"]), user("svc-other"), computer("PROBED01"))
    address = free_address()
    zone = folder / "test.com.zone"
    records = f"probed A {address}\nnobody A {address}\nprobed01 A {address}"
    zone.write_text(f"$ORIGIN test.com.\n@ IN SOA dc1 hostmaster 1 900 600 86400 3600\n@ IN NS dc1\n{records}\n")
    return Lab(host, address, account, zone, _certificate(dc, host, folder))


def _certificate(dc: DomainController, host: str, folder: Path) -> Path:
    """Issued by the lab's CA; certificate and key in one file."""
    tls, key = dc.directory / "tls", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-days", "30", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-CA", str(tls / "ca.pem")),
        *("-CAkey", str(tls / "ca-key.pem"), "-keyout", str(key), "-out", str(folder / "cert.pem")),
    ]
    subprocess.run(command, capture_output=True, check=True)
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + key.read_text())
    return both


def test_a_ticket_is_opened_and_proved(dc: DomainController, lab: Lab, probe: Probe) -> None:
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address) as requests:
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert (told.code, told.only["used"], told.only["status"]) == (0, "kerberos", 200)
    assert "proves" in told.only["because"][-1]
    ticket = told.only["ticket"]
    assert (ticket["realm"], ticket["server"], ticket["etype"]) == ("TEST.COM", f"HTTP/{lab.host}", 18)
    assert ticket["endtime"].endswith("Z")
    assert ticket["kvno"] >= 1
    assert requests == [("HEAD", ""), ("HEAD", "Negotiate")]


def test_the_wrong_account_is_named_by_the_server(dc: DomainController, lab: Lab, probe: Probe) -> None:
    with serving(Site(dc.keytab("svc-other"), "svc-other"), lab.address):
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert (told.code, told.only["observed"], told.only["decrypts_as"]) == (1, "modified", "TEST\\svc-other")
    assert told.only["error"] == {
        "error_code": 41,
        "error_name": "KRB_AP_ERR_MODIFIED",
        "realm": "TEST.COM",
        "server": "svc-other",
    }


def test_nobody_has_the_spn(dc: DomainController, lab: Lab, probe: Probe) -> None:
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address) as requests:
        told = probe("http://nobody.test.com/", "--dns", lab.zone)
    assert (told.code, told.only["observed"], told.only["used"]) == (1, "ntlm-fallback", "ntlm")
    assert told.only["error"]["error_code"] == 7
    assert [scheme for _, scheme in requests] == ["", "Negotiate"]


@pytest.mark.parametrize(("code", "name"), [(37, "KRB_AP_ERR_SKEW"), (32, "KRB_AP_ERR_TKT_EXPIRED")])
def test_clocks(dc: DomainController, lab: Lab, probe: Probe, code: int, name: str) -> None:
    with serving(Site(dc.keytab(lab.account), lab.account, error=code), lab.address):
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert (told.code, told.only["observed"], told.only["error"]["error_name"]) == (1, "uncertain", name)
    assert told.only["causes"][0]["id"] == {37: "clock-skew", 32: "ticket-expired"}[code]


def test_rc4_alone_is_seen_in_the_ticket(dc: DomainController, lab: Lab, probe: Probe) -> None:
    host = "nobody.test.com"
    dc.apply(user("svc-rc4", spns=[f"HTTP/{host}"], **{"msDS-SupportedEncryptionTypes": "4"}))
    with serving(Site(dc.keytab("svc-rc4"), "svc-rc4"), lab.address):
        told = probe(f"http://{host}/", "--dns", lab.zone)
    dc.apply(set_attribute("svc-rc4", "servicePrincipalName"))
    assert (told.code, told.only["ticket"]["etype"]) == (0, made.RC4)


def test_an_old_password_is_modified_by_the_right_account(dc: DomainController, lab: Lab, probe: Probe) -> None:
    """The server has the keys of before: the name is right, the key version is not."""
    keys = dc.keytab(lab.account)
    old = keys.rename(keys.with_suffix(".old"))
    dc.apply(set_attribute(lab.account, "unicodePwd", '"An0ther!Password"'.encode("utf-16-le")))
    with serving(Site(old, lab.account), lab.address):
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert (told.only["observed"], told.only["decrypts_as"]) == ("modified", f"TEST\\{lab.account}")
    with serving(Site(old, lab.account), lab.address):
        told = probe(f"http://{lab.host}/", "--dns", lab.zone, "--ad", f"ldap://{dc.address}")
    assert told.only["causes"][0]["id"] == "stale-password"


def test_a_changed_spn_is_seen_at_once(dc: DomainController, lab: Lab, probe: Probe) -> None:
    """A ticket from before would still be opened by the old holder."""
    url = "http://probed01.test.com/"
    with serving(Site(dc.keytab("PROBED01$"), "PROBED01$"), lab.address):
        assert probe(url, "--dns", lab.zone).only["observed"] == "kerberos"
        dc.apply(add_spn("svc-other", "HTTP/probed01.test.com"))
        assert probe(url, "--dns", lab.zone).only["observed"] == "modified"
        dc.apply(set_attribute("svc-other", "servicePrincipalName"))
        assert probe(url, "--dns", lab.zone).only["observed"] == "kerberos"


# -- TLS and channel bindings --------------------------------------------------------------------------------------


def test_extended_protection_takes_what_is_bound_to_its_certificate(
    dc: DomainController, lab: Lab, probe: Probe
) -> None:
    site = Site(dc.keytab(lab.account), lab.account, bound=True, certificate=lab.certificate)
    with serving(site, lab.address, 443):
        told = probe(f"https://{lab.host}/", "--dns", lab.zone, "--ca", dc.ca_file)
    assert (told.code, told.only["used"]) == (0, "kerberos"), told.only["because"]


def test_another_certificate_in_between_is_refused_without_a_word(
    dc: DomainController, lab: Lab, probe: Probe, tmp_path: Path
) -> None:
    """As behind a proxy that ends TLS: the ticket is bound to the proxy's certificate."""
    between = _certificate(dc, lab.host, tmp_path)
    site = Site(dc.keytab(lab.account), lab.account, bound=True, certificate=between, expects=lab.certificate)
    with serving(site, lab.address, 443):
        told = probe(f"https://{lab.host}/", "--dns", lab.zone, "--ca", dc.ca_file)
    assert (told.code, told.only["observed"], told.only["error"]) == (1, "uncertain", None)
    assert "extended protection" in told.only["because"][-1]


def test_a_certificate_that_is_not_trusted_gets_no_ticket(dc: DomainController, lab: Lab, probe: Probe) -> None:
    site = Site(dc.keytab(lab.account), lab.account, certificate=lab.certificate)
    with serving(site, lab.address, 443) as requests:
        told = probe(f"https://{lab.host}/", "--dns", lab.zone)
        other = probe("https://nobody.test.com/", "--dns", lab.zone, "--ca", dc.ca_file)
    assert (told.code, told.only["observed"], requests) == (2, "unchecked", [])
    assert (other.code, other.only["observed"]) == (2, "unchecked")


# -- whose ticket --------------------------------------------------------------------------------------------------


def _typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_user_with_a_password(
    dc: DomainController, lab: Lab, probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    _typed(monkeypatch, password_of(READER))
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address):
        words = f"http://{lab.host}/", "--dns", lab.zone, "--user", f"{READER}@TEST.COM", "--password-stdin"
        assert probe(*words).code == 0
        _typed(monkeypatch, "wrong")
        wrong = probe(*words)
    assert (wrong.code, wrong.only["observed"]) == (2, "unchecked")
    assert "the password is wrong" in wrong.only["because"][-1]
    assert "wrong" not in json.dumps(wrong.document).replace("the password is wrong", "")
    assert list(tmp_path.iterdir()) == []


def test_without_a_ticket_nobody_looked(
    dc: DomainController, lab: Lab, probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address):
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert (told.code, told.only["observed"], told.only["ticket"]) == (2, "unchecked", None)


# -- many names ----------------------------------------------------------------------------------------------------


def test_a_report_is_gone_through_with_one_ticket_for_each_spn(
    dc: DomainController, probe: Probe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is of another network: no name of it leads to the loopback there."""
    row, report = next(row for row in ARTICLE if row.id == "SEED-S3"), tmp_path / "report.json"
    words = ["--ad", f"ldap://{dc.address}", "--format", "json", "--output", report]
    main(["inspect", *map(str, [*_target(row, tmp_path / "there"), *words])])
    capsys.readouterr()
    here, computer_of = _on_loopback(row, _network()), f"{row.servers[0].name}$"
    zone = _target(here, tmp_path / "here")[-1]
    with serving(Site(dc.keytab(computer_of), computer_of), here.servers[0].address):
        told = probe("--report", report, "--dns", zone, "--parallel", "3")
    host = row.asks.removeprefix("HTTP/")
    assert [each["url"] for each in told.document["probes"]] == [f"http://{host}/", f"https://{host}/"]
    first = told.document["probes"][0]
    assert (first["observed"], first["predicted"]) == ("modified", "kerberos")
    assert [finding["id"] for finding in told.document["findings"]] == ["prediction-differs"]
    assert told.code == 2  # nothing listens for https


# -- another client ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(program("curl") is None, reason="no curl on PATH: apt-get install curl")
@pytest.mark.parametrize("account", ["svc-probed", "svc-other"])
def test_curl_sees_the_same(dc: DomainController, lab: Lab, probe: Probe, account: str) -> None:
    with serving(Site(dc.keytab(account), account), lab.address):
        command = [
            *("curl", "--silent", "--head", "--negotiate", "--user", ":", "--output", os.devnull),
            *("--resolve", f"{lab.host}:80:{lab.address}", "--write-out", "%{http_code}", f"http://{lab.host}/"),
        ]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        told = probe(f"http://{lab.host}/", "--dns", lab.zone, "--client", "curl-mit")
    assert shown == str(told.only["status"])
    assert (shown == "200") == (told.only["used"] == "kerberos")


def test_diagnose_names_the_cause_from_what_curl_shows(
    dc: DomainController, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if program("curl") is None:
        pytest.skip("no curl on PATH: apt-get install curl")
    with serving(Site(dc.keytab("svc-other"), "svc-other"), lab.address):
        command = [
            *("curl", "--verbose", "--silent", "--head", "--negotiate", "--user", ":", "--output", os.devnull),
            *("--resolve", f"{lab.host}:80:{lab.address}", f"http://{lab.host}/"),
        ]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    captured = tmp_path / "curl.txt"
    captured.write_text(shown)
    assert main(["diagnose", str(captured), "--ad", f"ldap://{dc.address}", "--format", "json"]) == 1
    out = capsys.readouterr().out
    told = json.loads(out)
    assert {item["kind"] for item in told["evidence"]} >= {"ap-req", "krb-error"}
    assert (told["causes"][0]["id"], told["causes"][0]["likelihood"]) == ("spn-misplaced", "certain")
    ticket = shown.partition("Authorization: Negotiate ")[2].split("\n")[0].strip()
    assert len(ticket) > 500
    assert ticket[200:260] not in out


def test_a_ticket_that_has_ended_is_no_logon(
    dc: DomainController, lab: Lab, probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "short"
    command = ["kinit", "-l", "1s", "-c", f"FILE:{cache}", f"{READER}@TEST.COM"]
    subprocess.run(command, input=password_of(READER), text=True, capture_output=True, check=True)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{cache}")
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address):
        until(lambda: probe(f"http://{lab.host}/", "--dns", lab.zone).code == 2)
        told = probe(f"http://{lab.host}/", "--dns", lab.zone)
    assert "expired" in told.only["because"][-1].lower()


def test_a_kdc_that_is_not_there(
    dc: DomainController, lab: Lab, probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configuration = tmp_path / "krb5.conf"
    known = (dc.directory / "krb5.conf").read_text()
    configuration.write_text(known.replace(f"{dc.address}:88", "127.0.0.1:9"))
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    with serving(Site(dc.keytab(lab.account), lab.account), lab.address):
        told = probe(f"http://{lab.host}/", "http://nobody.test.com/", "--dns", lab.zone)
    assert (told.code, {each["observed"] for each in told.document["probes"]}) == (2, {"unchecked"})
    assert "KDC" in told.document["probes"][0]["because"][-1]
