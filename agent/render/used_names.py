"""The names that clients used, one on a line, as `--names` reads them."""

from __future__ import annotations

from agent.evidence.diagnosis import UsedNames


def to_lines(used: UsedNames) -> str:
    """Sorted, without ports."""
    return "".join(f"{name.host}\n" for name in used.names)
