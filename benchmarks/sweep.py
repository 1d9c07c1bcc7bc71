"""Many servers over WinRM: `collect` beside pywinrm in as many threads, and beside Ansible's `raw`.

python -m benchmarks.sweep [--servers 1000] [--latency 0.2] [--rounds 3] [--only CELL] [--ansible PROGRAM]

The servers are the test endpoint's (tests/winrm), members of one domain in a process of its own on loopback; NTLM over
http, messages encrypted. Every client runs in a fresh process, whose CPU and peak memory are taken. The latency bound
is what waiting alone costs: servers x requests x latency / servers asked at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.measure import peak_memory, table
from tests.winrm import farm

ROOT = Path(__file__).parents[1]
CELLS = ("latency", "ansible", "sick", "growth")
COMMAND = 'powershell.exe -NoProfile -NonInteractive -Command "$input | Out-String | Invoke-Expression"'


@dataclass(frozen=True)
class Work:
    """What a client process is told on stdin; the password is a constant of the test farm."""

    client: str
    addresses: Sequence[str]
    port: int
    parallel: int
    user: str = farm.USER
    password: str = farm.PASSWORD
    timeout: float = 60.0
    connect: float = 10.0


class Result(NamedTuple):
    """One run of a client: seconds of wall and CPU, MB, and the endpoint's requests and CPU seconds meanwhile."""

    answered: int
    wall: float
    cpu: float
    peak: float
    requests: int = 0
    endpoint_cpu: float = 0.0


# -- clients, each in a process of its own -------------------------------------------------------------------------


def ours(work: Work) -> int:
    """What `iis-spn collect` does, snapshots kept in memory."""
    from agent.sources.endpoint import Defaults, parse
    from agent.sources.winrm import client
    from agent.sweep.collect import Orders, collect

    logon = client.Logon(user=work.user, password=lambda: work.password)
    orders = Orders(
        logon_of=lambda _server: logon,
        tls=client.tls_context(()),
        limits=client.Limits(connect=work.connect, whole=work.timeout),
        parallel=work.parallel,
    )
    servers = [parse(host, Defaults(port=work.port, transport="ntlm")) for host in work.addresses]
    run = collect(servers, orders, told=lambda _outcome: None)
    for outcome in run.outcomes:
        if outcome.failure is not None and os.environ.get("SWEEP_SHOW"):
            print(outcome.endpoint.name, *outcome.failure, file=sys.stderr)
    return run.asked.answered


def threads(work: Work) -> int:
    """pywinrm as it comes, a thread for each server asked at once."""
    from winrm.protocol import Protocol

    script = (ROOT / "agent" / "sources" / "snapshots" / "collect.ps1").read_bytes()

    def ask(host: str) -> int:
        protocol = Protocol(
            f"http://{host}:{work.port}/wsman",
            transport="ntlm",
            username=work.user,
            password=work.password,
            message_encryption="always",
            read_timeout_sec=int(work.timeout),
            operation_timeout_sec=20,
            proxy=None,
        )
        shell = protocol.open_shell(noprofile=True, codepage=65001)
        try:
            command = protocol.run_command(shell, COMMAND)
            protocol.send_command_input(shell, command, script, end=True)
            return len(protocol.get_command_output(shell, command)[0])
        finally:
            protocol.close_shell(shell)

    def answer(host: str) -> bool:
        try:
            return ask(host) > 0
        except Exception:  # noqa: BLE001  # pywinrm's failures come as any of a dozen classes
            return False

    with ThreadPoolExecutor(work.parallel) as pool:
        return sum(pool.map(answer, work.addresses))


CLIENTS = {"iis-spn": ours, "pywinrm": threads}


def client_main() -> None:
    """Do the work that stdin describes, and print its Result."""
    work = Work(**json.load(sys.stdin))
    _raise_file_limit()
    import winrm.protocol  # noqa: F401  # what a client imports is paid once, before the clock starts

    import agent.sweep.collect  # noqa: F401

    begun, cpu = time.monotonic(), time.process_time()
    answered = CLIENTS[work.client](work)
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    print(json.dumps([answered, wall, cpu, peak_memory()]))


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))


# -- running them --------------------------------------------------------------------------------------------------


def run(lab: farm.Farm, work: Work) -> Result:
    """One client, once."""
    before = lab.stats()
    command = [sys.executable, "-m", "benchmarks.sweep", "--client"]
    done = subprocess.run(
        command, input=json.dumps(asdict(work)), stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT
    )
    after = lab.stats()
    return Result(
        *json.loads(done.stdout), after["requests"] - before["requests"], after.cpu_seconds - before.cpu_seconds
    )


def rounds(runs: Mapping[str, Callable[[], Result]], count: int) -> dict[str, Result]:
    """The medians of every client, one run of each per round."""
    found: dict[str, list[Result]] = {name: [] for name in runs}
    for _ in range(count):
        for name, one in runs.items():
            found[name].append(one())
            print(f"  {name}: {found[name][-1]}", file=sys.stderr)
    return {name: Result(*map(median, zip(*results, strict=True))) for name, results in found.items()}


def row(name: str, result: Result, servers: int) -> list[object]:
    each = 1000 / max(servers, 1)
    return [name, int(result.answered), result.wall, result.cpu, result.cpu * each, int(result.peak)]


HEAD = ("", "answered", "wall, s", "CPU, s", "CPU ms each", "peak MB")


def work_for(lab: farm.Farm, client: str, servers: int, parallel: int) -> Work:
    return Work(client, [lab.address(number + 1) for number in range(servers)], lab.http_port, parallel)


# -- cells ---------------------------------------------------------------------------------------------------------


def latency(lab: farm.Farm, options: argparse.Namespace) -> None:
    """1,000 healthy servers: the ratio to the latency bound, and to pywinrm's threads."""
    for parallel in (64, 256):
        runs = {client: partial(run, lab, work_for(lab, client, options.servers, parallel)) for client in CLIENTS}
        found = rounds(runs, options.rounds)
        each = found["iis-spn"].requests / options.servers
        bound = options.servers * each * options.latency / parallel
        print(f"{options.servers} servers, {options.latency * 1000:.0f} ms a request, {parallel} at once:")
        print(f"latency bound {bound:.1f} s ({each:.1f} requests a server)\n")
        rows = [
            [*row(name, result, options.servers), result.wall / bound, result.endpoint_cpu]
            for name, result in found.items()
        ]
        table((*HEAD, "x bound", "endpoint CPU, s"), rows)


def growth(lab: farm.Farm, options: argparse.Namespace) -> None:
    """100 and 1,000 servers without latency: what one server costs."""
    lab.set("*", latency=0.0)
    counts = (100, 300, options.servers)
    runs = {f"{count} servers": partial(run, lab, work_for(lab, "iis-spn", count, 64)) for count in counts}
    found = rounds(runs, options.rounds)
    table(HEAD, [row(name, result, count) for (name, result), count in zip(found.items(), counts, strict=True)])
    lab.set("*", latency=options.latency)


def sick(lab: farm.Farm, options: argparse.Namespace) -> None:
    """5 % black holes, 1 % that answer a byte at a time; every server has 20 seconds."""
    count = options.servers
    holes, drips = range(20, count + 1, 20), range(7, count + 1, 100)
    for number in holes:
        lab.set(f"web{number:04d}*", fault="blackhole", on="connect")
    for number in drips:
        lab.set(f"web{number:04d}*", fault="drip", on="Receive", argument=0.05)
    work = replace(work_for(lab, "iis-spn", count, 256), timeout=20.0)
    found = rounds({f"{len(holes)} black holes, {len(drips)} drips": partial(run, lab, work)}, options.rounds)
    table(HEAD, [row(name, result, count) for name, result in found.items()])
    lab.calm()
    lab.set("*", latency=options.latency)


def ansible(lab: farm.Farm, options: argparse.Namespace) -> None:
    """200 servers, 50 at once: Ansible's winrm connection and its `raw` module, which prints the same."""
    if options.ansible is None:
        print("ansible: left out, name the program with --ansible (ansible-core and pywinrm in its environment)\n")
        return
    servers = min(200, options.servers)
    runs: dict[str, Callable[[], Result]] = {
        "iis-spn": partial(run, lab, work_for(lab, "iis-spn", servers, 50)),
        "ansible raw": partial(_ansible, lab, options.ansible, servers),
    }
    table(HEAD, [row(name, result, servers) for name, result in rounds(runs, options.rounds).items()])


def _ansible(lab: farm.Farm, program: str, servers: int) -> Result:
    variables = (
        "ansible_connection=winrm",
        f"ansible_port={lab.http_port}",
        "ansible_winrm_transport=ntlm",
        "ansible_winrm_scheme=http",
        f"ansible_user='{lab.user}'",
        f"ansible_password={lab.password}",
    )
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder, "hosts")
        hosts = "\n".join(lab.address(number + 1) for number in range(servers))
        inventory.write_text("\n".join(["[farm]", hosts, "[farm:vars]", *variables]) + "\n")
        command = [program, "-i", str(inventory), "farm", "-f", "50", "-m", "raw", "-a", "Get-Content x"]
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        printed = Path(folder, "printed")
        with printed.open("w") as out:
            Path(folder, "ansible.cfg").write_text("[defaults]\nhost_key_checking = False\n")
            process = subprocess.Popen(
                command, stdout=out, env={**os.environ, "ANSIBLE_CONFIG": str(Path(folder, "ansible.cfg"))}
            )
            peak = _watch(process)
        answered = printed.read_text().count("| CHANGED")
        wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Result(answered, wall, cpu, peak)


def _watch(process: subprocess.Popen[bytes]) -> float:
    """The most MB that the process and its children held together (shared pages counted once: PSS)."""
    peak, watched = 0.0, psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(member.memory_full_info().pss for member in family) / 1024 / 1024)
        time.sleep(0.2)
    return peak


def main() -> None:
    options = _options()
    if options.client:
        return client_main()
    _raise_file_limit()
    with tempfile.TemporaryDirectory() as folder, farm.running(Path(folder), servers=options.servers) as lab:
        lab.prepare()
        lab.set("*", latency=options.latency)
        for cell in CELLS if options.only is None else (options.only,):
            print(f"## {cell}\n", flush=True)
            globals()[cell](lab, options)
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CELLS)
    parser.add_argument("--ansible", metavar="PROGRAM")
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
