"""NAME.snapshot.json.gz: a whole server in one file, as `collect` writes it (docs/snapshot.schema.json).

It may come from anywhere: its size unpacked is bounded, and paths that lead out of the snapshot are refused. The same
document comes out of the frame of collect.ps1 (agent.sources.snapshots.framed).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.errors import MalformedError
from agent.iis.parse import MAXIMUM_SIZE
from agent.iis.redirection import APPLICATION_HOST, REDIRECTION_FILE
from agent.iis.snapshot import Machine, Malformed, SourceFile, file_key
from agent.model import Problem
from agent.names import fold, printable
from agent.sources.snapshots.disk import sized, too_large
from agent.sources.snapshots.machine_file import MACHINE, WrongError, decoded, machine_of, problem

SCHEMA = "iis-spn/snapshot/1"
GZIP = b"\x1f\x8b"
"""How every gzip member begins, and no JSON document."""
MAXIMUM_FOLDER = 512 * 1024 * 1024
"""Most bytes read from one snapshot folder."""
MAXIMUM_PACKED = 256 * 1024 * 1024
"""Most bytes a snapshot file may have once it is unpacked."""

_WORDS = 300
"""Most characters of a reason that a collector gives."""

TOP = frozenset({APPLICATION_HOST, REDIRECTION_FILE, MACHINE})


def matters(key: str) -> bool:
    """Whether a file of a snapshot is read: no other can say anything about windowsAuthentication."""
    return key in TOP or (key.startswith("files/") and key.endswith(".config"))


class Opened(NamedTuple):
    """What a snapshot holds: its files by folded path, the machine's facts, what is wrong with either."""

    files: Mapping[str, SourceFile]
    machine: Machine
    problems: Sequence[Problem]


def opened(data: bytes | Mapping[str, object], file: str) -> Opened:
    """The snapshot in a JSON document, zipped or decoded as well. Raises MalformedError where none of it is usable."""
    document = document_in(data, file) if isinstance(data, bytes) else data
    machine, problems = (
        machine_of(document["machine"], f"{file}/{MACHINE}") if "machine" in document else (Machine(), ())
    )
    files, refused = _unpack_files(document.get("files"), file)
    return Opened({**_unread_files(machine), **files}, machine, (*problems, *refused))


def document_in(data: bytes, file: str) -> Mapping[str, object]:
    """The JSON object of a snapshot, its schema looked at and nothing else. Raises MalformedError."""
    plain = unzip(data, file) if data.startswith(GZIP) else data
    document = decoded(plain, file)
    if not isinstance(document, dict):
        raise MalformedError(file, 1, "not a snapshot: a JSON object is expected")
    if document.get("schema") != SCHEMA:
        said = printable(str(document.get("schema"))[:80])
        raise MalformedError(file, None, f"its schema is '{said}'; this version reads {SCHEMA}")
    return document


def unzip(data: bytes, file: str, limit: int = MAXIMUM_PACKED) -> bytes:
    """One gzip member, unpacked as far as `limit` bytes: more than one, or a tail, `collect` never writes.

    Raises MalformedError.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise MalformedError(file, None, f"the gzip data is damaged: {error}") from None
    if len(plain) > limit:
        raise MalformedError(file, None, f"{too_large(limit)} when unpacked")
    if not unpacker.eof:
        raise MalformedError(file, None, "the gzip data is cut off")
    if unpacker.unused_data.strip(b"\0"):
        raise MalformedError(file, None, "something stands behind the gzip data")
    return plain


_OWN_FILE = re.compile(r"[/\\]inetsrv[/\\]config[/\\](applicationhost|redirection)\.config\Z", re.IGNORECASE)


def _unread_files(machine: Machine) -> dict[str, SourceFile]:
    """The files that were asked for and could not be read. A web.config among them is looked up by its path instead."""
    files: dict[str, SourceFile] = {}
    for path, why in machine.unread:
        own = _OWN_FILE.search(path)
        key = f"{fold(own[1])}.config" if own is not None else file_key(path, machine.environment)
        if key is not None and matters(key) and not key.endswith("/web.config"):
            files[key] = SourceFile(path, b"", why, is_refused=True)
    return files


def _unpack_files(value: object, file: str) -> tuple[dict[str, SourceFile], list[Problem]]:
    files: dict[str, SourceFile] = {}
    problems: list[Problem] = []
    if not isinstance(value, dict):
        return files, [problem("files is not an object of paths", file)]
    room = MAXIMUM_FOLDER
    for path, entry in value.items():
        try:
            relative = _safe_path(path)
        except WrongError as error:
            problems.append(problem(f"the file '{printable(path[:200])}' is refused: {error}", file))
            continue
        key = fold(relative)
        if matters(key) and key != MACHINE:
            name = f"{file}/{printable(relative)}"
            files[key] = _unpack_file(name, entry, room, key in files)
            room -= len(files[key].data)
    return files, problems


def _safe_path(path: str) -> str:
    """A path of a snapshot with forward slashes. Raises WrongError where it leads anywhere else."""
    if printable(path) != path:
        raise WrongError("the path holds a control or invisible character")
    slashed = path.replace("\\", "/")
    if slashed.startswith("/"):
        raise WrongError("the path is absolute")
    if ":" in slashed:
        raise WrongError("the path holds a drive or a stream")
    parts = [part for part in slashed.split("/") if part not in {"", "."}]
    if any(part.rstrip(". ") == "" for part in parts):
        raise WrongError("the path leads upwards")
    return "/".join(parts)


def _unpack_file(name: str, entry: object, room: int, is_second: bool) -> SourceFile:
    if is_second:
        return SourceFile(name, b"", "it stands in the snapshot twice, the paths differ in case only")
    if room <= 0:
        return SourceFile(name, b"", f"the snapshot holds more than {MAXIMUM_FOLDER // 1024 // 1024} MB")
    try:
        return sized(name, bytes_of(entry, name), MAXIMUM_SIZE)
    except WrongError as error:
        return SourceFile(name, b"", str(error))
    except MalformedError as error:
        return SourceFile(name, b"", malformed=Malformed(error.reason, error.line))


def bytes_of(entry: object, file: str) -> bytes:
    """The bytes of one entry of `files`. Raises WrongError with the reason where it has none that are certain, and
    MalformedError where the file was found malformed when it was collected.
    """
    if isinstance(entry, dict):
        _look_kept(entry, file)
    if not isinstance(entry, dict) or len(entry.keys() & {"text", "base64"}) != 1:
        raise WrongError("neither text nor base64 is given")
    kind, value = ("text", entry["text"]) if "text" in entry else ("base64", entry["base64"])
    if not isinstance(value, str):
        raise WrongError(f"{kind} is not a string")
    if kind == "text":
        return encoded(value)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise WrongError("the base64 text is damaged") from None


_XML_ENCODING = re.compile(
    r"\ufeff?<\?xml[^>]{1,200}encoding=[\"'](utf-16|iso-8859-\d{1,2}|windows-125\d)(?:le|be)?[\"']", re.IGNORECASE
)


def _look_kept(entry: Mapping[str, object], file: str) -> None:
    """Of some files the collector kept only why nothing else was kept."""
    unread, malformed, line = entry.get("unread"), entry.get("malformed"), entry.get("line")
    if isinstance(unread, str):
        raise WrongError(printable(unread[:_WORDS]))
    if isinstance(malformed, str):
        place = line if isinstance(line, int) and 0 < line <= MAXIMUM_SIZE else None
        raise MalformedError(file, place, printable(malformed[:_WORDS]))


def encoded(text: str) -> bytes:
    """The text in the encoding that its own XML declaration names, which the reader of XML goes by.

    Raises WrongError where somebody decoded it wrongly: it holds what stands for a character that could not be told.
    """
    if "\ufffd" in text or "\0" in text:
        raise WrongError("its characters cannot be told: it was read in another encoding than it is written in")
    declared = _XML_ENCODING.match(text)
    for encoding in (*((declared[1],) if declared else ()), "utf-8"):
        try:
            return text.encode(encoding)
        except (LookupError, UnicodeEncodeError):
            continue
    raise WrongError("the text holds half a character (a lone surrogate)")
