"""Which servers are asked: names typed, text files and Ansible inventories, each server once.

A file's format is told by its extension, else by what stands in it. No file is followed to another one, but for
Ansible's own `group_vars` and `host_vars` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from msgspec.structs import replace

from agent.errors import UsageError
from agent.names import address_of, fold, printable
from agent.sources import text_file
from agent.sources.endpoint import MOST_NAMES, Defaults, Endpoint, expand, parse
from agent.sources.inventory.ansible_variables import VAULT_MARK
from agent.sources.snapshots.store import stem

STDIN = "-"

T = TypeVar("T")
Format = Literal["text", "ini", "yaml", "json"]
_Named = tuple[Endpoint, str]
"""A server and the place that names it."""


class Inventory(NamedTuple):
    """Servers in the order they were named; `notes` are sentences on what was left out or is not honoured.

    `places` says for each endpoint where it was named: `farm.txt:3`, `command line`.
    """

    endpoints: tuple[Endpoint, ...] = ()
    notes: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def words(names: Iterable[str], defaults: Defaults, place: str = "command line") -> Inventory:
    """The servers of a command line, ranges expanded. Raises UsageError that names the word."""
    return _inventory_of(
        [(parse(name, defaults), place) for name in _bounded(name for word in names for name in expand(word))]
    )


def read_inventory(path: str | Path, defaults: Defaults) -> Inventory:
    """The servers of one inventory file, `-` for standard input. Raises UsageError with file and line."""
    file = None if str(path) == STDIN else Path(path)
    text, place = text_file.read_text(file), text_file.place_of(file)
    if text.startswith(VAULT_MARK):
        wanted = "pipe it in, ansible-vault view FILE | ... --inventory -"
        raise UsageError(f"{place}:1: the whole file is vaulted: {wanted}")
    kind = _format(text, file.suffix if file else "")
    if kind == "text":
        return _inventory_of(list(_bounded(_lines(text, place, defaults))))
    from agent.sources.inventory import ansible_inventory

    found = ansible_inventory.read_ansible(text, kind, place, file.parent if file else None, defaults)
    return _inventory_of(found.servers, found.notes)


def combined(inventories: Iterable[Inventory]) -> Inventory:
    """Several inventories as one: of two entries for the same host and port the first one counts.

    Raises UsageError where one name stands for two hosts, or two names for one file of a folder of snapshots.
    """
    every = list(inventories)
    servers = [pair for one in every for pair in zip(one.endpoints, one.places, strict=True)]
    return _inventory_of(servers, [note for one in every for note in one.notes])


# -- each server once ----------------------------------------------------------------------------------------------


def _inventory_of(servers: Sequence[_Named], notes: Iterable[str] = ()) -> Inventory:
    once: dict[tuple[str, int], _Named] = {}
    for endpoint, place in servers:
        once.setdefault((_host_key(endpoint), endpoint.port), (endpoint, place))
    kept = _told_apart(list(once.values()))
    unique_notes = tuple(dict.fromkeys(notes))
    return Inventory(tuple(one for one, _ in kept), unique_notes, tuple(place for _, place in kept))


def _host_key(endpoint: Endpoint) -> str:
    address = address_of(endpoint.host)
    zone = endpoint.host.partition("%")[2]
    return f"{address}%{zone}" if address else fold(endpoint.host)


def _told_apart(servers: Sequence[_Named]) -> list[_Named]:
    """The servers with names of their own, which no two files of a folder of snapshots are called after.

    Where one host stands with several ports, the port is part of the name.
    """
    files = [_file(*server) for server in servers]
    first: dict[str, _Named] = {}
    shared: set[str] = set()
    for file, server in zip(files, servers, strict=True):
        known = first.setdefault(file, server)
        if _host_key(known[0]) != _host_key(server[0]):
            raise _clash_error(known, server)
        if known is not server:
            shared.add(file)
    if not shared:
        return list(servers)
    return _distinct(
        (_with_port(endpoint) if file in shared else endpoint, place)
        for file, (endpoint, place) in zip(files, servers, strict=True)
    )


def _distinct(servers: Iterable[_Named]) -> list[_Named]:
    """The servers, where the names with ports are nobody else's."""
    first: dict[str, _Named] = {}
    for server in servers:
        known = first.setdefault(_file(*server), server)
        if known is not server:
            raise _clash_error(known, server)
    return list(first.values())


def _file(endpoint: Endpoint, place: str) -> str:
    """What two snapshots must not have in common to be two files, on Windows as well."""
    try:
        return fold(stem(endpoint.name))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _clash_error(known: _Named, server: _Named) -> UsageError:
    (one, one_place), (other, other_place) = known, server
    hosts = f"{printable(one.host)} ({one_place}) and {printable(other.host)} ({other_place})"
    if fold(one.name) == fold(other.name) and _host_key(one) != _host_key(other):
        return UsageError(f"the name '{printable(other.name)}' stands for two hosts: {hosts}")
    names = f"'{printable(one.name)}' and '{printable(other.name)}'"
    return UsageError(f"the snapshots of {names} would be one file: {hosts}")


def _with_port(endpoint: Endpoint) -> Endpoint:
    name = f"[{endpoint.name}]" if ":" in endpoint.name else endpoint.name
    return replace(endpoint, name=f"{name}:{endpoint.port}")


def _bounded(items: Iterable[T]) -> Iterator[T]:
    for number, item in enumerate(items):
        if number >= MOST_NAMES:
            raise UsageError(f"more than {MOST_NAMES} servers")
        yield item


# -- text files ----------------------------------------------------------------------------------------------------

_COMMENT = re.compile(r"[#;].*")
_SEPARATORS = re.compile(r"[\s,]+")


def _lines(text: str, place: str, defaults: Defaults) -> Iterator[tuple[Endpoint, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        here = f"{place}:{number}"
        try:
            for word in filter(None, _SEPARATORS.split(_COMMENT.sub("", line))):
                yield from ((parse(name, defaults), here) for name in expand(word))
        except UsageError as error:
            raise UsageError(f"{here}: {error}") from None


# -- formats -------------------------------------------------------------------------------------------------------

_BY_SUFFIX: dict[str, Format] = {".yml": "yaml", ".yaml": "yaml", ".json": "json", ".ini": "ini"}
_SECTION = re.compile(r"\[[^:\]\s]+(?::(?:hosts|children|vars))?\]\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"\S+\s+[A-Za-z_][A-Za-z0-9_]*=")
_YAML_KEY = re.compile(r"---(?:\s.*)?|(?:[\w.-]+|'[^']+'|\"[^\"]+\"):\s*(?:#.*)?")


def _format(text: str, suffix: str) -> Format:
    if suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[suffix.lower()]
    lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] not in "#;"]
    if lines and lines[0].startswith("{"):
        return "json"
    if lines and _YAML_KEY.fullmatch(lines[0]):
        return "yaml"
    is_ini = any(_SECTION.fullmatch(line) or _ASSIGNMENT.match(line) for line in lines)
    return "ini" if is_ini else "text"
