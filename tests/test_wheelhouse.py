"""The wheelhouse for servers without Internet: its lists agree with its files, its bill of materials is CycloneDX."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release import wheelhouse
from release.sbom import to_cyclonedx
from release.wheel import read_wheel

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
OURS = ("iis-spn", "0.1.0", "License-Expression: MIT", ["lxml>=5.3", "gone>=1", 'krb5; sys_platform != "win32"'])
LXML = ("lxml", "6.1.3", "License: BSD-3-Clause", [])
KRB5 = ("krb5", "0.10.0", "Classifier: License :: OSI Approved :: MIT License", [])


def wheel(folder: Path, name: str, version: str, licence: str, needs: list[str], tag: str = "py3-none-any") -> Path:
    """A wheel with the metadata of one (Core Metadata 2.4), and nothing else."""
    said = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", licence]
    path = folder / "wheels" / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        metadata = "\n".join((*said, *(f"Requires-Dist: {need}" for need in needs), ""))
        archive.writestr(zipfile.ZipInfo(f"{path.name.split('-')[0]}-{version}.dist-info/METADATA"), metadata)
        archive.writestr(zipfile.ZipInfo("tag"), tag)
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    wheel(tmp_path, *OURS)
    wheel(tmp_path, *LXML, tag="cp311-cp311-win_amd64")
    wheel(tmp_path, *LXML, tag="cp312-cp312-win_amd64")
    wheel(tmp_path, *KRB5)
    wheelhouse.finish(tmp_path, AT)
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_sums_are_of_every_file(made: Path) -> None:
    listed = dict(reversed(line.split("  ", 1)) for line in (made / "SHA256SUMS").read_text().splitlines())
    there = digests(made)
    assert listed == {name: there[name] for name in there if name != "SHA256SUMS"}
    assert {"install.ps1", "install/steps.ps1", "sample/IIS05/machine.json", "sbom.cdx.json"} <= set(listed)


def test_pip_takes_these_wheels_and_no_other(made: Path) -> None:
    """One pin for each distribution, one hash for each of its wheels."""
    there = digests(made)
    expected = {
        "iis-spn==0.1.0": {there["wheels/iis_spn-0.1.0-py3-none-any.whl"]},
        "krb5==0.10.0": {there["wheels/krb5-0.10.0-py3-none-any.whl"]},
        "lxml==6.1.3": {there[f"wheels/lxml-6.1.3-cp{n}-cp{n}-win_amd64.whl"] for n in (311, 312)},
    }
    found = {}
    for line in (made / "requirements.txt").read_text().replace("\\\n", "").splitlines():
        pin, *hashes = line.split()
        found[pin] = {one.removeprefix("--hash=sha256:") for one in hashes}
    assert found == expected


def test_the_bill_of_materials_is_valid_and_says_who_needs_whom(made: Path) -> None:
    """By the schema of CycloneDX 1.6; of what is asked for only what is there and what Windows asks for."""
    text = (made / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    product = document["metadata"]["component"]
    assert document["metadata"]["timestamp"] == "2026-11-22T10:00:00+00:00"
    assert (product["name"], product["version"], product["purl"]) == ("iis-spn", "0.1.0", "pkg:pypi/iis-spn@0.1.0")
    licences = {one["name"]: one["licenses"] for one in [product, *document["components"]]}
    assert licences == {
        "iis-spn": [{"license": {"id": "MIT"}}],
        "lxml": [{"license": {"id": "BSD-3-Clause"}}],
        "krb5": [{"license": {"name": "MIT License"}}],
    }
    listed = [file for one in document["components"] for file in one["components"]]
    files = {file["name"]: file["hashes"][0]["content"] for file in listed}
    there = digests(made)
    assert files == {name: there[f"wheels/{name}"] for name in files}
    assert len(files) == 3
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert needs == {"iis-spn@0.1.0": ["lxml@6.1.3"], "lxml@6.1.3": [], "krb5@0.10.0": []}


def test_the_same_wheels_give_the_same_bill(made: Path) -> None:
    wheels = [read_wheel(path) for path in sorted((made / "wheels").iterdir())]
    assert to_cyclonedx(wheels, AT) == (made / "sbom.cdx.json").read_text()


def test_a_wheel_without_metadata_is_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x-1-py3-none-any.whl", "w") as archive:
        archive.writestr("x", "")
    with pytest.raises(ValueError, match="no metadata"):
        read_wheel(tmp_path / "x-1-py3-none-any.whl")


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SystemExit):
        wheelhouse.main([str(tmp_path)])
    assert "is no wheelhouse" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").exists()


def test_what_cannot_be_made_leaves_the_folder_as_it_was(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, beside = digests(made), set(made.parent.iterdir())
    monkeypatch.setattr(wheelhouse, "ROOT", made)  # which is no project: pip refuses it
    assert wheelhouse.main([str(made)]) == 1
    assert "stopped, and" in capsys.readouterr().err
    assert digests(made) == before
    assert set(made.parent.iterdir()) == beside
