"""The endpoint on Linux, asked by the program as a Windows program: sockets, NTLM and TLS of the other system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from parts import WINDOWS_PYTHON, needs_windows_python

from agent import exits
from agent.sources.snapshots.targets import expand, read_targets
from tests.winrm import farm

pytestmark = needs_windows_python
ROOT = Path(__file__).parents[1]


def windows_path(path: Path) -> str:
    """wine has the whole file system as drive Z."""
    return "Z:" + str(path).replace("/", "\\")


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(str(WINDOWS_PYTHON)) / "wpy"), "-m", "agent", "collect", *words, "--to", windows_path(folder)]
    return subprocess.run(
        command,
        input=f"{farm.PASSWORD}\r\n",
        capture_output=True,
        text=True,
        env={**os.environ, "W_PYTHONPATH": windows_path(ROOT)},
        cwd=ROOT,
        timeout=300,
        check=False,
    )


def logon(running: farm.Farm, transport: str) -> list[str]:
    """wine's SSPI ends the process where it is given a password, so there is no NTLM."""
    if transport == "basic":
        return ["--user", farm.USER, "--password-stdin"]
    certificate, key = map(windows_path, (running.client_certificate, running.client_key))
    return ["--cert", certificate, "--cert-key", key]


@pytest.mark.parametrize("transport", ["basic", "certificate"])
def test_a_windows_program_collects(tmp_path: Path, transport: str) -> None:
    with farm.running(tmp_path, servers=3) as running:
        running.set("web0003*", fault="refuse")
        hosts = [f"https://{running.address(number)}:{running.https_port}" for number in (1, 2, 3)]
        words = ["--transport", transport, "--ca", windows_path(running.ca), *logon(running, transport)]
        done = asked(tmp_path / "snapshots", *hosts, *words)
        assert running.shells_left() == 0
    assert done.returncode == exits.INCOMPLETE, done.stdout + done.stderr
    found = [one for one in read_targets(expand([str(tmp_path / "snapshots")]), None, {}) if one.files]
    assert [one.problems for one in found] == [(), ()]
    assert f"{running.address(3)}\n    connect: nothing listens on port {running.https_port}" in done.stdout
    assert farm.PASSWORD not in done.stdout + done.stderr
