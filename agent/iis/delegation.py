"""Whether web.config files may set windowsAuthentication: IIS ships the section locked, administrators delegate it."""

from __future__ import annotations

from agent.iis.parse import Document
from agent.iis.schema import DEFAULT_OVERRIDE_MODE, WINDOWS_AUTHENTICATION


def default_mode(document: Document) -> str:
    """Allow or Deny, where no `<location>` of an applicationHost.config says anything else."""
    definition = document.definitions.get(WINDOWS_AUTHENTICATION)
    if definition is None:
        return "Deny"
    return definition.override_mode_default or DEFAULT_OVERRIDE_MODE


def is_delegated(document: Document) -> bool:
    """Whether any web.config of the server may hold the section: somewhere below an applicationHost.config it is
    unlocked.
    """
    return default_mode(document) != "Deny" or any(
        location.override == "Allow"
        for location in document.locations
        for name, _ in location.sections
        if name == WINDOWS_AUTHENTICATION
    )
