"""`iis-spn diff`: what changed between two reports, or between what two folders of snapshots say."""

from __future__ import annotations

from agent.cli import output
from agent.cli.looking import judged, live_logon
from agent.cli.options import Diff, Looking
from agent.errors import UsageError
from agent.history import compare
from agent.model import Report
from agent.names import printable
from agent.sources.report_file import is_report, read_report
from agent.sources.selected import LiveLogon

NOWHERE = Looking(ad=(), dns=(), farm=(), names=(), accept=(), clients=(), computer=None, netbios={})


def run(options: Diff) -> int:
    output.demand_place(options.output)
    words = (options.old, options.new)
    if all(map(is_report, words)) and options.typed != NOWHERE:
        raise UsageError("two reports say already who holds what: options that say where to look are for snapshots")
    logon = live_logon(options.logon)
    old, new = (_report(word, options.looking, logon) for word in words)
    return output.finish(options.output, compare(old, new, (printable(options.old), printable(options.new))))


def _report(word: str, looking: Looking, logon: LiveLogon) -> Report:
    return read_report(word) if is_report(word) else judged([word], looking, logon).report
