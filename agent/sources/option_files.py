"""The files of options, all TOML: farm names (`--farm`), what is wanted (`--want`), accepted findings (`--accept`).

A slip in one of them would silently change what is judged, so nothing unknown is let through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar, cast, get_args

from msgspec.structs import replace

from agent.change.want import COMPUTER, Want
from agent.checks.accept import Acceptance, accept, subject_of
from agent.checks.findings import FINDINGS
from agent.errors import UsageError
from agent.model import Finding, SourceKind, SourceRead
from agent.names import HostName, account_name, fold, host_fault, host_name, printable, spn, spn_fault
from agent.sources import text_file, toml_file
from agent.spelling import did_you_mean
from agent.spn.computer_names import Delegate, FarmName, Proxy

T = TypeVar("T")
_Entry = Mapping[str, object]


_FARM_KEYS = ("host", "servers", "site", "proxy", "delegate")


def farm_file(path: Path) -> tuple[FarmName, ...]:
    """The `[[name]]` entries of a farm file. Raises UsageError with file, line where known, and what is wrong."""
    return tuple([name for name, _ in _entries(path, "name", _FARM_KEYS, _farm_name)])


_WANT_KEYS = ("host", "servers", "site", "account", "short_name")


def want_file(path: Path) -> tuple[Want, ...]:
    """The `[[want]]` entries of a file. Raises UsageError with file, line where known, and what is wrong."""
    found = _entries(path, "want", _WANT_KEYS, _want)
    if not found:
        raise UsageError(f"{path}: there is no [[want]]")
    places = (_place(path, line, at) for at, (_, line) in enumerate(found, start=1))
    return tuple([replace(want, file=str(path), place=at) for (want, _), at in zip(found, places, strict=True)])


def told_of_wants(wants: Iterable[Want]) -> tuple[SourceRead, ...]:
    """That files of wants were read, for the report."""
    files = dict.fromkeys(want.file for want in wants if want.file)
    return tuple([SourceRead(kind="want", source=file, date=text_file.written(Path(file))) for file in files])


def _place(path: Path, line: int | None, number: int) -> str:
    return f"{path}:{line}" if line is not None else f"{path}, entry {number}"


def accept_file(path: Path) -> tuple[Acceptance, ...]:
    """The `[[accept]]` entries of a file. Raises UsageError with file, line where known, and what is wrong."""
    entries = _entries(path, "accept", ("id", "subject", "reason", "until"), _acceptance)
    return tuple([replace(acceptance, file=str(path), line=line) for acceptance, line in entries])


UNREASONED = "to be given, written "
"""How a reason begins that nobody has given yet."""

_HEAD = """\
# Findings that may stay: give each a reason, or take it out. A last day may stand with it: until = 2027-01-31
"""


def with_accepted(path: Path, findings: Iterable[Finding], today: date) -> tuple[str, int]:
    """The text of an accept file in which these findings are accepted too, and how many were added.

    What stands in the file stays as it is. Raises UsageError where that is no accept file.
    """
    import tomllib

    is_new = not text_file.is_there(path)
    present = _HEAD if is_new else text_file.read_text(path)
    known = () if is_new else accept_file(path)
    added: dict[tuple[str, str], str] = {}
    for finding in accept(findings, known, today):
        if finding.accepted is None and finding.id != "accept-unmatched":
            subject = subject_of(finding)
            added.setdefault((finding.id, subject), _entry(finding, subject, today))
    try:
        tomllib.loads(f"{present}\n[[accept]]\n")
    except tomllib.TOMLDecodeError:
        raise UsageError(f"{path}: nothing can be added, accept must be written as [[accept]]") from None
    return f"{present.rstrip()}\n{''.join(added.values())}", len(added)


def unreasoned(path: Path, acceptances: Iterable[Acceptance]) -> str | None:
    """That some of them have no reason yet, and at which lines."""
    lines = [str(each.line or "?") for each in acceptances if each.reason.startswith(UNREASONED)]
    if not lines:
        return None
    more = f" and {len(lines) - 10} more" if len(lines) > 10 else ""
    return f"{path}: reasons that are to be given: {len(lines)} (line {', '.join(lines[:10])}{more})"


def _entry(finding: Finding, subject: str, today: date) -> str:
    lines = ("", f"# {finding.severity}: {printable(finding.message)}", "[[accept]]", f"id = {_quoted(finding.id)}")
    reason = f"{UNREASONED}{today.isoformat()}"
    return "\n".join((*lines, f"subject = {_quoted(_meant(subject))}", f"reason = {_quoted(reason)}", ""))


def _meant(subject: str) -> str:
    """What no file can hold, and blanks at an end, which the reader takes away, become `*`."""
    text = re.sub("[\ud800-\udfff]", "*", subject)
    return re.sub(r"^\s+|\s+$", "*", text)


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def told_of(farm: Iterable[Path], names: Iterable[Path], accept: Iterable[Path]) -> tuple[SourceRead, ...]:
    """That these files were read, for the report."""
    kinds: Iterable[tuple[SourceKind, Iterable[Path]]] = (("farm", farm), ("names", names), ("accept", accept))
    return tuple(
        [
            SourceRead(kind=kind, source=str(path), date=text_file.written(path))
            for kind, paths in kinds
            for path in paths
        ]
    )


# -- entries -------------------------------------------------------------------------------------------------------


def _farm_name(entry: _Entry) -> FarmName:
    return FarmName(
        host=_farm_host(_text(entry, "host")),
        servers=_servers(entry),
        site=_text(entry, "site") if "site" in entry else None,
        proxy=_proxy(_text(entry, "proxy")) if "proxy" in entry else None,
        delegate=_delegate(entry["delegate"]) if "delegate" in entry else None,
    )


def _want(entry: _Entry) -> Want:
    servers, account = _servers(entry), _text(entry, "account") if "account" in entry else None
    short = entry.get("short_name", True)
    if not isinstance(short, bool):
        raise ValueError("short_name must be true or false")  # noqa: TRY004  # what a user wrote, not a slip of ours
    if account is not None and fold(account) == COMPUTER and len(servers) > 1:
        raise ValueError(
            f"account 'computer' is for one server only, not for {', '.join(servers)}: each server decrypts with its "
            "own computer account, and an SPN is on one account"
        )
    if account is not None and fold(account) != COMPUTER:
        account_name(account)
    return Want(
        host=_farm_host(_text(entry, "host")),
        servers=servers,
        site=_text(entry, "site") if "site" in entry else None,
        account=account,
        short_name=short,
    )


def _farm_host(text: str) -> HostName:
    host = host_name(text)
    if host.is_address:
        raise ValueError(f"host '{printable(text)}' is an address: clients do not try Kerberos with one")
    fault = "a wildcard names no host" if host.is_wildcard else host_fault(host)
    if fault is not None:
        raise ValueError(f"host '{printable(text)}' is not a host name: {fault}")
    return host


def _servers(entry: _Entry) -> tuple[str, ...]:
    servers = entry.get("servers")
    if not isinstance(servers, list) or not servers:
        raise ValueError("servers must be a list of server names")
    for server in servers:
        if not isinstance(server, str) or host_fault(host_name(server)) is not None:
            raise ValueError(f"'{printable(str(server))}' in servers is not a server name")
    return tuple(host_name(server).text for server in servers)


def _proxy(text: str) -> Proxy:
    known = get_args(Proxy)
    if text not in known:
        raise ValueError(f"proxy must be {' or '.join(known)}, not '{printable(text)}'")
    return cast("Proxy", text)


def _delegate(entry: object) -> Delegate:
    if not isinstance(entry, dict):
        raise ValueError(  # noqa: TRY004  # what a user wrote, not a slip of ours
            r"delegate must be a table: { account = 'DOMAIN\name', spn = 'HTTP/name' }"
        )
    _refuse_unknown(entry, ("account", "spn"))
    name = spn(_text(entry, "spn"))
    if (fault := spn_fault(name.text)) is not None:
        raise ValueError(f"spn '{printable(name.text)}' in delegate never matches: {fault}")
    return Delegate(account_name(_text(entry, "account")), name)


def _acceptance(entry: _Entry) -> Acceptance:
    finding = _text(entry, "id")
    if finding not in FINDINGS:
        asked = did_you_mean(finding, FINDINGS) or " (iis-spn rules lists them)"
        raise ValueError(f"there is no finding '{printable(finding)}'{asked}")
    until = entry.get("until")
    if until is not None and (not isinstance(until, date) or isinstance(until, datetime)):
        raise ValueError("until must be a date without quotes, such as 2027-01-31")
    return Acceptance(id=finding, subject=_text(entry, "subject"), reason=_text(entry, "reason"), until=until)


def _text(entry: _Entry, key: str) -> str:
    if key not in entry:
        raise ValueError(f"{key} is missing")
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} must be a text that is not empty")
    return value.strip()


# -- TOML ----------------------------------------------------------------------------------------------------------


def _entries(path: Path, table: str, keys: Iterable[str], make: Callable[[_Entry], T]) -> list[tuple[T, int | None]]:
    """What is made of each entry, with its line where that is known."""
    text = text_file.read_text(path)
    entries = _tables(toml_file.parsed(path, text), path, table)
    head = re.compile(rf"[ \t]*\[\[[ \t]*{table}[ \t]*\]\]")
    heads = [number for number, line in enumerate(text.split("\n"), start=1) if head.match(line)]
    lines = heads if len(heads) == len(entries) else []
    made = []
    for number, entry in enumerate(entries):
        try:
            _refuse_unknown(entry, keys)
            made.append((make(entry), lines[number] if lines else None))
        except ValueError as error:
            place = _place(path, lines[number] if lines else None, number + 1)
            raise UsageError(f"{place}: [[{table}]]: {error}") from None
    return made


def _tables(document: _Entry, path: Path, table: str) -> list[_Entry]:
    try:
        _refuse_unknown(document, (table,))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    entries = document.get(table, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: {table} must be written as [[{table}]]")
    return entries


def _refuse_unknown(entry: _Entry, keys: Iterable[str]) -> None:
    for key in entry:
        if key not in keys:
            raise ValueError(f"unknown key '{printable(key)}'; known: {', '.join(keys)}")
