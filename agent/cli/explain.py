"""`iis-spn explain`: what happens to one URL, for each kind of client."""

from __future__ import annotations

from agent.cli import output
from agent.cli.looking import judged, live_logon
from agent.cli.options import Explain
from agent.story import explain, read_url


def run(options: Explain) -> int:
    output.demand_place(options.output)
    typed = read_url(options.url).typed
    analysis = judged(options.targets, options.looking, live_logon(options.logon), typed=[typed])
    return output.finish(options.output, explain(analysis, options.url))
