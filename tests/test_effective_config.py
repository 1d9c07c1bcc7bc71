"""What Microsoft's documents and other people's tests against real IIS say: a configuration, and what IIS would use."""

import json
from pathlib import Path
from typing import Any

import pytest
from configurations import auth_at

from agent.iis.authentication import Auth

EXAMPLES = Path(__file__).parent / "reference" / "effective-config"
PHYSICAL = {"root": r"C:\inetpub\wwwroot", "app": r"C:\app", "vd": r"C:\vd", "intranet": r"C:\intranet"}
FAULTS = {"locked": "section-locked", "Lock violation": "section-locked", "not well-formed": "config-malformed"}


def rows(listed: str, named: str) -> list[Any]:
    """One parameter set for each path of each row whose expectation is verified."""
    file = EXAMPLES / listed
    return [
        pytest.param(file.parent / row[named], path, expected, id=f"{row['name']}: {path}")
        for row in json.loads(file.read_text(encoding="utf-8"))
        if row["basis"] != "unverified"
        for path, expected in row["expected"].items()
    ]


def check(auth: Auth, expected: object) -> None:
    if isinstance(expected, str):
        known = [finding for words, finding in FAULTS.items() if words in expected]
        assert auth.settings is None
        assert auth.fault is not None
        assert auth.fault.id == (known or ["config-invalid"])[0] or "inherits" in expected
        assert auth.fault.line is not None
        return
    assert auth.settings is not None, auth.fault
    assert {
        "enabled": auth.settings.enabled,
        "useKernelMode": auth.settings.kernel_mode,
        "useAppPoolCredentials": auth.settings.pool_credentials,
        "providers": list(auth.settings.providers),
        "tokenChecking": auth.settings.token_checking,
        "flags": auth.settings.flags,
    } == expected


@pytest.mark.parametrize(("file", "path", "expected"), rows("cases.json", "file"))
def test_one_file(file: Path, path: str, expected: object) -> None:
    check(auth_at(file.read_text(encoding="utf-8"), path), expected)


@pytest.mark.parametrize(("folder", "path", "expected"), rows("web/cases.json", "dir"))
def test_web_config_files(folder: Path, path: str, expected: object) -> None:
    contents = {}
    for found in folder.rglob("web.config"):
        top, *below = found.relative_to(folder).parts
        contents["\\".join((PHYSICAL[top], *below))] = found.read_bytes()
    assert contents
    text = (folder / "applicationHost.config").read_text(encoding="utf-8")
    check(auth_at(text, path, contents), expected)


def test_every_example_has_a_row() -> None:
    single = {row["file"] for row in json.loads((EXAMPLES / "cases.json").read_text(encoding="utf-8"))}
    assert single == {file.name for file in EXAMPLES.glob("*.config")}
    trees = {row["dir"] for row in json.loads((EXAMPLES / "web" / "cases.json").read_text(encoding="utf-8"))}
    assert trees == {folder.name for folder in (EXAMPLES / "web").iterdir() if folder.is_dir()}
