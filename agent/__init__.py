"""iis-spn: which SPN does each IIS site need, on which account must it live, is that so, and what to change.

The pipeline is the package: sources (read) -> parse -> merge, effective (what IIS uses) -> identity, rules (who
decrypts) -> reach, clients, require (which SPN) -> verdict, checks, farm (is that so?) -> render (say it). Before it,
for many servers: remote (whom to ask) -> sweep (all at once) -> collect (what becomes of each answer).

>>> from agent import inspect
>>> report = inspect(["sample_configs/IIS01"])
>>> report.servers[0].name
'IIS01'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.inspection import inspect as inspect
    from agent.model import Report as Report

__all__ = ["Report", "inspect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the library when it is used: `iis-spn --help` needs none of it."""
    if name == "inspect":
        from agent.inspection import inspect

        return inspect
    if name == "Report":
        from agent.model import Report

        return Report
    raise AttributeError(f"module 'agent' has no attribute {name!r}")
