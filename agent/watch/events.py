"""The event log of Windows: one event in Application, of the source iis-spn, for each time that something changed.

`install.ps1` registers the source with the message file of EventCreate.exe, whose messages 1 to 1000 are the text of
the event alone; where nobody registered it, Event Viewer puts a sentence about that before the text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.history import Change
from agent.model import SEVERITIES, Severity

SOURCE = "iis-spn"
MAXIMUM_TEXT = 30_000
"""Characters; ReportEvent takes 31,839 of one text."""


class Kind(NamedTuple):
    """An event: its number, and its type as Windows counts them (EVENTLOG_ERROR_TYPE and so on)."""

    number: int
    type: int


KINDS: Mapping[Severity, Kind] = {"info": Kind(1, 4), "warning": Kind(2, 2), "error": Kind(3, 1)}
"""By the worst change among those that the event tells of."""


def kind_of(changes: Sequence[Change]) -> Kind:
    """What kind of event tells of these changes; one whose finding was accepted is no worse than a note."""
    worst = min((SEVERITIES.index(one.severity) for one in changes if one.accepted is None), default=-1)
    return KINDS[SEVERITIES[worst]]


def text_of(text: str) -> str:
    """The text as an event takes it: `%1` would be taken for a place to fill in."""
    whole = re.sub(r"%(?=[0-9])", "% ", text)
    return whole if len(whole) <= MAXIMUM_TEXT else f"{whole[:MAXIMUM_TEXT]}\n..."


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    def write_event(changes: Sequence[Change], text: str) -> None:
        """One event. Raises OSError."""
        advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
        advapi32.RegisterEventSourceW.restype = wintypes.HANDLE
        log = wintypes.HANDLE(advapi32.RegisterEventSourceW(None, SOURCE))
        if log.value is None:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            kind, texts = kind_of(changes), (wintypes.LPCWSTR * 1)(text_of(text))
            if not advapi32.ReportEventW(log, kind.type, 0, kind.number, None, 1, 0, texts, None):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            advapi32.DeregisterEventSource(log)
