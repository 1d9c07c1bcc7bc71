"""Many servers in one process: time for each, and peak memory. Snapshots are made one by one, as they are read.

python -m benchmarks.farm [--servers 100 1000 5000] [--sites 50]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from agent.directory import Account, Directory, Domain, Question
from agent.inspection import Analysis, Sources, analyse
from agent.names import AccountName, spn
from agent.redirection import APPLICATION_HOST
from agent.snapshot import Machine, Snapshot, SourceFile
from benchmarks.measure import peak_memory, table
from benchmarks.parse import ACCOUNTS, sites

STAGES = {
    "read and evaluate": ("inspection.py", "_read"),
    "names": ("require.py", "server_view"),
    "what to ask the directory": ("require.py", "question"),
    "requirements": ("require.py", "require"),
    "verdicts": ("verdict.py", "judge"),
    "findings": ("inspection.py", "_findings"),
    "plan": ("plan.py", "plan"),
    "advice": ("repair.py", "advice"),
}


# -- what is analysed ----------------------------------------------------------------------------------------------


def _numbers(server: int, count: int) -> list[int]:
    """The sites of one server, all different, but the last one is the last one of its neighbour too: a farm of two."""
    first = server * count
    return [*range(first, first + count - 1), (server - server % 2) * count + count - 1]


def snapshots(servers: int, count: int) -> Iterator[Snapshot]:
    """One server after the other; nobody holds more than one of them here."""
    for server in range(servers):
        data = sites(_numbers(server, count)).encode()
        machine = Machine(
            name=f"SRV{server:05}",
            dns_name=f"SRV{server:05}.test.com",
            domain="test.com",
            netbios_domain="TEST",
            membership="domain",
            content_looked=True,
        )
        files = {APPLICATION_HOST: SourceFile("applicationHost.config", data)}
        yield Snapshot(source=f"SRV{server:05}", machine=machine, files=files)


def directory(servers: int, count: int) -> Directory:
    """Of ten sites one has no SPN, one has it on the wrong account and one on two; the others are right."""
    held: dict[int, list[str]] = {account: [] for account in range(ACCOUNTS)}
    for number in range(servers * count):
        owners = {1: (), 2: (number + 1,), 3: (number, number + 1)}.get(number % 10, (number,))
        for owner in owners:
            held[owner % ACCOUNTS] += (f"HTTP/www{number}", f"HTTP/www{number}.test.com")
    users = [_account(f"svc-{number}", "user", names) for number, names in held.items()]
    machines = (f"SRV{server:05}" for server in range(servers))
    computers = [_account(f"{name}$", "computer", [f"HOST/{name}", f"HOST/{name}.test.com"]) for name in machines]
    domain = Domain(dns_name="test.com", netbios="TEST", dn="DC=test,DC=com", covered=True)
    return Directory(source="memory", accounts=(*users, *computers), domains=(domain,))


def _account(name: str, kind: str, names: list[str]) -> Account:
    return Account(
        name=AccountName("TEST", name),
        dn=f"CN={name},DC=test,DC=com",
        kind="computer" if kind == "computer" else "user",
        spns=tuple(map(spn, names)),
    )


def whole(servers: int, count: int) -> Analysis:
    """From the snapshots to the finished report."""

    def ask(_question: Question) -> Directory:
        return directory(servers, count)

    return analyse(snapshots(servers, count), Sources(directory=ask))


# -- reports -------------------------------------------------------------------------------------------------------


def _run(servers: int, count: int) -> None:
    """One size, in a process of its own: CPU seconds, peak MB, findings."""
    before, begun = peak_memory(), time.process_time()
    report = whole(servers, count).report
    seconds = time.process_time() - begun
    print(seconds, peak_memory() - before, len(report.requirements), len(report.findings))


def _sizes(sizes: list[int], count: int) -> None:
    rows = []
    first = 0.0
    for servers in sizes:
        command = [sys.executable, "-m", "benchmarks.farm", "--run", str(servers), "--sites", str(count)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds, memory = map(float, answer[:2])
        each = 1000 * seconds / servers
        first = first or each
        rows.append([servers, seconds, each, each / first, round(memory), *answer[2:]])
    head = ["servers", "CPU seconds", "ms for each", "x first row", "peak MB", "requirements", "findings"]
    table(head, rows)


def _where(servers: int, count: int) -> None:
    """Which stage takes the time (under a profiler, so in per cent), which module's objects take the memory."""
    profile = cProfile.Profile()
    profile.runcall(whole, servers, count)
    statistics = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {(Path(file).name, name): figures[3] for (file, _, name), figures in statistics.items()}
    total = spent["inspection.py", "analyse"]
    rows = [[stage, round(100 * spent.get(place, 0) / total)] for stage, place in STAGES.items()]
    table([f"stage, {servers} servers", "% of time"], rows)

    tracemalloc.start()
    kept = whole(servers, count)
    sizes: Counter[str] = Counter()
    for trace in tracemalloc.take_snapshot().statistics("filename"):
        sizes[Path(trace.traceback[0].filename).name] += trace.size
    tracemalloc.stop()
    del kept
    head = [f"objects made in, {servers} servers", "% of memory"]
    table(head, [[name, round(100 * size / sizes.total())] for name, size in sizes.most_common(8)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--sites", type=int, default=50)
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        _run(options.run, options.sites)
        return
    _sizes(options.servers, options.sites)
    _where(min(options.servers), options.sites)


if __name__ == "__main__":
    main()
