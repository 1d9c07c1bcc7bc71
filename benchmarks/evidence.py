"""An IIS log of a gigabyte: what counting it takes, beside reading its lines.

python -m benchmarks.evidence [--megabytes 1000]
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agent.sources.evidence_files import read_evidence
from benchmarks.measure import interleaved, memory_of, peak_memory, table

FIELDS = (
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) {}"
    "sc-status sc-substatus sc-win32-status time-taken\n"
)
ENDS = ("200 0 0",) * 8 + ("401 2 5", "401 1 2148074252", "304 0 0")
HOSTS = ("portal.test.com", "intranet", "crm.test.com", "PORTAL.test.com:8080")


def lines(with_host: bool) -> Iterator[str]:
    """Lines of 250 characters, as of a browser; always the same ones."""
    random.seed(1)
    at = 0
    while True:
        at += 1
        host = f"{HOSTS[random.randrange(4)]} " if with_host else ""
        time = f"{at // 36000 % 24:02}:{at // 600 % 60:02}:{at // 10 % 60:02}"
        yield (
            f"2026-08-12 {time} 10.0.5.2 GET /app/page{at % 977}.aspx id={at} 443 TEST\\user{at % 5000} "
            f"10.1.{at % 250}.{at % 251} Mozilla/5.0+(Windows+NT+10.0;+Win64)+AppleWebKit/537.36+(KHTML,+like+Gecko)+"
            f"Chrome/139.0.0.0+Safari/537.36 https://portal.test.com/home {host}{ENDS[random.randrange(11)]} "
            f"{random.randrange(3000)}\n"
        )


def written(path: Path, size: int, *, with_host: bool) -> None:
    with path.open("w", encoding="ascii") as file:
        left = size - file.write(FIELDS.format("cs-host " if with_host else ""))
        for line in lines(with_host):
            if left < 0:
                break
            left -= file.write(line)


def texts(path: Path) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        for _ in file:
            pass


def raw(path: Path) -> None:
    with path.open("rb") as file:
        for _ in file:
            pass


def measured(folder: Path, size: int, *, with_host: bool) -> list[object]:
    path = folder / "u_ex.log"
    written(path, size, with_host=with_host)
    subjects = {"texts": partial(texts, path), "bytes": partial(raw, path), "read": partial(read_evidence, path)}
    timings = interleaved(subjects, rounds=3)
    speeds = [f"{1 / timings.ratio('read', other):.2f}" for other in ("texts", "bytes")]
    peak = f"{memory_of('benchmarks.evidence', str(path)):.0f}"
    return [timings.median("texts"), timings.median("read"), *speeds, peak]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--memory", type=Path)
    given = parser.parse_args()
    if given.memory:
        before = peak_memory()
        read_evidence(given.memory)
        print(peak_memory() - before)
        return
    kinds = {"with cs-host": True, "default fields": False}
    with tempfile.TemporaryDirectory() as folder:
        size = given.megabytes * 1_000_000
        rows = [[name, *measured(Path(folder), size, with_host=kind)] for name, kind in kinds.items()]
    table(["log", "lines, s", "read, s", "speed, x lines", "x lines of bytes", "peak MB"], rows)


if __name__ == "__main__":
    main()
