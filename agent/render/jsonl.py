"""The report as JSON lines for a SIEM: one server, source, finding or requirement on a line, told by its type and its
run.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Explanation, Report
from agent.model.document import json_line


def to_jsonl(report: Report) -> Iterator[str]:
    """`type` and `run` first, then the keys that it has in the report; of `explain` what each client gets, too."""
    read = report.summary.read if report.summary is not None else ()
    told = (
        ("server", report.servers),
        ("read", read),
        ("finding", report.findings),
        ("requirement", report.requirements),
    )
    for kind, items in told:
        for item in items:
            yield from json_line(item, type=kind, run=report.started)
    if isinstance(report, Explanation):
        for outcome in report.outcomes:
            yield from json_line(outcome, type="outcome", run=report.started, url=report.url)
