"""The library's front door: files in, a Report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from agent.inspection import Sources, analyse, clients_named
from agent.model import Report
from agent.sources import option_files
from agent.sources.ad.exports import read_exports
from agent.sources.dns import zone
from agent.sources.snapshots import targets as target_files


def inspect(
    targets: Sequence[str | Path],
    *,
    ad: Sequence[str | Path] = (),
    dns: str | Path | None = None,
    farm: Path | None = None,
    accept: Path | None = None,
    clients: Sequence[str] = (),
    computer: str | None = None,
    netbios_domains: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Report:
    """Say which SPN each site needs, on which account it must live, and whether that is so.

    `targets` are bare applicationHost.config files, snapshot folders or patterns; `ad` LDIF or setspn text files;
    `dns` a zone file. `netbios_domains` maps folded DNS domain names to NetBIOS names. Raises UsageError where an
    argument is wrong; what cannot be read is in the report, whose `complete` is then False.
    """
    known = netbios_domains or {}
    paths = target_files.expand([str(target) for target in targets])
    only = computer if len(paths) == 1 else None
    sources = Sources(
        directory=lambda asked: read_exports([Path(path) for path in ad], asked, known) if ad else None,
        names=lambda _hosts, _addresses: zone.read_zones([Path(dns)]) if dns is not None else None,
        farm=option_files.farm_file(farm) if farm is not None else (),
        accepted=option_files.accept_file(accept) if accept is not None else (),
        clients=clients_named(clients),
        now=now,
    )
    return analyse((target_files.read_target(path, only, known) for path in paths), sources).report
