"""`iis-spn inspect`: which SPN does each site need, on which account, and is that so?"""

from __future__ import annotations

from agent.cli import output
from agent.cli.looking import demand_there, judged, live_logon
from agent.cli.options import Inspect


def run(options: Inspect) -> int:
    output.demand_place(options.output)
    demand_there(options.targets, options.output.format)
    analysis = judged(options.targets, options.looking, live_logon(options.logon), expected=options.expected)
    return output.finish(options.output, analysis.report)
