"""From the options that say where to look to the sources they name, and to the case judged with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agent.change.want import Want
from agent.checks.accept import Acceptance
from agent.cli import console
from agent.cli.formats import Format
from agent.cli.options import Expected, Looking
from agent.errors import SourceError, UsageError
from agent.iis.snapshot import Snapshot, read_or_lost
from agent.inspection.sources import Only, Sources
from agent.inspection.stages import Analysis, analyse, clients_named
from agent.names import host_fault, host_name, without_user
from agent.sources import option_files
from agent.sources.endpoint import Defaults
from agent.sources.names_file import names_file
from agent.sources.selected import LiveLogon, directory_source, name_source
from agent.sources.snapshots import targets as snapshots
from agent.sources.snapshots.targets import Due, StaleAfter
from agent.sources.text_file import is_there
from agent.spn.question import Typed
from agent.sweep.options import Logon
from agent.sweep.passwords import Passwords

if TYPE_CHECKING:
    from agent.sources.ad.exports import Said

ANY = Expected()


def judged(
    targets: Sequence[str],
    looking: Looking,
    logon: LiveLogon,
    *,
    typed: Sequence[Typed] = (),
    expected: Expected = ANY,
    wants: Sequence[Want] = (),
    said: Sequence[Said] = (),
) -> Analysis:
    """What the given servers need, and whether it is so; this server where none is given. Raises UsageError.

    `typed` are names to ask about besides those of the servers, `said` is what evidence says of the directory.
    """
    sources = sources_of(looking, logon, said)
    sources = replace(sources, typed=typed, wants=wants, read=(*sources.read, *option_files.told_of_wants(wants)))
    if not targets:
        if expected != ANY:
            raise UsageError("--inventory and --stale-after are about snapshots: name them, or their folder")
        demand_unnamed(looking)
        from agent.sources.local.server import read_this_server

        return analyse([read_or_lost("this server", read_this_server)], sources)
    paths, swept = snapshots.expand(targets), snapshots.sweep_folders(targets)
    if looking.computer and len(paths) > 1:
        raise UsageError("--computer names one server, but several targets are given")
    due, stale_after = _due(expected.inventory), expected.stale_after
    limit = StaleAfter(stale_after, datetime.now(UTC)) if stale_after is not None else None
    found = snapshots.read_targets(paths, looking.computer, looking.netbios, swept=swept, due=due, stale_after=limit)
    return analyse(_followed(found, len(paths)), sources)


MANY = 50
"""Servers; reading fewer is over before a bar would be seen."""


def _followed(found: Iterator[Snapshot], servers: int) -> Iterator[Snapshot]:
    """With a bar on stderr, where somebody looks on and waits."""
    if servers < MANY or not console.is_watched():
        return found
    from agent.render.progress import reading

    return reading(sys.stderr, found, servers)


def demand_there(targets: Sequence[str], form: Format) -> None:
    """Raises SourceError where no TARGET is there at all: of a page for people, nothing more would stand on it.

    Other formats have their report of it.
    """
    missing = [target for target in targets if _is_plain(target) and not is_there(Path(target))]
    if not form.for_screen or not targets or len(missing) < len(targets):
        return
    named = ", ".join(map(without_user, missing[:LISTED])) + (" ..." if len(missing) > LISTED else "")
    asked = ""
    if len(missing) == 1 and _is_host(missing[0]):
        asked = f"; to ask that server itself: iis-spn sweep {missing[0]}"
    raise SourceError(f"{named}: there is no such file or folder{asked}")


LISTED = 5


def _is_plain(target: str) -> bool:
    """Whether it is neither a pattern nor a URL: these are refused by what expands them."""
    return target != "" and not any(sign in target for sign in "*?\0") and "://" not in target


def _is_host(word: str) -> bool:
    """Whether a word that is no file may be what a server is called."""
    return (
        word.isascii()
        and host_fault(host_name(word)) is None
        and not word.lower().endswith((*snapshots.NO_SERVER, ".config", ".gz"))
    )


def _due(inventory: Sequence[str]) -> Sequence[Due]:
    """The servers of `--inventory`, which somebody meant to be there."""
    if not inventory:
        return ()
    from agent.sources.inventory import servers

    whole = servers.combined([servers.read_inventory(path, Defaults()) for path in inventory])
    for note in whole.notes:
        console.note(note)
    named = zip(whole.endpoints, whole.places, strict=True)
    return [Due(endpoint.name, place) for endpoint, place in named]


def demand_unnamed(looking: Looking) -> None:
    """This server says itself what it is called. Raises UsageError where somebody else does."""
    if looking.computer:
        raise UsageError("--computer names the server of a file that does not say it; this server says its own name")


def sources_of(looking: Looking, logon: LiveLogon, said: Sequence[Said] = ()) -> Sources:
    """Nobody is asked yet, but a slip in a file of options is told now."""
    directory = directory_source(looking.ad or ("auto",), logon, looking.netbios, said)
    return Sources(
        directory=directory.ask,
        names=name_source(looking.dns or (("system",) if directory.is_live else ("off",))),
        farm=tuple(chain.from_iterable(map(option_files.farm_file, looking.farm))),
        logged=tuple(map(names_file, looking.names)),
        clients=clients_named(looking.clients),
        accepted=tuple(chain.from_iterable(map(_accepted, looking.accept))),
        now=datetime.now(UTC),
        read=option_files.told_of(farm=looking.farm, names=looking.names, accept=looking.accept),
        only=Only(looking.servers, looking.sites),
    )


def _accepted(path: Path) -> Sequence[Acceptance]:
    """What a file accepts; a reason that nobody has given yet is told."""
    found = option_files.accept_file(path)
    told = option_files.unreasoned(path, found)
    if told is not None:
        console.note(told)
    return found


def live_logon(logon: Logon, passwords: Passwords | None = None) -> LiveLogon:
    """How a domain controller is logged on to; the password is asked for when it is needed, and once."""
    known, user = passwords or Passwords(from_stdin=logon.password_stdin), logon.ad_user
    return LiveLogon(user, lambda: known.of(user or "", "LDAP"), logon.ca)
