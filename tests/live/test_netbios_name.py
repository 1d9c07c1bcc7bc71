"""A domain whose NetBIOS name is not the first label of its DNS name: asked live, and exported as the README says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

pytest.importorskip("sansldap", reason="the extra `ldap` is not installed")
pytest.importorskip("spnego", reason="the extra `ldap` is not installed")

from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.sources.ad.exports import read_exports
from agent.sources.ad.ldap import LdapSource
from agent.spn.directory import AskDirectory

from . import samba
from .scenarios import Row, changes, rows, snapshot

pytestmark = pytest.mark.live

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXPORTS = re.findall(r'^    ldifde -f (\S+) -d "([^"]+)" -r "([^"]+)" -l (\S+)$', README, re.MULTILINE)
LABEL = "NORDAD"
READER = "label-reader"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def dc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[samba.DomainController]:
    """NORDAD is test.com, and the one row's accounts are in it; somebody who may only read has a ticket."""
    if obstacle := samba.obstacle():
        pytest.skip(f"no Active Directory: {obstacle}")
    cache = os.environ.get("IIS_SPN_LAB_CACHE")
    made = samba.DomainController(tmp_path_factory.mktemp("nordad"), netbios_domain=LABEL)
    with samba.running(made, Path(cache) if cache else None), pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        made.apply(samba.user(READER), *changes(ROW))
        patch.setenv("KRB5CCNAME", f"FILE:{made.kinit(READER)}")
        yield made


ROW: Row = next(row for row in rows() if row.id == "SEED-S3")
"""The pool decrypts and holds the SPNs of its site."""


def told(directory: AskDirectory) -> Analysis:
    """A bare file whose pool runs as NORDAD\\contososvc: only the directory can say which domain that is."""
    (made,) = map(snapshot, ROW.servers)
    files = {
        key: file._replace(data=file.data.replace(b"TEST\\", LABEL.encode() + b"\\"))
        for key, file in made.files.items()
    }
    bare = replace(made, files=files, machine=replace(made.machine, netbios_domain=None, addresses=()))
    return analyse([bare], Sources(directory=directory, now=NOW))


def outcomes(found: Analysis) -> set[tuple[str, str]]:
    """What is said of the pool's account."""
    return {(str(r.account), r.outcome) for r in found.report.requirements}


def domains(found: Analysis) -> list[tuple[str, str | None, str | None]]:
    """What is read of the domains of the one forest."""
    (case,) = found.cases
    return [(one.dns_name, one.netbios, one.forest) for one in case.directory.domains] if case.directory else []


@pytest.fixture(scope="module")
def export(dc: samba.DomainController, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What one of the README's `ldifde` lines says, asked with ldapsearch."""
    program = samba.program("ldapsearch")
    if program is None:
        pytest.skip("ldapsearch not found: apt-get install -y ldap-utils libsasl2-modules-gssapi-mit")
    folder = tmp_path_factory.mktemp("export")

    def exported(name: str) -> Path:
        base, filter_, attributes = next(tuple(rest) for file, *rest in EXPORTS if file == name)
        command = [str(program), "-LLL", "-Q", "-Y", "GSSAPI", "-H", f"ldap://{dc.address}", "-E", "pr=500/noprompt"]
        asked = [*command, "-s", "sub", "-b", base, filter_, *attributes.split(",")]
        path = folder / name
        path.write_bytes(subprocess.run(asked, capture_output=True, check=True).stdout)
        return path

    return exported


def from_files(*paths: Path) -> AskDirectory:
    return lambda question: read_exports(list(paths), question)


# -- what is told, and what is seen --------------------------------------------------------------------------------


def test_live(dc: samba.DomainController) -> None:
    found = told(LdapSource(target=f"ldap://{dc.host}", address=dc.address, seconds=20).ask)
    assert outcomes(found) == {(rf"{LABEL}\{account}", "kerberos") for account in ROW.sees}
    assert domains(found) == [("test.com", LABEL, "test.com")]
    assert [one.guessed for one in found.report.servers] == [()]
    _is_observed(dc)


def _is_observed(dc: samba.DomainController) -> None:
    from .kdc import observe

    assert {account: observe(dc, ROW.asks, account).kind for account in ROW.sees} == ROW.sees


def test_both_exports(export: Callable[[str], Path]) -> None:
    found = told(from_files(export("directory.ldif"), export("partitions.ldif")))
    assert outcomes(found) == {(rf"{LABEL}\{account}", "kerberos") for account in ROW.sees}
    assert found.report.complete


def test_the_first_export_alone(export: Callable[[str], Path]) -> None:
    """Samba 4.17 does not give msDS-PrincipalName: then nothing is concluded from the guess TEST."""
    path = export("directory.ldif")
    found = told(from_files(path))
    is_named = b"msDS-PrincipalName" in path.read_bytes()
    assert {outcome for _, outcome in outcomes(found)} == {"kerberos" if is_named else "uncertain"}
    assert [one.guessed for one in found.report.servers] == [() if is_named else ("netbios_domain",)]
    assert [one.id for one in found.report.findings if one.severity == "error"] == []
    assert found.report.plan.steps == ()
    assert domains(found) == [("test.com", LABEL if is_named else None, "test.com")], "objectCategory comes"
