"""The report as numbers for Prometheus, for the textfile collector of windows_exporter or node_exporter.

The text format (https://prometheus.io/docs/instrumenting/exposition_formats/): a metric's lines stand together, no two
samples have the same labels, the last line ends in a line feed. The collectors take no samples with time stamps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import get_args

from agent.model import Outcome, Report, SourceRead
from agent.names import printable

_Sample = tuple[dict[str, str], float]


def to_prometheus(report: Report) -> Iterator[str]:
    """A line at a time, metric by metric."""
    whole: dict[str, bool] = {}
    for server in report.servers:
        whole[server.name] = server.status == "ok" and whole.get(server.name, True)
    ended = datetime.fromisoformat(report.finished).timestamp()
    families: tuple[tuple[str, str, Iterable[_Sample]], ...] = (
        ("findings", "Findings, those that were accepted apart.", _findings(report)),
        (
            "requirements",
            "SPNs that matter to a server, by what happens with them today.",
            _requirements(report, whole),
        ),
        (
            "server_complete",
            "1: the server was read whole.",
            (({"server": name}, is_whole) for name, is_whole in whole.items()),
        ),
        ("complete", "1: every server, the directory and DNS were read whole.", [({}, report.complete)]),
        ("source_read", "1: it was read or asked; 0: nobody asked.", _sources(report)),
        ("source_timestamp_seconds", "When a file was written, a server collected, a service asked.", _dates(report)),
        ("last_run_timestamp_seconds", "When the run ended.", [({}, ended)]),
        ("build_info", "1; which version it was.", [({"version": report.tool.version}, 1)]),
    )
    for name, about, samples in families:
        yield f"# HELP iis_spn_{name} {about}\n# TYPE iis_spn_{name} gauge\n"
        yield from (f"iis_spn_{name}{_labels(labels)} {float(value):.15g}\n" for labels, value in samples)


def _findings(report: Report) -> Iterator[_Sample]:
    """A finding counts with each server that it names, and without a name where it names none."""
    counts = Counter(
        (found.id, found.severity, server, found.accepted is not None)
        for found in report.findings
        for server in found.all_servers or ("",)
    )
    for (finding, severity, server, accepted), number in counts.items():
        yield {"id": finding, "severity": severity, "server": server, "accepted": str(accepted).lower()}, number


def _requirements(report: Report, servers: Iterable[str]) -> Iterator[_Sample]:
    """All outcomes of each server, the zeros too: an alert sees that one has gone."""
    counts = Counter(
        (required.outcome, server)
        for required in report.requirements
        if required.matters
        for server in {place.server for place in required.applications}
    )
    counts.update(("uncertain", application.server) for application in report.applications if application.is_unnamed)
    for server in servers:
        for outcome in get_args(Outcome):
            yield {"outcome": outcome, "server": server}, counts[outcome, server]


def _sources(report: Report) -> Iterator[_Sample]:
    """What the numbers rest on; of a source that is named twice whether it was read at all."""
    asked: dict[tuple[str, str], bool] = {}
    for read in _read(report):
        key = read.kind, read.source or ""
        asked[key] = read.asked or asked.get(key, False)
    for (kind, source), was_asked in asked.items():
        yield {"kind": kind, "source": source}, was_asked


def _dates(report: Report) -> Iterator[_Sample]:
    """The oldest where a source is named twice."""
    dates: dict[tuple[str, str], str] = {}
    for read in _read(report):
        if read.date is not None:
            key = read.kind, read.source or ""
            dates[key] = min(read.date, dates.get(key, read.date))
    for (kind, source), date in dates.items():
        yield {"kind": kind, "source": source}, datetime.fromisoformat(date).timestamp()


def _read(report: Report) -> tuple[SourceRead, ...]:
    return report.summary.read if report.summary is not None else ()


def _labels(labels: dict[str, str]) -> str:
    return f"{{{','.join(_label(name, value) for name, value in labels.items())}}}" if labels else ""


def _label(name: str, value: str) -> str:
    escaped = printable(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'
