"""A server as files and facts, the way `collect` writes it and `inspect` takes it; sources make it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct, field

from agent.errors import MalformedError, UsageError, fault_of_ours
from agent.model import Problem
from agent.names import Address, Guess, HostName, fold, host_name, netbios_name

Membership = Literal["domain", "workgroup", "entra"]


class Malformed(NamedTuple):
    """Why a file is no configuration, and the line of its fault."""

    reason: str
    line: int | None


class SourceFile(NamedTuple):
    """One file of a server: the name shown to people, its bytes, or why it could not be opened.

    `is_refused`: the system lets nobody read it, whatever stands in it; `is_busy`: because somebody is writing it.
    `malformed`: of a file that is not well-formed a snapshot keeps nothing else.
    """

    name: str
    data: bytes
    error: str | None = None
    malformed: Malformed | None = None
    is_refused: bool = False
    is_busy: bool = False

    def xml(self) -> bytes:
        """Its bytes, to be parsed. Raises MalformedError where it was malformed when it was collected."""
        if self.malformed is not None:
            raise MalformedError(self.name, self.malformed.line, self.malformed.reason)
        return self.data


class WorkerProcess(NamedTuple):
    """A running w3wp.exe: which pool it serves, and the account it runs as."""

    pool: str
    pid: int
    account: str


class CertificateNames(NamedTuple):
    """The DNS names that the certificates of a site's https bindings are for: as written there, `*.` among them."""

    site: str
    names: tuple[str, ...]


class Machine(Struct, frozen=True, kw_only=True):
    """The facts of `machine.json`. None: not said there; a Guess is what the others suggest.

    `name` is the short computer name, a Guess where only the folder is called so; `dns_name` its dNSHostName, a Guess
    where it was put together from name and domain. A domain controller has no local users.
    `content_looked` False: web.config files were not looked for. `facts_unread`: which facts could not be asked, and
    why, with what is not known without them.
    `additional_kerberos_accounts` (DOMAIN\\name): whose keys it decrypts with besides its own, told by no file of IIS
    (Exchange's Alternate Service Account, KB 2688772). `certificate_names`: names that clients may use, not ones they
    are known to use.
    """

    name: str | Guess | None = None
    dns_name: str | Guess | None = None
    domain: str | None = None
    netbios_domain: str | None = None
    membership: Membership | None = None
    domain_controller: bool | None = None
    addresses: tuple[Address, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    registry: Mapping[str, object] | None = None
    services: Mapping[str, str] | None = None
    worker_processes: tuple[WorkerProcess, ...] | None = None
    additional_kerberos_accounts: tuple[str, ...] | None = None
    certificate_names: tuple[CertificateNames, ...] | None = None
    content_looked: bool = False
    unread: tuple[tuple[str, str], ...] = ()
    facts_unread: tuple[tuple[str, str], ...] = ()
    collected_at: datetime | None = None

    @property
    def joined(self) -> bool:
        """Whether the machine is (or, unknown, may be) in an AD domain."""
        return self.membership in {None, "domain"}

    @property
    def is_known(self) -> bool:
        """Whether its computer account can be named: somebody said its name and its domain."""
        return not self.joined or (isinstance(self.name, str) and bool(self.domain or self.netbios_domain))

    @property
    def known_name(self) -> str | None:
        """Its short name, where somebody said it."""
        return self.name if isinstance(self.name, str) else None

    @property
    def short_name(self) -> HostName | None:
        """The name HOST/ covers in its short form: 15 characters (rule R2.7)."""
        return host_name(netbios_name(self.name)) if isinstance(self.name, str) else None

    @property
    def full_name(self) -> HostName | None:
        """Its dNSHostName, which need not end in the name of its domain (rule R2.6)."""
        return host_name(self.dns_name) if isinstance(self.dns_name, str) else None

    @property
    def said_names(self) -> frozenset[str]:
        """Its short and its full name, folded, as far as somebody said them: what a farm file may call it."""
        return frozenset(fold(name) for name in (self.name, self.dns_name) if isinstance(name, str))

    @property
    def guessed(self) -> tuple[str, ...]:
        """Which of the report's names of the server nobody said."""
        named = {"name": self.name, "dns_name": self.dns_name}
        return tuple(key for key, value in named.items() if isinstance(value, Guess))


class Snapshot(Struct, frozen=True, kw_only=True):
    """One server. `files` has folded relative paths with forward slashes: `files/c/inetpub/wwwroot/web.config`.

    `written` is when its configuration was kept as a file (ISO 8601, UTC), None where it comes from the server itself.
    """

    source: str
    machine: Machine
    files: Mapping[str, SourceFile]
    problems: tuple[Problem, ...] = ()
    written: str | None = None

    @property
    def label(self) -> str:
        """What the server is called in the report."""
        return str(self.machine.name or self.source)


RIGHTS = (
    "Run it on the server itself in an elevated prompt (Run as administrator), or as an account that may read it; "
    "a share lets the computer or the account in that reads it.",
)


AGAIN = ("Run it again in a moment, when nobody writes to it any more.",)


def unopened(name: str, why: str, *, is_refused: bool, is_busy: bool = False) -> Problem:
    """That a file or folder could not be opened: refused by the system, or not the kind it should be."""
    if is_refused:
        return Problem(id="source-unreadable", message=why, file=name, fix=AGAIN if is_busy else RIGHTS)
    return Problem(id="config-malformed", message=why, file=name)


REPORT = ("Please report it: run the command again with --debug, and say what is special about this server.",)


def internal_error(error: Exception) -> Problem:
    """That a fault of this program cost a server: nothing is said of it."""
    return Problem(id="internal-error", message=f"{fault_of_ours(error)}: it is left out", fix=REPORT)


def read_or_lost(source: str, read: Callable[[], Snapshot]) -> Snapshot:
    """What `read` gives; a fault of this program costs this server, never the others. Raises UsageError."""
    try:
        return read()
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  # the barrier between servers
        return Snapshot(source=source, machine=Machine(), files={}, problems=(internal_error(error),))


_VARIABLE = re.compile(r"%([^%]+)%")
_EXTENDED = re.compile(r"\A\\\\\?\\(UNC\\)?", re.IGNORECASE)
r"""`\\?\C:\x` and `\\?\UNC\srv\share` are the same places without the length limit of Win32 paths."""
_FULL = re.compile(r"[A-Za-z]:(?:\\|\Z)|\\\\[^\\.?]")
_PLAIN = re.compile(r"[A-Za-z]:(?:\\[^\\/%]*[^\\/%. ])+\Z")
"""A path on a drive in which nothing is to be filled in, dropped or refused."""
_DEFAULT_ENVIRONMENT = {"systemdrive": "C:", "windir": r"C:\Windows", "systemroot": r"C:\Windows"}


def file_key(physical: str, environment: Mapping[str, str]) -> str | None:
    """Where a Windows path stands below `files/`: `C:\\x` as `files/c/x`, `\\\\srv\\share` as `files/unc/srv/share`.

    None where it cannot be told which folder is meant (`full_path`).
    """
    if _PLAIN.match(physical):
        return "files/" + fold(physical).replace(":", "", 1).replace("\\", "/")
    path = full_path(physical, environment)
    if path is None:
        return None
    if path.startswith("\\\\"):
        return "files/unc/" + _joined(path[2:])
    return f"files/{fold(path[0])}/{_joined(path[2:])}".rstrip("/")


def full_path(physical: str, environment: Mapping[str, str]) -> str | None:
    """The place that a path of the configuration means, with its variables filled in.

    None where that cannot be told: a variable is not known, the path is relative or empty, or one of its parts is `..`
    or ends in a dot or a blank (which Windows drops from some paths and keeps in others).
    """
    known = {**_DEFAULT_ENVIRONMENT, **{fold(name): value for name, value in environment.items()}}
    if any(fold(name) not in known for name in _VARIABLE.findall(physical)):
        return None
    path = _VARIABLE.sub(lambda match: known[fold(match[1])], physical).replace("/", "\\")
    path = _EXTENDED.sub(lambda match: "\\\\" if match[1] else "", path)
    is_clear = not any(part != "." and part.endswith((".", " ")) for part in path.split("\\"))
    return path if is_clear and _FULL.match(path) else None


def _joined(path: str) -> str:
    return "/".join(fold(part) for part in path.split("\\") if part not in {"", "."})
