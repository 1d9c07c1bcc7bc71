"""`iis-spn explain`: what happens to one URL, for each kind of client."""

from __future__ import annotations

from agent.cli import output
from agent.cli.looking import demand_there, judged, live_logon
from agent.cli.options import Explain
from agent.errors import UsageError
from agent.names import printable
from agent.story import explain, read_url


def run(options: Explain) -> int:
    output.demand_place(options.output)
    _demand_order(options)
    demand_there(options.targets, options.output.format)
    typed = read_url(options.url).typed
    analysis = judged(options.targets, options.looking, live_logon(options.logon), typed=[typed])
    return output.finish(options.output, explain(analysis, options.url))


def _demand_order(options: Explain) -> None:
    """Refuse a URL among the files. Raises UsageError."""
    for target in options.targets:
        if "://" in target:
            more = "explain takes one" if "://" in options.url else f"it comes first, and {options.url} after it"
            raise UsageError(f"{printable(target)} is a URL: {printable(more)}")
