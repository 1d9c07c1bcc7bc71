"""Windows played for install.ps1: a wheelhouse of small files, and runs of the script under shims.ps1.

All runs of one call happen in one PowerShell, since its start takes longer than they do.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parts import PWSH

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
GMSA, GMSA_SID = "TEST\\iisspn$", "S-1-5-21-1-2-3-1104"
TASK = {"Task": True, "TaskAccount": GMSA}
FULL = {**TASK, "GrantRead": True}
SAMPLE = json.dumps({"complete": True, "findings": [{"id": "spn-misplaced"}]})
Run = dict[str, Any]
NEEDED = "lxml==6.1.3\n"


def release(version: str) -> str:
    """A version as it is called once it is installed: with the beginning of the sum of its requirements."""
    return f"{version}-{hashlib.sha256(NEEDED.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Result:
    """What came of a run: its exit code (or "cut"), what it said, the edges it called, and the computer afterwards."""

    code: Any
    said: list[str]
    calls: list[str]
    tasks: dict[str, dict[str, Any]]
    sources: list[str]
    sddl: dict[str, str]
    readers: list[str]
    programs: list[str]
    data: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of ours is left on the computer."""
        return not (self.tasks or self.sources or self.readers or self.programs or self.data)

    @property
    def words(self) -> str:
        return "\n".join(self.said)


@dataclass
class Computer:
    """A computer below a folder, with blanks and umlauts in its paths."""

    root: Path
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in ("Program Files", "ProgramData", "Windows/System32/inetsrv/config"):
            (self.root / folder).mkdir(parents=True)
        self.wheelhouse("0.1.0")
        self.python.parent.mkdir()
        self.python.write_text("")

    @property
    def program(self) -> Path:
        return self.root / "Program Files" / "iis-spn"

    @property
    def data(self) -> Path:
        return self.root / "ProgramData" / "iis-spn"

    @property
    def python(self) -> Path:
        return self.root / "Python für alle" / "python.exe"

    @property
    def manifest(self) -> Path:
        return self.program / "manifest.json"

    def wheelhouse(self, version: str, needed: str = NEEDED) -> Path:
        """A wheelhouse of a version; its wheels are of no interest to anybody."""
        folder = self.root / f"Räder {version}"
        for name in (f"iis_spn-{version}-py3-none-any", "lxml-6.1.3-cp311-cp311-win_amd64"):
            put(folder / "wheels" / f"{name}.whl", name)
        put(folder / "requirements.txt", needed)
        put(folder / "sample" / "IIS05" / "machine.json", "{}")
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            for path in files
        ]
        put(folder / "SHA256SUMS", "".join(lines))
        return folder

    def windows(self, **more: Any) -> Run:
        """Windows as it is before anything was installed."""
        usual = {
            "root": str(self.root),
            "folders": {
                "ProgramFiles": "Program Files",
                "CommonApplicationData": "ProgramData",
                "System": "Windows/System32",
            },
            "administrator": True,
            "pythons": [{"for": "all", "bits": 64, "version": "3.11", "path": str(self.python)}],
            "answer": "3 11 64",
            "sample": SAMPLE,
            "sids": {GMSA: GMSA_SID, "TEST\\other$": "S-1-5-21-1-2-3-1105"},
            "state": "Ready",
            **{name: {} for name in ("writers", "readers", "tasks", "sources", "sddl")},
        }
        return {**usual, **more}

    def run(self, *runs: Run) -> list[Result]:
        """Do one run after the other, on the computer as the one before left it; `windows` makes it a new one."""
        first, *others = runs
        listed = [{"windows": self.windows(), **first}, *others]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "runs.json"
            file.write_text(json.dumps([{"fail": [], "cut": 0, "used": [], **one} for one in listed]), encoding="utf-8")
            done = subprocess.run(
                [
                    str(PWSH),
                    "-NoProfile",
                    "-NonInteractive",
                    "-File",
                    str(HERE / "driver.ps1"),
                    "-Script",
                    str(ROOT / "install.ps1"),
                    "-Shims",
                    str(HERE / "shims.ps1"),
                    "-List",
                    str(file),
                ],
                capture_output=True,
                text=True,
                encoding="utf-8",
                check=False,
                timeout=900,
                env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
            )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return [Result(**result) for result in json.loads(done.stdout.splitlines()[-1])]

    def install(self, version: str = "0.1.0", **given: Any) -> Run:
        """An installation of a version, as a run; `given` are parameters of the script."""
        return {"given": {"WheelHouse": str(self.root / f"Räder {version}"), **given}}


UNINSTALL: Run = {"given": {"Uninstall": True}}
VERIFY: Run = {"given": {"Verify": True}}
ROLLBACK: Run = {"given": {"Rollback": True}}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
