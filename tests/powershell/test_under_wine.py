"""install.ps1 with a Windows Python under wine and a real wheelhouse, without a network: venv, pip, and the sample.

It takes minutes: only where there is a pwsh, and IIS_SPN_WINDOWS_PYTHON is set.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lab import FULL, UNINSTALL, VERIFY, Computer
from parts import WINDOWS_PYTHON, needs_powershell, needs_windows_python

from release import wheelhouse

pytestmark = [needs_windows_python, needs_powershell]


@pytest.fixture
def python() -> Path:
    r"""C:\Python311\python.exe, which is its own launcher of virtual environments where its DLLs are found."""
    drive = Path(str(WINDOWS_PYTHON)) / "pfx" / "drive_c"
    home = drive / "Python311"
    for launcher in ("venvlauncher.exe", "venvwlauncher.exe"):
        shutil.copyfile(home / "python.exe", home / launcher)
    for library in home.glob("*.dll"):
        shutil.copyfile(library, drive / "windows" / "system32" / library.name)
    return home / "python.exe"


def test_it_is_installed_used_and_removed(python: Path, tmp_path: Path) -> None:
    computer = Computer(tmp_path / "Größe 2")
    real, altered = computer.root / "Räder 2.0", computer.root / "Räder 3.0"
    wheelhouse.main([str(real), "--python", "3.11"])
    shutil.copytree(real, altered)
    alter(altered)
    pythons = [{"for": "all", "bits": 64, "version": "3.11", "path": str(python)}]
    refused, done, again, verified = computer.run(
        {"windows": computer.windows(pythons=pythons, wine=WINDOWS_PYTHON), **computer.install("3.0", **FULL)},
        computer.install("2.0", **FULL),
        computer.install("2.0", **FULL),
        VERIFY,
    )
    assert (refused.code, refused.is_empty) == (2, True), refused.words
    assert "DO NOT MATCH THE HASHES" in refused.words
    assert (done.code, again.code, verified.code) == (0, 0, 0), done.words
    assert again.calls == []
    (version,) = re.findall(r"iis-spn (\S+)-[0-9a-f]{8} is installed", done.words)

    command = "Z:" + str(computer.program / "iis-spn.cmd").replace("/", "\\")
    told = subprocess.run(
        [f"{WINDOWS_PYTHON}/wpy", "--exe", "cmd", "/c", command, "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout.splitlines()[0]) == (0, f"iis-spn {version}")

    windows = computer.windows(tasks=verified.tasks, sources={"iis-spn": True})
    windows["readers"] = {str(computer.root / "Windows/System32/inetsrv/config"): verified.readers}
    (removed,) = computer.run({"windows": windows, **UNINSTALL})
    assert (removed.code, removed.is_empty) == (0, True), removed.words


def alter(folder: Path) -> None:
    """Somebody changes a wheel and its sum in SHA256SUMS: requirements.txt is the second look."""
    (wheel,) = folder.glob("wheels/idna-*")
    sums = folder / "SHA256SUMS"
    before = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wheel.write_bytes(wheel.read_bytes() + b"x")
    sums.write_text(sums.read_text().replace(before, hashlib.sha256(wheel.read_bytes()).hexdigest()))
