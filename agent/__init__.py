"""iis-spn: which SPN does each IIS site need, on which account must it live, is that so, and what to change.

The rooms are the pipeline, and imports go down only:

    cli       what was asked for, and with which exit code does it end?
    library   the same from Python
    watch     the agent on a server: when to look again, what changed, who is told
    sweep     who is asked over WinRM, all at once, and what becomes of each answer
    sources   where facts come from: ad, dns, snapshots, winrm, inventory, this machine
    render    a Report -> text, one file for each format
    history   two Reports side by side: what changed (diff)
    story     one URL, told step by step (explain)
    inspection  the stages put together
    change    the plan, of a repair or of what somebody wants, its journal, carried out and taken back
    checks    what is wrong, and what would mend it
    evidence  what somebody captured, and the cause that it shows
    spn       which SPN, on whose account, and is it so
    iis       configuration files -> the settings that IIS uses
    model, spelling, names, errors, exits, writing (files that appear whole or not at all), der

From Python (docs/library.md):

>>> from agent import inspect
>>> report = inspect("sample_configs/IIS01", ad="sample_configs/directory.ldif")
>>> {requirement.outcome for requirement in report.requirements}
{'kerberos'}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.errors import IisSpnError, MalformedError, OutputError, SourceError, UsageError
    from agent.history import Change, Difference, Ran
    from agent.library import Options, diff, explain, inspect, plan
    from agent.model import (
        SCHEMA,
        SEVERITIES,
        Accepted,
        AccountUse,
        Alias,
        Alternative,
        Application,
        ApplicationRef,
        Asked,
        Blocked,
        Cause,
        ClientOutcome,
        Decryption,
        Evidence,
        Explanation,
        Finding,
        Goal,
        Host,
        HostSource,
        Need,
        Origin,
        Origins,
        Outcome,
        Place,
        Plan,
        Principal,
        PrincipalKind,
        Problem,
        Report,
        Requirement,
        Scheme,
        Server,
        ServerCounts,
        Severity,
        SourceKind,
        SourceRead,
        SpnCounts,
        Status,
        Step,
        StepKind,
        Summary,
        Survey,
        Tool,
        Url,
        Why,
        WhyNot,
        WindowsAuth,
    )
    from agent.names import AccountName, HostName, Spn

__all__ = [
    "SCHEMA",
    "SEVERITIES",
    "Accepted",
    "AccountName",
    "AccountUse",
    "Alias",
    "Alternative",
    "Application",
    "ApplicationRef",
    "Asked",
    "Blocked",
    "Cause",
    "Change",
    "ClientOutcome",
    "Decryption",
    "Difference",
    "Evidence",
    "Explanation",
    "Finding",
    "Goal",
    "Host",
    "HostName",
    "HostSource",
    "IisSpnError",
    "MalformedError",
    "Need",
    "Options",
    "Origin",
    "Origins",
    "Outcome",
    "OutputError",
    "Place",
    "Plan",
    "Principal",
    "PrincipalKind",
    "Problem",
    "Ran",
    "Report",
    "Requirement",
    "Scheme",
    "Server",
    "ServerCounts",
    "Severity",
    "SourceError",
    "SourceKind",
    "SourceRead",
    "Spn",
    "SpnCounts",
    "Status",
    "Step",
    "StepKind",
    "Summary",
    "Survey",
    "Tool",
    "Url",
    "UsageError",
    "Why",
    "WhyNot",
    "WindowsAuth",
    "diff",
    "explain",
    "inspect",
    "plan",
]
__version__ = "0.1.0"

_HOMES = ("agent.errors", "agent.names", "agent.model", "agent.history", "agent.library")
"""Where the names of `__all__` are at home, the cheapest first."""


def __getattr__(name: str) -> object:
    """Load what is asked for when it is used: `iis-spn --help` needs none of it."""
    if name in __all__:
        from importlib import import_module

        for home in map(import_module, _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module 'agent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
