"""The agent for months, and the folder that many agents fill.

python -m benchmarks.agent cycles [--cycles 10000]         resident memory over that many inspections, and its slope
python -m benchmarks.agent drop [--servers 5000] [--sites 10]     `inspect` of one folder, through the command line
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import linear_regression

from agent.cli.agent import ThisServer
from agent.cli.diff import NOWHERE
from agent.cli.options import Looking
from agent.iis.snapshot import Machine
from agent.sources.local.paths import CONFIGURATION
from agent.sources.selected import LiveLogon
from agent.sources.shares import Shares
from agent.sources.snapshots import store
from agent.sources.snapshots.document import document_of
from agent.watch.files import REPORT, Drop
from agent.watch.run import Agent, Places
from agent.watch.told import Log, Teller
from benchmarks.farm import snapshots
from benchmarks.measure import table

SAMPLES = Path(__file__).parents[1] / "sample_configs"
EVERY = 100
"""Inspections from one look at the memory to the next."""


class Folder:
    """A Windows in a folder: `C:\\x` is `c/x` there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def environment(self) -> Mapping[str, str]:
        return {"SystemDrive": "C:", "windir": r"C:\Windows"}

    def certificates(self) -> Mapping[str, bytes]:
        return {}

    def machine(self) -> Machine:
        return Machine(name="IIS01", dns_name="iis01.test.com", domain="test.com", membership="domain")

    def real(self, physical: str) -> Path:
        return self._root.joinpath(*physical.lower().replace(":", "").split("\\"))


# -- cycles --------------------------------------------------------------------------------------------------------


def cycles(count: int) -> None:
    """Each inspection finds the configuration changed, tells it, and writes everything that the agent writes."""
    with tempfile.TemporaryDirectory() as folder:
        sizes, seconds = _sizes(Path(folder), count)
    settled = [(number, size) for number, size in sizes if number >= count // 10]
    slope, _ = linear_regression(*zip(*settled, strict=True))
    head = ("inspections", "ms for each", "MiB after a tenth", "MiB at the end", "KiB more for each 1,000")
    first, last = settled[0][1], settled[-1][1]
    figures = (f"{count:,}", f"{seconds / count * 1000:.1f}", f"{first / 1024:.1f}", f"{last / 1024:.1f}")
    table(head, [(*figures, f"{slope * 1000:.1f}")])


def _sizes(root: Path, count: int) -> tuple[Sequence[tuple[int, float]], float]:
    host = root / "c/windows/system32/inetsrv/config" / CONFIGURATION.lower()
    host.parent.mkdir(parents=True)
    text = (SAMPLES / "IIS01" / CONFIGURATION).read_text("utf-8")
    other = text.replace("<windowsAuthentication", '<windowsAuthentication useKernelMode="false"', 1)
    shares = Shares()
    looking = Looking(
        **{**vars(NOWHERE), "ad": (str(SAMPLES / "directory.ldif"),), "dns": (str(SAMPLES / "zone.txt"),)}
    )
    (root / "state").mkdir()
    teller = Teller(Log(root / "state" / "agent.log"), lambda _line: None)
    places = Places(state=root / "state", drop=Drop(root / "drop", shares), textfile=root / "iis.prom")
    host.write_text(text, "utf-8")
    agent = Agent(ThisServer(Folder(root), shares, looking, LiveLogon(None, str)), places, teller)
    sizes, begun = [], time.process_time()
    for number in range(count):
        host.write_text((text, other)[number % 2], "utf-8")
        agent.once()
        if number % EVERY == 0:
            sizes.append((number, _resident()))
    teller.close()
    return sizes, time.process_time() - begun


def _resident() -> float:
    """KiB of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


# -- drop ----------------------------------------------------------------------------------------------------------


def drop(servers: int, sites: int) -> None:
    """What 5,000 agents delivered, read as one farm, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "drop"
        for found in snapshots(servers, sites):
            store.write(place, str(found.machine.name), document_of(found))
            (place / f"{found.machine.name}{REPORT}").write_text("{}")
        megabytes = sum(path.stat().st_size for path in place.glob(f"*{store.SUFFIX}")) / 1e6
        begun = time.perf_counter()
        command = [sys.executable, "-m", "agent", "inspect", str(place), "--ad", "off", "--quiet"]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        waited, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    head = ("snapshots", "sites of each", "MB", "exit code", "CPU seconds", "ms for each", "seconds", "peak MiB")
    each, peak = f"{seconds / servers * 1000:.1f}", f"{used.ru_maxrss / 1024:,.0f}"
    first = (f"{servers:,}", sites, f"{megabytes:.1f}", done.returncode)
    table(head, [(*first, f"{seconds:.1f}", each, f"{waited:.1f}", peak)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cycles", "drop"))
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=5_000)
    parser.add_argument("--sites", type=int, default=10)
    given = parser.parse_args()
    if given.what == "cycles":
        cycles(given.cycles)
    else:
        drop(given.servers, given.sites)


if __name__ == "__main__":
    main()
