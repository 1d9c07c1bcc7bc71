"""A folder from which a Windows server without Internet installs iis-spn: `make wheelhouse`.

It holds install.ps1, the wheels of win_amd64 for each Python in `PYTHONS`, requirements.txt with their hashes (pip
takes nothing else), a bill of materials, a sample to try the installation on, and SHA256SUMS over all of it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uv

from release.sbom import to_cyclonedx
from release.wheel import Wheel, read_wheel

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORM = "win_amd64"
SUMS = "SHA256SUMS"
COPIED = {
    "install.ps1": "install.ps1",
    "install": "install",
    "LICENSE": "LICENSE",
    "sample_configs/IIS05": "sample/IIS05",
    "sample_configs/directory.ldif": "sample/directory.ldif",
    "sample_configs/zone.txt": "sample/zone.txt",
}
"""What of the repository goes along, and as what; the installer tries a new installation on the sample."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder; it is replaced where it is one that this program made."""
    parser = argparse.ArgumentParser(prog="python -m release.wheelhouse", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extras", default="ldap", help="extras of pyproject.toml, with commas (default: ldap)")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="only for this one (default: all of them)")
    given = parser.parse_args(arguments)
    folder: Path = given.folder
    if folder.exists() and not (folder / SUMS).exists():
        parser.error(f"{folder} is there and is no wheelhouse")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        try:
            make(Path(made), given.extras.split(",") if given.extras else [], given.python or PYTHONS)
        except subprocess.CalledProcessError as error:
            print(f"stopped, and {folder} is as it was: {shlex.join(map(str, error.cmd))}", file=sys.stderr)
            return 1
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(made, folder)
    return 0


def make(folder: Path, extras: Sequence[str], pythons: Sequence[str]) -> None:
    """Fill an empty folder with what iis-spn and these extras of it need on Windows."""
    wheels = folder / "wheels"
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    for python in pythons:
        _download(wheels, python, _resolved(python, extras))
    finish(folder, _time_of_commit())


def finish(folder: Path, at: datetime) -> None:
    """What is made from the wheels, at a time, and what is copied; at the end the sums."""
    wheels = [read_wheel(path) for path in sorted((folder / "wheels").glob("*.whl"))]
    (folder / "requirements.txt").write_text(requirements(wheels), encoding="utf-8", newline="\n")
    (folder / "sbom.cdx.json").write_text(to_cyclonedx(wheels, at), encoding="utf-8", newline="\n")
    for name, copy in COPIED.items():
        _copy(ROOT / name, folder / copy)
    (folder / SUMS).write_text(sums(folder), encoding="utf-8", newline="\n")


def requirements(wheels: Iterable[Wheel]) -> str:
    """Each distribution in its one version, with the hash of each of its wheels (pip, "Hash-checking Mode")."""
    hashes = defaultdict(list)
    for wheel in wheels:
        hashes[f"{wheel.name}=={wheel.version}"].append(f" \\\n    --hash=sha256:{wheel.sha256}")
    return "".join(f"{pin}{''.join(sorted(found))}\n" for pin, found in sorted(hashes.items()))


def sums(folder: Path) -> str:
    """Every file below a folder, as sha256sum writes it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return "".join(f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def digest(path: Path) -> str:
    """SHA-256, in small hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _resolved(python: str, extras: Sequence[str]) -> str:
    """What Windows has to install, one pin a line. pip would read the markers as those of this machine."""
    command = [uv.find_uv_bin(), "pip", "compile", "-q", "--no-header", "--no-annotate"]
    target = ["--python-platform", "x86_64-pc-windows-msvc", "--python-version", python]
    chosen = [word for extra in extras for word in ("--extra", extra)]
    tested = ["--constraint", "constraints.txt", "pyproject.toml"]
    return subprocess.run(
        [*command, *target, *chosen, *tested], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _download(wheels: Path, python: str, pins: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pins.txt"
        file.write_text(pins, encoding="utf-8")
        target = ["--only-binary", ":all:", "--platform", PLATFORM, "--python-version", python]
        _pip("download", "--no-deps", *target, "--dest", str(wheels), "--requirement", str(file))


def _time_of_commit() -> datetime:
    """The time of the commit, or what SOURCE_DATE_EPOCH says (reproducible-builds.org), where this is no clone."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is None:
        command = ["git", "log", "-1", "--format=%ct"]
        said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return datetime.fromtimestamp(int(said), UTC)


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments], check=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
