"""iis-spn: which SPN does each IIS site need, on which account must it live, is that so, and what to change.

The rooms are the pipeline, and imports go down only:

    cli       what was asked for, and with which exit code does it end?
    library   the same from Python
    sweep     who is asked over WinRM, all at once, and what becomes of each answer
    sources   where facts come from: ad, dns, snapshots, winrm, inventory, this machine
    render    a Report -> text, one file for each format
    story     one URL, told step by step (explain)
    inspection  the stages put together
    change    the plan, its journal, carried out and taken back
    checks    what is wrong, and what would mend it
    spn       which SPN, on whose account, and is it so
    iis       configuration files -> the settings that IIS uses
    model, names, errors, exits, writing (files that appear whole or not at all)

>>> from agent import inspect
>>> report = inspect(["sample_configs/IIS01"])
>>> report.servers[0].name
'IIS01'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.library import inspect as inspect
    from agent.model import Report as Report

__all__ = ["Report", "inspect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the library when it is used: `iis-spn --help` needs none of it."""
    if name == "inspect":
        from agent.library import inspect

        return inspect
    if name == "Report":
        from agent.model import Report

        return Report
    raise AttributeError(f"module 'agent' has no attribute {name!r}")
