"""A server as files: a bare applicationHost.config, a snapshot folder or a snapshot file (docs/snapshot.schema.json).

A snapshot may come from anywhere, so nothing in it is trusted: sizes are looked at before reading, links that leave
the folder and paths that leave the snapshot are refused. What is wrong becomes a `Problem`, the rest is still read.
"""

from __future__ import annotations

import base64
import binascii
import glob
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar, cast, get_args

from agent.errors import MalformedError, UsageError
from agent.model import Problem
from agent.names import HostName, address_of, fold, host_fault, host_name, netbios_name, printable
from agent.parse import MAXIMUM_SIZE
from agent.redirection import APPLICATION_HOST, REDIRECTION_FILE
from agent.snapshot import Machine, Membership, Snapshot, SourceFile, WorkerProcess

SCHEMA = "iis-spn/snapshot/1"
MAXIMUM_FOLDER = 512 * 1024 * 1024
"""Most bytes read from one snapshot folder."""
MAXIMUM_PACKED = 256 * 1024 * 1024
"""Most bytes a snapshot file may have once it is unpacked."""
MAXIMUM_VALUES = 2_000_000
"""Most brackets, commas and strings of a JSON document: each becomes an object of up to a hundred bytes."""

MACHINE = "machine.json"
FRAMED = ".snapshot"
PACKED = (".snapshot.json.gz", ".snapshot.json")

_TOP = frozenset({APPLICATION_HOST, REDIRECTION_FILE, MACHINE})
_NO_SERVER = (".ldif", ".txt", ".toml", ".md", ".json", ".csv", ".html")

T = TypeVar("T")


class _WrongError(Exception):
    """A value of a snapshot is not what it should be; the text says what is wrong with it."""


# -- which targets -------------------------------------------------------------------------------------------------


def expand(patterns: Sequence[str]) -> list[Path]:
    """The servers that TARGETs name, each once: files, snapshot folders, what a folder of snapshots holds.

    What does not exist and a folder without any configuration stay targets, so that `read` can say so. Raises
    UsageError for a pattern that matches nothing. A POSIX shell expands `*` itself: among several TARGETs, files
    that are evidently no server are left out as well.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            for target in _targets(path):
                found.setdefault(os.path.normcase(os.path.realpath(target)), target)
    servers = [path for path in found.values() if not (path.is_file() and _is_no_server(path.name))]
    return servers if servers and len(patterns) > 1 else list(found.values())


def _matches(pattern: str) -> list[Path]:
    if not pattern or "\0" in pattern:
        raise UsageError(f"no file or folder can be called '{printable(pattern)}'")
    if os.path.lexists(pattern):
        return [Path(pattern)]
    if "*" not in pattern and "?" not in pattern:
        return [Path(pattern)]
    literal_brackets = pattern.replace("[", "[[]")
    names = sorted(glob.glob(literal_brackets))  # noqa: PTH207  pathlib refuses absolute patterns
    servers = [Path(name) for name in names if not _is_no_server(Path(name).name)]
    if not servers:
        reason = "only files that are no server" if names else "nothing"
        raise UsageError(f"'{printable(pattern)}' matches {reason}")
    return servers


def _is_no_server(name: str) -> bool:
    key = fold(name)
    return key.startswith(".") or (key.endswith(_NO_SERVER) and not key.endswith(PACKED))


def _targets(path: Path) -> list[Path]:
    names = _names(path)
    if names is None or _is_snapshot(names):
        return [path]
    return [path / name for name in names if _is_target(path / name)] or [path]


def _is_target(path: Path) -> bool:
    names = _names(path)
    return fold(path.name).endswith((FRAMED, *PACKED)) if names is None else _is_snapshot(names)


def _names(folder: Path) -> list[str] | None:
    """What stands in a folder; None where it is no folder or cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are asked for, not paths
    except OSError:
        return None


def _is_snapshot(names: Sequence[str]) -> bool:
    return any(fold(name) in _TOP for name in names)


# -- one target ----------------------------------------------------------------------------------------------------


class _Content(NamedTuple):
    """What a target holds. `called` is what its own name says about the computer's."""

    files: Mapping[str, SourceFile]
    machine: Machine
    problems: Sequence[Problem]
    called: str | None


def read(path: Path, computer: str | None, netbios: Mapping[str, str]) -> Snapshot:
    """Read one target of `expand`. Never raises for what stands in it.

    `computer` is the server's FQDN where it is known from elsewhere; `netbios` has NetBIOS names by folded DNS name
    of the domain, under "" the one for any domain. Both only fill what the target does not say.
    """
    content = _read_folder(path) if is_folder(path) else _read_file(path)
    machine, doubts = complete(content.machine, computer, content.called, netbios)
    return Snapshot(source=_shown(path), machine=machine, files=content.files, problems=(*content.problems, *doubts))


def _shown(path: Path) -> str:
    return printable(str(path))


def is_folder(path: str | Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises where the folder above cannot be entered


def _problem(reason: str, file: str, line: int | None = None) -> Problem:
    return Problem(id="config-malformed", message=reason, file=file, line=line)


def _read_file(path: Path) -> _Content:
    name = fold(path.name)
    suffix = next((suffix for suffix in (FRAMED, *PACKED) if name.endswith(suffix)), None)
    if suffix is None:
        return _Content({APPLICATION_HOST: load(path, _shown(path))}, Machine(), (), None)
    called = _computer_in(path.name[: -len(suffix)])
    if suffix == FRAMED:
        reason = "the text that collect.ps1 prints, which this version cannot read"
        return _Content({}, Machine(), (_problem(reason, _shown(path)),), called)
    try:
        files, machine, problems = _unpack(path)
    except MalformedError as error:
        return _Content({}, Machine(), (_problem(error.reason, error.file, error.line),), called)
    return _Content(files, machine, problems, called)


def load(path: Path, name: str, limit: int = MAXIMUM_SIZE) -> SourceFile:
    """Read one file, at most `limit` bytes, under the name shown to people. Never raises: the answer says why not."""
    try:
        status = path.stat()
        reason = _why_not(status, limit)
        if reason is None:
            with path.open("rb") as stream:
                data = stream.read(limit + 1)
            return _sized(name, data, limit)
    except OSError as error:
        reason = _in_words(error, path)
    return SourceFile(name, b"", reason)


def _why_not(status: os.stat_result, limit: int) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "a folder, not a file"
    if not stat.S_ISREG(status.st_mode):
        return "a device or a pipe, not a file"
    return _too_large(limit) if status.st_size > limit else None


def _sized(name: str, data: bytes, limit: int) -> SourceFile:
    return SourceFile(name, b"", _too_large(limit)) if len(data) > limit else SourceFile(name, data)


def _too_large(limit: int) -> str:
    return f"larger than {limit // 1024 // 1024} MB"


def _in_words(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "a link whose target does not exist" if path.is_symlink() else "no such file"
    if isinstance(error, PermissionError):
        return "access denied"
    return f"cannot be read: {error.strerror or error}"


def _matters(key: str) -> bool:
    """Whether a file of a snapshot is read: no other can say anything about windowsAuthentication."""
    return key in _TOP or (key.startswith("files/") and key.endswith(".config"))


# -- a snapshot folder ---------------------------------------------------------------------------------------------


def _read_folder(path: Path) -> _Content:
    folder = _Folder(path)
    folder.read()
    machine_file = folder.files.pop(MACHINE, None)
    machine, problems = Machine(), folder.problems
    if machine_file is not None:
        machine, wrong = _machine_file(machine_file)
        problems = [*problems, *wrong]
    return _Content(folder.files, machine, problems, _computer_in(Path(os.path.abspath(path)).name))  # noqa: PTH100


def _machine_file(file: SourceFile) -> tuple[Machine, Sequence[Problem]]:
    if file.error is not None:
        return Machine(), (_problem(file.error, file.name),)
    try:
        return _machine(_json(file.data, file.name), file.name)
    except MalformedError as error:
        return Machine(), (_problem(error.reason, error.file, error.line),)


class _Folder:
    """Walks one snapshot folder and keeps the files that matter, by folded path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, SourceFile] = {}
        self.problems: list[Problem] = []
        self._real = os.path.realpath(path)
        self._room = MAXIMUM_FOLDER

    def read(self) -> None:
        open_folders = [(self.path, "")]
        while open_folders:
            folder, below = open_folders.pop()
            for entry in self._entries(folder, below):
                relative = f"{below}/{entry.name}" if below else entry.name
                if self._is_entered(entry, relative):
                    open_folders.append((Path(entry.path), relative))
                elif _matters(fold(relative)):
                    self._take(entry, relative)

    def _name(self, relative: str) -> str:
        return printable(f"{self.path}/{relative}") if relative else _shown(self.path)

    def _entries(self, folder: Path, below: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            what = "content-unread" if below else "config-malformed"
            reason = f"the folder could not be listed: {_in_words(error, folder)}"
            self.problems.append(Problem(id=what, message=reason, file=self._name(below)))
            return []

    def _is_entered(self, entry: os.DirEntry[str], relative: str) -> bool:
        key = fold(relative)
        if not f"{key}/".startswith("files/") or key.endswith("/web.config") or not is_folder(entry.path):
            return False
        if is_link(entry):
            reason = "a link to a folder, which is not followed: what it holds is not known"
            self.problems.append(Problem(id="content-unread", message=reason, file=self._name(relative)))
            return False
        return True

    def _take(self, entry: os.DirEntry[str], relative: str) -> None:
        name, key = self._name(relative), fold(relative)
        if key in self.files:
            reason = "it stands here twice, the names differ in case only"
            self.files[key] = SourceFile(name, b"", reason)
        elif is_link(entry) and not self._is_inside(entry):
            self.files[key] = SourceFile(name, b"", "a link that leads out of the snapshot, which is not followed")
        elif self._room <= 0:
            reason = f"the snapshot holds more than {MAXIMUM_FOLDER // 1024 // 1024} MB"
            self.files[key] = SourceFile(name, b"", reason)
        else:
            self.files[key] = load(Path(entry.path), name)
            self._room -= len(self.files[key].data)

    def _is_inside(self, entry: os.DirEntry[str]) -> bool:
        return Path(self._real) in Path(os.path.realpath(entry.path)).parents


def is_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a symbolic link or a junction (Python 3.11 does not call a junction a link)."""
    try:
        attributes: int = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
        is_junction = bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT) and entry.is_dir()
        return is_junction or entry.is_symlink()
    except OSError:
        return True  # it went away meanwhile, or cannot be looked at


# -- a snapshot file -----------------------------------------------------------------------------------------------


def _unpack(path: Path) -> tuple[Mapping[str, SourceFile], Machine, Sequence[Problem]]:
    """Read NAME.snapshot.json.gz. Raises MalformedError where nothing of it can be used."""
    shown = _shown(path)
    packed = load(path, shown, MAXIMUM_PACKED)
    if packed.error is not None:
        raise MalformedError(shown, None, packed.error)
    plain = _unzip(packed.data, shown) if packed.data.startswith(b"\x1f\x8b") else packed.data
    document = _json(plain, shown)
    if not isinstance(document, dict):
        raise MalformedError(shown, 1, "not a snapshot: a JSON object is expected")
    if document.get("schema") != SCHEMA:
        said = printable(str(document.get("schema"))[:80])
        raise MalformedError(shown, None, f"its schema is '{said}'; this version reads {SCHEMA}")
    machine, problems = (
        _machine(document["machine"], f"{shown}/{MACHINE}") if "machine" in document else (Machine(), ())
    )
    files, refused = _unpack_files(document.get("files"), shown)
    return files, machine, (*problems, *refused)


def _unzip(data: bytes, shown: str) -> bytes:
    """One gzip member, unpacked as far as the limit: more than one, or a tail, `collect` never writes."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, MAXIMUM_PACKED + 1)
    except zlib.error as error:
        raise MalformedError(shown, None, f"the gzip data is damaged: {error}") from None
    if len(plain) > MAXIMUM_PACKED:
        raise MalformedError(shown, None, f"{_too_large(MAXIMUM_PACKED)} when unpacked")
    if not unpacker.eof:
        raise MalformedError(shown, None, "the gzip data is cut off")
    if unpacker.unused_data.strip(b"\0"):
        raise MalformedError(shown, None, "something stands behind the gzip data")
    return plain


def _unpack_files(value: object, shown: str) -> tuple[dict[str, SourceFile], list[Problem]]:
    files: dict[str, SourceFile] = {}
    problems: list[Problem] = []
    if not isinstance(value, dict):
        return files, [_problem("files is not an object of paths", shown)]
    room = MAXIMUM_FOLDER
    for path, entry in value.items():
        try:
            relative = _safe_path(path)
        except _WrongError as error:
            problems.append(_problem(f"the file '{printable(path[:200])}' is refused: {error}", shown))
            continue
        key = fold(relative)
        if _matters(key) and key != MACHINE:
            name = f"{shown}/{printable(relative)}"
            files[key] = _unpack_file(name, entry, room, key in files)
            room -= len(files[key].data)
    return files, problems


def _safe_path(path: str) -> str:
    """A path of a snapshot with forward slashes. Raises _WrongError where it leads anywhere else."""
    if printable(path) != path:
        raise _WrongError("the path holds a control or invisible character")
    slashed = path.replace("\\", "/")
    if slashed.startswith("/"):
        raise _WrongError("the path is absolute")
    if ":" in slashed:
        raise _WrongError("the path holds a drive or a stream")
    parts = [part for part in slashed.split("/") if part not in {"", "."}]
    if any(part.rstrip(". ") == "" for part in parts):
        raise _WrongError("the path leads upwards")
    return "/".join(parts)


def _unpack_file(name: str, entry: object, room: int, is_second: bool) -> SourceFile:
    if is_second:
        return SourceFile(name, b"", "it stands in the snapshot twice, the paths differ in case only")
    if room <= 0:
        return SourceFile(name, b"", f"the snapshot holds more than {MAXIMUM_FOLDER // 1024 // 1024} MB")
    try:
        return _sized(name, _bytes(entry), MAXIMUM_SIZE)
    except _WrongError as error:
        return SourceFile(name, b"", str(error))


def _bytes(entry: object) -> bytes:
    if not isinstance(entry, dict) or len(entry.keys() & {"text", "base64"}) != 1:
        raise _WrongError("neither text nor base64 is given")
    kind, value = ("text", entry["text"]) if "text" in entry else ("base64", entry["base64"])
    if not isinstance(value, str):
        raise _WrongError(f"{kind} is not a string")
    if kind == "text":
        return _encoded(value)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _WrongError("the base64 text is damaged") from None


_XML_ENCODING = re.compile(
    r"\ufeff?<\?xml[^>]{1,200}encoding=[\"'](utf-16|iso-8859-\d{1,2}|windows-125\d)(?:le|be)?[\"']", re.IGNORECASE
)


def _encoded(text: str) -> bytes:
    """The text in the encoding that its own XML declaration names, which the reader of XML goes by."""
    declared = _XML_ENCODING.match(text)
    for encoding in (*((declared[1],) if declared else ()), "utf-8"):
        try:
            return text.encode(encoding)
        except (LookupError, UnicodeEncodeError):
            continue
    raise _WrongError("the text holds half a character (a lone surrogate)")


# -- JSON ----------------------------------------------------------------------------------------------------------

_VALUE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def _json(data: bytes, file: str) -> object:
    """Decode JSON in UTF-8 or UTF-16. Raises MalformedError with the line."""
    if not data.strip():
        raise MalformedError(file, 1, "the file is empty")
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedError(file, line, f"not JSON: not {error.encoding} text") from None
    if next(islice(_VALUE.finditer(text), MAXIMUM_VALUES, None), None) is not None:
        raise MalformedError(file, None, f"not a snapshot: more than {MAXIMUM_VALUES} values")
    try:
        return cast("object", json.loads(text))
    except json.JSONDecodeError as error:
        raise MalformedError(file, error.lineno, f"not JSON: {error.msg}") from None
    except RecursionError:
        raise MalformedError(file, None, "not JSON: nested too deeply") from None
    except ValueError as error:
        raise MalformedError(file, None, f"not JSON: {error}") from None


# -- machine.json --------------------------------------------------------------------------------------------------


class _Facts:
    """One JSON object, read key by key: a value of the wrong kind is told and taken as not given."""

    def __init__(self, values: Mapping[str, object], file: str) -> None:
        self._values = values
        self._file = file
        self.problems: list[Problem] = []

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def take(self, key: str, reader: Callable[[object], T], missing: T) -> T:
        value = self._values.get(key)
        if value is None:
            return missing
        try:
            return reader(value)
        except _WrongError as error:
            self.problems.append(_problem(f"key '{key}' is ignored: {error}", self._file))
            return missing


def _machine(value: object, file: str) -> tuple[Machine, Sequence[Problem]]:
    if not isinstance(value, dict):
        return Machine(), (_problem("not the facts of a machine: a JSON object is expected", file),)
    facts = _Facts(value, file)
    content = facts.take("content", _looked, None)
    machine = Machine(
        name=facts.take("name", _short_name, None),
        dns_name=facts.take("dns_name", _dns_name, None),
        domain=facts.take("domain", _dns_name, None),
        netbios_domain=facts.take("netbios_domain", _netbios, None),
        membership=facts.take("membership", _membership, None),
        domain_controller=facts.take("domain_controller", _boolean, missing=False),
        addresses=facts.take("addresses", _addresses, ()),
        environment=facts.take("environment", _texts, {}),
        registry=facts.take("registry", _registry, None),
        services=facts.take("services", _texts, None),
        worker_processes=facts.take("worker_processes", _worker_processes, None),
        content_looked=content is not None and content[0],
        unread=content[1] if content is not None else (),
        collected_at=facts.take("collected_at", _moment, None),
    )
    if not facts.has("name"):
        facts.problems.append(_problem("key 'name' is missing from the facts of the machine", file))
    return machine, facts.problems


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _WrongError("it must be a text")
    if printable(value) != value:
        raise _WrongError("it holds a control or invisible character")
    return value.strip()


def _short_name(value: object) -> str:
    text = _text(value)
    if "." in text or host_fault(host_name(text)) is not None:
        raise _WrongError(f"'{text[:80]}' is not a short computer name")
    return text


def _dns_name(value: object) -> str:
    host = host_name(_text(value))
    if host.is_address or host.is_wildcard or host_fault(host) is not None:
        raise _WrongError(f"'{host.text[:80]}' is not a DNS name")
    return host.text


def _netbios(value: object) -> str:
    text = _text(value)
    if not 0 < len(text) <= 15 or any(c in r'\/:*?"<>|' for c in text):
        raise _WrongError(f"'{text[:80]}' is not a NetBIOS name")
    return text


def _membership(value: object) -> Membership:
    known = get_args(Membership)
    if fold(_text(value)) not in known:
        raise _WrongError(f"it must be one of {', '.join(known)}")
    return cast("Membership", fold(_text(value)))


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongError("it must be true or false")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _WrongError("it must be a whole number")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise _WrongError("it must be a list")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _WrongError("it must be an object")
    return value


def _addresses(value: object) -> tuple[str, ...]:
    texts = tuple(_text(item) for item in _list(value))
    for text in texts:
        if address_of(text) is None:
            raise _WrongError(f"'{text[:80]}' is not an IP address")
    return texts


def _texts(value: object) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in _mapping(value).items()}


def _registry(value: object) -> dict[str, object]:
    """The values by name; null means the same as no value."""
    values = {_text(name): given for name, given in _mapping(value).items() if given is not None}
    for name, given in values.items():
        reader = _REGISTRY.get(fold(name))
        try:
            values[name] = given if reader is None else reader(given)
        except _WrongError as error:
            raise _WrongError(f"{name}: {error}") from None
    return values


_REGISTRY: Mapping[str, Callable[[object], object]] = {
    "backconnectionhostnames": lambda value: [_text(item) for item in _list(value)],
    "disableloopbackcheck": _number,
    "maxfieldlength": _number,
    "maxrequestbytes": _number,
}


def _worker_processes(value: object) -> tuple[WorkerProcess, ...]:
    each = [_mapping(item) for item in _list(value)]
    return tuple(
        WorkerProcess(_text(item.get("pool")), _number(item.get("pid")), _text(item.get("account"))) for item in each
    )


def _looked(value: object) -> tuple[bool, tuple[tuple[str, str], ...]]:
    content = _mapping(value)
    each = [_mapping(item) for item in _list(content.get("unread", []))]
    unread = tuple((_text(item.get("path")), _text(item.get("why", "not said"))) for item in each)
    return _boolean(content.get("looked", False)), unread


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise _WrongError("it must be a time such as 2026-11-22T10:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


# -- what is not said ----------------------------------------------------------------------------------------------


def complete(
    machine: Machine, computer: str | None, called: str | None, netbios: Mapping[str, str]
) -> tuple[Machine, tuple[Problem, ...]]:
    """Fill in the names that follow from others, from `computer` (an FQDN) and from the target's own name."""
    given, doubt = _given(machine, computer)
    dns_name = machine.dns_name or (given.text if given is not None and given.suffix else None)
    name = machine.name or _first_of(given.text if given is not None else dns_name) or called
    domain = machine.domain or (_suffix(dns_name) if machine.joined else None)
    if dns_name is None and name is not None and domain is not None:
        dns_name = fold(f"{name}.{domain}")
    netbios_domain = machine.netbios_domain or (_netbios_of(domain, netbios) if machine.joined else None)
    whole = replace(machine, name=name, dns_name=dns_name, domain=domain, netbios_domain=netbios_domain)
    return whole, () if doubt is None else (Problem(id="machine-unknown", message=doubt),)


def _given(machine: Machine, computer: str | None) -> tuple[HostName | None, str | None]:
    """The name from elsewhere, or why it is not used."""
    if computer is None:
        return None, None
    host = host_name(computer)
    if host.is_address or host.is_wildcard or host_fault(host) is not None:
        return None, f"'{printable(computer)}' is not the name of a computer"
    if machine.name is not None and fold(netbios_name(host.text)) != fold(netbios_name(machine.name)):
        return None, f"it is {machine.name}, not {host.text}, which is ignored"
    return host, None


def _first_of(host: str | None) -> str | None:
    """`IIS01` of `iis01.test.com`, as Windows writes a computer's name."""
    return netbios_name(host).upper() if host else None


def _suffix(host: str | None) -> str | None:
    return (host_name(host).suffix or None) if host else None


def _netbios_of(domain: str | None, netbios: Mapping[str, str]) -> str | None:
    if domain is not None and fold(domain) in netbios:
        return netbios[fold(domain)]
    first = domain.partition(".")[0].upper()[:15] if domain else None
    return netbios.get("") or first


def _computer_in(name: str) -> str | None:
    """The computer that a folder or file is named after, where that can be the name of one."""
    label = name.partition(".")[0]
    can_be = host_fault(host_name(label)) is None and not label.isdigit()
    return label if can_be else None
