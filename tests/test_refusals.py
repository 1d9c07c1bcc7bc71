"""What the system refuses (rights, disk space, a closed stdout) is told with the contract's codes, not as a bug."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agent import exits

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights and /dev/full are POSIX's")

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def _without_privilege() -> list[str]:
    """root may read everything: its capability to do so is left behind."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv here")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def run() -> Callable[..., Ended]:
    """The program in a process of its own, without root's privilege."""

    def run_it(*words: str | Path) -> Ended:
        command = [*_without_privilege(), sys.executable, "-W", "error", "-m", "agent", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_it


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may enter, with files of every kind in it."""
    folder = tmp_path / "closed"
    shutil.copytree(SAMPLES / "IIS01", folder / "IIS01")
    for name in ("directory.ldif", "zone.txt", "farm.toml"):
        shutil.copy(SAMPLES / name, folder)
    (folder / "accept.toml").write_text("")
    (folder / "hosts.ini").write_text("web01\n")
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


def report(ended: Ended) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(ended.out)
    return found


IN = SAMPLES / "IIS02"
GIVEN: list[tuple[list[str], int]] = [
    (["inspect", str(IN), "{}/IIS01", "--ad", "off", "--format", "json"], exits.INCOMPLETE),
    (["inspect", str(IN), "{}", "--ad", "off", "--format", "json"], exits.INCOMPLETE),
    (["inspect", str(IN), "{}/IIS01/applicationHost.config", "--ad", "off", "--format", "json"], exits.INCOMPLETE),
    (["inspect", str(IN), "--ad", "{}/directory.ldif", "--format", "json"], exits.INCOMPLETE),
    (["inspect", str(IN), "--ad", "off", "--dns", "{}/zone.txt", "--format", "json"], exits.INCOMPLETE),
]


@pytest.mark.parametrize(("words", "code"), GIVEN, ids=[words[-3] for words, _ in GIVEN])
def test_what_may_not_be_entered_is_told_and_the_rest_is_reported(
    run: Callable[..., Ended], closed: Path, words: list[str], code: int
) -> None:
    ended = run(*(word.format(closed) for word in words))
    assert ended.code == code
    found = report(ended)
    assert {one["server"] for one in found["applications"]} == {"IIS02"}
    told = json.dumps(found["servers"] + found["findings"])
    assert "denied" in told.lower()
    assert ("source-unreadable" in told) is ("--ad" not in words or "off" in words)
    assert "config-malformed" not in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["inspect", str(IN), "--ad", "off", "--farm", "{}/farm.toml"], exits.USAGE),
        (["inspect", str(IN), "--ad", "off", "--accept", "{}/accept.toml"], exits.USAGE),
        (["inspect", str(IN), "--ad", "off", "--inventory", "{}/hosts.ini"], exits.USAGE),
        (["inspect", str(IN), "--ad", "off", "--output", "{}/out.txt"], exits.INCOMPLETE),
        (["plan", str(IN), "--ad", "off", "--output", "{}/out.txt"], exits.INCOMPLETE),
        (["sweep", "--inventory", "{}/hosts.ini"], exits.USAGE),
        (["collect", "127.0.0.1", "--to", "{}/snapshots"], exits.USAGE),
        (["collect", "--to", "{}", "--forget", "web01"], exits.INCOMPLETE),
    ],
)
def test_what_cannot_be_used_is_said_with_its_name(
    run: Callable[..., Ended], closed: Path, words: list[str], code: int
) -> None:
    ended = run(*(word.format(closed) for word in words))
    assert ended.code == code
    assert ended.err.startswith("iis-spn: ")
    assert "denied" in ended.err
    assert str(closed) in ended.err
    assert "fault of this program" not in ended.err


def test_a_full_disk_is_told_and_the_old_file_stands(run: Callable[..., Ended], tmp_path: Path) -> None:
    ended = run("inspect", IN, "--ad", "off", "--output", "/dev/full")
    assert (ended.code, ended.err) == (exits.INCOMPLETE, "iis-spn: cannot write /dev/full: No space left on device\n")
    old = tmp_path / "old.txt"
    old.write_text("old")
    tmp_path.chmod(0o500)
    ended = run("inspect", IN, "--ad", "off", "--output", old)
    tmp_path.chmod(0o700)
    assert (ended.code, old.read_text()) == (exits.INCOMPLETE, "old")
    assert "Permission denied" in ended.err


@pytest.mark.parametrize("words", ["rules", f"inspect {IN} --ad off", f"plan {IN} --ad off"])
@pytest.mark.parametrize(("stream", "said"), [(">/dev/full", "No space left"), (">&-", "it is closed")])
def test_a_stdout_that_takes_nothing(words: str, stream: str, said: str) -> None:
    """No shell's own message stands between: the exit code is the program's."""
    script = f'exec "{sys.executable}" -m agent {words} {stream}'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == exits.INCOMPLETE
    assert said in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", str(IN), "--ad", "ldap://user:S3cret@127.0.0.1:1"],
        ["inspect", str(IN), "--ad", "off", "--dns", "user:S3cret@127.0.0.1"],
        ["inspect", "https://user:S3cret@127.0.0.1:1", "--ad", "off"],
        ["sweep", "https://user:S3cret@127.0.0.1:1", "--ad", "off"],
        ["explain", "http://user:S3cret@127.0.0.1:port/", str(IN), "--ad", "off"],
    ],
)
def test_no_refusal_repeats_what_stands_before_an_at(run: Callable[..., Ended], words: list[str]) -> None:
    ended = run(*words)
    assert "S3cret" not in ended.out + ended.err
    assert ended.code in (exits.USAGE, exits.INCOMPLETE)


def test_a_reader_who_has_seen_enough_is_no_failure() -> None:
    script = f'"{sys.executable}" -m agent rules; echo "code $?" >&2'
    done = subprocess.run(
        ["/bin/sh", "-c", f"({script}) | head -1"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "code 0" in done.stderr
