"""How far a long run is: on stderr, where that is a terminal, and nowhere else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.cli import looking
from agent.render.progress import SweepProgress, reading

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "sample_configs" / "IIS01" / "applicationHost.config"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(looking.MANY):
        place = folder / f"WEB{number:03}"
        place.mkdir()
        (place / "applicationHost.config").symlink_to(CONFIG)
    return folder


def inspected(folder: Path, stderr: int) -> tuple[str, int]:
    words = [sys.executable, "-m", "agent", "inspect", str(folder), "--ad", "off", "--format", "csv"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT, check=False, text=True)
    return done.stdout, done.returncode


def on_a_terminal(folder: Path) -> tuple[str, int, str]:
    """Stdout, exit code, and what the terminal on stderr was sent."""
    ours, theirs = os.openpty()
    seen = bytearray()

    def look() -> None:
        try:
            while data := os.read(ours, 4096):
                seen.extend(data)
        except OSError:  # EIO: the other side is closed
            pass

    looker = threading.Thread(target=look)
    looker.start()
    out, code = inspected(folder, theirs)
    os.close(theirs)
    looker.join()
    os.close(ours)
    return out, code, seen.decode()


def test_reading_many_servers_is_seen_on_a_terminal_and_changes_no_output(many: Path, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w+b") as file:
        plain = inspected(many, file.fileno())
        file.seek(0)
        assert file.read() == b""
    out, code, seen = on_a_terminal(many)
    assert "reading" in seen
    assert f"{looking.MANY}/{looking.MANY}" in seen
    assert (out.count("\n"), code) == (plain[0].count("\n"), plain[1])


def test_few_servers_are_over_before_a_bar_is_seen() -> None:
    out, code, seen = on_a_terminal(CONFIG.parent)
    assert out
    assert (code, seen) == (0, "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_a_sweep_is_seen_on_a_terminal_only(stream: io.StringIO) -> None:
    with SweepProgress(stream, 2, verbose=False) as progress:
        progress.told("web01", "ok", 1.0, failed=False)
        progress.told("web02", "no answer", 1.0, failed=True)
    shown = stream.getvalue()
    assert ("asking" in shown and "1 failed" in shown) is stream.isatty()
    assert bool(shown) is stream.isatty()


def test_whoever_stops_early_stops_the_bar_too() -> None:
    stream = Terminal()
    servers = reading(stream, iter("abc"), 3)
    assert next(servers) == "a"
    servers.close()
    assert stream.getvalue()
