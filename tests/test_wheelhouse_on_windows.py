"""The wheelhouse installed by a Windows Python under wine, in a network without anything, as install.ps1 does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from parts import WINDOWS_PYTHON, needs_windows_python

from release import wheelhouse

pytestmark = needs_windows_python
STEPS = (Path(__file__).parents[1] / "install" / "steps.ps1").read_text(encoding="utf-8")
STRICT = ["--isolated", "--no-index", "--require-hashes"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("Größe 2") / "wheelhouse"
    wheelhouse.main([str(folder), "--python", "3.11"])
    return folder


def windows(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Windows' python.exe without a network."""
    command = ["unshare", "--net", str(Path(str(WINDOWS_PYTHON)) / "wpy"), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # pip writes cp1252 into a pipe
        check=False,
        timeout=300,
        env={**os.environ, **environment},
    )


def install(wheels: Path, house: Path, target: Path) -> subprocess.CompletedProcess[str]:
    isolated, *strict = STRICT
    where = ["--find-links", windows(wheels), "--requirement", windows(house / "requirements.txt")]
    quick = ["--disable-pip-version-check", "--no-compile", "--target", windows(target)]
    return run("-I", "-B", "-m", "pip", isolated, "install", *strict, *where, *quick)


def test_the_installer_is_as_strict() -> None:
    assert set(STRICT) <= set(re.findall(r"'(--[a-z-]+)'", STEPS))


def test_what_is_installed_without_a_network_judges_the_sample(house: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    done = install(house / "wheels", house, target)
    assert done.returncode == 0, done.stderr
    sample = [windows(house / "sample" / name) for name in ("IIS05", "directory.ldif", "zone.txt")]
    words = ["inspect", sample[0], "--ad", sample[1], "--dns", sample[2], "--format", "json"]
    judged = run("-B", "-m", "agent", *words, W_PYTHONPATH=windows(target))
    assert judged.returncode == 1, judged.stderr
    report = json.loads(judged.stdout)
    assert report["complete"]
    assert "spn-misplaced" in {finding["id"] for finding in report["findings"]}


def test_an_altered_wheel_is_refused_whole(house: Path, tmp_path: Path) -> None:
    shutil.copytree(house / "wheels", tmp_path / "wheels")
    (wheel,) = tmp_path.glob("wheels/idna-*")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    refused = install(tmp_path / "wheels", house, tmp_path / "installed")
    assert refused.returncode != 0
    assert not list(tmp_path.glob("installed/*"))
