"""What a user hands in, as files below one folder: servers, directory, zones, farm names. They can be copied, changed
and inspected again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import asdict
from worlds import NOW

from agent import plan
from agent.iis.snapshot import Machine, Snapshot
from agent.model import Report
from agent.spn.computer_names import FarmName


@dataclass(frozen=True)
class Inputs:
    """`servers/NAME/` are snapshot folders, `directory/*` LDIF, `zones/*` master files, `farm.toml` the farm file."""

    folder: Path
    clients: tuple[str, ...] = ()
    netbios: Mapping[str, str] = field(default_factory=dict)

    @property
    def servers(self) -> list[Path]:
        return _listed(self.folder / "servers")

    @property
    def directory(self) -> list[Path]:
        return _listed(self.folder / "directory")

    @property
    def zones(self) -> list[Path]:
        return _listed(self.folder / "zones")

    @property
    def farm(self) -> Path | None:
        path = self.folder / "farm.toml"
        return path if path.exists() else None

    def copied(self, to: Path) -> Inputs:
        """The same files at another place, where they can be changed."""
        shutil.copytree(self.folder, to)
        return Inputs(to, self.clients, self.netbios)

    @property
    def want(self) -> Path | None:
        path = self.folder / "want.toml"
        return path if path.exists() else None

    def inspected(self) -> Report:
        """What the library says of these files."""
        return plan(
            self.servers,
            want=self.want,
            ad=self.directory or None,
            dns=self.zones or None,
            farm=self.farm,
            clients=self.clients or None,
            netbios_domains=self.netbios or None,
            now=NOW,
        )


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


# -- a world written out -------------------------------------------------------------------------------------------


def written(
    folder: Path,
    servers: Iterable[Snapshot],
    *,
    ad: str | Sequence[str] | None = None,
    dns: str | None = None,
    farm: Sequence[FarmName] = (),
    clients: Sequence[str] = (),
    netbios: Mapping[str, str] | None = None,
) -> Inputs:
    """The arguments of `worlds.world` as files, so that the program has to read them."""
    for server in servers:
        _write_server(folder / "servers" / server.label, server)
    for number, text in enumerate([ad] if isinstance(ad, str) else ad or ()):
        _write(folder / "directory" / f"ad{number}.ldif", text)
    if dns is not None:
        records = "\n".join(line.strip() for line in dns.replace(";", "\n").splitlines())
        start = "$ORIGIN test.com.\n@ IN SOA dc1 h ( 1 900 600 86400 3600 )\n"
        _write(folder / "zones" / "test.com.dns", f"{start}{records}\n")
    if farm:
        _write(folder / "farm.toml", "\n".join(map(_farm_entry, farm)))
    return Inputs(folder, tuple(clients), netbios or {})


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _write_server(folder: Path, server: Snapshot) -> None:
    _write(folder / "machine.json", json.dumps(_facts(server.machine)))
    for key, file in server.files.items():
        _write(folder / key, file.data)


def _facts(machine: Machine) -> dict[str, object]:
    """The machine as machine.json says it."""
    said = asdict(machine)
    unread = [{"path": path, "why": why} for path, why in said.pop("unread")]
    said["content"] = {"looked": said.pop("content_looked"), "unread": unread}
    if said["worker_processes"] is not None:
        said["worker_processes"] = [process._asdict() for process in said["worker_processes"]]
    if said["collected_at"] is not None:
        said["collected_at"] = said["collected_at"].isoformat()
    return {name: value for name, value in said.items() if value is not None}


def _farm_entry(name: FarmName) -> str:
    said = {"host": name.host.text, "servers": list(name.servers), "site": name.site, "proxy": name.proxy}
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if value is not None]
    if name.delegate is not None:
        account, asked = json.dumps(str(name.delegate.account)), json.dumps(name.delegate.spn.text)
        lines.append(f"delegate = {{account = {account}, spn = {asked}}}")
    return "\n".join(["[[name]]", *lines, ""])
