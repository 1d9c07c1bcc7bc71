"""Windows paths as Windows has to be given them."""

from __future__ import annotations

from collections.abc import Mapping

from agent.names import fold

EXTENDED = "\\\\?\\"
r"""Before a full path: Windows takes 32,767 characters then, and leaves every one as it stands (MAX_PATH)."""
CONFIGURATION = "applicationHost.config"
"""As Windows writes it."""
_LONG = 240
"""Characters. Windows takes 259 of a file's path and 247 of a folder's, where nobody switched LongPathsEnabled on."""
_REDIRECTED = frozenset({"x86", "arm"})
"""What PROCESSOR_ARCHITECTURE says in a 32-bit process, folded."""


def openable(physical: str) -> str:
    """A full path in the form that is opened whatever its length."""
    if len(physical) < _LONG or physical.startswith(EXTENDED):
        return physical
    parts = [part for part in physical.replace("/", "\\").split("\\") if part not in {"", "."}]
    unc = "UNC\\" if physical.startswith("\\\\") else ""
    return EXTENDED + unc + "\\".join(parts)


def configuration_folder(environment: Mapping[str, str]) -> str:
    """Where IIS keeps its files: a 32-bit process sees a copy in System32, and the real one as Sysnative.

    PROCESSOR_ARCHITEW6432 is not enough to tell: an x64 process on ARM64 has it too, sees the real System32, and no
    Sysnative.
    """
    known = {fold(name): value for name, value in environment.items()}
    is_32_bit = fold(known.get("processor_architecture", "")) in _REDIRECTED and "processor_architew6432" in known
    windir = known.get("windir", r"C:\Windows")
    return rf"{windir}\{'Sysnative' if is_32_bit else 'System32'}\inetsrv\config"
