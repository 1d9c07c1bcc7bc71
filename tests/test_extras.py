"""What is not installed is said in one sentence with the command that installs it; one server needs none of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from agent import exits
from agent.cli.program import main
from agent.errors import UsageError
from agent.sources.extras import PARTS, demand, how_to_install

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLS = {"ansible", "dev", "live", "fuzz", "release"}
"""Extras that no command asks for."""


def distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return found.group().lower().replace("_", "-")


def distributions_of(module: str) -> set[str]:
    """The distributions that a module may come from; its own name where it is not installed here."""
    return {name.lower().replace("_", "-") for name in packages_distributions().get(module, [module])}


def imported() -> Iterator[tuple[str, str]]:
    """Each foreign package that the program imports, and where."""
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in (name.partition(".")[0] for name in names):
                if name != "agent" and name not in sys.stdlib_module_names:
                    yield name, str(path.relative_to(ROOT))


def test_what_is_imported_is_declared() -> None:
    """That another package happens to bring a module is no promise."""
    declared = {distribution(each) for each in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"]
    declared |= {distribution(each) for name in extras.keys() - TOOLS for each in extras[name]}
    assert {(name, where) for name, where in imported() if not distributions_of(name) & declared} == set()


def test_the_extras_are_those_of_the_project() -> None:
    extras = {name: parts for name, parts in PROJECT["optional-dependencies"].items() if name not in TOOLS}
    assert extras.keys() == PARTS.keys()
    for name, modules in PARTS.items():
        declared = {distribution(each) for each in extras[name]}
        brought = {"gssapi", "spnego"} if any("[kerberos]" in each for each in extras[name]) else set()
        assert {module for module in modules if not distributions_of(module) & declared} <= brought


# -- without them --------------------------------------------------------------------------------------------------

WITHOUT = f"""
import sys
for name in {sorted({module for modules in PARTS.values() for module in modules})!r}:
    sys.modules[name] = None
from agent.cli.program import main
sys.exit(main(sys.argv[1:]))
"""


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


FILES = ("--ad", "sample_configs/directory.ldif", "--dns", "sample_configs/zone.txt")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("inspect", "sample_configs/*", *FILES, "--farm", "sample_configs/farm.toml"), exits.FINDINGS),
        (("inspect", "sample_configs/IIS05", *FILES, "--format", "json"), exits.FINDINGS),
        (("plan", "sample_configs/IIS05", *FILES, "--format", "powershell"), exits.FINDINGS),
        (("explain", "http://iis05.test.com/", "sample_configs/IIS05", *FILES), exits.FINDINGS),
        (("rules",), exits.CLEAN),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_one_server_needs_no_extra(arguments: tuple[str, ...], code: int) -> None:
    done = without_extras(*arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout


@pytest.mark.parametrize("command", ["sweep", "collect"])
def test_many_servers_need_one(command: str) -> None:
    done = without_extras(command, "web01")
    assert done.returncode == exits.USAGE
    assert done.stdout == ""
    assert done.stderr == f'iis-spn: {command} needs the extra sweep: pip install "iis-spn[sweep]"\n'


def test_a_live_directory_needs_one() -> None:
    done = without_extras("inspect", "sample_configs/IIS05", "--ad", "ldap://127.0.0.1:9")
    assert done.returncode == exits.USAGE
    assert done.stderr.count("\n") == 1
    assert 'pip install "iis-spn[ldap]"' in done.stderr


def test_jea_needs_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pypsrp", None)
    assert main(["collect", "web01", "--jea", "Spn", "--to", str(tmp_path)]) == exits.USAGE
    assert how_to_install("jea") in capsys.readouterr().err


def test_a_demand_names_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sansldap", None)
    with pytest.raises(UsageError, match=r"^--ad gc://dc1 needs the extra ldap: "):
        demand("ldap", "--ad gc://dc1")
