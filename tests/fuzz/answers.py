"""What servers answer, as bytes: each request is given the next part, whatever was asked, and then nobody is there."""

from __future__ import annotations

PART = b"\n====\n"
"""Between two answers."""


def parts_of(data: bytes) -> list[bytes]:
    return data.split(PART)
