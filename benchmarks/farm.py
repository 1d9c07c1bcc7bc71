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
from typing import NamedTuple

from agent.iis.redirection import APPLICATION_HOST
from agent.iis.snapshot import Machine, Snapshot, SourceFile
from agent.inspection.sources import Sources
from agent.inspection.stages import Analysis, analyse
from agent.model.document import json_pieces
from agent.names import AccountName, host_name, spn
from agent.spn.computer_names import FarmName
from agent.spn.directory import Account, Directory, Domain, Question
from benchmarks.measure import peak_memory, table
from benchmarks.parse import ACCOUNTS, sites

STAGES = {
    "parse": ("parse.py", "parse"),
    "evaluate": ("effective.py", "effective"),
    "names": ("require.py", "server_view"),
    "what to ask the directory": ("question.py", "question"),
    "requirements": ("require.py", "require"),
    "verdicts": ("verdict.py", "judge"),
    "checks": ("every.py", "check"),
    "farm": ("farm.py", "farm"),
    "plan": ("plan.py", "plan"),
    "the report put together": ("reporting.py", "report_of"),
    "JSON": ("document.py", "json_pieces"),
}


# -- what is analysed ----------------------------------------------------------------------------------------------


class Numbers(NamedTuple):
    """The sites of one server: its own, and those that it serves together with its neighbour, a farm of two."""

    own: range
    shared: range

    @classmethod
    def of(cls, server: int, count: int) -> Numbers:
        """Half of each; a pair of servers has one and a half times as many names as one of them has sites."""
        half = count // 2
        alone = count - half
        first = server // 2 * (2 * alone + half)
        own = first + server % 2 * alone
        return cls(range(own, own + alone), range(first + 2 * alone, first + 2 * alone + half))


def snapshots(servers: int, count: int) -> Iterator[Snapshot]:
    """One server after the other; nobody holds more than one of them here."""
    for server in range(servers):
        numbers = Numbers.of(server, count)
        text = sites([*numbers.own, *numbers.shared])
        if server % 2:
            for number in numbers.shared:
                text = _decrypting_as_computer(text, number) if number % 10 == 5 else text
        machine = Machine(
            name=_name(server),
            dns_name=f"{_name(server)}.test.com",
            domain="test.com",
            netbios_domain="TEST",
            membership="domain",
            content_looked=True,
        )
        files = {APPLICATION_HOST: SourceFile("applicationHost.config", text.encode())}
        yield Snapshot(source=_name(server), machine=machine, files=files)


def _name(server: int) -> str:
    return f"SRV{server:05}"


def _decrypting_as_computer(text: str, number: int) -> str:
    """One node of a farm is set otherwise."""
    before, location, after = text.partition(f'<location path="Site{number}">')
    return before + location + after.replace('useAppPoolCredentials="true"', 'useAppPoolCredentials="false"', 1)


def farm_file(servers: int, count: int) -> Iterator[FarmName]:
    """What `--farm` says: every shared name, and its two servers."""
    for server in range(0, servers - 1, 2):
        pair = (_name(server), _name(server + 1))
        for number in Numbers.of(server, count).shared:
            yield FarmName(host=host_name(f"www{number}.test.com"), servers=pair)


def directory(servers: int, count: int) -> Directory:
    """Of ten sites one has no SPN, one has it on the wrong account and one on two; the others are right."""
    held: dict[int, list[str]] = {account: [] for account in range(ACCOUNTS)}
    for number in range(Numbers.of(servers + servers % 2, count).own.start):
        owners = {1: (), 2: (number + 1,), 3: (number, number + 1)}.get(number % 10, (number,))
        for owner in owners:
            held[owner % ACCOUNTS] += (f"HTTP/www{number}", f"HTTP/www{number}.test.com")
    users = [_account(f"svc-{number}", "user", names) for number, names in held.items()]
    machines = map(_name, range(servers))
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

    return analyse(snapshots(servers, count), Sources(directory=ask, farm=tuple(farm_file(servers, count))))


# -- reports -------------------------------------------------------------------------------------------------------


def _run(servers: int, count: int) -> None:
    """One size, in a process of its own: CPU seconds and peak MB up to the report, then with its JSON; its contents.

    The JSON is made in pieces, as it is written, and none of them is kept.
    """
    before, begun = peak_memory(), time.process_time()
    report = whole(servers, count).report
    seconds, memory = time.process_time() - begun, peak_memory() - before
    begun = time.process_time()
    size = sum(map(len, json_pieces(report))) / 1e6
    written = time.process_time() - begun
    print(seconds, memory, written, peak_memory() - before, size, len(report.requirements), len(report.findings))


def _sizes(sizes: list[int], count: int) -> None:
    rows, documents = [], []
    first = 0.0
    for servers in sizes:
        command = [sys.executable, "-m", "benchmarks.farm", "--run", str(servers), "--sites", str(count)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds, memory, written, highest, size = map(float, answer[:5])
        each = 1000 * seconds / servers
        first = first or each
        rows.append([servers, seconds, each, each / first, round(memory), *answer[5:]])
        documents.append([servers, written, 1000 * written / servers, round(size), round(highest)])
    table(["servers", "CPU seconds", "ms for each", "x first row", "peak MB", "requirements", "findings"], rows)
    table(["JSON of servers", "CPU seconds", "ms for each", "MB of text", "peak MB"], documents)


def _where(servers: int, count: int) -> None:
    """Which stage takes the time (under a profiler, so in per cent), which module's objects take the memory."""
    profile = cProfile.Profile()
    profile.runcall(lambda: whole(servers, count).report.to_json())
    statistics = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {(Path(file).name, name): figures[3] for (file, _, name), figures in statistics.items()}
    total = spent["stages.py", "analyse"] + spent["document.py", "json_pieces"]
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
