"""Live LDAP: ask domain controllers and the global catalog a `Question`, in few queries.

What was not answered whole becomes a `directory-incomplete` problem, and no domain counts as covered by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agent.model import SourceRead
from agent.sources.ad.collector import Collector
from agent.sources.ad.connection import LdapConnection
from agent.sources.ad.controllers import Controllers, read_root
from agent.sources.ad.conversation import Conversation
from agent.sources.ad.locate import Locate, parse_target, srv_records
from agent.sources.ad.logon import Logon
from agent.sources.ad.results import LdapError
from agent.sources.ad.wire import Deadline
from agent.sources.extras import demand
from agent.spn.directory import Directory, Question


class LdapSource(Struct, kw_only=True):
    """A directory to ask live.

    `target` is `auto`, `ldap://HOST[:PORT]`, `ldaps://HOST[:PORT]` or `gc://HOST[:PORT]`; `logon` None means the
    present Kerberos ticket or Windows logon; `address` is connected to in place of the target's host name, which
    stays the name that the certificate and Kerberos must prove. After `ask`, `round_trips` counts its requests.
    """

    target: str
    logon: Logon | None = None
    seconds: float = 60.0
    ca_files: Sequence[Path] = ()
    start_tls: bool = False
    address: str | None = None
    locate: Locate = srv_records
    netbios_names: Mapping[str, str] | None = None
    round_trips: int = 0

    def ask(self, question: Question) -> Directory:
        """Who holds the names, who is who. Raises UsageError for a bad target or a missing extra, nothing else."""
        controllers = self.controllers(Deadline(self.seconds))
        collector = Collector(question, self.netbios_names)
        collector.next_source()
        try:
            Conversation(question, controllers, collector).hold(of_forest=controllers.is_forest)
        except LdapError as error:
            collector.incomplete(str(error))
        self.round_trips = controllers.round_trips
        found = collector.directory(self.target)
        covers = tuple([domain.dns_name for domain in found.domains if domain.covered])
        note = None if found.is_complete else "it was not read whole"
        read = (SourceRead(kind="directory", source=self.target, covers=covers, note=note),)
        return replace(found, duplicates_elsewhere=0, read=read)

    @contextlib.contextmanager
    def session(self) -> Iterator[tuple[LdapConnection, str]]:
        """For questions of another kind: a logged-on connection to the first server, and the DN of its domain.

        Raises UsageError as `ask` does, and LdapError.
        """
        controllers = self.controllers(Deadline(self.seconds))
        try:
            with controllers.open(controllers.first()) as connection:
                yield connection, read_root(connection).default
        finally:
            self.round_trips = controllers.round_trips

    def controllers(self, deadline: Deadline) -> Controllers:
        """The servers behind it, to be asked until `deadline`. Raises UsageError as `ask` does."""
        target = parse_target(self.target)
        demand("ldap", f"--ad {self.target}")
        return Controllers(
            target=target,
            logon=self.logon,
            deadline=deadline,
            locate=self.locate,
            address=self.address,
            ca_files=self.ca_files,
            start_tls=self.start_tls,
        )
