"""The files of `--names`: host names that clients were seen to use, one on a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.errors import UsageError
from agent.names import HostName, host_fault, host_name, printable
from agent.sources import text_file
from agent.spn.computer_names import LoggedNames


def names_file(path: Path) -> LoggedNames:
    """The names of a file; empty lines and those that begin with # are none. An address is passed over: clients do not
    try Kerberos with one. Raises UsageError with file and line for what can be no host name.
    """
    return LoggedNames(str(path), tuple(dict.fromkeys(_hosts(path))))


def _hosts(path: Path) -> Iterator[HostName]:
    for number, line in enumerate(text_file.read_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        host = host_name(text)
        fault = "a wildcard names no host" if host.is_wildcard else None if host.is_address else host_fault(host)
        if fault is not None:
            raise UsageError(f"{path}:{number}: '{printable(text[:80])}' is not a host name: {fault}")
        if not host.is_address:
            yield host
