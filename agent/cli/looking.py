"""From the options that say where to look to the sources they name, and to the case judged with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from agent.cli.options import Looking
from agent.errors import UsageError
from agent.inspection import Analysis, Sources, analyse, clients_named
from agent.sources import option_files
from agent.sources.selected import LiveLogon, directory_source, name_source
from agent.sources.snapshots import targets as snapshots
from agent.spn.require import Typed
from agent.sweep.options import Logon
from agent.sweep.passwords import Passwords


def judged(targets: Sequence[str], looking: Looking, logon: LiveLogon, typed: Sequence[Typed] = ()) -> Analysis:
    """What the given servers need, and whether it is so; this server where none is given. Raises UsageError.

    `typed` are names to ask about besides those of the servers.
    """
    sources = replace(sources_of(looking, logon), typed=typed)
    if not targets:
        from agent.sources import local

        return analyse([local.read_this_server()], sources)
    paths, swept = snapshots.expand(targets), snapshots.sweep_folders(targets)
    if looking.computer and len(paths) > 1:
        raise UsageError("--computer names one server, but several targets are given")
    return analyse(snapshots.read_targets(paths, looking.computer, looking.netbios, swept=swept), sources)


def sources_of(looking: Looking, logon: LiveLogon) -> Sources:
    """Nobody is asked yet, but a slip in a file of options is told now."""
    directory = directory_source(looking.ad or ("auto",), logon, looking.netbios)
    return Sources(
        directory=directory.ask,
        names=name_source(looking.dns or (("system",) if directory.is_live else ("off",))),
        farm=tuple(chain.from_iterable(map(option_files.farm_file, looking.farm))),
        clients=clients_named(looking.clients),
        accepted=tuple(chain.from_iterable(map(option_files.accept_file, looking.accept))),
        now=datetime.now(UTC),
    )


def live_logon(logon: Logon, passwords: Passwords | None = None) -> LiveLogon:
    """How a domain controller is logged on to; the password is asked for when it is needed, and once."""
    known, user = passwords or Passwords(from_stdin=logon.password_stdin), logon.ad_user
    return LiveLogon(user, lambda: known.of(user or "", "LDAP"), logon.ca)
