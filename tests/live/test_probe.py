"""`probe` against a real KDC and a web server with real keys: what it observes is what the program predicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("gssapi", reason="python-gssapi is not installed")

from agent.cli.program import main

from .samba import DomainController, free_address, user
from .scenarios import KERBEROS, MODIFIED, NO_TICKET, Row, rows, set_up, snapshot
from .web import Site, serving

pytestmark = pytest.mark.live

READER = "probe-reader"
OBSERVED = {KERBEROS: "kerberos", MODIFIED: "modified", NO_TICKET: "ntlm-fallback"}
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
        out = capsys.readouterr().out
        return Probed(code, json.loads(out) if out else {})

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
    network = free_address().rpartition(".")[0].rpartition(".")[0] + "."
    row = _on_loopback(row, network)
    ((account, expected),) = row.sees.items()
    site = Site(dc.keytab(account), account)
    with serving(site, row.servers[0].address):
        told = probe(*row.urls, *_target(row, tmp_path), "--ad", f"ldap://{dc.address}", "--client", row.client)
    for each in told.document["probes"]:
        if row.id == "SEED-S6" and each["spn"] != row.asks:
            continue
        assert each["observed"] == OBSERVED[expected], each
        assert each["predicted"] == ("duplicate" if row.verdict == "FAIL_DUPLICATE" else OBSERVED[expected])
        if expected == MODIFIED:
            assert each["decrypts_as"].lower() == f"test\\{account}".lower()
    assert told.document["findings"] == []
    assert told.code == (0 if expected == KERBEROS else 1)
