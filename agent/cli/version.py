"""What is installed: the version, the parts that not everybody needs, Python and the system."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

from agent import __version__
from agent.sources import extras
from agent.sources.extras import Extra


def version() -> str:
    """The lines of `--version`; the first is the version alone."""
    lines = [f"iis-spn {__version__}", f"Python {platform.python_version()} on {platform.platform()}", *_parts()]
    return "".join(f"{line}\n" for line in lines)


def _parts() -> Iterator[str]:
    wide = max(map(len, extras.PARTS)) + 2
    for extra in extras.PARTS:
        yield f"{extra.ljust(wide)}{_state(extra)}"


def _state(extra: Extra) -> str:
    if extras.is_installed(extra):
        return "installed"
    if extra == "kerberos" and sys.platform == "win32":
        return "not needed on Windows, whose own SSPI is used"
    return f"not installed: {extras.how_to_install(extra)}"
