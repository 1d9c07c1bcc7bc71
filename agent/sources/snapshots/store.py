"""A folder of NAME.snapshot.json.gz files, one for each server: what `collect --to` fills and `inspect` reads.

A file appears whole or not at all, so a run that is killed loses nothing that was answered. Passwords are removed once
more before anything is stored.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import MalformedError, UsageError
from agent.names import address_of, fold, host_fault, host_name, printable
from agent.sources.snapshots.blanking import blanked
from agent.sources.snapshots.machine_file import WrongError
from agent.sources.snapshots.packed import bytes_of, document_in, encoded
from agent.writing import write_whole

SUFFIX = ".snapshot.json.gz"
LEVEL = 6
"""zlib's effort: 4 saves 7 % of the time and takes 12 % more room, 9 takes 40 % more time and saves 3 %."""

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def pack(document: bytes | Mapping[str, object], file: str = "snapshot") -> bytes:
    """A snapshot's JSON document, or what is decoded from it, as the bytes to store: blanked, always the same ones.

    Only what a snapshot is made of is kept (docs/snapshot.schema.json). Raises MalformedError where it is none; `file`
    is what it is called there.
    """
    given = document_in(document, file) if isinstance(document, bytes) else document
    kept = {key: given[key] for key in ("schema", "machine") if key in given}
    kept["files"] = _blanked_files(given.get("files"))
    packer = zlib.compressobj(LEVEL, wbits=31)
    return packer.compress(json.dumps(kept, separators=(",", ":")).encode()) + packer.flush()


def write(folder: Path, name: str, document: bytes | Mapping[str, object]) -> Path:
    """Store one server's document as `folder`/NAME.snapshot.json.gz; what is there goes.

    It is readable by its owner only; on Windows, which has no such mode, by whom `folder` lets.
    Raises MalformedError where the document is no snapshot, UsageError for a name no file can have, and OSError.
    """
    path = folder / f"{stem(name)}{SUFFIX}"
    data = pack(document, printable(str(path)))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, [data], private=True)
    return path


_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>:[0-9]{1,5})")
_ZONE = re.compile(r"%[A-Za-z0-9_.-]+")
_LONGEST = 200
"""Characters: file systems take 255."""


def stem(name: str) -> str:
    """The file's name without its suffix for a server's name or address, with or without a port.

    Windows has no `:` in names: `fe80::5%eth0` is `fe80==5%eth0`, `web01:5986` is `web01=5986` and `[fe80::5]:5986`
    is `[fe80==5]=5986`. Two names that differ in case only are one file there, so `fold` what is compared. Raises
    UsageError where that is neither a host name nor an address, or no file can be called so.
    """
    ported = _PORT.fullmatch(name)
    host, port = (ported["host"], ported["port"]) if ported and address_of(name) is None else (name, "")
    found = _stem_of_address(host, brackets=bool(port)) if address_of(host) is not None else _stem_of_host(host)
    if found is None or len(found) + len(port) > _LONGEST:
        raise UsageError(f"'{printable(name[:80])}' is not the name of a server that a file can be called after")
    return f"{found}{port}".replace(":", "=")


def _stem_of_address(text: str, *, brackets: bool) -> str | None:
    address, bare = address_of(text), text.strip("[]")
    zone = bare[bare.find("%") :] if "%" in bare else ""
    if zone and (":" not in bare or not _ZONE.fullmatch(zone)):
        return None
    return f"[{address}{zone}]" if brackets and ":" in bare else f"{address}{zone}"


def _stem_of_host(text: str) -> str | None:
    """The name in ASCII: file systems do not agree on when two other letters are the same one."""
    host = host_name(text)
    is_file = text == text.strip() and not host.is_wildcard and host_fault(host) is None
    return host.spn_text if is_file and host.key.partition(".")[0] not in _DEVICES else None


def present(folder: Path) -> Mapping[str, datetime]:
    """When each snapshot of a folder was written, by the folded `stem` of its server.

    The file's own time, which is moments after the server's `collected_at`: nothing is opened, a thousand files take
    no time. A folder that does not exist holds none. Raises OSError where it cannot be listed.
    """
    if not folder.exists():
        return {}
    with os.scandir(folder) as entries:
        return {
            fold(entry.name)[: -len(SUFFIX)]: datetime.fromtimestamp(entry.stat().st_mtime, UTC)
            for entry in entries
            if fold(entry.name).endswith(SUFFIX) and not entry.name.startswith(".") and entry.is_file()
        }


# -- without passwords ---------------------------------------------------------------------------------------------


def _blanked_files(value: object) -> dict[str, object]:
    """The configuration files; other files are never read, and nobody knows where a secret stands in them."""
    entries = value.items() if isinstance(value, dict) else ()
    return {path: _blanked_entry(entry) for path, entry in entries if fold(path).endswith(".config")}


def _blanked_entry(entry: object) -> dict[str, object]:
    """One file's entry, as text where the reader makes the same bytes of it; else what is wrong with it."""
    try:
        data = blanked(bytes_of(entry, ""))
    except MalformedError as error:
        return {"text": "", "malformed": error.reason, "line": error.line}
    except WrongError as error:
        return {"text": "", "unread": str(error)}
    try:
        text = data.decode()
        if encoded(text) == data:
            return {"text": text}
    except (UnicodeDecodeError, WrongError):
        pass
    return {"base64": base64.b64encode(data).decode()}
