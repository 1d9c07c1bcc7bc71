"""A server as files and facts, the way `collect` writes it and `inspect` takes it; sources make it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from agent.model import Problem
from agent.names import AccountName, Address, HostName, computer_account, fold, host_name, netbios_name

Membership = Literal["domain", "workgroup", "entra"]

UNKNOWN_COMPUTER = "<COMPUTER>"
UNKNOWN_DOMAIN = "<DOMAIN>"


class SourceFile(NamedTuple):
    """One file of a server: the name shown to people, its bytes, or why it could not be opened."""

    name: str
    data: bytes
    error: str | None = None


class WorkerProcess(NamedTuple):
    """A running w3wp.exe: which pool it serves, and the account it runs as."""

    pool: str
    pid: int
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts of `machine.json`. None: not said there.

    `name` is the short computer name; `content_looked` False: web.config files were not looked for.
    """

    name: str | None = None
    dns_name: str | None = None
    domain: str | None = None
    netbios_domain: str | None = None
    membership: Membership | None = None
    domain_controller: bool = False
    addresses: tuple[Address, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    registry: Mapping[str, object] | None = None
    services: Mapping[str, str] | None = None
    worker_processes: tuple[WorkerProcess, ...] | None = None
    content_looked: bool = False
    unread: tuple[tuple[str, str], ...] = ()
    collected_at: datetime | None = None

    @property
    def joined(self) -> bool:
        """Whether the machine is (or, unknown, may be) in an AD domain."""
        return self.membership in {None, "domain"}

    @property
    def is_known(self) -> bool:
        """Whether its computer account can be named."""
        return not self.joined or (self.name is not None and self.netbios_domain is not None)

    @property
    def account(self) -> AccountName:
        """Its computer account, with placeholders for what is not known."""
        domain = self.netbios_domain or UNKNOWN_DOMAIN
        return computer_account(domain, self.name) if self.name else AccountName(domain, f"{UNKNOWN_COMPUTER}$")

    @property
    def short_name(self) -> HostName:
        """The name HOST/ covers in its short form: 15 characters (rule R2.7)."""
        return host_name(netbios_name(self.name) if self.name else UNKNOWN_COMPUTER)

    @property
    def full_name(self) -> HostName | None:
        """Its dNSHostName, which need not end in the name of its domain (rule R2.6)."""
        return host_name(self.dns_name) if self.dns_name else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One server. `files` has folded relative paths with forward slashes: `files/c/inetpub/wwwroot/web.config`."""

    source: str
    machine: Machine
    files: Mapping[str, SourceFile]
    problems: tuple[Problem, ...] = ()

    @property
    def label(self) -> str:
        """What the server is called in the report."""
        return self.machine.name or self.source


_VARIABLE = re.compile(r"%([^%]+)%")
_DEFAULT_ENVIRONMENT = {"systemdrive": "C:", "windir": r"C:\Windows", "systemroot": r"C:\Windows"}


def file_key(physical: str, environment: Mapping[str, str]) -> str | None:
    """Where a Windows path stands below `files/`: `C:\\x` as `files/c/x`, `\\\\srv\\share` as `files/unc/srv/share`.

    None where a variable is not known or the path is relative.
    """
    known = {**_DEFAULT_ENVIRONMENT, **{fold(name): value for name, value in environment.items()}}
    missing = [name for name in _VARIABLE.findall(physical) if fold(name) not in known]
    if missing:
        return None
    path = _VARIABLE.sub(lambda match: known[fold(match[1])], physical).replace("/", "\\")
    path = path.removeprefix("\\\\?\\")
    if path.startswith("\\\\"):
        return "files/unc/" + _joined(path[2:])
    drive, colon, rest = path.partition(":")
    if not colon or len(drive) != 1:
        return None
    return f"files/{fold(drive)}/{_joined(rest)}".rstrip("/")


def _joined(path: str) -> str:
    return "/".join(fold(part) for part in path.split("\\") if part not in {"", "."})
