"""Whole commands as processes, from the shell to the last byte: CPU seconds and peak memory beside a named baseline.

python -m benchmarks.whole [--sites 8000] [--records 200000] [--rounds 5] [--only zone]
python -m benchmarks.whole --folders 1000 [--rounds 5]      snapshot folders of 50 sites, as JSON and as a table
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from agent.iis.redirection import APPLICATION_HOST
from benchmarks.farm import snapshots
from benchmarks.measure import ROUNDS, table
from benchmarks.parse import sites

TABLES = ("sites", "sample", "zone")
PARSE = "import sys; from lxml import etree; etree.parse(sys.argv[1])"
READER = "import sys, dns.zone; dns.zone.from_file(sys.argv[1], origin='test.com.', check_origin=False)"
OURS = """\
import sys, pathlib
from agent.inspection.stages import patient_collector
from agent.sources.dns.zone import read_zones
with patient_collector():
    read_zones([pathlib.Path(sys.argv[1])])
"""


class Cost(NamedTuple):
    """CPU seconds of a process, and the highest MB that it held; Linux counts what this process held when it began."""

    seconds: float
    memory: float


def cost(arguments: Sequence[str]) -> Cost:
    """What a Python with these arguments takes; its output is thrown away.

    Byte code is kept, as pip makes it when it installs: whoever forbids that compiles 130 files for each command.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def compared(subjects: Mapping[str, Sequence[str]], rounds: int) -> Iterator[Sequence[object]]:
    """A row for each subject: seconds, times those of the first in the same round, memory times its memory.

    One more round comes first, which makes the byte code.
    """
    _, *seen = [{name: cost(arguments) for name, arguments in subjects.items()} for _ in range(rounds + 1)]
    base = next(iter(subjects))
    for name in subjects:
        seconds = median(each[name].seconds for each in seen)
        ratio = median(each[name].seconds / each[base].seconds for each in seen)
        yield name, seconds, ratio, median(each[name].memory / each[base].memory for each in seen)


def zone(records: int) -> str:
    """As many records: three in four are addresses, the fourth an alias of the next."""
    lines = ["$ORIGIN test.com.", "@ 3600 IN SOA dc1 hostmaster ( 1 900 600 86400 3600 )", "@ NS dc1", "dc1 A 10.0.0.1"]
    for n in range(records):
        address = f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"
        lines.append(f"host{n} 3600 IN A {address}" if n % 4 else f"alias{n}\t3600\tCNAME\thost{n + 1}")
    return "\n".join([*lines, ""])


def subjects(folder: Path, count: argparse.Namespace) -> Iterator[Mapping[str, Sequence[str]]]:
    """The subjects of each table, its baseline first; what a table reads is written when it comes to it."""
    config, names = folder / "applicationHost.config", folder / "zone.txt"
    if "sites" in count.only:
        config.write_text(sites(range(count.sites)), encoding="utf-8")
        inspect = ["-m", "agent", "inspect", str(config), "--computer", "iis01.test.com", "--format"]
        yield {"lxml.etree.parse": ["-c", PARSE, str(config)], **{f: [*inspect, f] for f in ("json", "table")}}
    if "sample" in count.only:
        yield {"python -c pass": ["-c", "pass"], "inspect a sample": ["-m", "agent", "inspect", "sample_configs/IIS01"]}
    if "zone" in count.only:
        names.write_text(zone(count.records), encoding="utf-8")
        one = ["-m", "agent", "inspect", "sample_configs/IIS01", "--dns", str(names)]
        yield {
            "dns.zone.from_file": ["-c", READER, str(names)],
            "read_zones": ["-c", OURS, str(names)],
            "inspect a sample with it": one,
        }


def folders(place: Path, servers: int) -> None:
    """As many snapshot folders, of 50 sites each."""
    for one in snapshots(servers, 50):
        folder = place / one.source
        folder.mkdir()
        (folder / "applicationHost.config").write_bytes(one.files[APPLICATION_HOST].data)
        facts = {"name": one.machine.name, "dns_name": one.machine.dns_name, "domain": one.machine.domain}
        (folder / "machine.json").write_text(json.dumps({**facts, "netbios_domain": "TEST", "membership": "domain"}))


def of_folders(servers: int, rounds: int) -> None:
    """What a server takes, of all of them in one process: the whole command for each format."""
    with tempfile.TemporaryDirectory() as place:
        folders(Path(place), servers)
        forms = {"JSON": ("--format", "json"), "table": (), "table --all": ("--all",)}
        asked = {name: ["-m", "agent", "inspect", place, "--ad", "off", *form] for name, form in forms.items()}
        seen = [{name: cost(arguments) for name, arguments in asked.items()} for _ in range(rounds)]
    rows = []
    for name in asked:
        seconds = median(each[name].seconds for each in seen)
        ratio = median(each[name].seconds / each["JSON"].seconds for each in seen)
        rows.append([name, seconds, 1000 * seconds / servers, ratio, round(max(each[name].memory for each in seen))])
    table((f"{servers} folders", "CPU seconds", "ms for each", "x JSON", "peak MiB"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=8_000)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=TABLES, nargs="+", default=TABLES)
    parser.add_argument("--folders", type=int)
    options = parser.parse_args()
    if options.folders:
        of_folders(options.folders, options.rounds)
        return
    head = ("CPU", "seconds", "x first row", "memory x first row")
    with tempfile.TemporaryDirectory() as folder:
        for each in subjects(Path(folder), options):
            table(head, list(compared(each, options.rounds)))


if __name__ == "__main__":
    main()
