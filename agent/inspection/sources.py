"""Where an analysis may look besides the servers' files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, field

from agent.change.want import Want
from agent.checks.accept import Acceptance
from agent.model import (
    SourceRead,
)
from agent.names import HostName, printable
from agent.spn.clients import DEFAULT_CLIENTS, Client
from agent.spn.computer_names import FarmName, LoggedNames
from agent.spn.directory import AskDirectory
from agent.spn.nameservice import AskNames
from agent.spn.question import Typed


class Only(NamedTuple):
    """The names that were asked for, `*` and `?` allowed; none: every one."""

    servers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        return not self.servers and not self.sites

    @property
    def told(self) -> tuple[str, ...]:
        """Each with its kind, for the report to name."""
        servers = (f"server {printable(name)}" for name in self.servers)
        return (*servers, *(f"site {printable(name)}" for name in self.sites))


EVERYTHING = Only()


class Sources(Struct, frozen=True, kw_only=True):
    """Where the analysis may look besides the servers' files; every default means "nobody looked".

    `directory` is asked with everything the run needs to know, and again where it has names of a server that nothing
    else says; `names` is given the host names and addresses that occur. `typed` are names that somebody asks about
    besides those of the servers, `logged` those that clients were seen to use. `now` is the time against which
    passwords and logons are old. `read` are files of options, for the report to name. `only` says what of all that is
    judged stands in the report. `wants`: what the plan is to lead to, instead of mending what is found.
    """

    directory: AskDirectory | None = None
    names: AskNames = field(default=lambda _hosts, _addresses: None)
    farm: Sequence[FarmName] = ()
    logged: Sequence[LoggedNames] = ()
    clients: Sequence[Client] = DEFAULT_CLIENTS
    accepted: Sequence[Acceptance] = ()
    typed: Sequence[Typed] = ()
    now: datetime | None = None
    read: Sequence[SourceRead] = ()
    only: Only = EVERYTHING
    wants: Sequence[Want] = ()

    @property
    def declared(self) -> tuple[FarmName, ...]:
        """The names of the farm file, and those that are wanted."""
        return (*self.farm, *(want.declared for want in self.wants))

    @property
    def seen(self) -> tuple[HostName, ...]:
        """The names that clients were seen to use."""
        return tuple(dict.fromkeys(host for file in self.logged for host in file.hosts))
