"""Which sections web.config files may hold: IIS ships many of them locked, administrators delegate them.

A section that is declared `overrideModeDefault="Deny"`, or stands in a `<location overrideMode="Deny">`, and is found
in a web.config, makes IIS answer 500.19 from there down, whatever it says (rule R15.5).
"""

from __future__ import annotations

from agent.iis.parse import Document
from agent.iis.schema import DEFAULT_OVERRIDE_MODE, WINDOWS_AUTHENTICATION
from agent.names import path_key


def default_mode(document: Document) -> str:
    """Allow or Deny for windowsAuthentication, where no `<location>` of an applicationHost.config says otherwise."""
    definition = document.definitions.get(WINDOWS_AUTHENTICATION)
    if definition is None:
        return "Deny"
    return definition.override_mode_default or DEFAULT_OVERRIDE_MODE


def is_delegated(document: Document) -> bool:
    """Whether any web.config of the server may hold windowsAuthentication: somewhere below an applicationHost.config
    it is unlocked.
    """
    return default_mode(document) != "Deny" or any(
        location.override == "Allow"
        for location in document.locations
        for name, _ in location.sections
        if name == WINDOWS_AUTHENTICATION
    )


class Locks:
    """Where the sections of which only the name is read are locked, by an applicationHost.config that declares them."""

    def __init__(self, document: Document) -> None:
        self._denied = {name for name, found in document.definitions.items() if found.override_mode_default == "Deny"}
        self._modes: dict[str, dict[str, str]] = {}
        for location in document.locations:
            for name, _ in location.others if location.override is not None else ():
                if name in document.definitions and location.override is not None:
                    self._modes.setdefault(name, {})[path_key(location.path)] = location.override
        self._denied -= {WINDOWS_AUTHENTICATION}

    def is_locked(self, section: str, path: str) -> bool:
        """Whether no web.config may hold the section at a folded path: the nearest `<location>` above says it."""
        modes = self._modes.get(section, {})
        at = path
        while at and at not in modes:
            at = at.rpartition("/")[0]
        return modes[at] == "Deny" if at in modes else section in self._denied
