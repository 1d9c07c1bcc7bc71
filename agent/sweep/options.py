"""What people say of the servers to ask: which ones, how they are asked, who asks, and what is kept."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from agent.sources.endpoint import Defaults, Transport


class Logon(Struct, frozen=True, kw_only=True):
    """Who asks a directory, and what is trusted over TLS; `ad_user` None: the present ticket or Windows logon.

    `password_stdin`: passwords are lines of stdin, WinRM's first.
    """

    ad_user: str | None
    password_stdin: bool
    ca: tuple[Path, ...]


class Whom(Struct, frozen=True, kw_only=True):
    """The servers: words, inventories, and the computers below an OU (with `only_iis` those that show it)."""

    hosts: tuple[str, ...]
    inventory: tuple[str, ...]
    from_ad: str | None
    only_iis: bool


class Winrm(Struct, frozen=True, kw_only=True):
    """How they are asked; `timeout` in seconds for one server, `parallel` of them at once."""

    user: str | None
    password_env: str | None
    transport: Transport
    port: int | None
    cert: Path | None
    cert_key: Path | None
    jea: str | None
    parallel: int
    timeout: float
    continue_on_denied: bool
    verbose: bool

    @property
    def defaults(self) -> Defaults:
        """What holds for each server that says nothing else itself."""
        return Defaults(port=self.port, transport=self.transport, user=self.user)


class Keeping(Struct, frozen=True, kw_only=True):
    """Where snapshots are kept, None: in memory; `resume` asks nobody whose snapshot is younger than `stale_after`
    hours.
    """

    to: Path | None
    resume: bool
    stale_after: float


class Asking(Struct, frozen=True, kw_only=True):
    """All of it: what `sweep` and `collect` have in common."""

    whom: Whom
    winrm: Winrm
    keeping: Keeping
    logon: Logon
