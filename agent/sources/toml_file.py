"""A TOML file that a person wrote: what it says, and at which line a key stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from agent.errors import UsageError
from agent.names import printable


def parsed(path: Path, text: str) -> Mapping[str, object]:
    """What the text of a file says. Raises UsageError with file, line where known, and what is wrong."""
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        at = re.search(r" \(at line (\d+), column \d+\)", str(error))
        place = f"{path}:{at[1]}" if at else str(path)
        reason = str(error).replace(at[0], "") if at else str(error)
        raise UsageError(f"{place}: not TOML: {printable(reason)}") from None
    except RecursionError:
        raise UsageError(f"{path}: not TOML: nested too deeply") from None


def place(path: Path, text: str, key: str) -> str:
    """`FILE:line` of a key at the top of the file, or of its table; the file alone where it is written otherwise."""
    name = re.escape(key)
    found = re.search(rf"""(?m)^[ \t]*(?:\[\[?[ \t]*)?(["']?){name}\1[ \t]*(?=[=.\]])""", text)
    return str(path) if found is None else f"{path}:{text.count(chr(10), 0, found.start()) + 1}"
