"""The role and the playbook, run by Ansible itself against servers of the endpoint, and read by ansible-lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from parts import ANSIBLE, needs_ansible

from tests.winrm import farm

pytestmark = needs_ansible
ROOT = Path(__file__).parents[1]
PLAYBOOK = ROOT / "ansible" / "inspect.yml"


def run(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{ANSIBLE}{os.pathsep}{os.environ['PATH']}",
    }
    command = [str(ANSIBLE / program), *words]
    return subprocess.run(
        command, cwd=ROOT / "ansible", env={**os.environ, **settings}, capture_output=True, text=True, timeout=600
    )


def test_ansible_lint_has_nothing_to_say(tmp_path: Path) -> None:
    done = run(
        tmp_path, "ansible-lint", "--offline", "--strict", "--profile", "production", "-q", "inspect.yml", "roles"
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[farm.Farm]:
    """Three, of which the third does not answer."""
    with farm.running(tmp_path_factory.mktemp("farm"), servers=3) as running:
        running.set("web0003*", fault="refuse")
        yield running


def played(servers: farm.Farm, folder: Path, *words: str, options: Sequence[str] = ()) -> tuple[int, str]:
    hosts = [f"{servers.name(number)} ansible_host={servers.address(number)}" for number in (1, 2, 3)]
    variables = [
        *("ansible_connection=winrm", "ansible_winrm_scheme=http", "ansible_winrm_transport=ntlm"),
        *(
            f"ansible_port={servers.http_port}",
            f"ansible_user='{servers.user}'",
            f"ansible_password={servers.password}",
        ),
    ]
    inventory = folder / "hosts"
    inventory.write_text("\n".join(["[iis]", *hosts, "[iis:vars]", *variables, ""]))
    program = folder / "iis-spn"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from agent.cli.program import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    given = {"iis_spn_snapshots": str(folder / "kept"), "iis_spn_command": str(program), "iis_spn_options": options}
    done = run(folder, "ansible-playbook", "-i", str(inventory), str(PLAYBOOK), "-e", json.dumps(given), *words)
    assert servers.password not in done.stdout + done.stderr
    return done.returncode, done.stdout


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "kept").iterdir())


def test_who_answers_is_inspected_and_who_does_not_is_named(servers: farm.Farm, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code, told = played(servers, tmp_path, options=["--format", "json", "--output", str(report)])
    assert kept(tmp_path) == [
        "collect.ps1",
        "wanted.txt",
        "web0001.farm.test.snapshot",
        "web0002.farm.test.snapshot",
    ]
    assert (tmp_path / "kept" / "collect.ps1").read_text() == (ROOT / "agent/sources/snapshots/collect.ps1").read_text()
    servers_of = {one["name"]: one["status"] for one in json.loads(report.read_text())["servers"]}
    assert servers_of == {"WEB0001": "ok", "WEB0002": "ok", "web0003.farm.test": "failed"}
    assert code != 0
    assert "iis-spn inspect ended with 2: 1 findings, 2 incomplete" in told


def test_in_check_mode_servers_are_asked_and_nothing_is_kept(servers: farm.Farm, tmp_path: Path) -> None:
    servers.reset()
    _, told = played(servers, tmp_path, "--check")
    assert kept(tmp_path) == ["collect.ps1"]
    assert servers.host(servers.name(1))["auth.ntlm"] > 0
    assert "web0003.farm.test]: UNREACHABLE" in told
    assert "iis-spn inspect ended" not in told
