"""Every format of one farm's report: CPU seconds, text, and what the renderer takes on top of the report.

python -m benchmarks.formats [--servers 1000] [--sites 50]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time

from agent.cli.formats import Format, known_by
from agent.model import Report
from agent.render.screen import Screen
from benchmarks.farm import whole
from benchmarks.measure import peak_memory, table


def _written(form: Format, report: Report) -> list[object]:
    """One format: its text is made as it is written, and none of it is kept."""
    before, begun = peak_memory(), time.process_time()
    size = sum(map(len, form.pieces(report, Screen(100, False, "all"))))
    return [form.name, time.process_time() - begun, round(size / 1e6), round(peak_memory() - before)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=50)
    options = parser.parse_args()
    report = whole(options.servers, options.sites).report
    forked = multiprocessing.get_context("fork")  # each begins with the report, and shares its memory
    rows = []
    for form in known_by("inspect").values():
        receiver, sender = forked.Pipe(duplex=False)
        child = forked.Process(target=lambda form=form, sender=sender: sender.send(_written(form, report)))
        child.start()
        rows.append(receiver.recv())
        child.join()
    table([f"format, {options.servers} servers", "CPU seconds", "MB of text", "MiB more"], rows)


if __name__ == "__main__":
    main()
