"""The same directory, asked live and exported as LDIF with `ldapsearch`, leads to the same report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.inspection.stages import Analysis
from agent.names import fold
from agent.sources.ad.attributes import ATTRIBUTES
from agent.sources.ad.exports import read_exports
from agent.sources.ad.ldap import LdapSource
from agent.spn.directory import AskDirectory, Question

from .samba import Change, DomainController, program, set_attribute, user
from .scenarios import Row, analysis, only_reader, rows, set_up

pytestmark = pytest.mark.live

READER = "export-reader"
NOW = datetime.now(UTC)

COUNTED_IN_EXPORTS = "spn-duplicate-elsewhere"
"""Of duplicates that concern none of our names only a whole export can tell; live LDAP is not asked about them."""

Ask = Callable[[Sequence[Row]], Analysis]


@pytest.fixture(scope="module")
def dc(domain_controller: DomainController) -> Iterator[DomainController]:
    """The directory of all scenarios, and the ticket of somebody who may read it."""
    domain_controller.apply(user(READER))
    set_up(domain_controller)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{domain_controller.kinit(READER)}")
        domain_controller.apply(*_password_readers(domain_controller))
        yield domain_controller


def _password_readers(dc: DomainController) -> Iterator[Change]:
    """FARM-06: the second node may not read the password of the managed account; the right is said with a SID."""
    row = next(row for row in rows() if row.id == "FARM-06")
    first = fold(f"{row.servers[0].name}$")
    (account,) = _source(dc).ask(Question(account_names=frozenset({first}))).named(first)
    assert account.sid
    yield from (only_reader(managed, account.sid) for managed in row.sees)


@pytest.fixture(scope="module")
def exported(dc: DomainController, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the program reads, of all entries, as an administrator would export it."""
    if not program("ldapsearch"):
        pytest.skip("ldapsearch not found: apt-get install -y ldap-utils libsasl2-modules-gssapi-mit")
    path = tmp_path_factory.mktemp("export") / "directory.ldif"
    partitions = f"CN=Configuration,{dc.base_dn}"
    settings = "(|(objectClass=crossRef)(objectClass=nTDSService))"
    path.write_bytes(_ldapsearch(dc, dc.base_dn, "(objectClass=*)") + _ldapsearch(dc, partitions, settings))
    return path


def _ldapsearch(dc: DomainController, base: str, filter_: str) -> bytes:
    command = [str(program("ldapsearch")), "-LLL", "-Q", "-Y", "GSSAPI", "-H", f"ldap://{dc.address}"]
    paged = ["-E", "pr=500/noprompt", "-s", "sub", "-b", base, filter_]
    done = subprocess.run([*command, *paged, *sorted(ATTRIBUTES)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def live(dc: DomainController, tmp_path: Path) -> Ask:
    return lambda chosen: analysis(chosen, _source(dc).ask, tmp_path, NOW)


@pytest.fixture
def from_file(exported: Path, tmp_path: Path) -> Ask:
    return lambda chosen: analysis(chosen, _reader(exported), tmp_path, NOW)


def _source(dc: DomainController, scheme: str = "ldap") -> LdapSource:
    return LdapSource(target=f"{scheme}://{dc.host}", address=dc.address, seconds=20)


def _reader(*paths: Path) -> AskDirectory:
    return lambda question: read_exports(list(paths), question)


# -- comparing -----------------------------------------------------------------------------------------------------


def _comparable(found: Analysis) -> dict[str, Any]:
    """The whole document but its times, and what the sources are called."""
    document = cast("dict[str, Any]", json.loads(found.report.to_json()))
    del document["started"], document["finished"], document["summary"]["read"]
    document["findings"] = [each for each in document["findings"] if each["id"] != COUNTED_IN_EXPORTS]
    document["causes"] = [each for each in document["causes"] if each["finding"] != COUNTED_IN_EXPORTS]
    return document


def _differences(one: Analysis, other: Analysis) -> list[str]:
    first, second = _comparable(one), _comparable(other)
    found = []
    for key, value in first.items():
        if isinstance(value, list):
            found += [f"only the first has {key}: {item}" for item in value if item not in second[key]]
            found += [f"only the second has {key}: {item}" for item in second[key] if item not in value]
        if value != second[key] and not found:
            found.append(f"{key}: {value!r} is not {second[key]!r}")
    return found


def test_each_row_alone(live: Ask, from_file: Ask) -> None:
    differing = {row.id: _differences(live([row]), from_file([row])) for row in rows()}
    assert {name: found for name, found in differing.items() if found} == {}


def test_all_servers_in_one_run(live: Ask, from_file: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = live(rows()), from_file(rows())
    assert _differences(one, other) == []
    assert one.report.complete
    ids = sorted({finding.id for finding in one.report.findings})
    with capsys.disabled():
        count = f"{len(one.report.requirements)} requirements and {len(one.report.findings)} findings"
        print(f"\n{count} are the same live and from LDIF: {', '.join(ids)}")
    assert {
        *("spn-missing", "spn-misplaced", "spn-shadowed-by-host", "spn-duplicate", "spn-conflict", "spn-malformed"),
        *("spn-port-only", "winrm-collision", "gmsa-server-not-allowed", "unconstrained-delegation"),
        *("delegation-broken", "client-spn-variant", "farm-machine-identity", "farm-nodes-differ", "farm-node-name"),
    } <= set(ids)


def test_the_global_catalog_says_the_same(dc: DomainController, from_file: Ask, tmp_path: Path) -> None:
    catalog = analysis(rows(), _source(dc, "gc").ask, tmp_path, NOW)
    assert _differences(catalog, from_file(rows())) == []


def test_the_settings_are_the_same(dc: DomainController, exported: Path, tmp_path: Path) -> None:
    """What no scenario changes: the forest's own map, dSHeuristics, the age of AES, NetBIOS names."""
    one = analysis(rows(), _source(dc).ask, tmp_path, NOW).cases[0].directory
    other = analysis(rows(), _reader(exported), tmp_path, NOW).cases[0].directory
    assert one
    assert other
    for name in ("domains", "mapped_to_host", "ds_heuristics", "aes_since", "held_elsewhere", "problems"):
        assert getattr(one, name) == getattr(other, name), name
    # a file also shows a name with a port that no binding has: live that would be a search which no index helps
    asked = {a.identity: a for a in other.accounts if not any(spn.port == 8080 for spn in a.spns)}
    found = {account.identity: account for account in one.accounts}
    assert asked == {identity: account for identity, account in found.items() if identity in asked}
    assert set(found) <= {account.identity for account in other.accounts}


def test_the_settings_follow_the_directory(dc: DomainController, live: Ask, from_file: Ask) -> None:
    """Guards the comparison itself: a change after the export is a difference."""
    row = next(row for row in rows() if row.id == "SEED-S3")
    account = next(iter(row.sees))
    dc.apply(set_attribute(account, "servicePrincipalName"))
    try:
        found = _differences(live([row]), from_file([row]))
    finally:
        dc.apply(set_attribute(account, "servicePrincipalName", *row.spns[account]))
    assert any("requirements" in text for text in found)
    assert _differences(live([row]), from_file([row])) == []
